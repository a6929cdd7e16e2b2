//! What the conformance tests share: nought and libzmq behind one face, so that the same work can be given to either.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use nought::{Any, RecvError, SendErrorKind, SocketEventKind, SocketType};

use ports::Port;

#[path = "../../crates/nought/tests/support/ports.rs"]
mod ports;

/// How long anything may take that is not about time. Far more than it needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A socket of nought's, in a context of its own, that waits for everything that long and for nothing when it closes.
pub fn nought_socket(
    socket_type: nought::SocketType,
    security: impl Into<nought::Security>,
) -> nought::Socket<nought::Any> {
    nought::Context::new()
        .any_socket_builder(socket_type)
        .security(security)
        .linger(Some(Duration::ZERO))
        .send_timeout(Some(PATIENCE))
        .recv_timeout(Some(PATIENCE))
        .build()
        .unwrap()
}

/// A body in which no part is like another.
pub fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + len) as u8).collect()
}

/// For each length a message of one frame, and one of several.
pub fn messages(lens: &[usize]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    lens.iter().flat_map(|&len| [vec![body(len)], vec![b"a".to_vec(), Vec::new(), body(len)]])
}

/// A message's frames.
pub type Frames = Vec<Vec<u8>>;

/// Who plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// This project.
    Nought,
    /// libzmq 4.3.4.
    Libzmq,
}

/// A context of each library.
pub struct Contexts {
    nought: nought::Context,
    libzmq: zmq::Context,
}

impl Default for Contexts {
    fn default() -> Self {
        Self { nought: nought::Context::new(), libzmq: zmq::Context::new() }
    }
}

/// An option with effect on what others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt {
    /// The name for ROUTER peers.
    RoutingId(&'static str),
    /// Sends an empty message to each new peer.
    ProbeRouter,
    /// Numbers requests.
    ReqCorrelate,
    /// Lets a request follow one without reply.
    ReqRelaxed,
    /// Sending to a peer that is not there is an error.
    RouterMandatory,
    /// The newest peer with a name has it.
    RouterHandover,
    /// Keeps the newest message only.
    Conflate,
    /// Queues for peers that are there only.
    Immediate,
    /// Matching is turned round.
    InvertMatching,
    /// Every subscription is passed up.
    XPubVerbose,
    /// Every end of one, too.
    XPubVerboser,
    /// Subscriptions are applied by hand.
    XPubManual,
    /// Sending waits for slow subscribers.
    XPubNodrop,
    /// The first message for each subscriber.
    Welcome(&'static str),
    /// The largest message taken.
    MaxMessageSize(u32),
    /// Messages that may wait to be sent.
    SendHwm(u32),
    /// Messages that may wait to be received.
    RecvHwm(u32),
    /// STREAM tells of connections or not.
    StreamNotify(bool),
    /// Linger time in milliseconds; without this option it is none.
    Linger(u64),
    /// PING interval in milliseconds.
    HeartbeatInterval(u64),
    /// What a silent peer gets, in milliseconds.
    HeartbeatTimeout(u64),
    /// What peers are told to bear, in milliseconds.
    HeartbeatTtl(u64),
    /// A connection that is lost is not made again.
    NoReconnect,
}

/// How a call ended, in words that both libraries share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not now.
    WouldBlock,
    /// Not this socket's turn.
    OutOfTurn,
    /// No such peer.
    Unroutable,
    /// Not with this type.
    NotSupported,
    /// Not such a message.
    Malformed,
    /// Terminated.
    Terminated,
}

/// A socket of either library.
pub enum Peer {
    /// This project's.
    Nought(nought::Socket<Any>, nought::Monitor),
    /// libzmq's, and the socket that receives its events.
    Libzmq(zmq::Socket, zmq::Socket),
}

