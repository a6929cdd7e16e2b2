//! Peers of ZMTP 3.0, 2.0 and 1.0, played byte by byte as the RFCs have them (RFC 23, 15, 13).

use nought_proto::{
    Event, Message, ProtocolError, SocketType,
    error::{Incompatibility, Misbehaviour},
    wire::Version,
};

use crate::harness::{Link, Net, Node, Pieces, bodies, numbered, wire};

const PIECES: [Pieces; 4] = [Pieces::Whole, Pieces::Of(1), Pieces::Of(3), Pieces::Random(1)];

/// A machine with the routing id "us" that accepts, or connects to, a peer that the test plays.
fn meet(socket_type: SocketType, pieces: Pieces, connects: bool) -> (Net, Node, Link) {
    let mut net = Net::in_pieces(pieces);
    let node = net.socket_with(socket_type, |options| options.routing_id = "us".into());
    let link = if connects { net.connect_test(node) } else { net.accept_test(node) };
    (net, node, link)
}

fn in_both_roles(socket_type: SocketType, test: impl Fn(Net, Node, Link)) {
    for pieces in PIECES {
        for connects in [false, true] {
            let (net, node, link) = meet(socket_type, pieces, connects);
            test(net, node, link);
        }
    }
}

/// The signature carries the length of the routing id, for a peer of 1.0 to read.
const OUR_SIGNATURE: &[u8] = b"\xFF\0\0\0\0\0\0\0\x03\x7F";

#[test]
fn a_peer_of_3_0_gets_3_0_framing_and_is_told_of_3_1() {
    in_both_roles(SocketType::Dealer, |mut net, node, link| {
        net.feed(link, wire::hello_3_0("ROUTER"));
        let sent = net.take(link);
        assert_eq!(&sent[..12], [OUR_SIGNATURE, &[3, 1]].concat());
        assert!(sent.ends_with(&wire::ready_as("DEALER", "us")));
        assert_eq!(net.connection(node, link).version(), Version::V3_0);
        let long = "l".repeat(300);
        net.send(node, ["", "a", &long]);
        assert_eq!(net.take(link), wire::message(&["", "a", &long]));
        net.feed(link, wire::message(&["b", &long]));
        assert_eq!(net.recv(node), Message::from(["b", &long]));
    });
}

#[test]
fn a_peer_of_2_0_gets_type_and_identity_in_the_greeting() {
    for revision in [1, 2] {
        in_both_roles(SocketType::Dealer, |mut net, node, link| {
            assert_eq!(net.take(link), OUR_SIGNATURE);
            net.feed(link, [wire::SIGNATURE, &[revision, 6], &wire::frame(0, "peer")].concat());
            assert_eq!(net.take(link), [&[3, 5][..], &wire::frame(0, "us")].concat());
            let peer = net.connection(node, link).peer().clone();
            assert_eq!(peer.version, Some(Version::V2_0));
            assert_eq!(peer.socket_type, Some(SocketType::Router));
            assert_eq!(peer.routing_id, *"peer");
            let long = "l".repeat(256);
            net.send(node, ["", &long]);
            assert_eq!(net.take(link), wire::message(&["", &long]));
            net.feed(link, wire::message(&["x", "", &long]));
            assert_eq!(net.recv(node), Message::from(["x", "", &long]));
        });
    }
}

#[test]
fn a_router_calls_a_peer_of_2_0_or_1_0_by_its_identity() {
    for hello in [wire::hello_2_0(5, "worker"), wire::old_frame(0, "worker")] {
        in_both_roles(SocketType::Router, |mut net, node, link| {
            net.feed(link, &hello);
            let old = net.connection(node, link).version() == Version::V1_0;
            let encode = if old { wire::old_message } else { wire::message };
            net.feed(link, encode(&["", "hello"]));
            assert_eq!(net.recv(node), Message::from(["worker", "", "hello"]));
            net.take(link);
            net.send(node, ["worker", "", "job"]);
            assert_eq!(net.take(link), encode(&["", "job"]));
        });
    }
}

#[test]
fn a_peer_of_2_0_with_an_unfit_type_is_dropped_without_a_word() {
    // RFC 15, "Socket Compatibility": silently disconnecting.
    for number in [0, 1, 2, 6, 8, 11, 12, 255] {
        in_both_roles(SocketType::Push, |mut net, node, link| {
            net.feed(link, wire::hello_2_0(number, ""));
            assert!(net.take(link).ends_with(&[3, 8, 0, 2, b'u', b's']));
            assert!(net.is_closed(link), "{number}");
            let error = net.error(node);
            assert!(
                matches!(error, ProtocolError::Incompatible(Incompatibility::SocketType { .. })),
                "{number}: {error:?}"
            );
        });
    }
}

