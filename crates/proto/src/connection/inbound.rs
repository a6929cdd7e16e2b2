//! What a peer sent: bytes as they came, frames found in them, messages cut out of them.

use std::{collections::VecDeque, io, ops::Range};

use bytes::Bytes;
use zeroize::Zeroize;

use super::{
    Spares, Waste,
    body_pool::BodyPool,
    frame_buffer::{CACHE_LINE_LEN, FrameBuffer},
};
use crate::{
    error::Misbehaviour,
    frame::{BodyInPlace, Frame},
    limits::{
        BODY_RESERVE_LEN_MAX, COMMAND_LEN_MAX, DEAD_COMMANDS_LEN_MAX, FRAME_HEADERS_LEN_MAX, GROUP_LEN_MAX,
        LARGE_BODY_LEN, READ_LEN_MAX, READ_LEN_MIN,
    },
    message::Message,
    socket_type::SocketType,
    wire::{Header, Version},
};

/// The incoming side of a connection.
///
/// `start ≤ scanned ≤ frames.bytes.len()`: what is before `start` is cut, up to `scanned` stand whole frames that
/// [`scan`](Self::scan) has seen, behind it what has come since. A large body that was not complete when its header
/// was seen is read straight into `filling`, and nothing else is read meanwhile.
#[derive(Debug)]
pub(crate) struct Inbound {
    frames: FrameBuffer,
    start: usize,
    scanned: usize,
    filling: Option<Filling>,
    /// Bytes of commands between `start` and `scanned`, which have been dealt with and lie in the way.
    dead_len: usize,
    /// Whether the last frame that was scanned has MORE set, and the bytes of its message's bodies and headers so far.
    open_message: bool,
    open_message_len: u64,
    open_headers_len: usize,
    read_len: usize,
    /// Bodies of senders in the same process that stood among the bytes and are cut: the set of connections takes them.
    pub(super) spent: Waste,
}

#[derive(Debug)]
struct Filling {
    header: Header,
    body: Vec<u8>,
}

/// What a peer's messages must be like, where that is restricted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MessageRules {
    /// The bytes of all bodies.
    pub(crate) len_max: Option<u64>,
    pub(crate) shape: Shape,
}

impl MessageRules {
    /// Whether a message of one frame with a short length may come.
    fn allow_small(&self) -> bool {
        self.shape != Shape::GroupAndBody && self.len_max.is_none_or(|max| max >= u64::from(u8::MAX))
    }
}

/// The frames that a message has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Any,
    Single,
    /// What a RADIO sends.
    GroupAndBody,
}

impl Shape {
    pub(crate) fn of(receiver: SocketType) -> Self {
        match receiver {
            SocketType::Dish => Self::GroupAndBody,
            socket_type if socket_type.is_single_frame() => Self::Single,
            _ => Self::Any,
        }
    }

    fn check(self, header: &Header, is_first: bool) -> Result<(), Misbehaviour> {
        match self {
            Self::Single if header.more => Err(Misbehaviour::Multipart),
            Self::GroupAndBody if header.more != is_first => Err(Misbehaviour::Envelope),
            Self::GroupAndBody if is_first && header.body_len > GROUP_LEN_MAX => Err(Misbehaviour::Group),
            _ => Ok(()),
        }
    }
}

/// A command that was met while scanning.
pub(crate) enum ScannedCommand {
    /// The place of its body in the buffer.
    Here(Range<usize>),
    Large(Bytes),
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            frames: FrameBuffer::default(),
            start: 0,
            scanned: 0,
            filling: None,
            dead_len: 0,
            open_message: false,
            open_message_len: 0,
            open_headers_len: 0,
            read_len: READ_LEN_MIN,
            spent: Waste::default(),
        }
    }
}

impl Inbound {
    /// Whole messages that can be cut.
    #[inline]
    pub(crate) fn messages(&self) -> usize {
        self.frames.messages
    }

    /// Bytes that wait, whole messages or not.
    pub(crate) fn len(&self) -> usize {
        self.frames.len() - self.start + self.filling.as_ref().map_or(0, |filling| filling.body.len())
    }

