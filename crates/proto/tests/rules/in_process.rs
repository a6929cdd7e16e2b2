//! Sockets of one process: the same rules, over pipes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use nought_proto::{
    Event, Message, Options, Outgoing, Socket, SocketType,
    connection::{Notify, Pipe},
    limits::{SUBSCRIPTION_BACKLOG_LEN_MAX, XPUB_BACKLOG_MAX},
    pattern::{RecvRefusal, SendRefusal},
    socket::Reopen,
};

use crate::harness::{Net, bodies, numbered};

#[test]
fn messages_of_every_shape_pass() {
    let mut net = Net::new();
    let (a, b) = (net.socket(SocketType::Pair), net.socket(SocketType::Pair));
    net.join(a, b);
    let large = "l".repeat(100_000);
    let messages =
        [Message::from(""), Message::from("x"), Message::from(["a", "", &large, "b"]), Message::from(&large[..])];
    for message in &messages {
        net.send(a, message);
        net.send(b, message.clone());
    }
    assert_eq!(net.recv_all(a), messages);
    assert_eq!(net.recv_all(b), messages);
}

/// The memory that the sender has copied it into comes to the receiver, and back to the sender's pool.
#[test]
fn a_large_borrowed_body_is_handed_on_by_reference() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    net.join(push, pull);
    let body = vec![7; 50_000];
    let (mut places, mut others) = (Vec::new(), Vec::new());
    for outgoing in [Outgoing::Body(&body), Outgoing::Bodies(&[&body]), Outgoing::Body(&body)] {
        net.at(push).send(&outgoing).unwrap();
        let received = net.recv_all(pull);
        assert_eq!(received, [Message::from(&body[..])]);
        places.push(received[0][0].as_ptr());
        drop(received);
        // Takes whatever memory the allocator has for such a body.
        others.push(body.clone());
    }
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
}

/// Whoever sends to one peer alone tries it before its pattern does.
#[test]
fn a_message_that_finds_no_room_meets_the_mark_once() {
    for (sender, receiver) in [(SocketType::Push, SocketType::Pull), (SocketType::Pair, SocketType::Pair)] {
        let mut net = Net::new();
        let [sender, receiver] = [sender, receiver]
            .map(|kind| net.socket_with(kind, |options| (options.send_hwm, options.recv_hwm) = (1, 1)));
        net.join(sender, receiver);
        assert_eq!(net.fill(sender, "x"), 2);
        let counters = net.at(sender).connections().totals();
        assert_eq!((counters.messages_out, counters.send_hwm_hits), (2, 1));
        assert_eq!(net.recv_all(receiver).len(), 2);
        net.send(sender, "y");
        assert_eq!(net.recv_all(receiver), [Message::from("y")]);
    }
}

/// Who has found no room hears of some; until then no message finds any, of however many frames.
#[test]
fn whether_there_is_room_is_the_same_for_every_message() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 5);
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 5);
    net.join(push, pull);
    assert_eq!(net.fill(push, "x"), 10);
    net.pump();
    let two_frames = [&b"a"[..], b"b"];
    for left in (0..10).rev() {
        net.try_recv(pull).unwrap();
        net.pump();
        let has_room = net.at(push).can_send();
        assert_eq!(net.try_send(push, Outgoing::Bodies(&two_frames)).is_ok(), has_room, "two frames, {left} left");
        assert_eq!(net.try_send(push, "y").is_ok(), has_room, "one frame, {left} left");
        if has_room {
            return;
        }
    }
    panic!("it has not heard of room");
}

#[test]
fn nothing_is_written_to_the_only_peer_once_its_output_is_closed() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let (id, _) = net.join(push, pull);
    net.send(push, "x");
    net.at(push).close_output(id);
    assert_eq!(net.try_send(push, "y"), Err(SendRefusal::WouldBlock));
    assert_eq!(net.recv_all(pull), [Message::from("x")]);
}

#[test]
fn a_pipe_holds_exactly_the_sum_of_both_marks() {
    for (send_hwm, recv_hwm) in [(1, 1), (5, 7), (1000, 1000)] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| options.send_hwm = send_hwm);
        let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = recv_hwm);
        net.join(push, pull);
        let sum = (send_hwm + recv_hwm) as usize;
        assert_eq!(net.fill(push, "x"), sum);
        assert_eq!(net.try_send(push, "x"), Err(SendRefusal::WouldBlock));
        assert!(!net.at(push).can_send());
        // What the receiver has taken over and not received still counts.
        net.pump();
        assert!(net.at(pull).can_recv());
        net.pump();
        assert_eq!(net.fill(push, "x"), 0);
        assert_eq!(net.recv_all(pull).len(), sum);
        net.pump();
        assert_eq!(net.fill(push, "x"), sum);
    }
}

