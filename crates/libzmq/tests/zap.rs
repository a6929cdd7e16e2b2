//! Authentication by a handler of the application's: who asks it, and what comes of its answer.

mod support;

use std::ffi::{CStr, c_int, c_void};

use support::{Library, Msg, c};

const PAIR: c_int = 0;
const PUSH: c_int = 8;
const PULL: c_int = 7;
const REP: c_int = 4;
const RCVTIMEO: c_int = 27;
const ZAP_DOMAIN: c_int = 55;
const ZAP_ENFORCE_DOMAIN: c_int = 93;
/// All events of handshakes that fail, and each of them.
const HANDSHAKE_FAILED: c_int = 0x0800 | 0x2000 | 0x4000;
const NO_DETAIL: u16 = 0x0800;
const PROTOCOL: u16 = 0x2000;
const AUTH: u16 = 0x4000;

/// A context, and the sockets that are in it.
struct Case {
    library: Library,
    context: *mut c_void,
    sockets: Vec<*mut c_void>,
}

impl Case {
    fn new(library: Library) -> Self {
        // SAFETY: the calls are as zmq.h declares them; so below.
        Self { library, context: unsafe { (library.ctx_new)() }, sockets: Vec::new() }
    }

    fn socket(&mut self, socket_type: c_int) -> *mut c_void {
        // SAFETY: see above.
        let socket = unsafe { (self.library.socket)(self.context, socket_type) };
        self.sockets.push(socket);
        self.set(socket, 17, &0_i32.to_ne_bytes());
        socket
    }

    fn set(&self, socket: *mut c_void, option: c_int, value: &[u8]) {
        // SAFETY: see above.
        let set = unsafe { (self.library.setsockopt)(socket, option, value.as_ptr().cast(), value.len()) };
        assert_eq!(self.library.outcome(set), (0, 0), "option {option}");
    }

    fn handler(&mut self) -> *mut c_void {
        let handler = self.socket(REP);
        self.set(handler, RCVTIMEO, &30_000_i32.to_ne_bytes());
        // SAFETY: see above.
        assert_eq!(unsafe { (self.library.bind)(handler, c("inproc://zeromq.zap.01").as_ptr()) }, 0);
        handler
    }

    /// Has a message sent to a socket whose peers are to be judged.
    fn send_to_domain(&mut self, pull: *mut c_void, domain: impl AsRef<[u8]>, enforce: Option<c_int>) {
        let push = self.socket(PUSH);
        self.set(pull, ZAP_DOMAIN, domain.as_ref());
        enforce.into_iter().for_each(|on| self.set(pull, ZAP_ENFORCE_DOMAIN, &on.to_ne_bytes()));
        let (mut endpoint, mut len) = ([0_u8; 256], 256);
        // SAFETY: see above.
        unsafe {
            assert_eq!((self.library.bind)(pull, c("tcp://127.0.0.1:*").as_ptr()), 0);
            assert_eq!((self.library.getsockopt)(pull, 32, endpoint.as_mut_ptr().cast(), &raw mut len), 0);
            assert_eq!((self.library.connect)(push, endpoint.as_ptr().cast()), 0);
            assert_eq!((self.library.send)(push, b"x".as_ptr().cast(), 1, 0), 1);
        }
    }

    fn recv(&self, socket: *mut c_void) -> Vec<u8> {
        let mut frame = [0_u8; 256];
        // SAFETY: see above.
        let len = unsafe { (self.library.recv)(socket, frame.as_mut_ptr().cast(), frame.len(), 0) };
        assert!(len >= 0, "{:?}", self.library.outcome(len));
        frame[..len as usize].to_vec()
    }

    /// Has a PAIR, which is returned, told why handshakes of `socket` fail.
    fn monitor(&mut self, socket: *mut c_void) -> *mut c_void {
        let monitor = self.socket(PAIR);
        self.set(monitor, RCVTIMEO, &30_000_i32.to_ne_bytes());
        // SAFETY: see above.
        unsafe {
            let endpoint = c("inproc://monitor");
            assert_eq!((self.library.socket_monitor)(socket, endpoint.as_ptr(), HANDSHAKE_FAILED), 0);
            assert_eq!((self.library.connect)(monitor, endpoint.as_ptr()), 0);
        }
        monitor
    }

    /// The next event of a monitor, and its value.
    fn event(&self, monitor: *mut c_void) -> (u16, u32) {
        let event = self.recv(monitor);
        self.recv(monitor);
        (u16::from_ne_bytes([event[0], event[1]]), u32::from_ne_bytes(event[2..].try_into().unwrap()))
    }

