//! A peer that sends without end leaves the others their turn, whatever transports they came by.

mod support;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Pull, Push, Socket};
use support::{PATIENCE, SetAtEnd, Transport, recv, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

fn connected_push(context: &Context, pull: &Socket<Pull>, transport: Transport) -> Socket<Push> {
    let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    support::connect(pull, &push, transport);
    push
}

fn other_is_heard_beside_busy(busy: Transport, other: Transport) {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let flooding = connected_push(&context, &pull, busy);
    let speaking = connected_push(&context, &pull, other);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = SetAtEnd(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = flooding.send_timeout("flood", Duration::from_millis(100));
            }
        });
        for _ in 0..10_000 {
            recv(&pull);
        }
        for round in 0..20 {
            speaking.send("speech").unwrap();
            let start = Instant::now();
            while recv(&pull) != "speech" {
                assert!(start.elapsed() < PATIENCE, "{busy} drowns {other}, round {round}");
            }
        }
    });
}

#[test]
fn whatever_the_transports() {
    let _bounded = watchdog(LIMIT);
    for busy in Transport::ALL {
        for other in Transport::ALL {
            other_is_heard_beside_busy(busy, other);
        }
    }
}

/// When each of them runs is the scheduler's affair; that each is heard while all the others flood is ours.
#[test]
fn many_busy_peers_are_all_heard() {
    const PEERS: usize = 4;
    const SHARE: usize = 5_000;
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let pushes: Vec<_> = (0..PEERS).map(|_| connected_push(&context, &pull, transport)).collect();
        let is_over = AtomicBool::new(false);
        let mut shares = [0; PEERS];
        thread::scope(|scope| {
            let _end = SetAtEnd(&is_over);
            for (index, push) in pushes.iter().enumerate() {
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let _ = push.send_timeout(&[index as u8], Duration::from_millis(100));
                    }
                });
            }
            while shares.iter().any(|&share| share < SHARE) {
                shares[usize::from(recv(&pull).as_slice()[0])] += 1;
            }
        });
    }
}
