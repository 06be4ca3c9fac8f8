//! Batches and records as a consumer gets them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ringmail_wire::batch::{Batch, BatchBuilder, BatchError, Compression, Headers, set_base_offset};

/// A batch of one partition. It owns its bytes, which mostly are those that were received; records are read
/// in place.
#[derive(Debug, Clone)]
pub struct ConsumedBatch {
    topic: Arc<str>,
    partition: u32,
    /// One batch whose heap is not compressed.
    bytes: Bytes,
    /// The records of it that were asked for.
    records: Range<usize>,
    base_offset: u64,
    /// What the wire format's reader asks for; stays empty, the heap being uncompressed.
    scratch: Vec<u8>,
}

/// A record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumedRecord<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: u32,
    /// The record's place in the partition.
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

impl ConsumedBatch {
    /// The records of `batch` from `from` up to and without `until`.
    pub(super) fn new(
        topic: Arc<str>,
        partition: u32,
        bytes: Bytes,
        from: u64,
        until: u64,
    ) -> Result<Self, BatchError> {
        let batch = Batch::parse(&bytes)?;
        let base_offset = batch.base_offset();
        let count = batch.record_count() as usize;
        let place = |offset: u64| (offset.saturating_sub(base_offset) as usize).min(count);
        let records = place(from)..place(until);
        let bytes = match batch.compression() {
            Compression::None => bytes,
            _ => unpack(batch)?,
        };
        Ok(Self { topic, partition, bytes, records, base_offset, scratch: Vec::new() })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// How many records [`Self::records`] yields.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The offset of the first record that [`Self::records`] yields.
    pub fn first_offset(&self) -> u64 {
        self.base_offset + self.records.start as u64
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + self.records.end as u64
    }

    /// Bytes of the batch as it is held here.
    pub fn batch_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records, in order.
    pub fn records(&mut self) -> impl ExactSizeIterator<Item = ConsumedRecord<'_>> {
        self.read(self.records.clone())
    }

    /// The first record, which is left out from now on.
    pub(super) fn take_first(&mut self) -> Option<ConsumedRecord<'_>> {
        let place = self.records.next()?;
        self.read(place..place + 1).next()
    }

    fn read(&mut self, places: Range<usize>) -> impl ExactSizeIterator<Item = ConsumedRecord<'_>> {
        let (topic, partition, base_offset) = (&*self.topic, self.partition, self.base_offset);
        let open = Batch::parse(&self.bytes).and_then(|batch| batch.open(&mut self.scratch));
        let open = open.expect("new() has read the header of a batch that is not compressed");
        places.map(move |place| {
            // A slot that points outside the batch, which only a batch that was not checked can have, reads
            // as a record without key and value.
            let record = open.get(place);
            ConsumedRecord {
                topic,
                partition,
                offset: base_offset + place as u64,
                timestamp: record.map_or(0, |r| r.timestamp),
                key: record.and_then(|r| r.key),
                value: record.and_then(|r| r.value),
                headers: record.map_or(Headers::EMPTY, |r| r.headers),
            }
        })
    }
}

/// The same batch without compression.
fn unpack(batch: Batch<'_>) -> Result<Bytes, BatchError> {
    let mut scratch = Vec::new();
    let open = batch.open(&mut scratch)?;
    let mut builder = BatchBuilder::new(usize::MAX, Compression::None);
    for (place, record) in open.iter().enumerate() {
        builder
            .push(record.timestamp, record.key, record.value, record.headers.as_bytes())
            .map_err(|_| BatchError::Slot(place as u32))?;
    }
    let mut bytes = Vec::with_capacity(builder.len_bytes());
    builder.finish_into(&mut bytes);
    set_base_offset(&mut bytes, batch.base_offset());
    Ok(bytes.into())
}
