//! Who may come in: how the machine asks, and what comes of the answers (RFC 27).

use std::time::Duration;

use nought_proto::{
    Credentials, Message, ProtocolError, PublicKey, Security, SocketType,
    connection::Verdict,
    error::{Denial, Incompatibility},
    limits::{HANDSHAKE_READ_LEN, HANDSHAKE_TIMEOUT_DEFAULT},
    wire::metadata::Metadata,
    zap::{IllegalReply, Reply, Request, Status},
};

use crate::harness::{Link, Net, Node, wire};

fn null_with_domain(verdict: Option<Verdict>) -> (Net, Node, Link) {
    let mut net = Net::new();
    net.judge_by(move |request| {
        assert_eq!((&request.domain[..], &request.credentials), (&b"global"[..], &Credentials::Null));
        verdict.clone()
    });
    let pull = net.socket_with(SocketType::Pull, |options| options.zap_domain = "global".into());
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    (net, pull, link)
}

fn refused(reply: Reply) -> (Vec<u8>, ProtocolError) {
    let (mut net, pull, link) = null_with_domain(Some(Verdict::Reply(reply)));
    let sent = net.take(link)[64..].to_vec();
    assert!(net.is_closed(link));
    (sent, net.error(pull))
}

#[test]
fn null_asks_if_there_is_a_domain() {
    let mut reply = Reply::success("joe");
    reply.metadata.push("X-Rank", "7");
    let (mut net, pull, link) = null_with_domain(Some(Verdict::Reply(reply)));
    net.feed(link, wire::message(&["x"]));
    assert_eq!(net.recv(pull), *"x");
    let peer = net.connection(pull, link).peer();
    assert_eq!((&peer.user_id, peer.granted.get("x-rank")), (&Some("joe".into()), Some(&b"7"[..])));
    assert_eq!(peer.metadata.get("X-Rank"), None, "what the peer says of itself is kept apart");

    let mut net = Net::new();
    net.judge_by(|request| panic!("{request:?}"));
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello("PUSH"), wire::message(&["x"])].concat());
    assert_eq!(net.recv(pull), *"x");
    assert_eq!(net.connection(pull, link).peer().user_id, None);
}

#[test]
fn a_refused_peer_is_told_the_code_unless_it_may_come_again() {
    let failure = |status, text: &str| ProtocolError::Denied(Denial::Status { status, text: text.into() });
    let error = |code: &str| wire::command("ERROR", format!("\x03{code}"));
    assert_eq!(refused(Reply::failure("no")), (error("400"), failure(Status::Failure, "no")));
    assert_eq!(refused(Reply::internal_error("?")), (error("500"), failure(Status::InternalError, "?")));
    assert_eq!(refused(Reply::temporary_error("later")), (Vec::new(), failure(Status::TemporaryError, "later")));
}

#[test]
fn while_the_answer_is_awaited_little_is_read_and_the_time_runs() {
    let (mut net, pull, link) = null_with_domain(None);
    assert_eq!(net.take(link)[64..], []);
    let id = net.id(link);
    assert!(net.at(pull).wants_read(id), "the end of the peer is to show");
    net.feed(link, wire::message(&["x"]).repeat(100_000));
    assert!(net.connection(pull, link).counters().bytes_in < 2 * HANDSHAKE_READ_LEN as u64);
    assert!(!net.at(pull).wants_read(id));
    net.pass(HANDSHAKE_TIMEOUT_DEFAULT - Duration::from_millis(1));
    net.expect_no_failure(pull);
    net.pass(Duration::from_millis(1));
    assert_eq!(net.error(pull), ProtocolError::HandshakeTimedOut);
}

#[test]
fn an_answer_that_comes_late_goes_on_where_it_was() {
    let (mut net, pull, link) = null_with_domain(None);
    net.feed(link, wire::message(&["x"]).repeat(1000));
    let (id, now) = (net.id(link), net.now);
    net.at(pull).judge(id, Verdict::Reply(Reply::success("joe")), now);
    assert_eq!(net.recv_all(pull).len(), 1000);
    // A second answer is to no question.
    net.at(pull).judge(id, Verdict::Reply(Reply::failure("no")), now);
    net.expect_no_failure(pull);
}

