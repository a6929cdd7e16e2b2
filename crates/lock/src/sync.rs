//! Mutexes, condition variables and atomics: the real ones, or those of the model checker.

#[cfg(not(loom))]
mod imp {
    use std::{hint, sync::atomic::Ordering, thread, time::Duration};

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock()
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock()
    }

    /// Looks at a lock that is held for moments, before whoever holds it must be without a processor.
    const LOOKS_MAX: u32 = 100;

    /// As long as a holder needs to come back to its processor, or to leave.
    const NAP: Duration = Duration::from_micros(50);

    /// Returns when the flag is false: looks for a while, and then again and again after a short sleep.
    pub(crate) fn await_false(flag: &AtomicBool) {
        for _ in 0..LOOKS_MAX {
            if !flag.load(Ordering::Relaxed) {
                return;
            }
            hint::spin_loop();
        }
        while flag.load(Ordering::Relaxed) {
            thread::sleep(NAP);
        }
    }

    /// May return without having been notified.
    pub(crate) fn wait<'a, T>(condvar: &Condvar, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    };

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock().ok()
    }

    /// Lets the others run. It does not look: a look may see for ever what was once.
    pub(crate) fn await_false(_flag: &AtomicBool) {
        loom::thread::yield_now();
    }

    pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap()
    }
}

pub(crate) use imp::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, await_false, lock, try_lock, wait,
};
