//! `zmq_sendiov`, `zmq_recviov`: several frames in a call.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use crate::{
    border,
    errno::{Errno, Result},
    socket::{self, SNDMORE},
};

/// # Safety
/// `vectors` is null or points to `count` of them.
unsafe fn vectors<'a>(vectors: *mut libc::iovec, count: usize) -> Result<&'a mut [libc::iovec]> {
    const COUNT_MAX: usize = isize::MAX as usize / size_of::<libc::iovec>();
    if vectors.is_null() || !(1..=COUNT_MAX).contains(&count) {
        return Err(Errno::INVALID);
    }
    // SAFETY: as the caller says; there is no more memory than that.
    Ok(unsafe { std::slice::from_raw_parts_mut(vectors, count) })
}

/// Sends frames: of one message, with SNDMORE among the flags, or each as a message. Returns the length of the last.
///
/// # Safety
/// `frames` points to `count` vectors, and they to bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_sendiov(
    socket: *mut c_void,
    frames: *mut libc::iovec,
    count: usize,
    flags: c_int,
) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, frames) = unsafe { (socket::enter(socket)?, vectors(frames, count)?) };
        let mut len = 0;
        for (index, frame) in frames.iter().enumerate() {
            // SAFETY: as the caller says.
            let body = unsafe { border::bytes(frame.iov_base.cast(), frame.iov_len) }?;
            let flags = if index + 1 == count { flags & !SNDMORE } else { flags };
            call.send_body(body, flags)?;
            len = socket::length(body.len());
        }
        Ok(len)
    })
}

/// Receives the frames of a message, at most `*count`, into memory that the caller frees; returns how many, and writes
/// it to `*count`.
///
/// # Safety
/// `count` points to a number, and `frames` to so many vectors.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_recviov(
    socket: *mut c_void,
    frames: *mut libc::iovec,
    count: *mut usize,
    flags: c_int,
) -> c_int {
    border::status(|| {
        if count.is_null() {
            return Err(Errno::INVALID);
        }
        // SAFETY: as the caller says.
        let (call, frames) = unsafe { (socket::enter(socket)?, vectors(frames, *count)?) };
        // SAFETY: as the caller says.
        unsafe { *count = 0 };
        let mut received = 0;
        for frame in frames {
            let has_more =
                call.recv_frame(flags, |received, has_more| allocate(frame, received).map(|()| has_more))??;
            received += 1;
            if !has_more {
                break;
            }
        }
        // SAFETY: as the caller says.
        unsafe { *count = received };
        Ok(socket::length(received))
    })
}

/// Copies a body to memory that the application frees.
fn allocate(vector: &mut libc::iovec, body: &[u8]) -> Result<()> {
    // SAFETY: any length may be asked for; one of zero gives something that can be freed, too.
    let memory = unsafe { libc::malloc(body.len().max(1)) };
    if memory.is_null() {
        return Err(Errno::NO_MEMORY);
    }
    // SAFETY: it is as long as that, and new.
    unsafe { ptr::copy_nonoverlapping(body.as_ptr(), memory.cast(), body.len()) };
    (vector.iov_base, vector.iov_len) = (memory, body.len());
    Ok(())
}
