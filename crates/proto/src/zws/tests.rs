//! Both ends of a connection over channels that take and give bytes in any pieces; and peers that send anything.

use std::{cell::RefCell, collections::VecDeque};

use proptest::prelude::*;

use super::*;
use crate::{
    limits::HANDSHAKE_COMMAND_LEN_MAX,
    wire::{Command, Header, Version, greeting},
};

/// What goes one way, and how much of it passes in each call. Reading and writing have pieces of their own: if they took
/// turns at the same ones, one of them might find no room for ever.
struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    read_pieces: Pieces,
    write_pieces: Pieces,
}

struct Pieces(RefCell<VecDeque<usize>>);

impl Pipe {
    fn new(pieces: &[usize]) -> Self {
        let pieces = || Pieces(RefCell::new(pieces.iter().copied().collect()));
        Self { bytes: RefCell::default(), read_pieces: pieces(), write_pieces: pieces() }
    }

    fn write(&self, from: &[u8]) -> io::Result<usize> {
        let len = self.write_pieces.next()?.min(from.len());
        self.bytes.borrow_mut().extend(&from[..len]);
        Ok(len)
    }

    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        let len = self.read_pieces.next()?.min(self.bytes.borrow().len()).min(into.capacity() - into.len());
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into.extend(self.bytes.borrow_mut().drain(..len));
        Ok(len)
    }
}

impl Pieces {
    /// 0: not now.
    fn next(&self) -> io::Result<usize> {
        let mut pieces = self.0.borrow_mut();
        pieces.rotate_left(1);
        match pieces.back() {
            Some(0) => Err(io::ErrorKind::WouldBlock.into()),
            piece => Ok(piece.copied().unwrap_or(1)),
        }
    }
}

/// One end, and its machine's bytes.
struct End {
    zws: Zws,
    to_send: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
}

impl End {
    fn new(zws: Zws, to_send: Vec<u8>) -> Self {
        Self { zws, to_send, sent: 0, received: Vec::new() }
    }

