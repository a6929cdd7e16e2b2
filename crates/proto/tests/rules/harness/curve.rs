//! CURVE as RFC 26 has it, played by the test with another library's boxes.

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};

use super::wire;

pub(crate) const SERVER_SECRET: [u8; 32] = [11; 32];
pub(crate) const CLIENT_SECRET: [u8; 32] = [22; 32];

pub(crate) fn public(secret: [u8; 32]) -> [u8; 32] {
    *SecretKey::from(secret).public_key().as_bytes()
}

fn shared(secret: [u8; 32], public: [u8; 32]) -> SalsaBox {
    SalsaBox::new(&PublicKey::from(public), &SecretKey::from(secret))
}

fn nonce(prefix: &str, rest: &[u8]) -> [u8; 24] {
    [prefix.as_bytes(), rest].concat().try_into().unwrap()
}

fn seal(key: &SalsaBox, prefix: &str, rest: &[u8], data: &[u8]) -> Vec<u8> {
    key.encrypt(&nonce(prefix, rest).into(), data).unwrap()
}

fn open(key: &SalsaBox, prefix: &str, rest: &[u8], boxed: &[u8]) -> Vec<u8> {
    key.decrypt(&nonce(prefix, rest).into(), boxed).expect("a box made with the right keys")
}

/// A client that the test plays.
pub(crate) struct Client {
    pub(crate) transient: [u8; 32],
    pub(crate) permanent: [u8; 32],
    pub(crate) server: [u8; 32],
    pub(crate) hello_nonce: u64,
    pub(crate) initiate_nonce: u64,
    pub(crate) message_nonce: u64,
    session: Option<SalsaBox>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            transient: [33; 32],
            permanent: CLIENT_SECRET,
            server: public(SERVER_SECRET),
            hello_nonce: 1,
            initiate_nonce: 2,
            message_nonce: 3,
            session: None,
        }
    }

    /// The data of HELLO.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let nonce = self.hello_nonce.to_be_bytes();
        let signature = seal(&shared(self.transient, self.server), "CurveZMQHELLO---", &nonce, &[0; 64]);
        [&[1, 0][..], &[0; 72], &public(self.transient), &nonce, &signature].concat()
    }

    /// The data of INITIATE, that answers a WELCOME's.
    pub(crate) fn initiate(&mut self, welcome: &[u8], metadata: &[u8]) -> Vec<u8> {
        let vouched = [public(self.transient), self.server].concat();
        self.initiate_vouching(welcome, metadata, &vouched)
    }

    /// The same with another vouch than the client should give.
    pub(crate) fn initiate_vouching(&mut self, welcome: &[u8], metadata: &[u8], vouched: &[u8]) -> Vec<u8> {
        let inner = open(&shared(self.transient, self.server), "WELCOME-", &welcome[..16], &welcome[16..]);
        let (server_transient, cookie) = inner.split_at(32);
        let server_transient: [u8; 32] = server_transient.try_into().unwrap();
        let vouch = seal(&shared(self.permanent, server_transient), "VOUCH---", &[44; 16], vouched);
        let inner = [&public(self.permanent)[..], &[44; 16], &vouch, metadata].concat();
        let session = shared(self.transient, server_transient);
        let nonce = self.initiate_nonce.to_be_bytes();
        let initiate = [cookie, &nonce, &seal(&session, "CurveZMQINITIATE", &nonce, &inner)].concat();
        self.session = Some(session);
        initiate
    }

    /// The metadata in READY's data.
    pub(crate) fn ready(&self, ready: &[u8]) -> Vec<u8> {
        open(self.session.as_ref().unwrap(), "CurveZMQREADY---", &ready[..8], &ready[8..])
    }

    /// A frame with a MESSAGE.
    pub(crate) fn message(&mut self, flags: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
        let nonce = self.message_nonce.to_be_bytes();
        self.message_nonce += 1;
        let inner = [&[flags], body.as_ref()].concat();
        let boxed = seal(self.session.as_ref().unwrap(), "CurveZMQMESSAGEC", &nonce, &inner);
        wire::frame(0, [&b"\x07MESSAGE"[..], &nonce, &boxed].concat())
    }

    /// Flags and body of each MESSAGE that a server has sent; their nonces must grow.
    pub(crate) fn open(&self, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut opened = Vec::new();
        let mut last_nonce = 1;
        while !bytes.is_empty() {
            let (flags, body) = wire::take_frame(&mut bytes);
            assert_eq!(flags & !2, 0, "the flags are in the box");
            let boxed = body.strip_prefix(b"\x07MESSAGE").expect("a MESSAGE");
            let nonce = u64::from_be_bytes(boxed[..8].try_into().unwrap());
            assert!(nonce > last_nonce);
            last_nonce = nonce;
            let inner = open(self.session.as_ref().unwrap(), "CurveZMQMESSAGES", &boxed[..8], &boxed[8..]);
            opened.push((inner[0], inner[1..].to_vec()));
        }
        opened
    }
}

/// The data of the WELCOME that answers this HELLO, by a server whose transient key is `transient`.
pub(crate) fn welcome(hello: &[u8], transient: [u8; 32]) -> Vec<u8> {
    let client_transient: [u8; 32] = hello[74..106].try_into().unwrap();
    let key = shared(SERVER_SECRET, client_transient);
    let signature = open(&key, "CurveZMQHELLO---", &hello[106..114], &hello[114..]);
    assert_eq!((&hello[..2], &hello[2..74], &signature[..]), (&[1, 0][..], &[0; 72][..], &[0; 64][..]));
    let inner = [&public(transient)[..], &[55; 96]].concat();
    [&[66; 16][..], &seal(&key, "WELCOME-", &[66; 16], &inner)].concat()
}

/// The client's permanent key and the metadata in INITIATE's data.
pub(crate) fn open_initiate(hello: &[u8], initiate: &[u8], transient: [u8; 32]) -> ([u8; 32], Vec<u8>) {
    let client_transient: [u8; 32] = hello[74..106].try_into().unwrap();
    let (cookie, rest) = initiate.split_at(96);
    assert_eq!(cookie, [55; 96]);
    let inner = open(&shared(transient, client_transient), "CurveZMQINITIATE", &rest[..8], &rest[8..]);
    let client: [u8; 32] = inner[..32].try_into().unwrap();
    let vouched = open(&shared(transient, client), "VOUCH---", &inner[32..48], &inner[48..128]);
    assert_eq!(vouched, [client_transient, public(SERVER_SECRET)].concat());
    (client, inner[128..].to_vec())
}

/// The data of the READY for the client with this HELLO.
pub(crate) fn ready(hello: &[u8], transient: [u8; 32], metadata: &[u8]) -> Vec<u8> {
    let client_transient: [u8; 32] = hello[74..106].try_into().unwrap();
    let nonce = 1_u64.to_be_bytes();
    [&nonce[..], &seal(&shared(transient, client_transient), "CurveZMQREADY---", &nonce, metadata)].concat()
}
