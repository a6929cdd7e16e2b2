//! Bodies that are of no use any more, and that nobody may drop yet.

use bytes::Bytes;

use super::FrameBuffer;
use crate::{frame::Frame, message::Message};

/// Bodies that a machine has dropped. Their memory may be the application's, and its end run code of the application's,
/// which may use the very socket that drops it. So a machine only puts them here, and whoever drives it takes them out
/// and drops them where it holds no lock.
#[derive(Debug, Default)]
pub struct Waste(Vec<Bytes>);

impl Waste {
    /// Ends the bodies in a message that another is to be received into, where no lock is held: what is left has memory of
    /// its own, to be used again.
    #[inline]
    pub fn end_bodies_of(message: &mut Message) {
        if !message.is_unshared() {
            Self::default().take_all_of(message);
        }
    }

    /// Whether there is nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bodies, to be dropped one by one.
    pub fn into_bodies(self) -> impl Iterator<Item = Bytes> {
        self.0.into_iter()
    }

    #[inline]
    pub(crate) fn take_message(&mut self, message: &mut Message) {
        if !message.is_unshared() {
            self.take_all_of(message);
        }
    }

    #[cold]
    fn take_all_of(&mut self, message: &mut Message) {
        message.frames_mut().for_each(|frame| self.take_frame(frame));
    }

    #[inline]
    pub(crate) fn take_frame(&mut self, frame: &mut Frame) {
        if frame.shared().is_some() {
            self.0.push(std::mem::take(frame).into_bytes());
        }
    }

    #[inline]
    pub(crate) fn take_frames(&mut self, frames: &mut FrameBuffer) {
        if frames.holds_bodies() {
            self.0.extend(frames.take_bodies());
        }
    }

    #[inline]
    pub(crate) fn append(&mut self, other: &mut Self) {
        if !other.is_empty() {
            self.0.append(&mut other.0);
        }
    }
}
