//! ws:// against a libzmq that has it: the system's `libzmq.so.5`, since the one that the other tests link is built
//! without. Each library in each role, with each mechanism.

#[allow(dead_code, reason = "other tests need more of it")]
mod system_libzmq;

use std::time::Duration;

use nought::{Any, CurveClient, CurveServer, PlainClient, Security, Socket, SocketType, new_keys};
use nought_conformance::{PATIENCE, body, messages, nought_socket};

use self::system_libzmq::{Libzmq, Socket as LibzmqSocket};

/// Lengths around those at which a header of WebSocket or of ZMTP grows, and at which a body takes another way.
const LENS: [usize; 14] = [0, 1, 123, 124, 125, 126, 255, 256, 8192, 65_533, 65_534, 65_535, 65_536, 1 << 20];

/// The pairs in which both can send to the other without more ado.
const PAIRS: [(SocketType, SocketType); 3] = [
    (SocketType::Pair, SocketType::Pair),
    (SocketType::Dealer, SocketType::Dealer),
    (SocketType::Req, SocketType::Rep),
];

fn recv(socket: &Socket<Any>) -> Vec<Vec<u8>> {
    socket.recv().unwrap().frames().map(|frame| frame.to_vec()).collect()
}

/// Each message goes to libzmq and comes back, or the other way round.
fn exchange(ours: &Socket<Any>, theirs: &LibzmqSocket<'_>, ours_asks: bool) {
    for frames in messages(&LENS) {
        if ours_asks {
            ours.send(frames.clone()).unwrap();
            assert!(theirs.recv() == frames, "to libzmq");
            theirs.send(&frames);
            assert!(recv(ours) == frames, "from libzmq");
        } else {
            theirs.send(&frames);
            assert!(recv(ours) == frames, "from libzmq");
            ours.send(frames.clone()).unwrap();
            assert!(theirs.recv() == frames, "to libzmq");
        }
    }
}

#[test]
fn pairs_talk_whoever_binds() {
    let libzmq = Libzmq::open();
    for (one, other) in PAIRS {
        for (ours, theirs) in [(one, other), (other, one)] {
            for we_bind in [true, false] {
                let asks = ours != SocketType::Rep;
                let (ours, theirs) = (nought_socket(ours, Security::Null), libzmq.socket(theirs));
                if we_bind {
                    theirs.connect(&ours.bind("ws://127.0.0.1:*/path").unwrap());
                } else {
                    ours.connect(&theirs.bind("ws://127.0.0.1:*/path")).unwrap();
                }
                exchange(&ours, &theirs, asks);
            }
        }
    }
}

#[test]
fn a_stream_of_messages_passes_each_way() {
    const MESSAGES: usize = 20_000;
    let libzmq = Libzmq::open();
    let numbered = |n: usize| vec![[&n.to_le_bytes()[..], &body(n % 300)].concat()];
    for we_bind in [true, false] {
        let (pull, push) = (nought_socket(SocketType::Pull, Security::Null), libzmq.socket(SocketType::Push));
        meet(&pull, &push, we_bind);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..MESSAGES).for_each(|n| push.send(&numbered(n))));
            (0..MESSAGES).for_each(|n| assert!(recv(&pull) == numbered(n), "{n}"));
        });
        let (push, pull) = (nought_socket(SocketType::Push, Security::Null), libzmq.socket(SocketType::Pull));
        meet(&push, &pull, we_bind);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..MESSAGES).for_each(|n| push.send(numbered(n)).unwrap()));
            (0..MESSAGES).for_each(|n| assert!(pull.recv() == numbered(n), "{n}"));
        });
    }
}

fn meet(ours: &Socket<Any>, theirs: &LibzmqSocket<'_>, we_bind: bool) {
    if we_bind {
        theirs.connect(&ours.bind("ws://127.0.0.1:*").unwrap());
    } else {
        ours.connect(&theirs.bind("ws://127.0.0.1:*")).unwrap();
    }
}

#[test]
fn routers_know_their_peers() {
    let libzmq = Libzmq::open();
    for we_bind in [true, false] {
        let (router, dealer) = (nought_socket(SocketType::Router, Security::Null), libzmq.socket(SocketType::Dealer));
        meet(&router, &dealer, we_bind);
        dealer.send(&[b"hello".to_vec()]);
        let [id, text] = &recv(&router)[..] else { panic!("an id and a text") };
        assert_eq!(text, b"hello");
        router.send(vec![id.clone(), b"back".to_vec()]).unwrap();
        assert_eq!(dealer.recv(), [b"back"]);

        let (dealer, router) = (nought_socket(SocketType::Dealer, Security::Null), libzmq.socket(SocketType::Router));
        meet(&dealer, &router, we_bind);
        dealer.send("hello").unwrap();
        let [id, text] = &router.recv()[..] else { panic!("an id and a text") };
        assert_eq!(text, b"hello");
        router.send(&[id.clone(), b"back".to_vec()]);
        assert_eq!(recv(&dealer), [b"back"]);
    }
}

