//! `zmq_msg_*`: messages, each of which is one frame.
//!
//! A [`Message`] is what stands in the 64 bytes of a `zmq_msg_t`. It owns its body; that owning is moved by
//! `zmq_msg_move`, `zmq_msg_send` and `zmq_msg_recv`, and ends in `zmq_msg_close`.

use std::{
    ffi::{CString, c_char, c_int, c_void},
    mem::{self, ManuallyDrop, MaybeUninit},
    num::NonZeroU32,
    ptr::{self, NonNull},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use nought::{Address, BodyInPlace, Frame, PeerInfo};

use crate::{
    border,
    errno::{Errno, Result},
};

/// Bodies up to this many bytes stand in the message itself.
const INLINE_LEN_MAX: usize = 55;

/// What is at least this long is handed on by reference.
const LARGE_BODY_LEN: usize = 8 * 1024;

/// In [`Message::kind`]: it is a message. Zero, as in memory that was never a message, is none.
const VALID: u8 = 0x80;
/// In [`Message::kind`]: another frame of the same message follows.
const MORE: u8 = 0x40;
/// In [`Message::kind`]: the length of a body that stands in the message, or one of those below.
const FORM: u8 = 0x3f;
const OWNED: u8 = 56;
const SHARED: u8 = 57;
const FOREIGN: u8 = 58;
const ALLOCATED: u8 = 59;
/// Memory of the application's that several messages may share.
const LENT: u8 = 60;

/// What frees a body that the application brought.
pub(crate) type zmq_free_fn = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

/// A `zmq_msg_t`.
#[repr(C, align(8))]
pub(crate) struct Message {
    /// The body itself, or what it is held by. It comes first, so that a body is aligned as a word.
    body: Body,
    kind: u8,
    /// What is known of the message beside its body; see [`Extra`].
    extra: AtomicU64,
}

#[repr(C)]
union Body {
    inline: [MaybeUninit<u8>; INLINE_LEN_MAX],
    owned: ManuallyDrop<Unaligned<Vec<u8>>>,
    shared: ManuallyDrop<Unaligned<Bytes>>,
    foreign: ManuallyDrop<Unaligned<Foreign>>,
    allocated: ManuallyDrop<Unaligned<Allocated>>,
}

/// Lets the union be 55 bytes long, with the kind in the byte behind it. The message is aligned, and it with it.
#[repr(C, packed)]
struct Unaligned<T>(T);

/// Memory of the application's, and what frees it.
struct Foreign {
    data: *mut u8,
    len: usize,
    free: Option<zmq_free_fn>,
    hint: *mut c_void,
}

// SAFETY: whoever hands memory over with a function that frees it leaves it, and the call of that function, to whichever
// thread drops the message last; that is what zmq_msg_init_data says.
unsafe impl Send for Foreign {}
// SAFETY: it is only read through a shared reference.
unsafe impl Sync for Foreign {}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the application has left it to us; a null pointer comes with no length (see `Foreign::new`).
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: it is called once, since this is dropped once, with what the application gave for it.
            unsafe { free(self.data.cast(), self.hint) };
        }
    }
}

impl Foreign {
    fn new(data: *mut u8, len: usize, free: Option<zmq_free_fn>, hint: *mut c_void) -> Result<Self> {
        if data.is_null() && len > 0 {
            return Err(Errno::FAULT);
        }
        let data = if data.is_null() { ptr::dangling_mut() } else { data };
        Ok(Self { data, len, free, hint })
    }
}

