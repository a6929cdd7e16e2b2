//! A panic or a wrong count in an application's transport costs the connection it happened on, with an event, and nothing
//! else.

mod support;

use std::{sync::Arc, thread, time::Duration};

use nought::{Context, DisconnectReason, Kind, Monitor, Pull, Push, Socket, SocketEventKind};
use support::{
    PATIENCE, await_event,
    lab::{Faults, Lab},
    unique, until, watchdog,
};

/// Two sockets, each of a context and a transport of its own; those of the second are the sound ones.
struct Pair<A: Kind, B: Kind> {
    suspect: Socket<A>,
    sound: Socket<B>,
    faults: Arc<Faults>,
    endpoint: String,
}

impl<A: Kind, B: Kind> Pair<A, B> {
    fn new() -> Self {
        let (lab, sound_lab) = (Arc::new(Lab::default()), Arc::new(Lab::default()));
        let faults = Arc::clone(&lab.faults);
        Self { suspect: socket(lab), sound: socket(sound_lab), faults, endpoint: format!("lab://{}", unique()) }
    }
}

fn socket<K: Kind>(lab: Arc<Lab>) -> Socket<K> {
    let context = Context::builder().transport(lab).build().unwrap();
    context.socket_builder::<K>().reconnect_interval(Some(Duration::from_millis(5))).build().unwrap()
}

fn await_handshake(monitor: &Monitor) {
    await_event(monitor, "a handshake", |kind| {
        matches!(kind, SocketEventKind::HandshakeSucceeded { .. }).then_some(())
    });
}

/// The transport's failure, as its socket tells it.
fn await_failure(monitor: &Monitor) -> String {
    await_event(monitor, "the loss", |kind| match kind {
        SocketEventKind::Disconnected { reason: DisconnectReason::Transport(error) }
        | SocketEventKind::ConnectFailed { error }
        | SocketEventKind::AcceptFailed { error } => Some(error.to_string()),
        _ => None,
    })
}

fn await_loss(monitor: &Monitor) {
    await_event(monitor, "the loss", |kind| matches!(kind, SocketEventKind::Disconnected { .. }).then_some(()));
}

#[test]
fn a_read_that_panics_costs_its_connection() {
    let _bounded = watchdog(Duration::from_secs(60));
    for reader in ["the driver", "a caller"] {
        let Pair { suspect: pull, sound: push, faults, endpoint } = Pair::<Pull, Push>::new();
        let (monitor, others) = (pull.monitor(), push.monitor());
        pull.bind(&endpoint).unwrap();
        push.connect(&endpoint).unwrap();
        await_handshake(&monitor);
        await_handshake(&others);
        faults.next_panic_in("read");
        thread::scope(|scope| {
            let caller = (reader == "a caller").then(|| scope.spawn(|| pull.recv_timeout(PATIENCE)));
            push.send("lost").unwrap();
            assert!(await_failure(&monitor).contains("panicked in `read`"));
            await_loss(&others);
            push.send("to the next one").unwrap();
            let mut message = match caller {
                Some(caller) => caller.join().unwrap().unwrap(),
                None => pull.recv_timeout(PATIENCE).unwrap(),
            };
            if message == "lost" {
                // Whoever reads looks whether there is something: the connection may have ended before this was sent, which
                // is for the next then.
                message = pull.recv_timeout(PATIENCE).unwrap();
            }
            assert_eq!(message, "to the next one", "{reader}");
        });
    }
}

#[test]
fn a_write_that_panics_costs_its_connection_and_no_message() {
    let _bounded = watchdog(Duration::from_secs(60));
    let Pair { suspect: push, sound: pull, faults, endpoint } = Pair::<Push, Pull>::new();
    let monitor = push.monitor();
    pull.bind(&endpoint).unwrap();
    push.connect(&endpoint).unwrap();
    await_handshake(&monitor);
    faults.next_panic_in("write");
    for body in ["first", "second"] {
        push.send(body).unwrap();
    }
    assert!(await_failure(&monitor).contains("panicked in `write`"));
    for body in ["first", "second"] {
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), body);
    }
}

#[test]
fn a_wrong_count_of_what_was_written_costs_its_connection_and_no_message() {
    let _bounded = watchdog(Duration::from_secs(60));
    for count in [0, 1 << 30, usize::MAX] {
        let Pair { suspect: push, sound: pull, faults, endpoint } = Pair::<Push, Pull>::new();
        let monitor = push.monitor();
        pull.bind(&endpoint).unwrap();
        push.connect(&endpoint).unwrap();
        await_handshake(&monitor);
        faults.next_count_of("write", count);
        push.send("first").unwrap();
        let failure = await_failure(&monitor);
        assert!(failure.contains("`write`") && failure.contains(&count.to_string()), "{failure}");
        push.send("second").unwrap();
        // It was written before it was miscounted, and is sent again.
        while pull.recv_timeout(PATIENCE).unwrap() != "second" {}
    }
}

#[test]
fn a_wrong_count_of_what_was_read_costs_its_connection() {
    let _bounded = watchdog(Duration::from_secs(60));
    for count in [1, 1 << 30, usize::MAX] {
        let Pair { suspect: pull, sound: push, faults, endpoint } = Pair::<Pull, Push>::new();
        let (monitor, others) = (pull.monitor(), push.monitor());
        pull.bind(&endpoint).unwrap();
        push.connect(&endpoint).unwrap();
        await_handshake(&monitor);
        await_handshake(&others);
        faults.next_count_of("read", count);
        push.send("lost").unwrap();
        assert!(await_failure(&monitor).contains("`read`"));
        await_loss(&others);
        push.send("to the next one").unwrap();
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), "to the next one");
    }
}

#[test]
fn an_end_that_panics_is_an_end() {
    let _bounded = watchdog(Duration::from_secs(60));
    let Pair { suspect: pull, sound: push, faults, endpoint } = Pair::<Pull, Push>::new();
    let monitor = pull.monitor();
    pull.bind(&endpoint).unwrap();
    push.connect(&endpoint).unwrap();
    await_handshake(&monitor);
    faults.next_panic_in("drop");
    push.disconnect(&endpoint).unwrap();
    await_loss(&monitor);
    until("the channel is dropped", || faults.is_over());
    faults.next_panic_in("drop of the listener");
    pull.unbind(&endpoint).unwrap();
    assert!(faults.is_over());
    await_event(&monitor, "the end", |kind| matches!(kind, SocketEventKind::Closed).then_some(()));
    pull.bind(&endpoint).unwrap();
    push.connect(&endpoint).unwrap();
    push.send("again").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), "again");
}

#[test]
fn a_panic_before_the_connection_is_a_failure_that_is_tried_again() {
    let _bounded = watchdog(Duration::from_secs(60));
    for method in ["accept", "connect"] {
        let Pair { suspect: push, sound: pull, faults, endpoint } = Pair::<Push, Pull>::new();
        let monitor = push.monitor();
        faults.next_panic_in(method);
        if method == "accept" {
            push.bind(&endpoint).unwrap();
            pull.connect(&endpoint).unwrap();
        } else {
            pull.bind(&endpoint).unwrap();
            push.connect(&endpoint).unwrap();
        }
        assert!(await_failure(&monitor).contains(&format!("panicked in `{method}`")));
        push.send("for all that").unwrap();
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), "for all that", "{method}");
    }
}
