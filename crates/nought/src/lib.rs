//! ØMQ in Rust: brokerless messaging in which an application sends to a topology and never to a host.
//!
//! ```
//! use nought::{Context, Pull, Push};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let context = Context::new();
//! let pull = context.socket::<Pull>()?;
//! let endpoint = pull.bind("tcp://127.0.0.1:*")?;
//! let push = context.socket::<Push>()?;
//! push.connect(&endpoint)?;
//! push.send("hello")?;
//! assert_eq!(pull.recv()?, "hello");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod context;
mod engine;
mod error;
mod monitor;
mod poll;
mod proxy;
mod resolver;
pub mod security;
mod socket;
pub mod transport;

pub use nought_proto::{
    Credentials, CurveClient, CurveServer, Frame, IllegalKey, KeyPair, Message, Outgoing, PlainClient, PlainTooLong,
    ProtocolError, PublicKey, SecretKey, Security, SocketType,
    connection::{Counters, PeerCredentials, PeerInfo},
    error::{Denial, Incompatibility, Misbehaviour},
    frame::BodyInPlace,
    message::Address,
    wire::{Version, metadata::Metadata},
    z85, zap,
};

pub use self::{
    context::{Context, ContextBuilder},
    engine::random::new_keys,
    error::{
        BindError, ConnectError, GroupError, RecvError, SendError, SendErrorKind, SocketError, SubscribeError,
        UnknownEndpoint, UnknownPeer, WrongKind,
    },
    monitor::{DisconnectReason, MONITOR_EVENTS_MAX, Monitor, SocketEvent, SocketEventKind},
    poll::{PollEvent, PollItem, PollKey, Poller, Readiness, poll_with},
    proxy::{Forwarded, Proxy, ProxyControl, ProxyStatistics, proxy},
    socket::{
        Addresses, Any, CanConflate, CanReceive, CanSend, CanSubscribe, Channel, Client, ConnectsPeers, Dealer, Dgram,
        Dish, Gather, Greets, HasRoutingId, JoinsGroups, Kind, Matches, Messages, Messenger, NamesPeers, Pair, Peer,
        PeerStats, Place, Pub, Publishes, Pull, Push, Radio, ReconnectStop, Rep, Req, Requests, Router, Routes,
        Scatter, SeesDisconnects, SeesHiccups, SeesSubscriptions, SendBatchError, SendsSubscriptions, SendsToGroups,
        Server, Socket, SocketBuilder, SocketSettings, SocketStats, SpeaksZmtp, Stream, Streams, Sub,
        SubscribesByMessage, XPub, XSub,
    },
};
