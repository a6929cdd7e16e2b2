//! When descriptors run out there is an event and another attempt, and never an end of the program.

mod support;

use std::{net::TcpStream, thread, time::Duration};

use nought::{BindError, Context, Pull, Push, Socket, SocketError, SocketEventKind, transport::ListenError};
use support::{
    PATIENCE, Transport, await_event,
    process::{self, Role},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(90);
/// What the roles may have open. They need a dozen to begin with.
const DESCRIPTORS: u32 = 40;
/// What `EMFILE` is.
const TOO_MANY_OPEN_FILES: i32 = 24;

#[test]
fn role() {
    process::play(&[("accepts", accept), ("connects", connect), ("makes sockets", make_sockets), ("binds", bind)]);
}

fn accept(_: &[String]) {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    process::tell(pull.bind("tcp://127.0.0.1:*").unwrap());
    let error = await_event(&monitor, "too many", |event| match event {
        SocketEventKind::AcceptFailed { error } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES), "{error}");
    process::tell("full");
    // Messages of those who got in go on flowing, and the others come when there is room.
    while let Ok(message) = pull.recv_timeout(PATIENCE) {
        if message == "end" {
            return;
        }
        process::tell(String::from_utf8_lossy(&message[0]));
    }
}

#[test]
fn for_peers_that_come() {
    let _bounded = watchdog(LIMIT);
    let mut role = Role::start_limited("accepts", &[], DESCRIPTORS);
    let endpoint = role.heard();
    let context = Context::new();
    let early = context.socket::<Push>().unwrap();
    early.connect(&endpoint).unwrap();
    until("the first is there", || early.stats().peers == 1);
    let idle: Vec<TcpStream> =
        (0..60).map(|_| TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap()).collect();
    assert_eq!(role.heard(), "full");
    early.send("early").unwrap();
    assert_eq!(role.heard(), "early");
    let late = context.socket::<Push>().unwrap();
    late.connect(&endpoint).unwrap();
    late.send("late").unwrap();
    // It waits in the system's queue while the role tries again and again.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(late.stats().peers, 0);
    drop(idle);
    assert_eq!(role.heard(), "late");
    early.send("end").unwrap();
    role.ask("");
    role.finish();
}

fn connect(arguments: &[String]) {
    let context = Context::new();
    let push = context
        .socket_builder::<Push>()
        .reconnect_interval(Some(Duration::from_millis(10)))
        .reconnect_interval_max(Duration::from_millis(50))
        .build()
        .unwrap();
    let monitor = push.monitor();
    for _ in 0..60 {
        push.connect(&arguments[0]).unwrap();
    }
    let error = await_event(&monitor, "too many", |event| match event {
        SocketEventKind::ConnectFailed { error } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES), "{error}");
    until("some are connected", || push.stats().peers > 10);
    assert!(push.stats().peers < 60);
    for index in 0..60 {
        // Each has its queue, connected or not.
        push.send(format!("{index}")).unwrap();
    }
    process::tell("all sent");
    // The ones that are connected go; the others come in their place.
    for _ in 0..60 {
        push.disconnect(&arguments[0]).unwrap();
    }
    push.close();
    drop(context);
    process::tell("end");
}

#[test]
fn for_connections_to_make() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let role = Role::start_limited("connects", &[&endpoint], DESCRIPTORS);
        assert_eq!(role.heard(), "all sent");
        // Those that never were connected are given up with their endpoint; the others send what they have.
        assert_eq!(role.heard(), "end");
        role.finish();
        until("all are gone", || pull.stats().peers == 0);
        let received = std::iter::from_fn(|| pull.try_recv().ok()).count();
        assert!(received > 10, "{transport}: {received}");
    }
}

fn make_sockets(_: &[String]) {
    let context = Context::new();
    let mut sockets: Vec<Socket<Push>> = Vec::new();
    let error = loop {
        match context.socket::<Push>() {
            Ok(socket) => sockets.push(socket),
            Err(error) => break error,
        }
        assert!(sockets.len() < 100);
    };
    let SocketError::System(error) = error else { panic!("{error}") };
    assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES));
    let error = Context::builder().build().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES));
    assert_eq!(context.sockets(), sockets.len(), "the one that failed is not counted");
    drop(sockets);
    until("all are gone", || context.sockets() == 0);
    // With room again, everything works.
    let (pull, push) = support::connected::<Pull, Push>(&context, Transport::Tcp);
    push.send("works").unwrap();
    assert_eq!(recv(&pull), "works");
    process::tell("end");
}

#[test]
fn for_sockets_and_contexts() {
    let _bounded = watchdog(LIMIT);
    let role = Role::start_limited("makes sockets", &[], DESCRIPTORS);
    assert_eq!(role.heard(), "end");
    role.finish();
}

fn bind(_: &[String]) {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        let mut bound = Vec::new();
        let error = loop {
            match pull.bind(endpoint) {
                Ok(endpoint) => bound.push(endpoint),
                Err(error) => break error,
            }
            assert!(bound.len() < 100);
        };
        let BindError::Listen(ListenError::System { source, .. }) = &error else { panic!("{error}") };
        assert_eq!(source.raw_os_error(), Some(TOO_MANY_OPEN_FILES), "{error}");
        for endpoint in bound {
            pull.unbind(&endpoint).unwrap();
        }
        pull.unbind(&pull.bind(endpoint).unwrap()).unwrap();
    }
    process::tell("end");
}

#[test]
fn for_listeners() {
    let _bounded = watchdog(LIMIT);
    let role = Role::start_limited("binds", &[], DESCRIPTORS);
    assert_eq!(role.heard(), "end");
    role.finish();
}
