//! One direction between two sockets of the same process: the sender encodes into the buffer that the receiver takes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nought_lock::{BriefGuard, BriefLock};

use super::{Load, Waste, frame_buffer::FrameBuffer};
use crate::wire::Version;

/// Tells a socket that something changed at the other end of a pipe.
///
/// It is called while the caller's own socket is locked: it must not block, and must not touch that socket.
pub trait Notify: Send + Sync {
    /// There may be something to read, or room to write.
    fn notify(&self);

    /// The same for what must not wait until the socket is next used: the other end is gone, or there is room for
    /// commands that wait.
    fn notify_at_once(&self) {
        self.notify();
    }
}

/// A pipe between two machines. Each machine holds both of its pipes by [`Arc`]: one to write, one to read.
///
/// Everything but the reader's progress is under one small lock, so that no wake-up is lost: the reader says under the
/// lock that it found nothing, and the writer that comes next tells it.
pub struct Pipe {
    shared: OwnLine<BriefLock<Shared>>,
    progress: OwnLine<Progress>,
}

/// What the reader writes for each message: on a cache line of its own, or each message would cost the writer a
/// transfer between processors.
struct Progress {
    /// Messages the reader has cut, ever.
    consumed: AtomicU64,
    /// A writer that found the pipe full wants to be told when so many are consumed: half of the pipe is free then,
    /// so that it does not wake for each single place. [`NOBODY_WAITS`] if it does not wait. Written under the lock;
    /// the reader's look without the lock only tells the writer early, [`Pipe::take`] tells it for certain.
    wake_at: AtomicU64,
    /// Messages between two times that the reader publishes its count.
    publish_interval: u64,
    /// Half of a pipe that [frees its places by halves](Pipe::free_by_halves): each multiple of it is published, too. 0: they
    /// become free one by one.
    half: AtomicU64,
}

const NOBODY_WAITS: u64 = u64::MAX;

/// From this many bytes on, what is in the pipe is a stream, for which it pays to take the buffer's memory in advance.
const STREAM_LEN: usize = 1024;

/// Keeps its content off the cache lines of others.
#[repr(align(128))]
struct OwnLine<T>(T);

/// In an order that has all that a small message changes on the lock's cache line, which goes to and fro with it. What is
/// behind it is touched by one side alone: large bodies' places by the reader, the rest by the writer.
#[derive(Default)]
#[repr(C)]
struct Shared {
    conflate: bool,
    reader_waits: bool,
    /// The writer has commands that wait until the reader has taken what is there.
    commands_wait: bool,
    writer_gone: bool,
    reader_gone: bool,
    frames: FrameBuffer,
    /// Up to this many bytes of `frames`, its memory is in this processor's cache; see
    /// [`FrameBuffer::own_ahead`].
    owned_len: usize,
    /// Messages ever written.
    written: u64,
    /// What the reader had consumed when the writer last looked.
    consumed: u64,
    send_hwm: u32,
    recv_hwm: u32,
    /// Messages that may be written and not consumed; 0: no limit.
    capacity: u64,
    /// See [`Pipe::free_by_halves`].
    frees_by_halves: bool,
    /// Messages that the reader left behind when it went, for the writer to count.
    abandoned: u64,
    reader: Option<Arc<dyn Notify>>,
    writer: Option<Arc<dyn Notify>>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    Full,
    Gone,
}

/// What was done to a pipe by a message written to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) written: Written,
    pub(crate) added_len: usize,
    /// What the message replaced under CONFLATE.
    pub(crate) replaced: Load,
}

impl Change {
    fn none(written: Written) -> Self {
        Self { written, added_len: 0, replaced: Load::default() }
    }
}

/// What became of the reader's request for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Some,
    None,
    /// There will never be any.
    Ended,
}

