//! Message bodies that say which message they are, and the checks that every one arrived, once and in order.

use anyhow::{Result, bail, ensure};

/// How many bytes of a body hold its number; a shorter body holds the lowest byte of it.
const STAMP_LEN: usize = 8;

/// A body that is used again for every message, with the message's number written into it.
pub(crate) struct Payload {
    bytes: Vec<u8>,
}

impl Payload {
    /// A body of `size` ≥ 1 bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: vec![b'x'; size] }
    }

    /// The body of message `number`.
    #[inline]
    pub(crate) fn stamped(&mut self, number: u64) -> &[u8] {
        match self.bytes.first_chunk_mut::<STAMP_LEN>() {
            Some(stamp) => *stamp = number.to_le_bytes(),
            None => self.bytes[0] = number as u8,
        }
        &self.bytes
    }
}

/// The number in a body, and the number that `expected` would have left there.
#[inline]
fn stamp(body: &[u8], expected: u64) -> (u64, u64) {
    match body.first_chunk::<STAMP_LEN>() {
        Some(stamp) => (u64::from_le_bytes(*stamp), expected),
        None => (u64::from(body[0]), u64::from(expected as u8)),
    }
}

/// A check on what arrives.
pub(crate) trait Check: Send {
    /// Takes note of the next body; an error if it cannot be the right one.
    fn take(&mut self, body: &[u8]) -> Result<()>;

    /// Called after the last body: an error if the whole was not right.
    fn finish(&self) -> Result<()>;
}

/// Bodies must come in the order in which they were sent: 0, 1, 2 and so on.
pub(crate) struct InOrder {
    size: usize,
    next: u64,
}

impl InOrder {
    /// Expects bodies of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self { size, next: 0 }
    }

    /// How many bodies have been taken.
    pub(crate) fn taken(&self) -> u64 {
        self.next
    }
}

impl Check for InOrder {
    #[inline]
    fn take(&mut self, body: &[u8]) -> Result<()> {
        ensure!(body.len() == self.size, "a body of {} bytes arrived where {} were sent", body.len(), self.size);
        let (found, due) = stamp(body, self.next);
        if found != due {
            bail!("message {found} arrived where {due} was due");
        }
        self.next += 1;
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

/// Bodies from several senders, each of which numbers its own from 0: their order is free, their sum is not.
pub(crate) struct Sum {
    size: usize,
    expected: u64,
    sum: u64,
}

impl Sum {
    /// Expects `senders` × `each` bodies of `size` ≥ 8 bytes.
    pub(crate) fn new(size: usize, senders: u64, each: u64) -> Self {
        Self { size, expected: senders * (each * each.saturating_sub(1) / 2), sum: 0 }
    }
}

impl Check for Sum {
    #[inline]
    fn take(&mut self, body: &[u8]) -> Result<()> {
        ensure!(body.len() == self.size, "a body of {} bytes arrived where {} were sent", body.len(), self.size);
        self.sum = self.sum.wrapping_add(stamp(body, 0).0);
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        ensure!(self.sum == self.expected, "the numbers of the messages add up to {}, not {}", self.sum, self.expected);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_found_in_long_and_short_bodies() {
        for size in [1, 8, 64] {
            let mut payload = Payload::new(size);
            let mut check = InOrder::new(size);
            check.take(payload.stamped(0)).unwrap();
            check.take(payload.stamped(1)).unwrap();
            assert!(check.take(payload.stamped(3)).is_err());
            assert_eq!(check.taken(), 2);
        }
    }

    #[test]
    fn one_byte_counts_on_beyond_255() {
        let mut payload = Payload::new(1);
        let mut check = InOrder::new(1);
        for number in 0..1000 {
            check.take(payload.stamped(number)).unwrap();
        }
    }

    #[test]
    fn a_missing_message_changes_the_sum() {
        let mut payload = Payload::new(64);
        let mut check = Sum::new(64, 2, 3);
        for number in [0, 1, 2, 0, 2] {
            check.take(payload.stamped(number)).unwrap();
        }
        assert!(check.finish().is_err());
        check.take(payload.stamped(1)).unwrap();
        assert!(check.finish().is_ok());
    }
}
