//! A socket's lock, and what must wait until it is let go: foreign code.

use std::{
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
};

use nought_lock::Guard as Locked;
use nought_proto::{Socket, connection::Waste};

use super::{State, inquiry::Inquiry};

/// Holds a socket's lock. Wakers are an executor's code: it may poll the task there and then, or drop it, and either
/// locks the socket. And the end of a message's body is the code of whoever brought its memory. So the wakers that were
/// told under the lock ([`AfterUnlock`]), and the bodies that the machine has dropped under it ([`Waste`]), have their
/// turn when the guard has let go of it, wherever that happens.
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

/// What waits for the lock's end.
#[derive(Default)]
pub(crate) struct AfterUnlock {
    farewells: Vec<Farewell>,
    waste: Waste,
}

enum Farewell {
    Wake(Waker),
    /// Dropping the last waker of a task may drop the task.
    Drop(Waker),
    /// An inquiry may hold messages of the authenticator's.
    Forget(Arc<Inquiry>),
    /// The machine of a socket that is closed may hold messages that nobody has received.
    Bury(Box<Socket>),
}

impl<'a> Guard<'a> {
    #[inline]
    pub(super) fn new(locked: Locked<'a, State>) -> Self {
        Self { locked, after_unlock: Deferred(None) }
    }
}

impl State {
    /// Whether foreign code waits for the lock's end.
    #[inline]
    pub(super) fn has_deferred(&self) -> bool {
        !self.waiters.after_unlock.farewells.is_empty() || self.machine.has_waste()
    }

    #[cold]
    fn take_after_unlock(&mut self) -> Box<AfterUnlock> {
        let farewells = std::mem::take(&mut self.waiters.after_unlock.farewells);
        let waste = self.machine.take_waste();
        Box::new(AfterUnlock { farewells, waste })
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
        if self.has_deferred() {
            self.after_unlock = Deferred(Some(self.locked.take_after_unlock()));
        }
    }
}

impl AfterUnlock {
    pub(crate) fn wake(&mut self, waker: Waker) {
        self.farewells.push(Farewell::Wake(waker));
    }

    pub(super) fn forget(&mut self, inquiry: Arc<Inquiry>) {
        self.farewells.push(Farewell::Forget(inquiry));
    }

    pub(super) fn bury(&mut self, machine: Socket) {
        self.farewells.push(Farewell::Bury(Box::new(machine)));
    }

    pub(crate) fn discard(&mut self, waker: Waker) {
        self.farewells.push(Farewell::Drop(waker));
    }
}

impl Drop for AfterUnlock {
    fn drop(&mut self) {
        self.farewells.drain(..).for_each(|farewell| {
            run_foreign(|| match farewell {
                Farewell::Wake(waker) => waker.wake(),
                Farewell::Drop(waker) => drop(waker),
                Farewell::Forget(inquiry) => drop(inquiry),
                Farewell::Bury(machine) => drop(machine),
            });
        });
        std::mem::take(&mut self.waste).into_bodies().for_each(|body| run_foreign(|| drop(body)));
    }
}

/// What panics, which the panic hook has told, must not cost another task its wake-up.
fn run_foreign(foreign: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(foreign));
}
