//! The same calls on both libraries give the same: what is returned, `errno`, and what is written.

mod support;

use std::{
    ffi::{CStr, c_int, c_void},
    ptr, slice,
};

use support::{Library, Msg, c};

const DONTWAIT: c_int = 1;

/// Options in which the two differ: a mechanism that one has and the other has not, a descriptor that would be taken.
fn is_comparable(option: c_int) -> bool {
    let gssapi = [62, 63, 64, 65, 90, 91];
    let use_fd = 89;
    // Not stable, and not in a build without drafts.
    let drafts = 93..=130;
    !(gssapi.contains(&option) || option == use_fd || drafts.contains(&option))
}

/// A PUB cannot be told of subscriptions that it is to put into force by hand, and libzmq's sends to nobody then: ours
/// does not take the option.
fn is_refused_here(socket_type: c_int, option: c_int) -> bool {
    (socket_type, option) == (1, 71)
}

/// A socket in a context of its own.
struct Open {
    library: Library,
    context: *mut c_void,
    socket: *mut c_void,
}

impl Open {
    fn new(library: Library, socket_type: c_int) -> Self {
        // SAFETY: the calls are as zmq.h declares them; so below.
        unsafe {
            let context = (library.ctx_new)();
            Self { library, context, socket: (library.socket)(context, socket_type) }
        }
    }

    fn set(&self, option: c_int, value: &[u8]) -> (c_int, c_int) {
        // SAFETY: see above.
        let returned = unsafe { (self.library.setsockopt)(self.socket, option, value.as_ptr().cast(), value.len()) };
        self.library.outcome(returned)
    }

    fn get(&self, option: c_int, room: usize) -> Told {
        let mut buffer = vec![0xEE; room];
        let mut len = room;
        // SAFETY: see above.
        let returned =
            unsafe { (self.library.getsockopt)(self.socket, option, buffer.as_mut_ptr().cast(), &raw mut len) };
        (self.library.outcome(returned), len, buffer)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: see above.
        unsafe {
            let linger: c_int = 0;
            (self.library.setsockopt)(self.socket, 17, (&raw const linger).cast(), size_of::<c_int>());
            (self.library.close)(self.socket);
            (self.library.ctx_term)(self.context);
        }
    }
}

fn both(socket_type: c_int) -> [Open; 2] {
    [Library::nought(), Library::libzmq()].map(|library| Open::new(library, socket_type))
}

fn values() -> Vec<Vec<u8>> {
    let ints = [-2, -1, 0, 1, 2, 3, 99, 100, 1000, 65_535, 65_536, 6_553_500, 6_553_600, c_int::MAX, c_int::MIN];
    let mut values: Vec<Vec<u8>> = ints.iter().map(|int| int.to_ne_bytes().to_vec()).collect();
    values.extend([-1_i64, 0, 1, 1 << 40].map(|long| long.to_ne_bytes().to_vec()));
    // Of the length of a key, as bytes and as text.
    values.extend([vec![7; 32], vec![b'7'; 40], vec![b'"'; 40]]);
    values.extend(
        [&b""[..], b"a", b"ab", b"abc", b"\0bc", b"hello", &[b'x'; 17], &[b'x'; 255], &[b'x'; 256]].map(<[u8]>::to_vec),
    );
    values
}

type Told = ((c_int, c_int), usize, Vec<u8>);

fn show((outcome, len, buffer): &Told) -> String {
    format!("{outcome:?} {len} {:?}", &buffer[..buffer.len().min(8)])
}

