//! Waiting for many sockets and raw file descriptors at once.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::epoll::{self, EventFlags};

use crate::{
    engine::{
        Core, State,
        poller::{event_buffer, wait},
        spin::{self, Spin},
        wait::Patience,
    },
    socket::{Kind, Socket},
};

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A message, or bytes, can be received.
    pub readable: bool,
    /// A message, or bytes, can be sent.
    pub writable: bool,
}

impl Readiness {
    /// Something can be received.
    pub const READABLE: Self = Self { readable: true, writable: false };
    /// Something can be sent.
    pub const WRITABLE: Self = Self { readable: false, writable: true };
    /// Either.
    pub const BOTH: Self = Self { readable: true, writable: true };

    fn and(self, other: Self) -> Self {
        Self { readable: self.readable && other.readable, writable: self.writable && other.writable }
    }

    pub(crate) fn is_any(self) -> bool {
        self.readable || self.writable
    }
}

/// What a poller waits for at a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) readable: bool,
    pub(crate) room: Option<Room>,
}

/// For which messages a poller waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// For some message.
    ForAny,
    /// For one that found none at this [epoch](nought_proto::Socket::room_epoch).
    Since(u64),
}

impl From<Readiness> for Wanted {
    fn from(interest: Readiness) -> Self {
        Self { readable: interest.readable, room: interest.writable.then_some(Room::ForAny) }
    }
}

impl Wanted {
    fn readiness(self) -> Readiness {
        Readiness { readable: self.readable, writable: self.room.is_some() }
    }

    /// What of it is there.
    pub(crate) fn of(self, machine: &mut nought_proto::Socket) -> Readiness {
        let writable = match self.room {
            None => false,
            Some(Room::ForAny) => machine.can_send(),
            Some(Room::Since(epoch)) => machine.room_epoch() != epoch,
        };
        Readiness { readable: self.readable && machine.can_recv(), writable }
    }
}

/// Names a socket or descriptor of a [`Poller`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PollKey(usize);

/// A socket or descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollEvent {
    /// Which one.
    pub key: PollKey,
    /// For what, of what was asked for.
    pub readiness: Readiness,
}

/// Waits for many sockets and raw file descriptors at once. It borrows them.
///
/// ```
/// use std::time::Duration;
/// use nought::{Context, Poller, Pull, Push, Readiness};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let (a, b) = (context.socket::<Pull>()?, context.socket::<Pull>()?);
/// a.bind("inproc://a")?;
/// b.bind("inproc://b")?;
/// let push = context.socket::<Push>()?;
/// push.connect("inproc://b")?;
/// push.send("hello")?;
///
/// let mut poller = Poller::new()?;
/// let _of_a = poller.add(&a, Readiness::READABLE)?;
/// let of_b = poller.add(&b, Readiness::READABLE)?;
/// let ready = poller.poll(Some(Duration::from_secs(1)))?;
/// assert_eq!(ready[0].key, of_b);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Poller<'s> {
    epoll: OwnedFd,
    items: Vec<Item<'s>>,
    spin: Spin,
    interruptible: bool,
}

#[derive(Debug)]
struct Item<'s> {
    wanted: Wanted,
    source: Source<'s>,
}

