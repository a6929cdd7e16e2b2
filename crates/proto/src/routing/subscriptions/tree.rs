use std::cmp::Reverse;

use super::Full;
use super::branches::Branches;
use super::node::{Children, LABEL_MAX, Label, Node};

/// A node's place in the tree. A node that has a value keeps its place until that value is removed.
pub(super) type NodeId = u32;

pub(super) const DEFAULT_NODE_LIMIT: u32 = u32::MAX;

const ROOT: NodeId = 0;
const NO_NODE: NodeId = NodeId::MAX;

/// An empty tree gives its memory back if it has grown beyond this many nodes.
const NODES_KEPT: usize = 1024;

/// A path-compressed tree that maps prefixes to values.
///
/// Between calls, each node but the root has a value, or two children, or is *idle*: one link of a chain that stands for
/// a label too long for one node. A node that becomes idle is merged with those neighbours that fit into one with it, so
/// no two links in succession would fit into one, but for the first two of a chain. Hence there are at most a few nodes
/// for each value and one for each nine bytes, whatever was inserted and removed.
#[derive(Clone, Debug)]
pub(super) struct Tree<V> {
    nodes: Vec<Node<V>>,
    branches: Branches,
    /// The first free node, or [`NO_NODE`].
    free: NodeId,
    free_count: u32,
    /// How many nodes have a value.
    len: usize,
    node_limit: u32,
}

/// The values of a topic's prefixes, the shortest prefix first.
pub(super) struct Matching<'a, V> {
    tree: &'a Tree<V>,
    /// The next node to look at, and what of the topic is left below it.
    next: Option<(&'a Node<V>, &'a [u8])>,
}

