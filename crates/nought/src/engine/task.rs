//! Waiting without a thread: a task that polls its socket, and is woken when it is worth polling again.
//!
//! On tokio (feature `tokio`) the socket's poller is registered with the runtime's own, so that the thread which runs
//! the task is also the one that the kernel wakes. On any other executor the driver watches the socket and wakes the
//! task.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Instant,
};

use super::{
    Core, Guard, State, spin,
    waiters::{Awaited, Interest, has_come},
};

/// Rounds of one poll that bring something, but not what is waited for, before the executor's other tasks have their turn.
const ROUNDS_PER_POLL: u32 = 16;

/// Looks of one poll that bring nothing, before the executor's other tasks have their turn. With one thread, tokio asks the
/// kernel at each turn, which takes as long as a look.
const LOOKS_PER_POLL: u32 = 2;

/// A task's wait for one socket. Dropping it ends the wait; nothing is lost by that, because a message is only ever
/// taken by a poll that returns it.
pub(crate) struct TaskWait<'c> {
    core: &'c Core,
    interest: Interest,
    /// Since the last attempt.
    awaited: Option<Awaited>,
    key: u64,
    registered: bool,
    registered_at: Option<Instant>,
    polls: u32,
    /// The runtime watches the socket for this task, and the driver does not.
    claimed: bool,
    polling_since: Option<Instant>,
}

/// The context or the socket is shut down.
pub(crate) struct Terminated;

impl<'c> TaskWait<'c> {
    pub(crate) fn new(core: &'c Core, interest: Interest) -> Self {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(0);
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        Self {
            core,
            interest,
            awaited: None,
            key,
            registered: false,
            registered_at: None,
            polls: 0,
            claimed: false,
            polling_since: None,
        }
    }

    /// Tries `attempt`, driving the socket before if that is needed, and sees to it that the task is woken if it gives
    /// nothing.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut State) -> Option<T>,
    ) -> Poll<Result<T, Terminated>> {
        for _ in 0..ROUNDS_PER_POLL {
            let mut state = self.core.lock();
            if state.terminated {
                return Poll::Ready(Err(Terminated));
            }
            state = self.drive(state);
            if let Some(done) = attempt(&mut state) {
                self.finish(state);
                return Poll::Ready(Ok(done));
            }
            let awaited = self.interest.since_now(&state);
            self.awaited = Some(awaited);
            state = self.core.write_before_waiting(state);
            if self.polls_again(&mut state) {
                drop(state);
                if let Some(since) = self.polling_since {
                    spin::let_others_run(since.elapsed());
                }
                if !self.polls.is_multiple_of(LOOKS_PER_POLL) {
                    continue;
                }
                break;
            }
            self.register(&mut state, context);
            if !self.core.is_quiet(&mut state, |machine| has_come(machine, awaited)) {
                continue;
            }
            drop(state);
            if !runtime::has_changed(self.core, self.key, context) {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// While it polls before sleeping, the cheap look; otherwise, everything.
    fn drive<'g>(&mut self, mut state: Guard<'g>) -> Guard<'g>
    where
        'c: 'g,
    {
        let now = Instant::now();
        let is_due = match self.awaited.filter(|_| !self.registered) {
            Some(awaited) => self.core.look(&mut state, awaited, self.polls, now) || state.unsettled,
            None => true,
        };
        if is_due {
            state = self.core.pump(state, now);
        }
        self.polls += 1;
        state
    }

    /// Whether to poll once more before sleeping. Between two polls the executor runs its other tasks.
    fn polls_again(&mut self, state: &mut State) -> bool {
        if self.registered {
            return false;
        }
        let now = Instant::now();
        let Some(since) = self.polling_since else {
            let budget = state.spin.budget();
            self.polling_since = Some(now);
            return !budget.is_zero();
        };
        // Waking a task goes through its executor's poller, and takes about twice as long as waking a thread.
        let goes_on = now.saturating_duration_since(since) < state.spin.limit().saturating_mul(2);
        if !goes_on {
            state.spin.failed();
        }
        goes_on
    }

    fn register(&mut self, state: &mut State, context: &Context<'_>) {
        state.waiters.set_waker(self.interest, self.key, context.waker());
        if !std::mem::replace(&mut self.registered, true) {
            self.registered_at = Some(Instant::now());
            state.waiters.watching += 1;
            self.core.mail.sleep();
            self.claimed = runtime::watches();
            if self.claimed {
                self.core.enter_task(state);
            }
        }
        if self.claimed {
            self.core.stay(state);
        } else if state.waiters.inside == 0 && state.waiters.tasks_inside == 0 {
            self.core.hand_back(state);
        }
        // Otherwise those inside drive the socket and tell this task; with the driver they would fight for each event.
    }

    fn finish(&mut self, mut state: Guard<'_>) {
        match self.registered_at {
            Some(since) => state.spin.slept(since),
            None if self.polling_since.is_some() => state.spin.paid(),
            None => {}
        }
        self.unregister(&mut state);
        drop(self.core.settle(state));
    }

    fn unregister(&mut self, state: &mut State) {
        if !std::mem::take(&mut self.registered) {
            return;
        }
        state.waiters.remove_waker(self.interest, self.key);
        state.waiters.watching -= 1;
        if state.waiters.watching == 0 && !state.waiters.has_leader() {
            self.core.mail.wake_up();
        }
        if self.claimed {
            self.core.leave_task(state);
        }
        if state.waiters.watcher.take_if(|watcher| *watcher == self.key).is_some() {
            // The runtime knows this task as the one to wake: another has to take its place.
            state.waiters.wake_tasks();
        }
    }
}

impl Drop for TaskWait<'_> {
    fn drop(&mut self) {
        if self.registered {
            let mut state = self.core.lock();
            self.unregister(&mut state);
        }
    }
}

