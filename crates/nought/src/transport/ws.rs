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
        "ws"
    }

    fn carries_streams(&self) -> bool {
        false
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        let url = Url::parse(address)?;
        let tcp = Tcp.bind(url.tcp_address, options)?;
        let endpoint = as_ws(tcp.endpoint(), url.path);
        Ok(Box::new(WsListener { tcp, endpoint }))
    }

    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError> {
        Tcp.check(Url::parse(address)?.tcp_address, options)
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        let url = match Url::parse(address) {
            Ok(url) => url,
            Err(error) => return Some(Err(io::Error::new(io::ErrorKind::InvalidInput, error))),
        };
        let targets = Tcp.resolve_now(url.tcp_address, options)?;
        Some(targets.map(|targets| url.targets(targets)))
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        let url = Url::parse(address).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(url.targets(Tcp.resolve(url.tcp_address, options)?))
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let site: &Site = target.address().ok_or_else(|| foreign_target("ws", target))?;
        let (Connecting::Done(tcp) | Connecting::Pending(tcp)) = Tcp.connect(&site.tcp, options)? else {
            return Err(foreign_target("ws", target));
        };
        let zws = Zws::client(&site.host, &site.path, random());
        // Also one that stands becomes writable, and then gives the machine something to read.
        Ok(Connecting::Pending(Arc::new(WsChannel { tcp, zws })))
    }
}

/// What a ws [`Target`] carries.
struct Site {
    tcp: Target,
    host: String,
    path: String,
}

/// `ADDRESS[/PATH]`, taken apart.
struct Url<'a> {
    tcp_address: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    fn parse(address: &'a str) -> Result<Self, AddressError> {
        let (tcp_address, path) = match address.find('/') {
            Some(at) => address.split_at(at),
            None => (address, "/"),
        };
        if path.len() > PATH_LEN_MAX || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddressError::BadPath { path: path.to_owned() });
        }
        Ok(Self { tcp_address, path })
    }

    fn targets(&self, tcp: Vec<Target>) -> Vec<Target> {
        // What stands before a `;` is where to connect from, and nothing to the server.
        let host = self.tcp_address.rsplit(';').next().unwrap_or_default();
        let target = |tcp: Target| {
            let endpoint = as_ws(tcp.endpoint(), self.path);
            Target::new(endpoint, Site { tcp, host: host.to_owned(), path: self.path.to_owned() })
        };
        tcp.into_iter().map(target).collect()
    }
}

fn as_ws(tcp_endpoint: &str, path: &str) -> String {
    format!("ws{}{path}", tcp_endpoint.trim_start_matches("tcp"))
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

struct WsListener {
    tcp: Box<dyn Listener>,
    endpoint: String,
}

impl Listener for WsListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        Ok(Arc::new(WsChannel { tcp: self.tcp.accept()?, zws: Zws::server(random()) }))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.tcp.readiness()
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

struct WsChannel {
    tcp: Arc<dyn Channel>,
    zws: Zws,
}

impl WsChannel {
    fn write_tcp(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(&[IoSlice::new(bytes)])
    }
}

impl Channel for WsChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.zws.read(into, |raw| self.tcp.read(raw), |bytes| self.write_tcp(bytes))
    }

    fn holds_more(&self) -> bool {
        self.zws.holds_more()
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.zws.write(from, |bytes| self.write_tcp(bytes))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.tcp.readiness()
    }

    fn connected(&self) -> io::Result<()> {
        self.tcp.connected()
    }

    fn close_write(&self) -> io::Result<()> {
        self.zws.close_write(|bytes| self.write_tcp(bytes));
        self.tcp.close_write()
    }

    fn is_delivered(&self) -> bool {
        self.tcp.is_delivered()
    }

    fn local_endpoint(&self) -> String {
        as_ws(&self.tcp.local_endpoint(), "")
    }

    fn remote_endpoint(&self) -> String {
        as_ws(&self.tcp.remote_endpoint(), "")
    }

    fn peer_address(&self) -> Option<String> {
        self.tcp.peer_address()
    }

    fn carries_sealed_heartbeats(&self) -> bool {
        // A PING in a box cannot be made one of WebSocket's, and libzmq answers those alone.
        false
    }
}
