//! PAIR: one peer, both directions, no turns (RFC 31).

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{ConnectionId, Connections, PeerInfo, Written},
    error::Incompatibility,
    message::{Message, Outgoing},
    options::Options,
    routing::FairQueue,
};

#[derive(Default)]
pub(super) struct Pair {
    peer: Option<ConnectionId>,
    /// The peer, and before it what is left of those that are gone.
    incoming: FairQueue,
}

impl Pattern for Pair {
    fn opened(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.peer.get_or_insert(id);
    }

    fn admit(&self, _connections: &Connections, id: ConnectionId, _peer: &PeerInfo) -> Result<(), Incompatibility> {
        match self.peer {
            Some(peer) if peer != id => Err(Incompatibility::PeerTaken),
            _ => Ok(()),
        }
    }

    fn established(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.peer = Some(id);
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.peer.take_if(|peer| *peer == id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        match self.peer.map(|peer| connections.write(peer, &[], message, 0)) {
            Some(Written::Yes) => Ok(()),
            _ => Err(SendRefusal::WouldBlock),
        }
    }

    fn only_peer(&self) -> Option<ConnectionId> {
        self.peer
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.incoming.recv(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn passes_on(&self, _options: &Options, _body: &[u8]) -> bool {
        true
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.peer.is_some_and(|peer| connections.has_room(peer))
    }

    fn lead(&self, connections: &Connections) -> Option<usize> {
        connections.lead_over(self.peer?)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }
}
