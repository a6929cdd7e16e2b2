//! What goes out: ZMTP as ZWS.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use super::{
    Established, Random, Role, Violation,
    frame::{self, Header, Mask, Opcode},
    reader::{COMMAND, MORE, READY},
    upgrade::{self, BAD_REQUEST, PLAIN_ZWS, Request, Response},
};
use crate::{
    limits::WRITE_LEN,
    wire::{
        self, Command, Version,
        greeting::{SIGNATURE_LEN, V3_REST_LEN, V3Rest},
    },
};

/// Keys of masks that are drawn at once.
const MASKS: usize = 256;

/// A greeting of ZMTP 3: signature, revision, and the rest.
const GREETING_LEN: usize = SIGNATURE_LEN + 1 + V3_REST_LEN;

/// The mechanism that encrypts commands, too.
const CURVE: &str = "CURVE";

pub(super) struct Writer {
    role: Role,
    random: Random,
    masks: Vec<Mask>,
    /// A client's: where to, and the key of its request.
    host: String,
    path: String,
    key: String,
    /// What the machine has said of its greeting.
    greeting: Vec<u8>,
    /// The client's request, until the machine has said what it wants.
    request: Option<Request>,
    agreement: Option<Agreement>,
    established: Established,
    version: Version,
    place: Place,
    /// What the machine has said of a frame's header.
    header: Vec<u8>,
    /// What goes to the channel, from `out_at` on.
    out: Vec<u8>,
    out_at: usize,
    /// Bytes of the machine's that are in `out`, or have gone out and not been told of; and those told of.
    taken: usize,
    told: usize,
    /// Where frames end: in `out`, and in what was taken.
    ends: VecDeque<(usize, usize)>,
    /// To be sent when no frame is open.
    pong: Option<Vec<u8>>,
    close: Option<Vec<u8>>,
    has_closed: bool,
    /// The channel takes no more.
    has_ended: bool,
    awaits_pong: bool,
}

/// Where in what the machine says the next byte is.
enum Place {
    Greeting,
    Header,
    /// In the body of a message's frame.
    Body {
        left: usize,
        mask: Mask,
    },
    /// In the body of a command, of which this much has come.
    Command {
        left: usize,
        body: Vec<u8>,
    },
}

/// What both sides have agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Agreement {
    /// Messages without a mechanism.
    None,
    /// The rest of the greeting that the peer is taken to have sent.
    Mechanism { peer: V3Rest, version: Version },
}

impl Writer {
    pub(super) fn client(host: &str, path: &str, mut random: Random, established: Established) -> Self {
        let mut key = [0; 16];
        random(&mut key);
        let writer = Self::new(Role::Client, random, established);
        Self { host: host.to_owned(), path: path.to_owned(), key: upgrade::key_of(key), ..writer }
    }

    pub(super) fn server(random: Random, established: Established) -> Self {
        Self::new(Role::Server, random, established)
    }

    fn new(role: Role, random: Random, established: Established) -> Self {
        Self {
            role,
            random,
            masks: Vec::new(),
            host: String::new(),
            path: String::new(),
            key: String::new(),
            greeting: Vec::new(),
            request: None,
            agreement: None,
            established,
            version: Version::V3_1,
            place: Place::Greeting,
            header: Vec::new(),
            out: Vec::new(),
            out_at: 0,
            taken: 0,
            told: 0,
            ends: VecDeque::new(),
            pong: None,
            close: None,
            has_closed: false,
            has_ended: false,
            awaits_pong: false,
        }
    }

    pub(super) fn agreement(&self) -> Option<Agreement> {
        self.agreement
    }

