//! libzmq as the system has it: `libzmq.so.5`, loaded when a run begins. Distributions build it with libsodium, and so
//! with CURVE, which the one from `zeromq-src` has not.
//!
//! API: that of the other libzmq.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::future::{Future, ready};
use std::mem::MaybeUninit;
use std::slice;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libloading::Library;
use zmq_sys::zmq_msg_t;

use super::curve::{self, Side};
use super::libzmq::socket_type;
use super::{Kind, Peer, Socket};
use crate::desk::Job;
use crate::work::{Security, Work};

const NAME: &str = "libzmq.so.5";

/// The functions that are used, with their types in `zmq.h`.
struct Api {
    ctx_new: unsafe extern "C" fn() -> *mut c_void,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int, *mut c_int),
    has: unsafe extern "C" fn(*const c_char) -> c_int,
    errno: unsafe extern "C" fn() -> c_int,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    socket: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    close: unsafe extern "C" fn(*mut c_void) -> c_int,
    bind: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
    connect: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
    setsockopt: unsafe extern "C" fn(*mut c_void, c_int, *const c_void, usize) -> c_int,
    getsockopt: unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int,
    send: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
    proxy: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> c_int,
    msg_init: unsafe extern "C" fn(*mut zmq_msg_t) -> c_int,
    msg_recv: unsafe extern "C" fn(*mut zmq_msg_t, *mut c_void, c_int) -> c_int,
    msg_more: unsafe extern "C" fn(*const zmq_msg_t) -> c_int,
    msg_data: unsafe extern "C" fn(*mut zmq_msg_t) -> *mut c_void,
    msg_size: unsafe extern "C" fn(*const zmq_msg_t) -> usize,
    /// Keeps all of them where they are.
    _library: Library,
}

impl Api {
    fn load() -> Result<Self> {
        // SAFETY: what the library does when it is loaded is to set up its own data.
        let library = unsafe { Library::new(NAME) }
            .context("the system has no libzmq to measure CURVE against: apt-get install libzmq5, or the like")?;
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the field that it is put into has the function's type in zmq.h.
                unsafe { *library.get($name)? }
            };
        }
        let api = Self {
            ctx_new: function!("zmq_ctx_new"),
            version: function!("zmq_version"),
            has: function!("zmq_has"),
            errno: function!("zmq_errno"),
            strerror: function!("zmq_strerror"),
            socket: function!("zmq_socket"),
            close: function!("zmq_close"),
            bind: function!("zmq_bind"),
            connect: function!("zmq_connect"),
            setsockopt: function!("zmq_setsockopt"),
            getsockopt: function!("zmq_getsockopt"),
            send: function!("zmq_send"),
            proxy: function!("zmq_proxy"),
            msg_init: function!("zmq_msg_init"),
            msg_recv: function!("zmq_msg_recv"),
            msg_more: function!("zmq_msg_more"),
            msg_data: function!("zmq_msg_data"),
            msg_size: function!("zmq_msg_size"),
            _library: library,
        };
        // SAFETY: the text ends in zero.
        ensure!(unsafe { (api.has)(c"curve".as_ptr()) } == 1, "the system's {NAME} has been built without CURVE");
        Ok(api)
    }

    fn version(&self) -> String {
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        // SAFETY: each is written one integer to.
        unsafe { (self.version)(&mut major, &mut minor, &mut patch) };
        format!("{major}.{minor}.{patch}")
    }

    /// Makes an error of a negative result.
    fn check(&self, result: c_int, what: &str) -> Result<()> {
        if result >= 0 {
            return Ok(());
        }
        // SAFETY: every number has a text, which stays where it is.
        let reason = unsafe { CStr::from_ptr((self.strerror)((self.errno)())) };
        anyhow::bail!("{what}: {}", reason.to_string_lossy())
    }
}

/// A context with one I/O thread, the default. It is never ended: its process ends after one run.
#[derive(Clone)]
pub(crate) struct SystemLibzmq {
    api: Arc<Api>,
    context: Handle,
    security: Security,
}

/// A context or a socket.
#[derive(Clone, Copy)]
struct Handle(*mut c_void);

// SAFETY: a context may be used by all threads; a socket is owned by one `SystemSocket`, which can be in one thread only.
unsafe impl Send for Handle {}
// SAFETY: the same; what can be done with a socket takes it by `&mut`.
unsafe impl Sync for Handle {}

impl Peer for SystemLibzmq {
    type Socket = SystemSocket;

    const HAS_CURVE: bool = true;

    fn supports(_work: Work) -> bool {
        true
    }

    fn version() -> String {
        match Api::load() {
            Ok(api) => format!("libzmq {} (the system's, with CURVE)", api.version()),
            Err(_) => "no libzmq with CURVE on the system".into(),
        }
    }

    fn open(job: &Job) -> Result<Self> {
        let api = Api::load()?;
        // SAFETY: it takes nothing.
        let context = Handle(unsafe { (api.ctx_new)() });
        ensure!(!context.0.is_null(), "zmq_ctx_new");
        Ok(Self { api: Arc::new(api), context, security: job.work.security() })
    }

    fn run<F: Future>(&self, worker: F) -> F::Output {
        pollster::block_on(worker)
    }

    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn socket(&self, kind: Kind) -> Result<SystemSocket> {
        // SAFETY: the context is there.
        let inner = Handle(unsafe { (self.api.socket)(self.context.0, socket_type(kind) as c_int) });
        ensure!(!inner.0.is_null(), "zmq_socket");
        let socket = SystemSocket { inner, last: Received::new(&self.api), api: Arc::clone(&self.api) };
        match kind {
            Kind::Pub | Kind::XPub => socket.set_int(zmq_sys::ZMQ_XPUB_NODROP, 1)?,
            Kind::Sub => socket.set_int(zmq_sys::ZMQ_SNDHWM, 0)?,
            _ => {}
        }
        if self.security == Security::Curve {
            socket.be(curve::side(kind))?;
        }
        Ok(socket)
    }

