//! Rules for who may come in, for those who want to write no authenticator.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nought_proto::{
    Credentials, Frame, PublicKey,
    wire::metadata::Metadata,
    zap::{Reply, Request},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Authenticator, certificate, certificate::Certificate};

/// Who may come in, by address, by password and by key. What no rule allows is refused.
///
/// The address is looked at first: a peer from one that is denied, or, if some are allowed, from another, is refused
/// whatever it shows. Then a peer
/// - with [`Security::Null`](crate::Security::Null) comes in;
/// - with PLAIN comes in if the password is that of the user;
/// - with CURVE comes in if its key is allowed, or is in the directory of certificates.
///
/// ```no_run
/// use nought::{Context, security::AccessRules};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let rules = AccessRules::new()
///     .deny_address("192.0.2.7")
///     .plain_user("admin", "secret")
///     .curve_certificates("/etc/weather/clients")?;
/// let _authentication = context.authenticate(rules)?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "rules do nothing until a context authenticates with them"]
pub struct AccessRules {
    allowed_addresses: HashSet<String>,
    denied_addresses: HashSet<String>,
    users: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    any_key: bool,
    keys: HashMap<PublicKey, Frame>,
    certificates: Vec<Directory>,
}

impl AccessRules {
    /// No rules: nobody but peers with [`Security::Null`](crate::Security::Null) comes in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Peers of this address may come in, and of no others but those that are allowed as well. It is an IPv4 or IPv6
    /// address without a port; peers on ipc have none.
    pub fn allow_address(mut self, address: impl Into<String>) -> Self {
        self.allowed_addresses.insert(address.into());
        self
    }

    /// Peers of this address may not come in.
    pub fn deny_address(mut self, address: impl Into<String>) -> Self {
        self.denied_addresses.insert(address.into());
        self
    }

    /// PLAIN: a user with a password, as text or as bytes. The user's name is the user id of the peer.
    pub fn plain_user(mut self, user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Self {
        self.users.insert(user.into(), Zeroizing::new(password.into()));
        self
    }

    /// CURVE: a key that may come in, and the user id of the peer that has it.
    pub fn curve_key(mut self, key: PublicKey, user_id: impl Into<Frame>) -> Self {
        self.keys.insert(key, user_id.into());
        self
    }

    /// CURVE: the keys of all certificates in this directory may come in. The files are read again when they have
    /// changed, so that a key is let in, or not any more, without a restart; the peers that are in stay. The user id is
    /// the key as text, and what the certificate says of its owner goes with it.
    ///
    /// # Errors
    /// If the directory cannot be read. A file in it that is no certificate is left out, with a warning.
    pub fn curve_certificates(mut self, directory: impl Into<PathBuf>) -> io::Result<Self> {
        let mut directory = Directory::new(directory.into());
        directory.refresh()?;
        self.certificates.push(directory);
        Ok(self)
    }

    /// CURVE: whoever knows the server's key may come in. The user id is the key as text.
    pub fn any_curve_key(mut self) -> Self {
        self.any_key = true;
        self
    }

    fn is_welcome(&self, address: &str) -> bool {
        !self.denied_addresses.contains(address)
            && (self.allowed_addresses.is_empty() || self.allowed_addresses.contains(address))
    }

    fn judge_plain(&self, user: &[u8], password: &[u8]) -> Reply {
        // A user that is not there takes as long as one whose password is another, whatever its length.
        let expected = self.users.get(user);
        let is_right = padded(password)[..].ct_eq(&padded(expected.map_or(&[][..], |expected| &expected[..]))[..]);
        if expected.is_some() && bool::from(is_right) {
            return Reply::success(user);
        }
        Reply::failure("unknown user or wrong password")
    }

    fn judge_curve(&mut self, key: &PublicKey) -> Reply {
        if let Some(user_id) = self.keys.get(key) {
            return Reply::success(user_id);
        }
        for directory in &mut self.certificates {
            if let Err(error) = directory.refresh() {
                tracing::error!(%error, path = %directory.path.display(), "cannot read the certificates");
                return Reply::internal_error("cannot read the certificates");
            }
            if let Some(metadata) = directory.certificates.get(key) {
                return Reply { metadata: metadata.clone(), ..Reply::success(key.to_string()) };
            }
        }
        if self.any_key { Reply::success(key.to_string()) } else { Reply::failure("unknown key") }
    }
}

/// A password with its length, in as many bytes as any other, so that comparing takes as long for each. No peer can say
/// one of more than 255 bytes (RFC 24).
fn padded(password: &[u8]) -> Zeroizing<[u8; 8 + 255]> {
    let mut padded = Zeroizing::new([0; 8 + 255]);
    let len = password.len().min(255);
    padded[..8].copy_from_slice(&(password.len() as u64).to_be_bytes());
    padded[8..8 + len].copy_from_slice(&password[..len]);
    padded
}

impl Authenticator for AccessRules {
    fn judge(&mut self, request: &Request) -> Reply {
        if !self.is_welcome(&request.address) {
            return Reply::failure("address not allowed");
        }
        match &request.credentials {
            Credentials::Null => Reply::success(""),
            Credentials::Plain { user, password } => self.judge_plain(user, password),
            Credentials::Curve(key) => self.judge_curve(key),
            _ => Reply::failure("unknown mechanism"),
        }
    }
}

impl std::fmt::Debug for AccessRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessRules")
            .field("allowed_addresses", &self.allowed_addresses)
            .field("denied_addresses", &self.denied_addresses)
            .field("users", &self.users.len())
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// A directory with certificates, as it was read last.
struct Directory {
    path: PathBuf,
    /// What tells that a file has changed.
    state: Vec<FileState>,
    certificates: HashMap<PublicKey, Metadata>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct FileState {
    path: PathBuf,
    modified: Option<SystemTime>,
    len: u64,
}

impl Directory {
    fn new(path: PathBuf) -> Self {
        Self { path, state: Vec::new(), certificates: HashMap::new() }
    }

    /// Reads the certificates again, if any file has changed.
    fn refresh(&mut self) -> io::Result<()> {
        let state = list(&self.path)?;
        if state != self.state {
            self.certificates = state.iter().filter_map(|file| load(&file.path)).collect();
            self.state = state;
        }
        Ok(())
    }
}

/// The files that may hold certificates of others, with what tells that they have changed.
fn list(directory: &Path) -> io::Result<Vec<FileState>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        // One that has just gone is as if it had never been there.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() && !certificate::is_secret(&path) {
            files.push(FileState { path, modified: metadata.modified().ok(), len: metadata.len() });
        }
    }
    files.sort();
    Ok(files)
}

fn load(path: &Path) -> Option<(PublicKey, Metadata)> {
    let certificate = Certificate::load_file(path)
        .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "left out: no certificate"))
        .ok()?;
    let mut metadata = Metadata::new();
    certificate.metadata().for_each(|(name, value)| metadata.push(name, value));
    if let Err(error) = metadata.check() {
        tracing::warn!(%error, path = %path.display(), "what it says of its owner is left out");
        metadata = Metadata::new();
    }
    Some((*certificate.public_key(), metadata))
}
