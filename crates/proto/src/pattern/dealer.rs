//! DEALER: sends to its peers in turns, receives from them in turns (RFC 28).

use super::{Pattern, RecvRefusal, SendRefusal};
use crate::{
    connection::{ConnectionId, Connections},
    message::{Message, Outgoing},
    options::Options,
    routing::{FairQueue, LoadBalancer},
};

#[derive(Default)]
pub(super) struct Dealer {
    outgoing: LoadBalancer,
    incoming: FairQueue,
}

impl Dealer {
    /// Writes to the peer whose turn it is, an envelope first.
    pub(super) fn write(
        &mut self,
        connections: &mut Connections,
        envelope: &[crate::Frame],
        message: &Outgoing<'_>,
    ) -> Option<ConnectionId> {
        self.outgoing.write(connections, envelope, message, 0)
    }

    /// Puts the next message into `into`, and says whose it is.
    #[inline]
    pub(super) fn next_message(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        self.incoming.recv(connections, into)
    }
}

impl Pattern for Dealer {
    fn opened(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.outgoing.activate(connections, id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.outgoing.join(connections, id);
    }

    fn lost(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.outgoing.remove(connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.outgoing.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        self.write(connections, &[], message).map(drop).ok_or(SendRefusal::WouldBlock)
    }

    fn only_peer(&self) -> Option<ConnectionId> {
        self.outgoing.only_peer()
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.next_message(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn passes_on(&self, _options: &Options, _body: &[u8]) -> bool {
        true
    }

    fn can_send(&mut self, connections: &mut Connections) -> bool {
        self.outgoing.has_room(connections)
    }

    fn lead(&self, connections: &Connections) -> Option<usize> {
        self.outgoing.lead(connections)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }
}