    /// Bytes that have come and have not been looked at: the greeting, while there are no frames yet.
    pub(crate) fn unscanned(&self) -> &[u8] {
        &self.frames.bytes[self.scanned..]
    }

    pub(crate) fn has_unscanned(&self) -> bool {
        self.scanned < self.frames.bytes.len()
    }

    /// Drops the first `len` of the [`unscanned`](Self::unscanned) bytes, and wipes them: there may be a password among
    /// them.
    pub(crate) fn consume(&mut self, len: usize) {
        debug_assert_eq!(self.start, self.scanned, "only a handshake consumes, before there are frames");
        let end = self.scanned + len;
        self.frames.bytes[self.scanned..end].zeroize();
        self.scanned = end;
        self.start = self.scanned;
        self.reset_if_drained();
    }

    /// Reads once, at most about `limit` bytes, with `read`, which appends to the spare capacity of the vector.
    ///
    /// # Errors
    /// What `read` returned.
    pub(crate) fn read(
        &mut self,
        limit: usize,
        spares: &mut Spares,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        if let Some(filling) = &mut self.filling {
            return filling.read(&mut self.frames, read);
        }
        self.make_room(limit, spares);
        let room = self.frames.bytes.capacity() - self.frames.bytes.len();
        let result = read(&mut self.frames.bytes);
        match &result {
            Ok(len) if *len == room => self.read_len = (self.read_len * 2).min(READ_LEN_MAX),
            Ok(len) if *len < self.read_len / 4 => self.read_len = (self.read_len / 2).max(READ_LEN_MIN),
            Err(_) if self.frames.is_empty() => spares.give_back(self.frames.take_spare()),
            _ => {}
        }
        result.map(|len| Read { len, filled: len == room })
    }

    /// Reads once from a peer whose handshake is not over, into a buffer of its own that takes `limit` bytes and no
    /// more. `limit` is more than the handshake leaves unread.
    ///
    /// # Errors
    /// What `read` returned.
    pub(crate) fn read_from_stranger(
        &mut self,
        limit: usize,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        let bytes = &mut self.frames.bytes;
        // What is moved to the front, and may be half a password, is not left where it was.
        let left = self.start..bytes.len();
        bytes.copy_within(left.clone(), 0);
        bytes[left.len()..].zeroize();
        bytes.truncate(left.len());
        (self.scanned, self.start) = (self.scanned - self.start, 0);
        bytes.reserve_exact(limit.saturating_sub(bytes.len()));
        let room = bytes.capacity() - bytes.len();
        read(bytes).map(|len| Read { len, filled: len == room })
    }

    fn make_room(&mut self, limit: usize, spares: &mut Spares) {
        let read_len = self.read_len.min(limit);
        if self.frames.is_empty() && self.frames.capacity() < read_len {
            spares.give_back(self.frames.take_spare());
            self.frames.give_spare(spares.take_to_read(read_len).unwrap_or_else(|| Vec::with_capacity(read_len)));
        }
        // What is moved to the front is never more than what was cut before it: a long queue is not moved for each read.
        if self.frames.bytes.capacity() - self.frames.bytes.len() < read_len
            && self.start >= self.frames.bytes.len() / 2
        {
            self.drop_cut();
        }
        self.frames.bytes.reserve(read_len);
    }

    /// Keeps the whole messages that have come, and nothing else: no more will come.
    pub(crate) fn keep_whole_messages(&mut self, version: Version) {
        self.filling = None;
        self.drop_cut();
        let (end, dead_len) = self.end_of_messages(version);
        self.frames.truncate(end);
        self.frames.bytes.shrink_to_fit();
        (self.scanned, self.dead_len) = (end, dead_len);
        (self.open_message, self.open_message_len, self.open_headers_len) = (false, 0, 0);
    }

