//! A gate: what is behind it is used by any number of threads, and may be taken away at any time.

use std::{cell::UnsafeCell, marker::PhantomData, ops::Deref, ptr, sync::atomic::Ordering};

use crate::{
    place::{self, Place, Places},
    sync::AtomicU64,
};

/// Holds a value, or none. Whoever uses it enters, and is told when there is none; whoever closes the gate lets nobody in
/// any more. The last to leave a closed gate drops the value, and the gate can be opened again, with another one.
///
/// To enter and to leave takes no locked instruction: a thread notes where it is in a place of its own. (In a visit within
/// another, and if the system has no such barrier as this needs, it is counted at the gate.) To close takes a system call.
///
/// ```
/// use nought_lock::Gate;
///
/// let gate = Gate::new();
/// gate.open(String::from("here")).unwrap();
/// let visit = gate.enter().unwrap();
/// assert_eq!(*visit, "here");
/// assert!(visit.close());
/// assert!(gate.enter().is_none());
/// assert_eq!(*visit, "here");
/// ```
pub struct Gate<T> {
    /// The state, below it the generation of the value, and below that the number of visits that are counted here.
    word: AtomicU64,
    value: UnsafeCell<Option<T>>,
}

// States, in the highest byte of the word. They follow each other, and the first follows the last.

/// There is no value.
const EMPTY: u64 = 0;
/// One is put here.
const OPENING: u64 = 1 << 56;
/// Whoever comes may enter.
const OPEN: u64 = 2 << 56;
/// Whoever is inside may stay. Nobody else may enter.
const CLOSED: u64 = 3 << 56;
/// Nobody is inside, and the value is taken away.
const ENDING: u64 = 4 << 56;

const STATE: u64 = !0 << 56;

/// What a gate's next value adds to the word, in the middle of it.
const GENERATION_STEP: u64 = 1 << 32;
const GENERATION: u64 = !STATE & !COUNT;
const COUNT: u64 = GENERATION_STEP - 1;

// SAFETY: the gate owns its value, and moves to another thread with it.
unsafe impl<T: Send> Send for Gate<T> {}
// SAFETY: a shared gate gives shared references to its value to several threads, and the value to one of them, to be
// dropped: `T` is both. That these do not meet is proven at `Visit`.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

/// The use of a value behind a [`Gate`], until it is dropped.
///
/// A visit first says that it is there (in its thread's place, or in the gate's count) and *then* sees that the gate is
/// open. If not it is left, as any other is. The value is written by two:
///
/// - `open`, between the states `EMPTY` and `OPEN`: whoever sees the latter sees the value.
/// - `end`, between `CLOSED` and `EMPTY`. It sees that the gate is closed, and *then* that nobody is inside: the places and
///   the count. Between the two steps lies a barrier on either side, so that of a visit and an end at least one sees what
///   the other did: the visit goes away, or the end leaves it to others. Nothing but an end leads out of `CLOSED`, and of
///   several one alone, by the very word that it has seen; the generation in it says that no other value came meanwhile.
///
/// What a visit did comes before what the end does: a place is left by a release, and entered anew by one, so that an end
/// that finds it somewhere else has acquired what its thread did before. The count is changed by both.
///
/// And somebody ends it: whoever leaves says so, and *then* looks whether the gate is closed. If it is, it tries to end it.
/// Of two that leave at the same time at least one sees that the other has left, by the same barriers.
pub struct Visit<'g, T> {
    gate: &'g Gate<T>,
    /// Where it is noted, if it is not counted.
    place: Option<&'static Place>,
    /// It stays on its thread, whose place this is.
    on_its_thread: PhantomData<*const ()>,
}

impl<T> Gate<T> {
    /// A gate with nothing behind it.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { word: AtomicU64::new(EMPTY), value: UnsafeCell::new(None) }
    }

    /// A gate with nothing behind it.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { word: AtomicU64::new(EMPTY), value: UnsafeCell::new(None) }
    }

    /// Puts a value behind the gate, and opens it.
    ///
    /// # Errors
    /// The value, if there is still another one.
    pub fn open(&self, value: T) -> Result<(), T> {
        // Those who find it empty may be counted meanwhile.
        let next = |word: u64| (word & GENERATION).wrapping_add(GENERATION_STEP) & GENERATION;
        let opening = |word: u64| (word & STATE == EMPTY).then(|| OPENING | next(word) | word & COUNT);
        if self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, opening).is_err() {
            return Err(value);
        }
        // SAFETY: nobody enters before the next step, and nobody is inside: an end has seen to that, or there never was a
        // value. No other thread opens it: it has found another state than `EMPTY`.
        unsafe { *self.value.get() = Some(value) };
        self.word.fetch_add(OPEN - OPENING, Ordering::Release);
        Ok(())
    }

    /// Begins to use the value; `None` if there is none, or none any more.
    #[inline]
    pub fn enter(&self) -> Option<Visit<'_, T>> {
        let place = place::free();
        let word = match place {
            Some(place) => {
                place.enter(self.address());
                self.word.load(Ordering::Acquire)
            }
            None => self.word.fetch_add(1, Ordering::AcqRel),
        };
        let visit = Visit { gate: self, place, on_its_thread: PhantomData };
        (word & STATE == OPEN).then_some(visit)
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Takes the value away, if the gate is closed and nobody is inside.
    #[cold]
    fn end(&self) {
        let closed = self.word.load(Ordering::Acquire);
        let ending = closed + (ENDING - CLOSED);
        let is_over = closed & (STATE | COUNT) == CLOSED
            && Places::all().count_at(self.address()) == 0
            // Somebody may have come meanwhile who finds it closed and is counted: whoever that is comes here, too.
            && self.word.compare_exchange(closed, ending, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if is_over {
            // SAFETY: nobody is inside, as proven at `Visit`, and nobody else is here: the state was `CLOSED` just now.
            let value = unsafe { (*self.value.get()).take() };
            self.word.fetch_sub(ENDING - EMPTY, Ordering::Release);
            drop(value);
        }
    }
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Visit<'_, T> {
    /// Closes the gate: nobody enters any more. `false` says that it was closed already.
    pub fn close(&self) -> bool {
        let closed = |word: u64| (word & STATE == OPEN).then_some(word + (CLOSED - OPEN));
        self.gate.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, closed).is_ok()
    }

    /// Whether there are other visits. Of a gate that is closed, whoever had entered it and is not told of here has left.
    pub fn has_company(&self) -> bool {
        let noted = Places::all().count_at(self.gate.address()) as u64;
        let counted = self.gate.word.load(Ordering::Acquire) & COUNT;
        noted + counted > 1
    }
}

impl<T> Deref for Visit<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there, and nobody writes to it, while there are visits, as proven at `Visit`.
        let value = unsafe { &*self.gate.value.get() };
        value.as_ref().expect("there is a value while there are visits")
    }
}

impl<T> Drop for Visit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let is_closed = match self.place {
            Some(place) => {
                place.leave();
                self.gate.word.load(Ordering::Relaxed) & STATE == CLOSED
            }
            None => self.gate.word.fetch_sub(1, Ordering::AcqRel) & (STATE | COUNT) == CLOSED + 1,
        };
        if is_closed {
            self.gate.end();
        }
    }
}
