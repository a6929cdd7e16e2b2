//! Sockets in event loops of others: the descriptor, one wait for many, calls that a signal ends, and a message that is
//! given frame by frame.

mod support;

use std::{
    io,
    os::fd::BorrowedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{pthread::pthread_kill, pthread::pthread_self, signal},
};
use nought::{
    Context, Dealer, Pair, PollItem, Proxy, Pull, Push, Readiness, RecvError, Rep, Req, Router, SendErrorKind,
    SocketError, poll_with,
};
use support::{PATIENCE, Transport, connected, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// Whether the descriptor is readable within that time.
fn is_readable(descriptor: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut items = [PollFd::new(descriptor, PollFlags::POLLIN)];
    poll(&mut items, PollTimeout::try_from(timeout).unwrap()).unwrap() > 0
}

/// Waits as an event loop does: looks, and sleeps until the descriptor says that it is worth looking again.
fn wait_for_message(socket: &nought::Socket<Pull>) {
    let deadline = Instant::now() + PATIENCE;
    while !socket.readiness().readable {
        let descriptor = socket.descriptor().unwrap();
        assert!(is_readable(descriptor, deadline.saturating_duration_since(Instant::now())), "nobody told");
    }
}

#[test]
fn the_descriptor_tells_of_each_message_that_comes_after_a_look() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        pull.descriptor().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..200 {
                    push.send("x").unwrap();
                    // Now while the reader has the socket, now when it has been handed back to the driver.
                    thread::sleep(Duration::from_millis(if round % 20 == 0 { 25 } else { 0 }));
                }
            });
            for _ in 0..200 {
                wait_for_message(&pull);
                recv(&pull);
            }
        });
        assert!(!pull.readiness().readable);
        assert!(!is_readable(pull.descriptor().unwrap(), Duration::ZERO), "{transport}: a loop would spin");
    }
}

#[test]
fn the_descriptor_tells_of_room() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    let descriptor = push.descriptor().unwrap();
    assert!(!push.readiness().writable);
    assert!(!is_readable(descriptor, Duration::ZERO));
    let pull = context.socket::<Pull>().unwrap();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    assert!(is_readable(descriptor, PATIENCE));
    until("there is room", || push.readiness().writable);
}

/// There is room for another peer all the time, so that the socket is writable before and after.
#[test]
fn the_descriptor_tells_of_room_for_the_peer_that_had_none() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().router_mandatory(true).send_hwm(1).build().unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let dealer = |name: &str| {
        let dealer = context.socket_builder::<Dealer>().routing_id(name).recv_hwm(1).build().unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer.send("here").unwrap();
        assert_eq!(recv(&router)[0], *name);
        dealer
    };
    let (slow, _other) = (dealer("slow"), dealer("other"));
    let descriptor = router.descriptor().unwrap();
    let body = "x".repeat(100_000);
    let mut sent = 0;
    until("there is no room for one, and none comes", || {
        let refused = router.try_send(["slow", body.as_str()]).inspect(|()| sent += 1).is_err();
        refused && {
            assert!(router.readiness().writable);
            // Handed back to the driver, which sees the room before anybody waits for the descriptor. The transport may
            // have taken more by then, and it is filled once more.
            thread::sleep(Duration::from_millis(100));
            !is_readable(descriptor, Duration::ZERO)
        }
    });
    (0..sent).for_each(|_| drop(recv(&slow)));
    thread::sleep(Duration::from_millis(100));
    assert!(is_readable(descriptor, PATIENCE), "nobody told");
    assert!(router.readiness().writable);
    router.try_send(["slow", "x"]).unwrap();
    assert_eq!(recv(&slow), "x");
    assert!(router.readiness().writable);
    assert!(!is_readable(descriptor, Duration::ZERO), "a loop would spin");
}

#[test]
fn the_descriptor_tells_of_the_end() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let descriptor = pull.descriptor().unwrap();
    assert!(!pull.readiness().readable);
    context.shutdown();
    assert!(is_readable(descriptor, PATIENCE));
    assert_eq!(pull.try_recv(), Err(RecvError::Terminated));
}