/// Memory of the C library's, whose content is the application's to write.
struct Allocated {
    data: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is nobody else's, and may be freed on any thread.
unsafe impl Send for Allocated {}
// SAFETY: it is only read through a shared reference.
unsafe impl Sync for Allocated {}

impl Allocated {
    #[inline(never)]
    fn of(len: usize) -> Result<Self> {
        if isize::try_from(len).is_err() {
            return Err(Errno::NO_MEMORY);
        }
        // SAFETY: any length may be asked for.
        let data = unsafe { libc::malloc(len) };
        NonNull::new(data.cast()).map(|data| Self { data, len }).ok_or(Errno::NO_MEMORY)
    }
}

impl AsRef<[u8]> for Allocated {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: it has this length. Bytes that the application has not written have whatever value they have.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl Drop for Allocated {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it comes from malloc, and is freed once, here.
        unsafe { libc::free(self.data.as_ptr().cast()) };
    }
}

/// What is known of a message beside its body, in a word: nothing (0); or, by its two lowest bits, a number or a pointer.
enum Extra {
    Nothing,
    /// The peer that sent it.
    Peer(Arc<PeerInfo>),
    /// More than fits in a word.
    Record(Box<Record>),
}

#[derive(Default)]
struct Record {
    peer: Option<Arc<PeerInfo>>,
    /// The peer that a message of SERVER's is from, or for; 0: none.
    routing_id: u32,
    /// The group of a message of RADIO's, or of DISH's.
    group: CString,
    /// The peer's properties, as C strings.
    strings: OnceLock<Vec<(String, CString)>>,
}

const TAG: u64 = 3;
const PEER: u64 = 2;
const RECORD: u64 = 3;

impl Extra {
    fn into_word(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Peer(peer) => Arc::into_raw(peer).expose_provenance() as u64 | PEER,
            Self::Record(record) => Box::into_raw(record).expose_provenance() as u64 | RECORD,
        }
    }

    /// # Safety
    /// The word came from [`into_word`](Self::into_word), and this is called once for it.
    unsafe fn from_word(word: u64) -> Self {
        let address = (word & !TAG) as usize;
        match word & TAG {
            // SAFETY: a word with this tag holds what `Arc::into_raw` gave, and is taken once.
            PEER => Self::Peer(unsafe { Arc::from_raw(ptr::with_exposed_provenance(address)) }),
            // SAFETY: the same of `Box::into_raw`.
            RECORD => Self::Record(unsafe { Box::from_raw(ptr::with_exposed_provenance_mut(address)) }),
            _ => Self::Nothing,
        }
    }
}

const _: () = assert!(size_of::<Message>() == 64 && mem::offset_of!(Message, kind) == 55);
const _: () = assert!(align_of::<PeerInfo>() >= 4 && align_of::<Record>() >= 4);

impl Message {
    const fn empty() -> Self {
        Self::with_form(0)
    }

    const fn with_form(form: u8) -> Self {
        let body = Body { inline: [MaybeUninit::uninit(); INLINE_LEN_MAX] };
        Self { body, kind: VALID | form, extra: AtomicU64::new(0) }
    }

    #[inline]
    fn form(&self) -> u8 {
        self.kind & FORM
    }

    #[inline]
    fn is_valid(&self) -> bool {
        self.kind & VALID != 0 && self.form() <= LENT
    }

    fn has_more(&self) -> bool {
        self.kind & MORE != 0
    }

    #[inline(always)]
    pub(crate) fn body(&self) -> &[u8] {
        // SAFETY: the form says which field of the union was written, and what is in it is aligned: it stands at the
        // front of a message, which is aligned as they are.
        unsafe {
            match self.form() {
                OWNED => &*(&raw const self.body.owned).cast::<Vec<u8>>(),
                SHARED | LENT => &*(&raw const self.body.shared).cast::<Bytes>(),
                FOREIGN => (*(&raw const self.body.foreign).cast::<Foreign>()).as_ref(),
                ALLOCATED => (*(&raw const self.body.allocated).cast::<Allocated>()).as_ref(),
                // Bytes that the application has not written have whatever value they have.
                len => std::slice::from_raw_parts((&raw const self.body.inline).cast(), usize::from(len)),
            }
        }
    }

    /// Whether the body may be another message's, too, or is the application's for good.
    fn may_be_shared(&self) -> bool {
        // SAFETY: the form says which field was written.
        unsafe {
            match self.form() {
                SHARED | LENT => !(*(&raw const self.body.shared).cast::<Bytes>()).is_unique(),
                FOREIGN => (*(&raw const self.body.foreign).cast::<Foreign>()).free.is_none(),
                _ => false,
            }
        }
    }

    /// Takes the message out, and leaves an empty one.
    pub(crate) fn take(&mut self) -> Self {
        mem::replace(self, Self::empty())
    }

    /// Whether it can be forgotten.
    #[inline]
    fn has_nothing_to_end(&mut self) -> bool {
        self.form() < OWNED && *self.extra.get_mut() == 0
    }

