//! Subscriptions: which prefixes are subscribed to, and by whom.
//!
//! A topic is matched by every subscription that is a prefix of it; the empty prefix matches everything. Two types
//! answer the two questions that publish-subscribe asks:
//!
//! - [`Subscriptions`], on the publisher's side (XPUB): *which peers want this topic?*
//! - [`Filter`], on the subscriber's side (XSUB, SUB): *do we want this topic?*
//!
//! Both count: a prefix subscribed to twice must be cancelled twice. Both stand on one path-compressed tree, so matching
//! takes time in proportion to the topic's length and not to the number of subscriptions, and no operation recurses.
//!
//! # Memory
//! Beyond the prefix's own bytes, and measured with a million prefixes of several kinds, a subscription takes 25 to 50
//! bytes in a [`Filter`] and 55 to 90 in [`Subscriptions`]; there, each peer takes 200 more. A peer can make both grow
//! without end, so whoever feeds them sets the bound: [`Subscriptions::held_by`] tells what one peer has taken, and a
//! tree can be [bounded](Subscriptions::bounded) as a whole. Cancelling returns nodes to the tree, which uses them
//! again; a tree that has become empty returns them to the allocator.

mod audience;
mod branches;
mod filter;
mod node;
mod peers;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use self::audience::{Audience, Crowds};
use self::peers::Peers;
use self::tree::{DEFAULT_NODE_LIMIT, NodeId, Tree};

pub use self::filter::{Filter, Released};
pub use self::peers::Held;

/// The publisher's side: prefix → peers, with a count for each prefix and peer.
///
/// `P` names a peer: a small copied key. Whatever order `P` has, no result depends on it.
///
/// In the complexities below, *L* is the length of the prefix or topic and *S* the number of prefixes one peer holds.
#[derive(Clone, Debug)]
pub struct Subscriptions<P> {
    tree: Tree<Audience>,
    crowds: Crowds,
    peers: Peers<P>,
    /// Greater with each change.
    generation: u64,
}

/// The only prefix of a topic that is held, among all prefixes and over all changes. Equal ones have the same peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoleMatch {
    audience: Audience,
    generation: u64,
}

/// What [`Subscriptions::subscribe`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// Nobody held the prefix before.
    NewPrefix,
    /// Others held the prefix, but not this peer.
    NewPeer,
    /// This peer held the prefix already; it now has to cancel it once more.
    Again,
}

/// What [`Subscriptions::cancel`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// This peer did not hold the prefix. Nothing changed.
    Unknown,
    /// This peer had subscribed more than once, and still holds the prefix.
    StillHeld,
    /// This peer no longer holds the prefix, but others do.
    GoneForPeer,
    /// Nobody holds the prefix any more.
    Gone,
}

