//! Small messages that are received from where they stand, in the midst of others that are not.

use std::sync::Arc;

use nought_proto::{Message, SocketType, connection::PeerInfo, limits::LARGE_BODY_LEN, wire::Version};

use crate::harness::{Net, Node, wire};

/// All that has come, in its order, and which of it was received from where it stood; whose it was is looked at, too.
fn recv_all(net: &mut Net, node: Node) -> (Vec<Message>, Vec<usize>) {
    let (mut messages, mut in_place, mut peer) = (Vec::new(), Vec::new(), None);
    loop {
        let small = net.at(node).recv_small_from(&mut peer, |body| Message::from(body.as_slice()));
        let mut message = Message::empty_frame();
        if let Some(small) = small {
            in_place.push(messages.len());
            message = small;
        } else if net.at(node).recv_from(&mut message, &mut peer).is_err() {
            return (messages, in_place);
        }
        messages.push(message);
        assert!(peer.is_some());
    }
}

#[test]
fn those_of_one_frame_are_given_where_they_stand_between_the_first_and_the_last() {
    let mut net = Net::new();
    let [push, pull] = [SocketType::Push, SocketType::Pull].map(|kind| net.socket(kind));
    let link = net.connect(push, pull);
    let of_len = |len: usize| Message::from(vec![len as u8; len]);
    let large = LARGE_BODY_LEN;
    let mut sent: Vec<Message> = [0, 1, 55, 56, 255, 256, large - 1, large, 5].map(of_len).into();
    sent.splice(4..4, [Message::from(["two", "frames"])]);
    for message in &sent {
        net.try_send(push, message).unwrap();
    }
    net.pump();
    let (received, in_place) = recv_all(&mut net, pull);
    assert_eq!(received, sent);
    assert_eq!(in_place, [1, 2, 3, 5, 6, 7]);
    let id = net.accepted_id(link);
    assert_eq!(net.at(pull).connection(id).unwrap().counters().messages_in, sent.len() as u64);
    // And what comes later is received as ever.
    net.send(push, "later");
    assert_eq!(recv_all(&mut net, pull), (vec!["later".into()], vec![]));
}

#[test]
fn what_stands_behind_a_body_is_not_of_it() {
    let mut net = Net::new();
    let [push, pull] = [SocketType::Push, SocketType::Pull].map(|kind| net.socket(kind));
    net.connect(push, pull);
    for body in ["first", "ab", &"x".repeat(60), "last"] {
        net.try_send(push, body).unwrap();
    }
    net.pump();
    net.try_recv(pull).unwrap();
    let mut bodies = Vec::new();
    let mut memory = Vec::with_capacity(10_000);
    while let Some(bytes) = net.at(pull).recv_small_from(&mut None, |body| {
        body.copy_into(&mut memory);
        body.in_place().copied()
    }) {
        bodies.push((bytes.map(|bytes| bytes[..3].to_vec()), memory.len(), memory.capacity() < 1000));
    }
    assert_eq!(bodies, [(Some(b"ab\0".to_vec()), 2, true), (None, 60, true)], "memory of larger ones is not kept");
}

#[test]
fn commands_and_older_peers_make_no_difference() {
    for (hello, version) in [(wire::hello("PUSH"), Version::V3_1), (wire::hello_2_0(8, ""), Version::V2_0)] {
        let mut net = Net::new();
        let pull = net.socket(SocketType::Pull);
        let link = net.accept_test(pull);
        let ping = if version == Version::V3_1 { wire::ping(0, "") } else { Vec::new() };
        let message = |body: &str| wire::frame(0, body);
        net.feed(link, hello);
        net.feed(link, [message("0"), message("1"), ping.clone(), message("2"), ping, message("3")].concat());
        let (received, in_place) = recv_all(&mut net, pull);
        assert_eq!(received, ["0", "1", "2", "3"].map(Message::from));
        assert!(in_place.contains(&1), "{in_place:?}");
    }
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, wire::old_frame(0, ""));
    net.feed(link, ["0", "1", "2"].map(|body| wire::old_frame(0, body)).concat());
    assert_eq!(recv_all(&mut net, pull), (["0", "1", "2"].map(Message::from).into(), vec![1]));
}

