//! What comes in: ZWS as ZMTP.

use std::io;

use super::{
    Established, Role, Violation,
    frame::{Header, Mask, Opcode},
    upgrade::{Request, Response},
    writer::Agreement,
};
use crate::{
    limits::{
        FRAGMENTED_LEN_MAX, HANDSHAKE_COMMAND_LEN_MAX, LARGE_BODY_LEN, PING_CONTEXT_LEN_MAX, READ_LEN_MIN, WRITE_LEN,
    },
    wire::{self, Command, Version, greeting},
};

/// The first byte of a message (RFC 45, "Framing").
pub(super) const MORE: u8 = 1;
pub(super) const COMMAND: u8 = 2;

/// How a command begins that ends every handshake.
pub(super) const READY: &[u8] = b"\x05READY";

pub(super) struct Reader {
    role: Role,
    stage: Stage,
    version: Version,
    /// The routing id has come, of a peer without a mechanism: it is its whole handshake.
    has_routing_id: bool,
    /// What has come from the channel, from `raw_at` on.
    raw: Vec<u8>,
    raw_at: usize,
    /// What the machine is to read next, from `staged_at` on.
    staged: Vec<u8>,
    staged_at: usize,
    /// The payload that is coming in.
    payload: Option<Payload>,
    /// The message whose fragments are coming in.
    fragments: Option<Vec<u8>>,
    established: Established,
    failure: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A client's machine is to hear the first half of a greeting, so that it says which mechanism it wants.
    Opening,
    Request,
    Response,
    /// What both sides have agreed on is to be heard by the machine.
    Agreement,
    Frames,
    Ended,
}

/// A payload that is not there as a whole.
struct Payload {
    left: usize,
    mask: Mask,
    /// It is a fragment: of a message that ends with it, or not.
    fragment: Option<IsFinal>,
}

type IsFinal = bool;

/// What is to be done next.
pub(super) enum Next {
    /// The machine has room for no more.
    Full,
    /// More must come from the channel.
    Starved,
    /// The peer has ended.
    Ended,
    /// What was to be told later.
    Failed(io::Error),
    Agreement,
    Request(Request),
    Response(Response),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

impl Reader {
    pub(super) fn new(role: Role, established: Established) -> Self {
        Self {
            role,
            stage: if role == Role::Client { Stage::Opening } else { Stage::Request },
            version: Version::V3_1,
            has_routing_id: false,
            raw: Vec::new(),
            raw_at: 0,
            staged: Vec::new(),
            staged_at: 0,
            payload: None,
            fragments: None,
            established,
            failure: None,
        }
    }

