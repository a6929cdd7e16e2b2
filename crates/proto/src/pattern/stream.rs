//! STREAM: bytes to and from peers that do not speak ZMTP; the first frame names the peer. A ROUTER with router_raw does
//! the same, without notices.

use std::collections::{HashMap, VecDeque};

use super::{Pattern, RecvRefusal, SendRefusal, router::generated_routing_id};
use crate::{
    connection::{ConnectionId, Connections, PeerInfo, Written},
    error::Incompatibility,
    frame::Frame,
    limits::{LOST_CONNECTION_LEN, LOST_RECEIVED_LEN_MAX},
    message::{Message, Outgoing},
    options::Options,
    routing::Roomy,
};

pub(super) struct Stream {
    kind: Kind,
    peers: HashMap<Frame, ConnectionId>,
    names: HashMap<ConnectionId, Name>,
    /// Those of the peers that have room.
    roomy: Roomy,
    next_id: u32,
    /// What is to be received, in order.
    turns: VecDeque<Turn>,
    /// The memory of what peers left that are gone.
    left_len: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    /// A ROUTER with router_raw: there are no notices, and what has no way is dropped.
    RawRouter,
}

/// What a peer that is there is called.
struct Name {
    routing_id: Frame,
    /// The application has received the notice of its coming.
    is_known: bool,
    /// The application has closed the connection, and need not be told.
    is_dismissed: bool,
}

enum Turn {
    /// A peer came.
    Came(Message, ConnectionId),
    /// Bytes of the peer wait.
    Bytes(ConnectionId),
    /// A peer went: its last bytes, or the notice of it.
    Left(Message, ConnectionId),
}

impl Stream {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            kind: Kind::Stream,
            peers: HashMap::new(),
            names: HashMap::new(),
            roomy: Roomy::default(),
            next_id: options.id_seed,
            turns: VecDeque::new(),
            left_len: 0,
        }
    }

    pub(super) fn raw_router(options: &Options) -> Self {
        Self { kind: Kind::RawRouter, ..Self::new(options) }
    }

    fn has_notices(&self, connections: &Connections) -> bool {
        self.kind == Kind::Stream && connections.options.stream_notify
    }

    fn push_left(&mut self, message: Message, id: ConnectionId) {
        self.left_len += memory_of(&message);
        self.turns.push_back(Turn::Left(message, id));
    }

    fn push_end(&mut self, connections: &mut Connections, name: Name, last: Option<Frame>, id: ConnectionId) {
        let has_room = self.left_len <= LOST_RECEIVED_LEN_MAX;
        let has_notices = self.has_notices(connections);
        if has_notices && !name.is_known && (last.is_none() || !has_room) {
            // It came, did nothing that can be told, and went: nobody need hear of it.
            self.turns.retain(|turn| !matches!(turn, Turn::Came(_, other) if *other == id));
            connections.count(id, |counters| counters.dropped_on_arrival += u64::from(last.is_some()));
            return;
        }
        match last {
            // What the peer sent last must not go with it.
            Some(last) if has_room => self.push_left(Message::from([name.routing_id.clone(), last]), id),
            Some(_) => connections.count(id, |counters| counters.dropped_on_arrival += 1),
            None => {}
        }
        if has_notices && !name.is_dismissed {
            self.push_left(Message::from([name.routing_id, Frame::new()]), id);
        }
    }

    fn outcome(
        &self,
        connections: &mut Connections,
        written: Written,
        peer: Option<ConnectionId>,
    ) -> Result<(), SendRefusal> {
        let drops = self.kind == Kind::RawRouter && !connections.options.router_mandatory;
        match (written, peer) {
            (Written::Full, Some(peer)) if drops => connections.count(peer, |counters| counters.dropped_at_hwm += 1),
            (Written::Gone, _) if drops => connections.count_unaddressed(|counters| counters.unroutable += 1),
            (Written::Full, _) => return Err(SendRefusal::WouldBlock),
            (Written::Gone, _) => return Err(SendRefusal::Unroutable),
            (Written::Yes, _) => {}
        }
        Ok(())
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
        let Name { routing_id, .. } = self.names.get(&id)?;
        let bytes = connections.cut_raw(id)?;
        Some(Message::from([routing_id.clone(), bytes]))
    }
}