    /// Where the last whole message ends, and the bytes of commands before that.
    fn end_of_messages(&self, version: Version) -> (usize, usize) {
        let (mut end, mut dead_len, mut left) = (0, 0, self.frames.messages);
        for (header, place) in self.frames.frames(version) {
            if left == 0 {
                break;
            }
            end = place.next_at(&header);
            if header.command {
                dead_len += header.header_len + header.body_len;
            } else if !header.more {
                left -= 1;
            }
        }
        (end, dead_len)
    }

    /// Puts a message of one frame behind all that have been scanned. What of another has come by then is dropped: it is
    /// called where nothing has been scanned yet, or no more will come.
    pub(crate) fn insert(&mut self, version: Version, body: &[u8]) {
        if self.scanned > self.start || self.filling.is_some() {
            self.keep_whole_messages(version);
        }
        let mut frame = Vec::new();
        Header::encode(version, false, body.len(), &mut frame);
        frame.extend_from_slice(body);
        self.frames.bytes.splice(self.scanned..self.scanned, frame.iter().copied());
        self.scanned += frame.len();
        self.frames.messages += 1;
    }

    fn drop_cut(&mut self) {
        self.frames.drop_front(self.start);
        self.scanned -= self.start;
        self.start = 0;
    }

    /// Goes on through what has come. Returns at each command; `None` when no whole frame is left.
    ///
    /// # Errors
    /// The rule that the peer broke.
    pub(crate) fn scan(
        &mut self,
        version: Version,
        rules: Option<MessageRules>,
        pool: &BodyPool,
    ) -> Result<Option<ScannedCommand>, Misbehaviour> {
        if let Some(command) = self.finish_filling(pool) {
            return Ok(Some(command));
        }
        let may_be_small = version != Version::V1_0 && rules.is_none_or(|rules| rules.allow_small());
        while self.filling.is_none() {
            if may_be_small && !self.open_message {
                self.scan_small();
            }
            let Some(header) = Header::decode(version, &self.frames.bytes[self.scanned..])? else { break };
            self.check(&header, rules)?;
            let body_at = self.scanned + header.header_len;
            if header.body_len >= LARGE_BODY_LEN && self.frames.has_body_at(body_at) {
                // Of a sender in the same process.
                self.scanned = body_at;
                self.count(&header);
                continue;
            }
            let available = self.frames.bytes.len() - body_at;
            if available < header.body_len {
                if header.body_len >= LARGE_BODY_LEN {
                    self.begin_filling(header, body_at, pool);
                }
                break;
            }
            self.scanned = body_at + header.body_len;
            if header.command {
                self.dead_len += header.header_len + header.body_len;
                return Ok(Some(ScannedCommand::Here(body_at..self.scanned)));
            }
            self.count(&header);
        }
        self.reset_if_drained();
        if self.dead_len > DEAD_COMMANDS_LEN_MAX.max((self.scanned - self.start) / 2) && self.filling.is_none() {
            self.drop_commands(version);
        }
        Ok(None)
    }

    /// Goes through the whole messages that come next and are of the most frequent form, a frame without flags and with a
    /// short length each: a stream of them is nothing else, and takes a few instructions a message so.
    fn scan_small(&mut self) {
        let mut rest = &self.frames.bytes[self.scanned..];
        let mut messages = 0;
        while let [0, body_len, body @ ..] = rest
            && let Some(behind) = body.get(usize::from(*body_len)..)
        {
            rest = behind;
            messages += 1;
        }
        self.scanned = self.frames.bytes.len() - rest.len();
        self.frames.messages += messages;
    }

    /// Closes the gaps that commands have left among messages which wait. More is dropped than is moved.
    fn drop_commands(&mut self, version: Version) {
        let (mut from, mut to, mut next_body) = (self.start, self.start, 0);
        while from < self.scanned {
            let header = scanned_header(version, &self.frames.bytes[from..]);
            let body_at = from + header.header_len;
            let placed = self.frames.bodies.get_mut(next_body).filter(|placed| placed.place == body_at);
            let end = if placed.is_some() { body_at } else { body_at + header.body_len };
            if !header.command {
                self.frames.bytes.copy_within(from..end, to);
                to += end - from;
                if let Some(placed) = placed {
                    placed.place = to;
                    next_body += 1;
                }
            }
            from = end;
        }
        self.frames.bytes.drain(to..from);
        self.scanned = to;
        self.dead_len = 0;
    }

