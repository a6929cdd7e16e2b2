//! The engine: a machine per socket, driven by whoever is inside it, and by a driver thread when nobody is.
//!
//! One lock per socket guards its machine and its links. `send` and `recv` take it, work on the machine, do what
//! input and output can be done without blocking, and let go; writes happen outside of it, one at a time per
//! connection. A caller that has to wait *claims* the socket (see [`wait`]): its events then go to that caller and not
//! to the driver, until the driver's tick finds that the caller stays away.

pub(crate) mod burst;
pub(crate) mod closing;
pub(crate) mod datagrams;
pub(crate) mod descriptor;
pub(crate) mod driver;
pub(crate) mod endpoints;
pub(crate) mod followers;
pub(crate) mod guard;
pub(crate) mod inquiry;
pub(crate) mod link;
pub(crate) mod memory;
pub(crate) mod pace;
pub(crate) mod poller;
pub(crate) mod random;
pub(crate) mod spin;
pub(crate) mod task;
pub(crate) mod wait;
pub(crate) mod waiters;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nought_lock::BiasedLock;
use nought_proto::{
    ConnectionId, Event, Message, Outgoing,
    connection::{Flush, PeerInfo},
    frame::BodyInPlace,
    pattern::{RecvRefusal, SendRefusal},
};
use parking_lot::ReentrantMutex;
use rustix::event::epoll;

pub(crate) use self::guard::Guard;
use self::{
    burst::Burst,
    closing::Retirement,
    descriptor::Descriptor,
    driver::Driver,
    endpoints::Endpoints,
    followers::Followers,
    inquiry::Inquiry,
    link::{Links, LostBecause},
    memory::Mail,
    pace::Pace,
    poller::{EVENTS_MAX, Poller, Token, event_buffer},
    spin::Spin,
    waiters::Waiters,
};
use crate::{
    context::Shared,
    monitor::{Monitors, SocketEvent},
    socket::SocketOptions,
};

/// One socket: what its handles, the driver and the other sockets of the process share.
pub(crate) struct Core {
    pub(crate) id: u64,
    state: BiasedLock<State>,
    pub(crate) poller: Arc<Poller>,
    followers: Followers,
    pub(crate) mail: Arc<Mail>,
    descriptor: OnceLock<Descriptor>,
    /// Which of the context's drivers is this socket's. It changes under the lock.
    driver: AtomicUsize,
    /// Held by who changes the options, so that no change of another thread is lost. What changes them may use the socket,
    /// and so change them again.
    pub(crate) reconfiguring: ReentrantMutex<()>,
    pub(crate) context: Arc<Shared>,
    me: Weak<Core>,
}

/// A socket whose last output is this long ago is idle: what it sends next, to however many peers, is written at once.
/// It is longer than the pauses within a stream, and shorter than anything a person or a driver's wake-up would notice.
const IDLE: Duration = Duration::from_micros(10);

/// Writes per connection in one call: a caller must not be kept writing what others send meanwhile.
const WRITES_PER_LINK_MAX: usize = 16;

/// The output of one call.
#[derive(Default)]
struct Round {
    began: Option<Instant>,
}

impl Round {
    /// Whether nothing was written for a while before this round.
    fn is_lone(&mut self, last_round: Option<Instant>) -> bool {
        let began = *self.began.get_or_insert_with(Instant::now);
        last_round.is_none_or(|last_round| began.saturating_duration_since(last_round) >= IDLE)
    }
}

/// How soon the driver is to look at output that is left to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// At once.
    High,
    /// In a while, unless somebody has written it by then.
    Low,
}

/// Whether the driver's look at a socket's output may be put off once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookPatience {
    Some,
    None,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Done,
    Again,
}

