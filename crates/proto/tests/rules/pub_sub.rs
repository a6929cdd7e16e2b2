//! PUB, SUB and XSUB: what is subscribed to arrives, and subscriptions travel as deltas (RFC 29, RFC 37 "SUBSCRIBE").

use std::sync::Arc;

use bytes::Bytes;
use nought_proto::{
    Frame, Message, ProtocolError, SocketType,
    error::Misbehaviour,
    limits::{SUBSCRIPTION_BACKLOG_LEN_MAX, SUBSCRIPTION_LEN_MAX},
    pattern::{SendRefusal, SubscribeRefusal},
};

use crate::harness::{Link, Net, Node, bodies, wire};

fn publisher_and(subscriptions: &[&str]) -> (Net, Node, Node) {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::Pub), net.socket(SocketType::Sub));
    for prefix in subscriptions {
        net.at(subscriber).subscribe(prefix.as_bytes()).unwrap();
    }
    net.connect(subscriber, publisher);
    (net, publisher, subscriber)
}

/// A machine of this type and a publisher that the test plays.
fn to_publisher(socket_type: SocketType, hello: &[u8]) -> (Net, Node, Link) {
    let mut net = Net::new();
    let node = net.socket(socket_type);
    let link = net.connect_test(node);
    net.feed(link, hello);
    net.take(link);
    (net, node, link)
}

#[test]
fn the_longest_prefix_is_taken_by_the_publisher_and_a_longer_one_not_by_the_subscriber() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::Pub), net.socket(SocketType::Sub));
    let prefix = vec![b'x'; SUBSCRIPTION_LEN_MAX + 1];
    assert_eq!(net.at(subscriber).subscribe(&prefix), Err(SubscribeRefusal::TooLong));
    net.at(subscriber).subscribe(&prefix[1..]).unwrap();
    net.connect(subscriber, publisher);
    net.expect_no_failure(publisher);
    net.send(publisher, &prefix[..]);
    assert_eq!(net.recv(subscriber)[0].len(), prefix.len());
    let xsub = net.socket(SocketType::XSub);
    assert_eq!(net.try_send(xsub, [&[1][..], &prefix].concat()), Err(SendRefusal::Malformed));
}

#[test]
fn only_what_starts_with_a_subscription_arrives() {
    let (mut net, publisher, subscriber) = publisher_and(&["a", "bc"]);
    for topic in ["a", "abc", "b", "bc", "bcd", "c", ""] {
        net.send(publisher, topic);
    }
    net.send(publisher, ["a", "first frame only"]);
    net.send(publisher, ["x", "a"]);
    let received = net.recv_all(subscriber);
    assert_eq!(bodies(&received[..4]), ["a", "abc", "bc", "bcd"]);
    assert_eq!(received[4..], [Message::from(["a", "first frame only"])]);
}

#[test]
fn nothing_arrives_without_a_subscription_and_everything_with_the_empty_one() {
    let (mut net, publisher, subscriber) = publisher_and(&[]);
    net.send(publisher, "x");
    net.expect_none(subscriber);
    net.at(subscriber).subscribe(b"").unwrap();
    net.pump();
    net.send(publisher, "x");
    net.send(publisher, "");
    assert_eq!(bodies(&net.recv_all(subscriber)), ["x", ""]);
}

#[test]
fn overlapping_subscriptions_bring_a_message_once() {
    let (mut net, publisher, subscriber) = publisher_and(&["", "a", "ab", "ab"]);
    net.send(publisher, "abc");
    assert_eq!(bodies(&net.recv_all(subscriber)), ["abc"]);
}

#[test]
fn subscriptions_are_counted_and_only_the_first_and_the_last_travel() {
    for socket_type in [SocketType::Sub, SocketType::XSub] {
        let (mut net, node, link) = to_publisher(socket_type, &wire::hello("PUB"));
        net.at(node).subscribe(b"a").unwrap();
        assert_eq!(net.take(link), wire::subscribe("a"));
        net.at(node).subscribe(b"a").unwrap();
        net.at(node).unsubscribe(b"a").unwrap();
        assert_eq!(net.take(link), b"");
        net.at(node).unsubscribe(b"a").unwrap();
        assert_eq!(net.take(link), wire::cancel("a"));
        assert_eq!(net.at(node).unsubscribe(b"a"), Err(SubscribeRefusal::Unknown));
        assert_eq!(net.take(link), b"");
        assert_eq!(net.at(node).subscriptions(), 0);
    }
}

