//! Batches that lie, with a checksum that is right: what the broker must refuse on arrival.

use proptest::prelude::*;
use ringmail_wire::batch::{
    BATCH_HEADER_BYTES, Batch, BatchError, CRC_START, Compression, MAX_HEAP_BYTES, NULL_LENGTH, SLOT_BYTES,
};
use ringmail_wire::crc::crc32c;

use crate::records::{OwnedRecord, build, compressions, records};

const CRC_FIELD: usize = 12;
const ATTRIBUTES: usize = 19;
const RECORD_COUNT: usize = 20;
const HEAP_LENGTH: usize = 40;
const HEAP_RAW_LENGTH: usize = 44;

const POSITION: usize = 0;
const KEY_LENGTH: usize = 4;
const VALUE_LENGTH: usize = 8;
const HEADERS_LENGTH: usize = 12;
const TIMESTAMP_DELTA: usize = 16;

fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Writes a field, and makes the checksum right again.
fn forge(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    sign(bytes);
}

fn sign(bytes: &mut [u8]) {
    let crc = crc32c(&bytes[CRC_START..]);
    bytes[CRC_FIELD..CRC_FIELD + 4].copy_from_slice(&crc.to_le_bytes());
}

fn verdict(bytes: &[u8]) -> Result<(), BatchError> {
    Batch::parse(bytes)?.check()
}

fn slot_field(record: usize, field: usize) -> usize {
    BATCH_HEADER_BYTES + record * SLOT_BYTES + field
}

fn simple(value: &[u8], headers: &[(&[u8], Option<&[u8]>)]) -> OwnedRecord {
    let owned = |(name, value): &(&[u8], Option<&[u8]>)| (name.to_vec(), value.map(<[u8]>::to_vec));
    OwnedRecord {
        timestamp: 0,
        key: None,
        value: Some(value.to_vec()),
        headers: headers.iter().map(owned).collect(),
    }
}

proptest! {
    /// A slot's length field decides where its record ends, so any other value moves that end: outside the
    /// heap, or away from where the next record begins.
    #[test]
    fn a_slot_that_points_elsewhere(
        records in records(),
        compression in compressions(),
        record in any::<prop::sample::Index>(),
        field in prop::sample::select(&[POSITION, KEY_LENGTH, VALUE_LENGTH, HEADERS_LENGTH][..]),
        value in prop_oneof![any::<u32>(), 0_u32..400, Just(i32::MAX as u32), Just(u32::MAX), Just(u32::MAX - 1)],
    ) {
        let mut bytes = build(&records, compression);
        let at = slot_field(record.index(records.len()), field);
        let nullable = field == KEY_LENGTH || field == VALUE_LENGTH;
        let counted = |length: u32| if nullable && length == NULL_LENGTH { 0 } else { length };
        prop_assume!(counted(value) != counted(get(&bytes, at)));
        forge(&mut bytes, at, value);
        let verdict = verdict(&bytes);
        prop_assert!(
            matches!(verdict, Err(BatchError::Slot(_) | BatchError::Lengths(_))),
            "{:?}", verdict
        );
        // Reading what was refused is still safe.
        let mut scratch = Vec::new();
        if let Ok(open) = Batch::parse(&bytes).unwrap().open(&mut scratch) {
            prop_assert_eq!(open.iter().count(), records.len());
        }
    }

    #[test]
    fn another_record_count(records in records(), compression in compressions(), count in any::<u32>()) {
        let mut bytes = build(&records, compression);
        prop_assume!(count as usize != records.len());
        forge(&mut bytes, RECORD_COUNT, count);
        let expected = if count == 0 { BatchError::Empty } else { BatchError::Lengths(bytes.len() as u32) };
        prop_assert_eq!(verdict(&bytes), Err(expected));
    }

    #[test]
    fn another_heap_length(
        records in records(),
        compression in compressions(),
        at in prop::sample::select(&[HEAP_LENGTH, HEAP_RAW_LENGTH][..]),
        length in prop_oneof![any::<u32>(), 0_u32..1000],
    ) {
        let mut bytes = build(&records, compression);
        prop_assume!(length != get(&bytes, at));
        forge(&mut bytes, at, length);
        let verdict = verdict(&bytes);
        prop_assert!(matches!(verdict, Err(BatchError::Lengths(_) | BatchError::Slot(_))), "{:?}", verdict);
    }

    #[test]
    fn another_greatest_timestamp(records in records(), record in any::<prop::sample::Index>(), up in 1_i32..1000) {
        let newest = records.iter().map(|r| r.timestamp).max().unwrap();
        let mut bytes = build(&records, Compression::None);
        let at = slot_field(record.index(records.len()), TIMESTAMP_DELTA);
        let above = newest - records[0].timestamp + i64::from(up);
        let Ok(delta) = i32::try_from(above) else { return Ok(()) };
        forge(&mut bytes, at, delta as u32);
        prop_assert_eq!(verdict(&bytes), Err(BatchError::MaxTimestamp));
    }

    /// The broker cannot see into a compressed heap, so the reader must: an error, never other records.
    #[test]
    fn a_heap_that_does_not_decompress(
        value in prop::collection::vec(any::<u8>(), 1..50),
        compression in prop::sample::select(&[Compression::Lz4, Compression::Zstd][..]),
        garbage in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let record = simple(&value.repeat(20), &[]);
        let mut bytes = build(std::slice::from_ref(&record), compression);
        bytes.truncate(BATCH_HEADER_BYTES + SLOT_BYTES);
        bytes.extend_from_slice(&garbage);
        let length = bytes.len() as u32;
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        forge(&mut bytes, HEAP_LENGTH, garbage.len() as u32);
        prop_assume!(Batch::parse(&bytes).unwrap().compression() == compression);
        let mut scratch = Vec::new();
        let batch = Batch::parse(&bytes).unwrap();
        batch.check().unwrap();
        match batch.open(&mut scratch) {
            Err(error) => prop_assert_eq!(error, BatchError::Decompress),
            Ok(open) => prop_assert_eq!(open.get(0).unwrap().value.unwrap().len(), value.len() * 20),
        }
    }
}

