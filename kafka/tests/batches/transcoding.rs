//! From one protocol's batches to the other's, and back.

use proptest::prelude::*;
use ringmail_kafka::batch::{Batch, BatchHead, Compression, MAX_RECORDS_BYTES, Marker, Outcome};
use ringmail_kafka::transcode::Transcoder;
use ringmail_wire::batch as ringmail;

use crate::records::{Sent, build, compressions, sent};

/// The records of all batches, with their offsets.
fn read_ringmail(bytes: &[u8]) -> Vec<(i64, Sent)> {
    let (mut scratch, mut records) = (Vec::new(), Vec::new());
    for batch in ringmail::Batches::new(bytes) {
        let batch = batch.unwrap();
        batch.check().unwrap();
        for record in batch.open(&mut scratch).unwrap().iter() {
            let headers = record.headers.map(|header| {
                let (name, value) = header.unwrap();
                (name.to_vec(), value.map(<[u8]>::to_vec))
            });
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            let sent = Sent { gap: 0, timestamp: record.timestamp, key, value, headers: headers.collect() };
            records.push((record.offset as i64, sent));
        }
    }
    records
}

fn without_gaps(sent: &[Sent], offsets: &[i64]) -> Vec<(i64, Sent)> {
    offsets.iter().copied().zip(sent.iter().map(|s| Sent { gap: 0, ..s.clone() })).collect()
}

proptest! {
    #[test]
    fn there_and_back(sent in sent(true), first in 0..1_i64 << 60, compression in compressions()) {
        let (kafka, offsets) = build(BatchHead::default(), first, &sent, compression);
        let expected = without_gaps(&sent, &offsets);
        let mut transcoder = Transcoder::default();
        let mut out = Vec::new();
        let batches = transcoder.to_ringmail(&Batch::parse(&kafka).unwrap(), &mut out).unwrap();
        prop_assert_eq!(ringmail::Batches::new(&out).count(), batches);
        prop_assert_eq!(&read_ringmail(&out), &expected);

        // And back: as many batches as there are runs without a gap.
        let (mut read, mut scratch) = (Vec::new(), Vec::new());
        for batch in ringmail::Batches::new(&out) {
            let mut kafka = Vec::new();
            transcoder.to_kafka(&batch.unwrap(), 5, &mut kafka).unwrap();
            let batch = Batch::parse(&kafka).unwrap();
            batch.check().unwrap();
            prop_assert_eq!(batch.leader_epoch(), 5);
            let open = batch.open(&mut scratch, MAX_RECORDS_BYTES).unwrap();
            for record in open.records() {
                let record = record.unwrap();
                let (offset, sent) = &expected[read.len()];
                prop_assert!(sent.is(*offset, &record), "{:?} became {:?}", sent, record);
                read.push(record.offset);
            }
        }
        prop_assert_eq!(read, offsets);
    }
}

#[test]
fn timestamps_that_are_far_apart_and_records_that_are_missing() {
    let one = |gap, timestamp| Sent { gap, timestamp, key: None, value: None, headers: Vec::new() };
    // Over 24 days between the second and the third; an offset is missing before the last.
    let sent = [one(0, 0), one(0, 5), one(0, 1 << 40), one(1, 1 << 40)];
    let (kafka, offsets) = build(BatchHead::default(), 100, &sent, Compression::Gzip);
    let mut out = Vec::new();
    let batches = Transcoder::default().to_ringmail(&Batch::parse(&kafka).unwrap(), &mut out).unwrap();
    assert_eq!((batches, &offsets[..]), (3, &[100, 101, 102, 104][..]));
    assert_eq!(read_ringmail(&out), without_gaps(&sent, &offsets));
}

#[test]
fn the_compression_stays() {
    use ringmail::Compression as To;
    let value = Some(vec![b'x'; 1_000]);
    let sent = [Sent { gap: 0, timestamp: 0, key: None, value, headers: Vec::new() }];
    let expected = [To::None, To::Zstd, To::Lz4, To::Lz4, To::Zstd];
    for (compression, expected) in Compression::ALL.into_iter().zip(expected) {
        let (kafka, _) = build(BatchHead::default(), 0, &sent, compression);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        let mut transcoder = Transcoder::default();
        transcoder.to_ringmail(&Batch::parse(&kafka).unwrap(), &mut out).unwrap();
        let batch = ringmail::Batch::parse(&out).unwrap();
        assert_eq!(batch.compression(), expected);
        transcoder.to_kafka(&batch, 0, &mut back).unwrap();
        let name = Batch::parse(&back).unwrap().compression().name();
        assert_eq!(name, ["none", "zstd", "lz4", "lz4", "zstd"][compression as usize]);
    }
}

#[test]
fn notes_of_the_broker_are_left_out() {
    let marker = Marker { producer_id: 1, producer_epoch: 0, coordinator_epoch: 0, outcome: Outcome::Abort };
    let (mut kafka, mut out) = (Vec::new(), Vec::new());
    marker.encode(5, 0, 0, &mut kafka);
    assert_eq!(Transcoder::default().to_ringmail(&Batch::parse(&kafka).unwrap(), &mut out), Ok(0));
    assert!(out.is_empty());
}

#[test]
fn a_name_that_is_too_long_leaves_the_output_as_it_was() {
    let headers = vec![(vec![b'n'; 70_000], None)];
    let short = Sent { gap: 0, timestamp: 0, key: None, value: None, headers: Vec::new() };
    let sent = [short.clone(), Sent { gap: 1, headers, ..short }];
    let (kafka, _) = build(BatchHead::default(), 0, &sent, Compression::None);
    let mut out = b"before".to_vec();
    assert!(Transcoder::default().to_ringmail(&Batch::parse(&kafka).unwrap(), &mut out).is_err());
    assert_eq!(out, b"before");
}
