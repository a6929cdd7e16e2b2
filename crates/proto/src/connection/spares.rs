//! Memory of buffers, used again.

use crate::limits::{READ_LEN_MIN, SPARE_BUFFERS, SPARE_LEN_MAX};

/// The buffers that a socket keeps for reuse. What a long queue made large is given back to the system, and not handed to
/// the next connection, which would read as much at once as there is room.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// An empty buffer, with room for at least this many bytes.
    pub(crate) fn take(&mut self, len_min: usize) -> Option<Vec<u8>> {
        let fitting = self.0.iter().rposition(|spare| spare.capacity() >= len_min)?;
        Some(self.0.swap_remove(fitting))
    }

    /// Keeps a buffer that is empty, if it is worth it.
    pub(crate) fn give_back(&mut self, spare: Vec<u8>) {
        debug_assert!(spare.is_empty());
        if (READ_LEN_MIN..=SPARE_LEN_MAX).contains(&spare.capacity()) && self.0.len() < SPARE_BUFFERS {
            self.0.push(spare);
        }
    }
}
