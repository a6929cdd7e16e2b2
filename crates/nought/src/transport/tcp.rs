//! `tcp://`: streams over IPv4 and IPv6.
//!
//! ```text
//! bind     HOST:PORT            HOST: * | IP address | interface name | host name    PORT: 0–65535 | *
//! connect  [HOST:PORT;]HOST:PORT    source (as in bind), then destination (IP address or host name, port not 0)
//! ```

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::if_nametoindex;
use nought_proto::socks::Destination;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{
    AddressError, Channel, Connecting, KeepAlive, ListenError, Listener, StreamSocket, Target, Transport,
    TransportOptions,
    delivery::unacknowledged_len,
    foreign_target, inherited_socket,
    socks::{Passage, destination_of},
};

/// The transport `tcp`.
///
/// Both ends switch Nagle's delay off (`TCP_NODELAY`); a listener binds with `SO_REUSEADDR`, so that a restarted
/// program gets its port back at once.
///
/// - `bind` takes `*`, an IP address, the name of a network interface or a host name, and a port that may be `0` or
///   `*` for any free one. A host name or interface with several addresses is bound at the first that this machine
///   has: with IPv6 on, an interface's IPv6 address goes before its IPv4 address, and link-local ones come last.
/// - `connect` takes an IP address or a host name and a port. Every address of the name is a target. What stands
///   before a `;` is the address to connect from.
/// - With a [`SocksProxy`](super::SocksProxy), `connect` connects to that, and it to the address.
/// - A link-local IPv6 address takes its interface after a `%`, by name or number: `[fe80::1%eth0]:5555`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn scheme(&self) -> &'static str {
        "tcp"
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        if let Some(inherited) = &options.inherited {
            let socket = inherited_socket(inherited, &format!("tcp://{address}"))?;
            return Ok(Box::new(TcpListener::over(socket, options)?));
        }
        if address.contains(';') {
            return Err(AddressError::SourceOfListener { address: address.to_owned() }.into());
        }
        let place = Place::parse(address)?;
        place.check_family(options)?;
        let candidates = place
            .local_addresses(options)
            .map_err(|source| ListenError::NoSuchHost { host: place.host_text.to_owned(), source })?;
        Ok(Box::new(listen_at_first(&candidates, options)?))
    }

    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError> {
        let route = Route::parse(address, options)?;
        route.first_hop().check_family(options)?;
        if route.proxy.is_some() {
            destination_of(&route.destination)?;
        }
        route.source.map_or(Ok(()), |source| source.check_family(options))
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        let route = match Route::parse(address, options) {
            Ok(route) => route,
            Err(error) => return Some(Err(unusable(error))),
        };
        let local = |source: &Place<'_>| !source.is_name() || source.is_interface(options);
        let literal = !route.first_hop().is_name() && route.source.as_ref().is_none_or(local);
        literal.then(|| route.targets(options))
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        Route::parse(address, options).map_err(unusable)?.targets(options)
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let hop: &Hop = target.address().ok_or_else(|| foreign_target("tcp", target))?;
        let socket = open(hop.to, options)?;
        if let Some(source) = hop.source {
            socket.set_reuse_address(true)?;
            socket.bind(&source.into())?;
        }
        let proxied = options.socks_proxy.as_ref().zip(hop.beyond.clone());
        let passage = proxied.map(|(proxy, beyond)| Passage::new(target.endpoint(), proxy.handshake(beyond)));
        let begun = socket.connect(&hop.to.into());
        let channel = TcpChannel { socket: StreamSocket::new(socket), remote: hop.to, passage };
        match begun {
            // One to a proxy has still to be told to it.
            Ok(()) if channel.passage.is_some() => Ok(Connecting::Pending(Arc::new(channel))),
            Ok(()) => channel.connected().map(|()| Connecting::Done(Arc::new(channel))),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {
                Ok(Connecting::Pending(Arc::new(channel)))
            }
            Err(error) => Err(error),
        }
    }
}

/// What a tcp [`Target`] carries.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    source: Option<SocketAddr>,
    /// The destination, or the proxy.
    to: SocketAddr,
    /// What the proxy is asked for.
    beyond: Option<Destination>,
}

