//! `zmq_socket`, `zmq_close`, `zmq_bind`, `zmq_send`, `zmq_recv` and their like: sockets.
//!
//! libzmq's interface is given and gives messages frame by frame; nought takes and gives whole ones. A message of one
//! frame goes straight through. Of others the frames that are not complete yet, or not fetched yet, wait in the handle.

use std::{
    cell::Cell,
    ffi::{c_char, c_int, c_void},
    mem::{self, ManuallyDrop},
    num::NonZeroU32,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nought::{
    Address, Any, BodyInPlace, Frame, Message, Outgoing, PeerInfo, Place, Readiness, SendErrorKind, Socket, SocketType,
};

use crate::{
    border,
    context::{ContextHandle, Shared},
    errno::{Errno, Result},
    handle, message,
    monitor::Feed,
    options::Settings,
    poll::POLLOUT,
};

const DONTWAIT: c_int = 1;
pub(crate) const SNDMORE: c_int = 2;

/// The frames of a message to a peer that does not speak ZMTP: who, and what.
const RAW_FRAMES: usize = 2;

/// The transports whose connections a thread of the context serves.
const SERVED_BY_THREADS: [&str; 5] = ["tcp", "ipc", "udp", "ws", "wss"];

/// What a socket's handle stands for.
pub(crate) struct SocketHandle {
    pub(crate) socket: ManuallyDrop<Socket<Any>>,
    pub(crate) socket_type: SocketType,
    context: Arc<Shared>,
    max_message_size: usize,
    /// Read as a whole, changed as a whole.
    settings: Mutex<Arc<Settings>>,
    begun: Begun,
    rest: Rest,
    feed: Mutex<Option<Arc<Feed>>>,
    last_peer: Mutex<Vec<u8>>,
}

/// The frames of a message that is sent and not complete.
#[derive(Default)]
struct Begun {
    /// There are some: told without the lock.
    is_there: AtomicBool,
    frames: Mutex<Vec<Frame>>,
}

/// The frames of a message that was received and not fetched whole.
#[derive(Default)]
struct Rest {
    /// There are some: told without the lock.
    is_there: AtomicBool,
    frames: Mutex<(Message, Option<Arc<PeerInfo>>)>,
}

impl Drop for SocketHandle {
    fn drop(&mut self) {
        // In a child of the process that made it, its descriptors are the parent's, too, and its locks may be held for
        // good by threads that did not come along.
        if !self.context.is_inherited() {
            // SAFETY: it is not used any more.
            unsafe { ManuallyDrop::drop(&mut self.socket) };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SocketHandle {
    fn new(context: &Arc<Shared>, socket_type: SocketType) -> Result<Self> {
        let of_context = context.settings();
        let settings = Settings::new(&of_context, socket_type);
        let builder = context.running()?.any_socket_builder(socket_type);
        let as_in_libzmq =
            builder.interruptible(true).any_type_in_process(true).bursts_meet_hwm(true).frees_by_halves(true);
        let socket = settings.apply(socket_type, as_in_libzmq).build()?;
        Ok(Self {
            socket: ManuallyDrop::new(socket),
            socket_type,
            context: Arc::clone(context),
            max_message_size: of_context.max_message_size(),
            settings: Mutex::new(Arc::new(settings)),
            begun: Begun::default(),
            rest: Rest::default(),
            feed: Mutex::default(),
            last_peer: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Arc<Settings>> {
        lock(&self.settings)
    }

    /// Whoever tells of its events.
    pub(crate) fn feed(&self) -> MutexGuard<'_, Option<Arc<Feed>>> {
        lock(&self.feed)
    }

    /// What can be done without waiting. A message that is not fetched whole can be fetched, one that is not complete be
    /// completed.
    pub(crate) fn complete(&self, readiness: Readiness) -> Readiness {
        Readiness {
            readable: readiness.readable || self.has_rest(),
            writable: readiness.writable || self.begun.is_there.load(Ordering::Relaxed),
        }
    }

    /// Whether several threads may use it at once in libzmq, too; messages have one frame then.
    #[inline]
    pub(crate) fn is_thread_safe(&self) -> bool {
        use SocketType::{Channel, Client, Dish, Gather, Peer, Radio, Scatter, Server};
        matches!(self.socket_type, Client | Server | Radio | Dish | Gather | Scatter | Peer | Channel)
    }

    /// Whether messages say to whom they go beside their frames.
    #[inline]
    fn addresses(&self) -> bool {
        matches!(self.socket_type, SocketType::Server | SocketType::Peer | SocketType::Radio)
    }

    /// The peer that a message was received from last, of a STREAM.
    pub(crate) fn last_peer(&self) -> Vec<u8> {
        lock(&self.last_peer).clone()
    }

    /// Whether frames of the last message are still to be fetched.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_there.load(Ordering::Relaxed)
    }
}

// ---- sending

impl SocketHandle {
    /// Sends a frame; the message is complete without SNDMORE.
    #[inline]
    pub(crate) fn send_body(&self, body: &[u8], flags: c_int) -> Result<()> {
        self.check_size(body)?;
        if self.is_thread_safe() {
            return self.send_one(Outgoing::Body(body), flags);
        }
        if !self.is_whole(flags) {
            return self.send_part(Frame::copy_from_slice(body), flags);
        }
        self.send_whole(body, flags)
    }

    #[inline(always)]
    fn send_message(&self, message: &mut message::Message, flags: c_int) -> Result<()> {
        if self.is_whole(flags) && !self.addresses() && !message.goes_by_reference() {
            self.check_size(message.body())?;
            return self.send_whole(message.body(), flags);
        }
        self.send_with_frame(message, flags)
    }

    /// Sends a message that is a part of one, or says to whom it goes, or goes by reference.
    #[inline(never)]
    fn send_with_frame(&self, message: &mut message::Message, flags: c_int) -> Result<()> {
        self.check_size(message.body())?;
        if self.addresses() {
            let address = message.address();
            let mut addressed = Message::from(message.share_frame());
            addressed.set_address(address);
            return self.send_one(Outgoing::Owned(addressed), flags);
        }
        if self.is_thread_safe() && flags & SNDMORE != 0 {
            return Err(Errno::INVALID);
        }
        if !self.is_whole(flags) {
            return self.send_part(message.share_frame(), flags);
        }
        self.send_whole(Outgoing::Owned(message.share_frame().into()), flags)
    }

    /// Whether a frame that is sent with these flags is a message.
    #[inline]
    fn is_whole(&self, flags: c_int) -> bool {
        flags & SNDMORE == 0 && !self.begun.is_there.load(Ordering::Relaxed)
    }

    #[inline]
    fn check_size(&self, body: &[u8]) -> Result<()> {
        if body.len() <= self.max_message_size { Ok(()) } else { Err(Errno::TOO_LARGE) }
    }

    /// Sends a message of a socket whose messages have one frame.
    fn send_one(&self, message: Outgoing<'_>, flags: c_int) -> Result<()> {
        if flags & SNDMORE != 0 {
            return Err(Errno::INVALID);
        }
        self.send_whole(message, flags)
    }

    #[inline(always)]
    fn send_whole<'m>(&self, message: impl Into<Outgoing<'m>>, flags: c_int) -> Result<()> {
        self.check_turn()?;
        let sent = if flags & DONTWAIT == 0 { self.socket.send(message) } else { self.socket.try_send(message) };
        if let Err(error) = sent { self.unless_dropped(error.kind()) } else { Ok(()) }
    }

    fn send_part(&self, frame: Frame, flags: c_int) -> Result<()> {
        let mut frames = lock(&self.begun.frames);
        if frames.is_empty() {
            self.check_turn()?;
            let checked =
                if flags & DONTWAIT == 0 { self.socket.check_send(&frame) } else { self.socket.try_check_send(&frame) };
            checked?;
        }
        frames.push(frame);
        let has_more = flags & SNDMORE != 0 && !(self.is_raw() && frames.len() == RAW_FRAMES);
        self.begun.is_there.store(has_more, Ordering::Relaxed);
        if has_more {
            return Ok(());
        }
        let message = Outgoing::from(mem::take(&mut *frames));
        drop(frames);
        let waits = flags & DONTWAIT == 0;
        // The second try is for who has room, and had been given enough of a burst.
        let try_to_send =
            |message| self.socket.try_send(message).or_else(|error| self.socket.try_send(error.into_message()));
        let sent = if waits { self.socket.send(message) } else { try_to_send(message) };
        let Err(error) = sent else { return Ok(()) };
        match error.kind() {
            // There was room when it began: the peer is gone, and the message with it, as in libzmq.
            SendErrorKind::WouldBlock if !waits => {
                self.socket.count_lost(1);
                Ok(())
            }
            kind @ (SendErrorKind::WouldBlock | SendErrorKind::TimedOut | SendErrorKind::Interrupted) => {
                self.keep_begun(error.into_message());
                Err(kind.into())
            }
            kind => self.unless_dropped(kind),
        }
    }

    /// Keeps what was not sent yet, but for the last frame: the application still has that one, to send it again.
    fn keep_begun(&self, mut message: Message) {
        message.pop_back();
        let mut frames = lock(&self.begun.frames);
        frames.splice(..0, message.into_frames());
        self.begun.is_there.store(!frames.is_empty(), Ordering::Relaxed);
    }

    /// It is closed, and calls are under way that are to return.
    fn end_calls(&self) {
        if !self.context.is_inherited() {
            self.socket.shutdown();
        }
    }

    /// The last frame of a message that is not complete will not come.
    fn give_up_begun(&self) {
        // A call that holds them waits to have its first one taken, and there is none to give up.
        let Ok(mut held) = self.begun.frames.try_lock() else { return };
        let frames = mem::take(&mut *held);
        drop(held);
        if !frames.is_empty() && !self.context.is_inherited() {
            self.socket.count_lost(1);
        }
    }

    /// Whether its messages are a peer and bytes, whatever is said of more.
    fn is_raw(&self) -> bool {
        self.socket_type == SocketType::Stream
    }

    /// A REQ and a REP fetch a message whole before they answer it.
    #[inline]
    fn check_turn(&self) -> Result<()> {
        let takes_turns = matches!(self.socket_type, SocketType::Req | SocketType::Rep);
        if takes_turns && self.has_rest() { Err(Errno::FSM) } else { Ok(()) }
    }

    /// A message for a named peer that has no more than the name is dropped, as in libzmq.
    #[cold]
    fn unless_dropped(&self, kind: SendErrorKind) -> Result<()> {
        match (kind, self.socket_type) {
            (SendErrorKind::Malformed, SocketType::Router | SocketType::Stream) => {
                self.socket.count_lost(1);
                Ok(())
            }
            _ => Err(kind.into()),
        }
    }
}

// ---- receiving

thread_local! {
    /// Memory for what is received: used again and again by all sockets of a thread.
    ///
    /// It is out of its cell during a call: an application's function that frees memory, and may receive itself, is called
    /// wherever a message is dropped.
    static RECEIVED: Cell<Option<Box<Message>>> = const { Cell::new(None) };
}

/// What is known of a frame beside its body and its peer.
struct Beside {
    has_more: bool,
    address: Option<Box<Address>>,
}

impl SocketHandle {
    /// Receives a frame, and gives it to `take`, and whether it has more behind it.
    #[inline]
    pub(crate) fn recv_frame<T>(&self, flags: c_int, mut take: impl FnMut(&mut Frame, bool) -> T) -> Result<T> {
        match RECEIVED.try_with(|place| self.recv_frame_by(place, flags, &mut take)) {
            Ok(taken) => taken,
            Err(_) => self.recv_frame_at_the_end(flags, take),
        }
    }

    /// The same in a thread that is at its end: in a destructor of a variable that outlives ours.
    #[cold]
    #[inline(never)]
    fn recv_frame_at_the_end<T>(&self, flags: c_int, mut take: impl FnMut(&mut Frame, bool) -> T) -> Result<T> {
        self.recv_frame_by(&Cell::new(None), flags, &mut take)
    }

    #[inline(always)]
    fn recv_frame_by<T>(
        &self,
        place: &Cell<Option<Box<Message>>>,
        flags: c_int,
        take: &mut impl FnMut(&mut Frame, bool) -> T,
    ) -> Result<T> {
        let mut message = place.take().unwrap_or_else(|| Box::new(Message::empty_frame()));
        // A frame of several does not stay in the message.
        let mut part = None;
        let received = self.recv_next_frame(&mut message, &mut part, flags);
        let taken = received.and_then(|beside| {
            let frame = part.as_mut().or_else(|| message.first_mut()).ok_or(Errno::AGAIN)?;
            Ok(take(frame, beside.has_more))
        });
        drop(part);
        place.set(Some(message));
        taken
    }

    /// Puts the next frame into `message`, as its only one; or, if it is one of several, into `part`.
    #[inline(always)]
    fn recv_next_frame(&self, message: &mut Message, part: &mut Option<Frame>, flags: c_int) -> Result<Beside> {
        if self.has_rest()
            && let Some(has_more) = self.next_of_rest(part, None)
        {
            return Ok(Beside { has_more, address: None });
        }
        let waits = flags & DONTWAIT == 0;
        if waits {
            self.socket.recv_into(message)?
        } else {
            self.socket.try_recv_into(message)?
        }
        Ok(self.take_first(message, part, None))
    }

    /// What is to be fetched first of a message that was received: all of it, or what is put into `part`.
    #[inline(always)]
    fn take_first(
        &self,
        message: &mut Message,
        part: &mut Option<Frame>,
        peer: Option<&mut Option<Arc<PeerInfo>>>,
    ) -> Beside {
        if message.address().is_none() && message.len() == 1 {
            return Beside { has_more: false, address: None };
        }
        self.take_apart(message, part, peer)
    }

    /// Of a message that is more than a frame, takes out what is to be fetched first.
    #[inline(never)]
    fn take_apart(
        &self,
        message: &mut Message,
        part: &mut Option<Frame>,
        peer: Option<&mut Option<Arc<PeerInfo>>>,
    ) -> Beside {
        let address = message.address().cloned().map(Box::new);
        let has_more = address.is_none() && message.len() > 1;
        if has_more {
            self.split(message, part, peer.cloned().flatten());
        }
        Beside { has_more, address }
    }

    /// Takes the first frame of several out, and keeps the others.
    fn split(&self, message: &mut Message, part: &mut Option<Frame>, peer: Option<Arc<PeerInfo>>) {
        let mut frame = message.pop_front().unwrap_or_default();
        match self.socket_type {
            SocketType::Stream => *lock(&self.last_peer) = frame.to_vec(),
            SocketType::Dgram => frame = with_zero_behind(frame),
            _ => {}
        }
        *part = Some(frame);
        self.keep_rest(mem::replace(message, Message::empty_frame()), peer);
    }

    fn keep_rest(&self, rest: Message, peer: Option<Arc<PeerInfo>>) {
        let former = mem::replace(&mut *lock(&self.rest.frames), (rest, peer));
        drop(former);
        self.rest.is_there.store(true, Ordering::Relaxed);
    }

    /// Puts the next frame of the message into `part`, and whose it is into `peer`; says whether there are more behind it.
    #[inline(never)]
    fn next_of_rest(&self, part: &mut Option<Frame>, peer: Option<&mut Option<Arc<PeerInfo>>>) -> Option<bool> {
        let mut rest = lock(&self.rest.frames);
        *part = rest.0.pop_front();
        let has_more = !rest.0.is_empty();
        self.rest.is_there.store(has_more, Ordering::Relaxed);
        part.as_ref()?;
        if let Some(peer) = peer {
            peer.clone_from(&rest.1);
        }
        Some(has_more)
    }

    fn recv_into(&self, buffer: *mut u8, len: usize, flags: c_int) -> Result<c_int> {
        self.recv_frame(flags, |frame, _has_more| {
            let body = frame.as_slice();
            // SAFETY: zmq_recv's caller says that the buffer has this length; the frame is not in it.
            unsafe { ptr::copy_nonoverlapping(body.as_ptr(), buffer, body.len().min(len)) };
            let body_len = body.len();
            if body_len >= LARGE_BODY_LEN {
                // Its memory is the socket's, to be used for the next.
                *frame = Frame::new();
            }
            length(body_len)
        })
    }

    /// Receives into the memory of the message that was there before, where its body stood apart from it.
    #[inline(always)]
    fn recv_message(&self, place: &mut message::Message, flags: c_int) -> Result<c_int> {
        let mut peer = place.take_peer();
        let mut reception = Reception { place, former: None, message: None, is_lent: false };
        let mut part = None;
        if self.has_rest()
            && let Some(has_more) = self.next_of_rest(&mut part, Some(&mut peer))
        {
            return reception.end_with(part.as_mut(), Beside { has_more, address: None }, peer);
        }
        let received = if flags & DONTWAIT == 0 {
            self.socket.recv_from_into_place(&mut reception, &mut peer)
        } else {
            self.socket.try_recv_from_into_place(&mut reception, &mut peer)
        };
        if let Err(why) = received {
            return Err(reception.end_without(peer, why.into()));
        }
        let Some(message) = &mut reception.message else { return Ok(reception.end_with_small(peer)) };
        let beside = self.take_first(message, &mut part, Some(&mut peer));
        reception.end_with(part.as_mut(), beside, peer)
    }
}

/// A message that is being received into a message of the application's.
struct Reception<'a> {
    place: &'a mut message::Message,
    /// What was there, where its end may be a call of the application's: it ends when all is done.
    former: Option<message::Message>,
    /// What has come, unless it has gone into its place.
    message: Option<Message>,
    /// The memory of the body that was there has been given for what comes.
    is_lent: bool,
}

impl Place for Reception<'_> {
    #[inline(always)]
    fn take_small(&mut self, body: BodyInPlace<'_>) {
        if self.place.ends_apart() {
            self.former = Some(self.place.take());
        }
        self.place.hold_small(body);
    }

    #[inline]
    fn message(&mut self) -> &mut Message {
        let message = self.message.insert(Message::empty_frame());
        if let (Some(memory), Some(frame)) = (self.place.take_memory(), message.first_mut()) {
            self.is_lent = true;
            *frame = memory.into();
        }
        message
    }
}

impl Reception<'_> {
    /// The message is in its place.
    #[inline(always)]
    fn end_with_small(&mut self, peer: Option<Arc<PeerInfo>>) -> c_int {
        self.place.put_peer_back(peer);
        length(self.place.body().len())
    }

    /// The message is what has come, or a part of it.
    #[inline]
    fn end_with(&mut self, part: Option<&mut Frame>, beside: Beside, peer: Option<Arc<PeerInfo>>) -> Result<c_int> {
        let whole = self.message.as_mut().and_then(Message::first_mut);
        let frame = part.or(whole).ok_or(Errno::AGAIN)?;
        let len = frame.len();
        self.former = self.place.hold(frame, beside.has_more, peer);
        beside.address.iter().for_each(|address| self.place.note(address));
        Ok(length(len))
    }

    /// As with libzmq, a message into which nothing came is empty; it is as it was where the socket was not looked at for
    /// one.
    #[cold]
    fn end_without(mut self, peer: Option<Arc<PeerInfo>>, why: Errno) -> Errno {
        if !matches!(why, Errno::FSM | Errno::NOT_SUPPORTED) {
            self.place.clear();
            return why;
        }
        let lent = self.message.take().filter(|_| self.is_lent).and_then(|mut message| message.pop_front());
        if let Some(lent) = lent {
            self.place.put_memory_back(lent.into_vec());
        }
        self.place.put_peer_back(peer);
        why
    }
}

/// The address of a DGRAM's peer, as libzmq tells it.
fn with_zero_behind(address: Frame) -> Frame {
    let mut text = address.into_vec();
    text.push(0);
    text.into()
}

/// Bodies that are held by reference.
const LARGE_BODY_LEN: usize = 8 * 1024;

/// The length of a frame as libzmq returns it.
pub(crate) fn length(len: usize) -> c_int {
    c_int::try_from(len).unwrap_or(c_int::MAX)
}

/// Begins a call with a socket.
#[inline(always)]
pub(crate) fn enter(socket: *mut c_void) -> Result<handle::Call<SocketHandle>> {
    handle::enter(socket)
}

/// A new socket.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_socket(context: *mut c_void, socket_type: c_int) -> *mut c_void {
    border::pointer(|| {
        let context = handle::enter::<ContextHandle>(context)?;
        let socket_type = u8::try_from(socket_type).ok().and_then(SocketType::from_number).ok_or(Errno::INVALID)?;
        handle::open(SocketHandle::new(&context.0, socket_type)?)
    })
}

