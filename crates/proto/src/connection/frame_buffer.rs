//! Encoded frames of one direction of a connection: what the sender wrote and the transport will carry.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use zeroize::Zeroize;

use super::{body_pool::BodyPool, lot::LotPlace, waste::Waste};
use crate::{
    frame::Frame,
    limits::{LARGE_BODY_LEN, SEAL_LEN},
    mechanism::{Sealer, sealed_frame_len},
    message::Outgoing,
    wire::{Header, Version},
};

pub(super) const CACHE_LINE_LEN: usize = 64;

/// How much of a buffer is taken at once; see [`FrameBuffer::own_ahead`].
const OWN_AHEAD_LEN: usize = 4 * 1024;

/// How much of a buffer is fetched at once: no more than fits in the cache beside everything else.
const FETCH_LEN_MAX: usize = 256 * 1024;

/// Frames as they travel, except that a large body is not among the bytes but beside them, by reference.
///
/// `bodies` are in the order of their places; each place is an index into `bytes`, where the body belongs before the
/// byte at that index.
///
/// What a small message changes comes first: in a pipe within the process it is to be on one cache line.
#[derive(Debug, Default)]
#[repr(C)]
pub struct FrameBuffer {
    pub(super) bytes: Vec<u8>,
    /// Whole messages among the frames.
    pub(super) messages: usize,
    /// Commands among the frames.
    pub(super) commands: usize,
    bodies_len: usize,
    pub(super) bodies: VecDeque<PlacedBody>,
    /// Bodies that stand among the bytes, and whose owners wait for the end of the buffer.
    held: Vec<Bytes>,
    /// The frames travel in boxes, and take more bytes then.
    travels_sealed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct PlacedBody {
    pub(super) place: usize,
    pub(super) body: Bytes,
}

/// The body of one frame to be encoded.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Slice(&'a [u8]),
    Frame(&'a Frame),
}

impl FrameBuffer {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// The bytes of all frames, large bodies included.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.bodies_len
    }

    /// Whether there is nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of whole messages.
    pub fn messages(&self) -> usize {
        self.messages
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes the bytes' allocation out, for reuse.
    pub(crate) fn take_spare(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty());
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn give_spare(&mut self, spare: Vec<u8>) {
        debug_assert!(self.bytes.capacity() == 0 && spare.is_empty());
        self.bytes = spare;
    }

    /// Takes the next part of the buffer's memory into this processor's cache, after another processor has used it;
    /// returns how far.
    ///
    /// The lines come all at once. Left to the encoding, each would come by itself, with the sender waiting: the locked
    /// instructions of its next call let no store be outstanding. A message of 64 bytes took 130 ns so, and takes 33.
    pub(super) fn own_ahead(&mut self) -> usize {
        let len = self.bytes.len();
        self.bytes.resize(len + OWN_AHEAD_LEN, 0);
        self.bytes.truncate(len);
        len + OWN_AHEAD_LEN
    }

    /// Brings the bytes into this processor's cache, after another has written them; all at once, for the same reason.
    pub(super) fn fetch(&self) {
        let lines = self.bytes.iter().take(FETCH_LEN_MAX).step_by(CACHE_LINE_LEN);
        std::hint::black_box(lines.fold(0, |all, byte| all ^ byte));
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bodies.clear();
        self.bodies_len = 0;
        self.held.clear();
        self.messages = 0;
        self.commands = 0;
        self.travels_sealed = false;
    }

    /// Appends a message: the frames of `envelope`, then those of `message` from the frame `skip` on.
    #[inline]
    pub(crate) fn push_message(&mut self, version: Version, envelope: &[Frame], message: &Outgoing<'_>, skip: usize) {
        if let (Outgoing::Body(body), []) = (message, envelope) {
            return self.push_body(version, body);
        }
        self.push_frames(version, envelope, message, skip);
        self.messages += 1;
    }

    /// Appends a message of one frame.
    #[inline]
    pub(crate) fn push_body(&mut self, version: Version, body: &[u8]) {
        self.push_slice(version, false, body);
        self.messages += 1;
    }

    #[inline(never)]
    fn push_frames(&mut self, version: Version, envelope: &[Frame], message: &Outgoing<'_>, skip: usize) {
        let rest = message.len().saturating_sub(skip);
        for (index, frame) in envelope.iter().enumerate() {
            self.push_frame(version, rest > 0 || index + 1 < envelope.len(), Body::Frame(frame));
        }
        match message {
            Outgoing::Body(body) => self.push_rest(version, std::iter::once(Body::Slice(body)).skip(skip)),
            Outgoing::Bodies(bodies) => self.push_rest(version, bodies.iter().skip(skip).map(|body| Body::Slice(body))),
            Outgoing::Borrowed(message) => self.push_rest(version, message.frames().skip(skip).map(Body::Frame)),
            Outgoing::Owned(message) => self.push_rest(version, message.frames().skip(skip).map(Body::Frame)),
        }
    }

    fn push_rest<'a>(&mut self, version: Version, bodies: impl ExactSizeIterator<Item = Body<'a>>) {
        let mut left = bodies.len();
        for body in bodies {
            left -= 1;
            self.push_frame(version, left > 0, body);
        }
    }

