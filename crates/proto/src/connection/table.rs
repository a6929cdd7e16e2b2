//! Values by connection.

use super::ConnectionId;

/// What a pattern knows of each connection, in the slots that the ids name.
#[derive(Debug)]
pub(crate) struct ConnectionTable<T> {
    slots: Vec<Option<(ConnectionId, T)>>,
}

impl<T> Default for ConnectionTable<T> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<T> ConnectionTable<T> {
    pub(crate) fn insert(&mut self, id: ConnectionId, value: T) {
        if self.slots.len() <= id.index() {
            self.slots.resize_with(id.index() + 1, || None);
        }
        self.slots[id.index()] = Some((id, value));
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&T> {
        let (owner, value) = self.slots.get(id.index())?.as_ref()?;
        (*owner == id).then_some(value)
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let slot = self.slots.get_mut(id.index())?;
        slot.take_if(|(owner, _)| *owner == id).map(|(_, value)| value)
    }
}
