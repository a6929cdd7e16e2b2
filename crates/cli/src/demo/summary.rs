//! What the demo did, in figures.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use super::{
    client::{Outcome, Passage, Trouble, Visit},
    service::Service,
};
use crate::{
    failure::Failure,
    output,
    samples::Samples,
    units::{show_bytes, show_duration},
};

/// The figures of a run.
#[derive(Debug, Default)]
pub(super) struct Summary {
    done: usize,
    failed: Vec<(String, String)>,
    bytes_in: usize,
    bytes_out: usize,
    resent: u32,
    times: BTreeMap<Service, Samples>,
    whole: Samples,
    /// How many pictures each worker made, for each topology.
    workers: BTreeMap<String, BTreeMap<Service, usize>>,
}

impl Summary {
    /// The pictures that are done or given up.
    pub(super) fn pictures(&self) -> usize {
        self.done + self.failed.len()
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome.result {
            Ok(passage) => self.add_passage(&passage),
            Err(Trouble::Failed(reason)) => self.failed.push((outcome.name, reason)),
            Err(Trouble::Stopped) => {}
        }
    }

    fn add_passage(&mut self, passage: &Passage) {
        self.done += 1;
        self.bytes_in += passage.bytes_in;
        self.bytes_out += passage.bytes_out;
        self.whole.push(passage.visits.iter().map(|visit| visit.time).sum());
        for Visit { service, worker, time, attempts } in &passage.visits {
            self.times.entry(*service).or_default().push(*time);
            *self.workers.entry(worker.clone()).or_default().entry(*service).or_default() += 1;
            self.resent += attempts - 1;
        }
    }

    /// Prints it to standard output.
    ///
    /// # Errors
    /// If there is a picture that did not get through.
    pub(super) fn print(mut self, elapsed: Duration, folder: &Path) -> Result<(), Failure> {
        output::print(self.text(elapsed, folder))?;
        match self.failed.len() {
            0 => Ok(()),
            failed => Err(Failure::error(format!("{failed} of {} pictures did not get through", self.pictures()))),
        }
    }

    fn text(&mut self, elapsed: Duration, folder: &Path) -> String {
        let mut text = self.headline(elapsed);
        if self.done > 0 {
            text += &self.latencies();
            text += &self.shares();
        }
        self.failed.sort();
        for (name, reason) in &self.failed {
            line(&mut text, format_args!("{name}: {reason}"));
        }
        line(&mut text, format_args!("results: {}", folder.display()));
        text
    }

    fn headline(&self, elapsed: Duration) -> String {
        let rate = self.done as f64 / elapsed.as_secs_f64().max(1e-6);
        let (bytes_in, bytes_out) = (show_bytes(self.bytes_in as f64), show_bytes(self.bytes_out as f64));
        let resent = match self.resent {
            0 => String::new(),
            resent => format!(", {resent} requests sent again"),
        };
        let done = self.done;
        let time = show_duration(elapsed);
        format!("{done} pictures in {time}: {rate:.1} pictures/s, {bytes_in} in, {bytes_out} out{resent}\n\n")
    }

    fn latencies(&mut self) -> String {
        let mut text = format!("{:12}{:>10}{:>10}{:>10}{:>10}\n", "latency", "p50", "p90", "p99", "max");
        for (service, samples) in &mut self.times {
            line(&mut text, latency_row(service.name(), samples));
        }
        line(&mut text, latency_row("both", &mut self.whole));
        text + "\n"
    }

    fn shares(&self) -> String {
        let columns = Service::ALL.map(|service| format!("{service:>10}")).concat();
        let mut text = format!("{:12}{columns}\n", "pictures");
        for (worker, counts) in &self.workers {
            let count = |service| counts.get(&service).map_or(String::new(), usize::to_string);
            let columns = Service::ALL.map(|service| format!("{:>10}", count(service))).concat();
            line(&mut text, format_args!("{worker:12}{columns}"));
        }
        text + "\n"
    }
}

fn latency_row(name: &str, samples: &mut Samples) -> impl std::fmt::Display {
    let columns =
        [50.0, 90.0, 99.0, 100.0].map(|percent| format!("{:>10}", show_duration(samples.percentile(percent))));
    format!("{name:12}{}", columns.concat())
}

fn line(text: &mut String, line: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
