//! XSUB: receives what it subscribed to, and sends subscriptions as messages (RFC 29).

use super::{Pattern, RecvRefusal, SendRefusal, SubscribeRefusal};
use crate::{
    connection::{ConnectionId, Connections},
    limits::SUBSCRIPTION_LEN_MAX,
    message::{Message, Outgoing},
    options::Options,
    routing::{
        FairQueue, Upstream, Wish, count_drop,
        subscriptions::{Filter, Released},
    },
    wire::command::encode_subscription,
};

pub(super) struct XSub {
    incoming: FairQueue,
    upstream: Upstream,
    subscriptions: Filter,
}

impl Default for XSub {
    fn default() -> Self {
        Self {
            incoming: FairQueue::default(),
            upstream: Upstream::new(encode_subscription),
            subscriptions: Filter::default(),
        }
    }
}

impl XSub {
    pub(super) fn matches(&self, topic: &[u8]) -> bool {
        self.subscriptions.matches(topic)
    }

    /// Puts the next message into `into`, and says whose it is.
    #[inline]
    pub(super) fn next_message(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        self.incoming.recv(connections, into)
    }

    /// Notes a subscription, or the end of one, that goes upstream as the first frame of a message.
    fn note_subscription(&mut self, first: &[u8]) -> Result<(), SendRefusal> {
        match first {
            [1, prefix @ ..] if prefix.len() > SUBSCRIPTION_LEN_MAX => Err(SendRefusal::Malformed),
            [1, prefix @ ..] => self.subscriptions.subscribe(prefix).map(drop).map_err(|_| SendRefusal::WouldBlock),
            [0, prefix @ ..] => {
                self.subscriptions.cancel(prefix);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn send_upstream(&self, connections: &mut Connections, message: &Outgoing<'_>) {
        for id in self.upstream.peers() {
            let written = connections.write(id, &[], message, 0);
            count_drop(connections, id, written);
        }
    }
}

impl Pattern for XSub {
    fn opened(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.opened(id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.upstream.established(id);
        self.subscriptions.for_each(|prefix| self.upstream.tell(connections, id, prefix));
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.lost(id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.upstream.writable(connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn send(&mut self, connections: &mut Connections, message: &Outgoing<'_>) -> Result<(), SendRefusal> {
        let body = message.body(0).ok_or(SendRefusal::Malformed)?;
        match body {
            [1, prefix @ ..] if message.len() == 1 => {
                self.subscribe(connections, prefix).map_err(|refusal| match refusal {
                    SubscribeRefusal::TooLong => SendRefusal::Malformed,
                    _ => SendRefusal::WouldBlock,
                })
            }
            [0, prefix @ ..] if message.len() == 1 => {
                // The end of a subscription that does not exist is nobody's business, as in libzmq.
                let _ = self.unsubscribe(connections, prefix);
                // A subscription that found the table full may have a place now.
                connections.note_room();
                Ok(())
            }
            _ => {
                if connections.options.only_first_subscribe {
                    self.note_subscription(body)?;
                }
                self.send_upstream(connections, message);
                Ok(())
            }
        }
    }

    #[inline]
    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        self.next_message(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn passes_on(&self, _options: &Options, _body: &[u8]) -> bool {
        true
    }

    fn can_send(&mut self, _connections: &mut Connections) -> bool {
        true
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        self.incoming.has_message(connections)
    }

    fn subscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        if prefix.len() > SUBSCRIPTION_LEN_MAX {
            return Err(SubscribeRefusal::TooLong);
        }
        let is_new = self.subscriptions.subscribe(prefix).map_err(|_| SubscribeRefusal::Full)?;
        if is_new || connections.options.xsub_verbose {
            self.upstream.forward(connections, if is_new { Wish::Begins } else { Wish::Again }, prefix);
        }
        Ok(())
    }

    fn unsubscribe(&mut self, connections: &mut Connections, prefix: &[u8]) -> Result<(), SubscribeRefusal> {
        match self.subscriptions.cancel(prefix) {
            Released::Unknown => return Err(SubscribeRefusal::Unknown),
            Released::StillHeld if !connections.options.xsub_verbose_unsubscribe => {}
            _ => self.upstream.forward(connections, Wish::Ends, prefix),
        }
        Ok(())
    }

    fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }
}
