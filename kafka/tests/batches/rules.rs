//! What Produce takes, and what it answers to everything else.

use ringmail_kafka::batch::{
    Batch, BatchBuilder, BatchHead, Compression, Headers, Marker, Outcome, Record, check_produced,
};
use ringmail_kafka::error::ErrorCode;
use ringmail_wire::crc::crc32c;

const VERSION: i16 = 13;

fn batch(head: BatchHead, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(head, 1 << 16, compression);
    for offset in 0..2 {
        let record =
            Record { offset, timestamp: 7, key: None, value: Some(b"value"), headers: Headers::default() };
        builder.push(&record, std::iter::empty()).unwrap();
    }
    let mut out = Vec::new();
    builder.finish_into(&mut out);
    out
}

fn plain() -> Vec<u8> {
    batch(BatchHead::default(), Compression::None)
}

/// The batch with bytes changed and the CRC put right.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = plain();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&batch[21..]).to_be_bytes();
    batch[17..21].copy_from_slice(&crc);
    batch
}

#[track_caller]
fn refused(records: &[u8], version: i16) -> ErrorCode {
    check_produced(records, version).expect_err("it must be refused").code()
}

#[test]
fn what_is_taken() {
    for compression in Compression::ALL {
        let head = BatchHead { producer_id: 1, producer_epoch: 0, base_sequence: 0, ..BatchHead::default() };
        for head in [BatchHead::default(), head, BatchHead { transactional: true, ..head }] {
            let bytes = batch(head, compression);
            assert_eq!(check_produced(&bytes, VERSION), Batch::parse(&bytes));
        }
    }
}

#[test]
fn message_sets_of_old_clients() {
    // Offset, size, CRC, then magic 0 or 1 where batches have it, too.
    for magic in [0, 1] {
        let mut set = vec![0; 34];
        set[16] = magic;
        assert_eq!(refused(&set, 3), ErrorCode::InvalidRecord);
    }
    assert_eq!(refused(&changed(16, &[3]), VERSION), ErrorCode::InvalidRecord);
}

#[test]
fn one_batch_and_all_of_it() {
    assert_eq!(refused(&[], VERSION), ErrorCode::InvalidRecord);
    assert_eq!(refused(&plain().repeat(2), VERSION), ErrorCode::InvalidRecord);
    let whole = plain();
    for end in 1..whole.len() {
        assert_eq!(refused(&whole[..end], VERSION), ErrorCode::CorruptMessage, "{end} bytes");
    }
    assert_eq!(refused(&changed(8, &(-1_i32).to_be_bytes()), VERSION), ErrorCode::CorruptMessage);
    assert_eq!(refused(&changed(8, &0x7fff_ffff_i32.to_be_bytes()), VERSION), ErrorCode::CorruptMessage);
}

#[test]
fn every_byte_under_the_crc() {
    for at in 21..plain().len() {
        let mut bytes = plain();
        bytes[at] ^= 0x80;
        // Counts and compressions that cannot be are found before the CRC is computed.
        assert!(check_produced(&bytes, VERSION).is_err(), "byte {at}");
    }
    let mut bytes = plain();
    bytes[70] ^= 1;
    assert_eq!(refused(&bytes, VERSION), ErrorCode::CorruptMessage);
}

#[test]
fn counts_that_do_not_fit() {
    for (at, count) in
        [(57, 0), (57, 1), (57, 3), (57, -1), (57, i32::MAX), (23, -1), (23, 5), (23, i32::MAX)]
    {
        assert_eq!(
            refused(&changed(at, &count.to_be_bytes()), VERSION),
            ErrorCode::InvalidRecord,
            "{count} at {at}"
        );
    }
}

#[test]
fn what_only_a_broker_may_say() {
    let mut marker = Vec::new();
    let end = Marker { producer_id: 1, producer_epoch: 0, coordinator_epoch: 0, outcome: Outcome::Commit };
    end.encode(0, -1, 0, &mut marker);
    assert_eq!(refused(&marker, VERSION), ErrorCode::InvalidRecord);
    let stamped = BatchHead { append_time: Some(5), ..BatchHead::default() };
    assert_eq!(refused(&batch(stamped, Compression::None), VERSION), ErrorCode::InvalidTimestamp);
    assert_eq!(refused(&changed(0, &1_i64.to_be_bytes()), VERSION), ErrorCode::InvalidRecord);
}

#[test]
fn producers_without_what_they_need() {
    let without_sequence = BatchHead { producer_id: 1, producer_epoch: 0, ..BatchHead::default() };
    assert_eq!(refused(&batch(without_sequence, Compression::None), VERSION), ErrorCode::InvalidRecord);
    let without_producer = BatchHead { transactional: true, ..BatchHead::default() };
    assert_eq!(refused(&batch(without_producer, Compression::None), VERSION), ErrorCode::InvalidRecord);
}

#[test]
fn compressions_there_are_not_or_not_yet() {
    let zstd = batch(BatchHead::default(), Compression::Zstd);
    assert_eq!(refused(&zstd, 6), ErrorCode::UnsupportedCompressionType);
    assert!(check_produced(&zstd, 7).is_ok());
    assert_eq!(refused(&changed(21, &[0, 5]), VERSION), ErrorCode::UnsupportedCompressionType);
}
