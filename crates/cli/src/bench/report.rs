//! Figures as a table, as JSON, and as libzmq's perf programs print them.

use std::time::Duration;

use serde_json::json;

use super::Transport;
use crate::{
    failure::Failure,
    output,
    samples::Samples,
    units::{show_bytes, show_count, show_duration},
};

/// How many messages passed in what time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    pub(super) size: usize,
    pub(super) messages: u64,
    pub(super) elapsed: Duration,
}

impl Throughput {
    fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(1e-6)
    }

    fn bytes_per_second(&self) -> f64 {
        self.messages_per_second() * self.size as f64
    }
}

/// Prints a row for each measurement.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) json: bool,
}

impl Report {
    pub(super) fn throughput_head(&self) -> Result<(), Failure> {
        self.head(&format!("{:9} {:>8} {:>12} {:>10} {:>12}", "transport", "size", "messages", "msg/s", "bytes/s"))
    }

    pub(super) fn throughput(&self, transport: Transport, figures: &Throughput) -> Result<(), Failure> {
        let Throughput { size, messages, elapsed } = *figures;
        if self.json {
            return print(&json!({
                "transport": transport.name(), "size": size, "messages": messages, "seconds": elapsed.as_secs_f64(),
                "messages_per_second": figures.messages_per_second(), "bytes_per_second": figures.bytes_per_second(),
            }));
        }
        let rate = show_count(figures.messages_per_second());
        let bytes = show_bytes(figures.bytes_per_second());
        print(&format!("{:9} {size:>8} {messages:>12} {rate:>10} {bytes:>12}", transport.name()))
    }

    pub(super) fn latency_head(&self) -> Result<(), Failure> {
        let columns = ["p50", "p90", "p99", "p99.9", "max"].map(|column| format!(" {column:>9}")).concat();
        self.head(&format!("{:9} {:>8} {:>12}{columns}", "transport", "size", "round trips"))
    }

    pub(super) fn latency(&self, transport: Transport, size: usize, samples: &mut Samples) -> Result<(), Failure> {
        let times = [50.0, 90.0, 99.0, 99.9, 100.0].map(|percent| samples.percentile(percent));
        if self.json {
            let [p50, p90, p99, p99_9, max] = times.map(|time| time.as_nanos() as f64 / 1e3);
            return print(&json!({
                "transport": transport.name(), "size": size, "round_trips": samples.len(), "unit": "µs",
                "p50": p50, "p90": p90, "p99": p99, "p99.9": p99_9, "max": max,
            }));
        }
        let columns = times.map(|time| format!(" {:>9}", show_duration(time))).concat();
        print(&format!("{:9} {size:>8} {:>12}{columns}", transport.name(), samples.len()))
    }

    fn head(&self, head: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(&head) }
    }
}

/// The lines that libzmq's local_thr prints.
pub(super) fn print_as_local_thr(figures: &Throughput, count: u64) -> Result<(), Failure> {
    let rate = figures.messages_per_second();
    print(&format!(
        "message size: {} [B]\nmessage count: {count}\nmean throughput: {rate:.0} [msg/s]\nmean throughput: {:.3} [Mb/s]",
        figures.size,
        figures.bytes_per_second() * 8.0 / 1e6,
    ))
}

/// The lines that libzmq's remote_lat prints, whose latency is half a round trip, and the percentiles of the round trip.
pub(super) fn print_as_remote_lat(size: usize, samples: &mut Samples) -> Result<(), Failure> {
    let [p50, p90, p99, p99_9] = [50.0, 90.0, 99.0, 99.9].map(|percent| show_duration(samples.percentile(percent)));
    print(&format!(
        "message size: {size} [B]\nroundtrip count: {}\naverage latency: {:.3} [us]\n\
         round trip: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}, max {}",
        samples.len(),
        samples.mean().as_nanos() as f64 / 2e3,
        show_duration(samples.max()),
    ))
}

fn print(line: &impl std::fmt::Display) -> Result<(), Failure> {
    output::print(format_args!("{line}\n"))
}
