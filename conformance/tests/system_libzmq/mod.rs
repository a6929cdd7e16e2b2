//! The system's libzmq, loaded when the test runs, through the few functions that the tests need.

use std::{
    ffi::{CString, c_char, c_int, c_void},
    thread,
    time::Duration,
};

use libloading::{Library, Symbol};
use nought::{KeyPair, PublicKey, SocketType};
use nought_conformance::libzmq_type;

const PATIENCE_MS: c_int = 20_000;

// Numbers of zmq.h.
const LAST_ENDPOINT: c_int = 32;
const SUBSCRIBE: c_int = 6;
const UNSUBSCRIBE: c_int = 7;
const RCVMORE: c_int = 13;
const LINGER: c_int = 17;
const RCVTIMEO: c_int = 27;
const SNDTIMEO: c_int = 28;
const PLAIN_SERVER: c_int = 44;
const PLAIN_USERNAME: c_int = 45;
const PLAIN_PASSWORD: c_int = 46;
const CURVE_SERVER: c_int = 47;
const CURVE_PUBLICKEY: c_int = 48;
const CURVE_SECRETKEY: c_int = 49;
const CURVE_SERVERKEY: c_int = 50;
const HEARTBEAT_IVL: c_int = 75;
const HEARTBEAT_TIMEOUT: c_int = 77;
const SNDMORE: c_int = 2;

/// The library, and a context of it.
pub(crate) struct Libzmq {
    library: Library,
    context: Pointer,
}

/// A handle of libzmq's.
#[derive(Clone, Copy)]
struct Pointer(*mut c_void);

// SAFETY: a context may be used by all threads, and each socket here is used by one thread at a time.
unsafe impl Send for Pointer {}
// SAFETY: see above.
unsafe impl Sync for Pointer {}

/// A socket of libzmq's.
pub(crate) struct Socket<'l> {
    libzmq: &'l Libzmq,
    socket: Pointer,
}

impl Libzmq {
    /// # Panics
    /// If there is none, or none with CURVE.
    pub(crate) fn open() -> &'static Self {
        // SAFETY: what it does when it is loaded is to set up its own data.
        let library = unsafe { Library::new("libzmq.so.5") }
            .expect("these tests need a libzmq with CURVE on the system: apt-get install libzmq5, or the like");
        // SAFETY: the functions have the types of zmq.h.
        let (context, has_curve) = unsafe {
            let new: Symbol<'_, unsafe extern "C" fn() -> *mut c_void> = library.get("zmq_ctx_new").unwrap();
            let has: Symbol<'_, unsafe extern "C" fn(*const c_char) -> c_int> = library.get("zmq_has").unwrap();
            (Pointer(new()), has(c"curve".as_ptr()))
        };
        assert_eq!(has_curve, 1, "the system's libzmq has no CURVE");
        // It lives as long as the test: its context is never ended, so that nothing waits for sockets.
        Box::leak(Box::new(Self { library, context }))
    }

    pub(crate) fn socket(&self, socket_type: SocketType) -> Socket<'_> {
        type New = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;
        let number = libzmq_type(socket_type) as c_int;
        // SAFETY: the context is there, and the function has this type in zmq.h.
        let socket = unsafe { self.library.get::<New>("zmq_socket").unwrap()(self.context.0, number) };
        assert!(!socket.is_null());
        let socket = Socket { libzmq: self, socket: Pointer(socket) };
        socket.set_int(LINGER, 0);
        socket.set_int(RCVTIMEO, PATIENCE_MS);
        socket.set_int(SNDTIMEO, PATIENCE_MS);
        socket
    }

    /// Lets in to servers of PLAIN who knows the password, for as long as the result is there.
    pub(crate) fn authenticate_plain(&'static self, user: &str, password: &str) -> impl Drop + use<> {
        let handler = self.socket(SocketType::Rep);
        handler.bind("inproc://zeromq.zap.01");
        let expected = [user.as_bytes().to_vec(), password.as_bytes().to_vec()];
        Handler(
            Some(thread::spawn(move || {
                loop {
                    let request = handler.recv();
                    if request == [b"end"] {
                        return handler.send(&[Vec::new()]);
                    }
                    let is_right = request[6..] == expected;
                    let status: &[u8] = if is_right { b"200" } else { b"400" };
                    handler.send(&[b"1.0", &request[1][..], status, b"", b"", b""].map(<[u8]>::to_vec));
                }
            })),
            self,
        )
    }

    fn option(&self, socket: Pointer, option: c_int, value: &[u8]) {
        type Set = unsafe extern "C" fn(*mut c_void, c_int, *const c_void, usize) -> c_int;
        // SAFETY: the socket is there, the value is as long as is said, and the function has this type in zmq.h.
        let result = unsafe {
            let set = self.library.get::<Set>("zmq_setsockopt").unwrap();
            set(socket.0, option, value.as_ptr().cast(), value.len())
        };
        assert_eq!(result, 0, "option {option}");
    }

    fn with_endpoint(&self, function: &str, socket: Pointer, endpoint: &str) {
        type Call = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
        let text = CString::new(endpoint).unwrap();
        // SAFETY: the socket is there, the text ends in zero, and the functions have this type in zmq.h.
        let result = unsafe { self.library.get::<Call>(function).unwrap()(socket.0, text.as_ptr()) };
        assert_eq!(result, 0, "{function} {endpoint}");
    }
}

