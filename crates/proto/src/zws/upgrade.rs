//! The HTTP upgrade: request and response (RFC 6455, 4), and the subprotocols of ZWS (RFC 45, "Handshake").

use base64::{Engine, prelude::BASE64_STANDARD};
use httparse::{EMPTY_HEADER, Header, Status};
use sha1::{Digest, Sha1};

use super::Violation;
use crate::limits::UPGRADE_LEN_MAX;

/// The subprotocol without a mechanism; with one, its name follows a `/`.
pub(super) const PLAIN_ZWS: &str = "ZWS2.0";

/// The answer to a request that is none.
pub(super) const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// What is hashed behind a request's key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_LEN: usize = 16;
const FIELDS_MAX: usize = 64;

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    key: String,
    subprotocols: Vec<String>,
}

/// A server's response that says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) accept: String,
    pub(super) subprotocol: String,
}

/// The subprotocol of a mechanism.
pub(super) fn subprotocol(mechanism: &str) -> String {
    format!("{PLAIN_ZWS}/{mechanism}")
}

impl Request {
    /// Appends a request for `path` at `host`.
    pub(super) fn encode(host: &str, path: &str, key: &str, subprotocol: &str, into: &mut Vec<u8>) {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {subprotocol}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        into.extend_from_slice(head.as_bytes());
    }

    /// Reads a request at the start of `bytes`, with its length; `None` if they do not hold all of it yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let Some(len) = head_len(request.parse(bytes), bytes)? else { return Ok(None) };
        let fields = Fields(request.headers);
        let is_upgrade = request.method == Some("GET")
            && request.version == Some(1)
            && fields.have("Upgrade", "websocket")
            && fields.have("Connection", "Upgrade")
            && fields.have("Sec-WebSocket-Version", "13");
        let key = fields.first("Sec-WebSocket-Key").filter(|key| is_key(key) && is_upgrade);
        let key = key.ok_or(Violation::NotAnUpgrade)?.to_owned();
        let subprotocols = fields.items("Sec-WebSocket-Protocol").map(str::to_owned).collect();
        Ok(Some((Self { key, subprotocols }, len)))
    }

    /// Whether the client offers a subprotocol.
    pub(super) fn offers(&self, subprotocol: &str) -> bool {
        self.subprotocols.iter().any(|offered| offered == subprotocol)
    }

    /// The first mechanism that the client offers.
    pub(super) fn mechanism(&self) -> Option<&str> {
        self.subprotocols.iter().find_map(|offered| offered.strip_prefix(PLAIN_ZWS)?.strip_prefix('/'))
    }

    /// Appends the response that chooses `subprotocol`.
    pub(super) fn accept(&self, subprotocol: &str, into: &mut Vec<u8>) {
        let accept = accept_of(&self.key);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        );
        into.extend_from_slice(head.as_bytes());
    }
}

impl Response {
    /// Reads a response at the start of `bytes`, with its length; `None` if they do not hold all of it yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let Some(len) = head_len(response.parse(bytes), bytes)? else { return Ok(None) };
        if let Some(status) = response.code.filter(|&status| status != 101) {
            return Err(Violation::Status(status));
        }
        let fields = Fields(response.headers);
        if !fields.have("Upgrade", "websocket") || !fields.have("Connection", "Upgrade") {
            return Err(Violation::NotAccepted);
        }
        let text = |name| fields.first(name).unwrap_or_default().to_owned();
        let response = Self { accept: text("Sec-WebSocket-Accept"), subprotocol: text("Sec-WebSocket-Protocol") };
        Ok(Some((response, len)))
    }
}

/// A key for a request, of random bytes.
pub(super) fn key_of(random: [u8; KEY_LEN]) -> String {
    BASE64_STANDARD.encode(random)
}

