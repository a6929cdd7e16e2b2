//! Errors, by whose fault they are: the caller's mistake, the system's refusal, or merely no luck now.

use std::{fmt, io};

use nought_proto::{
    Message, SocketType,
    pattern::{RecvRefusal, SendRefusal},
};

use crate::socket::kind::Ability;
use crate::transport::{AddressError, EndpointError, ListenError};

pub use nought_proto::pattern::{GroupRefusal as GroupError, SubscribeRefusal as SubscribeError};

/// What a raw socket is told that is to be joined within the process.
const NOT_FOR_STREAM: &str =
    "a STREAM socket, and a ROUTER with router_raw, talks to foreign programs: use tcp:// or ipc://";

/// Why a socket with security has no datagrams.
const UNPROTECTED: &str = "knows no security mechanism, and the socket has one: use tcp://, or a socket without";

/// What types there are for datagrams.
const DATAGRAM_TYPES: &str = "with udp://, RADIO connects, DISH and DGRAM bind; and DGRAM has no other";

/// A message was not sent. It comes back with [`into_message`](Self::into_message).
pub struct SendError {
    kind: SendErrorKind,
    message: Message,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// No peer has room, or none is there, and the call was not to wait. Try again, or use `send`.
    WouldBlock,
    /// No peer had room, or none was there, for the send time-out.
    TimedOut,
    /// It is not this socket's turn: a REQ must receive the reply first, a REP a request.
    OutOfTurn,
    /// The peer is not there that the first frame names (ROUTER with mandatory, STREAM), or the message is addressed to
    /// (SERVER, PEER); or it is addressed to none.
    Unroutable,
    /// Sockets of this type do not send, or not to such an address.
    NotSupported,
    /// The datagram is longer than 8192 bytes (DGRAM).
    TooLong,
    /// The message has no frame; or no frame behind the one that names its peer (ROUTER, STREAM); or several frames,
    /// where the socket conflates or its type has messages of one; or its group has an illegal name (RADIO).
    Malformed,
    /// A signal was handled meanwhile, and the socket is [`interruptible`](crate::SocketBuilder::interruptible).
    Interrupted,
    /// The context or the socket is shut down.
    Terminated,
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind, message: Message) -> Self {
        Self { kind, message }
    }

    /// Why the message was not sent.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The message, to be sent again or elsewhere.
    pub fn into_message(self) -> Message {
        self.message
    }
}

impl From<SendRefusal> for SendErrorKind {
    fn from(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::OutOfTurn => Self::OutOfTurn,
            SendRefusal::Unroutable => Self::Unroutable,
            SendRefusal::NotSupported => Self::NotSupported,
            SendRefusal::Malformed => Self::Malformed,
            SendRefusal::TooLong => Self::TooLong,
            _ => Self::WouldBlock,
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldBlock => "no peer can take a message now",
            Self::TimedOut => "no peer could take the message within the send time-out",
            Self::OutOfTurn => "it is not this socket's turn to send: receive first",
            Self::Unroutable => "no peer has the routing id that the message is for",
            Self::NotSupported => "sockets of this type do not send, or not to such an address",
            Self::TooLong => "a datagram has at most 8192 bytes: send it in pieces, or use another transport",
            Self::Malformed => {
                "the message lacks a frame (the body, or the routing id before it), has several where the socket takes \
                 one, or is for a group whose name is longer than 255 bytes or holds a zero"
            }
            Self::Interrupted => "a signal was handled while the call waited",
            Self::Terminated => "the context or the socket is shut down",
        })
    }
}

impl std::error::Error for SendError {}

/// No message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// There is none now, and the call was not to wait.
    WouldBlock,
    /// None came for the receive time-out.
    TimedOut,
    /// It is not this socket's turn: a REQ must send a request first, a REP its reply.
    OutOfTurn,
    /// Sockets of this type do not receive.
    NotSupported,
    /// A signal was handled meanwhile, and the socket is [`interruptible`](crate::SocketBuilder::interruptible).
    Interrupted,
    /// The context or the socket is shut down.
    Terminated,
}

impl From<RecvRefusal> for RecvError {
    fn from(refusal: RecvRefusal) -> Self {
        match refusal {
            RecvRefusal::OutOfTurn => Self::OutOfTurn,
            RecvRefusal::NotSupported => Self::NotSupported,
            _ => Self::WouldBlock,
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldBlock => "there is no message now",
            Self::TimedOut => "no message came within the receive time-out",
            Self::OutOfTurn => "it is not this socket's turn to receive: send first",
            Self::NotSupported => "sockets of this type do not receive",
            Self::Interrupted => "a signal was handled while the call waited",
            Self::Terminated => "the context or the socket is shut down",
        })
    }
}

impl std::error::Error for RecvError {}

/// A socket was not made.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketError {
    /// The context has as many sockets as it allows; close some, or raise `max_sockets`.
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The context is shut down.
    Terminated,
    /// An option has a value that it cannot have; the text says which and what to write instead.
    Option(&'static str),
    /// An option was set that the type of an [`Any`](crate::Any) does not have.
    WrongKind(WrongKind),
    /// The system refused (most often: no descriptors left).
    System(io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { max } => {
                write!(f, "the context has its {max} sockets: close some, or raise Context::builder().max_sockets(…)")
            }
            Self::Terminated => f.write_str("the context is shut down"),
            Self::Option(what) => f.write_str(what),
            Self::WrongKind(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system has no means for one more socket: {error}"),
        }
    }
}

impl std::error::Error for SocketError {}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<WrongKind> for SocketError {
    fn from(error: WrongKind) -> Self {
        Self::WrongKind(error)
    }
}

