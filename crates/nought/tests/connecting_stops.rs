//! Endpoints that are connected to no more: refused, failed in the handshake, denied, or disconnected.

mod support;

use std::{net::TcpListener, time::Duration};

use nought::{
    Context, PlainClient, Pull, Push, Security, SocketBuilder, SocketEventKind,
    zap::{Reply, Request, Status},
};
use support::{
    PATIENCE, Transport, await_event,
    raw::{self, RawPeer},
    until, watchdog,
};

const SHORT: Option<Duration> = Some(Duration::from_millis(1));

fn connecting(context: &Context) -> SocketBuilder<Push> {
    context.socket_builder::<Push>().reconnect_interval(SHORT)
}

#[test]
fn where_nobody_listens() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    for stops in [true, false] {
        let push = connecting(&context).reconnect_stop_refused(stops).build().unwrap();
        // Somebody is there, and does not answer, until a message is queued: without an endpoint a PUSH waits for one.
        let endpoint = Transport::Tcp.future_endpoint();
        let listener = TcpListener::bind(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        push.connect(&endpoint).unwrap();
        let silent = RawPeer::accept(&listener);
        push.send("lost").unwrap();
        drop(listener);
        drop(silent);
        if stops {
            until("the endpoint is forgotten", || push.peers().is_empty());
            assert_eq!((push.stats().totals.lost, push.stats().reconnects), (1, 1));
        } else {
            until("it is tried again", || push.stats().reconnects > 3);
            assert_eq!(push.peers().len(), 1);
            push.set_linger(Some(Duration::ZERO));
        }
    }
}

#[test]
fn where_the_handshake_fails() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let other = context.socket::<Push>().unwrap();
    let endpoint = other.bind(&Transport::Tcp.endpoint()).unwrap();
    let push = connecting(&context).reconnect_stop_handshake_failed(true).build().unwrap();
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    await_event(&monitor, "the failure", |kind| matches!(kind, SocketEventKind::HandshakeFailed { .. }).then_some(()));
    until("the endpoint is forgotten", || push.peers().is_empty());
    assert_eq!(push.stats().reconnects, 0);
}

/// As libzmq does it: whoever hangs up before the handshake is over, with a word or without, is none of ours.
#[test]
fn where_the_peer_ends_the_handshake_without_a_word() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    for stops in [true, false] {
        for said in [&b""[..], &raw::greeting()] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
            let push = connecting(&context).reconnect_stop_handshake_failed(stops).build().unwrap();
            push.connect(&endpoint).unwrap();
            let mut silent = RawPeer::accept(&listener);
            silent.send(said);
            drop(silent);
            if stops {
                until("the endpoint is forgotten", || push.peers().is_empty());
                assert_eq!(push.stats().reconnects, 0);
            } else {
                RawPeer::accept(&listener);
                assert_eq!(push.peers().len(), 1);
            }
        }
    }
}

#[test]
fn where_the_authenticator_says_no() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    // It is out of order once, which says nothing of the peer and is not told to it.
    let mut replies = [Reply::temporary_error("out of order")].into_iter();
    let authenticator = move |_: &Request| replies.next().unwrap_or_else(|| Reply::failure("unknown"));
    let _authentication = context.authenticate(authenticator).unwrap();
    let pull = context.socket_builder::<Pull>().security(Security::PlainServer).build().unwrap();
    let endpoint = pull.bind(&Transport::Tcp.endpoint()).unwrap();
    let stranger = PlainClient::new("anna", "x").unwrap();
    let push = connecting(&context).security(stranger).reconnect_stop_denied(true).build().unwrap();
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    let status = await_event(&monitor, "the denial", |kind| match kind {
        SocketEventKind::HandshakeFailed { error } => Some(error.status_at_peer()),
        _ => None,
    });
    assert_eq!(status, Some(Status::Failure));
    until("the endpoint is forgotten", || push.peers().is_empty());
    assert_eq!(push.stats().reconnects, 1);
}

#[test]
fn a_connection_that_ends_is_made_again_all_the_same() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let push = connecting(&context).reconnect_stop_handshake_failed(true).build().unwrap();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    for _ in 0..2 {
        let pull = context.socket::<Pull>().unwrap();
        until("the port is free", || pull.bind(&endpoint).is_ok());
        push.send("x").unwrap();
        assert_eq!(support::recv(&pull), "x");
        drop(pull);
        until("the end is seen", || push.stats().peers == 0);
    }
}

#[test]
fn after_disconnect() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let push = connecting(&context).reconnect_stop_after_disconnect(true).build().unwrap();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    push.send("lost").unwrap();
    until("it is tried again", || push.stats().reconnects > 1);
    push.disconnect(&endpoint).unwrap();
    until("the endpoint is forgotten", || push.peers().is_empty());
    assert_eq!(push.stats().totals.lost, 1);

    // One that is there gets what is queued.
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind(&Transport::Tcp.endpoint()).unwrap();
    push.connect(&endpoint).unwrap();
    until("it is there", || push.stats().peers == 1);
    push.send("kept").unwrap();
    push.disconnect(&endpoint).unwrap();
    assert_eq!(support::recv(&pull), "kept");
}