    /// Becomes empty.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.has_nothing_to_end() {
            self.kind = VALID;
        } else {
            self.end_content();
        }
    }

    #[inline(never)]
    fn end_content(&mut self) {
        match self.form() {
            FOREIGN => drop(self.take()),
            SHARED | LENT => drop(self.take_shared()),
            _ => {
                // The 64 bytes, which were just written in small pieces, need not be moved.
                // SAFETY: the form is another next.
                unsafe { self.end_body() };
                self.kind = VALID;
                self.end_extra();
            }
        }
    }

    /// Takes the body out, which is shared, and leaves an empty message: the end of that body may be a call of the
    /// application's.
    #[inline]
    fn take_shared(&mut self) -> Bytes {
        // SAFETY: the form says that it was written, and is another next: it is read once, here.
        let body = unsafe { (&raw const self.body.shared).cast::<Bytes>().read() };
        self.kind = VALID;
        self.end_extra();
        body
    }

    /// Whether the end of the body may be the application's code.
    #[inline]
    fn may_end_in_a_call(&self) -> bool {
        matches!(self.form(), SHARED | LENT | FOREIGN)
    }

    /// Drops the body where it stands.
    ///
    /// # Safety
    /// It is not looked at again: the form is another next, or the message is gone.
    #[inline]
    unsafe fn end_body(&mut self) {
        // SAFETY: the form says which field was written, and it is dropped once, here.
        unsafe {
            match self.form() {
                OWNED => ptr::drop_in_place((&raw mut self.body.owned).cast::<Vec<u8>>()),
                SHARED | LENT => ptr::drop_in_place((&raw mut self.body.shared).cast::<Bytes>()),
                FOREIGN => ptr::drop_in_place((&raw mut self.body.foreign).cast::<Foreign>()),
                ALLOCATED => ptr::drop_in_place((&raw mut self.body.allocated).cast::<Allocated>()),
                _ => {}
            }
        }
    }

    /// The vector that the body is in, or is to be in.
    #[inline]
    fn become_owned(&mut self) -> &mut Vec<u8> {
        if self.form() != OWNED {
            // SAFETY: the form is another next.
            unsafe { self.end_body() };
            self.body.owned = ManuallyDrop::new(Unaligned(Vec::new()));
        }
        self.kind = VALID | OWNED;
        // SAFETY: it was written, now or before, and is aligned, as in `body`.
        unsafe { &mut *(&raw mut self.body.owned).cast::<Vec<u8>>() }
    }

    /// Makes the body one that can be held by several, and holds it once more; `None` if it stands in the message.
    #[inline]
    fn share(&mut self) -> Option<Bytes> {
        if self.form() < OWNED {
            return None;
        }
        if !matches!(self.form(), SHARED | LENT) {
            self.become_shared();
        }
        // SAFETY: it is shared now.
        Some(unsafe { (*(&raw const self.body.shared).cast::<Bytes>()).clone() })
    }

    #[cold]
    fn become_shared(&mut self) {
        let more = self.kind & MORE;
        let form = if self.form() == FOREIGN { LENT } else { SHARED };
        let extra = mem::take(self.extra.get_mut());
        let body = self.take().into_bytes();
        self.body.shared = ManuallyDrop::new(Unaligned(body));
        self.kind = VALID | more | form;
        *self.extra.get_mut() = extra;
    }

    /// The body by reference; one that stands in the message is copied.
    fn into_bytes(self) -> Bytes {
        let this = ManuallyDrop::new(self);
        // SAFETY: the form says which field was written; `this` is not dropped, so that each is read once.
        unsafe {
            drop(Extra::from_word(this.extra.load(Ordering::Relaxed)));
            match this.form() {
                OWNED => (&raw const this.body.owned).cast::<Vec<u8>>().read().into(),
                SHARED | LENT => (&raw const this.body.shared).cast::<Bytes>().read(),
                FOREIGN => Bytes::from_owner((&raw const this.body.foreign).cast::<Foreign>().read()),
                ALLOCATED => Bytes::from_owner((&raw const this.body.allocated).cast::<Allocated>().read()),
                _ => Bytes::copy_from_slice(this.body()),
            }
        }
    }

    /// Whether the body is handed on by reference: if it is long, or if somebody is to be told when it is not needed any
    /// more. What several messages share is else copied: to count its owners would cost more.
    #[inline]
    pub(crate) fn goes_by_reference(&self) -> bool {
        match self.form() {
            LENT => true,
            // SAFETY: the form says which field was written.
            FOREIGN if unsafe { (*(&raw const self.body.foreign).cast::<Foreign>()).free.is_some() } => true,
            _ => self.body().len() >= LARGE_BODY_LEN,
        }
    }

    /// To whom a message goes: to a peer by its number, or to a group.
    pub(crate) fn address(&self) -> Option<Address> {
        let record = self.record()?;
        match NonZeroU32::new(record.routing_id) {
            Some(routing_id) => Some(Address::RoutingId(routing_id)),
            None => Some(Address::Group(Frame::from(record.group.as_bytes()))),
        }
    }

    /// Notes from whom a message is, or for which group.
    pub(crate) fn note(&mut self, address: &Address) {
        match address {
            Address::RoutingId(routing_id) => self.record_mut().routing_id = routing_id.get(),
            // A name with a zero in it is no group's.
            Address::Group(group) => self.record_mut().group = CString::new(&group[..]).unwrap_or_default(),
        }
    }

    /// The frame to be sent; what goes by reference is shared with the message.
    pub(crate) fn share_frame(&mut self) -> Frame {
        let shared = if self.goes_by_reference() { self.share() } else { None };
        shared.map_or_else(|| Frame::copy_from_slice(self.body()), Frame::held)
    }

    /// Takes out the memory of a body that stands apart, for the next one to be received into. The message is empty then,
    /// and has one behind it as before.
    #[inline]
    pub(crate) fn take_memory(&mut self) -> Option<Vec<u8>> {
        if self.form() != OWNED {
            return None;
        }
        self.kind = VALID | self.kind & MORE;
        // SAFETY: the form said that it was written, and is another now: it is read once, here.
        Some(unsafe { (&raw const self.body.owned).cast::<Vec<u8>>().read() })
    }

    /// Puts back what [`take_memory`](Self::take_memory) took.
    pub(crate) fn put_memory_back(&mut self, memory: Vec<u8>) {
        let more = self.kind & MORE;
        *self.become_owned() = memory;
        self.kind |= more;
    }

    /// Holds what was received. Returns what was there, where its end may be a call of the application's.
    #[inline(always)]
    pub(crate) fn hold(&mut self, frame: &mut Frame, more: bool, peer: Option<Arc<PeerInfo>>) -> Option<Self> {
        let in_place: Option<(&[u8; INLINE_LEN_MAX], usize)> = frame.in_place();
        let former = match in_place {
            Some((bytes, len)) if self.has_nothing_to_end() => {
                self.hold_inline(bytes, len);
                None
            }
            _ => self.hold_any(frame),
        };
        self.kind |= if more { MORE } else { 0 };
        *self.extra.get_mut() = peer.map_or(0, |peer| Extra::Peer(peer).into_word());
        former
    }

    /// Holds a body that stands in as many bytes as fit, where there is none that has to be ended.
    #[inline(always)]
    fn hold_inline(&mut self, bytes: &[u8; INLINE_LEN_MAX], len: usize) {
        // SAFETY: the bytes are as many as fit, and not of this message; the form that is noted next is that of a body here.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut self.body.inline).cast(), bytes.len()) };
        self.kind = VALID | len as u8;
    }

    /// Whether what is here has to be taken out before something else is held: its end may be a call of the application's.
    #[inline]
    pub(crate) fn ends_apart(&mut self) -> bool {
        self.may_end_in_a_call() || *self.extra.get_mut() != 0
    }

    /// Holds a body that was received, of less than [`LARGE_BODY_LEN`] bytes, in the place of what is here and does not
    /// [end apart](Self::ends_apart).
    #[inline(always)]
    pub(crate) fn hold_small(&mut self, body: BodyInPlace<'_>) {
        match body.in_place() {
            Some(bytes) if self.form() < OWNED => self.hold_inline(bytes, body.as_slice().len()),
            _ if body.as_slice().len() <= INLINE_LEN_MAX => self.hold_short(body.as_slice()),
            _ => body.copy_into(self.become_owned()),
        }
    }

    /// The same for a body that fits in the message.
    fn hold_short(&mut self, body: &[u8]) {
        assert!(body.len() <= INLINE_LEN_MAX);
        // SAFETY: they are no more bytes than fit, and not of this message; the form that is noted next is that of a body
        // here.
        unsafe {
            self.end_body();
            ptr::copy_nonoverlapping(body.as_ptr(), (&raw mut self.body.inline).cast(), body.len());
        }
        self.kind = VALID | body.len() as u8;
    }

    #[inline]
    fn hold_any(&mut self, frame: &mut Frame) -> Option<Self> {
        let former = self.ends_apart().then(|| self.take());
        if frame.len() <= INLINE_LEN_MAX {
            self.hold_short(frame);
        } else if frame.len() < LARGE_BODY_LEN {
            frame.swap_into(self.become_owned());
        } else {
            *self = mem::take(frame).into_bytes().into();
        }
        former
    }

    /// Takes the peer that sent it out, if nothing more is known.
    #[inline]
    pub(crate) fn take_peer(&mut self) -> Option<Arc<PeerInfo>> {
        if *self.extra.get_mut() & TAG != PEER {
            return None;
        }
        // SAFETY: the word is taken out of the message.
        match unsafe { Extra::from_word(mem::take(self.extra.get_mut())) } {
            Extra::Peer(peer) => Some(peer),
            Extra::Nothing | Extra::Record(_) => None,
        }
    }

    /// Puts back what [`take_peer`](Self::take_peer) took.
    pub(crate) fn put_peer_back(&mut self, peer: Option<Arc<PeerInfo>>) {
        if let Some(peer) = peer {
            *self.extra.get_mut() = Extra::Peer(peer).into_word();
        }
    }

    /// A copy of a message in which the body stands.
    fn copy_with_body(&self) -> Self {
        let mut copy = Self::with_form(self.form());
        // SAFETY: the form says that this is the field in use.
        copy.body.inline = unsafe { self.body.inline };
        copy.kind = self.kind;
        *copy.extra.get_mut() = self.copy_extra().into_word();
        copy
    }

    /// Becomes the copy of a message whose body is shared, by parts: to move 64 bytes that were just written in small
    /// pieces stalls the processor.
    #[inline]
    fn become_copy(&mut self, kind: u8, body: Bytes, extra: Extra) {
        self.clear();
        self.body.shared = ManuallyDrop::new(Unaligned(body));
        self.kind = kind;
        *self.extra.get_mut() = extra.into_word();
    }

    #[inline]
    fn copy_extra(&self) -> Extra {
        if self.extra.load(Ordering::Acquire) == 0 { Extra::Nothing } else { self.copy_what_is_known() }
    }

    #[cold]
    fn copy_what_is_known(&self) -> Extra {
        match (self.record(), self.peer()) {
            (Some(Record { routing_id, group, peer, .. }), _) if *routing_id != 0 || !group.is_empty() => {
                let record =
                    Record { peer: peer.clone(), routing_id: *routing_id, group: group.clone(), ..Record::default() };
                Extra::Record(Box::new(record))
            }
            (_, Some(peer)) => Extra::Peer(peer),
            (_, None) => Extra::Nothing,
        }
    }

    /// The peer that sent it.
    fn peer(&self) -> Option<Arc<PeerInfo>> {
        let word = self.extra.load(Ordering::Acquire);
        // SAFETY: it is looked at, and given back to the message by `forget`.
        let extra = ManuallyDrop::new(unsafe { Extra::from_word(word) });
        match &*extra {
            Extra::Nothing => None,
            Extra::Peer(peer) => Some(Arc::clone(peer)),
            Extra::Record(record) => record.peer.clone(),
        }
    }

    /// A property of the peer that sent it, as a C string that lives as long as the message.
    fn property(&self, name: &str) -> Option<*const c_char> {
        let record = self.record()?;
        let strings = record.strings.get_or_init(|| record.peer.as_deref().map(c_strings).unwrap_or_default());
        let name = if name == "Routing-Id" { "Identity" } else { name };
        strings.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_ptr())
    }

    /// The record with what is known; it is made at the first call, if there is anything.
    fn record(&self) -> Option<&Record> {
        let mut word = self.extra.load(Ordering::Acquire);
        if word & TAG != RECORD {
            let peer = self.peer()?;
            let record = Record { peer: Some(peer), ..Record::default() };
            let made = Extra::Record(Box::new(record)).into_word();
            // Two threads may look at the same message.
            let exchanged = self.extra.compare_exchange(word, made, Ordering::AcqRel, Ordering::Acquire);
            let unused = if exchanged.is_ok() { word } else { made };
            word = exchanged.map_or_else(|others| others, |_| made);
            // SAFETY: this word is not in the message any more, or never was.
            drop(unsafe { Extra::from_word(unused) });
        }
        let address = (word & !TAG) as usize;
        // SAFETY: the tag says that it is a record, which lives as long as the message.
        (word & TAG == RECORD).then(|| unsafe { &*ptr::with_exposed_provenance(address) })
    }

    /// The record, to be written to; it is made at the first call.
    fn record_mut(&mut self) -> &mut Record {
        let word = mem::take(self.extra.get_mut());
        // SAFETY: the word was taken out of the message.
        let record = match unsafe { Extra::from_word(word) } {
            Extra::Nothing => Box::default(),
            Extra::Peer(peer) => Box::new(Record { peer: Some(peer), ..Record::default() }),
            Extra::Record(record) => record,
        };
        let word = Extra::Record(record).into_word();
        *self.extra.get_mut() = word;
        // SAFETY: it was just put there, and is reached through this message alone.
        unsafe { &mut *ptr::with_exposed_provenance_mut((word & !TAG) as usize) }
    }

    #[inline]
    fn end_extra(&mut self) {
        let word = mem::take(self.extra.get_mut());
        if word != 0 {
            // SAFETY: the word was taken out of the message.
            drop(unsafe { Extra::from_word(word) });
        }
    }
}

