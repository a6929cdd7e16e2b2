//! Ends that lose nothing: connections that go once they are flushed, and sockets that close once all have gone.

use std::time::{Duration, Instant};

use nought_proto::{ConnectionId, socket::Reopen};

use super::{
    Core, Guard, State,
    link::{LostBecause, Origin},
};

/// How long a peer has at least to close its direction after we closed ours, and how often we look then whether it has
/// all. A channel that is closed while something of the peer's is unread, or still comes, is reset; and a reset destroys
/// what we sent last, as far as the peer's system has not taken it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A socket whose handle is gone.
pub(crate) struct Closing {
    /// When to give up what is not sent yet; `None`: never.
    pub(crate) deadline: Option<Instant>,
}

/// A connection that is to go once it is flushed.
#[derive(Clone, Copy)]
pub(crate) struct Retiring {
    /// When to give up; `None`: never.
    deadline: Option<Instant>,
    /// All is written and our direction closed; then the peer is looked at, which may close its own before.
    farewell: Option<Instant>,
}

impl State {
    pub(super) fn closing_timeout(&self) -> Option<Instant> {
        let closing = self.closing.as_ref().and_then(|closing| closing.deadline);
        let retiring = self.retiring.values().flat_map(|retiring| [retiring.farewell, retiring.deadline]);
        closing.into_iter().chain(retiring.flatten()).min()
    }

    fn linger_deadline(&self) -> Option<Instant> {
        self.options.linger.and_then(|linger| Instant::now().checked_add(linger))
    }

    /// Whether our direction of the connection is closed, and the peer's is not.
    pub(super) fn awaits_farewell(&self, id: ConnectionId) -> bool {
        self.retiring.get(&id).is_some_and(|retiring| retiring.farewell.is_some())
    }
}

impl Core {
    /// Sends no more over a connection, lets what is queued go out within the linger time, then ends it.
    pub(super) fn retire(&self, state: &mut State, id: ConnectionId) {
        if state.retiring.contains_key(&id) {
            return;
        }
        state.machine.retire(id);
        let deadline = state.linger_deadline();
        state.retiring.insert(id, Retiring { deadline, farewell: None });
    }

    /// A connection that is to go was lost before it was flushed: another takes its place, if it was to go.
    pub(super) fn go_on_retiring_as(&self, state: &mut State, lost: ConnectionId, next: ConnectionId) {
        if let Some(retiring) = state.retiring.remove(&lost) {
            state.machine.retire(next);
            state.retiring.insert(next, Retiring { farewell: None, ..retiring });
        }
    }

    pub(super) fn go_on_retiring(&self, state: &mut State) {
        let now = Instant::now();
        let all: Vec<ConnectionId> = state.retiring.keys().copied().collect();
        for id in all {
            if !self.go_on_retiring_one(state, id, now) {
                state.retiring.remove(&id);
            }
        }
    }

    /// Says whether the connection is still there.
    fn go_on_retiring_one(&self, state: &mut State, id: ConnectionId, now: Instant) -> bool {
        let Some(&retiring) = state.retiring.get(&id) else { return false };
        let Some(connection) = state.machine.connections().get(id) else { return false };
        let is_over = retiring.deadline.is_some_and(|deadline| deadline <= now);
        let is_flushed = connection.is_flushed();
        let Some(link) = state.links.get(id) else {
            let has_nowhere_to_go = is_over || is_flushed || !self.may_be_joined(state, id);
            if has_nowhere_to_go {
                self.give_up_waiting(state, id);
            }
            return !has_nowhere_to_go;
        };
        if is_over {
            return self.end_link(state, id);
        }
        if let Some(farewell) = retiring.farewell {
            if farewell <= now && link.channel.is_delivered() {
                return self.end_link(state, id);
            }
            let next_look = if farewell <= now { now + FAREWELL } else { farewell };
            state.retiring.insert(id, Retiring { farewell: Some(next_look), ..retiring });
            return true;
        }
        if link.is_writing() || !is_flushed {
            return true;
        }
        let was_used = connection.counters().messages_out > 0;
        if !was_used || link.channel.close_write().is_err() {
            return self.end_link(state, id);
        }
        state.endpoints.give_up_keeper_of(id);
        state.retiring.insert(id, Retiring { farewell: Some(now + FAREWELL), ..retiring });
        // What a high-water mark kept unread is in the way of the peer's end.
        if state.mark_ready(id) {
            self.go_on_reading(state);
        }
        true
    }

