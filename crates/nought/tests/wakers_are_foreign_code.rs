//! A waker may do anything: poll its task there and then, end it, use the socket, or panic. No lock is held meanwhile,
//! and the driver goes on; also when the memory of a message panics that ends with its socket.

mod support;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context as TaskContext, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use nought::{Context, Frame, PollItem, Pub, Pull, Push, Readiness, Socket, Sub, poll_with};
use support::{PATIENCE, Transport, connected, executor::block_on, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// An executor that polls its one task where it is woken.
struct Inline {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
}

impl Inline {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        let task = Self { future: Mutex::new(Some(Box::pin(future))), woken: AtomicBool::new(false) };
        Arc::new(task).wake();
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self));
        while self.woken.swap(false, Ordering::SeqCst) {
            // Somebody polls it just now: that one sees that it was woken.
            let Ok(mut slot) = self.future.try_lock() else { return self.woken.store(true, Ordering::SeqCst) };
            let Some(future) = slot.as_mut() else { return };
            if future.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_ready() {
                *slot = None;
            }
        }
    }
}

/// Does something when it is woken.
struct Act<F>(F);

impl<F: Fn() + Send + Sync> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

fn act(act: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Act(act)))
}

#[test]
fn a_task_is_polled_where_it_is_woken() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        let (received, is_received) = mpsc::channel();
        Inline::spawn(async move {
            loop {
                let Ok(message) = pull.recv_async().await else { return };
                received.send(message).unwrap();
            }
        });
        for number in 0..20_u32 {
            if number % 5 == 0 {
                // The driver has it by then.
                std::thread::sleep(Duration::from_millis(20));
            }
            push.send(&number.to_be_bytes()).unwrap();
            assert_eq!(is_received.recv_timeout(PATIENCE).unwrap(), number.to_be_bytes(), "{transport}");
        }
    }
}

#[test]
fn a_task_that_holds_the_last_context_ends_where_it_is_woken() {
    let _bounded = watchdog(LIMIT);
    let (ended, has_ended) = mpsc::channel();
    let other = Context::new();
    let (endpoint, is_bound) = mpsc::channel();
    Inline::spawn(async move {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        endpoint.send(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        pull.recv_async().await.unwrap();
        drop((pull, context));
        ended.send(()).unwrap();
    });
    let push = other.socket::<Push>().unwrap();
    push.connect(&is_bound.recv().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    push.send("x").unwrap();
    has_ended.recv_timeout(PATIENCE).expect("the driver does not wait for itself");
}

#[test]
fn a_waker_that_panics_ends_no_driver() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Tcp);
    let panicked = Arc::new(AtomicBool::new(false));
    let waker = act({
        let panicked = Arc::clone(&panicked);
        move || {
            panicked.store(true, Ordering::SeqCst);
            panic!("a test's waker");
        }
    });
    let mut waiting = Box::pin(pull.recv_async());
    // Until it does not poll before sleeping any more.
    for _ in 0..50 {
        assert!(waiting.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(waiting.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
    push.send("wakes").unwrap();
    until("the waker panics", || panicked.load(Ordering::SeqCst));
    drop(waiting);
    assert_driver_is_there(&context);
}

/// It is there for others, and for the end.
fn assert_driver_is_there(context: &Context) {
    let (pull, push) = connected::<Pull, Push>(context, Transport::Tcp);
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| block_on(pull.recv_async()));
        std::thread::sleep(Duration::from_millis(20));
        push.send("x").unwrap();
        assert_eq!(receiving.join().unwrap().unwrap(), "x");
    });
}

/// The memory of a body; its end panics.
struct Memory(Arc<AtomicBool>);

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        &[0; 100_000]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        panic!("a test's memory");
    }
}

#[test]
fn memory_whose_end_panics_with_its_socket_ends_no_driver() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (publisher, subscriber) = connected::<Pub, Sub>(&context, Transport::Inproc);
    subscriber.subscribe("").unwrap();
    until("it is subscribed", || publisher.stats().subscriptions == 1);
    // From now on it is the driver's tick that has it last.
    assert!(subscriber.recv_timeout(Duration::from_millis(1)).is_err());
    let has_ended = Arc::new(AtomicBool::new(false));
    publisher.send(Frame::from(Bytes::from_owner(Memory(Arc::clone(&has_ended))))).unwrap();
    let mut items = [PollItem::new(&subscriber, Readiness::READABLE)];
    assert_eq!(poll_with(&mut items, Some(Duration::ZERO), |_, _| Ok(false)).unwrap(), 1);
    drop(subscriber);
    until("its memory has ended", || has_ended.load(Ordering::SeqCst));
    assert_driver_is_there(&context);
}

#[test]
fn a_monitors_waker_may_use_the_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = Arc::new(context.socket::<Pull>().unwrap());
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let mut event = Box::pin(monitor.recv_async());
    let (used, is_used) = mpsc::channel();
    let waker = act({
        let pull = Arc::clone(&pull);
        move || used.send(pull.stats().peers).unwrap()
    });
    assert!(event.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
    let push = context.socket::<Push>().unwrap();
    push.connect(&endpoint).unwrap();
    is_used.recv_timeout(PATIENCE).expect("the socket is not locked");
}

/// A body whose memory, when it is given back, looks at the socket that has sent it.
struct Looking {
    push: Arc<Socket<Push>>,
    looked: mpsc::Sender<usize>,
}

impl AsRef<[u8]> for Looking {
    fn as_ref(&self) -> &[u8] {
        &[0; 100_000]
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let _ = self.looked.send(self.push.stats().peers);
    }
}

#[test]
fn memory_that_has_been_written_may_use_the_socket_as_it_is_given_back() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (push, pull) = connected::<Push, Pull>(&context, Transport::Tcp);
    let push = Arc::new(push);
    let (looked, looks) = mpsc::channel();
    std::thread::spawn(move || {
        let body = Bytes::from_owner(Looking { push: Arc::clone(&push), looked });
        push.send(Frame::from(body)).unwrap();
    });
    assert_eq!(pull.recv().unwrap().len(), 1);
    assert_eq!(looks.recv_timeout(PATIENCE).expect("the socket is not locked"), 1);
}
