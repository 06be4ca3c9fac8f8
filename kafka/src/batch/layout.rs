//! Where the fields of a batch stand.

/// Bytes before the records.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Where the bytes begin that the CRC covers.
pub const CRC_START: usize = 21;
/// Bytes of records, decompressed, that are taken unless a caller asks for less: as many as a batch of Ringmail may have.
pub const MAX_RECORDS_BYTES: usize = ringmail_wire::batch::MAX_HEAP_BYTES as usize;

pub(super) const BASE_OFFSET: usize = 0;
pub(super) const LENGTH: usize = 8;
pub(super) const LEADER_EPOCH: usize = 12;
pub(super) const MAGIC: usize = 16;
pub(super) const CRC: usize = 17;
pub(super) const ATTRIBUTES: usize = 21;
pub(super) const LAST_OFFSET_DELTA: usize = 23;
pub(super) const BASE_TIMESTAMP: usize = 27;
pub(super) const MAX_TIMESTAMP: usize = 35;
pub(super) const PRODUCER_ID: usize = 43;
pub(super) const PRODUCER_EPOCH: usize = 51;
pub(super) const BASE_SEQUENCE: usize = 53;
pub(super) const RECORD_COUNT: usize = 57;

/// Bytes before those that `length` counts.
pub(super) const LENGTH_START: usize = 12;
/// The only version there is here. Versions 0 and 1 were message sets; no API here takes or gives them.
pub(super) const MAGIC_V2: u8 = 2;

pub(super) const COMPRESSION_MASK: i16 = 0b111;
pub(super) const APPEND_TIME: i16 = 1 << 3;
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
pub(super) const CONTROL: i16 = 1 << 5;
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

/// The number in `bytes` at `at`.
macro_rules! field {
    ($bytes:expr, $at:expr, $type:ty) => {{
        const SIZE: usize = size_of::<$type>();
        <$type>::from_be_bytes($bytes[$at..$at + SIZE].try_into().expect("the slice has the number's size"))
    }};
}

/// Writes a number into `bytes` at `at`.
macro_rules! put {
    ($bytes:expr, $at:expr, $number:expr) => {{
        let number = $number.to_be_bytes();
        $bytes[$at..$at + number.len()].copy_from_slice(&number);
    }};
}

pub(super) use {field, put};
