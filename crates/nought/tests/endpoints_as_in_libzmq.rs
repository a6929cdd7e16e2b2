//! Binding, connecting, and undoing both: what is returned, what is remembered, what a second time does.

mod support;

use std::{fs, path::Path, time::Duration};

use nought::{
    Any, BindError, ConnectError, Context, Dealer, DisconnectReason, Pair, Pub, Pull, Push, Socket, SocketEventKind,
    SocketType, Sub,
};
use support::{Transport, await_event, connect, recv, scratch_path, unique, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_last_endpoint_is_the_resolved_one() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    assert_eq!(pull.last_endpoint(), None);
    for (endpoint, start) in [
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:"),
        ("tcp://*:*", "tcp://0.0.0.0:"),
        ("tcp://lo:*", "tcp://127.0.0.1:"),
        ("ipc://*", "ipc://"),
    ] {
        let bound = pull.bind(endpoint).unwrap();
        assert!(bound.starts_with(start) && !bound.ends_with('*') && !bound.ends_with(":0"), "{endpoint}: {bound}");
        assert_eq!(pull.last_endpoint().as_deref(), Some(&bound[..]));
    }
    let name = format!("inproc://{}", unique());
    assert_eq!(pull.bind(&name).unwrap(), name);
    assert_eq!(pull.last_endpoint(), Some(name));
    let push = context.socket::<Push>().unwrap();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    assert_eq!(push.last_endpoint(), Some(endpoint));
}

#[test]
fn an_address_is_bound_once() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (first, second) = (context.socket::<Pull>().unwrap(), context.socket::<Pull>().unwrap());
    for transport in Transport::ALL {
        let endpoint = first.bind(&transport.endpoint()).unwrap();
        for socket in [&first, &second] {
            assert!(
                matches!(socket.bind(&endpoint), Err(BindError::Listen(_) | BindError::NameInUse(_))),
                "{transport}"
            );
        }
        first.unbind(&endpoint).unwrap();
        assert!(first.unbind(&endpoint).is_err(), "{transport}: it is unbound already");
        if transport != Transport::Ipc {
            // The wildcard of ipc made a directory, which is gone.
            second.bind(&endpoint).unwrap();
        }
    }
}

#[test]
fn unbind_wants_the_resolved_endpoint() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    for wrong in ["tcp://127.0.0.1:*", "tcp://127.0.0.1:1", "ipc://nowhere", "inproc://nowhere", "nonsense", ""] {
        assert!(pull.unbind(wrong).is_err(), "{wrong}");
        assert!(pull.disconnect(wrong).is_err(), "{wrong}");
    }
    assert!(pull.disconnect(&endpoint).is_err(), "it is bound, not connected");
    pull.unbind(&endpoint).unwrap();
}

#[test]
fn connections_end_with_the_endpoint_that_they_came_by() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pair = context.socket::<Pair>().unwrap();
        let peer = context.socket_builder::<Pair>().linger(Some(Duration::ZERO)).build().unwrap();
        let endpoint = support::connect(&pair, &peer, transport);
        pair.send("queued before").unwrap();
        pair.unbind(&endpoint).unwrap();
        assert_eq!(recv(&peer), "queued before", "{transport}");
        until("it is disconnected", || pair.stats().peers == 0 && peer.stats().peers == 0);
        assert!(pair.try_send("to nobody").is_err(), "{transport}");
        // Those that came by another endpoint stay.
        let push = context.socket::<Push>().unwrap();
        let pulls = [context.socket::<Pull>().unwrap(), context.socket::<Pull>().unwrap()];
        let endpoints = [support::connect(&push, &pulls[0], transport), support::connect(&push, &pulls[1], transport)];
        push.unbind(&endpoints[0]).unwrap();
        until("one is left", || push.stats().peers == 1);
        push.send("to the other").unwrap();
        assert_eq!(recv(&pulls[1]), "to the other", "{transport}");
    }
}

/// Of a connection that ends, input above the high-water mark is dropped; what has come before that is whole.
#[test]
fn what_is_received_after_the_end_of_an_endpoint_has_no_gaps() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let dealer = context.socket_builder::<Dealer>().recv_hwm(4).build().unwrap();
        let peer = context.socket_builder::<Dealer>().linger(Some(Duration::ZERO)).build().unwrap();
        let endpoint = support::connect(&dealer, &peer, transport);
        dealer.send("so that it has to say goodbye").unwrap();
        assert_eq!(recv(&peer).len(), 1);
        let body = |number: u64| [&number.to_be_bytes()[..], &[0xEE; 3000]].concat();
        let mut sent = 0;
        while peer.send_timeout(body(sent), Duration::from_millis(50)).is_ok() {
            sent += 1;
        }
        dealer.unbind(&endpoint).unwrap();
        let mut received = 0;
        while let Ok(message) = dealer.recv_timeout(Duration::from_millis(200)) {
            assert!(message == body(received), "{transport}: message {received} of {sent}");
            received += 1;
        }
        assert!(received >= 4 && received < sent, "{transport}: {received} of {sent}");
    }
}

