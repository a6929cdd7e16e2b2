//! High-water marks count messages of each peer, exactly where nothing drains.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use nought_proto::{
    Outgoing, SocketType,
    connection::Flush,
    limits::{DRAINING_LEN_MAX, READ_LEN_MAX, WRITE_LEN},
    pattern::SendRefusal,
};

use crate::harness::{Link, Net, Node, bodies, numbered, wire};

#[test]
fn a_peer_yet_to_come_gets_exactly_the_marks_messages() {
    for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pair] {
        let mut net = Net::new();
        let sender = net.socket_with(socket_type, |options| options.send_hwm = 17);
        net.at(sender).open(None);
        assert_eq!(net.fill(sender, "x"), 17, "{socket_type}");
        assert_eq!(net.try_send(sender, "x"), Err(SendRefusal::WouldBlock));
        assert!(!net.at(sender).can_send());
    }
}

#[test]
fn the_mark_counts_messages_and_not_frames() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 3);
    net.at(push).open(None);
    for _ in 0..3 {
        net.try_send(push, ["a", "b", "c", "d"]).unwrap();
    }
    assert_eq!(net.try_send(push, "x"), Err(SendRefusal::WouldBlock));
}

#[test]
fn zero_is_no_limit() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 0);
    net.at(push).open(None);
    assert_eq!(net.fill(push, "x"), 100_000);
}

#[test]
fn bytes_are_a_limit_of_their_own() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm_bytes = 1000);
    net.at(push).open(None);
    // Each is 98 bytes and a header of two.
    let body = "x".repeat(98);
    assert_eq!(net.fill(push, &body), 10);
}

#[test]
fn a_live_change_applies_to_connections_that_are_there() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 5);
    net.at(push).open(None);
    assert_eq!(net.fill(push, "x"), 5);
    net.at(push).set_options(|options| options.send_hwm = 8);
    assert!(net.at(push).can_send());
    assert_eq!(net.fill(push, "x"), 3);
    net.at(push).set_options(|options| options.send_hwm = 2);
    assert_eq!(net.fill(push, "x"), 0);
}

#[test]
fn a_mark_that_is_lowered_within_a_stream_counts_for_the_next_message() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    net.at(push).open(None);
    (0..4).for_each(|_| net.try_send(push, "x").unwrap());
    net.at(push).set_options(|options| options.send_hwm = 5);
    assert_eq!(net.fill(push, "x"), 1);
    net.at(push).set_options(|options| (options.send_hwm, options.send_hwm_bytes) = (0, 7 * 3));
    assert_eq!(net.fill(push, "x"), 2);
}

#[test]
fn the_mark_counts_again_for_a_stream_whose_transport_stops_within_it() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 10);
    let pull = net.socket(SocketType::Pull);
    let link = net.connect(push, pull);
    let id = net.id(link);
    net.try_send(push, "first").unwrap();
    let mut output = net.at(push).begin_write(id).unwrap();
    // As far as is known, the transport takes all.
    (0..4).for_each(|_| net.try_send(push, "x").unwrap());
    output.advance(1);
    net.at(push).end_write(id, output);
    assert_eq!(net.fill(push, "x"), 5);
}

/// A transport that has stopped taking bytes, after it took all that was there.
fn stopped(hwm: u32) -> (Net, Node, Node, crate::harness::Link) {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = hwm);
    let pull = net.socket(SocketType::Pull);
    let link = net.connect(push, pull);
    net.room(link, 1);
    // One byte is taken and the rest is not: from here on nothing drains.
    net.send(push, "first");
    (net, push, pull, link)
}

#[test]
fn a_transport_that_stands_still_holds_exactly_the_mark() {
    let (mut net, push, pull, link) = stopped(10);
    assert_eq!(net.fill(push, "x"), 9);
    assert_eq!(net.connection(push, link).send_queue_len(), 10);
    assert_eq!(net.connection(push, link).counters().send_hwm_hits, 1);
    net.room(link, usize::MAX);
    assert_eq!(net.recv_all(pull).len(), 10);
}

