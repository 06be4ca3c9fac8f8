//! Markers: how a transaction ended, as readers find it among the records.

use super::{Batch, BatchBuilder, BatchError, BatchHead, Compression, Headers, Record};

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum Outcome {
    /// Its records are not for readers of committed records.
    Abort = 0,
    /// Its records are.
    Commit = 1,
}

/// The end of a transaction in one partition: a control batch of one record, which takes an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The epoch of the transaction's coordinator.
    pub coordinator_epoch: i32,
    /// How it ended.
    pub outcome: Outcome,
}

const VERSION: i16 = 0;
/// Bytes of the largest marker.
const MARKER_BYTES: usize = 128;

impl Marker {
    /// Appends the batch, with the time of the coordinator in milliseconds since the Unix epoch.
    pub fn encode(&self, base_offset: i64, leader_epoch: i32, now_ms: i64, out: &mut Vec<u8>) {
        let head = BatchHead {
            leader_epoch,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            transactional: true,
            control: true,
            ..BatchHead::default()
        };
        let key = [VERSION.to_be_bytes(), (self.outcome as i16).to_be_bytes()].concat();
        let value = [&VERSION.to_be_bytes()[..], &self.coordinator_epoch.to_be_bytes()].concat();
        let record = Record {
            offset: base_offset,
            timestamp: now_ms,
            key: Some(&key),
            value: Some(&value),
            headers: Headers::default(),
        };
        let mut builder = BatchBuilder::new(head, MARKER_BYTES, Compression::None);
        builder.push(&record, std::iter::empty()).expect("a marker is far below its limit");
        builder.finish_into(out);
    }

    /// The marker in a control batch; `None` if it is a note of another kind.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn decode(batch: &Batch<'_>) -> Result<Option<Self>, BatchError> {
        let (true, Some(producer_id)) = (batch.is_control(), batch.producer_id()) else { return Ok(None) };
        let mut scratch = Vec::new();
        let open = batch.open(&mut scratch, MARKER_BYTES)?;
        let Some(record) = open.records().next().transpose()? else { return Ok(None) };
        let outcome = match record.key {
            // After the version, which only ever adds fields behind these.
            Some([_, _, 0, 0, ..]) => Outcome::Abort,
            Some([_, _, 0, 1, ..]) => Outcome::Commit,
            _ => return Ok(None),
        };
        let Some([_, _, a, b, c, d, ..]) = record.value else { return Err(BatchError::Record(0)) };
        Ok(Some(Self {
            producer_id,
            producer_epoch: batch.producer_epoch(),
            coordinator_epoch: i32::from_be_bytes([*a, *b, *c, *d]),
            outcome,
        }))
    }
}