#[test]
fn verbose_upstream_each_subscription_travels_and_the_last_end() {
    let mut net = Net::new();
    let xsub = net.socket_with(SocketType::XSub, |options| options.xsub_verbose = true);
    let link = net.connect_test(xsub);
    net.feed(link, wire::hello("XPUB"));
    net.take(link);
    for _ in 0..2 {
        net.send(xsub, b"\x01a");
        assert_eq!(net.take(link), wire::subscribe("a"));
    }
    for told in [b"".to_vec(), wire::cancel("a")] {
        net.send(xsub, b"\x00a");
        assert_eq!(net.take(link), told, "the publisher counts no subscriptions of one peer");
    }
}

#[test]
fn verbose_upstream_each_end_travels() {
    let mut net = Net::new();
    let xsub = net.socket_with(SocketType::XSub, |options| options.xsub_verbose_unsubscribe = true);
    let link = net.connect_test(xsub);
    net.feed(link, wire::hello("XPUB"));
    net.take(link);
    for told in [wire::subscribe("a"), b"".to_vec()] {
        net.send(xsub, b"\x01a");
        assert_eq!(net.take(link), told);
    }
    for _ in 0..2 {
        net.send(xsub, b"\x00a");
        assert_eq!(net.take(link), wire::cancel("a"));
    }
}

#[test]
fn a_new_publisher_hears_of_all_subscriptions_once_each() {
    let mut net = Net::new();
    let subscriber = net.socket(SocketType::Sub);
    for prefix in ["a", "b", "a"] {
        net.at(subscriber).subscribe(prefix.as_bytes()).unwrap();
    }
    let link = net.connect_test(subscriber);
    net.feed(link, wire::hello("PUB"));
    let heard = net.take(link);
    let (a, b) = (wire::subscribe("a"), wire::subscribe("b"));
    assert!(heard.ends_with(&[&a[..], &b].concat()) || heard.ends_with(&[&b[..], &a].concat()), "{heard:?}");
    assert_eq!(count(&heard, &a), 1);
}

#[test]
fn a_reconnect_resends_them_in_the_form_of_the_new_peer() {
    let (mut net, subscriber, link) = to_publisher(SocketType::Sub, &wire::hello("PUB"));
    net.at(subscriber).subscribe(b"a").unwrap();
    net.take(link);
    net.cut(link);
    let link = net.reconnect_test(link);
    net.feed(link, wire::hello_3_0("PUB"));
    assert!(net.take(link).ends_with(&wire::frame(0, "\x01a")));
}

#[test]
fn a_subscription_that_was_not_sent_is_not_sent_twice_after_a_reconnect() {
    for socket_type in [SocketType::Sub, SocketType::XSub] {
        for hello in [wire::hello("XPUB"), wire::hello_3_0("XPUB"), wire::hello_2_0(1, "")] {
            let (mut net, node, link) = to_publisher(socket_type, &hello);
            net.room(link, 1);
            net.at(node).subscribe(b"stays").unwrap();
            net.at(node).subscribe(b"goes").unwrap();
            net.pump();
            net.cut(link);
            net.at(node).unsubscribe(b"goes").unwrap();
            let link = net.reconnect_test(link);
            net.feed(link, wire::hello("XPUB"));
            let heard = net.take(link);
            assert_eq!((count(&heard, b"stays"), count(&heard, b"goes")), (1, 0), "{socket_type} {heard:?}");
            assert_eq!(net.at(node).connections().totals().lost, 0, "a subscription is no message");
        }
    }
}

#[test]
fn among_messages_that_are_sent_again_an_old_peers_subscriptions_are_not() {
    for hello in [wire::hello_3_0("XPUB"), wire::hello_2_0(1, ""), b"\x01\0".to_vec()] {
        let (mut net, xsub, link) = to_publisher(SocketType::XSub, &hello);
        net.room(link, 1);
        for message in ["\x01stays", "first plain", "\x01goes", "second plain", ""] {
            net.send(xsub, message);
        }
        net.send(xsub, ["\x01several", "frames"]);
        net.cut(link);
        assert_eq!(net.at(xsub).connections().totals().lost, 0);
        net.at(xsub).unsubscribe(b"goes").unwrap();
        let link = net.reconnect_test(link);
        net.feed(link, wire::hello("XPUB"));
        let heard = net.take(link);
        let messages = [
            wire::message(&["first plain"]),
            wire::message(&["second plain"]),
            wire::message(&[""]),
            wire::message(&["\x01several", "frames"]),
            wire::subscribe("stays"),
        ];
        assert!(heard.ends_with(&messages.concat()), "{heard:?}");
    }
}

