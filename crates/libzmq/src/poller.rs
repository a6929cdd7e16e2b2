//! `zmq_poller_*`: sockets and descriptors that are waited for again and again.

use std::{
    ffi::{c_int, c_long, c_short, c_void},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    border,
    errno::{Errno, Result},
    handle,
    poll::{self, Outcome, POLLERR, POLLIN, POLLOUT, POLLPRI, Watched},
    socket,
};

/// Something that is ready.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct zmq_poller_event_t {
    socket: *mut c_void,
    fd: c_int,
    user_data: *mut c_void,
    events: c_short,
}

impl zmq_poller_event_t {
    const NOTHING: Self = Self { socket: ptr::null_mut(), fd: -1, user_data: ptr::null_mut(), events: 0 };
}

#[derive(Default)]
pub(crate) struct Poller(Mutex<Items>);

#[derive(Default)]
struct Items {
    all: Vec<Item>,
    /// Holds the descriptors of the sockets among them, once it was asked for.
    descriptor: Option<Descriptor>,
}

/// What is waited for, for which events, and what the application wants to be told with them.
#[derive(Clone, Copy)]
struct Item {
    source: Source,
    events: c_short,
    user_data: *mut c_void,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Socket(*mut c_void),
    Descriptor(c_int),
}

// SAFETY: the pointers are not looked at here: they are handed back to the application, or entered as any handle is.
unsafe impl Send for Item {}

impl Source {
    fn socket(socket: *mut c_void) -> Result<Self> {
        socket::enter(socket).map(|_| Self::Socket(socket))
    }

    /// Why there is no such item.
    fn why_not_there(self) -> Errno {
        match self {
            Self::Socket(socket) => socket::enter(socket).err().unwrap_or(Errno::INVALID),
            Self::Descriptor(_) => Errno::INVALID,
        }
    }

    fn descriptor(fd: c_int) -> Result<Self> {
        if fd < 0 { Err(Errno(libc::EBADF)) } else { Ok(Self::Descriptor(fd)) }
    }
}

fn check_events(events: c_short) -> Result<()> {
    if events & !(POLLIN | POLLOUT | POLLERR | POLLPRI) == 0 { Ok(()) } else { Err(Errno::INVALID) }
}

