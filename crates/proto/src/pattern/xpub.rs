//! XPUB: distributes to all who subscribed, and passes subscriptions up (RFC 29).

use std::collections::VecDeque;

use super::{Pattern, RecvRefusal, SendRefusal, SubscribeRefusal};
use crate::{
    connection::{ConnectionId, Connections, Written},
    error::Misbehaviour,
    frame::Frame,
    limits::{LARGE_BODY_LEN, XPUB_BACKLOG_MAX},
    message::{Message, Outgoing},
    routing::subscriptions::{Cancelled, Subscriptions},
    wire::Version,
};

#[derive(Default)]
pub(super) struct XPub {
    peers: Vec<ConnectionId>,
    subscriptions: Subscriptions<ConnectionId>,
    /// Subscriptions and messages from peers, for the application.
    upward: VecDeque<(Message, ConnectionId)>,
    /// With manual: the peer whose subscription was received last, to which `subscribe` applies.
    last_received_from: Option<ConnectionId>,
    /// The peers that the message at hand goes to.
    audience: Vec<ConnectionId>,
}

impl XPub {
    fn find_audience(&mut self, topic: &[u8], invert: bool) {
        let Self { peers, subscriptions, audience, .. } = self;
        audience.clear();
        subscriptions.matches(topic, |peer| audience.push(peer));
        if invert {
            let mut rest = peers.clone();
            rest.retain(|peer| !audience.contains(peer));
            *audience = rest;
        }
    }

    fn distribute(&self, connections: &mut Connections, message: &Outgoing<'_>) {
        match self.audience[..] {
            [] => {}
            [only] => {
                let written = connections.write(only, &[], message, 0);
                count_drop(connections, only, written);
            }
            _ => {
                for version in [Version::V3_1, Version::V1_0] {
                    self.distribute_encoded(connections, version, message);
                }
            }
        }
    }

    /// Encodes the message once and gives it to all whose connection frames alike: all but those of 1.0.
    fn distribute_encoded(&self, connections: &mut Connections, version: Version, message: &Outgoing<'_>) {
        let frames_alike = |connections: &Connections, id: ConnectionId| {
            let is_old = connections.get(id).is_some_and(|connection| connection.version() == Version::V1_0);
            is_old == (version == Version::V1_0)
        };
        if !self.audience.iter().any(|&id| frames_alike(connections, id)) {
            return;
        }
        let encoded = connections.encode(version, message);
        for &id in &self.audience {
            if frames_alike(connections, id) {
                let written = connections.write_encoded(id, &encoded);
                count_drop(connections, id, written);
            }
        }
        connections.recycle(encoded);
    }

    /// Takes a subscription into the table, and passes it up where that is wanted.
    fn change(&mut self, connections: &mut Connections, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        if connections.options.xpub_manual {
            return self.pass_up(id, subscribe, prefix);
        }
        let verbose = if subscribe {
            connections.options.xpub_verbose || connections.options.xpub_verboser
        } else {
            connections.options.xpub_verboser
        };
        match self.apply(id, subscribe, prefix) {
            Ok(concerns_all) if concerns_all || verbose => self.pass_up(id, subscribe, prefix),
            Ok(_) | Err(SubscribeRefusal::Unknown) => {}
            Err(_) => connections.fail(id, Misbehaviour::SubscriptionFlood.into()),
        }
    }

    /// Changes the table; says whether the prefix is new to it, or gone from it.
    fn apply(&mut self, id: ConnectionId, subscribe: bool, prefix: &[u8]) -> Result<bool, SubscribeRefusal> {
        if subscribe {
            let subscribed = self.subscriptions.subscribe(prefix, id).map_err(|_| SubscribeRefusal::Full)?;
            return Ok(subscribed.is_new_prefix());
        }
        match self.subscriptions.cancel(prefix, id) {
            Cancelled::Unknown => Err(SubscribeRefusal::Unknown),
            cancelled => Ok(cancelled.is_gone()),
        }
    }

    fn pass_up(&mut self, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        self.upward.push_back((notification(subscribe, prefix), id));
    }

    /// Takes everything that the peer sent: subscriptions in the form of messages, and messages upstream.
    fn take_messages(&mut self, connections: &mut Connections, id: ConnectionId) {
        let mut message = Message::new();
        while connections.cut(id, &mut message) {
            match message.as_slice() {
                [first @ (0 | 1), prefix @ ..] if message.len() == 1 => {
                    self.change(connections, id, *first == 1, prefix);
                }
                _ => self.upward.push_back((std::mem::take(&mut message), id)),
            }
        }
    }

    /// What PUB does not pass up.
    pub(super) fn discard_upward(&mut self) {
        self.upward.clear();
    }

    fn apply_by_hand(
        &mut self,
        connections: &Connections,
        subscribe: bool,
        prefix: &[u8],
    ) -> Result<(), SubscribeRefusal> {
        let peer = self.last_received_from.filter(|_| connections.options.xpub_manual);
        self.apply(peer.ok_or(SubscribeRefusal::NotSupported)?, subscribe, prefix).map(drop)
    }
}

fn count_drop(connections: &mut Connections, id: ConnectionId, written: Written) {
    if written == Written::Full {
        connections.count(id, |counters| counters.dropped_at_hwm += 1);
    }
}

fn notification(subscribe: bool, prefix: &[u8]) -> Message {
    let mut body = Vec::with_capacity(1 + prefix.len());
    body.push(u8::from(subscribe));
    body.extend_from_slice(prefix);
    Frame::from(body).into()
}

impl Pattern for XPub {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.push(id);
        if connections.get(id).is_some_and(|connection| connection.version() == Version::V1_0) {
            // A subscriber of 1.0 filters for itself (RFC 13 has no subscriptions).
            self.change(connections, id, true, b"");
        }
        if let Some(welcome) = connections.options.xpub_welcome.clone() {
            connections.write(id, &[], &Outgoing::Owned(welcome), 0);
        }
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.peers.retain(|peer| *peer != id);
        self.last_received_from.take_if(|peer| *peer == id);
        let upward = &mut self.upward;
        self.subscriptions.remove_peer(id, |prefix| upward.push_back((notification(false, prefix), id)));
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.take_messages(connections, id);
    }

    fn subscription(&mut self, connections: &mut Connections, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        self.change(connections, id, subscribe, prefix);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let topic = message.body(0).ok_or(SendRefusal::Malformed)?;
        self.find_audience(topic, connections.options.invert_matching);
        if connections.options.xpub_nodrop && !self.audience.iter().all(|&id| connections.has_room(id)) {
            return Err(SendRefusal::WouldBlock);
        }
        match message {
            Outgoing::Body(body) if body.len() >= LARGE_BODY_LEN && self.audience.len() > 1 => {
                // One copy, shared by all.
                self.distribute(connections, &Outgoing::Owned((*body).into()));
            }
            _ => self.distribute(connections, message),
        }
        Ok(())
    }

    fn recv(&mut self, _connections: &mut Connections, into: &mut Message) -> Result<ConnectionId, RecvRefusal> {
        let (message, peer) = self.upward.pop_front().ok_or(RecvRefusal::WouldBlock)?;
        self.last_received_from = Some(peer);
        *into = message;
        Ok(peer)
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        true
    }

    fn can_recv(&mut self, _connections: &mut Connections) -> bool {
        !self.upward.is_empty()
    }

    fn subscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.apply_by_hand(connections, true, prefix)
    }

    fn unsubscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.apply_by_hand(connections, false, prefix)
    }

    fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    fn is_backlogged(&self) -> bool {
        self.upward.len() >= XPUB_BACKLOG_MAX
    }
}
