//! Commands: a name and what belongs to it (RFC 37, "Commands").

use super::{Header, Version, frame::HEADER_LEN_MAX};
use crate::{
    error::Misbehaviour,
    limits::{GROUP_LEN_MAX, PING_CONTEXT_LEN_MAX},
};

/// A command after the handshake. Mechanisms read their own commands from the bare body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Messages whose first frame starts with the prefix are wanted.
    Subscribe(&'a [u8]),
    /// They are no longer wanted.
    Cancel(&'a [u8]),
    /// Messages to the group are wanted (RFC 48).
    Join(&'a [u8]),
    /// They are no longer wanted.
    Leave(&'a [u8]),
    /// Wants a PONG with the same context.
    Ping {
        /// How long the peer may hear nothing before it takes the sender for gone, in tenths of a second; 0: no say.
        ttl_deciseconds: u16,
        /// Comes back in the PONG.
        context: &'a [u8],
    },
    /// Answers a PING.
    Pong(&'a [u8]),
    /// The peer gives up; the reason is for people.
    Error(&'a [u8]),
    /// A command this version does not know; it is ignored, as RFC 37 wants.
    Unknown(&'a [u8]),
}

impl<'a> Command<'a> {
    /// Reads the body of a command frame.
    ///
    /// # Errors
    /// The rule that the command breaks.
    pub fn decode(body: &'a [u8]) -> Result<Self, Misbehaviour> {
        let (name, data) = split_name(body)?;
        Ok(match name {
            b"SUBSCRIBE" => Self::Subscribe(data),
            b"CANCEL" => Self::Cancel(data),
            b"JOIN" => Self::Join(check_group(data)?),
            b"LEAVE" => Self::Leave(check_group(data)?),
            b"PING" => decode_ping(data)?,
            b"PONG" => Self::Pong(data),
            b"ERROR" => Self::Error(decode_error_reason(data)?),
            _ => Self::Unknown(name),
        })
    }

    /// Appends the command as a frame.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match *self {
            Self::Subscribe(prefix) => encode_parts(b"SUBSCRIBE", &[prefix], into),
            Self::Cancel(prefix) => encode_parts(b"CANCEL", &[prefix], into),
            Self::Join(group) => encode_parts(b"JOIN", &[group], into),
            Self::Leave(group) => encode_parts(b"LEAVE", &[group], into),
            Self::Ping { ttl_deciseconds, context } => {
                encode_parts(b"PING", &[&ttl_deciseconds.to_be_bytes(), context], into);
            }
            Self::Pong(context) => encode_parts(b"PONG", &[context], into),
            Self::Error(reason) => {
                let reason = &reason[..reason.len().min(usize::from(u8::MAX))];
                encode_parts(b"ERROR", &[&[reason.len() as u8], reason], into);
            }
            Self::Unknown(name) => encode_parts(name, &[], into),
        }
    }
}

/// Whether it can be a group's name: 0 to 255 bytes, none of them zero (RFC 48, "Group").
pub fn is_group(name: &[u8]) -> bool {
    name.len() <= GROUP_LEN_MAX && !name.contains(&0)
}

/// Splits a command's body into its name and its data.
///
/// # Errors
/// [`Misbehaviour::CommandName`] if the name is empty or does not fit.
pub fn split_name(body: &[u8]) -> Result<(&[u8], &[u8]), Misbehaviour> {
    let (&name_len, rest) = body.split_first().ok_or(Misbehaviour::CommandName)?;
    match rest.split_at_checked(usize::from(name_len)) {
        Some((name @ [_, ..], data)) => Ok((name, data)),
        _ => Err(Misbehaviour::CommandName),
    }
}

/// Reads the reason of an ERROR's data.
///
/// # Errors
/// [`Misbehaviour::ErrorReason`] if its length does not fit.
pub fn decode_error_reason(data: &[u8]) -> Result<&[u8], Misbehaviour> {
    match data.split_first() {
        Some((&reason_len, reason)) if usize::from(reason_len) == reason.len() => Ok(reason),
        _ => Err(Misbehaviour::ErrorReason),
    }
}

/// What the frame of a command is longer than its data, at most: a header, the name and its length.
pub const LEN_BESIDE_DATA_MAX: usize = HEADER_LEN_MAX + 1 + 255;

/// Appends a command frame: its name, then its data in pieces.
pub fn encode_parts(name: &[u8], data: &[&[u8]], into: &mut Vec<u8>) {
    let data_len: usize = data.iter().map(|piece| piece.len()).sum();
    Header::encode_command(1 + name.len() + data_len, into);
    into.push(name.len() as u8);
    into.extend_from_slice(name);
    data.iter().for_each(|piece| into.extend_from_slice(piece));
}

/// Appends a subscription or its end in the form that `version` knows: a command, or a message of one byte and the
/// prefix (RFC 37 "SUBSCRIBE", RFC 29 "Subscription forwarding").
pub fn encode_subscription(version: Version, subscribe: bool, prefix: &[u8], into: &mut Vec<u8>) {
    if version.has_subscription_commands() {
        let command = if subscribe { Command::Subscribe(prefix) } else { Command::Cancel(prefix) };
        return command.encode(into);
    }
    Header::encode(version, false, prefix.len() + 1, into);
    into.push(u8::from(subscribe));
    into.extend_from_slice(prefix);
}

fn check_group(name: &[u8]) -> Result<&[u8], Misbehaviour> {
    if is_group(name) { Ok(name) } else { Err(Misbehaviour::Group) }
}

fn decode_ping(data: &[u8]) -> Result<Command<'_>, Misbehaviour> {
    match data.split_first_chunk::<2>() {
        Some((ttl, context)) => {
            // RFC 37 has no longer one; libzmq gives back as much of it.
            let context = &context[..context.len().min(PING_CONTEXT_LEN_MAX)];
            Ok(Command::Ping { ttl_deciseconds: u16::from_be_bytes(*ttl), context })
        }
        None => Err(Misbehaviour::Ping),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(command: Command<'_>) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let header = Header::decode(Version::V3_1, &bytes).unwrap().unwrap();
        assert!(header.command);
        assert_eq!(header.header_len + header.body_len, bytes.len());
        assert_eq!(Command::decode(&bytes[header.header_len..]), Ok(command));
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(prefix: Vec<u8>, ttl: u16, context in prop::collection::vec(any::<u8>(), 0..=16)) {
            round_trip(Command::Subscribe(&prefix));
            round_trip(Command::Cancel(&prefix));
            round_trip(Command::Ping { ttl_deciseconds: ttl, context: &context });
            round_trip(Command::Pong(&context));
            let group: Vec<u8> = prefix.iter().copied().filter(|&byte| byte > 0).take(255).collect();
            round_trip(Command::Join(&group));
            round_trip(Command::Leave(&group));
            round_trip(Command::Error(&prefix[..prefix.len().min(255)]));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Command::decode(&bytes);
        }
    }

    #[test]
    fn of_a_long_context_as_much_is_taken_as_may_be_given_back() {
        let ping = Command::Ping { ttl_deciseconds: 1, context: b"1234567890123456" };
        assert_eq!(Command::decode(b"\x04PING\0\x011234567890123456"), Ok(ping));
        assert_eq!(Command::decode(b"\x04PING\0\x0112345678901234567"), Ok(ping));
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        assert_eq!(Command::decode(b""), Err(Misbehaviour::CommandName));
        assert_eq!(Command::decode(b"\0"), Err(Misbehaviour::CommandName));
        assert_eq!(Command::decode(b"\x09PING"), Err(Misbehaviour::CommandName));
        assert_eq!(Command::decode(b"\x04PING\0"), Err(Misbehaviour::Ping));
        assert_eq!(Command::decode(b"\x05ERROR\x04abc"), Err(Misbehaviour::ErrorReason));
        assert_eq!(Command::decode(&[b"\x04JOIN", &[b'g'; 256][..]].concat()), Err(Misbehaviour::Group));
        assert_eq!(Command::decode(b"\x05LEAVEa\0b"), Err(Misbehaviour::Group));
        assert_eq!(Command::decode(b"\x03NEW"), Ok(Command::Unknown(b"NEW")));
    }
}
