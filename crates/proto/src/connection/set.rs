//! All connections of a socket, as its pattern sees them: places to write to and to cut messages from.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    sync::Arc,
    time::Instant,
};

use super::{
    Batch, Burst, Change, Connection, ConnectionId, Flush, FrameBuffer, Load, MemoryPipes, MessageRules, Outbox,
    Output, PAUSE_SPINS_MIN, PeerInfo, Pipe, Read, ScannedCommand, Shape, Spares, Stage, Taken, Waste, Written,
    body_pool::BodyPool,
    heartbeat::{Due, Heartbeat, Sent},
    slots::Slots,
};
use crate::{
    error::{Misbehaviour, ProtocolError},
    event::Event,
    frame::{BodyInPlace, Frame},
    limits::{
        COMMAND_BACKLOG_LEN_MAX, HANDSHAKE_READ_LEN, LARGE_BODY_LEN, LEAD_LEN_MAX, LOST_CONNECTION_LEN,
        LOST_RECEIVED_LEN_MAX, SUBSCRIPTION_BACKLOG_LEN_MAX, WRITE_LEN, XPUB_BACKLOG_LEN_MAX, XPUB_BACKLOG_MAX,
    },
    mechanism::Role,
    message::{Message, Outgoing},
    options::Options,
    wire::{Version, command},
};

/// The connections of a socket.
#[derive(Default)]
pub struct Connections {
    pub(super) slots: Slots,
    /// How many there were in all.
    inserted: u64,
    pub(crate) options: Options,
    /// The frames that peers' messages must have.
    shape: Shape,
    pub(super) spares: Spares,
    bodies: BodyPool,
    flushes: VecDeque<ConnectionId>,
    resumed: VecDeque<ConnectionId>,
    events: VecDeque<Event>,
    timers: BTreeSet<(Instant, ConnectionId)>,
    /// Connections whose pipes gave commands that are not looked at yet.
    unscanned: Vec<ConnectionId>,
    /// Connections that are lost and whose last message is taken.
    drained: Vec<ConnectionId>,
    /// What lost connections keep, in bytes.
    kept_len: usize,
    /// Who comes after whom, where a lost connection left messages and was made again.
    successors: HashMap<ConnectionId, ConnectionId>,
    /// To whom each message goes, where that is one peer.
    only_peer: Option<ConnectionId>,
    /// Whose message was received last.
    pub(crate) received_from: Option<ConnectionId>,
    /// Which connection messages are received from in a run.
    receiving_from: Option<ConnectionId>,
    /// Of the connection that was named last as a message's sender: where its peer stands, as long as it is there.
    named: Option<(ConnectionId, usize)>,
    /// Whose message the pattern has taken before the application asked for it.
    pub(crate) prefetched_from: Option<ConnectionId>,
    /// Who that was, if the connection has gone since.
    prefetched_peer: Option<(ConnectionId, Arc<PeerInfo>)>,
    /// See [`Socket::room_epoch`](crate::Socket::room_epoch).
    pub(crate) room_epoch: u64,
    /// See [`Socket::written_len`](crate::Socket::written_len).
    pub(crate) written_len: u64,
    /// See [`Socket::turn_changed`](crate::Socket::turn_changed).
    pub(crate) turn_changed: bool,
    /// See [`Socket::in_burst`](crate::Socket::in_burst).
    pub(crate) burst: Burst,
    /// What connections that are gone have counted.
    past: super::Counters,
    scratch: FrameBuffer,
    /// While messages are sent together: the connections within the process for which they are gathered.
    batched: Option<Vec<ConnectionId>>,
    /// What has been dropped since somebody last took it.
    pub(super) waste: Waste,
}

fn address(peer: &Arc<PeerInfo>) -> usize {
    Arc::as_ptr(peer).addr()
}

impl Connections {
    pub(crate) fn new(options: Options, shape: Shape) -> Self {
        Self { options, shape, ..Self::default() }
    }

    pub(crate) fn insert(&mut self, role: Role) -> ConnectionId {
        let id = self.slots.insert(Connection::new(role, self.inserted));
        self.inserted += 1;
        id
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) {
        let Some(mut connection) = self.slots.remove(id) else { return };
        self.named.take_if(|(named, _)| *named == id);
        if let Some(timer) = connection.timer {
            self.timers.remove(&(timer, id));
        }
        connection.counters.lost += match &connection.outbox {
            Outbox::Wire(_) => connection.queued().messages as u64,
            Outbox::Memory(_) => 0,
        };
        connection.counters.dropped_on_arrival += connection.inbound.messages() as u64;
        connection.close_pipes(&mut self.waste);
        connection.drop_inbound(&mut self.waste);
        self.kept_len -= connection.kept_len;
        self.past += connection.counters;
        if self.prefetched_from == Some(id) {
            self.prefetched_peer = Some((id, connection.peer));
        }
    }

    /// Who is, or was, at the other end of a connection of which a message is received.
    #[inline]
    pub(crate) fn peer(&self, id: ConnectionId) -> Option<&Arc<PeerInfo>> {
        let gone = || self.prefetched_peer.as_ref().filter(|(gone, _)| *gone == id).map(|(_, peer)| peer);
        self.get(id).map(Connection::peer).or_else(gone)
    }

    /// Puts the sender of the message that was received last into `peer`. Of a stream of messages from one peer, only the
    /// first looks for it, and brings another count of its owners.
    #[inline]
    pub(crate) fn name_sender(&mut self, peer: &mut Option<Arc<PeerInfo>>) {
        let is_named = self.received_from.zip(peer.as_ref().map(address)) == self.named;
        if !is_named || self.named.is_none() {
            self.name_other_sender(peer);
        }
    }

