//! The jobs that every contender is given, written once against [`Peer`].
//!
//! Each file holds one kind of work: how it is conducted (which workers there are, and what they are told when),
//! and how each worker plays its part.

mod connections;
mod fan_out;
mod idle;
mod matching;
mod proxied;
mod publish;
mod receive;
mod round_trip;
mod stream;

use std::fmt;
use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub(crate) use connections::Connections;
pub(crate) use fan_out::FanOut;
pub(crate) use idle::Idle;
pub(crate) use matching::Matching;
pub(crate) use proxied::Proxied;
pub(crate) use round_trip::RoundTrip;
pub(crate) use stream::Stream;

use crate::cost::Cost;
use crate::desk::{Account, Desk, Hand, Job, Outcome, Word};
use crate::metric::{Measurements, Metric};
use crate::peer::Peer;

/// How long a run may take, unless it has much to prepare.
const TIME_OUT: Duration = Duration::from_secs(60);

/// The same for runs that prepare a million subscriptions.
const LONG_TIME_OUT: Duration = Duration::from_secs(240);

/// One of the means over which messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    Tcp,
    Ipc,
    Inproc,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        })
    }
}

/// Whether messages are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Security {
    None,
    Curve,
}

/// A worker's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Conducts the run within its own process, in which threads play all other roles.
    Whole,
    /// Binds, and answers or collects.
    Server,
    /// Connects, and asks or supplies.
    Client,
    /// Stands between the two.
    Proxy,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "process",
            Self::Server => "server",
            Self::Client => "client",
            Self::Proxy => "proxy",
        })
    }
}

/// A job for a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Stream(Stream),
    RoundTrip(RoundTrip),
    FanOut(FanOut),
    Proxied(Proxied),
    Connections(Connections),
    Idle(Idle),
    Matching(Matching),
}

impl Work {
    /// The transport it uses.
    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::Stream(stream) => stream.transport,
            Self::RoundTrip(round_trip) => round_trip.transport,
            _ => Transport::Tcp,
        }
    }

    /// Whether its messages are encrypted.
    pub(crate) fn security(self) -> Security {
        match self {
            Self::Stream(stream) => stream.security,
            _ => Security::None,
        }
    }

    /// The length of its messages in bytes.
    pub(crate) fn message_size(self) -> usize {
        match self {
            Self::Stream(stream) => stream.size,
            Self::RoundTrip(round_trip) => round_trip.size,
            _ => 64,
        }
    }

    /// Whether all roles are played by threads of one process.
    pub(crate) fn is_within_one_process(self) -> bool {
        self.transport() == Transport::Inproc
    }

    /// How many messages or round trips to begin with, before it is known how fast a contender is; `None` if the
    /// work is not measured in these.
    pub(crate) fn first_count(self) -> Option<u64> {
        match self {
            Self::Stream(stream) => Some(stream.first_count()),
            Self::RoundTrip(_) => Some(2_000),
            Self::FanOut(fan_out) => Some(fan_out.first_count()),
            Self::Proxied(_) => Some(50_000),
            Self::Matching(_) => Some(200_000),
            Self::Connections(_) | Self::Idle(_) => None,
        }
    }

    /// How long a run may take.
    pub(crate) fn time_out(self) -> Duration {
        match self {
            Self::Matching(_) => LONG_TIME_OUT,
            _ => TIME_OUT,
        }
    }

    /// A smaller version of the same, for a run that shall only show that everything works.
    pub(crate) fn reduced(self) -> Self {
        match self {
            Self::Connections(connections) => Self::Connections(connections.reduced()),
            Self::Idle(idle) => Self::Idle(idle.reduced()),
            Self::Matching(matching) => Self::Matching(matching.reduced()),
            other => other,
        }
    }

    /// Leads the workers of one run through it.
    pub(crate) fn conduct(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        match self {
            Self::Stream(stream) => stream.conduct(stage),
            Self::RoundTrip(_) => round_trip::conduct(stage),
            Self::FanOut(fan_out) => fan_out.conduct(stage),
            Self::Proxied(proxied) => proxied.conduct(stage),
            Self::Connections(connections) => connections.conduct(stage),
            Self::Idle(_) => idle::conduct(stage),
            Self::Matching(_) => matching::conduct(stage),
        }
    }
}

