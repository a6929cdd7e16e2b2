//! What a peer can do wrong, by the rule it broke.

use std::fmt;

use crate::{
    socket_type::SocketType,
    zap::{IllegalReply, Status},
};

/// Why a connection was closed: the peer broke a rule, or does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer broke a rule of the wire protocol.
    Misbehaved(Misbehaviour),
    /// The peer keeps the rules and still cannot be talked to.
    Incompatible(Incompatibility),
    /// The peer was not let in.
    Denied(Denial),
    /// The peer sent ERROR with this reason.
    RefusedByPeer(String),
    /// The handshake was not over in time.
    HandshakeTimedOut,
    /// Nothing came in for the heartbeat time-out.
    HeartbeatTimedOut,
}

impl ProtocolError {
    /// What the peer's authenticator said of this side, if that is why the peer refused it: the reason of its ERROR is
    /// then the status code (RFC 27).
    pub fn status_at_peer(&self) -> Option<Status> {
        let Self::RefusedByPeer(reason) = self else { return None };
        Status::decode(reason.as_bytes()).filter(|status| *status != Status::Success)
    }
}

/// Why a peer was not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// The authenticator says no.
    Status {
        /// What it says; not success.
        status: Status,
        /// Why.
        text: String,
    },
    /// There is no authenticator, and the socket wants one.
    NoAuthenticator,
    /// The authenticator's reply is none.
    IllegalReply(IllegalReply),
}

