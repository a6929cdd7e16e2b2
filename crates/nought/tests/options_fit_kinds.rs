//! An option that a socket does not have is refused, and so is an impossible value: nothing is accepted and ignored.
//! For typed sockets the compiler does it; the doc tests show that.

mod support;

use std::time::Duration;

use nought::{
    Any, ConnectError, Context, SocketBuilder, SocketError,
    SocketType::{self, *},
    Sub,
};

type Set = fn(SocketBuilder<Any>) -> SocketBuilder<Any>;

const TIME: Option<Duration> = Some(Duration::from_secs(1));
const ZMTP: &[SocketType] = &[
    Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub, Server, Client, Radio, Dish, Gather, Scatter,
    Peer, Channel,
];

/// Name, setter, and which types have it.
const OPTIONS: &[(&str, Set, &[SocketType])] = &[
    ("max_message_size", |b| b.max_message_size(Some(1)), ZMTP),
    ("handshake_timeout", |b| b.handshake_timeout(TIME), ZMTP),
    ("heartbeat_interval", |b| b.heartbeat_interval(TIME), ZMTP),
    ("heartbeat_timeout", |b| b.heartbeat_timeout(TIME), ZMTP),
    ("heartbeat_ttl", |b| b.heartbeat_ttl(TIME), ZMTP),
    ("metadata", |b| b.metadata("X-Name", b"x"), ZMTP),
    ("conflate", |b| b.conflate(true), &[Pub, Sub, Dealer, Pull, Push]),
    ("routing_id", |b| b.routing_id("x"), &[Req, Dealer, Router]),
    ("probe_router", |b| b.probe_router(true), &[Req, Dealer, Router]),
    ("router_mandatory", |b| b.router_mandatory(true), &[Router]),
    ("router_handover", |b| b.router_handover(true), &[Router]),
    ("router_notify_connect", |b| b.router_notify_connect(true), &[Router]),
    ("router_notify_disconnect", |b| b.router_notify_disconnect(true), &[Router]),
    ("hello_message", |b| b.hello_message(Some("x".into())), &[Router, Dealer, Client, Server, Peer]),
    ("disconnect_message", |b| b.disconnect_message(Some("x".into())), &[Router, Server, Peer]),
    ("hiccup_message", |b| b.hiccup_message(Some("x".into())), &[Dealer, Client, Peer]),
    ("req_correlate", |b| b.req_correlate(true), &[Req]),
    ("req_relaxed", |b| b.req_relaxed(true), &[Req]),
    ("xpub_verbose", |b| b.xpub_verbose(true), &[XPub]),
    ("xpub_verboser", |b| b.xpub_verboser(true), &[XPub]),
    ("xpub_manual", |b| b.xpub_manual(true), &[XPub]),
    ("xpub_manual_last_value", |b| b.xpub_manual_last_value(true), &[XPub]),
    ("only_first_subscribe", |b| b.only_first_subscribe(true), &[Pub, XPub, XSub]),
    ("xpub_nodrop", |b| b.xpub_nodrop(true), &[Pub, XPub]),
    ("xpub_welcome", |b| b.xpub_welcome("x"), &[Pub, XPub]),
    ("invert_matching", |b| b.invert_matching(true), &[Pub, Sub, XPub]),
    ("xsub_verbose", |b| b.xsub_verbose(true), &[Sub, XSub]),
    ("xsub_verbose_unsubscribe", |b| b.xsub_verbose_unsubscribe(true), &[Sub, XSub]),
    ("stream_notify", |b| b.stream_notify(true), &[Stream]),
];

#[test]
fn each_type_has_its_options() {
    let context = Context::new();
    for (name, set, types) in OPTIONS {
        for socket_type in SocketType::ALL {
            match set(context.any_socket_builder(socket_type)).build() {
                Ok(_) => assert!(types.contains(&socket_type), "{name} is accepted and ignored by {socket_type}"),
                Err(SocketError::WrongKind(error)) => {
                    assert!(!types.contains(&socket_type), "{error}");
                    assert_eq!((error.option(), error.socket_type()), (*name, socket_type));
                }
                Err(error) => panic!("{name} of {socket_type}: {error}"),
            }
        }
    }
    let error = context.any_socket_builder(Push).xpub_welcome("x").build().unwrap_err();
    assert_eq!(error.to_string(), "xpub_welcome is not for PUSH: it is for PUB, XPUB");
}

