//! The client's side of SOCKS 5 (RFC 1928), with a user name and a password (RFC 1929), without I/O: what is said to a
//! proxy before the connection through it is as good as one to its destination.
//!
//! ```text
//! client: METHODS ──> METHOD  [USER, PASSWORD ──> STATUS]  CONNECT ──> REPLY
//! ```

use std::{fmt, io, net::SocketAddr};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest user name, password and host name: their lengths have one byte.
pub const TEXT_LEN_MAX: usize = 255;

const VERSION: u8 = 5;
const AUTHENTICATION_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const RESERVED: u8 = 0;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const SUCCESS: u8 = 0;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// What a proxy is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address.
    Address(SocketAddr),
    /// A host name of at most [`TEXT_LEN_MAX`] bytes, which the proxy looks up, and a port.
    Name(String, u16),
}

impl Destination {
    fn encode(&self, into: &mut Vec<u8>) {
        let port = match self {
            Self::Address(SocketAddr::V4(address)) => {
                into.push(V4);
                into.extend_from_slice(&address.ip().octets());
                address.port()
            }
            Self::Address(SocketAddr::V6(address)) => {
                into.push(V6);
                into.extend_from_slice(&address.ip().octets());
                address.port()
            }
            Self::Name(name, port) => {
                into.push(NAME);
                encode_text(name.as_bytes(), into);
                *port
            }
        };
        into.extend_from_slice(&port.to_be_bytes());
    }
}

/// Who the client says it is. The password is wiped when dropped, never printed, and compared in constant time.
#[derive(Clone)]
pub struct Credentials {
    user: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
}

/// The user name or the password is longer than [`TEXT_LEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Credentials {
    /// A user name and a password, of at most [`TEXT_LEN_MAX`] bytes each.
    ///
    /// # Errors
    /// If one is longer.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Result<Self, TooLong> {
        let (user, password) = (user.into(), Zeroizing::new(password.into()));
        if user.len().max(password.len()) > TEXT_LEN_MAX {
            return Err(TooLong);
        }
        Ok(Self { user, password })
    }

    /// The user's name.
    pub fn user(&self) -> &[u8] {
        &self.user
    }
}

impl PartialEq for Credentials {
    /// In constant time, as far as the password goes.
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.password.ct_eq(&other.password).into()
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials {{ user: \"{}\", .. }}", self.user.escape_ascii())
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a user name and a password of SOCKS have at most {TEXT_LEN_MAX} bytes each")
    }
}

impl std::error::Error for TooLong {}

/// Asks a proxy for one connection. Nothing is read beyond the proxy's last reply: what follows is the destination's.
pub struct Handshake {
    /// What is still to be written.
    out: Zeroizing<Vec<u8>>,
    out_at: usize,
    /// What came of the part that is awaited.
    input: Vec<u8>,
    awaits: Awaits,
    credentials: Option<Credentials>,
    destination: Destination,
}

/// The parts of what a proxy says, each of a length that is known before it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// Version, method.
    Method,
    /// Version, status.
    Status,
    /// Version, reply.
    Reply,
    /// A reserved byte, the type of an address, and its first byte, which is the length of a name.
    AddressType,
    /// The rest of the address, and a port: the proxy's own end, of which nobody wants to know.
    Address(usize),
    Nothing,
}

impl Awaits {
    fn len(self) -> usize {
        match self {
            Self::Method | Self::Status | Self::Reply => 2,
            Self::AddressType => 3,
            Self::Address(len) => len,
            Self::Nothing => 0,
        }
    }
}

impl Handshake {
    /// A handshake that begins. With credentials, the proxy has to ask for them.
    pub fn new(destination: Destination, credentials: Option<Credentials>) -> Self {
        let method = if credentials.is_some() { USER_AND_PASSWORD } else { NO_AUTHENTICATION };
        Self {
            out: Zeroizing::new(vec![VERSION, 1, method]),
            out_at: 0,
            input: Vec::new(),
            awaits: Awaits::Method,
            credentials,
            destination,
        }
    }

    /// Goes on as far as `read` and `write` let it, which do as one non-blocking call of the system does. `Ok`: the
    /// connection through the proxy stands.
    ///
    /// # Errors
    /// `WouldBlock`: it is on its way. One that holds a [`Refusal`]: the proxy said no, or what it may not. Any other is
    /// that of `read` or `write`.
    pub fn advance(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        loop {
            while self.out_at < self.out.len() {
                self.out_at += write(&self.out[self.out_at..])?;
            }
            if self.awaits == Awaits::Nothing {
                return Ok(());
            }
            let had = self.input.len();
            self.input.resize(self.awaits.len(), 0);
            let came = read(&mut self.input[had..]);
            self.input.truncate(had + came.as_ref().map_or(0, |len| *len));
            if came? == 0 {
                return Err(Refusal::Closed.into());
            }
            if self.input.len() == self.awaits.len() {
                let part = std::mem::take(&mut self.input);
                self.awaits = self.take(&part)?;
            }
        }
    }

