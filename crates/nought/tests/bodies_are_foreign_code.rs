//! The end of a body is code of whoever brought its memory, and may use the very socket that drops it: no lock is held
//! meanwhile, whyever it is dropped.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use nought::{
    CanSend, Context, Dealer, Dish, Frame, Kind, Message, Pub, Pull, Push, Radio, Rep, Req, Router, Socket,
    SocketBuilder, Sub,
};
use support::{Transport, connect, raw::RawPeer, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Bodies that are copied into the buffers, and held beside them; and bodies that travel by reference.
const LENGTHS: [usize; 2] = [100, 100_000];

/// How many bodies have ended, and done at their end what they are for.
#[derive(Clone, Default)]
struct Ends(Arc<AtomicU64>);

struct Acting<F: Fn()> {
    memory: Vec<u8>,
    act: F,
    ends: Ends,
}

impl<F: Fn()> AsRef<[u8]> for Acting<F> {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl<F: Fn()> Drop for Acting<F> {
    fn drop(&mut self) {
        (self.act)();
        self.ends.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Ends {
    /// A body that does this at its end.
    fn body(&self, len: usize, act: impl Fn() + Send + Sync + 'static) -> Frame {
        Frame::held(Bytes::from_owner(Acting { memory: vec![b'a'; len], act, ends: self.clone() }))
    }

    /// A body that looks at this socket at its end.
    fn looking_at<K: Kind>(&self, len: usize, socket: &Arc<Socket<K>>) -> Frame {
        let socket = Arc::downgrade(socket);
        self.body(len, move || {
            socket.upgrade().into_iter().for_each(|socket| assert!(socket.stats().peers < 2));
        })
    }

    /// A body that sends over this socket at its end.
    fn sending_over<K: CanSend>(&self, len: usize, socket: &Arc<Socket<K>>) -> Frame {
        let socket = Arc::downgrade(socket);
        self.body(len, move || {
            // There may be nobody any more to send to.
            socket.upgrade().into_iter().for_each(|socket| drop(socket.try_send("more")));
        })
    }

    #[track_caller]
    fn await_all(&self, count: u64) {
        until("all bodies have ended", || self.0.load(Ordering::SeqCst) == count);
    }
}

/// Does it on a thread that may hang.
fn apart(what: impl FnOnce() + Send + 'static) {
    thread::spawn(what);
}

#[test]
fn what_is_queued_for_a_connection_that_is_left() {
    let _bounded = watchdog(LIMIT);
    for (transport, len) in Transport::ALL.into_iter().flat_map(|transport| LENGTHS.map(|len| (transport, len))) {
        let context = Context::new();
        let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
        let push = Arc::new(push);
        let endpoint = transport.future_endpoint();
        push.connect(&endpoint).unwrap();
        let ends = Ends::default();
        push.send(ends.looking_at(len, &push)).unwrap();
        push.send(ends.sending_over(len, &push)).unwrap();
        let leaving = Arc::clone(&push);
        apart(move || leaving.disconnect(&endpoint).unwrap());
        ends.await_all(2);
    }
}

#[test]
fn what_is_queued_for_a_connection_that_is_lost() {
    let _bounded = watchdog(LIMIT);
    for len in LENGTHS {
        let context = Context::new();
        let push = Arc::new(context.socket::<Push>().unwrap());
        let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
        let peer = RawPeer::connect(&endpoint).shake_hands("PULL");
        until("it is there", || push.stats().peers == 1);
        let (ends, mut sent) = (Ends::default(), 0);
        // What the peer does not read fills the system's buffers first.
        while push.send_timeout(&[0; 100_000], Duration::from_millis(10)).is_ok() {}
        push.reconfigure(|options| options.send_hwm(0)).unwrap();
        for _ in 0..10 {
            push.send(ends.looking_at(len, &push)).unwrap();
            push.send(ends.sending_over(len, &push)).unwrap();
            sent += 2;
        }
        drop(peer);
        ends.await_all(sent);
    }
}

#[test]
fn what_a_publisher_has_for_a_connection_that_is_made_again() {
    let _bounded = watchdog(LIMIT);
    for len in LENGTHS {
        let context = Context::new();
        let publisher = Arc::new(context.socket::<Pub>().unwrap());
        let (listener, endpoint) = support::raw::listen();
        publisher.connect(&endpoint).unwrap();
        let mut peer = RawPeer::accept(&listener).shake_hands("SUB");
        peer.send(b"\x04\x0a\x09SUBSCRIBE");
        until("it has subscribed", || publisher.stats().subscriptions == 1);
        let ends = Ends::default();
        let mut sent = 0;
        while publisher.stats().totals.dropped_at_hwm == 0 {
            publisher.send(ends.looking_at(len, &publisher)).unwrap();
            publisher.send(&[0; 10_000]).unwrap();
            sent += 1;
        }
        drop(peer);
        ends.await_all(sent);
    }
}

#[test]
fn what_a_newer_message_replaces() {
    let _bounded = watchdog(LIMIT);
    for (transport, len) in Transport::ALL.into_iter().flat_map(|transport| LENGTHS.map(|len| (transport, len))) {
        let context = Context::new();
        let push = context.socket_builder::<Push>().conflate(true).linger(Some(Duration::ZERO));
        let push = Arc::new(push.build().unwrap());
        let pull = context.socket_builder::<Pull>().conflate(true).build().unwrap();
        let endpoint = transport.future_endpoint();
        push.connect(&endpoint).unwrap();
        if transport == Transport::Inproc {
            pull.bind(&endpoint).unwrap();
        }
        let ends = Ends::default();
        let (first, second) = (ends.looking_at(len, &push), ends.looking_at(len, &push));
        let sender = Arc::clone(&push);
        apart(move || {
            sender.send(first).unwrap();
            sender.send(second).unwrap();
            sender.send("newest").unwrap();
        });
        ends.await_all(2);
    }
}

#[test]
fn what_its_receiver_does_not_want_any_more() {
    let _bounded = watchdog(LIMIT);
    for len in LENGTHS {
        let context = Context::new();
        let (push, pull) = (Arc::new(context.socket::<Push>().unwrap()), Arc::new(context.socket::<Pull>().unwrap()));
        let endpoint = push.bind(&Transport::Inproc.endpoint()).unwrap();
        pull.connect(&endpoint).unwrap();
        let ends = Ends::default();
        for _ in 0..3 {
            push.send(ends.looking_at(len, &pull)).unwrap();
            push.send(ends.sending_over(len, &push)).unwrap();
        }
        assert!(pull.readiness().readable, "some are taken out of the pipe");
        push.send(ends.looking_at(len, &pull)).unwrap();
        push.send(ends.sending_over(len, &push)).unwrap();
        apart(move || pull.disconnect_and_discard(&endpoint).unwrap());
        ends.await_all(8);
    }
}

#[test]
fn what_is_in_the_pipe_of_a_receiver_that_closes() {
    let _bounded = watchdog(LIMIT);
    for len in LENGTHS {
        let context = Context::new();
        let (push, pull) = (Arc::new(context.socket::<Push>().unwrap()), context.socket::<Pull>().unwrap());
        connect(&*push, &pull, Transport::Inproc);
        let ends = Ends::default();
        for _ in 0..3 {
            push.send(ends.looking_at(len, &push)).unwrap();
            push.send(ends.sending_over(len, &push)).unwrap();
        }
        assert!(pull.readiness().readable, "some are taken out of the pipe");
        push.send(ends.sending_over(len, &push)).unwrap();
        apart(move || pull.close());
        ends.await_all(7);
    }
}

#[test]
fn what_was_looked_at_ahead_and_is_not_subscribed_to_any_more() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (publisher, subscriber) = (context.socket::<Pub>().unwrap(), Arc::new(context.socket::<Sub>().unwrap()));
    subscriber.subscribe("a").unwrap();
    connect(&publisher, &*subscriber, Transport::Inproc);
    until("it has subscribed", || publisher.stats().subscriptions == 1);
    let ends = Ends::default();
    // The first is looked at ahead; the second stands behind it and is passed over.
    for _ in 0..2 {
        publisher.send(ends.looking_at(100_000, &subscriber)).unwrap();
    }
    assert!(subscriber.readiness().readable);
    apart(move || {
        subscriber.unsubscribe("a").unwrap();
        assert!(subscriber.try_recv().is_err());
    });
    ends.await_all(2);
}

#[test]
fn what_was_looked_at_ahead_of_a_group_that_is_left() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (radio, dish) = (context.socket::<Radio>().unwrap(), Arc::new(context.socket::<Dish>().unwrap()));
    dish.join("group").unwrap();
    connect(&radio, &*dish, Transport::Inproc);
    until("it has joined", || radio.stats().subscriptions == 1);
    let ends = Ends::default();
    for _ in 0..2 {
        radio.send_to_group("group", ends.looking_at(100_000, &dish)).unwrap();
    }
    assert!(dish.readiness().readable);
    apart(move || {
        dish.leave("group").unwrap();
        assert!(dish.try_recv().is_err());
    });
    ends.await_all(2);
}

#[test]
fn what_another_message_is_received_over() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (push, pull) = (context.socket::<Push>().unwrap(), Arc::new(context.socket::<Pull>().unwrap()));
    connect(&push, &*pull, Transport::Inproc);
    let ends = Ends::default();
    let body = || ends.looking_at(100_000, &pull);
    push.send(body()).unwrap();
    push.send(Message::from([body(), body()])).unwrap();
    push.send(Message::from(["short", "ones"])).unwrap();
    push.send(body()).unwrap();
    push.send("short").unwrap();
    let receiver = Arc::clone(&pull);
    apart(move || {
        let mut message = Message::new();
        (0..5).for_each(|_| receiver.recv_into(&mut message).unwrap());
    });
    ends.await_all(4);
}

/// Short ones are copied, and end when all is received that was sent before the receiver came.
#[test]
fn what_is_copied_as_it_is_received() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (push, pull) = (context.socket::<Push>().unwrap(), Arc::new(context.socket::<Pull>().unwrap()));
    connect(&push, &*pull, Transport::Inproc);
    let ends = Ends::default();
    (0..3).for_each(|_| push.send(ends.looking_at(100, &pull)).unwrap());
    apart(move || (0..3).for_each(|_| drop(recv(&pull))));
    ends.await_all(3);
}

