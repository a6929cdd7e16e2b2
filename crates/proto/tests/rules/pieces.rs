//! Whatever the shapes of messages and the pieces they travel in, what arrives is what was sent.

use nought_proto::{
    Event, Message, SocketType,
    limits::LARGE_BODY_LEN,
    wire::{Command, Header, Version},
};
use proptest::{collection::vec, prelude::*};

use crate::harness::{Net, Pieces, wire};

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..=60_usize,
        2 => 250..260_usize,
        1 => 300..LARGE_BODY_LEN,
        1 => LARGE_BODY_LEN - 2..LARGE_BODY_LEN + 3,
        1 => LARGE_BODY_LEN..5 * LARGE_BODY_LEN,
    ]
}

fn message() -> impl Strategy<Value = Message> {
    vec((len(), any::<u8>()), 1..5).prop_map(|frames| frames.into_iter().map(|(len, byte)| vec![byte; len]).collect())
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    vec(message(), 0..20)
}

fn pieces() -> impl Strategy<Value = Pieces> {
    prop_oneof![Just(Pieces::Whole), (1..300_usize).prop_map(Pieces::Of), any::<u64>().prop_map(Pieces::Random)]
}

const VERSIONS: [Version; 4] = [Version::V1_0, Version::V2_0, Version::V3_0, Version::V3_1];

/// What a DEALER of this version sends before its first message.
fn hello(version: Version) -> Vec<u8> {
    match version {
        Version::V1_0 => b"\x01\0".to_vec(),
        Version::V2_0 => wire::hello_2_0(5, ""),
        Version::V3_0 => wire::hello_3_0("DEALER"),
        Version::V3_1 => wire::hello("DEALER"),
    }
}

fn encoded(version: Version, message: &Message) -> Vec<u8> {
    let last = message.len() - 1;
    let encode = if version == Version::V1_0 { wire::old_frame } else { wire::frame };
    message.frames().enumerate().flat_map(|(index, frame)| encode(u8::from(index < last), &frame[..])).collect()
}

/// What the application sees of a connection that brings these bytes: messages, events, and what was sent. Of a
/// connection that fails, how much of the answers goes out before depends on the time.
fn outcome(socket_type: SocketType, pieces: Pieces, bytes: &[u8]) -> (Vec<Message>, Vec<String>, Vec<u8>) {
    let mut net = Net::in_pieces(pieces);
    let node = net.socket(socket_type);
    let link = net.accept_test(node);
    net.feed(link, bytes);
    let received = net.recv_all(node);
    let events = net.events(node);
    let failed = events.iter().any(|event| matches!(event, Event::Failed(..)));
    let sent = if failed { Vec::new() } else { net.take(link) };
    (received, events.iter().map(without_id).collect(), sent)
}