#[test]
fn what_a_stopped_transport_took_of_a_write_makes_room_at_once() {
    let (mut net, push, pull, link) = stopped(6);
    let body = "x".repeat(100);
    assert_eq!(net.fill(push, &body), 5);
    // Six bytes of the first are left, and the next write has five messages of 102 bytes.
    for (room, made) in [(5, 0), (1 + 1, 1), (50, 0), (51 + 20, 1), (102 + 102, 2), (100, 1)] {
        net.room(link, room);
        net.pump();
        assert_eq!(net.fill(push, &body), made, "{room}");
        assert_eq!(net.connection(push, link).send_queue_len(), 6);
    }
    net.room(link, usize::MAX);
    assert_eq!(net.recv_all(pull).len(), 11);
}

#[test]
fn a_transport_that_drains_may_hold_more_up_to_its_bound() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pull = net.socket(SocketType::Pull);
    net.connect(push, pull);
    let body = "x".repeat(998);
    let sent = net.fill(push, &body);
    assert!(sent > 1 && sent <= DRAINING_LEN_MAX / 1000 + 1, "{sent}");
    assert_eq!(net.recv_all(pull).len(), sent);
}

/// Sends as one of a burst, and lets it travel.
fn send_in_burst(net: &mut Net, node: Node, message: &[&str]) -> Result<(), SendRefusal> {
    let message: Vec<&[u8]> = message.iter().map(|frame| frame.as_bytes()).collect();
    let sent = net.at(node).in_burst(|socket| socket.send(&message[..].into()));
    net.pump();
    sent
}

#[test]
fn a_burst_brings_each_peer_the_marks_messages_although_all_are_written() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 3);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    for pull in pulls {
        net.connect(push, pull);
    }
    for _ in 0..3 {
        (0..6).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
        assert_eq!(send_in_burst(&mut net, push, &["x"]), Err(SendRefusal::EndOfBurst));
        // Whoever is told so may go on at once, in whatever way.
        assert_ne!(net.at(push).refused_at(), Some(net.at(push).room_epoch()), "nobody would wake who waits for room");
        net.send(push, "x");
        pulls.iter().for_each(|&pull| assert!(net.recv_all(pull).len() >= 3));
    }
}

/// The pipe counts what has not been received, and all has been.
#[test]
fn a_burst_within_the_process_brings_what_both_marks_say() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 3);
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 2);
    net.join(push, pull);
    let mut send = || {
        let sent = send_in_burst(&mut net, push, &["x"]);
        assert_eq!(net.recv_all(pull).len(), usize::from(sent.is_ok()));
        sent
    };
    for _ in 0..3 {
        (0..5).for_each(|_| assert_eq!(send(), Ok(())));
        assert_eq!(send(), Err(SendRefusal::EndOfBurst));
    }
}

#[test]
fn without_a_mark_a_burst_has_no_end() {
    for in_process in [false, true] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 0);
        let pull = net.socket(SocketType::Pull);
        if in_process {
            net.join(push, pull);
        } else {
            net.connect(push, pull);
        }
        (0..3000).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    }
}

#[test]
fn a_burst_ends_with_what_is_received() {
    let mut net = Net::new();
    let (here, there) =
        (net.socket_with(SocketType::Pair, |options| options.send_hwm = 1), net.socket(SocketType::Pair));
    net.connect(here, there);
    for _ in 0..10 {
        assert_eq!(send_in_burst(&mut net, here, &["x"]), Ok(()));
        net.send(there, "y");
        assert_eq!(net.recv_all(here), ["y"]);
    }
    assert_eq!(net.recv_all(there).len(), 10);
}

#[test]
fn a_burst_ends_when_its_driver_says_so_and_not_with_a_look() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pull = net.socket(SocketType::Pull);
    net.connect(push, pull);
    for _ in 0..10 {
        assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(()));
        net.at(push).end_burst();
        assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(()));
        assert!(net.at(push).can_send());
        assert_eq!(send_in_burst(&mut net, push, &["x"]), Err(SendRefusal::EndOfBurst));
    }
    assert_eq!(net.recv_all(pull).len(), 20);
}