    /// Whether what is queued for a connection that is not up may still be sent.
    fn may_be_joined(&self, state: &State, id: ConnectionId) -> bool {
        if state.endpoints.is_memory_connection(id) {
            let is_joined = state.machine.connections().get(id).is_some_and(|connection| connection.is_ready());
            return !is_joined && !state.is_context_over;
        }
        state.endpoints.keeper_of(id).is_some()
    }

    fn give_up_waiting(&self, state: &mut State, id: ConnectionId) {
        if state.endpoints.is_memory_connection(id) {
            return self.leave_memory(state, id);
        }
        state.endpoints.give_up_keeper_of(id);
        state.machine.lose(id, Reopen::No);
    }

    /// Ends a connection for good; says whether its link is still there, because somebody is writing.
    fn end_link(&self, state: &mut State, id: ConnectionId) -> bool {
        state.endpoints.give_up_keeper_of(id);
        self.lose_link(state, id, LostBecause::Closed);
        state.links.get(id).is_some()
    }

    /// The last handle is gone: from here on the socket is the driver's.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.closing.is_some() {
            return;
        }
        state.terminated = true;
        let deadline = state.linger_deadline();
        state.closing = Some(Closing { deadline });
        #[cfg(feature = "tokio")]
        let registration = state.registration.take();
        let names = self.unbind_all(&mut state);
        self.wake_all(&mut state);
        self.hand_back(&mut state);
        drop(state);
        // It holds a task's waker: an executor's code.
        #[cfg(feature = "tokio")]
        drop(registration);
        names.iter().for_each(|name| self.context.names.unbind(name, self));
        self.visit_later();
    }

    /// Ends what has nothing left to send; the socket itself when nothing is left of it.
    pub(super) fn go_on_closing(&self, mut state: Guard<'_>, now: Instant) {
        let Some(closing) = &state.closing else { return };
        let is_over = closing.deadline.is_some_and(|deadline| deadline <= now);
        let in_memory: Vec<ConnectionId> = state.endpoints.memory_connections().collect();
        in_memory.into_iter().for_each(|id| self.retire(&mut state, id));
        if is_over {
            self.drop_connectors(&mut state);
        } else {
            self.drop_idle_connectors(&mut state);
        }
        let to_retire: Vec<ConnectionId> =
            state.links.iter().filter(|link| !self.is_kept(&state, link.origin, link.id)).map(|link| link.id).collect();
        to_retire.into_iter().for_each(|id| self.retire(&mut state, id));
        let mut state = self.settle(state);
        if is_over {
            let all: Vec<ConnectionId> = state.links.iter().map(|link| link.id).collect();
            all.into_iter().for_each(|id| self.lose_link(&mut state, id, LostBecause::Closed));
        }
        let waits_for_names = state.endpoints.memory_connections().next().is_some();
        if state.links.is_empty() && !self.has_connectors(&state) && !waits_for_names {
            let State { monitors, waiters, .. } = &mut *state;
            monitors.close(&mut waiters.after_unlock);
            drop(state);
            self.driver.remove(self);
            self.context.socket_closed(self.id);
        }
    }

    /// Whether a connector still has something to send over this connection that is not up yet.
    fn is_kept(&self, state: &State, origin: Origin, id: ConnectionId) -> bool {
        matches!(origin, Origin::Connector(_))
            && state.endpoints.keeps(origin, id)
            && state.machine.connections().get(id).is_some_and(|connection| !connection.is_ready())
    }

    /// Ends a connection within the process: what is in the pipe is the other side's.
    fn leave_memory(&self, state: &mut State, id: ConnectionId) {
        let is_joined = state.machine.connections().get(id).is_some_and(|connection| connection.is_ready());
        let Some(name) = state.endpoints.remove_memory_connection(id) else { return };
        state.machine.remove(id);
        if !is_joined {
            self.context.names.forget(&name, self, id);
        }
    }
}
