//! CURVE (RFC 25, RFC 26), between two machines and against a peer that is written after the RFC with another library.

use std::time::Duration;

use nought_proto::{
    Credentials, CurveClient, CurveServer, Event, Message, Options, ProtocolError, PublicKey, SecretKey, SocketType,
    connection::Verdict,
    error::{Denial, Incompatibility, Misbehaviour},
    limits::{COMMAND_LEN_MAX, HANDSHAKE_COMMAND_LEN_MAX, METADATA_LEN_MAX},
    zap::{Reply, Status},
};

use crate::harness::{
    Link, Net, Node, Pieces, bodies,
    curve::{self, CLIENT_SECRET, Client, SERVER_SECRET, public},
    numbered, wire,
};

const MORE: u8 = 1;
const COMMAND: u8 = 2;

fn server(options: &mut Options) {
    options.security = CurveServer::new(SecretKey::from_bytes(SERVER_SECRET)).into();
}

fn client(options: &mut Options) {
    let server_key = PublicKey::from_bytes(public(SERVER_SECRET));
    options.security = CurveClient::new(server_key, SecretKey::from_bytes(CLIENT_SECRET)).into();
}

#[test]
fn messages_of_all_sizes_pass_in_any_pieces() {
    let sizes = [0, 1, 31, 32, 33, 95, 96, 97, 214, 215, 216, 1000, 8191, 8192, 65_535, 300_000];
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(13), Pieces::Random(3)] {
        let mut net = Net::in_pieces(pieces);
        let (push, pull) = (net.socket_with(SocketType::Push, client), net.socket_with(SocketType::Pull, server));
        net.dial(push, pull);
        let sizes = if matches!(pieces, Pieces::Of(1)) { &sizes[..12] } else { &sizes[..] };
        for (index, &size) in sizes.iter().enumerate() {
            net.try_send(push, Message::from(vec![index as u8; size])).unwrap();
            net.try_send(push, Message::from([&b"a"[..], b"", &vec![index as u8; size], b"z"])).unwrap();
        }
        for (index, &size) in sizes.iter().enumerate() {
            assert_eq!(net.recv(pull), Message::from(vec![index as u8; size]));
            assert_eq!(net.recv(pull), Message::from([&b"a"[..], b"", &vec![index as u8; size], b"z"]));
        }
        assert_eq!(net.at(push).connections().totals().bytes_out, net.at(pull).connections().totals().bytes_in);
    }
}

#[test]
fn patterns_work_in_both_directions() {
    let mut net = Net::in_pieces(Pieces::Random(9));
    let (req, rep) = (net.socket_with(SocketType::Req, client), net.socket_with(SocketType::Rep, server));
    net.connect(req, rep);
    for number in numbered(0..100) {
        net.send(req, &number);
        assert_eq!(net.recv(rep), number[..]);
        net.send(rep, &number);
        assert_eq!(net.recv(req), number[..]);
    }
}

#[test]
fn subscriptions_and_heartbeats_travel_in_boxes() {
    let (mut net, xpub, link, mut player) = established(SocketType::XPub, "SUB");
    net.feed(link, player.message(COMMAND, b"\x09SUBSCRIBEa"));
    assert_eq!(net.recv(xpub), *b"\x01a");
    net.send(xpub, "abc");
    assert_eq!(player.open(&net.take(link)), [(0, b"abc".to_vec())]);
    net.feed(link, player.message(COMMAND, b"\x04PING\0\x01hi"));
    assert_eq!(player.open(&net.take(link)), [(COMMAND, b"\x04PONGhi".to_vec())]);
    net.feed(link, player.message(COMMAND, b"\x06CANCELa"));
    assert_eq!(net.recv(xpub), *b"\0a");
    // As peers of ZMTP 3.0 do.
    net.feed(link, player.message(0, b"\x01b"));
    assert_eq!(net.recv(xpub), *b"\x01b");
}

