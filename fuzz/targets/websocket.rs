//! A peer over a WebSocket, strange from its first byte or only after the upgrade, in arbitrary pieces, which must not
//! matter to what the machine reads.
#![no_main]

use std::io::{self, IoSlice};

use libfuzzer_sys::fuzz_target;
use nought_fuzz::Decisions;
use nought_proto::{
    wire::greeting::{self, REVISION, SIGNATURE_LEN, V3Rest},
    zws::{Random, Zws},
};

/// One end of a connection, and what has passed.
struct End {
    zws: Zws,
    said: Vec<u8>,
    greeting: Vec<u8>,
    greeted_len: usize,
    received: Vec<u8>,
}

impl End {
    fn new(is_client: bool) -> Self {
        let zws = if is_client { Zws::client("localhost", "/", random()) } else { Zws::server(random()) };
        let mut greeting = Vec::new();
        greeting::encode_signature(0, &mut greeting);
        greeting.push(REVISION);
        V3Rest::new("NULL", false).encode(&mut greeting);
        Self { zws, said: Vec::new(), greeting, greeted_len: 0, received: Vec::new() }
    }

    /// Says its greeting once the machine has heard the first half of the other, as machines do.
    fn greet(&mut self) {
        let sendable = if self.received.len() > SIGNATURE_LEN { &self.greeting[self.greeted_len..] } else { &[] };
        let said = &mut self.said;
        let written = self.zws.write(&[IoSlice::new(sendable)], |bytes| {
            said.extend_from_slice(bytes);
            Ok(bytes.len())
        });
        self.greeted_len += written.unwrap_or(0);
    }

    /// Hears `bytes` in pieces, and says how that ended if it did.
    fn hear(&mut self, bytes: &[u8], piece_len: usize) -> Option<io::ErrorKind> {
        let mut left = bytes;
        loop {
            let (left_len, received_len, greeted_len) = (left.len(), self.received.len(), self.greeted_len);
            let mut into = Vec::with_capacity(piece_len.max(16));
            let said = &mut self.said;
            let read = |raw: &mut Vec<u8>| {
                let len = left.len().min(piece_len).min(raw.capacity() - raw.len());
                if len == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                raw.extend_from_slice(&left[..len]);
                left = &left[len..];
                Ok(len)
            };
            let write = |bytes: &[u8]| {
                said.extend_from_slice(bytes);
                Ok(bytes.len())
            };
            match self.zws.read(&mut into, read, write) {
                Ok(len) => assert_eq!(len, into.len()),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Some(error.kind()),
            }
            self.received.extend_from_slice(&into);
            self.greet();
            let has_moved = left.len() < left_len || self.received.len() > received_len;
            if !has_moved && self.greeted_len == greeted_len {
                return None;
            }
        }
    }
}

fn random() -> Random {
    Box::new(|into| into.iter_mut().zip((0..=u8::MAX).cycle()).for_each(|(byte, number)| *byte = number))
}

/// What a peer of this end says that knows the upgrade.
fn upgrade(is_client: bool) -> Vec<u8> {
    let (mut end, mut peer) = (End::new(is_client), End::new(!is_client));
    for _ in 0..2 {
        end.hear(&std::mem::take(&mut peer.said), 8192);
        peer.hear(&std::mem::take(&mut end.said), 8192);
        if !peer.said.is_empty() {
            return peer.said;
        }
    }
    unreachable!("one of them speaks first")
}

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let (is_client, is_upgraded, piece_len) = (decisions.bit(), decisions.bit(), 1 + usize::from(decisions.byte()));
    let mut bytes = if is_upgraded { upgrade(is_client) } else { Vec::new() };
    bytes.extend_from_slice(decisions.rest());
    let (mut whole, mut in_pieces) = (End::new(is_client), End::new(is_client));
    // A client says its request first: whether that comes before the response must not hang on the pieces.
    whole.hear(&[], 1);
    in_pieces.hear(&[], 1);
    let ends = (whole.hear(&bytes, bytes.len().max(1)), in_pieces.hear(&bytes, piece_len));
    assert_eq!(ends.0, ends.1);
    assert_eq!(whole.received, in_pieces.received);
});
