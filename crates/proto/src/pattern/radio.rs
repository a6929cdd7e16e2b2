//! RADIO: distributes to all who joined the message's group (RFC 48).

use std::collections::BTreeSet;

use super::{Pattern, SendRefusal};
use crate::{
    connection::{Audience, Connection, ConnectionId, Connections},
    error::Misbehaviour,
    frame::Frame,
    limits::SUBSCRIPTION_BYTES_PER_PEER_MAX,
    message::{Address, Message, Outgoing},
    routing::{distribute, subscriptions::Subscriptions},
    wire::command::is_group,
};

/// Peers of ZMTP 1.0 and 2.0 know no RADIO.
const NO_OLD_PEERS: BTreeSet<ConnectionId> = BTreeSet::new();

#[derive(Default)]
pub(super) struct Radio {
    memberships: Subscriptions<ConnectionId>,
    /// Peers that cannot join, and get everything.
    mute: Vec<ConnectionId>,
    /// The peers that the message at hand goes to.
    audience: Audience,
}

impl Radio {
    fn check_flood(&self, connections: &mut Connections, id: ConnectionId) {
        let held = self.memberships.held_by(id);
        if held.prefixes > connections.options.subscriptions_per_peer_max
            || held.bytes > SUBSCRIPTION_BYTES_PER_PEER_MAX
        {
            connections.fail(id, Misbehaviour::SubscriptionFlood.into());
        }
    }
}

/// The group of a message; a message that says nothing is for the one without a name.
fn group_of(message: &Outgoing<'_>) -> Frame {
    match message.address() {
        Some(Address::Group(group)) => group.clone(),
        _ => Frame::new(),
    }
}

impl Pattern for Radio {
    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        if connections.get(id).is_some_and(Connection::is_mute) {
            self.mute.push(id);
        }
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.mute.retain(|mute| *mute != id);
        self.memberships.remove_peer(id, |_| {});
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        // RFC 48 wants messages of a DISH discarded in silence.
        let mut message = Message::new();
        while connections.cut_scanned(id, &mut message) {
            connections.drop_message(&mut message);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }

    fn membership(&mut self, connections: &mut Connections, id: ConnectionId, joins: bool, group: &[u8]) {
        if !joins {
            self.memberships.cancel(group, id);
            return;
        }
        match self.memberships.subscribe(group, id) {
            Ok(subscribed) if subscribed.is_new_for_peer() => self.check_flood(connections, id),
            // A peer has joined a group or not, however often it says so.
            Ok(_) => drop(self.memberships.cancel(group, id)),
            Err(_) => connections.fail(id, Misbehaviour::SubscriptionFlood.into()),
        }
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let group = group_of(message);
        if !is_group(&group) {
            return Err(SendRefusal::Malformed);
        }
        let Self { memberships, mute, audience } = self;
        let peers = audience.change();
        peers.clone_from(mute);
        memberships.holders(&group, |peer| peers.push(peer));
        distribute(connections, audience, &NO_OLD_PEERS, &[group], message);
        Ok(())
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        true
    }

    fn subscriptions(&self) -> usize {
        self.memberships.len()
    }
}
