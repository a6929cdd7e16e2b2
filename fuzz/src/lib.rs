//! What the fuzz targets share: the fuzzer's bytes as decisions, and a driver of one machine whose peer they play.

pub mod hello;

use std::{
    io::{self, IoSlice},
    time::Instant,
};

use nought_proto::{
    Connection, ConnectionId, Event, Message, Options, Socket, SocketType, connection::Verdict,
    limits::HANDSHAKE_READ_LEN, socket::Reopen, zap::Reply,
};

/// The fuzzer's bytes, taken one by one as decisions; zeros once they are used up.
pub struct Decisions<'a>(&'a [u8]);

impl<'a> Decisions<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    pub fn socket_type(&mut self) -> SocketType {
        SocketType::ALL[self.below(SocketType::ALL.len())]
    }
}

/// In how large pieces bytes come in.
#[derive(Clone, Copy)]
pub enum Pieces {
    Whole,
    /// As this seed has it, small ones more often.
    Random(u64),
}

impl Pieces {
    pub fn next_len(&mut self) -> usize {
        let Self::Random(seed) = self else { return usize::MAX };
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (*seed >> 33) as usize;
        1 + (bits >> 5) % (1 << (bits % 15))
    }
}

/// What an application and a peer see of a connection.
#[derive(Debug)]
pub struct Outcome {
    socket_type: SocketType,
    received: Vec<Message>,
    events: Vec<String>,
    sent: Vec<u8>,
    subscriptions: usize,
}

impl Outcome {
    /// Asserts that it did not matter in which pieces the same bytes came, as far as it must not.
    pub fn assert_same(mut self, mut other: Self) {
        if self.socket_type == SocketType::Req {
            // What it takes for a reply, and how far it reads what it has not asked for, depends on the time.
            assert_eq!(self.events.first(), other.events.first());
            return;
        }
        assert_eq!(self.events, other.events);
        assert_eq!(self.subscriptions, other.subscriptions);
        if self.socket_type == SocketType::Stream {
            assert_eq!(self.bodies_joined(), other.bodies_joined());
        } else {
            assert_eq!(self.received, other.received);
        }
        let is_established = self.events.first().is_some_and(|event| event == "established");
        let has_failed = self.events.iter().any(|event| event.starts_with("failed"));
        match (has_failed && is_established, self.socket_type == SocketType::Rep) {
            (false, false) => assert_eq!(self.sent, other.sent),
            // Where among the answers the replies stand depends on the time.
            (false, true) => {
                self.sent.sort_unstable();
                other.sent.sort_unstable();
                assert_eq!(self.sent, other.sent);
            }
            // So does how many of the answers still go out before the end.
            (true, false) => assert!(self.sent.starts_with(&other.sent) || other.sent.starts_with(&self.sent)),
            (true, true) => {}
        }
    }

    /// Bytes without frames come as they are read; between notices they are the same.
    fn bodies_joined(&self) -> Vec<Vec<u8>> {
        let mut joined = vec![Vec::new()];
        for message in &self.received {
            match &message[1][..] {
                [] => joined.push(Vec::new()),
                body => joined.last_mut().expect("never empty").extend_from_slice(body),
            }
        }
        joined
    }
}

/// Lets a peer connect to a machine and send `bytes`, receives everything, and closes.
pub fn run(socket_type: SocketType, options: Options, bytes: &[u8], pieces: Pieces) -> Outcome {
    let mut driver = Driver::new(socket_type, options, pieces);
    driver.feed(bytes);
    let subscriptions = driver.socket.subscriptions();
    if !driver.is_over {
        driver.socket.lose(driver.id, Reopen::No);
        driver.receive();
    }
    assert_eq!(driver.socket.connections().iter().count(), 0, "a connection that is over is left");
    let Driver { received, events, sent, .. } = driver;
    Outcome { socket_type, received, events, sent, subscriptions }
}