#[test]
fn where_nobody_is_there_null_goes_on_unless_the_domain_is_enforced() {
    for enforce in [false, true] {
        let mut net = Net::new();
        let pull = net.socket_with(SocketType::Pull, |options| {
            options.zap_domain = "global".into();
            options.zap_enforce_domain = enforce;
        });
        let link = net.accept_test(pull);
        net.feed(link, [wire::hello("PUSH"), wire::message(&["x"])].concat());
        if enforce {
            assert_eq!(net.error(pull), ProtocolError::Denied(Denial::NoAuthenticator));
        } else {
            assert_eq!(net.recv(pull), *"x");
        }
    }
}

#[test]
fn where_a_peer_is_to_be_judged_old_versions_are_refused() {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.zap_domain = "global".into());
    let link = net.accept_test(pull);
    net.feed(link, wire::hello_2_0(8, ""));
    assert_eq!(net.error(pull), ProtocolError::Incompatible(Incompatibility::VersionWithoutSecurity));
}

#[test]
fn a_reply_that_is_none_lets_nobody_in() {
    let (mut net, pull, link) = null_with_domain(Some(Verdict::IllegalReply(IllegalReply::Frames)));
    assert_eq!(net.error(pull), ProtocolError::Denied(Denial::IllegalReply(IllegalReply::Frames)));
    assert!(net.is_closed(link));
}

#[test]
fn the_request_has_the_address_and_the_frames_of_the_rfc() {
    let mut net = Net::new();
    net.judge_by(|request| {
        assert_eq!(request.address, "192.0.2.1");
        Some(Verdict::Reply(Reply::success("joe")))
    });
    let dealer = net.socket_with(SocketType::Dealer, |options| {
        options.security = Security::PlainServer;
        options.routing_id = "me".into();
    });
    let id = net.at(dealer).accept();
    net.at(dealer).know_peer(id, "tcp://192.0.2.1:5555".into(), None, None);
    let link = net.start_test(dealer, id, false);
    net.feed(link, [wire::greeting(3, 1, "PLAIN"), wire::command("HELLO", b"\x05admin\x06secret")].concat());
    net.expect_no_failure(dealer);

    let plain = Credentials::Plain { user: b"admin".to_vec(), password: b"secret".to_vec().into() };
    let frames = ["", "1.0", "0001", "test", "192.0.2.1", "me", "PLAIN", "admin", "secret"];
    let request = |credentials| Request::new("test", "192.0.2.1", "me".into(), credentials).to_message(b"0001");
    assert_eq!(request(plain), Message::from(frames));
    let null = ["", "1.0", "0001", "test", "192.0.2.1", "me", "NULL"];
    assert_eq!(request(Credentials::Null), Message::from(null));
    let curve = request(Credentials::Curve(PublicKey::from_bytes([7; 32])));
    assert_eq!((curve.len(), &curve[6][..], &curve[7][..]), (8, &b"CURVE"[..], &[7; 32][..]));
}

#[test]
fn replies_are_read_as_the_rfc_has_them() {
    let metadata = "\x06X-Rank\0\0\0\x017";
    let legal = ["", "1.0", "0001", "200", "OK", "joe", metadata];
    let mut expected = Reply { metadata: Metadata::new(), ..Reply::success("joe") };
    expected.metadata.push("X-Rank", "7");
    assert_eq!(Reply::decode(&Message::from(legal), b"0001"), Ok(expected));
    let with = |index: usize, frame: &str| {
        let mut frames: Vec<String> = legal.iter().map(|frame| (*frame).to_owned()).collect();
        frames[index] = frame.to_owned();
        Reply::decode(&Message::from(frames), b"0001").map(|reply| reply.status)
    };
    let any_bytes = Reply::success(b"\xFF\0joe");
    let mut message = any_bytes.to_message(b"0001");
    message.push_front("");
    assert_eq!(Reply::decode(&message, b"0001"), Ok(any_bytes));
    assert_eq!(with(3, "300"), Ok(Status::TemporaryError));
    assert_eq!(with(3, "500"), Ok(Status::InternalError));
    assert_eq!(with(0, "x"), Err(IllegalReply::Frames));
    assert_eq!(with(1, "1.1"), Err(IllegalReply::Version));
    assert_eq!(with(2, "0002"), Err(IllegalReply::RequestId));
    assert_eq!(with(3, "600"), Err(IllegalReply::Status));
    assert_eq!(with(5, &"x".repeat(256)), Err(IllegalReply::UserId));
    assert_eq!(with(6, "x"), Err(IllegalReply::Metadata));
    assert_eq!(Reply::decode(&Message::from(&legal[..6].to_vec().concat()[..]), b"0001"), Err(IllegalReply::Frames));
}
