//! An intermediary: the messages of each of two sockets go to the other.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nought_proto::{Message, Outgoing, connection::Waste, pattern::SendRefusal};
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    engine::{Core, Guard, State, wait::Patience, waiters::Interest},
    poll::{PollEvent, PollKey, Poller, Readiness, Room, Wanted},
    socket::{CanSend, Kind, Socket},
};

/// Messages taken from one side at once. They are in the proxy's hands until the other side has room for them.
const BURST: usize = 256;

/// Forwards messages both ways between two sockets until their context is shut down: a shared queue between ROUTER and
/// DEALER, a forwarder between XSUB and XPUB, a streamer between PULL and PUSH. Both may be the same socket. What one
/// receives and the other does not send waits where it is.
///
/// # Errors
/// `InvalidInput` if neither sends what the other receives; or the system's refusal.
pub fn proxy<F: Kind, B: Kind>(frontend: &Socket<F>, backend: &Socket<B>) -> io::Result<()> {
    Proxy::new(frontend, backend).run()
}

/// A proxy with a capture or a control; see [`proxy`].
///
/// ```
/// use nought::{Context, Dealer, Proxy, Router};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let (clients, services) = (context.socket::<Router>()?, context.socket::<Dealer>()?);
/// clients.bind("inproc://clients")?;
/// services.bind("inproc://services")?;
/// let (proxy, control) = Proxy::new(&clients, &services).controlled()?;
/// std::thread::scope(|scope| {
///     let running = scope.spawn(|| proxy.run());
///     assert_eq!(control.statistics().to_backend.messages, 0);
///     control.terminate();
///     running.join().unwrap()
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy<'s> {
    frontend: &'s Arc<Core>,
    backend: &'s Arc<Core>,
    capture: Option<Observer<'s>>,
    control: Option<ProxyControl>,
}

/// Whom a copy of each message goes to.
#[derive(Clone, Copy, Debug)]
struct Observer<'s> {
    socket: &'s Arc<Core>,
    is_waited_for: bool,
}

impl<'s> Proxy<'s> {
    /// A proxy between two sockets.
    pub fn new<F: Kind, B: Kind>(frontend: &'s Socket<F>, backend: &'s Socket<B>) -> Self {
        Self { frontend: frontend.core(), backend: backend.core(), capture: None, control: None }
    }

    /// Sends a copy of each forwarded message to this socket (a PUB, PUSH, PAIR or DEALER). While it has no room,
    /// copies are dropped and [counted](ProxyStatistics::capture_dropped): an observer must not stop what it observes.
    #[must_use]
    pub fn capture<C: CanSend>(mut self, capture: &'s Socket<C>) -> Self {
        self.capture = Some(Observer { socket: capture.core(), is_waited_for: false });
        self
    }

    /// The same, but while it has no room, or nobody is there yet, the proxy waits, at most for the socket's send time-out
    /// with each copy: whoever observes sees everything, and holds everything up, the control too, until the context is
    /// shut down.
    #[must_use]
    pub fn capture_all<C: CanSend>(mut self, capture: &'s Socket<C>) -> Self {
        self.capture = Some(Observer { socket: capture.core(), is_waited_for: true });
        self
    }

    /// Adds a handle that pauses, resumes and ends the proxy and tells its counts.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn controlled(mut self) -> io::Result<(Self, ProxyControl)> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = ProxyControl { shared: Arc::new(ControlShared { wake, state: Mutex::default() }) };
        self.control = Some(control.clone());
        Ok((self, control))
    }

    /// Forwards until the control ends it or the context is shut down. Messages that it has taken are handed on
    /// before it returns, if there is room for them; else they are [dropped](Forwarded::dropped).
    ///
    /// A proxy runs once: two runs would take the control's commands from each other.
    ///
    /// ```compile_fail,E0382
    /// # let context = nought::Context::new();
    /// # let (clients, services) = (context.socket::<nought::Router>()?, context.socket::<nought::Dealer>()?);
    /// let proxy = nought::Proxy::new(&clients, &services);
    /// proxy.run()?;
    /// proxy.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if neither socket sends what the other receives; `Interrupted` by a signal, if the frontend is
    /// [`interruptible`](crate::SocketBuilder::interruptible); or the system's refusal.
    pub fn run(self) -> io::Result<()> {
        let mut run = Run::new(&self)?;
        let result = run.forward_until_the_end();
        run.hand_on_held();
        result
    }
}

