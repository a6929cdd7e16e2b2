//! One peer's connection: its handshake, what came in, what is to go out, its heartbeat; and the set of all
//! connections of a socket, which the patterns work on.

mod batch;
mod body_pool;
mod burst;
mod counters;
mod frame_buffer;
mod handshake;
pub(crate) mod heartbeat;
mod inbound;
mod lot;
mod peer_credentials;
mod pipe;
mod run;
mod set;
mod slots;
mod spares;
mod table;
mod waste;

use std::{sync::Arc, time::Instant};

pub(crate) use self::{
    batch::Batch,
    body_pool::BodyPool,
    burst::Burst,
    handshake::Progress,
    inbound::{Inbound, MessageRules, ScannedCommand, Shape},
    lot::Audience,
    pipe::{Change, Taken, Written},
    spares::Spares,
};
use self::{burst::Share, handshake::Handshake, heartbeat::Heartbeat, lot::LotPlace, run::Room};
pub use self::{
    counters::Counters,
    frame_buffer::{FrameBuffer, Output},
    handshake::{PeerInfo, Verdict},
    inbound::Read,
    peer_credentials::PeerCredentials,
    pipe::{Notify, Pipe},
    set::Connections,
    slots::ConnectionId,
    table::ConnectionTable,
    waste::Waste,
};
use crate::{
    error::{Incompatibility, ProtocolError},
    frame::Frame,
    limits::{
        HANDSHAKE_READ_LEN, LARGE_BODY_LEN, READ_LEN_MAX, READ_LEN_MIN, READ_LEN_PER_MESSAGE, XPUB_BACKLOG_LEN_MAX,
        XPUB_BACKLOG_MAX,
    },
    mechanism::{Cipher, Credentials, Mechanism, Opener, Role, Sealer},
    options::Options,
    socket_type::SocketType,
    wire::Version,
};

/// One connection of a socket, with its two queues. On the connecting side it is there before the transport's
/// connection, to queue messages, and when that is lost, another takes over what was not sent.
pub struct Connection {
    pub(crate) role: Role,
    pub(crate) stage: Stage,
    pub(crate) version: Version,
    peer: Arc<PeerInfo>,
    pub(crate) inbound: Inbound,
    outbox: Outbox,
    /// How far messages can be written to the outbox without a look at anything else.
    run: Room,
    /// Where in the [lot](lot) begins what it has for this connection, if it has a part in it.
    lot_place: Option<LotPlace>,
    /// Messages that can be taken without a look at anything else, where it is the only connection that has some.
    run_of_received: usize,
    /// The version for which the outbox is encoded.
    outbox_version: Version,
    /// What goes before the outbox: the handshake's bytes, or an ERROR.
    prelude: Vec<u8>,
    /// What a write left over.
    unsent: Option<Output>,
    /// What the driver is writing just now.
    in_flight: Load,
    /// What frames go through on their way out, while no write has it.
    sealer: Option<Box<Sealer>>,
    /// What frames go through on their way in.
    opener: Option<Box<Opener>>,
    /// The transport took all of the last write.
    pub(crate) draining: bool,
    /// The pattern found no room and wants to know of it.
    wants_room: bool,
    /// What it has been given of a burst.
    share: Share,
    /// Reading was put off because of the high-water mark.
    read_paused: bool,
    /// What it keeps after it was lost.
    kept_len: usize,
    /// What a publisher has taken out of [`inbound`](Self::inbound) and its application has not received.
    passed_up: Load,
    /// The peer can send no commands: it sends datagrams.
    mute: bool,
    /// Gets no more messages, only what is queued for it goes out.
    pub(crate) retired: bool,
    /// What comes is dropped: the application wants none of it.
    pub(crate) discards: bool,
    /// Our direction of the transport's connection is closed: nothing is written to it any more.
    output_closed: bool,
    /// Bytes of PINGs and PONGs that were added to the outbox since it was last taken.
    upkeep_len: usize,
    /// Messages that greet the peer, before all others, and have not been written. They are for this connection alone.
    greetings: usize,
    /// There may be subscriptions among the outbox's messages, as older peers want them.
    sent_subscriptions: bool,
    /// In the list of connections to flush; as full or only as dirty.
    flush: Option<Flush>,
    /// Waits in the pattern's fair queue.
    pub(crate) in_fair_queue: bool,
    /// The connection to the same peer that was lost before this one: what it received is taken first.
    pub(crate) predecessor: Option<ConnectionId>,
    /// How many connections the socket had made or accepted before it.
    pub(crate) number: u64,
    /// Waits in the pattern's load balancer.
    pub(crate) in_load_balancer: bool,
    /// What a ROUTER or STREAM calls the peer, whatever it calls itself.
    pub(crate) assigned_routing_id: Option<Frame>,
    handshake_deadline: Option<Instant>,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) seals_no_heartbeats: bool,
    timer: Option<Instant>,
    counters: Counters,
}

