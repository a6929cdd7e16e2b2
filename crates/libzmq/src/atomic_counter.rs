//! `zmq_atomic_counter_*`: a number that threads count with.

use std::{
    ffi::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

use crate::{
    border,
    errno::{Errno, Result},
    handle,
};

pub(crate) struct Counter(AtomicI32);

fn count(counter: *mut c_void, body: impl FnOnce(&AtomicI32) -> c_int) -> c_int {
    let counted: Result<c_int> = handle::enter::<Counter>(counter).map(|call| body(&call.0));
    counted.unwrap_or_else(|errno| {
        errno.set();
        0
    })
}

/// A counter at 0.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_atomic_counter_new() -> *mut c_void {
    border::pointer(|| handle::open(Counter(AtomicI32::new(0))))
}

/// Sets the counter.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_atomic_counter_set(counter: *mut c_void, value: c_int) {
    count(counter, |number| {
        number.store(value, Ordering::SeqCst);
        0
    });
}

/// Counts up, and returns what it was before.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_atomic_counter_inc(counter: *mut c_void) -> c_int {
    count(counter, |number| number.fetch_add(1, Ordering::SeqCst))
}

/// Counts down, and returns 1 while it is not 0 yet.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_atomic_counter_dec(counter: *mut c_void) -> c_int {
    count(counter, |number| c_int::from(number.fetch_sub(1, Ordering::SeqCst) != 1))
}

/// What it is.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_atomic_counter_value(counter: *mut c_void) -> c_int {
    count(counter, |number| number.load(Ordering::SeqCst))
}

/// Gives a counter up, and makes the pointer to it null.
///
/// # Safety
/// `counter` is null or points to a handle.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_atomic_counter_destroy(counter: *mut *mut c_void) {
    border::unit(|| {
        if counter.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as the caller says.
        unsafe { handle::close::<Counter>(counter.replace(ptr::null_mut())) }
    });
}
