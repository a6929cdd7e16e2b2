//! SUB: an XSUB that sends nothing, and receives only what matches (RFC 29).

use super::{Pattern, RecvRefusal, SubscribeRefusal, xsub::XSub};
use crate::{
    connection::{ConnectionId, Connections},
    message::Message,
};

#[derive(Default)]
pub(super) struct Sub {
    xsub: XSub,
    /// A matching message that was looked at before it was asked for.
    next: Option<(Message, ConnectionId)>,
}

impl Sub {
    /// The next message that matches. A publisher need not filter: one of 1.0 does not, an inverted one may send more.
    #[inline]
    fn next_match(&mut self, connections: &mut Connections) -> Option<(Message, ConnectionId)> {
        loop {
            let (message, id) = self.xsub.recv(connections).ok()?;
            if self.xsub.matches(message.as_slice()) != connections.options.invert_matching {
                return Some((message, id));
            }
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }
}

impl Pattern for Sub {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.established(connections, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.lost(connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.readable(connections, id);
    }

    #[inline]
    fn recv(&mut self, connections: &mut Connections) -> Result<(Message, ConnectionId), RecvRefusal> {
        match self.next.take() {
            Some(next) => Ok(next),
            None => self.next_match(connections).ok_or(RecvRefusal::WouldBlock),
        }
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        if self.next.is_none() {
            self.next = self.next_match(connections);
        }
        self.next.is_some()
    }

    fn subscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.xsub.subscribe(connections, prefix)
    }

    fn unsubscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.xsub.unsubscribe(connections, prefix)
    }

    fn subscriptions(&self) -> usize {
        self.xsub.subscriptions()
    }
}
