//! Whoever waits for the only peer within the process watches its pipe, and is told of nothing meanwhile. Whatever else
//! happens to the socket, nothing that comes is left there, and nobody else who waits for it.

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Poller, Pull, Push, Readiness, Rep, Req};

/// Nothing takes that long.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_second_peer_comes_and_goes() {
    const ROUND_TRIPS: usize = 20;
    for round in 0..200_usize {
        let context = Context::new();
        let rep = context.socket::<Rep>().unwrap();
        let endpoint = rep.bind("inproc://a").unwrap();
        let ask = |round_trips: usize| {
            let req = context.socket::<Req>().unwrap();
            req.connect(&endpoint).unwrap();
            for number in 0..round_trips {
                req.send(&number.to_be_bytes()).unwrap();
                assert_eq!(req.recv_timeout(LIMIT).unwrap().as_slice(), number.to_be_bytes());
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..=ROUND_TRIPS {
                    let request = rep.recv_timeout(LIMIT).unwrap();
                    rep.send(&request).unwrap();
                }
            });
            scope.spawn(|| ask(ROUND_TRIPS));
            // At another moment each time.
            (0..round * 100).for_each(|_| std::hint::spin_loop());
            ask(1);
        });
    }
}

#[test]
fn others_receive_from_the_same_socket() {
    const EACH: usize = 5000;
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().recv_hwm(1).build().unwrap();
    let push = context.socket_builder::<Push>().send_hwm(1).build().unwrap();
    push.connect(&pull.bind("inproc://b").unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3 * EACH {
                push.send_timeout(b"x", LIMIT).unwrap();
                (0..number * 7 % 1000).for_each(|_| std::hint::spin_loop());
            }
        });
        for _ in 0..2 {
            scope.spawn(|| (0..EACH).for_each(|_| drop(pull.recv_timeout(LIMIT).unwrap())));
        }
        let mut poller = Poller::new().unwrap();
        poller.add(&pull, Readiness::READABLE).unwrap();
        let mut received = 0;
        while received < EACH {
            let began = Instant::now();
            let is_ready = !poller.poll(Some(LIMIT)).unwrap().is_empty();
            assert!(is_ready, "told of nothing for {:?} after {received}", began.elapsed());
            received += usize::from(pull.try_recv().is_ok());
        }
    });
}

#[test]
fn what_a_peer_sends_before_it_closes_is_received() {
    for round in 0..300_usize {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind("inproc://c").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let push = context.socket::<Push>().unwrap();
                push.connect(&endpoint).unwrap();
                for number in 0..5 {
                    (0..round * number * 10).for_each(|_| std::hint::spin_loop());
                    push.send(b"x").unwrap();
                }
            });
            (0..5).for_each(|_| drop(pull.recv_timeout(LIMIT).unwrap()));
        });
    }
}

#[test]
fn the_end_of_a_context_ends_a_wait() {
    for round in 0..100_usize {
        let context = Context::new();
        let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        push.connect(&pull.bind("inproc://d").unwrap()).unwrap();
        push.send(b"x").unwrap();
        pull.recv_timeout(LIMIT).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pull.recv_timeout(LIMIT));
            (0..round * 100).for_each(|_| std::hint::spin_loop());
            context.shutdown();
            assert!(matches!(waiting.join(), Ok(Err(nought::RecvError::Terminated))));
        });
    }
}