/// What libzmq tells of a peer.
fn c_strings(peer: &PeerInfo) -> Vec<(String, CString)> {
    let mut strings: Vec<(String, CString)> = Vec::new();
    let mut push = |name: &str, value: &[u8]| {
        // libzmq shows a value to its first zero byte.
        let shown = value.split(|&byte| byte == 0).next().unwrap_or_default();
        strings.extend(CString::new(shown).ok().map(|value| (name.to_owned(), value)));
    };
    // The first of a name is shown: what is known goes before what the peer says of itself.
    if let Some(address) = peer.address.as_deref().and_then(|address| host_of(address)) {
        push("Peer-Address", address.as_bytes());
    }
    peer.user_id.iter().for_each(|user| push("User-Id", user));
    peer.granted.iter().for_each(|(name, value)| push(name, value));
    peer.metadata.iter().filter(|(name, _)| *name != "User-Id").for_each(|(name, value)| push(name, value));
    strings
}

/// The host's address in a peer's endpoint, without the port.
fn host_of(endpoint: &str) -> Option<&str> {
    let (host, _port) = endpoint.strip_prefix("tcp://")?.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

impl Drop for Message {
    #[inline]
    fn drop(&mut self) {
        self.end_extra();
        // SAFETY: the message is gone.
        unsafe { self.end_body() };
    }
}

macro_rules! message_from_body {
    ($($type:ty: $form:ident in $field:ident;)+) => {$(
        impl From<$type> for Message {
            fn from(body: $type) -> Self {
                let mut message = Self::with_form($form);
                message.body.$field = ManuallyDrop::new(Unaligned(body));
                message
            }
        }
    )+};
}

message_from_body! {
    Vec<u8>: OWNED in owned;
    Bytes: SHARED in shared;
    Foreign: FOREIGN in foreign;
}

/// A message of the application's that was initialised.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`, which nobody else uses during `'a`.
#[inline]
pub(crate) unsafe fn borrow<'a>(message: *mut Message) -> Result<&'a mut Message> {
    check_place(message)?;
    // SAFETY: as the caller says; any 64 bytes are a Message whose fields are only read if the kind says so.
    Some(unsafe { &mut *message }).filter(|message| message.is_valid()).ok_or(Errno::FAULT)
}

/// The same, to be looked at alone.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`, which nobody writes to during `'a`: others may look at it, too.
pub(crate) unsafe fn look<'a>(message: *const Message) -> Result<&'a Message> {
    if message.is_null() || !message.is_aligned() {
        return Err(Errno::FAULT);
    }
    // SAFETY: as the caller says; as in `borrow`.
    Some(unsafe { &*message }).filter(|message| message.is_valid()).ok_or(Errno::FAULT)
}

/// Writes a message where there was none, or where what was there is not to be dropped.
///
/// # Safety
/// `place` is null or points to a `zmq_msg_t`.
unsafe fn initialise(place: *mut Message, message: Message) -> Result<()> {
    check_place(place)?;
    // SAFETY: as the caller says.
    unsafe { place.write(message) };
    Ok(())
}

/// The same, with a message of this length.
///
/// # Safety
/// `place` is null or points to a `zmq_msg_t`.
#[inline]
unsafe fn initialise_sized(place: *mut Message, len: usize) -> Result<()> {
    check_place(place)?;
    // Only what counts is written: to move 64 bytes that were just written in small pieces stalls the processor.
    // SAFETY: as the caller says.
    unsafe {
        let form = if len <= INLINE_LEN_MAX {
            len as u8
        } else {
            (&raw mut (*place).body.allocated).cast::<Allocated>().write(Allocated::of(len)?);
            ALLOCATED
        };
        (&raw mut (*place).kind).write(VALID | form);
        (&raw mut (*place).extra).write(AtomicU64::new(0));
    }
    Ok(())
}

/// Where the body is, for the application to write to.
///
/// # Safety
/// `message` points to a message, which nobody writes to meanwhile.
unsafe fn data_of(message: *mut Message) -> *mut u8 {
    // SAFETY: as the caller says.
    let looked_at = unsafe { &*message };
    match looked_at.form() {
        // By the caller's own pointer, since it may be written to.
        ..OWNED => message.cast(),
        // SAFETY: the form says which field was written.
        ALLOCATED => unsafe { (*(&raw const (*message).body.allocated).cast::<Allocated>()).data.as_ptr() },
        _ => looked_at.body().as_ptr().cast_mut(),
    }
}

#[inline]
fn check_place(place: *mut Message) -> Result<()> {
    if place.is_null() || !place.is_aligned() { Err(Errno::FAULT) } else { Ok(()) }
}

/// Makes an empty message.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_init(message: *mut Message) -> c_int {
    // SAFETY: as the caller says.
    border::unit(|| unsafe { initialise_sized(message, 0) })
}

