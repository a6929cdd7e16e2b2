//! Closing straight after sending loses nothing within the linger time: every message arrives, in order, exactly once,
//! and the end of the context waits for it.

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Dealer, Pub, Pull, Push, Socket, Sub};
use support::{
    Transport, body, connect, connected, number,
    process::{self, Role},
    raw,
    raw::RawPeer,
    recv, scratch_path, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(180);

/// As many as the promise names.
const MILLION: u64 = 1_000_000;

/// For ever, and far longer than it takes.
const LINGERS: [Option<Duration>; 2] = [None, Some(Duration::from_secs(60))];

#[test]
fn role() {
    process::play(&[("sender", send_and_leave)]);
}

/// Sends numbered messages, closes at once, and leaves as soon as the context lets it: within a linger time in seconds,
/// or whenever that is.
fn send_and_leave(arguments: &[String]) {
    let [endpoint, count, len, linger] = arguments else { panic!("endpoint, count, length, linger time") };
    let (count, len): (u64, usize) = (count.parse().unwrap(), len.parse().unwrap());
    let linger = linger.parse().ok().map(Duration::from_secs);
    let context = Context::new();
    let push = context.socket_builder::<Push>().linger(linger).build().unwrap();
    push.connect(endpoint).unwrap();
    for index in 0..count {
        push.send(body(index, len)).unwrap();
    }
    push.close();
    drop(context);
    process::tell("gone");
}

/// Receives exactly the messages 0 to `count`, in this order.
fn expect_all(pull: &Socket<Pull>, count: u64) {
    for expected in 0..count {
        let message =
            pull.recv_timeout(support::PATIENCE).unwrap_or_else(|error| panic!("message {expected}: {error}"));
        assert_eq!(number(&message), expected);
    }
}

#[track_caller]
fn expect_nothing_more(pull: &Socket<Pull>) {
    until("the sender is gone", || {
        assert!(pull.try_recv().is_err(), "a message came twice");
        pull.stats().peers == 0
    });
}

#[test]
fn a_million_messages_within_a_process() {
    let _bounded = watchdog(LIMIT);
    for (transport, linger) in
        Transport::ALL.into_iter().flat_map(|transport| LINGERS.map(|linger| (transport, linger)))
    {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        push.set_linger(linger);
        thread::scope(|scope| {
            scope.spawn(move || {
                for index in 0..MILLION {
                    push.send(&index.to_be_bytes()).unwrap();
                }
                push.close();
            });
            expect_all(&pull, MILLION);
        });
        expect_nothing_more(&pull);
    }
}

#[test]
fn a_million_messages_between_contexts_that_end() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let context = Context::new();
                let push = context.socket::<Push>().unwrap();
                push.connect(&endpoint).unwrap();
                for index in 0..MILLION {
                    push.send(&index.to_be_bytes()).unwrap();
                }
                // The socket goes with the end of this scope, and the context's drop waits for it.
            });
            expect_all(&pull, MILLION);
        });
        expect_nothing_more(&pull);
    }
}

#[test]
fn a_million_messages_of_a_process_that_ends() {
    let _bounded = watchdog(LIMIT);
    for (transport, linger) in
        Transport::KERNEL.into_iter().flat_map(|transport| ["for ever", "60"].map(|linger| (transport, linger)))
    {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let sender = Role::start("sender", &[&endpoint, &MILLION.to_string(), "8", linger]);
        expect_all(&pull, MILLION);
        assert_eq!(sender.heard(), "gone");
        sender.finish();
        expect_nothing_more(&pull);
    }
}

#[test]
fn a_reader_who_comes_after_the_sender_has_ended() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        // Few enough for the kernel's buffers and the receiving side's, so that the sender can end before anybody reads.
        for (count, len) in [(1, 8), (500, 8), (3, 20_000)] {
            let context = Context::new();
            let pull = context.socket::<Pull>().unwrap();
            let endpoint = pull.bind(&transport.endpoint()).unwrap();
            let sender = Role::start("sender", &[&endpoint, &count.to_string(), &len.to_string(), "for ever"]);
            assert_eq!(sender.heard(), "gone");
            sender.finish();
            expect_all(&pull, count);
            expect_nothing_more(&pull);
        }
    }
}

#[test]
fn a_reader_who_pauses_longer_than_any_farewell() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_hwm(1).build().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let sender = Role::start("sender", &[&endpoint, "300", "10000", "for ever"]);
        for expected in 0..300 {
            assert_eq!(number(&recv(&pull)), expected, "{transport}");
            if expected % 150 == 1 {
                // It is the pause that is tested: the sender has closed and waits.
                thread::sleep(Duration::from_millis(1500));
            }
        }
        assert_eq!(sender.heard(), "gone");
        sender.finish();
        expect_nothing_more(&pull);
    }
}

