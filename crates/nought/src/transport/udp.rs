//! `udp://`: datagrams over IPv4 and IPv6, to one or, by multicast, to many.
//!
//! ```text
//! bind     [INTERFACE;]HOST:PORT    HOST as in tcp, or a multicast group, which is joined     PORT: 0–65535 | *
//! connect  [INTERFACE;]HOST:PORT    HOST: IP address, multicast group or host name, port not 0
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::net::if_::if_nametoindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{
    AddressError, Connecting, DatagramChannel, ListenError, Listener, Target, Transport, TransportOptions,
    foreign_target,
    tcp::{Host, Place, classify, interface_addresses, unusable},
};

/// The transport `udp`.
///
/// - `bind` takes what it takes for tcp, or a multicast group, which it joins: on the interface before a `;`, else on the
///   one that the system chooses. Several sockets of a machine may bind the same group.
/// - `connect` takes an IP address, a multicast group or a host name. Multicast leaves by the interface before a `;`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Udp;

impl Transport for Udp {
    fn scheme(&self) -> &'static str {
        "udp"
    }

    fn bind(&self, address: &str, _: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        Err(AddressError::Other(format!("udp://{address} has datagrams, and no connections")).into())
    }

    fn has_datagrams(&self) -> bool {
        true
    }

    fn bind_datagrams(
        &self,
        address: &str,
        options: &TransportOptions,
    ) -> Result<Arc<dyn DatagramChannel>, ListenError> {
        let route = Route::parse(address)?;
        route.place.check_family(options)?;
        let candidates = route
            .place
            .local_addresses(options)
            .map_err(|source| ListenError::NoSuchHost { host: address.to_owned(), source })?;
        let first = candidates.first().ok_or_else(|| ListenError::NotLocal { endpoint: endpoint_of(address) })?;
        Ok(Arc::new(bind_at(*first, route.interface, options)?))
    }

    fn check(&self, address: &str, options: &TransportOptions) -> Result<(), AddressError> {
        let route = Route::parse(address)?;
        match route.place {
            Place { host: Host::Any, .. } => Err(AddressError::AnyHost { address: address.to_owned() }),
            Place { port: 0, .. } => Err(AddressError::AnyPort { address: address.to_owned() }),
            place => place.check_family(options),
        }
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        match Route::parse(address) {
            Ok(route) if route.place.is_name() => None,
            _ => Some(self.resolve(address, options)),
        }
    }

    fn resolve(&self, address: &str, options: &TransportOptions) -> io::Result<Vec<Target>> {
        let route = Route::parse(address).map_err(unusable)?;
        let target = |to: SocketAddr| {
            let hop = Hop { interface: route.interface.map(str::to_owned), destination: reachable(to) };
            Target::new(endpoint_of(hop.destination), hop)
        };
        Ok(route.place.remote_addresses(options)?.into_iter().map(target).collect())
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        let hop: &Hop = target.address().ok_or_else(|| foreign_target("udp", target))?;
        let socket = open(hop.destination, options)?;
        if let Some(interface) = &hop.interface {
            send_by(&socket, &Interface::find(interface, hop.destination, options)?)?;
        }
        let local = if hop.destination.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        socket.bind(&SocketAddr::new(local, 0).into())?;
        let local = socket.local_addr()?.as_socket().map_or_else(String::new, endpoint_of);
        // Not connected in the system's sense: an answer that nobody is there would be an error of the next datagram.
        let channel = UdpChannel { socket: socket.into(), local, target: Some(hop.destination) };
        Ok(Connecting::Datagrams(Arc::new(channel)))
    }
}

/// What a udp [`Target`] carries.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    interface: Option<String>,
    destination: SocketAddr,
}

/// `[INTERFACE;]HOST:PORT`, taken apart.
struct Route<'a> {
    interface: Option<&'a str>,
    place: Place<'a>,
}