enum Source<'s> {
    Socket(&'s Arc<Core>),
    Descriptor(BorrowedFd<'s>),
    Removed,
}

impl<'s> Poller<'s> {
    /// A poller of nothing.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            items: Vec::new(),
            spin: Spin::new(spin::LIMIT_DEFAULT),
            interruptible: false,
        })
    }

    /// Whether a signal that the calling thread handles while it sleeps in [`poll`](Self::poll) ends that, with an error
    /// of the kind `Interrupted`; otherwise it goes on waiting. Default: `false`.
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.interruptible = interruptible;
        self
    }

    /// Adds a socket. What its kind cannot do never becomes ready.
    ///
    /// # Errors
    /// If the system refuses; a socket can be added once.
    pub fn add<K: Kind>(&mut self, socket: &'s Socket<K>, interest: Readiness) -> io::Result<PollKey> {
        self.add_core(socket.core(), interest)
    }

    pub(crate) fn add_core(&mut self, core: &'s Arc<Core>, interest: Readiness) -> io::Result<PollKey> {
        self.insert(core.poller.as_fd(), EventFlags::IN, interest, Source::Socket(core))
    }

    /// Adds a raw file descriptor. Its errors and its end count as whatever was asked for.
    ///
    /// # Errors
    /// If the system refuses: a descriptor can be added once, and a plain file not at all.
    pub fn add_fd(&mut self, descriptor: BorrowedFd<'s>, interest: Readiness) -> io::Result<PollKey> {
        self.insert(descriptor, flags(interest), interest, Source::Descriptor(descriptor))
    }

    fn insert(
        &mut self,
        descriptor: BorrowedFd<'_>,
        flags: EventFlags,
        interest: Readiness,
        source: Source<'s>,
    ) -> io::Result<PollKey> {
        let index = self.items.len();
        epoll::add(&self.epoll, descriptor, epoll::EventData::new_u64(index as u64), flags)?;
        self.items.push(Item { wanted: interest.into(), source });
        Ok(PollKey(index))
    }

    /// Changes what is waited for.
    ///
    /// # Errors
    /// `NotFound` if the key was removed; or the system's refusal.
    pub fn modify(&mut self, key: PollKey, interest: Readiness) -> io::Result<()> {
        self.want(key, interest.into())
    }

    pub(crate) fn want(&mut self, key: PollKey, wanted: Wanted) -> io::Result<()> {
        let item = self.items.get_mut(key.0).ok_or(io::ErrorKind::NotFound)?;
        match &item.source {
            Source::Removed => return Err(io::ErrorKind::NotFound.into()),
            Source::Socket(_) => {}
            Source::Descriptor(descriptor) => {
                let flags = flags(wanted.readiness());
                epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(key.0 as u64), flags)?;
            }
        }
        item.wanted = wanted;
        Ok(())
    }

    /// Removes a socket or descriptor. Its key is not used again.
    ///
    /// # Errors
    /// `NotFound` if it was removed before.
    pub fn remove(&mut self, key: PollKey) -> io::Result<()> {
        let item = self.items.get_mut(key.0).ok_or(io::ErrorKind::NotFound)?;
        match std::mem::replace(&mut item.source, Source::Removed) {
            Source::Removed => return Err(io::ErrorKind::NotFound.into()),
            Source::Socket(core) => epoll::delete(&self.epoll, core.poller.as_fd())?,
            Source::Descriptor(descriptor) => epoll::delete(&self.epoll, descriptor)?,
        }
        Ok(())
    }

    /// Waits until at least one is ready, at most for `timeout` (`None`: for ever), and returns those that are, in the
    /// order in which they were added. Sockets of a context that is shut down are ready for what was asked, so that
    /// the next call on them tells; where nothing was asked, for both.
    ///
    /// # Errors
    /// The system's.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Vec<PollEvent>> {
        let patience = Patience::new(timeout);
        let mut ready = self.ready(&self.ready_descriptors(Some(Duration::ZERO))?);
        while ready.is_empty() {
            let now = Instant::now();
            if patience.is_over(now) {
                break;
            }
            self.sockets().for_each(|(core, _)| drop(core.write_before_waiting(core.lock())));
            let remaining = patience.remaining(now);
            let budget = self.spin.budget().min(remaining.unwrap_or(Duration::MAX));
            ready = self.poll_for(now, budget)?;
            if ready.is_empty() {
                let slept_at = Instant::now();
                ready = self.ready(&self.sleep(patience.remaining(slept_at))?);
                self.spin.slept(slept_at);
            }
        }
        Ok(ready)
    }

    /// Looks again and again before sleeping; see [`SocketBuilder::spin`](crate::SocketBuilder::spin).
    fn poll_for(&mut self, since: Instant, budget: Duration) -> io::Result<Vec<PollEvent>> {
        let mut lasted = since.elapsed();
        while lasted < budget {
            spin::let_others_run(lasted);
            let ready = self.ready(&self.ready_descriptors(Some(Duration::ZERO))?);
            if !ready.is_empty() {
                self.spin.paid();
                return Ok(ready);
            }
            lasted = since.elapsed();
        }
        if !budget.is_zero() {
            self.spin.failed();
        }
        Ok(Vec::new())
    }

    /// What is ready, of sockets by asking them and of descriptors by what the kernel said.
    fn ready(&self, descriptors: &[(usize, Readiness)]) -> Vec<PollEvent> {
        let mut ready = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let said = descriptors.iter().find(|(other, _)| *other == index).map(|(_, readiness)| *readiness);
            let readiness = match &item.source {
                Source::Socket(core) => core.readiness_as_told(item.wanted, said),
                Source::Descriptor(_) => said.unwrap_or_default().and(item.wanted.readiness()),
                Source::Removed => continue,
            };
            if readiness.is_any() {
                ready.push(PollEvent { key: PollKey(index), readiness });
            }
        }
        ready
    }

    /// Claims the sockets and sleeps.
    fn sleep(&self, timeout: Option<Duration>) -> io::Result<Vec<(usize, Readiness)>> {
        let watches = Watches::begin(self.sockets());
        self.ready_descriptors(watches.may_sleep(timeout))
    }

    fn sockets(&self) -> impl Iterator<Item = (&'s Arc<Core>, Wanted)> {
        self.items.iter().filter_map(|item| match &item.source {
            Source::Socket(core) => Some((*core, item.wanted)),
            _ => None,
        })
    }

    fn ready_descriptors(&self, timeout: Option<Duration>) -> io::Result<Vec<(usize, Readiness)>> {
        let mut buffer = event_buffer();
        let events = match wait(&self.epoll, &mut buffer, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !self.interruptible => &[],
            result => result?,
        };
        let readiness = |flags: EventFlags| Readiness {
            readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP),
            writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
        };
        Ok(events.iter().map(|event| (event.data.u64() as usize, readiness(event.flags))).collect())
    }
}

