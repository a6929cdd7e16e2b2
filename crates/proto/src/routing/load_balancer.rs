//! Sends to many peers in turns: one message to each that has room.

use crate::{
    connection::{ConnectionId, Connections, Written},
    frame::Frame,
    message::Outgoing,
};

/// The connections that had room when they were last looked at, in the order of their turns.
#[derive(Debug, Default)]
pub(crate) struct LoadBalancer {
    active: Vec<ConnectionId>,
    current: usize,
}

impl LoadBalancer {
    /// Gives a connection its turn, behind all others.
    pub(crate) fn activate(&mut self, connections: &mut Connections, id: ConnectionId) {
        let Some(connection) = connections.get_mut(id) else { return };
        if !std::mem::replace(&mut connection.in_load_balancer, true) {
            self.active.push(id);
        }
    }

    /// Gives a connection whose handshake is complete its first turn, behind those that are older. Handshakes that run
    /// side by side end in any order; the turns are in the order in which the peers came.
    pub(crate) fn join(&mut self, connections: &mut Connections, id: ConnectionId) {
        let before = self.active.len();
        self.activate(connections, id);
        if self.active.len() == before {
            return;
        }
        let number = |id| connections.get(id).map(|connection| connection.number);
        let to_come = &self.active[self.current..before];
        let younger = to_come.iter().rev().take_while(|other| number(**other) > number(id)).count();
        self.active[before - younger..].rotate_right(1);
    }

    pub(crate) fn remove(&mut self, connections: &mut Connections, id: ConnectionId) {
        if let Some(position) = self.active.iter().position(|other| *other == id) {
            self.deactivate(connections, position);
        }
    }

    /// Writes the envelope and the message from the frame `skip` on to the peer whose turn it is. `None`: nobody has
    /// room.
    #[inline(always)]
    pub(crate) fn write(
        &mut self,
        connections: &mut Connections,
        envelope: &[Frame],
        message: &Outgoing<'_>,
        skip: usize,
    ) -> Option<ConnectionId> {
        while let Some(&id) = self.active.get(self.current) {
            if connections.write(id, envelope, message, skip) == Written::Yes {
                self.advance();
                return Some(id);
            }
            self.deactivate(connections, self.current);
        }
        None
    }

    /// Who gets each message, while no other is there.
    pub(crate) fn only_peer(&self) -> Option<ConnectionId> {
        match self.active[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether [`write`](Self::write) would find room.
    pub(crate) fn has_room(&mut self, connections: &mut Connections) -> bool {
        while let Some(&id) = self.active.get(self.current) {
            if connections.has_room(id) {
                return true;
            }
            self.deactivate(connections, self.current);
        }
        false
    }

    /// The bytes that wait for those who are in turn, if they are many [for each](Connections::lead_over).
    pub(crate) fn lead(&self, connections: &Connections) -> Option<usize> {
        // Who is next has waited longest, and most likely has the least.
        let (later, next) = self.active.split_at(self.current);
        let leads = next.iter().chain(later).map(|id| connections.lead_over(*id));
        leads.sum::<Option<usize>>().filter(|_| !self.active.is_empty())
    }

    #[inline]
    fn advance(&mut self) {
        self.current += 1;
        if self.current == self.active.len() {
            self.current = 0;
        }
    }

    fn deactivate(&mut self, connections: &mut Connections, position: usize) {
        let id = self.active.remove(position);
        if let Some(connection) = connections.get_mut(id) {
            connection.in_load_balancer = false;
        }
        if position < self.current {
            self.current -= 1;
        }
        if self.current >= self.active.len() {
            self.current = 0;
        }
    }
}