/// Makes a message of this length, whose content the application writes.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_init_size(message: *mut Message, len: usize) -> c_int {
    // SAFETY: as the caller says.
    border::unit(|| unsafe { initialise_sized(message, len) })
}

/// Makes a message with a copy of `data`.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`; `data` to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_init_buffer(message: *mut Message, data: *const c_void, len: usize) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let len = unsafe { border::bytes(data.cast(), len) }?.len();
        // SAFETY: as the caller says; the message has this length then. What it held before, and no other owns, may be the
        // body: they may overlap.
        unsafe {
            initialise_sized(message, len)?;
            if len > 0 {
                ptr::copy(data.cast(), data_of(message), len);
            }
        }
        Ok(())
    })
}

/// Makes a message of memory of the application's, which is freed with `free` when nobody needs it any more, on
/// whichever thread that is.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`; `data` to `len` bytes, which are left to the library.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_init_data(
    message: *mut Message,
    data: *mut c_void,
    len: usize,
    free: Option<zmq_free_fn>,
    hint: *mut c_void,
) -> c_int {
    border::unit(|| {
        if message.is_null() || !message.is_aligned() {
            return Err(Errno::FAULT);
        }
        let body = Foreign::new(data.cast(), len, free, hint)?;
        // SAFETY: as the caller says.
        unsafe { initialise(message, body.into()) }
    })
}