    #[inline(never)]
    fn name_other_sender(&mut self, peer: &mut Option<Arc<PeerInfo>>) {
        let sender = self.received_from.and_then(|id| self.peer(id));
        if peer.as_ref().map(Arc::as_ptr) != sender.map(Arc::as_ptr) {
            *peer = sender.cloned();
        }
        self.named = self.received_from.filter(|id| self.get(*id).is_some()).zip(peer.as_ref().map(address));
    }

    /// The connection, if it is still there.
    #[inline]
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id)
    }

    /// The same with all that it has been given.
    #[inline]
    pub(crate) fn look_at(&mut self, id: ConnectionId) -> Option<&Connection> {
        self.slots.find_to_write(id).map(|connection| &*connection)
    }

    /// The connection, if it is still there. This ends its [run](super::run).
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slots.find_mut(id)
    }

    /// The names of all connections.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.iter().map(|(id, _)| id).collect()
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.slots.iter()
    }

    /// What all connections have counted, those that are gone included.
    pub fn totals(&self) -> super::Counters {
        let mut totals = self.past;
        self.iter().for_each(|(_, connection)| totals += connection.counters);
        totals
    }

    pub(crate) fn count(&mut self, id: ConnectionId, count: impl FnOnce(&mut super::Counters)) {
        match self.get_mut(id) {
            Some(connection) => count(&mut connection.counters),
            None => count(&mut self.past),
        }
    }

    /// Counts what concerns no single peer.
    pub(crate) fn count_unaddressed(&mut self, count: impl FnOnce(&mut super::Counters)) {
        count(&mut self.past);
    }

    /// What has been dropped since this was last asked for, to be dropped where no lock is held.
    pub(crate) fn take_waste(&mut self) -> Waste {
        std::mem::take(&mut self.waste)
    }

    #[inline]
    pub(crate) fn has_waste(&self) -> bool {
        !self.waste.is_empty()
    }

    /// Drops what is in a message that the application does not get.
    #[inline]
    pub(crate) fn drop_message(&mut self, message: &mut Message) {
        self.waste.take_message(message);
    }

    /// Drops a frame that the application does not get.
    pub(crate) fn drop_frame(&mut self, mut frame: Frame) {
        self.waste.take_frame(&mut frame);
    }

    /// Ends the connection, as far as the transport goes; see [`Connection::detach`].
    pub(crate) fn detach(&mut self, id: ConnectionId) -> Option<FrameBuffer> {
        let is_there = |connection: &&mut Connection| !matches!(connection.stage, Stage::Gone);
        let connection = self.slots.find_mut(id).filter(is_there)?;
        Some(connection.detach(&mut self.waste))
    }

    /// Something has changed that may decide about a message which found no room.
    #[inline]
    pub(crate) fn note_room(&mut self) {
        self.room_epoch += 1;
    }

    // ---- what patterns write

    /// Writes the frames of `envelope` and then those of `message` from the frame `skip` on, as one message.
    ///
    /// Written into each pattern, as all that it calls down to the pipe, it takes 31 instructions less than as a function of
    /// its own, to which the envelope is not known to be empty.
    #[inline(always)]
    pub(crate) fn write(
        &mut self,
        id: ConnectionId,
        envelope: &[Frame],
        message: &Outgoing<'_>,
        skip: usize,
    ) -> Written {
        if message.borrows_large_body() && self.has_pipe_with_room(id) {
            return self.write_shared(id, envelope, message, skip);
        }
        self.write_with(id, |frames, version| frames.push_message(version, envelope, message, skip))
    }

    #[inline(never)]
    fn write_shared(&mut self, id: ConnectionId, envelope: &[Frame], message: &Outgoing<'_>, skip: usize) -> Written {
        let shared = Outgoing::Owned(self.share_bodies(message));
        self.write_with(id, |frames, version| frames.push_message(version, envelope, &shared, skip))
    }

    /// Whether a large body is handed on by reference. Not copied for that is one which has to wait, as often as its sender
    /// looks.
    fn has_pipe_with_room(&self, id: ConnectionId) -> bool {
        match self.get(id).map(|connection| &connection.outbox) {
            Some(Outbox::Memory(pipes)) => pipes.out.has_room(),
            _ => false,
        }
    }

    /// Copies a message whose bodies are only borrowed, the large ones so that they are not copied again: not under the
    /// pipe's lock, and not by the reader.
    fn share_bodies(&self, message: &Outgoing<'_>) -> Message {
        let share = |body: &[u8]| {
            if body.len() < LARGE_BODY_LEN {
                return Frame::from(body);
            }
            let mut shared = self.bodies.take(body.len());
            shared.extend_from_slice(body);
            self.bodies.share(shared).into()
        };
        match message {
            Outgoing::Body(body) => share(body).into(),
            Outgoing::Bodies(bodies) => bodies.iter().map(|body| share(body)).collect(),
            message => message.to_message(),
        }
    }

    /// Encodes a message once, to be given to many by [`write_encoded`](Self::write_encoded).
    pub(crate) fn encode(&mut self, version: Version, envelope: &[Frame], message: &Outgoing<'_>) -> FrameBuffer {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.push_message(version, envelope, message, 0);
        frames
    }

    /// Gives the encoding's buffer back.
    pub(crate) fn recycle(&mut self, mut frames: FrameBuffer) {
        frames.clear();
        self.scratch = frames;
    }

    /// Writes a message that is encoded for the connection's version.
    #[inline]
    pub(crate) fn write_encoded(&mut self, id: ConnectionId, encoded: &FrameBuffer) -> Written {
        self.write_with(id, |frames, _| frames.append(encoded))
    }

    /// Writes a body without framing, to a raw peer.
    pub(crate) fn write_raw(&mut self, id: ConnectionId, body: &[u8]) -> Written {
        self.write_with(id, |frames, _| frames.push_raw(body))
    }

    /// Notes who gets each message, if that is one peer.
    pub(crate) fn note_only_peer(&mut self, id: Option<ConnectionId>) {
        self.only_peer = id;
    }

    /// Writes a message of one frame to the only peer, if that is in a run, or in the same process and has room; `false`:
    /// the pattern is to be asked, as always for a message of a burst, and where others have had their share of one.
    #[inline]
    pub(crate) fn write_to_only_peer(&mut self, body: &[u8]) -> bool {
        self.only_peer.is_some_and(|id| self.write_at_once(id, body))
    }

    #[inline(never)]
    fn write_at_once(&mut self, id: ConnectionId, body: &[u8]) -> bool {
        if self.burst.is_on || !self.burst.met.is_empty() {
            return false;
        }
        let Some(connection) = self.slots.find_to_write(id) else { return false };
        if connection.is_in_run() {
            if connection.push_in_run(|frames, version| frames.push_body(version, body)) {
                self.want_flush(id);
            }
            return true;
        }
        debug_assert!(self.batched.is_none(), "would go before what was gathered");
        let is_shared = body.len() >= LARGE_BODY_LEN;
        // Who waits to be told of room has none until then, whatever the message.
        if is_shared || connection.wants_room || !connection.takes_output() {
            return false;
        }
        let Outbox::Memory(pipes) = &mut connection.outbox else { return false };
        let change = pipes.write(&mut self.waste, |frames, version| frames.push_body(version, body));
        if change.written != Written::Yes {
            // The pattern tries it again, and that counts.
            return false;
        }
        connection.note_change(change);
        true
    }

    #[inline(always)]
    fn write_with(&mut self, id: ConnectionId, push: impl FnOnce(&mut FrameBuffer, Version)) -> Written {
        let Some(connection) = self.slots.find_to_write(id) else { return Written::Gone };
        // Before all else: a run may have no mark of its own.
        if connection.meets(&mut self.burst, id, &self.options) {
            return Written::Full;
        }
        if !connection.is_in_run() {
            if !connection.takes_output() {
                return Written::Gone;
            }
            if let Outbox::Memory(pipes) = &mut connection.outbox {
                if let Some(batched) = &mut self.batched
                    && pipes.batch.has_place(&pipes.out, &mut self.waste)
                {
                    pipes.note_writing();
                    if pipes.batch.is_empty() {
                        batched.push(id);
                    }
                    let len = pipes.batch.add(&pipes.out, &mut self.waste, |frames| push(frames, Version::V3_1));
                    connection.note_written(Written::Yes, len);
                    return Written::Yes;
                }
                let change = pipes.write(&mut self.waste, push);
                connection.note_change(change);
                if self.burst.is_on && change.written == Written::Yes {
                    connection.share.add(self.burst.number, 1);
                }
                return change.written;
            }
            if !connection.begin_run(&self.options, &mut self.spares, &mut self.waste) {
                connection.note_written(Written::Full, 0);
                return Written::Full;
            }
        }
        let wants_flush = connection.push_in_run(push);
        if self.burst.is_on {
            connection.share.add(self.burst.number, 1);
        }
        if wants_flush {
            self.want_flush(id);
        }
        Written::Yes
    }

    /// Gathers what is written to sockets of the same process, until [`end_batch`](Self::end_batch).
    pub(crate) fn begin_batch(&mut self) {
        self.batched = Some(Vec::new());
    }

    /// Hands over what was gathered.
    pub(crate) fn end_batch(&mut self) {
        for id in self.batched.take().into_iter().flatten() {
            if let Some(connection) = self.slots.find_mut(id)
                && let Outbox::Memory(pipes) = &mut connection.outbox
            {
                pipes.batch.publish(&pipes.out, &mut self.waste);
            }
        }
    }

    /// Whether a message would find room; if not, the pattern hears of it when one does. A [run](super::run) goes on.
    #[inline]
    pub(crate) fn has_room(&mut self, id: ConnectionId) -> bool {
        let found = self.slots.find_to_write(id);
        if found.as_ref().is_some_and(|connection| connection.meets(&mut self.burst, id, &self.options)) {
            return false;
        }
        found.is_some_and(|connection| connection.is_in_run()) || self.finds_room(id)
    }

    #[inline(never)]
    fn finds_room(&mut self, id: ConnectionId) -> bool {
        let found = self.slots.find_mut(id);
        let Some(connection) = found.filter(|connection| connection.takes_output()) else { return false };
        let room = match &mut connection.outbox {
            Outbox::Wire(_) => connection.has_room(&self.options),
            Outbox::Memory(pipes) => pipes.batch.has_place(&pipes.out, &mut self.waste) || pipes.out.has_room(),
        };
        connection.wants_room |= !room;
        room
    }

    /// The bytes that wait for this peer, if it takes some, and they are so many that a sender that may wait had better do
    /// so.
    #[inline]
    pub(crate) fn lead_over(&self, id: ConnectionId) -> Option<usize> {
        self.get(id)?.lead().filter(|lead| *lead >= LEAD_LEN_MAX && !self.options.conflate)
    }

    /// Whether subscriptions should be written now, or wait until the pattern hears of room.
    pub(crate) fn has_room_for_subscriptions(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        let has_room = match &connection.outbox {
            Outbox::Wire(_) => connection.queued().bytes <= SUBSCRIPTION_BACKLOG_LEN_MAX,
            Outbox::Memory(pipes) => pipes.out.has_room_for_commands(SUBSCRIPTION_BACKLOG_LEN_MAX),
        };
        connection.wants_room |= !has_room;
        has_room
    }

    /// Sends a subscription or its end upstream, as `encode` writes it for the connection's version.
    pub(crate) fn write_subscription(&mut self, id: ConnectionId, encode: impl FnOnce(Version, &mut Vec<u8>)) {
        let may_be_told =
            |connection: &&mut Connection| connection.is_ready() && connection.takes_output() && !connection.is_mute();
        let Some(connection) = self.slots.find_mut(id).filter(may_be_told) else { return };
        let version = connection.version;
        // In older versions it is a message by its form alone: no high-water mark may drop it.
        connection.push_command(&mut self.waste, |bytes| encode(version, bytes));
        connection.sent_subscriptions = true;
        self.want_flush(id);
    }

    /// Sends a command of the connection's own upkeep, unless there are enough of them that were not sent.
    pub(crate) fn write_command(&mut self, id: ConnectionId, command: command::Command<'_>) {
        let found = self.slots.find_mut(id);
        let Some(connection) = found.filter(|connection| connection.takes_output()) else { return };
        if connection.upkeep_len <= COMMAND_BACKLOG_LEN_MAX {
            connection.upkeep_len += connection.push_command(&mut self.waste, |bytes| command.encode(bytes));
            self.want_flush(id);
        }
    }

    /// Answers a peer's command, unless it sends more of them than it reads answers.
    pub(crate) fn write_answer(&mut self, id: ConnectionId, command: command::Command<'_>) {
        if self.get(id).is_some_and(|connection| connection.upkeep_len > COMMAND_BACKLOG_LEN_MAX) {
            return self.fail(id, Misbehaviour::CommandFlood.into());
        }
        self.write_command(id, command);
    }

    /// Writes nothing more to the connection. Whose PINGs cannot go out has nothing to be patient for.
    pub(crate) fn close_output(&mut self, id: ConnectionId) {
        let Some(connection) = self.get_mut(id) else { return };
        connection.output_closed = true;
        connection.heartbeat = None;
        self.arm_timer(id);
    }

    /// Puts the connection on the list of those to flush.
    pub(crate) fn want_flush(&mut self, id: ConnectionId) {
        let Some(connection) = self.get_mut(id) else { return };
        let flush = match &connection.outbox {
            Outbox::Wire(frames) if frames.len() >= WRITE_LEN => Flush::Full,
            Outbox::Wire(_) => Flush::Dirty,
            Outbox::Memory(_) => return,
        };
        if connection.flush.replace(flush).is_none_or(|before| before < flush) {
            self.flushes.push_back(id);
        }
    }

    /// The next connection that wants to be flushed.
    #[inline]
    pub fn poll_flush(&mut self) -> Option<(ConnectionId, Flush)> {
        while let Some(id) = self.flushes.pop_front() {
            if let Some(flush) = self.get_mut(id).and_then(|connection| connection.flush.take()) {
                return Some((id, flush));
            }
        }
        None
    }

    /// Whether the driver has something to do: flush, read on, or take an event.
    #[inline]
    pub fn wants_attention(&self) -> bool {
        !self.flushes.is_empty() || !self.resumed.is_empty() || !self.events.is_empty() || !self.unscanned.is_empty()
    }

    // ---- what patterns read

    /// Brings the next message of the connection into this processor's cache.
    pub(crate) fn fetch_next(&self, id: ConnectionId) {
        self.get(id).into_iter().for_each(|connection| connection.inbound.fetch_next());
    }

    /// Whether a whole message can be cut. A pipe is asked for more if nothing is left of what it gave.
    pub(crate) fn has_message(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        connection.inbound.messages() > 0 || self.refill_for_messages(id)
    }

    /// Asks the connection's pipe for more; says whether messages came.
    #[cold]
    fn refill_for_messages(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        connection.refill();
        let (has_messages, has_commands) = (connection.inbound.messages() > 0, connection.inbound.has_unscanned());
        let has_ended = connection.take_pipe_end();
        if !has_messages && has_commands {
            self.unscanned.push(id);
        }
        if has_ended {
            self.events.push_back(Event::PeerClosed(id));
        }
        has_messages
    }

    /// Puts the next message of the connection into `into`, with CONFLATE the newest; `false` if there is none.
    #[inline]
    pub(crate) fn cut(&mut self, id: ConnectionId, into: &mut Message) -> bool {
        if self.options.conflate {
            self.drop_all_but_newest(id);
        }
        self.cut_next(id, into)
    }

    /// Drops messages for which there is a newer one.
    pub(crate) fn drop_all_but_newest(&mut self, id: ConnectionId) {
        if let Some(connection) = self.slots.find_mut(id) {
            connection.drop_all_but_newest(&mut self.waste);
        }
    }

    /// Puts the next message of the connection into `into`, whatever CONFLATE says: it may be a subscription.
    #[inline]
    pub(crate) fn cut_next(&mut self, id: ConnectionId, into: &mut Message) -> bool {
        let Some(connection) = self.slots.find_to_take(id) else { return false };
        // What is received makes no difference to what is sent.
        connection.run_of_received = 0;
        if !connection.inbound.cut(connection.version, into) {
            return self.refill_for_messages(id) && self.cut_next(id, into);
        }
        connection.counters.messages_in += 1;
        connection.note_consumed();
        let (is_paused, left) = (connection.read_paused, connection.inbound.messages());
        if left == 0 {
            self.note_drained(id);
        }
        if is_paused && left * 2 <= self.options.recv_hwm as usize {
            self.read_on(id);
        }
        true
    }

    /// Takes messages of this connection in a run, until another one has some, too.
    #[inline]
    pub(crate) fn begin_receiving(&mut self, id: ConnectionId) {
        let Some(connection) = self.slots.find_to_take(id) else { return };
        connection.run_of_received = connection.messages_of_run(&self.options);
        self.receiving_from = (connection.run_of_received > 0).then_some(id);
    }

    pub(crate) fn end_receiving(&mut self) {
        self.receiving_from = None;
    }

    /// Puts the next message of the run into `into`, and says whose it is; `None` if there is no run.
    #[inline]
    pub(crate) fn receive_in_run(&mut self, into: &mut Message) -> Option<ConnectionId> {
        let id = self.receiving_from?;
        let connection = self.slots.find_to_take(id)?;
        let left = connection.run_of_received.checked_sub(1)?;
        connection.inbound.cut(connection.version, into);
        connection.note_taken_in_run(left);
        Some(id)
    }

    /// Gives the body of the next message of the run to `take` where it stands, if it is that of a small message of one
    /// frame, and `passes` it. `None`: the next message is to be received otherwise.
    #[inline]
    pub(crate) fn take_small_in_run<T>(
        &mut self,
        passes: impl FnOnce(&Options, &[u8]) -> bool,
        take: impl FnOnce(BodyInPlace<'_>) -> T,
    ) -> Option<T> {
        let id = self.receiving_from?;
        let connection = self.slots.find_to_take(id)?;
        let left = connection.run_of_received.checked_sub(1)?;
        let passes = |body: &[u8]| passes(&self.options, body);
        let taken = connection.inbound.cut_small(connection.version, passes, take)?;
        connection.note_taken_in_run(left);
        self.received_from = Some(id);
        Some(taken)
    }

    /// Enough is taken of a connection that was not read because of it.
    #[cold]
    fn read_on(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id) {
            connection.read_paused = false;
            self.resumed.push_back(id);
        }
    }

    /// All that has been scanned of the connection is taken.
    #[cold]
    fn note_drained(&mut self, id: ConnectionId) {
        let Some(connection) = self.slots.find_mut(id) else { return };
        self.waste.append(&mut connection.inbound.spent);
        if let Outbox::Wire(_) = connection.outbox {
            connection.inbound.release(&mut self.spares);
        }
        if matches!(connection.stage, Stage::Gone) {
            self.drained.push(id);
        }
    }

    /// The same for messages that have been scanned, and no other: a pipe behind them is not looked at, in which
    /// messages may stand behind commands.
    pub(crate) fn cut_scanned(&mut self, id: ConnectionId, into: &mut Message) -> bool {
        self.get(id).is_some_and(|connection| connection.inbound.messages() > 0) && self.cut_next(id, into)
    }

    /// Takes what a raw peer sent since the last time.
    pub(crate) fn cut_raw(&mut self, id: ConnectionId) -> Option<Frame> {
        let connection = self.slots.find_mut(id)?;
        let bytes = connection.inbound.unscanned();
        if bytes.is_empty() {
            return None;
        }
        let frame = Frame::from(bytes);
        connection.inbound.consume(frame.len());
        connection.inbound.release(&mut self.spares);
        connection.counters.messages_in += 1;
        if std::mem::take(&mut connection.read_paused) {
            self.resumed.push_back(id);
        }
        Some(frame)
    }

    /// The next connection that may be read again, after a high-water mark had stopped it.
    pub fn poll_resumed(&mut self) -> Option<ConnectionId> {
        self.resumed.pop_front()
    }

    // ---- what patterns decide

    /// Sends a message before all that is queued.
    pub(crate) fn greet(&mut self, id: ConnectionId, message: &Frame) {
        let Some(connection) = self.get_mut(id) else { return };
        let version = connection.outbox_version;
        let Outbox::Wire(frames) = &mut connection.outbox else { return };
        let queued = std::mem::take(frames);
        frames.push_message(version, &[], &Outgoing::Body(message), 0);
        frames.append(&queued);
        connection.greetings += 1;
        connection.counters.messages_out += 1;
        self.want_flush(id);
    }

    /// Puts a message of one frame among those that have come, behind those that were seen so far; `false` if that is not
    /// possible, because a socket of the same process counts what it has sent.
    pub(crate) fn insert_received(&mut self, id: ConnectionId, message: &Frame) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        if let Outbox::Memory(_) = connection.outbox {
            return false;
        }
        connection.inbound.insert(connection.version, message);
        true
    }

    /// Drops what has come over a connection and is not received, and reads on if that was in the way.
    pub(crate) fn drop_received(&mut self, id: ConnectionId) {
        if let Some(connection) = self.slots.find_mut(id) {
            connection.drop_received(&mut self.waste);
        }
        self.resume(id);
    }

    /// Reads a connection again that a high-water mark had stopped, if it does not any more.
    pub(crate) fn resume(&mut self, id: ConnectionId) {
        let Some(connection) = self.slots.find_mut(id) else { return };
        if connection.read_paused && !connection.recv_is_full(&self.options) {
            connection.read_paused = false;
            match connection.outbox {
                Outbox::Wire(_) => self.resumed.push_back(id),
                Outbox::Memory(_) => self.unscanned.push(id),
            }
        }
    }

    /// Notes that something of this peer, which takes `len` bytes, waits for the application elsewhere.
    pub(crate) fn note_passed_up(&mut self, id: ConnectionId, len: usize) {
        self.get_mut(id).into_iter().for_each(|connection| connection.passed_up.add(1, len));
    }

    /// Notes that the application has it. A peer that was read no more for it is, once half of it is taken.
    pub(crate) fn note_taken_up(&mut self, id: ConnectionId, len: usize) {
        let Some(connection) = self.get_mut(id) else { return };
        let Load { messages, bytes } = &mut connection.passed_up;
        *messages -= 1;
        *bytes -= len;
        if connection.read_paused && *messages <= XPUB_BACKLOG_MAX / 2 && *bytes <= XPUB_BACKLOG_LEN_MAX / 2 {
            self.resume(id);
        }
    }

    /// Closes a connection: the pattern has no more use for it.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.events.push_back(Event::Closed(id));
        }
    }

    /// The same, once all is sent that is queued for it.
    pub(crate) fn close_when_flushed(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.events.push_back(Event::Retired(id));
        }
    }

    /// Gives a connection up because of what its peer did. What was received whole can still be taken.
    pub(crate) fn fail(&mut self, id: ConnectionId, error: ProtocolError) {
        let Some(connection) = self.get_mut(id).filter(|connection| !connection.is_over()) else { return };
        if connection.is_handshaking() {
            connection.counters.handshake_failures += 1;
        }
        connection.stage = Stage::Failed;
        connection.heartbeat = None;
        connection.handshake_deadline = None;
        self.events.push_back(Event::Failed(id, error));
    }

    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Takes a connection whose commands are to be looked at.
    pub(crate) fn poll_unscanned(&mut self) -> Option<ConnectionId> {
        self.unscanned.pop()
    }

    /// Whether messages of a lost connection are kept to be received. They are, in no more memory than they need, unless
    /// there are none, or too much is kept together with those of others.
    pub(crate) fn keep_received(&mut self, id: ConnectionId) -> bool {
        let kept_len = self.kept_len;
        let Some(connection) = self.get_mut(id) else { return false };
        if !connection.has_waiting() {
            return false;
        }
        connection.inbound.keep_whole_messages(connection.version);
        let len = connection.inbound.len() + LOST_CONNECTION_LEN;
        if kept_len > 0 && kept_len.saturating_add(len) > LOST_RECEIVED_LEN_MAX {
            return false;
        }
        connection.kept_len = len;
        self.kept_len += len;
        true
    }

    /// What `next` receives waits until all is taken that `lost`, in whose place it was made, and those before it left.
    pub(crate) fn succeed(&mut self, lost: ConnectionId, next: ConnectionId) {
        let Some(connection) = self.get(lost) else { return };
        let before = if connection.has_waiting() { Some(lost) } else { connection.predecessor };
        if let (Some(before), Some(connection)) = (before, self.get_mut(next)) {
            connection.predecessor = Some(before);
            self.successors.insert(before, next);
        }
    }

    /// All that this connection received is taken. Returns the one that comes after it, if that has messages.
    pub(crate) fn take_successor(&mut self, mut id: ConnectionId) -> Option<ConnectionId> {
        if self.successors.is_empty() {
            return None;
        }
        loop {
            id = self.successors.remove(&id)?;
            if let Some(connection) = self.get_mut(id) {
                connection.predecessor = None;
                return Some(id).filter(|_| connection.in_fair_queue);
            }
        }
    }

    /// Takes a connection that is lost and has nothing left to receive.
    pub(crate) fn poll_drained(&mut self) -> Option<ConnectionId> {
        self.drained.pop()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // ---- time

    /// Notes when the connection next needs to be looked at.
    pub(crate) fn arm_timer(&mut self, id: ConnectionId) {
        let Some(connection) = self.get_mut(id) else { return };
        let (before, after) = (connection.timer, connection.deadline());
        // Deadlines that move into the future are found out when the old one comes.
        let keep = matches!((before, after), (Some(before), Some(after)) if before <= after);
        if keep || before == after {
            return;
        }
        connection.timer = after;
        before.map(|before| self.timers.remove(&(before, id)));
        after.map(|after| self.timers.insert((after, id)));
    }

    /// When a connection is next to be looked at.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a connection whose time has come.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<ConnectionId> {
        let &(deadline, id) = self.timers.first().filter(|(deadline, _)| *deadline <= now)?;
        self.timers.remove(&(deadline, id));
        if let Some(connection) = self.get_mut(id) {
            connection.timer = None;
        }
        Some(id)
    }

    pub(crate) fn begin_heartbeat(&mut self, id: ConnectionId, now: Instant) {
        let heartbeat = Heartbeat::new(&self.options, now);
        if let Some(connection) = self.get_mut(id).filter(|connection| connection.has_heartbeats()) {
            connection.heartbeat = Some(heartbeat);
        }
        self.arm_timer(id);
    }

    pub(crate) fn apply_heartbeat_interval(&mut self, id: ConnectionId) {
        let heartbeat = self.slots.find_mut(id).and_then(|connection| connection.heartbeat.as_mut());
        heartbeat.into_iter().for_each(|heartbeat| heartbeat.set_interval(&self.options));
        self.arm_timer(id);
    }

    /// What the time demands of the connection.
    pub(crate) fn due(&mut self, id: ConnectionId, now: Instant) -> Result<Due, ProtocolError> {
        let Some(connection) = self.slots.find_mut(id) else { return Ok(Due::Nothing) };
        let sent = Sent { written: connection.counters.bytes_out, queued: connection.queued_len() as u64 };
        match (&mut connection.heartbeat, connection.handshake_deadline) {
            (Some(heartbeat), _) => {
                if connection.read_paused {
                    // We do not listen: its silence says nothing.
                    heartbeat.received(now);
                }
                Ok(heartbeat.handle_timeout(&self.options, sent, now))
            }
            (None, Some(deadline)) if deadline <= now => Err(ProtocolError::HandshakeTimedOut),
            _ => Ok(Due::Nothing),
        }
    }

    // ---- bytes

    pub(crate) fn wants_read(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.slots.find_mut(id) else { return false };
        if connection.is_over() {
            return false;
        }
        let full = connection.recv_is_full(&self.options);
        if full && !connection.read_paused {
            connection.counters.recv_hwm_hits += 1;
            connection.read_paused = true;
        }
        !full
    }

    pub(crate) fn read(
        &mut self,
        id: ConnectionId,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        let Some(connection) = self.slots.find_mut(id) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let limit = connection.read_limit(&self.options);
        let result = if connection.is_handshaking() {
            connection.inbound.read_from_stranger(HANDSHAKE_READ_LEN, read)?
        } else if let Some(opener) = &mut connection.opener {
            opener.read(limit, &mut self.spares, read)?
        } else {
            connection.inbound.read(limit, &mut self.spares, read)?
        };
        connection.counters.bytes_in += result.len as u64;
        Ok(result)
    }

    /// Goes on through what has come on a connection; see [`Inbound::scan`](super::inbound::Inbound::scan).
    pub(crate) fn scan(&mut self, id: ConnectionId) -> Result<Option<ScannedCommand>, ProtocolError> {
        let Some(connection) = self.slots.find_mut(id) else { return Ok(None) };
        if !connection.is_ready() {
            return Ok(None);
        }
        // A sender in the same process keeps the rules, and so does who makes messages of datagrams.
        let rules = match connection.outbox {
            Outbox::Wire(_) if !connection.is_mute() => {
                Some(MessageRules { len_max: self.options.max_message_size, shape: self.shape })
            }
            _ => None,
        };
        if let Some(opener) = &mut connection.opener {
            opener.open(&mut connection.inbound, self.options.max_message_size, &self.bodies, &mut self.spares);
        }
        let rules = rules.filter(|rules| rules.len_max.is_some() || rules.shape != Shape::Any);
        let command = connection.inbound.scan(connection.version, rules, &self.bodies)?;
        self.waste.append(&mut connection.inbound.spent);
        if command.is_none()
            && let Some(failure) = connection.opener.as_ref().and_then(|opener| opener.failure())
        {
            return Err(failure.into());
        }
        if command.is_none()
            && let Outbox::Wire(_) = connection.outbox
        {
            connection.inbound.release(&mut self.spares);
        }
        Ok(command)
    }

    pub(crate) fn end_write(&mut self, id: ConnectionId, mut output: Output) {
        let Some(connection) = self.slots.find_mut(id) else {
            return self.waste.take_frames(&mut output.into_parts().0);
        };
        let written = connection.in_flight.bytes - output.remaining();
        connection.counters.bytes_out += written as u64;
        self.written_len += written as u64;
        connection.in_flight = Load::default();
        connection.draining = output.remaining() == 0 && connection.is_ready();
        if output.remaining() > 0 {
            if let Stage::Ready = connection.stage {
                // What the transport took of them makes room.
                output.count_messages_left(connection.outbox_version);
            }
            connection.unsent = Some(output);
            return;
        }
        let (mut frames, sealer) = output.into_parts();
        if frames.messages > 0 {
            connection.greetings = 0;
        }
        connection.sealer = sealer.or(connection.sealer.take());
        self.waste.take_frames(&mut frames);
        frames.clear();
        self.spares.give_back(frames.take_spare());
        let has_more = match &connection.outbox {
            Outbox::Wire(frames) => connection.is_ready() && !frames.is_empty() || !connection.prelude.is_empty(),
            Outbox::Memory(_) => false,
        };
        if has_more {
            self.want_flush(id);
        }
    }

    /// Whether the pattern waits for room in the connection, and there is some. It is told only once.
    pub(crate) fn take_room_for(&mut self, id: ConnectionId) -> bool {
        let waits = self.get_mut(id).is_some_and(|connection| std::mem::take(&mut connection.wants_room));
        waits && self.has_room(id)
    }

    // ---- memory pipes

    /// Tells all pipes the high-water marks as they are now.
    pub(crate) fn apply_hwms(&mut self) {
        for connection in self.slots.iter_mut() {
            if let Outbox::Memory(pipes) = &mut connection.outbox {
                pipes.batch.forget_places();
                pipes.out.set_send_hwm(self.options.send_hwm);
                pipes.input.set_recv_hwm(self.options.recv_hwm);
            }
        }
    }

    /// Takes what the other end of the connection's pipe has written, if all before is taken.
    pub(crate) fn refill(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        let refilled = connection.refill();
        if let Outbox::Memory(pipes) = &mut connection.outbox {
            // Told by the writer: that alone does not make a stream.
            pipes.streaming = false;
            // The reader may have changed its high-water mark.
            pipes.batch.forget_places();
        }
        refilled
    }

    /// Has this side told of what comes next through the connection's pipe; at once, if something is there.
    pub(crate) fn listen(&mut self, id: ConnectionId) {
        let Some(connection) = self.get_mut(id) else { return };
        // Else the pipe is looked at when the rest has been cut, or the backlog is gone.
        let has_backlog = connection.has_backlog();
        let listens = connection.inbound.is_drained() && !has_backlog;
        connection.read_paused |= has_backlog;
        if let Outbox::Memory(pipes) = &mut connection.outbox
            && listens
        {
            pipes.ended |= pipes.input.listen() == Taken::Ended;
        }
    }

    /// Takes all that the other end of the connection's pipe has written, behind what is not cut yet. Says whether there
    /// was something: not from a peer that broke a rule, or of which the application has a whole share to receive.
    pub(crate) fn take_rest_of_pipe(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.get_mut(id) else { return false };
        if !connection.is_ready() || connection.has_backlog() {
            return false;
        }
        let Outbox::Memory(pipes) = &connection.outbox else { return false };
        let inbound = &mut connection.inbound;
        pipes.input.take(|frames| inbound.append(frames)) == Taken::Some
    }

    /// Whether the other end has closed, and all that it wrote is taken. Says so once.
    pub(crate) fn take_pipe_end(&mut self, id: ConnectionId) -> bool {
        self.get_mut(id).is_some_and(Connection::take_pipe_end)
    }

    /// Joins the connection with a socket of the same process: `out` and `input` are the two directions. What was
    /// queued goes into the pipe.
    pub(crate) fn attach_pipes(&mut self, id: ConnectionId, out: Arc<Pipe>, input: Arc<Pipe>, peer: PeerInfo) {
        let Some(connection) = self.slots.find_mut(id) else { return };
        let queued = connection.take_unsent_messages(&mut self.waste);
        if !queued.is_empty() {
            connection.counters.bytes_out += queued.len() as u64;
            out.write_encoded(&queued);
        }
        connection.outbox = Outbox::Memory(MemoryPipes {
            out,
            input,
            batch: Batch::default(),
            consumed: 0,
            streaming: false,
            found: 0,
            ended: false,
            end_told: false,
            publish_at: 0,
            pause_spins: PAUSE_SPINS_MIN,
        });
        connection.peer = Arc::new(peer);
        connection.version = Version::V3_1;
        connection.stage = Stage::Ready;
        connection.counters.established += 1;
    }
}

