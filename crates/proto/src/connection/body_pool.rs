//! Memory for large bodies, used again when their messages are dropped.
//!
//! A body of some ten kilobytes that is allocated and freed for each message makes the allocator return memory to the
//! system and fault it in again: for messages of 64 KiB that was a third of the receiver's time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::limits::{BODY_POOL_LEN_MAX, BODY_RESERVE_LEN_MAX};

/// The pool of one socket. Clones are the same pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyPool(Arc<Mutex<Free>>);

#[derive(Debug, Default)]
struct Free {
    bodies: VecDeque<Vec<u8>>,
    /// Their capacities together.
    len: usize,
}

impl BodyPool {
    /// An empty vector with room for at least `len` bytes, and at most twice that: the application may keep it.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The one returned last is the one that is still in the processor's cache.
        let fitting = free.bodies.iter().rposition(|body| (len..=2 * len).contains(&body.capacity()));
        match fitting.and_then(|index| free.bodies.remove(index)) {
            Some(body) => {
                free.len -= body.capacity();
                body
            }
            None => Vec::with_capacity(len),
        }
    }

    /// Makes a body of it that comes back to the pool when the last of its clones is dropped.
    pub(crate) fn share(&self, body: Vec<u8>) -> Bytes {
        if body.capacity() > BODY_RESERVE_LEN_MAX {
            return body.into();
        }
        Bytes::from_owner(Pooled { body, pool: self.clone() })
    }

    fn put(&self, mut body: Vec<u8>) {
        body.clear();
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.len += body.capacity();
        free.bodies.push_back(body);
        // Those that have not been taken for longest have a length that no longer comes.
        while free.len > BODY_POOL_LEN_MAX
            && let Some(oldest) = free.bodies.pop_front()
        {
            free.len -= oldest.capacity();
        }
    }
}

struct Pooled {
    body: Vec<u8>,
    pool: BodyPool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.put(std::mem::take(&mut self.body));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_with_the_last_clone() {
        let pool = BodyPool::default();
        let mut body = pool.take(10_000);
        body.resize(10_000, 7);
        let place = body.as_ptr();
        let shared = pool.share(body);
        let clone = shared.slice(5..);
        drop(shared);
        let other = pool.take(10_000);
        assert_ne!(other.as_ptr(), place);
        drop(clone);
        let same = pool.take(10_000);
        assert_eq!(same.as_ptr(), place);
    }

    #[test]
    fn a_small_body_does_not_get_large_memory_and_large_memory_does_not_keep_small_out() {
        let pool = BodyPool::default();
        let large: Vec<Bytes> = (0..5).map(|_| pool.share(pool.take(1_000_000))).collect();
        drop(large);
        let mut body = pool.take(10_000);
        assert!(body.capacity() <= 20_000);
        body.resize(10_000, 7);
        let place = body.as_ptr();
        drop(pool.share(body));
        let same = pool.take(9_000);
        assert_eq!(same.as_ptr(), place);
    }

    #[test]
    fn it_is_bounded() {
        let pool = BodyPool::default();
        let bodies: Vec<Bytes> = (0..100).map(|_| pool.share(pool.take(1_000_000))).collect();
        drop(bodies);
        assert!(pool.0.lock().unwrap().len <= BODY_POOL_LEN_MAX);
    }
}
