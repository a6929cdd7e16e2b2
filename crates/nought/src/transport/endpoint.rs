//! What a caller writes, `scheme://address`, and the table of transports that it is looked up in.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use rustix::io::Errno;

use super::{Ipc, Tcp, Transport, Udp, Ws};

/// An endpoint as it is written, `scheme://address`, taken apart.
///
/// ```
/// # use nought::transport::Endpoint;
/// let endpoint = Endpoint::parse("tcp://127.0.0.1:5555")?;
/// assert_eq!((endpoint.scheme(), endpoint.address()), ("tcp", "127.0.0.1:5555"));
/// # Ok::<(), nought::transport::EndpointError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a> {
    scheme: &'a str,
    address: &'a str,
}

impl<'a> Endpoint<'a> {
    /// Takes `text` apart at its first `://`. What stands on either side is not looked at.
    ///
    /// # Errors
    /// [`EndpointError::NoScheme`] where `text` has no `://` or nothing before it,
    /// [`EndpointError::NoAddress`] where nothing follows it.
    pub fn parse(text: &'a str) -> Result<Self, EndpointError> {
        match text.split_once("://") {
            None | Some(("", _)) => Err(EndpointError::NoScheme { endpoint: text.to_owned() }),
            Some((scheme, "")) => Err(EndpointError::NoAddress { scheme: scheme.to_owned() }),
            Some((scheme, address)) => Ok(Self { scheme, address }),
        }
    }

    /// The part before `://`: which transport.
    #[must_use]
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// The part after `://`, which only its transport understands.
    #[must_use]
    pub fn address(&self) -> &'a str {
        self.address
    }
}

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.address)
    }
}

/// Schemes that are there with the feature of their name.
const FEATURES: [&str; 1] = ["wss"];

/// The transports that a context knows, by scheme: `tcp`, `ipc`, `udp`, `ws` and (with the feature `wss`) `wss` at first,
/// and any that the user adds.
#[derive(Clone)]
pub struct Transports {
    known: Vec<Arc<dyn Transport>>,
}

impl Transports {
    /// The transports of this crate: [`Tcp`], [`Ipc`], [`Udp`], [`Ws`] and, with the feature `wss`, `Wss`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            known: vec![
                Arc::new(Tcp),
                Arc::new(Ipc),
                Arc::new(Udp),
                Arc::new(Ws),
                #[cfg(feature = "wss")]
                Arc::new(super::Wss),
            ],
        }
    }

    /// Adds `transport`, in the place of one with the same scheme, which is handed back.
    pub fn insert(&mut self, transport: Arc<dyn Transport>) -> Option<Arc<dyn Transport>> {
        let same = self.known.iter_mut().find(|known| known.scheme() == transport.scheme());
        if let Some(known) = same {
            return Some(std::mem::replace(known, transport));
        }
        self.known.push(transport);
        None
    }

    /// The transport of `scheme`. Schemes are compared exactly: `TCP` is not `tcp`.
    ///
    /// # Errors
    /// [`EndpointError::UnknownScheme`] where there is none, [`EndpointError::NotBuiltIn`] where this build has it not.
    pub fn find(&self, scheme: &str) -> Result<&Arc<dyn Transport>, EndpointError> {
        let found = self.known.iter().find(|known| known.scheme() == scheme);
        found.ok_or_else(|| {
            let feature = FEATURES.into_iter().find(|feature| *feature == scheme);
            if let Some(feature) = feature {
                return EndpointError::NotBuiltIn { feature };
            }
            let known = self.known.iter().map(|known| known.scheme()).collect();
            EndpointError::UnknownScheme { scheme: scheme.to_owned(), known }
        })
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|known| known.scheme())).finish()
    }
}

/// One place to connect to: what a transport resolved an address into, and what only that transport can read.
///
/// A host name resolves into several, to be tried in order.
#[derive(Clone)]
pub struct Target {
    endpoint: Arc<str>,
    address: Arc<dyn Any + Send + Sync>,
}

impl Target {
    /// A target that is shown as `endpoint` and carries the transport's own `address`.
    pub fn new<A: Any + Send + Sync>(endpoint: impl Into<Arc<str>>, address: A) -> Self {
        Self { endpoint: endpoint.into(), address: Arc::new(address) }
    }

