//! Sockets: the handles that applications hold.

pub(crate) mod kind;
mod options;
mod receiving;
mod sending;
mod settings;
mod stats;
mod tasks;

use std::{fmt, io, marker::PhantomData, num::NonZeroU32, os::fd::BorrowedFd, sync::Arc, time::Duration};

use nought_proto::{Frame, SocketType, limits::ROUTING_ID_LEN_MAX};

use self::kind::Ability;
pub(crate) use self::options::SocketOptions;
pub use self::{
    kind::{
        Addresses, Any, CanConflate, CanReceive, CanSend, CanSubscribe, Channel, Client, ConnectsPeers, Dealer, Dgram,
        Dish, Gather, Greets, HasRoutingId, JoinsGroups, Kind, Matches, NamesPeers, Pair, Peer, Pub, Publishes, Pull,
        Push, Radio, Rep, Req, Requests, Router, Routes, Scatter, SeesDisconnects, SeesHiccups, SeesSubscriptions,
        SendsSubscriptions, SendsToGroups, Server, SpeaksZmtp, Stream, Streams, Sub, SubscribesByMessage, XPub, XSub,
    },
    options::{ReconnectStop, SocketBuilder},
    receiving::Place,
    sending::SendBatchError,
    settings::SocketSettings,
    stats::{PeerStats, SocketStats},
    tasks::{Messages, Messenger},
};
use crate::{
    context::Context,
    engine::{Core, State, endpoints::Unread, wait::Patience},
    error::{BindError, ConnectError, GroupError, SubscribeError, UnknownEndpoint, UnknownPeer, WrongKind},
    monitor::Monitor,
    poll::Readiness,
};

/// A socket of the kind `K`.
///
/// What its kind cannot do does not compile:
///
/// ```compile_fail,E0599
/// # let context = nought::Context::new();
/// context.socket::<nought::Push>().unwrap().recv();
/// ```
///
/// ```compile_fail,E0599
/// # let context = nought::Context::new();
/// context.socket::<nought::Pull>().unwrap().send("hello");
/// ```
///
/// ```compile_fail,E0599
/// # let context = nought::Context::new();
/// context.socket::<nought::Dealer>().unwrap().connect_as("tcp://127.0.0.1:5555", "anna");
/// ```
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

    /// Connects to an endpoint, now or whenever somebody listens there, and again when the connection is lost; on inproc
    /// not again.
    ///
    /// # Errors
    /// What is wrong with the endpoint. That nobody listens there is no error.
    pub fn connect(&self, endpoint: &str) -> Result<(), ConnectError> {
        self.core.connect(endpoint, None).map(drop)
    }

    /// Stops listening at an endpoint, and closes the connections that came that way once what is queued for them is
    /// sent, for the linger time, as libzmq does; an inproc name is only free again, and its connections stay.
    ///
    /// # Errors
    /// If the socket is not bound to it, written as [`bind`](Self::bind) returned it.
    pub fn unbind(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        self.core.unbind(endpoint)
    }

    /// Disconnects from an endpoint. What is queued for it is still sent, for the linger time, also if the connection is
    /// not there yet.
    ///
    /// # Errors
    /// If the socket was not connected to it, written as it was given to [`connect`](Self::connect).
    pub fn disconnect(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        self.core.disconnect(endpoint, Unread::Keep)
    }

    /// The same, and drops what has come from there and was not received, and what still comes, as libzmq does; it is
    /// counted as dropped on arrival. [`disconnect`](Self::disconnect) keeps it to be received.
    ///
    /// # Errors
    /// If the socket was not connected to it, written as it was given to [`connect`](Self::connect).
    pub fn disconnect_and_discard(&self, endpoint: &str) -> Result<(), UnknownEndpoint> {
        self.core.disconnect(endpoint, Unread::Discard)
    }

    /// The endpoint of the last `bind` (resolved) or `connect`.
    pub fn last_endpoint(&self) -> Option<String> {
        self.core.lock().endpoints.last.clone()
    }

    /// A stream of what happens to this socket's endpoints and connections from now on.
    pub fn monitor(&self) -> Monitor {
        self.core.lock().monitors.add()
    }

    /// What can be done now without waiting, after looking at what has come: whether there is a message to receive,
    /// and room for one to send. Where room depends on the message, `writable` says less: of a ROUTER with mandatory, a
    /// STREAM, SERVER or PEER that there is some for some peer, of an XPUB with nodrop that something has changed since
    /// there was none. A socket that is shut down is ready
    /// for everything: the next call tells.
    pub fn readiness(&self) -> Readiness {
        self.core.look_for_event_loop()
    }

    /// A descriptor for an event loop of another library: it becomes readable when [`readiness`](Self::readiness) is
    /// worth asking for, and when a message that found no room may find some. It is edge-triggered, as libzmq's `ZMQ_FD` is: after it has become readable, and after each
    /// message that was sent or received, ask for the readiness before waiting for it again.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.core.descriptor()
    }

    /// What the socket has counted.
    pub fn stats(&self) -> SocketStats {
        let mut state = self.core.look_up();
        let (reconnects, subscriptions) = (state.reconnects, state.machine.subscriptions());
        let connections = state.machine.connections();
        SocketStats {
            totals: connections.totals(),
            peers: connections.iter().filter(|(_, connection)| connection.is_ready()).count(),
            reconnects,
            subscriptions,
        }
    }

    /// What is known of each connection.
    pub fn peers(&self) -> Vec<PeerStats> {
        let mut state = self.core.look_up();
        let State { machine, links, endpoints, .. } = &mut *state;
        let peer = |(id, connection): (_, &nought_proto::Connection)| PeerStats {
            endpoint: links.get(id).map(|link| link.remote.to_string()).or_else(|| endpoints.name_of(id)),
            is_ready: connection.is_ready(),
            peer: Arc::clone(connection.peer()),
            counters: *connection.counters(),
            send_queue_len: connection.send_queue_len(),
            recv_queue_len: connection.recv_queue_len(),
        };
        machine.connections().iter().map(peer).collect()
    }

    /// Leaves what callers do not do for this socket to some of the context's driver threads, of which it has one at a
    /// time: those whose bits are set in `threads`, bit 0 for the first; see
    /// [`io_threads`](crate::ContextBuilder::io_threads).
    ///
    /// # Errors
    /// `InvalidInput` if the context has none of them; or if the system has no memory for it.
    pub fn set_io_threads(&self, threads: u64) -> io::Result<()> {
        let driver = self.core.context.driver_among(threads);
        self.core.move_to_driver(driver.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?)
    }

    /// Makes every call on this socket return with `Terminated`, those that wait now too. What is queued is sent when it
    /// is closed, as ever.
    pub fn shutdown(&self) {
        self.core.shut_down();
    }

    /// Whether it, or its context, is shut down.
    pub fn is_shut_down(&self) -> bool {
        self.core.lock().terminated
    }

    /// Closes the socket, as dropping it does: what is queued is still sent, for the linger time, in the background.
    pub fn close(self) {
        drop(self);
    }
}

