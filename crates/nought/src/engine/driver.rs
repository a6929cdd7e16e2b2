//! The driver: a thread that does for its sockets what no caller is there to do.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::{AsFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::signal::SigSet;
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};

use crate::context::ThreadStart;

use super::{
    Core, Look, LookPatience, Urgency,
    poller::{self, event_buffer},
};

/// How often the driver looks whether callers that claimed a socket have stayed away.
const TICK: Duration = Duration::from_millis(5);

/// The pause between two looks at the output of a socket whose sender is streaming: the end of a stream waits at most
/// for two of them.
const LOOK_INTERVAL: Duration = Duration::from_micros(100);

/// Looks that may find the socket locked before one waits for the lock.
const LOOKS_PUT_OFF_MAX: u32 = 8;

/// The tokens of the driver's own wake-up and alarm; sockets are numbered from 0.
const WAKE: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;

/// A driver, as its sockets see it.
pub(crate) struct Driver {
    epoll: OwnedFd,
    wake: OwnedFd,
    /// Wakes the thread for the next look at output, which is due sooner than the poller's clock can tell.
    alarm: OwnedFd,
    inbox: Mutex<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

pub(crate) type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Inbox {
    cores: HashMap<u64, Arc<Core>>,
    /// Sockets with output to write.
    dirty: Vec<Arc<Core>>,
    /// Sockets whose claim the tick looks at.
    claimed: Vec<Arc<Core>>,
    timers: BTreeSet<(Instant, u64)>,
    jobs: Vec<Job>,
    /// The thread is in its poller, or about to be, and does not know of what comes in now.
    sleeping: bool,
    /// When it wakes up by itself.
    wakes_at: Option<Instant>,
    /// The alarm is set.
    alarmed: bool,
    stop: bool,
}

impl Driver {
    /// Starts a driver thread.
    pub(crate) fn start(name: String, first: Option<ThreadStart>) -> io::Result<Arc<Self>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &alarm, epoll::EventData::new_u64(ALARM), epoll::EventFlags::IN)?;
        let driver = Arc::new(Self { epoll, wake, alarm, inbox: Mutex::default(), thread: Mutex::default() });
        let running = Arc::clone(&driver);
        let thread = thread::Builder::new().name(name).spawn(move || {
            unless_it_panics(|| first.into_iter().for_each(|first| first()));
            running.run();
        })?;
        *driver.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(driver)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rouse(&self, mut inbox: MutexGuard<'_, Inbox>) {
        if std::mem::take(&mut inbox.sleeping) {
            drop(inbox);
            // Fails only if the counter is full, and then the thread is awake anyway.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Takes a socket on.
    pub(crate) fn add(&self, core: &Arc<Core>) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        let mut inbox = self.lock();
        epoll::add(&self.epoll, core.poller.as_fd(), epoll::EventData::new_u64(core.id), flags)?;
        inbox.cores.insert(core.id, Arc::clone(core));
        Ok(())
    }

    /// Lets a socket go.
    pub(crate) fn remove(&self, core: &Core) {
        let _ = epoll::delete(&self.epoll, core.poller.as_fd());
        let mut inbox = self.lock();
        inbox.cores.remove(&core.id);
        inbox.timers.retain(|(_, id)| *id != core.id);
    }

    /// Watches a socket's poller, until it has something.
    pub(crate) fn arm(&self, core: &Core) {
        self.watch(core, epoll::EventFlags::IN | epoll::EventFlags::ONESHOT);
    }

    /// Stops watching a socket's poller.
    pub(crate) fn disarm(&self, core: &Core) {
        self.watch(core, epoll::EventFlags::empty());
    }

    fn watch(&self, core: &Core, flags: epoll::EventFlags) {
        // Fails only for a socket that has been removed.
        let _ = epoll::modify(&self.epoll, core.poller.as_fd(), epoll::EventData::new_u64(core.id), flags);
    }

    /// Asks for a socket's output to be written.
    pub(crate) fn flush_later(&self, core: Arc<Core>, urgency: Urgency) {
        let mut inbox = self.lock();
        inbox.dirty.push(core);
        match urgency {
            Urgency::High => self.rouse(inbox),
            Urgency::Low if inbox.sleeping => self.set_alarm(&mut inbox),
            // The thread looks into its inbox before it sleeps.
            Urgency::Low => {}
        }
    }

    /// Asks for a look at a socket's claim at the next ticks.
    pub(crate) fn tick_for(&self, core: Arc<Core>) {
        let mut inbox = self.lock();
        inbox.claimed.push(core);
        // With other claims to look at, the thread is ticking already.
        if inbox.claimed.len() == 1 {
            self.rouse(inbox);
        }
    }

    /// Asks for a visit at `after` in the place of one at `before`.
    pub(crate) fn set_timer(&self, id: u64, before: Option<Instant>, after: Option<Instant>) {
        let mut inbox = self.lock();
        if let Some(before) = before {
            inbox.timers.remove(&(before, id));
        }
        if let Some(after) = after {
            inbox.timers.insert((after, id));
            if inbox.wakes_at.is_none_or(|wakes_at| after < wakes_at) {
                self.rouse(inbox);
            }
        }
    }

    /// Runs a job on the thread.
    pub(crate) fn run_later(&self, job: Job) {
        let mut inbox = self.lock();
        inbox.jobs.push(job);
        self.rouse(inbox);
    }

    /// Whether the caller runs on the thread.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }

    /// Ends the thread, and waits for it unless called on it.
    pub(crate) fn stop(&self) {
        let mut inbox = self.lock();
        inbox.stop = true;
        self.rouse(inbox);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // It cannot have panicked without the whole process having been told.
            let _ = thread.join();
        }
    }

