//! Who waits for a socket: threads in a call, tasks, pollers; and how they are told.

use std::task::Waker;

use super::{Core, State};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Recv,
    Send,
}

/// Those who wait.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Threads that sleep, by interest.
    pub(super) receiving: u32,
    pub(super) sending: u32,
    /// One thread is in the poller, or polls; the others wait for it.
    pub(super) leader: bool,
    /// Pollers of others that sleep on this socket's poller and must be woken through it.
    pub(crate) external: u32,
    /// Pollers and tasks that want to be woken by mail.
    pub(crate) watching: u32,
    /// The wake-up is set and nobody has reset it.
    wake_is_set: bool,
    /// Threads, tasks and pollers that have claimed the socket just now.
    pub(super) inside: u32,
    /// The driver does not watch this socket.
    pub(super) claimed: bool,
    /// A caller was inside since the driver's last tick.
    pub(super) touched: bool,
    /// The driver's tick looks at this socket.
    pub(super) in_tick_list: bool,
    recv_wakers: Vec<(u64, Waker)>,
    send_wakers: Vec<(u64, Waker)>,
}

impl Waiters {
    fn is_empty(&self) -> bool {
        self.receiving == 0
            && self.sending == 0
            && self.external == 0
            && self.recv_wakers.is_empty()
            && self.send_wakers.is_empty()
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
            Some((_, known)) => known.clone_from(waker),
            None => wakers.push((key, waker.clone())),
        }
    }

    /// Forgets a task.
    pub(crate) fn remove_waker(&mut self, interest: Interest, key: u64) {
        self.wakers(interest).retain(|(other, _)| *other != key);
    }

    /// Whether tasks wait.
    pub(super) fn has_tasks(&self) -> bool {
        !self.recv_wakers.is_empty() || !self.send_wakers.is_empty()
    }

    /// Whether a thread is in the poller.
    pub(crate) fn has_leader(&self) -> bool {
        self.leader
    }

    /// Wakes all tasks, to poll again.
    pub(crate) fn wake_tasks(&mut self) {
        wake_tasks(&mut self.recv_wakers);
        wake_tasks(&mut self.send_wakers);
    }
}

impl Core {
    /// Tells those whose wait is over.
    #[inline]
    pub(crate) fn tell_waiters(&self, state: &mut State) {
        if !state.waiters.is_empty() {
            self.tell_those_who_can_go_on(state);
        }
    }

    #[cold]
    fn tell_those_who_can_go_on(&self, state: &mut State) {
        let waiters = &state.waiters;
        let receivers = waiters.receiving > 0 || waiters.external > 0 || !waiters.recv_wakers.is_empty();
        let senders = waiters.sending > 0 || waiters.external > 0 || !waiters.send_wakers.is_empty();
        let can_recv = receivers && (state.terminated || state.machine.can_recv());
        let can_send = senders && (state.terminated || state.machine.can_send_again());
        let is_writable = can_send || waiters.external > 0 && state.machine.can_send();
        if can_recv {
            wake_tasks(&mut state.waiters.recv_wakers);
        }
        if can_send {
            wake_tasks(&mut state.waiters.send_wakers);
        }
        if can_recv && state.waiters.receiving > 0 || can_send && state.waiters.sending > 0 {
            self.wake_threads(state);
        } else if state.waiters.external > 0 && (can_recv || is_writable) {
            self.set_wake(state);
        }
    }

    fn wake_threads(&self, state: &mut State) {
        if state.waiters.leader || state.waiters.external > 0 {
            self.set_wake(state);
        }
        self.followers.notify_all();
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
        wake_tasks(&mut state.waiters.recv_wakers);
        wake_tasks(&mut state.waiters.send_wakers);
        self.set_wake(state);
        self.followers.notify_all();
    }
}

fn wake_tasks(wakers: &mut Vec<(u64, Waker)>) {
    wakers.drain(..).for_each(|(_, waker)| waker.wake());
}
