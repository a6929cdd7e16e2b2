//! PUSH: spreads its messages over its peers (RFC 30).

use super::{Pattern, SendRefusal};
use crate::{
    connection::{ConnectionId, Connections},
    error::Misbehaviour,
    message::Outgoing,
    routing::LoadBalancer,
};

#[derive(Default)]
pub(super) struct Push {
    peers: LoadBalancer,
}

impl Pattern for Push {
    fn opened(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.activate(connections, id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.join(connections, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.remove(connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        connections.fail(id, Misbehaviour::UnexpectedMessage.into());
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.activate(connections, id);
    }

    #[inline]
    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        self.peers.write(connections, &[], message, 0).map(drop).ok_or(SendRefusal::WouldBlock)
    }

    fn only_peer(&self) -> Option<ConnectionId> {
        self.peers.only_peer()
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.peers.has_room(connections)
    }

    fn lead(&self, connections: &Connections) -> Option<usize> {
        self.peers.lead(connections)
    }
}
