//! Transports: where bytes come from and go to.
//!
//! A transport supplies non-blocking byte channels to peers and nothing else; framing, handshakes and patterns are
//! laid over it. [`Tcp`], [`Ipc`] and [`Ws`] are built in, `Wss` is with the feature `wss`, and so is [`Udp`], which
//! supplies datagrams instead ([`DatagramChannel`]). Another one implements [`Transport`], [`Listener`] and [`Channel`],
//! and is added to [`Transports`]; those built in use nothing that it could not, and [`StreamSocket`] does most of the
//! work for any kind of kernel stream socket.
//!
//! The order of events is this. To accept: [`Transport::bind`], then [`Listener::accept`] each time
//! [`Listener::readiness`] becomes readable, until it says `WouldBlock`. To connect: [`Transport::check`] in the
//! user's call; [`Transport::resolve_now`], or else [`Transport::resolve`] on the resolver's thread; then
//! [`Transport::connect`] to one target after another; and [`Channel::connected`] each time a [`Connecting::Pending`]
//! channel becomes writable or readable.
//!
//! A panic in a channel or a listener, in `connect` or in a lookup is an error of that call: it costs the connection or
//! the attempt.

mod by_identity;
mod delivery;
mod endpoint;
mod ipc;
mod options;
pub(crate) mod shield;
mod socks;
mod tcp;
#[cfg(feature = "wss")]
mod tls;
mod udp;
#[cfg(feature = "wss")]
mod verifier;
mod ws;
#[cfg(feature = "wss")]
mod wss;

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use socket2::Socket;

pub use nought_proto::connection::PeerCredentials;
pub use nought_proto::socks::{Refusal as SocksRefusal, TooLong as SocksTooLong};

pub use self::endpoint::{AddressError, Endpoint, EndpointError, Target, Transports};
pub use self::ipc::Ipc;
pub use self::options::{AcceptFilter, InheritedListener, KeepAlive, Network, NoNetwork, TransportOptions};
pub use self::socks::SocksProxy;
pub use self::tcp::Tcp;
#[cfg(feature = "wss")]
pub use self::tls::{TlsError, TlsIdentity, TlsName, TlsTrust};
pub use self::udp::Udp;
pub use self::ws::Ws;
#[cfg(feature = "wss")]
pub use self::wss::Wss;

/// A kind of byte channel, found by the scheme of an endpoint.
pub trait Transport: Send + Sync + 'static {
    /// What stands before `://`.
    fn scheme(&self) -> &'static str;

    /// Whether it carries any bytes, as STREAM and ROUTER with `router_raw` exchange with their peers, and not the frames
    /// of ZMTP alone.
    fn carries_streams(&self) -> bool {
        true
    }

    /// Listens at `address`. May block, for a host name only, while the system looks it up.
    ///
    /// # Errors
    /// Any [`ListenError`]; nothing is left behind.
    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError>;

    /// Whether `address` can be connected to, as far as its own text tells: no input or output.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError>;

    /// The targets of an `address` that needs no lookup: a literal one. `None` where [`resolve`](Self::resolve) must
    /// be asked, on a thread that may block. Never blocks.
    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>>;

    /// All targets of `address`, at least one, in the order in which to try them. May block for as long as the
    /// system's name service does (30 seconds is usual when it is out of reach), so it is called on a resolver's
    /// thread only.
    ///
    /// # Errors
    /// What the name service or the system says; a later attempt may succeed.
    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>>;

    /// Whether it has datagrams and no connections: [`bind_datagrams`](Self::bind_datagrams) is then asked in the place of
    /// [`bind`](Self::bind).
    fn has_datagrams(&self) -> bool {
        false
    }

    /// Opens a place at `address` where datagrams arrive.
    ///
    /// # Errors
    /// Any [`ListenError`]; nothing is left behind.
    fn bind_datagrams(&self, address: &str, _: &TransportOptions) -> Result<Arc<dyn DatagramChannel>, ListenError> {
        Err(AddressError::Other(format!("{}://{address} has connections, and no datagrams", self.scheme())).into())
    }

    /// Begins to connect to one target. Never blocks.
    ///
    /// # Errors
    /// The target refuses or cannot be reached, or the system lacks the means; a later attempt may succeed. A
    /// `target` that another transport made gives `InvalidInput`.
    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting>;
}

