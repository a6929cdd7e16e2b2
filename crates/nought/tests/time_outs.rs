//! Time-outs of sending and receiving: none, some, for ever.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Pull, Push, RecvError, Req, SendErrorKind};
use support::{Transport, connected, proc, recv, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// What scheduling may add on a machine with other work, and less than what ends a wait that nobody is told to end.
const ALLOWANCE: Duration = Duration::from_secs(20);

fn assert_takes(expected: Duration, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let elapsed = start.elapsed();
    assert!(elapsed >= expected, "{elapsed:?} instead of {expected:?}");
    assert!(elapsed < expected + ALLOWANCE, "{elapsed:?} instead of {expected:?}");
}

#[test]
fn receiving() {
    let _bounded = watchdog(LIMIT);
    for timeout in [0, 1, 10, 200].map(Duration::from_millis) {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_timeout(Some(timeout)).build().unwrap();
        pull.bind("tcp://127.0.0.1:*").unwrap();
        assert_takes(timeout, || assert_eq!(pull.recv().unwrap_err(), RecvError::TimedOut));
        assert_takes(timeout, || assert_eq!(pull.recv_timeout(timeout).unwrap_err(), RecvError::TimedOut));
        assert_takes(Duration::ZERO, || assert_eq!(pull.try_recv().unwrap_err(), RecvError::WouldBlock));
    }
}

#[test]
fn sending() {
    let _bounded = watchdog(LIMIT);
    for timeout in [0, 1, 10, 200].map(Duration::from_millis) {
        let context = Context::new();
        let push = context.socket_builder::<Push>().send_timeout(Some(timeout)).build().unwrap();
        push.bind("tcp://127.0.0.1:*").unwrap();
        assert_takes(timeout, || assert_eq!(push.send("x").unwrap_err().kind(), SendErrorKind::TimedOut));
        assert_takes(timeout, || {
            assert_eq!(push.send_timeout("x", timeout).unwrap_err().kind(), SendErrorKind::TimedOut);
        });
        assert_takes(Duration::ZERO, || assert_eq!(push.try_send("x").unwrap_err().kind(), SendErrorKind::WouldBlock));
    }
}

#[test]
fn an_error_of_turn_waits_for_nothing() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let request = context.socket::<Req>().unwrap();
    assert_takes(Duration::ZERO, || assert_eq!(request.recv().unwrap_err(), RecvError::OutOfTurn));
}

#[test]
fn a_message_ends_the_wait_at_once() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        assert_takes(Duration::from_millis(100), || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(100));
                    push.send("now").unwrap();
                });
                assert_eq!(pull.recv_timeout(LIMIT).unwrap(), "now", "{transport}");
            });
        });
    }
}

#[test]
fn the_longest_time_out_is_for_ever() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Inproc);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            push.send("now").unwrap();
        });
        assert_eq!(pull.recv_timeout(Duration::MAX).unwrap(), "now");
    });
}

#[test]
fn a_waiting_receiver_costs_no_processor_time() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        let before = proc::thread_cpu_time();
        pull.recv_timeout(Duration::from_millis(500)).unwrap_err();
        let used = proc::thread_cpu_time() - before;
        assert!(used < Duration::from_millis(50), "{transport}: {used:?} of processor time in half a second");
        push.send("x").unwrap();
        recv(&pull);
    }
}
