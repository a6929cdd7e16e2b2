//! The linger time bounds what closing may take: none at all, or so long and no longer.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Pull, Push, Socket};
use support::{Transport, raw::RawPeer, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

fn push(context: &Context, linger: Duration) -> Socket<Push> {
    context.socket_builder::<Push>().linger(Some(linger)).build().unwrap()
}

#[test]
fn no_linger_drops_what_is_queued_for_nobody() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let endpoint = transport.future_endpoint();
        let context = Context::new();
        let push = push(&context, Duration::ZERO);
        push.connect(&endpoint).unwrap();
        for _ in 0..100 {
            push.send("to be dropped").unwrap();
        }
        push.close();
        let start = Instant::now();
        drop(context);
        assert!(start.elapsed() < Duration::from_secs(1), "{transport}: {:?}", start.elapsed());
    }
}

#[test]
fn no_linger_drops_what_the_peer_does_not_take() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = push(&context, Duration::ZERO);
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let peer = RawPeer::connect(&endpoint).shake_hands("PULL");
    while push.send_timeout(&[0; 65_536], Duration::from_millis(100)).is_ok() {}
    push.close();
    let start = Instant::now();
    drop(context);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    drop(peer);
}

#[test]
fn a_linger_time_is_waited_for_and_no_longer() {
    let _bounded = watchdog(LIMIT);
    let linger = Duration::from_millis(300);
    let context = Context::new();
    let nobody_there = push(&context, linger);
    nobody_there.connect(&Transport::Tcp.future_endpoint()).unwrap();
    nobody_there.send("to be dropped").unwrap();
    let not_read = push(&context, linger);
    let endpoint = not_read.bind("tcp://127.0.0.1:*").unwrap();
    let peer = RawPeer::connect(&endpoint).shake_hands("PULL");
    while not_read.send_timeout(&[0; 65_536], Duration::from_millis(100)).is_ok() {}
    let start = Instant::now();
    nobody_there.close();
    not_read.close();
    drop(context);
    let elapsed = start.elapsed();
    assert!(elapsed >= linger, "{elapsed:?}");
    assert!(elapsed < linger + Duration::from_secs(1), "{elapsed:?}");
    drop(peer);
}

#[test]
fn nothing_is_waited_for_when_all_is_sent() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = support::connected::<Pull, Push>(&context, transport);
        push.send("the last").unwrap();
        assert_eq!(support::recv(&pull), "the last");
        let start = Instant::now();
        push.close();
        pull.close();
        drop(context);
        assert!(start.elapsed() < Duration::from_millis(500), "{transport}: {:?}", start.elapsed());
    }
}

#[test]
fn sockets_that_never_sent_close_at_once() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    let unresolved = context.socket::<Push>().unwrap();
    unresolved.connect("tcp://nowhere.invalid:5555").unwrap();
    let pull = context.socket::<Pull>().unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let start = Instant::now();
    drop((push, unresolved, pull));
    context.term();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn closed_sockets_linger_in_the_background() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = Transport::Tcp.future_endpoint();
    let push = push(&context, Duration::from_secs(20));
    push.connect(&endpoint).unwrap();
    push.send("late").unwrap();
    let start = Instant::now();
    push.close();
    assert!(start.elapsed() < Duration::from_millis(500), "close itself waits for nothing");
    assert_eq!(context.sockets(), 1, "it lingers");
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    assert_eq!(support::recv(&pull), "late");
    until("the closed socket is gone", || context.sockets() == 1);
    thread::scope(|scope| {
        scope.spawn(|| context.term());
        scope.spawn(move || drop(pull));
    });
}
