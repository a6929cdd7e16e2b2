//! Mutexes, atomics and threads: the real ones, or those of the model checker.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::{
        sync::atomic::{AtomicBool, AtomicU64},
        thread::{Thread, current, park},
    };

    pub(crate) use parking_lot::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock()
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock()
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::{
        sync::{
            Mutex, MutexGuard,
            atomic::{AtomicBool, AtomicU64},
        },
        thread::{Thread, current, park},
    };

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock().ok()
    }
}

pub(crate) use imp::{AtomicBool, AtomicU64, Mutex, MutexGuard, Thread, current, lock, park, try_lock};
