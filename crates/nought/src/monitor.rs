//! Monitors: what happens to a socket's endpoints and connections, as typed events.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use nought_proto::{ProtocolError, SocketType, connection::PeerInfo};

use crate::{
    engine::{
        guard::AfterUnlock,
        link::{LostBecause, Origin},
    },
    error::RecvError,
};

/// Events that a monitor keeps for a reader who does not come. Older ones are dropped first, and counted.
pub const MONITOR_EVENTS_MAX: usize = 10_000;

/// Something that happened at an endpoint of a socket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketEvent {
    /// This side's endpoint; where a connection is being made, the endpoint given to `connect`.
    pub local: String,
    /// The peer's endpoint, where there is a peer.
    pub remote: Option<String>,
    /// What happened.
    pub kind: SocketEventKind,
    /// Whether the connection was made by the peer, to an endpoint that is bound here.
    pub is_accepted: bool,
    /// Of the end of a connection: whether messages could flow over it before, since its handshake had succeeded, or there
    /// is none.
    pub was_established: bool,
    /// The number of the system's descriptor, for a look at it while it is there.
    pub descriptor: Option<RawFd>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SocketEventKind {
    /// The socket listens.
    Listening,
    /// The socket listens no more.
    Closed,
    /// A peer has connected; its handshake begins.
    Accepted,
    /// Accepting a peer failed, most often for want of descriptors. It is tried again.
    AcceptFailed {
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// The transport has begun to connect, which takes its time.
    Connecting,
    /// The transport has connected; the handshake begins.
    Connected,
    /// Connecting failed.
    ConnectFailed {
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// Connecting will be tried again.
    ConnectRetried {
        /// After this time.
        delay: Duration,
    },
    /// The handshake is over; messages flow.
    HandshakeSucceeded {
        /// What the peer said of itself.
        peer: Arc<PeerInfo>,
    },
    /// The handshake failed; the connection is closed.
    HandshakeFailed {
        /// Whose fault it is, and the rule that was broken.
        error: ProtocolError,
    },
    /// A connection on which messages had flowed, or whose handshake had begun, is closed.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
    },
    /// So many older events were dropped because nobody read them.
    Missed(u64),
}

/// Why a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer closed it.
    PeerClosed,
    /// This side closed it.
    Closed,
    /// The peer broke the protocol, or fell silent.
    Protocol(ProtocolError),
    /// The transport failed.
    Transport(Arc<io::Error>),
}

impl From<LostBecause> for DisconnectReason {
    fn from(because: LostBecause) -> Self {
        match because {
            LostBecause::PeerClosed => Self::PeerClosed,
            LostBecause::Closed => Self::Closed,
            LostBecause::Protocol(error) => Self::Protocol(error),
            LostBecause::Transport(error) => Self::Transport(error),
        }
    }
}

impl SocketEvent {
    pub(crate) fn new(local: String, remote: Option<String>, kind: SocketEventKind) -> Self {
        Self { local, remote, kind, is_accepted: false, was_established: false, descriptor: None }
    }

    /// Says by which channel or listener it happened, if that is known.
    pub(crate) fn at(self, descriptor: io::Result<BorrowedFd<'_>>) -> Self {
        Self { descriptor: descriptor.ok().map(|descriptor| descriptor.as_raw_fd()), ..self }
    }

    pub(crate) fn of(self, origin: Origin) -> Self {
        Self { is_accepted: matches!(origin, Origin::Listener(_)), ..self }
    }

    pub(crate) fn after_establishment(self, was_established: bool) -> Self {
        Self { was_established, ..self }
    }

    pub(crate) fn trace(&self, socket_type: SocketType) {
        let Self { local, remote, kind, .. } = self;
        let remote = remote.as_deref().unwrap_or_default();
        match kind {
            SocketEventKind::AcceptFailed { .. }
            | SocketEventKind::HandshakeFailed { .. }
            | SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(_) } => {
                tracing::warn!(%socket_type, local, remote, "{kind}");
            }
            _ => tracing::debug!(%socket_type, local, remote, "{kind}"),
        }
    }
}

