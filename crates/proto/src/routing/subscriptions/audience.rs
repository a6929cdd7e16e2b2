use std::slice;

use super::peers::Seat;

/// Who holds a prefix: at least one peer.
///
/// Most prefixes of a large tree are held by one peer, which stands here; the others' peers are in the [`Crowds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    One(Seat),
    /// Which list of the [`Crowds`], in which each peer has a slot.
    Several(u32),
}

/// The lists of the prefixes that several peers hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowds {
    lists: Vec<Vec<Seat>>,
    /// The lists not in use; they are empty.
    free: Vec<u32>,
}

/// An audience that a peer has left.
pub(super) struct Left {
    /// The others, if any.
    pub(super) audience: Option<Audience>,
    /// The peer that has taken the slot of the one that left, if any.
    pub(super) moved: Option<Seat>,
}

impl Crowds {
    #[inline]
    pub(super) fn members<'a>(&'a self, audience: &'a Audience) -> &'a [Seat] {
        match audience {
            Audience::One(seat) => slice::from_ref(seat),
            Audience::Several(list) => &self.lists[*list as usize],
        }
    }

    pub(super) fn len(&self, audience: Option<Audience>) -> u32 {
        audience.map_or(0, |audience| self.members(&audience).len() as u32)
    }

    /// The audience with one peer more, in the slot after the last.
    pub(super) fn join(&mut self, audience: Option<Audience>, seat: Seat) -> Audience {
        match audience {
            None => Audience::One(seat),
            Some(Audience::One(first)) => Audience::Several(self.gather(first, seat)),
            Some(Audience::Several(list)) => {
                self.lists[list as usize].push(seat);
                Audience::Several(list)
            }
        }
    }

    /// The audience without the peer in `slot`, which the last one takes over.
    pub(super) fn leave(&mut self, audience: Option<Audience>, slot: u32) -> Left {
        let Some(Audience::Several(list)) = audience else { return Left { audience: None, moved: None } };
        let members = &mut self.lists[list as usize];
        let slot = slot as usize;
        members.swap_remove(slot);
        let moved = members.get(slot).copied();
        if let [last] = members[..] {
            self.disperse(list);
            return Left { audience: Some(Audience::One(last)), moved };
        }
        shrink(members);
        Left { audience: Some(Audience::Several(list)), moved }
    }

    fn gather(&mut self, first: Seat, second: Seat) -> u32 {
        let list = self.free.pop().unwrap_or_else(|| {
            self.lists.push(Vec::new());
            (self.lists.len() - 1) as u32
        });
        self.lists[list as usize] = vec![first, second];
        list
    }

    fn disperse(&mut self, list: u32) {
        self.lists[list as usize] = Vec::new();
        self.free.push(list);
    }
}

/// Gives memory back when three quarters are unused, so that growing and shrinking by turns costs nothing.
fn shrink(members: &mut Vec<Seat>) {
    if members.len() < members.capacity() / 4 {
        members.shrink_to(members.capacity() / 2);
    }
}

#[cfg(test)]
impl Crowds {
    /// How many lists there are, with the free ones.
    pub(super) fn size(&self) -> usize {
        self.lists.len()
    }
}