    fn run(&self) {
        leave_signals_to_the_program();
        let mut buffer = event_buffer();
        let mut next_tick = None;
        let mut dirty = Vec::new();
        loop {
            let Some(timeout) = self.prepare_to_sleep(&mut next_tick, &dirty) else { return self.forget_all() };
            let events = poller::wait(&self.epoll, &mut buffer, timeout).unwrap_or_else(|error| {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "the driver's poller failed");
                    thread::sleep(TICK);
                }
                &[]
            });
            let mut work = self.take_work(events, &mut next_tick);
            dirty.extend(work.dirty.drain(..).map(|core| Dirty { core, put_off: 0 }));
            dirty = dirty.into_iter().filter_map(Dirty::look).collect();
            self.do_work(work);
        }
    }

    /// Lets go of sockets that are still to be looked at: they hold their driver, as it holds them.
    fn forget_all(&self) {
        let inbox = std::mem::take(&mut *self.lock());
        unless_it_panics(move || drop(inbox));
    }

    /// Wakes the thread for the next look at output, unless that is arranged already.
    fn set_alarm(&self, inbox: &mut Inbox) {
        if std::mem::replace(&mut inbox.alarmed, true) {
            return;
        }
        let at = Timespec { tv_sec: 0, tv_nsec: LOOK_INTERVAL.as_nanos() as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        // Fails only for times out of range.
        let _ = timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &once);
    }

    /// How long to sleep; `None`: the driver is to stop.
    fn prepare_to_sleep(&self, next_tick: &mut Option<Instant>, dirty: &[Dirty]) -> Option<Option<Duration>> {
        let mut inbox = self.lock();
        if inbox.stop {
            return None;
        }
        if !inbox.dirty.is_empty() || !inbox.jobs.is_empty() {
            return Some(Some(Duration::ZERO));
        }
        let now = Instant::now();
        *next_tick = if inbox.claimed.is_empty() { None } else { Some(next_tick.unwrap_or(now + TICK)) };
        let timer = inbox.timers.first().map(|(at, _)| *at);
        let wakes_at = [timer, *next_tick].into_iter().flatten().min();
        inbox.wakes_at = wakes_at;
        inbox.sleeping = true;
        if !dirty.is_empty() {
            self.set_alarm(&mut inbox);
        }
        Some(wakes_at.map(|at| at.saturating_duration_since(now)))
    }

    fn take_work(&self, events: &[epoll::Event], next_tick: &mut Option<Instant>) -> Work {
        let now = Instant::now();
        let mut inbox = self.lock();
        inbox.sleeping = false;
        let mut visits = Vec::new();
        for event in events {
            match event.data.u64() {
                WAKE => {
                    let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                }
                ALARM => {
                    inbox.alarmed = false;
                    let _ = rustix::io::read(&self.alarm, &mut [0; 8]);
                }
                id => visits.extend(inbox.cores.get(&id).cloned().map(|core| (core, Rearm::Yes))),
            }
        }
        while let Some(&(at, id)) = inbox.timers.first().filter(|(at, _)| *at <= now) {
            inbox.timers.remove(&(at, id));
            visits.extend(inbox.cores.get(&id).cloned().map(|core| (core, Rearm::No)));
        }
        let ticks =
            if next_tick.take_if(|at| *at <= now).is_some() { std::mem::take(&mut inbox.claimed) } else { Vec::new() };
        Work { visits, ticks, dirty: std::mem::take(&mut inbox.dirty), jobs: std::mem::take(&mut inbox.jobs) }
    }

    fn do_work(&self, work: Work) {
        for job in work.jobs {
            unless_it_panics(job);
        }
        for (core, rearm) in work.visits {
            unless_it_panics(|| core.drive());
            unless_it_panics(move || {
                if rearm == Rearm::Yes {
                    core.rearm();
                }
            });
        }
        let tick = |core: Arc<Core>| unless_it_panics(move || core.tick().then_some(core)).flatten();
        let mut still_claimed = work.ticks.into_iter().filter_map(tick).collect();
        self.lock().claimed.append(&mut still_claimed);
    }
}

