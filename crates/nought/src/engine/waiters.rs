//! Who waits for a socket: threads in a call, tasks, pollers; and how they are told.

use std::task::Waker;

use nought_proto::Socket;

use super::{Core, State, descriptor::Told, guard::AfterUnlock};
use crate::poll::Wanted;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Recv,
    Send,
}

impl Interest {
    /// What a call waits for whose attempt has come to nothing just now.
    pub(super) fn since_now(self, state: &State) -> Awaited {
        match self {
            Self::Recv => Awaited::Message,
            Self::Send => Awaited::RoomSince(state.machine.room_epoch()),
        }
    }
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Message,
    /// That something changes for its message, which found no room at this [epoch](Socket::room_epoch).
    RoomSince(u64),
}

impl Awaited {
    pub(super) fn interest(self) -> Interest {
        match self {
            Self::Message => Interest::Recv,
            Self::RoomSince(_) => Interest::Send,
        }
    }
}

/// Whether a wait for this is over.
pub(super) fn has_come(machine: &mut Socket, awaited: Awaited) -> bool {
    match awaited {
        Awaited::Message => machine.can_recv(),
        Awaited::RoomSince(epoch) => machine.room_epoch() != epoch,
    }
}

/// Those who wait.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Threads that sleep, by interest.
    pub(super) receiving: u32,
    pub(super) sending: u32,
    /// The thread that is in the poller, or polls; the others wait for it.
    pub(super) leader: Option<Leader>,
    /// What pollers wait for that sleep on this socket's poller and must be woken through it.
    pub(crate) pollers: Vec<Wanted>,
    /// What those know who wait for the socket in an event loop of theirs, if there are any.
    pub(super) told: Option<Told>,
    /// The epoch up to which those who wait for room have been told.
    told_of_room: u64,
    /// Pollers, tasks and event loops that want to be woken by mail.
    pub(crate) watching: u32,
    /// The wake-up is set and nobody has reset it.
    wake_is_set: bool,
    /// Threads and pollers that have claimed the socket just now.
    pub(super) inside: u32,
    /// Tasks for which a runtime watches the socket.
    pub(super) tasks_inside: u32,
    /// The driver does not watch this socket.
    pub(super) claimed: bool,
    /// A caller was inside since the driver's last tick.
    pub(super) touched: bool,
    /// The driver's tick looks at this socket.
    pub(super) in_tick_list: bool,
    recv_wakers: Vec<(u64, Waker)>,
    send_wakers: Vec<(u64, Waker)>,
    /// The task that the runtime wakes: it knows only of the last one that asked.
    pub(super) watcher: Option<u64>,
    /// Foreign code that is to run when the lock is free.
    pub(crate) after_unlock: AfterUnlock,
}

/// The thread that drives the socket for all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    pub(super) awaited: Awaited,
    /// It sleeps in the poller, without the lock. Otherwise it is about to look by itself.
    pub(super) asleep: bool,
}

impl Waiters {
    /// Whether anybody waits.
    pub(super) fn are_any(&self) -> bool {
        self.receiving > 0
            || self.sending > 0
            || !self.pollers.is_empty()
            || !self.recv_wakers.is_empty()
            || !self.send_wakers.is_empty()
            || self.told.is_some()
    }

    pub(super) fn count(&mut self, interest: Interest) -> &mut u32 {
        match interest {
            Interest::Recv => &mut self.receiving,
            Interest::Send => &mut self.sending,
        }
    }

    fn wakers(&mut self, interest: Interest) -> &mut Vec<(u64, Waker)> {
        match interest {
            Interest::Recv => &mut self.recv_wakers,
            Interest::Send => &mut self.send_wakers,
        }
    }

    /// Remembers a task; one entry per `key`.
    pub(crate) fn set_waker(&mut self, interest: Interest, key: u64, waker: &Waker) {
        let wakers = self.wakers(interest);
        match wakers.iter_mut().find(|(other, _)| *other == key) {
            Some((_, known)) if known.will_wake(waker) => {}
            Some((_, known)) => {
                let former = std::mem::replace(known, waker.clone());
                self.after_unlock.discard(former);
            }
            None => wakers.push((key, waker.clone())),
        }
    }

    /// Forgets a task.
    pub(crate) fn remove_waker(&mut self, interest: Interest, key: u64) {
        let wakers = self.wakers(interest);
        if let Some(position) = wakers.iter().position(|(other, _)| *other == key) {
            let (_, waker) = wakers.remove(position);
            self.after_unlock.discard(waker);
        }
    }

