//! Handles: what an application holds as `void *`, and may pass when it is long closed.
//!
//! A handle points to a [`Shell`], whose first word says what it is and how many threads are in a call with it. Shells
//! are never given back to the allocator: one that is closed says so for as long as the program runs, or until very
//! many others of its noun have been closed and it stands for a new one, as a file descriptor does. So a null or dangling
//! handle is refused, and what it stood for is gone when the last call with it has returned.

use std::{
    cell::UnsafeCell,
    collections::VecDeque,
    ffi::c_void,
    mem::MaybeUninit,
    ops::Deref,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::errno::{Errno, Result};

/// Closed shells of a noun that are kept before the first of them is used again.
const QUARANTINE: usize = 4096;

/// What an application can hold a handle of.
pub(crate) trait Noun: Sync + Sized + 'static {
    /// Tells the shells of nouns apart, and from other memory.
    const TAG: u32;
    /// What a pointer is called that is no handle of this noun.
    const NO_HANDLE: Errno;

    /// The closed shells.
    fn closed() -> &'static Closed<Self>;

    /// The application has closed the handle, and calls may still be under way: they are to return.
    fn end_calls(&self) {}
}

/// The place of a handle's value.
#[repr(C)]
pub(crate) struct Shell<T> {
    /// The tag above, and below it the users: the application itself, and each call that is under way.
    word: AtomicU64,
    /// There while there are users.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is only reached as a shared reference while there are users, and by the last of them alone when it
// is dropped; nouns are Sync, and a noun's value may be dropped on any thread, since the application may close it there.
unsafe impl<T: Noun> Sync for Shell<T> {}

/// Shells of closed handles, the oldest first.
pub(crate) struct Closed<T: 'static>(Mutex<VecDeque<&'static Shell<T>>>);

impl<T> Closed<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn shells(&self) -> std::sync::MutexGuard<'_, VecDeque<&'static Shell<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(crate) struct Call<T: Noun>(&'static Shell<T>);

/// A handle for a value.
pub(crate) fn open<T: Noun>(value: T) -> *mut c_void {
    let mut closed = T::closed().shells();
    let used = if closed.len() > QUARANTINE { closed.pop_front() } else { None };
    drop(closed);
    let shell: &'static Shell<T> = used.unwrap_or_else(|| {
        Box::leak(Box::new(Shell {
            word: AtomicU64::new(word(T::TAG | GONE, 0)),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }))
    });
    // SAFETY: a shell that is gone is nobody's until its word says otherwise, below.
    unsafe { (*shell.value.get()).write(value) };
    // A call with the old handle may be just about to see that it is gone.
    while shell
        .word
        .compare_exchange_weak(word(T::TAG | GONE, 0), word(T::TAG, 1), Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        std::hint::spin_loop();
    }
    std::ptr::from_ref(shell).cast_mut().cast()
}

/// Begins a call with a handle.
///
/// # Safety
/// `handle` is null, or was once returned by [`open`], or points to eight readable bytes.
#[inline]
pub(crate) unsafe fn enter<T: Noun>(handle: *mut c_void) -> Result<Call<T>> {
    // SAFETY: as the caller says.
    let shell = unsafe { find::<T>(handle) }?;
    if tag_of(shell.word.fetch_add(1, Ordering::AcqRel)) == T::TAG {
        return Ok(Call(shell));
    }
    shell.leave();
    Err(T::NO_HANDLE)
}

/// Closes a handle: from now on it is none. Its value is dropped here, or by the last call that is under way.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn close<T: Noun>(handle: *mut c_void) -> Result<()> {
    // SAFETY: as the caller says.
    let shell = unsafe { find::<T>(handle) }?;
    let mut current = shell.word.load(Ordering::Acquire);
    while tag_of(current) == T::TAG {
        let closed = word(T::TAG | CLOSED, current as u32);
        match shell.word.compare_exchange_weak(current, closed, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                // The application's own use is given up when this call is left.
                let call = Call(shell);
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

/// # Safety
/// As for [`enter`].
#[inline]
unsafe fn find<T: Noun>(handle: *mut c_void) -> Result<&'static Shell<T>> {
    let shell = handle.cast::<Shell<T>>();
    if shell.is_null() || !shell.is_aligned() {
        return Err(T::NO_HANDLE);
    }
    // SAFETY: the word of a shell, which is never given back; or, as the caller says, readable bytes, whatever they are.
    let is_one = tag_of(unsafe { (*shell).word.load(Ordering::Acquire) }) == T::TAG;
    // SAFETY: the tag says that it is a shell, and shells are never given back.
    if is_one { Ok(unsafe { &*shell }) } else { Err(T::NO_HANDLE) }
}

impl<T: Noun> Shell<T> {
    #[inline]
    fn leave(&'static self) {
        let before = self.word.fetch_sub(1, Ordering::AcqRel);
        if before as u32 == 1 {
            self.end();
        }
    }

    /// Nobody uses it any more.
    #[cold]
    fn end(&'static self) {
        let closed = word(T::TAG | CLOSED, 0);
        // One that came late and found it closed may be here, too: only one of them ends it.
        if self.word.compare_exchange(closed, word(T::TAG | GONE, 0), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // SAFETY: there was a value, since the handle was open, and no user is left who could reach it.
            unsafe { (*self.value.get()).assume_init_drop() };
            T::closed().shells().push_back(self);
        }
    }
}

impl<T: Noun> Deref for Call<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there while there are users, and this is one.
        unsafe { (*self.0.value.get()).assume_init_ref() }
    }
}

impl<T: Noun> Drop for Call<T> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