/// The publisher, ours or theirs, hears of a subscription, sends what matches and what does not, and hears of its end.
fn publish_to_theirs(publisher: &Socket<Any>, sub: &LibzmqSocket<'_>) {
    sub.subscribe(b"a");
    meet(publisher, sub, true);
    assert_eq!(recv(publisher), [b"\x01a"]);
    publisher.send("bcd").unwrap();
    publisher.send("abc").unwrap();
    assert_eq!(sub.recv(), [b"abc"]);
    sub.unsubscribe(b"a");
    assert_eq!(recv(publisher), [b"\0a"]);
}

fn publish_to_ours(publisher: &LibzmqSocket<'_>, sub: &Socket<Any>, we_bind: bool) {
    sub.subscribe("a").unwrap();
    meet(sub, publisher, we_bind);
    assert_eq!(publisher.recv(), [b"\x01a"]);
    publisher.send(&[b"bcd".to_vec()]);
    publisher.send(&[b"abc".to_vec()]);
    assert_eq!(recv(sub), [b"abc"]);
    sub.unsubscribe("a").unwrap();
    assert_eq!(publisher.recv(), [b"\0a"]);
}

/// A SUB of libzmq's that binds is left out: it sends no subscription to whoever connects to it over a WebSocket.
#[test]
fn subscriptions_pass() {
    let libzmq = Libzmq::open();
    let (publisher, sub) = (nought_socket(SocketType::XPub, Security::Null), libzmq.socket(SocketType::Sub));
    publish_to_theirs(&publisher, &sub);
    for we_bind in [true, false] {
        let (publisher, sub) = (libzmq.socket(SocketType::XPub), nought_socket(SocketType::Sub, Security::Null));
        publish_to_ours(&publisher, &sub, we_bind);
    }
}

#[test]
fn curve_encrypts_whoever_binds() {
    let libzmq = Libzmq::open();
    let (server, client) = (new_keys(), new_keys());
    let publisher = nought_socket(SocketType::XPub, CurveServer::new(server.clone()));
    let sub = libzmq.socket(SocketType::Sub);
    sub.be_curve_client(server.public_key(), &client);
    publish_to_theirs(&publisher, &sub);
    for we_bind in [true, false] {
        let ours = nought_socket(SocketType::Dealer, CurveServer::new(server.clone()));
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_curve_client(server.public_key(), &client);
        meet(&ours, &theirs, we_bind);
        exchange(&ours, &theirs, true);

        let ours = nought_socket(SocketType::Dealer, CurveClient::new(*server.public_key(), client.clone()));
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_curve_server(&server);
        meet(&ours, &theirs, we_bind);
        exchange(&ours, &theirs, false);

        let sub = nought_socket(SocketType::Sub, CurveClient::new(*server.public_key(), client.clone()));
        let publisher = libzmq.socket(SocketType::XPub);
        publisher.be_curve_server(&server);
        publish_to_ours(&publisher, &sub, we_bind);
    }
}

#[test]
fn a_client_of_plain_is_let_in() {
    let libzmq = Libzmq::open();
    // One for both: libzmq gives the name of one that is closed up a while after that.
    let _handler = libzmq.authenticate_plain("admin", "secret");
    for we_bind in [true, false] {
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.be_plain_server();
        let ours = nought_socket(SocketType::Dealer, PlainClient::new("admin", "secret").unwrap());
        meet(&ours, &theirs, we_bind);
        exchange(&ours, &theirs, true);
    }
}

/// libzmq's are PINGs of WebSocket, as ours are; neither gives the other up.
#[test]
fn heartbeats_are_answered() {
    let interval = Duration::from_millis(50);
    // Far longer than anybody is kept from answering by whatever else runs.
    let timeout = Duration::from_secs(2);
    let libzmq = Libzmq::open();
    for we_bind in [true, false] {
        let ours = nought::Context::new()
            .any_socket_builder(SocketType::Dealer)
            .heartbeat_interval(Some(interval))
            .heartbeat_timeout(Some(timeout))
            .recv_timeout(Some(PATIENCE))
            .linger(Some(Duration::ZERO))
            .build()
            .unwrap();
        let theirs = libzmq.socket(SocketType::Dealer);
        theirs.set_heartbeats(interval, timeout);
        meet(&ours, &theirs, we_bind);
        theirs.send(&[b"x".to_vec()]);
        assert_eq!(recv(&ours), [b"x"]);
        std::thread::sleep(timeout * 3 / 2);
        theirs.send(&[b"y".to_vec()]);
        assert_eq!(recv(&ours), [b"y"]);
        assert_eq!(ours.stats().totals.established, 1);
    }
}
