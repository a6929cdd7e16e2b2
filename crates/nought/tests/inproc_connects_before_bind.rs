//! Within the process either side may come first, and nothing that was sent meanwhile is lost.

mod support;

use std::{sync::Barrier, thread, time::Duration};

use nought::{Client, Context, Dealer, Kind, Pair, Pub, Pull, Push, Rep, Req, Router, Socket, SocketEventKind, Sub};
use support::{Transport, await_event, number, recv, unique, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

fn endpoint() -> String {
    Transport::Inproc.endpoint()
}

#[test]
fn what_was_sent_before_arrives() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = endpoint();
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    for index in 0..100_u64 {
        push.send(&index.to_be_bytes()).unwrap();
    }
    let pull = context.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    for expected in 0..100 {
        assert_eq!(number(&recv(&pull)), expected);
    }
    push.send("and now").unwrap();
    assert_eq!(recv(&pull), "and now");
}

#[test]
fn both_directions() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for binds_first in [false, true] {
        let endpoint = endpoint();
        let (a, b) = (context.socket::<Pair>().unwrap(), context.socket::<Pair>().unwrap());
        if binds_first {
            b.bind(&endpoint).unwrap();
        }
        a.connect(&endpoint).unwrap();
        a.send("from the one that connects").unwrap();
        if !binds_first {
            b.bind(&endpoint).unwrap();
        }
        b.send("from the one that binds").unwrap();
        assert_eq!(recv(&a), "from the one that binds");
        assert_eq!(recv(&b), "from the one that connects");
    }
}

#[test]
fn a_thread_that_waits_for_the_other_side() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = endpoint();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let request = context.socket::<Req>().unwrap();
            request.connect(&endpoint).unwrap();
            request.send("question").unwrap();
            recv(&request)
        });
        thread::sleep(Duration::from_millis(50));
        let reply = context.socket::<Rep>().unwrap();
        reply.bind(&endpoint).unwrap();
        assert_eq!(recv(&reply), "question");
        reply.send("answer").unwrap();
        assert_eq!(asking.join().unwrap(), "answer");
    });
}

#[test]
fn many_that_wait_for_one_name() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = endpoint();
    let dealers: Vec<Socket<Dealer>> = (0..20)
        .map(|index| {
            let dealer = context.socket_builder::<Dealer>().routing_id(format!("dealer {index}")).build().unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer.send(format!("{index}")).unwrap();
            dealer
        })
        .collect();
    let router = context.socket::<Router>().unwrap();
    router.bind(&endpoint).unwrap();
    for _ in &dealers {
        let message = recv(&router);
        assert_eq!(message[0], [b"dealer ", message[1].as_slice()].concat());
        router.send(message).unwrap();
    }
    for (index, dealer) in dealers.iter().enumerate() {
        assert_eq!(recv(dealer), index.to_string().as_str());
    }
}

fn of_any_type<K: Kind>(context: &Context) -> Socket<K> {
    context.socket_builder().any_type_in_process(true).build().unwrap()
}

const MANY: u64 = 30;

#[test]
fn types_that_do_not_fit_where_both_allow_it() {
    let _bounded = watchdog(LIMIT);
    let (context, endpoint) = (Context::new(), endpoint());
    thread::scope(|scope| {
        for index in 0..MANY {
            let (context, endpoint) = (&context, &endpoint);
            scope.spawn(move || {
                let pair: Socket<Pair> = of_any_type(context);
                pair.connect(endpoint).unwrap();
                pair.send(&index.to_be_bytes()).unwrap();
            });
        }
        let pull: Socket<Pull> = of_any_type(&context);
        pull.bind(&endpoint).unwrap();
        let mut received: Vec<u64> = (0..MANY).map(|_| number(&recv(&pull))).collect();
        received.sort_unstable();
        assert!(received.into_iter().eq(0..MANY));
    });
}

#[test]
fn types_that_do_not_fit_where_one_does_not_allow_it() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let refuses = |pull: Socket<Pull>, connect: &dyn Fn(&str)| {
        let (monitor, endpoint) = (pull.monitor(), endpoint());
        pull.bind(&endpoint).unwrap();
        connect(&endpoint);
        await_event(&monitor, "the refusal", |event| {
            matches!(event, SocketEventKind::HandshakeFailed { .. }).then_some(())
        });
    };
    let strict: Socket<Pair> = context.socket().unwrap();
    refuses(of_any_type(&context), &|endpoint| strict.connect(endpoint).unwrap());
    let any: Socket<Pair> = of_any_type(&context);
    refuses(context.socket().unwrap(), &|endpoint| any.connect(endpoint).unwrap());
    let single_frames: Socket<Client> = of_any_type(&context);
    refuses(of_any_type(&context), &|endpoint| single_frames.connect(endpoint).unwrap());
}

#[test]
fn subscriptions_made_before() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = endpoint();
    let subscriber = context.socket::<Sub>().unwrap();
    subscriber.connect(&endpoint).unwrap();
    subscriber.subscribe("a").unwrap();
    let publisher = context.socket::<Pub>().unwrap();
    publisher.bind(&endpoint).unwrap();
    publisher.send("a1").unwrap();
    publisher.send("b1").unwrap();
    publisher.send("a2").unwrap();
    assert_eq!((recv(&subscriber), recv(&subscriber)), ("a1".into(), "a2".into()));
}

#[test]
fn a_name_is_free_again_after_its_owner() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let endpoint = endpoint();
    for index in 0..50_u64 {
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        let push = context.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        push.send(&index.to_be_bytes()).unwrap();
        assert_eq!(number(&recv(&pull)), index);
    }
}

