//! Handles: what an application holds as `void *`, and may pass when it is long closed, or when it never was one.
//!
//! A handle is the address of a [`Shell`]: of a gate, behind which is what the handle stands for. All shells stand in one
//! row, so that an address says by itself whether it is one: no other memory is ever read. One that is closed says so
//! until very many others have been closed and it stands for something new, as a file descriptor does. So whatever is no
//! handle is refused, and what a handle stood for is gone when the last call with it has returned.
//!
//! Nothing here is waited for: a child of the process may make handles of its own, whatever other threads were about when
//! it was forked.

use std::{
    ffi::c_void,
    ops::Deref,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use nought_lock::{Gate, Queue, Visit};

use crate::{
    atomic_counter::Counter,
    context::ContextHandle,
    errno::{Errno, Result},
    poller::Poller,
    socket::SocketHandle,
    stopwatch::Stopwatch,
    thread::Thread,
    timers::Timers,
};

/// Closed shells that are kept before the first of them is used again.
const QUARANTINE: usize = 4096;

/// How many handles there can be: more sockets than a process gets descriptors for where nobody has raised its limit.
/// With the queue of those that are closed they take 18 MiB of addresses, and memory for those that were used.
const SHELLS_MAX: usize = 1 << 18;

/// What an application can hold a handle of.
pub(crate) trait Noun: Into<Thing> {
    /// What a pointer is called that is no handle of this noun.
    const NO_HANDLE: Errno;

    /// The thing, if it is of this noun.
    fn of(thing: &Thing) -> Option<&Self>;
}

macro_rules! nouns {
    ($($noun:ident: $no_handle:ident,)+) => {
        /// What a handle stands for.
        pub(crate) enum Thing {
            $($noun($noun),)+
        }

        $(
            impl Noun for $noun {
                const NO_HANDLE: Errno = Errno::$no_handle;

                #[inline]
                fn of(thing: &Thing) -> Option<&Self> {
                    if let Thing::$noun(noun) = thing { Some(noun) } else { None }
                }
            }

            impl From<$noun> for Thing {
                fn from(noun: $noun) -> Self {
                    Self::$noun(noun)
                }
            }
        )+
    };
}

nouns! {
    ContextHandle: FAULT,
    Counter: FAULT,
    Poller: FAULT,
    SocketHandle: NOT_A_SOCKET,
    Stopwatch: FAULT,
    Thread: FAULT,
    Timers: FAULT,
}

/// The place of what a handle stands for. Each has a cache line of its own: some calls are counted there.
#[repr(align(64))]
struct Shell(Gate<Box<Resident>>);

/// What is behind a gate, and where in the row that is.
struct Resident {
    thing: Thing,
    index: usize,
}

static SHELLS: [Shell; SHELLS_MAX] = [const { Shell(Gate::new()) }; SHELLS_MAX];

/// The last of them that has been used. The first never is: 0 is no number of [`CLOSED`].
static LAST_USED: AtomicUsize = AtomicUsize::new(0);

/// Those whose handles are closed and whose calls have ended, the oldest first.
static CLOSED: Queue<SHELLS_MAX> = Queue::new();

impl Drop for Resident {
    fn drop(&mut self) {
        // There is nothing behind the gate any more.
        CLOSED.push(self.index);
    }
}

/// A call with a handle: what it stands for stays meanwhile.
pub(crate) struct Call<T: Noun> {
    noun: *const T,
    visit: Visit<'static, Box<Resident>>,
}

/// A handle for something.
pub(crate) fn open(noun: impl Noun) -> Result<*mut c_void> {
    let index = empty_shell().ok_or(Errno::TOO_MANY_FILES)?;
    let shell = &SHELLS[index];
    let opened = shell.0.open(Box::new(Resident { thing: noun.into(), index }));
    assert!(opened.is_ok(), "only empty shells are given out, each once");
    Ok(ptr::from_ref(shell).cast_mut().cast())
}

/// One that has been closed for long, or was never used; when there are no more, one that was closed not long ago.
fn empty_shell() -> Option<usize> {
    let next = |last: usize| (last + 1 < SHELLS_MAX).then_some(last + 1);
    let unused = || LAST_USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().and_then(next);
    CLOSED.pop_beyond(QUARANTINE).or_else(unused).or_else(|| CLOSED.pop_beyond(0))
}

/// Begins a call with a handle.
///
/// All calls begin so: written into each, it takes half of the instructions that it takes as a function of its own, which
/// has to write its result to memory.
#[inline(always)]
pub(crate) fn enter<T: Noun>(handle: *mut c_void) -> Result<Call<T>> {
    let offset = handle.addr().wrapping_sub(SHELLS.as_ptr().addr());
    if !offset.is_multiple_of(size_of::<Shell>()) {
        return Err(T::NO_HANDLE);
    }
    let shell = SHELLS.get(offset / size_of::<Shell>()).ok_or(T::NO_HANDLE)?;
    let visit = shell.0.enter().ok_or(T::NO_HANDLE)?;
    let noun: *const T = T::of(&visit.thing).ok_or(T::NO_HANDLE)?;
    Ok(Call { noun, visit })
}

/// Closes a handle: from now on it is none. What it stood for is dropped here, or by the last call that is under way.
pub(crate) fn close<T: Noun>(handle: *mut c_void) -> Result<()> {
    enter::<T>(handle)?.close()
}

impl<T: Noun> Call<T> {
    /// Closes the handle. What it stood for is dropped when this call and all others that are under way have ended.
    pub(crate) fn close(&self) -> Result<()> {
        if self.visit.close() { Ok(()) } else { Err(T::NO_HANDLE) }
    }

    /// Whether other calls are under way. With a handle that is closed, none begins later.
    pub(crate) fn has_company(&self) -> bool {
        self.visit.has_company()
    }
}

impl<T: Noun> Deref for Call<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it is behind the gate, in a box, and stays there during the visit.
        unsafe { &*self.noun }
    }
}