#[test]
fn many_subscriptions_reach_a_publisher_at_once() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::XPub), net.socket(SocketType::Sub));
    for number in 0..50_000 {
        net.at(subscriber).subscribe(format!("subscription number {number}").as_bytes()).unwrap();
    }
    net.connect(subscriber, publisher);
    net.expect_no_failure(subscriber);
    assert_eq!(net.at(publisher).subscriptions(), 50_000);
}

#[test]
fn what_was_unsubscribed_from_meanwhile_is_not_received() {
    let (mut net, publisher, subscriber) = publisher_and(&["a"]);
    net.send(publisher, "a1");
    net.at(subscriber).unsubscribe(b"a").unwrap();
    net.expect_none(subscriber);
    assert_eq!(net.at(subscriber).connections().totals().dropped_on_arrival, 1);
    assert!(!net.at(subscriber).can_recv());
}

#[test]
fn what_was_looked_at_and_unsubscribed_from_meanwhile_is_not_received() {
    let (mut net, publisher, subscriber) = publisher_and(&["a", "b"]);
    net.send(publisher, "a1");
    net.send(publisher, "b1");
    assert!(net.at(subscriber).can_recv());
    net.at(subscriber).unsubscribe(b"a").unwrap();
    assert_eq!(bodies(&net.recv_all(subscriber)), ["b1"]);
    assert_eq!(net.at(subscriber).connections().totals().dropped_on_arrival, 1);
}

#[test]
fn xsub_receives_what_comes_and_does_not_filter() {
    let (mut net, xsub, link) = to_publisher(SocketType::XSub, &wire::hello("PUB"));
    net.feed(link, wire::message(&["unsubscribed"]));
    assert_eq!(net.recv(xsub), *"unsubscribed");
}

#[test]
fn xsub_sends_upstream_what_is_no_subscription() {
    let mut net = Net::new();
    let (xpub, xsub) = (net.socket(SocketType::XPub), net.socket(SocketType::XSub));
    net.connect(xsub, xpub);
    net.send(xsub, b"\x01a");
    net.send(xsub, "plain");
    net.send(xsub, ["\x01several", "frames"]);
    net.send(xsub, b"\x00a");
    net.send(xsub, b"\x00never held");
    net.send(xsub, "");
    let received = net.recv_all(xpub);
    assert_eq!(received[..2], [Message::from("\x01a"), Message::from("plain")]);
    assert_eq!(received[2..4], [Message::from(["\x01several", "frames"]), Message::from("\x00a")]);
    assert_eq!(received[4..], [Message::from("")]);
}

#[test]
fn xsub_queues_upstream_messages_for_peers_yet_to_come() {
    // RFC 29, "The XSUB Socket Type": the queue is there whether or not the connection is established.
    let mut net = Net::new();
    let (xpub, xsub) = (net.socket(SocketType::XPub), net.socket(SocketType::XSub));
    let id = net.at(xsub).open(None);
    net.try_send(xsub, "early").unwrap();
    net.try_send(xsub, b"\x01a").unwrap();
    let link = net.dial_from(xsub, id, xpub);
    net.pump();
    assert_eq!(sorted(&net.recv_all(xpub)), ["\x01a", "early"]);
    net.room(link, 0);
    net.send(xsub, "unsent");
    net.cut(link);
    net.reconnect(link, xpub);
    let again = sorted(&net.recv_all(xpub));
    assert_eq!(again.iter().filter(|body| *body == "unsent").count(), 1, "{again:?}");
}

#[test]
fn pub_takes_no_messages_and_drops_them_silently() {
    // RFC 29: PUB "SHALL silently discard any messages that subscribers send it".
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let link = net.accept_test(publisher);
    net.feed(link, [wire::hello("XSUB"), wire::message(&["upstream"]), wire::subscribe("a")].concat());
    net.expect_no_failure(publisher);
    assert_eq!(net.at(publisher).subscriptions(), 1);
    net.take(link);
    net.send(publisher, "a");
    assert_eq!(net.take(link), wire::message(&["a"]));
}

