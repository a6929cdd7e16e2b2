//! Connections within the process: pipes between two machines, and the mail that tells of changes in them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use nought_proto::{
    ConnectionId, SocketType,
    connection::{Notify, PeerInfo, Pipe},
    error::{Incompatibility, ProtocolError},
};

use super::{Core, State, link::LostBecause, poller::Poller};
use crate::{
    error::BindError,
    monitor::{DisconnectReason, SocketEvent, SocketEventKind},
};

/// Which pipes of a socket have changed. It is the one thing of a socket that others touch without its lock.
///
/// What a message needs of it is one word, whose cache line goes to and fro between two processors, and one instruction on
/// either side: the place of the end that changed first. Ends that change before that one is taken stand in a list.
#[repr(align(128))]
pub(crate) struct Mail {
    /// The end that changed first, as its connection's [bits](ConnectionId::to_bits), or [`NOBODY`]; and [`SLEEPING`].
    first: AtomicU64,
    /// Whether there are others.
    has_others: AtomicBool,
    others: Mutex<Others>,
    poller: Arc<Poller>,
}

/// Looks at the mail alone between two looks at all: they take about as long as one of those.
const POLLS_OF_MAIL: u32 = 8;

/// No connection has these bits.
const NOBODY: u64 = 0;

/// Whoever waits for the socket sleeps, and must be woken. No connection has this bit.
const SLEEPING: u64 = 1 << 63;

#[derive(Default)]
struct Others {
    connections: Vec<ConnectionId>,
    /// How often they have been taken.
    round: u64,
}

impl Mail {
    /// No mail, for the socket that sleeps in this poller.
    pub(crate) fn new(poller: Arc<Poller>) -> Self {
        Self { first: AtomicU64::new(NOBODY), has_others: AtomicBool::new(false), others: Mutex::default(), poller }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_mail(self.first.load(Ordering::SeqCst))
    }

    /// The same for one who polls: the word's cache line comes with the right to write it, and need not come again for
    /// the mail to be taken.
    #[inline]
    pub(super) fn is_empty_in_poll(&self) -> bool {
        let first = self.first.compare_exchange(NOBODY, NOBODY, Ordering::SeqCst, Ordering::SeqCst);
        !self.is_mail(first.unwrap_or_else(|first| first))
    }

    /// Whether it is empty, and stays so for a moment. Mail that comes in it is seen sooner than by whoever takes the
    /// socket's lock and looks at the clock between two looks.
    #[inline]
    pub(super) fn stays_empty(&self) -> bool {
        (0..POLLS_OF_MAIL).all(|_| self.is_empty_in_poll())
    }

    #[inline]
    fn is_mail(&self, first: u64) -> bool {
        first & !SLEEPING != NOBODY || self.has_others.load(Ordering::SeqCst)
    }

    /// Announces a sleep. Mail that comes after it wakes; mail that came before shows in [`is_empty`](Self::is_empty):
    /// both sides write before they read what the other one writes, in one total order.
    pub(crate) fn sleep(&self) {
        self.first.fetch_or(SLEEPING, Ordering::SeqCst);
    }

    pub(crate) fn wake_up(&self) {
        self.first.fetch_and(!SLEEPING, Ordering::SeqCst);
    }

    /// Adds mail of a pipe's end, and wakes whoever must be woken. To be called with the pipe's lock: an end that is there
    /// already is not added, and whoever takes it looks into the pipe when this call's caller lets go of it.
    #[inline]
    fn add(&self, end: &PipeEnd) {
        let bits = end.id.to_bits();
        let mut former = NOBODY;
        while let Err(now) = self.first.compare_exchange(former, former | bits, Ordering::SeqCst, Ordering::SeqCst) {
            former = now;
            if former & !SLEEPING == bits {
                break;
            }
            if former & !SLEEPING != NOBODY {
                self.add_to_others(end);
                former = self.first.load(Ordering::SeqCst);
                break;
            }
        }
        if former & SLEEPING != 0 {
            self.poller.wake();
        }
    }

    /// Once until they are taken.
    #[cold]
    fn add_to_others(&self, end: &PipeEnd) {
        let mut others = self.lock_others();
        let next_round = others.round + 1;
        if end.told_in.swap(next_round, Ordering::Relaxed) != next_round {
            others.connections.push(end.id);
        }
        self.has_others.store(true, Ordering::SeqCst);
    }

