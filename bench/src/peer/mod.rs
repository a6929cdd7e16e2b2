//! The libraries under test, each behind the same small trait.
//!
//! A library's file uses its API as its users would: the fastest ordinary way, with default options except for
//! what [`Kind`] says. What a library cannot do, or not without losing messages, it does not support, and its
//! figure is missing.

mod curve;
pub(crate) mod libzmq;
#[cfg(feature = "nought")]
pub(crate) mod nought;
#[cfg(feature = "omq")]
pub(crate) mod omq;
pub(crate) mod raw;
#[cfg(feature = "rzmq")]
pub(crate) mod rzmq;
pub(crate) mod system_libzmq;
#[cfg(any(feature = "rzmq", feature = "zeromq", feature = "nought"))]
mod tokio_runtime;
#[cfg(feature = "zeromq")]
pub(crate) mod zeromq;

use std::future::Future;
use std::time::Duration;

use anyhow::Result;

use crate::desk::Job;
use crate::work::Work;

/// The type of a socket, and what it is told beyond its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Push,
    Pull,
    /// Waits for slow subscribers instead of dropping messages.
    Pub,
    /// Has no send high-water mark, so that no subscription is dropped.
    Sub,
    Req,
    Rep,
    Dealer,
    Router,
    /// Waits for slow subscribers instead of dropping messages.
    XPub,
    XSub,
}

/// A library under test: its context, cheap to clone.
///
/// All is asynchronous so that the work need be written only once; with a blocking library no future is ever
/// pending: it does its work when the call is made and returns what came of it.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Its socket.
    type Socket: Socket;

    /// Whether it can encrypt.
    const HAS_CURVE: bool = false;

    /// Whether it can do `work`, but for its security.
    fn supports(work: Work) -> bool;

    /// The library's name and version.
    fn version() -> String;

    /// Prepares the library for a job.
    fn open(job: &Job) -> Result<Self>;

    /// Runs a worker to its end in the calling thread, on the runtime that suits the library.
    fn run<F>(&self, worker: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Waits, in a way that suits the library's executor.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Makes a socket. To be called within [`run`](Self::run).
    fn socket(&self, kind: Kind) -> Result<Self::Socket>;

    /// Forwards messages between the two until the end of the process. To be called outside [`run`](Self::run), in
    /// a thread of its own.
    fn proxy(&self, front: Self::Socket, back: Self::Socket) -> Result<()>;
}

/// A socket of a library under test.
pub(crate) trait Socket: Send + 'static {
    /// Binds, and returns the endpoint to connect to.
    fn bind(&mut self, endpoint: &str) -> impl Future<Output = Result<String>> + Send;

    /// Connects.
    fn connect(&mut self, endpoint: &str) -> impl Future<Output = Result<()>> + Send;

    /// Subscribes to all messages that begin with `prefix`.
    fn subscribe(&mut self, prefix: &str) -> impl Future<Output = Result<()>> + Send;

    /// Sends a message of one frame, a copy of `body`.
    fn send(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Sends what a REP takes for a question: an empty frame and a copy of `body`.
    fn send_request(&mut self, body: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Receives a message, and returns its last frame.
    fn recv(&mut self) -> impl Future<Output = Result<&[u8]>> + Send;

    /// Closes the socket; what it has accepted is still to be delivered.
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

/// The lock file of the workspace, which knows the version of every library.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// A crate's name and the version that this program was built with.
fn locked_version(name: &str) -> String {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    version.map_or_else(|| name.into(), |(version, _)| format!("{name} {version}"))
}