/// How far a connection has come when [`Transport::connect`] returns.
pub enum Connecting {
    /// It stands.
    Done(Arc<dyn Channel>),
    /// It is on its way: each time the channel becomes writable or readable, ask [`Channel::connected`].
    Pending(Arc<dyn Channel>),
    /// There are no connections: datagrams go to the target.
    Datagrams(Arc<dyn DatagramChannel>),
}

/// Where peers arrive. Dropping it stops listening and removes what it put into the file system.
pub trait Listener: Send + 'static {
    /// The next peer.
    ///
    /// # Errors
    /// `WouldBlock`: nobody is waiting. Others may pass ([`is_transient`]), some of them only with time
    /// ([`is_exhaustion`]).
    fn accept(&self) -> io::Result<Arc<dyn Channel>>;

    /// What becomes readable when a peer waits. The engine registers it edge-triggered.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// The endpoint as it was resolved, with the real port or path in the place of a wildcard: what a peer connects
    /// to and what `unbind` takes.
    fn endpoint(&self) -> &str;
}

/// A byte channel to one peer, non-blocking.
///
/// It is shared: one reader and one writer may be inside at once, on different threads. Dropping the last handle
/// closes it.
pub trait Channel: Send + Sync + 'static {
    /// Reads once and appends what came to `into`, no more than its spare capacity, which never grows. `Ok(0)`: the
    /// peer has closed.
    ///
    /// # Errors
    /// `WouldBlock`: nothing has come yet. `Interrupted`: nothing yet that counts, and there may be more.
    /// `InvalidInput`: `into` has no room. Any other ends the channel.
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize>;

    /// Whether a read would bring something that the poller does not tell of, since it has left the kernel already: of a
    /// channel that decrypts or translates, for instance. Asked after a read that brought less than there was room for,
    /// and after writes.
    fn holds_more(&self) -> bool {
        false
    }

    /// Writes once, as much as the channel takes of `from` from its start, and says how many bytes that was. It may
    /// leave out any of the later slices. Never raises a signal.
    ///
    /// # Errors
    /// `WouldBlock`: there is no room yet. Any other ends the channel.
    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Goes on writing what the channel says by itself, of a handshake of its own for instance, and could not write when
    /// it was due. Called each time the channel becomes writable and nobody writes.
    ///
    /// # Errors
    /// `WouldBlock`: something is left. Any other ends the channel.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// What becomes readable, writable or closed by the peer. The engine registers it edge-triggered.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// Goes on with a pending connection, once the channel became writable or readable, and says how it ended.
    ///
    /// # Errors
    /// `WouldBlock`: it is still on its way. Any other: it was not made.
    fn connected(&self) -> io::Result<()>;

    /// Tells the peer that nothing more will be written; what was written still arrives, and reading goes on. What there is
    /// no room for now is left to [`flush`](Self::flush).
    ///
    /// # Errors
    /// The channel has ended already.
    fn close_write(&self) -> io::Result<()>;

    /// Whether closing the channel now could destroy nothing of what was written: the peer's system has it all, or keeps
    /// it. Asked after [`close_write`](Self::close_write), and for a peer that goes on for seconds.
    fn is_delivered(&self) -> bool {
        true
    }

    /// This side's endpoint, as in `tcp://192.0.2.1:5555`; an unnamed Unix socket is `ipc://`.
    fn local_endpoint(&self) -> String;

    /// The peer's endpoint, in the same form.
    fn remote_endpoint(&self) -> String;

    /// The peer's address as messages carry it in the property `Peer-Address` and as ZAP handlers see it: the IP
    /// address alone for tcp, `localhost:UID:GID:PID` for ipc (both as in libzmq). `None` where the transport knows
    /// of none.
    fn peer_address(&self) -> Option<String>;

    /// Who the peer is, where the kernel vouches for it: on ipc alone.
    fn peer_credentials(&self) -> Option<PeerCredentials> {
        None
    }

    /// Whether heartbeats may travel encrypted, as all of ZMTP does with CURVE. Not where the transport has heartbeats of
    /// its own, and its peers answer no others. Asked once, before the handshake.
    fn carries_sealed_heartbeats(&self) -> bool {
        true
    }
}

