//! The contexts in which is measured, one at a time: Ctrl-C shuts them down, so that no file and no process stays behind.

use std::{
    process,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use nought::Context;

use crate::{
    failure::{Failure, Signal},
    interrupt,
};

/// Makes contexts, and knows whether the user has ended the program.
#[derive(Debug)]
pub(super) struct Contexts {
    current: Arc<Mutex<Option<Context>>>,
    interrupted: Arc<OnceLock<Signal>>,
}

impl Contexts {
    pub(super) fn new() -> Result<Self, Failure> {
        let contexts = Self { current: Arc::default(), interrupted: Arc::default() };
        let (current, interrupted) = (Arc::clone(&contexts.current), Arc::clone(&contexts.interrupted));
        interrupt::on_interrupt(move |signal| {
            let is_first = interrupted.set(signal).is_ok();
            match &*lock(&current) {
                Some(context) if is_first => context.shutdown(),
                // It does not measure, or does not end soon enough.
                _ => process::exit(signal.code().into()),
            }
        })?;
        Ok(contexts)
    }

    /// A context for the next measurement.
    pub(super) fn make(&self) -> Result<Context, Failure> {
        let context = Context::builder().build()?;
        // The one before ends without the lock: it may wait, and Ctrl-C wants the lock.
        let before = lock(&self.current).replace(context.clone());
        drop(before);
        if self.interrupted.get().is_some() {
            context.shutdown();
        }
        Ok(context)
    }

    /// How the command ends. Waits until all is sent.
    pub(super) fn end(&self, result: Result<(), Failure>) -> Result<(), Failure> {
        let last = lock(&self.current).take();
        drop(last);
        match self.interrupted.get() {
            Some(signal) => Err(Failure::Interrupted(*signal, String::new())),
            None => result,
        }
    }
}

fn lock(current: &Mutex<Option<Context>>) -> MutexGuard<'_, Option<Context>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
