//! How far the demo is: a bar on a terminal, a line now and then elsewhere.

use std::{cell::Cell, fmt::Write, io::IsTerminal};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::client::Outcome;
use crate::output;

/// How many lines there are from start to end where there is no terminal.
const LINES: usize = 10;

/// Tells the user how far it is, on standard error.
#[derive(Debug)]
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { done: Cell<usize>, total: usize },
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { done: Cell::new(0), total };
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {rate}, {eta} to go  {msg}");
        let style =
            style.expect("the template is sound").with_key("rate", |state: &ProgressState, line: &mut dyn Write| {
                // What cannot be shown is not missed.
                let _ = write!(line, "{:.1}/s", state.per_sec());
            });
        Self::Bar(ProgressBar::new(total as u64).with_style(style))
    }

    /// One picture more is done.
    pub(super) fn advance(&self, outcome: &Outcome) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(outcome.name.clone());
                bar.inc(1);
            }
            Self::Lines { done, total } => {
                let line_of = |done: usize| done * LINES / total;
                done.set(done.get() + 1);
                if line_of(done.get()) > line_of(done.get() - 1) {
                    output::tell(format_args!("{}/{total} pictures", done.get()));
                }
            }
        }
    }

    /// Tells something in between.
    pub(super) fn say(&self, what: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| output::tell(what)),
            Self::Lines { .. } => output::tell(what),
        }
    }

    /// All is done.
    pub(super) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
