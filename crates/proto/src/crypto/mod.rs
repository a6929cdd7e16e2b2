//! What CURVE needs of cryptography: NaCl's boxes, made fast for streams of messages.
//!
//! The curve itself comes from a library. Salsa20 and Poly1305 are written here, because the libraries work on one
//! message at a time: for short messages, which fill two of Salsa20's blocks, nearly all of the time is spent on
//! setting out. Here the blocks of many messages are computed side by side, and what depends on the key and the constant
//! part of the nonce is computed once for a connection.

mod boxes;
mod keys;
mod poly1305;
mod salsa20;

pub use self::keys::{IllegalKey, KeyPair, PublicKey, SecretKey};
pub(crate) use self::{
    boxes::{BoxKey, BoxPlace, Opened, TAG_LEN},
    keys::SharedKey,
};

/// Fills a buffer with bytes that nobody can guess: whoever drives the machine has them from the system.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>(random: Random<'_>) -> [u8; N] {
    let mut bytes = [0; N];
    random(&mut bytes);
    bytes
}
