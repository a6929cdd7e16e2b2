//! Every order in which threads can meet at a lock for moments, by the model checker:
//! `RUSTFLAGS='--cfg loom' cargo test --release -p nought-lock --test loom_brief`.
#![cfg(loom)]

use loom::{cell::Cell, sync::Arc, thread};
use nought_lock::BriefLock;

fn add_one(lock: &BriefLock<Cell<u32>>) {
    let value = lock.lock();
    value.set(value.get() + 1);
}

/// The model checker fails if two are at the value at once, or one does not see what the other did. A third would make no
/// end of it: of two that wait and look, each may always have its turn before the one that holds the lock.
#[test]
fn two_that_come_twice() {
    loom::model(|| {
        let lock = Arc::new(BriefLock::new(Cell::new(0)));
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || (0..2).for_each(|_| add_one(&lock))
        });
        (0..2).for_each(|_| add_one(&lock));
        other.join().unwrap();
        assert_eq!(lock.lock().get(), 4);
    });
}
