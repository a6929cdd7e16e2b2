//! PUB: an XPUB that keeps its subscriptions to itself and receives nothing (RFC 29).

use super::{Pattern, SendRefusal, xpub::XPub};
use crate::{
    connection::{ConnectionId, Connections},
    message::Outgoing,
};

#[derive(Default)]
pub(super) struct Pub(XPub);

impl Pattern for Pub {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.0.established(connections, id);
        self.0.discard_upward(connections);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.0.lost(connections, id);
        self.0.discard_upward(connections);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.0.readable(connections, id);
        self.0.discard_upward(connections);
    }

    fn subscription(&mut self, connections: &mut Connections, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        self.0.subscription(connections, id, subscribe, prefix);
        self.0.discard_upward(connections);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        self.0.send(connections, message)
    }

    fn check(&mut self, connections: &mut Connections, topic: &[u8]) -> Result<(), SendRefusal> {
        self.0.check(connections, topic)
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.0.can_send(connections)
    }

    fn subscriptions(&self) -> usize {
        self.0.subscriptions()
    }
}
