//! ROUTER: names, and what happens where there is no such name (RFC 28).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nought_proto::{
    Event, Frame, Message, Options, Outgoing, ProtocolError, Socket, SocketType,
    connection::{Notify, PeerInfo, Pipe},
    error::{Incompatibility, Misbehaviour},
    pattern::SendRefusal,
};

use crate::harness::{Net, texts, wire};

#[test]
fn a_peer_is_called_what_it_calls_itself() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "worker".into());
    net.connect(dealer, router);
    net.send(dealer, ["", "hello"]);
    assert_eq!(net.recv(router), Message::from(["worker", "", "hello"]));
    net.send(router, ["worker", "", "job"]);
    assert_eq!(net.recv(dealer), Message::from(["", "job"]));
}

#[test]
fn a_peer_without_a_name_gets_one_of_five_bytes_that_starts_with_zero() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.id_seed = 0xA1B2_C3D4);
    let dealers = [net.socket(SocketType::Dealer), net.socket(SocketType::Dealer)];
    for dealer in dealers {
        net.connect(dealer, router);
        net.send(dealer, "x");
    }
    let names: Vec<Frame> = (0..2).map(|_| net.recv(router)[0].clone()).collect();
    assert_eq!(names[0], [0, 0xA1, 0xB2, 0xC3, 0xD4]);
    assert_eq!(names[1], [0, 0xA1, 0xB2, 0xC3, 0xD5]);
    net.send(router, Message::from([names[1].clone(), "to the second".into()]));
    net.expect_none(dealers[0]);
    assert_eq!(net.recv(dealers[1]), *"to the second");
}

#[test]
fn the_name_given_by_this_side_goes_before_the_peers_own_and_works_before_the_peer_is_there() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.router_mandatory = true);
    let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "own".into());
    let id = net.at(router).open(Some("given".into()));
    net.try_send(router, ["given", "early"]).unwrap();
    net.dial_from(router, id, dealer);
    net.send(router, ["given", "late"]);
    assert_eq!(net.try_send(router, ["own", "x"]), Err(SendRefusal::Unroutable));
    assert_eq!(net.recv(dealer), *"early");
    assert_eq!(net.recv(dealer), *"late");
    net.send(dealer, "back");
    assert_eq!(net.recv(router), Message::from(["given", "back"]));
}

#[test]
fn a_given_name_holds_over_a_reconnect() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let dealer = net.socket(SocketType::Dealer);
    let id = net.at(router).open(Some("given".into()));
    let link = net.dial_from(router, id, dealer);
    net.pump();
    net.cut(link);
    net.try_send(router, ["given", "while away"]).unwrap();
    net.reconnect(link, dealer);
    net.send(router, ["given", "back again"]);
    assert_eq!(net.recv(dealer), *"while away");
    assert_eq!(net.recv(dealer), *"back again");
}

#[test]
fn a_given_name_that_is_taken_is_refused_and_nothing_panics() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let first = net.accept_test(router);
    net.feed(first, wire::hello_as("DEALER", "name"));
    net.take(first);
    let id = net.at(router).open(Some("name".into()));
    let second = net.start_test(router, id, true);
    net.feed(second, wire::hello("DEALER"));
    assert_eq!(net.error(router), ProtocolError::Incompatible(Incompatibility::RoutingIdTaken));
    net.send(router, ["name", "to the first"]);
    assert_eq!(net.take(first), wire::message(&["to the first"]));
}

#[test]
fn messages_to_nobody_are_dropped_and_counted() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    net.send(router, ["nobody", "x"]);
    net.send(router, ["", "x"]);
    assert_eq!(net.at(router).connections().totals().unroutable, 2);
}

#[test]
fn mandatory_they_are_refused_and_a_full_peer_makes_the_sender_wait() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_mandatory = true;
        options.send_hwm = 2;
    });
    assert_eq!(net.try_send(router, ["nobody", "x"]), Err(SendRefusal::Unroutable));
    let link = net.accept_test(router);
    net.feed(link, wire::hello_as("DEALER", "slow"));
    net.take(link);
    net.room(link, 1);
    net.send(router, ["slow", "x"]);
    net.send(router, ["slow", "x"]);
    assert_eq!(net.try_send(router, ["slow", "x"]), Err(SendRefusal::WouldBlock));
    assert_eq!(net.connection(router, link).counters().dropped_at_hwm, 0);
    net.close_test(link);
    assert_eq!(net.try_send(router, ["slow", "x"]), Err(SendRefusal::Unroutable));
}

