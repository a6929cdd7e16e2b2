//! One caller drives a socket for all: what it finds while it waits for something else is told to those who wait for
//! that, and to the driver.

mod support;

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use nought::{Context, Dealer, Kind, Pair, Poller, Pull, Readiness, Rep, Req, Router, SendErrorKind, Socket, Sub};
use support::{
    PATIENCE, SetAtEnd, Transport, connect,
    executor::block_on,
    raw::{self, RawPeer},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);
/// So long that the leader certainly polls while the others do their part.
const SPIN: Duration = Duration::from_secs(1);
/// Time for a thread to begin to wait. Were it too short, the test would only prove less.
const A_MOMENT: Duration = Duration::from_millis(50);

fn told<T>(from: &Receiver<T>, what: &str) -> T {
    from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}"))
}

#[test]
fn a_connection_lost_while_a_receiver_polls_is_made_again() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let pull = context
        .socket_builder::<Pull>()
        .spin(Duration::from_millis(200))
        .reconnect_interval(Some(Duration::from_millis(10)))
        .build()
        .unwrap();
    pull.connect(&endpoint).unwrap();
    let first = RawPeer::accept(&listener).shake_hands("PUSH");
    until("it is connected", || pull.stats().peers == 1);
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(pull.recv().unwrap()));
    thread::sleep(A_MOMENT);
    drop(first);
    let (accepted, is_accepted) = mpsc::channel();
    thread::spawn(move || accepted.send(RawPeer::accept(&listener).shake_hands("PUSH")));
    let mut second = told(&is_accepted, "it connects again");
    second.send(&raw::frame(false, b"x"));
    assert_eq!(told(&is_done, "the message arrives"), "x");
}

fn pairs() -> (Context, Socket<Pair>, Socket<Pair>) {
    let context = Context::new();
    let bound = context.socket_builder::<Pair>().recv_hwm(1).build().unwrap();
    let pair = context.socket_builder::<Pair>().send_hwm(1).spin(SPIN).build().unwrap();
    connect(&bound, &pair, Transport::Inproc);
    while pair.try_send("fills").is_ok() {}
    (context, bound, pair)
}

/// The peer drains while one caller waits for messages, which do not come, and another for room.
fn a_sender_is_told(receive: fn(&Socket<Pair>), send: fn(&Socket<Pair>, Sender<()>)) {
    let _bounded = watchdog(LIMIT);
    let (_context, bound, pair) = pairs();
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| receive(&pair));
        thread::sleep(A_MOMENT);
        scope.spawn(|| send(&pair, done));
        thread::sleep(A_MOMENT);
        while bound.try_recv().is_ok() {}
        told(&is_done, "the sender has room");
        bound.send("ends the receiver's wait").unwrap();
    });
}

#[test]
fn a_sender_is_told_by_a_receiver_that_polls() {
    a_sender_is_told(
        |pair| drop(pair.recv().unwrap()),
        |pair, done| {
            pair.send("waits").unwrap();
            done.send(()).unwrap();
        },
    );
}

#[test]
fn a_sending_task_is_told_by_a_receiver_that_polls() {
    a_sender_is_told(
        |pair| drop(pair.recv().unwrap()),
        |pair, done| {
            block_on(pair.send_async("waits")).unwrap();
            done.send(()).unwrap();
        },
    );
}

#[test]
fn a_sender_is_told_by_a_receiving_task() {
    a_sender_is_told(
        |pair| drop(block_on(pair.recv_async()).unwrap()),
        |pair, done| {
            pair.send("waits").unwrap();
            done.send(()).unwrap();
        },
    );
}