    /// Appends one frame.
    #[inline]
    pub(crate) fn push_frame(&mut self, version: Version, more: bool, body: Body<'_>) {
        let slice = match body {
            Body::Slice(slice) => slice,
            Body::Frame(frame) => match frame.shared() {
                Some(shared) if shared.len() >= LARGE_BODY_LEN => {
                    return self.push_large(version, more, shared.clone());
                }
                Some(shared) if frame.is_held() => {
                    self.held.push(shared.clone());
                    shared
                }
                _ => frame.as_slice(),
            },
        };
        self.push_slice(version, more, slice);
    }

    /// Appends one frame, with its body among the bytes.
    #[inline]
    fn push_slice(&mut self, version: Version, more: bool, body: &[u8]) {
        Header::encode(version, more, body.len(), &mut self.bytes);
        self.bytes.extend_from_slice(body);
    }

    fn push_large(&mut self, version: Version, more: bool, body: Bytes) {
        Header::encode(version, more, body.len(), &mut self.bytes);
        self.place_body(body);
    }

    /// Appends a frame that came in a box.
    pub(crate) fn push_opened(&mut self, more: bool, command: bool, body: &[u8], pool: &BodyPool) {
        if command {
            Header::encode_command(body.len(), &mut self.bytes);
        } else {
            Header::encode(Version::V3_1, more, body.len(), &mut self.bytes);
        }
        if command || body.len() < LARGE_BODY_LEN {
            return self.bytes.extend_from_slice(body);
        }
        let mut large = pool.take(body.len());
        large.extend_from_slice(body);
        self.place_body(pool.share(large));
    }

    /// Puts a body after all bytes so far.
    pub(super) fn place_body(&mut self, body: Bytes) {
        self.bodies_len += body.len();
        self.bodies.push_back(PlacedBody { place: self.bytes.len(), body });
    }

    /// Whether a body is placed at `place`.
    pub(super) fn has_body_at(&self, place: usize) -> bool {
        self.bodies.binary_search_by_key(&place, |placed| placed.place).is_ok()
    }

    /// Takes the body placed at `place`, if the next one is.
    pub(super) fn take_body(&mut self, place: usize) -> Option<Bytes> {
        let front = self.bodies.front()?;
        if front.place != place {
            return None;
        }
        let PlacedBody { body, .. } = self.bodies.pop_front()?;
        self.bodies_len -= body.len();
        Some(body)
    }

    /// Whether there are bodies by reference.
    #[inline]
    pub(crate) fn holds_bodies(&self) -> bool {
        !self.bodies.is_empty() || !self.held.is_empty()
    }

