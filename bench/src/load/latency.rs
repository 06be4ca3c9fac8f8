//! Latencies in a histogram of three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(120);

/// A distribution of latencies, from 1 ns to two minutes with a relative error below 0.1%.
#[derive(Clone, Debug)]
pub struct Latencies {
    nanos: Histogram<u64>,
}

impl Latencies {
    /// An empty distribution.
    pub fn new() -> Self {
        let longest = LONGEST.as_nanos() as u64;
        Self {
            nanos: Histogram::new_with_bounds(1, longest, 3)
                .expect("1 ns to 120 s at 3 digits is a valid range"),
        }
    }

    /// Adds one latency; one longer than two minutes counts as two minutes.
    pub fn record(&mut self, latency: Duration) {
        let nanos = latency.min(LONGEST).as_nanos() as u64;
        self.nanos.saturating_record(nanos);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// The latency that a share `quantile` (0 to 1) of all did not exceed, in microseconds; `None` if none was recorded.
    pub fn quantile_us(&self, quantile: f64) -> Option<f64> {
        (self.count() > 0).then(|| self.nanos.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Median, in microseconds.
    pub fn p50_us(&self) -> Option<f64> {
        self.quantile_us(0.5)
    }

    /// 99th percentile, in microseconds.
    pub fn p99_us(&self) -> Option<f64> {
        self.quantile_us(0.99)
    }

    /// Points of the distribution for a plot: (share, microseconds), ever denser towards 1.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        const NINES: [f64; 13] =
            [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];
        NINES.iter().filter_map(|&share| Some((share, self.quantile_us(share)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        assert!((latencies.p50_us().unwrap() - 500.0).abs() < 1.0);
        assert!((latencies.p99_us().unwrap() - 990.0).abs() < 1.5);
        assert_eq!(latencies.count(), 1000);
    }

    #[test]
    fn nothing_recorded_has_no_quantile() {
        assert_eq!(Latencies::new().p50_us(), None);
        assert!(Latencies::new().curve().is_empty());
    }

    #[test]
    fn what_is_too_long_is_kept_as_the_longest() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_secs(1000));
        assert!(latencies.quantile_us(1.0).unwrap() >= 119e6);
    }
}