#[test]
fn otherwise_a_full_peer_loses_what_is_too_much_and_it_is_counted() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.send_hwm = 2);
    let link = net.accept_test(router);
    net.feed(link, wire::hello_as("DEALER", "slow"));
    net.take(link);
    net.room(link, 1);
    for _ in 0..10 {
        net.send(router, ["slow", "x"]);
    }
    assert_eq!(net.connection(router, link).counters().dropped_at_hwm, 8);
}

#[test]
fn a_message_must_have_a_name_and_something_behind_it() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    assert_eq!(net.try_send(router, "name only"), Err(SendRefusal::Malformed));
}

#[test]
fn a_second_peer_of_the_same_name_is_refused() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let links = [net.accept_test(router), net.accept_test(router)];
    net.feed(links[0], wire::hello_as("DEALER", "twin"));
    net.feed(links[1], [wire::hello_as("DEALER", "twin"), wire::message(&["from the second"])].concat());
    assert_eq!(net.error(router), ProtocolError::Incompatible(Incompatibility::RoutingIdTaken));
    // It hears why, and has never believed that it was in.
    let refusal = wire::error("another peer has the same routing id");
    assert_eq!(net.take(links[1]), [wire::greeting(3, 1, "NULL"), refusal].concat());
    assert!(net.is_closed(links[1]) && !net.is_closed(links[0]));
    net.expect_none(router);
    net.feed(links[0], wire::message(&["from the first"]));
    assert_eq!(net.recv(router), Message::from(["twin", "from the first"]));
    // The name is free again once its owner is gone.
    net.close_test(links[0]);
    let third = net.accept_test(router);
    net.feed(third, [wire::hello_as("DEALER", "twin"), wire::message(&["from the third"])].concat());
    assert_eq!(net.recv(router), Message::from(["twin", "from the third"]));
}

#[test]
fn of_two_in_the_handshake_the_first_to_say_its_name_has_it_and_loses_it_with_its_connection() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let links = [(); 3].map(|()| net.accept_test(router));
    for link in links {
        net.feed(link, wire::greeting(3, 1, "NULL"));
    }
    net.feed(links[1], wire::ready_as("DEALER", "twin"));
    assert!(net.take(links[1]).ends_with(&wire::ready_as("ROUTER", "")));
    net.feed(links[0], wire::ready_as("DEALER", "twin"));
    assert_eq!(net.error(router), ProtocolError::Incompatible(Incompatibility::RoutingIdTaken));
    net.close_test(links[1]);
    net.feed(links[2], wire::ready_as("DEALER", "twin"));
    assert!(net.take(links[2]).ends_with(&wire::ready_as("ROUTER", "")));
    net.expect_no_failure(router);
}

#[test]
fn a_twin_of_an_older_version_is_refused_without_a_word() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let links = [(); 2].map(|()| net.accept_test(router));
    for link in links {
        net.feed(link, wire::hello_2_0(SocketType::Dealer.number(), "twin"));
    }
    assert_eq!(net.error(router), ProtocolError::Incompatible(Incompatibility::RoutingIdTaken));
    assert!(net.is_closed(links[1]) && !net.is_closed(links[0]));
    assert_eq!(net.at(router).connections().totals().handshake_failures, 1);
}

#[test]
fn with_handover_the_newest_has_the_name_and_the_old_ones_messages_are_kept() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| options.router_handover = true);
    let links = [net.accept_test(router), net.accept_test(router)];
    net.feed(links[0], [wire::hello_as("DEALER", "twin"), wire::message(&["old"])].concat());
    net.feed(links[1], [wire::hello_as("DEALER", "twin"), wire::message(&["new"])].concat());
    assert!(net.is_closed(links[0]) && !net.is_closed(links[1]));
    assert!(net.events(router).iter().any(|event| matches!(event, Event::Closed(_))));
    net.take(links[1]);
    net.send(router, ["twin", "x"]);
    assert_eq!(net.take(links[1]), wire::message(&["x"]));
    assert_eq!(net.recv_all(router), [Message::from(["twin", "old"]), Message::from(["twin", "new"])]);
    // The old one's end does not take the name from the new one.
    net.send(router, ["twin", "y"]);
    assert_eq!(net.take(links[1]), wire::message(&["y"]));
}