/// Pauses, resumes and ends a running proxy, from any thread.
#[derive(Clone, Debug)]
pub struct ProxyControl {
    shared: Arc<ControlShared>,
}

#[derive(Debug)]
struct ControlShared {
    wake: OwnedFd,
    state: Mutex<ControlState>,
}

#[derive(Debug, Default)]
struct ControlState {
    mode: Mode,
    statistics: ProxyStatistics,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Forwarding,
    Paused,
    Terminated,
}

impl ProxyControl {
    /// Stops forwarding; messages wait in the sockets' queues.
    pub fn pause(&self) {
        self.set_mode(Mode::Paused);
    }

    /// Goes on forwarding.
    pub fn resume(&self) {
        self.set_mode(Mode::Forwarding);
    }

    /// Makes [`Proxy::run`] return.
    pub fn terminate(&self) {
        self.set_mode(Mode::Terminated);
    }

    /// What has been forwarded until now.
    pub fn statistics(&self) -> ProxyStatistics {
        self.state().statistics
    }

    fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
        // Fails only if the counter is full, and then the proxy wakes up anyway.
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
    }

    fn state(&self) -> MutexGuard<'_, ControlState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_mode(&self) -> Mode {
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        self.state().mode
    }
}

/// What a proxy has forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStatistics {
    /// From the frontend to the backend.
    pub to_backend: Forwarded,
    /// From the backend to the frontend.
    pub to_frontend: Forwarded,
    /// Copies for the capture that found no room.
    pub capture_dropped: u64,
}

/// Messages and bytes of their bodies that went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// Messages.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that were taken and that the other socket refused (their peer is gone, or they lack an address), or
    /// that had no room there when the proxy ended. That socket counts them as `lost`, too.
    pub dropped: u64,
}

impl Forwarded {
    /// With the socket, too: the proxy may have no control to ask.
    fn count_dropped(&mut self, to: &mut nought_proto::Socket, messages: u64) {
        self.dropped += messages;
        to.count_lost(messages);
    }
}

/// One run of a proxy.
struct Run<'p> {
    proxy: &'p Proxy<'p>,
    poller: Poller<'p>,
    frontend: PollKey,
    backend: PollKey,
    control: Option<PollKey>,
    to_backend: Direction<'p>,
    to_frontend: Direction<'p>,
    capture_dropped: u64,
}

/// What goes one way.
struct Direction<'p> {
    from: &'p Arc<Core>,
    to: &'p Arc<Core>,
    /// The one side receives, and the other sends.
    is_open: bool,
    held: Held,
    forwarded: Forwarded,
}

/// Messages taken from one side and not yet handed to the other. Their memory is used again.
struct Held {
    messages: Vec<Message>,
    /// Up to here they are taken.
    taken: usize,
    /// Up to here they are handed on.
    handed_on: usize,
    /// The other side's epoch at which the next one found no room.
    no_room_at: u64,
}

impl Held {
    fn new() -> Self {
        Self { messages: vec![Message::empty_frame(); BURST], taken: 0, handed_on: 0, no_room_at: 0 }
    }

    fn is_empty(&self) -> bool {
        self.handed_on == self.taken
    }

    /// What the other side is waited for: the room that the next one found none of, whatever room there is for others.
    fn awaited(&self) -> Option<Room> {
        (!self.is_empty()).then_some(Room::Since(self.no_room_at))
    }