/// Closes a socket; what is queued is still sent, for the linger time.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_close(socket: *mut c_void) -> c_int {
    border::unit(|| {
        let call = enter(socket)?;
        call.give_up_begun();
        call.close()?;
        if call.has_company() {
            call.end_calls();
        }
        Ok(())
    })
}

/// Listens at an endpoint.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, endpoint) = unsafe { (enter(socket)?, border::text(endpoint)?) };
        call.check_has_thread(endpoint)?;
        call.bind(endpoint).inspect_err(|errno| call.tell_bind_failed(endpoint, *errno))
    })
}

/// Connects to an endpoint.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, endpoint) = unsafe { (enter(socket)?, border::text(endpoint)?) };
        call.check_has_thread(endpoint)?;
        let routing_id = mem::take(&mut Arc::make_mut(&mut call.settings()).connect_routing_id);
        if routing_id.is_empty() || call.socket_type == SocketType::Rep {
            return call.connect(endpoint);
        }
        Ok(call.socket.connect_as(endpoint, routing_id)?)
    })
}

/// Stops listening at an endpoint.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_unbind(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, endpoint) = unsafe { (enter(socket)?, border::text(endpoint)?) };
        call.check_leaves(endpoint)?;
        call.socket.unbind(endpoint).map_err(|_| Errno::NOT_FOUND)
    })
}

