//! A message: one frame without an allocation, or several; and what a caller hands over to be sent.

use std::{
    collections::{VecDeque, vec_deque},
    fmt,
    num::NonZeroU32,
    ops::Index,
    slice,
};

use crate::{frame::Frame, limits::LARGE_BODY_LEN};

/// Frames for which there is room in a message of several: a routing id, the delimiter behind it, a body, and one more.
const USUAL_FRAMES: usize = 4;

/// One frame, or several that travel and arrive together or not at all.
///
/// `Message::from` takes what a [`Frame`] can be made of, and arrays or vectors of it for a message of several frames:
///
/// ```
/// use nought_proto::Message;
///
/// let single = Message::from("hello");
/// let several = Message::from(["weather.berlin", "21 °C"]);
/// assert_eq!(single.len(), 1);
/// assert_eq!(&several[0], "weather.berlin");
/// ```
///
/// Beside its frames it may have an [`Address`]: whom it goes to or comes from, where the socket type says that by a
/// number or a group (SERVER, PEER, RADIO, DISH).
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Parts);

#[derive(Clone)]
enum Parts {
    One(Frame),
    Many(VecDeque<Frame>),
    /// Apart, so that messages without an address, which are most, need no room for it.
    Addressed(Box<Addressed>),
}

/// The message in it has no address itself.
#[derive(Clone, PartialEq, Eq)]
struct Addressed {
    address: Address,
    message: Message,
}

/// Whom a message goes to or comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The peer with this number (SERVER, PEER; RFC 41, RFC 51).
    RoutingId(NonZeroU32),
    /// Those who have joined this group: 0 to 255 bytes, none of them zero (RADIO, DISH; RFC 48).
    Group(Frame),
}

impl Message {
    /// A message without frames, to be filled with [`push_back`](Self::push_back). Sending it as it is, is an error.
    pub const fn new() -> Self {
        Self(Parts::Many(VecDeque::new()))
    }

    /// A message of one empty frame.
    pub const fn empty_frame() -> Self {
        Self(Parts::One(Frame::new()))
    }

