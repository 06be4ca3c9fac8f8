//! Reading a batch in place: the header, the one-pass check, the records.

use std::mem::offset_of;

use super::layout::{
    BATCH_HEADER_BYTES, BatchHeader, COMPRESSION_MASK, CRC_START, MAGIC, MAX_HEAP_BYTES, NULL_LENGTH,
    SLOT_BYTES, Slot, VERSION,
};
use super::{Compression, Headers};
use crate::crc::crc32c;

/// What is wrong with the bytes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the header or its length say.
    #[error("the batch is cut short: {have} bytes of {need}")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// Not a Ringmail batch.
    #[error("the batch's magic is {0:#06x}, not 0x4d52")]
    Magic(u16),
    /// A newer or older layout.
    #[error("the batch's version is {0}; this build reads version 1")]
    Version(u8),
    /// Attribute bits that mean nothing in this version.
    #[error("the batch's attributes {0:#04x} name no known compression")]
    Attributes(u8),
    /// The bytes are not those that were sent.
    #[error("the batch's CRC-32C is {found:#010x}, its header says {stated:#010x}")]
    Crc {
        /// Computed.
        found: u32,
        /// In the header.
        stated: u32,
    },
    /// No records.
    #[error("the batch has no records")]
    Empty,
    /// Header, table and heap do not add up to the batch's length, or the heap is over the limit.
    #[error("the batch's table and heap do not add up to its length of {0} bytes")]
    Lengths(u32),
    /// A record does not begin where the one before it ends, or ends outside the heap.
    #[error("record {0} of the batch points outside its place in the heap")]
    Slot(u32),
    /// The greatest timestamp is not the one in the header, or a timestamp does not fit 64 bits.
    #[error("the batch's max_timestamp is not that of its records")]
    MaxTimestamp,
    /// The headers of a record are malformed.
    #[error("the headers of record {0} are malformed")]
    Headers(u32),
    /// The heap does not decompress to what the header says.
    #[error("the batch's heap does not decompress to the length in its header")]
    Decompress,
}

