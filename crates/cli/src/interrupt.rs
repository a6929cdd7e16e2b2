//! Ctrl-C, and the signals that mean the same: SIGTERM and SIGHUP.

use anyhow::Context as _;

use crate::failure::Failure;

/// Calls `on_interrupt`, on a thread of its own, when the user wants the program to end.
///
/// # Errors
/// If the system has no means for it.
pub(crate) fn on_interrupt(on_interrupt: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(on_interrupt).context("cannot catch Ctrl-C")?;
    Ok(())
}