#[test]
fn each_field_that_has_one_value() {
    let good = build(&[simple(b"value", &[])], Compression::None);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        sign(&mut bytes);
        verdict(&bytes)
    };
    assert_eq!(verdict(&good), Ok(()));
    assert_eq!(with(16, 0), Err(BatchError::Magic(0x4d00)));
    assert_eq!(with(18, 2), Err(BatchError::Version(2)));
    for attributes in 3..=u8::MAX {
        assert_eq!(with(ATTRIBUTES, attributes), Err(BatchError::Attributes(attributes)));
    }
}

#[test]
fn headers_that_end_in_the_middle() {
    let good = build(&[simple(b"v", &[]), simple(b"v", &[(b"name", Some(b"value"))])], Compression::None);
    assert_eq!(verdict(&good), Ok(()));
    let headers_start = good.len() - (6 + 4 + 5);
    // A name length, then a value length, that reaches past the record.
    for (at, length) in [(headers_start, 200), (headers_start + 2, 6), (headers_start + 5, 0xff)] {
        let mut bytes = good.clone();
        bytes[at] = length;
        sign(&mut bytes);
        assert_eq!(verdict(&bytes), Err(BatchError::Headers(1)), "byte {at} = {length}");
    }
}

#[test]
fn the_first_record_that_leaves_the_heap_is_named() {
    let mut bytes = build(&[simple(b"a", &[]), simple(b"b", &[]), simple(b"c", &[])], Compression::None);
    forge(&mut bytes, slot_field(1, VALUE_LENGTH), 3);
    assert_eq!(verdict(&bytes), Err(BatchError::Slot(1)));
}

#[test]
fn lengths_are_refused_before_anything_is_read() {
    let raw_length = |compression, length| {
        let mut bytes = build(&[simple(&[b'x'; 1000], &[])], compression);
        forge(&mut bytes, HEAP_RAW_LENGTH, length);
        Batch::parse(&bytes).map(|batch| batch.heap_raw_length())
    };
    let refused = |bytes| Err(BatchError::Lengths(bytes));
    let plain = (BATCH_HEADER_BYTES + SLOT_BYTES + 1000) as u32;
    assert_eq!(raw_length(Compression::None, 999), refused(plain));
    let compressed = build(&[simple(&[b'x'; 1000], &[])], Compression::Lz4).len() as u32;
    assert_eq!(raw_length(Compression::Lz4, MAX_HEAP_BYTES), Ok(MAX_HEAP_BYTES as usize));
    assert_eq!(raw_length(Compression::Lz4, MAX_HEAP_BYTES + 1), refused(compressed));
}

#[test]
fn a_compressed_heap_of_another_length_than_stated() {
    for compression in [Compression::Lz4, Compression::Zstd] {
        for length in [999, 1001] {
            let mut bytes = build(&[simple(&[b'x'; 1000], &[])], compression);
            forge(&mut bytes, HEAP_RAW_LENGTH, length);
            let mut scratch = Vec::new();
            let unchecked = Batch::parse(&bytes).unwrap();
            assert!(matches!(
                unchecked.open(&mut scratch),
                Err(BatchError::Slot(0) | BatchError::Lengths(_))
            ));

            forge(&mut bytes, slot_field(0, VALUE_LENGTH), length);
            let checked = Batch::parse(&bytes).unwrap();
            checked.check().unwrap();
            assert!(matches!(checked.open(&mut scratch), Err(BatchError::Decompress)));
        }
    }
}