/// A place to send datagrams from and to receive them at, non-blocking and shared as a [`Channel`] is.
pub trait DatagramChannel: Send + Sync + 'static {
    /// Receives one datagram into `into`, and says how long it is and whose; one that is longer than `into` fills it.
    ///
    /// # Errors
    /// `WouldBlock`: none has come. Any other ends the channel.
    fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends one datagram: to `to`, or without it to the target that the channel was made for.
    ///
    /// # Errors
    /// `WouldBlock`: there is no room yet. Any other concerns this datagram alone.
    fn send(&self, datagram: &[u8], to: Option<SocketAddr>) -> io::Result<()>;

    /// What becomes readable or writable. The engine registers it edge-triggered.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// The endpoint that peers connect to, as it was resolved.
    fn local_endpoint(&self) -> String;

    /// The target's endpoint; for a channel without one, its own.
    fn remote_endpoint(&self) -> String;
}

/// A stream socket of the kernel with all that a [`Channel`] does with one, whatever its family.
#[derive(Debug)]
pub struct StreamSocket(OwnedFd);

impl StreamSocket {
    /// Over a socket that is already non-blocking.
    pub fn new(socket: impl Into<OwnedFd>) -> Self {
        Self(socket.into())
    }

    /// See [`Channel::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        if into.len() == into.capacity() {
            // The kernel would answer a read of no bytes with 0, as if the peer had closed.
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
        }
        let (len, _) = retry_on_intr(|| net::recv(&self.0, spare_capacity(into), RecvFlags::empty()))?;
        Ok(len)
    }

    /// Reads once into `into`, and no more than that.
    fn read_slice(&self, into: &mut [u8]) -> io::Result<usize> {
        let (len, _) = retry_on_intr(|| net::recv(&self.0, &mut *into, RecvFlags::empty()))?;
        Ok(len)
    }

    /// See [`Channel::write`].
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL;
        let written = match from {
            [] => Ok(0),
            [one] => retry_on_intr(|| net::send(&self.0, one, flags)),
            several => {
                let taken = &several[..several.len().min(IOV_MAX)];
                retry_on_intr(|| net::sendmsg(&self.0, taken, &mut SendAncillaryBuffer::default(), flags))
            }
        };
        Ok(written?)
    }

    /// See [`Channel::connected`].
    ///
    /// # Errors
    /// As there.
    pub fn connected(&self) -> io::Result<()> {
        net::sockopt::socket_error(&self.0)??;
        match net::getpeername(&self.0) {
            Ok(_) => Ok(()),
            Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// See [`Channel::close_write`].
    ///
    /// # Errors
    /// As there.
    pub fn close_write(&self) -> io::Result<()> {
        Ok(net::shutdown(&self.0, Shutdown::Write)?)
    }
}

impl AsFd for StreamSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The most slices that Linux takes in one call (`UIO_MAXIOV`); more is an error there, so the rest waits.
const IOV_MAX: usize = 1024;

/// Whether an error of [`Listener::accept`] leaves the listener as good as before: it concerned one peer, or it will
/// pass. `WouldBlock` is one of them.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    const PEER_IS_GONE: [Errno; 4] = [Errno::CONNABORTED, Errno::CONNRESET, Errno::PROTO, Errno::TIMEDOUT];
    // Linux hands errors of the network on the new connection to accept(): accept(2), "Error handling".
    const NETWORK: [Errno; 7] = [
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NONET,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
    ];
    // A firewall's rule forbade this one.
    const FORBIDDEN: Errno = Errno::PERM;

    let Some(errno) = Errno::from_io_error(error) else {
        return matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
    };
    matches!(errno, Errno::AGAIN | Errno::INTR | FORBIDDEN)
        || PEER_IS_GONE.contains(&errno)
        || NETWORK.contains(&errno)
        || is_exhaustion(error)
}

