//! REQ: a request, then its reply, in turns (RFC 28). It is a DEALER with an envelope: an empty frame, and before it,
//! with correlate, the number of the request.

use super::{Pattern, RecvRefusal, SendRefusal, dealer::Dealer, drop_prefetched};
use crate::{
    connection::{ConnectionId, Connections},
    error::Misbehaviour,
    frame::Frame,
    message::{Message, Outgoing},
    options::Options,
};

pub(super) struct Req {
    dealer: Dealer,
    turn: Turn,
    request_number: u32,
    /// Whether the request that waits for its reply carries its number.
    is_numbered: bool,
    /// A reply that was looked at before it was asked for.
    reply: Option<(Message, ConnectionId)>,
    /// What the last such was given in exchange for: memory for the next.
    spare: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Send,
    /// Waits for the reply of this peer; of any, once that one is gone.
    Recv(Option<ConnectionId>),
}

impl Req {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            dealer: Dealer::default(),
            turn: Turn::Send,
            request_number: options.id_seed,
            is_numbered: false,
            reply: None,
            spare: Message::new(),
        }
    }

    fn may_send(&self, connections: &Connections) -> bool {
        self.turn == Turn::Send || connections.options.req_relaxed
    }

    /// Drops replies to earlier requests, so that none is taken for the reply to the next one.
    fn drop_stale_replies(&mut self, connections: &mut Connections) {
        if let Some((mut reply, id)) = self.reply.take() {
            drop_reply(connections, id, &mut reply);
        }
        let mut stale = Message::new();
        while let Some(id) = self.dealer.next_message(connections, &mut stale) {
            drop_reply(connections, id, &mut stale);
        }
    }

    fn prefetch(&mut self, connections: &mut Connections) -> bool {
        let Turn::Recv(expected) = self.turn else { return false };
        if self.reply.is_none() {
            let mut reply = std::mem::take(&mut self.spare);
            let Some(id) = self.next_reply(connections, expected, &mut reply) else {
                self.spare = reply;
                return false;
            };
            connections.prefetched_from = Some(id);
            self.reply = Some((reply, id));
        }
        true
    }

    /// Puts the reply, without its envelope, into `into`, and says whose it is.
    fn next_reply(
        &mut self,
        connections: &mut Connections,
        expected: Option<ConnectionId>,
        into: &mut Message,
    ) -> Option<ConnectionId> {
        loop {
            let id = self.dealer.next_message(connections, into)?;
            let envelope = if expected.is_none_or(|expected| expected == id) {
                self.open(connections, into)
            } else {
                Envelope::Stale
            };
            if let Envelope::Ours = envelope {
                return Some(id);
            }
            drop_reply(connections, id, into);
            if let Envelope::Malformed = envelope {
                connections.fail(id, Misbehaviour::Envelope.into());
            }
        }
    }

    /// Takes the envelope off. One that is sound and not of this request's form is that of an earlier request, from
    /// before correlate was switched.
    fn open(&self, connections: &mut Connections, reply: &mut Message) -> Envelope {
        let number = match reply.frames().next() {
            Some(number) if number.len() == size_of::<u32>() => reply.pop_front(),
            _ => None,
        };
        let delimiter = reply.pop_front();
        if delimiter.as_ref().is_none_or(|delimiter| !delimiter.is_empty()) || reply.is_empty() {
            delimiter.into_iter().for_each(|frame| connections.drop_frame(frame));
            return Envelope::Malformed;
        }
        let expected = self.is_numbered.then(|| Frame::from(&self.request_number.to_be_bytes()));
        if number == expected { Envelope::Ours } else { Envelope::Stale }
    }
}

fn drop_reply(connections: &mut Connections, from: ConnectionId, reply: &mut Message) {
    connections.drop_message(reply);
    connections.count(from, |counters| counters.dropped_on_arrival += 1);
}

enum Envelope {
    Ours,
    Stale,
    Malformed,
}

impl Pattern for Req {
    fn opened(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.dealer.opened(connections, id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.dealer.established(connections, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.dealer.lost(connections, id);
        if self.turn == Turn::Send {
            // Nobody will ask for what it sent, and what others did: it must not wait for the next request.
            self.drop_stale_replies(connections);
        } else if self.turn == Turn::Recv(Some(id)) && !self.prefetch(connections) {
            self.turn = Turn::Recv(None);
        }
    }

    fn discard(&mut self, connections: &mut Connections, id: ConnectionId) {
        drop_prefetched(&mut self.reply, connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.dealer.readable(connections, id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.dealer.writable(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        if !self.may_send(connections) {
            return Err(SendRefusal::OutOfTurn);
        }
        // A request that finds no room takes the place of none, and what came for that one stays.
        if self.turn != Turn::Send && !self.dealer.can_send(connections) {
            return Err(SendRefusal::WouldBlock);
        }
        // Before the request goes out: its own reply may come at once. What came for the one before is dropped behind it.
        self.prefetch(connections);
        let replaced = self.reply.take();
        self.drop_stale_replies(connections);
        let number = self.request_number.wrapping_add(1);
        let envelope = [Frame::from(&number.to_be_bytes()), Frame::new()];
        let is_numbered = connections.options.req_correlate;
        let envelope = if is_numbered { &envelope[..] } else { &envelope[1..] };
        let Some(peer) = self.dealer.write(connections, envelope, message) else {
            // Whoever had room has gone since.
            self.reply = replaced;
            return Err(SendRefusal::WouldBlock);
        };
        if let Some((mut reply, id)) = replaced {
            drop_reply(connections, id, &mut reply);
        }
        self.request_number = number;
        self.is_numbered = is_numbered;
        self.turn = Turn::Recv(Some(peer));
        Ok(())
    }

    fn check(&mut self, connections: &mut Connections, _first: &[u8]) -> Result<(), SendRefusal> {
        if !self.may_send(connections) {
            return Err(SendRefusal::OutOfTurn);
        }
        if self.dealer.can_send(connections) { Ok(()) } else { Err(SendRefusal::WouldBlock) }
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        let Turn::Recv(expected) = self.turn else { return Err(RecvRefusal::OutOfTurn) };
        let id = match self.reply.take() {
            Some((reply, id)) => {
                self.spare = std::mem::replace(into, reply);
                id
            }
            None => self.next_reply(connections, expected, into).ok_or(RecvRefusal::WouldBlock)?,
        };
        self.turn = Turn::Send;
        connections.turn_changed = true;
        connections.received_from = Some(id);
        Ok(())
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.may_send(connections) && self.dealer.can_send(connections)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.prefetch(connections)
    }
}
