//! Gathers records into batches, one queue for each partition. Time is an argument.
//!
//! A batch is *open* while records go into it and *sealed* once it is full, or old enough, or asked for.
//! Sealed batches of a partition leave in their order; partitions with sealed batches take turns. A partition
//! that cannot be sent to now is *parked*: its batch then fills up beyond the linger time.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringmail_wire::batch::{BATCH_HEADER_BYTES, BatchBuilder, Compression, PushError};

use crate::Record;

/// Builders that are kept for reuse, at most.
const SPARE_BUILDERS: usize = 64;

/// How large and how old things may get.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a batch at which it is full, before compression.
    pub batch_bytes: usize,
    /// Bytes of the largest batch that the broker takes; a record over `batch_bytes` gets a batch of its own.
    pub max_batch_bytes: usize,
    /// Bytes of all batches that were not released yet.
    pub buffer_bytes: usize,
    /// Age at which an open batch is sealed.
    pub linger: Duration,
    /// Compression of the batches.
    pub compression: Compression,
}

/// The clocks that the accumulator needs.
pub trait Clock {
    /// Monotonic time, for the age of batches.
    fn instant(&self) -> Instant;
    /// Milliseconds since the Unix epoch; read once for each batch.
    fn now_ms(&self) -> i64;
    /// The same, possibly a little late, but quick; read for each record.
    fn coarse_ms(&self) -> i64;
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Its number within the partition, from 0 on, for this accumulator.
    pub sequence: u64,
    /// Whether it opened a batch.
    pub opened: bool,
    /// Whether a batch was sealed.
    pub sealed: bool,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRecord {
    /// There is no room until batches are released.
    #[error("the buffer is full")]
    BufferFull,
    /// The record alone is over the limit.
    #[error("the record needs {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes that it needs.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The timestamps of one batch must lie within 24 days of its first.
    #[error("timestamps within one batch must lie within 24 days of its first")]
    TimestampSpan,
}

/// A batch that is ready to be finished and sent.
#[derive(Debug)]
pub struct Sealed {
    /// The records.
    pub builder: BatchBuilder,
    /// The number of the first.
    pub first_sequence: u64,
    /// When it was opened.
    pub opened: Instant,
    /// Bytes to be released when it is done with.
    pub bytes: usize,
    /// Whether the builder is of the usual size.
    reusable: bool,
}

#[derive(Debug)]
struct Open {
    builder: BatchBuilder,
    first_sequence: u64,
    first_timestamp: i64,
    opened: Instant,
}

#[derive(Debug, Default)]
struct Queue {
    open: Option<Open>,
    sealed: VecDeque<Sealed>,
    next_sequence: u64,
    /// How many batches were opened.
    batches: u64,
    parked: bool,
    /// Whether it stands in the queue of ready partitions.
    queued: bool,
    /// Whether the open batch was due while the partition was parked.
    overdue: bool,
}

/// The batches of all partitions of one topic.
#[derive(Debug)]
pub struct Accumulator {
    limits: Limits,
    queues: Vec<Queue>,
    ready: VecDeque<u32>,
    /// When open batches are due, in the order of time; batches sealed since are still among them.
    due: VecDeque<Due>,
    spare: Vec<BatchBuilder>,
    buffered: usize,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    partition: u32,
    /// The partition's count of batches when it was the open one.
    batch: u64,
}

impl Accumulator {
    /// An empty one for so many partitions.
    pub fn new(limits: Limits, partitions: u32) -> Self {
        let mut accumulator = Self {
            limits,
            queues: Vec::new(),
            ready: VecDeque::new(),
            due: VecDeque::new(),
            spare: Vec::new(),
            buffered: 0,
        };
        accumulator.grow(partitions);
        accumulator
    }

