//! A transport of this project's tests alone, `lab://NAME`, made of what any user has. It notes the options it is
//! given, and what it connects to can be a target that never answers: `lab://hang;NAME` tries that one first.

use std::{
    io::{self, IoSlice, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use nought::transport::{
    AddressError, Channel, Connecting, ListenError, Listener, StreamSocket, Target, Transport, TransportOptions,
};

#[derive(Default)]
pub struct Lab {
    /// What each `bind` and each attempt to connect was given.
    pub options: Mutex<Vec<TransportOptions>>,
    /// Whoever holds it holds up the lookups.
    pub lookups: Mutex<()>,
    pub delivery: Arc<Delivery>,
    pub faults: Arc<Faults>,
    pub aside: Arc<Aside>,
}

/// What a channel says by itself, once.
#[derive(Default)]
pub struct Aside {
    /// The next write takes until something has been read meanwhile, and leaves it to be said.
    pub comes_next: AtomicBool,
    pub is_said: AtomicBool,
}

/// What a method is to do wrong, once, when it is next called.
#[derive(Default)]
pub struct Faults(Mutex<Option<(&'static str, Fault)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Panic,
    /// It says that it has read or written so much, whatever it has.
    Count(usize),
}

impl Faults {
    pub fn next_panic_in(&self, method: &'static str) {
        *self.lock() = Some((method, Fault::Panic));
    }

    pub fn next_count_of(&self, method: &'static str, count: usize) {
        *self.lock() = Some((method, Fault::Count(count)));
    }

    /// Whether it has happened.
    pub fn is_over(&self) -> bool {
        self.lock().is_none()
    }

    fn come_by(&self, method: &str) {
        let taken = self.lock().take_if(|chosen| *chosen == (method, Fault::Panic));
        assert!(taken.is_none(), "on purpose, in {method}");
    }

    fn count(&self, method: &str, count: usize) -> usize {
        let mut chosen = self.lock();
        match *chosen {
            Some((chosen_method, Fault::Count(wrong))) if chosen_method == method => {
                *chosen = None;
                wrong
            }
            _ => count,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(&'static str, Fault)>> {
        self.0.lock().unwrap()
    }
}

/// What this transport says of what its peers' systems have.
#[derive(Default)]
pub struct Delivery {
    /// How often it was asked.
    pub questions: AtomicUsize,
    /// The answer; whoever holds it holds it up.
    pub is_done: Mutex<bool>,
}

impl Lab {
    fn note(&self, options: &TransportOptions) {
        self.options.lock().unwrap().push(options.clone());
    }
}

fn place(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("nought-lab-{}-{name}", std::process::id()))
}

impl Transport for Lab {
    fn scheme(&self) -> &'static str {
        "lab"
    }

    fn bind(&self, address: &str, options: &TransportOptions) -> Result<Box<dyn Listener>, ListenError> {
        self.note(options);
        let endpoint = format!("lab://{address}");
        let listen = || {
            let listener = UnixListener::bind_addr(&place(address)?)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|error| ListenError::system(endpoint.clone(), "bind", error))?;
        Ok(Box::new(LabListener {
            listener,
            endpoint,
            delivery: Arc::clone(&self.delivery),
            faults: Arc::clone(&self.faults),
            aside: Arc::clone(&self.aside),
        }))
    }

    fn check(&self, address: &str, _: &TransportOptions) -> Result<(), AddressError> {
        if address.is_empty() { Err(AddressError::Other("write a name".to_owned())) } else { Ok(()) }
    }

    fn resolve_now(&self, address: &str, options: &TransportOptions) -> Option<io::Result<Vec<Target>>> {
        (address != "slow").then(|| self.resolve(address, options))
    }

    fn resolve(&self, address: &str, _: &TransportOptions) -> io::Result<Vec<Target>> {
        let _turn = self.lookups.lock().unwrap();
        Ok(address.split(';').map(|name| Target::new(format!("lab://{name}"), name.to_owned())).collect())
    }

    fn connect(&self, target: &Target, options: &TransportOptions) -> io::Result<Connecting> {
        self.faults.come_by("connect");
        self.note(options);
        let name: &String = target.address().ok_or(io::ErrorKind::InvalidInput)?;
        if name == "hang" {
            return Ok(Connecting::Pending(LabChannel::hanging()?));
        }
        let stream = UnixStream::connect_addr(&place(name)?)?;
        let (delivery, faults, aside) = (Arc::clone(&self.delivery), Arc::clone(&self.faults), Arc::clone(&self.aside));
        Ok(Connecting::Done(LabChannel::over(stream, name, delivery, faults, aside)?))
    }
}

struct LabListener {
    listener: UnixListener,
    endpoint: String,
    delivery: Arc<Delivery>,
    faults: Arc<Faults>,
    aside: Arc<Aside>,
}

impl Listener for LabListener {
    fn accept(&self) -> io::Result<Arc<dyn Channel>> {
        self.faults.come_by("accept");
        let (stream, _) = self.listener.accept()?;
        let (delivery, faults, aside) = (Arc::clone(&self.delivery), Arc::clone(&self.faults), Arc::clone(&self.aside));
        Ok(LabChannel::over(stream, "somebody", delivery, faults, aside)?)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for LabListener {
    fn drop(&mut self) {
        self.faults.come_by("drop of the listener");
    }
}

struct LabChannel {
    socket: StreamSocket,
    remote: String,
    delivery: Arc<Delivery>,
    faults: Arc<Faults>,
    aside: Arc<Aside>,
    has_aside: AtomicBool,
    reads: AtomicUsize,
    /// The other end of one that never connects.
    hanging: Option<UnixStream>,
}

impl LabChannel {
    fn over(
        stream: UnixStream,
        remote: &str,
        delivery: Arc<Delivery>,
        faults: Arc<Faults>,
        aside: Arc<Aside>,
    ) -> io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        let (socket, remote) = (StreamSocket::new(stream), format!("lab://{remote}"));
        let (has_aside, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
        Ok(Arc::new(Self { socket, remote, delivery, faults, aside, has_aside, reads, hanging: None }))
    }

    /// Has no room from the beginning, so that it never becomes writable.
    fn hanging() -> io::Result<Arc<Self>> {
        let (mut near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        while near.write(&[0; 4096]).is_ok() {}
        let mut channel = Self::over(near, "hang", Arc::default(), Arc::default(), Arc::default())?;
        Arc::get_mut(&mut channel).expect("it is new").hanging = Some(far);
        Ok(channel)
    }
}

impl Drop for LabChannel {
    fn drop(&mut self) {
        self.faults.come_by("drop");
    }
}

impl Channel for LabChannel {
    fn read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.faults.come_by("read");
        let len = self.socket.read(into)?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.faults.count("read", len))
    }

    fn write(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.faults.come_by("write");
        // Before anybody can answer what is written, by another write.
        let (reads, has_aside) =
            (self.reads.load(Ordering::SeqCst), self.aside.comes_next.swap(false, Ordering::SeqCst));
        let len = self.socket.write(from)?;
        if has_aside {
            while self.reads.load(Ordering::SeqCst) == reads {
                thread::yield_now();
            }
            self.has_aside.store(true, Ordering::SeqCst);
        }
        Ok(self.faults.count("write", len))
    }

    fn flush(&self) -> io::Result<()> {
        if self.has_aside.swap(false, Ordering::SeqCst) {
            self.aside.is_said.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn connected(&self) -> io::Result<()> {
        if self.hanging.is_some() { Err(io::ErrorKind::WouldBlock.into()) } else { self.socket.connected() }
    }

    fn close_write(&self) -> io::Result<()> {
        self.socket.close_write()
    }

    fn is_delivered(&self) -> bool {
        self.delivery.questions.fetch_add(1, Ordering::SeqCst);
        *self.delivery.is_done.lock().unwrap()
    }

    fn local_endpoint(&self) -> String {
        "lab://".to_owned()
    }

    fn remote_endpoint(&self) -> String {
        self.remote.clone()
    }

    fn peer_address(&self) -> Option<String> {
        None
    }
}
