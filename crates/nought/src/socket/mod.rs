//! Sockets: the handles that applications hold.

mod kind;
mod options;
mod stats;
mod tasks;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use nought_proto::{
    Frame, Message, Outgoing, SocketType,
    limits::ROUTING_ID_LEN_MAX,
    pattern::{RecvRefusal, SendRefusal},
};

pub(crate) use self::options::SocketOptions;
pub use self::{
    kind::{
        Any, CanReceive, CanSend, CanSubscribe, Dealer, Kind, Pair, Pub, Pull, Push, Rep, Req, Router, Stream, Sub,
        XPub, XSub,
    },
    options::SocketBuilder,
    stats::{PeerStats, SocketStats},
    tasks::{Messages, Messenger},
};
use crate::{
    context::Context,
    engine::{
        Core, Guard, State,
        wait::{Ended, Patience},
        waiters::Interest,
    },
    error::{BindError, ConnectError, RecvError, SendError, SendErrorKind, SubscribeError, UnknownEndpoint},
    monitor::Monitor,
};

/// A socket of the kind `K`.
///
/// It may be used by several threads at once: each message goes to one of them. Dropping it closes it: what is queued
/// is still sent, for the linger time, in the background; see [`Context`] for the end of the program.
pub struct Socket<K: Kind> {
    core: Arc<Core>,
    // Dropped after the core is closed, because the context may wait for that.
    context: Context,
    kind: PhantomData<fn() -> K>,
}

// ---- endpoints, events, counts: all kinds

impl<K: Kind> Socket<K> {
    pub(crate) fn new(core: Arc<Core>, context: Context) -> Self {
        Self { core, context, kind: PhantomData }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The context that made it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The socket's type.
    pub fn socket_type(&self) -> SocketType {
        self.core.lock().machine.socket_type()
    }

    /// Listens at an endpoint, and returns it with its wildcards resolved: `tcp://127.0.0.1:*` gives the port that the
    /// system chose. `tcp://`, `ipc://` and `inproc://` are known; see [`transport`](crate::transport).
    ///
    /// # Errors
    /// What is wrong with the endpoint, or why the system refuses it.
    pub fn bind(&self, endpoint: &str) -> Result<String, BindError> {
        self.core.bind(endpoint)
    }

    /// Connects to an endpoint, now or whenever somebody listens there, and again when the connection is lost.
    ///
    /// # Errors
    /// What is wrong with the endpoint. That nobody listens there is no error.
    pub fn connect(&self, endpoint: &str) -> Result<(), ConnectError> {
        self.core.connect(endpoint, None)
    }

    /// Connects to an endpoint whose peer is to have this routing id, whatever it calls itself (ROUTER, STREAM).
    ///
    /// # Errors
    /// What is wrong with the endpoint or the routing id.
    pub fn connect_as(&self, endpoint: &str, routing_id: impl Into<Frame>) -> Result<(), ConnectError> {
        let routing_id = routing_id.into();
        if routing_id.is_empty() || routing_id.len() > ROUTING_ID_LEN_MAX || routing_id[0] == 0 {
            return Err(ConnectError::RoutingId);
        }
        self.core.connect(endpoint, Some(routing_id))
    }

    /// Stops listening at an endpoint. Connections that came that way stay.
    ///
    /// # Errors
    /// If the socket is not bound to it, written as [`bind`](Self::bind) returned it.
    pub fn unbind(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        self.core.unbind(endpoint)
    }

    /// Disconnects from an endpoint. What is queued for it is still sent, for the linger time.
    ///
    /// # Errors
    /// If the socket was not connected to it, written as it was given to [`connect`](Self::connect).
    pub fn disconnect(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        self.core.disconnect(endpoint)
    }

    /// The endpoint of the last `bind` (resolved) or `connect`.
    pub fn last_endpoint(&self) -> Option<String> {
        self.core.lock().endpoints.last.clone()
    }

    /// Changes the send high-water mark, for peers that are there, too; see [`SocketBuilder::send_hwm`].
    pub fn set_send_hwm(&self, messages: u32) {
        self.change(|state| state.machine.set_options(|options| options.send_hwm = messages));
    }

    /// Changes the receive high-water mark, for peers that are there, too; see [`SocketBuilder::recv_hwm`].
    pub fn set_recv_hwm(&self, messages: u32) {
        self.change(|state| state.machine.set_options(|options| options.recv_hwm = messages));
    }

    /// Changes the linger time; see [`SocketBuilder::linger`].
    pub fn set_linger(&self, linger: Option<Duration>) {
        self.change(|state| state.options.linger = linger);
    }

    /// Changes the send time-out; see [`SocketBuilder::send_timeout`].
    pub fn set_send_timeout(&self, timeout: Option<Duration>) {
        self.change(|state| state.options.send_timeout = timeout);
    }

    /// Changes the receive time-out; see [`SocketBuilder::recv_timeout`].
    pub fn set_recv_timeout(&self, timeout: Option<Duration>) {
        self.change(|state| state.options.recv_timeout = timeout);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.core.lock();
        change(&mut state);
        drop(self.core.settle(state));
    }

    /// A stream of what happens to this socket's endpoints and connections from now on.
    pub fn monitor(&self) -> Monitor {
        self.core.lock().monitors.add()
    }

    /// What the socket has counted.
    pub fn stats(&self) -> SocketStats {
        let state = self.core.look_up();
        let connections = state.machine.connections();
        SocketStats {
            totals: connections.totals(),
            peers: connections.iter().filter(|(_, connection)| connection.is_ready()).count(),
            reconnects: state.reconnects,
            subscriptions: state.machine.subscriptions(),
        }
    }

    /// What is known of each connection.
    pub fn peers(&self) -> Vec<PeerStats> {
        let state = self.core.look_up();
        let peer = |(id, connection): (_, &nought_proto::Connection)| PeerStats {
            endpoint: state.links.get(id).map(|link| link.remote.to_string()).or_else(|| state.endpoints.name_of(id)),
            is_ready: connection.is_ready(),
            peer: Arc::clone(connection.peer()),
            counters: *connection.counters(),
            send_queue_len: connection.send_queue_len(),
            recv_queue_len: connection.recv_queue_len(),
        };
        state.machine.connections().iter().map(peer).collect()
    }

    /// Closes the socket, as dropping it does: what is queued is still sent, for the linger time, in the background.
    pub fn close(self) {
        drop(self);
    }
}

// ---- sending

impl<K: CanSend> Socket<K> {
    /// Sends a message: a slice or string is one frame and is encoded without an allocation, an array or vector of
    /// them several. Waits, at most for the send time-out, while no peer has room.
    ///
    /// # Errors
    /// Why it was not sent; the error holds the message.
    #[inline]
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        let message = message.into();
        let mut state = self.core.lock();
        match self.core.send_now(&mut state, &message) {
            Ok(()) => {
                self.after_send(state);
                Ok(())
            }
            Err(refusal) => {
                let patience = Patience::new(state.options.send_timeout);
                self.send_slowly(state, message, refusal, patience, SendErrorKind::TimedOut)
            }
        }
    }