#[test]
fn a_reader_in_the_middle_of_a_stream_makes_room() {
    for takes_small in [false, true] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1000);
        let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 1000);
        net.join(push, pull);
        assert_eq!(net.fill(push, "x"), 2000);
        net.pump();
        // A writer that waits hears of room when half of the pipe is free.
        for _ in 0..1200 {
            let small = takes_small.then(|| net.at(pull).recv_small_from(&mut None, |_| ())).flatten();
            small.unwrap_or_else(|| drop(net.try_recv(pull).unwrap()));
        }
        net.pump();
        // It knows of what is received but for a sixteenth of what the pipe holds.
        let found = net.fill(push, "x");
        assert!((1200 - 2000 / 16..=1200).contains(&found), "room for {found}");
        assert_eq!(net.recv_all(pull).len(), 800 + found);
        net.pump();
        assert_eq!(net.fill(push, "x"), 2000);
    }
}

#[test]
fn places_become_free_by_halves_where_that_is_asked_for() {
    for (send_hwm, recv_hwm) in [(1, 1), (1, 2), (3, 4), (10, 10), (50, 51)] {
        let [mut there, back] =
            [(); 2].map(|()| Pipe::new(send_hwm, recv_hwm, false, Arc::new(Nobody), Arc::new(Nobody)));
        there.free_by_halves();
        let (there, back) = (Arc::new(there), Arc::new(back));
        let [mut push, mut pull] = [SocketType::Push, SocketType::Pull].map(|of| Socket::new(of, Options::default()));
        let (to_pull, to_push) = (push.open(None), pull.accept());
        push.attach(to_pull, Arc::clone(&there), Arc::clone(&back), pull.introduction());
        pull.attach(to_push, back, there, push.introduction());

        let both = usize::try_from(send_hwm + recv_hwm).unwrap();
        let half = both.div_ceil(2);
        let mut sent = 0;
        for received in 0..=4 * both {
            if received > 0 {
                pull.recv(&mut Message::new()).unwrap();
            }
            push.pipe_changed(to_pull);
            while push.send(&Outgoing::Body(b"x")).is_ok() {
                sent += 1;
            }
            assert_eq!(sent, received / half * half + both, "{received} received of {both} places");
            pull.pipe_changed(to_push);
        }
    }
}

#[test]
fn zero_on_either_side_is_no_limit() {
    for (send_hwm, recv_hwm) in [(0, 1), (1, 0), (0, 0)] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| options.send_hwm = send_hwm);
        let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = recv_hwm);
        net.join(push, pull);
        assert_eq!(net.fill(push, "x"), 100_000);
        assert_eq!(net.recv_all(pull).len(), 100_000);
    }
}

#[test]
fn a_waiting_sender_hears_of_room() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 1);
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 1);
    net.join(push, pull);
    net.fill(push, "x");
    assert!(!net.at(push).can_send());
    net.recv(pull);
    assert!(net.at(push).can_send());
}

#[test]
fn what_was_queued_before_goes_first() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 10);
    let pull = net.socket(SocketType::Pull);
    let id = net.at(push).open(None);
    for body in numbered(0..10) {
        net.try_send(push, &body).unwrap();
    }
    net.join_from(push, id, pull);
    net.send(push, "10");
    assert_eq!(bodies(&net.recv_all(pull)), numbered(0..11));
}

#[test]
fn a_request_and_its_reply() {
    let mut net = Net::new();
    let (req, rep) = (net.socket(SocketType::Req), net.socket(SocketType::Rep));
    net.join(req, rep);
    for body in ["0", "1"] {
        net.send(req, body);
        assert_eq!(net.recv(rep), *body);
        net.send(rep, ["re", body]);
        assert_eq!(net.recv(req), Message::from(["re", body]));
    }
}

#[test]
fn routing_ids_are_known_at_once() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "worker".into());
    net.join(dealer, router);
    net.send(router, ["worker", "job"]);
    assert_eq!(net.recv(dealer), *"job");
}

#[test]
fn subscriptions_are_there_once_subscribed() {
    let mut net = Net::new();
    let (publisher, subscriber) = (net.socket(SocketType::Pub), net.socket(SocketType::Sub));
    net.at(subscriber).subscribe(b"before").unwrap();
    net.join(subscriber, publisher);
    assert_eq!(net.at(publisher).subscriptions(), 1);
    net.at(subscriber).subscribe(b"a").unwrap();
    net.at(subscriber).unsubscribe(b"before").unwrap();
    net.pump();
    for body in ["a1", "b1", "before"] {
        net.send(publisher, body);
    }
    assert_eq!(bodies(&net.recv_all(subscriber)), ["a1"]);
}

