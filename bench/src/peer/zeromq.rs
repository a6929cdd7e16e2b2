//! zeromq (zmq.rs) on tokio's multi-thread runtime.
//!
//! API: the library has but one, asynchronous, whose messages own their bytes. It has no inproc, and its PUB drops
//! messages for slow subscribers and cannot be told to wait, so the work that counts on every message is beyond
//! it.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use zeromq::{
    DealerSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket, Socket as _, SocketRecv, SocketSend,
    ZmqMessage,
};

use super::tokio_runtime::MultiThread;
use super::{Kind, Peer, Socket, locked_version};
use crate::desk::Job;
use crate::work::{Proxied, Transport, Work};

/// The runtime; the library has no context.
#[derive(Clone)]
pub(crate) struct Zeromq(MultiThread);

impl Peer for Zeromq {
    type Socket = ZeromqSocket;

    fn supports(work: Work) -> bool {
        let publishes = matches!(work, Work::FanOut(_) | Work::Matching(_) | Work::Proxied(Proxied::Topics));
        work.transport() != Transport::Inproc && !publishes
    }

    fn version() -> String {
        locked_version("zeromq")
    }

    fn open(_job: &Job) -> Result<Self> {
        Ok(Self(MultiThread::new()?))
    }

    fn run<F>(&self, worker: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.run(worker)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn socket(&self, kind: Kind) -> Result<ZeromqSocket> {
        Ok(ZeromqSocket { inner: Inner::new(kind)?, last: ZmqMessage::from(Vec::new()) })
    }

    fn proxy(&self, front: ZeromqSocket, back: ZeromqSocket) -> Result<()> {
        match (front.inner, back.inner) {
            (Inner::Router(front), Inner::Dealer(back)) => Ok(self.0.block_on(zeromq::proxy(front, back, None))?),
            _ => bail!("this proxy joins a ROUTER and a DEALER"),
        }
    }
}

/// A socket, and the message received last.
pub(crate) struct ZeromqSocket {
    inner: Inner,
    last: ZmqMessage,
}

/// The library has a type for each kind of socket.
enum Inner {
    Push(PushSocket),
    Pull(PullSocket),
    Req(ReqSocket),
    Rep(RepSocket),
    Dealer(DealerSocket),
    Router(RouterSocket),
}

/// Does the same with the socket of whichever type.
macro_rules! each_socket {
    ($inner:expr, $socket:ident => $does:expr) => {
        match $inner {
            Inner::Push($socket) => $does,
            Inner::Pull($socket) => $does,
            Inner::Req($socket) => $does,
            Inner::Rep($socket) => $does,
            Inner::Dealer($socket) => $does,
            Inner::Router($socket) => $does,
        }
    };
}

impl Inner {
    fn new(kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Push => Self::Push(PushSocket::new()),
            Kind::Pull => Self::Pull(PullSocket::new()),
            Kind::Req => Self::Req(ReqSocket::new()),
            Kind::Rep => Self::Rep(RepSocket::new()),
            Kind::Dealer => Self::Dealer(DealerSocket::new()),
            Kind::Router => Self::Router(RouterSocket::new()),
            Kind::Pub | Kind::Sub | Kind::XPub | Kind::XSub => bail!("zeromq's publishers drop messages"),
        })
    }

    async fn send(&mut self, message: ZmqMessage) -> Result<()> {
        match self {
            Self::Push(socket) => socket.send(message).await?,
            Self::Req(socket) => socket.send(message).await?,
            Self::Rep(socket) => socket.send(message).await?,
            Self::Dealer(socket) => socket.send(message).await?,
            Self::Router(socket) => socket.send(message).await?,
            Self::Pull(_) => bail!("a PULL does not send"),
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<ZmqMessage> {
        Ok(match self {
            Self::Pull(socket) => socket.recv().await?,
            Self::Req(socket) => socket.recv().await?,
            Self::Rep(socket) => socket.recv().await?,
            Self::Dealer(socket) => socket.recv().await?,
            Self::Router(socket) => socket.recv().await?,
            Self::Push(_) => bail!("a PUSH does not receive"),
        })
    }
}

impl Socket for ZeromqSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        Ok(each_socket!(&mut self.inner, socket => socket.bind(endpoint).await)?.to_string())
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(each_socket!(&mut self.inner, socket => socket.connect(endpoint).await)?)
    }

    async fn subscribe(&mut self, _prefix: &str) -> Result<()> {
        bail!("zeromq's publishers drop messages")
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        self.inner.send(body.to_vec().into()).await
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        let mut message = ZmqMessage::from(Vec::new());
        message.push_back(body.to_vec().into());
        self.inner.send(message).await
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        self.last = self.inner.recv().await?;
        let last = self.last.len().checked_sub(1).context("a message without frames")?;
        Ok(self.last.get(last).context("a message without frames")?)
    }

    async fn close(self) -> Result<()> {
        each_socket!(self.inner, socket => socket.close().await)
            .into_iter()
            .next()
            .map_or(Ok(()), |error| Err(error.into()))
    }
}
