//! What CURVE does with each frame after the handshake: a MESSAGE with a box that holds the frame's flags and its body
//! (RFC 26, "The MESSAGE Command"). Commands travel the same way, with a flag of their own, as libzmq has it.

use std::io;

use super::{SHORT_NONCE_LEN, ShortNonces};
use crate::{
    connection::{BodyPool, FrameBuffer, Inbound, Read, Spares},
    crypto::{BoxKey, BoxPlace, Opened, SharedKey, TAG_LEN},
    error::Misbehaviour,
    limits::{COMMAND_LEN_MAX, SEALED_READ_LEN},
    wire::{Header, Version, frame::header_len},
};

/// The name of the command, with its length.
const MESSAGE: &[u8; 8] = b"\x07MESSAGE";

const TAG_AT: usize = MESSAGE.len() + SHORT_NONCE_LEN;
const FLAGS_AT: usize = TAG_AT + TAG_LEN;

/// What a frame's body is longer when it is sealed.
const OVERHEAD_LEN: usize = FLAGS_AT + 1;

const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// The bytes of a frame with such a body when it is sealed, header included.
pub(crate) fn sealed_frame_len(body_len: usize) -> usize {
    header_len(OVERHEAD_LEN + body_len) + OVERHEAD_LEN + body_len
}

/// Both directions of a connection.
pub(crate) struct Cipher {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

impl Cipher {
    pub(super) fn of_client(shared: &SharedKey, nonces: ShortNonces, last_nonce: u64) -> Self {
        let [ours, theirs] = [b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"];
        Self { sealer: Sealer::new(shared, ours, nonces), opener: Opener::new(shared, theirs, last_nonce) }
    }

    pub(super) fn of_server(shared: &SharedKey, nonces: ShortNonces, last_nonce: u64) -> Self {
        let [ours, theirs] = [b"CurveZMQMESSAGES", b"CurveZMQMESSAGEC"];
        Self { sealer: Sealer::new(shared, ours, nonces), opener: Opener::new(shared, theirs, last_nonce) }
    }
}

/// Puts frames into boxes.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: BoxKey,
    nonces: ShortNonces,
    /// The boxes that are laid out and not sealed.
    places: Vec<BoxPlace>,
}

impl Sealer {
    fn new(shared: &SharedKey, nonce_start: &[u8; 16], nonces: ShortNonces) -> Self {
        Self { key: BoxKey::new(shared, nonce_start), nonces, places: Vec::new() }
    }

    /// Lays a frame out, to be sealed with others by [`seal`](Self::seal).
    pub(crate) fn push(&mut self, header: &Header, body: &[u8], into: &mut Vec<u8>) {
        let nonce = self.nonces.next();
        Header::encode(Version::V3_1, false, OVERHEAD_LEN + body.len(), into);
        into.extend_from_slice(MESSAGE);
        into.extend_from_slice(&nonce);
        self.places.push(BoxPlace { nonce, tag_at: into.len(), data_len: 1 + body.len() });
        into.extend_from_slice(&[0; TAG_LEN]);
        into.push((u8::from(header.more) * MORE) | (u8::from(header.command) * COMMAND));
        into.extend_from_slice(body);
    }

    /// Seals all that was laid out in `bytes`.
    pub(crate) fn seal(&mut self, bytes: &mut [u8]) {
        self.key.seal_all(&self.places, bytes);
        self.places.clear();
    }
}

/// Takes what comes in, and opens the boxes in it.
#[derive(Debug)]
pub(crate) struct Opener {
    key: BoxKey,
    last_nonce: u64,
    /// What has come and is not opened.
    sealed: Vec<u8>,
    /// The boxes that stand whole in it, and what follows the header of each.
    places: Vec<BoxPlace>,
    /// What is wrong behind the frames that were opened.
    failure: Option<Misbehaviour>,
}

impl Opener {
    fn new(shared: &SharedKey, nonce_start: &[u8; 16], last_nonce: u64) -> Self {
        let key = BoxKey::new(shared, nonce_start);
        Self { key, last_nonce, sealed: Vec::new(), places: Vec::new(), failure: None }
    }