#[test]
fn messages_of_every_size() {
    let _bounded = watchdog(LIMIT);
    let sizes = [8, 55, 56, 255, 256, 8191, 8192, 8193, 65_536, 100_000, 1 << 20, 20 << 20];
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        thread::scope(|scope| {
            scope.spawn(move || {
                for (index, &len) in sizes.iter().cycle().take(3 * sizes.len()).enumerate() {
                    push.send([body(index as u64, len), Vec::new(), vec![9; len]]).unwrap();
                }
                push.close();
            });
            for (index, &len) in sizes.iter().cycle().take(3 * sizes.len()).enumerate() {
                let message = recv(&pull);
                assert_eq!(number(&message), index as u64, "{transport}");
                assert_eq!(message[0], body(index as u64, len));
                assert_eq!((message.len(), message[1].len(), message[2].len()), (3, 0, len));
            }
        });
        expect_nothing_more(&pull);
    }
}

#[test]
fn a_socket_that_closes_with_unread_input_still_sends_all() {
    const COUNT: u64 = 1500;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context.socket_builder::<Dealer>().send_hwm(0).recv_hwm(10).build().unwrap();
    let endpoint = dealer.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint).shake_hands("DEALER");
    until("the peer is there", || dealer.stats().peers == 1);
    // Far more than the mark of 10: most of it stays in the system's buffers. A channel that is closed over it is reset,
    // and the reset would destroy what the peer has not read yet.
    let mut input = peer.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        for _ in 0..2000 {
            if input.write_all(&raw::frame(false, &[5; 1000])).is_err() {
                return;
            }
        }
    });
    until("the dealer has input that it does not read", || dealer.stats().totals.recv_hwm_hits > 0);
    for index in 0..COUNT {
        dealer.send(body(index, 1000)).unwrap();
    }
    dealer.close();
    // The peer reads late: it is the pause that is tested.
    thread::sleep(Duration::from_millis(2500));
    for expected in 0..COUNT {
        let (is_command, received) = peer.recv_frame();
        assert!(!is_command);
        assert_eq!(received, body(expected, 1000), "message {expected}");
    }
    assert_eq!(peer.0.read(&mut [0]).unwrap(), 0, "then the end, and no reset");
    drop(peer);
    writer.join().unwrap();
}

#[test]
fn a_publisher_sends_what_is_queued_for_each_subscriber() {
    const COUNT: u64 = 50_000;
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let publisher = context.socket_builder::<Pub>().send_hwm(0).build().unwrap();
        let subscribers: Vec<Socket<Sub>> = (0..3)
            .map(|index| {
                let subscriber = context.socket_builder::<Sub>().recv_hwm(0).build().unwrap();
                subscriber.subscribe("").unwrap();
                // A prefix of its own shows when each has subscribed.
                subscriber.subscribe([index]).unwrap();
                connect(&publisher, &subscriber, transport);
                subscriber
            })
            .collect();
        until("all have subscribed", || publisher.stats().subscriptions == 4);
        for index in 0..COUNT {
            publisher.send(&index.to_be_bytes()).unwrap();
        }
        publisher.close();
        for subscriber in &subscribers {
            for expected in 0..COUNT {
                let message = subscriber
                    .recv_timeout(Duration::from_secs(10))
                    .unwrap_or_else(|error| panic!("{transport}: message {expected}: {error}"));
                assert_eq!(number(&message), expected, "{transport}");
            }
        }
    }
}

#[test]
fn what_was_sent_before_anybody_listens() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let endpoint = transport.future_endpoint();
        let sender = {
            let context = Context::new();
            let push =
                context.socket_builder::<Push>().reconnect_interval(Some(Duration::from_millis(10))).build().unwrap();
            push.connect(&endpoint).unwrap();
            for index in 0..100_u64 {
                push.send(&index.to_be_bytes()).unwrap();
            }
            push.close();
            thread::spawn(move || drop(context))
        };
        assert!(!sender.is_finished(), "the end of the context waits for the linger time, which is for ever");
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        expect_all(&pull, 100);
        sender.join().unwrap();
        expect_nothing_more(&pull);
    }
}

#[test]
fn a_disconnected_endpoint_gets_what_was_queued_for_it() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let push = context.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        for index in 0..500_u64 {
            push.send(&index.to_be_bytes()).unwrap();
        }
        push.disconnect(&endpoint).unwrap();
        assert!(push.try_send("to nobody").is_err());
        expect_all(&pull, 500);
        expect_nothing_more(&pull);
    }
}

