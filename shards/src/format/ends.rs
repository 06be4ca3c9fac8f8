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
    /// The header of the frame behind it, if one can be read.
    pub frame: Option<FrameHeader>,
    /// The segment, told by the first frame or the footer if the first block is lost; `None` if the file holds none,
    /// or none that can be known.
    pub header: Option<SegmentHeader>,
    /// The end of its footer, if it is sealed.
    pub trailer: Option<Trailer>,
}

impl Ends {
    /// As [`Self::read`], without regard to what the first block says.
    pub fn without_first_block(head: &[u8], tail: &[u8], file_bytes: u64, own: Option<u16>) -> Self {
        Self::with_first_block(FirstBlock::Damaged, head, tail, file_bytes, own)
    }

    /// Reads `head` (the first [`HEAD_BYTES`] of the file) and `tail` (which ends where the file ends, at
    /// `file_bytes`). If `own` is given, frames and footers of other shards mean nothing.
    pub fn read(head: &[u8], tail: &[u8], file_bytes: u64, own: Option<u16>) -> Self {
        let first = parse_first_block(&head[..BLOCK_BYTES.min(head.len())]);
        Self::with_first_block(first, head, tail, file_bytes, own)
    }

    fn with_first_block(
        first: FirstBlock,
        head: &[u8],
        tail: &[u8],
        file_bytes: u64,
        own: Option<u16>,
    ) -> Self {
        let is_own = |shard: u16| own.is_none_or(|own| own == shard);
        // What a spare file held before it was marked counts no more.
        let held = if let FirstBlock::Spare { held, .. } = first { held } else { 0 };
        let frame = head.get(BLOCK_BYTES..).and_then(FrameHeader::parse);
        let frame = frame.filter(|f| is_own(f.shard) && f.segment > held && f.position == BLOCK_BYTES as u64);
        let trailer = Trailer::parse(tail)
            .filter(|t| is_own(t.shard) && t.footer_bytes <= file_bytes.saturating_sub(BLOCK_BYTES as u64))
            // A file that was used again may still end in the footer of what it held before.
            .filter(|t| match first {
                FirstBlock::Segment(header) => header.segment == t.segment,
                FirstBlock::OtherVersion(_) => false,
                _ => t.segment > held && frame.is_none_or(|f| f.segment == t.segment),
            });
        let header = match first {
            FirstBlock::Segment(header) => Some(header),
            FirstBlock::OtherVersion(_) => None,
            _ => frame.map(|f| SegmentHeader::of_frame(&f, file_bytes)).or(trailer.map(|t| SegmentHeader {
                shard: t.shard,
                segment: t.segment,
                file_bytes,
                first_frame: 0,
                incarnation: 0,
                previous_frame: 0,
            })),
        };
        Self { first, frame, header, trailer }
    }

    /// Whether the file holds nothing and never held anything that counts.
    pub fn is_spare(&self) -> bool {
        matches!(self.first, FirstBlock::Spare { .. } | FirstBlock::Blank) && self.header.is_none()
    }

    /// Whether nothing bears out what the first block says of a segment: either the segment's first write was torn, or the
    /// block was written for another file.
    pub fn is_doubtful(&self) -> bool {
        let FirstBlock::Segment(header) = self.first else { return false };
        let borne_out = |f: FrameHeader| (f.segment, f.incarnation) == (header.segment, header.incarnation);
        self.trailer.is_none() && !self.frame.is_some_and(borne_out)
    }

    /// Whether the first block was lost. A block that says of no segment, before a frame of one, may be the torn first write
    /// of that; before a footer it is damage.
    pub fn lost_first_block(&self) -> bool {
        match self.first {
            FirstBlock::Damaged => true,
            FirstBlock::Blank | FirstBlock::Spare { .. } => self.trailer.is_some(),
            FirstBlock::Segment(_) | FirstBlock::OtherVersion(_) => false,
        }
    }
}
