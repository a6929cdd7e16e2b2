//! What the border keeps out: what libzmq ends the program for. What it keeps: one call of each function that frees.

mod support;

use std::{
    cell::RefCell,
    ffi::{CStr, c_int, c_void},
    os::fd::IntoRawFd,
    process, ptr, slice,
    sync::{
        atomic::{AtomicI32, AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use support::{Drafts, EMTHREAD, ETERM, Library, Msg, c};

/// A context with a pair of connected sockets.
struct Pair {
    library: Library,
    context: *mut c_void,
    ends: [*mut c_void; 2],
}

// SAFETY: handles of nought's may be used by any thread.
unsafe impl Sync for Pair {}

impl Pair {
    fn of(types: [c_int; 2], endpoint: &str) -> Self {
        let library = Library::nought();
        // SAFETY: the calls are as zmq.h declares them; so below.
        unsafe {
            let context = (library.ctx_new)();
            let ends = types.map(|socket_type| (library.socket)(context, socket_type));
            let bound = c(&bind(&library, ends[0], endpoint));
            assert_eq!((library.connect)(ends[1], bound.as_ptr()), 0);
            Self { library, context, ends }
        }
    }

    fn end(self) {
        // SAFETY: see above.
        unsafe {
            self.ends.iter().for_each(|&socket| assert_eq!((self.library.close)(socket), 0));
            assert_eq!((self.library.ctx_term)(self.context), 0);
        }
    }
}

/// Binds a socket, and says to what.
///
/// # Safety
/// The socket is one of the library's.
unsafe fn bind(library: &Library, socket: *mut c_void, endpoint: &str) -> String {
    let mut bound = [0_u8; 256];
    let mut len = bound.len();
    // SAFETY: as the caller says.
    unsafe {
        assert_eq!((library.bind)(socket, c(endpoint).as_ptr()), 0);
        assert_eq!((library.getsockopt)(socket, 32, bound.as_mut_ptr().cast(), &raw mut len), 0);
    }
    CStr::from_bytes_until_nul(&bound).unwrap().to_str().unwrap().to_owned()
}

static FREED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count_and_free(data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint is the counter, and the data a box of the test's.
    unsafe {
        (*hint.cast::<AtomicUsize>()).fetch_add(1, Ordering::SeqCst);
        drop(Vec::from_raw_parts(data.cast::<u8>(), 0, BODY_LEN));
    }
}

const BODY_LEN: usize = 100_000;
const SNDMORE: c_int = 2;

#[test]
fn memory_of_the_applications_is_freed_once() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://freed"] {
        for (count, len) in [(0, 10), (1, 100), (2, BODY_LEN), (3, BODY_LEN)] {
            FREED.store(0, Ordering::SeqCst);
            let pair = Pair::of([0, 0], endpoint);
            let library = pair.library;
            let (mut message, mut copy) = (Msg::zeroed(), Msg::zeroed());
            // SAFETY: see `Pair::of`.
            unsafe {
                let body = std::mem::ManuallyDrop::new(vec![7_u8; BODY_LEN]).as_mut_ptr();
                let hint = (&raw const FREED).cast_mut().cast();
                assert_eq!((library.msg_init_data)(message.pointer(), body.cast(), len, Some(count_and_free), hint), 0);
                for _ in 0..count {
                    assert_eq!((library.msg_init)(copy.pointer()), 0);
                    assert_eq!((library.msg_copy)(copy.pointer(), message.pointer()), 0);
                    assert_eq!((library.msg_send)(copy.pointer(), pair.ends[1], 0), len as c_int);
                }
                assert_eq!((library.msg_close)(message.pointer()), 0);
                for _ in 0..count {
                    assert_eq!((library.msg_init)(copy.pointer()), 0);
                    assert_eq!((library.msg_recv)(copy.pointer(), pair.ends[0], 0), len as c_int);
                    let received = std::slice::from_raw_parts((library.msg_data)(copy.pointer()).cast::<u8>(), len);
                    assert!(received.iter().all(|&byte| byte == 7));
                    assert_eq!((library.msg_close)(copy.pointer()), 0);
                }
            }
            pair.end();
            assert_eq!(FREED.load(Ordering::SeqCst), 1, "{endpoint}, {count} copies of {len} bytes");
        }
    }
}

#[test]
fn memory_of_the_applications_is_held_until_it_is_sent() {
    // Nobody else has this name.
    let ipc = format!("ipc://@nought-held-{}", process::id());
    for endpoint in [&ipc[..], "inproc://held"] {
        let freed = AtomicUsize::new(0);
        let library = Library::nought();
        // SAFETY: see `Pair::of`.
        unsafe {
            let context = (library.ctx_new)();
            let [push, pull] = [8, 7].map(|socket_type| (library.socket)(context, socket_type));
            let address = c(endpoint);
            assert_eq!((library.connect)(push, address.as_ptr()), 0);
            for (len, flags) in [(9, 0), (4, SNDMORE), (0, 0)] {
                let (mut message, mut copy) = (Msg::zeroed(), Msg::zeroed());
                let body = std::mem::ManuallyDrop::new(vec![7_u8; BODY_LEN]).as_mut_ptr();
                let hint = (&raw const freed).cast_mut().cast();
                assert_eq!((library.msg_init_data)(message.pointer(), body.cast(), len, Some(count_and_free), hint), 0);
                assert_eq!((library.msg_init)(copy.pointer()), 0);
                assert_eq!((library.msg_copy)(copy.pointer(), message.pointer()), 0);
                assert_eq!((library.msg_close)(message.pointer()), 0);
                assert_eq!((library.msg_send)(copy.pointer(), push, flags), len as c_int);
            }
            assert_eq!(freed.load(Ordering::SeqCst), 0, "{endpoint}: nobody is there to be sent to");
            assert_eq!((library.bind)(pull, address.as_ptr()), 0);
            let mut buffer = [0_u8; 16];
            for len in [9, 4, 0] {
                assert_eq!((library.recv)(pull, buffer.as_mut_ptr().cast(), buffer.len(), 0), len);
            }
            [push, pull].iter().for_each(|&socket| assert_eq!((library.close)(socket), 0));
            assert_eq!((library.ctx_term)(context), 0);
        }
        assert_eq!(freed.load(Ordering::SeqCst), 3, "{endpoint}");
    }
}

#[test]
fn a_small_body_that_messages_share_is_nobody_elses_when_it_is_sent() {
    const SHARED: c_int = 3;
    for (len, is_held) in [(10, 0), (100, 0), (BODY_LEN, 1)] {
        let pair = Pair::of([0, 0], "inproc://shared");
        let (library, [here, there]) = (&pair.library, pair.ends);
        let (mut message, mut copy) = (Msg::zeroed(), Msg::zeroed());
        let body = vec![7_u8; len];
        // SAFETY: see `Pair::of`.
        unsafe {
            assert_eq!((library.send)(there, body.as_ptr().cast(), len, 0), len as c_int);
            assert_eq!((library.msg_init)(message.pointer()), 0);
            assert_eq!((library.msg_recv)(message.pointer(), here, 0), len as c_int);
            assert_eq!((library.msg_init)(copy.pointer()), 0);
            assert_eq!((library.msg_copy)(copy.pointer(), message.pointer()), 0);
            assert_eq!((library.msg_send)(copy.pointer(), here, 0), len as c_int);
            assert_eq!((library.msg_get)(message.pointer(), SHARED), is_held, "{len} bytes");
            assert_eq!((library.msg_close)(message.pointer()), 0);
            assert_eq!((library.msg_init)(copy.pointer()), 0);
            assert_eq!((library.msg_recv)(copy.pointer(), there, 0), len as c_int);
            assert_eq!(slice::from_raw_parts((library.msg_data)(copy.pointer()).cast::<u8>(), len), body);
            assert_eq!((library.msg_close)(copy.pointer()), 0);
        }
        pair.end();
    }
}

#[test]
fn closing_ends_the_calls_of_other_threads() {
    let pair = Pair::of([7, 8], "tcp://127.0.0.1:*");
    thread::scope(|scope| {
        let pair = &pair;
        let waiting = scope.spawn(move || {
            // SAFETY: see `Pair::of`.
            unsafe { pair.library.outcome((pair.library.recv)(pair.ends[0], ptr::null_mut(), 0, 0)) }
        });
        thread::sleep(Duration::from_millis(50));
        // SAFETY: see `Pair::of`.
        assert_eq!(unsafe { (pair.library.close)(pair.ends[0]) }, 0);
        let (returned, errno) = waiting.join().unwrap();
        assert_eq!(returned, -1);
        assert!(errno == ETERM || errno == libc::ENOTSOCK);
    });
    // SAFETY: see `Pair::of`.
    unsafe {
        assert_eq!((pair.library.close)(pair.ends[1]), 0);
        assert_eq!((pair.library.ctx_term)(pair.context), 0);
    }
}

#[test]
fn closing_ends_a_call_that_waits_with_a_first_frame() {
    const PUSH: c_int = 8;
    let library = Library::nought();
    // SAFETY: the calls are as zmq.h declares them; so below.
    let (context, push) = unsafe {
        let context = (library.ctx_new)();
        (context, (library.socket)(context, PUSH))
    };
    let sending = push.expose_provenance();
    let waiting = thread::spawn(move || {
        let push = ptr::with_exposed_provenance_mut(sending);
        // SAFETY: see above.
        unsafe { library.outcome((library.send)(push, b"x".as_ptr().cast(), 1, SNDMORE)) }
    });
    thread::sleep(Duration::from_millis(50));
    let closing = push.expose_provenance();
    within_a_minute(move || {
        // SAFETY: see above.
        assert_eq!(unsafe { (library.close)(ptr::with_exposed_provenance_mut(closing)) }, 0);
    });
    let (returned, errno) = waiting.join().unwrap();
    assert!(returned == -1 && (errno == ETERM || errno == libc::ENOTSOCK));
    // SAFETY: see above.
    assert_eq!(unsafe { (library.ctx_term)(context) }, 0);
}

#[test]
fn frames_go_one_by_one() {
    let pair = Pair::of([0, 0], "tcp://127.0.0.1:*");
    let library = pair.library;
    // SAFETY: see `Pair::of`.
    unsafe {
        for (frame, flags) in [("a", 2), ("bc", 2), ("", 0)] {
            assert_eq!((library.send)(pair.ends[1], frame.as_ptr().cast(), frame.len(), flags), frame.len() as c_int);
        }
        for (frame, more) in [("a", 1), ("bc", 1), ("", 0)] {
            let mut buffer = [0_u8; 8];
            assert_eq!((library.recv)(pair.ends[0], buffer.as_mut_ptr().cast(), 8, 0), frame.len() as c_int);
            assert_eq!(&buffer[..frame.len()], frame.as_bytes());
            let (mut told, mut len) = ([9_u8; 8], 8);
            assert_eq!((library.getsockopt)(pair.ends[0], 13, told.as_mut_ptr().cast(), &raw mut len), 0);
            assert_eq!((told, len), ([more, 0, 0, 0, 0, 0, 0, 0], 4), "what is behind the value is zeros");
        }
    }
    pair.end();
}

/// On both sides of each limit from which a body is kept in another way.
const LENGTHS: [usize; 7] = [0, 55, 56, 64, 1000, 8191, 8192];

/// Sends a body of this length over the pair, and receives it into the message.
///
/// # Safety
/// It is a message, or memory that was initialised as one.
unsafe fn pass(pair: &Pair, len: usize, message: &mut Msg) {
    let body = body_of(len);
    // SAFETY: as the caller says.
    unsafe {
        assert_eq!((pair.library.send)(pair.ends[1], body.as_ptr().cast(), len, 0), len as c_int);
        assert_eq!((pair.library.msg_recv)(message.pointer(), pair.ends[0], 0), len as c_int);
        assert!(holds(pair.library, message, len), "{len}");
    }
}

fn body_of(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index + len) as u8).collect()
}

