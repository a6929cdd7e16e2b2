//! A publisher's messages to the same subscribers are gathered once: nobody sees a difference.

use nought_proto::{Message, Outgoing, SocketType, connection::Counters, pattern::SendRefusal};
use proptest::prelude::*;

use crate::harness::{Link, Net, Node, numbered, wire};

const SUBSCRIBERS: usize = 3;

/// A publisher with that mark, and subscribers of everything.
fn publisher(send_hwm: u32, xpub_nodrop: bool) -> (Net, Node, [Link; SUBSCRIBERS]) {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::XPub, |options| {
        (options.send_hwm, options.xpub_nodrop) = (send_hwm, xpub_nodrop);
    });
    let links = [(); SUBSCRIBERS].map(|()| {
        let link = net.accept_test(publisher);
        net.feed(link, [wire::hello("SUB"), wire::subscribe("")].concat());
        net.take(link);
        link
    });
    (net, publisher, links)
}

/// The same, with transports that take no more than a part of the first message.
fn stalled_publisher(send_hwm: u32, xpub_nodrop: bool) -> (Net, Node, [Link; SUBSCRIBERS]) {
    let (mut net, publisher, links) = publisher(send_hwm, xpub_nodrop);
    links.iter().for_each(|link| net.room(*link, 1));
    net.send(publisher, "0");
    (net, publisher, links)
}

fn send_numbered(net: &mut Net, publisher: Node, range: std::ops::Range<usize>) {
    numbered(range).iter().for_each(|number| net.try_send(publisher, number.as_str()).unwrap());
}

fn take_all(net: &mut Net, link: Link) -> Vec<u8> {
    net.room(link, usize::MAX);
    net.take(link)
}

fn numbers(range: std::ops::Range<usize>) -> Vec<u8> {
    numbered(range).iter().flat_map(|number| wire::message(&[number])).collect()
}

#[test]
fn the_mark_is_exact() {
    for hwm in 1..10 {
        let (mut net, publisher, links) = stalled_publisher(hwm as u32, true);
        send_numbered(&mut net, publisher, 1..hwm);
        assert_eq!(net.try_send(publisher, "x"), Err(SendRefusal::WouldBlock), "{hwm}");
        for link in links {
            assert_eq!(take_all(&mut net, link), numbers(0..hwm), "{hwm}");
        }
    }
}

#[test]
fn the_mark_in_bytes_is_exact() {
    let (mut net, publisher, links) = stalled_publisher(0, true);
    net.at(publisher).set_options(|options| options.send_hwm_bytes = 10);
    // Two bytes of the first message wait, and a message fits while there are less than ten.
    send_numbered(&mut net, publisher, 1..4);
    assert_eq!(net.try_send(publisher, "x"), Err(SendRefusal::WouldBlock));
    assert_eq!(take_all(&mut net, links[0]), numbers(0..4));
}

#[test]
fn a_slow_subscriber_alone_loses_what_finds_no_room() {
    let (mut net, publisher, [slow, fast, _]) = publisher(5, false);
    net.room(slow, 1);
    net.send(publisher, "0");
    for number in 1..20 {
        send_numbered(&mut net, publisher, number..number + 1);
        if number % 4 == 0 {
            assert_eq!(net.take(fast), numbers(if number == 4 { 0..5 } else { number - 3..number + 1 }));
        }
    }
    assert_eq!(net.connection(publisher, slow).counters().dropped_at_hwm, 15);
    assert_eq!(net.connection(publisher, fast).counters().dropped_at_hwm, 0);
    assert_eq!(take_all(&mut net, slow), numbers(0..5));
    assert_eq!(net.take(fast), numbers(17..20));
}

#[test]
fn who_unsubscribes_gets_what_was_sent_before() {
    let (mut net, publisher, [one, two, _]) = stalled_publisher(0, true);
    send_numbered(&mut net, publisher, 1..6);
    net.feed(one, wire::cancel(""));
    send_numbered(&mut net, publisher, 6..10);
    assert_eq!(take_all(&mut net, one), numbers(0..6));
    assert_eq!(take_all(&mut net, two), numbers(0..10));
}

#[test]
fn who_subscribes_gets_what_is_sent_afterwards() {
    let (mut net, publisher, [one, ..]) = stalled_publisher(0, true);
    send_numbered(&mut net, publisher, 1..6);
    let late = net.accept_test(publisher);
    net.feed(late, [wire::hello("SUB"), wire::subscribe("")].concat());
    net.take(late);
    send_numbered(&mut net, publisher, 6..10);
    assert_eq!(net.take(late), numbers(6..10));
    assert_eq!(take_all(&mut net, one), numbers(0..10));
}

