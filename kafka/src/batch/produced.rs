//! What Produce takes.

use super::{Batch, BatchError, Compression};

/// The first version of Produce whose clients know zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// Checks what a client has sent for a partition in this version of Produce, without looking at records: exactly one batch
/// of format 2, whole and with the right CRC, that claims nothing that only a broker may write.
///
/// # Errors
/// See [`BatchError`], whose code is what Kafka answers.
pub fn check_produced(records: &[u8], version: i16) -> Result<Batch<'_>, BatchError> {
    if records.is_empty() {
        return Err(BatchError::Produced("there is no batch for the partition"));
    }
    let batch = Batch::parse(records)?;
    if batch.as_bytes().len() < records.len() {
        return Err(BatchError::Produced("there is more than one batch for the partition"));
    }
    if batch.compression() == Compression::Zstd && version < ZSTD_SINCE {
        return Err(BatchError::ZstdTooEarly);
    }
    check_claims(&batch)?;
    batch.check()?;
    Ok(batch)
}

fn check_claims(batch: &Batch<'_>) -> Result<(), BatchError> {
    if batch.record_count() != batch.offset_count() {
        let count = batch.record_count() as i32;
        return Err(BatchError::Count { count, last_offset_delta: batch.last_offset_delta() });
    }
    if batch.base_offset() != 0 {
        return Err(BatchError::Produced("the base offset of a batch that is produced is 0"));
    }
    if batch.is_control() {
        return Err(BatchError::Produced("clients may not write control records"));
    }
    if batch.has_append_time() {
        return Err(BatchError::TimestampType);
    }
    if batch.producer_id().is_some() && batch.base_sequence() < 0 {
        return Err(BatchError::Produced("the batch of an idempotent producer has no sequence number"));
    }
    if batch.is_transactional() && batch.producer_id().is_none() {
        return Err(BatchError::Produced("the batch of a transaction has no producer id"));
    }
    Ok(())
}
