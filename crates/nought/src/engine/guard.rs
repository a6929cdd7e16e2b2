//! A socket's lock, and what must wait until it is let go: foreign code.

use std::{
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

use nought_lock::Guard as Locked;

use super::State;

/// Holds a socket's lock. Wakers are an executor's code: it may poll the task there and then, or drop it, and either
/// locks the socket. So those that were told under the lock ([`AfterUnlock`]) run when the guard has let go of
/// it, wherever that happens.
pub(crate) struct Guard<'a> {
    // Dropped in this order.
    locked: Locked<'a, State>,
    after_unlock: Deferred,
}

/// Nearly always nothing, and then no more than a word that is zero: a guard is made for each message.
struct Deferred(Option<Box<AfterUnlock>>);

impl Drop for Deferred {
    #[inline]
    fn drop(&mut self) {
        if let Some(after_unlock) = self.0.take() {
            run(after_unlock);
        }
    }
}

#[cold]
fn run(after_unlock: Box<AfterUnlock>) {
    drop(after_unlock);
}

/// Wakers that wait for the lock's end.
#[derive(Default)]
pub(crate) struct AfterUnlock(Vec<Farewell>);

enum Farewell {
    Wake(Waker),
    /// Dropping the last waker of a task may drop the task.
    Drop(Waker),
}

impl<'a> Guard<'a> {
    #[inline]
    pub(super) fn new(locked: Locked<'a, State>) -> Self {
        Self { locked, after_unlock: Deferred(None) }
    }
}

impl Guard<'_> {
    /// Whether wakers wait for the lock's end.
    #[inline]
    pub(super) fn has_wakers(&self) -> bool {
        !self.locked.waiters.after_unlock.0.is_empty()
    }

    #[cold]
    fn take_after_unlock(&mut self) {
        self.after_unlock = Deferred(Some(Box::new(std::mem::take(&mut self.locked.waiters.after_unlock))));
    }
}

impl Deref for Guard<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.locked
    }
}

impl DerefMut for Guard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.locked
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.has_wakers() {
            self.take_after_unlock();
        }
    }
}

impl AfterUnlock {
    pub(crate) fn wake(&mut self, waker: Waker) {
        self.0.push(Farewell::Wake(waker));
    }

    pub(crate) fn discard(&mut self, waker: Waker) {
        self.0.push(Farewell::Drop(waker));
    }
}

impl Drop for AfterUnlock {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|farewell| {
            // One task's waker that panics, which the panic hook has told, must not cost another task its wake-up.
            let _ = catch_unwind(AssertUnwindSafe(|| match farewell {
                Farewell::Wake(waker) => waker.wake(),
                Farewell::Drop(waker) => drop(waker),
            }));
        });
    }
}
