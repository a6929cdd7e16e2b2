//! Security mechanisms: what happens between the greeting and the first message (RFC 37, "Mechanisms"), and, with CURVE,
//! to each message after it. A file for each, one trait, one table. A new mechanism is a file and a row.

mod curve;
mod null;
mod plain;

use std::fmt;

use zeroize::Zeroizing;

pub(crate) use self::curve::{Cipher, Opener, Sealer, sealed_frame_len};
use crate::{
    crypto::{KeyPair, PublicKey, Random, SecretKey},
    error::ProtocolError,
    options::Options,
    wire::metadata::Metadata,
};

/// The longest user name and the longest password of PLAIN: their lengths have one byte (RFC 24).
const PLAIN_TEXT_LEN_MAX: usize = 255;

/// Which mechanism a socket uses with all its peers, and what that needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// None, but for what an authenticator says of a peer's address.
    #[default]
    Null,
    /// A user name and a password are told, in the clear.
    PlainClient(PlainClient),
    /// Peers tell a user name and a password, and an authenticator says whether they are right.
    PlainServer,
    /// Messages are encrypted, for the server that has the one key.
    CurveClient(CurveClient),
    /// Messages are encrypted; an authenticator may say which clients' keys are right.
    CurveServer(CurveServer),
}

/// Who a client of PLAIN says it is; by default, a nameless one with an empty password. The password is wiped when dropped,
/// never printed, and compared in constant time.
#[derive(Clone, Default)]
pub struct PlainClient {
    user: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
}

/// The user name or the password is longer than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainTooLong;

/// The keys of a client of CURVE: its own, by which the server may know it, and the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurveClient {
    server_key: PublicKey,
    keys: KeyPair,
}

/// The keys of a server of CURVE. Its clients know the public one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurveServer {
    keys: KeyPair,
}

/// What a peer shows of itself, for an authenticator to judge.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing.
    Null,
    /// A user name and a password.
    Plain {
        /// The name.
        user: Vec<u8>,
        /// The password.
        password: Zeroizing<Vec<u8>>,
    },
    /// The peer's permanent key, which it has proved to be its own.
    Curve(PublicKey),
}

impl Security {
    /// The name of the mechanism, as it stands in the greeting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::PlainClient(_) | Self::PlainServer => "PLAIN",
            Self::CurveClient(_) | Self::CurveServer(_) => "CURVE",
        }
    }

    /// Whether a handshake fails where no authenticator is there to be asked: PLAIN proves nothing by itself.
    pub(crate) fn needs_authenticator(&self) -> bool {
        matches!(self, Self::PlainServer)
    }
}

/// The table of mechanisms: one side of a handshake in which it says `metadata` of itself.
pub(crate) fn new(options: &Options, metadata: &Metadata, role: Role, random: Random<'_>) -> Box<dyn Mechanism> {
    match &options.security {
        Security::Null => Box::new(null::Null::new(metadata, role, &options.zap_domain)),
        Security::PlainClient(account) => Box::new(plain::Client::new(account, metadata)),
        Security::PlainServer => Box::new(plain::Server::new(metadata)),
        Security::CurveClient(keys) => Box::new(curve::Client::new(keys, metadata, random)),
        Security::CurveServer(keys) => Box::new(curve::Server::new(keys, metadata, random)),
    }
}

/// Who speaks first in NULL: "the peer that binds shall be the server, and connecting peer shall be the client" (RFC 37).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This side has connected.
    Client,
    /// This side was connected to. It hears who the peer is before it says that it is ready.
    Server,
}

/// One side of a security handshake.
///
/// The connection sends every command that [`next_command`](Self::next_command) gives, and feeds every command that
/// comes in to [`handle_command`](Self::handle_command), until it [`is_done`](Self::is_done). After each command that
/// came in it looks at [`peer_metadata`](Self::peer_metadata), and may refuse the peer by an ERROR in the place of the
/// next command: a side that hears of the peer before it says its last word must not say it before. Where
/// [`poll_credentials`](Self::poll_credentials) gives some, it goes on only after [`accept`](Self::accept).
///
/// A mechanism that also works on each message hands over what that takes by [`into_cipher`](Self::into_cipher). The
/// connection keeps it beside its version. Outgoing frames go through it while they are written, outside of the socket's
/// lock: queues stay in the clear, so that what was not sent can be encrypted anew for the next connection. Incoming
/// frames go through it before they are scanned. A connection without a cipher pays for it with one branch per write and
/// per scan, and none per message.
pub(crate) trait Mechanism: Send {
    /// The name in the greeting.
    fn name(&self) -> &'static str;

