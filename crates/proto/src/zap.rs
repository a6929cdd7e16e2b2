//! The authentication protocol: a server asks whether a peer may come in, a handler replies (RFC 27).

use std::fmt;

use crate::{crypto::PublicKey, frame::Frame, mechanism::Credentials, message::Message, wire::metadata::Metadata};

/// Where the handler is bound, within the process.
pub const ENDPOINT: &str = "inproc://zeromq.zap.01";

const VERSION: &[u8] = b"1.0";

/// The longest string in a request or a reply (RFC 27).
pub const STRING_LEN_MAX: usize = 255;

/// A peer wants to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// What the socket calls the realm in which it wants its peers judged.
    pub domain: Frame,
    /// The peer's network address, without the port; of a peer on ipc nothing.
    pub address: String,
    /// The routing id of the socket that asks, as in libzmq.
    pub identity: Frame,
    /// What the peer shows of itself.
    pub credentials: Credentials,
}

/// What a handler says of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whether the peer may come in.
    pub status: Status,
    /// Why, for people; at most 255 bytes.
    pub text: String,
    /// Who the peer is; empty for one that may not come in. At most 255 bytes, whatever they are.
    pub user_id: Frame,
    /// What else the application is to know of the peer.
    pub metadata: Metadata,
}

/// The status codes of RFC 27.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// 200: the peer may come in.
    Success,
    /// 300: it cannot be said just now. The connection is closed without a word, and the peer will try again.
    TemporaryError,
    /// 400: the peer may not come in, and is told so.
    Failure,
    /// 500: the handler is out of order; the peer is told so.
    InternalError,
}

/// The message is no request: it has too few frames, another version than 1.0, or a mechanism that is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalRequest;

/// The message is no reply to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IllegalReply {
    /// It has not seven frames, the first of them empty.
    Frames,
    /// The version is not 1.0.
    Version,
    /// The request id is another one.
    RequestId,
    /// The status code is none of RFC 27.
    Status,
    /// The user id is longer than 255 bytes.
    UserId,
    /// The metadata is malformed.
    Metadata,
}

/// What a request calls the peer's address: the host of an endpoint as in `tcp://192.0.2.1:49152`, nothing of another.
pub(crate) fn address_of(endpoint: &str) -> &str {
    let Some(address) = endpoint.strip_prefix("tcp://") else { return "" };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Request {
    /// A request about a peer.
    pub fn new(domain: impl Into<Frame>, address: &str, identity: Frame, credentials: Credentials) -> Self {
        Self { domain: domain.into(), address: address.into(), identity, credentials }
    }

    /// Reads a request as a REP receives it; returns its id, too.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(message: &Message) -> Result<(Self, Frame), IllegalRequest> {
        let frames: Vec<&Frame> = message.frames().collect();
        let [version, request_id, domain, address, identity, mechanism, credentials @ ..] = &frames[..] else {
            return Err(IllegalRequest);
        };
        if version.as_slice() != VERSION {
            return Err(IllegalRequest);
        }
        let credentials = match (mechanism.as_slice(), credentials) {
            (b"NULL", []) => Credentials::Null,
            (b"PLAIN", [user, password]) => {
                Credentials::Plain { user: user.to_vec(), password: password.to_vec().into() }
            }
            (b"CURVE", [key]) => Credentials::Curve(PublicKey::try_from(key.as_slice()).map_err(|_| IllegalRequest)?),
            _ => return Err(IllegalRequest),
        };
        let address = String::from_utf8_lossy(address).into_owned();
        let request = Self { domain: (*domain).clone(), address, identity: (*identity).clone(), credentials };
        Ok((request, (*request_id).clone()))
    }

    /// The frames of the request, behind an empty one.
    pub fn to_message(&self, request_id: &[u8]) -> Message {
        let mut message = Message::from([
            &b""[..],
            VERSION,
            request_id,
            &self.domain,
            self.address.as_bytes(),
            &self.identity,
            self.credentials.mechanism().as_bytes(),
        ]);
        match &self.credentials {
            Credentials::Null => {}
            Credentials::Plain { user, password } => {
                message.push_back(&user[..]);
                message.push_back(&password[..]);
            }
            Credentials::Curve(key) => message.push_back(&key.as_bytes()[..]),
        }
        message
    }
}

impl Reply {
    /// The peer may come in, and is called `user_id`.
    pub fn success(user_id: impl Into<Frame>) -> Self {
        Self { user_id: user_id.into(), ..Self::without_user(Status::Success, "OK") }
    }

    /// The peer may not come in.
    pub fn failure(text: impl Into<String>) -> Self {
        Self::without_user(Status::Failure, text)
    }

    /// It cannot be said just now.
    pub fn temporary_error(text: impl Into<String>) -> Self {
        Self::without_user(Status::TemporaryError, text)
    }

    /// The handler is out of order.
    pub fn internal_error(text: impl Into<String>) -> Self {
        Self::without_user(Status::InternalError, text)
    }

    fn without_user(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), user_id: Frame::default(), metadata: Metadata::new() }
    }

    /// The frames of the reply to the request with this id, as a REP sends it.
    pub fn to_message(&self, request_id: &[u8]) -> Message {
        let metadata = self.metadata.to_bytes();
        Message::from([
            VERSION,
            request_id,
            self.status.code().as_bytes(),
            shortened(&self.text),
            &self.user_id[..self.user_id.len().min(STRING_LEN_MAX)],
            &metadata,
        ])
    }

    /// Reads the reply to the request with this id.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn decode(message: &Message, request_id: &[u8]) -> Result<Self, IllegalReply> {
        let frames: Vec<&Frame> = message.frames().collect();
        let [delimiter, version, id, status, text, user_id, metadata] = frames[..] else {
            return Err(IllegalReply::Frames);
        };
        if !delimiter.is_empty() {
            return Err(IllegalReply::Frames);
        }
        if version.as_slice() != VERSION {
            return Err(IllegalReply::Version);
        }
        if id.as_slice() != request_id {
            return Err(IllegalReply::RequestId);
        }
        if user_id.len() > STRING_LEN_MAX {
            return Err(IllegalReply::UserId);
        }
        Ok(Self {
            status: Status::decode(status).ok_or(IllegalReply::Status)?,
            text: String::from_utf8_lossy(text).into_owned(),
            user_id: user_id.clone(),
            metadata: Metadata::decode(metadata).map_err(|_| IllegalReply::Metadata)?,
        })
    }
}

/// At most as long as a string may be, and not cut within a character.
fn shortened(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(STRING_LEN_MAX)]
}

impl Status {
    /// The three digits.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "200",
            Self::TemporaryError => "300",
            Self::Failure => "400",
            Self::InternalError => "500",
        }
    }

    pub(crate) fn decode(code: &[u8]) -> Option<Self> {
        [Self::Success, Self::TemporaryError, Self::Failure, Self::InternalError]
            .into_iter()
            .find(|status| status.code().as_bytes() == code)
    }
}

impl fmt::Display for IllegalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no request of the authentication protocol 1.0 with a known mechanism")
    }
}

impl std::error::Error for IllegalRequest {}

impl fmt::Display for IllegalReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "not seven frames behind each other, the first of them empty",
            Self::Version => "its version is not 1.0",
            Self::RequestId => "its request id is not that of the request",
            Self::Status => "its status is none of 200, 300, 400 and 500",
            Self::UserId => "its user id is longer than 255 bytes",
            Self::Metadata => "its metadata is malformed",
        })
    }
}

impl std::error::Error for IllegalReply {}
