//! The exact order in which messages go to peers, and come from them (RFC 28, 30).

use std::sync::Arc;

use nought_proto::{Message, Outgoing, SocketType, connection::PeerInfo, pattern::SendRefusal, socket::Reopen};

use crate::harness::{Net, bodies, numbered, wire};

#[test]
fn push_gives_one_message_to_each_peer_in_turn() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pulls: Vec<_> = (0..3).map(|_| net.socket(SocketType::Pull)).collect();
    for &pull in &pulls {
        net.connect(push, pull);
    }
    for body in numbered(0..9) {
        net.send(push, &body);
    }
    assert_eq!(bodies(&net.recv_all(pulls[0])), ["0", "3", "6"]);
    assert_eq!(bodies(&net.recv_all(pulls[1])), ["1", "4", "7"]);
    assert_eq!(bodies(&net.recv_all(pulls[2])), ["2", "5", "8"]);
}

/// Its messages were written in runs, for which nobody asks whose turn it is.
#[test]
fn a_peer_that_was_alone_is_so_no_longer_when_another_comes_and_again_when_that_has_gone() {
    for (sending, receiving) in [(SocketType::Push, SocketType::Pull), (SocketType::Dealer, SocketType::Dealer)] {
        let mut net = Net::new();
        let sender = net.socket(sending);
        let receivers = [net.socket(receiving), net.socket(receiving)];
        let send_four = |net: &mut Net| {
            (0..4).for_each(|_| assert_eq!(net.at(sender).send(&Outgoing::Body(b"x")), Ok(())));
            net.pump();
            receivers.map(|receiver| net.recv_all(receiver).len())
        };
        net.connect(sender, receivers[0]);
        assert_eq!(send_four(&mut net), [4, 0]);
        let second = net.connect(receivers[1], sender);
        assert_eq!(send_four(&mut net), [2, 2]);
        net.cut(second);
        assert_eq!(send_four(&mut net), [4, 0]);
    }
}

#[test]
fn turns_are_in_the_order_in_which_peers_came_whichever_handshake_ends_first() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let links = [(); 4].map(|()| net.accept_test(push));
    for which in [1, 3, 0] {
        net.feed(links[which], wire::hello("PULL"));
        net.take(links[which]);
    }
    net.send(push, "0");
    // Of those that wait for their turns, the second is older than the late one, and the fourth is not.
    net.feed(links[2], wire::hello("PULL"));
    net.take(links[2]);
    for body in ["1", "2", "3", "4"] {
        net.send(push, body);
    }
    let frames = |bodies: &[&str]| bodies.iter().flat_map(|body| wire::frame(0, body)).collect::<Vec<_>>();
    assert_eq!(links.map(|link| net.take(link)), [frames(&["0", "4"]), frames(&["1"]), frames(&["2"]), frames(&["3"])]);
}

#[test]
fn the_turn_passes_over_a_lost_peer_and_nobody_is_skipped() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pulls: Vec<_> = (0..3).map(|_| net.socket(SocketType::Pull)).collect();
    let links: Vec<_> = pulls.iter().map(|&pull| net.connect(pull, push)).collect();
    net.send(push, "0");
    // The turn is the second's, which goes: the third is next, not the first again.
    net.cut(links[1]);
    for body in ["1", "2", "3"] {
        net.send(push, body);
    }
    assert_eq!(bodies(&net.recv_all(pulls[0])), ["0", "2"]);
    assert_eq!(bodies(&net.recv_all(pulls[2])), ["1", "3"]);
}

#[test]
fn a_peer_lost_before_the_turn_does_not_shift_it() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pulls: Vec<_> = (0..3).map(|_| net.socket(SocketType::Pull)).collect();
    let links: Vec<_> = pulls.iter().map(|&pull| net.connect(pull, push)).collect();
    net.send(push, "0");
    net.send(push, "1");
    net.cut(links[0]);
    for body in ["2", "3", "4"] {
        net.send(push, body);
    }
    assert_eq!(bodies(&net.recv_all(pulls[1])), ["1", "3"]);
    assert_eq!(bodies(&net.recv_all(pulls[2])), ["2", "4"]);
}

