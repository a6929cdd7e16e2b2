//! nought and libzmq over tcp and ipc: every legal pair of patterns, each library on either side and in either role.

use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use nought::{
    Any, DisconnectReason, Message, Monitor, ProtocolError, SendErrorKind, Socket, SocketBuilder, SocketEventKind,
    SocketType,
};
use nought_conformance::libzmq_type;

/// No call waits longer.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_MS: i32 = 30_000;
const SIZES: [usize; 8] = [0, 1, 255, 256, 8191, 8192, 65_536, 1 << 20];

type Frames = Vec<Vec<u8>>;

// ---- what is sent

/// `len` bytes that tell their place. None begins as a subscription does.
fn body(len: usize) -> Vec<u8> {
    let mut body: Vec<u8> = (0..len).map(|index| (index.wrapping_mul(31) ^ (index >> 8) ^ len) as u8).collect();
    if let Some(first) = body.first_mut() {
        *first = b'm';
    }
    body
}

fn singles() -> Vec<Frames> {
    SIZES.iter().map(|&len| vec![body(len)]).collect()
}

fn messages() -> Vec<Frames> {
    let mut messages = singles();
    messages.extend(SIZES.iter().map(|&len| vec![body(len), body(1), body(len)]));
    messages.push(SIZES.iter().map(|&len| body(len)).collect());
    messages.push(SIZES.iter().rev().map(|&len| body(len)).collect());
    messages.push(vec![Vec::new(); 5]);
    messages
}

// ---- the two libraries behind one face

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Nought,
    Libzmq,
}

enum Peer {
    Nought(Socket<Any>),
    Libzmq(zmq::Socket),
}

fn nought_builder(socket_type: SocketType) -> SocketBuilder<Any> {
    nought::Context::new().any_socket_builder(socket_type).linger(Some(Duration::ZERO))
}

fn libzmq_socket(socket_type: SocketType) -> zmq::Socket {
    let socket = zmq::Context::new().socket(libzmq_type(socket_type)).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_sndtimeo(PATIENCE_MS).unwrap();
    socket.set_rcvtimeo(PATIENCE_MS).unwrap();
    socket
}

/// Frames for an assertion's text, the long ones cut.
fn show(frames: &[Vec<u8>]) -> String {
    let show = |frame: &Vec<u8>| format!("{}:{}", frame.len(), frame[..frame.len().min(16)].escape_ascii());
    frames.iter().map(show).collect::<Vec<_>>().join(" | ")
}

#[track_caller]
fn assert_frames(received: &[Vec<u8>], expected: &[Vec<u8>]) {
    assert!(received == expected, "received {}, expected {}", show(received), show(expected));
}

impl Peer {
    /// Sockets that have a routing id get `id`.
    fn new(library: Library, socket_type: SocketType, id: &str) -> Self {
        let has_id = matches!(socket_type, SocketType::Req | SocketType::Dealer | SocketType::Router);
        let is_router = socket_type == SocketType::Router;
        match library {
            Library::Nought => {
                let mut builder = nought_builder(socket_type);
                if has_id {
                    builder = builder.routing_id(id);
                }
                if is_router {
                    builder = builder.router_mandatory(true);
                }
                Self::Nought(builder.build().unwrap())
            }
            Library::Libzmq => {
                let socket = libzmq_socket(socket_type);
                if has_id {
                    socket.set_identity(id.as_bytes()).unwrap();
                }
                if is_router {
                    socket.set_router_mandatory(true).unwrap();
                }
                Self::Libzmq(socket)
            }
        }
    }

    fn bind(&self, endpoint: &str) -> String {
        match self {
            Self::Nought(socket) => socket.bind(endpoint).unwrap(),
            Self::Libzmq(socket) => {
                socket.bind(endpoint).unwrap();
                socket.get_last_endpoint().unwrap().unwrap()
            }
        }
    }

    fn connect(&self, endpoint: &str) {
        match self {
            Self::Nought(socket) => socket.connect(endpoint).unwrap(),
            Self::Libzmq(socket) => socket.connect(endpoint).unwrap(),
        }
    }

