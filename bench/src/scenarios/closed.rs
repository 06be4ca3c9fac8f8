//! A producer in a closed loop over batches that were built before.

use std::time::{Duration, Instant};

use ringmail_wire::protocol::LogId;

use super::context::{Measured, Measurement};
use crate::broker::Broker;
use crate::client::{Acknowledged, Admin, Producer, wait};
use crate::error::Result;
use crate::load::{BatchCycle, ClosedLoop, Phase, Window};

/// Longest sleep, so that the end of a window is seen in time.
const NAP: Duration = Duration::from_millis(20);

/// Retention of all partitions together under which the log recycles its segments. Far below what a window produces.
pub const RECYCLE: Option<u64> = Some(1 << 30);
/// Bytes after which a log with that retention recycles.
pub const RECYCLE_FILL: u64 = 3 << 30;
/// Longest time that filling may take.
const FILL_LIMIT: Duration = Duration::from_secs(12);

/// Keeps a number of batches in flight, to all partitions in turn.
pub struct ClosedProducer<'a> {
    producer: Producer,
    logs: Vec<LogId>,
    cycle: &'a BatchCycle,
    pace: ClosedLoop,
    sent: u64,
}

impl<'a> ClosedProducer<'a> {
    /// Creates a topic whose partitions together keep `retention` bytes, or everything, and connects.
    pub fn create(
        broker: &Broker,
        topic: &str,
        partitions: u32,
        retention: Option<u64>,
        cycle: &'a BatchCycle,
        in_flight: u64,
    ) -> Result<Self> {
        let retention = retention.map(|bytes| bytes / u64::from(partitions));
        let logs = Admin::connect(broker.address())?.create_topic(topic, partitions, retention)?;
        let producer = Producer::connect(broker.address(), &logs)?;
        Ok(Self { producer, logs, cycle, pace: ClosedLoop::new(in_flight), sent: 0 })
    }

    /// Produces `bytes`, or less if that takes too long, and waits until all is acknowledged.
    pub fn fill(&mut self, bytes: u64) -> Result<()> {
        let start = Instant::now();
        let mut acknowledged = 0;
        while acknowledged < bytes && start.elapsed() < FILL_LIMIT {
            self.top_up(Instant::now());
            self.exchange(|batch| acknowledged += batch.bytes)?;
        }
        self.drain()
    }

    /// Produces until the window has closed, and waits until all is acknowledged.
    pub fn run(&mut self, broker: &Broker, window: Window) -> Result<Measured> {
        let mut measurement = Measurement::new(broker, window);
        loop {
            let now = Instant::now();
            if measurement.phase(now)? == Phase::Over {
                self.drain()?;
                return Ok(measurement.finish());
            }
            self.top_up(now);
            let meter = &mut measurement.meter;
            self.exchange(|batch| meter.count(Instant::now(), batch.since, batch.records, batch.bytes))?;
        }
    }

    /// Produces for a time and leaves what is then in flight to its fate. Returns how many batches were acknowledged in all.
    pub fn abandon_after(mut self, time: Duration) -> Result<u64> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.top_up(Instant::now());
            self.exchange(|_| {})?;
        }
        Ok(self.sent - self.pace.in_flight())
    }

    /// Logs of the partitions.
    pub fn logs(&self) -> &[LogId] {
        &self.logs
    }

    /// The offset after the last record of a partition that was sent.
    pub fn end_offset(&self, partition: u32) -> u64 {
        self.producer.next_offset(partition)
    }

    fn top_up(&mut self, now: Instant) {
        let partitions = u64::from(self.producer.partitions());
        while self.pace.try_start(1) {
            let (number, partition) = (self.sent / partitions, (self.sent % partitions) as u32);
            let batch = self.cycle.get(partition, number).clone();
            self.producer.send(partition, batch, self.cycle.records(), now);
            self.sent += 1;
        }
    }

    fn exchange(&mut self, mut acknowledged: impl FnMut(Acknowledged)) -> Result<()> {
        let pace = &mut self.pace;
        let moved = self.producer.exchange(|batch| {
            pace.finish(1);
            acknowledged(batch);
        })?;
        if !moved {
            wait([self.producer.interest()], NAP)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while self.pace.in_flight() > 0 {
            self.exchange(|_| {})?;
        }
        Ok(())
    }
}