struct Driver {
    socket: Socket,
    id: ConnectionId,
    pieces: Pieces,
    now: Instant,
    is_over: bool,
    received: Vec<Message>,
    events: Vec<String>,
    sent: Vec<u8>,
}

impl Driver {
    fn new(socket_type: SocketType, options: Options, pieces: Pieces) -> Self {
        let mut socket = Socket::new(socket_type, options);
        let (id, now) = (socket.accept(), Instant::now());
        socket.start(id, now, &mut |bytes| bytes.fill(7));
        let (received, events, sent) = (Vec::new(), Vec::new(), Vec::new());
        let mut driver = Self { socket, id, pieces, now, is_over: false, received, events, sent };
        driver.settle();
        driver
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over {
            if !self.socket.wants_read(self.id) {
                if self.socket.socket_type() == SocketType::Req {
                    // It has asked nothing, and takes no answer.
                    return;
                }
                let before = self.received.len();
                self.receive();
                let has_moved = self.received.len() > before || self.is_over || self.socket.wants_read(self.id);
                assert!(has_moved, "nothing to receive, and nothing is read");
                continue;
            }
            let piece = self.pieces.next_len();
            let is_stranger = self.socket.connection(self.id).is_some_and(Connection::is_handshaking);
            let read = self.socket.read(self.id, self.now, |into| {
                let len = piece.min(bytes.len()).min(into.capacity() - into.len());
                assert!(len > 0, "no room to read");
                assert!(
                    !is_stranger || into.capacity() <= HANDSHAKE_READ_LEN,
                    "a stranger makes us hold more than that"
                );
                into.extend_from_slice(&bytes[..len]);
                bytes = &bytes[len..];
                Ok::<_, io::Error>(len)
            });
            assert!(read.is_ok());
            self.settle();
            if piece.is_multiple_of(3) {
                self.receive();
            }
        }
        self.receive();
    }

    fn receive(&mut self) {
        let mut message = Message::new();
        while self.socket.recv(&mut message).is_ok() {
            self.received.push(std::mem::take(&mut message));
            if self.socket.socket_type() == SocketType::Rep {
                self.socket.send(&"reply".into()).expect("it is its turn");
            }
            self.settle();
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            if let Event::Authenticate(id, _) = event {
                self.socket.judge(id, Verdict::Reply(Reply::success("somebody")), self.now);
                continue;
            }
            self.events.push(match &event {
                Event::Failed(_, error) => format!("failed: {error}"),
                Event::Established(_) => "established".into(),
                _ => "closed".into(),
            });
            if !matches!(event, Event::Established(_)) {
                self.write();
                self.is_over = true;
                self.socket.lose(self.id, Reopen::No);
            }
        }
        while self.socket.poll_resumed().is_some() {}
        while self.socket.poll_flush().is_some() {}
        self.write();
    }

    fn write(&mut self) {
        while let Some(mut output) = self.socket.begin_write(self.id) {
            let mut slices = [IoSlice::new(&[]); 4];
            let used = output.io_slices(&mut slices);
            let len = slices[..used].iter().map(|slice| slice.len()).sum();
            slices[..used].iter().for_each(|slice| self.sent.extend_from_slice(slice));
            output.advance(len);
            self.socket.end_write(self.id, output);
        }
    }
}

/// A machine for which the fuzzer's bytes decide some of its options.
pub fn options(decisions: &mut Decisions<'_>) -> Options {
    let mut options = Options::default();
    let bits = decisions.byte();
    options.routing_id = ["", "us", &"n".repeat(255)][decisions.below(3)].into();
    options.recv_hwm = [0, 1, 10, 1000][usize::from(bits & 3)];
    options.max_message_size = [None, Some(0), Some(100), Some(100_000)][usize::from(bits >> 2 & 3)];
    options.recv_hwm_bytes = [0, 10_000][usize::from(bits >> 4 & 1)];
    options.xpub_verbose = bits & 32 != 0;
    options.xpub_verboser = bits & 64 != 0;
    options.xpub_manual = bits & 128 != 0;
    options.subscriptions_per_peer_max = 100;
    options
}
