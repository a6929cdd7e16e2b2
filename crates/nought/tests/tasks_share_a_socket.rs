//! Tasks on tokio that share a socket, leave it to others, or are not polled any more.
#![cfg(feature = "tokio")]

mod support;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, mpsc},
    task::Poll,
    thread,
    time::Duration,
};

use nought::{Context, Dealer, Pull, Push};
use support::{
    PATIENCE, Transport, connected,
    raw::{self, RawPeer},
    until, watchdog,
};
use tokio::runtime::{Builder, Runtime};

const LIMIT: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_task_that_has_finished_passes_the_watch_on() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let dealer = context.socket_builder::<Dealer>().send_hwm(1).linger(Some(Duration::ZERO)).build().unwrap();
    let dealer = Arc::new(dealer);
    dealer.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("ROUTER");
    until("it is connected", || dealer.stats().peers == 1);
    let body = vec![0; 1 << 20];
    let mut sent = 0_u64;
    let mut refused = 0;
    while refused < 20 {
        if dealer.try_send(&body).is_ok() {
            (sent, refused) = (sent + 1, 0);
        } else {
            refused += 1;
            thread::sleep(Duration::from_millis(1));
        }
    }
    let (done, is_done) = mpsc::channel();
    let (received, is_received) = mpsc::channel();
    let tasks = thread::spawn({
        let dealer = Arc::clone(&dealer);
        move || {
            runtime().block_on(async {
                let receiving = tokio::spawn({
                    let dealer = Arc::clone(&dealer);
                    async move { received.send(dealer.recv_async().await.unwrap()).unwrap() }
                });
                tokio::time::sleep(Duration::from_millis(20)).await;
                let sending = tokio::spawn(async move {
                    dealer.send_async("last").await.unwrap();
                    done.send(()).unwrap();
                });
                sending.await.unwrap();
                receiving.await.unwrap();
            });
        }
    });
    thread::sleep(Duration::from_millis(50));
    for _ in 0..sent {
        assert_eq!(peer.recv_frame().1.len(), body.len());
    }
    assert_eq!(peer.recv_frame().1, b"last");
    is_done.recv_timeout(PATIENCE).expect("the sender is woken");
    peer.send(&raw::frame(false, b"x"));
    assert_eq!(is_received.recv_timeout(PATIENCE).expect("the receiver is woken"), "x");
    tasks.join().unwrap();
}

#[test]
fn a_future_that_nobody_polls_leaves_the_socket_attended() {
    let _bounded = watchdog(LIMIT);
    let (listener, endpoint) = raw::listen();
    let context = Context::new();
    let dealer = context.socket::<Dealer>().unwrap();
    dealer.connect(&endpoint).unwrap();
    let mut peer = RawPeer::accept(&listener).shake_hands("ROUTER");
    until("it is connected", || dealer.stats().peers == 1);
    runtime().block_on(async {
        let mut waiting = pin!(dealer.recv_async());
        assert!(tokio::time::timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err());
        // This thread is the runtime, and does something else.
        for _ in 0..3 {
            peer.send(&raw::command("PING", b"\0\0"));
            let answer = peer.recv(2 + b"\x04PONG".len());
            assert!(answer.ends_with(b"PONG"), "{answer:?}");
            // And polls it in between, which claims the socket again.
            poll_fn(|context| {
                assert!(waiting.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        peer.send(&raw::frame(false, b"x"));
        assert_eq!(waiting.await.unwrap(), "x");
    });
}

#[test]
fn a_socket_moves_between_runtimes() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        let idle = runtime();
        let wait = Duration::from_millis(30);
        assert!(idle.block_on(async { tokio::time::timeout(wait, pull.recv_async()).await }).is_err());
        let (received, is_received) = mpsc::channel();
        let receiving = thread::spawn(move || {
            runtime().block_on(async {
                for _ in 0..3 {
                    received.send(pull.recv_async().await.unwrap()).unwrap();
                }
            });
        });
        for _ in 0..3 {
            thread::sleep(wait);
            push.send("x").unwrap();
            assert_eq!(is_received.recv_timeout(PATIENCE).expect("it is woken"), "x", "{transport}");
        }
        receiving.join().unwrap();
        drop(idle);
    }
}
