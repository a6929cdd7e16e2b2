//! Times that were taken, and their percentiles.

use std::time::Duration;

/// A collection of measured times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    nanoseconds: Vec<u64>,
    is_sorted: bool,
}

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.nanoseconds.push(time.as_nanos().try_into().unwrap_or(u64::MAX));
        self.is_sorted = false;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The time that `percent` of the samples do not exceed (nearest rank); zero where there are none.
    pub(crate) fn percentile(&mut self, percent: f64) -> Duration {
        if !self.is_sorted {
            self.nanoseconds.sort_unstable();
            self.is_sorted = true;
        }
        let rank = (percent / 100.0 * self.len() as f64).ceil() as usize;
        let sample = self.nanoseconds.get(rank.clamp(1, self.len().max(1)) - 1);
        Duration::from_nanos(sample.copied().unwrap_or_default())
    }

    /// The longest.
    pub(crate) fn max(&mut self) -> Duration {
        self.percentile(100.0)
    }

    /// The arithmetic mean; zero where there are none.
    pub(crate) fn mean(&self) -> Duration {
        let sum: u128 = self.nanoseconds.iter().copied().map(u128::from).sum();
        let mean = sum.checked_div(self.len() as u128).unwrap_or_default();
        Duration::from_nanos(mean.try_into().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        assert_eq!((samples.percentile(50.0), samples.mean()), (Duration::ZERO, Duration::ZERO));
        (1..=100).rev().for_each(|n| samples.push(Duration::from_nanos(n)));
        assert_eq!(samples.percentile(0.0), Duration::from_nanos(1));
        assert_eq!(samples.percentile(50.0), Duration::from_nanos(50));
        assert_eq!(samples.percentile(99.9), Duration::from_nanos(100));
        assert_eq!(samples.max(), Duration::from_nanos(100));
    }
}