/// What proves that a server has read the key.
pub(super) fn accept_of(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn is_key(text: &str) -> bool {
    BASE64_STANDARD.decode(text).is_ok_and(|key| key.len() == KEY_LEN)
}

/// The length of a head that has been parsed, if it is whole.
fn head_len(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, Violation> {
    match parsed {
        Ok(Status::Complete(len)) if len <= UPGRADE_LEN_MAX => Ok(Some(len)),
        Ok(Status::Partial) if bytes.len() < UPGRADE_LEN_MAX => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Violation::UpgradeTooLong),
        Err(_) => Err(Violation::NotHttp),
    }
}

struct Fields<'h>(&'h [Header<'h>]);

impl<'h> Fields<'h> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'h str> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.filter_map(|field| str::from_utf8(field.value).ok()).map(str::trim)
    }

    fn first(&self, name: &str) -> Option<&'h str> {
        self.values(name).next()
    }

    /// What the fields of this name list, separated by commas.
    fn items(&self, name: &str) -> impl Iterator<Item = &'h str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    fn have(&self, name: &str, item: &str) -> bool {
        self.items(name).any(|one| one.eq_ignore_ascii_case(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn request(lines: &str) -> Result<Option<(Request, usize)>, Violation> {
        Request::decode(format!("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n{lines}\r\n").as_bytes())
    }

    /// RFC 6455, 1.3.
    #[test]
    fn a_key_is_accepted_as_in_the_rfc() {
        assert_eq!(accept_of(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn our_request_and_response_are_read_again() {
        let mut bytes = Vec::new();
        Request::encode("localhost:80", "/zeromq", KEY, "ZWS2.0/NULL", &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Request::decode(&bytes[..cut]), Ok(None));
        }
        let (request, len) = Request::decode(&bytes).unwrap().unwrap();
        assert_eq!((len, request.mechanism()), (bytes.len(), Some("NULL")));

        let mut bytes = Vec::new();
        request.accept("ZWS2.0/NULL", &mut bytes);
        let (response, len) = Response::decode(&bytes).unwrap().unwrap();
        assert_eq!((len, response.accept), (bytes.len(), accept_of(KEY)));
        assert_eq!(response.subprotocol, "ZWS2.0/NULL");
    }

    #[test]
    fn fields_are_read_as_browsers_and_proxies_write_them() {
        let lines = format!(
            "connection: keep-alive, Upgrade\r\nUPGRADE: WebSocket\r\nsec-websocket-key: {KEY}\r\n\
             Sec-WebSocket-Protocol: ZWS2.0\r\nSec-WebSocket-Protocol: x ,ZWS2.0/PLAIN\r\nSec-WebSocket-Version: 13\r\n"
        );
        let (request, _) = request(&lines).unwrap().unwrap();
        assert!(request.offers("ZWS2.0") && request.offers("ZWS2.0/PLAIN") && !request.offers("ZWS2.0/NULL"));
        assert_eq!(request.mechanism(), Some("PLAIN"));
    }

    #[test]
    fn what_is_no_upgrade_is_refused() {
        let good = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
        );
        assert!(request(&good).unwrap().is_some());
        for (from, to) in [("Connection", "X"), ("websocket", "h2c"), ("13", "8"), (KEY, "AAAA"), ("Key", "X")] {
            assert_eq!(request(&good.replace(from, to)), Err(Violation::NotAnUpgrade), "{from}");
        }
        assert_eq!(Request::decode(b"POST / HTTP/1.1\r\n\r\n"), Err(Violation::NotAnUpgrade));
        assert_eq!(Request::decode(b"\xFF\0\0\0\0\0\0\0\x01\x7F"), Err(Violation::NotHttp));
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(UPGRADE_LEN_MAX));
        assert_eq!(Request::decode(long.as_bytes()), Err(Violation::UpgradeTooLong));
        assert_eq!(request(&"X: y\r\n".repeat(65)), Err(Violation::UpgradeTooLong));
        assert_eq!(Response::decode(b"HTTP/1.1 404 Not Found\r\n\r\n"), Err(Violation::Status(404)));
        assert_eq!(Response::decode(b"HTTP/1.1 101 \r\n\r\n"), Err(Violation::NotAccepted));
    }
}
