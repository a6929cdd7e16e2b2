//! Sending.

use std::{error, fmt, num::NonZeroU32, time::Duration};

use nought_proto::{Frame, Message, Outgoing, pattern::SendRefusal};

use super::{Addresses, CanSend, SendsToGroups, Socket, Waits, kind::Ability};
use crate::{
    engine::{Core, Guard, State, wait::Ended, waiters::Interest},
    error::{SendError, SendErrorKind},
};

/// The most messages that [`Socket::send_batch`] takes out of its iterator before it sends them.
const CHUNK_LEN_MAX: usize = 64;

impl<K: CanSend> Socket<K> {
    /// Sends a message: a slice or string is one frame, an array or vector of them several. A slice of bytes, and a
    /// slice of slices (`[a, b].as_slice()`) for several frames, are encoded where they stand, without an allocation.
    /// Waits, at most for the send time-out, while no peer has room.
    ///
    /// # Errors
    /// Why it was not sent; the error holds the message.
    #[inline]
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send_with(message.into(), Waits::AsSet)
    }

    /// Sends a message if that does not have to wait.
    ///
    /// # Errors
    /// [`SendErrorKind::WouldBlock`] if no peer has room; or see [`send`](Self::send).
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send_with(message.into(), Waits::Never)
    }

    /// Sends a message, and waits at most this long for room.
    ///
    /// # Errors
    /// [`SendErrorKind::TimedOut`] if no peer had room in that time; or see [`send`](Self::send).
    pub fn send_timeout<'m>(&self, message: impl Into<Outgoing<'m>>, timeout: Duration) -> Result<(), SendError> {
        self.send_with(message.into(), Waits::For(timeout))
    }

    /// Waits, at most for the send time-out, until a message that begins with this frame would be taken: for callers
    /// that are given a message frame by frame. Nothing is reserved, but only sending uses the room up.
    ///
    /// # Errors
    /// Why it would not be taken.
    pub fn check_send(&self, first_frame: &[u8]) -> Result<(), SendErrorKind> {
        self.check_with(first_frame, Waits::AsSet)
    }

    /// Says whether a message that begins with this frame would be taken now; see [`check_send`](Self::check_send).
    ///
    /// # Errors
    /// [`SendErrorKind::WouldBlock`] if no peer has room; or see [`check_send`](Self::check_send).
    pub fn try_check_send(&self, first_frame: &[u8]) -> Result<(), SendErrorKind> {
        self.check_with(first_frame, Waits::Never)
    }

    /// Counts messages as [`lost`](crate::Counters::lost): for callers that held them for this socket, and gave them up.
    pub fn count_lost(&self, messages: u64) {
        self.core.lock().machine.count_lost(messages);
    }

    fn check_with(&self, first_frame: &[u8], waits: Waits) -> Result<(), SendErrorKind> {
        let mut state = self.core.lock();
        if waits.is_burst(&state) {
            let checked = self.core.check_in_burst(&mut state, first_frame);
            if checked != Err(SendRefusal::WouldBlock) {
                self.core.finish(state);
                return checked.map_err(|refusal| waits.refused(refusal));
            }
        }
        let patience = waits.patience(state.options.send_timeout);
        let (state, result) = self.core.wait_for(state, Interest::Send, patience, |state| {
            if state.terminated {
                return None;
            }
            self.core.take_mail(state);
            match state.machine.check(first_frame) {
                Err(SendRefusal::WouldBlock) => None,
                checked => Some(checked),
            }
        });
        drop(state);
        match result {
            Ok(checked) => checked.map_err(Into::into),
            Err(ended) => Err(waits.ended(ended)),
        }
    }

    /// Sends messages in their order, waiting for room as [`send`](Self::send) does. Returns how many there were.
    ///
    /// It takes as many out of the iterator as that says there are at least (`size_hint`), between 1 and 64, and then
    /// the socket's lock once for them all. So the iterator may wait, and may use this socket or others; one that does
    /// not know its length, as a channel's, has each message sent before it is asked for the next.
    ///
    /// # Errors
    /// Why one was not sent. Those before it were; it and those behind it that are out of the iterator are in the
    /// error, the others still in the iterator.
    pub fn send_batch<'m, M: Into<Outgoing<'m>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, SendBatchError> {
        let mut messages = messages.into_iter();
        let mut chunk = Vec::new();
        let mut sent = 0;
        loop {
            let (at_least, _) = messages.size_hint();
            chunk.extend(messages.by_ref().take(at_least.clamp(1, CHUNK_LEN_MAX)).map(Into::into));
            if chunk.is_empty() {
                return Ok(sent);
            }
            let result = self.send_chunk(&chunk);
            let of_chunk = result.unwrap_or_else(|(of_chunk, _)| of_chunk);
            sent += of_chunk;
            // No lock is held: the end of a message may be an application's code.
            let unsent = chunk.drain(..).skip(of_chunk);
            if let Err((_, kind)) = result {
                return Err(SendBatchError { kind, sent, unsent: unsent.map(Outgoing::into_message).collect() });
            }
            drop(unsent);
        }
    }

    /// Says how many were sent; and why the next one was not.
    fn send_chunk(&self, chunk: &[Outgoing<'_>]) -> Result<usize, (usize, SendErrorKind)> {
        let mut state = self.core.lock();
        for (sent, message) in chunk.iter().enumerate() {
            if let Err(refusal) = self.core.send_now(&mut state, message) {
                self.core.send_when_possible(state, message, refusal, Waits::AsSet).map_err(|kind| (sent, kind))?;
                state = self.core.lock();
            } else {
                state = self.core.settle_sent(state, message, Waits::AsSet);
            }
        }
        self.core.finish(state);
        Ok(chunk.len())
    }

    #[inline(always)]
    fn send_with(&self, message: Outgoing<'_>, waits: Waits) -> Result<(), SendError> {
        // It stays where it is: to move what was just written piece by piece would cost more than its encoding.
        match self.core.send(&message, waits) {
            Ok(()) => Ok(()),
            Err(kind) => Err(unsent(message, kind)),
        }
    }
}

