//! Counts of a socket and its peers.

use std::sync::Arc;

use nought_proto::connection::{Counters, PeerInfo};

/// What a socket has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketStats {
    /// The sum over all connections, those that are gone included.
    pub totals: Counters,
    /// Connections whose handshake is over.
    pub peers: usize,
    /// Times that a connection was lost or failed and is made again.
    pub reconnects: u64,
    /// Prefixes subscribed to, or groups joined: by this socket (SUB, XSUB, DISH) or by its peers (PUB, XPUB, RADIO).
    pub subscriptions: usize,
}

/// What is known of one connection of a socket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerStats {
    /// The peer's endpoint; within the process, the name; for one that is not connected yet, what was given to
    /// `connect`.
    pub endpoint: Option<String>,
    /// Whether messages can flow.
    pub is_ready: bool,
    /// What the peer said of itself in the handshake.
    pub peer: Arc<PeerInfo>,
    /// The counts of this connection.
    pub counters: Counters,
    /// Messages that wait to be sent.
    pub send_queue_len: usize,
    /// Messages that wait to be received.
    pub recv_queue_len: usize,
}