#[test]
fn a_refused_receive_is_a_look() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Tcp);
    let descriptor = pull.descriptor().unwrap();
    push.send("x").unwrap();
    assert!(is_readable(descriptor, PATIENCE));
    until("it has come", || pull.try_recv().is_ok());
    assert_eq!(pull.try_recv(), Err(RecvError::WouldBlock));
    assert!(!is_readable(descriptor, Duration::ZERO), "who receives until nothing is left would spin");
}

/// Sleeps with the system's poll.
fn sleep(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let mut items: Vec<_> = descriptors.iter().map(|&each| PollFd::new(each, PollFlags::POLLIN)).collect();
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| PollTimeout::try_from(timeout).unwrap());
    poll(&mut items, timeout)?;
    Ok(false)
}

#[test]
fn one_wait_for_many_sockets() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pairs: Vec<_> = (0..3).map(|_| connected::<Pull, Push>(&context, transport)).collect();
        let wait = |timeout| {
            let mut items: Vec<_> = pairs.iter().map(|(pull, _)| PollItem::new(pull, Readiness::READABLE)).collect();
            let ready = poll_with(&mut items, timeout, sleep).unwrap();
            (ready, items.iter().position(|item| item.readiness().readable))
        };
        assert_eq!(wait(Some(Duration::from_millis(1))), (0, None));
        thread::scope(|scope| {
            for round in 0..50 {
                let (pull, push) = &pairs[round % pairs.len()];
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(u64::from(round % 10 == 0)));
                    push.send("x").unwrap();
                });
                assert_eq!(wait(Some(PATIENCE)), (1, Some(round % pairs.len())), "{transport}");
                recv(pull);
            }
        });
    }
}

#[test]
fn what_ends_the_sleep_ends_the_wait() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let mut items = [PollItem::new(&pull, Readiness::READABLE)];
    let own = |_: &[BorrowedFd<'_>], _| Ok(true);
    assert_eq!(poll_with(&mut items, None, own).unwrap(), 0);
    let refused = |_: &[BorrowedFd<'_>], _| Err(io::ErrorKind::Interrupted.into());
    assert_eq!(poll_with(&mut items, None, refused).unwrap_err().kind(), io::ErrorKind::Interrupted);
}

#[test]
fn a_sleep_that_panics_leaves_the_socket_to_the_driver() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut items = [PollItem::new(&pull, Readiness::READABLE)];
    let sleep = |descriptors: &[BorrowedFd<'_>], _| {
        assert!(descriptors.is_empty(), "on purpose");
        Ok(false)
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| poll_with(&mut items, None, sleep)));
    assert!(panicked.is_err());
    push.connect(&endpoint).unwrap();
    until("the driver accepts the peer", || pull.stats().peers == 1);
}

extern "C" fn on_signal(_: i32) {}

/// Sends signals to this thread until `call` has returned.
fn while_signalled<T>(call: impl FnOnce() -> T) -> T {
    let action = signal::SigAction::new(
        signal::SigHandler::Handler(on_signal),
        signal::SaFlags::empty(),
        signal::SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { signal::sigaction(signal::Signal::SIGUSR1, &action) }.unwrap();
    let caller = pthread_self();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(Duration::from_millis(5)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                pthread_kill(caller, signal::Signal::SIGUSR1).unwrap();
            }
        });
        let result = call();
        drop(done);
        result
    })
}

#[test]
fn a_signal_ends_the_calls_of_a_socket_that_says_so() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pair = context.socket_builder::<Pair>().interruptible(true).build().unwrap();
    assert_eq!(while_signalled(|| pair.recv()), Err(RecvError::Interrupted));
    assert_eq!(while_signalled(|| pair.send("x")).unwrap_err().kind(), SendErrorKind::Interrupted);
    let other = context.socket::<Pair>().unwrap();
    let timeout = Duration::from_millis(100);
    assert_eq!(while_signalled(|| other.recv_timeout(timeout)), Err(RecvError::TimedOut));
}