    /// The ends that have changed, about in the order in which they did.
    fn take(&self) -> impl Iterator<Item = ConnectionId> {
        let first = ConnectionId::from_bits(self.first.fetch_and(SLEEPING, Ordering::SeqCst) & !SLEEPING);
        let others = if self.has_others.load(Ordering::SeqCst) { self.take_others() } else { Vec::new() };
        first.into_iter().chain(others)
    }

    #[cold]
    fn take_others(&self) -> Vec<ConnectionId> {
        let mut others = self.lock_others();
        self.has_others.store(false, Ordering::SeqCst);
        others.round += 1;
        std::mem::take(&mut others.connections)
    }

    fn lock_others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a pipe that is told of changes at the other one.
struct PipeEnd {
    core: Weak<Core>,
    /// The core's, to be reached without a count of the core's owners, which is on a cache line of theirs.
    mail: Arc<Mail>,
    id: ConnectionId,
    /// The round of the socket's mail in which this end was last added to the others. Under the mail's lock.
    told_in: AtomicU64,
}

impl PipeEnd {
    fn new(core: &Arc<Core>, id: ConnectionId) -> Arc<Self> {
        Arc::new(Self { core: Arc::downgrade(core), mail: Arc::clone(&core.mail), id, told_in: AtomicU64::new(0) })
    }
}

impl Notify for PipeEnd {
    #[inline]
    fn notify(&self) {
        self.mail.add(self);
    }

    /// Seen at once, whether somebody uses the socket or not.
    fn notify_at_once(&self) {
        let Some(core) = self.core.upgrade() else { return };
        self.mail.add(self);
        let driver = Arc::clone(core.driver());
        driver.run_later(Box::new(move || core.drive()));
    }
}

impl Core {
    /// Acts on changes in this socket's pipes.
    #[inline]
    pub(crate) fn take_mail(&self, state: &mut State) {
        if !self.mail.is_empty() {
            self.act_on_mail(state);
        }
    }

    /// The same for one who polls.
    pub(super) fn take_mail_in_poll(&self, state: &mut State) {
        if !self.mail.is_empty_in_poll() {
            self.act_on_mail(state);
        }
    }

    #[cold]
    fn act_on_mail(&self, state: &mut State) {
        for id in self.mail.take() {
            state.machine.pipe_changed(id);
        }
        // The caller may want something else than those who wait.
        self.tell_waiters(state);
    }

    pub(crate) fn lose_memory_connection(&self, state: &mut State, id: ConnectionId, because: &LostBecause) {
        let Some(name) = state.endpoints.remove_memory_connection(id) else { return };
        state.machine.lose(id, nought_proto::socket::Reopen::No);
        state.note_change(id);
        self.publish_memory_loss(state, &name, because.clone().into());
    }

    pub(super) fn publish_memory_loss(&self, state: &mut State, name: &str, reason: DisconnectReason) {
        let event = event_at(name, SocketEventKind::Disconnected { reason });
        self.publish(state, event.after_establishment(true));
    }
}

/// The names that are bound in a context, and the sockets that connected before there was one.
#[derive(Default)]
pub(crate) struct Names {
    names: Mutex<HashMap<String, Name>>,
}

/// A name that is bound, or awaited; or both, if those who wait do not fit who is there.
#[derive(Default)]
struct Name {
    owner: Weak<Core>,
    awaiting: Vec<(Weak<Core>, ConnectionId)>,
}

impl Name {
    fn is_owned_by(&self, core: &Core) -> bool {
        std::ptr::eq(self.owner.as_ptr(), core)
    }

    fn is_of_no_use(&self) -> bool {
        self.owner.strong_count() == 0 && self.awaiting.is_empty()
    }
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds a name, and connects those who waited for it.
    pub(crate) fn bind(&self, name: &str, core: &Arc<Core>) -> Result<(), BindError> {
        let mut names = self.lock();
        let entry = names.entry(name.to_owned()).or_default();
        if entry.owner.strong_count() > 0 {
            return Err(BindError::NameInUse(name.to_owned()));
        }
        entry.owner = Arc::downgrade(core);
        let awaiting = std::mem::take(&mut entry.awaiting);
        drop(names);
        for (connecting, id) in awaiting {
            if let Some(connecting) = connecting.upgrade()
                && join(&connecting, id, core, name) == Joined::NotWith
            {
                self.connect_but_not_to(Some(Arc::clone(core)), name, &connecting, id);
            }
        }
        Ok(())
    }

