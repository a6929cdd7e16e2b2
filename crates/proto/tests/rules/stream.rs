//! STREAM: bytes as they come, under a name for each peer.

use nought_proto::{Event, Message, SocketType, pattern::SendRefusal};

use crate::harness::Net;

const FIRST: [u8; 5] = [0, 0, 0, 0, 0];

#[test]
fn connections_bytes_and_ends_are_told_in_order() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let link = net.accept_test(stream);
    assert_eq!(net.recv(stream), Message::from([&FIRST[..], b""]));
    net.feed(link, "GET / HTTP/1.0");
    assert_eq!(net.recv(stream), Message::from([&FIRST[..], b"GET / HTTP/1.0"]));
    net.send(stream, Message::from([&FIRST[..], b"200 OK"]));
    assert_eq!(net.take(link), b"200 OK");
    net.write(link, "last");
    net.close_test(link);
    assert_eq!(net.recv(stream), Message::from([&FIRST[..], b"last"]));
    assert_eq!(net.recv(stream), Message::from([&FIRST[..], b""]));
    net.expect_none(stream);
    assert_eq!(net.try_send(stream, Message::from([&FIRST[..], b"x"])), Err(SendRefusal::Unroutable));
    assert_eq!(net.at(stream).connections().iter().count(), 0);
}

#[test]
fn an_empty_body_closes_once_all_is_sent() {
    for room in [usize::MAX, 1] {
        let mut net = Net::new();
        let stream = net.socket(SocketType::Stream);
        let link = net.accept_test(stream);
        net.recv(stream);
        net.room(link, room);
        net.send(stream, Message::from([&FIRST[..], b"good"]));
        net.send(stream, Message::from([&FIRST[..], b"bye"]));
        net.try_send(stream, Message::from([&FIRST[..], b""])).unwrap();
        assert_eq!(net.try_send(stream, Message::from([&FIRST[..], b"x"])), Err(SendRefusal::Unroutable));
        if room == 1 {
            assert!(!net.is_closed(link));
            net.room(link, usize::MAX);
        }
        assert!(net.is_closed(link));
        assert_eq!(net.take(link), b"goodbye");
        assert!(net.events(stream).iter().any(|event| matches!(event, Event::Retired(_))));
        net.expect_none(stream);
        assert_eq!(net.at(stream).connections().iter().count(), 0);
    }
}

#[test]
fn what_came_before_an_empty_body_closed_is_received_without_a_notice() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let link = net.accept_test(stream);
    net.recv(stream);
    net.feed(link, "before");
    net.try_send(stream, Message::from([&FIRST[..], b""])).unwrap();
    assert_eq!(net.recv_all(stream), [Message::from([&FIRST[..], b"before"])]);
}

#[test]
fn a_retired_connection_gives_no_false_readiness() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let link = net.accept_test(stream);
    net.recv(stream);
    net.feed(link, "before");
    let id = net.id(link);
    net.at(stream).retire(id);
    net.feed(link, "after");
    assert_eq!(net.recv(stream)[1], *"before");
    assert_eq!(net.recv(stream)[1], *"");
    assert!(!net.at(stream).can_recv());
    net.expect_none(stream);
}

#[test]
fn of_peers_that_come_and_go_unseen_nothing_is_left() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let first = net.accept_test(stream);
    for _ in 0..1000 {
        let link = net.accept_test(stream);
        net.close_test(link);
    }
    let talker = net.accept_test(stream);
    net.feed(talker, "said something");
    net.close_test(talker);
    net.close_test(first);
    assert_eq!(net.recv_all(stream).len(), 3);
}

#[test]
fn a_raw_router_has_no_notices_and_drops_what_has_no_way() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_raw = true;
        options.send_hwm = 1;
    });
    assert!(net.at(router).is_raw());
    let link = net.accept_test(router);
    net.expect_none(router);
    net.feed(link, "GET /");
    assert_eq!(net.recv(router), Message::from([&FIRST[..], b"GET /"]));
    net.send(router, Message::from([&FIRST[..], b"200 OK"]));
    assert_eq!(net.take(link), b"200 OK");
    net.send(router, ["nobody", "x"]);
    assert_eq!(net.at(router).connections().totals().unroutable, 1);
    net.room(link, 1);
    for _ in 0..3 {
        net.send(router, Message::from([&FIRST[..], b"more"]));
    }
    assert_eq!(net.connection(router, link).counters().dropped_at_hwm, 2);
    net.at(router).set_options(|options| options.router_mandatory = true);
    assert_eq!(net.try_send(router, ["nobody", "x"]), Err(SendRefusal::Unroutable));
    assert_eq!(net.try_send(router, Message::from([&FIRST[..], b"x"])), Err(SendRefusal::WouldBlock));
    net.room(link, usize::MAX);
    net.send(router, Message::from([&FIRST[..], b""]));
    assert!(net.is_closed(link));
    net.expect_none(router);
}

