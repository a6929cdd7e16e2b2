//! Messages of 20 MiB, alone and in several frames, between nought and libzmq, in both directions and roles.

use std::{sync::LazyLock, thread, time::Duration};

use nought::SocketType;
use nought_conformance::{Contexts, Frames, Library, Opt, Transport, until};

const LEN: usize = 20 << 20;
const PAIRS: [(SocketType, SocketType); 4] = [
    (SocketType::Push, SocketType::Pull),
    (SocketType::Pair, SocketType::Pair),
    (SocketType::Dealer, SocketType::Dealer),
    (SocketType::XPub, SocketType::Sub),
];

/// Bytes that tell their place.
fn body(seed: usize, len: usize) -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..LEN + 256).map(|index| (index.wrapping_mul(31) ^ (index >> 8)) as u8).collect());
    BYTES[seed..seed + len].to_vec()
}

fn messages() -> Vec<Frames> {
    vec![
        vec![body(1, LEN)],
        vec![body(2, 1), body(3, LEN), Vec::new(), body(4, LEN), body(5, 255)],
        vec![body(6, 256)],
        vec![body(7, LEN - 1), body(8, 8191), body(9, 8192)],
    ]
}

fn carry(
    sender: Library,
    receiver: Library,
    types: (SocketType, SocketType),
    transport: Transport,
    sender_binds: bool,
) {
    let what = format!("{transport}: {sender:?} {} to {receiver:?} {}, sender binds: {sender_binds}", types.0, types.1);
    let contexts = Contexts::default();
    let place = transport.place();
    let from = contexts.socket(sender, types.0, &[Opt::Linger(20_000)]);
    let to = contexts.socket(receiver, types.1, &[]);
    if types.1 == SocketType::Sub {
        assert!(to.subscribe(b""));
    }
    let (binding, connecting) = if sender_binds { (&from, &to) } else { (&to, &from) };
    binding.bind(&place.endpoint);
    connecting.connect(&place.endpoint);
    if types.0 == SocketType::XPub {
        until("the subscription comes", || {
            to.attend();
            from.recv_within(Duration::from_millis(10)).is_ok()
        });
    }
    let sending = thread::spawn(move || {
        messages().iter().for_each(|message| from.send(message));
        // It closes at once, while most of it is still to go.
    });
    for (index, message) in messages().iter().enumerate() {
        let received = to.recv_within(Duration::from_secs(30)).unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
        assert!(received == *message, "{what}: message {index} has changed on its way");
    }
    sending.join().unwrap();
}

fn carry_all(transport: Transport) {
    for types in PAIRS {
        for (sender, receiver) in [(Library::Nought, Library::Libzmq), (Library::Libzmq, Library::Nought)] {
            for sender_binds in [false, true] {
                carry(sender, receiver, types, transport, sender_binds);
            }
        }
    }
}

#[test]
fn over_tcp() {
    carry_all(Transport::Tcp);
}

#[test]
fn over_ipc() {
    carry_all(Transport::Ipc);
}