    fn subscribe(&self, prefix: &[u8]) {
        match self {
            Self::Nought(socket) if socket.socket_type() == SocketType::Sub => socket.subscribe(prefix).unwrap(),
            Self::Libzmq(socket) if socket.get_socket_type().unwrap() == zmq::SUB => {
                socket.set_subscribe(prefix).unwrap();
            }
            _ => self.send(&[[&[1], prefix].concat()]),
        }
    }

    fn unsubscribe(&self, prefix: &[u8]) {
        match self {
            Self::Nought(socket) if socket.socket_type() == SocketType::Sub => socket.unsubscribe(prefix).unwrap(),
            Self::Libzmq(socket) if socket.get_socket_type().unwrap() == zmq::SUB => {
                socket.set_unsubscribe(prefix).unwrap();
            }
            _ => self.send(&[[&[0], prefix].concat()]),
        }
    }

    #[track_caller]
    fn send(&self, frames: &[Vec<u8>]) {
        assert!(self.send_if_routable(frames), "no such peer");
    }

    /// False if the peer that a ROUTER's first frame names is not there.
    #[track_caller]
    fn send_if_routable(&self, frames: &[Vec<u8>]) -> bool {
        match self {
            Self::Nought(socket) => {
                let message: Message = frames.iter().map(|frame| frame.as_slice()).collect();
                match socket.send_timeout(message, PATIENCE) {
                    Ok(()) => true,
                    Err(error) if error.kind() == SendErrorKind::Unroutable => false,
                    Err(error) => panic!("nought does not send: {error}"),
                }
            }
            Self::Libzmq(socket) => match socket.send_multipart(frames, 0) {
                Ok(()) => true,
                Err(zmq::Error::EHOSTUNREACH) => false,
                Err(error) => panic!("libzmq does not send: {error}"),
            },
        }
    }

    #[track_caller]
    fn recv(&self) -> Frames {
        self.recv_within(PATIENCE).expect("no message came")
    }

    #[track_caller]
    fn recv_within(&self, time: Duration) -> Option<Frames> {
        match self {
            Self::Nought(socket) => match socket.recv_timeout(time) {
                Ok(message) => Some(message.into_frames().map(|frame| frame.into_vec()).collect()),
                Err(nought::RecvError::TimedOut) => None,
                Err(error) => panic!("nought does not receive: {error}"),
            },
            Self::Libzmq(socket) => {
                let events = socket.poll(zmq::POLLIN, time.as_millis() as i64).unwrap();
                (events > 0).then(|| socket.recv_multipart(zmq::DONTWAIT).unwrap())
            }
        }
    }
}

/// What one side receives, while the other attends to its affairs: a libzmq socket takes note of a new, lost or ended
/// connection only in calls of its own thread, and sends its subscriptions again, or closes, only then.
#[track_caller]
fn recv_while_attended(receiver: &Peer, other: &Peer) -> Frames {
    until("a message comes", || {
        if let Peer::Libzmq(socket) = other {
            socket.get_events().unwrap();
        }
        receiver.recv_within(Duration::from_millis(10))
    })
}

// ---- where they meet

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Ipc,
}