/// The caller writes then, and does not leave it to the driver.
#[test]
fn a_run_to_the_only_peer_is_to_be_written_at_once_when_it_is_long() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let link = net.connect(push, pull);
    let id = net.id(link);
    let socket = net.at(push);
    let body = [0; 1000];
    (0..2).for_each(|_| assert_eq!(socket.send(&Outgoing::Body(&body)), Ok(())));
    assert_eq!(socket.poll_flush(), Some((id, Flush::Dirty)));
    let flush = (0..WRITE_LEN.div_ceil(body.len())).find_map(|_| {
        assert_eq!(socket.send(&Outgoing::Body(&body)), Ok(()));
        socket.poll_flush()
    });
    assert_eq!(flush, Some((id, Flush::Full)));
}

/// What is written one after the other goes straight to the outbox; while a transport drains, without any mark.
#[test]
fn a_burst_meets_the_mark_within_a_run() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 3);
    let pull = net.socket(SocketType::Pull);
    net.connect(push, pull);
    net.send(push, "the transport takes all of this one");
    let mut send = || net.at(push).in_burst(|socket| socket.send(&Outgoing::Body(b"x")));
    for _ in 0..3 {
        (0..3).for_each(|_| assert_eq!(send(), Ok(())));
        assert_eq!(send(), Err(SendRefusal::EndOfBurst));
    }
    net.pump();
    assert_eq!(net.recv_all(pull).len(), 10);
}

/// That its subscribers are in a run is no answer to whether the burst has room for them.
#[test]
fn a_burst_of_a_publisher_that_may_drop_nothing_meets_the_mark_within_a_run() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::XPub, |options| (options.send_hwm, options.xpub_nodrop) = (3, true));
    let sub = net.socket(SocketType::Sub);
    let link = net.connect(sub, publisher);
    net.at(sub).subscribe(b"").unwrap();
    net.pump();
    net.send(publisher, "the transport takes all of this one");
    let mut send = || net.at(publisher).in_burst(|socket| socket.send(&Outgoing::Body(b"x")));
    for _ in 0..3 {
        (0..3).for_each(|_| assert_eq!(send(), Ok(())));
        assert_eq!(send(), Err(SendRefusal::EndOfBurst));
    }
    net.pump();
    assert_eq!(net.recv_all(sub).len(), 10);
    assert_eq!(net.connection(publisher, link).counters().dropped_at_hwm, 0);
}

/// To go on with others, or with the next burst, is no hit, and nothing that somebody would have to hear of.
#[test]
fn a_burst_goes_on_with_those_who_have_not_had_their_share() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 4);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    let mut links = vec![net.connect(push, pulls[0])];
    (0..3).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    links.push(net.connect(push, pulls[1]));
    let epoch = net.at(push).room_epoch();
    (0..5).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    assert_eq!(net.at(push).room_epoch(), epoch);
    assert_eq!(pulls.map(|pull| net.recv_all(pull).len()), [4, 4]);
    assert_eq!(send_in_burst(&mut net, push, &["x"]), Err(SendRefusal::EndOfBurst));
    (0..8).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    assert_eq!(pulls.map(|pull| net.recv_all(pull).len()), [4, 4]);
    links.into_iter().for_each(|link| assert_eq!(net.connection(push, link).counters().send_hwm_hits, 0));
}

/// Of those who have had their share one is left, and is in a run: it is not alone.
#[test]
fn what_is_sent_as_none_of_a_burst_goes_to_those_as_well_who_have_had_their_share() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 3);
    let [first, second, third] = [(); 3].map(|()| net.socket(SocketType::Pull));
    net.connect(push, first);
    let link = net.connect(push, second);
    (0..6).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    net.connect(push, third);
    let gone = net.id(link);
    let socket = net.at(push);
    for _ in 0..2 {
        assert_eq!(socket.in_burst(|socket| socket.send(&Outgoing::Body(b"x"))), Ok(()));
    }
    socket.retire(gone);
    (0..2).for_each(|_| assert_eq!(socket.send(&Outgoing::Body(b"y")), Ok(())));
    net.pump();
    assert_eq!(bodies(&net.recv_all(first)), ["x", "x", "x", "y"]);
    assert_eq!(bodies(&net.recv_all(third)), ["x", "x", "y"]);
}

