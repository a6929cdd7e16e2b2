//! What a peer can make us hold, and where it is stopped.

use bytes::Bytes;
use nought_proto::{
    ConnectionId, Frame, Message, ProtocolError, SocketType,
    error::Misbehaviour,
    limits::{
        COMMAND_BACKLOG_LEN_MAX, COMMAND_LEN_MAX, FRAME_HEADERS_LEN_MAX, LOST_CONNECTION_LEN, LOST_RECEIVED_LEN_MAX,
        READ_LEN_MAX, SPARE_LEN_MAX,
    },
    socket::Reopen,
};

use crate::harness::{Link, Net, Node, Pieces, bodies, wire};

fn pull_with(change: impl FnOnce(&mut nought_proto::Options)) -> (Net, Node, Link) {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, change);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    net.take(link);
    (net, pull, link)
}

fn too_large(net: &mut Net, pull: Node, link: Link) {
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::MessageTooLarge));
    assert!(net.is_closed(link));
}

#[test]
fn a_message_of_the_maximum_size_is_taken_and_one_byte_more_is_not() {
    for size in [0, 10, 300, 10_000] {
        let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(size as u64));
        net.feed(link, wire::message(&[&"x".repeat(size)]));
        assert_eq!(net.recv(pull)[0].len(), size);
        net.feed(link, wire::message(&[&"x".repeat(size + 1)]));
        too_large(&mut net, pull, link);
        net.expect_none(pull);
    }
}

#[test]
fn the_maximum_counts_all_frames_together_and_each_message_anew() {
    let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(10));
    for _ in 0..3 {
        net.feed(link, wire::message(&["1234", "", "567890"]));
    }
    assert_eq!(net.recv_all(pull).len(), 3);
    net.feed(link, wire::message(&["1234", "5678901"]));
    too_large(&mut net, pull, link);
    // The length alone is enough: the body need not come.
    let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(10));
    net.feed(link, [wire::frame(1, "1234"), vec![0, 7]].concat());
    too_large(&mut net, pull, link);
}

#[test]
fn commands_do_not_count() {
    let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(4));
    net.feed(link, [wire::frame(1, "12"), wire::ping(0, "0123456789abcdef"), wire::frame(0, "34")].concat());
    assert_eq!(net.recv(pull), Message::from(["12", "34"]));
}

#[test]
fn a_small_maximum_does_not_kill_the_handshake() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.max_message_size = Some(1));
    let pull = net.socket_with(SocketType::Pull, |options| options.max_message_size = Some(1));
    net.connect(push, pull);
    net.send(push, "x");
    assert_eq!(net.recv(pull), *"x");
}

#[test]
fn under_a_maximum_endless_empty_frames_are_too_large() {
    for pieces in [Pieces::Whole, Pieces::Of(3)] {
        let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(10));
        net.pieces = pieces;
        let legal = FRAME_HEADERS_LEN_MAX / 2;
        net.feed(link, [wire::frame(1, "").repeat(legal - 1), wire::frame(0, "")].concat());
        assert_eq!(net.recv(pull).len(), legal);
        net.feed(link, wire::frame(1, "").repeat(legal + 1));
        too_large(&mut net, pull, link);
    }
}

#[test]
fn a_length_alone_takes_no_memory() {
    // 2^62 bytes are announced; if room were made for them, the test would not survive.
    for announced in [b"\x02\x40\0\0\0\0\0\0\0".to_vec(), b"\x03\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF".to_vec()] {
        let (mut net, pull, link) = pull_with(|_| {});
        net.feed(link, &announced);
        net.feed(link, vec![b'x'; 3_000_000]);
        net.expect_no_failure(pull);
        net.expect_none(pull);
        assert_eq!(net.connection(pull, link).counters().bytes_in, hello_len() + 9 + 3_000_000);
        net.close_test(link);
        assert_eq!(net.at(pull).connections().iter().count(), 0);
    }
    let (mut net, pull, link) = pull_with(|_| {});
    net.feed(link, b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::LengthOverflow));
}

