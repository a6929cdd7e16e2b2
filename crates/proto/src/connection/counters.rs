//! What passed over a connection, and what did not.

/// Counts since the connection was opened. One that is made again counts anew; the sums of the socket
/// ([`Connections::totals`](super::Connections::totals)) go on. They wrap never: 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages handed to the transport's queue.
    pub messages_out: u64,
    /// Bytes written to the transport, framing included; in the same process: of the messages alone.
    pub bytes_out: u64,
    /// Messages received by the application.
    pub messages_in: u64,
    /// Bytes read from the transport, framing included.
    pub bytes_in: u64,
    /// Times that sending found the high-water mark reached.
    pub send_hwm_hits: u64,
    /// Times that reading was put off because of the high-water mark.
    pub recv_hwm_hits: u64,
    /// Messages dropped because the high-water mark was reached.
    pub dropped_at_hwm: u64,
    /// Messages dropped on arrival: no subscription matched, a stale reply, a malformed envelope, a message to a socket
    /// that receives none, or that nobody received before the connection was given up.
    pub dropped_on_arrival: u64,
    /// Messages a ROUTER dropped because it knows no peer of that name, replies of a REP whose peer is gone, and what a
    /// publisher had for a subscriber that had just gone.
    pub unroutable: u64,
    /// Messages replaced by newer ones under CONFLATE.
    pub conflated: u64,
    /// Messages that were queued, or held by a proxy or another intermediary, and could not be sent any more.
    pub lost: u64,
    /// Bytes that came and were thrown away without a look for messages in them: what a peer still sends over a connection
    /// that this side has ended, or to a socket that is closed. They are among [`bytes_in`](Self::bytes_in).
    pub discarded_bytes: u64,
    /// Handshakes that failed.
    pub handshake_failures: u64,
    /// Times the handshake was completed.
    pub established: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.messages_out += other.messages_out;
        self.bytes_out += other.bytes_out;
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.send_hwm_hits += other.send_hwm_hits;
        self.recv_hwm_hits += other.recv_hwm_hits;
        self.dropped_at_hwm += other.dropped_at_hwm;
        self.dropped_on_arrival += other.dropped_on_arrival;
        self.unroutable += other.unroutable;
        self.conflated += other.conflated;
        self.lost += other.lost;
        self.discarded_bytes += other.discarded_bytes;
        self.handshake_failures += other.handshake_failures;
        self.established += other.established;
    }
}