    fn check(&self, header: &Header, rules: Option<MessageRules>) -> Result<(), Misbehaviour> {
        if header.command {
            return if header.body_len > COMMAND_LEN_MAX { Err(Misbehaviour::CommandTooLong) } else { Ok(()) };
        }
        let Some(rules) = rules else { return Ok(()) };
        rules.shape.check(header, !self.open_message)?;
        let Some(max) = rules.len_max else { return Ok(()) };
        let is_too_large = self.open_message_len.saturating_add(header.body_len as u64) > max
            || self.open_headers_len + header.header_len > FRAME_HEADERS_LEN_MAX;
        if is_too_large { Err(Misbehaviour::MessageTooLarge) } else { Ok(()) }
    }

    fn count(&mut self, header: &Header) {
        self.open_message = header.more;
        if header.more {
            self.open_message_len += header.body_len as u64;
            self.open_headers_len += header.header_len;
        } else {
            self.open_message_len = 0;
            self.open_headers_len = 0;
            self.frames.messages += 1;
        }
    }

    fn begin_filling(&mut self, header: Header, body_at: usize, pool: &BodyPool) {
        let mut body = pool.take(header.body_len.min(BODY_RESERVE_LEN_MAX));
        body.extend_from_slice(&self.frames.bytes[body_at..]);
        // A command leaves nothing behind for `cut`; a message's header stays, and its body will be placed behind it.
        let kept_len = if header.command { self.scanned } else { body_at };
        self.frames.bytes.truncate(kept_len);
        self.scanned = kept_len;
        self.read_len = READ_LEN_MIN;
        self.filling = Some(Filling { header, body });
    }

    fn finish_filling(&mut self, pool: &BodyPool) -> Option<ScannedCommand> {
        let Filling { header, body } = self.filling.take_if(|filling| filling.body.len() == filling.header.body_len)?;
        debug_assert!(self.frames.bytes.len() >= self.scanned);
        if header.command {
            return Some(ScannedCommand::Large(body.into()));
        }
        // What came behind the body is already in the buffer, and belongs behind it.
        let behind = self.frames.bytes.split_off(self.scanned);
        self.frames.place_body(pool.share(body));
        self.frames.bytes.extend_from_slice(&behind);
        self.count(&header);
        None
    }

