//! XPUB: which subscriptions the application hears of, and what it can do about them.

use nought_proto::{
    Frame, Message, Options, Outgoing, SocketType,
    limits::{XPUB_BACKLOG_LEN_MAX, XPUB_BACKLOG_MAX},
    pattern::{SendRefusal, SubscribeRefusal},
};

use crate::harness::{Link, Net, Node, bodies, wire};

/// An XPUB and two subscribers that the test plays.
fn with_two(change: impl FnOnce(&mut Options)) -> (Net, Node, [Link; 2]) {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, change);
    let links = [net.accept_test(xpub), net.accept_test(xpub)];
    for link in links {
        net.feed(link, wire::hello("SUB"));
        net.take(link);
    }
    (net, xpub, links)
}

/// What the application hears when both subscribe twice and cancel twice, by turns.
fn heard(change: impl FnOnce(&mut Options)) -> Vec<String> {
    let (mut net, xpub, [one, two]) = with_two(change);
    for link in [one, two, one, two] {
        net.feed(link, wire::subscribe("a"));
    }
    for link in [one, two, one, two] {
        net.feed(link, wire::cancel("a"));
    }
    bodies(&net.recv_all(xpub))
}

#[test]
fn by_default_the_first_and_the_last_of_a_prefix_are_heard_of() {
    assert_eq!(heard(|_| {}), ["\x01a", "\x00a"]);
}

#[test]
fn verbose_all_subscriptions_and_the_last_cancel() {
    assert_eq!(heard(|options| options.xpub_verbose = true), ["\x01a", "\x01a", "\x01a", "\x01a", "\x00a"]);
}

#[test]
fn verboser_all_of_both() {
    let all = heard(|options| options.xpub_verboser = true);
    // A peer has a subscription or not: its second cancel ends nothing.
    assert_eq!(all, ["\x01a", "\x01a", "\x01a", "\x01a", "\x00a", "\x00a"]);
}

#[test]
fn a_cancel_of_what_is_not_held_is_not_heard_of() {
    for verboser in [false, true] {
        let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_verboser = verboser);
        net.feed(one, wire::subscribe("a"));
        net.feed(two, wire::cancel("a"));
        net.feed(two, wire::cancel("b"));
        assert_eq!(bodies(&net.recv_all(xpub)), ["\x01a"]);
        assert_eq!(net.at(xpub).subscriptions(), 1);
    }
}

#[test]
fn a_lost_peers_prefixes_are_cancelled_if_nobody_else_has_them() {
    let (mut net, xpub, [one, two]) = with_two(|_| {});
    net.feed(one, [wire::subscribe("a"), wire::subscribe("b"), wire::subscribe("b")].concat());
    net.feed(two, wire::subscribe("a"));
    net.recv_all(xpub);
    net.close_test(one);
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x00b"]);
    net.close_test(two);
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x00a"]);
}

#[test]
fn verboser_a_lost_peers_prefixes_are_all_cancelled() {
    let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_verboser = true);
    net.feed(one, [wire::subscribe("a"), wire::subscribe("b")].concat());
    net.feed(two, wire::subscribe("a"));
    net.recv_all(xpub);
    net.close_test(one);
    let mut cancels = bodies(&net.recv_all(xpub));
    cancels.sort();
    assert_eq!(cancels, ["\x00a", "\x00b"]);
}

#[test]
fn manual_only_what_the_application_says_takes_effect_for_the_peer_last_heard() {
    let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_manual = true);
    assert_eq!(net.at(xpub).subscribe(b"x"), Err(SubscribeRefusal::NotSupported), "no peer was heard yet");
    net.feed(one, wire::subscribe("a"));
    net.feed(two, wire::subscribe("a"));
    net.send(xpub, "a");
    assert_eq!((net.take(one).len(), net.take(two).len()), (0, 0));
    assert_eq!(net.recv(xpub), *"\x01a");
    net.at(xpub).subscribe(b"for one").unwrap();
    assert_eq!(net.recv(xpub), *"\x01a");
    net.at(xpub).subscribe(b"for two").unwrap();
    net.send(xpub, "for one");
    net.send(xpub, "for two");
    assert_eq!(net.take(one), wire::message(&["for one"]));
    assert_eq!(net.take(two), wire::message(&["for two"]));
    net.feed(one, wire::cancel("a"));
    assert_eq!(net.recv(xpub), *"\x00a");
    net.at(xpub).unsubscribe(b"for one").unwrap();
    assert_eq!(net.at(xpub).unsubscribe(b"for one"), Err(SubscribeRefusal::Unknown));
    net.send(xpub, "for one");
    assert_eq!(net.take(one), b"");
}