/// Disconnects from an endpoint.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_disconnect(socket: *mut c_void, endpoint: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, endpoint) = unsafe { (enter(socket)?, border::text(endpoint)?) };
        call.check_leaves(endpoint)?;
        call.socket.disconnect_and_discard(endpoint).map_err(|_| Errno::NOT_FOUND)
    })
}

/// Sends a frame.
///
/// # Safety
/// `data` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_send(socket: *mut c_void, data: *const c_void, len: usize, flags: c_int) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, body) = unsafe { (enter(socket)?, border::bytes(data.cast(), len)?) };
        call.send_body(body, flags)?;
        Ok(length(len))
    })
}

/// Sends a frame whose body stays where and as it is for as long as the program runs: what is large is not copied.
///
/// # Safety
/// `data` points to `len` bytes that are never written to or freed again.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_send_const(
    socket: *mut c_void,
    data: *const c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, body) = unsafe { (enter(socket)?, border::bytes::<'static>(data.cast(), len)?) };
        if len < LARGE_BODY_LEN {
            call.send_body(body, flags)?;
        } else {
            call.send_message(&mut bytes::Bytes::from_static(body).into(), flags)?;
        }
        Ok(length(len))
    })
}

/// Receives a frame into a buffer. Returns the frame's length; what does not fit is cut off.
///
/// # Safety
/// `buffer` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_recv(socket: *mut c_void, buffer: *mut c_void, len: usize, flags: c_int) -> c_int {
    border::status(|| {
        let call = enter(socket)?;
        if buffer.is_null() && len > 0 {
            return Err(Errno::FAULT);
        }
        call.recv_into(buffer.cast(), len, flags)
    })
}

