//! How the conductor of a run and its workers speak: a few words, in JSON lines over pipes, or over channels where
//! both live in one process.

use std::io::{BufRead, BufReader, Read, Write};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc as queue;

use crate::contender::Contender;
use crate::cost::Cost;
use crate::metric::Measurements;
use crate::work::{Role, Work};

/// Everything that is ever said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// To a worker, first: what to do.
    Job(Job),
    /// From a worker that has bound, and to those who are to connect there.
    Endpoints(Vec<String>),
    /// From a worker: what it was to prepare is prepared.
    Ready,
    /// To a worker: begin the next part.
    Go,
    /// To a worker: give your account, the run is over.
    Stop,
    /// From a worker: what it measured.
    Account(Account),
    /// From a process that has conducted a run inside itself.
    Outcome(Outcome),
    /// From a worker that cannot go on.
    Failed(String),
}

/// A worker's task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) contender: Contender,
    pub(crate) work: Work,
    pub(crate) role: Role,
    /// How much of it: messages, or round trips.
    pub(crate) count: u64,
    /// Whether to count system calls, which slows them a little.
    pub(crate) count_system_calls: bool,
    /// The endpoint that the first socket to be bound is bound to.
    pub(crate) place: String,
}

/// A worker's report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) cost: Cost,
    /// How long the measured part took, in seconds; 0 for workers that measure nothing.
    pub(crate) seconds: f64,
    /// How many messages arrived in it.
    pub(crate) arrived: u64,
    /// Further figures.
    pub(crate) measurements: Measurements,
}

impl Account {
    /// The report of a worker that measures nothing but what it spends.
    pub(crate) fn expense(cost: Cost) -> Self {
        Self { cost, seconds: 0.0, arrived: 0, measurements: Measurements::new() }
    }
}

/// The result of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// How long the measured part took.
    pub(crate) seconds: f64,
    pub(crate) measurements: Measurements,
}

/// What carries a word to the other side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Voice(Arc<dyn Fn(Word) + Send + Sync>);

impl Voice {
    fn into_pipe(pipe: impl Write + Send + 'static) -> Self {
        let pipe = Mutex::new(pipe);
        Self(Arc::new(move |word| {
            let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
            let line = serde_json::to_string(&word).expect("every word can be written as JSON");
            // The other side may have gone; whoever waits for an answer learns that from its silence.
            let _ = writeln!(pipe, "{line}").and_then(|()| pipe.flush());
        }))
    }

    /// Says a word to the other side.
    pub(crate) fn say(&self, word: Word) {
        (self.0)(word);
    }
}

/// The worker's side of a conversation.
pub(crate) struct Desk {
    inbox: queue::UnboundedReceiver<Word>,
    voice: Voice,
}

impl Desk {
    /// The desk of a process that was hired over its standard input and output. The process ends when they close.
    pub(crate) fn of_this_process() -> Self {
        let (sender, inbox) = queue::unbounded_channel();
        thread::spawn(move || {
            each_word(std::io::stdin(), |word| sender.send(word).is_ok());
            process::exit(1);
        });
        Self { inbox, voice: Voice::into_pipe(std::io::stdout()) }
    }

    /// Waits for the next word, without holding up the executor.
    pub(crate) async fn hear(&mut self) -> Result<Word> {
        self.inbox.recv().await.context("the conductor has gone")
    }

    /// Whether a word has come, which is then taken.
    pub(crate) fn has_heard(&mut self) -> bool {
        self.inbox.try_recv().is_ok()
    }

    /// Waits for the one endpoint to connect to.
    pub(crate) async fn endpoint(&mut self) -> Result<String> {
        match self.hear().await? {
            Word::Endpoints(endpoints) if endpoints.len() == 1 => Ok(endpoints.into_iter().next().unwrap_or_default()),
            other => bail!("one endpoint was expected, not {other:?}"),
        }
    }

    /// Says a word to the conductor.
    pub(crate) fn say(&self, word: Word) {
        self.voice.say(word);
    }

    /// A second way to speak, for another thread.
    pub(crate) fn voice(&self) -> Voice {
        self.voice.clone()
    }
}

/// The conductor's side of a conversation with one worker.
pub(crate) struct Hand {
    inbox: mpsc::Receiver<Word>,
    voice: Voice,
    role: Role,
    deadline: Instant,
}

impl Hand {
    /// Speaks with a child process over its pipes.
    pub(crate) fn over(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        role: Role,
        deadline: Instant,
    ) -> Self {
        let (sender, inbox) = mpsc::channel();
        thread::spawn(move || each_word(reader, |word| sender.send(word).is_ok()));
        Self { inbox, voice: Voice::into_pipe(writer), role, deadline }
    }

    /// A desk and a hand in one process.
    pub(crate) fn with_desk(role: Role, deadline: Instant) -> (Self, Desk) {
        let (to_desk, desk_inbox) = queue::unbounded_channel();
        let (to_hand, inbox) = mpsc::channel();
        let voice = Voice(Arc::new(move |word| drop(to_desk.send(word))));
        let desk_voice = Voice(Arc::new(move |word| drop(to_hand.send(word))));
        (Self { inbox, voice, role, deadline }, Desk { inbox: desk_inbox, voice: desk_voice })
    }

    /// Says a word to the worker.
    pub(crate) fn say(&self, word: Word) {
        self.voice.say(word);
    }

    /// Waits for the worker to have bound.
    pub(crate) fn endpoints(&self) -> Result<Vec<String>> {
        match self.hear()? {
            Word::Endpoints(endpoints) => Ok(endpoints),
            other => self.unexpected(&other),
        }
    }

    /// Waits for the worker to be ready.
    pub(crate) fn ready(&self) -> Result<()> {
        match self.hear()? {
            Word::Ready => Ok(()),
            other => self.unexpected(&other),
        }
    }

    /// Waits for the worker's account.
    pub(crate) fn account(&self) -> Result<Account> {
        match self.hear()? {
            Word::Account(account) => Ok(account),
            other => self.unexpected(&other),
        }
    }

    /// Waits for the outcome of a run that the worker conducts itself.
    pub(crate) fn outcome(&self) -> Result<Outcome> {
        match self.hear()? {
            Word::Outcome(outcome) => Ok(outcome),
            other => self.unexpected(&other),
        }
    }

    fn hear(&self) -> Result<Word> {
        let role = self.role;
        match self.inbox.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(Word::Failed(reason)) => bail!("the {role} failed: {reason}"),
            Ok(word) => Ok(word),
            Err(RecvTimeoutError::Timeout) => bail!("the {role} said nothing within the time allowed"),
            Err(RecvTimeoutError::Disconnected) => bail!("the {role} ended early"),
        }
    }

    fn unexpected<T>(&self, word: &Word) -> Result<T> {
        bail!("the {} said {word:?} at the wrong time", self.role)
    }
}

/// Hands each line of `reader` to `take` as a word, until the end, a line that is none, or `take` wants no more.
fn each_word(reader: impl Read, mut take: impl FnMut(Word) -> bool) {
    for line in BufReader::new(reader).lines() {
        let Ok(line) = line else { return };
        let Ok(word) = serde_json::from_str(&line) else { return };
        if !take(word) {
            return;
        }
    }
}