/// `[source;]destination`, taken apart, and the proxy between them.
struct Route<'a> {
    source: Option<Place<'a>>,
    destination: Place<'a>,
    proxy: Option<Place<'a>>,
}

impl<'a> Route<'a> {
    fn parse(address: &'a str, options: &'a TransportOptions) -> Result<Self, AddressError> {
        let (source, destination) = parse_ends(address)?;
        let Some(proxy) = &options.socks_proxy else { return Ok(Self { source, destination, proxy: None }) };
        let (source_of_proxy, proxy) = parse_ends(proxy.address())?;
        Ok(Self { source: source_of_proxy.or(source), destination, proxy: Some(proxy) })
    }

    /// Where this machine connects to.
    fn first_hop(&self) -> &Place<'a> {
        self.proxy.as_ref().unwrap_or(&self.destination)
    }

    /// Every address of the destination, or of the proxy, each with the first address of the source that is of its family.
    fn targets(&self, options: &TransportOptions) -> io::Result<Vec<Target>> {
        let destinations = self.first_hop().remote_addresses(options)?;
        let beyond = self.proxy.as_ref().map(|_| destination_of(&self.destination)).transpose().map_err(unusable)?;
        let target = |source, to| match &beyond {
            Some(beyond) => target_beyond(source, to, beyond.clone()),
            None => target(source, to),
        };
        let Some(source) = &self.source else {
            return Ok(destinations.into_iter().map(|to| target(None, to)).collect());
        };
        let sources = source.local_addresses(options)?;
        let from = |to: &SocketAddr| sources.iter().find(|from| from.is_ipv4() == to.is_ipv4());
        let targets: Vec<Target> =
            destinations.into_iter().filter_map(|to| from(&to).map(|&from| target(Some(from), to))).collect();
        if targets.is_empty() {
            let reason = "the source and the destination have no family of addresses in common";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
        }
        Ok(targets)
    }
}

