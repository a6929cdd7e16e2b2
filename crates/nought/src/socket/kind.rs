//! The kinds of sockets, as types: what a kind cannot do does not compile.

use nought_proto::SocketType;

/// A kind of socket: one of the patterns, or [`Any`].
pub trait Kind: sealed::Sealed + Send + Sync + 'static {
    /// The socket type that [`Context::socket`](crate::Context::socket) makes; for [`Any`], which is made with the
    /// type as an argument, it is a PAIR.
    const TYPE: SocketType;
}

mod sealed {
    pub trait Sealed {}
}

/// What kinds can do, each as a trait for the compiler, and as a value for [`Any`], whose type shows at run time.
macro_rules! abilities {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $($(#[$doc])* pub trait $name: Kind {})+

        /// Something that some kinds can do and others cannot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Ability {
            $($name,)+
        }

        $(impl $name for Any {})+
    };
}

abilities! {
    /// Kinds that send.
    CanSend;
    /// Kinds that receive.
    CanReceive;
    /// Kinds that subscribe.
    CanSubscribe;
    /// Kinds that speak ØMQ's protocol: all but STREAM and DGRAM.
    SpeaksZmtp;
    /// Kinds that can keep the newest message only: DEALER, PUB, PULL, PUSH and SUB.
    CanConflate;
    /// Kinds that tell their peers a routing id: REQ, DEALER and ROUTER.
    HasRoutingId;
    /// Kinds that can choose their peers' routing ids: ROUTER and STREAM.
    NamesPeers;
    /// The kind that sends to whom a message names: ROUTER.
    Routes;
    /// The kind that sends requests: REQ.
    Requests;
    /// Kinds that publish: PUB and XPUB.
    Publishes;
    /// The kind that sees the subscriptions of its peers: XPUB.
    SeesSubscriptions;
    /// Kinds that sort messages by subscriptions: PUB, XPUB and SUB.
    Matches;
    /// Kinds for which subscriptions may be messages: XPUB and XSUB, and PUB, to which an XSUB may send them.
    SubscribesByMessage;
    /// Kinds that send subscriptions upstream: SUB and XSUB.
    SendsSubscriptions;
    /// The kind that talks to foreign programs: STREAM.
    Streams;
    /// Kinds that greet their peers: ROUTER, DEALER, CLIENT, SERVER and PEER.
    Greets;
    /// Kinds that are told when a peer that had connected is gone: ROUTER, SERVER and PEER.
    SeesDisconnects;
    /// Kinds that are told when a connection of theirs is interrupted: DEALER, CLIENT and PEER.
    SeesHiccups;
    /// Kinds that address each message to a peer by its number: SERVER and PEER.
    Addresses;
    /// The kind that knows a peer's number as soon as it connects: PEER.
    ConnectsPeers;
    /// The kind that sends to groups: RADIO.
    SendsToGroups;
    /// The kind that joins groups: DISH.
    JoinsGroups;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $($can:ident)+;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl sealed::Sealed for $name {}
            impl Kind for $name {
                const TYPE: SocketType = SocketType::$name;
            }
            $(impl $can for $name {})+
        )+

        impl Ability {
            const TABLE: &[(SocketType, &[Self])] = &[$((SocketType::$name, &[$(Self::$can),+]),)+];
        }
    };
}

