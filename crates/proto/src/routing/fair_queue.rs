//! Receives from many peers in turns: one message from each that has some.

use std::collections::VecDeque;

use crate::{
    connection::{ConnectionId, Connections},
    message::Message,
};

/// The connections that have messages, in the order of their turns.
#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    turns: VecDeque<ConnectionId>,
    /// Turns whose messages have been fetched in advance.
    fetched: usize,
}

/// From so many connections on, what they hold does not stay in the processor's nearest cache from turn to turn.
const MANY: usize = 32;

/// Turns that are fetched at once.
const FETCH_TURNS: usize = 8;

impl FairQueue {
    /// Gives a connection that has messages its turn, behind all others. One that was made in the place of a lost one
    /// gets that one's turns, once it has left nothing: a peer's messages keep their order.
    pub(crate) fn activate(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id) else { return };
        let is_new = !std::mem::replace(&mut connection.in_fair_queue, true);
        if is_new && connection.predecessor.is_none() {
            connections.end_receiving();
            self.turns.push_back(id);
        }
    }

    /// Puts the next message into `into`, and says whose it is.
    #[inline]
    pub(crate) fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        let received = connections.receive_in_run(into).or_else(|| self.recv_in_turn(connections, into));
        if received.is_some() {
            connections.received_from = received;
        }
        received
    }

    #[inline(never)]
    fn recv_in_turn(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        if self.turns.len() >= MANY {
            self.fetch_ahead(connections);
        }
        loop {
            let id = *self.turns.front()?;
            if connections.cut(id, into) {
                if self.turns.len() > 1 {
                    self.turns.pop_front();
                    self.turns.push_back(id);
                } else {
                    connections.begin_receiving(id);
                }
                return Some(id);
            }
            self.deactivate_front(connections);
        }
    }

    /// Whether [`recv`](Self::recv) would find a message.
    pub(crate) fn has_message(&mut self, connections: &mut Connections) -> bool {
        while let Some(&id) = self.turns.front() {
            if connections.has_message(id) {
                return true;
            }
            self.deactivate_front(connections);
        }
        false
    }

    /// Brings the next messages of those whose turns come into the processor's cache, all at once: each turn by itself
    /// would wait for its own.
    fn fetch_ahead(&mut self, connections: &Connections) {
        if self.fetched == 0 {
            self.turns.iter().take(FETCH_TURNS).for_each(|&id| connections.fetch_next(id));
            self.fetched = FETCH_TURNS;
        }
        self.fetched -= 1;
    }

    fn deactivate_front(&mut self, connections: &mut Connections) {
        let Some(id) = self.turns.pop_front() else { return };
        if let Some(connection) = connections.get_mut(id) {
            connection.in_fair_queue = false;
        }
        if let Some(next) = connections.take_successor(id) {
            self.turns.push_front(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mechanism::Role, wire::Version};

    #[test]
    fn a_run_ends_when_another_connection_has_messages() {
        let (mut queue, mut connections) = (FairQueue::default(), Connections::default());
        let [first, second] = [(); 2].map(|()| connections.insert(Role::Client));
        let come = |queue: &mut FairQueue, connections: &mut Connections, id, bodies: &[&str]| {
            let inbound = &mut connections.get_mut(id).unwrap().inbound;
            bodies.iter().for_each(|body| inbound.insert(Version::V3_1, body.as_bytes()));
            queue.activate(connections, id);
        };
        let mut received = Vec::new();
        let mut recv = |queue: &mut FairQueue, connections: &mut Connections| {
            let mut message = Message::new();
            let from = queue.recv(connections, &mut message).unwrap();
            received.push((String::from_utf8(message.as_slice().to_vec()).unwrap(), from));
        };
        come(&mut queue, &mut connections, first, &["0", "1", "2", "3", "4"]);
        (0..2).for_each(|_| recv(&mut queue, &mut connections));
        come(&mut queue, &mut connections, second, &["x", "y"]);
        (0..5).for_each(|_| recv(&mut queue, &mut connections));
        let expected =
            [("0", first), ("1", first), ("2", first), ("x", second), ("3", first), ("y", second), ("4", first)];
        assert_eq!(received, expected.map(|(body, from)| (body.to_owned(), from)));
        assert_eq!(connections.get(first).unwrap().counters().messages_in, 5);
    }
}