#[test]
fn peers_have_their_turns_and_each_message_its_sender() {
    let mut net = Net::new();
    let receiver = net.socket(SocketType::Dealer);
    let [a, b] = ["a", "b"].map(|name| {
        let sender = net.socket_with(SocketType::Dealer, |options| options.routing_id = name.into());
        net.connect(sender, receiver);
        sender
    });
    let send = |net: &mut Net, sender, bodies: &[&str]| {
        bodies.iter().for_each(|body| net.try_send(sender, *body).unwrap());
        net.pump();
    };
    let mut received = Vec::new();
    let mut peer: Option<Arc<PeerInfo>> = None;
    let mut recv = |net: &mut Net| {
        let mut message = Message::empty_frame();
        let small = net.at(receiver).recv_small_from(&mut peer, |body| Message::from(body.as_slice()));
        let is_small = small.is_some();
        match small {
            Some(small) => message = small,
            None => net.at(receiver).recv_from(&mut message, &mut peer).unwrap(),
        }
        let name = String::from_utf8(peer.as_ref().unwrap().routing_id.to_vec()).unwrap();
        received.push((String::from_utf8(message.as_slice().to_vec()).unwrap(), name, is_small));
    };
    send(&mut net, a, &["0", "1", "2", "3"]);
    (0..2).for_each(|_| recv(&mut net));
    send(&mut net, b, &["x", "y"]);
    (0..4).for_each(|_| recv(&mut net));
    let expected = [("0", "a", false), ("1", "a", true), ("2", "a", false), ("x", "b", false), ("3", "a", false)];
    let expected = [&expected[..], &[("y", "b", false)]].concat();
    assert_eq!(
        received,
        expected.iter().map(|(body, name, small)| (body.to_string(), name.to_string(), *small)).collect::<Vec<_>>()
    );
}

#[test]
fn a_subscriber_gets_what_it_wants_and_what_was_looked_at_first() {
    for inverted in [false, true] {
        let mut net = Net::new();
        let sub = net.socket_with(SocketType::Sub, |options| options.invert_matching = inverted);
        let link = net.accept_test(sub);
        net.at(sub).subscribe(b"a").unwrap();
        net.feed(link, wire::hello("PUB"));
        net.feed(
            link,
            ["a0", "a1", "b2", "b3", "a4", "a5", "b6", "a7", "b8"].map(|body| wire::frame(0, body)).concat(),
        );
        assert!(net.at(sub).can_recv());
        let mut peer = None;
        assert!(net.at(sub).recv_small_from(&mut peer, |_| ()).is_none(), "another one is before it");
        let (received, in_place) = recv_all(&mut net, sub);
        let expected = if inverted { &["b2", "b3", "b6", "b8"][..] } else { &["a0", "a1", "a4", "a5", "a7"] };
        assert_eq!(received, expected.iter().map(|body| Message::from(*body)).collect::<Vec<_>>());
        assert!(in_place.contains(&1), "{in_place:?}");
        let dropped = net.at(sub).connections().totals().dropped_on_arrival;
        assert_eq!(dropped, 9 - expected.len() as u64);
    }
}

#[test]
fn who_does_more_with_a_message_has_none_in_place() {
    let from_whom = [(SocketType::Router, "DEALER"), (SocketType::Rep, "REQ"), (SocketType::Stream, "")];
    for (receiver, peer) in from_whom {
        let mut net = Net::new();
        let node = net.socket(receiver);
        let link = net.accept_test(node);
        if receiver != SocketType::Stream {
            net.feed(link, wire::hello(peer));
        }
        net.feed(link, (0..4).flat_map(|_| wire::message(&["", "body"])).collect::<Vec<_>>());
        net.feed(link, (0..4).flat_map(|_| wire::frame(0, "body")).collect::<Vec<_>>());
        let (received, in_place) = recv_all(&mut net, node);
        assert_eq!((received.is_empty(), in_place), (false, vec![]), "{receiver:?}");
    }
}
