//! The machine of one socket: its pattern, tied to its connections.

use std::{io, num::NonZeroU32, sync::Arc, time::Instant};

use crate::{
    connection::{
        Connection, ConnectionId, Connections, Flush, FrameBuffer, Output, PeerCredentials, PeerInfo, Pipe, Progress,
        Read, ScannedCommand, Shape, Stage, Verdict, Waste, heartbeat,
    },
    crypto::Random,
    error::{Denial, Incompatibility, ProtocolError},
    event::Event,
    frame::{BodyInPlace, Frame},
    mechanism::{self, Credentials, Role},
    message::{Message, Outgoing},
    options::Options,
    pattern::{self, GroupRefusal, Pattern, RecvRefusal, SendRefusal, SubscribeRefusal},
    socket_type::SocketType,
    wire::{
        Command,
        metadata::{IDENTITY, Metadata, SOCKET_TYPE},
    },
    zap,
};

/// A socket without I/O: messages on one side, bytes of its connections on the other.
///
/// Its driver makes connections with [`open`](Self::open) (to be connected) and [`accept`](Self::accept), starts them
/// with [`start`](Self::start), feeds what comes in to [`read`](Self::read), and says when a transport's connection is
/// gone with [`lose`](Self::lose). After each of these, and after each of the application's calls, it
/// 1. takes events from [`poll_event`](Self::poll_event) and does what they say,
/// 2. reads on those of [`poll_resumed`](Self::poll_resumed),
/// 3. writes for those of [`poll_flush`](Self::poll_flush), between [`begin_write`](Self::begin_write) and
///    [`end_write`](Self::end_write),
/// 4. calls [`handle_timeout`](Self::handle_timeout) when [`next_timeout`](Self::next_timeout) has come,
/// 5. and drops what [`take_waste`](Self::take_waste) gives, where it holds no lock.
pub struct Socket {
    socket_type: SocketType,
    connections: Connections,
    pattern: Box<dyn Pattern>,
    /// Its peers do not speak ZMTP.
    is_raw: bool,
    /// The [`room_epoch`](Self::room_epoch) at which a message last found no room.
    no_room_at: Option<u64>,
}

impl Socket {
    /// A socket without connections.
    pub fn new(socket_type: SocketType, mut options: Options) -> Self {
        options.fit(socket_type);
        let pattern = pattern::new(socket_type, &options);
        let is_raw = is_raw(socket_type, &options);
        let connections = Connections::new(options, Shape::of(socket_type));
        let mut socket = Self { socket_type, connections, pattern, is_raw, no_room_at: None };
        socket.set_mark_of_bursts();
        socket
    }

    // ---- getters

    /// The socket's type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// Whether its peers do not speak ZMTP: STREAM, and ROUTER with `router_raw`.
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// The options, as they are now.
    pub fn options(&self) -> &Options {
        &self.connections.options
    }

    /// The connections, with their peers and counters. What is gathered for several of them goes into their queues before.
    pub fn connections(&mut self) -> &Connections {
        self.connections.deal_lot();
        &self.connections
    }

    /// One of the connections, if it is still there.
    #[inline]
    pub fn connection(&mut self, id: ConnectionId) -> Option<&Connection> {
        self.connections.look_at(id)
    }

    /// The number of prefixes subscribed to, or of groups joined: by this socket (SUB, XSUB, DISH) or by its peers (PUB,
    /// XPUB, RADIO).
    pub fn subscriptions(&self) -> usize {
        self.pattern.subscriptions()
    }

    /// The number by which messages name the peer, if the socket is a SERVER or PEER. It is there as soon as messages are
    /// queued for the connection.
    pub fn routing_id_of(&self, id: ConnectionId) -> Option<NonZeroU32> {
        self.pattern.routing_id_of(id)
    }

    /// The connection to the peer that messages name by this number.
    pub fn peer_with(&self, routing_id: NonZeroU32) -> Option<ConnectionId> {
        self.pattern.peer_with(routing_id)
    }

    // ---- the application's side

    /// Hands a message on.
    ///
    /// # Errors
    /// Why it was not taken; nothing has happened then.
    #[inline]
    pub fn send(&mut self, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        if let Outgoing::Body(body) = message
            && self.connections.write_to_only_peer(body)
        {
            return Ok(());
        }
        self.send_by_pattern(message)
    }

    #[inline(never)]
    fn send_by_pattern(&mut self, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        self.check_frames(message)?;
        self.find_all();
        let sent = self.pattern.send(&mut self.connections, message);
        self.note_refusal(sent)
    }

    /// Hands messages on together, until one finds no room; `tell` hears what became of each. Returns how many there were
    /// before that one. Sockets of the same process get theirs all at once.
    pub fn send_together(
        &mut self,
        messages: &[Message],
        mut tell: impl FnMut(&Message, Result<(), SendRefusal>),
    ) -> usize {
        self.connections.begin_batch();
        let sent = messages.iter().take_while(|message| {
            let sent = self.send(&Outgoing::Borrowed(message));
            tell(message, sent);
            sent != Err(SendRefusal::WouldBlock)
        });
        let count = sent.count();
        self.connections.end_batch();
        count
    }