    /// Takes the bodies out, of frames that are of no use any more.
    pub(super) fn take_bodies(&mut self) -> impl Iterator<Item = Bytes> {
        self.bodies_len = 0;
        self.bodies.drain(..).map(|placed| placed.body).chain(self.held.drain(..))
    }

    /// Appends one command frame, written by `encode`.
    pub(crate) fn push_command(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.commands += 1;
    }

    /// Drops the messages and keeps the commands.
    pub(crate) fn retain_commands(&mut self, version: Version, waste: &mut Waste) {
        let mut kept = Vec::new();
        for (header, place) in self.frames(version) {
            if header.command {
                Header::encode_command(header.body_len, &mut kept);
                kept.extend_from_slice(&self.bytes[place.body_at..place.body_at + header.body_len]);
            }
        }
        let commands = self.commands;
        waste.take_frames(self);
        self.clear();
        self.bytes.extend_from_slice(&kept);
        self.commands = commands;
    }

    /// Appends a body as it is, for a raw peer.
    pub(crate) fn push_raw(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(body);
        self.messages += 1;
    }

    /// Appends what `other` holds.
    pub(crate) fn append(&mut self, other: &FrameBuffer) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        if !other.bodies.is_empty() {
            self.bodies_len += other.bodies_len;
            self.bodies.extend(
                other.bodies.iter().map(|placed| PlacedBody { place: placed.place + shift, body: placed.body.clone() }),
            );
        }
        self.held.extend_from_slice(&other.held);
        self.messages += other.messages;
        self.commands += other.commands;
    }

    /// Appends what a lot holds from `place` on. There are no bodies by reference in it.
    pub(super) fn append_from(&mut self, lot: &FrameBuffer, place: LotPlace) {
        self.bytes.extend_from_slice(&lot.bytes[place.len..]);
        self.messages += lot.messages - place.messages;
    }

    /// Appends what `other` holds, and leaves it empty.
    pub(super) fn take_over(&mut self, other: &mut FrameBuffer) {
        if self.is_empty() {
            return std::mem::swap(self, other);
        }
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        let bodies = other.bodies.drain(..).map(|placed| PlacedBody { place: placed.place + shift, ..placed });
        self.bodies.extend(bodies);
        self.bodies_len += other.bodies_len;
        self.held.append(&mut other.held);
        self.messages += other.messages;
        self.commands += other.commands;
        other.clear();
    }

    /// Drops the first `len` bytes, which hold no frame that is still wanted.
    pub(super) fn drop_front(&mut self, len: usize) {
        self.bytes.drain(..len);
        self.bodies.iter_mut().for_each(|placed| placed.place -= len);
    }

    /// Drops what is behind the first `len` bytes, and the bodies placed among them.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        while let Some(placed) = self.bodies.pop_back_if(|placed| placed.place > len) {
            self.bodies_len -= placed.body.len();
        }
    }

    /// The frames, each with its header and body.
    pub(super) fn frames(&self, version: Version) -> impl Iterator<Item = (Header, FramePlace)> {
        let mut walk = Walk::default();
        std::iter::from_fn(move || self.walk_on(&mut walk, version))
    }

    /// The next frame.
    fn walk_on(&self, walk: &mut Walk, version: Version) -> Option<(Header, FramePlace)> {
        let header = Header::decode(version, self.bytes.get(walk.at..)?).ok().flatten()?;
        let body_at = walk.at + header.header_len;
        let placed = self.bodies.get(walk.next_body).filter(|placed| placed.place == body_at && header.body_len > 0);
        walk.sent += self.travel_len(&header);
        let place = FramePlace { ends_at_len: walk.sent, body_at, placed: placed.map(|_| walk.next_body) };
        walk.next_body += usize::from(placed.is_some());
        walk.at = place.next_at(&header);
        Some((header, place))
    }

    /// The bytes of a frame on the wire.
    fn travel_len(&self, header: &Header) -> usize {
        if self.travels_sealed { sealed_frame_len(header.body_len) } else { header.header_len + header.body_len }
    }

    /// The bytes of all frames if they travel in boxes.
    pub(super) fn sealed_len(&self) -> usize {
        self.frames(Version::V3_1).map(|(header, _)| sealed_frame_len(header.body_len)).sum()
    }

    fn body(&self, header: &Header, place: &FramePlace) -> &[u8] {
        match place.placed {
            Some(index) => &self.bodies[index].body,
            None => &self.bytes[place.body_at..place.body_at + header.body_len],
        }
    }

    /// The messages that have not been written whole when `written` bytes have been, encoded for `to`; commands are
    /// left out, they belong to the connection that is gone.
    pub(crate) fn messages_after(&self, written: usize, from: Version, to: Version) -> FrameBuffer {
        self.select(from, to, |message| message.last().is_some_and(|(_, place)| place.ends_at_len > written))
    }

    /// The messages that are no subscriptions: those travel to older peers as messages of one frame that starts with 0
    /// or 1.
    pub(crate) fn without_subscriptions(&self, version: Version) -> FrameBuffer {
        self.select(version, version, |message| match message {
            [(header, place)] if place.placed.is_none() && header.body_len > 0 => self.bytes[place.body_at] > 1,
            _ => true,
        })
    }

    /// The messages behind the first `count`.
    pub(crate) fn without_first(&self, count: usize, version: Version) -> FrameBuffer {
        let mut seen = 0;
        self.select(version, version, |_| {
            seen += 1;
            seen > count
        })
    }

    /// The messages that `is_wanted`, encoded for another version.
    fn select(
        &self,
        from: Version,
        to: Version,
        mut is_wanted: impl FnMut(&[(Header, FramePlace)]) -> bool,
    ) -> FrameBuffer {
        // With which of the messages the bodies belong is not known.
        let mut rest = FrameBuffer { held: self.held.clone(), ..FrameBuffer::default() };
        let mut message = Vec::new();
        for (header, place) in self.frames(from) {
            if header.command {
                continue;
            }
            message.push((header, place));
            if header.more {
                continue;
            }
            if is_wanted(&message) {
                message.iter().for_each(|(header, place)| self.copy_frame(header, place, to, &mut rest));
                rest.messages += 1;
            }
            message.clear();
        }
        rest
    }

    fn copy_frame(&self, header: &Header, place: &FramePlace, version: Version, to: &mut FrameBuffer) {
        match place.placed {
            Some(index) => to.push_large(version, header.more, self.bodies[index].body.clone()),
            None => to.push_frame(version, header.more, Body::Slice(self.body(header, place))),
        }
    }
}

