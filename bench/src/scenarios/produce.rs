//! Batches of a producer in a closed loop: one partition or many, small records or large, recycled segments or fresh ones.

use std::time::{Duration, Instant};

use super::closed::{ClosedProducer, RECYCLE, RECYCLE_FILL};
use super::context::{Context, WARM_UP};
use crate::error::Result;
use crate::limits::Limit;
use crate::load::{BatchCycle, Window};
use crate::report::Outcome;

/// Size of a batch, at most.
pub const BATCH_BYTES: usize = 64 << 10;
/// Batches in flight: 4 MiB.
pub const IN_FLIGHT: u64 = (4 << 20) / BATCH_BYTES as u64;
/// Different batches before they repeat: 4 MiB, so that a client that sends them stays in its cache.
pub const CYCLE: usize = 64;
/// What bounds a producer: the disk, or the way to the broker.
const LIMITS: [Limit; 2] = [Limit::DiskWrite, Limit::EchoBandwidth];
/// Length of the value of a small record.
const VALUE_BYTES: usize = 100;
const LATENCY: &str = "sent to acknowledged";

pub fn produce_100b(ctx: &Context) -> Result<Outcome> {
    one_partition(ctx, "produce-100b", VALUE_BYTES)
}

pub fn produce_1k(ctx: &Context) -> Result<Outcome> {
    one_partition(ctx, "produce-1k", 1024)
}

fn one_partition(ctx: &Context, name: &str, value_len: usize) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, value_len);
    let bracket = ctx.bracket(&LIMITS)?;
    let broker = ctx.fresh_broker()?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, RECYCLE, &cycle, IN_FLIGHT)?;
    producer.fill(RECYCLE_FILL)?;
    let measured = producer.run(&broker, ctx.window())?;

    let mut outcome = Outcome::new(name);
    measured.report(&mut outcome, LATENCY);
    broker.stop()?;
    outcome.limits = bracket.close()?;
    // Of bytes in batches: those are what the disk and the network carry.
    outcome.compare(outcome.figures.bytes_per_s, &LIMITS);
    describe(&mut outcome, &cycle, value_len);
    Ok(outcome)
}

fn describe(outcome: &mut Outcome, cycle: &BatchCycle, value_len: usize) {
    outcome.add("value_bytes_per_s", outcome.figures.records_per_s * value_len as f64);
    outcome.add("batch_bytes", cycle.batch_bytes() as f64);
    outcome
        .add("ratio_disk_write", outcome.figures.bytes_per_s / outcome.bounds(Limit::DiskWrite).per_second());
}

pub fn produce_1000_partitions(ctx: &Context) -> Result<Outcome> {
    many_partitions(ctx, "produce-1000-partitions", 1000)
}

pub fn produce_10000_partitions(ctx: &Context) -> Result<Outcome> {
    many_partitions(ctx, "produce-10000-partitions", 10_000)
}

/// One partition, many, and one again, on the same broker: the ratio is between the two.
fn many_partitions(ctx: &Context, name: &str, partitions: u32) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, VALUE_BYTES);
    let bracket = ctx.bracket(&LIMITS)?;
    let broker = ctx.fresh_broker()?;
    let mut one = ClosedProducer::create(&broker, "one", 1, RECYCLE, &cycle, IN_FLIGHT)?;
    let mut many = ClosedProducer::create(&broker, "many", partitions, RECYCLE, &cycle, IN_FLIGHT)?;
    one.fill(RECYCLE_FILL)?;
    let short = || Window::new(Instant::now(), WARM_UP, ctx.length / 3);
    let before = one.run(&broker, short())?;
    let measured = many.run(&broker, ctx.window())?;
    let after = one.run(&broker, short())?;

    let mut outcome = Outcome::new(name);
    measured.report(&mut outcome, LATENCY);
    broker.stop()?;
    outcome.limits = bracket.close()?;
    let one_partition = f64::midpoint(before.meter.records_per_s(), after.meter.records_per_s());
    describe(&mut outcome, &cycle, VALUE_BYTES);
    outcome.compare_with("one_partition", outcome.figures.records_per_s / one_partition);
    outcome.add("one_partition_records_per_s", one_partition);
    outcome.add("partitions", f64::from(partitions));
    Ok(outcome)
}

/// An empty data directory, and then the same again once it has been filled and recycles.
pub fn first_fill(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, VALUE_BYTES);
    let bracket = ctx.bracket(&LIMITS)?;
    let recycled = recycled_rate(ctx, &cycle)?;
    let broker = ctx.fresh_broker()?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, None, &cycle, IN_FLIGHT)?;
    let measured = producer.run(&broker, Window::new(Instant::now(), Duration::ZERO, ctx.length))?;

    let mut outcome = Outcome::new("first-fill");
    measured.report(&mut outcome, LATENCY);
    broker.stop()?;
    outcome.limits = bracket.close()?;
    describe(&mut outcome, &cycle, VALUE_BYTES);
    outcome.compare_with("recycled_segments", outcome.figures.records_per_s / recycled);
    outcome.add("recycled_records_per_s", recycled);
    Ok(outcome)
}

fn recycled_rate(ctx: &Context, cycle: &BatchCycle) -> Result<f64> {
    let broker = ctx.fresh_broker()?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, RECYCLE, cycle, IN_FLIGHT)?;
    producer.fill(RECYCLE_FILL)?;
    let measured = producer.run(&broker, Window::new(Instant::now(), WARM_UP, ctx.length / 2))?;
    broker.stop()?;
    Ok(measured.meter.records_per_s())
}
