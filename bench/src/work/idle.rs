//! A thread that waits in a receive: what it costs while nothing comes, and while a message comes every
//! millisecond.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Role, Stage, aside, dismiss};
use crate::cost::Snapshot;
use crate::desk::{Account, Desk, Job, Outcome, Word};
use crate::metric::{Measurements, Metric};
use crate::payload::Payload;
use crate::peer::{Kind, Peer, Socket};

/// The length of a message.
const SIZE: usize = 64;

/// How long the sender waits between messages, if it sends any.
const INTERVAL: Duration = Duration::from_millis(1);

/// How long everything runs before the clock starts.
const SETTLING: Duration = Duration::from_millis(300);

/// A PULL that waits for its PUSH, and is watched for CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Whether a message comes every millisecond.
    pub(crate) ticking: bool,
    /// For how long it is watched.
    pub(crate) milliseconds: u64,
}

pub(super) fn conduct(stage: &mut Stage<'_>) -> Result<Outcome> {
    let receiver = stage.hire(Role::Server)?;
    let endpoints = receiver.endpoints()?;
    let sender = stage.hire(Role::Client)?;
    sender.say(Word::Endpoints(endpoints));
    sender.ready()?;
    let account = receiver.account()?;
    dismiss([&sender])?;
    Ok(Outcome { seconds: account.seconds, measurements: account.measurements })
}

impl Idle {
    pub(super) fn reduced(self) -> Self {
        Self { milliseconds: 100, ..self }
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => self.wait(peer, job, desk).await,
            Role::Client => self.tick(peer, desk).await,
            other => bail!("waiting needs no {other}"),
        }
    }

    async fn wait<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Pull)?;
        desk.say(Word::Endpoints(vec![socket.bind(&job.place).await?]));
        socket.recv().await?;
        // The receiver is the one that is watched; it goes on until the process ends.
        let _receiving = aside(&peer, async move {
            loop {
                socket.recv().await?;
            }
            #[expect(unreachable_code, reason = "gives the endless task its type")]
            Ok(())
        });
        peer.sleep(SETTLING).await;
        let before = Snapshot::now()?;
        let start = Instant::now();
        peer.sleep(Duration::from_millis(self.milliseconds)).await;
        let cost = before.cost()?;
        let seconds = start.elapsed().as_secs_f64();
        let measurements = Measurements::from([(Metric::Load, cost.cpu().as_secs_f64() / seconds)]);
        desk.say(Word::Account(Account { seconds, measurements, ..Account::expense(cost) }));
        desk.hear().await?;
        Ok(())
    }

    async fn tick<P: Peer>(self, peer: P, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Push)?;
        socket.connect(&desk.endpoint().await?).await?;
        let before = Snapshot::now()?;
        socket.send(Payload::new(SIZE).stamped(0)).await?;
        desk.say(Word::Ready);
        if self.ticking {
            self.send_regularly(&peer, &mut socket, &mut desk).await?;
        } else {
            desk.hear().await?;
        }
        desk.say(Word::Account(Account::expense(before.cost()?)));
        Ok(())
    }

    /// Sends a message at each interval, by the clock, until the conductor says a word.
    async fn send_regularly<P: Peer>(self, peer: &P, socket: &mut P::Socket, desk: &mut Desk) -> Result<()> {
        let mut payload = Payload::new(SIZE);
        let start = Instant::now();
        for number in 1.. {
            if desk.has_heard() {
                break;
            }
            let due = start + INTERVAL * number;
            peer.sleep(due.saturating_duration_since(Instant::now())).await;
            socket.send(payload.stamped(number.into())).await?;
        }
        Ok(())
    }
}
