//! What every scenario needs: a broker to start, limits to measure, a length.

use std::time::{Duration, Instant};

use crate::broker::{Broker, Setup};
use crate::cpu::Usage;
use crate::error::Result;
use crate::limits::{Figure, Limit, Probe};
use crate::load::{Meter, Phase, Window};
use crate::report::{Bounds, Outcome};

/// Load before a window opens, once a scenario is in its steady state.
pub const WARM_UP: Duration = Duration::from_millis(1000);

/// How scenarios are run.
#[derive(Clone, Debug)]
pub struct Context {
    /// The broker under test.
    pub setup: Setup,
    /// How limits are measured.
    pub probe: Probe,
    /// Length of a measuring window.
    pub length: Duration,
    /// Bytes that the scenarios store which read or recover much.
    pub stored: u64,
}

impl Context {
    /// Starts a broker on an empty data directory.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn fresh_broker(&self) -> Result<Broker> {
        self.setup.fresh()?;
        self.setup.start()
    }

    /// Measures limits right before the load.
    ///
    /// # Errors
    ///
    /// When a probe fails.
    pub fn bracket(&self, limits: &[Limit]) -> Result<Bracket<'_>> {
        let before = limits.iter().map(|limit| limit.measure(&self.probe)).collect::<Result<_>>()?;
        Ok(Bracket { probe: &self.probe, before })
    }

    /// A window of the usual length that opens after the warm-up.
    pub fn window(&self) -> Window {
        Window::new(Instant::now(), WARM_UP, self.length)
    }
}

/// Limits that were measured before the load and are to be measured again after it.
pub struct Bracket<'a> {
    probe: &'a Probe,
    before: Vec<Figure>,
}

impl Bracket<'_> {
    /// Measures the limits right after the load; the broker should be gone.
    ///
    /// # Errors
    ///
    /// When a probe fails.
    pub fn close(self) -> Result<Vec<Bounds>> {
        let again = |before: Figure| Ok(Bounds { after: before.limit.measure(self.probe)?, before });
        self.before.into_iter().map(again).collect()
    }
}

/// What happens inside a window, and what the broker uses meanwhile.
pub struct Measurement<'a> {
    /// Counts what is acknowledged or received.
    pub meter: Meter,
    broker: &'a Broker,
    opened: Option<Usage>,
    closed: Option<Usage>,
}

impl<'a> Measurement<'a> {
    /// Nothing measured yet.
    pub fn new(broker: &'a Broker, window: Window) -> Self {
        Self { meter: Meter::new(window), broker, opened: None, closed: None }
    }

    /// Where `now` lies; reads the broker's usage when the window opens and closes. To be called all along.
    ///
    /// # Errors
    ///
    /// When the broker has ended.
    pub fn phase(&mut self, now: Instant) -> Result<Phase> {
        let phase = self.meter.window().phase(now);
        let due = match phase {
            Phase::WarmUp => None,
            Phase::Measuring => Some(&mut self.opened),
            Phase::Over => Some(&mut self.closed),
        };
        if let Some(usage) = due
            && usage.is_none()
        {
            *usage = Some(self.broker.usage()?);
        }
        Ok(phase)
    }

    /// Ends the measurement now, because what is measured has come to its end before the window.
    ///
    /// # Errors
    ///
    /// When the broker has ended.
    pub fn cut(mut self, now: Instant) -> Result<Measured> {
        self.meter.cut(now);
        self.phase(now)?;
        Ok(self.finish())
    }

    /// Ends the measurement.
    ///
    /// # Panics
    ///
    /// When the window has not been watched from its opening to its end.
    pub fn finish(self) -> Measured {
        Measured {
            meter: self.meter,
            opened: self.opened.expect("the window was watched when it opened"),
            closed: self.closed.expect("the window was watched when it closed"),
        }
    }
}

/// What happened inside a window that has closed.
pub struct Measured {
    /// What was counted.
    pub meter: Meter,
    opened: Usage,
    closed: Usage,
}

impl Measured {
    /// CPU time of the broker inside the window.
    pub fn cpu(&self) -> Duration {
        self.closed.cpu.saturating_sub(self.opened.cpu)
    }

    /// Puts it into an outcome.
    pub fn report(&self, outcome: &mut Outcome, latency_of: &'static str) {
        outcome.take_meter(&self.meter, latency_of);
        self.report_usage(outcome);
    }

    /// Puts what the broker used into an outcome.
    pub fn report_usage(&self, outcome: &mut Outcome) {
        outcome.take_usage(self.opened, self.closed, self.meter.records());
        outcome.add("seconds", self.meter.window().length().as_secs_f64());
    }
}
