//! The ends of transactions, on their way into the partitions that took part.

use ringmail_coordinator::machine::Markers;
use ringmail_kafka::batch::{Marker, Outcome};
use ringmail_shards::api::AppendError;
use ringmail_wire::protocol::LogId;

use super::Waiter;
use crate::node::logs::{Caller, Logs, Refusal};
use crate::node::slab::{Key, Slab};

/// A marker for one partition.
#[derive(Debug)]
struct Part {
    /// The log of the machine that wants it written.
    machine: LogId,
    tag: u64,
    topic: String,
    partition: i32,
    marker: Marker,
}

/// A marker that has been written, or has nowhere to be written to any more.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) machine: LogId,
    pub(super) tag: u64,
    pub(super) topic: String,
    pub(super) partition: i32,
}

/// Markers that are not known to be durable.
#[derive(Debug, Default)]
pub(super) struct Marking {
    parts: Slab<Part>,
    /// Those to be sent, and those to be sent again with the next tick.
    ready: Vec<Key>,
    later: Vec<Key>,
}

impl Marking {
    /// Begins to spread the markers of a transaction.
    pub(super) fn begin(&mut self, machine: LogId, markers: Markers) {
        let Markers { tag, producer, coordinator_epoch, commit, partitions } = markers;
        let outcome = if commit { Outcome::Commit } else { Outcome::Abort };
        let (producer_id, producer_epoch) = (producer.id, producer.epoch);
        let marker = Marker { producer_id, producer_epoch, coordinator_epoch, outcome };
        for (topic, partition) in partitions {
            let part = Part { machine, tag, topic, partition, marker };
            self.ready.push(self.parts.insert(part));
        }
    }

    /// How many are not written.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Time has passed: what could not be sent is tried again.
    pub(super) fn tick(&mut self) {
        self.ready.append(&mut self.later);
    }

    /// Sends what is to be sent; gives those that have nowhere to go.
    pub(super) fn send(&mut self, logs: &mut Logs) -> Vec<Marked> {
        let mut gone = Vec::new();
        for key in std::mem::take(&mut self.ready) {
            let Some(part) = self.parts.get(key) else { continue };
            let begun = match logs.partition(&part.topic, part.partition) {
                Some(log) => logs.append_marker(log, part.marker, Caller::Coordinator(Waiter::Marker(key))),
                None => Err(Refusal::Error(AppendError::UnknownLog(0))),
            };
            if let Err(refusal) = begun {
                let error = match refusal {
                    Refusal::Busy(_) => AppendError::Closed,
                    Refusal::Error(error) => error,
                };
                gone.extend(self.written(key, Err(error)));
            }
        }
        gone
    }

    /// What became of a marker that was sent; gives it if nothing more is to be done.
    pub(super) fn written(&mut self, key: Key, result: Result<(), AppendError>) -> Option<Marked> {
        match result {
            // The producer has a newer epoch in the partition: this transaction has ended there already.
            Ok(()) | Err(AppendError::UnknownLog(_) | AppendError::InvalidProducerEpoch { .. }) => {}
            Err(_) => {
                self.later.push(key);
                return None;
            }
        }
        let Part { machine, tag, topic, partition, .. } = self.parts.remove(key)?;
        Some(Marked { machine, tag, topic, partition })
    }
}