/// The tree has reached its bound and takes no new prefix. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<P: Copy + Eq + Ord> Subscriptions<P> {
    /// No subscriptions, and no bound but that of the tree itself: 2³² − 1 nodes, of 36 bytes each.
    pub fn new() -> Self {
        Self::bounded(DEFAULT_NODE_LIMIT)
    }

    /// No subscriptions, and room for at most `node_limit` nodes of 36 bytes.
    ///
    /// A new prefix of *L* bytes is admitted while 1 + ⌈*L* / 17⌉ nodes are left. It takes fewer where it shares its
    /// beginning with another.
    pub fn bounded(node_limit: u32) -> Self {
        Self { tree: Tree::new(node_limit), crowds: Crowds::default(), peers: Peers::new(), generation: 0 }
    }

    /// The number of distinct prefixes held, by whatever number of peers: what XPUB reports as its topics count. O(1).
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether no peer holds any prefix. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much `peer` holds, for limits and for monitoring. O(log peers).
    pub fn held_by(&self, peer: P) -> Held {
        self.peers.held_by(peer)
    }

    /// Counts one more subscription of `peer` to `prefix`. O(*L* + log *S* + log peers).
    ///
    /// The count of one prefix and peer stops at 2³² − 1.
    ///
    /// # Errors
    /// [`Full`] if the prefix is new and the tree has reached its bound.
    pub fn subscribe(&mut self, prefix: &[u8], peer: P) -> Result<Subscribed, Full> {
        self.generation += 1;
        if !self.peers.has_room() {
            return Err(Full);
        }
        let node = self.tree.insert(prefix)?;
        let slot = self.crowds.len(self.tree.value(node));
        let seat = self.peers.seat(peer);
        if !self.peers.hold(seat, node, slot, prefix.len()) {
            return Ok(Subscribed::Again);
        }
        let audience = self.crowds.join(self.tree.value(node), seat);
        self.tree.set(node, audience);
        Ok(if slot == 0 { Subscribed::NewPrefix } else { Subscribed::NewPeer })
    }

    /// Takes back one subscription of `peer` to `prefix`. O(*L* + log *S* + log peers).
    pub fn cancel(&mut self, prefix: &[u8], peer: P) -> Cancelled {
        self.generation += 1;
        let (Some(node), Some(seat)) = (self.tree.find(prefix), self.peers.find(peer)) else {
            return Cancelled::Unknown;
        };
        match self.peers.release(seat, node, prefix.len()) {
            peers::Release::Unknown => Cancelled::Unknown,
            peers::Release::StillHeld => Cancelled::StillHeld,
            peers::Release::Gone { slot } => {
                if self.leave(node, slot) {
                    return Cancelled::GoneForPeer;
                }
                self.tree.remove(node);
                Cancelled::Gone
            }
        }
    }

    /// Takes back all that `peer` subscribed to, and calls `gone` with each prefix that nobody holds any more, in no
    /// particular order. In proportion to what the peer held, whatever others hold: O(log *S* + *L*) for each prefix.
    pub fn remove_peer(&mut self, peer: P, mut gone: impl FnMut(&[u8])) {
        self.generation += 1;
        let Some(seat) = self.peers.find(peer) else { return };
        let mut prefix = Vec::new();
        while let Some((node, slot)) = self.peers.release_any(seat) {
            if self.leave(node, slot) {
                continue;
            }
            self.tree.read_prefix(node, &mut prefix);
            self.tree.remove(node);
            gone(&prefix);
        }
    }

    /// Calls `visit` with each prefix that `peer` holds, once and in no particular order. In proportion to the bytes of
    /// these prefixes.
    pub fn for_each_of(&self, peer: P, mut visit: impl FnMut(&[u8])) {
        let Some(seat) = self.peers.find(peer) else { return };
        let mut prefix = Vec::new();
        for node in self.peers.nodes(seat) {
            self.tree.read_prefix(node, &mut prefix);
            visit(&prefix);
        }
    }

    /// Calls `visit` once with each peer that holds at least one prefix of `topic`, in no particular order.
    ///
    /// O(*L* + the matching subscriptions). If one prefix matches, its peers are visited straight from its list, which
    /// is the case of everybody subscribing to everything. If several match, each peer visited is stamped with the
    /// number of this round and passed over when it comes up again; hence `&mut self`.
    #[inline]
    pub fn matches(&mut self, topic: &[u8], mut visit: impl FnMut(P)) {
        let mut matching = self.tree.matching(topic);
        let Some(first) = matching.next() else { return };
        let Some(second) = matching.next() else {
            return self.peers.visit(self.crowds.members(first), visit);
        };
        self.peers.begin_round();
        for audience in [first, second].into_iter().chain(matching) {
            self.peers.visit_once(self.crowds.members(audience), &mut visit);
        }
    }

    /// What [`matches`](Self::matches) would find, if one prefix of `topic` is held and no other. O(*L*).
    #[inline]
    pub fn sole_match(&self, topic: &[u8]) -> Option<SoleMatch> {
        let mut matching = self.tree.matching(topic);
        let audience = *matching.next()?;
        matching.next().is_none().then_some(SoleMatch { audience, generation: self.generation })
    }

    /// Calls `visit` once with each peer that holds exactly `topic`, in no particular order. O(*L* + its peers).
    pub fn holders(&self, topic: &[u8], visit: impl FnMut(P)) {
        if let Some(audience) = self.tree.find(topic).and_then(|node| self.tree.value(node)) {
            self.peers.visit(self.crowds.members(&audience), visit);
        }
    }

    /// Calls `visit` with each prefix that is held, once and in order: what a publisher forwards to a
    /// peer it has newly connected to. In proportion to the bytes of all the prefixes visited.
    pub fn for_each(&self, visit: impl FnMut(&[u8])) {
        self.tree.for_each(visit);
    }

    /// Takes the peer in `slot` from the audience of `node`. Whether others are left.
    fn leave(&mut self, node: NodeId, slot: u32) -> bool {
        let left = self.crowds.leave(self.tree.value(node), slot);
        let Some(audience) = left.audience else { return false };
        self.tree.set(node, audience);
        if let Some(seat) = left.moved {
            self.peers.moved(seat, node, slot);
        }
        true
    }
}

impl<P: Copy + Eq + Ord> Default for Subscriptions<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscribed {
    /// Nobody held the prefix before.
    pub fn is_new_prefix(self) -> bool {
        self == Self::NewPrefix
    }

    /// This peer did not hold the prefix before.
    pub fn is_new_for_peer(self) -> bool {
        self != Self::Again
    }
}

impl Cancelled {
    /// This peer held the prefix before.
    pub fn was_held(self) -> bool {
        self != Self::Unknown
    }

    /// This peer has ceased to hold the prefix.
    pub fn is_gone_for_peer(self) -> bool {
        matches!(self, Self::GoneForPeer | Self::Gone)
    }

    /// Nobody holds the prefix any more, and somebody did.
    pub fn is_gone(self) -> bool {
        self == Self::Gone
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the subscription tree has reached its bound")
    }
}

impl std::error::Error for Full {}