#[test]
fn xpub_and_xsub_are_pub_and_sub_to_a_peer_of_2_0() {
    // RFC 15, "Publish-Subscribe": they are API constructs only.
    for (socket_type, number, peer) in [
        (SocketType::XPub, 1, 2),
        (SocketType::XPub, 1, 10),
        (SocketType::XSub, 2, 1),
        (SocketType::XSub, 2, 9),
        (SocketType::Pub, 1, 2),
        (SocketType::Sub, 2, 1),
    ] {
        in_both_roles(socket_type, |mut net, node, link| {
            net.feed(link, wire::hello_2_0(peer, ""));
            assert_eq!(net.take(link)[11], number);
            net.expect_no_failure(node);
        });
    }
}

#[test]
fn subscriptions_to_and_from_peers_of_3_0_and_2_0_are_messages() {
    for (sub_hello, pub_hello) in
        [(wire::hello_3_0("SUB"), wire::hello_3_0("PUB")), (wire::hello_2_0(2, ""), wire::hello_2_0(1, ""))]
    {
        in_both_roles(SocketType::Sub, |mut net, node, link| {
            net.at(node).subscribe(b"before").unwrap();
            net.feed(link, &pub_hello);
            assert!(net.take(link).ends_with(&wire::frame(0, "\x01before")));
            net.at(node).subscribe(b"after").unwrap();
            net.at(node).unsubscribe(b"before").unwrap();
            assert_eq!(net.take(link), [wire::frame(0, "\x01after"), wire::frame(0, "\x00before")].concat());
            net.feed(link, [wire::message(&["after"]), wire::message(&["before"])].concat());
            assert_eq!(bodies(&net.recv_all(node)), ["after"]);
        });
        in_both_roles(SocketType::Pub, |mut net, node, link| {
            net.feed(link, [&sub_hello[..], &wire::frame(0, "\x01a"), &wire::frame(0, "\x01b")].concat());
            net.feed(link, wire::frame(0, "\x00b"));
            net.take(link);
            net.send(node, "a");
            net.send(node, "b");
            assert_eq!(net.take(link), wire::message(&["a"]));
        });
    }
}

#[test]
fn a_peer_of_1_0_sees_our_signature_as_its_frame_with_our_identity() {
    for (hello, identity) in [
        (b"\x01\0".to_vec(), ""),
        (wire::old_frame(0, "peer"), "peer"),
        // RFC 13: the flags of an identity shall not be validated.
        (b"\x05\x7Epeer".to_vec(), "peer"),
        // The long form, which for short lengths may be used, too.
        ([&b"\xFF\0\0\0\0\0\0\0\x05\0"[..], b"peer"].concat(), "peer"),
    ] {
        in_both_roles(SocketType::Dealer, |mut net, node, link| {
            net.feed(link, &hello);
            assert_eq!(net.take(link), [OUR_SIGNATURE, b"us"].concat());
            let peer = net.connection(node, link).peer().clone();
            assert_eq!((peer.version, peer.socket_type), (Some(Version::V1_0), None));
            assert_eq!(peer.routing_id, *identity);
            for len in [0, 1, 252, 253, 254, 255, 256, 10_000] {
                let body = "l".repeat(len);
                net.send(node, ["", &body]);
                assert_eq!(net.take(link), wire::old_message(&["", &body]), "{len}");
                net.feed(link, wire::old_message(&["", &body]));
                assert_eq!(net.recv(node), Message::from(["", &body]), "{len}");
            }
        });
    }
}

#[test]
fn what_was_queued_is_framed_for_the_version_that_comes() {
    for (hello, encode) in [
        (b"\x01\0".to_vec(), wire::old_message as fn(&[&str]) -> Vec<u8>),
        (wire::hello_2_0(7, ""), wire::message),
        (wire::hello_3_0("PULL"), wire::message),
        (wire::hello("PULL"), wire::message),
    ] {
        in_both_roles(SocketType::Push, |mut net, node, link| {
            let large = "l".repeat(20_000);
            if net.try_send(node, "0").is_err() {
                return;
            }
            net.try_send(node, ["", "1", &large]).unwrap();
            net.try_send(node, &large).unwrap();
            net.try_send(node, "m".repeat(254)).unwrap();
            net.feed(link, &hello);
            net.send(node, "after");
            let expected = [
                encode(&["0"]),
                encode(&["", "1", &large]),
                encode(&[&large]),
                encode(&[&"m".repeat(254)]),
                encode(&["after"]),
            ];
            let sent = net.take(link);
            assert!(sent.ends_with(&expected.concat()));
        });
    }
}

