//! The context: what the sockets of a program share.

use std::{
    collections::HashMap,
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll, Waker},
    thread,
};

use nought_proto::SocketType;

use crate::{
    engine::{Core, driver::Driver, memory::Names},
    error::SocketError,
    resolver::Resolver,
    security::{Authentication, AuthenticationError, Authenticator},
    socket::{Any, Kind, Socket, SocketBuilder, SocketOptions},
    transport::{Transport, Transports},
};

/// The sockets a context allows by default, as in libzmq.
const MAX_SOCKETS_DEFAULT: usize = 1023;

/// The environment of sockets: their driver threads, their inproc names and their resolver.
///
/// A program needs one. Handles are cheap clones of the same context. When the last handle, those inside of
/// [`Socket`]s included, is dropped, that drop waits until all closed sockets have sent what they had to send within
/// their linger time; [`term`](Self::term) does the same at a moment of your choice.
#[derive(Clone)]
pub struct Context {
    handle: Arc<Handle>,
}

/// The part that ends with the last handle.
struct Handle {
    shared: Arc<Shared>,
}

/// What the sockets' cores know of their context.
pub(crate) struct Shared {
    pub(crate) transports: Transports,
    pub(crate) resolver: Resolver,
    pub(crate) names: Names,
    max_sockets: usize,
    drivers: Vec<Arc<Driver>>,
    next_driver: AtomicUsize,
    sockets: Mutex<Sockets>,
    closed: Condvar,
}

#[derive(Default)]
struct Sockets {
    live: HashMap<u64, Weak<Core>>,
    next_id: u64,
    is_shut_down: bool,
    /// Who waits for the last of them to be closed.
    ending: HashMap<u64, Waker>,
    next_ending: u64,
}

impl Context {
    /// A context with one driver thread and the other defaults.
    ///
    /// # Panics
    /// If the system cannot start a thread; [`ContextBuilder::build`] returns an error instead.
    pub fn new() -> Self {
        Self::builder().build().expect("a context needs one thread and two descriptors")
    }

    /// A context with other settings.
    pub fn builder() -> ContextBuilder {
        ContextBuilder {
            io_threads: 1,
            max_sockets: MAX_SOCKETS_DEFAULT,
            transports: Transports::new(),
            thread_start: None,
        }
    }

    /// A socket with the default options. Its kind is a type: `context.socket::<Push>()`.
    ///
    /// # Errors
    /// See [`SocketBuilder::build`].
    pub fn socket<K: Kind>(&self) -> Result<Socket<K>, SocketError> {
        self.socket_builder::<K>().build()
    }

    /// A socket with other options.
    pub fn socket_builder<K: Kind>(&self) -> SocketBuilder<K> {
        SocketBuilder::new(self.clone(), K::TYPE)
    }

    /// A socket whose type is known when the program runs.
    ///
    /// # Errors
    /// See [`SocketBuilder::build`].
    pub fn any_socket(&self, socket_type: SocketType) -> Result<Socket<Any>, SocketError> {
        self.any_socket_builder(socket_type).build()
    }

    /// A socket whose type is known when the program runs, with other options.
    pub fn any_socket_builder(&self, socket_type: SocketType) -> SocketBuilder<Any> {
        SocketBuilder::new(self.clone(), socket_type)
    }

    /// From now on, for as long as the result is held, peers are judged by this authenticator: a function, or
    /// [`AccessRules`](crate::security::AccessRules). It has a thread of its own, so that it may take its time; one peer
    /// is judged after the other.
    ///
    /// Which peers are judged is a matter of each socket: those of a server of PLAIN and of CURVE, and those of a socket
    /// with a [`zap_domain`](SocketBuilder::zap_domain). A socket that the application binds to `inproc://zeromq.zap.01`
    /// itself does the same (RFC 27).
    ///
    /// # Errors
    /// If there is one already, or the socket for it cannot be made.
    pub fn authenticate(&self, authenticator: impl Authenticator) -> Result<Authentication, AuthenticationError> {
        Authentication::start(self, authenticator)
    }

