//! Waiting: a caller claims its socket, polls for a little while, then sleeps in the socket's own poller.
//!
//! While a socket is claimed, the driver does not watch it: the kernel wakes the caller and nobody else. The caller
//! keeps the claim when it leaves, because it will be back soon; the driver's tick takes it back from one that stays
//! away. Of several callers one is the leader, in the poller; the others wait until it or anyone else tells them.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    Core, Guard, State,
    poller::event_buffer,
    spin,
    waiters::{Awaited, Interest, Leader, has_come},
};

/// Polls of the only link between two looks at everything else.
const POLLS_PER_COLLECT: u32 = 16;

/// How a wait without result ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    TimedOut,
    Terminated,
    /// A signal was handled, and the socket's option says that this ends a call.
    Interrupted,
}

/// How a wait for something to happen ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// A look, before any sleep, has found what is waited for, or something else to do.
    ByLook,
    /// By something that may be what is waited for, or by nothing.
    AsUsual,
    /// By a signal that this thread has handled.
    BySignal,
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Forever,
}

impl Patience {
    /// Counts from now; `None`: for ever.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Forever,
            Some(Duration::ZERO) => Self::None,
            Some(timeout) => Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Until),
        }
    }

    /// The same, but no longer than until then.
    pub(super) fn at_most(self, then: Instant) -> Self {
        match self {
            Self::None => Self::None,
            Self::Until(deadline) => Self::Until(deadline.min(then)),
            Self::Forever => Self::Until(then),
        }
    }

    pub(crate) fn is_over(self, now: Instant) -> bool {
        match self {
            Self::None => true,
            Self::Until(deadline) => now >= deadline,
            Self::Forever => false,
        }
    }

    pub(crate) fn remaining(self, now: Instant) -> Option<Duration> {
        match self {
            Self::None => Some(Duration::ZERO),
            Self::Until(deadline) => Some(deadline.saturating_duration_since(now)),
            Self::Forever => None,
        }
    }
}