fn target(source: Option<SocketAddr>, mut to: SocketAddr) -> Target {
    if to.ip().is_unspecified() {
        // The kernel takes it for this machine, but would not show it as the peer's address.
        to.set_ip(match to.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Target::new(endpoint_of(to), Hop { source, to, beyond: None })
}

fn target_beyond(source: Option<SocketAddr>, to: SocketAddr, beyond: Destination) -> Target {
    let endpoint = match &beyond {
        Destination::Address(address) => endpoint_of(*address),
        Destination::Name(name, port) => format!("tcp://{name}:{port}"),
    };
    Target::new(endpoint, Hop { source, to, beyond: Some(beyond) })
}

fn parse_ends(address: &str) -> Result<(Option<Place<'_>>, Place<'_>), AddressError> {
    let (source, destination) = match address.split_once(';') {
        Some((source, destination)) => (Some(Place::parse(source)?), destination),
        None => (None, address),
    };
    let destination = Place::parse(destination)?;
    match destination {
        Place { host: Host::Any, .. } => Err(AddressError::AnyHost { address: address.to_owned() }),
        Place { port: 0, .. } => Err(AddressError::AnyPort { address: address.to_owned() }),
        _ => Ok((source, destination)),
    }
}

/// `HOST:PORT`, taken apart.
pub(super) struct Place<'a> {
    pub(super) host: Host<'a>,
    pub(super) host_text: &'a str,
    /// 0: any.
    pub(super) port: u16,
}

pub(super) enum Host<'a> {
    Any,
    V4(Ipv4Addr),
    V6 { ip: Ipv6Addr, zone: Option<&'a str> },
    Name(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, AddressError> {
        let no_port = || AddressError::NoPort { address: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        if port.is_empty() || port.ends_with(']') {
            return Err(no_port());
        }
        if host.is_empty() {
            return Err(AddressError::NoHost { address: text.to_owned() });
        }
        let bad_host = || AddressError::BadHost { host: host.to_owned() };
        Ok(Self { host: Host::parse(host).ok_or_else(bad_host)?, host_text: host, port: parse_port(port)? })
    }

    pub(super) fn check_family(&self, options: &TransportOptions) -> Result<(), AddressError> {
        if matches!(self.host, Host::V6 { .. }) && !options.ipv6 {
            return Err(AddressError::Ipv6Off { host: self.host_text.to_owned() });
        }
        Ok(())
    }

    pub(super) fn is_name(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    pub(super) fn is_interface(&self, options: &TransportOptions) -> bool {
        let Host::Name(name) = self.host else {
            return false;
        };
        interface_addresses(name, self.port, options).is_ok_and(|found| !found.is_empty())
    }

    /// The addresses of this machine that it stands for, the one to prefer first: an interface's, else a name's.
    pub(super) fn local_addresses(&self, options: &TransportOptions) -> io::Result<Vec<SocketAddr>> {
        match self.host {
            Host::Any => Ok(wildcards(self.port, options)),
            Host::Name(name) => match interface_addresses(name, self.port, options)? {
                none if none.is_empty() => look_up(name, self.port, options),
                some => Ok(some),
            },
            _ => self.remote_addresses(options),
        }
    }

    /// The addresses that it stands for, wherever they are, in the order in which to try them.
    pub(super) fn remote_addresses(&self, options: &TransportOptions) -> io::Result<Vec<SocketAddr>> {
        self.check_family(options).map_err(unusable)?;
        match self.host {
            Host::Any => Ok(wildcards(self.port, options)),
            Host::V4(ip) => Ok(vec![(ip, self.port).into()]),
            Host::V6 { ip, zone } => {
                let scope = zone.map_or(Ok(0), zone_index)?;
                Ok(vec![SocketAddrV6::new(ip, self.port, 0, scope).into()])
            }
            Host::Name(name) => look_up(name, self.port, options),
        }
    }
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(v6) = bracketed {
            return Self::parse_v6(v6);
        }
        if text == "*" {
            return Some(Self::Any);
        }
        let v4 = text.parse().ok().map(Self::V4);
        v4.or_else(|| Self::parse_v6(text)).or_else(|| Self::parse_name(text))
    }

    fn parse_v6(text: &'a str) -> Option<Self> {
        let (ip, zone) = match text.split_once('%') {
            Some((_, "")) => return None,
            Some((ip, zone)) => (ip, Some(zone)),
            None => (text, None),
        };
        ip.parse().ok().map(|ip| Self::V6 { ip, zone })
    }

    fn parse_name(text: &'a str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        text.bytes().all(plain).then_some(Self::Name(text))
    }
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    if text == "*" {
        return Ok(0);
    }
    // `str::parse` would take a sign, too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.ok_or_else(|| AddressError::BadPort { port: text.to_owned() })
}

/// All interfaces. With IPv6 on, one socket serves both families; where the kernel has no IPv6, IPv4 has to do.
fn wildcards(port: u16, options: &TransportOptions) -> Vec<SocketAddr> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    if options.ipv6 { vec![v6, v4] } else { vec![v4] }
}

/// The addresses of the interface `name`, none where there is no such interface.
pub(super) fn interface_addresses(name: &str, port: u16, options: &TransportOptions) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = getifaddrs()?
        .filter(|entry| entry.interface_name == name)
        .filter_map(|entry| internet_address(&entry, port))
        .filter(|address| address.is_ipv4() || options.ipv6)
        .collect();
    addresses.sort_by_key(|address| match address.ip() {
        IpAddr::V6(ip) if !ip.is_unicast_link_local() => 0,
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    });
    Ok(addresses)
}

fn internet_address(entry: &InterfaceAddress, port: u16) -> Option<SocketAddr> {
    let storage = entry.address.as_ref()?;
    let v4 = storage.as_sockaddr_in().map(|&v4| SocketAddr::from(v4));
    let mut address = v4.or_else(|| storage.as_sockaddr_in6().map(|&v6| v6.into()))?;
    address.set_port(port);
    Some(address)
}

pub(super) fn zone_index(zone: &str) -> io::Result<u32> {
    match zone.parse() {
        Ok(index) => Ok(index),
        Err(_) => Ok(if_nametoindex(zone)?),
    }
}

/// Asks the system's name service, which may take its time.
fn look_up(name: &str, port: u16, options: &TransportOptions) -> io::Result<Vec<SocketAddr>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{name:?}: {error}"));
    let all = (name, port).to_socket_addrs().map_err(named)?;

    let mut usable: Vec<SocketAddr> = Vec::new();
    for address in all.filter(|address| address.is_ipv4() || options.ipv6) {
        if !usable.contains(&address) {
            usable.push(address);
        }
    }
    if usable.is_empty() {
        let reason = "it has IPv6 addresses only, and IPv6 is off: set the option ipv6";
        return Err(named(io::Error::new(io::ErrorKind::AddrNotAvailable, reason)));
    }
    Ok(usable)
}

