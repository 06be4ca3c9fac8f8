//! The shard's segments: the one being written, those being sealed, those sealed, and spare files.

use crate::format::footer::{LogSnapshot, Row};
use crate::format::segment::SegmentHeader;
use crate::io::{BLOCK_BYTES, FileId};
use std::collections::BTreeMap;

/// How far a segment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// It takes frames.
    Active,
    /// It takes no more; the footer is written once all its frames are durable.
    Closed,
    /// The footer is being written.
    Sealing,
    /// The footer is durable.
    Sealed,
    /// Nothing in it could be read at start-up: it is left alone.
    Damaged,
}

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub number: u64,
    /// `None` while it waits for one: files may be made more slowly than appends come.
    pub file: Option<FileId>,
    pub file_bytes: u64,
    pub state: SegmentState,
    /// Where the next frame goes.
    pub position: u64,
    pub first_frame: u64,
    pub incarnation: u64,
    /// See [`SegmentHeader::previous_frame`].
    pub previous_frame: u64,
    pub last_frame: u64,
    /// Extents and runs in it, for the size of the footer.
    pub extents: usize,
    pub runs: usize,
    /// Bytes of entries that are live.
    pub live_bytes: u64,
    /// Bytes of all entries.
    pub total_bytes: u64,
    /// The logs as they stood when it was closed.
    pub snapshot: Vec<LogSnapshot>,
    /// Likewise, their producers and transactions, as a footer has them.
    pub states: Vec<u8>,
    /// Where its footer begins, once sealed.
    pub footer_at: u64,
    /// The rows of the footer while it is being written.
    pub rows: Vec<Row>,
    /// The directory of the footer, until its sections are durable.
    pub directory: Vec<u8>,
    /// When to try again to seal it; milliseconds since the Unix epoch.
    pub seal_at_ms: u64,
    /// The cleaner could not read it.
    pub left_alone: bool,
    /// It may be recycled once this frame is durable: what emptied it is in there.
    pub empty_after: u64,
}

impl Segment {
    pub fn new(number: u64, file_bytes: u64, first_frame: u64, incarnation: u64) -> Self {
        Self {
            number,
            file: None,
            file_bytes,
            state: SegmentState::Active,
            position: 0,
            first_frame,
            incarnation,
            previous_frame: first_frame.saturating_sub(1),
            last_frame: first_frame.saturating_sub(1),
            extents: 0,
            runs: 0,
            live_bytes: 0,
            total_bytes: 0,
            snapshot: Vec::new(),
            states: Vec::new(),
            footer_at: 0,
            rows: Vec::new(),
            directory: Vec::new(),
            seal_at_ms: 0,
            left_alone: false,
            empty_after: 0,
        }
    }

    pub fn header_block(&self, shard: u16) -> [u8; BLOCK_BYTES] {
        SegmentHeader {
            shard,
            segment: self.number,
            file_bytes: self.file_bytes,
            first_frame: self.first_frame,
            incarnation: self.incarnation,
            previous_frame: self.previous_frame,
        }
        .to_block()
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, SegmentState::Sealed | SegmentState::Damaged)
    }

    /// The share of its entries that is live.
    pub fn live_ratio(&self) -> f64 {
        if self.total_bytes == 0 { 0.0 } else { self.live_bytes as f64 / self.total_bytes as f64 }
    }
}

/// A file that waits to become a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spare {
    pub file: FileId,
    /// How much of it has been written before; writing there again needs no change of metadata.
    pub written: u64,
    /// A fill of it is under way: it cannot be taken.
    pub busy: bool,
}

/// All segments, by number, and the spare files.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    by_number: BTreeMap<u64, Segment>,
    pub spares: Vec<Spare>,
    /// Segments that nothing needs, by the files that still hold them: a crash may bring them back.
    pub leaving: BTreeMap<FileId, u64>,
    pub next_file: u64,
    pub next_number: u64,
}

impl Segments {
    pub fn insert(&mut self, segment: Segment) {
        self.next_number = self.next_number.max(segment.number + 1);
        self.by_number.insert(segment.number, segment);
    }

    pub fn get(&self, number: u64) -> Option<&Segment> {
        self.by_number.get(&number)
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Segment> {
        self.by_number.get_mut(&number)
    }

    pub fn remove(&mut self, number: u64) -> Option<Segment> {
        self.by_number.remove(&number)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.by_number.values()
    }

    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Segment> {
        self.by_number.values_mut()
    }

    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Segments that took frames before there was a file for them, oldest first: the active one, and with small segments
    /// some that are closed already.
    pub fn without_file(&self) -> impl Iterator<Item = &Segment> {
        self.iter().filter(|s| s.file.is_none())
    }

    /// The oldest of those sealed segments that say how all logs stand: the newest, from which start-up takes it, and the one
    /// before, with which that is found again if the newest is lost. They are kept even if nothing in them lives.
    pub fn oldest_of_state(&self) -> Option<u64> {
        let sealed = self.iter().rev().filter(|s| s.state == SegmentState::Sealed);
        sealed.take(2).last().map(|s| s.number)
    }

    /// The number of the oldest segment that there is, or that may come back; the greatest of all numbers if there is none.
    pub fn oldest(&self) -> u64 {
        let oldest = self.by_number.keys().next().copied();
        oldest.into_iter().chain(self.leaving.values().copied()).min().unwrap_or(u64::MAX)
    }

    /// A name that no file has or had since start-up.
    pub fn fresh_file(&mut self) -> FileId {
        let file = FileId(self.next_file);
        self.next_file += 1;
        file
    }

    /// Takes the spare of which most has been written.
    pub fn take_spare(&mut self) -> Option<Spare> {
        let best = (0..self.spares.len())
            .filter(|&k| !self.spares[k].busy)
            .max_by_key(|&k| self.spares[k].written)?;
        Some(self.spares.swap_remove(best))
    }
}