/// A queue that is full is no burst that has ended: that there is room is told when there is some.
#[test]
fn a_burst_to_a_peer_yet_to_come_meets_the_mark_itself() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 2);
    net.at(push).open(None);
    (0..2).for_each(|_| assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(())));
    assert!(send_in_burst(&mut net, push, &["x"]).is_err());
    assert!(!net.at(push).can_send());
    assert_eq!(send_in_burst(&mut net, push, &["x"]), Err(SendRefusal::WouldBlock));
}

#[test]
fn a_burst_costs_no_message_where_what_finds_no_room_is_dropped() {
    for refuses in [false, true] {
        let mut net = Net::new();
        let router = net.socket_with(SocketType::Router, |options| {
            (options.send_hwm, options.router_mandatory) = (1, refuses);
        });
        let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "peer".into());
        net.connect(dealer, router);
        let publisher = net.socket_with(SocketType::XPub, |options| {
            (options.send_hwm, options.xpub_nodrop) = (1, refuses);
        });
        let sub = net.socket(SocketType::Sub);
        net.connect(sub, publisher);
        net.at(sub).subscribe(b"").unwrap();
        net.pump();
        let second = if refuses { Err(SendRefusal::EndOfBurst) } else { Ok(()) };
        for (sender, message, receiver) in [(router, &["peer", "x"][..], dealer), (publisher, &["x"], sub)] {
            assert_eq!(send_in_burst(&mut net, sender, message), Ok(()));
            let checked = net.at(sender).in_burst(|socket| socket.check(message[0].as_bytes()));
            assert_eq!(checked, second);
            assert_eq!(send_in_burst(&mut net, sender, message), Ok(()));
            assert_eq!(net.recv_all(receiver).len(), 2);
        }
    }
}

/// A PUSH whose peers have one message each, and with that their share of the burst; and its connection to the first.
fn two_with_their_share() -> (Net, Node, [Node; 2], Link) {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    let first = net.connect(push, pulls[0]);
    assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(()));
    net.connect(push, pulls[1]);
    assert_eq!(send_in_burst(&mut net, push, &["x"]), Ok(()));
    (net, push, pulls, first)
}

/// Who has had a share is out of its turn until the burst is over, and only for what belongs to it.
#[test]
fn what_is_sent_as_none_of_a_burst_goes_to_whoever_has_room() {
    let (mut net, push, pulls, _) = two_with_their_share();
    (0..4).for_each(|_| net.send(push, "x"));
    assert_eq!(pulls.map(|pull| net.recv_all(pull).len()), [3, 3]);
}

#[test]
fn a_peer_that_is_left_is_not_given_messages_again_when_a_burst_is_over() {
    let (mut net, push, pulls, first) = two_with_their_share();
    let id = net.id(first);
    net.at(push).retire(id);
    (0..4).for_each(|_| net.send(push, "late"));
    assert_eq!(pulls.map(|pull| net.recv_all(pull).len()), [1, 5]);
}

#[test]
fn an_attempt_that_panics_leaves_no_burst_behind() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pull = net.socket(SocketType::Pull);
    net.connect(push, pull);
    let ended = catch_unwind(AssertUnwindSafe(|| net.at(push).in_burst(|_| resume_unwind(Box::new("in an attempt")))));
    assert!(ended.is_err());
    (0..5).for_each(|_| net.send(push, "x"));
    assert_eq!(net.recv_all(pull).len(), 5);
}

#[test]
fn a_sender_that_waits_is_told_of_room() {
    let (mut net, push, pull, link) = stopped(2);
    net.fill(push, "x");
    assert!(!net.at(push).can_send());
    net.room(link, usize::MAX);
    net.pump();
    assert!(net.at(push).can_send());
    assert_eq!(net.recv_all(pull).len(), 2);
}

