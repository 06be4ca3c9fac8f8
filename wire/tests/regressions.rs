//! Defects that were found, each named after what broke.

use ringmail_wire::batch::{
    BATCH_HEADER_BYTES, Batch, BatchBuilder, BatchError, CRC_START, Compression, MAX_HEAP_BYTES, PushError,
    set_base_offset,
};
use ringmail_wire::crc::crc32c;
use ringmail_wire::protocol::{DecodeError, MAX_LIST_ITEMS, Message, MetadataRequest};

fn one_record(compression: Compression, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20, compression);
    builder.push(0, None, Some(value), &[]).unwrap();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

#[test]
fn the_last_offset_of_a_damaged_base_offset_overflowed() {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    builder.push(0, None, None, &[]).unwrap();
    builder.push(0, None, None, &[]).unwrap();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    set_base_offset(&mut batch, u64::MAX);
    assert_eq!(Batch::parse(&batch).unwrap().last_offset(), u64::MAX);
}

#[test]
fn a_batch_was_taken_whose_first_timestamp_wrapped_around() {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    builder.push(i64::MIN, None, None, &[]).unwrap();
    builder.push(i64::MIN, None, None, &[]).unwrap();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    let delta = BATCH_HEADER_BYTES + 16;
    batch[delta..delta + 4].copy_from_slice(&(-1_i32).to_le_bytes());
    let crc = crc32c(&batch[CRC_START..]).to_le_bytes();
    batch[12..16].copy_from_slice(&crc);
    assert_eq!(Batch::parse(&batch).unwrap().check(), Err(BatchError::MaxTimestamp));
}

#[test]
fn a_builder_took_more_than_a_reader_does() {
    let mut builder = BatchBuilder::new(usize::MAX, Compression::None);
    let value = vec![0; MAX_HEAP_BYTES as usize - BATCH_HEADER_BYTES];
    let refused = builder.push(0, None, Some(&value), &[]);
    assert!(matches!(refused, Err(PushError::TooLarge(_, limit)) if limit == MAX_HEAP_BYTES as usize));
}

#[test]
fn compression_made_small_batches_larger_than_their_limit() {
    for compression in [Compression::Lz4, Compression::Zstd] {
        for value in [&b""[..], b"x", b"0123456789abcdef"] {
            let batch = one_record(compression, value);
            assert_eq!(batch.len(), one_record(Compression::None, value).len());
            let parsed = Batch::parse(&batch).unwrap();
            parsed.check().unwrap();
            assert_eq!(parsed.compression(), Compression::None);
        }
        let batch = one_record(compression, &[b'x'; 1000]);
        assert_eq!(Batch::parse(&batch).unwrap().compression(), compression);
    }
}

#[test]
fn a_list_of_empty_names_took_many_times_its_frame() {
    let count = MAX_LIST_ITEMS + 1;
    let mut body = count.to_le_bytes().to_vec();
    body.resize(4 + 2 * count as usize, 0);
    assert_eq!(MetadataRequest::from_body(&body), Err(DecodeError::TooMany("topics", count)));
}