    /// Sends a message if that does not have to wait.
    ///
    /// # Errors
    /// [`SendErrorKind::WouldBlock`] if no peer has room; or see [`send`](Self::send).
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send_with(message.into(), Patience::None, SendErrorKind::WouldBlock)
    }

    /// Sends a message, and waits at most this long for room.
    ///
    /// # Errors
    /// [`SendErrorKind::TimedOut`] if no peer had room in that time; or see [`send`](Self::send).
    pub fn send_timeout<'m>(&self, message: impl Into<Outgoing<'m>>, timeout: Duration) -> Result<(), SendError> {
        self.send_with(message.into(), Patience::new(Some(timeout)), SendErrorKind::TimedOut)
    }

    /// Sends messages in their order, waiting for room as [`send`](Self::send) does, and takes the socket's lock once
    /// for as many as there is room for. Returns how many there were.
    ///
    /// # Errors
    /// Why one was not sent; those before it were, those after it are still in the iterator.
    pub fn send_batch<'m, M: Into<Outgoing<'m>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, SendError> {
        let mut sent = 0;
        let mut state = self.core.lock();
        for message in messages {
            let message = message.into();
            if let Err(refusal) = self.core.send_now(&mut state, &message) {
                let patience = Patience::new(state.options.send_timeout);
                self.send_slowly(state, message, refusal, patience, SendErrorKind::TimedOut)?;
                state = self.core.lock();
            } else if state.machine.wants_attention() {
                state = self.core.settle(state);
            }
            sent += 1;
        }
        self.after_send(state);
        Ok(sent)
    }

    #[inline]
    fn after_send(&self, state: Guard<'_>) {
        if state.machine.wants_attention() {
            drop(self.core.settle(state));
        }
    }

    fn send_with(&self, message: Outgoing<'_>, patience: Patience, late: SendErrorKind) -> Result<(), SendError> {
        let mut state = self.core.lock();
        match self.core.send_now(&mut state, &message) {
            Ok(()) => {
                self.after_send(state);
                Ok(())
            }
            Err(refusal) => self.send_slowly(state, message, refusal, patience, late),
        }
    }

    #[cold]
    fn send_slowly(
        &self,
        state: Guard<'_>,
        message: Outgoing<'_>,
        refusal: SendRefusal,
        patience: Patience,
        late: SendErrorKind,
    ) -> Result<(), SendError> {
        if state.terminated {
            return Err(SendError::new(SendErrorKind::Terminated, message.into_message()));
        }
        if refusal != SendRefusal::WouldBlock {
            return Err(SendError::new(refusal.into(), message.into_message()));
        }
        let (state, result) =
            self.core.wait_for(state, Interest::Send, patience, |state| self.attempt_send(state, &message));
        drop(state);
        let kind = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refusal)) => refusal.into(),
            Err(Ended::TimedOut) => late,
            Err(Ended::Terminated) => SendErrorKind::Terminated,
        };
        Err(SendError::new(kind, message.into_message()))
    }
}

