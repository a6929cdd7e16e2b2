//! Sends that do not wait, and follow each other without a pause, where they meet high-water marks together: see
//! [`bursts_meet_hwm`](crate::SocketBuilder::bursts_meet_hwm).

use std::{
    cell::OnceCell,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use nought_proto::{Outgoing, Socket, pattern::SendRefusal};
use rustix::time::{ClockId, clock_gettime};

use super::{Core, State};

/// How long a burst lasts at most. libzmq, while it sends without waiting, looks for new room each three million ticks of
/// the processor.
const LONGEST: Duration = Duration::from_millis(1);

/// How long it lasts at most if its sender was interrupted meanwhile. Who yields its processor looks like that, too.
const LONGEST_INTERRUPTED: Duration = Duration::from_millis(50);

/// The clock is looked at this often, and no less, while a burst comes to its mark.
const LOOKS_PER_BURST: u32 = 16;
const SENDS_PER_LOOK_MAX: u32 = 1024;

/// How long a socket's burst lasts already.
#[derive(Default)]
pub(crate) struct Burst {
    /// Since its first message. `None`: there was none yet.
    clock: Option<Clock>,
    sends_until_look: u32,
}

impl Burst {
    /// Counts a message of the burst with this number. Says whether to look at the clock before it is sent.
    #[inline]
    fn wants_look(&mut self, number: u64) -> bool {
        let left = self.clock_of(number).and(self.sends_until_look.checked_sub(1));
        self.sends_until_look = left.unwrap_or(0);
        left.is_none()
    }

    fn clock_of(&self, number: u64) -> Option<&Clock> {
        self.clock.as_ref().filter(|clock| clock.of == number)
    }
}

/// The time of one burst; of the next it says nothing.
struct Clock {
    of: u64,
    began: Instant,
    /// How it was with the sender at the second look. It is asked for no sooner: few bursts come as far.
    sender: OnceCell<Option<Sender>>,
}

impl Clock {
    fn begin(of: u64, now: Instant) -> Self {
        Self { of, began: now, sender: OnceCell::new() }
    }

    /// Whether the sender has had the time of a burst. While others had its processor it had none: that it was interrupted
    /// makes two bursts of one no more than it does where another thread writes.
    fn is_over(&self, now: Instant) -> bool {
        let lasted = now.saturating_duration_since(self.began);
        lasted >= LONGEST && (lasted >= LONGEST_INTERRUPTED || !self.was_interrupted())
    }

    fn was_interrupted(&self) -> bool {
        let before = self.sender.get().copied().flatten();
        before.zip(Sender::so_far()).is_some_and(|(before, now)| now.was_only_interrupted_since(before))
    }
}

/// What the calling thread has had of its processor.
#[derive(Clone, Copy)]
struct Sender {
    /// How often it has given the processor away.
    waits: i64,
    /// For how long it has had it.
    time: Duration,
}

impl Sender {
    /// `None` where the system does not say.
    fn so_far() -> Option<Self> {
        let waits = getrusage(UsageWho::RUSAGE_THREAD).ok()?.voluntary_context_switches();
        Some(Self { waits, time: clock_gettime(ClockId::ThreadCPUTime).try_into().ok()? })
    }

    /// Whether all that has lasted longer than a burst since then was not its own. (Another thread has other numbers.)
    fn was_only_interrupted_since(self, before: Self) -> bool {
        self.waits == before.waits && self.time.checked_sub(before.time).is_some_and(|time| time < LONGEST)
    }
}

impl Core {
    /// Sends a message as one of a burst, if that does not have to wait; see [`send_now`](Self::send_now).
    pub(crate) fn send_in_burst(&self, state: &mut State, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        self.in_burst(state, |machine| machine.send(message))
    }

    /// Says whether a message that begins with this frame would be sent so.
    pub(crate) fn check_in_burst(&self, state: &mut State, first_frame: &[u8]) -> Result<(), SendRefusal> {
        self.in_burst(state, |machine| machine.check(first_frame))
    }

    fn in_burst(
        &self,
        state: &mut State,
        attempt: impl Fn(&mut Socket) -> Result<(), SendRefusal>,
    ) -> Result<(), SendRefusal> {
        if state.terminated {
            return Err(SendRefusal::WouldBlock);
        }
        self.take_mail(state);
        if state.burst.wants_look(state.machine.burst()) {
            state.look_at_burst();
        }
        match state.machine.in_burst(&attempt) {
            Err(SendRefusal::EndOfBurst) if state.goes_on_after_burst() => state.machine.in_burst(attempt),
            attempted => attempted,
        }
    }
}

impl State {
    /// Begins another burst, if this one has lasted too long to be one.
    #[cold]
    fn look_at_burst(&mut self) {
        let now = Instant::now();
        match self.burst.clock_of(self.machine.burst()) {
            Some(clock) if clock.is_over(now) => {
                self.machine.end_burst();
                self.begin_clock(now);
            }
            Some(clock) => _ = clock.sender.get_or_init(Sender::so_far),
            None => self.begin_clock(now),
        }
        self.burst.sends_until_look = (self.machine.options().send_hwm / LOOKS_PER_BURST).min(SENDS_PER_LOOK_MAX);
    }

    fn begin_clock(&mut self, now: Instant) {
        self.burst.clock = Some(Clock::begin(self.machine.burst(), now));
    }

    /// Whether a message that has met the end of a burst begins another one, instead of being refused: because that had
    /// lasted too long.
    #[cold]
    fn goes_on_after_burst(&mut self) -> bool {
        // The machine's is the next one already.
        let ended = self.machine.burst() - 1;
        let goes_on = self.burst.clock_of(ended).is_none_or(|clock| clock.is_over(Instant::now()));
        if goes_on {
            self.look_at_burst();
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst that began so long ago, and since whose second look its sender had as many waits and as much time.
    fn is_over(ago: Duration, waits: i64, time: Duration) -> bool {
        let sender = Sender::so_far().unwrap();
        let before = Sender { waits: sender.waits - waits, time: sender.time - time };
        let now = Instant::now();
        Clock { of: 0, began: now - ago, sender: OnceCell::from(Some(before)) }.is_over(now)
    }

    #[test]
    fn time_without_a_processor_is_none_of_the_burst_s() {
        let [none, short, long] = [0, 500, 2000].map(Duration::from_micros);
        // It must have had what is said to be spent.
        while Sender::so_far().unwrap().time < long {}
        assert!(!is_over(short, 0, none));
        assert!(is_over(LONGEST, 0, long), "it had the processor");
        assert!(is_over(LONGEST, 1, none), "it has waited");
        assert!(!is_over(long, 0, none), "it was interrupted");
        assert!(is_over(LONGEST_INTERRUPTED, 0, none), "but not for as long");
        let now = Instant::now();
        assert!(Clock::begin(0, now - LONGEST).is_over(now), "nobody knows");
    }
}