/// The type of an [`Any`](crate::Any) does not have this option or call. For the other kinds it does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind {
    ability: Ability,
    option: &'static str,
    socket_type: SocketType,
}

impl WrongKind {
    pub(crate) fn check(ability: Ability, option: &'static str, socket_type: SocketType) -> Result<(), Self> {
        if ability.is_of(socket_type) { Ok(()) } else { Err(Self { ability, option, socket_type }) }
    }

    /// The name of the option or call.
    pub fn option(&self) -> &'static str {
        self.option
    }

    /// The socket's type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<&str> = self.ability.types().map(SocketType::name).collect();
        write!(f, "{} is not for {}: it is for {}", self.option, self.socket_type, types.join(", "))
    }
}

impl std::error::Error for WrongKind {}

/// A socket was not bound.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The text is no endpoint.
    Endpoint(EndpointError),
    /// The transport cannot listen there.
    Listen(ListenError),
    /// Another socket of the context has this inproc name.
    NameInUse(String),
    /// STREAM sockets talk to foreign programs, over tcp or ipc.
    NotForStream,
    /// Sockets of this type are not bound to such endpoints: `udp://` is for DISH and DGRAM, all else not for DGRAM.
    WrongTransport {
        /// The socket's type.
        socket_type: SocketType,
        /// What stands before `://`.
        scheme: String,
    },
    /// The socket has a security mechanism, and datagrams know none.
    Unprotected {
        /// What stands before `://`.
        scheme: String,
    },
    /// The system refused to watch the listener.
    System {
        /// Where to listen was asked for.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
    /// The context or the socket is shut down.
    Terminated,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::NameInUse(name) => write!(f, "inproc://{name} is bound by another socket of this context"),
            Self::NotForStream => f.write_str(NOT_FOR_STREAM),
            Self::WrongTransport { socket_type, scheme } => {
                write!(f, "a {socket_type} is not bound to {scheme}://: {DATAGRAM_TYPES}")
            }
            Self::Unprotected { scheme } => write!(f, "{scheme}:// {UNPROTECTED}"),
            Self::System { endpoint, source } => write!(f, "cannot watch {endpoint}: {source}"),
            Self::Terminated => f.write_str("the context or the socket is shut down"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // They are shown in the place of this error: their causes are its causes.
            Self::Endpoint(error) => error.source(),
            Self::Listen(error) => error.source(),
            _ => None,
        }
    }
}

impl From<EndpointError> for BindError {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error)
    }
}

impl From<ListenError> for BindError {
    fn from(error: ListenError) -> Self {
        Self::Listen(error)
    }
}

/// A socket was not told to connect. A peer that is not there is no error: the socket keeps trying.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no endpoint.
    Endpoint(EndpointError),
    /// The transport cannot connect to this address.
    Address(AddressError),
    /// The routing id is empty, longer than 255 bytes, or starts with a zero byte.
    RoutingId,
    /// The type of an [`Any`](crate::Any) has no names for its peers.
    WrongKind(WrongKind),
    /// The socket is [`immediate`](crate::SocketBuilder::immediate): a peer has its number when it is there.
    Immediate,
    /// STREAM sockets talk to foreign programs, over tcp or ipc.
    NotForStream,
    /// Sockets of this type do not connect to such endpoints: `udp://` is for RADIO, and DGRAM does not connect.
    WrongTransport {
        /// The socket's type.
        socket_type: SocketType,
        /// What stands before `://`.
        scheme: String,
    },
    /// The socket has a security mechanism, and datagrams know none.
    Unprotected {
        /// What stands before `://`.
        scheme: String,
    },
    /// The context or the socket is shut down.
    Terminated,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(error) => error.fmt(f),
            Self::Address(error) => error.fmt(f),
            Self::WrongKind(error) => error.fmt(f),
            Self::Immediate => f.write_str("the socket is immediate: switch that off, or use connect"),
            Self::RoutingId => f.write_str("a routing id has 1 to 255 bytes, the first of them not zero"),
            Self::NotForStream => f.write_str(NOT_FOR_STREAM),
            Self::WrongTransport { socket_type, scheme } => {
                write!(f, "a {socket_type} does not connect to {scheme}://: {DATAGRAM_TYPES}")
            }
            Self::Unprotected { scheme } => write!(f, "{scheme}:// {UNPROTECTED}"),
            Self::Terminated => f.write_str("the context or the socket is shut down"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // They are shown in the place of this error: their causes are its causes.
            Self::Endpoint(error) => error.source(),
            Self::Address(error) => error.source(),
            _ => None,
        }
    }
}

impl From<EndpointError> for ConnectError {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error)
    }
}

impl From<WrongKind> for ConnectError {
    fn from(error: WrongKind) -> Self {
        Self::WrongKind(error)
    }
}

impl From<AddressError> for ConnectError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// The socket is not bound or connected to this endpoint. `unbind` takes what `bind` returned, `disconnect` what was
/// given to `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEndpoint;

impl fmt::Display for UnknownEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the socket has no such endpoint: unbind takes what bind returned, disconnect what was given to connect",
        )
    }
}

impl std::error::Error for UnknownEndpoint {}

/// A peer was not disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownPeer {
    /// No peer has this number.
    RoutingId,
    /// The type of an [`Any`](crate::Any) has no numbers for its peers.
    WrongKind(WrongKind),
}

impl From<WrongKind> for UnknownPeer {
    fn from(error: WrongKind) -> Self {
        Self::WrongKind(error)
    }
}

impl fmt::Display for UnknownPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoutingId => f.write_str("no peer has this routing id"),
            Self::WrongKind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UnknownPeer {}