impl Pipe {
    /// A pipe that holds what the writer's send high-water mark and the reader's receive high-water mark allow
    /// together, as if each side had its queue; 0: no limit.
    pub fn new(send_hwm: u32, recv_hwm: u32, conflate: bool, writer: Arc<dyn Notify>, reader: Arc<dyn Notify>) -> Self {
        let capacity = capacity(send_hwm, recv_hwm);
        let shared = Shared {
            send_hwm,
            recv_hwm,
            capacity,
            conflate,
            reader_waits: true,
            reader: Some(reader),
            writer: Some(writer),
            ..Shared::default()
        };
        let progress = Progress {
            consumed: AtomicU64::new(0),
            wake_at: AtomicU64::new(NOBODY_WAITS),
            publish_interval: (capacity / 16).clamp(1, 1024),
            half: AtomicU64::new(0),
        };
        Self { shared: OwnLine(BriefLock::new(shared)), progress: OwnLine(progress) }
    }

    /// Has the places of messages that were consumed become free together, half of the pipe at a time, and not one by one.
    pub fn free_by_halves(&mut self) {
        let shared = self.shared.0.get_mut();
        shared.frees_by_halves = true;
        *self.progress.0.half.get_mut() = shared.half();
    }

    #[inline]
    fn lock(&self) -> BriefGuard<'_, Shared> {
        self.shared.0.lock()
    }

    /// Writes one message, which `encode` appends. What it replaces goes into `waste`.
    #[inline(always)]
    pub(crate) fn write_message(&self, waste: &mut Waste, encode: impl FnOnce(&mut FrameBuffer)) -> Change {
        let mut shared = self.lock();
        if shared.reader_gone {
            return Change::none(Written::Gone);
        }
        if shared.is_full(&self.progress.0) && !self.want_room(&mut shared) {
            return Change::none(Written::Full);
        }
        let replaced = if shared.conflate { shared.drop_messages(waste) } else { Load::default() };
        shared.written += 1;
        let before = shared.frames.len();
        if before == 0 {
            shared.owned_len = STREAM_LEN;
        } else if before >= shared.owned_len {
            shared.owned_len = shared.frames.own_ahead();
        }
        encode(&mut shared.frames);
        let added_len = shared.frames.len() - before;
        shared.wake_reader();
        Change { written: Written::Yes, added_len, replaced }
    }

    /// Writes what must not wait for room: commands, and messages that were queued before there was a pipe.
    pub(crate) fn write_encoded(&self, encoded: &FrameBuffer) {
        let mut shared = self.lock();
        if shared.reader_gone {
            shared.abandoned += encoded.messages() as u64;
            return;
        }
        shared.written += encoded.messages() as u64;
        shared.frames.append(encoded);
        shared.wake_reader();
    }

    /// How many messages would find room now: none, if each is to be written by itself.
    pub(crate) fn room(&self) -> u64 {
        let mut shared = self.lock();
        if shared.reader_gone || shared.conflate || shared.is_full(&self.progress.0) {
            return 0;
        }
        match shared.capacity {
            0 => u64::MAX,
            capacity => capacity - (shared.written - shared.consumed),
        }
    }

    /// Writes messages for which there was [`room`](Self::room), and leaves `batch` empty. If the reader has gone since,
    /// they are lost with what it left behind.
    pub(crate) fn write_batch(&self, batch: &mut FrameBuffer, waste: &mut Waste) {
        let mut shared = self.lock();
        if shared.reader_gone {
            shared.abandoned += batch.messages() as u64;
            waste.take_frames(batch);
            return batch.clear();
        }
        shared.written += batch.messages() as u64;
        shared.frames.take_over(batch);
        shared.owned_len = shared.frames.len();
        shared.wake_reader();
    }

    /// Messages that may be written and not consumed; 0: no limit.
    pub(crate) fn capacity(&self) -> u64 {
        self.lock().capacity
    }

    /// Whether a message would find room now; if not, the writer is told when one does.
    pub(crate) fn has_room(&self) -> bool {
        let mut shared = self.lock();
        shared.reader_gone || !shared.is_full(&self.progress.0) || self.want_room(&mut shared)
    }

    /// Whether so little waits for the reader that commands may be added; if not, the writer is told when the reader
    /// has taken it.
    pub(crate) fn has_room_for_commands(&self, len_max: usize) -> bool {
        let mut shared = self.lock();
        shared.commands_wait = !shared.reader_gone && shared.frames.len() > len_max;
        !shared.commands_wait
    }

    /// Announces a waiting writer; says whether there is room after all.
    fn want_room(&self, shared: &mut Shared) -> bool {
        self.progress.0.wake_at.store(shared.wakes_writer_at(), Ordering::SeqCst);
        let has_room = !shared.is_full(&self.progress.0);
        if has_room {
            self.progress.0.wake_at.store(NOBODY_WAITS, Ordering::SeqCst);
        }
        has_room
    }

    /// Gives all frames to the reader, whose own buffer is empty. If there are none, the reader is told when some come.
    pub(crate) fn take(&self, take: impl FnOnce(&mut FrameBuffer)) -> Taken {
        let mut shared = self.lock();
        self.wake_waiting_writer(&shared);
        if shared.frames.is_empty() {
            shared.reader_waits = true;
            return if shared.writer_gone { Taken::Ended } else { Taken::None };
        }
        take(&mut shared.frames);
        if std::mem::take(&mut shared.commands_wait) {
            notify_at_once(shared.writer.as_ref());
        }
        Taken::Some
    }

    /// Has the reader told of what comes next; at once, if something has come already.
    pub(crate) fn listen(&self) -> Taken {
        let mut shared = self.lock();
        if !shared.frames.is_empty() {
            notify(shared.reader.as_ref());
            return Taken::Some;
        }
        shared.reader_waits = true;
        if shared.writer_gone { Taken::Ended } else { Taken::None }
    }

    /// Tells the writer that the reader has cut messages, `consumed` of them in all. Returns the count at which it is
    /// to be told again: after each message of a small pipe, sixteen times per filling of a large one, where places become
    /// free by halves at each multiple of the half, and when the reader has nothing left.
    ///
    /// The writer announces its wait before it looks at `consumed` a last time, the reader writes `consumed` before it
    /// looks for a waiting writer: in the one order of these four, at least one sees the other.
    pub(crate) fn publish_consumed(&self, consumed: u64) -> u64 {
        self.progress.0.consumed.store(consumed, Ordering::SeqCst);
        if self.progress.0.wake_at.load(Ordering::SeqCst) <= consumed {
            self.wake_waiting_writer(&self.lock());
        }
        let next = consumed + self.progress.0.publish_interval;
        match self.progress.0.half.load(Ordering::Relaxed) {
            0 => next,
            half => next.min(next_multiple(consumed, half)),
        }
    }

    fn wake_waiting_writer(&self, shared: &Shared) {
        if self.progress.0.wake_at.load(Ordering::Relaxed) != NOBODY_WAITS {
            self.progress.0.wake_at.store(NOBODY_WAITS, Ordering::Relaxed);
            notify(shared.writer.as_ref());
        }
    }

    /// Changes the writer's high-water mark.
    pub(crate) fn set_send_hwm(&self, send_hwm: u32) {
        let mut shared = self.lock();
        shared.send_hwm = send_hwm;
        self.change_capacity(&mut shared);
    }

    /// The marks have changed: there may be room now.
    fn change_capacity(&self, shared: &mut Shared) {
        shared.capacity = capacity(shared.send_hwm, shared.recv_hwm);
        if shared.frees_by_halves {
            self.progress.0.half.store(shared.half(), Ordering::Relaxed);
        }
        notify(shared.writer.as_ref());
    }

    /// Changes the reader's high-water mark.
    pub(crate) fn set_recv_hwm(&self, recv_hwm: u32) {
        let mut shared = self.lock();
        shared.recv_hwm = recv_hwm;
        self.change_capacity(&mut shared);
    }

    /// Whether messages are in the pipe that the reader has not taken.
    pub(crate) fn has_messages(&self) -> bool {
        self.lock().frames.messages() > 0
    }

    /// Messages that are in the pipe, or taken by the reader and not cut.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().written.saturating_sub(self.progress.0.consumed.load(Ordering::Acquire))
    }

    /// The writer writes no more; what is in the pipe can still be read. Returns the number of messages that are lost,
    /// because the reader went before.
    pub(crate) fn close_writer(&self) -> u64 {
        self.end_writing();
        std::mem::take(&mut self.lock().abandoned)
    }

    fn end_writing(&self) {
        let mut shared = self.lock();
        shared.writer_gone = true;
        shared.writer = None;
        notify_at_once(shared.reader.as_ref());
    }

    /// The reader reads no more; what is in the pipe is lost. Returns the number of those messages if no writer is there
    /// any more to count them.
    pub(crate) fn close_reader(&self, waste: &mut Waste) -> u64 {
        let mut shared = self.lock();
        shared.reader_gone = true;
        shared.reader = None;
        let mut frames = std::mem::take(&mut shared.frames);
        waste.take_frames(&mut frames);
        let abandoned = frames.messages() as u64;
        if shared.writer_gone {
            return abandoned;
        }
        shared.abandoned += abandoned;
        notify_at_once(shared.writer.as_ref());
        0
    }

    /// Ends the pipe for the side that was never joined to it. If the other one has written to it already, it counts that
    /// as lost. Returns the number of those messages if the other one is gone, too, and cannot count them any more.
    ///
    /// Bodies are dropped, which may run code of the application's: to be called where no lock is held.
    pub fn close(&self) -> u64 {
        let mut waste = Waste::default();
        let abandoned = self.close_reader(&mut waste);
        self.end_writing();
        abandoned
    }

    /// Whether the reader is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().reader_gone
    }
}

