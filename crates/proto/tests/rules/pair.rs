//! PAIR: one peer and no other (RFC 31).

use nought_proto::{
    Event, ProtocolError, SocketType,
    error::Incompatibility,
    pattern::{RecvRefusal, SendRefusal},
};

use crate::harness::{Net, bodies};

#[test]
fn both_sides_send_and_receive_without_turns() {
    let mut net = Net::new();
    let (a, b) = (net.socket(SocketType::Pair), net.socket(SocketType::Pair));
    net.connect(a, b);
    for body in ["0", "1"] {
        net.send(a, body);
        net.send(b, format!("b{body}"));
    }
    net.send(a, ["several", "", "frames"]);
    assert_eq!(net.recv(b), *"0");
    assert_eq!(net.recv(b), *"1");
    assert_eq!(net.recv(b).len(), 3);
    assert_eq!(bodies(&net.recv_all(a)), ["b0", "b1"]);
}

#[test]
fn a_second_peer_is_refused_with_an_event_and_the_first_stays() {
    let mut net = Net::new();
    let [bound, first, second] = [(); 3].map(|()| net.socket(SocketType::Pair));
    net.connect(first, bound);
    net.expect_no_failure(bound);
    net.connect(second, bound);
    let events = net.events(bound);
    let taken = ProtocolError::Incompatible(Incompatibility::PeerTaken);
    assert!(events.iter().any(|event| matches!(event, Event::Failed(_, error) if *error == taken)), "{events:?}");
    net.send(first, "still here");
    assert_eq!(net.recv(bound), *"still here");
    net.send(bound, "to the first");
    assert_eq!(net.recv(first), *"to the first");
    assert_eq!(net.try_recv(second), Err(RecvRefusal::WouldBlock));
}

#[test]
fn the_place_is_free_once_the_peer_is_gone_and_its_messages_are_kept() {
    let mut net = Net::new();
    let [bound, first, second] = [(); 3].map(|()| net.socket(SocketType::Pair));
    let link = net.connect(first, bound);
    net.send(first, "last words");
    net.cut(link);
    assert_eq!(net.try_send(bound, "nobody"), Err(SendRefusal::WouldBlock));
    net.connect(second, bound);
    net.expect_no_failure(bound);
    net.send(second, "hello");
    assert_eq!(bodies(&net.recv_all(bound)), ["last words", "hello"]);
    net.send(bound, "welcome");
    assert_eq!(net.recv(second), *"welcome");
}
