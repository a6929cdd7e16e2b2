//! Options that change on a living socket take effect, and `settings` tells what is in force.

mod support;

use std::{thread, time::Duration};

use nought::{
    CanSend, Context, Dealer, DisconnectReason, Misbehaviour, ProtocolError, Pub, Pull, Push, RecvError, Rep, Req,
    Router, SendErrorKind, Socket, SocketEventKind, Sub, XPub,
};
use support::{
    PATIENCE, Transport, await_event, connect, connected,
    raw::{self, RawPeer},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);

/// How many messages there is room for, at most 1000.
fn fill<K: CanSend>(socket: &Socket<K>) -> usize {
    (0..1000).take_while(|_| socket.try_send("x").is_ok()).count()
}

/// Calls `change` when a send has begun to wait, and expects the send to succeed then.
fn unblocks<K: CanSend>(socket: &Socket<K>, message: &[&[u8]], change: impl FnOnce()) {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| socket.send_timeout(message.to_vec(), PATIENCE));
        // Most often it waits by now; if not, the test is weaker, and still right.
        thread::sleep(Duration::from_millis(20));
        change();
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_in_force_is_told() {
    let context = Context::new();
    let socket = context.socket_builder::<Dealer>().routing_id("anna").send_hwm(7).build().unwrap();
    let before = socket.settings();
    assert_eq!((before.send_hwm, before.recv_hwm, &before.routing_id[..]), (7, 1000, &b"anna"[..]));
    assert_eq!((before.linger, before.send_timeout, before.recv_timeout), (None, None, None));
    assert_eq!(before.reconnect_interval, Some(Duration::from_millis(100)));
    assert_eq!((before.interruptible, before.any_type_in_process), (false, false));
    assert_eq!((before.bursts_meet_hwm, before.frees_by_halves), (false, false));
    let other = context.socket_builder::<Dealer>().interruptible(true).any_type_in_process(true).build().unwrap();
    assert_eq!((other.settings().interruptible, other.settings().any_type_in_process), (true, true));
    let second = Some(Duration::from_secs(1));
    socket.set_send_hwm(1);
    socket.set_recv_hwm(2);
    socket.set_linger(second);
    socket.set_send_timeout(Some(Duration::from_secs(3)));
    socket.set_recv_timeout(Some(Duration::from_secs(4)));
    socket.set_max_message_size(Some(5)).unwrap();
    socket.set_reconnect_intervals(Some(Duration::from_secs(6)), Duration::from_secs(7));
    let after = socket.settings();
    assert_eq!((after.send_hwm, after.recv_hwm, after.linger), (1, 2, second));
    assert_eq!(after.send_timeout, Some(Duration::from_secs(3)));
    assert_eq!(after.recv_timeout, Some(Duration::from_secs(4)));
    assert_eq!(after.max_message_size, Some(5));
    assert_eq!(after.reconnect_interval, Some(Duration::from_secs(6)));
    assert_eq!(after.reconnect_interval_max, Duration::from_secs(7));
    socket.set_reconnect_intervals(Some(Duration::ZERO), Duration::ZERO);
    assert_eq!(socket.settings().reconnect_interval, None, "zero would be a loop without a pause");
}

#[test]
fn all_that_is_in_force_is_told() {
    let context = Context::new();
    let second = Some(Duration::from_secs(1));
    let router = context.socket_builder::<Router>().router_raw(true).ipv6(true).spin(Duration::ZERO).build().unwrap();
    let before = router.settings();
    assert!(before.router_raw && before.transport.ipv6 && before.stream_notify && before.spin.is_zero());
    assert!(!before.immediate && !before.router_mandatory && !before.router_handover);
    assert_eq!((before.heartbeat_interval, before.heartbeat_timeout), (None, None));
    router.set_immediate(true);
    router.set_heartbeat(second, second).unwrap();
    router.set_router_mandatory(true).unwrap();
    router.set_router_handover(true).unwrap();
    let after = router.settings();
    assert!(after.immediate && after.router_mandatory && after.router_handover);
    assert_eq!((after.heartbeat_interval, after.heartbeat_timeout), (second, second));

    let xpub = context.socket_builder::<XPub>().xpub_welcome("hello").metadata("X-Name", b"x").build().unwrap();
    xpub.set_xpub_nodrop(true).unwrap();
    xpub.set_xpub_verbose(true).unwrap();
    xpub.set_xpub_verboser(true).unwrap();
    xpub.set_xpub_manual(true).unwrap();
    let settings = xpub.settings();
    assert!(settings.xpub_nodrop && settings.xpub_verbose && settings.xpub_verboser && settings.xpub_manual);
    assert_eq!(settings.xpub_welcome, Some("hello".into()));
    assert_eq!(settings.metadata.get("X-Name"), Some(&b"x"[..]));

    let req = context.socket::<Req>().unwrap();
    req.set_req_correlate(true).unwrap();
    req.set_req_relaxed(true).unwrap();
    assert!(req.settings().req_correlate && req.settings().req_relaxed);
}

