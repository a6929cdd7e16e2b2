//! NULL: no security; the client sends READY with its metadata, and the server replies with its own (RFC 37, "The NULL
//! Security Mechanism"). With an authentication domain the peer's address is judged before that (RFC 27, "The NULL
//! Mechanism").

use super::{Credentials, Mechanism, Role};
use crate::{
    error::{Misbehaviour, ProtocolError},
    wire::metadata::Metadata,
};

/// One side of the NULL handshake.
#[derive(Debug)]
pub(super) struct Null {
    role: Role,
    ready: Option<Vec<u8>>,
    peer_metadata: Option<Metadata>,
    judgement: Judgement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    NotWanted,
    Wanted,
    Awaited,
    Passed,
}

impl Null {
    /// A handshake in which this side says `metadata` of itself, and in this domain, if it has a name, wants its peer
    /// judged.
    pub(super) fn new(metadata: &Metadata, role: Role, zap_domain: &[u8]) -> Self {
        let judgement = if zap_domain.is_empty() { Judgement::NotWanted } else { Judgement::Wanted };
        Self { role, ready: Some(metadata.to_bytes()), peer_metadata: None, judgement }
    }
}

impl Mechanism for Null {
    fn name(&self) -> &'static str {
        "NULL"
    }

    fn accepts_none(&self) -> bool {
        self.judgement == Judgement::NotWanted
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        let is_its_turn = self.role == Role::Client || self.peer_metadata.is_some();
        self.ready.take_if(|_| is_its_turn).map(|data| (&b"READY"[..], data))
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        if name != b"READY" || self.peer_metadata.is_some() {
            return Err(Misbehaviour::UnexpectedCommand.into());
        }
        self.peer_metadata = Some(Metadata::decode(data)?);
        Ok(())
    }

    fn poll_credentials(&mut self) -> Option<Credentials> {
        if self.judgement != Judgement::Wanted {
            return None;
        }
        self.judgement = Judgement::Awaited;
        Some(Credentials::Null)
    }

    fn accept(&mut self) {
        self.judgement = Judgement::Passed;
    }

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref()
    }

    fn is_done(&self) -> bool {
        self.ready.is_none() && self.peer_metadata.is_some()
    }
}
