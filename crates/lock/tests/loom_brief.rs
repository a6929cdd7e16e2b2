//! Every order in which threads can meet at a brief lock, by the model checker:
//! `RUSTFLAGS='--cfg loom' cargo test --release -p nought-lock --test loom_brief`.
#![cfg(loom)]

use loom::{cell::Cell, sync::Arc, thread};
use nought_lock::BriefLock;

/// A value that the model checker watches: it fails if two threads are at it at once, or one does not see what the other
/// did, and if somebody sleeps for ever.
fn add_in_threads(threads: u32, times: u32) {
    let lock = Arc::new(BriefLock::new(Cell::new(0)));
    let add = move |lock: &BriefLock<Cell<u32>>| {
        for _ in 0..times {
            let value = lock.lock();
            value.set(value.get() + 1);
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || add(&lock))
        })
        .collect();
    add(&lock);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(lock.lock().get(), threads * times);
}

#[test]
fn two_in_turns() {
    loom::model(|| add_in_threads(2, 2));
}

#[test]
fn three_at_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| add_in_threads(3, 1));
}
