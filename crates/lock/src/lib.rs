//! A lock that is biased towards the thread which takes it most.
//!
//! Most locks are taken by one thread, again and again, and by others now and then. A mutex makes each of those times
//! pay for the others: two locked instructions, of which each costs as much as encoding a small message. A
//! [`BiasedLock`] lets one thread, its *owner*, in by plain loads and stores. Whoever else comes takes the ownership away
//! first, which costs a system call; so it is only given to a thread that came many times in a row.
//!
//! ```
//! use nought_lock::BiasedLock;
//!
//! let lock = BiasedLock::new(0);
//! *lock.lock() += 1;
//! assert_eq!(*lock.lock(), 1);
//! ```
//!
//! A [`Gate`] does the same for what is used by many and may be taken away at any time. A [`BriefLock`] is for two threads
//! that come in turns, and costs each of them one locked instruction. A [`Queue`] has no lock at all.
//!
//! A process may be forked at any time: nothing here that a process has once is waited for by a child in which whoever was
//! to finish it is not there.

mod barrier;
mod brief;
mod gate;
mod own;
mod place;
mod queue;
mod sync;
mod token;

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    sync::atomic::Ordering,
};

use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard};
pub use crate::{
    brief::{BriefGuard, BriefLock},
    gate::{Gate, Visit},
    queue::Queue,
};

/// How often in a row a thread comes by the mutex before it becomes the owner. Taking the ownership away costs about
/// as much as thirty times by the mutex: threads in turns lose less than a third by that, and an owner that is
/// disturbed ten thousand times a second still comes in cheaply nearly always.
const GRANTED_AFTER: u32 = if cfg!(loom) { 1 } else { 100 };

/// How many threads can ever become owners of one lock. (Each keeps its seat: one that was delayed on its way in, and
/// finds that it is the owner no longer, leaves the seat then, which must not look as if the next owner left.)
const SEATS: usize = 8;

/// Looks at whether the owner has left, before sleeping until it says so.
const LOOKS_MAX: u32 = if cfg!(loom) { 0 } else { 100 };

/// A mutual exclusion lock for a `T`; see the crate's page.
///
/// It does not poison: a panic while it is held leaves the value as it then is. A thread that takes it twice waits for
/// itself for ever.
pub struct BiasedLock<T> {
    /// The thread that comes in without the mutex: an [`Owner`]. Written by whoever holds the mutex.
    owner: AtomicU64,
    /// Whether the thread that has the seat is inside as the owner, or looks whether it may be. Written by that thread.
    seats: [AtomicBool; SEATS],
    /// Whoever is inside without being the owner holds it.
    mutex: Mutex<Rivalry>,
    /// Where a thread sleeps until the owner leaves: one at most, since it holds the mutex.
    sleep: Mutex<()>,
    owner_left: Condvar,
    value: UnsafeCell<T>,
}

// SAFETY: the lock owns its value, and moves to another thread with it.
unsafe impl<T: Send> Send for BiasedLock<T> {}
// SAFETY: a shared lock gives out the value to one thread at a time, as proven at `Guard`; it never gives out two shared
// references at once, so `T` need not be `Sync`.
unsafe impl<T: Send> Sync for BiasedLock<T> {}

/// Who came by the mutex last and how often in a row, and who has which seat.
#[derive(Default)]
struct Rivalry {
    last: u64,
    times: u32,
    seated: [u64; SEATS],
}

/// A thread's token and its seat, in one word; 0: nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owner(u64);

impl Owner {
    const NOBODY: Self = Self(0);

    fn new(token: u64, seat: usize) -> Self {
        Self(token * SEATS as u64 + seat as u64)
    }

    #[inline]
    fn token(self) -> u64 {
        self.0 / SEATS as u64
    }

    #[inline]
    fn seat(self) -> usize {
        (self.0 % SEATS as u64) as usize
    }
}

/// Access to the value of a [`BiasedLock`], until it is dropped.
///
/// Of all guards of a lock only one exists at a time. It is made in two ways:
///
/// - With the mutex, after `owner` was seen or made to be nobody under it, and the former owner's seat was seen to be
///   empty after that. Two of these exclude each other by the mutex.
/// - By the owner, which takes its seat and *then* sees that it is still the owner. Two of these exclude each other since
///   there is one owner, which finds its seat taken when it comes again.
///
/// One of each: whoever takes the ownership away clears `owner` and then looks at the seat; the owner takes the seat and
/// then looks at `owner`. Between the two steps lies a barrier on either side (`barrier`), so that at least one of them
/// sees what the other did. If it is the owner, it goes away. If it is the other, it waits until the seat is empty, and
/// it holds the mutex meanwhile, without which nobody is given the ownership.
///
/// What one of them did to the value, the next one sees: a seat is left with `Release` and looked at with `Acquire`; the
/// mutex does the same between those that hold it; and an owner was given the ownership by itself, with the mutex.
pub struct Guard<'a, T> {
    lock: &'a BiasedLock<T>,
    entry: Entry<'a>,
    /// It stays on its thread, which may be the owner.
    on_its_thread: PhantomData<*const ()>,
}

