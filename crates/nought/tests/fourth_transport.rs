//! A transport of one's own, given to the context's builder: the engine uses it as it uses the others.

mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use nought::{
    BindError, ConnectError, Context, Dealer, Pull, Push, Rep, Req, Router, SocketEventKind, transport::AddressError,
};
use support::{PATIENCE, await_event, lab::Lab, recv, unique, until, watchdog};

fn context() -> Context {
    Context::builder().transport(Arc::new(Lab::default())).build().unwrap()
}

#[test]
fn messages_go_both_ways() {
    let _bounded = watchdog(Duration::from_secs(60));
    let context = context();
    let (rep, req) = (context.socket::<Rep>().unwrap(), context.socket::<Req>().unwrap());
    let endpoint = rep.bind(&format!("lab://{}", unique())).unwrap();
    req.connect(&endpoint).unwrap();
    for len in [0, 1, 300, 9000, 3_000_000] {
        let body = support::body(7, len);
        req.send(&body).unwrap();
        let request = recv(&rep);
        rep.send(request).unwrap();
        assert_eq!(recv(&req), body);
    }
    let peer = rep.peers().remove(0);
    assert_eq!(peer.peer.address.as_deref(), Some("lab://somebody"));
    assert_eq!(peer.peer.credentials, None, "this transport says nothing of it");
    assert_eq!(req.peers()[0].endpoint.as_deref(), Some(&endpoint[..]));
}

/// Where nobody listens, when the listener goes and comes back, and with a name that a thread has to look up.
#[test]
fn connections_are_made_again() {
    let _bounded = watchdog(Duration::from_secs(60));
    let context = context();
    let dealer = context
        .socket_builder::<Dealer>()
        .reconnect_interval(Some(Duration::from_millis(5)))
        .routing_id("dealer")
        .build()
        .unwrap();
    let monitor = dealer.monitor();
    dealer.connect("lab://slow").unwrap();
    await_event(&monitor, "a failure", |kind| matches!(kind, SocketEventKind::ConnectFailed { .. }).then_some(()));
    for turn in ["first", "second"] {
        let router = context.socket::<Router>().unwrap();
        router.bind("lab://slow").unwrap();
        dealer.send(turn).unwrap();
        let message = recv(&router);
        assert_eq!(message[0], *"dealer");
        assert_eq!(message[1], *turn);
        router.send(["dealer", "back"]).unwrap();
        assert_eq!(dealer.recv_timeout(PATIENCE).unwrap(), "back");
        drop(router);
        await_event(&monitor, "the loss", |kind| matches!(kind, SocketEventKind::Disconnected { .. }).then_some(()));
    }
}

#[test]
fn what_it_refuses_is_told() {
    let context = context();
    let dealer = context.socket::<Dealer>().unwrap();
    assert!(matches!(
        dealer.connect("lab://"),
        Err(ConnectError::Endpoint(_) | ConnectError::Address(AddressError::Other(_)))
    ));
    let name = format!("lab://{}", unique());
    dealer.bind(&name).unwrap();
    assert!(matches!(dealer.bind(&name), Err(BindError::Listen(_))));
    // Another context knows nothing of it.
    assert!(Context::new().socket::<Dealer>().unwrap().connect(&name).is_err());
}

/// The transport may have to ask the system whether a peer has all.
#[test]
fn a_question_that_takes_its_time_holds_nobody_up() {
    let _bounded = watchdog(Duration::from_secs(60));
    let lab = Arc::new(Lab::default());
    let delivery = Arc::clone(&lab.delivery);
    let context = Context::builder().transport(lab).build().unwrap();
    let push = context.socket::<Push>().unwrap();
    // It has the first message and does not read on, so that it does not see the end.
    let pull = context.socket_builder::<Pull>().recv_hwm(1).build().unwrap();
    let endpoint = pull.bind(&format!("lab://{}", unique())).unwrap();
    push.connect(&endpoint).unwrap();
    (0..3).for_each(|_| push.send(&[7; 10_000]).unwrap());
    until("the peer has the first", || pull.peers().first().is_some_and(|peer| peer.recv_queue_len == 1));
    let mut answer = delivery.is_done.lock().unwrap();
    push.disconnect(&endpoint).unwrap();
    until("the transport is asked", || delivery.questions.load(Ordering::SeqCst) >= 1);
    assert!(push.try_send("to nobody").is_err(), "the socket can be used meanwhile");
    assert_eq!(push.stats().peers, 1);
    drop(answer);
    until("the transport is asked again", || delivery.questions.load(Ordering::SeqCst) >= 2);
    assert_eq!(push.stats().peers, 1, "it was not delivered");
    answer = delivery.is_done.lock().unwrap();
    *answer = true;
    drop(answer);
    until("the connection is gone", || push.stats().peers == 0);
}

/// The channel becomes writable while it is written to, and has something to say by itself afterwards.
#[test]
fn room_that_comes_during_a_write_is_for_what_the_channel_says_too() {
    let _bounded = watchdog(Duration::from_secs(60));
    let lab = Arc::new(Lab::default());
    let aside = Arc::clone(&lab.aside);
    let context = Context::builder().transport(lab).build().unwrap();
    let (far, near) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
    near.connect(&far.bind(&format!("lab://{}", unique())).unwrap()).unwrap();
    until("both are connected", || far.stats().peers + near.stats().peers == 2);
    aside.comes_next.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| near.send("question").unwrap());
        assert_eq!(recv(&far), "question");
        far.send("answer").unwrap();
    });
    until("it is said", || aside.is_said.load(Ordering::SeqCst));
}
