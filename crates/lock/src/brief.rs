//! A lock for moments.

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::atomic::Ordering,
};

use crate::sync::{self, AtomicBool};

/// A mutual exclusion lock for a `T` that is never held for longer than a moment, and by few threads: it costs one locked
/// instruction, and not two. Letting it go is a plain store, which cannot know of those who wait; so these look for a
/// while, and then again and again after a short sleep.
///
/// It does not poison: a panic while it is held leaves the value as it then is. A thread that takes it twice waits for
/// itself for ever.
// In this order, so that what comes first in the value is on the cache line that comes with the lock.
#[repr(C)]
pub struct BriefLock<T> {
    is_held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock owns its value, and moves to another thread with it.
unsafe impl<T: Send> Send for BriefLock<T> {}
// SAFETY: a shared lock gives out the value to one thread at a time, as proven at `BriefGuard`; it never gives out two
// shared references at once, so `T` need not be `Sync`.
unsafe impl<T: Send> Sync for BriefLock<T> {}

/// Access to the value of a [`BriefLock`], until it is dropped.
///
/// Of all guards of a lock only one exists at a time: it is made by whoever changes `is_held` from false to true, in one
/// atomic step, and nothing but its end changes it back. What one of them did to the value, the next one sees: the word is
/// cleared with `Release` and set with `Acquire`.
pub struct BriefGuard<'a, T> {
    lock: &'a BriefLock<T>,
    /// Not to be shared where `T` may not be.
    value: PhantomData<&'a mut T>,
}

impl<T> BriefLock<T> {
    /// A lock that nobody holds.
    pub fn new(value: T) -> Self {
        Self { is_held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, and waits for it.
    #[inline]
    pub fn lock(&self) -> BriefGuard<'_, T> {
        if !self.try_take() {
            self.await_end();
        }
        BriefGuard { lock: self, value: PhantomData }
    }

    #[cold]
    fn await_end(&self) {
        while !self.try_take() {
            sync::await_false(&self.is_held);
        }
    }

    #[inline]
    fn try_take(&self) -> bool {
        self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
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
    }
}