    /// The socket that has the name.
    pub(crate) fn owner(&self, name: &str) -> Option<Arc<Core>> {
        self.lock().get(name)?.owner.upgrade()
    }

    /// Forgets a name, if the socket has it. Connections made through it stay.
    pub(crate) fn unbind(&self, name: &str, core: &Core) {
        let mut names = self.lock();
        let Some(entry) = names.get_mut(name).filter(|entry| entry.is_owned_by(core)) else { return };
        entry.owner = Weak::new();
        if entry.is_of_no_use() {
            names.remove(name);
        }
    }

    /// Connects to a name, now or when it is bound by somebody who fits.
    pub(crate) fn connect(&self, name: &str, core: &Arc<Core>, id: ConnectionId) {
        self.connect_but_not_to(None, name, core, id);
    }

    fn connect_but_not_to(&self, mut tried: Option<Arc<Core>>, name: &str, core: &Arc<Core>, id: ConnectionId) {
        loop {
            let mut names = self.lock();
            let entry = names.entry(name.to_owned()).or_default();
            let owner = entry.owner.upgrade().filter(|_| !tried.as_ref().is_some_and(|core| entry.is_owned_by(core)));
            let Some(owner) = owner else {
                entry.awaiting.retain(|(core, _)| core.strong_count() > 0);
                entry.awaiting.push((Arc::downgrade(core), id));
                return;
            };
            drop(names);
            if join(core, id, &owner, name) == Joined::Done {
                return;
            }
            tried = Some(owner);
        }
    }

    /// Stops waiting for a name.
    pub(crate) fn forget(&self, name: &str, core: &Core, id: ConnectionId) {
        let mut names = self.lock();
        let Some(entry) = names.get_mut(name) else { return };
        entry.awaiting.retain(|(other, other_id)| !(std::ptr::eq(other.as_ptr(), core) && *other_id == id));
        if entry.is_of_no_use() {
            names.remove(name);
        }
    }
}

/// A connection to a bound socket, for a machine that is no socket's.
pub(crate) struct Joining {
    pub(crate) out: Arc<Pipe>,
    pub(crate) input: Arc<Pipe>,
    pub(crate) peer: PeerInfo,
}

impl Core {
    /// Lets a machine that is no socket's connect to this socket, by one of its names; `ear` hears of what comes back.
    ///
    /// # Errors
    /// Why it is refused; `None`: the socket is about to close.
    pub(crate) fn join_bare(
        self: &Arc<Self>,
        name: &str,
        introduction: PeerInfo,
        ear: Arc<dyn Notify>,
    ) -> Result<Joining, Option<Incompatibility>> {
        let address: Arc<str> = format!("inproc://{name}").into();
        let mut state = self.lock();
        if state.closing {
            return Err(None);
        }
        let Side { introduction: peer, send_hwm, recv_hwm, .. } = side(&state, &address);
        let theirs = Side { introduction, send_hwm: 0, recv_hwm: 0, conflate: false, frees_by_halves: false };
        let id = state.machine.accept();
        if let Err(reason) = admit(&state, id, &theirs) {
            state.machine.remove(id);
            return Err(Some(reason));
        }
        let end = || PipeEnd::new(self, id);
        let out = Arc::new(Pipe::new(0, recv_hwm, false, Arc::clone(&ear), end()));
        let input = Arc::new(Pipe::new(send_hwm, 0, false, end(), ear));
        state.endpoints.add_memory_connection(id, name);
        state.machine.attach(id, Arc::clone(&input), Arc::clone(&out), theirs.introduction);
        announce(self, &mut state, name, SocketEventKind::Accepted);
        drop(self.settle(state));
        Ok(Joining { out, input, peer })
    }
}

/// What one side of a connection brings.
struct Side {
    introduction: PeerInfo,
    send_hwm: u32,
    recv_hwm: u32,
    conflate: bool,
    frees_by_halves: bool,
}

fn side(state: &State, address: &Arc<str>) -> Side {
    let options = state.machine.options();
    let mut introduction = state.machine.introduction();
    introduction.address = Some(Arc::clone(address));
    Side {
        introduction,
        send_hwm: options.send_hwm,
        recv_hwm: options.recv_hwm,
        conflate: options.conflate,
        frees_by_halves: state.options.frees_by_halves,
    }
}

/// Whether a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joined {
    /// It is, or not wanted any more.
    Done,
    /// Not with this one, who does not fit, has no place, or is about to close: another may come.
    NotWith,
}

