//! A proxy between ROUTER and DEALER: a queue in front of two services, with a capture and a control.
//!
//! Clients and services know the address of the proxy alone; how many there are on the other side is none of their
//! business.

use std::{collections::BTreeSet, thread};

use anyhow::Result;
use nought::{Context, Dealer, Proxy, Pull, Push, Rep, Req, Router};

const CLIENTS: usize = 3;
const REQUESTS: usize = 100;

fn main() -> Result<()> {
    let context = Context::new();
    let frontend = context.socket::<Router>()?;
    let for_clients = frontend.bind("tcp://127.0.0.1:*")?;
    let backend = context.socket::<Dealer>()?;
    let for_services = backend.bind("ipc://*")?;

    // An observer that gets a copy of each message. What does not fit into its queue is dropped for it, and counted.
    let observer = context.socket_builder::<Pull>().recv_hwm(0).build()?;
    observer.bind("inproc://observer")?;
    let capture = context.socket_builder::<Push>().send_hwm(0).build()?;
    capture.connect("inproc://observer")?;

    let (proxy, control) = Proxy::new(&frontend, &backend).capture(&capture).controlled()?;
    thread::scope(|scope| {
        let running = scope.spawn(|| proxy.run());
        for name in ["first", "second"] {
            scope.spawn(|| serve(&context, &for_services, name));
        }
        let ask = || ask(&context, &for_clients);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        let mut services = BTreeSet::new();
        let answers: Result<Vec<_>> = clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        control.terminate();
        let ended = running.join().expect("no panic");
        // The services wait for another request; this ends them.
        context.shutdown();
        answers?.into_iter().for_each(|answered_by| services.extend(answered_by));
        ended?;

        let statistics = control.statistics();
        let total = (CLIENTS * REQUESTS) as u64;
        assert_eq!((statistics.to_backend.messages, statistics.to_frontend.messages), (total, total));
        assert_eq!(statistics.capture_dropped, 0);
        assert_eq!(capture.stats().totals.messages_out, 2 * total);
        assert_eq!(services, BTreeSet::from(["first".to_owned(), "second".to_owned()]));
        println!("{total} requests and as many replies went through; both services took part");
        Ok(())
    })
}

/// Answers each request with its own name.
fn serve(context: &Context, endpoint: &str, name: &str) -> Result<()> {
    let service = context.socket::<Rep>()?;
    service.connect(endpoint)?;
    loop {
        service.recv()?;
        service.send(name)?;
    }
}

/// Asks, and returns the names of those who answered.
fn ask(context: &Context, endpoint: &str) -> Result<BTreeSet<String>> {
    let client = context.socket::<Req>()?;
    client.connect(endpoint)?;
    let mut answered_by = BTreeSet::new();
    for _ in 0..REQUESTS {
        client.send("who are you?")?;
        answered_by.insert(String::from_utf8_lossy(client.recv()?.as_slice()).into_owned());
    }
    Ok(answered_by)
}
