//! PULL: collects the messages of its peers, in turns (RFC 30).

use super::{Pattern, RecvRefusal};
use crate::{
    connection::{ConnectionId, Connections},
    message::Message,
    options::Options,
    routing::FairQueue,
};

#[derive(Default)]
pub(super) struct Pull {
    peers: FairQueue,
}

impl Pattern for Pull {
    fn established(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn lost(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.activate(connections, id);
    }

    #[inline]
    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.peers.recv(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn passes_on(&self, _options: &Options, _body: &[u8]) -> bool {
        true
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.peers.has_message(connections)
    }
}