#[test]
fn messages_queue_evenly_to_peers_that_are_yet_to_come() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 2);
    let ids = [net.at(push).open(None), net.at(push).open(None)];
    for body in numbered(0..4) {
        net.try_send(push, &body).unwrap();
    }
    assert_eq!(net.try_send(push, "4"), Err(SendRefusal::WouldBlock));
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    for (id, pull) in ids.into_iter().zip(pulls) {
        net.dial_from(push, id, pull);
    }
    assert_eq!(bodies(&net.recv_all(pulls[0])), ["0", "2"]);
    assert_eq!(bodies(&net.recv_all(pulls[1])), ["1", "3"]);
}

#[test]
fn immediate_queues_only_to_peers_that_are_there() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.immediate = true);
    let pull = net.socket(SocketType::Pull);
    net.at(push).open(None);
    let there = net.at(push).open(None);
    assert!(!net.at(push).can_send());
    assert_eq!(net.try_send(push, "0"), Err(SendRefusal::WouldBlock));
    net.dial_from(push, there, pull);
    net.pump();
    assert!(net.at(push).can_send());
    net.send(push, "1");
    net.send(push, "2");
    assert_eq!(bodies(&net.recv_all(pull)), ["1", "2"]);
}

#[test]
fn a_full_peer_is_passed_over_until_it_has_room() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    let links = pulls.map(|pull| net.connect(push, pull));
    // The first peer's transport takes nothing: once it holds the mark's one message, all others go to the second.
    net.room(links[0], 0);
    net.send(push, "0");
    net.send(push, "1");
    let stuck: Vec<String> = numbered(2..8);
    for body in &stuck {
        net.send(push, body);
    }
    let second = bodies(&net.recv_all(pulls[1]));
    net.room(links[0], usize::MAX);
    let first = bodies(&net.recv_all(pulls[0]));
    let mut all = [first.clone(), second].concat();
    all.sort();
    assert_eq!(all, numbered(0..8));
    assert!(first.contains(&"0".to_owned()), "{first:?}");
    // With room again, it has its turn again.
    net.send(push, "8");
    net.send(push, "9");
    assert_eq!((net.recv_all(pulls[0]).len(), net.recv_all(pulls[1]).len()), (1, 1));
}

#[test]
fn pull_takes_one_message_from_each_peer_in_turn() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    for name in ["a", "b", "c"] {
        let push = net.socket(SocketType::Push);
        net.connect(push, pull);
        for number in 0..3 {
            net.send(push, format!("{name}{number}"));
        }
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]);
}

#[test]
fn a_peer_that_comes_back_with_messages_queues_behind_all_others() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let pushes: Vec<_> = (0..3).map(|_| net.socket(SocketType::Push)).collect();
    for &push in &pushes {
        net.connect(push, pull);
    }
    net.send(pushes[0], "a0");
    net.send(pushes[1], "b0");
    net.send(pushes[1], "b1");
    assert_eq!(net.recv(pull), *"a0");
    net.send(pushes[2], "c0");
    net.send(pushes[0], "a1");
    let rest = bodies(&net.recv_all(pull));
    assert_eq!(rest[0], "b0");
    assert_eq!(
        {
            let mut sorted = rest.clone();
            sorted.sort();
            sorted
        },
        ["a1", "b0", "b1", "c0"]
    );
}

#[test]
fn a_removed_peer_leaves_the_turns_of_the_others_alone() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let mut links = Vec::new();
    for name in ["a", "b", "c"] {
        let push = net.socket(SocketType::Push);
        links.push(net.connect(push, pull));
        for number in 0..2 {
            net.send(push, format!("{name}{number}"));
        }
    }
    let gone = net.accepted_id(links[1]);
    net.at(pull).remove(gone);
    assert_eq!(bodies(&net.recv_all(pull)), ["a0", "c0", "a1", "c1"]);
}

#[test]
fn dealer_does_both() {
    let mut net = Net::new();
    let dealer = net.socket(SocketType::Dealer);
    let peers = [net.socket(SocketType::Dealer), net.socket(SocketType::Dealer)];
    for peer in peers {
        net.connect(dealer, peer);
    }
    for body in numbered(0..4) {
        net.send(dealer, &body);
    }
    assert_eq!(bodies(&net.recv_all(peers[0])), ["0", "2"]);
    assert_eq!(bodies(&net.recv_all(peers[1])), ["1", "3"]);
    for body in ["0", "1"] {
        net.send(peers[0], format!("a{body}"));
        net.send(peers[1], format!("b{body}"));
    }
    assert_eq!(bodies(&net.recv_all(dealer)), ["a0", "b0", "a1", "b1"]);
}

