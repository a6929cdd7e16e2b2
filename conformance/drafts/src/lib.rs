//! What the tests of the newer socket types share: nought and a libzmq with drafts behind one face.

mod libzmq;

use std::{
    net::{TcpListener, UdpSocket},
    num::NonZeroU32,
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use nought::{Any, Message, RecvError, SendErrorKind, SocketType};

/// How long anything may take. Far more than it needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Who plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// This project.
    Nought,
    /// libzmq 4.3.4 with drafts.
    Libzmq,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Sockets of this type have no such message.
    Malformed,
    /// There is no such peer.
    Unroutable,
}

/// A socket of either library, in a context of its own, that waits for nothing when it closes.
pub enum Socket {
    /// This project's.
    Nought(nought::Socket<Any>),
    /// libzmq's.
    Libzmq(libzmq::Socket),
}

impl Library {
    /// Who is at both ends: all combinations with one of this project's.
    pub const PAIRS: [[Self; 2]; 3] =
        [[Self::Nought, Self::Libzmq], [Self::Libzmq, Self::Nought], [Self::Nought, Self::Nought]];

    /// A socket of this type.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn socket(self, socket_type: SocketType) -> Socket {
        match self {
            Self::Libzmq => Socket::Libzmq(libzmq::Socket::new(socket_type)),
            Self::Nought => Socket::Nought(
                nought::Context::new()
                    .any_socket_builder(socket_type)
                    .linger(Some(Duration::ZERO))
                    .send_timeout(Some(PATIENCE))
                    .recv_timeout(Some(PATIENCE))
                    .build()
                    .unwrap(),
            ),
        }
    }
}

impl Socket {
    /// Binds; returns the endpoint to connect to.
    ///
    /// # Panics
    /// If it does not bind.
    pub fn bind(&self, endpoint: &str) -> String {
        match self {
            Self::Nought(socket) => socket.bind(endpoint).unwrap(),
            Self::Libzmq(socket) => socket.bind(endpoint),
        }
    }

    /// Connects.
    ///
    /// # Panics
    /// If the endpoint is none.
    pub fn connect(&self, endpoint: &str) {
        match self {
            Self::Nought(socket) => socket.connect(endpoint).unwrap(),
            Self::Libzmq(socket) => socket.connect(endpoint),
        }
    }

    /// PEER: connects to a peer, and has its number.
    ///
    /// # Panics
    /// If there is no number.
    pub fn connect_peer(&self, endpoint: &str) -> NonZeroU32 {
        match self {
            Self::Nought(socket) => socket.connect_peer(endpoint).unwrap(),
            Self::Libzmq(socket) => socket.connect_peer(endpoint),
        }
    }

    /// DISH: joins a group.
    ///
    /// # Panics
    /// If it cannot.
    pub fn join(&self, group: &str) {
        match self {
            Self::Nought(socket) => socket.join(group).unwrap(),
            Self::Libzmq(socket) => socket.join(group),
        }
    }

    /// DISH: leaves a group.
    ///
    /// # Panics
    /// If it cannot.
    pub fn leave(&self, group: &str) {
        match self {
            Self::Nought(socket) => socket.leave(group).unwrap(),
            Self::Libzmq(socket) => socket.leave(group),
        }
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If it does not.
    pub fn send(&self, message: impl Into<Message>) {
        self.try_send(message).unwrap();
    }

    /// Sends a message, unless it is none for this socket.
    ///
    /// # Errors
    /// Why it does not take it.
    ///
    /// # Panics
    /// If there is another reason.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), Refusal> {
        match self {
            Self::Libzmq(socket) => socket.send(&message.into()),
            Self::Nought(socket) => socket.send(message.into()).map_err(|error| match error.kind() {
                SendErrorKind::Malformed => Refusal::Malformed,
                SendErrorKind::Unroutable => Refusal::Unroutable,
                kind => panic!("{kind}"),
            }),
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// If none comes.
    pub fn recv(&self) -> Message {
        self.recv_within(PATIENCE).expect("a message comes")
    }

    /// The next message, if one comes in this time.
    ///
    /// # Panics
    /// If it cannot receive.
    pub fn recv_within(&self, time: Duration) -> Option<Message> {
        match self {
            Self::Libzmq(socket) => socket.recv_within(time),
            Self::Nought(socket) => match socket.recv_timeout(time) {
                Err(RecvError::TimedOut) => None,
                message => Some(message.unwrap()),
            },
        }
    }

    /// Sends until something arrives there: before that nobody knows whether all are connected. What was sent in vain or
    /// twice is received as well.
    ///
    /// # Panics
    /// If nothing arrives.
    pub fn reach(&self, there: &Self, message: &Message) {
        let deadline = Instant::now() + PATIENCE;
        let mut sent = 0;
        while there.recv_within(Duration::from_millis(20)).is_none() {
            assert!(Instant::now() < deadline, "nothing arrives");
            self.send(message.clone());
            sent += 1;
        }
        // The others that arrive; a last one tells the end.
        let mut end = message.clone();
        end.pop_back();
        end.push_back(END);
        self.send(end);
        let is_end = |message: &Message| message.frames().last().is_some_and(|frame| **frame == *END);
        let others = std::iter::repeat_with(|| there.recv()).take_while(|message| !is_end(message)).count();
        assert!(others < sent, "{others} more than the one of {sent}");
    }
}

const END: &[u8] = b"the end of the beginning";

/// A UDP port that nobody uses, from below the range that the system picks from by itself. The TCP port of the same
/// number, held until this process ends, keeps other tests off it.
///
/// # Panics
/// If a thread panicked in it.
pub fn udp_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static HELD: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() as u16 % 100) * 20 + step % 2000;
        let Ok(claim) = TcpListener::bind(("127.0.0.1", port)) else { continue };
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().unwrap().push(claim);
            return port;
        }
    }
}