    /// Goes on with what has come, as far as `into` has room, until something else is to be done.
    pub(super) fn advance(&mut self, into: &mut Vec<u8>) -> Result<Next, Violation> {
        loop {
            if let Some(error) = self.failure.take() {
                return Ok(Next::Failed(error));
            }
            self.unstage(into);
            if into.len() == into.capacity() {
                return Ok(Next::Full);
            }
            let next = match self.stage {
                Stage::Opening => {
                    self.stage_greeting_start();
                    self.stage = Stage::Response;
                    None
                }
                Stage::Request => Some(self.request()?),
                Stage::Response => Some(self.response()?),
                Stage::Agreement => Some(Next::Agreement),
                Stage::Frames if self.payload.is_some() => self.go_on_with_payload(into)?,
                Stage::Frames => self.frame()?,
                Stage::Ended => Some(Next::Ended),
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }

    /// Reads from the channel: the rest of a large payload into its place, anything else into a buffer.
    pub(super) fn fill(
        &mut self,
        into: &mut Vec<u8>,
        read: &mut dyn FnMut(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let is_large = |payload: &&mut Payload| payload.fragment.is_none() && payload.left >= LARGE_BODY_LEN;
        if let Some(payload) = self.payload.as_mut().filter(is_large) {
            let at = into.len();
            let len = read(into)?;
            let behind = at + payload.left.min(into.len() - at);
            self.raw.extend_from_slice(&into[behind..]);
            into.truncate(behind);
            payload.mask.apply(&mut into[at..]);
            payload.left -= behind - at;
            return Ok(len);
        }
        self.raw.drain(..self.raw_at);
        self.raw_at = 0;
        let read_len = if self.stage == Stage::Frames { WRITE_LEN } else { READ_LEN_MIN };
        self.raw.reserve(read_len);
        let result = read(&mut self.raw);
        if self.raw.is_empty() {
            // An idle connection keeps no buffer.
            self.raw = Vec::new();
        }
        result
    }

    /// What has failed is told by the next read: this one brings what came before.
    pub(super) fn fail_later(&mut self, error: io::Error) {
        self.failure = Some(error);
    }

    pub(super) fn agree(&mut self, agreement: Agreement) {
        self.stage = Stage::Frames;
        match agreement {
            Agreement::None => self.version = Version::V1_0,
            Agreement::Mechanism { peer, version } => {
                self.version = version;
                peer.encode(&mut self.staged);
            }
        }
    }

    /// Has the machine hear the answer to its PING.
    pub(super) fn stage_pong(&mut self, payload: &[u8]) {
        Command::Pong(&payload[..payload.len().min(PING_CONTEXT_LEN_MAX)]).encode(&mut self.staged);
    }

    fn stage_greeting_start(&mut self) {
        greeting::encode_signature(0, &mut self.staged);
        self.staged.push(greeting::REVISION);
    }

    /// Gives the machine what is staged.
    fn unstage(&mut self, into: &mut Vec<u8>) {
        let staged = &self.staged[self.staged_at..];
        let len = staged.len().min(into.capacity() - into.len());
        into.extend_from_slice(&staged[..len]);
        self.staged_at += len;
        if self.staged_at == self.staged.len() {
            self.staged.clear();
            // A message in fragments needs much, and is rare.
            self.staged.shrink_to(READ_LEN_MIN);
            self.staged_at = 0;
        }
    }

    fn request(&mut self) -> Result<Next, Violation> {
        let Some((request, len)) = Request::decode(&self.raw[self.raw_at..])? else { return Ok(Next::Starved) };
        self.raw_at += len;
        if request.mechanism().is_some() {
            // The machine says which mechanism it wants when it has seen that the peer's version has some.
            self.stage_greeting_start();
        }
        self.stage = Stage::Agreement;
        Ok(Next::Request(request))
    }

    fn response(&mut self) -> Result<Next, Violation> {
        let Some((response, len)) = Response::decode(&self.raw[self.raw_at..])? else { return Ok(Next::Starved) };
        self.raw_at += len;
        self.stage = Stage::Agreement;
        Ok(Next::Response(response))
    }

    /// Begins the next frame; `None` if it can be gone on with.
    fn frame(&mut self) -> Result<Option<Next>, Violation> {
        let peer = if self.role == Role::Client { Role::Server } else { Role::Client };
        let bytes = &self.raw[self.raw_at..];
        let Some(header) = Header::decode(peer, bytes)? else { return Ok(Some(Next::Starved)) };
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => Ok(Some(self.control(&header))),
            Opcode::Binary if self.fragments.is_some() => Err(Violation::Fragmentation),
            Opcode::Binary if header.is_final => self.message(&header),
            Opcode::Continuation if self.fragments.is_none() => Err(Violation::Fragmentation),
            Opcode::Binary | Opcode::Continuation => self.fragment(&header),
        }
    }

    fn control(&mut self, header: &Header) -> Next {
        let payload_at = self.raw_at + header.header_len;
        let Some(payload) = self.raw.get(payload_at..payload_at + header.payload_len) else { return Next::Starved };
        let mut payload = payload.to_vec();
        let mut mask = header.mask;
        mask.apply(&mut payload);
        self.raw_at = payload_at + header.payload_len;
        match header.opcode {
            Opcode::Ping => Next::Ping(payload),
            Opcode::Pong => Next::Pong(payload),
            _ => {
                self.stage = Stage::Ended;
                Next::Close(payload)
            }
        }
    }

    /// Begins a message that is not fragmented: its length is known.
    fn message(&mut self, header: &Header) -> Result<Option<Next>, Violation> {
        let body_len = header.payload_len.checked_sub(1).ok_or(Violation::Flags)?;
        let start = &self.raw[self.raw_at + header.header_len..];
        let Some(&flags) = start.first() else { return Ok(Some(Next::Starved)) };
        let mut mask = header.mask;
        let mut flags = [flags];
        mask.apply(&mut flags);
        let flags = Flags::decode(flags[0])?;
        if flags.is_command && self.role == Role::Client {
            let Some(name) = start.get(1..=READY.len().min(body_len)) else { return Ok(Some(Next::Starved)) };
            let (mut name, mut mask) = (name.to_vec(), mask);
            mask.apply(&mut name);
            self.heard_command(&name);
        }
        self.stage_header(flags, body_len);
        self.raw_at += header.header_len + 1;
        self.payload = Some(Payload { left: body_len, mask, fragment: None });
        Ok(None)
    }

    fn stage_header(&mut self, flags: Flags, body_len: usize) {
        if flags.is_command {
            wire::Header::encode_command(body_len, &mut self.staged);
        } else {
            wire::Header::encode(self.version, flags.more, body_len, &mut self.staged);
        }
        if self.version == Version::V1_0 && std::mem::replace(&mut self.has_routing_id, true) {
            self.established.set();
        }
    }

    /// A client's handshake ends with the server's READY.
    fn heard_command(&self, body: &[u8]) {
        if self.role == Role::Client && body.starts_with(READY) {
            self.established.set();
        }
    }

    fn fragment(&mut self, header: &Header) -> Result<Option<Next>, Violation> {
        let len_max = if self.established.is_set() { FRAGMENTED_LEN_MAX } else { HANDSHAKE_COMMAND_LEN_MAX };
        let fragments = self.fragments.get_or_insert_default();
        if header.payload_len > len_max.saturating_sub(fragments.len()) {
            return Err(Violation::FragmentsTooLong);
        }
        self.raw_at += header.header_len;
        self.payload = Some(Payload { left: header.payload_len, mask: header.mask, fragment: Some(header.is_final) });
        Ok(None)
    }

    /// Gives what has come of the payload to whom it belongs.
    fn go_on_with_payload(&mut self, into: &mut Vec<u8>) -> Result<Option<Next>, Violation> {
        let Some(payload) = &mut self.payload else { return Ok(None) };
        let come = &self.raw[self.raw_at..];
        let (to, room) = match (payload.fragment, &mut self.fragments) {
            (Some(_), Some(fragments)) => (fragments, usize::MAX),
            _ => {
                let room = into.capacity() - into.len();
                (into, room)
            }
        };
        let len = payload.left.min(come.len()).min(room);
        if len == 0 && payload.left > 0 {
            return Ok(Some(Next::Starved));
        }
        let at = to.len();
        to.extend_from_slice(&come[..len]);
        payload.mask.apply(&mut to[at..]);
        payload.left -= len;
        self.raw_at += len;
        if payload.left == 0 {
            let is_end_of_fragments = payload.fragment == Some(true);
            self.payload = None;
            if is_end_of_fragments {
                self.stage_fragments()?;
            }
        }
        Ok(None)
    }

    fn stage_fragments(&mut self) -> Result<(), Violation> {
        let message = self.fragments.take().unwrap_or_default();
        let (&flags, body) = message.split_first().ok_or(Violation::Flags)?;
        let flags = Flags::decode(flags)?;
        if flags.is_command {
            self.heard_command(body);
        }
        self.stage_header(flags, body.len());
        self.staged.extend_from_slice(body);
        Ok(())
    }
}

/// A message's first byte.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) more: bool,
    pub(super) is_command: bool,
}

impl Flags {
    fn decode(byte: u8) -> Result<Self, Violation> {
        match byte {
            0 | MORE | COMMAND => Ok(Self { more: byte == MORE, is_command: byte == COMMAND }),
            _ => Err(Violation::Flags),
        }
    }
}