#[test]
fn a_name_of_zero_or_of_256_bytes_is_refused() {
    for name in ["\0mine".to_owned(), "n".repeat(256)] {
        let mut net = Net::new();
        let router = net.socket(SocketType::Router);
        let link = net.accept_test(router);
        net.feed(link, wire::hello_as("DEALER", &name));
        assert_eq!(net.error(router), ProtocolError::Misbehaved(Misbehaviour::RoutingId));
        assert!(net.is_closed(link));
    }
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let link = net.accept_test(router);
    let name = "n".repeat(255);
    net.feed(link, [wire::hello_as("DEALER", &name), wire::message(&["x"])].concat());
    assert_eq!(net.recv(router), Message::from([&name[..], "x"]));
}

#[test]
fn a_probe_is_an_empty_message_to_each_new_peer() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let dealer = net.socket_with(SocketType::Dealer, |options| {
        options.probe_router = true;
        options.routing_id = "prober".into();
    });
    let link = net.connect(dealer, router);
    assert_eq!(net.recv(router), Message::from(["prober", ""]));
    net.expect_none(router);
    net.cut(link);
    net.reconnect(link, router);
    assert_eq!(net.recv(router), Message::from(["prober", ""]));
    // Two ROUTERs find each other by it.
    let other = net.socket_with(SocketType::Router, |options| {
        options.probe_router = true;
        options.routing_id = "other".into();
    });
    net.connect(other, router);
    assert_eq!(net.recv(router), Message::from(["other", ""]));
    net.send(router, ["other", "hello"]);
    assert_eq!(net.recv(other)[1], *"hello");
}

#[test]
fn peers_are_received_from_in_turn_under_their_names() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    for name in ["a", "b"] {
        let link = net.accept_test(router);
        net.feed(link, [wire::hello_as("REQ", name), wire::message(&["", "0"]), wire::message(&["", "1"])].concat());
    }
    let order: Vec<String> =
        net.recv_all(router).iter().map(|message| String::from_utf8_lossy(&message[0]).into_owned()).collect();
    assert_eq!(order, ["a", "b", "a", "b"]);
}

#[test]
fn an_identity_of_a_pattern_that_has_none_is_ignored() {
    // RFC 37, "The Identity Property": for all other socket types it shall be ignored.
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello_as("PUSH", "\0ignored"), wire::message(&["x"])].concat());
    assert_eq!(net.recv(pull), *"x");
    assert!(net.connection(pull, link).peer().routing_id.is_empty());
}

#[test]
fn mandatory_one_peer_that_is_full_does_not_make_the_socket_unwritable() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_mandatory = true;
        options.send_hwm = 1;
    });
    assert!(!net.at(router).can_send(), "nobody is there");
    let links = ["stuck", "free"].map(|name| {
        let link = net.accept_test(router);
        net.feed(link, wire::hello_as("DEALER", name));
        net.take(link);
        link
    });
    net.room(links[0], 1);
    net.send(router, ["stuck", "x"]);
    assert_eq!(net.try_send(router, ["stuck", "x"]), Err(SendRefusal::WouldBlock));
    assert!(net.at(router).can_send(), "there is room for the other");
    let refused_at = net.at(router).room_epoch();
    net.room(links[1], 1);
    net.send(router, ["free", "x"]);
    assert_eq!(net.try_send(router, ["free", "x"]), Err(SendRefusal::WouldBlock));
    assert!(!net.at(router).can_send());
    // Whoever waits to send just that must not try for ever.
    assert_eq!(net.at(router).room_epoch(), refused_at);
    net.room(links[0], usize::MAX);
    net.pump();
    assert!(net.at(router).can_send());
    assert_ne!(net.at(router).room_epoch(), refused_at);
    net.send(router, ["stuck", "x"]);
}

#[test]
fn mandatory_a_sender_that_waits_hears_of_room_though_others_find_none() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_mandatory = true;
        options.send_hwm = 1;
    });
    let links = ["one", "other"].map(|name| {
        let link = net.accept_test(router);
        net.feed(link, wire::hello_as("DEALER", name));
        net.take(link);
        net.room(link, 1);
        net.send(router, [name, "x"]);
        link
    });
    assert_eq!(net.try_send(router, ["one", "x"]), Err(SendRefusal::WouldBlock));
    let refused_at = net.at(router).room_epoch();
    net.room(links[0], usize::MAX);
    net.pump();
    assert_eq!(net.try_send(router, ["other", "x"]), Err(SendRefusal::WouldBlock));
    assert_ne!(net.at(router).room_epoch(), refused_at);
    net.send(router, ["one", "x"]);
}

