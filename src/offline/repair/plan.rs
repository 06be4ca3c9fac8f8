//! What of the damaged files is needed, and what is lost.

use std::collections::BTreeMap;
use std::ops::Range;

use ringmail_shards::api::LogId;
use ringmail_shards::format::entry::{EntryHeader, EntryKind};
use ringmail_shards::mend::Standing;

use crate::node::catalog::CATALOG_LOG;

/// An entry that is to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lift {
    /// Of which source.
    pub source: usize,
    pub entry: EntryHeader,
    pub position: u64,
    /// Records of it that nothing else has.
    pub records: u64,
}

/// What is to be done to a shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub lifts: Vec<Lift>,
    /// Offsets that are lost.
    pub lost: Vec<(LogId, Range<u64>)>,
}

/// Has what the control entries and records of `entries` say count in `standing`.
pub(super) fn learn<'a>(standing: &mut Standing, entries: impl Iterator<Item = &'a EntryHeader> + Clone) {
    let mut unknown: BTreeMap<LogId, u64> = BTreeMap::new();
    for entry in entries.clone().filter(|e| e.kind.has_offsets()) {
        if standing.logs.iter().all(|s| s.log != entry.log) {
            // Of a log of which nothing else is known the start is not known either.
            let first = unknown.entry(entry.log).or_insert(entry.base_offset);
            *first = (*first).min(entry.base_offset);
        }
    }
    for (log, first) in unknown {
        standing.log(log, first);
    }
    for entry in entries {
        let log = standing.log(entry.log, entry.base_offset);
        match entry.kind {
            EntryKind::Records | EntryKind::Lost => log.end = log.end.max(entry.end_offset()),
            EntryKind::LogStart => {
                log.start = log.start.max(entry.base_offset);
                log.end = log.end.max(log.start);
            }
            EntryKind::Dropped => log.dropped = true,
        }
    }
}

impl Plan {
    /// Fills `holes` from the whole entries of the sources, the first of which go first; what stays open is lost.
    pub fn new(holes: Vec<(LogId, Range<u64>)>, sources: &[&[(EntryHeader, u64)]]) -> Self {
        let mut open = Holes::default();
        for (log, hole) in holes {
            open.0.entry(log).or_default().insert(hole.start, hole.end);
        }
        let mut lifts = Vec::new();
        for kind in [EntryKind::Records, EntryKind::Lost] {
            for (source, whole) in sources.iter().enumerate() {
                for &(entry, position) in whole.iter().filter(|(e, _)| e.kind == kind) {
                    let records = open.fill(entry.log, entry.base_offset..entry.end_offset());
                    if records > 0 {
                        lifts.push(Lift { source, entry, position, records });
                    }
                }
            }
        }
        let logs = open.0.into_iter();
        let lost = logs.flat_map(|(log, holes)| holes.into_iter().map(move |(from, end)| (log, from..end)));
        Self { lifts, lost: lost.collect() }
    }

    /// What is lost of the catalog: nobody can do without it.
    pub fn lost_of_catalog(&self) -> impl Iterator<Item = &Range<u64>> {
        self.lost.iter().filter(|(log, _)| *log == CATALOG_LOG).map(|(_, range)| range)
    }

    /// What can be given up.
    pub fn given_up(&self) -> impl Iterator<Item = &(LogId, Range<u64>)> {
        self.lost.iter().filter(|(log, _)| *log != CATALOG_LOG)
    }
}

/// Open ranges of offsets, by log and start.
#[derive(Debug, Default)]
struct Holes(BTreeMap<LogId, BTreeMap<u64, u64>>);

impl Holes {
    /// Closes what is open of `range`, and gives how many offsets that were.
    fn fill(&mut self, log: LogId, range: Range<u64>) -> u64 {
        let Some(holes) = self.0.get_mut(&log) else { return 0 };
        let overlapping = holes.range(..range.end).rev().take_while(|(_, end)| **end > range.start);
        let overlapping: Vec<(u64, u64)> = overlapping.map(|(from, end)| (*from, *end)).collect();
        let mut filled = 0;
        for (from, end) in overlapping {
            holes.remove(&from);
            if from < range.start {
                holes.insert(from, range.start);
            }
            if end > range.end {
                holes.insert(range.end, end);
            }
            filled += end.min(range.end) - from.max(range.start);
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use ringmail_shards::format::entry::PayloadCodec;

    use super::*;

    fn records(log: LogId, offsets: Range<u64>) -> (EntryHeader, u64) {
        let entry = EntryHeader {
            log,
            base_offset: offsets.start,
            record_count: (offsets.end - offsets.start) as u32,
            kind: EntryKind::Records,
            codec: PayloadCodec::None,
            flags: 0,
            max_timestamp: 0,
            producer: None,
            payload_bytes: 0,
            payload_crc: 0,
        };
        (entry, 4096 + 64 * offsets.start)
    }

    #[test]
    fn only_what_is_missing_is_lifted() {
        let newer = [records(1, 12..14), records(1, 30..40), records(2, 0..5)];
        let older = [records(1, 10..12), records(1, 12..14), records(1, 14..22)];
        let plan = Plan::new(vec![(1, 5..20), (1, 35..38)], &[&newer, &older]);
        let lifted: Vec<_> = plan.lifts.iter().map(|l| (l.source, l.entry.base_offset, l.records)).collect();
        assert_eq!(lifted, [(0, 12, 2), (0, 30, 3), (1, 10, 2), (1, 14, 6)]);
        assert_eq!(plan.lost, [(1, 5..10)]);
    }

    #[test]
    fn an_entry_over_several_holes_fills_them_all() {
        let plan = Plan::new(vec![(1, 5..7), (1, 9..11), (1, 13..20)], &[&[records(1, 6..15)]]);
        assert_eq!(plan.lifts[0].records, 1 + 2 + 2);
        assert_eq!(plan.lost, [(1, 5..6), (1, 15..20)]);
    }

    #[test]
    fn numbers_only_go_up() {
        let mut standing = Standing::default();
        standing.log(1, 10).end = 20;
        let start = EntryHeader { kind: EntryKind::LogStart, record_count: 0, ..records(1, 12..12).0 };
        let dropped = EntryHeader { kind: EntryKind::Dropped, record_count: 0, ..records(3, 9..9).0 };
        let entries = [records(1, 5..8).0, records(2, 40..50).0, records(2, 30..35).0, start, dropped];
        learn(&mut standing, entries.iter());
        let stands: Vec<_> = standing.logs.iter().map(|s| (s.log, s.start, s.end, s.dropped)).collect();
        assert_eq!(stands, [(1, 12, 20, false), (2, 30, 50, false), (3, 9, 9, true)]);
    }
}