#[test]
fn options_are_set_and_told_alike() {
    let mut differences = Vec::new();
    for socket_type in 0..=11 {
        let [ours, theirs] = both(socket_type);
        for option in (0..=92).filter(|&option| is_comparable(option) && !is_refused_here(socket_type, option)) {
            // Names that start with a zero are kept for those that a ROUTER makes up (RFC 28), and none is longer than 255
            // bytes: they are refused here.
            let is_name = |value: &Vec<u8>| value.first() != Some(&0) && value.len() < 256;
            let names_a_peer = option == 5 || option == 61;
            let is_legal = |value: &Vec<u8>| !names_a_peer || is_name(value);
            for value in values().into_iter().filter(is_legal) {
                let (a, b) = (ours.set(option, &value), theirs.set(option, &value));
                if a != b {
                    let shown = &value[..value.len().min(8)];
                    differences.push(format!("type {socket_type} set {option} to {shown:?}: {a:?}, libzmq {b:?}"));
                }
                if option == 14 {
                    continue;
                }
                for room in [4, 8, 32, 41, 300] {
                    let (a, b) = (ours.get(option, room), theirs.get(option, room));
                    if a != b {
                        differences.push(format!(
                            "type {socket_type} get {option} ({room}): {}, libzmq {}",
                            show(&a),
                            show(&b)
                        ));
                    }
                }
            }
        }
    }
    differences.dedup();
    let first: Vec<_> = differences.iter().take(60).collect();
    assert!(differences.is_empty(), "{} differences: {first:#?}", differences.len());
}

#[test]
fn a_pub_that_would_send_to_nobody_is_refused_here() {
    let [ours, theirs] = both(1);
    let one = 1_i32.to_ne_bytes();
    assert_eq!((ours.set(71, &one), theirs.set(71, &one)), ((-1, libc::EINVAL), (0, 0)));
}

#[test]
fn contexts_options_are_set_and_told_alike() {
    let [ours, theirs] = both(0);
    // The third is the priority of threads to be set, the sixth the size of a message to be told.
    for option in [1, 2, 3, 4, 5, 6, 10, 42, 70, 71, -1] {
        let get = |open: &Open| {
            // SAFETY: see `Open::new`.
            open.library.outcome(unsafe { (open.library.ctx_get)(open.context, option) })
        };
        assert_eq!(get(&ours), get(&theirs), "{option}");
        for value in [-1, 0, 1, 2, 1023, 65_535] {
            if option == 3 || option == 4 {
                continue;
            }
            let set = |open: &Open| {
                // SAFETY: see `Open::new`.
                open.library.outcome(unsafe { (open.library.ctx_set)(open.context, option, value) })
            };
            assert_eq!(set(&ours), set(&theirs), "{option} to {value}");
            assert_eq!(get(&ours), get(&theirs), "{option} after {value}");
        }
    }
}

#[test]
fn endpoints_are_refused_alike() {
    for socket_type in [0, 1, 3, 7, 11] {
        let [ours, theirs] = both(socket_type);
        for endpoint in [
            "",
            "x",
            "tcp",
            "tcp://",
            "tcp://x",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:x",
            "tcp://127.0.0.1:65536",
            "foo://bar",
            "ipc://",
            "inproc://",
            "tcp://192.0.2.1:5555",
            "tcp://no-such-interface:5555",
        ] {
            let bind = |open: &Open| {
                // SAFETY: see `Open::new`.
                open.library.outcome(unsafe { (open.library.bind)(open.socket, c(endpoint).as_ptr()) })
            };
            assert_eq!(bind(&ours), bind(&theirs), "type {socket_type} bind {endpoint:?}");
        }
        for endpoint in ["", "x", "tcp://", "tcp://x", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "foo://bar"] {
            let connect = |open: &Open| {
                // SAFETY: see `Open::new`.
                open.library.outcome(unsafe { (open.library.connect)(open.socket, c(endpoint).as_ptr()) })
            };
            assert_eq!(connect(&ours), connect(&theirs), "type {socket_type} connect {endpoint:?}");
        }
        for leave in [|open: &Open| open.library.unbind, |open: &Open| open.library.disconnect] {
            for endpoint in ["tcp://127.0.0.1:1", "inproc://x", "x"] {
                let left = |open: &Open| {
                    // SAFETY: see `Open::new`.
                    open.library.outcome(unsafe { leave(open)(open.socket, c(endpoint).as_ptr()) })
                };
                assert_eq!(left(&ours), left(&theirs), "type {socket_type} leave {endpoint:?}");
            }
        }
    }
}