/// Joins two sockets. Only one of them is locked at a time.
fn join(connecting: &Arc<Core>, connecting_id: ConnectionId, bound: &Arc<Core>, name: &str) -> Joined {
    let address: Arc<str> = format!("inproc://{name}").into();
    let mut bound_side = side(&bound.lock(), &address);
    let state = connecting.lock();
    let mut connecting_side = side(&state, &address);
    if let Err(reason) = admit(&state, connecting_id, &bound_side) {
        drop(state);
        refuse(connecting, bound, name, reason);
        return Joined::NotWith;
    }
    drop(state);
    let mut state = bound.lock();
    if state.closing {
        return Joined::NotWith;
    }
    let bound_id = state.machine.accept();
    if let Err(reason) = admit(&state, bound_id, &connecting_side) {
        state.machine.remove(bound_id);
        drop(state);
        refuse(bound, connecting, name, reason);
        return Joined::NotWith;
    }
    let connecting_end = || PipeEnd::new(connecting, connecting_id);
    let bound_end = || PipeEnd::new(bound, bound_id);
    let to_bound = pipe(&connecting_side, &bound_side, connecting_end(), bound_end());
    let to_connecting = pipe(&bound_side, &connecting_side, bound_end(), connecting_end());
    let connecting_introduction = std::mem::take(&mut connecting_side.introduction);
    state.endpoints.add_memory_connection(bound_id, name);
    state.machine.attach(bound_id, Arc::clone(&to_connecting), Arc::clone(&to_bound), connecting_introduction);
    announce(bound, &mut state, name, SocketEventKind::Accepted);
    drop(bound.settle(state));

    let mut state = connecting.lock();
    if state.machine.connection(connecting_id).is_none() {
        // It has gone meanwhile: the other side is told.
        drop(state);
        to_bound.close();
        let abandoned = to_connecting.close();
        bound.lock().machine.count_lost(abandoned);
        return Joined::Done;
    }
    state.endpoints.add_memory_connection(connecting_id, name);
    state.machine.attach(connecting_id, to_bound, to_connecting, std::mem::take(&mut bound_side.introduction));
    state.note_change(connecting_id);
    announce(connecting, &mut state, name, SocketEventKind::Connected);
    // One that is closing has waited for this to hand on what it had queued, and goes.
    let is_closing = state.closing;
    drop(connecting.settle(state));
    if is_closing {
        connecting.visit_later();
    }
    Joined::Done
}

fn admit(state: &State, id: ConnectionId, theirs: &Side) -> Result<(), Incompatibility> {
    if state.machine.is_raw() {
        // It was bound before it became raw.
        return Err(Incompatibility::Raw);
    }
    let (our_type, their_type) = (state.machine.socket_type(), theirs.introduction.socket_type);
    let may_differ = state.options.any_type_in_process && !our_type.is_single_frame();
    let fits = |theirs: SocketType| our_type.accepts(theirs) || may_differ && !theirs.is_single_frame();
    if !their_type.is_some_and(fits) {
        return Err(Incompatibility::SocketType { ours: our_type, theirs: their_type });
    }
    state.machine.admit(id, &theirs.introduction)
}

/// Tells both sides that one of them refuses the other, and why.
fn refuse(refusing: &Core, refused: &Core, name: &str, reason: Incompatibility) {
    tell_refusal(refused, name, ProtocolError::RefusedByPeer(reason.to_string()));
    tell_refusal(refusing, name, reason.into());
}

fn tell_refusal(core: &Core, name: &str, error: ProtocolError) {
    let mut state = core.lock();
    state.machine.count_handshake_failure();
    announce(core, &mut state, name, SocketEventKind::HandshakeFailed { error });
}

fn announce(core: &Core, state: &mut State, name: &str, kind: SocketEventKind) {
    core.publish(state, event_at(name, kind));
}

fn event_at(name: &str, kind: SocketEventKind) -> SocketEvent {
    let endpoint = format!("inproc://{name}");
    SocketEvent::new(endpoint.clone(), Some(endpoint), kind)
}

