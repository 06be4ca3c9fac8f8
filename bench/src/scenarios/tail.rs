//! A producer and a consumer at its heels: whether the consumer keeps up, and how long a record takes from end to end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::closed::RECYCLE;
use super::context::{Context, Measured, Measurement, WARM_UP};
use super::produce::{BATCH_BYTES, CYCLE, IN_FLIGHT};
use crate::broker::Broker;
use crate::client::{Acknowledged, Admin, Consumer, Patience, Producer, Received, wait};
use crate::error::Result;
use crate::limits::Limit;
use crate::load::{BatchCycle, ClosedLoop, Meter, OpenLoop, Phase, Window};
use crate::report::{Curve, Outcome, Series};

/// Longest sleep, so that the end of a window is seen in time.
const NAP: Duration = Duration::from_millis(20);
/// A wait shorter than this would end too late: the client polls instead, on a core that is its own.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LIMITS: [Limit; 2] = [Limit::DiskWrite, Limit::EchoBandwidth];
const VALUE_BYTES: usize = 100;

/// One partition with a producer and a consumer, driven by one thread.
pub struct Pipe {
    producer: Producer,
    consumer: Consumer,
}

impl Pipe {
    /// Creates a topic and connects twice.
    pub fn create(broker: &Broker, topic: &str) -> Result<Self> {
        let logs = Admin::connect(broker.address())?.create_topic(topic, 1, RECYCLE)?;
        let producer = Producer::connect(broker.address(), &logs)?;
        Ok(Self { producer, consumer: Consumer::subscribe(broker.address(), logs[0], 0)? })
    }

    /// Queues a batch.
    pub fn send(&mut self, batch: bytes::Bytes, records: u64, since: Instant) {
        self.producer.send(0, batch, records, since);
    }

    /// Moves bytes on both connections; if there are none, waits for at most `longest`.
    pub fn exchange(
        &mut self,
        longest: Duration,
        acknowledged: impl FnMut(Acknowledged),
        received: impl FnMut(Received<'_>) -> Result<()>,
    ) -> Result<()> {
        let moved = self.producer.exchange(acknowledged)? | self.consumer.exchange(received)?;
        if !moved && longest >= SHORTEST_WAIT {
            wait([self.producer.interest(), self.consumer.interest()], longest.min(NAP))?;
        }
        Ok(())
    }

    /// Records that were sent and have not come back.
    pub fn behind(&self) -> u64 {
        self.producer.next_offset(0) - self.consumer.next_offset()
    }
}

/// Both at full speed, then both at half of it for the latency.
pub fn produce_consume(ctx: &Context) -> Result<Outcome> {
    let cycle = BatchCycle::build(CYCLE, BATCH_BYTES, VALUE_BYTES);
    let bracket = ctx.bracket(&LIMITS)?;
    let broker = ctx.fresh_broker()?;
    let mut load =
        Load { pipe: Pipe::create(&broker, "bench")?, cycle: &cycle, sent: 0, due: VecDeque::new() };
    let (produced, consumed) = load.full(&broker, Window::new(Instant::now(), WARM_UP, ctx.length / 2))?;
    let behind = load.catch_up()?;
    let batches_per_s = consumed.records_per_s() / cycle.records() as f64;
    let window = Window::new(Instant::now(), WARM_UP, ctx.length / 2);
    let half = load.paced((batches_per_s / 2.0).max(1.0) as u64, window)?;

    let mut outcome = Outcome::new("produce-consume");
    produced.report(&mut outcome, "sent to acknowledged, at full load");
    broker.stop()?;
    outcome.limits = bracket.close()?;
    outcome.compare_with("producer", consumed.records_per_s() / produced.meter.records_per_s());
    outcome.add("produced_records_per_s", produced.meter.records_per_s());
    outcome.add("behind_records", behind as f64);
    outcome.add("half_load_records_per_s", half.records_per_s());
    outcome.take_rates(&consumed);
    outcome.take_latencies(half.latencies());
    outcome.series.push(Series { name: "consumed records/s at full load", points: consumed.series() });
    outcome.curves.push(Curve { name: "end to end, at half load", points: half.latencies().curve() });
    Ok(outcome)
}

/// Batches of a cycle through a pipe, each with the moment at which it was due.
struct Load<'a> {
    pipe: Pipe,
    cycle: &'a BatchCycle,
    sent: u64,
    due: VecDeque<Instant>,
}

impl Load<'_> {
    fn send(&mut self, due: Instant) {
        self.pipe.send(self.cycle.get(0, self.sent).clone(), self.cycle.records(), due);
        self.due.push_back(due);
        self.sent += 1;
    }

    /// A closed loop: what was acknowledged, with the broker's usage, and what was consumed.
    fn full(&mut self, broker: &Broker, window: Window) -> Result<(Measured, Meter)> {
        let mut pace = ClosedLoop::new(IN_FLIGHT);
        let mut produced = Measurement::new(broker, window);
        let mut consumed = Meter::new(window);
        loop {
            let now = Instant::now();
            if produced.phase(now)? == Phase::Over {
                return Ok((produced.finish(), consumed));
            }
            while pace.try_start(1) {
                self.send(now);
            }
            let acknowledged = |batch: Acknowledged| {
                pace.finish(1);
                produced.meter.count(Instant::now(), batch.since, batch.records, batch.bytes);
            };
            self.exchange(NAP, acknowledged, &mut consumed)?;
        }
    }

    /// An open loop: what was consumed, with the latency from the moment at which it was due.
    fn paced(&mut self, batches_per_s: u64, window: Window) -> Result<Meter> {
        let mut pace = OpenLoop::new(Instant::now(), batches_per_s);
        let mut consumed = Meter::new(window);
        loop {
            let now = Instant::now();
            if window.phase(now) == Phase::Over {
                return Ok(consumed);
            }
            while let Some(due) = pace.try_start(now) {
                self.send(due);
            }
            self.exchange(pace.next_at().saturating_duration_since(now), |_| {}, &mut consumed)?;
        }
    }

    /// Waits until the consumer has everything. Returns how far behind it was.
    fn catch_up(&mut self) -> Result<u64> {
        let behind = self.pipe.behind();
        let now = Instant::now();
        let mut nothing = Meter::new(Window::new(now, Duration::ZERO, Duration::ZERO));
        let mut patience = Patience::new();
        while self.pipe.behind() > 0 {
            let before = self.pipe.behind();
            self.exchange(NAP, |_| {}, &mut nothing)?;
            patience.check(self.pipe.behind() < before)?;
        }
        Ok(behind)
    }

    fn exchange(
        &mut self,
        longest: Duration,
        acknowledged: impl FnMut(Acknowledged),
        consumed: &mut Meter,
    ) -> Result<()> {
        let (cycle, due) = (self.cycle, &mut self.due);
        self.pipe.exchange(longest, acknowledged, |Received { offset, batch }| {
            cycle.check(0, offset, &batch)?;
            let since = due.pop_front().expect("the check has found that this batch was sent next");
            consumed.count(Instant::now(), since, cycle.records(), batch.as_bytes().len() as u64);
            Ok(())
        })
    }
}
