//! Through a proxy in a process of its own: DEALER → ROUTER/DEALER → REP and back, or PUB → XSUB/XPUB → SUB.

use std::thread;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::publish::Announcement;
use super::receive::{Arrivals, receive};
use super::{Role, Stage, delivery, dismiss};
use crate::cost::Snapshot;
use crate::desk::{Account, Desk, Hand, Job, Outcome, Word};
use crate::payload::{Check, InOrder, Payload};
use crate::peer::{Kind, Peer, Socket};

/// The length of a message.
const SIZE: usize = 64;

/// How many questions are on their way at a time: enough to keep everybody busy, and well below every high-water
/// mark, at which a ROUTER would drop answers.
const WINDOW: u64 = 256;

/// What the publisher says until the subscriber listens.
const ANNOUNCEMENT: Announcement = Announcement(b'!');

/// What goes through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proxied {
    /// Questions from a DEALER to a REP; an answered question counts as one message.
    Requests,
    /// Messages from a PUB to a SUB, none of which is dropped.
    Topics,
}

impl Proxied {
    pub(super) fn conduct(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        let proxy = stage.hire(Role::Proxy)?;
        let [front, back] = <[String; 2]>::try_from(proxy.endpoints()?)
            .or_else(|endpoints| bail!("a proxy has two endpoints, not {endpoints:?}"))?;
        let server = stage.hire(Role::Server)?;
        server.say(Word::Endpoints(vec![back]));
        if self == Self::Requests {
            // Not every proxy waits with a question until there is somebody to answer.
            server.ready()?;
        }
        let client = stage.hire(Role::Client)?;
        client.say(Word::Endpoints(vec![front]));
        let (account, other) = self.exchange(&server, &client)?;
        let costs = dismiss([&proxy, other])?;
        Ok(delivery(account, costs, stage.count))
    }

    /// Waits for the measured part to pass, and returns the account of whoever measured, and the one who did not.
    fn exchange<'a>(self, server: &'a Hand, client: &'a Hand) -> Result<(Account, &'a Hand)> {
        match self {
            Self::Requests => Ok((client.account()?, server)),
            Self::Topics => {
                server.ready()?;
                client.say(Word::Go);
                Ok((server.account()?, client))
            }
        }
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match (self, job.role) {
            (Self::Requests, Role::Proxy) => stand_between(peer, [Kind::Router, Kind::Dealer], job, desk).await,
            (Self::Topics, Role::Proxy) => stand_between(peer, [Kind::XSub, Kind::XPub], job, desk).await,
            (Self::Requests, Role::Server) => answer(peer, job, desk).await,
            (Self::Requests, Role::Client) => ask(peer, job, desk).await,
            (Self::Topics, Role::Server) => subscribe(peer, job, desk).await,
            (Self::Topics, Role::Client) => publish(peer, job, desk).await,
            (_, Role::Whole) => bail!("a proxy is a process of its own"),
        }
    }
}

async fn stand_between<P: Peer>(peer: P, [front, back]: [Kind; 2], job: Job, mut desk: Desk) -> Result<()> {
    let mut front = peer.socket(front)?;
    let mut back = peer.socket(back)?;
    desk.say(Word::Endpoints(vec![front.bind(&job.place).await?, back.bind(&job.place).await?]));
    let before = Snapshot::now()?;
    let voice = desk.voice();
    // The proxy never ends by itself, and is not waited for: the process ends.
    thread::spawn(move || {
        if let Err(error) = peer.proxy(front, back) {
            voice.say(Word::Failed(format!("{error:#}")));
        }
    });
    desk.hear().await?;
    desk.say(Word::Account(Account::expense(before.cost()?)));
    Ok(())
}

async fn answer<P: Peer>(peer: P, job: Job, mut desk: Desk) -> Result<()> {
    let mut socket = peer.socket(Kind::Rep)?;
    socket.connect(&desk.endpoint().await?).await?;
    desk.say(Word::Ready);
    let before = Snapshot::now()?;
    let mut payload = Payload::new(SIZE);
    let mut check = InOrder::new(SIZE);
    for number in 0..job.count {
        check.take(socket.recv().await?)?;
        socket.send(payload.stamped(number)).await?;
    }
    desk.hear().await?;
    desk.say(Word::Account(Account::expense(before.cost()?)));
    Ok(())
}

async fn ask<P: Peer>(peer: P, job: Job, mut desk: Desk) -> Result<()> {
    let mut socket = peer.socket(Kind::Dealer)?;
    socket.connect(&desk.endpoint().await?).await?;
    let mut payload = Payload::new(SIZE);
    let mut check = InOrder::new(SIZE);
    let arrivals = Arrivals::expect(job.count, desk.voice())?;
    for number in 0..WINDOW.min(job.count) {
        socket.send_request(payload.stamped(number)).await?;
    }
    for arrived in 1..=job.count {
        check.take(socket.recv().await?)?;
        match arrived {
            1 => arrivals.begin(),
            n => arrivals.note(n),
        }
        let next = arrived - 1 + WINDOW;
        if next < job.count {
            socket.send_request(payload.stamped(next)).await?;
        }
    }
    arrivals.finish()?;
    desk.hear().await?;
    Ok(())
}

async fn subscribe<P: Peer>(peer: P, job: Job, mut desk: Desk) -> Result<()> {
    let mut socket = peer.socket(Kind::Sub)?;
    socket.connect(&desk.endpoint().await?).await?;
    socket.subscribe("").await?;
    ANNOUNCEMENT.hear(&mut socket).await?;
    desk.say(Word::Ready);
    ANNOUNCEMENT.hear_out(&mut socket).await?;
    receive(&mut socket, job.count, InOrder::new(SIZE), desk.voice()).await?;
    desk.hear().await?;
    Ok(())
}

async fn publish<P: Peer>(peer: P, job: Job, mut desk: Desk) -> Result<()> {
    let mut socket = peer.socket(Kind::Pub)?;
    socket.connect(&desk.endpoint().await?).await?;
    ANNOUNCEMENT.make(&peer, &mut socket, &mut desk).await?;
    let before = Snapshot::now()?;
    let mut payload = Payload::new(SIZE);
    for number in 0..job.count {
        socket.send(payload.stamped(number)).await?;
    }
    desk.hear().await?;
    desk.say(Word::Account(Account::expense(before.cost()?)));
    Ok(())
}