    /// Whether tasks wait.
    pub(super) fn has_tasks(&self) -> bool {
        !self.recv_wakers.is_empty() || !self.send_wakers.is_empty()
    }

    /// Whether a thread is in the poller.
    pub(crate) fn has_leader(&self) -> bool {
        self.leader.is_some()
    }

    /// Wakes all tasks, to poll again.
    pub(crate) fn wake_tasks(&mut self) {
        self.wake_tasks_for(Interest::Recv);
        self.wake_tasks_for(Interest::Send);
    }

    fn wake_tasks_for(&mut self, interest: Interest) {
        for (_, waker) in std::mem::take(self.wakers(interest)) {
            self.after_unlock.wake(waker);
        }
    }

    /// Whether threads or tasks wait for this.
    fn awaits(&self, interest: Interest) -> bool {
        match interest {
            Interest::Recv => self.receiving > 0 || !self.recv_wakers.is_empty(),
            Interest::Send => self.sending > 0 || !self.send_wakers.is_empty(),
        }
    }

    /// The leader, if it sleeps in the poller.
    fn sleeping_leader(&self) -> Option<Leader> {
        self.leader.filter(|leader| leader.asleep)
    }

    fn has_sleeper(&self) -> bool {
        self.sleeping_leader().is_some() || !self.pollers.is_empty()
    }
}

impl Core {
    /// Whether a caller may sleep: there is nothing left to look at, and what it waits for has not come, as `is_over`
    /// tells. That is asked before the last question, because whoever asks for messages drops those that do not match,
    /// and then something is left to do.
    pub(crate) fn is_quiet(&self, state: &mut State, is_over: impl FnOnce(&mut Socket) -> bool) -> bool {
        let is_idle = self.mail.is_empty() && state.ready.is_empty() && !state.terminated;
        is_idle && !is_over(&mut state.machine) && !state.machine.wants_attention()
    }

    /// Tells those whose wait is over.
    #[inline]
    pub(crate) fn tell_waiters(&self, state: &mut State) {
        if state.waiters.are_any() {
            self.tell_those_who_can_go_on(state);
        }
    }

    #[cold]
    fn tell_those_who_can_go_on(&self, state: &mut State) {
        for interest in [Interest::Recv, Interest::Send] {
            if state.waiters.awaits(interest) && has_news(state, interest) {
                state.waiters.wake_tasks_for(interest);
                if *state.waiters.count(interest) > 0 {
                    self.followers.tell_all();
                }
            }
        }
        self.tell_descriptor(state);
        if must_wake_sleepers(state) {
            self.set_wake(state);
        }
    }

    fn set_wake(&self, state: &mut State) {
        if !std::mem::replace(&mut state.waiters.wake_is_set, true) {
            self.poller.wake();
        }
    }

    pub(super) fn reset_wake(&self, state: &mut State) {
        state.waiters.wake_is_set = false;
        self.poller.reset();
    }

    /// Wakes everybody, whatever they wait for.
    pub(crate) fn wake_all(&self, state: &mut State) {
        state.waiters.wake_tasks();
        self.set_wake(state);
        self.followers.tell_all();
        self.tell_descriptor(state);
    }
}

/// Whether there is something for those who can be told once: followers and tasks, which then look by themselves.
fn has_news(state: &mut State, interest: Interest) -> bool {
    let has_come = match interest {
        Interest::Recv => state.machine.can_recv(),
        Interest::Send => {
            let epoch = state.machine.room_epoch();
            std::mem::replace(&mut state.waiters.told_of_room, epoch) != epoch
        }
    };
    has_come || state.terminated
}

/// Whether one of those who sleep in this socket's poller must get up. They share one wake-up, and whoever looks first
/// resets it, so that another may sleep on: that one is told again, for as long as there is something for it.
fn must_wake_sleepers(state: &mut State) -> bool {
    if !state.waiters.has_sleeper() {
        return false;
    }
    // Of links that are not read to their end the kernel does not tell again: a sleeper has to look.
    if state.terminated || !state.ready.is_empty() {
        return true;
    }
    let State { machine, waiters, .. } = state;
    waiters.sleeping_leader().is_some_and(|leader| has_come(machine, leader.awaited))
        || waiters.pollers.iter().any(|wanted| wanted.of(machine).is_any())
}
