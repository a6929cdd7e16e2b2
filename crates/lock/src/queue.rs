//! A queue in which no thread ever waits for another.
//!
//! So it goes on, too, in a child of the process (fork), where threads that were in the middle of a step did not come
//! along. It is the queue of Michael and Scott ("Simple, Fast, and Practical Non-Blocking and Blocking Concurrent Queue
//! Algorithms", 1996): a step that another thread has begun is finished by whoever comes next.

use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, AtomicUsize};

/// Numbers from 1 to below `N`, each of which is in the queue once at most. The last one stays until another comes.
///
/// ```
/// use nought_lock::Queue;
///
/// let queue = Queue::<8>::new();
/// [5, 6, 7].iter().for_each(|&number| queue.push(number));
/// assert_eq!(queue.pop_beyond(2), Some(5));
/// assert_eq!(queue.pop_beyond(2), None);
/// ```
pub struct Queue<const N: usize> {
    /// What stands behind each number.
    behind: [Place; N],
    first: Place,
    last: Place,
    /// How many there are, or are about to be.
    len: AtomicUsize,
}

/// Stands before all numbers until the first one leaves; behind the last one it says that there is no other.
const NONE: usize = 0;

/// Where a number may stand.
struct Place(AtomicU64);

/// What stood in a place: a number, and above it how often the place has changed. So a thread that was held up does not
/// take the same number, come again, for what it saw. The count begins anew after 2^40 changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen(u64);

const NUMBER_BITS: u32 = 24;

impl<const N: usize> Queue<N> {
    /// There is nothing in it.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N <= 1 << NUMBER_BITS) };
        Self {
            behind: [const { Place(AtomicU64::new(0)) }; N],
            first: Place(AtomicU64::new(0)),
            last: Place(AtomicU64::new(0)),
            len: AtomicUsize::new(0),
        }
    }

    /// There is nothing in it.
    #[cfg(loom)]
    pub fn new() -> Self {
        let place = || Place(AtomicU64::new(0));
        Self { behind: std::array::from_fn(|_| place()), first: place(), last: place(), len: AtomicUsize::new(0) }
    }

    /// Adds a number.
    ///
    /// # Panics
    /// If it is 0, or `N` or more.
    pub fn push(&self, number: usize) {
        assert_ne!(number, NONE, "0 stands for none");
        // Before it is there, so that nobody counts it out first.
        self.len.fetch_add(1, Ordering::Relaxed);
        self.behind[number].clear();
        loop {
            let last = self.last.look();
            let behind = &self.behind[last.number()];
            let next = behind.look();
            if self.last.look() != last {
                continue;
            }
            if next.number() != NONE {
                self.last.change(last, next.number());
            } else if behind.change(next, number) {
                // Or somebody has done it by now.
                self.last.change(last, number);
                return;
            }
        }
    }

    /// Takes the number that has been there for longest, if more than `kept` are there.
    pub fn pop_beyond(&self, kept: usize) -> Option<usize> {
        while self.len.load(Ordering::Relaxed) > kept {
            // In this order: `last` is never before `first`.
            let (first, last) = (self.first.look(), self.last.look());
            let next = self.behind[first.number()].look().number();
            if self.first.look() != first {
                continue;
            }
            if next == NONE {
                return None;
            }
            if first.number() == last.number() {
                self.last.change(last, next);
            } else if self.first.change(first, next) && first.number() != NONE {
                self.len.fetch_sub(1, Ordering::Relaxed);
                return Some(first.number());
            }
        }
        None
    }
}

impl<const N: usize> Default for Queue<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Whoever looks sees all that was changed before what it sees, and nothing later in its place.
    fn look(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Puts a number here, unless something has changed.
    fn change(&self, seen: Seen, number: usize) -> bool {
        self.0.compare_exchange(seen.0, seen.changed_to(number).0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Of a number that is not in the queue: who saw it there last saw a number behind it, and changes nothing.
    fn clear(&self) {
        let seen = Seen(self.0.load(Ordering::Relaxed));
        self.0.store(seen.changed_to(NONE).0, Ordering::Release);
    }
}

impl Seen {
    fn number(self) -> usize {
        (self.0 & ((1 << NUMBER_BITS) - 1)) as usize
    }

    fn changed_to(self, number: usize) -> Self {
        Self(((self.0 >> NUMBER_BITS) + 1) << NUMBER_BITS | number as u64)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn pop_all<const N: usize>(queue: &Queue<N>) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop_beyond(0)).collect()
    }

    #[test]
    fn first_in_first_out_and_the_last_stays() {
        let queue = Queue::<8>::new();
        assert_eq!(queue.pop_beyond(0), None);
        (1..8).for_each(|number| queue.push(number));
        assert_eq!((queue.pop_beyond(7), queue.pop_beyond(6)), (None, Some(1)));
        assert_eq!(pop_all(&queue), [2, 3, 4, 5, 6]);
        let mut last = 7;
        for number in (1..7).cycle().take(100) {
            queue.push(number);
            assert_eq!(pop_all(&queue), [last]);
            last = number;
        }
    }

    #[test]
    fn a_push_that_was_left_before_it_was_begun_takes_nothing_with_it() {
        let queue = Queue::<8>::new();
        queue.push(1);
        queue.len.fetch_add(1, Ordering::Relaxed);
        queue.behind[2].clear();
        queue.push(3);
        queue.push(4);
        assert_eq!(pop_all(&queue), [1, 3]);
    }

    #[test]
    fn a_push_that_was_left_half_done_is_finished_by_others() {
        for pop_first in [false, true] {
            let queue = Queue::<8>::new();
            queue.push(1);
            queue.len.fetch_add(1, Ordering::Relaxed);
            queue.behind[2].clear();
            assert!(queue.behind[1].change(queue.behind[1].look(), 2));
            let first = pop_first.then(|| queue.pop_beyond(0)).flatten();
            queue.push(3);
            let popped: Vec<_> = first.into_iter().chain(pop_all(&queue)).collect();
            assert_eq!(popped, [1, 2]);
        }
    }

    #[test]
    fn a_pop_that_was_left_takes_one_with_it_at_most() {
        let queue = Queue::<8>::new();
        [1, 2, 3, 4].iter().for_each(|&number| queue.push(number));
        assert_eq!(queue.pop_beyond(0), Some(1));
        assert!(queue.first.change(queue.first.look(), 3));
        queue.push(5);
        assert_eq!(pop_all(&queue), [3, 4]);
    }
}