impl Shared {
    #[inline]
    fn is_full(&mut self, progress: &Progress) -> bool {
        if self.conflate || self.capacity == 0 || self.written - self.consumed < self.capacity {
            return false;
        }
        // What was free stays so when a raised mark makes the half larger.
        self.consumed = self.consumed.max(self.freed(progress.consumed.load(Ordering::SeqCst)));
        self.written - self.consumed >= self.capacity
    }

    /// After how many consumed messages a writer that found the pipe full is told. By halves it is the next time that places
    /// become free: marks that changed meanwhile may have left the pipe full at a count that is no multiple of the half.
    fn wakes_writer_at(&self) -> u64 {
        if self.frees_by_halves {
            next_multiple(self.written - self.capacity, self.half())
        } else {
            self.written - self.capacity / 2
        }
    }

    /// How many of the messages that were consumed no longer take a place. Fewer than the half still do, so that a pipe of
    /// which all is consumed has room.
    fn freed(&self, consumed: u64) -> u64 {
        if self.frees_by_halves { consumed - consumed % self.half() } else { consumed }
    }

    fn half(&self) -> u64 {
        self.capacity.div_ceil(2)
    }

    #[inline]
    fn wake_reader(&mut self) {
        if std::mem::take(&mut self.reader_waits) {
            notify(self.reader.as_ref());
        }
    }

