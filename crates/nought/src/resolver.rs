//! Where addresses become targets: the only threads of a context on which a name lookup may block.
//!
//! The system's name service (`getaddrinfo`) has no time-out of its own and cannot be interrupted; a lookup of 30
//! seconds is usual when the server is out of reach. Three things keep that from spreading:
//! - literal addresses never come here ([`Transport::resolve_now`]);
//! - equal lookups share one: a thousand sockets that wait for one dead name keep one thread busy;
//! - there are several threads, and only as many names as there are threads can hold up the others.
//!
//! A thread starts when a lookup finds none idle, and ends after a while without work. At the end of the context idle
//! threads are joined; one that sits in a lookup is left to itself: it holds nothing but that lookup, calls nobody
//! back, and ends when the system answers.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::driver::leave_signals_to_the_program;
use crate::transport::{Target, Transport, TransportOptions, shield::shield};

/// The resolver of a context.
pub(crate) struct Resolver {
    pool: Arc<Pool>,
}

/// What comes of a lookup: at least one target, in the order in which to try them.
pub(crate) type Answer = io::Result<Vec<Target>>;

/// What to look up. Two are equal if one answer serves both.
#[derive(Clone)]
pub(crate) struct Lookup {
    pub(crate) transport: Arc<dyn Transport>,
    /// What stands after `scheme://`.
    pub(crate) address: String,
    pub(crate) options: Arc<TransportOptions>,
}

impl Resolver {
    /// A resolver without threads; they start when they are needed.
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// Looks up and calls `done` with the answer, on a thread of the resolver, exactly once; or never, if the
    /// resolver [ends](Self::end) first. Returns at once. A panic in `done` is caught there.
    ///
    /// Ask [`Transport::resolve_now`] first: an address that needs no lookup needs no thread.
    ///
    /// # Errors
    /// There is no thread and the system refuses to start one; `done` is not called. Try again later.
    pub(crate) fn look_up(&self, lookup: Lookup, done: impl FnOnce(Answer) + Send + 'static) -> io::Result<()> {
        self.pool.add(lookup, Box::new(done))
    }

    /// Forgets all lookups and ends the threads; from now on none begins to call back. It waits for those in a lookup
    /// or a callback only as long as is usual for either, a tenth of a second; what lasts longer goes on alone.
    /// Dropping does the same. A lookup that is asked for later is forgotten at once.
    ///
    /// It may be called from a callback.
    pub(crate) fn end(&self) {
        self.pool.end();
    }

    fn with_limits(limits: Limits) -> Self {
        Self { pool: Arc::new(Pool::new(limits)) }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.end();
    }
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transport, &other.transport) && self.address == other.address && self.options == other.options
    }
}

impl Eq for Lookup {}

impl Hash for Lookup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Few contexts use one address with different transports or options, so it alone will do.
        self.address.hash(state);
    }
}

#[derive(Clone, Copy)]
struct Limits {
    threads: usize,
    idle: Duration,
    grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // So many dead names can be waited for before they hold up the living.
            threads: 4,
            // Longer than the usual intervals between reconnections, so that they find the thread still there.
            idle: Duration::from_secs(10),
            // A lookup in the hosts file or of a nearby server ends well within it.
            grace: Duration::from_millis(100),
        }
    }
}

type Done = Box<dyn FnOnce(Answer) + Send>;

struct Pool {
    limits: Limits,
    state: Mutex<State>,
    /// Work has come, or the end.
    work: Condvar,
    /// A thread has ended.
    left: Condvar,
}