/// Whether the message is a body of this length.
///
/// # Safety
/// It is a message.
unsafe fn holds(library: Library, message: &mut Msg, len: usize) -> bool {
    // SAFETY: as the caller says; the library says how long the body is.
    unsafe {
        let data = (library.msg_data)(message.pointer()).cast::<u8>();
        slice::from_raw_parts(data, (library.msg_size)(message.pointer())) == body_of(len)
    }
}

#[test]
fn a_message_is_received_over_any_other() {
    for endpoint in ["tcp://127.0.0.1:*", "inproc://over"] {
        let pair = Pair::of([0, 0], endpoint);
        let library = pair.library;
        for (former, len) in LENGTHS.iter().flat_map(|&former| LENGTHS.map(|len| (former, len))) {
            let (mut message, mut copy) = (Msg::zeroed(), Msg::zeroed());
            // SAFETY: see `Pair::of`.
            unsafe {
                // Over one that was made, one that was received, and one whose body is another message's, too.
                assert_eq!((library.msg_init_size)(message.pointer(), former), 0);
                pass(&pair, len, &mut message);
                pass(&pair, former, &mut message);
                assert_eq!((library.msg_init)(copy.pointer()), 0);
                assert_eq!((library.msg_copy)(copy.pointer(), message.pointer()), 0);
                pass(&pair, len, &mut message);
                assert!(holds(library, &mut copy, former), "the copy is as it was: {former}, {len}");
                for message in [&mut message, &mut copy] {
                    assert_eq!((library.msg_close)(message.pointer()), 0);
                }
            }
        }
        pair.end();
    }
}

