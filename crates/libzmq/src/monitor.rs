//! `zmq_socket_monitor*`: a socket's events, as messages of another socket within the process.
//!
//! A [`Feed`] takes events out of nought's monitor where they happen: it is that monitor's waker, which runs when
//! the monitored socket is not locked. No thread waits for them.

use std::{
    ffi::{c_char, c_int, c_void},
    io,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use nought::{
    Any, Denial, DisconnectReason, Incompatibility, Message, Misbehaviour, Monitor, ProtocolError, RecvError, Socket,
    SocketEvent, SocketEventKind, SocketType, zap,
};

use crate::{
    border,
    errno::{Errno, Result},
    socket::{self, SocketHandle},
};

const CONNECTED: u64 = 0x0001;
const CONNECT_DELAYED: u64 = 0x0002;
const CONNECT_RETRIED: u64 = 0x0004;
const LISTENING: u64 = 0x0008;
const BIND_FAILED: u64 = 0x0010;
const ACCEPTED: u64 = 0x0020;
const ACCEPT_FAILED: u64 = 0x0040;
const CLOSED: u64 = 0x0080;
const DISCONNECTED: u64 = 0x0200;
const MONITOR_STOPPED: u64 = 0x0400;
const HANDSHAKE_FAILED_NO_DETAIL: u64 = 0x0800;
const HANDSHAKE_SUCCEEDED: u64 = 0x1000;
const HANDSHAKE_FAILED_PROTOCOL: u64 = 0x2000;
const HANDSHAKE_FAILED_AUTH: u64 = 0x4000;
const PIPES_STATS: u64 = 0x10000;

/// What a monitor of the first version can be asked for: its events have two bytes.
const EVENTS_OF_VERSION_1: u64 = 0xffff;

/// How events are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Two frames: the event and one value; the endpoint.
    One,
    /// The event, the number of values, the values, and both endpoints.
    Two,
}

/// Events on their way from a socket to the socket that tells of them.
pub(crate) struct Feed {
    source: Mutex<Source>,
    events: u64,
    format: Format,
}

struct Source {
    /// Gone, with the socket, when there is nothing more to tell.
    open: Option<(Monitor, Socket<Any>)>,
}

/// An event, as libzmq tells it.
struct Told {
    event: u64,
    values: Vec<u64>,
    local: String,
    remote: String,
    /// Which of the two a monitor of the first version is told.
    is_at_local: bool,
}

