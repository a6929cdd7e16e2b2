//! Proxies: both directions, those that cannot be, capture, control, statistics, and how they end.

mod support;

use std::{
    io,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use nought::{
    Context, Dealer, Kind, Proxy, ProxyControl, Pub, Pull, Push, RecvError, Rep, Req, Router, Socket, Stream, Sub,
    XPub, XSub,
};
use support::{PATIENCE, Transport, proc::cpu_time_of, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(30);

/// Ends the proxy when the test does, however that ends.
struct Terminates<'c>(&'c ProxyControl);

impl Drop for Terminates<'_> {
    fn drop(&mut self) {
        self.0.terminate();
    }
}

/// The sockets of a streamer and of those at its ends, in the order that messages take.
struct Streamer {
    push: Socket<Push>,
    from: Socket<Pull>,
    to: Socket<Push>,
    pull: Socket<Pull>,
}

impl Streamer {
    fn new(context: &Context) -> Self {
        let (from, to) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        let (push, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
        push.connect(&from.bind("inproc://from").unwrap()).unwrap();
        pull.connect(&to.bind("inproc://to").unwrap()).unwrap();
        Self { push, from, to, pull }
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
    let Streamer { push, from, to, pull } = Streamer::new(&context);
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
    let Streamer { push, from, to, pull } = Streamer::new(&context);
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
fn a_capture_that_is_to_see_all_is_waited_for() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let Streamer { push, from, to, pull } = Streamer::new(&context);
    let capture = context.socket::<Push>().unwrap();
    let endpoint = capture.bind("inproc://capture").unwrap();
    let (proxy, control) = Proxy::new(&from, &to).capture_all(&capture).controlled().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| proxy.run().unwrap());
        for number in 0..10_u64 {
            push.send(&number.to_be_bytes()).unwrap();
        }
        until("the proxy has the first of them", || from.stats().totals.messages_in > 0);
        assert_eq!(pull.recv_timeout(Duration::from_millis(50)).unwrap_err(), RecvError::TimedOut);
        // Somebody comes, and leaves again.
        let observer = context.socket::<Pull>().unwrap();
        observer.connect(&endpoint).unwrap();
        for number in 0..10_u64 {
            assert_eq!(recv(&observer), number.to_be_bytes());
            assert_eq!(recv(&pull), number.to_be_bytes());
        }
        assert_eq!(control.statistics().capture_dropped, 0);
        drop(observer);
        until("nobody observes", || capture.stats().peers == 0);
        push.send("held").unwrap();
        until("the proxy has it", || from.stats().totals.messages_in == 11);
        // The end of the context is seen all the same.
        context.shutdown();
        running.join().unwrap();
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

#[test]
fn one_socket_at_both_ends_goes_on_when_its_peer_has_room() {
    const MESSAGES: usize = 1000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let mirror = context.socket_builder::<Dealer>().send_hwm(1).build().unwrap();
    let dealer = context.socket_builder::<Dealer>().recv_hwm(1).build().unwrap();
    dealer.connect(&mirror.bind("inproc://mirror").unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| nought::proxy(&mirror, &mirror).unwrap());
        (0..MESSAGES).for_each(|_| dealer.send("hello").unwrap());
        (0..MESSAGES).for_each(|_| assert_eq!(recv(&dealer), "hello"));
        context.shutdown();
    });
}

/// Asserts that a proxy sleeps while what it holds has no room.
fn assert_sleeps(thread_name: &str) {
    const LOOKED_AT: Duration = Duration::from_millis(400);
    let (start, used) = (Instant::now(), cpu_time_of(thread_name));
    thread::sleep(LOOKED_AT);
    let used = cpu_time_of(thread_name) - used;
    assert!(used < LOOKED_AT / 4, "{used:?} of {:?}", start.elapsed());
}

/// Runs a proxy, in a thread that is called `name`, while `meanwhile` runs.
fn with_proxy<F: Kind, B: Kind>(
    name: &str,
    front: &Socket<F>,
    back: &Socket<B>,
    meanwhile: impl FnOnce(&ProxyControl),
) {
    let (proxy, control) = Proxy::new(front, back).controlled().unwrap();
    thread::scope(|scope| {
        thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, || proxy.run().unwrap()).unwrap();
        let _end = Terminates(&control);
        meanwhile(&control);
    });
}

#[test]
fn before_a_router_whose_peer_is_full_it_sleeps_and_the_other_direction_goes_on() {
    const MESSAGES: usize = 10;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().router_mandatory(true).send_hwm(1).build().unwrap();
    let (services, service) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
    router.bind("inproc://router").unwrap();
    service.connect(&services.bind("inproc://services").unwrap()).unwrap();
    let [stuck, free] = ["stuck", "free"].map(|name| {
        let dealer = context.socket_builder::<Dealer>().routing_id(name).recv_hwm(1).build().unwrap();
        dealer.connect("inproc://router").unwrap();
        dealer
    });
    with_proxy("full-router", &router, &services, |control| {
        (0..MESSAGES).for_each(|_| service.send(["stuck", "reply"]).unwrap());
        until("the peer is full", || control.statistics().to_frontend.messages == 2);
        assert_sleeps("full-router");
        free.send("request").unwrap();
        assert_eq!(recv(&service)[1], *"request");
        assert_sleeps("full-router");
        (0..MESSAGES).for_each(|_| assert_eq!(recv(&stuck), "reply"));
        service.send(["free", "reply"]).unwrap();
        assert_eq!(recv(&free), "reply");
    });
}

#[test]
fn before_a_stream_whose_peer_does_not_read_it_sleeps() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let stream = context.socket_builder::<Stream>().send_hwm(1).linger(Some(Duration::ZERO)).build().unwrap();
    let (back, service) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    service.connect(&back.bind("inproc://back").unwrap()).unwrap();
    with_proxy("full-stream", &stream, &back, |control| {
        let _peers = ["stuck", "free"].map(|_| TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap());
        let [stuck, _free] = ["stuck", "free"].map(|_| recv(&service)[0].clone());
        let forwarded = || control.statistics().to_frontend.messages;
        let body = vec![0; 1 << 20];
        let start = Instant::now();
        let mut sent = 0;
        // Until the proxy has one that it cannot hand on.
        while sent < 2 || forwarded() == sent {
            assert!(start.elapsed() < PATIENCE, "the peer takes {sent} MiB without reading");
            service.send(vec![stuck.clone(), body.clone().into()]).unwrap();
            sent += 1;
            let sent_at = Instant::now();
            while forwarded() < sent && sent_at.elapsed() < Duration::from_millis(300) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        assert_sleeps("full-stream");
    });
}
