//! From the first byte to the first message, as a stranger may send it (RFC 37, "Greeting" to "Connection Metadata").

use std::time::Duration;

use nought_proto::{
    Event, ProtocolError, SocketType,
    error::{Incompatibility, Misbehaviour},
    limits::{HANDSHAKE_COMMAND_LEN_MAX, HANDSHAKE_READ_LEN, HANDSHAKE_TIMEOUT_DEFAULT, METADATA_LEN_MAX},
    wire::Version,
};

use crate::harness::{Link, Net, Node, Pieces, wire};

fn strangers(socket_type: SocketType) -> (Net, Node, Link) {
    let mut net = Net::new();
    let node = net.socket(socket_type);
    let link = net.accept_test(node);
    (net, node, link)
}

/// The error for these bytes, which must not depend on the pieces they come in.
fn error_for(bytes: &[u8]) -> ProtocolError {
    let errors = [Pieces::Whole, Pieces::Of(1), Pieces::Of(13)].map(|pieces| {
        let mut net = Net::in_pieces(pieces);
        let node = net.socket(SocketType::Pull);
        let link = net.accept_test(node);
        net.feed(link, bytes);
        assert!(net.is_closed(link));
        net.error(node)
    });
    assert_eq!(errors[0], errors[1]);
    assert_eq!(errors[0], errors[2]);
    errors[0].clone()
}

