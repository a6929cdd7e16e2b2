//! Sends a message to many: encoded once, shared where it is large, dropped and counted for those that have no room.

use std::collections::BTreeSet;

use crate::{
    connection::{Audience, ConnectionId, Connections, Written},
    frame::Frame,
    limits::LARGE_BODY_LEN,
    message::Outgoing,
    wire::Version,
};

/// Sends the frames of `envelope` and those of `message`, as one message, to everybody of the audience. Those of
/// `old_peers` speak ZMTP 1.0, which frames differently.
pub(crate) fn distribute(
    connections: &mut Connections,
    audience: &Audience,
    old_peers: &BTreeSet<ConnectionId>,
    envelope: &[Frame],
    message: &Outgoing<'_>,
) {
    let shared;
    let message = match (audience.peers(), message) {
        ([], _) => return,
        ([only], _) => {
            let written = write_to_one(connections, *only, envelope, message);
            return count_drop(connections, *only, written);
        }
        (_, Outgoing::Body(_) | Outgoing::Bodies(_)) if message.body_len() >= LARGE_BODY_LEN => {
            // One copy, shared by all.
            shared = Outgoing::Owned(message.to_message());
            &shared
        }
        _ => message,
    };
    for version in [Version::V3_1, Version::V1_0] {
        if version == Version::V1_0 && old_peers.is_empty() {
            return;
        }
        let encoded = connections.encode(version, envelope, message);
        if old_peers.is_empty() && !encoded.holds_bodies() && connections.gathers_for(audience) {
            connections.write_gathered(&encoded, count_drop);
        } else {
            let is_of_version = |id: &&ConnectionId| old_peers.contains(id) == (version == Version::V1_0);
            for &id in audience.peers().iter().filter(is_of_version) {
                let written = connections.write_encoded(id, &encoded);
                count_drop(connections, id, written);
            }
        }
        connections.recycle(encoded);
    }
}

/// Sends a message to the only one of an audience unless it has no room, and says whether it has.
pub(crate) fn offer(connections: &mut Connections, only: ConnectionId, message: &Outgoing<'_>) -> bool {
    let written = write_to_one(connections, only, &[], message);
    if written == Written::Gone {
        count_drop(connections, only, written);
    }
    written != Written::Full
}

/// Not written into both its callers: what it calls is written into it, as a whole.
#[inline(never)]
fn write_to_one(
    connections: &mut Connections,
    only: ConnectionId,
    envelope: &[Frame],
    message: &Outgoing<'_>,
) -> Written {
    connections.write(only, envelope, message, 0)
}

/// Counts the message as dropped for a peer that had no room, or has just gone.
pub(crate) fn count_drop(connections: &mut Connections, id: ConnectionId, written: Written) {
    match written {
        Written::Yes => {}
        Written::Full => connections.count(id, |counters| counters.dropped_at_hwm += 1),
        Written::Gone => connections.count(id, |counters| counters.unroutable += 1),
    }
}
