//! The fixed-size parts of a batch, as rkyv types that are read in place.

use rkyv::Portable;
use rkyv::bytecheck::CheckBytes;
use rkyv::rend::unaligned::{i32_ule, i64_ule, u16_ule, u32_ule, u64_ule};

/// Bytes of the header in front of every batch.
pub const BATCH_HEADER_BYTES: usize = 48;
/// Bytes of one record's slot in the table.
pub const SLOT_BYTES: usize = 20;
/// Where the bytes begin that the CRC covers: base offset, length and the CRC itself stand before it.
pub const CRC_START: usize = 16;
/// The largest uncompressed heap, in bytes: what a reader must be ready to allocate for one batch.
pub const MAX_HEAP_BYTES: u32 = 256 << 20;
/// The length of a key or value that is absent, as distinct from empty.
pub const NULL_LENGTH: u32 = u32::MAX;

pub(super) const MAGIC: u16 = 0x4d52;
pub(super) const VERSION: u8 = 1;
pub(super) const COMPRESSION_MASK: u8 = 0b111;

/// The header of a batch.
#[derive(Clone, Copy, Portable, CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
pub(super) struct BatchHeader {
    pub base_offset: u64_ule,
    pub length: u32_ule,
    pub crc: u32_ule,
    pub magic: u16_ule,
    pub version: u8,
    pub attributes: u8,
    pub record_count: u32_ule,
    pub base_timestamp: i64_ule,
    pub max_timestamp: i64_ule,
    pub heap_length: u32_ule,
    pub heap_raw_length: u32_ule,
}

/// Where one record stands in the heap.
#[derive(Clone, Copy, Portable, CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(C)]
pub(super) struct Slot {
    pub position: u32_ule,
    pub key_length: u32_ule,
    pub value_length: u32_ule,
    pub headers_length: u32_ule,
    pub timestamp_delta: i32_ule,
}

const _: () = assert!(size_of::<BatchHeader>() == BATCH_HEADER_BYTES);
const _: () = assert!(align_of::<BatchHeader>() == 1);
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);
const _: () = assert!(align_of::<Slot>() == 1);

impl BatchHeader {
    /// The header at the start of `bytes`; `None` if they are too few.
    pub fn at(bytes: &[u8]) -> Option<&Self> {
        if bytes.len() < BATCH_HEADER_BYTES {
            return None;
        }
        // SAFETY: the length was checked, the type has alignment 1, no padding, and every bit pattern
        // of its integers is a valid value.
        Some(unsafe { rkyv::api::access_pos_unchecked::<Self>(bytes, 0) })
    }
}

impl Slot {
    /// `bytes` as a table of slots; bytes past the last whole slot are left out.
    pub fn table(bytes: &[u8]) -> &[Self] {
        let count = bytes.len() / SLOT_BYTES;
        // SAFETY: `count` slots fit in `bytes`, the type has alignment 1 and no padding, every bit
        // pattern of its integers is a valid value, and the result borrows from `bytes`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), count) }
    }

    /// Bytes of the key; 0 if it is absent.
    pub fn key_bytes(&self) -> u32 {
        present(self.key_length.to_native())
    }

    /// Bytes of the value; 0 if it is absent.
    pub fn value_bytes(&self) -> u32 {
        present(self.value_length.to_native())
    }
}

fn present(length: u32) -> u32 {
    if length == NULL_LENGTH { 0 } else { length }
}
