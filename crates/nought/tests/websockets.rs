//! ws://: what goes over it arrives as over tcp, and what a peer does wrong ends its connection with an event that says
//! what.

mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use nought::{
    Any, BindError, ConnectError, Context, CurveClient, CurveServer, Dealer, DisconnectReason, Monitor, Pub, Pull,
    Push, Rep, Req, Router, Socket, SocketEventKind, SocketType, Stream, Sub, XPub, new_keys,
};
use support::{
    PATIENCE, await_event, body,
    exchanges::{a_slow_reader_gets_all_in_order, a_subscription_passes_and_ends, bodies_arrive},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// RFC 6455, 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Lengths around those at which a header of ZMTP or of WebSocket grows, or a body is read in another way.
const LENS: [usize; 12] = [0, 1, 123, 124, 125, 255, 256, 8191, 65_533, 65_534, 65_535, 3_000_000];

fn bind<K: nought::Kind>(socket: &Socket<K>) -> String {
    socket.bind("ws://127.0.0.1:*").unwrap()
}

// ---- between two of ours

#[test]
fn bodies_of_all_lengths_arrive_both_ways() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (bound, near) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
    near.connect(&bind(&bound)).unwrap();
    for (from, to) in [(&near, &bound), (&bound, &near)] {
        bodies_arrive(from, to, &LENS);
    }
}

#[test]
fn a_stream_to_a_slow_reader_keeps_its_order() {
    const MESSAGES: u64 = 100_000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    push.connect(&bind(&pull)).unwrap();
    a_slow_reader_gets_all_in_order(&push, &pull, MESSAGES, 308);
}

#[test]
fn every_legal_pair_shakes_hands() {
    let _bounded = watchdog(LIMIT);
    let classic = [
        SocketType::Pair,
        SocketType::Pub,
        SocketType::Sub,
        SocketType::Req,
        SocketType::Rep,
        SocketType::Dealer,
        SocketType::Router,
        SocketType::Pull,
        SocketType::Push,
        SocketType::XPub,
        SocketType::XSub,
    ];
    let context = Context::new();
    for (one, other) in classic.iter().flat_map(|&one| classic.map(|other| (one, other))) {
        if !one.accepts(other) {
            continue;
        }
        let (bound, near): (Socket<Any>, Socket<Any>) =
            (context.any_socket(one).unwrap(), context.any_socket(other).unwrap());
        let endpoint = bound.bind("ws://127.0.0.1:*/path").unwrap();
        assert!(endpoint.ends_with("/path"), "{endpoint}");
        near.connect(&endpoint).unwrap();
        until("both are connected", || bound.stats().peers > 0 && near.stats().peers > 0);
        assert_eq!(bound.peers()[0].peer.socket_type, Some(other));
        assert!(bound.peers()[0].peer.address.as_deref().unwrap().starts_with("ws://127.0.0.1:"));
    }
}

#[test]
fn subscriptions_pass_and_end() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (publisher, sub) = (context.socket::<XPub>().unwrap(), context.socket::<Sub>().unwrap());
    sub.connect(&bind(&publisher)).unwrap();
    a_subscription_passes_and_ends(&publisher, &sub);
}

/// Its peer, the server of CURVE, says nothing until the client does, and the client's channel hears nothing between the
/// greeting of its own side and that.
#[test]
fn a_client_of_curve_may_bind() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (server, client) = (new_keys(), new_keys());
    let bound = context.socket_builder::<Pull>().security(CurveClient::new(*server.public_key(), client));
    let bound = bound.build().unwrap();
    let near = context.socket_builder::<Push>().security(CurveServer::new(server)).build().unwrap();
    near.connect(&bind(&bound)).unwrap();
    near.send("secret").unwrap();
    assert_eq!(recv(&bound), "secret");
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = bind(&pull);
    for round in 0..20 {
        let push = context.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        (0..100).for_each(|n| push.send(body(n, 1000 * round)).unwrap());
        drop(push);
        (0..100).for_each(|n| assert_eq!(recv(&pull), body(n, 1000 * round)));
    }
    until("all have gone", || pull.stats().peers == 0);
}