#[test]
fn what_a_batch_has_sent() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let publisher = Arc::new(context.socket::<Pub>().unwrap());
    let ends = Ends::default();
    let bodies: Vec<Frame> = (0..100).map(|_| ends.looking_at(100, &publisher)).collect();
    // Nobody subscribes.
    apart(move || assert_eq!(publisher.send_batch(bodies).unwrap(), 100));
    ends.await_all(100);
}

#[test]
fn replies_that_nobody_waits_for_and_envelopes_that_have_served() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let request = context.socket_builder::<Req>().req_relaxed(true).build().unwrap();
    let (router, request) = (context.socket::<Router>().unwrap(), Arc::new(request));
    connect(&router, &*request, Transport::Inproc);
    let ends = Ends::default();
    request.send("one").unwrap();
    let client = recv(&router)[0].clone();
    for _ in 0..2 {
        router.send(Message::from([client.clone(), Frame::new(), ends.looking_at(100_000, &request)])).unwrap();
    }
    assert!(request.readiness().readable, "one reply is looked at ahead");
    apart(move || request.send("two").unwrap());
    ends.await_all(2);

    let (dealer, reply) = (context.socket::<Dealer>().unwrap(), Arc::new(context.socket::<Rep>().unwrap()));
    connect(&dealer, &*reply, Transport::Inproc);
    let ends = Ends::default();
    dealer.send(Message::from([ends.looking_at(100_000, &reply), Frame::new(), "request".into()])).unwrap();
    dealer.send(Message::from([ends.looking_at(100_000, &reply), "no envelope".into()])).unwrap();
    dealer.send(["", "request"]).unwrap();
    let service = Arc::clone(&reply);
    apart(move || {
        recv(&service);
        service.send("reply").unwrap();
        recv(&service);
    });
    let answer = recv(&dealer);
    assert_eq!(answer.len(), 3);
    drop(answer);
    ends.await_all(2);
}

#[test]
fn what_an_option_was_set_to_while_it_is_set_otherwise() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = Arc::new(context.socket::<Dealer>().unwrap());
    let ends = Ends::default();
    let hello = ends.looking_at(100_000, &dealer);
    let changing = Arc::clone(&dealer);
    apart(move || {
        let set = |options: SocketBuilder<Dealer>| {
            changing.reconfigure(|options| options.hello_message(Some(hello))).unwrap();
            options
        };
        changing.reconfigure(set).unwrap();
    });
    ends.await_all(1);
}