/// What a long queue, or a long message of our own, made large is not handed to whoever reads next.
#[test]
fn no_more_is_read_at_once_because_of_what_was_sent_or_received_before() {
    const LONG: usize = 16 * SPARE_LEN_MAX;
    let mut net = Net::new();
    let dealer = net.socket_with(SocketType::Dealer, |options| options.recv_hwm = 0);
    let links = [(); 2].map(|()| {
        let link = net.accept_test(dealer);
        net.feed(link, wire::hello("DEALER"));
        net.take(link);
        link
    });
    let room = |net: &mut Net| {
        let mut room = 0;
        let ids: Vec<ConnectionId> = net.at(dealer).connections().iter().map(|(id, _)| id).collect();
        for id in ids {
            let read = |into: &mut Vec<u8>| {
                room = room.max(into.capacity() - into.len());
                Err(std::io::ErrorKind::WouldBlock.into())
            };
            assert!(net.at(dealer).read(id, std::time::Instant::now(), read).is_err());
        }
        room
    };
    let large = vec![b'x'; LONG];
    for _ in links {
        net.send(dealer, &large[..]);
    }
    assert!(room(&mut net) <= SPARE_LEN_MAX, "what was sent: {}", room(&mut net));
    for link in links {
        net.feed(link, wire::frame(0, "x".repeat(1000)).repeat(LONG / 1000));
    }
    assert_eq!(net.recv_all(dealer).len(), links.len() * (LONG / 1000));
    assert!(room(&mut net) <= SPARE_LEN_MAX, "what was received: {}", room(&mut net));
    net.feed(links[0], [&b"\x02\0\0\0\0\0\x80\0\0"[..], &large[..0x80_0000]].concat());
    assert_eq!(net.recv(dealer)[0].len(), 0x80_0000);
    assert!(room(&mut net) <= SPARE_LEN_MAX, "one that is received: {}", room(&mut net));
}

#[test]
fn lengths_near_the_largest_do_not_overflow_the_sum() {
    let (mut net, pull, link) = pull_with(|options| options.max_message_size = Some(u64::MAX));
    net.feed(link, [wire::frame(1, "x"), b"\x03\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF".to_vec(), vec![0; 100]].concat());
    net.expect_no_failure(pull);
}

#[test]
fn a_command_has_its_longest_length() {
    let (mut net, pull, link) = pull_with(|_| {});
    net.feed(link, wire::command("UNKNOWN", vec![0; COMMAND_LEN_MAX - 8]));
    net.feed(link, wire::message(&["x"]));
    assert_eq!(net.recv(pull), *"x");
    net.feed(link, &wire::command("UNKNOWN", vec![0; COMMAND_LEN_MAX - 7])[..9]);
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::CommandTooLong));
}

#[test]
fn a_peer_that_pings_and_does_not_read_is_cut_off() {
    // A message in the queue must not make a difference.
    for queued in [0, 1, 50] {
        let mut net = Net::new();
        let push = net.socket(SocketType::Push);
        let link = net.accept_test(push);
        net.feed(link, wire::hello("PULL"));
        net.take(link);
        net.room(link, 1);
        for _ in 0..queued {
            net.send(push, "x");
        }
        let flood = wire::ping(0, "0123456789abcdef").repeat(1000);
        let mut fed = 0;
        while !net.is_closed(link) {
            net.feed(link, &flood);
            fed += flood.len();
            assert!(fed < 8 * COMMAND_BACKLOG_LEN_MAX, "still there after {fed} bytes");
        }
        assert_eq!(net.error(push), ProtocolError::Misbehaved(Misbehaviour::CommandFlood));
    }
}

#[test]
fn a_peer_that_reads_its_pongs_may_ping_as_it_likes() {
    let (mut net, pull, link) = pull_with(|_| {});
    let flood = wire::ping(0, "0123456789abcdef").repeat(1000);
    for _ in 0..100 {
        net.feed(link, &flood);
        assert_eq!(net.take(link).len(), 1000 * wire::pong("0123456789abcdef").len());
    }
    net.expect_no_failure(pull);
}

