//! The claim under stress: callers of every kind enter, leave and return at random, several on one socket, while the
//! driver works. No wake-up is lost, and no message is later than the driver's tick and what scheduling adds.
//!
//! A message counts as late by the time for which it was there while somebody waited for one. Messages go out in small
//! bursts, and the next burst waits until all of the last one has come: a wake-up that is lost is not made good by the
//! next message, and shows.
//!
//! `NOUGHT_STRESS_SECONDS` (20) is about how long all of it takes, `NOUGHT_STRESS_SEED` (1) where chance begins.

mod support;

use std::{
    sync::{
        Mutex, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nought::{
    CanReceive, CanSend, Context, Dealer, Kind, Message, Poller, Pull, Push, Readiness, RecvError, SendErrorKind,
    Socket,
};
use support::{
    SetAtEnd, Transport, connect,
    executor::{block_on, block_on_for},
    number,
    rng::Rng,
    watchdog,
};

/// The driver looks twice, 5 ms apart, before it takes a socket back.
const TICK: Duration = Duration::from_millis(10);
/// What being scheduled takes beyond that on two processors with other work to do: several slices of others. What is later
/// is told and no more, since the machine is not always ours.
const SCHEDULING: Duration = Duration::from_millis(30);
/// What it may take at the worst, for one or the other.
const ALLOWANCE: Duration = Duration::from_millis(1500);
/// A wake-up that has not come by then is lost.
const LOST: Duration = Duration::from_secs(10);
/// A wait that ends by itself so late makes no lost wake-up good.
const LONG: Duration = Duration::from_secs(60);
/// Fewer messages would say little, however long they took.
const ENOUGH: u64 = 50;
const RECEIVERS: usize = 3;
const SENDERS: usize = 3;
const END: &str = "end";

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// The share of one of the fifteen runs.
fn share() -> Duration {
    Duration::from_secs(from_environment("NOUGHT_STRESS_SECONDS", 20)) / 15
}

fn seed() -> u64 {
    from_environment("NOUGHT_STRESS_SEED", 1)
}

/// How a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Blocking,
    WithTimeout(Duration),
    Trying,
    Polling(Option<Duration>),
    Async,
    /// Dropped when it has waited this long.
    CancelledAsync(Duration),
    /// On tokio, whose own poller watches the socket.
    #[cfg(feature = "tokio")]
    Tokio,
    #[cfg(feature = "tokio")]
    CancelledTokio(Duration),
}

impl Style {
    fn any(rng: &mut Rng) -> Self {
        // Some shorter than the tick, some longer than anything rescues.
        let time = [0, 1, 4, 11, 300, 3000][rng.below(6) as usize];
        let time = Duration::from_micros(time * 1000 + rng.below(1000));
        #[cfg(feature = "tokio")]
        if rng.one_in(4) {
            return if rng.one_in(2) { Self::Tokio } else { Self::CancelledTokio(time) };
        }
        match rng.below(6) {
            0 => Self::Blocking,
            1 => Self::WithTimeout(time),
            2 => Self::Trying,
            3 => Self::Polling(if rng.one_in(2) { None } else { Some(time) }),
            4 => Self::Async,
            _ => Self::CancelledAsync(time),
        }
    }

    /// Only such as wait until there is something: where all do, a wake-up that is lost is lost for good.
    fn patient(rng: &mut Rng) -> Self {
        #[cfg(feature = "tokio")]
        if rng.one_in(4) {
            return if rng.one_in(2) { Self::Tokio } else { Self::CancelledTokio(LONG) };
        }
        match rng.below(5) {
            0 => Self::Blocking,
            1 => Self::WithTimeout(LONG),
            2 => Self::Polling(if rng.one_in(2) { None } else { Some(LONG) }),
            3 => Self::Async,
            _ => Self::CancelledAsync(LONG),
        }
    }

    /// Only threads that block.
    fn threads_only(rng: &mut Rng) -> Self {
        if rng.one_in(4) { Self::WithTimeout(LONG) } else { Self::Blocking }
    }
}

#[cfg(feature = "tokio")]
static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> = std::sync::LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

fn pause(rng: &mut Rng) {
    match rng.below(8) {
        0..3 => {}
        3 => (0..rng.below(2000)).for_each(|_| std::hint::spin_loop()),
        4 | 5 => thread::sleep(Duration::from_micros(rng.below(1000))),
        _ => thread::sleep(Duration::from_micros(rng.below(20_000))),
    }
}

fn receive<K: CanReceive>(socket: &Socket<K>, style: Style) -> Option<Message> {
    let result = match style {
        Style::Blocking => socket.recv(),
        Style::WithTimeout(timeout) => socket.recv_timeout(timeout),
        Style::Trying => socket.try_recv(),
        Style::Async => block_on(socket.recv_async()),
        Style::CancelledAsync(time) => block_on_for(socket.recv_async(), time).unwrap_or(Err(RecvError::TimedOut)),
        #[cfg(feature = "tokio")]
        Style::Tokio => RUNTIME.block_on(socket.recv_async()),
        #[cfg(feature = "tokio")]
        Style::CancelledTokio(time) => {
            let received = RUNTIME.block_on(async { tokio::time::timeout(time, socket.recv_async()).await });
            received.unwrap_or(Err(RecvError::TimedOut))
        }
        Style::Polling(timeout) => {
            let is_ready = poll(socket, Readiness::READABLE, timeout);
            // Another may have been faster.
            if is_ready { socket.try_recv() } else { Err(RecvError::TimedOut) }
        }
    };
    match result {
        Ok(message) => Some(message),
        Err(RecvError::TimedOut | RecvError::WouldBlock) => None,
        Err(error) => panic!("{error}"),
    }
}

fn send<K: CanSend>(socket: &Socket<K>, style: Style, body: &[u8]) -> bool {
    let result = match style {
        Style::Blocking => socket.send(body),
        Style::WithTimeout(timeout) => socket.send_timeout(body, timeout),
        Style::Trying => socket.try_send(body),
        Style::Async => block_on(socket.send_async(body)),
        Style::CancelledAsync(time) => match block_on_for(socket.send_async(body), time) {
            Some(result) => result,
            None => return false,
        },
        #[cfg(feature = "tokio")]
        Style::Tokio => RUNTIME.block_on(socket.send_async(body)),
        #[cfg(feature = "tokio")]
        Style::CancelledTokio(time) => {
            match RUNTIME.block_on(async { tokio::time::timeout(time, socket.send_async(body)).await }) {
                Ok(result) => result,
                Err(_) => return false,
            }
        }
        Style::Polling(timeout) => {
            if !poll(socket, Readiness::WRITABLE, timeout) {
                return false;
            }
            socket.try_send(body)
        }
    };
    match result.map_err(|error| error.kind()) {
        Ok(()) => true,
        Err(SendErrorKind::TimedOut | SendErrorKind::WouldBlock) => false,
        Err(kind) => panic!("{kind:?}"),
    }
}

fn poll<K: Kind>(socket: &Socket<K>, readiness: Readiness, timeout: Option<Duration>) -> bool {
    let mut poller = Poller::new().unwrap();
    poller.add(socket, readiness).unwrap();
    !poller.poll(timeout).unwrap().is_empty()
}

/// A clock that goes by pulses, and stands still while this process does: one that was stopped, or whose machine was,
/// has not waited.
mod clock {
    use super::{AtomicU64, Duration, Instant, Once, Ordering, thread};

    const PULSE: Duration = Duration::from_millis(1);
    /// What a pulse adds at most.
    const PULSE_MAX: Duration = Duration::from_millis(5);

    static NANOS: AtomicU64 = AtomicU64::new(1);

    pub(crate) fn start() {
        static START: Once = Once::new();
        START.call_once(|| drop(thread::spawn(beat)));
    }

    fn beat() {
        loop {
            let before = Instant::now();
            thread::sleep(PULSE);
            NANOS.fetch_add(before.elapsed().min(PULSE_MAX).as_nanos() as u64, Ordering::SeqCst);
        }
    }

    /// Not zero.
    pub(crate) fn now() -> u64 {
        NANOS.load(Ordering::SeqCst)
    }
}

/// Who waits since when, what came, and how late.
struct Arena {
    /// By caller, since when it waits, in nanoseconds.
    waiting: Mutex<Vec<Option<u64>>>,
    /// When each message was handed over, in nanoseconds; 0 if it is not quite yet.
    handed_over: Vec<AtomicU64>,
    received: AtomicU64,
    late: AtomicU64,
    latest: AtomicU64,
}

impl Arena {
    fn new(callers: usize) -> Self {
        clock::start();
        Self {
            waiting: Mutex::new(vec![None; callers]),
            handed_over: (0..4_000_000).map(|_| AtomicU64::new(0)).collect(),
            received: AtomicU64::new(0),
            late: AtomicU64::new(0),
            latest: AtomicU64::new(0),
        }
    }

    fn begin(&self, caller: usize, style: Style) {
        if style != Style::Trying {
            self.waiting.lock().unwrap()[caller] = Some(clock::now());
        }
    }

    fn end(&self, caller: usize) {
        self.waiting.lock().unwrap()[caller] = None;
    }

    fn hand_over(&self, index: u64) {
        self.handed_over[index as usize].store(clock::now(), Ordering::SeqCst);
    }

    /// A message came: since when could it have?
    fn receive(&self, index: u64) {
        let now = clock::now();
        let handed_over = self.handed_over[index as usize].load(Ordering::SeqCst);
        if handed_over > 0
            && let Some(&first) = self.waiting.lock().unwrap().iter().flatten().min()
        {
            self.note(now.saturating_sub(first.max(handed_over)));
        }
        self.received.fetch_add(1, Ordering::SeqCst);
    }

    fn note(&self, delay: u64) {
        self.latest.fetch_max(delay, Ordering::SeqCst);
        self.late.fetch_add(u64::from(delay > (TICK + SCHEDULING).as_nanos() as u64), Ordering::SeqCst);
    }

    /// Waits until so many have come.
    fn await_received(&self, count: u64, what: &str) {
        let start = Instant::now();
        while self.received.load(Ordering::SeqCst) < count {
            let received = self.received.load(Ordering::SeqCst);
            assert!(start.elapsed() < LOST, "{what}: a wake-up was lost: {received} of {count} messages have come");
            thread::sleep(Duration::from_micros(20));
        }
    }

    fn report(&self, what: &str) {
        let latest = Duration::from_nanos(self.latest.load(Ordering::SeqCst));
        let (late, received) = (self.late.load(Ordering::SeqCst), self.received.load(Ordering::SeqCst));
        println!("{what}: {received} messages, {late} later than {:?}, the latest by {latest:?}", TICK + SCHEDULING);
        assert!(latest < TICK + ALLOWANCE, "{what}: a message came {latest:?} late");
        assert!(received > ENOUGH, "{what}: only {received} messages");
    }
}

/// Bursts into a socket, each after the last one has come whole; then an end for each receiver.
fn send_bursts<K: CanSend>(socket: &Socket<K>, arena: &Arena, receivers: usize, rng: &mut Rng, what: &str) {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < share() || sent <= ENOUGH {
        for _ in 0..1 + rng.below(5) {
            socket.send(&u64::to_be_bytes(sent)).unwrap();
            arena.hand_over(sent);
            sent += 1;
        }
        arena.await_received(sent, what);
        pause(rng);
    }
    for _ in 0..receivers {
        socket.send(END).unwrap();
    }
}

/// Receives in one style after another until the end.
fn receive_all<K: CanReceive>(
    socket: &Socket<K>,
    arena: &Arena,
    caller: usize,
    rng: &mut Rng,
    style: fn(&mut Rng) -> Style,
    mut then: impl FnMut(&Message),
) {
    loop {
        pause(rng);
        let style = style(rng);
        arena.begin(caller, style);
        let message = receive(socket, style);
        if let Some(message) = &message {
            if *message == END {
                arena.end(caller);
                return;
            }
            arena.receive(number(message));
        }
        arena.end(caller);
        if let Some(message) = &message {
            then(message);
        }
    }
}

fn many_receive_from_one(transport: Transport, style: fn(&mut Rng) -> Style, name: &str) {
    let what = format!("{transport}, {name}");
    let context = Context::new();
    let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
    connect(&pull, &push, transport);
    let arena = Arena::new(RECEIVERS);
    thread::scope(|scope| {
        for caller in 0..RECEIVERS {
            let (pull, arena) = (&pull, &arena);
            scope.spawn(move || {
                let mut rng = Rng::new(seed() * 100 + caller as u64);
                receive_all(pull, arena, caller, &mut rng, style, |_| {});
            });
        }
        send_bursts(&push, &arena, RECEIVERS, &mut Rng::new(seed()), &what);
    });
    arena.report(&what);
}

#[test]
fn threads_that_block() {
    let _bounded = watchdog(share() * 3 + Duration::from_secs(60));
    for transport in Transport::ALL {
        many_receive_from_one(transport, Style::threads_only, "threads that block");
    }
}

#[test]
fn callers_of_every_kind_that_wait() {
    let _bounded = watchdog(share() * 3 + Duration::from_secs(60));
    for transport in Transport::ALL {
        many_receive_from_one(transport, Style::patient, "callers that wait");
    }
}

#[test]
fn callers_of_every_kind() {
    let _bounded = watchdog(share() * 3 + Duration::from_secs(60));
    for transport in Transport::ALL {
        many_receive_from_one(transport, Style::any, "callers of every kind");
    }
}

/// Both sockets are entered by many, to send and to receive.
#[test]
fn callers_who_send_and_receive() {
    let _bounded = watchdog(share() * 3 + Duration::from_secs(60));
    for transport in Transport::ALL {
        let what = format!("{transport}, callers who send and receive");
        let context = Context::new();
        let (near, far) = (context.socket::<Dealer>().unwrap(), context.socket::<Dealer>().unwrap());
        connect(&far, &near, transport);
        let (there, back) = (Arena::new(RECEIVERS), Arena::new(RECEIVERS));
        thread::scope(|scope| {
            for caller in 0..RECEIVERS {
                let (near, far, there, back) = (&near, &far, &there, &back);
                scope.spawn(move || {
                    let mut rng = Rng::new(seed() * 100 + caller as u64);
                    receive_all(far, there, caller, &mut rng, Style::any, |message| {
                        far.send(message).unwrap();
                        back.hand_over(number(message));
                    });
                    far.send(END).unwrap();
                });
                scope.spawn(move || {
                    let mut rng = Rng::new(seed() * 200 + caller as u64);
                    receive_all(near, back, caller, &mut rng, Style::any, |_| {});
                });
            }
            let begun = Instant::now();
            let mut rng = Rng::new(seed());
            let mut sent = 0;
            while begun.elapsed() < share() || sent <= ENOUGH {
                for _ in 0..1 + rng.below(5) {
                    near.send(&u64::to_be_bytes(sent)).unwrap();
                    there.hand_over(sent);
                    sent += 1;
                }
                there.await_received(sent, &what);
                back.await_received(sent, &what);
                pause(&mut rng);
            }
            for _ in 0..RECEIVERS {
                near.send(END).unwrap();
            }
        });
        there.report(&format!("{what}, there"));
        back.report(&format!("{what}, and back"));
    }
}

/// Here it is senders who wait, for room: the marks are small, and the receiver takes its time.
#[test]
fn senders_who_wait_for_room() {
    let _bounded = watchdog(share() * 3 + Duration::from_secs(60));
    for transport in Transport::ALL {
        let what = format!("{transport}, senders who wait for room");
        let context = Context::new();
        let pull = context.socket_builder::<Pull>().recv_hwm(1).build().unwrap();
        let push = context.socket_builder::<Push>().send_hwm(1).build().unwrap();
        connect(&pull, &push, transport);
        let arena = Arena::new(SENDERS);
        let is_over = AtomicBool::new(false);
        let sent = AtomicU64::new(0);
        // Large enough that a few of them fill what lies between the two.
        let body = vec![0; 100_000];
        let mut received = 0;
        thread::scope(|scope| {
            let senders: [_; SENDERS] = std::array::from_fn(|caller| {
                let (push, arena, is_over, sent, body) = (&push, &arena, &is_over, &sent, &body);
                scope.spawn(move || {
                    let mut rng = Rng::new(seed() * 100 + caller as u64);
                    while !is_over.load(Ordering::SeqCst) {
                        let style = Style::any(&mut rng);
                        arena.begin(caller, style);
                        sent.fetch_add(u64::from(send(push, style, body)), Ordering::SeqCst);
                        arena.end(caller);
                        pause(&mut rng);
                    }
                })
            });
            let begun = Instant::now();
            let mut rng = Rng::new(seed());
            // However the senders wait: while one does and there is nothing to receive, there is room for it.
            let receive_one = || {
                let from = clock::now();
                let message = pull.recv_timeout(LOST).unwrap_or_else(|error| {
                    let waiting = arena.waiting.lock().unwrap().iter().flatten().count();
                    panic!("{what}: {error}, a wake-up was lost; {waiting} senders wait");
                });
                assert_eq!(message.body_len(), body.len());
                let now = clock::now();
                let first = arena.waiting.lock().unwrap().iter().flatten().min().copied();
                if let Some(first) = first {
                    arena.note(now.saturating_sub(first.max(from)));
                }
                arena.received.fetch_add(1, Ordering::SeqCst);
            };
            let _end = SetAtEnd(&is_over);
            while begun.elapsed() < share() || received <= ENOUGH {
                for _ in 0..rng.below(20) {
                    receive_one();
                    received += 1;
                }
                pause(&mut rng);
            }
            is_over.store(true, Ordering::SeqCst);
            // Those who still wait get their room.
            while senders.iter().any(|sender| !sender.is_finished()) {
                received += u64::from(pull.recv_timeout(Duration::from_millis(1)).is_ok());
            }
        });
        while received < sent.load(Ordering::SeqCst) && pull.recv_timeout(LOST).is_ok() {
            received += 1;
        }
        while pull.recv_timeout(Duration::from_millis(100)).is_ok() {
            received += 1;
        }
        assert_eq!(received, sent.load(Ordering::SeqCst), "{what}: each message that was sent, once");
        arena.report(&what);
    }
}
