//! `zmq_z85_*`, `zmq_curve_*`: binary data as text, and keys.

use std::{
    ffi::{c_char, c_int},
    ptr,
};

use nought::{SecretKey, z85};

use crate::{
    border,
    errno::{Errno, Result},
};

/// Writes text, and a zero behind it.
///
/// # Safety
/// `place` points to room for it.
unsafe fn write_text(place: *mut c_char, text: &str) {
    // SAFETY: as the caller says.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr().cast(), place, text.len());
        place.add(text.len()).write(0);
    }
}

fn present<T>(place: *mut T) -> Result<*mut T> {
    if place.is_null() { Err(Errno::INVALID) } else { Ok(place) }
}

/// Writes bytes as text: five characters for four of them, and a zero.
///
/// # Safety
/// `data` points to `len` bytes; `text` to room for the text.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_z85_encode(text: *mut c_char, data: *const u8, len: usize) -> *mut c_char {
    border::pointer(|| {
        if !len.is_multiple_of(4) {
            return Err(Errno::INVALID);
        }
        // SAFETY: as the caller says.
        let encoded = z85::encode(unsafe { border::bytes(data, len) }?).map_err(|_| Errno::INVALID)?;
        // SAFETY: as the caller says.
        unsafe { write_text(present(text)?, &encoded) };
        Ok(text)
    })
}

/// Reads bytes from text: four from five characters.
///
/// # Safety
/// `text` is null or points to a C string; `data` to room for the bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_z85_decode(data: *mut u8, text: *const c_char) -> *mut u8 {
    border::pointer(|| {
        // SAFETY: as the caller says.
        let decoded = z85::decode(unsafe { border::text(text) }?).map_err(|_| Errno::INVALID)?;
        // SAFETY: as the caller says.
        unsafe { ptr::copy_nonoverlapping(decoded.as_ptr(), present(data)?, decoded.len()) };
        Ok(data)
    })
}

/// A new pair of keys, as text of 40 characters each, and a zero.
///
/// # Safety
/// Each points to room for 41 bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_curve_keypair(public: *mut c_char, secret: *mut c_char) -> c_int {
    border::unit(|| {
        let keys = nought::new_keys();
        // SAFETY: as the caller says.
        unsafe {
            write_text(present(public)?, &keys.public_key().to_string());
            write_text(present(secret)?, &keys.secret_key().to_z85());
        }
        Ok(())
    })
}

/// The public key of a secret one.
///
/// # Safety
/// `secret` is null or points to a C string, `public` to room for 41 bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_curve_public(public: *mut c_char, secret: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let secret: SecretKey = unsafe { border::text(secret) }?.parse().map_err(|_| Errno::INVALID)?;
        // SAFETY: as the caller says.
        unsafe { write_text(present(public)?, &secret.public_key().to_string()) };
        Ok(())
    })
}
