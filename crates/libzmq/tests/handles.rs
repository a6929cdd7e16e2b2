//! What is no handle is refused, whatever it is: it is not even read.

mod support;

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use support::{Drafts, Library, c};

/// A handle of each noun.
struct Handles {
    context: *mut c_void,
    socket: *mut c_void,
    poller: *mut c_void,
    timers: *mut c_void,
    counter: *mut c_void,
    stopwatch: *mut c_void,
}

impl Handles {
    fn open(library: &Library, drafts: &Drafts) -> Self {
        // SAFETY: the calls are as zmq.h declares them; so below.
        unsafe {
            let context = (library.ctx_new)();
            Self {
                context,
                socket: (library.socket)(context, 0),
                poller: (drafts.poller_new)(),
                timers: (library.timers_new)(),
                counter: (library.atomic_counter_new)(),
                stopwatch: (library.stopwatch_start)(),
            }
        }
    }

    fn close(mut self, library: &Library, drafts: &Drafts) {
        // SAFETY: see above.
        unsafe {
            assert_eq!((library.close)(self.socket), 0);
            assert_eq!((library.ctx_term)(self.context), 0);
            assert_eq!((drafts.poller_destroy)(&raw mut self.poller), 0);
            assert_eq!((library.timers_destroy)(&raw mut self.timers), 0);
            (library.atomic_counter_destroy)(&raw mut self.counter);
            (library.stopwatch_stop)(self.stopwatch);
        }
    }

    fn all(&self) -> [*mut c_void; 6] {
        [self.context, self.socket, self.poller, self.timers, self.counter, self.stopwatch]
    }
}

/// Memory that must not be read.
fn forbidden_memory() -> *mut c_void {
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page
}

/// Pointers that are no handles, beside those of other nouns.
fn wild(handles: &Handles, memory: &mut [u64; 8]) -> Vec<*mut c_void> {
    let numbers = [0, 1, 8, 64, 0xDEAD_0000, usize::MAX, usize::MAX - 63, isize::MAX as usize - 63];
    let mut wild: Vec<_> = numbers.into_iter().map(ptr::without_provenance_mut).collect();
    wild.extend([forbidden_memory(), memory.as_mut_ptr().cast(), main as *mut c_void]);
    for handle in handles.all() {
        // One of them is where a handle would be, were very many open.
        let beside = [1, 8, 32, 64 * 200_000, 1 << 24, 1 << 32];
        wild.extend(beside.into_iter().flat_map(|by| [handle.wrapping_byte_add(by), handle.wrapping_byte_sub(by)]));
    }
    wild
}

/// A function of its own, to be passed as a handle.
extern "C" fn main() {}

/// What every function says of a pointer that stands for nothing, or for what it is not.
fn assert_refused(library: &Library, drafts: &Drafts, wild: *mut c_void) {
    let refused = |returned: c_int, errno: c_int, what: &str| {
        assert_eq!(library.outcome(returned), (-1, errno), "{what} of {wild:?}");
    };
    let (mut buffer, mut len) = ([0_u8; 8], 8);
    let data: *mut c_void = buffer.as_mut_ptr().cast();
    let mut item = Item { socket: wild, fd: 0, events: 1, revents: 0 };
    // SAFETY: that these are no handles is what the library is to see.
    unsafe {
        let endpoint = c("inproc://wild");
        refused((library.close)(wild), libc::ENOTSOCK, "close");
        refused((library.send)(wild, data, 1, 1), libc::ENOTSOCK, "send");
        refused((library.recv)(wild, data, 1, 1), libc::ENOTSOCK, "recv");
        refused((library.bind)(wild, endpoint.as_ptr()), libc::ENOTSOCK, "bind");
        refused((library.connect)(wild, endpoint.as_ptr()), libc::ENOTSOCK, "connect");
        refused((library.setsockopt)(wild, 17, data, 4), libc::ENOTSOCK, "setsockopt");
        refused((library.getsockopt)(wild, 17, data, &raw mut len), libc::ENOTSOCK, "getsockopt");
        refused((library.socket_monitor)(wild, endpoint.as_ptr(), 1), libc::ENOTSOCK, "socket_monitor");
        if !wild.is_null() {
            refused((library.poll)((&raw mut item).cast(), 1, 0), libc::ENOTSOCK, "poll");
            refused((library.proxy)(wild, wild, ptr::null_mut()), libc::ENOTSOCK, "proxy");
        }
    }
    assert_no_context(library, wild);
    assert_no_others(library, drafts, wild);
}