/// Gives a message up. It must be initialised before it is used again.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_close(message: *mut Message) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let message = unsafe { borrow(message) }?;
        message.clear();
        message.kind = 0;
        Ok(())
    })
}

/// Moves a message; `source` is empty then.
///
/// # Safety
/// Each is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_move(destination: *mut Message, source: *mut Message) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says; the first is not used while the second is.
        let moved = unsafe { borrow(source) }.and_then(|source| {
            // SAFETY: as the caller says.
            unsafe { borrow(destination) }.map(drop)?;
            Ok(source.take())
        })?;
        // SAFETY: as the caller says.
        *unsafe { borrow(destination) }? = moved;
        Ok(())
    })
}

/// Copies a message; a body that is not in the message itself is shared.
///
/// # Safety
/// Each is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_copy(destination: *mut Message, source: *mut Message) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says; the first is not used while the second is.
        let source = unsafe { borrow(source) }?;
        let Some(body) = source.share() else {
            let copy = source.copy_with_body();
            // SAFETY: as the caller says.
            *unsafe { borrow(destination) }? = copy;
            return Ok(());
        };
        let (kind, extra) = (source.kind, source.copy_extra());
        // SAFETY: as the caller says.
        unsafe { borrow(destination) }?.become_copy(kind, body, extra);
        Ok(())
    })
}

