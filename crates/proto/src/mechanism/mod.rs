//! Security mechanisms: what happens between the greeting and the first message (RFC 37, "Mechanisms"). A file for
//! each, one trait, one table. A new mechanism is a file and a row.

mod null;

pub use self::null::Null;
use crate::{error::ProtocolError, wire::metadata::Metadata};

/// Which mechanism a socket uses with all its peers, and what that needs: names and passwords for PLAIN, keys for CURVE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// None: [`Null`].
    #[default]
    Null,
}

impl Security {
    /// The table of mechanisms: one side of a handshake in which it says `metadata` of itself.
    pub(crate) fn mechanism(&self, metadata: &Metadata, role: Role) -> Box<dyn Mechanism> {
        match self {
            Self::Null => Box::new(Null::new(metadata, role)),
        }
    }
}

/// Who speaks first in NULL: "the peer that binds shall be the server, and connecting peer shall be the client" (RFC 37).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This side has connected.
    Client,
    /// This side was connected to. It hears who the peer is before it says that it is ready.
    Server,
}

/// One side of a security handshake.
///
/// The connection sends every command that [`next_command`](Self::next_command) gives, and feeds every command that
/// comes in to [`handle_command`](Self::handle_command), until it [`is_done`](Self::is_done). After each command that
/// came in it looks at [`peer_metadata`](Self::peer_metadata), and may refuse the peer by an ERROR in the place of the
/// next command: a side that hears of the peer before it says its last word must not say it before.
///
/// # What is not here
/// A mechanism that also works on each message, as CURVE does with its MESSAGE box, will hand over what that takes (keys
/// and nonces) when the handshake is over, in a method like `fn into_cipher(self: Box<Self>) -> Option<Cipher>` that
/// returns `None` by default. The connection keeps it beside its version. Outgoing frames go through it where the outbox
/// is given to the driver ([`begin_write`](crate::Socket::begin_write)): queues stay in the clear, so that what was not
/// sent can be encrypted anew for the next connection. Incoming frames go through it where they are scanned. A
/// connection without a cipher pays for it with one branch per write and per scan, and none per message.
pub trait Mechanism: Send {
    /// The name in the greeting.
    fn name(&self) -> &'static str;

    /// Whether this side is the server, for mechanisms that have one.
    fn is_server(&self) -> bool;

    /// Whether a peer of ZMTP 1.0 or 2.0 will do, which has no mechanisms.
    fn accepts_none(&self) -> bool;

    /// The name and data of a command to send now.
    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)>;

    /// Takes a command of the peer: its name and its data. ERROR is dealt with by the connection.
    ///
    /// # Errors
    /// The rule that the command breaks, or the reason to refuse the peer.
    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError>;

    /// What the peer says of itself, as soon as it has said so.
    fn peer_metadata(&self) -> Option<&Metadata>;

    /// Whether this side has said and heard all it needs to go on to messages; its peer's metadata is there then.
    fn is_done(&self) -> bool;
}