/// The way by which a guard's holder came in.
enum Entry<'a> {
    /// On this seat.
    Owner(&'a AtomicBool),
    /// Taken out where the guard is dropped, and nowhere else.
    Mutex(ManuallyDrop<MutexGuard<'a, Rivalry>>),
}

impl<T> BiasedLock<T> {
    /// A lock that nobody holds and nobody owns.
    pub fn new(value: T) -> Self {
        Self {
            owner: AtomicU64::new(Owner::NOBODY.0),
            seats: std::array::from_fn(|_| AtomicBool::new(false)),
            mutex: Mutex::new(Rivalry::default()),
            sleep: Mutex::new(()),
            owner_left: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, and waits for it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        match self.enter_as_owner() {
            Some(seat) => self.guard(Entry::Owner(seat)),
            None => self.lock_by_mutex(),
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        if let Some(seat) = self.enter_as_owner() {
            return Some(self.guard(Entry::Owner(seat)));
        }
        let rivalry = sync::try_lock(&self.mutex)?;
        let former = self.disown();
        if former != Owner::NOBODY && is_taken(self.seat_of(former)) {
            self.owner.store(former.0, Ordering::Relaxed);
            return None;
        }
        Some(self.guard(Entry::Mutex(ManuallyDrop::new(rivalry))))
    }

    #[inline]
    fn guard<'a>(&'a self, entry: Entry<'a>) -> Guard<'a, T> {
        Guard { lock: self, entry, on_its_thread: PhantomData }
    }

    #[inline]
    fn seat_of(&self, owner: Owner) -> &AtomicBool {
        &self.seats[owner.seat()]
    }

    /// Returns the seat that was taken.
    #[inline(always)]
    fn enter_as_owner(&self) -> Option<&AtomicBool> {
        let owner = Owner(self.owner.load(Ordering::Relaxed));
        if owner.token() != token::known() {
            return None;
        }
        let seat = self.seat_of(owner);
        if seat.load(Ordering::Relaxed) {
            return None;
        }
        seat.store(true, Ordering::Relaxed);
        barrier::light();
        if self.owner.load(Ordering::Acquire) == owner.0 {
            return Some(seat);
        }
        self.leave_as_owner(seat);
        None
    }

    #[inline]
    fn leave_as_owner(&self, seat: &AtomicBool) {
        seat.store(false, Ordering::Release);
        barrier::light();
        if self.owner.load(Ordering::Relaxed) == Owner::NOBODY.0 {
            self.wake_rival();
        }
    }

    /// The ownership was taken away while the owner was inside: somebody may sleep until it leaves.
    #[cold]
    fn wake_rival(&self) {
        // Whoever looked at the seat before that sleeps by now.
        drop(sync::lock(&self.sleep));
        self.owner_left.notify_one();
    }

    #[cold]
    fn lock_by_mutex(&self) -> Guard<'_, T> {
        let rivalry = sync::lock(&self.mutex);
        let former = self.disown();
        if former != Owner::NOBODY {
            self.await_leaving(self.seat_of(former));
        }
        self.guard(Entry::Mutex(ManuallyDrop::new(rivalry)))
    }

    /// Takes the ownership away from whoever has it, who may still be inside. Only with the mutex.
    fn disown(&self) -> Owner {
        let owner = Owner(self.owner.load(Ordering::Relaxed));
        if owner != Owner::NOBODY {
            self.owner.store(Owner::NOBODY.0, Ordering::Relaxed);
            barrier::heavy();
        }
        owner
    }

    /// Waits until the former owner has left its seat.
    fn await_leaving(&self, seat: &AtomicBool) {
        for _ in 0..LOOKS_MAX {
            if !is_taken(seat) {
                return;
            }
            std::hint::spin_loop();
        }
        let mut sleep = sync::lock(&self.sleep);
        while is_taken(seat) {
            sleep = sync::wait(&self.owner_left, sleep);
        }
    }

    #[cold]
    fn leave_by_mutex(&self, mut rivalry: MutexGuard<'_, Rivalry>) {
        self.note(&mut rivalry);
    }

    /// Counts how often a thread comes in a row, and makes it the owner. Only with the mutex, when its guard is done.
    fn note(&self, rivalry: &mut Rivalry) {
        let token = token::of_this_thread();
        rivalry.times = if rivalry.last == token { rivalry.times.saturating_add(1) } else { 1 };
        rivalry.last = token;
        if rivalry.times >= GRANTED_AFTER
            && barrier::is_there()
            && let Some(seat) = rivalry.seat(token)
        {
            rivalry.times = 0;
            self.owner.store(Owner::new(token, seat).0, Ordering::Relaxed);
        }
    }
}

fn is_taken(seat: &AtomicBool) -> bool {
    seat.load(Ordering::Acquire)
}

impl Rivalry {
    /// The seat of a thread, which it keeps for ever; `None` if there is none for it.
    fn seat(&mut self, token: u64) -> Option<usize> {
        let seat = self.seated.iter().position(|&seated| seated == token || seated == token::NOBODY)?;
        self.seated[seat] = token;
        Some(seat)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, as its type proves, and it is borrowed: there is no `&mut` of it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, as its type proves, and it is borrowed mutably: there is no other reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.entry {
            Entry::Owner(seat) => self.lock.leave_as_owner(seat),
            // SAFETY: it is not used again: the guard is gone.
            Entry::Mutex(rivalry) => self.lock.leave_by_mutex(unsafe { ManuallyDrop::take(rivalry) }),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_can_never_own_it_comes_as_often_as_it_likes() {
        let lock = BiasedLock::new(0);
        *sync::lock(&lock.mutex) =
            Rivalry { last: token::of_this_thread(), times: u32::MAX, seated: [u64::MAX; SEATS] };
        *lock.lock() += 1;
        assert_eq!(*lock.lock(), 1);
    }
}