    /// Whether a PONG answers a PING of this side's.
    pub(super) fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.awaits_pong)
    }

    // ---- what the peer's handshake brings

    /// Answers the request, now or when the machine has said which mechanism it wants.
    pub(super) fn answer(&mut self, request: Request) -> Result<(), Violation> {
        if request.mechanism().is_some() {
            self.request = Some(request);
            self.answer_if_known();
        } else if request.offers(PLAIN_ZWS) {
            request.accept(PLAIN_ZWS, &mut self.out);
            self.agreement = Some(Agreement::None);
            self.version = Version::V1_0;
            self.begin_routing_id();
        } else {
            return Err(Violation::NoSubprotocol);
        }
        Ok(())
    }

    /// A mechanism that was not offered is answered by what was: the machine says that it does not fit.
    fn answer_if_known(&mut self) {
        let Some(ours) = self.ours() else { return };
        let Some(request) = self.request.take() else { return };
        let wanted = upgrade::subprotocol(ours.mechanism());
        if request.offers(&wanted) {
            request.accept(&wanted, &mut self.out);
            self.agree(ours, ours.mechanism());
        } else {
            self.out.extend_from_slice(BAD_REQUEST);
            self.agree(ours, request.mechanism().unwrap_or_default());
        }
    }

    /// Checks the server's response, which ends the client's part of the upgrade.
    pub(super) fn check(&mut self, response: &Response) -> Result<(), Violation> {
        if response.accept != upgrade::accept_of(&self.key) {
            return Err(Violation::NotAccepted);
        }
        let ours = self.ours().filter(|ours| response.subprotocol == upgrade::subprotocol(ours.mechanism()));
        let ours = ours.ok_or_else(|| Violation::Subprotocol(response.subprotocol.clone()))?;
        self.agree(ours, ours.mechanism());
        Ok(())
    }

    fn agree(&mut self, ours: V3Rest, mechanism: &str) {
        let is_other_role = ours.mechanism() != "NULL" && !ours.as_server;
        let mut peer = V3Rest::new(mechanism, is_other_role);
        // Within CURVE nobody sees what is a subscription: it must be sent as libzmq's peers want it over a WebSocket.
        if mechanism == CURVE {
            peer.minor = 0;
        }
        let version = if peer.minor == 0 { Version::V3_0 } else { Version::V3_1 };
        self.version = version;
        self.agreement = Some(Agreement::Mechanism { peer, version });
    }

    /// What the machine says of itself in its greeting, once it has.
    fn ours(&self) -> Option<V3Rest> {
        let rest = self.greeting.get(SIGNATURE_LEN + 1..)?.first_chunk()?;
        V3Rest::decode(rest).ok()
    }

    // ---- what the machine says

    /// See [`Zws::write`](super::Zws::write).
    pub(super) fn write(
        &mut self,
        from: &[IoSlice<'_>],
        write: &mut dyn FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.taken == self.told {
            self.flush(write)?;
            if self.has_closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.take(from);
        }
        let flushed = self.flush(write);
        let told = self.gone_out() - self.told;
        self.told += told;
        match flushed {
            Err(error) if told == 0 || error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(told),
        }
    }

    /// How much of what was taken has gone out, in whole frames unless all has.
    fn gone_out(&mut self) -> usize {
        let mut gone_out = self.told;
        while let Some((_, end)) = self.ends.pop_front_if(|(out_end, _)| *out_end <= self.out_at) {
            gone_out = end;
        }
        if self.out.is_empty() { self.taken } else { gone_out }
    }

    /// Writes what is in `out`.
    ///
    /// # Errors
    /// `WouldBlock`: something is left. Any other is the channel's.
    pub(super) fn flush(&mut self, write: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.out_at < self.out.len() {
            match write(&self.out[self.out_at..]) {
                Ok(len) => self.out_at += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // An idle connection keeps no buffer.
        self.out = Vec::new();
        self.out_at = 0;
        Ok(())
    }

    /// Takes what `from` has, up to some length.
    fn take(&mut self, from: &[IoSlice<'_>]) {
        self.taken = 0;
        self.told = 0;
        self.ends.clear();
        for slice in from {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                if self.out.len() >= WRITE_LEN {
                    return;
                }
                let (piece, behind) = rest.split_at(rest.len().min(WRITE_LEN));
                self.take_piece(piece);
                rest = behind;
            }
        }
    }

    fn take_piece(&mut self, piece: &[u8]) {
        let mut input = piece;
        while !input.is_empty() {
            let len = match &mut self.place {
                Place::Greeting => self.take_greeting(input),
                Place::Header => self.take_header(input),
                Place::Body { left, mask } => {
                    let len = input.len().min(*left);
                    let at = self.out.len();
                    self.out.extend_from_slice(&input[..len]);
                    mask.apply(&mut self.out[at..]);
                    *left -= len;
                    len
                }
                Place::Command { left, body } => {
                    let len = input.len().min(*left);
                    body.extend_from_slice(&input[..len]);
                    *left -= len;
                    len
                }
            };
            self.taken += len;
            input = &input[len..];
            self.end_frame_if_whole();
        }
    }

    fn end_frame_if_whole(&mut self) {
        match &mut self.place {
            Place::Body { left: 0, .. } => {}
            Place::Command { left: 0, body } => {
                let body = std::mem::take(body);
                self.command(&body);
            }
            _ => return,
        }
        self.place = Place::Header;
        self.ends.push_back((self.out.len(), self.taken));
        self.append_control();
    }

    fn take_greeting(&mut self, input: &[u8]) -> usize {
        let wanted = if self.greeting.len() < SIGNATURE_LEN { SIGNATURE_LEN } else { GREETING_LEN };
        let len = input.len().min(wanted - self.greeting.len());
        self.greeting.extend_from_slice(&input[..len]);
        if self.greeting.len() == SIGNATURE_LEN {
            self.begin_routing_id();
        } else if self.greeting.len() == GREETING_LEN {
            self.place = Place::Header;
            self.greeting_is_whole();
        }
        len
    }

    fn greeting_is_whole(&mut self) {
        match self.role {
            Role::Server => self.answer_if_known(),
            Role::Client => {
                let Some(ours) = self.ours() else { return };
                let subprotocol = upgrade::subprotocol(ours.mechanism());
                Request::encode(&self.host, &self.path, &self.key, &subprotocol, &mut self.out);
            }
        }
    }

    /// To a peer without a mechanism the signature is what it was in ZMTP 1.0: the header of the routing id's frame.
    fn begin_routing_id(&mut self) {
        let is_without_mechanism = matches!(self.agreement, Some(Agreement::None));
        if let Some([0xFF, frame_len @ .., _]) = self.greeting.first_chunk::<SIGNATURE_LEN>()
            && is_without_mechanism
        {
            let routing_id_len = (u64::from_be_bytes(*frame_len) as usize).saturating_sub(1);
            self.begin_message(false, routing_id_len);
            self.end_frame_if_whole();
        }
    }

    fn take_header(&mut self, input: &[u8]) -> usize {
        let had = self.header.len();
        let len = input.len().min(wire::frame::HEADER_LEN_MAX - had);
        self.header.extend_from_slice(&input[..len]);
        let header = match wire::Header::decode(self.version, &self.header) {
            Ok(Some(header)) => header,
            Ok(None) => return len,
            Err(_) => unreachable!("the machine's own frames are legal"),
        };
        self.header.clear();
        if header.command {
            self.place = Place::Command { left: header.body_len, body: Vec::new() };
        } else {
            self.begin_message(header.more, header.body_len);
        }
        header.header_len - had
    }

    fn begin_message(&mut self, more: bool, body_len: usize) {
        let mask = self.begin(if more { MORE } else { 0 }, body_len);
        self.place = Place::Body { left: body_len, mask };
    }

    /// Appends the header of a binary message and its first byte.
    fn begin(&mut self, flags: u8, body_len: usize) -> Mask {
        let key = self.next_mask();
        Header::encode(Opcode::Binary, 1 + body_len, key, &mut self.out);
        let mut mask = key.unwrap_or(Mask::NONE);
        let mut flags = [flags];
        mask.apply(&mut flags);
        self.out.extend_from_slice(&flags);
        mask
    }

    fn append(&mut self, flags: u8, body: &[u8]) {
        let mut mask = self.begin(flags, body.len());
        let at = self.out.len();
        self.out.extend_from_slice(body);
        mask.apply(&mut self.out[at..]);
    }

    /// Appends what a command means in ZWS.
    fn command(&mut self, body: &[u8]) {
        match Command::decode(body) {
            Ok(Command::Subscribe(prefix)) => self.append(0, &[&[1], prefix].concat()),
            Ok(Command::Cancel(prefix)) => self.append(0, &[&[0], prefix].concat()),
            Ok(Command::Ping { context, .. }) => {
                self.awaits_pong = true;
                self.append_frame(Opcode::Ping, context);
            }
            _ => self.append(COMMAND, body),
        }
        if self.role == Role::Server && body.starts_with(READY) {
            self.established.set();
        }
    }

    // ---- WebSocket's own

    /// Notes a PING; of several that wait for their answer the last counts (RFC 6455, 5.5.3).
    pub(super) fn owe_pong(&mut self, payload: Vec<u8>) {
        self.pong = Some(payload);
    }

    /// Answers it, unless something has not gone out yet: answers must not gather before a peer that does not read them.
    /// Then it is answered with what this side says next, or after the peer's next bytes.
    pub(super) fn answer_ping(&mut self) {
        if self.out.is_empty() {
            self.append_control();
        }
    }

    /// Ends what this side says.
    pub(super) fn close(&mut self, payload: &[u8]) {
        self.close = Some(payload.to_vec());
        self.append_control();
    }

    /// Notes that the channel takes no more.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Tells the peer that it broke a rule.
    pub(super) fn refuse(&mut self) {
        if self.agreement.is_some() {
            self.close(&frame::PROTOCOL_ERROR.to_be_bytes());
        } else if self.role == Role::Server {
            self.out.extend_from_slice(BAD_REQUEST);
            self.has_closed = true;
        }
    }

    /// Control frames come between others.
    fn append_control(&mut self) {
        let is_between = matches!(self.place, Place::Header | Place::Command { .. });
        if !is_between || self.agreement.is_none() || self.has_closed {
            return;
        }
        if let Some(payload) = self.pong.take() {
            self.append_frame(Opcode::Pong, &payload);
        }
        if let Some(payload) = self.close.take() {
            self.append_frame(Opcode::Close, &payload);
            self.has_closed = true;
        }
    }

    fn append_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let key = self.next_mask();
        Header::encode(opcode, payload.len(), key, &mut self.out);
        let at = self.out.len();
        self.out.extend_from_slice(payload);
        key.unwrap_or(Mask::NONE).apply(&mut self.out[at..]);
    }

    fn next_mask(&mut self) -> Option<Mask> {
        if self.role == Role::Server {
            return None;
        }
        if self.masks.is_empty() {
            let mut bytes = [0; 4 * MASKS];
            (self.random)(&mut bytes);
            self.masks.extend(bytes.as_chunks().0.iter().map(|&key| Mask(key)));
        }
        self.masks.pop()
    }
}
