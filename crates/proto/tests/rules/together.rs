//! Messages that are handed on together, as a proxy does.

use std::sync::Arc;

use nought_proto::{
    Message, Options, Socket, SocketType,
    connection::{Notify, Pipe},
    pattern::SendRefusal,
    socket::Reopen,
};

use crate::harness::{Net, Node, bodies, numbered};

fn messages(range: std::ops::Range<usize>) -> Vec<Message> {
    numbered(range).into_iter().map(Message::from).collect()
}

/// Returns how many were taken, and the last refusal.
fn send_together(net: &mut Net, node: Node, messages: &[Message]) -> (usize, Option<SendRefusal>) {
    let mut refusal = None;
    let sent = net.at(node).send_together(messages, |_, sent| refusal = sent.err().or(refusal));
    (sent, refusal)
}

fn with_hwm(net: &mut Net, socket_type: SocketType, hwm: u32) -> Node {
    net.socket_with(socket_type, |options| (options.send_hwm, options.recv_hwm) = (hwm, hwm))
}

#[test]
fn as_many_are_taken_as_find_room_and_they_keep_their_order() {
    for hwm in [1, 5, 500] {
        let mut net = Net::new();
        let [push, pull] = [SocketType::Push, SocketType::Pull].map(|kind| with_hwm(&mut net, kind, hwm));
        net.join(push, pull);
        let sum = 2 * hwm as usize;
        net.send(push, "0");
        let refused = Some(SendRefusal::WouldBlock);
        assert_eq!(send_together(&mut net, push, &messages(1..2 * sum)), (sum - 1, refused));
        assert_eq!(net.try_send(push, "x"), Err(SendRefusal::WouldBlock));
        assert!(!net.at(push).can_send());
        assert_eq!(bodies(&net.recv_all(pull)), numbered(0..sum));
        net.pump();
        assert!(net.at(push).can_send(), "whoever waits hears of room");
        assert_eq!(send_together(&mut net, push, &messages(0..1)), (1, None));
        assert_eq!(net.fill(push, "x"), sum - 1, "room that was not used up is no room of the next batch");
        assert_eq!(net.recv_all(pull).len(), sum);
    }
}

#[test]
fn peers_in_turns_and_over_a_transport_get_theirs_too() {
    let mut net = Net::new();
    let [dealer, near, other, far] = [SocketType::Dealer; 4].map(|kind| net.socket(kind));
    net.join(dealer, near);
    net.join(dealer, other);
    net.connect(dealer, far);
    let sent: Vec<Message> = (0..300).map(|number| Message::from([format!("{number}"), "x".repeat(number)])).collect();
    assert_eq!(send_together(&mut net, dealer, &sent), (300, None));
    for (turn, peer) in [near, other, far].into_iter().enumerate() {
        let expected: Vec<Message> = sent.iter().skip(turn).step_by(3).cloned().collect();
        assert_eq!(net.recv_all(peer), expected);
    }
}

#[test]
fn large_bodies_travel_among_small_ones() {
    let mut net = Net::new();
    let [push, pull] = [SocketType::Push, SocketType::Pull].map(|kind| net.socket(kind));
    net.join(push, pull);
    let large = || Message::from(vec![7_u8; 100_000]);
    let sent = [Message::from("a"), large(), Message::from(["b", "c"]), large(), large(), Message::from("")];
    for _ in 0..3 {
        assert_eq!(send_together(&mut net, push, &sent), (sent.len(), None));
    }
    assert_eq!(net.recv_all(pull), [&sent[..]; 3].concat());
}

#[test]
fn subscriptions_stay_where_they_are_among_messages() {
    let mut net = Net::new();
    let [xsub, xpub] = [SocketType::XSub, SocketType::XPub].map(|kind| net.socket(kind));
    net.join(xsub, xpub);
    let sent = ["one", "\x01a", "two", "\x01b", "\x00a", "three"].map(Message::from);
    assert_eq!(send_together(&mut net, xsub, &sent), (sent.len(), None));
    assert_eq!(net.recv_all(xpub), sent);
}

