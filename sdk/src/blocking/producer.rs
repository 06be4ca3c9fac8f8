//! Sending records, blocking.

use super::runtime::Runtime;
use crate::{Error, Record, SendError, Ticket};

/// Sends records to one topic; as [`crate::Producer`].
#[derive(Debug, Clone)]
pub struct Producer {
    producer: crate::Producer,
    runtime: Runtime,
}

impl Producer {
    pub(super) fn new(producer: crate::Producer, runtime: Runtime) -> Self {
        Self { producer, runtime }
    }

    /// Takes a record for sending; waits only if the buffer is full.
    ///
    /// # Errors
    /// As [`crate::Producer::send_wait`].
    pub fn send(&self, record: Record<'_>) -> Result<Ticket, Error> {
        match self.producer.send(record) {
            Ok(ticket) => Ok(ticket),
            Err(SendError::Refused(error)) => Err(error),
            Err(SendError::BufferFull) => self.runtime.block_on(self.producer.send_wait(record)),
        }
    }

    /// As [`crate::Producer::send`].
    ///
    /// # Errors
    /// As there.
    pub fn try_send(&self, record: Record<'_>) -> Result<Ticket, SendError> {
        self.producer.send(record)
    }

    /// As [`crate::Producer::send_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn send_batch(&self, partition: u32, records: &[Record<'_>]) -> Result<Ticket, Error> {
        self.runtime.block_on(self.producer.send_batch(partition, records))
    }

    /// As [`crate::Producer::delivered`].
    ///
    /// # Errors
    /// As there.
    pub fn delivered(&self, ticket: Ticket) -> Result<u64, Error> {
        self.runtime.block_on(self.producer.delivered(ticket))
    }

    /// As [`crate::Producer::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&self) -> Result<(), Error> {
        self.runtime.block_on(self.producer.flush())
    }

    /// As [`crate::Producer::partitions`].
    pub fn partitions(&self) -> u32 {
        self.producer.partitions()
    }
}
