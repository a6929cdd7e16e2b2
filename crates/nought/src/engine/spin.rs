//! How long to poll before sleeping, learned from how the last waits went.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest poll before sleeping, by default: about what it costs to be woken, twice. A wait that ends within it
/// is cheaper polled than slept.
pub(crate) const LIMIT_DEFAULT: Duration = Duration::from_micros(50);

/// A sleep that was this short would have been no longer than a poll: most of it was the wake-up.
const SHORT_SLEEP: Duration = Duration::from_micros(150);

/// Polls in a row that may fail before polling stops.
const CREDIT_MAX: u32 = 8;

/// After polling has stopped, one wait out of this many is polled to see whether it pays again.
const PROBE_INTERVAL: u32 = 64;

/// A poll that lasts longer is most likely waiting for somebody who has no processor.
const SHARE_AFTER: Duration = Duration::from_micros(15);

/// Gives others this processor for a moment, in a poll that has lasted so long: the one that is waited for may
/// have been woken here, and must not have to wait until we sleep. Not at each look: a round trip takes half as long
/// again if both ends are on one processor all the time, and the scheduler parts them only if both seem busy.
pub(crate) fn let_others_run(lasted: Duration) {
    if lasted >= SHARE_AFTER {
        thread::yield_now();
    }
}

/// What a socket knows about its waits.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    credit: u32,
    waits: u32,
}

impl Spin {
    pub(crate) fn new(limit: Duration) -> Self {
        // On one processor nothing can arrive while this thread polls.
        let limit = if processors() > 1 { limit } else { Duration::ZERO };
        Self { limit, credit: CREDIT_MAX / 2, waits: 0 }
    }

    /// How long to poll now; zero: not at all.
    pub(crate) fn budget(&mut self) -> Duration {
        self.waits = self.waits.wrapping_add(1);
        if self.credit > 0 || self.waits.is_multiple_of(PROBE_INTERVAL) { self.limit } else { Duration::ZERO }
    }

    /// The longest poll.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn paid(&mut self) {
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    pub(crate) fn failed(&mut self) {
        self.credit = self.credit.saturating_sub(1);
    }

    /// Notes how long the sleep was that followed.
    pub(crate) fn slept(&mut self, since: Instant) {
        if since.elapsed() < SHORT_SLEEP {
            self.paid();
        }
    }
}

/// How many processors there are. Threads that come at the same time each look, and none waits for another, which a child
/// that was forked meanwhile would do for ever.
fn processors() -> usize {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    match FOUND.load(Ordering::Relaxed) {
        0 => {
            let found = thread::available_parallelism().map_or(1, NonZero::get);
            FOUND.store(found, Ordering::Relaxed);
            found
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_stop_it_but_for_a_probe_now_and_then() {
        let mut spin = Spin { limit: LIMIT_DEFAULT, credit: CREDIT_MAX, waits: 0 };
        let polled = (0..1000)
            .filter(|_| {
                !spin.budget().is_zero() && {
                    spin.failed();
                    true
                }
            })
            .count();
        assert!(polled <= (CREDIT_MAX + 1000 / PROBE_INTERVAL) as usize, "{polled}");
    }

    #[test]
    fn short_waits_bring_it_back() {
        let mut spin = Spin { limit: LIMIT_DEFAULT, credit: 0, waits: 1 };
        assert!(spin.budget().is_zero());
        // It has not even begun, however long this thread is kept from running.
        spin.slept(Instant::now() + Duration::from_secs(60));
        assert!(!spin.budget().is_zero());
    }
}
