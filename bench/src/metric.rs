//! What can be measured, in which unit, and how a figure is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The figures of one run. Times are in seconds, sizes in bytes, shares between 0 and 1.
pub(crate) type Measurements = BTreeMap<Metric, f64>;

/// A quantity that a run yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Messages that arrived per second, from the first to the last.
    Rate,
    /// The median round trip.
    P50,
    /// The round trip that 99 of 100 do not exceed.
    P99,
    /// The round trip that 999 of 1,000 do not exceed.
    P999,
    /// The mean round trip.
    Mean,
    /// The share of the messages sent that never arrived.
    Lost,
    /// CPU time per message, summed over all processes of the run.
    Cpu,
    /// System calls per message, summed over all processes of the run.
    SystemCalls,
    /// CPU time of one process per second, as a share of one core.
    Load,
    /// Connections made per second, up to the end of the handshake.
    ConnectionRate,
    /// Private memory of the accepting process per connection.
    ConnectionMemory,
    /// Private memory of the publishing process per subscription, beyond the subscription's own bytes.
    SubscriptionMemory,
}

impl Metric {
    /// A word for a row that shows this figure beside the case's own.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Mean => "mean",
            Self::Lost => "lost",
            Self::Cpu => "CPU/message",
            Self::SystemCalls => "system calls/message",
            Self::Load => "CPU",
            Self::ConnectionRate => "connections made",
            Self::ConnectionMemory => "memory/connection",
            Self::SubscriptionMemory => "memory/subscription",
        }
    }

    /// A heading for a table of this figure.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rate => "Messages per second",
            Self::P50 => "Round trip, median",
            Self::P99 => "Round trip, 99th percentile",
            Self::P999 => "Round trip, 99.9th percentile",
            Self::Mean => "Round trip, mean",
            Self::Lost => "Messages lost",
            Self::Cpu => "CPU time per message, all processes",
            Self::SystemCalls => "System calls per message, all processes",
            Self::Load => "CPU time of the receiving process, of one core",
            Self::ConnectionRate => "Connections made per second",
            Self::ConnectionMemory => "Memory per connection",
            Self::SubscriptionMemory => "Memory per subscription, beyond its own bytes",
        }
    }

    /// Whether a larger figure is the better one.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Rate | Self::ConnectionRate)
    }

    /// The figure with its unit.
    pub(crate) fn format(self, figure: f64) -> String {
        match self {
            Self::Rate | Self::ConnectionRate => format!("{}/s", scaled(figure)),
            Self::P50 | Self::P99 | Self::P999 | Self::Mean | Self::Cpu => duration(figure),
            Self::Lost | Self::Load => share(figure),
            Self::SystemCalls => significant(figure),
            Self::ConnectionMemory | Self::SubscriptionMemory => format!("{figure:.0} B"),
        }
    }
}

/// A count with a decimal prefix: `4.81 M`.
fn scaled(figure: f64) -> String {
    let (divisor, prefix) = match figure {
        f if f >= 0.9995e9 => (1e9, " G"),
        f if f >= 0.9995e6 => (1e6, " M"),
        f if f >= 0.9995e3 => (1e3, " k"),
        _ => (1.0, " "),
    };
    format!("{}{prefix}", significant(figure / divisor))
}

/// A time in the unit that suits it: `61.4 µs`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 0.9995 => format!("{} s", significant(s)),
        s if s >= 0.9995e-3 => format!("{} ms", significant(s * 1e3)),
        s if s >= 0.9995e-6 => format!("{} µs", significant(s * 1e6)),
        s => format!("{} ns", significant(s * 1e9)),
    }
}

/// A share in percent, with as many digits as a small one needs.
fn share(figure: f64) -> String {
    let percent = figure * 100.0;
    match percent.abs() {
        0.0 => "0 %".into(),
        p if p < 0.01 => "< 0.01 %".into(),
        p if p < 1.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// Three significant digits.
pub(crate) fn significant(figure: f64) -> String {
    match figure.abs() {
        f if f >= 99.95 => format!("{figure:.0}"),
        f if f >= 9.995 => format!("{figure:.1}"),
        f if f >= 0.0995 || f == 0.0 => format!("{figure:.2}"),
        f if f >= 0.001 => format!("{figure:.3}"),
        _ => format!("{figure:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(Metric::Rate.format(4_812_345.0), "4.81 M/s");
        assert_eq!(Metric::Rate.format(999_900.0), "1.00 M/s");
        assert_eq!(Metric::P50.format(61.42e-6), "61.4 µs");
        assert_eq!(Metric::Cpu.format(999.9e-9), "1.00 µs");
        assert_eq!(Metric::SystemCalls.format(0.0463), "0.046");
        assert_eq!(Metric::Load.format(0.05), "5.0 %");
        assert_eq!(Metric::Load.format(0.001), "0.10 %");
        assert_eq!(Metric::Lost.format(0.0), "0 %");
    }
}
