//! A whole connection of each version and socket type: frames as peers send them and bytes as they do not, in arbitrary
//! pieces, which must not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::{Decisions, Pieces, hello, options, run};
use nought_proto::wire::{Command, Header, Version};

/// The body lengths around which something changes.
const LENS: [usize; 12] = [0, 1, 55, 56, 100, 254, 255, 256, 8191, 8192, 9000, 70_000];

/// The fuzzer's decisions as frames, or as they are.
fn script(version: Version, decisions: &mut Decisions<'_>, bytes: &mut Vec<u8>) {
    while !decisions.is_empty() {
        let action = decisions.byte();
        let has_commands = version.has_commands();
        match action & 7 {
            0..=2 => {
                let len = LENS[decisions.below(LENS.len())];
                Header::encode(version, action & 8 != 0, len, bytes);
                bytes.resize(bytes.len() + len, action);
            }
            3 => {
                let body = decisions.bytes(usize::from(action >> 3));
                Header::encode(version, action & 8 != 0, body.len(), bytes);
                bytes.extend_from_slice(body);
            }
            4 if has_commands => {
                let context = decisions.bytes(usize::from(action >> 4));
                Command::Ping { ttl_deciseconds: decisions.byte().into(), context }.encode(bytes);
            }
            5 if has_commands => {
                let prefix = decisions.bytes(usize::from(action >> 5));
                let command = if action & 8 != 0 { Command::Subscribe(prefix) } else { Command::Cancel(prefix) };
                command.encode(bytes);
            }
            6 if has_commands => {
                let len = LENS[decisions.below(LENS.len())];
                Header::encode_command(len, bytes);
                bytes.resize(bytes.len() + len, b'\x03');
            }
            _ => bytes.extend_from_slice(decisions.bytes(usize::from(action >> 3))),
        }
        if bytes.len() > 400_000 {
            return;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let socket_type = decisions.socket_type();
    let options = options(&mut decisions);
    let version = hello::VERSIONS[decisions.below(4)];
    let seed = u64::from_le_bytes([decisions.byte(), decisions.byte(), 0, 0, 0, 0, 0, 1]);
    let mut bytes = hello::hello(version, hello::fitting(socket_type));
    script(version, &mut decisions, &mut bytes);
    let whole = run(socket_type, options.clone(), &bytes, Pieces::Whole);
    let in_pieces = run(socket_type, options, &bytes, Pieces::Random(seed));
    whole.assert_same(in_pieces);
});