#[test]
fn what_a_lost_subscriber_had_to_get_is_counted_and_the_others_get_theirs() {
    let (mut net, publisher, [lost, two, three]) = stalled_publisher(0, true);
    send_numbered(&mut net, publisher, 1..6);
    net.close_test(lost);
    send_numbered(&mut net, publisher, 6..10);
    let totals = net.at(publisher).connections().totals();
    assert_eq!((totals.messages_out, totals.lost), (6 + 10 + 10, 6));
    for link in [two, three] {
        assert_eq!(take_all(&mut net, link), numbers(0..10));
    }
}

#[test]
fn messages_keep_their_order_whatever_they_are_made_of() {
    let (mut net, publisher, links) = stalled_publisher(0, true);
    let large = "l".repeat(10_000);
    let several: [&[u8]; 3] = [b"a", b"", b"c"];
    for _ in 0..4 {
        send_numbered(&mut net, publisher, 1..4);
        net.try_send(publisher, large.as_str()).unwrap();
        net.try_send(publisher, Outgoing::Bodies(&several)).unwrap();
        net.try_send(publisher, Outgoing::Owned(Message::from(["d", &large, "e"]))).unwrap();
    }
    let round =
        [numbers(1..4), wire::message(&[&large]), wire::message(&["a", "", "c"]), wire::message(&["d", &large, "e"])];
    let expected = [&numbers(0..1)[..], &round.concat().repeat(4)].concat();
    for link in links {
        assert!(take_all(&mut net, link) == expected);
    }
}

#[test]
fn a_command_stands_between_the_messages_around_it() {
    let (mut net, publisher, [one, two, _]) = stalled_publisher(0, true);
    send_numbered(&mut net, publisher, 1..6);
    net.feed(one, wire::ping(0, ""));
    send_numbered(&mut net, publisher, 6..10);
    assert_eq!(take_all(&mut net, one), [&numbers(0..6)[..], &wire::pong(""), &numbers(6..10)].concat());
    assert_eq!(take_all(&mut net, two), numbers(0..10));
}

#[test]
fn who_looks_sees_all_that_was_sent() {
    let (mut net, publisher, [one, ..]) = stalled_publisher(0, true);
    send_numbered(&mut net, publisher, 1..6);
    let connection = net.connection(publisher, one);
    assert_eq!((connection.counters().messages_out, connection.send_queue_len()), (6, 6));
    send_numbered(&mut net, publisher, 6..10);
    let totals = net.at(publisher).connections().totals();
    assert_eq!(totals.messages_out, 3 * 10);
}

fn send_in_burst(net: &mut Net, publisher: Node) -> Result<(), SendRefusal> {
    net.at(publisher).in_burst(|socket| socket.send(&Outgoing::Body(b"x")))
}

#[test]
fn shares_of_a_burst_are_exact_however_much_of_it_has_gone() {
    for gone in 1..6 {
        let (mut net, publisher, _) = publisher(6, true);
        (0..gone).for_each(|_| assert_eq!(send_in_burst(&mut net, publisher), Ok(()), "{gone}"));
        net.pump();
        (gone..6).for_each(|_| assert_eq!(send_in_burst(&mut net, publisher), Ok(()), "{gone}"));
        assert_eq!(send_in_burst(&mut net, publisher), Err(SendRefusal::EndOfBurst), "{gone}");
    }
}

#[test]
fn each_burst_has_shares_of_its_own() {
    let (mut net, publisher, _) = publisher(6, true);
    (0..3).for_each(|_| assert_eq!(send_in_burst(&mut net, publisher), Ok(())));
    net.at(publisher).end_burst();
    assert_eq!(send_in_burst(&mut net, publisher), Ok(()));
    net.pump();
    (1..6).for_each(|_| assert_eq!(send_in_burst(&mut net, publisher), Ok(())));
    assert_eq!(send_in_burst(&mut net, publisher), Err(SendRefusal::EndOfBurst));
}

#[test]
fn enough_for_a_write_is_to_be_written_at_once() {
    use nought_proto::connection::Flush;

    let (mut net, publisher, links) = stalled_publisher(0, true);
    let body = "x".repeat(998);
    let mut told = Vec::new();
    for number in 1..100 {
        net.try_send(publisher, body.as_str()).unwrap();
        while let Some((id, flush)) = net.at(publisher).poll_flush() {
            told.push((number, id, flush));
        }
    }
    // 66 messages of 1001 bytes each are 64 KiB; and from then on it is said with each.
    let ids = links.map(|link| net.id(link));
    let first: Vec<_> = told.iter().filter(|(_, _, flush)| *flush == Flush::Full).take(SUBSCRIBERS).collect();
    for id in ids {
        assert!(first.contains(&&(66, id, Flush::Full)), "{first:?}");
    }
}

