//! Machines' records as batches of their logs, and back.

use ringmail_coordinator::machine::{Producer, Write, WriteError};
use ringmail_kafka::batch::{
    Batch, BatchBuilder, BatchError, BatchHead, Compression, Headers, PushError, Record,
};

/// The largest batch of a machine, in bytes. A group's metadata and assignments are one record.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// The batch of a write, with offsets from 0 on.
pub(super) fn encode(write: &Write, wall_ms: i64) -> Result<Vec<u8>, WriteError> {
    let producer = write.producer.unwrap_or(Producer { id: -1, epoch: -1 });
    let head = BatchHead {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        transactional: write.producer.is_some(),
        ..BatchHead::default()
    };
    let mut builder = BatchBuilder::new(head, BATCH_BYTES, Compression::None);
    for (offset, record) in (0..).zip(&write.records) {
        let record = Record {
            offset,
            timestamp: wall_ms,
            key: Some(&record.key),
            value: record.value.as_deref(),
            headers: Headers::default(),
        };
        match builder.push(&record, std::iter::empty()) {
            Ok(()) => {}
            Err(PushError::Full | PushError::TooLarge(..)) => return Err(WriteError::TooLarge),
            Err(PushError::Offset(_) | PushError::Timestamp(_)) => {
                unreachable!("offsets count up, and all timestamps are one")
            }
        }
    }
    let mut batch = Vec::with_capacity(builder.len_bytes());
    builder.finish_into(&mut batch);
    Ok(batch)
}

/// The producer of a batch that is part of a transaction.
pub(super) fn producer(batch: &Batch<'_>) -> Option<Producer> {
    let id = batch.producer_id().filter(|_| batch.is_transactional())?;
    Some(Producer { id, epoch: batch.producer_epoch() })
}

/// Gives the records of a batch to `each`.
pub(super) fn records(batch: &Batch<'_>, mut each: impl FnMut(Record<'_>)) -> Result<(), BatchError> {
    let mut scratch = Vec::new();
    let open = batch.open(&mut scratch, BATCH_BYTES)?;
    for record in open.records() {
        each(record?);
    }
    Ok(())
}