impl<K: NamesPeers> Socket<K> {
    /// Connects to an endpoint whose peer is to have this routing id, whatever it calls itself.
    ///
    /// # Errors
    /// What is wrong with the endpoint or the routing id; or that the kind of an [`Any`] has no names for its peers.
    pub fn connect_as(&self, endpoint: &str, routing_id: impl Into<Frame>) -> Result<(), ConnectError> {
        let routing_id = routing_id.into();
        WrongKind::check(Ability::NamesPeers, "connect_as", self.socket_type())?;
        if routing_id.is_empty() || routing_id.len() > ROUTING_ID_LEN_MAX || routing_id[0] == 0 {
            return Err(ConnectError::RoutingId);
        }
        // A copy: it ends with the connection, under the socket's lock.
        self.core.connect(endpoint, Some(Frame::copy_from_slice(&routing_id))).map(drop)
    }
}

impl<K: ConnectsPeers> Socket<K> {
    /// Connects to an endpoint, and returns the number by which messages name the peer there: it can be written to at
    /// once, and keeps its number when the connection is made again.
    ///
    /// ```
    /// use nought::{Context, Peer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let context = Context::new();
    /// let anna = context.socket::<Peer>()?;
    /// let endpoint = anna.bind("tcp://127.0.0.1:*")?;
    /// let berta = context.socket::<Peer>()?;
    /// let to_anna = berta.connect_peer(&endpoint)?;
    /// berta.send_to(to_anna, "hello")?;
    /// assert_eq!(anna.recv()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is wrong with the endpoint; or that the socket is [`immediate`](crate::SocketBuilder::immediate), and has no
    /// place for peers that are not there.
    pub fn connect_peer(&self, endpoint: &str) -> Result<NonZeroU32, ConnectError> {
        WrongKind::check(Ability::ConnectsPeers, "connect_peer", self.socket_type())?;
        if self.core.lock().machine.options().immediate {
            return Err(ConnectError::Immediate);
        }
        self.core.connect(endpoint, None)?.ok_or(ConnectError::Immediate)
    }
}

impl<K: Routes> Socket<K> {
    /// ROUTER: whether there is room for messages to the peer of this name; `None`: there is no such peer.
    pub fn has_room_for(&self, routing_id: impl AsRef<[u8]>) -> Option<bool> {
        let mut state = self.core.look_up();
        state.machine.end_burst();
        state.machine.has_room_for(routing_id.as_ref())
    }
}

impl<K: Addresses> Socket<K> {
    /// Ends the connection to the peer that messages name by this number. What is queued for it is still sent, for the
    /// linger time; one that was connected to is not connected to again.
    ///
    /// # Errors
    /// If there is no such peer.
    pub fn disconnect_peer(&self, routing_id: NonZeroU32) -> Result<(), UnknownPeer> {
        self.core.disconnect_peer(routing_id)
    }
}

/// How long a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Never,
    For(Duration),
    /// As the socket's option for such calls says.
    AsSet,
}

impl Waits {
    fn patience(self, option: Option<Duration>) -> Patience {
        match self {
            Self::Never => Patience::None,
            Self::For(timeout) => Patience::new(Some(timeout)),
            Self::AsSet => Patience::new(option),
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

// ---- groups

impl<K: JoinsGroups> Socket<K> {
    /// Receives from now on the messages to this group: 0 to 255 bytes, none of them zero.
    ///
    /// ```
    /// use nought::{Context, Dish, Radio};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let context = Context::new();
    /// let radio = context.socket::<Radio>()?;
    /// radio.bind("inproc://weather")?;
    /// let dish = context.socket::<Dish>()?;
    /// dish.join("berlin")?;
    /// dish.connect("inproc://weather")?;
    /// radio.send_to_group("berlin", "21 °C")?;
    ///
    /// let message = dish.recv()?;
    /// assert_eq!(message, "21 °C");
    /// assert_eq!(message.group().unwrap(), "berlin");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If it has joined the group already, it can be no group's name, or the kind of an [`Any`] joins none.
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<(), GroupError> {
        let mut state = self.core.lock();
        let result = state.machine.join(group.as_ref());
        drop(self.core.settle(state));
        result
    }

    /// Receives messages to this group no longer.
    ///
    /// # Errors
    /// If it has not joined it.
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<(), GroupError> {
        let mut state = self.core.lock();
        let result = state.machine.leave(group.as_ref());
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
