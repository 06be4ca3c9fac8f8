//! Batches: what goes in comes out, and damage is seen.

use proptest::prelude::*;
use ringmail_wire::batch::{
    BATCH_HEADER_BYTES, Batch, BatchBuilder, Batches, Compression, PushError, Record, SLOT_BYTES,
    set_base_offset,
};

use crate::records::{OwnedRecord, build, compressions, records};

fn owned(record: Record<'_>) -> OwnedRecord {
    OwnedRecord {
        timestamp: record.timestamp,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record
            .headers
            .map(|header| header.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))))
            .collect::<Result<_, _>>()
            .expect("whole headers"),
    }
}

proptest! {
    #[test]
    fn round_trip(records in records(), compression in compressions(), base_offset in 0..u64::MAX / 2) {
        let mut bytes = build(&records, compression);
        set_base_offset(&mut bytes, base_offset);
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        prop_assert_eq!(batch.record_count() as usize, records.len());
        prop_assert_eq!(batch.base_offset(), base_offset);
        prop_assert_eq!(batch.last_offset(), base_offset + records.len() as u64 - 1);
        prop_assert_eq!(Some(batch.max_timestamp()), records.iter().map(|r| r.timestamp).max());

        let mut scratch = Vec::new();
        let open = batch.open(&mut scratch).unwrap();
        prop_assert_eq!(open.len(), records.len());
        prop_assert!(open.get(records.len()).is_none());
        for (k, (read, sent)) in open.iter().zip(&records).enumerate() {
            prop_assert_eq!(read.offset, base_offset + k as u64);
            prop_assert_eq!(Some(read), open.get(k));
            prop_assert_eq!(&owned(read), sent);
        }
    }

    #[test]
    fn any_flipped_bit_is_seen(records in records(), compression in compressions(), at in any::<prop::sample::Index>()) {
        let mut bytes = build(&records, compression);
        // No CRC covers the base offset: the broker writes it. A wrong length does not fit table and heap.
        let bit = 64 + at.index((bytes.len() - 8) * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let seen = Batch::parse(&bytes).and_then(|batch| batch.check());
        prop_assert!(seen.is_err(), "bit {} went unseen", bit);
    }

    #[test]
    fn cut_short_anywhere(records in records(), compression in compressions()) {
        let bytes = build(&records, compression);
        for end in 0..bytes.len() {
            prop_assert!(Batch::parse(&bytes[..end]).is_err(), "{} of {} bytes", end, bytes.len());
        }
    }

    #[test]
    fn one_after_another(lists in prop::collection::vec((records(), compressions()), 0..5), cut in 1_usize..60) {
        let each: Vec<_> = lists.iter().map(|(records, compression)| build(records, *compression)).collect();
        let joined = each.concat();
        let read: Vec<_> = Batches::new(&joined).map(|batch| batch.unwrap().as_bytes()).collect();
        prop_assert_eq!(&read, &each);

        if !each.is_empty() {
            let results: Vec<_> = Batches::new(&joined[..joined.len() - cut]).map(|b| b.is_ok()).collect();
            let whole = results.iter().filter(|ok| **ok).count();
            prop_assert_eq!(whole, each.len() - 1, "the last is cut short");
        }
    }
}

#[test]
fn every_flipped_bit_of_one_batch_is_seen() {
    let record = |timestamp| OwnedRecord {
        timestamp,
        key: Some(b"key".to_vec()),
        value: Some(b"value ".repeat(20)),
        headers: vec![(b"name".to_vec(), None)],
    };
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let good = build(&[record(-5), record(7)], compression);
        assert_eq!(Batch::parse(&good).unwrap().compression(), compression);
        for bit in 64..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = Batch::parse(&bytes).and_then(|batch| batch.check());
            assert!(seen.is_err(), "{compression:?}: bit {bit} went unseen");
        }
    }
}

#[test]
fn a_builder_forgets_the_batch_before() {
    let mut builder = BatchBuilder::new(1000, Compression::None);
    let (mut first, mut second, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    builder.push(9, Some(b"key"), Some(b"a value that is longer"), &[]).unwrap();
    builder.finish_into(&mut first);
    builder.push(-3, None, Some(b"value"), &[]).unwrap();
    builder.finish_into(&mut second);
    let mut builder = BatchBuilder::new(1000, Compression::None);
    builder.push(-3, None, Some(b"value"), &[]).unwrap();
    builder.finish_into(&mut fresh);
    assert_eq!(second, fresh);
}

#[test]
fn a_builder_refuses_what_does_not_fit_and_keeps_the_rest() {
    let limit = BATCH_HEADER_BYTES + 2 * (SLOT_BYTES + 10);
    let mut builder = BatchBuilder::new(limit, Compression::None);
    let whole = limit - BATCH_HEADER_BYTES - SLOT_BYTES;
    assert_eq!(
        builder.push(0, None, Some(&vec![0; whole + 1]), &[]),
        Err(PushError::TooLarge(limit + 1, limit))
    );
    builder.push(0, None, Some(&[1; 10]), &[]).unwrap();
    assert_eq!(builder.push(0, None, Some(&[2; 11]), &[]), Err(PushError::Full));
    assert_eq!(builder.push(i64::from(i32::MAX) + 1, None, None, &[]), Err(PushError::TimestampSpan));
    builder.push(0, None, Some(&[3; 10]), &[]).unwrap();
    assert_eq!((builder.record_count(), builder.len_bytes()), (2, limit));
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    assert_eq!(batch.len(), limit);
}
