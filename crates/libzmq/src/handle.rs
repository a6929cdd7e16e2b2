//! Handles: what an application holds as `void *`, and may pass when it is long closed, or when it never was one.
//!
//! A handle is the address of a [`Shell`], whose word says what it stands for and how many threads are in a call with
//! it. All shells stand in one row, so that an address says by itself whether it is one: no other memory is ever read. A
//! shell is of one noun for good. One that is closed says so until very many others of its noun have been closed and
//! it stands for a new one, as a file descriptor does. So whatever is no handle is refused, and what a handle stood for
//! is gone when the last call with it has returned.

use std::{
    collections::VecDeque,
    ffi::c_void,
    marker::PhantomData,
    ops::Deref,
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::errno::{Errno, Result};

/// Closed shells of a noun that are kept before the first of them is used again.
const QUARANTINE: usize = 4096;

/// How many handles there can be: more sockets than a process gets descriptors for where nobody has raised its limit.
/// They take 16 MiB of addresses, and memory for those that were used.
const SHELLS_MAX: usize = 1 << 18;

/// What an application can hold a handle of.
pub(crate) trait Noun: Send + Sync + Sized + 'static {
    /// Tells the shells of nouns apart.
    const TAG: u32;
    /// What a pointer is called that is no handle of this noun.
    const NO_HANDLE: Errno;

    /// The closed shells.
    fn closed() -> &'static Closed;

    /// The application has closed the handle, and calls may still be under way: they are to return.
    fn end_calls(&self) {}
}

/// The place of a handle's value. Each has a cache line of its own: its word changes with each call.
#[repr(align(64))]
struct Shell {
    /// The tag above, and below it the users: the application itself, and each call that is under way. Zero if it was
    /// never used.
    word: AtomicU64,
    /// A box with the value, while there are users.
    value: AtomicPtr<c_void>,
}

static SHELLS: [Shell; SHELLS_MAX] =
    [const { Shell { word: AtomicU64::new(0), value: AtomicPtr::new(ptr::null_mut()) } }; SHELLS_MAX];

/// How many of them have been used.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Shells of closed handles of a noun, the oldest first.
pub(crate) struct Closed(Mutex<VecDeque<&'static Shell>>);

impl Closed {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn shells(&self) -> MutexGuard<'_, VecDeque<&'static Shell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has been closed for long.
    fn oldest(&self) -> Option<&'static Shell> {
        let mut shells = self.shells();
        if shells.len() > QUARANTINE { shells.pop_front() } else { None }
    }
}

/// Added to a tag: the application has closed the handle.
const CLOSED: u32 = 1;
/// Added to a tag: the value is gone.
const GONE: u32 = 2;

const fn word(tag: u32, users: u32) -> u64 {
    (tag as u64) << 32 | users as u64
}

const fn tag_of(word: u64) -> u32 {
    (word >> 32) as u32
}

/// A call with a handle: the value stays meanwhile.
pub(crate) struct Call<T: Noun>(&'static Shell, PhantomData<&'static T>);

/// A handle for a value.
pub(crate) fn open<T: Noun>(value: T) -> Result<*mut c_void> {
    let shell = match T::closed().oldest() {
        Some(shell) => shell,
        None => new_shell::<T>().ok_or(Errno::TOO_MANY_FILES)?,
    };
    // A shell that is gone is nobody's until its word says otherwise.
    shell.value.store(Box::into_raw(Box::new(value)).cast(), Ordering::Relaxed);
    // A call with the old handle may be just about to see that it is gone.
    while shell
        .word
        .compare_exchange_weak(word(T::TAG | GONE, 0), word(T::TAG, 1), Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        std::hint::spin_loop();
    }
    Ok(ptr::from_ref(shell).cast_mut().cast())
}

/// One that was never used; when there are no more, one that was closed not long ago.
fn new_shell<T: Noun>() -> Option<&'static Shell> {
    let next = |used| (used < SHELLS_MAX).then_some(used + 1);
    let Ok(index) = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
        return T::closed().shells().pop_front();
    };
    let shell = &SHELLS[index];
    shell.word.store(word(T::TAG | GONE, 0), Ordering::Relaxed);
    Some(shell)
}

/// Begins a call with a handle.
#[inline]
pub(crate) fn enter<T: Noun>(handle: *mut c_void) -> Result<Call<T>> {
    let shell = find::<T>(handle)?;
    let call = Call(shell, PhantomData);
    if tag_of(shell.word.fetch_add(1, Ordering::AcqRel)) == T::TAG { Ok(call) } else { Err(T::NO_HANDLE) }
}

/// Closes a handle: from now on it is none. Its value is dropped here, or by the last call that is under way.
pub(crate) fn close<T: Noun>(handle: *mut c_void) -> Result<()> {
    let shell = find::<T>(handle)?;
    let mut current = shell.word.load(Ordering::Acquire);
    while tag_of(current) == T::TAG {
        let closed = word(T::TAG | CLOSED, current as u32);
        match shell.word.compare_exchange_weak(current, closed, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                // The application's own use is given up when this call is left.
                let call = Call::<T>(shell, PhantomData);
                if current as u32 > 1 {
                    call.end_calls();
                }
                return Ok(());
            }
            Err(other) => current = other,
        }
    }
    Err(T::NO_HANDLE)
}

/// The shell that a pointer is the address of, if it is one of an open handle of this noun.
#[inline]
fn find<T: Noun>(handle: *mut c_void) -> Result<&'static Shell> {
    let offset = handle.addr().wrapping_sub(SHELLS.as_ptr().addr());
    let shell = SHELLS.get(offset / size_of::<Shell>()).filter(|_| offset.is_multiple_of(size_of::<Shell>()));
    shell.filter(|shell| tag_of(shell.word.load(Ordering::Acquire)) == T::TAG).ok_or(T::NO_HANDLE)
}

impl<T: Noun> Call<T> {
    /// Nobody uses it any more.
    #[cold]
    fn end(&self) {
        let Self(shell, _) = *self;
        let closed = word(T::TAG | CLOSED, 0);
        // One that came late and found it closed may be here, too: only one of them ends it.
        if shell.word.compare_exchange(closed, word(T::TAG | GONE, 0), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            let value = shell.value.swap(ptr::null_mut(), Ordering::Relaxed).cast::<T>();
            // SAFETY: `open` has boxed it, a shell being of one noun for good; no user is left who could reach it.
            drop(unsafe { Box::from_raw(value) });
            T::closed().shells().push_back(shell);
        }
    }
}

impl<T: Noun> Deref for Call<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there while there are users, and this is one; it is boxed by `open`.
        unsafe { &*self.0.value.load(Ordering::Relaxed).cast::<T>() }
    }
}

impl<T: Noun> Drop for Call<T> {
    #[inline]
    fn drop(&mut self) {
        let before = self.0.word.fetch_sub(1, Ordering::AcqRel);
        if before as u32 == 1 {
            self.end();
        }
    }
}