impl<'a> Route<'a> {
    fn parse(address: &'a str) -> Result<Self, AddressError> {
        let (interface, place) = match address.split_once(';') {
            Some((interface, place)) => (Some(interface), place),
            None => (None, address),
        };
        Ok(Self { interface, place: Place::parse(place)? })
    }
}

/// An interface of this machine, as the two families name it.
struct Interface {
    v4: Ipv4Addr,
    index: u32,
}

impl Interface {
    /// The system chooses.
    const ANY: Self = Self { v4: Ipv4Addr::UNSPECIFIED, index: 0 };

    /// By its name, or by one of its IPv4 addresses.
    fn find(text: &str, group: SocketAddr, options: &TransportOptions) -> io::Result<Self> {
        if let Ok(v4) = text.parse() {
            return Ok(Self { v4, index: 0 });
        }
        if text == "*" {
            return Ok(Self::ANY);
        }
        let index = if_nametoindex(text)?;
        let v4 = interface_addresses(text, 0, options)?.into_iter().find_map(|address| match address.ip() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        });
        if group.is_ipv4() && v4.is_none() {
            let reason = format!("the interface {text:?} has no IPv4 address");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
        }
        Ok(Self { v4: v4.unwrap_or(Ipv4Addr::UNSPECIFIED), index })
    }
}

fn endpoint_of(address: impl std::fmt::Display) -> String {
    format!("udp://{address}")
}

/// The kernel takes an unspecified address for this machine, and does not show it as the peer's.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

fn bind_at(
    address: SocketAddr,
    interface: Option<&str>,
    options: &TransportOptions,
) -> Result<UdpChannel, ListenError> {
    let failed = |step| move |source| ListenError::system(endpoint_of(address), step, source);
    let socket = open(address, options).map_err(failed("set up a socket for"))?;
    if address.is_ipv6() {
        socket.set_only_v6(false).map_err(failed("open to IPv4"))?;
    }
    if !address.ip().is_multicast() {
        socket.bind(&address.into()).map_err(failed("bind"))?;
        let local = socket.local_addr().map_err(failed("find the address of"))?.as_socket().unwrap_or(address);
        return Ok(UdpChannel { socket: socket.into(), local: endpoint_of(local), target: None });
    }
    let found = interface.map_or(Ok(Interface::ANY), |interface| Interface::find(interface, address, options));
    let interface = found.map_err(failed("find the interface for"))?;
    socket.set_reuse_address(true).map_err(failed("share"))?;
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    socket.bind(&SocketAddr::new(any, address.port()).into()).map_err(failed("bind"))?;
    join(&socket, address.ip(), &interface).map_err(failed("join"))?;
    send_by(&socket, &interface).map_err(failed("choose the interface for"))?;
    let port = socket.local_addr().map_err(failed("find the address of"))?.as_socket().map_or(0, |local| local.port());
    let local = endpoint_of(SocketAddr::new(address.ip(), port));
    Ok(UdpChannel { socket: socket.into(), local, target: None })
}

fn open(address: SocketAddr, options: &TransportOptions) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if let Some(len) = options.send_buffer {
        socket.set_send_buffer_size(len as usize)?;
    }
    if let Some(len) = options.receive_buffer {
        socket.set_recv_buffer_size(len as usize)?;
    }
    classify(&socket, address.is_ipv6(), options)?;
    if let Some(device) = &options.bind_to_device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if address.is_ipv4() {
        socket.set_multicast_ttl_v4(options.multicast_hops.into())?;
        socket.set_multicast_loop_v4(options.multicast_loop)?;
    } else {
        socket.set_multicast_hops_v6(options.multicast_hops.into())?;
        socket.set_multicast_loop_v6(options.multicast_loop)?;
    }
    Ok(socket)
}

fn join(socket: &Socket, group: IpAddr, interface: &Interface) -> io::Result<()> {
    match group {
        IpAddr::V4(group) if interface.index > 0 => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.index))
        }
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &interface.v4),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.index),
    }
}

