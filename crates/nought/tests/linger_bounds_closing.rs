//! The linger time bounds what closing may take: none at all, or so long and no longer.

mod support;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Pull, Push, Socket};
use support::{
    Transport,
    lab::Lab,
    proc,
    process::{self, Role},
    raw::RawPeer,
    until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);

fn push(context: &Context, linger: Duration) -> Socket<Push> {
    context.socket_builder::<Push>().linger(Some(linger)).build().unwrap()
}

/// Asserts that what is measured takes less than `limit`, whatever the machine does beside it: that only adds to it, now
/// more, now less, and what is waited for by design is waited for each time.
#[track_caller]
fn assert_shorter(limit: Duration, measure: impl FnMut() -> Duration) {
    let mut measured = Vec::new();
    for time in std::iter::repeat_with(measure).take(10) {
        measured.push(time);
        if time < limit {
            return;
        }
    }
    panic!("it takes {measured:?}");
}

#[test]
fn role() {
    process::play(&[("lingering", linger_with_several_deadlines)]);
}

#[test]
fn no_linger_drops_what_is_queued_for_nobody() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        println!("{transport}");
        let endpoint = transport.future_endpoint();
        assert_shorter(Duration::from_secs(1), || {
            let context = Context::new();
            let push = push(&context, Duration::ZERO);
            push.connect(&endpoint).unwrap();
            for _ in 0..100 {
                push.send("to be dropped").unwrap();
            }
            push.close();
            let start = Instant::now();
            drop(context);
            start.elapsed()
        });
    }
}

#[test]
fn no_linger_drops_what_the_peer_does_not_take() {
    let _bounded = watchdog(LIMIT);
    assert_shorter(Duration::from_secs(1), || {
        let context = Context::new();
        let push = push(&context, Duration::ZERO);
        let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
        let _peer = RawPeer::connect(&endpoint).shake_hands("PULL");
        while push.send_timeout(&[0; 65_536], Duration::from_millis(100)).is_ok() {}
        push.close();
        let start = Instant::now();
        drop(context);
        start.elapsed()
    });
}

#[test]
fn a_linger_time_is_waited_for_and_no_longer() {
    let _bounded = watchdog(LIMIT);
    let linger = Duration::from_millis(300);
    assert_shorter(linger + Duration::from_secs(1), || {
        let context = Context::new();
        let nobody_there = push(&context, linger);
        nobody_there.connect(&Transport::Tcp.future_endpoint()).unwrap();
        nobody_there.send("to be dropped").unwrap();
        let not_read = push(&context, linger);
        let endpoint = not_read.bind("tcp://127.0.0.1:*").unwrap();
        let _peer = RawPeer::connect(&endpoint).shake_hands("PULL");
        while not_read.send_timeout(&[0; 65_536], Duration::from_millis(100)).is_ok() {}
        let start = Instant::now();
        nobody_there.close();
        not_read.close();
        drop(context);
        let elapsed = start.elapsed();
        assert!(elapsed >= linger, "{elapsed:?}");
        elapsed
    });
}

#[test]
fn nothing_is_waited_for_when_all_is_sent() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        println!("{transport}");
        assert_shorter(Duration::from_millis(500), || {
            let context = Context::new();
            let (pull, push) = support::connected::<Pull, Push>(&context, transport);
            push.send("the last").unwrap();
            assert_eq!(support::recv(&pull), "the last");
            let start = Instant::now();
            push.close();
            pull.close();
            drop(context);
            start.elapsed()
        });
    }
}

#[test]
fn sockets_that_never_sent_close_at_once() {
    let _bounded = watchdog(LIMIT);
    assert_shorter(Duration::from_secs(1), || {
        let context = Context::new();
        let push = context.socket::<Push>().unwrap();
        push.connect(&Transport::Tcp.future_endpoint()).unwrap();
        let unresolved = context.socket::<Push>().unwrap();
        unresolved.connect("tcp://nowhere.invalid:5555").unwrap();
        let pull = context.socket::<Pull>().unwrap();
        pull.bind("tcp://127.0.0.1:*").unwrap();
        let start = Instant::now();
        drop((push, unresolved, pull));
        context.term();
        start.elapsed()
    });
}

#[test]
fn closed_sockets_linger_in_the_background() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = Transport::Tcp.future_endpoint();
    let push = push(&context, LIMIT);
    push.connect(&endpoint).unwrap();
    push.send("late").unwrap();
    push.close();
    assert_eq!(context.sockets(), 1, "close itself waits for nothing: it lingers");
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    assert_eq!(support::recv(&pull), "late");
    until("the closed socket is gone", || context.sockets() == 1);
    thread::scope(|scope| {
        scope.spawn(|| context.term());
        scope.spawn(move || drop(pull));
    });
}