#[test]
fn both_forms_of_subscription_are_taken_from_every_version() {
    for hello in [wire::hello("SUB"), wire::hello_3_0("SUB"), wire::hello_2_0(2, "")] {
        let mut net = Net::new();
        let publisher = net.socket(SocketType::Pub);
        let link = net.accept_test(publisher);
        net.feed(link, hello);
        net.feed(link, [wire::frame(0, "\x01a"), wire::frame(0, "\x01b"), wire::frame(0, "\x00a")].concat());
        assert_eq!(net.at(publisher).subscriptions(), 1);
    }
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let link = net.accept_test(publisher);
    net.feed(link, [wire::hello_3_0("SUB"), wire::subscribe("a"), wire::frame(0, "\x01b"), wire::cancel("a")].concat());
    assert_eq!(net.at(publisher).subscriptions(), 1);
}

#[test]
fn a_subscription_of_any_length_is_framed_rightly_for_every_version() {
    // libzmq gives one of 255 bytes to a 3.0 peer a wrong length flag.
    for len in [0, 1, 244, 245, 246, 253, 254, 255, 256, 70_000] {
        let prefix = "p".repeat(len);
        for (hello, expected) in [
            (wire::hello("PUB"), wire::subscribe(&prefix)),
            (wire::hello_3_0("PUB"), wire::frame(0, format!("\x01{prefix}"))),
            (wire::hello_2_0(1, ""), wire::frame(0, format!("\x01{prefix}"))),
        ] {
            let (mut net, subscriber, link) = to_publisher(SocketType::Sub, &hello);
            net.at(subscriber).subscribe(prefix.as_bytes()).unwrap();
            assert_eq!(net.take(link), expected, "{len}");
        }
    }
}

#[test]
fn a_subscription_at_a_socket_that_does_not_publish_ends_the_connection() {
    for (socket_type, peer) in [(SocketType::Pull, "PUSH"), (SocketType::Router, "DEALER"), (SocketType::Sub, "PUB")] {
        let mut net = Net::new();
        let node = net.socket(socket_type);
        let link = net.accept_test(node);
        net.feed(link, [wire::hello(peer), wire::subscribe("a")].concat());
        assert_eq!(net.error(node), ProtocolError::Misbehaved(Misbehaviour::Subscription));
    }
}

#[test]
fn inverted_on_both_ends_everything_else_arrives() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::Pub, |options| options.invert_matching = true);
    let subscribers: Vec<_> = (0..2)
        .map(|_| {
            let subscriber = net.socket_with(SocketType::Sub, |options| options.invert_matching = true);
            net.connect(subscriber, publisher);
            subscriber
        })
        .collect();
    net.at(subscribers[0]).subscribe(b"a").unwrap();
    net.at(subscribers[0]).subscribe(b"b").unwrap();
    net.pump();
    for topic in ["a1", "c1", "b1"] {
        net.send(publisher, topic);
    }
    assert_eq!(bodies(&net.recv_all(subscribers[0])), ["c1"]);
    assert_eq!(bodies(&net.recv_all(subscribers[1])), ["a1", "c1", "b1"]);
}

#[test]
fn sub_cannot_send_and_pub_cannot_subscribe() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::Pub), net.socket(SocketType::Sub));
    assert_eq!(net.try_send(subscriber, "x"), Err(SendRefusal::NotSupported));
    assert_eq!(net.at(publisher).subscribe(b"x"), Err(SubscribeRefusal::NotSupported));
    let pull = net.socket(SocketType::Pull);
    assert_eq!(net.at(pull).subscribe(b"x"), Err(SubscribeRefusal::NotSupported));
    assert_eq!(net.at(pull).unsubscribe(b"x"), Err(SubscribeRefusal::NotSupported));
}

#[test]
fn a_lost_subscriber_takes_its_subscriptions_along() {
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let links = [net.accept_test(publisher), net.accept_test(publisher)];
    net.feed(links[0], [wire::hello("SUB"), wire::subscribe("a"), wire::subscribe("b")].concat());
    net.feed(links[1], [wire::hello("SUB"), wire::subscribe("a")].concat());
    assert_eq!(net.at(publisher).subscriptions(), 2);
    net.close_test(links[0]);
    assert_eq!(net.at(publisher).subscriptions(), 1);
    net.take(links[1]);
    net.send(publisher, "a");
    assert_eq!(net.take(links[1]), wire::message(&["a"]));
}