fn send_by(socket: &Socket, interface: &Interface) -> io::Result<()> {
    if socket.domain()? == Domain::IPV4 {
        socket.set_multicast_if_v4(&interface.v4)
    } else {
        socket.set_multicast_if_v6(interface.index)
    }
}

struct UdpChannel {
    socket: UdpSocket,
    local: String,
    target: Option<SocketAddr>,
}

impl DatagramChannel for UdpChannel {
    fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into)
    }

    fn send(&self, datagram: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        let to = to.or(self.target).ok_or(io::ErrorKind::NotConnected)?;
        self.socket.send_to(datagram, to).map(drop)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn local_endpoint(&self) -> String {
        self.local.clone()
    }

    fn remote_endpoint(&self) -> String {
        self.target.map_or_else(|| self.local.clone(), endpoint_of)
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    fn connect(address: &str, options: &TransportOptions) -> io::Result<Arc<dyn DatagramChannel>> {
        let targets = Udp.resolve_now(address, options).expect("it needs no lookup")?;
        match Udp.connect(&targets[0], options)? {
            Connecting::Datagrams(channel) => Ok(channel),
            _ => panic!("udp has no connections"),
        }
    }

    #[test]
    fn both_ends_have_all_options() {
        let wanted = TransportOptions {
            send_buffer: Some(40_000),
            receive_buffer: Some(50_000),
            type_of_service: 0x28,
            multicast_hops: 3,
            multicast_loop: false,
            ..TransportOptions::default()
        };
        let bound = Udp.bind_datagrams("127.0.0.1:*", &wanted).unwrap();
        let connected = connect(bound.local_endpoint().strip_prefix("udp://").unwrap(), &wanted).unwrap();
        for end in [bound, connected] {
            let end = end.readiness();
            let socket = SockRef::from(&end);
            assert!(socket.nonblocking().unwrap());
            assert_eq!(socket.send_buffer_size().unwrap(), 80_000);
            assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
            assert_eq!(socket.tos_v4().unwrap(), 0x28);
            assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
            assert!(!socket.multicast_loop_v4().unwrap());
        }
        let default = connect("127.0.0.1:5", &TransportOptions::default()).unwrap();
        let default = default.readiness();
        assert_eq!(SockRef::from(&default).multicast_ttl_v4().unwrap(), 1);
        assert!(SockRef::from(&default).multicast_loop_v4().unwrap());
    }

    #[test]
    fn an_interface_is_named_or_has_an_address() {
        let options = TransportOptions::default();
        for interface in ["lo", "127.0.0.1"] {
            let sender = connect(&format!("{interface};239.0.0.1:5"), &options).unwrap();
            let sender = sender.readiness();
            assert_eq!(SockRef::from(&sender).multicast_if_v4().unwrap(), Ipv4Addr::LOCALHOST);
            let bound = Udp.bind_datagrams(&format!("{interface};239.0.0.1:*"), &options).unwrap();
            assert!(bound.local_endpoint().starts_with("udp://239.0.0.1:"), "{}", bound.local_endpoint());
        }
        assert!(connect("nosuch;239.0.0.1:5", &options).is_err());
        assert!(Udp.bind_datagrams("nosuch;239.0.0.1:*", &options).is_err());
    }

    #[test]
    fn addresses_that_cannot_be_are_refused() {
        let options = TransportOptions::default();
        for address in ["127.0.0.1", "*:5", "127.0.0.1:0", "[::1]:5", "127.0.0.1:65536"] {
            assert!(Udp.check(address, &options).is_err(), "{address}");
        }
        assert!(Udp.check("239.0.0.1:5", &options).is_ok());
        assert!(Udp.resolve_now("example.net:5", &options).is_none());
        assert!(matches!(Udp.bind("127.0.0.1:*", &options), Err(ListenError::Address(_))));
    }
}