impl Connection {
    /// Whether its pattern will take messages from it: whoever is in no fair queue has nothing for its pattern.
    fn has_waiting(&self) -> bool {
        self.in_fair_queue && self.inbound.messages() > 0
    }

    #[inline]
    fn note_written(&mut self, written: Written, len: usize) {
        match written {
            Written::Yes => {
                self.counters.messages_out += 1;
                self.counters.bytes_out += len as u64;
            }
            Written::Full => {
                self.wants_room = true;
                self.counters.send_hwm_hits += 1;
            }
            Written::Gone => {}
        }
    }

    /// Counts what was written to the pipe, and what it has replaced there.
    #[inline]
    fn note_change(&mut self, Change { written, added_len, replaced }: Change) {
        self.counters.conflated += replaced.messages as u64;
        self.counters.messages_out -= replaced.messages as u64;
        self.counters.bytes_out -= replaced.bytes as u64;
        self.note_written(written, added_len);
    }

    /// Takes from the pipe what the sender put there.
    fn refill(&mut self) -> bool {
        let has_backlog = self.has_backlog();
        let Outbox::Memory(pipes) = &mut self.outbox else { return false };
        if has_backlog {
            self.read_paused = true;
            return false;
        }
        let inbound = &mut self.inbound;
        if !inbound.is_drained() {
            return false;
        }
        if pipes.streaming {
            // A faster reader that came for each single message would fight with the writer for every one of them.
            (0..pipes.pause_spins).for_each(|_| std::hint::spin_loop());
        }
        let taken = pipes.input.take(|frames| inbound.swap(frames));
        if pipes.streaming {
            pipes.adapt_pause(inbound.messages());
        }
        pipes.streaming = taken == Taken::Some;
        pipes.found = inbound.messages();
        pipes.ended |= taken == Taken::Ended;
        pipes.streaming
    }

