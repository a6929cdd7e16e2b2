//! A stranger's first bytes at a socket of each type: nothing panics, the pieces do not matter, and nothing is held
//! beyond the stated bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::{Decisions, Pieces, hello, options, run};
use nought_proto::SocketType;

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
    if matches!(socket_type, SocketType::Stream | SocketType::Req) {
        // What these receive depends on the time.
        run(socket_type, options.clone(), &bytes, Pieces::Random(seed));
        return;
    }
    let whole = run(socket_type, options.clone(), &bytes, Pieces::Whole);
    let in_pieces = run(socket_type, options, &bytes, Pieces::Random(seed));
    assert_eq!(whole, in_pieces);
});