pub(super) fn unusable(error: AddressError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Listens at the first address that this machine has. One that is in use ends the search: going on to another would
/// split the peers between two programs unseen.
fn listen_at_first(candidates: &[SocketAddr], options: &TransportOptions) -> Result<TcpListener, ListenError> {
    let mut outcome = Err(ListenError::NotLocal { endpoint: "tcp://".to_owned() });
    for &candidate in candidates {
        outcome = listen_at(candidate, options);
        if !outcome.as_ref().is_err_and(is_elsewhere) {
            break;
        }
    }
    outcome
}

fn is_elsewhere(error: &ListenError) -> bool {
    match error {
        ListenError::NotLocal { .. } => true,
        ListenError::System { source, .. } => Errno::from_io_error(source) == Some(Errno::AFNOSUPPORT),
        _ => false,
    }
}

fn listen_at(address: SocketAddr, options: &TransportOptions) -> Result<TcpListener, ListenError> {
    let failed = |step| move |source| ListenError::system(endpoint_of(address), step, source);
    let socket = open(address, options).map_err(failed("set up a socket for"))?;
    if address.is_ipv6() {
        socket.set_only_v6(false).map_err(failed("open to IPv4"))?;
    }
    socket.set_reuse_address(true).map_err(failed("reuse"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(failed("listen at"))?;
    TcpListener::over(socket, options)
}

/// A non-blocking socket of the right family, with all options set.
fn open(address: SocketAddr, options: &TransportOptions) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    tune(&socket, address.is_ipv6(), options)?;
    Ok(socket)
}

/// Sets every option. Linux hands them on from a listener to what it accepts, all but the priority, so accepting
/// costs no more calls.
fn tune(socket: &Socket, is_ipv6: bool, options: &TransportOptions) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if let Some(len) = options.send_buffer {
        socket.set_send_buffer_size(len as usize)?;
    }
    if let Some(len) = options.receive_buffer {
        socket.set_recv_buffer_size(len as usize)?;
    }
    if let Some(time) = options.busy_poll {
        socket.set_busy_poll(u32::try_from(time.as_micros()).unwrap_or(i32::MAX as u32))?;
    }
    classify(socket, is_ipv6, options)?;
    if let Some(device) = &options.bind_to_device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if options.max_retransmission_time.is_some() {
        socket.set_tcp_user_timeout(options.max_retransmission_time)?;
    }
    keep_alive(socket, &options.keep_alive)
}

/// Sets the class of the packets: the type of service, which implies a priority, and then the priority itself.
pub(super) fn classify(socket: &Socket, is_ipv6: bool, options: &TransportOptions) -> io::Result<()> {
    if options.type_of_service != 0 {
        let service = u32::from(options.type_of_service);
        socket.set_tos_v4(service)?;
        if is_ipv6 {
            socket.set_tclass_v6(service)?;
        }
    }
    if options.priority != 0 {
        socket.set_priority(options.priority)?;
    }
    Ok(())
}

fn keep_alive(socket: &Socket, options: &KeepAlive) -> io::Result<()> {
    if options.enabled == Some(true) {
        let mut probes = TcpKeepalive::new();
        if let Some(idle) = options.idle {
            probes = probes.with_time(whole_seconds(idle));
        }
        if let Some(interval) = options.interval {
            probes = probes.with_interval(whole_seconds(interval));
        }
        if let Some(count) = options.count {
            probes = probes.with_retries(count);
        }
        socket.set_tcp_keepalive(&probes)?;
    }
    options.enabled.map_or(Ok(()), |on| socket.set_keepalive(on))
}

fn whole_seconds(time: Duration) -> Duration {
    let partial = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(partial))
}

struct TcpListener {
    socket: Socket,
    is_ipv6: bool,
    endpoint: String,
    options: TransportOptions,
}

