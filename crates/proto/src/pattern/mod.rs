//! The socket patterns: a file for each, one trait, one table. A new pattern is a file and a row.

mod dealer;
mod dgram;
mod dish;
mod pair;
mod publish;
mod pull;
mod push;
mod radio;
mod rep;
mod req;
mod router;
mod server;
mod stream;
mod sub;
mod xpub;
mod xsub;

use std::{fmt, num::NonZeroU32};

use crate::{
    connection::{ConnectionId, Connections, PeerInfo},
    error::{Incompatibility, Misbehaviour},
    message::{Message, Outgoing},
    options::Options,
    socket_type::SocketType,
};

/// The table of patterns. The newer ones whose messages have one frame, which [`check_frames`](crate::Socket::send) and
/// the connections see to, are the machines of older ones.
pub(crate) fn new(socket_type: SocketType, options: &Options) -> Box<dyn Pattern> {
    match socket_type {
        SocketType::Pair => Box::new(pair::Pair::default()),
        SocketType::Pub => Box::new(publish::Pub::default()),
        SocketType::Sub => Box::new(sub::Sub::default()),
        SocketType::Req => Box::new(req::Req::new(options)),
        SocketType::Rep => Box::new(rep::Rep::default()),
        SocketType::Dealer => Box::new(dealer::Dealer::default()),
        SocketType::Router if options.router_raw => Box::new(stream::Stream::raw_router(options)),
        SocketType::Router => Box::new(router::Router::new(options)),
        SocketType::Pull => Box::new(pull::Pull::default()),
        SocketType::Push => Box::new(push::Push::default()),
        SocketType::XPub => Box::new(xpub::XPub::new(options)),
        SocketType::XSub => Box::new(xsub::XSub::default()),
        SocketType::Stream => Box::new(stream::Stream::new(options)),
        SocketType::Server | SocketType::Peer => Box::new(server::Server::new(options)),
        SocketType::Client => Box::new(dealer::Dealer::default()),
        SocketType::Radio => Box::new(radio::Radio::default()),
        SocketType::Dish => Box::new(dish::Dish::default()),
        SocketType::Gather => Box::new(pull::Pull::default()),
        SocketType::Scatter => Box::new(push::Push::default()),
        SocketType::Dgram => Box::new(dgram::Dgram::default()),
        SocketType::Channel => Box::new(pair::Pair::default()),
    }
}

/// The rules of one socket type: to whom a message goes, from whom the next one comes, and when there is none.
///
/// The `connections` are those of the socket; a pattern keeps only their ids. A connection that the pattern does not
/// know, or no longer, is simply not there: nothing panics on an id.
pub(crate) trait Pattern: Send {
    /// The options have changed.
    fn options_changed(&mut self, _options: &Options) {}

