//! Very many idle connections: what each costs the process that accepted it, and how fast they are made.
//!
//! The connecting side is the same for every contender, and does no more than ZMTP demands (a plain socket, a
//! greeting, a READY), so that all that is measured is the accepting side.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use super::{Role, Stage, aside, dismiss};
use crate::cost::{Snapshot, private_memory};
use crate::desk::{Account, Desk, Job, Outcome, Word};
use crate::metric::{Measurements, Metric};
use crate::peer::{Kind, Peer, Socket};

/// How many handshakes are under way at a time: fewer than any library's backlog.
const WINDOW: usize = 64;

/// How long the accepting process may tidy up before its memory is measured.
const SETTLING: Duration = Duration::from_millis(500);

/// How long it is then watched for CPU time.
const WATCH: Duration = Duration::from_secs(1);

/// Descriptors that a process needs for other purposes.
const SPARE_DESCRIPTORS: u64 = 200;

/// The first 64 bytes of every connection: ZMTP 3.0, mechanism NULL (RFC 23).
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12] = b'N';
    greeting[13] = b'U';
    greeting[14] = b'L';
    greeting[15] = b'L';
    greeting
};

/// A READY command of a DEALER, as a frame.
const READY: &[u8] = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00";

/// DEALERs that connect to a ROUTER, and say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connections {
    pub(crate) count: u32,
}

impl Connections {
    pub(super) fn reduced(self) -> Self {
        Self { count: self.count.min(200) }
    }

    pub(super) fn conduct(self, stage: &mut Stage<'_>) -> Result<Outcome> {
        let acceptor = stage.hire(Role::Server)?;
        let endpoints = acceptor.endpoints()?;
        let connector = stage.hire(Role::Client)?;
        connector.say(Word::Endpoints(endpoints));
        let connected = connector.account()?;
        acceptor.say(Word::Go);
        let accepted = acceptor.account()?;
        dismiss([&connector])?;
        let mut measurements = accepted.measurements;
        measurements.insert(Metric::ConnectionRate, connected.arrived as f64 / connected.seconds);
        if let Some(memory) = measurements.get_mut(&Metric::ConnectionMemory) {
            *memory /= connected.arrived as f64;
        }
        Ok(Outcome { seconds: connected.seconds, measurements })
    }

    pub(super) async fn play<P: Peer>(self, peer: P, job: Job, desk: Desk) -> Result<()> {
        match job.role {
            Role::Server => accept(peer, job, desk).await,
            Role::Client => self.connect(desk).await,
            other => bail!("connections need no {other}"),
        }
    }

    async fn connect(self, mut desk: Desk) -> Result<()> {
        let endpoint = desk.endpoint().await?;
        let address = endpoint.strip_prefix("tcp://").context("not a tcp endpoint")?;
        let count = u64::from(self.count).min(descriptors()?.saturating_sub(SPARE_DESCRIPTORS));
        let before = Snapshot::now()?;
        let start = Instant::now();
        let connections = open(address, count as usize)?;
        let seconds = start.elapsed().as_secs_f64();
        desk.say(Word::Account(Account { seconds, arrived: count, ..Account::expense(before.cost()?) }));
        desk.hear().await?;
        desk.say(Word::Account(Account::expense(before.cost()?)));
        drop(connections);
        Ok(())
    }
}

async fn accept<P: Peer>(peer: P, job: Job, mut desk: Desk) -> Result<()> {
    let mut socket = peer.socket(Kind::Router)?;
    let endpoint = socket.bind(&job.place).await?;
    let memory = private_memory()?;
    // A receiver waits, as in a real server; nothing ever comes, so it is not waited for.
    let _waiting = aside(&peer, async move { socket.recv().await.map(drop) });
    desk.say(Word::Endpoints(vec![endpoint]));
    desk.hear().await?;
    peer.sleep(SETTLING).await;
    let growth = private_memory()?.saturating_sub(memory);
    let before = Snapshot::now()?;
    peer.sleep(WATCH).await;
    let cost = before.cost()?;
    let measurements = Measurements::from([
        (Metric::ConnectionMemory, growth as f64),
        (Metric::Load, cost.cpu().as_secs_f64() / WATCH.as_secs_f64()),
    ]);
    desk.say(Word::Account(Account { measurements, ..Account::expense(cost) }));
    desk.hear().await?;
    Ok(())
}

/// How many descriptors this process may have.
fn descriptors() -> Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// Opens `count` connections, with the handshake done.
fn open(address: &str, count: usize) -> Result<Vec<TcpStream>> {
    let mut done = Vec::with_capacity(count);
    let mut pending = VecDeque::with_capacity(WINDOW);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&GREETING)?;
        stream.write_all(READY)?;
        pending.push_back(stream);
        if pending.len() == WINDOW {
            done.extend(pending.pop_front().map(finish_handshake).transpose()?);
        }
    }
    for stream in pending {
        done.push(finish_handshake(stream)?);
    }
    Ok(done)
}

/// Reads the other side's greeting and READY.
fn finish_handshake(mut stream: TcpStream) -> Result<TcpStream> {
    let mut head = [0; GREETING.len() + 2];
    stream.read_exact(&mut head).context("no greeting")?;
    let [.., flags, len] = head;
    ensure!(flags == 0x04, "a short command was expected, not a frame with flags {flags:#04x}");
    let mut command = vec![0; len.into()];
    stream.read_exact(&mut command)?;
    ensure!(command.starts_with(b"\x05READY"), "READY was expected, not {command:02x?}");
    Ok(stream)
}