    /// The number of frames.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Parts::One(_) => 1,
            Parts::Many(frames) => frames.len(),
            Parts::Addressed(addressed) => addressed.message.len(),
        }
    }

    /// Whether there is no frame (a message of one empty frame is not empty).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all frames' bodies together.
    pub fn body_len(&self) -> usize {
        self.frames().map(Frame::len).sum()
    }

    /// The frames in their order.
    pub fn frames(&self) -> Frames<'_> {
        match &self.0 {
            Parts::One(frame) => Frames(FramesRepr::One(slice::from_ref(frame).iter())),
            Parts::Many(frames) => Frames(FramesRepr::Many(frames.iter())),
            Parts::Addressed(addressed) => addressed.message.frames(),
        }
    }

    /// The frame at `index`.
    pub fn get(&self, index: usize) -> Option<&Frame> {
        match &self.0 {
            Parts::One(frame) => (index == 0).then_some(frame),
            Parts::Many(frames) => frames.get(index),
            Parts::Addressed(addressed) => addressed.message.get(index),
        }
    }

    /// The first frame.
    pub fn first(&self) -> Option<&Frame> {
        self.get(0)
    }

    /// The first frame, to be changed or taken.
    #[inline]
    pub fn first_mut(&mut self) -> Option<&mut Frame> {
        match &mut self.0 {
            Parts::One(frame) => Some(frame),
            Parts::Many(frames) => frames.front_mut(),
            Parts::Addressed(addressed) => addressed.message.first_mut(),
        }
    }

    /// The first frame's body; an empty slice where there is no frame.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.first().map_or(&[], Frame::as_slice)
    }

    /// Appends a frame.
    pub fn push_back(&mut self, frame: impl Into<Frame>) {
        self.as_many().push_back(frame.into());
    }

    /// Puts a frame before all others, as an envelope does.
    pub fn push_front(&mut self, frame: impl Into<Frame>) {
        self.as_many().push_front(frame.into());
    }

    /// Takes the first frame off.
    pub fn pop_front(&mut self) -> Option<Frame> {
        self.as_many().pop_front()
    }

    /// Takes the last frame off.
    pub fn pop_back(&mut self) -> Option<Frame> {
        self.as_many().pop_back()
    }

    /// The frames in their order, by value.
    pub fn into_frames(self) -> impl ExactSizeIterator<Item = Frame> + DoubleEndedIterator {
        self.into_many().into_iter()
    }

    fn into_many(self) -> VecDeque<Frame> {
        match self.0 {
            Parts::One(frame) => VecDeque::from([frame]),
            Parts::Many(frames) => frames,
            Parts::Addressed(addressed) => addressed.message.into_many(),
        }
    }

    // ---- the address

    /// Whom it goes to or comes from.
    #[inline]
    pub fn address(&self) -> Option<&Address> {
        match &self.0 {
            Parts::Addressed(addressed) => Some(&addressed.address),
            _ => None,
        }
    }

    /// The number of the peer that it goes to or comes from (SERVER, PEER).
    pub fn routing_id(&self) -> Option<NonZeroU32> {
        match self.address() {
            Some(Address::RoutingId(routing_id)) => Some(*routing_id),
            _ => None,
        }
    }

    /// The group that it is for (RADIO, DISH).
    pub fn group(&self) -> Option<&Frame> {
        match self.address() {
            Some(Address::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// The message for the peer with this number.
    ///
    /// ```
    /// # use nought_proto::Message;
    /// # let request = Message::from("hi").with_routing_id(7.try_into().unwrap());
    /// let reply = Message::from("hello").with_routing_id(request.routing_id().unwrap());
    /// ```
    #[must_use]
    pub fn with_routing_id(mut self, routing_id: NonZeroU32) -> Self {
        self.set_address(Some(Address::RoutingId(routing_id)));
        self
    }

    /// The message for this group.
    ///
    /// ```
    /// # use nought_proto::Message;
    /// let message = Message::from("21 °C").with_group("weather");
    /// assert_eq!(message.group().unwrap(), "weather");
    /// ```
    #[must_use]
    pub fn with_group(mut self, group: impl Into<Frame>) -> Self {
        self.set_address(Some(Address::Group(group.into())));
        self
    }

    /// Addresses the message, in the place of the address that it has.
    pub fn set_address(&mut self, address: Option<Address>) {
        match (address, &mut self.0) {
            (Some(address), Parts::Addressed(addressed)) => addressed.address = address,
            (Some(address), _) => {
                let message = std::mem::take(self);
                self.0 = Parts::Addressed(Box::new(Addressed { address, message }));
            }
            (None, Parts::Addressed(addressed)) => *self = std::mem::take(&mut addressed.message),
            (None, _) => {}
        }
    }

    /// The message without its address, to be changed; the address stays.
    pub(crate) fn unaddressed_mut(&mut self) -> &mut Self {
        if self.address().is_none() {
            return self;
        }
        match &mut self.0 {
            Parts::Addressed(addressed) => &mut addressed.message,
            _ => unreachable!("it has an address"),
        }
    }

    /// The frame of a message of one frame, into which the message is turned if it is another.
    #[inline]
    pub(crate) fn only_frame_mut(&mut self) -> &mut Frame {
        if !matches!(self.0, Parts::One(_)) {
            self.0 = Parts::One(Frame::new());
        }
        match &mut self.0 {
            Parts::One(frame) => frame,
            _ => unreachable!("made one above"),
        }
    }

    /// Whether all its frames have memory of their own, as nearly all small ones have.
    #[inline]
    pub(crate) fn is_unshared(&self) -> bool {
        match &self.0 {
            Parts::One(frame) => frame.shared().is_none(),
            Parts::Many(frames) => frames.iter().all(|frame| frame.shared().is_none()),
            Parts::Addressed(_) => false,
        }
    }

    /// The frames, and the name of its group, if it has one.
    pub(crate) fn frames_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        let (group, parts) = match &mut self.0 {
            Parts::Addressed(addressed) => {
                let Addressed { address, message } = &mut **addressed;
                (address.group_mut(), &mut message.0)
            }
            parts => (None, parts),
        };
        let (one, many) = match parts {
            Parts::One(frame) => (Some(frame), None),
            Parts::Many(frames) => (None, Some(frames)),
            Parts::Addressed(_) => unreachable!("an addressed message has no other address"),
        };
        group.into_iter().chain(one).chain(many.into_iter().flatten())
    }

    fn as_many(&mut self) -> &mut VecDeque<Frame> {
        if let Parts::One(frame) = &mut self.0 {
            let mut frames = VecDeque::with_capacity(USUAL_FRAMES);
            frames.push_back(std::mem::take(frame));
            self.0 = Parts::Many(frames);
        }
        match &mut self.0 {
            Parts::Many(frames) => frames,
            Parts::Addressed(addressed) => addressed.message.as_many(),
            Parts::One(_) => unreachable!("made many above"),
        }
    }

    /// The frames of a message that had several: another is put in their place, and their memory used again.
    #[inline]
    pub(crate) fn frames_to_reuse(&mut self) -> Option<&mut VecDeque<Frame>> {
        match &mut self.0 {
            Parts::Many(frames) if frames.capacity() > 0 => Some(frames),
            _ => None,
        }
    }
}

impl Address {
    fn group_mut(&mut self) -> Option<&mut Frame> {
        match self {
            Self::RoutingId(_) => None,
            Self::Group(group) => Some(group),
        }
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => a == b,
            (Self::Many(a), Self::Many(b)) => a == b,
            (Self::One(one), Self::Many(many)) | (Self::Many(many), Self::One(one)) => {
                many.len() == 1 && many[0] == *one
            }
            (Self::Addressed(a), Self::Addressed(b)) => a == b,
            (Self::Addressed(_), _) | (_, Self::Addressed(_)) => false,
        }
    }
}