#[test]
fn a_retired_connection_sends_what_it_has_and_gets_no_more() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 2);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    let links = pulls.map(|pull| net.connect(push, pull));
    net.room(links[0], 0);
    net.room(links[1], 0);
    while net.try_send(push, "before").is_ok() {
        net.pump();
    }
    let retired = net.id(links[0]);
    net.at(push).retire(retired);
    // That it has room again must not bring it back into the turns.
    net.room(links[0], usize::MAX);
    net.room(links[1], usize::MAX);
    net.pump();
    net.at(push).set_options(|options| options.send_hwm = 100);
    for _ in 0..4 {
        net.send(push, "after");
    }
    assert!(bodies(&net.recv_all(pulls[0])).iter().all(|body| body == "before"));
    assert_eq!(bodies(&net.recv_all(pulls[1])).iter().filter(|body| *body == "after").count(), 4);
    assert_eq!(net.at(push).lose(retired, Reopen::No), None);
}

#[test]
fn a_connection_retired_before_its_handshake_still_sends_what_it_has_and_gets_no_more() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pull = net.socket(SocketType::Pull);
    let id = net.at(push).open(None);
    net.try_send(push, "queued").unwrap();
    net.at(push).retire(id);
    assert_eq!(net.try_send(push, "late"), Err(SendRefusal::WouldBlock));
    net.dial_from(push, id, pull);
    net.pump();
    assert_eq!(net.try_send(push, "late"), Err(SendRefusal::WouldBlock));
    assert_eq!(bodies(&net.recv_all(pull)), ["queued"]);
}

#[test]
fn a_connection_that_has_failed_gets_nothing_more_even_before_the_driver_knows() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pull = net.socket(SocketType::Pull);
    let bad = net.accept_test(push);
    net.feed(bad, wire::hello("PULL"));
    net.connect(pull, push);
    let (id, now) = (net.id(bad), net.now);
    let read = net.at(push).read(id, now, |into| {
        into.extend(wire::frame(8, ""));
        Ok(2)
    });
    assert!(read.is_ok());
    for body in numbered(0..4) {
        net.try_send(push, &body).unwrap();
    }
    assert_eq!(bodies(&net.recv_all(pull)), numbered(0..4));
}

#[test]
fn who_comes_within_a_stream_of_another_has_turns_from_then_on() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let [first, second] = [(); 2].map(|()| net.socket(SocketType::Push));
    net.connect(first, pull);
    net.connect(second, pull);
    for body in numbered(0..6) {
        net.send(first, &body);
    }
    assert_eq!([(); 3].map(|()| net.recv(pull)), ["0", "1", "2"].map(Message::from));
    net.send(second, "x");
    net.send(second, "y");
    assert_eq!(bodies(&net.recv_all(pull)), ["3", "x", "4", "y", "5"]);
}

#[test]
fn each_message_of_a_stream_says_whose_it_is_whoever_is_there_before() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Dealer);
    let [first, second] =
        ["first", "second"].map(|name| net.socket_with(SocketType::Dealer, |options| options.routing_id = name.into()));
    net.connect(first, pull);
    net.connect(second, pull);
    for body in numbered(0..6) {
        net.send(first, &body);
    }
    let recv = |net: &mut Net, peer: &mut Option<Arc<PeerInfo>>| {
        net.at(pull).recv_from(&mut Message::new(), peer).unwrap();
        peer.as_ref().map(|peer| String::from_utf8(peer.routing_id.to_vec()).unwrap()).unwrap()
    };
    let (mut place, mut other) = (None, None);
    assert_eq!(recv(&mut net, &mut place), "first");
    assert_eq!(recv(&mut net, &mut place), "first");
    assert_eq!(recv(&mut net, &mut other), "first");
    net.send(second, "x");
    assert_eq!(recv(&mut net, &mut place), "first");
    assert_eq!(recv(&mut net, &mut other), "second");
    assert_eq!(recv(&mut net, &mut other), "first");
    assert_eq!(recv(&mut net, &mut None), "first");
    net.expect_none(pull);
}