impl TcpListener {
    /// Over a socket that listens, and gets its options again in case somebody else made it.
    fn over(socket: Socket, options: &TransportOptions) -> Result<Self, ListenError> {
        let failed = |source| ListenError::system("tcp://", "take over the socket for", source);
        let bound = socket.local_addr().map_err(failed)?.as_socket();
        let address = bound.ok_or_else(|| failed(Errno::AFNOSUPPORT.into()))?;
        let is_ipv6 = address.is_ipv6();
        if options.inherited.is_some() {
            tune(&socket, is_ipv6, options).map_err(failed)?;
        }
        Ok(Self { socket, is_ipv6, endpoint: endpoint_of(address), options: options.clone() })
    }
}

impl Listener for TcpListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, peer) = acceptfrom_with(&self.socket, flags)?;
        let socket = Socket::from(socket);
        // Linux gives no address where the peer reset the connection before it was accepted.
        let remote = peer.and_then(|peer| peer.try_into().ok()).ok_or(Errno::CONNABORTED)?;
        classify(&socket, self.is_ipv6, &self.options)?;
        Ok(Arc::new(TcpChannel { socket: StreamSocket::new(socket), remote, passage: None }))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

struct TcpChannel {
    socket: StreamSocket,
    /// The peer, or the proxy.
    remote: SocketAddr,
    passage: Option<Passage>,
}

impl TcpChannel {
    fn local(&self) -> Option<SocketAddr> {
        getsockname(&self.socket).ok()?.try_into().ok()
    }

    /// The index of the interface that the socket is bound to, if it is.
    fn device(&self) -> io::Result<Option<u32>> {
        let name = SockRef::from(&self.socket).device()?;
        Ok(name.map(|name| if_nametoindex(name.as_slice())).transpose()?)
    }
}

impl Channel for TcpChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.socket.read(into)
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write(from)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn connected(&self) -> io::Result<()> {
        self.socket.connected()?;
        if self.local() == Some(self.remote) {
            // TCP's simultaneous open: nobody listens at a port that the kernel also gives to connections, and it
            // gave this one its own destination.
            let reason = "nobody listens there: the socket met itself";
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason));
        }
        self.passage.as_ref().map_or(Ok(()), |passage| passage.open(&self.socket))
    }

    fn close_write(&self) -> io::Result<()> {
        self.socket.close_write()
    }

    fn is_delivered(&self) -> bool {
        let Some(local) = self.local() else { return true };
        // Where the kernel does not say, nobody is to be waited for who may never answer.
        let unacknowledged = self.device().and_then(|device| unacknowledged_len(local, self.remote, device));
        unacknowledged.map_or(true, |len| len == 0)
    }

    fn local_endpoint(&self) -> String {
        self.local().map_or_else(|| "tcp://".to_owned(), endpoint_of)
    }

    fn remote_endpoint(&self) -> String {
        self.passage.as_ref().map_or_else(|| endpoint_of(self.remote), |passage| passage.endpoint.clone())
    }

    fn peer_address(&self) -> Option<String> {
        Some(self.remote.ip().to_canonical().to_string())
    }
}