    /// Makes every call on every socket of the context return with `Terminated`, those that wait now too. Sockets that
    /// are closed later still send what they have.
    pub fn shutdown(&self) {
        self.handle.shared.shut_down();
    }

    /// Shuts down, and waits until every socket is closed and has sent what it had to send within its linger time.
    ///
    /// It waits for handles of sockets that are still held: other threads see `Terminated` from their calls and are to
    /// drop theirs. One that the caller itself holds must be dropped before, or this call never returns.
    pub fn term(&self) {
        self.handle.shared.shut_down();
        self.handle.shared.wait_for_sockets();
    }

    /// Shuts down as [`term`](Self::term) does, and is ready when every socket is closed: for tasks, and for whoever wants
    /// to give the wait up for a while. If it is dropped before, the context stays shut down, and the wait can begin anew.
    pub fn term_async(&self) -> impl Future<Output = ()> + Send + use<> {
        self.handle.shared.shut_down();
        Ending { shared: Arc::clone(&self.handle.shared), id: None }
    }

    /// The number of sockets that are open or still lingering.
    pub fn sockets(&self) -> usize {
        self.handle.shared.lock().live.len()
    }

    pub(crate) fn make_core(&self, socket_type: SocketType, options: SocketOptions) -> Result<Arc<Core>, SocketError> {
        Shared::make_core(&self.handle.shared, socket_type, options)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("sockets", &self.sockets()).finish_non_exhaustive()
    }
}

/// The settings of a context to be made.
#[derive(Clone)]
pub struct ContextBuilder {
    io_threads: usize,
    max_sockets: usize,
    transports: Transports,
    thread_start: Option<ThreadStart>,
}

/// What each driver thread does first.
pub(crate) type ThreadStart = Arc<dyn Fn() + Send + Sync>;

impl fmt::Debug for ContextBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { io_threads, max_sockets, transports, thread_start: _ } = self;
        let mut shown = f.debug_struct("ContextBuilder");
        shown.field("io_threads", io_threads).field("max_sockets", max_sockets).field("transports", transports);
        shown.finish_non_exhaustive()
    }
}

impl ContextBuilder {
    /// The number of driver threads, at least 1: sockets need one even if their callers do the rest. Sockets are spread over them. Callers do most input and output
    /// themselves, so that more than one pays only with many sockets or very many connections. Default: 1.
    #[must_use]
    pub fn io_threads(mut self, io_threads: usize) -> Self {
        self.io_threads = io_threads;
        self
    }

    /// The number of sockets that may be open or lingering at a time. Default: 1023.
    #[must_use]
    pub fn max_sockets(mut self, max_sockets: usize) -> Self {
        self.max_sockets = max_sockets;
        self
    }

    /// Adds a transport, or replaces the one with the same scheme.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.insert(transport);
        self
    }

    /// Has each driver thread do this first: to choose its processors, its priority, its name.
    #[must_use]
    pub fn on_thread_start(mut self, start: impl Fn() + Send + Sync + 'static) -> Self {
        self.thread_start = Some(Arc::new(start));
        self
    }

    /// Makes the context and starts its threads.
    ///
    /// # Errors
    /// `InvalidInput` for no threads at all; or if the system cannot start a thread, or has no descriptors left.
    pub fn build(self) -> io::Result<Context> {
        if self.io_threads == 0 {
            let why = "io_threads: write 1 or more; inproc needs a thread, too, for timers and for what is closed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let shared = Shared {
            transports: self.transports,
            resolver: Resolver::new(),
            names: Names::default(),
            max_sockets: self.max_sockets,
            drivers: start_drivers(self.io_threads, self.thread_start.as_ref())?,
            next_driver: AtomicUsize::new(0),
            sockets: Mutex::default(),
            closed: Condvar::new(),
        };
        Ok(Context { handle: Arc::new(Handle { shared: Arc::new(shared) }) })
    }
}