#[test]
fn manual_a_lost_peers_own_requests_are_cancelled_as_it_made_them() {
    let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_manual = true);
    net.feed(one, [wire::subscribe("a"), wire::subscribe("b"), wire::cancel("b")].concat());
    assert_eq!(net.recv(xpub), *"\x01a");
    net.at(xpub).subscribe(b"translated").unwrap();
    net.recv_all(xpub);
    net.close_test(one);
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x00a"]);
    assert_eq!(net.at(xpub).subscriptions(), 0);
    // Who was heard last is gone: nothing is left to do, and nothing wrong, as in libzmq.
    net.at(xpub).unsubscribe(b"translated").unwrap();
    net.at(xpub).subscribe(b"x").unwrap();
    assert_eq!(net.at(xpub).subscriptions(), 0);
    net.feed(two, wire::subscribe("c"));
    assert_eq!(net.recv(xpub), *"\x01c");
}

#[test]
fn manual_a_lost_peers_prefixes_are_all_cancelled_whoever_else_has_them() {
    let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_manual = true);
    for link in [one, two] {
        net.feed(link, wire::subscribe("x"));
        assert_eq!(net.recv(xpub), *"\x01x");
        net.at(xpub).subscribe(b"x").unwrap();
    }
    net.close_test(one);
    assert_eq!(net.recv(xpub), *"\x00x");
    net.at(xpub).unsubscribe(b"x").unwrap();
    net.send(xpub, "x");
    assert_eq!(net.take(two), wire::message(&["x"]));
}

#[test]
fn by_hand_is_only_for_manual() {
    let (mut net, xpub, [one, _]) = with_two(|_| {});
    net.feed(one, wire::subscribe("a"));
    net.recv(xpub);
    assert_eq!(net.at(xpub).subscribe(b"x"), Err(SubscribeRefusal::NotSupported));
}

/// Two subscribers of "a" with a mark of three for each, of which the first takes next to nothing.
fn nodrop_with_a_slow_one() -> (Net, Node, [Link; 2]) {
    let (mut net, xpub, links) = with_two(|options| {
        options.xpub_nodrop = true;
        options.send_hwm = 3;
    });
    for link in links {
        net.feed(link, wire::subscribe("a"));
    }
    net.room(links[0], 1);
    (net, xpub, links)
}

#[test]
fn nodrop_a_full_subscriber_makes_the_sender_wait_and_nobody_gets_it() {
    let (mut net, xpub, [one, two]) = nodrop_with_a_slow_one();
    for _ in 0..3 {
        net.send(xpub, "a");
    }
    assert_eq!(net.take(two), wire::message(&["a"]).repeat(3));
    assert_eq!(net.try_send(xpub, "a"), Err(SendRefusal::WouldBlock));
    assert_eq!(net.take(two), b"");
    // What the slow one does not want goes through.
    net.send(xpub, "nobody wants it");
    net.room(one, usize::MAX);
    net.pump();
    net.send(xpub, "a");
    assert_eq!(net.take(one), wire::message(&["a"]).repeat(4));
    assert_eq!(net.take(two), wire::message(&["a"]));
}