/// libzmq's name for a type.
///
/// # Panics
/// If it has none.
pub fn libzmq_type(socket_type: SocketType) -> zmq::SocketType {
    match socket_type {
        SocketType::Pair => zmq::PAIR,
        SocketType::Pub => zmq::PUB,
        SocketType::Sub => zmq::SUB,
        SocketType::Req => zmq::REQ,
        SocketType::Rep => zmq::REP,
        SocketType::Dealer => zmq::DEALER,
        SocketType::Router => zmq::ROUTER,
        SocketType::Pull => zmq::PULL,
        SocketType::Push => zmq::PUSH,
        SocketType::XPub => zmq::XPUB,
        SocketType::XSub => zmq::XSUB,
        SocketType::Stream => zmq::STREAM,
        other => panic!("libzmq 4.3.4 has no {other}"),
    }
}

/// Options that the crate `zmq` does not know (zmq.h).
mod code {
    pub(crate) const CONNECT_ROUTING_ID: i32 = 61;
    pub(crate) const XPUB_NODROP: i32 = 69;
    pub(crate) const XPUB_MANUAL: i32 = 71;
    pub(crate) const STREAM_NOTIFY: i32 = 73;
    pub(crate) const INVERT_MATCHING: i32 = 74;
    pub(crate) const XPUB_VERBOSER: i32 = 78;
}

fn set_raw(socket: &mut zmq::Socket, option: i32, value: &[u8]) {
    // SAFETY: the pointer is that of a live socket, the value is readable for its length, and libzmq copies it.
    let result = unsafe { zmq_sys::zmq_setsockopt(socket.as_mut_ptr(), option, value.as_ptr().cast(), value.len()) };
    assert_eq!(result, 0, "libzmq refuses option {option}");
}

fn set_flag(socket: &mut zmq::Socket, option: i32, value: bool) {
    set_raw(socket, option, &i32::from(value).to_ne_bytes());
}

fn nought_option(builder: nought::SocketBuilder<Any>, option: Opt) -> nought::SocketBuilder<Any> {
    let time = |millis| Some(Duration::from_millis(millis));
    match option {
        Opt::RoutingId(id) => builder.routing_id(id),
        Opt::ProbeRouter => builder.probe_router(true),
        Opt::ReqCorrelate => builder.req_correlate(true),
        Opt::ReqRelaxed => builder.req_relaxed(true),
        Opt::RouterMandatory => builder.router_mandatory(true),
        Opt::RouterHandover => builder.router_handover(true),
        Opt::Conflate => builder.conflate(true),
        Opt::Immediate => builder.immediate(true),
        Opt::InvertMatching => builder.invert_matching(true),
        Opt::XPubVerbose => builder.xpub_verbose(true),
        Opt::XPubVerboser => builder.xpub_verboser(true),
        Opt::XPubManual => builder.xpub_manual(true),
        Opt::XPubNodrop => builder.xpub_nodrop(true),
        Opt::Welcome(message) => builder.xpub_welcome(message),
        Opt::MaxMessageSize(size) => builder.max_message_size(Some(size.into())),
        Opt::SendHwm(hwm) => builder.send_hwm(hwm),
        Opt::RecvHwm(hwm) => builder.recv_hwm(hwm),
        Opt::StreamNotify(notify) => builder.stream_notify(notify),
        Opt::Linger(millis) => builder.linger(time(millis)),
        Opt::HeartbeatInterval(millis) => builder.heartbeat_interval(time(millis)),
        Opt::HeartbeatTimeout(millis) => builder.heartbeat_timeout(time(millis)),
        Opt::HeartbeatTtl(millis) => builder.heartbeat_ttl(time(millis)),
        Opt::NoReconnect => builder.reconnect_interval(None),
    }
}