    fn step(&mut self, from: &Pipe, to: &Pipe, room: usize) {
        let mut into = Vec::with_capacity(room);
        match self.zws.read(&mut into, |raw| from.read(raw), |bytes| to.write(bytes)) {
            Ok(len) => assert!(len > 0 && len == into.len() && len <= into.capacity()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
        self.received.extend_from_slice(&into);
        // A machine says which mechanism it wants when it has heard the first half of the greeting.
        let half = greeting::SIGNATURE_LEN;
        let sendable = if self.received.len() > half { &self.to_send[self.sent..] } else { &[] };
        match self.zws.write(&[IoSlice::new(sendable)], |bytes| to.write(bytes)) {
            Ok(len) => self.sent += len,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
    }
}

fn random() -> Random {
    let mut state = 7_u8;
    Box::new(move |into| {
        into.iter_mut().for_each(|byte| {
            state = state.wrapping_mul(31).wrapping_add(17);
            *byte = state;
        });
    })
}

fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    greeting::encode_signature(0, &mut bytes);
    bytes.push(greeting::REVISION);
    greeting::V3Rest::new("NULL", false).encode(&mut bytes);
    bytes
}

fn frames(bodies: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Command::Unknown(b"READY").encode(&mut bytes);
    for (more, body) in bodies {
        Header::encode(Version::V3_1, *more, body.len(), &mut bytes);
        bytes.extend_from_slice(body);
    }
    bytes
}

fn bodies() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let len = prop_oneof![Just(0_usize), 1..300_usize, 8_000..9_000_usize];
    let body = (any::<bool>(), any::<u8>(), len).prop_map(|(more, byte, len)| (more, vec![byte; len]));
    prop::collection::vec(body, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_machine_hears_what_the_other_says(
        there in bodies(),
        back in bodies(),
        pieces in prop::collection::vec(prop_oneof![0..3_usize, 1..100_000_usize], 1..9),
        room in 1..70_000_usize,
    ) {
        let pieces = [&pieces[..], &[5000]].concat();
        let (up, down) = (Pipe::new(&pieces), Pipe::new(&pieces));
        let (said, answered) = (frames(&there), frames(&back));
        let mut client = End::new(Zws::client("h:1", "/", random()), [greeting(), said.clone()].concat());
        let mut server = End::new(Zws::server(random()), [greeting(), answered.clone()].concat());
        let greeting_len = greeting().len();
        let mut rounds = 0;
        while server.received.len() < greeting_len + said.len() || client.received.len() < greeting_len + answered.len() {
            client.step(&down, &up, room);
            server.step(&up, &down, room);
            rounds += 1;
            prop_assert!(rounds < 4_000_000, "it does not go on");
        }
        prop_assert!(server.received[greeting_len..] == said && client.received[greeting_len..] == answered);
        prop_assert_eq!((client.sent, server.sent), (client.to_send.len(), server.to_send.len()));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, is_upgraded: bool, room in 1..100_usize) {
        let upgrade = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0\r\n\r\n";
        let head = if is_upgraded { upgrade.as_bytes() } else { b"" };
        for zws in [Zws::client("h:1", "/", random()), Zws::server(random())] {
            let mut input = &[head, &bytes].concat()[..];
            for _ in 0..1000 {
                let mut into = Vec::with_capacity(room);
                let result = zws.read(
                    &mut into,
                    |raw| {
                        let (piece, rest) = input.split_at(input.len().min(raw.capacity() - raw.len()));
                        raw.extend_from_slice(piece);
                        input = rest;
                        Ok(piece.len())
                    },
                    |bytes| Ok(bytes.len()),
                );
                match result {
                    Ok(1..) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => break,
                }
            }
        }
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0\r\n\r\n";

/// A channel that brings the request, and then the same bytes for ever; and how often it was asked.
fn endless<'a>(bytes: &'a [u8], asked: &'a RefCell<usize>) -> impl FnMut(&mut Vec<u8>) -> io::Result<usize> + 'a {
    move |raw| {
        *asked.borrow_mut() += 1;
        let piece = if *asked.borrow() == 1 { REQUEST.as_bytes() } else { bytes };
        raw.extend_from_slice(piece);
        Ok(piece.len())
    }
}

/// A client's empty PING, with a mask of zeros.
const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

#[test]
fn what_means_nothing_in_zmtp_ends_a_read_however_much_there_is() {
    let empty_fragment = [0x00, 0x80, 0, 0, 0, 0];
    let first_fragment = [0x02, 0x81, 0, 0, 0, 0, 0];
    for bytes in [PING.repeat(100), [&first_fragment[..], &empty_fragment.repeat(100)].concat()] {
        let (zws, asked) = (Zws::server(random()), RefCell::new(0));
        let mut channel = endless(&bytes, &asked);
        let mut into = Vec::with_capacity(100);
        // The machine hears the start of a greeting; then there is nothing for it.
        let result = zws.read(&mut into, &mut channel, |bytes| Ok(bytes.len()));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(*asked.borrow(), FILLS_PER_READ);
    }
}

#[test]
fn pongs_do_not_gather_before_a_peer_that_does_not_read() {
    let (zws, asked) = (Zws::server(random()), RefCell::new(0));
    let pings = PING.repeat(1000);
    let mut channel = endless(&pings, &asked);
    let mut read = |write: &mut dyn FnMut(&[u8]) -> io::Result<usize>| {
        let result = zws.read(&mut Vec::with_capacity(100), &mut channel, write);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Interrupted);
    };
    let mut all = |bytes: &[u8]| Ok(bytes.len());
    read(&mut all);
    // What this side says first: before it nothing is answered.
    zws.write(&[IoSlice::new(&greeting()[..greeting::SIGNATURE_LEN])], all).unwrap();
    for _ in 0..100 {
        read(&mut |_| Err(io::ErrorKind::WouldBlock.into()));
    }
    let mut come = 0;
    read(&mut |bytes| {
        come += bytes.len();
        Ok(bytes.len())
    });
    // An empty PONG has two bytes: the one that got stuck, and one for each time that the peer's PINGs were read since.
    assert!((2..=2 * (1 + FILLS_PER_READ)).contains(&come), "{come} bytes");
}

#[test]
fn an_answer_that_found_no_room_is_written_when_there_is() {
    let (zws, asked) = (Zws::server(random()), RefCell::new(0));
    let mut channel = endless(&PING, &asked);
    let full = |_: &[u8]| Err(io::ErrorKind::WouldBlock.into());
    zws.read(&mut Vec::with_capacity(100), &mut channel, |bytes| Ok(bytes.len())).unwrap_err();
    zws.write(&[IoSlice::new(&greeting()[..greeting::SIGNATURE_LEN])], |bytes| Ok(bytes.len())).unwrap();
    zws.read(&mut Vec::with_capacity(100), &mut channel, full).unwrap_err();
    assert_eq!(zws.flush(full).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let mut come = Vec::new();
    let all = |bytes: &[u8]| {
        come.extend_from_slice(bytes);
        Ok(bytes.len())
    };
    zws.flush(all).unwrap();
    assert_eq!(come, [0x8A, 0]);
    // Behind the end of what this side says comes nothing more.
    zws.close_write(full);
    zws.flush(|_| panic!("the channel takes no more")).unwrap();
}

#[test]
fn a_stranger_without_a_mechanism_has_no_fragments_gathered_beyond_a_handshake_s_length() {
    let (zws, asked) = (Zws::server(random()), RefCell::new(0));
    let mut fragment = vec![0x02, 0x80 | 127];
    fragment.extend_from_slice(&(HANDSHAKE_COMMAND_LEN_MAX as u64 + 1).to_be_bytes());
    fragment.extend_from_slice(&[0; 4]);
    let mut channel = endless(&fragment, &asked);
    let result = zws.read(&mut Vec::with_capacity(100), &mut channel, |bytes| Ok(bytes.len()));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// Were a frame told of as sent before it is, it would be lost with the connection; were it not told of when it is, the
/// next connection would bring it again.
#[test]
fn only_whole_frames_are_told_of_as_sent() {
    let zws = Zws::server(random());
    let request = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ZWS2.0/NULL\r\n\r\n";
    let mut request = Some(request);
    let read = |raw: &mut Vec<u8>| {
        let request = request.take().ok_or(io::ErrorKind::WouldBlock)?;
        raw.extend_from_slice(request.as_bytes());
        Ok(request.len())
    };
    zws.read(&mut Vec::with_capacity(100), read, |bytes| Ok(bytes.len())).unwrap();
    assert_eq!(zws.write(&[IoSlice::new(&greeting())], |bytes| Ok(bytes.len())).unwrap(), greeting().len());

    let frame = [&[0, 10][..], &[7; 10]].concat();
    let three = frame.repeat(3);
    // In ZWS each has thirteen bytes.
    let mut room = 20;
    let mut channel = |bytes: &[u8]| {
        let len = bytes.len().min(room);
        room -= len;
        if len == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(len) }
    };
    assert_eq!(zws.write(&[IoSlice::new(&three)], &mut channel).unwrap(), 12);
    let rest = &three[12..];
    assert_eq!(zws.write(&[IoSlice::new(rest)], &mut channel).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let mut came = Vec::new();
    let all = |bytes: &[u8]| {
        came.extend_from_slice(bytes);
        Ok(bytes.len())
    };
    assert_eq!(zws.write(&[IoSlice::new(rest)], all).unwrap(), 24);
    assert_eq!(came.len(), 3 * 13 - 20);
}
