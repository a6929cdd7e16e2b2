//! ZMTP's structures as bytes: a file for each of the RFCs' nouns. Nothing here panics on what a peer sends.

pub mod command;
pub mod datagram;
pub mod frame;
pub mod greeting;
pub mod metadata;

pub use self::{command::Command, frame::Header};

/// The version of ZMTP that two peers agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// RFC 13.
    V1_0,
    /// RFC 15.
    V2_0,
    /// RFC 23.
    V3_0,
    /// RFC 37.
    V3_1,
}

impl Version {
    /// Whether subscriptions travel as commands; in older versions they are messages (RFC 37, "SUBSCRIBE").
    pub fn has_subscription_commands(self) -> bool {
        self >= Self::V3_1
    }

    /// Whether there are PING and PONG. RFC 23 does not know them, but libzmq 4.2 to 4.3.2 say 3.0 and have them.
    pub fn has_heartbeats(self) -> bool {
        self >= Self::V3_0
    }

    /// Whether there are commands, and with them mechanisms.
    pub fn has_commands(self) -> bool {
        self >= Self::V3_0
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "ZMTP 1.0",
            Self::V2_0 => "ZMTP 2.0",
            Self::V3_0 => "ZMTP 3.0",
            Self::V3_1 => "ZMTP 3.1",
        })
    }
}