#[test]
fn subscriptions_and_large_messages_upstream_keep_their_order() {
    let mut net = Net::new();
    let (xpub, xsub) = (net.socket(SocketType::XPub), net.socket(SocketType::XSub));
    net.join(xsub, xpub);
    let large = "l".repeat(20_000);
    for message in
        [Message::from("\x01a"), Message::from(&large[..]), Message::from(["x", &large, "y"]), Message::from("\x01b")]
    {
        net.try_send(xsub, message).unwrap();
    }
    net.try_send(xsub, "last").unwrap();
    let received = net.recv_all(xpub);
    let expected: [Message; 5] =
        ["\x01a".into(), (&large[..]).into(), ["x", &large, "y"].into(), "\x01b".into(), "last".into()];
    assert_eq!(received, expected);
    assert_eq!(net.at(xpub).subscriptions(), 2);
}

#[test]
fn what_waits_of_a_peer_for_an_xpubs_application_is_bounded() {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| options.recv_hwm = 0);
    let xsub = net.socket(SocketType::XSub);
    let (id, accepted) = net.join(xsub, xpub);
    assert_eq!(net.fill(xsub, "x"), 100_000);
    for _ in 1..XPUB_BACKLOG_MAX / 100_000 {
        net.pump();
        net.fill(xsub, "x");
    }
    net.pump();
    net.try_send(xsub, "behind").unwrap();
    net.at(xsub).subscribe(b"a").unwrap();
    net.pump();
    let queue_len = |net: &mut Net, node, id| {
        let connection = net.at(node).connection(id).unwrap();
        (connection.recv_queue_len(), connection.send_queue_len())
    };
    assert_eq!(queue_len(&mut net, xpub, accepted).0, XPUB_BACKLOG_MAX);
    assert_eq!(queue_len(&mut net, xsub, id).1, 1);
    assert_eq!(net.at(xpub).subscriptions(), 0);
    net.at(xsub).remove(id);
    let received = net.recv_all(xpub);
    assert_eq!(received.len(), XPUB_BACKLOG_MAX + 3);
    assert_eq!(bodies(&received[XPUB_BACKLOG_MAX..]), ["behind", "\x01a", "\x00a"]);
    assert_eq!(net.at(xpub).connections().iter().count(), 0);
}

/// All at once: what carries the peer over its share is the last that was looked for.
#[test]
fn a_peer_is_heard_again_when_its_backlog_is_taken() {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| options.recv_hwm = 0);
    let xsub = net.socket_with(SocketType::XSub, |options| options.send_hwm = 0);
    net.join(xsub, xpub);
    for _ in 0..XPUB_BACKLOG_MAX + 10 {
        net.at(xsub).send(&Outgoing::from("x")).unwrap();
    }
    net.pump();
    assert_eq!(net.recv_all(xpub).len(), XPUB_BACKLOG_MAX + 10);
    net.try_send(xsub, "after").unwrap();
    net.at(xsub).subscribe(b"a").unwrap();
    assert_eq!(bodies(&net.recv_all(xpub)), ["after", "\x01a"]);
}

