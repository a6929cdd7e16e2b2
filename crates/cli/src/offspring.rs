//! Processes that this program starts from its own binary, and that end with it.
//!
//! The parent holds one end of each child's standard input and never writes to it. However the parent ends, the
//! system closes that end; the child sees it and ends too.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::failure::Failure;

/// How long a child that was told to end may take before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running child. Dropping it ends the process and waits for that.
#[derive(Debug)]
pub(crate) struct Offspring {
    process: std::process::Child,
}

/// What a child lets its parent know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Its first line on standard output: what it is ready for.
    Ready(String),
    /// It closed its standard output: it has ended, or is about to.
    Ended,
}

impl Offspring {
    /// Starts this program's binary with the hidden command `child` and `args`, and calls `tell` with what it says,
    /// on a thread of its own.
    ///
    /// The child is in a process group of its own: Ctrl-C reaches the parent alone, which then ends it in order.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub(crate) fn start(args: &[String], tell: impl Fn(News) + Send + 'static) -> Result<Self, Failure> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = Command::new(&program)
            .arg("child")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = BufReader::new(process.stdout.take().expect("its standard output is a pipe"));
        thread::spawn(move || pass_on(output, tell));
        Ok(Self { process })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end of a child that has [`News::Ended`], and says how it ended.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// Whether it ends by itself until `deadline`.
    fn ends_until(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Offspring {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if !self.ends_until(Instant::now() + FAREWELL) {
            // It fails only for a process that has ended.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn pass_on(mut output: impl BufRead, tell: impl Fn(News)) {
    let mut line = String::new();
    if output.read_line(&mut line).is_ok_and(|len| len > 0) {
        tell(News::Ready(line.trim_end().to_owned()));
    }
    let _ = io::copy(&mut output, &mut io::sink());
    tell(News::Ended);
}

/// In a child: ends this process when its parent is gone.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

/// In a child: tells the parent what this process is ready for.
///
/// # Errors
/// If the parent is gone.
pub(crate) fn tell_ready(what: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{what}").and_then(|()| output.flush()).map_err(Failure::of_output)
}

/// How a process ended, in words: `was killed by signal 9 (SIGKILL)`, `ended with exit status: 101`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(_) => format!("was killed by {status}"),
        None => format!("ended with {status}"),
    }
}
