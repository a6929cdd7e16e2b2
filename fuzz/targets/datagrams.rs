//! Datagrams of strangers and messages to be sent as such: nothing panics, and what is a message is the same one when it
//! comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nought_fuzz::Decisions;
use nought_proto::{
    limits::DATAGRAM_LEN_MAX,
    wire::datagram::{Form, address, next_message},
};

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let form = if decisions.bit() { Form::Group } else { Form::Address };
    let padding = decisions.byte();
    let from = ([192, 0, 2, 1], 5555).into();
    let mut datagram = decisions.rest().to_vec();
    // So that the fuzzer comes to the longest one.
    datagram.resize(datagram.len() + usize::from(padding) * 33, padding);

    let mut frames = Vec::new();
    if form.decode(&datagram, from, &mut frames) {
        assert!(datagram.len() <= DATAGRAM_LEN_MAX);
        let (first, body, len) = next_message(&frames).expect("it was framed as a message");
        assert_eq!(len, frames.len());
        let to = (form == Form::Address).then_some(from);
        assert_eq!(form.encode(first, body), Some((datagram, to)));
    } else {
        assert!(frames.is_empty());
    }

    if let Some((first, body, len)) = next_message(data) {
        assert!(len <= data.len());
        if let Some((datagram, to)) = form.encode(first, body) {
            assert!(datagram.len() <= DATAGRAM_LEN_MAX);
            assert_eq!(to, if form == Form::Address { address(first) } else { None });
        }
    }
});