    /// Takes the part that was awaited, and says what follows.
    fn take(&mut self, part: &[u8]) -> Result<Awaits, Refusal> {
        match (self.awaits, part) {
            (Awaits::Method, &[VERSION, method]) => self.authenticate(method),
            (Awaits::Status, &[AUTHENTICATION_VERSION, SUCCESS]) => Ok(self.connect()),
            (Awaits::Status, &[AUTHENTICATION_VERSION, _]) => Err(Refusal::Credentials),
            (Awaits::Reply, &[VERSION, SUCCESS]) => Ok(Awaits::AddressType),
            (Awaits::Reply, &[VERSION, reply]) => Err(Refusal::Reply(reply)),
            (Awaits::AddressType, &[_, V4, _]) => Ok(Awaits::Address(3 + 2)),
            (Awaits::AddressType, &[_, V6, _]) => Ok(Awaits::Address(15 + 2)),
            (Awaits::AddressType, &[_, NAME, len]) => Ok(Awaits::Address(usize::from(len) + 2)),
            (Awaits::AddressType, &[_, kind, _]) => Err(Refusal::AddressType(kind)),
            (Awaits::Address(_) | Awaits::Nothing, _) => Ok(Awaits::Nothing),
            (_, other) => Err(Refusal::Version(other.first().copied().unwrap_or_default())),
        }
    }

    fn authenticate(&mut self, method: u8) -> Result<Awaits, Refusal> {
        match (method, self.credentials.take()) {
            (NO_AUTHENTICATION, None) => Ok(self.connect()),
            (USER_AND_PASSWORD, Some(credentials)) => {
                let mut text = Vec::with_capacity(3 + 2 * TEXT_LEN_MAX);
                text.push(AUTHENTICATION_VERSION);
                encode_text(&credentials.user, &mut text);
                encode_text(&credentials.password, &mut text);
                self.say(text);
                Ok(Awaits::Status)
            }
            (NO_METHOD, _) => Err(Refusal::Methods),
            (other, _) => Err(Refusal::Method(other)),
        }
    }

    fn connect(&mut self) -> Awaits {
        let mut request = vec![VERSION, CONNECT, RESERVED];
        self.destination.encode(&mut request);
        self.say(request);
        Awaits::Reply
    }

    fn say(&mut self, bytes: Vec<u8>) {
        (self.out, self.out_at) = (Zeroizing::new(bytes), 0);
    }
}

fn encode_text(text: &[u8], into: &mut Vec<u8>) {
    debug_assert!(text.len() <= TEXT_LEN_MAX, "whoever made it has checked its length");
    into.push(text.len() as u8);
    into.extend_from_slice(text);
}

/// Why there is no connection through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It speaks another version than 5, or no SOCKS at all: this is its first byte.
    Version(u8),
    /// It wants to know who asks, if that was not said, or does not want to know, if it was.
    Methods,
    /// It chose a method of authentication that was not offered.
    Method(u8),
    /// It does not know the user, or the password is wrong.
    Credentials,
    /// It did not connect: the reason is a number of RFC 1928, section 6.
    Reply(u8),
    /// It says an address of a kind that does not exist.
    AddressType(u8),
    /// It closed before it had said all.
    Closed,
}

