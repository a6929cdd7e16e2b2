//! One machine with several connections, over wires and within the process, whose driver, application and peers do
//! whatever they may, in any order: nothing panics, nothing hangs, and the counters stay sane.
#![no_main]

use std::{
    io::{self, IoSlice},
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use nought_fuzz::{Decisions, hello, options};
use nought_proto::{
    Connection, ConnectionId, Event, Message, Socket, SocketType,
    connection::{Notify, Output, Pipe},
    socket::Reopen,
};

struct World {
    sockets: [Socket; 2],
    /// Connections of the first socket, with what is being written for each.
    connections: Vec<(ConnectionId, Option<Output>)>,
    mail: [Arc<Mutex<Vec<ConnectionId>>>; 2],
    now: Instant,
}

struct Mail(Arc<Mutex<Vec<ConnectionId>>>, ConnectionId);

impl Notify for Mail {
    fn notify(&self) {
        self.0.lock().unwrap().push(self.1);
    }
}

const CONNECTIONS_MAX: usize = 6;

impl World {
    fn new(decisions: &mut Decisions<'_>) -> Self {
        let socket_type = decisions.socket_type();
        let mut options = options(decisions);
        let bits = decisions.byte();
        options.send_hwm = [0, 1, 5, 1000][usize::from(bits & 3)];
        options.conflate = bits & 4 != 0;
        options.immediate = bits & 8 != 0;
        options.router_handover = bits & 16 != 0;
        options.router_mandatory = bits & 32 != 0;
        options.router_raw = bits & 136 == 136;
        options.probe_router = bits & 64 != 0;
        options.router_notify_connect = bits & 4 != 0;
        options.router_notify_disconnect = bits & 8 != 0;
        options.hello_message = (bits & 16 != 0).then(|| "hello".into());
        options.disconnect_message = (bits & 32 != 0).then(|| "gone".into());
        options.hiccup_message = (bits & 128 != 0).then(|| "hiccup".into());
        options.xpub_manual_last_value = bits & 8 != 0;
        options.xpub_nodrop = bits & 64 != 0;
        options.req_relaxed = bits & 128 != 0;
        options.req_correlate = bits & 16 != 0;
        options.invert_matching = bits & 32 != 0;
        options.heartbeat_interval = (bits & 64 != 0).then_some(Duration::from_millis(100));
        let peer = Socket::new(hello::fitting(socket_type), options.clone());
        Self {
            sockets: [Socket::new(socket_type, options), peer],
            connections: Vec::new(),
            mail: Default::default(),
            now: Instant::now(),
        }
    }

    fn step(&mut self, decisions: &mut Decisions<'_>) {
        let action = decisions.byte();
        match action % 20 {
            0 | 1 => self.connect(decisions, action),
            2..=5 => self.read(decisions),
            6 | 7 => self.write(decisions),
            8..=10 => self.send(decisions),
            11 => drop(self.sockets[0].recv(&mut Message::new())),
            12 => self.lose(decisions),
            13 => self.subscribe(decisions),
            14 => self.pass_time(decisions),
            15 => self.change_options(decisions),
            16 => self.join(),
            17 => self.peer(decisions),
            18 => drop((self.sockets[0].can_send(), self.sockets[0].can_recv())),
            _ => self.deliver(),
        }
        self.settle();
    }

    fn pick(&mut self, decisions: &mut Decisions<'_>) -> Option<usize> {
        let count = self.connections.len();
        (count > 0).then(|| decisions.below(count))
    }

    fn connect(&mut self, decisions: &mut Decisions<'_>, action: u8) {
        if self.connections.len() >= CONNECTIONS_MAX {
            return;
        }
        let id = if action & 32 == 0 {
            self.sockets[0].accept()
        } else {
            self.sockets[0].open((action & 64 != 0).then(|| decisions.bytes(2).into()))
        };
        if action & 128 == 0 {
            self.sockets[0].start(id, self.now, &mut |bytes| bytes.fill(7));
        }
        self.connections.push((id, None));
    }

    fn read(&mut self, decisions: &mut Decisions<'_>) {
        let Some(index) = self.pick(decisions) else { return };
        let id = self.connections[index].0;
        let socket_type = self.sockets[0].socket_type();
        let is_raw = self.sockets[0].is_raw();
        // Nothing is read for a connection within the process; it has no version.
        let has_transport = |connection: &Connection| {
            connection.is_handshaking() || connection.is_ready() && (is_raw || connection.peer().version.is_some())
        };
        if !self.sockets[0].connection(id).is_some_and(has_transport) || !self.sockets[0].wants_read(id) {
            return;
        }
        let action = decisions.byte();
        let bytes = match action & 3 {
            0 => hello::hello(hello::VERSIONS[decisions.below(4)], hello::fitting(socket_type)),
            1 => {
                let len = [0, 5, 300, 9000][decisions.below(4)];
                let mut bytes = Vec::new();
                let version = self.sockets[0].connection(id).unwrap().version();
                nought_proto::wire::Header::encode(version, action & 4 != 0, len, &mut bytes);
                bytes.resize(bytes.len() + len, action >> 6);
                bytes
            }
            _ => decisions.bytes(usize::from(action >> 2)).to_vec(),
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.sockets[0].wants_read(id) {
            let read = self.sockets[0].read(id, self.now, |into| {
                let len = rest.len().min(into.capacity() - into.len());
                into.extend_from_slice(&rest[..len]);
                rest = &rest[len..];
                Ok::<_, io::Error>(len)
            });
            assert!(read.is_ok());
            self.settle();
        }
    }

    /// Begins a write, or goes on with one, or ends it.
    fn write(&mut self, decisions: &mut Decisions<'_>) {
        let Some(index) = self.pick(decisions) else { return };
        let len = [0, 1, 100, usize::MAX][decisions.below(4)];
        let (id, writing) = &mut self.connections[index];
        let Some(mut output) = writing.take().or_else(|| self.sockets[0].begin_write(*id)) else { return };
        let mut slices = [IoSlice::new(&[]); 2];
        let used = output.io_slices(&mut slices);
        let there: usize = slices[..used].iter().map(|slice| slice.len()).sum();
        output.advance(there.min(len));
        if decisions.bit() {
            *writing = Some(output);
        } else {
            self.sockets[0].end_write(*id, output);
        }
    }

    fn send(&mut self, decisions: &mut Decisions<'_>) {
        let shape = decisions.byte();
        let len = [0, 1, 60, 10_000][usize::from(shape & 3)];
        let body = vec![shape >> 6; len];
        let addressed = match shape >> 4 & 3 {
            0 => Message::from(&body[..]).with_group(decisions.bytes(2)),
            // Numbers are counted from the seed, which is 0.
            number => Message::from(&body[..]).with_routing_id(NonZeroU32::MIN.saturating_add(number.into())),
        };
        if self.sockets[0].socket_type().is_single_frame() && shape & 8 != 0 {
            let _ = self.sockets[0].send(&addressed.into());
            return;
        }
        let _ = match shape >> 2 & 3 {
            0 => self.sockets[0].send(&(&body[..]).into()),
            1 => self.sockets[0].send(&Message::from(body).into()),
            2 => self.sockets[0].send(&Message::from([decisions.bytes(5).to_vec(), body]).into()),
            _ => self.sockets[0].send(&Message::from([vec![0, 0, 0, 0, shape >> 4], Vec::new(), body]).into()),
        };
    }

    fn lose(&mut self, decisions: &mut Decisions<'_>) {
        let Some(index) = self.pick(decisions) else { return };
        let action = decisions.byte();
        let id = self.connections[index].0;
        if action & 3 == 0 {
            return self.sockets[0].retire(id);
        }
        // As a driver does: never while it writes.
        if let Some(output) = self.connections[index].1.take() {
            self.sockets[0].end_write(id, output);
        }
        self.connections.swap_remove(index);
        match action & 3 {
            1 => self.sockets[0].remove(id),
            how => {
                let reopen = if how == 2 { Reopen::No } else { Reopen::Yes };
                if let Some(next) = self.sockets[0].lose(id, reopen) {
                    self.connections.push((next, None));
                    if action & 4 != 0 {
                        self.sockets[0].start(next, self.now, &mut |bytes| bytes.fill(7));
                    }
                }
            }
        }
    }

    fn subscribe(&mut self, decisions: &mut Decisions<'_>) {
        let shape = decisions.byte();
        let prefix = decisions.bytes(usize::from(shape & 7));
        let socket = &mut self.sockets[usize::from(shape >> 3 & 1)];
        let _ = if shape & 16 == 0 { socket.subscribe(prefix) } else { socket.unsubscribe(prefix) };
        let _ = if shape & 16 == 0 { socket.join(prefix) } else { socket.leave(prefix) };
    }

    fn pass_time(&mut self, decisions: &mut Decisions<'_>) {
        self.now += Duration::from_millis(u64::from(decisions.byte()) * 10);
        self.sockets[0].handle_timeout(self.now);
        assert!(self.sockets[0].next_timeout().is_none_or(|next| next > self.now), "the clock stands");
    }

    fn change_options(&mut self, decisions: &mut Decisions<'_>) {
        let bits = decisions.byte();
        let socket = usize::from(bits >> 7);
        self.sockets[socket].set_options(|options| {
            options.send_hwm = [0, 1, 5, 1000][usize::from(bits & 3)];
            options.recv_hwm = [0, 1, 5, 1000][usize::from(bits >> 2 & 3)];
            options.conflate ^= bits & 16 != 0;
            options.heartbeat_interval = (bits & 32 != 0).then_some(Duration::from_millis(50));
            options.xpub_manual ^= bits & 64 != 0;
        });
    }

    /// Joins the two sockets within the process.
    fn join(&mut self) {
        // Raw sockets are for strangers only.
        if self.connections.len() >= CONNECTIONS_MAX || self.sockets[0].is_raw() {
            return;
        }
        let ids = [self.sockets[0].open(None), self.sockets[1].accept()];
        let marks = |world: &Self, from: usize| {
            (world.sockets[from].options().send_hwm, world.sockets[1 - from].options().recv_hwm)
        };
        let conflate = self.sockets.iter().any(|socket| socket.options().conflate);
        let end = |world: &Self, socket: usize| Arc::new(Mail(Arc::clone(&world.mail[socket]), ids[socket]));
        let pipe = |world: &Self, from: usize| {
            let (send_hwm, recv_hwm) = marks(world, from);
            Arc::new(Pipe::new(send_hwm, recv_hwm, conflate, end(world, from), end(world, 1 - from)))
        };
        let (there, back) = (pipe(self, 0), pipe(self, 1));
        let introductions = [self.sockets[0].introduction(), self.sockets[1].introduction()];
        let [first, second] = introductions;
        self.sockets[1].attach(ids[1], Arc::clone(&back), Arc::clone(&there), first);
        self.sockets[0].attach(ids[0], there, back, second);
        self.connections.push((ids[0], None));
    }

    fn peer(&mut self, decisions: &mut Decisions<'_>) {
        let action = decisions.byte();
        let body = vec![action & 1; [0, 3, 100, 9000][usize::from(action >> 2 & 3)]];
        match action & 3 {
            0 => drop(self.sockets[1].send(&(&body[..]).into())),
            1 => drop(self.sockets[1].recv(&mut Message::new())),
            2 if action & 16 != 0 => {
                let addressed = match self.sockets[1].socket_type() {
                    SocketType::Radio => Message::from(body).with_group(decisions.bytes(1)),
                    _ => Message::from(body).with_routing_id(NonZeroU32::MIN),
                };
                let _ = self.sockets[1].send(&addressed.into());
            }
            2 => drop(self.sockets[1].send(&Message::from([decisions.bytes(5).to_vec(), body]).into())),
            _ => {
                let last = self.sockets[1].connections().iter().map(|(id, _)| id).last();
                last.into_iter().for_each(|id| self.sockets[1].remove(id));
            }
        }
    }

    fn deliver(&mut self) {
        for (mail, socket) in self.mail.iter().zip(&mut self.sockets) {
            let changed = std::mem::take(&mut *mail.lock().unwrap());
            changed.into_iter().for_each(|id| socket.pipe_changed(id));
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.sockets[0].poll_event() {
            let (Event::Failed(id, _) | Event::Closed(id) | Event::PeerClosed(id) | Event::Retired(id)) = event else {
                continue;
            };
            if let Some(index) = self.connections.iter().position(|(other, _)| *other == id)
                && let (_, Some(output)) = self.connections.swap_remove(index)
            {
                self.sockets[0].end_write(id, output);
            }
            self.sockets[0].lose(id, Reopen::No);
        }
        while let Some(Event::Failed(id, _) | Event::Closed(id) | Event::PeerClosed(id)) = self.next_end_at_peer() {
            self.sockets[1].lose(id, Reopen::No);
        }
        for socket in &mut self.sockets {
            while socket.poll_flush().is_some() {}
            while socket.poll_resumed().is_some() {}
            drop(socket.take_waste());
        }
    }

    fn next_end_at_peer(&mut self) -> Option<Event> {
        std::iter::from_fn(|| self.sockets[1].poll_event())
            .find(|event| matches!(event, Event::Failed(..) | Event::Closed(_) | Event::PeerClosed(_)))
    }

    /// Everything ends; nothing may be left but what waits to be received.
    fn end(mut self) {
        for (id, writing) in std::mem::take(&mut self.connections) {
            if let Some(output) = writing {
                self.sockets[0].end_write(id, output);
            }
            self.sockets[0].lose(id, Reopen::No);
        }
        self.deliver();
        self.settle();
        let mut message = Message::new();
        // It may be a REP's turn.
        let _ = self.sockets[0].send(&"reply".into());
        for _ in 0..1_000_000 {
            match self.sockets[0].recv(&mut message) {
                Ok(_) => drop(self.sockets[0].send(&"reply".into())),
                Err(_) if self.sockets[0].wants_attention() => self.settle(),
                Err(_) => break,
            }
        }
        let totals = self.sockets[0].connections().totals();
        assert!(totals.lost <= totals.messages_out, "{totals:?}");
        let never_drained = matches!(self.sockets[0].socket_type(), SocketType::Req);
        let left = self.sockets[0].connections().iter().count();
        assert!(left == 0 || never_drained, "{left} connections are left");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let mut world = World::new(&mut decisions);
    for _ in 0..500 {
        if decisions.is_empty() {
            break;
        }
        world.step(&mut decisions);
    }
    world.end();
});
