//! What client, intermediaries and workers say to each other.
//!
//! ```text
//! request  [parameter][picture]
//! reply    ["ok"][worker][picture] or ["error"][worker][reason]
//! ```
//! REQ, ROUTER and DEALER put an envelope of frames before it, which ends with an empty frame. A worker's connection
//! announces it with an empty message (`probe_router`); after that each of its replies says that it is free again.

use std::fmt;

use clap::ValueEnum;
use nought::{Frame, Message};

/// What a topology does to pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Service {
    /// Fits a picture into a square. Its parameter: the side in pixels.
    Resize,
    /// Makes a picture brighter. Its parameter: by how much, and `gray` to take its colours as well.
    Brighten,
}

impl Service {
    pub(super) const ALL: [Self; 2] = [Self::Resize, Self::Brighten];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Resize => "resize",
            Self::Brighten => "brighten",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A picture, and what to do to it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) parameter: Frame,
    pub(super) picture: Frame,
}

impl Request {
    pub(super) fn to_message(&self) -> Message {
        Message::from([&self.parameter, &self.picture])
    }

    /// Reads the frames behind an envelope.
    pub(super) fn from_message(message: &Message) -> Option<Self> {
        let (parameter, picture) = (message.get(0)?.clone(), message.get(1)?.clone());
        (message.len() == 2).then_some(Self { parameter, picture })
    }
}

/// What became of a picture, and who saw to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) worker: String,
    pub(super) result: Result<Frame, String>,
}

impl Reply {
    pub(super) fn into_message(self) -> Message {
        match self.result {
            Ok(picture) => Message::from([Frame::from("ok"), Frame::from(self.worker), picture]),
            Err(reason) => Message::from([Frame::from("error"), Frame::from(self.worker), Frame::from(reason)]),
        }
    }

    pub(super) fn from_message(message: &Message) -> Option<Self> {
        let text = |index: usize| str::from_utf8(message.get(index)?).ok().map(str::to_owned);
        let result = match text(0)?.as_str() {
            "ok" => Ok(message.get(2)?.clone()),
            "error" => Err(text(2)?),
            _ => return None,
        };
        Some(Self { worker: text(1)?, result })
    }
}

/// Takes the envelope off: the frames up to the first empty one, that one included.
pub(super) fn take_envelope(message: &mut Message) -> Vec<Frame> {
    let mut envelope = Vec::new();
    while let Some(frame) = message.pop_front() {
        let is_delimiter = frame.is_empty();
        envelope.push(frame);
        if is_delimiter {
            break;
        }
    }
    envelope
}

/// Puts it on again.
pub(super) fn put_envelope(envelope: Vec<Frame>, message: &mut Message) {
    envelope.into_iter().rev().for_each(|frame| message.push_front(frame));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_lead_back() {
        for result in [Ok(Frame::from("picture")), Err("no picture".to_owned())] {
            let reply = Reply { worker: "worker-1".into(), result };
            assert_eq!(Reply::from_message(&reply.clone().into_message()), Some(reply));
        }
        assert_eq!(Reply::from_message(&Message::from(["maybe", "worker-1", "?"])), None);
        assert_eq!(Reply::from_message(&Message::from("ok")), None);
    }

    #[test]
    fn an_envelope_comes_off_and_goes_on() {
        let sent = Message::from(["client", "1", "", "320", ""]);
        let mut message = sent.clone();
        let envelope = take_envelope(&mut message);
        assert_eq!(message, Message::from(["320", ""]));
        put_envelope(envelope, &mut message);
        assert_eq!(message, sent);
    }
}
