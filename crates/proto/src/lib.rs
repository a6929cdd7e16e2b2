//! ØMQ as state machines: the wire protocol ZMTP 1.0 to 3.1, its security mechanisms and the socket patterns, without
//! a socket, a thread or a clock.
//!
//! [`Socket`] is the machine of one socket. Whoever drives it feeds it what arrived on each connection, takes what
//! each connection has to send, and tells it the time; see its documentation for the order of the calls.

#![forbid(unsafe_code)]

pub mod connection;
pub mod crypto;
pub mod error;
pub mod event;
pub mod frame;
pub mod limits;
pub mod mechanism;
pub mod message;
pub mod options;
pub mod pattern;
pub mod routing;
pub mod socket;
pub mod socket_type;
pub mod socks;
pub mod wire;
pub mod z85;
pub mod zap;
pub mod zws;

pub use self::{
    connection::{Connection, ConnectionId},
    crypto::{IllegalKey, KeyPair, PublicKey, SecretKey},
    error::ProtocolError,
    event::Event,
    frame::Frame,
    mechanism::{Credentials, CurveClient, CurveServer, PlainClient, PlainTooLong, Security},
    message::{Message, Outgoing},
    options::Options,
    socket::Socket,
    socket_type::SocketType,
};