impl Core {
    /// Tries `attempt` until it gives something, driving the socket in between.
    pub(crate) fn wait_for<'a, T>(
        &'a self,
        state: Guard<'a>,
        interest: Interest,
        patience: Patience,
        mut attempt: impl FnMut(&mut State) -> Option<T>,
    ) -> (Guard<'a>, Result<T, Ended>) {
        let mut now = Instant::now();
        let mut state = self.pump_before_waiting(state, now);
        state.machine.end_burst();
        if let Some(done) = attempt(&mut state) {
            return (self.settle_rest(state), Ok(done));
        }
        let mut claimed = false;
        loop {
            let awaited = interest.since_now(&state);
            let ended = if state.terminated {
                Some(Ended::Terminated)
            } else if patience.is_over(now) {
                Some(Ended::TimedOut)
            } else {
                None
            };
            if let Some(ended) = ended {
                self.leave(&mut state, claimed);
                self.reset_descriptor(&mut state);
                return (self.settle_rest(state), Err(ended));
            }
            if !std::mem::replace(&mut claimed, true) {
                self.enter(&mut state);
            }
            // What the attempt that failed has found out is settled with it.
            state = self.write_before_waiting(state);
            let woken;
            (state, woken) = self.wait_once(state, awaited, patience, now);
            // A look that leaves nothing to do has found it: to ask the kernel again would only delay the caller.
            let is_ready = woken == Woken::ByLook && !state.has_unfinished();
            let mut done = if is_ready { attempt(&mut state) } else { None };
            if done.is_none() {
                now = Instant::now();
                state = self.pump(state, now);
                done = attempt(&mut state);
            }
            if let Some(done) = done {
                self.leave(&mut state, claimed);
                return (self.settle_rest(state), Ok(done));
            }
            if woken == Woken::BySignal && state.options.interruptible {
                self.leave(&mut state, claimed);
                return (self.settle_rest(state), Err(Ended::Interrupted));
            }
        }
    }

    /// Waits until something has happened that may be what is waited for.
    fn wait_once<'a>(
        &'a self,
        mut state: Guard<'a>,
        awaited: Awaited,
        patience: Patience,
        now: Instant,
    ) -> (Guard<'a>, Woken) {
        if state.waiters.leader.is_some() {
            return (self.follow(state, awaited, patience.remaining(now)), Woken::AsUsual);
        }
        state.waiters.leader = Some(Leader { awaited, asleep: false });
        *state.waiters.count(awaited.interest()) += 1;
        let budget = state.spin.budget().min(patience.remaining(now).unwrap_or(Duration::MAX));
        let mut woken = Woken::AsUsual;
        if !budget.is_zero() {
            (state, woken) = self.poll_for(state, awaited, now, budget);
        }
        if woken != Woken::ByLook {
            let slept_at = if budget.is_zero() { now } else { Instant::now() };
            (state, woken) = self.sleep(state, awaited, patience.remaining(slept_at));
            state.spin.slept(slept_at);
        }
        state.waiters.leader = None;
        *state.waiters.count(awaited.interest()) -= 1;
        if state.waiters.receiving + state.waiters.sending > 0 {
            // One of those who followed leads now.
            self.followers.tell_one();
        }
        (state, woken)
    }

    /// Polls for at most `budget`. Others get at the socket between two looks.
    fn poll_for<'a>(
        &'a self,
        mut state: Guard<'a>,
        awaited: Awaited,
        since: Instant,
        budget: Duration,
    ) -> (Guard<'a>, Woken) {
        // Everything has been looked at just now.
        let mut polls = 1_u32;
        let mut now = since;
        loop {
            let mut seen = self.look(&mut state, awaited, polls, now);
            if !seen && state.unsettled {
                // What this look brought may be what others wait for, or a timer's business.
                state = self.settle(state);
                seen = has_come(&mut state.machine, awaited);
            }
            if seen || state.terminated {
                state.spin.paid();
                return (state, Woken::ByLook);
            }
            if now.saturating_duration_since(since) >= budget {
                state.spin.failed();
                return (state, Woken::AsUsual);
            }
            polls += 1;
            drop(state);
            // The clock comes first: mail that is found is not kept waiting by it.
            now = Instant::now();
            if self.mail.stays_empty() {
                spin::let_others_run(now.saturating_duration_since(since));
            }
            state = self.lock();
        }
    }

    /// One look at the cheapest place where something may have come.
    pub(super) fn look(&self, state: &mut State, awaited: Awaited, polls: u32, now: Instant) -> bool {
        self.take_mail_in_poll(state);
        let only_link =
            awaited == Awaited::Message && !polls.is_multiple_of(POLLS_PER_COLLECT) && self.poll_only_link(state, now);
        if !only_link && (!state.links.is_empty() || state.endpoints.any()) {
            self.collect(state, now);
            self.read_ready(state, now);
        }
        has_come(&mut state.machine, awaited) || !state.unblocked.is_empty() || state.machine.wants_attention()
    }

    /// Sleeps in the poller, as the leader.
    fn sleep<'a>(&'a self, mut state: Guard<'a>, awaited: Awaited, timeout: Option<Duration>) -> (Guard<'a>, Woken) {
        let mut woken = Woken::AsUsual;
        state = self.settle_rest(state);
        self.mail.sleep();
        if self.is_quiet(&mut state, |machine| has_come(machine, awaited)) {
            let mut buffer = event_buffer();
            state.waiters.leader = Some(Leader { awaited, asleep: true });
            drop(state);
            let result = self.poller.wait(&mut buffer, timeout);
            state = self.lock();
            state.waiters.leader = Some(Leader { awaited, asleep: false });
            match result {
                Ok(events) => self.take_events(&mut state, events, Instant::now()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => woken = Woken::BySignal,
                Err(_) => {}
            }
        }
        if state.waiters.watching == 0 {
            self.mail.wake_up();
        }
        (state, woken)
    }

    /// Waits for the leader or anyone else to tell.
    fn follow<'a>(&'a self, mut state: Guard<'a>, awaited: Awaited, timeout: Option<Duration>) -> Guard<'a> {
        if has_come(&mut state.machine, awaited) || state.machine.wants_attention() {
            return state;
        }
        *state.waiters.count(awaited.interest()) += 1;
        state = self.wait_to_be_told(state, timeout);
        *state.waiters.count(awaited.interest()) -= 1;
        state
    }

    /// Claims the socket.
    pub(crate) fn enter(&self, state: &mut State) {
        state.waiters.inside += 1;
        self.claim(state);
    }

    fn claim(&self, state: &mut State) {
        if !std::mem::replace(&mut state.waiters.claimed, true) {
            self.driver().disarm(self);
        }
    }

    /// Claims the socket for a task that a runtime wakes. Such a task may never be polled again, so the driver's tick
    /// looks at it meanwhile.
    pub(super) fn enter_task(&self, state: &mut State) {
        state.waiters.tasks_inside += 1;
        self.stay(state);
    }

    /// A task that has claimed the socket is still there.
    pub(super) fn stay(&self, state: &mut State) {
        self.claim(state);
        state.waiters.touched = true;
        self.watch_claim(state);
    }

    /// Links are left to be read, of which the kernel tells no more, and the caller may never be back. It most likely will,
    /// so the driver goes on only if it stays away.
    pub(super) fn see_that_somebody_reads_on(&self, state: &mut State) {
        if !state.waiters.claimed {
            state.waiters.touched = true;
            self.watch_claim(state);
        }
    }

    /// Lets the driver's tick look at the claim.
    fn watch_claim(&self, state: &mut State) {
        if !std::mem::replace(&mut state.waiters.in_tick_list, true) {
            self.driver().tick_for(self.arc());
        }
    }

    /// Leaves the claim for the driver's tick to take back, unless this caller returns before.
    pub(crate) fn leave(&self, state: &mut State, claimed: bool) {
        if !claimed {
            return;
        }
        state.waiters.inside -= 1;
        if state.waiters.leader.is_none() && state.waiters.receiving + state.waiters.sending > 0 {
            // The one that was told may have found what it wanted without leading: somebody must.
            self.followers.tell_one();
        }
        self.note_leaving(state);
    }

    /// The same for a task that a runtime wakes.
    pub(super) fn leave_task(&self, state: &mut State) {
        state.waiters.tasks_inside -= 1;
        self.note_leaving(state);
    }

    fn note_leaving(&self, state: &mut State) {
        state.waiters.touched = true;
        if state.waiters.inside > 0 {
            return;
        }
        if state.waiters.has_tasks() && state.waiters.tasks_inside == 0 {
            // Nobody else can wake them.
            self.hand_back(state);
        } else {
            self.watch_claim(state);
        }
    }

    /// The driver's tick: takes the claim back if no caller was there since the last one. Says whether to look again
    /// at the next tick.
    pub(crate) fn tick(&self) -> bool {
        let mut state = self.lock();
        if state.waiters.inside > 0 {
            state.waiters.in_tick_list = false;
            return false;
        }
        if std::mem::take(&mut state.waiters.touched) {
            return true;
        }
        state.waiters.in_tick_list = false;
        self.hand_back(&mut state);
        false
    }

    /// Gives the socket to the driver at once.
    pub(crate) fn hand_back(&self, state: &mut State) {
        if std::mem::take(&mut state.waiters.claimed) {
            self.driver().arm(self);
        }
        self.go_on_reading(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_shortened_and_never_lengthened() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(Patience::Forever.at_most(now), Patience::Until(now));
        assert_eq!(Patience::Until(later).at_most(now), Patience::Until(now));
        assert_eq!(Patience::Until(now).at_most(later), Patience::Until(now));
        assert_eq!(Patience::None.at_most(later), Patience::None);
    }
}
