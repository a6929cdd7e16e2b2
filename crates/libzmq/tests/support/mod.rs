//! Both libraries, loaded into the test: nought's, as this build left it, and the libzmq of the system.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_ulong, c_void},
    path::{Path, PathBuf},
    ptr,
};

/// Nought's library, beside the test.
pub fn nought_path() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("libzmq.so")
}

/// The system's library.
pub fn libzmq_path() -> PathBuf {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let found = places.iter().map(|place| Path::new(place).join("libzmq.so.5")).find(|path| path.exists());
    found.expect("libzmq.so.5 is to be compared with: install libzmq5 and libzmq3-dev")
}

macro_rules! library {
    ($(#[$attribute:meta])* $library:ident { $($name:ident: fn($($argument:ty),*) -> $result:ty;)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub struct $library {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> $result,)+
        }

        impl $library {
            pub fn load(path: &Path) -> Self {
                let path = CString::new(path.to_str().unwrap()).unwrap();
                // SAFETY: the library has initialisers of its own alone.
                let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
                assert!(!handle.is_null(), "{path:?} cannot be loaded");
                let symbol = |name: &CStr| {
                    // SAFETY: the handle is one of dlopen's.
                    let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
                    assert!(!symbol.is_null(), "{path:?} has no {name:?}");
                    symbol
                };
                Self {
                    // SAFETY: the function is declared so in zmq.h.
                    $($name: unsafe {
                        std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $result>(
                            symbol(&CString::new(concat!("zmq_", stringify!($name))).unwrap()),
                        )
                    },)+
                }
            }
        }
    };
}

library! {
    /// The functions of a library.
    Library {
        errno: fn() -> c_int;
        strerror: fn(c_int) -> *const c_char;
        ctx_new: fn() -> *mut c_void;
        ctx_term: fn(*mut c_void) -> c_int;
        ctx_shutdown: fn(*mut c_void) -> c_int;
        ctx_set: fn(*mut c_void, c_int, c_int) -> c_int;
        ctx_get: fn(*mut c_void, c_int) -> c_int;
        socket: fn(*mut c_void, c_int) -> *mut c_void;
        close: fn(*mut c_void) -> c_int;
        setsockopt: fn(*mut c_void, c_int, *const c_void, usize) -> c_int;
        getsockopt: fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int;
        bind: fn(*mut c_void, *const c_char) -> c_int;
        connect: fn(*mut c_void, *const c_char) -> c_int;
        unbind: fn(*mut c_void, *const c_char) -> c_int;
        disconnect: fn(*mut c_void, *const c_char) -> c_int;
        send: fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
        recv: fn(*mut c_void, *mut c_void, usize, c_int) -> c_int;
        sendiov: fn(*mut c_void, *mut c_void, usize, c_int) -> c_int;
        recviov: fn(*mut c_void, *mut c_void, *mut usize, c_int) -> c_int;
        msg_init: fn(*mut c_void) -> c_int;
        msg_init_size: fn(*mut c_void, usize) -> c_int;
        msg_init_data: fn(*mut c_void, *mut c_void, usize, Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>, *mut c_void) -> c_int;
        msg_data: fn(*mut c_void) -> *mut c_void;
        msg_size: fn(*const c_void) -> usize;
        msg_more: fn(*const c_void) -> c_int;
        msg_copy: fn(*mut c_void, *mut c_void) -> c_int;
        msg_move: fn(*mut c_void, *mut c_void) -> c_int;
        msg_send: fn(*mut c_void, *mut c_void, c_int) -> c_int;
        msg_recv: fn(*mut c_void, *mut c_void, c_int) -> c_int;
        msg_close: fn(*mut c_void) -> c_int;
        msg_get: fn(*const c_void, c_int) -> c_int;
        msg_gets: fn(*const c_void, *const c_char) -> *const c_char;
        poll: fn(*mut c_void, c_int, c_long) -> c_int;
        socket_monitor: fn(*mut c_void, *const c_char, c_int) -> c_int;
        proxy: fn(*mut c_void, *mut c_void, *mut c_void) -> c_int;
        proxy_steerable: fn(*mut c_void, *mut c_void, *mut c_void, *mut c_void) -> c_int;
        curve_keypair: fn(*mut c_char, *mut c_char) -> c_int;
        curve_public: fn(*mut c_char, *const c_char) -> c_int;
        timers_new: fn() -> *mut c_void;
        timers_destroy: fn(*mut *mut c_void) -> c_int;
        timers_cancel: fn(*mut c_void, c_int) -> c_int;
        timers_add: fn(*mut c_void, usize, Option<unsafe extern "C" fn(c_int, *mut c_void)>, *mut c_void) -> c_int;
        timers_timeout: fn(*mut c_void) -> c_long;
        timers_execute: fn(*mut c_void) -> c_int;
        stopwatch_start: fn() -> *mut c_void;
        stopwatch_intermediate: fn(*mut c_void) -> c_ulong;
        stopwatch_stop: fn(*mut c_void) -> c_ulong;
        atomic_counter_new: fn() -> *mut c_void;
        atomic_counter_value: fn(*mut c_void) -> c_int;
        atomic_counter_destroy: fn(*mut *mut c_void) -> ();
        threadclose: fn(*mut c_void) -> ();
        has: fn(*const c_char) -> c_int;
        atomic_counter_inc: fn(*mut c_void) -> c_int;
        z85_encode: fn(*mut c_char, *const u8, usize) -> *mut c_char;
        z85_decode: fn(*mut u8, *const c_char) -> *mut u8;
    }
}

