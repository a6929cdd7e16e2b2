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
mod socket;
pub mod transport;

pub use nought_proto::{
    Frame, Message, Outgoing, ProtocolError, SocketType,
    connection::{Counters, PeerInfo},
    error::{Incompatibility, Misbehaviour},
    wire::{Version, metadata::Metadata},
};

pub use self::{
    context::{Context, ContextBuilder},
    error::{
        BindError, ConnectError, RecvError, SendError, SendErrorKind, SocketError, SubscribeError, UnknownEndpoint,
    },
    monitor::{DisconnectReason, MONITOR_EVENTS_MAX, Monitor, SocketEvent, SocketEventKind},
    poll::{PollEvent, PollKey, Poller, Readiness},
    proxy::{Forwarded, Proxy, ProxyControl, ProxyStatistics, proxy},
    socket::{
        Any, CanReceive, CanSend, CanSubscribe, Dealer, Kind, Messages, Messenger, Pair, PeerStats, Pub, Pull, Push,
        Rep, Req, Router, Socket, SocketBuilder, SocketStats, Stream, Sub, XPub, XSub,
    },
};
