//! REP: receives a request, sends its reply, in turns (RFC 28). The request's envelope goes back with the reply.

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{ConnectionId, Connections, Written},
    frame::Frame,
    message::{Message, Outgoing},
    routing::FairQueue,
};

#[derive(Default)]
pub(super) struct Rep {
    incoming: FairQueue,
    turn: Turn,
    /// A request that was looked at before it was asked for, and its envelope.
    request: Option<(Message, ConnectionId, Vec<Frame>)>,
}

#[derive(Default)]
enum Turn {
    #[default]
    Recv,
    /// Owes this peer a reply behind this envelope.
    Send(ConnectionId, Vec<Frame>),
}

impl Rep {
    fn prefetch(&mut self, connections: &mut Connections) -> bool {
        while self.request.is_none() {
            let mut message = Message::new();
            let Some(id) = self.incoming.recv(connections, &mut message) else { return false };
            match take_envelope(&mut message) {
                Some(envelope) => self.request = Some((message, id, envelope)),
                None => connections.count(id, |counters| counters.dropped_on_arrival += 1),
            }
        }
        true
    }
}

/// Takes all frames off up to the first empty one, and that one too. `None`: there is none, or nothing behind it.
fn take_envelope(message: &mut Message) -> Option<Vec<Frame>> {
    let mut envelope = Vec::with_capacity(1);
    loop {
        let frame = message.pop_front()?;
        let is_delimiter = frame.is_empty();
        envelope.push(frame);
        if is_delimiter {
            return (!message.is_empty()).then_some(envelope);
        }
    }
}

impl Pattern for Rep {
    fn established(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn lost(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let Turn::Send(peer, envelope) = std::mem::take(&mut self.turn) else { return Err(SendRefusal::OutOfTurn) };
        // A requester that is gone, or does not read its replies, must not stop the service (RFC 28).
        if connections.write(peer, &envelope, message, 0) != Written::Yes {
            connections.count(peer, |counters| counters.dropped_at_hwm += 1);
        }
        Ok(())
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        if let Turn::Send(..) = self.turn {
            return Err(RecvRefusal::OutOfTurn);
        }
        self.prefetch(connections);
        let (message, peer, envelope) = self.request.take().ok_or(RecvRefusal::WouldBlock)?;
        self.turn = Turn::Send(peer, envelope);
        *into = message;
        connections.received_from = Some(peer);
        Ok(())
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        matches!(self.turn, Turn::Send(..))
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        matches!(self.turn, Turn::Recv) && self.prefetch(connections)
    }
}