/// Whether an error says that the process or the system has run out of descriptors or memory. What was asked may
/// succeed later, once others have given something back; until then it is worth waiting before the next attempt.
///
/// The peer that could not be accepted still waits, and an edge-triggered poller does not tell of it again.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Why a transport cannot listen at an address.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenError {
    /// The caller's mistake: the address cannot be used as it is written.
    Address(AddressError),
    /// The host is neither an interface of this machine nor a name that can be looked up.
    NoSuchHost {
        /// What was written.
        host: String,
        /// What the lookup said.
        source: io::Error,
    },
    /// Somebody listens there already.
    InUse {
        /// Where.
        endpoint: String,
    },
    /// The address belongs to no interface of this machine.
    NotLocal {
        /// The address.
        endpoint: String,
    },
    /// ipc: a file that is no socket stands at the path; it is left alone.
    NotASocket {
        /// The path.
        path: String,
    },
    /// The system's refusal, of whatever kind.
    System {
        /// Where to listen was asked for.
        endpoint: String,
        /// What was tried, as in "bind".
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// Sorts what the system said when `step` ("bind", "listen") was tried for `endpoint`.
    #[must_use]
    pub fn system(endpoint: impl Into<String>, step: &'static str, source: io::Error) -> Self {
        let endpoint = endpoint.into();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { endpoint },
            io::ErrorKind::AddrNotAvailable => Self::NotLocal { endpoint },
            _ => Self::System { endpoint, step, source },
        }
    }

    /// The system's error number that says it best, for callers that speak C: as in libzmq, `ENODEV` for a host that
    /// is not known.
    #[must_use]
    pub fn errno(&self) -> i32 {
        let errno = match self {
            Self::Address(error) => return error.errno(),
            Self::NoSuchHost { .. } => Errno::NODEV,
            Self::InUse { .. } | Self::NotASocket { .. } => Errno::ADDRINUSE,
            Self::NotLocal { .. } => Errno::ADDRNOTAVAIL,
            Self::System { source, .. } => Errno::from_io_error(source).unwrap_or(Errno::IO),
        };
        errno.raw_os_error()
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::NoSuchHost { host, source } => write!(
                f,
                "{host:?} is neither a network interface nor a host that can be found ({source}): \
                 write * for every interface, an interface's name or an IP address"
            ),
            Self::InUse { endpoint } => {
                write!(f, "somebody listens at {endpoint} already: end that, or bind another address")
            }
            Self::NotLocal { endpoint } => {
                write!(f, "{endpoint} is no address of this machine: bind one that is, or * for every interface")
            }
            Self::NotASocket { path } => {
                write!(f, "{path:?} exists and is no socket: remove it yourself, or bind another path")
            }
            Self::System { endpoint, step, source } => {
                write!(f, "cannot {step} {endpoint}: {source}{}", advice(source))
            }
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => std::error::Error::source(error),
            // The others tell their cause themselves.
            _ => None,
        }
    }
}

impl From<AddressError> for ListenError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

fn advice(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => "; a port below 1024, a device or a directory may need a privilege",
        Some(Errno::NOENT) => "; make the directory first",
        Some(Errno::NODEV) => "; there is no such network interface",
        Some(Errno::MFILE | Errno::NFILE) => "; close some, or raise the limit of open files (ulimit -n)",
        Some(Errno::AFNOSUPPORT) => "; this machine lacks that family of addresses",
        _ => "",
    }
}

