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
}

impl FairQueue {
    /// Gives a connection that has messages its turn, behind all others. One that was made in the place of a lost one
    /// gets that one's turns, once it has left nothing: a peer's messages keep their order.
    pub(crate) fn activate(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id) else { return };
        let is_new = !std::mem::replace(&mut connection.in_fair_queue, true);
        if is_new && connection.predecessor.is_none() {
            self.turns.push_back(id);
        }
    }

    /// Puts the next message into `into`, and says whose it is.
    #[inline]
    pub(crate) fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        loop {
            let id = *self.turns.front()?;
            if connections.cut(id, into) {
                if self.turns.len() > 1 {
                    self.turns.rotate_left(1);
                }
                connections.received_from = Some(id);
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
