//! Reading the header of a batch in place.

use ringmail_wire::crc::crc32c;

use super::layout::*;
use super::{Compression, DecompressError};
use crate::error::ErrorCode;

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
    /// The length cannot hold the header.
    #[error("the batch states a length of {0} bytes")]
    Length(i32),
    /// A message set of Kafka before 0.11, or nothing of Kafka's.
    #[error(
        "the batch is of message format {0}; only format 2 is taken: use a client of Kafka 0.11 or later"
    )]
    Magic(u8),
    /// The bytes are not those that were sent.
    #[error("the batch's CRC-32C is {found:#010x}, its header says {stated:#010x}")]
    Crc {
        /// Computed.
        found: u32,
        /// In the header.
        stated: u32,
    },
    /// There is no such compression.
    #[error("the batch has the unknown compression {0}")]
    Compression(u8),
    /// Record count and last offset do not fit each other.
    #[error("the batch states {count} records and a last offset delta of {last_offset_delta}")]
    Count {
        /// The records it states.
        count: i32,
        /// Its last offset, from its first.
        last_offset_delta: i32,
    },
    /// The records do not decompress.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// A record does not have the form of one.
    #[error("record {0} of the batch is malformed")]
    Record(i32),
    /// Bytes follow the last record.
    #[error("{0} bytes follow the last record of the batch")]
    Trailing(usize),
    /// A client has sent something that only a broker may write, or that Produce does not allow.
    #[error("{0}")]
    Produced(&'static str),
    /// A client has sent the broker's timestamp type.
    #[error("the batch claims the time of the broker, which clients may not")]
    TimestampType,
    /// The version of Produce does not have this compression yet.
    #[error("zstd is taken in Produce 7 and later")]
    ZstdTooEarly,
}

impl BatchError {
    /// What a producer is answered.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::Length(_) | Self::Crc { .. } => ErrorCode::CorruptMessage,
            Self::Compression(_) | Self::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            Self::TimestampType => ErrorCode::InvalidTimestamp,
            Self::Decompress(DecompressError::TooLarge(_)) => ErrorCode::MessageTooLarge,
            Self::Decompress(DecompressError::Malformed(_)) => ErrorCode::CorruptMessage,
            Self::Magic(_) | Self::Count { .. } | Self::Record(_) | Self::Trailing(_) | Self::Produced(_) => {
                ErrorCode::InvalidRecord
            }
        }
    }
}

/// A batch in a slice. [`Batch::parse`] looks at the form of its header alone; [`Batch::check`] at its checksum, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
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
    /// The batch at the start of `bytes`; what follows it is left out. A batch that was compacted may have fewer records
    /// than offsets, or none.
    ///
    /// # Errors
    /// See [`BatchError`].
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let short = |need| BatchError::Truncated { have: bytes.len(), need };
        // Message sets are recognised though they may be shorter than a header.
        let magic = *bytes.get(MAGIC).ok_or(short(BATCH_HEADER_BYTES))?;
        if magic != MAGIC_V2 {
            return Err(BatchError::Magic(magic));
        }
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(short(BATCH_HEADER_BYTES));
        }
        let stated = field!(bytes, LENGTH, i32);
        let length = usize::try_from(stated).map_err(|_| BatchError::Length(stated))? + LENGTH_START;
        if length < BATCH_HEADER_BYTES {
            return Err(BatchError::Length(stated));
        }
        let batch = Self { bytes: bytes.get(..length).ok_or(short(length))? };
        let compression = (batch.attributes() & COMPRESSION_MASK) as u8;
        Compression::from_bits(compression).ok_or(BatchError::Compression(compression))?;
        let (count, last_offset_delta) = (batch.count(), batch.last_offset_delta());
        if count < 0 || last_offset_delta < 0 || count.saturating_sub(1) > last_offset_delta {
            return Err(BatchError::Count { count, last_offset_delta });
        }
        Ok(batch)
    }

    /// Checks the CRC: one pass over the bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`].
    #[inline]
    pub fn check(&self) -> Result<(), BatchError> {
        let (found, stated) = (crc32c(&self.bytes[CRC_START..]), self.crc());
        if found == stated { Ok(()) } else { Err(BatchError::Crc { found, stated }) }
    }

    /// The offset of the first record, or of the first there was.
    #[inline]
    pub fn base_offset(&self) -> i64 {
        field!(self.bytes, BASE_OFFSET, i64)
    }

    /// The offset of the last record, or of the last there was. No CRC covers the base offset, so a damaged one may be
    /// anything: the result stops at `i64::MAX`.
    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(self.last_offset_delta().into())
    }

    /// The last offset, from the first.
    #[inline]
    pub fn last_offset_delta(&self) -> i32 {
        field!(self.bytes, LAST_OFFSET_DELTA, i32)
    }

    /// How many offsets it takes; at least 1.
    #[inline]
    pub fn offset_count(&self) -> u32 {
        self.last_offset_delta() as u32 + 1
    }

    /// How many records it has.
    #[inline]
    pub fn record_count(&self) -> u32 {
        self.count() as u32
    }

    fn count(&self) -> i32 {
        field!(self.bytes, RECORD_COUNT, i32)
    }

    /// The checksum that the header states.
    #[inline]
    pub fn crc(&self) -> u32 {
        field!(self.bytes, CRC, u32)
    }

    /// The epoch of the leader that wrote it.
    pub fn leader_epoch(&self) -> i32 {
        field!(self.bytes, LEADER_EPOCH, i32)
    }

    #[inline]
    fn attributes(&self) -> i16 {
        field!(self.bytes, ATTRIBUTES, i16)
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        let bits = (self.attributes() & COMPRESSION_MASK) as u8;
        Compression::from_bits(bits).expect("parse() refused any other")
    }

    /// Whether all records have the time at which the broker took the batch.
    pub fn has_append_time(&self) -> bool {
        self.attributes() & APPEND_TIME != 0
    }

    /// Whether it belongs to a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    /// Whether it is a broker's note, such as [`super::Marker`], and not for consumers.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    /// The time from which on its tombstones, or its marker, may go; milliseconds since the Unix epoch.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes() & DELETE_HORIZON != 0).then(|| self.base_timestamp())
    }

    /// What the timestamps of the records are counted from, milliseconds since the Unix epoch.
    pub fn base_timestamp(&self) -> i64 {
        field!(self.bytes, BASE_TIMESTAMP, i64)
    }

    /// The greatest timestamp, milliseconds since the Unix epoch; -1 for none.
    #[inline]
    pub fn max_timestamp(&self) -> i64 {
        field!(self.bytes, MAX_TIMESTAMP, i64)
    }

    /// The producer, if it is an idempotent or transactional one.
    #[inline]
    pub fn producer_id(&self) -> Option<i64> {
        Some(field!(self.bytes, PRODUCER_ID, i64)).filter(|id| *id >= 0)
    }

    /// The producer's epoch.
    #[inline]
    pub fn producer_epoch(&self) -> i16 {
        field!(self.bytes, PRODUCER_EPOCH, i16)
    }

    /// The sequence number of the first record; -1 for none.
    #[inline]
    pub fn base_sequence(&self) -> i32 {
        field!(self.bytes, BASE_SEQUENCE, i32)
    }

    /// The sequence number of the last record; -1 for none. After `i32::MAX` comes 0.
    #[inline]
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            base if base < 0 => -1,
            base => base.wrapping_add(self.last_offset_delta()) & i32::MAX,
        }
    }

    /// The records as they are stored.
    pub(super) fn records(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// All bytes of the batch.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Batches that stand one after another in a slice, as in an answer to Fetch.
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
