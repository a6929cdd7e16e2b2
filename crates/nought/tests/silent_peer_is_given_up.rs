//! Half-open connections: a peer that says nothing is found by heartbeats, by its own TTL, or by the handshake's
//! time-out; one that is only slow is not.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Dealer, DisconnectReason, ProtocolError, Pull, Push, SocketEventKind};
use support::{
    Transport, await_event, body, connect, number,
    raw::{self, RawPeer},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(90);
const INTERVAL: Duration = Duration::from_millis(100);
/// Far longer than anybody is kept from running by whatever else runs: whoever answers has to answer within it.
const TIMEOUT: Duration = Duration::from_secs(2);

fn heartbeat_timed_out(event: &SocketEventKind) -> Option<()> {
    match event {
        SocketEventKind::Disconnected { reason } => {
            assert!(matches!(reason, DisconnectReason::Protocol(ProtocolError::HeartbeatTimedOut)), "{reason}");
            Some(())
        }
        _ => None,
    }
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context
        .socket_builder::<Pull>()
        .heartbeat_interval(Some(INTERVAL))
        .heartbeat_timeout(Some(TIMEOUT))
        .heartbeat_ttl(Some(Duration::from_secs(2)))
        .build()
        .unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    // The time begins with the handshake, at the latest when this side sees its end.
    let start = Instant::now();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    let (is_command, ping) = peer.recv_frame();
    assert!(is_command);
    assert_eq!(ping, b"\x04PING\0\x14", "with a TTL of 20 tenths of a second");
    await_event(&monitor, "the loss", heartbeat_timed_out);
    let elapsed = start.elapsed();
    assert!(elapsed >= TIMEOUT, "{elapsed:?}");
    assert_eq!(pull.stats().peers, 0);
    peer.await_close();
}

#[test]
fn a_peer_that_answers_is_kept() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context
        .socket_builder::<Pull>()
        .heartbeat_interval(Some(INTERVAL))
        .heartbeat_timeout(Some(TIMEOUT))
        .build()
        .unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    let start = Instant::now();
    while start.elapsed() < TIMEOUT * 3 / 2 {
        let (_, ping) = peer.recv_frame();
        assert!(ping.starts_with(b"\x04PING"));
        peer.send(&raw::command("PONG", &ping[7..]));
    }
    peer.send(&raw::frame(false, b"still here"));
    assert_eq!(recv(&pull), "still here");
}

#[test]
fn any_traffic_is_a_sign_of_life() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context
        .socket_builder::<Pull>()
        .heartbeat_interval(Some(INTERVAL))
        .heartbeat_timeout(Some(TIMEOUT))
        .build()
        .unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    // It never answers a PING.
    let start = Instant::now();
    for index in 0_u64.. {
        if start.elapsed() > TIMEOUT * 3 / 2 {
            break;
        }
        peer.send(&raw::frame(false, &index.to_be_bytes()));
        assert_eq!(number(&recv(&pull)), index);
        thread::sleep(INTERVAL);
    }
    assert_eq!(pull.stats().peers, 1);
}

#[test]
fn pings_are_answered_with_their_context() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    for ping_context in [&b""[..], b"x", b"0123456789abcdef"] {
        peer.send(&raw::command("PING", &[&[0, 0], ping_context].concat()));
        assert_eq!(peer.recv_frame(), (true, [b"\x04PONG", ping_context].concat()));
    }
    assert_eq!(pull.stats().peers, 1);
}

#[test]
fn a_peer_is_given_up_after_the_ttl_that_it_gave() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    // This side sends no PINGs.
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PUSH");
    let start = Instant::now();
    peer.send(&raw::command("PING", &[0, 3]));
    await_event(&monitor, "the loss", heartbeat_timed_out);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(300), "{elapsed:?}");
}

