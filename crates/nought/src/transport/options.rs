//! What a user can ask of a transport.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nought_proto::connection::PeerCredentials;

use super::{SocksProxy, by_identity::ByIdentity};
#[cfg(feature = "wss")]
use super::{TlsIdentity, TlsName, TlsTrust};

/// The options of a transport, as they stand when `bind` or `connect` is called; later changes do not reach what is
/// already bound or connected.
///
/// A transport ignores the options that say nothing to it; each field says which ones heed it. They are equal, and
/// hash alike, where they ask for the same things.
///
/// ```
/// # use nought::transport::TransportOptions;
/// let mut options = TransportOptions::default();
/// options.ipv6 = true;
/// options.receive_buffer = Some(1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TransportOptions {
    /// tcp: whether IPv6 addresses are used at all. Without it `*` is `0.0.0.0` and a name stands for its IPv4
    /// addresses; with it `*` is `[::]`, which IPv4 peers reach too, and a name stands for all its addresses in the
    /// system's order. Default: `false`, as in libzmq.
    pub ipv6: bool,

    /// tcp, ipc: how many connections the kernel holds until they are accepted; it allows no more than the sysctl
    /// `net.core.somaxconn`. Default: 100, as in libzmq.
    pub backlog: u32,

    /// tcp, ipc: the kernel's send buffer, in bytes (`SO_SNDBUF`; Linux doubles it for its own needs and allows no
    /// more than the sysctl `net.core.wmem_max`). Default: `None`, the system's, which grows as needed on tcp.
    pub send_buffer: Option<u32>,

    /// tcp, ipc: the kernel's receive buffer, in bytes (`SO_RCVBUF`; see [`send_buffer`](Self::send_buffer); on ipc
    /// it is the sender's buffer that counts). Default: `None`, the system's.
    pub receive_buffer: Option<u32>,

    /// tcp: the type-of-service byte of every packet (`IP_TOS`, `IPV6_TCLASS`). Default: 0, the system's.
    pub type_of_service: u8,

    /// tcp: the priority of packets in this machine's own queues (`SO_PRIORITY`); more than 6 needs the privilege
    /// `CAP_NET_ADMIN`. Default: 0, the system's.
    pub priority: u32,

    /// udp: how many networks a multicast datagram may cross (`IP_MULTICAST_TTL`). Default: 1, it stays in its own.
    pub multicast_hops: u8,

    /// udp: whether this machine receives its own multicast datagrams (`IP_MULTICAST_LOOP`). Default: `true`.
    pub multicast_loop: bool,

    /// tcp: how long the kernel polls the device for packets before a read waits (`SO_BUSY_POLL`), in whole microseconds.
    /// Default: `None`, the system's.
    pub busy_poll: Option<Duration>,

    /// tcp: the one network interface to use (`SO_BINDTODEVICE`), for instance a VRF. Default: `None`, any.
    pub bind_to_device: Option<String>,

    /// tcp: probes of the kernel that find a vanished peer. Default: all the system's, which on Linux means none.
    pub keep_alive: KeepAlive,

    /// tcp: how long a connection may take to be made before the engine tries the next address of the name, and after
    /// the last one pauses and begins again. Default: `None`, as long as the system tries, about two minutes on Linux.
    pub connect_timeout: Option<Duration>,

    /// tcp, ws, wss: the SOCKS proxy to connect through. Default: `None`, directly.
    pub socks_proxy: Option<SocksProxy>,

    /// wss: the certificate that `bind` shows to clients, and its key. Default: `None`, and `bind` is refused.
    #[cfg(feature = "wss")]
    pub wss_identity: Option<TlsIdentity>,

    /// wss: whose certificates `connect` takes for good. Default: those that the system trusts.
    #[cfg(feature = "wss")]
    pub wss_trust: TlsTrust,

    /// wss: the name that the server's certificate must be for, which is also told to the server (SNI) if it is no
    /// address. Default: `None`, the host of the endpoint, as it is written.
    #[cfg(feature = "wss")]
    pub wss_host_name: Option<TlsName>,

    /// tcp: how long sent bytes may stay without acknowledgement before the kernel ends the connection
    /// (`TCP_USER_TIMEOUT`, in whole milliseconds). Default: `None`, the system's, about 15 minutes on Linux.
    pub max_retransmission_time: Option<Duration>,

    /// tcp, ipc: a socket that already listens, which `bind` takes instead of making its own; the address given to
    /// `bind` then says nothing but the transport. For sockets that a service manager hands over. Default: `None`.
    pub inherited: Option<InheritedListener>,

    /// tcp, ws, wss, ipc: whom to accept, of those who connect. The engine asks, for whatever transport tells an address
    /// or credentials. Default: everybody.
    pub accept: AcceptFilter,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            ipv6: false,
            backlog: 100,
            send_buffer: None,
            receive_buffer: None,
            type_of_service: 0,
            priority: 0,
            multicast_hops: 1,
            multicast_loop: true,
            busy_poll: None,
            bind_to_device: None,
            keep_alive: KeepAlive::default(),
            connect_timeout: None,
            socks_proxy: None,
            #[cfg(feature = "wss")]
            wss_identity: None,
            #[cfg(feature = "wss")]
            wss_trust: TlsTrust::default(),
            #[cfg(feature = "wss")]
            wss_host_name: None,
            max_retransmission_time: None,
            inherited: None,
            accept: AcceptFilter::default(),
        }
    }
}