/// What a message holds when another is received over it that is one of many.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Former {
    Received,
    /// Received, and asked who has sent it.
    Asked,
    /// Received, and copied.
    Copied,
    Sized,
    Foreign,
}

#[test]
fn one_of_many_is_received_over_any_other() {
    let pair = Pair::of([7, 8], "tcp://127.0.0.1:*");
    let library = pair.library;
    let lengths: Vec<usize> =
        LENGTHS.iter().flat_map(|&former| LENGTHS.iter().flat_map(move |&len| [former, len])).collect();
    let made = [Former::Received, Former::Asked, Former::Copied, Former::Sized, Former::Foreign];
    for former in made {
        let (mut message, mut copy, freed) = (Msg::zeroed(), Msg::zeroed(), AtomicUsize::new(0));
        // SAFETY: see `Pair::of`.
        unsafe {
            for &len in &lengths {
                let body = body_of(len);
                assert_eq!((library.send)(pair.ends[1], body.as_ptr().cast(), len, 0), len as c_int);
            }
            assert_eq!((library.msg_init)(message.pointer()), 0);
            assert_eq!((library.msg_init)(copy.pointer()), 0);
            let mut held = 0;
            for (index, &len) in lengths.iter().enumerate() {
                match former {
                    Former::Received => {}
                    Former::Asked if index == 0 => {}
                    Former::Asked => {
                        let told = (library.msg_gets)(message.pointer(), c("Socket-Type").as_ptr());
                        assert_eq!(CStr::from_ptr(told), c"PUSH");
                    }
                    Former::Copied => {
                        assert_eq!((library.msg_copy)(copy.pointer(), message.pointer()), 0);
                    }
                    Former::Sized => {
                        assert_eq!((library.msg_close)(message.pointer()), 0);
                        assert_eq!((library.msg_init_size)(message.pointer(), lengths[index / 2]), 0);
                    }
                    Former::Foreign => {
                        assert_eq!((library.msg_close)(message.pointer()), 0);
                        let body = std::mem::ManuallyDrop::new(vec![7_u8; BODY_LEN]).as_mut_ptr();
                        let hint = (&raw const freed).cast_mut().cast();
                        let free = Some(count_and_free as _);
                        assert_eq!((library.msg_init_data)(message.pointer(), body.cast(), 200, free, hint), 0);
                    }
                }
                assert_eq!((library.msg_recv)(message.pointer(), pair.ends[0], 0), len as c_int);
                assert!(holds(library, &mut message, len), "{former:?}, {index}, {len}");
                assert_eq!((library.msg_more)(message.pointer()), 0);
                assert!(former != Former::Copied || holds(library, &mut copy, held), "the copy is as it was: {held}");
                assert_eq!(freed.load(Ordering::SeqCst), if former == Former::Foreign { index + 1 } else { 0 });
                held = len;
            }
            for message in [&mut message, &mut copy] {
                assert_eq!((library.msg_close)(message.pointer()), 0);
            }
        }
    }
    pair.end();
}

#[test]
fn a_message_that_is_received_over_the_first_frame_of_another_has_none_behind_it() {
    let pair = Pair::of([7, 8], "tcp://127.0.0.1:*");
    let library = pair.library;
    let mut message = Msg::zeroed();
    // SAFETY: see `Pair::of`.
    unsafe {
        assert_eq!((library.msg_init)(message.pointer()), 0);
        let frames = (0..300).flat_map(|_| LENGTHS.iter().flat_map(|&len| [(len, SNDMORE), (len, 0), (len, 0)]));
        for (len, flags) in frames.clone().take(900) {
            let body = body_of(len);
            assert_eq!((library.send)(pair.ends[1], body.as_ptr().cast(), len, flags), len as c_int);
        }
        for (len, flags) in frames.take(900) {
            assert_eq!((library.msg_recv)(message.pointer(), pair.ends[0], 0), len as c_int);
            assert!(holds(library, &mut message, len), "{len}");
            assert_eq!((library.msg_more)(message.pointer()), c_int::from(flags == SNDMORE));
        }
        assert_eq!((library.msg_close)(message.pointer()), 0);
    }
    pair.end();
}

