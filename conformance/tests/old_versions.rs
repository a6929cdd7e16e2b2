//! Peers of ZMTP 3.0 (RFC 23), 2.0 (RFC 15) and 1.0 (RFC 13), by written bytes, against nought.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use nought::{Any, Context, Socket, SocketType};

/// No call waits longer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
    V3,
}

const VERSIONS: [Version; 3] = [Version::V1, Version::V2, Version::V3];

struct OldPeer {
    stream: TcpStream,
    version: Version,
}

impl OldPeer {
    /// Connects as a socket of this type: its name in 3.0, its number in 2.0; 1.0 does not tell it.
    fn connect(endpoint: &str, version: Version, name: &str, number: u8) -> Self {
        let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Self { stream, version };
        match version {
            Version::V1 => {
                // An anonymous identity, and to an old reader so is the other side's signature.
                peer.write(b"\x01\0");
                let signature = peer.read(10);
                assert!(signature[0] == 0xFF && signature[9] == 0x7F, "{}", signature.escape_ascii());
            }
            Version::V2 => {
                peer.write(b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01");
                peer.write(&[number, 0, 0]);
                let greeting = peer.read(12);
                assert!(
                    greeting[0] == 0xFF && greeting[9] & 1 == 1 && greeting[10] >= 1,
                    "{}",
                    greeting.escape_ascii()
                );
                assert_eq!(peer.recv(), [b""], "the identity");
            }
            Version::V3 => {
                let mut greeting = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL".to_vec();
                greeting.resize(64, 0);
                peer.write(&greeting);
                let ready = [b"\x05READY\x0BSocket-Type\0\0\0", &[name.len() as u8][..], name.as_bytes()].concat();
                peer.write(&[&[4, ready.len() as u8], &ready[..]].concat());
                let greeting = peer.read(64);
                assert!(greeting[10] == 3 && greeting.starts_with(b"\xFF"), "{}", greeting.escape_ascii());
                let head = peer.read(2);
                assert_eq!(head[0], 4, "READY is a command");
                assert!(peer.read(head[1].into()).starts_with(b"\x05READY"));
            }
        }
        peer
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn send(&mut self, frames: &[&[u8]]) {
        for (index, frame) in frames.iter().enumerate() {
            let more = u8::from(index + 1 < frames.len());
            let mut bytes = Vec::new();
            match (self.version, frame.len()) {
                (Version::V1, len @ ..254) => bytes.extend([len as u8 + 1, more]),
                (Version::V1, len) => {
                    bytes.push(0xFF);
                    bytes.extend((len as u64 + 1).to_be_bytes());
                    bytes.push(more);
                }
                (_, len @ ..256) => bytes.extend([more, len as u8]),
                (_, len) => {
                    bytes.push(more | 2);
                    bytes.extend((len as u64).to_be_bytes());
                }
            }
            bytes.extend_from_slice(frame);
            self.write(&bytes);
        }
    }

    /// The next message; a command is an error.
    fn recv(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let flags;
            let len;
            if self.version == Version::V1 {
                let short = self.read(1)[0];
                let whole = if short == 0xFF { self.read_u64() } else { short.into() };
                flags = self.read(1)[0];
                len = whole - 1;
            } else {
                flags = self.read(1)[0];
                len = if flags & 2 == 0 { self.read(1)[0].into() } else { self.read_u64() };
                assert_eq!(flags & !3, 0, "no command, no reserved flag");
            }
            frames.push(self.read(len as usize));
            if flags & 1 == 0 {
                return frames;
            }
        }
    }

    fn read_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.read(8).try_into().unwrap())
    }
}

fn bound(socket_type: SocketType) -> (Socket<Any>, String) {
    let builder = Context::new().any_socket_builder(socket_type).linger(Some(Duration::ZERO));
    let socket = builder.send_timeout(Some(PATIENCE)).recv_timeout(Some(PATIENCE)).build().unwrap();
    let endpoint = socket.bind("tcp://127.0.0.1:*").unwrap();
    (socket, endpoint)
}

fn bodies() -> Vec<Vec<u8>> {
    [0, 1, 253, 254, 255, 256, 8192, 1 << 20].into_iter().map(|len| vec![len as u8 ^ 0x5A; len]).collect()
}

#[test]
fn pull() {
    for version in VERSIONS {
        println!("{version:?}");
        let (pull, endpoint) = bound(SocketType::Pull);
        let mut peer = OldPeer::connect(&endpoint, version, "PUSH", 8);
        for body in bodies() {
            peer.send(&[&body, b"", &body]);
            assert!(pull.recv().unwrap().frames().eq([&body[..], b"", &body]), "{}", body.len());
        }
    }
}

#[test]
fn push() {
    for version in VERSIONS {
        println!("{version:?}");
        let (push, endpoint) = bound(SocketType::Push);
        let mut peer = OldPeer::connect(&endpoint, version, "PULL", 7);
        for body in bodies() {
            push.send([&body[..], b"", &body]).unwrap();
            assert!(peer.recv() == [&body[..], b"", &body], "{}", body.len());
        }
    }
}

#[test]
fn sub() {
    for version in VERSIONS {
        println!("{version:?}");
        let (sub, endpoint) = bound(SocketType::Sub);
        sub.subscribe("a").unwrap();
        let mut peer = OldPeer::connect(&endpoint, version, "PUB", 1);
        if version != Version::V1 {
            assert_eq!(peer.recv(), [b"\x01a"], "a subscription is a message");
        }
        peer.send(&[b"b", b"unwanted"]);
        peer.send(&[b"ab", b"wanted"]);
        assert!(sub.recv().unwrap().frames().eq([&b"ab"[..], b"wanted"]));
        if version != Version::V1 {
            sub.unsubscribe("a").unwrap();
            assert_eq!(peer.recv(), [b"\0a"]);
        }
    }
}

#[test]
fn publish() {
    for version in VERSIONS {
        println!("{version:?}");
        let (publisher, endpoint) = bound(SocketType::Pub);
        let mut peer = OldPeer::connect(&endpoint, version, "SUB", 2);
        // Subscribers of 1.0 filter themselves and say nothing: they get everything.
        if version != Version::V1 {
            peer.send(&[b"\x01a"]);
        }
        let deadline = Instant::now() + PATIENCE;
        while publisher.stats().subscriptions == 0 {
            assert!(Instant::now() < deadline, "no subscription: {:?}", publisher.stats());
            std::thread::yield_now();
        }
        publisher.send(["b", "unwanted"]).unwrap();
        publisher.send(["ab", "wanted"]).unwrap();
        if version == Version::V1 {
            assert_eq!(peer.recv(), [&b"b"[..], b"unwanted"]);
        }
        assert_eq!(peer.recv(), [&b"ab"[..], b"wanted"]);
    }
}

#[test]
fn rep() {
    for version in VERSIONS {
        println!("{version:?}");
        let (rep, endpoint) = bound(SocketType::Rep);
        let mut peer = OldPeer::connect(&endpoint, version, "REQ", 3);
        for body in bodies() {
            peer.send(&[b"", &body]);
            let request = rep.recv().unwrap();
            assert!(request.frames().eq([&body[..]]));
            rep.send([&body[..], b"!"]).unwrap();
            assert!(peer.recv() == [b"", &body[..], b"!"], "{}", body.len());
        }
    }
}
