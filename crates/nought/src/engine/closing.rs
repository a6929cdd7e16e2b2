//! Ends that lose nothing: connections that go once they are flushed, and sockets that close once all have gone.

use std::time::{Duration, Instant};

use nought_proto::{ConnectionId, socket::Reopen};

use super::{
    Core, Guard, State,
    link::{LostBecause, Origin},
};

/// How long a peer has to close its direction after we closed ours. A channel that is closed while something of the
/// peer's is unread is reset, and a reset may destroy what we sent last.
const FAREWELL: Duration = Duration::from_secs(1);

/// A socket whose handle is gone.
pub(crate) struct Closing {
    /// When to give up what is not sent yet; `None`: never.
    pub(crate) deadline: Option<Instant>,
}

/// A connection that is to go once it is flushed.
pub(crate) struct Retiring {
    id: ConnectionId,
    /// When to give up; `None`: never.
    deadline: Option<Instant>,
    /// All is written and our direction closed; the peer has until then to close its own.
    farewell: Option<Instant>,
}

impl State {
    pub(super) fn closing_timeout(&self) -> Option<Instant> {
        let closing = self.closing.as_ref().and_then(|closing| closing.deadline);
        let retiring = self.retiring.iter().filter_map(|retiring| retiring.farewell.or(retiring.deadline));
        closing.into_iter().chain(retiring).min()
    }

    fn linger_deadline(&self) -> Option<Instant> {
        self.options.linger.and_then(|linger| Instant::now().checked_add(linger))
    }
}

impl Core {
    /// Sends no more over a connection, lets what is queued go out within the linger time, then ends it.
    pub(super) fn retire(&self, state: &mut State, id: ConnectionId) {
        if state.retiring.iter().any(|retiring| retiring.id == id) {
            return;
        }
        state.machine.retire(id);
        let deadline = state.linger_deadline();
        state.retiring.push(Retiring { id, deadline, farewell: None });
    }

    pub(super) fn go_on_retiring(&self, state: &mut State) {
        let now = Instant::now();
        let mut retiring = std::mem::take(&mut state.retiring);
        retiring.retain_mut(|retiring| self.go_on_retiring_one(state, retiring, now));
        state.retiring.append(&mut retiring);
    }

    /// Says whether the connection is still there.
    fn go_on_retiring_one(&self, state: &mut State, retiring: &mut Retiring, now: Instant) -> bool {
        let id = retiring.id;
        let Some(connection) = state.machine.connections().get(id) else { return false };
        let Some(link) = state.links.get(id) else {
            // It was never connected, or is lost: what is left has nowhere to go.
            state.machine.lose(id, Reopen::No);
            return false;
        };
        let past = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if past(retiring.deadline) || past(retiring.farewell) {
            self.lose_link(state, id, LostBecause::Closed);
            return state.links.get(id).is_some();
        }
        if link.is_writing() || !connection.is_flushed() || retiring.farewell.is_some() {
            return true;
        }
        let was_used = connection.counters().messages_out > 0;
        if !was_used || link.channel.close_write().is_err() {
            self.lose_link(state, id, LostBecause::Closed);
            return state.links.get(id).is_some();
        }
        retiring.farewell = Some(now + FAREWELL);
        true
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
        let core = self.arc();
        self.driver.run_later(Box::new(move || core.drive()));
    }

    /// Ends what has nothing left to send; the socket itself when nothing is left of it.
    pub(super) fn go_on_closing(&self, mut state: Guard<'_>, now: Instant) {
        let Some(closing) = &state.closing else { return };
        let is_over = closing.deadline.is_some_and(|deadline| deadline <= now);
        let in_memory: Vec<ConnectionId> = state.endpoints.memory_connections().collect();
        for id in in_memory {
            self.leave_memory(&mut state, id);
        }
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
        if state.links.len() == 0 && !self.has_connectors(&state) {
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
