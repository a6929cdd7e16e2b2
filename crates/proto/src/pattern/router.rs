//! ROUTER: its first frame names the peer (RFC 28).

use std::collections::HashMap;

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{Connection, ConnectionId, ConnectionTable, Connections, PeerInfo, Written},
    error::Incompatibility,
    frame::Frame,
    message::{Message, Outgoing},
    options::Options,
    routing::{FairQueue, Roomy},
};

pub(super) struct Router {
    incoming: FairQueue,
    peers: HashMap<Frame, ConnectionId>,
    routing_ids: ConnectionTable<Frame>,
    /// Those of the peers that have room.
    roomy: Roomy,
    next_id: u32,
}

impl Router {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            incoming: FairQueue::default(),
            peers: HashMap::new(),
            routing_ids: ConnectionTable::default(),
            roomy: Roomy::default(),
            next_id: options.id_seed,
        }
    }

    /// Who has the name of this peer, if that is another.
    fn namesake(&self, connections: &Connections, id: ConnectionId, peer: &PeerInfo) -> Option<ConnectionId> {
        let name = chosen_name(connections.get(id)?, peer)?;
        self.peers.get(name).copied().filter(|&other| other != id)
    }

    /// Whether messages find the peer: after a handover its name is another's.
    fn is_named(&self, id: ConnectionId) -> bool {
        self.routing_ids.get(id).is_some_and(|routing_id| self.peers.get(routing_id) == Some(&id))
    }

    /// The name for a peer: a chosen or a made-up one.
    fn name(&mut self, connections: &Connections, id: ConnectionId) -> Frame {
        let chosen = connections.get(id).and_then(|connection| chosen_name(connection, connection.peer()));
        chosen.cloned().unwrap_or_else(|| self.next_routing_id())
    }

    fn next_routing_id(&mut self) -> Frame {
        loop {
            let routing_id = generated_routing_id(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if !self.peers.contains_key(&routing_id) {
                return routing_id;
            }
        }
    }
}

/// What this side calls the peer, or what it calls itself.
fn chosen_name<'a>(connection: &'a Connection, peer: &'a PeerInfo) -> Option<&'a Frame> {
    connection.assigned_routing_id().or(Some(&peer.routing_id).filter(|routing_id| !routing_id.is_empty()))
}

/// A routing id that no peer may announce: a zero byte and a number.
pub(super) fn generated_routing_id(number: u32) -> Frame {
    let mut routing_id = [0; 5];
    routing_id[1..].copy_from_slice(&number.to_be_bytes());
    Frame::from(&routing_id)
}

impl Pattern for Router {
    fn opened(&mut self, connections: &mut Connections, id: ConnectionId) {
        // A peer that has its name from this side can be written to before it is there.
        let assigned = connections.get(id).and_then(|connection| connection.assigned_routing_id());
        if let Some(routing_id) = assigned.filter(|routing_id| !self.peers.contains_key(*routing_id)) {
            self.peers.insert(routing_id.clone(), id);
            self.routing_ids.insert(id, routing_id.clone());
            self.roomy.insert(id);
        }
    }

    fn admit(&self, connections: &Connections, id: ConnectionId, peer: &PeerInfo) -> Result<(), Incompatibility> {
        match self.namesake(connections, id, peer) {
            Some(_) if !connections.options.router_handover => Err(Incompatibility::RoutingIdTaken),
            _ => Ok(()),
        }
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        let routing_id = self.name(connections, id);
        // After a handover: nobody else would have been admitted.
        if let Some(taken_by) = self.peers.insert(routing_id.clone(), id).filter(|&taken_by| taken_by != id) {
            self.roomy.remove(taken_by);
            connections.close(taken_by);
        }
        self.routing_ids.insert(id, routing_id);
        self.roomy.insert(id);
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.roomy.remove(id);
        if let Some(routing_id) = self.routing_ids.get(id) {
            // After a handover the name is another's.
            if self.peers.get(routing_id) == Some(&id) {
                self.peers.remove(routing_id);
            }
        }
    }

    fn removed(&mut self, id: ConnectionId) {
        self.routing_ids.remove(id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        if self.routing_ids.get(id).is_some() {
            self.incoming.activate(connections, id);
        }
    }

    fn writable(&mut self, _connections: &mut Connections, id: ConnectionId) {
        if self.is_named(id) {
            self.roomy.insert(id);
        }
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let routing_id = message.body(0).filter(|_| message.len() > 1).ok_or(SendRefusal::Malformed)?;
        let mandatory = connections.options.router_mandatory;
        let written = match self.peers.get(routing_id) {
            Some(&peer) => (connections.write(peer, &[], message, 1), Some(peer)),
            None => (Written::Gone, None),
        };
        match written {
            (Written::Yes, _) => Ok(()),
            (Written::Full, _) if mandatory => Err(SendRefusal::WouldBlock),
            (Written::Gone, _) if mandatory => Err(SendRefusal::Unroutable),
            (Written::Full, Some(peer)) => {
                connections.count(peer, |counters| counters.dropped_at_hwm += 1);
                Ok(())
            }
            _ => {
                connections.count_unaddressed(|counters| counters.unroutable += 1);
                Ok(())
            }
        }
    }

    fn check(&mut self, connections: &mut Connections, first: &[u8]) -> Result<(), SendRefusal> {
        match self.has_room_for(connections, first) {
            _ if !connections.options.router_mandatory => Ok(()),
            None => Err(SendRefusal::Unroutable),
            Some(true) => Ok(()),
            Some(false) => Err(SendRefusal::WouldBlock),
        }
    }

    fn has_room_for(&mut self, connections: &mut Connections, routing_id: &[u8]) -> Option<bool> {
        self.peers.get(routing_id).map(|&peer| connections.has_room(peer))
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        let id = self.incoming.recv(connections, into).ok_or(RecvRefusal::WouldBlock)?;
        if let Some(routing_id) = self.routing_ids.get(id) {
            into.push_front(routing_id);
        }
        Ok(())
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        !connections.options.router_mandatory || self.roomy.has_any(connections)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }
}