fn pipe(from: &Side, to: &Side, writer: Arc<PipeEnd>, reader: Arc<PipeEnd>) -> Arc<Pipe> {
    let mut pipe = Pipe::new(from.send_hwm, to.recv_hwm, from.conflate || to.conflate, writer, reader);
    if to.frees_by_halves {
        pipe.free_by_halves();
    }
    Arc::new(pipe)
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context as TaskContext, Wake, Waker},
        time::{Duration, Instant},
    };

    use nought_proto::Frame;

    use super::*;
    use crate::{Client, Context, Server, Socket};

    /// Both sides of a connection leave it, when only one of them has been joined to it.
    struct Leave {
        server: Arc<Socket<Server>>,
        client: Arc<Socket<Client>>,
        endpoint: String,
    }

    impl Wake for Leave {
        fn wake(self: Arc<Self>) {
            assert_eq!((self.server.stats().peers, self.client.stats().peers), (1, 0));
            self.client.disconnect(&self.endpoint).unwrap();
            let mut state = self.server.core().lock();
            let (id, _) = state.machine.connections().iter().next().unwrap();
            let number = state.machine.routing_id_of(id).unwrap();
            drop(state);
            self.server.disconnect_peer(number).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.server.stats().peers > 0 {
                assert!(Instant::now() < deadline, "the server does not leave");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn what_went_into_a_connection_that_both_sides_left_before_it_was_complete_is_counted() {
        let context = Context::new();
        let server = context.socket_builder::<Server>().linger(Some(Duration::ZERO));
        let server = Arc::new(server.hello_message(Some(Frame::from("hello"))).build().unwrap());
        let client = Arc::new(context.socket::<Client>().unwrap());
        let endpoint = server.bind("inproc://left").unwrap();
        let monitor = server.monitor();
        let mut accepted = Box::pin(monitor.recv_async());
        let leave = Leave { server: Arc::clone(&server), client: Arc::clone(&client), endpoint: endpoint.clone() };
        let waker = Waker::from(Arc::new(leave));
        assert!(accepted.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
        client.connect(&endpoint).unwrap();
        let totals = server.stats().totals;
        assert_eq!((totals.messages_out, totals.lost), (1, 1));
        assert_eq!(client.stats().totals.messages_in, 0);
    }

    #[test]
    fn an_end_is_in_the_mail_once_until_it_is_taken() {
        let mail = Arc::new(Mail::new(Arc::new(Poller::new().unwrap())));
        let ends = [1, 2, 3].map(|number| {
            let id = ConnectionId::from_bits(1 << 32 | number).unwrap();
            PipeEnd { core: Weak::new(), mail: Arc::clone(&mail), id, told_in: AtomicU64::new(0) }
        });
        for _ in 0..3 {
            for _ in 0..10 {
                ends.iter().for_each(PipeEnd::notify);
            }
            assert!(!mail.is_empty());
            assert!(mail.take().eq(ends.iter().map(|end| end.id)));
            assert!(mail.is_empty());
        }
    }

    /// Two ends that change at random while they are looked at: each change is seen by a look that follows it, and where
    /// the mail sleeps, the poller tells of it.
    #[test]
    fn no_change_of_an_end_is_lost() {
        const CHANGES: u64 = 20_000;
        let mail = Arc::new(Mail::new(Arc::new(Poller::new().unwrap())));
        let pipes: [_; 3] = std::array::from_fn(|_| Mutex::new(0));
        std::thread::scope(|scope| {
            for (number, pipe) in pipes.iter().enumerate() {
                let id = ConnectionId::from_bits(1 << 32 | number as u64).unwrap();
                let end = PipeEnd { core: Weak::new(), mail: Arc::clone(&mail), id, told_in: AtomicU64::new(0) };
                scope.spawn(move || {
                    for _ in 0..CHANGES {
                        let mut written = pipe.lock().unwrap();
                        *written += 1;
                        end.notify();
                    }
                });
            }
            let (mut seen, mut sleeps) = ([0; 3], 0);
            let mut buffer = super::super::poller::event_buffer();
            while seen != [CHANGES; 3] {
                mail.take().for_each(|id| seen[id.index()] = *pipes[id.index()].lock().unwrap());
                mail.sleep();
                if mail.is_empty() && seen != [CHANGES; 3] {
                    sleeps += 1;
                    let events = mail.poller.wait(&mut buffer, Some(Duration::from_secs(20))).unwrap();
                    assert!(!events.is_empty(), "{seen:?} after {sleeps} sleeps");
                    mail.poller.reset();
                }
                mail.wake_up();
            }
        });
    }
}