/// Sends a message as one frame; it is empty then. If it is not sent, it is as it was.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_send(
    message: *mut message::Message,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, message) = unsafe { (enter(socket)?, message::borrow(message)?) };
        let len = message.body().len();
        call.send_message(message, flags)?;
        message.clear();
        Ok(length(len))
    })
}

/// Receives a frame into a message, in the place of what was there.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_recv(
    message: *mut message::Message,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, message) = unsafe { (enter(socket)?, message::borrow(message)?) };
        call.recv_message(message, flags)
    })
}

/// The older name of [`zmq_msg_send`].
///
/// # Safety
/// As for [`zmq_msg_send`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_sendmsg(
    socket: *mut c_void,
    message: *mut message::Message,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller says.
    unsafe { zmq_msg_send(message, socket, flags) }
}

/// The older name of [`zmq_msg_recv`].
///
/// # Safety
/// As for [`zmq_msg_recv`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_recvmsg(
    socket: *mut c_void,
    message: *mut message::Message,
    flags: c_int,
) -> c_int {
    // SAFETY: as the caller says.
    unsafe { zmq_msg_recv(message, socket, flags) }
}

impl SocketHandle {
    /// Takes the descriptor that was set for it, if the endpoint is of a transport that listens at one.
    fn bind(&self, endpoint: &str) -> Result<()> {
        if self.settings().use_fd < 0 {
            return Ok(self.socket.bind(endpoint).map(drop)?);
        }
        Arc::make_mut(&mut self.settings()).offer_descriptor()?;
        let bound = self.apply().and_then(|()| Ok(self.socket.bind(endpoint).map(drop)?));
        Arc::make_mut(&mut self.settings()).give_descriptor_back();
        bound
    }

