//! One record a request: many in flight, and one.

use super::closed::{ClosedProducer, RECYCLE, RECYCLE_FILL};
use super::context::Context;
use crate::error::Result;
use crate::limits::Limit;
use crate::load::BatchCycle;
use crate::report::Outcome;

/// Requests in flight of the unbatched scenario.
const IN_FLIGHT: u64 = 256;
/// Length of the record's value.
pub const VALUE_BYTES: usize = 100;
/// Fits one record of that length, and no second.
pub const ONE_RECORD: usize = 200;
/// Different batches before they repeat.
pub const CYCLE: usize = 4096;
pub const LATENCY: &str = "sent to acknowledged";

/// The ratio is against a server that answers every request by itself, which is what "unbatched" means to servers that
/// gather nothing; Ringmail gathers acknowledgements and may pass it. What no broker can pass is told besides: an
/// echo that gathers, and the time that a request must take to the disk and back.
pub fn produce_unbatched(ctx: &Context) -> Result<Outcome> {
    let bracket = ctx.bracket(&[Limit::EchoRequestsEach, Limit::EchoRequests, Limit::SyncDepth1])?;
    let mut outcome = Outcome::new("produce-unbatched");
    run(ctx, &mut outcome, IN_FLIGHT)?;
    outcome.limits = bracket.close()?;
    let rate = outcome.figures.records_per_s;
    outcome.compare(rate, &[Limit::EchoRequestsEach]);
    outcome.add("ratio_echo_requests", rate / outcome.bounds(Limit::EchoRequests).per_second());
    let shortest_us =
        outcome.bounds(Limit::SyncDepth1).p50_us() + outcome.bounds(Limit::EchoRequests).p50_us();
    outcome.add("ratio_echo_plus_sync", rate / (IN_FLIGHT as f64 / shortest_us * 1e6));
    Ok(outcome)
}

/// The ratio is of medians: what a round trip and a sync take, to what both take through the broker.
pub fn produce_one_in_flight(ctx: &Context) -> Result<Outcome> {
    let bracket = ctx.bracket(&[Limit::SyncDepth1, Limit::EchoRoundTrip])?;
    let mut outcome = Outcome::new("produce-one-in-flight");
    run(ctx, &mut outcome, 1)?;
    outcome.limits = bracket.close()?;
    let least = outcome.bounds(Limit::SyncDepth1).p50_us() + outcome.bounds(Limit::EchoRoundTrip).p50_us();
    let p50 = outcome.figures.p50_us.unwrap_or(f64::INFINITY);
    outcome.compare_with("sync_depth_1+echo_round_trip", least / p50);
    outcome.add("limit_p50_us", least);
    Ok(outcome)
}

fn run(ctx: &Context, outcome: &mut Outcome, in_flight: u64) -> Result<()> {
    let cycle = BatchCycle::build(CYCLE, ONE_RECORD, VALUE_BYTES);
    assert_eq!(cycle.records(), 1, "a batch of one record is what is measured");
    let broker = ctx.fresh_broker()?;
    let large = BatchCycle::build(super::produce::CYCLE, super::produce::BATCH_BYTES, VALUE_BYTES);
    ClosedProducer::create(&broker, "fill", 1, RECYCLE, &large, super::produce::IN_FLIGHT)?
        .fill(RECYCLE_FILL)?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, RECYCLE, &cycle, in_flight)?;
    let measured = producer.run(&broker, ctx.window())?;
    measured.report(outcome, LATENCY);
    outcome.add("batch_bytes", cycle.batch_bytes() as f64);
    broker.stop()
}
