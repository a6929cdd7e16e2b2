//! Subscriptions reach the publisher whatever their number, whenever they were made, and again after each reconnect.

mod support;

use std::{thread, time::Duration};

use nought::{Context, Pub, Socket, Sub, XPub, XSub};
use support::{Transport, connect, connected, raw, raw::RawPeer, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(120);

/// More bytes than any buffer on the way holds, and than one turn of reading takes.
const MANY: usize = 50_000;

fn topic(index: usize) -> String {
    format!("a rather long topic, so that there is much to send: {index}")
}

fn subscribe_to_many(subscriber: &Socket<Sub>) {
    for index in 0..MANY {
        subscriber.subscribe(topic(index)).unwrap();
    }
}

#[test]
fn many_at_once_over_a_connection() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (publisher, subscriber) = connected::<Pub, Sub>(&context, transport);
        subscribe_to_many(&subscriber);
        until("all subscriptions have come", || publisher.stats().subscriptions == MANY);
        publisher.send(topic(MANY - 1)).unwrap();
        assert_eq!(recv(&subscriber), topic(MANY - 1).as_str(), "{transport}");
        for index in 0..MANY {
            subscriber.unsubscribe(topic(index)).unwrap();
        }
        until("all subscriptions have ended", || publisher.stats().subscriptions == 0);
    }
}

#[test]
fn many_before_the_connection() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let publisher = context.socket::<Pub>().unwrap();
        let endpoint = publisher.bind(&transport.endpoint()).unwrap();
        let subscriber = context.socket::<Sub>().unwrap();
        subscribe_to_many(&subscriber);
        subscriber.connect(&endpoint).unwrap();
        until("all subscriptions have come", || publisher.stats().subscriptions == MANY);
        assert_eq!(publisher.stats().peers, 1, "{transport}");
    }
}

#[test]
fn many_again_after_a_reconnect() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let subscriber =
            context.socket_builder::<Sub>().reconnect_interval(Some(Duration::from_millis(10))).build().unwrap();
        let endpoint = transport.future_endpoint();
        subscriber.connect(&endpoint).unwrap();
        subscribe_to_many(&subscriber);
        for round in 0..3 {
            let publisher = context.socket::<Pub>().unwrap();
            publisher.bind(&endpoint).unwrap();
            until("all subscriptions have come", || publisher.stats().subscriptions == MANY);
            publisher.send([topic(7), round.to_string()]).unwrap();
            let message = recv(&subscriber);
            assert_eq!(message[1], round.to_string().as_bytes(), "{transport}");
        }
    }
}

#[test]
fn a_subscription_within_the_process_takes_effect_at_once() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (publisher, subscriber) = connected::<Pub, Sub>(&context, Transport::Inproc);
    for round in 0..100 {
        subscriber.subscribe("news").unwrap();
        publisher.send("news of today").unwrap();
        assert_eq!(recv(&subscriber), "news of today", "round {round}");
        subscriber.unsubscribe("news").unwrap();
        publisher.send("news of yesterday").unwrap();
        assert!(subscriber.try_recv().is_err(), "round {round}");
        assert_eq!(publisher.stats().subscriptions, 0, "round {round}");
    }
}

#[test]
fn a_publisher_that_only_listens_to_its_application_sees_all_subscriptions() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (publisher, subscriber) = connected::<XPub, XSub>(&context, transport);
        for index in 0..1000 {
            subscriber.subscribe(topic(index)).unwrap();
        }
        for index in 0..1000 {
            let message = recv(&publisher);
            assert_eq!(message.as_slice(), [b"\x01", topic(index).as_bytes()].concat(), "{transport}");
        }
    }
}

#[test]
fn prefixes_around_the_length_of_a_short_frame() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (publisher, subscriber) = connected::<XPub, Sub>(&context, transport);
        for len in [0, 1, 244, 245, 246, 254, 255, 256, 257, 8192, 70_000] {
            let prefix = vec![b'x'; len];
            subscriber.subscribe(&prefix).unwrap();
            assert_eq!(recv(&publisher).as_slice(), [b"\x01", &prefix[..]].concat(), "{transport}, {len} bytes");
            publisher.send(&prefix).unwrap();
            assert_eq!(recv(&subscriber), prefix, "{transport}, {len} bytes");
            subscriber.unsubscribe(&prefix).unwrap();
            assert_eq!(recv(&publisher).as_slice(), [b"\0", &prefix[..]].concat(), "{transport}, {len} bytes");
        }
    }
}

#[test]
fn subscriptions_of_a_peer_that_is_gone_are_gone() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let publisher = context.socket::<XPub>().unwrap();
        for _ in 0..3 {
            let subscriber = context.socket::<Sub>().unwrap();
            connect(&publisher, &subscriber, transport);
            subscriber.subscribe("a").unwrap();
            subscriber.subscribe("b").unwrap();
            assert_eq!([recv(&publisher), recv(&publisher)], ["\x01a", "\x01b"]);
            subscriber.close();
            let mut gone = [recv(&publisher), recv(&publisher)];
            gone.sort_by_key(|message| message.as_slice().to_vec());
            assert_eq!(gone, ["\0a", "\0b"], "{transport}");
            assert_eq!(publisher.stats().subscriptions, 0);
        }
    }
}

#[test]
fn a_peer_that_floods_with_pings_and_reads_nothing_is_cut_off() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let publisher = context.socket::<Pub>().unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let mut flooding = RawPeer::connect(&endpoint).shake_hands("SUB");
    let pings = raw::command("PING", b"\0\x000123456789abcdef").repeat(10_000);
    let writer = thread::spawn(move || {
        use std::io::Write;
        // The answers fill all buffers on their way, then the limit; then the connection ends.
        while flooding.0.write_all(&pings).is_ok() {}
    });
    writer.join().unwrap();
    until("it is gone", || publisher.stats().peers == 0);
}
