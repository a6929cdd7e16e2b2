//! A lost connection that is made again: what was not sent waits, once each and in order.

use nought_proto::{Message, SocketType, pattern::SendRefusal, socket::Reopen};

use crate::harness::{Net, bodies, numbered, wire};

#[test]
fn what_was_not_sent_goes_out_after_the_reconnect_once_and_in_order() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let link = net.connect(push, pull);
    net.send(push, "0");
    assert_eq!(net.recv(pull), *"0");
    net.room(link, 0);
    for body in numbered(1..50) {
        net.send(push, &body);
    }
    net.cut(link);
    for body in numbered(50..60) {
        net.try_send(push, &body).unwrap();
    }
    net.reconnect(link, pull);
    assert_eq!(bodies(&net.recv_all(pull)), numbered(1..60));
    let counters = net.at(push).connections().totals();
    assert_eq!((counters.lost, counters.messages_out), (0, 60));
}

/// Messages of 6 to 20,000 bytes, cut off after each of many numbers of bytes: what the old peer has whole and what
/// the new peer gets are together everything, once.
#[test]
fn a_message_cut_off_anywhere_is_sent_again_whole() {
    let large = "l".repeat(20_000);
    let messages = [
        Message::from("small"),
        Message::from([&large[..], "behind", &large]),
        Message::from(&large[..]),
        Message::from(["a", "", "c"]),
        Message::from("last"),
    ];
    let total: usize = 6 + 2 + (20_009 * 2 + 8) + 20_009 + 8 + 6;
    let cuts = (0..40).chain(19_990..20_080).chain((40_000..total).step_by(1009)).chain(total - 20..=total + 10);
    for (len, in_one_write) in cuts.flat_map(|len| [(len, false), (len, true)]) {
        let mut net = Net::new();
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        let link = net.connect(push, pull);
        net.room(link, if in_one_write { 0 } else { len });
        for message in &messages {
            net.send(push, message);
        }
        net.room(link, if in_one_write { len } else { 0 });
        let mut received = net.recv_all(pull);
        net.cut(link);
        net.reconnect(link, pull);
        received.extend(net.recv_all(pull));
        assert_eq!(received, messages, "cut after {len} bytes");
    }
}

#[test]
fn a_ping_in_the_middle_is_not_taken_for_a_message() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let link = net.connect_test(push);
    net.feed(link, wire::hello("PULL"));
    net.take(link);
    net.room(link, 3);
    net.send(push, "one");
    net.feed(link, wire::ping(0, "context"));
    net.send(push, "two");
    net.feed(link, wire::ping(0, "context"));
    net.cut(link);
    let link = net.reconnect_test(link);
    net.feed(link, wire::hello("PULL"));
    assert!(net.take(link).ends_with(&[wire::message(&["one"]), wire::message(&["two"])].concat()));
}

#[test]
fn a_loss_within_the_handshake_keeps_the_queue_and_nothing_of_the_handshake() {
    // A greeting read as frames may look like a message: none must come of it, whatever the version.
    for hello in [wire::hello("PAIR"), wire::hello_2_0(0, "id"), b"\x03\0id".to_vec()] {
        for room in 0..100 {
            let mut net = Net::new();
            let pair = net.socket_with(SocketType::Pair, |options| options.routing_id = "abc".into());
            let link = net.connect_test(pair);
            net.room(link, room);
            net.try_send(pair, "queued").unwrap();
            net.feed(link, &hello);
            let mut sent = net.take(link);
            net.cut(link);
            let link = net.reconnect_test(link);
            net.feed(link, wire::hello("PAIR"));
            let before = !sent.is_empty() && net.at(pair).connections().totals().messages_out == 1;
            assert!(before || sent.is_empty());
            let again = net.take(link);
            let times = |bytes: &[u8]| bytes.windows(6).filter(|window| *window == b"queued").count();
            assert_eq!(times(&sent) + times(&again), 1, "room for {room} bytes");
            sent.clear();
            // Behind the handshake there is at most this one message.
            let ready = again.windows(5).position(|window| window == b"READY").unwrap();
            let command_end = ready - 3 + 2 + usize::from(again[ready - 2]);
            let rest = &again[command_end..];
            assert!(rest.is_empty() || rest == wire::message(&["queued"]), "{rest:?}");
        }
    }
}

#[test]
fn the_mark_holds_over_a_reconnect() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 5);
    let pull = net.socket(SocketType::Pull);
    let link = net.connect(push, pull);
    net.room(link, 1);
    net.send(push, "x");
    net.fill(push, "x");
    net.cut(link);
    assert_eq!(net.try_send(push, "x"), Err(SendRefusal::WouldBlock));
    net.reconnect(link, pull);
    assert_eq!(net.recv_all(pull).len(), 5);
}

