//! What was read of a log, as Kafka's clients take it: batches of Kafka as they are stored, those of Ringmail transcoded.

use bytes::Bytes;
use ringmail_kafka::batch::Batch;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::transcode::{TranscodeError, Transcoder};
use ringmail_wire::batch as ringmail;

use super::cluster::LEADER_EPOCH;

/// Where the magic of a batch stands, in both of its forms.
const MAGIC: usize = 16;

/// The magic of Kafka's batches. The first byte of Ringmail's is another.
const KAFKA: u8 = 2;

/// Pieces for an answer; keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Bytes>,
    transcoder: Transcoder,
}

impl Pieces {
    /// Takes what was read of one log. Where a batch cannot be told to a client of Kafka, what comes before it is taken.
    ///
    /// # Errors
    /// If that is nothing: what the client is told.
    pub(super) fn take(&mut self, read: Vec<Bytes>) -> Result<(), ErrorCode> {
        self.pieces.clear();
        for piece in read {
            if let Err(error) = self.add(&piece) {
                tracing::warn!(%error, "a batch cannot be read by a client of Kafka");
                return if self.pieces.is_empty() { Err(ErrorCode::CorruptMessage) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Gives what was taken.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Bytes> + '_ {
        self.pieces.drain(..)
    }

    /// Adds whole batches: those of Kafka that follow one another in one piece, without a copy.
    fn add(&mut self, piece: &Bytes) -> Result<(), TranscodeError> {
        let (mut run, mut at) = (0, 0);
        while at < piece.len() {
            let rest = &piece[at..];
            if rest.get(MAGIC) == Some(&KAFKA) {
                at += Batch::parse(rest)?.as_bytes().len();
                continue;
            }
            self.add_run(piece, run, at);
            let batch = ringmail::Batch::parse(rest)?;
            let mut transcoded = Vec::new();
            self.transcoder.to_kafka(&batch, LEADER_EPOCH, &mut transcoded)?;
            self.pieces.push(transcoded.into());
            at += batch.as_bytes().len();
            run = at;
        }
        self.add_run(piece, run, at);
        Ok(())
    }

    fn add_run(&mut self, piece: &Bytes, from: usize, to: usize) {
        if from < to {
            self.pieces.push(piece.slice(from..to));
        }
    }
}

#[cfg(test)]
mod tests {
    use ringmail_kafka::batch::{
        BatchBuilder, BatchHead, Batches, Compression, Headers, Record, set_base_offset,
    };

    use super::*;

    /// A batch of Kafka with one record at `offset`.
    fn of_kafka(offset: i64, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchHead::default(), 1 << 20, Compression::None);
        let record =
            Record { offset: 0, timestamp: 7, key: None, value: Some(value), headers: Headers::default() };
        builder.push(&record, std::iter::empty()).unwrap();
        let mut bytes = Vec::new();
        builder.finish_into(&mut bytes);
        set_base_offset(&mut bytes, offset);
        bytes
    }

    /// A batch of Ringmail with one record at `offset`.
    fn of_ringmail(offset: u64, value: &[u8]) -> Vec<u8> {
        let mut builder = ringmail::BatchBuilder::new(1 << 20, ringmail::Compression::None);
        builder.push(7, None, Some(value), &[]).unwrap();
        let mut bytes = Vec::new();
        builder.finish_into(&mut bytes);
        ringmail::set_base_offset(&mut bytes, offset);
        bytes
    }

    #[test]
    fn batches_of_kafka_are_not_copied_and_those_of_ringmail_are_transcoded() {
        let batches =
            [of_kafka(0, b"a"), of_kafka(1, b"b"), of_ringmail(2, b"c"), of_kafka(3, b"d")].concat();
        let read = Bytes::from(batches);
        let mut pieces = Pieces::default();
        pieces.take(vec![read.clone()]).unwrap();
        let taken: Vec<_> = pieces.drain().collect();
        assert_eq!(taken.len(), 3);
        assert_eq!(taken[0].as_ptr(), read.as_ptr());
        let joined = taken.concat();
        let mut seen = Vec::new();
        for batch in Batches::new(&joined) {
            let batch = batch.unwrap();
            batch.check().unwrap();
            let mut scratch = Vec::new();
            let open = batch.open(&mut scratch, 1 << 20).unwrap();
            seen.extend(open.records().map(|record| {
                let record = record.unwrap();
                (record.offset, record.value.map(<[u8]>::to_vec))
            }));
        }
        let expected: Vec<_> =
            (0..).zip([b"a", b"b", b"c", b"d"]).map(|(k, v)| (k, Some(v.to_vec()))).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_comes_before_a_batch_that_cannot_be_told_is_given() {
        let mut pieces = Pieces::default();
        let damaged = vec![0x52; 200];
        assert_eq!(pieces.take(vec![Bytes::from(damaged.clone())]), Err(ErrorCode::CorruptMessage));
        let good = of_kafka(0, b"a");
        pieces.take(vec![Bytes::from(good.clone()), Bytes::from(damaged)]).unwrap();
        assert_eq!(pieces.drain().collect::<Vec<_>>(), [Bytes::from(good)]);
    }
}
