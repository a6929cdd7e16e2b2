//! wss:// by its options.

mod support;

use std::ffi::{c_int, c_void};

use support::{Library, c};

const PUSH: c_int = 8;
const PULL: c_int = 7;
const LINGER: c_int = 17;
const RCVTIMEO: c_int = 27;
const LAST_ENDPOINT: c_int = 32;
const KEY_PEM: c_int = 103;
const CERT_PEM: c_int = 104;
const TRUST_PEM: c_int = 105;
const HOSTNAME: c_int = 106;
const TRUST_SYSTEM: c_int = 107;
const EVENT_CONNECTED: c_int = 0x0001;
const EVENT_DISCONNECTED: c_int = 0x0200;
const PAIR: c_int = 0;

struct Case {
    library: Library,
    context: *mut c_void,
    sockets: Vec<*mut c_void>,
}

impl Case {
    fn new() -> Self {
        let library = Library::nought();
        // SAFETY: the calls are as zmq.h declares them; so below.
        Self { library, context: unsafe { (library.ctx_new)() }, sockets: Vec::new() }
    }

    fn socket(&mut self, socket_type: c_int) -> *mut c_void {
        // SAFETY: see above.
        let socket = unsafe { (self.library.socket)(self.context, socket_type) };
        self.sockets.push(socket);
        assert_eq!(self.set(socket, LINGER, &0_i32.to_ne_bytes()), (0, 0));
        assert_eq!(self.set(socket, RCVTIMEO, &30_000_i32.to_ne_bytes()), (0, 0));
        socket
    }

    fn set(&self, socket: *mut c_void, option: c_int, value: &[u8]) -> (c_int, c_int) {
        // SAFETY: see above.
        let set = unsafe { (self.library.setsockopt)(socket, option, value.as_ptr().cast(), value.len()) };
        self.library.outcome(set)
    }

    fn bind(&self, socket: *mut c_void) -> (c_int, c_int) {
        // SAFETY: see above.
        self.library.outcome(unsafe { (self.library.bind)(socket, c("wss://127.0.0.1:*/path").as_ptr()) })
    }

    /// Connects to what the other is bound to.
    fn connect(&self, socket: *mut c_void, bound: *mut c_void) {
        let (mut endpoint, mut len) = ([0_u8; 256], 256);
        // SAFETY: see above.
        unsafe {
            let got = (self.library.getsockopt)(bound, LAST_ENDPOINT, endpoint.as_mut_ptr().cast(), &raw mut len);
            assert_eq!(got, 0);
            assert_eq!((self.library.connect)(socket, endpoint.as_ptr().cast()), 0);
        }
    }

    fn send(&self, socket: *mut c_void, body: &[u8]) {
        // SAFETY: see above.
        let sent = unsafe { (self.library.send)(socket, body.as_ptr().cast(), body.len(), 0) };
        assert_eq!(sent, body.len() as c_int);
    }

    fn recv(&self, socket: *mut c_void) -> Vec<u8> {
        let mut frame = [0_u8; 256];
        // SAFETY: see above.
        let len = unsafe { (self.library.recv)(socket, frame.as_mut_ptr().cast(), frame.len(), 0) };
        assert!(len >= 0, "{:?}", self.library.outcome(len));
        frame[..len as usize].to_vec()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // SAFETY: see above.
        unsafe {
            self.sockets.iter().for_each(|&socket| assert_eq!((self.library.close)(socket), 0));
            assert_eq!((self.library.ctx_term)(self.context), 0);
        }
    }
}