pub(crate) enum Stage {
    /// There is no transport connection; messages may be queued.
    Waiting,
    Handshake(Box<Handshake>),
    Ready,
    /// Bytes without any protocol (STREAM).
    Raw,
    /// To be closed; only the prelude may still go out.
    Failed,
    /// The transport is gone; what was received whole can still be taken.
    Gone,
}

enum Outbox {
    Wire(FrameBuffer),
    Memory(MemoryPipes),
}

/// The two pipes to a socket of the same process.
struct MemoryPipes {
    out: Arc<Pipe>,
    input: Arc<Pipe>,
    batch: Batch,
    consumed: u64,
    /// The last look for more found some: the sender is writing just now.
    streaming: bool,
    /// The messages that it found.
    found: usize,
    /// The other end is gone and all that it wrote is taken; and this has been told.
    ended: bool,
    end_told: bool,
    /// How long to let a stream gather before it is taken, in processor pauses.
    pause_spins: u32,
    /// At this count of consumed messages the writer is to know of it.
    publish_at: u64,
}

/// The shortest and the longest pause of a reader that has caught up with a stream within the process: a fraction of a
/// microsecond, and some microseconds.
const PAUSE_SPINS_MIN: u32 = 32;
const PAUSE_SPINS_MAX: u32 = 512;

/// What a pause should bring: enough messages that taking them costs next to nothing for each.
const MESSAGES_PER_PAUSE: std::ops::Range<usize> = 64..256;

impl MemoryPipes {
    /// Notes that this side writes. Whoever answers a single message waits for the next one in a conversation, and not for
    /// more of a stream: a pause would only delay it.
    #[inline]
    fn note_writing(&mut self) {
        self.streaming &= self.found > 1;
    }

    /// Writes a message, if there is room.
    #[inline(always)]
    fn write(&mut self, waste: &mut Waste, push: impl FnOnce(&mut FrameBuffer, Version)) -> Change {
        self.note_writing();
        self.batch.note_written();
        self.out.write_message(waste, |frames| push(frames, Version::V3_1))
    }

    /// Messages that are consumed before the one with which the writer is to know of them.
    #[inline]
    fn messages_before_telling(&self) -> usize {
        self.publish_at.saturating_sub(self.consumed + 1) as usize
    }

    /// Pauses longer if less came than pays, and not as long if more came.
    fn adapt_pause(&mut self, messages: usize) {
        if messages < MESSAGES_PER_PAUSE.start {
            self.pause_spins = (self.pause_spins * 2).min(PAUSE_SPINS_MAX);
        } else if messages >= MESSAGES_PER_PAUSE.end {
            self.pause_spins = (self.pause_spins / 2).max(PAUSE_SPINS_MIN);
        }
    }
}

/// Messages and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    messages: usize,
    bytes: usize,
}

/// Why a connection wants to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flush {
    /// There is something to write, where before there was nothing.
    Dirty,
    /// There is so much that it should be written before more is added.
    Full,
}

impl Connection {
    fn new(role: Role, number: u64) -> Self {
        Self {
            role,
            stage: Stage::Waiting,
            version: Version::V3_1,
            peer: Arc::default(),
            inbound: Inbound::default(),
            outbox: Outbox::Wire(FrameBuffer::default()),
            run: Room::default(),
            lot_place: None,
            run_of_received: 0,
            outbox_version: Version::V3_1,
            prelude: Vec::new(),
            unsent: None,
            in_flight: Load::default(),
            sealer: None,
            opener: None,
            draining: false,
            wants_room: false,
            share: Share::default(),
            read_paused: false,
            kept_len: 0,
            passed_up: Load::default(),
            mute: false,
            retired: false,
            discards: false,
            output_closed: false,
            upkeep_len: 0,
            greetings: 0,
            sent_subscriptions: false,
            flush: None,
            in_fair_queue: false,
            predecessor: None,
            number,
            in_load_balancer: false,
            assigned_routing_id: None,
            handshake_deadline: None,
            heartbeat: None,
            seals_no_heartbeats: false,
            timer: None,
            counters: Counters::default(),
        }
    }

