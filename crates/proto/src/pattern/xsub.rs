//! XSUB: receives what it subscribed to, and sends subscriptions as messages (RFC 29).

use std::collections::{BTreeSet, HashMap};

use super::{Pattern, RecvRefusal, SendRefusal, SubscribeRefusal};
use crate::{
    connection::{ConnectionId, Connections, Written},
    limits::SUBSCRIPTION_LEN_MAX,
    message::{Message, Outgoing},
    routing::{
        FairQueue,
        subscriptions::{Filter, Released},
    },
};

#[derive(Default)]
pub(super) struct XSub {
    incoming: FairQueue,
    upstream: BTreeSet<ConnectionId>,
    subscriptions: Filter,
    /// What peers that do not read are yet to be told: prefixes, and whether they are wanted. What is taken back before
    /// it was told is gone, so that this is never more than what there is and what the peer was told.
    untold: HashMap<ConnectionId, HashMap<Box<[u8]>, bool>>,
}

impl XSub {
    pub(super) fn matches(&self, topic: &[u8]) -> bool {
        self.subscriptions.matches(topic)
    }

    /// Puts the next message into `into`, and says whose it is.
    #[inline]
    pub(super) fn next_message(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        self.incoming.recv(connections, into)
    }

    fn forward(&mut self, connections: &mut Connections, subscribe: bool, prefix: &[u8]) {
        for &id in &self.upstream {
            if !self.untold.contains_key(&id) && connections.has_room_for_subscriptions(id) {
                connections.write_subscription(id, subscribe, prefix);
                continue;
            }
            let untold = self.untold.entry(id).or_default();
            if untold.get(prefix) == Some(&!subscribe) {
                untold.remove(prefix);
            } else {
                untold.insert(prefix.into(), subscribe);
            }
        }
    }

    fn send_upstream(&self, connections: &mut Connections, message: &Outgoing<'_>) {
        for &id in &self.upstream {
            if connections.write(id, &[], message, 0) == Written::Full {
                connections.count(id, |counters| counters.dropped_at_hwm += 1);
            }
        }
    }
}

impl Pattern for XSub {
    fn opened(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.insert(id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.upstream.insert(id);
        self.untold.remove(&id);
        self.subscriptions.for_each(|prefix| connections.write_subscription(id, true, prefix));
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.remove(&id);
        self.untold.remove(&id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        if self.untold.contains_key(&id) && connections.has_room_for_subscriptions(id) {
            for (prefix, subscribe) in self.untold.remove(&id).into_iter().flatten() {
                connections.write_subscription(id, subscribe, &prefix);
            }
        }
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let body = message.body(0).ok_or(SendRefusal::Malformed)?;
        match body {
            [1, prefix @ ..] if message.len() == 1 => {
                self.subscribe(connections, prefix).map_err(|refusal| match refusal {
                    SubscribeRefusal::TooLong => SendRefusal::Malformed,
                    _ => SendRefusal::WouldBlock,
                })
            }
            [0, prefix @ ..] if message.len() == 1 => {
                // The end of a subscription that does not exist is nobody's business, as in libzmq.
                let _ = self.unsubscribe(connections, prefix);
                Ok(())
            }
            _ => {
                self.send_upstream(connections, message);
                Ok(())
            }
        }
    }

    #[inline]
    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.next_message(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        true
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }

    fn subscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        if prefix.len() > SUBSCRIPTION_LEN_MAX {
            return Err(SubscribeRefusal::TooLong);
        }
        let is_new = self.subscriptions.subscribe(prefix).map_err(|_| SubscribeRefusal::Full)?;
        if is_new || connections.options.xsub_verbose {
            self.forward(connections, true, prefix);
        }
        Ok(())
    }

    fn unsubscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        match self.subscriptions.cancel(prefix) {
            Released::Unknown => return Err(SubscribeRefusal::Unknown),
            Released::StillHeld if !connections.options.xsub_verbose => {}
            _ => self.forward(connections, false, prefix),
        }
        Ok(())
    }

    fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }
}