/// Where the body is.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_data(message: *mut Message) -> *mut c_void {
    border::pointer(|| {
        // SAFETY: as the caller says.
        let message = unsafe { look(message) }.map(|_| message)?;
        // SAFETY: it is one.
        Ok(unsafe { data_of(message) }.cast())
    })
}

/// The length of the body; 0 for no message.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_size(message: *const Message) -> usize {
    // SAFETY: as the caller says.
    unsafe { look(message) }.map_or(0, |message| message.body().len())
}

/// Whether another frame of the same message follows.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_more(message: *const Message) -> c_int {
    // SAFETY: as the caller says.
    unsafe { look(message) }.map_or(0, |message| c_int::from(message.has_more()))
}

/// A property that is a number.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_get(message: *const Message, property: c_int) -> c_int {
    const HAS_MORE: c_int = 1;
    const SOURCE_FD: c_int = 2;
    const IS_SHARED: c_int = 3;
    border::status(|| {
        // SAFETY: as the caller says.
        let message = unsafe { look(message) }?;
        match property {
            HAS_MORE => Ok(c_int::from(message.has_more())),
            // That it is closed by now shows when it is used.
            SOURCE_FD => message.peer().and_then(|peer| peer.descriptor).ok_or(Errno::INVALID),
            IS_SHARED => Ok(c_int::from(message.may_be_shared())),
            _ => Err(Errno::INVALID),
        }
    })
}

