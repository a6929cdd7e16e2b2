//! A stranger's first bytes at a socket of each type: nothing panics, the pieces do not matter, and no more is held
//! than the longest command of a handshake.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::{Decisions, Pieces, hello, options, run};

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let socket_type = decisions.socket_type();
    let options = options(&mut decisions);
    let prefix_len = decisions.below(96);
    let version = hello::VERSIONS[decisions.below(4)];
    let seed = u64::from_le_bytes([decisions.byte(), decisions.byte(), 0, 0, 0, 0, 0, 1]);
    // Some of a good handshake, and then what the fuzzer has.
    let good = hello::hello(version, hello::fitting(socket_type));
    let bytes = [&good[..prefix_len.min(good.len())], decisions.rest()].concat();
    let whole = run(socket_type, options.clone(), &bytes, Pieces::Whole);
    let in_pieces = run(socket_type, options, &bytes, Pieces::Random(seed));
    whole.assert_same(in_pieces);
});