library! {
    /// The draft functions, which the system's library has not.
    Drafts {
        join: fn(*mut c_void, *const c_char) -> c_int;
        poller_new: fn() -> *mut c_void;
        poller_destroy: fn(*mut *mut c_void) -> c_int;
        poller_size: fn(*mut c_void) -> c_int;
        poller_add: fn(*mut c_void, *mut c_void, *mut c_void, c_short) -> c_int;
        poller_remove: fn(*mut c_void, *mut c_void) -> c_int;
        poller_wait_all: fn(*mut c_void, *mut PollerEvent, c_int, c_long) -> c_int;
        poller_fd: fn(*mut c_void, *mut c_int) -> c_int;
        socket_monitor_versioned: fn(*mut c_void, *const c_char, u64, c_int, c_int) -> c_int;
        socket_monitor_pipes_stats: fn(*mut c_void) -> c_int;
    }
}

impl Drafts {
    pub fn nought() -> Self {
        Self::load(&nought_path())
    }
}

/// `zmq_poller_event_t`.
#[repr(C)]
pub struct PollerEvent {
    pub socket: *mut c_void,
    pub fd: c_int,
    pub user_data: *mut c_void,
    pub events: c_short,
}

pub const HAUSNUMERO: c_int = 156_384_712;
pub const ETERM: c_int = HAUSNUMERO + 53;
pub const EMTHREAD: c_int = HAUSNUMERO + 54;
pub const EFSM: c_int = HAUSNUMERO + 51;

impl Library {
    pub fn nought() -> Self {
        Self::load(&nought_path())
    }

    pub fn libzmq() -> Self {
        Self::load(&libzmq_path())
    }

    /// What a call returned, and `errno` if that says that it failed.
    pub fn outcome(&self, returned: c_int) -> (c_int, c_int) {
        // SAFETY: it takes nothing.
        (returned, if returned < 0 { unsafe { (self.errno)() } } else { 0 })
    }
}

/// A `zmq_msg_t`.
#[repr(C, align(8))]
pub struct Msg(pub [u8; 64]);

impl Msg {
    pub fn zeroed() -> Self {
        Self([0; 64])
    }

    pub fn pointer(&mut self) -> *mut c_void {
        ptr::from_mut(self).cast()
    }
}

pub fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}
