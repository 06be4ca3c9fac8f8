//! A fixed number of records each second, whatever the broker does: latency from the moment at which each was due until a
//! consumer has it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringmail_wire::batch::{BatchBuilder, Compression};

use super::context::{Context, Measurement};
use super::tail::Pipe;
use crate::client::Received;
use crate::error::{Error, Result};
use crate::limits::Limit;
use crate::load::{Content, Meter, OpenLoop, Phase, now_ms};
use crate::report::Outcome;

const RECORDS_PER_S: u64 = 100_000;
const VALUE_BYTES: usize = 1024;
/// How long the first record of a batch waits for others: ten records go together then.
const LINGER: Duration = Duration::from_micros(100);
/// Size of a batch at which it goes at once.
const BATCH_BYTES: usize = 64 << 10;

pub fn paced_1k(ctx: &Context) -> Result<Outcome> {
    let bracket = ctx.bracket(&[Limit::SyncDepth1, Limit::EchoRoundTrip])?;
    let broker = ctx.fresh_broker()?;
    let mut records = PacedRecords::new(Pipe::create(&broker, "bench")?);
    let mut measurement = Measurement::new(&broker, ctx.window());
    let mut pace = OpenLoop::new(Instant::now(), RECORDS_PER_S);
    loop {
        let now = Instant::now();
        if measurement.phase(now)? == Phase::Over {
            break;
        }
        while let Some(due) = pace.try_start(now) {
            records.push(due);
        }
        records.exchange(now, &mut measurement.meter)?;
    }
    let measured = measurement.finish();

    let mut outcome = Outcome::new("paced-1k");
    measured.report(&mut outcome, "due to consumed");
    broker.stop()?;
    outcome.limits = bracket.close()?;
    let least = outcome.bounds(Limit::SyncDepth1).p99_us() + outcome.bounds(Limit::EchoRoundTrip).p99_us();
    let p99 = outcome.figures.p99_us.unwrap_or(f64::INFINITY);
    outcome.compare_with("sync_depth_1+echo_round_trip", least / p99);
    outcome.add("limit_p99_us", least);
    outcome.add("paced_records_per_s", RECORDS_PER_S as f64);
    Ok(outcome)
}

/// Records that are built as they become due, gathered for a moment, sent, and checked one by one when they come back.
struct PacedRecords {
    pipe: Pipe,
    content: Content,
    builder: BatchBuilder,
    value: Vec<u8>,
    /// Records so far, sent or in the builder.
    built: u64,
    /// When the first record in the builder was due.
    oldest: Option<Instant>,
    /// When each record was due that has not come back.
    due: VecDeque<Instant>,
}

impl PacedRecords {
    fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            content: Content::new(1, 0, VALUE_BYTES),
            builder: BatchBuilder::new(BATCH_BYTES, Compression::None),
            value: Vec::with_capacity(VALUE_BYTES),
            built: 0,
            oldest: None,
            due: VecDeque::new(),
        }
    }

    fn push(&mut self, due: Instant) {
        self.value.clear();
        self.content.append(self.built, &mut self.value);
        let timestamp = now_ms();
        if self.builder.push(timestamp, None, Some(&self.value), &[]).is_err() {
            self.send();
            let pushed = self.builder.push(timestamp, None, Some(&self.value), &[]);
            pushed.expect("one record fits an empty batch");
        }
        self.built += 1;
        self.oldest.get_or_insert(due);
        self.due.push_back(due);
    }

    fn exchange(&mut self, now: Instant, meter: &mut Meter) -> Result<()> {
        if self.oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) >= LINGER) {
            self.send();
        }
        let (content, due) = (&self.content, &mut self.due);
        self.pipe.exchange(
            Duration::ZERO,
            |_| {},
            |Received { offset, batch }| {
                let now = Instant::now();
                let mut scratch = Vec::new();
                let bytes = batch.as_bytes().len() as u64 / u64::from(batch.record_count());
                let open = batch.open(&mut scratch).map_err(|error| Error::Content(error.to_string()))?;
                for (expected, record) in (offset..).zip(open.iter()) {
                    let right = record.offset == expected
                        && record.value.is_some_and(|value| content.matches(expected, value));
                    let since = due.pop_front().filter(|_| right).ok_or_else(|| {
                        Error::Content(format!("record {expected} is not the one that was sent"))
                    })?;
                    meter.count(now, since, 1, bytes);
                }
                Ok(())
            },
        )
    }

    fn send(&mut self) {
        let Some(oldest) = self.oldest.take() else { return };
        let records = u64::from(self.builder.record_count());
        let mut batch = Vec::with_capacity(self.builder.len_bytes());
        self.builder.finish_into(&mut batch);
        self.pipe.send(batch.into(), records, oldest);
    }
}
