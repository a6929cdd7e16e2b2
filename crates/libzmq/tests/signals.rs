//! Calls that wait end when a signal is handled, and can be made again.

mod support;

use std::{
    ffi::c_int,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use support::Library;

extern "C" fn handle(_signal: c_int) {}

/// Has a signal do nothing, but end system calls, even where they were begun again otherwise.
fn handle_signals() {
    // SAFETY: the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()), 0);
    }
}

#[test]
fn the_end_of_a_context_is_interrupted_and_begun_again() {
    handle_signals();
    // Without it a wait that no signal ends would have no end at all.
    // SAFETY: it ends this process, later.
    unsafe { libc::alarm(30) };
    let library = Library::nought();
    // SAFETY: the calls are as zmq.h declares them.
    let (context, socket) = unsafe {
        let context = (library.ctx_new)();
        (context, (library.socket)(context, 0))
    };
    // SAFETY: the thread is this one, which joins the other.
    let waiting = unsafe { libc::pthread_self() };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // One that comes before the wait ends nothing.
            while !is_over.load(Ordering::Relaxed) {
                // SAFETY: the thread waits for this one.
                unsafe { libc::pthread_kill(waiting, libc::SIGUSR1) };
                thread::sleep(Duration::from_millis(1));
            }
        });
        // SAFETY: see above.
        let ended = unsafe { library.outcome((library.ctx_term)(context)) };
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(ended, (-1, libc::EINTR));
    });
    // SAFETY: see above.
    unsafe {
        assert_eq!(library.outcome((library.close)(socket)), (0, 0));
        assert_eq!(library.outcome((library.ctx_term)(context)), (0, 0));
        assert_eq!(library.outcome((library.ctx_term)(context)), (-1, libc::EFAULT), "it is gone");
    }
}
