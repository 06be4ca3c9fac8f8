//! What was read of a log, as clients of the native protocol take it: batches of Ringmail as they are stored, those of Kafka
//! transcoded, without the markers of transactions and what belongs to those that were aborted.

use std::collections::HashMap;

use bytes::Bytes;
use ringmail_kafka::batch as kafka;
use ringmail_kafka::transcode::Transcoder;
use ringmail_shards::api::{Aborted, ReadData, ReadError};
use ringmail_wire::batch as ringmail;

/// Where the magic of a batch stands, in both of its forms.
const MAGIC: usize = 16;
/// The magic of Kafka's batches. The first byte of Ringmail's is another.
const KAFKA: u8 = 2;

/// Makes readable what was read from `offset` on. It may be nothing, though there are records behind it: where to read on is in
/// the data in any case. Where a batch cannot be told to a client of this protocol, what comes before it is given.
///
/// # Errors
/// As the read; and [`ReadError::Damaged`] at a batch of Kafka that cannot be transcoded.
pub(super) fn readable(result: Result<ReadData, ReadError>, offset: u64) -> Result<ReadData, ReadError> {
    let data = result?;
    if !data.kafka {
        return Ok(data);
    }
    let mut readable = Readable {
        pieces: Vec::with_capacity(data.pieces.len()),
        bytes: 0,
        from: offset,
        aborted: by_producer(&data.aborted),
        transcoder: Transcoder::default(),
    };
    let mut next_offset = data.next_offset;
    for piece in &data.pieces {
        if let Err(Untold { base, reason }) = readable.add(piece) {
            if base <= offset {
                return Err(ReadError::Damaged { offset: base, reason });
            }
            // Whoever reads on from there is told.
            next_offset = base;
            break;
        }
    }
    let Readable { pieces, bytes, .. } = readable;
    Ok(ReadData { pieces, bytes, next_offset, kafka: false, ..data })
}

/// The ranges of a producer's transactions that were aborted, in order.
type Ranges = Vec<(u64, u64)>;

fn by_producer(aborted: &[Aborted]) -> HashMap<i64, Ranges> {
    let mut ranges: HashMap<i64, Ranges> = HashMap::new();
    for aborted in aborted {
        ranges.entry(aborted.producer_id).or_default().push((aborted.first_offset, aborted.last_offset));
    }
    ranges
}

/// A batch that cannot be told to clients.
struct Untold {
    base: u64,
    reason: String,
}

struct Readable {
    pieces: Vec<Bytes>,
    bytes: usize,
    from: u64,
    aborted: HashMap<i64, Ranges>,
    transcoder: Transcoder,
}

impl Readable {
    /// Adds the batches of a piece; those of Ringmail that follow one another without a copy.
    fn add(&mut self, piece: &Bytes) -> Result<(), Untold> {
        let (mut run, mut at) = (0, 0);
        while at < piece.len() {
            let rest = &piece[at..];
            if rest.get(MAGIC) == Some(&KAFKA) {
                self.push(piece.slice(run..at));
                at += self.transcode(rest)?;
                run = at;
            } else {
                let batch = ringmail::Batch::parse(rest);
                at += batch.map_or(rest.len(), |batch| batch.as_bytes().len());
            }
        }
        self.push(piece.slice(run..at));
        Ok(())
    }

    fn push(&mut self, batches: Bytes) {
        if !batches.is_empty() {
            self.bytes += batches.len();
            self.pieces.push(batches);
        }
    }

    /// Adds the records of the batch of Kafka at the start of `bytes`, and gives the bytes that it takes there.
    fn transcode(&mut self, bytes: &[u8]) -> Result<usize, Untold> {
        let base = bytes.first_chunk().map_or(0, |base| u64::from_be_bytes(*base));
        let untold = |error: &dyn std::fmt::Display| Untold {
            base,
            reason: format!("a batch of Kafka cannot be told to clients of Ringmail's protocol: {error}"),
        };
        let batch = kafka::Batch::parse(bytes).map_err(|error| untold(&error))?;
        let length = batch.as_bytes().len();
        if self.is_aborted(&batch) {
            return Ok(length);
        }
        let mut out = Vec::new();
        self.transcoder.to_ringmail(&batch, &mut out).map_err(|error| untold(&error))?;
        // A batch of Kafka may take more offsets than it has records. What stands before the offset that was asked for would
        // have the client ask for that once more.
        let seen: usize = ringmail::Batches::new(&out)
            .map_while(Result::ok)
            .take_while(|batch| batch.last_offset() < self.from)
            .map(|batch| batch.as_bytes().len())
            .sum();
        self.push(Bytes::from(out).slice(seen..));
        Ok(length)
    }

    fn is_aborted(&self, batch: &kafka::Batch<'_>) -> bool {
        let ranges = batch.producer_id().and_then(|id| self.aborted.get(&id));
        let Some(ranges) = ranges.filter(|_| batch.is_transactional()) else { return false };
        let base = batch.base_offset() as u64;
        let after = ranges.partition_point(|(first, _)| *first <= base);
        after.checked_sub(1).is_some_and(|k| base <= ranges[k].1)
    }
}

#[cfg(test)]
mod tests {
    use ringmail_kafka::batch::{
        BatchBuilder, BatchHead, Compression, Headers, Marker, Outcome, Record, set_base_offset,
    };
    use ringmail_shards::api::LogState;