/// What happens to a publisher and its subscribers.
#[derive(Clone, Debug)]
enum Step {
    Send { topic: u8, len: usize, frames: usize, in_burst: bool },
    EndBurst,
    Room { subscriber: usize, room: usize },
    Pump,
    Subscribe { subscriber: usize, topic: u8 },
    Cancel { subscriber: usize, topic: u8 },
    Ping { subscriber: usize },
    Lose { subscriber: usize },
    ChangeMark { send_hwm: u32 },
}

fn steps() -> impl Strategy<Value = Step> {
    let subscriber = 0..SUBSCRIBERS;
    let topic = prop_oneof![Just(b'a'), Just(b'b')];
    let send = (topic.clone(), prop_oneof![8 => 0..300_usize, 1 => 7_000..9_000_usize], 1..4_usize, any::<bool>());
    let room = prop_oneof![Just(0), 1..500_usize, Just(usize::MAX)];
    prop_oneof![
        480 => send.prop_map(|(topic, len, frames, in_burst)| Step::Send { topic, len, frames: frames / 2 + 1, in_burst }),
        20 => Just(Step::EndBurst),
        60 => (subscriber.clone(), room).prop_map(|(subscriber, room)| Step::Room { subscriber, room }),
        40 => Just(Step::Pump),
        20 => (subscriber.clone(), topic.clone()).prop_map(|(subscriber, topic)| Step::Subscribe { subscriber, topic }),
        20 => (subscriber.clone(), topic).prop_map(|(subscriber, topic)| Step::Cancel { subscriber, topic }),
        20 => subscriber.clone().prop_map(|subscriber| Step::Ping { subscriber }),
        1 => subscriber.prop_map(|subscriber| Step::Lose { subscriber }),
        20 => (0..20_u32).prop_map(|send_hwm| Step::ChangeMark { send_hwm }),
    ]
}

/// What can be seen from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    sent: Vec<bool>,
    written: Vec<Vec<u8>>,
    totals: Counters,
}

/// Does the steps; `settle` comes after each message.
fn play(steps: &[Step], send_hwm: u32, xpub_nodrop: bool, settle: impl Fn(&mut Net, Node)) -> Seen {
    let (mut net, publisher, links) = publisher(send_hwm, xpub_nodrop);
    let mut sent = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Send { topic, len, frames, in_burst } => {
                let body = [&[topic, number as u8][..], &vec![number as u8; len]].concat();
                let bodies = vec![&body[..]; frames];
                let message = if frames == 1 { Outgoing::Body(&body) } else { Outgoing::Bodies(&bodies) };
                let socket = net.at(publisher);
                let is_sent =
                    if in_burst { socket.in_burst(|socket| socket.send(&message)) } else { socket.send(&message) };
                if is_sent.is_err() {
                    // Where one has had its share and another is full, whoever is looked at first says why it is refused.
                    socket.end_burst();
                }
                sent.push(is_sent.is_ok());
                settle(&mut net, publisher);
            }
            Step::EndBurst => net.at(publisher).end_burst(),
            Step::Room { subscriber, room } => net.room(links[subscriber], room),
            Step::Pump => net.pump(),
            Step::Subscribe { subscriber, topic } => {
                net.feed(links[subscriber], wire::subscribe(&char::from(topic).to_string()));
            }
            Step::Cancel { subscriber, topic } => {
                net.feed(links[subscriber], wire::cancel(&char::from(topic).to_string()));
            }
            Step::Ping { subscriber } => net.feed(links[subscriber], wire::ping(0, "")),
            Step::Lose { subscriber } => net.close_test(links[subscriber]),
            Step::ChangeMark { send_hwm } => net.at(publisher).set_options(|options| options.send_hwm = send_hwm),
        }
    }
    let written = links.map(|link| take_all(&mut net, link)).to_vec();
    Seen { sent, written, totals: net.at(publisher).connections().totals() }
}

proptest! {
    #[test]
    fn nobody_sees_that_messages_are_gathered(
        steps in prop::collection::vec(steps(), 1..200),
        send_hwm in prop_oneof![Just(0), 1..50_u32],
        xpub_nodrop: bool,
    ) {
        let gathered = play(&steps, send_hwm, xpub_nodrop, |_, _| {});
        let at_once = play(&steps, send_hwm, xpub_nodrop, |net, publisher| {
            net.at(publisher).connections();
        });
        prop_assert_eq!(gathered, at_once);
    }
}
