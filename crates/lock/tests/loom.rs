//! Every order in which threads can meet at a lock, by the model checker:
//! `RUSTFLAGS='--cfg loom' cargo test --release -p nought-lock --test loom`.
#![cfg(loom)]

use loom::{cell::Cell, sync::Arc, thread};
use nought_lock::BiasedLock;

/// A value that the model checker watches: it fails if two threads are at it at once, or one does not see what the other
/// did.
fn watched() -> Arc<BiasedLock<Cell<u32>>> {
    Arc::new(BiasedLock::new(Cell::new(0)))
}

fn add_one(lock: &BiasedLock<Cell<u32>>) {
    let value = lock.lock();
    value.set(value.get() + 1);
}

fn try_add_one(lock: &BiasedLock<Cell<u32>>) -> u32 {
    let Some(value) = lock.try_lock() else { return 0 };
    value.set(value.get() + 1);
    1
}

#[test]
fn an_owner_and_another() {
    loom::model(|| {
        let lock = watched();
        // It owns the lock from here on.
        add_one(&lock);
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || add_one(&lock)
        });
        add_one(&lock);
        add_one(&lock);
        other.join().unwrap();
        assert_eq!(lock.lock().get(), 4);
    });
}

#[test]
fn ownership_that_goes_to_and_fro() {
    loom::model(|| {
        let lock = watched();
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                add_one(&lock);
                add_one(&lock);
            }
        });
        add_one(&lock);
        add_one(&lock);
        other.join().unwrap();
        assert_eq!(lock.lock().get(), 4);
    });
}

#[test]
fn an_owner_and_one_who_does_not_wait() {
    loom::model(|| {
        let lock = watched();
        add_one(&lock);
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || try_add_one(&lock)
        });
        add_one(&lock);
        add_one(&lock);
        let added = other.join().unwrap();
        assert_eq!(lock.lock().get(), 3 + added);
    });
}
