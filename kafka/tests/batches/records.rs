//! What is built reads back, in every compression.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use ringmail_kafka::batch::{
    Batch, BatchBuilder, BatchHead, Batches, Compression, Headers, MAX_RECORDS_BYTES, Marker, Outcome,
    PushError, Record, set_base_offset, set_leader_epoch, stamp_append_time,
};

/// A record that owns what it has. Its offset is so many after the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub gap: u16,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Sent {
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> + Clone {
        self.headers.iter().map(|(name, value)| (&name[..], value.as_deref()))
    }

    pub fn record(&self, offset: i64) -> Record<'_> {
        Record {
            offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::default(),
        }
    }

    pub fn is(&self, offset: i64, record: &Record<'_>) -> bool {
        let plain = Record { headers: Headers::default(), ..*record };
        plain == self.record(offset) && record.headers.eq(self.headers())
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(Just(b'x'), 0..300)]
}

/// Records; `gaps` says whether offsets may be missing between them.
pub fn sent(gaps: bool) -> impl Strategy<Value = Vec<Sent>> {
    // Few names, so that some come more than once.
    let header = (vec(b'a'..=b'b', 0..2), option::of(vec(any::<u8>(), 0..10)));
    let gap = if gaps { prop_oneof![Just(0), 0..5_u16, any::<u16>()].boxed() } else { Just(0).boxed() };
    let timestamp =
        prop_oneof![1_700_000_000_000..1_700_000_100_000_i64, Just(-1), any::<i32>().prop_map(i64::from)];
    let one = (gap, timestamp, option::of(bytes()), option::of(bytes()), vec(header, 0..4));
    let one =
        one.prop_map(|(gap, timestamp, key, value, headers)| Sent { gap, timestamp, key, value, headers });
    vec(one, 1..30)
}

pub fn compressions() -> impl Strategy<Value = Compression> {
    proptest::sample::select(&Compression::ALL)
}

/// The batch, and the offset of each record.
pub fn build(head: BatchHead, first: i64, sent: &[Sent], compression: Compression) -> (Vec<u8>, Vec<i64>) {
    let mut builder = BatchBuilder::new(head, MAX_RECORDS_BYTES, compression);
    let (mut next, mut offsets) = (first, Vec::new());
    for sent in sent {
        let offset = next + i64::from(sent.gap);
        builder.push(&sent.record(offset), sent.headers()).unwrap();
        offsets.push(offset);
        next = offset + 1;
    }
    let mut out = Vec::new();
    builder.finish_into(&mut out);
    (out, offsets)
}

proptest! {
    #[test]
    fn what_is_built_reads_back(sent in sent(true), first in 0..1_i64 << 60, compression in compressions()) {
        let head = BatchHead { leader_epoch: 3, producer_id: 9, producer_epoch: 1, base_sequence: 7, ..BatchHead::default() };
        let (bytes, offsets) = build(head, first, &sent, compression);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        prop_assert_eq!(batch.as_bytes().len(), bytes.len());
        prop_assert_eq!((batch.base_offset(), batch.last_offset()), (offsets[0], offsets[offsets.len() - 1]));
        prop_assert_eq!(batch.record_count() as usize, sent.len());
        prop_assert_eq!(batch.max_timestamp(), sent.iter().map(|s| s.timestamp).max().unwrap().max(-1));
        prop_assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (Some(9), 1, 7));
        prop_assert_eq!((batch.leader_epoch(), batch.compression()), (3, compression));
        let mut scratch = Vec::new();
        let open = batch.open(&mut scratch, MAX_RECORDS_BYTES).unwrap();
        open.check().unwrap();
        let read: Vec<_> = open.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), sent.len());
        for ((sent, offset), read) in sent.iter().zip(&offsets).zip(&read) {
            prop_assert!(sent.is(*offset, read), "{:?} became {:?}", sent, read);
        }
    }

    /// What the broker writes leaves the CRC right, or makes it right.
    #[test]
    fn patches(sent in sent(false), base in 0..1_i64 << 60, epoch: i32, now in 0..1_i64 << 50, compression in compressions()) {
        let (mut bytes, _) = build(BatchHead::default(), 0, &sent, compression);
        set_base_offset(&mut bytes, base);
        set_leader_epoch(&mut bytes, epoch);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        prop_assert_eq!((batch.base_offset(), batch.leader_epoch(), batch.has_append_time()), (base, epoch, false));
        let crc = batch.crc();
        stamp_append_time(&mut bytes, now);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        prop_assert_ne!(batch.crc(), crc);
        prop_assert_eq!((batch.max_timestamp(), batch.has_append_time()), (now, true));
        let mut scratch = Vec::new();
        let open = batch.open(&mut scratch, MAX_RECORDS_BYTES).unwrap();
        for (k, record) in open.records().enumerate() {
            let record = record.unwrap();
            prop_assert_eq!((record.timestamp, record.offset), (now, base + k as i64));
        }
    }

    #[test]
    fn compressions_give_back_what_they_got(raw in prop_oneof![vec(any::<u8>(), 0..2_000), vec(0..3_u8, 0..200_000)]) {
        for compression in Compression::ALL {
            let (mut packed, mut out) = (b"before".to_vec(), b"before".to_vec());
            compression.compress(&raw, &mut packed);
            compression.decompress(&packed[6..], raw.len(), &mut out).unwrap();
            prop_assert_eq!(&out[6..], &raw[..], "{:?}", compression);
            if !raw.is_empty() {
                prop_assert!(compression.decompress(&packed[6..], raw.len() - 1, &mut Vec::new()).is_err());
            }
        }
    }

    #[test]
    fn markers(producer_id in 0..i64::MAX, producer_epoch in 0..i16::MAX, coordinator_epoch: i32, offset in 0..1_i64 << 60, commit: bool) {
        let outcome = if commit { Outcome::Commit } else { Outcome::Abort };
        let marker = Marker { producer_id, producer_epoch, coordinator_epoch, outcome };
        let mut bytes = Vec::new();
        marker.encode(offset, 2, 1_700_000_000_000, &mut bytes);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        prop_assert!(batch.is_control() && batch.is_transactional());
        prop_assert_eq!((batch.base_offset(), batch.offset_count(), batch.base_sequence()), (offset, 1, -1));
        prop_assert_eq!(Marker::decode(&batch).unwrap(), Some(marker));
    }
}

