//! What `zmq_poller_wait_all` says where nothing can come, or nothing any more; the descriptor of a poller.

mod support;

use std::{
    ffi::{c_int, c_long, c_void},
    mem::MaybeUninit,
    ptr, thread,
};

use support::{Drafts, ETERM, Library, c};

const PULL: c_int = 7;
const PUSH: c_int = 8;
const SERVER: c_int = 12;
const GATHER: c_int = 16;
const SCATTER: c_int = 17;
const POLLIN: i16 = 1;
/// Longer than anything takes.
const LIMIT_MS: c_int = 30_000;

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
        Self::of(PULL, events)
    }

    fn of(socket_type: c_int, events: i16) -> Self {
        let (library, drafts) = (Library::nought(), Drafts::nought());
        // SAFETY: the calls are as zmq.h declares them; so below.
        unsafe {
            let context = (library.ctx_new)();
            let socket = (library.socket)(context, socket_type);
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

    /// The descriptor, and why there is none.
    fn descriptor(&self) -> (c_int, (c_int, c_int)) {
        let mut descriptor = -1;
        // SAFETY: there is room for it.
        let returned = unsafe { (self.drafts.poller_fd)(self.poller, &raw mut descriptor) };
        (descriptor, self.library.outcome(returned))
    }

    /// Adds another socket that receives, and returns it with one that sends to it.
    fn add(&self, types: [c_int; 2], name: &str) -> [*mut c_void; 2] {
        // SAFETY: see above.
        unsafe {
            let sockets = types.map(|socket_type| (self.library.socket)(self.context, socket_type));
            assert_eq!((self.library.bind)(sockets[0], c(name).as_ptr()), 0);
            let (mut bound, mut len) = ([0_u8; 64], 64);
            assert_eq!((self.library.getsockopt)(sockets[0], 32, bound.as_mut_ptr().cast(), &raw mut len), 0);
            assert_eq!((self.library.connect)(sockets[1], bound.as_ptr().cast()), 0);
            assert_eq!((self.drafts.poller_add)(self.poller, sockets[0], ptr::null_mut(), POLLIN), 0);
            sockets
        }
    }

    fn send(&self, socket: *mut c_void) {
        // SAFETY: see above.
        assert_eq!(unsafe { (self.library.send)(socket, b"x".as_ptr().cast(), 1, 0) }, 1);
    }

    fn recv(&self, socket: *mut c_void) {
        // SAFETY: see above.
        assert_eq!(unsafe { (self.library.recv)(socket, ptr::null_mut(), 0, 1) }, 1);
    }

    fn close(&self, sockets: [*mut c_void; 2]) {
        // SAFETY: see above.
        sockets.iter().for_each(|&socket| assert_eq!(unsafe { (self.library.close)(socket) }, 0));
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

#[test]
fn a_socket_that_is_closed_is_told_of_and_can_be_removed() {
    for has_descriptor in [false, true] {
        let polled = Polled::of(SERVER, POLLIN);
        if has_descriptor {
            assert_eq!(polled.descriptor().1, (0, 0));
        }
        let pair = polled.add([PULL, PUSH], "inproc://closed");
        polled.close(pair);
        assert_eq!(polled.wait(1, 0), (-1, libc::ENOTSOCK));
        // SAFETY: see `Polled::with`.
        let remove = || polled.library.outcome(unsafe { (polled.drafts.poller_remove)(polled.poller, pair[0]) });
        assert_eq!(remove(), (0, 0));
        assert_eq!(remove(), (-1, libc::ENOTSOCK), "it is not there any more, nor is it a socket");
        assert_eq!(polled.wait(1, 0), (-1, libc::EAGAIN));
        polled.end();
    }
}

/// Whether a descriptor becomes readable within a time.
fn is_readable(descriptor: c_int, millis: c_int) -> bool {
    let mut item = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: it is one item.
    unsafe { libc::poll(&raw mut item, 1, millis) == 1 }
}

#[test]
fn a_poller_has_a_descriptor_if_a_socket_in_it_is_thread_safe() {
    let polled = Polled::with(POLLIN);
    assert_eq!(polled.descriptor(), (-1, (-1, libc::EINVAL)));
    polled.end();
    let polled = Polled::of(SERVER, POLLIN);
    let (descriptor, outcome) = polled.descriptor();
    assert!(descriptor >= 0 && outcome == (0, 0));
    assert_eq!(polled.descriptor(), (descriptor, (0, 0)), "it stays the same");
    // SAFETY: null is to be refused.
    let to_null = unsafe { (polled.drafts.poller_fd)(polled.poller, ptr::null_mut()) };
    assert_eq!(polled.library.outcome(to_null), (-1, libc::EFAULT));
    polled.end();
}

#[test]
fn the_descriptor_of_a_poller_is_readable_when_there_is_something() {
    let polled = Polled::of(SERVER, POLLIN);
    let of_before = polled.add([GATHER, SCATTER], "inproc://before");
    let (descriptor, _) = polled.descriptor();
    let of_after = polled.add([PULL, PUSH], "inproc://after");
    for [receives, sends] in [of_before, of_after] {
        for _ in 0..1000 {
            assert_eq!(polled.wait(1, 0), (-1, libc::EAGAIN));
            assert!(!is_readable(descriptor, 0));
            polled.send(sends);
            assert!(is_readable(descriptor, LIMIT_MS));
            assert_eq!(polled.wait(1, 0), (1, 0));
            polled.recv(receives);
        }
    }
    // SAFETY: see `Polled::with`.
    assert_eq!(unsafe { (polled.drafts.poller_remove)(polled.poller, of_after[0]) }, 0);
    assert_eq!(polled.wait(1, 0), (-1, libc::EAGAIN));
    polled.send(of_after[1]);
    assert!(!is_readable(descriptor, 50), "it is not in the poller any more");
    polled.send(of_before[1]);
    assert!(is_readable(descriptor, LIMIT_MS));
    [of_before, of_after].into_iter().for_each(|sockets| polled.close(sockets));
    polled.end();
}

#[test]
fn the_descriptor_of_a_poller_wakes_whoever_waits() {
    const COUNT: usize = 20_000;
    let polled = Polled::of(SERVER, POLLIN);
    let [receives, sends] = polled.add([GATHER, SCATTER], "tcp://127.0.0.1:*");
    let (descriptor, _) = polled.descriptor();
    let (library, sender) = (polled.library, sends.expose_provenance());
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            // SAFETY: see `Polled::with`; it is closed when this has ended.
            let sent = unsafe { (library.send)(ptr::with_exposed_provenance_mut(sender), b"x".as_ptr().cast(), 1, 0) };
            assert_eq!(sent, 1);
            if number % 7 == 0 {
                thread::yield_now();
            }
        }
    });
    let mut received = 0;
    while received < COUNT {
        match polled.wait(1, 0) {
            (1, 0) => {
                polled.recv(receives);
                received += 1;
            }
            nothing => {
                assert_eq!(nothing, (-1, libc::EAGAIN));
                assert!(is_readable(descriptor, LIMIT_MS), "after {received} of {COUNT}");
            }
        }
    }
    sending.join().unwrap();
    polled.close([receives, sends]);
    polled.end();
}
