//! How a command ends when it does not end well.

use std::io;

/// The exit codes; `nought --help` lists them.
pub(crate) mod code {
    /// Done.
    pub(crate) const OK: u8 = 0;
    /// An error.
    pub(crate) const ERROR: u8 = 1;
    /// Wrong arguments; clap's own errors have this code too.
    pub(crate) const USAGE: u8 = 2;
    /// A time-out passed.
    pub(crate) const TIMED_OUT: u8 = 3;
    /// Ended by a signal: this and its number, as shells have it.
    pub(crate) const SIGNAL: u8 = 128;
}

/// The signal by which the user ended the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(u8);

impl Signal {
    pub(crate) fn new(number: i32) -> Self {
        Self(number as u8)
    }

    /// The exit code that tells of it.
    pub(crate) fn code(self) -> u8 {
        code::SIGNAL + self.0
    }
}

/// Why a command did not do what it was to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong.
    Error(anyhow::Error),
    /// The arguments make no sense together; the text says what to write instead.
    Usage(String),
    /// What was waited for did not come in time.
    TimedOut(String),
    /// The user ended it. Without a text nothing is told.
    Interrupted(Signal, String),
    /// Nobody reads the output any more, as behind `| head`: an end, and no error.
    OutputClosed,
}

impl Failure {
    /// An error that is told in words.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::Error(anyhow::Error::msg(message.into()))
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error(_) => code::ERROR,
            Self::Usage(_) => code::USAGE,
            Self::TimedOut(_) => code::TIMED_OUT,
            Self::Interrupted(signal, _) => signal.code(),
            Self::OutputClosed => code::OK,
        }
    }

    /// What to tell the user; nothing where the exit code says it all.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Error(error) => Some(format!("error: {}", show_chain(error))),
            Self::Usage(message) => Some(format!("error: {message}")),
            Self::TimedOut(message) => Some(format!("time-out: {message}")),
            Self::Interrupted(_, message) if message.is_empty() => None,
            Self::Interrupted(_, message) => Some(format!("interrupted: {message}")),
            Self::OutputClosed => None,
        }
    }

    /// What failed when standard output was written to.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Error(anyhow::Error::new(error).context("cannot write to standard output")),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// An error and its causes, in a line. A cause that the error tells in its own words is not told twice.
fn show_chain(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |shown, cause| {
        let cause = cause.to_string();
        if shown.contains(&cause) { shown } else { format!("{shown}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let cause = || io::Error::other("disk full");
        let error = anyhow::Error::new(cause()).context("cannot write");
        assert_eq!(show_chain(&error), "cannot write: disk full");
        let error = anyhow::Error::new(cause()).context("cannot write: disk full, alas");
        assert_eq!(show_chain(&error), "cannot write: disk full, alas");
    }
}
