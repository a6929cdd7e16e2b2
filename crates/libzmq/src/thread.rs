//! `zmq_threadstart`, `zmq_threadclose`: threads.

use std::{
    ffi::c_void,
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{border, errno::Errno, handle};

/// What a thread runs.
pub(crate) type zmq_thread_fn = unsafe extern "C" fn(argument: *mut c_void);

pub(crate) struct Thread(Mutex<Option<JoinHandle<()>>>);

/// What the application wants the thread to have.
struct Argument(*mut c_void);

// SAFETY: it is not looked at here; the application hands it to another thread by calling zmq_threadstart.
unsafe impl Send for Argument {}

impl Argument {
    fn into_pointer(self) -> *mut c_void {
        self.0
    }
}

/// Starts a thread.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_threadstart(function: Option<zmq_thread_fn>, argument: *mut c_void) -> *mut c_void {
    border::pointer(|| {
        let function = function.ok_or(Errno::FAULT)?;
        let argument = Argument(argument);
        // SAFETY: the application gave the function to be called with this.
        let run = move || unsafe { function(argument.into_pointer()) };
        let thread = thread::Builder::new().spawn(run)?;
        handle::open(Thread(Mutex::new(Some(thread))))
    })
}

/// Waits for a thread's end.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_threadclose(thread: *mut c_void) {
    border::unit(|| {
        let call = handle::enter::<Thread>(thread)?;
        let thread_of_it = call.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A function of C's does not panic.
        thread_of_it.into_iter().for_each(|thread| drop(thread.join()));
        handle::close::<Thread>(thread)
    });
}
