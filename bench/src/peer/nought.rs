//! nought: its blocking API, with and without spinning, and its asynchronous one on tokio.
//!
//! API: `send` of a slice, which is encoded in place, and `recv_into` a message that is used again, as with
//! libzmq; `send_async` and `recv_into_async`. Everything by default.

use std::future::{Future, ready};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nought::{Any, Context, CurveClient, CurveServer, KeyPair, Message, PublicKey, SecretKey, Security, SocketType};
use tokio::runtime::Builder;

use super::curve::{self, Side};
use super::tokio_runtime::MultiThread;
use super::{Kind, Peer, Socket, locked_version};
use crate::contender::Contender;
use crate::desk::Job;
use crate::work::{self, Work};

/// The blocking API.
#[derive(Clone)]
pub(crate) struct Nought {
    context: Context,
    spins: bool,
    security: work::Security,
}

impl Peer for Nought {
    type Socket = BlockingSocket;

    const HAS_CURVE: bool = true;

    fn supports(_work: Work) -> bool {
        true
    }

    fn version() -> String {
        locked_version("nought")
    }

    fn open(job: &Job) -> Result<Self> {
        let spins = job.contender != Contender::NoughtSleeping;
        Ok(Self { context: Context::new(), spins, security: job.work.security() })
    }

    fn run<F: Future>(&self, worker: F) -> F::Output {
        pollster::block_on(worker)
    }

    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn socket(&self, kind: Kind) -> Result<BlockingSocket> {
        Ok(BlockingSocket { inner: open(&self.context, kind, self.spins, self.security)?, last: Message::default() })
    }

    fn proxy(&self, front: BlockingSocket, back: BlockingSocket) -> Result<()> {
        Ok(nought::proxy(&front.inner, &back.inner)?)
    }
}

/// A socket, and the message received last.
pub(crate) struct BlockingSocket {
    inner: nought::Socket<Any>,
    last: Message,
}

impl Socket for BlockingSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        Ok(self.inner.bind(endpoint)?)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(self.inner.connect(endpoint)?)
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        Ok(self.inner.subscribe(prefix)?)
    }

    fn send(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> {
        ready(self.inner.send(body).map_err(Into::into))
    }

    fn send_request(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> {
        ready(self.inner.send([b"", body].as_slice()).map_err(Into::into))
    }

    fn recv(&mut self) -> impl Future<Output = Result<&[u8]>> {
        let received = self.inner.recv_into(&mut self.last);
        ready(received.map_err(Into::into).and_then(|()| last_frame(&self.last)))
    }

    async fn close(self) -> Result<()> {
        self.inner.close();
        Ok(())
    }
}

/// The asynchronous API.
#[derive(Clone)]
pub(crate) struct AsyncNought {
    context: Context,
    /// The multi-thread runtime; without it, each worker has a current-thread runtime of its own.
    runtime: Option<MultiThread>,
    security: work::Security,
}

impl Peer for AsyncNought {
    type Socket = AsyncSocket;

    const HAS_CURVE: bool = true;

    fn supports(_work: Work) -> bool {
        true
    }

    fn version() -> String {
        Nought::version()
    }

    fn open(job: &Job) -> Result<Self> {
        let is_multi_thread = job.contender == Contender::NoughtTokio;
        let runtime = is_multi_thread.then(MultiThread::new).transpose()?;
        Ok(Self { context: Context::new(), runtime, security: job.work.security() })
    }

    fn run<F>(&self, worker: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => runtime.run(worker),
            None => Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(worker),
        }
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn socket(&self, kind: Kind) -> Result<AsyncSocket> {
        Ok(AsyncSocket { inner: open(&self.context, kind, true, self.security)?, last: Message::default() })
    }

    fn proxy(&self, front: AsyncSocket, back: AsyncSocket) -> Result<()> {
        Ok(nought::proxy(&front.inner, &back.inner)?)
    }
}

/// A socket, and the message received last.
pub(crate) struct AsyncSocket {
    inner: nought::Socket<Any>,
    last: Message,
}

impl Socket for AsyncSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        Ok(self.inner.bind(endpoint)?)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(self.inner.connect(endpoint)?)
    }

    async fn subscribe(&mut self, prefix: &str) -> Result<()> {
        Ok(self.inner.subscribe(prefix)?)
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send_async(body).await?)
    }

    async fn send_request(&mut self, body: &[u8]) -> Result<()> {
        Ok(self.inner.send_async([b"", body].as_slice()).await?)
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        self.inner.recv_into_async(&mut self.last).await?;
        last_frame(&self.last)
    }

    async fn close(self) -> Result<()> {
        self.inner.close();
        Ok(())
    }
}

fn open(context: &Context, kind: Kind, spins: bool, security: work::Security) -> Result<nought::Socket<Any>> {
    let mut builder = context.any_socket_builder(socket_type(kind));
    builder = match kind {
        Kind::Pub | Kind::XPub => builder.xpub_nodrop(true),
        Kind::Sub => builder.send_hwm(0),
        _ => builder,
    };
    if !spins {
        builder = builder.spin(Duration::ZERO);
    }
    if security == work::Security::Curve {
        builder = builder.security(curve_of(curve::side(kind))?);
    }
    Ok(builder.build()?)
}

fn curve_of(side: Side) -> Result<Security> {
    let keys = |keys: curve::Keys| anyhow::Ok(KeyPair::from(keys.secret.parse::<SecretKey>()?));
    Ok(match side {
        Side::Server => CurveServer::new(keys(curve::SERVER)?).into(),
        Side::Client => CurveClient::new(curve::SERVER.public.parse::<PublicKey>()?, keys(curve::CLIENT)?).into(),
    })
}

fn last_frame(message: &Message) -> Result<&[u8]> {
    let last = message.len().checked_sub(1).context("a message without frames")?;
    Ok(&message[last])
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