    /// What the transport knows of the peer, and what the handshake found out.
    pub fn peer(&self) -> &Arc<PeerInfo> {
        &self.peer
    }

    /// Whether messages can travel now.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Raw)
    }

    /// Whether the peer answers PINGs.
    pub(crate) fn has_heartbeats(&self) -> bool {
        self.version.has_heartbeats() && !(self.seals_no_heartbeats && self.opener.is_some())
    }

    /// Whether nothing passes any more, even if the transport's connection is still there.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Gone)
    }

    /// Whether something may still be written to the peer, now or when it is there.
    #[inline]
    fn takes_output(&self) -> bool {
        !self.is_over() && !self.output_closed
    }

    /// Whether the peer can send no commands, and is sent none.
    pub(crate) fn is_mute(&self) -> bool {
        self.mute
    }

    /// Whether the handshake is going on.
    pub fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Whether the handshake waits for the peer to be judged.
    pub(crate) fn awaits_verdict(&self) -> bool {
        matches!(&self.stage, Stage::Handshake(handshake) if handshake.awaits_verdict())
    }

    /// The version of ZMTP in use.
    pub fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn assigned_routing_id(&self) -> Option<&Frame> {
        self.assigned_routing_id.as_ref()
    }

    /// Messages and bytes that passed, and what did not.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Messages that wait to be sent, as far as this side can know.
    pub fn send_queue_len(&self) -> usize {
        match &self.outbox {
            Outbox::Wire(_) => self.queued().messages,
            Outbox::Memory(pipes) => pipes.out.waiting() as usize,
        }
    }

    /// Messages that have come and wait to be received.
    pub fn recv_queue_len(&self) -> usize {
        self.inbound.messages() + self.passed_up.messages
    }

    /// Whether messages have come that the pattern has not taken: those that wait for the application of a publisher do
    /// not count, which may never ask for them.
    pub fn has_untaken(&self) -> bool {
        self.inbound.messages() > 0
    }

    /// Whether nothing is left to write.
    pub fn is_flushed(&self) -> bool {
        match &self.outbox {
            Outbox::Wire(_) => self.queued().bytes == 0 && self.prelude.is_empty(),
            Outbox::Memory(pipes) => pipes.out.waiting() == 0 || pipes.out.is_abandoned(),
        }
    }

    /// The bytes of large messages that wait for a transport which takes some; within the process there are none.
    fn lead(&self) -> Option<usize> {
        let Load { messages, bytes } = self.queued();
        let are_large = bytes / LARGE_BODY_LEN >= messages;
        (are_large && self.is_ready() && self.takes_output()).then_some(bytes)
    }

    fn queued(&self) -> Load {
        let mut load = self.on_its_way();
        if let Outbox::Wire(frames) = &self.outbox {
            load.add(frames.messages, frames.len());
        }
        load
    }

    /// What has left the outbox, and is not with the transport yet.
    fn on_its_way(&self) -> Load {
        let mut load = self.in_flight;
        if let Some(output) = &self.unsent {
            load.add(output.messages_left(), output.remaining());
        }
        load
    }

    /// The bytes that wait to be written, as many as they will be on their way.
    fn queued_len(&self) -> usize {
        let len = self.queued().bytes;
        match &self.outbox {
            Outbox::Wire(frames) if self.opener.is_some() => len - frames.len() + frames.sealed_len(),
            _ => len,
        }
    }

    /// Whether a high-water mark says not to read on now.
    fn recv_is_full(&self, options: &Options) -> bool {
        if matches!(self.stage, Stage::Raw) {
            return self.inbound.len() >= READ_LEN_MAX;
        }
        if self.awaits_verdict() {
            // It has said all that it may, but its end is to show.
            return self.inbound.len() >= HANDSHAKE_READ_LEN;
        }
        if self.has_backlog() {
            return true;
        }
        let messages = self.inbound.messages();
        if options.conflate || messages == 0 {
            return false;
        }
        (options.recv_hwm > 0 && messages >= options.recv_hwm as usize)
            || (options.recv_hwm_bytes > 0 && self.inbound.len() >= options.recv_hwm_bytes)
    }

    /// Whether so much of this peer waits for the application of a publisher that it must not send more.
    fn has_backlog(&self) -> bool {
        self.passed_up.messages >= XPUB_BACKLOG_MAX || self.passed_up.bytes >= XPUB_BACKLOG_LEN_MAX
    }

    /// How much to read at once.
    fn read_limit(&self, options: &Options) -> usize {
        let by_messages = match options.recv_hwm as usize {
            0 => READ_LEN_MAX,
            hwm => hwm.saturating_mul(READ_LEN_PER_MESSAGE),
        };
        let by_bytes = if options.recv_hwm_bytes == 0 { READ_LEN_MAX } else { options.recv_hwm_bytes };
        by_messages.min(by_bytes).clamp(READ_LEN_MIN, READ_LEN_MAX)
    }

    /// Appends a command to what is to be sent, and returns its length.
    fn push_command(&mut self, waste: &mut Waste, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        match &mut self.outbox {
            Outbox::Wire(frames) => {
                let len_before = frames.len();
                frames.push_command(encode);
                frames.len() - len_before
            }
            Outbox::Memory(pipes) => {
                let mut frames = FrameBuffer::default();
                frames.push_command(encode);
                pipes.batch.publish(&pipes.out, waste);
                pipes.out.write_encoded(&frames);
                frames.len()
            }
        }
    }

    pub(crate) fn know_peer(&mut self, peer: PeerInfo) {
        self.peer = Arc::new(peer);
    }

    pub(crate) fn begin_handshake(
        &mut self,
        socket_type: SocketType,
        routing_id: Frame,
        mechanism: Box<dyn Mechanism>,
        deadline: Option<Instant>,
    ) {
        let handshake = Handshake::start(socket_type, routing_id, mechanism, &mut self.prelude);
        self.stage = Stage::Handshake(Box::new(handshake));
        self.handshake_deadline = deadline;
    }

    /// Goes on with the handshake, up to the next time that something is learned of the peer.
    pub(crate) fn advance_handshake(&mut self) -> Result<Progress, ProtocolError> {
        let Stage::Handshake(handshake) = &mut self.stage else { return Ok(Progress::Waits) };
        let (taken, progress) = handshake.advance(self.inbound.unscanned(), &mut self.prelude)?;
        self.inbound.consume(taken);
        if progress != Progress::Waits {
            let PeerInfo { address, credentials, descriptor, .. } = (*self.peer).clone();
            self.peer = Arc::new(PeerInfo { address, credentials, descriptor, ..handshake.peer().clone() });
        }
        if progress == Progress::Done {
            self.end_handshake();
        }
        Ok(progress)
    }

    fn end_handshake(&mut self) {
        self.adopt_version(self.peer.version.unwrap_or(Version::V3_1));
        if let Stage::Handshake(handshake) = std::mem::replace(&mut self.stage, Stage::Ready)
            && let Some(cipher) = handshake.into_cipher()
        {
            self.adopt_cipher(*cipher);
        }
        self.draining = true;
        self.handshake_deadline = None;
        self.counters.established += 1;
    }

    /// Tells the peer why it is refused, if its handshake is going on and has come so far.
    pub(crate) fn tell_refusal(&mut self, reason: &Incompatibility) {
        if let Stage::Handshake(handshake) = &self.stage {
            handshake.refuse(reason, &mut self.prelude);
        }
    }

    /// From now on frames travel in boxes; what has come behind the handshake is some already.
    fn adopt_cipher(&mut self, Cipher { sealer, mut opener }: Cipher) {
        let sealed = self.inbound.unscanned();
        opener.take(sealed);
        self.inbound.consume(sealed.len());
        self.sealer = Some(Box::new(sealer));
        self.opener = Some(Box::new(opener));
    }

    /// What the peer shows of itself, if the handshake now waits for it to be judged. Said once.
    pub(crate) fn take_credentials(&mut self) -> Option<Credentials> {
        match &mut self.stage {
            Stage::Handshake(handshake) => handshake.take_credentials(),
            _ => None,
        }
    }

    /// Takes the verdict that the handshake waits for.
    pub(crate) fn judge(&mut self, verdict: Verdict) -> Result<(), ProtocolError> {
        match &mut self.stage {
            Stage::Handshake(handshake) if handshake.awaits_verdict() => handshake.judge(verdict, &mut self.prelude),
            _ => Ok(()),
        }
    }

    /// Begins with messages at once, as datagrams do.
    pub(crate) fn begin_without_handshake(&mut self) {
        self.mute = true;
        self.draining = true;
        self.stage = Stage::Ready;
        self.counters.established += 1;
    }

    /// Takes what is to be written: what a write left over, else the prelude, else, once messages may travel, the
    /// outbox.
    pub(crate) fn begin_write(&mut self) -> Option<Output> {
        if self.output_closed {
            return None;
        }
        let output = match self.unsent.take() {
            Some(unsent) => unsent,
            None if !self.prelude.is_empty() => Output::prelude(std::mem::take(&mut self.prelude)),
            None => self.begin_write_of_outbox()?,
        };
        self.in_flight = Load { messages: output.messages_left(), bytes: output.remaining() };
        Some(output)
    }

    fn begin_write_of_outbox(&mut self) -> Option<Output> {
        let may_write = self.is_ready();
        match &mut self.outbox {
            Outbox::Wire(frames) if may_write && !frames.is_empty() => {
                self.upkeep_len = 0;
                let frames = std::mem::take(frames);
                Some(match self.sealer.take() {
                    None => Output::new(frames),
                    Some(sealer) => Output::sealed(frames, sealer),
                })
            }
            _ => None,
        }
    }

    /// Ends the connection, as far as the transport goes. Counts the messages that were not sent whole as lost, and returns
    /// those that another connection can send.
    fn detach(&mut self, waste: &mut Waste) -> FrameBuffer {
        let unsent = if matches!(self.stage, Stage::Raw) {
            // Bytes without frames are of no use to another peer.
            self.counters.lost += self.queued().messages as u64;
            self.unsent = None;
            FrameBuffer::default()
        } else {
            self.take_unsent_messages(waste)
        };
        self.counters.lost += unsent.messages() as u64;
        let unsent = if self.greetings > 0 { unsent.without_first(self.greetings, Version::V3_1) } else { unsent };
        self.close_pipes(waste);
        self.outbox = Outbox::Wire(FrameBuffer::default());
        self.prelude = Vec::new();
        self.opener = None;
        self.stage = Stage::Gone;
        self.draining = false;
        self.heartbeat = None;
        self.handshake_deadline = None;
        unsent
    }

    /// Takes over what another connection had queued.
    pub(crate) fn adopt_queue(&mut self, queue: FrameBuffer) {
        self.counters.messages_out += queue.messages() as u64;
        self.outbox = Outbox::Wire(queue);
        self.outbox_version = Version::V3_1;
    }

    /// Takes all that waits to be sent, except for what the driver holds. Only whole messages are kept.
    fn take_unsent_messages(&mut self, waste: &mut Waste) -> FrameBuffer {
        let mut kept = FrameBuffer::default();
        // Where no message was counted there is only the handshake's bytes, which are no frames, or commands.
        if let Some(mut output) = self.unsent.take().filter(|output| output.frames.messages > 0) {
            let left = output.frames.messages_after(output.written(), self.outbox_version, Version::V3_1);
            self.greetings = self.greetings.saturating_sub(output.frames.messages - left.messages);
            kept.append(&left);
            waste.take_frames(&mut output.frames);
        }
        if let Outbox::Wire(frames) = &mut self.outbox
            && frames.messages > 0
        {
            kept.append(&frames.messages_after(0, self.outbox_version, Version::V3_1));
            waste.take_frames(frames);
        }
        if self.sent_subscriptions {
            // They are sent anew, in the form that the next peer knows.
            kept = kept.without_subscriptions(Version::V3_1);
        }
        kept
    }

    /// Encodes what is queued for the version that the handshake found.
    fn adopt_version(&mut self, version: Version) {
        self.version = version;
        if let Outbox::Wire(frames) = &mut self.outbox
            && (self.outbox_version == Version::V1_0) != (version == Version::V1_0)
        {
            *frames = frames.messages_after(0, self.outbox_version, version);
        }
        self.outbox_version = version;
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.heartbeat {
            Some(heartbeat) => heartbeat.deadline(),
            None => self.handshake_deadline,
        }
    }

    /// Tells the other end of memory pipes that this end is gone.
    fn close_pipes(&mut self, waste: &mut Waste) {
        if let Outbox::Memory(pipes) = &self.outbox {
            self.counters.lost += pipes.out.close_writer();
            self.counters.dropped_on_arrival += pipes.input.close_reader(waste);
        }
    }
}

impl Load {
    #[inline]
    fn add(&mut self, messages: usize, bytes: usize) {
        self.messages += messages;
        self.bytes += bytes;
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("version", &self.version).field("peer", &self.peer).finish_non_exhaustive()
    }
}
