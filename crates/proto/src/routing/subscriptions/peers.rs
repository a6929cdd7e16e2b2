use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::tree::NodeId;

/// A peer's place in [`Peers`], for as long as it holds anything.
pub(super) type Seat = u32;

/// How much one peer holds: see [`Subscriptions::held_by`](super::Subscriptions::held_by).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many distinct prefixes.
    pub prefixes: usize,
    /// How many bytes these prefixes have together.
    pub bytes: u64,
}

/// The peers that hold anything, and what each of them holds.
#[derive(Clone, Debug)]
pub(super) struct Peers<P> {
    seats: BTreeMap<P, Seat>,
    /// What a match reads, by seat; apart from the rest, to be dense.
    visitors: Vec<Visitor<P>>,
    holdings: Vec<Holdings>,
    free: Vec<Seat>,
    round: u64,
}

/// What [`Peers::release`] did.
pub(super) enum Release {
    Unknown,
    StillHeld,
    /// The peer has ceased to hold the prefix, in whose audience it had this slot.
    Gone {
        slot: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Visitor<P> {
    peer: P,
    /// The last round that visited it.
    round: u64,
}

#[derive(Clone, Debug, Default)]
struct Holdings {
    prefixes: BTreeMap<NodeId, Holding>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    /// How often the peer subscribed: at least once.
    count: u32,
    /// The peer's slot in the prefix's audience.
    slot: u32,
}

impl<P: Copy + Ord> Peers<P> {
    pub(super) fn new() -> Self {
        Self { seats: BTreeMap::new(), visitors: Vec::new(), holdings: Vec::new(), free: Vec::new(), round: 0 }
    }

    /// Whether one more peer can be had without its seat overflowing.
    pub(super) fn has_room(&self) -> bool {
        self.visitors.len() < Seat::MAX as usize
    }

    pub(super) fn find(&self, peer: P) -> Option<Seat> {
        self.seats.get(&peer).copied()
    }

    pub(super) fn held_by(&self, peer: P) -> Held {
        let Some(seat) = self.find(peer) else { return Held::default() };
        let Holdings { prefixes, bytes } = &self.holdings[seat as usize];
        Held { prefixes: prefixes.len(), bytes: *bytes }
    }

    /// The peer's seat; a new one waits to [`hold`](Self::hold) something.
    pub(super) fn seat(&mut self, peer: P) -> Seat {
        if let Some(seat) = self.find(peer) {
            return seat;
        }
        let seat = self.take_seat(Visitor { peer, round: 0 });
        self.seats.insert(peer, seat);
        seat
    }

    /// Counts one more subscription. Whether it is the peer's first to this prefix, in which case it has that slot.
    pub(super) fn hold(&mut self, seat: Seat, node: NodeId, slot: u32, prefix_len: usize) -> bool {
        let Holdings { prefixes, bytes } = &mut self.holdings[seat as usize];
        match prefixes.entry(node) {
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                held.count = held.count.saturating_add(1);
                false
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Holding { count: 1, slot });
                *bytes += prefix_len as u64;
                true
            }
        }
    }

    /// Counts one subscription less. A peer that holds nothing more loses its seat.
    pub(super) fn release(&mut self, seat: Seat, node: NodeId, prefix_len: usize) -> Release {
        let Holdings { prefixes, bytes } = &mut self.holdings[seat as usize];
        let Entry::Occupied(mut held) = prefixes.entry(node) else { return Release::Unknown };
        if held.get().count > 1 {
            held.get_mut().count -= 1;
            return Release::StillHeld;
        }
        let Holding { slot, .. } = held.remove();
        *bytes -= prefix_len as u64;
        if prefixes.is_empty() {
            self.free_seat(seat);
        }
        Release::Gone { slot }
    }

    /// Releases one of the prefixes the peer holds, whatever its count: its node, and the peer's slot in the audience.
    /// `None` if there is none left; by then the peer has lost its seat.
    pub(super) fn release_any(&mut self, seat: Seat) -> Option<(NodeId, u32)> {
        let prefixes = &mut self.holdings[seat as usize].prefixes;
        let (node, Holding { slot, .. }) = prefixes.pop_first()?;
        if prefixes.is_empty() {
            self.free_seat(seat);
        }
        Some((node, slot))
    }

    /// The nodes of the prefixes the peer holds.
    pub(super) fn nodes(&self, seat: Seat) -> impl Iterator<Item = NodeId> {
        self.holdings[seat as usize].prefixes.keys().copied()
    }

    /// Notes that the peer has another slot in the audience of `node`.
    pub(super) fn moved(&mut self, seat: Seat, node: NodeId, slot: u32) {
        if let Some(holding) = self.holdings[seat as usize].prefixes.get_mut(&node) {
            holding.slot = slot;
        }
    }

    /// Calls `visit` with each of the peers.
    #[inline]
    pub(super) fn visit(&self, seats: &[Seat], mut visit: impl FnMut(P)) {
        for &seat in seats {
            visit(self.visitors[seat as usize].peer);
        }
    }

    /// Has [`visit_once`](Self::visit_once) begin anew.
    pub(super) fn begin_round(&mut self) {
        // At a round each nanosecond this number lasts for 584 years.
        self.round += 1;
    }

    /// Calls `visit` with each of the peers that this round has not visited yet.
    #[inline]
    pub(super) fn visit_once(&mut self, seats: &[Seat], mut visit: impl FnMut(P)) {
        for &seat in seats {
            let visitor = &mut self.visitors[seat as usize];
            if visitor.round != self.round {
                visitor.round = self.round;
                visit(visitor.peer);
            }
        }
    }

    fn take_seat(&mut self, visitor: Visitor<P>) -> Seat {
        if let Some(seat) = self.free.pop() {
            self.visitors[seat as usize] = visitor;
            return seat;
        }
        self.visitors.push(visitor);
        self.holdings.push(Holdings::default());
        (self.visitors.len() - 1) as Seat
    }

    fn free_seat(&mut self, seat: Seat) {
        self.seats.remove(&self.visitors[seat as usize].peer);
        self.holdings[seat as usize] = Holdings::default();
        self.free.push(seat);
    }
}

#[cfg(test)]
impl<P> Peers<P> {
    /// How many seats there are, with the free ones.
    pub(super) fn size(&self) -> usize {
        self.visitors.len()
    }
}
