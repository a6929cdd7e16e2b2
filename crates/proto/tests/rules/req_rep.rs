//! REQ and REP: turns, envelopes, and what becomes of replies that are not wanted (RFC 28).

use nought_proto::{
    Event, Message, Outgoing, ProtocolError, SocketType,
    error::Misbehaviour,
    pattern::{RecvRefusal, SendRefusal},
    socket::Reopen,
};

use crate::harness::{Link, Net, Node, bodies, wire};

fn request_and_reply(net: &mut Net) -> (Node, Node, Link) {
    let (req, rep) = (net.socket(SocketType::Req), net.socket(SocketType::Rep));
    let link = net.connect(req, rep);
    (req, rep, link)
}

/// A REQ and a peer that the test plays, which has taken the first request.
fn asked(net: &mut Net, req: Node) -> Link {
    let link = net.connect_test(req);
    net.feed(link, wire::hello("ROUTER"));
    net.take(link);
    net.send(req, "request");
    link
}

#[test]
fn turns_are_strict_on_both_sides() {
    let mut net = Net::new();
    let (req, rep, _) = request_and_reply(&mut net);
    assert_eq!(net.try_recv(req), Err(RecvRefusal::OutOfTurn));
    assert_eq!(net.try_send(rep, "early"), Err(SendRefusal::OutOfTurn));
    assert!(net.at(req).can_send() && !net.at(req).can_recv() && !net.at(rep).can_send());
    net.send(req, "question");
    assert_eq!(net.try_send(req, "again"), Err(SendRefusal::OutOfTurn));
    assert_eq!(net.try_recv(req), Err(RecvRefusal::WouldBlock));
    assert!(!net.at(req).can_send() && net.at(rep).can_recv());
    assert_eq!(net.recv(rep), *"question");
    assert_eq!(net.try_recv(rep), Err(RecvRefusal::OutOfTurn));
    assert!(net.at(rep).can_send() && !net.at(rep).can_recv());
    net.send(rep, ["the", "answer"]);
    assert!(net.at(req).can_recv());
    assert_eq!(net.recv(req), Message::from(["the", "answer"]));
    net.send(req, "next");
    assert_eq!(net.recv(rep), *"next");
}

#[test]
fn a_request_travels_behind_an_empty_frame() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = asked(&mut net, req);
    assert_eq!(net.take(link), wire::message(&["", "request"]));
    net.feed(link, wire::message(&["", "re", "ply"]));
    assert_eq!(net.recv(req), Message::from(["re", "ply"]));
}

#[test]
fn without_a_peer_a_request_waits() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    assert_eq!(net.try_send(req, "x"), Err(SendRefusal::WouldBlock));
    // The refusal is no turn.
    assert_eq!(net.try_recv(req), Err(RecvRefusal::OutOfTurn));
}

#[test]
fn requests_go_to_the_peers_in_turn_and_only_the_asked_one_is_heard() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let links = [net.connect_test(req), net.connect_test(req)];
    for link in links {
        net.feed(link, wire::hello("REP"));
        net.take(link);
    }
    for (asked, other) in [(0, 1), (1, 0), (0, 1)] {
        net.send(req, "request");
        assert_eq!(net.take(links[asked]), wire::message(&["", "request"]));
        net.feed(links[other], wire::message(&["", "not asked"]));
        net.expect_none(req);
        net.feed(links[asked], wire::message(&["", "reply"]));
        assert_eq!(net.recv(req), *"reply");
    }
    assert_eq!(net.at(req).connections().totals().dropped_on_arrival, 3);
}

#[test]
fn a_reply_that_came_unasked_is_not_taken_for_the_next_one() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = asked(&mut net, req);
    net.feed(link, [wire::message(&["", "reply"]), wire::message(&["", "stale"])].concat());
    assert_eq!(net.recv(req), *"reply");
    net.send(req, "second");
    net.expect_none(req);
    net.feed(link, wire::message(&["", "second reply"]));
    assert_eq!(net.recv(req), *"second reply");
}

#[test]
fn malformed_replies_end_the_connection() {
    for frames in [&["no delimiter"][..], &["no", "delimiter"], &[""]] {
        let mut net = Net::new();
        let req = net.socket(SocketType::Req);
        let link = asked(&mut net, req);
        net.feed(link, wire::message(frames));
        assert_eq!(net.try_recv(req), Err(RecvRefusal::WouldBlock));
        assert_eq!(net.error(req), ProtocolError::Misbehaved(Misbehaviour::Envelope), "{frames:?}");
        assert!(net.is_closed(link));
    }
}