    /// Whether this side is the server, for mechanisms that have one.
    fn is_server(&self) -> bool {
        false
    }

    /// Whether a peer of ZMTP 1.0 or 2.0 will do, which has no mechanisms.
    fn accepts_none(&self) -> bool {
        false
    }

    /// The name and data of a command to send now. The data may be secret.
    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)>;

    /// Takes a command of the peer: its name and its data. ERROR is dealt with by the connection.
    ///
    /// # Errors
    /// The rule that the command breaks, or the reason to refuse the peer.
    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError>;

    /// What the peer says of itself, as soon as it has said so.
    fn peer_metadata(&self) -> Option<&Metadata>;

    /// Whether this side has said and heard all it needs to go on to messages; its peer's metadata is there then.
    fn is_done(&self) -> bool;

    /// What the peer shows of itself, to be judged before the handshake goes on. Said once.
    fn poll_credentials(&mut self) -> Option<Credentials> {
        None
    }

    /// The peer's credentials are good.
    fn accept(&mut self) {}

    /// What each message goes through from now on, if anything.
    fn into_cipher(self: Box<Self>) -> Option<Box<Cipher>> {
        None
    }
}

impl PlainClient {
    /// A user name and a password, of at most 255 bytes each: text, or whatever the server takes.
    ///
    /// # Errors
    /// If one is longer.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Result<Self, PlainTooLong> {
        let (user, password) = (user.into(), Zeroizing::new(password.into()));
        if user.len().max(password.len()) > PLAIN_TEXT_LEN_MAX {
            return Err(PlainTooLong);
        }
        Ok(Self { user, password })
    }

    /// The user's name.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.password
    }
}

impl PartialEq for PlainClient {
    /// In constant time, as far as the password goes.
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && subtle::ConstantTimeEq::ct_eq(&self.password[..], &other.password[..]).into()
    }
}

impl Eq for PlainClient {}

impl fmt::Debug for PlainClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainClient({})", self.user.escape_ascii())
    }
}

impl fmt::Display for PlainTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user name and a password of PLAIN have at most 255 bytes each")
    }
}

impl std::error::Error for PlainTooLong {}

impl CurveClient {
    /// A client that talks to the server with this key, and has these keys itself.
    pub fn new(server_key: PublicKey, keys: impl Into<KeyPair>) -> Self {
        Self { server_key, keys: keys.into() }
    }

    /// The server's key.
    pub fn server_key(&self) -> &PublicKey {
        &self.server_key
    }

    /// The client's own keys.
    pub fn keys(&self) -> &KeyPair {
        &self.keys
    }
}

impl CurveServer {
    /// A server with this key: a [`SecretKey`], or both.
    pub fn new(keys: impl Into<KeyPair>) -> Self {
        Self { keys: keys.into() }
    }

    /// The key that clients know.
    pub fn public_key(&self) -> &PublicKey {
        self.keys.public_key()
    }

    /// The key that nobody else knows.
    pub fn secret_key(&self) -> &SecretKey {
        self.keys.secret_key()
    }
}

impl Credentials {
    /// The name of the mechanism by which they were shown.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain { .. } => "PLAIN",
            Self::Curve(_) => "CURVE",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Plain { user, .. } => write!(f, "Plain({})", user.escape_ascii()),
            Self::Curve(key) => write!(f, "Curve({key})"),
        }
    }
}

macro_rules! security_from {
    ($($kind:ident),+) => {$(
        impl From<$kind> for Security {
            fn from(kind: $kind) -> Self {
                Self::$kind(kind)
            }
        }
    )+};
}

security_from!(PlainClient, CurveClient, CurveServer);
