//! A link: the transport's end of one connection, read and written without blocking.

use std::{
    io::{self, IoSlice},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use nought_proto::{
    ConnectionId, ProtocolError,
    connection::{ConnectionTable, Output},
};
use rustix::event::epoll::EventFlags;

use super::{Core, Guard, State, datagrams::Datagrams, poller::Token};
use crate::{
    monitor::{SocketEvent, SocketEventKind},
    socket::ReconnectStop,
    transport::shield::{Shielded, ShieldedChannel},
};

/// Reads of one link before the next one has its turn.
const READS_PER_TURN: usize = 8;

/// What one link may bring in a turn, in bytes.
const READ_LEN_PER_TURN: usize = 256 * 1024;

/// What is read at once only to be dropped.
const DISCARD_LEN: usize = 64 * 1024;

/// Slices in one gathered write.
const IO_SLICES_MAX: usize = 64;

/// The links of a socket, by connection.
pub(crate) type Links = ConnectionTable<Link>;

/// One transport connection.
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    /// The channel, if it has datagrams. It stands before the channel's shield, which is to be the last handle.
    pub(super) datagrams: Option<Arc<Datagrams>>,
    pub(crate) channel: ShieldedChannel,
    pub(crate) origin: Origin,
    pub(crate) remote: Arc<str>,
    /// The transport is still connecting.
    pub(crate) connecting: bool,
    pub(crate) readable: bool,
    /// The peer has closed its direction, or the connection broke: read until that shows.
    hung_up: bool,
    /// What came has been dropped: what follows has no beginning, and is dropped, too.
    is_deaf: bool,
    pub(crate) in_ready: bool,
    writable: bool,
    /// Somebody is writing, outside of the lock.
    writing: bool,
    /// While somebody was writing, the transport told of new room.
    room_while_writing: bool,
    /// The link is to be given up when the write is over.
    lost_while_writing: Option<LostBecause>,
    pub(super) received_since_write: bool,
    /// Its output is left to the driver.
    pub(super) dirty: bool,
    /// Something was written since the driver last looked at this link's output.
    pub(super) written_since_look: bool,
}

/// Where a link comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The listener with this number.
    Listener(u32),
    /// The connector with this number.
    Connector(u32),
    /// It is a place for datagrams, which was bound.
    Place,
}

/// Why a link is given up.
#[derive(Clone, Debug)]
pub(crate) enum LostBecause {
    /// The peer closed.
    PeerClosed,
    /// The pattern or the application wants no more of it.
    Closed,
    /// The peer broke a rule or does not fit.
    Protocol(ProtocolError),
    /// The transport's error.
    Transport(Arc<io::Error>),
}

impl Link {
    pub(crate) fn new(id: ConnectionId, channel: ShieldedChannel, origin: Origin, connecting: bool) -> Self {
        Self {
            id,
            remote: channel.remote_endpoint().unwrap_or_default().into(),
            channel,
            datagrams: None,
            origin,
            connecting,
            readable: !connecting,
            hung_up: false,
            is_deaf: false,
            in_ready: false,
            writable: !connecting,
            writing: false,
            room_while_writing: false,
            lost_while_writing: None,
            received_since_write: false,
            dirty: false,
            written_since_look: false,
        }
    }

    pub(super) fn of_datagrams(id: ConnectionId, datagrams: Datagrams, origin: Origin) -> Self {
        let datagrams = Arc::new(datagrams);
        Self { datagrams: Some(Arc::clone(&datagrams)), ..Self::new(id, Shielded::new(datagrams), origin, false) }
    }

    pub(super) fn become_connected(&mut self) {
        self.connecting = false;
        self.readable = true;
        self.writable = true;
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing
    }

    pub(crate) fn can_write(&self) -> bool {
        self.writable && !self.writing && !self.connecting
    }

    /// Has the channel write on what it says by itself.
    fn flush(&self) -> io::Result<()> {
        match self.channel.flush() {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            flushed => flushed,
        }
    }
}

impl Core {
    /// Makes a link of a channel that stands or is on its way.
    pub(crate) fn add_link(&self, state: &mut State, link: Link) -> io::Result<()> {
        self.poller.add(link.channel.readiness()?, Token::Link(link.id))?;
        state.links.insert(link.id, link);
        Ok(())
    }

    /// The poller is to tell no more of it. A descriptor that cannot be named leaves the poller when it is closed.
    pub(super) fn stop_watching(&self, link: &Link) {
        if let Ok(fd) = link.channel.readiness() {
            self.poller.remove(fd);
        }
    }

