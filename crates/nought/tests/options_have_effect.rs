//! Options that no other test is about, through real sockets.

mod support;

use std::time::Duration;

use nought::{
    Context, DisconnectReason, Misbehaviour, ProtocolError, Pub, Pull, Push, SendErrorKind, SocketEventKind, Sub,
};
use support::{PATIENCE, Transport, await_event, connect, number, raw::RawPeer, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_receive_mark_in_bytes_stops_the_reading_and_loses_nothing() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_hwm(0).recv_hwm_bytes(10_000).build().unwrap();
        let push = context.socket_builder::<Push>().send_hwm(10).build().unwrap();
        connect(&pull, &push, transport);
        let mut body = vec![0; 1000];
        let mut sent = 0_u64;
        loop {
            body[..8].copy_from_slice(&sent.to_be_bytes());
            if push.send_timeout(&body[..], Duration::from_millis(200)).is_err() {
                break;
            }
            sent += 1;
            assert!(sent < 100_000, "nothing stops the reading");
        }
        // The mark, and what the last read brought: no more than the mark, either.
        assert!(pull.peers()[0].recv_queue_len <= 20, "{}", pull.peers()[0].recv_queue_len);
        for expected in 0..sent {
            assert_eq!(number(&recv(&pull)), expected, "{transport}");
        }
    }
}

#[test]
fn with_immediate_only_those_who_are_there_get_messages() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let push = context.socket_builder::<Push>().immediate(true).build().unwrap();
        push.connect(&transport.future_endpoint()).unwrap();
        assert_eq!(push.try_send("x").unwrap_err().kind(), SendErrorKind::WouldBlock, "{transport}");
        let pull = context.socket::<Pull>().unwrap();
        connect(&pull, &push, transport);
        for expected in 0..10_u64 {
            push.send(&expected.to_be_bytes()).unwrap();
        }
        for expected in 0..10 {
            assert_eq!(number(&recv(&pull)), expected, "{transport}: all go to the one that is there");
        }
    }
}

#[test]
fn conflating_keeps_the_newest() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        // At the receiver.
        let publisher = context.socket_builder::<Pub>().send_hwm(0).build().unwrap();
        let sub = context.socket_builder::<Sub>().conflate(true).build().unwrap();
        sub.subscribe("").unwrap();
        connect(&publisher, &sub, transport);
        until("it has subscribed", || publisher.stats().subscriptions == 1);
        for index in 0..1000_u64 {
            publisher.send(&index.to_be_bytes()).unwrap();
        }
        // What comes is newer each time, and the last of all comes.
        let mut last = None;
        while last != Some(999) {
            let newest = Some(number(&recv(&sub)));
            assert!(newest > last, "{transport}: {newest:?} after {last:?}");
            last = newest;
        }
        assert!(sub.try_recv().is_err(), "{transport}");

        // At the sender, which has nobody to send to yet.
        let push = context.socket_builder::<Push>().conflate(true).build().unwrap();
        let endpoint = transport.future_endpoint();
        push.connect(&endpoint).unwrap();
        for index in 0..1000_u64 {
            push.try_send(&index.to_be_bytes()).unwrap();
        }
        assert_eq!(push.stats().totals.conflated, 999, "{transport}");
        assert_eq!(push.try_send(["two", "frames"]).unwrap_err().kind(), SendErrorKind::Malformed);
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        assert_eq!(number(&recv(&pull)), 999, "{transport}");
    }
}

#[test]
fn one_that_sends_too_large_a_message_is_disconnected() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().max_message_size(Some(1000)).build().unwrap();
        let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
        let monitor = pull.monitor();
        connect(&pull, &push, transport);
        // All frames together count.
        push.send([&[1; 500][..], &[2; 500]]).unwrap();
        assert_eq!(recv(&pull).body_len(), 1000);
        push.send([&[1; 500][..], &[2; 501]]).unwrap();
        let error = await_event(&monitor, "the end", |kind| match kind {
            SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(error) } => Some(error.clone()),
            _ => None,
        });
        assert_eq!(error, ProtocolError::Misbehaved(Misbehaviour::MessageTooLarge), "{transport}");
        assert!(pull.recv_timeout(Duration::from_millis(20)).is_err(), "no part of it comes up");
    }
    // Whoever is in the same process needs no limit.
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().max_message_size(Some(1000)).build().unwrap();
    let push = context.socket::<Push>().unwrap();
    connect(&pull, &push, Transport::Inproc);
    push.send(vec![0; 5000]).unwrap();
    assert_eq!(recv(&pull).body_len(), 5000);
}

#[test]
fn peers_are_told_how_long_to_wait_for_a_sign_of_life() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context
        .socket_builder::<Pull>()
        .heartbeat_interval(Some(Duration::from_millis(10)))
        .heartbeat_timeout(Some(PATIENCE))
        .heartbeat_ttl(Some(Duration::from_millis(2550)))
        .build()
        .unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    for _ in 0..3 {
        // In tenths of a second, rounded up.
        assert_eq!(peer.recv_frame(), (true, b"\x04PING\0\x1a".to_vec()));
    }
}