kinds! {
    /// One peer, both directions (RFC 31). Messages wait while there is no peer with room.
    Pair: CanSend CanReceive SpeaksZmtp;
    /// Distributes to all who subscribed; a subscriber whose queue is full misses messages (RFC 29).
    Pub: CanSend SpeaksZmtp CanConflate Publishes SubscribesByMessage Matches;
    /// Receives what it subscribed to (RFC 29).
    Sub: CanReceive CanSubscribe SpeaksZmtp CanConflate Matches SendsSubscriptions;
    /// Sends a request, then receives its reply (RFC 28).
    Req: CanSend CanReceive SpeaksZmtp HasRoutingId Requests;
    /// Receives a request, then sends its reply (RFC 28).
    Rep: CanSend CanReceive SpeaksZmtp;
    /// Sends to its peers in turns, receives from them in turns (RFC 28).
    Dealer: CanSend CanReceive SpeaksZmtp CanConflate HasRoutingId Greets SeesHiccups;
    /// The first frame of each message names the peer (RFC 28).
    Router: CanSend CanReceive SpeaksZmtp HasRoutingId NamesPeers Routes Greets SeesDisconnects;
    /// Collects from its peers in turns (RFC 30).
    Pull: CanReceive SpeaksZmtp CanConflate;
    /// Spreads over its peers in turns (RFC 30).
    Push: CanSend SpeaksZmtp CanConflate;
    /// A PUB that receives subscriptions as messages (RFC 29).
    XPub: CanSend CanReceive CanSubscribe SpeaksZmtp Publishes SeesSubscriptions SubscribesByMessage Matches;
    /// A SUB that sends subscriptions as messages, and receives whatever comes (RFC 29).
    XSub: CanSend CanReceive CanSubscribe SpeaksZmtp SubscribesByMessage SendsSubscriptions;
    /// Raw bytes to and from peers that do not speak ØMQ; the first frame names the peer.
    Stream: CanSend CanReceive NamesPeers Streams;
    /// Answers clients: each message has the number of the client that it comes from or goes to (RFC 41).
    Server: CanSend CanReceive SpeaksZmtp Addresses Greets SeesDisconnects;
    /// Sends to its servers in turns, receives from them in turns (RFC 41).
    Client: CanSend CanReceive SpeaksZmtp Greets SeesHiccups;
    /// Distributes to all who have joined the message's group; one whose queue is full misses messages (RFC 48).
    Radio: CanSend SpeaksZmtp SendsToGroups;
    /// Receives what is sent to the groups that it has joined (RFC 48).
    Dish: CanReceive SpeaksZmtp JoinsGroups;
    /// Collects from its peers in turns (RFC 49).
    Gather: CanReceive SpeaksZmtp;
    /// Spreads over its peers in turns (RFC 49).
    Scatter: CanSend SpeaksZmtp;
    /// Datagrams, over udp: the first frame is the address of the peer, as in `192.0.2.1:5555`, the second the body.
    Dgram: CanSend CanReceive;
    /// Talks to its like: each message has the number of the peer that it comes from or goes to (RFC 51).
    Peer: CanSend CanReceive SpeaksZmtp Addresses ConnectsPeers Greets SeesDisconnects SeesHiccups;
    /// One peer, both directions (RFC 52). Messages wait while there is no peer with room.
    Channel: CanSend CanReceive SpeaksZmtp;
}

/// A kind that is known when the program runs. What it cannot do is an error of the call.
#[derive(Clone, Copy, Debug)]
pub enum Any {}

impl sealed::Sealed for Any {}
impl Kind for Any {
    const TYPE: SocketType = SocketType::Pair;
}

impl Ability {
    /// The socket types that can.
    pub(crate) fn types(self) -> impl Iterator<Item = SocketType> {
        Self::TABLE.iter().filter(move |(_, abilities)| abilities.contains(&self)).map(|(socket_type, _)| *socket_type)
    }

    pub(crate) fn is_of(self, socket_type: SocketType) -> bool {
        self.types().any(|other| other == socket_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_can_do_what_the_machine_says() {
        for socket_type in SocketType::ALL {
            assert_eq!(Ability::CanConflate.is_of(socket_type), socket_type.can_conflate(), "{socket_type}");
            assert_eq!(Ability::HasRoutingId.is_of(socket_type), socket_type.announces_routing_id(), "{socket_type}");
        }
        assert_eq!(Ability::Matches.types().collect::<Vec<_>>(), [SocketType::Pub, SocketType::Sub, SocketType::XPub]);
    }
}
