//! High-water marks: exact where nothing drains, bounded where the transport does, and each peer for itself.

mod support;

use std::{thread, time::Duration};

use nought::{Any, CanSend, Context, Dealer, Message, Pair, Pub, Pull, Push, SendErrorKind, Socket, SocketType, Sub};
use support::{Transport, connect, number, proc, raw, raw::RawPeer, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Sends until there is no room, at most `max` messages; says how many it were.
fn fill<K: CanSend>(socket: &Socket<K>, max: u64) -> u64 {
    for sent in 0..max {
        if let Err(error) = socket.try_send(&sent.to_be_bytes()) {
            assert_eq!(error.kind(), SendErrorKind::WouldBlock);
            assert_eq!(error.into_message(), sent.to_be_bytes());
            return sent;
        }
    }
    max
}

fn any(context: &Context, socket_type: SocketType, hwm: u32) -> Socket<Any> {
    context.any_socket_builder(socket_type).send_hwm(hwm).recv_hwm(hwm).build().unwrap()
}

#[test]
fn the_mark_is_exact_before_the_peer_is_there() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        for (sender, receiver) in [
            (SocketType::Push, SocketType::Pull),
            (SocketType::Dealer, SocketType::Dealer),
            (SocketType::Pair, SocketType::Pair),
        ] {
            let context = Context::new();
            let endpoint = transport.future_endpoint();
            let sender = any(&context, sender, 10);
            sender.connect(&endpoint).unwrap();
            assert_eq!(fill(&sender, 100), 10, "{transport} {receiver}");
            let receiver = any(&context, receiver, 10);
            receiver.bind(&endpoint).unwrap();
            for expected in 0..10 {
                assert_eq!(number(&recv(&receiver)), expected, "{transport}");
            }
            sender.send("room again").unwrap();
            assert_eq!(recv(&receiver), "room again", "{transport}");
        }
    }
}

#[test]
fn zero_is_no_mark() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let push = context.socket_builder::<Push>().send_hwm(0).linger(Some(Duration::ZERO)).build().unwrap();
        push.connect(&transport.future_endpoint()).unwrap();
        assert_eq!(fill(&push, 20_000), 20_000, "{transport}");
    }
}

#[test]
fn within_the_process_both_marks_add_up() {
    let _bounded = watchdog(LIMIT);
    for (send_hwm, recv_hwm, expected) in [(3, 4, 7), (1, 1, 2), (0, 4, 20_000), (3, 0, 20_000)] {
        let context = Context::new();
        let push = context.socket_builder::<Push>().send_hwm(send_hwm).build().unwrap();
        let pull = context.socket_builder::<Pull>().recv_hwm(recv_hwm).build().unwrap();
        connect(&pull, &push, Transport::Inproc);
        assert_eq!(fill(&push, 20_000), expected, "{send_hwm} and {recv_hwm}");
        recv(&pull);
        assert_eq!(fill(&push, 1), 1, "a message that is received makes room for one");
    }
}

#[test]
fn within_the_process_places_become_free_by_halves_where_that_is_asked_for() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(3).build().unwrap();
    let pull = context.socket_builder::<Pull>().recv_hwm(3).frees_by_halves(true).build().unwrap();
    connect(&pull, &push, Transport::Inproc);
    assert_eq!(fill(&push, 100), 6);
    for expected in [0, 0, 3] {
        recv(&pull);
        assert_eq!(fill(&push, 100), expected);
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| push.send("waits for the half").unwrap());
        (0..3).for_each(|_| drop(recv(&pull)));
        waiting.join().unwrap();
    });
}

#[test]
fn a_peer_that_does_not_read_blocks_the_sender_until_it_reads() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(5).build().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PULL");
    let body = vec![7; 64 * 1024];
    let mut sent = 0;
    while push.send_timeout(&body[..], Duration::from_millis(200)).is_ok() {
        sent += 1;
        assert!(sent < 10_000, "nothing stops the sender");
    }
    let stats = push.stats();
    assert_eq!(stats.totals.messages_out, sent);
    assert!(stats.totals.send_hwm_hits > 0);
    // What is being written, and at most the mark behind it.
    assert!(push.peers()[0].send_queue_len <= 5 + 4 * 64 / 64 + 1, "{}", push.peers()[0].send_queue_len);

    thread::scope(|scope| {
        let blocked = scope.spawn(|| push.send(&body[..]));
        for _ in 0..=sent {
            let (is_command, received) = peer.recv_frame();
            assert!(!is_command);
            assert_eq!(received.len(), body.len());
        }
        blocked.join().unwrap().unwrap();
    });
}