/// tokio's part.
#[cfg(feature = "tokio")]
mod runtime {
    use std::{
        os::fd::{AsFd, OwnedFd},
        sync::Arc,
        task::{Context, Poll},
    };

    use tokio::{
        io::{Interest, unix::AsyncFd},
        runtime::{Handle, Id},
    };

    use super::Core;

    /// A socket's poller, registered with a runtime.
    #[derive(Clone)]
    pub(crate) struct Registration {
        runtime: Id,
        poller: Arc<AsyncFd<OwnedFd>>,
    }

    /// Whether the task runs on a runtime that can watch a socket.
    pub(super) fn watches() -> bool {
        Handle::try_current().is_ok()
    }

    /// Whether something has happened since the last call; if not, the runtime wakes the task when it does.
    pub(super) fn has_changed(core: &Core, key: u64, context: &mut Context<'_>) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let Some(registration) = registration(core, key, runtime.id()) else { return false };
        match registration.poller.poll_read_ready(context) {
            Poll::Pending => false,
            Poll::Ready(Ok(mut guard)) => {
                guard.clear_ready();
                true
            }
            // The runtime is ending.
            Poll::Ready(Err(_)) => false,
        }
    }

    /// The registration with this runtime. One with another, which may be idle or have ended, gives way: the task that
    /// asked last watches for all, and when it has finished, the others register again.
    fn registration(core: &Core, key: u64, runtime: Id) -> Option<Registration> {
        let mut state = core.lock();
        state.waiters.watcher = Some(key);
        let former = state.registration.take_if(|registration| registration.runtime != runtime);
        if state.registration.is_none() {
            state.registration = register(core, runtime);
        }
        if state.registration.is_none() {
            // No descriptor is left: the driver does it.
            core.hand_back(&mut state);
        }
        let registration = state.registration.clone();
        drop(state);
        // It holds a task's waker: an executor's code.
        drop(former);
        registration
    }

    #[expect(deprecated, reason = "sound for an owned descriptor; the successor needs an unsafe block to say so")]
    fn register(core: &Core, runtime: Id) -> Option<Registration> {
        let poller = core.poller.as_fd().try_clone_to_owned().ok()?;
        let poller = AsyncFd::with_interest(poller, Interest::READABLE).ok()?;
        Some(Registration { runtime, poller: Arc::new(poller) })
    }
}

#[cfg(not(feature = "tokio"))]
mod runtime {
    use std::task::Context;

    use super::Core;

    pub(super) fn watches() -> bool {
        false
    }

    pub(super) fn has_changed(_core: &Core, _key: u64, _context: &mut Context<'_>) -> bool {
        false
    }
}

#[cfg(feature = "tokio")]
pub(crate) use runtime::Registration;
