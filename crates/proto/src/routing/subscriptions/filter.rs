use std::num::NonZeroU32;

use super::Full;
use super::tree::{DEFAULT_NODE_LIMIT, Tree};

/// The subscriber's side: the prefixes it subscribed to, each with a count.
///
/// In the complexities below, *L* is the length of the prefix or topic.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(super) tree: Tree<NonZeroU32>,
}

/// What [`Filter::cancel`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The prefix was not held. Nothing changed.
    Unknown,
    /// The prefix had been subscribed to more than once, and is still held.
    StillHeld,
    /// The prefix is no longer held.
    Gone,
}

impl Filter {
    /// No subscriptions: nothing matches. There is no bound but that of the tree itself: 2³² − 1 nodes, of 32 bytes each.
    pub fn new() -> Self {
        Self::bounded(DEFAULT_NODE_LIMIT)
    }

    /// No subscriptions, and room for at most `node_limit` nodes of 32 bytes.
    ///
    /// A new prefix of *L* bytes is admitted while 1 + ⌈*L* / 17⌉ nodes are left. It takes fewer where it shares its
    /// beginning with another.
    pub fn bounded(node_limit: u32) -> Self {
        Self { tree: Tree::new(node_limit) }
    }

    /// The number of distinct prefixes held. O(1).
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether no prefix is held, and so nothing matches. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts one more subscription to `prefix`. Whether it is new. O(*L*).
    ///
    /// The count of one prefix stops at 2³² − 1.
    ///
    /// # Errors
    /// [`Full`] if the prefix is new and the tree has reached its bound.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<bool, Full> {
        let node = self.tree.insert(prefix)?;
        let before = self.tree.value(node);
        self.tree.set(node, before.map_or(NonZeroU32::MIN, |count| count.saturating_add(1)));
        Ok(before.is_none())
    }

    /// Takes back one subscription to `prefix`. O(*L*).
    pub fn cancel(&mut self, prefix: &[u8]) -> Released {
        let Some(node) = self.tree.find(prefix) else { return Released::Unknown };
        let count = self.tree.value(node).map_or(0, NonZeroU32::get);
        if let Some(left) = NonZeroU32::new(count.saturating_sub(1)) {
            self.tree.set(node, left);
            return Released::StillHeld;
        }
        self.tree.remove(node);
        Released::Gone
    }

    /// Whether a prefix of `topic` is held. O(*L*), and O(1) if everything is subscribed to.
    #[inline]
    pub fn matches(&self, topic: &[u8]) -> bool {
        self.tree.matches_everything() || self.tree.matching(topic).next().is_some()
    }

    /// Calls `visit` with each prefix that is held, once and in order: what a subscriber sends to a
    /// publisher it has newly connected to. In proportion to the bytes of all the prefixes visited.
    pub fn for_each(&self, visit: impl FnMut(&[u8])) {
        self.tree.for_each(visit);
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}
