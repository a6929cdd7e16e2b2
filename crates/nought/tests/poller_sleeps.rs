//! A poller sleeps while nothing it was asked for has happened, and ends with the context.

mod support;

use std::{
    io::pipe,
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Dealer, Pair, Poller, Proxy, Readiness, Router};
use support::{Transport, connected, proc::thread_cpu_time, watchdog};

const LIMIT: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(400);
/// What may be used of it.
const USED_MAX: Duration = Duration::from_millis(150);
const NOTHING: Readiness = Readiness { readable: false, writable: false };

fn assert_sleeps(poller: &mut Poller<'_>) {
    let (start, used) = (Instant::now(), thread_cpu_time());
    assert_eq!(poller.poll(Some(WAIT)).unwrap(), []);
    assert!(start.elapsed() >= WAIT);
    let used = thread_cpu_time() - used;
    assert!(used < USED_MAX, "{used:?} of {:?}", start.elapsed());
}

#[test]
fn with_a_descriptor_that_has_ended_and_is_not_asked_for() {
    let _bounded = watchdog(LIMIT);
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    let mut poller = Poller::new().unwrap();
    let key = poller.add_fd(reader.as_fd(), NOTHING).unwrap();
    assert_sleeps(&mut poller);
    poller.modify(key, Readiness::READABLE).unwrap();
    assert_eq!(poller.poll(Some(WAIT)).unwrap().len(), 1);
    poller.modify(key, NOTHING).unwrap();
    assert_sleeps(&mut poller);
    // Its end is an end for whoever asks.
    poller.modify(key, Readiness::WRITABLE).unwrap();
    assert_eq!(poller.poll(Some(WAIT)).unwrap().len(), 1);
}

#[test]
fn with_another_poller_on_the_same_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pair, _other) = connected::<Pair, Pair>(&context, Transport::Tcp);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut poller = Poller::new().unwrap();
                poller.add(&pair, Readiness::READABLE).unwrap();
                assert_sleeps(&mut poller);
            });
        }
    });
}

#[test]
fn until_the_context_ends_even_if_nothing_is_asked_for() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pair, _other) = connected::<Pair, Pair>(&context, Transport::Tcp);
    thread::scope(|scope| {
        let polling = scope.spawn(|| {
            let mut poller = Poller::new().unwrap();
            poller.add(&pair, NOTHING).unwrap();
            poller.poll(None).unwrap()
        });
        thread::sleep(Duration::from_millis(50));
        context.shutdown();
        assert_eq!(polling.join().unwrap()[0].readiness, Readiness::BOTH);
    });
}

#[test]
fn paused_proxies_end_with_the_context() {
    let _bounded = watchdog(LIMIT);
    for proxies in [1, 2, 8] {
        let context = Context::new();
        let (router, dealer) = (context.socket::<Router>().unwrap(), context.socket::<Dealer>().unwrap());
        thread::scope(|scope| {
            for _ in 0..proxies {
                scope.spawn(|| {
                    let (proxy, control) = Proxy::new(&router, &dealer).controlled().unwrap();
                    control.pause();
                    proxy.run().unwrap();
                });
            }
            thread::sleep(Duration::from_millis(50));
            context.shutdown();
        });
    }
}
