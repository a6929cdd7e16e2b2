//! Bytes that nobody can guess.

use nought_proto::KeyPair;
use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// A new pair of keys for CURVE, of the system's random numbers.
///
/// ```
/// let keys = nought::new_keys();
/// println!("clients are told {}", keys.public_key());
/// ```
pub fn new_keys() -> KeyPair {
    KeyPair::generate(&mut fill)
}

/// Fills `bytes` with what the system's generator gives.
///
/// # Panics
/// If there is none, which no Linux since 3.17 says: keys must not be made of anything else.
pub(crate) fn fill(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(len) => bytes = &mut bytes[len..],
            Err(Errno::INTR) => {}
            Err(error) => panic!("the system has no random numbers to make keys of: {error}"),
        }
    }
}