    fn proxy(&self, front: SystemSocket, back: SystemSocket) -> Result<()> {
        // SAFETY: both sockets are there, and nobody else uses them.
        let result = unsafe { (self.api.proxy)(front.inner.0, back.inner.0, std::ptr::null_mut()) };
        self.api.check(result, "zmq_proxy")
    }
}

/// A socket, and the message received last.
pub(crate) struct SystemSocket {
    inner: Handle,
    last: Received,
    api: Arc<Api>,
}

/// A message that is received into again and again; what it holds last is left to the end of the process.
struct Received(zmq_msg_t);

// SAFETY: a message may go from thread to thread with whoever owns it.
unsafe impl Send for Received {}

impl Received {
    fn new(api: &Api) -> Self {
        let mut message = MaybeUninit::uninit();
        // SAFETY: it writes all of the message, and cannot fail.
        unsafe {
            (api.msg_init)(message.as_mut_ptr());
            Self(message.assume_init())
        }
    }
}

impl SystemSocket {
    fn be(&self, side: Side) -> Result<()> {
        match side {
            Side::Server => {
                self.set_int(zmq_sys::ZMQ_CURVE_SERVER, 1)?;
                self.set_key(zmq_sys::ZMQ_CURVE_SECRETKEY, curve::SERVER.secret)
            }
            Side::Client => {
                self.set_key(zmq_sys::ZMQ_CURVE_SERVERKEY, curve::SERVER.public)?;
                self.set_key(zmq_sys::ZMQ_CURVE_PUBLICKEY, curve::CLIENT.public)?;
                self.set_key(zmq_sys::ZMQ_CURVE_SECRETKEY, curve::CLIENT.secret)
            }
        }
    }

    fn set_int(&self, option: u32, value: c_int) -> Result<()> {
        self.set(option, &value.to_ne_bytes())
    }

    /// As text, with the zero behind it.
    fn set_key(&self, option: u32, key: &str) -> Result<()> {
        self.set(option, CString::new(key)?.as_bytes_with_nul())
    }

    fn set(&self, option: u32, value: &[u8]) -> Result<()> {
        // SAFETY: the socket is there, and the value is as long as is said.
        let result =
            unsafe { (self.api.setsockopt)(self.inner.0, option as c_int, value.as_ptr().cast(), value.len()) };
        self.api.check(result, "zmq_setsockopt")
    }

    fn last_endpoint(&self) -> Result<String> {
        let mut endpoint = [0; 256];
        let mut len = endpoint.len();
        let option = zmq_sys::ZMQ_LAST_ENDPOINT as c_int;
        // SAFETY: the socket is there, and the value is as long as is said.
        let result = unsafe { (self.api.getsockopt)(self.inner.0, option, endpoint.as_mut_ptr().cast(), &mut len) };
        self.api.check(result, "zmq_getsockopt")?;
        Ok(CStr::from_bytes_until_nul(&endpoint)?.to_str()?.into())
    }

    fn send_frame(&self, body: &[u8], flags: c_int) -> Result<()> {
        // SAFETY: the socket is there, and the body is as long as is said.
        let result = unsafe { (self.api.send)(self.inner.0, body.as_ptr().cast(), body.len(), flags) };
        self.api.check(result, "zmq_send")
    }

    fn recv_last_frame(&mut self) -> Result<&[u8]> {
        loop {
            // SAFETY: socket and message are there.
            let result = unsafe { (self.api.msg_recv)(&mut self.last.0, self.inner.0, 0) };
            self.api.check(result, "zmq_msg_recv")?;
            // SAFETY: the message is there; its body is where and as long as it says, until it is received into again,
            // which takes the socket by `&mut`.
            unsafe {
                if (self.api.msg_more)(&self.last.0) == 0 {
                    let (data, len) = ((self.api.msg_data)(&mut self.last.0), (self.api.msg_size)(&self.last.0));
                    return Ok(slice::from_raw_parts(data.cast(), len));
                }
            }
        }
    }
}

impl Socket for SystemSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        let text = CString::new(endpoint)?;
        // SAFETY: the socket is there, and the text ends in zero.
        self.api.check(unsafe { (self.api.bind)(self.inner.0, text.as_ptr()) }, "zmq_bind")?;
        self.last_endpoint()
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        let text = CString::new(endpoint)?;
        // SAFETY: the socket is there, and the text ends in zero.
        self.api.check(unsafe { (self.api.connect)(self.inner.0, text.as_ptr()) }, "zmq_connect")
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        self.set(zmq_sys::ZMQ_SUBSCRIBE, prefix.as_bytes())
    }

    fn send(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> {
        ready(self.send_frame(body, 0))
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        self.send_frame(b"", zmq_sys::ZMQ_SNDMORE as c_int)?;
        self.send_frame(body, 0)
    }

    fn recv(&mut self) -> impl Future<Output = Result<&[u8]>> {
        ready(self.recv_last_frame())
    }

    async fn close(self) -> Result<()> {
        // SAFETY: the socket is there, and not used after this.
        self.api.check(unsafe { (self.api.close)(self.inner.0) }, "zmq_close")
    }
}