#[test]
fn a_listener_that_comes_back_is_found_again() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let req = context.socket::<Req>().unwrap();
    let first = context.socket::<Rep>().unwrap();
    let endpoint = bind(&first);
    req.connect(&endpoint).unwrap();
    for rep in [Some(first), None] {
        let rep = rep.unwrap_or_else(|| {
            until("the loss is noticed", || req.stats().peers == 0);
            let rep = context.socket::<Rep>().unwrap();
            until("the port is free", || rep.bind(&endpoint).is_ok());
            rep
        });
        req.send("?").unwrap();
        let request = recv(&rep);
        rep.send(request).unwrap();
        assert_eq!(recv(&req), "?");
    }
}

/// WebSocket's own PING goes out, and the PONG that answers it keeps the peer.
#[test]
fn heartbeats_are_answered() {
    /// Far longer than anybody is kept from answering by whatever else runs.
    const TIMEOUT: Duration = Duration::from_secs(2);
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let builder = || {
        let builder = context.socket_builder::<Dealer>().heartbeat_interval(Some(Duration::from_millis(20)));
        builder.heartbeat_timeout(Some(TIMEOUT))
    };
    let (bound, near) = (builder().build().unwrap(), builder().build().unwrap());
    let monitor = bound.monitor();
    near.connect(&bind(&bound)).unwrap();
    until("both are connected", || bound.stats().peers > 0 && near.stats().peers > 0);
    thread::sleep(TIMEOUT * 3 / 2);
    while let Ok(event) = monitor.try_recv() {
        assert!(!matches!(event.kind, SocketEventKind::Disconnected { .. }), "{event:?}");
    }
}

/// libzmq answers no PING in a box: an idle peer would be given up.
#[test]
fn heartbeats_are_not_encrypted() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let server = new_keys();
    let client = CurveClient::new(*server.public_key(), new_keys());
    let bound = context.socket_builder::<Dealer>().security(CurveServer::new(server));
    let bound = bound.heartbeat_interval(Some(Duration::from_millis(20))).heartbeat_timeout(Some(PATIENCE));
    let bound = bound.build().unwrap();
    let near = || context.socket_builder::<Dealer>().security(client.clone()).build().unwrap();
    let (by_ws, by_tcp) = (near(), near());
    by_ws.connect(&bind(&bound)).unwrap();
    by_tcp.connect(&bound.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let sent = |scheme: &str| {
        let is_it = |endpoint: &String| endpoint.starts_with(scheme);
        let peers = bound.peers();
        let peer = peers.iter().find(|peer| peer.is_ready && peer.endpoint.as_ref().is_some_and(is_it));
        peer.map(|peer| peer.counters.bytes_out)
    };
    until("both are connected", || sent("ws").is_some() && sent("tcp").is_some());
    until("the handshakes are sent", || by_ws.stats().peers > 0 && by_tcp.stats().peers > 0);
    let (over_ws, over_tcp) = (sent("ws"), sent("tcp").unwrap());
    until("PINGs go out over tcp", || sent("tcp").unwrap() > over_tcp + 1000);
    assert_eq!(sent("ws"), over_ws);
}

#[test]
fn sockets_without_frames_are_refused() {
    let context = Context::new();
    let stream = context.socket::<Stream>().unwrap();
    assert!(matches!(stream.bind("ws://127.0.0.1:*"), Err(BindError::NotForStream)));
    assert!(matches!(stream.connect("ws://127.0.0.1:1"), Err(ConnectError::NotForStream)));
    let push = context.socket::<Push>().unwrap();
    for path in ["/a b", "/\r\nX: y", "/ä"] {
        assert!(push.connect(&format!("ws://127.0.0.1:1{path}")).is_err(), "{path}");
        assert!(push.bind(&format!("ws://127.0.0.1:*{path}")).is_err(), "{path}");
    }
}

// ---- peers of written bytes

/// A client that has got through the upgrade.
struct Client(TcpStream);