    fn waiting(&self) -> &[Message] {
        &self.messages[self.handed_on..self.taken]
    }

    /// Lets go of what has been handed on from `first`. Large bodies are shared with the other side's queue, and must not
    /// be kept beyond that.
    fn let_go_from(&mut self, first: usize) {
        self.messages[first..self.handed_on].iter_mut().for_each(Waste::end_bodies_of);
    }
}

impl<'p> Run<'p> {
    fn new(proxy: &'p Proxy<'p>) -> io::Result<Self> {
        let interruptible = proxy.frontend.lock().options.interruptible;
        let mut poller = Poller::new()?.interruptible(interruptible);
        let frontend = poller.add_core(proxy.frontend, Readiness::READABLE)?;
        let is_one_socket = Arc::ptr_eq(proxy.frontend, proxy.backend);
        let backend = if is_one_socket { frontend } else { poller.add_core(proxy.backend, Readiness::READABLE)? };
        let control = match &proxy.control {
            Some(control) => Some(poller.add_fd(control.shared.wake.as_fd(), Readiness::READABLE)?),
            None => None,
        };
        Ok(Self {
            proxy,
            poller,
            frontend,
            backend,
            control,
            to_backend: Direction::new(proxy.frontend, proxy.backend),
            to_frontend: Direction::new(proxy.backend, proxy.frontend),
            capture_dropped: 0,
        })
    }

    fn can_forward(&self) -> bool {
        self.to_backend.is_open || self.to_frontend.is_open
    }

    fn forward_until_the_end(&mut self) -> io::Result<()> {
        if !self.can_forward() {
            let why = "neither socket of the proxy sends what the other receives: use ROUTER and DEALER, XSUB and \
                       XPUB, or PULL and PUSH";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut mode = Mode::Forwarding;
        loop {
            self.set_interests(mode)?;
            let ready = self.poller.poll(None)?;
            if let (Some(key), Some(control)) = (self.control, &self.proxy.control)
                && ready.iter().any(|event| event.key == key)
            {
                mode = control.take_mode();
            }
            if mode == Mode::Terminated || self.is_over() {
                return Ok(());
            }
            if mode == Mode::Forwarding {
                self.forward(&ready);
            }
        }
    }

    /// Whether a context is shut down. A poller tells of that whatever it was asked.
    fn is_over(&self) -> bool {
        [self.proxy.frontend, self.proxy.backend].into_iter().any(|core| core.lock().terminated)
    }

    /// A side is read while nothing is held for the other, else the other is waited for.
    fn set_interests(&mut self, mode: Mode) -> io::Result<()> {
        let wanted = |reads: &Direction<'_>, writes: &Direction<'_>| match mode {
            Mode::Forwarding => {
                Wanted { readable: reads.is_open && reads.held.is_empty(), room: writes.held.awaited() }
            }
            _ => Wanted::default(),
        };
        if self.backend == self.frontend {
            return self.poller.want(self.frontend, wanted(&self.to_backend, &self.to_backend));
        }
        self.poller.want(self.frontend, wanted(&self.to_backend, &self.to_frontend))?;
        self.poller.want(self.backend, wanted(&self.to_frontend, &self.to_backend))
    }

    fn forward(&mut self, ready: &[PollEvent]) {
        let is_ready = |key: PollKey| ready.iter().any(|event| event.key == key);
        let (frontend, backend) = (is_ready(self.frontend), is_ready(self.backend));
        let capture = &mut Capture { observer: self.proxy.capture, dropped: &mut self.capture_dropped };
        if frontend || !self.to_backend.held.is_empty() {
            self.to_backend.forward(capture);
        }
        let distinct = self.backend != self.frontend;
        if distinct && (backend || !self.to_frontend.held.is_empty()) {
            self.to_frontend.forward(capture);
        }
        self.publish_statistics();
    }

    fn publish_statistics(&self) {
        if let Some(control) = &self.proxy.control {
            control.state().statistics = ProxyStatistics {
                to_backend: self.to_backend.forwarded,
                to_frontend: self.to_frontend.forwarded,
                capture_dropped: self.capture_dropped,
            };
        }
    }

    /// Whatever ends it: what is still held after that is lost.
    fn hand_on_held(&mut self) {
        for direction in [&mut self.to_backend, &mut self.to_frontend] {
            direction.hand_on();
            direction.give_up_held();
        }
        self.publish_statistics();
    }
}

struct Capture<'c> {
    observer: Option<Observer<'c>>,
    dropped: &'c mut u64,
}