#[test]
fn a_malformed_reply_of_a_peer_that_is_gone_leaves_nothing_behind() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = net.accept_test(req);
    net.feed(link, wire::hello("REP"));
    net.feed(link, [wire::message(&["early"]), wire::message(&["early"])].concat());
    net.send(req, "request");
    net.feed(link, [wire::message(&["malformed"]), wire::message(&["malformed"])].concat());
    net.close_test(link);
    net.expect_none(req);
    net.expect_none(req);
    assert_eq!(net.at(req).connections().iter().count(), 0);
}

#[test]
fn the_reply_of_a_peer_that_is_lost_after_it_is_received() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = net.accept_test(req);
    net.feed(link, wire::hello("REP"));
    net.send(req, "request");
    net.feed(link, wire::message(&["", "reply"]));
    net.close_test(link);
    assert_eq!(net.recv(req), *"reply");
    assert_eq!(net.try_send(req, "x"), Err(SendRefusal::WouldBlock));
}

#[test]
fn a_request_that_was_not_sent_is_answered_over_the_next_connection() {
    let mut net = Net::new();
    let (req, rep, link) = request_and_reply(&mut net);
    net.room(link, 0);
    net.send(req, "question");
    net.cut(link);
    net.expect_none(req);
    net.reconnect(link, rep);
    assert_eq!(net.recv(rep), *"question");
    net.send(rep, "answer");
    assert_eq!(net.recv(req), *"answer");
}

#[test]
fn relaxed_a_request_may_be_sent_again_and_the_old_reply_is_dropped() {
    let mut net = Net::new();
    let req = net.socket_with(SocketType::Req, |options| {
        options.req_relaxed = true;
        options.req_correlate = true;
    });
    let link = asked(&mut net, req);
    assert_eq!(net.take(link), wire::message(&["\0\0\0\x01", "", "request"]));
    assert!(net.at(req).can_send());
    net.send(req, "again");
    assert_eq!(net.take(link), wire::message(&["\0\0\0\x02", "", "again"]));
    net.feed(link, wire::message(&["\0\0\0\x01", "", "stale"]));
    net.expect_none(req);
    net.feed(link, wire::message(&["\0\0\0\x02", "", "fresh"]));
    assert_eq!(net.recv(req), *"fresh");
    net.expect_no_failure(req);
    assert_eq!(net.connection(req, link).counters().dropped_on_arrival, 1);
}

#[test]
fn relaxed_a_reply_that_has_come_is_dropped_by_the_next_request() {
    let mut net = Net::new();
    let req = net.socket_with(SocketType::Req, |options| options.req_relaxed = true);
    let link = asked(&mut net, req);
    net.feed(link, wire::message(&["", "first"]));
    assert!(net.at(req).can_recv());
    net.send(req, "again");
    net.expect_none(req);
    net.feed(link, wire::message(&["", "second"]));
    assert_eq!(net.recv(req), *"second");
}

#[test]
fn relaxed_a_reply_that_has_come_is_kept_when_the_next_request_finds_no_room() {
    let mut net = Net::new();
    let req = net.socket_with(SocketType::Req, |options| {
        options.req_relaxed = true;
        options.send_hwm = 1;
    });
    let link = net.connect_test(req);
    net.feed(link, wire::hello("ROUTER"));
    net.take(link);
    // One byte of the request is taken, and no more.
    net.room(link, 1);
    net.send(req, "request");
    net.feed(link, wire::message(&["", "reply"]));
    assert!(net.at(req).can_recv());
    assert_eq!(net.try_send(req, "again"), Err(SendRefusal::WouldBlock));
    assert_eq!(net.recv(req), *"reply");
}

/// Whether there is room is one look at the pipe, and to write another: the peer may go between them.
#[test]
fn relaxed_a_reply_that_has_come_is_kept_when_the_peer_goes_before_the_next_request_is_written() {
    let mut net = Net::new();
    let req = net.socket_with(SocketType::Req, |options| options.req_relaxed = true);
    let rep = net.socket(SocketType::Rep);
    let (_, accepted) = net.join(req, rep);
    net.send(req, "request");
    assert_eq!(net.recv(rep), *"request");
    net.send(rep, "reply");
    // The REQ has not heard of it yet.
    net.at(rep).lose(accepted, Reopen::No);
    assert_eq!(net.at(req).send(&Outgoing::Body(b"again")), Err(SendRefusal::WouldBlock));
    assert_eq!(net.recv(req), *"reply");
}

#[test]
fn correlated_a_reply_needs_its_number() {
    for (frames, malformed) in [
        (&["\0\0\0\x07", "", "other"][..], false),
        (&["12345", "", "long"], true),
        // It may be for a request from before correlate was switched on.
        (&["", "none"], false),
        (&["\0\0\0\x01", "no delimiter"], true),
        (&["\0\0\0\x01", ""], true),
    ] {
        let mut net = Net::new();
        let req = net.socket_with(SocketType::Req, |options| options.req_correlate = true);
        let link = asked(&mut net, req);
        net.feed(link, wire::message(frames));
        net.expect_none(req);
        let events = net.events(req);
        let failed = events.iter().any(|event| matches!(event, Event::Failed(..)));
        assert_eq!(failed, malformed, "{frames:?}");
    }
}

