//! Messages that a socket sends together: within the process they go into their pipe all at once.

use super::{FrameBuffer, Pipe, Waste};

/// What a writer gathers for its pipe, and what it knows of the room there. Nobody else adds to the pipe: what found room
/// when the pipe was last asked finds it later, too.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    frames: FrameBuffer,
    /// Messages for which there is room, as far as is known.
    places: u64,
}

/// A batch goes out at this length, however many messages it has: it stays in the processor's cache, and the reader can
/// begin.
const BATCH_LEN_MAX: usize = 64 * 1024;

impl Batch {
    /// Whether another message may be added. If no place is known, the pipe gets what was gathered, and is asked. If it has
    /// none, the message is to be written to the pipe itself.
    #[inline]
    pub(super) fn has_place(&mut self, pipe: &Pipe, waste: &mut Waste) -> bool {
        if self.places == 0 {
            self.publish(pipe, waste);
            self.places = pipe.room();
        }
        self.places > 0
    }

    /// Notes that a message was written to the pipe itself.
    #[inline]
    pub(super) fn note_written(&mut self) {
        self.places = self.places.saturating_sub(1);
    }

    /// Has the pipe asked before the next message: its limit may be another one.
    pub(super) fn forget_places(&mut self) {
        self.places = 0;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a message, for which there is a place; returns its length.
    #[inline]
    pub(super) fn add(&mut self, pipe: &Pipe, waste: &mut Waste, push: impl FnOnce(&mut FrameBuffer)) -> usize {
        let before = self.frames.len();
        push(&mut self.frames);
        self.places -= 1;
        let len = self.frames.len() - before;
        if self.frames.len() >= BATCH_LEN_MAX {
            self.publish(pipe, waste);
        }
        len
    }

    /// Hands over what was gathered.
    pub(super) fn publish(&mut self, pipe: &Pipe, waste: &mut Waste) {
        if !self.frames.is_empty() {
            pipe.write_batch(&mut self.frames, waste);
        }
    }
}