impl Wake for Feed {
    fn wake(self: Arc<Self>) {
        self.feed();
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on what has happened, and waits for more.
    fn feed(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut source = self.lock();
        while let Some((monitor, _)) = &source.open {
            let next = pin!(monitor.recv_async()).poll(&mut Context::from_waker(&waker));
            match next {
                Poll::Ready(Ok(event)) => self.tell(&source, &event),
                Poll::Ready(Err(RecvError::Terminated)) => self.close(&mut source),
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }

    fn tell(&self, source: &Source, event: &SocketEvent) {
        if let Some((number, value)) = failure_of_handshake(event) {
            self.send(source, &Told::at(event, number, value));
        }
        if let Some((number, value)) = told(event) {
            self.send(source, &Told::at(event, number, value));
        }
    }

    fn send(&self, source: &Source, told: &Told) {
        if self.events & told.event == 0 {
            return;
        }
        if let Some((_, socket)) = &source.open {
            // One that is not read must not hold up the socket that is monitored.
            let _ = socket.try_send(told.encode(self.format));
        }
    }

    /// Tells that there is nothing more to tell.
    fn close(&self, source: &mut Source) {
        self.send(source, &Told::of(MONITOR_STOPPED, 0, String::new()));
        source.open = None;
    }

    pub(crate) fn stop(&self) {
        self.close(&mut self.lock());
    }
}

impl Told {
    fn of(event: u64, value: u64, endpoint: String) -> Self {
        Self { event, values: vec![value], remote: endpoint.clone(), local: endpoint, is_at_local: true }
    }

    /// With the endpoints of `event`.
    fn at(event: &SocketEvent, number: u64, value: u64) -> Self {
        let at_listener = matches!(event.kind, SocketEventKind::Listening | SocketEventKind::Closed);
        Self {
            event: number,
            values: vec![value],
            local: event.local.clone(),
            remote: event.remote.clone().unwrap_or_else(|| event.local.clone()),
            is_at_local: at_listener || event.is_accepted,
        }
    }

    fn encode(&self, format: Format) -> Message {
        match format {
            Format::One => {
                let value = self.values.first().copied().unwrap_or_default();
                let event = [&(self.event as u16).to_ne_bytes()[..], &(value as u32).to_ne_bytes()].concat();
                let endpoint = if self.is_at_local { &self.local } else { &self.remote };
                [event, endpoint.clone().into_bytes()].into()
            }
            Format::Two => {
                let numbers = [self.event, self.values.len() as u64].into_iter().chain(self.values.iter().copied());
                let numbers = numbers.map(|number| number.to_ne_bytes().to_vec());
                let endpoints = [&self.local, &self.remote].map(|endpoint| endpoint.clone().into_bytes());
                numbers.chain(endpoints).collect()
            }
        }
    }
}

/// What libzmq says of an event: its number for it, and a value.
fn told(event: &SocketEvent) -> Option<(u64, u64)> {
    if event.local.starts_with("inproc://") {
        return None;
    }
    // A descriptor that is not known is -1, as in C.
    let descriptor = event.descriptor.map_or(u64::from(u32::MAX), |descriptor| descriptor as u64);
    Some(match &event.kind {
        SocketEventKind::Listening => (LISTENING, descriptor),
        SocketEventKind::Closed => (CLOSED, descriptor),
        SocketEventKind::Accepted => (ACCEPTED, descriptor),
        SocketEventKind::AcceptFailed { error } => (ACCEPT_FAILED, errno_of(error)),
        SocketEventKind::Connecting => (CONNECT_DELAYED, libc::EINPROGRESS as u64),
        SocketEventKind::Connected => (CONNECTED, descriptor),
        SocketEventKind::ConnectFailed { .. } => (CLOSED, descriptor),
        SocketEventKind::ConnectRetried { delay } => (CONNECT_RETRIED, millis(*delay)),
        SocketEventKind::HandshakeSucceeded { .. } => (HANDSHAKE_SUCCEEDED, 0),
        // Of an end that this side has made libzmq does not tell.
        SocketEventKind::Disconnected { reason: DisconnectReason::Closed } => return None,
        // To libzmq a handshake that failed is the end of a connection, too.
        SocketEventKind::HandshakeFailed { .. } | SocketEventKind::Disconnected { .. } => (DISCONNECTED, descriptor),
        _ => return None,
    })
}

/// What libzmq says before, of a connection that did not get through its handshake.
fn failure_of_handshake(event: &SocketEvent) -> Option<(u64, u64)> {
    if event.was_established || event.local.starts_with("inproc://") {
        return None;
    }
    match &event.kind {
        SocketEventKind::HandshakeFailed { error } => Some(handshake_failed(error)),
        SocketEventKind::Disconnected { reason: DisconnectReason::PeerClosed } => {
            Some((HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE as u64))
        }
        SocketEventKind::Disconnected { reason: DisconnectReason::Transport(error) } => {
            Some((HANDSHAKE_FAILED_NO_DETAIL, errno_of(error)))
        }
        _ => None,
    }
}

fn errno_of(error: &io::Error) -> u64 {
    error.raw_os_error().unwrap_or(libc::EIO) as u64
}

fn code(status: zap::Status) -> u64 {
    status.code().parse().unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The event for a handshake that failed, and its value: a number of libzmq's for the rule that was broken, a status of
/// ZAP's, or an error number.
fn handshake_failed(error: &ProtocolError) -> (u64, u64) {
    const UNSPECIFIED: u64 = 0x1000_0000;
    const UNEXPECTED_COMMAND: u64 = 0x1000_0001;
    const MALFORMED_COMMAND: u64 = 0x1000_0011;
    const MALFORMED_HELLO: u64 = 0x1000_0013;
    const MALFORMED_INITIATE: u64 = 0x1000_0014;
    const MALFORMED_ERROR: u64 = 0x1000_0015;
    const MALFORMED_READY: u64 = 0x1000_0016;
    const MALFORMED_WELCOME: u64 = 0x1000_0017;
    const INVALID_METADATA: u64 = 0x1000_0018;
    const CRYPTOGRAPHIC: u64 = 0x1100_0001;
    const MECHANISM_MISMATCH: u64 = 0x1100_0002;
    match error {
        ProtocolError::RefusedByPeer(_) => match error.status_at_peer() {
            Some(status) => (HANDSHAKE_FAILED_AUTH, code(status)),
            None => (HANDSHAKE_FAILED_PROTOCOL, UNSPECIFIED),
        },
        ProtocolError::Incompatible(Incompatibility::Mechanism { .. } | Incompatibility::VersionWithoutSecurity) => {
            (HANDSHAKE_FAILED_PROTOCOL, MECHANISM_MISMATCH)
        }
        ProtocolError::Denied(denial) => denied(denial),
        ProtocolError::Incompatible(_) => (HANDSHAKE_FAILED_PROTOCOL, INVALID_METADATA),
        ProtocolError::Misbehaved(rule) => {
            let number = match rule {
                Misbehaviour::UnexpectedCommand | Misbehaviour::MessageInHandshake => UNEXPECTED_COMMAND,
                Misbehaviour::CommandName | Misbehaviour::CommandTooLong => MALFORMED_COMMAND,
                Misbehaviour::MechanismCommand("HELLO") => MALFORMED_HELLO,
                Misbehaviour::MechanismCommand("INITIATE") => MALFORMED_INITIATE,
                Misbehaviour::MechanismCommand("READY") => MALFORMED_READY,
                Misbehaviour::MechanismCommand("WELCOME") => MALFORMED_WELCOME,
                Misbehaviour::ErrorReason => MALFORMED_ERROR,
                Misbehaviour::Box => CRYPTOGRAPHIC,
                Misbehaviour::Metadata | Misbehaviour::NoSocketType | Misbehaviour::RoutingId => INVALID_METADATA,
                _ => UNSPECIFIED,
            };
            (HANDSHAKE_FAILED_PROTOCOL, number)
        }
        _ => (HANDSHAKE_FAILED_NO_DETAIL, libc::ETIMEDOUT as u64),
    }
}

/// The same for a peer that was not let in.
fn denied(denial: &Denial) -> (u64, u64) {
    const UNSPECIFIED: u64 = 0x2000_0000;
    const MALFORMED_REPLY: u64 = 0x2000_0001;
    const BAD_REQUEST_ID: u64 = 0x2000_0002;
    const BAD_VERSION: u64 = 0x2000_0003;
    const INVALID_STATUS_CODE: u64 = 0x2000_0004;
    const INVALID_METADATA: u64 = 0x2000_0005;
    match denial {
        Denial::Status { status, .. } => (HANDSHAKE_FAILED_AUTH, code(*status)),
        Denial::NoAuthenticator => (HANDSHAKE_FAILED_NO_DETAIL, libc::EFAULT as u64),
        Denial::IllegalReply(rule) => {
            let number = match rule {
                zap::IllegalReply::Frames => MALFORMED_REPLY,
                zap::IllegalReply::RequestId => BAD_REQUEST_ID,
                zap::IllegalReply::Version => BAD_VERSION,
                zap::IllegalReply::Status => INVALID_STATUS_CODE,
                zap::IllegalReply::Metadata => INVALID_METADATA,
                _ => UNSPECIFIED,
            };
            (HANDSHAKE_FAILED_PROTOCOL, number)
        }
        _ => (HANDSHAKE_FAILED_NO_DETAIL, libc::EACCES as u64),
    }
}

impl SocketHandle {
    fn monitor(&self, endpoint: &str, events: u64, format: Format, socket_type: SocketType) -> Result<()> {
        self.check_alive()?;
        if format == Format::One && events & !EVENTS_OF_VERSION_1 != 0 {
            return Err(Errno::INVALID);
        }
        if !matches!(socket_type, SocketType::Pair | SocketType::Pub | SocketType::Push) {
            return Err(Errno::INVALID);
        }
        match endpoint.split_once("://") {
            None => return Err(Errno::INVALID),
            Some(("inproc", _)) => {}
            Some(_) => return Err(Errno(libc::EPROTONOSUPPORT)),
        }
        self.stop_monitor();
        let builder = self.socket.context().any_socket_builder(socket_type);
        let socket = builder.linger(Some(Duration::ZERO)).build()?;
        socket.bind(endpoint)?;
        let source = Mutex::new(Source { open: Some((self.socket.monitor(), socket)) });
        let feed = Arc::new(Feed { source, events, format });
        feed.feed();
        *self.feed() = Some(feed);
        Ok(())
    }

    fn stop_monitor(&self) {
        let feed = self.feed().take();
        feed.into_iter().for_each(|feed| feed.stop());
    }

    /// Tells a monitor that nothing listens where it was to.
    pub(crate) fn tell_bind_failed(&self, endpoint: &str, errno: Errno) {
        if let Some(feed) = &*self.feed() {
            feed.send(&feed.lock(), &Told::of(BIND_FAILED, errno.0 as u64, endpoint.to_owned()));
        }
    }

    /// Tells how much is queued for and from each peer.
    fn tell_pipes(&self) -> Result<()> {
        self.check_alive()?;
        let feed = self.feed().clone().ok_or(Errno::INVALID)?;
        if feed.events & PIPES_STATS == 0 {
            return Err(Errno::INVALID);
        }
        // Asked before the lock is held: what has happened meanwhile is published by that, and fed on this thread.
        let peers = self.socket.peers();
        let source = feed.lock();
        for peer in peers {
            let values = vec![peer.send_queue_len as u64, peer.recv_queue_len as u64];
            let endpoint = peer.endpoint.unwrap_or_default();
            feed.send(&source, &Told { values, ..Told::of(PIPES_STATS, 0, endpoint) });
        }
        Ok(())
    }
}

/// Has a socket's events told by a PAIR socket at `endpoint`; a null endpoint ends that.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_socket_monitor(
    socket: *mut c_void,
    endpoint: *const c_char,
    events: c_int,
) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        zmq_socket_monitor_versioned(socket, endpoint, events as u32 as u64, 1, c_int::from(SocketType::Pair.number()))
    }
}

/// The same, in a version of the events and by a PAIR, PUB or PUSH.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_socket_monitor_versioned(
    socket: *mut c_void,
    endpoint: *const c_char,
    events: u64,
    version: c_int,
    socket_type: c_int,
) -> c_int {
    border::unit(|| {
        let call = socket::enter(socket)?;
        let format = match version {
            1 => Format::One,
            2 => Format::Two,
            _ => return Err(Errno::INVALID),
        };
        if endpoint.is_null() {
            call.stop_monitor();
            return Ok(());
        }
        let socket_type = u8::try_from(socket_type).ok().and_then(SocketType::from_number).ok_or(Errno::INVALID)?;
        // SAFETY: as the caller says.
        call.monitor(unsafe { border::text(endpoint) }?, events, format, socket_type)
    })
}

/// Has a monitor tell how much is queued for and from each peer.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_socket_monitor_pipes_stats(socket: *mut c_void) -> c_int {
    border::unit(|| socket::enter(socket)?.tell_pipes())
}
