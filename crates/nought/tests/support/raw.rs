//! Peers of written bytes: what a ZMTP peer sends, over plain sockets of the standard library.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    time::Duration,
};

use super::PATIENCE;

/// ZMTP 3.1's greeting with the NULL mechanism (RFC 37).
pub fn greeting() -> Vec<u8> {
    let mut bytes = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL".to_vec();
    bytes.resize(64, 0);
    bytes
}

/// The command READY of a socket type.
pub fn ready(socket_type: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0BSocket-Type\0\0\0".to_vec();
    body.push(socket_type.len() as u8);
    body.extend_from_slice(socket_type.as_bytes());
    let mut bytes = vec![4, body.len() as u8];
    bytes.extend_from_slice(&body);
    bytes
}

/// All that a peer sends until messages may flow.
pub fn handshake(socket_type: &str) -> Vec<u8> {
    [greeting(), ready(socket_type)].concat()
}

/// A message frame.
pub fn frame(more: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = match u8::try_from(body.len()) {
        Ok(len) => vec![u8::from(more), len],
        Err(_) => [&[u8::from(more) | 2][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    bytes.extend_from_slice(body);
    bytes
}

/// A command frame.
pub fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    let mut bytes = vec![4, u8::try_from(body.len()).expect("a short command")];
    bytes.extend_from_slice(&body);
    bytes
}

/// One side of a connection that speaks bytes.
pub struct RawPeer(pub TcpStream);

impl RawPeer {
    /// Connects to a `tcp://` endpoint.
    pub fn connect(endpoint: &str) -> Self {
        Self::over(TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap())
    }

    /// Accepts the next peer.
    pub fn accept(listener: &TcpListener) -> Self {
        Self::over(listener.accept().unwrap().0)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Goes through the handshake as a socket of this type.
    pub fn shake_hands(mut self, socket_type: &str) -> Self {
        self.send(&handshake(socket_type));
        self.recv(64);
        let (is_command, body) = self.recv_frame();
        assert!(is_command && body.starts_with(b"\x05READY"), "{}", body.escape_ascii());
        self
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn recv(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next frame: whether it is a command, and its body.
    pub fn recv_frame(&mut self) -> (bool, Vec<u8>) {
        let flags = self.recv(1)[0];
        let len = match flags & 2 {
            0 => u64::from(self.recv(1)[0]),
            _ => u64::from_be_bytes(self.recv(8).try_into().unwrap()),
        };
        (flags & 4 != 0, self.recv(len as usize))
    }

    /// Reads until the other side closes; what came before that is dropped.
    pub fn await_close(&mut self) {
        let mut bytes = [0; 65_536];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the other side does not close: {error}"),
            }
        }
    }

    /// Whether the other side has closed by now.
    pub fn is_closed(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let result = self.0.read(&mut [0; 65_536]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        match result {
            Ok(len) => len == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A stream of either kind.
pub trait ByteStream: Read + Write {}

impl<T: Read + Write> ByteStream for T {}

/// Connects to a `tcp://` or `ipc://` endpoint.
pub fn connect(endpoint: &str) -> Box<dyn ByteStream> {
    match endpoint.split_once("://").unwrap() {
        ("tcp", address) => Box::new(TcpStream::connect(address).unwrap()),
        ("ipc", path) => Box::new(UnixStream::connect(path).unwrap()),
        _ => panic!("neither tcp nor ipc: {endpoint}"),
    }
}

/// A listener at a `tcp://` or `ipc://` endpoint.
pub enum ByteListener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

impl ByteListener {
    pub fn bind(endpoint: &str) -> Self {
        match endpoint.split_once("://").unwrap() {
            ("tcp", address) => Self::Tcp(TcpListener::bind(address).unwrap()),
            ("ipc", path) => Self::Ipc(UnixListener::bind(path).unwrap()),
            _ => panic!("neither tcp nor ipc: {endpoint}"),
        }
    }

    pub fn accept(&self) -> Box<dyn ByteStream> {
        match self {
            Self::Tcp(listener) => Box::new(listener.accept().unwrap().0),
            Self::Ipc(listener) => Box::new(listener.accept().unwrap().0),
        }
    }
}

/// A listener of the standard library, and its `tcp://` endpoint.
pub fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}