// ---- receiving

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
        let mut state = self.core.lock();
        match self.core.recv_now(&mut state, message) {
            Ok(()) => {
                self.after_recv(state);
                Ok(())
            }
            Err(refusal) => {
                let patience = Patience::new(state.options.recv_timeout);
                self.recv_slowly(state, message, refusal, patience, RecvError::TimedOut)
            }
        }
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`] if there is none; or see [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Message, RecvError> {
        self.recv_with(Patience::None, RecvError::WouldBlock)
    }

    /// Receives a message, and waits at most this long for it.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`] if none came in that time; or see [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        self.recv_with(Patience::new(Some(timeout)), RecvError::TimedOut)
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
        messages.push(self.recv()?);
        let mut received = 1;
        let mut state = self.core.lock();
        while received < max {
            let mut message = Message::new();
            if self.core.recv_now(&mut state, &mut message).is_err() {
                break;
            }
            messages.push(message);
            received += 1;
        }
        self.after_recv(state);
        Ok(received)
    }

    #[inline]
    fn after_recv(&self, state: Guard<'_>) {
        if state.machine.wants_attention() {
            drop(self.core.settle(state));
        }
    }

    fn recv_with(&self, patience: Patience, late: RecvError) -> Result<Message, RecvError> {
        let mut message = Message::new();
        let mut state = self.core.lock();
        match self.core.recv_now(&mut state, &mut message) {
            Ok(()) => self.after_recv(state),
            Err(refusal) => self.recv_slowly(state, &mut message, refusal, patience, late)?,
        }
        Ok(message)
    }

    #[cold]
    fn recv_slowly(
        &self,
        state: Guard<'_>,
        message: &mut Message,
        refusal: RecvRefusal,
        patience: Patience,
        late: RecvError,
    ) -> Result<(), RecvError> {
        if state.terminated {
            return Err(RecvError::Terminated);
        }
        if refusal != RecvRefusal::WouldBlock {
            return Err(refusal.into());
        }
        let (state, result) =
            self.core.wait_for(state, Interest::Recv, patience, |state| self.attempt_recv(state, message));
        drop(state);
        match result {
            Ok(result) => result.map_err(RecvError::from),
            Err(Ended::TimedOut) => Err(late),
            Err(Ended::Terminated) => Err(RecvError::Terminated),
        }
    }
}

// ---- attempts: `None` says that it has to wait

impl<K: Kind> Socket<K> {
    fn attempt_send(&self, state: &mut State, message: &Outgoing<'_>) -> Option<Result<(), SendRefusal>> {
        match self.core.send_now(state, message) {
            Err(SendRefusal::WouldBlock) => None,
            result => Some(result),
        }
    }

    fn attempt_recv(&self, state: &mut State, into: &mut Message) -> Option<Result<(), RecvRefusal>> {
        match self.core.recv_now(state, into) {
            Err(RecvRefusal::WouldBlock) => None,
            result => Some(result),
        }
    }
}

// ---- subscribing

impl<K: CanSubscribe> Socket<K> {
    /// Receives from now on the messages whose first frame starts with `prefix`; the empty prefix: all. A prefix
    /// subscribed to twice must be unsubscribed from twice.
    ///
    /// On an XPUB with manual it acts for the peer whose subscription was received last.
    ///
    /// # Errors
    /// If the kind of an [`Any`] does not subscribe, or there is no room for more subscriptions.
    pub fn subscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        let mut state = self.core.lock();
        let result = state.machine.subscribe(prefix.as_ref());
        drop(self.core.settle(state));
        result
    }

    /// Ends one subscription to `prefix`.
    ///
    /// # Errors
    /// If there is none.
    pub fn unsubscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), SubscribeError> {
        let mut state = self.core.lock();
        let result = state.machine.unsubscribe(prefix.as_ref());
        drop(self.core.settle(state));
        result
    }
}

impl<K: Kind> Drop for Socket<K> {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl<K: Kind> fmt::Debug for Socket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("type", &self.socket_type()).finish_non_exhaustive()
    }
}