/// Each is seen in the middle of the other's work.
#[test]
fn messages_and_subscriptions_keep_their_order_while_both_sides_are_at_it() {
    const ROUNDS: usize = 4000;
    struct Nobody;
    impl Notify for Nobody {
        fn notify(&self) {}
    }
    let [mut xpub, mut xsub] = [SocketType::XPub, SocketType::XSub].map(|kind| Socket::new(kind, Options::default()));
    let (id, accepted) = (xsub.open(None), xpub.accept());
    let pipe = || Arc::new(Pipe::new(0, 0, false, Arc::new(Nobody), Arc::new(Nobody)));
    let (there, back) = (pipe(), pipe());
    xpub.attach(accepted, Arc::clone(&back), Arc::clone(&there), xsub.introduction());
    xsub.attach(id, there, back, xpub.introduction());
    let is_over = Arc::new(AtomicBool::new(false));
    let received_len = Arc::new(AtomicUsize::new(0));
    let writer = std::thread::spawn({
        let (is_over, received_len) = (Arc::clone(&is_over), Arc::clone(&received_len));
        move || {
            for number in 0.. {
                xsub.send(&Outgoing::from(format!("{number}"))).unwrap();
                xsub.subscribe(format!("{number}").as_bytes()).unwrap();
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                // The reader is never far behind.
                while received_len.load(Ordering::Relaxed) + 3 < 2 * number && !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        }
    });
    let (mut received, mut message) = (0, Message::new());
    while received < ROUNDS {
        xpub.pipe_changed(accepted);
        while xpub.poll_event().is_some() {}
        while received < ROUNDS && xpub.recv(&mut message).is_ok() {
            let number = (received / 2).to_string();
            let expected = if received % 2 == 0 { number } else { format!("\x01{number}") };
            assert_eq!(message, *expected);
            received += 1;
            received_len.store(received, Ordering::Relaxed);
        }
    }
    is_over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn a_maximum_message_size_is_for_strangers_and_not_for_the_own_process() {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| options.max_message_size = Some(3));
    let xsub = net.socket(SocketType::XSub);
    net.join(xsub, xpub);
    net.try_send(xsub, "before").unwrap();
    net.try_send(xsub, "\x01a").unwrap();
    net.try_send(xsub, "behind").unwrap();
    assert_eq!(bodies(&net.recv_all(xpub)), ["before", "\x01a", "behind"]);
    net.expect_no_failure(xpub);
}

#[test]
fn an_end_is_told_after_everything_is_received_and_once() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
    let (id, accepted) = net.join(push, pull);
    net.send(push, "0");
    net.send(push, "1");
    // The reader has the first two; the others are still in the pipe when the sender goes.
    net.try_send(push, "2").unwrap();
    net.try_send(push, "3").unwrap();
    net.at(push).remove(id);
    assert_eq!(bodies(&net.recv_all(pull)), numbered(0..4));
    let closed: Vec<Event> =
        net.events(pull).into_iter().filter(|event| matches!(event, Event::PeerClosed(_))).collect();
    assert_eq!(closed, [Event::PeerClosed(accepted)]);
    assert_eq!(net.at(pull).connections().iter().count(), 0);
}

#[test]
fn an_end_without_anything_to_receive_is_told_at_once() {
    let mut net = Net::new();
    let (a, b) = (net.socket(SocketType::Pair), net.socket(SocketType::Pair));
    let (id, accepted) = net.join(a, b);
    net.at(a).remove(id);
    assert!(net.events(b).contains(&Event::PeerClosed(accepted)));
    assert_eq!(net.try_send(b, "x"), Err(SendRefusal::WouldBlock));
    let third = net.socket(SocketType::Pair);
    net.join(third, b);
    net.send(third, "hello");
    assert_eq!(net.recv(b), *"hello");
}

#[test]
fn a_message_to_a_reader_that_is_gone_is_refused_and_not_lost() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    let ids = pulls.map(|pull| net.join(push, pull));
    net.at(pulls[0]).remove(ids[0].1);
    // The sender has not heard of it yet.
    for body in numbered(0..4) {
        net.try_send(push, &body).unwrap();
    }
    assert_eq!(bodies(&net.recv_all(pulls[1])), numbered(0..4));
    assert_eq!(net.try_recv(pulls[0]), Err(RecvRefusal::WouldBlock));
}

#[test]
fn turns_are_as_exact_as_over_the_wire() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let pulls = [net.socket(SocketType::Pull), net.socket(SocketType::Pull)];
    for pull in pulls {
        net.join(push, pull);
    }
    for body in numbered(0..6) {
        net.try_send(push, &body).unwrap();
    }
    assert_eq!(bodies(&net.recv_all(pulls[0])), ["0", "2", "4"]);
    assert_eq!(bodies(&net.recv_all(pulls[1])), ["1", "3", "5"]);
    let pushes = [net.socket(SocketType::Push), net.socket(SocketType::Push)];
    let pull = net.socket(SocketType::Pull);
    for (name, push) in ["a", "b"].into_iter().zip(pushes) {
        net.join(push, pull);
        for number in 0..3 {
            net.try_send(push, format!("{name}{number}")).unwrap();
        }
    }
    assert_eq!(bodies(&net.recv_all(pull)), ["a0", "b0", "a1", "b1", "a2", "b2"]);
}

#[test]
fn an_introduction_carries_what_ready_would() {
    let mut net = Net::new();
    let dealer = net.socket_with(SocketType::Dealer, |options| {
        options.routing_id = "me".into();
        options.metadata.push("X-Key", "value");
    });
    let router = net.socket(SocketType::Router);
    let (_, accepted) = net.join(dealer, router);
    let peer = net.at(router).connection(accepted).unwrap().peer().clone();
    assert_eq!(peer.routing_id, *"me");
    assert_eq!(peer.metadata.get("x-key"), Some(&b"value"[..]));
    assert_eq!((peer.version, peer.socket_type), (None, Some(SocketType::Dealer)));
}

