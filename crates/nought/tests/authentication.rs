//! Peers are judged by an authenticator, or by a socket of the application's, and nobody waits for it but they.

use std::{
    fs,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use nought::{
    Any, Context, Credentials, CurveClient, CurveServer, Denial, Frame, KeyPair, Message, Monitor, PlainClient,
    ProtocolError, Pull, Push, Rep, Router, Security, Socket, SocketEventKind, SocketType, new_keys,
    security::{AccessRules, AuthenticationError, Certificate},
    zap::{self, Reply, Request, Status},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn pull(context: &Context, security: impl Into<Security>) -> (Socket<Pull>, String) {
    let builder = context.socket_builder::<Pull>().recv_timeout(Some(PATIENCE));
    let pull = builder.security(security).build().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    (pull, endpoint)
}

fn push(endpoint: &str, security: impl Into<Security>) -> Socket<Push> {
    let builder = Context::new().socket_builder::<Push>().linger(Some(Duration::ZERO)).send_timeout(Some(PATIENCE));
    let push = builder.reconnect_interval(Some(Duration::from_millis(20))).security(security).build().unwrap();
    push.connect(endpoint).unwrap();
    push
}

fn plain(password: &str) -> PlainClient {
    PlainClient::new("admin", password).unwrap()
}

fn comes_in(endpoint: &str, pull: &Socket<Pull>, security: impl Into<Security>) -> Option<Frame> {
    let push = push(endpoint, security);
    push.send("x").unwrap();
    let (message, peer) = pull.recv_from().unwrap();
    assert_eq!(message, "x");
    peer.unwrap().user_id.clone()
}

fn failure(monitor: &Monitor) -> ProtocolError {
    loop {
        if let SocketEventKind::HandshakeFailed { error } = monitor.recv_timeout(PATIENCE).unwrap().kind {
            return error;
        }
    }
}

fn is_refused(pull: &Socket<Pull>, endpoint: &str, security: impl Into<Security>) -> ProtocolError {
    let monitor = pull.monitor();
    let _push = push(endpoint, security);
    failure(&monitor)
}

fn denied(status: Status, text: &str) -> ProtocolError {
    ProtocolError::Denied(Denial::Status { status, text: text.into() })
}

fn temporary_directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nought-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn a_function_judges_and_the_user_id_is_on_the_message() {
    let (server, client, stranger) = (new_keys(), new_keys(), new_keys());
    let known = *client.public_key();
    let context = Context::new();
    let _authentication = context
        .authenticate(move |request: &Request| match &request.credentials {
            Credentials::Curve(key) if *key == known => {
                assert_eq!((&request.domain[..], &request.address[..]), (&b"global"[..], "127.0.0.1"));
                let mut reply = Reply::success("anna");
                reply.metadata.push("X-Rank", "7");
                reply
            }
            _ => Reply::failure("unknown key"),
        })
        .unwrap();
    let server_key = *server.public_key();
    let builder = context.socket_builder::<Pull>().security(CurveServer::new(server)).zap_domain("global");
    let pull = builder.recv_timeout(Some(PATIENCE)).build().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let anna = push(&endpoint, CurveClient::new(server_key, client));
    anna.send("x").unwrap();
    let (_, peer) = pull.recv_from().unwrap();
    let peer = peer.unwrap();
    assert_eq!((&peer.user_id, peer.granted.get("X-Rank")), (&Some("anna".into()), Some(&b"7"[..])));
    let error = is_refused(&pull, &endpoint, CurveClient::new(server_key, stranger));
    assert_eq!(error, denied(Status::Failure, "unknown key"));
}

#[test]
fn a_rep_or_a_router_of_the_application_judges() {
    for by_router in [false, true] {
        let context = Context::new();
        let handler: Socket<Any> = if by_router {
            context.any_socket(SocketType::Router).unwrap()
        } else {
            context.any_socket(SocketType::Rep).unwrap()
        };
        handler.bind(zap::ENDPOINT).unwrap();
        let (pull, endpoint) = pull(&context, Security::PlainServer);
        let push = push(&endpoint, plain("secret"));
        let request = handler.recv_timeout(PATIENCE).unwrap();
        let mut frames: Vec<_> = request.into_frames().collect();
        let envelope: Vec<_> = frames.drain(..if by_router { 2 } else { 0 }).collect();
        assert_eq!(envelope.last().is_some(), by_router);
        let texts: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect();
        assert_eq!(texts, ["1.0", "1", "", "127.0.0.1", "", "PLAIN", "admin", "secret"]);
        let mut reply: Message = envelope.into_iter().collect();
        ["1.0", "1", "200", "OK", "joe", ""].iter().for_each(|frame| reply.push_back(*frame));
        handler.send(reply).unwrap();
        push.send("x").unwrap();
        assert_eq!(pull.recv_from().unwrap().1.unwrap().user_id, Some("joe".into()));
    }
}

#[test]
fn plain_needs_an_authenticator_and_curve_none() {
    let context = Context::new();
    let (pull_plain, endpoint) = pull(&context, Security::PlainServer);
    let error = is_refused(&pull_plain, &endpoint, plain("secret"));
    assert_eq!(error, ProtocolError::Denied(Denial::NoAuthenticator));

    let server = new_keys();
    let (pull_curve, endpoint) = pull(&context, CurveServer::new(server.clone()));
    assert_eq!(comes_in(&endpoint, &pull_curve, CurveClient::new(*server.public_key(), new_keys())), None);
}

#[test]
fn who_is_not_let_in_tries_again_later_and_later() {
    let context = Context::new();
    let (_pull, endpoint) = pull(&context, CurveServer::new(new_keys()));
    let push = push(&endpoint, CurveClient::new(*new_keys().public_key(), new_keys()));
    let monitor = push.monitor();
    let mut longest = Duration::ZERO;
    while longest < Duration::from_millis(160) {
        if let SocketEventKind::ConnectRetried { delay } = monitor.recv_timeout(PATIENCE).unwrap().kind {
            assert!(delay > longest, "{delay:?} after {longest:?}");
            longest = delay;
        }
    }
}

#[test]
fn while_an_authenticator_thinks_all_others_go_on() {
    let context = Context::new();
    let (asked, is_asked) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let _authentication = context
        .authenticate(move |_: &Request| {
            asked.send(()).unwrap();
            answers.recv().unwrap();
            Reply::success("late")
        })
        .unwrap();
    let (slow, slow_endpoint) = pull(&context, Security::PlainServer);
    let pusher = push(&slow_endpoint, plain("secret"));
    is_asked.recv_timeout(PATIENCE).unwrap();
    // The same context, the same driver.
    let (quick, quick_endpoint) = pull(&context, Security::Null);
    for _ in 0..10 {
        assert_eq!(comes_in(&quick_endpoint, &quick, Security::Null), None);
    }
    assert!(slow.try_recv().is_err());
    answer.send(()).unwrap();
    pusher.send("x").unwrap();
    assert_eq!(slow.recv_from().unwrap().1.unwrap().user_id, Some("late".into()));
}

#[test]
fn a_context_has_one_authenticator_at_a_time() {
    let context = Context::new();
    let reply = |_: &Request| Reply::success("somebody");
    let first = context.authenticate(reply).unwrap();
    assert!(matches!(context.authenticate(reply), Err(AuthenticationError::InUse)));
    drop(first);
    let began = Instant::now();
    while let Err(error) = context.authenticate(reply).map(drop) {
        assert!(matches!(error, AuthenticationError::InUse) && began.elapsed() < PATIENCE, "{error}");
    }
}

#[test]
fn an_authenticator_that_panics_lets_nobody_in_and_goes_on() {
    let context = Context::new();
    let _authentication = context
        .authenticate(|request: &Request| match &request.credentials {
            Credentials::Plain { password, .. } if password[..] == *b"secret" => Reply::success("joe"),
            _ => panic!("as the test wants it"),
        })
        .unwrap();
    let (pull, endpoint) = pull(&context, Security::PlainServer);
    let error = is_refused(&pull, &endpoint, plain("wrong"));
    assert_eq!(error, denied(Status::InternalError, "the authenticator is out of order"));
    assert_eq!(comes_in(&endpoint, &pull, plain("secret")), Some("joe".into()));
}

#[test]
fn one_that_goes_away_without_an_answer_leaves_the_peer_outside_until_its_time_is_over() {
    let context = Context::new();
    let handler = context.socket::<Rep>().unwrap();
    handler.bind(zap::ENDPOINT).unwrap();
    let builder = context.socket_builder::<Pull>().recv_timeout(Some(PATIENCE)).security(Security::PlainServer);
    let pull = builder.handshake_timeout(Some(Duration::from_millis(200))).build().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let push = push(&endpoint, plain("secret"));
    handler.recv().unwrap();
    drop(handler);
    assert_eq!(failure(&monitor), ProtocolError::HandshakeTimedOut);
    let _authentication = context.authenticate(|_: &Request| Reply::success("joe")).unwrap();
    push.send("x").unwrap();
    assert_eq!(pull.recv().unwrap(), "x");
}

#[test]
fn a_socket_that_cannot_answer_lets_nobody_in() {
    let context = Context::new();
    let wrong = context.socket::<Pull>().unwrap();
    wrong.bind(zap::ENDPOINT).unwrap();
    let server = new_keys();
    let (pull, endpoint) = pull(&context, CurveServer::new(server.clone()));
    let error = is_refused(&pull, &endpoint, CurveClient::new(*server.public_key(), new_keys()));
    assert!(matches!(error, ProtocolError::Denied(Denial::Status { status: Status::InternalError, .. })), "{error}");
}

#[test]
fn a_reply_that_is_none_lets_nobody_in() {
    let context = Context::new();
    let handler = context.socket::<Router>().unwrap();
    handler.bind(zap::ENDPOINT).unwrap();
    let (pull, endpoint) = pull(&context, Security::PlainServer);
    let monitor = pull.monitor();
    let _push = push(&endpoint, plain("secret"));
    let request = handler.recv().unwrap();
    handler.send(Message::from([&request[0][..], b"", b"1.0", b"1", b"200"])).unwrap();
    let expected = Denial::IllegalReply(zap::IllegalReply::Frames);
    assert_eq!(failure(&monitor), ProtocolError::Denied(expected));
}

#[test]
fn rules_judge_by_address_and_password() {
    let context = Context::new();
    let rules = AccessRules::new().allow_address("127.0.0.1").plain_user("admin", "secret");
    let rules = rules.plain_user(b"\xFFadmin", b"\xFFsecret");
    let authentication = context.authenticate(rules).unwrap();
    let (pull_plain, endpoint) = pull(&context, Security::PlainServer);
    assert_eq!(comes_in(&endpoint, &pull_plain, plain("secret")), Some("admin".into()));
    let no_text = PlainClient::new(b"\xFFadmin", b"\xFFsecret").unwrap();
    assert_eq!(comes_in(&endpoint, &pull_plain, no_text), Some(b"\xFFadmin".into()));
    let wrong = denied(Status::Failure, "unknown user or wrong password");
    assert_eq!(is_refused(&pull_plain, &endpoint, plain("wrong")), wrong);
    assert_eq!(is_refused(&pull_plain, &endpoint, PlainClient::new("eve", "").unwrap()), wrong);
    drop(authentication);

    for rules in [AccessRules::new().deny_address("127.0.0.1"), AccessRules::new().allow_address("192.0.2.1")] {
        let context = Context::new();
        let _authentication = context.authenticate(rules.plain_user("admin", "secret")).unwrap();
        let (pull, endpoint) = pull(&context, Security::PlainServer);
        assert_eq!(is_refused(&pull, &endpoint, plain("secret")), denied(Status::Failure, "address not allowed"));
        let builder = context.socket_builder::<Pull>().zap_domain("global");
        let null = builder.build().unwrap();
        let endpoint = null.bind("tcp://127.0.0.1:*").unwrap();
        assert_eq!(is_refused(&null, &endpoint, Security::Null), denied(Status::Failure, "address not allowed"));
    }
}

#[test]
fn certificates_are_read_again_when_they_change() {
    let directory = temporary_directory("certificates");
    let (server, anna, bert) = (new_keys(), new_keys(), new_keys());
    let client = |keys: &KeyPair| CurveClient::new(*server.public_key(), keys.clone());
    Certificate::new(anna.clone()).with_metadata("name", "Anna").save(directory.join("anna")).unwrap();
    fs::write(directory.join("notes.txt"), "no certificate").unwrap();
    let context = Context::new();
    let rules = AccessRules::new().curve_certificates(&directory).unwrap();
    let _authentication = context.authenticate(rules).unwrap();
    let (pull, endpoint) = pull(&context, CurveServer::new(server.clone()));

    assert_eq!(comes_in(&endpoint, &pull, client(&anna)), Some(anna.public_key().to_string().into()));
    assert_eq!(is_refused(&pull, &endpoint, client(&bert)), denied(Status::Failure, "unknown key"));
    Certificate::new(bert.clone()).save(directory.join("bert")).unwrap();
    assert_eq!(comes_in(&endpoint, &pull, client(&bert)), Some(bert.public_key().to_string().into()));
    fs::remove_file(directory.join("anna")).unwrap();
    assert_eq!(is_refused(&pull, &endpoint, client(&anna)), denied(Status::Failure, "unknown key"));
    fs::remove_dir_all(directory).unwrap();
}