/// Does what `job` says, with sockets of `P`.
pub(crate) fn perform<P: Peer>(job: Job, desk: Desk) -> Result<()> {
    let peer = P::open(&job)?;
    match job.role {
        Role::Whole => conduct_here(&peer, &job, &desk),
        _ => play(&peer, job, desk),
    }
}

/// Conducts the run in this process, with a thread for each role.
fn conduct_here<P: Peer>(peer: &P, job: &Job, desk: &Desk) -> Result<()> {
    let deadline = Instant::now() + job.work.time_out();
    let hire = |role| {
        let (hand, desk) = Hand::with_desk(role, deadline);
        let (peer, job) = (peer.clone(), Job { role, ..job.clone() });
        thread::spawn(move || {
            let voice = desk.voice();
            if let Err(error) = play(&peer, job, desk) {
                voice.say(Word::Failed(format!("{error:#}")));
            }
        });
        Ok(hand)
    };
    desk.say(Word::Outcome(job.work.conduct(&mut Stage::new(job.count, hire))?));
    Ok(())
}

fn play<P: Peer>(peer: &P, job: Job, desk: Desk) -> Result<()> {
    let player = peer.clone();
    peer.run(async move {
        match job.work {
            Work::Stream(stream) => stream.play(player, job, desk).await,
            Work::RoundTrip(round_trip) => round_trip.play(player, job, desk).await,
            Work::FanOut(fan_out) => fan_out.play(player, job, desk).await,
            Work::Proxied(proxied) => proxied.play(player, job, desk).await,
            Work::Connections(connections) => connections.play(player, job, desk).await,
            Work::Idle(idle) => idle.play(player, job, desk).await,
            Work::Matching(matching) => matching.play(player, job, desk).await,
        }
    })
}

/// Lets `task` run beside the caller, in a thread of its own; its result can be awaited.
fn aside<P, T, F>(peer: &P, task: F) -> impl Future<Output = Result<T>> + Send + use<P, T, F>
where
    P: Peer,
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let peer = peer.clone();
    let (sender, receiver) = oneshot::channel();
    // The receiver may have been dropped: then nobody wants the result.
    thread::spawn(move || drop(sender.send(peer.run(task))));
    async { receiver.await.context("a thread of this worker panicked")? }
}

/// Where a run is conducted: it supplies the workers.
pub(crate) struct Stage<'a> {
    count: u64,
    hire: Box<dyn FnMut(Role) -> Result<Hand> + 'a>,
}

impl<'a> Stage<'a> {
    /// A stage for `count` messages or round trips, whose workers come from `hire`.
    pub(crate) fn new(count: u64, hire: impl FnMut(Role) -> Result<Hand> + 'a) -> Self {
        Self { count, hire: Box::new(hire) }
    }

    fn hire(&mut self, role: Role) -> Result<Hand> {
        (self.hire)(role)
    }
}

/// Tells the run is over to each of `workers`, and collects what they spent.
fn dismiss<const N: usize>(workers: [&Hand; N]) -> Result<Vec<Cost>> {
    workers
        .into_iter()
        .map(|worker| {
            worker.say(Word::Stop);
            Ok(worker.account()?.cost)
        })
        .collect()
}

/// The outcome of a run in which `account` measured the arrival of `expected` messages, and others spent `costs`.
fn delivery(account: Account, mut costs: Vec<Cost>, expected: u64) -> Outcome {
    let mut measurements = account.measurements;
    costs.push(account.cost);
    add_expense(&mut measurements, &costs, account.arrived);
    measurements.insert(Metric::Lost, 1.0 - account.arrived as f64 / expected as f64);
    if account.seconds > 0.0 {
        // The time runs from the first arrival, so that one does not count.
        measurements.insert(Metric::Rate, (account.arrived - 1) as f64 / account.seconds);
    }
    Outcome { seconds: account.seconds, measurements }
}

/// Adds CPU time and system calls per message.
fn add_expense(measurements: &mut Measurements, costs: &[Cost], messages: u64) {
    let (cpu, system_calls) = Cost::total(costs);
    measurements.insert(Metric::Cpu, cpu.as_secs_f64() / messages as f64);
    if let Some(calls) = system_calls {
        measurements.insert(Metric::SystemCalls, calls as f64 / messages as f64);
    }
}
