//! Receiving.

use std::{sync::Arc, time::Duration};

use nought_proto::{
    Message,
    connection::{PeerInfo, Waste},
    frame::BodyInPlace,
    pattern::RecvRefusal,
};

use super::{CanReceive, Socket, Waits};
use crate::{
    engine::{Guard, State, wait::Ended, waiters::Interest},
    error::RecvError,
};

/// What a message is received into that is not to become a [`Message`]: a caller's own form of it.
///
/// Both methods are called while the socket is locked. They must not use it, and had better be short.
pub trait Place {
    /// Takes a message of one frame and of less than 8 KiB from where it stands.
    fn take_small(&mut self, body: BodyInPlace<'_>);

    /// What any other message is received into.
    fn message(&mut self) -> &mut Message;
}

impl<K: CanReceive> Socket<K> {
    /// Receives a message; waits for it, at most for the receive time-out.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub fn recv(&self) -> Result<Message, RecvError> {
        let mut message = Message::empty_frame();
        self.recv_into(&mut message)?;
        Ok(message)
    }

    /// Receives a message into `message`, in the place of what is there; waits for it, at most for the receive
    /// time-out.
    ///
    /// # Errors
    /// Why there is none; `message` then holds nothing of use.
    #[inline]
    pub fn recv_into(&self, message: &mut Message) -> Result<(), RecvError> {
        Waste::end_bodies_of(message);
        self.receive(Waits::AsSet, |state| self.core.recv_now(state, message))
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] if there is none; or see [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Message, RecvError> {
        let mut message = Message::empty_frame();
        self.receive(Waits::Never, |state| self.core.recv_now(state, &mut message))?;
        Ok(message)
    }

    /// Receives a message, and waits at most this long for it.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`] if none came in that time; or see [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        let mut message = Message::empty_frame();
        self.receive(Waits::For(timeout), |state| self.core.recv_now(state, &mut message))?;
        Ok(message)
    }

    /// Receives a message, with what is known of the peer that sent it; waits for it, at most for the receive
    /// time-out.
    ///
    /// There is no peer to a message that the socket itself made for one that is gone (XPUB: the end of its
    /// subscriptions; STREAM: of its connection).
    ///
    /// ```
    /// use nought::{Context, Pull, Push, SocketType};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let context = Context::new();
    /// let pull = context.socket::<Pull>()?;
    /// let endpoint = pull.bind("ipc://*")?;
    /// let push = context.socket_builder::<Push>().metadata("X-Name", b"anna").build()?;
    /// push.connect(&endpoint)?;
    /// push.send("hello")?;
    ///
    /// let (message, peer) = pull.recv_from()?;
    /// assert_eq!(message, "hello");
    /// let peer = peer.expect("it is there");
    /// assert_eq!(peer.socket_type, Some(SocketType::Push));
    /// assert_eq!(peer.metadata.get("X-Name"), Some(&b"anna"[..]));
    /// assert_eq!(peer.credentials.and_then(|process| process.process_id), Some(std::process::id()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Why there is none.
    pub fn recv_from(&self) -> Result<(Message, Option<Arc<PeerInfo>>), RecvError> {
        let (mut message, mut peer) = (Message::empty_frame(), None);
        self.receive(Waits::AsSet, |state| self.core.recv_from_now(state, &mut message, &mut peer))?;
        Ok((message, peer))
    }