impl Client {
    fn tcp(endpoint: &str) -> TcpStream {
        let address = endpoint.strip_prefix("ws://").unwrap().trim_end_matches('/');
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn upgrade(endpoint: &str, subprotocols: &str) -> Self {
        let mut stream = Self::tcp(endpoint);
        stream.write_all(request(subprotocols).as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
        Self(stream)
    }

    fn shake_hands(endpoint: &str, socket_type: &str) -> Self {
        let mut client = Self::upgrade(endpoint, "ZWS2.0/NULL,ZWS2.0");
        client.send(0x82, &ready(socket_type));
        let (first, payload) = client.recv();
        assert_eq!((first, &payload[..7]), (0x82, &b"\x02\x05READY"[..]));
        client
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        self.0.write_all(&masked(first, payload)).unwrap();
    }

    /// A frame: its first byte, and its payload.
    fn recv(&mut self) -> (u8, Vec<u8>) {
        let [first, len] = self.bytes();
        let len = match len {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            len => u64::from(len),
        };
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).unwrap();
        (first, payload)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn request(subprotocols: &str) -> String {
    format!(
        "GET /any HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {subprotocols}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

fn ready(socket_type: &str) -> Vec<u8> {
    let mut payload = b"\x02\x05READY\x0BSocket-Type\0\0\0".to_vec();
    payload.push(socket_type.len() as u8);
    payload.extend_from_slice(socket_type.as_bytes());
    payload
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(b"mask");
    bytes.extend(payload.iter().zip(b"mask".iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}

/// Why the peer was given up, as the event has it.
fn loss(monitor: &Monitor) -> String {
    await_event(monitor, "the loss", |event| match event {
        SocketEventKind::Disconnected { reason: DisconnectReason::Transport(error) } => Some(error.to_string()),
        SocketEventKind::Disconnected { reason } => Some(reason.to_string()),
        SocketEventKind::HandshakeFailed { error } => Some(error.to_string()),
        _ => None,
    })
}

/// Browsers and proxies may fragment, and put control frames between the fragments.
#[test]
fn fragments_and_pings_are_understood() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let mut client = Client::shake_hands(&bind(&pull), "PUSH");
    client.send(0x02, b"");
    client.send(0x89, b"there?");
    client.send(0x00, b"\0ab");
    client.send(0x8A, b"unasked");
    client.send(0x80, b"cd");
    client.send(0x82, b"\x01x");
    client.send(0x82, b"\0y");
    assert_eq!(client.recv(), (0x8A, b"there?".to_vec()));
    assert_eq!(recv(&pull), "abcd");
    assert_eq!(support::text(&recv(&pull)), ["x", "y"]);
}

#[test]
fn bytes_that_come_one_by_one_are_understood() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context.socket::<Dealer>().unwrap();
    let mut stream = Client::tcp(&bind(&dealer));
    stream.set_nodelay(true).unwrap();
    let mut bytes = request("ZWS2.0/NULL").into_bytes();
    bytes.extend_from_slice(&masked(0x82, &ready("DEALER")));
    bytes.extend_from_slice(&masked(0x82, b"\0hello"));
    for byte in bytes.chunks(1) {
        stream.write_all(byte).unwrap();
    }
    assert_eq!(recv(&dealer), "hello");
}

/// RFC 45 wants it for peers that have no mechanisms: the first message is the routing id.
#[test]
fn a_peer_without_a_mechanism_is_served() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for ours in ["", "router"] {
        let mut builder = context.socket_builder::<Router>();
        if !ours.is_empty() {
            builder = builder.routing_id(ours);
        }
        let router = builder.build().unwrap();
        let mut client = Client::upgrade(&bind(&router), "x, ZWS2.0");
        client.send(0x82, b"\0jsmq");
        assert_eq!(client.recv(), (0x82, [b"\0", ours.as_bytes()].concat()));
        client.send(0x82, b"\x01first");
        client.send(0x82, b"\0second");
        assert_eq!(support::text(&recv(&router)), ["jsmq", "first", "second"]);
        router.send(["jsmq", "back", ""]).unwrap();
        assert_eq!(client.recv(), (0x82, b"\x01back".to_vec()));
        assert_eq!(client.recv(), (0x82, b"\0".to_vec()));
    }
}

#[test]
fn a_peer_that_says_goodbye_is_answered() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    let mut client = Client::shake_hands(&bind(&pull), "PUSH");
    // In one piece: what came before the CLOSE is received, and the CLOSE is not overlooked behind it.
    let bytes = [masked(0x82, b"\0last"), masked(0x88, b"\x03\xE8")].concat();
    client.0.write_all(&bytes).unwrap();
    assert_eq!(client.recv().0, 0x88);
    assert_eq!(recv(&pull), "last");
    assert!(loss(&monitor).contains("closed"));
}

#[test]
fn broken_rules_are_told_to_the_peer_and_by_an_event() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    let endpoint = bind(&pull);
    let too_long = [&[0x02][..], &[0x80 | 127], &(1_u64 << 30).to_be_bytes(), b"mask"].concat();
    let cases: [(&[u8], &str); 10] = [
        (&[0x82, 0], "only clients mask"),
        (&[0xC2, 0x80], "reserved"),
        (&[0x83, 0x80], "reserved"),
        (&masked(0x81, b"text"), "text"),
        (&masked(0x82, b""), "flags"),
        (&masked(0x82, b"\x04"), "flags"),
        (&masked(0x80, b"\0"), "fragment out of place"),
        (&[masked(0x02, b"\0"), masked(0x82, b"\0")].concat(), "fragment out of place"),
        (&masked(0x89, &[0; 126]), "control frame"),
        (&too_long, "fragments too long"),
    ];
    for (bytes, expected) in cases {
        let mut client = Client::shake_hands(&endpoint, "PUSH");
        client.0.write_all(&[&masked(0x82, b"\0before")[..], bytes].concat()).unwrap();
        let said = loss(&monitor);
        assert!(said.contains(expected), "{said}");
        assert_eq!(client.recv(), (0x88, 1002_u16.to_be_bytes().to_vec()), "{expected}");
        assert_eq!(recv(&pull), "before");
    }
}

#[test]
fn requests_that_are_no_upgrade_are_refused() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    let endpoint = bind(&pull);
    let cases = [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "not for a WebSocket"),
        (request("chat"), "no subprotocol"),
        (request("ZWS2.0/CURVE"), "mechanism CURVE"),
        ("\x16\x03\x01hello\r\n".to_owned(), "HTTP/1.1"),
        (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(9000)), "too long"),
    ];
    for (request, expected) in cases {
        let mut stream = Client::tcp(&endpoint);
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        drop(stream);
        let said = loss(&monitor);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn an_upgrade_that_does_not_go_on_is_given_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().handshake_timeout(Some(Duration::from_millis(200))).build().unwrap();
    let monitor = pull.monitor();
    let mut stream = Client::tcp(&bind(&pull));
    stream.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
    assert!(loss(&monitor).contains("not over in time"));
    assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
}

