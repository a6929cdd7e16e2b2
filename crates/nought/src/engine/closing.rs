//! Ends that lose nothing: connections that go once they are flushed, and sockets that close once all have gone.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use nought_proto::{ConnectionId, Options, Socket, socket::Reopen};

use super::{Core, Guard, State, link::LostBecause};
use crate::{monitor::DisconnectReason, transport::shield::ShieldedChannel};

/// How long a peer has at least to close its direction after we closed ours, before it is looked at whether it has all.
/// A channel that is closed while something of the peer's is unread, or still comes, is reset; and a reset destroys what
/// we sent last, as far as the peer's system has not taken it.
const FAREWELL: Duration = Duration::from_secs(1);

/// The longest pause between two such looks. Each is as long as the peer has taken so far: one that does not read for
/// long is not looked at all the time, and one that has read all is waited for twice as long as it took, at most.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(16);

/// Connections looked at in one visit of the driver: each look asks the system.
const LOOKS_PER_VISIT: usize = 256;

/// The connections of a socket that are to go once they are flushed. Only those are looked at of which something has
/// changed, or whose time has come: there may be many that wait for their peers.
#[derive(Default)]
pub(crate) struct Retirement {
    connections: HashMap<ConnectionId, Retiring>,
    changed: Vec<ConnectionId>,
    timers: BTreeSet<(Instant, ConnectionId)>,
}

#[derive(Clone, Copy)]
struct Retiring {
    /// When to give up; `None`: never.
    deadline: Option<Instant>,
    /// All is written and our direction closed.
    farewell: Option<Farewell>,
}

/// The peer may close its direction, and is looked at from time to time.
#[derive(Clone, Copy)]
struct Farewell {
    look_at: Instant,
    pause: Duration,
}

/// What is due for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    End,
    Look,
}

impl Retirement {
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(super) fn contains(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether our direction of the connection is closed, and the peer's is not.
    pub(super) fn awaits_farewell(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|retiring| retiring.farewell.is_some())
    }

    fn insert(&mut self, id: ConnectionId, retiring: Retiring) {
        self.set(id, retiring);
        self.changed.push(id);
    }

    fn set(&mut self, id: ConnectionId, retiring: Retiring) {
        self.remove(id);
        self.connections.insert(id, retiring);
        self.timers.extend(retiring.timer().map(|at| (at, id)));
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Retiring> {
        let retiring = self.connections.remove(&id)?;
        retiring.timer().map(|at| self.timers.remove(&(at, id)));
        Some(retiring)
    }

    /// Gives up no later than at `deadline`.
    fn hasten(&mut self, id: ConnectionId, deadline: Option<Instant>) {
        if let Some(&retiring) = self.connections.get(&id) {
            let deadline = [retiring.deadline, deadline].into_iter().flatten().min();
            self.set(id, Retiring { deadline, ..retiring });
        }
    }

    fn begin_farewell(&mut self, id: ConnectionId, now: Instant) {
        if let Some(&retiring) = self.connections.get(&id) {
            let farewell = Farewell { look_at: now + FAREWELL, pause: FAREWELL };
            self.set(id, Retiring { farewell: Some(farewell), ..retiring });
        }
    }

    fn look_later(&mut self, id: ConnectionId, now: Instant) {
        if let Some(&Retiring { deadline, farewell: Some(Farewell { pause, .. }) }) = self.connections.get(&id) {
            let farewell = Farewell { look_at: now + pause, pause: (pause * 2).min(LOOK_PAUSE_MAX) };
            self.set(id, Retiring { deadline, farewell: Some(farewell) });
        }
    }

    /// Takes a connection whose time has come: its timer rings once.
    fn take_due(&mut self, now: Instant) -> Option<(ConnectionId, Due)> {
        let &(at, id) = self.timers.first().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&(at, id));
        let deadline = self.connections.get(&id)?.deadline;
        let is_over = deadline.is_some_and(|deadline| deadline <= now);
        Some((id, if is_over { Due::End } else { Due::Look }))
    }
}

impl Retiring {
    fn timer(&self) -> Option<Instant> {
        [self.deadline, self.farewell.map(|farewell| farewell.look_at)].into_iter().flatten().min()
    }
}

impl State {
    fn linger_deadline(&self) -> Option<Instant> {
        self.options.linger.and_then(|linger| Instant::now().checked_add(linger))
    }

    /// Something has changed at a connection: if it is to go, its time may have come.
    pub(super) fn note_change(&mut self, id: ConnectionId) {
        if self.retiring.contains(id) {
            self.retiring.changed.push(id);
            self.unsettled = true;
        }
    }
}

