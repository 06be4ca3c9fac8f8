//! The records of a batch.

use super::layout::BATCH_HEADER_BYTES;
use super::varint::{take_i32, take_i64};
use super::{Batch, BatchError, Compression};

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch; -1 for none.
    pub timestamp: i64,
    /// The key; `None` is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers, in the producer's order.
    pub headers: Headers<'a>,
}

/// The headers of a record, checked. Iterating yields name and value; a name may come more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: i32,
}

impl<'a> Headers<'a> {
    /// Checks that there are so many in `bytes`, and nothing else.
    fn parse(bytes: &'a [u8], count: i32) -> Option<Self> {
        // Each takes two bytes at least.
        if count < 0 || count as usize > bytes.len() {
            return None;
        }
        let headers = Self { bytes, left: count };
        let mut walk = headers;
        for _ in 0..count {
            walk.take_header()?;
        }
        walk.bytes.is_empty().then_some(headers)
    }

    fn take_header(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let name = take_sized(&mut self.bytes)??;
        let value = take_sized(&mut self.bytes)?;
        self.left -= 1;
        Some((name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        Some(self.take_header().expect("the headers were checked when the record was read"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Takes a length and so many bytes; the inner `None` is null, which Kafka says with any negative length.
#[inline]
#[allow(clippy::option_option, reason = "malformed and null are different things")]
fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(take_i32(bytes)?) else { return Some(None) };
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Some(taken))
}

/// A batch whose records can be read.
#[derive(Debug, Clone, Copy)]
pub struct OpenBatch<'a> {
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    /// The time of all records, where that is the broker's.
    append_time: Option<i64>,
    count: i32,
    records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Makes the records readable, decompressing them into `scratch` if they are compressed: into `limit` bytes at most
    /// ([`super::MAX_RECORDS_BYTES`] is what any caller may allow).
    ///
    /// # Errors
    /// [`BatchError::Decompress`].
    pub fn open<'b>(&self, scratch: &'b mut Vec<u8>, limit: usize) -> Result<OpenBatch<'b>, BatchError>
    where
        'a: 'b,
    {
        let records = match self.compression() {
            Compression::None => self.records(),
            codec => {
                scratch.clear();
                codec.decompress(self.records(), limit, scratch)?;
                scratch.as_slice()
            }
        };
        Ok(OpenBatch {
            base_offset: self.base_offset(),
            last_offset_delta: self.last_offset_delta(),
            base_timestamp: self.base_timestamp(),
            append_time: self.has_append_time().then(|| self.max_timestamp()),
            count: self.record_count() as i32,
            records,
        })
    }

    /// Bytes that the records take at least, decompressed or not.
    pub fn stored_records_bytes(&self) -> usize {
        self.as_bytes().len() - BATCH_HEADER_BYTES
    }
}

impl<'a> OpenBatch<'a> {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none, as in a batch that was compacted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All records in order, each checked as it is read. After an error nothing more comes.
    pub fn records(&self) -> Records<'a> {
        Records { batch: *self, rest: self.records, next: 0, next_delta: 0 }
    }

    /// Checks all records, and that nothing follows them.
    ///
    /// # Errors
    /// [`BatchError::Record`], [`BatchError::Trailing`].
    pub fn check(&self) -> Result<(), BatchError> {
        self.records().try_for_each(|record| record.map(drop))
    }
}

/// The records of a batch. See [`OpenBatch::records`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: OpenBatch<'a>,
    rest: &'a [u8],
    next: i32,
    /// The least offset, from the batch's first, that the next record may have.
    next_delta: i64,
}

impl<'a> Records<'a> {
    fn take_record(&mut self) -> Option<Record<'a>> {
        let mut record = take_sized(&mut self.rest)??;
        // Attributes of records mean nothing yet.
        record = record.split_first()?.1;
        let timestamp = self.batch.base_timestamp.checked_add(take_i64(&mut record)?)?;
        let delta = take_i32(&mut record)?;
        if i64::from(delta) < self.next_delta || delta > self.batch.last_offset_delta {
            return None;
        }
        self.next_delta = i64::from(delta) + 1;
        let key = take_sized(&mut record)?;
        let value = take_sized(&mut record)?;
        let count = take_i32(&mut record)?;
        Some(Record {
            offset: self.batch.base_offset.saturating_add(delta.into()),
            timestamp: self.batch.append_time.unwrap_or(timestamp),
            key,
            value,
            headers: Headers::parse(record, count)?,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.batch.count {
            let trailing = std::mem::take(&mut self.rest).len();
            return (trailing > 0).then_some(Err(BatchError::Trailing(trailing)));
        }
        let record = self.take_record();
        if record.is_none() {
            let error = BatchError::Record(self.next);
            (self.rest, self.next) = (&[], self.batch.count);
            return Some(Err(error));
        }
        self.next += 1;
        record.map(Ok)
    }
}