#[test]
fn a_queue_framed_for_1_0_is_framed_anew_after_the_next_peer_came() {
    let large = "l".repeat(20_000);
    for (first, second, encode) in [
        (b"\x01\0".to_vec(), wire::hello("PULL"), wire::message as fn(&[&str]) -> Vec<u8>),
        (wire::hello("PULL"), b"\x01\0".to_vec(), wire::old_message),
        (b"\x01\0".to_vec(), b"\x01\0".to_vec(), wire::old_message),
    ] {
        for room in [0, 1, 5, 200, 20_100] {
            let mut net = Net::new();
            let push = net.socket(SocketType::Push);
            let link = net.connect_test(push);
            net.feed(link, &first);
            net.take(link);
            net.room(link, room);
            for body in numbered(0..100) {
                net.send(push, [&body[..], "", &large]);
            }
            let partly = net.take(link);
            net.cut(link);
            let link = net.reconnect_test(link);
            net.feed(link, &second);
            let rest = net.take(link);
            let all: Vec<Vec<u8>> = numbered(0..100).iter().map(|body| encode(&[body, "", &large])).collect();
            let sent_whole = partly.len() / 20_010;
            assert!(rest.ends_with(&all[sent_whole..].concat()), "room for {room}");
            let before = &rest[..rest.len() - all[sent_whole..].concat().len()];
            assert!(before.len() < 110, "{}", before.len());
        }
    }
}

#[test]
fn a_subscriber_of_1_0_gets_everything_and_filters_for_itself() {
    in_both_roles(SocketType::Pub, |mut net, node, link| {
        net.feed(link, b"\x01\0");
        assert_eq!(net.at(node).subscriptions(), 1);
        net.take(link);
        net.send(node, "anything");
        net.send(node, ["several", "frames"]);
        assert_eq!(
            net.take(link),
            [wire::old_message(&["anything"]), wire::old_message(&["several", "frames"])].concat()
        );
    });
}

#[test]
fn a_publisher_of_1_0_does_not_filter_and_we_do() {
    in_both_roles(SocketType::Sub, |mut net, node, link| {
        net.at(node).subscribe(b"a").unwrap();
        net.feed(link, b"\x01\0");
        net.feed(link, [wire::old_message(&["a1"]), wire::old_message(&["b1"]), wire::old_message(&["a2"])].concat());
        assert_eq!(bodies(&net.recv_all(node)), ["a1", "a2"]);
    });
}

#[test]
fn revision_0_frames_as_1_0_and_tells_its_type() {
    in_both_roles(SocketType::Push, |mut net, node, link| {
        net.feed(link, [wire::SIGNATURE, b"\0\x07", &wire::old_frame(0, "peer")].concat());
        assert_eq!(net.connection(node, link).peer().socket_type, Some(SocketType::Pull));
        net.take(link);
        net.send(node, ["a", "b"]);
        assert_eq!(net.take(link), wire::old_message(&["a", "b"]));
    });
    in_both_roles(SocketType::Push, |mut net, node, link| {
        net.feed(link, [wire::SIGNATURE, b"\0\x08", &wire::old_frame(0, "")].concat());
        assert!(matches!(net.error(node), ProtocolError::Incompatible(Incompatibility::SocketType { .. })));
    });
}

#[test]
fn broken_rules_of_old_framing_have_their_errors() {
    let cases: [(&[u8], Misbehaviour); 7] = [
        (b"\0", Misbehaviour::ZeroLengthFrame),
        (b"\x01\0\0\0", Misbehaviour::ZeroLengthFrame),
        (b"\xFF\0\0\0\0\0\0\x01\x01\0", Misbehaviour::RoutingId),
        (b"\xFF\xFF\0\0\0\0\0\0\0\0", Misbehaviour::LengthOverflow),
        (b"\x02\0\0", Misbehaviour::RoutingId),
        (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01\x07\x00\x00\x04\x00", Misbehaviour::ReservedFlag),
        (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01\x07\x04", Misbehaviour::ReservedFlag),
    ];
    for (bytes, rule) in cases {
        in_both_roles(SocketType::Push, |mut net, node, link| {
            net.feed(link, bytes);
            assert_eq!(net.error(node), ProtocolError::Misbehaved(rule), "{bytes:?}");
            assert!(net.is_closed(link));
        });
    }
}

#[test]
fn an_established_old_peer_is_told_by_the_event() {
    in_both_roles(SocketType::Pull, |mut net, node, link| {
        net.feed(link, b"\x01\0");
        net.feed(link, wire::old_message(&["x"]));
        assert!(matches!(net.events(node)[..], [Event::Established(_)]));
        assert_eq!(net.recv(node), *"x");
    });
}

#[test]
fn heartbeats_and_errors_are_not_for_versions_without_commands() {
    in_both_roles(SocketType::Pull, |mut net, node, link| {
        net.feed(link, wire::hello_2_0(8, ""));
        net.feed(link, wire::ping(0, ""));
        assert_eq!(net.error(node), ProtocolError::Misbehaved(Misbehaviour::ReservedFlag));
    });
}
