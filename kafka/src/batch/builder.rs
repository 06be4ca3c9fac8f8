//! Building a batch: records are encoded one after another, then compressed as one.

use ringmail_wire::crc::crc32c;

use super::layout::*;
use super::varint::{put_i64, size};
use super::{Compression, Record};

/// Why a record does not go into this batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The batch would pass its byte limit; finish it and push the record into the next.
    #[error("the batch is full")]
    Full,
    /// The record alone is over the limit.
    #[error("the record needs {0} bytes, over the batch limit of {1}")]
    TooLarge(usize, usize),
    /// The offset is not after that of the record before, or over 2 billion from the batch's first.
    #[error("the offset {0} does not follow, or is too far from the batch's first")]
    Offset(i64),
    /// The timestamp is too far from the batch's first to be written as a difference.
    #[error("the timestamp {0} is too far from the batch's first")]
    Timestamp(i64),
}

/// What a batch says of itself besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// The first offset it takes; `None` for that of its first record.
    pub base_offset: Option<i64>,
    /// The last offset it takes; `None` for that of its last record.
    pub last_offset: Option<i64>,
    /// The epoch of the partition's leader; -1 for none.
    pub leader_epoch: i32,
    /// -1 for none.
    pub producer_id: i64,
    /// -1 for none.
    pub producer_epoch: i16,
    /// -1 for none.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// Whether it is a broker's note.
    pub control: bool,
    /// The time of the broker that all records have, milliseconds since the Unix epoch.
    pub append_time: Option<i64>,
    /// The time from which on tombstones may go, milliseconds since the Unix epoch.
    pub delete_horizon: Option<i64>,
}

impl Default for BatchHead {
    fn default() -> Self {
        Self {
            base_offset: None,
            last_offset: None,
            leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
            append_time: None,
            delete_horizon: None,
        }
    }
}

/// A batch being built. Pushing a record allocates only when the buffer grows, and it is kept.
#[derive(Debug)]
pub struct BatchBuilder {
    head: BatchHead,
    compression: Compression,
    limit: usize,
    records: Vec<u8>,
    count: i32,
    base_offset: i64,
    last_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch of at most `limit` bytes, before compression. A limit over [`MAX_RECORDS_BYTES`] counts as that.
    pub fn new(head: BatchHead, limit: usize, compression: Compression) -> Self {
        let limit = limit.min(MAX_RECORDS_BYTES);
        let mut builder = Self {
            head,
            compression,
            limit,
            records: Vec::new(),
            count: 0,
            base_offset: 0,
            last_offset: 0,
            base_timestamp: 0,
            max_timestamp: 0,
        };
        builder.begin(head);
        builder
    }

    /// Forgets the records, and begins a batch that says this of itself; keeps the memory.
    pub fn begin(&mut self, head: BatchHead) {
        self.head = head;
        self.records.clear();
        self.count = 0;
        self.base_offset = head.base_offset.unwrap_or(0);
        self.last_offset = self.base_offset - 1;
        self.base_timestamp = head.delete_horizon.unwrap_or(-1);
        self.max_timestamp = -1;
    }

