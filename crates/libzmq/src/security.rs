//! The options of PLAIN, CURVE and ZAP: what was set, and the mechanism that comes of it.

use std::ffi::c_int;

use nought::{Any, CurveClient, CurveServer, PlainClient, PublicKey, SecretKey, Security, SocketBuilder};
use zeroize::Zeroizing;

use crate::{
    errno::{Errno, Result},
    options::{Value, int},
};

const MECHANISM: c_int = 43;
const PLAIN_SERVER: c_int = 44;
const PLAIN_USERNAME: c_int = 45;
const PLAIN_PASSWORD: c_int = 46;
const CURVE_SERVER: c_int = 47;
const CURVE_PUBLICKEY: c_int = 48;
const CURVE_SECRETKEY: c_int = 49;
const CURVE_SERVERKEY: c_int = 50;

const ZAP_DOMAIN: c_int = 55;
const ZAP_ENFORCE_DOMAIN: c_int = 93;

const KEY_LEN: usize = 32;
const ZAP_DOMAIN_LEN_MAX: usize = 255;

/// The number of a mechanism is its place here.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mechanism {
    #[default]
    Null,
    Plain,
    Curve,
}

/// What was set about security.
#[derive(Clone)]
pub(crate) struct SecuritySettings {
    mechanism: Mechanism,
    is_server: bool,
    plain_client: PlainClient,
    public_key: PublicKey,
    secret_key: SecretKey,
    server_key: PublicKey,
    zap_domain: Vec<u8>,
    zap_enforce_domain: bool,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        // Keys that were not set are zeros, as in libzmq: no handshake succeeds with them.
        Self {
            mechanism: Mechanism::Null,
            is_server: false,
            plain_client: PlainClient::default(),
            public_key: PublicKey::from_bytes([0; KEY_LEN]),
            secret_key: SecretKey::from_bytes([0; KEY_LEN]),
            server_key: PublicKey::from_bytes([0; KEY_LEN]),
            zap_domain: Vec::new(),
            zap_enforce_domain: false,
        }
    }
}

impl SecuritySettings {
    /// Whether an option is one of these.
    pub(crate) fn has(option: c_int) -> bool {
        matches!(option, MECHANISM..=CURVE_SERVERKEY | ZAP_DOMAIN | ZAP_ENFORCE_DOMAIN)
    }

    /// No `value` is a null pointer.
    pub(crate) fn set(&mut self, option: c_int, value: Option<&[u8]>) -> Result<()> {
        match (option, value) {
            (PLAIN_SERVER, Some(value)) => self.serve(Mechanism::Plain, int(value)?),
            (CURVE_SERVER, Some(value)) => self.serve(Mechanism::Curve, int(value)?),
            (PLAIN_USERNAME | PLAIN_PASSWORD, None) => {
                self.mechanism = Mechanism::Null;
                Ok(())
            }
            (PLAIN_USERNAME, Some(user @ [_, ..])) => {
                self.be_plain_client(plain_client(user, self.plain_client.password())?);
                Ok(())
            }
            (PLAIN_PASSWORD, Some(password @ [_, ..])) => {
                self.be_plain_client(plain_client(self.plain_client.user(), password)?);
                Ok(())
            }
            (CURVE_PUBLICKEY, Some(key)) => {
                self.public_key = PublicKey::from_bytes(*key_of(key)?);
                self.mechanism = Mechanism::Curve;
                Ok(())
            }
            (CURVE_SECRETKEY, Some(key)) => {
                self.secret_key = SecretKey::from_bytes(*key_of(key)?);
                self.mechanism = Mechanism::Curve;
                Ok(())
            }
            (CURVE_SERVERKEY, Some(key)) => {
                self.server_key = PublicKey::from_bytes(*key_of(key)?);
                self.be_client(Mechanism::Curve);
                Ok(())
            }
            (ZAP_DOMAIN, None) => {
                self.zap_domain.clear();
                Ok(())
            }
            (ZAP_DOMAIN, Some(domain @ [_, ..])) if domain.len() <= ZAP_DOMAIN_LEN_MAX => {
                self.zap_domain = domain.to_owned();
                Ok(())
            }
            (ZAP_ENFORCE_DOMAIN, Some(value)) => {
                self.zap_enforce_domain = switch(int(value)?)?;
                Ok(())
            }
            _ => Err(Errno::INVALID),
        }
    }

