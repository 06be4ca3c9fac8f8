//! What is to be appended: whether a log takes it, and the header of the entry that it becomes.

use crate::api::{AppendError, LogId, Origin, Payload};
use crate::config::{LogConfig, Timestamps};
use crate::format::entry::{
    EntryHeader, EntryKind, EntryProducer, FLAG_COMMIT, FLAG_CONTROL, FLAG_TRANSACTIONAL, PayloadCodec,
};
use ringmail_kafka::batch as kafka;
use ringmail_wire::batch as ringmail;

/// Checks form, checksum, size and what else the log asks for. `limit` is the shard's for batches, in bytes.
pub(crate) fn check(
    payload: Payload<&[u8]>,
    config: &LogConfig,
    limit: usize,
    now_ms: i64,
) -> Result<(), AppendError> {
    let limit = config.max_batch_bytes.map_or(limit, |own| limit.min(own as usize));
    let max_timestamp = match payload {
        Payload::Ringmail(bytes) => check_ringmail(bytes, config, limit)?,
        Payload::Kafka(bytes, origin) => check_kafka(bytes, origin, config, limit)?,
    };
    check_timestamp(max_timestamp, config.timestamps, now_ms)
}

fn check_ringmail(bytes: &[u8], config: &LogConfig, limit: usize) -> Result<i64, AppendError> {
    let batch = ringmail::Batch::parse(bytes)?;
    let raw = bytes.len().max(batch.heap_raw_length());
    if raw > limit {
        return Err(AppendError::TooLarge { bytes: raw, limit });
    }
    if batch.as_bytes().len() != bytes.len() {
        return Err(ringmail::BatchError::Lengths(bytes.len() as u32).into());
    }
    batch.check()?;
    if config.compacted {
        refuse_keyless(batch.keyless())?;
    }
    Ok(batch.max_timestamp())
}

fn check_kafka(bytes: &[u8], origin: Origin, config: &LogConfig, limit: usize) -> Result<i64, AppendError> {
    if bytes.len() > limit {
        return Err(AppendError::TooLarge { bytes: bytes.len(), limit });
    }
    let Origin::Client { produce_version } = origin else {
        return Ok(kafka::Batch::parse(bytes)?.max_timestamp());
    };
    let batch = kafka::check_produced(bytes, produce_version)?;
    if config.compacted {
        let mut scratch = Vec::new();
        let mut keyless = Vec::new();
        for (k, record) in (0..).zip(batch.open(&mut scratch, kafka::MAX_RECORDS_BYTES)?.records()) {
            if record?.key.is_none() {
                keyless.push(k);
            }
        }
        refuse_keyless(keyless.into_iter())?;
    }
    Ok(batch.max_timestamp())
}

fn refuse_keyless(keyless: impl Iterator<Item = u32>) -> Result<(), AppendError> {
    let keyless: Vec<u32> = keyless.collect();
    if keyless.is_empty() { Ok(()) } else { Err(AppendError::Keyless(keyless)) }
}

fn check_timestamp(timestamp: i64, timestamps: Timestamps, now_ms: i64) -> Result<(), AppendError> {
    let Timestamps::Create { before_ms, after_ms } = timestamps else { return Ok(()) };
    let over = |limit: Option<u64>, distance: i64| {
        limit.is_some_and(|limit| u64::try_from(distance).is_ok_and(|distance| distance > limit))
    };
    let before = now_ms.saturating_sub(timestamp);
    // Records of Kafka may have no timestamp.
    let stated = timestamp >= 0;
    if stated && (over(before_ms, before) || over(after_ms, timestamp.saturating_sub(now_ms))) {
        return Err(AppendError::Timestamp { timestamp, now_ms });
    }
    Ok(())
}

/// Copies a batch to `stamped`, with the time of the append for all its records.
pub(crate) fn stamp(payload: Payload<&[u8]>, now_ms: i64, stamped: &mut Vec<u8>) {
    stamped.clear();
    stamped.extend_from_slice(payload.batch());
    match payload {
        Payload::Ringmail(_) => ringmail::stamp_append_time(stamped, now_ms),
        Payload::Kafka(..) => kafka::stamp_append_time(stamped, now_ms),
    }
}

/// The entry of a batch that was checked.
pub(crate) fn describe(
    log: LogId,
    base_offset: u64,
    payload: Payload<&[u8]>,
    now_ms: i64,
) -> Result<EntryHeader, AppendError> {
    let entry = EntryHeader {
        log,
        base_offset,
        record_count: 0,
        kind: EntryKind::Records,
        codec: PayloadCodec::Ringmail,
        flags: 0,
        max_timestamp: 0,
        producer: None,
        payload_bytes: payload.batch().len() as u32,
        payload_crc: 0,
    };
    match payload {
        Payload::Ringmail(bytes) => {
            let batch = ringmail::Batch::parse(bytes)?;
            Ok(EntryHeader {
                record_count: batch.record_count(),
                max_timestamp: batch.max_timestamp(),
                payload_crc: batch.crc(),
                ..entry
            })
        }
        Payload::Kafka(bytes, _) => {
            let batch = kafka::Batch::parse(bytes)?;
            let (producer, flags) = producer_of(&batch)?;
            let stated = Some(batch.max_timestamp()).filter(|timestamp| *timestamp >= 0);
            Ok(EntryHeader {
                record_count: batch.offset_count(),
                codec: PayloadCodec::Kafka,
                flags,
                // What has no timestamp is as old as it is here: retention must not take it for ancient.
                max_timestamp: stated.unwrap_or(now_ms),
                producer,
                payload_crc: batch.crc(),
                ..entry
            })
        }
    }
}

/// What the entry is to say of a batch's producer and transaction, so that nobody has to open it.
fn producer_of(batch: &kafka::Batch<'_>) -> Result<(Option<EntryProducer>, u16), AppendError> {
    let Some(id) = batch.producer_id() else { return Ok((None, 0)) };
    let producer = EntryProducer { id, epoch: batch.producer_epoch(), sequence: batch.base_sequence() };
    let transactional = if batch.is_transactional() { FLAG_TRANSACTIONAL } else { 0 };
    let Some(marker) = kafka::Marker::decode(batch)? else { return Ok((Some(producer), transactional)) };
    let commit = if marker.outcome == kafka::Outcome::Commit { FLAG_COMMIT } else { 0 };
    let producer = EntryProducer { sequence: marker.coordinator_epoch, ..producer };
    Ok((Some(producer), transactional | FLAG_CONTROL | commit))
}
