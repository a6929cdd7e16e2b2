//! NULL: no security; the client sends READY with its metadata, and the server replies with its own (RFC 37, "The NULL
//! Security Mechanism").

use super::{Mechanism, Role};
use crate::{
    error::{Misbehaviour, ProtocolError},
    wire::metadata::Metadata,
};

/// One side of the NULL handshake.
#[derive(Debug)]
pub struct Null {
    role: Role,
    ready: Option<Vec<u8>>,
    peer_metadata: Option<Metadata>,
}

impl Null {
    /// A handshake in which this side says `metadata` of itself.
    pub fn new(metadata: &Metadata, role: Role) -> Self {
        let mut ready = Vec::new();
        metadata.encode(&mut ready);
        Self { role, ready: Some(ready), peer_metadata: None }
    }
}

impl Mechanism for Null {
    fn name(&self) -> &'static str {
        "NULL"
    }

    /// RFC 37 has the field zero for both sides.
    fn is_server(&self) -> bool {
        false
    }

    fn accepts_none(&self) -> bool {
        true
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

    fn peer_metadata(&self) -> Option<&Metadata> {
        self.peer_metadata.as_ref()
    }

    fn is_done(&self) -> bool {
        self.ready.is_none() && self.peer_metadata.is_some()
    }
}
