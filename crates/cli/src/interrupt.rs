//! Ctrl-C, and the signals that mean the same: SIGTERM and SIGHUP.

use std::thread;

use anyhow::Context as _;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::failure::{Failure, Signal};

/// Calls `on_interrupt` with the signal, on a thread of its own, when the user wants the program to end.
///
/// # Errors
/// If the system has no means for it.
pub(crate) fn on_interrupt(mut on_interrupt: impl FnMut(Signal) + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch Ctrl-C")?;
    thread::spawn(move || signals.forever().for_each(|number| on_interrupt(Signal::new(number))));
    Ok(())
}
