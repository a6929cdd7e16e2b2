//! Messages that are sent one after the other without a pause; see [`Socket::in_burst`](crate::Socket::in_burst).

use super::{Connection, ConnectionId, Outbox};
use crate::options::Options;

/// The burst of a socket, and what is known of the message at hand.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    /// Greater by one with each burst.
    pub(crate) number: u64,
    /// What any connection may be given of a burst; 0: all of it.
    pub(crate) mark: u32,
    /// The message at hand belongs to it.
    pub(crate) is_on: bool,
    /// Connections that it found to have room, and to have been given their share. The pattern goes on without them until
    /// the burst is over.
    pub(crate) met: Vec<ConnectionId>,
}

impl Burst {
    /// The burst that the message at hand belongs to, if to any.
    #[inline]
    pub(super) fn current(&self) -> Option<u64> {
        self.is_on.then_some(self.number)
    }
}

/// A connection's share of a burst.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    of: u64,
    messages: u64,
}

impl Share {
    #[inline]
    pub(super) fn add(&mut self, burst: u64, messages: u64) {
        *self = Self { of: burst, messages: self.of_burst(burst) + messages };
    }

    /// How many messages more it may be given.
    pub(super) fn left(self, burst: &Burst) -> usize {
        let left = |number| u64::from(burst.mark).saturating_sub(self.of_burst(number)) as usize;
        burst.current().map_or(usize::MAX, left)
    }

    #[inline]
    fn of_burst(self, burst: u64) -> u64 {
        if self.of == burst { self.messages } else { 0 }
    }

    #[inline]
    fn is_full(self, burst: &Burst) -> bool {
        self.of == burst.number && self.messages >= burst.mark.into()
    }
}

impl Connection {
    /// Whether it is the burst alone that has no room for another message.
    #[inline]
    pub(super) fn meets(&self, burst: &mut Burst, id: ConnectionId, options: &Options) -> bool {
        burst.is_on && self.share.is_full(burst) && self.meets_share(burst, id, options)
    }

    /// Within the process what could wait for it is more.
    #[cold]
    fn meets_share(&self, burst: &mut Burst, id: ConnectionId, options: &Options) -> bool {
        let meets = self.takes_output()
            && match &self.outbox {
                Outbox::Wire(_) => self.has_room(options),
                Outbox::Memory(pipes) => {
                    (1..=self.share.messages).contains(&pipes.out.capacity()) && pipes.out.has_room()
                }
            };
        if meets {
            burst.met.push(id);
        }
        meets
    }
}