#[test]
fn a_connection_within_the_process_outlives_its_name() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    let endpoint = support::connect(&pull, &push, Transport::Inproc);
    pull.unbind(&endpoint).unwrap();
    push.send("still connected").unwrap();
    assert_eq!(recv(&pull), "still connected");
    let late = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    late.connect(&endpoint).unwrap();
    late.send("nobody there").unwrap();
    assert!(pull.recv_timeout(Duration::from_millis(100)).is_err());
}

#[test]
fn a_second_connect_to_the_same_endpoint() {
    let _bounded = watchdog(LIMIT);
    // As in libzmq: these have one connection to an endpoint, the others one for each call.
    let once = [
        (SocketType::Dealer, SocketType::Router, 1),
        (SocketType::Sub, SocketType::Pub, 1),
        (SocketType::Pub, SocketType::Sub, 1),
        (SocketType::Req, SocketType::Rep, 1),
        (SocketType::Push, SocketType::Pull, 2),
        (SocketType::Pull, SocketType::Push, 2),
        (SocketType::XSub, SocketType::XPub, 2),
        (SocketType::XPub, SocketType::XSub, 2),
        (SocketType::Rep, SocketType::Req, 2),
    ];
    for transport in Transport::KERNEL {
        for (connecting, bound, expected) in once {
            let context = Context::new();
            let bound = context.any_socket(bound).unwrap();
            let endpoint = bound.bind(&transport.endpoint()).unwrap();
            let socket = context.any_socket(connecting).unwrap();
            socket.connect(&endpoint).unwrap();
            socket.connect(&endpoint).unwrap();
            until("it is connected", || bound.stats().peers >= expected && socket.stats().peers >= expected);
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!((bound.stats().peers, socket.stats().peers), (expected, expected), "{transport}, {connecting}");
            for _ in 0..expected {
                socket.disconnect(&endpoint).unwrap();
            }
            assert!(socket.disconnect(&endpoint).is_err(), "{transport}, {connecting}");
            until("it is disconnected", || bound.stats().peers == 0);
        }
    }
}

#[test]
fn a_socket_may_bind_and_connect_to_many() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoints: Vec<String> = Transport::ALL.map(|transport| pull.bind(&transport.endpoint()).unwrap()).to_vec();
    let push = context.socket::<Push>().unwrap();
    endpoints.iter().for_each(|endpoint| push.connect(endpoint).unwrap());
    until("all are connected", || push.stats().peers == 3);
    for index in 0..30_u8 {
        push.send(&[index]).unwrap();
    }
    let mut received: Vec<u8> = (0..30).map(|_| recv(&pull).as_slice()[0]).collect();
    received.sort_unstable();
    assert!(received.iter().copied().eq(0..30));
    for peer in push.peers() {
        assert_eq!(peer.counters.messages_out, 10, "each has its turn: {:?}", peer.endpoint);
    }
}

#[test]
fn a_disconnect_is_told_whatever_the_transport() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        let monitor = push.monitor();
        let endpoint = connect(&pull, &push, transport);
        until("it is connected", || push.stats().peers == 1);
        push.disconnect(&endpoint).unwrap();
        await_event(&monitor, "the end", |kind| match kind {
            SocketEventKind::Disconnected { reason: DisconnectReason::Closed } => Some(()),
            _ => None,
        });
    }
}

#[test]
fn a_peer_s_end_is_told_as_its_doing_whatever_the_transport() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        let monitor = pull.monitor();
        connect(&pull, &push, transport);
        until("it is connected", || push.stats().peers == 1);
        drop(push);
        let reason = await_event(&monitor, "the end", |kind| match kind {
            SocketEventKind::Disconnected { reason } => Some(reason.clone()),
            _ => None,
        });
        assert!(matches!(reason, DisconnectReason::PeerClosed), "{transport:?}: {reason:?}");
    }
}

#[test]
fn disconnecting_stops_sending_there() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pulls: Vec<Socket<Pull>> = (0..2).map(|_| context.socket().unwrap()).collect();
        let endpoints: Vec<String> = pulls.iter().map(|pull| pull.bind(&transport.endpoint()).unwrap()).collect();
        let push = context.socket::<Push>().unwrap();
        endpoints.iter().for_each(|endpoint| push.connect(endpoint).unwrap());
        until("both are connected", || push.stats().peers == 2);
        push.disconnect(&endpoints[0]).unwrap();
        for _ in 0..10 {
            push.send("x").unwrap();
        }
        for _ in 0..10 {
            recv(&pulls[1]);
        }
        assert!(pulls[0].try_recv().is_err(), "{transport}");
        push.connect(&endpoints[0]).unwrap();
        until("both are connected again", || push.stats().peers == 2);
        push.send("x").unwrap();
        push.send("x").unwrap();
        assert_eq!((recv(&pulls[0]), recv(&pulls[1])), ("x".into(), "x".into()), "{transport}");
    }
}

