//! A broker that has nothing to do: a topic, a connected producer, a consumer that waits.

use std::time::{Duration, Instant};

use super::context::{Context, Measurement};
use super::tail::Pipe;
use crate::error::Result;
use crate::load::{Phase, Window};
use crate::report::Outcome;

/// After the start, for segments to be made ready in the background.
const SETTLE: Duration = Duration::from_secs(4);
const NAP: Duration = Duration::from_millis(100);

/// The ratio is the share of one core that the broker uses; less is better.
pub fn idle(ctx: &Context) -> Result<Outcome> {
    let broker = ctx.fresh_broker()?;
    let mut pipe = Pipe::create(&broker, "bench")?;
    let mut measurement = Measurement::new(&broker, Window::new(Instant::now(), SETTLE, ctx.length));
    while measurement.phase(Instant::now())? != Phase::Over {
        pipe.exchange(NAP, |_| {}, |_| Ok(()))?;
    }
    let measured = measurement.finish();
    let mut outcome = Outcome::new("idle");
    measured.report_usage(&mut outcome);
    outcome.compare_with("one_core", measured.cpu().as_secs_f64() / ctx.length.as_secs_f64());
    broker.stop()?;
    Ok(outcome)
}
