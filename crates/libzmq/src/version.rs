//! `zmq_version`, `zmq_has`: which libzmq this stands in for, and what it can do.

use std::ffi::{c_char, c_int};

use crate::border;

/// The release of libzmq whose interface this is.
pub(crate) const VERSION: (c_int, c_int, c_int) = (4, 3, 5);

/// What is built in, by the names that `zmq_has` knows.
const CAPABILITIES: &[&str] = &["ipc", "draft", "curve", "WS", "WSS"];

/// The version of libzmq that this stands in for.
///
/// # Safety
/// Each pointer is null or points to an `int`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_version(major: *mut c_int, minor: *mut c_int, patch: *mut c_int) {
    for (place, number) in [(major, VERSION.0), (minor, VERSION.1), (patch, VERSION.2)] {
        if !place.is_null() {
            // SAFETY: as the caller says.
            unsafe { place.write(number) };
        }
    }
}

/// Whether a capability is built in.
///
/// # Safety
/// `capability` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_has(capability: *const c_char) -> c_int {
    // SAFETY: as the caller says.
    let name = unsafe { border::text(capability) };
    c_int::from(name.is_ok_and(|name| CAPABILITIES.contains(&name)))
}
