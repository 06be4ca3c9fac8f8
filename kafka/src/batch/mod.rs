//! The record batch, version 2.
//!
//! ```text
//! offset  size  field
//!      0     8  base_offset            i64, written by the broker, not covered by the CRC
//!      8     4  length                 i32, bytes of what follows it
//!     12     4  partition_leader_epoch i32, written by the broker, not covered by the CRC
//!     16     1  magic                  2
//!     17     4  crc                    u32, CRC-32C of bytes 21 to the end
//!     21     2  attributes             bits 0-2: compression (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd); 3: the broker's
//!                                      time instead of the producer's; 4: of a transaction; 5: control; 6: the base
//!                                      timestamp is the time from which on tombstones may go
//!     23     4  last_offset_delta      i32
//!     27     8  base_timestamp         i64, milliseconds since the Unix epoch
//!     35     8  max_timestamp          i64
//!     43     8  producer_id            i64, -1 for none
//!     51     2  producer_epoch         i16
//!     53     4  base_sequence          i32, -1 for none
//!     57     4  record_count           i32
//!     61     …  records                compressed as one
//! ```
//!
//! All numbers are big-endian. A broker checks header and CRC ([`Batch::check`], [`check_produced`]), writes the base offset
//! ([`set_base_offset`]), and stores and serves the bytes as they are. Records are looked at only where they must be:
//! [`Batch::open`] decompresses them, [`BatchBuilder`] makes a batch of them, [`Marker`] is how a transaction ends.

mod builder;
mod compression;
mod layout;
mod marker;
mod patch;
mod produced;
mod records;
mod varint;
mod view;

pub use builder::{BatchBuilder, BatchHead, PushError};
pub use compression::{Compression, DecompressError};
pub use layout::{BATCH_HEADER_BYTES, CRC_START, MAX_RECORDS_BYTES};
pub use marker::{Marker, Outcome};
pub use patch::{set_base_offset, set_leader_epoch, stamp_append_time};
pub use produced::check_produced;
pub use records::{Headers, OpenBatch, Record, Records};
pub use view::{Batch, BatchError, Batches};
