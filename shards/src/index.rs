//! What the shard knows of a log: where it stands, and in which segments its records are.

use crate::api::{Aborted, Isolation, LogState};
use crate::config::LogConfig;
use crate::format::entry::{EntryHeader, EntryKind};
use crate::format::footer::{RUN_BYTES, Run};
use crate::producers::Producers;
use std::collections::VecDeque;
use std::ops::Range;

/// Entries of the same run stand at most this far apart, in bytes.
const RUN_GAP: u64 = 4096;

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub segment: u64,
    /// In bytes from the start of the file.
    pub position: u64,
    /// Where the frame begins that holds it, likewise.
    pub frame_position: u64,
}

/// Where the runs of an extent are to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExtentIndex {
    /// Here, as the segment is not sealed yet.
    Open(Vec<Run>),
    /// In the segment's footer, at this place from its start and of this length, in bytes.
    Sealed { section_at: u32, section_bytes: u32 },
}

/// A range of a log's offsets in one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    pub segment: u64,
    /// What the runs' offsets count from.
    pub base: u64,
    /// The first offset that is read from here, and the one after the last. Mostly all there are: only recovery
    /// cuts, where the cleaner was stopped between copying and forgetting the original.
    pub from: u64,
    pub end: u64,
    pub max_timestamp: i64,
    pub bytes: u64,
    pub relocated: bool,
    /// Its records are lost, and given up: readers go on behind it.
    pub lost: bool,
    pub index: ExtentIndex,
}

impl Extent {
    /// An extent of one entry.
    pub fn new(place: Place, entry: &EntryHeader) -> Self {
        let mut extent = Self {
            segment: place.segment,
            base: entry.base_offset,
            from: entry.base_offset,
            end: entry.base_offset,
            max_timestamp: i64::MIN,
            bytes: 0,
            relocated: entry.is_relocated(),
            lost: entry.kind == EntryKind::Lost,
            index: ExtentIndex::Open(Vec::new()),
        };
        extent.push(place, entry);
        extent
    }

    /// Whether the entry continues this extent.
    pub fn continues(&self, place: Place, entry: &EntryHeader) -> bool {
        self.segment == place.segment
            && self.end == entry.base_offset
            && self.relocated == entry.is_relocated()
            && self.lost == (entry.kind == EntryKind::Lost)
            && matches!(self.index, ExtentIndex::Open(_))
            && entry.end_offset() - self.base <= u64::from(u32::MAX)
    }

    /// Adds the entry at the end; gives the number of runs that this added (0 or 1).
    pub fn push(&mut self, place: Place, entry: &EntryHeader) -> usize {
        let ExtentIndex::Open(runs) = &mut self.index else { unreachable!("sealed extents do not grow") };
        let bytes = entry.entry_bytes() as u32;
        self.end = entry.end_offset();
        self.max_timestamp = self.max_timestamp.max(entry.max_timestamp);
        self.bytes += u64::from(bytes);
        if let Some(run) = runs.last_mut() {
            let length = place.position + u64::from(bytes) - run.position().min(place.position);
            let same_frame = run.position() >= place.frame_position;
            let near = place.position.saturating_sub(run.end()) <= RUN_GAP;
            if same_frame && near && length <= u64::from(RUN_BYTES) {
                run.bytes = length as u32;
                run.records += entry.record_count;
                run.max_timestamp = run.max_timestamp.max(entry.max_timestamp);
                return 0;
            }
        }
        let delta = (entry.base_offset - self.base) as u32;
        runs.push(Run::new(place.position, bytes, delta, entry.record_count, entry.max_timestamp));
        1
    }
}

/// A log of the shard.
#[derive(Debug)]
pub(crate) struct Log {
    pub config: LogConfig,
    pub start: u64,
    pub high_watermark: u64,
    pub end: u64,
    /// In the order of their offsets, which do not overlap.
    pub extents: VecDeque<Extent>,
    /// The end of the log when retention by time last looked at it.
    pub age_checked: u64,
    pub watched: bool,
    /// What is known of its producers and transactions; most logs have none.
    pub producers: Option<Box<Producers>>,
    /// The frame that last took records of this log, and their place in the frame's list of such logs.
    pub touched: (u64, u32),
}

impl Log {
    pub fn new(config: LogConfig, start: u64, end: u64) -> Self {
        Self {
            config,
            start,
            high_watermark: end,
            end,
            extents: VecDeque::new(),
            age_checked: 0,
            watched: false,
            producers: None,
            touched: (0, 0),
        }
    }

    pub fn state(&self) -> LogState {
        LogState { bytes: self.extents.iter().map(|e| e.bytes).sum(), ..self.state_without_bytes() }
    }

    /// What readers of committed records may see ends here.
    pub fn last_stable(&self) -> u64 {
        let first = self.producers.as_ref().and_then(|producers| producers.unstable.first());
        first.map_or(self.high_watermark, |first| first.max(self.start).min(self.high_watermark))
    }

    /// All before this offset is durable.
    pub fn durable_to(&mut self, end: u64) {
        self.high_watermark = self.high_watermark.max(end);
        if let Some(producers) = &mut self.producers {
            producers.unstable.durable_to(self.high_watermark);
        }
    }

