//! Peers that stop reading (SIGSTOP): they hold up themselves and nobody else, and go on where they were.

mod support;

use std::{thread, time::Duration};

use nought::{Context, Dealer, DisconnectReason, ProtocolError, Pub, Pull, Push, Router, SocketEventKind, Sub};
use support::{
    Transport, await_event, body, number,
    process::{self, Role},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);
const LEN: usize = 50_000;

#[test]
fn role() {
    process::play(&[("worker", work), ("subscriber", subscribe), ("echo", echo)]);
}

/// Receives numbers and tells them, until told "end".
fn work(arguments: &[String]) {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    pull.connect(&arguments[0]).unwrap();
    process::tell("started");
    loop {
        let message = pull.recv().unwrap();
        if message == "end" {
            return;
        }
        assert_eq!(message.as_slice(), body(number(&message), LEN));
        process::tell(number(&message));
    }
}

fn subscribe(arguments: &[String]) {
    let context = Context::new();
    let sub = context.socket::<Sub>().unwrap();
    sub.subscribe("").unwrap();
    sub.connect(&arguments[0]).unwrap();
    process::tell("started");
    while sub.recv().unwrap() != "end" {}
}

fn echo(arguments: &[String]) {
    let context = Context::new();
    let dealer = context.socket_builder::<Dealer>().routing_id("echo").build().unwrap();
    dealer.connect(&arguments[0]).unwrap();
    dealer.send("started").unwrap();
    loop {
        let message = dealer.recv().unwrap();
        if message == "end" {
            return;
        }
        dealer.send(message).unwrap();
    }
}

#[test]
fn a_stopped_worker_keeps_its_work_and_the_others_go_on() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let push = context.socket_builder::<Push>().send_hwm(10).build().unwrap();
        let endpoint = push.bind(&transport.endpoint()).unwrap();
        let stopped = Role::start("worker", &[&endpoint]);
        let busy = Role::start("worker", &[&endpoint]);
        until("both are there", || push.stats().peers == 2);
        stopped.stop();
        let mut sent = 0;
        let mut done = Vec::new();
        // The stopped one is soon full; the other then gets everything.
        while done.len() < 2000 {
            if push.send_timeout(body(sent, LEN), Duration::from_secs(5)).is_ok() {
                sent += 1;
            }
            done.extend(std::iter::from_fn(|| busy.heard_already()).filter_map(|line| line.parse::<u64>().ok()));
        }
        let alone = done.len() as u64;
        assert!(alone * 2 > sent, "{transport}: {alone} of {sent} were done by the one that works");
        stopped.go_on();
        let mut ends = 0;
        while ends < 2 {
            push.send("end").unwrap();
            ends += 1;
        }
        let numbers = |role: &Role| {
            std::iter::from_fn(|| role.heard_already()).filter_map(|line| line.parse::<u64>().ok()).collect::<Vec<_>>()
        };
        let mut late = Vec::new();
        until("everything is done", || {
            done.extend(numbers(&busy));
            late.extend(numbers(&stopped));
            (done.len() + late.len()) as u64 == sent
        });
        for order in [&done, &late] {
            assert!(order.is_sorted(), "{transport}: each has its messages in order");
        }
        done.extend(late);
        done.sort_unstable();
        assert!(done.iter().copied().eq(0..sent), "{transport}: each message was done exactly once");
    }
}

#[test]
fn a_stopped_subscriber_misses_messages_and_the_others_none() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let publisher = context.socket_builder::<Pub>().send_hwm(100).build().unwrap();
        let endpoint = publisher.bind(&transport.endpoint()).unwrap();
        let stopped = Role::start("subscriber", &[&endpoint]);
        until("it is there", || publisher.stats().subscriptions == 1);
        let subscriber = context.socket_builder::<Sub>().recv_hwm(0).build().unwrap();
        // Every message starts with eight bytes of number, of which the first is zero.
        subscriber.subscribe([0]).unwrap();
        subscriber.connect(&endpoint).unwrap();
        until("both are there", || publisher.stats().subscriptions == 2);
        stopped.stop();
        let mut index = 0;
        while publisher.stats().totals.dropped_at_hwm < 100 {
            publisher.send(body(index, LEN)).unwrap();
            assert_eq!(number(&recv(&subscriber)), index, "{transport}");
            index += 1;
            assert!(index < 100_000, "{transport}: nothing is dropped");
        }
        let dropped: Vec<u64> = publisher.peers().iter().map(|peer| peer.counters.dropped_at_hwm).collect();
        assert_eq!(dropped.iter().filter(|&&dropped| dropped > 0).count(), 1, "{transport}: {dropped:?}");
        stopped.go_on();
        // What was dropped is gone, but it gets messages again.
        until("it has caught up", || publisher.peers().iter().all(|peer| peer.send_queue_len == 0));
        publisher.send("end").unwrap();
        stopped.finish();
    }
}

#[test]
fn a_stopped_peer_is_given_up_by_heartbeats_alone() {
    /// Far longer than one that runs is kept from answering by whatever else runs.
    const TIMEOUT: Duration = Duration::from_secs(2);
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let router = context
            .socket_builder::<Router>()
            .router_mandatory(true)
            .heartbeat_interval(Some(Duration::from_millis(100)))
            .heartbeat_timeout(Some(TIMEOUT))
            .build()
            .unwrap();
        let endpoint = router.bind(&transport.endpoint()).unwrap();
        let monitor = router.monitor();
        let peer = Role::start("echo", &[&endpoint]);
        assert_eq!(recv(&router)[1], *b"started");
        // It is silent for longer than the time-out, and alive: the system answers nothing for it, it does.
        thread::sleep(TIMEOUT * 3 / 2);
        router.send(["echo", "alive"]).unwrap();
        assert_eq!(recv(&router)[1], *b"alive", "{transport}");
        peer.stop();
        let reason = await_event(&monitor, "the loss", |event| match event {
            SocketEventKind::Disconnected { reason } => Some(reason.clone()),
            _ => None,
        });
        assert!(
            matches!(reason, DisconnectReason::Protocol(ProtocolError::HeartbeatTimedOut)),
            "{transport}: {reason}"
        );
        assert!(router.try_send(["echo", "nobody there"]).is_err());
        // It notices when it goes on, and comes back.
        peer.go_on();
        until("it is back", || router.try_send(["echo", "end"]).is_ok());
        peer.finish();
    }
}
