//! WebSocket's frames: header, opcode, mask (RFC 6455, 5.2 and 5.3).

use super::{Role, Violation};

/// The longest payload of a control frame.
pub(super) const CONTROL_LEN_MAX: usize = 125;

/// Codes of CLOSE (RFC 6455, 7.4.1).
pub(super) const NORMAL_CLOSURE: u16 = 1000;
pub(super) const PROTOCOL_ERROR: u16 = 1002;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_number(number: u8) -> Result<Self, Violation> {
        Ok(match number {
            0 => Self::Continuation,
            1 => return Err(Violation::Text),
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Violation::Reserved),
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) fn is_control(self) -> bool {
        self.number() >= 8
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    /// It is the last frame of its message.
    pub(super) is_final: bool,
    pub(super) payload_len: usize,
    pub(super) mask: Mask,
    pub(super) header_len: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`, which `sender` has sent; `None` if they do not hold all of it yet.
    pub(super) fn decode(sender: Role, bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::Reserved);
        }
        let (opcode, is_final) = (Opcode::from_number(first & 0x0F)?, first & FIN != 0);
        let is_masked = second & MASKED != 0;
        if is_masked != (sender == Role::Client) {
            return Err(Violation::Masking);
        }
        let short_len = second & !MASKED;
        if opcode.is_control() && (!is_final || usize::from(short_len) > CONTROL_LEN_MAX) {
            return Err(Violation::ControlFrame);
        }
        let Some((payload_len, mask_at)) = decode_len(short_len, bytes)? else { return Ok(None) };
        if !is_masked {
            return Ok(Some(Self { opcode, is_final, payload_len, mask: Mask::NONE, header_len: mask_at }));
        }
        let Some(&key) = bytes[mask_at..].first_chunk() else { return Ok(None) };
        Ok(Some(Self { opcode, is_final, payload_len, mask: Mask(key), header_len: mask_at + 4 }))
    }

    /// Appends the header of an unfragmented frame.
    pub(super) fn encode(opcode: Opcode, payload_len: usize, key: Option<Mask>, into: &mut Vec<u8>) {
        let masked = if key.is_some() { MASKED } else { 0 };
        into.push(FIN | opcode.number());
        if payload_len <= CONTROL_LEN_MAX {
            into.push(masked | payload_len as u8);
        } else if let Ok(len) = u16::try_from(payload_len) {
            into.push(masked | LEN_16);
            into.extend_from_slice(&len.to_be_bytes());
        } else {
            into.push(masked | LEN_64);
            into.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
        if let Some(Mask(key)) = key {
            into.extend_from_slice(&key);
        }
    }
}

/// The payload's length, and where it ends in the header.
fn decode_len(short_len: u8, bytes: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let field = &bytes[2..];
    match short_len {
        LEN_16 => Ok(field.first_chunk().map(|&len| (usize::from(u16::from_be_bytes(len)), 4))),
        LEN_64 => {
            let Some(&len) = field.first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(len);
            if len > i64::MAX as u64 {
                return Err(Violation::LengthOverflow);
            }
            usize::try_from(len).map(|len| Some((len, 10))).map_err(|_| Violation::LengthOverflow)
        }
        _ => Ok(Some((usize::from(short_len), 2))),
    }
}

/// The key that a client's payload is masked with, its first byte being the next to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask(pub(super) [u8; 4]);

impl Mask {
    /// Changes nothing.
    pub(super) const NONE: Self = Self([0; 4]);

    /// Masks the next bytes of the payload, or takes the mask off.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        if *self == Self::NONE {
            return;
        }
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = bytes.as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes());
        rest.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        self.0.rotate_left(rest.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(payload_len in 0..1_usize << 40, key: Option<[u8; 4]>) {
            let sender = if key.is_some() { Role::Client } else { Role::Server };
            let mask = key.map(Mask);
            let mut bytes = Vec::new();
            Header::encode(Opcode::Binary, payload_len, mask, &mut bytes);
            let expected = Header {
                opcode: Opcode::Binary,
                is_final: true,
                payload_len,
                mask: mask.unwrap_or(Mask::NONE),
                header_len: bytes.len(),
            };
            prop_assert_eq!(Header::decode(sender, &bytes), Ok(Some(expected)));
            for cut in 0..bytes.len() {
                prop_assert_eq!(Header::decode(sender, &bytes[..cut]), Ok(None));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            for sender in [Role::Client, Role::Server] {
                let _ = Header::decode(sender, &bytes);
            }
        }

        #[test]
        fn a_mask_goes_on_where_it_ended(key: [u8; 4], bytes: Vec<u8>, cuts: Vec<usize>) {
            let expected: Vec<u8> = bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let (mut mask, mut masked) = (Mask(key), bytes);
            let mut rest = &mut masked[..];
            for cut in cuts {
                let (piece, behind) = rest.split_at_mut(cut % (rest.len() + 1));
                mask.apply(piece);
                rest = behind;
            }
            mask.apply(rest);
            prop_assert_eq!(masked, expected);
        }
    }

    #[test]
    fn lengths_around_the_escapes_survive() {
        for payload_len in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = Vec::new();
            Header::encode(Opcode::Binary, payload_len, None, &mut bytes);
            assert_eq!(Header::decode(Role::Server, &bytes).unwrap().unwrap().payload_len, payload_len);
        }
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        let server = |bytes: &[u8]| Header::decode(Role::Server, bytes).unwrap_err();
        assert_eq!(server(&[0xC2, 0]), Violation::Reserved);
        assert_eq!(server(&[0x83, 0]), Violation::Reserved);
        assert_eq!(server(&[0x81, 0]), Violation::Text);
        assert_eq!(server(&[0x82, 0x80]), Violation::Masking);
        assert_eq!(Header::decode(Role::Client, &[0x82, 0]), Err(Violation::Masking));
        assert_eq!(server(&[0x89, 126]), Violation::ControlFrame);
        assert_eq!(server(&[0x09, 0]), Violation::ControlFrame);
        assert_eq!(server(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Violation::LengthOverflow);
    }
}
