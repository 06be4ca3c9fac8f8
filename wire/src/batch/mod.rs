//! The record batch.
//!
//! ```text
//! offset  size  field
//!      0     8  base_offset      u64, written by the broker, not covered by the CRC
//!      8     4  length           u32, bytes of the whole batch, this header included
//!     12     4  crc              u32, CRC-32C of bytes 16..length
//!     16     2  magic            0x4d52 ("RM")
//!     18     1  version          1
//!     19     1  attributes       bits 0-2: compression of the heap (0 none, 1 lz4, 2 zstd); others 0
//!     20     4  record_count     u32, at least 1
//!     24     8  base_timestamp   i64, milliseconds since the Unix epoch
//!     32     8  max_timestamp    i64, the greatest timestamp of the records
//!     40     4  heap_length      u32, bytes of the heap as stored
//!     44     4  heap_raw_length  u32, bytes of the heap uncompressed
//!     48  20*n  table            one slot per record
//!      …     …  heap
//! ```
//!
//! A slot is `position, key_length, value_length, headers_length: u32, timestamp_delta: i32`. The bytes of
//! a record stand in the heap as key, value, headers, in that order and without gaps, so slot `k + 1`
//! begins where slot `k` ends: the table can be checked in one pass and a record be read by arithmetic.
//! All numbers are little-endian and unaligned. Header and slots are rkyv [`rkyv::Portable`] types.

mod builder;
mod compression;
mod headers;
mod layout;
mod view;

pub use builder::{BatchBuilder, PushError};
pub use compression::Compression;
pub use headers::{HeaderError, Headers, HeadersBuf};
pub use layout::{BATCH_HEADER_BYTES, CRC_START, MAX_HEAP_BYTES, NULL_LENGTH, SLOT_BYTES};
pub use view::{Batch, BatchError, Batches, OpenBatch, Record, set_base_offset, stamp_append_time};
