//! Fetch, and the offsets to fetch from.

use super::LogId;
use super::codec::{DecodeError, Message, Reader, Writer};

/// One partition of a fetch: `log: u64, offset: u64, max_bytes: u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition's log.
    pub log: LogId,
    /// Where to begin; a batch that holds this offset comes whole.
    pub offset: u64,
    /// Bytes of batches at most, but always one batch.
    pub max_bytes: u32,
}

/// `max_wait_ms: u32, min_bytes: u32, max_bytes: u32, partitions: [FetchPartition]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// How long to wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: u32,
    /// Answer as soon as there is so much; 0 answers at once.
    pub min_bytes: u32,
    /// Bytes of batches at most in the answer, but always one batch.
    pub max_bytes: u32,
    /// What to read, in the order of preference.
    pub partitions: Vec<FetchPartition>,
}

impl Message<'_> for FetchRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.max_wait_ms);
        w.u32(self.min_bytes);
        w.u32(self.max_bytes);
        w.list(&self.partitions, |w, p| {
            w.u64(p.log);
            w.u64(p.offset);
            w.u32(p.max_bytes);
        });
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            max_wait_ms: r.u32("max_wait_ms")?,
            min_bytes: r.u32("min_bytes")?,
            max_bytes: r.u32("max_bytes")?,
            partitions: r.list("partitions", |r| {
                Ok(FetchPartition {
                    log: r.u64("log")?,
                    offset: r.u64("offset")?,
                    max_bytes: r.u32("max_bytes")?,
                })
            })?,
        })
    }
}

/// What stands before a partition's batches in a fetch answer:
/// `log: u64, code: u16, high_watermark: u64, log_start: u64, bytes: u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedPartitionHeader {
    /// The partition's log.
    pub log: LogId,
    /// 0, or the number of an [`super::ErrorCode`].
    pub code: u16,
    /// The offset after the last one that can be read.
    pub high_watermark: u64,
    /// The first offset that can be read.
    pub log_start: u64,
    /// Bytes of the batches that follow.
    pub bytes: u32,
}

impl FetchedPartitionHeader {
    /// Bytes of this header.
    pub const BYTES: usize = 30;

    /// Appends it.
    pub fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.log);
        w.u16(self.code);
        w.u64(self.high_watermark);
        w.u64(self.log_start);
        w.u32(self.bytes);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            log: r.u64("log")?,
            code: r.u16("code")?,
            high_watermark: r.u64("high_watermark")?,
            log_start: r.u64("log_start")?,
            bytes: r.u32("bytes")?,
        })
    }
}

/// One partition of a fetch answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedPartition<'a> {
    /// What stands before the batches.
    pub header: FetchedPartitionHeader,
    /// Whole batches, one after another; for [`crate::batch::Batches`].
    pub batches: &'a [u8],
}

/// `partitions: [FetchedPartitionHeader, batches]`, in the order of the request; those without anything
/// to say are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse<'a> {
    /// The partitions with batches or errors.
    pub partitions: Vec<FetchedPartition<'a>>,
}

impl<'a> Message<'a> for FetchResponse<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.partitions, |w, p| {
            p.header.encode(w);
            w.bytes(p.batches);
        });
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let partitions = r.list("partitions", |r| {
            let header = FetchedPartitionHeader::decode(r)?;
            Ok(FetchedPartition { header, batches: r.bytes("batches", header.bytes as usize)? })
        })?;
        Ok(Self { partitions })
    }
}

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The first that can be read.
    First,
    /// The one after the last that can be read.
    Last,
    /// The first of a record with this timestamp (milliseconds since the Unix epoch) or a later one; the
    /// last offset if there is none.
    Timestamp(i64),
}

const FIRST: u8 = 0;
const LAST: u8 = 1;
const TIMESTAMP: u8 = 2;

/// One question: `log: u64, kind: u8 (0 first, 1 last, 2 by time), timestamp: i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOffsetsQuery {
    /// The partition's log.
    pub log: LogId,
    /// What is asked.
    pub query: OffsetQuery,
}

/// `queries: [ListOffsetsQuery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOffsetsRequest {
    /// The questions.
    pub queries: Vec<ListOffsetsQuery>,
}

impl Message<'_> for ListOffsetsRequest {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.queries, |w, q| {
            let (kind, timestamp) = match q.query {
                OffsetQuery::First => (FIRST, 0),
                OffsetQuery::Last => (LAST, 0),
                OffsetQuery::Timestamp(t) => (TIMESTAMP, t),
            };
            w.u64(q.log);
            w.u8(kind);
            w.i64(timestamp);
        });
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let queries = r.list("queries", |r| {
            let log = r.u64("log")?;
            let kind = r.u8("kind")?;
            let timestamp = r.i64("timestamp")?;
            let query = match kind {
                FIRST => OffsetQuery::First,
                LAST => OffsetQuery::Last,
                TIMESTAMP => OffsetQuery::Timestamp(timestamp),
                n => return Err(DecodeError::Value("kind", n.into())),
            };
            Ok(ListOffsetsQuery { log, query })
        })?;
        Ok(Self { queries })
    }
}

/// One answer: `log: u64, code: u16, offset: u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The partition's log.
    pub log: LogId,
    /// 0, or the number of an [`super::ErrorCode`].
    pub code: u16,
    /// The offset.
    pub offset: u64,
}

/// `offsets: [ListedOffset]`, in the order of the questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOffsetsResponse {
    /// The answers.
    pub offsets: Vec<ListedOffset>,
}

impl Message<'_> for ListOffsetsResponse {
    fn encode(&self, w: &mut Writer<'_>) {
        w.list(&self.offsets, |w, o| {
            w.u64(o.log);
            w.u16(o.code);
            w.u64(o.offset);
        });
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offsets = r.list("offsets", |r| {
            Ok(ListedOffset { log: r.u64("log")?, code: r.u16("code")?, offset: r.u64("offset")? })
        })?;
        Ok(Self { offsets })
    }
}