/// Both ends, and the endpoint that the receiver has connected to. Of 500 messages it has received the first; the others
/// are with it, as far as that shows, or wait where the transport keeps them.
fn with_499_unread(context: &Context, transport: Transport) -> (Socket<Push>, Socket<Pull>, String) {
    let push = context.socket::<Push>().unwrap();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = connect(&push, &pull, transport);
    for index in 0..500 {
        push.send(numbered(index)).unwrap();
    }
    assert_eq!(number(&recv(&pull)), 0);
    until("all have come", || pull.peers()[0].recv_queue_len == 499 || transport == Transport::Inproc);
    (push, pull, endpoint)
}

fn numbered(index: u64) -> Vec<u8> {
    body(index, 8 + 40 * index as usize)
}

#[test]
fn what_came_before_a_disconnect_can_be_received() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (push, pull, endpoint) = with_499_unread(&context, transport);
        pull.disconnect(&endpoint).unwrap();
        until("the sender has lost its peer", || push.stats().peers == 0);
        assert!(push.try_send("to nobody").is_err());
        for index in 1..500 {
            assert_eq!(recv(&pull), numbered(index), "{transport}");
        }
        assert!(pull.try_recv().is_err());
        assert_eq!(pull.stats().totals.dropped_on_arrival + push.stats().totals.lost, 0, "{transport}");
    }
}

#[test]
fn what_came_before_a_discarding_disconnect_is_dropped_and_counted() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (push, pull, endpoint) = with_499_unread(&context, transport);
        pull.disconnect_and_discard(&endpoint).unwrap();
        assert!(pull.try_recv().is_err(), "{transport}");
        until("the sender has lost its peer", || push.stats().peers == 0);
        let dropped = || pull.stats().totals.dropped_on_arrival + push.stats().totals.lost;
        until("all are counted", || dropped() == 499);
        pull.connect(&endpoint).unwrap();
        push.send("what comes later").unwrap();
        assert_eq!(recv(&pull), "what comes later", "{transport}");
    }
}

#[test]
fn terminating_waits_too() {
    let _bounded = watchdog(LIMIT);
    let path = scratch_path("s");
    for endpoint in [support::Transport::Tcp.future_endpoint(), format!("ipc://{}", path.display())] {
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().build().unwrap();
        pull.bind(&endpoint).unwrap();
        let start = Instant::now();
        thread::scope(|scope| {
            let reader = scope.spawn(move || expect_all(&pull, 100_000));
            let sending = Context::new();
            let push = sending.socket::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            for index in 0..100_000_u64 {
                push.send(&index.to_be_bytes()).unwrap();
            }
            push.close();
            sending.term();
            assert_eq!(sending.sockets(), 0);
            reader.join().unwrap();
        });
        assert!(start.elapsed() < LIMIT);
    }
}

/// A listener whose peers take little before they read.
fn listen_with_little_room() -> (TcpListener, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(8).unwrap();
    let listener = TcpListener::from(socket);
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[test]
fn a_peer_that_reads_late_and_answers_before_gets_all() {
    let _bounded = watchdog(LIMIT);
    for disconnects in [false, true] {
        let (listener, endpoint) = listen_with_little_room();
        let context = Context::new();
        let dealer = context
            .socket_builder::<Dealer>()
            .recv_hwm(1)
            .heartbeat_interval(Some(Duration::from_millis(100)))
            .heartbeat_timeout(Some(LIMIT))
            .build()
            .unwrap();
        dealer.connect(&endpoint).unwrap();
        let mut peer = RawPeer::accept(&listener).shake_hands("ROUTER");
        let body = vec![7; 200_000];
        dealer.send(&body).unwrap();
        let dealer = if disconnects {
            dealer.disconnect(&endpoint).unwrap();
            Some(dealer)
        } else {
            drop(dealer);
            None
        };
        for _ in 0..10 {
            // Longer than the least time for a farewell: nothing here may reset the connection.
            thread::sleep(Duration::from_millis(150));
            peer.send(&[raw::frame(false, b"meanwhile"), raw::command("PING", b"\0\0")].concat());
        }
        while peer.recv_frame() != (false, body.clone()) {}
        peer.await_close();
        drop((dealer, peer));
        context.term();
    }
}

#[test]
fn a_peer_that_has_all_and_stays_is_not_waited_for() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let dealer = context.socket::<Dealer>().unwrap();
    dealer.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("ROUTER");
    dealer.send("x").unwrap();
    drop(dealer);
    assert_eq!(peer.recv_frame(), (false, b"x".to_vec()));
    context.term();
}
