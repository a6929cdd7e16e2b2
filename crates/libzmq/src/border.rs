//! The border to C: results become what libzmq returns, errors go to `errno`, and a panic ends here.

use std::{
    ffi::{CStr, c_char, c_int},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use crate::errno::{Errno, Result};

/// What a panic is to the caller: our fault, of which the panic hook has told.
const PANICKED: Errno = Errno(libc::ENOTRECOVERABLE);

/// Runs the body of a function that returns -1 for an error.
#[inline]
pub(crate) fn status(body: impl FnOnce() -> Result<c_int>) -> c_int {
    run(body).unwrap_or_else(|errno| {
        errno.set();
        -1
    })
}

/// Runs the body of a function that returns 0, or -1 for an error.
#[inline]
pub(crate) fn unit(body: impl FnOnce() -> Result<()>) -> c_int {
    status(|| body().map(|()| 0))
}

/// Runs the body of a function that returns a pointer, or null for an error.
pub(crate) fn pointer<T>(body: impl FnOnce() -> Result<*mut T>) -> *mut T {
    run(body).unwrap_or_else(|errno| {
        errno.set();
        ptr::null_mut()
    })
}

#[inline]
fn run<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic leaves half done is behind locks that do not poison, and consistent between their uses.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(PANICKED))
}

/// The bytes that the application passes.
///
/// # Safety
/// `data` is null, or points to `len` bytes that nobody writes to during `'a`.
#[inline]
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno::FAULT),
        // SAFETY: as the caller says; no object is larger than isize::MAX.
        (false, _) if isize::try_from(len).is_ok() => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
        (false, _) => Err(Errno::INVALID),
    }
}

/// The text that the application passes.
///
/// # Safety
/// `text` is null, or points to characters that end with a zero and that nobody writes to during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Errno::INVALID);
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Errno::INVALID)
}
