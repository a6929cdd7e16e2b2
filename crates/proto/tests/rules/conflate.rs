//! CONFLATE keeps the newest message, and everything that is not a message.

use nought_proto::{Message, SocketType, pattern::SendRefusal};

use crate::harness::{Net, bodies, numbered, wire};

#[test]
fn a_queue_that_waits_keeps_the_newest() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    let pull = net.socket(SocketType::Pull);
    let id = net.at(push).open(None);
    for body in numbered(0..100) {
        net.try_send(push, &body).unwrap();
    }
    let counters = net.at(push).connections().totals();
    assert_eq!((counters.conflated, counters.messages_out), (99, 1));
    net.dial_from(push, id, pull);
    assert_eq!(bodies(&net.recv_all(pull)), ["99"]);
}

#[test]
fn marks_do_not_apply() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| {
        options.conflate = true;
        options.send_hwm = 1;
    });
    net.at(push).open(None);
    assert_eq!(net.fill(push, "x"), 100_000);
}

#[test]
fn several_frames_are_refused() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    net.at(push).open(None);
    assert_eq!(net.try_send(push, ["a", "b"]), Err(SendRefusal::Malformed));
}

#[test]
fn the_receiver_keeps_the_newest() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.conflate = true);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    for body in numbered(0..100) {
        net.feed(link, wire::message(&[&body]));
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["99"]);
    assert_eq!(net.connection(pull, link).counters().conflated, 99);
}

#[test]
fn a_receiver_that_does_not_receive_holds_no_more_than_the_newest() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.conflate = true);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    let body = "x".repeat(1000);
    for _ in 0..100 {
        net.feed(link, wire::message(&[&body]).repeat(100));
        assert_eq!(net.connection(pull, link).recv_queue_len(), 1);
    }
    let large = "l".repeat(100_000);
    for _ in 0..10 {
        net.feed(link, wire::message(&[&large]));
    }
    net.feed(link, wire::message(&["newest"]));
    assert_eq!(bodies(&net.recv_all(pull)), ["newest"]);
}

#[test]
fn subscriptions_survive_at_the_publisher_in_both_forms() {
    for (hello, form) in [
        (wire::hello("SUB"), ["a", "b", "c"].map(wire::subscribe)),
        (wire::hello_3_0("SUB"), ["\x01a", "\x01b", "\x01c"].map(|body| wire::frame(0, body))),
    ] {
        let mut net = Net::new();
        let publisher = net.socket_with(SocketType::Pub, |options| options.conflate = true);
        let link = net.accept_test(publisher);
        net.feed(link, [hello, form.concat()].concat());
        assert_eq!(net.at(publisher).subscriptions(), 3);
    }
}

#[test]
fn a_pong_survives_a_newer_message() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    let link = net.accept_test(push);
    net.feed(link, wire::hello("PULL"));
    net.take(link);
    net.room(link, 0);
    net.feed(link, wire::ping(0, "first"));
    net.try_send(push, "old").unwrap();
    net.feed(link, wire::ping(0, "second"));
    net.try_send(push, "new").unwrap();
    net.room(link, usize::MAX);
    assert_eq!(net.take(link), [wire::pong("first"), wire::pong("second"), wire::message(&["new"])].concat());
}

#[test]
fn the_newest_survives_a_reconnect_and_is_replaced_after_it() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    let pull = net.socket(SocketType::Pull);
    let link = net.connect(push, pull);
    net.room(link, 0);
    net.send(push, "old");
    net.cut(link);
    net.try_send(push, "new").unwrap();
    assert_eq!(net.at(push).connections().totals().conflated, 1);
    net.reconnect(link, pull);
    assert_eq!(bodies(&net.recv_all(pull)), ["new"]);
}

#[test]
fn within_a_process_the_newest_is_received_even_after_a_look() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    let pull = net.socket_with(SocketType::Pull, |options| options.conflate = true);
    net.join(push, pull);
    for body in numbered(0..10) {
        net.send(push, &body);
        assert!(net.at(pull).can_recv());
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["9"]);
}

#[test]
fn patterns_that_need_all_their_messages_ignore_it() {
    // As in libzmq: it is for PUSH, PULL, PUB, SUB and DEALER.
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.conflate = true);
    let link = net.accept_test(router);
    net.feed(link, [wire::hello_as("DEALER", "id"), wire::message(&["0"]), wire::message(&["1"])].concat());
    assert_eq!(net.recv_all(router), [Message::from(["id", "0"]), Message::from(["id", "1"])]);
    net.take(link);
    net.send(router, ["id", "several", "frames"]);
    assert_eq!(net.take(link), wire::message(&["several", "frames"]));
}

#[test]
fn a_limit_in_bytes_does_not_apply() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| {
        options.conflate = true;
        options.send_hwm_bytes = 10;
    });
    let pull = net.socket(SocketType::Pull);
    let id = net.at(push).open(None);
    for body in numbered(100_000_000..100_000_003) {
        net.try_send(push, &body).unwrap();
    }
    net.dial_from(push, id, pull);
    assert_eq!(bodies(&net.recv_all(pull)), ["100000002"]);
}

#[test]
fn within_a_process_what_is_replaced_is_counted() {
    for (sender_conflates, receiver_conflates) in [(true, false), (false, true), (true, true)] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| options.conflate = sender_conflates);
        let pull = net.socket_with(SocketType::Pull, |options| options.conflate = receiver_conflates);
        let id = net.at(push).open(None);
        net.try_send(push, "queued").unwrap();
        net.join_from(push, id, pull);
        for body in numbered(0..100) {
            net.try_send(push, &body).unwrap();
        }
        let received = net.recv_all(pull).len() as u64;
        let (sent, taken) = (net.at(push).connections().totals(), net.at(pull).connections().totals());
        assert_eq!(sent.messages_out + sent.conflated, 101, "{sent:?}");
        assert_eq!(received + taken.conflated, sent.messages_out, "{taken:?}");
        assert!(sent.conflated + taken.conflated >= 98, "{sent:?} {taken:?}");
        // The bytes are those of the messages that were handed over.
        assert!(sent.bytes_out <= sent.messages_out * 8, "{sent:?}");
    }
}
