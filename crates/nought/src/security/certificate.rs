//! Certificates of CURVE as files, in the format of CZMQ's `zcert`: text with sections and indented values (ZPL, RFC 4).

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nought_proto::{IllegalKey, KeyPair, PublicKey, SecretKey};
use zeroize::Zeroizing;

/// What the file with the secret key is called longer than the one without.
const SECRET_SUFFIX: &str = "_secret";

/// A certificate is a few lines: what is longer is something else.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// A public key, perhaps its secret key, and what is known of their owner.
///
/// ```
/// use nought::{new_keys, security::Certificate};
///
/// let certificate = Certificate::new(new_keys()).with_metadata("name", "Anna");
/// let read: Certificate = certificate.public_text().parse()?;
/// assert_eq!(read.public_key(), certificate.public_key());
/// assert!(read.secret_key().is_none());
/// # Ok::<(), nought::security::CertificateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    public_key: PublicKey,
    secret_key: Option<SecretKey>,
    metadata: Vec<(String, String)>,
}

/// The file or the text is no certificate.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no `public-key` in a section `curve`.
    NoPublicKey,
    /// A key is none.
    Key(IllegalKey),
    /// The secret key does not belong to the public one.
    NoPair,
}

impl Certificate {
    /// A certificate for these keys.
    pub fn new(keys: KeyPair) -> Self {
        Self { public_key: *keys.public_key(), secret_key: Some(keys.secret_key().clone()), metadata: Vec::new() }
    }

    /// Says something of the owner. In a value there are no line breaks and no quotation marks; they are left out.
    #[must_use]
    pub fn with_metadata(mut self, name: &str, value: &str) -> Self {
        let clean = |text: &str| text.chars().filter(|character| !"\"\r\n".contains(*character)).collect::<String>();
        self.metadata.push((clean(name).replace(['=', ' ', '#'], "-"), clean(value)));
        self
    }

    /// The key that others may know.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The key that nobody else may know, if it is there.
    pub fn secret_key(&self) -> Option<&SecretKey> {
        self.secret_key.as_ref()
    }

    /// Both keys, if the secret one is there.
    pub fn keys(&self) -> Option<KeyPair> {
        self.secret_key.clone().map(KeyPair::from)
    }

    /// What is said of the owner.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads a file: `path` with `_secret` behind it if that is there, with both keys, or else `path`.
    ///
    /// # Errors
    /// If there is none that can be read, or what is in it is no certificate.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CertificateError> {
        let secret = secret_path(path.as_ref());
        Self::load_file(if secret.exists() { &secret } else { path.as_ref() })
    }

    pub(super) fn load_file(path: &Path) -> Result<Self, CertificateError> {
        let failed = |source| CertificateError::File { path: path.to_owned(), source };
        if fs::metadata(path).map_err(failed)?.len() > FILE_LEN_MAX {
            return Err(failed(io::Error::other("too long for a certificate")));
        }
        Zeroizing::new(fs::read_to_string(path).map_err(failed)?).parse()
    }

    /// Writes `path`, which others may have, and, if the secret key is there, `path` with `_secret` behind it, which only
    /// this user can read. No file is overwritten.
    ///
    /// # Errors
    /// If one is there already, or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        let secret = self.secret_text().map(|text| (secret_path(path), text));
        if let Some((secret_path, text)) = &secret {
            write_new(secret_path, 0o600, text)?;
        }
        let written = write_new(path, 0o644, &self.public_text());
        if let (Err(_), Some((secret_path, _))) = (&written, &secret) {
            // Half of a pair would be in the way of the next attempt.
            let _ = fs::remove_file(secret_path);
        }
        written
    }

    /// The text of the file that others may have.
    pub fn public_text(&self) -> String {
        let mut text = String::from("# A certificate for CURVE, with the public key: it may be given to others.\n\n");
        self.write_metadata(&mut text);
        text.push_str(&format!("curve\n    public-key = \"{}\"\n", self.public_key));
        text
    }

    /// The text of the file that nobody else may have, if the secret key is there; wiped when dropped.
    pub fn secret_text(&self) -> Option<Zeroizing<String>> {
        let secret = self.secret_key.as_ref()?.to_z85();
        // Room for all of it, so that no copy is left behind.
        let mut text = Zeroizing::new(String::with_capacity(1024 + self.public_text().len()));
        text.push_str("# A certificate for CURVE, with the SECRET key: nobody else may read it.\n\n");
        self.write_metadata(&mut text);
        text.push_str(&format!("curve\n    public-key = \"{}\"\n", self.public_key));
        ["    secret-key = \"", &secret, "\"\n"].iter().for_each(|part| text.push_str(part));
        Some(text)
    }

    fn write_metadata(&self, text: &mut String) {
        text.push_str("metadata\n");
        self.metadata.iter().for_each(|(name, value)| text.push_str(&format!("    {name} = \"{value}\"\n")));
    }
}

