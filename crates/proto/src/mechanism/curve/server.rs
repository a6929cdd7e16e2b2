//! The server's side of the CURVE handshake. Between WELCOME and INITIATE it knows nothing but the key of the cookie.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{
    COOKIE_LEN, Cipher, HELLO_PADDING, HELLO_SIGNATURE, KEY_LEN, LONG_NONCE_LEN, NAME, SHORT_NONCE_LEN, ShortNonces,
    VERSION, VOUCH_LEN, open_with_long_nonce, seal_with_long_nonce,
};
use crate::{
    crypto::{BoxKey, PublicKey, Random, SecretKey, SharedKey, random_bytes},
    error::{Misbehaviour, ProtocolError},
    mechanism::{Credentials, CurveServer, Mechanism},
    wire::metadata::Metadata,
};

/// One handshake of a server.
pub(crate) struct Server {
    keys: CurveServer,
    metadata: Vec<u8>,
    next: Option<(&'static [u8], Vec<u8>)>,
    stage: Stage,
    credentials: Option<Credentials>,
    peer_metadata: Option<Metadata>,
}

/// What chance has to supply for a WELCOME.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Chance {
    transient: SecretKey,
    cookie_key: SharedKey,
    cookie_nonce: [u8; LONG_NONCE_LEN],
    welcome_nonce: [u8; LONG_NONCE_LEN],
}

enum Stage {
    AwaitHello(Box<Chance>),
    /// With the key of the cookie, which is all that is kept.
    AwaitInitiate(SharedKey),
    /// With what C′ and S′ share, and the nonce of INITIATE.
    AwaitVerdict(SharedKey, u64),
    Done(Box<Cipher>),
    Failed,
}

impl Server {
    /// A handshake in which this side says `metadata` of itself.
    pub(crate) fn new(keys: &CurveServer, metadata: &Metadata, random: Random<'_>) -> Self {
        let chance = Chance {
            transient: SecretKey::generate(random),
            cookie_key: SharedKey::from_bytes(random_bytes(random)),
            cookie_nonce: random_bytes(random),
            welcome_nonce: random_bytes(random),
        };
        Self {
            keys: keys.clone(),
            metadata: metadata.to_bytes(),
            next: None,
            stage: Stage::AwaitHello(Box::new(chance)),
            credentials: None,
            peer_metadata: None,
        }
    }

    fn hello(&mut self, chance: &Chance, data: &[u8]) -> Result<Stage, Misbehaviour> {
        let hello = Hello::decode(data).ok_or(Misbehaviour::MechanismCommand("HELLO"))?;
        let shared = self.keys.secret_key().shared_with(&hello.client_transient).ok_or(Misbehaviour::Box)?;
        let signature = BoxKey::new(&shared, b"CurveZMQHELLO---").open(hello.nonce, hello.boxed);
        if signature.is_none_or(|signature| signature[..] != HELLO_SIGNATURE) {
            return Err(Misbehaviour::Box);
        }
        self.next = Some((b"WELCOME", welcome(chance, &shared, &hello.client_transient)));
        Ok(Stage::AwaitInitiate(SharedKey::from_bytes(*chance.cookie_key.as_bytes())))
    }

    fn initiate(&mut self, cookie_key: &SharedKey, data: &[u8]) -> Result<Stage, Misbehaviour> {
        let (cookie, rest) = data.split_at_checked(COOKIE_LEN).ok_or(Misbehaviour::MechanismCommand("INITIATE"))?;
        let (nonce, boxed) =
            rest.split_first_chunk::<SHORT_NONCE_LEN>().ok_or(Misbehaviour::MechanismCommand("INITIATE"))?;
        let (client_transient, transient) = open_cookie(cookie_key, cookie).ok_or(Misbehaviour::Box)?;
        let shared = transient.shared_with(&client_transient).ok_or(Misbehaviour::Box)?;
        let opened = BoxKey::new(&shared, b"CurveZMQINITIATE").open(*nonce, boxed).ok_or(Misbehaviour::Box)?;
        let (client, rest) = opened.split_first_chunk::<KEY_LEN>().ok_or(Misbehaviour::MechanismCommand("INITIATE"))?;
        let (vouch, metadata) = rest.split_at_checked(VOUCH_LEN).ok_or(Misbehaviour::MechanismCommand("INITIATE"))?;
        let client = PublicKey::from_bytes(*client);
        self.check_vouch(vouch, &client, &client_transient, &transient).ok_or(Misbehaviour::Box)?;
        self.peer_metadata = Some(Metadata::decode(metadata)?);
        self.credentials = Some(Credentials::Curve(client));
        Ok(Stage::AwaitVerdict(shared, u64::from_be_bytes(*nonce)))
    }