#[test]
fn what_a_proxy_holds_when_a_signal_ends_it_is_counted() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let from = context.socket_builder::<Pull>().interruptible(true).build().unwrap();
    let (push, to) = (context.socket::<Push>().unwrap(), context.socket::<Push>().unwrap());
    push.connect(&from.bind("inproc://from").unwrap()).unwrap();
    (0..3).for_each(|_| push.send("x").unwrap());
    let (proxy, control) = Proxy::new(&from, &to).controlled().unwrap();
    let error = while_signalled(|| proxy.run()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!((control.statistics().to_backend.dropped, to.stats().totals.lost), (3, 3));
}

#[test]
fn a_message_is_checked_by_its_first_frame() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (req, rep) = connected::<Req, Rep>(&context, Transport::Tcp);
    assert_eq!(rep.try_check_send(b"x"), Err(SendErrorKind::OutOfTurn));
    assert_eq!(req.check_send(b"x"), Ok(()));
    req.send("x").unwrap();
    assert_eq!(req.try_check_send(b"x"), Err(SendErrorKind::OutOfTurn));
    recv(&rep);
    assert_eq!(rep.try_check_send(b"x"), Ok(()));

    let dealer = context.socket::<Dealer>().unwrap();
    assert_eq!(dealer.try_check_send(b"x"), Err(SendErrorKind::WouldBlock));
    let router = context.socket_builder::<Router>().router_mandatory(true).build().unwrap();
    assert_eq!(router.check_send(b"nobody"), Err(SendErrorKind::Unroutable));
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| dealer.check_send(b"x"));
        dealer.connect(&endpoint).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

#[test]
fn any_option_changes_on_a_living_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (dealer, router) = (context.socket::<Dealer>().unwrap(), context.socket::<Router>().unwrap());
    dealer.reconfigure(|options| options.routing_id("anna").send_hwm(3)).unwrap();
    assert_eq!(dealer.settings().send_hwm, 3);
    dealer.connect(&router.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    dealer.send("x").unwrap();
    assert_eq!(recv(&router)[0], *"anna");
    let refused = dealer.reconfigure(|options| options.heartbeat_interval(Some(Duration::ZERO)).send_hwm(4));
    assert!(matches!(refused, Err(SocketError::Option(_))));
    assert_eq!(dealer.settings().send_hwm, 3, "nothing was changed");
}

#[test]
fn a_change_of_options_may_use_the_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context.socket::<Dealer>().unwrap();
    let double = |options: nought::SocketBuilder<Dealer>| options.send_hwm(2 * dealer.settings().send_hwm);
    dealer.reconfigure(double).unwrap();
    assert_eq!(dealer.settings().send_hwm, 2000);
}

#[test]
fn changes_of_several_threads_are_all_in_force() {
    const CHANGES: u32 = 1000;
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let dealer = context.socket_builder::<Dealer>().send_hwm(0).build().unwrap();
    let count = |options: nought::SocketBuilder<Dealer>| options.send_hwm(dealer.settings().send_hwm + 1);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..CHANGES).for_each(|_| dealer.reconfigure(count).unwrap()));
        }
    });
    assert_eq!(dealer.settings().send_hwm, 2 * CHANGES);
}

#[test]
fn a_router_becomes_raw_while_it_has_no_connection() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket::<Router>().unwrap();
    router.reconfigure(|options| options.router_raw(true)).unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = std::net::TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    io::Write::write_all(&mut peer, b"not ZMTP").unwrap();
    assert_eq!(recv(&router)[1], *"not ZMTP");
}

#[test]
fn a_router_that_has_become_raw_is_joined_by_nobody_of_its_process() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket::<Router>().unwrap();
    router.bind("inproc://raw").unwrap();
    router.reconfigure(|options| options.router_raw(true)).unwrap();
    let dealer = context.socket::<Dealer>().unwrap();
    dealer.connect("inproc://raw").unwrap();
    assert_eq!((router.stats().peers, dealer.stats().peers), (0, 0));
    assert_eq!(router.stats().totals.handshake_failures, 1);
}

#[test]
fn a_socket_that_is_shut_down_refuses_everything() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pull.recv());
        thread::sleep(Duration::from_millis(20));
        pull.shutdown();
        assert_eq!(waiting.join().unwrap(), Err(RecvError::Terminated));
    });
    assert!(pull.is_shut_down());
    assert!(context.socket::<Pull>().is_ok(), "the context goes on");
}