#[test]
fn a_connector_gives_up_and_connects_again() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let push = context
        .socket_builder::<Push>()
        .heartbeat_interval(Some(INTERVAL))
        .heartbeat_timeout(Some(TIMEOUT))
        .reconnect_interval(Some(Duration::from_millis(10)))
        .build()
        .unwrap();
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    let mut silent = RawPeer::accept(&listener).shake_hands("PULL");
    await_event(&monitor, "the loss", heartbeat_timed_out);
    let mut next = RawPeer::accept(&listener).shake_hands("PULL");
    push.send("to the living").unwrap();
    loop {
        let (is_command, body) = next.recv_frame();
        if !is_command {
            assert_eq!(body, b"to the living");
            break;
        }
    }
    silent.await_close();
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().handshake_timeout(Some(Duration::from_millis(300))).build().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let whole = raw::handshake("PUSH");
    let peers: Vec<RawPeer> = [0, 1, 10, 11, 12, 40, 64, 65, 70, whole.len() - 1]
        .into_iter()
        .map(|stage| {
            let mut peer = RawPeer::connect(&endpoint);
            peer.send(&whole[..stage]);
            peer
        })
        .collect();
    for _ in &peers {
        await_event(&monitor, "a failure", |event| match event {
            SocketEventKind::HandshakeFailed { error } => {
                assert_eq!(*error, ProtocolError::HandshakeTimedOut);
                Some(())
            }
            _ => None,
        });
    }
    for mut peer in peers {
        peer.await_close();
    }
    assert_eq!(pull.stats().totals.handshake_failures, 10);
}

#[test]
fn a_peer_that_we_do_not_read_is_not_silent() {
    // Nobody has to answer within it.
    const TIMEOUT: Duration = Duration::from_millis(400);
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        // Only the receiving side, whose own mark stops it from reading, looks for signs of life.
        let pull = context
            .socket_builder::<Pull>()
            .recv_hwm(10)
            .heartbeat_interval(Some(INTERVAL))
            .heartbeat_timeout(Some(TIMEOUT))
            .build()
            .unwrap();
        let push = context.socket_builder::<Push>().send_timeout(Some(Duration::from_millis(100))).build().unwrap();
        connect(&pull, &push, transport);
        let monitor = pull.monitor();
        let mut sent = 0;
        while push.send(body(sent, 10_000)).is_ok() {
            sent += 1;
        }
        // The application takes its time: it is the pause that is tested.
        thread::sleep(TIMEOUT * 4);
        for expected in 0..sent {
            assert_eq!(number(&recv(&pull)), expected, "{transport}");
        }
        while let Ok(event) = monitor.try_recv() {
            assert!(!matches!(event.kind, SocketEventKind::Disconnected { .. }), "{event}");
        }
    }
}

#[test]
fn a_large_transfer_to_a_slow_peer_survives_heartbeats() {
    // What the system's own buffers hold, up to 10 MiB, must be read within the time-out: a PING waits behind that, too.
    const LEN: usize = 60 << 20;
    const TIMEOUT: Duration = Duration::from_secs(3);
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context
        .socket_builder::<Dealer>()
        .heartbeat_interval(Some(INTERVAL))
        .heartbeat_timeout(Some(TIMEOUT))
        .build()
        .unwrap();
    let endpoint = dealer.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = dealer.monitor();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("DEALER");
    dealer.send(vec![7; LEN]).unwrap();
    // It reads all the time and answers PINGs, but those come behind the message.
    let head = loop {
        let head = peer.recv(2);
        if head[0] & 4 == 0 {
            break head;
        }
        let rest = peer.recv(usize::from(head[1]));
        assert!(rest.starts_with(b"\x04PING"));
        peer.send(&raw::command("PONG", &rest[7..]));
    };
    assert_eq!(head[0], 2);
    peer.recv(7);
    let start = Instant::now();
    for _ in 0..60 {
        assert_eq!(peer.recv(LEN / 60).last(), Some(&7));
        thread::sleep(TIMEOUT / 40);
    }
    assert!(start.elapsed() > TIMEOUT);
    for _ in 0..3 {
        let (is_command, ping) = peer.recv_frame();
        assert!(is_command && ping.starts_with(b"\x04PING"));
        peer.send(&raw::command("PONG", &ping[7..]));
    }
    while let Ok(event) = monitor.try_recv() {
        assert!(!matches!(event.kind, SocketEventKind::Disconnected { .. }), "{event}");
    }
    until("it is still connected", || dealer.stats().peers == 1);
}
