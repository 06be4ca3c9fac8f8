//! What a producer's callers and its sending task share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::clock::SystemClock;
use super::deliveries::Deliveries;
use super::{SendError, Ticket};
use crate::core::accumulator::{Accumulator, RefusedRecord};
use crate::{Error, Partitioner, Record, partition_of_key};

/// Shared by all handles of a producer and by its sending task.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something for the sending task to do.
    pub wake: Notify,
    /// Batches were settled: there may be room, and somebody's records may be among them.
    pub settled: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub topic: String,
    pub accumulator: Accumulator,
    pub deliveries: Deliveries,
    /// Whether nothing is on its way, so that a new batch need not wait for more records.
    pub idle: bool,
    /// Whether the sending task will look at the time of its own accord.
    pub timer_set: bool,
    /// Whether the last handle is gone.
    pub closing: bool,
    /// Whether the sending task has ended.
    pub ended: bool,
    partitioner: Partitioner,
    turn: Turn,
}

/// Whose turn it is among the partitions, for records that may go anywhere.
#[derive(Debug)]
struct Turn {
    partition: u32,
    /// Whether it has got a record in this turn.
    begun: bool,
}

impl Shared {
    pub fn new(topic: String, accumulator: Accumulator, partitioner: Partitioner) -> Self {
        let partitions = accumulator.partitions();
        let mut deliveries = Deliveries::default();
        deliveries.grow(partitions);
        let random = ahash::RandomState::new().hash_one(&topic);
        let state = State {
            topic,
            accumulator,
            deliveries,
            idle: true,
            timer_set: false,
            closing: false,
            ended: false,
            partitioner,
            // Producers that start together do not all start with the same partition.
            turn: Turn { partition: (random % u64::from(partitions.max(1))) as u32, begun: false },
        };
        Self { state: Mutex::new(state), wake: Notify::new(), settled: Notify::new() }
    }

    /// The sending task has ended: whoever waits is told so.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.deliveries.end();
        drop(state);
        self.settled.notify_waiters();
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a record; says also whether the sending task is to be woken.
    #[inline]
    pub fn push(&mut self, record: &Record<'_>) -> Result<(Ticket, bool), SendError> {
        if self.ended {
            return Err(Error::Closed.into());
        }
        let partition = self.partition_of(record)?;
        let pushed = self.accumulator.push(partition, record, &SystemClock).map_err(refused)?;
        let wake = pushed.sealed || (pushed.opened && (self.idle || !self.timer_set));
        Ok((Ticket { partition, sequence: pushed.sequence }, wake))
    }

    /// Takes records as one batch.
    pub fn push_batch<'r>(
        &mut self,
        partition: u32,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Result<Ticket, SendError> {
        if self.ended {
            return Err(Error::Closed.into());
        }
        self.check(partition)?;
        let first = self.accumulator.push_batch(partition, records, &SystemClock).map_err(refused)?;
        let sequence = first.ok_or_else(|| Error::Config("a batch needs at least one record".to_owned()))?;
        Ok(Ticket { partition, sequence })
    }

    #[inline]
    fn partition_of(&mut self, record: &Record<'_>) -> Result<u32, Error> {
        if let Some(partition) = record.partition {
            return self.check(partition);
        }
        match (self.partitioner, record.key) {
            (Partitioner::Fixed(partition), _) => self.check(partition),
            (Partitioner::KeyHash, Some(key)) => Ok(partition_of_key(key, self.accumulator.partitions())),
            (Partitioner::KeyHash | Partitioner::RoundRobin, _) => Ok(self.turn_of(record)),
        }
    }

    fn check(&self, partition: u32) -> Result<u32, Error> {
        if partition < self.accumulator.partitions() {
            return Ok(partition);
        }
        Err(Error::UnknownPartition { topic: self.topic.clone(), partition })
    }

    /// A partition keeps its turn until its batch is full or under way, so that batches are large.
    fn turn_of(&mut self, record: &Record<'_>) -> u32 {
        let turn = &mut self.turn;
        if turn.begun && !self.accumulator.has_room(turn.partition, record) {
            turn.partition = (turn.partition + 1) % self.accumulator.partitions();
        }
        turn.begun = true;
        turn.partition
    }
}

fn refused(refused: RefusedRecord) -> SendError {
    match refused {
        RefusedRecord::BufferFull => SendError::BufferFull,
        RefusedRecord::TooLarge { bytes, limit } => Error::RecordTooLarge { bytes, limit }.into(),
        RefusedRecord::TimestampSpan => Error::Config(refused.to_string()).into(),
    }
}
