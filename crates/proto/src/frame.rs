//! One frame of a message: up to 55 bytes in place, or a body of its own, or a reference-counted one.

use std::{fmt, ops::Deref};

use bytes::Bytes;

use crate::{limits::LARGE_BODY_LEN, message::Message};

/// Bodies up to this many bytes are kept in the [`Frame`] itself, without an allocation.
pub const INLINE_LEN_MAX: usize = 55;

/// Memory that is used again may be so many times as long as the body: who keeps small messages keeps none of large ones.
const KEPT_PER_BYTE: usize = 8;

/// One frame: a sequence of bytes without meaning to the library.
///
/// A frame takes 64 bytes. Up to [`INLINE_LEN_MAX`] bytes are kept in it; a longer body is apart from it. A clone copies
/// no body of 8 KiB or more: those are reference-counted.
#[derive(Clone)]
pub struct Frame(Repr);

/// A body of its own costs no reference count, and its memory is used again when another body is put in its place.
/// Only bodies below [`LARGE_BODY_LEN`] are kept that way.
#[derive(Clone)]
enum Repr {
    Inline {
        len: u8,
        bytes: [u8; INLINE_LEN_MAX],
    },
    Owned(Vec<u8>),
    Shared(Bytes),
    /// Shared, however short, and not let go of before it has been written.
    Held(Bytes),
}

impl Frame {
    /// An empty frame.
    pub const fn new() -> Self {
        Self(Repr::Inline { len: 0, bytes: [0; INLINE_LEN_MAX] })
    }

    /// A frame that holds on to `body`, however short it is, until it has been written, or dropped.
    ///
    /// A body of less than 8 KiB is otherwise copied where the frame is sent, and let go of there. This is for owners of
    /// bodies ([`Bytes::from_owner`]) that want to know when the message is gone. A STREAM, whose bytes have no frames,
    /// copies it all the same.
    pub const fn held(body: Bytes) -> Self {
        Self(Repr::Held(body))
    }

    /// A frame with a copy of `body`.
    pub fn copy_from_slice(body: &[u8]) -> Self {
        if body.len() <= INLINE_LEN_MAX {
            let mut bytes = [0; INLINE_LEN_MAX];
            bytes[..body.len()].copy_from_slice(body);
            Self(Repr::Inline { len: body.len() as u8, bytes })
        } else if body.len() < LARGE_BODY_LEN {
            Self(Repr::Owned(body.to_vec()))
        } else {
            Self(Repr::Shared(Bytes::copy_from_slice(body)))
        }
    }

    /// Makes this frame a copy of the first `len` bytes of `source`.
    ///
    /// Where `source` goes on behind the body, a copy of constant length replaces one of variable length: what is
    /// behind `len` is never shown.
    ///
    /// # Panics
    /// If `source` is shorter than `len`.
    #[inline]
    pub(crate) fn copy_prefix(&mut self, source: &[u8], len: usize) {
        match (&mut self.0, source.first_chunk::<INLINE_LEN_MAX>()) {
            (Repr::Inline { len: inline_len, bytes }, Some(chunk)) if len <= INLINE_LEN_MAX => {
                *inline_len = len as u8;
                *bytes = *chunk;
            }
            _ => self.copy_apart(&source[..len]),
        }
    }

    /// The same for a body that stands apart from its frame, or of which the frame is still another's.
    ///
    /// It is a function of its own, so that the one above has nothing to keep for it.
    #[inline(never)]
    fn copy_apart(&mut self, source: &[u8]) {
        let len = source.len();
        match &mut self.0 {
            Repr::Inline { len: inline_len, bytes } if len <= INLINE_LEN_MAX => {
                *inline_len = len as u8;
                bytes[..len].copy_from_slice(source);
            }
            Repr::Owned(body) if (INLINE_LEN_MAX + 1..LARGE_BODY_LEN).contains(&len) => copy_into(body, source),
            _ => *self = Self::copy_from_slice(source),
        }
    }

