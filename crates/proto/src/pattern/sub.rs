//! SUB: an XSUB that sends nothing, and receives only what matches (RFC 29).

use super::{Pattern, RecvRefusal, SubscribeRefusal, drop_prefetched, xsub::XSub};
use crate::{
    connection::{ConnectionId, Connections},
    message::Message,
    options::Options,
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
    fn next_match(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        loop {
            let id = self.xsub.next_message(connections, into)?;
            if matches(&self.xsub, &connections.options, into.as_slice()) {
                return Some(id);
            }
            connections.drop_message(into);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }

    /// What has come and is no longer subscribed to is not received, looked at or not.
    fn drop_unmatched(&mut self, connections: &mut Connections) {
        let unmatched =
            self.next.take_if(|(message, _)| !matches(&self.xsub, &connections.options, message.as_slice()));
        if let Some((mut message, id)) = unmatched {
            connections.drop_message(&mut message);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }
}

fn matches(xsub: &XSub, options: &Options, first_frame: &[u8]) -> bool {
    xsub.matches(first_frame) != options.invert_matching
}

impl Pattern for Sub {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.established(connections, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.lost(connections, id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.writable(connections, id);
    }

    fn discard(&mut self, connections: &mut Connections, id: ConnectionId) {
        drop_prefetched(&mut self.next, connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.xsub.readable(connections, id);
    }

    #[inline]
    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        if let Some((message, id)) = self.next.take() {
            *into = message;
            connections.received_from = Some(id);
            return Ok(());
        }
        self.next_match(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn passes_on(&self, options: &Options, body: &[u8]) -> bool {
        self.next.is_none() && matches(&self.xsub, options, body)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        if self.next.is_none() {
            let mut message = Message::new();
            connections.prefetched_from = self.next_match(connections, &mut message);
            self.next = connections.prefetched_from.map(|id| (message, id));
        }
        self.next.is_some()
    }

    fn subscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.xsub.subscribe(connections, prefix)?;
        // With invert_matching.
        self.drop_unmatched(connections);
        Ok(())
    }

    fn unsubscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.xsub.unsubscribe(connections, prefix)?;
        self.drop_unmatched(connections);
        Ok(())
    }

    fn subscriptions(&self) -> usize {
        self.xsub.subscriptions()
    }
}
