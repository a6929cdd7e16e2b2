//! Large messages are read to their end, whatever was read before and whoever waits.

mod support;

use std::{thread, time::Duration};

use nought::{Context, Pull, Push};
use support::{Transport, body, connect, number, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn the_tail_of_a_message_that_is_in_the_systems_buffers_already() {
    let _bounded = watchdog(LIMIT);
    for spin in [Duration::ZERO, Duration::from_micros(50)] {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().spin(spin).recv_hwm(1).build().unwrap();
        let push = context.socket::<Push>().unwrap();
        connect(&pull, &push, Transport::Tcp);
        // The system gives a connection that is busy buffers of megabytes.
        for index in 0..5 {
            push.send(body(index, 20 << 20)).unwrap();
        }
        for expected in 0..5 {
            assert_eq!(number(&recv(&pull)), expected);
        }
        for round in 0..3 {
            // The first fills the mark of one, so that nobody reads the second.
            push.send("first").unwrap();
            push.send(body(round, 5 << 20)).unwrap();
            until("the first has come", || pull.peers()[0].recv_queue_len == 1);
            until("the second is with the system", || push.peers()[0].send_queue_len == 0);
            assert_eq!(recv(&pull), "first");
            // Several turns of reading, and no event for them.
            assert_eq!(recv(&pull), body(round, 5 << 20));
        }
    }
}

#[test]
fn without_a_spinning_caller() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().spin(Duration::ZERO).build().unwrap();
        let push = context.socket_builder::<Push>().spin(Duration::ZERO).build().unwrap();
        connect(&pull, &push, transport);
        for len in [100_000, 300_000, 1 << 20, 20 << 20] {
            for index in 0..10 {
                push.send(body(index, len)).unwrap();
            }
            for expected in 0..10 {
                assert_eq!(recv(&pull), body(expected, len), "{transport}, {len} bytes");
            }
        }
    }
}

#[test]
fn many_frames_of_one_message() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().spin(Duration::ZERO).recv_hwm(1).build().unwrap();
        let push = context.socket::<Push>().unwrap();
        connect(&pull, &push, transport);
        for round in 0..3 {
            let frames: Vec<Vec<u8>> = (0..20_000).map(|index| body(index, 300)).collect();
            push.send(frames.clone()).unwrap();
            let message = recv(&pull);
            assert_eq!(message.len(), frames.len(), "{transport}, round {round}");
            assert!(message.frames().zip(&frames).all(|(frame, expected)| frame == expected));
        }
    }
}

#[test]
fn a_reader_among_callers_who_only_look() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().spin(Duration::ZERO).build().unwrap();
    let push = context.socket::<Push>().unwrap();
    connect(&pull, &push, Transport::Tcp);
    const COUNT: u64 = 40;
    thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0..COUNT {
                push.send(body(index, 10 << 20)).unwrap();
            }
        });
        let looking = scope.spawn(|| {
            // It takes the socket's events from under the one who sleeps, again and again.
            let mut seen = 0;
            while pull.stats().totals.messages_in < COUNT {
                seen += u64::from(pull.try_recv().is_ok());
                thread::sleep(Duration::from_micros(100));
            }
            push.send("the end").unwrap();
            seen
        });
        let mut received = 0;
        while recv(&pull) != "the end" {
            received += 1;
        }
        let seen = looking.join().unwrap();
        assert_eq!(received + seen, COUNT);
    });
}
