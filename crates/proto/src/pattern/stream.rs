//! STREAM: bytes to and from peers that do not speak ZMTP; the first frame names the peer.

use std::collections::{HashMap, VecDeque};

use super::{Pattern, RecvRefusal, SendRefusal, router::generated_routing_id};
use crate::{
    connection::{ConnectionId, Connections, Written},
    error::Incompatibility,
    frame::Frame,
    message::{Message, Outgoing},
    options::Options,
};

pub(super) struct Stream {
    peers: HashMap<Frame, ConnectionId>,
    routing_ids: HashMap<ConnectionId, Frame>,
    next_id: u32,
    /// What is to be received, in order.
    turns: VecDeque<Turn>,
}

enum Turn {
    /// A peer came or went.
    Notice(Message, ConnectionId),
    /// Bytes of the peer wait.
    Bytes(ConnectionId),
}

impl Stream {
    pub(super) fn new(options: &Options) -> Self {
        Self { peers: HashMap::new(), routing_ids: HashMap::new(), next_id: options.id_seed, turns: VecDeque::new() }
    }

    fn notice(&mut self, connections: &Connections, routing_id: Frame, id: ConnectionId) {
        if connections.options.stream_notify {
            self.turns.push_back(Turn::Notice(Message::from([routing_id, Frame::new()]), id));
        }
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

    fn drain(&mut self, connections: &mut Connections, id: ConnectionId) -> Option<Message> {
        let routing_id = self.routing_ids.get(&id)?;
        let bytes = connections.cut_raw(id)?;
        Some(Message::from([routing_id.clone(), bytes]))
    }
}

impl Pattern for Stream {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        let assigned = connections.get(id).and_then(|connection| connection.assigned_routing_id()).cloned();
        let routing_id = assigned.unwrap_or_else(|| self.next_routing_id());
        if self.peers.contains_key(&routing_id) {
            return connections.fail(id, Incompatibility::RoutingIdTaken.into());
        }
        self.peers.insert(routing_id.clone(), id);
        self.routing_ids.insert(id, routing_id.clone());
        self.notice(connections, routing_id, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        // What the peer sent last must not go with it.
        if let Some(last) = self.drain(connections, id) {
            self.turns.push_back(Turn::Notice(last, id));
        }
        if let Some(routing_id) = self.routing_ids.remove(&id) {
            self.peers.remove(&routing_id);
            self.notice(connections, routing_id, id);
        }
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id) else { return };
        if !std::mem::replace(&mut connection.in_fair_queue, true) {
            self.turns.push_back(Turn::Bytes(id));
        }
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let (Some(routing_id), Some(body), 2) = (message.body(0), message.body(1), message.len()) else {
            return Err(SendRefusal::Malformed);
        };
        let peer = *self.peers.get(routing_id).ok_or(SendRefusal::Unroutable)?;
        if body.is_empty() {
            connections.close(peer);
            return Ok(());
        }
        match connections.write_raw(peer, body) {
            Written::Yes => Ok(()),
            Written::Full => Err(SendRefusal::WouldBlock),
            Written::Gone => Err(SendRefusal::Unroutable),
        }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        loop {
            match self.turns.pop_front().ok_or(RecvRefusal::WouldBlock)? {
                Turn::Notice(message, id) => {
                    *into = message;
                    connections.received_from = Some(id);
                    return Ok(());
                }
                Turn::Bytes(id) => {
                    if let Some(connection) = connections.get_mut(id) {
                        connection.in_fair_queue = false;
                    }
                    if let Some(message) = self.drain(connections, id) {
                        *into = message;
                        connections.received_from = Some(id);
                        return Ok(());
                    }
                }
            }
        }
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.peers.is_empty() || self.peers.values().any(|&peer| connections.has_room(peer))
    }

    fn can_recv(&mut self, _connections: &mut Connections) -> bool {
        !self.turns.is_empty()
    }
}
