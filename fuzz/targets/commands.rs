//! Commands and metadata: nothing panics, and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_proto::wire::{
    Command, Header, Version,
    command::{decode_error_reason, split_name},
    metadata::Metadata,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(command) = Command::decode(data) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let header = Header::decode(Version::V3_1, &bytes).expect("legal").expect("whole");
        assert!(header.command);
        assert_eq!(header.header_len + header.body_len, bytes.len());
        let body = &bytes[header.header_len..];
        assert_eq!(Command::decode(body), Ok(command));
        match command {
            // Only its name is kept.
            Command::Unknown(_) => {}
            // Of a context that is too long, as much is kept as may be given back.
            Command::Ping { .. } => assert!(data.starts_with(body)),
            _ => assert_eq!(body, data),
        }
    }
    if let Ok((name, rest)) = split_name(data) {
        assert_eq!(1 + name.len() + rest.len(), data.len());
        let _ = decode_error_reason(rest);
    }
    if let Ok(metadata) = Metadata::decode(data) {
        let mut bytes = Vec::new();
        metadata.encode(&mut bytes);
        assert_eq!(bytes, data);
        for (name, _) in metadata.iter() {
            assert!(metadata.get(&name.to_ascii_uppercase()).is_some());
        }
    }
});
