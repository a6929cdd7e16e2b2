//! A lock that is held for moments: taken by one locked instruction, and left by none.

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::atomic::{Ordering, fence},
};

use crate::{
    barrier,
    sync::{self, AtomicBool, Condvar, Mutex},
};

/// Looks at whether the holder has left, before sleeping until it says so.
const LOOKS_MAX: u32 = if cfg!(loom) { 0 } else { 24 };

/// The longest pause between two looks, in processor pauses. A look takes the lock's cache line from its holder, who comes
/// again and again while a stream goes on.
const PAUSE_MAX: u32 = 32;

/// A mutual exclusion lock for a `T` that two threads take in turns, again and again, and hold for next to no time.
///
/// A mutex is left by a locked instruction, by which its holder learns whether somebody sleeps. Here it looks after a
/// plain store, and whoever is about to sleep pays for both, which is rare: it has looked for longer than the lock is
/// held, unless the holder has lost its processor or has more to do than usual. Where the system has no barrier for that,
/// a fence takes its place, as in a mutex.
///
/// ```
/// use nought_lock::BriefLock;
///
/// let lock = BriefLock::new(0);
/// *lock.lock() += 1;
/// assert_eq!(*lock.lock(), 1);
/// ```
///
/// It does not poison: a panic while it is held leaves the value as it then is. A thread that takes it twice waits for
/// itself for ever.
// In an order that has the value begin beside what is changed with it.
#[repr(C)]
pub struct BriefLock<T> {
    is_held: AtomicBool,
    /// Whether somebody sleeps until the holder leaves, or is about to. Written with `sleep`.
    is_awaited: AtomicBool,
    /// Whether who sleeps pays for who leaves; where the system has no such barrier, each pays.
    has_barrier: bool,
    value: UnsafeCell<T>,
    sleep: Mutex<()>,
    holder_left: Condvar,
}

// SAFETY: the lock owns its value, and moves to another thread with it.
unsafe impl<T: Send> Send for BriefLock<T> {}
// SAFETY: a shared lock gives out the value to one thread at a time, as proven at `BriefGuard`; it never gives out two
// shared references at once, so `T` need not be `Sync`.
unsafe impl<T: Send> Sync for BriefLock<T> {}

/// Access to the value of a [`BriefLock`], until it is dropped.
///
/// Of all guards of a lock only one exists at a time: it is made by who changes `is_held` from `false` to `true`, and
/// nothing makes it `false` but the guard's end. What one holder did to the value, the next one sees: the end is a store
/// with `Release`, which the next one's exchange reads with `Acquire`.
///
/// Nobody sleeps for ever. Who is about to sleep sets `is_awaited` and then tries once more; who leaves clears `is_held`
/// and then looks at `is_awaited`. Between the two steps lies a barrier on either side (`barrier`, or a fence on each), so
/// that at least one of them sees what the other did. If it is the one who would sleep, it has the lock. If it is the one
/// who leaves, it wakes all who sleep, and each tries again. It takes the mutex to do so, which who is about to sleep holds
/// from before it sets `is_awaited` until it sleeps: so the wake-up comes to one who sleeps, and `is_awaited` is cleared for
/// nobody who does not hear of it.
pub struct BriefGuard<'a, T> {
    lock: &'a BriefLock<T>,
    /// Not to be shared by threads: `T` may not be.
    on_its_thread: PhantomData<*const ()>,
}

impl<T> BriefLock<T> {
    /// A lock that nobody holds.
    pub fn new(value: T) -> Self {
        Self {
            is_held: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
            has_barrier: barrier::is_there(),
            value: UnsafeCell::new(value),
            sleep: Mutex::new(()),
            holder_left: Condvar::new(),
        }
    }

    /// The value, of which nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the lock, and waits for it.
    #[inline]
    pub fn lock(&self) -> BriefGuard<'_, T> {
        if !self.try_hold() {
            self.wait();
        }
        BriefGuard { lock: self, on_its_thread: PhantomData }
    }

    #[inline]
    fn try_hold(&self) -> bool {
        self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Until it is held.
    #[cold]
    fn wait(&self) {
        for look in 0..LOOKS_MAX {
            (0..PAUSE_MAX.min(1 << look)).for_each(|_| std::hint::spin_loop());
            if self.try_hold() {
                return;
            }
        }
        let mut sleep = sync::lock(&self.sleep);
        loop {
            self.is_awaited.store(true, Ordering::Relaxed);
            if self.has_barrier {
                barrier::heavy()
            } else {
                fence(Ordering::SeqCst)
            }
            if self.try_hold() {
                return;
            }
            sleep = sync::wait(&self.holder_left, sleep);
        }
    }

    #[cold]
    fn wake_all(&self) {
        let sleep = sync::lock(&self.sleep);
        self.is_awaited.store(false, Ordering::Relaxed);
        drop(sleep);
        self.holder_left.notify_all();
    }
}

impl<T> Deref for BriefGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, as its type proves, and it is borrowed: there is no `&mut` of it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for BriefGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, as its type proves, and it is borrowed mutably: there is no other reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for BriefGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.is_held.store(false, Ordering::Release);
        if self.lock.has_barrier {
            barrier::light()
        } else {
            fence(Ordering::SeqCst)
        }
        if self.lock.is_awaited.load(Ordering::Relaxed) {
            self.lock.wake_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_sleeps_hears_of_the_end_without_the_barrier_too() {
        let lock = BriefLock { has_barrier: false, ..BriefLock::new(0) };
        let mut value = lock.lock();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| *lock.lock() += 1);
            }
            while !lock.is_awaited.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            *value += 1;
            drop(value);
        });
        assert_eq!(*lock.lock(), 3);
    }
}