    /// The resolved endpoint, `tcp://192.0.2.1:5555` where the user wrote a name: for events and logs.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The address, if it is an `A`: the transport that made this target knows its own type.
    #[must_use]
    pub fn address<A: Any>(&self) -> Option<&A> {
        self.address.downcast_ref()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.endpoint).finish()
    }
}

/// An endpoint that names no transport. The caller's mistake; the message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no `scheme://` at the front.
    NoScheme {
        /// What was written.
        endpoint: String,
    },
    /// Nothing follows `scheme://`.
    NoAddress {
        /// What was written before it.
        scheme: String,
    },
    /// No transport has this scheme.
    UnknownScheme {
        /// What was written.
        scheme: String,
        /// The schemes that could have been, beside `inproc`, which is no transport.
        known: Vec<&'static str>,
    },
    /// The transport is this crate's, and the crate was built without it.
    NotBuiltIn {
        /// The feature of the crate that brings it, which has the scheme's name.
        feature: &'static str,
    },
}

impl EndpointError {
    /// The system's error number that says it best, for callers that speak C: `EPROTONOSUPPORT` for an unknown
    /// scheme, or one that is not built in, `EINVAL` for all else, as in libzmq.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::UnknownScheme { .. } | Self::NotBuiltIn { .. } => Errno::PROTONOSUPPORT.raw_os_error(),
            Self::NoScheme { .. } | Self::NoAddress { .. } => Errno::INVAL.raw_os_error(),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme { endpoint } => write!(
                f,
                "the endpoint {endpoint:?} names no transport: write tcp://HOST:PORT, ipc://PATH or inproc://NAME"
            ),
            Self::NoAddress { scheme } => write!(
                f,
                "the endpoint \"{scheme}://\" has no address: write one after the slashes, as in tcp://127.0.0.1:5555"
            ),
            Self::UnknownScheme { scheme, known } => {
                write!(f, "there is no transport {scheme:?}: write one of {}, inproc", known.join(", "))
            }
            Self::NotBuiltIn { feature } => write!(
                f,
                "built without {feature}: for {feature}:// build the crate nought with its feature {feature:?}"
            ),
        }
    }
}

impl std::error::Error for EndpointError {}

/// An address that its transport cannot use as it is written. The caller's mistake; the message says what to write
/// instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// tcp: there is no `:PORT` at the end.
    NoPort {
        /// What was written.
        address: String,
    },
    /// tcp: the port is no number from 0 to 65535.
    BadPort {
        /// What was written.
        port: String,
    },
    /// tcp: a connection needs a port other than `*` and `0`.
    AnyPort {
        /// What was written.
        address: String,
    },
    /// tcp: there is nothing before `:PORT`.
    NoHost {
        /// What was written.
        address: String,
    },
    /// tcp: the host is no IP address and cannot be a name either.
    BadHost {
        /// What was written.
        host: String,
    },
    /// A connection needs one place to go to; `*` is for `bind`.
    AnyHost {
        /// What was written.
        address: String,
    },
    /// tcp: `source;destination` is for `connect`.
    SourceOfListener {
        /// What was written.
        address: String,
    },
    /// tcp: an IPv6 address while the option [`ipv6`](super::TransportOptions::ipv6) is off.
    Ipv6Off {
        /// What was written.
        host: String,
    },
    /// ipc: the kernel takes no name as long as this one.
    PathTooLong {
        /// What was written.
        path: String,
        /// The greatest length, in bytes.
        limit: usize,
    },
    /// ipc: a path or name holds a NUL.
    NulInPath {
        /// What was written.
        path: String,
    },
    /// ipc: nothing follows the `@` of an abstract name.
    NoName,
    /// A SOCKS proxy cannot be told of the host: an IPv6 address with an interface of this machine, or a name of more than
    /// 255 bytes.
    BeyondProxy {
        /// What was written.
        host: String,
    },
    /// ws: the path cannot stand in the head of an HTTP request, or is longer than 1024 bytes.
    BadPath {
        /// What was written.
        path: String,
    },
    /// What another transport says of its own addresses.
    Other(String),
}