/// How far frames have been walked through.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    at: usize,
    /// How many bytes travel before the next frame.
    sent: usize,
    next_body: usize,
}

#[derive(Clone, Copy)]
pub(super) struct FramePlace {
    /// How many bytes have travelled when this frame has.
    ends_at_len: usize,
    body_at: usize,
    placed: Option<usize>,
}

impl FramePlace {
    /// Where the next frame begins.
    pub(super) fn next_at(&self, header: &Header) -> usize {
        self.body_at + if self.placed.is_some() { 0 } else { header.body_len }
    }
}

/// Frames on their way into the transport, and how far they have come.
#[derive(Debug, Default)]
pub struct Output {
    pub(super) frames: FrameBuffer,
    /// Bytes of `frames.bytes` that are written.
    bytes_written: usize,
    /// Bodies that are written, and bytes of the one after them.
    bodies_written: usize,
    body_written: usize,
    written: usize,
    /// The frames that are written whole, as far as was counted, and the messages behind them.
    counted: Walk,
    messages_left: usize,
    sealing: Option<Sealing>,
    /// A part of the handshake, in which there may be a password.
    is_prelude: bool,
}

/// The boxes for frames on their way, made a part at a time.
#[derive(Debug)]
struct Sealing {
    sealer: Box<Sealer>,
    /// The frames that are sealed.
    sealed: Walk,
    /// The part that is being written, and how much of it is.
    part: Vec<u8>,
    part_written: usize,
    /// The bytes of all boxes.
    len: usize,
}

