//! Settings of a producer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringmail_wire::batch::Compression;
use ringmail_wire::protocol::Acks;

use crate::{Error, Partitioner};

/// Settings of a [`crate::Producer`]; `..Default::default()` fills in the rest.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// When the broker acknowledges a batch. Default [`Acks::Synced`]: when it would survive a power cut.
    pub acks: Acks,
    /// Which partition a record goes to. Default [`Partitioner::KeyHash`].
    pub partitioner: Partitioner,
    /// Compression of the batches. Default none.
    pub compression: Compression,
    /// How long a record waits at most for others to fill its batch while earlier batches are on their way;
    /// if there are none, it is sent at once. Default 1 ms.
    pub linger: Duration,
    /// Bytes at which a batch is full, before compression. Default 64 KiB.
    pub batch_bytes: usize,
    /// Bytes of batches without an answer that this producer has on one connection. Default 4 MiB.
    pub max_in_flight_bytes: usize,
    /// Bytes of records that were neither stored nor failed yet; past it,
    /// [`send`](crate::Producer::send) pushes back. Default 32 MiB.
    pub buffer_bytes: usize,
    /// How long it takes at most from the first record of a batch until the batch is reported: it may wait,
    /// be sent and be sent again until then. It fails after that: with what kept it from being stored, or
    /// with [`Error::OutcomeUnknown`] if it was sent and has no answer; a later answer changes nothing. If
    /// none has come [`request_timeout`](crate::ClientConfig::request_timeout) later, the connection is
    /// closed. Longer than `linger`. Default 2 minutes.
    pub delivery_timeout: Duration,
    /// Whether batches whose outcome is not known, because the connection was lost after they were sent,
    /// are sent again: they may be stored twice then. If not, they fail with [`Error::OutcomeUnknown`].
    /// Default false.
    pub retry_unknown: bool,
    /// Whether a batch is sent again even if later batches of its partition were stored meanwhile. If not,
    /// it fails with [`Error::OrderLost`]. Default false.
    pub reorder: bool,
    /// Called with every batch that was stored or failed, on the runtime's threads; must not block.
    pub on_delivery: Option<OnDelivery>,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::Synced,
            partitioner: Partitioner::KeyHash,
            compression: Compression::None,
            linger: Duration::from_millis(1),
            batch_bytes: 64 << 10,
            max_in_flight_bytes: 4 << 20,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            retry_unknown: false,
            reorder: false,
            on_delivery: None,
        }
    }
}

impl ProducerConfig {
    /// The least size of a batch, in bytes.
    pub const MIN_BATCH_BYTES: usize = 256;

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.batch_bytes < Self::MIN_BATCH_BYTES {
            return Err(Error::Config(format!(
                "batch_bytes is {}; it must be at least {}",
                self.batch_bytes,
                Self::MIN_BATCH_BYTES
            )));
        }
        if self.buffer_bytes < self.batch_bytes {
            return Err(Error::Config(format!(
                "buffer_bytes is {}; it must hold at least one batch of {} bytes",
                self.buffer_bytes, self.batch_bytes
            )));
        }
        if self.delivery_timeout <= self.linger {
            return Err(Error::Config(format!(
                "delivery_timeout is {:?}; it must be longer than linger, which is {:?}",
                self.delivery_timeout, self.linger
            )));
        }
        Ok(())
    }
}

/// The end of a batch.
#[derive(Debug)]
pub struct DeliveredBatch {
    /// Its partition.
    pub partition: u32,
    /// The sequence of its first record, as in [`crate::Ticket`].
    pub first_sequence: u64,
    /// How many records it has.
    pub records: u32,
    /// The offset of its first record ([`Error::NotAcknowledged`] with [`Acks::None`]), or why it failed.
    pub result: Result<u64, Error>,
}

/// A function that is told of every batch that was stored or failed.
#[derive(Clone)]
pub struct OnDelivery(Arc<dyn Fn(&DeliveredBatch) + Send + Sync>);

impl OnDelivery {
    /// This function.
    pub fn new(call: impl Fn(&DeliveredBatch) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(super) fn call(&self, batch: &DeliveredBatch) {
        (self.0)(batch);
    }
}

impl fmt::Debug for OnDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDelivery(..)")
    }
}
