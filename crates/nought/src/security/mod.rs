//! Who may come in: authenticators, ready-made rules for them, and certificates.
//!
//! ```
//! use nought::{Context, CurveClient, CurveServer, Pull, Push, new_keys, zap};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (server, client) = (new_keys(), new_keys());
//! let (server_key, known) = (*server.public_key(), *client.public_key());
//!
//! let context = Context::new();
//! let _authentication = context.authenticate(move |request: &zap::Request| match &request.credentials {
//!     nought::Credentials::Curve(key) if *key == known => zap::Reply::success("anna"),
//!     _ => zap::Reply::failure("unknown key"),
//! })?;
//! let pull = context.socket_builder::<Pull>().security(CurveServer::new(server)).build()?;
//! let endpoint = pull.bind("tcp://127.0.0.1:*")?;
//! let push = context.socket_builder::<Push>().security(CurveClient::new(server_key, client)).build()?;
//! push.connect(&endpoint)?;
//! push.send("hello")?;
//! let (message, peer) = pull.recv_from()?;
//! assert_eq!(message, "hello");
//! assert_eq!(peer.and_then(|peer| peer.user_id.clone()), Some("anna".into()));
//! # Ok(())
//! # }
//! ```

mod access;
mod certificate;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use nought_proto::zap::{self, Reply, Request};

pub use self::{
    access::AccessRules,
    certificate::{Certificate, CertificateError},
};
use crate::{
    context::Context,
    engine::Core,
    error::{BindError, SocketError},
    socket::{Rep, Socket},
};

/// Judges peers, one after the other.
///
/// Functions that take a request and return a reply do, and [`AccessRules`].
pub trait Authenticator: Send + 'static {
    /// Says whether the peer may come in, and who it is. It may take its time: only other peers that want to come in wait
    /// meanwhile. One that panics is out of order, and lets nobody in.
    fn judge(&mut self, request: &Request) -> Reply;
}

impl<F: FnMut(&Request) -> Reply + Send + 'static> Authenticator for F {
    fn judge(&mut self, request: &Request) -> Reply {
        self(request)
    }
}

/// An authenticator at work, until it is dropped; from [`Context::authenticate`].
#[must_use = "peers are judged for as long as this is held"]
pub struct Authentication {
    core: Arc<Core>,
    thread: Option<thread::JoinHandle<()>>,
}

/// An authenticator could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// There is one already: drop it first.
    InUse,
    /// The socket for it cannot be made.
    Socket(SocketError),
    /// It cannot be bound.
    Bind(BindError),
    /// The system cannot start a thread.
    Thread(std::io::Error),
}

impl Authentication {
    pub(crate) fn start(context: &Context, authenticator: impl Authenticator) -> Result<Self, AuthenticationError> {
        let socket = context.socket::<Rep>().map_err(AuthenticationError::Socket)?;
        socket.bind(zap::ENDPOINT).map_err(|error| match error {
            BindError::NameInUse(_) => AuthenticationError::InUse,
            error => AuthenticationError::Bind(error),
        })?;
        let core = Arc::clone(socket.core());
        let thread = thread::Builder::new()
            .name("nought-authenticator".to_owned())
            .spawn(move || serve(&socket, authenticator))
            .map_err(AuthenticationError::Thread)?;
        Ok(Self { core, thread: Some(thread) })
    }
}

impl Drop for Authentication {
    fn drop(&mut self) {
        self.core.terminate();
        let thread = self.thread.take().filter(|handle| handle.thread().id() != thread::current().id());
        thread.into_iter().for_each(|handle| drop(handle.join()));
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").finish_non_exhaustive()
    }
}

/// Answers requests until the socket is shut down.
fn serve(socket: &Socket<Rep>, mut authenticator: impl Authenticator) {
    while let Ok(message) = socket.recv() {
        let reply = match Request::decode(&message) {
            Ok((request, id)) => judge(&mut authenticator, &request).to_message(&id),
            Err(error) => Reply::failure(error.to_string()).to_message(&message.get(1).cloned().unwrap_or_default()),
        };
        if socket.send(reply).is_err() {
            return;
        }
    }
}

fn judge(authenticator: &mut impl Authenticator, request: &Request) -> Reply {
    catch_unwind(AssertUnwindSafe(|| authenticator.judge(request))).unwrap_or_else(|_| {
        tracing::error!(?request, "the authenticator panicked, and the peer is not let in");
        Reply::internal_error("the authenticator is out of order")
    })
}

impl fmt::Display for AuthenticationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the context has an authenticator already: drop that one first"),
            Self::Socket(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start a thread for the authenticator: {error}"),
        }
    }
}

impl std::error::Error for AuthenticationError {}