#[test]
fn connections_are_refused_alike_where_no_thread_is_to_serve_them() {
    for (threads, affinity) in [(1, 0_u64), (1, 1), (1, 2), (1, 1 << 63), (2, 2), (2, 3), (2, 4), (0, 0), (0, 1)] {
        let [ours, theirs] = [Library::nought(), Library::libzmq()].map(|library| {
            // SAFETY: see `Open::new`.
            unsafe {
                let context = (library.ctx_new)();
                assert_eq!((library.ctx_set)(context, 1, threads), 0);
                let open = Open { library, context, socket: (library.socket)(context, 7) };
                let set = open.set(4, &affinity.to_ne_bytes());
                let bound = ["tcp://127.0.0.1:*", "ipc://*", "inproc://threads"]
                    .map(|endpoint| library.outcome((library.bind)(open.socket, c(endpoint).as_ptr())));
                let connected = ["tcp://127.0.0.1:1", "inproc://threads", "foo://bar"]
                    .map(|endpoint| library.outcome((library.connect)(open.socket, c(endpoint).as_ptr())));
                (set, bound, connected)
            }
        });
        assert_eq!(ours, theirs, "{threads} threads, affinity {affinity}");
    }
}

#[test]
fn capabilities_have_the_same_names() {
    let [ours, theirs] = [Library::nought(), Library::libzmq()];
    // SAFETY: the names are C strings.
    let has = |library: &Library, name: &str| unsafe { (library.has)(c(name).as_ptr()) };
    for name in ["ipc", "curve", "WS", "ws", "wss", "vmci", "tcp", "inproc", "udp", "plain", "IPC", "sodium", ""] {
        assert_eq!(has(&ours, name), has(&theirs, name), "{name}");
    }
    // Debian's has these, and is built without drafts.
    for (name, here) in [("pgm", 0), ("norm", 0), ("tipc", 0), ("gssapi", 0), ("draft", 1)] {
        assert_eq!(has(&ours, name), here, "{name}");
    }
    // SAFETY: null is no name.
    assert_eq!(unsafe { (ours.has)(ptr::null()) }, 0);
}

#[test]
fn sockets_send_and_receive_alike_when_nobody_is_there() {
    // A STREAM takes the second frame for the bytes to the peer that was no peer.
    for socket_type in 0..=10 {
        let [ours, theirs] = both(socket_type);
        for flags in [1, 1 | 2] {
            let send = |open: &Open| {
                // SAFETY: see `Open::new`.
                open.library.outcome(unsafe { (open.library.send)(open.socket, b"ab".as_ptr().cast(), 2, flags) })
            };
            assert_eq!(send(&ours), send(&theirs), "type {socket_type} send {flags}");
            let mut buffer = [0; 4];
            let place: *mut c_void = (&raw mut buffer).cast();
            let recv = |open: &Open| {
                // SAFETY: see `Open::new`.
                open.library.outcome(unsafe { (open.library.recv)(open.socket, place, 4, flags) })
            };
            assert_eq!(recv(&ours), recv(&theirs), "type {socket_type} recv");
        }
    }
}

