//! Sends that do not wait, and follow each other without a pause, where they meet high-water marks together: see
//! [`bursts_meet_hwm`](crate::SocketBuilder::bursts_meet_hwm).

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use nought_proto::{Outgoing, Socket, pattern::SendRefusal};

use super::{Core, State};

/// How long a burst lasts at most. libzmq, while it sends without waiting, looks for new room each three million ticks of
/// the processor.
const LONGEST: Duration = Duration::from_millis(1);

/// The clock is looked at this often while a burst comes to its mark; but not for fewer sends than these, of which it would
/// be a good part of the cost.
const LOOKS_PER_BURST: u32 = 16;
const SENDS_PER_LOOK: RangeInclusive<u32> = 8..=1024;

/// When the burst began that the next message belongs to.
#[derive(Default)]
pub(crate) struct Burst {
    /// `None`: it begins with that message.
    began: Option<Instant>,
    sends_until_look: u32,
}

impl Burst {
    fn begin(&mut self, now: Instant, send_hwm: u32) {
        self.began = Some(now);
        self.look_again_after(send_hwm);
    }

    fn look_again_after(&mut self, send_hwm: u32) {
        self.sends_until_look = (send_hwm / LOOKS_PER_BURST).clamp(*SENDS_PER_LOOK.start(), *SENDS_PER_LOOK.end());
    }

    fn is_over(&self, now: Instant) -> bool {
        self.began.is_none_or(|began| now.saturating_duration_since(began) >= LONGEST)
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
        let send_hwm = self.machine.options().send_hwm;
        if self.burst.is_over(now) {
            self.machine.end_burst();
            self.burst.begin(now, send_hwm);
        } else {
            self.burst.look_again_after(send_hwm);
        }
    }

    /// Whether a message that has met the end of a burst begins another one, instead of being refused.
    #[cold]
    fn goes_on_after_burst(&mut self) -> bool {
        let now = Instant::now();
        let goes_on = self.burst.is_over(now);
        if goes_on {
            self.burst.begin(now, self.machine.options().send_hwm);
        } else {
            self.burst = Burst::default();
        }
        goes_on
    }
}