    /// Adds a record at its offset. `headers` are walked over twice.
    ///
    /// # Errors
    /// See [`PushError`]; nothing was added then.
    pub fn push<'r, H>(&mut self, record: &Record<'_>, headers: H) -> Result<(), PushError>
    where
        H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
    {
        let base_offset =
            self.head.base_offset.unwrap_or(if self.count == 0 { record.offset } else { self.base_offset });
        let base_timestamp = match self.head.delete_horizon {
            Some(horizon) => horizon,
            None if self.count == 0 => record.timestamp,
            None => self.base_timestamp,
        };
        let follows = (self.count == 0 && record.offset >= base_offset) || record.offset > self.last_offset;
        let offset_delta = record.offset.checked_sub(base_offset).filter(|_| follows);
        let offset_delta =
            offset_delta.and_then(|d| i32::try_from(d).ok()).ok_or(PushError::Offset(record.offset))?;
        let timestamp_delta =
            record.timestamp.checked_sub(base_timestamp).ok_or(PushError::Timestamp(record.timestamp))?;

        let body = body_bytes(timestamp_delta, offset_delta, record, headers.clone());
        let need = size(body as i64) + body;
        if self.len_bytes() + need > self.limit {
            return Err(self.over_limit(need));
        }
        (self.base_offset, self.base_timestamp) = (base_offset, base_timestamp);
        self.last_offset = record.offset;
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.count += 1;
        put_record(&mut self.records, body, timestamp_delta, offset_delta, record, headers);
        Ok(())
    }

    #[cold]
    fn over_limit(&self, need: usize) -> PushError {
        if self.count > 0 {
            return PushError::Full;
        }
        PushError::TooLarge(BATCH_HEADER_BYTES + need, self.limit)
    }

    /// Records so far.
    pub fn record_count(&self) -> u32 {
        self.count as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, before compression.
    pub fn len_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.records.len()
    }

    /// Appends the finished batch to `out`. The records are forgotten; what the batch says of itself stays for the next.
    ///
    /// # Panics
    /// If there are no records and the head does not say which offsets the batch takes, or fewer than its records have.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        let last_offset = self.head.last_offset.unwrap_or(self.last_offset);
        assert!(last_offset >= self.last_offset.max(self.base_offset), "a batch takes at least one offset");
        let last_delta =
            i32::try_from(last_offset - self.base_offset).expect("a batch takes 2^31 offsets at most");
        let start = out.len();
        out.resize(start + BATCH_HEADER_BYTES, 0);
        // Without records there is nothing to compress; an empty frame would only be something to misread.
        let compression = if self.count == 0 { Compression::None } else { self.compression };
        compression.compress(&self.records, out);
        self.write_header(&mut out[start..], compression, last_delta);
        self.begin(self.head);
    }

    fn write_header(&self, batch: &mut [u8], compression: Compression, last_offset_delta: i32) {
        let head = &self.head;
        let flag = |set, bit| if set { bit } else { 0 };
        let attributes = compression as i16
            | flag(head.append_time.is_some(), APPEND_TIME)
            | flag(head.transactional, TRANSACTIONAL)
            | flag(head.control, CONTROL)
            | flag(head.delete_horizon.is_some(), DELETE_HORIZON);
        let length = i32::try_from(batch.len() - LENGTH_START).expect("batches have limits far below 2 GiB");
        put!(batch, BASE_OFFSET, self.base_offset);
        put!(batch, LENGTH, length);
        put!(batch, LEADER_EPOCH, head.leader_epoch);
        batch[MAGIC] = MAGIC_V2;
        put!(batch, ATTRIBUTES, attributes);
        put!(batch, LAST_OFFSET_DELTA, last_offset_delta);
        put!(batch, BASE_TIMESTAMP, self.base_timestamp);
        put!(batch, MAX_TIMESTAMP, head.append_time.unwrap_or(self.max_timestamp));
        put!(batch, PRODUCER_ID, head.producer_id);
        put!(batch, PRODUCER_EPOCH, head.producer_epoch);
        put!(batch, BASE_SEQUENCE, head.base_sequence);
        put!(batch, RECORD_COUNT, self.count);
        let crc = crc32c(&batch[CRC_START..]);
        put!(batch, CRC, crc);
    }
}

fn sized_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(size(-1), |bytes| size(bytes.len() as i64) + bytes.len())
}

fn put_sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_i64(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Bytes of a record after its length.
fn body_bytes<'r>(
    timestamp_delta: i64,
    offset_delta: i32,
    record: &Record<'_>,
    headers: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>,
) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers {
        count += 1;
        bytes += sized_bytes(Some(name)) + sized_bytes(value);
    }
    1 + size(timestamp_delta)
        + size(offset_delta.into())
        + sized_bytes(record.key)
        + sized_bytes(record.value)
        + size(count)
        + bytes
}

fn put_record<'r>(
    out: &mut Vec<u8>,
    body: usize,
    timestamp_delta: i64,
    offset_delta: i32,
    record: &Record<'_>,
    headers: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
) {
    put_i64(out, body as i64);
    let start = out.len();
    out.push(0);
    put_i64(out, timestamp_delta);
    put_i64(out, offset_delta.into());
    put_sized(out, record.key);
    put_sized(out, record.value);
    put_i64(out, headers.clone().count() as i64);
    for (name, value) in headers {
        put_sized(out, Some(name));
        put_sized(out, value);
    }
    debug_assert_eq!(out.len() - start, body);
}