impl AddressError {
    /// The system's error number that says it best, for callers that speak C: `ENAMETOOLONG` for a path, `ENODEV`
    /// for an IPv6 address while IPv6 is off, `EINVAL` for all else, as in libzmq.
    #[must_use]
    pub fn errno(&self) -> i32 {
        let errno = match self {
            Self::PathTooLong { .. } => Errno::NAMETOOLONG,
            Self::Ipv6Off { .. } => Errno::NODEV,
            _ => Errno::INVAL,
        };
        errno.raw_os_error()
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort { address } => {
                write!(f, "the address {address:?} has no port: write HOST:PORT, as in 127.0.0.1:5555")
            }
            Self::BadPort { port } => {
                write!(f, "the port {port:?} is no number from 0 to 65535; to bind any free port, write *")
            }
            Self::AnyPort { address } => {
                write!(f, "the address {address:?} names no port to connect to: write the one that the peer has bound")
            }
            Self::NoHost { address } => write!(
                f,
                "the address {address:?} has no host: write * to bind every interface, or the peer's host to connect"
            ),
            Self::BadHost { host } => write!(
                f,
                "{host:?} is neither an IP address nor a host or interface name: write one of these, an IPv6 address \
                 in brackets, as in [::1]:5555"
            ),
            Self::AnyHost { address } => {
                write!(f, "{address:?} names nobody to connect to: * is for bind; write the peer's own address")
            }
            Self::SourceOfListener { address } => write!(
                f,
                "the address {address:?} has a source, which is for connect: write to bind what follows the ; alone"
            ),
            Self::Ipv6Off { host } => {
                write!(f, "{host:?} is an IPv6 address and IPv6 is off: set the option ipv6, or write an IPv4 address")
            }
            Self::PathTooLong { path, limit } => write!(
                f,
                "the path {path:?} has {} bytes and the system allows {limit}: write a shorter one, or one relative to \
                 the working directory",
                path.len()
            ),
            Self::NulInPath { path } => {
                write!(f, "the path {path:?} holds a NUL: leave it out; an abstract name is written @NAME")
            }
            Self::NoName => write!(f, "nothing follows the @: write the abstract name after it, as in ipc://@NAME"),
            Self::BeyondProxy { host } => write!(
                f,
                "a SOCKS proxy cannot be told of {host:?}: write an address without an interface, or a name of at most \
                 255 bytes"
            ),
            Self::BadPath { path } => write!(
                f,
                "the path {path:?} cannot be asked for over HTTP: write at most 1024 printable ASCII characters without \
                 a space"
            ),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_separator() {
        let endpoint = Endpoint::parse("ipc:///tmp/a://b").unwrap();
        assert_eq!((endpoint.scheme(), endpoint.address()), ("ipc", "/tmp/a://b"));
        assert_eq!(endpoint.to_string(), "ipc:///tmp/a://b");
    }

    #[test]
    fn tells_a_bare_name_from_an_unknown_scheme() {
        for bare in ["Brightness-Adjustment-Service", "tcp:/127.0.0.1:1", "://x", ""] {
            let error = Endpoint::parse(bare).unwrap_err();
            assert_eq!(error, EndpointError::NoScheme { endpoint: bare.to_owned() });
            assert_eq!(error.errno(), Errno::INVAL.raw_os_error());
        }
        assert_eq!(Endpoint::parse("tcp://"), Err(EndpointError::NoAddress { scheme: "tcp".to_owned() }));

        let transports = Transports::new();
        let error = transports.find("TCP").err().unwrap();
        let text = error.to_string();
        assert!(text.starts_with("there is no transport \"TCP\": write one of tcp, ipc, udp, ws, "), "{text}");
        assert_eq!(error.errno(), Errno::PROTONOSUPPORT.raw_os_error());
    }

    #[test]
    fn a_transport_takes_the_place_of_its_namesake() {
        let mut transports = Transports::new();
        assert!(transports.insert(Arc::new(Tcp)).is_some_and(|replaced| replaced.scheme() == "tcp"));
        let known = format!("{transports:?}");
        assert!(known.starts_with(r#"["tcp", "ipc", "udp", "ws""#), "{known}");
    }

    #[test]
    fn a_target_is_read_by_its_own_type_alone() {
        let target = Target::new("x://1", 1_u8);
        assert_eq!(target.address::<u8>(), Some(&1));
        assert_eq!(target.address::<u16>(), None);
        assert_eq!(format!("{target:?}"), r#"Target("x://1")"#);
    }
}
