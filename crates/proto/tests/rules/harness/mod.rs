//! Machines joined by channels of bytes in memory: no sockets, no threads, and a clock that stands until it is moved.
//!
//! A [`Net`] does for its machines what a driver does, and nothing else, so that a test sees what the machine alone
//! decides. All bytes travel in pieces as the test wants them, and two runs of a test are the same.

pub(crate) mod curve;
pub(crate) mod wire;

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nought_proto::{
    Connection, ConnectionId, Event, Frame, Message, Options, Outgoing, ProtocolError, Socket, SocketType,
    connection::{Notify, PeerInfo, Pipe, Verdict},
    pattern::{RecvRefusal, SendRefusal},
    socket::Reopen,
    zap,
};

/// One of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(usize);

/// One of the channels: between two machines, or from one to a peer that the test plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(usize);

/// In how large pieces bytes travel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pieces {
    Whole,
    Of(usize),
    /// From 1 to 2^16 bytes, small ones more often, from this seed.
    Random(u64),
}

pub(crate) struct Net {
    nodes: Vec<NodeState>,
    links: Vec<LinkState>,
    pub(crate) now: Instant,
    pub(crate) pieces: Pieces,
    /// Judges peers; `None`: nobody is there to be asked.
    authenticator: Option<Box<Authenticator>>,
    chance: u64,
}

/// What is said of a peer; `None`: nothing yet.
type Authenticator = dyn FnMut(&zap::Request) -> Option<Verdict>;

struct NodeState {
    socket: Socket,
    events: Vec<Event>,
    retiring: Vec<ConnectionId>,
    mail: Arc<Mutex<Vec<ConnectionId>>>,
}

struct LinkState {
    ends: [End; 2],
    /// What each end has written and the other has not read.
    wires: [VecDeque<u8>; 2],
    /// What each end's transport still takes.
    rooms: [usize; 2],
    /// Which end has closed.
    closed: [bool; 2],
    /// Which end has been told not to read, and is not until the machine names it again.
    paused: [bool; 2],
}

#[derive(Clone, Copy)]
enum End {
    Machine { node: usize, id: ConnectionId, connects: bool },
    Test,
}

struct Mail {
    to: Arc<Mutex<Vec<ConnectionId>>>,
    id: ConnectionId,
}

