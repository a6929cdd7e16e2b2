use super::tree::{NodeId, reserve_frugally};

/// The blocks in which nodes with two children or more keep them, all in one arena of words.
///
/// A block's size follows from its number of children. Up to [`NARROW_MAX`] children, a block is that many keys (the
/// first byte of each child's label, four to a word) rounded up to a power of two, then that many ids, both in order of
/// arrival. With more children, it is 256 ids, indexed by the key itself.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    words: Vec<u32>,
    /// For each class, the first free block, or [`NO_BLOCK`]; each free block's first word is the next one.
    free: [u32; CLASSES],
}

/// Where a node's children are, and how many.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) at: u32,
    /// From 2 to 256.
    pub(super) count: u16,
}

/// Sizes of block: 2, 4, 8, 16, 32, 64 and 256 children.
const CLASSES: usize = 7;
const WIDE: usize = CLASSES - 1;
const NARROW_MAX: u16 = 64;
const WIDEST: usize = 256;

const NO_BLOCK: u32 = u32::MAX;
const NO_CHILD: NodeId = NodeId::MAX;

impl Branches {
    pub(super) const fn new() -> Self {
        Self { words: Vec::new(), free: [NO_BLOCK; CLASSES] }
    }

    /// Whether any block at all can be had without its place overflowing a `u32`.
    pub(super) fn has_room(&self) -> bool {
        self.words.len() < NO_BLOCK as usize - WIDEST
    }

    /// The child that `key` leads to.
    #[inline]
    pub(super) fn find(&self, block: Block, key: u8) -> Option<NodeId> {
        if block.count > NARROW_MAX {
            let child = self.words[block.start() + usize::from(key)];
            return (child != NO_CHILD).then_some(child);
        }
        let index = self.position(block, key)?;
        Some(self.words[block.ids() + index])
    }

    /// A block of two children with different keys.
    pub(super) fn pair(&mut self, first: (u8, NodeId), second: (u8, NodeId)) -> Block {
        let block = Block { at: self.allocate(class(2)), count: 2 };
        self.put(block, 0, first);
        self.put(block, 1, second);
        block
    }

    /// The block with a child more, whose key is none of the others'.
    pub(super) fn with(&mut self, block: Block, child: (u8, NodeId)) -> Block {
        let grown = self.resized(block, block.count + 1);
        self.put(grown, usize::from(block.count), child);
        grown
    }

    /// The block of at least three children without the one of that key.
    pub(super) fn without(&mut self, block: Block, key: u8) -> Block {
        if let Some(index) = self.index(block, key) {
            self.close_gap(block, index);
        }
        self.resized(block, block.count - 1)
    }

    /// Takes a block of two apart: what is left of it without the child of that key.
    pub(super) fn other_of_pair(&mut self, block: Block, key: u8) -> NodeId {
        let other = self.position(block, key).map_or(0, |index| 1 - index);
        let child = self.words[block.ids() + other];
        self.release(block);
        child
    }

    /// Puts `child` where the child of that key was.
    pub(super) fn replace(&mut self, block: Block, key: u8, child: NodeId) {
        if let Some(index) = self.index(block, key) {
            self.words[block.ids() + index] = child;
        }
    }

    /// The children of a block.
    pub(super) fn children(&self, block: Block) -> impl Iterator<Item = NodeId> {
        let ids = &self.words[block.ids()..][..block.occupied()];
        ids.iter().copied().filter(|&child| child != NO_CHILD)
    }

    /// Where among a block's ids the child of that key is.
    fn index(&self, block: Block, key: u8) -> Option<usize> {
        if block.count > NARROW_MAX { Some(usize::from(key)) } else { self.position(block, key) }
    }

    /// Where among a narrow block's keys `key` is. Compares four keys at a time.
    #[inline]
    fn position(&self, block: Block, key: u8) -> Option<usize> {
        const LOWS: u32 = 0x0101_0101;
        const HIGHS: u32 = 0x8080_8080;
        let wanted = LOWS * u32::from(key);
        for (index, word) in self.words[block.start()..block.ids()].iter().enumerate() {
            // A byte of `difference` is zero where the keys agree; the lowest bit left in `hits` marks the first such.
            let difference = word ^ wanted;
            let hits = difference.wrapping_sub(LOWS) & !difference & HIGHS;
            if hits != 0 {
                let index = index * 4 + hits.trailing_zeros() as usize / 8;
                // Slots without a child keep what key they had, after all those with one.
                return (index < usize::from(block.count)).then_some(index);
            }
        }
        None
    }

