//! The socket types, and which may talk to which.

use std::{fmt, str::FromStr};

/// The pattern that a socket takes part in, and its role in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum SocketType {
    /// One peer, both directions (RFC 31).
    Pair = 0,
    /// Distributes to all subscribers (RFC 29).
    Pub = 1,
    /// Receives what it subscribed to (RFC 29).
    Sub = 2,
    /// Sends a request, receives its reply, in turns (RFC 28).
    Req = 3,
    /// Receives a request, sends its reply, in turns (RFC 28).
    Rep = 4,
    /// Requests without turns, spread over its peers (RFC 28).
    Dealer = 5,
    /// Replies without turns, addressed by routing id (RFC 28).
    Router = 6,
    /// Collects from its peers (RFC 30).
    Pull = 7,
    /// Spreads over its peers (RFC 30).
    Push = 8,
    /// A publisher that sees its subscriptions (RFC 29).
    XPub = 9,
    /// A subscriber that forwards subscriptions (RFC 29).
    XSub = 10,
    /// Raw bytes to and from peers that do not speak ZMTP.
    Stream = 11,
    /// Answers clients, each addressed by a number (RFC 41).
    Server = 12,
    /// Talks to servers, spread over them (RFC 41).
    Client = 13,
    /// Distributes to all who joined the message's group (RFC 48).
    Radio = 14,
    /// Receives what is sent to the groups it joined (RFC 48).
    Dish = 15,
    /// Collects from its peers (RFC 49).
    Gather = 16,
    /// Spreads over its peers (RFC 49).
    Scatter = 17,
    /// Datagrams to and from anybody; the first frame is the address of the peer.
    Dgram = 18,
    /// Talks to its like, each addressed by a number (RFC 51).
    Peer = 19,
    /// One peer, both directions (RFC 52).
    Channel = 20,
}

impl SocketType {
    /// All socket types, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::Pair,
        Self::Pub,
        Self::Sub,
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pull,
        Self::Push,
        Self::XPub,
        Self::XSub,
        Self::Stream,
        Self::Server,
        Self::Client,
        Self::Radio,
        Self::Dish,
        Self::Gather,
        Self::Scatter,
        Self::Dgram,
        Self::Peer,
        Self::Channel,
    ];

    /// The name as READY carries it (RFC 37, "The NULL Mechanism").
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pair => "PAIR",
            Self::Pub => "PUB",
            Self::Sub => "SUB",
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pull => "PULL",
            Self::Push => "PUSH",
            Self::XPub => "XPUB",
            Self::XSub => "XSUB",
            Self::Stream => "STREAM",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Radio => "RADIO",
            Self::Dish => "DISH",
            Self::Gather => "GATHER",
            Self::Scatter => "SCATTER",
            Self::Dgram => "DGRAM",
            Self::Peer => "PEER",
            Self::Channel => "CHANNEL",
        }
    }

    /// The number that ZMTP 2.0's greeting carries (RFC 15), and libzmq's constant.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether a peer of type `peer` may talk to a socket of this type (RFC 28 to 31, 41, 48, 49, 51 and 52).
    pub fn accepts(self, peer: Self) -> bool {
        use SocketType::*;
        matches!(
            (self, peer),
            (Pair, Pair)
                | (Pub | XPub, Sub | XSub)
                | (Sub | XSub, Pub | XPub)
                | (Req, Rep | Router)
                | (Rep, Req | Dealer)
                | (Dealer, Rep | Dealer | Router)
                | (Router, Req | Dealer | Router)
                | (Push, Pull)
                | (Pull, Push)
                | (Client, Server)
                | (Server, Client)
                | (Radio, Dish)
                | (Dish, Radio)
                | (Gather, Scatter)
                | (Scatter, Gather)
                | (Peer, Peer)
                | (Channel, Channel)
        )
    }

    /// Whether sockets of this type send messages.
    pub fn can_send(self) -> bool {
        !matches!(self, Self::Sub | Self::Pull | Self::Dish | Self::Gather)
    }

    /// Whether sockets of this type receive messages.
    pub fn can_receive(self) -> bool {
        !matches!(self, Self::Pub | Self::Push | Self::Radio | Self::Scatter)
    }

    /// Whether it may keep only the newest message (libzmq's CONFLATE): the others need all their messages, or all
    /// frames of them.
    pub fn can_conflate(self) -> bool {
        matches!(self, Self::Dealer | Self::Pub | Self::Pull | Self::Push | Self::Sub)
    }

    /// Whether it is one of the types of RFC 41 to 52: their messages have one frame, which may be addressed, and they
    /// are not known to peers of ZMTP 1.0 and 2.0.
    pub fn is_single_frame(self) -> bool {
        use SocketType::*;
        matches!(self, Server | Client | Radio | Dish | Gather | Scatter | Peer | Channel)
    }

    /// Whether READY carries this socket's routing id (RFC 37, "Connection metadata").
    pub fn announces_routing_id(self) -> bool {
        matches!(self, Self::Req | Self::Dealer | Self::Router)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a socket type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSocketType;

impl fmt::Display for UnknownSocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a socket type; write one of")?;
        SocketType::ALL.iter().try_for_each(|kind| write!(f, " {kind}"))
    }
}

impl std::error::Error for UnknownSocketType {}

impl FromStr for SocketType {
    type Err = UnknownSocketType;

    /// The type with this name, in upper or lower case.
    fn from_str(name: &str) -> Result<Self, UnknownSocketType> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name)).ok_or(UnknownSocketType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptance_is_mutual() {
        for a in SocketType::ALL {
            for b in SocketType::ALL {
                assert_eq!(a.accepts(b), b.accepts(a), "{a} and {b}");
            }
        }
    }

    #[test]
    fn numbers_and_names_lead_back() {
        for kind in SocketType::ALL {
            assert_eq!(SocketType::from_number(kind.number()), Some(kind));
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!(SocketType::from_number(21), None);
        assert_eq!("PUSHY".parse::<SocketType>(), Err(UnknownSocketType));
    }
}
