//! The kinds of sockets, as types: what a kind cannot do does not compile.

use nought_proto::SocketType;

/// A kind of socket: one of the classic patterns, or [`Any`].
pub trait Kind: sealed::Sealed + Send + Sync + 'static {
    /// The socket type that [`Context::socket`](crate::Context::socket) makes; for [`Any`], which is made with the
    /// type as an argument, it is a PAIR.
    const TYPE: SocketType;
}

/// Kinds that send.
pub trait CanSend: Kind {}

/// Kinds that receive.
pub trait CanReceive: Kind {}

/// Kinds that subscribe.
pub trait CanSubscribe: Kind {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $socket_type:ident $(+ $can:ident)*;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {}
        impl Kind for $name {
            const TYPE: SocketType = SocketType::$socket_type;
        }
        $(impl $can for $name {})*
    )+};
}

kinds! {
    /// One peer, both directions (RFC 31). Messages wait while there is no peer with room.
    Pair: Pair + CanSend + CanReceive;
    /// Distributes to all who subscribed; a subscriber whose queue is full misses messages (RFC 29).
    Pub: Pub + CanSend;
    /// Receives what it subscribed to (RFC 29).
    Sub: Sub + CanReceive + CanSubscribe;
    /// Sends a request, then receives its reply (RFC 28).
    Req: Req + CanSend + CanReceive;
    /// Receives a request, then sends its reply (RFC 28).
    Rep: Rep + CanSend + CanReceive;
    /// Sends to its peers in turns, receives from them in turns (RFC 28).
    Dealer: Dealer + CanSend + CanReceive;
    /// The first frame of each message names the peer (RFC 28).
    Router: Router + CanSend + CanReceive;
    /// Collects from its peers in turns (RFC 30).
    Pull: Pull + CanReceive;
    /// Spreads over its peers in turns (RFC 30).
    Push: Push + CanSend;
    /// A PUB that receives subscriptions as messages (RFC 29).
    XPub: XPub + CanSend + CanReceive + CanSubscribe;
    /// A SUB that sends subscriptions as messages, and receives whatever comes (RFC 29).
    XSub: XSub + CanSend + CanReceive + CanSubscribe;
    /// Raw bytes to and from peers that do not speak ØMQ; the first frame names the peer.
    Stream: Stream + CanSend + CanReceive;
    /// A kind that is known when the program runs. What it cannot do is an error of the call.
    Any: Pair + CanSend + CanReceive + CanSubscribe;
}
