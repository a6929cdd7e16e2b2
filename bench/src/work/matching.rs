//! PUB → SUB with very many subscriptions, each message matching one of them: how fast they are found, and what
//! one costs.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::publish::Announcement;
use super::receive::receive;
use super::{Role, Stage, delivery};
use crate::cost::{Snapshot, private_memory};
use crate::desk::{Account, Desk, Job, Outcome, Word};
use crate::metric::{Measurements, Metric};
use crate::payload::Check;
use crate::peer::{Kind, Peer, Socket};

/// The length of a message, topic included.
const SIZE: usize = 64;

/// What every topic begins with; a number follows.
const STEM: &[u8; 8] = b"weather.";

/// The length of a topic.
const TOPIC_LEN: usize = STEM.len() + 8;

/// Announced before the subscriptions.
const OPEN: Announcement = Announcement(b'!');

/// Announced after them: who hears it has sent them all, and the publisher has taken them all in.
const SUBSCRIBED: Announcement = Announcement(b'?');

/// Below so many, the memory of one subscription cannot be told from noise.
const MANY: u32 = 100_000;

/// Messages to one SUB with so many `subscriptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Matching {
    pub(crate) subscriptions: u32,
}

pub(super) fn conduct(stage: &mut Stage<'_>) -> Result<Outcome> {
    let publisher = stage.hire(Role::Server)?;
    let endpoints = publisher.endpoints()?;
    let subscriber = stage.hire(Role::Client)?;
    subscriber.say(Word::Endpoints(endpoints));
    subscriber.ready()?;
    publisher.say(Word::Go);
    publisher.ready()?;
    subscriber.say(Word::Go);
    subscriber.ready()?;
    publisher.say(Word::Go);
    let received = subscriber.account()?;
    publisher.say(Word::Stop);
    let published = publisher.account()?;
    let mut outcome = delivery(received, vec![published.cost], stage.count);
    outcome.measurements.extend(published.measurements);
    Ok(outcome)
}

impl Matching {
    pub(super) fn reduced(self) -> Self {
        Self { subscriptions: self.subscriptions.min(1_000) }
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => self.publish(peer, job, desk).await,
            Role::Client => self.subscribe(peer, job, desk).await,
            other => bail!("matching needs no {other}"),
        }
    }

    async fn publish<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Pub)?;
        desk.say(Word::Endpoints(vec![socket.bind(&job.place).await?]));
        OPEN.make(&peer, &mut socket, &mut desk).await?;
        let memory = private_memory()?;
        desk.say(Word::Ready);
        SUBSCRIBED.make(&peer, &mut socket, &mut desk).await?;
        let growth = private_memory()?.saturating_sub(memory);
        let before = Snapshot::now()?;
        let mut body = [b'x'; SIZE];
        for number in 0..job.count {
            body[..TOPIC_LEN].copy_from_slice(&self.topic(number));
            socket.send(&body).await?;
        }
        desk.hear().await?;
        let measurements = self.memory_each(growth);
        desk.say(Word::Account(Account { measurements, ..Account::expense(before.cost()?) }));
        Ok(())
    }

    async fn subscribe<P: Peer>(self, peer: P, job: Job, mut desk: Desk) -> Result<()> {
        let mut socket = peer.socket(Kind::Sub)?;
        socket.connect(&desk.endpoint().await?).await?;
        socket.subscribe("!").await?;
        OPEN.hear(&mut socket).await?;
        desk.say(Word::Ready);
        OPEN.hear_out(&mut socket).await?;
        desk.hear().await?;
        for number in 0..self.subscriptions.into() {
            socket.subscribe(std::str::from_utf8(&self.topic(number))?).await?;
        }
        socket.subscribe("?").await?;
        SUBSCRIBED.hear(&mut socket).await?;
        desk.say(Word::Ready);
        SUBSCRIBED.hear_out(&mut socket).await?;
        receive(&mut socket, job.count, Topics { matching: self, next: 0 }, desk.voice()).await?;
        desk.hear().await?;
        Ok(())
    }

    /// The topic of message `number`, which is one of the subscriptions. Neighbours in number are far apart in the
    /// alphabet, as topics of a busy publisher are.
    fn topic(self, number: u64) -> [u8; TOPIC_LEN] {
        let index = (number % u64::from(self.subscriptions)) as u32;
        // A multiplication by an odd number permutes the 32-bit integers, so that all topics differ.
        let scattered = index.wrapping_mul(0x9e37_79b1);
        let mut topic = [0; TOPIC_LEN];
        topic[..STEM.len()].copy_from_slice(STEM);
        for (place, digit) in topic[STEM.len()..].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(scattered >> (28 - 4 * place)) as usize & 15];
        }
        topic
    }

    fn memory_each(self, growth: u64) -> Measurements {
        if self.subscriptions < MANY {
            return Measurements::new();
        }
        let each = growth as f64 / f64::from(self.subscriptions) - TOPIC_LEN as f64;
        Measurements::from([(Metric::SubscriptionMemory, each.max(0.0))])
    }
}

/// The messages must come in the order of their topics.
struct Topics {
    matching: Matching,
    next: u64,
}

impl Check for Topics {
    fn take(&mut self, body: &[u8]) -> Result<()> {
        let due = self.matching.topic(self.next);
        if body.len() != SIZE || !body.starts_with(&due) {
            bail!("message {} did not arrive when it was due", self.next);
        }
        self.next += 1;
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn topics_differ_and_recur() {
        let matching = Matching { subscriptions: 10_000 };
        let topics: HashSet<_> = (0..20_000).map(|number| matching.topic(number)).collect();
        assert_eq!(topics.len(), 10_000);
        assert_eq!(&matching.topic(0), b"weather.00000000");
    }
}