#[test]
fn reading_stops_at_the_receivers_mark_and_goes_on_when_half_is_taken() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 10);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    let id = net.id(link);
    for body in numbered(0..10) {
        assert!(net.at(pull).wants_read(id));
        net.feed(link, wire::message(&[&body]));
    }
    assert!(!net.at(pull).wants_read(id));
    assert_eq!(net.connection(pull, link).counters().recv_hwm_hits, 1);
    assert_eq!(net.connection(pull, link).recv_queue_len(), 10);
    // What comes now stays in the transport.
    net.feed(link, wire::message(&["late"]));
    assert_eq!(net.connection(pull, link).recv_queue_len(), 10);
    for body in numbered(0..5) {
        assert_eq!(net.try_recv(pull).unwrap(), *body);
    }
    assert!(net.at(pull).wants_attention(), "the driver must be told to read again");
    assert_eq!(bodies(&net.recv_all(pull)), ["5", "6", "7", "8", "9", "late"]);
}

#[test]
fn bytes_stop_the_reader_too() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm_bytes = 1000);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    let body = "x".repeat(98);
    for _ in 0..10 {
        assert!({
            let id = net.id(link);
            net.at(pull).wants_read(id)
        });
        net.feed(link, wire::message(&[&body]));
    }
    let id = net.id(link);
    assert!(!net.at(pull).wants_read(id));
    net.feed(link, wire::message(&["late"]));
    assert_eq!(net.recv_all(pull).len(), 11);
}

#[test]
fn a_raised_mark_of_the_receiver_applies_at_once() {
    for raised in [100, 0] {
        let mut net = Net::new();
        let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 2);
        let link = net.accept_test(pull);
        net.feed(link, wire::hello("PUSH"));
        net.feed(link, [wire::message(&["0"]), wire::message(&["1"])].concat());
        let id = net.id(link);
        assert!(!net.at(pull).wants_read(id));
        net.at(pull).set_options(|options| options.recv_hwm = raised);
        assert_eq!(net.at(pull).poll_resumed(), Some(id), "{raised}");
        assert!(net.at(pull).wants_read(id));
    }
}

#[test]
fn each_peer_has_its_own_mark() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 1);
    let links = [net.accept_test(pull), net.accept_test(pull)];
    for link in links {
        net.feed(link, wire::hello("PUSH"));
    }
    net.feed(links[0], wire::message(&["a"]));
    let ids = links.map(|link| net.id(link));
    assert_eq!(ids.map(|id| net.at(pull).wants_read(id)), [false, true]);
}

#[test]
fn a_peer_that_floods_is_read_no_further_than_mark_and_one_read() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 10);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    let flood = wire::message(&["x"]).repeat(1_000_000);
    net.feed(link, &flood);
    let counters = *net.connection(pull, link).counters();
    assert!(counters.bytes_in < (2 * READ_LEN_MAX) as u64, "{counters:?}");
    assert_eq!(net.recv_all(pull).len(), 1_000_000);
}

#[test]
fn pub_drops_at_the_mark_and_counts_what_it_drops() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::Pub, |options| options.send_hwm = 5);
    let subscriber = net.socket(SocketType::Sub);
    net.at(subscriber).subscribe(b"").unwrap();
    let link = net.connect(subscriber, publisher);
    net.room_back(link, 1);
    net.send(publisher, "0");
    for body in numbered(1..20) {
        net.send(publisher, &body);
    }
    assert_eq!(net.at(publisher).connections().totals().dropped_at_hwm, 15);
    net.room_back(link, usize::MAX);
    assert_eq!(bodies(&net.recv_all(subscriber)), numbered(0..5));
}

#[test]
fn one_slow_subscriber_takes_nothing_from_the_others() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::Pub, |options| options.send_hwm = 3);
    let subscribers = [net.socket(SocketType::Sub), net.socket(SocketType::Sub)];
    let links = subscribers.map(|subscriber| {
        net.at(subscriber).subscribe(b"").unwrap();
        net.connect(subscriber, publisher)
    });
    net.room_back(links[0], 1);
    for body in numbered(0..50) {
        net.send(publisher, &body);
    }
    assert_eq!(bodies(&net.recv_all(subscribers[1])), numbered(0..50));
    net.room_back(links[0], usize::MAX);
    assert_eq!(bodies(&net.recv_all(subscribers[0])), numbered(0..3));
}
