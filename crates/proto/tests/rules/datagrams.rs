//! RADIO, DISH and DGRAM over datagrams: messages without a handshake, to and from peers that cannot join.

use nought_proto::{Message, SocketType, limits::DATAGRAM_LEN_MAX, pattern::SendRefusal};

use crate::harness::{Link, Net, Node, texts, wire};

fn place(net: &mut Net, node: Node) -> Link {
    net.datagrams_test(node)
}

#[test]
fn a_radio_sends_everything_to_who_cannot_join() {
    let mut net = Net::new();
    let radio = net.socket(SocketType::Radio);
    let (first, second) = (place(&mut net, radio), net.accept_test(radio));
    net.feed(second, [wire::hello("DISH"), wire::join("a")].concat());
    net.take(second);
    for group in ["a", "b"] {
        net.send(radio, Message::from("body").with_group(group));
    }
    assert_eq!(net.take(first), [wire::message(&["a", "body"]), wire::message(&["b", "body"])].concat());
    assert_eq!(net.take(second), wire::message(&["a", "body"]));
}

#[test]
fn a_dish_sends_nothing_and_sorts() {
    let mut net = Net::new();
    let dish = net.socket(SocketType::Dish);
    net.at(dish).join(b"a").unwrap();
    let link = place(&mut net, dish);
    net.at(dish).join(b"b").unwrap();
    assert_eq!(net.take(link), b"");
    net.feed(link, ["a", "c", "b"].map(|group| wire::message(&[group, "body"])).concat());
    let groups: Vec<_> = net.recv_all(dish).iter().map(|message| message.group().unwrap().to_vec()).collect();
    assert_eq!(groups, [b"a", b"b"]);
    assert!(net.events(dish).is_empty());
}

#[test]
fn a_dgram_talks_to_addresses() {
    let mut net = Net::new();
    let dgram = net.socket(SocketType::Dgram);
    let to = |address: &str| Message::from([address, "body"]);
    assert_eq!(net.try_send(dgram, to("192.0.2.1:5")), Err(SendRefusal::WouldBlock));
    let link = place(&mut net, dgram);
    net.send(dgram, to("192.0.2.1:5"));
    net.send(dgram, to("[::1]:5"));
    let sent = ["192.0.2.1:5", "[::1]:5"].map(|address| wire::message(&[address, "body"])).concat();
    assert_eq!(net.take(link), sent);
    net.feed(link, wire::message(&["192.0.2.2:6", "answer"]));
    assert_eq!(texts(&net.recv_all(dgram)), [["192.0.2.2:6", "answer"]]);
    net.send(dgram, to("192.0.2.1:5\0"));
    assert!(net.take(link).starts_with(&wire::frame(1, "192.0.2.1:5\0")));
    for nowhere in ["", "\0", "192.0.2.1:5\0\0", "192.0.2.1", "host:5", "192.0.2.1:65536"] {
        assert_eq!(net.try_send(dgram, to(nowhere)), Err(SendRefusal::Unroutable), "{nowhere}");
    }
    let sized = |len| Message::from([b"192.0.2.1:5".to_vec(), vec![7; len]]);
    assert_eq!(net.try_send(dgram, sized(DATAGRAM_LEN_MAX)), Ok(()));
    assert_eq!(net.try_send(dgram, sized(DATAGRAM_LEN_MAX + 1)), Err(SendRefusal::TooLong));
    assert_eq!(net.try_send(dgram, "body"), Err(SendRefusal::Malformed));
}

/// It would only ever meet itself.
#[test]
fn a_dgram_over_a_stream_refuses_everybody() {
    let mut net = Net::new();
    let (one, other) = (net.socket(SocketType::Dgram), net.socket(SocketType::Dgram));
    net.connect(one, other);
    net.error(one);
    net.error(other);
}
