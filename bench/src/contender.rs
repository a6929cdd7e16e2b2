//! Who competes: each library, in each way of using it that a case asks for.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::desk::{Desk, Job};
use crate::peer::Peer;
use crate::peer::libzmq::Libzmq;
use crate::peer::raw::Raw;
use crate::peer::system_libzmq::SystemLibzmq;
use crate::work::{self, Security, Work};

/// A library and the way it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// nought's blocking API, with its defaults.
    Nought,
    /// The same with spinning switched off.
    NoughtSleeping,
    /// nought's asynchronous API on tokio's multi-thread runtime.
    NoughtTokio,
    /// nought's asynchronous API on tokio's current-thread runtime.
    NoughtTokioCurrent,
    Libzmq,
    /// The system's, which has CURVE.
    SystemLibzmq,
    Omq,
    Rzmq,
    Zeromq,
    /// Bare sockets, whose readers sleep.
    Raw,
    /// Bare sockets, whose readers spin.
    RawSpinning,
}

impl Contender {
    /// The names that `--peers` takes.
    pub(crate) const FAMILIES: [&str; 6] = ["nought", "libzmq", "omq", "rzmq", "zeromq", "raw"];

    /// One of the names that `--peers` takes.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::Nought | Self::NoughtSleeping | Self::NoughtTokio | Self::NoughtTokioCurrent => "nought",
            Self::Libzmq | Self::SystemLibzmq => "libzmq",
            Self::Omq => "omq",
            Self::Rzmq => "rzmq",
            Self::Zeromq => "zeromq",
            Self::Raw | Self::RawSpinning => "raw",
        }
    }

    /// A name for the head of a column.
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Self::NoughtSleeping => "no spinning",
            Self::NoughtTokio => "tokio-mt",
            Self::NoughtTokioCurrent => "tokio-ct",
            Self::SystemLibzmq => "system's libzmq",
            Self::Raw => "bare",
            Self::RawSpinning => "bare, spinning",
            other => other.family(),
        }
    }

    /// Whether this program has been built with it, and it can do `work`.
    pub(crate) fn supports(self, work: Work) -> bool {
        self.entry().is_some_and(|entry| (entry.supports)(work))
    }

    /// The library's name and version, if this program has been built with it.
    pub(crate) fn version(self) -> Option<String> {
        self.entry().map(|entry| (entry.version)())
    }

    /// Does `job` with it.
    pub(crate) fn perform(self, job: Job, desk: Desk) -> Result<()> {
        let entry = self.entry().with_context(|| format!("this program has been built without {self}"))?;
        (entry.perform)(job, desk)
    }

    fn entry(self) -> Option<Entry> {
        match self {
            #[cfg(feature = "nought")]
            Self::Nought | Self::NoughtSleeping => Some(Entry::of::<crate::peer::nought::Nought>()),
            #[cfg(feature = "nought")]
            Self::NoughtTokio | Self::NoughtTokioCurrent => Some(Entry::of::<crate::peer::nought::AsyncNought>()),
            Self::Libzmq => Some(Entry::of::<Libzmq>()),
            Self::SystemLibzmq => Some(Entry::of::<SystemLibzmq>()),
            #[cfg(feature = "omq")]
            Self::Omq => Some(Entry::of::<crate::peer::omq::Omq>()),
            #[cfg(feature = "rzmq")]
            Self::Rzmq => Some(Entry::of::<crate::peer::rzmq::Rzmq>()),
            #[cfg(feature = "zeromq")]
            Self::Zeromq => Some(Entry::of::<crate::peer::zeromq::Zeromq>()),
            Self::Raw | Self::RawSpinning => Some(Entry::of::<Raw>()),
            #[allow(unreachable_patterns, reason = "with all features there is nobody left")]
            _ => None,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nought => "nought",
            Self::NoughtSleeping => "nought, no spinning",
            Self::NoughtTokio => "nought, tokio multi-thread",
            Self::NoughtTokioCurrent => "nought, tokio current-thread",
            Self::Libzmq => "libzmq",
            Self::SystemLibzmq => "the system's libzmq",
            Self::Omq => "omq-tokio",
            Self::Rzmq => "rzmq",
            Self::Zeromq => "zeromq",
            Self::Raw => "bare sockets",
            Self::RawSpinning => "bare sockets, spinning",
        })
    }
}

/// What is known of a contender without its type.
struct Entry {
    supports: fn(Work) -> bool,
    version: fn() -> String,
    perform: fn(Job, Desk) -> Result<()>,
}

impl Entry {
    fn of<P: Peer>() -> Self {
        Self { supports: supports::<P>, version: P::version, perform: work::perform::<P> }
    }
}

fn supports<P: Peer>(work: Work) -> bool {
    (P::HAS_CURVE || work.security() == Security::None) && P::supports(work)
}
