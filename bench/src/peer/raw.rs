//! Bare sockets: what the system can do, without any library or protocol.
//!
//! As a stream, records of a fixed size are gathered into writes of 64 KiB; as a round trip, one side writes and
//! the other reads, either sleeping in the read or spinning on it.

use std::future::Future;
use std::hint::spin_loop;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Kind, Peer, Socket};
use crate::contender::Contender;
use crate::desk::Job;
use crate::work::{Transport, Work};

/// How much a streaming sender gathers for a write.
const WRITE_LEN: usize = 64 * 1024;

/// How much a receiver reads at most at a time.
const READ_LEN: usize = 256 * 1024;

/// Records of one size, which both sides know.
#[derive(Clone)]
pub(crate) struct Raw {
    record_len: usize,
    spinning: bool,
}

impl Peer for Raw {
    type Socket = RawSocket;

    fn supports(work: Work) -> bool {
        let one_to_one = match work {
            Work::Stream(stream) => stream.connections == 1,
            Work::RoundTrip(_) => true,
            _ => false,
        };
        one_to_one && work.transport() != Transport::Inproc
    }

    fn version() -> String {
        "bare sockets".into()
    }

    fn open(job: &Job) -> Result<Self> {
        Ok(Self { record_len: job.work.message_size(), spinning: job.contender == Contender::RawSpinning })
    }

    fn run<F: Future>(&self, worker: F) -> F::Output {
        pollster::block_on(worker)
    }

    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn socket(&self, kind: Kind) -> Result<RawSocket> {
        Ok(RawSocket {
            options: self.clone(),
            gathers: kind == Kind::Push,
            is_first: true,
            listener: None,
            channel: None,
            outgoing: Vec::with_capacity(WRITE_LEN),
            incoming: Incoming::new(self.record_len),
        })
    }

    fn proxy(&self, _front: RawSocket, _back: RawSocket) -> Result<()> {
        bail!("bare sockets know no proxy")
    }
}

/// One end of a connection.
pub(crate) struct RawSocket {
    options: Raw,
    /// Whether small records wait for a full write.
    gathers: bool,
    /// Whether nothing has been sent yet: the first record goes out at once, it tells that all is set up.
    is_first: bool,
    listener: Option<Listener>,
    channel: Option<Channel>,
    outgoing: Vec<u8>,
    incoming: Incoming,
}

impl Socket for RawSocket {
    async fn bind(&mut self, endpoint: &str) -> Result<String> {
        let (listener, endpoint) = Listener::bind(endpoint)?;
        self.listener = Some(listener);
        Ok(endpoint)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        self.channel = Some(Channel::connect(endpoint, self.options.spinning)?);
        Ok(())
    }

    async fn subscribe(&mut self, _prefix: &str) -> Result<()> {
        bail!("bare sockets know no subscriptions")
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        if self.outgoing.len() + body.len() > WRITE_LEN {
            self.flush()?;
        }
        self.outgoing.extend_from_slice(body);
        let waits = self.gathers && !self.is_first;
        self.is_first = false;
        if waits { Ok(()) } else { self.flush() }
    }

    async fn send_request(&mut self, _body: &[u8]) -> Result<()> {
        bail!("bare sockets know no frames")
    }

    async fn recv(&mut self) -> Result<&[u8]> {
        let channel = match &mut self.channel {
            Some(channel) => channel,
            none => none.insert(self.listener.as_ref().context("not bound")?.accept(self.options.spinning)?),
        };
        self.incoming.next(channel)
    }

    async fn close(mut self) -> Result<()> {
        self.flush()
    }
}

impl RawSocket {
    fn flush(&mut self) -> Result<()> {
        if !self.outgoing.is_empty() {
            self.channel.as_mut().context("not connected")?.write_all(&self.outgoing)?;
            self.outgoing.clear();
        }
        Ok(())
    }
}

/// What has been read and not yet been handed out.
struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    record_len: usize,
}

impl Incoming {
    fn new(record_len: usize) -> Self {
        Self { buffer: vec![0; READ_LEN.max(record_len)], start: 0, end: 0, record_len }
    }

    /// The next record, once all of it has arrived.
    fn next(&mut self, channel: &mut Channel) -> Result<&[u8]> {
        while self.end - self.start < self.record_len {
            self.read_more(channel)?;
        }
        let record = self.start..self.start + self.record_len;
        self.start = record.end;
        Ok(&self.buffer[record])
    }

    fn read_more(&mut self, channel: &mut Channel) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match channel.read(&mut self.buffer[self.end..])? {
            0 => bail!("the sender has gone"),
            n => self.end += n,
        }
        Ok(())
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn bind(endpoint: &str) -> Result<(Self, String)> {
        if let Some(path) = endpoint.strip_prefix("ipc://") {
            return Ok((Self::Unix(UnixListener::bind(path)?), endpoint.into()));
        }
        let listener = TcpListener::bind(endpoint.strip_prefix("tcp://").context("unknown transport")?)?;
        let endpoint = format!("tcp://{}", listener.local_addr()?);
        Ok((Self::Tcp(listener), endpoint))
    }

    fn accept(&self, spinning: bool) -> Result<Channel> {
        match self {
            Self::Tcp(listener) => Channel::over_tcp(listener.accept()?.0, spinning),
            Self::Unix(listener) => Channel::over_unix(listener.accept()?.0, spinning),
        }
    }
}

/// A stream of bytes whose reader sleeps or spins.
enum Channel {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Channel {
    fn connect(endpoint: &str, spinning: bool) -> Result<Self> {
        match endpoint.strip_prefix("ipc://") {
            Some(path) => Self::over_unix(UnixStream::connect(path)?, spinning),
            None => {
                let address = endpoint.strip_prefix("tcp://").context("unknown transport")?;
                Self::over_tcp(TcpStream::connect(address)?, spinning)
            }
        }
    }

    fn over_tcp(stream: TcpStream, spinning: bool) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(spinning)?;
        Ok(Self::Tcp(stream))
    }

    fn over_unix(stream: UnixStream, spinning: bool) -> Result<Self> {
        stream.set_nonblocking(spinning)?;
        Ok(Self::Unix(stream))
    }

    /// Reads what is there, at least a byte; a spinning channel asks until there is one.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => stream.read(buffer),
                Self::Unix(stream) => stream.read(buffer),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => spin_loop(),
                other => return other,
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }
}
