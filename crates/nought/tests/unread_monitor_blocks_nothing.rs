//! Monitors tell what happens and hold nothing up: one that is never read costs the oldest events and nothing else.

mod support;

use std::{thread, time::Duration};

use nought::{Context, MONITOR_EVENTS_MAX, Pull, Push, RecvError, SocketEventKind, SocketType, Sub};
use support::{Transport, await_event, raw::RawPeer, recv, watchdog};

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn the_oldest_events_are_missed_and_counted() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    // Two events each: listening, and no more.
    let rounds = MONITOR_EVENTS_MAX as u64 / 2 + 500;
    for _ in 0..rounds {
        pull.bind("inproc://again-and-again").unwrap();
        pull.unbind("inproc://again-and-again").unwrap();
    }
    let SocketEventKind::Missed(missed) = monitor.try_recv().unwrap().kind else { panic!("nothing was missed") };
    assert_eq!(missed, 2 * rounds - MONITOR_EVENTS_MAX as u64);
    let mut events = 0;
    while let Ok(event) = monitor.try_recv() {
        let listens = events % 2 == 0;
        assert!(matches!(event.kind, SocketEventKind::Listening) == listens, "{event}");
        events += 1;
    }
    assert_eq!(events, MONITOR_EVENTS_MAX);
}

#[test]
fn the_socket_works_on() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let _never_read: Vec<_> = (0..10).map(|_| pull.monitor()).collect();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    for round in 0..500 {
        drop(RawPeer::connect(&endpoint));
        if round % 50 == 0 {
            let push = context.socket::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            push.send("works").unwrap();
            assert_eq!(recv(&pull), "works");
        }
    }
}

#[test]
fn a_life_of_a_connection_is_told_in_order_on_both_sides() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        let (of_pull, of_push) = (pull.monitor(), push.monitor());
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        push.connect(&endpoint).unwrap();
        push.send("x").unwrap();
        recv(&pull);
        push.disconnect(&endpoint).unwrap();
        let told = |monitor: &nought::Monitor, count| -> Vec<nought::SocketEvent> {
            (0..count).map(|_| monitor.recv_timeout(support::PATIENCE).unwrap()).collect()
        };
        let of_pull = told(&of_pull, 4);
        assert!(
            matches!(
                [&of_pull[0].kind, &of_pull[1].kind, &of_pull[2].kind, &of_pull[3].kind],
                [
                    SocketEventKind::Listening,
                    SocketEventKind::Accepted,
                    SocketEventKind::HandshakeSucceeded { .. },
                    SocketEventKind::Disconnected { .. },
                ]
            ),
            "{transport}: {of_pull:#?}"
        );
        let mut of_push = told(&of_push, 4 - usize::from(transport != Transport::Tcp));
        if transport == Transport::Tcp {
            // A connection over tcp takes its time.
            assert!(matches!(of_push.remove(0).kind, SocketEventKind::Connecting));
        }
        assert!(
            matches!(
                [&of_push[0].kind, &of_push[1].kind, &of_push[2].kind],
                [
                    SocketEventKind::Connected,
                    SocketEventKind::HandshakeSucceeded { .. },
                    SocketEventKind::Disconnected { .. }
                ]
            ),
            "{transport}: {of_push:#?}"
        );
        // They name the peer.
        assert_eq!(of_pull[0].local, endpoint);
        assert_eq!(of_push[0].remote.as_deref(), Some(&endpoint[..]));
        if transport == Transport::Tcp {
            assert_eq!(of_pull[1].remote.as_deref(), Some(&of_push[0].local[..]));
        }
        let SocketEventKind::HandshakeSucceeded { peer } = &of_pull[2].kind else { unreachable!() };
        assert_eq!(peer.socket_type, Some(SocketType::Push));
    }
}

/// What has no handshake is there as soon as it is connected.
#[test]
fn an_end_says_whether_messages_could_flow_before() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for (socket_type, was_established) in [(SocketType::Stream, true), (SocketType::Pull, false)] {
        let socket = context.any_socket(socket_type).unwrap();
        let monitor = socket.monitor();
        drop(RawPeer::connect(&socket.bind("tcp://127.0.0.1:*").unwrap()));
        let mut events = std::iter::from_fn(|| monitor.recv_timeout(support::PATIENCE).ok());
        let end = events.find(|event| matches!(event.kind, SocketEventKind::Disconnected { .. })).unwrap();
        assert_eq!(end.was_established, was_established, "{socket_type}");
    }
}

#[test]
fn several_monitors_see_the_same_and_one_that_is_dropped_is_forgotten() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let sub = context.socket::<Sub>().unwrap();
    let (one, other, dropped) = (sub.monitor(), sub.monitor(), sub.monitor());
    drop(dropped);
    let endpoint = sub.bind(&Transport::Tcp.endpoint()).unwrap();
    for monitor in [&one, &other] {
        assert_eq!(monitor.try_recv().unwrap().local, endpoint);
        assert_eq!(monitor.try_recv().unwrap_err(), RecvError::WouldBlock);
    }
    let late = sub.monitor();
    assert_eq!(late.try_recv().unwrap_err(), RecvError::WouldBlock, "it begins where it was made");
    drop(sub);
    for monitor in [&one, &other, &late] {
        await_event(monitor, "the end of listening", |event| matches!(event, SocketEventKind::Closed).then_some(()));
        assert_eq!(monitor.recv().unwrap_err(), RecvError::Terminated);
    }
}

#[test]
fn waiting_for_an_event() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    assert_eq!(monitor.recv_timeout(Duration::from_millis(20)).unwrap_err(), RecvError::TimedOut);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| monitor.recv().unwrap());
        thread::sleep(Duration::from_millis(20));
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        assert_eq!(waiting.join().unwrap().local, endpoint);
    });
}