#[test]
fn the_send_mark() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let push = context.socket_builder::<Push>().send_hwm(3).linger(Some(Duration::ZERO)).build().unwrap();
        push.connect(&transport.future_endpoint()).unwrap();
        assert_eq!(fill(&push), 3, "{transport}");
        push.set_send_hwm(10);
        assert_eq!(fill(&push), 7, "{transport}");
        push.set_send_hwm(2);
        assert_eq!(fill(&push), 0, "{transport}");
        unblocks(&push, &[b"x"], || push.set_send_hwm(11));
    }
}

#[test]
fn the_receive_mark() {
    let _bounded = watchdog(LIMIT);
    // Within the process both marks count together, so that the sum shows.
    let context = Context::new();
    let (push, pull) = (
        context.socket_builder::<Push>().send_hwm(3).build().unwrap(),
        context.socket_builder::<Pull>().recv_hwm(4).build().unwrap(),
    );
    connect(&pull, &push, Transport::Inproc);
    assert_eq!(fill(&push), 7);
    unblocks(&push, &[b"x"], || pull.set_recv_hwm(5));
    for _ in 0..8 {
        recv(&pull);
    }

    // Over tcp: bodies so large that one read brings two or three.
    let (push, pull) = (
        context.socket_builder::<Push>().send_hwm(1).build().unwrap(),
        context.socket_builder::<Pull>().recv_hwm(1).build().unwrap(),
    );
    connect(&pull, &push, Transport::Tcp);
    let body = vec![0; 4000];
    let mut sent = 0;
    while push.send_timeout(&body, Duration::from_millis(100)).is_ok() {
        sent += 1;
    }
    assert!(pull.peers()[0].recv_queue_len < 5);
    pull.set_recv_hwm(0);
    // All that is on its way comes in.
    until("it is read on", || pull.peers()[0].recv_queue_len == sent);
}

#[test]
fn time_outs() {
    let context = Context::new();
    let dealer = context.socket::<Dealer>().unwrap();
    dealer.set_recv_timeout(Some(Duration::ZERO));
    assert_eq!(dealer.recv().unwrap_err(), RecvError::TimedOut);
    dealer.set_recv_timeout(Some(Duration::from_millis(5)));
    assert_eq!(dealer.recv().unwrap_err(), RecvError::TimedOut);
    dealer.set_send_timeout(Some(Duration::from_millis(5)));
    assert_eq!(dealer.send("x").unwrap_err().kind(), SendErrorKind::TimedOut);
}

#[test]
fn linger() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    push.send("to nobody").unwrap();
    push.set_linger(Some(Duration::ZERO));
    push.close();
    // It would wait for ever.
    context.term();
}

#[test]
fn immediate() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    push.set_immediate(true);
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    assert_eq!(push.try_send("x").unwrap_err().kind(), SendErrorKind::WouldBlock);
    push.set_immediate(false);
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    push.try_send("x").unwrap();
}

#[test]
fn reconnecting_can_be_switched_off() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (listener, endpoint) = raw::listen();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    pull.connect(&endpoint).unwrap();
    let peer = RawPeer::accept(&listener).shake_hands("PUSH");
    pull.set_reconnect_intervals(None, Duration::ZERO);
    drop(peer);
    await_event(&monitor, "the loss", |kind| matches!(kind, SocketEventKind::Disconnected { .. }).then_some(()));
    assert!(pull.disconnect(&endpoint).is_err(), "the endpoint is forgotten");
    assert_eq!(pull.stats().reconnects, 0);
}

#[test]
fn the_largest_message() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Tcp);
    let monitor = pull.monitor();
    push.send("12345").unwrap();
    assert_eq!(recv(&pull), "12345");
    pull.set_max_message_size(Some(4)).unwrap();
    push.send("12345").unwrap();
    let error = await_event(&monitor, "the end", |kind| match kind {
        SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(error) } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error, ProtocolError::Misbehaved(Misbehaviour::MessageTooLarge));
}

#[test]
fn heartbeats_of_new_connections() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    pull.set_heartbeat(Some(Duration::from_millis(20)), Some(Duration::from_millis(100))).unwrap();
    let mut silent = RawPeer::connect(&endpoint).shake_hands("PUSH");
    let (is_command, ping) = silent.recv_frame();
    assert!(is_command && ping.starts_with(b"\x04PING"), "{}", ping.escape_ascii());
    await_event(&monitor, "that it is given up", |kind| match kind {
        SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(ProtocolError::HeartbeatTimedOut) } => {
            Some(())
        }
        _ => None,
    });
}

