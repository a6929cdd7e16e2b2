//! Sends that do not wait, and follow each other without a pause, where they meet high-water marks together: see
//! [`bursts_meet_hwm`](crate::SocketBuilder::bursts_meet_hwm).

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nought_proto::{Outgoing, Socket, pattern::SendRefusal};

use super::{Core, State};

/// How long a burst lasts at most. libzmq, while it sends without waiting, looks for new room each three million ticks of
/// the processor.
const LONGEST: Duration = Duration::from_millis(1);

/// The clock is looked at this often, and no less, while a burst comes to its mark.
const LOOKS_PER_BURST: u32 = 16;
const SENDS_PER_LOOK_MAX: u32 = 1024;

/// How long a socket's burst lasts already.
#[derive(Default)]
pub(crate) struct Burst {
    /// Since its first look. `None`: there was none yet.
    clock: Option<Clock>,
    sends_until_look: u32,
}

/// The time of one burst; of the next it says nothing.
struct Clock {
    of: u64,
    began: Instant,
    /// As it was at a look after that.
    switches: Option<Switches>,
}

impl Clock {
    fn begin(of: u64, now: Instant) -> Self {
        Self { of, began: now, switches: None }
    }

    /// Whether the sender has had the time of a burst. While others had its processor it had none: that it was interrupted
    /// makes two bursts of one no more than it does where another thread writes.
    fn is_over(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.began) < LONGEST {
            self.switches = self.switches.or_else(Switches::so_far);
            return false;
        }
        let before = std::mem::replace(&mut self.switches, Switches::so_far());
        let interrupted = before.zip(self.switches).is_some_and(|(before, now)| now.were_forced_since(before));
        self.began = now;
        !interrupted
    }
}

/// How often the calling thread has given its processor away, and how often it was taken from it.
#[derive(Clone, Copy)]
struct Switches {
    own: i64,
    forced: i64,
}

impl Switches {
    fn so_far() -> Option<Self> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        Some(Self { own: usage.voluntary_context_switches(), forced: usage.involuntary_context_switches() })
    }

    /// Whether all since then were forced. (Of another thread's the first number is another.)
    fn were_forced_since(self, before: Self) -> bool {
        self.own == before.own && self.forced > before.forced
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
        match state.burst.sends_until_look.checked_sub(1) {
            Some(left) => state.burst.sends_until_look = left,
            None => state.look_at_burst(),
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
        match &mut self.burst.clock {
            Some(clock) if clock.of == self.machine.burst() => {
                if clock.is_over(now) {
                    self.machine.end_burst();
                    *clock = Clock::begin(self.machine.burst(), now);
                }
            }
            clock => *clock = Some(Clock::begin(self.machine.burst(), now)),
        }
        self.burst.sends_until_look = (self.machine.options().send_hwm / LOOKS_PER_BURST).min(SENDS_PER_LOOK_MAX);
    }

    /// Whether a message that has met the end of a burst begins another one, instead of being refused: because that had
    /// lasted too long, or nobody had looked how long it did.
    #[cold]
    fn goes_on_after_burst(&mut self) -> bool {
        let now = Instant::now();
        // The machine's is the next one already.
        let ended = self.machine.burst() - 1;
        let ended_in_time = self.burst.clock.take_if(|clock| clock.of == ended && !clock.is_over(now)).is_some();
        self.burst.sends_until_look = 0;
        if !ended_in_time {
            self.look_at_burst();
        }
        !ended_in_time
    }
}
