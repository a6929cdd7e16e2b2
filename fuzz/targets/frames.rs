//! Frame headers of each version: nothing panics, a prefix never says something else than the whole, and what is read
//! can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::hello::VERSIONS;
use nought_proto::wire::{Header, frame::HEADER_LEN_MAX};

fuzz_target!(|data: &[u8]| {
    for version in VERSIONS {
        let whole = Header::decode(version, data);
        for len in 0..data.len().min(HEADER_LEN_MAX + 1) {
            let part = Header::decode(version, &data[..len]);
            assert!(part == Ok(None) || part == whole, "{version}: {part:?} and {whole:?}");
        }
        let Ok(Some(header)) = whole else { continue };
        assert!(header.header_len <= HEADER_LEN_MAX && header.header_len <= data.len());
        assert!(header.body_len <= i64::MAX as usize);
        assert!(!(header.command && header.more));
        let mut again = Vec::new();
        if header.command {
            Header::encode_command(header.body_len, &mut again);
        } else {
            Header::encode(version, header.more, header.body_len, &mut again);
        }
        let read_again = Header::decode(version, &again).expect("legal").expect("whole");
        // A long form may be read where a short one is written.
        assert!(read_again.header_len <= header.header_len);
        assert_eq!((read_again.more, read_again.command), (header.more, header.command));
        assert_eq!(read_again.body_len, header.body_len);
    }
});