#[test]
fn nodrop_a_stream_of_messages_meets_each_subscribers_mark_as_it_is_now() {
    let (mut net, xpub, [one, two]) = nodrop_with_a_slow_one();
    net.send(xpub, "a");
    // Nothing is written meanwhile, so that one message comes straight after the other.
    let fill = |net: &mut Net| (0..9).take_while(|_| net.at(xpub).send(&Outgoing::Body(b"a")).is_ok()).count();
    assert_eq!(fill(&mut net), 2);
    net.at(xpub).set_options(|options| options.send_hwm = 6);
    assert_eq!(net.at(xpub).send(&Outgoing::Body(b"a")), Ok(()));
    net.at(xpub).set_options(|options| options.send_hwm = 5);
    assert_eq!(fill(&mut net), 1);
    net.room(one, usize::MAX);
    net.pump();
    for link in [one, two] {
        assert_eq!(net.take(link), wire::message(&["a"]).repeat(5));
    }
}

/// An XPUB whose sender waits for the one subscriber, of this version, to "a".
fn blocked(hello: &[u8], subscribe: &[u8], change: impl FnOnce(&mut Options)) -> (Net, Node, Link) {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| {
        options.xpub_nodrop = true;
        options.send_hwm = 1;
        change(options);
    });
    let link = net.accept_test(xpub);
    net.feed(link, [hello, subscribe].concat());
    net.take(link);
    if net.at(xpub).options().xpub_manual {
        net.recv(xpub);
        net.at(xpub).subscribe(b"a").unwrap();
    }
    net.room(link, 1);
    net.send(xpub, "a");
    assert_eq!(net.try_send(xpub, "a"), Err(SendRefusal::WouldBlock));
    assert!(!net.at(xpub).can_send());
    (net, xpub, link)
}

#[test]
fn nodrop_a_sender_that_waits_hears_of_the_end_of_the_subscription_in_whatever_form() {
    let (old, message) = (wire::hello_3_0("SUB"), |body: &str| wire::frame(0, body));
    let (mut net, xpub, link) = blocked(&old, &message("\x01a"), |_| {});
    net.feed(link, message("\x00a"));
    assert!(net.at(xpub).can_send());
    net.send(xpub, "a");
    let (mut net, xpub, _) = blocked(&wire::hello("SUB"), &wire::subscribe("a"), |options| options.xpub_manual = true);
    net.at(xpub).unsubscribe(b"a").unwrap();
    assert!(net.at(xpub).can_send());
    net.send(xpub, "a");
    let (mut net, xpub, _) = blocked(&wire::hello("SUB"), &wire::subscribe("a"), |_| {});
    net.at(xpub).set_options(|options| options.xpub_nodrop = false);
    assert!(net.at(xpub).can_send());
    net.send(xpub, "a");
}

#[test]
fn a_welcome_goes_to_each_new_subscriber_before_it_subscribes() {
    let mut net = Net::new();
    let xpub = net.socket_with(SocketType::XPub, |options| options.xpub_welcome = Some("W".into()));
    let subscriber = net.socket(SocketType::Sub);
    net.at(subscriber).subscribe(b"W").unwrap();
    net.connect(subscriber, xpub);
    assert_eq!(net.recv(subscriber), *"W");
    let other = net.socket(SocketType::Sub);
    net.connect(other, xpub);
    net.expect_none(other);
}

#[test]
fn subscriptions_are_counted_by_distinct_prefix() {
    let (mut net, xpub, [one, two]) = with_two(|_| {});
    net.feed(one, [wire::subscribe("a"), wire::subscribe("b")].concat());
    net.feed(two, wire::subscribe("a"));
    assert_eq!(net.at(xpub).subscriptions(), 2);
}

#[test]
fn messages_from_below_and_subscriptions_arrive_in_the_order_sent() {
    let mut net = Net::new();
    let xpub = net.socket(SocketType::XPub);
    let link = net.accept_test(xpub);
    net.feed(link, wire::hello("XSUB"));
    let large = "l".repeat(10_000);
    net.feed(
        link,
        [
            wire::subscribe("a"),
            wire::message(&["one"]),
            wire::subscribe("b"),
            wire::message(&["several", "frames", &large]),
            wire::frame(0, "\x01c"),
            wire::cancel("a"),
        ]
        .concat(),
    );
    let received = net.recv_all(xpub);
    let expected: [Message; 6] = [
        "\x01a".into(),
        "one".into(),
        "\x01b".into(),
        ["several", "frames", &large].into(),
        "\x01c".into(),
        "\x00a".into(),
    ];
    assert_eq!(received, expected);
}

