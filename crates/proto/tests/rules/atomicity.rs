//! A message of several frames arrives whole or not at all, whatever becomes of its connection (RFC 37, "Messages").

use nought_proto::{
    Message, SocketType,
    pattern::{RecvRefusal, SendRefusal},
};

use crate::harness::{Net, Pieces, bodies, wire};

/// Messages of a peer that is lost after each possible number of bytes.
fn lost_after_each_byte(sent: &[u8], ends: &[(usize, Message)]) {
    for len in 0..=sent.len() {
        let mut net = Net::new();
        let pull = net.socket(SocketType::Pull);
        let link = net.accept_test(pull);
        net.feed(link, wire::hello("PUSH"));
        net.feed(link, &sent[..len]);
        net.close_test(link);
        let whole: Vec<Message> =
            ends.iter().filter(|(end, _)| *end <= len).map(|(_, message)| message.clone()).collect();
        assert_eq!(net.recv_all(pull), whole, "lost after {len} bytes");
        assert_eq!(net.at(pull).connections().iter().count(), 0, "nothing is left of the connection");
    }
}

#[test]
fn a_loss_within_a_message_delivers_nothing_of_it_and_all_before_it() {
    let first = wire::message(&["one"]);
    let second = wire::message(&["a", "", "c"]);
    let third = wire::message(&["x", "y"]);
    let ends = [
        (first.len(), Message::from("one")),
        (first.len() + second.len(), Message::from(["a", "", "c"])),
        (first.len() + second.len() + third.len(), Message::from(["x", "y"])),
    ];
    lost_after_each_byte(&[first, second, third].concat(), &ends);
}

#[test]
fn a_loss_within_a_large_frame_too() {
    let large = "l".repeat(9000);
    let sent = wire::message(&["head", &large, "tail"]);
    for len in [5, 6, 14, 15, 16, 4000, 9015, sent.len() - 1, sent.len()] {
        let mut net = Net::new();
        let pull = net.socket(SocketType::Pull);
        let link = net.accept_test(pull);
        net.feed(link, [wire::hello("PUSH"), wire::message(&["before"])].concat());
        net.feed(link, &sent[..len]);
        net.close_test(link);
        let received = net.recv_all(pull);
        assert_eq!(received[0], *"before");
        assert_eq!(received.len(), 1 + usize::from(len == sent.len()), "lost after {len} bytes");
    }
}

#[test]
fn a_broken_rule_within_a_message_delivers_all_before_it() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello("PUSH"), wire::message(&["whole"]), wire::frame(1, "half"), vec![0x80, 0]].concat());
    assert!(net.is_closed(link));
    assert_eq!(bodies(&net.recv_all(pull)), ["whole"]);
}

#[test]
fn commands_between_the_frames_are_no_part_of_the_message() {
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(7)] {
        let mut net = Net::in_pieces(pieces);
        let pull = net.socket(SocketType::Pull);
        let link = net.accept_test(pull);
        let large = "l".repeat(10_000);
        net.feed(link, wire::hello("PUSH"));
        net.take(link);
        let sent = [
            wire::ping(0, "before"),
            wire::frame(1, "a"),
            wire::ping(0, "between"),
            wire::frame(1, &large),
            wire::ping(0, "after large"),
            wire::command("UNKNOWN", "x".repeat(9000)),
            wire::frame(0, "c"),
            wire::ping(0, "behind"),
            wire::message(&["next"]),
        ];
        net.feed(link, sent.concat());
        let pongs = ["before", "between", "after large", "behind"].map(wire::pong).concat();
        assert_eq!(net.take(link), pongs, "{pieces:?}");
        assert_eq!(net.recv(pull), Message::from(["a", &large, "c"]));
        assert_eq!(net.recv(pull), *"next");
    }
}

#[test]
fn a_message_without_frames_is_refused() {
    let mut net = Net::new();
    for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pub, SocketType::Router, SocketType::Pair] {
        let socket = net.socket(socket_type);
        net.at(socket).open(None);
        assert_eq!(net.try_send(socket, Message::new()), Err(SendRefusal::Malformed), "{socket_type}");
    }
}

#[test]
fn sockets_that_only_send_or_only_receive_say_so() {
    let mut net = Net::new();
    for socket_type in [SocketType::Push, SocketType::Pub] {
        let socket = net.socket(socket_type);
        assert_eq!(net.try_recv(socket), Err(RecvRefusal::NotSupported), "{socket_type}");
    }
    for socket_type in [SocketType::Pull, SocketType::Sub] {
        let socket = net.socket(socket_type);
        assert_eq!(net.try_send(socket, "x"), Err(SendRefusal::NotSupported), "{socket_type}");
    }
}