fn libzmq_option(socket: &mut zmq::Socket, option: Opt) {
    let set = match option {
        Opt::RoutingId(id) => socket.set_identity(id.as_bytes()),
        Opt::ProbeRouter => socket.set_probe_router(true),
        Opt::ReqCorrelate => socket.set_req_correlate(true),
        Opt::ReqRelaxed => socket.set_req_relaxed(true),
        Opt::RouterMandatory => socket.set_router_mandatory(true),
        Opt::RouterHandover => socket.set_router_handover(true),
        Opt::Conflate => socket.set_conflate(true),
        Opt::Immediate => socket.set_immediate(true),
        Opt::InvertMatching => return set_flag(socket, code::INVERT_MATCHING, true),
        Opt::XPubVerbose => socket.set_xpub_verbose(true),
        Opt::XPubVerboser => return set_flag(socket, code::XPUB_VERBOSER, true),
        Opt::XPubManual => return set_flag(socket, code::XPUB_MANUAL, true),
        Opt::XPubNodrop => return set_flag(socket, code::XPUB_NODROP, true),
        Opt::Welcome(message) => socket.set_xpub_welcome_msg(Some(message)),
        Opt::MaxMessageSize(size) => socket.set_maxmsgsize(size.into()),
        Opt::SendHwm(hwm) => socket.set_sndhwm(hwm as i32),
        Opt::RecvHwm(hwm) => socket.set_rcvhwm(hwm as i32),
        Opt::StreamNotify(notify) => return set_flag(socket, code::STREAM_NOTIFY, notify),
        Opt::Linger(millis) => socket.set_linger(millis as i32),
        Opt::HeartbeatInterval(millis) => socket.set_heartbeat_ivl(millis as i32),
        Opt::HeartbeatTimeout(millis) => socket.set_heartbeat_timeout(millis as i32),
        Opt::HeartbeatTtl(millis) => socket.set_heartbeat_ttl(millis as i32),
        Opt::NoReconnect => socket.set_reconnect_ivl(-1),
    };
    set.unwrap_or_else(|error| panic!("libzmq refuses {option:?}: {error}"));
}

impl Contexts {
    /// A socket of a library. It reconnects fast.
    pub fn socket(&self, library: Library, socket_type: SocketType, options: &[Opt]) -> Peer {
        match library {
            Library::Nought => {
                let builder = self.nought.any_socket_builder(socket_type).linger(Some(Duration::ZERO));
                let builder = builder
                    .reconnect_interval(Some(Duration::from_millis(10)))
                    .reconnect_interval_max(Duration::from_millis(50));
                let builder = options.iter().fold(builder, |builder, option| nought_option(builder, *option));
                let socket = builder.build().unwrap();
                let monitor = socket.monitor();
                Peer::Nought(socket, monitor)
            }
            Library::Libzmq => {
                let mut socket = self.libzmq.socket(libzmq_type(socket_type)).unwrap();
                socket.set_linger(0).unwrap();
                socket.set_reconnect_ivl(10).unwrap();
                socket.set_reconnect_ivl_max(50).unwrap();
                options.iter().for_each(|option| libzmq_option(&mut socket, *option));
                let endpoint = format!("inproc://monitor-{}", unique());
                socket.monitor(&endpoint, zmq::SocketEvent::ALL.to_raw().into()).unwrap();
                let monitor = self.libzmq.socket(zmq::PAIR).unwrap();
                // A queue that is full would block libzmq's I/O thread.
                monitor.set_rcvhwm(0).unwrap();
                monitor.connect(&endpoint).unwrap();
                Peer::Libzmq(socket, monitor)
            }
        }
    }
}

/// What a monitor told, as far as both libraries tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// The socket listens.
    Listening,
    /// A peer has connected.
    Accepted,
    /// The transport has connected.
    Connected,
    /// Messages flow.
    HandshakeSucceeded,
    /// The handshake failed, whoever is to blame.
    HandshakeFailed,
    /// The connection is gone.
    Disconnected,
    /// Connecting failed or will be tried again.
    Retried,
    /// The socket listens no more.
    Closed,
    /// Something else.
    Other,
}

fn told_by_libzmq(event: u16) -> Told {
    match event {
        0x0001 => Told::Connected,
        0x0002 | 0x0004 => Told::Retried,
        0x0008 => Told::Listening,
        0x0020 => Told::Accepted,
        0x0080 => Told::Closed,
        0x0200 => Told::Disconnected,
        0x0800 | 0x2000 | 0x4000 => Told::HandshakeFailed,
        0x1000 => Told::HandshakeSucceeded,
        _ => Told::Other,
    }
}