#[test]
fn commands_behind_a_message_that_nobody_receives_take_no_room() {
    for (before, expected) in [(wire::message(&["unread"]), 1), (wire::frame(1, "half"), 0)] {
        for flood in [wire::command("UNKNOWN", [0; 20]).repeat(10_000), wire::ping(0, "").repeat(20_000)] {
            let (mut net, pull, link) = pull_with(|options| options.recv_hwm_bytes = 8 * READ_LEN_MAX);
            net.feed(link, &before);
            let id = net.id(link);
            for _ in 0..30 {
                net.feed(link, &flood);
                net.take(link);
                assert!(net.at(pull).wants_read(id), "the limit in bytes is reached by commands");
            }
            net.feed(link, [wire::frame(0, "rest"), wire::message(&["next"])].concat());
            let received = net.recv_all(pull);
            assert_eq!(received.len(), 2 + expected);
            assert_eq!(received.last().unwrap(), "next");
        }
    }
}

#[test]
fn messages_among_which_commands_were_dropped_are_whole() {
    let large = "l".repeat(9000);
    let (mut net, pull, link) = pull_with(|options| options.recv_hwm = 0);
    let commands = wire::command("UNKNOWN", [0; 200]).repeat(300);
    for round in 0..20 {
        net.feed(link, wire::message(&[&round.to_string(), &large, ""]));
        net.feed(link, &commands);
        net.feed(link, [wire::frame(1, "a"), commands.clone(), wire::frame(1, &large), commands.clone()].concat());
        net.feed(link, &[commands.clone(), wire::frame(0, round.to_string())].concat()[..]);
        if round % 3 == 0 {
            assert_eq!(net.recv(pull).len(), 3);
        }
    }
    let rest = net.recv_all(pull);
    assert_eq!(rest.len(), 40 - 7);
    let (large_second, number_last) = (&rest[rest.len() - 2], &rest[rest.len() - 1]);
    assert_eq!(*large_second, Message::from(["19", &large, ""]));
    assert_eq!(*number_last, Message::from(["a", &large, "19"]));
}

#[test]
fn a_subscriber_may_hold_so_many_subscriptions_and_no_more() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::Pub, |options| options.subscriptions_per_peer_max = 1000);
    let link = net.accept_test(publisher);
    net.feed(link, wire::hello("SUB"));
    for number in 0..1000 {
        net.feed(link, wire::subscribe(&number.to_string()));
        net.feed(link, wire::subscribe(&number.to_string()));
    }
    net.feed(link, [wire::cancel("7"), wire::cancel("7"), wire::subscribe("one more")].concat());
    net.expect_no_failure(publisher);
    let other = net.accept_test(publisher);
    net.feed(other, [wire::hello("SUB"), wire::subscribe("another peer's")].concat());
    net.expect_no_failure(publisher);
    net.feed(link, wire::subscribe("too many"));
    assert_eq!(net.error(publisher), ProtocolError::Misbehaved(Misbehaviour::SubscriptionFlood));
    assert!(net.is_closed(link) && !net.is_closed(other));
    assert_eq!(net.at(publisher).subscriptions(), 1);
}

#[test]
fn subscriptions_and_cancels_in_an_endless_stream_leave_nothing() {
    let mut net = Net::new();
    let publisher = net.socket(SocketType::Pub);
    let link = net.accept_test(publisher);
    net.feed(link, wire::hello("SUB"));
    for number in 0..100 {
        let prefix = format!("{number}").repeat(100);
        net.feed(link, [wire::subscribe(&prefix), wire::cancel(&prefix), wire::cancel(&prefix)].concat().repeat(50));
    }
    assert_eq!(net.at(publisher).subscriptions(), 0);
}

#[test]
fn messages_to_a_socket_that_receives_none_end_the_connection() {
    let mut net = Net::new();
    let push = net.socket(SocketType::Push);
    let link = net.accept_test(push);
    net.feed(link, [wire::hello("PULL"), wire::message(&["x"])].concat());
    assert_eq!(net.error(push), ProtocolError::Misbehaved(Misbehaviour::UnexpectedMessage));
}

#[test]
fn the_first_broken_rule_is_told_whatever_came_with_it() {
    for behind in [wire::frame(8, ""), wire::command("PING", ""), wire::command("ERROR", "\0"), wire::subscribe("a")] {
        let mut net = Net::new();
        let push = net.socket(SocketType::Push);
        let link = net.accept_test(push);
        net.feed(link, [wire::hello("PULL"), wire::message(&["x"]), behind].concat());
        assert_eq!(net.error(push), ProtocolError::Misbehaved(Misbehaviour::UnexpectedMessage));
    }
}

