//! `ws://`: ZMTP in the messages of a WebSocket over tcp (RFC 45, RFC 6455).
//!
//! ```text
//! bind, connect    ADDRESS[/PATH]    ADDRESS: as for tcp    PATH: / if there is none
//! ```

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nought_proto::zws::{Random, Zws};

use super::{
    AddressError, Channel, Connecting, ListenError, Listener, Target, Tcp, Transport, TransportOptions, foreign_target,
};

const SCHEME: &str = "ws";

/// The longest path: it has to fit into the head of a request that servers take, and that tcp takes at once.
const PATH_LEN_MAX: usize = 1024;

/// The transport `ws`.
///
/// `bind` and `connect` take what [`Tcp`] takes, and after it a path: a server behind a proxy may be told from others by
/// it. A listener takes clients of any path, as libzmq does.
///
/// The security mechanism is told to the peer by the WebSocket's subprotocol: `ZWS2.0/NULL`, `ZWS2.0/PLAIN`,
/// `ZWS2.0/CURVE`. A listener also takes clients that know no mechanism and offer `ZWS2.0` alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ws;

impl Transport for Ws {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn carries_streams(&self) -> bool {
        false
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        let url = Url::parse(SCHEME, address)?;
        let below = Tcp.bind(url.tcp_address, options)?;
        let endpoint = url.endpoint(below.endpoint());
        Ok(Box::new(WsListener { below, scheme: SCHEME, endpoint }))
    }

    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError> {
        Tcp.check(Url::parse(SCHEME, address)?.tcp_address, options)
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        Url::resolve_now(SCHEME, address, options)
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        Url::resolve(SCHEME, address, options)
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let site: &Site = target.address().ok_or_else(|| foreign_target(SCHEME, target))?;
        let below = site.connect(SCHEME, target, options)?;
        // Also one that stands becomes writable, and then gives the machine something to read.
        Ok(Connecting::Pending(Arc::new(WsChannel::client(below, SCHEME, site))))
    }
}

/// What a [`Target`] carries.
pub(super) struct Site {
    tcp: Target,
    /// With the port, as the user wrote it.
    pub(super) host: String,
    path: String,
}

impl Site {
    /// Begins to connect over tcp.
    pub(super) fn connect(
        &self,
        scheme: &str,
        target: &Target,
        options: &TransportOptions,
    ) -> io::Result<Arc<dyn Channel>> {
        match Tcp.connect(&self.tcp, options)? {
            Connecting::Done(tcp) | Connecting::Pending(tcp) => Ok(tcp),
            Connecting::Datagrams(_) => Err(foreign_target(scheme, target)),
        }
    }
}

/// `ADDRESS[/PATH]`, taken apart.
pub(super) struct Url<'a> {
    scheme: &'static str,
    pub(super) tcp_address: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn parse(scheme: &'static str, address: &'a str) -> Result<Self, AddressError> {
        let (tcp_address, path) = match address.find('/') {
            Some(at) => address.split_at(at),
            None => (address, "/"),
        };
        if path.len() > PATH_LEN_MAX || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddressError::BadPath { path: path.to_owned() });
        }
        Ok(Self { scheme, tcp_address, path })
    }

    /// See [`Transport::resolve_now`].
    pub(super) fn resolve_now(
        scheme: &'static str,
        address: &str,
        options: &TransportOptions,
    ) -> Option<io::Result<Vec<Target>>> {
        let url = match Url::parse(scheme, address) {
            Ok(url) => url,
            Err(error) => return Some(Err(io::Error::new(io::ErrorKind::InvalidInput, error))),
        };
        let targets = Tcp.resolve_now(url.tcp_address, options)?;
        Some(targets.map(|targets| url.targets(targets)))
    }

    /// See [`Transport::resolve`].
    pub(super) fn resolve(scheme: &'static str, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        let url = Url::parse(scheme, address).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(url.targets(Tcp.resolve(url.tcp_address, options)?))
    }

    fn targets(&self, tcp: Vec<Target>) -> Vec<Target> {
        let target = |tcp: Target| {
            let endpoint = self.endpoint(tcp.endpoint());
            Target::new(endpoint, Site { tcp, host: self.host().to_owned(), path: self.path.to_owned() })
        };
        tcp.into_iter().map(target).collect()
    }

    /// `HOST:PORT`. What stands before a `;` is where to connect from, and nothing to the server.
    pub(super) fn host(&self) -> &'a str {
        self.tcp_address.rsplit(';').next().unwrap_or_default()
    }

    /// What an endpoint of tcp is called here.
    pub(super) fn endpoint(&self, tcp_endpoint: &str) -> String {
        as_scheme(self.scheme, tcp_endpoint) + self.path
    }
}

fn as_scheme(scheme: &str, tcp_endpoint: &str) -> String {
    format!("{scheme}{}", tcp_endpoint.trim_start_matches("tcp"))
}

/// Fills slices with the system's random numbers.
fn random() -> Random {
    Box::new(|mut into| {
        while !into.is_empty() {
            match rustix::rand::getrandom(&mut *into, rustix::rand::GetRandomFlags::empty()) {
                Ok(len) => into = &mut std::mem::take(&mut into)[len..],
                Err(rustix::io::Errno::INTR) => {}
                // A mask protects proxies from scripts of browsers, which do not run here.
                Err(_) => return fastrand::fill(into),
            }
        }
    })
}

/// Where peers arrive that speak WebSocket, over whatever the channels beneath are.
pub(super) struct WsListener {
    pub(super) below: Box<dyn Listener>,
    pub(super) scheme: &'static str,
    pub(super) endpoint: String,
}

impl Listener for WsListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        let below = self.below.accept()?;
        Ok(Arc::new(WsChannel { below, scheme: self.scheme, zws: Zws::server(random()) }))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.below.readiness()
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// A WebSocket over the channel beneath.
pub(super) struct WsChannel {
    below: Arc<dyn Channel>,
    scheme: &'static str,
    zws: Zws,
}

impl WsChannel {
    /// The side that connects.
    pub(super) fn client(below: Arc<dyn Channel>, scheme: &'static str, site: &Site) -> Self {
        Self { below, scheme, zws: Zws::client(&site.host, &site.path, random()) }
    }

    fn write_below(&self, bytes: &[u8]) -> io::Result<usize> {
        self.below.write(&[IoSlice::new(bytes)])
    }
}

impl Channel for WsChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.zws.read(into, |raw| self.below.read(raw), |bytes| self.write_below(bytes))
    }

    fn holds_more(&self) -> bool {
        // What is left beneath was not asked for: a read goes on until nothing is.
        self.zws.holds_more()
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.zws.write(from, |bytes| self.write_below(bytes))
    }

    fn flush(&self) -> io::Result<()> {
        self.zws.flush(|bytes| self.write_below(bytes))?;
        self.below.flush()
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.below.readiness()
    }

    fn connected(&self) -> io::Result<()> {
        self.below.connected()
    }

    fn close_write(&self) -> io::Result<()> {
        self.zws.close_write(|bytes| self.write_below(bytes));
        self.below.close_write()
    }

    fn is_delivered(&self) -> bool {
        self.below.is_delivered()
    }

    fn local_endpoint(&self) -> String {
        as_scheme(self.scheme, &self.below.local_endpoint())
    }

    fn remote_endpoint(&self) -> String {
        as_scheme(self.scheme, &self.below.remote_endpoint())
    }

    fn peer_address(&self) -> Option<String> {
        self.below.peer_address()
    }

    fn carries_sealed_heartbeats(&self) -> bool {
        // A PING in a box cannot be made one of WebSocket's, and libzmq answers those alone.
        false
    }
}