#[test]
fn sequences_begin_again_after_the_last() {
    let record = Record { offset: 0, timestamp: 0, key: None, value: None, headers: Headers::default() };
    let last = |base_sequence| {
        let head = BatchHead { producer_id: 1, base_sequence, ..BatchHead::default() };
        let mut builder = BatchBuilder::new(head, 1 << 10, Compression::None);
        for offset in 0..3 {
            builder.push(&Record { offset, ..record }, std::iter::empty()).unwrap();
        }
        let mut out = Vec::new();
        builder.finish_into(&mut out);
        Batch::parse(&out).unwrap().last_sequence()
    };
    assert_eq!((last(0), last(i32::MAX - 2), last(i32::MAX - 1), last(i32::MAX)), (2, i32::MAX, 0, 1));
    assert_eq!(last(-1), -1);
}

#[test]
fn limits_of_a_batch() {
    let value = [0; 100];
    let record =
        |offset| Record { offset, timestamp: 5, key: None, value: Some(&value), headers: Headers::default() };
    let mut builder = BatchBuilder::new(BatchHead::default(), 300, Compression::None);
    let push = |builder: &mut BatchBuilder, record| builder.push(&record, std::iter::empty());
    push(&mut builder, record(10)).unwrap();
    assert_eq!(push(&mut builder, record(10)), Err(PushError::Offset(10)));
    assert_eq!(push(&mut builder, record(10 + (1 << 31))), Err(PushError::Offset(10 + (1 << 31))));
    push(&mut builder, record(9 + (1 << 31))).unwrap();
    assert_eq!(push(&mut builder, record(10 + (1 << 31))), Err(PushError::Offset(10 + (1 << 31))));
    let mut out = Vec::new();
    builder.finish_into(&mut out);
    push(&mut builder, record(0)).unwrap();
    push(&mut builder, record(1)).unwrap();
    assert_eq!(push(&mut builder, record(2)), Err(PushError::Full));
    builder.finish_into(&mut out);
    let batches: Vec<_> = Batches::new(&out).map(Result::unwrap).collect();
    let ends: Vec<_> = batches.iter().map(|b| (b.base_offset(), b.last_offset())).collect();
    assert_eq!(ends, [(10, 9 + (1 << 31)), (0, 1)]);
    let mut small = BatchBuilder::new(BatchHead::default(), 100, Compression::None);
    assert!(matches!(push(&mut small, record(0)), Err(PushError::TooLarge(_, 100))));
}

#[test]
fn a_batch_of_which_compaction_left_little() {
    let head = BatchHead {
        base_offset: Some(100),
        last_offset: Some(109),
        delete_horizon: Some(1_000),
        producer_id: 4,
        ..BatchHead::default()
    };
    let mut builder = BatchBuilder::new(head, 1 << 10, Compression::Zstd);
    let record =
        Record { offset: 104, timestamp: 900, key: Some(b"k"), value: None, headers: Headers::default() };
    builder.push(&record, std::iter::empty()).unwrap();
    let mut out = Vec::new();
    builder.finish_into(&mut out);
    // And one of which it has left nothing but what the producer's state needs.
    builder.finish_into(&mut out);
    let batches: Vec<_> = Batches::new(&out).map(Result::unwrap).collect();
    let mut scratch = Vec::new();
    for (batch, expected) in batches.iter().zip([vec![record], vec![]]) {
        batch.check().unwrap();
        assert_eq!(
            (batch.base_offset(), batch.last_offset(), batch.delete_horizon()),
            (100, 109, Some(1_000))
        );
        let open = batch.open(&mut scratch, 1 << 20).unwrap();
        assert_eq!(open.records().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    }
}
