//! `zmq_poll`, `zmq_ppoll`: waiting for sockets and descriptors.

use std::{
    ffi::{c_int, c_long, c_short, c_void},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
    time::Duration,
};

use nought::{PollItem, Readiness, poll_with};

use crate::{
    border,
    errno::{Errno, Result},
    handle::Call,
    socket::{self, SocketHandle},
};

pub(crate) const POLLIN: c_short = 1;
pub(crate) const POLLOUT: c_short = 2;
pub(crate) const POLLERR: c_short = 4;
pub(crate) const POLLPRI: c_short = 8;

/// Something to wait for: a socket, or, where that is null, a descriptor.
#[repr(C)]
pub(crate) struct zmq_pollitem_t {
    socket: *mut c_void,
    fd: c_int,
    events: c_short,
    revents: c_short,
}

/// What of `events` can be told of a socket.
pub(crate) fn interest(events: c_short) -> Readiness {
    Readiness { readable: events & POLLIN != 0, writable: events & POLLOUT != 0 }
}

pub(crate) fn events(readiness: Readiness) -> c_short {
    (if readiness.readable { POLLIN } else { 0 }) | (if readiness.writable { POLLOUT } else { 0 })
}

/// Sockets and descriptors to wait for.
#[derive(Default)]
pub(crate) struct Watched {
    sockets: Vec<(Call<SocketHandle>, c_short)>,
    descriptors: Vec<libc::pollfd>,
}

/// What came of a wait.
pub(crate) struct Outcome {
    /// In the order in which sockets were added.
    pub(crate) sockets: Vec<c_short>,
    /// In the order in which descriptors were added.
    pub(crate) descriptors: Vec<c_short>,
}

impl Watched {
    pub(crate) fn add_socket(&mut self, socket: *mut c_void, events: c_short) -> Result<()> {
        let call = socket::enter(socket)?;
        call.check_alive()?;
        self.sockets.push((call, events));
        Ok(())
    }

    pub(crate) fn add_descriptor(&mut self, fd: c_int, events: c_short) {
        let wanted = [(POLLIN, libc::POLLIN), (POLLOUT, libc::POLLOUT), (POLLPRI, libc::POLLPRI)];
        let events = wanted.iter().filter(|(ours, _)| events & ours != 0).fold(0, |all, (_, theirs)| all | theirs);
        self.descriptors.push(libc::pollfd { fd, events, revents: 0 });
    }

    /// Waits until one of them is ready, at most for `timeout`; `None`: for ever. `signals` are blocked meanwhile, in
    /// the place of those that are.
    pub(crate) fn wait(mut self, timeout: Option<Duration>, signals: *const libc::sigset_t) -> Result<Outcome> {
        let unfinished = self.unfinished();
        let timeout = if unfinished.iter().any(|events| *events != 0) { Some(Duration::ZERO) } else { timeout };
        let mut items: Vec<PollItem<'_>> =
            self.sockets.iter().map(|(call, events)| PollItem::new(&call.socket, interest(*events))).collect();
        let own = self.descriptors.len();
        let mut all = self.descriptors.clone();
        poll_with(&mut items, timeout, |sockets, timeout| {
            all.truncate(own);
            if own == 0 && sockets.is_empty() && timeout == Some(Duration::ZERO) {
                return Ok(false);
            }
            all.extend(sockets.iter().map(in_poll));
            ppoll(&mut all, timeout, signals)?;
            Ok(all[..own].iter().any(|item| item.revents != 0))
        })?;
        self.descriptors = all[..own].to_vec();
        let sockets = items.iter().zip(unfinished).map(|(item, more)| events(item.readiness()) | more).collect();
        Ok(Outcome { sockets, descriptors: self.descriptors.iter().map(happened).collect() })
    }

    /// What each socket is ready for because of messages that are not complete, or not fetched whole.
    fn unfinished(&self) -> Vec<c_short> {
        let of = |(call, wanted): &(Call<SocketHandle>, c_short)| events(call.complete(Readiness::default())) & wanted;
        self.sockets.iter().map(of).collect()
    }
}

/// A socket that was closed while it was waited for, or whose context is over, is ready for everything: that is not what
/// is to be told.
pub(crate) fn check_told(socket: *mut c_void, events: c_short) -> Result<()> {
    if events == 0 { Ok(()) } else { socket::enter(socket)?.check_alive() }
}

fn in_poll(descriptor: &BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

fn happened(item: &libc::pollfd) -> c_short {
    let told = [(POLLIN, libc::POLLIN), (POLLOUT, libc::POLLOUT), (POLLPRI, libc::POLLPRI)];
    let events = told.iter().filter(|(_, theirs)| item.revents & theirs != 0).fold(0, |all, (ours, _)| all | ours);
    let other = item.revents & !(libc::POLLIN | libc::POLLOUT | libc::POLLPRI);
    events | if other == 0 { 0 } else { POLLERR }
}

/// Waits until something is there, at most for `timeout`; a signal that is handled meanwhile is an error.
pub(crate) fn ppoll(
    items: &mut [libc::pollfd],
    timeout: Option<Duration>,
    signals: *const libc::sigset_t,
) -> io::Result<()> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the items are as many as is said; the time is there, or null; the caller of zmq_ppoll answers for the set.
    match unsafe { libc::ppoll(items.as_mut_ptr(), items.len() as libc::nfds_t, timeout, signals) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A time-out in milliseconds; less than 0: for ever.
pub(crate) fn timeout(millis: c_long) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// # Safety
/// `items` is null or points to `count` items.
unsafe fn poll(
    items: *mut zmq_pollitem_t,
    count: c_int,
    timeout: Option<Duration>,
    signals: *const libc::sigset_t,
) -> Result<c_int> {
    let count = usize::try_from(count).map_err(|_| Errno::INVALID)?;
    if items.is_null() && count > 0 {
        return Err(Errno::FAULT);
    }
    // SAFETY: as the caller says.
    let items = if count == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(items, count) } };
    let mut watched = Watched::default();
    for item in &*items {
        if item.socket.is_null() {
            watched.add_descriptor(item.fd, item.events);
        } else {
            watched.add_socket(item.socket, item.events)?;
        }
    }
    let Outcome { sockets, descriptors } = watched.wait(timeout, signals)?;
    let (mut sockets, mut descriptors) = (sockets.into_iter(), descriptors.into_iter());
    for item in &mut *items {
        let happened = if item.socket.is_null() { descriptors.next() } else { sockets.next() };
        item.revents = happened.unwrap_or_default();
        if !item.socket.is_null() {
            check_told(item.socket, item.revents)?;
        }
    }
    Ok(items.iter().filter(|item| item.revents != 0).count() as c_int)
}

/// Waits for sockets and descriptors, at most for so many milliseconds; -1: for ever.
///
/// # Safety
/// `items` points to `count` items.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_poll(items: *mut zmq_pollitem_t, count: c_int, millis: c_long) -> c_int {
    // SAFETY: as the caller says.
    border::status(|| unsafe { poll(items, count, timeout(millis), ptr::null()) })
}

/// The same, with other signals blocked while it waits.
///
/// # Safety
/// As for [`zmq_poll`]; `signals` is null or points to a set of signals.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_ppoll(
    items: *mut zmq_pollitem_t,
    count: c_int,
    millis: c_long,
    signals: *const libc::sigset_t,
) -> c_int {
    // SAFETY: as the caller says.
    border::status(|| unsafe { poll(items, count, timeout(millis), signals) })
}
