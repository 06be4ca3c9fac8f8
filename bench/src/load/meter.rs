//! Counts what is acknowledged inside the measuring window.

use std::time::{Duration, Instant};

use super::{Latencies, Phase, Window};

/// Length of one step of the time series that the report plots.
const STEP: Duration = Duration::from_millis(100);

/// Records, bytes and latencies of one measuring window.
#[derive(Clone, Debug)]
pub struct Meter {
    window: Window,
    records: u64,
    bytes: u64,
    latencies: Latencies,
    steps: Vec<u64>,
}

impl Meter {
    /// Nothing counted yet.
    pub fn new(window: Window) -> Self {
        Self { window, records: 0, bytes: 0, latencies: Latencies::new(), steps: vec![0; step_count(window)] }
    }

    /// Counts `records` of `bytes` together that were acknowledged (or consumed) at `now` and, for latency, were due at
    /// `since`. Counts nothing outside the window. One latency is recorded, however many the records.
    pub fn count(&mut self, now: Instant, since: Instant, records: u64, bytes: u64) {
        self.add(now, records, bytes);
        self.time(now, since);
    }

    /// Counts records without a latency.
    pub fn add(&mut self, now: Instant, records: u64, bytes: u64) {
        if self.window.phase(now) != Phase::Measuring {
            return;
        }
        self.records += records;
        self.bytes += bytes;
        let step = (now - self.window.opens()).as_nanos() / STEP.as_nanos();
        self.steps[step as usize] += records;
    }

    /// Records a latency alone.
    pub fn time(&mut self, now: Instant, since: Instant) {
        if self.window.phase(now) == Phase::Measuring {
            self.latencies.record(now.saturating_duration_since(since));
        }
    }

    /// Closes the window at `now` if it is still open: whatever was measured has come to its end.
    pub fn cut(&mut self, now: Instant) {
        self.window = self.window.cut(now);
        self.steps.truncate(step_count(self.window));
    }

    /// The window that is counted in.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Records counted.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records per second of the window.
    pub fn records_per_s(&self) -> f64 {
        self.rate(self.records)
    }

    /// Bytes per second of the window.
    pub fn bytes_per_s(&self) -> f64 {
        self.rate(self.bytes)
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.window.length().as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Latencies of what was counted.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// The rate over time for a plot: (seconds since the window opened, records per second).
    pub fn series(&self) -> Vec<(f64, f64)> {
        let step = STEP.as_secs_f64();
        let rate = |(index, &records): (usize, &u64)| (index as f64 * step, records as f64 / step);
        self.steps.iter().enumerate().map(rate).collect()
    }
}

/// Steps that a window takes; the last may be cut short.
fn step_count(window: Window) -> usize {
    window.length().as_nanos().div_ceil(STEP.as_nanos()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let start = Instant::now();
        let window = Window::new(start, Duration::from_secs(1), Duration::from_secs(1));
        let mut meter = Meter::new(window);
        meter.count(start, start, 10, 1000);
        meter.count(start + Duration::from_millis(1050), start + Duration::from_millis(1000), 20, 2000);
        meter.count(start + Duration::from_millis(1999), start + Duration::from_millis(1900), 20, 2000);
        meter.count(start + Duration::from_secs(2), start, 10, 1000);
        assert_eq!(meter.records(), 40);
        assert_eq!(meter.records_per_s(), 40.0);
        assert_eq!(meter.bytes_per_s(), 4000.0);
        assert_eq!(meter.latencies().count(), 2);
        let series = meter.series();
        assert_eq!((series.len(), series[0].1, series[9].1), (10, 200.0, 200.0));
    }

    #[test]
    fn what_ends_early_has_the_rate_until_its_end() {
        let start = Instant::now();
        let mut meter = Meter::new(Window::new(start, Duration::ZERO, Duration::from_secs(10)));
        meter.count(start + Duration::from_millis(900), start, 100, 100);
        meter.cut(start + Duration::from_secs(1));
        assert_eq!((meter.records_per_s(), meter.series().len()), (100.0, 10));
    }

    #[test]
    fn a_window_that_is_no_multiple_of_the_step_keeps_its_end() {
        let start = Instant::now();
        let mut meter = Meter::new(Window::new(start, Duration::ZERO, Duration::from_millis(150)));
        meter.count(start + Duration::from_millis(149), start, 1, 1);
        assert_eq!(meter.series().len(), 2);
    }
}
