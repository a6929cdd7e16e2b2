//! rzmq on tokio's multi-thread runtime.
//!
//! API: the library has but one, asynchronous, whose messages own their bytes: `Msg::from_vec` of a copy. Its
//! io_uring back end is not used: it is off by default. It has neither XPUB and XSUB nor a proxy, and with a
//! thousand sockets in a process it stops connecting after some fifty (0.5.28, seen here), so it does not take
//! part in the fan-in.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rzmq::socket::options::{LAST_ENDPOINT, MAX_CONNECTIONS, SNDHWM, SUBSCRIBE, XPUB_NODROP};
use rzmq::{Context, Msg, SocketType};

use super::tokio_runtime::MultiThread;
use super::{Kind, Peer, Socket, locked_version};
use crate::desk::Job;
use crate::work::Work;

/// More than any case makes; the library's own limit is 1,024, which no other has.
const MANY_CONNECTIONS: i32 = 100_000;

/// A context and the runtime that it lives on.
#[derive(Clone)]
pub(crate) struct Rzmq {
    context: Context,
    runtime: MultiThread,
}

impl Peer for Rzmq {
    type Socket = RzmqSocket;

    fn supports(work: Work) -> bool {
        match work {
            Work::Proxied(_) => false,
            Work::Stream(stream) => stream.connections == 1,
            _ => true,
        }
    }

    fn version() -> String {
        locked_version("rzmq")
    }

    fn open(_job: &Job) -> Result<Self> {
        let runtime = MultiThread::new()?;
        let context = runtime.run(async { Context::new() })?;
        Ok(Self { context, runtime })
    }

    fn run<F>(&self, worker: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.run(worker)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn socket(&self, kind: Kind) -> Result<RzmqSocket> {
        let inner = self.context.socket(socket_type(kind)?)?;
        Ok(RzmqSocket { inner, kind, last: Msg::new() })
    }

    fn proxy(&self, _front: RzmqSocket, _back: RzmqSocket) -> Result<()> {
        bail!("rzmq has no proxy")
    }
}

/// A socket, and the message received last.
pub(crate) struct RzmqSocket {
    inner: rzmq::Socket,
    kind: Kind,
    last: Msg,
}

impl RzmqSocket {
    /// Options are set by asynchronous calls, and so not where the socket is made.
    async fn configure(&self) -> Result<()> {
        match self.kind {
            Kind::Pub => self.inner.set_option(XPUB_NODROP, 1i32).await?,
            Kind::Sub => self.inner.set_option(SNDHWM, 0i32).await?,
            Kind::Pull | Kind::Router => self.inner.set_option(MAX_CONNECTIONS, MANY_CONNECTIONS).await?,
            _ => {}
        }
        Ok(())
    }
}

impl Socket for RzmqSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        self.configure().await?;
        self.inner.bind(endpoint).await?;
        let endpoint = String::from_utf8(self.inner.get_option(LAST_ENDPOINT).await?)?;
        Ok(endpoint.trim_end_matches('\0').into())
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        self.configure().await?;
        Ok(self.inner.connect(endpoint).await?)
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        Ok(self.inner.set_option_raw(SUBSCRIBE, prefix.as_bytes()).await?)
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send(Msg::from_vec(body.to_vec())).await?)
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send_multipart(vec![Msg::new(), Msg::from_vec(body.to_vec())]).await?)
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        self.last = self.inner.recv().await?;
        self.last.data().context("a message without data")
    }

    async fn close(self) -> Result<()> {
        Ok(self.inner.close().await?)
    }
}

fn socket_type(kind: Kind) -> Result<SocketType> {
    Ok(match kind {
        Kind::Push => SocketType::Push,
        Kind::Pull => SocketType::Pull,
        Kind::Pub => SocketType::Pub,
        Kind::Sub => SocketType::Sub,
        Kind::Req => SocketType::Req,
        Kind::Rep => SocketType::Rep,
        Kind::Dealer => SocketType::Dealer,
        Kind::Router => SocketType::Router,
        Kind::XPub | Kind::XSub => bail!("rzmq has no XPUB and XSUB"),
    })
}
