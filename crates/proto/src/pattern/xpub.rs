//! XPUB: distributes to all who subscribed, and passes subscriptions up (RFC 29).

use std::collections::BTreeSet;

use super::{Pattern, RecvRefusal, SendRefusal, SubscribeRefusal};
use crate::{
    connection::{Audience, ConnectionId, Connections},
    error::Misbehaviour,
    frame::Frame,
    limits::SUBSCRIPTION_BYTES_PER_PEER_MAX,
    message::{Message, Outgoing},
    options::Options,
    routing::{
        PassedUp, PassedUpKind, Upward, count_drop, distribute, offer,
        subscriptions::{Cancelled, SoleMatch, Subscribed, Subscriptions},
    },
    wire::Version,
};

#[derive(Default)]
pub(super) struct XPub {
    peers: BTreeSet<ConnectionId>,
    /// Those of ZMTP 1.0, whose frames are unlike all others'.
    old_peers: BTreeSet<ConnectionId>,
    subscriptions: Subscriptions<ConnectionId>,
    /// Subscriptions take effect only when the application says so.
    is_manual: bool,
    /// With manual: what the peers asked for, whatever the application made of it.
    requests: Subscriptions<ConnectionId>,
    /// Subscriptions and messages from peers, for the application.
    upward: Upward,
    /// With manual: the peer whose subscription was received last, to which `subscribe` applies. It may be gone.
    last_received_from: Option<ConnectionId>,
    /// With last value: the peer whose subscription took effect last, to which alone the next message goes.
    newest: Option<ConnectionId>,
    /// The peers that the message at hand goes to.
    audience: Audience,
    /// Who that is among all audiences, as long as the subscriptions stay as they are.
    match_of_audience: Option<SoleMatch>,
}

impl XPub {
    pub(super) fn new(options: &Options) -> Self {
        Self { is_manual: is_manual(options), ..Self::default() }
    }

    fn find_audience(&mut self, topic: &[u8], invert: bool) {
        let Self { peers, subscriptions, newest, audience, match_of_audience, .. } = self;
        let is_plain = !invert && newest.is_none();
        let sole_match = if is_plain { subscriptions.sole_match(topic) } else { None };
        if sole_match.is_some() && sole_match == *match_of_audience {
            return;
        }
        *match_of_audience = sole_match;
        let audience = audience.change();
        audience.clear();
        subscriptions.matches(topic, |peer| audience.push(peer));
        if invert {
            audience.sort_unstable();
            *audience = peers.iter().copied().filter(|peer| audience.binary_search(peer).is_err()).collect();
        }
        if let Some(newest) = newest {
            audience.retain(|peer| peer == newest);
        }
    }

    /// With nodrop: whether all of the audience have room.
    fn check_audience(&self, connections: &mut Connections) -> Result<(), SendRefusal> {
        if connections.options.xpub_nodrop && !connections.have_room(&self.audience) {
            return Err(SendRefusal::WouldBlock);
        }
        Ok(())
    }

    /// Takes a subscription into the table, and passes it up where that is wanted.
    fn change(&mut self, connections: &mut Connections, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        if !self.peers.contains(&id) {
            // It is about to go, and gets nothing more.
            return;
        }
        let options = &connections.options;
        let verbose = self.is_manual || options.xpub_verboser || subscribe && options.xpub_verbose;
        let table = if self.is_manual { &mut self.requests } else { &mut self.subscriptions };
        match apply(table, id, subscribe, prefix) {
            Ok(concerns_all) if concerns_all || verbose => {
                self.upward.push(connections, notification(subscribe, prefix, id));
            }
            Ok(_) | Err(SubscribeRefusal::Unknown) => {}
            Err(_) => return connections.fail(id, Misbehaviour::SubscriptionFlood.into()),
        }
        if subscribe {
            self.check_flood(connections, id);
        }
    }

    fn check_flood(&self, connections: &mut Connections, id: ConnectionId) {
        let table = if self.is_manual { &self.requests } else { &self.subscriptions };
        let held = table.held_by(id);
        if held.prefixes > connections.options.subscriptions_per_peer_max
            || held.bytes > SUBSCRIPTION_BYTES_PER_PEER_MAX
        {
            connections.fail(id, Misbehaviour::SubscriptionFlood.into());
        }
    }

    /// Takes everything that the peer sent: subscriptions in the form of messages, and messages upstream.
    fn take_messages(&mut self, connections: &mut Connections, id: ConnectionId) {
        let mut message = Message::new();
        while connections.cut_scanned(id, &mut message) {
            match message.as_slice() {
                [first @ (0 | 1), prefix @ ..] if message.len() == 1 => {
                    self.change(connections, id, *first == 1, prefix);
                    connections.drop_message(&mut message);
                }
                [first @ (0 | 1), prefix @ ..] if connections.options.only_first_subscribe => {
                    self.change(connections, id, *first == 1, prefix);
                    message.pop_front().into_iter().for_each(|frame| connections.drop_frame(frame));
                    self.upward.push(connections, data(&mut message, id));
                }
                _ => self.upward.push(connections, data(&mut message, id)),
            }
        }
    }

