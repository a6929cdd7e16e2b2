//! Memory of buffers, used again.

use crate::limits::{READ_LEN_MIN, SPARE_BUFFERS, SPARE_LEN_MAX};

/// The buffers that a socket keeps for reuse. What a long queue made large serves for the next one, and not for reading,
/// where as much would be read at once as there is room.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// An empty buffer for what is to be written.
    pub(crate) fn take_to_write(&mut self) -> Option<Vec<u8>> {
        self.0.pop()
    }

    /// An empty buffer, with room for at least this many bytes, for what is read.
    pub(crate) fn take_to_read(&mut self, len_min: usize) -> Option<Vec<u8>> {
        let fitting = self.0.iter().rposition(|spare| (len_min..=SPARE_LEN_MAX).contains(&spare.capacity()))?;
        Some(self.0.swap_remove(fitting))
    }

    /// Keeps a buffer that is empty, if it is worth it.
    pub(crate) fn give_back(&mut self, spare: Vec<u8>) {
        debug_assert!(spare.is_empty());
        if spare.capacity() >= READ_LEN_MIN && self.0.len() < SPARE_BUFFERS {
            self.0.push(spare);
        }
    }
}
