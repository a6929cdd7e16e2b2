//! Connections that cannot be made are tried again, with pauses that grow, and told by events: refused ones, names that
//! cannot be looked up, files that are missing or stale, handshakes that fail.

mod support;

use std::{
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nought::{
    Context, ContextBuilder, Monitor, Pull, Push, Socket, SocketEventKind,
    transport::{AddressError, Connecting, ListenError, Listener, Target, Tcp, TransportOptions},
};
use support::{
    Transport, await_event,
    raw::{self, RawPeer},
    recv, scratch_path, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);

fn push(context: &Context) -> Socket<Push> {
    context.socket_builder::<Push>().reconnect_interval(Some(Duration::from_millis(20))).build().unwrap()
}

fn failure(monitor: &Monitor) -> std::io::ErrorKind {
    await_event(monitor, "a failure", |event| match event {
        SocketEventKind::ConnectFailed { error } => Some(error.kind()),
        _ => None,
    })
}

fn pause(monitor: &Monitor) -> Duration {
    await_event(monitor, "another attempt", |event| match event {
        SocketEventKind::ConnectRetried { delay } => Some(*delay),
        _ => None,
    })
}

/// Somebody listens there after all, and gets what was sent before.
fn assert_found(context: &Context, push: &Socket<Push>, endpoint: &str) {
    push.send("found").unwrap();
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(endpoint).unwrap();
    assert_eq!(recv(&pull), "found");
}

#[test]
fn a_port_where_nobody_listens() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = push(&context);
    let monitor = push.monitor();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    let mut longest = Duration::ZERO;
    for attempt in 0..5 {
        assert_eq!(failure(&monitor), std::io::ErrorKind::ConnectionRefused);
        let pause = pause(&monitor);
        let whole = Duration::from_millis(20) * (1 << attempt);
        assert!(pause >= whole / 2 && pause <= whole, "attempt {attempt}: {pause:?}");
        longest = longest.max(pause);
    }
    assert!(longest >= Duration::from_millis(160), "pauses grow");
    // Time may have passed for more attempts.
    let counted = push.stats().reconnects;
    let more = std::iter::from_fn(|| monitor.try_recv().ok())
        .filter(|event| matches!(event.kind, SocketEventKind::ConnectRetried { .. }))
        .count() as u64;
    assert!((5..=5 + more).contains(&counted), "{counted}, and {more} events");
    assert_found(&context, &push, &endpoint);
}

#[test]
fn a_file_that_is_missing_or_stale() {
    let _bounded = watchdog(LIMIT);
    for stale in [false, true] {
        let context = Context::new();
        let push = push(&context);
        let monitor = push.monitor();
        let path = scratch_path("s");
        if stale {
            drop(UnixListener::bind(&path).unwrap());
        }
        let endpoint = format!("ipc://{}", path.display());
        push.connect(&endpoint).unwrap();
        let expected = if stale { std::io::ErrorKind::ConnectionRefused } else { std::io::ErrorKind::NotFound };
        assert_eq!(failure(&monitor), expected);
        // A listener replaces a stale file.
        assert_found(&context, &push, &endpoint);
        assert!(!path.exists(), "the listener takes its file with it");
    }
}

#[test]
fn a_name_that_cannot_be_looked_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = push(&context);
    let monitor = push.monitor();
    let start = Instant::now();
    push.connect("tcp://nowhere.invalid:5555").unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "connect waits for no name server");
    failure(&monitor);
    pause(&monitor);
    // The socket is none the worse for it.
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    push.disconnect("tcp://nowhere.invalid:5555").unwrap();
    assert_found(&context, &push, &endpoint);
}

#[test]
fn a_name_that_can() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = push(&context);
    push.connect(&endpoint.replace("127.0.0.1", "localhost")).unwrap();
    push.send("by name").unwrap();
    assert_eq!(recv(&pull), "by name");
}

#[test]
fn many_names_at_once() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    for index in 0..50 {
        push.connect(&format!("tcp://nowhere-{index}.invalid:5555")).unwrap();
    }
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let other = context.socket::<Push>().unwrap();
    other.connect(&endpoint).unwrap();
    other.send("not held up").unwrap();
    assert_eq!(recv(&pull), "not held up");
    let start = Instant::now();
    drop((push, other, pull));
    drop(context);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_handshake_that_fails_is_followed_by_pauses_too() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let push = push(&context);
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    let accepting = thread::spawn(move || {
        for _ in 0..5 {
            // Another PUSH: the types do not fit.
            let mut peer = RawPeer::accept(&listener);
            peer.send(&raw::handshake("PUSH"));
            peer.await_close();
        }
        RawPeer::accept(&listener).shake_hands("PULL")
    });
    let mut pauses = Vec::new();
    for _ in 0..5 {
        await_event(&monitor, "the failure", |event| match event {
            SocketEventKind::HandshakeFailed { error } => Some(error.clone()),
            _ => None,
        });
        pauses.push(pause(&monitor));
    }
    assert!(pauses[4] >= Duration::from_millis(160), "{pauses:?}");
    assert_eq!(push.stats().totals.handshake_failures, 5);
    let mut peer = accepting.join().unwrap();
    push.send("at last").unwrap();
    assert_eq!(peer.recv_frame(), (false, b"at last".to_vec()));
    // It counts from the start again.
    drop(peer);
    await_event(&monitor, "the end", |event| matches!(event, SocketEventKind::Disconnected { .. }).then_some(()));
    assert!(pause(&monitor) <= Duration::from_millis(20));
}

