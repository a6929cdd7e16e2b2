//! A descriptor for event loops of others: it becomes readable when it is worth looking at the socket again.
//!
//! It is an epoll instance that holds the socket's own poller and an eventfd. While the socket is claimed by the
//! application that looks, the kernel's events show through the poller; while the driver has it, the driver sets the
//! eventfd when the socket becomes ready for something. Looking resets both.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::{Core, State};
use crate::poll::Readiness;

/// The descriptors; they live as long as the socket, once they are asked for.
#[derive(Debug)]
pub(crate) struct Descriptor {
    epoll: OwnedFd,
    signal: OwnedFd,
}

/// What those who wait in an event loop know.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What the socket was ready for when that was last looked at or signalled.
    readiness: Readiness,
    /// The epoch of the last message that found no room of which it has been told that something has changed since.
    told_of_refusal_at: Option<u64>,
    /// The eventfd is set.
    is_signalled: bool,
}

impl Descriptor {
    fn new(poller: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signal = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        for source in [poller, signal.as_fd()] {
            epoll::add(&epoll, source, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Self { epoll, signal })
    }

    fn signal(&self, told: &mut Told) {
        if !std::mem::replace(&mut told.is_signalled, true) {
            // Fails only if the counter is full, and then it is readable already.
            let _ = rustix::io::write(&self.signal, &1_u64.to_ne_bytes());
        }
    }

    fn reset(&self, told: &mut Told) {
        if std::mem::take(&mut told.is_signalled) {
            let _ = rustix::io::read(&self.signal, &mut [0; 8]);
        }
    }
}

impl Core {
    /// The descriptor to wait for; it is made at the first call.
    pub(crate) fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        if self.descriptor.get().is_none() {
            let descriptor = Descriptor::new(self.poller.as_fd())?;
            let mut state = self.lock();
            // Of two callers at a time the first one's is kept.
            if self.descriptor.set(descriptor).is_ok() {
                state.waiters.told = Some(Told::default());
                state.waiters.watching += 1;
                self.mail.sleep();
            }
            drop(self.settle(state));
        }
        self.descriptor.get().map(|descriptor| descriptor.epoll.as_fd()).ok_or(io::ErrorKind::NotFound.into())
    }

    /// Tells those who wait in an event loop, if the socket has become ready for something.
    pub(super) fn tell_descriptor(&self, state: &mut State) {
        let Some(before) = state.waiters.told.as_ref().map(|told| told.readiness) else { return };
        let now = crate::poll::readiness(state, Readiness::BOTH.into());
        let is_ready_now = now.readable && !before.readable || now.writable && !before.writable;
        // For a message to another peer there may have been room all the time.
        let refusal_at = state.machine.refused_at().filter(|&at| at != state.machine.room_epoch());
        if let (Some(descriptor), Some(told)) = (self.descriptor.get(), &mut state.waiters.told) {
            told.readiness = now;
            let has_room_again = refusal_at.is_some() && told.told_of_refusal_at != refusal_at;
            told.told_of_refusal_at = refusal_at.or(told.told_of_refusal_at);
            if is_ready_now || has_room_again || state.terminated {
                descriptor.signal(told);
            }
        }
    }

    /// The application has looked, and will wait for the next change.
    pub(crate) fn reset_descriptor(&self, state: &mut State) {
        let Some(told) = &mut state.waiters.told else { return };
        if let Some(descriptor) = self.descriptor.get() {
            descriptor.reset(told);
        }
        if state.has_unfinished() {
            // Of links that are not read to their end the kernel does not tell again.
            self.hand_back(state);
        } else if !state.terminated {
            self.stay(state);
        }
    }
}
