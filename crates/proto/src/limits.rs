//! Every limit of the protocol machine, with its reason.

use std::time::Duration;

/// The longest command a peer may send before it is authenticated. READY carries a handful of properties, and CURVE's
/// INITIATE 257 bytes more than those; this leaves room for application metadata and keeps what a stranger makes us hold
/// below three pages.
pub const HANDSHAKE_COMMAND_LEN_MAX: usize = 8 * 1024 + 512;

/// What may be read from a peer at once before its handshake is over: the longest command and its header.
pub const HANDSHAKE_READ_LEN: usize = HANDSHAKE_COMMAND_LEN_MAX + 16;

/// The longest command after the handshake. A subscription is the only one without a length of its own.
pub const COMMAND_LEN_MAX: usize = 1024 * 1024;

/// The longest prefix that can be subscribed to: it travels behind the name of a SUBSCRIBE.
pub const SUBSCRIPTION_LEN_MAX: usize = COMMAND_LEN_MAX - 1 - b"SUBSCRIBE".len();

/// The properties that a socket may announce beside its type and its routing id, as they travel: what is left of
/// [`HANDSHAKE_COMMAND_LEN_MAX`] by those two and what CURVE needs.
pub const METADATA_LEN_MAX: usize = HANDSHAKE_COMMAND_LEN_MAX - 1024;

/// The longest routing id (RFC 37 gives its length one byte).
pub const ROUTING_ID_LEN_MAX: usize = 255;

/// The longest name of a group (RFC 48, "Group").
pub const GROUP_LEN_MAX: usize = 255;

/// The longest datagram (RFC 48 over UDP, and libzmq's DGRAM): what a peer need be able to take.
pub const DATAGRAM_LEN_MAX: usize = 8192;

/// The longest context of a PING (RFC 37).
pub const PING_CONTEXT_LEN_MAX: usize = 16;

/// A body of this many bytes is no longer copied into the outgoing buffer but referenced; and one that is not yet
/// complete when it is met in the incoming buffer is read straight into its final place. Below it, copying costs
/// less than one more entry in a gathered write.
pub const LARGE_BODY_LEN: usize = 8 * 1024;

/// What the outgoing buffer of a connection holds when it is time to write it: larger writes are not faster.
pub const WRITE_LEN: usize = 64 * 1024;

/// What a connection whose transport is taking bytes may hold beyond its high-water mark, so that a stream of small
/// messages needs no system call for every thousand of them. Once the transport stops, the mark is exact (for STREAM,
/// whose bytes have no frames, to one write).
pub const DRAINING_LEN_MAX: usize = 4 * WRITE_LEN;

/// How far a sender of large messages that may wait goes ahead of its peers, in bytes for each, as long as they take some:
/// so little that what waits stays in the processor's cache, and so much that it lasts until the sender is back.
pub const LEAD_LEN_MAX: usize = 8 * WRITE_LEN;

/// The least and the most that is read from a connection at once.
pub const READ_LEN_MIN: usize = 8 * 1024;
/// See [`READ_LEN_MIN`].
pub const READ_LEN_MAX: usize = 256 * 1024;

/// What is read at once from a connection whose frames come in boxes: as much as is opened at once, and stays in the
/// processor's cache meanwhile.
pub const SEALED_READ_LEN: usize = 64 * 1024;

/// What is put into boxes at once, for the same reason. It is written before the next part is sealed, so that a long queue
/// takes no second memory.
pub const SEAL_LEN: usize = 64 * 1024;

/// What one message under a receive high-water mark is taken to need of the incoming buffer: a mark of 1 reads
/// [`READ_LEN_MIN`] at once, the default mark of 1000 reads [`READ_LEN_MAX`].
pub const READ_LEN_PER_MESSAGE: usize = 256;

/// What the first piece of a large body's final place may take before any of it has arrived. Beyond it, the place
/// grows with the bytes that come, so that a length alone, which costs a peer nothing, costs us nothing.
pub const BODY_RESERVE_LEN_MAX: usize = 1024 * 1024;

/// Commands of one connection that may wait to be sent, in bytes: a peer that sends PINGs and never reads the PONGs
/// is cut off.
pub const COMMAND_BACKLOG_LEN_MAX: usize = 256 * 1024;

/// What may wait to be sent to a publisher, in bytes, before further subscriptions are kept apart, where what is taken
/// back in time is not sent at all.
pub const SUBSCRIPTION_BACKLOG_LEN_MAX: usize = 1024 * 1024;

/// Buffers of about [`WRITE_LEN`] and [`READ_LEN_MAX`] bytes that an idle socket keeps for reuse.
pub const SPARE_BUFFERS: usize = 4;

/// The longest kept buffer that is read into again: what a stream needs, whose receiver is a read behind.
pub const SPARE_LEN_MAX: usize = 4 * READ_LEN_MAX;

/// How long a handshake may take by default, as in libzmq.
pub const HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// What a message's frames may have in headers under a maximum message size, which counts bodies: empty frames would
/// else cost a peer two bytes each, and us memory without end.
pub const FRAME_HEADERS_LEN_MAX: usize = 1024 * 1024;

/// Commands that lie among messages which wait to be received, in bytes, before they are looked for and dropped.
pub const DEAD_COMMANDS_LEN_MAX: usize = 64 * 1024;

/// Prefixes that one peer may be subscribed to at once: some 1.5 GB of memory at a publisher, and far beyond what
/// subscribers have. See [`Options::subscriptions_per_peer_max`](crate::Options::subscriptions_per_peer_max).
pub const SUBSCRIPTIONS_PER_PEER_DEFAULT: usize = 1 << 24;

/// The bytes of all prefixes that one peer may be subscribed to at once.
pub const SUBSCRIPTION_BYTES_PER_PEER_MAX: u64 = 1 << 30;

/// Subscriptions and messages of one peer that may wait for an XPUB's application before that peer is read no more.
/// It is large because many programs use XPUB as a PUB and never receive. What peers left that are gone has such a
/// share, too, and beyond it the oldest is dropped.
pub const XPUB_BACKLOG_MAX: usize = 1_000_000;

/// The same in bytes of memory: what [`XPUB_BACKLOG_MAX`] short ones take, twice.
pub const XPUB_BACKLOG_LEN_MAX: usize = 144 * XPUB_BACKLOG_MAX;

/// What lost connections may keep that was received whole and that the application has not taken, in bytes; each counts
/// [`LOST_CONNECTION_LEN`] more. It is large, because it is other peers' work that would be dropped, and bounded, because
/// peers that come, send and go cost the sender nothing. What comes beyond it is dropped, and counted. One connection
/// alone may leave more: it has held that before, and a message may be as long.
pub const LOST_RECEIVED_LEN_MAX: usize = 1024 * 1024 * 1024;

/// See [`LOST_RECEIVED_LEN_MAX`].
pub const LOST_CONNECTION_LEN: usize = 1024;

/// Memory for large bodies that a socket keeps for reuse.
pub const BODY_POOL_LEN_MAX: usize = 4 * 1024 * 1024;

/// The head of an HTTP upgrade to a WebSocket, request or response: what common servers allow, and what a stranger may
/// make us hold.
pub const UPGRADE_LEN_MAX: usize = 8 * 1024;

/// A WebSocket message that comes in fragments, which does not say how long it will be, and is gathered before the
/// machine can judge it. Browsers fragment what is large; libzmq never does.
pub const FRAGMENTED_LEN_MAX: usize = 16 * 1024 * 1024;