#[test]
fn nothing_is_refused_alike() {
    for library in [Library::nought(), Library::libzmq()] {
        let outcome = |returned| library.outcome(returned);
        let null = ptr::null_mut();
        // SAFETY: null is what both are to refuse.
        unsafe {
            assert_eq!(outcome((library.ctx_term)(null)), (-1, libc::EFAULT));
            assert_eq!(outcome((library.ctx_shutdown)(null)), (-1, libc::EFAULT));
            assert_eq!(outcome((library.ctx_set)(null, 1, 1)), (-1, libc::EFAULT));
            assert_eq!(outcome((library.ctx_get)(null, 1)), (-1, libc::EFAULT));
            assert!((library.socket)(null, 0).is_null());
            assert_eq!((library.errno)(), libc::EFAULT);
            assert_eq!(outcome((library.close)(null)), (-1, libc::ENOTSOCK));
            assert_eq!(outcome((library.send)(null, null, 0, 0)), (-1, libc::ENOTSOCK));
            assert_eq!(outcome((library.recv)(null, null, 0, 0)), (-1, libc::ENOTSOCK));
            assert_eq!(outcome((library.setsockopt)(null, 17, null, 0)), (-1, libc::ENOTSOCK));
            assert_eq!(outcome((library.bind)(null, c("inproc://x").as_ptr())), (-1, libc::ENOTSOCK));
            assert_eq!(outcome((library.poll)(null, 1, 0)), (-1, libc::EFAULT));
            assert_eq!(outcome((library.poll)(null, -1, 0)), (-1, libc::EINVAL));
            assert_eq!(outcome((library.proxy)(null, null, null)), (-1, libc::EFAULT));
            assert_eq!(outcome((library.timers_cancel)(null, 1)), (-1, libc::EFAULT));
        }
    }
}

#[test]
fn numbers_of_errors_have_the_same_texts() {
    let [ours, theirs] = [Library::nought(), Library::libzmq()];
    for number in (0..=133).chain(support::HAUSNUMERO..support::HAUSNUMERO + 60) {
        // SAFETY: both return a C string for any number.
        let text = |library: &Library| unsafe { CStr::from_ptr((library.strerror)(number)) }.to_owned();
        assert_eq!(text(&ours), text(&theirs), "{number}");
    }
}

#[test]
fn messages_that_are_none_are_refused_alike() {
    for library in [Library::nought(), Library::libzmq()] {
        let mut message = Msg::zeroed();
        // SAFETY: as zmq.h declares them; a message of zeros was not initialised, which both can tell.
        unsafe {
            assert_eq!(library.outcome((library.msg_close)(message.pointer())), (-1, libc::EFAULT));
            assert_eq!((library.msg_init)(message.pointer()), 0);
            assert_eq!(library.outcome((library.msg_get)(message.pointer(), 77)), (-1, libc::EINVAL));
            assert!((library.msg_gets)(message.pointer(), c("Socket-Type").as_ptr()).is_null());
            assert_eq!((library.errno)(), libc::EINVAL);
            assert_eq!((library.msg_close)(message.pointer()), 0);
            assert_eq!(library.outcome((library.msg_close)(message.pointer())), (-1, libc::EFAULT));
        }
    }
}

#[test]
fn z85_is_refused_alike() {
    for library in [Library::nought(), Library::libzmq()] {
        let (mut text, mut data) = ([0; 32], [0; 32]);
        // SAFETY: as zmq.h declares them, with room for what they write.
        unsafe {
            assert!((library.z85_encode)(text.as_mut_ptr(), b"abc".as_ptr(), 3).is_null());
            assert_eq!((library.errno)(), libc::EINVAL);
            assert_eq!(
                (library.z85_encode)(text.as_mut_ptr(), [0x86, 0x4F, 0xD2, 0x6F].as_ptr(), 4),
                text.as_mut_ptr()
            );
            assert_eq!(CStr::from_ptr(text.as_ptr()), c"Hello");
            assert_eq!((library.z85_decode)(data.as_mut_ptr(), c("Hello").as_ptr()), data.as_mut_ptr());
            assert_eq!(data[..4], [0x86, 0x4F, 0xD2, 0x6F]);
            for wrong in ["Hell", "Hel\"o", "#####", "%nSc1"] {
                assert!((library.z85_decode)(data.as_mut_ptr(), c(wrong).as_ptr()).is_null(), "{wrong}");
                assert_eq!((library.errno)(), libc::EINVAL);
            }
        }
    }
}