fn foreign_target(scheme: &str, target: &Target) -> io::Error {
    let reason = format!("{target:?} was not made by the transport {scheme:?}");
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// The socket that the options bring along, ready to accept from.
fn inherited_socket(inherited: &InheritedListener, endpoint: &str) -> Result<Socket, ListenError> {
    let failed = |source| ListenError::system(endpoint, "take over the socket for", source);
    let unfit = |reason| failed(io::Error::new(io::ErrorKind::InvalidInput, reason));

    let socket = inherited.take().map(Socket::from);
    let socket = socket.ok_or_else(|| unfit("an earlier bind has taken it"))?;
    if !socket.is_listener().map_err(failed)? {
        return Err(unfit("it does not listen"));
    }
    socket.set_nonblocking(true).map_err(failed)?;
    socket.set_cloexec(true).map_err(failed)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Waits for `events` at `fd`, ten seconds at most.
    pub(super) fn wait(fd: BorrowedFd<'_>, events: PollFlags) {
        let limit = Timespec::try_from(Duration::from_secs(10)).unwrap();
        let mut polled = [PollFd::from_borrowed_fd(fd, events)];
        assert_eq!(poll(&mut polled, Some(&limit)).unwrap(), 1, "nothing came within ten seconds");
    }

    pub(super) fn accept(listener: &dyn Listener) -> Arc<dyn Channel> {
        wait(listener.readiness(), PollFlags::IN);
        listener.accept().unwrap()
    }

    /// Connects to the first target of `endpoint` and waits until the connection stands or has failed.
    pub(super) fn connect(
        transport: &dyn Transport,
        endpoint: &str,
        options: &TransportOptions,
    ) -> io::Result<Arc<dyn Channel>> {
        let address = Endpoint::parse(endpoint).unwrap().address();
        transport.check(address, options).unwrap();
        let targets = transport.resolve(address, options)?;
        match transport.connect(&targets[0], options)? {
            Connecting::Done(channel) => Ok(channel),
            Connecting::Pending(channel) => {
                wait(channel.readiness(), PollFlags::OUT);
                channel.connected().map(|()| channel)
            }
            Connecting::Datagrams(_) => panic!("{endpoint} has connections"),
        }
    }

    pub(super) fn receive(channel: &dyn Channel, len: usize) -> Vec<u8> {
        let mut received = Vec::with_capacity(len);
        while received.len() < len {
            wait(channel.readiness(), PollFlags::IN);
            assert_ne!(channel.read(&mut received).unwrap(), 0, "the peer has closed");
        }
        received
    }

    /// Both directions, a gathered write, and the half-close, over two ends of one connection.
    pub(super) fn talk(near: &dyn Channel, far: &dyn Channel) {
        assert_eq!(near.write(&[IoSlice::new(b"one")]).unwrap(), 3);
        assert_eq!(near.write(&[]).unwrap(), 0);
        assert_eq!(receive(far, 3), b"one");
        assert_eq!(far.write(&[IoSlice::new(b"two"), IoSlice::new(b"three")]).unwrap(), 8);
        assert_eq!(receive(near, 8), b"twothree");

        let mut into = Vec::with_capacity(1);
        assert_eq!(near.read(&mut into).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        near.close_write().unwrap();
        wait(far.readiness(), PollFlags::IN);
        assert_eq!(far.read(&mut into).unwrap(), 0);
        assert_eq!(far.write(&[IoSlice::new(b"still")]).unwrap(), 5);
        assert_eq!(receive(near, 5), b"still");
    }

    fn pair() -> (StreamSocket, StreamSocket) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        (StreamSocket::new(near), StreamSocket::new(far))
    }

    #[test]
    fn reads_into_the_spare_capacity_and_no_further() {
        let (near, far) = pair();
        near.write(&[IoSlice::new(b"abcdef")]).unwrap();
        let mut into = Vec::with_capacity(8);
        into.extend_from_slice(b"....");
        let room = into.capacity() - into.len();
        assert_eq!(far.read(&mut into).unwrap(), room.min(6));
        assert_eq!(into, b"....abcdef"[..into.len()]);

        let mut full = vec![0; 4];
        full.shrink_to_fit();
        assert_eq!(far.read(&mut full).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn leaves_out_more_slices_than_the_kernel_takes() {
        let (near, far) = pair();
        let slices = vec![IoSlice::new(b"x"); IOV_MAX + 10];
        assert_eq!(near.write(&slices).unwrap(), IOV_MAX);
        let mut into = Vec::with_capacity(2 * IOV_MAX);
        assert_eq!(far.read(&mut into).unwrap(), IOV_MAX);
    }

    #[test]
    fn a_write_to_a_closed_peer_is_an_error_and_no_signal() {
        let (near, far) = pair();
        drop(far);
        let one = near.write(&[IoSlice::new(b"x")]).unwrap_err();
        let several = near.write(&[IoSlice::new(b"x"), IoSlice::new(b"y")]).unwrap_err();
        assert_eq!((one.kind(), several.kind()), (io::ErrorKind::BrokenPipe, io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn sorts_the_errors_of_accept() {
        let of = |errno: Errno| io::Error::from(errno);
        for passing in [Errno::AGAIN, Errno::CONNABORTED, Errno::HOSTUNREACH, Errno::PERM] {
            assert!(is_transient(&of(passing)) && !is_exhaustion(&of(passing)), "{passing}");
        }
        for exhaustion in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_transient(&of(exhaustion)) && is_exhaustion(&of(exhaustion)), "{exhaustion}");
        }
        for lasting in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert!(!is_transient(&of(lasting)), "{lasting}");
        }
        assert!(is_transient(&io::ErrorKind::WouldBlock.into()));
    }

    /// A fourth transport, made of public things alone: names within one process.
    struct Within {
        bound: Mutex<Option<(String, Sender<UnixStream>)>>,
    }

    struct WithinListener {
        endpoint: String,
        arrivals: Receiver<UnixStream>,
        /// A byte for each arrival.
        bell: StreamSocket,
    }

    struct WithinChannel(StreamSocket);

    impl Transport for Within {
        fn scheme(&self) -> &'static str {
            "within"
        }

        fn bind(&self, address: &str, _: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
            let (sender, arrivals) = channel();
            let (bell, _) = pair();
            *self.bound.lock().unwrap() = Some((address.to_owned(), sender));
            Ok(Box::new(WithinListener { endpoint: format!("within://{address}"), arrivals, bell }))
        }

        fn check(&self, address: &str, _: &TransportOptions) -> Result<(), AddressError> {
            let all_lower = address.bytes().all(|byte| byte.is_ascii_lowercase());
            all_lower.then_some(()).ok_or(AddressError::Other("write a to z".to_owned()))
        }

        fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
            Some(self.resolve(address, options))
        }

        fn resolve(&self, address: &str, _: &TransportOptions) -> io::Result<Vec<Target>> {
            Ok(vec![Target::new(format!("within://{address}"), address.to_owned())])
        }

        fn connect(&self, target: &Target, _: &TransportOptions) -> io::Result<Connecting> {
            let name: &String = target.address().ok_or(io::ErrorKind::InvalidInput)?;
            let bound = self.bound.lock().unwrap();
            let (_, sender) =
                bound.as_ref().filter(|(address, _)| address == name).ok_or(io::ErrorKind::ConnectionRefused)?;
            let (near, far) = UnixStream::pair()?;
            near.set_nonblocking(true)?;
            far.set_nonblocking(true)?;
            sender.send(far).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Connecting::Done(Arc::new(WithinChannel(StreamSocket::new(near)))))
        }
    }

    impl Listener for WithinListener {
        fn accept(&self) -> io::Result<Arc<dyn Channel>> {
            let arrival = self.arrivals.try_recv().map_err(|_| io::ErrorKind::WouldBlock)?;
            Ok(Arc::new(WithinChannel(StreamSocket::new(arrival))))
        }

        fn readiness(&self) -> BorrowedFd<'_> {
            self.bell.as_fd()
        }

        fn endpoint(&self) -> &str {
            &self.endpoint
        }
    }

    impl Channel for WithinChannel {
        fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
            self.0.read(into)
        }

        fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.write(from)
        }

        fn readiness(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        fn connected(&self) -> io::Result<()> {
            self.0.connected()
        }

        fn close_write(&self) -> io::Result<()> {
            self.0.close_write()
        }

        fn local_endpoint(&self) -> String {
            "within://".to_owned()
        }

        fn remote_endpoint(&self) -> String {
            "within://".to_owned()
        }

        fn peer_address(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_fourth_transport_is_added_and_used_like_the_others() {
        let mut transports = Transports::new();
        assert!(transports.insert(Arc::new(Within { bound: Mutex::default() })).is_none());
        let within = Arc::clone(transports.find("within").unwrap());
        let options = TransportOptions::default();

        let listener = within.bind("here", &options).unwrap();
        assert_eq!(listener.accept().err().unwrap().kind(), io::ErrorKind::WouldBlock);
        let near = connect(&*within, listener.endpoint(), &options).unwrap();
        let far = listener.accept().unwrap();
        talk(&*near, &*far);
        assert_eq!(near.peer_credentials(), None);

        let foreign = Target::new("tcp://127.0.0.1:1", 1_u8);
        for transport in [&within, transports.find("tcp").unwrap(), transports.find("ipc").unwrap()] {
            let error = transport.connect(&foreign, &options).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}", transport.scheme());
        }
    }
}