#[test]
fn a_peer_of_an_application_that_never_receives_is_read_no_more_and_again_once_it_does() {
    let mut net = Net::new();
    let xpub = net.socket(SocketType::XPub);
    let link = net.accept_test(xpub);
    net.feed(link, wire::hello("XSUB"));
    let flood = wire::message(&["x"]).repeat(XPUB_BACKLOG_MAX + 200_000);
    net.feed(link, &flood);
    let counters = *net.connection(xpub, link).counters();
    assert!(counters.bytes_in < (3 * XPUB_BACKLOG_MAX + 600_000) as u64, "{counters:?}");
    assert_eq!(net.recv_all(xpub).len(), XPUB_BACKLOG_MAX + 200_000);
}

#[test]
fn what_waits_of_a_peer_is_bounded_in_bytes_too() {
    let mut net = Net::new();
    let xpub = net.socket(SocketType::XPub);
    let link = net.accept_test(xpub);
    net.feed(link, wire::hello("XSUB"));
    let (body_len, count) = (1 << 20, XPUB_BACKLOG_LEN_MAX / (1 << 20) + 50);
    let message = wire::frame(0, vec![7; body_len]);
    for _ in 0..count {
        net.feed(link, &message);
    }
    let waiting = net.connection(xpub, link).recv_queue_len();
    assert!(waiting <= XPUB_BACKLOG_LEN_MAX / body_len + 1, "{waiting}");
    assert_eq!(net.recv_all(xpub).len(), count);
}

#[test]
fn a_peer_that_changes_its_subscriptions_without_end_takes_nothing_from_the_others() {
    let mut net = Net::new();
    let xpub = net.socket(SocketType::XPub);
    let noisy = net.accept_test(xpub);
    net.feed(noisy, wire::hello("SUB"));
    net.feed(noisy, [wire::subscribe("a"), wire::cancel("a")].concat().repeat(XPUB_BACKLOG_MAX / 2 + 100_000));
    let id = net.id(noisy);
    assert!(!net.at(xpub).wants_read(id));
    let quiet = net.accept_test(xpub);
    net.feed(quiet, [wire::hello("SUB"), wire::subscribe("b"), wire::ping(0, "still there")].concat());
    assert!(net.take(quiet).ends_with(&wire::pong("still there")));
    net.send(xpub, "b");
    assert_eq!(net.take(quiet), wire::message(&["b"]));
    assert_eq!(net.recv_all(xpub).len(), XPUB_BACKLOG_MAX + 200_001);
}

#[test]
fn what_peers_left_that_are_gone_is_bounded_together() {
    let mut net = Net::new();
    let xpub = net.socket(SocketType::XPub);
    let count = XPUB_BACKLOG_MAX / 3;
    for _ in 0..5 {
        let link = net.accept_test(xpub);
        net.feed(link, [wire::hello("XSUB"), wire::message(&["x"]).repeat(count)].concat());
        net.close_test(link);
    }
    assert_eq!(net.recv_all(xpub).len(), XPUB_BACKLOG_MAX);
    assert_eq!(net.at(xpub).connections().totals().dropped_on_arrival, (5 * count - XPUB_BACKLOG_MAX) as u64);
}

#[test]
fn manual_can_be_switched_on_what_is_in_force_stays_and_is_ended_by_hand() {
    let (mut net, xpub, [one, two]) = with_two(|_| {});
    net.feed(one, wire::subscribe("a"));
    net.feed(two, wire::subscribe("a"));
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x01a"]);
    net.at(xpub).set_options(|options| options.xpub_manual = true);
    net.send(xpub, "a1");
    for link in [one, two] {
        assert_eq!(net.take(link), wire::message(&["a1"]));
    }
    // What is asked for from now on takes effect by hand only, and so does the end of what was there before.
    net.feed(one, wire::subscribe("b"));
    net.feed(one, wire::cancel("a"));
    net.send(xpub, "b1");
    net.send(xpub, "a2");
    assert_eq!(net.take(one), wire::message(&["a2"]));
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x01b", "\x00a"]);
    net.at(xpub).unsubscribe(b"a").unwrap();
    net.send(xpub, "a3");
    assert_eq!(net.take(one), b"");
    assert_eq!(net.take(two), [wire::message(&["a2"]), wire::message(&["a3"])].concat());
    // The end of a peer is heard of, as for what was asked for later.
    net.close_test(two);
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x00a"]);
}