#[test]
fn so_it_is_with_calls() {
    let context = Context::new();
    for socket_type in SocketType::ALL {
        let socket = context.any_socket(socket_type).unwrap();
        let names_peers = matches!(socket_type, Router | Stream);
        match socket.connect_as("tcp://127.0.0.1:9", "anna") {
            Ok(()) => assert!(names_peers, "{socket_type}"),
            Err(ConnectError::WrongKind(error)) => {
                assert!(!names_peers, "{socket_type}");
                assert_eq!(error.option(), "connect_as");
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(socket.set_router_mandatory(true).is_ok(), socket_type == Router);
        assert_eq!(socket.set_router_handover(true).is_ok(), socket_type == Router);
        assert_eq!(socket.set_xpub_verbose(true).is_ok(), socket_type == XPub);
        assert_eq!(socket.set_xpub_verboser(true).is_ok(), socket_type == XPub);
        assert_eq!(socket.set_xpub_manual(true).is_ok(), socket_type == XPub);
        assert_eq!(socket.set_req_correlate(true).is_ok(), socket_type == Req);
        assert_eq!(socket.set_req_relaxed(true).is_ok(), socket_type == Req);
        assert_eq!(socket.set_xpub_nodrop(true).is_ok(), matches!(socket_type, Pub | XPub));
        assert_eq!(socket.set_max_message_size(None).is_ok(), ZMTP.contains(&socket_type));
        assert_eq!(socket.set_heartbeat(None, None).is_ok(), ZMTP.contains(&socket_type));
        socket.set_linger(Some(Duration::ZERO));
    }
}

#[test]
fn impossible_values_are_refused() {
    const REFUSED: &[(&str, Set)] = &[
        ("routing_id", |b| b.routing_id(vec![b'x'; 256])),
        ("routing_id", |b| b.routing_id(&b"\0x"[..])),
        ("metadata", |b| b.metadata("Name", b"x")),
        ("metadata", |b| b.metadata("", b"x")),
        ("metadata", |b| b.metadata("X-a name", b"x")),
        ("metadata", |b| b.metadata("X-Stra\u{df}e", b"x")),
        ("metadata", |b| b.metadata("X-a:b", b"x")),
        ("metadata", |b| b.metadata(&"X-".repeat(128), b"x")),
        ("metadata", |b| b.metadata("X-Large", &[0; 7680])),
        ("heartbeat_ttl", |b| b.heartbeat_ttl(Some(Duration::from_millis(6_553_501)))),
        ("the times of", |b| b.heartbeat_interval(Some(Duration::ZERO))),
        ("the times of", |b| b.heartbeat_timeout(Some(Duration::ZERO))),
        ("the times of", |b| b.handshake_timeout(Some(Duration::ZERO))),
        ("the times of", |b| b.reconnect_interval(Some(Duration::ZERO))),
        ("the times of", |b| b.connect_timeout(Some(Duration::ZERO))),
    ];
    let context = Context::new();
    for (name, set) in REFUSED {
        let error = set(context.any_socket_builder(Dealer)).build().unwrap_err();
        assert!(matches!(error, SocketError::Option(what) if what.starts_with(name)), "{name}: {error}");
    }
}

/// As large as is allowed, and with every character, it passes both ways.
#[test]
fn the_largest_metadata_arrives() {
    let _bounded = support::watchdog(Duration::from_secs(60));
    let context = Context::new();
    let name = "X-aZ09-_.+";
    let value = vec![7; 7680 - name.len() - 5];
    let socket = |routing_id: char| {
        let builder = context.socket_builder::<nought::Dealer>().metadata(name, &value);
        builder.routing_id(routing_id.to_string().repeat(255)).build().unwrap()
    };
    let (a, b) = (socket('a'), socket('b'));
    support::connect(&a, &b, support::Transport::Tcp);
    for socket in [&a, &b] {
        assert_eq!(socket.peers()[0].peer.metadata.get(name), Some(&value[..]));
    }
    drop(context.socket_builder::<Sub>().metadata(name, b"").build().unwrap());
}