    pub(crate) fn link_event(&self, state: &mut State, id: ConnectionId, flags: EventFlags, now: Instant) {
        let Some(link) = state.links.get_mut(id) else { return };
        if link.connecting {
            return self.finish_connecting(state, id, now);
        }
        if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            link.hung_up = true;
        }
        if flags.contains(EventFlags::OUT) {
            if link.writing {
                link.room_while_writing = true;
            } else {
                let flushed = link.flush();
                if !std::mem::replace(&mut link.writable, true) {
                    state.unblocked.push(id);
                }
                if let Err(error) = flushed {
                    return self.lose_link(state, id, LostBecause::Transport(Arc::new(error)));
                }
            }
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            let Some(link) = state.links.get_mut(id) else { return };
            link.readable = true;
            state.mark_ready(id);
        }
    }

    /// Gives each link that may have something to read its turn.
    pub(crate) fn read_ready(&self, state: &mut State, now: Instant) {
        for _ in 0..state.ready.len() {
            let Some(id) = state.ready.pop_front() else { return };
            self.read_link(state, id, now);
        }
    }

    fn read_link(&self, state: &mut State, id: ConnectionId, now: Instant) {
        let Some(link) = state.links.get_mut(id) else { return };
        link.in_ready = false;
        let is_deaf = link.is_deaf;
        let channel = link.channel.clone();
        let mut read_len = 0;
        for _ in 0..READS_PER_TURN {
            if is_deaf || !state.machine.wants_read(id) {
                return self.discard_if_leaving(state, id);
            }
            let result = state.machine.read(id, now, |into| channel.read(into));
            state.count_dropped_datagrams(id);
            state.unsettled |= !is_would_block(&result);
            let Some(link) = state.links.get_mut(id) else { return };
            match result {
                Ok(read) if read.len == 0 => return self.lose_link(state, id, LostBecause::PeerClosed),
                Ok(read) => {
                    link.received_since_write = true;
                    read_len += read.len;
                    if !read.filled && !link.hung_up && link.datagrams.is_none() && !channel.holds_more() {
                        // Less came than there was room for: the transport is drained, and will tell of more. (Of
                        // datagrams that does not say it: there may be more behind malformed ones.)
                        link.readable = false;
                        return;
                    }
                    if read_len >= READ_LEN_PER_TURN {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    link.readable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lose_link(state, id, LostBecause::Transport(Arc::new(error))),
            }
        }
        state.mark_ready(id);
    }

    /// Reads and drops what comes for a socket that is closed, or over a connection that waits for its peer's farewell,
    /// and would not be read any more: so that the peer's end shows, and nothing unread makes the system reset the
    /// connection.
    fn discard_if_leaving(&self, state: &mut State, id: ConnectionId) {
        if !state.closing && !state.retiring.awaits_farewell(id) {
            return;
        }
        state.unsettled = true;
        let Some(link) = state.links.get_mut(id) else { return };
        link.is_deaf = true;
        let channel = link.channel.clone();
        let mut scratch = Vec::with_capacity(DISCARD_LEN);
        for _ in 0..READS_PER_TURN {
            scratch.clear();
            match channel.read(&mut scratch) {
                Ok(0) => return self.lose_link(state, id, LostBecause::PeerClosed),
                Ok(len) => state.machine.count_discarded(id, len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    link.readable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lose_link(state, id, LostBecause::Transport(Arc::new(error))),
            }
        }
        state.mark_ready(id);
    }

    /// Reads the only link without having been told of anything: a poll without the poller.
    pub(crate) fn poll_only_link(&self, state: &mut State, now: Instant) -> bool {
        let Some(link) = state.links.only_mut().filter(|link| !link.connecting) else { return false };
        link.readable = true;
        let id = link.id;
        state.mark_ready(id);
        self.read_ready(state, now);
        true
    }

    /// Writes for the links whose transport has room again.
    pub(crate) fn write_unblocked<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        while let Some(id) = state.unblocked.pop() {
            if state.links.get_mut(id).is_some_and(|link| link.can_write()) {
                state = self.write_one(state, id);
            }
        }
        state
    }

    /// Writes what the connection has, and for those whose transport has got room meanwhile.
    pub(crate) fn write_out<'a>(&'a self, state: Guard<'a>, id: ConnectionId) -> Guard<'a> {
        let state = self.write_one(state, id);
        if state.unblocked.is_empty() { state } else { self.write_unblocked(state) }
    }

    /// Writes what the connection has, outside of the lock, until its transport takes no more.
    fn write_one<'a>(&'a self, mut state: Guard<'a>, id: ConnectionId) -> Guard<'a> {
        let State { links, machine, .. } = &mut *state;
        let Some(link) = links.get_mut(id) else { return state };
        let Some(mut output) = machine.begin_write(id) else { return state };
        link.writing = true;
        link.room_while_writing = false;
        let channel = link.channel.clone();
        drop(state);

        let result = transmit(&channel, &mut output);
        // A panic of the application's in it, which the panic hook has told, must not leave the link as if being written.
        let _ = catch_unwind(AssertUnwindSafe(|| output.release_written()));

        let mut state = self.lock();
        state.machine.end_write(id, output);
        state.count_dropped_datagrams(id);
        state.note_change(id);
        let Some(link) = state.links.get_mut(id) else { return state };
        link.writing = false;
        link.received_since_write = false;
        link.written_since_look = true;
        if let Some(because) = link.lost_while_writing.take() {
            self.lose_link(&mut state, id, because);
            return state;
        }
        let flushed = match result {
            // The channel may have something to say since, for which this was the room.
            Ok(Transmitted::All) if link.room_while_writing => link.flush().map(|()| Transmitted::All),
            result => result,
        };
        match flushed {
            Ok(Transmitted::All) => {}
            Ok(Transmitted::Blocked) if link.room_while_writing => state.unblocked.push(id),
            Ok(Transmitted::Blocked) => link.writable = false,
            Err(error) => self.lose_link(&mut state, id, LostBecause::Transport(Arc::new(error))),
        }
        if channel.holds_more() {
            self.read_soon(&mut state, id);
        }
        state
    }

    /// Has a link read although the kernel tells of nothing.
    fn read_soon(&self, state: &mut State, id: ConnectionId) {
        let Some(link) = state.links.get_mut(id) else { return };
        link.readable = true;
        state.mark_ready(id);
        self.go_on_reading(state);
    }

    /// Gives a link up: what came whole stays, what was not sent is kept for a reconnect.
    pub(crate) fn lose_link(&self, state: &mut State, id: ConnectionId, because: LostBecause) {
        let Some(link) = state.links.get_mut(id) else {
            // A peer in the same process has no link.
            return self.lose_memory_connection(state, id, &because);
        };
        if link.writing {
            link.lost_while_writing.get_or_insert(because);
            return;
        }
        if matches!(because, LostBecause::Protocol(_) | LostBecause::Closed) {
            say_goodbye(state, id);
        }
        let Some(link) = state.links.remove(id) else { return };
        self.stop_watching(&link);
        state.forget_inquiry(id);
        state.note_change(id);
        let connection = state.machine.connection(id);
        // Bytes without frames have no handshake that would be counted.
        let was_ready = connection.is_some_and(|known| known.is_ready() || known.counters().established > 0);
        let stops = !was_ready && stops_connecting(state.options.reconnect_stop, &because);
        if matches!(because, LostBecause::Protocol(ProtocolError::RefusedByPeer(_))) {
            state.endpoints.note_refusal_of(id);
        }
        self.publish_loss(state, &link, was_ready, because);
        match link.origin {
            Origin::Listener(_) | Origin::Place => {
                state.machine.lose(id, nought_proto::socket::Reopen::No);
            }
            Origin::Connector(index) if stops => self.stop_connecting(state, index, id),
            Origin::Connector(index) => self.connector_lost(state, index, id),
        }
    }

    fn publish_loss(&self, state: &mut State, link: &Link, was_ready: bool, because: LostBecause) {
        let kind = match because {
            LostBecause::Protocol(error) if !was_ready => SocketEventKind::HandshakeFailed { error },
            because => SocketEventKind::Disconnected { reason: because.into() },
        };
        let event = SocketEvent::new(link.channel.local_endpoint(), Some(link.remote.to_string()), kind);
        let event = event.of(link.origin).at(link.channel.readiness());
        self.publish(state, event.after_establishment(was_ready));
    }
}

impl State {
    fn count_dropped_datagrams(&mut self, id: ConnectionId) {
        let Some(datagrams) = self.links.get(id).and_then(|link| link.datagrams.as_ref()) else { return };
        if let (incoming, outgoing) = datagrams.take_dropped()
            && incoming + outgoing > 0
        {
            self.machine.count_dropped_datagrams(id, incoming, outgoing);
        }
    }
}

/// Whether a peer is left alone after this end of the handshake with it. One that ends it without a word is most likely
/// none of ours.
fn stops_connecting(stop: ReconnectStop, because: &LostBecause) -> bool {
    match because {
        LostBecause::Closed => false,
        LostBecause::Protocol(error) if error.status_at_peer().is_some() => stop.denied || stop.handshake_failed,
        LostBecause::Protocol(_) | LostBecause::PeerClosed | LostBecause::Transport(_) => stop.handshake_failed,
    }
}

fn is_would_block<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Writes what is left for a peer that is given up (an ERROR that says why, the end of a stream), as far as the
/// transport takes it at once.
fn say_goodbye(state: &mut State, id: ConnectionId) {
    let Some(link) = state.links.get_mut(id).filter(|link| link.can_write()) else { return };
    let channel = link.channel.clone();
    while let Some(mut output) = state.machine.begin_write(id) {
        let transmitted = transmit(&channel, &mut output);
        state.machine.end_write(id, output);
        if !matches!(transmitted, Ok(Transmitted::All)) {
            break;
        }
    }
    let _ = channel.close_write();
}

enum Transmitted {
    All,
    Blocked,
}

fn transmit(channel: &ShieldedChannel, output: &mut Output) -> io::Result<Transmitted> {
    while output.remaining() > 0 {
        let mut slices = [IoSlice::new(&[]); IO_SLICES_MAX];
        let used = output.io_slices(&mut slices);
        match channel.write(&slices[..used]) {
            Ok(len) => output.advance(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Transmitted::Blocked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Transmitted::All)
}