#[test]
fn unknown_commands_are_ignored() {
    let (mut net, pull, link) = pull_with(|_| {});
    net.feed(link, [wire::command("NEW", "data"), wire::command("JOIN", "group"), wire::message(&["x"])].concat());
    assert_eq!(bodies(&net.recv_all(pull)), ["x"]);
}

#[test]
fn a_failed_connection_takes_no_more() {
    let (mut net, pull, link) = pull_with(|_| {});
    let id = net.id(link);
    net.write(link, [wire::message(&["good"]), vec![0xFF; 100]].concat());
    net.pump();
    assert!(!net.at(pull).wants_read(id));
    assert!(net.at(pull).begin_write(id).is_none());
    assert_eq!(bodies(&net.recv_all(pull)), ["good"]);
    assert!(net.is_closed(link));
}

#[test]
fn many_connections_that_come_and_go_leave_nothing() {
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    for number in 0..1000 {
        let link = net.accept_test(router);
        net.feed(link, [wire::hello_as("DEALER", format!("peer {number}")), wire::message(&["x"])].concat());
        net.close_test(link);
        assert_eq!(net.recv(router)[1], *"x");
        assert_eq!(net.at(router).connections().iter().count(), 0);
    }
    assert!(net.at(router).next_timeout().is_none());
}

fn hello_len() -> u64 {
    wire::hello("PUSH").len() as u64
}

#[test]
fn what_nobody_will_receive_does_not_keep_a_lost_connection() {
    for (socket_type, peer) in [(SocketType::Push, "PULL"), (SocketType::Pub, "XSUB"), (SocketType::Req, "REP")] {
        let mut net = Net::new();
        let node = net.socket(socket_type);
        for _ in 0..3 {
            let link = net.accept_test(node);
            net.feed(link, [wire::hello(peer), wire::message(&["", "unasked"]).repeat(5)].concat());
            net.close_test(link);
        }
        assert_eq!(net.at(node).connections().iter().count(), 0, "{socket_type}");
    }
    // A ROUTER's peer that was refused its name, and one that this side had given up before it came.
    let mut net = Net::new();
    let router = net.socket(SocketType::Router);
    let [first, second] = [net.accept_test(router), net.accept_test(router)];
    net.feed(first, wire::hello_as("DEALER", "twin"));
    net.feed(second, [wire::hello_as("DEALER", "twin"), wire::message(&["x"])].concat());
    let retired = net.accept_test(router);
    let id = net.id(retired);
    net.at(router).retire(id);
    net.feed(retired, [wire::hello("DEALER"), wire::message(&["x"])].concat());
    net.close_test(retired);
    assert_eq!(net.at(router).connections().iter().count(), 1);
}

#[test]
fn a_lost_connection_keeps_a_message_that_is_longer_than_that_bound_if_it_is_the_only_one() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    // One body, to which all frames refer.
    let body = Frame::from(Bytes::from(vec![7; 1 << 26]));
    let frames = LOST_RECEIVED_LEN_MAX / body.len();
    for _ in 0..2 {
        let push = net.socket(SocketType::Push);
        let (_, accepted) = net.join(push, pull);
        net.send(push, Message::from(vec![body.clone(); frames]));
        net.at(pull).lose(accepted, Reopen::No);
    }
    let received = net.recv_all(pull);
    assert_eq!(received.iter().map(Message::len).collect::<Vec<_>>(), [frames]);
    assert_eq!(net.at(pull).connections().totals().dropped_on_arrival, 1);
}

#[test]
fn lost_connections_keep_what_was_not_received_up_to_a_bound_and_the_rest_is_counted() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    // One body, to which all refer.
    let body = Frame::from(Bytes::from(vec![7; 1 << 26]));
    for round in 0..2 {
        for _ in 0..20 {
            let push = net.socket(SocketType::Push);
            let (_, accepted) = net.join(push, pull);
            net.send(push, Message::from(body.clone()));
            net.at(pull).lose(accepted, Reopen::No);
        }
        let kept = LOST_RECEIVED_LEN_MAX / (body.len() + LOST_CONNECTION_LEN);
        assert_eq!(net.at(pull).connections().iter().count(), kept);
        assert_eq!(net.recv_all(pull).len(), kept);
        assert_eq!(net.at(pull).connections().totals().dropped_on_arrival, (round + 1) * (20 - kept as u64));
    }
}