pub(crate) struct State {
    pub(crate) machine: nought_proto::Socket,
    pub(crate) options: SocketOptions,
    pub(crate) links: Links,
    pub(crate) endpoints: Endpoints,
    pub(crate) monitors: Monitors,
    pub(crate) waiters: Waiters,
    /// Something has come since the last [`settle`](Core::settle): timers may have changed, and waits may be over.
    unsettled: bool,
    pub(crate) spin: Spin,
    /// The socket's handle is gone.
    pub(crate) closing: bool,
    /// Connections that are to go once they are flushed.
    pub(crate) retiring: Retirement,
    /// What an authenticator is asked about peers whose handshake waits for the answer.
    inquiries: HashMap<ConnectionId, Arc<Inquiry>>,
    /// Times that a connection is to be made again.
    pub(crate) reconnects: u64,
    /// The context is shut down: no call waits any more.
    pub(crate) terminated: bool,
    /// It is the context that is shut down: nobody binds a name any more.
    pub(crate) is_context_over: bool,
    /// Links that may have something to read, in the order in which they are read.
    pub(crate) ready: VecDeque<ConnectionId>,
    /// Links that can be written again after their transport had no room.
    unblocked: Vec<ConnectionId>,
    /// Links with output that the driver shall write.
    dirty: Vec<ConnectionId>,
    /// When output was last written or left to the driver.
    last_round: Option<Instant>,
    burst: Burst,
    pace: Pace,
    /// The driver knows of the dirty links.
    dirty_notified: bool,
    /// Asynchronous calls, for giving other tasks their turn.
    pub(crate) calls: u32,
    /// This socket's poller, as tokio knows it.
    #[cfg(feature = "tokio")]
    pub(crate) registration: Option<task::Registration>,
    /// The driver has been asked for a visit.
    visit_due: bool,
    /// When the driver comes by for this socket's timers.
    timer: Option<Instant>,
}

impl Core {
    pub(crate) fn new(
        id: u64,
        machine: nought_proto::Socket,
        options: SocketOptions,
        driver: usize,
        context: Arc<Shared>,
    ) -> std::io::Result<Arc<Self>> {
        let poller = Arc::new(Poller::new()?);
        let state = State {
            machine,
            links: Links::default(),
            endpoints: Endpoints::default(),
            monitors: Monitors::default(),
            waiters: Waiters::default(),
            unsettled: false,
            spin: Spin::new(options.spin),
            closing: false,
            retiring: Retirement::default(),
            inquiries: HashMap::new(),
            reconnects: 0,
            terminated: false,
            is_context_over: false,
            options,
            ready: VecDeque::new(),
            unblocked: Vec::new(),
            dirty: Vec::new(),
            last_round: None,
            burst: Burst::default(),
            pace: Pace::default(),
            dirty_notified: false,
            calls: 0,
            #[cfg(feature = "tokio")]
            registration: None,
            visit_due: false,
            timer: None,
        };
        let core = Arc::new_cyclic(|me| Self {
            id,
            state: BiasedLock::new(state),
            mail: Arc::new(Mail::new(Arc::clone(&poller))),
            poller,
            followers: Followers::default(),
            descriptor: OnceLock::new(),
            driver: AtomicUsize::new(driver),
            reconfiguring: ReentrantMutex::default(),
            context,
            me: me.clone(),
        });
        core.driver().add(&core)?;
        Ok(core)
    }

    /// The driver that serves this socket where no caller does.
    pub(crate) fn driver(&self) -> &Arc<Driver> {
        self.context.driver(self.driver.load(Ordering::Relaxed))
    }

