//! What was found of records, taken into the index.

use crate::api::LogId;
use crate::config::LogConfig;
use crate::format::entry::EntryHeader;
use crate::index::{Extent, ExtentIndex, Log, Place};
use crate::shard::Shard;

impl Shard {
    /// Takes an extent into the index if the log lives and nothing else covers its offsets.
    pub(super) fn recover_extent(&mut self, log: LogId, extent: Extent) {
        let (segment, bytes) = (extent.segment, extent.bytes);
        if let ExtentIndex::Open(runs) = &extent.index {
            let runs = runs.len();
            self.count_dead(segment, bytes, runs);
        }
        if self.dropped.contains_key(&log) {
            return;
        }
        let state = self.logs.entry(log).or_insert_with(|| Log::new(LogConfig::KEEP, 0, 0));
        state.end = state.end.max(extent.end);
        let live = state.insert_missing(&extent);
        self.segments.get_mut(segment).expect("its segment was inserted").live_bytes += live;
    }

    pub(super) fn recover_records(&mut self, place: Place, entry: &EntryHeader) {
        let bytes = entry.entry_bytes() as u64;
        if self.dropped.contains_key(&entry.log) {
            return self.count_dead(place.segment, bytes, 0);
        }
        let state = self.logs.entry(entry.log).or_insert_with(|| Log::new(LogConfig::KEEP, 0, 0));
        // What a newer footer says of producers counts this entry in.
        if entry.base_offset >= state.end {
            self.take_producer(entry);
        }
        let state = self.logs.get_mut(&entry.log).expect("it is there by now");
        let last_end = state.extents.back().map_or(0, |e| e.end);
        let at = state.extent_from(entry.base_offset);
        if state.extents.get(at).is_some_and(|e| e.from <= entry.base_offset) {
            return self.count_dead(place.segment, bytes, 0);
        }
        if entry.base_offset >= last_end {
            let end = state.end.max(entry.end_offset());
            let (extents, runs) = state.push(place, entry);
            state.end = end;
            return self.count_entry(place.segment, bytes, extents, runs);
        }
        // Of a segment whose footer was lost: it stands before what the footers of later ones told.
        let before = state.extents.iter_mut().find(|e| e.continues(place, entry));
        let (extents, runs) = match before {
            Some(extent) => (0, extent.push(place, entry)),
            None => {
                state.insert(Extent::new(place, entry));
                (1, 1)
            }
        };
        self.count_entry(place.segment, bytes, extents, runs);
    }

    fn count_dead(&mut self, segment: u64, bytes: u64, runs: usize) {
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.total_bytes += bytes;
            segment.runs += runs;
        }
    }
}
