//! Heartbeats: PING when it is time, and patience that ends (RFC 37, "Connection heartbeating").

use std::time::{Duration, Instant};

use crate::options::Options;

/// The clock work of one connection whose handshake is over. Any traffic counts as a sign of life.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    last_received: Instant,
    next_ping: Option<Instant>,
    /// Something must be received by then: a PING is unanswered.
    answer_due: Option<Instant>,
    /// What had been written when the time for that answer was set, and what must be written before the PING.
    written_then: u64,
    ping_at: u64,
    /// What the peer said its silence would mean.
    peer_ttl: Option<Duration>,
}

/// Bytes that the transport has taken, and bytes that wait for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) written: u64,
    pub(crate) queued: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    PeerGone,
}

impl Heartbeat {
    pub(crate) fn new(options: &Options, now: Instant) -> Self {
        Self {
            last_received: now,
            next_ping: interval(options).and_then(|interval| now.checked_add(interval)),
            answer_due: None,
            written_then: 0,
            ping_at: 0,
            peer_ttl: None,
        }
    }

    /// Takes over an interval that has been changed.
    pub(crate) fn set_interval(&mut self, options: &Options) {
        let due = interval(options).and_then(|interval| self.last_received.checked_add(interval));
        self.next_ping = due.map(|due| self.next_ping.map_or(due, |next| next.min(due)));
    }

    pub(crate) fn received(&mut self, now: Instant) {
        self.last_received = now;
        self.answer_due = None;
    }

    /// Notes the TTL of a PING; 0 says nothing.
    pub(crate) fn received_ping(&mut self, ttl_deciseconds: u16) {
        self.peer_ttl = (ttl_deciseconds > 0).then(|| Duration::from_millis(u64::from(ttl_deciseconds) * 100));
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.next_ping, self.answer_due, self.ttl_end()].into_iter().flatten().min()
    }

    /// While the PING waits behind a large message, progress of that is a sign of life.
    pub(crate) fn handle_timeout(&mut self, options: &Options, sent: Sent, now: Instant) -> Due {
        let past = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if past(self.answer_due) && self.written_then < sent.written.min(self.ping_at) {
            self.written_then = sent.written;
            self.answer_due = patience(options).and_then(|patience| now.checked_add(patience));
        }
        let Some(interval) = interval(options) else {
            // Switched off meanwhile: what the peer said of its own silence still holds.
            (self.next_ping, self.answer_due) = (None, None);
            return if past(self.ttl_end()) { Due::PeerGone } else { Due::Nothing };
        };
        if past(self.answer_due) || past(self.ttl_end()) {
            return Due::PeerGone;
        }
        if !past(self.next_ping) {
            return Due::Nothing;
        }
        self.next_ping = now.checked_add(interval);
        if self.answer_due.is_none() {
            self.answer_due = patience(options).and_then(|patience| now.checked_add(patience));
            self.written_then = sent.written;
            self.ping_at = sent.written + sent.queued;
        }
        Due::Ping
    }

    fn ttl_end(&self) -> Option<Instant> {
        self.peer_ttl.map(|ttl| self.last_received + ttl)
    }
}

/// An interval of nothing is none: it would be over again at once.
fn interval(options: &Options) -> Option<Duration> {
    options.heartbeat_interval.filter(|interval| !interval.is_zero())
}

fn patience(options: &Options) -> Option<Duration> {
    options.heartbeat_timeout.filter(|timeout| !timeout.is_zero()).or(interval(options))
}

/// The TTL as a PING carries it: in tenths of a second, rounded up, as long as it fits.
pub(crate) fn ttl_deciseconds(ttl: Option<Duration>) -> u16 {
    let deciseconds = ttl.map_or(0, |ttl| ttl.as_millis().div_ceil(100));
    u16::try_from(deciseconds).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            heartbeat_interval: Some(Duration::from_secs(1)),
            heartbeat_timeout: Some(Duration::from_secs(3)),
            ..Options::default()
        }
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let (options, start) = (options(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::new(&options, start);
        assert_eq!(heartbeat.deadline(), Some(at(1)));
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(1)), Due::Ping);
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(2)), Due::Ping);
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(4)), Due::PeerGone);
    }

    #[test]
    fn any_traffic_is_a_sign_of_life() {
        let (options, start) = (options(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::new(&options, start);
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(1)), Due::Ping);
        heartbeat.received(at(3));
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(4)), Due::Ping);
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(6)), Due::Ping);
        assert_eq!(heartbeat.handle_timeout(&options, Sent::default(), at(7)), Due::PeerGone);
    }

    #[test]
    fn an_interval_set_later_counts_from_the_last_traffic() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::new(&Options::default(), start);
        heartbeat.received(at(5));
        heartbeat.set_interval(&options());
        assert_eq!(heartbeat.deadline(), Some(at(6)));
        heartbeat.set_interval(&Options { heartbeat_interval: Some(Duration::from_secs(60)), ..Options::default() });
        assert_eq!(heartbeat.deadline(), Some(at(6)), "a longer one holds from the next PING on");
        heartbeat.set_interval(&Options::default());
        assert_eq!(heartbeat.deadline(), None);
    }

    #[test]
    fn the_peers_ttl_counts_from_the_last_traffic() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(&Options::default(), start);
        assert_eq!(heartbeat.deadline(), None);
        heartbeat.received_ping(20);
        assert_eq!(heartbeat.deadline(), Some(start + Duration::from_secs(2)));
        assert_eq!(
            heartbeat.handle_timeout(&Options::default(), Sent::default(), start + Duration::from_secs(2)),
            Due::PeerGone
        );
    }

    #[test]
    fn a_ttl_that_does_not_fit_is_the_longest_that_does() {
        assert_eq!(ttl_deciseconds(None), 0);
        assert_eq!(ttl_deciseconds(Some(Duration::from_millis(1))), 1);
        assert_eq!(ttl_deciseconds(Some(Duration::from_secs(65))), 650);
        assert_eq!(ttl_deciseconds(Some(Duration::from_secs(100_000))), u16::MAX);
    }
}