#[test]
fn live_changes_of_the_marks_apply_to_the_pipe() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.send_hwm = 2);
    let pull = net.socket_with(SocketType::Pull, |options| options.recv_hwm = 3);
    net.join(push, pull);
    assert_eq!(net.fill(push, "x"), 5);
    net.at(push).set_options(|options| options.send_hwm = 4);
    net.pump();
    assert_eq!(net.fill(push, "x"), 2);
    net.at(pull).set_options(|options| options.recv_hwm = 13);
    net.pump();
    assert_eq!(net.fill(push, "x"), 10);
    net.at(pull).set_options(|options| options.recv_hwm = 0);
    net.pump();
    assert_eq!(net.fill(push, "x"), 100_000);
}

#[test]
fn what_nobody_will_read_is_counted_by_the_writer_or_by_the_reader_if_that_is_gone() {
    for reader_goes_first in [true, false] {
        let mut net = Net::new();
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        let (id, accepted) = net.join(push, pull);
        net.send(push, "taken over, and not received");
        for body in numbered(0..3) {
            net.try_send(push, &body).unwrap();
        }
        if reader_goes_first {
            net.at(pull).remove(accepted);
            net.pump();
            net.at(push).remove(id);
        } else {
            net.at(push).remove(id);
            net.at(pull).remove(accepted);
        }
        let (writers, readers) = (net.at(push).connections().totals(), net.at(pull).connections().totals());
        assert_eq!(writers.messages_out, 4);
        let expected = if reader_goes_first { (3, 1) } else { (0, 4) };
        assert_eq!((writers.lost, readers.dropped_on_arrival), expected);
    }
}

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

#[test]
fn what_was_written_to_one_that_never_joined_is_counted() {
    let pipe = || Arc::new(Pipe::new(1, 1, false, Arc::new(Nobody), Arc::new(Nobody)));
    let (out, input) = (pipe(), pipe());
    let mut push = Socket::new(SocketType::Push, Options::default());
    let peer = Socket::new(SocketType::Pull, Options::default()).introduction();
    let id = push.accept();
    push.attach(id, Arc::clone(&out), Arc::clone(&input), peer);
    push.send(&Outgoing::Body(b"x")).unwrap();
    out.close();
    input.close();
    push.pipe_changed(id);
    push.lose(id, Reopen::No);
    let totals = push.connections().totals();
    assert_eq!((totals.messages_out, totals.lost), (1, 1));
}

#[test]
fn what_is_published_to_one_that_has_just_gone_is_counted() {
    for (publishing, subscribing) in [(SocketType::Pub, SocketType::Sub), (SocketType::Radio, SocketType::Dish)] {
        let mut net = Net::new();
        let (publisher, stays, goes) = (net.socket(publishing), net.socket(subscribing), net.socket(subscribing));
        for subscriber in [stays, goes] {
            match subscribing {
                SocketType::Sub => net.at(subscriber).subscribe(b"").unwrap(),
                _ => net.at(subscriber).join(b"").unwrap(),
            }
        }
        net.join(stays, publisher);
        let (id, _) = net.join(goes, publisher);
        net.at(goes).remove(id);
        // Before it has heard of that.
        net.at(publisher).send(&Outgoing::Body(b"x")).unwrap();
        let totals = net.at(publisher).connections().totals();
        assert_eq!((totals.messages_out, totals.unroutable), (1, 1), "{publishing:?}");
        assert_eq!(net.recv_all(stays).len(), 1);
    }
}

#[test]
fn subscriptions_that_nobody_reads_are_bounded_and_what_is_taken_back_in_time_is_not_sent() {
    let mut net = Net::new();
    let (xpub, sub) = (net.socket(SocketType::XPub), net.socket(SocketType::Sub));
    net.join(sub, xpub);
    let prefix = |number: usize| format!("{number:05}{}", "x".repeat(60_000));
    for number in 0..200 {
        net.at(sub).subscribe(prefix(number).as_bytes()).unwrap();
        net.at(sub).unsubscribe(prefix(number).as_bytes()).unwrap();
    }
    net.at(sub).subscribe(b"kept").unwrap();
    let heard = bodies(&net.recv_all(xpub));
    let heard_len: usize = heard.iter().map(String::len).sum();
    assert!(heard_len < 2 * SUBSCRIPTION_BACKLOG_LEN_MAX, "{heard_len} bytes");
    assert_eq!(heard.last().unwrap(), "\x01kept");
    assert_eq!(net.at(xpub).subscriptions(), 1);
    // Then they are told at once again.
    net.at(sub).subscribe(b"more").unwrap();
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x01more"]);
}
