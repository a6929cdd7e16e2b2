//! Connection metadata: names and values that READY and INITIATE carry (RFC 37, "Connection metadata").

use crate::error::Misbehaviour;

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

    /// All properties, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
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

fn split_property(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&name_len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*value_len)).ok()?)?;
    let legal = !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
    Some((str::from_utf8(name).ok().filter(|_| legal)?, value, rest))
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
    fn lengths_that_do_not_fit_are_refused() {
        for bytes in [&b"\x05abc"[..], b"\x01a\0\0\0\x02x", b"\x01a\0\0", b"\0\0\0\0\0", b"\x01\xFF\0\0\0\0"] {
            assert_eq!(Metadata::decode(bytes), Err(Misbehaviour::Metadata));
        }
    }
}
