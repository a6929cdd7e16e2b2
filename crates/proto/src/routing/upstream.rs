//! What a subscriber tells its publishers: what it wants, and what no longer.

use std::collections::{BTreeSet, HashMap};

use crate::{
    connection::{ConnectionId, Connections},
    wire::Version,
};

/// Appends the wish for a topic (`true`), or its end, as a peer of this version knows it.
type Encode = fn(Version, bool, &[u8], &mut Vec<u8>);

/// What is to be said of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is wanted from now on.
    Begins,
    /// It is wanted once more, as all peers know or are yet to be told.
    Again,
    /// It is wanted no longer.
    Ends,
}

impl Wish {
    fn is_wanted(self) -> bool {
        self != Self::Ends
    }

    /// What is left to be told when this comes behind what was not told.
    fn behind(self, untold: Option<Self>) -> Option<Self> {
        match (untold, self) {
            (Some(Self::Begins), Self::Ends) | (Some(Self::Ends), Self::Begins | Self::Again) => None,
            (Some(Self::Begins), _) => Some(Self::Begins),
            _ => Some(self),
        }
    }
}

/// The publishers of a socket. What those that do not read are to be told waits for them here.
pub(crate) struct Upstream {
    encode: Encode,
    peers: BTreeSet<ConnectionId>,
    /// What peers that do not read are yet to be told of which topics. What is taken back before it was told is gone, so
    /// that this is never more than what there is and what the peer was told.
    untold: HashMap<ConnectionId, HashMap<Box<[u8]>, Wish>>,
}

impl Upstream {
    pub(crate) fn new(encode: Encode) -> Self {
        Self { encode, peers: BTreeSet::new(), untold: HashMap::new() }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = ConnectionId> {
        self.peers.iter().copied()
    }

    pub(crate) fn opened(&mut self, id: ConnectionId) {
        self.peers.insert(id);
    }

    /// The peer can be told, and knows nothing yet: [`tell`](Self::tell) it everything.
    pub(crate) fn established(&mut self, id: ConnectionId) {
        self.peers.insert(id);
        self.untold.remove(&id);
    }

    pub(crate) fn lost(&mut self, id: ConnectionId) {
        self.peers.remove(&id);
        self.untold.remove(&id);
    }

    /// Tells a new peer that the topic is wanted.
    pub(crate) fn tell(&self, connections: &mut Connections, id: ConnectionId, topic: &[u8]) {
        self.write(connections, id, true, topic);
    }

    /// Tells all peers of a wish.
    pub(crate) fn forward(&mut self, connections: &mut Connections, wish: Wish, topic: &[u8]) {
        for &id in &self.peers {
            if !self.untold.contains_key(&id) && connections.has_room_for_subscriptions(id) {
                self.write(connections, id, wish.is_wanted(), topic);
                continue;
            }
            let untold = self.untold.entry(id).or_default();
            match wish.behind(untold.get(topic).copied()) {
                Some(wish) => untold.insert(topic.into(), wish),
                None => untold.remove(topic),
            };
        }
    }

    /// The peer reads again.
    pub(crate) fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        if self.untold.contains_key(&id) && connections.has_room_for_subscriptions(id) {
            for (topic, wish) in self.untold.remove(&id).into_iter().flatten() {
                self.write(connections, id, wish.is_wanted(), &topic);
            }
        }
    }

    fn write(&self, connections: &mut Connections, id: ConnectionId, wanted: bool, topic: &[u8]) {
        connections.write_subscription(id, |version, bytes| (self.encode)(version, wanted, topic, bytes));
    }
}