#[test]
fn correlated_numbers_start_where_the_options_say_and_wrap() {
    let mut net = Net::new();
    let req = net.socket_with(SocketType::Req, |options| {
        options.req_correlate = true;
        options.id_seed = u32::MAX;
    });
    let link = asked(&mut net, req);
    assert_eq!(net.take(link), wire::message(&["\0\0\0\0", "", "request"]));
}

#[test]
fn rep_returns_an_envelope_of_several_hops_as_it_came() {
    let mut net = Net::new();
    let rep = net.socket(SocketType::Rep);
    let link = net.accept_test(rep);
    net.feed(link, wire::hello("DEALER"));
    net.take(link);
    net.feed(link, wire::message(&["hop 2", "hop 1", "", "question", "", "tail"]));
    assert_eq!(net.recv(rep), Message::from(["question", "", "tail"]));
    net.send(rep, ["", "answer"]);
    assert_eq!(net.take(link), wire::message(&["hop 2", "hop 1", "", "", "answer"]));
}

#[test]
fn rep_drops_requests_without_a_delimiter_or_a_body_and_goes_on() {
    let mut net = Net::new();
    let rep = net.socket(SocketType::Rep);
    let link = net.accept_test(rep);
    net.feed(link, wire::hello("DEALER"));
    net.feed(link, [wire::message(&["bare"]), wire::message(&["id", ""]), wire::message(&["", "good"])].concat());
    assert_eq!(net.recv(rep), *"good");
    assert_eq!(net.connection(rep, link).counters().dropped_on_arrival, 2);
    net.expect_no_failure(rep);
}

#[test]
fn rep_serves_its_peers_in_turn() {
    let mut net = Net::new();
    let rep = net.socket(SocketType::Rep);
    let dealers = [net.socket(SocketType::Dealer), net.socket(SocketType::Dealer)];
    for (name, dealer) in ["a", "b"].into_iter().zip(dealers) {
        net.connect(dealer, rep);
        for number in 0..2 {
            net.send(dealer, ["", &format!("{name}{number}")]);
        }
    }
    for expected in ["a0", "b0", "a1", "b1"] {
        assert_eq!(net.recv(rep), *expected);
        net.send(rep, expected);
    }
    assert_eq!(net.recv_all(dealers[0]), [Message::from(["", "a0"]), Message::from(["", "a1"])]);
    assert_eq!(net.recv_all(dealers[1]), [Message::from(["", "b0"]), Message::from(["", "b1"])]);
}

#[test]
fn a_reply_to_a_peer_that_is_gone_is_dropped_and_counted_and_the_service_goes_on() {
    let mut net = Net::new();
    let rep = net.socket(SocketType::Rep);
    let link = net.accept_test(rep);
    net.feed(link, [wire::hello("REQ"), wire::message(&["", "question"])].concat());
    assert_eq!(net.recv(rep), *"question");
    net.close_test(link);
    net.send(rep, "answer");
    let req = net.socket(SocketType::Req);
    net.connect(req, rep);
    net.send(req, "next");
    assert_eq!(net.recv(rep), *"next");
    let counters = net.at(rep).connections().totals();
    assert_eq!((counters.dropped_at_hwm, counters.lost, counters.unroutable), (0, 0, 1));
}

#[test]
fn a_reply_to_a_peer_that_does_not_read_never_blocks_the_service() {
    let mut net = Net::new();
    let rep = net.socket_with(SocketType::Rep, |options| options.send_hwm = 1);
    let link = net.accept_test(rep);
    net.feed(link, wire::hello("DEALER"));
    net.room(link, 1);
    for _ in 0..5 {
        net.feed(link, wire::message(&["", "question"]));
        net.recv(rep);
        net.send(rep, "answer");
    }
    assert_eq!(net.connection(rep, link).counters().dropped_at_hwm, 4);
}

#[test]
fn through_two_routers_and_dealers_every_reply_finds_its_requester() {
    let mut net = Net::new();
    let (router, dealer) = (net.socket(SocketType::Router), net.socket(SocketType::Dealer));
    let (router2, dealer2) = (net.socket(SocketType::Router), net.socket(SocketType::Dealer));
    let rep = net.socket(SocketType::Rep);
    net.connect(dealer, router2);
    net.connect(dealer2, rep);
    let reqs: Vec<_> = (0..3).map(|_| net.socket(SocketType::Req)).collect();
    for (number, &req) in reqs.iter().enumerate() {
        net.connect(req, router);
        net.send(req, number.to_string());
    }
    let pass = |net: &mut Net, from: Node, to: Node| {
        for message in net.recv_all(from) {
            net.send(to, message);
        }
    };
    pass(&mut net, router, dealer);
    pass(&mut net, router2, dealer2);
    for _ in &reqs {
        let request = net.recv(rep);
        net.send(rep, request);
    }
    pass(&mut net, dealer2, router2);
    pass(&mut net, dealer, router);
    for (number, &req) in reqs.iter().enumerate() {
        assert_eq!(bodies(&net.recv_all(req)), [number.to_string()]);
    }
}