    /// Aborted transactions with records at these offsets, for readers who have to know.
    pub fn aborted(&self, isolation: Isolation, offsets: Range<u64>) -> Vec<Aborted> {
        match (&self.producers, isolation) {
            (Some(producers), Isolation::Committed) => {
                producers.unstable.aborted_in(offsets.start, offsets.end)
            }
            _ => Vec::new(),
        }
    }

    /// Where what a reader may see ends.
    pub fn end_for(&self, isolation: Isolation) -> u64 {
        self.state_without_bytes().end_for(isolation)
    }

    /// The greatest timestamp up to `limit` that a record may have which a reader may see; of what was deleted, too.
    pub fn greatest_timestamp(&self, isolation: Isolation, limit: i64) -> i64 {
        let until = self.end_for(isolation);
        let seen = self.extents.iter().filter(|e| e.from < until && !e.lost);
        let of_parts = seen.flat_map(|extent| {
            let runs = match &extent.index {
                // What is not durable yet is at the end of an extent that is open.
                ExtentIndex::Open(runs) if extent.end > until => runs.as_slice(),
                _ => &[],
            };
            let durable = runs.iter().filter(move |run| extent.base + u64::from(run.offset_delta) < until);
            let whole = runs.is_empty().then_some(extent.max_timestamp);
            durable.map(|run| run.max_timestamp).chain(whole)
        });
        of_parts.filter(|timestamp| *timestamp <= limit).max().unwrap_or(i64::MIN)
    }

    /// As [`Self::state`], without counting its bytes: what is needed for every read.
    pub fn state_without_bytes(&self) -> LogState {
        let (log_start, high_watermark, end) = (self.start, self.high_watermark, self.end);
        LogState { log_start, high_watermark, last_stable: self.last_stable(), end, bytes: 0 }
    }

    /// Takes in an entry of records that was appended at `place`; gives how many extents and runs it added.
    pub fn push(&mut self, place: Place, entry: &EntryHeader) -> (usize, usize) {
        self.end = entry.end_offset();
        match self.extents.back_mut() {
            Some(last) if last.continues(place, entry) => (0, last.push(place, entry)),
            _ => {
                self.extents.push_back(Extent::new(place, entry));
                (1, 1)
            }
        }
    }

    /// The place in `extents` of the one that holds `offset`, or if none does of the next one after it.
    pub fn extent_from(&self, offset: u64) -> usize {
        self.extents.partition_point(|e| e.end <= offset)
    }

    /// Puts an extent at its place; `false`, and nothing done, if it overlaps another.
    pub fn insert(&mut self, extent: Extent) -> bool {
        let at = self.extent_from(extent.from);
        if self.extents.get(at).is_some_and(|next| next.from < extent.end) {
            return false;
        }
        self.extents.insert(at, extent);
        true
    }

    /// Puts those parts of an extent at their places whose offsets no other extent has; gives the bytes that this brought to
    /// life. How many a part has is not known: it counts as one, for retention by bytes not to let go of too much.
    pub fn insert_missing(&mut self, extent: &Extent) -> u64 {
        let mut live = 0;
        let first = extent.from.max(self.start);
        let mut from = first;
        while from < extent.end {
            let at = self.extent_from(from);
            let next = self.extents.get(at).map(|e| (e.from, e.end));
            let end = next.map_or(extent.end, |(next, _)| next.min(extent.end));
            if from < end {
                let whole = (from, end) == (first, extent.end);
                let bytes = if whole { extent.bytes } else { 1 };
                live += bytes;
                self.extents.insert(at, Extent { from, end, bytes, ..extent.clone() });
            }
            from = next.map_or(extent.end, |(_, end)| end);
        }
        live
    }
}

/// The runs of `runs` (of an extent with this base) from the one on that holds `offset`.
pub(crate) fn runs_from(runs: &[Run], base: u64, offset: u64) -> &[Run] {
    let delta = u32::try_from(offset.saturating_sub(base)).unwrap_or(u32::MAX);
    let after = runs.partition_point(|r| r.offset_delta <= delta);
    &runs[after.saturating_sub(1)..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogConfig;

    fn sealed(from: u64, end: u64, bytes: u64) -> Extent {
        let index = ExtentIndex::Sealed { section_at: 0, section_bytes: 0 };
        let (segment, max_timestamp, relocated, lost) = (1, 0, false, false);
        Extent { segment, base: from, from, end, max_timestamp, bytes, relocated, lost, index }
    }

    #[test]
    fn of_an_extent_that_serves_in_part_no_more_bytes_are_counted_than_it_may_have() {
        let mut log = Log::new(LogConfig::KEEP, 0, 100);
        assert!(log.insert(sealed(40, 50, 500)));
        assert_eq!(log.insert_missing(&sealed(0, 60, 6000)), 2, "two parts, of bytes that are not known");
        assert_eq!(log.insert_missing(&sealed(60, 100, 4000)), 4000, "all of it");
        let bytes: Vec<_> = log.extents.iter().map(|e| (e.from, e.end, e.bytes)).collect();
        assert_eq!(bytes, [(0, 40, 1), (40, 50, 500), (50, 60, 1), (60, 100, 4000)]);
        assert_eq!(log.state().bytes, 4502);
    }
}
