//! From the first byte to the first message: the greeting of each version, then the mechanism.
//!
//! ```text
//! signature ──┬─(no versioned signature)──> 1.0: routing id frame ────────────────────────────┐
//!             └─> revision ──┬─ 0, 1 ─────> socket type ──> 2.0: routing id frame ─────────────┤
//!                            └─ 3 ────────> mechanism, role ──> commands of the mechanism ─────┴─> done
//! ```

use std::sync::Arc;

use zeroize::Zeroizing;

use super::PeerCredentials;
use crate::{
    error::{Denial, Incompatibility, Misbehaviour, ProtocolError},
    frame::Frame,
    limits::{HANDSHAKE_COMMAND_LEN_MAX, ROUTING_ID_LEN_MAX},
    mechanism::{Cipher, Credentials, Mechanism},
    socket_type::SocketType,
    wire::{
        Header, Version,
        command::{self, Command},
        greeting::{self, SIGNATURE_LEN, Signature, V3_REST_LEN, V3Rest},
        metadata::{IDENTITY, Metadata, SOCKET_TYPE},
    },
    zap,
};

/// The handshake of one connection.
pub(crate) struct Handshake {
    stage: Stage,
    socket_type: SocketType,
    routing_id: Frame,
    mechanism: Box<dyn Mechanism>,
    /// The peer, as far as it is known, and whether that is what it says of itself.
    peer: PeerInfo,
    has_metadata: bool,
    judgement: Judgement,
}

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More must come from the peer.
    Waits,
    /// Something was learned of the peer. It can be refused now: what is ours to say has not been said.
    Learned,
    /// Messages may follow.
    Done,
}

/// What is said of the peer's credentials.
enum Judgement {
    /// Nothing: nobody was asked, or not yet.
    None,
    /// What the peer shows is to be judged.
    Wanted(Credentials),
    /// It is being judged.
    Awaited,
    /// It is good, and this is what the authenticator has to say of the peer.
    Passed { user_id: Frame, metadata: Metadata },
}

/// What comes of asking whether a peer may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The authenticator has replied.
    Reply(zap::Reply),
    /// It has replied with something else.
    IllegalReply(zap::IllegalReply),
    /// Nobody is there to be asked.
    NobodyAsked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Signature,
    Revision,
    /// 2.0: the peer's socket type; the version is kept because revision 0 frames as 1.0 does.
    SocketTypeByte(Version),
    /// 1.0 and 2.0: the frame with the peer's routing id.
    RoutingId(Version, Option<SocketType>),
    /// 3.x: the rest of the greeting; the revision is kept because a later one says nothing of ours by its minor.
    V3Rest(u8),
    Mechanism(Version),
    Done,
}

/// What is known of a peer: by its transport, and from its handshake.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The version that both speak; `None` for raw peers and those in the same process.
    pub version: Option<Version>,
    /// The peer's socket type; `None` where its version does not tell.
    pub socket_type: Option<SocketType>,
    /// The routing id that the peer announced; empty if none.
    pub routing_id: Frame,
    /// All properties of the peer's READY or INITIATE: what it says of itself.
    pub metadata: Metadata,
    /// Who the peer is, as an authenticator says, mostly as text; `None`: nobody was asked.
    pub user_id: Option<Frame>,
    /// Properties of the peer that the authenticator has given.
    pub granted: Metadata,
    /// The peer's endpoint, as in `tcp://192.0.2.1:49152`; an unnamed Unix socket is `ipc://`; within the process, the
    /// name that joins the two sockets. `None` while there is no connection.
    pub address: Option<Arc<str>>,
    /// The peer's process and user, where the kernel vouches for it: on ipc alone.
    pub credentials: Option<PeerCredentials>,
    /// The number of the transport's descriptor, for a look at it while it is there.
    pub descriptor: Option<i32>,
}