    /// An address of IPv6 that is written out says by itself that IPv6 is wanted: libzmq takes it without the option, too.
    fn connect(&self, endpoint: &str) -> Result<()> {
        let wants_ipv6 = endpoint.starts_with("tcp://[");
        if wants_ipv6 {
            self.socket.reconfigure(|options| options.ipv6(true))?;
        }
        let result = self.socket.connect(endpoint);
        if wants_ipv6 {
            self.apply()?;
        }
        Ok(result?)
    }

    /// Has those of the context's threads serve the socket that its affinity names. Where it names none that is there,
    /// connections of other transports than inproc are refused.
    pub(crate) fn choose_threads(&self, affinity: u64) -> Result<()> {
        match self.context.threads_of(affinity) {
            Some(threads) => Ok(self.socket.set_io_threads(threads.get())?),
            None => Ok(()),
        }
    }

    fn check_has_thread(&self, endpoint: &str) -> Result<()> {
        let wants_one = endpoint.split_once("://").is_some_and(|(scheme, _)| SERVED_BY_THREADS.contains(&scheme));
        let affinity = self.settings().affinity;
        if !wants_one || self.context.threads_of(affinity).is_some() { Ok(()) } else { Err(Errno::NO_THREAD) }
    }

    /// Whether the text is an endpoint at all, and the socket still there.
    fn check_leaves(&self, endpoint: &str) -> Result<()> {
        self.check_alive()?;
        if endpoint.contains("://") { Ok(()) } else { Err(Errno::INVALID) }
    }

