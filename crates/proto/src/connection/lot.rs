//! Lots: messages that go to the same connections, one after the other, are gathered once.
//!
//! Each message to many would be copied into every outbox, and each outbox is somewhere else in memory. So what goes to
//! the same audience is gathered in one buffer, and whoever gets at one of its connections gives it what the lot has for
//! it before anything else (see [`Slots::find_to_write`](super::slots::Slots::find_to_write)). What is taken, sent and
//! counted is the same as without. Only where one of the audience has had its share of a burst and another is full, it may be
//! the other of the two for which a message is refused.
//!
//! A connection takes part while a message would go straight into its outbox, and nothing else would be done: it is in a
//! [run](super::run); its outbox holds messages already, so that somebody knows that they are to be written; and there are
//! not so many that they had better be written at once. The lot has the room of the member that has least.

use super::{Connection, ConnectionId, Connections, FrameBuffer, Outbox, Written, run::Room};
use crate::limits::WRITE_LEN;

/// To whom messages go.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    peers: Vec<ConnectionId>,
    /// Another with each change.
    number: u64,
}

impl Audience {
    pub(crate) fn peers(&self) -> &[ConnectionId] {
        &self.peers
    }

    /// The peers, to be changed.
    pub(crate) fn change(&mut self) -> &mut Vec<ConnectionId> {
        self.number += 1;
        &mut self.peers
    }
}

/// What goes to the same audience, and is not in the outboxes of all of it yet.
#[derive(Default)]
pub(super) struct Lot {
    /// The numbers of the audience, and of the one that the last message went to.
    audience_number: u64,
    last_audience_number: u64,
    audience: Vec<ConnectionId>,
    /// Those of the audience that take no part, or not yet.
    outside: Vec<ConnectionId>,
    /// How many take part.
    members: usize,
    frames: FrameBuffer,
    /// All members have room while `frames` leaves this.
    room: Room,
    /// The burst that all messages belong to, if to any.
    burst: Option<u64>,
}

/// Where begins what a lot has for one of its members.
#[derive(Clone, Copy, Debug)]
pub(super) struct LotPlace {
    pub(super) messages: usize,
    pub(super) len: usize,
}

impl Lot {
    /// Gives a member what there is for it. It takes part no more.
    pub(super) fn deal(&mut self, id: ConnectionId, member: &mut Connection) {
        let Some(place) = member.lot_place.take() else { return };
        let Outbox::Wire(outbox) = &mut member.outbox else {
            unreachable!("only what goes through a transport takes part")
        };
        let messages = (self.frames.messages - place.messages) as u64;
        outbox.append_from(&self.frames, place);
        member.counters.messages_out += messages;
        if let Some(burst) = self.burst {
            member.share.add(burst, messages);
        }
        self.outside.push(id);
        self.members -= 1;
        if self.members == 0 {
            self.frames.clear();
            self.room = Room::BOUNDLESS;
        }
    }

    /// Has a connection that is in a run take part from the next message on, if it can.
    fn admit(&mut self, connection: &mut Connection, share: Room) -> bool {
        let Outbox::Wire(outbox) = &connection.outbox else { return false };
        let until_write = Room { len: WRITE_LEN, ..Room::BOUNDLESS };
        let room = connection.run.at_most(until_write).beside(outbox).at_most(share);
        if room.is_none() {
            return false;
        }
        self.room = self.room.at_most(room.behind(&self.frames));
        self.members += 1;
        connection.lot_place = Some(LotPlace { messages: self.frames.messages, len: self.frames.len() });
        true
    }

    /// Adds a message; says whether it was the last for which there was room.
    fn add(&mut self, encoded: &FrameBuffer) -> bool {
        if self.members == 0 {
            return false;
        }
        self.frames.append(encoded);
        !self.room.is_left_by(&self.frames)
    }
}

impl Connections {
    /// Whether messages to this audience are gathered; so they are from the second one in succession on. Those to another
    /// between them go past the lot.
    #[inline]
    pub(crate) fn gathers_for(&mut self, audience: &Audience) -> bool {
        if self.is_lot_for(audience) {
            return true;
        }
        let before = std::mem::replace(&mut self.slots.lot.last_audience_number, audience.number);
        if before != audience.number || self.options.conflate {
            return false;
        }
        self.begin_lot(audience);
        true
    }

    #[inline]
    fn is_lot_for(&self, audience: &Audience) -> bool {
        let Lot { audience_number, burst, .. } = self.slots.lot;
        audience_number == audience.number && burst == self.burst.current() && !self.options.conflate
    }

    fn begin_lot(&mut self, audience: &Audience) {
        self.deal_lot();
        let lot = &mut self.slots.lot;
        lot.audience_number = audience.number;
        lot.audience.clone_from(&audience.peers);
        lot.outside.clone_from(&audience.peers);
        lot.room = Room::BOUNDLESS;
        lot.burst = self.burst.current();
    }

    /// Whether a message would find room with everybody; see [`has_room`](Self::has_room).
    pub(crate) fn have_room(&mut self, audience: &Audience) -> bool {
        if !self.is_lot_for(audience) {
            return audience.peers.iter().all(|&id| self.has_room(id));
        }
        // The members have some: the message for which one had none has ended the lot.
        (0..self.slots.lot.outside.len()).all(|index| self.has_room(self.slots.lot.outside[index]))
    }

