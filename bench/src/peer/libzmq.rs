//! libzmq, as built from source by `zeromq-src`, through the `zmq` crate.
//!
//! API: `zmq_msg_send` of a message made from a slice, and `zmq_msg_recv` into a message that is used again, which
//! is what libzmq's own performance programs do.

use std::ffi::{c_int, c_void};
use std::fs;
use std::future::{Future, ready};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::{Kind, Peer, Socket, locked_version};
use crate::desk::Job;
use crate::work::Work;

/// A context with one I/O thread, the default.
#[derive(Clone)]
pub(crate) struct Libzmq(zmq::Context);

impl Peer for Libzmq {
    type Socket = LibzmqSocket;

    fn supports(_work: Work) -> bool {
        true
    }

    fn version() -> String {
        let (major, minor, patch) = zmq::version();
        let signals = if signals_by_eventfd() { "eventfd" } else { "socket pairs" };
        format!("libzmq {major}.{minor}.{patch} (built by {}, signals by {signals})", locked_version("zeromq-src"))
    }

    fn open(_job: &Job) -> Result<Self> {
        Ok(Self(zmq::Context::new()))
    }

    fn run<F: Future>(&self, worker: F) -> F::Output {
        pollster::block_on(worker)
    }

    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn socket(&self, kind: Kind) -> Result<LibzmqSocket> {
        let mut inner = self.0.socket(socket_type(kind))?;
        match kind {
            Kind::Pub | Kind::XPub => wait_for_subscribers(&mut inner)?,
            Kind::Sub => inner.set_sndhwm(0)?,
            _ => {}
        }
        Ok(LibzmqSocket { inner, last: zmq::Message::new() })
    }

    fn proxy(&self, front: LibzmqSocket, back: LibzmqSocket) -> Result<()> {
        Ok(zmq::proxy(&front.inner, &back.inner)?)
    }
}

/// A socket, and the message received last.
pub(crate) struct LibzmqSocket {
    inner: zmq::Socket,
    last: zmq::Message,
}

impl LibzmqSocket {
    fn recv_last_frame(&mut self) -> Result<&[u8]> {
        self.inner.recv(&mut self.last, 0)?;
        while self.last.get_more() {
            self.inner.recv(&mut self.last, 0)?;
        }
        Ok(&self.last)
    }
}

impl Socket for LibzmqSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        self.inner.bind(endpoint)?;
        self.inner.get_last_endpoint()?.map_err(|_| anyhow!("the endpoint is not UTF-8"))
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(self.inner.connect(endpoint)?)
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        Ok(self.inner.set_subscribe(prefix.as_bytes())?)
    }

    fn send(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> {
        ready(self.inner.send(body, 0).map_err(Into::into))
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        self.inner.send(&b""[..], zmq::SNDMORE)?;
        Ok(self.inner.send(body, 0)?)
    }

    fn recv(&mut self) -> impl Future<Output = Result<&[u8]>> {
        ready(self.recv_last_frame())
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

pub(super) fn socket_type(kind: Kind) -> zmq::SocketType {
    match kind {
        Kind::Push => zmq::PUSH,
        Kind::Pull => zmq::PULL,
        Kind::Pub => zmq::PUB,
        Kind::Sub => zmq::SUB,
        Kind::Req => zmq::REQ,
        Kind::Rep => zmq::REP,
        Kind::Dealer => zmq::DEALER,
        Kind::Router => zmq::ROUTER,
        Kind::XPub => zmq::XPUB,
        Kind::XSub => zmq::XSUB,
    }
}

/// Whether its threads wake each other by eventfds, as in distributions' packages, or by pairs of sockets, which
/// is what remains if the build does not say `ZMQ_HAVE_EVENTFD`; that makes its round trips some 5 to 10 % slower.
fn signals_by_eventfd() -> bool {
    let _context = zmq::Context::new().socket(zmq::PAIR);
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| link.ends_with("anon_inode:[eventfd]"))
}

/// Sets `ZMQ_XPUB_NODROP`, which the `zmq` crate does not know.
fn wait_for_subscribers(socket: &mut zmq::Socket) -> Result<()> {
    let yes: c_int = 1;
    // SAFETY: the socket is open; the option's value is a C int, whose address and size are given.
    let result = unsafe {
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            zmq_sys::ZMQ_XPUB_NODROP as c_int,
            (&raw const yes).cast::<c_void>(),
            size_of::<c_int>(),
        )
    };
    ensure!(result == 0, "ZMQ_XPUB_NODROP: {}", std::io::Error::last_os_error());
    Ok(())
}
