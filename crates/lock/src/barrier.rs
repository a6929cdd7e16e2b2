//! A barrier of two sides, of which one costs nothing.
//!
//! A thread that writes one thing and then reads another, while a second thread writes the other and then reads the
//! one, needs a full barrier in between, and so does the second, if at least one of them is to see what the other wrote.
//! Where one of the two comes a thousand times as often, the other can pay for both: Linux's `membarrier` makes every
//! running thread of the process pass a full barrier. For the frequent side it is enough then that the compiler keeps
//! the order. (membarrier(2), `MEMBARRIER_CMD_PRIVATE_EXPEDITED`.)

#[cfg(not(loom))]
mod imp {
    use std::{
        sync::atomic::{AtomicU8, Ordering, compiler_fence},
        thread,
        time::Duration,
    };

    use rustix::thread::{MembarrierCommand, membarrier};

    /// Long after this time no processor holds back a store any more.
    const STORES_ARE_SEEN: Duration = Duration::from_millis(10);

    /// Whether the process has registered.
    static IS_THERE: AtomicU8 = AtomicU8::new(UNKNOWN);

    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;

    /// The frequent side.
    #[inline]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The rare side.
    pub(crate) fn heavy() {
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // The process has forbidden itself the call since it was registered.
            thread::sleep(STORES_ARE_SEEN);
        }
    }

    /// Whether the system has this barrier.
    pub(crate) fn is_there() -> bool {
        match IS_THERE.load(Ordering::Relaxed) {
            UNKNOWN => register(),
            known => known == YES,
        }
    }

    /// Threads that come at the same time may each do it, and nobody waits for another; what the first has found holds for
    /// all.
    #[cold]
    fn register() -> bool {
        let is_there = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
        let found = if is_there { YES } else { NO };
        match IS_THERE.compare_exchange(UNKNOWN, found, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => is_there,
            Err(first) => first == YES,
        }
    }
}

/// What it means, for the model checker.
#[cfg(loom)]
mod imp {
    use loom::sync::atomic::{Ordering, fence};

    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn is_there() -> bool {
        true
    }
}

pub(crate) use imp::{heavy, is_there, light};
