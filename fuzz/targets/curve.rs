//! A client and a server of CURVE, and between them somebody who changes, drops, repeats and makes up bytes as the fuzzer
//! has it: nothing panics, and whatever is received was sent, in its order, without a gap.
#![no_main]

use std::{io::IoSlice, time::Instant};

use libfuzzer_sys::fuzz_target;
use nought_fuzz::Decisions;
use nought_proto::{
    ConnectionId, CurveClient, CurveServer, Event, KeyPair, Message, Options, SecretKey, Security, Socket, SocketType,
    connection::Verdict, socket::Reopen,
};

fuzz_target!(|data: &[u8]| {
    let mut decisions = Decisions::new(data);
    let server_keys = KeyPair::from(SecretKey::from_bytes([1; 32]));
    let client_keys = SecretKey::from_bytes([2; 32]);
    let security = CurveClient::new(*server_keys.public_key(), client_keys);
    let mut sender = Side::new(SocketType::Push, security.into(), 3);
    let mut receiver = Side::new(SocketType::Pull, CurveServer::new(server_keys).into(), 4);
    let mut sent = 0_u32;
    let mut received = 0_u32;
    while !decisions.is_empty() && !sender.is_over && !receiver.is_over {
        for _ in 0..decisions.below(4) {
            let len = decisions.below(200);
            let body = [&sent.to_le_bytes()[..], &vec![7; len]].concat();
            sent += u32::from(sender.socket.send(&Message::from(body).into()).is_ok());
        }
        let forth = disturbed(sender.take_output(), &mut decisions);
        receiver.feed(&forth);
        let back = disturbed(receiver.take_output(), &mut decisions);
        sender.feed(&back);
        let mut message = Message::new();
        while receiver.socket.recv(&mut message).is_ok() {
            assert_eq!(message.as_slice()[..4], received.to_le_bytes(), "not what was sent");
            received += 1;
        }
    }
    assert!(received <= sent);
});

/// The bytes as they arrive: most often as they were.
fn disturbed(mut bytes: Vec<u8>, decisions: &mut Decisions<'_>) -> Vec<u8> {
    let at = usize::from(decisions.byte()) * usize::from(decisions.byte());
    match decisions.byte() {
        0 if at < bytes.len() => bytes[at] ^= decisions.byte(),
        1 => bytes.truncate(at),
        2 if at < bytes.len() => drop(bytes.drain(..at)),
        3 if at < bytes.len() => {
            let repeated = bytes[at..].to_vec();
            bytes.extend_from_slice(&repeated);
        }
        4 => {
            let len = decisions.below(64);
            let made_up = decisions.bytes(len).to_vec();
            bytes.splice(at.min(bytes.len()).., made_up);
        }
        _ => {}
    }
    bytes
}

struct Side {
    socket: Socket,
    id: ConnectionId,
    now: Instant,
    is_over: bool,
}

impl Side {
    fn new(socket_type: SocketType, security: Security, chance: u8) -> Self {
        let mut options = Options::default();
        options.security = security;
        let mut socket = Socket::new(socket_type, options);
        let id = if socket_type == SocketType::Push { socket.open(None) } else { socket.accept() };
        let now = Instant::now();
        let mut chance = chance;
        socket.start(id, now, &mut |bytes| {
            bytes.iter_mut().for_each(|byte| {
                chance = chance.wrapping_mul(29).wrapping_add(17);
                *byte = chance;
            });
        });
        let mut side = Self { socket, id, now, is_over: false };
        side.settle();
        side
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over && self.socket.wants_read(self.id) {
            let read = self.socket.read(self.id, self.now, |into| {
                let (part, rest) = bytes.split_at(bytes.len().min(into.capacity() - into.len()));
                into.extend_from_slice(part);
                bytes = rest;
                Ok(part.len())
            });
            read.expect("the closure returns no error");
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                Event::Established(_) => {}
                Event::Authenticate(id, _) => self.socket.judge(id, Verdict::NobodyAsked, self.now),
                _ => {
                    self.is_over = true;
                    self.socket.lose(self.id, Reopen::No);
                }
            }
        }
        while self.socket.poll_resumed().is_some() {}
        while self.socket.poll_flush().is_some() {}
    }

    fn take_output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(mut output) = self.socket.begin_write(self.id) {
            let mut slices = [IoSlice::new(&[]); 4];
            let used = output.io_slices(&mut slices);
            let len = slices[..used].iter().map(|slice| slice.len()).sum();
            slices[..used].iter().for_each(|slice| bytes.extend_from_slice(slice));
            output.advance(len);
            self.socket.end_write(self.id, output);
        }
        bytes
    }
}
