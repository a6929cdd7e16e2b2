//! The greeting: signature, revision, mechanism, role (RFC 37 "Greeting", RFC 15, RFC 13).
//!
//! A peer shows its version byte by byte, so that a newer one never sends an older one what it would take for
//! something else: 10 bytes of signature, then the revision, then the rest.

use crate::error::Misbehaviour;

/// The signature's length.
pub const SIGNATURE_LEN: usize = 10;
/// The revision that this implementation speaks: 3, with minor 1.
pub const REVISION: u8 = 3;
/// The minor version that goes with it.
pub const MINOR: u8 = 1;
/// What follows the revision byte in ZMTP 3: minor, mechanism, role, filler.
pub const V3_REST_LEN: usize = 1 + MECHANISM_LEN + 1 + 31;

const MECHANISM_LEN: usize = 20;

/// Appends the signature. A peer of version 1.0 reads it as the header of a frame with our routing id.
pub fn encode_signature(routing_id_len: usize, into: &mut Vec<u8>) {
    into.push(0xFF);
    into.extend_from_slice(&(routing_id_len as u64 + 1).to_be_bytes());
    into.push(0x7F);
}

/// What the first bytes of a peer tell about its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// More bytes are needed.
    Incomplete,
    /// ZMTP 1.0: what came is the frame with the peer's routing id.
    Unversioned,
    /// ZMTP 2.0 or newer: the revision follows the signature.
    Versioned,
}

impl Signature {
    /// Reads the signature at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Incomplete,
            [first, ..] if *first != 0xFF => Self::Unversioned,
            _ => match bytes.get(SIGNATURE_LEN - 1) {
                None => Self::Incomplete,
                Some(last) if last & 1 == 0 => Self::Unversioned,
                Some(_) => Self::Versioned,
            },
        }
    }
}

/// What follows the revision in a greeting of ZMTP 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V3Rest {
    /// The minor version.
    pub minor: u8,
    mechanism: [u8; MECHANISM_LEN],
    /// Whether the peer takes the server's role of the mechanism.
    pub as_server: bool,
}

impl V3Rest {
    /// What this implementation sends. `mechanism` is at most 20 bytes long.
    pub fn new(mechanism: &str, as_server: bool) -> Self {
        let mut name = [0; MECHANISM_LEN];
        name.iter_mut().zip(mechanism.bytes()).for_each(|(to, from)| *to = from);
        Self { minor: MINOR, mechanism: name, as_server }
    }

    /// The mechanism's name.
    pub fn mechanism(&self) -> &str {
        let len = self.mechanism.iter().position(|&byte| byte == 0).unwrap_or(MECHANISM_LEN);
        str::from_utf8(&self.mechanism[..len]).unwrap_or_default()
    }

    /// Appends it as it travels.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.minor);
        into.extend_from_slice(&self.mechanism);
        into.push(u8::from(self.as_server));
        into.extend_from_slice(&[0; 31]);
    }

    /// Reads it. The filler, and unknown bits of the role, are ignored.
    ///
    /// # Errors
    /// [`Misbehaviour::MechanismName`] if the mechanism's name has characters it must not have.
    pub fn decode(bytes: &[u8; V3_REST_LEN]) -> Result<Self, Misbehaviour> {
        let mut mechanism = [0; MECHANISM_LEN];
        mechanism.copy_from_slice(&bytes[1..=MECHANISM_LEN]);
        if !is_mechanism_name(&mechanism) {
            return Err(Misbehaviour::MechanismName);
        }
        Ok(Self { minor: bytes[0], mechanism, as_server: bytes[MECHANISM_LEN + 1] & 1 != 0 })
    }
}

fn is_mechanism_name(bytes: &[u8; MECHANISM_LEN]) -> bool {
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(MECHANISM_LEN);
    let (name, padding) = bytes.split_at(len);
    let legal = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_.+".contains(byte);
    !name.is_empty() && name.iter().all(legal) && padding.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(
            routing_id_len in 0..=255_usize,
            mechanism in "[A-Z0-9_.+-]{1,20}",
            as_server: bool,
        ) {
            let mut signature = Vec::new();
            encode_signature(routing_id_len, &mut signature);
            prop_assert_eq!(signature.len(), SIGNATURE_LEN);
            prop_assert_eq!(Signature::decode(&signature), Signature::Versioned);
            let rest = V3Rest::new(&mechanism, as_server);
            let mut bytes = Vec::new();
            rest.encode(&mut bytes);
            let decoded = V3Rest::decode(bytes.as_slice().try_into().unwrap()).unwrap();
            prop_assert_eq!(decoded, rest);
            prop_assert_eq!((decoded.minor, decoded.mechanism(), decoded.as_server), (MINOR, &mechanism[..], as_server));
        }

        #[test]
        fn no_bytes_panic(bytes: [u8; V3_REST_LEN], len in 0..=V3_REST_LEN) {
            let _ = V3Rest::decode(&bytes);
            let _ = Signature::decode(&bytes[..len]);
        }
    }

    #[test]
    fn the_signature_is_told_from_an_old_frame() {
        let mut ours = Vec::new();
        encode_signature(0, &mut ours);
        assert_eq!(ours, b"\xFF\0\0\0\0\0\0\0\x01\x7F");
        assert_eq!(Signature::decode(&ours), Signature::Versioned);
        assert_eq!(Signature::decode(&ours[..9]), Signature::Incomplete);
        assert_eq!(Signature::decode(b""), Signature::Incomplete);
        assert_eq!(Signature::decode(b"\x01"), Signature::Unversioned);
        assert_eq!(Signature::decode(b"\xFF\0\0\0\0\0\0\x01\0\0"), Signature::Unversioned);
    }

    #[test]
    fn the_rest_survives() {
        let rest = V3Rest::new("CURVE", true);
        let mut bytes = Vec::new();
        rest.encode(&mut bytes);
        let bytes: [u8; V3_REST_LEN] = bytes.try_into().unwrap();
        assert_eq!(V3Rest::decode(&bytes), Ok(rest));
        assert_eq!(rest.mechanism(), "CURVE");
    }

    #[test]
    fn malformed_mechanism_names_are_refused() {
        for name in [&b"null"[..], b"", b"NU\0LL", b"NULL\xFF"] {
            let mut bytes = [0; V3_REST_LEN];
            bytes[1..=name.len()].copy_from_slice(name);
            assert_eq!(V3Rest::decode(&bytes), Err(Misbehaviour::MechanismName));
        }
    }
}