#[test]
fn what_a_message_had_ends_when_another_is_received_over_it() {
    let pair = Pair::of([0, 0], "tcp://127.0.0.1:*");
    let library = pair.library;
    for len in LENGTHS {
        let freed = AtomicUsize::new(0);
        let mut message = Msg::zeroed();
        // SAFETY: see `Pair::of`.
        unsafe {
            let body = std::mem::ManuallyDrop::new(vec![7_u8; BODY_LEN]).as_mut_ptr();
            let hint = (&raw const freed).cast_mut().cast();
            assert_eq!((library.msg_init_data)(message.pointer(), body.cast(), 200, Some(count_and_free), hint), 0);
            pass(&pair, len, &mut message);
            assert_eq!(freed.load(Ordering::SeqCst), 1, "{len}");
            // And what it was asked of its peer.
            for _ in 0..2 {
                let told = (library.msg_gets)(message.pointer(), c("Socket-Type").as_ptr());
                assert_eq!(CStr::from_ptr(told), c"PAIR");
                pass(&pair, len, &mut message);
            }
            assert_eq!((library.msg_close)(message.pointer()), 0);
        }
    }
    pair.end();
}

#[test]
fn a_context_that_sets_no_bound_has_none() {
    // Pages that nobody touches take no memory, and by reference nobody does.
    let mut body = vec![0_u8; c_int::MAX as usize + 2];
    let pair = Pair::of([0, 0], "inproc://unbounded");
    let Pair { library, ends, .. } = &pair;
    let mut message = Msg::zeroed();
    // SAFETY: see `Pair::of`. The body outlives the pair.
    unsafe {
        let data = body.as_mut_ptr().cast();
        assert_eq!((library.msg_init_data)(message.pointer(), data, body.len(), None, ptr::null_mut()), 0);
        assert_eq!((library.msg_send)(message.pointer(), ends[0], 0), c_int::MAX, "all that a length can say");
        assert_eq!((library.msg_recv)(message.pointer(), ends[1], 0), c_int::MAX);
        assert_eq!((library.msg_size)(message.pointer()), body.len());
        assert_eq!((library.msg_close)(message.pointer()), 0);
    }
    pair.end();
}

#[test]
fn a_context_bounds_what_is_sent() {
    let library = Library::nought();
    // SAFETY: see `Pair::of`.
    unsafe {
        let context = (library.ctx_new)();
        assert_eq!((library.ctx_set)(context, 5, 3), 0);
        let ends = [0, 0].map(|pair| (library.socket)(context, pair));
        assert_eq!((library.bind)(ends[0], c("inproc://bounded").as_ptr()), 0);
        assert_eq!((library.connect)(ends[1], c("inproc://bounded").as_ptr()), 0);
        for flags in [0, 2] {
            assert_eq!(
                library.outcome((library.send)(ends[1], b"long".as_ptr().cast(), 4, flags)),
                (-1, libc::EMSGSIZE)
            );
        }
        let mut message = Msg::zeroed();
        assert_eq!((library.msg_init_size)(message.pointer(), 4), 0);
        assert_eq!(library.outcome((library.msg_send)(message.pointer(), ends[1], 0)), (-1, libc::EMSGSIZE));
        assert_eq!((library.msg_close)(message.pointer()), 0);
        assert_eq!((library.send)(ends[1], b"fit".as_ptr().cast(), 3, 0), 3);
        assert_eq!((library.recv)(ends[0], ptr::null_mut(), 0, 0), 3, "the first that comes");
        ends.iter().for_each(|&socket| assert_eq!((library.close)(socket), 0));
        assert_eq!((library.ctx_term)(context), 0);
    }
}

#[test]
fn a_pub_takes_a_subscription_that_comes_first_in_a_message() {
    let (library, only_first) = (Library::nought(), 1_i32);
    // SAFETY: see `Pair::of`.
    unsafe {
        let context = (library.ctx_new)();
        let ends = [1, 10].map(|socket_type| (library.socket)(context, socket_type));
        for socket in ends {
            assert_eq!((library.setsockopt)(socket, 108, (&raw const only_first).cast(), 4), 0);
        }
        let bound = c(&bind(&library, ends[0], "tcp://127.0.0.1:*"));
        assert_eq!((library.connect)(ends[1], bound.as_ptr()), 0);
        assert_eq!((library.send)(ends[1], b"\x01a".as_ptr().cast(), 2, SNDMORE), 2);
        assert_eq!((library.send)(ends[1], b"news".as_ptr().cast(), 4, 0), 4);
        let wait_ms: c_int = 1;
        assert_eq!((library.setsockopt)(ends[1], 27, (&raw const wait_ms).cast(), 4), 0);
        let arrives = || {
            assert_eq!((library.send)(ends[0], b"ab".as_ptr().cast(), 2, 0), 2);
            (library.recv)(ends[1], ptr::null_mut(), 0, 0) == 2
        };
        let begun = Instant::now();
        while !arrives() {
            assert!(begun.elapsed() < Duration::from_secs(30), "there is no subscription");
        }
        ends.iter().for_each(|&socket| assert_eq!((library.close)(socket), 0));
        assert_eq!((library.ctx_term)(context), 0);
    }
}

#[test]
fn a_child_may_close_what_its_parent_opened() {
    let pair = Pair::of([7, 8], "tcp://127.0.0.1:*");
    let library = pair.library;
    // SAFETY: the child does nothing but close, and leaves without running what is the test's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it ends the child, in time.
        unsafe { libc::alarm(60) };
        // SAFETY: see `Pair::of`.
        let closed = unsafe {
            pair.ends.iter().all(|&socket| (library.close)(socket) == 0) && (library.ctx_term)(pair.context) == 0
        };
        // SAFETY: it ends the child.
        unsafe { libc::_exit(c_int::from(!closed)) };
    }
    let mut status = 0;
    // SAFETY: see `Pair::of`.
    unsafe {
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        assert_eq!(status, 0, "the child closed all");
        assert_eq!((library.send)(pair.ends[1], b"x".as_ptr().cast(), 1, 0), 1);
        assert_eq!((library.recv)(pair.ends[0], ptr::null_mut(), 0, 0), 1, "the parent's sockets go on");
    }
    pair.end();
}

