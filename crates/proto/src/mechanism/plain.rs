//! PLAIN: the client tells a user name and a password, in the clear (RFC 24).
//!
//! ```text
//! client: HELLO ──> WELCOME ──> INITIATE ──> READY
//! ```

use zeroize::Zeroizing;

use super::{Credentials, Mechanism, PlainClient};
use crate::{
    error::{Misbehaviour, ProtocolError},
    wire::metadata::Metadata,
};

const NAME: &str = "PLAIN";

/// The client's side of the PLAIN handshake.
pub(super) struct Client {
    next: Option<(&'static [u8], Zeroizing<Vec<u8>>)>,
    metadata: Vec<u8>,
    awaits: ClientAwaits,
    peer_metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientAwaits {
    Welcome,
    Ready,
    Nothing,
}

impl Client {
    /// A handshake in which this side says `metadata` of itself.
    pub(super) fn new(account: &PlainClient, metadata: &Metadata) -> Self {
        let texts = [account.user(), account.password()];
        // Memory that it had outgrown would not be wiped.
        let mut hello = Zeroizing::new(Vec::with_capacity(texts.iter().map(|text| 1 + text.len()).sum()));
        for text in texts {
            hello.push(text.len() as u8);
            hello.extend_from_slice(text);
        }
        Self {
            next: Some((b"HELLO", hello)),
            metadata: metadata.to_bytes(),
            awaits: ClientAwaits::Welcome,
            peer_metadata: None,
        }
    }
}

impl Mechanism for Client {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        self.next.take().map(|(name, mut data)| (name, std::mem::take(&mut *data)))
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        match (name, self.awaits) {
            (b"WELCOME", ClientAwaits::Welcome) if data.is_empty() => {
                self.next = Some((b"INITIATE", std::mem::take(&mut self.metadata).into()));
                self.awaits = ClientAwaits::Ready;
            }
            (b"WELCOME", ClientAwaits::Welcome) => return Err(Misbehaviour::MechanismCommand("WELCOME").into()),
            (b"READY", ClientAwaits::Ready) => {
                self.peer_metadata = Some(Metadata::decode(data)?);
                self.awaits = ClientAwaits::Nothing;
            }
            _ => return Err(Misbehaviour::UnexpectedCommand.into()),
        }
        Ok(())
    }

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref()
    }

    fn is_done(&self) -> bool {
        self.awaits == ClientAwaits::Nothing
    }
}

/// The server's side of the PLAIN handshake.
pub(super) struct Server {
    next: Option<(&'static [u8], Vec<u8>)>,
    metadata: Vec<u8>,
    awaits: ServerAwaits,
    credentials: Option<Credentials>,
    peer_metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerAwaits {
    Hello,
    Verdict,
    Initiate,
    Nothing,
}

impl Server {
    /// A handshake in which this side says `metadata` of itself.
    pub(super) fn new(metadata: &Metadata) -> Self {
        Self {
            next: None,
            metadata: metadata.to_bytes(),
            awaits: ServerAwaits::Hello,
            credentials: None,
            peer_metadata: None,
        }
    }
}

impl Mechanism for Server {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_server(&self) -> bool {
        true
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        self.next.take()
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        match (name, self.awaits) {
            (b"HELLO", ServerAwaits::Hello) => {
                self.credentials = Some(decode_hello(data).ok_or(Misbehaviour::MechanismCommand("HELLO"))?);
                self.awaits = ServerAwaits::Verdict;
            }
            (b"INITIATE", ServerAwaits::Initiate) => {
                self.peer_metadata = Some(Metadata::decode(data)?);
                self.next = Some((b"READY", std::mem::take(&mut self.metadata)));
                self.awaits = ServerAwaits::Nothing;
            }
            _ => return Err(Misbehaviour::UnexpectedCommand.into()),
        }
        Ok(())
    }

    fn poll_credentials(&mut self) -> Option<Credentials> {
        self.credentials.take()
    }

    fn accept(&mut self) {
        self.next = Some((b"WELCOME", Vec::new()));
        self.awaits = ServerAwaits::Initiate;
    }

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref()
    }

    fn is_done(&self) -> bool {
        self.awaits == ServerAwaits::Nothing && self.next.is_none()
    }
}

fn decode_hello(data: &[u8]) -> Option<Credentials> {
    let (user, rest) = split_text(data)?;
    let (password, rest) = split_text(rest)?;
    let password = Zeroizing::new(password.to_vec());
    rest.is_empty().then(|| Credentials::Plain { user: user.to_vec(), password })
}

fn split_text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(len))
}
