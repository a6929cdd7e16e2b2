//! Where the connections of a socket stand, and the names by which they are found.

use std::num::{NonZeroU32, NonZeroU64};

use super::{Connection, lot::Lot, run::Room};

/// Names one connection of a socket, for good: a later connection never has the same.
///
/// The generation, in the upper half, is never zero: so an id, or none, travels in one register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(NonZeroU64);

/// The generation of the connection in one slot: each has the next number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Generation(NonZeroU32);

/// What a generation is multiplied with to stand in the upper half of an id.
const UPPER_HALF: NonZeroU64 = NonZeroU64::new(1 << 32).unwrap();

/// Generations use 31 bits, so that an id is a number below 2^63.
const GENERATION_MASK: u32 = u32::MAX >> 1;

impl Default for Generation {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl Generation {
    fn next(self) -> Self {
        Self(NonZeroU32::new((self.0.get() + 1) & GENERATION_MASK).unwrap_or(NonZeroU32::MIN))
    }
}

impl ConnectionId {
    fn new(index: u32, generation: Generation) -> Self {
        Self(NonZeroU64::from(generation.0).saturating_mul(UPPER_HALF) | u64::from(index))
    }

    /// The place in tables: small, and used again after the connection is gone.
    #[inline]
    pub fn index(self) -> usize {
        self.0.get() as u32 as usize
    }

    #[inline]
    fn is_of(self, generation: Generation) -> bool {
        (self.0.get() >> 32) as u32 == generation.0.get()
    }

    /// The id as a number below 2^63, for tables that hold numbers only.
    pub fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// The id that [`to_bits`](Self::to_bits) was made of; `None`: it was made of none.
    pub fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }
}

impl std::fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionId({}.{})", self.index(), self.to_bits() >> 32)
    }
}

/// All connections of a socket, and what they have in common.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) lot: Lot,
}

#[derive(Default)]
struct Slot {
    generation: Generation,
    connection: Option<Box<Connection>>,
}

impl Slot {
    #[inline]
    fn find(slots: &mut [Self], id: ConnectionId) -> Option<&mut Connection> {
        let slot = slots.get_mut(id.index())?;
        slot.connection.as_deref_mut().filter(|_| id.is_of(slot.generation))
    }
}

impl Slots {
    pub(super) fn insert(&mut self, connection: Connection) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.connection = Some(Box::new(connection));
        ConnectionId::new(index, slot.generation)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
        self.find_mut(id)?;
        let slot = &mut self.slots[id.index()];
        slot.generation = slot.generation.next();
        self.free.push(id.index() as u32);
        slot.connection.take()
    }

    /// The connection, if it is still there, without what a [lot](super::lot) has for it.
    #[inline]
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(id.index())?;
        slot.connection.as_deref().filter(|_| id.is_of(slot.generation))
    }

    /// The connection, if it is still there, with what a lot had for it. This ends its runs: whatever is changed now is
    /// looked at before the next message is written.
    #[inline]
    pub(super) fn find_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.find_to_write(id)?;
        connection.run = Room::default();
        connection.run_of_received = 0;
        Some(connection)
    }

    /// The same for who writes the next message of its run.
    #[inline]
    pub(super) fn find_to_write(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = Slot::find(&mut self.slots, id)?;
        if connection.lot_place.is_some() {
            self.lot.deal(id, connection);
        }
        Some(connection)
    }

    /// The same for who takes the next message of its run: what is received makes no difference to what is sent.
    #[inline]
    pub(super) fn find_to_take(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        Slot::find(&mut self.slots, id)
    }

    /// Gives a member of the lot what that has for it; says whether there is enough to be written at once now.
    pub(super) fn deal_lot_to(&mut self, id: ConnectionId) -> bool {
        let member = Slot::find(&mut self.slots, id).filter(|connection| connection.lot_place.is_some());
        member.is_some_and(|member| {
            self.lot.deal(id, member);
            member.fills_write()
        })
    }

    /// The lot, and a connection that is no member of it and may become one.
    pub(super) fn find_for_lot(&mut self, id: ConnectionId) -> Option<(&mut Lot, &mut Connection)> {
        Slot::find(&mut self.slots, id).map(|connection| (&mut self.lot, connection))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = ConnectionId::new(index as u32, slot.generation);
            slot.connection.as_deref().map(|connection| (id, connection))
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().filter_map(|slot| slot.connection.as_deref_mut())
    }
}