    /// Has another driver serve this socket. What the one before has in hand for it, it still does.
    pub(crate) fn move_to_driver(&self, driver: usize) -> std::io::Result<()> {
        let state = self.lock();
        let (before, now) = (self.driver(), self.context.driver(driver));
        if Arc::ptr_eq(before, now) {
            return Ok(());
        }
        now.add(&self.arc())?;
        before.remove(self);
        now.set_timer(self.id, None, state.timer);
        if state.waiters.claimed {
            now.disarm(self);
        }
        self.driver.store(driver, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_> {
        Guard::new(self.state.lock())
    }

    /// Sends, if that does not have to wait. A socket that is shut down refuses as if it had to.
    #[inline(always)]
    pub(crate) fn send_now(&self, state: &mut State, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        if state.terminated {
            return Err(SendRefusal::WouldBlock);
        }
        // What peers in the same process did before this call counts for it: their subscriptions, for one.
        self.take_mail(state);
        state.machine.send(message)
    }

    /// Sends as many as that is possible without having to wait; see [`nought_proto::Socket::send_together`]. A socket that
    /// is shut down sends none.
    pub(crate) fn send_together_now(
        &self,
        state: &mut State,
        messages: &[Message],
        tell: impl FnMut(&Message, Result<(), SendRefusal>),
    ) -> usize {
        if state.terminated {
            return 0;
        }
        self.take_mail(state);
        state.machine.send_together(messages, tell)
    }

    /// Receives, if that does not have to wait. A socket that is shut down refuses as if it had to.
    #[inline]
    pub(crate) fn recv_now(&self, state: &mut State, into: &mut Message) -> Result<(), RecvRefusal> {
        if state.terminated {
            return Err(RecvRefusal::WouldBlock);
        }
        // Peers in the same process that have become ready get their turn, however busy another is.
        self.take_mail(state);
        state.machine.recv(into)
    }

    /// The same, and says whose message it is; see [`nought_proto::Socket::recv_from`].
    #[inline]
    pub(crate) fn recv_from_now(
        &self,
        state: &mut State,
        into: &mut Message,
        peer: &mut Option<Arc<PeerInfo>>,
    ) -> Result<(), RecvRefusal> {
        if state.terminated {
            return Err(RecvRefusal::WouldBlock);
        }
        self.take_mail(state);
        state.machine.recv_from(into, peer)
    }

    /// Receives a small message where it stands, if one is next in a run; see [`nought_proto::Socket::recv_small_from`].
    #[inline]
    pub(crate) fn recv_small_from_now<T>(
        &self,
        state: &mut State,
        peer: &mut Option<Arc<PeerInfo>>,
        take: impl FnOnce(BodyInPlace<'_>) -> T,
    ) -> Option<T> {
        if state.terminated {
            return None;
        }
        self.take_mail(state);
        state.machine.recv_small_from(peer, take)
    }

    /// Locks the socket to look at it, as it is after what peers in the same process did.
    pub(crate) fn look_up(&self) -> Guard<'_> {
        let mut state = self.lock();
        self.take_mail(&mut state);
        self.settle(state)
    }

    pub(crate) fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("a core is only reached through its Arc")
    }

    /// Does everything that can be done without waiting: takes events, reads, writes, and acts on what came of it.
    pub(crate) fn pump<'a>(&'a self, mut state: Guard<'a>, now: Instant) -> Guard<'a> {
        self.collect(&mut state, now);
        self.pump_collected(state, now)
    }

    /// The same before a wait of a caller, which asks the kernel when it sleeps: not here, if all that the socket has are
    /// peers in the same process.
    pub(crate) fn pump_before_waiting<'a>(&'a self, state: Guard<'a>, now: Instant) -> Guard<'a> {
        // Those who watch want the wake-up to be reset by whoever has looked.
        let only_mail_comes = state.links.is_empty() && !state.endpoints.any() && state.waiters.watching == 0;
        if only_mail_comes { self.pump_collected(state, now) } else { self.pump(state, now) }
    }

    fn pump_collected<'a>(&'a self, mut state: Guard<'a>, now: Instant) -> Guard<'a> {
        // After collecting: that may have reset the wake-up of mail which a sleeper has not seen yet.
        self.take_mail(&mut state);
        self.read_ready(&mut state, now);
        state = self.write_unblocked(state);
        self.settle(state)
    }

    /// Takes what the kernel has to tell, without waiting.
    fn collect(&self, state: &mut State, now: Instant) {
        let mut buffer = event_buffer();
        // A bounded number of rounds: what is left is level-triggered for whoever comes next.
        for _ in 0..16 {
            let Ok(events) = self.poller.wait(&mut buffer, Some(Duration::ZERO)) else { return };
            self.take_events(state, events, now);
            if events.len() < EVENTS_MAX {
                return;
            }
        }
    }

    pub(crate) fn take_events(&self, state: &mut State, events: &[epoll::Event], now: Instant) {
        state.unsettled |= !events.is_empty();
        for event in events {
            let flags = event.flags;
            match Token::from_bits(event.data.u64()) {
                Token::Wake => self.reset_wake(state),
                Token::Listener(index) => self.accept_all(state, index, now),
                Token::Link(id) => self.link_event(state, id, flags, now),
            }
        }
    }

    /// Acts on what the machine wants, until it wants nothing; then tells those who wait.
    pub(crate) fn settle<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let mut round = Round::default();
        let mut writes_left = WRITES_PER_LINK_MAX * state.links.len();
        while state.machine.wants_attention() {
            while let Some(event) = state.machine.poll_event() {
                self.machine_event(&mut state, event);
            }
            let mut resumed = false;
            while let Some(id) = state.machine.poll_resumed() {
                resumed |= state.mark_ready(id);
            }
            if resumed {
                self.read_ready(&mut state, Instant::now());
            }
            if let Some((id, flush)) = state.machine.poll_flush()
                && self.should_write(&mut state, id, flush, &mut round)
            {
                if writes_left == 0 {
                    self.leave_to_driver(&mut state, id, Urgency::High);
                    continue;
                }
                writes_left -= 1;
                state = self.write_out(state, id);
            }
        }
        if round.began.is_some() {
            state.last_round = Some(Instant::now());
        }
        self.go_on_retiring(&mut state);
        state.unsettled = false;
        if !state.ready.is_empty() {
            self.see_that_somebody_reads_on(&mut state);
        }
        self.update_timer(&mut state);
        state.machine.note_turn();
        self.tell_waiters(&mut state);
        if state.machine.wants_attention() {
            // To ask for those who wait whether there is a message may have dropped some, and made room for more.
            self.visit_soon(&mut state);
        }
        state
    }