// ---- connections

impl Core {
    /// Sends no more over a connection, lets what is queued go out within the linger time, then ends it.
    pub(super) fn retire(&self, state: &mut State, id: ConnectionId) {
        if state.retiring.contains(id) {
            return;
        }
        state.machine.retire(id);
        let deadline = state.linger_deadline();
        state.retiring.insert(id, Retiring { deadline, farewell: None });
        state.unsettled = true;
    }

    /// A connection that is to go was lost before it was flushed: another takes its place, if it was to go.
    pub(super) fn go_on_retiring_as(&self, state: &mut State, lost: ConnectionId, next: ConnectionId) {
        if let Some(retiring) = state.retiring.remove(lost) {
            state.machine.retire(next);
            state.retiring.insert(next, Retiring { farewell: None, ..retiring });
        }
    }

    pub(super) fn go_on_retiring(&self, state: &mut State) {
        while let Some(id) = state.retiring.changed.pop() {
            if state.retiring.contains(id) {
                self.go_on_retiring_one(state, id);
            }
        }
    }

    fn go_on_retiring_one(&self, state: &mut State, id: ConnectionId) {
        let is_flushed = state.machine.connection(id).is_none_or(|connection| connection.is_flushed());
        let Some(link) = state.links.get(id) else {
            if is_flushed || !self.may_be_joined(state, id) {
                self.give_up_waiting(state, id);
            }
            return;
        };
        if is_flushed && !link.is_writing() && !state.retiring.awaits_farewell(id) {
            self.say_farewell(state, id);
        }
    }

    /// Closes our direction; the peer closes its own, or is looked at.
    fn say_farewell(&self, state: &mut State, id: ConnectionId) {
        let connection = state.machine.connection(id);
        let was_used = connection.is_some_and(|connection| connection.counters().messages_out > 0);
        let closes = |state: &State| state.links.get(id).is_some_and(|link| link.channel.close_write().is_ok());
        if !was_used || !closes(state) {
            return self.end_link(state, id);
        }
        state.machine.close_output(id);
        state.endpoints.give_up_keeper_of(id);
        state.retiring.begin_farewell(id, Instant::now());
        // What a high-water mark kept unread is in the way of the peer's end.
        if state.mark_ready(id) {
            self.go_on_reading(state);
        }
    }

    /// Whether what is queued for a connection that is not up may still be sent. A peer that has refused us is not
    /// waited for: it would be for ever, if that is the linger time.
    fn may_be_joined(&self, state: &mut State, id: ConnectionId) -> bool {
        if state.endpoints.is_memory_connection(id) {
            let is_joined = state.machine.connection(id).is_some_and(|connection| connection.is_ready());
            return !is_joined && !state.is_context_over;
        }
        state.endpoints.may_connect(id)
    }

    /// Ends a connection that has no link.
    fn give_up_waiting(&self, state: &mut State, id: ConnectionId) {
        state.retiring.remove(id);
        if state.endpoints.is_memory_connection(id) {
            return self.leave_memory(state, id);
        }
        state.endpoints.give_up_keeper_of(id);
        state.machine.lose(id, Reopen::No);
    }

    /// Ends a connection for good; at the end of the write if somebody is writing.
    fn end_link(&self, state: &mut State, id: ConnectionId) {
        state.endpoints.give_up_keeper_of(id);
        self.lose_link(state, id, LostBecause::Closed);
    }

    /// Ends a connection within the process: what is in our pipe is the other side's, and what the other side has sent is
    /// received as long as there is somebody to receive it.
    fn leave_memory(&self, state: &mut State, id: ConnectionId) {
        let is_joined = state.machine.connection(id).is_some_and(|connection| connection.is_ready());
        let Some(name) = state.endpoints.remove_memory_connection(id) else { return };
        if is_joined {
            self.publish_memory_loss(state, &name, DisconnectReason::Closed);
        }
        if state.closing {
            state.machine.remove(id);
        } else {
            state.machine.lose(id, Reopen::No);
        }
        if !is_joined {
            self.context.names.forget(&name, self, id);
        }
    }

    /// Ends what the linger time is over for, and what has been delivered to peers that stay.
    pub(super) fn retirement_timeouts<'a>(&'a self, mut state: Guard<'a>, now: Instant) -> Guard<'a> {
        let mut looks = Vec::new();
        while looks.len() < LOOKS_PER_VISIT
            && let Some((id, due)) = state.retiring.take_due(now)
        {
            let channel = state.links.get(id).map(|link| link.channel.clone());
            match (due, channel) {
                (Due::End, None) => self.give_up_waiting(&mut state, id),
                (Due::End, Some(_)) => self.end_link(&mut state, id),
                (Due::Look, channel) => looks.extend(channel.map(|channel| (id, channel))),
            }
        }
        if looks.is_empty() { state } else { self.look_at_peers(state, looks) }
    }