/// A place to bind at; its file, if it has one, is gone afterwards.
struct Place {
    endpoint: String,
    path: Option<PathBuf>,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Tcp, Self::Ipc];

    fn place(self) -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::Tcp => Place { endpoint: "tcp://127.0.0.1:*".to_owned(), path: None },
            Self::Ipc => {
                let name = format!("nought-interop-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let path = std::env::temp_dir().join(name);
                Place { endpoint: format!("ipc://{}", path.display()), path: Some(path) }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Repeats until it gives something; a condition, not a wait.
#[track_caller]
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Both transports, each library on either side, each side binding.
fn in_all_roles(a: SocketType, b: SocketType, talk: fn(&Peer, &Peer)) {
    for transport in Transport::ALL {
        for (library_a, library_b) in [(Library::Nought, Library::Libzmq), (Library::Libzmq, Library::Nought)] {
            for a_binds in [true, false] {
                println!("{transport:?}: {library_a:?} {a} – {library_b:?} {b}, {} binds", if a_binds { a } else { b });
                let place = transport.place();
                let (a, b) = (Peer::new(library_a, a, "id of a"), Peer::new(library_b, b, "id of b"));
                let (binding, connecting) = if a_binds { (&a, &b) } else { (&b, &a) };
                connecting.connect(&binding.bind(&place.endpoint));
                talk(&a, &b);
            }
        }
    }
}

// ---- how patterns talk

fn to_b(a: &Peer, b: &Peer) {
    for message in messages() {
        a.send(&message);
        assert_frames(&b.recv(), &message);
    }
    // Several under way at once keep their order.
    let messages = messages();
    messages.iter().for_each(|message| a.send(message));
    messages.iter().for_each(|message| assert_frames(&b.recv(), message));
}

fn both_ways(a: &Peer, b: &Peer) {
    to_b(a, b);
    to_b(b, a);
}

/// Behind this call, a PUB's messages reach the subscriber, and no marker is under way.
fn await_subscription(publisher: &Peer, subscriber: &Peer) {
    let marker = vec![b"marker".to_vec()];
    let last = vec![b"last marker".to_vec()];
    until("a marker arrives", || {
        publisher.send(&marker);
        subscriber.recv_within(Duration::from_millis(20))
    });
    publisher.send(&last);
    until("the last marker arrives", || (subscriber.recv() == last).then_some(()));
}

fn published(publisher: &Peer, subscriber: &Peer) {
    subscriber.subscribe(b"");
    await_subscription(publisher, subscriber);
    to_b(publisher, subscriber);
}

fn published_to_some(publisher: &Peer, subscriber: &Peer) {
    subscriber.subscribe(b"");
    assert_frames(&recv_while_attended(publisher, subscriber), &[vec![1]]);
    to_b(publisher, subscriber);
    subscriber.subscribe(b"topic");
    assert_frames(&publisher.recv(), &[b"\x01topic".to_vec()]);
    subscriber.unsubscribe(b"");
    assert_frames(&publisher.recv(), &[vec![0]]);
    for unwanted in [&b""[..], b"topi", b"other"] {
        publisher.send(&[unwanted.to_vec(), b"topic".to_vec()]);
    }
    let wanted = [b"topical".to_vec(), b"body".to_vec()];
    publisher.send(&wanted);
    assert_frames(&subscriber.recv(), &wanted);
    subscriber.unsubscribe(b"topic");
    assert_frames(&publisher.recv(), &[b"\0topic".to_vec()]);
}

fn published_and_answered(publisher: &Peer, subscriber: &Peer) {
    published_to_some(publisher, subscriber);
    for message in singles().into_iter().filter(|message| !message[0].is_empty()) {
        subscriber.send(&message);
        assert_frames(&publisher.recv(), &message);
    }
}

/// `front` is what stands before each message as the respective side sees it. a asks, b answers with what it got.
fn asked(a: &Peer, a_front: &[&[u8]], b: &Peer, b_front: &[&[u8]]) {
    let with = |front: &[&[u8]], message: &Frames| -> Frames {
        front.iter().map(|frame| frame.to_vec()).chain(message.iter().cloned()).collect()
    };
    for message in messages() {
        until("the request has a way", || a.send_if_routable(&with(a_front, &message)).then_some(()));
        assert_frames(&b.recv(), &with(b_front, &message));
        let mut reply = message;
        reply.push(b"and an answer".to_vec());
        b.send(&with(b_front, &reply));
        assert_frames(&a.recv(), &with(a_front, &reply));
    }
    // An answer of one frame is as good.
    for message in singles() {
        a.send(&with(a_front, &vec![b"?".to_vec()]));
        assert_frames(&b.recv(), &with(b_front, &vec![b"?".to_vec()]));
        b.send(&with(b_front, &message));
        assert_frames(&a.recv(), &with(a_front, &message));
    }
}

macro_rules! pairs {
    ($($name:ident: $a:ident, $b:ident => $talk:expr;)+) => {$(
        #[test]
        fn $name() {
            in_all_roles(SocketType::$a, SocketType::$b, $talk);
        }
    )+};
}

pairs! {
    push_pull: Push, Pull => to_b;
    pair_pair: Pair, Pair => both_ways;
    pub_sub: Pub, Sub => published;
    pub_xsub: Pub, XSub => published;
    xpub_sub: XPub, Sub => published_to_some;
    xpub_xsub: XPub, XSub => published_and_answered;
    req_rep: Req, Rep => |a, b| asked(a, &[], b, &[]);
    req_router: Req, Router => |a, b| asked(a, &[], b, &[b"id of a", b""]);
    dealer_rep: Dealer, Rep => |a, b| asked(a, &[b""], b, &[]);
    dealer_dealer: Dealer, Dealer => both_ways;
    dealer_router: Dealer, Router => |a, b| asked(a, &[], b, &[b"id of a"]);
    router_router: Router, Router => |a, b| asked(a, &[b"id of b"], b, &[b"id of a"]);
}

// ---- beyond the patterns

#[track_caller]
fn await_event<T>(monitor: &Monitor, mut wanted: impl FnMut(&SocketEventKind) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        match monitor.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => match wanted(&event.kind) {
                Some(found) => return found,
                None => seen.push(event.to_string()),
            },
            Err(error) => panic!("{error}; seen: {seen:#?}"),
        }
    }
}

