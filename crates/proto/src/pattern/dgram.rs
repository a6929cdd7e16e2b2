//! DGRAM: datagrams to and from anybody; the first frame is the address of the peer, as in `192.0.2.1:5555`.

use std::collections::BTreeSet;

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{ConnectionId, Connections, Written},
    limits::DATAGRAM_LEN_MAX,
    message::{Message, Outgoing},
    routing::FairQueue,
    wire::datagram,
};

#[derive(Default)]
pub(super) struct Dgram {
    /// The places that it is bound to; it sends from the oldest.
    places: BTreeSet<ConnectionId>,
    incoming: FairQueue,
}

impl Pattern for Dgram {
    fn established(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.places.insert(id);
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.places.remove(&id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let (Some(address), Some(body), 2) = (message.body(0), message.body(1), message.len()) else {
            return Err(SendRefusal::Malformed);
        };
        if body.len() > DATAGRAM_LEN_MAX {
            return Err(SendRefusal::TooLong);
        }
        datagram::address(address).ok_or(SendRefusal::Unroutable)?;
        match self.places.first().map(|&place| connections.write(place, &[], message, 0)) {
            Some(Written::Yes) => Ok(()),
            _ => Err(SendRefusal::WouldBlock),
        }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.incoming.recv(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.places.first().is_some_and(|&place| connections.has_room(place))
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }
}
