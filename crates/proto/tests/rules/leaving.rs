//! Connections that are about to go: nothing more goes out, what came stays to be received.

use std::{ops::Range, time::Duration};

use nought_proto::{Message, SocketType, pattern::SendRefusal, socket::Reopen};

use crate::harness::{Net, bodies, numbered, wire};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_closed_direction_carries_neither_pings_nor_pongs() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.heartbeat_interval = Some(SECOND));
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    net.take(link);
    let id = net.id(link);
    net.at(pull).close_output(id);
    net.pass(10 * SECOND);
    for _ in 0..100_000 {
        net.write(link, wire::ping(10, "0123456789012345"));
    }
    net.feed(link, wire::message(&["still comes"]));
    net.pass(10 * SECOND);
    assert_eq!(net.take(link), b"");
    assert!(net.at(pull).connection(id).unwrap().is_flushed());
    net.expect_no_failure(pull);
    assert_eq!(bodies(&net.recv_all(pull)), ["still comes"]);
}

#[test]
fn a_closed_direction_carries_no_messages() {
    let mut net = Net::new();
    let rep = net.socket(SocketType::Rep);
    let link = net.accept_test(rep);
    net.feed(link, [wire::hello("REQ"), wire::message(&["", "question"])].concat());
    net.take(link);
    assert_eq!(net.recv(rep), *"question");
    let id = net.id(link);
    net.at(rep).close_output(id);
    net.send(rep, "answer");
    assert_eq!(net.take(link), b"");
    let counters = *net.connection(rep, link).counters();
    assert_eq!((counters.messages_out, counters.unroutable), (0, 1));

    let push = net.socket(SocketType::Push);
    let link = net.accept_test(push);
    net.feed(link, wire::hello("PULL"));
    net.take(link);
    let id = net.id(link);
    net.at(push).close_output(id);
    assert_eq!(net.try_send(push, "x"), Err(SendRefusal::WouldBlock));
    assert_eq!(net.take(link), b"");
}

#[test]
fn a_closed_direction_carries_no_subscriptions() {
    for socket_type in [SocketType::Sub, SocketType::XSub] {
        let mut net = Net::new();
        let subscriber = net.socket(socket_type);
        let link = net.accept_test(subscriber);
        net.feed(link, wire::hello("PUB"));
        net.at(subscriber).subscribe(b"before").unwrap();
        net.take(link);
        let id = net.id(link);
        net.at(subscriber).close_output(id);
        net.at(subscriber).subscribe(b"after").unwrap();
        net.at(subscriber).unsubscribe(b"before").unwrap();
        assert_eq!(net.take(link), b"");
    }
}

/// Older peers subscribe by messages, and those of the first version get everything.
#[test]
fn a_retired_subscriber_does_not_subscribe_again() {
    for socket_type in [SocketType::Pub, SocketType::XPub] {
        for (hello, subscription) in
            [(wire::hello("SUB"), wire::subscribe("")), (wire::hello_3_0("SUB"), wire::message(&["\x01"]))]
        {
            let mut net = Net::new();
            let publisher = net.socket(socket_type);
            let link = net.accept_test(publisher);
            net.feed(link, [hello, subscription.clone()].concat());
            net.take(link);
            assert_eq!(net.at(publisher).subscriptions(), 1);
            let id = net.id(link);
            net.at(publisher).retire(id);
            net.feed(link, subscription);
            net.send(publisher, "news");
            assert_eq!(net.at(publisher).subscriptions(), 0);
            assert_eq!(net.take(link), b"");
        }
    }
}

#[test]
fn what_a_peer_in_process_has_sent_stays_when_we_leave() {
    let large = "l".repeat(100_000);
    for taken_before in 0..4 {
        let mut net = Net::new();
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        let (_, id) = net.join(push, pull);
        let mut expected: Vec<Message> = Vec::new();
        let mut send = |net: &mut Net, message: Message| {
            net.try_send(push, &message).unwrap();
            expected.push(message);
        };
        numbered(0..3).into_iter().for_each(|body| send(&mut net, Message::from(body)));
        let mut received: Vec<Message> = (0..taken_before).map(|_| net.recv(pull)).collect();
        // Behind what the receiver has taken out of the pipe already.
        send(&mut net, Message::from([&large, "", "b"]));
        numbered(3..6).into_iter().for_each(|body| send(&mut net, Message::from(body)));
        net.at(pull).retire(id);
        net.at(pull).lose(id, Reopen::No);
        net.pump();
        assert_eq!(net.try_send(push, "late"), Err(SendRefusal::WouldBlock), "nobody is there any more");
        received.extend(net.recv_all(pull));
        assert_eq!(received, expected);
        for (node, sent, got) in [(push, 7, 0), (pull, 0, 7)] {
            let totals = net.at(node).connections().totals();
            assert_eq!((totals.messages_out, totals.messages_in), (sent, got));
            assert_eq!((totals.lost, totals.dropped_on_arrival), (0, 0));
        }
        assert_eq!(net.at(pull).connections().iter().count(), 0);
    }
}