    /// What PUB does not pass up.
    pub(super) fn discard_upward(&mut self, connections: &mut Connections) {
        while let Some(PassedUp { mut message, from, kind }) = self.upward.pop(connections) {
            connections.drop_message(&mut message);
            let is_lost = kind == PassedUpKind::Message;
            connections.count(from, |counters| counters.dropped_on_arrival += u64::from(is_lost));
        }
    }

    fn apply_by_hand(
        &mut self,
        connections: &Connections,
        subscribe: bool,
        prefix: &[u8],
    ) -> Result<(), SubscribeRefusal> {
        let peer = self.last_received_from.filter(|_| self.is_manual);
        let peer = peer.ok_or(SubscribeRefusal::NotSupported)?;
        if !self.peers.contains(&peer) {
            // It is gone, and its subscriptions with it: nothing is left to do, as in libzmq.
            return Ok(());
        }
        apply(&mut self.subscriptions, peer, subscribe, prefix)?;
        if subscribe && connections.options.xpub_manual_last_value {
            self.newest = Some(peer);
        }
        Ok(())
    }
}

fn is_manual(options: &Options) -> bool {
    options.xpub_manual || options.xpub_manual_last_value
}

/// Changes a table; says whether the prefix is new to it, or gone from it.
fn apply(
    table: &mut Subscriptions<ConnectionId>,
    id: ConnectionId,
    subscribe: bool,
    prefix: &[u8],
) -> Result<bool, SubscribeRefusal> {
    if subscribe {
        let subscribed = table.subscribe(prefix, id).map_err(|_| SubscribeRefusal::Full)?;
        if subscribed == Subscribed::Again {
            // A peer has a subscription or not: libzmq's subscribers repeat each SUBSCRIBE, and send one CANCEL.
            table.cancel(prefix, id);
        }
        return Ok(subscribed.is_new_prefix());
    }
    match table.cancel(prefix, id) {
        Cancelled::Unknown => Err(SubscribeRefusal::Unknown),
        cancelled => Ok(cancelled.is_gone()),
    }
}

fn notification(subscribe: bool, prefix: &[u8], from: ConnectionId) -> PassedUp {
    let mut body = Vec::with_capacity(1 + prefix.len());
    body.push(u8::from(subscribe));
    body.extend_from_slice(prefix);
    PassedUp { message: Frame::from(body).into(), from, kind: PassedUpKind::Subscription }
}

fn data(message: &mut Message, from: ConnectionId) -> PassedUp {
    PassedUp { message: std::mem::take(message), from, kind: PassedUpKind::Message }
}

impl Pattern for XPub {
    /// What is in force stays in force, and manual counts for what the peers say from now on.
    fn options_changed(&mut self, options: &Options) {
        if std::mem::replace(&mut self.is_manual, is_manual(options)) == self.is_manual {
            return;
        }
        // Until manual was switched on, the peers had what they asked for.
        self.requests = if self.is_manual { self.subscriptions.clone() } else { Subscriptions::default() };
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.insert(id);
        if connections.get(id).is_some_and(|connection| connection.version() == Version::V1_0) {
            self.old_peers.insert(id);
            // A subscriber of 1.0 filters for itself (RFC 13 has no subscriptions).
            self.change(connections, id, true, b"");
        }
        if let Some(welcome) = connections.options.xpub_welcome.clone() {
            let written = connections.write(id, &[], &Outgoing::Owned(welcome), 0);
            count_drop(connections, id, written);
        }
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.peers.remove(&id);
        self.old_peers.remove(&id);
        // What was for it alone is for all, as in libzmq.
        self.newest.take_if(|newest| *newest == id);
        let Self { subscriptions, requests, upward, is_manual, .. } = self;
        let heard_of = if *is_manual { &mut *requests } else { &mut *subscriptions };
        let each_is_heard_of = *is_manual || connections.options.xpub_verboser;
        let pass_up = |prefix: &[u8]| upward.push(connections, notification(false, prefix, id));
        if each_is_heard_of {
            heard_of.for_each_of(id, pass_up);
        } else {
            heard_of.remove_peer(id, pass_up);
        }
        requests.remove_peer(id, |_| {});
        subscriptions.remove_peer(id, |_| {});
        self.upward.bound(connections, self.peers.len());
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
        match *self.audience.peers() {
            // To write shows whether there is room.
            [only] if connections.options.xpub_nodrop => {
                if !offer(connections, only, message) {
                    return Err(SendRefusal::WouldBlock);
                }
            }
            _ => {
                self.check_audience(connections)?;
                distribute(connections, &self.audience, &self.old_peers, &[], message);
            }
        }
        self.newest = None;
        Ok(())
    }

    fn check(&mut self, connections: &mut Connections, topic: &[u8]) -> Result<(), SendRefusal> {
        self.find_audience(topic, connections.options.invert_matching);
        self.check_audience(connections)
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        let PassedUp { message, from, .. } = self.upward.pop(connections).ok_or(RecvRefusal::WouldBlock)?;
        self.last_received_from = Some(from);
        *into = message;
        connections.received_from = Some(from);
        Ok(())
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
}