struct Handler(Option<thread::JoinHandle<()>>, &'static Libzmq);

impl Drop for Handler {
    fn drop(&mut self) {
        let end = self.1.socket(SocketType::Req);
        end.connect("inproc://zeromq.zap.01");
        end.send(&[b"end".to_vec()]);
        end.recv();
        self.0.take().unwrap().join().unwrap();
    }
}

impl Socket<'_> {
    pub(crate) fn be_curve_server(&self, keys: &KeyPair) {
        self.set_int(CURVE_SERVER, 1);
        self.libzmq.option(self.socket, CURVE_SECRETKEY, keys.secret_key().as_bytes());
    }

    pub(crate) fn be_curve_client(&self, server_key: &PublicKey, keys: &KeyPair) {
        self.libzmq.option(self.socket, CURVE_SERVERKEY, server_key.as_bytes());
        self.libzmq.option(self.socket, CURVE_PUBLICKEY, keys.public_key().as_bytes());
        self.libzmq.option(self.socket, CURVE_SECRETKEY, keys.secret_key().as_bytes());
    }

    pub(crate) fn be_plain_server(&self) {
        self.set_int(PLAIN_SERVER, 1);
    }

    pub(crate) fn be_plain_client(&self, user: &str, password: &str) {
        self.libzmq.option(self.socket, PLAIN_USERNAME, user.as_bytes());
        self.libzmq.option(self.socket, PLAIN_PASSWORD, password.as_bytes());
    }

    pub(crate) fn set_heartbeats(&self, interval: Duration, timeout: Duration) {
        self.set_int(HEARTBEAT_IVL, interval.as_millis() as c_int);
        self.set_int(HEARTBEAT_TIMEOUT, timeout.as_millis() as c_int);
    }

    pub(crate) fn subscribe(&self, prefix: &[u8]) {
        self.libzmq.option(self.socket, SUBSCRIBE, prefix);
    }

    pub(crate) fn unsubscribe(&self, prefix: &[u8]) {
        self.libzmq.option(self.socket, UNSUBSCRIBE, prefix);
    }

    fn set_int(&self, option: c_int, value: c_int) {
        self.libzmq.option(self.socket, option, &value.to_ne_bytes());
    }

    fn get(&self, option: c_int, value: &mut [u8]) -> usize {
        type Get = unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int;
        let mut len = value.len();
        // SAFETY: the socket is there, the value is as long as is said, and the function has this type in zmq.h.
        let result = unsafe {
            let get = self.libzmq.library.get::<Get>("zmq_getsockopt").unwrap();
            get(self.socket.0, option, value.as_mut_ptr().cast(), &mut len)
        };
        assert_eq!(result, 0, "option {option}");
        len
    }

    /// Binds, and returns the endpoint with its port.
    pub(crate) fn bind(&self, endpoint: &str) -> String {
        self.libzmq.with_endpoint("zmq_bind", self.socket, endpoint);
        let mut endpoint = [0; 256];
        let len = self.get(LAST_ENDPOINT, &mut endpoint);
        String::from_utf8(endpoint[..len - 1].to_vec()).unwrap()
    }

    pub(crate) fn connect(&self, endpoint: &str) {
        self.libzmq.with_endpoint("zmq_connect", self.socket, endpoint);
    }

    pub(crate) fn send(&self, frames: &[Vec<u8>]) {
        type Send = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
        for (index, frame) in frames.iter().enumerate() {
            let flags = if index + 1 < frames.len() { SNDMORE } else { 0 };
            // SAFETY: the socket is there, the frame is as long as is said, and the function has this type in zmq.h.
            let result = unsafe {
                let send = self.libzmq.library.get::<Send>("zmq_send").unwrap();
                send(self.socket.0, frame.as_ptr().cast(), frame.len(), flags)
            };
            assert_eq!(result, frame.len() as c_int, "zmq_send");
        }
    }

    pub(crate) fn recv(&self) -> Vec<Vec<u8>> {
        type Recv = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, c_int) -> c_int;
        let mut frames = Vec::new();
        loop {
            let mut frame = vec![0; 2 << 20];
            // SAFETY: the socket is there, the frame is as long as is said, and the function has this type in zmq.h.
            let len = unsafe {
                let recv = self.libzmq.library.get::<Recv>("zmq_recv").unwrap();
                recv(self.socket.0, frame.as_mut_ptr().cast(), frame.len(), 0)
            };
            frame.truncate(usize::try_from(len).expect("zmq_recv"));
            frames.push(frame);
            let mut more = [0; size_of::<c_int>()];
            self.get(RCVMORE, &mut more);
            if c_int::from_ne_bytes(more) == 0 {
                return frames;
            }
        }
    }
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        type Close = unsafe extern "C" fn(*mut c_void) -> c_int;
        // SAFETY: the socket is there and not used after this, and the function has this type in zmq.h.
        unsafe { self.libzmq.library.get::<Close>("zmq_close").unwrap()(self.socket.0) };
    }
}