#[test]
fn a_large_message_to_many_is_shared_and_arrives_whole_everywhere() {
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let subscribers: Vec<_> = (0..5)
        .map(|_| {
            let subscriber = net.socket(SocketType::Sub);
            net.at(subscriber).subscribe(b"").unwrap();
            net.connect(subscriber, publisher);
            subscriber
        })
        .collect();
    let old = net.accept_test(publisher);
    net.feed(old, b"\x01\0");
    net.take(old);
    let body = "large".repeat(10_000);
    net.send(publisher, &body);
    net.send(publisher, ["topic", &body]);
    for &subscriber in &subscribers {
        assert_eq!(net.recv_all(subscriber), [Message::from(&body[..]), Message::from(["topic", &body])]);
    }
    assert_eq!(net.take(old), [wire::old_message(&[&body]), wire::old_message(&["topic", &body])].concat());
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

fn sorted(messages: &[Message]) -> Vec<String> {
    let mut bodies = bodies(messages);
    bodies.sort();
    bodies
}

#[test]
fn messages_to_a_publisher_are_dropped_and_counted_and_its_subscriptions_are_not() {
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let link = net.accept_test(publisher);
    net.feed(link, wire::hello("XSUB"));
    net.feed(link, [wire::subscribe("a"), wire::message(&["x"]), wire::message(&["x", "y"])].concat());
    assert_eq!(net.connection(publisher, link).counters().dropped_on_arrival, 2);
}

#[test]
fn a_large_body_is_not_kept_when_all_have_it() {
    struct Body {
        _is_kept: Arc<()>,
    }
    impl AsRef<[u8]> for Body {
        fn as_ref(&self) -> &[u8] {
            &[7; 20_000]
        }
    }
    let (mut net, publisher, first) = publisher_and(&[""]);
    let second = net.socket(SocketType::Sub);
    net.at(second).subscribe(b"").unwrap();
    net.connect(second, publisher);
    let is_kept = Arc::new(());
    let body = Bytes::from_owner(Body { _is_kept: Arc::clone(&is_kept) });
    net.send(publisher, Message::from(Frame::from(body)));
    for node in [first, second] {
        assert_eq!(net.recv(node)[0].len(), 20_000);
    }
    assert_eq!(Arc::strong_count(&is_kept), 1);
}

#[test]
fn subscriptions_to_a_publisher_that_does_not_read_take_bounded_room_and_end_up_right() {
    for socket_type in [SocketType::Sub, SocketType::XSub] {
        let mut net = Net::new();
        let subscriber = net.socket(socket_type);
        let publisher = net.socket(SocketType::Pub);
        net.at(subscriber).subscribe(b"first").unwrap();
        let link = net.connect(subscriber, publisher);
        net.room(link, 1);
        for number in 0..20_000 {
            let prefix = format!("{number:0100}").into_bytes();
            net.at(subscriber).subscribe(&prefix).unwrap();
            net.pump();
            net.at(subscriber).unsubscribe(&prefix).unwrap();
        }
        net.at(subscriber).subscribe(b"last").unwrap();
        net.at(subscriber).unsubscribe(b"first").unwrap();
        // With all of them it would be four times as much.
        net.room(link, 4 * SUBSCRIPTION_BACKLOG_LEN_MAX / 3);
        net.pump();
        net.expect_no_failure(publisher);
        assert_eq!(net.at(publisher).subscriptions(), 1, "{socket_type}");
        for body in ["first", "last"] {
            net.send(publisher, body);
        }
        assert_eq!(bodies(&net.recv_all(subscriber)), ["last"]);
    }
}

/// What waits is the end of a subscription that the publisher was told of, whatever else was to be said of it.
#[test]
fn a_repetition_that_could_not_be_told_does_not_keep_the_end_from_being_told() {
    let mut net = Net::new();
    let subscriber = net.socket_with(SocketType::XSub, |options| options.xsub_verbose = true);
    let publisher = net.socket(SocketType::XPub);
    let link = net.connect(subscriber, publisher);
    net.at(subscriber).subscribe(b"a").unwrap();
    net.pump();
    net.room(link, 1);
    // More than a publisher that does not read is told.
    let mut number = 0;
    while net.at(subscriber).connections().iter().all(|(_, publisher)| publisher.is_flushed()) || number < 20_000 {
        net.at(subscriber).subscribe(format!("{number:0100}").as_bytes()).unwrap();
        net.pump();
        number += 1;
    }
    net.at(subscriber).subscribe(b"a").unwrap();
    net.at(subscriber).unsubscribe(b"a").unwrap();
    net.at(subscriber).unsubscribe(b"a").unwrap();
    net.room(link, usize::MAX);
    net.pump();
    net.send(publisher, "a");
    net.expect_none(subscriber);
}
