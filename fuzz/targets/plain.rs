//! A stranger's handshake at a server of PLAIN: nothing panics, and the pieces do not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::{Decisions, Pieces, hello, options, run};
use nought_proto::{Security, SocketType};

const GOOD: [&[u8]; 3] =
    [b"\x04\x13\x05HELLO\x05admin\x06secret", b"\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x04PUSH", b"\0\x01x"];

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let mut options = options(&mut decisions);
    options.security = Security::PlainServer;
    let seed = u64::from_le_bytes([decisions.byte(), decisions.byte(), 0, 0, 0, 0, 0, 1]);
    // Some of a good handshake, and then what the fuzzer has.
    let good = [hello::greeting(1, "PLAIN"), GOOD.concat()].concat();
    let prefix_len = usize::from(decisions.byte()).min(good.len());
    let bytes = [&good[..prefix_len], decisions.rest()].concat();
    let whole = run(SocketType::Pull, options.clone(), &bytes, Pieces::Whole);
    let in_pieces = run(SocketType::Pull, options, &bytes, Pieces::Random(seed));
    whole.assert_same(in_pieces);
});