    /// Whether the other end is gone and all that it wrote is taken; says so once.
    fn take_pipe_end(&mut self) -> bool {
        match &mut self.outbox {
            Outbox::Memory(pipes) if pipes.ended => !std::mem::replace(&mut pipes.end_told, true),
            _ => false,
        }
    }

    #[inline]
    fn note_consumed(&mut self) {
        if let Outbox::Memory(pipes) = &mut self.outbox {
            pipes.consumed += 1;
            if pipes.consumed >= pipes.publish_at || self.inbound.messages() == 0 {
                pipes.publish_at = pipes.input.publish_consumed(pipes.consumed);
            }
        }
    }

    fn drop_all_but_newest(&mut self, waste: &mut Waste) {
        let mut older = Message::new();
        while self.inbound.messages() > 1 || self.inbound.messages() == 1 && self.has_newer_in_pipe() {
            self.inbound.cut(self.version, &mut older);
            waste.take_message(&mut older);
            self.counters.conflated += 1;
            self.note_consumed();
            if self.inbound.messages() == 0 {
                self.refill();
            }
        }
        waste.append(&mut self.inbound.spent);
    }

    fn drop_received(&mut self, waste: &mut Waste) {
        let mut dropped = Message::new();
        while self.inbound.messages() > 0 {
            self.inbound.cut(self.version, &mut dropped);
            waste.take_message(&mut dropped);
            self.counters.dropped_on_arrival += 1;
            self.note_consumed();
        }
        waste.append(&mut self.inbound.spent);
        if matches!(self.stage, Stage::Raw) && self.inbound.has_unscanned() {
            self.inbound.consume(self.inbound.unscanned().len());
            self.counters.dropped_on_arrival += 1;
        }
    }

    /// Drops what has come and is not received, as the connection goes.
    fn drop_inbound(&mut self, waste: &mut Waste) {
        waste.take_frames(self.inbound.frames_mut());
        waste.append(&mut self.inbound.spent);
    }

    fn has_newer_in_pipe(&self) -> bool {
        match &self.outbox {
            Outbox::Wire(_) => false,
            Outbox::Memory(pipes) => pipes.input.has_messages(),
        }
    }
}
