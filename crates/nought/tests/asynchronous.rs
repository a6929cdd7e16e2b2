//! Sockets in asynchronous code on tokio, with the runtime watching them; `any_executor.rs` is for all others.
#![cfg(feature = "tokio")]

use std::{sync::Arc, time::Duration};

use nought::{Context, Pull, Push, Rep, Req};

const PATIENCE: Duration = Duration::from_secs(20);

async fn round_trips(endpoint: &str, count: u32) {
    let context = Context::new();
    let rep = context.socket::<Rep>().unwrap();
    let endpoint = rep.bind(endpoint).unwrap();
    let req = context.socket::<Req>().unwrap();
    req.connect(&endpoint).unwrap();
    let service = tokio::spawn(async move {
        for _ in 0..count {
            let request = rep.recv_async().await.unwrap();
            rep.send_async(request).await.unwrap();
        }
    });
    for number in 0..count {
        req.send_async(&number.to_be_bytes()).await.unwrap();
        assert_eq!(req.recv_async().await.unwrap(), number.to_be_bytes());
    }
    service.await.unwrap();
}

async fn stream(endpoint: &str, count: u64) {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind(endpoint).unwrap();
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    let sender = tokio::spawn(async move {
        for number in 0..count {
            push.send_async(&number.to_be_bytes()).await.unwrap();
        }
    });
    for number in 0..count {
        assert_eq!(pull.recv_async().await.unwrap(), number.to_be_bytes());
    }
    sender.await.unwrap();
}

async fn everything() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://async"] {
        tokio::time::timeout(PATIENCE, round_trips(endpoint, 2_000)).await.expect(endpoint);
        tokio::time::timeout(PATIENCE, stream(endpoint, 100_000)).await.expect(endpoint);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn works_on_one_thread() {
    everything().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_on_several_threads() {
    everything().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_future_that_is_dropped_takes_nothing() {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    for number in 0..200_u32 {
        assert!(tokio::time::timeout(Duration::from_micros(u64::from(number)), pull.recv_async()).await.is_err());
        push.send_async(&number.to_be_bytes()).await.unwrap();
        assert_eq!(pull.recv_async().await.unwrap(), number.to_be_bytes());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn when_one_of_two_waiting_tasks_is_dropped_the_other_is_woken() {
    let context = Context::new();
    let pull = Arc::new(context.socket::<Pull>().unwrap());
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    for _ in 0..50 {
        let stays = tokio::spawn({
            let pull = Arc::clone(&pull);
            async move { pull.recv_async().await.unwrap() }
        });
        let goes = tokio::spawn({
            let pull = Arc::clone(&pull);
            async move { pull.recv_async().await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        goes.abort();
        assert!(goes.await.is_err());
        push.send_async("x").await.unwrap();
        assert_eq!(tokio::time::timeout(PATIENCE, stays).await.expect("it was woken").unwrap(), "x");
    }
}

#[test]
fn a_socket_outlives_a_runtime() {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let receive = async { assert_eq!(pull.recv_async().await.unwrap(), "x") };
            let send = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                push.send_async("x").await.unwrap();
            };
            tokio::time::timeout(PATIENCE, async { tokio::join!(receive, send) }).await.unwrap();
        });
    }
}
