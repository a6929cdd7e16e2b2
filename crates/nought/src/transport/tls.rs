//! TLS over a byte channel, without blocking; and what its two sides need: who to be, whom to trust, whom to expect.

use std::{
    fmt,
    io::{self, BufRead, IoSlice, Write},
    ops::Deref,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use nought_proto::{
    connection::PeerCredentials,
    limits::{READ_LEN_MIN, WRITE_LEN},
};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, InvalidMessage, RootCertStore,
    ServerConfig, ServerConnection,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::NoServerSessionStorage,
};

use super::{
    Channel, Listener,
    by_identity::ByIdentity,
    verifier::{Verifier, is_that_of_an_authority},
};

/// What is spoken within TLS, as it is told to the peer (RFC 7301): a server of another protocol takes no such client.
const PROTOCOL: &[u8] = b"http/1.1";

/// Reads of the channel beneath in one of [`TlsChannel`]'s: a peer that sends without pause what carries nothing must not
/// keep this side from everything else.
const FILLS_PER_READ: usize = 4;

/// A server's certificates and the key that goes with them.
///
/// The key is never told again. Two of them are equal if they are clones of each other.
///
/// ```no_run
/// # use nought::transport::TlsIdentity;
/// let chain = std::fs::read("chain.pem")?;
/// let key = std::fs::read("key.pem")?;
/// let identity = TlsIdentity::from_pem(&chain, &key)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TlsIdentity(ByIdentity<Identity>);

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// From PEM (RFC 7468): the server's own certificate and after it those that lead to one that clients trust; and its
    /// private key, as PKCS #8, PKCS #1 or SEC 1. What else stands in the text is passed over.
    ///
    /// # Errors
    /// If one of them cannot be read, or is of a kind that TLS does not use, or they do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates_of(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), key));
        let mut config = config.map_err(|error| TlsError::Unfit(error.to_string()))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Each connection shows anew who its peer is.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(ByIdentity::new(Identity { chain, config: Arc::new(config) })))
    }

    /// The certificates in DER, the server's own first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chain.iter().map(|certificate| &**certificate)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificates", &self.0.chain.len()).finish_non_exhaustive()
    }
}

/// Whose certificates a client takes for good. That a server is not asked for one, or that any will do, cannot be said.
///
/// Two of them are equal if they are clones of each other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TlsTrust(Whose);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Whose {
    System,
    Own(ByIdentity<Trust>),
}

/// The same for all who trust the system alone.
static SYSTEM: Trust = Trust { roots: Vec::new(), with_system: true, config: OnceLock::new() };

struct Trust {
    roots: Vec<CertificateDer<'static>>,
    with_system: bool,
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsTrust {
    /// Those that the system trusts, or the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name: read when a
    /// connection first needs them, and kept by the process.
    #[must_use]
    pub const fn system() -> Self {
        Self(Whose::System)
    }

    /// The certificates of authorities in this text of PEM, and no others. A server that shows one of them itself, byte
    /// for byte, is taken, too, if that has signed itself or is an authority's; where it has no subjectAltName, its common
    /// name is the server's.
    ///
    /// # Errors
    /// If it holds none, or one that cannot be read.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, TlsError> {
        let roots = certificates_of(certificates)?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|error| TlsError::Unfit(error.to_string()))?;
        }
        Ok(Self::new(roots, false))
    }

    /// Nobody: each server is refused.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(Vec::new(), false)
    }

    /// The same, and those that the system trusts.
    #[must_use]
    pub fn and_system(self) -> Self {
        if self.0.with_system { self } else { Self::new(self.0.roots.clone(), true) }
    }

    fn new(roots: Vec<CertificateDer<'static>>, with_system: bool) -> Self {
        Self(Whose::Own(ByIdentity::new(Trust { roots, with_system, config: OnceLock::new() })))
    }

    /// Whether all that it needs has been read.
    pub(super) fn is_loaded(&self) -> bool {
        !self.0.with_system || self.0.config.get().is_some()
    }

    /// Reads what it needs, the first time.
    ///
    /// # Errors
    /// If the system has no certificates where they are looked for.
    pub(super) fn load(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.0.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.0.config()?;
        Ok(Arc::clone(self.0.config.get_or_init(|| Arc::new(config))))
    }
}

