//! Processes that play a role: this test binary, run again.
//!
//! A test file that uses them has a test named `role`, which calls [`play`] and is over at once when no role is asked
//! for. A role talks to the test by lines: [`tell`] on its output, [`Role::ask`] on its input.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use super::{PATIENCE, proc, until};

const ROLE: &str = "NOUGHT_TEST_ROLE";
const ARGUMENTS: &str = "NOUGHT_TEST_ARGUMENTS";
/// What stands before each line for the test, among what the test harness writes.
const MARK: &str = "\u{1}";
const SEPARATOR: &str = "\u{2}";

/// What a process does in its role, with the arguments it was given.
pub type RoleFn = fn(&[String]);

/// Plays the role that is asked for, if one is.
pub fn play(roles: &[(&str, RoleFn)]) {
    let Ok(wanted) = std::env::var(ROLE) else { return };
    let arguments = std::env::var(ARGUMENTS).unwrap_or_default();
    let arguments: Vec<String> = arguments.split(SEPARATOR).map(str::to_owned).collect();
    let (_, role) = roles.iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no role {wanted}"));
    role(&arguments);
}

/// Tells the test something.
pub fn tell(line: impl std::fmt::Display) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{MARK}{line}").unwrap();
    output.flush().unwrap();
}

/// Waits for a line from the test; `None` when it has none any more.
pub fn listen() -> Option<String> {
    let mut line = String::new();
    let len = std::io::stdin().lock().read_line(&mut line).unwrap();
    (len > 0).then(|| line.trim_end().to_owned())
}

/// Does nothing until the test closes this process's input, or kills it.
pub fn wait_for_the_end() {
    while listen().is_some() {}
}

/// A running process. Dropping it kills it.
pub struct Role {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Role {
    /// Starts a process in a role.
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        Self::start_with(Command::new(std::env::current_exe().unwrap()), role, arguments)
    }

    /// Starts a process in a role by way of another program.
    pub fn start_in(program: &str, its_arguments: &[&str], role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(its_arguments).arg(std::env::current_exe().unwrap());
        Self::start_with(command, role, arguments)
    }

    /// Starts a process in a role that may have only so many descriptors.
    pub fn start_limited(role: &str, arguments: &[&str], descriptors: u32) -> Self {
        let needed = format!("the test needs {descriptors} descriptors: raise the limit (ulimit -n)");
        let script = format!("ulimit -n {descriptors} || {{ echo '{needed}' >&2; exit 1; }}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        Self::start_with(shell, role, arguments)
    }

    fn start_with(mut command: Command, role: &str, arguments: &[&str]) -> Self {
        command.args(["role", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).env(ARGUMENTS, arguments.join(SEPARATOR));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (to_test, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix(MARK)
                    && to_test.send(line.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { input: child.stdin.take(), child, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that the role tells. It may have much to do before.
    #[track_caller]
    pub fn heard(&self) -> String {
        self.lines.recv_timeout(3 * PATIENCE).expect("the role tells nothing")
    }

    /// The line that the role has told, if it has.
    pub fn heard_already(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Sends the role a line.
    pub fn ask(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// Stops the process where it is, without its knowing.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("STOP");
        until("the process is stopped", || proc::state(self.pid()) == Some('T'));
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Kills it at once (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input, waits until it has ended by itself, and checks that it did so well.
    #[track_caller]
    pub fn finish(mut self) {
        self.input.take();
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < PATIENCE, "the role does not end"),
            }
            thread::sleep(std::time::Duration::from_millis(1));
        };
        assert!(status.success(), "the role failed: {status}");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