    /// Drops the messages that the reader has not taken, and keeps the commands.
    fn drop_messages(&mut self, waste: &mut Waste) -> Load {
        let (messages, len_before) = (self.frames.messages(), self.frames.len());
        self.written -= messages as u64;
        self.frames.retain_commands(Version::V3_1, waste);
        Load { messages, bytes: len_before - self.frames.len() }
    }
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipe").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

fn capacity(send_hwm: u32, recv_hwm: u32) -> u64 {
    if send_hwm == 0 || recv_hwm == 0 { 0 } else { u64::from(send_hwm) + u64::from(recv_hwm) }
}

/// The least multiple of `step` above `count`.
fn next_multiple(count: u64, step: u64) -> u64 {
    (count / step + 1) * step
}

#[inline]
fn notify(whom: Option<&Arc<dyn Notify>>) {
    if let Some(whom) = whom {
        whom.notify();
    }
}

fn notify_at_once(whom: Option<&Arc<dyn Notify>>) {
    if let Some(whom) = whom {
        whom.notify_at_once();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often a side is told.
    #[derive(Default)]
    struct Told(AtomicUsize);

    impl Notify for Told {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct ByHalves {
        pipe: Pipe,
        writer: Arc<Told>,
        written: u64,
        consumed: u64,
        publish_at: u64,
    }

    impl ByHalves {
        fn new(send_hwm: u32, recv_hwm: u32) -> Self {
            let writer = Arc::new(Told::default());
            let mut pipe = Pipe::new(send_hwm, recv_hwm, false, writer.clone(), Arc::new(Told::default()));
            pipe.free_by_halves();
            Self { pipe, writer, written: 0, consumed: 0, publish_at: 1 }
        }

        /// Writes until there is no room; says how many messages are written in all.
        fn fill(&mut self) -> u64 {
            let mut waste = Waste::default();
            let push = |frames: &mut FrameBuffer| frames.push_raw(b"x");
            while self.pipe.write_message(&mut waste, push).written == Written::Yes {
                self.written += 1;
            }
            self.written
        }

        /// Consumes messages, one after the other, until the writer is told; says how many are consumed then.
        fn consume_until_told(&mut self) -> u64 {
            let before = self.writer.0.load(Ordering::Relaxed);
            while self.writer.0.load(Ordering::Relaxed) == before {
                assert!(self.consumed < self.written, "nothing is left, and the writer was not told");
                self.consumed += 1;
                if self.consumed >= self.publish_at {
                    self.publish_at = self.pipe.publish_consumed(self.consumed);
                }
            }
            self.consumed
        }
    }

    #[test]
    fn a_writer_is_told_when_half_of_the_pipe_is_free() {
        for (send_hwm, recv_hwm, half) in [(1, 1, 1), (1, 2, 2), (5, 5, 5), (3, 2, 3), (1000, 1000, 1000)] {
            let mut pipe = ByHalves::new(send_hwm, recv_hwm);
            let capacity = u64::from(send_hwm + recv_hwm);
            assert_eq!(pipe.fill(), capacity);
            assert_eq!(pipe.consume_until_told(), half);
            assert_eq!(pipe.fill(), capacity + half);
        }
    }

    /// Half of the pipe is another then, and the count at which it was full is no multiple of it.
    #[test]
    fn a_writer_that_waits_while_a_mark_is_lowered_is_told_with_the_first_place() {
        let mut pipe = ByHalves::new(5, 5);
        assert_eq!(pipe.fill(), 10);
        pipe.pipe.set_send_hwm(1);
        assert_eq!(pipe.fill(), 10, "4 too many");
        assert_eq!(pipe.consume_until_told(), 6);
        assert_eq!(pipe.fill(), 12);
    }

    /// What is free by the mark of today is published by it, too.
    #[test]
    fn a_lowered_mark_divides_a_large_pipe_anew() {
        let mut pipe = ByHalves::new(1000, 1000);
        assert_eq!(pipe.fill(), 2000);
        pipe.pipe.set_send_hwm(600);
        assert_eq!(pipe.fill(), 2000);
        assert_eq!(pipe.consume_until_told(), 800);
        assert_eq!(pipe.fill(), 2400);
    }

    #[test]
    fn places_that_were_free_stay_so_when_a_mark_is_raised() {
        let mut pipe = ByHalves::new(5, 5);
        pipe.fill();
        assert_eq!(pipe.consume_until_told(), 5);
        assert_eq!(pipe.fill(), 15);
        pipe.pipe.set_send_hwm(6);
        assert_eq!(pipe.fill(), 16, "there are 11 places, and 5 messages were consumed");
        pipe.pipe.set_send_hwm(7);
        assert_eq!(pipe.fill(), 17, "it has looked at that when it was full");
        assert_eq!(pipe.consume_until_told(), 6);
    }
}
