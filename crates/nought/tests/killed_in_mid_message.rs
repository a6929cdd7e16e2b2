//! Peers that are killed (SIGKILL) in the middle of a message, between its frames, and at every stage of the handshake:
//! nothing partial is ever delivered, and the socket serves the others as before.

mod support;

use std::{io::Write, thread, time::Duration};

use nought::{CanReceive, Context, DisconnectReason, Message, Pull, Push, Socket, SocketEventKind};
use support::{
    Transport, await_event, body, number,
    process::{self, Role},
    raw, recv,
    rng::Rng,
    until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn role() {
    process::play(&[
        ("sender", send_without_end),
        ("receiver", receive_without_end),
        ("raw connector", connect_and_send),
        ("raw listener", accept_and_send),
    ]);
}

/// Three frames that show whether they belong together and are whole.
fn checked_message(index: u64, len: usize) -> Message {
    Message::from([body(index, len), Vec::new(), body(index, 20)])
}

#[track_caller]
fn check(message: &Message, len: usize) -> u64 {
    let index = number(message);
    assert_eq!(*message, checked_message(index, len), "a message that nobody sent");
    index
}

fn send_without_end(arguments: &[String]) {
    let [endpoint, len] = arguments else { panic!("endpoint, length") };
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    push.connect(endpoint).unwrap();
    for index in 0.. {
        push.send(checked_message(index, len.parse().unwrap())).unwrap();
    }
}

fn receive_without_end(arguments: &[String]) {
    let [endpoint, len] = arguments else { panic!("endpoint, length") };
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(endpoint).unwrap();
    process::tell("bound");
    loop {
        process::tell(check(&pull.recv().unwrap(), len.parse().unwrap()));
    }
}

/// Connects by itself and sends so many bytes of what a PUSH sends: the handshake, then a message of three frames.
fn connect_and_send(arguments: &[String]) {
    let [endpoint, len] = arguments else { panic!("endpoint, length") };
    play_push(&mut *raw::connect(endpoint), len.parse().unwrap());
}

fn accept_and_send(arguments: &[String]) {
    let [endpoint, len] = arguments else { panic!("endpoint, length") };
    let listener = raw::ByteListener::bind(endpoint);
    process::tell("bound");
    let mut stream = listener.accept();
    // The one who connects here is a PUSH, so that this one is a PULL.
    let bytes = raw::handshake("PULL");
    stream.write_all(&bytes[..len.parse::<usize>().unwrap().min(bytes.len())]).unwrap();
    process::tell("sent");
    process::wait_for_the_end();
}

fn play_push(stream: &mut dyn raw::ByteStream, len: usize) {
    let bytes = whole_conversation();
    stream.write_all(&bytes[..len]).unwrap();
    if len > raw::handshake("PUSH").len() {
        // The other side has read all of the handshake once it has answered it.
        stream.read_exact(&mut [0; 66]).unwrap();
    }
    process::tell("sent");
    process::wait_for_the_end();
}

fn whole_conversation() -> Vec<u8> {
    let message = [raw::frame(true, b"first"), raw::frame(true, &[8; 300]), raw::frame(false, b"last")];
    [raw::handshake("PUSH"), message.concat()].concat()
}

/// A message still comes through from somebody else.
fn assert_serves_others(context: &Context, pull: &Socket<Pull>, endpoint: &str) {
    let push = context.socket::<Push>().unwrap();
    push.connect(endpoint).unwrap();
    push.send(["from", "somebody", "else"]).unwrap();
    assert_eq!(recv(pull), Message::from(["from", "somebody", "else"]));
}

fn drain<K: CanReceive>(socket: &Socket<K>) -> Vec<Message> {
    std::iter::from_fn(|| socket.try_recv().ok()).collect()
}

#[test]
fn a_connecting_peer_at_every_stage() {
    let _bounded = watchdog(LIMIT);
    let handshake = raw::handshake("PUSH").len();
    // The seams of the handshake: signature, revision, minor, mechanism, role, filler, READY's header, name, property;
    // then those of the message: each header and body, with and without the frame that ends it.
    let stages = [0, 1, 9, 10, 11, 12, 20, 32, 33, 63, 64, 65, 66, 70, 80, handshake - 1, handshake]
        .into_iter()
        .chain([1, 2, 4, 7, 8, 15, 16, 100, 315, 316, 317, 319].map(|len| handshake + len));
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let monitor = pull.monitor();
        for stage in stages.clone() {
            let peer = Role::start("raw connector", &[&endpoint, &stage.to_string()]);
            await_event(&monitor, "a peer", |event| matches!(event, SocketEventKind::Accepted).then_some(()));
            assert_eq!(peer.heard(), "sent");
            peer.kill();
            let reason = await_event(&monitor, "its end", |event| match event {
                SocketEventKind::Disconnected { reason } => Some(reason.clone()),
                _ => None,
            });
            assert!(
                matches!(reason, DisconnectReason::PeerClosed | DisconnectReason::Transport(_)),
                "{transport}, stage {stage}: {reason}"
            );
            assert!(stage < whole_conversation().len());
            assert_eq!(drain(&pull), Vec::<Message>::new(), "{transport}, stage {stage}");
            assert_eq!(pull.stats().peers, 0, "{transport}, stage {stage}");
        }
        assert_serves_others(&context, &pull, &endpoint);
    }
}