/// Sets a property that is a number: there is none that can be set.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_set(_message: *mut Message, _property: c_int, _value: c_int) -> c_int {
    border::unit(|| Err(Errno::INVALID))
}

/// A property that is a text, of the peer that sent the message. It lives as long as the message.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`; `property` to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_gets(message: *const Message, property: *const c_char) -> *const c_char {
    border::pointer(|| {
        // SAFETY: as the caller says.
        let name = unsafe { border::text(property) }?;
        // SAFETY: as the caller says.
        let message = unsafe { look(message) }?;
        message.property(name).map(<*const c_char>::cast_mut).ok_or(Errno::INVALID)
    })
}

/// The longest name of a group.
const GROUP_LEN_MAX: usize = 255;

/// Says to which peer of a SERVER a message goes.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_set_routing_id(message: *mut Message, routing_id: u32) -> c_int {
    border::unit(|| {
        if routing_id == 0 {
            return Err(Errno::INVALID);
        }
        // SAFETY: as the caller says.
        unsafe { borrow(message) }?.record_mut().routing_id = routing_id;
        Ok(())
    })
}

/// Which peer of a SERVER a message is from, or goes to; 0: none.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_routing_id(message: *const Message) -> u32 {
    // SAFETY: as the caller says.
    unsafe { look(message) }.ok().and_then(|message| message.record()).map_or(0, |record| record.routing_id)
}

/// Says to which group a message of RADIO's goes.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`; `group` to a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_set_group(message: *mut Message, group: *const c_char) -> c_int {
    border::unit(|| {
        if group.is_null() {
            return Err(Errno::INVALID);
        }
        // SAFETY: as the caller says.
        let group = unsafe { std::ffi::CStr::from_ptr(group) };
        if group.count_bytes() > GROUP_LEN_MAX {
            return Err(Errno::INVALID);
        }
        // SAFETY: as the caller says.
        unsafe { borrow(message) }?.record_mut().group = group.to_owned();
        Ok(())
    })
}

/// The group that a message of DISH's came for. It lives as long as the message.
///
/// # Safety
/// `message` is null or points to a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_msg_group(message: *const Message) -> *const c_char {
    // SAFETY: as the caller says.
    let message = unsafe { look(message) };
    message.ok().and_then(|message| message.record()).map_or(c"".as_ptr(), |record| record.group.as_ptr())
}