impl Handshake {
    /// Starts a handshake and writes its first bytes to `out`.
    pub(crate) fn start(
        socket_type: SocketType,
        routing_id: Frame,
        mechanism: Box<dyn Mechanism>,
        out: &mut Vec<u8>,
    ) -> Self {
        greeting::encode_signature(routing_id.len(), out);
        Self {
            stage: Stage::Signature,
            socket_type,
            routing_id,
            mechanism,
            peer: PeerInfo::default(),
            has_metadata: false,
            judgement: Judgement::None,
        }
    }

    /// What the peer shows of itself, if that is now to be judged. Said once.
    pub(crate) fn take_credentials(&mut self) -> Option<Credentials> {
        match std::mem::replace(&mut self.judgement, Judgement::Awaited) {
            Judgement::Wanted(credentials) => Some(credentials),
            other => {
                self.judgement = other;
                None
            }
        }
    }

    /// Whether it can only go on when the peer has been judged.
    pub(crate) fn awaits_verdict(&self) -> bool {
        matches!(self.judgement, Judgement::Wanted(_) | Judgement::Awaited)
    }

    /// Takes the verdict that is awaited.
    ///
    /// # Errors
    /// Why the peer may not come in. `out` may hold an ERROR for it.
    pub(crate) fn judge(&mut self, verdict: Verdict, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        let (user_id, metadata) = match verdict {
            Verdict::Reply(reply) if reply.status == zap::Status::Success => (reply.user_id, reply.metadata),
            Verdict::Reply(zap::Reply { status, text, .. }) => {
                if status != zap::Status::TemporaryError {
                    Command::Error(status.code().as_bytes()).encode(out);
                }
                return Err(Denial::Status { status, text }.into());
            }
            Verdict::IllegalReply(rule) => return Err(Denial::IllegalReply(rule).into()),
            Verdict::NobodyAsked => {
                self.judgement = Judgement::None;
                self.mechanism.accept();
                return Ok(());
            }
        };
        self.judgement = Judgement::Passed { user_id, metadata };
        self.mechanism.accept();
        Ok(())
    }

    /// What each message goes through once the handshake is over.
    pub(crate) fn into_cipher(self) -> Option<Box<Cipher>> {
        self.mechanism.into_cipher()
    }

    /// The peer, as far as it is known.
    pub(crate) fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// Takes what it can of `input`, writes what is due to `out`. Returns how many bytes it took, and how far it came.
    ///
    /// # Errors
    /// The rule that the peer broke, or why it does not fit.
    pub(crate) fn advance(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, Progress), ProtocolError> {
        let mut taken = 0;
        loop {
            match self.step(&input[taken..], out)? {
                Step::Wait => return Ok((taken, Progress::Waits)),
                Step::Took(len) => taken += len,
                Step::Learned(len) => return Ok((taken + len, Progress::Learned)),
                Step::Done => return Ok((taken, Progress::Done)),
            }
        }
    }