impl Deref for Whose {
    type Target = Trust;

    fn deref(&self) -> &Trust {
        match self {
            Self::System => &SYSTEM,
            Self::Own(own) => own,
        }
    }
}

impl Trust {
    fn config(&self) -> io::Result<ClientConfig> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.roots.iter().cloned());
        if self.with_system {
            let system = rustls_native_certs::load_native_certs();
            if system.certs.is_empty() {
                let why = system.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
                return Err(io::Error::other(format!(
                    "the system has no certificates of authorities{why}: install them (Debian's package \
                     ca-certificates), or set wss_trust"
                )));
            }
            // What it cannot read is of no use to others, either.
            store.add_parsable_certificates(system.certs);
        }
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?;
        let builder = if self.roots.is_empty() {
            builder.with_root_certificates(store)
        } else {
            let verifier = Verifier::new(store, self.roots.clone(), provider()).map_err(io::Error::other)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Each connection shows anew who its peer is.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl Default for TlsTrust {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trust { roots, with_system, .. } = &*self.0;
        f.debug_struct("TlsTrust").field("certificates", &roots.len()).field("with_system", with_system).finish()
    }
}

/// A name that a server's certificate may be for: a DNS name or an IP address.
///
/// ```
/// # use nought::transport::TlsName;
/// assert!(TlsName::new("example.net").is_ok() && TlsName::new("192.0.2.1").is_ok());
/// assert!(TlsName::new("not a name").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsName(ServerName<'static>);

impl TlsName {
    /// The name, without a port.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let name = ServerName::try_from(name.to_owned());
        name.map(Self).map_err(|error| TlsError::Unfit(error.to_string()))
    }
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_str())
    }
}

/// What cannot be used for TLS. The caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The text holds no certificate in PEM, or a broken one.
    NoCertificate,
    /// The text holds no private key in PEM, or a broken one.
    NoKey,
    /// It can be read and is of no use; the text says why.
    Unfit(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str(
                "there is no certificate in PEM, or a broken one: write text with -----BEGIN CERTIFICATE-----",
            ),
            Self::NoKey => f.write_str(
                "there is no private key in PEM, or a broken one: write text with -----BEGIN PRIVATE KEY-----, not \
                 encrypted",
            ),
            Self::Unfit(why) => write!(f, "TLS cannot use it: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(TlsError::NoCertificate)
}

/// Where peers arrive that speak TLS.
pub(super) struct TlsListener {
    pub(super) below: Box<dyn Listener>,
    pub(super) identity: TlsIdentity,
}

impl Listener for TlsListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        let below = self.below.accept()?;
        let session = ServerConnection::new(Arc::clone(&self.identity.0.config)).map_err(io::Error::other)?;
        Ok(Arc::new(TlsChannel::new(below, session.into())))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.below.readiness()
    }

    fn endpoint(&self) -> &str {
        self.below.endpoint()
    }
}

/// A channel that is encrypted, over one that need not be. Its handshake is part of reading and writing, so that whoever
/// bounds the time for the first bytes bounds it, too.
pub(super) struct TlsChannel {
    below: Arc<dyn Channel>,
    session: Mutex<Session>,
}

impl TlsChannel {
    /// The side that connects, to who is to have this name.
    pub(super) fn client(below: Arc<dyn Channel>, trust: &TlsTrust, name: TlsName) -> io::Result<Self> {
        let session = ClientConnection::new(trust.load()?, name.0).map_err(io::Error::other)?;
        Ok(Self::new(below, session.into()))
    }

    fn new(below: Arc<dyn Channel>, tls: Connection) -> Self {
        let session = Session {
            tls,
            raw: Vec::new(),
            raw_at: 0,
            taken: 0,
            failure: None,
            holds_more: false,
            has_peer_ended: false,
            has_closed: false,
            has_closed_below: false,
        };
        Self { below, session: Mutex::new(session) }
    }