#[test]
fn publishers_and_subscribers_agree() {
    let mut net = Net::in_pieces(Pieces::Random(5));
    let (sub, publisher) = (net.socket_with(SocketType::Sub, client), net.socket_with(SocketType::Pub, server));
    net.at(sub).subscribe(b"a").unwrap();
    net.connect(sub, publisher);
    net.send(publisher, "abc");
    net.send(publisher, "bcd");
    assert_eq!(bodies(&net.recv_all(sub)), ["abc"]);
}

#[test]
fn commands_have_the_sizes_of_the_rfc() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, client);
    let link = net.connect_test(push);
    net.feed(link, wire::greeting_of_server("CURVE"));
    let sent = net.take(link);
    assert_eq!(sent[..64], wire::greeting(3, 1, "CURVE"));
    let mut sent = &sent[64..];
    let hello = wire::take_command("HELLO", &mut sent).to_vec();
    assert_eq!((6 + hello.len(), sent.len()), (200, 0));
    let welcome = curve::welcome(&hello, [77; 32]);
    assert_eq!(8 + welcome.len(), 168);
    net.feed(link, wire::command("WELCOME", welcome));
    let sent = net.take(link);
    let initiate = wire::take_command("INITIATE", &mut &sent[..]);
    let (permanent, metadata) = curve::open_initiate(&hello, initiate, [77; 32]);
    assert_eq!(permanent, public(CLIENT_SECRET));
    assert_eq!(metadata, wire::property("Socket-Type", "PUSH"));
    assert_eq!(9 + initiate.len(), 257 + metadata.len());
    let ready = curve::ready(&hello, [77; 32], &wire::property("Socket-Type", "PULL"));
    net.feed(link, wire::command("READY", ready));
    assert!(matches!(net.events(push)[..], [Event::Established(_)]));
    net.send(push, "x");
    assert_eq!(wire::take_frame(&mut &net.take(link)[..]).1.len(), 33 + 1);
}

fn stranger(change: impl FnOnce(&mut Options)) -> (Net, Node, Link) {
    stranger_to(SocketType::Pull, change)
}

fn stranger_to(socket_type: SocketType, change: impl FnOnce(&mut Options)) -> (Net, Node, Link) {
    let mut net = Net::new();
    let node = net.socket_with(socket_type, |options| {
        server(options);
        change(options);
    });
    let link = net.accept_test(node);
    net.feed(link, wire::greeting(3, 1, "CURVE"));
    assert_eq!(net.take(link), wire::greeting_of_server("CURVE"));
    (net, node, link)
}

fn say_hello(net: &mut Net, link: Link, player: &Client) -> Vec<u8> {
    net.feed(link, wire::command("HELLO", player.hello()));
    let sent = net.take(link);
    let welcome = wire::take_command("WELCOME", &mut &sent[..]).to_vec();
    assert_eq!(8 + welcome.len(), 168);
    welcome
}

fn established(socket_type: SocketType, peer_type: &str) -> (Net, Node, Link, Client) {
    established_with(socket_type, peer_type, |_| {})
}

fn established_with(
    socket_type: SocketType,
    peer_type: &str,
    change: impl FnOnce(&mut Options),
) -> (Net, Node, Link, Client) {
    let (mut net, node, link) = stranger_to(socket_type, change);
    let mut player = Client::new();
    let welcome = say_hello(&mut net, link, &player);
    let initiate = player.initiate(&welcome, &wire::property("Socket-Type", peer_type));
    net.feed(link, wire::command("INITIATE", initiate));
    let sent = net.take(link);
    let metadata = player.ready(wire::take_command("READY", &mut &sent[..]));
    assert!(metadata.starts_with(&wire::property("Socket-Type", socket_type.name())));
    assert!(net.connection(node, link).is_ready());
    net.events(node);
    (net, node, link, player)
}

