//! What of a tcp connection's output the peer's system has not acknowledged, asked of the kernel by `sock_diag(7)`:
//! `ioctl(SIOCOUTQ)` would tell, too, but no safe call leads there.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

/// Sizes and offsets of `struct nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER_LEN: usize = 16;
const REQUEST_LEN: usize = HEADER_LEN + 56;
const ANSWER_LEN_MAX: usize = 1024;
const TYPE_AT: usize = 4;
const STATE_AT: usize = HEADER_LEN + 1;
const WRITE_QUEUE_AT: usize = HEADER_LEN + 60;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;

/// The bytes of a connection that were written and not acknowledged, the end of the stream among them. `device` is the
/// index of the interface that the connection's socket is bound to, if it is: the kernel finds it by that alone.
///
/// # Errors
/// The kernel does not say: it knows of no such connection, or does not answer such questions.
pub(super) fn unacknowledged_len(local: SocketAddr, remote: SocketAddr, device: Option<u32>) -> io::Result<u32> {
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&kernel, &request(local, remote, device), SendFlags::empty())?;
    let mut answer = [0; ANSWER_LEN_MAX];
    let (len, _) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    write_queue_len(&answer[..len]).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn request(local: SocketAddr, remote: SocketAddr, device: Option<u32>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REQUEST_LEN);
    bytes.extend((REQUEST_LEN as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // No sequence number, and the sender's address is the kernel's business.
    bytes.extend([0; 8]);
    bytes.extend([if local.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP, 0, 0]);
    let all_states = u32::MAX;
    bytes.extend(all_states.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    bytes.extend(address_bytes(local.ip()));
    bytes.extend(address_bytes(remote.ip()));
    let scope = match local {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    bytes.extend(device.unwrap_or(scope).to_ne_bytes());
    // Any socket with these addresses, not one with a known cookie.
    bytes.extend([u8::MAX; 8]);
    bytes
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            bytes
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn write_queue_len(answer: &[u8]) -> Option<u32> {
    let answer_type = answer.get(TYPE_AT..TYPE_AT + 2)?;
    // Where the connection is not found, the kernel tells of whoever listens at its address.
    if answer_type != SOCK_DIAG_BY_FAMILY.to_ne_bytes() || *answer.get(STATE_AT)? == TCP_LISTEN {
        return None;
    }
    let bytes = answer.get(WRITE_QUEUE_AT..WRITE_QUEUE_AT + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_peer_has_no_room_for_is_not_delivered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let queue =
            |stream: &TcpStream| unacknowledged_len(stream.local_addr().unwrap(), stream.peer_addr().unwrap(), None);
        assert_eq!(queue(&near).unwrap(), 0);
        near.set_nonblocking(true).unwrap();
        while near.write(&[0; 65536]).is_ok() {}
        near.shutdown(std::net::Shutdown::Write).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert!(queue(&near).unwrap() > 0);
        far.read_to_end(&mut Vec::new()).unwrap();
        while queue(&near).unwrap() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        // The connection is still there: the other direction is open.
        far.write_all(b"x").unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(unacknowledged_len(nobody, nobody, None).is_err());
        assert!(unacknowledged_len(listener.local_addr().unwrap(), nobody, None).is_err());
    }
}
