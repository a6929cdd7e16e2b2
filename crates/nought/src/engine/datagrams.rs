//! Datagrams as a link: each is a message, framed as in ZMTP 3.1, so that the machine need know nothing of them.

use std::{
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nought_proto::{
    SocketType,
    limits::DATAGRAM_LEN_MAX,
    wire::datagram::{Form, next_message},
};

use crate::transport::{Channel, DatagramChannel};

/// Datagrams without a message in them that one read passes over before others have their turn.
const MALFORMED_PER_READ: usize = 64;

/// A byte channel over a [`DatagramChannel`].
pub(crate) struct Datagrams {
    channel: Arc<dyn DatagramChannel>,
    form: Form,
    /// What has come and had no room yet.
    unread: Mutex<Vec<u8>>,
    dropped_in: AtomicU64,
    dropped_out: AtomicU64,
}

impl Datagrams {
    pub(crate) fn new(channel: Arc<dyn DatagramChannel>, socket_type: SocketType) -> Self {
        Self {
            channel,
            form: if socket_type == SocketType::Dgram { Form::Address } else { Form::Group },
            unread: Mutex::default(),
            dropped_in: AtomicU64::new(0),
            dropped_out: AtomicU64::new(0),
        }
    }

    /// How many datagrams were dropped since this was asked last: on arrival, and in the place of sending.
    pub(crate) fn take_dropped(&self) -> (u64, u64) {
        (self.dropped_in.swap(0, Ordering::Relaxed), self.dropped_out.swap(0, Ordering::Relaxed))
    }

    /// Receives the next message into `frames`.
    fn receive(&self, frames: &mut Vec<u8>) -> io::Result<()> {
        // One byte more shows what is longer.
        let mut datagram = [0; DATAGRAM_LEN_MAX + 1];
        for _ in 0..MALFORMED_PER_READ {
            let (len, from) = self.channel.receive(&mut datagram)?;
            if self.form.decode(&datagram[..len], from, frames) {
                return Ok(());
            }
            self.dropped_in.fetch_add(1, Ordering::Relaxed);
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Sends a message; one that cannot be sent is dropped and counted.
    fn send(&self, first: &[u8], body: &[u8]) -> io::Result<()> {
        let sent = match self.form.encode(first, body) {
            Some((datagram, to)) => self.channel.send(&datagram, to),
            None => Err(io::ErrorKind::InvalidData.into()),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(_) => {
                self.dropped_out.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Channel for Datagrams {
    /// Reads until there is no room, nothing more, or no end of what is malformed.
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let before = into.len();
        while into.len() < into.capacity() {
            if unread.is_empty()
                && let Err(error) = self.receive(&mut unread)
            {
                if into.len() == before {
                    return Err(error);
                }
                // The error comes again.
                break;
            }
            let len = unread.len().min(into.capacity() - into.len());
            into.extend(unread.drain(..len));
        }
        Ok(into.len() - before)
    }

    /// Sends whole messages.
    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = from.iter().flat_map(|slice| slice.iter().copied()).collect();
        let mut written = 0;
        while let Some((first, body, len)) = next_message(&bytes[written..]) {
            match self.send(first, body) {
                Ok(()) => written += len,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.channel.readiness()
    }

    fn connected(&self) -> io::Result<()> {
        Ok(())
    }

    /// There is no peer to tell.
    fn close_write(&self) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn local_endpoint(&self) -> String {
        self.channel.local_endpoint()
    }

    fn remote_endpoint(&self) -> String {
        self.channel.remote_endpoint()
    }

    fn peer_address(&self) -> Option<String> {
        None
    }
}