#[test]
fn while_the_ping_waits_behind_many_boxes_progress_of_them_is_a_sign_of_life() {
    const SECOND: Duration = Duration::from_secs(1);
    let (mut net, push, link, _player) =
        established_with(SocketType::Push, "PULL", |options| options.heartbeat_interval = Some(SECOND));
    net.at(push).set_options(|options| options.send_hwm = 0);
    // What waits behind the one that is being written is not sealed yet: it takes far more bytes when it is.
    net.room(link, 10);
    (0..2000).for_each(|_| net.send(push, "x"));
    net.pass(SECOND);
    for _ in 0..50 {
        net.room(link, 1000);
        net.pass(SECOND / 2);
    }
    net.expect_no_failure(push);
    net.room(link, 0);
    net.pass(3 * SECOND);
    assert_eq!(net.error(push), ProtocolError::HeartbeatTimedOut);
}

#[test]
fn a_client_of_the_rfc_comes_in() {
    let (mut net, pull, link, mut player) = established(SocketType::Pull, "PUSH");
    net.feed(link, [player.message(MORE, "a"), player.message(0, "b")].concat());
    assert_eq!(net.recv(pull), Message::from(["a", "b"]));
}

#[test]
fn what_follows_the_handshake_in_one_piece_is_not_lost() {
    let mut net = Net::new();
    let (push, pull) = (net.socket_with(SocketType::Push, server), net.socket_with(SocketType::Pull, client));
    let link = net.dial(pull, push);
    // The server's READY and its first message leave together.
    net.pump();
    net.send(push, "x");
    assert_eq!(net.recv(pull), *"x");
    assert!(net.connection(pull, link).is_ready());
}

