//! A child of the process makes handles of its own, whatever other threads were about when it was forked. Alone in its
//! process, since it is about what a process does for the first time.

mod support;

use std::{
    ffi::{c_int, c_void},
    hint, ptr,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::Library;

/// How long a child may take, in seconds.
const LIMIT_S: u32 = 60;

#[test]
fn a_child_is_held_up_by_nothing_that_its_parent_was_about() {
    let library = Library::nought();
    // First, while this process has not used it.
    whose_parent_uses_the_library_for_the_first_time(&library);
    whose_parent_opens_and_closes(&library);
}

fn whose_parent_uses_the_library_for_the_first_time(library: &Library) {
    for pause in (0..400).step_by(4).map(Duration::from_micros) {
        let parent = fork(|| {
            let begun = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    begun.wait();
                    use_all(library)
                });
                begun.wait();
                let begun = Instant::now();
                while begun.elapsed() < pause {
                    hint::spin_loop();
                }
                succeeds(fork(|| use_all(library)))
            })
        });
        assert!(succeeds(parent), "a child that was forked {pause:?} after its parent had begun");
    }
}

fn whose_parent_opens_and_closes(library: &Library) {
    let is_over = AtomicBool::new(false);
    let until_over = |step: &dyn Fn()| {
        while !is_over.load(Ordering::Relaxed) {
            step();
        }
    };
    let failed = thread::scope(|scope| {
        scope.spawn(|| until_over(&|| assert!(use_all(library))));
        (0..2).for_each(|_| drop(scope.spawn(|| until_over(&|| use_counter(library)))));
        let failed = (0..100).find(|_| !succeeds(fork(|| use_all(library))));
        is_over.store(true, Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, None, "the child that failed first");
}

/// A child that does this, and fails if it returns `false`, or not at all.
fn fork(child: impl FnOnce() -> bool) -> c_int {
    // SAFETY: the child uses nothing but the library, and threads of its own.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: it ends the child, in time.
        unsafe { libc::alarm(LIMIT_S) };
        let succeeded = child();
        // SAFETY: it ends the child, without what is the test's to do at its end.
        unsafe { libc::_exit(c_int::from(!succeeded)) };
    }
    pid
}

fn succeeds(child: c_int) -> bool {
    let mut status = 0;
    // SAFETY: there is room for the status.
    unsafe { libc::waitpid(child, &raw mut status, 0) == child && status == 0 }
}

/// Says whether a context with two sockets did what it should.
fn use_all(library: &Library) -> bool {
    use_counter(library);
    // SAFETY: the calls are as zmq.h declares them; so below.
    unsafe {
        let context = (library.ctx_new)();
        let ends = [7, 8].map(|kind| (library.socket)(context, kind));
        let endpoint = c"tcp://127.0.0.1:*";
        let mut address = [0_u8; 64];
        let mut address_len = address.len();
        (library.bind)(ends[0], endpoint.as_ptr()) == 0
            && (library.getsockopt)(ends[0], 32, address.as_mut_ptr().cast(), &raw mut address_len) == 0
            && (library.connect)(ends[1], address.as_ptr().cast()) == 0
            && (library.send)(ends[1], c"x".as_ptr().cast(), 1, 0) == 1
            && (library.recv)(ends[0], ptr::null_mut::<c_void>(), 0, 0) == 1
            && ends.iter().all(|&socket| (library.close)(socket) == 0)
            && (library.ctx_term)(context) == 0
    }
}

fn use_counter(library: &Library) {
    // SAFETY: see above.
    unsafe {
        let mut counter = (library.atomic_counter_new)();
        (library.atomic_counter_destroy)(&raw mut counter);
    }
}
