//! What the integration tests share: a watchdog, waiting for conditions, processes in a role, and counts from /proc.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod cable;
pub mod exchanges;
pub mod executor;
pub mod lab;
pub mod ports;
pub mod proc;
pub mod process;
pub mod raw;
pub mod rng;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::PathBuf,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nought::{Any, Context, Kind, Message, Monitor, Socket, SocketEvent, SocketEventKind, SocketType};

/// How long anything may take that is not about time. Far more than it needs: it is to catch what hangs, on a machine
/// that has other work too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the test process if it outlives its limit: a test that hangs is a test that fails.
pub struct Watchdog {
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Bounds the test, as long as the guard lives.
#[must_use]
pub fn watchdog(limit: Duration) -> Watchdog {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (alive, ended) = mpsc::channel();
    let watch = move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            // Not by eprintln, whose text would end with the process, for the test harness captures it.
            let _ = writeln!(io::stderr(), "{name} hangs: it is not over after {limit:?}");
            std::process::abort();
        }
    };
    let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(watch).unwrap();
    Watchdog { alive: Some(alive), thread: Some(thread) }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The transports that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Ipc,
    Inproc,
}

impl Transport {
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Ipc, Self::Inproc];
    /// Those that can leave the process.
    pub const KERNEL: [Self; 2] = [Self::Tcp, Self::Ipc];

    /// An endpoint to bind that nobody else has.
    pub fn endpoint(self) -> String {
        match self {
            Self::Tcp => "tcp://127.0.0.1:*".to_owned(),
            Self::Ipc => "ipc://*".to_owned(),
            Self::Inproc => format!("inproc://{}", unique()),
        }
    }

    /// An endpoint to connect to before anybody binds it.
    pub fn future_endpoint(self) -> String {
        match self {
            Self::Tcp => format!("tcp://127.0.0.1:{}", held_port()),
            Self::Ipc => format!("ipc://{}", scratch_path("s").display()),
            Self::Inproc => self.endpoint(),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        })
    }
}

/// A name that no other test of any process has, or has had: the system gives the number of a process to another one
/// later, and that would find what a killed one has left.
pub fn unique() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{:016x}-{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A path in the directory for temporary files that nobody has.
pub fn scratch_path(extension: &str) -> PathBuf {
    std::env::temp_dir().join(format!("nought-{}.{extension}", unique()))
}

/// A port that is kept for this process until it ends.
fn held_port() -> u16 {
    static HELD: Mutex<Vec<ports::Port>> = Mutex::new(Vec::new());
    let port = ports::Port::free();
    let number = port.number;
    HELD.lock().unwrap().push(port);
    number
}

/// Two connected sockets: the first binds.
pub fn connected<A: Kind, B: Kind>(context: &Context, transport: Transport) -> (Socket<A>, Socket<B>) {
    let bound = context.socket::<A>().unwrap();
    let connecting = context.socket::<B>().unwrap();
    connect(&bound, &connecting, transport);
    (bound, connecting)
}

/// Connects two sockets of one process and waits until each sees the other. Returns the endpoint.
pub fn connect<A: Kind, B: Kind>(bound: &Socket<A>, connecting: &Socket<B>, transport: Transport) -> String {
    let endpoint = bound.bind(&transport.endpoint()).unwrap();
    let peers = (bound.stats().peers, connecting.stats().peers);
    connecting.connect(&endpoint).unwrap();
    until("both sides are connected", || bound.stats().peers > peers.0 && connecting.stats().peers > peers.1);
    endpoint
}

/// Any two sockets, connected.
pub fn any_connected(
    context: &Context,
    types: (SocketType, SocketType),
    transport: Transport,
) -> (Socket<Any>, Socket<Any>) {
    let (bound, connecting) = (context.any_socket(types.0).unwrap(), context.any_socket(types.1).unwrap());
    connect(&bound, &connecting, transport);
    (bound, connecting)
}

/// The next event of the kind that `wanted` takes; others are passed over.
#[track_caller]
pub fn await_event<T>(monitor: &Monitor, what: &str, mut wanted: impl FnMut(&SocketEventKind) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut seen: Vec<SocketEvent> = Vec::new();
    loop {
        match monitor.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => match wanted(&event.kind) {
                Some(found) => return found,
                None => seen.push(event),
            },
            Err(error) => panic!("no event of {what}: {error}; seen: {seen:#?}"),
        }
    }
}

/// Sets the flag at the end of its life, so that a test that fails does not wait for its other threads for ever.
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Receives with patience.
#[track_caller]
pub fn recv<K: nought::CanReceive>(socket: &Socket<K>) -> Message {
    socket.recv_timeout(PATIENCE).expect("no message came")
}

/// The frames as text, for comparison.
pub fn text(message: &Message) -> Vec<String> {
    message.frames().map(|frame| frame.escape_ascii().to_string()).collect()
}

/// A body of `len` bytes that tells which one it is.
pub fn body(number: u64, len: usize) -> Vec<u8> {
    let mut body = vec![number as u8; len];
    let head = number.to_be_bytes();
    let head_len = head.len().min(len);
    body[..head_len].copy_from_slice(&head[..head_len]);
    body
}

/// The number of such a body.
#[track_caller]
pub fn number(message: &Message) -> u64 {
    u64::from_be_bytes(message.as_slice()[..8].try_into().expect("a numbered body has 8 bytes"))
}