    /// A place to queue messages was made for a peer that is yet to come.
    fn opened(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    /// Whether there is a place for this peer, as far as it is known; asked before it hears that it may come in.
    fn admit(&self, _connections: &Connections, _id: ConnectionId, _peer: &PeerInfo) -> Result<(), Incompatibility> {
        Ok(())
    }

    /// The handshake is over: the peer can be talked to.
    fn established(&mut self, connections: &mut Connections, id: ConnectionId);

    /// The peer is gone: nothing can be sent to it any more. What it sent whole can still be received.
    fn lost(&mut self, connections: &mut Connections, id: ConnectionId);

    /// All that the peer sent is received; the connection is about to go.
    fn removed(&mut self, _id: ConnectionId) {}

    /// What was looked at of the peer's messages before it was asked for is dropped and counted.
    fn discard(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    /// Whole messages have come from the peer.
    fn readable(&mut self, connections: &mut Connections, id: ConnectionId);

    /// There is room again for messages to the peer, after there was none.
    fn writable(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    /// The peer subscribes, or ends a subscription.
    fn subscription(&mut self, connections: &mut Connections, id: ConnectionId, _subscribe: bool, _prefix: &[u8]) {
        connections.fail(id, Misbehaviour::Subscription.into());
    }

    /// The peer joins a group, or leaves it. Who has no groups does not know the command, and ignores it (RFC 37).
    fn membership(&mut self, _connections: &mut Connections, _id: ConnectionId, _joins: bool, _group: &[u8]) {}

    /// Hands a message on, or says why not.
    fn send(&mut self, _connections: &mut Connections, _message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        Err(SendRefusal::NotSupported)
    }

    /// The peer to which [`send`](Self::send) hands each message as it is, while there is no other. Asked when it has heard
    /// of one.
    fn only_peer(&self) -> Option<ConnectionId> {
        None
    }

    /// What [`send`](Self::send) would say to a message that begins with this frame, without sending it.
    fn check(&mut self, connections: &mut Connections, _first: &[u8]) -> Result<(), SendRefusal> {
        if self.can_send(connections) { Ok(()) } else { Err(SendRefusal::WouldBlock) }
    }

    /// ROUTER: whether there is room for messages to the peer of this name; `None`: there is no such peer.
    fn has_room_for(&mut self, _connections: &mut Connections, _routing_id: &[u8]) -> Option<bool> {
        None
    }

    /// Puts the next message for the application into `into`, and notes whose it is in
    /// [`received_from`](Connections::received_from).
    ///
    /// The message is written in its place, and not handed up: each move of its 64 bytes, written just before in
    /// smaller pieces, would cost more than all the rest (the processor cannot forward such stores to a load).
    fn recv(&mut self, _connections: &mut Connections, _into: &mut Message) -> Result<(), RecvRefusal> {
        Err(RecvRefusal::NotSupported)
    }

    /// Whether [`recv`](Self::recv), which has given the messages of one peer so far, would give the next one of it as it
    /// is, a message of one frame with this body, and do nothing else.
    fn passes_on(&self, _options: &Options, _body: &[u8]) -> bool {
        false
    }

    /// Whether sending would not have to wait.
    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        false
    }

    /// The bytes that wait for those whom [`send`](Self::send) could choose among, if it would be
    /// [far ahead](Connections::lead_over) of each of them.
    fn lead(&self, _connections: &Connections) -> Option<usize> {
        None
    }

    /// Whether there is a message to receive.
    fn can_recv(&mut self, _connections: &mut Connections) -> bool {
        false
    }

    /// Subscribes (SUB, XSUB), or applies a subscription by hand (XPUB with manual).
    fn subscribe(&mut self, _connections: &mut Connections, _prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        Err(SubscribeRefusal::NotSupported)
    }

    /// Ends one subscription.
    fn unsubscribe(&mut self, _connections: &mut Connections, _prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        Err(SubscribeRefusal::NotSupported)
    }

    /// Joins a group (DISH).
    fn join(&mut self, _connections: &mut Connections, _group: &[u8]) -> Result<(), GroupRefusal> {
        Err(GroupRefusal::NotSupported)
    }

    /// Leaves a group (DISH).
    fn leave(&mut self, _connections: &mut Connections, _group: &[u8]) -> Result<(), GroupRefusal> {
        Err(GroupRefusal::NotSupported)
    }

    /// The number by which messages name the peer (SERVER, PEER).
    fn routing_id_of(&self, _id: ConnectionId) -> Option<NonZeroU32> {
        None
    }

    /// The peer that messages name by this number (SERVER, PEER).
    fn peer_with(&self, _routing_id: NonZeroU32) -> Option<ConnectionId> {
        None
    }

    /// The number of prefixes subscribed to, by this socket or by its peers.
    fn subscriptions(&self) -> usize {
        0
    }
}

/// Drops and counts a message that was looked at before it was asked for, if it is this peer's.
fn drop_prefetched(
    prefetched: &mut Option<(Message, ConnectionId)>,
    connections: &mut Connections,
    discarded: ConnectionId,
) {
    if let Some((mut message, _)) = prefetched.take_if(|(_, id)| *id == discarded) {
        connections.drop_message(&mut message);
        connections.count(discarded, |counters| counters.dropped_on_arrival += 1);
    }
}

/// Why a message was not sent. It is still the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendRefusal {
    /// Nobody has room now.
    WouldBlock,
    /// Those who have room have been given their share of a burst; see [`Socket::in_burst`](crate::Socket::in_burst).
    EndOfBurst,
    /// It is not this socket's turn: REP answers what it received, REQ waits for its reply (RFC 28).
    OutOfTurn,
    /// ROUTER with mandatory, and STREAM: the peer named by the first frame is not there. SERVER and PEER: the peer that
    /// the message is addressed to is not there, or the message has no address.
    Unroutable,
    /// The socket type does not send.
    NotSupported,
    /// The message has no frame, or lacks the frame that names its peer, or has several where one is allowed; or it is
    /// for a group with an illegal name.
    Malformed,
    /// DGRAM: the body is longer than [`DATAGRAM_LEN_MAX`](crate::limits::DATAGRAM_LEN_MAX).
    TooLong,
}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvRefusal {
    /// There is none now.
    WouldBlock,
    /// It is not this socket's turn: REQ sends first, REP answers first (RFC 28).
    OutOfTurn,
    /// The socket type does not receive.
    NotSupported,
}

/// Why a subscription was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeRefusal {
    /// The socket type has no subscriptions, or (XPUB) not by hand.
    NotSupported,
    /// There is no such subscription to end.
    Unknown,
    /// The table of subscriptions is full.
    Full,
    /// The prefix is longer than [`SUBSCRIPTION_LEN_MAX`](crate::limits::SUBSCRIPTION_LEN_MAX): no publisher would take
    /// it.
    TooLong,
}

impl fmt::Display for SubscribeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "this socket type does not subscribe; use SUB or XSUB, or XPUB with manual",
            Self::Unknown => "there is no such subscription",
            Self::Full => "the table of subscriptions is full",
            Self::TooLong => {
                "the prefix is longer than 1,048,566 bytes, which no publisher takes: subscribe to less of it"
            }
        })
    }
}

impl std::error::Error for SubscribeRefusal {}

/// Why a group was not joined or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupRefusal {
    /// The socket type has no groups to join.
    NotSupported,
    /// The socket has joined the group already.
    Joined,
    /// The socket has not joined the group.
    NotJoined,
    /// A group's name has at most 255 bytes, none of them zero.
    Name,
}

impl fmt::Display for GroupRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "this socket type does not join groups; use DISH",
            Self::Joined => "the socket has joined this group already",
            Self::NotJoined => "the socket has not joined this group",
            Self::Name => "the name of a group has at most 255 bytes, none of them zero",
        })
    }
}

impl std::error::Error for GroupRefusal {}
