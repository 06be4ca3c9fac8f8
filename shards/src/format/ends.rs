//! Both ends of a segment file: what they say that it holds.

use super::footer::Trailer;
use super::frame::FrameHeader;
use super::segment::{FirstBlock, SegmentHeader, parse_first_block};
use crate::io::BLOCK_BYTES;

/// Bytes to read at the start of a file: the header block, and the header of the first frame.
pub const HEAD_BYTES: usize = 2 * BLOCK_BYTES;

/// What the ends of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The first block.
    pub first: FirstBlock,
    /// The segment, told by the first frame or the footer if the first block is lost; `None` if the file holds none,
    /// or none that can be known.
    pub header: Option<SegmentHeader>,
    /// The end of its footer, if it is sealed.
    pub trailer: Option<Trailer>,
}

impl Ends {
    /// Reads `head` (the first [`HEAD_BYTES`] of the file) and `tail` (which ends where the file ends, at
    /// `file_bytes`). If `own` is given, frames and footers of other shards mean nothing.
    pub fn read(head: &[u8], tail: &[u8], file_bytes: u64, own: Option<u16>) -> Self {
        let is_own = |shard: u16| own.is_none_or(|own| own == shard);
        let first = parse_first_block(&head[..BLOCK_BYTES.min(head.len())]);
        let frame = head.get(BLOCK_BYTES..).and_then(FrameHeader::parse).filter(|f| is_own(f.shard));
        let trailer = Trailer::parse(tail)
            .filter(|t| is_own(t.shard) && t.footer_bytes <= file_bytes.saturating_sub(BLOCK_BYTES as u64))
            // A file that was used again may still end in the footer of what it held before.
            .filter(|t| match first {
                FirstBlock::Segment(header) => header.segment == t.segment,
                FirstBlock::Blank | FirstBlock::Damaged => frame.is_none_or(|f| f.segment == t.segment),
                FirstBlock::Spare | FirstBlock::OtherVersion(_) => false,
            });
        let guess = |shard, segment, first_frame, incarnation| SegmentHeader {
            shard,
            segment,
            file_bytes,
            first_frame,
            incarnation,
        };
        let header = match first {
            FirstBlock::Segment(header) => Some(header),
            FirstBlock::Spare | FirstBlock::OtherVersion(_) => None,
            FirstBlock::Blank | FirstBlock::Damaged => frame
                .map(|f| guess(f.shard, f.segment, f.number, f.incarnation))
                .or(trailer.map(|t| guess(t.shard, t.segment, 0, 0))),
        };
        Self { first, header, trailer }
    }

    /// Whether the file holds nothing and never held anything that counts.
    pub fn is_spare(&self) -> bool {
        self.first == FirstBlock::Spare || self.first == FirstBlock::Blank && self.header.is_none()
    }

    /// Whether the first block was lost. A blank block before a frame is the torn first write of a segment; before a
    /// footer it is damage.
    pub fn lost_first_block(&self) -> bool {
        self.first == FirstBlock::Damaged || self.first == FirstBlock::Blank && self.trailer.is_some()
    }
}