    /// Tells the peer why it is refused, if it can be told by now.
    pub(crate) fn refuse(&self, reason: &Incompatibility, out: &mut Vec<u8>) {
        if self.peer.version.is_some_and(Version::has_commands) {
            Command::Error(reason.to_string().as_bytes()).encode(out);
        }
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, ProtocolError> {
        match self.stage {
            Stage::Signature => self.signature(input, out),
            Stage::Revision => self.revision(input, out),
            Stage::SocketTypeByte(version) => Ok(self.socket_type_byte(version, input)),
            Stage::RoutingId(version, peer_type) => self.routing_id_frame(version, peer_type, input),
            Stage::V3Rest(revision) => self.v3_rest(revision, input),
            Stage::Mechanism(version) => self.mechanism(version, input, out),
            Stage::Done => Ok(Step::Done),
        }
    }

    fn signature(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, ProtocolError> {
        match Signature::decode(input) {
            Signature::Incomplete => Ok(Step::Wait),
            Signature::Unversioned => {
                self.check_old_version()?;
                // The signature that we sent is the header of our routing id's frame.
                out.extend_from_slice(&self.routing_id);
                self.stage = Stage::RoutingId(Version::V1_0, None);
                Ok(Step::Took(0))
            }
            Signature::Versioned => {
                out.push(greeting::REVISION);
                self.stage = Stage::Revision;
                Ok(Step::Took(SIGNATURE_LEN))
            }
        }
    }

    fn revision(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, ProtocolError> {
        let Some(&revision) = input.first() else { return Ok(Step::Wait) };
        self.stage = match revision {
            0 => self.begin_v2(Version::V1_0, out)?,
            1 | 2 => self.begin_v2(Version::V2_0, out)?,
            _ => {
                V3Rest::new(self.mechanism.name(), self.mechanism.is_server()).encode(out);
                Stage::V3Rest(revision)
            }
        };
        Ok(Step::Took(1))
    }

    fn begin_v2(&mut self, framing: Version, out: &mut Vec<u8>) -> Result<Stage, ProtocolError> {
        self.check_old_version()?;
        out.push(match self.socket_type {
            // RFC 15: they are constructs of the API, and PUB and SUB on the wire.
            SocketType::XPub => SocketType::Pub.number(),
            SocketType::XSub => SocketType::Sub.number(),
            socket_type => socket_type.number(),
        });
        Header::encode(framing, false, self.routing_id.len(), out);
        out.extend_from_slice(&self.routing_id);
        Ok(Stage::SocketTypeByte(framing))
    }

    /// Whether a peer that speaks no ZMTP 3 will do.
    fn check_old_version(&self) -> Result<(), ProtocolError> {
        if !self.mechanism.accepts_none() {
            return Err(Incompatibility::VersionWithoutSecurity.into());
        }
        if self.socket_type.is_single_frame() {
            return Err(Incompatibility::VersionWithoutType(self.socket_type).into());
        }
        Ok(())
    }

    fn socket_type_byte(&mut self, version: Version, input: &[u8]) -> Step {
        let Some(&number) = input.first() else { return Step::Wait };
        // A number that nobody knows is refused with the others that do not fit, once the routing id has come.
        self.stage = Stage::RoutingId(version, SocketType::from_number(number));
        Step::Took(1)
    }

    fn v3_rest(&mut self, revision: u8, input: &[u8]) -> Result<Step, ProtocolError> {
        let Some(bytes) = input.first_chunk::<V3_REST_LEN>() else { return Ok(Step::Wait) };
        let rest = V3Rest::decode(bytes)?;
        if rest.mechanism() != self.mechanism.name() {
            let theirs = rest.mechanism().to_owned();
            return Err(Incompatibility::Mechanism { ours: self.mechanism.name(), theirs }.into());
        }
        if rest.as_server && self.mechanism.is_server() {
            return Err(Incompatibility::Role.into());
        }
        let is_3_0 = (revision, rest.minor) == (greeting::REVISION, 0);
        let version = if is_3_0 { Version::V3_0 } else { Version::V3_1 };
        self.peer.version = Some(version);
        self.stage = Stage::Mechanism(version);
        Ok(Step::Learned(V3_REST_LEN))
    }

    fn mechanism(&mut self, version: Version, input: &[u8], out: &mut Vec<u8>) -> Result<Step, ProtocolError> {
        if let Some(credentials) = self.mechanism.poll_credentials() {
            self.judgement = Judgement::Wanted(credentials);
        }
        if self.awaits_verdict() {
            return Ok(Step::Wait);
        }
        if self.learn_metadata(version)? {
            return Ok(Step::Learned(0));
        }
        while let Some((name, data)) = self.mechanism.next_command() {
            let data = Zeroizing::new(data);
            // Memory that it had outgrown would not be wiped.
            out.reserve(command::LEN_BESIDE_DATA_MAX + data.len());
            command::encode_parts(name, &[&data], out);
        }
        if self.mechanism.is_done() {
            return Ok(Step::Done);
        }
        let Some(header) = Header::decode(version, input)? else { return Ok(Step::Wait) };
        if !header.command {
            return Err(Misbehaviour::MessageInHandshake.into());
        }
        if header.body_len > HANDSHAKE_COMMAND_LEN_MAX {
            return Err(Misbehaviour::CommandTooLong.into());
        }
        let frame_len = header.header_len + header.body_len;
        let Some(body) = input.get(header.header_len..frame_len) else { return Ok(Step::Wait) };
        let (name, data) = split_command(body)?;
        if name == b"ERROR" {
            let reason = command::decode_error_reason(data)?;
            return Err(ProtocolError::RefusedByPeer(reason.escape_ascii().to_string()));
        }
        self.mechanism.handle_command(name, data)?;
        Ok(Step::Took(frame_len))
    }

    /// Takes what the peer says of itself; says whether it does for the first time.
    fn learn_metadata(&mut self, version: Version) -> Result<bool, ProtocolError> {
        let Some(metadata) = self.mechanism.peer_metadata().filter(|_| !self.has_metadata) else { return Ok(false) };
        self.has_metadata = true;
        self.peer = peer_from_metadata(version, metadata)?;
        if let Judgement::Passed { user_id, metadata } = &self.judgement {
            (self.peer.user_id, self.peer.granted) = (Some(user_id.clone()), metadata.clone());
        }
        self.check_socket_type()?;
        Ok(true)
    }

    fn routing_id_frame(
        &mut self,
        version: Version,
        socket_type: Option<SocketType>,
        input: &[u8],
    ) -> Result<Step, ProtocolError> {
        let Some(header) = Header::decode(version, input)? else { return Ok(Step::Wait) };
        if header.body_len > ROUTING_ID_LEN_MAX {
            return Err(Misbehaviour::RoutingId.into());
        }
        let frame_len = header.header_len + header.body_len;
        let Some(body) = input.get(header.header_len..frame_len) else { return Ok(Step::Wait) };
        let routing_id = legal_routing_id(body)?;
        self.peer = PeerInfo { version: Some(version), socket_type, routing_id, ..PeerInfo::default() };
        self.check_socket_type()?;
        self.stage = Stage::Done;
        Ok(Step::Learned(frame_len))
    }

    fn check_socket_type(&self) -> Result<(), Incompatibility> {
        let PeerInfo { version, socket_type: theirs, .. } = self.peer;
        // Revision 0 frames as 1.0 does and still tells its type.
        let untold = version == Some(Version::V1_0) && theirs.is_none();
        if untold || theirs.is_some_and(|theirs| self.socket_type.accepts(theirs)) {
            return Ok(());
        }
        Err(Incompatibility::SocketType { ours: self.socket_type, theirs })
    }
}

enum Step {
    Wait,
    Took(usize),
    Learned(usize),
    Done,
}

/// Splits a command into its name and its data. The PLAIN of libzmq 4.3.4 writes the length of the name ERROR, and its
/// first letter, as one byte of another value.
fn split_command(body: &[u8]) -> Result<(&[u8], &[u8]), Misbehaviour> {
    match body.strip_prefix(b"\x5ERROR") {
        Some(data) => Ok((b"ERROR", data)),
        None => command::split_name(body),
    }
}

fn peer_from_metadata(version: Version, metadata: &Metadata) -> Result<PeerInfo, ProtocolError> {
    let socket_type = metadata.get(SOCKET_TYPE).ok_or(Misbehaviour::NoSocketType)?;
    let socket_type: Option<SocketType> = str::from_utf8(socket_type).ok().and_then(|name| name.parse().ok());
    // For all other socket types it is ignored (RFC 37, "The Identity Property").
    let identity = metadata.get(IDENTITY).filter(|_| socket_type.is_some_and(SocketType::announces_routing_id));
    Ok(PeerInfo {
        version: Some(version),
        socket_type,
        routing_id: legal_routing_id(identity.unwrap_or_default())?,
        metadata: metadata.clone(),
        ..PeerInfo::default()
    })
}

/// A peer's routing id, unless it is one that could be taken for a generated id.
fn legal_routing_id(routing_id: &[u8]) -> Result<Frame, Misbehaviour> {
    if routing_id.len() > ROUTING_ID_LEN_MAX || routing_id.first() == Some(&0) {
        return Err(Misbehaviour::RoutingId);
    }
    Ok(Frame::from(routing_id))
}
