//! The footer of a sealed segment against what its frames hold.

use std::collections::HashMap;

use ringmail_shards::format::entry::{EntryHeader, EntryKind};
use ringmail_shards::format::footer::{Row, Run, parse_section};

use super::findings::Offsets;

/// An entry of records, as far as a footer knows it.
#[derive(Debug, Clone, Copy)]
struct Known {
    base: u64,
    end: u64,
    position: u64,
    bytes: u64,
    max_timestamp: i64,
}

/// The entries of a segment, by log, by whether they were copied there, and by whether they are given up.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<(u64, bool, bool), Vec<Known>>);

impl Held {
    /// Takes in an entry that begins at `position` of the file.
    pub fn take(&mut self, entry: &EntryHeader, position: u64) {
        if !entry.kind.has_offsets() {
            return;
        }
        let known = Known {
            base: entry.base_offset,
            end: entry.end_offset(),
            position,
            bytes: entry.entry_bytes() as u64,
            max_timestamp: entry.max_timestamp,
        };
        let lost = entry.kind == EntryKind::Lost;
        self.0.entry((entry.log, entry.is_relocated(), lost)).or_default().push(known);
    }

    /// What is wrong with a row of the footer of `segment`, of which `section` holds the runs.
    pub fn check(&mut self, segment: u64, row: &Row, section: &[u8]) -> Option<String> {
        let Some(runs) = parse_section(section, segment, row.section_at) else {
            return Some(
                "a section of the footer is damaged; the broker makes up for it by a scan".to_owned(),
            );
        };
        let entries = self.0.entry((row.log, row.relocated, row.lost)).or_default();
        entries.sort_by_key(|e| (e.base, e.position));
        let from = entries.partition_point(|e| e.base < row.base);
        let to = entries.partition_point(|e| e.base < row.end);
        let entries = &entries[from..to.max(from)];
        let bytes: u64 = entries.iter().map(|e| e.bytes).sum();
        let newest = entries.iter().map(|e| e.max_timestamp).max();
        // Recovery may have cut what the cleaner was stopped at copying: such a row is of a part of its runs.
        let reaches = |end: Option<u64>| end == Some(row.end) || row.relocated && end > Some(row.end);
        if !reaches(follow(entries.iter().map(|e| (e.base, e.end)), row.base)) {
            return Some("the frames do not hold what the footer says".to_owned());
        }
        let counted = bytes == row.bytes && newest.is_none_or(|newest| newest == row.max_timestamp);
        if !counted && !row.relocated {
            return Some("bytes or timestamps in the footer are not those of the frames".to_owned());
        }
        let range = |run: &Run| {
            let base = row.base + u64::from(run.offset_delta);
            (base, base + u64::from(run.records))
        };
        let placed = |run: &Run| {
            let base = range(run).0;
            let from = entries.partition_point(|e| e.base < base);
            let same = entries[from..].iter().take_while(|e| e.base == base);
            base >= row.end || same.into_iter().any(|e| e.position == run.position())
        };
        let right = reaches(follow(runs.iter().map(range), row.base)) && runs.iter().all(placed);
        (!right).then(|| "the runs in the footer are not where the frames have them".to_owned())
    }
}

/// The offsets that a row is about.
pub(super) fn offsets(row: &Row) -> Offsets {
    Offsets { log: row.log, from: row.base, end: row.end }
}

/// Where ranges that follow one another from `base` on end; `None` if there is a gap.
fn follow(mut ranges: impl Iterator<Item = (u64, u64)>, base: u64) -> Option<u64> {
    ranges.try_fold(base, |at, (from, to)| (from == at).then_some(to))
}