fn numbered_messages(range: Range<usize>) -> Vec<u8> {
    numbered(range).iter().flat_map(|body| wire::message(&[body])).collect()
}

#[test]
fn what_is_discarded_is_dropped_and_commands_are_obeyed() {
    let mut net = Net::new();
    let dealer = net.socket_with(SocketType::Dealer, |options| options.recv_hwm = 3);
    let link = net.accept_test(dealer);
    net.feed(link, wire::hello("DEALER"));
    net.feed(link, numbered_messages(0..3));
    net.take(link);
    let id = net.id(link);
    net.at(dealer).discard(id);
    net.at(dealer).retire(id);
    net.feed(link, [numbered_messages(3..10), wire::ping(10, "?")].concat());
    net.expect_none(dealer);
    assert_eq!(net.connection(dealer, link).counters().dropped_on_arrival, 10);
    assert_eq!(net.take(link), wire::pong("?"));
}

#[test]
fn what_was_looked_at_is_discarded_too() {
    use SocketType::{Dealer, Dish, Pub, Radio, Rep, Req, Router, Sub};
    for (kind, peer, frames) in [
        (Sub, Pub, &["a"][..]),
        (Dish, Radio, &["a", "1"]),
        (Req, Rep, &["", "reply"]),
        (Req, Router, &["", "reply"]),
        (Rep, Dealer, &["", "request"]),
    ] {
        let mut net = Net::new();
        let node = net.socket(kind);
        let link = net.accept_test(node);
        net.feed(link, wire::hello(peer.name()));
        match kind {
            Sub => net.at(node).subscribe(b"a").unwrap(),
            Dish => net.at(node).join(b"a").unwrap(),
            Req => net.send(node, "request"),
            _ => {}
        }
        net.feed(link, wire::message(frames));
        assert!(net.at(node).can_recv(), "{kind:?}");
        let id = net.id(link);
        net.at(node).discard(id);
        net.expect_none(node);
        assert_eq!(net.connection(node, link).counters().dropped_on_arrival, 1, "{kind:?}");
    }
}

#[test]
fn what_waits_over_connections_lost_before_is_discarded_too() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let mut link = net.connect_test(pull);
    for _ in 0..3 {
        net.feed(link, [wire::hello("PUSH"), numbered_messages(0..2)].concat());
        net.close_test(link);
        link = net.reconnect_test(link);
    }
    let id = net.id(link);
    net.at(pull).discard(id);
    net.expect_none(pull);
    assert_eq!(net.at(pull).connections().totals().dropped_on_arrival, 6);
    net.feed(link, [wire::hello("PUSH"), numbered_messages(0..2)].concat());
    net.close_test(link);
    let link = net.reconnect_test(link);
    net.feed(link, [wire::hello("PUSH"), numbered_messages(0..2)].concat());
    net.expect_none(pull);
}

#[test]
fn what_stands_behind_subscriptions_in_a_pipe_stays_too() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::XPub), net.socket(SocketType::XSub));
    let (_, id) = net.join(subscriber, publisher);
    for turn in 0..3 {
        net.at(subscriber).subscribe(&[turn]).unwrap();
        net.try_send(subscriber, ["upstream"]).unwrap();
    }
    net.at(publisher).lose(id, Reopen::No);
    let received: Vec<Message> =
        net.recv_all(publisher).into_iter().filter(|message| *message == *"upstream").collect();
    assert_eq!(received.len(), 3);
}

#[test]
fn a_retired_dish_joins_no_group_any_more() {
    let mut net = Net::new();
    let radio = net.socket(SocketType::Radio);
    let link = net.accept_test(radio);
    net.feed(link, wire::hello("DISH"));
    net.take(link);
    let id = net.id(link);
    net.at(radio).retire(id);
    net.feed(link, wire::join("a"));
    net.send(radio, Message::from("x").with_group("a"));
    assert_eq!(net.take(link), b"");
    assert_eq!(net.at(radio).subscriptions(), 0);
}
