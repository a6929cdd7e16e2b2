mod support;
use nought::*;
use std::{
    thread,
    time::{Duration, Instant},
};
use support::*;

#[test]
fn inproc_sub_after_connect() {
    let _w = watchdog(Duration::from_secs(20));
    let ctx = Context::new();
    let (publ, sub) = connected::<Pub, Sub>(&ctx, Transport::Inproc);
    sub.subscribe("a").unwrap();
    publ.send("a1").unwrap();
    assert_eq!(recv(&sub), "a1");
}

#[test]
fn large_no_spin() {
    let _w = watchdog(Duration::from_secs(40));
    for t in Transport::KERNEL {
        let ctx = Context::new();
        let pull = ctx.socket_builder::<Pull>().spin(Duration::ZERO).build().unwrap();
        let push = ctx.socket::<Push>().unwrap();
        connect(&pull, &push, t);
        for len in [100_000, 300_000, 1 << 20, 20 << 20] {
            for i in 0..20 {
                push.send(body(i, len)).unwrap();
            }
            for i in 0..20 {
                let m = pull.recv_timeout(Duration::from_secs(5)).unwrap_or_else(|e| panic!("{t} {len} {i}: {e}"));
                assert_eq!(number(&m), i);
            }
        }
    }
}

#[test]
fn many_subscriptions_arrive() {
    let _w = watchdog(Duration::from_secs(60));
    for t in Transport::ALL {
        let ctx = Context::new();
        let (publ, sub) = connected::<Pub, Sub>(&ctx, t);
        for i in 0..100_000 {
            sub.subscribe(format!("a rather long topic to fill buffers {i}")).unwrap();
        }
        let start = Instant::now();
        while publ.stats().subscriptions != 100_000 {
            assert!(start.elapsed() < Duration::from_secs(10), "{t}: {}", publ.stats().subscriptions);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn followers() {
    let _w = watchdog(Duration::from_secs(60));
    for t in Transport::ALL {
        let ctx = Context::new();
        let (pull, push) = connected::<Pull, Push>(&ctx, t);
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| while recv(&pull) != "end" {});
            }
            for i in 0..20_000_u64 {
                push.send(&i.to_be_bytes()).unwrap();
                if i % 7 == 0 {
                    thread::sleep(Duration::from_micros(i % 200));
                }
            }
            for _ in 0..4 {
                push.send("end").unwrap();
            }
        });
    }
}

#[test]
fn inproc_gone_pushers_are_forgotten() {
    let _w = watchdog(Duration::from_secs(20));
    let ctx = Context::new();
    let pull = ctx.socket::<Pull>().unwrap();
    let e = pull.bind("inproc://gone").unwrap();
    for round in 0..10_u64 {
        let push = ctx.socket::<Push>().unwrap();
        push.connect(&e).unwrap();
        for i in 0..100_u64 {
            push.send(&i.to_be_bytes()).unwrap();
        }
        let _ = recv(&pull);
        for i in 0..100_u64 {
            push.send(&i.to_be_bytes()).unwrap();
        }
        push.close();
        for _ in 0..199 {
            recv(&pull);
        }
        println!("{round} {:?}", pull.stats().peers);
    }
    assert!(pull.try_recv().is_err());
    assert_eq!(pull.stats().peers, 0);
}

#[test]
fn blocked_router_idles() {
    let _w = watchdog(Duration::from_secs(20));
    let ctx = Context::new();
    let router = ctx.socket_builder::<Router>().router_mandatory(true).send_hwm(1).build().unwrap();
    let e = router.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = raw::RawPeer::connect(&e).shake_hands("DEALER");
    raw.send(&raw::frame(false, b"x"));
    let id = recv(&router)[0].clone();
    let big = Frame::from(vec![0; 1 << 20]);
    while router.try_send([id.clone(), big.clone()]).is_ok() {}
    let cpu = support::proc::cpu_time();
    let r = router.send_timeout([id.clone(), big.clone()], Duration::from_secs(1));
    println!("{:?} cpu {:?}", r, support::proc::cpu_time() - cpu);
}

#[test]
fn after_shutdown() {
    let _w = watchdog(Duration::from_secs(20));
    let ctx = Context::new();
    let (pull, push) = connected::<Pull, Push>(&ctx, Transport::Tcp);
    push.send("x").unwrap();
    until("there", || pull.peers()[0].recv_queue_len == 1);
    ctx.shutdown();
    println!("{:?} {:?} {:?}", push.send("y"), pull.recv(), pull.try_recv());
}
