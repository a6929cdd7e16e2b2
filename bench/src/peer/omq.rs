//! omq-tokio through its blocking API, with one I/O thread, the default.
//!
//! API: `blocking::Socket`, whose `send` and `recv` run on the calling thread without tokio; it is what the
//! library's own performance programs measure beside the asynchronous one. Receiving in bulk (`recv_many_into`)
//! was no faster here. The library's linger is 0 by default, which discards what a closing sender still holds;
//! here it is without limit, as libzmq's is.

use std::future::Future;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use omq_tokio::{Context, Message, Options, SocketType, blocking, proxy};

use super::{Kind, Peer, Socket, locked_version};
use crate::desk::Job;
use crate::work::Work;

/// A context with threads of its own.
#[derive(Clone)]
pub(crate) struct Omq(Context);

impl Peer for Omq {
    type Socket = OmqSocket;

    fn supports(_work: Work) -> bool {
        true
    }

    fn version() -> String {
        locked_version("omq-tokio")
    }

    fn open(_job: &Job) -> Result<Self> {
        Ok(Self(Context::new()))
    }

    fn run<F: Future>(&self, worker: F) -> F::Output {
        pollster::block_on(worker)
    }

    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn socket(&self, kind: Kind) -> Result<OmqSocket> {
        let mut options = Options::default().linger_forever();
        match kind {
            Kind::Pub | Kind::XPub => options.xpub_nodrop = true,
            _ => {}
        }
        Ok(OmqSocket { inner: self.0.blocking_socket(socket_type(kind), options), last: Message::new() })
    }

    fn proxy(&self, front: OmqSocket, back: OmqSocket) -> Result<()> {
        // Where the sockets' own tasks run, so that no message crosses threads.
        self.0.block_on(proxy::proxy(front.inner.into_async(), back.inner.into_async(), None))?;
        Ok(())
    }
}

/// A socket, and the message received last.
pub(crate) struct OmqSocket {
    inner: blocking::Socket,
    last: Message,
}

impl Socket for OmqSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        Ok(self.inner.bind(endpoint)?.to_string())
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(self.inner.connect(endpoint)?)
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        Ok(self.inner.subscribe(prefix.to_owned())?)
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send(Message::from_slice(body))?)
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send(Message::multipart([Vec::new(), body.to_vec()]))?)
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        self.last = self.inner.recv()?;
        let last = self.last.len().checked_sub(1).context("a message without frames")?;
        self.last.part_slice(last).context("a frame in pieces")
    }

    async fn close(self) -> Result<()> {
        Ok(self.inner.close()?)
    }
}

fn socket_type(kind: Kind) -> SocketType {
    match kind {
        Kind::Push => SocketType::Push,
        Kind::Pull => SocketType::Pull,
        Kind::Pub => SocketType::Pub,
        Kind::Sub => SocketType::Sub,
        Kind::Req => SocketType::Req,
        Kind::Rep => SocketType::Rep,
        Kind::Dealer => SocketType::Dealer,
        Kind::Router => SocketType::Router,
        Kind::XPub => SocketType::XPub,
        Kind::XSub => SocketType::XSub,
    }
}