#[test]
fn without_notices_only_bytes_are_received() {
    let mut net = Net::new();
    let stream = net.socket_with(SocketType::Stream, |options| options.stream_notify = false);
    let link = net.accept_test(stream);
    net.expect_none(stream);
    net.feed(link, "x");
    assert_eq!(net.recv(stream), Message::from([&FIRST[..], b"x"]));
    net.close_test(link);
    net.expect_none(stream);
}

#[test]
fn peers_take_turns() {
    let mut net = Net::new();
    let stream = net.socket_with(SocketType::Stream, |options| options.stream_notify = false);
    let links = [net.accept_test(stream), net.accept_test(stream)];
    net.feed(links[0], "a");
    net.feed(links[1], "b");
    net.feed(links[0], "a");
    assert_eq!(net.recv(stream)[1], *"aa");
    assert_eq!(net.recv(stream)[1], *"b");
}

#[test]
fn messages_of_another_shape_are_refused() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    net.accept_test(stream);
    for message in [Message::from("x"), Message::from([&FIRST[..], b"a", b"b"])] {
        assert_eq!(net.try_send(stream, message), Err(SendRefusal::Malformed));
    }
}

#[test]
fn a_flood_is_read_up_to_a_bound_and_goes_on_when_taken() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let link = net.accept_test(stream);
    net.recv(stream);
    let flood = vec![7; 3_000_000];
    net.feed(link, &flood);
    assert!(net.connection(stream, link).counters().bytes_in <= 1024 * 1024);
    let received: usize = net.recv_all(stream).iter().map(|message| message[1].len()).sum();
    assert_eq!(received, flood.len());
}

#[test]
fn bytes_that_look_like_half_a_frame_and_are_not_sent_are_lost_without_a_panic() {
    for bytes in
        [&b"\0\xFFx"[..], b"\x02\0\0\0\0\0\0\xFF\xFFx", b"\x01\x01a\0\xFF", b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"]
    {
        let mut net = Net::new();
        let stream = net.socket(SocketType::Stream);
        let link = net.accept_test(stream);
        net.recv(stream);
        net.room(link, 0);
        net.send(stream, Message::from([&FIRST[..], bytes]));
        net.close_test(link);
        assert_eq!(net.at(stream).connections().totals().lost, 1, "{bytes:?}");
        let connecting = net.connect_test(stream);
        net.room(connecting, 0);
        let name = net.recv_all(stream).last().unwrap()[0].clone();
        net.send(stream, Message::from([name, bytes.into()]));
        net.cut(connecting);
    }
}

#[test]
fn a_given_name_is_used() {
    let mut net = Net::new();
    let stream = net.socket(SocketType::Stream);
    let id = net.at(stream).open(Some("given".into()));
    let link = net.start_test(stream, id, true);
    assert_eq!(net.recv(stream), Message::from(["given", ""]));
    net.send(stream, ["given", "x"]);
    assert_eq!(net.take(link), b"x");
}

#[test]
fn a_name_is_given_once() {
    let mut net = Net::new();
    let stream = net.socket_with(SocketType::Stream, |options| options.stream_notify = false);
    let open = |net: &mut Net, name: &[u8]| {
        let id = net.at(stream).open(Some(name.into()));
        let link = net.start_test(stream, id, true);
        net.pump();
        link
    };
    let first = open(&mut net, b"name");
    let second = open(&mut net, b"name");
    assert!(net.is_closed(second));
    net.send(stream, ["name", "to the first"]);
    assert_eq!(net.take(first), b"to the first");
    // A generated one passes over those that are taken.
    open(&mut net, &FIRST);
    let accepted = net.accept_test(stream);
    net.feed(accepted, "x");
    assert_eq!(net.recv(stream), Message::from([&[0, 0, 0, 0, 1][..], b"x"]));
}
