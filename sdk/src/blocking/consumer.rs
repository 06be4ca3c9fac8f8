//! Reading records, blocking.

use std::time::Duration;

use super::runtime::Runtime;
use crate::{ConsumedBatch, ConsumedRecord, Error, StartAt};

/// Reads partitions; as [`crate::Consumer`].
#[derive(Debug)]
pub struct Consumer {
    consumer: crate::Consumer,
    runtime: Runtime,
}

impl Consumer {
    pub(super) fn new(consumer: crate::Consumer, runtime: Runtime) -> Self {
        Self { consumer, runtime }
    }

    /// As [`crate::Consumer::assign`].
    ///
    /// # Errors
    /// As there.
    pub fn assign<'t>(
        &mut self,
        partitions: impl IntoIterator<Item = (&'t str, u32, StartAt)>,
    ) -> Result<(), Error> {
        self.runtime.block_on(self.consumer.assign(partitions))
    }

    /// As [`crate::Consumer::assign_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn assign_topic(&mut self, topic: &str, start: StartAt) -> Result<(), Error> {
        self.runtime.block_on(self.consumer.assign_topic(topic, start))
    }

    /// As [`crate::Consumer::until_end`].
    ///
    /// # Errors
    /// As there.
    pub fn until_end(&mut self) -> Result<(), Error> {
        self.runtime.block_on(self.consumer.until_end())
    }

    /// As [`crate::Consumer::seek`].
    ///
    /// # Errors
    /// As there.
    pub fn seek(&mut self, topic: &str, partition: u32, offset: u64) -> Result<(), Error> {
        self.consumer.seek(topic, partition, offset)
    }

    /// As [`crate::Consumer::pause`].
    ///
    /// # Errors
    /// As there.
    pub fn pause(&mut self, topic: &str, partition: u32) -> Result<(), Error> {
        self.consumer.pause(topic, partition)
    }

    /// As [`crate::Consumer::resume`].
    ///
    /// # Errors
    /// As there.
    pub fn resume(&mut self, topic: &str, partition: u32) -> Result<(), Error> {
        self.consumer.resume(topic, partition)
    }

    /// As [`crate::Consumer::position`].
    ///
    /// # Errors
    /// As there.
    pub fn position(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        self.consumer.position(topic, partition)
    }

    /// As [`crate::Consumer::next_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn next_batch(&mut self) -> Result<Option<ConsumedBatch>, Error> {
        self.runtime.block_on(self.consumer.next_batch())
    }

    /// As [`Self::next_batch`], but waits for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::Timeout`], and as there.
    pub fn next_batch_within(&mut self, timeout: Duration) -> Result<Option<ConsumedBatch>, Error> {
        let next = self.consumer.next_batch();
        let within = self.runtime.block_on(async { tokio::time::timeout(timeout, next).await });
        within.unwrap_or(Err(Error::Timeout { what: "waiting for a batch", after: timeout }))
    }

    /// As [`crate::Consumer::next`].
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::should_implement_trait, reason = "records are borrowed, which no Iterator can do")]
    pub fn next(&mut self) -> Result<Option<ConsumedRecord<'_>>, Error> {
        self.runtime.block_on(self.consumer.next())
    }
}
