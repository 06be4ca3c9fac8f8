//! Building a batch: records are copied into a table and a heap that are reused, then into the batch.

use super::Compression;
use super::layout::{BATCH_HEADER_BYTES, CRC_START, MAGIC, MAX_HEAP_BYTES, NULL_LENGTH, SLOT_BYTES, VERSION};
use crate::crc::crc32c;

/// Why a record does not go into this batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The batch would pass its byte limit; finish it and push the record into the next.
    #[error("the batch is full")]
    Full,
    /// The record alone is over the limit.
    #[error("the record needs {0} bytes, over the batch limit of {1}")]
    TooLarge(usize, usize),
    /// The timestamp is over 24 days from the batch's first; finish it and push the record into the next.
    #[error("the timestamp is too far from the batch's first")]
    TimestampSpan,
}

/// A batch being built. Pushing a record allocates only when the buffers grow, and they are kept.
#[derive(Debug)]
pub struct BatchBuilder {
    table: Vec<u8>,
    heap: Vec<u8>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    limit: usize,
    compression: Compression,
}

impl BatchBuilder {
    /// An empty batch of at most `limit` bytes (header, table and uncompressed heap together). A limit over
    /// [`MAX_HEAP_BYTES`] counts as that: no reader takes a larger batch.
    pub fn new(limit: usize, compression: Compression) -> Self {
        Self {
            table: Vec::new(),
            heap: Vec::new(),
            count: 0,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
            limit: limit.min(MAX_HEAP_BYTES as usize),
            compression,
        }
    }

    /// Adds a record; `headers` are in the form of [`super::HeadersBuf::as_bytes`].
    ///
    /// # Errors
    /// See [`PushError`]; nothing was added then.
    #[inline]
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[u8],
    ) -> Result<(), PushError> {
        let key_bytes = key.unwrap_or_default();
        let value_bytes = value.unwrap_or_default();
        let record = key_bytes.len() + value_bytes.len() + headers.len();
        if self.len_bytes() + SLOT_BYTES + record > self.limit {
            return Err(self.over_limit(record));
        }
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        let delta = timestamp.checked_sub(self.base_timestamp).and_then(|d| i32::try_from(d).ok());
        let delta = delta.ok_or(PushError::TimestampSpan)?;
        let mut slot = [0; SLOT_BYTES];
        slot[0..4].copy_from_slice(&(self.heap.len() as u32).to_le_bytes());
        slot[4..8].copy_from_slice(&key.map_or(NULL_LENGTH, |k| k.len() as u32).to_le_bytes());
        slot[8..12].copy_from_slice(&value.map_or(NULL_LENGTH, |v| v.len() as u32).to_le_bytes());
        slot[12..16].copy_from_slice(&(headers.len() as u32).to_le_bytes());
        slot[16..20].copy_from_slice(&delta.to_le_bytes());
        self.table.extend_from_slice(&slot);
        self.heap.extend_from_slice(key_bytes);
        self.heap.extend_from_slice(value_bytes);
        self.heap.extend_from_slice(headers);
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    #[cold]
    fn over_limit(&self, record: usize) -> PushError {
        if self.count > 0 {
            return PushError::Full;
        }
        PushError::TooLarge(BATCH_HEADER_BYTES + SLOT_BYTES + record, self.limit)
    }

    /// Records so far.
    pub fn record_count(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, before compression.
    pub fn len_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.table.len() + self.heap.len()
    }

    /// Appends the finished batch to `out` and empties the builder; the base offset is 0 until the broker
    /// writes it. A heap that compression would not make smaller is stored as it is, so the batch has
    /// [`Self::len_bytes`] at most.
    ///
    /// # Panics
    /// If there are no records.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        assert!(self.count > 0, "a batch has at least one record");
        let start = out.len();
        out.reserve(self.len_bytes());
        out.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
        out.extend_from_slice(&self.table);
        let heap_start = out.len();
        let compression = self.compression.compress(&self.heap, out);
        let heap_length = (out.len() - heap_start) as u32;
        self.write_header(&mut out[start..], compression, heap_length);
        self.clear();
    }

    fn write_header(&self, batch: &mut [u8], compression: Compression, heap_length: u32) {
        let length = batch.len() as u32;
        batch[8..12].copy_from_slice(&length.to_le_bytes());
        batch[16..18].copy_from_slice(&MAGIC.to_le_bytes());
        batch[18] = VERSION;
        batch[19] = compression as u8;
        batch[20..24].copy_from_slice(&self.count.to_le_bytes());
        batch[24..32].copy_from_slice(&self.base_timestamp.to_le_bytes());
        batch[32..40].copy_from_slice(&self.max_timestamp.to_le_bytes());
        batch[40..44].copy_from_slice(&heap_length.to_le_bytes());
        batch[44..48].copy_from_slice(&(self.heap.len() as u32).to_le_bytes());
        let crc = crc32c(&batch[CRC_START..]);
        batch[12..16].copy_from_slice(&crc.to_le_bytes());
    }

    /// Forgets the records, keeping the memory.
    pub fn clear(&mut self) {
        self.table.clear();
        self.heap.clear();
        self.count = 0;
        self.max_timestamp = i64::MIN;
    }
}