    /// What has no answer of its own for it says that the context is over.
    pub(crate) fn check_alive(&self) -> Result<()> {
        if self.socket.is_shut_down() { Err(Errno::TERMINATED) } else { Ok(()) }
    }
}

/// Joins a group.
///
/// # Safety
/// `group` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_join(socket: *mut c_void, group: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, group) = unsafe { (enter(socket)?, border::text(group)?) };
        Ok(call.socket.join(group)?)
    })
}

/// Leaves a group.
///
/// # Safety
/// `group` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_leave(socket: *mut c_void, group: *const c_char) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, group) = unsafe { (enter(socket)?, border::text(group)?) };
        Ok(call.socket.leave(group)?)
    })
}

/// Connects, and returns the number of the peer, of a PEER; 0 for an error.
///
/// # Safety
/// `endpoint` is null or points to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_connect_peer(socket: *mut c_void, endpoint: *const c_char) -> u32 {
    let mut number = 0;
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, endpoint) = unsafe { (enter(socket)?, border::text(endpoint)?) };
        number = call.socket.connect_peer(endpoint)?.get();
        Ok(())
    });
    number
}

/// Ends the connection to a peer by its number, of a SERVER or a PEER.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn zmq_disconnect_peer(socket: *mut c_void, routing_id: u32) -> c_int {
    border::unit(|| {
        let call = enter(socket)?;
        if !matches!(call.socket_type, SocketType::Server | SocketType::Peer) {
            return Err(Errno::NOT_SUPPORTED);
        }
        let routing_id = NonZeroU32::new(routing_id).ok_or(Errno::UNREACHABLE)?;
        call.socket.disconnect_peer(routing_id).map_err(|_| Errno::UNREACHABLE)
    })
}

