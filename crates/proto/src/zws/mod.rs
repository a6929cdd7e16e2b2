//! ZWS 2.0: ZMTP in the messages of a WebSocket (RFC 45, RFC 6455), as a translation without I/O.
//!
//! The machine speaks ZMTP 3, as over any stream, and hears it; the peer speaks ZWS, and hears that. What ZWS does
//! without is played to the machine: the greeting. Its mechanism is told to the peer by the name of the subprotocol, and
//! the peer's choice becomes the greeting that the machine reads.
//!
//! | ZMTP | ZWS |
//! | --- | --- |
//! | mechanism in the greeting | subprotocol `ZWS2.0/MECHANISM` of the HTTP upgrade |
//! | frame | binary message, the first byte MORE (1) or COMMAND (2) |
//! | SUBSCRIBE, CANCEL | message of one byte (1 or 0) and the prefix |
//! | PING, PONG | WebSocket's own; the peer's PING is answered here |
//! | ZMTP 1.0 | the subprotocol `ZWS2.0`, which has no mechanism: a routing id, then messages |

mod error;
mod frame;
mod reader;
mod upgrade;
mod writer;

use std::{
    io::{self, IoSlice},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::error::Violation;
use self::{
    reader::{Next, Reader},
    writer::Writer,
};
pub use crate::mechanism::Role;

/// Fills a slice with numbers that nobody can foresee: WebSocket's clients mask what they send with them.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// One WebSocket connection, between a machine and a byte channel that is read and written without blocking. One thread
/// may read and another write at the same time.
pub struct Zws {
    reader: Mutex<Reader>,
    writer: Mutex<Writer>,
    holds_more: AtomicBool,
}

/// Whether the handshake is over, so that the peer is no stranger: both sides of a connection's translation know.
#[derive(Clone, Default)]
struct Established(Arc<AtomicBool>);

impl Established {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads of the channel in one of [`Zws::read`]: a peer that sends without pause what means nothing in ZMTP must not keep
/// this side from everything else. The second shows that the channel is drained.
const FILLS_PER_READ: usize = 2;

/// How far a read has come.
enum Outcome {
    Full,
    Drained,
    /// There may be more in the channel.
    Paused,
    Ended,
}

impl Zws {
    /// The side that connects, to `path` at `host`, both as the user wrote them.
    pub fn client(host: &str, path: &str, random: Random) -> Self {
        Self::new(Role::Client, |established| Writer::client(host, path, random, established))
    }

    /// The side that is connected to.
    pub fn server(random: Random) -> Self {
        Self::new(Role::Server, |established| Writer::server(random, established))
    }

    fn new(role: Role, writer: impl FnOnce(Established) -> Writer) -> Self {
        let established = Established::default();
        let reader = Reader::new(role, established.clone());
        Self { reader: Mutex::new(reader), writer: Mutex::new(writer(established)), holds_more: AtomicBool::new(false) }
    }

    /// Reads from the channel by `read` and appends what that means in ZMTP to `into`, no more than its spare capacity;
    /// what is to be answered at once is written by `write`. Both do as one non-blocking call of the system does. Returns how
    /// many bytes of ZMTP came; 0: the peer has ended.
    ///
    /// # Errors
    /// `WouldBlock`: nothing has come yet. `Interrupted`: what has come means nothing in ZMTP, and there may be more.
    /// `InvalidInput`: `into` has no room. `InvalidData`, with a [`Violation`]: the
    /// peer broke a rule, and has been told. Any other is the channel's.
    pub fn read(
        &self,
        into: &mut Vec<u8>,
        mut read: impl FnMut(&mut Vec<u8>) -> io::Result<usize>,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if into.len() == into.capacity() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
        }
        self.holds_more.store(false, Ordering::Relaxed);
        let mut reader = lock(&self.reader);
        let len_before = into.len();
        let outcome = self.read_on(&mut reader, into, &mut read, &mut write);
        let len = into.len() - len_before;
        match outcome {
            Ok(Outcome::Drained) if len == 0 => Err(io::ErrorKind::WouldBlock.into()),
            Ok(Outcome::Drained | Outcome::Full) => Ok(len),
            Ok(Outcome::Paused) if len == 0 => Err(io::ErrorKind::Interrupted.into()),
            Ok(Outcome::Paused | Outcome::Ended) => {
                self.holds_more.store(len > 0, Ordering::Relaxed);
                Ok(len)
            }
            Err(error) if len > 0 => {
                reader.fail_later(error);
                self.holds_more.store(true, Ordering::Relaxed);
                Ok(len)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a read would bring something that the channel will not tell of: how the peer ended, behind what the last
    /// read brought, or what this side's own greeting was waited for with.
    pub fn holds_more(&self) -> bool {
        self.holds_more.load(Ordering::Relaxed)
    }

    fn read_on(
        &self,
        reader: &mut Reader,
        into: &mut Vec<u8>,
        read: &mut dyn FnMut(&mut Vec<u8>) -> io::Result<usize>,
        write: &mut dyn FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<Outcome> {
        let mut fills = 0;
        loop {
            let next = reader.advance(into).or_else(|violation| self.refuse(violation, write))?;
            match next {
                Next::Full => return Ok(Outcome::Full),
                Next::Failed(error) => return Err(error),
                Next::Ended => return Ok(Outcome::Ended),
                Next::Starved => {
                    self.say(write, Writer::answer_ping)?;
                    if fills == FILLS_PER_READ {
                        return Ok(Outcome::Paused);
                    }
                    fills += 1;
                    match reader.fill(into, read) {
                        Ok(0) => return Ok(Outcome::Ended),
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Outcome::Drained),
                        Err(error) => return Err(error),
                    }
                }
                Next::Agreement => match lock(&self.writer).agreement() {
                    Some(agreement) => reader.agree(agreement),
                    // This side has not said which mechanism it wants.
                    None => return Ok(Outcome::Drained),
                },
                Next::Request(request) => {
                    let answered = lock(&self.writer).answer(request);
                    answered.or_else(|violation| self.refuse(violation, write))?;
                    self.say(write, |_| {})?;
                }
                Next::Response(response) => {
                    let checked = lock(&self.writer).check(&response);
                    checked.or_else(|violation| self.refuse(violation, write))?;
                }
                Next::Ping(payload) => lock(&self.writer).owe_pong(payload),
                Next::Pong(payload) => {
                    if lock(&self.writer).take_pong() {
                        reader.stage_pong(&payload);
                    }
                }
                Next::Close(payload) => self.say(write, |writer| writer.close(&payload))?,
            }
        }
    }

    /// Tells the peer which rule it broke.
    fn refuse<T>(&self, violation: Violation, write: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<T> {
        let mut writer = lock(&self.writer);
        writer.refuse();
        // It may be gone; that it broke the rule is what counts.
        let _ = writer.flush(write);
        Err(io::Error::new(io::ErrorKind::InvalidData, violation))
    }

    /// Writes an answer as far as the channel takes it now; the rest goes before whatever is written next.
    fn say(&self, write: &mut dyn FnMut(&[u8]) -> io::Result<usize>, say: impl FnOnce(&mut Writer)) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        say(&mut writer);
        match writer.flush(write) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes what `from` means in ZWS by `write`, until that takes no more, and returns how many bytes of `from` have
    /// gone out: whole frames, unless all went. What has been taken of a frame and not gone out is kept, so the next call
    /// must bring the same bytes again, as it brings what a channel has not taken.
    ///
    /// # Errors
    /// `WouldBlock`: none went out. `BrokenPipe`: this side has said that it ends. Any other is the channel's.
    pub fn write(&self, from: &[IoSlice<'_>], mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut writer = lock(&self.writer);
        let had_agreed = writer.agreement().is_some();
        let written = writer.write(from, &mut write);
        if !had_agreed && writer.agreement().is_some() {
            self.holds_more.store(true, Ordering::Relaxed);
        }
        written
    }

    /// Goes on writing what the channel did not take when it was due, such as an answer of this side's.
    ///
    /// # Errors
    /// `WouldBlock`: something is left. Any other is the channel's.
    pub fn flush(&self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        if writer.has_ended() { Ok(()) } else { writer.flush(&mut write) }
    }

    /// Says that nothing more will be written, if the channel takes that now.
    pub fn close_write(&self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
        let mut writer = lock(&self.writer);
        writer.close(&frame::NORMAL_CLOSURE.to_be_bytes());
        // The end of the stream says the same.
        let _ = writer.flush(&mut write);
        writer.end();
    }
}

/// A panic while it was held came from `read` or `write`; the next call finds out what has become of the channel.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