impl std::str::FromStr for Certificate {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        let (mut section, mut metadata) = ("", Vec::new());
        let (mut public_key, mut secret_key) = (None, None::<SecretKey>);
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if !line.starts_with([' ', '\t']) {
                section = trimmed;
                continue;
            }
            let Some((name, value)) = trimmed.split_once('=') else { continue };
            match (section, name.trim(), unquoted(value)) {
                ("curve", "public-key", value) => public_key = Some(value.parse().map_err(CertificateError::Key)?),
                ("curve", "secret-key", value) => secret_key = Some(value.parse().map_err(CertificateError::Key)?),
                ("metadata", name, value) => metadata.push((name.to_owned(), value.to_owned())),
                _ => {}
            }
        }
        let public_key = public_key.ok_or(CertificateError::NoPublicKey)?;
        if secret_key.as_ref().is_some_and(|secret_key| secret_key.public_key() != public_key) {
            return Err(CertificateError::NoPair);
        }
        Ok(Self { public_key, secret_key, metadata })
    }
}

/// A value without its quotation marks, or without the comment behind it.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or(rest);
        }
    }
    value.split(" #").next().unwrap_or(value).trim()
}

pub(super) fn is_secret(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(SECRET_SUFFIX))
}

fn secret_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(SECRET_SUFFIX);
    path.into()
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), CertificateError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::NoPublicKey => f.write_str("no certificate: there is no public-key in a section curve"),
            Self::Key(error) => write!(f, "no certificate: {error}"),
            Self::NoPair => f.write_str("no certificate: its secret key does not belong to its public key"),
        }
    }
}

impl std::error::Error for CertificateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As CZMQ 4.2 writes them.
    const OF_CZMQ: &str = "#   ****  Generated on 2024-01-01 12:00:00 by CZMQ  ****
#   ZeroMQ CURVE **Secret** Certificate
#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.

metadata
    email = \"anna@example.org\"
    name = \"Anna = A\"
curve
    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"
    secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"
";

    #[test]
    fn certificates_of_czmq_are_read() {
        let certificate: Certificate = OF_CZMQ.parse().unwrap();
        assert_eq!(certificate.public_key().to_string(), "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
        assert!(certificate.keys().is_some());
        let metadata: Vec<_> = certificate.metadata().collect();
        assert_eq!(metadata, [("email", "anna@example.org"), ("name", "Anna = A")]);
        let public: Certificate = certificate.public_text().parse().unwrap();
        assert_eq!((public.public_key(), public.secret_key()), (certificate.public_key(), None));
        assert_eq!(certificate.secret_text().unwrap().parse::<Certificate>().unwrap(), certificate);
        assert!(!certificate.public_text().contains("D:)Q"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let parse = |text: &str| text.parse::<Certificate>();
        assert!(matches!(parse("curve\n"), Err(CertificateError::NoPublicKey)));
        assert!(matches!(parse(&OF_CZMQ.replace("\ncurve", "\nother")), Err(CertificateError::NoPublicKey)));
        assert!(matches!(parse(&OF_CZMQ.replace("hID", "hI")), Err(CertificateError::Key(IllegalKey::Length))));
        assert!(matches!(parse(&OF_CZMQ.replace("hID", "hIE")), Err(CertificateError::NoPair)));
    }
}
