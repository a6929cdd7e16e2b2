//! What the types of RFC 41, 49, 51 and 52 have in common: messages of one frame, and ZMTP 3.

use nought_proto::{
    Message, ProtocolError, SocketType,
    error::{Incompatibility, Misbehaviour},
    pattern::SendRefusal,
};

use crate::harness::{Net, bodies, wire};

const SINGLE: [SocketType; 8] = [
    SocketType::Server,
    SocketType::Client,
    SocketType::Radio,
    SocketType::Dish,
    SocketType::Gather,
    SocketType::Scatter,
    SocketType::Peer,
    SocketType::Channel,
];

fn fitting(socket_type: SocketType) -> SocketType {
    SINGLE.into_iter().find(|peer| socket_type.accepts(*peer)).unwrap()
}

#[test]
fn several_frames_are_refused_before_they_are_sent() {
    for socket_type in SINGLE.into_iter().filter(|socket_type| socket_type.can_send()) {
        let mut net = Net::new();
        let (node, peer) = (net.socket(socket_type), net.socket(fitting(socket_type)));
        net.connect(node, peer);
        let several = Message::from(["a", "b"]);
        assert_eq!(net.try_send(node, &several), Err(SendRefusal::Malformed), "{socket_type}");
        assert_eq!(net.try_send(node, ["a", "b"].map(str::as_bytes).as_slice()), Err(SendRefusal::Malformed));
        assert_eq!(net.try_send(node, Message::new()), Err(SendRefusal::Malformed));
    }
}

#[test]
fn a_peer_that_sends_several_frames_is_given_up_and_what_came_before_stays() {
    for socket_type in
        [SocketType::Server, SocketType::Client, SocketType::Gather, SocketType::Peer, SocketType::Channel]
    {
        let mut net = Net::new();
        let node = net.socket(socket_type);
        let link = net.accept_test(node);
        let hello = wire::hello(fitting(socket_type).name());
        net.feed(link, [hello, wire::message(&["whole"]), wire::message(&["a", "b"]), wire::message(&["c"])].concat());
        assert_eq!(net.error(node), ProtocolError::Misbehaved(Misbehaviour::Multipart), "{socket_type}");
        assert_eq!(bodies(&net.recv_all(node)), ["whole"], "{socket_type}");
    }
}

#[test]
fn a_peer_of_an_older_version_is_refused() {
    for socket_type in SINGLE {
        for hello in [wire::hello_2_0(fitting(socket_type).number(), ""), wire::old_frame(0, "")] {
            let mut net = Net::new();
            let node = net.socket(socket_type);
            let link = net.accept_test(node);
            net.feed(link, hello);
            let expected = Incompatibility::VersionWithoutType(socket_type);
            assert_eq!(net.error(node), ProtocolError::Incompatible(expected));
        }
    }
}

#[test]
fn a_scatter_spreads_over_its_gathers_and_waits_without_one() {
    let mut net = Net::new();
    let scatter = net.socket(SocketType::Scatter);
    assert_eq!(net.try_send(scatter, "nobody"), Err(SendRefusal::WouldBlock));
    let gathers = [net.socket(SocketType::Gather), net.socket(SocketType::Gather)];
    for gather in gathers {
        net.connect(gather, scatter);
    }
    ["0", "1", "2", "3"].iter().for_each(|body| net.send(scatter, *body));
    assert_eq!(bodies(&net.recv_all(gathers[0])), ["0", "2"]);
    assert_eq!(bodies(&net.recv_all(gathers[1])), ["1", "3"]);
}

#[test]
fn a_channel_has_one_peer_and_both_directions() {
    let mut net = Net::new();
    let [bound, first, second] = [(); 3].map(|()| net.socket(SocketType::Channel));
    net.connect(first, bound);
    net.connect(second, bound);
    net.send(first, "there");
    net.send(bound, "back");
    assert_eq!(net.recv(bound), *"there");
    assert_eq!(net.recv(first), *"back");
    net.expect_none(second);
}

/// An address that means nothing to a socket type is no obstacle, and does not travel.
#[test]
fn an_address_stays_behind_where_it_means_nothing() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    net.connect(push, pull);
    net.send(push, Message::from("x").with_group("g"));
    let mut message = Message::from("old").with_group("g");
    net.at(pull).recv(&mut message).unwrap();
    assert_eq!(message, Message::from("x"));
}
