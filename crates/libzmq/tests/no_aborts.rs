//! What ends a program that runs on libzmq, or corrupts its memory, by an assertion, an overflow or a null pointer: here each
//! is an error, costs one connection, or does nothing. Each case runs in a process of its own.

mod support;

use std::{
    ffi::{c_int, c_void},
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    panic, ptr,
    time::Duration,
};

use support::{Library, c};

type Case = fn(&World);

const CASES: &[(&str, Case)] = &[
    ("a group's name that is too long, from a peer", a_long_group),
    ("a PING without a TTL, from a peer", a_short_ping),
    ("the longest TTL", the_longest_ttl),
    ("a datagram that is too long", a_long_datagram),
    ("a second name for the next connection", a_second_routing_id),
    ("a proxy from a socket to itself, with a control", a_proxy_to_itself),
    ("what is no command, for a proxy", no_command_for_a_proxy),
    ("an authenticator of the wrong type", a_wrong_authenticator),
    ("drafts over tcp", drafts_over_tcp),
    ("no descriptors left", no_descriptors),
];

#[test]
fn what_ends_libzmq_ends_nothing_here() {
    let failed: Vec<_> = CASES.iter().filter(|(_, case)| !runs_to_its_end(*case)).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Runs a case in a child, for a minute at most.
fn runs_to_its_end(case: Case) -> bool {
    // SAFETY: this is the only test here, so that no other thread is in the middle of anything.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it ends the child, in time.
        unsafe { libc::alarm(60) };
        let ended = panic::catch_unwind(|| {
            let world = World::new();
            case(&world);
            world.end();
        });
        // SAFETY: it ends the child, without what is the test's to do at its end.
        unsafe { libc::_exit(c_int::from(ended.is_err())) };
    }
    let mut status = 0;
    // SAFETY: there is room for the status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

/// A context.
struct World {
    library: Library,
    context: *mut c_void,
}

impl World {
    fn new() -> Self {
        let library = Library::nought();
        // SAFETY: the calls are as zmq.h declares them; so below.
        Self { library, context: unsafe { (library.ctx_new)() } }
    }

    fn end(self) {
        // SAFETY: see above.
        assert_eq!(self.library.outcome(unsafe { (self.library.ctx_term)(self.context) }), (0, 0));
    }

    fn socket(&self, socket_type: c_int) -> *mut c_void {
        // SAFETY: see above.
        let socket = unsafe { (self.library.socket)(self.context, socket_type) };
        assert!(!socket.is_null());
        self.set(socket, 17, 0);
        socket
    }

    fn set(&self, socket: *mut c_void, option: c_int, value: c_int) {
        // SAFETY: see above.
        let set = unsafe { (self.library.setsockopt)(socket, option, (&raw const value).cast(), size_of::<c_int>()) };
        assert_eq!(self.library.outcome(set), (0, 0), "option {option}");
    }

    fn bind(&self, socket: *mut c_void, endpoint: &str) -> String {
        let (mut bound, mut len) = ([0_u8; 256], 256);
        // SAFETY: see above.
        unsafe {
            assert_eq!(self.library.outcome((self.library.bind)(socket, c(endpoint).as_ptr())), (0, 0));
            assert_eq!((self.library.getsockopt)(socket, 32, bound.as_mut_ptr().cast(), &raw mut len), 0);
        }
        String::from_utf8(bound[..len - 1].to_vec()).unwrap()
    }

    fn connect(&self, socket: *mut c_void, endpoint: &str) {
        // SAFETY: see above.
        assert_eq!(self.library.outcome(unsafe { (self.library.connect)(socket, c(endpoint).as_ptr()) }), (0, 0));
    }

    fn send(&self, socket: *mut c_void, frame: &[u8], flags: c_int) -> (c_int, c_int) {
        // SAFETY: see above.
        self.library.outcome(unsafe { (self.library.send)(socket, frame.as_ptr().cast(), frame.len(), flags) })
    }

    fn recv(&self, socket: *mut c_void) -> (c_int, c_int) {
        // SAFETY: see above.
        self.library.outcome(unsafe { (self.library.recv)(socket, ptr::null_mut(), 0, 0) })
    }

    fn close(&self, sockets: &[*mut c_void]) {
        // SAFETY: see above.
        sockets
            .iter()
            .for_each(|&socket| assert_eq!(self.library.outcome(unsafe { (self.library.close)(socket) }), (0, 0)));
    }

    /// A peer that speaks ZMTP 3.1 by hand.
    fn peer(&self, endpoint: &str, socket_type: &str) -> TcpStream {
        let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        let mut greeting = [0; 64];
        greeting[0] = 0xFF;
        greeting[9..12].copy_from_slice(&[0x7F, 3, 1]);
        greeting[12..16].copy_from_slice(b"NULL");
        let property =
            [b"\x0bSocket-Type", &(socket_type.len() as u32).to_be_bytes()[..], socket_type.as_bytes()].concat();
        peer.write_all(&greeting).unwrap();
        peer.write_all(&command("READY", &property)).unwrap();
        peer
    }

    /// A socket still serves a peer that keeps the rules.
    fn still_accepts(&self, endpoint: &str, socket_type: &str) {
        let mut peer = self.peer(endpoint, socket_type);
        peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0; 64 + 8];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(&answer[66..72], b"\x05READY");
    }
}

fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let body = [&[name.len() as u8][..], name.as_bytes(), data].concat();
    match u8::try_from(body.len()) {
        Ok(len) => [&[4, len][..], &body].concat(),
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes(), &body].concat(),
    }
}

/// The connection has been closed, after whatever else was sent.
fn assert_closed(peer: &mut TcpStream) {
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let ended = peer.read_to_end(&mut Vec::new());
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
}

fn a_long_group(world: &World) {
    let radio = world.socket(14);
    let endpoint = world.bind(radio, "tcp://127.0.0.1:*");
    let mut peer = world.peer(&endpoint, "DISH");
    peer.write_all(&command("JOIN", &[b'g'; 300])).unwrap();
    assert_closed(&mut peer);
    world.still_accepts(&endpoint, "DISH");
    world.close(&[radio]);
}

fn a_short_ping(world: &World) {
    let pull = world.socket(7);
    let endpoint = world.bind(pull, "tcp://127.0.0.1:*");
    let mut peer = world.peer(&endpoint, "PUSH");
    peer.write_all(&command("PING", b"")).unwrap();
    assert_closed(&mut peer);
    world.still_accepts(&endpoint, "PUSH");
    world.close(&[pull]);
}

fn the_longest_ttl(world: &World) {
    let pull = world.socket(7);
    world.set(pull, 75, 1000);
    world.set(pull, 76, 6_553_500);
    let endpoint = world.bind(pull, "tcp://127.0.0.1:*");
    let mut peer = world.peer(&endpoint, "PUSH");
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut heard = Vec::new();
    while !heard.windows(7).any(|bytes| bytes == b"\x04PING\xFF\xFF") {
        let mut bytes = [0; 100];
        let len = peer.read(&mut bytes).unwrap();
        assert!(len > 0);
        heard.extend_from_slice(&bytes[..len]);
    }
    world.close(&[pull]);
}

fn a_long_datagram(world: &World) {
    let (sender, receiver) = (world.socket(18), world.socket(18));
    let endpoint = world.bind(receiver, "udp://127.0.0.1:*");
    world.bind(sender, "udp://127.0.0.1:*");
    let address = endpoint.strip_prefix("udp://").unwrap();
    for len in [8_193, 65_535, 1 << 20] {
        world.send(sender, address.as_bytes(), 2);
        world.send(sender, &vec![7; len], 0);
    }
    world.send(sender, address.as_bytes(), 2);
    assert_eq!(world.send(sender, b"short", 0), (5, 0));
    world.set(receiver, 27, 30_000);
    assert!(world.recv(receiver).0 > 0, "one of them, or the last");
    world.close(&[sender, receiver]);
}

