//! Runs: messages that are written to a connection, or taken from it, one after the other, and nothing else happens to it
//! meanwhile.
//!
//! Whether a message finds room hangs on much: on the peer, on what is on its way, on options. Nothing of that changes
//! from one message to the next, but what the outbox holds. So whoever looks notes how much that may be, and what comes
//! then goes straight there. In the same way whoever takes a message from the only connection that has some notes how
//! many behind it can be taken without a look at anything. Whoever gets at the connection otherwise ends its runs
//! (see [`Connections::get_mut`](super::Connections::get_mut)).

use super::{Connection, FrameBuffer, Load, Outbox, Spares, Waste};
use crate::{
    limits::{DRAINING_LEN_MAX, WRITE_LEN},
    options::Options,
    wire::Version,
};

/// The outbox has room while it holds fewer messages and bytes than these.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    pub(super) messages: usize,
    pub(super) len: usize,
}

impl Room {
    pub(super) const BOUNDLESS: Self = Self { messages: usize::MAX, len: usize::MAX };

    #[inline]
    pub(super) fn is_left_by(self, frames: &FrameBuffer) -> bool {
        frames.messages < self.messages && frames.len() < self.len
    }

    pub(super) fn is_none(self) -> bool {
        self.messages == 0 || self.len == 0
    }

    /// No more than another, either.
    pub(super) fn at_most(self, other: Self) -> Self {
        Self { messages: self.messages.min(other.messages), len: self.len.min(other.len) }
    }

    /// What is left of it beside what `frames` hold.
    pub(super) fn beside(self, frames: &FrameBuffer) -> Self {
        Self { messages: self.messages.saturating_sub(frames.messages), len: self.len.saturating_sub(frames.len()) }
    }

    /// The same counted from where `frames` begin, behind which it is.
    pub(super) fn behind(self, frames: &FrameBuffer) -> Self {
        Self { messages: self.messages.saturating_add(frames.messages), len: self.len.saturating_add(frames.len()) }
    }

    /// What high-water marks leave beside what is on its way.
    fn by_hwms(options: &Options, on_its_way: Load) -> Self {
        let left = |hwm: usize, used| if hwm == 0 { usize::MAX } else { hwm.saturating_sub(used) };
        Self {
            messages: left(options.send_hwm as usize, on_its_way.messages),
            len: left(options.send_hwm_bytes, on_its_way.bytes),
        }
    }
}

impl Connection {
    /// Whether the outbox of a connection through a transport can be written to as it was before.
    #[inline]
    pub(super) fn is_in_run(&self) -> bool {
        matches!(&self.outbox, Outbox::Wire(frames) if self.run.is_left_by(frames))
    }

    /// Begins one, if there is room for a message.
    #[inline(never)]
    pub(super) fn begin_run(&mut self, options: &Options, spares: &mut Spares, waste: &mut Waste) -> bool {
        let room = self.room(options);
        let Outbox::Wire(frames) = &mut self.outbox else { return false };
        if !room.is_left_by(frames) {
            return false;
        }
        if !options.conflate {
            self.run = room;
        } else if frames.messages > 0 {
            // Each message replaces the one before.
            self.counters.conflated += frames.messages as u64;
            self.counters.messages_out -= frames.messages as u64;
            frames.retain_commands(self.outbox_version, waste);
            self.greetings = 0;
        }
        if frames.capacity() == 0
            && let Some(spare) = spares.take_to_write()
        {
            frames.give_spare(spare);
        }
        true
    }

    /// Writes a message to the outbox, which has room. Says whether it is to be looked at whether to flush that.
    #[inline]
    pub(super) fn push_in_run(&mut self, push: impl FnOnce(&mut FrameBuffer, Version)) -> bool {
        let Outbox::Wire(frames) = &mut self.outbox else {
            unreachable!("only what goes through a transport has runs")
        };
        push(frames, self.outbox_version);
        self.counters.messages_out += 1;
        frames.messages == 1 || frames.len() >= WRITE_LEN
    }

    /// How many messages are taken before one with which something is to be done: the last that has come; where the peer is
    /// not read meanwhile, the one with which that goes on; and within the process the one with which the writer is to know
    /// of all that were taken.
    #[inline]
    pub(super) fn messages_of_run(&self, options: &Options) -> usize {
        if options.conflate {
            return 0;
        }
        let looked_at = if self.read_paused { options.recv_hwm as usize / 2 } else { 0 };
        let messages = self.inbound.messages().saturating_sub(looked_at + 1);
        match &self.outbox {
            Outbox::Wire(_) => messages,
            Outbox::Memory(pipes) => messages.min(pipes.messages_before_telling()),
        }
    }

    /// Notes that a message of the run was taken, which leaves so many.
    #[inline]
    pub(super) fn note_taken_in_run(&mut self, left: usize) {
        self.run_of_received = left;
        self.counters.messages_in += 1;
        if let Outbox::Memory(pipes) = &mut self.outbox {
            pipes.consumed += 1;
        }
    }

    /// Whether there is room for a message through a transport.
    pub(super) fn has_room(&self, options: &Options) -> bool {
        matches!(&self.outbox, Outbox::Wire(frames) if self.room(options).is_left_by(frames))
    }

    fn room(&self, options: &Options) -> Room {
        if options.conflate {
            return Room::BOUNDLESS;
        }
        let on_its_way = self.on_its_way();
        let while_draining = Room { len: DRAINING_LEN_MAX.saturating_sub(on_its_way.bytes), ..Room::BOUNDLESS };
        match &self.outbox {
            Outbox::Wire(frames) if self.draining && while_draining.is_left_by(frames) => while_draining,
            _ => Room::by_hwms(options, on_its_way),
        }
    }
}
