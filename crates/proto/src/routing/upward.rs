//! What peers send up to a publisher's application: in the order in which it came, and so much of each peer.

use std::collections::VecDeque;

use crate::{
    connection::{ConnectionId, Connections},
    limits::{XPUB_BACKLOG_LEN_MAX, XPUB_BACKLOG_MAX},
    message::Message,
};

/// Subscriptions and messages that wait for the application, with those who sent them. Each peer is held to its own
/// share (see [`Connections::note_passed_up`]); what peers left that are gone, to all of them together.
#[derive(Debug, Default)]
pub(crate) struct Upward {
    waiting: VecDeque<(Message, ConnectionId)>,
    len: usize,
}

impl Upward {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, connections: &mut Connections, message: Message, from: ConnectionId) {
        let len = memory_of(&message);
        self.len += len;
        self.waiting.push_back((message, from));
        connections.note_passed_up(from, len);
    }

    pub(crate) fn pop(&mut self, connections: &mut Connections) -> Option<(Message, ConnectionId)> {
        let (message, from) = self.waiting.pop_front()?;
        let len = memory_of(&message);
        self.len -= len;
        connections.note_taken_up(from, len);
        Some((message, from))
    }

    /// Drops and counts the oldest of what waits, if it is more than `peers` and those that are gone may have: an
    /// application that lets it come to that never receives.
    pub(crate) fn bound(&mut self, connections: &mut Connections, peers: usize) {
        let shares = peers + 1;
        while self.waiting.len() > shares * XPUB_BACKLOG_MAX || self.len > shares * XPUB_BACKLOG_LEN_MAX {
            if let Some((mut message, _)) = self.pop(connections) {
                connections.drop_message(&mut message);
            }
            connections.count_unaddressed(|counters| counters.dropped_on_arrival += 1);
        }
    }
}

fn memory_of(message: &Message) -> usize {
    size_of::<(Message, ConnectionId)>() + message.body_len()
}