fn without_id(event: &Event) -> String {
    match event {
        Event::Failed(_, error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_machines(messages in messages(), pieces in pieces()) {
        let mut net = Net::in_pieces(pieces);
        let (a, b) = (net.socket(SocketType::Dealer), net.socket(SocketType::Dealer));
        net.connect(a, b);
        for message in &messages {
            net.send(a, message);
            net.send(b, message.clone());
        }
        prop_assert_eq!(net.recv_all(b), &messages[..]);
        prop_assert_eq!(net.recv_all(a), messages);
    }

    #[test]
    fn a_peer_of_each_version(
        version in prop::sample::select(&VERSIONS[..]),
        messages in messages(),
        pieces in pieces(),
        queued in 0..5_usize,
    ) {
        let mut net = Net::in_pieces(pieces);
        let node = net.socket(SocketType::Dealer);
        let link = net.connect_test(node);
        let queued = queued.min(messages.len());
        for message in &messages[..queued] {
            net.try_send(node, message).unwrap();
        }
        net.feed(link, hello(version));
        for message in &messages[queued..] {
            net.send(node, message);
        }
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encoded(version, message)).collect();
        prop_assert!(net.take(link).ends_with(&bytes));
        net.feed(link, &bytes);
        prop_assert_eq!(net.recv_all(node), messages);
    }

    #[test]
    fn a_loss_and_a_reconnect_anywhere(
        messages in vec(message(), 1..12),
        pieces in pieces(),
        rooms in vec(0..60_000_usize, 1..6),
    ) {
        let mut net = Net::in_pieces(pieces);
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        let mut link = net.connect(push, pull);
        let mut received = Vec::new();
        let mut rest = messages.iter();
        for room in rooms {
            net.room(link, 0);
            rest.by_ref().take(3).for_each(|message| net.send(push, message));
            net.room(link, room);
            received.extend(net.recv_all(pull));
            net.cut(link);
            link = net.reconnect(link, pull);
        }
        rest.for_each(|message| net.send(push, message));
        received.extend(net.recv_all(pull));
        prop_assert_eq!(received, messages);
    }

    #[test]
    fn no_bytes_panic_and_no_pieces_matter(
        socket_type in prop::sample::select(&SocketType::ALL[..]),
        prefix in 0..8_usize,
        bytes in vec(any::<u8>(), 0..400),
        pieces in pieces(),
    ) {
        let before = match prefix {
            0 => Vec::new(),
            1 => wire::SIGNATURE.to_vec(),
            2 => wire::greeting(3, 1, "NULL"),
            3 => hello(Version::V2_0),
            4 => hello(Version::V1_0),
            5 => hello(Version::V3_0),
            _ => wire::hello(fitting(socket_type)),
        };
        let bytes = [before, bytes].concat();
        if socket_type != SocketType::Stream {
            prop_assert_eq!(outcome(socket_type, pieces, &bytes), outcome(socket_type, Pieces::Whole, &bytes));
        }
    }

    #[test]
    fn no_frames_panic_and_no_pieces_matter(
        socket_type in prop::sample::select(&SocketType::ALL[..]),
        frames in vec(frame(), 0..40),
        pieces in pieces(),
    ) {
        let bytes = [wire::hello(fitting(socket_type)), frames.concat()].concat();
        if socket_type != SocketType::Stream {
            prop_assert_eq!(outcome(socket_type, pieces, &bytes), outcome(socket_type, Pieces::Whole, &bytes));
        }
    }

    #[test]
    fn headers_and_commands_survive_in_every_version(more: bool, len in 0..1_usize << 40, prefix: Vec<u8>) {
        for version in VERSIONS {
            let mut bytes = Vec::new();
            Header::encode(version, more, len, &mut bytes);
            let header = Header::decode(version, &bytes).unwrap().unwrap();
            prop_assert_eq!((header.more, header.body_len, header.command), (more, len, false));
        }
        let mut bytes = Vec::new();
        Command::Subscribe(&prefix).encode(&mut bytes);
        prop_assert_eq!(bytes, wire::command("SUBSCRIBE", &prefix));
    }
}

/// A frame as peers send it, now and then one that is not legal.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..2_u8, len()).prop_map(|(more, len)| wire::frame(more, vec![b'x'; len])),
        2 => Just(wire::frame(0, "\x01a")),
        2 => Just(wire::frame(1, "")),
        3 => (any::<u16>(), "[a-z]{0,16}").prop_map(|(ttl, context)| wire::ping(ttl, &context)),
        1 => Just(wire::subscribe("a")),
        1 => Just(wire::cancel("a")),
        1 => len().prop_map(|len| wire::command("UNKNOWN", vec![0; len])),
        1 => (any::<u8>(), vec(any::<u8>(), 0..20)).prop_map(|(flags, body)| wire::frame(flags & 5, body)),
    ]
}

fn fitting(socket_type: SocketType) -> &'static str {
    SocketType::ALL.into_iter().find(|peer| socket_type.accepts(*peer)).map_or("PAIR", |peer| peer.name())
}
