//! PUB → many SUBs in one process, all subscribed to everything.
//!
//! A PUB socket drops what a slow subscriber has no room for. To compare work with work, every publisher here is
//! told to wait instead (`ZMQ_XPUB_NODROP` or its like, see [`Kind::Pub`]), so that each message reaches each
//! subscriber, and the count must be exact. High-water marks are the defaults.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::publish::Announcement;
use super::receive::Arrivals;
use super::{Role, Stage, delivery, dismiss};
use crate::cost::Snapshot;
use crate::desk::{Account, Desk, Job, Outcome, Voice, Word};
use crate::payload::{Check, InOrder, Payload};
use crate::peer::{Kind, Peer, Socket};

/// What the publisher says until everybody listens.
const ANNOUNCEMENT: Announcement = Announcement(b'!');

/// How many messages the receiving thread takes from one subscriber before it turns to the next. Far below the
/// high-water mark, so that the publisher never waits for a subscriber whose turn cannot come.
const TURN: u64 = 64;

/// Messages of `size` bytes to `subscribers` SUB sockets, which one thread reads in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FanOut {
    pub(crate) subscribers: u32,
    pub(crate) size: usize,
}

impl FanOut {
    pub(super) fn first_count(self) -> u64 {
        1_000_000 / u64::from(self.subscribers + 4)
    }

    pub(super) fn conduct(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        let publisher = stage.hire(Role::Server)?;
        let endpoints = publisher.endpoints()?;
        let subscribers = stage.hire(Role::Client)?;
        subscribers.say(Word::Endpoints(endpoints));
        subscribers.ready()?;
        publisher.say(Word::Go);
        let received = subscribers.account()?;
        let costs = dismiss([&publisher])?;
        Ok(delivery(received, costs, stage.count * u64::from(self.subscribers)))
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => self.publish(peer, job, desk).await,
            Role::Client => self.subscribe(peer, job, desk).await,
            other => bail!("a fan-out has no {other}"),
        }
    }

    async fn publish<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Pub)?;
        desk.say(Word::Endpoints(vec![socket.bind(&job.place).await?]));
        ANNOUNCEMENT.make(&peer, &mut socket, &mut desk).await?;
        let before = Snapshot::now()?;
        let mut payload = Payload::new(self.size);
        for number in 0..job.count {
            socket.send(payload.stamped(number)).await?;
        }
        desk.hear().await?;
        desk.say(Word::Account(Account::expense(before.cost()?)));
        Ok(())
    }

    async fn subscribe<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let endpoint = desk.endpoint().await?;
        let mut sockets = Vec::new();
        for _ in 0..self.subscribers {
            let mut socket = peer.socket(Kind::Sub)?;
            socket.connect(&endpoint).await?;
            socket.subscribe("").await?;
            sockets.push(socket);
        }
        for socket in &mut sockets {
            ANNOUNCEMENT.hear(socket).await?;
        }
        desk.say(Word::Ready);
        for socket in &mut sockets {
            ANNOUNCEMENT.hear_out(socket).await?;
        }
        self.take_turns(&mut sockets, job.count, desk.voice()).await?;
        desk.hear().await?;
        Ok(())
    }

    async fn take_turns(self, sockets: &mut [impl Socket], each: u64, voice: Voice) -> Result<()> {
        let mut checks: Vec<_> = sockets.iter().map(|_| InOrder::new(self.size)).collect();
        let arrivals = Arrivals::expect(each * sockets.len() as u64, voice)?;
        let mut arrived = 0;
        while checks.iter().any(|check| check.taken() < each) {
            for (socket, check) in sockets.iter_mut().zip(&mut checks) {
                let until = (check.taken() + TURN).min(each);
                while check.taken() < until {
                    check.take(socket.recv().await?)?;
                    arrived += 1;
                    match arrived {
                        1 => arrivals.begin(),
                        n => arrivals.note(n),
                    }
                }
            }
        }
        arrivals.finish()
    }
}
