//! PLAIN (RFC 24).

use nought_proto::{
    Credentials, Event, PlainClient, PlainTooLong, ProtocolError, Security, SocketType,
    connection::Verdict,
    error::{Denial, Incompatibility, Misbehaviour},
    zap::{Reply, Status},
};

use crate::harness::{Link, Net, Node, Pieces, wire};

fn client(options: &mut nought_proto::Options) {
    options.security = PlainClient::new("admin", "secret").unwrap().into();
}

fn server(options: &mut nought_proto::Options) {
    options.security = Security::PlainServer;
}

/// Lets in who says admin and secret.
fn judge(net: &mut Net) {
    net.judge_by(|request| {
        let Credentials::Plain { user, password } = &request.credentials else { panic!("{request:?}") };
        let is_right = (&user[..], &password[..]) == (b"admin", b"secret");
        Some(Verdict::Reply(if is_right { Reply::success("the admin") } else { Reply::failure("who?") }))
    });
}

#[test]
fn both_sides_agree_and_messages_flow() {
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Random(7)] {
        let mut net = Net::in_pieces(pieces);
        judge(&mut net);
        let (push, pull) = (net.socket_with(SocketType::Push, client), net.socket_with(SocketType::Pull, server));
        let link = net.connect(push, pull);
        net.send(push, "x");
        assert_eq!(net.recv(pull), *"x");
        let peer = net.connections_of(pull).pop().unwrap();
        assert_eq!((&peer.user_id, peer.socket_type), (&Some("the admin".into()), Some(SocketType::Push)));
        assert_eq!(net.connection(push, link).peer().user_id, None);
    }
}

#[test]
fn the_clients_commands_are_those_of_the_rfc() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, client);
    let link = net.connect_test(push);
    net.feed(link, wire::greeting_of_server("PLAIN"));
    let sent = net.take(link);
    assert_eq!(sent[..64], wire::greeting(3, 1, "PLAIN"));
    assert_eq!(sent[64..], wire::command("HELLO", b"\x05admin\x06secret"));
    net.feed(link, wire::command("WELCOME", b""));
    assert_eq!(net.take(link), wire::command("INITIATE", wire::property("Socket-Type", "PUSH")));
    net.feed(link, wire::command("READY", wire::property("Socket-Type", "PULL")));
    assert!(matches!(net.events(push)[..], [Event::Established(_)]));
}

fn stranger() -> (Net, Node, Link) {
    let mut net = Net::new();
    judge(&mut net);
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.accept_test(pull);
    net.feed(link, wire::greeting(3, 1, "PLAIN"));
    assert_eq!(net.take(link), wire::greeting_of_server("PLAIN"));
    (net, pull, link)
}

#[test]
fn the_servers_commands_are_those_of_the_rfc() {
    let (mut net, pull, link) = stranger();
    net.feed(link, wire::command("HELLO", b"\x05admin\x06secret"));
    assert_eq!(net.take(link), wire::command("WELCOME", b""));
    net.feed(link, wire::command("INITIATE", wire::property("Socket-Type", "PUSH")));
    assert_eq!(net.take(link), wire::command("READY", wire::property("Socket-Type", "PULL")));
    net.feed(link, wire::message(&["x"]));
    assert_eq!(net.recv(pull), *"x");
}

#[test]
fn a_wrong_password_is_answered_with_the_code() {
    let (mut net, pull, link) = stranger();
    net.feed(link, wire::command("HELLO", b"\x05admin\x05wrong"));
    assert_eq!(net.take(link), wire::command("ERROR", b"\x03400"));
    let denial = Denial::Status { status: Status::Failure, text: "who?".into() };
    assert_eq!(net.error(pull), ProtocolError::Denied(denial));
    assert!(net.is_closed(link));
    assert_eq!(net.at(pull).connections().totals().handshake_failures, 1);
}

#[test]
fn without_an_authenticator_nobody_comes_in() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.accept_test(pull);
    net.feed(link, [wire::greeting(3, 1, "PLAIN"), wire::command("HELLO", b"\x05admin\x06secret")].concat());
    assert_eq!(net.error(pull), ProtocolError::Denied(Denial::NoAuthenticator));
    assert!(net.is_closed(link));
}

