//! The limits that a context sets.

mod support;

use std::time::Duration;

use nought::{Context, Pair, Push, SocketError};
use support::{Transport, until, watchdog};

#[test]
fn sockets_are_limited_and_those_that_linger_count() {
    let _bounded = watchdog(Duration::from_secs(60));
    let context = Context::builder().max_sockets(3).build().unwrap();
    let mut sockets: Vec<_> = (0..3).map(|_| context.socket::<Pair>().unwrap()).collect();
    let error = context.socket::<Pair>().unwrap_err();
    assert!(matches!(error, SocketError::TooMany { max: 3 }), "{error:?}");
    assert!(error.to_string().contains("max_sockets"), "it says what to do: {error}");
    sockets.pop();
    until("the closed one is gone", || context.sockets() == 2);

    let push = context.socket_builder::<Push>().linger(None).build().unwrap();
    let endpoint = Transport::Ipc.future_endpoint();
    push.connect(&endpoint).unwrap();
    push.send("still to be sent").unwrap();
    push.close();
    assert!(matches!(context.socket::<Pair>(), Err(SocketError::TooMany { .. })));
    let other = Context::new();
    let pull = other.socket::<nought::Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    assert_eq!(support::recv(&pull), "still to be sent");
    until("the one that lingered is gone", || context.sockets() == 2);
    context.socket::<Pair>().unwrap();
}

#[test]
fn a_context_without_threads_is_refused() {
    let error = Context::builder().io_threads(0).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("write 1 or more"), "it says what to do: {error}");
}

#[test]
fn a_context_that_is_shut_down_makes_none() {
    let context = Context::new();
    context.shutdown();
    assert!(matches!(context.socket::<Pair>(), Err(SocketError::Terminated)));
    assert_eq!(context.sockets(), 0);
}
