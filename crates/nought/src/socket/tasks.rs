//! Sockets in asynchronous code: on any executor, and without a thread in between on tokio (feature `tokio`).

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_sink::Sink;
use nought_proto::{
    Message, Outgoing,
    connection::{PeerInfo, Waste},
    pattern::RecvRefusal,
};

use super::{CanReceive, CanSend, Kind, Socket, receiving::unless_it_waits};
use crate::{
    engine::{State, task::TaskWait, waiters::Interest},
    error::{RecvError, SendError, SendErrorKind},
};

/// Calls that may be done in a row without giving the executor's other tasks their turn.
const CALLS_IN_A_ROW: u32 = 256;

/// What came of a call that did not wait.
enum AtOnce<T> {
    Done(T),
    NotNow,
    /// It is the other tasks' turn: a busy socket must not hold its executor.
    Yield,
}

/// Gives the executor's other tasks their turn.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<K: Kind> Socket<K> {
    /// Counts a call; says whether it is the other tasks' turn.
    #[inline]
    fn must_yield(state: &mut State) -> bool {
        state.calls = state.calls.wrapping_add(1);
        state.calls.is_multiple_of(CALLS_IN_A_ROW)
    }
}

impl<K: CanSend> Socket<K> {
    #[inline]
    fn send_at_once(&self, message: &Outgoing<'_>) -> AtOnce<()> {
        let mut state = self.core().lock();
        if Self::must_yield(&mut state) {
            return AtOnce::Yield;
        }
        if self.core().send_now(&mut state, message).is_err() {
            return AtOnce::NotNow;
        }
        self.core().finish(state);
        AtOnce::Done(())
    }

    /// Sends a message; the task waits while no peer has room, without a time-out of its own.
    ///
    /// Cancel-safe: a future that is dropped has sent all of the message or nothing of it.
    ///
    /// # Errors
    /// Why it was not sent; the error holds the message.
    pub async fn send_async<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let message = message.into();
        match self.send_at_once(&message) {
            AtOnce::Done(()) => return Ok(()),
            AtOnce::Yield => yield_now().await,
            AtOnce::NotNow => {}
        }
        let mut wait = TaskWait::new(self.core(), Interest::Send);
        let result = poll_fn(|context| wait.poll(context, |state| self.core().attempt_send(state, &message))).await;
        drop(wait);
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(SendError::new(refusal.into(), message.into_message())),
            Err(_) => Err(SendError::new(SendErrorKind::Terminated, message.into_message())),
        }
    }
}

impl<K: CanReceive> Socket<K> {
    /// Receives a message; the task waits for it, without a time-out of its own.
    ///
    /// Cancel-safe: a future that is dropped has taken nothing.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn recv_async(&self) -> Result<Message, RecvError> {
        let mut message = Message::empty_frame();
        self.recv_into_async(&mut message).await?;
        Ok(message)
    }

    /// Receives a message into `message`, in the place of what is there, whose memory is used again; the task waits for
    /// it, without a time-out of its own.
    ///
    /// Cancel-safe: a future that is dropped has taken nothing.
    ///
    /// # Errors
    /// Why there is none; `message` then holds nothing of use.
    pub async fn recv_into_async(&self, message: &mut Message) -> Result<(), RecvError> {
        Waste::end_bodies_of(message);
        self.receive_async(|state| self.core().recv_now(state, message)).await
    }

    /// Receives a message, with what is known of the peer that sent it (see [`recv_from`](Self::recv_from)); the task
    /// waits for it, without a time-out of its own.
    ///
    /// Cancel-safe: a future that is dropped has taken nothing.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn recv_from_async(&self) -> Result<(Message, Option<Arc<PeerInfo>>), RecvError> {
        let (mut message, mut peer) = (Message::empty_frame(), None);
        self.receive_async(|state| self.core().recv_from_now(state, &mut message, &mut peer)).await?;
        Ok((message, peer))
    }

    async fn receive_async<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Result<T, RecvRefusal>,
    ) -> Result<T, RecvError> {
        match self.receive_at_once(&mut attempt) {
            AtOnce::Done(received) => return Ok(received),
            AtOnce::Yield => yield_now().await,
            AtOnce::NotNow => {}
        }
        let mut wait = TaskWait::new(self.core(), Interest::Recv);
        poll_fn(|context| poll_receive(&mut wait, context, &mut attempt)).await
    }

    #[inline]
    fn receive_at_once<T>(&self, attempt: impl FnOnce(&mut State) -> Result<T, RecvRefusal>) -> AtOnce<T> {
        let mut state = self.core().lock();
        if Self::must_yield(&mut state) {
            return AtOnce::Yield;
        }
        match attempt(&mut state) {
            Ok(received) => {
                self.core().finish(state);
                AtOnce::Done(received)
            }
            Err(_) => AtOnce::NotNow,
        }
    }

    /// The messages of this socket as a [`Stream`]. It ends when the context or the socket is shut down, and after any
    /// error that it has given.
    pub fn messages(&self) -> Messages<'_, K> {
        Messages { socket: self, wait: TaskWait::new(self.core(), Interest::Recv), ended: false }
    }
}