#[test]
fn a_receiver_is_told_by_a_sender_that_polls() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let pair = context.socket_builder::<Pair>().send_hwm(1).spin(SPIN).linger(Some(Duration::ZERO)).build().unwrap();
    pair.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("PAIR");
    until("it is connected", || pair.stats().peers == 1);
    let body = vec![0; 1 << 20];
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        // Until there is no room, of which there may come some more while it goes out; then it waits, and polls.
        scope.spawn(|| {
            let refused = std::iter::repeat_with(|| pair.send(&body)).find_map(Result::err).unwrap();
            assert_eq!(refused.kind(), SendErrorKind::Terminated);
        });
        until("there is no room", || !pair.readiness().writable);
        thread::sleep(A_MOMENT);
        scope.spawn(|| done.send(pair.recv().unwrap()).unwrap());
        thread::sleep(A_MOMENT);
        peer.send(&raw::frame(false, b"x"));
        assert_eq!(told(&is_done, "the receiver has its message"), "x");
        context.shutdown();
    });
}

fn dealer(context: &Context, name: &str, endpoint: &str) -> Socket<Dealer> {
    let dealer = context.socket_builder::<Dealer>().routing_id(name).recv_hwm(1).build().unwrap();
    dealer.connect(endpoint).unwrap();
    dealer
}

/// Others who send to peers that have no room know nothing of this one's peer.
#[test]
fn a_sender_hears_of_room_though_others_find_none() {
    const MESSAGES: usize = 5_000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().router_mandatory(true).send_hwm(1).build().unwrap();
    router.bind("inproc://router").unwrap();
    let (reads, _stuck) = (dealer(&context, "reads", "inproc://router"), dealer(&context, "stuck", "inproc://router"));
    while router.try_send(["stuck", "x"]).is_ok() {}
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| (0..MESSAGES).for_each(|_| router.send(["reads", "x"]).unwrap()));
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(router.try_send(["stuck", "x"]).is_err());
            }
        });
        let _end = SetAtEnd(&is_over);
        (0..MESSAGES).for_each(|_| drop(recv(&reads)));
    });
}

/// A poller waits in a thread of its own, until `change` is made.
fn a_poller_is_told<K: Kind>(socket: &Socket<K>, interest: Readiness, change: impl FnOnce()) {
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut poller = Poller::new().unwrap();
            poller.add(socket, interest).unwrap();
            done.send(poller.poll(Some(PATIENCE * 2)).unwrap()[0].readiness)
        });
        thread::sleep(A_MOMENT);
        assert!(is_done.try_recv().is_err(), "it waits");
        change();
        assert_eq!(told(&is_done, "the poller hears of the turn"), interest);
    });
}

#[test]
fn a_poller_is_told_whose_turn_it_is_by_whoever_changes_that() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let rep = context.socket::<Rep>().unwrap();
    rep.bind("inproc://rep").unwrap();
    let requesters = ["one", "other"].map(|_| {
        let req = context.socket::<Req>().unwrap();
        req.connect("inproc://rep").unwrap();
        req
    });
    requesters.iter().for_each(|req| req.send("request").unwrap());
    a_poller_is_told(&rep, Readiness::WRITABLE, || drop(rep.try_recv().unwrap()));
    a_poller_is_told(&rep, Readiness::READABLE, || rep.try_send("reply").unwrap());
    let answered = requesters.iter().find(|req| req.readiness().readable).unwrap();
    a_poller_is_told(answered, Readiness::WRITABLE, || drop(answered.try_recv().unwrap()));
}

/// What does not match is dropped when the socket is asked whether it has a message; that makes room to read on, of which
/// the kernel does not tell again.
#[test]
fn a_subscriber_that_dropped_what_it_had_reads_on_before_it_sleeps() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let sub = context.socket_builder::<Sub>().recv_hwm(10).spin(Duration::ZERO).build().unwrap();
    sub.subscribe("wanted").unwrap();
    sub.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("PUB");
    for _ in 0..20 {
        let unwanted = raw::frame(false, &[b'x'; 100]).repeat(2_000);
        peer.send(&[unwanted, raw::frame(false, b"wanted")].concat());
        assert_eq!(recv(&sub), "wanted");
    }
}