impl Eq for Parts {}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address() {
            write!(f, "{address:?} ")?;
        }
        f.debug_list().entries(self.frames()).finish()
    }
}

impl Index<usize> for Message {
    type Output = Frame;

    /// The frame at `index`.
    ///
    /// # Panics
    /// If there is none; [`get`](Message::get) does not.
    fn index(&self, index: usize) -> &Frame {
        self.get(index).expect("the message has no frame at this index")
    }
}

macro_rules! message_eq_single_frame {
    ($($other:ty),+) => {$(
        impl PartialEq<$other> for Message {
            /// Whether the message is this single frame.
            fn eq(&self, other: &$other) -> bool {
                let other: &[u8] = other.as_ref();
                self.len() == 1 && self.as_slice() == other
            }
        }
    )+};
}

message_eq_single_frame!([u8], str, &[u8], &str, Vec<u8>);

impl<const N: usize> PartialEq<[u8; N]> for Message {
    /// Whether the message is this single frame.
    fn eq(&self, other: &[u8; N]) -> bool {
        *self == other[..]
    }
}

impl From<VecDeque<Frame>> for Message {
    fn from(frames: VecDeque<Frame>) -> Self {
        Self(Parts::Many(frames))
    }
}

impl<T: Into<Frame>, const N: usize> From<[T; N]> for Message {
    fn from(frames: [T; N]) -> Self {
        frames.into_iter().collect()
    }
}

impl<T: Into<Frame>> FromIterator<T> for Message {
    fn from_iter<I: IntoIterator<Item = T>>(frames: I) -> Self {
        Self(Parts::Many(frames.into_iter().map(Into::into).collect()))
    }
}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a Frame;
    type IntoIter = Frames<'a>;

    fn into_iter(self) -> Frames<'a> {
        self.frames()
    }
}

macro_rules! message_from_frames {
    ($($source:ty),+) => {$(
        impl From<Vec<$source>> for Message {
            fn from(frames: Vec<$source>) -> Self {
                frames.into_iter().collect()
            }
        }

        impl From<Vec<$source>> for Outgoing<'_> {
            fn from(frames: Vec<$source>) -> Self {
                Self::Owned(frames.into())
            }
        }
    )+};
}

message_from_frames!(Frame, Vec<u8>, String, &str, &[u8], bytes::Bytes);

macro_rules! message_from_one_frame {
    ($($source:ty),+) => {$(
        impl From<$source> for Message {
            fn from(body: $source) -> Self {
                Self(Parts::One(body.into()))
            }
        }
    )+};
}

message_from_one_frame!(Frame, &Frame, &[u8], &str, Vec<u8>, String, bytes::Bytes);

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(body: &[u8; N]) -> Self {
        Self(Parts::One(body.into()))
    }
}

/// The frames of a [`Message`], from [`Message::frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a>(FramesRepr<'a>);

#[derive(Clone, Debug)]
enum FramesRepr<'a> {
    One(slice::Iter<'a, Frame>),
    Many(vec_deque::Iter<'a, Frame>),
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a Frame;

    fn next(&mut self) -> Option<&'a Frame> {
        match &mut self.0 {
            FramesRepr::One(frames) => frames.next(),
            FramesRepr::Many(frames) => frames.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            FramesRepr::One(frames) => frames.size_hint(),
            FramesRepr::Many(frames) => frames.size_hint(),
        }
    }
}

impl ExactSizeIterator for Frames<'_> {}

/// What a caller hands over to be sent: a message, or the borrowed body of a single frame or of several, which are
/// encoded straight into the connection's buffer without a [`Message`] in between.
#[derive(Debug)]
pub enum Outgoing<'a> {
    /// The body of the only frame.
    Body(&'a [u8]),
    /// The bodies of all frames.
    Bodies(&'a [&'a [u8]]),
    /// A message of the caller's.
    Borrowed(&'a Message),
    /// A message given away.
    Owned(Message),
}