impl Notify for Mail {
    fn notify(&self) {
        self.to.lock().unwrap().push(self.id);
    }
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            links: Vec::new(),
            now: Instant::now(),
            pieces: Pieces::Whole,
            authenticator: None,
            chance: 1,
        }
    }

    pub(crate) fn in_pieces(pieces: Pieces) -> Self {
        Self { pieces, ..Self::new() }
    }

    /// A machine with default options.
    pub(crate) fn socket(&mut self, socket_type: SocketType) -> Node {
        self.socket_with(socket_type, |_| {})
    }

    pub(crate) fn socket_with(&mut self, socket_type: SocketType, change: impl FnOnce(&mut Options)) -> Node {
        let mut options = Options::default();
        change(&mut options);
        self.nodes.push(NodeState {
            socket: Socket::new(socket_type, options),
            events: Vec::new(),
            retiring: Vec::new(),
            mail: Arc::default(),
        });
        Node(self.nodes.len() - 1)
    }

    pub(crate) fn at(&mut self, node: Node) -> &mut Socket {
        &mut self.nodes[node.0].socket
    }

    // ---- channels

    /// Connects and lets the handshake take place.
    pub(crate) fn connect(&mut self, from: Node, to: Node) -> Link {
        let link = self.dial(from, to);
        self.pump();
        link
    }

    /// Connects; nothing has travelled yet.
    pub(crate) fn dial(&mut self, from: Node, to: Node) -> Link {
        let id = self.at(from).open(None);
        self.dial_from(from, id, to)
    }

    /// Connects over a connection that is open already.
    pub(crate) fn dial_from(&mut self, from: Node, id: ConnectionId, to: Node) -> Link {
        let accepted = self.at(to).accept();
        let link = self.add_link([
            End::Machine { node: from.0, id, connects: true },
            End::Machine { node: to.0, id: accepted, connects: false },
        ]);
        self.start(from, id);
        self.start(to, accepted);
        link
    }

    fn start(&mut self, node: Node, id: ConnectionId) {
        let chance = &mut self.chance;
        let mut random = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = next_chance(chance));
        self.nodes[node.0].socket.start(id, self.now, &mut random);
    }

    /// From now on peers are judged so.
    pub(crate) fn judge_by(&mut self, authenticator: impl FnMut(&zap::Request) -> Option<Verdict> + 'static) {
        self.authenticator = Some(Box::new(authenticator));
    }

    /// A peer that the test plays connects to the machine.
    pub(crate) fn accept_test(&mut self, node: Node) -> Link {
        let id = self.at(node).accept();
        self.start_test(node, id, false)
    }

    /// The machine connects to a peer that the test plays.
    pub(crate) fn connect_test(&mut self, node: Node) -> Link {
        let id = self.at(node).open(None);
        self.start_test(node, id, true)
    }

    pub(crate) fn start_test(&mut self, node: Node, id: ConnectionId, connects: bool) -> Link {
        let link = self.add_link([End::Machine { node: node.0, id, connects }, End::Test]);
        self.start(node, id);
        link
    }

    /// A place of the machine's for datagrams, whose peers the test plays.
    pub(crate) fn datagrams_test(&mut self, node: Node) -> Link {
        let id = self.at(node).accept();
        let link = self.add_link([End::Machine { node: node.0, id, connects: false }, End::Test]);
        self.at(node).start_datagrams(id);
        link
    }

    fn add_link(&mut self, ends: [End; 2]) -> Link {
        self.links.push(LinkState {
            ends,
            wires: Default::default(),
            rooms: [usize::MAX; 2],
            closed: [false; 2],
            paused: [false; 2],
        });
        Link(self.links.len() - 1)
    }

    /// Joins two machines as sockets of one process are. Returns their ids for each other.
    pub(crate) fn join(&mut self, connecting: Node, bound: Node) -> (ConnectionId, ConnectionId) {
        let id = self.at(connecting).open(None);
        (id, self.join_from(connecting, id, bound))
    }

    pub(crate) fn join_from(&mut self, connecting: Node, id: ConnectionId, bound: Node) -> ConnectionId {
        let accepted = self.at(bound).accept();
        let end = |net: &Self, node: Node, id| -> Arc<dyn Notify> {
            Arc::new(Mail { to: Arc::clone(&net.nodes[node.0].mail), id })
        };
        let pipe = |net: &mut Self, from: Node, from_id, to: Node, to_id| {
            let (sender, receiver) = (net.at(from).options().clone(), net.at(to).options().clone());
            let conflate = sender.conflate || receiver.conflate;
            let (writer, reader) = (end(net, from, from_id), end(net, to, to_id));
            Arc::new(Pipe::new(sender.send_hwm, receiver.recv_hwm, conflate, writer, reader))
        };
        let there = pipe(self, connecting, id, bound, accepted);
        let back = pipe(self, bound, accepted, connecting, id);
        let (us, them) = (self.at(connecting).introduction(), self.at(bound).introduction());
        self.at(bound).attach(accepted, Arc::clone(&back), Arc::clone(&there), us);
        self.at(connecting).attach(id, there, back, them);
        self.pump();
        accepted
    }

    /// The machine's id for the connection; of the connecting end if both are machines.
    pub(crate) fn id(&self, link: Link) -> ConnectionId {
        self.end_id(link, 0)
    }

    pub(crate) fn accepted_id(&self, link: Link) -> ConnectionId {
        self.end_id(link, 1)
    }

    fn end_id(&self, link: Link, end: usize) -> ConnectionId {
        match self.links[link.0].ends[end] {
            End::Machine { id, .. } => id,
            End::Test => panic!("the test plays this end"),
        }
    }

    pub(crate) fn connection(&mut self, node: Node, link: Link) -> &Connection {
        let id = self.links[link.0].ends.iter().find_map(|end| match end {
            End::Machine { node: other, id, .. } if *other == node.0 => Some(*id),
            _ => None,
        });
        self.nodes[node.0].socket.connection(id.unwrap()).expect("the connection is there")
    }

    /// The peers of the machine.
    pub(crate) fn connections_of(&mut self, node: Node) -> Vec<Arc<PeerInfo>> {
        self.at(node).connections().iter().map(|(_, connection)| Arc::clone(connection.peer())).collect()
    }

    /// How many bytes the transport of the connecting end (or of the machine, if there is only one) still takes.
    pub(crate) fn room(&mut self, link: Link, room: usize) {
        self.links[link.0].rooms[0] = room;
    }

    /// The same for the accepting end.
    pub(crate) fn room_back(&mut self, link: Link, room: usize) {
        self.links[link.0].rooms[1] = room;
    }

    /// Cuts the channel. What has been written and not read is gone. A connecting end opens again, and
    /// [`reconnect`](Self::reconnect) goes on with it.
    pub(crate) fn cut(&mut self, link: Link) {
        self.links[link.0].wires = Default::default();
        self.links[link.0].closed = [true; 2];
        for end in 0..2 {
            self.lose(link, end);
        }
        self.pump();
    }

    /// Both ends lose what has not been written, and what has arrives whole before the end of the channel is seen.
    pub(crate) fn close_test(&mut self, link: Link) {
        self.links[link.0].closed[1] = true;
        self.pump();
    }

    fn lose(&mut self, link: Link, end: usize) {
        self.links[link.0].closed[end] = true;
        if let End::Machine { node, id, connects } = &mut self.links[link.0].ends[end] {
            let reopen = if *connects { Reopen::Yes } else { Reopen::No };
            if let Some(next) = self.nodes[*node].socket.lose(*id, reopen) {
                *id = next;
            }
        }
    }

    /// Makes a new channel from the connecting end of one that was cut, to that or another machine.
    pub(crate) fn reconnect(&mut self, link: Link, to: Node) -> Link {
        let End::Machine { node, id, .. } = self.links[link.0].ends[0] else { panic!("a machine connects") };
        let link = self.dial_from(Node(node), id, to);
        self.pump();
        link
    }

    /// The same to a peer that the test plays.
    pub(crate) fn reconnect_test(&mut self, link: Link) -> Link {
        let End::Machine { node, id, .. } = self.links[link.0].ends[0] else { panic!("a machine connects") };
        self.start_test(Node(node), id, true)
    }

    // ---- the test as a peer

    /// Bytes for the machine; they travel with [`pump`](Self::pump).
    pub(crate) fn write(&mut self, link: Link, bytes: impl AsRef<[u8]>) {
        self.links[link.0].wires[1].extend(bytes.as_ref());
    }

    /// Writes and pumps.
    pub(crate) fn feed(&mut self, link: Link, bytes: impl AsRef<[u8]>) {
        self.write(link, bytes);
        self.pump();
    }

    /// All that the machine has written since the last time.
    pub(crate) fn take(&mut self, link: Link) -> Vec<u8> {
        self.pump();
        self.links[link.0].wires[0].drain(..).collect()
    }

    /// Whether the machine has closed its end.
    pub(crate) fn is_closed(&mut self, link: Link) -> bool {
        self.pump();
        self.links[link.0].closed[0]
    }

    // ---- the driver

    /// Moves the clock, a step at a time where something is due on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.nodes.iter().filter_map(|node| node.socket.next_timeout()).min();
            self.now = due.map_or(end, |due| due.clamp(self.now, end));
            let now = self.now;
            self.nodes.iter_mut().for_each(|node| node.socket.handle_timeout(now));
            self.pump();
            let due = self.nodes.iter().filter_map(|node| node.socket.next_timeout()).min();
            if self.now == end && due.is_none_or(|due| due > end) {
                return;
            }
        }
    }

    /// Does what a driver does until nothing is left to do.
    pub(crate) fn pump(&mut self) {
        for round in 0.. {
            assert!(round < 10_000_000, "the machines never come to rest");
            let mut moved = false;
            for node in 0..self.nodes.len() {
                moved |= self.serve(node);
            }
            for link in 0..self.links.len() {
                for end in 0..2 {
                    moved |= self.carry(Link(link), end);
                }
            }
            if !moved {
                return self.nodes.iter_mut().for_each(|node| drop(node.socket.take_waste()));
            }
        }
    }

    /// Like [`pump`](Self::pump) for one machine, as if the other threads were slow.
    fn serve(&mut self, node: usize) -> bool {
        let mut moved = false;
        let mail = std::mem::take(&mut *self.nodes[node].mail.lock().unwrap());
        for id in mail {
            self.nodes[node].socket.pipe_changed(id);
            moved = true;
        }
        while let Some(event) = self.nodes[node].socket.poll_event() {
            moved = true;
            match &event {
                Event::Authenticate(id, request) => {
                    let verdict = match &mut self.authenticator {
                        None => Some(Verdict::NobodyAsked),
                        Some(authenticator) => authenticator(request),
                    };
                    if let Some(verdict) = verdict {
                        self.nodes[node].socket.judge(*id, verdict, self.now);
                    }
                }
                Event::Failed(id, _) | Event::Closed(id) | Event::PeerClosed(id) => self.give_up(node, *id),
                Event::Retired(id) => {
                    self.nodes[node].socket.retire(*id);
                    self.nodes[node].retiring.push(*id);
                }
                _ => {}
            }
            self.nodes[node].events.push(event);
        }
        while let Some(id) = self.nodes[node].socket.poll_resumed() {
            moved = true;
            if let Some((link, end)) = self.find(node, id) {
                self.links[link.0].paused[end] = false;
            }
        }
        while self.nodes[node].socket.poll_flush().is_some() {
            moved = true;
        }
        let NodeState { socket, retiring, .. } = &mut self.nodes[node];
        let is_flushed = |id: &ConnectionId| socket.connection(*id).is_none_or(Connection::is_flushed);
        if let Some(index) = retiring.iter().position(is_flushed) {
            let id = retiring.swap_remove(index);
            self.give_up(node, id);
            moved = true;
        }
        moved
    }

    fn find(&self, node: usize, id: ConnectionId) -> Option<(Link, usize)> {
        self.links.iter().enumerate().find_map(|(link, state)| {
            let is_it = |end: &End| matches!(end, End::Machine { node: n, id: i, .. } if (*n, *i) == (node, id));
            state.ends.iter().position(is_it).map(|end| (Link(link), end))
        })
    }

    fn give_up(&mut self, node: usize, id: ConnectionId) {
        match self.find(node, id) {
            Some((link, end)) => {
                while self.write_once(link, end) {}
                self.lose(link, end);
            }
            // In one process.
            None => drop(self.nodes[node].socket.lose(id, Reopen::No)),
        }
    }

    fn carry(&mut self, link: Link, end: usize) -> bool {
        let End::Machine { node, id, .. } = self.links[link.0].ends[end] else { return false };
        if self.links[link.0].closed[end] {
            return false;
        }
        let mut moved = self.write_once(link, end);
        if !self.links[link.0].paused[end] && !self.nodes[node].socket.wants_read(id) {
            self.links[link.0].paused[end] = true;
        }
        if self.links[link.0].paused[end] {
            return moved;
        }
        let state = &mut self.links[link.0];
        if state.wires[1 - end].is_empty() {
            if state.closed[1 - end] {
                self.lose(link, end);
                moved = true;
            }
            return moved;
        }
        let mut piece = next_piece(&mut self.pieces);
        let wire = &mut self.links[link.0].wires[1 - end];
        let read = self.nodes[node].socket.read(id, self.now, |into| {
            piece = piece.min(into.capacity() - into.len()).min(wire.len());
            into.extend(wire.drain(..piece));
            Ok::<_, io::Error>(piece)
        });
        assert_eq!(read.unwrap().len, piece);
        true
    }

    /// Writes one piece; says whether something was written.
    fn write_once(&mut self, link: Link, end: usize) -> bool {
        let End::Machine { node, id, .. } = self.links[link.0].ends[end] else { return false };
        if self.links[link.0].closed[end] || self.links[link.0].rooms[end] == 0 {
            return false;
        }
        let Some(mut output) = self.nodes[node].socket.begin_write(id) else { return false };
        let LinkState { wires, rooms, .. } = &mut self.links[link.0];
        let mut piece = next_piece(&mut self.pieces).min(rooms[end]).min(output.remaining());
        rooms[end] = rooms[end].saturating_sub(if rooms[end] == usize::MAX { 0 } else { piece });
        while piece > 0 {
            let mut slices = [IoSlice::new(&[]); 3];
            let used = output.io_slices(&mut slices);
            let mut len = 0;
            for slice in &slices[..used] {
                let part = slice.len().min(piece - len);
                wires[end].extend(&slice[..part]);
                len += part;
            }
            output.advance(len);
            piece -= len;
        }
        self.nodes[node].socket.end_write(id, output);
        true
    }

    // ---- the application

    pub(crate) fn try_send<'m>(&mut self, node: Node, message: impl Into<Outgoing<'m>>) -> Result<(), SendRefusal> {
        self.at(node).send(&message.into())
    }

    /// Sends what must be taken, and lets it travel.
    pub(crate) fn send<'m>(&mut self, node: Node, message: impl Into<Outgoing<'m>>) {
        self.try_send(node, message).expect("there is room");
        self.pump();
    }

    pub(crate) fn try_recv(&mut self, node: Node) -> Result<Message, RecvRefusal> {
        let mut message = Message::new();
        self.at(node).recv(&mut message)?;
        Ok(message)
    }

    /// Receives what must be there.
    pub(crate) fn recv(&mut self, node: Node) -> Message {
        self.pump();
        let message = self.try_recv(node).expect("there is a message");
        self.pump();
        message
    }

    /// All messages that are there.
    pub(crate) fn recv_all(&mut self, node: Node) -> Vec<Message> {
        self.pump();
        let mut messages = Vec::new();
        loop {
            match self.try_recv(node) {
                Ok(message) => messages.push(message),
                Err(_) if self.at(node).wants_attention() || self.has_mail(node) => self.pump(),
                Err(_) => return messages,
            }
            self.pump();
        }
    }

    fn has_mail(&self, node: Node) -> bool {
        !self.nodes[node.0].mail.lock().unwrap().is_empty()
    }

    pub(crate) fn expect_none(&mut self, node: Node) {
        self.pump();
        assert_eq!(self.try_recv(node), Err(RecvRefusal::WouldBlock));
    }

    /// How many messages the machine takes before it would block.
    pub(crate) fn fill(&mut self, node: Node, message: &str) -> usize {
        (0..100_000).take_while(|_| self.try_send(node, message).is_ok()).count()
    }

    /// The events so far, which are thereby forgotten.
    pub(crate) fn events(&mut self, node: Node) -> Vec<Event> {
        self.pump();
        std::mem::take(&mut self.nodes[node.0].events)
    }

    /// The one error that the machine gave a connection up for.
    pub(crate) fn error(&mut self, node: Node) -> ProtocolError {
        let errors: Vec<ProtocolError> = self
            .events(node)
            .into_iter()
            .filter_map(|event| match event {
                Event::Failed(_, error) => Some(error),
                _ => None,
            })
            .collect();
        assert_eq!(errors.len(), 1, "one failure: {errors:?}");
        errors.into_iter().next().unwrap()
    }

    pub(crate) fn expect_no_failure(&mut self, node: Node) {
        let events = self.events(node);
        assert!(!events.iter().any(|event| matches!(event, Event::Failed(..))), "{events:?}");
    }
}

/// What a test compares: the bodies as text.
pub(crate) fn texts(messages: &[Message]) -> Vec<Vec<String>> {
    let text = |frame: &Frame| String::from_utf8_lossy(frame).into_owned();
    messages.iter().map(|message| message.frames().map(text).collect()).collect()
}

/// Messages of one frame each, as text.
pub(crate) fn bodies(messages: &[Message]) -> Vec<String> {
    texts(messages)
        .into_iter()
        .map(|mut frames| {
            assert_eq!(frames.len(), 1, "one frame: {frames:?}");
            frames.remove(0)
        })
        .collect()
}

pub(crate) fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Bytes that are the same in each run.
fn next_chance(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

fn next_piece(pieces: &mut Pieces) -> usize {
    match pieces {
        Pieces::Whole => usize::MAX,
        Pieces::Of(len) => *len,
        Pieces::Random(seed) => {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = (*seed >> 33) as usize;
            1 + (bits >> 5) % (1 << (bits % 17))
        }
    }
}