/// Whether a ROUTER's peer can be sent to, as the events of a poll.
///
/// # Safety
/// `routing_id` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_socket_get_peer_state(
    socket: *mut c_void,
    routing_id: *const c_void,
    len: usize,
) -> c_int {
    border::status(|| {
        // SAFETY: as the caller says.
        let (call, routing_id) = unsafe { (enter(socket)?, border::bytes(routing_id.cast(), len)?) };
        if call.socket_type != SocketType::Router {
            return Err(Errno::NOT_SUPPORTED);
        }
        match call.socket.has_room_for(routing_id) {
            None => Err(Errno::UNREACHABLE),
            Some(has_room) => Ok(if has_room { c_int::from(POLLOUT) } else { 0 }),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::{zmq_ctx_new, zmq_ctx_term},
        options::zmq_setsockopt,
    };
    use std::{ffi::CStr, sync::Barrier, thread};

    const SNDHWM: c_int = 23;
    const RCVHWM: c_int = 24;

    fn open(context: *mut c_void, socket_type: SocketType) -> *mut c_void {
        let socket = zmq_socket(context, c_int::from(socket_type.number()));
        assert!(!socket.is_null());
        socket
    }

    fn lost(socket: *mut c_void) -> u64 {
        enter(socket).unwrap().socket.stats().totals.lost
    }

    #[test]
    fn a_message_whose_peer_goes_before_its_last_frame_is_counted() {
        let context = zmq_ctx_new();
        let [push, pull] = [SocketType::Push, SocketType::Pull].map(|socket_type| open(context, socket_type));
        enter(push).unwrap().socket.bind("inproc://goes").unwrap();
        enter(pull).unwrap().socket.connect("inproc://goes").unwrap();
        enter(push).unwrap().send_body(b"one", SNDMORE).unwrap();
        enter(pull).unwrap().socket.disconnect("inproc://goes").unwrap();
        assert_eq!((enter(push).unwrap().send_body(b"two", DONTWAIT), lost(push)), (Ok(()), 1));
        [push, pull].iter().for_each(|&socket| assert_eq!(zmq_close(socket), 0));
        assert_eq!(zmq_ctx_term(context), 0);
    }

    #[test]
    fn what_threads_have_set_at_once_is_in_force_when_they_have_returned() {
        let context = zmq_ctx_new();
        let push = open(context, SocketType::Push).expose_provenance();
        let push = || ptr::with_exposed_provenance_mut(push);
        let set = |option: c_int, value: c_int| {
            // SAFETY: there are so many bytes.
            assert_eq!(unsafe { zmq_setsockopt(push(), option, (&raw const value).cast(), size_of::<c_int>()) }, 0);
        };
        for round in 1..2000 {
            let begin = Barrier::new(3);
            thread::scope(|scope| {
                for option in [SNDHWM, RCVHWM] {
                    let (set, begin) = (&set, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        set(option, round);
                    });
                }
                // As a call does that has changed an option for itself.
                begin.wait();
                enter(push()).unwrap().apply().unwrap();
            });
            let in_force = enter(push()).unwrap().socket.settings();
            assert_eq!([in_force.send_hwm, in_force.recv_hwm], [round.unsigned_abs(); 2]);
        }
        assert_eq!((zmq_close(push()), zmq_ctx_term(context)), (0, 0));
    }

    #[test]
    fn a_message_that_is_not_complete_when_its_socket_is_closed_is_counted() {
        let context = zmq_ctx_new();
        let [push, pull] = [SocketType::Push, SocketType::Pull].map(|socket_type| open(context, socket_type));
        enter(push).unwrap().socket.bind("inproc://unfinished").unwrap();
        enter(pull).unwrap().socket.connect("inproc://unfinished").unwrap();
        // A call that is under way sees the end.
        let call = enter(push).unwrap();
        call.send_body(b"one", SNDMORE).unwrap();
        call.send_body(b"two", SNDMORE).unwrap();
        assert_eq!((zmq_close(push), call.socket.stats().totals.lost), (0, 1));
        drop(call);
        assert_eq!((zmq_close(pull), zmq_ctx_term(context)), (0, 0));
    }

    #[test]
    fn a_message_tells_its_sender_until_another_is_received_in_its_place() {
        const DEALER: SocketType = SocketType::Dealer;
        let context = zmq_ctx_new();
        let [bound, a, b] = [DEALER; 3].map(|socket_type| open(context, socket_type));
        enter(bound).unwrap().socket.bind("inproc://sender").unwrap();
        for (near, name) in [(a, b"a"), (b, b"b")] {
            // SAFETY: the name is there.
            assert_eq!(unsafe { zmq_setsockopt(near, 5, name.as_ptr().cast(), name.len()) }, 0);
            enter(near).unwrap().socket.connect("inproc://sender").unwrap();
        }
        let mut place = mem::MaybeUninit::<message::Message>::uninit();
        let place = place.as_mut_ptr();
        // SAFETY: the place is there, and holds a message from here on.
        assert_eq!(unsafe { message::zmq_msg_init(place) }, 0);
        // SAFETY: as above; the name of the property is a C string, and so is what is told.
        let sender = || unsafe {
            let told = message::zmq_msg_gets(place, c"Identity".as_ptr());
            (!told.is_null()).then(|| CStr::from_ptr(told))
        };
        for (near, name) in [(a, c"a"), (a, c"a"), (b, c"b"), (a, c"a")] {
            enter(near).unwrap().send_body(b"body", 0).unwrap();
            // SAFETY: as above.
            assert_eq!((unsafe { zmq_msg_recv(place, bound, 0) }, sender()), (4, Some(name)));
        }
        // SAFETY: as above.
        let received = unsafe { zmq_msg_recv(place, bound, DONTWAIT) };
        assert_eq!((received, Errno::last(), sender()), (-1, Errno::AGAIN, None));
        // Without a look at it, which is what makes a record of a sender.
        for (near, len) in [(a, 1), (a, 2), (b, 3)] {
            enter(near).unwrap().send_body(&b"xyz"[..len], 0).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { zmq_msg_recv(place, bound, 0) }, length(len));
        }
        assert_eq!(sender(), Some(c"b"));
        // SAFETY: as above.
        assert_eq!(unsafe { message::zmq_msg_close(place) }, 0);
        [bound, a, b].iter().for_each(|&socket| assert_eq!(zmq_close(socket), 0));
        assert_eq!(zmq_ctx_term(context), 0);
    }

    #[test]
    fn a_message_of_a_name_alone_is_counted() {
        let context = zmq_ctx_new();
        let router = open(context, SocketType::Router);
        assert_eq!((enter(router).unwrap().send_body(b"nobody", 0), lost(router)), (Ok(()), 1));
        assert_eq!(zmq_close(router), 0);
        assert_eq!(zmq_ctx_term(context), 0);
    }
}
