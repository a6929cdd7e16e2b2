//! PLAIN and CURVE against a libzmq that has CURVE: the system's `libzmq.so.5`, since the one that the other tests link
//! is built without libsodium. Each library in each role, over tcp and ipc.

mod system_libzmq;

use std::time::Duration;

use nought::{
    Any, CurveClient, CurveServer, PlainClient, ProtocolError, Security, Socket, SocketEventKind, SocketType, new_keys,
    security::AccessRules,
};
use nought_conformance::{PATIENCE, messages, nought_socket};

use self::system_libzmq::{Libzmq, Socket as LibzmqSocket};

/// Lengths around those at which a frame's header, a box's blocks and the way of a body change.
const SIZES: [usize; 14] = [0, 1, 31, 32, 33, 95, 96, 97, 221, 222, 223, 8192, 65_536, 1 << 20];

fn endpoints() -> [String; 2] {
    let path = std::env::temp_dir().join(format!("nought-security-{}-{}", std::process::id(), next_number()));
    ["tcp://127.0.0.1:*".into(), format!("ipc://{}", path.display())]
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Messages of all sizes, of one frame and of several, in both directions.
fn exchange(nought: &Socket<Any>, libzmq: &LibzmqSocket<'_>) {
    let messages: Vec<Vec<Vec<u8>>> = messages(&SIZES).collect();
    for frames in &messages {
        nought.send(frames.clone()).unwrap();
    }
    for frames in &messages {
        assert!(libzmq.recv() == *frames, "from nought");
    }
    for frames in &messages {
        libzmq.send(frames);
    }
    for frames in &messages {
        let message = nought.recv().unwrap();
        assert!(message.frames().map(|frame| frame.to_vec()).eq(frames.iter().cloned()), "from libzmq");
    }
}

#[test]
fn nought_is_the_server_of_curve() {
    let libzmq = Libzmq::open();
    for endpoint in endpoints() {
        let (server, client) = (new_keys(), new_keys());
        let server_key = *server.public_key();
        let ours = nought_socket(SocketType::Dealer, CurveServer::new(server));
        let endpoint = ours.bind(&endpoint).unwrap();
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_curve_client(&server_key, &client);
        theirs.connect(&endpoint);
        exchange(&ours, &theirs);
    }
}

#[test]
fn nought_is_the_client_of_curve() {
    let libzmq = Libzmq::open();
    for endpoint in endpoints() {
        let (server, client) = (new_keys(), new_keys());
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_curve_server(&server);
        let endpoint = theirs.bind(&endpoint);
        let ours = nought_socket(SocketType::Dealer, CurveClient::new(*server.public_key(), client));
        ours.connect(&endpoint).unwrap();
        exchange(&ours, &theirs);
    }
}

#[test]
fn either_side_may_bind() {
    let libzmq = Libzmq::open();
    for endpoint in endpoints() {
        let (server, client) = (new_keys(), new_keys());
        let ours = nought_socket(SocketType::Dealer, CurveClient::new(*server.public_key(), client));
        let endpoint = ours.bind(&endpoint).unwrap();
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_curve_server(&server);
        theirs.connect(&endpoint);
        exchange(&ours, &theirs);
    }
}

#[test]
fn subscriptions_pass_encrypted() {
    let libzmq = Libzmq::open();
    let (server, client) = (new_keys(), new_keys());

    let publisher = nought_socket(SocketType::XPub, CurveServer::new(server.clone()));
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let theirs = libzmq.socket(SocketType::Sub);
    theirs.be_curve_client(server.public_key(), &client);
    theirs.subscribe(b"a");
    theirs.connect(&endpoint);
    assert_eq!(publisher.recv().unwrap(), *b"\x01a");
    publisher.send("bcd").unwrap();
    publisher.send("abc").unwrap();
    assert_eq!(theirs.recv(), [b"abc"]);
    theirs.unsubscribe(b"a");
    assert_eq!(publisher.recv().unwrap(), *b"\0a");

    let theirs = libzmq.socket(SocketType::XPub);
    theirs.be_curve_server(&server);
    let endpoint = theirs.bind("tcp://127.0.0.1:*");
    let ours = nought_socket(SocketType::Sub, CurveClient::new(*server.public_key(), client));
    ours.subscribe("a").unwrap();
    ours.connect(&endpoint).unwrap();
    assert_eq!(theirs.recv(), [b"\x01a"]);
    theirs.send(&[b"bcd".to_vec()]);
    theirs.send(&[b"abc".to_vec()]);
    assert_eq!(ours.recv().unwrap(), *b"abc");
    ours.unsubscribe("a").unwrap();
    assert_eq!(theirs.recv(), [b"\0a"]);
}

#[test]
fn heartbeats_pass_encrypted() {
    let libzmq = Libzmq::open();
    let (server, client) = (new_keys(), new_keys());
    let interval = Duration::from_millis(50);
    let ours = nought::Context::new()
        .any_socket_builder(SocketType::Dealer)
        .security(CurveServer::new(server.clone()))
        .heartbeat_interval(Some(interval))
        .heartbeat_timeout(Some(PATIENCE))
        .recv_timeout(Some(PATIENCE))
        .linger(Some(Duration::ZERO))
        .build()
        .unwrap();
    let endpoint = ours.bind("tcp://127.0.0.1:*").unwrap();
    let theirs = libzmq.socket(SocketType::Dealer);
    theirs.be_curve_client(server.public_key(), &client);
    theirs.set_heartbeats(interval, PATIENCE);
    theirs.connect(&endpoint);
    theirs.send(&[b"x".to_vec()]);
    assert_eq!(ours.recv().unwrap(), *b"x");
    let bytes_in = || ours.stats().totals.bytes_in;
    let start = bytes_in();
    // PINGs and PONGs of both: some dozen boxes.
    let deadline = std::time::Instant::now() + PATIENCE;
    while bytes_in() < start + 12 * 48 {
        assert!(std::time::Instant::now() < deadline, "no heartbeats");
        std::thread::sleep(Duration::from_millis(10));
    }
    theirs.send(&[b"y".to_vec()]);
    assert_eq!(ours.recv().unwrap(), *b"y");
    assert_eq!(ours.stats().totals.established, 1);
}

#[test]
fn who_has_the_wrong_server_key_does_not_come_in() {
    let libzmq = Libzmq::open();
    let (server, client, other) = (new_keys(), new_keys(), new_keys());
    let ours = nought_socket(SocketType::Pull, CurveServer::new(server.clone()));
    let monitor = ours.monitor();
    let endpoint = ours.bind("tcp://127.0.0.1:*").unwrap();
    let theirs = libzmq.socket(SocketType::Push);
    theirs.be_curve_client(other.public_key(), &client);
    theirs.connect(&endpoint);
    let error = loop {
        if let SocketEventKind::HandshakeFailed { error } = monitor.recv_timeout(PATIENCE).unwrap().kind {
            break error;
        }
    };
    assert!(matches!(error, ProtocolError::Misbehaved(nought::Misbehaviour::Box)), "{error}");
}

#[test]
fn a_client_of_plain_is_let_in_by_libzmq() {
    for endpoint in endpoints() {
        let libzmq = Libzmq::open();
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_plain_server();
        let handler = libzmq.authenticate_plain("admin", "secret");
        let endpoint = theirs.bind(&endpoint);
        let ours = nought_socket(SocketType::Dealer, PlainClient::new("admin", "secret").unwrap());
        ours.connect(&endpoint).unwrap();
        exchange(&ours, &theirs);
        drop(ours);

        let stranger = nought_socket(SocketType::Dealer, PlainClient::new("admin", "wrong").unwrap());
        let monitor = stranger.monitor();
        stranger.connect(&endpoint).unwrap();
        let error = loop {
            if let SocketEventKind::HandshakeFailed { error } = monitor.recv_timeout(PATIENCE).unwrap().kind {
                break error;
            }
        };
        assert_eq!(error, ProtocolError::RefusedByPeer("400".into()));
        drop(handler);
    }
}

#[test]
fn a_client_of_plain_of_libzmq_is_let_in() {
    let libzmq = Libzmq::open();
    for endpoint in endpoints() {
        let context = nought::Context::new();
        let rules = AccessRules::new().plain_user("admin", "secret");
        let _authentication = context.authenticate(rules).unwrap();
        let builder = context.any_socket_builder(SocketType::Dealer).security(Security::PlainServer);
        let builder = builder.linger(Some(Duration::ZERO)).recv_timeout(Some(PATIENCE)).send_timeout(Some(PATIENCE));
        let ours = builder.build().unwrap();
        let monitor = ours.monitor();
        let endpoint = ours.bind(&endpoint).unwrap();
        let stranger = libzmq.socket(SocketType::Dealer);
        stranger.be_plain_client("admin", "wrong");
        stranger.connect(&endpoint);
        loop {
            if let SocketEventKind::HandshakeFailed { error } = monitor.recv_timeout(PATIENCE).unwrap().kind {
                assert!(matches!(error, ProtocolError::Denied(_)), "{error}");
                break;
            }
        }
        drop(stranger);
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_plain_client("admin", "secret");
        theirs.connect(&endpoint);
        exchange(&ours, &theirs);
    }
}

#[test]
fn a_client_of_curve_of_libzmq_is_judged_by_its_key() {
    let libzmq = Libzmq::open();
    let (server, client) = (new_keys(), new_keys());
    let context = nought::Context::new();
    let rules = AccessRules::new().curve_key(*client.public_key(), "anna");
    let _authentication = context.authenticate(rules).unwrap();
    let builder = context.any_socket_builder(SocketType::Pull).security(CurveServer::new(server.clone()));
    let ours = builder.recv_timeout(Some(PATIENCE)).build().unwrap();
    let endpoint = ours.bind("tcp://127.0.0.1:*").unwrap();
    let theirs = libzmq.socket(SocketType::Push);
    theirs.be_curve_client(server.public_key(), &client);
    theirs.connect(&endpoint);
    theirs.send(&[b"x".to_vec()]);
    let (message, peer) = ours.recv_from().unwrap();
    assert_eq!(message, *b"x");
    assert_eq!(peer.unwrap().user_id, Some("anna".into()));
}
