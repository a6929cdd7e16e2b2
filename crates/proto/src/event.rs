//! What the machine tells its driver.

use crate::{connection::ConnectionId, error::ProtocolError, zap};

/// Something happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is over; messages flow.
    Established(ConnectionId),
    /// The handshake waits for somebody to say whether the peer may come in:
    /// [`judge`](crate::Socket::judge) goes on with it.
    Authenticate(ConnectionId, Box<zap::Request>),
    /// The connection must be closed: the peer broke a rule or does not fit. What is left to send is sent first where
    /// that is possible (an ERROR that says why).
    Failed(ConnectionId, ProtocolError),
    /// The pattern has no more use for the connection (a ROUTER handed its routing id over).
    Closed(ConnectionId),
    /// The peer in the same process has closed the connection, and all that it sent is taken.
    PeerClosed(ConnectionId),
    /// The pattern has no more use for the connection once all is sent that is queued for it (a STREAM closed it):
    /// [`retire`](crate::Socket::retire) it.
    Retired(ConnectionId),
}
