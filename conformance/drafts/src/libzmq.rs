//! libzmq's sockets, through the functions of its header that the tests need.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    num::NonZeroU32,
    ptr,
    time::Duration,
};

use nought::{Frame, Message, SocketType};

use crate::{PATIENCE, Refusal};

/// `zmq_msg_t`.
#[repr(C, align(8))]
struct RawMessage([u8; 64]);

unsafe extern "C" {
    safe fn zmq_ctx_new() -> *mut c_void;
    fn zmq_ctx_term(context: *mut c_void) -> c_int;
    fn zmq_socket(context: *mut c_void, socket_type: c_int) -> *mut c_void;
    fn zmq_close(socket: *mut c_void) -> c_int;
    fn zmq_setsockopt(socket: *mut c_void, option: c_int, value: *const c_void, len: usize) -> c_int;
    fn zmq_getsockopt(socket: *mut c_void, option: c_int, value: *mut c_void, len: *mut usize) -> c_int;
    fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_connect_peer(socket: *mut c_void, endpoint: *const c_char) -> u32;
    fn zmq_join(socket: *mut c_void, group: *const c_char) -> c_int;
    fn zmq_leave(socket: *mut c_void, group: *const c_char) -> c_int;
    fn zmq_msg_init(message: *mut RawMessage) -> c_int;
    fn zmq_msg_init_size(message: *mut RawMessage, len: usize) -> c_int;
    fn zmq_msg_close(message: *mut RawMessage) -> c_int;
    fn zmq_msg_data(message: *mut RawMessage) -> *mut c_void;
    fn zmq_msg_size(message: *const RawMessage) -> usize;
    fn zmq_msg_more(message: *const RawMessage) -> c_int;
    fn zmq_msg_set_routing_id(message: *mut RawMessage, number: u32) -> c_int;
    fn zmq_msg_routing_id(message: *mut RawMessage) -> u32;
    fn zmq_msg_set_group(message: *mut RawMessage, group: *const c_char) -> c_int;
    fn zmq_msg_group(message: *mut RawMessage) -> *const c_char;
    fn zmq_msg_send(message: *mut RawMessage, socket: *mut c_void, flags: c_int) -> c_int;
    fn zmq_msg_recv(message: *mut RawMessage, socket: *mut c_void, flags: c_int) -> c_int;
    safe fn zmq_errno() -> c_int;
}

// Numbers of zmq.h, and of Linux.
const LINGER: c_int = 17;
const RCVTIMEO: c_int = 27;
const SNDTIMEO: c_int = 28;
const LAST_ENDPOINT: c_int = 32;
const SNDMORE: c_int = 2;
const EAGAIN: c_int = 11;
const EINVAL: c_int = 22;
const EHOSTUNREACH: c_int = 113;

/// A socket in a context of its own.
pub struct Socket {
    context: *mut c_void,
    socket: *mut c_void,
    socket_type: SocketType,
}

// SAFETY: a socket of libzmq's may be handed to another thread, and this type is not shared between threads.
unsafe impl Send for Socket {}

impl Socket {
    pub(crate) fn new(socket_type: SocketType) -> Self {
        let context = zmq_ctx_new();
        // SAFETY: the context is new.
        let socket = unsafe { zmq_socket(context, c_int::from(socket_type.number())) };
        assert!(!socket.is_null(), "libzmq makes no {socket_type}: error {}", zmq_errno());
        let socket = Self { context, socket, socket_type };
        socket.set(LINGER, 0);
        socket.set(SNDTIMEO, PATIENCE.as_millis() as c_int);
        socket
    }

    fn set(&self, option: c_int, value: c_int) {
        // SAFETY: the socket is there, and the value is as long as is said.
        let result = unsafe { zmq_setsockopt(self.socket, option, ptr::from_ref(&value).cast(), size_of::<c_int>()) };
        assert_eq!(result, 0, "option {option}: error {}", zmq_errno());
    }

    pub(crate) fn bind(&self, endpoint: &str) -> String {
        self.with_text(zmq_bind, endpoint);
        if endpoint.starts_with("udp://") {
            return endpoint.to_owned();
        }
        let mut text = [0_u8; 256];
        let mut len = text.len();
        // SAFETY: the socket is there, and there is as much room as is said.
        let result = unsafe { zmq_getsockopt(self.socket, LAST_ENDPOINT, text.as_mut_ptr().cast(), &raw mut len) };
        assert_eq!(result, 0, "error {}", zmq_errno());
        CStr::from_bytes_until_nul(&text).unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) fn connect(&self, endpoint: &str) {
        self.with_text(zmq_connect, endpoint);
    }