/// A batch in a slice. [`Batch::parse`] looks at the header alone; [`Batch::check`] at everything.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    header: &'a BatchHeader,
    bytes: &'a [u8],
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("base_offset", &self.base_offset())
            .field("record_count", &self.record_count())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`; what follows it is left out. Looks at the header's form, and
    /// that length, table and heap fit each other; not at checksum, table or heap.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let short = |need| BatchError::Truncated { have: bytes.len(), need };
        let header = BatchHeader::at(bytes).ok_or(short(BATCH_HEADER_BYTES))?;
        if header.magic != MAGIC {
            return Err(BatchError::Magic(header.magic.to_native()));
        }
        if header.version != VERSION {
            return Err(BatchError::Version(header.version));
        }
        let bits = header.attributes;
        let compression = Compression::from_bits(bits & COMPRESSION_MASK)
            .filter(|_| bits & !COMPRESSION_MASK == 0)
            .ok_or(BatchError::Attributes(bits))?;
        if header.record_count == 0 {
            return Err(BatchError::Empty);
        }
        let length = header.length.to_native();
        let table = u64::from(header.record_count.to_native()) * SLOT_BYTES as u64;
        let whole = BATCH_HEADER_BYTES as u64 + table + u64::from(header.heap_length.to_native());
        let raw_fits = compression != Compression::None
            || header.heap_length.to_native() == header.heap_raw_length.to_native();
        let raw_allowed = header.heap_raw_length.to_native() <= MAX_HEAP_BYTES;
        if whole != u64::from(length) || !raw_fits || !raw_allowed {
            return Err(BatchError::Lengths(length));
        }
        let bytes = bytes.get(..length as usize).ok_or(short(length as usize))?;
        Ok(Self { header, bytes })
    }

    /// Checks everything that can be checked without decompressing: CRC, table, timestamps, and the
    /// headers of records if the heap is not compressed. One pass over the bytes, one over the table.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn check(&self) -> Result<(), BatchError> {
        let (found, stated) = (crc32c(&self.bytes[CRC_START..]), self.header.crc.to_native());
        if found != stated {
            return Err(BatchError::Crc { found, stated });
        }
        self.check_table()?;
        if self.compression() == Compression::None {
            self.check_headers(self.heap())?;
        }
        Ok(())
    }

    fn check_table(&self) -> Result<(), BatchError> {
        let raw = u64::from(self.header.heap_raw_length.to_native());
        let mut end = 0_u64;
        let (mut min_delta, mut max_delta) = (i32::MAX, i32::MIN);
        for (k, slot) in self.slots().iter().enumerate() {
            if u64::from(slot.position.to_native()) != end {
                return Err(BatchError::Slot(k as u32));
            }
            end += u64::from(slot.key_bytes())
                + u64::from(slot.value_bytes())
                + u64::from(slot.headers_length.to_native());
            if end > raw {
                return Err(BatchError::Slot(k as u32));
            }
            min_delta = min_delta.min(slot.timestamp_delta.to_native());
            max_delta = max_delta.max(slot.timestamp_delta.to_native());
        }
        if end != raw {
            return Err(BatchError::Lengths(self.header.length.to_native()));
        }
        let base = self.header.base_timestamp.to_native();
        let min = base.checked_add(i64::from(min_delta));
        let max = base.checked_add(i64::from(max_delta));
        if min.is_none() || max != Some(self.max_timestamp()) {
            return Err(BatchError::MaxTimestamp);
        }
        Ok(())
    }

    fn check_headers(&self, heap: &[u8]) -> Result<(), BatchError> {
        for (k, slot) in self.slots().iter().enumerate() {
            if slot.headers_length != 0 {
                let record = record_at(slot, heap).ok_or(BatchError::Slot(k as u32))?;
                record.2.check().map_err(|_| BatchError::Headers(k as u32))?;
            }
        }
        Ok(())
    }

    /// Makes the records readable, decompressing the heap into `scratch` if it is compressed.
    /// The batch must have been checked, by the broker or by [`Batch::check`]; if it was not, reading
    /// is still safe, and a record that points outside the heap reads as absent.
    ///
    /// # Errors
    /// [`BatchError::Decompress`].
    pub fn open<'b>(&self, scratch: &'b mut Vec<u8>) -> Result<OpenBatch<'b>, BatchError>
    where
        'a: 'b,
    {
        let heap = match self.compression() {
            Compression::None => self.heap(),
            codec => {
                // Table and raw length are bound to each other before the memory for it is taken.
                self.check_table()?;
                codec.decompress(self.heap(), self.heap_raw_length(), scratch)?;
                scratch.as_slice()
            }
        };
        Ok(OpenBatch { header: self.header, slots: self.slots(), heap })
    }

    /// The offset of the first record.
    pub fn base_offset(&self) -> u64 {
        self.header.base_offset.to_native()
    }

    /// The offset of the last record. No CRC covers the base offset, so a damaged one may be anything:
    /// the result stops at `u64::MAX`.
    pub fn last_offset(&self) -> u64 {
        self.base_offset().saturating_add(u64::from(self.record_count()) - 1)
    }

    /// The number of records; at least 1.
    pub fn record_count(&self) -> u32 {
        self.header.record_count.to_native()
    }

    /// The checksum that the header states.
    pub fn crc(&self) -> u32 {
        self.header.crc.to_native()
    }

    /// The greatest timestamp, milliseconds since the Unix epoch.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp.to_native()
    }

    /// How the heap is compressed.
    pub fn compression(&self) -> Compression {
        Compression::from_bits(self.header.attributes & COMPRESSION_MASK).expect("parse() refused any other")
    }

    /// Bytes of the heap once decompressed.
    pub fn heap_raw_length(&self) -> usize {
        self.header.heap_raw_length.to_native() as usize
    }

    /// The number, from 0, of the first record from number `from` on with this timestamp or a later one, and its timestamp.
    /// Records of a batch need not be in the order of their timestamps.
    pub fn first_at_or_after(&self, timestamp: i64, from: u64) -> Option<(u64, i64)> {
        let base = self.header.base_timestamp.to_native();
        let stated = |slot: &Slot| base.saturating_add(slot.timestamp_delta.to_native().into());
        let mut numbered = (0_u64..).zip(self.slots().iter().map(stated)).skip_while(|(k, _)| *k < from);
        numbered.find(|(_, stated)| *stated >= timestamp)
    }

    /// The records without a key, counted from 0.
    pub fn keyless(&self) -> impl Iterator<Item = u32> + use<'a> {
        let numbered = (0_u32..).zip(self.slots());
        numbered.filter(|(_, slot)| slot.key_length.to_native() == NULL_LENGTH).map(|(k, _)| k)
    }

    /// All bytes of the batch.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn table_end(&self) -> usize {
        BATCH_HEADER_BYTES + self.record_count() as usize * SLOT_BYTES
    }

    fn slots(&self) -> &'a [Slot] {
        Slot::table(&self.bytes[BATCH_HEADER_BYTES..self.table_end()])
    }

    fn heap(&self) -> &'a [u8] {
        &self.bytes[self.table_end()..]
    }
}

/// Writes the base offset into the batch at the start of `batch`.
///
/// # Panics
/// If `batch` is shorter than 8 bytes.
pub fn set_base_offset(batch: &mut [u8], base_offset: u64) {
    batch[0..8].copy_from_slice(&base_offset.to_le_bytes());
}

/// Gives all records the time of the append (milliseconds since the Unix epoch), which takes a new CRC: one pass over the bytes.
///
/// # Panics
/// If `batch` is not just one batch that was checked.
pub fn stamp_append_time(batch: &mut [u8], now_ms: i64) {
    let parsed = Batch::parse(batch).expect("the batch was checked");
    assert_eq!(parsed.as_bytes().len(), batch.len(), "these are the batch's bytes");
    let table = BATCH_HEADER_BYTES..parsed.table_end();
    batch[offset_of!(BatchHeader, base_timestamp)..][..8].copy_from_slice(&now_ms.to_le_bytes());
    batch[offset_of!(BatchHeader, max_timestamp)..][..8].copy_from_slice(&now_ms.to_le_bytes());
    for slot in batch[table].chunks_exact_mut(SLOT_BYTES) {
        slot[offset_of!(Slot, timestamp_delta)..][..4].fill(0);
    }
    let crc = crc32c(&batch[CRC_START..]);
    batch[offset_of!(BatchHeader, crc)..][..4].copy_from_slice(&crc.to_le_bytes());
}

/// A batch whose records can be read.
#[derive(Clone, Copy)]
pub struct OpenBatch<'a> {
    header: &'a BatchHeader,
    slots: &'a [Slot],
    heap: &'a [u8],
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: u64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The key; `None` is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers, in the producer's order.
    pub headers: Headers<'a>,
}

impl<'a> OpenBatch<'a> {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none; never so in a batch that the broker has taken.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Record `k` of the batch; `None` past the end, or if the slot points outside the heap.
    #[inline]
    pub fn get(&self, k: usize) -> Option<Record<'a>> {
        let slot = self.slots.get(k)?;
        let (key, value, headers) = record_at(slot, self.heap)?;
        Some(Record {
            offset: self.header.base_offset.to_native().wrapping_add(k as u64),
            timestamp: self
                .header
                .base_timestamp
                .to_native()
                .wrapping_add(i64::from(slot.timestamp_delta.to_native())),
            key,
            value,
            headers,
        })
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'a>> + use<'a> {
        let batch = *self;
        (0..self.slots.len()).map(move |k| batch.get(k).unwrap_or(EMPTY_RECORD))
    }
}

const EMPTY_RECORD: Record<'static> =
    Record { offset: 0, timestamp: 0, key: None, value: None, headers: Headers::EMPTY };

type RecordParts<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Headers<'a>);

#[inline]
fn record_at<'a>(slot: &Slot, heap: &'a [u8]) -> Option<RecordParts<'a>> {
    let rest = heap.get(slot.position.to_native() as usize..)?;
    let (key, rest) = rest.split_at_checked(slot.key_bytes() as usize)?;
    let (value, rest) = rest.split_at_checked(slot.value_bytes() as usize)?;
    let headers = rest.get(..slot.headers_length.to_native() as usize)?;
    Some((
        (slot.key_length != NULL_LENGTH).then_some(key),
        (slot.value_length != NULL_LENGTH).then_some(value),
        Headers::new(headers),
    ))
}

/// Batches that stand one after another in a slice, as in a fetch answer.
#[derive(Debug, Clone)]
pub struct Batches<'a>(&'a [u8]);

impl<'a> Batches<'a> {
    /// Batches at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let batch = Batch::parse(self.0);
        self.0 = match &batch {
            Ok(batch) => &self.0[batch.bytes.len()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}
