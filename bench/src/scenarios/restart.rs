//! Killed in the middle of its work, with much stored: how long until it serves again, and whether everything is there.

use std::time::{Duration, Instant};

use super::closed::ClosedProducer;
use super::context::Context;
use super::produce::{BATCH_BYTES, CYCLE, IN_FLIGHT};
use crate::broker::Broker;
use crate::client::{Admin, Consumer, Received};
use crate::error::{Error, Result};
use crate::load::BatchCycle;
use crate::report::Outcome;

/// Load between the fill and the kill, so that it comes in the middle of writes.
const BUSY: Duration = Duration::from_millis(500);
/// What a restart may take; the ratio is this to what it took.
const ALLOWED: Duration = Duration::from_secs(2);
/// Acknowledged batches before the kill that are read back and checked.
const CHECKED: u64 = 256;

pub fn restart(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, 100);
    let broker = ctx.fresh_broker()?;
    let mut producer = ClosedProducer::create(&broker, "bench", 1, None, &cycle, IN_FLIGHT)?;
    producer.fill(ctx.stored)?;
    let acknowledged = producer.abandon_after(BUSY)?;
    broker.kill()?;

    let start = Instant::now();
    let broker = ctx.setup.start()?;
    let ready = start.elapsed();
    let mut admin = Admin::connect(broker.address())?;
    let log = admin.logs("bench")?[0];
    let end = admin.end_offset(log)?;
    let answered = start.elapsed();
    check_tail(&broker, log, &cycle, acknowledged, end)?;

    let mut outcome = Outcome::new("restart");
    outcome.compare_with("two_seconds", ALLOWED.as_secs_f64() / answered.as_secs_f64());
    outcome.add("restart_s", answered.as_secs_f64());
    outcome.add("ready_s", ready.as_secs_f64());
    outcome.add("stored_bytes", (acknowledged * cycle.batch_bytes()) as f64);
    let usage = broker.usage()?;
    outcome.take_usage(usage, usage, 0);
    broker.stop()?;
    Ok(outcome)
}

/// Everything that was acknowledged must be there, and be what was sent: the last batches are read.
fn check_tail(broker: &Broker, log: u64, cycle: &BatchCycle, acknowledged: u64, end: u64) -> Result<()> {
    let promised = acknowledged * cycle.records();
    if end < promised {
        return Err(Error::Content(format!("the log ends at {end}; {promised} records were acknowledged")));
    }
    let first = acknowledged.saturating_sub(CHECKED) * cycle.records();
    let mut consumer = Consumer::subscribe(broker.address(), log, first)?;
    consumer.read_to(end, |Received { offset, batch }| cycle.check(0, offset, &batch))
}
