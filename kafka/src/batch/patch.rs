//! What a broker writes into a batch that it has checked.

use ringmail_wire::crc::crc32c;

use super::layout::*;

/// Writes the base offset, which no CRC covers.
///
/// # Panics
/// If `batch` is shorter than a header.
#[inline]
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    put!(batch, BASE_OFFSET, base_offset);
}

/// Writes the epoch of the partition's leader, which no CRC covers.
///
/// # Panics
/// If `batch` is shorter than a header.
#[inline]
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    put!(batch, LEADER_EPOCH, leader_epoch);
}

/// Gives all records the time of the append (milliseconds since the Unix epoch), which takes a new CRC: one pass over the
/// bytes. The records themselves stay as they are; readers take the batch's greatest timestamp for each.
///
/// # Panics
/// If `batch` is not just one batch.
pub fn stamp_append_time(batch: &mut [u8], now_ms: i64) {
    assert_eq!(
        field!(batch, LENGTH, i32) as usize + LENGTH_START,
        batch.len(),
        "these are the batch's bytes"
    );
    let attributes = field!(batch, ATTRIBUTES, i16) | APPEND_TIME;
    put!(batch, ATTRIBUTES, attributes);
    put!(batch, MAX_TIMESTAMP, now_ms);
    let crc = crc32c(&batch[CRC_START..]);
    put!(batch, CRC, crc);
}
