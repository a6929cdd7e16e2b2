use super::branches::Block;
use super::tree::NodeId;

/// How many bytes a label holds. It makes a [`Filter`](super::Filter)'s node 32 bytes, which is half a cache line.
pub(super) const LABEL_MAX: usize = 17;

/// One node of the tree. The prefix it stands for is the labels from the root down to it, put together.
#[derive(Clone, Debug)]
pub(super) struct Node<V> {
    /// What the tree maps this node's prefix to; `None` if the node is only on the way to others.
    pub(super) value: Option<V>,
    /// Meaningless in the root. In a free node, the next free one.
    pub(super) parent: NodeId,
    /// With one child, that child; with more, where their block begins.
    pub(super) children: u32,
    /// From 0 to 256.
    pub(super) child_count: u16,
    pub(super) label: Label,
}

/// The bytes that lead from a node's parent to the node: empty in the root, and nowhere else.
///
/// Labels are short and stand in the node, so that splitting and merging them takes a bounded time whatever the length
/// of the prefixes, and needs no allocation. A longer label is cut into a chain of nodes with one child each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    len: u8,
    bytes: [u8; LABEL_MAX],
}

/// A node's children.
#[derive(Clone, Copy)]
pub(super) enum Children {
    None,
    One(NodeId),
    Several(Block),
}

impl<V> Node<V> {
    pub(super) fn new(parent: NodeId, label: Label) -> Self {
        Self { value: None, parent, children: 0, child_count: 0, label }
    }

    #[inline]
    pub(super) fn children(&self) -> Children {
        match self.child_count {
            0 => Children::None,
            1 => Children::One(self.children),
            count => Children::Several(Block { at: self.children, count }),
        }
    }

    pub(super) fn set_children(&mut self, children: Children) {
        (self.children, self.child_count) = match children {
            Children::None => (0, 0),
            Children::One(child) => (child, 1),
            Children::Several(block) => (block.at, block.count),
        };
    }
}

impl Label {
    pub(super) const EMPTY: Self = Self { len: 0, bytes: [0; LABEL_MAX] };

    /// The first [`LABEL_MAX`] bytes of `source`.
    pub(super) fn new(source: &[u8]) -> Self {
        Self::EMPTY.extended(source)
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The byte by which the parent tells this child from the others.
    #[inline]
    pub(super) fn key(&self) -> u8 {
        self.bytes[0]
    }

    /// How many bytes the label and `other` have in common at their beginnings.
    pub(super) fn common_len(&self, other: &[u8]) -> usize {
        self.as_bytes().iter().zip(other).take_while(|(a, b)| a == b).count()
    }

    /// The label before and from `at` on, which is at most its length.
    pub(super) fn split(&self, at: usize) -> (Self, Self) {
        let (upper, lower) = self.as_bytes().split_at(at);
        (Self::new(upper), Self::new(lower))
    }

    pub(super) fn fits_before(&self, lower: &Self) -> bool {
        self.len() + lower.len() <= LABEL_MAX
    }

    /// The label with as much of `more` after it as fits.
    pub(super) fn extended(mut self, more: &[u8]) -> Self {
        let from = self.len();
        let more = &more[..more.len().min(LABEL_MAX - from)];
        self.bytes[from..from + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
        self
    }
}
