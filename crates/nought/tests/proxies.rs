//! Proxies: both directions, those that cannot be, capture, control, statistics, and how they end.

mod support;

use std::{io, thread, time::Duration};

use nought::{Context, Dealer, Proxy, ProxyControl, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};
use support::{Transport, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(30);

/// Ends the proxy when the test does, however that ends.
struct Terminates<'c>(&'c ProxyControl);

impl Drop for Terminates<'_> {
    fn drop(&mut self) {
        self.0.terminate();
    }
}

#[test]
fn requests_go_there_and_replies_come_back() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (router, dealer) = (context.socket::<Router>().unwrap(), context.socket::<Dealer>().unwrap());
        let (front, back) = (router.bind(&transport.endpoint()).unwrap(), dealer.bind(&transport.endpoint()).unwrap());
        let (req, rep) = (context.socket::<Req>().unwrap(), context.socket::<Rep>().unwrap());
        req.connect(&front).unwrap();
        rep.connect(&back).unwrap();
        let (proxy, control) = Proxy::new(&router, &dealer).controlled().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| proxy.run().unwrap());
            let _end = Terminates(&control);
            for number in 0..100_u64 {
                req.send(&number.to_be_bytes()).unwrap();
                rep.send(recv(&rep)).unwrap();
                assert_eq!(recv(&req), number.to_be_bytes());
            }
            until("both directions are counted", || control.statistics().to_frontend.messages == 100);
            let statistics = control.statistics();
            // An id of five bytes, a delimiter, and the body.
            assert_eq!((statistics.to_backend.messages, statistics.to_backend.bytes), (100, 100 * (5 + 8)));
            assert_eq!((statistics.to_backend.dropped, statistics.to_frontend.dropped), (0, 0));
        });
    }
}

#[test]
fn subscriptions_go_up_and_topics_down() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (xsub, xpub) = (context.socket::<XSub>().unwrap(), context.socket::<XPub>().unwrap());
    let (up, down) = (xsub.bind("tcp://127.0.0.1:*").unwrap(), xpub.bind("ipc://*").unwrap());
    let (publisher, subscriber) = (context.socket::<Pub>().unwrap(), context.socket::<Sub>().unwrap());
    publisher.connect(&up).unwrap();
    subscriber.subscribe("a").unwrap();
    subscriber.connect(&down).unwrap();
    let (proxy, control) = Proxy::new(&xsub, &xpub).controlled().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| proxy.run().unwrap());
        let _end = Terminates(&control);
        until("the subscription has come through", || publisher.stats().subscriptions == 1);
        publisher.send("b: not wanted").unwrap();
        publisher.send("a: wanted").unwrap();
        assert_eq!(recv(&subscriber), "a: wanted");
    });
}

#[test]
fn a_paused_proxy_forwards_nothing() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (from, to) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    let (push, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
    push.connect(&from.bind("inproc://from").unwrap()).unwrap();
    pull.connect(&to.bind("inproc://to").unwrap()).unwrap();
    let (proxy, control) = Proxy::new(&from, &to).controlled().unwrap();
    // Before it runs: so it hears of it before it takes anything.
    control.pause();
    thread::scope(|scope| {
        scope.spawn(|| proxy.run().unwrap());
        let _end = Terminates(&control);
        push.send("held back").unwrap();
        assert!(pull.recv_timeout(Duration::from_millis(50)).is_err());
        control.resume();
        assert_eq!(recv(&pull), "held back");
    });
}

#[test]
fn sockets_that_have_nothing_for_each_other_are_refused() {
    let context = Context::new();
    let (a, b) = (context.socket::<Pull>().unwrap(), context.socket::<Sub>().unwrap());
    let error = nought::proxy(&a, &b).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("ROUTER and DEALER"), "{error}");
}

#[test]
fn what_the_other_side_does_not_send_is_not_taken() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    // ROUTER receives and PULL does not send; PULL receives, and ROUTER sends what names a peer.
    let (router, pull) = (context.socket::<Router>().unwrap(), context.socket::<Pull>().unwrap());
    let (dealer, push) = (context.socket::<Dealer>().unwrap(), context.socket::<Push>().unwrap());
    dealer.connect(&router.bind("inproc://router").unwrap()).unwrap();
    push.connect(&pull.bind("inproc://pull").unwrap()).unwrap();
    let (proxy, control) = Proxy::new(&router, &pull).controlled().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| proxy.run().unwrap());
        let _end = Terminates(&control);
        dealer.send("stays where it is").unwrap();
        push.send("names nobody").unwrap();
        until("it is counted", || control.statistics().to_frontend.dropped == 1);
    });
    assert_eq!(control.statistics().to_backend.messages, 0);
    assert_eq!(recv(&router)[1], *"stays where it is");
}

#[test]
fn a_capture_without_room_holds_nothing_up() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (from, to) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    let (push, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
    push.connect(&from.bind("inproc://from").unwrap()).unwrap();
    pull.connect(&to.bind("inproc://to").unwrap()).unwrap();
    let capture = context.socket::<Push>().unwrap();
    let (proxy, control) = Proxy::new(&from, &to).capture(&capture).controlled().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| proxy.run().unwrap());
        let _end = Terminates(&control);
        for number in 0..10_u64 {
            push.send(&number.to_be_bytes()).unwrap();
            assert_eq!(recv(&pull), number.to_be_bytes());
        }
        until("the copies that nobody took are counted", || control.statistics().capture_dropped == 10);
    });
}

#[test]
fn one_socket_at_both_ends_answers_itself() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (mirror, dealer) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
    dealer.connect(&mirror.bind("inproc://mirror").unwrap()).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| nought::proxy(&mirror, &mirror));
        dealer.send("hello").unwrap();
        assert_eq!(recv(&dealer), "hello");
        context.shutdown();
        running.join().unwrap().unwrap();
    });
}