impl fmt::Display for SocketEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.local)?;
        if let Some(remote) = self.remote.as_ref().filter(|remote| **remote != self.local) {
            write!(f, " ↔ {remote}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for SocketEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening => f.write_str("listening"),
            Self::Closed => f.write_str("listens no more"),
            Self::Accepted => f.write_str("accepted"),
            Self::AcceptFailed { error } => write!(f, "accepting failed: {error}"),
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected"),
            Self::ConnectFailed { error } => write!(f, "connecting failed: {error}"),
            Self::ConnectRetried { delay } => write!(f, "connecting again in {delay:?}"),
            Self::HandshakeSucceeded { .. } => f.write_str("handshake succeeded"),
            Self::HandshakeFailed { error } => write!(f, "handshake failed: {error}"),
            Self::Disconnected { reason } => write!(f, "disconnected: {reason}"),
            Self::Missed(count) => write!(f, "{count} events were missed"),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed"),
            Self::Closed => f.write_str("closed here"),
            Self::Protocol(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

/// A stream of a socket's events, from [`Socket::monitor`](crate::Socket::monitor).
///
/// Events are queued without ever making the socket wait: beyond [`MONITOR_EVENTS_MAX`] the oldest are dropped, and
/// the next event that is read is [`SocketEventKind::Missed`]. When the socket has closed and everything is read,
/// reading gives [`RecvError::Terminated`].
#[derive(Debug)]
pub struct Monitor {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<SocketEvent>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event; who waits for it is woken when the socket's lock is free.
    fn push(&self, event: SocketEvent, after_unlock: &mut AfterUnlock) {
        let mut state = self.lock();
        if state.events.len() == MONITOR_EVENTS_MAX {
            state.events.pop_front();
            state.missed += 1;
        }
        state.events.push_back(event);
        self.tell(state, after_unlock);
    }

    fn tell(&self, mut state: MutexGuard<'_, QueueState>, after_unlock: &mut AfterUnlock) {
        state.waker.take().into_iter().for_each(|waker| after_unlock.wake(waker));
        drop(state);
        self.arrived.notify_all();
    }
}

impl QueueState {
    fn next(&mut self) -> Result<SocketEvent, RecvError> {
        if self.missed > 0 {
            let kind = SocketEventKind::Missed(std::mem::take(&mut self.missed));
            return Ok(SocketEvent::new(String::new(), None, kind));
        }
        self.events.pop_front().ok_or(if self.closed { RecvError::Terminated } else { RecvError::WouldBlock })
    }
}

impl Monitor {
    /// The next event; waits for it.
    ///
    /// # Errors
    /// [`RecvError::Terminated`] once the socket has closed.
    pub fn recv(&self) -> Result<SocketEvent, RecvError> {
        self.wait(None)
    }

    /// The next event; waits for it at most this long.
    ///
    /// # Errors
    /// [`RecvError::TimedOut`], or [`RecvError::Terminated`] once the socket has closed.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<SocketEvent, RecvError> {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// [`RecvError::WouldBlock`], or [`RecvError::Terminated`] once the socket has closed.
    pub fn try_recv(&self) -> Result<SocketEvent, RecvError> {
        self.queue.lock().next()
    }

    /// The next event. Cancel-safe: a future that is dropped takes none. Only one task at a time may wait.
    ///
    /// # Errors
    /// [`RecvError::Terminated`] once the socket has closed.
    pub async fn recv_async(&self) -> Result<SocketEvent, RecvError> {
        poll_fn(|context| {
            let mut state = self.queue.lock();
            let result = state.next();
            if !matches!(result, Err(RecvError::WouldBlock)) {
                return Poll::Ready(result);
            }
            let former = state.waker.replace(context.waker().clone());
            // A waker is an executor's code: it goes when nothing is locked.
            drop(state);
            drop(former);
            Poll::Pending
        })
        .await
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<SocketEvent, RecvError> {
        let mut state = self.queue.lock();
        loop {
            match state.next() {
                Err(RecvError::WouldBlock) => {}
                result => return result,
            }
            state = match deadline {
                None => self.queue.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let remaining = deadline.saturating_duration_since(Instant::now());
                    if remaining.is_zero() {
                        return Err(RecvError::TimedOut);
                    }
                    self.queue.arrived.wait_timeout(state, remaining).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// The monitors of a socket.
#[derive(Debug, Default)]
pub(crate) struct Monitors(Vec<Weak<Queue>>);

impl Monitors {
    pub(crate) fn add(&mut self) -> Monitor {
        let queue = Arc::default();
        self.0.push(Arc::downgrade(&queue));
        Monitor { queue }
    }

    pub(crate) fn publish(&mut self, event: &SocketEvent, after_unlock: &mut AfterUnlock) {
        self.0.retain(|queue| queue.upgrade().inspect(|queue| queue.push(event.clone(), after_unlock)).is_some());
    }

    /// Nothing more will happen.
    pub(crate) fn close(&mut self, after_unlock: &mut AfterUnlock) {
        for queue in self.0.drain(..).filter_map(|queue| queue.upgrade()) {
            let mut state = queue.lock();
            state.closed = true;
            queue.tell(state, after_unlock);
        }
    }
}
