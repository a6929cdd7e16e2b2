//! Worker processes: how they are started, what they do, and that none outlives its run.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use crate::cost;
use crate::desk::{Desk, Hand, Job, Outcome, Word};
use crate::work::{Role, Stage, Transport};

/// Plays one run of `job`, whose role and place are filled in here, in processes of its own.
pub(crate) fn play(job: &Job, time_out: Duration) -> Result<Outcome> {
    let mut troupe = Troupe::new(job, time_out)?;
    if job.work.is_within_one_process() {
        return troupe.hire(Role::Whole)?.outcome();
    }
    let work = job.work;
    work.conduct(&mut Stage::new(job.count, |role| troupe.hire(role)))
}

/// What a process does that was started to play a role: it reads its job from standard input, does it, and ends.
pub(crate) fn play_role() -> Result<ExitCode> {
    // The death of the conductor, however it dies, is the death of its workers.
    set_pdeathsig(Signal::SIGKILL).context("prctl")?;
    let job = first_word()?;
    if job.count_system_calls {
        cost::count_system_calls();
    }
    raise_descriptor_limit()?;
    let desk = Desk::of_this_process();
    let voice = desk.voice();
    if let Err(error) = job.contender.perform(job, desk) {
        voice.say(Word::Failed(format!("{error:#}")));
    }
    // Not a return from main: a library may hold on to threads that wait for peers long gone.
    process::exit(0)
}

/// The job, which must be known before the process has a second thread: those inherit what is counted.
fn first_word() -> Result<Job> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no job on standard input")?;
    match serde_json::from_str(&line).context("the job is not understood")? {
        Word::Job(job) => Ok(job),
        other => bail!("a job was expected, not {other:?}"),
    }
}

fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("getrlimit")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("setrlimit")
}

/// The processes of one run, and the folder for their sockets. Dropping it ends them all.
struct Troupe<'a> {
    job: &'a Job,
    deadline: Instant,
    folder: PathBuf,
    members: Vec<Member>,
}

impl<'a> Troupe<'a> {
    fn new(job: &'a Job, time_out: Duration) -> Result<Self> {
        let folder = env::temp_dir().join(format!("nought-bench-{}", process::id()));
        fs::create_dir_all(&folder).context("the folder for ipc sockets")?;
        Ok(Self { job, deadline: Instant::now() + time_out, folder, members: Vec::new() })
    }

    /// Starts a process and gives it its job.
    fn hire(&mut self, role: Role) -> Result<Hand> {
        let mut child = Command::new(env::current_exe()?)
            .arg("role")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker")?;
        let pipes = child.stdout.take().zip(child.stdin.take());
        self.members.push(Member(child));
        let (stdout, stdin) = pipes.context("a worker without pipes")?;
        let hand = Hand::over(stdout, stdin, role, self.deadline);
        hand.say(Word::Job(Job { role, place: self.place(), ..self.job.clone() }));
        Ok(hand)
    }

    /// An endpoint that nothing else uses: the system chooses the port.
    fn place(&self) -> String {
        match self.job.work.transport() {
            Transport::Tcp => "tcp://127.0.0.1:0".into(),
            Transport::Ipc => format!("ipc://{}/{}", self.folder.display(), self.members.len()),
            Transport::Inproc => "inproc://nought-bench".into(),
        }
    }
}

impl Drop for Troupe<'_> {
    fn drop(&mut self) {
        self.members.clear();
        // What is left behind here is a few empty files in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A child process that does not outlive its owner.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail only if the process has ended and been waited for, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
