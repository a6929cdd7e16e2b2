//! Callers that wait on a socket which another of them, its leader, drives.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Core, Guard};

/// Where followers sleep. The lock of their socket is no mutex that a condition variable could let go of, so what they
/// are told is counted here.
#[derive(Default)]
pub(crate) struct Followers {
    told: Mutex<u64>,
    condition: Condvar,
}

impl Followers {
    pub(super) fn tell_one(&self) {
        *self.told.lock() += 1;
        self.condition.notify_one();
    }

    pub(super) fn tell_all(&self) {
        *self.told.lock() += 1;
        self.condition.notify_all();
    }
}

impl Core {
    /// Lets go of the socket until somebody tells its followers, at most for `timeout`. Not at all if foreign code has
    /// waited for that: it runs now, and the caller looks again.
    pub(super) fn wait_to_be_told<'a>(&'a self, state: Guard<'a>, timeout: Option<Duration>) -> Guard<'a> {
        if state.has_deferred() {
            drop(state);
            return self.lock();
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut told = self.followers.told.lock();
        let before = *told;
        // Whoever tells holds the socket's lock, and so comes before this look at the count or finds a sleeper.
        drop(state);
        while *told == before {
            match deadline {
                None => self.followers.condition.wait(&mut told),
                Some(deadline) if self.followers.condition.wait_until(&mut told, deadline).timed_out() => break,
                Some(_) => {}
            }
        }
        drop(told);
        self.lock()
    }
}
