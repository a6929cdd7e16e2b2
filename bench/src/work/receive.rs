//! The receiver's clock: from the first arrival to the last, also when some never come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cost::Snapshot;
use crate::desk::{Account, Voice, Word};
use crate::metric::Measurements;
use crate::payload::Check;
use crate::peer::Socket;

/// How long nothing may arrive before the rest counts as lost.
const STALL: Duration = Duration::from_millis(2500);

/// How often that is looked at, and so the precision of the last arrival's time if something is lost.
const GLANCE: Duration = Duration::from_millis(5);

/// Receives `expected` ≥ 1 messages and tells the conductor; if no more come, those that came.
pub(super) async fn receive(
    socket: &mut impl Socket,
    expected: u64,
    mut check: impl Check,
    voice: Voice,
) -> Result<()> {
    let arrivals = Arrivals::expect(expected, voice)?;
    check.take(socket.recv().await?)?;
    arrivals.begin();
    for arrived in 2..=expected {
        check.take(socket.recv().await?)?;
        arrivals.note(arrived);
    }
    arrivals.finish()?;
    check.finish()
}

/// Counts arrivals, and reports them once: when all are there, or when no more come.
pub(super) struct Arrivals(Arc<Ledger>);

struct Ledger {
    expected: u64,
    arrived: AtomicU64,
    first: OnceLock<Instant>,
    reported: AtomicBool,
    start: Snapshot,
    voice: Voice,
}

impl Arrivals {
    /// Expects so many, and will tell `voice`.
    pub(super) fn expect(expected: u64, voice: Voice) -> Result<Self> {
        let ledger = Arc::new(Ledger {
            expected,
            arrived: AtomicU64::new(0),
            first: OnceLock::new(),
            reported: AtomicBool::new(false),
            start: Snapshot::now()?,
            voice,
        });
        let watched = Arc::clone(&ledger);
        thread::spawn(move || watched.watch());
        Ok(Self(ledger))
    }

    /// The first has arrived.
    pub(super) fn begin(&self) {
        self.0.first.get_or_init(Instant::now);
        self.note(1);
    }

    /// So many have arrived.
    #[inline]
    pub(super) fn note(&self, arrived: u64) {
        self.0.arrived.store(arrived, Ordering::Relaxed);
    }

    /// All have arrived.
    pub(super) fn finish(&self) -> Result<()> {
        self.0.report(Instant::now(), self.0.expected)
    }
}

impl Ledger {
    /// Looks on until all are there or no more come.
    fn watch(&self) {
        let (mut known, mut since) = (0, Instant::now());
        while !self.reported.load(Ordering::Relaxed) {
            thread::sleep(GLANCE);
            let arrived = self.arrived.load(Ordering::Relaxed);
            if arrived != known {
                (known, since) = (arrived, Instant::now());
            } else if known > 0 && since.elapsed() > STALL {
                if let Err(error) = self.report(since, known) {
                    self.voice.say(Word::Failed(format!("{error:#}")));
                }
                return;
            }
        }
    }

    fn report(&self, last: Instant, arrived: u64) -> Result<()> {
        if self.reported.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let first = *self.first.get_or_init(|| last);
        let account = Account {
            cost: self.start.cost()?,
            seconds: last.duration_since(first).as_secs_f64(),
            arrived,
            measurements: Measurements::new(),
        };
        self.voice.say(Word::Account(account));
        Ok(())
    }
}
