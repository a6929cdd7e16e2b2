//! `zmq_errno`, `zmq_strerror`: what went wrong, in the thread's `errno`.

use std::ffi::{CStr, c_char, c_int};

use nought::{BindError, ConnectError, GroupError, RecvError, SendErrorKind, SocketError, SubscribeError};

/// Above all numbers of operating systems; libzmq's own are counted from it.
const HAUSNUMERO: c_int = 156_384_712;

/// An error number of the system's or of libzmq's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    pub(crate) const AGAIN: Self = Self(libc::EAGAIN);
    pub(crate) const FAULT: Self = Self(libc::EFAULT);
    pub(crate) const INTERRUPTED: Self = Self(libc::EINTR);
    pub(crate) const INVALID: Self = Self(libc::EINVAL);
    pub(crate) const NO_MEMORY: Self = Self(libc::ENOMEM);
    pub(crate) const NOT_A_SOCKET: Self = Self(libc::ENOTSOCK);
    pub(crate) const NOT_FOUND: Self = Self(libc::ENOENT);
    pub(crate) const NOT_SUPPORTED: Self = Self(libc::ENOTSUP);
    pub(crate) const TOO_MANY_FILES: Self = Self(libc::EMFILE);
    pub(crate) const TOO_LARGE: Self = Self(libc::EMSGSIZE);
    pub(crate) const UNREACHABLE: Self = Self(libc::EHOSTUNREACH);
    pub(crate) const IN_USE: Self = Self(libc::EADDRINUSE);
    /// It is not the socket's turn.
    pub(crate) const FSM: Self = Self(HAUSNUMERO + 51);
    /// The transport is not for this socket type.
    pub(crate) const NO_COMPATIBLE_PROTOCOL: Self = Self(HAUSNUMERO + 52);
    /// The context is over.
    pub(crate) const TERMINATED: Self = Self(HAUSNUMERO + 53);
    pub(crate) const NO_THREAD: Self = Self(HAUSNUMERO + 54);

    /// What the C library says of its last call.
    pub(crate) fn last() -> Self {
        std::io::Error::last_os_error().into()
    }

    pub(crate) fn set(self) {
        // SAFETY: the C library's errno is a place of this thread's own.
        unsafe { *libc::__errno_location() = self.0 };
    }

    /// libzmq's text for its own numbers, which the C library does not know.
    fn text(self) -> Option<&'static CStr> {
        Some(match self {
            Self::FSM => c"Operation cannot be accomplished in current state",
            Self::NO_COMPATIBLE_PROTOCOL => c"The protocol is not compatible with the socket type",
            Self::TERMINATED => c"Context was terminated",
            Self::NO_THREAD => c"No thread available",
            Self::UNREACHABLE => c"Host unreachable",
            _ => return None,
        })
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        match (error.raw_os_error(), error.kind()) {
            (Some(number), _) => Self(number),
            (None, std::io::ErrorKind::InvalidInput) => Self::INVALID,
            (None, std::io::ErrorKind::Interrupted) => Self::INTERRUPTED,
            (None, _) => Self(libc::EIO),
        }
    }
}

impl From<SendErrorKind> for Errno {
    fn from(kind: SendErrorKind) -> Self {
        match kind {
            SendErrorKind::OutOfTurn => Self::FSM,
            SendErrorKind::Unroutable => Self::UNREACHABLE,
            SendErrorKind::NotSupported => Self::NOT_SUPPORTED,
            SendErrorKind::Malformed => Self::INVALID,
            SendErrorKind::Interrupted => Self::INTERRUPTED,
            SendErrorKind::Terminated => Self::TERMINATED,
            _ => Self::AGAIN,
        }
    }
}

impl From<RecvError> for Errno {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::OutOfTurn => Self::FSM,
            RecvError::NotSupported => Self::NOT_SUPPORTED,
            RecvError::Interrupted => Self::INTERRUPTED,
            RecvError::Terminated => Self::TERMINATED,
            _ => Self::AGAIN,
        }
    }
}

impl From<BindError> for Errno {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Endpoint(error) => Self(error.errno()),
            BindError::Listen(error) => Self(error.errno()),
            BindError::NameInUse(_) => Self::IN_USE,
            BindError::NotForStream | BindError::WrongTransport { .. } => Self::NO_COMPATIBLE_PROTOCOL,
            BindError::System { source, .. } => source.into(),
            BindError::Terminated => Self::TERMINATED,
            _ => Self::INVALID,
        }
    }
}

impl From<ConnectError> for Errno {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Endpoint(error) => Self(error.errno()),
            ConnectError::NotForStream | ConnectError::WrongTransport { .. } => Self::NO_COMPATIBLE_PROTOCOL,
            ConnectError::Terminated => Self::TERMINATED,
            _ => Self::INVALID,
        }
    }
}

impl From<GroupError> for Errno {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::NotSupported => Self::NOT_SUPPORTED,
            _ => Self::INVALID,
        }
    }
}

impl From<SubscribeError> for Errno {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Full => Self::NO_MEMORY,
            _ => Self::INVALID,
        }
    }
}

impl From<SocketError> for Errno {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::TooMany { .. } => Self::TOO_MANY_FILES,
            SocketError::Terminated => Self::TERMINATED,
            SocketError::System(error) => error.into(),
            _ => Self::INVALID,
        }
    }
}

/// The error number of the last call of this thread that failed.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_errno() -> c_int {
    Errno::last().0
}

/// What an error number means, in words.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_strerror(number: c_int) -> *const c_char {
    match Errno(number).text() {
        Some(text) => text.as_ptr(),
        // SAFETY: it takes any number.
        None => unsafe { libc::strerror(number) },
    }
}
