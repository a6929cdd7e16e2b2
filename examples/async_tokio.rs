//! Asynchronous code on tokio: tasks in the place of threads, time-outs, streams and sinks.
//!
//! nought's feature `tokio` registers the sockets with the runtime, so that a message wakes the thread that runs the
//! task, and no other. Without it, or on another executor, the same program works through nought's own thread.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt, StreamExt};
use nought::{Context, Message, Pull, Push, Rep, Req};
use tokio::{task::JoinSet, time::timeout};

#[tokio::main]
async fn main() -> Result<()> {
    requests().await?;
    streams().await
}

/// Ten clients ask one service, all at the same time.
async fn requests() -> Result<()> {
    let context = Context::new();
    let service = context.socket::<Rep>()?;
    let endpoint = service.bind("tcp://127.0.0.1:*")?;
    let serving = tokio::spawn(async move {
        while let Ok(request) = service.recv_async().await {
            if service.send_async(request).await.is_err() {
                return;
            }
        }
    });

    let mut clients = JoinSet::new();
    for number in 0..10 {
        let (context, endpoint) = (context.clone(), endpoint.clone());
        clients.spawn(async move { ask(&context, &endpoint, number).await });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    // Ends the service's wait; dropping its task would do as well.
    context.shutdown();
    serving.await?;
    println!("ten clients were answered");
    Ok(())
}

async fn ask(context: &Context, endpoint: &str, number: u32) -> Result<()> {
    let client = context.socket::<Req>()?;
    client.connect(endpoint)?;
    for round in 0..10 {
        let request = format!("{number}, round {round}");
        client.send_async(&request).await?;
        // A future that is dropped by the time-out has taken no message.
        let reply = timeout(Duration::from_secs(10), client.recv_async()).await.context("no reply")??;
        assert_eq!(reply, request.as_str());
    }
    Ok(())
}

/// A socket as a `Sink`, another one as a `Stream`.
async fn streams() -> Result<()> {
    let context = Context::new();
    let pull = context.socket::<Pull>()?;
    pull.bind("inproc://numbers")?;
    let push = context.socket::<Push>()?;
    push.connect("inproc://numbers")?;

    let sending = tokio::spawn(async move {
        let mut sink = push.sink();
        for number in 0..5000_u32 {
            sink.feed(Message::from(&number.to_be_bytes())).await?;
        }
        sink.flush().await
    });
    let numbers: Vec<Message> =
        pull.messages().take(5000).map(|message| message.expect("it is not shut down")).collect().await;
    sending.await??;
    for (number, message) in (0..).zip(&numbers) {
        assert_eq!(*message, u32::to_be_bytes(number));
    }
    println!("{} messages came in order", numbers.len());
    Ok(())
}