impl Sealing {
    /// Makes the next part, if this one is written.
    fn go_on(&mut self, frames: &FrameBuffer) {
        if self.part_written < self.part.len() {
            return;
        }
        self.part.clear();
        self.part_written = 0;
        while self.part.len() < SEAL_LEN
            && let Some((header, place)) = frames.walk_on(&mut self.sealed, Version::V3_1)
        {
            self.sealer.push(&header, frames.body(&header, &place), &mut self.part);
        }
        self.sealer.seal(&mut self.part);
    }
}

impl Output {
    pub(crate) fn new(frames: FrameBuffer) -> Self {
        let messages_left = frames.messages;
        Self { frames, messages_left, ..Self::default() }
    }

    /// Frames that travel in boxes.
    pub(crate) fn sealed(mut frames: FrameBuffer, sealer: Box<Sealer>) -> Self {
        frames.travels_sealed = true;
        let len = frames.sealed_len();
        let sealing = Sealing { sealer, sealed: Walk::default(), part: Vec::new(), part_written: 0, len };
        Self { sealing: Some(sealing), ..Self::new(frames) }
    }

    /// The frames' buffer, and what seals the next ones. A password is not left for whoever uses the memory next.
    pub(crate) fn into_parts(mut self) -> (FrameBuffer, Option<Box<Sealer>>) {
        if self.is_prelude {
            self.frames.bytes.zeroize();
        }
        (self.frames, self.sealing.map(|sealing| sealing.sealer))
    }

    /// Bytes that go before all frames.
    pub(crate) fn prelude(bytes: Vec<u8>) -> Self {
        Self { is_prelude: true, ..Self::new(FrameBuffer::from_bytes(bytes)) }
    }

    /// The bytes that are left to write.
    pub fn remaining(&self) -> usize {
        self.sealing.as_ref().map_or(self.frames.len(), |sealing| sealing.len) - self.written
    }

    /// Gives the memory of bodies back to whom it belongs, if all is written: that may run code of the application's, and
    /// is to be done where no lock is held.
    pub fn release_written(&mut self) {
        if self.remaining() == 0 {
            self.frames.bodies.clear();
            self.frames.held.clear();
        }
    }

    /// The messages that were not written whole when they were last [counted](Self::count_messages_left).
    pub(crate) fn messages_left(&self) -> usize {
        self.messages_left
    }

    /// Finds out how many messages are not written whole. It goes on where it was the last time.
    pub(crate) fn count_messages_left(&mut self, version: Version) {
        while self.messages_left > 0 {
            let mut walk = self.counted;
            let Some((header, _)) = self.frames.walk_on(&mut walk, version).filter(|_| walk.sent <= self.written)
            else {
                return;
            };
            self.counted = walk;
            self.messages_left -= usize::from(!header.command && !header.more);
        }
    }

