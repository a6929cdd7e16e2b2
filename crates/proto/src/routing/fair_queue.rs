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
                    self.turns.rotate_left(1);
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