    fn serve(&mut self, mechanism: Mechanism, on: c_int) -> Result<()> {
        self.is_server = switch(on)?;
        self.mechanism = if self.is_server { mechanism } else { Mechanism::Null };
        Ok(())
    }

    fn be_client(&mut self, mechanism: Mechanism) {
        self.is_server = false;
        self.mechanism = mechanism;
    }

    fn be_plain_client(&mut self, client: PlainClient) {
        self.plain_client = client;
        self.be_client(Mechanism::Plain);
    }

    pub(crate) fn get(&self, option: c_int) -> Result<Value> {
        let serves = |mechanism| Value::int(c_int::from(self.is_server && self.mechanism == mechanism));
        Ok(match option {
            MECHANISM => Value::int(self.mechanism as c_int),
            PLAIN_SERVER => serves(Mechanism::Plain),
            CURVE_SERVER => serves(Mechanism::Curve),
            PLAIN_USERNAME => Value::text(self.plain_client.user()),
            PLAIN_PASSWORD => Value::text(self.plain_client.password()),
            CURVE_PUBLICKEY => Value::Key(Zeroizing::new(*self.public_key.as_bytes())),
            CURVE_SECRETKEY => Value::Key(Zeroizing::new(*self.secret_key.as_bytes())),
            CURVE_SERVERKEY => Value::Key(Zeroizing::new(*self.server_key.as_bytes())),
            ZAP_DOMAIN => Value::text(&self.zap_domain),
            ZAP_ENFORCE_DOMAIN => Value::int(c_int::from(self.zap_enforce_domain)),
            _ => return Err(Errno::INVALID),
        })
    }

    /// The same in nought's terms.
    pub(crate) fn apply(&self, options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        options.security(self.security()).zap_domain(&self.zap_domain[..]).zap_enforce_domain(self.zap_enforce_domain)
    }

    /// The mechanism in nought's terms.
    fn security(&self) -> Security {
        match (self.mechanism, self.is_server) {
            (Mechanism::Null, _) => Security::Null,
            (Mechanism::Plain, true) => Security::PlainServer,
            (Mechanism::Plain, false) => self.plain_client.clone().into(),
            (Mechanism::Curve, true) => CurveServer::new(self.secret_key.clone()).into(),
            (Mechanism::Curve, false) => CurveClient::new(self.believed_server_key(), self.secret_key.clone()).into(),
        }
    }

    /// The server's key; none at all for a client whose two keys are no pair: as with libzmq, no server lets it in.
    fn believed_server_key(&self) -> PublicKey {
        let is_pair = self.secret_key.public_key() == self.public_key;
        if is_pair { self.server_key } else { PublicKey::from_bytes([0; KEY_LEN]) }
    }
}

fn switch(value: c_int) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::INVALID),
    }
}

fn plain_client(user: &[u8], password: &[u8]) -> Result<PlainClient> {
    PlainClient::new(user, password).map_err(|_| Errno::INVALID)
}

/// A key as 32 bytes, or as 40 characters of Z85, with a zero behind them or without.
fn key_of(value: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>> {
    const TEXT_LEN: usize = KEY_LEN / 4 * 5;
    let text = match value {
        value if value.len() == KEY_LEN => return value.try_into().map(Zeroizing::new).map_err(|_| Errno::INVALID),
        [text @ .., 0] if text.len() == TEXT_LEN => text,
        text if text.len() == TEXT_LEN => text,
        _ => return Err(Errno::INVALID),
    };
    let text = str::from_utf8(text).map_err(|_| Errno::INVALID)?;
    let key = Zeroizing::new(nought::z85::decode(text).map_err(|_| Errno::INVALID)?);
    key[..].try_into().map(Zeroizing::new).map_err(|_| Errno::INVALID)
}