fn told_by_nought(kind: &SocketEventKind) -> Told {
    match kind {
        SocketEventKind::Listening => Told::Listening,
        SocketEventKind::Accepted => Told::Accepted,
        SocketEventKind::Connected => Told::Connected,
        SocketEventKind::HandshakeSucceeded { .. } => Told::HandshakeSucceeded,
        SocketEventKind::HandshakeFailed { .. } => Told::HandshakeFailed,
        SocketEventKind::Disconnected { .. } => Told::Disconnected,
        SocketEventKind::ConnectFailed { .. } | SocketEventKind::ConnectRetried { .. } => Told::Retried,
        SocketEventKind::Closed => Told::Closed,
        _ => Told::Other,
    }
}

impl Peer {
    /// Listens, as soon as whoever had the endpoint before has let go of it.
    #[track_caller]
    pub fn bind(&self, endpoint: &str) {
        until("the endpoint is free", || match self {
            Self::Nought(socket, _) => socket.bind(endpoint).is_ok(),
            Self::Libzmq(socket, _) => socket.bind(endpoint).is_ok(),
        });
    }

    /// Connects.
    #[track_caller]
    pub fn connect(&self, endpoint: &str) {
        match self {
            Self::Nought(socket, _) => socket.connect(endpoint).unwrap(),
            Self::Libzmq(socket, _) => socket.connect(endpoint).unwrap(),
        }
    }

    /// Connects to a peer that is to have this routing id.
    #[track_caller]
    pub fn connect_as(&mut self, endpoint: &str, routing_id: &str) {
        match self {
            Self::Nought(socket, _) => socket.connect_as(endpoint, routing_id).unwrap(),
            Self::Libzmq(socket, _) => {
                set_raw(socket, code::CONNECT_ROUTING_ID, routing_id.as_bytes());
                socket.connect(endpoint).unwrap();
            }
        }
    }

    /// Stops listening; says whether it did listen there.
    pub fn unbind(&self, endpoint: &str) -> bool {
        match self {
            Self::Nought(socket, _) => socket.unbind(endpoint).is_ok(),
            Self::Libzmq(socket, _) => socket.unbind(endpoint).is_ok(),
        }
    }

    /// Disconnects; says whether it was connected there.
    pub fn disconnect(&self, endpoint: &str) -> bool {
        match self {
            Self::Nought(socket, _) => socket.disconnect(endpoint).is_ok(),
            Self::Libzmq(socket, _) => socket.disconnect(endpoint).is_ok(),
        }
    }

