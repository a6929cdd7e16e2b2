//! REP: receives a request, sends its reply, in turns (RFC 28). The request's envelope goes back with the reply.

use super::{Pattern, RecvRefusal, SendRefusal, drop_prefetched};
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
    /// The envelope of the request that was received last.
    envelope: Vec<Frame>,
    /// A request that was looked at before it was asked for.
    request: Option<(Message, ConnectionId)>,
    /// What the last such was given in exchange for: memory for the next.
    spare: Message,
}

#[derive(Default)]
enum Turn {
    #[default]
    Recv,
    /// Owes this peer a reply behind the envelope.
    Send(ConnectionId),
}

impl Rep {
    /// Puts the next request, envelope and all, into `into`, and says whose it is.
    fn next_request(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        loop {
            let id = self.incoming.recv(connections, into)?;
            if has_envelope(into) {
                return Some(id);
            }
            connections.drop_message(into);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }

    /// Takes the envelope off: all frames up to the first empty one, and that one too.
    fn open(&mut self, connections: &mut Connections, request: &mut Message) {
        self.envelope.drain(..).for_each(|frame| connections.drop_frame(frame));
        while let Some(frame) = request.pop_front() {
            let is_delimiter = frame.is_empty();
            self.envelope.push(frame);
            if is_delimiter {
                return;
            }
        }
    }
}

/// Whether there is an empty frame, and something behind it.
fn has_envelope(message: &Message) -> bool {
    message.frames().position(Frame::is_empty).is_some_and(|delimiter| delimiter + 1 < message.len())
}

impl Pattern for Rep {
    fn established(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn lost(&mut self, _connections: &mut Connections, _id: ConnectionId) {}

    fn discard(&mut self, connections: &mut Connections, id: ConnectionId) {
        drop_prefetched(&mut self.request, connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let Turn::Send(peer) = std::mem::take(&mut self.turn) else { return Err(SendRefusal::OutOfTurn) };
        connections.turn_changed = true;
        // A requester that is gone, or does not read its replies, must not stop the service (RFC 28).
        match connections.write(peer, &self.envelope, message, 0) {
            Written::Yes => {}
            Written::Full => connections.count(peer, |counters| counters.dropped_at_hwm += 1),
            Written::Gone => connections.count(peer, |counters| counters.unroutable += 1),
        }
        Ok(())
    }

    fn check(&mut self, connections: &mut Connections, _first: &[u8]) -> Result<(), SendRefusal> {
        if self.can_send(connections) { Ok(()) } else { Err(SendRefusal::OutOfTurn) }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        if let Turn::Send(_) = self.turn {
            return Err(RecvRefusal::OutOfTurn);
        }
        let peer = match self.request.take() {
            Some((request, peer)) => {
                self.spare = std::mem::replace(into, request);
                peer
            }
            None => self.next_request(connections, into).ok_or(RecvRefusal::WouldBlock)?,
        };
        self.open(connections, into);
        self.turn = Turn::Send(peer);
        connections.turn_changed = true;
        connections.received_from = Some(peer);
        Ok(())
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        matches!(self.turn, Turn::Send(_))
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        if let Turn::Send(_) = self.turn {
            return false;
        }
        if self.request.is_none() {
            let mut request = std::mem::take(&mut self.spare);
            let Some(peer) = self.next_request(connections, &mut request) else {
                self.spare = request;
                return false;
            };
            connections.prefetched_from = Some(peer);
            self.request = Some((request, peer));
        }
        true
    }
}