    /// Adds partitions up to this number.
    pub fn grow(&mut self, partitions: u32) {
        let partitions = self.queues.len().max(partitions as usize);
        self.queues.resize_with(partitions, Queue::default);
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u32 {
        self.queues.len() as u32
    }

    /// Bytes that were not released yet.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    /// The number that the next record of the partition will get.
    pub fn next_sequence(&self, partition: u32) -> u64 {
        self.queues[partition as usize].next_sequence
    }

    /// Whether the record would go into the partition's open batch.
    pub fn has_room(&self, partition: u32, record: &Record<'_>) -> bool {
        self.queues[partition as usize].open.as_ref().is_some_and(|open| {
            open.builder.len_bytes() + record.batch_bytes() - BATCH_HEADER_BYTES <= self.limits.batch_bytes
        })
    }

    /// Adds a record to the partition's open batch, or to a new one. Allocates only for a new batch, and
    /// then mostly not.
    ///
    /// # Errors
    /// [`RefusedRecord`]; nothing has changed then.
    ///
    /// # Panics
    /// If there is no such partition.
    #[inline]
    pub fn push(
        &mut self,
        partition: u32,
        record: &Record<'_>,
        clock: &impl Clock,
    ) -> Result<Pushed, RefusedRecord> {
        let needs = record.batch_bytes();
        if self.buffered + needs > self.limits.buffer_bytes || needs > self.limits.batch_bytes {
            self.check_size(needs)?;
            if needs > self.limits.batch_bytes {
                return Ok(self.push_alone(partition, record, needs, clock));
            }
        }
        let queue = &mut self.queues[partition as usize];
        if let Some(open) = &mut queue.open {
            let timestamp = record.timestamp.unwrap_or_else(|| clock.coarse_ms().max(open.first_timestamp));
            let before = open.builder.len_bytes();
            let headers = record.headers.as_bytes();
            if open.builder.push(timestamp, record.key, record.value, headers).is_ok() {
                self.buffered += open.builder.len_bytes() - before;
                let sequence = queue.next_sequence;
                queue.next_sequence += 1;
                return Ok(Pushed { sequence, opened: false, sealed: false });
            }
        }
        Ok(self.push_first(partition, record, clock))
    }

    #[cold]
    fn check_size(&self, needs: usize) -> Result<(), RefusedRecord> {
        let limit = self.limits.max_batch_bytes.min(self.limits.buffer_bytes);
        if needs > limit {
            return Err(RefusedRecord::TooLarge { bytes: needs, limit });
        }
        if self.buffered + needs > self.limits.buffer_bytes {
            return Err(RefusedRecord::BufferFull);
        }
        Ok(())
    }

    /// Seals what is open and opens a batch with this record.
    #[cold]
    fn push_first(&mut self, partition: u32, record: &Record<'_>, clock: &impl Clock) -> Pushed {
        let sealed = self.seal(partition);
        let builder = self.spare.pop();
        let builder =
            builder.unwrap_or_else(|| BatchBuilder::new(self.limits.batch_bytes, self.limits.compression));
        let sequence = self.open(partition, builder, record, clock);
        let queue = &self.queues[partition as usize];
        let opened = queue.open.as_ref().expect("it was opened above").opened;
        self.due.push_back(Due { at: opened + self.limits.linger, partition, batch: queue.batches });
        Pushed { sequence, opened: true, sealed }
    }

    /// Puts a record that is larger than a batch into one of its own.
    fn push_alone(
        &mut self,
        partition: u32,
        record: &Record<'_>,
        needs: usize,
        clock: &impl Clock,
    ) -> Pushed {
        self.seal(partition);
        let builder = BatchBuilder::new(needs, self.limits.compression);
        let sequence = self.open(partition, builder, record, clock);
        self.seal(partition);
        Pushed { sequence, opened: false, sealed: true }
    }

    fn open(
        &mut self,
        partition: u32,
        mut builder: BatchBuilder,
        record: &Record<'_>,
        clock: &impl Clock,
    ) -> u64 {
        let first_timestamp = record.timestamp.unwrap_or_else(|| clock.now_ms());
        builder
            .push(first_timestamp, record.key, record.value, record.headers.as_bytes())
            .expect("the builder is empty and its limit is not below the record's bytes");
        let queue = &mut self.queues[partition as usize];
        let first_sequence = queue.next_sequence;
        self.buffered += builder.len_bytes();
        queue.next_sequence += 1;
        queue.batches += 1;
        queue.open = Some(Open { builder, first_sequence, first_timestamp, opened: clock.instant() });
        first_sequence
    }

    /// Adds records as one batch of their own, which is stored whole or not at all. Returns the number of
    /// the first; `None` if there are no records.
    ///
    /// # Errors
    /// [`RefusedRecord`]; nothing was added then.
    ///
    /// # Panics
    /// If there is no such partition.
    pub fn push_batch<'r>(
        &mut self,
        partition: u32,
        records: impl IntoIterator<Item = Record<'r>>,
        clock: &impl Clock,
    ) -> Result<Option<u64>, RefusedRecord> {
        let limit = self.limits.max_batch_bytes.min(self.limits.buffer_bytes);
        let mut builder = BatchBuilder::new(limit, self.limits.compression);
        let now = clock.now_ms();
        for record in records {
            let timestamp = record.timestamp.unwrap_or(now);
            let pushed = builder.push(timestamp, record.key, record.value, record.headers.as_bytes());
            pushed.map_err(|error| match error {
                PushError::TooLarge(bytes, _) => RefusedRecord::TooLarge { bytes, limit },
                PushError::TimestampSpan => RefusedRecord::TimestampSpan,
                PushError::Full => {
                    RefusedRecord::TooLarge { bytes: builder.len_bytes() + record.batch_bytes(), limit }
                }
            })?;
        }
        if builder.is_empty() {
            return Ok(None);
        }
        self.check_size(builder.len_bytes())?;
        self.seal(partition);
        let queue = &mut self.queues[partition as usize];
        let first_sequence = queue.next_sequence;
        queue.next_sequence += u64::from(builder.record_count());
        queue.batches += 1;
        let bytes = builder.len_bytes();
        self.buffered += bytes;
        queue.sealed.push_back(Sealed {
            builder,
            first_sequence,
            opened: clock.instant(),
            bytes,
            reusable: false,
        });
        self.make_ready(partition);
        Ok(Some(first_sequence))
    }