fn misbehaviour_for(bytes: &[u8]) -> Misbehaviour {
    let (mut net, pull, link) = stranger(|_| {});
    net.feed(link, bytes);
    assert!(net.is_closed(link));
    match net.error(pull) {
        ProtocolError::Misbehaved(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_that_is_none_closes_the_connection() {
    let hello = Client::new().hello();
    let changed = |at: usize| {
        let mut hello = hello.clone();
        hello[at] ^= 1;
        misbehaviour_for(&wire::command("HELLO", hello))
    };
    assert_eq!([changed(0), changed(1), changed(2), changed(73)], [Misbehaviour::MechanismCommand("HELLO"); 4]);
    assert_eq!([changed(74), changed(106), changed(114), changed(193)], [Misbehaviour::Box; 4]);
    assert_eq!(misbehaviour_for(&wire::command("HELLO", &hello[..193])), Misbehaviour::Box);
    assert_eq!(misbehaviour_for(&wire::command("HELLO", [&hello[..], b"x"].concat())), Misbehaviour::Box);
    assert_eq!(misbehaviour_for(&wire::command("HELLO", &hello[..100])), Misbehaviour::MechanismCommand("HELLO"));
    let mut for_another = Client::new();
    for_another.server = public([9; 32]);
    assert_eq!(misbehaviour_for(&wire::command("HELLO", for_another.hello())), Misbehaviour::Box);
    assert_eq!(misbehaviour_for(&wire::command("INITIATE", &hello)), Misbehaviour::UnexpectedCommand);
    assert_eq!(misbehaviour_for(&wire::ready("PUSH")), Misbehaviour::UnexpectedCommand);
    assert_eq!(misbehaviour_for(&wire::message(&["x"])), Misbehaviour::MessageInHandshake);
    let mut no_key = hello.clone();
    no_key[74..106].fill(0);
    assert_eq!(misbehaviour_for(&wire::command("HELLO", no_key)), Misbehaviour::Box);
    let longest = wire::command("HELLO", vec![0; HANDSHAKE_COMMAND_LEN_MAX]);
    assert_eq!(misbehaviour_for(&longest[..9]), Misbehaviour::CommandTooLong);
}

fn refused_initiate(change: impl FnOnce(&mut Client, &mut Vec<u8>)) -> Misbehaviour {
    let (mut net, pull, link) = stranger(|_| {});
    let mut player = Client::new();
    let welcome = say_hello(&mut net, link, &player);
    let mut initiate = player.initiate(&welcome, &wire::property("Socket-Type", "PUSH"));
    change(&mut player, &mut initiate);
    net.feed(link, wire::command("INITIATE", initiate));
    assert_eq!(net.take(link), b"", "no READY, and no ERROR");
    assert!(net.is_closed(link));
    match net.error(pull) {
        ProtocolError::Misbehaved(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_initiate_that_was_changed_closes_the_connection() {
    for at in [0, 15, 16, 95, 96, 103, 104, 119, 120, 200, 267] {
        assert_eq!(refused_initiate(|_, initiate| initiate[at] ^= 0x80), Misbehaviour::Box, "at {at}");
    }
    assert_eq!(refused_initiate(|_, initiate| initiate.truncate(200)), Misbehaviour::Box);
    assert_eq!(refused_initiate(|_, initiate| initiate.truncate(100)), Misbehaviour::MechanismCommand("INITIATE"));
    assert_eq!(refused_initiate(|_, initiate| initiate.truncate(90)), Misbehaviour::MechanismCommand("INITIATE"));
}

#[test]
fn a_cookie_is_good_for_its_own_connection_alone() {
    let (mut net, pull, first) = stranger(|_| {});
    let mut player = Client::new();
    let welcome = say_hello(&mut net, first, &player);
    let initiate = wire::command("INITIATE", player.initiate(&welcome, &wire::property("Socket-Type", "PUSH")));
    let second = net.accept_test(pull);
    net.feed(second, wire::greeting(3, 1, "CURVE"));
    net.take(second);
    say_hello(&mut net, second, &player);
    net.feed(second, &initiate);
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::Box));
    // For its own, once.
    net.feed(first, &initiate);
    net.expect_no_failure(pull);
}

#[test]
fn who_vouches_for_another_server_or_another_client_is_not_believed() {
    let transient = public(Client::new().transient);
    for vouched in [[transient, public([9; 32])], [public([8; 32]), public(SERVER_SECRET)]] {
        let (mut net, pull, link) = stranger(|_| {});
        let mut player = Client::new();
        let welcome = say_hello(&mut net, link, &player);
        let initiate = player.initiate_vouching(&welcome, &wire::property("Socket-Type", "PUSH"), &vouched.concat());
        net.feed(link, wire::command("INITIATE", initiate));
        assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::Box));
    }
}

/// What comes of these bytes behind one good message, in any pieces.
fn refused(bytes: impl Fn(&mut Client) -> Vec<u8>) -> Misbehaviour {
    let refused_in = |pieces| {
        let (mut net, pull, link, mut player) = established(SocketType::Pull, "PUSH");
        net.pieces = pieces;
        let good = player.message(0, "good");
        let bad = bytes(&mut player);
        let late = player.message(0, "late");
        net.feed(link, [good, bad, late].concat());
        assert!(net.is_closed(link));
        let error = net.error(pull);
        assert_eq!(bodies(&net.recv_all(pull)), ["good"], "what came before counts, what came after does not");
        match error {
            ProtocolError::Misbehaved(rule) => rule,
            other => panic!("{other:?}"),
        }
    };
    let rules = [Pieces::Whole, Pieces::Of(1), Pieces::Of(7)].map(refused_in);
    assert_eq!(rules, [rules[0]; 3]);
    rules[0]
}

#[test]
fn a_box_that_was_changed_anywhere_closes_the_connection() {
    for at in [18, 33, 34, 35, 40] {
        let changed = |player: &mut Client| {
            let mut message = player.message(0, "changed");
            message[at] ^= 4;
            message
        };
        assert_eq!(refused(changed), Misbehaviour::Box, "at {at}");
    }
    let other_name = |player: &mut Client| {
        let mut message = player.message(0, "changed");
        message[3] ^= 4;
        message
    };
    assert_eq!(refused(other_name), Misbehaviour::Unsealed);
}

#[test]
fn a_box_that_is_replayed_or_comes_too_late_closes_the_connection() {
    let (mut net, pull, link, mut player) = established(SocketType::Pull, "PUSH");
    let message = player.message(0, "x");
    net.feed(link, [&message[..], &message].concat());
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::Nonce));
    assert_eq!(bodies(&net.recv_all(pull)), ["x"]);
    for back in [1, 2, 3] {
        let older = |player: &mut Client| {
            player.message_nonce -= back;
            player.message(0, "x")
        };
        assert_eq!(refused(older), Misbehaviour::Nonce, "{back} back");
    }
}

