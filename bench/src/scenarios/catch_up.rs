//! Reading what is on disk and nowhere else: one partition, and one of a hundred that were written in turn.

use std::time::{Duration, Instant};

use ringmail_wire::protocol::LogId;

use super::closed::ClosedProducer;
use super::context::{Context, Measured, Measurement};
use super::produce::{BATCH_BYTES, CYCLE, IN_FLIGHT};
use crate::broker::Broker;
use crate::client::{Consumer, Received, wait};
use crate::error::Result;
use crate::limits::Limit;
use crate::load::{BatchCycle, Phase, Window};
use crate::report::Outcome;

const VALUE_BYTES: usize = 100;
/// Partitions that are written in turn.
const INTERLEAVED: u32 = 100;
/// Longest time for reading the one partition.
const LONGEST: Duration = Duration::from_secs(14);
/// Time for reading some of the interleaved ones, one after the other.
const INTERLEAVED_TIME: Duration = Duration::from_secs(3);
const NAP: Duration = Duration::from_millis(20);
const LATENCY: &str = "between batches";

pub fn catch_up(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, VALUE_BYTES);
    let broker = ctx.fresh_broker()?;
    let alone = Stored::fill(&broker, "alone", 1, &cycle, ctx.stored)?;
    let interleaved = Stored::fill(&broker, "interleaved", INTERLEAVED, &cycle, ctx.stored / 4)?;
    // What the broker holds in memory goes with it; its files are opened with O_DIRECT, so that the kernel holds nothing.
    broker.stop()?;
    let bracket = ctx.bracket(&[Limit::DiskRead])?;
    let broker = ctx.setup.start()?;
    let measured = alone.read(&broker, &cycle, LONGEST)?;
    let measured_interleaved = interleaved.read(&broker, &cycle, INTERLEAVED_TIME)?;

    let mut outcome = Outcome::new("catch-up");
    measured.report(&mut outcome, LATENCY);
    broker.stop()?;
    outcome.limits = bracket.close()?;
    outcome.compare(outcome.figures.bytes_per_s, &[Limit::DiskRead]);
    let disk_read = outcome.bounds(Limit::DiskRead).per_second();
    let bytes_per_s = measured_interleaved.meter.bytes_per_s();
    outcome.add("interleaved_bytes_per_s", bytes_per_s);
    outcome.add("interleaved_ratio", bytes_per_s / disk_read);
    outcome.add("read_bytes", outcome.figures.bytes_per_s * measured.meter.window().length().as_secs_f64());
    Ok(outcome)
}

/// Partitions that were filled: log and end offset of each.
struct Stored(Vec<(LogId, u64)>);

impl Stored {
    fn fill(broker: &Broker, topic: &str, partitions: u32, cycle: &BatchCycle, bytes: u64) -> Result<Self> {
        let mut producer = ClosedProducer::create(broker, topic, partitions, None, cycle, IN_FLIGHT)?;
        producer.fill(bytes)?;
        let logs = producer.logs().iter().copied();
        Ok(Self(logs.zip(0..).map(|(log, partition)| (log, producer.end_offset(partition))).collect()))
    }

    /// Reads one partition after the other, each from its start to its end, until all are read or the time is over.
    fn read(&self, broker: &Broker, cycle: &BatchCycle, longest: Duration) -> Result<Measured> {
        let window = Window::new(Instant::now(), Duration::ZERO, longest);
        let mut measurement = Measurement::new(broker, window);
        for (&(log, end), partition) in self.0.iter().zip(0..) {
            let mut consumer = Consumer::subscribe(broker.address(), log, 0)?;
            let mut last = Instant::now();
            while consumer.next_offset() < end {
                if measurement.phase(Instant::now())? == Phase::Over {
                    return Ok(measurement.finish());
                }
                let moved = consumer.exchange(|Received { offset, batch }| {
                    cycle.check(partition, offset, &batch)?;
                    let now = Instant::now();
                    measurement.meter.count(now, last, cycle.records(), batch.as_bytes().len() as u64);
                    last = now;
                    Ok(())
                })?;
                if !moved {
                    wait([consumer.interest()], NAP)?;
                }
            }
        }
        measurement.cut(Instant::now())
    }
}