impl Poller {
    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, source: Source, user_data: *mut c_void, events: c_short) -> Result<()> {
        check_events(events)?;
        let mut items = self.lock();
        if items.all.iter().any(|item| item.source == source) {
            return Err(Errno::INVALID);
        }
        if let (Some(descriptor), Source::Socket(socket)) = (&items.descriptor, source) {
            descriptor.add(socket)?;
        }
        items.all.push(Item { source, events, user_data });
        Ok(())
    }

    fn modify(&self, source: Source, events: c_short) -> Result<()> {
        check_events(events)?;
        let mut items = self.lock();
        items.all.iter_mut().find(|item| item.source == source).ok_or(Errno::INVALID)?.events = events;
        Ok(())
    }

    fn remove(&self, source: Source) -> Result<()> {
        let mut items = self.lock();
        let position = items.all.iter().position(|item| item.source == source).ok_or_else(|| source.why_not_there())?;
        if let (Some(descriptor), Source::Socket(socket)) = (&items.descriptor, source) {
            descriptor.remove(socket)?;
        }
        items.all.remove(position);
        Ok(())
    }

    /// The descriptor to wait for in the place of the poller: it counts for its sockets, of which at least one has to be
    /// thread-safe, as in libzmq.
    fn descriptor(&self) -> Result<c_int> {
        let mut items = self.lock();
        if items.descriptor.is_none() {
            let sockets: Vec<_> = items.all.iter().filter_map(Item::socket).collect();
            let is_thread_safe = |socket: &*mut c_void| socket::enter(*socket).is_ok_and(|call| call.is_thread_safe());
            if !sockets.iter().any(is_thread_safe) {
                return Err(Errno::INVALID);
            }
            let descriptor = Descriptor::new()?;
            sockets.iter().try_for_each(|socket| descriptor.add(*socket))?;
            items.descriptor = Some(descriptor);
        }
        items.descriptor.as_ref().map(|descriptor| descriptor.0.as_raw_fd()).ok_or(Errno::INVALID)
    }

    /// What is ready, in the order in which it was added.
    fn wait(&self, millis: c_long) -> Result<Vec<zmq_poller_event_t>> {
        let (items, has_descriptor) = {
            let items = self.lock();
            (items.all.clone(), items.descriptor.is_some())
        };
        if items.iter().all(|item| item.events == 0) && millis < 0 {
            // Nothing could ever end it.
            return Err(Errno::FAULT);
        }
        let mut watched = Watched::default();
        for item in &items {
            match item.source {
                Source::Socket(socket) => watched.add_socket(socket, item.events)?,
                Source::Descriptor(fd) => watched.add_descriptor(fd, item.events),
            }
        }
        let Outcome { sockets, descriptors } = watched.wait(poll::timeout(millis), ptr::null())?;
        let (mut sockets, mut descriptors) = (sockets.into_iter(), descriptors.into_iter());
        let mut ready = Vec::new();
        for item in &items {
            let events = match item.source {
                Source::Socket(_) => sockets.next(),
                Source::Descriptor(_) => descriptors.next(),
            };
            let mut events = events.unwrap_or_default();
            if let Source::Socket(socket) = item.source {
                if has_descriptor {
                    events |= reset_descriptor(socket) & item.events;
                }
                poll::check_told(socket, events)?;
            }
            if events != 0 {
                ready.push(item.event(events));
            }
        }
        if ready.is_empty() { Err(Errno::AGAIN) } else { Ok(ready) }
    }
}

/// From now on what is new makes a socket's descriptor readable; what is there now is returned, since it will not.
fn reset_descriptor(socket: *mut c_void) -> c_short {
    socket::enter(socket).map_or(0, |call| poll::events(call.complete(call.socket.readiness())))
}

/// An epoll instance with the descriptors of sockets.
struct Descriptor(OwnedFd);

impl Descriptor {
    fn new() -> Result<Self> {
        // SAFETY: it takes no pointers.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(Errno::last());
        }
        // SAFETY: it was just opened, and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    fn add(&self, socket: *mut c_void) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket)
    }

    /// The descriptor of a socket that is closed has left by itself; and what is open by that handle now never came.
    fn remove(&self, socket: *mut c_void) -> Result<()> {
        match self.control(libc::EPOLL_CTL_DEL, socket) {
            Err(Errno::NOT_A_SOCKET | Errno::NOT_FOUND) => Ok(()),
            removed => removed,
        }
    }

    fn control(&self, operation: c_int, socket: *mut c_void) -> Result<()> {
        let call = socket::enter(socket)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let of_socket = call.socket.descriptor()?.as_raw_fd();
        // SAFETY: both descriptors are open, and the event is there.
        match unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, of_socket, &raw mut event) } {
            0 => Ok(()),
            _ => Err(Errno::last()),
        }
    }
}

impl Item {
    fn socket(&self) -> Option<*mut c_void> {
        match self.source {
            Source::Socket(socket) => Some(socket),
            Source::Descriptor(_) => None,
        }
    }

    fn event(&self, events: c_short) -> zmq_poller_event_t {
        let (socket, fd) = match self.source {
            Source::Socket(socket) => (socket, -1),
            Source::Descriptor(fd) => (ptr::null_mut(), fd),
        };
        zmq_poller_event_t { socket, fd, user_data: self.user_data, events }
    }
}

fn with<T>(poller: *mut c_void, body: impl FnOnce(&Poller) -> Result<T>) -> Result<T> {
    body(&*handle::enter::<Poller>(poller)?)
}

/// A poller of nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_new() -> *mut c_void {
    border::pointer(|| handle::open(Poller::default()))
}