#[test]
fn only_once_where_nothing_else_is_wanted() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket_builder::<Push>().reconnect_interval(None).build().unwrap();
    let monitor = push.monitor();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    failure(&monitor);
    until("the endpoint is forgotten", || push.disconnect(&endpoint).is_err());
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(pull.stats().peers, 0);
    push.connect(&endpoint).unwrap();
    push.send("again").unwrap();
    assert_eq!(recv(&pull), "again");
    // And a connection that is lost is not made again either.
    drop(pull);
    await_event(&monitor, "the end", |event| matches!(event, SocketEventKind::Disconnected { .. }).then_some(()));
    until("the endpoint is forgotten", || push.disconnect(&endpoint).is_err());
}

#[test]
fn what_is_queued_for_an_endpoint_that_is_disconnected_waits_for_it() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let push = push(&context);
        let (first, second) = (transport.future_endpoint(), transport.future_endpoint());
        push.connect(&first).unwrap();
        push.send("for the first").unwrap();
        push.disconnect(&first).unwrap();
        assert!(push.disconnect(&first).is_err(), "{transport}: it is disconnected already");
        // Neither gets in the other's way.
        push.connect(&second).unwrap();
        push.send("for the second").unwrap();
        let pulls = [context.socket::<Pull>().unwrap(), context.socket::<Pull>().unwrap()];
        pulls[0].bind(&first).unwrap();
        assert_eq!(recv(&pulls[0]), "for the first", "{transport}");
        until("the first is left", || pulls[0].stats().peers == 0);
        pulls[1].bind(&second).unwrap();
        assert_eq!(recv(&pulls[1]), "for the second", "{transport}");
        until("only the second is left", || push.peers().len() == 1);
        push.send("and again").unwrap();
        assert_eq!(recv(&pulls[1]), "and again", "{transport}");
        drop((push, pulls));
        context.term();
    }
}

#[test]
fn what_is_queued_for_an_endpoint_that_is_disconnected_waits_no_longer_than_linger() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = push(&context);
    push.set_linger(Some(Duration::from_millis(50)));
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    push.send("for nobody").unwrap();
    push.disconnect(&endpoint).unwrap();
    until("it is given up", || push.stats().totals.lost == 1);
    assert!(push.peers().is_empty());
}

#[test]
fn times_without_end() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context
        .socket_builder::<Push>()
        .reconnect_interval(Some(Duration::MAX))
        .reconnect_interval_max(Duration::MAX)
        .connect_timeout(Some(Duration::MAX))
        .linger(Some(Duration::MAX))
        .spin(Duration::MAX)
        .build()
        .unwrap();
    let monitor = push.monitor();
    let endpoint = Transport::Tcp.future_endpoint();
    push.connect(&endpoint).unwrap();
    failure(&monitor);
    assert!(pause(&monitor) > Duration::from_secs(1 << 30));
    let pull = context.socket::<Pull>().unwrap();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    push.disconnect(&endpoint).unwrap();
    until("it is connected", || push.stats().peers == 1);
    push.send("x").unwrap();
    assert_eq!(recv(&pull), "x");
}

/// tcp with several addresses behind one, as a name may have.
struct Several;

impl nought::transport::Transport for Several {
    fn scheme(&self) -> &'static str {
        "several"
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        Tcp.bind(address, options)
    }

    fn check(&self, _: &str, _: &TransportOptions) -> Result<(), AddressError> {
        Ok(())
    }

    fn resolve_now(&self, _: &str, _: &TransportOptions) -> Option<std::io::Result<Vec<Target>>> {
        None
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> std::io::Result<Vec<Target>> {
        address.split(',').map(|one| Ok(Tcp.resolve(one, options)?.remove(0))).collect()
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> std::io::Result<Connecting> {
        Tcp.connect(target, options)
    }
}

#[test]
fn an_address_that_refuses_the_handshake_is_followed_by_the_next() {
    let _bounded = watchdog(LIMIT);
    let context = Context::builder().transport(Arc::new(Several)).build().unwrap();
    let dead = Transport::Tcp.future_endpoint();
    let (misfit, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
    let endpoints = [dead, misfit.bind("tcp://127.0.0.1:*").unwrap(), pull.bind("tcp://127.0.0.1:*").unwrap()];
    let addresses = endpoints.map(|endpoint| endpoint["tcp://".len()..].to_owned());
    let push = push(&context);
    let monitor = push.monitor();
    push.connect(&format!("several://{}", addresses.join(","))).unwrap();
    push.send("the third").unwrap();
    assert_eq!(recv(&pull), "the third");
    // Each that failed is told.
    assert_eq!(failure(&monitor), std::io::ErrorKind::ConnectionRefused);
    await_event(&monitor, "the misfit", |event| matches!(event, SocketEventKind::HandshakeFailed { .. }).then_some(()));
    assert_eq!(push.stats().reconnects, 0, "without a pause");
}

#[test]
fn every_address_of_a_name_is_tried() {
    let _bounded = watchdog(LIMIT);
    // With IPv6, localhost has two addresses, and somebody listens at the second one only.
    let context = ContextBuilder::build(Context::builder()).unwrap();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = context.socket_builder::<Push>().ipv6(true).build().unwrap();
    push.connect(&endpoint.replace("127.0.0.1", "localhost")).unwrap();
    push.send("the other one").unwrap();
    assert_eq!(recv(&pull), "the other one");
}