    /// Settles if anything has come since that was last done: before the lock is left for long, so that no timer is
    /// lost, and nobody waits for what is there.
    #[inline]
    pub(crate) fn settle_rest<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        if state.is_settled() { state } else { self.settle(state) }
    }

    /// Ends a call that did what it was to do.
    pub(crate) fn finish(&self, state: Guard<'_>) {
        if state.is_settled() { drop(state) } else { drop(self.settle(state)) }
    }

    fn machine_event(&self, state: &mut State, event: Event) {
        match event {
            Event::Established(id) => self.established(state, id),
            Event::Authenticate(id, request) => self.inquire(id, *request),
            Event::Failed(id, error) => self.lose_link(state, id, LostBecause::Protocol(error)),
            Event::Closed(id) => self.lose_link(state, id, LostBecause::Closed),
            Event::PeerClosed(id) => self.lose_link(state, id, LostBecause::PeerClosed),
            Event::Retired(id) => self.retire(state, id),
            _ => {}
        }
    }

    /// Whether output is to be written by whoever is here: there is a lot of it, or nothing else is going on.
    fn should_write(&self, state: &mut State, id: ConnectionId, flush: Flush, round: &mut Round) -> bool {
        let more_waits = state.machine.connection(id).is_some_and(|connection| connection.has_untaken());
        let Some(link) = state.links.get_mut(id) else { return false };
        if !link.can_write() {
            return false;
        }
        let answers = link.received_since_write && !more_waits;
        if flush == Flush::Full || answers || round.is_lone(state.last_round) {
            return true;
        }
        // Whoever has more to receive will most likely be back for it, and writes what has gathered when nothing is left.
        let urgency = if more_waits { Urgency::Low } else { Urgency::High };
        self.leave_to_driver(state, id, urgency);
        false
    }

    fn leave_to_driver(&self, state: &mut State, id: ConnectionId, urgency: Urgency) {
        let Some(link) = state.links.get_mut(id) else { return };
        if !std::mem::replace(&mut link.dirty, true) {
            state.dirty.push(id);
        }
        if !std::mem::replace(&mut state.dirty_notified, true) {
            self.driver().flush_later(self.arc(), urgency);
        }
    }

    /// Writes what was left to the driver, and settles: a caller that is about to wait has nothing to add to it.
    pub(crate) fn write_before_waiting<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        for _ in 0..state.dirty.len() {
            let Some(id) = state.dirty.pop() else { break };
            let Some(link) = state.links.get_mut(id) else { continue };
            link.dirty = false;
            if link.can_write() {
                state = self.write_out(state, id);
            }
        }
        self.settle_rest(state)
    }

    /// The driver's part of [`leave_to_driver`](Self::leave_to_driver): writes what has been left, but leaves a stream
    /// alone that its sender writes as it goes. Says whether to look again.
    pub(crate) fn look_at_dirty(&self, patience: LookPatience) -> Look {
        let mut state = match (patience, self.state.try_lock().map(Guard::new)) {
            (_, Some(state)) => state,
            // The sender is at it just now, and will be for a while: a fight for the lock would only slow it down.
            (LookPatience::Some, None) => return Look::Again,
            (LookPatience::None, None) => self.lock(),
        };
        let mut streaming = Vec::new();
        for id in std::mem::take(&mut state.dirty) {
            let Some(link) = state.links.get_mut(id) else { continue };
            link.dirty = false;
            if !link.can_write() {
                continue;
            }
            if std::mem::take(&mut link.written_since_look) {
                link.dirty = true;
                streaming.push(id);
            } else {
                state = self.write_out(state, id);
            }
        }
        state.dirty.append(&mut streaming);
        let mut state = self.settle(state);
        let look = if state.dirty.is_empty() { Look::Done } else { Look::Again };
        state.dirty_notified = look == Look::Again;
        self.go_on_closing(state);
        look
    }

    /// The driver's visit: something happened, or a timer ran out, and no caller is there to deal with it.
    pub(crate) fn drive(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        state.visit_due = false;
        state.timer = None;
        // What has come is read before anyone is given up for silence: this process may have been stopped.
        state = self.pump(state, now);
        state.machine.handle_timeout(now);
        self.endpoint_timeouts(&mut state, now);
        state = self.retirement_timeouts(state, now);
        state = self.settle(state);
        self.go_on_reading(&mut state);
        self.go_on_closing(state);
    }

    /// Comes back for links that have more than one turn's worth: the kernel will not tell of it again.
    pub(crate) fn go_on_reading(&self, state: &mut State) {
        if !state.ready.is_empty() {
            self.visit_soon(state);
        }
    }

    /// Asks for a visit of the driver, unless one is due.
    fn visit_soon(&self, state: &mut State) {
        if !std::mem::replace(&mut state.visit_due, true) {
            self.visit_later();
        }
    }

    /// Tells the driver when to come by next, if that has changed.
    fn update_timer(&self, state: &mut State) {
        let next = [state.machine.next_timeout(), state.endpoints.next_timeout(), state.retiring.next_timeout()]
            .into_iter()
            .flatten()
            .min();
        if next != state.timer {
            self.driver().set_timer(self.id, state.timer, next);
            state.timer = next;
        }
    }

    /// Publishes an event to this socket's monitors.
    pub(crate) fn publish(&self, state: &mut State, event: SocketEvent) {
        event.trace(state.machine.socket_type());
        state.monitors.publish(&event, &mut state.waiters.after_unlock);
    }

    /// Makes every call on this socket return, now and from now on.
    pub(crate) fn shut_down(&self) {
        let mut state = self.lock();
        state.terminated = true;
        self.wake_all(&mut state);
    }

    /// The same, because the context is over.
    pub(crate) fn terminate(&self) {
        let mut state = self.lock();
        state.terminated = true;
        self.give_up_names(&mut state);
        self.wake_all(&mut state);
        if state.closing {
            self.visit_later();
        }
    }

    /// Asks for a visit of the driver.
    pub(crate) fn visit_later(&self) {
        let core = self.arc();
        self.driver().run_later(Box::new(move || core.drive()));
    }
}