/// nought and libzmq connected, in either role, over either transport.
fn nought_and_libzmq(
    nought: impl Fn() -> Socket<Any>,
    libzmq: impl Fn() -> zmq::Socket,
    test: impl Fn(&Peer, &Peer, &Monitor),
) {
    for transport in Transport::ALL {
        for nought_binds in [true, false] {
            println!("{transport:?}, nought binds: {nought_binds}");
            let place = transport.place();
            let nought = nought();
            let monitor = nought.monitor();
            let (nought, libzmq) = (Peer::Nought(nought), Peer::Libzmq(libzmq()));
            let (binding, connecting) = if nought_binds { (&nought, &libzmq) } else { (&libzmq, &nought) };
            connecting.connect(&binding.bind(&place.endpoint));
            test(&nought, &libzmq, &monitor);
        }
    }
}

#[test]
fn unfit_types_do_not_connect() {
    nought_and_libzmq(
        || nought_builder(SocketType::Push).build().unwrap(),
        || libzmq_socket(SocketType::Push),
        |_, _, monitor| {
            // libzmq may read our READY first and close without having sent its own: then there is no more to know.
            let error = await_event(monitor, |kind| match kind {
                SocketEventKind::HandshakeFailed { error } => Some(Some(error.clone())),
                SocketEventKind::Disconnected { reason: DisconnectReason::PeerClosed } => Some(None),
                SocketEventKind::HandshakeSucceeded { .. } => panic!("PUSH–PUSH: {kind}"),
                _ => None,
            });
            println!("{error:?}");
            assert!(matches!(error, None | Some(ProtocolError::Incompatible(_))), "{error:?}");
        },
    );
}

#[test]
fn subscriptions_are_sent_again_to_a_listener_that_is_back() {
    for (publishing, subscribing) in [(Library::Libzmq, Library::Nought), (Library::Nought, Library::Libzmq)] {
        println!("{publishing:?} listens");
        let place = Transport::Ipc.place();
        let subscriber = Peer::new(subscribing, SocketType::Sub, "");
        subscriber.subscribe(b"b");
        subscriber.subscribe(b"a");
        subscriber.connect(&place.endpoint);
        for round in 0..3 {
            let publisher = Peer::new(publishing, SocketType::XPub, "");
            until("the path is free", || match &publisher {
                Peer::Nought(socket) => socket.bind(&place.endpoint).ok().map(drop),
                Peer::Libzmq(socket) => socket.bind(&place.endpoint).ok(),
            });
            let mut subscriptions = [(); 2].map(|()| recv_while_attended(&publisher, &subscriber)).concat();
            subscriptions.sort();
            assert_frames(&subscriptions, &[b"\x01a".to_vec(), b"\x01b".to_vec()]);
            let message = [format!("a {round}").into_bytes()];
            publisher.send(&message);
            assert_frames(&subscriber.recv(), &message);
        }
    }
}

