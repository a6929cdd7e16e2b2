//! CURVE: both sides prove that they have the keys they say they have, and each message travels in a box that only the
//! two can make and open (RFC 25, RFC 26).
//!
//! ```text
//! client: HELLO ──> WELCOME ──> INITIATE ──> READY, then MESSAGE in both directions
//! ```
//!
//! Both make a pair of keys for the one connection: C′ and S′, beside their permanent C and S.

mod cipher;
mod client;
mod server;

pub(crate) use self::{
    cipher::{Cipher, Opener, Sealer, sealed_frame_len},
    client::Client,
    server::Server,
};
use crate::crypto::{BoxKey, SharedKey};

const NAME: &str = "CURVE";

/// The version of CurveZMQ: 1.0.
const VERSION: [u8; 2] = [1, 0];

/// It makes HELLO longer than its answer, so that a server cannot be used to flood others.
const HELLO_PADDING: [u8; 72] = [0; 72];

/// What the box of a HELLO holds.
const HELLO_SIGNATURE: [u8; 64] = [0; 64];

const KEY_LEN: usize = 32;
const LONG_NONCE_LEN: usize = 16;
const SHORT_NONCE_LEN: usize = 8;

/// Nonce, and a box with two keys.
const COOKIE_LEN: usize = LONG_NONCE_LEN + crate::crypto::TAG_LEN + 2 * KEY_LEN;
const VOUCH_LEN: usize = COOKIE_LEN;

/// The nonces of what one side sends: a number that grows with each command (RFC 26, "short nonce").
#[derive(Debug)]
struct ShortNonces {
    next: u64,
}

impl ShortNonces {
    const fn new() -> Self {
        Self { next: 1 }
    }

    /// The next one. 2^64 of them are never used up.
    fn next(&mut self) -> [u8; SHORT_NONCE_LEN] {
        let nonce = self.next.to_be_bytes();
        self.next += 1;
        nonce
    }
}

/// The key for one box with a long nonce, and the nonce's end.
fn long_nonce_key(key: &SharedKey, prefix: &[u8; 8], nonce: &[u8; LONG_NONCE_LEN]) -> (BoxKey, [u8; SHORT_NONCE_LEN]) {
    let [start, end] = halves(nonce);
    let mut nonce_start = [0; 16];
    nonce_start[..8].copy_from_slice(prefix);
    nonce_start[8..].copy_from_slice(&start);
    (BoxKey::new(key, &nonce_start), end)
}

fn halves(nonce: &[u8; LONG_NONCE_LEN]) -> [[u8; 8]; 2] {
    let mut halves = [[0; 8]; 2];
    halves.as_flattened_mut().copy_from_slice(nonce);
    halves
}

/// Appends a long nonce and the box made with it.
fn seal_with_long_nonce(
    key: &SharedKey,
    prefix: &[u8; 8],
    nonce: &[u8; LONG_NONCE_LEN],
    data: &[u8],
    into: &mut Vec<u8>,
) {
    let (mut box_key, end) = long_nonce_key(key, prefix, nonce);
    into.extend_from_slice(nonce);
    box_key.seal(end, data, into);
}

/// Opens a box behind its long nonce.
fn open_with_long_nonce(key: &SharedKey, prefix: &[u8; 8], boxed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (nonce, boxed) = boxed.split_first_chunk()?;
    let (mut box_key, end) = long_nonce_key(key, prefix, nonce);
    box_key.open(end, boxed)
}
