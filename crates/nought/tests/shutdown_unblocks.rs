//! Shutting a context down makes every call return, those that wait already too, and termination waits for the sockets.

mod support;

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{self, Waker},
    thread,
    time::Duration,
};

use nought::{Context, Pull, Push, RecvError, SendErrorKind, Socket, SocketError};
use support::{Transport, connected, executor::block_on, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);
const THREADS: u32 = 4;

/// Runs `wait` in several threads, and `then` once they wait.
fn while_waiting(wait: impl Fn() + Sync, then: impl FnOnce()) {
    let begun = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                begun.fetch_add(1, Ordering::Relaxed);
                wait();
            });
        }
        until("all have begun", || begun.load(Ordering::Relaxed) == THREADS);
        // They have begun; a little later they sleep.
        thread::sleep(Duration::from_millis(50));
        then();
    });
}

fn full_push(context: &Context, transport: Transport) -> Socket<Push> {
    let push = context.socket_builder::<Push>().send_hwm(1).linger(Some(Duration::ZERO)).build().unwrap();
    push.connect(&transport.future_endpoint()).unwrap();
    push.send("to nobody").unwrap();
    push
}

#[test]
fn receivers() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, _push) = connected::<Pull, Push>(&context, transport);
        while_waiting(|| assert_eq!(pull.recv().unwrap_err(), RecvError::Terminated), || context.shutdown());
    }
    let context = Context::new();
    let alone = context.socket::<Pull>().unwrap();
    while_waiting(|| assert_eq!(alone.recv().unwrap_err(), RecvError::Terminated), || context.shutdown());
}

#[test]
fn receivers_with_time_outs() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    while_waiting(
        || assert_eq!(pull.recv_timeout(2 * LIMIT).unwrap_err(), RecvError::Terminated),
        || context.shutdown(),
    );
}

#[test]
fn senders() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let push = full_push(&context, transport);
        while_waiting(
            || {
                let error = push.send("one too many").unwrap_err();
                assert_eq!(error.kind(), SendErrorKind::Terminated);
                assert_eq!(error.into_message(), "one too many");
            },
            || context.shutdown(),
        );
    }
}

#[test]
fn every_later_call() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        push.send("unread").unwrap();
        until("it has come", || pull.peers()[0].recv_queue_len == 1 || transport == Transport::Inproc);
        context.shutdown();
        assert_eq!(pull.recv().unwrap_err(), RecvError::Terminated, "{transport}");
        assert_eq!(pull.try_recv().unwrap_err(), RecvError::Terminated);
        assert_eq!(pull.recv_timeout(Duration::from_millis(1)).unwrap_err(), RecvError::Terminated);
        assert_eq!(push.send("x").unwrap_err().kind(), SendErrorKind::Terminated);
        assert_eq!(push.try_send("x").unwrap_err().kind(), SendErrorKind::Terminated);
        assert!(pull.bind(&transport.endpoint()).is_err());
        assert!(push.connect(&transport.future_endpoint()).is_err());
        assert!(matches!(context.socket::<Push>(), Err(SocketError::Terminated)));
    }
}

#[test]
fn what_was_sent_before_still_goes_out() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let receiving = Context::new();
        let pull = receiving.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let sending = Context::new();
        let push = sending.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        for index in 0..1000_u64 {
            push.send(&index.to_be_bytes()).unwrap();
        }
        sending.shutdown();
        push.close();
        for expected in 0..1000 {
            assert_eq!(support::number(&recv(&pull)), expected, "{transport}");
        }
        sending.term();
    }
}

#[test]
fn termination_waits_until_others_drop_their_sockets() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let is_dropped = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let pull = pull;
            assert_eq!(pull.recv().unwrap_err(), RecvError::Terminated);
            thread::sleep(Duration::from_millis(200));
            is_dropped.store(1, Ordering::SeqCst);
            drop(pull);
        });
        thread::sleep(Duration::from_millis(50));
        context.term();
        assert_eq!(is_dropped.load(Ordering::SeqCst), 1, "it did not wait");
    });
    assert_eq!(context.sockets(), 0);
    // Once more does nothing.
    context.term();
    context.shutdown();
}

#[test]
fn the_last_handle_may_be_a_sockets() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Tcp);
    drop(context);
    push.send("still works").unwrap();
    assert_eq!(recv(&pull), "still works");
    let another = pull.context().socket::<Pull>().unwrap();
    drop((pull, push));
    assert_eq!(another.recv_timeout(Duration::from_millis(10)).unwrap_err(), RecvError::TimedOut);
}

#[test]
fn monitors_end_with_their_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let monitor = pull.monitor();
    while_waiting(
        || while monitor.recv().is_ok() {},
        || {
            pull.bind("tcp://127.0.0.1:*").unwrap();
            drop(pull);
        },
    );
    assert_eq!(monitor.recv().unwrap_err(), RecvError::Terminated);
    assert_eq!(monitor.try_recv().unwrap_err(), RecvError::Terminated);
}

#[test]
fn many_times_at_any_moment() {
    let _bounded = watchdog(LIMIT);
    for round in 0..200 {
        let context = Context::new();
        let transport = Transport::ALL[round % 3];
        let pull = context.socket::<Pull>().unwrap();
        // The receiver goes first, so that nobody takes what is left.
        let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
        support::connect(&pull, &push, transport);
        thread::scope(|scope| {
            scope.spawn(|| while pull.recv().is_ok() {});
            scope.spawn(|| while push.send("x").is_ok() {});
            thread::sleep(Duration::from_micros(round as u64 * 13 % 1500));
            context.shutdown();
        });
        drop((pull, push));
    }
}

#[test]
fn the_end_can_be_awaited() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let mut given_up = pin!(context.term_async());
    assert!(given_up.as_mut().poll(&mut task::Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(pull.try_recv().unwrap_err(), RecvError::Terminated);
    let ending = context.term_async();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(ending));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished(), "a socket is open");
        drop(pull);
        waiting.join().unwrap();
    });
    block_on(context.term_async());
    assert_eq!(context.sockets(), 0);
}