#[test]
fn manual_can_be_switched_off_and_what_was_not_granted_stays_so() {
    let (mut net, xpub, [one, two]) = with_two(|options| options.xpub_manual = true);
    net.feed(one, wire::subscribe("denied"));
    net.feed(two, wire::subscribe("granted"));
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x01denied", "\x01granted"]);
    net.at(xpub).subscribe(b"granted").unwrap();
    net.at(xpub).set_options(|options| options.xpub_manual = false);
    assert_eq!(net.at(xpub).subscribe(b"denied"), Err(SubscribeRefusal::NotSupported));
    net.send(xpub, "denied");
    net.send(xpub, "granted");
    assert_eq!((net.take(one), net.take(two)), (vec![], wire::message(&["granted"])));
    // From now on peers have what they ask for, and end it themselves.
    net.feed(one, wire::subscribe("denied"));
    net.feed(two, wire::cancel("granted"));
    net.send(xpub, "denied");
    net.send(xpub, "granted");
    assert_eq!((net.take(one), net.take(two)), (wire::message(&["denied"]), vec![]));
    assert_eq!(bodies(&net.recv_all(xpub)), ["\x01denied", "\x00granted"]);
}

/// As libzmq does it: what an XSUB sends comes to the XPUB in the same frames, and the first of them counts.
#[test]
fn of_several_frames_the_first_alone_may_be_a_subscription() {
    for only_first in [false, true] {
        let mut net = Net::new();
        let xpub = net.socket_with(SocketType::XPub, |options| options.only_first_subscribe = only_first);
        let xsub = net.socket_with(SocketType::XSub, |options| options.only_first_subscribe = only_first);
        let link = net.connect(xsub, xpub);
        let frames = |net: &mut Net| -> Vec<Vec<u8>> {
            net.recv_all(xpub).into_iter().flat_map(|message| message.into_frames().map(Frame::into_vec)).collect()
        };
        for several in [["ABC", "\x01BC"], ["ABC", "\0BC"], ["\x01BC", "\x01CD"]] {
            net.send(xsub, several);
            assert_eq!(frames(&mut net), several.map(|frame| frame.as_bytes().to_vec()));
        }
        assert_eq!(net.at(xpub).subscriptions(), usize::from(only_first));
        net.send(xpub, "BC news");
        assert_eq!(net.recv_all(xsub).len(), usize::from(only_first));
        // It is known to the next connection, too.
        net.cut(link);
        net.reconnect(link, xpub);
        assert_eq!(net.at(xpub).subscriptions(), usize::from(only_first));
        frames(&mut net);
        net.send(xsub, ["\0BC", "\0CD"]);
        assert_eq!(frames(&mut net), [b"\0BC".to_vec(), b"\0CD".to_vec()]);
        assert_eq!(net.at(xpub).subscriptions(), 0);
    }
}

/// A PUB keeps to itself what comes with it, and counts that.
#[test]
fn of_several_frames_to_a_pub_the_first_alone_may_be_a_subscription() {
    for only_first in [false, true] {
        let mut net = Net::new();
        let publisher = net.socket_with(SocketType::Pub, |options| options.only_first_subscribe = only_first);
        let xsub = net.socket_with(SocketType::XSub, |options| options.only_first_subscribe = only_first);
        net.connect(xsub, publisher);
        net.send(xsub, ["\x01BC", "\x01CD"]);
        assert_eq!(net.at(publisher).subscriptions(), usize::from(only_first));
        assert_eq!(net.at(publisher).connections().totals().dropped_on_arrival, 1);
        net.send(publisher, "BC news");
        net.send(publisher, "CD news");
        assert_eq!(net.recv_all(xsub).len(), usize::from(only_first));
        net.send(xsub, ["\0BC", "more"]);
        assert_eq!(net.at(publisher).subscriptions(), 0);
    }
}