    /// Writes a message to the audience of the lot; `tell` hears what became of it with those who take no part.
    pub(crate) fn write_gathered(
        &mut self,
        encoded: &FrameBuffer,
        mut tell: impl FnMut(&mut Self, ConnectionId, Written),
    ) {
        let mut outside = std::mem::take(&mut self.slots.lot.outside);
        outside.retain(|&id| {
            if self.joins_lot(id) {
                return false;
            }
            let written = self.write_encoded(id, encoded);
            tell(self, id, written);
            true
        });
        self.slots.lot.outside = outside;
        if self.slots.lot.add(encoded) {
            self.deal_lot();
        }
    }

    fn joins_lot(&mut self, id: ConnectionId) -> bool {
        let Some((lot, connection)) = self.slots.find_for_lot(id) else { return false };
        let share = Room { messages: connection.share.left(&self.burst), ..Room::BOUNDLESS };
        connection.waits_for_write()
            && (connection.is_in_run() || connection.begin_run(&self.options, &mut self.spares, &mut self.waste))
            && lot.admit(connection, share)
    }

    /// Gives all members what there is for them.
    pub(crate) fn deal_lot(&mut self) {
        for index in 0..self.slots.lot.audience.len() {
            if self.slots.lot.members == 0 {
                return;
            }
            let id = self.slots.lot.audience[index];
            if self.slots.deal_lot_to(id) {
                self.want_flush(id);
            }
        }
    }
}

impl Connection {
    /// Whether messages wait in the outbox of a connection through a transport, to which more can be added.
    fn waits_for_write(&self) -> bool {
        self.takes_output() && matches!(&self.outbox, Outbox::Wire(outbox) if outbox.messages > 0)
    }

    /// Whether there is enough to be written at once.
    pub(super) fn fills_write(&self) -> bool {
        matches!(&self.outbox, Outbox::Wire(outbox) if outbox.len() >= WRITE_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::{Shape, Stage},
        mechanism::Role,
        message::Outgoing,
        options::Options,
        wire::Version,
    };

    /// Connections whose outboxes hold a message each.
    fn connections(count: usize) -> (Connections, Audience) {
        let mut connections = Connections::new(Options::default(), Shape::Any);
        let mut audience = Audience::default();
        for _ in 0..count {
            let id = connections.insert(Role::Server);
            connections.get_mut(id).unwrap().stage = Stage::Ready;
            audience.change().push(id);
        }
        send(&mut connections, &audience);
        (connections, audience)
    }

    fn send(connections: &mut Connections, audience: &Audience) {
        let encoded = connections.encode(Version::V3_1, &[], &Outgoing::Body(b"x"));
        if connections.gathers_for(audience) {
            connections.write_gathered(&encoded, |_, _, _| {});
        } else {
            for &id in audience.peers() {
                connections.write_encoded(id, &encoded);
            }
        }
        connections.recycle(encoded);
    }

    fn queue_lens(connections: &Connections, audience: &Audience) -> Vec<usize> {
        audience.peers().iter().map(|&id| connections.get(id).unwrap().send_queue_len()).collect()
    }

    #[test]
    fn what_goes_to_the_same_audience_is_gathered_from_the_second_message_on() {
        let (mut connections, audience) = connections(3);
        assert_eq!(queue_lens(&connections, &audience), [1; 3]);
        (0..5).for_each(|_| send(&mut connections, &audience));
        assert_eq!(queue_lens(&connections, &audience), [1; 3]);
        connections.deal_lot();
        assert_eq!(queue_lens(&connections, &audience), [6; 3]);
    }

    #[test]
    fn who_is_looked_at_gets_its_part_and_takes_part_again() {
        let (mut connections, audience) = connections(3);
        (0..5).for_each(|_| send(&mut connections, &audience));
        connections.get_mut(audience.peers()[1]);
        assert_eq!(queue_lens(&connections, &audience), [1, 6, 1]);
        (0..5).for_each(|_| send(&mut connections, &audience));
        assert_eq!(queue_lens(&connections, &audience), [1, 6, 1]);
        connections.deal_lot();
        assert_eq!(queue_lens(&connections, &audience), [11; 3]);
    }

    #[test]
    fn messages_to_another_audience_go_past_the_lot() {
        let (mut connections, audience) = connections(3);
        (0..5).for_each(|_| send(&mut connections, &audience));
        let mut other = Audience::default();
        *other.change() = vec![audience.peers()[0]];
        other.change();
        send(&mut connections, &other);
        assert_eq!(queue_lens(&connections, &audience), [7, 1, 1]);
    }

    #[test]
    fn what_all_have_got_is_kept_no_longer() {
        let (mut connections, audience) = connections(3);
        (0..5).for_each(|_| send(&mut connections, &audience));
        for &id in audience.peers() {
            assert_eq!(connections.slots.lot.frames.messages, 5);
            connections.get_mut(id);
        }
        assert!(connections.slots.lot.frames.is_empty());
    }
}