fn poll_receive<T>(
    wait: &mut TaskWait<'_>,
    context: &mut Context<'_>,
    mut attempt: impl FnMut(&mut State) -> Result<T, RecvRefusal>,
) -> Poll<Result<T, RecvError>> {
    wait.poll(context, |state| unless_it_waits(attempt(state))).map(|result| match result {
        Ok(result) => result.map_err(RecvError::from),
        Err(_) => Err(RecvError::Terminated),
    })
}

/// A socket's messages, from [`Socket::messages`]. Dropping it loses none.
pub struct Messages<'s, K: CanReceive> {
    socket: &'s Socket<K>,
    wait: TaskWait<'s>,
    ended: bool,
}

impl<K: CanReceive> Stream for Messages<'_, K> {
    type Item = Result<Message, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let core = this.socket.core();
        let mut message = Message::empty_frame();
        let result = poll_receive(&mut this.wait, context, |state| core.recv_now(state, &mut message));
        if let Poll::Ready(result) = &result {
            this.ended = result.is_err();
            this.wait = TaskWait::new(core, Interest::Recv);
        }
        match result {
            Poll::Ready(Err(RecvError::Terminated)) => Poll::Ready(None),
            result => result.map(|result| Some(result.map(|()| message))),
        }
    }
}

impl<K: CanSend> Socket<K> {
    /// This socket as a [`Sink`] of messages. It holds one message while no peer has room.
    pub fn sink(&self) -> Messenger<'_, K> {
        Messenger { socket: self, wait: TaskWait::new(self.core(), Interest::Send), held: None }
    }
}

/// A [`Sink`] into a socket, from [`Socket::sink`]. A message that it holds when it is dropped is not sent: flush it
/// before.
pub struct Messenger<'s, K: CanSend> {
    socket: &'s Socket<K>,
    wait: TaskWait<'s>,
    held: Option<Message>,
}

impl<K: CanSend> Messenger<'_, K> {
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = self.held.take() else { return Poll::Ready(Ok(())) };
        let outgoing = Outgoing::Owned(message);
        let polled = self.wait.poll(context, |state| self.socket.core().attempt_send(state, &outgoing));
        let message = outgoing.into_message();
        let result = match polled {
            Poll::Pending => {
                self.held = Some(message);
                return Poll::Pending;
            }
            Poll::Ready(Ok(Ok(()))) => Ok(()),
            Poll::Ready(Ok(Err(refusal))) => Err(SendError::new(refusal.into(), message)),
            Poll::Ready(Err(_)) => Err(SendError::new(SendErrorKind::Terminated, message)),
        };
        self.wait = TaskWait::new(self.socket.core(), Interest::Send);
        Poll::Ready(result)
    }
}

impl<K: CanSend> Sink<Message> for Messenger<'_, K> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_held(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.held = Some(message);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_held(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_held(context)
    }
}