#[test]
fn a_server_that_does_not_accept_is_given_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = context.socket::<Push>().unwrap();
    let monitor = push.monitor();
    push.connect(&format!("ws://{}/where", listener.local_addr().unwrap())).unwrap();
    let upgraded = |accept: &str, subprotocol: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        )
    };
    let cases = [
        ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "status 404"),
        (upgraded(ACCEPT, "ZWS2.0/NULL"), "not that of a WebSocket server"),
        ("SSH-2.0-OpenSSH_9\r\n".to_owned(), "HTTP/1.1"),
    ];
    for (response, expected) in cases {
        let mut stream = listener.accept().unwrap().0;
        let head = read_head(&mut stream);
        assert!(head.starts_with("GET /where HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nSec-WebSocket-Protocol: ZWS2.0/NULL\r\n"), "{head}");
        stream.write_all(response.as_bytes()).unwrap();
        let said = loss(&monitor);
        assert!(said.contains(expected), "{said}");
    }
}

/// A publisher's messages to many are encoded once, and masked for nobody.
#[test]
fn many_subscribers_get_the_same() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let publisher = context.socket::<Pub>().unwrap();
    let endpoint = bind(&publisher);
    let subs: Vec<Socket<Sub>> = (0..10)
        .map(|_| {
            let sub = context.socket::<Sub>().unwrap();
            sub.subscribe("").unwrap();
            sub.connect(&endpoint).unwrap();
            sub
        })
        .collect();
    until("all have subscribed", || publisher.peers().len() == 10 && publisher.stats().peers == 10);
    until("one message has come to all", || {
        publisher.send("probe").unwrap();
        subs.iter().all(|sub| sub.readiness().readable)
    });
    publisher.send(body(1, 20_000)).unwrap();
    for sub in &subs {
        while recv(sub) != body(1, 20_000) {}
    }
}
