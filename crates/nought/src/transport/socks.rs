//! SOCKS 5 proxies, through which tcp connects (RFC 1928, RFC 1929).

use std::hash::{Hash, Hasher};
use std::io;
use std::sync::{Mutex, PoisonError};

use nought_proto::socks::{Credentials, Destination, Handshake, TEXT_LEN_MAX, TooLong};

use super::tcp::{Host, Place};
use super::{AddressError, StreamSocket};

/// A SOCKS 5 proxy to connect through, and who to be to it.
///
/// It is told addresses as they are written: host names are looked up by the proxy, and not here.
///
/// The password is sent to the proxy in the clear. It is wiped when dropped, never printed, and compared in constant time.
///
/// ```
/// # use nought::transport::SocksProxy;
/// let proxy = SocksProxy::new("proxy.example.net:1080").with_credentials("anna", "secret")?;
/// # Ok::<(), nought::transport::SocksTooLong>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocksProxy {
    address: String,
    credentials: Option<Credentials>,
}

impl SocksProxy {
    /// The proxy at `address`, written as for a connection over tcp: `[SOURCE;]HOST:PORT`. Whether it is one shows when a socket connects: as an error of that call.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), credentials: None }
    }

    /// The same, asked to take this user with this password, and not to do without.
    ///
    /// # Errors
    /// If one is longer than 255 bytes.
    pub fn with_credentials(mut self, user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Result<Self, TooLong> {
        self.credentials = Some(Credentials::new(user, password)?);
        Ok(self)
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is to be said to it.
    pub(super) fn handshake(&self, destination: Destination) -> Handshake {
        Handshake::new(destination, self.credentials.clone())
    }
}

impl Hash for SocksProxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
        self.credentials.as_ref().map(Credentials::user).hash(state);
    }
}

/// What a proxy is told of a place.
///
/// # Errors
/// If it cannot be told.
pub(super) fn destination_of(place: &Place<'_>) -> Result<Destination, AddressError> {
    let unknown = || AddressError::BeyondProxy { host: place.host_text.to_owned() };
    match place.host {
        Host::V4(ip) => Ok(Destination::Address((ip, place.port).into())),
        Host::V6 { ip, zone: None } => Ok(Destination::Address((ip, place.port).into())),
        Host::Name(name) if name.len() <= TEXT_LEN_MAX => Ok(Destination::Name(name.to_owned(), place.port)),
        Host::Any | Host::V6 { .. } | Host::Name(_) => Err(unknown()),
    }
}

/// The way through a proxy, until it is open and ever after.
pub(super) struct Passage {
    /// The peer's endpoint, as the proxy was told it.
    pub(super) endpoint: String,
    handshake: Mutex<Handshake>,
}

impl Passage {
    pub(super) fn new(endpoint: &str, handshake: Handshake) -> Self {
        Self { endpoint: endpoint.to_owned(), handshake: Mutex::new(handshake) }
    }

    /// Goes on with the handshake. `WouldBlock`: the proxy has not answered yet.
    pub(super) fn open(&self, socket: &StreamSocket) -> io::Result<()> {
        let mut handshake = self.handshake.lock().unwrap_or_else(PoisonError::into_inner);
        let write = |bytes: &[u8]| socket.write(&[io::IoSlice::new(bytes)]);
        handshake.advance(|into| socket.read_slice(into), write)
    }
}