impl Core {
    /// Sends a message, and waits for room if need be.
    ///
    /// Written into its callers, it finds the thread's variables together with what they want of them.
    #[inline(always)]
    fn send(&self, message: &Outgoing<'_>, waits: Waits) -> Result<(), SendErrorKind> {
        let mut state = self.lock();
        let sent = if waits.is_burst(&state) {
            self.send_in_burst(&mut state, message)
        } else {
            self.send_now(&mut state, message)
        };
        match sent {
            Ok(()) if state.is_settled() => Ok(()),
            Ok(()) => {
                drop(self.settle_sent(state, message, waits));
                Ok(())
            }
            Err(refusal) => self.send_when_possible(state, message, refusal, waits),
        }
    }

    /// Settles after a message has been taken, and keeps its sender from running ahead if that may wait.
    fn settle_sent<'a>(&'a self, state: Guard<'a>, message: &Outgoing<'_>, waits: Waits) -> Guard<'a> {
        // Large messages leave something to do every few of them; small ones do not pay for the look at the peers.
        if state.is_settled() {
            return state;
        }
        let state = self.settle(state);
        if !state.is_ahead_without(message) {
            return state;
        }
        let patience = waits.patience(state.options.send_timeout);
        self.keep_pace(state, patience)
    }

    #[cold]
    fn send_when_possible(
        &self,
        state: Guard<'_>,
        message: &Outgoing<'_>,
        refusal: SendRefusal,
        waits: Waits,
    ) -> Result<(), SendErrorKind> {
        if state.terminated {
            return Err(SendErrorKind::Terminated);
        }
        if refusal != SendRefusal::WouldBlock {
            // At the end of a burst those who wait for room are told that there is some.
            self.finish(state);
            return Err(waits.refused(refusal));
        }
        let patience = waits.patience(state.options.send_timeout);
        let (state, result) = self.wait_for(state, Interest::Send, patience, |state| self.attempt_send(state, message));
        drop(state);
        match result {
            Ok(sent) => sent.map_err(Into::into),
            Err(ended) => Err(waits.ended(ended)),
        }
    }

    /// `None` says that it has to wait.
    pub(crate) fn attempt_send(&self, state: &mut State, message: &Outgoing<'_>) -> Option<Result<(), SendRefusal>> {
        match self.send_now(state, message) {
            Err(SendRefusal::WouldBlock) => None,
            result => Some(result),
        }
    }
}