    /// A panic while it was held came from the channel beneath; the next call finds out what has become of it.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel for TlsChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.session().read(into, &*self.below)
    }

    fn holds_more(&self) -> bool {
        self.session().holds_more
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session().write(from, &*self.below)
    }

    fn flush(&self) -> io::Result<()> {
        self.session().flush(&*self.below)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.below.readiness()
    }

    fn connected(&self) -> io::Result<()> {
        self.below.connected()
    }

    fn close_write(&self) -> io::Result<()> {
        self.session().close(&*self.below)
    }

    fn is_delivered(&self) -> bool {
        !self.session().tls.wants_write() && self.below.is_delivered()
    }

    fn local_endpoint(&self) -> String {
        self.below.local_endpoint()
    }

    fn remote_endpoint(&self) -> String {
        self.below.remote_endpoint()
    }

    fn peer_address(&self) -> Option<String> {
        self.below.peer_address()
    }

    fn peer_credentials(&self) -> Option<PeerCredentials> {
        self.below.peer_credentials()
    }
}

struct Session {
    tls: Connection,
    /// What has come from beneath, from `raw_at` on.
    raw: Vec<u8>,
    raw_at: usize,
    /// Bytes that the last `write` was given and that have not gone out.
    taken: usize,
    /// What went wrong behind what has not been read yet.
    failure: Option<io::Error>,
    holds_more: bool,
    /// The channel beneath has ended.
    has_peer_ended: bool,
    /// This side has said that it ends; and the channel beneath has been told.
    has_closed: bool,
    has_closed_below: bool,
}

/// How far what has come was decrypted.
enum Decrypted {
    /// There is room for no more.
    Full,
    /// More must come from beneath.
    Starved,
    /// The peer has said that it ends.
    Ended,
}