    use super::*;

    /// A batch of Kafka with records at these offsets, of `producer` in a transaction if there is one.
    fn of_kafka(producer: Option<i64>, offsets: &[i64]) -> Vec<u8> {
        let head = BatchHead {
            producer_id: producer.unwrap_or(-1),
            transactional: producer.is_some(),
            ..BatchHead::default()
        };
        let mut builder = BatchBuilder::new(head, 1 << 20, Compression::Lz4);
        for &offset in offsets {
            let record = Record { offset, timestamp: 7, key: None, value: None, headers: Headers::default() };
            builder.push(&record, std::iter::empty()).unwrap();
        }
        let mut bytes = Vec::new();
        builder.finish_into(&mut bytes);
        bytes
    }

    fn of_ringmail(offset: u64) -> Vec<u8> {
        let mut builder = ringmail::BatchBuilder::new(1 << 20, ringmail::Compression::None);
        builder.push(7, None, Some(b"value"), &[]).unwrap();
        let mut bytes = Vec::new();
        builder.finish_into(&mut bytes);
        ringmail::set_base_offset(&mut bytes, offset);
        bytes
    }

    fn marker(producer_id: i64, offset: i64) -> Vec<u8> {
        let marker = Marker { producer_id, producer_epoch: 0, coordinator_epoch: 0, outcome: Outcome::Abort };
        let mut bytes = Vec::new();
        marker.encode(offset, 0, 7, &mut bytes);
        bytes
    }

    fn data(batches: &[Vec<u8>], next_offset: u64, aborted: Vec<Aborted>) -> ReadData {
        let (log_start, high_watermark, last_stable) = (0, next_offset, next_offset);
        let state = LogState { log_start, high_watermark, last_stable, end: next_offset, bytes: 0 };
        let pieces = vec![Bytes::from(batches.concat())];
        ReadData { bytes: pieces[0].len(), pieces, next_offset, aborted, kafka: true, state }
    }

    /// The offsets of all records, of batches that are whole.
    fn offsets(data: &ReadData) -> Vec<u64> {
        let bytes = data.pieces.concat();
        assert_eq!(bytes.len(), data.bytes);
        let batches = ringmail::Batches::new(&bytes).map(Result::unwrap);
        batches.flat_map(|batch| batch.base_offset()..=batch.last_offset()).collect()
    }

    #[test]
    fn batches_of_kafka_are_transcoded_between_those_of_ringmail() {
        let batches = [of_ringmail(0), of_ringmail(1), of_kafka(None, &[2, 3, 6]), of_ringmail(7)];
        let made = readable(Ok(data(&batches, 8, Vec::new())), 0).unwrap();
        assert_eq!(offsets(&made), [0, 1, 2, 3, 6, 7]);
        assert_eq!((made.next_offset, made.kafka), (8, false));
    }

    #[test]
    fn markers_and_what_was_aborted_are_left_out() {
        let aborted =
            |producer_id, first_offset, last_offset| Aborted { producer_id, first_offset, last_offset };
        let told = vec![aborted(1, 0, 3), aborted(2, 2, 9), aborted(1, 7, 8)];
        let batches = [
            of_kafka(Some(1), &[0, 1]),
            of_kafka(Some(2), &[2]),
            marker(1, 3),
            of_kafka(Some(1), &[4]),
            of_kafka(Some(3), &[5]),
            of_ringmail(6),
            of_kafka(Some(1), &[7]),
            marker(1, 8),
            marker(2, 9),
        ];
        let made = readable(Ok(data(&batches, 10, told.clone())), 0).unwrap();
        assert_eq!(offsets(&made), [4, 5, 6]);
        let nothing = readable(Ok(data(&batches[6..], 10, told)), 7).unwrap();
        assert_eq!((offsets(&nothing), nothing.next_offset), (Vec::new(), 10), "where to read on is known");
    }

    #[test]
    fn offsets_without_records_at_the_end_of_a_batch_are_passed_over() {
        let head = BatchHead { last_offset: Some(9), ..BatchHead::default() };
        let mut builder = BatchBuilder::new(head, 1 << 20, Compression::None);
        let (key, value, headers) = (None, None, Headers::default());
        builder.push(&Record { offset: 5, timestamp: 7, key, value, headers }, headers).unwrap();
        let mut compacted = Vec::new();
        builder.finish_into(&mut compacted);
        let made = readable(Ok(data(std::slice::from_ref(&compacted), 10, Vec::new())), 5).unwrap();
        assert_eq!(offsets(&made), [5]);
        let made = readable(Ok(data(&[compacted], 10, Vec::new())), 6).unwrap();
        assert_eq!((made.bytes, made.next_offset), (0, 10));
    }

    #[test]
    fn a_batch_that_cannot_be_transcoded_is_an_error_once_it_is_the_first() {
        let mut broken = of_kafka(None, &[0]);
        let end = broken.len();
        broken[end - 8..].fill(0xff);
        set_base_offset(&mut broken, 1);
        let batches = [of_ringmail(0), broken, of_ringmail(2)];
        let made = readable(Ok(data(&batches, 3, Vec::new())), 0).unwrap();
        assert_eq!((offsets(&made), made.next_offset), (vec![0], 1));
        let error = readable(Ok(data(&batches[1..], 3, Vec::new())), 1).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { offset: 1, .. }), "{error}");
    }
}
