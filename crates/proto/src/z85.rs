//! Z85: binary data as printable text (RFC 32), four bytes in five characters.

use std::fmt;

const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The value of each character; [`NO_DIGIT`] for those that are none.
const VALUES: [u8; 256] = values();
const NO_DIGIT: u8 = 85;

const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// Why there is no text for these bytes, or no bytes for this text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Z85Error {
    /// The bytes are not a multiple of four, or the characters not of five.
    Length,
    /// There is a character that Z85 does not have, or five that stand for more than four bytes hold.
    Character,
}

impl fmt::Display for Z85Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "Z85 writes a multiple of 4 bytes as a multiple of 5 characters",
            Self::Character => "there is a character in it that Z85 does not have at this place",
        })
    }
}

impl std::error::Error for Z85Error {}

/// The text for these bytes.
///
/// # Errors
/// [`Z85Error::Length`] if they are not a multiple of four.
pub fn encode(bytes: &[u8]) -> Result<String, Z85Error> {
    let (words, []) = bytes.as_chunks::<4>() else { return Err(Z85Error::Length) };
    let digits = |word: &[u8; 4]| {
        let word = u32::from_be_bytes(*word);
        [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1].map(|weight| DIGITS[(word / weight % 85) as usize].into())
    };
    Ok(words.iter().flat_map(|word| -> [char; 5] { digits(word) }).collect())
}

/// The bytes for this text.
///
/// # Errors
/// What is wrong with it.
pub fn decode(text: &str) -> Result<Vec<u8>, Z85Error> {
    let (groups, []) = text.as_bytes().as_chunks::<5>() else { return Err(Z85Error::Length) };
    let mut bytes = Vec::with_capacity(groups.len() * 4);
    for group in groups {
        bytes.extend_from_slice(&decode_group(group).ok_or(Z85Error::Character)?);
    }
    Ok(bytes)
}

fn decode_group(group: &[u8; 5]) -> Option<[u8; 4]> {
    let mut word = 0_u64;
    for &character in group {
        let value = VALUES[usize::from(character)];
        if value == NO_DIGIT {
            return None;
        }
        word = word * 85 + u64::from(value);
    }
    u32::try_from(word).ok().map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_test_case_of_rfc_32() {
        let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        assert_eq!(encode(&bytes).unwrap(), "HelloWorld");
        assert_eq!(decode("HelloWorld").unwrap(), bytes);
    }

    #[test]
    fn what_is_no_z85_is_refused() {
        assert_eq!(encode(b"abc"), Err(Z85Error::Length));
        assert_eq!(decode("HelloWorl"), Err(Z85Error::Length));
        assert_eq!(decode("Hell~"), Err(Z85Error::Character));
        assert_eq!(decode("Hellö"), Err(Z85Error::Length));
        assert_eq!(decode("#####"), Err(Z85Error::Character), "more than 32 bits");
        assert_eq!(decode("%nSc0").unwrap(), [0xFF; 4]);
        assert_eq!(decode("%nSc1"), Err(Z85Error::Character), "one more than 32 bits");
        assert_eq!(decode(""), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(words: Vec<[u8; 4]>) {
            let bytes = words.as_flattened();
            prop_assert_eq!(decode(&encode(bytes).unwrap()).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
