//! DISH: receives what is sent to the groups it has joined (RFC 48).

use std::collections::HashSet;

use super::{GroupRefusal, Pattern, RecvRefusal, drop_prefetched};
use crate::{
    connection::{ConnectionId, Connections},
    message::{Address, Message},
    routing::{FairQueue, Upstream, Wish},
    wire::{
        Version,
        command::{Command, is_group},
    },
};

pub(super) struct Dish {
    incoming: FairQueue,
    upstream: Upstream,
    groups: HashSet<Box<[u8]>>,
    /// A message that was looked at before it was asked for.
    next: Option<(Message, ConnectionId)>,
}

impl Default for Dish {
    fn default() -> Self {
        Self {
            incoming: FairQueue::default(),
            upstream: Upstream::new(encode_membership),
            groups: HashSet::new(),
            next: None,
        }
    }
}

fn encode_membership(_version: Version, joins: bool, group: &[u8], into: &mut Vec<u8>) {
    let command = if joins { Command::Join(group) } else { Command::Leave(group) };
    command.encode(into);
}

impl Dish {
    /// Puts the next message to a group that is joined into `into`, and says whose it is. A RADIO need not filter, and
    /// what was under way when a group was left still comes.
    fn next_of_groups(&mut self, connections: &mut Connections, into: &mut Message) -> Option<ConnectionId> {
        loop {
            let message = into.unaddressed_mut();
            let id = self.incoming.recv(connections, message)?;
            if let Some(group) = message.pop_front().filter(|group| self.groups.contains(&group[..])) {
                into.set_address(Some(Address::Group(group)));
                return Some(id);
            }
            connections.drop_message(into);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }

    /// What has come for a group that is left is not received, looked at or not.
    fn drop_of_group(&mut self, connections: &mut Connections, group: &[u8]) {
        let is_of_group = |message: &Message| matches!(message.address(), Some(Address::Group(of)) if of[..] == *group);
        if let Some((mut message, id)) = self.next.take_if(|(message, _)| is_of_group(message)) {
            connections.drop_message(&mut message);
            connections.count(id, |counters| counters.dropped_on_arrival += 1);
        }
    }
}

impl Pattern for Dish {
    fn opened(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.opened(id);
    }

    fn established(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.upstream.established(id);
        self.groups.iter().for_each(|group| self.upstream.tell(connections, id, group));
    }

    fn lost(&mut self, _connections: &mut Connections, id: ConnectionId) {
        self.upstream.lost(id);
    }

    fn writable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.upstream.writable(connections, id);
    }

    fn discard(&mut self, connections: &mut Connections, id: ConnectionId) {
        drop_prefetched(&mut self.next, connections, id);
    }

    fn readable(&mut self, connections: &mut Connections, id: ConnectionId) {
        self.incoming.activate(connections, id);
    }

    fn recv(&mut self, connections: &mut Connections, into: &mut Message) -> Result<(), RecvRefusal> {
        if let Some((message, id)) = self.next.take() {
            *into = message;
            connections.received_from = Some(id);
            return Ok(());
        }
        self.next_of_groups(connections, into).map(drop).ok_or(RecvRefusal::WouldBlock)
    }

    fn can_recv(&mut self, connections: &mut Connections) -> bool {
        if self.next.is_none() {
            let mut message = Message::new();
            connections.prefetched_from = self.next_of_groups(connections, &mut message);
            self.next = connections.prefetched_from.map(|id| (message, id));
        }
        self.next.is_some()
    }

    fn join(&mut self, connections: &mut Connections, group: &[u8]) -> Result<(), GroupRefusal> {
        if !is_group(group) {
            return Err(GroupRefusal::Name);
        }
        if !self.groups.insert(group.into()) {
            return Err(GroupRefusal::Joined);
        }
        self.upstream.forward(connections, Wish::Begins, group);
        Ok(())
    }

    fn leave(&mut self, connections: &mut Connections, group: &[u8]) -> Result<(), GroupRefusal> {
        if !self.groups.remove(group) {
            return Err(GroupRefusal::NotJoined);
        }
        self.upstream.forward(connections, Wish::Ends, group);
        self.drop_of_group(connections, group);
        Ok(())
    }

    fn subscriptions(&self) -> usize {
        self.groups.len()
    }
}