#[test]
fn a_publisher_that_connects_and_a_subscriber_that_binds() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (subscriber, publisher) = (context.socket::<Sub>().unwrap(), context.socket::<Pub>().unwrap());
        subscriber.subscribe("a").unwrap();
        support::connect(&subscriber, &publisher, transport);
        until("it has subscribed", || publisher.stats().subscriptions == 1);
        publisher.send("a1").unwrap();
        assert_eq!(recv(&subscriber), "a1", "{transport}");
    }
}

#[test]
fn two_dealers_that_both_connect_both_ways() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let dealers: Vec<Socket<Dealer>> = (0..2).map(|_| context.socket().unwrap()).collect();
        let endpoints: Vec<String> = dealers.iter().map(|dealer| dealer.bind(&transport.endpoint()).unwrap()).collect();
        dealers[0].connect(&endpoints[1]).unwrap();
        dealers[1].connect(&endpoints[0]).unwrap();
        until("both are connected twice", || dealers.iter().all(|dealer| dealer.stats().peers == 2));
        for _ in 0..4 {
            dealers[0].send("x").unwrap();
        }
        for _ in 0..4 {
            assert_eq!(recv(&dealers[1]), "x", "{transport}");
        }
    }
}

#[test]
fn a_file_is_removed_with_its_listener_and_no_other() {
    let _bounded = watchdog(LIMIT);
    let path = scratch_path("s");
    let endpoint = format!("ipc://{}", path.display());
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    assert!(path.exists());
    pull.unbind(&endpoint).unwrap();
    assert!(!path.exists());
    pull.bind(&endpoint).unwrap();
    drop(pull);
    until("the closed socket has taken its file with it", || !path.exists());
    fs::write(&path, "precious").unwrap();
    let pull = context.socket::<Pull>().unwrap();
    assert!(matches!(pull.bind(&endpoint), Err(BindError::Listen(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    let wildcard = pull.bind("ipc://*").unwrap();
    let made = Path::new(wildcard.strip_prefix("ipc://").unwrap()).to_owned();
    assert!(made.exists());
    drop(pull);
    until("what the wildcard made is gone", || !made.exists() && !made.parent().unwrap().exists());
}

#[test]
fn what_is_no_endpoint_is_told_at_once() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let socket: Socket<Any> = context.any_socket(SocketType::Dealer).unwrap();
    for wrong in [
        "",
        "tcp",
        "tcp:",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:x",
        "udp2://x",
        "://",
        "inproc://",
    ] {
        assert!(socket.bind(wrong).is_err(), "{wrong}");
        assert!(matches!(socket.connect(wrong), Err(ConnectError::Endpoint(_) | ConnectError::Address(_))), "{wrong}");
        assert_eq!(socket.last_endpoint(), None, "{wrong}");
    }
    assert!(socket.connect("tcp://*:5555").is_err());
    assert!(socket.connect("ipc://*").is_err());
    let stream = context.any_socket(SocketType::Stream).unwrap();
    assert!(matches!(stream.bind("inproc://x"), Err(BindError::NotForStream)));
    assert!(matches!(stream.connect("inproc://x"), Err(ConnectError::NotForStream)));
}

#[test]
fn ipv6() {
    let _bounded = watchdog(LIMIT);
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6");
        return;
    }
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().ipv6(true).build().unwrap();
    let push = context.socket_builder::<Push>().ipv6(true).build().unwrap();
    let endpoint = pull.bind("tcp://[::1]:*").unwrap();
    assert!(endpoint.starts_with("tcp://[::1]:"), "{endpoint}");
    push.connect(&endpoint).unwrap();
    push.send("six").unwrap();
    assert_eq!(recv(&pull), "six");
    // The wildcard of IPv6 takes IPv4 peers too.
    let endpoint = pull.bind("tcp://*:*").unwrap();
    let four = context.socket::<Push>().unwrap();
    four.connect(&endpoint.replace("[::]", "127.0.0.1")).unwrap();
    four.send("four").unwrap();
    assert_eq!(recv(&pull), "four");
}

#[test]
fn a_source_address() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = context.socket::<Push>().unwrap();
    let destination = endpoint.strip_prefix("tcp://").unwrap();
    push.connect(&format!("tcp://127.0.0.7:0;{destination}")).unwrap();
    push.send("from there").unwrap();
    assert_eq!(recv(&pull), "from there");
    let remote = pull.peers()[0].endpoint.clone().unwrap();
    assert!(remote.starts_with("tcp://127.0.0.7:"), "{remote}");
}