impl Refusal {
    fn kind(self) -> io::ErrorKind {
        match self {
            Self::Methods | Self::Credentials | Self::Reply(2) => io::ErrorKind::PermissionDenied,
            Self::Reply(3) => io::ErrorKind::NetworkUnreachable,
            Self::Reply(4) => io::ErrorKind::HostUnreachable,
            Self::Reply(5) => io::ErrorKind::ConnectionRefused,
            Self::Reply(6) => io::ErrorKind::TimedOut,
            Self::Reply(_) => io::ErrorKind::Other,
            Self::Version(_) | Self::Method(_) | Self::AddressType(_) => io::ErrorKind::InvalidData,
            Self::Closed => io::ErrorKind::UnexpectedEof,
        }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind(), refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the SOCKS proxy ")?;
        match self {
            Self::Version(first) => write!(f, "does not speak SOCKS 5: its answer begins with {first:#04x}"),
            Self::Methods => {
                f.write_str("refuses to talk: it takes users with a password, or without, and not as asked")
            }
            Self::Method(method) => write!(f, "chose a method of authentication that was not offered: {method}"),
            Self::Credentials => f.write_str("refuses the user name and password"),
            Self::Reply(1) => f.write_str("failed"),
            Self::Reply(2) => f.write_str("does not allow this connection"),
            Self::Reply(3) => f.write_str("cannot reach the network"),
            Self::Reply(4) => f.write_str("cannot reach the host, or does not know its name"),
            Self::Reply(5) => f.write_str("was refused by the destination"),
            Self::Reply(6) => f.write_str("got no answer from the destination"),
            Self::Reply(7) => f.write_str("does not connect for others"),
            Self::Reply(8) => f.write_str("does not know this kind of address"),
            Self::Reply(other) => write!(f, "did not connect, for the reason {other}"),
            Self::AddressType(kind) => write!(f, "says an address of no known kind: {kind}"),
            Self::Closed => f.write_str("closed before it had answered"),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the client says to a proxy that says `proxy`, in pieces of `piece_len`, how that ends, and what is left.
    fn talk(mut handshake: Handshake, proxy: &[u8], piece_len: usize) -> (Vec<u8>, io::Result<()>, usize) {
        let (mut said, mut left, mut is_quiet) = (Vec::new(), proxy, false);
        let mut write = |bytes: &[u8]| {
            said.extend_from_slice(&bytes[..1]);
            Ok(1)
        };
        let outcome = loop {
            let read = |into: &mut [u8]| {
                is_quiet = !is_quiet;
                if is_quiet {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let len = into.len().min(left.len()).min(piece_len);
                into[..len].copy_from_slice(&left[..len]);
                left = &left[len..];
                Ok(len)
            };
            match handshake.advance(read, &mut write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => break outcome,
            }
        };
        (said, outcome, left.len())
    }

    fn refusal(proxy: &[u8], credentials: Option<Credentials>) -> Refusal {
        let name = Destination::Name("example.net".to_owned(), 5555);
        let (_, outcome, _) = talk(Handshake::new(name, credentials), proxy, 100);
        *outcome.unwrap_err().get_ref().unwrap().downcast_ref().unwrap()
    }

    #[test]
    fn each_kind_of_destination_is_asked_for() {
        let address = |text: &str| Destination::Address(text.parse().unwrap());
        let cases: [(Destination, &[u8]); 3] = [
            (address("192.0.2.1:258"), &[1, 192, 0, 2, 1, 1, 2]),
            (address("[::1]:258"), &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]),
            (Destination::Name("a.b".to_owned(), 258), &[3, 3, b'a', b'.', b'b', 1, 2]),
        ];
        for (destination, encoded) in cases {
            for piece_len in [1, 2, 100] {
                let proxy = [&[5, 0], &[5, 0, 0][..], encoded, b"\xFFpeer"].concat();
                let handshake = Handshake::new(destination.clone(), None);
                let (said, outcome, left) = talk(handshake, &proxy, piece_len);
                outcome.unwrap();
                assert_eq!(said, [&[5, 1, 0], &[5, 1, 0][..], encoded].concat());
                assert_eq!(left, 5, "what follows is the destination's");
            }
        }
    }

    #[test]
    fn user_and_password_are_told_when_they_are_asked_for() {
        let credentials = Credentials::new("anna", "").unwrap();
        let destination = Destination::Address("192.0.2.1:258".parse().unwrap());
        let (said, outcome, _) =
            talk(Handshake::new(destination, Some(credentials)), &[5, 2, 1, 0, 5, 0, 0, 3, 0, 0, 0], 100);
        outcome.unwrap();
        assert_eq!(said, b"\x05\x01\x02\x01\x04anna\x00\x05\x01\x00\x01\xC0\x00\x02\x01\x01\x02");
    }

    #[test]
    fn each_refusal_has_its_name() {
        let anna = || Some(Credentials::new("anna", "secret").unwrap());
        assert_eq!(refusal(b"HTTP/1.1 400", None), Refusal::Version(b'H'));
        assert_eq!(refusal(&[5, 0xFF], None), Refusal::Methods);
        assert_eq!(refusal(&[5, 2], None), Refusal::Method(2));
        assert_eq!(refusal(&[5, 0], anna()), Refusal::Method(0));
        assert_eq!(refusal(&[5, 2, 5, 0], anna()), Refusal::Version(5));
        assert_eq!(refusal(&[5, 2, 1, 1], anna()), Refusal::Credentials);
        assert_eq!(refusal(&[5, 0, 4, 0], None), Refusal::Version(4));
        // Some close behind the number, without an address.
        assert_eq!(refusal(&[5, 0, 5, 5], None), Refusal::Reply(5));
        assert_eq!(refusal(&[5, 0, 5, 0, 0, 2, 0], None), Refusal::AddressType(2));
        for proxy in [&[][..], &[5], &[5, 0], &[5, 0, 5, 0, 0, 1, 127, 0]] {
            assert_eq!(refusal(proxy, None), Refusal::Closed);
        }
        assert_eq!(io::Error::from(Refusal::Reply(5)).kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn secrets_are_neither_printed_nor_too_long() {
        let credentials = Credentials::new("anna", "secret").unwrap();
        assert_eq!(format!("{credentials:?}"), r#"Credentials { user: "anna", .. }"#);
        assert_ne!(credentials, Credentials::new("anna", "secrets").unwrap());
        assert_eq!(Credentials::new(vec![0; 256], "").unwrap_err(), TooLong);
        assert_eq!(Credentials::new("", vec![0; 256]).unwrap_err(), TooLong);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(proxy: Vec<u8>, with_credentials: bool) {
            let credentials = with_credentials.then(|| Credentials::new("anna", "secret").unwrap());
            let _ = talk(Handshake::new(Destination::Name("a".to_owned(), 1), credentials), &proxy, 3);
        }
    }
}
