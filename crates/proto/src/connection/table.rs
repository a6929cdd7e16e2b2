//! Values by connection.

use super::ConnectionId;

/// What somebody knows of each connection, in the slots that the ids name. An id that is over finds nothing.
#[derive(Debug)]
pub struct ConnectionTable<T> {
    slots: Vec<Option<(ConnectionId, T)>>,
    len: usize,
}

impl<T> Default for ConnectionTable<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }
}

impl<T> ConnectionTable<T> {
    /// Puts a value in, in the place of the one that is there.
    pub fn insert(&mut self, id: ConnectionId, value: T) {
        if self.slots.len() <= id.index() {
            self.slots.resize_with(id.index() + 1, || None);
        }
        if self.slots[id.index()].replace((id, value)).is_none() {
            self.len += 1;
        }
    }

    /// The connection's value.
    #[inline]
    pub fn get(&self, id: ConnectionId) -> Option<&T> {
        let (owner, value) = self.slots.get(id.index())?.as_ref()?;
        (*owner == id).then_some(value)
    }

    /// The connection's value.
    #[inline]
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let (owner, value) = self.slots.get_mut(id.index())?.as_mut()?;
        (*owner == id).then_some(value)
    }

    /// Takes the connection's value out.
    pub fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let (_, value) = self.slots.get_mut(id.index())?.take_if(|(owner, _)| *owner == id)?;
        self.len -= 1;
        Some(value)
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|(_, value)| value)
    }

    /// The only value, if there is one only.
    pub fn only_mut(&mut self) -> Option<&mut T> {
        if self.len == 1 { self.slots.iter_mut().flatten().map(|(_, value)| value).next() } else { None }
    }
}