#[test]
fn a_router_becomes_strict_and_lenient_again() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().send_hwm(1).build().unwrap();
    let dealer = context.socket_builder::<Dealer>().routing_id("anna").recv_hwm(1).build().unwrap();
    connect(&router, &dealer, Transport::Inproc);
    router.send(["nobody", "x"]).unwrap();
    router.set_router_mandatory(true).unwrap();
    assert_eq!(router.send(["nobody", "x"]).unwrap_err().kind(), SendErrorKind::Unroutable);
    while router.try_send(["anna", "x"]).is_ok() {}
    // One that waits for room is told that its message may be dropped.
    unblocks(&router, &[b"anna", b"x"], || router.set_router_mandatory(false).unwrap());
    assert!(router.stats().totals.dropped_at_hwm > 0);
}

#[test]
fn a_routers_names_can_be_handed_over() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket::<Router>().unwrap();
    let endpoint = router.bind(&Transport::Inproc.endpoint()).unwrap();
    let dealers: Vec<_> =
        (0..2).map(|_| context.socket_builder::<Dealer>().routing_id("same").build().unwrap()).collect();
    dealers[0].connect(&endpoint).unwrap();
    router.set_router_handover(true).unwrap();
    dealers[1].connect(&endpoint).unwrap();
    dealers[1].send("hello").unwrap();
    assert_eq!(support::text(&recv(&router)), ["same", "hello"]);
    router.send(["same", "to the newest"]).unwrap();
    assert_eq!(recv(&dealers[1]), "to the newest");
}

#[test]
fn a_publisher_waits_or_not() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let publisher = context.socket_builder::<Pub>().send_hwm(1).build().unwrap();
    let sub = context.socket_builder::<Sub>().recv_hwm(1).build().unwrap();
    sub.subscribe("").unwrap();
    connect(&publisher, &sub, Transport::Inproc);
    until("it has subscribed", || publisher.stats().subscriptions == 1);
    publisher.set_xpub_nodrop(true).unwrap();
    assert_eq!(fill(&publisher), 2);
    unblocks(&publisher, &[b"x"], || publisher.set_xpub_nodrop(false).unwrap());
    assert_eq!(publisher.stats().totals.dropped_at_hwm, 1);
}

#[test]
fn a_request_may_be_sent_again_once_that_is_allowed() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (rep, req) = connected::<Rep, Req>(&context, transport);
        req.send("first").unwrap();
        assert_eq!(req.send("second").unwrap_err().kind(), SendErrorKind::OutOfTurn);
        req.set_req_relaxed(true).unwrap();
        req.set_req_correlate(true).unwrap();
        req.send("second").unwrap();
        for _ in 0..2 {
            let request = recv(&rep);
            rep.send(request).unwrap();
        }
        assert_eq!(recv(&req), "second", "{transport}");
    }
}

#[test]
fn an_xpub_decides_by_hand_or_not() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (xpub, sub) = connected::<XPub, Sub>(&context, Transport::Inproc);
    xpub.set_xpub_manual(true).unwrap();
    sub.subscribe("denied").unwrap();
    sub.subscribe("a").unwrap();
    assert_eq!(recv(&xpub), &b"\x01denied"[..]);
    assert_eq!(recv(&xpub), &b"\x01a"[..]);
    xpub.subscribe("a").unwrap();
    xpub.set_xpub_manual(false).unwrap();
    sub.subscribe("b").unwrap();
    assert_eq!(recv(&xpub), &b"\x01b"[..]);
    for body in ["denied", "a", "b"] {
        xpub.send(body).unwrap();
    }
    assert_eq!((recv(&sub), recv(&sub)), ("a".into(), "b".into()));
}

#[test]
fn an_xpub_sees_more_or_less() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let xpub = context.socket::<XPub>().unwrap();
    let endpoint = xpub.bind(&Transport::Inproc.endpoint()).unwrap();
    let subs: Vec<_> = (0..3).map(|_| context.socket::<Sub>().unwrap()).collect();
    subs.iter().for_each(|sub| sub.connect(&endpoint).unwrap());
    let seen = || std::iter::from_fn(|| xpub.try_recv().ok()).map(|message| message[0].to_vec()).collect::<Vec<_>>();
    subs[0].subscribe("a").unwrap();
    subs[1].subscribe("a").unwrap();
    assert_eq!(seen(), [b"\x01a"]);
    xpub.set_xpub_verbose(true).unwrap();
    subs[2].subscribe("a").unwrap();
    subs[2].unsubscribe("a").unwrap();
    assert_eq!(seen(), [b"\x01a"]);
    xpub.set_xpub_verboser(true).unwrap();
    subs[1].unsubscribe("a").unwrap();
    assert_eq!(seen(), [b"\0a"]);
}