#[test]
fn a_connection_that_is_not_made_again_counts_what_it_loses() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let id = net.at(push).open(None);
    for body in numbered(0..7) {
        net.try_send(push, &body).unwrap();
    }
    assert_eq!(net.at(push).lose(id, Reopen::No), None);
    assert_eq!(net.at(push).connections().totals().lost, 7);
    assert_eq!(net.at(push).connections().iter().count(), 0);
    let id = net.at(push).open(None);
    net.try_send(push, "x").unwrap();
    net.at(push).remove(id);
    assert_eq!(net.at(push).connections().totals().lost, 8);
}

#[test]
fn an_accepted_peers_queue_goes_with_it() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let link = net.connect(pull, push);
    net.room_back(link, 0);
    net.send(push, "for the first");
    net.cut(link);
    net.reconnect(link, push);
    net.send(push, "for the second");
    assert_eq!(bodies(&net.recv_all(pull)), ["for the second"]);
    assert_eq!(net.at(push).connections().totals().lost, 1);
}

#[test]
fn a_publishers_queue_is_not_kept() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::Pub), net.socket(SocketType::Sub));
    net.at(subscriber).subscribe(b"").unwrap();
    let link = net.connect(publisher, subscriber);
    net.room(link, 0);
    net.send(publisher, "before");
    net.cut(link);
    net.send(publisher, "between");
    net.reconnect(link, subscriber);
    net.send(publisher, "after");
    assert_eq!(bodies(&net.recv_all(subscriber)), ["after"]);
}

/// The connecting side knows that it is the same peer. libzmq keeps the pipe of its session there.
#[test]
fn what_was_received_before_the_loss_comes_before_what_comes_after_it() {
    for (sender, receiver) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Pair, SocketType::Pair),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Pub, SocketType::Sub),
        (SocketType::XPub, SocketType::XSub),
    ] {
        let mut net = Net::new();
        let (bound, connecting) = (net.socket(sender), net.socket(receiver));
        let _ = net.at(connecting).subscribe(b"");
        let mut link = net.connect(connecting, bound);
        for round in 0..4 {
            for body in numbered(3 * round..3 * round + 3) {
                net.send(bound, &body);
            }
            net.cut(link);
            link = net.reconnect(link, bound);
            if round == 1 {
                // Nothing came over this one.
                net.cut(link);
                link = net.reconnect(link, bound);
            }
        }
        net.send(bound, "12");
        assert_eq!(bodies(&net.recv_all(connecting)), numbered(0..13), "{receiver}");
        assert_eq!(net.at(connecting).connections().iter().count(), 1);
        net.send(bound, "13");
        assert_eq!(net.recv(connecting), *"13", "{receiver}");
    }
}

#[test]
fn what_a_reopened_connection_receives_takes_the_turns_of_the_lost_one() {
    let mut net = Net::new();
    let [bound, other, pull] = [SocketType::Push, SocketType::Push, SocketType::Pull].map(|kind| net.socket(kind));
    let link = net.connect(pull, bound);
    net.connect(other, pull);
    for body in ["a0", "a1"] {
        net.send(bound, body);
    }
    for body in ["b0", "b1", "b2", "b3"] {
        net.send(other, body);
    }
    net.cut(link);
    net.reconnect(link, bound);
    for body in ["a2", "a3"] {
        net.send(bound, body);
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]);
}

/// The accepting side cannot know who comes: two connections are two peers, and each keeps its order.
#[test]
fn what_an_accepted_peer_sent_before_the_loss_takes_turns_with_what_comes_after_it() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let link = net.connect(push, pull);
    for body in ["0", "1"] {
        net.send(push, body);
    }
    net.cut(link);
    net.reconnect(link, pull);
    for body in ["2", "3"] {
        net.send(push, body);
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["0", "2", "1", "3"]);
}

#[test]
fn the_id_of_a_lost_connection_means_nothing_any_more() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let link = net.connect(push, pull);
    let old = net.id(link);
    net.cut(link);
    let push = net.at(push);
    assert!(push.connection(old).is_none());
    assert!(!push.wants_read(old));
    assert!(push.begin_write(old).is_none());
    assert!(push.lose(old, Reopen::Yes).is_none());
    push.remove(old);
    push.retire(old);
    push.pipe_changed(old);
    assert!(push.read(old, std::time::Instant::now(), |_| Ok(1)).is_err());
    assert_eq!(push.connections().iter().count(), 1);
}