impl Capture<'_> {
    fn take(&mut self, messages: &[Message]) {
        let Some(observer) = self.observer else { return };
        let mut state = observer.socket.lock();
        for message in messages {
            let copy = Outgoing::Borrowed(message);
            let mut sent = observer.socket.send_now(&mut state, &copy);
            if observer.is_waited_for && sent == Err(SendRefusal::WouldBlock) {
                (state, sent) = observer.wait_to_send(state, &copy);
            }
            *self.dropped += u64::from(sent.is_err());
        }
        drop(observer.socket.settle(state));
    }
}

impl<'s> Observer<'s> {
    fn wait_to_send(self, state: Guard<'s>, copy: &Outgoing<'_>) -> (Guard<'s>, Result<(), SendRefusal>) {
        let patience = Patience::new(state.options.send_timeout);
        let attempt = |state: &mut State| self.socket.attempt_send(state, copy);
        let (state, sent) = self.socket.wait_for(state, Interest::Send, patience, attempt);
        (state, sent.unwrap_or(Err(SendRefusal::WouldBlock)))
    }
}

impl<'p> Direction<'p> {
    fn new(from: &'p Arc<Core>, to: &'p Arc<Core>) -> Self {
        let socket_type = |core: &Core| core.lock().machine.socket_type();
        let is_open = socket_type(from).can_receive() && socket_type(to).can_send();
        Self { from, to, is_open, held: Held::new(), forwarded: Forwarded::default() }
    }

    /// Hands on what is held, then takes and hands on as much as there is, for a turn.
    fn forward(&mut self, capture: &mut Capture<'_>) {
        const BURSTS_PER_TURN: usize = 4;
        if !self.is_open {
            return;
        }
        for _ in 0..BURSTS_PER_TURN {
            if self.held.is_empty() {
                self.take();
                if self.held.is_empty() {
                    return;
                }
                capture.take(self.held.waiting());
            }
            self.hand_on();
            if !self.held.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self) {
        let mut state = self.from.lock();
        (self.held.taken, self.held.handed_on) = (0, 0);
        while let Some(message) = self.held.messages.get_mut(self.held.taken) {
            if self.from.recv_now(&mut state, message).is_err() {
                break;
            }
            self.held.taken += 1;
        }
        drop(self.from.settle(state));
    }

    fn hand_on(&mut self) {
        let first = self.held.handed_on;
        let mut state = self.to.lock();
        let mut refused = 0;
        self.held.handed_on += self.to.send_together_now(&mut state, self.held.waiting(), |message, sent| match sent {
            Ok(()) => {
                self.forwarded.messages += 1;
                self.forwarded.bytes += message.body_len() as u64;
            }
            Err(SendRefusal::WouldBlock) => {}
            // Nobody this message could go to: it ends here, as it would at the socket itself.
            Err(_) => refused += 1,
        });
        self.forwarded.count_dropped(&mut state.machine, refused);
        self.held.no_room_at = state.machine.room_epoch();
        drop(self.to.settle(state));
        self.held.let_go_from(first);
    }

    fn give_up_held(&mut self) {
        let held = self.held.waiting().len() as u64;
        self.forwarded.count_dropped(&mut self.to.lock().machine, held);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("id", &self.id).finish_non_exhaustive()
    }
}