#[derive(Default)]
struct State {
    /// Who waits for each lookup, waiting in the queue or under way.
    waiting: HashMap<Lookup, Vec<Done>>,
    /// The lookups that no thread has taken yet. All of them are keys of `waiting`.
    queue: VecDeque<Lookup>,
    /// How many threads there are, and how many of them have nothing to do: idle ≤ threads ≤ limit.
    threads: usize,
    idle: usize,
    handles: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Pool {
    fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), work: Condvar::new(), left: Condvar::new() }
    }

    fn add(self: &Arc<Self>, lookup: Lookup, done: Done) -> io::Result<()> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        if let Some(others) = state.waiting.get_mut(&lookup) {
            others.push(done);
            return Ok(());
        }
        if state.idle > state.queue.len() {
            self.work.notify_one();
        } else if state.threads < self.limits.threads {
            self.start_thread(&mut state)?;
        }
        state.waiting.insert(lookup.clone(), vec![done]);
        state.queue.push_back(lookup);
        Ok(())
    }

    /// Starts a thread. If the system refuses, the threads that there are must do.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let pool = Arc::clone(self);
        let builder = thread::Builder::new().name("nought-resolve".to_owned());
        match builder.spawn(move || pool.work()) {
            Ok(handle) => {
                state.threads += 1;
                state.handles.retain(|handle| !handle.is_finished());
                state.handles.push(handle);
                Ok(())
            }
            Err(error) if state.threads == 0 => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// What a thread does.
    fn work(&self) {
        leave_signals_to_the_program();
        while let Some(lookup) = self.next() {
            let answer = resolve(&lookup);
            self.answer(&lookup, &answer);
        }
    }

    /// The next lookup. `None`: there was none for a while, or the end has come; then the thread no longer counts.
    fn next(&self) -> Option<Lookup> {
        let mut state = self.lock();
        if !state.ended && state.queue.is_empty() {
            state.idle += 1;
            let nothing = |state: &mut State| !state.ended && state.queue.is_empty();
            let waited = self.work.wait_timeout_while(state, self.limits.idle, nothing);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
        let next = state.queue.pop_front();
        if next.is_none() {
            state.threads -= 1;
            self.left.notify_all();
        }
        next
    }

    /// Hands `answer` to all who wait for it, as long as the end has not come.
    fn answer(&self, lookup: &Lookup, answer: &Answer) {
        let waiting = self.lock().waiting.remove(lookup).unwrap_or_default();
        for done in waiting {
            if self.lock().ended {
                return;
            }
            let copy = copy_of(answer);
            // The thread and those who wait behind it must outlive one that panics; the hook has reported it.
            let _ = catch_unwind(AssertUnwindSafe(|| done(copy)));
        }
    }

    #[expect(clippy::mutable_key_type, reason = "lookups hash by their address alone")]
    fn end(&self) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.ended = true;
        state.queue.clear();
        let forgotten = std::mem::take(&mut state.waiting);
        let handles = std::mem::take(&mut state.handles);
        self.work.notify_all();

        let is_own = |handle: &JoinHandle<()>| handle.thread().id() == thread::current().id();
        let own = usize::from(handles.iter().any(is_own));
        let grace = self.limits.grace;
        let busy = |state: &mut State| state.threads > own;
        let waited = self.left.wait_timeout_while(state, grace, busy);
        let all_left = !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();

        // What they have captured may come back here when it is dropped, so the lock is no longer held.
        drop(forgotten);
        let left = |handle: &JoinHandle<()>| !is_own(handle) && (all_left || handle.is_finished());
        for handle in handles.into_iter().filter(left) {
            // A thread catches its panics.
            let _ = handle.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resolve(lookup: &Lookup) -> Answer {
    let Lookup { transport, address, options } = lookup;
    shield("resolve", || transport.resolve(address, options)).flatten()
}

/// The same answer for one more who waits.
fn copy_of(answer: &Answer) -> Answer {
    let error = match answer {
        Ok(targets) => return Ok(targets.clone()),
        Err(error) => error,
    };
    Err(match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
    use std::time::Instant;

    use crate::transport::{AddressError, Connecting, ListenError, Listener, Tcp};

    use super::*;

    /// Far more than any step of a test takes.
    const SOON: Duration = Duration::from_secs(10);

    /// A transport whose lookups of `slow…` last until they are released, one for one.
    struct Names {
        lookups: AtomicUsize,
        release: Mutex<Receiver<()>>,
    }

    impl Names {
        fn new() -> (Arc<Self>, Sender<()>) {
            let (sender, receiver) = channel();
            let release = Mutex::new(receiver);
            (Arc::new(Self { lookups: AtomicUsize::new(0), release }), sender)
        }
    }

    impl Transport for Names {
        fn scheme(&self) -> &'static str {
            "names"
        }

        fn bind(&self, _: &str, _: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
            unreachable!("the resolver binds nothing")
        }

        fn check(&self, _: &str, _: &TransportOptions) -> Result<(), AddressError> {
            Ok(())
        }

        fn resolve_now(&self, _: &str, _: &TransportOptions) -> Option<Answer> {
            None
        }

        fn resolve(&self, address: &str, _: &TransportOptions) -> Answer {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            match address {
                "panics" => panic!("on purpose"),
                "fails" => return Err(io::Error::from_raw_os_error(113)),
                slow if slow.starts_with("slow") => {
                    // An error: the test is over.
                    let _ = self.release.lock().unwrap().recv();
                }
                _ => {}
            }
            Ok(vec![Target::new(address, ())])
        }

        fn connect(&self, _: &Target, _: &TransportOptions) -> io::Result<Connecting> {
            unreachable!("the resolver connects nothing")
        }
    }

    fn lookup(transport: &Arc<Names>, address: &str) -> Lookup {
        Lookup {
            transport: Arc::clone(transport) as Arc<dyn Transport>,
            address: address.to_owned(),
            options: Arc::default(),
        }
    }

    /// Starts a lookup whose answer is sent to the receiver.
    fn ask(resolver: &Resolver, lookup: Lookup) -> Receiver<Answer> {
        let (sender, receiver) = channel();
        let send = move |answer| {
            let _ = sender.send(answer);
        };
        resolver.look_up(lookup, send).unwrap();
        receiver
    }

    fn endpoint(answer: &Receiver<Answer>) -> String {
        let targets = answer.recv_timeout(SOON).unwrap().unwrap();
        targets[0].endpoint().to_owned()
    }

    /// Waits until `condition` holds.
    fn until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < SOON, "it never came about");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whoever waits for the grace to pass fails the test.
    fn patient() -> Limits {
        Limits { grace: 6 * SOON, ..Limits::default() }
    }

    fn threads(resolver: &Resolver) -> usize {
        resolver.pool.lock().threads
    }

    #[test]
    fn answers_on_a_thread_of_its_own() {
        let resolver = Resolver::new();
        assert_eq!(threads(&resolver), 0);
        let (sender, receiver) = channel();
        let localhost =
            Lookup { transport: Arc::new(Tcp), address: "localhost:5555".to_owned(), options: Arc::default() };
        let send = move |answer: Answer| {
            let name = thread::current().name().map(str::to_owned);
            let endpoint = answer.unwrap()[0].endpoint().to_owned();
            sender.send((endpoint, name)).unwrap();
        };
        resolver.look_up(localhost, send).unwrap();
        let (endpoint, thread) = receiver.recv_timeout(SOON).unwrap();
        assert_eq!(endpoint, "tcp://127.0.0.1:5555");
        assert_eq!(thread.unwrap(), "nought-resolve");
    }

    #[test]
    fn one_slow_name_does_not_delay_the_others() {
        let (names, _release) = Names::new();
        let resolver = Resolver::new();
        let slow = ask(&resolver, lookup(&names, "slow"));
        for _ in 0..100 {
            assert_eq!(endpoint(&ask(&resolver, lookup(&names, "quick"))), "quick");
        }
        assert!(slow.try_recv().is_err());
    }

    #[test]
    fn equal_lookups_share_one() {
        let (names, release) = Names::new();
        let resolver = Resolver::new();
        let slow: Vec<_> = (0..50).map(|_| ask(&resolver, lookup(&names, "slow"))).collect();
        assert_eq!(endpoint(&ask(&resolver, lookup(&names, "quick"))), "quick");
        release.send(()).unwrap();
        for answer in &slow {
            assert_eq!(endpoint(answer), "slow");
        }
        assert_eq!(names.lookups.load(Ordering::SeqCst), 2);

        let options = TransportOptions { ipv6: true, ..TransportOptions::default() };
        let other = Lookup { options: Arc::new(options), ..lookup(&names, "slow") };
        assert!(other != lookup(&names, "slow"));
    }

    #[test]
    fn no_more_threads_than_the_limit() {
        let (names, release) = Names::new();
        let resolver = Resolver::new();
        let limit = resolver.pool.limits.threads;
        let slow: Vec<_> = (0..2 * limit).map(|i| ask(&resolver, lookup(&names, &format!("slow{i}")))).collect();
        until(|| names.lookups.load(Ordering::SeqCst) == limit);
        assert_eq!(threads(&resolver), limit);
        for _ in &slow {
            release.send(()).unwrap();
        }
        for (i, answer) in slow.iter().enumerate() {
            assert_eq!(endpoint(answer), format!("slow{i}"));
        }
    }

    #[test]
    fn errors_reach_all_who_wait() {
        let (names, _release) = Names::new();
        let resolver = Resolver::new();
        let failed: Vec<_> = (0..3).map(|_| ask(&resolver, lookup(&names, "fails"))).collect();
        for answer in failed {
            let error = answer.recv_timeout(SOON).unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(113));
        }
    }

    #[test]
    fn a_panic_costs_one_answer_and_no_thread() {
        let (names, _release) = Names::new();
        let resolver = Resolver::new();
        let error = ask(&resolver, lookup(&names, "panics")).recv_timeout(SOON).unwrap();
        assert!(error.unwrap_err().to_string().contains("panicked"));
        let panics = |_| panic!("on purpose");
        resolver.look_up(lookup(&names, "quick"), panics).unwrap();
        assert_eq!(endpoint(&ask(&resolver, lookup(&names, "quick"))), "quick");
        assert!(threads(&resolver) <= resolver.pool.limits.threads);
    }

    #[test]
    fn an_idle_thread_ends() {
        let (names, _release) = Names::new();
        let limits = Limits { idle: Duration::from_millis(5), ..Limits::default() };
        let resolver = Resolver::with_limits(limits);
        for _ in 0..3 {
            assert_eq!(endpoint(&ask(&resolver, lookup(&names, "quick"))), "quick");
            until(|| threads(&resolver) == 0);
        }
    }

    #[test]
    fn the_end_joins_idle_threads() {
        let (names, _release) = Names::new();
        let resolver = Resolver::with_limits(patient());
        assert_eq!(endpoint(&ask(&resolver, lookup(&names, "quick"))), "quick");
        let start = Instant::now();
        resolver.end();
        assert!(start.elapsed() < SOON);
        assert_eq!(threads(&resolver), 0);
        let forgotten = ask(&resolver, lookup(&names, "quick"));
        assert_eq!(forgotten.recv_timeout(SOON).unwrap_err(), RecvTimeoutError::Disconnected);
        assert_eq!(threads(&resolver), 0);
    }

    #[test]
    fn the_end_does_not_wait_for_a_stuck_lookup() {
        let (names, release) = Names::new();
        let resolver = Resolver::new();
        let stuck = ask(&resolver, lookup(&names, "slow"));
        until(|| names.lookups.load(Ordering::SeqCst) == 1);
        let pool = Arc::clone(&resolver.pool);

        let start = Instant::now();
        drop(resolver);
        assert!(start.elapsed() < SOON);
        // Nobody is called back, and what the callback held is let go, though the lookup goes on.
        assert_eq!(stuck.recv_timeout(SOON).unwrap_err(), RecvTimeoutError::Disconnected);
        assert_eq!(pool.lock().threads, 1);
        release.send(()).unwrap();
        until(|| pool.lock().threads == 0);
    }

    #[test]
    fn a_callback_may_end_the_resolver() {
        let (names, _release) = Names::new();
        let resolver = Arc::new(Resolver::with_limits(patient()));
        let own = Arc::clone(&resolver);
        let (sender, ended) = channel();
        let end = move |_| {
            let start = Instant::now();
            own.end();
            sender.send(start.elapsed()).unwrap();
        };
        resolver.look_up(lookup(&names, "quick"), end).unwrap();
        assert!(ended.recv_timeout(SOON).unwrap() < SOON);
        until(|| threads(&resolver) == 0);
    }
}