#[test]
fn contexts_do_not_see_each_others_names() {
    let _bounded = watchdog(LIMIT);
    let (one, other) = (Context::new(), Context::new());
    let endpoint = endpoint();
    let pull = one.socket::<Pull>().unwrap();
    pull.bind(&endpoint).unwrap();
    let push = other.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    push.connect(&endpoint).unwrap();
    push.send("to nobody").unwrap();
    assert!(pull.recv_timeout(Duration::from_millis(50)).is_err());
    let own = other.socket::<Pull>().unwrap();
    own.bind(&endpoint).unwrap();
    assert_eq!(recv(&own), "to nobody");
}

#[test]
fn binding_and_connecting_at_the_same_moment() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for round in 0..500_u64 {
        let endpoint = format!("inproc://{}", unique());
        let (push, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                push.connect(&endpoint).unwrap();
                push.send(&round.to_be_bytes()).unwrap();
            });
            start.wait();
            pull.bind(&endpoint).unwrap();
            assert_eq!(number(&recv(&pull)), round);
        });
    }
}

/// Whoever is closed counts until the driver has ended it, and a context has its limit.
fn most_are_gone(context: &Context) {
    until("most of them are gone", || context.sockets() < 500);
}

#[test]
fn closing_and_binding_at_the_same_moment() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for _ in 0..500 {
        let endpoint = format!("inproc://{}", unique());
        let (gone, pull) = (context.socket::<Pull>().unwrap(), context.socket::<Pull>().unwrap());
        gone.connect(&endpoint).unwrap();
        pull.connect(&endpoint).unwrap();
        let push = context.socket::<Push>().unwrap();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                drop(gone);
            });
            start.wait();
            push.bind(&endpoint).unwrap();
        });
        // Whoever is gone gets no share of the work, for ever.
        let mut received = 0;
        until("the one that is there gets all", || {
            push.send("x").unwrap();
            while pull.try_recv().is_ok() {
                received += 1;
            }
            push.stats().peers == 1
        });
        for _ in 0..3 {
            push.send("y").unwrap();
        }
        while recv(&pull) != "y" {}
        assert_eq!((recv(&pull), recv(&pull)), ("y".into(), "y".into()));
        drop((pull, push));
        most_are_gone(&context);
    }
}

#[test]
fn types_that_do_not_fit() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for binds_first in [false, true] {
        let endpoint = endpoint();
        let (push, publisher) = (
            context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap(),
            context.socket::<Pub>().unwrap(),
        );
        let (of_push, of_publisher) = (push.monitor(), publisher.monitor());
        if binds_first {
            publisher.bind(&endpoint).unwrap();
        }
        push.connect(&endpoint).unwrap();
        if !binds_first {
            publisher.bind(&endpoint).unwrap();
        }
        for monitor in [of_push, of_publisher] {
            let error = await_event(&monitor, "the refusal", |event| match event {
                SocketEventKind::HandshakeFailed { error } => Some(error.to_string()),
                _ => None,
            });
            assert!(error.contains("PUB") && error.contains("PUSH"), "{error}");
        }
        assert_eq!((push.stats().peers, publisher.stats().peers), (0, 0));
        let failures = (push.stats().totals.handshake_failures, publisher.stats().totals.handshake_failures);
        assert_eq!(failures, (1, 1));
        // It waits for somebody who fits.
        push.send("for a PULL").unwrap();
        publisher.unbind(&endpoint).unwrap();
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        assert_eq!(recv(&pull), "for a PULL");
    }
}

#[test]
fn what_a_closed_socket_has_sent_waits_for_the_name() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for disconnects in [false, true] {
        let endpoint = endpoint();
        let push = context.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        for index in 0..3_u64 {
            push.send(&index.to_be_bytes()).unwrap();
        }
        if disconnects {
            push.disconnect(&endpoint).unwrap();
            assert!(push.disconnect(&endpoint).is_err());
        } else {
            drop(push);
        }
        let pull = context.socket::<Pull>().unwrap();
        pull.bind(&endpoint).unwrap();
        for expected in 0..3 {
            assert_eq!(number(&recv(&pull)), expected);
        }
        until("the other is gone", || pull.try_recv().is_err() && pull.stats().peers == 0);
    }
    until("it has closed", || context.sockets() == 0);
}

#[test]
fn nobody_waits_for_a_name_longer_than_linger_or_the_context() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let lingers = context.socket_builder::<Push>().linger(Some(Duration::from_millis(50))).build().unwrap();
    let waits = context.socket::<Push>().unwrap();
    for push in [lingers, waits] {
        push.connect(&endpoint()).unwrap();
        push.send("to nobody").unwrap();
    }
    until("one has given up", || context.sockets() == 1);
    context.term();
}

#[test]
fn connecting_to_a_socket_that_closes_waits_for_the_next() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for round in 0..500_u64 {
        let endpoint = endpoint();
        let gone = context.socket::<Pull>().unwrap();
        gone.bind(&endpoint).unwrap();
        let push = context.socket::<Push>().unwrap();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                drop(gone);
            });
            start.wait();
            push.connect(&endpoint).unwrap();
        });
        let pull = context.socket::<Pull>().unwrap();
        until("the name is free", || pull.bind(&endpoint).is_ok());
        // Either it was joined with the one that has gone, and told of its end; or it has waited for the next.
        until("it is told or joined", || push.peers().is_empty() || pull.stats().peers == 1);
        if pull.stats().peers == 1 {
            push.send(&round.to_be_bytes()).unwrap();
            assert_eq!(number(&recv(&pull)), round);
        }
        drop((push, pull));
        most_are_gone(&context);
    }
}