#[test]
fn a_sender_that_keeps_pace_goes_on_to_its_mark() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(50).linger(Some(Duration::ZERO)).build().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let peer = RawPeer::connect(&endpoint).shake_hands("PULL");
    let body = vec![7; 64 * 1024];
    while push.send_timeout(&body[..], Duration::from_millis(200)).is_ok() {}
    let queued = push.peers()[0].send_queue_len;
    assert!((50..=50 + 4 + 1).contains(&queued), "{queued} wait");
    drop(peer);
}

#[test]
fn the_mark_in_bytes_holds_too() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context
        .socket_builder::<Push>()
        .send_hwm(0)
        .send_hwm_bytes(10_000)
        .linger(Some(Duration::ZERO))
        .build()
        .unwrap();
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    let body = [0; 998];
    let sent = (0..100).take_while(|_| push.try_send(&body).is_ok()).count();
    // Nine bytes of header for bodies of more than 255: the tenth crosses the mark, and is the last.
    assert_eq!(sent, 10);
}

#[test]
fn the_receive_mark_stops_the_reading_and_loses_nothing() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_hwm(10).build().unwrap();
        let push = context.socket_builder::<Push>().send_hwm(10).build().unwrap();
        connect(&pull, &push, transport);
        let mut sent = 0_u64;
        let mut body = vec![0; 1024];
        loop {
            body[..8].copy_from_slice(&sent.to_be_bytes());
            if push.send_timeout(&body[..], Duration::from_millis(200)).is_err() {
                break;
            }
            sent += 1;
        }
        let queued = pull.peers()[0].recv_queue_len;
        // One read under so small a mark brings 8 KiB.
        assert!(queued < 10 + 8, "{transport}: {queued} wait");
        assert!(pull.stats().totals.recv_hwm_hits > 0);
        for expected in 0..sent {
            assert_eq!(number(&recv(&pull)), expected);
        }
        assert!(pull.try_recv().is_err());
    }
}

#[test]
fn a_peer_without_room_is_passed_over() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(2).build().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let idle = RawPeer::connect(&endpoint).shake_hands("PULL");
    let mut busy = RawPeer::connect(&endpoint).shake_hands("PULL");
    until("both are there", || push.stats().peers == 2);
    let body = vec![7; 256 * 1024];
    let reader = thread::spawn(move || (0..200).map(|_| busy.recv_frame().1.len()).sum::<usize>());
    let mut sent = 0;
    while !reader.is_finished() {
        // The busy one goes on taking messages long after the idle one is full.
        sent += u32::from(push.send_timeout(&body[..], Duration::from_millis(100)).is_ok());
    }
    assert_eq!(reader.join().unwrap(), 200 * body.len());
    assert!(sent >= 200);
    drop(idle);
}

#[test]
fn a_slow_subscriber_misses_messages_and_holds_nobody_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let publisher = context.socket_builder::<Pub>().send_hwm(10).build().unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let mut slow = RawPeer::connect(&endpoint).shake_hands("SUB");
    slow.send(&raw::command("SUBSCRIBE", &[7]));
    let subscriber = context.socket_builder::<Sub>().recv_hwm(0).build().unwrap();
    subscriber.subscribe("").unwrap();
    subscriber.connect(&endpoint).unwrap();
    until("both have subscribed", || publisher.stats().subscriptions == 2);
    let body = vec![7; 64 * 1024];
    let mut received = 0;
    let mut sent = 0;
    while dropped(&publisher).is_none_or(|most| most <= 100) {
        assert!(sent < 2000, "nothing was dropped for the slow one");
        publisher.send(&body[..]).unwrap();
        sent += 1;
        // At the reader's pace: it is the other one that is slow, and holds up neither it nor the publisher.
        while received < sent {
            assert_eq!(recv(&subscriber).body_len(), body.len());
            received += 1;
        }
    }
    let one_alone = publisher.peers().iter().filter(|peer| peer.counters.dropped_at_hwm > 0).count() == 1;
    assert!(one_alone, "the one that reads missed something");
    publisher.send("the last").unwrap();
    assert_eq!(recv(&subscriber), "the last");
}

/// The most that was dropped for one peer.
fn dropped(publisher: &Socket<Pub>) -> Option<u64> {
    publisher.peers().iter().map(|peer| peer.counters.dropped_at_hwm).max()
}

#[test]
fn a_blocked_sender_costs_no_processor_time() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(1).linger(Some(Duration::ZERO)).build().unwrap();
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    assert_eq!(fill(&push, 10), 1);
    let before = proc::thread_cpu_time();
    push.send_timeout("x", Duration::from_millis(500)).unwrap_err();
    let used = proc::thread_cpu_time() - before;
    assert!(used < Duration::from_millis(100), "{used:?} of processor time in half a second of waiting");
}

