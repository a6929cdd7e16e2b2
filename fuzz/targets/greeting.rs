//! Signature and greeting: nothing panics, a prefix never says more than the whole, and what is legal survives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_proto::wire::greeting::{self, SIGNATURE_LEN, Signature, V3_REST_LEN, V3Rest};

fuzz_target!(|data: &[u8]| {
    let whole = Signature::decode(data);
    for len in 0..data.len().min(SIGNATURE_LEN + 1) {
        let part = Signature::decode(&data[..len]);
        assert!(part == Signature::Incomplete || part == whole);
    }
    assert!(data.len() < SIGNATURE_LEN || whole != Signature::Incomplete);
    let mut ours = Vec::new();
    greeting::encode_signature(data.len(), &mut ours);
    assert_eq!(Signature::decode(&ours), Signature::Versioned);
    let Some(bytes) = data.last_chunk::<V3_REST_LEN>() else { return };
    if let Ok(rest) = V3Rest::decode(bytes) {
        let name = rest.mechanism();
        assert!(!name.is_empty() && name.len() <= 20);
        let mut again = Vec::new();
        rest.encode(&mut again);
        assert_eq!(again[..21], bytes[..21]);
        assert_eq!(V3Rest::decode(again[..].try_into().unwrap()), Ok(rest));
    }
});
