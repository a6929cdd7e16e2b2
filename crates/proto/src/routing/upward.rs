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
    waiting: VecDeque<PassedUp>,
    len: usize,
}

/// Something for the application.
#[derive(Debug)]
pub(crate) struct PassedUp {
    pub(crate) message: Message,
    pub(crate) from: ConnectionId,
    pub(crate) kind: PassedUpKind,
}

/// What it is: its bytes do not say, since a message may look like a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassedUpKind {
    /// A subscription or the end of one.
    Subscription,
    /// What a peer has sent as a message.
    Message,
}

impl Upward {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, connections: &mut Connections, passed_up: PassedUp) {
        let (from, len) = (passed_up.from, passed_up.memory());
        self.len += len;
        self.waiting.push_back(passed_up);
        connections.note_passed_up(from, len);
    }

    pub(crate) fn pop(&mut self, connections: &mut Connections) -> Option<PassedUp> {
        let passed_up = self.waiting.pop_front()?;
        let len = passed_up.memory();
        self.len -= len;
        connections.note_taken_up(passed_up.from, len);
        Some(passed_up)
    }

    /// Drops and counts the oldest of what waits, if it is more than `peers` and those that are gone may have: an
    /// application that lets it come to that never receives.
    pub(crate) fn bound(&mut self, connections: &mut Connections, peers: usize) {
        let shares = peers + 1;
        while self.waiting.len() > shares * XPUB_BACKLOG_MAX || self.len > shares * XPUB_BACKLOG_LEN_MAX {
            if let Some(PassedUp { mut message, .. }) = self.pop(connections) {
                connections.drop_message(&mut message);
            }
            connections.count_unaddressed(|counters| counters.dropped_on_arrival += 1);
        }
    }
}

impl PassedUp {
    fn memory(&self) -> usize {
        size_of::<Self>() + self.message.body_len()
    }
}
