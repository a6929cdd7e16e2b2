mod support;
use nought::*;
use std::{
    sync::atomic::*,
    thread,
    time::{Duration, Instant},
};
use support::{rng::Rng, *};

#[test]
fn poller_window() {
    let _w = watchdog(Duration::from_secs(100));
    for t in [Transport::Tcp, Transport::Inproc] {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, t);
        let go = AtomicU64::new(0);
        let lost = AtomicU64::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                let mut rng = Rng::new(7);
                for i in 1..=1500 {
                    while go.load(Ordering::SeqCst) < i {
                        std::hint::spin_loop();
                    }
                    let d = rng.below(60_000);
                    let st = Instant::now();
                    while st.elapsed() < Duration::from_nanos(d) {}
                    push.send("x").unwrap();
                }
            });
            for i in 1..=1500 {
                thread::sleep(Duration::from_millis(12));
                let mut poller = Poller::new().unwrap();
                poller.add(&pull, Readiness::READABLE).unwrap();
                go.store(i, Ordering::SeqCst);
                let st = Instant::now();
                let r = poller.poll(Some(Duration::from_millis(500))).unwrap();
                if r.is_empty() || st.elapsed() > Duration::from_millis(100) {
                    lost.fetch_add(1, Ordering::SeqCst);
                    println!("{t} {i}: {:?} after {:?}", r, st.elapsed());
                }
                recv(&pull);
            }
        });
        println!("{t}: lost {lost:?}");
    }
}