#[test]
fn mandatory_a_sender_that_waits_hears_that_its_peer_is_given_up_before_it_was_there() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_mandatory = true;
        options.send_hwm = 1;
    });
    let id = net.at(router).open(Some(Frame::from("expected")));
    net.send(router, ["expected", "x"]);
    assert_eq!(net.try_send(router, ["expected", "x"]), Err(SendRefusal::WouldBlock));
    let refused_at = net.at(router).room_epoch();
    net.at(router).remove(id);
    assert_ne!(net.at(router).room_epoch(), refused_at);
    assert_eq!(net.try_send(router, ["expected", "x"]), Err(SendRefusal::Unroutable));
}

#[test]
fn mandatory_a_sender_that_waits_hears_that_its_peer_is_gone() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_mandatory = true;
        options.send_hwm = 1;
    });
    let link = net.accept_test(router);
    net.feed(link, wire::hello_as("DEALER", "only"));
    net.take(link);
    net.room(link, 1);
    net.send(router, ["only", "x"]);
    assert_eq!(net.try_send(router, ["only", "x"]), Err(SendRefusal::WouldBlock));
    let refused_at = net.at(router).room_epoch();
    net.close_test(link);
    assert_ne!(net.at(router).room_epoch(), refused_at);
    assert_eq!(net.try_send(router, ["only", "x"]), Err(SendRefusal::Unroutable));
}

#[test]
fn a_probe_goes_before_what_is_queued() {
    let probing = |net: &mut Net| {
        net.socket_with(SocketType::Dealer, |options| {
            options.probe_router = true;
            options.send_hwm = 2;
        })
    };
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    for in_process in [false, true] {
        let dealer = probing(&mut net);
        let id = net.at(dealer).open(None);
        assert_eq!(net.fill(dealer, "queued"), 2);
        if in_process {
            net.join_from(dealer, id, router);
        } else {
            net.dial_from(dealer, id, router);
        }
        let received: Vec<String> =
            texts(&net.recv_all(router)).into_iter().map(|mut frames| frames.remove(1)).collect();
        assert_eq!(received, ["", "queued", "queued"]);
        assert_eq!(net.at(dealer).connections().totals().messages_out, 3);
    }
}

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

/// How long it takes to find out that none of so many peers has room.
fn time_to_find_no_room(socket_type: SocketType, peers: u16) -> Duration {
    let mut options = Options::default();
    options.router_mandatory = true;
    let mut socket = Socket::new(socket_type, options);
    let their_type = if socket_type == SocketType::Server { SocketType::Client } else { SocketType::Dealer };
    for number in 0..peers {
        let pipe = || Arc::new(Pipe::new(1, 1, false, Arc::new(Nobody), Arc::new(Nobody)));
        let id = socket.accept();
        let routing_id = Frame::from(&[&b"p"[..], &number.to_be_bytes()].concat()[..]);
        let mut peer = PeerInfo::default();
        (peer.socket_type, peer.routing_id) = (Some(their_type), routing_id.clone());
        socket.attach(id, pipe(), pipe(), peer);
        let message = match socket.routing_id_of(id) {
            Some(number) => Message::from("x").with_routing_id(number),
            None => Message::from([routing_id, "x".into()]),
        };
        assert!(socket.can_send());
        while socket.send(&Outgoing::Borrowed(&message)).is_ok() {}
    }
    let find = |_| {
        let began = Instant::now();
        (0..100).for_each(|_| assert!(!socket.can_send()));
        began.elapsed()
    };
    (0..50).map(find).min().unwrap()
}

#[test]
fn that_nobody_has_room_is_found_as_fast_among_many_as_among_few() {
    for socket_type in [SocketType::Router, SocketType::Server] {
        let (few, many) = (time_to_find_no_room(socket_type, 10), time_to_find_no_room(socket_type, 10_000));
        // It would take a thousand times as long if all were asked.
        assert!(many < few * 100, "{socket_type:?}: {few:?} among ten, {many:?} among ten thousand");
    }
}
