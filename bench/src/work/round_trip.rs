//! REQ ↔ REP: one question at a time, each timed.

use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Role, Stage, Transport, add_expense, dismiss};
use crate::cost::Snapshot;
use crate::desk::{Account, Desk, Job, Outcome, Word};
use crate::metric::{Measurements, Metric};
use crate::payload::{Check, InOrder, Payload};
use crate::peer::{Kind, Peer, Socket};
use crate::statistics::quantile;

/// Round trips before the clock starts.
const WARM_UP: u64 = 500;

/// A question of `size` bytes, and an answer of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoundTrip {
    pub(crate) transport: Transport,
    pub(crate) size: usize,
}

pub(super) fn conduct(stage: &mut Stage<'_>) -> Result<Outcome> {
    let server = stage.hire(Role::Server)?;
    let endpoints = server.endpoints()?;
    let client = stage.hire(Role::Client)?;
    client.say(Word::Endpoints(endpoints));
    let account = client.account()?;
    let mut costs = dismiss([&server])?;
    costs.push(account.cost);
    let mut measurements = account.measurements;
    add_expense(&mut measurements, &costs, stage.count);
    Ok(Outcome { seconds: account.seconds, measurements })
}

impl RoundTrip {
    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => self.answer(peer, job, desk).await,
            Role::Client => self.ask(peer, job, desk).await,
            other => bail!("a round trip has no {other}"),
        }
    }

    async fn answer<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Rep)?;
        desk.say(Word::Endpoints(vec![socket.bind(&job.place).await?]));
        let mut payload = Payload::new(self.size);
        let mut check = InOrder::new(self.size);
        for number in 0..WARM_UP {
            check.take(socket.recv().await?)?;
            socket.send(payload.stamped(number)).await?;
        }
        let before = Snapshot::now()?;
        for number in WARM_UP..WARM_UP + job.count {
            check.take(socket.recv().await?)?;
            socket.send(payload.stamped(number)).await?;
        }
        let cost = before.cost()?;
        desk.hear().await?;
        desk.say(Word::Account(Account::expense(cost)));
        Ok(())
    }

    async fn ask<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Req)?;
        socket.connect(&desk.endpoint().await?).await?;
        let mut payload = Payload::new(self.size);
        let mut check = InOrder::new(self.size);
        for number in 0..WARM_UP {
            socket.send(payload.stamped(number)).await?;
            check.take(socket.recv().await?)?;
        }
        let mut times = Vec::with_capacity(job.count as usize);
        let before = Snapshot::now()?;
        let start = Instant::now();
        let mut asked = start;
        for number in WARM_UP..WARM_UP + job.count {
            socket.send(payload.stamped(number)).await?;
            check.take(socket.recv().await?)?;
            let answered = Instant::now();
            times.push(answered.duration_since(asked).as_nanos() as u64);
            asked = answered;
        }
        let seconds = start.elapsed().as_secs_f64();
        let account = Account { cost: before.cost()?, seconds, arrived: job.count, measurements: summary(times) };
        desk.say(Word::Account(account));
        desk.hear().await?;
        Ok(())
    }
}

/// The mean and the quantiles of times in nanoseconds, in seconds.
fn summary(mut times: Vec<u64>) -> Measurements {
    times.sort_unstable();
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64;
    let at = |rank| quantile(&times, rank) as f64 / 1e9;
    Measurements::from([
        (Metric::P50, at(0.5)),
        (Metric::P99, at(0.99)),
        (Metric::P999, at(0.999)),
        (Metric::Mean, mean / 1e9),
    ])
}