impl State {
    /// Whether nothing has come since the last [`settle`](Core::settle), and nobody has to be told of anything.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        let somebody_hears_of_the_turn = self.machine.turn_changed() && self.waiters.are_any();
        !self.unsettled && !self.machine.wants_attention() && self.waiters.told.is_none() && !somebody_hears_of_the_turn
    }

    /// Whether links wait to be read or written without the kernel telling of them again.
    pub(crate) fn has_unfinished(&self) -> bool {
        !self.ready.is_empty() || !self.unblocked.is_empty()
    }

    /// Puts the link among those to be read, if it has something as far as is known.
    pub(super) fn mark_ready(&mut self, id: ConnectionId) -> bool {
        let Some(link) = self.links.get_mut(id).filter(|link| link.readable) else { return false };
        if !std::mem::replace(&mut link.in_ready, true) {
            self.ready.push_back(id);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Pull, Push, Sub, XPub};

    #[test]
    fn a_publisher_that_reads_no_subscriptions_answers_at_once() {
        let context = Context::new();
        let (xpub, sub) = (context.socket::<XPub>().unwrap(), context.socket::<Sub>().unwrap());
        sub.subscribe("a").unwrap();
        sub.connect(&xpub.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        while !xpub.readiness().readable {
            std::thread::yield_now();
        }
        let core = xpub.core();
        let mut state = core.lock();
        let id = state.links.iter().next().unwrap().id;
        assert!(state.machine.connection(id).unwrap().recv_queue_len() > 0, "a subscription waits");
        state.links.get_mut(id).unwrap().received_since_write = true;
        // Written just now: so it is no lone round.
        state.last_round = Some(Instant::now() + Duration::from_secs(60));
        assert!(core.should_write(&mut state, id, Flush::Dirty, &mut Round::default()));
    }

    #[test]
    fn what_a_caller_leaves_unread_is_read_though_it_never_returns() {
        let context = Context::new();
        let (pull, push) = (context.socket::<Pull>().unwrap(), context.socket::<Push>().unwrap());
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        push.send("x").unwrap();
        pull.recv().unwrap();
        let core = pull.core();
        let deadline = Instant::now() + Duration::from_secs(20);
        let until = |what: &str, is_so: &dyn Fn(&State) -> bool| {
            while !is_so(&core.lock()) {
                assert!(Instant::now() < deadline, "{what}");
                std::thread::yield_now();
            }
        };
        until("the driver takes the claim back", &|state| !state.waiters.claimed && state.ready.is_empty());
        let mut state = core.lock();
        let id = state.links.iter().next().unwrap().id;
        // As after a turn that ended before the link did.
        state.links.get_mut(id).unwrap().readable = true;
        state.mark_ready(id);
        drop(core.settle(state));
        until("the driver reads on", &|state| state.ready.is_empty());
    }
}
