//! The first block of a segment file.
//!
//! ```text
//! offset  size  field
//!      0     8  magic           "RMSEGMNT" of a segment, "RMSPARE\0" of a file that waits to become one
//!      8     4  crc             CRC-32C of bytes 12..64
//!     12     2  version
//!     14     2  shard
//!     16     8  segment         counts up, never used twice; in a spare file the last one that it held, 0 if there was none
//!     24     8  file_bytes
//!     32     8  first_frame     the number of its first frame
//!     40     8  incarnation     in a spare file the number in its name
//!     48     8  previous_frame  the last frame before its first that counts
//!     56     8  reserved
//! ```

use super::frame::FrameHeader;
use super::{FORMAT_VERSION, MAX_NUMBER, field, put};
use crate::io::{BLOCK_BYTES, FileId};
use ringmail_wire::crc::crc32c;

/// Bytes of the header that mean something; the rest of the block is zero.
pub const SEGMENT_HEADER_BYTES: usize = 64;
const SEGMENT_MAGIC: [u8; 8] = *b"RMSEGMNT";
const SPARE_MAGIC: [u8; 8] = *b"RMSPARE\0";

/// What the first block of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstBlock {
    /// It holds a segment.
    Segment(SegmentHeader),
    /// It holds nothing, and waits to be used. The last segment that it held: what is left of a later one says that the
    /// block is an old one. 0 if it held none.
    Spare {
        /// The segment.
        held: u64,
        /// The file: a block that says another one was written for that.
        file: u64,
    },
    /// It has never been written.
    Blank,
    /// It is of a newer or older format.
    OtherVersion(u16),
    /// It is damaged.
    Damaged,
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The shard that wrote it.
    pub shard: u16,
    /// The segment's number.
    pub segment: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// The number of its first frame.
    pub first_frame: u64,
    /// Drawn at random at every start of the shard. A segment that was begun just before a crash may have left frames
    /// in a file whose first block says nothing of it, and its number may be given out again: this tells them apart.
    pub incarnation: u64,
    /// The last frame before its first that counts: less than the one before where a recovery cut frames off, which are not
    /// to come back if the footer that tells of it is lost. Not less than `first_frame` if it is not known.
    pub previous_frame: u64,
}

impl SegmentHeader {
    /// What a frame says of the segment that it is the first of, as far as is known.
    pub fn of_frame(frame: &FrameHeader, file_bytes: u64) -> Self {
        Self {
            shard: frame.shard,
            segment: frame.segment,
            file_bytes,
            first_frame: frame.number,
            incarnation: frame.incarnation,
            previous_frame: frame.number.saturating_sub(1),
        }
    }

    /// As it is stored, in a whole block.
    pub fn to_block(&self) -> [u8; BLOCK_BYTES] {
        block(SEGMENT_MAGIC, self)
    }
}

/// The first block of the spare file `file` that last held the segment `held`, or none if that is 0.
pub fn spare_block(shard: u16, file: FileId, file_bytes: u64, held: u64) -> [u8; BLOCK_BYTES] {
    let header = SegmentHeader {
        shard,
        segment: held,
        file_bytes,
        first_frame: 0,
        incarnation: file.0,
        previous_frame: 0,
    };
    block(SPARE_MAGIC, &header)
}

fn block(magic: [u8; 8], header: &SegmentHeader) -> [u8; BLOCK_BYTES] {
    let mut b = [0; BLOCK_BYTES];
    b[..8].copy_from_slice(&magic);
    put!(b, 12, FORMAT_VERSION);
    put!(b, 14, header.shard);
    put!(b, 16, header.segment);
    put!(b, 24, header.file_bytes);
    put!(b, 32, header.first_frame);
    put!(b, 40, header.incarnation);
    put!(b, 48, header.previous_frame);
    let crc = crc32c(&b[12..SEGMENT_HEADER_BYTES]);
    put!(b, 8, crc);
    b
}

/// What `block`, the first of a file, says.
pub fn parse_first_block(block: &[u8]) -> FirstBlock {
    let Some(b) = block.first_chunk::<SEGMENT_HEADER_BYTES>() else { return FirstBlock::Blank };
    if block.iter().all(|&byte| byte == 0) {
        return FirstBlock::Blank;
    }
    let known = b[..8] == SEGMENT_MAGIC || b[..8] == SPARE_MAGIC;
    if !known || field!(b, 8, u32) != crc32c(&b[12..]) {
        return FirstBlock::Damaged;
    }
    match field!(b, 12, u16) {
        FORMAT_VERSION => {}
        version => return FirstBlock::OtherVersion(version),
    }
    if b[..8] == SPARE_MAGIC {
        return FirstBlock::Spare { held: field!(b, 16, u64), file: field!(b, 40, u64) };
    }
    let numbers = [field!(b, 16, u64), field!(b, 32, u64), field!(b, 48, u64)];
    if numbers.iter().any(|&number| number >= MAX_NUMBER) {
        return FirstBlock::Damaged;
    }
    FirstBlock::Segment(SegmentHeader {
        shard: field!(b, 14, u16),
        segment: field!(b, 16, u64),
        file_bytes: field!(b, 24, u64),
        first_frame: field!(b, 32, u64),
        incarnation: field!(b, 40, u64),
        previous_frame: field!(b, 48, u64),
    })
}