    /// Seals the partition's open batch, if there is one.
    pub fn seal(&mut self, partition: u32) -> bool {
        let queue = &mut self.queues[partition as usize];
        let Some(open) = queue.open.take() else { return false };
        queue.overdue = false;
        let bytes = open.builder.len_bytes();
        queue.sealed.push_back(Sealed {
            builder: open.builder,
            first_sequence: open.first_sequence,
            opened: open.opened,
            bytes,
            reusable: bytes <= self.limits.batch_bytes,
        });
        self.make_ready(partition);
        true
    }

    /// Seals all open batches.
    pub fn seal_all(&mut self) {
        self.due.clear();
        for partition in 0..self.partitions() {
            self.seal(partition);
        }
    }

    /// Seals the batches that are due at `now`, except where the partition is parked; with `None`, all of
    /// them.
    pub fn seal_due(&mut self, now: Option<Instant>) {
        while let Some(due) = self.due.pop_front_if(|due| now.is_none_or(|now| due.at <= now)) {
            let queue = &mut self.queues[due.partition as usize];
            if queue.open.is_none() || queue.batches != due.batch {
                continue;
            }
            if queue.parked {
                queue.overdue = true;
            } else {
                self.seal(due.partition);
            }
        }
    }

    /// When [`Self::seal_due`] is to be called next.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|due| due.at)
    }

    fn make_ready(&mut self, partition: u32) {
        let queue = &mut self.queues[partition as usize];
        if !queue.parked && !queue.queued && !queue.sealed.is_empty() {
            queue.queued = true;
            self.ready.push_back(partition);
        }
    }

    /// The partition whose turn it is; it has a sealed batch. The caller takes that or parks the partition.
    pub fn next_ready(&mut self) -> Option<u32> {
        let partition = self.ready.pop_front()?;
        self.queues[partition as usize].queued = false;
        Some(partition)
    }

    /// Takes the partition's first sealed batch; if there are more, its next turn comes after the others'.
    pub fn take(&mut self, partition: u32) -> Option<Sealed> {
        let sealed = self.queues[partition as usize].sealed.pop_front();
        self.proceed(partition);
        sealed
    }

    /// When the partition's first batch was opened, sealed or not.
    pub fn oldest(&self, partition: u32) -> Option<Instant> {
        let queue = &self.queues[partition as usize];
        let sealed = queue.sealed.front().map(|sealed| sealed.opened);
        sealed.or_else(|| queue.open.as_ref().map(|open| open.opened))
    }

    /// Takes the partition's first batch, sealed or not, if it was opened before `time`.
    pub fn take_older(&mut self, partition: u32, time: Instant) -> Option<Sealed> {
        if self.queues[partition as usize].open.as_ref().is_some_and(|open| open.opened < time) {
            self.seal(partition);
        }
        self.queues[partition as usize].sealed.pop_front_if(|sealed| sealed.opened < time)
    }

    /// Leaves the partition out until [`Self::unpark`].
    pub fn park(&mut self, partition: u32) {
        self.queues[partition as usize].parked = true;
    }

    /// Ends [`Self::park`].
    pub fn unpark(&mut self, partition: u32) {
        self.queues[partition as usize].parked = false;
        self.proceed(partition);
    }

    /// Gives the partition a turn; its open batch too, if that is overdue and nothing stands before it.
    fn proceed(&mut self, partition: u32) {
        let queue = &mut self.queues[partition as usize];
        if queue.overdue && !queue.parked && queue.sealed.is_empty() {
            self.seal(partition);
        } else {
            self.make_ready(partition);
        }
    }

    /// Takes back the builder of a batch that was finished.
    pub fn recycle(&mut self, sealed: Sealed) {
        if sealed.reusable && self.spare.len() < SPARE_BUILDERS {
            let mut builder = sealed.builder;
            builder.clear();
            self.spare.push(builder);
        }
    }

    /// Makes room: batches of so many bytes are done with.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn release(&mut self, bytes: usize) {
        self.buffered = self.buffered.checked_sub(bytes).expect("a batch is released once");
    }
}
