//! What DGRAM's frames are: an address that ends with a zero byte, as in libzmq, and the body.

mod support;

use std::{ffi::c_int, net::UdpSocket, time::Duration};

use support::{Library, c};

const DGRAM: c_int = 18;
const SNDMORE: c_int = 2;
const LAST_ENDPOINT: c_int = 32;

#[test]
fn an_address_ends_with_a_zero_and_is_taken_without() {
    let library = Library::nought();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let address = peer.local_addr().unwrap().to_string();
    // SAFETY: the calls are as zmq.h declares them.
    unsafe {
        let context = (library.ctx_new)();
        let socket = (library.socket)(context, DGRAM);
        assert_eq!((library.bind)(socket, c("udp://127.0.0.1:*").as_ptr()), 0);
        let (mut endpoint, mut len) = ([0_u8; 64], 64);
        assert_eq!((library.getsockopt)(socket, LAST_ENDPOINT, endpoint.as_mut_ptr().cast(), &raw mut len), 0);
        let endpoint = str::from_utf8(&endpoint[..len - 1]).unwrap();
        peer.send_to(b"body", endpoint.strip_prefix("udp://").unwrap()).unwrap();

        let mut frame = [0xEE_u8; 64];
        let len = (library.recv)(socket, frame.as_mut_ptr().cast(), frame.len(), 0);
        let told = &frame[..usize::try_from(len).unwrap()];
        assert_eq!(told, [address.as_bytes(), b"\0"].concat());
        assert_eq!((library.recv)(socket, std::ptr::null_mut(), 0, 0), 4);

        for to in [told, address.as_bytes()] {
            assert_eq!((library.send)(socket, to.as_ptr().cast(), to.len(), SNDMORE), to.len() as c_int);
            assert_eq!((library.send)(socket, b"back".as_ptr().cast(), 4, 0), 4);
            let mut body = [0; 8];
            assert_eq!(peer.recv(&mut body).unwrap(), 4);
            assert_eq!(&body[..4], b"back");
        }
        assert_eq!((library.close)(socket), 0);
        assert_eq!((library.ctx_term)(context), 0);
    }
}
