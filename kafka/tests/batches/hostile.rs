//! Bytes that are no batch, or one that lies.

use proptest::collection::vec;
use proptest::prelude::*;
use ringmail_kafka::batch::{
    Batch, BatchError, BatchHead, Batches, Compression, MAX_RECORDS_BYTES, Marker, check_produced,
};
use ringmail_kafka::transcode::Transcoder;
use ringmail_wire::crc::crc32c;

use crate::records::{build, compressions, sent};

/// Everything that can be done to bytes that may be batches.
fn read_everything(bytes: &[u8]) {
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let _ = check_produced(bytes, 13);
    for batch in Batches::new(bytes).flatten() {
        let _ = (batch.check(), batch.last_offset(), batch.last_sequence(), Marker::decode(&batch));
        let _ = Transcoder::default().to_ringmail(&batch, &mut out);
        let Ok(open) = batch.open(&mut scratch, MAX_RECORDS_BYTES) else { continue };
        let mut last = i64::MIN;
        for record in open.records().flatten() {
            assert!(record.offset >= last && record.offset <= batch.last_offset());
            last = record.offset;
            record.headers.for_each(drop);
        }
    }
}

fn sign(bytes: &mut [u8]) {
    let crc = crc32c(&bytes[21..]).to_be_bytes();
    bytes[17..21].copy_from_slice(&crc);
}

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn a_batch_with_a_few_bytes_changed(
        sent in sent(true), compression in compressions(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut bytes, _) = build(BatchHead::default(), 0, &sent, compression);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        sign(&mut bytes);
        read_everything(&bytes);
    }

    #[test]
    fn a_batch_that_is_cut_short(sent in sent(true), compression in compressions(), end: prop::sample::Index) {
        let (bytes, _) = build(BatchHead::default(), 0, &sent, compression);
        let end = end.index(bytes.len());
        prop_assert!(Batch::parse(&bytes[..end]).is_err());
        read_everything(&bytes[..end]);
    }

    /// The records end early, under a header that says so and has the right CRC.
    #[test]
    fn records_that_are_cut_short(sent in sent(true), compression in compressions(), end: prop::sample::Index) {
        let (mut bytes, _) = build(BatchHead::default(), 0, &sent, compression);
        let end = 61 + end.index(bytes.len() - 61);
        bytes.truncate(end);
        bytes[8..12].copy_from_slice(&(end as i32 - 12).to_be_bytes());
        sign(&mut bytes);
        let batch = Batch::parse(&bytes).unwrap();
        let mut scratch = Vec::new();
        let result = batch.open(&mut scratch, MAX_RECORDS_BYTES).and_then(|open| open.check());
        // Only what a codec writes behind its last byte of content can be missing unnoticed.
        prop_assert!(result.is_err() || matches!(compression, Compression::Lz4 | Compression::Zstd), "{:?}", result);
        read_everything(&bytes);
    }
}

#[test]
fn a_little_that_stands_for_much() {
    let much = vec![0; 64 << 20];
    for compression in Compression::ALL {
        let mut packed = Vec::new();
        compression.compress(&much, &mut packed);
        let mut out = Vec::new();
        assert!(compression.decompress(&packed, 1 << 20, &mut out).is_err(), "{compression:?}");
        // A reader may have read one buffer more when it notices.
        assert!(
            out.len() <= (1 << 20) + 1 && out.capacity() <= 4 << 20,
            "{compression:?}: {}",
            out.capacity()
        );
    }
}

#[test]
fn bytes_after_the_last_record() {
    let head = BatchHead { base_offset: Some(0), last_offset: Some(0), ..BatchHead::default() };
    let (bytes, _) = build(head, 0, &[], Compression::None);
    let mut longer = [&bytes[..], b"more"].concat();
    let length = longer.len() as i32 - 12;
    longer[8..12].copy_from_slice(&length.to_be_bytes());
    sign(&mut longer);
    let batch = Batch::parse(&longer).unwrap();
    let mut scratch = Vec::new();
    let open = batch.open(&mut scratch, 1 << 20).unwrap();
    assert_eq!(open.check(), Err(BatchError::Trailing(4)));
}