    /// The bytes that have been written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Fills `slices` with what is to be written next, in order, and returns how many it used.
    pub fn io_slices<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        if let Some(sealing) = &mut self.sealing {
            sealing.go_on(&self.frames);
            let part = &sealing.part[sealing.part_written..];
            return slices.iter_mut().take(1).map(|slice| *slice = IoSlice::new(part)).count();
        }
        let (mut at, mut used) = (self.bytes_written, 0);
        let mut put = |slice: &'a [u8]| {
            if !slice.is_empty() && used < slices.len() {
                slices[used] = IoSlice::new(slice);
                used += 1;
            }
            used < slices.len()
        };
        let mut skip = self.body_written;
        for placed in self.frames.bodies.iter().skip(self.bodies_written) {
            if !put(&self.frames.bytes[at..placed.place]) || !put(&placed.body[skip..]) {
                return used;
            }
            (at, skip) = (placed.place, 0);
        }
        put(&self.frames.bytes[at..]);
        used
    }

    /// Notes that `len` more bytes have been written.
    pub fn advance(&mut self, mut len: usize) {
        self.written += len;
        if let Some(sealing) = &mut self.sealing {
            sealing.part_written += len;
            return debug_assert!(sealing.part_written <= sealing.part.len(), "wrote more than there was");
        }
        while len > 0 {
            let next = self.frames.bodies.get(self.bodies_written);
            let bytes_end = next.map_or(self.frames.bytes.len(), |placed| placed.place);
            let from_bytes = len.min(bytes_end - self.bytes_written);
            self.bytes_written += from_bytes;
            len -= from_bytes;
            let Some(placed) = next.filter(|_| len > 0) else {
                return debug_assert_eq!(len, 0, "wrote more than there was");
            };
            let from_body = len.min(placed.body.len() - self.body_written);
            self.body_written += from_body;
            len -= from_body;
            if self.body_written == placed.body.len() {
                self.bodies_written += 1;
                self.body_written = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(output: &mut Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let used = output.io_slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    fn sample(sizes: &[usize]) -> FrameBuffer {
        let mut frames = FrameBuffer::default();
        for (index, &size) in sizes.iter().enumerate() {
            frames.push_message(Version::V3_1, &[], &Outgoing::Owned(Frame::from(vec![index as u8; size]).into()), 0);
        }
        frames
    }

    proptest! {
        #[test]
        fn messages_left_are_those_not_written_whole(
            sizes in prop::collection::vec(prop_oneof![0..300_usize, LARGE_BODY_LEN..2 * LARGE_BODY_LEN], 1..8),
            steps in prop::collection::vec(1..10_000_usize, 0..64),
        ) {
            let ends = (1..=sizes.len()).map(|count| sample(&sizes[..count]).len());
            let ends: Vec<usize> = ends.collect();
            let mut output = Output::new(sample(&sizes));
            for step in steps {
                output.advance(step.min(output.remaining()));
                output.count_messages_left(Version::V3_1);
                let left = ends.iter().filter(|end| **end > output.written()).count();
                prop_assert_eq!(output.messages_left(), left);
            }
        }
    }

    proptest! {
        #[test]
        fn any_steps_write_the_same_bytes(
            sizes in prop::collection::vec(prop_oneof![0..300_usize, LARGE_BODY_LEN..2 * LARGE_BODY_LEN], 0..8),
            steps in prop::collection::vec(1..10_000_usize, 0..64),
        ) {
            let mut output = Output::new(sample(&sizes));
            let whole = written(&mut output);
            prop_assert_eq!(whole.len(), output.remaining());
            let mut at = 0;
            for step in steps {
                let step = step.min(output.remaining());
                output.advance(step);
                at += step;
                prop_assert_eq!(&written(&mut output)[..], &whole[at..]);
            }
        }

        #[test]
        fn what_is_left_after_a_break_is_whole_messages(
            sizes in prop::collection::vec(prop_oneof![0..300_usize, LARGE_BODY_LEN..2 * LARGE_BODY_LEN], 0..8),
            share in 0.0..=1.0_f64,
        ) {
            let frames = sample(&sizes);
            let at = (frames.len() as f64 * share) as usize;
            let mut end = 0;
            let left: Vec<usize> = sizes.iter().copied().filter(|&size| {
                end += size + if size < 256 { 2 } else { 9 };
                end > at
            }).collect();
            let rest = frames.messages_after(at, Version::V3_1, Version::V1_0);
            prop_assert_eq!(rest.messages, left.len());
            let bodies: Vec<usize> = rest.frames(Version::V1_0).map(|(header, _)| header.body_len).collect();
            prop_assert_eq!(bodies, left);
        }
    }
}