#[test]
fn nonces_may_have_gaps() {
    let (mut net, pull, link, mut player) = established(SocketType::Pull, "PUSH");
    for step in [1, 1 << 20, 1 << 60] {
        player.message_nonce += step;
        net.feed(link, player.message(0, "x"));
        assert_eq!(net.recv(pull), *"x");
    }
}

#[test]
fn a_box_that_is_cut_short_closes_the_connection() {
    let cut = |len: usize| {
        move |player: &mut Client| {
            let message = player.message(0, "");
            wire::frame(0, &message[2..2 + len])
        }
    };
    for len in [0, 7, 8, 16, 32] {
        assert_eq!(refused(cut(len)), Misbehaviour::Box, "{len} bytes");
    }
    let without_end = |player: &mut Client| {
        let message = player.message(0, "a long message");
        wire::frame(0, &message[2..message.len() - 1])
    };
    assert_eq!(refused(without_end), Misbehaviour::Box);
}

#[test]
fn frames_without_a_box_close_the_connection() {
    assert_eq!(refused(|_| wire::message(&["in the clear, and longer than a box is"])), Misbehaviour::Unsealed);
    assert_eq!(refused(|_| wire::command("PING", [0; 40])), Misbehaviour::Unsealed);
    assert_eq!(refused(|_| vec![8, 0]), Misbehaviour::ReservedFlag);
}

#[test]
fn flags_that_are_not_known_close_the_connection() {
    for flags in [3, 4, 0x80] {
        assert_eq!(refused(|player| player.message(flags, "x")), Misbehaviour::BoxFlags);
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_by_its_length() {
    let limit = |options: &mut Options| options.max_message_size = Some(10);
    let (mut net, pull, link, mut player) = established_with(SocketType::Pull, "PUSH", limit);
    net.feed(link, player.message(0, "0123456789"));
    assert_eq!(net.recv(pull).body_len(), 10);
    net.feed(link, player.message(0, "0123456789x"));
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::MessageTooLarge));

    let (mut net, pull, link, mut player) = established_with(SocketType::Pull, "PUSH", limit);
    net.feed(link, &player.message(0, vec![0; COMMAND_LEN_MAX + 1])[..40]);
    assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::MessageTooLarge), "before it has come");
}

#[test]
fn an_authenticator_says_which_keys_may_come_in() {
    let judge = |net: &mut Net| {
        net.judge_by(|request| {
            let Credentials::Curve(key) = request.credentials else { panic!("{request:?}") };
            let is_known = key.as_bytes() == &public(CLIENT_SECRET);
            Some(Verdict::Reply(if is_known { Reply::success("anna") } else { Reply::failure("unknown key") }))
        });
    };
    let mut net = Net::new();
    judge(&mut net);
    let (push, pull) = (net.socket_with(SocketType::Push, client), net.socket_with(SocketType::Pull, server));
    net.connect(push, pull);
    net.send(push, "x");
    assert_eq!(net.recv(pull), *"x");
    assert_eq!(net.connections_of(pull)[0].user_id, Some("anna".into()));

    let stranger = net.socket_with(SocketType::Push, |options| {
        let server_key = PublicKey::from_bytes(public(SERVER_SECRET));
        options.security = CurveClient::new(server_key, SecretKey::from_bytes([9; 32])).into();
    });
    net.connect(stranger, pull);
    assert_eq!(net.error(stranger), ProtocolError::RefusedByPeer("400".into()));
    let denial = Denial::Status { status: Status::Failure, text: "unknown key".into() };
    assert_eq!(net.error(pull), ProtocolError::Denied(denial));
}

