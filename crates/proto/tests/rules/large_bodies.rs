//! Bodies around the size from which they are no longer copied, split at every place.

use nought_proto::{Frame, Message, SocketType, limits::LARGE_BODY_LEN};

use crate::harness::{Net, Pieces, wire};

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

#[test]
fn around_the_limit_they_arrive_as_they_were_sent() {
    for pieces in [Pieces::Whole, Pieces::Of(1000), Pieces::Of(LARGE_BODY_LEN), Pieces::Random(7)] {
        for len in [LARGE_BODY_LEN - 1, LARGE_BODY_LEN, LARGE_BODY_LEN + 1, 10 * LARGE_BODY_LEN, 3_000_000] {
            let mut net = Net::in_pieces(pieces);
            let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
            net.connect(push, pull);
            let expected = Message::from([&b"head"[..], &body(len), b"tail"]);
            // Given as a slice it is copied, as a frame referenced.
            net.send(push, &body(len)[..]);
            net.send(push, expected.clone());
            net.send(push, "behind");
            assert_eq!(net.recv(pull), body(len)[..]);
            assert_eq!(net.recv(pull), expected);
            assert_eq!(net.recv(pull), *"behind");
        }
    }
}

#[test]
fn split_at_every_place_they_are_the_same() {
    for len in [LARGE_BODY_LEN - 1, LARGE_BODY_LEN, LARGE_BODY_LEN + 1] {
        let large = body(len);
        let bytes = [
            wire::frame(1, "head"),
            wire::frame(1, &large),
            wire::ping(0, ""),
            wire::frame(0, "tail"),
            wire::message(&["next"]),
        ]
        .concat();
        let expected = [Message::from([&b"head"[..], &large, b"tail"]), Message::from("next")];
        let mut net = Net::new();
        let pull = net.socket(SocketType::Pull);
        let link = net.accept_test(pull);
        net.feed(link, wire::hello("PUSH"));
        for split in 0..=bytes.len() {
            net.feed(link, &bytes[..split]);
            net.feed(link, &bytes[split..]);
            assert_eq!(net.recv_all(pull), expected, "{len} split at {split}");
        }
        net.expect_no_failure(pull);
    }
}

#[test]
fn several_in_a_row_each_read_into_its_place() {
    let frames: Vec<Frame> = [9000, 1, 20_000, 0, 8192, 8191, 100_000].map(|len| Frame::from(body(len))).into();
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(8192), Pieces::Of(9001), Pieces::Random(3)] {
        let mut net = Net::in_pieces(pieces);
        let (push, pull) = (net.socket(SocketType::Push), net.socket(SocketType::Pull));
        net.connect(push, pull);
        let message: Message = frames.iter().cloned().collect();
        for _ in 0..3 {
            net.send(push, &message);
        }
        assert_eq!(net.recv_all(pull), [message.clone(), message.clone(), message], "{pieces:?}");
    }
}

#[test]
fn a_large_one_read_piece_by_piece_while_earlier_messages_are_taken() {
    let large = body(200_000);
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello("PUSH"), wire::message(&["0"]).repeat(20)].concat());
    let bytes = [wire::frame(0, &large), wire::message(&["1"])].concat();
    for piece in bytes.chunks(10_001) {
        net.feed(link, piece);
        assert_eq!(net.try_recv(pull).unwrap().as_slice().first(), Some(&b'0'));
    }
    let rest = net.recv_all(pull);
    assert_eq!(rest[rest.len() - 2], large[..]);
    assert_eq!(rest[rest.len() - 1], *"1");
}

#[test]
fn a_small_message_kept_does_not_hold_what_came_with_it() {
    // It is a copy of its own, in the message itself.
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello("PUSH"), wire::message(&["small"]), wire::message(&["x"; 1000])].concat());
    let small = net.recv(pull);
    assert_eq!(small.into_frames().next().unwrap().into_vec().capacity(), 5);
}

#[test]
fn a_small_message_received_over_a_longer_one_does_not_hold_its_memory() {
    let mut net = Net::new();
    let pull = net.socket(SocketType::Pull);
    let link = net.accept_test(pull);
    let frames = [wire::frame(0, body(LARGE_BODY_LEN - 1)), wire::frame(0, body(100))].concat();
    net.feed(link, [wire::hello("PUSH"), frames].concat());
    let mut message = net.recv(pull);
    // A frame that is used again.
    net.at(pull).recv(&mut message).unwrap();
    assert_eq!(message, body(100));
    assert!(message.pop_front().unwrap().into_vec().capacity() <= 800);
}