/// What it held is gone if the socket was asked for a message and had none, and stays if the socket was not to be asked.
#[test]
fn a_message_that_nothing_is_received_into_is_left_the_same() {
    let [pair, req, rep, push] = [0, 3, 4, 8];
    for (receiver, sender, asked) in [(pair, pair, pair), (rep, req, rep), (pair, pair, push)] {
        for len in [0, 10, 55, 56, 1000, 8191, 8192] {
            let [ours, theirs] =
                both(receiver).map(|open| received_and_not(&open, sender, (asked != receiver).then_some(asked), len));
            assert_eq!(ours, theirs, "asked a socket of type {asked} with {len} bytes");
        }
    }
}

/// A message is received, and then none into its place: what that returned, and what is there then.
fn received_and_not(open: &Open, sender: c_int, other: Option<c_int>, len: usize) -> ((c_int, c_int), Vec<u8>) {
    let library = open.library;
    let mut message = Msg::zeroed();
    // SAFETY: see `Open::new`; the library says how long the body is.
    unsafe {
        let sender = (library.socket)(open.context, sender);
        let other = other.map(|socket_type| (library.socket)(open.context, socket_type));
        let endpoint = c("inproc://received");
        assert_eq!((library.bind)(open.socket, endpoint.as_ptr()), 0);
        assert_eq!((library.connect)(sender, endpoint.as_ptr()), 0);
        assert_eq!((library.send)(sender, vec![7_u8; len].as_ptr().cast(), len, 0), len as c_int);
        assert_eq!((library.msg_init)(message.pointer()), 0);
        assert_eq!((library.msg_recv)(message.pointer(), open.socket, 0), len as c_int);
        let asked = other.unwrap_or(open.socket);
        let returned = library.outcome((library.msg_recv)(message.pointer(), asked, DONTWAIT));
        let data = (library.msg_data)(message.pointer()).cast::<u8>();
        let body = slice::from_raw_parts(data, (library.msg_size)(message.pointer())).to_vec();
        assert_eq!((library.msg_close)(message.pointer()), 0);
        for socket in [Some(sender), other].into_iter().flatten() {
            assert_eq!((library.close)(socket), 0);
        }
        (returned, body)
    }
}

/// How many messages a PUSH could send that does not wait, at first and after each that its PULL received.
fn room_within_the_process(library: Library, hwm: c_int) -> Vec<usize> {
    let (push, mark) = (Open::new(library, 8), hwm.to_ne_bytes());
    let library = &push.library;
    // SAFETY: the calls are as zmq.h declares them.
    unsafe {
        let receiver = (library.socket)(push.context, 7);
        assert_eq!(push.set(23, &mark), (0, 0));
        assert_eq!((library.setsockopt)(receiver, 24, mark.as_ptr().cast(), mark.len()), 0);
        assert_eq!((library.bind)(receiver, c"inproc://room".as_ptr()), 0);
        assert_eq!((library.connect)(push.socket, c"inproc://room".as_ptr()), 0);
        let fill =
            || (0..1000).take_while(|_| (library.send)(push.socket, c"x".as_ptr().cast(), 1, DONTWAIT) == 1).count();
        let mut found = vec![fill()];
        for _ in 0..5 * hwm {
            let mut room = [0_u8; 1];
            assert_eq!((library.recv)(receiver, room.as_mut_ptr().cast(), 1, 0), 1);
            // libzmq looks for room once in a while only, but whenever it is asked what is ready.
            push.get(15, 4);
            found.push(fill());
        }
        assert_eq!((library.close)(receiver), 0);
        found
    }
}

#[test]
fn places_within_the_process_become_free_alike() {
    for hwm in [1, 2, 5, 10] {
        let [ours, theirs] =
            [Library::nought(), Library::libzmq()].map(|library| room_within_the_process(library, hwm));
        assert_eq!(ours, theirs, "marks of {hwm}");
    }
}
