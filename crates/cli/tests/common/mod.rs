//! Running the real binary: its lines as they come, its end within a bounded time.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// No test waits longer than this for anything: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running command. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    output: Receiver<Vec<u8>>,
    errors: Receiver<Vec<u8>>,
    /// What was read of standard error so far.
    told: String,
    printed: Vec<u8>,
}

/// What is left of a command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Starts the command with an open standard input.
pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Running {
    start_into(args, Stdio::piped())
}

/// Starts the command with another standard output.
pub(crate) fn start_into<S: AsRef<std::ffi::OsStr>>(args: &[S], output: Stdio) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nought"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let output = child.stdout.take().map_or_else(|| mpsc::channel().1, lines);
    let errors = lines(child.stderr.take().unwrap());
    Running { child, output, errors, told: String::new(), printed: Vec::new() }
}

/// Runs the command to its end, with nothing on standard input.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ended {
    start(args).end_of_input().wait()
}

fn lines(source: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while source.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    lines
}

impl Running {
    /// Writes to standard input.
    pub(crate) fn input(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let input = self.child.stdin.as_mut().expect("standard input is open");
        input.write_all(text.as_ref()).and_then(|()| input.flush()).expect("the command reads");
        self
    }

    /// Closes standard input.
    pub(crate) fn end_of_input(mut self) -> Self {
        drop(self.child.stdin.take());
        self
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let line = self.output.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("no line is printed; standard error: {}", self.rest_of_errors()));
        self.printed.extend(&line);
        String::from_utf8(line).unwrap().trim_end_matches('\n').to_owned()
    }

    /// The next line of standard error that contains `text`.
    pub(crate) fn error_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.errors.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    self.told += &line;
                    if line.contains(text) {
                        return line.trim_end().to_owned();
                    }
                }
                Err(_) => panic!("{text:?} is not told, but: {}", self.told),
            }
        }
    }

    /// The endpoint that a wildcard became.
    pub(crate) fn endpoint(&mut self) -> String {
        self.error_line("bound to ").replace("bound to ", "")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.id(), signal);
    }

    /// Closes the reading end of standard output.
    pub(crate) fn close_output(&mut self) {
        // The reading thread ends with its next line, and the pipe with it.
        self.output = mpsc::channel().1;
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Ended {
        let status = self.wait_for_status();
        let printed = std::mem::take(&mut self.printed).into_iter();
        let output: Vec<u8> = printed.chain(self.output.iter().flatten()).collect();
        let errors = self.rest_of_errors();
        Ended { code: status.code(), output: String::from_utf8_lossy(&output).into_owned(), errors }
    }

    fn wait_for_status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("the command does not end; it told: {}", self.rest_of_errors());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn rest_of_errors(&mut self) -> String {
        loop {
            match self.errors.recv_timeout(PATIENCE) {
                Ok(line) => self.told += &String::from_utf8_lossy(&line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return self.told.clone(),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts that all went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.with_code(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that standard error has this text.
    #[track_caller]
    pub(crate) fn tells(self, text: &str) -> Self {
        assert!(self.errors.contains(text), "{text:?} is not told: {self:#?}");
        self
    }

    /// Asserts what standard output has.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert_eq!(self.output, text, "{self:#?}");
        self
    }
}

pub(crate) fn send_signal(id: u32, signal: Signal) {
    let pid = Pid::from_raw(id as i32).expect("a process's number is not zero");
    kill_process(pid, signal).expect("the process is there");
}

/// Waits until a process that need not be a child is no more, or is a zombie that nobody reaps.
pub(crate) fn wait_until_gone(id: u32) {
    wait_until(&format!("process {id} ends"), || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    });
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nought-cli-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of something in it, as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// An ipc endpoint in it.
    pub(crate) fn ipc(&self, name: &str) -> String {
        format!("ipc://{}", self.file(name))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