impl Session {
    /// See [`Channel::read`].
    fn read(&mut self, into: &mut Vec<u8>, below: &dyn Channel) -> io::Result<usize> {
        if into.len() == into.capacity() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
        }
        self.holds_more = true;
        let len_before = into.len();
        for _ in 0..FILLS_PER_READ {
            let decrypted = self.decrypt(into);
            // What cannot be said now is left to `flush`; that the channel has ended shows by the next read.
            let _ = self.flush(below);
            let len = into.len() - len_before;
            if len > 0 {
                self.failure = decrypted.err().or(self.failure.take());
                return Ok(len);
            }
            match decrypted? {
                Decrypted::Full | Decrypted::Ended => return Ok(0),
                Decrypted::Starved if self.has_peer_ended => return self.cut_off(),
                Decrypted::Starved => self.fill(below)?,
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn decrypt(&mut self, into: &mut Vec<u8>) -> io::Result<Decrypted> {
        loop {
            match self.tls.reader().fill_buf() {
                Ok([]) => return Ok(Decrypted::Ended),
                Ok(plaintext) => {
                    let len = plaintext.len().min(into.capacity() - into.len());
                    into.extend_from_slice(&plaintext[..len]);
                    self.tls.reader().consume(len);
                    if into.len() == into.capacity() {
                        return Ok(Decrypted::Full);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(failure) = self.failure.take() {
                        return Err(failure);
                    }
                    let mut rest = &self.raw[self.raw_at..];
                    if rest.is_empty() {
                        return Ok(Decrypted::Starved);
                    }
                    self.raw_at += self.tls.read_tls(&mut rest)?;
                    let is_handshaking = self.tls.is_handshaking();
                    // What was sound before it is read first.
                    self.failure = self.tls.process_new_packets().err().map(|error| fault(&error, is_handshaking));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads from beneath, of a stranger no more than a handshake needs.
    fn fill(&mut self, below: &dyn Channel) -> io::Result<()> {
        self.raw.clear();
        self.raw_at = 0;
        self.raw.reserve(if self.tls.is_handshaking() { READ_LEN_MIN } else { WRITE_LEN });
        match below.read(&mut self.raw) {
            Ok(len) => self.has_peer_ended = len == 0,
            Err(error) => {
                // An idle connection keeps no buffer.
                self.raw = Vec::new();
                self.holds_more = false;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The channel beneath has ended, and the peer has not said that it would: the network's doing, or somebody's who sits
    /// between. In a handshake there is nothing yet to be cut off.
    fn cut_off(&self) -> io::Result<usize> {
        if self.tls.is_handshaking() {
            return Ok(0);
        }
        let why = "the connection ended without TLS's close_notify: the peer was killed, or somebody has cut it off";
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
    }

    /// See [`Channel::write`]. What has been taken and has not gone out is kept: the next call brings the same bytes again.
    fn write(&mut self, from: &[IoSlice<'_>], below: &dyn Channel) -> io::Result<usize> {
        if self.has_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.taken == 0 {
            self.flush(below)?;
            self.take(from)?;
        }
        match self.flush(below) {
            // It goes out with the end of the handshake, which comes by a read: nobody would write it again.
            Ok(()) | Err(_) if self.tls.is_handshaking() && self.taken > 0 => {}
            flushed => flushed?,
        }
        match std::mem::take(&mut self.taken) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }

    /// Encrypts, or keeps for the end of the handshake, as much as there is room for.
    fn take(&mut self, from: &[IoSlice<'_>]) -> io::Result<()> {
        for slice in from {
            let len = self.tls.writer().write(slice)?;
            self.taken += len;
            if len < slice.len() {
                break;
            }
        }
        Ok(())
    }

    /// Writes what is encrypted, and after the last of it ends the channel beneath.
    fn flush(&mut self, below: &dyn Channel) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Below(below)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        if self.has_closed && !std::mem::replace(&mut self.has_closed_below, true) {
            below.close_write()?;
        }
        Ok(())
    }

    /// See [`Channel::close_write`].
    fn close(&mut self, below: &dyn Channel) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_closed, true) {
            self.tls.send_close_notify();
        }
        match self.flush(below) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }
}

/// Writes to the channel beneath.
struct Below<'a>(&'a dyn Channel);

impl Write for Below<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write(&[IoSlice::new(from)])
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the peer did wrong, or says that we did, for people.
fn fault(error: &rustls::Error, is_handshaking: bool) -> io::Error {
    use AlertDescription as Alert;
    let text = match error {
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) if is_handshaking => "the peer does not speak TLS: one side is wss://, and the other is not".to_owned(),
        rustls::Error::InvalidCertificate(why) => format!("the peer's certificate is refused: {}", objection(why)),
        rustls::Error::AlertReceived(
            alert @ (Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateExpired | Alert::CertificateUnknown),
        ) => format!("the peer refuses the certificate of this side ({alert:?})"),
        rustls::Error::AlertReceived(alert) => format!("the peer has ended TLS ({alert:?})"),
        other => format!("TLS: {other}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn objection(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "it leads to no authority that wss_trust trusts".to_owned(),
        why if is_that_of_an_authority(why) => {
            "it is an authority's own, and wss_trust does not name it itself".to_owned()
        }
        why => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A channel of a peer that sends without pause, and one byte at a time, a message that never comes to its end.
    #[derive(Default)]
    struct Trickle(AtomicUsize);

    impl Channel for Trickle {
        fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
            // A record of the handshake, and the head of a ClientHello within it.
            const BEGINNING: &[u8] = b"\x16\x03\x01\x40\0\x01\0\x3f\xfc";
            let at = self.0.fetch_add(1, Ordering::Relaxed);
            into.push(BEGINNING.get(at).copied().unwrap_or_default());
            Ok(1)
        }

        fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn readiness(&self) -> BorrowedFd<'_> {
            unreachable!("the test does not wait")
        }

        fn connected(&self) -> io::Result<()> {
            Ok(())
        }

        fn close_write(&self) -> io::Result<()> {
            Ok(())
        }

        fn local_endpoint(&self) -> String {
            String::new()
        }

        fn remote_endpoint(&self) -> String {
            String::new()
        }

        fn peer_address(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_read_of_a_peer_that_sends_without_pause_comes_to_an_end() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        let identity = TlsIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let session = ServerConnection::new(Arc::clone(&identity.0.config)).unwrap();
        let below = Arc::new(Trickle::default());
        let channel = TlsChannel::new(Arc::<Trickle>::clone(&below), session.into());
        for reads in 1..10 {
            let read = channel.read(&mut Vec::with_capacity(100));
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::Interrupted);
            assert_eq!(below.0.load(Ordering::Relaxed), reads * FILLS_PER_READ);
            assert!(channel.holds_more(), "nobody would read on");
        }
    }
}