    pub(crate) fn connect_peer(&self, endpoint: &str) -> NonZeroU32 {
        let text = CString::new(endpoint).unwrap();
        // SAFETY: the socket is there, and the text ends in zero.
        let number = unsafe { zmq_connect_peer(self.socket, text.as_ptr()) };
        NonZeroU32::new(number).unwrap_or_else(|| panic!("{endpoint}: error {}", zmq_errno()))
    }

    pub(crate) fn join(&self, group: &str) {
        self.with_text(zmq_join, group);
    }

    pub(crate) fn leave(&self, group: &str) {
        self.with_text(zmq_leave, group);
    }

    fn with_text(&self, function: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int, text: &str) {
        let c_text = CString::new(text).unwrap();
        // SAFETY: the socket is there, and the text ends in zero.
        let result = unsafe { function(self.socket, c_text.as_ptr()) };
        assert!(result >= 0, "{text}: error {}", zmq_errno());
    }

    pub(crate) fn send(&self, message: &Message) -> Result<(), Refusal> {
        let last = message.len() - 1;
        message.frames().enumerate().try_for_each(|(index, frame)| {
            let mut raw = RawMessage::of(frame);
            raw.set_address(message);
            // SAFETY: message and socket are there.
            let result = unsafe { zmq_msg_send(&raw mut raw, self.socket, if index < last { SNDMORE } else { 0 }) };
            if result >= 0 {
                return Ok(());
            }
            let error = zmq_errno();
            raw.close();
            Err(match error {
                EINVAL => Refusal::Malformed,
                EHOSTUNREACH => Refusal::Unroutable,
                error => panic!("not sent: error {error}"),
            })
        })
    }

    pub(crate) fn recv_within(&self, time: Duration) -> Option<Message> {
        self.set(RCVTIMEO, time.as_millis() as c_int);
        let mut frames = Vec::new();
        loop {
            let mut raw = RawMessage::new();
            // SAFETY: message and socket are there.
            let result = unsafe { zmq_msg_recv(&raw mut raw, self.socket, 0) };
            if result < 0 {
                assert_eq!(zmq_errno(), EAGAIN);
                raw.close();
                return None;
            }
            let (frame, has_more, address) = (raw.body(), raw.has_more(), raw.address(self.socket_type));
            raw.close();
            frames.push(frame);
            if !has_more {
                let mut message = Message::from(frames);
                message.set_address(address);
                return Some(message);
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: both are there, and are used no more. The linger time is none.
        unsafe {
            zmq_close(self.socket);
            zmq_ctx_term(self.context);
        }
    }
}

impl RawMessage {
    fn new() -> Self {
        let mut raw = Self([0; 64]);
        // SAFETY: it has the size and the alignment of a message.
        unsafe { zmq_msg_init(&raw mut raw) };
        raw
    }

    fn of(body: &[u8]) -> Self {
        let mut raw = Self([0; 64]);
        // SAFETY: it has the size and the alignment of a message, and after that room for the body.
        unsafe {
            assert_eq!(zmq_msg_init_size(&raw mut raw, body.len()), 0);
            ptr::copy_nonoverlapping(body.as_ptr(), zmq_msg_data(&raw mut raw).cast(), body.len());
        }
        raw
    }

    fn set_address(&mut self, message: &Message) {
        if let Some(number) = message.routing_id() {
            // SAFETY: it is a message.
            assert_eq!(unsafe { zmq_msg_set_routing_id(self, number.get()) }, 0);
        }
        if let Some(group) = message.group() {
            let group = CString::new(&group[..]).unwrap();
            // SAFETY: it is a message, and the text ends in zero.
            assert_eq!(unsafe { zmq_msg_set_group(self, group.as_ptr()) }, 0);
        }
    }

    fn body(&mut self) -> Frame {
        // SAFETY: it is a message, and has as many bytes as it says.
        let body = unsafe { std::slice::from_raw_parts(zmq_msg_data(self).cast::<u8>(), zmq_msg_size(self)) };
        Frame::from(body)
    }

    fn has_more(&self) -> bool {
        // SAFETY: it is a message.
        unsafe { zmq_msg_more(self) != 0 }
    }

    fn address(&mut self, socket_type: SocketType) -> Option<nought::Address> {
        // SAFETY: it is a message, and its group ends in zero and lives as long.
        unsafe {
            match socket_type {
                SocketType::Server | SocketType::Peer => {
                    NonZeroU32::new(zmq_msg_routing_id(self)).map(nought::Address::RoutingId)
                }
                SocketType::Dish => {
                    Some(nought::Address::Group(Frame::from(CStr::from_ptr(zmq_msg_group(self)).to_bytes())))
                }
                _ => None,
            }
        }
    }

    fn close(mut self) {
        // SAFETY: it is a message, and is used no more.
        unsafe { zmq_msg_close(&raw mut self) };
    }
}
