//! PAIR: one peer and no other (RFC 31).

use nought_proto::{
    Event, ProtocolError, SocketType,
    error::Incompatibility,
    pattern::{RecvRefusal, SendRefusal},
};

use crate::harness::{Link, Net, bodies, wire};

const REFUSAL: &str = "the socket takes one peer and has it";

/// The test's peer is let in.
fn expect_welcome(net: &mut Net, link: Link) {
    let sent = net.take(link);
    assert!(sent.ends_with(&wire::ready("PAIR")), "{}", sent.escape_ascii());
}

/// The test's peer is refused, and nothing has let it believe otherwise.
fn expect_refusal(net: &mut Net, link: Link) {
    let sent = net.take(link);
    assert!(sent.ends_with(&wire::error(REFUSAL)), "{}", sent.escape_ascii());
    assert!(!sent.windows(5).any(|part| part == b"READY"), "{}", sent.escape_ascii());
    assert!(net.is_closed(link));
}

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
    assert_eq!(net.error(bound), ProtocolError::Incompatible(Incompatibility::PeerTaken));
    // The other side hears why, and has never believed that it was in.
    let events = net.events(second);
    let [Event::Failed(_, ProtocolError::RefusedByPeer(reason))] = &events[..] else { panic!("{events:?}") };
    assert_eq!(reason, REFUSAL);
    assert_eq!(net.at(second).connections().totals().handshake_failures, 1);
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

#[test]
fn of_two_in_the_handshake_the_first_to_say_who_it_is_gets_the_place() {
    let mut net = Net::new();
    let bound = net.socket(SocketType::Pair);
    let [slow, fast] = [(); 2].map(|()| net.accept_test(bound));
    net.feed(slow, wire::greeting(3, 1, "NULL"));
    net.feed(fast, wire::hello("PAIR"));
    expect_welcome(&mut net, fast);
    net.feed(slow, wire::ready("PAIR"));
    expect_refusal(&mut net, slow);
    net.feed(fast, wire::message(&["hello"]));
    assert_eq!(net.recv(bound), *"hello");
    // Whoever comes now need not even say who it is.
    let late = net.accept_test(bound);
    net.feed(late, wire::greeting(3, 1, "NULL"));
    expect_refusal(&mut net, late);
}

#[test]
fn a_candidate_that_fails_frees_the_place() {
    let mut net = Net::new();
    let bound = net.socket(SocketType::Pair);
    let [misfit, silent, fits] = [(); 3].map(|()| net.accept_test(bound));
    net.feed(silent, wire::greeting(3, 1, "NULL"));
    net.feed(misfit, wire::hello("PULL"));
    assert!(net.is_closed(misfit));
    net.feed(fits, wire::hello("PAIR"));
    expect_welcome(&mut net, fits);
    net.close_test(silent);
    net.send(bound, "x");
    assert_eq!(net.take(fits), wire::message(&["x"]));
}

#[test]
fn an_endpoint_that_is_connected_to_has_the_place_until_it_is_given_up() {
    let mut net = Net::new();
    let node = net.socket(SocketType::Pair);
    let connecting = net.connect_test(node);
    let candidate = net.accept_test(node);
    net.feed(candidate, wire::hello("PAIR"));
    expect_refusal(&mut net, candidate);
    let id = net.id(connecting);
    net.at(node).remove(id);
    let candidate = net.accept_test(node);
    net.feed(candidate, wire::hello("PAIR"));
    expect_welcome(&mut net, candidate);
}

#[test]
fn a_socket_that_connects_and_has_a_peer_already_says_so_in_the_place_of_ready() {
    let mut net = Net::new();
    let [bound, first] = [(); 2].map(|()| net.socket(SocketType::Pair));
    net.connect(first, bound);
    let second = net.connect_test(bound);
    net.feed(second, wire::greeting(3, 1, "NULL"));
    expect_refusal(&mut net, second);
}