/// The rule of the wire protocol that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// The mechanism name is not 20 bytes of upper-case letters, digits, `-_.+` padded by zeros (RFC 37, "mechanism").
    MechanismName,
    /// A frame has a reserved flag set (RFC 37, "flags"; RFC 15, "flags").
    ReservedFlag,
    /// A command frame has MORE set (RFC 37, "command").
    CommandWithMore,
    /// A frame of ZMTP 1.0 says that it is zero bytes long, which leaves no room for its flags (RFC 13).
    ZeroLengthFrame,
    /// A length is beyond 2^63 − 1 (RFC 37, "long-size").
    LengthOverflow,
    /// The message is larger than the maximum message size of this socket.
    MessageTooLarge,
    /// The command is longer than any legal one.
    CommandTooLong,
    /// A command's name is empty, or its length does not fit the frame (RFC 37, "command").
    CommandName,
    /// A message frame came where the handshake wants a command (RFC 37, "security handshake").
    MessageInHandshake,
    /// The mechanism does not allow this command at this point.
    UnexpectedCommand,
    /// The command of the mechanism that has this name has another length or other constants than it must have.
    MechanismCommand(&'static str),
    /// A box of CURVE was not made with the right keys, or has been changed, or cut short (RFC 26).
    Box,
    /// The nonce of a box of CURVE is not greater than the one before (RFC 26, "short nonce").
    Nonce,
    /// A box of CURVE holds a frame with reserved flags (RFC 26, "payload-flags").
    BoxFlags,
    /// A frame came without a box, where CURVE is spoken.
    Unsealed,
    /// The metadata's lengths do not fit the command (RFC 37, "metadata").
    Metadata,
    /// READY lacks Socket-Type (RFC 37, "Connection metadata").
    NoSocketType,
    /// The routing id is longer than 255 bytes, or starts with the zero byte that is kept for generated ids.
    RoutingId,
    /// A PING is too short for its TTL (RFC 37, "Connection heartbeating").
    Ping,
    /// An ERROR's reason does not fit the command (RFC 37, "error").
    ErrorReason,
    /// A message does not have the frames that the pattern needs.
    Envelope,
    /// The peer sends commands that want answers and does not read those.
    CommandFlood,
    /// The peer subscribes at a socket that does not publish.
    Subscription,
    /// There is no room for more subscriptions.
    SubscriptionFlood,
    /// The peer sends messages to a socket that receives none.
    UnexpectedMessage,
    /// A group's name is longer than 255 bytes, or holds a zero byte (RFC 48, "Group").
    Group,
    /// A message of several frames to a socket whose messages have one (RFC 41, 49, 51 and 52).
    Multipart,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incompatibility {
    /// The socket types do not talk to each other.
    SocketType {
        /// Of this socket.
        ours: SocketType,
        /// Of the peer; `None` if it names a type that is not known here.
        theirs: Option<SocketType>,
    },
    /// The peer wants another security mechanism.
    Mechanism {
        /// This socket's mechanism.
        ours: &'static str,
        /// The peer's mechanism.
        theirs: String,
    },
    /// Both want to be the server of the security mechanism.
    Role,
    /// The peer's version of the protocol has no security, and this socket wants some.
    VersionWithoutSecurity,
    /// The peer's version of the protocol does not know this socket's type.
    VersionWithoutType(SocketType),
    /// Another connection has this routing id already.
    RoutingIdTaken,
    /// This socket takes one peer, and has it.
    PeerTaken,
    /// This socket talks to foreign programs alone, and the peer is in its process.
    Raw,
}

impl From<Misbehaviour> for ProtocolError {
    fn from(rule: Misbehaviour) -> Self {
        Self::Misbehaved(rule)
    }
}

impl From<Denial> for ProtocolError {
    fn from(reason: Denial) -> Self {
        Self::Denied(reason)
    }
}

impl From<Incompatibility> for ProtocolError {
    fn from(reason: Incompatibility) -> Self {
        Self::Incompatible(reason)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misbehaved(rule) => write!(f, "the peer broke the protocol: {rule}"),
            Self::Incompatible(reason) => reason.fmt(f),
            Self::Denied(reason) => reason.fmt(f),
            Self::RefusedByPeer(reason) => write!(f, "the peer refused the connection: {reason}"),
            Self::HandshakeTimedOut => f.write_str("the handshake was not over in time"),
            Self::HeartbeatTimedOut => f.write_str("the peer has been silent for the heartbeat time-out"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, text } => write!(f, "the peer was not let in: {} {text}", status.code()),
            Self::NoAuthenticator => f.write_str("there is no authenticator to let peers in"),
            Self::IllegalReply(rule) => write!(f, "the authenticator's reply is none: {rule}"),
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MechanismCommand(name) => return write!(f, "malformed {name} of the security mechanism"),
            Self::MechanismName => "malformed mechanism name",
            Self::ReservedFlag => "reserved frame flag set",
            Self::CommandWithMore => "command frame with MORE",
            Self::ZeroLengthFrame => "frame of length zero in ZMTP 1.0",
            Self::LengthOverflow => "frame length beyond 2^63 - 1",
            Self::MessageTooLarge => "message larger than the maximum message size",
            Self::CommandTooLong => "command too long",
            Self::CommandName => "malformed command name",
            Self::MessageInHandshake => "message frame in the handshake",
            Self::UnexpectedCommand => "command not allowed here",
            Self::Box => "box that cannot be opened: wrong key, or changed on the way",
            Self::Nonce => "box with a nonce that is not greater than the one before",
            Self::BoxFlags => "box with reserved flags",
            Self::Unsealed => "frame without a box",
            Self::Metadata => "malformed metadata",
            Self::NoSocketType => "READY without Socket-Type",
            Self::RoutingId => "illegal routing id",
            Self::Ping => "malformed PING",
            Self::ErrorReason => "malformed ERROR",
            Self::Envelope => "message without the frames its pattern needs",
            Self::CommandFlood => "commands sent faster than their answers are read",
            Self::Subscription => "subscription at a socket that does not publish",
            Self::SubscriptionFlood => "more subscriptions than there is room for",
            Self::UnexpectedMessage => "message to a socket that receives none",
            Self::Group => "illegal name of a group",
            Self::Multipart => "message of several frames to a socket whose messages have one",
        })
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SocketType { ours, theirs: Some(theirs) } => write!(f, "a {theirs} cannot talk to a {ours}"),
            Self::SocketType { ours, theirs: None } => write!(f, "the peer's socket type is not known to a {ours}"),
            Self::Mechanism { ours, theirs } => {
                write!(f, "the peer uses the security mechanism {theirs}, this socket {ours}")
            }
            Self::Role => f.write_str("both want to be the server of the security mechanism"),
            Self::VersionWithoutSecurity => {
                f.write_str("the peer's ZMTP version has no security, this socket wants it")
            }
            Self::VersionWithoutType(ours) => write!(f, "the peer's ZMTP version does not know a {ours}"),
            Self::RoutingIdTaken => f.write_str("another peer has the same routing id"),
            Self::PeerTaken => f.write_str("the socket takes one peer and has it"),
            Self::Raw => f.write_str("the socket talks to foreign programs, not to those of its process"),
        }
    }
}

impl std::error::Error for ProtocolError {}
