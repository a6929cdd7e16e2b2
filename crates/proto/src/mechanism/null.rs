//! NULL: no security; each side sends READY with its metadata (RFC 37, "The NULL Mechanism").

use super::Mechanism;
use crate::{
    error::{Misbehaviour, ProtocolError},
    wire::metadata::Metadata,
};

/// One side of the NULL handshake.
#[derive(Debug)]
pub struct Null {
    ready: Option<Vec<u8>>,
    peer_metadata: Option<Metadata>,
}

impl Null {
    /// A handshake in which this side says `metadata` of itself.
    pub fn new(metadata: &Metadata) -> Self {
        let mut ready = Vec::new();
        metadata.encode(&mut ready);
        Self { ready: Some(ready), peer_metadata: None }
    }
}

impl Mechanism for Null {
    fn name(&self) -> &'static str {
        "NULL"
    }

    fn is_server(&self) -> bool {
        false
    }

    fn accepts_none(&self) -> bool {
        true
    }

    fn next_command(&mut self) -> Option<(&'static [u8], Vec<u8>)> {
        self.ready.take().map(|data| (&b"READY"[..], data))
    }

    fn handle_command(&mut self, name: &[u8], data: &[u8]) -> Result<(), ProtocolError> {
        if name != b"READY" || self.peer_metadata.is_some() {
            return Err(Misbehaviour::UnexpectedCommand.into());
        }
        self.peer_metadata = Some(Metadata::decode(data)?);
        Ok(())
    }

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref().filter(|_| self.ready.is_none())
    }
}
