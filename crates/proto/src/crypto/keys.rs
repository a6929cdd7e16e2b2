//! Keys of the curve (Curve25519), and what two of them share.

use std::{fmt, str::FromStr};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Random, random_bytes, salsa20};
use crate::z85;

/// The bytes of a key. As text it has 40 characters.
const KEY_LEN: usize = 32;

/// A key that others may know: of a server, so that its clients talk to no other, or of a client, so that a server knows
/// it. As text it is 40 characters of Z85 (RFC 32).
///
/// ```
/// use nought_proto::PublicKey;
///
/// let key: PublicKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID".parse()?;
/// assert_eq!(key.as_bytes()[..4], [0xBB, 0x88, 0x47, 0x1D]);
/// assert!("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI".parse::<PublicKey>().is_err());
/// # Ok::<(), nought_proto::IllegalKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_LEN]);

/// A key that nobody else may know. It is wiped when dropped, never printed, and compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; KEY_LEN]);

/// A secret key and the public key that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

/// What the holders of two secret keys share, and nobody else.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SharedKey([u8; KEY_LEN]);

/// The text or the bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IllegalKey {
    /// It has another length than 32 bytes, or 40 characters.
    Length,
    /// It has a character that Z85 does not have.
    Character,
}

impl PublicKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl SecretKey {
    /// A new key.
    pub fn generate(random: Random<'_>) -> Self {
        Self(random_bytes(random))
    }

    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, which are not to be shown to anybody.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Its text, to be kept where only its owner can read it; wiped when dropped.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(text(&self.0))
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519_dalek::x25519(self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// What this key's owner shares with the owner of `theirs`; `None` if `theirs` is no proper key, and what would be
    /// shared is known to all.
    pub(crate) fn shared_with(&self, theirs: &PublicKey) -> Option<SharedKey> {
        let product = Zeroizing::new(x25519_dalek::x25519(self.0, theirs.0));
        if bool::from(product.ct_eq(&[0; KEY_LEN])) {
            return None;
        }
        let words = Zeroizing::new(salsa20::words(&product[..]));
        let shared = Zeroizing::new(salsa20::hsalsa20(&words, &[0; 16]));
        let mut bytes = [0; KEY_LEN];
        bytes.as_chunks_mut().0.iter_mut().zip(shared.iter()).for_each(|(to, word)| *to = word.to_le_bytes());
        Some(SharedKey(bytes))
    }
}

impl KeyPair {
    /// A new pair.
    pub fn generate(random: Random<'_>) -> Self {
        SecretKey::generate(random).into()
    }

    /// The part that others may know.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The part that nobody else may know.
    pub const fn secret_key(&self) -> &SecretKey {
        &self.secret
    }
}

impl From<SecretKey> for KeyPair {
    fn from(secret: SecretKey) -> Self {
        Self { public: secret.public_key(), secret }
    }
}

impl SharedKey {
    /// A key that one side has made up for itself.
    pub(crate) const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

fn text(key: &[u8; KEY_LEN]) -> String {
    z85::encode(key).expect("a key's length is a multiple of four")
}

fn bytes_of(text: &str) -> Result<[u8; KEY_LEN], IllegalKey> {
    if text.len() != KEY_LEN / 4 * 5 {
        return Err(IllegalKey::Length);
    }
    let bytes = Zeroizing::new(z85::decode(text).map_err(|_| IllegalKey::Character)?);
    bytes[..].try_into().map_err(|_| IllegalKey::Length)
}

impl FromStr for PublicKey {
    type Err = IllegalKey;

    fn from_str(text: &str) -> Result<Self, IllegalKey> {
        bytes_of(text).map(Self)
    }
}

impl FromStr for SecretKey {
    type Err = IllegalKey;

    fn from_str(text: &str) -> Result<Self, IllegalKey> {
        bytes_of(text).map(Self)
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = IllegalKey;

    fn try_from(bytes: &[u8]) -> Result<Self, IllegalKey> {
        bytes.try_into().map(Self).map_err(|_| IllegalKey::Length)
    }
}

impl TryFrom<&[u8]> for SecretKey {
    type Error = IllegalKey;

    fn try_from(bytes: &[u8]) -> Result<Self, IllegalKey> {
        bytes.try_into().map(Self).map_err(|_| IllegalKey::Length)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&text(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl PartialEq for SecretKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretKey {}

impl fmt::Display for IllegalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a key has 32 bytes, or 40 characters of Z85",
            Self::Character => {
                "a key has no other characters than Z85 has: letters, digits and .-:+=^!/*?&<>()[]{}@%$#"
            }
        })
    }
}

impl std::error::Error for IllegalKey {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair of keys in the examples of zmq_curve's manual page.
    const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

    #[test]
    fn a_secret_key_has_its_public_key() {
        let secret: SecretKey = SECRET.parse().unwrap();
        assert_eq!(secret.public_key().to_string(), PUBLIC);
        assert_eq!(*secret.to_z85(), *SECRET);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(PUBLIC[1..].parse::<PublicKey>(), Err(IllegalKey::Length));
        assert_eq!(format!("{PUBLIC}0").parse::<SecretKey>(), Err(IllegalKey::Length));
        assert_eq!(PUBLIC.replace('@', "~").parse::<PublicKey>(), Err(IllegalKey::Character));
        assert_eq!(SecretKey::try_from(&[0; 31][..]), Err(IllegalKey::Length));
    }

    #[test]
    fn secret_keys_are_not_printed() {
        let pair = KeyPair::from(SECRET.parse::<SecretKey>().unwrap());
        let printed = format!("{pair:?}");
        assert!(printed.contains(PUBLIC) && !printed.contains("D:)Q"), "{printed}");
        assert!(!printed.contains(&format!("{:?}", pair.secret_key().as_bytes())), "{printed}");
    }

    /// Points of small order, with which everybody would share the same.
    #[test]
    fn nothing_is_shared_with_a_key_that_is_none() {
        let secret: SecretKey = SECRET.parse().unwrap();
        for first in [0, 1] {
            let mut point = [0; KEY_LEN];
            point[0] = first;
            assert!(secret.shared_with(&PublicKey::from_bytes(point)).is_none());
        }
    }
}