fn misbehaviour_for(bytes: &[u8]) -> Misbehaviour {
    match error_for(bytes) {
        ProtocolError::Misbehaved(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_longest_metadata_is_taken_by_the_peer() {
    let mut net = Net::new();
    let dealer = net.socket_with(SocketType::Dealer, |options| {
        options.routing_id = "n".repeat(255).into();
        options.metadata.push("X-a", vec![0; METADATA_LEN_MAX - 8]);
        options.metadata.check().unwrap();
    });
    let router = net.socket(SocketType::Router);
    net.connect(dealer, router);
    net.expect_no_failure(router);
    net.send(dealer, "x");
    assert_eq!(net.recv(router)[1], *"x");
}

#[test]
fn the_greeting_shows_itself_byte_by_byte_and_ends_in_ready() {
    // The worked example of RFC 37.
    let mut net = Net::new();
    let node = net.socket(SocketType::Dealer);
    let link = net.connect_test(node);
    assert_eq!(net.take(link), wire::SIGNATURE);
    net.feed(link, wire::SIGNATURE);
    assert_eq!(net.take(link), [3]);
    net.feed(link, [3]);
    assert_eq!(net.take(link), &wire::greeting(3, 1, "NULL")[11..]);
    net.feed(link, &wire::greeting(3, 1, "NULL")[11..]);
    assert_eq!(net.take(link), wire::ready_as("DEALER", ""));
    assert!(net.events(node).is_empty());
    net.feed(link, wire::ready("ROUTER"));
    assert!(matches!(net.events(node)[..], [Event::Established(_)]));
    let peer = net.connection(node, link).peer();
    assert_eq!((peer.version, peer.socket_type), (Some(Version::V3_1), Some(SocketType::Router)));
}

#[test]
fn the_side_that_was_connected_to_replies_to_ready() {
    // RFC 37, "The NULL Security Mechanism": the client sends READY and waits for a READY in reply.
    let (mut net, node, link) = strangers(SocketType::Dealer);
    net.feed(link, wire::greeting(3, 1, "NULL"));
    assert_eq!(net.take(link), wire::greeting(3, 1, "NULL"));
    net.feed(link, wire::ready("ROUTER"));
    assert_eq!(net.take(link), wire::ready_as("DEALER", ""));
    assert!(matches!(net.events(node)[..], [Event::Established(_)]));
}

#[test]
fn only_those_types_announce_a_routing_id_that_have_one() {
    for socket_type in SocketType::ALL.into_iter().filter(|&kind| kind != SocketType::Stream) {
        let mut net = Net::new();
        let node = net.socket_with(socket_type, |options| options.routing_id = "me".into());
        let link = net.connect_test(node);
        net.feed(link, wire::greeting(3, 1, "NULL"));
        let sent = net.take(link);
        let has_it = matches!(socket_type, SocketType::Req | SocketType::Dealer | SocketType::Router);
        let name = socket_type.name();
        let expected = if has_it { wire::ready_as(name, "me") } else { wire::ready(name) };
        assert!(sent.ends_with(&expected), "{socket_type}: {sent:?}");
    }
}

#[test]
fn metadata_of_both_sides_arrives_whatever_its_case_and_order() {
    let mut net = Net::new();
    let (push, pull) = (
        net.socket_with(SocketType::Push, |options| options.metadata.push("X-Service", "resize")),
        net.socket(SocketType::Pull),
    );
    let link = net.connect(push, pull);
    assert_eq!(net.connection(pull, link).peer().metadata.get("x-service"), Some(&b"resize"[..]));
    let link = net.accept_test(pull);
    let properties = [wire::property("X-EMPTY", ""), wire::property("sOCKET-tYPE", "PUSH")].concat();
    net.feed(link, [wire::greeting(3, 1, "NULL"), wire::command("READY", properties)].concat());
    assert_eq!(net.connection(pull, link).peer().metadata.get("X-Empty"), Some(&b""[..]));
}

#[test]
fn every_fitting_pair_of_types_talks_and_every_other_is_refused_on_both_sides() {
    let types = SocketType::ALL.into_iter().filter(|&kind| kind != SocketType::Stream);
    for (a, b) in types.clone().flat_map(|a| types.clone().map(move |b| (a, b))) {
        let mut net = Net::new();
        let (one, other) = (net.socket(a), net.socket(b));
        net.connect(one, other);
        let refused = |error: &ProtocolError| {
            matches!(
                error,
                ProtocolError::Incompatible(Incompatibility::SocketType { .. }) | ProtocolError::RefusedByPeer(_)
            )
        };
        for (node, ours, theirs) in [(one, a, b), (other, b, a)] {
            if a.accepts(b) {
                assert!(matches!(net.events(node)[..], [Event::Established(_)]), "{a} and {b}");
            } else {
                let error = net.error(node);
                assert!(refused(&error), "{ours} and {theirs}: {error:?}");
            }
        }
    }
}

#[test]
fn the_refusal_tells_the_peer_why_in_the_place_of_ready() {
    let (mut net, node, link) = strangers(SocketType::Pull);
    net.feed(link, wire::hello("PUB"));
    let refusal = wire::error("a PUB cannot talk to a PULL");
    assert_eq!(net.take(link), [wire::greeting(3, 1, "NULL"), refusal].concat());
    let ours = SocketType::Pull;
    let theirs = Some(SocketType::Pub);
    let expected = ProtocolError::Incompatible(Incompatibility::SocketType { ours, theirs });
    assert_eq!(net.error(node), expected);
    assert_eq!(expected.to_string(), "a PUB cannot talk to a PULL");
}

#[test]
fn an_unknown_type_is_refused() {
    let error = error_for(&wire::hello("PUSHY"));
    let ours = SocketType::Pull;
    assert_eq!(error, ProtocolError::Incompatible(Incompatibility::SocketType { ours, theirs: None }));
}

#[test]
fn an_error_of_the_peer_is_reported_in_the_handshake_and_after_it() {
    for hello in [wire::greeting(3, 1, "NULL"), wire::hello("PUSH")] {
        let refusal = [hello.clone(), wire::command("ERROR", "\x08go away\x07")].concat();
        assert_eq!(error_for(&refusal), ProtocolError::RefusedByPeer("go away\\x07".into()));
        let empty = [hello.clone(), wire::command("ERROR", "\0")].concat();
        assert_eq!(error_for(&empty), ProtocolError::RefusedByPeer(String::new()));
        for data in ["", "\x05four", "\x03four"] {
            let malformed = [hello.clone(), wire::command("ERROR", data)].concat();
            assert_eq!(misbehaviour_for(&malformed), Misbehaviour::ErrorReason);
        }
    }
}

#[test]
fn each_broken_rule_of_the_greeting_has_its_error() {
    assert_eq!(misbehaviour_for(&wire::greeting(3, 1, "")), Misbehaviour::MechanismName);
    assert_eq!(misbehaviour_for(&wire::greeting(3, 1, "null")), Misbehaviour::MechanismName);
    assert_eq!(misbehaviour_for(&wire::greeting(3, 1, "NU\0LL")), Misbehaviour::MechanismName);
    assert_eq!(misbehaviour_for(&wire::greeting(3, 1, "N\u{00DC}LL")), Misbehaviour::MechanismName);
    let theirs = "PLAIN".to_owned();
    let expected = ProtocolError::Incompatible(Incompatibility::Mechanism { ours: "NULL", theirs });
    assert_eq!(error_for(&wire::greeting(3, 1, "PLAIN")), expected);
    let longest = "TWENTY-CHARACTERS.20";
    assert!(
        matches!(error_for(&wire::greeting(3, 1, longest)), ProtocolError::Incompatible(Incompatibility::Mechanism { theirs, .. }) if theirs == longest)
    );
}

#[test]
fn each_broken_rule_of_the_handshake_has_its_error() {
    let after_greeting = |bytes: Vec<u8>| misbehaviour_for(&[wire::greeting(3, 1, "NULL"), bytes].concat());
    assert_eq!(after_greeting(wire::frame(0, "message")), Misbehaviour::MessageInHandshake);
    assert_eq!(after_greeting(wire::frame(1, "message")), Misbehaviour::MessageInHandshake);
    assert_eq!(after_greeting(wire::frame(8, "")), Misbehaviour::ReservedFlag);
    assert_eq!(after_greeting(wire::frame(5, "")), Misbehaviour::CommandWithMore);
    assert_eq!(after_greeting(wire::frame(4, "")), Misbehaviour::CommandName);
    assert_eq!(after_greeting(wire::frame(4, "\0")), Misbehaviour::CommandName);
    assert_eq!(after_greeting(wire::frame(4, "\x05REA")), Misbehaviour::CommandName);
    assert_eq!(after_greeting(wire::command("HELLO", "")), Misbehaviour::UnexpectedCommand);
    assert_eq!(after_greeting(wire::ping(0, "")), Misbehaviour::UnexpectedCommand);
    assert_eq!(after_greeting(wire::command("READY", "")), Misbehaviour::NoSocketType);
    assert_eq!(after_greeting(wire::command("READY", "\x0BSocket-Ty")), Misbehaviour::Metadata);
    assert_eq!(after_greeting(wire::command("READY", wire::property("", "x"))), Misbehaviour::Metadata);
    assert_eq!(after_greeting(wire::command("READY", wire::property("Bad Name", "x"))), Misbehaviour::Metadata);
    let huge_value = [b"\x01X\xFF\xFF\xFF\xFF", &b"x"[..]].concat();
    assert_eq!(after_greeting(wire::command("READY", huge_value)), Misbehaviour::Metadata);
    assert_eq!(after_greeting(b"\x06\xFF\0\0\0\0\0\0\0".to_vec()), Misbehaviour::LengthOverflow);
    assert_eq!(after_greeting(b"\x06\0\0\0\0\0\0\x22\x01".to_vec()), Misbehaviour::CommandTooLong);
    assert_eq!(after_greeting([wire::ready("PUSH"), wire::frame(4, "")].concat()), Misbehaviour::CommandName);
}

#[test]
fn a_second_ready_is_a_command_like_any_unknown_one_and_is_ignored() {
    let (mut net, node, link) = strangers(SocketType::Pull);
    net.feed(link, [wire::hello("PUSH"), wire::ready("PUSH"), wire::message(&["x"])].concat());
    assert_eq!(net.recv(node), *"x");
}

#[test]
fn later_versions_are_talked_to_in_ours() {
    for (major, minor) in [(3, 2), (3, 255), (4, 0), (4, 1), (255, 0)] {
        let (mut net, node, link) = strangers(SocketType::Pull);
        net.feed(link, [wire::greeting(major, minor, "NULL"), wire::ready("PUSH")].concat());
        assert_eq!(net.connection(node, link).version(), Version::V3_1, "{major}.{minor}");
    }
}

#[test]
fn padding_role_and_filler_have_no_meaning() {
    let mut greeting = wire::greeting(3, 1, "NULL");
    greeting[1..9].fill(0xAB);
    greeting[32] = 1;
    greeting[33..].fill(0xCD);
    let (mut net, node, link) = strangers(SocketType::Pull);
    net.feed(link, [greeting, wire::ready("PUSH"), wire::message(&["x"])].concat());
    assert_eq!(net.recv(node), *"x");
}

#[test]
fn messages_right_behind_the_handshake_are_received_whatever_the_pieces() {
    let bytes = [wire::hello("PUSH"), wire::message(&["0"]), wire::ping(0, ""), wire::message(&["1", "2"])].concat();
    for len in 1..bytes.len() {
        let mut net = Net::in_pieces(Pieces::Of(len));
        let node = net.socket(SocketType::Pull);
        let link = net.accept_test(node);
        net.feed(link, &bytes);
        assert_eq!(net.recv_all(node).len(), 2, "in pieces of {len}");
    }
}

#[test]
fn the_handshake_has_its_time_and_no_more() {
    let (mut net, node, link) = strangers(SocketType::Pull);
    net.feed(link, wire::greeting(3, 1, "NULL"));
    net.pass(HANDSHAKE_TIMEOUT_DEFAULT - Duration::from_millis(1));
    // A drop now and then does not lengthen it.
    net.feed(link, [4]);
    assert!(!net.is_closed(link));
    net.pass(Duration::from_millis(1));
    assert_eq!(net.error(node), ProtocolError::HandshakeTimedOut);
    assert!(net.is_closed(link));
    assert_eq!(net.at(node).connections().totals().handshake_failures, 1);
    assert_eq!(net.at(node).next_timeout(), None);
}

#[test]
fn its_time_is_an_option_and_ends_with_the_handshake() {
    let mut net = Net::new();
    let node = net.socket_with(SocketType::Pull, |options| options.handshake_timeout = Some(Duration::from_secs(1)));
    let silent = net.accept_test(node);
    let done = net.accept_test(node);
    net.feed(done, wire::hello("PUSH"));
    net.pass(Duration::from_secs(100));
    assert!(net.is_closed(silent) && !net.is_closed(done));
    let mut net = Net::new();
    let node = net.socket_with(SocketType::Pull, |options| options.handshake_timeout = None);
    let silent = net.accept_test(node);
    net.pass(Duration::from_secs(1_000_000));
    assert!(!net.is_closed(silent));
}

#[test]
fn a_stranger_makes_us_hold_no_more_than_one_command() {
    // Whatever it sends, and in whatever pieces: before its handshake is over the connection fails or has taken it.
    let endless_command =
        [wire::greeting(3, 1, "NULL"), b"\x06\0\0\0\0\0\0\x20\0".to_vec(), vec![b'x'; 100_000]].concat();
    let endless_garbage = [wire::SIGNATURE.to_vec(), vec![3; 100_000]].concat();
    let endless_identity = [&[0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 0][..], &[b'x'; 100_000]].concat();
    let endless_second = [wire::SIGNATURE, b"\x01\x08\x02\0\0\0\0\0\x01\0\0", &[b'x'; 100_000]].concat();
    let mut endless_ready = wire::greeting(3, 1, "NULL");
    for _ in 0..100_000 {
        endless_ready.extend(wire::command("READY", wire::property("X-A", "")));
    }
    for bytes in [endless_command, endless_garbage, endless_identity, endless_second, endless_ready] {
        for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(100), Pieces::Of(5000)] {
            let mut net = Net::in_pieces(pieces);
            let node = net.socket(SocketType::Pull);
            // Buffers of peers that are established are large, and must not be lent to strangers.
            let friend = net.accept_test(node);
            net.feed(friend, [wire::hello("PUSH"), wire::message(&[&"x".repeat(3_000_000)])].concat());
            net.recv(node);
            let link = net.accept_test(node);
            net.write(link, &bytes);
            net.pump();
            assert!(net.is_closed(link));
            let total = net.at(node).connections().totals().bytes_in - 3_000_000;
            let bound = (HANDSHAKE_READ_LEN + HANDSHAKE_COMMAND_LEN_MAX + 500) as u64;
            assert!(total <= bound, "{total} bytes held in {pieces:?}");
        }
    }
}

#[test]
fn a_command_of_the_longest_length_is_taken() {
    let fill = HANDSHAKE_COMMAND_LEN_MAX - 6 - 22 - 8;
    let properties = [wire::property("Socket-Type", "PUSH"), wire::property("X-A", vec![b'x'; fill])].concat();
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(4096)] {
        let mut net = Net::in_pieces(pieces);
        let node = net.socket(SocketType::Pull);
        let link = net.accept_test(node);
        net.feed(link, [wire::greeting(3, 1, "NULL"), wire::command("READY", &properties)].concat());
        net.feed(link, wire::message(&["x"]));
        assert_eq!(net.recv(node), *"x");
    }
}

#[test]
fn a_failed_handshake_takes_nothing_and_sends_nothing_more() {
    let (mut net, node, link) = strangers(SocketType::Push);
    net.feed(link, [wire::greeting(3, 1, "NULL"), wire::frame(8, "")].concat());
    assert!(net.is_closed(link));
    assert_eq!(net.fill(node, "x"), 0);
    assert_eq!(net.at(node).connections().iter().count(), 0);
}

#[test]
fn two_machines_shake_hands_in_any_pieces() {
    for len in 1..200 {
        let mut net = Net::in_pieces(Pieces::Of(len));
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        net.connect(push, pull);
        net.send(push, "x");
        assert_eq!(net.recv(pull), *"x", "in pieces of {len}");
    }
}
