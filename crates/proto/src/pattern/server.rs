//! SERVER and PEER: a number names the peer that a message goes to or comes from (RFC 41, RFC 51).

use std::{collections::HashMap, num::NonZeroU32};

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{ConnectionId, ConnectionTable, Connections, Written},
    frame::Frame,
    message::{Address, Message, Outgoing},
    options::Options,
    routing::{FairQueue, Roomy},
};

pub(super) struct Server {
    incoming: FairQueue,
    peers: HashMap<NonZeroU32, ConnectionId>,
    routing_ids: ConnectionTable<NonZeroU32>,
    /// Those of the peers that have room.
    roomy: Roomy,
    next_id: u32,
}

impl Server {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            incoming: FairQueue::default(),
            peers: HashMap::new(),
            routing_ids: ConnectionTable::default(),
            roomy: Roomy::default(),
            next_id: options.id_seed,
        }
    }

    /// Gives the peer its number; the same again after its connection was made anew.
    fn give_number(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id) else { return };
        let former = connection.assigned_routing_id.as_ref().and_then(number_of);
        let routing_id = former
            .filter(|routing_id| self.peers.get(routing_id).is_none_or(|peer| *peer == id))
            .unwrap_or_else(|| self.next_routing_id());
        connection.assigned_routing_id = Some(Frame::from(&routing_id.get().to_be_bytes()));
        self.peers.insert(routing_id, id);
        self.routing_ids.insert(id, routing_id);
        self.roomy.insert(id);
    }

    fn next_routing_id(&mut self) -> NonZeroU32 {
        loop {
            let routing_id = NonZeroU32::new(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if let Some(routing_id) = routing_id.filter(|routing_id| !self.peers.contains_key(routing_id)) {
                return routing_id;
            }
        }
    }
}

fn number_of(routing_id: &Frame) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::from_be_bytes(routing_id[..].try_into().ok()?))
}

impl Pattern for Server {
    fn opened(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.give_number(connections, id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.give_number(connections, id);
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.roomy.remove(id);
        if let Some(routing_id) = self.routing_ids.get(id) {
            self.peers.remove(routing_id);
        }
    }

    fn removed(&mut self, id: ConnectionId) {
        self.routing_ids.remove(id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn writable(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.roomy.insert(id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let Some(Address::RoutingId(routing_id)) = message.address() else { return Err(SendRefusal::Unroutable) };
        let peer = *self.peers.get(routing_id).ok_or(SendRefusal::Unroutable)?;
        match connections.write(peer, &[], message, 0) {
            Written::Yes => Ok(()),
            Written::Full => Err(SendRefusal::WouldBlock),
            Written::Gone => Err(SendRefusal::Unroutable),
        }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        let id = self.incoming.recv(connections, into.unaddressed_mut()).ok_or(RecvRefusal::WouldBlock)?;
        into.set_address(self.routing_ids.get(id).copied().map(Address::RoutingId));
        Ok(())
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.peers.is_empty() || self.roomy.has_any(connections)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }

    fn routing_id_of(&self, id: ConnectionId) -> Option<NonZeroU32> {
        self.routing_ids.get(id).copied()
    }

    fn peer_with(&self, routing_id: NonZeroU32) -> Option<ConnectionId> {
        self.peers.get(&routing_id).copied()
    }
}