/// Gives a poller up, and makes the pointer to it null.
///
/// # Safety
/// `poller` is null or points to a handle.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_poller_destroy(poller: *mut *mut c_void) -> c_int {
    border::unit(|| {
        if poller.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as the caller says.
        unsafe {
            handle::close::<Poller>(*poller)?;
            *poller = ptr::null_mut();
        }
        Ok(())
    })
}

/// How much it waits for.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_size(poller: *mut c_void) -> c_int {
    border::status(|| with(poller, |poller| Ok(socket::length(poller.lock().all.len()))))
}

/// Adds a socket.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_add(
    poller: *mut c_void,
    socket: *mut c_void,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    border::unit(|| with(poller, |poller| poller.add(Source::socket(socket)?, user_data, events)))
}

/// Changes what is waited for of a socket.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_modify(poller: *mut c_void, socket: *mut c_void, events: c_short) -> c_int {
    border::unit(|| with(poller, |poller| poller.modify(Source::socket(socket)?, events)))
}

/// Removes a socket, be it closed by now.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_remove(poller: *mut c_void, socket: *mut c_void) -> c_int {
    border::unit(|| with(poller, |poller| poller.remove(Source::Socket(socket))))
}

/// Adds a descriptor.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_add_fd(
    poller: *mut c_void,
    fd: c_int,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    border::unit(|| with(poller, |poller| poller.add(Source::descriptor(fd)?, user_data, events)))
}

/// Changes what is waited for of a descriptor.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_modify_fd(poller: *mut c_void, fd: c_int, events: c_short) -> c_int {
    border::unit(|| with(poller, |poller| poller.modify(Source::descriptor(fd)?, events)))
}

/// Removes a descriptor.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_poller_remove_fd(poller: *mut c_void, fd: c_int) -> c_int {
    border::unit(|| with(poller, |poller| poller.remove(Source::descriptor(fd)?)))
}

/// Waits until something is ready, at most for so many milliseconds (-1: for ever), and tells the first of it.
///
/// # Safety
/// `event` is null or points to one.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_poller_wait(
    poller: *mut c_void,
    event: *mut zmq_poller_event_t,
    millis: c_long,
) -> c_int {
    // SAFETY: as the caller says.
    let told = unsafe { zmq_poller_wait_all(poller, event, 1, millis) };
    if told > 0 { 0 } else { told }
}

/// Waits as [`zmq_poller_wait`] does, and tells at most `count` of what is ready; returns how many.
///
/// # Safety
/// `events` is null or points to `count` of them.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_poller_wait_all(
    poller: *mut c_void,
    events: *mut zmq_poller_event_t,
    count: c_int,
    millis: c_long,
) -> c_int {
    border::status(|| {
        let call = handle::enter::<Poller>(poller)?;
        if events.is_null() {
            return Err(Errno::FAULT);
        }
        let count = usize::try_from(count).map_err(|_| Errno::INVALID)?;
        // SAFETY: as the caller says.
        let places = unsafe { std::slice::from_raw_parts_mut(events, count) };
        // Before anything is known, and if nothing is.
        places.iter_mut().take(1).for_each(|first| *first = zmq_poller_event_t::NOTHING);
        let ready = call.wait(millis)?;
        let told = ready.len().min(places.len());
        places[..told].copy_from_slice(&ready[..told]);
        Ok(socket::length(told))
    })
}

/// A descriptor to wait for in the place of a poller of which a socket is thread-safe: when it is readable, and after each
/// message that was sent or received, ask the poller before waiting for it again. It is closed with the poller.
///
/// # Safety
/// `fd` is null or points to a descriptor's place.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_poller_fd(poller: *mut c_void, fd: *mut c_int) -> c_int {
    border::unit(|| {
        let descriptor = with(poller, Poller::descriptor)?;
        if fd.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as the caller says.
        unsafe { fd.write(descriptor) };
        Ok(())
    })
}