#[test]
fn a_second_routing_id_for_a_connection_ends_nothing() {
    let pair = Pair::of([6, 6], "tcp://127.0.0.1:*");
    let library = pair.library;
    // SAFETY: see `Pair::of`.
    unsafe {
        for _ in 0..2 {
            assert_eq!((library.setsockopt)(pair.ends[1], 61, b"X".as_ptr().cast(), 1), 0);
            assert_eq!((library.connect)(pair.ends[1], c("tcp://127.0.0.1:1").as_ptr()), 0);
        }
        let linger: c_int = 0;
        assert_eq!((library.setsockopt)(pair.ends[1], 17, (&raw const linger).cast(), 4), 0);
    }
    pair.end();
}

/// Runs what might never end, on a thread of its own.
fn within_a_minute(call: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    thread::spawn(move || {
        call();
        let _ = done.send(());
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("it has neither ended nor failed");
}

#[test]
fn the_state_of_pipes_is_told_while_events_are_still_to_be() {
    const PIPES_STATS: u64 = 0x10000;
    const DISCONNECTED: u64 = 0x200;
    within_a_minute(|| {
        let (library, drafts) = (Library::nought(), Drafts::nought());
        for round in 0..200 {
            let pair = Pair::of([7, 8], &format!("inproc://stats-{round}"));
            let at = c(&format!("inproc://monitor-{round}"));
            // SAFETY: see `Pair::of`.
            unsafe {
                let events = PIPES_STATS | DISCONNECTED;
                assert_eq!((drafts.socket_monitor_versioned)(pair.ends[0], at.as_ptr(), events, 2, 0), 0);
                let monitor = (library.socket)(pair.context, 0);
                assert_eq!((library.connect)(monitor, at.as_ptr()), 0);
                assert_eq!((library.send)(pair.ends[1], b"x".as_ptr().cast(), 1, 0), 1);
                assert_eq!((library.recv)(pair.ends[0], ptr::null_mut(), 0, 0), 1);
                let endpoint = c(&format!("inproc://stats-{round}"));
                assert_eq!((library.disconnect)(pair.ends[1], endpoint.as_ptr()), 0);
                for _ in 0..20 {
                    assert_eq!((drafts.socket_monitor_pipes_stats)(pair.ends[0]), 0);
                }
                assert_eq!((library.close)(monitor), 0);
            }
            pair.end();
        }
    });
}

#[test]
fn a_last_frame_that_found_no_room_is_sent_again_with_those_before_it() {
    const SNDTIMEO: c_int = 28;
    const RCVMORE: c_int = 13;
    let pair = Pair::of([8, 7], "inproc://last-frame");
    let library = pair.library;
    // SAFETY: see `Pair::of`.
    unsafe {
        let millis: c_int = 50;
        assert_eq!((library.setsockopt)(pair.ends[0], SNDTIMEO, (&raw const millis).cast(), 4), 0);
        assert_eq!((library.send)(pair.ends[0], b"one".as_ptr().cast(), 3, SNDMORE), 3);
        assert_eq!((library.disconnect)(pair.ends[1], c("inproc://last-frame").as_ptr()), 0);
        for _ in 0..2 {
            let sent = (library.send)(pair.ends[0], b"three".as_ptr().cast(), 5, 0);
            assert_eq!(library.outcome(sent), (-1, libc::EAGAIN));
        }
        assert_eq!((library.connect)(pair.ends[1], c("inproc://last-frame").as_ptr()), 0);
        assert_eq!((library.send)(pair.ends[0], b"three".as_ptr().cast(), 5, 0), 5);
        for (frame_len, more) in [(3, 1), (5, 0)] {
            assert_eq!((library.recv)(pair.ends[1], ptr::null_mut(), 0, 0), frame_len);
            let (mut told, mut len): (c_int, _) = (9, 4);
            assert_eq!((library.getsockopt)(pair.ends[1], RCVMORE, (&raw mut told).cast(), &raw mut len), 0);
            assert_eq!(told, more);
        }
    }
    pair.end();
}

/// A thread's variables end in the order in which they began, backwards: one that was there before a call ends after all that
/// the library has noted for the thread.
#[test]
fn a_destructor_of_a_thread_sends_and_receives() {
    type Outcomes = [(c_int, c_int); 4];
    struct AtTheEnd(RefCell<Option<(Pair, Sender<Outcomes>)>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let (pair, tell) = self.0.take().unwrap();
            tell.send(exchange(&pair)).unwrap();
            pair.end();
        }
    }
    thread_local!(static AT_THE_END: AtTheEnd = const { AtTheEnd(RefCell::new(None)) });
    fn exchange(pair: &Pair) -> Outcomes {
        let library = pair.library;
        let (mut buffer, mut message) = ([0_u8; 8], Msg::zeroed());
        // SAFETY: see `Pair::of`.
        unsafe {
            assert_eq!((library.msg_init)(message.pointer()), 0);
            let results = [
                library.outcome((library.send)(pair.ends[0], b"one".as_ptr().cast(), 3, 0)),
                library.outcome((library.recv)(pair.ends[1], buffer.as_mut_ptr().cast(), buffer.len(), 0)),
                library.outcome((library.send)(pair.ends[1], b"three".as_ptr().cast(), 5, 0)),
                library.outcome((library.msg_recv)(message.pointer(), pair.ends[0], 0)),
            ];
            assert_eq!((library.msg_close)(message.pointer()), 0);
            results
        }
    }
    let (tell, heard) = channel();
    let thread = thread::spawn(move || {
        AT_THE_END.with(|at_the_end| {
            let pair = Pair::of([0, 0], "tcp://127.0.0.1:*");
            tell.send(exchange(&pair)).unwrap();
            at_the_end.0.replace(Some((pair, tell)));
        });
    });
    thread.join().unwrap();
    for _ in ["in the thread", "at its end"] {
        assert_eq!(heard.recv().unwrap(), [(3, 0), (3, 0), (5, 0), (5, 0)]);
    }
}

/// Although the system takes all of them at once.
#[test]
fn sends_that_do_not_wait_meet_the_mark() {
    const FD: c_int = 14;
    const EVENTS: c_int = 15;
    const SNDHWM: c_int = 23;
    const SNDTIMEO: c_int = 28;
    const DONTWAIT: c_int = 1;
    for (flags, option, value) in [(DONTWAIT, SNDHWM, 2), (0, SNDTIMEO, 0)] {
        let pair = Pair::of([8, 7], "tcp://127.0.0.1:*");
        let library = pair.library;
        let mark: c_int = 2;
        let (mut descriptor, mut events, mut len): (c_int, c_int, _) = (-1, 0, size_of::<c_int>());
        // SAFETY: see `Pair::of`; poll is given one entry.
        unsafe {
            assert_eq!((library.setsockopt)(pair.ends[0], SNDHWM, (&raw const mark).cast(), 4), 0);
            // This one waits until they are connected.
            assert_eq!((library.send)(pair.ends[0], b"x".as_ptr().cast(), 1, 0), 1);
            assert_eq!((library.setsockopt)(pair.ends[0], option, (&raw const value).cast(), 4), 0);
            assert_eq!((library.getsockopt)(pair.ends[0], FD, (&raw mut descriptor).cast(), &raw mut len), 0);
            // After that the descriptor tells of what is new alone.
            assert_eq!((library.getsockopt)(pair.ends[0], EVENTS, (&raw mut events).cast(), &raw mut len), 0);
            let send = || library.outcome((library.send)(pair.ends[0], b"x".as_ptr().cast(), 1, flags));
            let mut sent = 0;
            for _ in 0..3 {
                // A burst is over after a millisecond: of many one is quick enough.
                let of_burst = (0..1000).map_while(|_| (send() == (1, 0)).then_some(())).count();
                assert!((2..1000).contains(&of_burst), "{of_burst}");
                sent += of_burst;
            }
            let mut awaited = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
            assert_eq!(libc::poll(&raw mut awaited, 1, 20_000), 1, "who waits for the descriptor goes on");
            for _ in 0..=sent {
                assert_eq!((library.recv)(pair.ends[1], ptr::null_mut(), 0, 0), 1);
            }
        }
        pair.end();
    }
}

/// As libzmq refuses no message that it has begun.
#[test]
fn a_last_frame_that_does_not_wait_meets_no_mark() {
    const SNDHWM: c_int = 23;
    const DONTWAIT: c_int = 1;
    let pair = Pair::of([8, 7], "tcp://127.0.0.1:*");
    let library = pair.library;
    let mark: c_int = 1;
    // SAFETY: see `Pair::of`.
    unsafe {
        assert_eq!((library.setsockopt)(pair.ends[0], SNDHWM, (&raw const mark).cast(), 4), 0);
        for _ in 0..1000 {
            assert_eq!((library.send)(pair.ends[0], b"one".as_ptr().cast(), 3, SNDMORE), 3);
            let sent = (library.send)(pair.ends[0], b"three".as_ptr().cast(), 5, DONTWAIT);
            assert_eq!(library.outcome(sent), (5, 0));
            for len in [3, 5] {
                assert_eq!((library.recv)(pair.ends[1], ptr::null_mut(), 0, 0), len);
            }
        }
    }
    pair.end();
}

#[test]
fn a_name_or_password_need_be_no_text() {
    const MECHANISM: c_int = 43;
    const PLAIN_SERVER: c_int = 44;
    const PLAIN_USERNAME: c_int = 45;
    const PLAIN_PASSWORD: c_int = 46;
    let pair = Pair::of([8, 7], "inproc://no-text");
    let library = pair.library;
    // SAFETY: see `Pair::of`.
    unsafe {
        let told = |option| {
            let (mut value, mut len): (c_int, _) = (9, 4);
            assert_eq!((library.getsockopt)(pair.ends[0], option, (&raw mut value).cast(), &raw mut len), 0);
            value
        };
        for option in [PLAIN_USERNAME, PLAIN_PASSWORD] {
            for bytes in [&[0xFF; 255][..], b"\xC3", "\u{E9}t\u{E9}".as_bytes()] {
                assert_eq!((library.setsockopt)(pair.ends[0], option, bytes.as_ptr().cast(), bytes.len()), 0);
                assert_eq!((told(MECHANISM), told(PLAIN_SERVER)), (1, 0));
                assert_eq!((library.setsockopt)(pair.ends[0], option, ptr::null(), 0), 0);
                assert_eq!((told(MECHANISM), told(PLAIN_SERVER)), (0, 0));
            }
            // Only their length is bounded.
            let set = (library.setsockopt)(pair.ends[0], option, [1; 256].as_ptr().cast(), 256);
            assert_eq!(library.outcome(set), (-1, libc::EINVAL));
            assert_eq!((told(MECHANISM), told(PLAIN_SERVER)), (0, 0));
        }
    }
    pair.end();
}

/// Whether a descriptor is open.
fn is_open(descriptor: c_int) -> bool {
    // SAFETY: it only asks.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
}

#[test]
fn a_descriptor_is_the_applications_until_a_bind_takes_it() {
    const USE_FD: c_int = 89;
    let pair = Pair::of([0, 0], "inproc://use-fd");
    let library = pair.library;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = c(&format!("tcp://{}", listener.local_addr().unwrap()));
    let descriptor = listener.into_raw_fd();
    // SAFETY: see `Pair::of`.
    unsafe {
        let set = |socket, value: c_int| {
            assert_eq!((library.setsockopt)(socket, USE_FD, (&raw const value).cast(), 4), 0);
        };
        let never_binds = (library.socket)(pair.context, 0);
        [descriptor, descriptor, -1, descriptor].iter().for_each(|&value| set(never_binds, value));
        assert!(is_open(descriptor), "set again");
        assert_eq!((library.close)(never_binds), 0);
        assert!(is_open(descriptor), "closed without a bind");

        let [pull, push] = [7, 8].map(|socket_type| (library.socket)(pair.context, socket_type));
        set(pull, descriptor);
        assert_eq!((library.bind)(pull, c("inproc://use-fd-not").as_ptr()), 0);
        assert_eq!((library.bind)(pull, endpoint.as_ptr()), 0);
        assert_eq!((library.connect)(push, endpoint.as_ptr()), 0);
        assert_eq!((library.send)(push, b"x".as_ptr().cast(), 1, 0), 1);
        assert_eq!((library.recv)(pull, ptr::null_mut(), 0, 0), 1);
        [pull, push].iter().for_each(|&socket| assert_eq!((library.close)(socket), 0));
    }
    pair.end();
}

/// A socket, and what was received from it when a message's memory was freed.
struct Freeing {
    library: Library,
    socket: *mut c_void,
    received: c_int,
}

unsafe extern "C" fn receive_while_freeing(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint is the test's `Freeing`, which nobody else uses now.
    unsafe {
        let freeing = &mut *hint.cast::<Freeing>();
        freeing.received = (freeing.library.recv)(freeing.socket, ptr::null_mut(), 0, 0);
    }
}

#[test]
fn what_frees_a_message_may_receive_one() {
    let [outer, inner] = ["inproc://outer", "inproc://inner"].map(|endpoint| Pair::of([7, 8], endpoint));
    let library = outer.library;
    let mut freeing = Freeing { library, socket: inner.ends[0], received: -2 };
    let (mut message, mut body) = (Msg::zeroed(), [7_u8; 200]);
    // SAFETY: see `Pair::of`.
    unsafe {
        assert_eq!((library.send)(outer.ends[1], b"x".as_ptr().cast(), 1, 0), 1);
        assert_eq!((library.send)(inner.ends[1], b"token".as_ptr().cast(), 5, 0), 5);
        let hint = (&raw mut freeing).cast();
        let data = body.as_mut_ptr().cast();
        assert_eq!((library.msg_init_data)(message.pointer(), data, 200, Some(receive_while_freeing), hint), 0);
        assert_eq!((library.msg_recv)(message.pointer(), outer.ends[0], 0), 1);
        assert_eq!(freeing.received, 5);
        assert_eq!(*(library.msg_data)(message.pointer()).cast::<u8>(), b'x');
        assert_eq!((library.msg_close)(message.pointer()), 0);
    }
    outer.end();
    inner.end();
}

#[test]
fn what_frees_a_message_may_receive_the_next_of_many() {
    within_a_minute(|| {
        const SENT: usize = 200;
        let pair = Pair::of([7, 8], "tcp://127.0.0.1:*");
        let library = pair.library;
        let (mut message, mut body) = (Msg::zeroed(), [7_u8; 200]);
        // SAFETY: see `Pair::of`.
        unsafe {
            for len in 0..SENT {
                assert_eq!((library.send)(pair.ends[1], body.as_ptr().cast(), len, 0), len as c_int);
            }
            let mut freeing = Freeing { library, socket: pair.ends[0], received: -2 };
            for len in (0..SENT).step_by(2) {
                let (data, hint) = (body.as_mut_ptr().cast(), (&raw mut freeing).cast());
                assert_eq!((library.msg_init_data)(message.pointer(), data, 200, Some(receive_while_freeing), hint), 0);
                assert_eq!((library.msg_recv)(message.pointer(), pair.ends[0], 0), len as c_int);
                assert_eq!(freeing.received, len as c_int + 1);
                assert_eq!((library.msg_close)(message.pointer()), 0);
            }
        }
        pair.end();
    });
}

/// A socket, and what came of sending over it when a message's memory was freed.
struct Resending {
    library: Library,
    socket: *mut c_void,
    sent: AtomicI32,
}

unsafe extern "C" fn send_while_freeing(_data: *mut c_void, hint: *mut c_void) {
    const DONTWAIT: c_int = 1;
    // SAFETY: the hint is the test's `Resending`, which lives until this is done.
    unsafe {
        let resending = &*hint.cast::<Resending>();
        let sent = (resending.library.send)(resending.socket, ptr::null(), 0, DONTWAIT);
        resending.sent.store(sent, Ordering::SeqCst);
    }
}

#[test]
fn what_frees_a_message_may_send_over_the_socket_that_drops_it() {
    const LINGER: c_int = 17;
    for (endpoint, len) in [("tcp://127.0.0.1:1", 100), ("tcp://127.0.0.1:1", BODY_LEN), ("inproc://nobody", 100)] {
        let (done, is_done) = channel();
        thread::spawn(move || {
            let library = Library::nought();
            // SAFETY: see `Pair::of`.
            unsafe {
                let context = (library.ctx_new)();
                let push = (library.socket)(context, 8);
                let (mut message, mut body) = (Msg::zeroed(), vec![7_u8; BODY_LEN]);
                let resending = Resending { library, socket: push, sent: AtomicI32::new(-2) };
                let no_time: c_int = 0;
                assert_eq!((library.setsockopt)(push, LINGER, (&raw const no_time).cast(), 4), 0);
                assert_eq!((library.connect)(push, c(endpoint).as_ptr()), 0);
                let (data, hint) = (body.as_mut_ptr().cast(), (&raw const resending).cast_mut().cast());
                assert_eq!((library.msg_init_data)(message.pointer(), data, len, Some(send_while_freeing), hint), 0);
                assert_eq!((library.msg_send)(message.pointer(), push, 0), len as c_int);
                assert_eq!((library.disconnect)(push, c(endpoint).as_ptr()), 0);
                while resending.sent.load(Ordering::SeqCst) == -2 {
                    thread::yield_now();
                }
                assert_eq!(resending.sent.load(Ordering::SeqCst), -1, "nobody is there any more to send to");
                assert_eq!((library.close)(push), 0);
                assert_eq!((library.ctx_term)(context), 0);
            }
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(30)).expect("no lock is held");
    }
}

#[test]
fn a_subscription_that_is_too_long_is_refused() {
    const SUBSCRIBE: c_int = 6;
    const UNSUBSCRIBE: c_int = 7;
    let pair = Pair::of([2, 1], "inproc://too-long");
    let library = pair.library;
    let prefix = vec![0_u8; 2 << 20];
    // SAFETY: see `Pair::of`.
    unsafe {
        let set = |option, prefix: &[u8]| {
            library.outcome((library.setsockopt)(pair.ends[0], option, prefix.as_ptr().cast(), prefix.len()))
        };
        assert_eq!(set(SUBSCRIBE, &prefix), (-1, libc::EINVAL));
        assert_eq!(set(UNSUBSCRIBE, b"never begun"), (0, 0), "as in libzmq");
    }
    pair.end();
}

#[test]
fn a_context_keeps_the_threads_that_it_started_with() {
    const IO_THREADS: c_int = 1;
    const AFFINITY: c_int = 4;
    let library = Library::nought();
    // SAFETY: see `Pair::of`.
    unsafe {
        let context = (library.ctx_new)();
        let socket = (library.socket)(context, 0);
        assert_eq!((library.ctx_set)(context, IO_THREADS, 0), 0);
        assert_eq!((library.bind)(socket, c("tcp://127.0.0.1:*").as_ptr()), 0, "its thread is still there");
        assert_eq!((library.ctx_set)(context, IO_THREADS, 4), 0);
        let (eighth, mut told, mut len) = (8_u64, 9_u64, 8);
        assert_eq!((library.setsockopt)(socket, AFFINITY, (&raw const eighth).cast(), 8), 0, "as any set of threads");
        assert_eq!((library.getsockopt)(socket, AFFINITY, (&raw mut told).cast(), &raw mut len), 0);
        assert_eq!(told, eighth);
        let bound = (library.bind)(socket, c("tcp://127.0.0.1:*").as_ptr());
        assert_eq!(library.outcome(bound), (-1, EMTHREAD), "there is no fourth thread");
        assert_eq!((library.close)(socket), 0);
        assert_eq!((library.ctx_term)(context), 0);
    }
}

#[test]
fn more_vectors_than_memory_holds_are_refused() {
    let pair = Pair::of([8, 7], "inproc://vectors");
    let library = pair.library;
    let mut vector = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
    // SAFETY: see `Pair::of`.
    unsafe {
        for mut count in [usize::MAX, isize::MAX as usize / 8, 0] {
            let sent = (library.sendiov)(pair.ends[0], (&raw mut vector).cast(), count, SNDMORE);
            assert_eq!(library.outcome(sent), (-1, libc::EINVAL));
            let received = (library.recviov)(pair.ends[1], (&raw mut vector).cast(), &raw mut count, 0);
            assert_eq!(library.outcome(received), (-1, libc::EINVAL));
        }
    }
    pair.end();
}

/// A public and a secret key, as text with a zero.
fn keys(library: &Library) -> ([u8; 41], [u8; 41]) {
    let (mut public, mut secret, mut again) = ([0; 41], [0; 41], [0; 41]);
    // SAFETY: there is room for the texts.
    unsafe {
        assert_eq!((library.curve_keypair)(public.as_mut_ptr().cast(), secret.as_mut_ptr().cast()), 0);
        assert_eq!((library.curve_public)(again.as_mut_ptr().cast(), secret.as_ptr().cast()), 0);
    }
    assert_eq!(public, again);
    (public, secret)
}

#[test]
fn curve_is_spoken_with_the_servers_key_and_a_pair_of_ones_own() {
    let nought = Library::nought();
    let (server, client, stranger) = (keys(&nought), keys(&nought), keys(&nought));
    let mut delivered = Vec::new();
    for (server_key, public_key) in [(server.0, client.0), (stranger.0, client.0), (server.0, stranger.0)] {
        // SAFETY: see `Pair::of`.
        unsafe {
            let context = (nought.ctx_new)();
            let (pull, push) = ((nought.socket)(context, 7), (nought.socket)(context, 8));
            let set = |socket, option, value: &[u8]| {
                assert_eq!((nought.setsockopt)(socket, option, value.as_ptr().cast(), value.len()), 0, "{option}");
            };
            set(pull, 47, &1_i32.to_ne_bytes());
            set(pull, 49, &server.1);
            set(push, 50, &server_key[..40]);
            set(push, 48, &public_key);
            set(push, 49, &client.1);
            set(push, 17, &0_i32.to_ne_bytes());
            // Who comes in may take its time, and of the others nothing ever comes.
            let is_right = delivered.is_empty();
            set(pull, 27, &(if is_right { 30_000_i32 } else { 500 }).to_ne_bytes());
            assert_eq!((nought.bind)(pull, c("tcp://127.0.0.1:*").as_ptr()), 0);
            let (mut endpoint, mut len) = ([0_u8; 256], 256);
            assert_eq!((nought.getsockopt)(pull, 32, endpoint.as_mut_ptr().cast(), &raw mut len), 0);
            assert_eq!((nought.connect)(push, endpoint.as_ptr().cast()), 0);
            assert_eq!((nought.send)(push, b"x".as_ptr().cast(), 1, 0), 1);
            delivered.push((nought.recv)(pull, ptr::null_mut(), 0, 0));
            assert_eq!(((nought.close)(pull), (nought.close)(push)), (0, 0));
            assert_eq!((nought.ctx_term)(context), 0);
        }
    }
    assert_eq!(delivered, [1, -1, -1]);
}

#[test]
fn a_greeting_that_was_set_is_the_first_message() {
    let library = Library::nought();
    // SAFETY: see `Pair::of`.
    unsafe {
        let context = (library.ctx_new)();
        let [bound, connected] = [5, 5].map(|dealer| (library.socket)(context, dealer));
        assert_eq!((library.setsockopt)(connected, 110, b"hi".as_ptr().cast(), 2), 0);
        assert_eq!((library.bind)(bound, c("inproc://greeting").as_ptr()), 0);
        assert_eq!((library.connect)(connected, c("inproc://greeting").as_ptr()), 0);
        let mut buffer = [0_u8; 4];
        assert_eq!((library.recv)(bound, buffer.as_mut_ptr().cast(), 4, 0), 2);
        assert_eq!(&buffer[..2], b"hi");
        assert_eq!(((library.close)(bound), (library.close)(connected)), (0, 0));
        assert_eq!((library.ctx_term)(context), 0);
    }
}