    /// The body's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether the body is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Owned(body) => body,
            Repr::Shared(body) | Repr::Held(body) => body,
        }
    }

    /// The body as [`Bytes`]; a body kept in place is copied.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { len, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Owned(body) => body.into(),
            Repr::Shared(body) | Repr::Held(body) => body,
        }
    }

    /// The body as a vector, without a copy where nobody else holds it.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Repr::Inline { len, bytes } => bytes[..usize::from(len)].to_vec(),
            Repr::Owned(body) => body,
            Repr::Shared(body) | Repr::Held(body) => body.into(),
        }
    }

    /// Takes the body out, in exchange for memory that serves for the next one which is received into this frame.
    ///
    /// Who moves bodies of some 100 bytes on as vectors needs no allocation for them so.
    #[inline]
    pub fn swap_into(&mut self, taken: &mut Vec<u8>) {
        taken.clear();
        match &mut self.0 {
            Repr::Owned(body) => std::mem::swap(body, taken),
            _ => *taken = std::mem::replace(self, Self(Repr::Owned(std::mem::take(taken)))).into_vec(),
        }
    }

    /// The bytes in which a short body stands, and its length; `None` if it stands apart from the frame. What is behind it
    /// has no meaning.
    ///
    /// Who copies many short bodies on copies all of these: a constant number of bytes takes less time than a variable one.
    #[inline]
    pub fn in_place(&self) -> Option<(&[u8; INLINE_LEN_MAX], usize)> {
        match &self.0 {
            Repr::Inline { len, bytes } => Some((bytes, usize::from(*len))),
            _ => None,
        }
    }

    /// The shared body, if the frame has one.
    pub(crate) fn shared(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Inline { .. } | Repr::Owned(_) => None,
            Repr::Shared(body) | Repr::Held(body) => Some(body),
        }
    }

    /// Whether the body is not to be let go of before it has been written.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.0, Repr::Held(_))
    }
}

/// Makes `memory` hold a copy of a body of its own. It is used again, unless it is far more than the body needs.
#[inline]
fn copy_into(memory: &mut Vec<u8>, body: &[u8]) {
    if memory.capacity() / KEPT_PER_BYTE > body.len() {
        *memory = Vec::with_capacity(body.len());
    }
    memory.clear();
    memory.extend_from_slice(body);
}

/// The body of a message that has come, where it stands among others.
#[derive(Clone, Copy)]
pub struct BodyInPlace<'a> {
    len: usize,
    /// It, and what stands behind it.
    bytes: &'a [u8],
}