#[test]
fn a_malformed_reply_is_counted() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = asked(&mut net, req);
    net.feed(link, wire::message(&["no delimiter"]));
    net.expect_none(req);
    assert_eq!(net.at(req).connections().totals().dropped_on_arrival, 1);
}

/// Looking for a message may take the last one of a lost connection, which goes then.
#[test]
fn whose_a_message_is_can_be_told_after_its_connection_is_gone() {
    for (socket_type, peer, body) in [
        (SocketType::Rep, "REQ", &["", "x"][..]),
        (SocketType::Req, "REP", &["", "x"]),
        (SocketType::Sub, "PUB", &["x"]),
        (SocketType::Pull, "PUSH", &["x"]),
    ] {
        let mut net = Net::new();
        let node = net.socket(socket_type);
        let _ = net.at(node).subscribe(b"");
        let link = net.accept_test(node);
        let hello = [
            wire::greeting(3, 1, "NULL"),
            wire::command("READY", [wire::property("Socket-Type", peer), wire::property("X-Who", "the peer")].concat()),
        ]
        .concat();
        net.feed(link, hello);
        let _ = net.try_send(node, "request");
        net.feed(link, wire::message(body));
        net.close_test(link);
        assert!(net.at(node).can_recv());
        let mut message = Message::new();
        let mut from = None;
        net.at(node).recv_from(&mut message, &mut from).unwrap();
        let from = from.expect("it is known");
        assert_eq!(from.metadata.get("X-Who"), Some(&b"the peer"[..]), "{socket_type}");
        assert_eq!(message, *"x");
        assert_eq!(net.at(node).connections().iter().count(), 0, "{socket_type}");
    }
}

#[test]
fn correlate_can_be_switched_between_request_and_reply() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = asked(&mut net, req);
    assert_eq!(net.take(link), wire::message(&["", "request"]));
    // The reply has the form of its request.
    net.at(req).set_options(|options| options.req_correlate = true);
    net.feed(link, wire::message(&["", "reply"]));
    assert_eq!(net.recv(req), *"reply");
    net.send(req, "numbered");
    assert_eq!(net.take(link), wire::message(&["\0\0\0\x02", "", "numbered"]));
    net.at(req).set_options(|options| options.req_correlate = false);
    net.feed(link, wire::message(&["\0\0\0\x02", "", "reply"]));
    assert_eq!(net.recv(req), *"reply");
    net.send(req, "plain");
    assert_eq!(net.take(link), wire::message(&["", "plain"]));
    net.expect_no_failure(req);
}

#[test]
fn replies_from_before_correlate_was_switched_are_stale_and_no_misbehaviour() {
    for correlate in [true, false] {
        let mut net = Net::new();
        let req = net.socket_with(SocketType::Req, |options| {
            options.req_correlate = !correlate;
            options.req_relaxed = true;
        });
        let link = asked(&mut net, req);
        net.at(req).set_options(|options| options.req_correlate = correlate);
        net.send(req, "again");
        let forms: [&[&str]; 2] = if correlate {
            [&["", "stale"], &["\0\0\0\x02", "", "fresh"]]
        } else {
            [&["\0\0\0\x01", "", "stale"], &["", "fresh"]]
        };
        net.feed(link, forms.map(wire::message).concat());
        assert_eq!(net.recv(req), *"fresh");
        net.expect_no_failure(req);
        assert_eq!(net.connection(req, link).counters().dropped_on_arrival, 1);
    }
}

#[test]
fn relaxed_can_be_switched_while_a_reply_is_awaited() {
    let mut net = Net::new();
    let req = net.socket(SocketType::Req);
    let link = asked(&mut net, req);
    assert_eq!(net.try_send(req, "again"), Err(SendRefusal::OutOfTurn));
    assert!(!net.at(req).can_send());
    net.at(req).set_options(|options| options.req_relaxed = true);
    assert!(net.at(req).can_send());
    net.send(req, "again");
    net.at(req).set_options(|options| options.req_relaxed = false);
    assert_eq!(net.try_send(req, "and again"), Err(SendRefusal::OutOfTurn));
    net.feed(link, wire::message(&["", "reply"]));
    assert_eq!(net.recv(req), *"reply");
    net.send(req, "next");
}
