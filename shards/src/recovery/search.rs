//! Files whose first block says of no segment, though there may be one: before such a file is written over as a spare one, or
//! left alone as damaged, its frames are looked for. The newest tell what it holds.

use super::{Job, Recovery};
use crate::format::frame::FrameHeader;
use crate::format::segment::{FirstBlock, SegmentHeader};
use crate::io::BLOCK_BYTES;
use crate::shard::Shard;

/// Bytes that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// A search under way, or over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Search {
    /// Where it goes on, and where it ends, in bytes from the start of the file.
    next: u64,
    end: u64,
    /// The newest frame that was found, and the number of the first of the same segment.
    newest: Option<(FrameHeader, u64)>,
}

impl Search {
    /// Notes the frames that begin in `data`, which begins at `position`. Those of segments up to `held` are what the file held
    /// before.
    fn take(&mut self, data: &[u8], position: u64, shard: u16, held: u64) {
        let blocks = (position..).step_by(BLOCK_BYTES).zip(data.chunks(BLOCK_BYTES));
        let frames = blocks.filter_map(|(at, block)| FrameHeader::parse(block).filter(|f| f.position == at));
        for frame in frames.filter(|f| f.shard == shard && f.segment > held) {
            let of = |f: &FrameHeader| (f.segment, f.incarnation);
            self.newest = match self.newest {
                Some((newest, first)) if of(&newest) == of(&frame) => Some((frame, first)),
                Some((newest, first)) if newest.number > frame.number => Some((newest, first)),
                _ => Some((frame, frame.number)),
            };
        }
    }
}

impl Recovery {
    /// Begins to look for frames in a file. Of one that says it is spare, or was never written, only the place is looked at where
    /// the first frames must be; of one that is damaged, that ends in a footer, or that would be removed, all.
    pub(super) fn search(&mut self, shard: &mut Shard, k: usize) {
        let config = &shard.config;
        let first_frames = (BLOCK_BYTES * 4 + config.write_bytes + config.max_batch_bytes) as u64;
        let file = &mut self.files[k];
        let looks_spare = matches!(file.first, FirstBlock::Spare { .. } | FirstBlock::Blank);
        let some = looks_spare && file.trailer.is_none() && file.bytes == config.segment_bytes;
        let end = if some { file.bytes.min(first_frames & !(BLOCK_BYTES as u64 - 1)) } else { file.bytes };
        file.search = Search { next: BLOCK_BYTES as u64, end, newest: None };
        self.search_on(shard, k);
    }

    fn search_on(&mut self, shard: &mut Shard, k: usize) {
        let file = &mut self.files[k];
        let (id, position) = (file.id, file.search.next);
        let length = READ_BYTES.min(file.search.end.saturating_sub(position));
        if length == 0 {
            return self.searched(shard, k);
        }
        file.search.next += length;
        self.read(shard, Job::Search(k), id, position, length as usize);
    }

    /// A read of a search has ended.
    pub(super) fn search_read(&mut self, shard: &mut Shard, k: usize, data: &[u8]) {
        let file = &mut self.files[k];
        let held = if let FirstBlock::Spare { held, .. } = file.first { held } else { 0 };
        let position = file.search.next - data.len().next_multiple_of(BLOCK_BYTES) as u64;
        file.search.take(data, position, shard.config.shard, held);
        self.search_on(shard, k);
    }

    fn searched(&mut self, shard: &mut Shard, k: usize) {
        let file = &mut self.files[k];
        let newest = file.search.newest;
        let looks_spare = matches!(file.first, FirstBlock::Spare { .. } | FirstBlock::Blank);
        if looks_spare && newest.is_none() && file.trailer.is_some() {
            self.only_footer.push(k);
            return self.opened(shard);
        }
        // A footer behind other frames, or behind none, is an old one, or was written for another file.
        file.trailer = file.trailer.filter(|t| newest.is_some_and(|(frame, _)| frame.segment == t.segment));
        file.header = newest.map(|(frame, first)| SegmentHeader {
            first_frame: first,
            // That it is the same says that nothing is known: earlier frames may be lost.
            previous_frame: first,
            ..SegmentHeader::of_frame(&frame, file.bytes)
        });
        if looks_spare && file.header.is_some() && file.trailer.is_none() {
            self.stray.push(k);
            return self.opened(shard);
        }
        self.file_known(shard, k);
    }
}