impl<'a> BodyInPlace<'a> {
    /// The first `len` of these bytes.
    ///
    /// # Panics
    /// If there are less.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], len: usize) -> Self {
        assert!(len <= bytes.len());
        Self { len, bytes }
    }

    /// The body.
    #[inline]
    pub fn as_slice(&self) -> &'a [u8] {
        &self.bytes[..self.len]
    }

    /// The bytes in which a body of at most [`INLINE_LEN_MAX`] bytes stands, if there are as many; see
    /// [`Frame::in_place`].
    #[inline]
    pub fn in_place(&self) -> Option<&'a [u8; INLINE_LEN_MAX]> {
        self.bytes.first_chunk().filter(|_| self.len <= INLINE_LEN_MAX)
    }

    /// Copies the body to the place of what is in `message`, which then has no other frame.
    #[inline]
    pub(crate) fn copy_to(&self, message: &mut Message) {
        message.only_frame_mut().copy_prefix(self.bytes, self.len);
    }

    /// Copies the body to the place of what is in `memory`, which is used again as that of a [`Frame`] is.
    #[inline]
    pub fn copy_into(&self, memory: &mut Vec<u8>) {
        copy_into(memory, self.as_slice());
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Frame {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl std::borrow::Borrow<[u8]> for Frame {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Frame {}

impl std::hash::Hash for Frame {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

macro_rules! frame_eq {
    ($($other:ty),+) => {$(
        impl PartialEq<$other> for Frame {
            fn eq(&self, other: &$other) -> bool {
                let other: &[u8] = other.as_ref();
                self.as_slice() == other
            }
        }
    )+};
}

frame_eq!([u8], str, &[u8], &str, Vec<u8>, bytes::Bytes);

impl<const N: usize> PartialEq<[u8; N]> for Frame {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.as_slice() == other
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_LEN: usize = 64;
        let body = self.as_slice();
        let shown = &body[..body.len().min(SHOWN_LEN)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if body.len() > SHOWN_LEN {
            write!(f, "… ({} bytes)", body.len())?;
        }
        Ok(())
    }
}

impl From<Bytes> for Frame {
    fn from(body: Bytes) -> Self {
        if body.len() <= INLINE_LEN_MAX { Self::copy_from_slice(&body) } else { Self(Repr::Shared(body)) }
    }
}

impl From<Vec<u8>> for Frame {
    fn from(body: Vec<u8>) -> Self {
        match body.len() {
            0..=INLINE_LEN_MAX => Self::copy_from_slice(&body),
            len if len < LARGE_BODY_LEN => Self(Repr::Owned(body)),
            _ => Self(Repr::Shared(body.into())),
        }
    }
}

impl From<String> for Frame {
    fn from(body: String) -> Self {
        body.into_bytes().into()
    }
}

impl From<&[u8]> for Frame {
    fn from(body: &[u8]) -> Self {
        Self::copy_from_slice(body)
    }
}

impl From<&str> for Frame {
    fn from(body: &str) -> Self {
        Self::copy_from_slice(body.as_bytes())
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    fn from(body: &[u8; N]) -> Self {
        Self::copy_from_slice(body)
    }
}

impl From<&Frame> for Frame {
    fn from(frame: &Frame) -> Self {
        frame.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_in_a_cache_line() {
        assert_eq!(size_of::<Frame>(), 64);
    }

    #[test]
    fn what_is_given_for_a_body_holds_the_next_one() {
        let (first, second) = ([1; 100], [2; 70]);
        for (body, name) in [(Frame::from(&first), "owned"), (Bytes::from(first.to_vec()).into(), "shared")] {
            let mut frame = body;
            let mut taken = Vec::with_capacity(200);
            taken.extend_from_slice(b"former");
            let given = taken.as_ptr();
            frame.swap_into(&mut taken);
            assert_eq!((&taken[..], frame.len()), (&first[..], 0), "{name}");
            frame.copy_prefix(&second, 70);
            assert_eq!(frame, second, "{name}");
            assert_eq!(frame.as_ptr(), given, "{name}");
        }
    }

    #[test]
    fn memory_that_a_frame_was_made_of_holds_the_next_body() {
        let memory = Vec::with_capacity(100);
        let given = memory.as_ptr();
        let mut frame = Frame(Repr::Owned(memory));
        assert!(frame.is_empty());
        frame.copy_prefix(&[2; 70], 70);
        assert_eq!((&frame[..], frame.as_ptr()), (&[2; 70][..], given));
        frame.copy_prefix(&[3; 100], 5);
        assert_eq!(frame, [3; 5]);
    }

    #[test]
    fn bodies_survive_on_both_sides_of_the_inline_limit() {
        for len in [0, 1, INLINE_LEN_MAX, INLINE_LEN_MAX + 1, 10_000] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut longer = body.clone();
            longer.resize(len + 100, 0xEE);
            let mut prefix = Frame::new();
            prefix.copy_prefix(&longer, len);
            for frame in [Frame::from(&body[..]), Frame::from(body.clone()), prefix] {
                assert_eq!(frame, body);
                assert_eq!(frame.clone().into_vec(), body);
                assert_eq!(frame.into_bytes(), body);
            }
        }
    }
}