impl<V: Copy> Tree<V> {
    pub(super) fn new(node_limit: u32) -> Self {
        Self {
            nodes: vec![Node::new(NO_NODE, Label::EMPTY)],
            branches: Branches::new(),
            free: NO_NODE,
            free_count: 0,
            len: 0,
            node_limit,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the empty prefix has a value.
    #[inline]
    pub(super) fn matches_everything(&self) -> bool {
        self.node(ROOT).value.is_some()
    }

    #[inline]
    pub(super) fn matching<'a>(&'a self, topic: &'a [u8]) -> Matching<'a, V> {
        Matching { tree: self, next: Some((self.node(ROOT), topic)) }
    }

    /// The node of `prefix`, if it has a value.
    pub(super) fn find(&self, prefix: &[u8]) -> Option<NodeId> {
        let (mut at, mut rest) = (ROOT, prefix);
        while let Some(&key) = rest.first() {
            at = self.child(self.node(at), key)?;
            rest = rest.strip_prefix(self.node(at).label.as_bytes())?;
        }
        self.node(at).value.map(|_| at)
    }

    #[inline]
    pub(super) fn value(&self, node: NodeId) -> Option<V> {
        self.node(node).value
    }

    /// The node of `prefix`, made if need be; a new one waits to be given its value by [`set`](Self::set).
    pub(super) fn insert(&mut self, prefix: &[u8]) -> Result<NodeId, Full> {
        if !self.has_room_for(prefix.len()) {
            return self.find(prefix).ok_or(Full);
        }
        let (mut at, mut rest) = (ROOT, prefix);
        while let Some(&key) = rest.first() {
            let Some(child) = self.child(self.node(at), key) else { return Ok(self.append(at, rest)) };
            let label = self.node(child).label;
            let common = label.common_len(rest);
            if common == 0 {
                return Ok(self.append(at, rest));
            }
            at = if common < label.len() { self.split(child, common) } else { child };
            rest = &rest[common..];
        }
        Ok(at)
    }

    pub(super) fn set(&mut self, node: NodeId, value: V) {
        let before = self.node_mut(node).value.replace(value);
        self.len += usize::from(before.is_none());
    }

    /// Removes a node's value, and every node that thereby loses its purpose.
    pub(super) fn remove(&mut self, node: NodeId) {
        self.len -= usize::from(self.node_mut(node).value.take().is_some());
        self.prune(node);
        if self.len == 0 && self.nodes.capacity() > NODES_KEPT {
            *self = Self::new(self.node_limit);
        }
    }

    /// Puts the prefix of `node` into `prefix`, in place of what it held.
    pub(super) fn read_prefix(&self, node: NodeId, prefix: &mut Vec<u8>) {
        prefix.clear();
        let mut at = node;
        while at != ROOT {
            let node = self.node(at);
            prefix.extend(node.label.as_bytes().iter().rev());
            at = node.parent;
        }
        prefix.reverse();
    }

    /// Calls `visit` with each prefix that has a value, in order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&[u8])) {
        let mut prefix = Vec::new();
        let mut ahead = vec![(ROOT, 0)];
        while let Some((id, parent_len)) = ahead.pop() {
            let node = self.node(id);
            prefix.truncate(parent_len);
            prefix.extend_from_slice(node.label.as_bytes());
            if node.value.is_some() {
                visit(&prefix);
            }
            let first = ahead.len();
            self.each_child(node, |child| ahead.push((child, prefix.len())));
            // The last is visited first.
            ahead[first..]
                .sort_unstable_by_key(|(child, _)| Reverse(self.node(*child).label.as_bytes().first().copied()));
        }
    }

    fn each_child(&self, node: &Node<V>, visit: impl FnMut(NodeId)) {
        match node.children() {
            Children::None => {}
            Children::One(child) => Some(child).into_iter().for_each(visit),
            Children::Several(block) => self.branches.children(block).for_each(visit),
        }
    }

    /// The child of `node` whose label begins with `key`. An only child is returned unseen: the caller compares labels.
    #[inline]
    fn child(&self, node: &Node<V>, key: u8) -> Option<NodeId> {
        match node.children() {
            Children::None => None,
            Children::One(child) => Some(child),
            Children::Several(block) => self.branches.find(block, key),
        }
    }

    /// Adds a chain of nodes for `rest`, which is not empty, below `at`. The last of them.
    fn append(&mut self, mut at: NodeId, rest: &[u8]) -> NodeId {
        for label in rest.chunks(LABEL_MAX) {
            let child = self.allocate(Node::new(at, Label::new(label)));
            self.link(at, child);
            at = child;
        }
        at
    }

    /// Puts a new node between `node` and its parent, which takes over the first `at` bytes of the label.
    fn split(&mut self, node: NodeId, at: usize) -> NodeId {
        let parent = self.node(node).parent;
        let (upper_label, lower_label) = self.node(node).label.split(at);
        let upper = self.allocate(Node::new(parent, upper_label));
        self.relink(parent, node, upper);
        self.node_mut(upper).set_children(Children::One(node));
        let lower = self.node_mut(node);
        lower.parent = upper;
        lower.label = lower_label;
        upper
    }

    /// Frees `node` if nothing needs it, then its parent, and so on; merges the chain this leaves behind.
    fn prune(&mut self, mut node: NodeId) {
        while self.is_useless_leaf(node) {
            let parent = self.node(node).parent;
            self.unlink(parent, node);
            self.release(node);
            node = parent;
        }
        self.merge_chain(node);
    }

    fn is_useless_leaf(&self, node: NodeId) -> bool {
        node != ROOT && self.node(node).value.is_none() && self.node(node).child_count == 0
    }

    /// Merges what `node`, which may just have become idle, turned into one chain. The chain below it may begin with a
    /// short link, which the rule allows there, but not in a chain's middle; so that one is merged first.
    fn merge_chain(&mut self, node: NodeId) {
        if let Children::One(child) = self.node(node).children() {
            self.merge_down(child);
        }
        let node = self.merge_down(node);
        while node != ROOT && self.mergeable_child(self.node(node).parent) == Some(node) {
            self.merge(self.node(node).parent, node);
        }
    }

    /// Merges `node` with those below it for as long as it is idle and they fit. The node that is there now.
    fn merge_down(&mut self, mut node: NodeId) -> NodeId {
        while let Some(child) = self.mergeable_child(node) {
            self.merge(node, child);
            node = child;
        }
        node
    }

    /// The only child of an idle node, if the labels of the two fit into one.
    fn mergeable_child(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        let Children::One(child) = node.children() else { return None };
        let fits = node.label.fits_before(&self.node(child).label);
        (id != ROOT && node.value.is_none() && fits).then_some(child)
    }

    /// Has `child` take the place of its idle parent `upper`.
    fn merge(&mut self, upper: NodeId, child: NodeId) {
        let Node { parent, label, .. } = *self.node(upper);
        self.relink(parent, upper, child);
        self.release(upper);
        let child = self.node_mut(child);
        child.label = label.extended(child.label.as_bytes());
        child.parent = parent;
    }

    /// Adds `child` to the children of `parent`.
    fn link(&mut self, parent: NodeId, child: NodeId) {
        let children = match self.node(parent).children() {
            Children::None => Children::One(child),
            Children::One(other) => Children::Several(self.branches.pair(self.branch(other), self.branch(child))),
            Children::Several(block) => Children::Several(self.branches.with(block, self.branch(child))),
        };
        self.node_mut(parent).set_children(children);
    }

    /// Takes `child` from the children of `parent`.
    fn unlink(&mut self, parent: NodeId, child: NodeId) {
        let key = self.node(child).label.key();
        let children = match self.node(parent).children() {
            Children::None | Children::One(_) => Children::None,
            Children::Several(block) if block.count == 2 => Children::One(self.branches.other_of_pair(block, key)),
            Children::Several(block) => Children::Several(self.branches.without(block, key)),
        };
        self.node_mut(parent).set_children(children);
    }

    /// Puts `new` where `old` is among the children of `parent`; both have the same key.
    fn relink(&mut self, parent: NodeId, old: NodeId, new: NodeId) {
        let key = self.node(old).label.key();
        match self.node(parent).children() {
            Children::Several(block) => self.branches.replace(block, key, new),
            Children::None | Children::One(_) => self.node_mut(parent).set_children(Children::One(new)),
        }
    }

    /// A child as its parent's block has it.
    fn branch(&self, child: NodeId) -> (u8, NodeId) {
        (self.node(child).label.key(), child)
    }

    /// Whether the nodes of a new prefix and the one to be split, and the block that may grow, can be had.
    fn has_room_for(&self, prefix_len: usize) -> bool {
        let used = self.nodes.len() - self.free_count as usize;
        let wanted = prefix_len.div_ceil(LABEL_MAX) + 1;
        wanted <= (self.node_limit as usize).saturating_sub(used) && self.branches.has_room()
    }

    fn allocate(&mut self, node: Node<V>) -> NodeId {
        let id = self.free;
        if id == NO_NODE {
            reserve_frugally(&mut self.nodes, 1);
            self.nodes.push(node);
            return (self.nodes.len() - 1) as NodeId;
        }
        self.free_count -= 1;
        self.free = self.node(id).parent;
        *self.node_mut(id) = node;
        id
    }

    fn release(&mut self, id: NodeId) {
        self.free_count += 1;
        *self.node_mut(id) = Node::new(self.free, Label::EMPTY);
        self.free = id;
    }

    #[inline]
    fn node(&self, id: NodeId) -> &Node<V> {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<V> {
        &mut self.nodes[id as usize]
    }
}

impl<'a, V: Copy> Iterator for Matching<'a, V> {
    type Item = &'a V;

    #[inline]
    fn next(&mut self) -> Option<&'a V> {
        loop {
            let (node, rest) = self.next?;
            self.next = self.below(node, rest);
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
    }
}

impl<'a, V: Copy> Matching<'a, V> {
    /// The child of `node` that the topic leads to, and the topic's bytes left below it.
    #[inline]
    fn below(&self, node: &Node<V>, rest: &'a [u8]) -> Option<(&'a Node<V>, &'a [u8])> {
        let child = self.tree.child(node, *rest.first()?)?;
        let child = self.tree.node(child);
        Some((child, rest.strip_prefix(child.label.as_bytes())?))
    }
}

/// Makes room for more items, growing by an eighth and not to the double as `Vec` does by itself: a tree of a million
/// nodes is to waste little, and costs a few copies of each node over its whole growth.
pub(super) fn reserve_frugally<T>(items: &mut Vec<T>, additional: usize) {
    const LEAST: usize = 16;
    if items.capacity() - items.len() < additional {
        items.reserve_exact(additional.max(items.len() / 8).max(LEAST));
    }
}

#[cfg(test)]
impl<V: Copy> Tree<V> {
    /// Checks what must hold between calls, and returns the numbers of nodes with a value, branching, and idle.
    pub(super) fn check(&self) -> (usize, usize, usize) {
        let (mut valued, mut branching, mut idle) = (0, 0, 0);
        let mut blocks = Vec::new();
        let mut ahead = vec![ROOT];
        while let Some(id) = ahead.pop() {
            self.check_node(id);
            let node = self.node(id);
            match (node.value.is_some(), node.children()) {
                (true, _) => valued += 1,
                (false, Children::One(_)) => idle += 1,
                (false, _) => branching += 1,
            }
            if let Children::Several(block) = node.children() {
                blocks.push(block);
            }
            self.each_child(node, |child| ahead.push(child));
        }
        assert_eq!(valued, self.len);
        assert_eq!(valued + branching + idle + self.free_count as usize, self.nodes.len());
        self.branches.check(&blocks);
        (valued, branching, idle)
    }

    fn check_node(&self, id: NodeId) {
        let node = self.node(id);
        assert_eq!(id == ROOT, node.label.len() == 0);
        assert!(id == ROOT || node.value.is_some() || node.child_count > 0, "a useless leaf");
        let mut keys = std::collections::BTreeSet::new();
        self.each_child(node, |child| {
            assert_eq!(self.node(child).parent, id);
            assert!(keys.insert(self.node(child).label.key()), "two children with one key");
        });
        assert_eq!(keys.len(), usize::from(node.child_count));
        if self.is_idle(id) && self.is_idle(node.parent) {
            assert!(self.mergeable_child(id).is_none_or(|child| !self.is_idle(child)), "a slack chain");
        }
    }

    fn is_idle(&self, id: NodeId) -> bool {
        id != ROOT && self.node(id).value.is_none() && self.node(id).child_count == 1
    }

    /// How many nodes there are, with the free ones.
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }
}
