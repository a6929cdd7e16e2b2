//! A SOCKS proxy's replies, in pieces: nothing panics, and nothing beyond the last reply is read.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use nought_proto::socks::{Credentials, Destination, Handshake};

/// The longest that a proxy may say before the destination does: a name of 255 bytes, after an authentication.
const REPLIES_LEN_MAX: usize = 2 + 2 + 4 + 1 + 255 + 2;

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut left)) = data.split_first() else { return };
    let credentials = (first & 1 == 1).then(|| Credentials::new("user", "password").unwrap());
    let piece_len = usize::from(first >> 1) + 1;
    let mut handshake = Handshake::new(Destination::Name("example.net".to_owned(), 5555), credentials);
    let (mut read_len, mut written_len) = (0, 0);
    let read = |into: &mut [u8]| {
        let len = into.len().min(left.len()).min(piece_len);
        into[..len].copy_from_slice(&left[..len]);
        left = &left[len..];
        read_len += len;
        Ok(len)
    };
    let write = |bytes: &[u8]| {
        written_len += bytes.len();
        Ok(bytes.len())
    };
    let outcome: io::Result<()> = handshake.advance(read, write);
    assert!(read_len <= REPLIES_LEN_MAX);
    assert!(written_len <= 3 + 15 + 18);
    assert!(outcome.is_ok() || outcome.is_err_and(|error| error.get_ref().is_some()));
});
