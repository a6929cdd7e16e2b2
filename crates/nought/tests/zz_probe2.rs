mod support;
use nought::*;
use std::{
    thread,
    time::{Duration, Instant},
};
use support::*;

#[test]
fn tail_of_large_message() {
    let _w = watchdog(Duration::from_secs(60));
    let ctx = Context::new();
    let pull = ctx.socket_builder::<Pull>().spin(Duration::ZERO).recv_hwm(1).build().unwrap();
    let push = ctx.socket::<Push>().unwrap();
    connect(&pull, &push, Transport::Tcp);
    for round in 0..5 {
        for _ in 0..10 {
            push.send(vec![1; 20 << 20]).unwrap();
        }
        for _ in 0..10 {
            recv(&pull);
        }
        push.send("a").unwrap();
        push.send(vec![2; 5 << 20]).unwrap();
        until("a there", || pull.peers()[0].recv_queue_len == 1);
        until("all out", || push.peers()[0].send_queue_len == 0);
        println!("{:?}", push.peers()[0]);
        recv(&pull);
        let m = pull.recv_timeout(Duration::from_secs(3));
        println!("{round} {:?} {:?}", m.map(|m| m.body_len()), pull.peers()[0].counters.bytes_in);
        let _ = pull.recv_timeout(Duration::from_secs(1));
    }
}

#[test]
fn subscribed_before_connect() {
    let _w = watchdog(Duration::from_secs(60));
    for t in Transport::ALL {
        let ctx = Context::new();
        let publ = ctx.socket::<Pub>().unwrap();
        let e = publ.bind(&t.endpoint()).unwrap();
        let sub = ctx.socket::<Sub>().unwrap();
        let mon = sub.monitor();
        for i in 0..100_000 {
            sub.subscribe(format!("a rather long topic to fill buffers {i}")).unwrap();
        }
        sub.connect(&e).unwrap();
        let start = Instant::now();
        while publ.stats().subscriptions != 100_000 {
            if start.elapsed() > Duration::from_secs(2) {
                println!("{t}: {}", publ.stats().subscriptions);
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        while let Ok(e) = mon.try_recv() {
            println!("{e}");
        }
    }
}
