//! A transport may be the application's: a panic in it is an error, as is a count that cannot be, and costs the
//! connection it happened on.

use std::{
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{Channel, Listener, PeerCredentials};

/// Calls a transport. Of a panic in `method` the panic hook has told; what remains of it is an error.
pub(crate) fn shield<T>(method: &str, call: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| {
        io::Error::other(format!("the transport panicked in `{method}`: mend it where the panic's message says"))
    })
}

/// A transport says of `method` that it has read or written so much, which cannot be.
fn miscounted(method: &str, len: usize) -> io::Error {
    let why = format!(
        "the transport says that its `{method}` moved {len} bytes: let `read` count what it appends, and `write` take \
         at least one byte and no more than there are, or return WouldBlock"
    );
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The handle of a [`Channel`] or a [`Listener`] that lets no panic out, neither from a method nor from its end.
#[derive(Clone)]
pub(crate) struct Shielded<H>(Option<H>);

pub(crate) type ShieldedChannel = Shielded<Arc<dyn Channel>>;
pub(crate) type ShieldedListener = Shielded<Box<dyn Listener>>;

impl<H> Shielded<H> {
    pub(crate) fn new(handle: H) -> Self {
        Self(Some(handle))
    }

    fn call<'h, T>(&'h self, method: &str, call: impl FnOnce(&'h H) -> T) -> io::Result<T> {
        let handle = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        shield(method, || call(handle))
    }
}

impl<H> Drop for Shielded<H> {
    fn drop(&mut self) {
        let handle = self.0.take();
        if let Err(error) = shield("drop", || drop(handle)) {
            tracing::error!(%error, "a channel or listener was closed");
        }
    }
}

impl ShieldedChannel {
    pub(crate) fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        let len_before = into.len();
        let result = self.call("read", |channel| channel.read(into)).flatten();
        if into.len() < len_before {
            // What others look for there must not be missing.
            into.resize(len_before, 0);
            return Err(miscounted("read", 0));
        }
        match result {
            Ok(len) if len != into.len() - len_before => Err(miscounted("read", len)),
            result => result,
        }
    }

    /// One that cannot say is asked for no more.
    pub(crate) fn holds_more(&self) -> bool {
        self.call("holds_more", |channel| channel.holds_more()).unwrap_or(false)
    }

    /// Never called with nothing to write.
    pub(crate) fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = self.call("write", |channel| channel.write(from))??;
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        if (1..=offered).contains(&len) { Ok(len) } else { Err(miscounted("write", len)) }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.call("flush", |channel| channel.flush())?
    }

    pub(crate) fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        self.call("readiness", |channel| channel.readiness())
    }

    pub(crate) fn connected(&self) -> io::Result<()> {
        self.call("connected", |channel| channel.connected())?
    }

    pub(crate) fn close_write(&self) -> io::Result<()> {
        self.call("close_write", |channel| channel.close_write())?
    }

    /// One that cannot say is not asked again.
    pub(crate) fn is_delivered(&self) -> bool {
        self.call("is_delivered", |channel| channel.is_delivered()).unwrap_or(true)
    }

    /// Empty if the transport cannot say.
    pub(crate) fn local_endpoint(&self) -> String {
        self.call("local_endpoint", |channel| channel.local_endpoint()).unwrap_or_default()
    }

    pub(crate) fn remote_endpoint(&self) -> io::Result<String> {
        self.call("remote_endpoint", |channel| channel.remote_endpoint())
    }

    pub(crate) fn peer_credentials(&self) -> io::Result<Option<PeerCredentials>> {
        self.call("peer_credentials", |channel| channel.peer_credentials())
    }

    pub(crate) fn carries_sealed_heartbeats(&self) -> io::Result<bool> {
        self.call("carries_sealed_heartbeats", |channel| channel.carries_sealed_heartbeats())
    }
}

impl ShieldedListener {
    pub(crate) fn accept(&self) -> io::Result<ShieldedChannel> {
        self.call("accept", |listener| listener.accept())?.map(Shielded::new)
    }

    pub(crate) fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        self.call("readiness", |listener| listener.readiness())
    }

    pub(crate) fn endpoint(&self) -> io::Result<&str> {
        self.call("endpoint", |listener| listener.endpoint())
    }
}