/// The linger time is the socket's own for each connection as it leaves, and the shorter one counts.
#[test]
fn a_shorter_linger_time_ends_what_left_with_a_longer_one() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let push = push(&context, Duration::from_secs(3600));
        let endpoint = transport.future_endpoint();
        push.connect(&endpoint).unwrap();
        push.send("to be dropped").unwrap();
        push.disconnect(&endpoint).unwrap();
        push.set_linger(Some(Duration::from_millis(200)));
        let start = Instant::now();
        push.close();
        until("the socket is gone", || context.sockets() == 0);
        assert!(start.elapsed() >= Duration::from_millis(200), "{transport}: {:?}", start.elapsed());
    }
}

/// A process of its own, because the time is the process's.
#[test]
fn a_driver_that_waits_for_what_lingers_sleeps() {
    let _bounded = watchdog(LIMIT);
    let role = Role::start("lingering", &[]);
    assert_eq!(role.heard(), "slept");
    role.finish();
}

fn linger_with_several_deadlines(_: &[String]) {
    const AN_HOUR: Duration = Duration::from_secs(3600);
    let soon = Duration::from_millis(50);
    for transport in Transport::ALL {
        for lingers in [[soon, AN_HOUR], [AN_HOUR, soon]] {
            let used = time_of_a_second_after_closing(transport, &lingers);
            assert!(used < Duration::from_millis(200), "{transport}, {lingers:?}: {used:?} of a second");
        }
    }
    process::tell("slept");
    std::process::exit(0);
}

/// Closes with the last of these linger times, after a connection has left with each.
fn time_of_a_second_after_closing(transport: Transport, lingers: &[Duration]) -> Duration {
    let context = Context::new();
    let push = push(&context, Duration::ZERO);
    push.set_reconnect_intervals(Some(Duration::from_secs(60)), Duration::ZERO);
    for &linger in lingers {
        let endpoint = transport.future_endpoint();
        push.set_linger(Some(linger));
        push.connect(&endpoint).unwrap();
        push.send("to be dropped").unwrap();
        push.disconnect(&endpoint).unwrap();
    }
    push.close();
    let before = proc::cpu_time();
    // It is this time that is tested: one deadline passes in it.
    thread::sleep(Duration::from_secs(1));
    let used = proc::cpu_time() - before;
    // The other may be in an hour: the process does not wait for it.
    std::mem::forget(context);
    used
}

#[test]
fn a_socket_whose_name_is_looked_up_in_vain_closes() {
    let _bounded = watchdog(LIMIT);
    let lab = Arc::new(Lab::default());
    let context = Context::builder().transport(Arc::<Lab>::clone(&lab)).build().unwrap();
    let push = context.socket_builder::<Push>().linger(None).reconnect_interval(None).build().unwrap();
    let lookup = lab.lookups.lock().unwrap();
    push.connect("lab://slow").unwrap();
    push.send("to be dropped").unwrap();
    push.close();
    assert_eq!(context.sockets(), 1, "it lingers for ever, as long as it may connect");
    drop(lookup);
    until("the socket is gone", || context.sockets() == 0);
}

/// Whoever disconnects often has many connections that are about to go: they cost nothing while nothing happens there.
#[test]
fn connections_that_linger_do_not_slow_a_socket_down() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let lingering = push(&context, Duration::from_secs(3600));
    for _ in 0..5000 {
        let endpoint = Transport::Inproc.future_endpoint();
        lingering.connect(&endpoint).unwrap();
        lingering.send("lingers").unwrap();
        lingering.disconnect(&endpoint).unwrap();
    }
    let alone = push(&context, Duration::from_secs(3600));
    let [among_many, alone] = [lingering, alone].map(|push| {
        let pull = context.socket::<Pull>().unwrap();
        support::connect(&pull, &push, Transport::Tcp);
        (0..3).map(|_| time_of_calls(&push, &pull)).min().unwrap()
    });
    assert!(among_many < 5 * alone, "{among_many:?} where it is {alone:?}");
}

fn time_of_calls(push: &Socket<Push>, pull: &Socket<Pull>) -> Duration {
    let start = proc::thread_cpu_time();
    for _ in 0..1000 {
        push.send("x").unwrap();
        support::recv(pull);
    }
    proc::thread_cpu_time() - start
}