    /// Attempts to send, or to [check](Self::check), as one of a burst: of the messages that follow each other without a
    /// pause each peer is given no more than could wait for it, even if those before have gone already. That holds for
    /// sockets that refuse what finds no room, but for STREAM, SERVER and PEER: none that drops it drops more.
    ///
    /// A burst ends with a message that is received, with one that is sent as none of it where peers have had their share,
    /// and where its driver says so: because there was a pause, or somebody has looked what the socket is ready for.
    ///
    /// # Errors
    /// As those of the attempt; [`SendRefusal::EndOfBurst`] if it is the burst alone that has no room. The next burst has
    /// begun then.
    pub fn in_burst(&mut self, attempt: impl FnOnce(&mut Self) -> Result<(), SendRefusal>) -> Result<(), SendRefusal> {
        let attempted = attempt(InBurst::begin(self).0);
        if attempted == Err(SendRefusal::WouldBlock) { self.refuse_in_burst() } else { attempted }
    }

    /// Why a message of a burst is refused: those who have room, if there are any, have had their share.
    #[cold]
    fn refuse_in_burst(&mut self) -> Result<(), SendRefusal> {
        if self.connections.burst.met.is_empty() {
            return Err(SendRefusal::WouldBlock);
        }
        self.end_burst();
        // The message finds room in the next burst.
        self.connections.note_room();
        Err(SendRefusal::EndOfBurst)
    }

    /// The number of the burst that the next message of one belongs to; greater by one with each.
    #[inline]
    pub fn burst(&self) -> u64 {
        self.connections.burst.number
    }

    /// There was a pause: what is sent next begins a burst.
    #[inline]
    pub fn end_burst(&mut self) {
        self.connections.burst.number += 1;
        if !self.connections.burst.met.is_empty() {
            self.take_turns_again();
        }
    }

    /// Who had had a share of the burst is given messages again.
    #[cold]
    fn take_turns_again(&mut self) {
        for id in std::mem::take(&mut self.connections.burst.met) {
            if !self.is_retired(id) {
                self.tell_of_peers(|pattern, connections| pattern.writable(connections, id));
            }
        }
    }

    /// What is no attempt of a burst finds all who have room.
    #[inline]
    fn find_all(&mut self) {
        if !self.connections.burst.met.is_empty() && !self.connections.burst.is_on {
            self.end_burst();
        }
    }

    /// Whether a message that finds no room is refused, and not dropped.
    fn refuses_for_room(&self) -> bool {
        use SocketType::*;
        let options = &self.connections.options;
        match self.socket_type {
            _ if options.conflate => false,
            Router => options.router_mandatory && !self.is_raw,
            Pub | XPub => options.xpub_nodrop,
            Pair | Req | Dealer | Push | Client | Scatter | Channel => true,
            _ => false,
        }
    }

    #[inline]
    fn note_refusal(&mut self, sent: Result<(), SendRefusal>) -> Result<(), SendRefusal> {
        if sent == Err(SendRefusal::WouldBlock) {
            self.no_room_at = Some(self.room_epoch());
        }
        sent
    }

    #[inline]
    fn check_frames(&self, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        if let Outgoing::Body(_) = message { Ok(()) } else { self.check_frames_of(message) }
    }

    #[inline(never)]
    fn check_frames_of(&self, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        match message.len() {
            0 => Err(SendRefusal::Malformed),
            2.. if self.connections.options.conflate || self.socket_type.is_single_frame() => {
                Err(SendRefusal::Malformed)
            }
            _ => Ok(()),
        }
    }

    /// ROUTER: whether there is room for messages to the peer of this name; `None`: there is no such peer.
    pub fn has_room_for(&mut self, routing_id: &[u8]) -> Option<bool> {
        self.find_all();
        self.pattern.has_room_for(&mut self.connections, routing_id)
    }

    /// What [`send`](Self::send) would say now to a message of several frames that begins with this one: for callers
    /// that are given a message frame by frame.
    ///
    /// # Errors
    /// Why it would not be taken.
    pub fn check(&mut self, first: &[u8]) -> Result<(), SendRefusal> {
        if !self.socket_type.can_send() {
            return Err(SendRefusal::NotSupported);
        }
        if self.connections.options.conflate || self.socket_type.is_single_frame() {
            return Err(SendRefusal::Malformed);
        }
        self.find_all();
        let checked = self.pattern.check(&mut self.connections, first);
        self.note_refusal(checked)
    }

