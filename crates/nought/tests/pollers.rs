//! The poller: several sockets and descriptors, what is asked of them, and in which order they are told.

mod support;

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use nought::{Context, Dealer, PollEvent, Poller, Pull, Push, Readiness};
use support::{PATIENCE, Transport, connected, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);
const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn those_that_are_ready_are_told_in_the_order_of_adding() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pairs: Vec<_> = (0..5).map(|_| connected::<Pull, Push>(&context, transport)).collect();
        let mut poller = Poller::new().unwrap();
        let keys: Vec<_> = pairs.iter().map(|(pull, _)| poller.add(pull, Readiness::READABLE).unwrap()).collect();
        assert_eq!(poller.poll(NOW).unwrap(), []);
        for index in [4, 0, 2] {
            pairs[index].1.send("x").unwrap();
        }
        until("all three have come", || [0, 2, 4].iter().all(|&index| pairs[index].0.readiness().readable));
        let told = |poller: &mut Poller<'_>| {
            let events = poller.poll(Some(PATIENCE)).unwrap();
            assert!(events.iter().all(|event| event.readiness == Readiness::READABLE));
            events.iter().map(|event| event.key).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut poller), [keys[0], keys[2], keys[4]], "{transport}");
        recv(&pairs[2].0);
        // What is not received is told again.
        assert_eq!(told(&mut poller), [keys[0], keys[4]], "{transport}");
        recv(&pairs[0].0);
        recv(&pairs[4].0);
        assert_eq!(poller.poll(NOW).unwrap(), []);
    }
}

#[test]
fn a_poller_that_sleeps_is_woken() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (quiet, _push) = connected::<Pull, Push>(&context, transport);
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        let (near, far) = UnixStream::pair().unwrap();
        let mut poller = Poller::new().unwrap();
        poller.add(&quiet, Readiness::READABLE).unwrap();
        let of_pull = poller.add(&pull, Readiness::READABLE).unwrap();
        let of_far = poller.add_fd(far.as_fd(), Readiness::READABLE).unwrap();
        thread::scope(|scope| {
            for round in 0..20 {
                let by_descriptor = round % 2 == 0;
                let (mut near, push) = (&near, &push);
                let sending = scope.spawn(move || {
                    // Longer than it polls before it sleeps.
                    thread::sleep(Duration::from_millis(2));
                    if by_descriptor { near.write_all(b"x").unwrap() } else { push.send("x").unwrap() }
                });
                let key = if by_descriptor { of_far } else { of_pull };
                let expected = [PollEvent { key, readiness: Readiness::READABLE }];
                assert_eq!(poller.poll(Some(PATIENCE)).unwrap(), expected, "{transport}");
                if by_descriptor {
                    (&far).read_exact(&mut [0]).unwrap();
                } else {
                    recv(&pull);
                }
                sending.join().unwrap();
            }
        });
    }
}

#[test]
fn what_is_waited_for_can_be_changed() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (near, far) = connected::<Dealer, Dealer>(&context, Transport::Inproc);
    let (here, mut there) = UnixStream::pair().unwrap();
    let mut poller = Poller::new().unwrap();
    let of_socket = poller.add(&near, Readiness::READABLE).unwrap();
    let of_descriptor = poller.add_fd(here.as_fd(), Readiness::READABLE).unwrap();
    assert_eq!(poller.poll(NOW).unwrap(), []);
    for key in [of_socket, of_descriptor] {
        poller.modify(key, Readiness::BOTH).unwrap();
    }
    let writable = |key| PollEvent { key, readiness: Readiness::WRITABLE };
    assert_eq!(poller.poll(NOW).unwrap(), [writable(of_socket), writable(of_descriptor)]);
    far.send("x").unwrap();
    there.write_all(b"x").unwrap();
    let both = |key| PollEvent { key, readiness: Readiness::BOTH };
    assert_eq!(poller.poll(Some(PATIENCE)).unwrap(), [both(of_socket), both(of_descriptor)]);
    for key in [of_socket, of_descriptor] {
        poller.modify(key, Readiness::default()).unwrap();
    }
    assert_eq!(poller.poll(NOW).unwrap(), [], "nothing is asked for");
}

#[test]
fn what_is_removed_is_told_no_more() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Inproc);
    let (here, _there) = UnixStream::pair().unwrap();
    let mut poller = Poller::new().unwrap();
    let of_socket = poller.add(&pull, Readiness::READABLE).unwrap();
    let of_descriptor = poller.add_fd(here.as_fd(), Readiness::WRITABLE).unwrap();
    push.send("x").unwrap();
    assert_eq!(poller.poll(Some(PATIENCE)).unwrap().len(), 2);
    poller.remove(of_socket).unwrap();
    assert_eq!(poller.poll(NOW).unwrap()[0].key, of_descriptor);
    poller.remove(of_descriptor).unwrap();
    assert_eq!(poller.poll(NOW).unwrap(), []);
    for key in [of_socket, of_descriptor] {
        assert_eq!(poller.remove(key).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(poller.modify(key, Readiness::BOTH).unwrap_err().kind(), ErrorKind::NotFound);
    }
    // It may come back, under another key.
    let again = poller.add(&pull, Readiness::READABLE).unwrap();
    assert_ne!(again, of_socket);
    assert_eq!(poller.poll(Some(PATIENCE)).unwrap()[0].key, again);
}

#[test]
fn what_cannot_be_added() {
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let mut poller = Poller::new().unwrap();
    poller.add(&pull, Readiness::READABLE).unwrap();
    assert_eq!(poller.add(&pull, Readiness::READABLE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let (here, _there) = UnixStream::pair().unwrap();
    poller.add_fd(here.as_fd(), Readiness::READABLE).unwrap();
    assert_eq!(poller.add_fd(here.as_fd(), Readiness::BOTH).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let file = File::open("/proc/self/exe").unwrap();
    assert!(poller.add_fd(file.as_fd(), Readiness::READABLE).is_err(), "a plain file is always ready");
}

#[test]
fn what_a_kind_cannot_do_never_becomes_ready() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Inproc);
    let mut poller = Poller::new().unwrap();
    poller.add(&pull, Readiness::WRITABLE).unwrap();
    poller.add(&push, Readiness::READABLE).unwrap();
    push.send("x").unwrap();
    assert_eq!(poller.poll(Some(Duration::from_millis(5))).unwrap(), []);
    assert_eq!(push.readiness(), Readiness::WRITABLE);
    assert_eq!(pull.readiness(), Readiness::READABLE);
    recv(&pull);
    assert_eq!(pull.readiness(), Readiness::default());
}

#[test]
fn the_end_of_a_context_and_of_a_descriptor_are_told() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let mut poller = Poller::new().unwrap();
    let of_descriptor = poller.add_fd(here.as_fd(), Readiness::READABLE).unwrap();
    let of_pull = poller.add(&pull, Readiness::READABLE).unwrap();
    drop(there);
    assert_eq!(poller.poll(Some(PATIENCE)).unwrap()[0].key, of_descriptor);
    poller.remove(of_descriptor).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            context.shutdown();
        });
        assert_eq!(poller.poll(Some(PATIENCE)).unwrap()[0].key, of_pull);
    });
    assert_eq!(pull.readiness(), Readiness::BOTH);
}