impl Outgoing<'_> {
    /// The number of frames.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Body(_) => 1,
            Self::Bodies(bodies) => bodies.len(),
            Self::Borrowed(message) => message.len(),
            Self::Owned(message) => message.len(),
        }
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whom it goes to, where the message says so.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Body(_) | Self::Bodies(_) => None,
            Self::Borrowed(message) => message.address(),
            Self::Owned(message) => message.address(),
        }
    }

    /// The body of the frame at `index`.
    pub fn body(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Body(body) => (index == 0).then_some(*body),
            Self::Bodies(bodies) => bodies.get(index).copied(),
            Self::Borrowed(message) => message.get(index).map(Frame::as_slice),
            Self::Owned(message) => message.get(index).map(Frame::as_slice),
        }
    }

    /// The bytes of all frames' bodies together.
    pub fn body_len(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Bodies(bodies) => bodies.iter().map(|body| body.len()).sum(),
            Self::Borrowed(message) => message.body_len(),
            Self::Owned(message) => message.body_len(),
        }
    }

    /// Whether there is a body for which it pays not to be copied twice, and which is the caller's.
    #[inline]
    pub(crate) fn borrows_large_body(&self) -> bool {
        match self {
            Self::Body(body) => body.len() >= LARGE_BODY_LEN,
            Self::Bodies(bodies) => bodies.iter().any(|body| body.len() >= LARGE_BODY_LEN),
            Self::Borrowed(_) | Self::Owned(_) => false,
        }
    }

    /// A copy of the message.
    pub fn to_message(&self) -> Message {
        match self {
            Self::Body(body) => (*body).into(),
            Self::Bodies(bodies) => bodies.iter().copied().collect(),
            Self::Borrowed(message) => (*message).clone(),
            Self::Owned(message) => message.clone(),
        }
    }

    /// The message, copied where it was only borrowed.
    pub fn into_message(self) -> Message {
        match self {
            Self::Owned(message) => message,
            borrowed => borrowed.to_message(),
        }
    }
}

impl<'a> From<&'a [&'a [u8]]> for Outgoing<'a> {
    fn from(bodies: &'a [&'a [u8]]) -> Self {
        Self::Bodies(bodies)
    }
}

impl<'a> From<&'a Message> for Outgoing<'a> {
    fn from(message: &'a Message) -> Self {
        Self::Borrowed(message)
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(body: &'a [u8]) -> Self {
        Self::Body(body)
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(body: &'a str) -> Self {
        Self::Body(body.as_bytes())
    }
}

impl<'a> From<&'a String> for Outgoing<'a> {
    fn from(body: &'a String) -> Self {
        Self::Body(body.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Outgoing<'a> {
    fn from(body: &'a Vec<u8>) -> Self {
        Self::Body(body)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(body: &'a [u8; N]) -> Self {
        Self::Body(body)
    }
}

macro_rules! outgoing_from_owned {
    ($($source:ty),+) => {$(
        impl From<$source> for Outgoing<'_> {
            fn from(owned: $source) -> Self {
                Self::Owned(owned.into())
            }
        }
    )+};
}

outgoing_from_owned!(Message, Frame, Vec<u8>, String, bytes::Bytes);

impl<T: Into<Frame>, const N: usize> From<[T; N]> for Outgoing<'_> {
    fn from(frames: [T; N]) -> Self {
        Self::Owned(frames.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_more_than_its_frame() {
        assert_eq!(size_of::<Message>(), size_of::<Frame>());
    }

    #[test]
    fn one_frame_and_a_list_of_one_are_the_same_message() {
        assert_eq!(Message::from("a"), Message::from(["a"]));
        assert_eq!(Message::from("a"), *"a");
        assert_ne!(Message::from(["a", "b"]), Message::from("a"));
    }

    #[test]
    fn an_address_stays_whatever_becomes_of_the_frames() {
        let routing_id = NonZeroU32::new(7).unwrap();
        let mut message = Message::from("body").with_group("weather").with_routing_id(routing_id);
        assert_eq!((message.routing_id(), message.group(), message.len()), (Some(routing_id), None, 1));
        assert_ne!(message, Message::from("body"));
        assert_eq!(message, *"body");
        message.push_front("id");
        assert_eq!((message.routing_id(), message.len()), (Some(routing_id), 2));
        assert_eq!(message.pop_back().unwrap(), *"body");
        assert_eq!(message.clone(), message);
        message.set_address(None);
        assert_eq!(message, Message::from("id"));
    }

    #[test]
    fn frames_are_pushed_and_popped_at_both_ends() {
        let mut message = Message::from("body");
        message.push_front("");
        message.push_front("id");
        message.push_back("tail");
        assert_eq!(message, Message::from(["id", "", "body", "tail"]));
        assert_eq!(message.pop_front().unwrap(), *"id");
        assert_eq!(message.pop_back().unwrap(), *"tail");
        assert_eq!(message.len(), 2);
    }
}
