//! Places: where each thread says which gate it is behind, without a locked instruction.
//!
//! Who looks at all places pays for that, with a system call. A thread has its place until it ends; then it is another's.

use std::sync::atomic::Ordering;

use crate::{
    barrier,
    own::Own,
    sync::{AtomicBool, AtomicUsize},
};

/// How many threads can have a place at a time. Whoever wants to know where they are looks at as many as there ever were.
const PLACES: usize = if cfg!(loom) { 3 } else { 1024 };

/// A thread's place.
#[repr(align(64))]
pub(crate) struct Place {
    /// The address of the gate that the thread is behind, or knocks at; 0: none. Written by the thread alone.
    gate: AtomicUsize,
    is_taken: AtomicBool,
}

/// All places.
pub(crate) struct Places {
    places: [Place; PLACES],
    /// As many of them as were ever taken, from the first on.
    used: AtomicUsize,
}

impl Place {
    /// The thread is behind this gate, or about to see that it must not be. What it did behind another is seen by whoever
    /// sees that.
    #[inline]
    pub(crate) fn enter(&self, gate: usize) {
        self.gate.store(gate, Ordering::Release);
        barrier::light();
    }

    /// What the thread did behind the gate is seen by whoever sees that it has left.
    #[inline]
    pub(crate) fn leave(&self) {
        self.gate.store(0, Ordering::Release);
        barrier::light();
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == 0
    }
}

impl Places {
    #[cfg(not(loom))]
    pub(crate) fn all() -> &'static Self {
        static ALL: Places = Places {
            places: [const { Place { gate: AtomicUsize::new(0), is_taken: AtomicBool::new(false) } }; PLACES],
            used: AtomicUsize::new(0),
        };
        &ALL
    }

    #[cfg(loom)]
    pub(crate) fn all() -> &'static Self {
        fn new() -> Places {
            let place = |_| Place { gate: AtomicUsize::new(0), is_taken: AtomicBool::new(false) };
            Places { places: std::array::from_fn(place), used: AtomicUsize::new(0) }
        }
        // The model checker drops its statics before the first thread's variables.
        loom::lazy_static! { static ref ALL: &'static Places = Box::leak(Box::new(new())); }
        &ALL
    }

    /// How many threads are behind this gate. What the caller has written before is seen by those that knock or leave
    /// later than this tells of.
    pub(crate) fn count_at(&self, gate: usize) -> usize {
        if !barrier::is_there() {
            return 0;
        }
        barrier::heavy();
        let used = self.used.load(Ordering::Acquire);
        self.places[..used].iter().filter(|place| place.gate.load(Ordering::Acquire) == gate).count()
    }

    fn take(&self) -> Option<&Place> {
        if !barrier::is_there() {
            return None;
        }
        let take =
            |place: &Place| place.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let index = self.places.iter().position(take)?;
        self.used.fetch_max(index + 1, Ordering::AcqRel);
        Some(&self.places[index])
    }
}

/// That a thread has a place, or found none.
struct Tenancy(Option<&'static Place>);

impl Drop for Tenancy {
    fn drop(&mut self) {
        Own::forget_place();
        // A thread that ends behind a gate leaves its place there for good.
        if let Some(place) = self.0.filter(|place| place.is_free()) {
            place.is_taken.store(false, Ordering::Release);
        }
    }
}

#[cfg(not(loom))]
thread_local! {
    static TENANCY: Tenancy = Tenancy(Places::all().take());
}

#[cfg(loom)]
loom::thread_local! {
    static TENANCY: Tenancy = Tenancy(Places::all().take());
}

/// This thread's place, if it has one, and is behind no gate.
#[inline]
pub(crate) fn free() -> Option<&'static Place> {
    let place = Own::with(|own| own.place.get()).or_else(move_in)?;
    place.is_free().then_some(place)
}

/// Takes a place for this thread. There is none when it is ending, or when too many threads have one.
#[cold]
fn move_in() -> Option<&'static Place> {
    let place = TENANCY.try_with(|tenancy| tenancy.0).ok().flatten();
    Own::with(|own| own.place.set(place));
    place
}