/// The kernel's own probes of an idle connection. They find a peer whose machine or network is gone; ZMTP's
/// heartbeats also find one whose program hangs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeepAlive {
    /// Whether to probe (`SO_KEEPALIVE`); the fields below count only while it is on. Default: `None`, the system's:
    /// off on Linux.
    pub enabled: Option<bool>,

    /// The idle time before the first probe, in whole seconds (a part of one counts as a whole, `TCP_KEEPIDLE`).
    /// Default: `None`, the system's: two hours on Linux.
    pub idle: Option<Duration>,

    /// The time between probes, in whole seconds (a part of one counts as a whole, `TCP_KEEPINTVL`). Default:
    /// `None`, the system's: 75 seconds on Linux.
    pub interval: Option<Duration>,

    /// How many unanswered probes end the connection (`TCP_KEEPCNT`). Default: `None`, the system's: 9 on Linux.
    pub count: Option<u32>,
}

impl KeepAlive {
    pub(crate) fn has_details(&self) -> bool {
        self.idle.is_some() || self.interval.is_some() || self.count.is_some()
    }

    /// Who says how to probe wants to probe.
    pub(crate) fn imply(&mut self) {
        if self.enabled.is_none() && self.has_details() {
            self.enabled = Some(true);
        }
    }
}

/// The transports whose peers have an address of the internet.
const OVER_TCP: [&str; 3] = ["tcp", "ws", "wss"];

/// Whom to accept. Of peers over tcp, ws and wss those from one of the networks, of ipc peers those whose process, user or
/// group is among those named; where none is named, everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AcceptFilter {
    /// tcp, ws, wss: from where.
    pub networks: Vec<Network>,
    /// ipc: process ids.
    pub processes: Vec<u32>,
    /// ipc: effective user ids.
    pub users: Vec<u32>,
    /// ipc: effective group ids.
    pub groups: Vec<u32>,
}

impl AcceptFilter {
    /// Whether a peer with this endpoint, and these credentials where the system knows them, is accepted.
    pub fn accepts(&self, endpoint: &str, credentials: Option<PeerCredentials>) -> bool {
        match credentials {
            Some(credentials) => self.accepts_process(credentials),
            None => self.networks.is_empty() || self.accepts_address(endpoint),
        }
    }

    fn accepts_address(&self, endpoint: &str) -> bool {
        let address = endpoint.split_once("://").filter(|(scheme, _)| OVER_TCP.contains(scheme));
        let socket = address.and_then(|(_, address)| address.parse::<SocketAddr>().ok());
        // Where no address is known, as over other transports, no network is asked.
        socket.is_none_or(|socket| self.networks.iter().any(|network| network.contains(socket.ip())))
    }

    fn accepts_process(&self, peer: PeerCredentials) -> bool {
        let names_nobody = self.processes.is_empty() && self.users.is_empty() && self.groups.is_empty();
        names_nobody
            || self.users.contains(&peer.user_id)
            || self.groups.contains(&peer.group_id)
            || peer.process_id.is_some_and(|process| self.processes.contains(&process))
    }
}

/// A network of the internet, as `192.0.2.0/24` writes it; without a length, one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u32,
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNetwork;

impl std::fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a network: write an IP address, or one with the length of its prefix, as in 192.0.2.0/24")
    }
}

impl std::error::Error for NoNetwork {}

impl std::str::FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.unwrap_or(longest);
        if prefix_len > longest { Err(NoNetwork) } else { Ok(Self { address, prefix_len }) }
    }
}

impl Network {
    /// Whether an address is of it. One of IPv4 that comes by IPv6 counts as the former.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix_len
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix_len
            }
            _ => false,
        }
    }
}

/// A socket of the right kind, bound and listening, made by somebody else. The first `bind` takes it and closes it in
/// the end.
///
/// Two of them are equal if they are clones of each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InheritedListener(ByIdentity<Mutex<Option<OwnedFd>>>);

impl InheritedListener {
    /// The socket, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl From<OwnedFd> for InheritedListener {
    fn from(socket: OwnedFd) -> Self {
        Self(ByIdentity::new(Mutex::new(Some(socket))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.200.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!("[2001:db8::]/32".parse::<Network>().unwrap().contains("2001:db8:1::".parse().unwrap()));
        assert!("::1".parse::<Network>().unwrap().contains("::1".parse().unwrap()));
        for wrong in ["10.1.0.0/33", "10.1/8", "", "host", "10.0.0.1/x"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork), "{wrong}");
        }
    }

    #[test]
    fn a_filter_that_names_nobody_accepts_everybody() {
        let process = Some(PeerCredentials::new(7, 8, 9));
        let mut filter = AcceptFilter::default();
        assert!(filter.accepts("tcp://192.0.2.1:5", None) && filter.accepts("ipc://", process));
        filter.users.push(1);
        filter.networks.push("127.0.0.1".parse().unwrap());
        for scheme in OVER_TCP {
            assert!(!filter.accepts(&format!("{scheme}://192.0.2.1:5"), None), "{scheme}");
        }
        assert!(!filter.accepts("ipc://", process));
        filter.processes.push(7);
        assert!(filter.accepts("tcp://127.0.0.1:5", None) && filter.accepts("ipc://", process));
    }
}
