//! Connection metadata: names and values that READY and INITIATE carry (RFC 37, "Connection metadata").

use std::fmt;

use crate::{error::Misbehaviour, limits::METADATA_LEN_MAX};

/// The property that carries the peer's socket type.
pub const SOCKET_TYPE: &str = "Socket-Type";
/// The property that carries the peer's routing id.
pub const IDENTITY: &str = "Identity";

/// Properties of a connection. Names are compared without regard to case, as RFC 37 wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(String, Vec<u8>)>);

impl Metadata {
    /// No properties.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a property. Its name must be 1 to 255 bytes long; others are left out by [`encode`](Self::encode).
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first property with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All properties, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether peers will take these properties beside the ones that each connection has.
    ///
    /// # Errors
    /// What they would not take.
    pub fn check(&self) -> Result<(), IllegalMetadata> {
        if !self.iter().all(|(name, _)| name.len() <= usize::from(u8::MAX) && is_name(name.as_bytes())) {
            return Err(IllegalMetadata::Name);
        }
        let len: usize = self.iter().map(|(name, value)| 1 + name.len() + 4 + value.len()).sum();
        if len > METADATA_LEN_MAX { Err(IllegalMetadata::TooLong) } else { Ok(()) }
    }

    /// Appends the properties as they travel.
    pub fn encode(&self, into: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            let (Ok(name_len @ 1..), Ok(value_len)) = (u8::try_from(name.len()), u32::try_from(value.len())) else {
                continue;
            };
            into.push(name_len);
            into.extend_from_slice(name.as_bytes());
            into.extend_from_slice(&value_len.to_be_bytes());
            into.extend_from_slice(value);
        }
    }

    /// The properties as they travel.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    /// Reads properties to the end of `bytes`.
    ///
    /// # Errors
    /// [`Misbehaviour::Metadata`] if a length does not fit, or a name has other characters than RFC 37 allows.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, Misbehaviour> {
        let mut properties = Self::new();
        while !bytes.is_empty() {
            let (name, value, rest) = split_property(bytes).ok_or(Misbehaviour::Metadata)?;
            properties.push(name, value);
            bytes = rest;
        }
        Ok(properties)
    }
}

/// Why peers would refuse a connection with such properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IllegalMetadata {
    /// A name is not 1 to 255 letters, digits, `-`, `_`, `.` and `+` (RFC 37, "name").
    Name,
    /// All of it takes more than [`METADATA_LEN_MAX`] bytes.
    TooLong,
}

impl fmt::Display for IllegalMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a metadata name is not 1 to 255 letters, digits and -_.+",
            Self::TooLong => "the metadata is longer than a handshake carries",
        })
    }
}

impl std::error::Error for IllegalMetadata {}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
}

fn split_property(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&name_len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*value_len)).ok()?)?;
    Some((str::from_utf8(name).ok().filter(|_| is_name(name))?, value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(properties: Vec<(NameText, Vec<u8>)>) {
            let mut metadata = Metadata::new();
            for (name, value) in properties {
                metadata.push(name.0, value);
            }
            let mut bytes = Vec::new();
            metadata.encode(&mut bytes);
            prop_assert_eq!(Metadata::decode(&bytes), Ok(metadata));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Metadata::decode(&bytes);
        }
    }

    #[derive(Debug)]
    struct NameText(String);

    impl Arbitrary for NameText {
        type Parameters = ();
        type Strategy = BoxedStrategy<Self>;

        fn arbitrary_with((): ()) -> Self::Strategy {
            "[A-Za-z0-9._+-]{1,40}".prop_map(NameText).boxed()
        }
    }

    #[test]
    fn names_have_no_case() {
        let metadata = Metadata::decode(b"\x0bsocket-TYPE\0\0\0\x03REQ").unwrap();
        assert_eq!(metadata.get(SOCKET_TYPE), Some(&b"REQ"[..]));
    }

    #[test]
    fn what_is_legal_passes_the_check_and_what_peers_refuse_does_not() {
        let check = |name: &str, value_len: usize| {
            let mut metadata = Metadata::new();
            metadata.push(name, vec![0; value_len]);
            metadata.check()
        };
        assert_eq!(check("X-a_b.c+1", 0), Ok(()));
        assert_eq!(check(&"X".repeat(255), 0), Ok(()));
        for name in ["", "X key", "X-é", "X\0", &"X".repeat(256)] {
            assert_eq!(check(name, 0), Err(IllegalMetadata::Name), "{name:?}");
        }
        assert_eq!(check("X-a", METADATA_LEN_MAX - 8), Ok(()));
        assert_eq!(check("X-a", METADATA_LEN_MAX - 7), Err(IllegalMetadata::TooLong));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for bytes in [&b"\x05abc"[..], b"\x01a\0\0\0\x02x", b"\x01a\0\0", b"\0\0\0\0\0", b"\x01\xFF\0\0\0\0"] {
            assert_eq!(Metadata::decode(bytes), Err(Misbehaviour::Metadata));
        }
    }
}