#[test]
fn with_conflate_the_newest_stays() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.conflate = true);
    let pull = net.socket(SocketType::Pull);
    net.join(push, pull);
    assert_eq!(send_together(&mut net, push, &messages(0..10)), (10, None));
    assert_eq!(bodies(&net.recv_all(pull)), ["9"]);
}

#[test]
fn nodrop_what_one_subscriber_has_no_room_for_nobody_gets() {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| (options.xpub_nodrop, options.send_hwm) = (true, 1));
    let [narrow, wide] = [1, 100].map(|hwm| with_hwm(&mut net, SocketType::Sub, hwm));
    for subscriber in [narrow, wide] {
        net.at(subscriber).subscribe(b"").unwrap();
        net.join(subscriber, xpub);
    }
    net.recv(xpub);
    assert_eq!(send_together(&mut net, xpub, &messages(0..10)), (2, Some(SendRefusal::WouldBlock)));
    assert_eq!(bodies(&net.recv_all(narrow)), ["0", "1"]);
    assert_eq!(bodies(&net.recv_all(wide)), ["0", "1"]);
    assert_eq!(send_together(&mut net, xpub, &messages(2..4)), (2, None));
    assert_eq!(bodies(&net.recv_all(wide)), ["2", "3"]);
}

#[test]
fn nodrop_room_that_was_there_is_none_any_more_when_a_high_water_mark_is_lowered() {
    type Ends = (Node, Node);
    let of_the_publisher: fn(&Ends) -> Node = |&(xpub, _)| xpub;
    let of_the_subscriber: fn(&Ends) -> Node = |&(_, sub)| sub;
    for whose in [of_the_publisher, of_the_subscriber] {
        let mut net = Net::new();
        let hwm = |options: &mut Options| (options.xpub_nodrop, options.send_hwm, options.recv_hwm) = (true, 10, 10);
        let ends = [SocketType::XPub, SocketType::Sub].map(|kind| net.socket_with(kind, hwm)).into();
        let (xpub, sub) = ends;
        net.at(sub).subscribe(b"").unwrap();
        net.join(sub, xpub);
        net.recv(xpub);
        net.send(xpub, "0");
        assert_eq!(send_together(&mut net, xpub, &messages(1..2)), (1, None));
        net.at(whose(&ends)).set_options(|options| (options.send_hwm, options.recv_hwm) = (1, 1));
        net.pump();
        assert_eq!(send_together(&mut net, xpub, &messages(2..30)), (9, Some(SendRefusal::WouldBlock)));
        assert_eq!(net.fill(xpub, "x"), 0);
        assert_eq!(bodies(&net.recv_all(sub)), numbered(0..11));
    }
}

#[test]
fn what_is_refused_for_good_holds_nobody_up() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.router_mandatory = true);
    let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "there".into());
    net.join(router, dealer);
    let sent = ["there", "nowhere", "there"].map(|name| Message::from([name, "x"]));
    let mut told = Vec::new();
    assert_eq!(net.at(router).send_together(&sent, |_, sent| told.push(sent)), 3);
    assert_eq!(told, [Ok(()), Err(SendRefusal::Unroutable), Ok(())]);
    assert_eq!(net.recv_all(dealer).len(), 2);
}

#[test]
fn what_the_peer_does_not_get_since_it_goes_meanwhile_is_counted() {
    struct Nobody;
    impl Notify for Nobody {
        fn notify(&self) {}
    }
    let pipe = || Arc::new(Pipe::new(100, 100, false, Arc::new(Nobody), Arc::new(Nobody)));
    let (out, input) = (pipe(), pipe());
    let mut push = Socket::new(SocketType::Push, Options::default());
    let peer = Socket::new(SocketType::Pull, Options::default()).introduction();
    let id = push.accept();
    push.attach(id, Arc::clone(&out), Arc::clone(&input), peer);
    let sent = push.send_together(&messages(0..3), |message, _| {
        if *message == *"1" {
            assert_eq!((out.close(), input.close()), (0, 0));
        }
    });
    push.pipe_changed(id);
    push.lose(id, Reopen::No);
    let totals = push.connections().totals();
    assert_eq!((sent, totals.messages_out, totals.lost), (3, 3, 3));
}
