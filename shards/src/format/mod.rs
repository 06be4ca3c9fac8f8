//! How a shard's log stands on disk. [`FORMAT.md`](../../FORMAT.md) is the specification.
//!
//! A segment file is a header block, frames, and, once sealed, a footer that ends with the file. A frame is
//! one group commit: a header, then entries. An entry is one batch, or one control record, of one log.
//! All numbers are little-endian.

pub mod ends;
pub mod entry;
pub mod footer;
pub mod frame;
pub mod segment;
pub mod states;
mod varint;

/// The version of everything in this module.
pub const FORMAT_VERSION: u16 = 1;

/// Numbers of segments and frames, and offsets, stay below this: nothing counts so far, and sums of what is
/// stored cannot overflow. What claims more was not written by a shard.
pub const MAX_NUMBER: u64 = 1 << 62;

/// `value` rounded up to a multiple of `unit`, a power of two.
pub(crate) fn align_up(value: usize, unit: usize) -> usize {
    (value + unit - 1) & !(unit - 1)
}

/// Reads a number of fixed width at `at`; the caller has checked the length.
macro_rules! field {
    ($bytes:expr, $at:expr, $type:ty) => {
        <$type>::from_le_bytes(
            $bytes[$at..$at + size_of::<$type>()].try_into().expect("the slice has the type's length"),
        )
    };
}

/// Writes a number at `at`.
macro_rules! put {
    ($bytes:expr, $at:expr, $value:expr) => {{
        let value = $value.to_le_bytes();
        $bytes[$at..$at + value.len()].copy_from_slice(&value);
    }};
}

pub(crate) use {field, put};