    /// Takes the child at `index` out; in a narrow block the last one takes its place.
    fn close_gap(&mut self, block: Block, index: usize) {
        if block.count > NARROW_MAX {
            self.words[block.ids() + index] = NO_CHILD;
            return;
        }
        let last = usize::from(block.count) - 1;
        let moved = (self.key(block, last), self.words[block.ids() + last]);
        self.put(block, index, moved);
    }

    /// The same children in a block fit for `count`, which is one more or one less.
    fn resized(&mut self, block: Block, count: u16) -> Block {
        if class(block.count) == class(count) {
            return Block { at: block.at, count };
        }
        let resized = Block { at: self.allocate(class(count)), count };
        self.copy(block, resized);
        self.release(block);
        resized
    }

    /// Copies the children of `from`, but no more than `to` counts: a narrow block's last slot may have been vacated.
    fn copy(&mut self, from: Block, to: Block) {
        let mut index = 0;
        for slot in 0..from.occupied() {
            let child = self.words[from.ids() + slot];
            if child != NO_CHILD && index < usize::from(to.count) {
                self.put(to, index, (self.key(from, slot), child));
                index += 1;
            }
        }
    }

    /// Fills the slot that `index` stands for in a narrow block, and the key in a wide one.
    fn put(&mut self, block: Block, index: usize, (key, child): (u8, NodeId)) {
        if block.is_wide() {
            self.words[block.start() + usize::from(key)] = child;
            return;
        }
        self.words[block.ids() + index] = child;
        let word = &mut self.words[block.start() + index / 4];
        let mut keys = word.to_le_bytes();
        keys[index % 4] = key;
        *word = u32::from_le_bytes(keys);
    }

    /// The key of a slot that has a child.
    fn key(&self, block: Block, slot: usize) -> u8 {
        if block.is_wide() {
            return slot as u8;
        }
        self.words[block.start() + slot / 4].to_le_bytes()[slot % 4]
    }

    /// Where a block of that class may be: a free one, or a new one.
    fn allocate(&mut self, class: usize) -> u32 {
        let at = self.free[class];
        if at == NO_BLOCK {
            return self.grow(words(class));
        }
        let start = at as usize;
        self.free[class] = self.words[start];
        self.words[start..start + words(class)].fill(NO_CHILD);
        at
    }

    fn grow(&mut self, additional: usize) -> u32 {
        let at = self.words.len();
        reserve_frugally(&mut self.words, additional);
        self.words.resize(at + additional, NO_CHILD);
        at as u32
    }

    fn release(&mut self, block: Block) {
        let class = class(block.count);
        self.words[block.start()] = self.free[class];
        self.free[class] = block.at;
    }
}

impl Block {
    #[inline]
    fn is_wide(self) -> bool {
        self.count > NARROW_MAX
    }

    #[inline]
    fn start(self) -> usize {
        self.at as usize
    }

    /// Where the ids begin.
    #[inline]
    fn ids(self) -> usize {
        self.start() + key_words(class(self.count))
    }

    /// How many ids there are to look at.
    fn occupied(self) -> usize {
        if self.is_wide() { WIDEST } else { usize::from(self.count) }
    }
}

/// The class of a block for `count` children, which are at least two.
#[inline]
fn class(count: u16) -> usize {
    if count > NARROW_MAX { WIDE } else { count.next_power_of_two().trailing_zeros() as usize - 1 }
}

#[inline]
fn key_words(class: usize) -> usize {
    if class == WIDE { 0 } else { capacity(class).div_ceil(4) }
}

fn words(class: usize) -> usize {
    key_words(class) + capacity(class)
}

#[inline]
fn capacity(class: usize) -> usize {
    if class == WIDE { WIDEST } else { 2 << class }
}

#[cfg(test)]
impl Branches {
    /// Checks that each word belongs to one of these blocks, which are all in use, or to a free one.
    pub(super) fn check(&self, used: &[Block]) {
        let mut owned = vec![false; self.words.len()];
        let mut own = |at: u32, class: usize| {
            owned[at as usize..][..words(class)].iter_mut().for_each(|owned| {
                assert!(!std::mem::replace(owned, true), "two blocks in one place");
            });
        };
        used.iter().for_each(|block| own(block.at, class(block.count)));
        for class in 0..CLASSES {
            let mut at = self.free[class];
            while at != NO_BLOCK {
                own(at, class);
                at = self.words[at as usize];
            }
        }
        assert!(owned.iter().all(|&owned| owned), "a lost block");
    }
}
