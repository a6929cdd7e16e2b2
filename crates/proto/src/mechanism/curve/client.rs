//! The client's side of the CURVE handshake.

use zeroize::Zeroizing;

use super::{
    COOKIE_LEN, Cipher, HELLO_PADDING, HELLO_SIGNATURE, KEY_LEN, LONG_NONCE_LEN, NAME, SHORT_NONCE_LEN, ShortNonces,
    VERSION, open_with_long_nonce, seal_with_long_nonce,
};
use crate::{
    crypto::{BoxKey, PublicKey, Random, SecretKey, SharedKey, random_bytes},
    error::{Misbehaviour, ProtocolError},
    mechanism::{CurveClient, Mechanism},
    wire::metadata::Metadata,
};

/// One handshake of a client.
pub(crate) struct Client {
    keys: CurveClient,
    /// C′, and what it shares with S.
    transient: SecretKey,
    vouch_nonce: [u8; LONG_NONCE_LEN],
    nonces: ShortNonces,
    metadata: Vec<u8>,
    next: Option<(&'static [u8], Vec<u8>)>,
    stage: Stage,
    peer_metadata: Option<Metadata>,
}

enum Stage {
    /// With what C′ and S share.
    AwaitWelcome(SharedKey),
    /// With what C′ and S′ share.
    AwaitReady(SharedKey),
    Done(Box<Cipher>),
    Failed,
}

impl Client {
    /// A handshake in which this side says `metadata` of itself.
    pub(crate) fn new(keys: &CurveClient, metadata: &Metadata, random: Random<'_>) -> Self {
        let mut client = Self {
            keys: keys.clone(),
            transient: SecretKey::generate(random),
            vouch_nonce: random_bytes(random),
            nonces: ShortNonces::new(),
            metadata: metadata.to_bytes(),
            next: None,
            stage: Stage::Failed,
            peer_metadata: None,
        };
        client.say_hello(random);
        client
    }

    /// With a server key that shares nothing with anybody, the box is of a key that nobody knows: the server refuses it, and is
    /// not believed.
    fn say_hello(&mut self, random: Random<'_>) {
        let shared = self.transient.shared_with(self.keys.server_key());
        let shared = shared.unwrap_or_else(|| SharedKey::from_bytes(random_bytes(random)));
        let nonce = self.nonces.next();
        let mut hello = VERSION.to_vec();
        hello.extend_from_slice(&HELLO_PADDING);
        hello.extend_from_slice(self.transient.public_key().as_bytes());
        hello.extend_from_slice(&nonce);
        BoxKey::new(&shared, b"CurveZMQHELLO---").seal(nonce, &HELLO_SIGNATURE, &mut hello);
        self.next = Some((b"HELLO", hello));
        self.stage = Stage::AwaitWelcome(shared);
    }

    fn welcome(&mut self, shared: &SharedKey, data: &[u8]) -> Option<Stage> {
        let opened = open_with_long_nonce(shared, b"WELCOME-", data)?;
        let (server_transient, cookie) = opened.split_first_chunk::<KEY_LEN>()?;
        if cookie.len() != COOKIE_LEN {
            return None;
        }
        let server_transient = PublicKey::from_bytes(*server_transient);
        let shared = self.transient.shared_with(&server_transient)?;
        self.next = Some((b"INITIATE", self.initiate(cookie, &shared, &server_transient)?));
        Some(Stage::AwaitReady(shared))
    }

    fn initiate(&mut self, cookie: &[u8], shared: &SharedKey, server_transient: &PublicKey) -> Option<Vec<u8>> {
        let keys = self.keys.keys();
        let mut vouched = [0; 2 * KEY_LEN];
        vouched[..KEY_LEN].copy_from_slice(self.transient.public_key().as_bytes());
        vouched[KEY_LEN..].copy_from_slice(self.keys.server_key().as_bytes());
        let mut inner = Zeroizing::new(keys.public_key().as_bytes().to_vec());
        let vouch_key = keys.secret_key().shared_with(server_transient)?;
        seal_with_long_nonce(&vouch_key, b"VOUCH---", &self.vouch_nonce, &vouched, &mut inner);
        inner.extend_from_slice(&self.metadata);

        let nonce = self.nonces.next();
        let mut initiate = cookie.to_vec();
        initiate.extend_from_slice(&nonce);
        BoxKey::new(shared, b"CurveZMQINITIATE").seal(nonce, &inner, &mut initiate);
        Some(initiate)
    }

    fn ready(&mut self, shared: &SharedKey, data: &[u8]) -> Result<Stage, Misbehaviour> {
        let (nonce, boxed) =
            data.split_first_chunk::<SHORT_NONCE_LEN>().ok_or(Misbehaviour::MechanismCommand("READY"))?;
        let opened = BoxKey::new(shared, b"CurveZMQREADY---").open(*nonce, boxed);
        self.peer_metadata = Some(Metadata::decode(&opened.ok_or(Misbehaviour::Box)?)?);
        let nonces = std::mem::replace(&mut self.nonces, ShortNonces::new());
        Ok(Stage::Done(Box::new(Cipher::of_client(shared, nonces, u64::from_be_bytes(*nonce)))))
    }
}

impl Mechanism for Client {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        self.next.take()
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        self.stage = match (name, std::mem::replace(&mut self.stage, Stage::Failed)) {
            (b"WELCOME", Stage::AwaitWelcome(shared)) => self.welcome(&shared, data).ok_or(Misbehaviour::Box)?,
            (b"READY", Stage::AwaitReady(shared)) => self.ready(&shared, data)?,
            _ => return Err(Misbehaviour::UnexpectedCommand.into()),
        };
        Ok(())
    }

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref()
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    fn into_cipher(self: Box<Self>) -> Option<Box<Cipher>> {
        match self.stage {
            Stage::Done(cipher) => Some(cipher),
            _ => None,
        }
    }
}