    /// Puts the next message into `into`.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub fn recv(&mut self, into: &mut Message) -> Result<(), RecvRefusal> {
        if self.take_small(|body| body.copy_to(into)).is_some() {
            return Ok(());
        }
        self.end_burst();
        let received = self.pattern.recv(&mut self.connections, into);
        self.remove_drained();
        received
    }

    /// Puts the next message into `into`, and whose it is into `peer`; `None`: it tells of a peer that is gone. Where the
    /// peer is the one that is there, it is left alone.
    ///
    /// # Errors
    /// Why there is none; `peer` is as it was.
    #[inline]
    pub fn recv_from(&mut self, into: &mut Message, peer: &mut Option<Arc<PeerInfo>>) -> Result<(), RecvRefusal> {
        self.end_burst();
        let received = self.pattern.recv(&mut self.connections, into);
        if received.is_ok() {
            // Before the connection of a peer that is lost goes with its last message.
            self.connections.name_sender(peer);
        }
        self.remove_drained();
        received
    }

    /// Receives the next message as [`recv_from`](Self::recv_from) does, if that is one of several that have come from one
    /// peer, has one frame, and is small: `take` gets its body where it stands. `None`: it is to be received otherwise, if
    /// there is one; `peer` is as it was.
    ///
    /// No message is made of it: where the caller has a form of its own, that saves most of the time.
    #[inline]
    pub fn recv_small_from<T>(
        &mut self,
        peer: &mut Option<Arc<PeerInfo>>,
        take: impl FnOnce(BodyInPlace<'_>) -> T,
    ) -> Option<T> {
        let taken = self.take_small(take)?;
        self.connections.name_sender(peer);
        Some(taken)
    }

    #[inline]
    fn take_small<T>(&mut self, take: impl FnOnce(BodyInPlace<'_>) -> T) -> Option<T> {
        let pattern = &self.pattern;
        let taken = self.connections.take_small_in_run(|options, body| pattern.passes_on(options, body), take)?;
        self.end_burst();
        Some(taken)
    }

    /// Ends the bodies in a message that another is to be received into, where the lock is held already: they are among
    /// those of [`take_waste`](Self::take_waste).
    #[inline]
    pub fn end_bodies_of(&mut self, message: &mut Message) {
        self.connections.drop_message(message);
    }

    #[inline]
    fn remove_drained(&mut self) {
        while let Some(id) = self.connections.poll_drained() {
            self.remove(id);
        }
    }

    /// Whether [`send`](Self::send) would find room. Where that depends on the peer that the message names (ROUTER with
    /// mandatory, STREAM, SERVER, PEER): whether any peer has some. Where it depends on the message otherwise (XPUB with nodrop):
    /// whether something has changed since it found none.
    pub fn can_send(&mut self) -> bool {
        self.find_all();
        let may_have_room = self.no_room_at != Some(self.room_epoch());
        (may_have_room || self.addresses_peers()) && self.pattern.can_send(&mut self.connections)
    }

    /// How many bytes wait for the peers among which [`send`](Self::send) chooses, if it is
    /// [far](crate::limits::LEAD_LEN_MAX) ahead of each of them: whoever may wait had better do so, as long as they take
    /// some. Nobody has to, and those who drop what finds no room are ahead of nobody.
    pub fn lead(&self) -> Option<usize> {
        self.pattern.lead(&self.connections)
    }

    /// The bytes that transports have taken.
    pub fn written_len(&self) -> u64 {
        self.connections.written_len
    }

    /// Grows whenever something has changed that may decide about a message which found no room: there may be some, or
    /// its peer is gone and it will be refused. Whoever waits to send remembers what it was when the message was refused,
    /// and tries again when it is another: others, whose messages go elsewhere, may have been refused since.
    #[inline]
    pub fn room_epoch(&self) -> u64 {
        self.connections.room_epoch
    }

    /// Whether it has become another's turn since [`note_turn`](Self::note_turn): a REQ may send again, a REP may send, or
    /// receive again. That may be what somebody waits for, and is of no interest where nobody waits.
    #[inline]
    pub fn turn_changed(&self) -> bool {
        self.connections.turn_changed
    }

    /// Those who wait are about to hear whose turn it is.
    pub fn note_turn(&mut self) {
        self.connections.turn_changed = false;
    }

    /// The [`room_epoch`](Self::room_epoch) at which a message last found no room.
    pub fn refused_at(&self) -> Option<u64> {
        self.no_room_at
    }

    fn addresses_peers(&self) -> bool {
        matches!(self.socket_type, SocketType::Router | SocketType::Stream | SocketType::Server | SocketType::Peer)
    }

    /// Whether [`recv`](Self::recv) would find a message.
    pub fn can_recv(&mut self) -> bool {
        let can_recv = self.pattern.can_recv(&mut self.connections);
        self.remove_drained();
        can_recv
    }

    /// Subscribes to all messages whose first frame starts with `prefix`; XPUB with manual: in the name of the peer
    /// whose subscription was received last.
    ///
    /// # Errors
    /// If the socket type does not subscribe, or the table is full.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.connections.note_room();
        self.pattern.subscribe(&mut self.connections, prefix)
    }

    /// Ends one subscription.
    ///
    /// # Errors
    /// If there is no such one.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        self.connections.note_room();
        self.pattern.unsubscribe(&mut self.connections, prefix)
    }

    /// Receives from now on the messages to this group.
    ///
    /// # Errors
    /// If the socket type joins no groups, or it has joined this one.
    pub fn join(&mut self, group: &[u8]) -> Result<(), GroupRefusal> {
        self.pattern.join(&mut self.connections, group)
    }

    /// Receives messages to this group no longer.
    ///
    /// # Errors
    /// If it has not joined it.
    pub fn leave(&mut self, group: &[u8]) -> Result<(), GroupRefusal> {
        self.pattern.leave(&mut self.connections, group)
    }

    /// Changes options; they apply from now on, to connections that are there, too, where that has a meaning.
    pub fn set_options(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.connections.options);
        self.connections.note_room();
        self.connections.options.fit(self.socket_type);
        self.become_raw_or_not();
        self.set_mark_of_bursts();
        self.pattern.options_changed(&self.connections.options);
        self.connections.apply_hwms();
        for id in self.connections.ids() {
            self.offer_room(id);
            self.connections.resume(id);
            self.connections.apply_heartbeat_interval(id);
        }
    }

    fn set_mark_of_bursts(&mut self) {
        let send_hwm = self.connections.options.send_hwm;
        self.connections.burst.mark = if self.refuses_for_room() { send_hwm } else { 0 };
    }

    /// A ROUTER that has no connection yet can still become raw, or be so no more.
    fn become_raw_or_not(&mut self) {
        let options = &self.connections.options;
        let is_raw = is_raw(self.socket_type, options);
        if is_raw != self.is_raw && self.connections.ids().is_empty() {
            self.pattern = pattern::new(self.socket_type, options);
            self.is_raw = is_raw;
        }
    }

    // ---- connections

    /// Makes a connection for a peer that is to be connected to. Unless the options say
    /// [`immediate`](Options::immediate), messages are queued for it from now on.
    pub fn open(&mut self, assigned_routing_id: Option<Frame>) -> ConnectionId {
        let id = self.insert(Role::Client, assigned_routing_id);
        self.open_queue(id);
        id
    }

    fn open_queue(&mut self, id: ConnectionId) {
        if !self.connections.options.immediate {
            self.connections.note_room();
            self.tell_of_peers(|pattern, connections| pattern.opened(connections, id));
        }
    }

    /// Makes a connection for a peer that has connected to us.
    pub fn accept(&mut self) -> ConnectionId {
        self.insert(Role::Server, None)
    }

    fn insert(&mut self, role: Role, assigned_routing_id: Option<Frame>) -> ConnectionId {
        let id = self.connections.insert(role);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.assigned_routing_id = assigned_routing_id;
        }
        id
    }

    /// What the transport knows of the peer, to be said before [`start`](Self::start).
    pub fn know_peer(
        &mut self,
        id: ConnectionId,
        address: Arc<str>,
        credentials: Option<PeerCredentials>,
        descriptor: Option<i32>,
    ) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.know_peer(PeerInfo { address: Some(address), credentials, descriptor, ..PeerInfo::default() });
        }
    }

    /// The transport's peers answer no PINGs that are encrypted: with CURVE there are no heartbeats. To be said before
    /// [`start`](Self::start).
    pub fn seal_no_heartbeats(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.seals_no_heartbeats = true;
        }
    }

    /// The transport's connection is there: the handshake begins. Its keys, if it has any, are made of what `random` gives.
    pub fn start(&mut self, id: ConnectionId, now: Instant, random: Random<'_>) {
        if self.is_raw {
            return self.start_raw(id);
        }
        let Some(role) = self.connections.get(id).map(|connection| connection.role) else { return };
        let mechanism = mechanism::new(&self.connections.options, &self.metadata(), role, random);
        let routing_id = self.connections.options.routing_id.clone();
        let timeout = self.connections.options.handshake_timeout;
        let socket_type = self.socket_type;
        if let Some(connection) = self.connections.get_mut(id) {
            connection.begin_handshake(
                socket_type,
                routing_id,
                mechanism,
                timeout.and_then(|timeout| now.checked_add(timeout)),
            );
        }
        self.connections.arm_timer(id);
        self.connections.want_flush(id);
    }

    /// There is a place to send datagrams from and to receive them at, whoever the peers are: messages flow without a
    /// handshake, framed as in ZMTP 3.1, and each is a datagram. The driver turns the ones into the others.
    pub fn start_datagrams(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.begin_without_handshake();
        self.connections.note_room();
        self.tell_of_peers(|pattern, connections| pattern.established(connections, id));
        self.connections.want_flush(id);
    }

    /// Datagrams were dropped by the driver: on arrival, because they break the format, or in the place of sending them,
    /// because they are too long or the system refused them.
    pub fn count_dropped_datagrams(&mut self, id: ConnectionId, incoming: u64, outgoing: u64) {
        self.connections.count(id, |counters| {
            counters.dropped_on_arrival += incoming;
            counters.lost += outgoing;
        });
    }

    /// Messages that an intermediary held for this socket were dropped, since [`send`](Self::send) refuses them or they
    /// were never complete.
    pub fn count_lost(&mut self, messages: u64) {
        self.connections.count_unaddressed(|counters| counters.lost += messages);
    }

    /// Bytes that came over a connection were thrown away by the driver: it reads on only to see the peer's end.
    pub fn count_discarded(&mut self, id: ConnectionId, len: usize) {
        self.connections.count(id, |counters| {
            counters.bytes_in += len as u64;
            counters.discarded_bytes += len as u64;
        });
    }

    fn metadata(&self) -> Metadata {
        let options = &self.connections.options;
        let mut metadata = Metadata::new();
        metadata.push(SOCKET_TYPE, self.socket_type.name());
        if self.socket_type.announces_routing_id() {
            metadata.push(IDENTITY, &options.routing_id[..]);
        }
        options.metadata.iter().for_each(|(name, value)| metadata.push(name, value));
        metadata
    }

    fn start_raw(&mut self, id: ConnectionId) {
        if let Err(reason) = self.admit(id, &PeerInfo::default()) {
            return self.connections.fail(id, reason.into());
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.stage = Stage::Raw;
            connection.draining = true;
        }
        self.establish(id);
    }

    /// Whether there is a place for this peer, as far as it is known. In the handshake it is asked before each of our
    /// commands.
    ///
    /// # Errors
    /// Why there is none.
    pub fn admit(&self, id: ConnectionId, peer: &PeerInfo) -> Result<(), Incompatibility> {
        // One that is retired takes no place.
        if self.is_retired(id) { Ok(()) } else { self.pattern.admit(&self.connections, id, peer) }
    }

    /// What a peer in the same process is told of this socket.
    pub fn introduction(&self) -> PeerInfo {
        let metadata = self.metadata();
        let routing_id = Frame::from(metadata.get(IDENTITY).unwrap_or_default());
        PeerInfo { socket_type: Some(self.socket_type), routing_id, metadata, ..PeerInfo::default() }
    }

    /// Joins the connection with a socket of the same process; see [`Pipe`]. What was queued goes over. It fails if the
    /// peer is not [admitted](Self::admit).
    pub fn attach(&mut self, id: ConnectionId, out: Arc<Pipe>, input: Arc<Pipe>, peer: PeerInfo) {
        let admitted = self.admit(id, &peer);
        if admitted.is_ok() {
            self.greet(id);
        }
        self.connections.attach_pipes(id, out, input, peer);
        match admitted {
            Ok(()) => self.establish(id),
            Err(reason) => return self.connections.fail(id, reason.into()),
        }
        self.pipe_changed(id);
    }

    /// A socket of the same process that does not fit was turned away before there was a connection.
    pub fn count_handshake_failure(&mut self) {
        self.connections.count_unaddressed(|counters| counters.handshake_failures += 1);
    }

    fn establish(&mut self, id: ConnectionId) {
        self.connections.note_room();
        self.connections.push_event(Event::Established(id));
        if !self.is_retired(id) {
            self.tell_of_peers(|pattern, connections| pattern.established(connections, id));
            if self.connections.options.router_notify_connect {
                self.tell_of_peer(id, &Frame::new());
            }
        }
    }

    /// Tells the pattern of something that may change to whom it sends.
    fn tell_of_peers(&mut self, tell: impl FnOnce(&mut dyn Pattern, &mut Connections)) {
        tell(&mut *self.pattern, &mut self.connections);
        self.connections.note_only_peer(self.pattern.only_peer());
    }

    /// Sends what goes before all that is queued.
    fn greet(&mut self, id: ConnectionId) {
        if self.is_retired(id) || self.is_raw {
            return;
        }
        if let Some(hello) = self.connections.options.hello_message.clone() {
            self.connections.greet(id, &hello);
        }
        if self.connections.options.probe_router {
            self.connections.greet(id, &Frame::new());
        }
    }

    /// Receives a message in the peer's name, behind what it has sent so far; not among bytes without frames.
    fn tell_of_peer(&mut self, id: ConnectionId, message: &Frame) {
        if !self.is_raw && self.connections.insert_received(id, message) {
            self.pattern.readable(&mut self.connections, id);
        }
    }

    /// Receives what the options want to be told of the end of a connection, behind the last message that came.
    fn tell_of_end(&mut self, id: ConnectionId, reopen: Reopen) {
        let was_peer = |connection: &&Connection| !connection.retired && connection.counters().established > 0;
        let Some(connection) = self.connections.get(id).filter(was_peer) else { return };
        let options = &self.connections.options;
        let is_of_process = connection.peer().version.is_none();
        let notice = (options.router_notify_disconnect && !is_of_process).then(Frame::new);
        let message = match (connection.role, reopen) {
            (Role::Server, _) => options.disconnect_message.clone(),
            (Role::Client, Reopen::Yes) => options.hiccup_message.clone(),
            (Role::Client, Reopen::No) => None,
        };
        notice.into_iter().chain(message).for_each(|message| self.tell_of_peer(id, &message));
    }

    fn is_retired(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some_and(|connection| connection.retired)
    }

    /// The transport's connection is gone. What came whole can still be received, as can what a socket of the same process
    /// has handed over.
    ///
    /// With `reopen`, a new connection takes over what was queued and not sent whole, to be connected again.
    pub fn lose(&mut self, id: ConnectionId, reopen: Reopen) -> Option<ConnectionId> {
        if self.connections.take_rest_of_pipe(id) {
            self.scan(id);
        }
        let unsent = self.connections.detach(id)?;
        let assigned_routing_id = self.connections.get(id)?.assigned_routing_id.clone();
        self.connections.note_room();
        self.tell_of_peers(|pattern, connections| pattern.lost(connections, id));
        self.tell_of_end(id, reopen);
        let reopened = (reopen == Reopen::Yes).then(|| self.reopen(id, unsent, assigned_routing_id));
        if let Some(next) = reopened {
            self.connections.succeed(id, next);
        }
        if !self.connections.keep_received(id) {
            self.remove(id);
        }
        reopened
    }

    fn reopen(&mut self, lost: ConnectionId, unsent: FrameBuffer, routing_id: Option<Frame>) -> ConnectionId {
        let unsent = match self.socket_type {
            SocketType::Pub | SocketType::XPub | SocketType::Sub | SocketType::Stream | SocketType::Radio => {
                FrameBuffer::default()
            }
            _ => unsent,
        };
        let id = self.insert(Role::Client, routing_id);
        let discards = self.connections.get(lost).is_some_and(|connection| connection.discards);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.discards = discards;
        }
        if !unsent.is_empty() {
            self.connections.count(lost, |counters| {
                counters.lost -= unsent.messages() as u64;
                counters.messages_out -= unsent.messages() as u64;
            });
            if let Some(connection) = self.connections.get_mut(id) {
                connection.adopt_queue(unsent);
            }
        }
        self.open_queue(id);
        id
    }

    /// Sends no more to a connection, and lets what is queued for it go out; [`lose`](Self::lose) or
    /// [`remove`](Self::remove) ends it.
    pub fn retire(&mut self, id: ConnectionId) {
        self.connections.note_room();
        if let Some(connection) = self.connections.get_mut(id) {
            connection.retired = true;
        }
        self.tell_of_peers(|pattern, connections| pattern.lost(connections, id));
    }

    /// Receives no more from a connection: what has come, also over those in whose place it was made, and what comes, is
    /// dropped and counted. Its peer's commands are obeyed as before.
    pub fn discard(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.discards = true;
        let mut before = connection.predecessor.take();
        while let Some(id) = before {
            before = self.connections.get_mut(id).and_then(|connection| connection.predecessor.take());
            self.pattern.discard(&mut self.connections, id);
            self.remove(id);
        }
        self.connections.drop_received(id);
        self.pattern.discard(&mut self.connections, id);
        self.read_pipe(id);
    }

    /// Our direction of a connection is closed, or about to be: nothing is written to it any more, neither messages nor
    /// what answers the peer. What comes can still be read.
    pub fn close_output(&mut self, id: ConnectionId) {
        self.connections.close_output(id);
    }

    /// Forgets a connection with all that it holds.
    pub fn remove(&mut self, id: ConnectionId) {
        if self.connections.detach(id).is_some() {
            self.connections.note_room();
            self.tell_of_peers(|pattern, connections| pattern.lost(connections, id));
        }
        if self.connections.get(id).is_some() {
            self.pattern.removed(id);
            self.connections.remove(id);
        }
    }

    /// Forgets all connections with all that they hold.
    pub fn remove_all(&mut self) {
        self.connections.ids().into_iter().for_each(|id| self.remove(id));
    }

    // ---- bytes in

    /// Whether the connection should be read now. If not, [`poll_resumed`](Self::poll_resumed) names it later.
    pub fn wants_read(&mut self, id: ConnectionId) -> bool {
        self.connections.wants_read(id)
    }

    /// Reads once with `read`, which appends to the spare capacity of the vector it is given, and works on what came.
    /// A [`Read`] of length 0 says that the peer closed.
    ///
    /// # Errors
    /// What `read` returned.
    pub fn read(
        &mut self,
        id: ConnectionId,
        now: Instant,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<Read> {
        let result = self.connections.read(id, read)?;
        if result.len > 0 {
            self.received(id, now);
        }
        Ok(result)
    }

    fn received(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Some(heartbeat) = &mut connection.heartbeat {
            heartbeat.received(now);
        }
        self.go_on(id, now);
    }

    fn go_on(&mut self, id: ConnectionId, now: Instant) {
        if self.connections.get(id).is_some_and(Connection::is_handshaking) {
            self.handshake(id, now);
        }
        match self.connections.get(id).map(|connection| &connection.stage) {
            Some(Stage::Ready) => self.scan(id),
            Some(Stage::Raw) => self.pattern.readable(&mut self.connections, id),
            _ => {}
        }
    }

    fn handshake(&mut self, id: ConnectionId, now: Instant) {
        let advanced = self.advance_handshake(id);
        let credentials = self.connections.get_mut(id).and_then(Connection::take_credentials);
        self.connections.want_flush(id);
        if let Some(credentials) = credentials {
            return self.ask_for_verdict(id, credentials, now);
        }
        match advanced {
            Ok(Progress::Done) => {
                self.connections.begin_heartbeat(id, now);
                self.greet(id);
                self.establish(id);
            }
            Ok(_) => {}
            Err(error) => self.refuse(id, error),
        }
    }

    /// Goes on with the handshake as long as the pattern has a place for whom it shows.
    fn advance_handshake(&mut self, id: ConnectionId) -> Result<Progress, ProtocolError> {
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return Ok(Progress::Waits) };
            match connection.advance_handshake()? {
                Progress::Learned => {
                    let peer = Arc::clone(connection.peer());
                    self.admit(id, &peer)?;
                }
                progress => return Ok(progress),
            }
        }
    }

    fn refuse(&mut self, id: ConnectionId, error: ProtocolError) {
        if let ProtocolError::Incompatible(reason) = &error
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.tell_refusal(reason);
        }
        self.connections.fail(id, error);
    }

    /// Asks whether the peer may come in, where somebody is to be asked.
    fn ask_for_verdict(&mut self, id: ConnectionId, credentials: Credentials, now: Instant) {
        let options = &self.connections.options;
        if options.zap_enforce_domain && options.zap_domain.is_empty() && !options.security.needs_authenticator() {
            return self.judge(id, Verdict::NobodyAsked, now);
        }
        let peer = self.connections.get(id).map(|connection| Arc::clone(connection.peer()));
        let address = peer.and_then(|peer| peer.address.clone());
        let address = zap::address_of(address.as_deref().unwrap_or_default());
        let request = zap::Request::new(options.zap_domain.clone(), address, options.routing_id.clone(), credentials);
        self.connections.push_event(Event::Authenticate(id, Box::new(request)));
    }

    /// Goes on with a handshake that waits for its peer to be judged: [`Event::Authenticate`].
    pub fn judge(&mut self, id: ConnectionId, verdict: Verdict, now: Instant) {
        let options = &self.connections.options;
        let enforces = options.zap_enforce_domain && !options.zap_domain.is_empty();
        let must_ask = enforces || options.security.needs_authenticator();
        let Some(connection) = self.connections.get_mut(id).filter(|connection| connection.awaits_verdict()) else {
            return;
        };
        let judged = match verdict {
            Verdict::NobodyAsked if must_ask => Err(Denial::NoAuthenticator.into()),
            verdict => connection.judge(verdict),
        };
        if let Err(error) = judged {
            self.connections.want_flush(id);
            return self.connections.fail(id, error);
        }
        self.connections.resume(id);
        self.go_on(id, now);
    }

    fn scan(&mut self, id: ConnectionId) {
        loop {
            match self.connections.scan(id) {
                Ok(Some(command)) => self.command(id, command),
                Ok(None) => break,
                Err(error) => {
                    self.tell_of_messages(id);
                    self.connections.fail(id, error);
                    break;
                }
            }
        }
        self.tell_of_messages(id);
        if self.connections.options.conflate {
            self.connections.drop_all_but_newest(id);
        }
    }

    /// Lets the pattern see the messages that have come, before what comes behind them.
    fn tell_of_messages(&mut self, id: ConnectionId) {
        if self.connections.get(id).is_some_and(|connection| connection.discards) {
            return self.connections.drop_received(id);
        }
        if self.connections.get(id).is_some_and(|connection| connection.inbound.messages() > 0) {
            // The end of a subscription, as older peers send it, may be what a publisher waits for.
            if matches!(self.socket_type, SocketType::Pub | SocketType::XPub) {
                self.connections.note_room();
            }
            self.pattern.readable(&mut self.connections, id);
        }
    }

    fn command(&mut self, id: ConnectionId, command: ScannedCommand) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // Copied, because the answer is written to the connection that holds the command.
        let body = match command {
            ScannedCommand::Here(range) => Frame::from(connection.inbound.bytes(range)),
            ScannedCommand::Large(body) => Frame::from(body),
        };
        // Subscriptions of older versions are messages; and what is wrong with one is told before what is wrong here.
        self.tell_of_messages(id);
        if !self.connections.get(id).is_some_and(Connection::is_ready) {
            return;
        }
        match Command::decode(&body) {
            Ok(Command::Subscribe(prefix)) => self.subscription(id, true, prefix),
            Ok(Command::Cancel(prefix)) => self.subscription(id, false, prefix),
            Ok(Command::Join(group)) => self.membership(id, true, group),
            Ok(Command::Leave(group)) => self.membership(id, false, group),
            Ok(Command::Ping { ttl_deciseconds, context }) => self.ping(id, ttl_deciseconds, context),
            Ok(Command::Pong(_) | Command::Unknown(_)) => {}
            Ok(Command::Error(reason)) => {
                let reason = reason.escape_ascii().to_string();
                self.connections.fail(id, ProtocolError::RefusedByPeer(reason));
            }
            Err(error) => self.connections.fail(id, error.into()),
        }
    }

    fn subscription(&mut self, id: ConnectionId, subscribe: bool, prefix: &[u8]) {
        self.connections.note_room();
        self.pattern.subscription(&mut self.connections, id, subscribe, prefix);
    }

    fn membership(&mut self, id: ConnectionId, joins: bool, group: &[u8]) {
        if !self.is_retired(id) {
            self.pattern.membership(&mut self.connections, id, joins, group);
        }
    }

    fn ping(&mut self, id: ConnectionId, ttl_deciseconds: u16, context: &[u8]) {
        self.connections.write_answer(id, Command::Pong(context));
        if let Some(heartbeat) = self.connections.get_mut(id).and_then(|connection| connection.heartbeat.as_mut()) {
            heartbeat.received_ping(ttl_deciseconds);
            self.connections.arm_timer(id);
        }
    }

    /// Something happened at the other end of the connection's pipes.
    pub fn pipe_changed(&mut self, id: ConnectionId) {
        self.read_pipe(id);
        self.offer_room(id);
    }

    /// Takes what is in the connection's pipe, and no more: a peer that goes on writing must not keep this side from
    /// everything else.
    fn read_pipe(&mut self, id: ConnectionId) {
        if self.connections.refill(id) {
            self.scan(id);
            self.connections.listen(id);
        }
        if self.connections.take_pipe_end(id) {
            self.connections.push_event(Event::PeerClosed(id));
        }
    }

    // ---- bytes out

    /// Takes what is to be written now; `None` if there is nothing. One write may be under way for a connection.
    pub fn begin_write(&mut self, id: ConnectionId) -> Option<Output> {
        self.connections.get_mut(id)?.begin_write()
    }

    /// Gives back what [`begin_write`](Self::begin_write) gave, after writing as much of it as the transport took.
    pub fn end_write(&mut self, id: ConnectionId, output: Output) {
        self.connections.end_write(id, output);
        self.offer_room(id);
    }

    fn offer_room(&mut self, id: ConnectionId) {
        if !self.is_retired(id) && self.connections.take_room_for(id) {
            self.connections.note_room();
            self.tell_of_peers(|pattern, connections| pattern.writable(connections, id));
        }
    }

    // ---- the driver's questions

    /// Whether bodies were dropped, which the driver is to [take](Self::take_waste).
    #[inline]
    pub fn has_waste(&self) -> bool {
        self.connections.has_waste()
    }

    /// Takes the bodies that were dropped. To drop them for good may run code of the application's: it is to be done
    /// where no lock is held.
    pub fn take_waste(&mut self) -> Waste {
        self.connections.take_waste()
    }

    /// The next connection that wants to be written.
    #[inline]
    pub fn poll_flush(&mut self) -> Option<(ConnectionId, Flush)> {
        self.connections.poll_flush()
    }

    /// The next connection that may be read again.
    pub fn poll_resumed(&mut self) -> Option<ConnectionId> {
        self.connections.poll_resumed()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(id) = self.connections.poll_unscanned() {
            self.scan(id);
            self.read_pipe(id);
        }
        self.connections.poll_event()
    }

    /// Whether one of the three has something.
    #[inline]
    pub fn wants_attention(&self) -> bool {
        self.connections.wants_attention()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.connections.next_timeout()
    }

    /// Does what is due: sends PINGs, gives up handshakes and peers.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.connections.expired(now) {
            self.connection_timeout(id, now);
            self.connections.arm_timer(id);
        }
    }

    fn connection_timeout(&mut self, id: ConnectionId, now: Instant) {
        match self.connections.due(id, now) {
            Ok(heartbeat::Due::Nothing) => {}
            Ok(heartbeat::Due::Ping) => {
                let ttl_deciseconds = heartbeat::ttl_deciseconds(self.connections.options.heartbeat_ttl);
                self.connections.write_command(id, Command::Ping { ttl_deciseconds, context: b"" });
            }
            Ok(heartbeat::Due::PeerGone) => self.connections.fail(id, ProtocolError::HeartbeatTimedOut),
            Err(error) => self.connections.fail(id, error),
        }
    }
}