/// Signals go to the threads of the program, whose calls they are to interrupt.
pub(crate) fn leave_signals_to_the_program() {
    // It cannot fail: all signals may be asked for, and those that cannot be blocked are left out.
    let _ = SigSet::all().thread_block();
}

/// Does something for one socket. A panic there must not end the thread that serves all others; the panic hook has told
/// of it. (One in an application's transport or waker does not come as far: `transport/shield.rs`, `guard.rs`.)
///
/// `work` takes the socket along if it may be the last to have it: with it end messages, which the application made.
fn unless_it_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(work));
    if result.is_err() {
        tracing::error!("a socket panicked on the driver's thread");
    }
    result.ok()
}

/// A socket with output that was left to the driver.
struct Dirty {
    core: Arc<Core>,
    put_off: u32,
}

impl Dirty {
    /// Gives itself back if it is to be looked at again.
    fn look(self) -> Option<Self> {
        let Self { core, put_off } = self;
        let (patience, put_off) =
            if put_off < LOOKS_PUT_OFF_MAX { (LookPatience::Some, put_off + 1) } else { (LookPatience::None, 0) };
        let look = move || (core.look_at_dirty(patience) == Look::Again).then_some(Self { core, put_off });
        unless_it_panics(look).flatten()
    }
}

/// What one round of the thread has to do.
struct Work {
    visits: Vec<(Arc<Core>, Rearm)>,
    ticks: Vec<Arc<Core>>,
    dirty: Vec<Arc<Core>>,
    jobs: Vec<Job>,
}

/// Whether a visit used the driver's watch of the socket up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rearm {
    Yes,
    No,
}

impl Core {
    /// Watches the socket again, unless a caller has claimed it meanwhile.
    fn rearm(&self) {
        let state = self.lock();
        if !state.waiters.claimed {
            self.driver().arm(self);
        }
    }
}
