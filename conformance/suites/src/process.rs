//! Programs of others: how long they may take, where their output goes, and that nothing of them stays behind.

use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

/// How a program ended.
pub(crate) struct Ended {
    /// Nothing if it had to be ended.
    pub(crate) status: Option<ExitStatus>,
    /// How long it ran.
    pub(crate) took: Duration,
    /// What it printed.
    pub(crate) output: String,
}

impl Ended {
    /// Why this is no success, if it is none.
    pub(crate) fn failure(&self) -> Option<String> {
        match self.status {
            Some(status) if status.success() => None,
            Some(status) => Some(match status.signal().map(Signal::try_from) {
                Some(Ok(signal)) => format!("ended by {signal}"),
                _ => status.to_string(),
            }),
            None => Some(format!("not done after {:.0} s", self.took.as_secs_f64())),
        }
    }
}

/// From now on processes whose parents have ended are this one's children, so that [`end_strays`] finds them.
pub(crate) fn adopt_orphans() -> Result<()> {
    prctl::set_child_subreaper(true).context("prctl")
}

/// Runs `command` to its end, but no longer than `limit`. Its process group ends with it. The file `log` gets what it
/// prints.
pub(crate) fn run(command: &mut Command, limit: Duration, log: &Path) -> Result<Ended> {
    let file = File::create(log).with_context(|| log.display().to_string())?;
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let status = wait(&mut child, began + limit)?;
    let took = began.elapsed();
    end_group(&mut child)?;
    Ok(Ended { status, took, output: String::from_utf8_lossy(&fs::read(log)?).into_owned() })
}

/// Like [`run`], for a command that has to succeed.
pub(crate) fn succeed(command: &mut Command, limit: Duration, log: &Path) -> Result<String> {
    let ended = run(command, limit, log)?;
    match ended.failure() {
        None => Ok(ended.output),
        Some(failure) => bail!("{failure}: {command:?}\n{}", last_lines(&ended.output, 30)),
    }
}

/// Ends all processes that programs of others have left behind. Only while none of them is meant to run.
pub(crate) fn end_strays() -> Result<()> {
    loop {
        let strays = descendants()?;
        for &stray in &strays {
            // It may have ended by itself just now.
            let _ = kill(stray, Signal::SIGKILL);
        }
        reap();
        if strays.is_empty() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

fn end_group(child: &mut Child) -> Result<()> {
    let group = Pid::from_raw(child.id().try_into()?);
    match killpg(group, Signal::SIGKILL) {
        // Nobody is left in it, as it should be.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => bail!("ending process group {group}: {error}"),
    }
    child.wait()?;
    Ok(())
}

fn descendants() -> Result<Vec<Pid>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&Pid::this().as_raw()).unwrap_or_default();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(children.remove(&parent).unwrap_or_default());
        next += 1;
    }
    Ok(found.into_iter().map(Pid::from_raw).collect())
}

/// Nothing for a process that has just ended. The program's name stands in parentheses, and may hold some itself.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn reap() {
    let any = Pid::from_raw(-1);
    while waitpid(any, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
