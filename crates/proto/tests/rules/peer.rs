//! PEER: a number names the peer, and is known as soon as a connection is begun (RFC 51).

use nought_proto::{Message, SocketType, pattern::SendRefusal};

use crate::harness::{Net, bodies};

#[test]
fn messages_wait_for_the_peer_under_the_number_that_it_will_have() {
    let mut net = Net::new();
    let (connecting, bound) = (net.socket(SocketType::Peer), net.socket(SocketType::Peer));
    let id = net.at(connecting).open(None);
    let routing_id = net.at(connecting).routing_id_of(id).expect("it is known before the peer is there");
    net.try_send(connecting, Message::from("early").with_routing_id(routing_id)).unwrap();
    net.dial_from(connecting, id, bound);
    let early = net.recv(bound);
    assert_eq!(early, *"early");
    net.send(bound, Message::from("back").with_routing_id(early.routing_id().unwrap()));
    let back = net.recv(connecting);
    assert_eq!((back.routing_id(), &back[0][..]), (Some(routing_id), &b"back"[..]));
    assert_eq!(net.at(connecting).peer_with(routing_id), Some(id));
}

#[test]
fn the_number_holds_over_a_reconnect_and_what_was_not_sent_waits_for_it() {
    for immediate in [false, true] {
        let mut net = Net::new();
        let connecting = net.socket_with(SocketType::Peer, |options| options.immediate = immediate);
        let bound = net.socket(SocketType::Peer);
        let mut link = net.connect(connecting, bound);
        let id = net.id(link);
        let routing_id = net.at(connecting).routing_id_of(id).unwrap();
        net.cut(link);
        let waits = net.try_send(connecting, Message::from("meanwhile").with_routing_id(routing_id));
        assert_eq!(waits, if immediate { Err(SendRefusal::Unroutable) } else { Ok(()) });
        link = net.reconnect(link, bound);
        net.send(connecting, Message::from("later").with_routing_id(routing_id));
        let id = net.id(link);
        assert_eq!(net.at(connecting).routing_id_of(id), Some(routing_id));
        let expected: &[&str] = if immediate { &["later"] } else { &["meanwhile", "later"] };
        assert_eq!(bodies(&net.recv_all(bound)), expected);
    }
}

#[test]
fn numbers_are_not_zero_and_not_given_twice() {
    let mut net = Net::new();
    let bound = net.socket_with(SocketType::Peer, |options| options.id_seed = u32::MAX);
    let peers = [(); 3].map(|()| net.socket(SocketType::Peer));
    let mut numbers: Vec<u32> = peers
        .iter()
        .map(|&peer| {
            let link = net.connect(peer, bound);
            let id = net.accepted_id(link);
            net.at(bound).routing_id_of(id).unwrap().get()
        })
        .collect();
    numbers.dedup();
    assert_eq!(numbers, [u32::MAX, 1, 2]);
}