#[test]
fn heartbeats_keep_a_silent_connection() {
    /// Far longer than anybody is kept from answering by whatever else runs.
    const TIMEOUT_MS: i32 = 2000;
    const TIMEOUT: Duration = Duration::from_millis(TIMEOUT_MS as u64);
    nought_and_libzmq(
        || {
            let builder = nought_builder(SocketType::Pair).heartbeat_interval(Some(Duration::from_millis(50)));
            builder.heartbeat_timeout(Some(TIMEOUT)).build().unwrap()
        },
        || {
            let socket = libzmq_socket(SocketType::Pair);
            socket.set_heartbeat_ivl(50).unwrap();
            socket.set_heartbeat_timeout(TIMEOUT_MS).unwrap();
            socket.set_heartbeat_ttl(TIMEOUT_MS).unwrap();
            socket
        },
        |nought, libzmq, monitor| {
            await_event(monitor, |kind| matches!(kind, SocketEventKind::HandshakeSucceeded { .. }).then_some(()));
            // The time itself is what is tested: more than either side bears to hear nothing.
            match monitor.recv_timeout(TIMEOUT * 3 / 2) {
                Err(nought::RecvError::TimedOut) => {}
                other => panic!("{other:?}"),
            }
            both_ways(nought, libzmq);
        },
    );
}

/// All bytes from a peer, until there are so many.
#[track_caller]
fn recv_bytes(stream: &Peer, id: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let message = stream.recv();
        assert!(message.len() == 2 && message[0] == id, "{}", show(&message));
        assert!(!message[1].is_empty(), "the connection ended after {} bytes", bytes.len());
        bytes.extend_from_slice(&message[1]);
    }
    bytes
}

#[test]
fn stream_to_stream() {
    for closer in [Library::Nought, Library::Libzmq] {
        for nought_binds in [true, false] {
            println!("nought binds: {nought_binds}, {closer:?} closes");
            let place = Transport::Tcp.place();
            let nought = Peer::Nought(nought_builder(SocketType::Stream).stream_notify(true).build().unwrap());
            let libzmq = Peer::Libzmq(libzmq_socket(SocketType::Stream));
            let (binding, connecting) = if nought_binds { (&nought, &libzmq) } else { (&libzmq, &nought) };
            connecting.connect(&binding.bind(&place.endpoint));
            let notified = |peer: &Peer| {
                let message = peer.recv();
                assert!(message.len() == 2 && message[1].is_empty(), "{}", show(&message));
                message[0].clone()
            };
            let (nought_id, libzmq_id) = (notified(&nought), notified(&libzmq));
            for len in SIZES.into_iter().filter(|&len| len > 0) {
                nought.send(&[nought_id.clone(), body(len)]);
                assert!(recv_bytes(&libzmq, &libzmq_id, len) == body(len));
                libzmq.send(&[libzmq_id.clone(), body(len)]);
                assert!(recv_bytes(&nought, &nought_id, len) == body(len));
            }
            // An empty body closes, and the other side hears of it.
            match closer {
                Library::Nought => nought.send(&[nought_id.clone(), Vec::new()]),
                Library::Libzmq => libzmq.send(&[libzmq_id.clone(), Vec::new()]),
            }
            match closer {
                Library::Nought => assert_frames(&recv_while_attended(&libzmq, &nought), &[libzmq_id, Vec::new()]),
                Library::Libzmq => assert_frames(&recv_while_attended(&nought, &libzmq), &[nought_id, Vec::new()]),
            }
        }
    }
}
