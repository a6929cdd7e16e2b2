//! Repetition: a warm-up that also finds out how much work fills a run, then rounds in which the contenders take
//! turns.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::cases::Case;
use crate::contender::Contender;
use crate::desk::{Job, Outcome};
use crate::metric::{Measurements, Metric};
use crate::process::play;
use crate::statistics::median;
use crate::work::Role;

/// How many runs a warm-up may take to find the right amount of work.
const CALIBRATION_RUNS: usize = 4;

/// A run that lasts at least this share of what is wanted tells the speed well enough.
const LONG_ENOUGH: f64 = 0.25;

/// How much less of everything a smoke run does.
const SMOKE_DIVISOR: u64 = 200;

/// The least amount of work in a smoke run: more than any window or turn.
const SMOKE_COUNT: u64 = 300;

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds that count.
    pub(crate) rounds: u32,
    /// How long each run is to last.
    pub(crate) duration: Duration,
    /// Whether it is only to be shown that everything works.
    pub(crate) smoke: bool,
}

/// What came of one case.
pub(crate) struct CaseResult {
    pub(crate) case: Case,
    pub(crate) series: BTreeMap<Contender, Result<Series>>,
}

impl CaseResult {
    /// A contender's figure over all rounds, if it took part and did not fail.
    pub(crate) fn figure(&self, contender: Contender, metric: Metric) -> Option<f64> {
        self.series.get(&contender)?.as_ref().ok()?.figure(metric)
    }
}

/// A contender's figures, a set for each round.
#[derive(Default)]
pub(crate) struct Series {
    /// System calls per message, which are counted in the warm-up alone.
    system_calls: Option<f64>,
    rounds: Vec<Measurements>,
}

impl Series {
    /// The median over the rounds; of losses the greatest, as one is too many.
    pub(crate) fn figure(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::SystemCalls => self.system_calls,
            Metric::Lost => self.all(metric).into_iter().reduce(f64::max),
            _ => median(&self.all(metric)),
        }
    }

    /// The figure of each round.
    pub(crate) fn all(&self, metric: Metric) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(&metric).copied()).collect()
    }

    /// What was measured.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = Metric> + use<'_> {
        let measured = self.rounds.first().into_iter().flat_map(|round| round.keys().copied());
        measured.chain(self.system_calls.map(|_| Metric::SystemCalls))
    }
}

/// Measures `contenders` in one case.
pub(crate) fn run(case: &Case, contenders: &[Contender], plan: Plan) -> CaseResult {
    let mut result = CaseResult { case: case.clone(), series: BTreeMap::new() };
    let mut entrants = Vec::new();
    for &contender in contenders {
        match Entrant::prepare(case, contender, plan) {
            Ok(entrant) => entrants.push(entrant),
            Err(error) => note_failure(&mut result, contender, error),
        }
    }
    for round in 1..=plan.rounds {
        // Everybody begins a round now and then, and follows everybody.
        let step = entrants.len().min(1);
        entrants.rotate_left(step);
        entrants.retain_mut(|entrant| match entrant.play_round(round) {
            Ok(()) => true,
            Err(error) => {
                note_failure(&mut result, entrant.job.contender, error);
                false
            }
        });
    }
    result.series.extend(entrants.into_iter().map(|entrant| (entrant.job.contender, Ok(entrant.series))));
    result
}

fn note_failure(result: &mut CaseResult, contender: Contender, error: anyhow::Error) {
    eprintln!("  {contender}: failed: {error:#}");
    result.series.insert(contender, Err(error));
}

/// A contender in one case.
struct Entrant {
    job: Job,
    series: Series,
}

impl Entrant {
    /// Warms up, and finds out how much work fills a run.
    fn prepare(case: &Case, contender: Contender, plan: Plan) -> Result<Self> {
        let work = if plan.smoke { case.work.reduced() } else { case.work };
        let place = String::new();
        let job = Job { contender, work, role: Role::Whole, count: 0, count_system_calls: false, place };
        let mut entrant = Self { job, series: Series::default() };
        match work.first_count() {
            Some(count) if plan.smoke => entrant.job.count = (count / SMOKE_DIVISOR).max(SMOKE_COUNT),
            Some(count) => entrant.calibrate(count, plan.duration.as_secs_f64())?,
            None => {}
        }
        Ok(entrant)
    }

    fn calibrate(&mut self, first_count: u64, seconds: f64) -> Result<()> {
        self.job.count = first_count;
        for _ in 0..CALIBRATION_RUNS {
            let mut job = self.job.clone();
            job.count_system_calls = true;
            let outcome = self.play(&job, "warm-up")?;
            self.series.system_calls = outcome.measurements.get(&Metric::SystemCalls).copied();
            let filled = outcome.seconds / seconds;
            let wanted = job.count as f64 / filled.max(0.01);
            self.job.count = (wanted as u64).max(SMOKE_COUNT);
            if filled >= LONG_ENOUGH {
                break;
            }
        }
        Ok(())
    }

    fn play_round(&mut self, round: u32) -> Result<()> {
        let outcome = self.play(&self.job, &format!("round {round}"))?;
        self.series.rounds.push(outcome.measurements);
        Ok(())
    }

    fn play(&self, job: &Job, stage: &str) -> Result<Outcome> {
        let outcome = play(job, job.work.time_out())?;
        let figures: Vec<_> = outcome
            .measurements
            .iter()
            .map(|(metric, figure)| format!("{} {}", metric.label(), metric.format(*figure)))
            .collect();
        eprintln!("  {} {stage}: {}", job.contender, figures.join(", "));
        Ok(outcome)
    }
}
