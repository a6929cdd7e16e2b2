//! Which peers have room, where the message says to whom it goes.

use std::collections::BTreeSet;

use crate::connection::{ConnectionId, Connections};

/// The connections that had room when they were last looked at. One that has none is looked at no more until it has some
/// again: the question whether anybody has room takes as long with ten thousand full peers as with one.
#[derive(Debug, Default)]
pub(crate) struct Roomy(BTreeSet<ConnectionId>);

impl Roomy {
    /// The connection can be written to, or has room again.
    pub(crate) fn insert(&mut self, id: ConnectionId) {
        self.0.insert(id);
    }

    /// Nothing is sent to the connection any more.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        self.0.remove(&id);
    }

    /// Whether anybody has room. Of those that have none, the pattern hears when they do.
    pub(crate) fn has_any(&mut self, connections: &mut Connections) -> bool {
        while let Some(&id) = self.0.first() {
            if connections.has_room(id) {
                return true;
            }
            self.0.remove(&id);
        }
        false
    }
}