    /// Takes what came behind the handshake.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.sealed.extend_from_slice(bytes);
    }

    /// Reads once, at most about `limit` bytes.
    pub(crate) fn read(
        &mut self,
        limit: usize,
        spares: &mut Spares,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        let read_len = limit.min(SEALED_READ_LEN);
        if self.sealed.capacity() == 0
            && let Some(spare) = spares.take_to_read(read_len)
        {
            self.sealed = spare;
        }
        self.sealed.reserve(read_len);
        let room = self.sealed.capacity() - self.sealed.len();
        let result = read(&mut self.sealed);
        result.map(|len| Read { len, filled: len == room })
    }

    /// Opens what has come whole, and hands the frames on, up to the first box with which something is wrong.
    pub(crate) fn open(
        &mut self,
        inbound: &mut Inbound,
        max_message_size: Option<u64>,
        pool: &BodyPool,
        spares: &mut Spares,
    ) {
        let end = self.find_boxes(max_message_size);
        if self.places.is_empty() {
            return;
        }
        if let Opened::Only(count) = self.key.open_all(&self.places, &mut self.sealed) {
            self.places.truncate(count);
            self.failure = Some(Misbehaviour::Box);
        }
        self.hand_on(inbound.opened_frames(spares), pool);
        self.places.clear();
        self.sealed.drain(..end);
        if self.sealed.is_empty() {
            spares.give_back(std::mem::take(&mut self.sealed));
        }
    }

    /// What is wrong behind the frames that have been handed on.
    pub(crate) fn failure(&self) -> Option<Misbehaviour> {
        self.failure
    }

    /// Notes the boxes that stand whole, and returns where the last one ends.
    fn find_boxes(&mut self, max_message_size: Option<u64>) -> usize {
        let mut at = 0;
        while self.failure.is_none() {
            match self.next_box(at, max_message_size) {
                Ok(Some(place)) => {
                    at = place.tag_at + TAG_LEN + place.data_len;
                    self.places.push(place);
                }
                Ok(None) => break,
                Err(failure) => self.failure = Some(failure),
            }
        }
        at
    }

    fn next_box(&mut self, at: usize, max_message_size: Option<u64>) -> Result<Option<BoxPlace>, Misbehaviour> {
        let Some(header) = Header::decode(Version::V3_1, &self.sealed[at..])? else { return Ok(None) };
        let body_len = header.body_len.checked_sub(OVERHEAD_LEN).ok_or(Misbehaviour::Box)?;
        let longest = max_message_size.map_or(u64::MAX, |max| max.max(COMMAND_LEN_MAX as u64));
        if body_len as u64 > longest {
            return Err(Misbehaviour::MessageTooLarge);
        }
        let Some(sealed) = self.sealed.get(at + header.header_len..).and_then(|rest| rest.get(..header.body_len))
        else {
            return Ok(None);
        };
        let (name, rest) = sealed.split_first_chunk().ok_or(Misbehaviour::Box)?;
        let (nonce, _) = rest.split_first_chunk().ok_or(Misbehaviour::Box)?;
        if header.command || name != MESSAGE {
            return Err(Misbehaviour::Unsealed);
        }
        if u64::from_be_bytes(*nonce) <= self.last_nonce {
            return Err(Misbehaviour::Nonce);
        }
        self.last_nonce = u64::from_be_bytes(*nonce);
        Ok(Some(BoxPlace { nonce: *nonce, tag_at: at + header.header_len + TAG_AT, data_len: 1 + body_len }))
    }

    fn hand_on(&mut self, frames: &mut FrameBuffer, pool: &BodyPool) {
        for place in &self.places {
            let data = &self.sealed[place.tag_at + TAG_LEN..][..place.data_len];
            let Some((&flags, body)) = data.split_first() else { continue };
            if flags & !(MORE | COMMAND) != 0 || flags == MORE | COMMAND {
                self.failure = Some(Misbehaviour::BoxFlags);
                return;
            }
            frames.push_opened(flags & MORE != 0, flags & COMMAND != 0, body, pool);
        }
    }
}