    /// Receives a message if there is one, with what is known of the peer that sent it; see
    /// [`recv_from`](Self::recv_from).
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] if there is none; or see [`recv`](Self::recv).
    pub fn try_recv_from(&self) -> Result<(Message, Option<Arc<PeerInfo>>), RecvError> {
        let (mut message, mut peer) = (Message::empty_frame(), None);
        self.receive(Waits::Never, |state| self.core.recv_from_now(state, &mut message, &mut peer))?;
        Ok((message, peer))
    }

    /// Receives a message into `message`, and what is known of the peer that sent it into `peer`, in the place of what is
    /// there; waits as [`recv_from`](Self::recv_from) does. Where the peer is the one that is there, it is left alone: to
    /// pass the same place again and again is the fastest.
    ///
    /// # Errors
    /// Why there is none; `message` then holds nothing of use, and `peer` is as it was.
    #[inline]
    pub fn recv_from_into(&self, message: &mut Message, peer: &mut Option<Arc<PeerInfo>>) -> Result<(), RecvError> {
        Waste::end_bodies_of(message);
        self.receive(Waits::AsSet, |state| self.core.recv_from_now(state, message, peer))
    }

    /// Receives a message into `message`, and what is known of the peer that sent it into `peer`, in the place of what is
    /// there, if there is one.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] if there is none; or see [`recv_from_into`](Self::recv_from_into).
    pub fn try_recv_from_into(&self, message: &mut Message, peer: &mut Option<Arc<PeerInfo>>) -> Result<(), RecvError> {
        Waste::end_bodies_of(message);
        self.receive(Waits::Never, |state| self.core.recv_from_now(state, message, peer))
    }

    /// Receives a message as [`recv_from_into`](Self::recv_from_into) does, into a form of the caller's own. Of a stream of
    /// small messages most are given to it without having been made a [`Message`].
    ///
    /// # Errors
    /// See [`recv_from_into`](Self::recv_from_into).
    #[inline(always)]
    pub fn recv_from_into_place(
        &self,
        place: &mut impl Place,
        peer: &mut Option<Arc<PeerInfo>>,
    ) -> Result<(), RecvError> {
        self.receive_into_place(Waits::AsSet, place, peer)
    }

    /// The same, if there is a message.
    ///
    /// # Errors
    /// See [`try_recv_from_into`](Self::try_recv_from_into).
    #[inline(always)]
    pub fn try_recv_from_into_place(
        &self,
        place: &mut impl Place,
        peer: &mut Option<Arc<PeerInfo>>,
    ) -> Result<(), RecvError> {
        self.receive_into_place(Waits::Never, place, peer)
    }

    #[inline(always)]
    fn receive_into_place(
        &self,
        waits: Waits,
        place: &mut impl Place,
        peer: &mut Option<Arc<PeerInfo>>,
    ) -> Result<(), RecvError> {
        let mut state = self.core.lock();
        if self.core.recv_small_from_now(&mut state, peer, |body| place.take_small(body)).is_some() {
            // As in `receive_locked`.
            if !state.is_settled() {
                self.core.finish(state);
            }
            return Ok(());
        }
        let message = place.message();
        state.machine.end_bodies_of(message);
        self.receive_locked(state, waits, |state| self.core.recv_from_now(state, message, peer))
    }

    /// Receives a message into `message`, in the place of what is there, if there is one.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] if there is none; or see [`recv_into`](Self::recv_into).
    pub fn try_recv_into(&self, message: &mut Message) -> Result<(), RecvError> {
        Waste::end_bodies_of(message);
        self.receive(Waits::Never, |state| self.core.recv_now(state, message))
    }

    /// Receives up to `max` messages into `messages`, behind what is there: waits for the first as
    /// [`recv`](Self::recv) does, and takes those that have come with it under the same lock. Returns how many.
    ///
    /// # Errors
    /// Why there is none.
    pub fn recv_batch(&self, messages: &mut Vec<Message>, max: usize) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        self.receive(Waits::AsSet, |state| self.recv_batch_now(state, messages, max))
    }

    fn recv_batch_now(&self, state: &mut State, messages: &mut Vec<Message>, max: usize) -> Result<usize, RecvRefusal> {
        for received in 0..max {
            let mut message = Message::empty_frame();
            match self.core.recv_now(state, &mut message) {
                Ok(()) => messages.push(message),
                Err(refusal) if received == 0 => return Err(refusal),
                Err(_) => return Ok(received),
            }
        }
        Ok(max)
    }

    /// Tries `attempt` at once, and then as often as that is worth it.
    ///
    /// Written into its callers, it finds the thread's variables together with what they want of them.
    #[inline(always)]
    fn receive<T>(
        &self,
        waits: Waits,
        attempt: impl FnMut(&mut State) -> Result<T, RecvRefusal>,
    ) -> Result<T, RecvError> {
        self.receive_locked(self.core.lock(), waits, attempt)
    }

    #[inline(always)]
    fn receive_locked<T>(
        &self,
        mut state: Guard<'_>,
        waits: Waits,
        mut attempt: impl FnMut(&mut State) -> Result<T, RecvRefusal>,
    ) -> Result<T, RecvError> {
        match attempt(&mut state) {
            // A guard that is moved is written to memory, which takes longer than all else that most calls have to do here.
            Ok(received) if state.is_settled() => Ok(received),
            Ok(received) => {
                self.core.finish(state);
                Ok(received)
            }
            Err(refusal) => self.receive_slowly(state, refusal, waits, attempt),
        }
    }

    #[cold]
    fn receive_slowly<T>(
        &self,
        state: Guard<'_>,
        refusal: RecvRefusal,
        waits: Waits,
        mut attempt: impl FnMut(&mut State) -> Result<T, RecvRefusal>,
    ) -> Result<T, RecvError> {
        if state.terminated {
            return Err(RecvError::Terminated);
        }
        if refusal != RecvRefusal::WouldBlock {
            return Err(refusal.into());
        }
        let patience = waits.patience(state.options.recv_timeout);
        let (state, result) =
            self.core.wait_for(state, Interest::Recv, patience, |state| unless_it_waits(attempt(state)));
        drop(state);
        match result {
            Ok(result) => result.map_err(RecvError::from),
            Err(Ended::TimedOut) if waits == Waits::Never => Err(RecvError::WouldBlock),
            Err(Ended::TimedOut) => Err(RecvError::TimedOut),
            Err(Ended::Terminated) => Err(RecvError::Terminated),
            Err(Ended::Interrupted) => Err(RecvError::Interrupted),
        }
    }
}

/// `None` says that the attempt has to wait.
pub(super) fn unless_it_waits<T>(result: Result<T, RecvRefusal>) -> Option<Result<T, RecvRefusal>> {
    match result {
        Err(RecvRefusal::WouldBlock) => None,
        result => Some(result),
    }
}
