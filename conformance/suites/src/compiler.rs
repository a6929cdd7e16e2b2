//! Builds C and C++ with the system's compiler, each file once.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};

use crate::process;

const LIMIT: Duration = Duration::from_secs(300);

/// How one file is made.
pub(crate) struct Step {
    compiler: &'static str,
    output: PathBuf,
    arguments: Vec<OsString>,
}

impl Step {
    /// Compiles `source` to an object file in `folder`.
    pub(crate) fn object(source: &Path, folder: &Path, flags: &[String]) -> Self {
        let is_c = source.extension().is_some_and(|extension| extension == "c");
        let output = folder.join(source.file_name().unwrap_or_default()).with_added_extension("o");
        let mut arguments: Vec<OsString> = flags.iter().map(OsString::from).collect();
        arguments.extend(["-fPIC".into(), "-c".into(), source.into()]);
        Self { compiler: if is_c { "gcc" } else { "g++" }, output, arguments }
    }

    /// Compiles and links `parts`, then `flags`, to a program or a library.
    pub(crate) fn link(output: PathBuf, parts: &[PathBuf], flags: &[String]) -> Self {
        let arguments = parts.iter().map(OsString::from).chain(flags.iter().map(OsString::from)).collect();
        Self { compiler: "g++", output, arguments }
    }

    /// What is made.
    pub(crate) fn output(&self) -> &Path {
        &self.output
    }

    /// Does nothing if the output is there: it appears whole, or not at all, in a folder for one version of the source.
    fn make(&self) -> Result<()> {
        if self.output.exists() {
            return Ok(());
        }
        let part = self.output.with_added_extension("part");
        let log = self.output.with_added_extension("log");
        // Optimised, as libraries and measurements are; a test program's time goes into the library anyway.
        let mut command = Command::new(self.compiler);
        command.args(["-O2", "-w", "-pthread", "-o"]).arg(&part).args(&self.arguments);
        process::succeed(&mut command, LIMIT, &log)?;
        fs::rename(&part, &self.output).with_context(|| self.output.display().to_string())
    }
}

/// Makes all of them, on all processors.
pub(crate) fn make_all(steps: &[Step]) -> Result<()> {
    let rest = Mutex::new(steps.iter());
    let next = || rest.lock().ok()?.next();
    let work = || -> Result<()> {
        while let Some(step) = next() {
            step.make()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a compiler's thread panicked"))?)
    })
}
