//! What a thread notes of itself, all of it in one variable: a call that passes a gate and takes a lock finds it once.

use std::cell::Cell;

use crate::{place::Place, token};

/// A thread's notes. They have no end, so that they are read without asking whether they are still there.
pub(crate) struct Own {
    /// Its token, if it has one.
    pub(crate) token: Cell<u64>,
    /// Its place, while it has one.
    pub(crate) place: Cell<Option<&'static Place>>,
}

#[cfg(not(loom))]
thread_local! {
    static OWN: Own = const { Own::new() };
}

#[cfg(loom)]
loom::thread_local! {
    static OWN: Own = Own::new();
}

impl Own {
    const fn new() -> Self {
        Self { token: Cell::new(token::UNKNOWN), place: Cell::new(None) }
    }

    /// Looks at this thread's.
    #[inline]
    pub(crate) fn with<T>(look: impl FnOnce(&Self) -> T) -> T {
        OWN.with(look)
    }

    /// When this thread is ending, and its place another's.
    pub(crate) fn forget_place() {
        // The model checker's variables have an end.
        let _ = OWN.try_with(|own| own.place.set(None));
    }
}
