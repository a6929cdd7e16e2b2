//! STREAM: nought against programs that know nothing of ØMQ, and against libzmq's.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use nought::{Context, Message, RecvError, SendErrorKind, Socket, Stream};
use nought_conformance::{Contexts, Library, PATIENCE, Transport, until};

fn stream(context: &Context) -> Socket<Stream> {
    context.socket_builder::<Stream>().recv_timeout(Some(PATIENCE)).linger(Some(PATIENCE)).build().unwrap()
}

#[track_caller]
fn notice(stream: &Socket<Stream>) -> Vec<u8> {
    let message = stream.recv().unwrap();
    assert_eq!((message.len(), message[1].len()), (2, 0), "{message:?}");
    message[0].to_vec()
}

/// Bytes of one peer until there are so many.
#[track_caller]
fn gather(stream: &Socket<Stream>, id: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let message = stream.recv().unwrap();
        assert_eq!(message[0], id);
        assert!(!message[1].is_empty(), "the peer is gone after {} bytes", bytes.len());
        bytes.extend_from_slice(&message[1]);
    }
    bytes
}

fn over(connect: impl Fn(&str) -> Box<dyn ReadWrite>, endpoint: &str) {
    let context = Context::new();
    let stream = stream(&context);
    let endpoint = stream.bind(endpoint).unwrap();
    let mut peer = connect(&endpoint);
    let id = notice(&stream);
    assert_eq!((id.len(), id[0]), (5, 0), "a made-up routing id");
    peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(gather(&stream, &id, 18), b"GET / HTTP/1.0\r\n\r\n");
    stream.send([&id[..], b"HTTP/1.0 200 OK\r\n\r\n"]).unwrap();
    stream.send([&id[..], b"the body"]).unwrap();
    // An empty body closes, behind what was sent.
    stream.send([&id[..], b""]).unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"HTTP/1.0 200 OK\r\n\r\nthe body");
    // Who closes is not told that the peer is gone.
    until("the connection is over", || stream.stats().peers == 0);
    assert_eq!(stream.try_recv().unwrap_err(), RecvError::WouldBlock);
    assert_eq!(stream.try_send([&id[..], b"to nobody"]).unwrap_err().kind(), SendErrorKind::Unroutable);
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_plain_program_over_tcp() {
    over(
        |endpoint| Box::new(TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap()),
        "tcp://127.0.0.1:*",
    );
}

#[test]
fn a_plain_program_over_ipc() {
    over(|endpoint| Box::new(UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).unwrap()), "ipc://*");
}

#[test]
fn a_plain_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"220 ready\r\n").unwrap();
        let mut line = [0; 6];
        peer.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"QUIT\r\n");
    });
    let context = Context::new();
    let stream = stream(&context);
    stream.connect_as(&endpoint, "server").unwrap();
    assert_eq!(notice(&stream), b"server");
    assert_eq!(gather(&stream, b"server", 11), b"220 ready\r\n");
    stream.send(["server", "QUIT\r\n"]).unwrap();
    assert_eq!(notice(&stream), b"server", "it is gone");
    server.join().unwrap();
}

#[test]
fn several_peers_are_told_apart() {
    let context = Context::new();
    let stream = stream(&context);
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    let mut peers: Vec<(TcpStream, Vec<u8>)> = (0..5)
        .map(|_| {
            let peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
            (peer, notice(&stream))
        })
        .collect();
    for (index, (peer, id)) in peers.iter_mut().enumerate() {
        peer.write_all(&[index as u8; 1000]).unwrap();
        assert_eq!(gather(&stream, id, 1000), [index as u8; 1000]);
    }
    for (index, (_, id)) in peers.iter().enumerate() {
        stream.send([&id[..], &[index as u8; 3]]).unwrap();
    }
    for (index, (mut peer, id)) in peers.into_iter().enumerate() {
        let mut bytes = [0; 3];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [index as u8; 3]);
        drop(peer);
        assert_eq!(notice(&stream), id);
    }
}

#[test]
fn much_in_both_directions() {
    const LEN: usize = 50 << 20;
    let context = Context::new();
    let stream = stream(&context);
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    let peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    let id = notice(&stream);
    thread::scope(|scope| {
        let mut writing = peer.try_clone().unwrap();
        scope.spawn(move || (0..LEN / 65_536).for_each(|_| writing.write_all(&[7; 65_536]).unwrap()));
        let mut reading = peer;
        scope.spawn(move || {
            let mut bytes = vec![0; LEN];
            reading.read_exact(&mut bytes).unwrap();
            assert!(bytes.iter().all(|&byte| byte == 9));
        });
        scope.spawn(|| {
            let chunk = nought::Frame::from(vec![9; 1 << 20]);
            for _ in 0..LEN >> 20 {
                let mut message = Message::from(&id[..]);
                message.push_back(&chunk);
                stream.send(message).unwrap();
            }
        });
        assert!(gather(&stream, &id, LEN).iter().all(|&byte| byte == 7));
    });
}

#[test]
fn what_a_peer_said_last_is_heard() {
    let context = Context::new();
    let stream = stream(&context);
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    for len in [1, 5000, 300_000] {
        let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        let id = notice(&stream);
        let writing = thread::spawn(move || peer.write_all(&vec![3; len]).unwrap());
        thread::sleep(Duration::from_millis(50));
        assert_eq!(gather(&stream, &id, len), vec![3; len]);
        writing.join().unwrap();
        assert_eq!(notice(&stream), id, "and then its end");
    }
}

#[test]
fn malformed_messages() {
    let context = Context::new();
    let stream = stream(&context);
    for (message, expected) in [
        (Message::from("alone"), SendErrorKind::Malformed),
        (Message::from(["one", "two", "three"]), SendErrorKind::Malformed),
        (Message::from(["nobody", "x"]), SendErrorKind::Unroutable),
    ] {
        assert_eq!(stream.try_send(message).unwrap_err().kind(), expected);
    }
}

/// A STREAM can play any part of ZMTP by bytes: what libzmq sends to it is what nought sends to it.
#[test]
fn the_first_bytes_of_both_libraries_are_the_same() {
    let mut greetings = Vec::new();
    for library in [Library::Libzmq, Library::Nought] {
        let contexts = Contexts::default();
        let place = Transport::Tcp.place();
        let push = contexts.socket(library, nought::SocketType::Push, &[]);
        push.bind(&place.endpoint);
        let context = Context::new();
        let stream = stream(&context);
        stream.connect_as(&place.endpoint, "peer").unwrap();
        assert_eq!(notice(&stream), b"peer");
        stream.send([&b"peer"[..], &greeting()]).unwrap();
        stream.send([&b"peer"[..], b"\x04\x1a\x05READY\x0BSocket-Type\0\0\0\x04PULL"]).unwrap();
        push.send(&[b"first".to_vec(), b"last".to_vec()]);
        let message = b"\x01\x05first\x00\x04last";
        let bytes = gather(&stream, b"peer", 64 + 2 + READY_OF_PUSH + message.len());
        greetings.push(bytes);
    }
    assert_eq!(greetings[0].escape_ascii().to_string(), greetings[1].escape_ascii().to_string());
}

/// `READY` with `Socket-Type: PUSH`, without its frame's header.
const READY_OF_PUSH: usize = 6 + 1 + 11 + 4 + 4;

fn greeting() -> Vec<u8> {
    let mut bytes = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL".to_vec();
    bytes.resize(64, 0);
    bytes
}