#[test]
fn a_listening_peer_at_every_stage() {
    let _bounded = watchdog(LIMIT);
    let stages = [0, 1, 10, 11, 12, 33, 63, 64, 65, 70, 91, 1000];
    for (transport, stage) in Transport::KERNEL.into_iter().flat_map(|transport| stages.map(|stage| (transport, stage)))
    {
        let context = Context::new();
        let endpoint = transport.future_endpoint();
        let push =
            context.socket_builder::<Push>().reconnect_interval(Some(Duration::from_millis(20))).build().unwrap();
        let monitor = push.monitor();
        let peer = Role::start("raw listener", &[&endpoint, &stage.to_string()]);
        assert_eq!(peer.heard(), "bound");
        push.connect(&endpoint).unwrap();
        assert_eq!(peer.heard(), "sent");
        peer.kill();
        await_event(&monitor, "its end", |event| matches!(event, SocketEventKind::Disconnected { .. }).then_some(()));
        await_event(&monitor, "the next attempt", |event| match event {
            SocketEventKind::ConnectRetried { .. } => Some(()),
            _ => None,
        });
        // Over ipc the one that was killed has left its socket's file: that is in nobody's way.
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        push.send("to whoever is there").unwrap();
        assert_eq!(recv(&pull), "to whoever is there", "{transport}, stage {stage}");
    }
}

#[test]
fn senders_in_mid_message() {
    let _bounded = watchdog(LIMIT);
    let mut rng = Rng::new(1);
    for transport in Transport::KERNEL {
        for len in [100, 5_000, 1 << 20, 4 << 20] {
            let context = Context::new();
            let pull = context.socket::<Pull>().unwrap();
            let endpoint = pull.bind(&transport.endpoint()).unwrap();
            for round in 0..4 {
                let sender = Role::start("sender", &[&endpoint, &len.to_string()]);
                for expected in 0..1 + rng.below(5) {
                    assert_eq!(check(&recv(&pull), len), expected, "{transport}, {len} bytes, round {round}");
                }
                thread::sleep(Duration::from_micros(rng.below(20_000)));
                sender.kill();
                until("the loss is noticed", || {
                    drain(&pull).iter().for_each(|message| {
                        check(message, len);
                    });
                    pull.stats().peers == 0
                });
                drain(&pull).iter().for_each(|message| {
                    check(message, len);
                });
            }
            assert_serves_others(&context, &pull, &endpoint);
        }
    }
}

#[test]
fn receivers_in_mid_message() {
    let _bounded = watchdog(LIMIT);
    let mut rng = Rng::new(2);
    for transport in Transport::KERNEL {
        for len in [5_000, 4 << 20] {
            let context = Context::new();
            let endpoint = transport.future_endpoint();
            let push = context
                .socket_builder::<Push>()
                .reconnect_interval(Some(Duration::from_millis(10)))
                .send_timeout(Some(Duration::from_millis(10)))
                .linger(Some(Duration::ZERO))
                .send_hwm(20)
                .build()
                .unwrap();
            push.connect(&endpoint).unwrap();
            let mut next = 0;
            // A few at a time: a receiver that keeps up would let this go on for ever.
            let mut send_some = || {
                for _ in 0..10 {
                    next += u64::from(push.send(checked_message(next, len)).is_ok());
                }
            };
            let mut received = 0;
            for round in 0..4 {
                let receiver = Role::start("receiver", &[&endpoint, &len.to_string()]);
                assert_eq!(receiver.heard(), "bound");
                for nth in 0..2 {
                    // The role checks that each message is whole; here: that none comes twice or out of order.
                    let index: u64 = loop {
                        send_some();
                        if let Some(index) = receiver.heard_already() {
                            break index.parse().unwrap();
                        }
                    };
                    assert!(round == 0 && nth == 0 || index > received, "{transport}: {index} after {received}");
                    received = index;
                }
                thread::sleep(Duration::from_micros(rng.below(10_000)));
                let last = std::iter::from_fn(|| receiver.heard_already()).last();
                receiver.kill();
                received = last.map_or(received, |index| index.parse().unwrap());
            }
        }
    }
}
