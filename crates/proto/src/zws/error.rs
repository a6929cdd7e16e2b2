//! The rules of WebSocket and of ZWS that a peer can break.

use std::fmt;

/// The rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// What came is no head of HTTP/1.1.
    NotHttp,
    /// The head of the upgrade is longer than [`UPGRADE_LEN_MAX`](crate::limits::UPGRADE_LEN_MAX), or has more than 64
    /// fields.
    UpgradeTooLong,
    /// The request does not ask for a WebSocket of version 13 with a key of 16 bytes (RFC 6455, 4.2.1).
    NotAnUpgrade,
    /// The request offers no subprotocol of ZWS 2.0.
    NoSubprotocol,
    /// The server answers with this status.
    Status(u16),
    /// The response does not prove that a WebSocket server has read the request (RFC 6455, 4.1).
    NotAccepted,
    /// The server chose this subprotocol, which was not offered.
    Subprotocol(String),
    /// A frame has a reserved bit or an unknown opcode.
    Reserved,
    /// A client's frame is not masked, or a server's is.
    Masking,
    /// A frame's length is beyond 2^63 − 1.
    LengthOverflow,
    /// A control frame is longer than 125 bytes or fragmented.
    ControlFrame,
    /// A frame continues no message, or begins one within another.
    Fragmentation,
    /// A message in fragments is longer than [`FRAGMENTED_LEN_MAX`](crate::limits::FRAGMENTED_LEN_MAX), or, before the
    /// handshake is over, than any legal command.
    FragmentsTooLong,
    /// A message is text.
    Text,
    /// A message does not begin with a byte 0, 1 or 2 (RFC 45, "Framing").
    Flags,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer broke a rule of WebSocket: ")?;
        f.write_str(match self {
            Self::NotHttp => "it does not speak HTTP/1.1",
            Self::UpgradeTooLong => "the HTTP head is too long",
            Self::NotAnUpgrade => "its request is not for a WebSocket of version 13",
            Self::NoSubprotocol => "its request offers no subprotocol of ZWS2.0",
            Self::Status(status) => return write!(f, "it answers the upgrade with HTTP status {status}"),
            Self::NotAccepted => "its response is not that of a WebSocket server",
            Self::Subprotocol(chosen) => {
                return write!(f, "it chose the subprotocol {chosen:?}, which was not offered");
            }
            Self::Reserved => "reserved bit or opcode",
            Self::Masking => "only clients mask, and always",
            Self::LengthOverflow => "frame length beyond 2^63 - 1",
            Self::ControlFrame => "control frame too long or fragmented",
            Self::Fragmentation => "fragment out of place",
            Self::FragmentsTooLong => "message in fragments too long",
            Self::Text => "text message",
            Self::Flags => "message without the flags of ZWS2.0",
        })
    }
}

impl std::error::Error for Violation {}