    /// Subscribes; says whether the socket could.
    pub fn subscribe(&self, prefix: &[u8]) -> bool {
        match self {
            Self::Nought(socket, _) => socket.subscribe(prefix).is_ok(),
            Self::Libzmq(socket, _) => socket.set_subscribe(prefix).is_ok(),
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, prefix: &[u8]) -> bool {
        match self {
            Self::Nought(socket, _) => socket.unsubscribe(prefix).is_ok(),
            Self::Libzmq(socket, _) => socket.set_unsubscribe(prefix).is_ok(),
        }
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// Why not.
    pub fn try_send(&self, frames: &[Vec<u8>]) -> Result<(), Refusal> {
        match self {
            Self::Nought(socket, _) => {
                let message: nought::Message = frames.iter().map(|frame| frame.as_slice()).collect();
                socket.try_send(message).map_err(|error| match error.kind() {
                    SendErrorKind::WouldBlock | SendErrorKind::TimedOut => Refusal::WouldBlock,
                    SendErrorKind::OutOfTurn => Refusal::OutOfTurn,
                    SendErrorKind::Unroutable => Refusal::Unroutable,
                    SendErrorKind::NotSupported => Refusal::NotSupported,
                    SendErrorKind::Malformed => Refusal::Malformed,
                    _ => Refusal::Terminated,
                })
            }
            Self::Libzmq(socket, _) => socket.send_multipart(frames, zmq::DONTWAIT).map_err(refusal),
        }
    }

    /// Sends; waits for room.
    #[track_caller]
    pub fn send(&self, frames: &[Vec<u8>]) {
        until("the message is sent", || match self.try_send(frames) {
            Ok(()) => true,
            Err(Refusal::WouldBlock) => false,
            Err(refusal) => panic!("not sent: {refusal:?}"),
        });
    }

    /// Receives within a time.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn recv_within(&self, time: Duration) -> Result<Frames, Refusal> {
        match self {
            Self::Nought(socket, _) => match socket.recv_timeout(time) {
                Ok(message) => Ok(message.into_frames().map(|frame| frame.into_vec()).collect()),
                Err(RecvError::TimedOut | RecvError::WouldBlock) => Err(Refusal::WouldBlock),
                Err(RecvError::OutOfTurn) => Err(Refusal::OutOfTurn),
                Err(RecvError::NotSupported) => Err(Refusal::NotSupported),
                Err(_) => Err(Refusal::Terminated),
            },
            Self::Libzmq(socket, _) => {
                socket.set_rcvtimeo(time.as_millis() as i32).unwrap();
                socket.recv_multipart(0).map_err(refusal)
            }
        }
    }

    /// The next thing that the monitor tells, if there is one.
    pub fn told(&self) -> Option<Told> {
        match self {
            Self::Nought(_, monitor) => monitor.try_recv().ok().map(|event| told_by_nought(&event.kind)),
            Self::Libzmq(_, monitor) => {
                let event = monitor.recv_multipart(zmq::DONTWAIT).ok()?;
                Some(told_by_libzmq(u16::from_ne_bytes([event[0][0], event[0][1]])))
            }
        }
    }

    /// Lets the socket attend to its affairs: libzmq takes note of connections only in calls of the application.
    pub fn attend(&self) {
        if let Self::Libzmq(socket, _) = self {
            let _ = socket.get_events();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Self::Libzmq(socket, _) = self {
            // An event without anybody to receive it would block libzmq's I/O thread (its issue 3575).
            // SAFETY: the pointer is that of a live socket; null stops its monitor.
            let result = unsafe { zmq_sys::zmq_socket_monitor(socket.as_mut_ptr(), std::ptr::null(), 0) };
            assert_eq!(result, 0, "libzmq's monitor does not stop");
        }
    }
}

fn refusal(error: zmq::Error) -> Refusal {
    match error {
        zmq::Error::EAGAIN => Refusal::WouldBlock,
        zmq::Error::EFSM => Refusal::OutOfTurn,
        zmq::Error::EHOSTUNREACH => Refusal::Unroutable,
        zmq::Error::ENOTSUP => Refusal::NotSupported,
        zmq::Error::EINVAL => Refusal::Malformed,
        zmq::Error::ETERM => Refusal::Terminated,
        other => panic!("libzmq says {other}"),
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A number that nobody else in any process has.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The transports that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over the loopback interface.
    Tcp,
    /// Over Unix sockets.
    Ipc,
    /// Within the process: both ends of one library.
    Inproc,
}

/// An endpoint that nobody else has; its file, if there is one, is removed in the end.
pub struct Place {
    /// The endpoint, without wildcards.
    pub endpoint: String,
    path: Option<PathBuf>,
    _port: Option<Port>,
}

impl Transport {
    /// Those between different libraries.
    pub const KERNEL: [Self; 2] = [Self::Tcp, Self::Ipc];

    /// An endpoint for both `bind` and `connect`, whichever is first.
    pub fn place(self) -> Place {
        match self {
            Self::Tcp => {
                let port = Port::free();
                Place { endpoint: format!("tcp://127.0.0.1:{}", port.number), path: None, _port: Some(port) }
            }
            Self::Ipc => {
                let path = std::env::temp_dir().join(format!("nought-conformance-{}", unique()));
                Place { endpoint: format!("ipc://{}", path.display()), path: Some(path), _port: None }
            }
            Self::Inproc => Place { endpoint: format!("inproc://place-{}", unique()), path: None, _port: None },
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
