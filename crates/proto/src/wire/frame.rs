//! A frame's header: flags and length (RFC 37 "Framing", RFC 15, RFC 13).

use super::Version;
use crate::error::Misbehaviour;

/// The longest header: flags and eight bytes of length, in 1.0 the escape, eight bytes of length and the flags.
pub const HEADER_LEN_MAX: usize = 10;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

const V1_LONG_ESCAPE: u8 = 0xFF;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// More frames of the same message follow.
    pub more: bool,
    /// The frame is a command.
    pub command: bool,
    /// The bytes of the body.
    pub body_len: usize,
    /// The bytes of the header itself.
    pub header_len: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if they do not hold all of it yet.
    ///
    /// # Errors
    /// The rule that the header breaks.
    #[inline]
    pub fn decode(version: Version, bytes: &[u8]) -> Result<Option<Self>, Misbehaviour> {
        match version {
            Version::V1_0 => Self::decode_v1(bytes),
            Version::V2_0 => Self::decode_v2(bytes, MORE | LONG),
            Version::V3_0 | Version::V3_1 => Self::decode_v2(bytes, MORE | LONG | COMMAND),
        }
    }

    #[inline]
    fn decode_v2(bytes: &[u8], legal_flags: u8) -> Result<Option<Self>, Misbehaviour> {
        let Some(&flags) = bytes.first() else { return Ok(None) };
        if flags & !legal_flags != 0 {
            return Err(Misbehaviour::ReservedFlag);
        }
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        if more && command {
            return Err(Misbehaviour::CommandWithMore);
        }
        if flags & LONG == 0 {
            let Some(&body_len) = bytes.get(1) else { return Ok(None) };
            return Ok(Some(Self { more, command, body_len: usize::from(body_len), header_len: 2 }));
        }
        let Some(body_len) = decode_u64(bytes, 1)? else { return Ok(None) };
        Ok(Some(Self { more, command, body_len, header_len: 9 }))
    }

    fn decode_v1(bytes: &[u8]) -> Result<Option<Self>, Misbehaviour> {
        let (frame_len, flags_at) = match bytes.first() {
            None => return Ok(None),
            Some(&V1_LONG_ESCAPE) => match decode_u64(bytes, 1)? {
                None => return Ok(None),
                Some(frame_len) => (frame_len, 9),
            },
            Some(&frame_len) => (usize::from(frame_len), 1),
        };
        let body_len = frame_len.checked_sub(1).ok_or(Misbehaviour::ZeroLengthFrame)?;
        let Some(&flags) = bytes.get(flags_at) else { return Ok(None) };
        // RFC 13 reserves the other bits and lets a receiver ignore them; libzmq 2 set some of them.
        Ok(Some(Self { more: flags & MORE != 0, command: false, body_len, header_len: flags_at + 1 }))
    }

    /// Appends the header of a frame of a message.
    #[inline]
    pub fn encode(version: Version, more: bool, body_len: usize, into: &mut Vec<u8>) {
        match version {
            Version::V1_0 => encode_v1(more, body_len, into),
            _ => encode_v2(u8::from(more) * MORE, body_len, into),
        }
    }

    /// Appends the header of a command.
    pub fn encode_command(body_len: usize, into: &mut Vec<u8>) {
        encode_v2(COMMAND, body_len, into);
    }
}

/// The bytes of a header in ZMTP 2.0 and newer.
pub(crate) fn header_len(body_len: usize) -> usize {
    if body_len <= usize::from(u8::MAX) { 2 } else { 9 }
}

#[inline]
fn encode_v2(flags: u8, body_len: usize, into: &mut Vec<u8>) {
    match u8::try_from(body_len) {
        Ok(short) => into.extend_from_slice(&[flags, short]),
        Err(_) => encode_v2_long(flags, body_len, into),
    }
}

#[inline(never)]
fn encode_v2_long(flags: u8, body_len: usize, into: &mut Vec<u8>) {
    let mut header = [flags | LONG; 9];
    header[1..].copy_from_slice(&(body_len as u64).to_be_bytes());
    into.extend_from_slice(&header);
}

#[inline(never)]
fn encode_v1(more: bool, body_len: usize, into: &mut Vec<u8>) {
    let frame_len = body_len as u64 + 1;
    match u8::try_from(frame_len) {
        Ok(short) if short != V1_LONG_ESCAPE => into.push(short),
        _ => {
            into.push(V1_LONG_ESCAPE);
            into.extend_from_slice(&frame_len.to_be_bytes());
        }
    }
    into.push(u8::from(more) * MORE);
}

/// The length at `at`; `None` if it is not there yet.
fn decode_u64(bytes: &[u8], at: usize) -> Result<Option<usize>, Misbehaviour> {
    let Some(field) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { return Ok(None) };
    let len = u64::from_be_bytes(*field);
    if len > i64::MAX as u64 {
        return Err(Misbehaviour::LengthOverflow);
    }
    usize::try_from(len).map(Some).map_err(|_| Misbehaviour::LengthOverflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSIONS: [Version; 4] = [Version::V1_0, Version::V2_0, Version::V3_0, Version::V3_1];

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(version in prop::sample::select(&VERSIONS[..]), more: bool, body_len in 0..1_usize << 40) {
            let mut bytes = Vec::new();
            Header::encode(version, more, body_len, &mut bytes);
            prop_assert!(bytes.len() <= HEADER_LEN_MAX);
            let expected = Header { more, command: false, body_len, header_len: bytes.len() };
            prop_assert_eq!(Header::decode(version, &bytes), Ok(Some(expected)));
            for cut in 0..bytes.len() {
                prop_assert_eq!(Header::decode(version, &bytes[..cut]), Ok(None));
            }
        }

        #[test]
        fn no_bytes_panic(version in prop::sample::select(&VERSIONS[..]), bytes: Vec<u8>) {
            let _ = Header::decode(version, &bytes);
        }
    }

    #[test]
    fn lengths_around_the_escapes_survive() {
        for version in VERSIONS {
            for body_len in [0, 1, 253, 254, 255, 256, 65_536] {
                let mut bytes = Vec::new();
                Header::encode(version, false, body_len, &mut bytes);
                assert_eq!(Header::decode(version, &bytes).unwrap().unwrap().body_len, body_len, "{version}");
            }
        }
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        assert_eq!(Header::decode(Version::V3_1, &[8, 0]), Err(Misbehaviour::ReservedFlag));
        assert_eq!(Header::decode(Version::V2_0, &[4, 0]), Err(Misbehaviour::ReservedFlag));
        assert_eq!(Header::decode(Version::V3_1, &[5, 0]), Err(Misbehaviour::CommandWithMore));
        assert_eq!(Header::decode(Version::V1_0, &[0]), Err(Misbehaviour::ZeroLengthFrame));
        assert_eq!(Header::decode(Version::V3_1, &[2, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(Misbehaviour::LengthOverflow));
    }
}
