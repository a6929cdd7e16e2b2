//! A context's end is waited for asleep.

mod support;

use std::{ffi::c_int, mem::MaybeUninit, ptr, thread, time::Duration};

use support::Library;

/// How often this thread has gone to sleep by itself.
fn sleeps() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: there is room for what it writes.
    unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init().ru_nvcsw
    }
}

#[test]
fn whoever_ends_a_context_sleeps_until_its_last_socket_is_closed() {
    const PAIR: c_int = 0;
    /// Looking every few milliseconds would be very many sleeps.
    const PAUSE: Duration = Duration::from_millis(500);
    const SLEEPS_MAX: i64 = 20;
    let library = Library::nought();
    // SAFETY: the calls are as zmq.h declares them.
    let [context, socket] = unsafe {
        let context = (library.ctx_new)();
        [context, (library.socket)(context, PAIR)]
    };
    let closing = socket.expose_provenance();
    let others = thread::spawn(move || {
        thread::sleep(PAUSE);
        // SAFETY: see above; nobody else uses the socket.
        assert_eq!(unsafe { (library.close)(ptr::with_exposed_provenance_mut(closing)) }, 0);
    });
    let before = sleeps();
    // SAFETY: see above.
    assert_eq!(unsafe { (library.ctx_term)(context) }, 0);
    let slept = sleeps() - before;
    assert!(slept <= SLEEPS_MAX, "{slept} times");
    others.join().unwrap();
}