/// An IPv4 peer of a socket that serves both families is shown by its IPv4 address.
fn endpoint_of(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("tcp://{ip}:{}", address.port()),
        IpAddr::V6(_) => format!("tcp://{address}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as StdListener;
    use std::os::fd::OwnedFd;

    use rustix::event::PollFlags;

    use super::super::tests::{accept, connect, talk, wait};
    use super::*;

    fn options() -> TransportOptions {
        TransportOptions::default()
    }

    fn with_ipv6() -> TransportOptions {
        TransportOptions { ipv6: true, ..options() }
    }

    /// Some machines have no IPv6 even on loopback; the tests that need it pass there without a look.
    fn has_ipv6() -> bool {
        StdListener::bind("[::1]:0").is_ok()
    }

    fn port_of(endpoint: &str) -> u16 {
        endpoint.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    fn bind_error(address: &str, options: &TransportOptions) -> ListenError {
        Tcp.bind(address, options).err().unwrap()
    }

    fn check_error(address: &str) -> AddressError {
        Tcp.check(address, &options()).unwrap_err()
    }

    #[test]
    fn two_ends_talk() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        assert_eq!(listener.accept().err().unwrap().kind(), io::ErrorKind::WouldBlock);
        let near = connect(&Tcp, listener.endpoint(), &options()).unwrap();
        let far = accept(&*listener);
        talk(&*near, &*far);

        assert_eq!(near.remote_endpoint(), listener.endpoint());
        assert_eq!(far.local_endpoint(), listener.endpoint());
        assert_eq!(near.local_endpoint(), far.remote_endpoint());
        assert_eq!(far.peer_address().unwrap(), "127.0.0.1");
        assert_eq!(far.peer_credentials(), None);
    }

    #[test]
    fn wildcards_resolve_to_what_a_peer_can_read() {
        let v4 = Tcp.bind("*:0", &options()).unwrap();
        assert!(v4.endpoint().starts_with("tcp://0.0.0.0:"), "{}", v4.endpoint());
        let near = connect(&Tcp, v4.endpoint(), &options()).unwrap();
        assert_eq!(near.remote_endpoint(), format!("tcp://127.0.0.1:{}", port_of(v4.endpoint())));

        if has_ipv6() {
            let both = Tcp.bind("*:*", &with_ipv6()).unwrap();
            assert!(both.endpoint().starts_with("tcp://[::]:"), "{}", both.endpoint());
            let port = port_of(both.endpoint());
            for host in ["127.0.0.1", "[::1]"] {
                let near = connect(&Tcp, &format!("tcp://{host}:{port}"), &with_ipv6()).unwrap();
                let far = accept(&*both);
                assert_eq!(far.peer_address().unwrap(), host.trim_matches(['[', ']']));
                assert_eq!(far.local_endpoint(), format!("tcp://{host}:{port}"));
                drop(near);
            }
        }
    }

    #[test]
    fn an_interface_stands_for_its_addresses() {
        let v4 = Tcp.bind("lo:*", &options()).unwrap();
        assert!(v4.endpoint().starts_with("tcp://127.0.0.1:"), "{}", v4.endpoint());
        if has_ipv6() {
            let v6 = Tcp.bind("lo:*", &with_ipv6()).unwrap();
            assert!(v6.endpoint().starts_with("tcp://[::1]:"), "{}", v6.endpoint());
            connect(&Tcp, v6.endpoint(), &with_ipv6()).unwrap();
        }
    }

    #[test]
    fn a_host_name_stands_for_all_its_addresses() {
        let listener = Tcp.bind("localhost:*", &options()).unwrap();
        let port = port_of(listener.endpoint());
        let endpoint = format!("tcp://localhost:{port}");
        assert!(Tcp.resolve_now(&endpoint["tcp://".len()..], &options()).is_none());
        connect(&Tcp, &endpoint, &options()).unwrap();

        let targets = Tcp.resolve(&format!("localhost:{port}"), &options()).unwrap();
        let endpoints: Vec<&str> = targets.iter().map(Target::endpoint).collect();
        assert_eq!(endpoints, [format!("tcp://127.0.0.1:{port}")]);
    }

    #[test]
    fn a_source_is_where_the_connection_comes_from() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        let port = port_of(listener.endpoint());
        for (source, seen) in
            [("127.0.0.2:0", "127.0.0.2"), ("127.0.0.3:*", "127.0.0.3"), ("lo:0", "127.0.0.1"), ("*:0", "127.0.0.1")]
        {
            let address = format!("{source};127.0.0.1:{port}");
            assert!(Tcp.resolve_now(&address, &options()).is_some(), "{source} needs no lookup");
            let near = connect(&Tcp, &format!("tcp://{address}"), &options()).unwrap();
            let far = accept(&*listener);
            assert_eq!(far.peer_address().unwrap(), seen);
            assert_eq!(near.local_endpoint(), far.remote_endpoint());
        }
    }

    #[test]
    fn a_source_of_the_other_family_is_refused() {
        let error = Tcp.resolve("[::1]:0;127.0.0.1:5555", &with_ipv6()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_refused_connection_is_told_when_it_becomes_writable() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        let endpoint = listener.endpoint().to_owned();
        drop(listener);
        let error = connect(&Tcp, &endpoint, &options()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_socket_that_meets_itself_is_refused() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        let port = port_of(listener.endpoint());
        drop(listener);
        let endpoint = format!("tcp://127.0.0.1:{port};127.0.0.1:{port}");
        let error = connect(&Tcp, &endpoint, &options()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("met itself"), "{error}");
    }

    #[test]
    fn the_port_of_a_listener_is_taken_until_it_goes() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        let address = listener.endpoint()["tcp://".len()..].to_owned();
        let error = bind_error(&address, &options());
        assert!(matches!(&error, ListenError::InUse { endpoint } if endpoint == listener.endpoint()));
        assert_eq!(error.errno(), Errno::ADDRINUSE.raw_os_error());

        // The connection lingers in the kernel, and its port is free to bind nevertheless.
        let near = connect(&Tcp, listener.endpoint(), &options()).unwrap();
        drop(accept(&*listener));
        drop(listener);
        Tcp.bind(&address, &options()).unwrap();
        drop(near);
    }

    #[test]
    fn an_address_of_another_machine_cannot_be_bound() {
        let error = bind_error("192.0.2.1:0", &options());
        assert!(matches!(error, ListenError::NotLocal { .. }), "{error}");
        assert_eq!(error.errno(), Errno::ADDRNOTAVAIL.raw_os_error());
    }

    #[test]
    fn what_is_no_host_cannot_be_bound() {
        // A label longer than 63 bytes fails without asking a server.
        let host = "x".repeat(64);
        let error = bind_error(&format!("{host}:*"), &options());
        assert!(matches!(&error, ListenError::NoSuchHost { host: h, .. } if *h == host), "{error}");
        assert_eq!(error.errno(), Errno::NODEV.raw_os_error());
    }

    #[test]
    fn mistakes_in_an_address_are_told_apart() {
        use AddressError as E;
        for address in ["127.0.0.1", "127.0.0.1:", "[::1]", ""] {
            assert_eq!(check_error(address), E::NoPort { address: address.to_owned() });
        }
        for port in ["x", "80x", "-1", "+1", "65536", "70000", "1*"] {
            let address = format!("127.0.0.1:{port}");
            assert_eq!(check_error(&address), E::BadPort { port: port.to_owned() });
        }
        for host in ["in val", "[::1", "[127.0.0.1]", "1.2.3.4%lo", "a/b", "::1%", "1:2", "[]"] {
            let address = format!("{host}:5555");
            assert_eq!(check_error(&address), E::BadHost { host: host.to_owned() });
        }
        for address in ["127.0.0.1:0", "127.0.0.1:*", "localhost:0"] {
            assert_eq!(check_error(address), E::AnyPort { address: address.to_owned() });
        }
        assert_eq!(check_error(":5555"), E::NoHost { address: ":5555".to_owned() });
        assert_eq!(check_error("*:5555"), E::AnyHost { address: "*:5555".to_owned() });
        assert_eq!(check_error("127.0.0.1;127.0.0.1:1"), E::NoPort { address: "127.0.0.1".to_owned() });
        assert_eq!(check_error("[::1]:5555"), E::Ipv6Off { host: "[::1]".to_owned() });
        assert!(matches!(
            bind_error("127.0.0.1:0;127.0.0.1:1", &options()),
            ListenError::Address(E::SourceOfListener { .. })
        ));
        assert_eq!(bind_error("127.0.0.1:x", &options()).errno(), Errno::INVAL.raw_os_error());
        assert_eq!(bind_error("[::1]:*", &options()).errno(), Errno::NODEV.raw_os_error());
    }

    #[test]
    fn addresses_that_libzmq_takes_are_taken() {
        let all = ["localhost:1", "a_b.c-d:65535", "127.0.0.1:007", "lo:0;localhost:5555", "*:7;h:1"];
        for address in all {
            assert_eq!(Tcp.check(address, &options()), Ok(()), "{address}");
        }
        for address in ["[::1]:5", "::1:5", "[fe80::1%lo]:5", "[fe80::1%1]:5", "[::ffff:1.2.3.4]:5"] {
            assert_eq!(Tcp.check(address, &with_ipv6()), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_zone_is_an_interface() {
        let of = |address| Tcp.resolve_now(address, &with_ipv6()).unwrap();
        let targets = of("[fe80::1%lo]:5").unwrap();
        assert_eq!(targets[0].endpoint(), "tcp://[fe80::1%1]:5");
        assert_eq!(of("[fe80::1%nosuch]:5").unwrap_err().raw_os_error(), Some(Errno::NODEV.raw_os_error()));
    }

    #[test]
    fn both_ends_have_all_options() {
        let mut wanted = options();
        wanted.send_buffer = Some(40_000);
        wanted.receive_buffer = Some(50_000);
        wanted.type_of_service = 0x28;
        wanted.priority = 5;
        wanted.max_retransmission_time = Some(Duration::from_millis(1500));
        wanted.keep_alive.enabled = Some(true);
        wanted.keep_alive.idle = Some(Duration::from_millis(6500));
        wanted.keep_alive.interval = Some(Duration::from_secs(3));
        wanted.keep_alive.count = Some(4);

        let listener = Tcp.bind("127.0.0.1:*", &wanted).unwrap();
        let near = connect(&Tcp, listener.endpoint(), &wanted).unwrap();
        let far = accept(&*listener);
        for end in [near, far] {
            let end = end.readiness();
            let socket = SockRef::from(&end);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.nonblocking().unwrap());
            assert_eq!(socket.send_buffer_size().unwrap(), 80_000);
            assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
            assert_eq!(socket.tos_v4().unwrap(), 0x28);
            assert_eq!(socket.priority().unwrap(), 5);
            assert_eq!(socket.tcp_user_timeout().unwrap(), wanted.max_retransmission_time);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        }
    }

    /// More than the system's default needs a privilege.
    #[test]
    fn busy_polling_is_asked_of_the_system_or_refused_by_it() {
        let mut wanted = options();
        wanted.busy_poll = Some(Duration::from_micros(50));
        match open("127.0.0.1:0".parse().unwrap(), &wanted) {
            Ok(socket) => assert_eq!(socket.busy_poll().unwrap(), 50),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn what_a_peer_lacks_shows_over_a_device_too() {
        for device in [None, Some("lo".to_owned())] {
            let mut wanted = options();
            wanted.bind_to_device = device;
            let listener = Tcp.bind("127.0.0.1:*", &wanted).unwrap();
            let near = connect(&Tcp, listener.endpoint(), &wanted).unwrap();
            let far = accept(&*listener);
            let mut heard = Vec::with_capacity(65_536);
            for (writer, reader) in [(&near, &far), (&far, &near)] {
                while writer.write(&[IoSlice::new(&[0; 65_536])]).is_ok() {}
                writer.close_write().unwrap();
                assert!(!writer.is_delivered(), "{:?}", wanted.bind_to_device);
                while !writer.is_delivered() {
                    heard.clear();
                    let _ = reader.read(&mut heard);
                }
            }
        }
    }

    #[test]
    fn an_unknown_device_is_told() {
        let mut wanted = options();
        wanted.bind_to_device = Some("nosuchdevice".to_owned());
        let error = bind_error("127.0.0.1:*", &wanted);
        // Without the privilege, the system does not even say whether it exists.
        let refusals = [Errno::NODEV, Errno::PERM].map(Errno::raw_os_error);
        assert!(refusals.contains(&error.errno()), "{error}");
    }

    #[test]
    fn an_inherited_listener_is_taken_once() {
        let theirs = StdListener::bind("127.0.0.1:0").unwrap();
        let port = theirs.local_addr().unwrap().port();
        let mut wanted = options();
        wanted.inherited = Some(OwnedFd::from(theirs).into());

        let listener = Tcp.bind("127.0.0.1:1", &wanted).unwrap();
        assert_eq!(listener.endpoint(), format!("tcp://127.0.0.1:{port}"));
        let near = connect(&Tcp, listener.endpoint(), &options()).unwrap();
        talk(&*near, &*accept(&*listener));
        assert!(matches!(bind_error("*:*", &wanted), ListenError::System { .. }));

        let endpoint = listener.endpoint().to_owned();
        drop(listener);
        let error = connect(&Tcp, &endpoint, &options()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_pending_channel_is_not_connected() {
        let socket = open("127.0.0.1:1".parse().unwrap(), &options()).unwrap();
        let remote = "127.0.0.1:1".parse().unwrap();
        let channel = TcpChannel { socket: StreamSocket::new(socket), remote, passage: None };
        assert_eq!(channel.connected().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_listener_wakes_who_polls_it() {
        let listener = Tcp.bind("127.0.0.1:*", &options()).unwrap();
        let near = connect(&Tcp, listener.endpoint(), &options()).unwrap();
        wait(listener.readiness(), PollFlags::IN);
        drop(near);
    }
}
