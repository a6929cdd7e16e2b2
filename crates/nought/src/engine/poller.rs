//! A socket's own poller: its listeners and channels, and a wake-up that anyone can give.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nought_proto::ConnectionId;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// Events taken from the kernel at once.
pub(crate) const EVENTS_MAX: usize = 64;

/// Where the kernel puts them.
pub(crate) type EventBuffer = [MaybeUninit<epoll::Event>; EVENTS_MAX];

/// A buffer for [`Poller::wait`].
pub(crate) fn event_buffer() -> EventBuffer {
    [const { MaybeUninit::uninit() }; EVENTS_MAX]
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Wake,
    Link(ConnectionId),
    Listener(u32),
}

const WAKE: u64 = u64::MAX;
const LISTENER_BIT: u64 = 1 << 63;

impl Token {
    fn to_bits(self) -> u64 {
        match self {
            Self::Wake => WAKE,
            Self::Link(id) => id.to_bits(),
            Self::Listener(index) => LISTENER_BIT | u64::from(index),
        }
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        match bits {
            WAKE => Self::Wake,
            bits if bits & LISTENER_BIT != 0 => Self::Listener(bits as u32),
            // Zero names nobody, and nobody registers it.
            bits => ConnectionId::from_bits(bits).map_or(Self::Wake, Self::Link),
        }
    }
}

/// An epoll instance and the eventfd that wakes whoever sleeps in it.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self { epoll, wake })
    }

    /// Registers a descriptor for all changes of its readiness (edge-triggered).
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        use epoll::EventFlags;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.to_bits()), flags)?)
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        // It can only fail if the descriptor is not there, and then it need not be removed.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Makes the poller readable, until [`reset`](Self::reset).
    pub(crate) fn wake(&self) {
        // Fails only if the counter is full, and then it is readable already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn reset(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }

    /// Waits for events, at most for `timeout` (`None`: for ever).
    pub(crate) fn wait<'b>(
        &self,
        buffer: &'b mut EventBuffer,
        timeout: Option<Duration>,
    ) -> io::Result<&'b [epoll::Event]> {
        wait(&self.epoll, buffer, timeout)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Waits on any epoll instance.
pub(crate) fn wait<'b>(
    epoll: &OwnedFd,
    buffer: &'b mut EventBuffer,
    timeout: Option<Duration>,
) -> io::Result<&'b [epoll::Event]> {
    let timeout = timeout.map(timespec);
    match epoll::wait(epoll, &mut buffer[..], timeout.as_ref()) {
        Ok((events, _)) => Ok(events),
        Err(error) => Err(error.into()),
    }
}

/// Whole milliseconds, which all kernels know, and never too early.
fn timespec(timeout: Duration) -> Timespec {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
    Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
}
