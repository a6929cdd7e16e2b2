//! Tokens: what tells a thread from all others that there ever were.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::own::Own;

/// Nobody's token.
pub(crate) const NOBODY: u64 = 0;

/// Stands for the token of a thread that has none yet. No token is as large.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// This thread's token, or one that is nobody's at all.
#[inline]
pub(crate) fn known() -> u64 {
    Own::with(|own| own.token.get())
}

/// This thread's token, made if need be.
pub(crate) fn of_this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
    Own::with(|own| {
        if own.token.get() == UNKNOWN {
            own.token.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        own.token.get()
    })
}