fn a_second_routing_id(world: &World) {
    let router = world.socket(6);
    for _ in 0..2 {
        // SAFETY: see `World::new`.
        assert_eq!(unsafe { (world.library.setsockopt)(router, 61, b"X".as_ptr().cast(), 1) }, 0);
        world.connect(router, "tcp://127.0.0.1:1");
    }
    world.close(&[router]);
}

fn a_proxy_to_itself(world: &World) {
    steer_a_proxy(world, &[b"STATISTICS", b"PAUSE", b"RESUME"]);
}

fn no_command_for_a_proxy(world: &World) {
    steer_a_proxy(world, &[b"", b"TERMINATED", &[0xFF; 300]]);
}

/// Has a proxy whose ends are one socket take commands, then end.
fn steer_a_proxy(world: &World, commands: &[&[u8]]) {
    let (dealer, control, steering) = (world.socket(5), world.socket(0), world.socket(0));
    world.bind(dealer, "inproc://itself");
    world.bind(control, "inproc://control");
    world.connect(steering, "inproc://control");
    for command in commands.iter().chain(&[&b"TERMINATE"[..]]) {
        assert_eq!(world.send(steering, command, 0).0, command.len() as c_int);
    }
    // SAFETY: see `World::new`.
    let ended = unsafe { (world.library.proxy_steerable)(dealer, dealer, ptr::null_mut(), control) };
    assert_eq!(world.library.outcome(ended), (0, 0));
    world.close(&[dealer, control, steering]);
}

fn a_wrong_authenticator(world: &World) {
    for socket_type in [0, 2, 8, 11] {
        let authenticator = world.socket(socket_type);
        // A STREAM cannot be bound to it at all.
        // SAFETY: see `World::new`.
        let _ = unsafe { (world.library.bind)(authenticator, c("inproc://zeromq.zap.01").as_ptr()) };
        let (pull, push) = (world.socket(7), world.socket(8));
        // SAFETY: see above.
        assert_eq!(unsafe { (world.library.setsockopt)(pull, 55, b"global".as_ptr().cast(), 6) }, 0);
        let endpoint = world.bind(pull, "tcp://127.0.0.1:*");
        world.connect(push, &endpoint);
        world.send(push, b"x", 1);
        world.set(pull, 27, 100);
        let (len, errno) = world.recv(pull);
        assert!(len == 1 || errno == libc::EAGAIN);
        world.close(&[authenticator, pull, push]);
    }
}

fn drafts_over_tcp(world: &World) {
    let (server, client) = (world.socket(12), world.socket(13));
    let endpoint = world.bind(server, "tcp://127.0.0.1:*");
    world.connect(client, &endpoint);
    assert_eq!(world.send(client, b"hello", 0), (5, 0));
    assert_eq!(world.recv(server), (5, 0));
    world.close(&[server, client]);
}

fn no_descriptors(world: &World) {
    let first = world.socket(0);
    let limit = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
    // SAFETY: the limit is this process's, which ends soon.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let mut sockets = Vec::new();
    loop {
        // SAFETY: see `World::new`.
        let socket = unsafe { (world.library.socket)(world.context, 0) };
        if socket.is_null() {
            break;
        }
        sockets.push(socket);
        assert!(sockets.len() < 40);
    }
    // SAFETY: see above.
    assert_eq!(unsafe { (world.library.errno)() }, libc::EMFILE);
    // SAFETY: see above.
    let bound = unsafe { (world.library.bind)(first, c("tcp://127.0.0.1:*").as_ptr()) };
    assert!(matches!(world.library.outcome(bound), (0, 0) | (-1, libc::EMFILE)));
    world.close(&sockets);
    world.close(&[first]);
}