fn memory_of(message: &Message) -> usize {
    LOST_CONNECTION_LEN + message.body_len()
}

impl Pattern for Stream {
    fn admit(&self, connections: &Connections, id: ConnectionId, _peer: &PeerInfo) -> Result<(), Incompatibility> {
        let assigned = connections.get(id).and_then(|connection| connection.assigned_routing_id());
        if assigned.is_some_and(|routing_id| self.peers.contains_key(routing_id)) {
            return Err(Incompatibility::RoutingIdTaken);
        }
        Ok(())
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        let assigned = connections.get(id).and_then(|connection| connection.assigned_routing_id()).cloned();
        let routing_id = assigned.unwrap_or_else(|| self.next_routing_id());
        if self.has_notices(connections) {
            self.turns.push_back(Turn::Came(Message::from([routing_id.clone(), Frame::new()]), id));
        }
        self.peers.insert(routing_id.clone(), id);
        self.roomy.insert(id);
        self.names.insert(id, Name { routing_id, is_known: false, is_dismissed: false });
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.roomy.remove(id);
        let Some(name) = self.names.remove(&id) else { return };
        if self.peers.get(&name.routing_id) == Some(&id) {
            self.peers.remove(&name.routing_id);
        }
        let last = connections.cut_raw(id);
        if connections.get_mut(id).is_some_and(|connection| std::mem::take(&mut connection.in_fair_queue)) {
            self.turns.retain(|turn| !matches!(turn, Turn::Bytes(other) if *other == id));
        }
        self.push_end(connections, name, last, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id).filter(|_| self.names.contains_key(&id)) else { return };
        if !std::mem::replace(&mut connection.in_fair_queue, true) {
            self.turns.push_back(Turn::Bytes(id));
        }
    }

    fn writable(&mut self, _connections: &mut Connections, id: ConnectionId) {
        if self.names.get(&id).is_some_and(|name| !name.is_dismissed) {
            self.roomy.insert(id);
        }
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let (Some(routing_id), Some(body), 2) = (message.body(0), message.body(1), message.len()) else {
            return Err(SendRefusal::Malformed);
        };
        let peer = self.peers.get(routing_id).copied();
        match peer {
            Some(peer) if body.is_empty() => {
                // What was sent before goes out first; and nothing can be sent behind it.
                self.peers.remove(routing_id);
                self.roomy.remove(peer);
                self.names.get_mut(&peer).into_iter().for_each(|name| name.is_dismissed = true);
                connections.close_when_flushed(peer);
                Ok(())
            }
            Some(id) => {
                let written = connections.write_raw(id, body);
                self.outcome(connections, written, peer)
            }
            None => self.outcome(connections, Written::Gone, None),
        }
    }

    fn check(&mut self, connections: &mut Connections, first: &[u8]) -> Result<(), SendRefusal> {
        let drops = self.kind == Kind::RawRouter && !connections.options.router_mandatory;
        match self.peers.get(first) {
            _ if drops => Ok(()),
            None => Err(SendRefusal::Unroutable),
            Some(&peer) if connections.has_room(peer) => Ok(()),
            Some(_) => Err(SendRefusal::WouldBlock),
        }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        loop {
            let (message, id) = match self.turns.pop_front().ok_or(RecvRefusal::WouldBlock)? {
                Turn::Came(message, id) => {
                    self.names.get_mut(&id).into_iter().for_each(|name| name.is_known = true);
                    (message, id)
                }
                Turn::Left(message, id) => {
                    self.left_len -= memory_of(&message);
                    (message, id)
                }
                Turn::Bytes(id) => {
                    if let Some(connection) = connections.get_mut(id) {
                        connection.in_fair_queue = false;
                    }
                    let Some(message) = self.drain(connections, id) else { continue };
                    (message, id)
                }
            };
            *into = message;
            connections.received_from = Some(id);
            return Ok(());
        }
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.peers.is_empty() || self.roomy.has_any(connections)
    }

    fn can_recv(&mut self, _connections: &mut Connections) -> bool {
        !self.turns.is_empty()
    }
}
