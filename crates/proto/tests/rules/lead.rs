//! How far a sender is ahead of its peers: those among which it chooses, each of them, and only if they take something.

use nought_proto::{
    SocketType,
    limits::{LARGE_BODY_LEN, LEAD_LEN_MAX},
    pattern::SendRefusal,
};

use crate::harness::{Link, Net, Node, wire};

const BODY_LEN: usize = 64 * 1024;
const FAR: usize = LEAD_LEN_MAX / BODY_LEN;

fn body() -> String {
    "x".repeat(BODY_LEN)
}

/// A peer whose transport has room for so much.
fn connect(net: &mut Net, sender: Node, receiver: SocketType, room: usize) -> Link {
    let receiver = net.socket(receiver);
    let link = net.connect(sender, receiver);
    net.room(link, room);
    link
}

#[test]
fn a_sender_is_ahead_once_much_is_queued_until_enough_is_written() {
    for (sender, receiver) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Pair, SocketType::Pair),
    ] {
        let mut net = Net::new();
        let sender = net.socket(sender);
        let link = connect(&mut net, sender, receiver, 1);
        for _ in 1..FAR {
            net.send(sender, body().as_str());
            assert_eq!(net.at(sender).lead(), None);
        }
        net.send(sender, body().as_str());
        let lead = net.at(sender).lead().unwrap();
        assert!((LEAD_LEN_MAX..LEAD_LEN_MAX + BODY_LEN).contains(&lead), "{lead}");
        let written_len = net.at(sender).written_len();
        net.room(link, BODY_LEN);
        net.pump();
        assert_eq!(net.at(sender).lead(), None);
        assert_eq!(net.at(sender).written_len(), written_len + BODY_LEN as u64);
    }
}

#[test]
fn a_sender_is_ahead_of_all_or_of_none() {
    for socket_type in [SocketType::Push, SocketType::Dealer] {
        let receiver = if socket_type == SocketType::Push { SocketType::Pull } else { SocketType::Dealer };
        let mut net = Net::new();
        let sender = net.socket(socket_type);
        let idle = connect(&mut net, sender, receiver, 1);
        let busy = connect(&mut net, sender, receiver, usize::MAX);
        (0..4 * FAR).for_each(|_| net.send(sender, body().as_str()));
        assert!(net.connection(sender, idle).send_queue_len() >= FAR);
        assert_eq!(net.at(sender).lead(), None, "one has room");
        net.room(busy, 0);
        (0..2 * FAR + 2).for_each(|_| net.send(sender, body().as_str()));
        let queued = [idle, busy].map(|link| net.connection(sender, link).send_queue_len()).iter().sum::<usize>();
        let lead = net.at(sender).lead().unwrap();
        assert!(lead.abs_diff(queued * BODY_LEN) <= BODY_LEN, "{lead} and {queued}");
    }
}

#[test]
fn a_sender_is_ahead_of_none_that_is_not_there() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    assert_eq!(net.at(push).lead(), None);
    net.at(push).open(None);
    (0..2 * FAR).for_each(|_| net.try_send(push, body().as_str()).unwrap());
    assert_eq!(net.at(push).lead(), None, "nobody takes anything of it");
}

#[test]
fn a_sender_is_ahead_of_none_that_has_met_its_mark() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 2 * FAR as u32);
    connect(&mut net, push, SocketType::Pull, 1);
    while net.try_send(push, body().as_str()) != Err(SendRefusal::WouldBlock) {
        net.pump();
    }
    assert_eq!(net.at(push).lead(), None, "there is nobody to send to");
}

#[test]
fn small_messages_are_queued_up_to_the_mark() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 0);
    connect(&mut net, push, SocketType::Pull, 1);
    let small = "x".repeat(LARGE_BODY_LEN / 2);
    (0..4 * LEAD_LEN_MAX / small.len()).for_each(|_| net.send(push, small.as_str()));
    assert_eq!(net.at(push).lead(), None);
}

#[test]
fn within_the_process_nobody_is_ahead() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    net.join(push, pull);
    (0..2 * FAR).for_each(|_| net.try_send(push, body().as_str()).unwrap());
    assert_eq!(net.at(push).lead(), None);
}

#[test]
fn who_drops_what_finds_no_room_is_ahead_of_nobody() {
    for (socket_type, nodrop) in [(SocketType::Pub, false), (SocketType::XPub, false), (SocketType::XPub, true)] {
        let mut net = Net::new();
        let publisher = net.socket_with(socket_type, |options| options.xpub_nodrop = nodrop);
        let link = net.accept_test(publisher);
        net.feed(link, wire::hello("SUB"));
        net.feed(link, wire::command("SUBSCRIBE", ""));
        net.room(link, 1);
        (0..2 * FAR).for_each(|_| net.send(publisher, body().as_str()));
        assert!(net.connection(publisher, link).send_queue_len() >= 2 * FAR);
        assert_eq!(net.at(publisher).lead(), None, "{socket_type}");
    }
}

#[test]
fn who_keeps_only_the_newest_is_ahead_of_nobody() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    connect(&mut net, push, SocketType::Pull, 1);
    net.send(push, "x".repeat(2 * LEAD_LEN_MAX).as_str());
    assert_eq!(net.at(push).lead(), None);
}
