//! Messages of two frames as datagrams, and back.

use std::net::SocketAddr;

use super::{Header, Version, command::is_group};
use crate::limits::DATAGRAM_LEN_MAX;

/// How a message of two frames is a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RADIO, DISH: the length of the group, the group, the body (RFC 48).
    Group,
    /// DGRAM: the body; the first frame is the peer's address.
    Address,
}

impl Form {
    /// Appends the frames of the message that the datagram is, as of ZMTP 3.1; `false` if it is none.
    pub fn decode(self, datagram: &[u8], from: SocketAddr, frames: &mut Vec<u8>) -> bool {
        if datagram.len() > DATAGRAM_LEN_MAX {
            return false;
        }
        let from = from.to_string();
        let (first, body) = match (self, datagram) {
            (Self::Address, body) => (from.as_bytes(), body),
            (Self::Group, [len, rest @ ..]) => match rest.split_at_checked(usize::from(*len)) {
                Some((group, body)) if is_group(group) => (group, body),
                _ => return false,
            },
            (Self::Group, []) => return false,
        };
        for (more, frame) in [(true, first), (false, body)] {
            Header::encode(Version::V3_1, more, frame.len(), frames);
            frames.extend_from_slice(frame);
        }
        true
    }

    /// The datagram of a message, and whom it is for, where the message says so; `None` if it cannot be one.
    pub fn encode(self, first: &[u8], body: &[u8]) -> Option<(Vec<u8>, Option<SocketAddr>)> {
        let (datagram, to) = match self {
            Self::Group => ([&[u8::try_from(first.len()).ok()?], first, body].concat(), None),
            Self::Address => (body.to_vec(), Some(address(first)?)),
        };
        (datagram.len() <= DATAGRAM_LEN_MAX).then_some((datagram, to))
    }
}

/// The first message of two frames, which are as of ZMTP 3.1: these, and how long they are together.
pub fn next_message(frames: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let (first, first_end) = next_frame(frames)?;
    let (body, body_len) = next_frame(&frames[first_end..])?;
    Some((first, body, first_end + body_len))
}

fn next_frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let header = Header::decode(Version::V3_1, bytes).ok().flatten()?;
    let end = header.header_len + header.body_len;
    Some((bytes.get(header.header_len..end)?, end))
}

/// The address in the first frame of a DGRAM's message, as in `192.0.2.1:5555`. libzmq ends it with a zero byte, which
/// programs send back.
pub fn address(frame: &[u8]) -> Option<SocketAddr> {
    let text = frame.strip_suffix(b"\0").unwrap_or(frame);
    str::from_utf8(text).ok()?.parse().ok()
}