    /// Ends the connections whose peers have all. The system is asked outside of the lock.
    fn look_at_peers<'a>(&'a self, state: Guard<'a>, looks: Vec<(ConnectionId, ShieldedChannel)>) -> Guard<'a> {
        drop(state);
        let answers: Vec<(ConnectionId, bool)> =
            looks.into_iter().map(|(id, channel)| (id, channel.is_delivered())).collect();
        let mut state = self.lock();
        let now = Instant::now();
        for (id, is_delivered) in answers {
            if is_delivered && state.retiring.awaits_farewell(id) {
                self.end_link(&mut state, id);
            } else {
                state.retiring.look_later(id, now);
            }
        }
        state
    }
}

// ---- sockets

impl Core {
    /// The last handle is gone: from here on the socket is the driver's. All its connections are to go.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.closing {
            return;
        }
        state.terminated = true;
        state.closing = true;
        #[cfg(feature = "tokio")]
        let registration = state.registration.take();
        let names = self.unbind_all(&mut state);
        self.retire_all(&mut state);
        self.wake_all(&mut state);
        self.hand_back(&mut state);
        drop(state);
        // It holds a task's waker: an executor's code.
        #[cfg(feature = "tokio")]
        drop(registration);
        names.iter().for_each(|name| self.context.names.unbind(name, self));
        self.visit_later();
    }

    fn retire_all(&self, state: &mut State) {
        let mut all = state.endpoints.leave_all();
        all.extend(state.links.iter().map(|link| link.id));
        let deadline = state.linger_deadline();
        for id in all {
            self.retire(state, id);
            state.retiring.hasten(id, deadline);
        }
    }

    /// The context is over: nobody binds any more what connections within the process wait for.
    pub(super) fn give_up_names(&self, state: &mut State) {
        state.is_context_over = true;
        let all: Vec<ConnectionId> = state.endpoints.memory_connections().collect();
        all.into_iter().for_each(|id| state.note_change(id));
    }

    /// Ends a closed socket when nothing is left of it.
    pub(super) fn go_on_closing(&self, mut state: Guard<'_>) {
        if !state.closing || !state.retiring.is_empty() || !state.links.is_empty() {
            return;
        }
        let State { monitors, waiters, machine, .. } = &mut *state;
        monitors.close(&mut waiters.after_unlock);
        // What nobody has received ends now, and not with whoever knows of the socket last and may hold other locks.
        machine.remove_all();
        let empty = Socket::new(machine.socket_type(), Options::default());
        waiters.after_unlock.bury(std::mem::replace(machine, empty));
        drop(state);
        self.driver().remove(self);
        self.context.socket_closed(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ConnectionId {
        ConnectionId::from_bits(1 << 32 | number).unwrap()
    }

    #[test]
    fn the_pauses_between_looks_grow_and_end_with_the_deadline() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut retirement = Retirement::default();
        retirement.insert(id(1), Retiring { deadline: Some(at(100)), farewell: None });
        assert_eq!(retirement.take_due(at(99)), None);
        retirement.begin_farewell(id(1), start);
        let looks = [1, 2, 4, 8, 16, 32, 48, 64, 80, 96];
        for look in looks {
            assert_eq!(retirement.next_timeout(), Some(at(look)));
            assert_eq!(retirement.take_due(at(look)), Some((id(1), Due::Look)));
            assert_eq!(retirement.next_timeout(), None, "it rings once");
            retirement.look_later(id(1), at(look));
        }
        assert_eq!(retirement.take_due(at(100)), Some((id(1), Due::End)));
        assert_eq!(retirement.take_due(at(1000)), None);
    }

    #[test]
    fn a_deadline_only_comes_nearer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut retirement = Retirement::default();
        for (number, deadline) in [(1, None), (2, Some(at(5))), (3, Some(at(50)))] {
            retirement.insert(id(number), Retiring { deadline, farewell: None });
            retirement.hasten(id(number), None);
            retirement.hasten(id(number), Some(at(10)));
        }
        assert_eq!(retirement.take_due(at(9)), Some((id(2), Due::End)));
        assert_eq!(retirement.take_due(at(9)), None);
        assert_eq!(retirement.take_due(at(10)), Some((id(1), Due::End)));
        assert_eq!(retirement.take_due(at(10)), Some((id(3), Due::End)));
    }
}