/// Starts all or none.
fn start_drivers(count: usize, thread_start: Option<&ThreadStart>) -> io::Result<Vec<Arc<Driver>>> {
    let mut drivers: Vec<Arc<Driver>> = Vec::with_capacity(count);
    for index in 0..count {
        match Driver::start(format!("nought-driver-{index}"), thread_start.cloned()) {
            Ok(driver) => drivers.push(driver),
            Err(error) => {
                drivers.iter().for_each(|driver| driver.stop());
                return Err(error);
            }
        }
    }
    Ok(drivers)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_core(this: &Arc<Self>, socket_type: SocketType, options: SocketOptions) -> Result<Arc<Core>, SocketError> {
        let mut sockets = this.lock();
        if sockets.is_shut_down {
            return Err(SocketError::Terminated);
        }
        if sockets.live.len() >= this.max_sockets {
            return Err(SocketError::TooMany { max: this.max_sockets });
        }
        let id = sockets.next_id;
        sockets.next_id += 1;
        let driver = this.next_driver.fetch_add(1, Ordering::Relaxed) % this.drivers.len();
        let machine = nought_proto::Socket::new(socket_type, options.protocol.clone());
        let core = Core::new(id, machine, options, driver, Arc::clone(this))?;
        sockets.live.insert(id, Arc::downgrade(&core));
        Ok(core)
    }

    pub(crate) fn driver(&self, index: usize) -> &Arc<Driver> {
        &self.drivers[index]
    }

    /// One of the drivers that are in a set, bit 0 for the first; they are taken in turns.
    pub(crate) fn driver_among(&self, set: u64) -> Option<usize> {
        let is_in_set =
            |index: &usize| u32::try_from(*index).is_ok_and(|bit| set.checked_shr(bit).unwrap_or(0) & 1 == 1);
        let among: Vec<_> = (0..self.drivers.len()).filter(is_in_set).collect();
        among.get(self.next_driver.fetch_add(1, Ordering::Relaxed) % among.len().max(1)).copied()
    }

    /// A socket has closed and sent all it had to.
    pub(crate) fn socket_closed(&self, id: u64) {
        let mut sockets = self.lock();
        sockets.live.remove(&id);
        let waiting = if sockets.live.is_empty() { std::mem::take(&mut sockets.ending) } else { HashMap::new() };
        drop(sockets);
        self.closed.notify_all();
        waiting.into_values().for_each(Waker::wake);
    }

    fn shut_down(&self) {
        let mut sockets = self.lock();
        sockets.is_shut_down = true;
        let live: Vec<Arc<Core>> = sockets.live.values().filter_map(Weak::upgrade).collect();
        drop(sockets);
        live.iter().for_each(|core| core.terminate());
    }

    fn wait_for_sockets(&self) {
        let mut sockets = self.lock();
        while !sockets.live.is_empty() {
            sockets = self.closed.wait(sockets).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the sockets, then ends the threads.
    fn end(&self) {
        self.wait_for_sockets();
        self.resolver.end();
        self.drivers.iter().for_each(|driver| driver.stop());
    }
}

/// A wait for the last socket to be closed.
struct Ending {
    shared: Arc<Shared>,
    /// The number of its waker, once that has been left.
    id: Option<u64>,
}

impl Future for Ending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // An executor's code, as the drop of the one before is: not under the lock.
        let waker = task.waker().clone();
        let mut sockets = this.shared.lock();
        if sockets.live.is_empty() {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            sockets.next_ending += 1;
            sockets.next_ending
        });
        let before = sockets.ending.insert(id, waker);
        drop(sockets);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let waker = self.id.and_then(|id| self.shared.lock().ending.remove(&id));
        drop(waker);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.shut_down();
        if !self.shared.drivers.iter().any(|driver| driver.is_current()) {
            return self.shared.end();
        }
        // An executor that polls its tasks where they are woken has ended one here that held the last handle. The
        // driver cannot wait for what only itself can do.
        let shared = Arc::clone(&self.shared);
        let waiting = thread::Builder::new().name("nought-end".to_owned()).spawn(move || shared.end());
        if let Err(error) = waiting {
            tracing::error!(%error, "the context's threads go on, since none could be started that ends them");
        }
    }
}
