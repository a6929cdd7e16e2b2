//! Security mechanisms: what happens between the greeting and the first message (RFC 37, "Mechanisms").

mod null;

pub use self::null::Null;
use crate::{error::ProtocolError, wire::metadata::Metadata};

/// One side of a security handshake.
///
/// The connection sends every command that [`next_command`](Self::next_command) gives, and feeds every command that
/// comes in to [`handle_command`](Self::handle_command), until [`peer_metadata`](Self::peer_metadata) is there and no
/// command is left to send.
pub trait Mechanism: Send {
    /// The name in the greeting.
    fn name(&self) -> &'static str;

    /// Whether this side is the server, for mechanisms that have one.
    fn is_server(&self) -> bool;

    /// The name and data of a command to send now.
    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)>;

    /// Takes a command of the peer: its name and its data. ERROR is dealt with by the connection.
    ///
    /// # Errors
    /// The rule that the command breaks, or the reason to refuse the peer.
    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError>;

    /// What the peer says of itself, once this side has all it needs to go on to messages.
    fn peer_metadata(&self) -> Option<&Metadata>;
}
