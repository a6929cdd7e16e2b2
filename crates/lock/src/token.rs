//! Tokens: what tells a thread from all others that there ever were.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// Nobody's token.
pub(crate) const NOBODY: u64 = 0;

/// Stands for the token of a thread that has none yet. No token is as large.
const UNKNOWN: u64 = u64::MAX;

#[cfg(not(loom))]
thread_local! {
    static TOKEN: Cell<u64> = const { Cell::new(UNKNOWN) };
}

#[cfg(loom)]
loom::thread_local! {
    static TOKEN: Cell<u64> = Cell::new(UNKNOWN);
}

/// This thread's token, or one that is nobody's at all.
#[inline]
pub(crate) fn known() -> u64 {
    TOKEN.with(Cell::get)
}

/// This thread's token, made if need be.
pub(crate) fn of_this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
    TOKEN.with(|token| {
        if token.get() == UNKNOWN {
            token.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        token.get()
    })
}
