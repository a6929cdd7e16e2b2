//! Real threads at one lock.
#![cfg(not(loom))]

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nought_lock::{BiasedLock, BriefLock};

const ROUNDS: u64 = 200_000;

#[test]
fn nothing_that_is_counted_under_it_is_lost() {
    let lock = BiasedLock::new((0_u64, 0_u64));
    let add = |times: u64, pause: bool| {
        for round in 0..times {
            let mut sums = lock.lock();
            assert_eq!(sums.0, sums.1);
            sums.0 += 1;
            sums.1 += 1;
            drop(sums);
            if pause && round % 8 == 0 {
                thread::sleep(Duration::from_micros(20));
            }
        }
    };
    thread::scope(|scope| {
        // One in a loop, which owns it; one that comes now and then; one that comes in bursts.
        scope.spawn(|| add(ROUNDS, false));
        scope.spawn(|| add(ROUNDS / 100, true));
        scope.spawn(|| (0..20).for_each(|_| add(ROUNDS / 20, false)));
    });
    assert_eq!(lock.lock().0, 2 * ROUNDS + ROUNDS / 100);
}

#[test]
fn an_owner_that_stays_inside_is_waited_for_and_not_by_who_only_tries() {
    let lock = BiasedLock::new(0);
    for _ in 0..1000 {
        *lock.lock() += 1;
    }
    let mut value = lock.lock();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(lock.try_lock().is_none());
            tell.send("tried").unwrap();
            *lock.lock() += 1;
            tell.send("entered").unwrap();
        });
        assert_eq!(told.recv(), Ok("tried"));
        *value += 1;
        assert!(told.try_recv().is_err());
        drop(value);
        assert_eq!(told.recv(), Ok("entered"));
    });
    assert_eq!(*lock.lock(), 1002);
}

#[test]
fn a_panic_inside_lets_others_in() {
    let lock = BiasedLock::new(0);
    for _ in 0..1000 {
        *lock.lock() += 1;
    }
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _value = lock.lock();
        std::panic::resume_unwind(Box::new("expected"));
    }));
    assert!(panicked.is_err());
    thread::scope(|scope| scope.spawn(|| *lock.lock() += 1).join().unwrap());
    assert_eq!(*lock.lock(), 1001);
}

#[test]
fn a_thread_that_was_unparked_before_it_waits_here_parks_no_more_than_it_would_have() {
    let lock = BiasedLock::new(0);
    for _ in 0..1000 {
        *lock.lock() += 1;
    }
    let value = lock.lock();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            // A task's waker, for one, that a thread told which is about to park.
            thread::current().unpark();
            tell.send(()).unwrap();
            *lock.lock() += 1;
            let parked_at = Instant::now();
            thread::park_timeout(Duration::from_secs(20));
            parked_at.elapsed() < Duration::from_secs(10)
        });
        told.recv().unwrap();
        // Long enough that it sleeps. If it does not, the test shows nothing, and does not fail.
        thread::sleep(Duration::from_millis(100));
        drop(value);
        assert!(waiting.join().unwrap(), "the lock took what the thread was told");
    });
}

#[test]
fn a_brief_lock_that_is_held_for_long_lets_others_in_when_it_is_left() {
    let lock = BriefLock::new(0);
    let mut value = lock.lock();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (lock, tell) = (&lock, tell.clone());
            scope.spawn(move || {
                tell.send("comes").unwrap();
                *lock.lock() += 1;
                tell.send("entered").unwrap();
            });
        }
        (0..3).for_each(|_| assert_eq!(told.recv(), Ok("comes")));
        // Long enough that they sleep. If they do not, the test shows less, and does not fail.
        thread::sleep(Duration::from_millis(100));
        *value += 1;
        assert!(told.try_recv().is_err());
        drop(value);
        (0..3).for_each(|_| assert_eq!(told.recv(), Ok("entered")));
    });
    assert_eq!(*lock.lock(), 4);
}

#[test]
fn nothing_that_is_counted_under_a_brief_lock_is_lost() {
    let lock = BriefLock::new((0_u64, 0_u64));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut sums = lock.lock();
                    assert_eq!(sums.0, sums.1);
                    sums.0 += 1;
                    sums.1 += 1;
                }
            });
        }
    });
    assert_eq!(lock.lock().0, 3 * ROUNDS);
}

#[test]
fn a_panic_inside_a_brief_lock_lets_others_in() {
    let lock = BriefLock::new(0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _value = lock.lock();
        std::panic::resume_unwind(Box::new("expected"));
    }));
    assert!(panicked.is_err());
    *lock.lock() += 1;
    assert_eq!(*lock.lock(), 1);
}