#[test]
fn a_router_that_waits_for_room_costs_no_processor_time() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<nought::Router>().router_mandatory(true).send_hwm(1).build().unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("DEALER");
    peer.send(&raw::frame(false, b"here I am"));
    let routing_id = recv(&router)[0].clone();
    let body = nought::Frame::from(vec![0; 1 << 20]);
    let message = || Message::from([routing_id.clone(), body.clone()]);
    let mut sent = 0;
    while router.send_timeout(message(), Duration::from_millis(100)).is_ok() {
        sent += 1;
    }
    let before = proc::thread_cpu_time();
    let error = router.send_timeout(message(), Duration::from_millis(500)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::TimedOut);
    let used = proc::thread_cpu_time() - before;
    assert!(used < Duration::from_millis(100), "{used:?} of processor time in half a second of waiting");
    // And it is woken when there is room.
    thread::scope(|scope| {
        let blocked = scope.spawn(|| router.send(message()));
        (0..=sent).for_each(|_| drop(peer.recv_frame()));
        blocked.join().unwrap().unwrap();
    });
}

#[test]
fn a_dealer_waits_for_its_first_peer() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let dealer = context.socket::<Dealer>().unwrap();
        let endpoint = dealer.bind(&transport.endpoint()).unwrap();
        assert_eq!(fill(&dealer, 1), 0, "{transport}: nobody is there");
        thread::scope(|scope| {
            let blocked = scope.spawn(|| dealer.send("hello"));
            let peer = context.socket::<Dealer>().unwrap();
            peer.connect(&endpoint).unwrap();
            assert_eq!(recv(&peer), "hello");
            blocked.join().unwrap().unwrap();
        });
    }
}

/// Of messages that follow each other closely no more than the mark says, though all have gone; then the next at once.
#[test]
fn a_burst_meets_the_mark_where_that_is_asked_for() {
    let _bounded = watchdog(LIMIT);
    for meets in [true, false] {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_hwm(0).build().unwrap();
        let endpoint = pull.bind(&Transport::Tcp.endpoint()).unwrap();
        let push = context.socket_builder::<Push>().send_hwm(2).bursts_meet_hwm(meets).build().unwrap();
        push.connect(&endpoint).unwrap();
        until("both are connected", || push.stats().peers == 1);
        // A burst is over after a millisecond: of many one is quick enough.
        let sent = fill(&push, 1000);
        assert_eq!(sent < 1000, meets, "{sent}");
        push.try_send("next").unwrap();
        for _ in 0..100 {
            // Whoever asks first is never refused.
            assert!(push.readiness().writable);
            push.try_send("more").unwrap();
        }
        (0..sent).for_each(|expected| assert_eq!(number(&recv(&pull)), expected));
        assert_eq!(recv(&pull), "next");
        // The context waits until all has gone out.
        (0..100).for_each(|_| assert_eq!(recv(&pull), "more"));
    }
}

/// Not even if that one had lasted its millisecond: the next has a whole one before it.
#[test]
fn a_burst_after_a_message_that_was_received_meets_the_mark() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let builder = || context.socket_builder::<Pair>().send_hwm(8).recv_hwm(0);
    let (peer, pair) = (builder().build().unwrap(), builder().bursts_meet_hwm(true).build().unwrap());
    connect(&peer, &pair, Transport::Tcp);
    let is_met = || {
        pair.try_send("long ago").unwrap();
        thread::sleep(Duration::from_millis(2));
        peer.send("in between").unwrap();
        recv(&pair);
        let sent = fill(&pair, 8 + 1);
        (0..=sent).for_each(|_| _ = recv(&peer));
        sent == 8
    };
    // It is over after a millisecond: of many one is quick enough.
    assert!((0..1000).any(|_| is_met()));
}

/// Also if it is the first messages that took long.
#[test]
fn a_burst_that_began_slowly_meets_no_mark() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = (
        context.socket_builder::<Pull>().recv_hwm(0).build().unwrap(),
        context.socket_builder::<Push>().send_hwm(32).bursts_meet_hwm(true).build().unwrap(),
    );
    connect(&pull, &push, Transport::Tcp);
    for _ in 0..10 {
        // The second message begins a burst after the clock was looked at.
        push.try_send("before").unwrap();
        recv(&pull);
        assert!(push.readiness().writable);
        push.try_send("slow").unwrap();
        thread::sleep(Duration::from_millis(5));
        assert_eq!(fill(&push, 32), 32);
        (0..33).for_each(|_| _ = recv(&pull));
    }
}
