//! From batches of Ringmail to those of Kafka, and back: for readers of the one protocol, what came by the other.
//!
//! Offsets, timestamps, keys, values, headers with their order and repetitions, and the compression stay as they are. A
//! batch of Ringmail has no gaps between its offsets, so a compacted batch of Kafka becomes several.

use ringmail_wire::batch as ringmail;

use crate::batch::{
    Batch, BatchBuilder, BatchError, BatchHead, Compression, Headers, MAX_RECORDS_BYTES, OpenBatch,
    PushError, Record,
};

/// Why a batch could not be transcoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeError {
    /// The batch of Kafka is damaged.
    #[error(transparent)]
    Kafka(#[from] BatchError),
    /// The batch of Ringmail is damaged.
    #[error(transparent)]
    Ringmail(#[from] ringmail::BatchError),
    /// A record is larger than a batch may be.
    #[error("the record at offset {0} is too large for a batch of the other protocol")]
    TooLarge(i64),
    /// The headers of a record cannot be written in the other form.
    #[error("the headers of the record at offset {0}: {1}")]
    Headers(i64, ringmail::HeaderError),
    /// No partition has such offsets or timestamps.
    #[error("the record at offset {0} has an offset or timestamp that the other protocol cannot say")]
    Range(i64),
}

/// Transcodes batches, one after another; keeps its buffers.
#[derive(Debug, Default)]
pub struct Transcoder {
    scratch: Vec<u8>,
    headers: ringmail::HeadersBuf,
}

impl Transcoder {
    /// Appends a batch of Ringmail to `out` as one of Kafka.
    ///
    /// # Errors
    /// See [`TranscodeError`]; `out` is as it was then.
    pub fn to_kafka(
        &mut self,
        batch: &ringmail::Batch<'_>,
        leader_epoch: i32,
        out: &mut Vec<u8>,
    ) -> Result<(), TranscodeError> {
        let compression = match batch.compression() {
            ringmail::Compression::None => Compression::None,
            ringmail::Compression::Lz4 => Compression::Lz4,
            ringmail::Compression::Zstd => Compression::Zstd,
        };
        let open = batch.open(&mut self.scratch)?;
        let head = BatchHead { leader_epoch, ..BatchHead::default() };
        let mut builder = BatchBuilder::new(head, MAX_RECORDS_BYTES, compression);
        for (k, record) in open.iter().enumerate() {
            let offset = i64::try_from(record.offset).map_err(|_| TranscodeError::Range(i64::MAX))?;
            record
                .headers
                .check()
                .map_err(|_| TranscodeError::Ringmail(ringmail::BatchError::Headers(k as u32)))?;
            let plain = Record {
                offset,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
                headers: Headers::default(),
            };
            // What check() has passed yields no errors.
            builder.push(&plain, record.headers.flatten()).map_err(|error| match error {
                PushError::Full | PushError::TooLarge(..) => TranscodeError::TooLarge(offset),
                PushError::Offset(_) | PushError::Timestamp(_) => TranscodeError::Range(offset),
            })?;
        }
        builder.finish_into(out);
        Ok(())
    }

    /// Appends a batch of Kafka to `out` as batches of Ringmail, and says how many. There are none for a control batch, and
    /// more than one where offsets are missing, timestamps far apart, or the records decompress to much.
    ///
    /// # Errors
    /// See [`TranscodeError`]; `out` is as it was then.
    pub fn to_ringmail(&mut self, batch: &Batch<'_>, out: &mut Vec<u8>) -> Result<usize, TranscodeError> {
        if batch.is_control() {
            return Ok(0);
        }
        let start = out.len();
        let open = batch.open(&mut self.scratch, MAX_RECORDS_BYTES)?;
        let result = write_ringmail(&open, batch.compression(), &mut self.headers, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// The compression of Ringmail for one of Kafka: the same where there is one, else the one that is as fast.
fn ringmail_compression(compression: Compression) -> ringmail::Compression {
    match compression {
        Compression::None => ringmail::Compression::None,
        Compression::Snappy | Compression::Lz4 => ringmail::Compression::Lz4,
        Compression::Gzip | Compression::Zstd => ringmail::Compression::Zstd,
    }
}

fn write_ringmail(
    open: &OpenBatch<'_>,
    compression: Compression,
    headers: &mut ringmail::HeadersBuf,
    out: &mut Vec<u8>,
) -> Result<usize, TranscodeError> {
    let mut run = Run::new(ringmail_compression(compression));
    for record in open.records() {
        let record = record?;
        headers.clear();
        for (name, value) in record.headers {
            headers.push(name, value).map_err(|error| TranscodeError::Headers(record.offset, error))?;
        }
        run.push(&record, headers.as_bytes(), out)?;
    }
    run.finish(out);
    Ok(run.finished)
}

/// Batches of Ringmail being written: records without a gap between them.
struct Run {
    builder: ringmail::BatchBuilder,
    base: u64,
    next: u64,
    finished: usize,
}

impl Run {
    fn new(compression: ringmail::Compression) -> Self {
        let builder = ringmail::BatchBuilder::new(MAX_RECORDS_BYTES, compression);
        Self { builder, base: 0, next: 0, finished: 0 }
    }

    fn push(&mut self, record: &Record<'_>, headers: &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        let offset = u64::try_from(record.offset).map_err(|_| TranscodeError::Range(record.offset))?;
        if offset != self.next {
            self.finish(out);
        }
        for again in [true, false] {
            if self.builder.is_empty() {
                self.base = offset;
            }
            match self.builder.push(record.timestamp, record.key, record.value, headers) {
                Ok(()) => break,
                Err(ringmail::PushError::Full | ringmail::PushError::TimestampSpan) if again => {
                    self.finish(out)
                }
                Err(_) => return Err(TranscodeError::TooLarge(record.offset)),
            }
        }
        self.next = offset + 1;
        Ok(())
    }

    /// Ends the batch that is being written, if there is one.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.builder.is_empty() {
            return;
        }
        let start = out.len();
        self.builder.finish_into(out);
        ringmail::set_base_offset(&mut out[start..], self.base);
        self.finished += 1;
    }
}