    /// Whether the owner of the client's permanent key says that the transient one is its own, for this server.
    fn check_vouch(
        &self,
        vouch: &[u8],
        client: &PublicKey,
        client_transient: &PublicKey,
        transient: &SecretKey,
    ) -> Option<()> {
        let vouched = open_with_long_nonce(&transient.shared_with(client)?, b"VOUCH---", vouch)?;
        let (vouched_client, vouched_server) = vouched.split_first_chunk::<KEY_LEN>()?;
        let is_right = vouched_client.ct_eq(client_transient.as_bytes())
            & vouched_server.ct_eq(self.keys.public_key().as_bytes().as_slice());
        bool::from(is_right).then_some(())
    }

    fn ready(&mut self, shared: &SharedKey, last_nonce: u64) -> Stage {
        let mut nonces = ShortNonces::new();
        let nonce = nonces.next();
        let mut ready = nonce.to_vec();
        BoxKey::new(shared, b"CurveZMQREADY---").seal(nonce, &self.metadata, &mut ready);
        self.next = Some((b"READY", ready));
        Stage::Done(Box::new(Cipher::of_server(shared, nonces, last_nonce)))
    }
}

impl Mechanism for Server {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_server(&self) -> bool {
        true
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        self.next.take()
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        self.stage = match (name, std::mem::replace(&mut self.stage, Stage::Failed)) {
            (b"HELLO", Stage::AwaitHello(chance)) => self.hello(&chance, data)?,
            (b"INITIATE", Stage::AwaitInitiate(cookie_key)) => self.initiate(&cookie_key, data)?,
            _ => return Err(Misbehaviour::UnexpectedCommand.into()),
        };
        Ok(())
    }

    fn poll_credentials(&mut self) -> Option<Credentials> {
        self.credentials.take()
    }

    fn accept(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::AwaitVerdict(shared, last_nonce) => self.ready(&shared, last_nonce),
            other => other,
        };
    }

    /// Nobody is to hear of a peer that has not been judged.
    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref().filter(|_| matches!(self.stage, Stage::Done(_)))
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_)) && self.next.is_none()
    }

    fn into_cipher(self: Box<Self>) -> Option<Box<Cipher>> {
        match self.stage {
            Stage::Done(cipher) => Some(cipher),
            _ => None,
        }
    }
}

/// What a HELLO holds.
struct Hello<'a> {
    client_transient: PublicKey,
    nonce: [u8; SHORT_NONCE_LEN],
    boxed: &'a [u8],
}

impl<'a> Hello<'a> {
    fn decode(data: &'a [u8]) -> Option<Self> {
        let (version, rest) = data.split_first_chunk()?;
        let (padding, rest) = rest.split_first_chunk()?;
        let (client_transient, rest) = rest.split_first_chunk()?;
        let (nonce, boxed) = rest.split_first_chunk()?;
        let is_legal = *version == VERSION && *padding == HELLO_PADDING;
        is_legal.then(|| Self { client_transient: PublicKey::from_bytes(*client_transient), nonce: *nonce, boxed })
    }
}

fn welcome(chance: &Chance, shared: &SharedKey, client_transient: &PublicKey) -> Vec<u8> {
    let mut cookie = zeroize::Zeroizing::new([0; 2 * KEY_LEN]);
    cookie[..KEY_LEN].copy_from_slice(client_transient.as_bytes());
    cookie[KEY_LEN..].copy_from_slice(chance.transient.as_bytes());
    let mut inner = chance.transient.public_key().as_bytes().to_vec();
    seal_with_long_nonce(&chance.cookie_key, b"COOKIE--", &chance.cookie_nonce, &cookie[..], &mut inner);
    let mut welcome = Vec::new();
    seal_with_long_nonce(shared, b"WELCOME-", &chance.welcome_nonce, &inner, &mut welcome);
    welcome
}

/// C′ and s′.
fn open_cookie(key: &SharedKey, cookie: &[u8]) -> Option<(PublicKey, SecretKey)> {
    let opened = open_with_long_nonce(key, b"COOKIE--", cookie)?;
    let (client_transient, transient) = opened.split_first_chunk::<KEY_LEN>()?;
    Some((PublicKey::from_bytes(*client_transient), SecretKey::try_from(transient).ok()?))
}
