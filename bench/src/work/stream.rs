//! PUSH → PULL: from one sender or from very many, as fast as they can. The senders close straight after the last
//! send.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use super::receive::receive;
use super::{Role, Security, Stage, Transport, aside, delivery, dismiss};
use crate::cost::Snapshot;
use crate::desk::{Account, Desk, Job, Outcome, Word};
use crate::payload::{InOrder, Payload, Sum};
use crate::peer::{Kind, Peer, Socket};

/// Into how many threads the senders are divided at most.
const LANES: u32 = 4;

/// How many messages a sender sends before the next in its thread has its turn.
///
/// It stands for a thousand programs that stream, whose messages come in bursts because the programs take turns on
/// the cores. (Were each to send a single message at a time, it would be another case: that of a thousand idle
/// connections.)
const BURST: u64 = 64;

/// Messages of `size` bytes from `connections` PUSH sockets to one PULL socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) transport: Transport,
    pub(crate) security: Security,
    pub(crate) size: usize,
    /// How many PUSH sockets there are, in one process.
    pub(crate) connections: u32,
}

impl Stream {
    pub(super) fn first_count(self) -> u64 {
        match self.size {
            0..=64 => 500_000,
            65..=1024 => 200_000,
            _ => 8_000,
        }
    }

    /// How many messages each socket sends if there are to be `count`.
    fn each(self, count: u64) -> u64 {
        (count / u64::from(self.connections)).max(2)
    }

    fn total(self, count: u64) -> u64 {
        self.each(count) * u64::from(self.connections)
    }

    pub(super) fn conduct(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        let receiver = stage.hire(Role::Server)?;
        let endpoints = receiver.endpoints()?;
        let sender = stage.hire(Role::Client)?;
        sender.say(Word::Endpoints(endpoints));
        receiver.ready()?;
        sender.say(Word::Go);
        let received = receiver.account()?;
        // The sender's account comes after the last arrival: what it spends on its way out belongs to it.
        let costs = dismiss([&sender])?;
        Ok(delivery(received, costs, self.total(stage.count)))
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => self.pull(peer, job, desk).await,
            Role::Client => self.push(peer, job, desk).await,
            other => bail!("a stream has no {other}"),
        }
    }

    async fn pull<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Pull)?;
        desk.say(Word::Endpoints(vec![socket.bind(&job.place).await?]));
        for _ in 0..self.connections {
            socket.recv().await?;
        }
        desk.say(Word::Ready);
        let each = self.each(job.count);
        match self.connections {
            1 => receive(&mut socket, each, InOrder::new(self.size), desk.voice()).await?,
            n => receive(&mut socket, self.total(job.count), Sum::new(self.size, n.into(), each), desk.voice()).await?,
        }
        desk.hear().await?;
        Ok(())
    }

    async fn push<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let endpoint = desk.endpoint().await?;
        let lanes = self.connections.min(LANES);
        let start = Arc::new(Barrier::new(lanes as usize + 1));
        let tasks: Vec<_> = (0..lanes)
            .map(|lane| {
                let sockets = (lane..self.connections).step_by(lanes as usize).count();
                let task = self.lane(peer.clone(), sockets, endpoint.clone(), self.each(job.count), Arc::clone(&start));
                aside(&peer, task)
            })
            .collect();
        desk.hear().await?;
        let before = Snapshot::now()?;
        start.wait().await;
        for task in tasks {
            task.await?;
        }
        desk.hear().await?;
        desk.say(Word::Account(Account::expense(before.cost()?)));
        Ok(())
    }

    /// One thread's share of the senders: each connects and says hello, and when all have started, each sends in
    /// turn.
    async fn lane<P: Peer>(
        self,
        peer: P,
        sockets: usize,
        endpoint: String,
        each: u64,
        start: Arc<Barrier>,
    ) -> Result<()> {
        let mut payload = Payload::new(self.size);
        let mut open = Vec::with_capacity(sockets);
        for _ in 0..sockets {
            let mut socket = peer.socket(Kind::Push)?;
            socket.connect(&endpoint).await?;
            socket.send(payload.stamped(0)).await?;
            open.push(socket);
        }
        start.wait().await;
        for first in (0..each).step_by(BURST as usize) {
            for socket in &mut open {
                for number in first..each.min(first + BURST) {
                    socket.send(payload.stamped(number)).await?;
                }
            }
        }
        for socket in open {
            socket.close().await?;
        }
        Ok(())
    }
}
