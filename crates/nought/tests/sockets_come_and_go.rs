//! A hundred sockets opened and closed in a loop while traffic runs: the traffic does not notice.

mod support;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nought::{Any, Context, Pull, Push, Rep, Req, Router, Socket, SocketType};
use support::{SetAtEnd, Transport, connect, number, recv, rng::Rng, until, watchdog};

const LIMIT: Duration = Duration::from_secs(120);
const ROUNDS: u64 = 12;
const SOCKETS: u64 = 100;

/// Numbered messages from one socket to another, for as long as something else goes on.
fn with_traffic(context: &Context, transport: Transport, meanwhile: impl FnOnce(&str)) {
    let pull = context.socket::<Pull>().unwrap();
    let push = context.socket::<Push>().unwrap();
    let endpoint = connect(&pull, &push, transport);
    let is_over = AtomicBool::new(false);
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut index = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                push.send(&index.to_be_bytes()).unwrap();
                index += 1;
            }
            push.send("end").unwrap();
        });
        scope.spawn(|| {
            let mut expected = 0;
            loop {
                let message = recv(&pull);
                if message == "end" {
                    return;
                }
                if message.len() == 2 {
                    // From one of the others.
                    continue;
                }
                assert_eq!(number(&message), expected, "{transport}");
                expected += 1;
                received.store(expected, Ordering::Relaxed);
            }
        });
        let _end = SetAtEnd(&is_over);
        meanwhile(&endpoint);
        let so_far = received.load(Ordering::Relaxed);
        until("the traffic goes on", || received.load(Ordering::Relaxed) > so_far + 1000);
    });
}

/// Whoever is closed counts until the driver has ended it, and a context has its limit.
fn most_are_gone(context: &Context) {
    until("most of them have said goodbye", || context.sockets() < 500);
}

#[test]
fn that_connect_to_the_busy_socket() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        with_traffic(&context, transport, |endpoint| {
            for _ in 0..ROUNDS {
                let sockets: Vec<Socket<Push>> = (0..SOCKETS)
                    .map(|_| {
                        let push = context.socket::<Push>().unwrap();
                        push.connect(endpoint).unwrap();
                        push.send(["from", "another"]).unwrap();
                        push
                    })
                    .collect();
                drop(sockets);
                most_are_gone(&context);
            }
            // Their linger time is for ever, and the busy socket takes what they sent.
            until("all of them are gone", || context.sockets() == 2);
        });
    }
}

#[test]
fn that_talk_among_themselves() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        with_traffic(&context, Transport::Tcp, |_| {
            for _ in 0..ROUNDS {
                let router = context.socket::<Router>().unwrap();
                let endpoint = router.bind(&transport.endpoint()).unwrap();
                let requesters: Vec<Socket<Req>> = (0..SOCKETS)
                    .map(|_| {
                        let request = context.socket::<Req>().unwrap();
                        request.connect(&endpoint).unwrap();
                        request.send("question").unwrap();
                        request
                    })
                    .collect();
                for _ in 0..SOCKETS {
                    let question = recv(&router);
                    router.send(question).unwrap();
                }
                for request in &requesters {
                    assert_eq!(recv(request), "question", "{transport}");
                }
                drop((router, requesters));
                most_are_gone(&context);
            }
        });
    }
}

#[test]
fn of_every_type_at_any_moment() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let types = [
        (SocketType::Pair, SocketType::Pair),
        (SocketType::Pub, SocketType::Sub),
        (SocketType::XPub, SocketType::XSub),
        (SocketType::Req, SocketType::Rep),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Push, SocketType::Pull),
    ];
    with_traffic(&context, Transport::Tcp, |_| {
        thread::scope(|scope| {
            for seed in 0..3 {
                let context = &context;
                scope.spawn(move || {
                    let mut rng = Rng::new(seed);
                    for _ in 0..ROUNDS * 20 {
                        let transport = Transport::ALL[rng.below(3) as usize];
                        let (a, b) = types[rng.below(types.len() as u64) as usize];
                        let (a, b) = if rng.one_in(2) { (a, b) } else { (b, a) };
                        come_and_go(context, &mut rng, transport, a, b);
                        most_are_gone(context);
                    }
                });
            }
        });
    });
    until("all of them are gone", || context.sockets() == 0);
}

/// Two sockets that connect before or after the other binds, send or not, and close in either order at some point.
fn come_and_go(context: &Context, rng: &mut Rng, transport: Transport, a: SocketType, b: SocketType) {
    let make = |socket_type| -> Socket<Any> {
        let builder = context.any_socket_builder(socket_type).linger(Some(Duration::from_millis(10)));
        builder.reconnect_interval(Some(Duration::from_millis(1))).build().unwrap()
    };
    let (bound, connecting) = (make(a), make(b));
    let endpoint = transport.future_endpoint();
    let connects_first = rng.one_in(2);
    if connects_first {
        connecting.connect(&endpoint).unwrap();
    }
    bound.bind(&endpoint).unwrap();
    if !connects_first {
        connecting.connect(&endpoint).unwrap();
    }
    thread::sleep(Duration::from_micros(rng.below(3000)));
    for socket in [&bound, &connecting] {
        let _ = socket.subscribe("");
        let _ = socket.try_send(["one", "two"]);
    }
    thread::sleep(Duration::from_micros(rng.below(1000)));
    for socket in [&bound, &connecting] {
        let _ = socket.try_recv();
    }
    if rng.one_in(2) { drop((bound, connecting)) } else { drop((connecting, bound)) }
}

#[test]
fn and_their_contexts_with_them() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        for _ in 0..30 {
            let context = Context::new();
            let reply = context.socket::<Rep>().unwrap();
            let request = context.socket::<Req>().unwrap();
            connect(&reply, &request, transport);
            request.send("question").unwrap();
            assert_eq!(recv(&reply), "question");
            reply.send("answer").unwrap();
            assert_eq!(recv(&request), "answer", "{transport}");
        }
    }
}