fn flags(interest: Readiness) -> EventFlags {
    let mut flags = EventFlags::empty();
    // The kernel tells of errors and ends whether they are asked for or not: once is enough then.
    flags.set(EventFlags::ONESHOT, !interest.is_any());
    flags.set(EventFlags::IN | EventFlags::RDHUP, interest.readable);
    flags.set(EventFlags::OUT, interest.writable);
    flags
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Socket(_) => "Socket",
            Self::Descriptor(_) => "Descriptor",
            Self::Removed => "Removed",
        })
    }
}

/// A socket that [`poll_with`] waits for.
#[derive(Debug)]
pub struct PollItem<'s> {
    core: &'s Arc<Core>,
    interest: Readiness,
    readiness: Readiness,
}

impl<'s> PollItem<'s> {
    /// Waits for this of the socket.
    pub fn new<K: Kind>(socket: &'s Socket<K>, interest: Readiness) -> Self {
        Self { core: socket.core(), interest, readiness: Readiness::default() }
    }

    /// For what of it the socket was ready when [`poll_with`] returned.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }
}

/// Waits once for sockets, and for whatever else `sleep` waits for; where the same sockets are waited for again and
/// again, a [`Poller`] is cheaper. Returns how many sockets are ready.
///
/// `sleep` waits until one of the descriptors that it is given, or something of its own, is readable, at most for the
/// time it is given (`None`: for ever), and says whether it was something of its own; that ends the wait. It is called
/// with no descriptors and no time first.
///
/// # Errors
/// What `sleep` returned; `Interrupted` among it.
pub fn poll_with(
    items: &mut [PollItem<'_>],
    timeout: Option<Duration>,
    mut sleep: impl FnMut(&[BorrowedFd<'_>], Option<Duration>) -> io::Result<bool>,
) -> io::Result<usize> {
    thread_local! {
        static SPIN: RefCell<Spin> = RefCell::new(Spin::new(spin::LIMIT_DEFAULT));
    }
    let descriptors: Vec<BorrowedFd<'_>> = items.iter().map(|item| item.core.poller.as_fd()).collect();
    let patience = Patience::new(timeout);
    let mut is_over = sleep(&[], Some(Duration::ZERO))?;
    loop {
        let ready = look(items);
        let now = Instant::now();
        if ready > 0 || is_over || patience.is_over(now) {
            return Ok(ready);
        }
        items.iter().for_each(|item| drop(item.core.write_before_waiting(item.core.lock())));
        let budget = SPIN.with_borrow_mut(Spin::budget).min(patience.remaining(now).unwrap_or(Duration::MAX));
        let mut lasted = now.elapsed();
        while lasted < budget {
            spin::let_others_run(lasted);
            is_over = sleep(&[], Some(Duration::ZERO))?;
            let ready = look(items);
            if ready > 0 || is_over {
                SPIN.with_borrow_mut(Spin::paid);
                return Ok(ready);
            }
            lasted = now.elapsed();
        }
        if !budget.is_zero() {
            SPIN.with_borrow_mut(Spin::failed);
        }
        let slept_at = Instant::now();
        is_over = sleep_watching(items, &descriptors, patience.remaining(slept_at), &mut sleep)?;
        SPIN.with_borrow_mut(|spin| spin.slept(slept_at));
    }
}

fn look(items: &mut [PollItem<'_>]) -> usize {
    items.iter_mut().for_each(|item| item.readiness = item.core.readiness(item.interest));
    items.iter().filter(|item| item.readiness.is_any()).count()
}

/// Claims the sockets and sleeps.
fn sleep_watching(
    items: &[PollItem<'_>],
    descriptors: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
    sleep: &mut impl FnMut(&[BorrowedFd<'_>], Option<Duration>) -> io::Result<bool>,
) -> io::Result<bool> {
    let watches = Watches::begin(items.iter().map(|item| (item.core, item.interest.into())));
    sleep(descriptors, watches.may_sleep(timeout))
}

/// Claims of sockets by a sleeper. They end with it, also if what it sleeps in, which may be the application's, panics.
struct Watches<'s> {
    watched: Vec<(&'s Core, Wanted)>,
    all_quiet: bool,
}

impl<'s> Watches<'s> {
    fn begin(sockets: impl Iterator<Item = (&'s Arc<Core>, Wanted)>) -> Self {
        let mut watches = Self { watched: Vec::new(), all_quiet: true };
        for (core, wanted) in sockets {
            watches.all_quiet &= core.begin_watch(wanted);
            watches.watched.push((core, wanted));
        }
        watches
    }

    /// How long to sleep: not at all, if there is something new already.
    fn may_sleep(&self, timeout: Option<Duration>) -> Option<Duration> {
        if self.all_quiet { timeout } else { Some(Duration::ZERO) }
    }
}

impl Drop for Watches<'_> {
    fn drop(&mut self) {
        self.watched.iter().for_each(|(core, wanted)| core.end_watch(*wanted));
    }
}

impl Core {
    /// What the socket is ready for, after doing what can be done without waiting.
    pub(crate) fn readiness(&self, interest: Readiness) -> Readiness {
        let mut state = self.lock();
        self.take_mail(&mut state);
        state.machine.end_burst();
        if readiness(&mut state, interest.into()) == interest {
            // Nothing that the kernel might tell could add to it.
            drop(self.settle_rest(state));
            return interest;
        }
        state = self.pump(state, Instant::now());
        readiness(&mut state, interest.into())
    }

    /// The same, for an application that may wait for the socket's descriptor next.
    pub(crate) fn look_for_event_loop(&self) -> Readiness {
        let mut state = self.pump(self.lock(), Instant::now());
        self.reset_descriptor(&mut state);
        state.machine.end_burst();
        readiness(&mut state, Readiness::BOTH.into())
    }

    /// The same, if the kernel `said` this of the socket's poller: asking that again would be a system call for nothing.
    fn readiness_as_told(&self, wanted: Wanted, said: Option<Readiness>) -> Readiness {
        let mut state = self.lock();
        if said.is_some() || state.has_unfinished() {
            state = self.pump(state, Instant::now());
        } else {
            self.take_mail(&mut state);
            state = self.settle(state);
        }
        state.machine.end_burst();
        readiness(&mut state, wanted)
    }

    /// Claims the socket for a poller; says whether it has nothing new already.
    fn begin_watch(&self, wanted: Wanted) -> bool {
        let mut state = self.lock();
        self.enter(&mut state);
        state.waiters.pollers.push(wanted);
        state.waiters.watching += 1;
        self.mail.sleep();
        state = self.settle_rest(state);
        // Another caller may have driven the socket since it was asked.
        self.is_quiet(&mut state, |machine| wanted.of(machine).is_any())
    }

    fn end_watch(&self, wanted: Wanted) {
        let mut state = self.lock();
        let position = state.waiters.pollers.iter().position(|other| *other == wanted);
        position.map(|position| state.waiters.pollers.swap_remove(position));
        state.waiters.watching -= 1;
        if state.waiters.watching == 0 && !state.waiters.has_leader() {
            self.mail.wake_up();
        }
        self.leave(&mut state, true);
    }
}

pub(crate) fn readiness(state: &mut State, wanted: Wanted) -> Readiness {
    if state.terminated {
        let interest = wanted.readiness();
        return if interest.is_any() { interest } else { Readiness::BOTH };
    }
    wanted.of(&mut state.machine)
}