#[test]
fn a_client_with_the_wrong_server_key_says_nothing_that_helps() {
    // The second is no proper key.
    for server_key in [public([9; 32]), [0; 32]] {
        let mut net = Net::new();
        let pull = net.socket_with(SocketType::Pull, server);
        let push = net.socket_with(SocketType::Push, |options| {
            let server_key = PublicKey::from_bytes(server_key);
            options.security = CurveClient::new(server_key, SecretKey::from_bytes(CLIENT_SECRET)).into();
        });
        net.connect(push, pull);
        assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::Box));
    }
}

#[test]
fn a_client_does_not_believe_another_server() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, client);
    let link = net.connect_test(push);
    net.feed(link, wire::greeting_of_server("CURVE"));
    let sent = net.take(link);
    let hello = wire::take_command("HELLO", &mut &sent[64..]);
    let mut welcome = curve::welcome(hello, [77; 32]);
    welcome[100] ^= 1;
    net.feed(link, wire::command("WELCOME", welcome));
    assert_eq!(net.error(push), ProtocolError::Misbehaved(Misbehaviour::Box));
    assert!(net.is_closed(link));
}

#[test]
fn two_servers_or_two_mechanisms_do_not_talk() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.accept_test(pull);
    net.feed(link, wire::greeting_of_server("CURVE"));
    assert_eq!(net.error(pull), ProtocolError::Incompatible(Incompatibility::Role));
    let link = net.accept_test(pull);
    net.feed(link, wire::hello_2_0(8, ""));
    assert_eq!(net.error(pull), ProtocolError::Incompatible(Incompatibility::VersionWithoutSecurity));
}

#[test]
fn the_longest_metadata_is_taken_by_the_peer() {
    let mut net = Net::new();
    let longest = |options: &mut Options| {
        options.routing_id = "n".repeat(255).into();
        options.metadata.push("X-a", vec![0; METADATA_LEN_MAX - 8]);
        options.metadata.check().unwrap();
    };
    let dealer = net.socket_with(SocketType::Dealer, |options| {
        client(options);
        longest(options);
    });
    let router = net.socket_with(SocketType::Router, |options| {
        server(options);
        longest(options);
    });
    net.connect(dealer, router);
    net.expect_no_failure(router);
    net.expect_no_failure(dealer);
    net.send(dealer, "x");
    assert_eq!(net.recv(router)[1], *"x");
}

#[test]
fn what_was_not_sent_whole_is_sealed_anew_for_the_next_connection() {
    for room in [0, 1, 100, 5_000, 20_000, 100_000] {
        let mut net = Net::new();
        let (push, pull) = (net.socket_with(SocketType::Push, client), net.socket_with(SocketType::Pull, server));
        let link = net.connect(push, pull);
        net.room(link, room);
        let texts = numbered(0..900);
        for text in &texts {
            net.try_send(push, Message::from([&text[..], &"x".repeat(100)])).unwrap();
        }
        net.pump();
        let mut received = net.recv_all(pull);
        net.cut(link);
        net.reconnect(link, pull);
        received.extend(net.recv_all(pull));
        let got: Vec<String> = received.iter().map(|message| String::from_utf8(message[0].to_vec()).unwrap()).collect();
        let missing = texts.len() - got.len();
        assert!(missing <= room / 141 + 1, "{missing} with room for {room}");
        assert_eq!(got[got.len() - (texts.len() - missing)..], texts[missing..], "in order, whole");
        let lost = net.at(push).connections().totals().lost;
        assert_eq!(lost, 0);
    }
}

#[test]
fn a_hwm_counts_messages_in_boxes() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| {
        client(options);
        options.send_hwm = 10;
    });
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.connect(push, pull);
    net.room(link, 0);
    net.fill(push, "x");
    net.pump();
    assert_eq!(net.fill(push, "x"), 0);
    net.room(link, usize::MAX);
    net.pump();
    assert!(net.try_send(push, "x").is_ok());
}