    /// Takes a request, and answers it.
    fn answer(&self, handler: *mut c_void, status: &str) -> Vec<Vec<u8>> {
        let request: Vec<_> = (0..6).map(|_| self.recv(handler)).collect();
        let metadata = b"\x05Hello\0\0\0\x05World";
        let reply: [&[u8]; 6] = [b"1.0", &request[1][..], status.as_bytes(), b"", USER, metadata];
        for (index, frame) in reply.iter().enumerate() {
            let more = if index + 1 < reply.len() { 2 } else { 0 };
            // SAFETY: see above.
            let sent = unsafe { (self.library.send)(handler, frame.as_ptr().cast(), frame.len(), more) };
            assert_eq!(sent, frame.len() as c_int);
        }
        request
    }

    fn end(self) {
        // SAFETY: see above.
        unsafe {
            self.sockets.iter().for_each(|&socket| assert_eq!((self.library.close)(socket), 0));
            assert_eq!((self.library.ctx_term)(self.context), 0);
        }
    }
}

/// As libzmq takes it: a user id need not be text.
const USER: &[u8] = b"us\xE9r";

#[test]
fn a_domain_has_the_handler_asked() {
    let mut case = Case::new(Library::nought());
    let (handler, pull) = (case.handler(), case.socket(PULL));
    case.send_to_domain(pull, "global", None);
    let request = case.answer(handler, "200");
    assert_eq!(request[0], b"1.0");
    assert_eq!(request[2..], ["global", "127.0.0.1", "", "NULL"].map(|text| text.as_bytes().to_vec()));
    let mut message = Msg::zeroed();
    // SAFETY: see above.
    unsafe {
        assert_eq!((case.library.msg_init)(message.pointer()), 0);
        assert_eq!((case.library.msg_recv)(message.pointer(), pull, 0), 1);
        for (name, value) in [("User-Id", USER), ("Hello", &b"World"[..]), ("Socket-Type", &b"PUSH"[..])] {
            let told = (case.library.msg_gets)(message.pointer(), c(name).as_ptr());
            assert!(!told.is_null(), "{name}");
            assert_eq!(CStr::from_ptr(told).to_bytes(), value);
        }
        assert_eq!((case.library.msg_close)(message.pointer()), 0);
    }
    case.end();
}

/// As libzmq takes them: any bytes are the domain, and the handler is told just them.
#[test]
fn a_domain_need_not_be_text() {
    let mut case = Case::new(Library::nought());
    let (handler, pull) = (case.handler(), case.socket(PULL));
    case.send_to_domain(pull, b"caf\xE9", None);
    assert_eq!(case.answer(handler, "200")[2], b"caf\xE9");
    assert_eq!(case.recv(pull), b"x");
    case.end();
}

#[test]
fn a_monitor_is_told_why_a_peer_does_not_come_in() {
    let cases = [("400", (AUTH, 400)), ("500", (AUTH, 500)), ("300", (AUTH, 300)), ("no", (PROTOCOL, 0x2000_0004))];
    for (status, told) in cases {
        let mut case = Case::new(Library::nought());
        let (handler, pull) = (case.handler(), case.socket(PULL));
        let monitor = case.monitor(pull);
        case.send_to_domain(pull, "global", None);
        case.answer(handler, status);
        assert_eq!(case.event(monitor), told, "{status}");
        case.end();
    }
}

#[test]
fn a_monitor_is_told_of_a_peer_that_leaves_before_it_is_judged() {
    let mut case = Case::new(Library::nought());
    let (handler, pull) = (case.handler(), case.socket(PULL));
    let monitor = case.monitor(pull);
    case.send_to_domain(pull, "global", None);
    // The request is there; it is not answered.
    case.recv(handler);
    let push = case.sockets.pop().unwrap();
    // SAFETY: it is open, and is not used any more.
    assert_eq!(unsafe { (case.library.close)(push) }, 0);
    assert_eq!(case.event(monitor), (NO_DETAIL, libc::EPIPE as u32));
    case.end();
}

#[test]
fn without_a_handler_a_domain_that_is_enforced_keeps_all_out() {
    let mut case = Case::new(Library::nought());
    let pull = case.socket(PULL);
    case.send_to_domain(pull, "global", Some(0));
    case.set(pull, RCVTIMEO, &30_000_i32.to_ne_bytes());
    assert_eq!(case.recv(pull), b"x", "nobody is asked");
    case.end();

    let mut case = Case::new(Library::nought());
    let pull = case.socket(PULL);
    let monitor = case.monitor(pull);
    case.send_to_domain(pull, "global", Some(1));
    assert_eq!(case.event(monitor), (NO_DETAIL, libc::EFAULT as u32));
    case.end();
}