/// A socket while it attempts to send as one of a burst.
struct InBurst<'a>(&'a mut Socket);

impl<'a> InBurst<'a> {
    #[inline]
    fn begin(socket: &'a mut Socket) -> Self {
        let burst = &mut socket.connections.burst;
        burst.is_on = burst.mark > 0;
        Self(socket)
    }
}

impl Drop for InBurst<'_> {
    /// However the attempt ends.
    #[inline]
    fn drop(&mut self) {
        self.0.connections.burst.is_on = false;
    }
}

fn is_raw(socket_type: SocketType, options: &Options) -> bool {
    socket_type == SocketType::Stream || socket_type == SocketType::Router && options.router_raw
}

/// Whether a lost connection is to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopen {
    /// It is: what was not sent waits for it.
    Yes,
    /// It is not: what was not sent is lost, and counted.
    No,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("socket_type", &self.socket_type).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Notify;

    struct Nobody;

    impl Notify for Nobody {
        fn notify(&self) {}
    }

    /// Or each message would cost a look at all that have had theirs.
    #[test]
    fn who_has_had_a_share_of_a_burst_is_looked_at_once() {
        let options = Options { send_hwm: 1, ..Options::default() };
        let mut push = Socket::new(SocketType::Push, options);
        let pipes = [1, 1, 1, 10].map(|recv_hwm| {
            let [out, input] = [1, 1]
                .map(|send_hwm| Arc::new(Pipe::new(send_hwm, recv_hwm, false, Arc::new(Nobody), Arc::new(Nobody))));
            let id = push.open(None);
            push.attach(id, Arc::clone(&out), input, PeerInfo::default());
            out
        });
        let mut received = [0; 4];
        for _ in 0..3 * 2 + 11 {
            assert_eq!(push.in_burst(|push| push.send(&Outgoing::Body(b"x"))), Ok(()));
            for (pipe, received) in pipes.iter().zip(&mut received) {
                *received += pipe.waiting();
                pipe.publish_consumed(*received);
            }
        }
        assert_eq!(push.connections.burst.met.len(), 3);
        assert_eq!(push.in_burst(|push| push.send(&Outgoing::Body(b"x"))), Err(SendRefusal::EndOfBurst));
        assert_eq!(push.connections.burst.met, []);
    }
}
