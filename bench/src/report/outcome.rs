//! What a scenario measured.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cpu::Usage;
use crate::limits::{Figure, Limit};
use crate::load::{Latencies, Meter};

/// The result of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The figures that stand in the JSON line.
    #[serde(flatten)]
    pub figures: Figures,
    /// The limits as they were measured right before and right after.
    pub limits: Vec<Bounds>,
    /// Plots over time.
    pub series: Vec<Series>,
    /// Plots of distributions.
    pub curves: Vec<Curve>,
}

/// The figures of a scenario, in the order of the JSON line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Name of the scenario.
    pub scenario: String,
    /// Records acknowledged (or consumed) inside the measuring window, per second.
    pub records_per_s: f64,
    /// Bytes of the batches that carried them, per second: what crosses the network and reaches the disk.
    pub bytes_per_s: f64,
    /// The limit of the machine that `ratio` is against.
    pub limit: String,
    /// The result as a share of that limit. Where the limit is a latency, its share of the result: higher is better then, too.
    pub ratio: f64,
    /// Median latency in microseconds, if the scenario measures one.
    pub p50_us: Option<f64>,
    /// 99th percentile of it.
    pub p99_us: Option<f64>,
    /// CPU time of the broker for each record, in microseconds.
    pub broker_cpu_us_per_record: Option<f64>,
    /// Resident memory of the broker at the end, in MiB.
    pub broker_rss_mib: f64,
    /// Whatever else the scenario has to say, by name with its unit.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A limit of the machine on both sides of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Bounds {
    /// Right before.
    pub before: Figure,
    /// Right after.
    pub after: Figure,
}

/// Values over time: (seconds, value).
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// What the values are, with their unit.
    pub name: &'static str,
    /// The points, in the order of time.
    pub points: Vec<(f64, f64)>,
}

/// A latency distribution: (share, microseconds).
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// What is timed.
    pub name: &'static str,
    /// The points, in the order of the share.
    pub points: Vec<(f64, f64)>,
}

impl Bounds {
    /// The limit's rate, as the mean of both measurements.
    pub fn per_second(&self) -> f64 {
        f64::midpoint(self.before.per_second, self.after.per_second)
    }

    /// The limit's median latency in microseconds, likewise.
    pub fn p50_us(&self) -> f64 {
        f64::midpoint(self.before.p50_us, self.after.p50_us)
    }

    /// The limit's 99th percentile in microseconds, likewise.
    pub fn p99_us(&self) -> f64 {
        f64::midpoint(self.before.p99_us, self.after.p99_us)
    }
}

impl Outcome {
    /// An outcome without figures.
    pub fn new(scenario: &str) -> Self {
        let figures = Figures { scenario: scenario.to_owned(), ..Figures::default() };
        Self { figures, limits: Vec::new(), series: Vec::new(), curves: Vec::new() }
    }

    /// Takes rates and latencies from a meter.
    pub fn take_meter(&mut self, meter: &Meter, latency_of: &'static str) {
        self.take_rates(meter);
        self.take_latencies(meter.latencies());
        self.series.push(Series { name: "records/s", points: meter.series() });
        self.curves.push(Curve { name: latency_of, points: meter.latencies().curve() });
    }

    /// Takes the rates of a meter.
    pub fn take_rates(&mut self, meter: &Meter) {
        self.figures.records_per_s = round(meter.records_per_s());
        self.figures.bytes_per_s = round(meter.bytes_per_s());
    }

    /// Takes the latencies that stand in the JSON line.
    pub fn take_latencies(&mut self, latencies: &Latencies) {
        self.figures.p50_us = latencies.p50_us().map(round);
        self.figures.p99_us = latencies.p99_us().map(round);
    }

    /// Takes the broker's memory, and its CPU time between two moments, of which `records` are the reason.
    pub fn take_usage(&mut self, from: Usage, to: Usage, records: u64) {
        let cpu = to.cpu.saturating_sub(from.cpu);
        if records > 0 {
            self.figures.broker_cpu_us_per_record = Some(round(cpu.as_secs_f64() * 1e6 / records as f64));
        }
        self.figures.broker_rss_mib = round(to.rss_kib as f64 / 1024.0);
        self.add("broker_rss_peak_mib", to.rss_peak_kib as f64 / 1024.0);
    }

    /// The limit of that name, which must have been measured.
    ///
    /// # Panics
    ///
    /// When it was not: a scenario asks for what it has itself measured.
    pub fn bounds(&self, limit: Limit) -> &Bounds {
        let found = self.limits.iter().find(|bounds| bounds.before.limit == limit);
        found.expect("a scenario measures the limits that it compares with")
    }

