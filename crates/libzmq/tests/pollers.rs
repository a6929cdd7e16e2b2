//! What `zmq_poller_wait_all` says where nothing can come, or nothing any more.

mod support;

use std::{
    ffi::{c_int, c_long, c_void},
    mem::MaybeUninit,
    ptr, thread,
};

use support::{Drafts, ETERM, Library};

const PULL: c_int = 7;
const POLLIN: i16 = 1;

/// A poller of one socket.
struct Polled {
    library: Library,
    drafts: Drafts,
    context: *mut c_void,
    socket: *mut c_void,
    poller: *mut c_void,
}

// SAFETY: handles of nought's may be used by any thread.
unsafe impl Sync for Polled {}

impl Polled {
    fn with(events: i16) -> Self {
        let (library, drafts) = (Library::nought(), Drafts::nought());
        // SAFETY: the calls are as zmq.h declares them; so below.
        unsafe {
            let context = (library.ctx_new)();
            let socket = (library.socket)(context, PULL);
            let poller = (drafts.poller_new)();
            assert_eq!((drafts.poller_add)(poller, socket, ptr::null_mut(), events), 0);
            Self { library, drafts, context, socket, poller }
        }
    }

    /// What a wait for at most so many events says, and why.
    fn wait(&self, count: c_int, millis: c_long) -> (c_int, c_int) {
        let mut event = MaybeUninit::uninit();
        // SAFETY: `count` is no more than there is place for.
        self.library.outcome(unsafe { (self.drafts.poller_wait_all)(self.poller, event.as_mut_ptr(), count, millis) })
    }

    fn end(mut self) {
        // SAFETY: see above.
        unsafe {
            assert_eq!((self.drafts.poller_destroy)(&raw mut self.poller), 0);
            assert_eq!((self.library.close)(self.socket), 0);
            assert_eq!((self.library.ctx_term)(self.context), 0);
        }
    }
}

#[test]
fn for_ever_for_nothing_is_refused() {
    let polled = Polled::with(0);
    assert_eq!(polled.wait(1, 0), (-1, libc::EAGAIN));
    assert_eq!(polled.wait(1, -1), (-1, libc::EFAULT));
    polled.end();
}

#[test]
fn the_end_of_the_context_ends_a_wait() {
    let polled = Polled::with(POLLIN);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| polled.wait(1, -1));
        // SAFETY: see `Polled::with`.
        assert_eq!(unsafe { (polled.library.ctx_shutdown)(polled.context) }, 0);
        assert_eq!(waiting.join().unwrap(), (-1, ETERM));
    });
    assert_eq!(polled.wait(1, 0), (-1, ETERM), "nor does one begin");
    polled.end();
}

#[test]
fn there_may_be_place_for_no_event() {
    let polled = Polled::with(POLLIN);
    assert_eq!(polled.wait(0, 0), (-1, libc::EAGAIN));
    assert_eq!(polled.wait(-1, 0), (-1, libc::EINVAL));
    polled.end();
}
