//! What is sent is received, dropped or lost, and every one of them is counted.

mod support;

use std::{io::Write, thread, time::Duration};

use nought::{Context, Dealer, Pub, Pull, Push, Rep, Req, Router, Sub};
use support::{
    Transport, connect, connected,
    raw::{RawPeer, frame, handshake, listen},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn messages_and_bytes() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        for index in 0..1000_usize {
            push.send(vec![1; index]).unwrap();
            recv(&pull);
        }
        if transport != Transport::Inproc {
            // Whoever writes counts the last of them when the peer may have it already.
            until("all written bytes are read", || push.stats().totals.bytes_out == pull.stats().totals.bytes_in);
        }
        let (sent, received) = (push.stats().totals, pull.stats().totals);
        assert_eq!((sent.messages_out, received.messages_in), (1000, 1000), "{transport}");
        assert_eq!((sent.messages_in, received.messages_out), (0, 0), "{transport}");
        let bodies: u64 = (0..1000).sum();
        assert!(sent.bytes_out >= bodies, "{transport}: {}", sent.bytes_out);
        if transport != Transport::Inproc {
            // Short frames have two bytes of header, the others nine; the handshake is 64 bytes and READY.
            assert_eq!(sent.bytes_out, bodies + 256 * 2 + 744 * 9 + 64 + 28, "{transport}");
        }
        assert_eq!(push.peers()[0].counters, sent, "the only peer has all of it");
        assert_eq!((push.stats().reconnects, sent.established), (0, 1));
    }
}

#[test]
fn drops_of_a_publisher() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let publisher = context.socket_builder::<Pub>().send_hwm(50).build().unwrap();
        let subscriber = context.socket_builder::<Sub>().recv_hwm(50).build().unwrap();
        subscriber.subscribe("").unwrap();
        connect(&publisher, &subscriber, transport);
        until("it has subscribed", || publisher.stats().subscriptions == 1);
        const COUNT: u64 = 20_000;
        for _ in 0..COUNT {
            publisher.send(&[1; 1000]).unwrap();
        }
        let totals = publisher.stats().totals;
        assert_eq!(totals.messages_out + totals.dropped_at_hwm, COUNT, "{transport}");
        assert!(totals.dropped_at_hwm > 0, "{transport}");
        for _ in 0..totals.messages_out {
            recv(&subscriber);
        }
        assert!(subscriber.try_recv().is_err(), "{transport}: more came than was sent");
        assert_eq!(subscriber.stats().totals.messages_in, totals.messages_out);
    }
}

#[test]
fn drops_of_a_router() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().send_hwm(5).build().unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    for _ in 0..7 {
        router.send(["nobody", "x"]).unwrap();
    }
    assert_eq!(router.stats().totals.unroutable, 7);
    let mut peer = RawPeer::connect(&endpoint).shake_hands("DEALER");
    peer.send(&frame(false, b"x"));
    let routing_id = recv(&router)[0].clone();
    let body = nought::Frame::from(vec![0; 1 << 20]);
    for _ in 0..100 {
        router.send([routing_id.clone(), body.clone()]).unwrap();
    }
    let totals = router.stats().totals;
    assert_eq!(totals.messages_out + totals.dropped_at_hwm, 100);
    assert!(totals.dropped_at_hwm > 0);
}

#[test]
fn messages_that_could_not_be_sent_any_more() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().send_hwm(100).build().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("PULL");
    until("it is there", || push.stats().peers == 1);
    let mut sent = 0;
    while push.send_timeout(&[1; 100_000], Duration::from_millis(100)).is_ok() {
        sent += 1;
    }
    let waiting = push.peers()[0].send_queue_len as u64;
    assert!(waiting > 0);
    peer.recv(1);
    drop(peer);
    until("it is gone", || push.stats().peers == 0);
    let totals = push.stats().totals;
    assert_eq!(totals.messages_out, sent);
    assert!(totals.lost > 0 && totals.lost <= waiting, "{} of {waiting}", totals.lost);
}

#[test]
fn bytes_that_come_after_the_farewell() {
    const COUNT: usize = 2000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context.socket_builder::<Dealer>().recv_hwm(10).build().unwrap();
    let (listener, endpoint) = listen();
    dealer.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("DEALER");
    dealer.send("so that there is a farewell").unwrap();
    peer.recv_frame();
    let message = frame(false, &[5; 1000]);
    thread::scope(|scope| {
        let mut input = peer.0.try_clone().unwrap();
        let messages = message.repeat(COUNT);
        let writer = scope.spawn(move || input.write_all(&messages).unwrap());
        until("the dealer has input that it does not read", || dealer.stats().totals.recv_hwm_hits > 0);
        dealer.disconnect(&endpoint).unwrap();
        peer.await_close();
        writer.join().unwrap();
    });
    drop(peer);
    until("the peer's end is seen", || dealer.peers().iter().all(|peer| !peer.is_ready));
    while dealer.try_recv().is_ok() {}
    let totals = dealer.stats().totals;
    assert_eq!(totals.bytes_in as usize, handshake("DEALER").len() + COUNT * message.len());
    let looked_at = (COUNT * message.len()) as u64 - totals.discarded_bytes;
    assert_eq!(looked_at / message.len() as u64, totals.messages_in + totals.dropped_on_arrival);
    assert!(totals.discarded_bytes > 0);
}

#[test]
fn replies_that_nobody_waits_for() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket::<Router>().unwrap();
    let request = context.socket_builder::<Req>().req_relaxed(true).req_correlate(true).build().unwrap();
    connect(&router, &request, Transport::Tcp);
    request.send("one").unwrap();
    let first = recv(&router);
    request.send("two").unwrap();
    let second = recv(&router);
    router.send(first).unwrap();
    router.send(second).unwrap();
    assert_eq!(recv(&request), "two");
    assert_eq!(request.stats().totals.dropped_on_arrival, 1);
}

#[test]
fn requests_without_an_envelope() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (reply, dealer) = connected::<Rep, Dealer>(&context, Transport::Tcp);
    dealer.send("no delimiter").unwrap();
    dealer.send(["", "question"]).unwrap();
    assert_eq!(recv(&reply), "question");
    assert_eq!(reply.stats().totals.dropped_on_arrival, 1);
}

#[test]
fn counts_of_peers_that_are_gone_stay_in_the_sum() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        for round in 1..=5 {
            let push = context.socket::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            for _ in 0..10 {
                push.send("x").unwrap();
                recv(&pull);
            }
            drop(push);
            until("it is gone", || {
                assert!(pull.try_recv().is_err());
                pull.peers().is_empty()
            });
            let stats = pull.stats();
            assert_eq!((stats.totals.messages_in, stats.totals.established, stats.peers), (round * 10, round, 0));
        }
    }
}

#[test]
fn counts_of_many_threads() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5000).for_each(|_| push.send("x").unwrap()));
                scope.spawn(|| (0..5000).for_each(|_| drop(recv(&pull))));
            }
        });
        assert_eq!(push.stats().totals.messages_out, 20_000, "{transport}");
        assert_eq!(pull.stats().totals.messages_in, 20_000, "{transport}");
        // What is received may still count as being written with whoever writes.
        until("nothing is left to send", || push.peers()[0].send_queue_len == 0);
        assert_eq!(pull.peers()[0].recv_queue_len, 0, "{transport}");
    }
}