    /// The bytes of a command that [`scan`](Self::scan) found.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.frames.bytes[range]
    }

    /// Puts the next whole message into `into`; `false` if there is none.
    ///
    /// Written into its callers: they have few registers in use, and as a function of its own it saves and restores all.
    #[inline(always)]
    pub(crate) fn cut(&mut self, version: Version, into: &mut Message) -> bool {
        let Some(left) = self.frames.messages.checked_sub(1) else { return false };
        self.frames.messages = left;
        if let Some(frames) = into.frames_to_reuse() {
            self.cut_in_place(version, frames);
        } else if self.cut_frame(version, into.only_frame_mut()) {
            self.cut_rest(version, into);
        }
        if left == 0 {
            self.reset_if_drained();
        }
        true
    }

    /// Gives the body of the next message to `take` where it stands, if it is that of a small message of one frame, and
    /// `passes` it.
    #[inline(always)]
    pub(crate) fn cut_small<T>(
        &mut self,
        version: Version,
        passes: impl FnOnce(&[u8]) -> bool,
        take: impl FnOnce(BodyInPlace<'_>) -> T,
    ) -> Option<T> {
        let left = self.frames.messages.checked_sub(1)?;
        let next = &self.frames.bytes[self.start..];
        // As in `cut_frame`.
        let (header_len, body_len) = match next {
            [0, body_len, ..] if version != Version::V1_0 => (2, usize::from(*body_len)),
            _ => small_frame(version, next)?,
        };
        let body = BodyInPlace::new(&next[header_len..], body_len);
        if !passes(body.as_slice()) {
            return None;
        }
        let taken = take(body);
        self.start += header_len + body_len;
        self.frames.messages = left;
        if left == 0 {
            self.reset_if_drained();
        }
        Some(taken)
    }

    fn cut_in_place(&mut self, version: Version, frames: &mut VecDeque<Frame>) {
        let mut cut = 0;
        let mut more = true;
        while more {
            if cut == frames.len() {
                frames.push_back(Frame::new());
            }
            more = self.cut_frame(version, &mut frames[cut]);
            cut += 1;
        }
        frames.truncate(cut);
    }

    fn cut_rest(&mut self, version: Version, message: &mut Message) {
        loop {
            let mut frame = Frame::new();
            let more = self.cut_frame(version, &mut frame);
            message.push_back(frame);
            if !more {
                return;
            }
        }
    }

    /// Puts the next frame of a message into `into`, past any commands; says whether more follow. All has been
    /// scanned before.
    #[inline]
    fn cut_frame(&mut self, version: Version, into: &mut Frame) -> bool {
        // Nearly all frames of small messages: no flag but MORE, a short length.
        if let [more @ 0..=1, body_len, body @ ..] = &self.frames.bytes[self.start..]
            && version != Version::V1_0
        {
            let (more, body_len) = (*more == 1, usize::from(*body_len));
            into.copy_prefix(body, body_len);
            self.start += 2 + body_len;
            return more;
        }
        self.cut_any_frame(version, into)
    }

    fn cut_any_frame(&mut self, version: Version, into: &mut Frame) -> bool {
        loop {
            let header = scanned_header(version, &self.frames.bytes[self.start..]);
            let body_at = self.start + header.header_len;
            if header.body_len >= LARGE_BODY_LEN
                && !header.command
                && let Some(body) = self.frames.take_body(body_at)
            {
                self.start = body_at;
                *into = body.into();
                return header.more;
            }
            self.start = body_at + header.body_len;
            if !header.command {
                into.copy_prefix(&self.frames.bytes[body_at..], header.body_len);
                return header.more;
            }
            self.dead_len -= header.header_len + header.body_len;
        }
    }

    fn reset_if_drained(&mut self) {
        if self.filling.is_some() {
            return;
        }
        if self.frames.messages == 0 && !self.open_message {
            // Only commands are left, and they have been dealt with.
            self.start = self.scanned;
            self.dead_len = 0;
        }
        if self.start == self.frames.bytes.len() {
            self.spent.take_frames(&mut self.frames);
            self.frames.clear();
            self.start = 0;
            self.scanned = 0;
        }
    }

    /// Takes frames from a sender in the same process, by swapping buffers. Everything before must be cut.
    pub(crate) fn swap(&mut self, frames: &mut FrameBuffer) {
        debug_assert!(self.frames.is_empty() && self.filling.is_none());
        std::mem::swap(&mut self.frames, frames);
        self.frames.fetch();
        self.start = 0;
        self.scanned = 0;
        if self.frames.commands == 0 {
            self.scanned = self.frames.bytes.len();
        } else {
            self.frames.messages = 0;
        }
    }

    /// Takes frames from a sender in the same process behind those that are not cut yet; they are to be scanned.
    pub(crate) fn append(&mut self, frames: &mut FrameBuffer) {
        let scanned_messages = self.frames.messages;
        self.frames.append(frames);
        self.frames.messages = scanned_messages;
        frames.clear();
    }

    /// Brings the first lines of the next message into this processor's cache.
    pub(crate) fn fetch_next(&self) {
        let next = &self.frames.bytes[self.start..];
        std::hint::black_box((next.first().copied(), next.get(CACHE_LINE_LEN).copied()));
    }

    pub(super) fn frames_mut(&mut self) -> &mut FrameBuffer {
        &mut self.frames
    }

    /// Where frames are appended that came sealed. What was cut is dropped first, if that is more than what is moved.
    pub(crate) fn opened_frames(&mut self, spares: &mut Spares) -> &mut FrameBuffer {
        if self.frames.capacity() == 0
            && let Some(spare) = spares.take_to_read(0)
        {
            self.frames.give_spare(spare);
        }
        if self.start >= self.frames.bytes.len() / 2 {
            self.drop_cut();
        }
        &mut self.frames
    }

    /// Whether all that came is cut.
    pub(crate) fn is_drained(&self) -> bool {
        self.frames.is_empty() && self.filling.is_none()
    }

    /// Gives the buffer back if nothing is in it.
    pub(crate) fn release(&mut self, spares: &mut Spares) {
        if self.is_drained() {
            spares.give_back(self.frames.take_spare());
        }
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The bytes; 0: the peer closed.
    pub len: usize,
    /// All room was used: there may be more.
    pub filled: bool,
}

impl Filling {
    fn read(
        &mut self,
        frames: &mut FrameBuffer,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        let wanted = self.header.body_len - self.body.len();
        if self.body.capacity() == self.body.len() {
            self.body.reserve_exact(wanted.min(self.body.len().max(BODY_RESERVE_LEN_MAX)));
        }
        let room = self.body.capacity() - self.body.len();
        let len = read(&mut self.body)?;
        if self.body.len() > self.header.body_len {
            // The allocator gave more than was asked for, and the read used it.
            frames.bytes.extend_from_slice(&self.body[self.header.body_len..]);
            self.body.truncate(self.header.body_len);
        }
        Ok(Read { len, filled: len == room })
    }
}

/// The lengths of header and body of a small message that has been scanned, if it is the next and has one frame.
#[inline(never)]
fn small_frame(version: Version, bytes: &[u8]) -> Option<(usize, usize)> {
    let header = scanned_header(version, bytes);
    let is_small = !header.more && !header.command && header.body_len < LARGE_BODY_LEN;
    is_small.then_some((header.header_len, header.body_len))
}

/// The header of a frame that has been scanned.
fn scanned_header(version: Version, bytes: &[u8]) -> Header {
    match Header::decode(version, bytes) {
        Ok(Some(header)) => header,
        _ => unreachable!("a scanned frame is whole"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inbound: &mut Inbound, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            let read = inbound.read(READ_LEN_MIN, &mut Spares::default(), |into| {
                let (part, rest) = left.split_at(left.len().min(into.capacity() - into.len()));
                into.extend_from_slice(part);
                left = rest;
                Ok(part.len())
            });
            assert!(read.unwrap().len > 0);
        }
        while inbound.scan(Version::V3_1, None, &BodyPool::default()).unwrap().is_some() {}
    }

    #[test]
    fn what_a_handshake_has_dealt_with_is_wiped() {
        let mut inbound = Inbound::default();
        let mut left = &b"secret, more"[..];
        let read = |into: &mut Vec<u8>| {
            into.extend_from_slice(std::mem::take(&mut left));
            Ok(12)
        };
        inbound.read(READ_LEN_MIN, &mut Spares::default(), read).unwrap();
        inbound.consume(6);
        assert_eq!((&inbound.frames.bytes[..6], inbound.unscanned()), (&[0; 6][..], &b", more"[..]));
    }

    #[test]
    fn a_lost_connection_keeps_whole_messages_and_nothing_else() {
        let large = [&[3, 0, 0, 0, 0, 0, 0, 0x40, 0][..], &[7; 0x4000]].concat();
        let ping = b"\x04\x07\x04PING\0\0";
        let half_large = &large[..0x3000];
        for half in
            [&b""[..], b"\0\x05ab", b"\x01\x02ab", &large, &[&large[..], b"\x01\x05a"].concat(), half_large, ping]
        {
            let mut inbound = Inbound::default();
            for _ in 0..3 {
                read(&mut inbound, &[ping, &large[..], ping, b"\0\x03abc", ping].concat());
            }
            read(&mut inbound, half);
            inbound.cut(Version::V3_1, &mut Message::new());
            inbound.keep_whole_messages(Version::V3_1);
            let (headers, pings) = (2 * (9 + 5), 6 * ping.len());
            assert_eq!((inbound.messages(), inbound.len()), (2, 2 * 0x4000 + headers + pings));
            assert!(inbound.frames.capacity() <= inbound.len());
            for _ in 0..2 {
                let mut message = Message::new();
                assert!(inbound.cut(Version::V3_1, &mut message));
                assert_eq!((message[0].len(), &message[1][..]), (0x4000, &b"abc"[..]));
            }
            assert!(inbound.is_drained());
        }
    }

    /// Small messages are gone through in runs: what stands between them, or breaks off in their middle, is seen all the same.
    #[test]
    fn a_run_of_small_messages_ends_where_something_else_comes() {
        let long = [&[2, 0, 0, 0, 0, 0, 0, 1, 0][..], &[7; 256]].concat();
        let stream = [b"\0\x01a\0\0", &long[..], b"\0\x01b\x01\x01c\0\x01d\x04\x07\x04PING\0\0\0\x01e"].concat();
        for split in 0..=stream.len() {
            let mut inbound = Inbound::default();
            read(&mut inbound, &stream[..split]);
            read(&mut inbound, &stream[split..]);
            let mut cut = Vec::new();
            let mut message = Message::new();
            while inbound.cut(Version::V3_1, &mut message) {
                cut.push(message.clone());
            }
            let expected =
                ["a".into(), "".into(), vec![7; 256].into(), "b".into(), ["c", "d"].into(), Message::from("e")];
            assert_eq!(cut, expected);
            assert!(inbound.is_drained());
        }
    }

    #[test]
    fn a_run_of_small_messages_keeps_the_rules() {
        let scan = |len_max, shape| {
            let mut inbound = Inbound::default();
            inbound.frames.bytes.extend_from_slice(b"\0\x02ab\0\x03abc");
            let scanned = inbound.scan(Version::V3_1, Some(MessageRules { len_max, shape }), &BodyPool::default());
            scanned.map(|_| inbound.messages())
        };
        assert_eq!(scan(Some(255), Shape::Single), Ok(2));
        assert_eq!(scan(Some(3), Shape::Any), Ok(2));
        assert_eq!(scan(Some(2), Shape::Any), Err(Misbehaviour::MessageTooLarge));
        assert_eq!(scan(None, Shape::GroupAndBody), Err(Misbehaviour::Envelope));
    }

    /// What is cut makes room for what comes in boxes, too, though the queue is never empty.
    #[test]
    fn a_queue_of_opened_frames_does_not_grow_with_time() {
        let mut inbound = Inbound::default();
        let pool = BodyPool::default();
        for round in 0..10_000 {
            inbound.opened_frames(&mut Spares::default()).push_opened(false, false, &[7; 1000], &pool);
            while inbound.scan(Version::V3_1, None, &pool).unwrap().is_some() {}
            assert!(round == 0 || inbound.cut(Version::V3_1, &mut Message::new()));
        }
        assert_eq!(inbound.messages(), 1);
        assert!(inbound.frames.capacity() < 64 * 1024, "{}", inbound.frames.capacity());
    }

    /// Were it moved for each read, a receiver that is behind would move all that waits for each few bytes that come.
    #[test]
    fn a_long_queue_is_not_moved_for_each_read() {
        let mut inbound = Inbound::default();
        let message = [&[0, 100][..], &[7; 100]].concat();
        while inbound.frames.len() < 1 << 20 || inbound.frames.capacity() - inbound.frames.len() > READ_LEN_MIN + 200 {
            read(&mut inbound, &message);
        }
        let mut moves = 0;
        for _ in 0..1000 {
            (0..81).for_each(|_| assert!(inbound.cut(Version::V3_1, &mut Message::new())));
            let before = inbound.start;
            read(&mut inbound, &message.repeat(81));
            moves += usize::from(inbound.start < before);
        }
        assert!(moves < 20, "{moves} moves");
    }
}