fn assert_no_context(library: &Library, wild: *mut c_void) {
    // SAFETY: see above.
    unsafe {
        assert_eq!(library.outcome((library.ctx_term)(wild)), (-1, libc::EFAULT), "ctx_term of {wild:?}");
        assert_eq!(library.outcome((library.ctx_shutdown)(wild)), (-1, libc::EFAULT), "ctx_shutdown of {wild:?}");
        assert_eq!(library.outcome((library.ctx_get)(wild, 1)), (-1, libc::EFAULT), "ctx_get of {wild:?}");
        assert!((library.socket)(wild, 0).is_null(), "socket of {wild:?}");
        assert_eq!((library.errno)(), libc::EFAULT);
    }
}

fn assert_no_others(library: &Library, drafts: &Drafts, mut wild: *mut c_void) {
    // SAFETY: see above.
    unsafe {
        assert_eq!(library.outcome((drafts.poller_size)(wild)), (-1, libc::EFAULT), "poller_size of {wild:?}");
        assert_eq!(library.outcome((drafts.poller_destroy)(&raw mut wild)), (-1, libc::EFAULT), "poller {wild:?}");
        assert_eq!(library.outcome((library.timers_execute)(wild)), (-1, libc::EFAULT), "timers_execute of {wild:?}");
        assert_eq!(library.outcome((library.timers_destroy)(&raw mut wild)), (-1, libc::EFAULT), "timers {wild:?}");
        assert_eq!((library.atomic_counter_value)(wild), 0);
        assert_eq!((library.errno)(), libc::EFAULT, "atomic_counter_value of {wild:?}");
        assert_eq!((library.stopwatch_intermediate)(wild), 0);
        assert_eq!((library.errno)(), libc::EFAULT, "stopwatch_intermediate of {wild:?}");
        (library.threadclose)(wild);
        assert_eq!((library.errno)(), libc::EFAULT, "threadclose of {wild:?}");
    }
}

/// A `zmq_pollitem_t`.
#[repr(C)]
struct Item {
    socket: *mut c_void,
    fd: c_int,
    events: i16,
    revents: i16,
}

#[test]
fn what_never_was_a_handle_is_refused() {
    let (library, drafts) = (Library::nought(), Drafts::nought());
    let handles = Handles::open(&library, &drafts);
    // It looks like an open socket, were it one.
    let mut memory = [0x50C4_E700_0000_0001; 8];
    for wild in wild(&handles, &mut memory) {
        assert_refused(&library, &drafts, wild);
    }
    assert_eq!(memory, [0x50C4_E700_0000_0001; 8], "nobody has written to it");
    handles.close(&library, &drafts);
}

#[test]
fn a_handle_is_refused_for_what_it_is_not() {
    let (library, drafts) = (Library::nought(), Drafts::nought());
    let handles = Handles::open(&library, &drafts);
    for other in handles.all() {
        if other != handles.context {
            assert_no_context(&library, other);
        }
        if other != handles.socket {
            // SAFETY: see above.
            assert_eq!(library.outcome(unsafe { (library.close)(other) }), (-1, libc::ENOTSOCK), "close of {other:?}");
        }
        if other != handles.poller {
            // SAFETY: see above.
            assert_eq!(library.outcome(unsafe { (drafts.poller_size)(other) }), (-1, libc::EFAULT), "{other:?}");
        }
        if other != handles.timers {
            // SAFETY: see above.
            assert_eq!(library.outcome(unsafe { (library.timers_execute)(other) }), (-1, libc::EFAULT), "{other:?}");
        }
    }
    handles.close(&library, &drafts);
}

#[test]
fn what_was_closed_is_refused() {
    let (library, drafts) = (Library::nought(), Drafts::nought());
    let handles = Handles::open(&library, &drafts);
    let all = handles.all();
    handles.close(&library, &drafts);
    for closed in all {
        assert_refused(&library, &drafts, closed);
    }
}

#[test]
fn many_handles_are_opened_and_closed() {
    let library = Library::nought();
    // More than there can be at a time.
    for _ in 0..600_000 {
        // SAFETY: see above.
        unsafe {
            let mut counter = (library.atomic_counter_new)();
            assert!(!counter.is_null());
            (library.atomic_counter_destroy)(&raw mut counter);
        }
    }
}