/// A certificate that signs itself, for a name, and its key.
fn certificate(name: &str) -> (String, String) {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[test]
fn a_server_that_is_trusted_is_talked_to() {
    let mut case = Case::new();
    // SAFETY: it is a C string.
    assert_eq!(unsafe { (case.library.has)(c("WSS").as_ptr()) }, 1);
    let (bound, near) = (case.socket(PULL), case.socket(PUSH));
    let (cert, key) = certificate("zeromq.example");
    for (socket, option, value) in [
        (bound, KEY_PEM, key.as_bytes()),
        (bound, CERT_PEM, cert.as_bytes()),
        (near, TRUST_PEM, cert.as_bytes()),
        (near, HOSTNAME, b"zeromq.example"),
    ] {
        assert_eq!(case.set(socket, option, value), (0, 0), "{option}");
    }
    assert_eq!(case.bind(bound), (0, 0));
    case.connect(near, bound);
    case.send(near, b"hello");
    assert_eq!(case.recv(bound), b"hello");
}

/// Neither by its authority nor by its name; libzmq lets both in where no name is set.
#[test]
fn a_server_that_is_not_trusted_is_refused() {
    let mut case = Case::new();
    let bound = case.socket(PULL);
    let (cert, key) = certificate("zeromq.example");
    assert_eq!(case.set(bound, CERT_PEM, cert.as_bytes()), (0, 0));
    assert_eq!(case.set(bound, KEY_PEM, key.as_bytes()), (0, 0));
    assert_eq!(case.bind(bound), (0, 0));
    for (trust, n) in [(&b""[..], 0), (cert.as_bytes(), 1)] {
        let near = case.socket(PUSH);
        assert_eq!(case.set(near, TRUST_PEM, trust), (0, 0));
        let feed = case.socket(PAIR);
        let name = c(&format!("inproc://events-{n}"));
        // SAFETY: the calls are as zmq.h declares them.
        unsafe {
            let events = EVENT_CONNECTED | EVENT_DISCONNECTED;
            assert_eq!((case.library.socket_monitor)(near, name.as_ptr(), events), 0);
            assert_eq!((case.library.connect)(feed, name.as_ptr()), 0);
        }
        case.connect(near, bound);
        for expected in [EVENT_CONNECTED, EVENT_DISCONNECTED] {
            let event = case.recv(feed);
            assert_eq!(c_int::from(u16::from_ne_bytes([event[0], event[1]])), expected);
            case.recv(feed);
        }
    }
}

#[test]
fn what_cannot_be_used_is_einval() {
    let mut case = Case::new();
    let invalid = (-1, libc::EINVAL);
    let socket = case.socket(PULL);
    assert_eq!(case.bind(socket), invalid, "there is no certificate");
    for (option, value) in
        [(TRUST_PEM, &b"no PEM"[..]), (HOSTNAME, b"not a name"), (HOSTNAME, b"\xFF"), (TRUST_SYSTEM, b"\x01")]
    {
        assert_eq!(case.set(socket, option, value), invalid, "{option}");
    }
    assert_eq!(case.set(socket, TRUST_SYSTEM, &2_i32.to_ne_bytes()), invalid);
    assert_eq!(case.set(socket, TRUST_SYSTEM, &1_i32.to_ne_bytes()), (0, 0));
    let ((cert, key), (_, other_key)) = (certificate("a.example"), certificate("b.example"));
    // They are set one after the other: whether they fit shows when they are needed.
    assert_eq!(case.set(socket, CERT_PEM, cert.as_bytes()), (0, 0));
    assert_eq!(case.set(socket, KEY_PEM, other_key.as_bytes()), (0, 0));
    assert_eq!(case.bind(socket), invalid);
    assert_eq!(case.set(socket, KEY_PEM, key.as_bytes()), (0, 0));
    assert_eq!(case.bind(socket), (0, 0));
    for option in KEY_PEM..=TRUST_SYSTEM {
        let (mut value, mut len) = ([0_u8; 4], 4);
        // SAFETY: the call is as zmq.h declares it.
        let got = unsafe { (case.library.getsockopt)(socket, option, value.as_mut_ptr().cast(), &raw mut len) };
        assert_eq!(case.library.outcome(got), invalid, "{option} is told");
    }
}
