//! The executor of libraries that need tokio.

use std::future::Future;
use std::sync::Arc;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

/// Tokio's multi-thread runtime with its defaults: a worker per core.
#[derive(Clone)]
pub(super) struct MultiThread(Arc<Runtime>);

impl MultiThread {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(Builder::new_multi_thread().enable_all().build()?)))
    }

    /// Runs `worker` as a task, not as the runtime's main future: that would have every wake-up cross threads.
    pub(super) fn run<F>(&self, worker: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.0.block_on(self.0.spawn(worker)) {
            Ok(output) => output,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// Runs `future` in the calling thread, for a future that cannot be a task because it is bound to its thread.
    #[cfg(feature = "zeromq")]
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