#[test]
fn what_breaks_the_rules_closes_the_connection() {
    let hello = wire::command("HELLO", b"\x05admin\x06secret");
    for (bytes, rule) in [
        (wire::command("HELLO", b"\x05admin\x07secret"), Misbehaviour::MechanismCommand("HELLO")),
        (wire::command("HELLO", b"\x05admin\x05secret"), Misbehaviour::MechanismCommand("HELLO")),
        (wire::command("HELLO", b""), Misbehaviour::MechanismCommand("HELLO")),
        (wire::command("INITIATE", b""), Misbehaviour::UnexpectedCommand),
        (wire::command("WELCOME", b""), Misbehaviour::UnexpectedCommand),
        (wire::ready("PUSH"), Misbehaviour::UnexpectedCommand),
        (wire::message(&["x"]), Misbehaviour::MessageInHandshake),
        ([&hello[..], &hello].concat(), Misbehaviour::UnexpectedCommand),
        ([&hello[..], &wire::command("INITIATE", b"\x01")].concat(), Misbehaviour::Metadata),
        ([&hello[..], &wire::command("INITIATE", b"")].concat(), Misbehaviour::NoSocketType),
        ([&hello[..], &wire::message(&["x"])].concat(), Misbehaviour::MessageInHandshake),
    ] {
        let (mut net, pull, link) = stranger();
        net.feed(link, &bytes);
        assert_eq!(net.error(pull), ProtocolError::Misbehaved(rule), "{}", bytes.escape_ascii());
        assert!(net.is_closed(link));
    }
}

#[test]
fn a_server_that_breaks_the_rules_is_left() {
    let welcome = wire::command("WELCOME", b"");
    for (bytes, rule) in [
        (wire::command("WELCOME", b"x"), Misbehaviour::MechanismCommand("WELCOME")),
        (wire::ready("PULL"), Misbehaviour::UnexpectedCommand),
        ([&welcome[..], &welcome].concat(), Misbehaviour::UnexpectedCommand),
        ([&welcome[..], &wire::command("READY", b"")].concat(), Misbehaviour::NoSocketType),
    ] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, client);
        let link = net.connect_test(push);
        net.feed(link, [&wire::greeting_of_server("PLAIN")[..], &bytes].concat());
        assert_eq!(net.error(push), ProtocolError::Misbehaved(rule), "{}", bytes.escape_ascii());
        assert!(net.is_closed(link));
    }
}

#[test]
fn a_client_is_told_why_it_was_refused() {
    // The second as libzmq 4.3.4 has it.
    for error in [wire::command("ERROR", b"\x03400"), wire::frame(4, b"^RROR\x03400")] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, client);
        let link = net.connect_test(push);
        net.feed(link, [wire::greeting_of_server("PLAIN"), error].concat());
        assert_eq!(net.error(push), ProtocolError::RefusedByPeer("400".into()));
    }
}

#[test]
fn two_servers_do_not_wait_for_each_other() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.accept_test(pull);
    net.feed(link, wire::greeting_of_server("PLAIN"));
    assert_eq!(net.error(pull), ProtocolError::Incompatible(Incompatibility::Role));
}

#[test]
fn another_mechanism_or_an_older_version_is_refused() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, server);
    let link = net.accept_test(pull);
    net.feed(link, wire::greeting(3, 1, "NULL"));
    let expected = Incompatibility::Mechanism { ours: "PLAIN", theirs: "NULL".into() };
    assert_eq!(net.error(pull), ProtocolError::Incompatible(expected));
    let link = net.accept_test(pull);
    net.feed(link, wire::hello_2_0(8, ""));
    assert_eq!(net.error(pull), ProtocolError::Incompatible(Incompatibility::VersionWithoutSecurity));
}

#[test]
fn names_and_passwords_have_one_byte_of_length() {
    let longest = "x".repeat(255);
    assert!(PlainClient::new(&longest[..], &longest[..]).is_ok());
    assert_eq!(PlainClient::new(format!("{longest}x"), ""), Err(PlainTooLong));
    assert_eq!(PlainClient::new("", format!("{longest}x")), Err(PlainTooLong));
    assert_eq!(format!("{:?}", PlainClient::new("admin", "secret")), "Ok(PlainClient(admin))");
}