    /// Compares `value` with the lowest rate of `limits`.
    pub fn compare(&mut self, value: f64, limits: &[Limit]) {
        let rate = |limit: &Limit| self.bounds(*limit).per_second();
        let lowest = limits.iter().min_by(|a, b| rate(a).total_cmp(&rate(b)));
        let lowest = *lowest.expect("there is a limit to compare with");
        let rate = rate(&lowest);
        self.compare_with(lowest.name(), value / rate);
        self.add("limit_per_s", rate);
    }

    /// Sets a ratio to something that is not one limit's rate.
    pub fn compare_with(&mut self, limit: &str, ratio: f64) {
        self.figures.limit = limit.to_owned();
        self.figures.ratio = round(ratio);
    }

    /// Adds a figure under a name of its own.
    pub fn add(&mut self, name: &str, value: f64) {
        self.figures.more.insert(name.to_owned(), round(value).into());
    }

    /// The figure of that name, standard or added.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let figures = serde_json::to_value(&self.figures).expect("figures have string keys alone");
        figures.get(name)?.as_f64()
    }

    /// One JSON object on one line.
    pub fn json_line(&self) -> String {
        serde_json::to_string(&self.figures).expect("figures have string keys alone")
    }
}

/// Rounds to five significant digits: more would be noise.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let magnitude = value.abs().log10().floor() as i32;
    let scale = 10f64.powi(4 - magnitude);
    // Dividing by a power of ten, not multiplying by a fraction, keeps whole numbers whole.
    if magnitude > 4 {
        let step = 10f64.powi(magnitude - 4);
        (value / step).round() * step
    } else {
        (value * scale).round() / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(limit: Limit, per_second: f64) -> Figure {
        Figure { limit, per_second, p50_us: 10.0, p99_us: 20.0 }
    }

    #[test]
    fn the_json_line_has_the_fixed_keys_and_no_plots() {
        let mut outcome = Outcome::new("produce-100b");
        outcome.add("batch_bytes", 65536.0);
        outcome.series.push(Series { name: "x", points: vec![(0.0, 1.0)] });
        let line = outcome.json_line();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(line.starts_with(r#"{"scenario":"produce-100b","records_per_s":"#), "{line}");
        for key in [
            "scenario",
            "records_per_s",
            "bytes_per_s",
            "limit",
            "ratio",
            "p50_us",
            "p99_us",
            "broker_cpu_us_per_record",
            "broker_rss_mib",
            "batch_bytes",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert!(value.get("series").is_none());
        assert!(!outcome.json_line().contains('\n'));
    }

    #[test]
    fn the_lower_limit_is_the_one_that_counts() {
        let mut outcome = Outcome::new("x");
        let pair = |limit, a, b| Bounds { before: figure(limit, a), after: figure(limit, b) };
        outcome.limits = vec![pair(Limit::DiskWrite, 300.0, 100.0), pair(Limit::EchoBandwidth, 180.0, 180.0)];
        outcome.compare(90.0, &[Limit::DiskWrite, Limit::EchoBandwidth]);
        assert_eq!((outcome.figures.limit.as_str(), outcome.figures.ratio), ("echo_bandwidth", 0.5));
        assert_eq!(outcome.figure("limit_per_s"), Some(180.0));
        assert_eq!(outcome.figure("ratio"), Some(0.5));
        assert_eq!(outcome.figure("nothing"), None);
    }

    #[test]
    fn five_digits_are_kept() {
        assert_eq!(round(123_456_789.0), 123_460_000.0);
        assert_eq!(round(0.000_123_456), 0.000_123_46);
        assert_eq!(round(0.8), 0.8);
        assert_eq!(round(0.0), 0.0);
        assert_eq!(round(f64::NAN), 0.0);
        assert_eq!(round(65536.0), 65536.0);
    }

    #[test]
    fn cpu_is_counted_per_record() {
        use std::time::Duration;
        let mut outcome = Outcome::new("x");
        let from = Usage { cpu: Duration::from_secs(1), rss_kib: 0, rss_peak_kib: 0 };
        let to = Usage { cpu: Duration::from_secs(2), rss_kib: 2048, rss_peak_kib: 4096 };
        outcome.take_usage(from, to, 10_000_000);
        assert_eq!(outcome.figures.broker_cpu_us_per_record, Some(0.1));
        assert_eq!((outcome.figures.broker_rss_mib, outcome.figure("broker_rss_peak_mib")), (2.0, Some(4.0)));
    }
}