/// The error of a message that was not sent.
#[cold]
fn unsent(message: Outgoing<'_>, kind: SendErrorKind) -> SendError {
    SendError::new(kind, message.into_message())
}

impl Waits {
    /// Whether a message that is sent so is one of a burst.
    #[inline]
    fn is_burst(self, state: &State) -> bool {
        let never_waits = match self {
            Self::Never => true,
            Self::For(_) => false,
            Self::AsSet => state.options.send_timeout == Some(Duration::ZERO),
        };
        never_waits && state.options.bursts_meet_hwm
    }

    /// Why nothing was sent, of which waiting would have changed nothing.
    fn refused(self, refusal: SendRefusal) -> SendErrorKind {
        match refusal {
            SendRefusal::EndOfBurst => self.ended(Ended::TimedOut),
            refusal => refusal.into(),
        }
    }

    /// Why nothing was sent when the wait had ended.
    fn ended(self, ended: Ended) -> SendErrorKind {
        match ended {
            Ended::TimedOut if self == Self::Never => SendErrorKind::WouldBlock,
            Ended::TimedOut => SendErrorKind::TimedOut,
            Ended::Terminated => SendErrorKind::Terminated,
            Ended::Interrupted => SendErrorKind::Interrupted,
        }
    }
}

impl<K: CanSend + Addresses> Socket<K> {
    /// Sends a message to the peer with this number; see [`send`](Self::send).
    ///
    /// ```
    /// use nought::{Client, Context, Server};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let context = Context::new();
    /// let server = context.socket::<Server>()?;
    /// let endpoint = server.bind("tcp://127.0.0.1:*")?;
    /// let client = context.socket::<Client>()?;
    /// client.connect(&endpoint)?;
    /// client.send("hi")?;
    ///
    /// let client_number = server.recv()?.routing_id().expect("each request has one");
    /// server.send_to(client_number, "hello")?;
    /// assert_eq!(client.recv()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendErrorKind::Unroutable`] if there is no such peer; or see [`send`](Self::send).
    pub fn send_to(&self, routing_id: NonZeroU32, message: impl Into<Message>) -> Result<(), SendError> {
        self.send_addressed(Ability::Addresses, message.into().with_routing_id(routing_id))
    }
}

impl<K: CanSend + SendsToGroups> Socket<K> {
    /// Sends a message to all who have joined this group; see [`send`](Self::send), which sends to the group without a
    /// name what has no other.
    ///
    /// # Errors
    /// [`SendErrorKind::Malformed`] if it can be no group's name; or see [`send`](Self::send).
    pub fn send_to_group(&self, group: impl Into<Frame>, message: impl Into<Message>) -> Result<(), SendError> {
        self.send_addressed(Ability::SendsToGroups, message.into().with_group(group))
    }
}

impl<K: CanSend> Socket<K> {
    fn send_addressed(&self, ability: Ability, message: Message) -> Result<(), SendError> {
        if !ability.is_of(self.socket_type()) {
            return Err(SendError::new(SendErrorKind::NotSupported, message));
        }
        self.send(message)
    }
}

/// Not all messages of a batch were sent; see [`Socket::send_batch`].
pub struct SendBatchError {
    kind: SendErrorKind,
    sent: usize,
    unsent: Vec<Message>,
}

impl SendBatchError {
    /// Why the first of those that were not sent was not.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The messages that were taken out of the iterator and not sent, in their order.
    pub fn into_unsent(self) -> Vec<Message> {
        self.unsent
    }
}

impl fmt::Debug for SendBatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatchError").field("kind", &self.kind).field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl fmt::Display for SendBatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} messages were sent before", self.kind, self.sent)
    }
}

impl error::Error for SendBatchError {}
