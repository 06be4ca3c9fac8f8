//! Mending a shard of which something was lost: entries that were saved are put back at their offsets, and what nobody has
//! any more is given up, so that readers go on behind it. Both are stored like the copies of the cleaner: they count where
//! no original has the offsets, so that a damaged segment that is put back whole is served again.
//!
//! To be used on a shard that has recovered and serves nobody: `ringmail log repair` does.

use crate::api::{AppendError, LogId};
use crate::commit::Commit;
use crate::config::LogConfig;
use crate::format::entry::{EntryHeader, EntryKind, FLAG_RELOCATED, PayloadCodec};
use crate::format::footer::LogSnapshot;
use crate::format::states::LogStates;
use crate::index::{Extent, Log};
use crate::io::FileId;
use crate::producers::Producers;
use crate::segments::SegmentState;
use crate::shard::{Shard, control_entry};
use std::ops::Range;

/// What must not go backwards, however much of a log is lost: numbers and offsets that were given out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where the logs stand, each once.
    pub logs: Vec<LogSnapshot>,
    /// What is known of their producers and transactions.
    pub states: Vec<LogStates>,
    /// The number of the next segment.
    pub next_segment: u64,
    /// The number of the next frame.
    pub next_frame: u64,
    /// The last frame before that which counts: those between were cut off.
    pub last_frame: u64,
}

impl Standing {
    /// The log's entry, made anew with `start` if there is none.
    pub fn log(&mut self, log: LogId, start: u64) -> &mut LogSnapshot {
        let at = self.logs.iter().position(|s| s.log == log).unwrap_or_else(|| {
            self.logs.push(LogSnapshot { log, start, end: start, dropped: false });
            self.logs.len() - 1
        });
        &mut self.logs[at]
    }
}

/// A segment that recovery knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSegment {
    /// Its file.
    pub file: FileId,
    /// Its number.
    pub number: u64,
    /// See [`crate::format::segment::SegmentHeader::incarnation`]; 0 if only the footer told of the segment.
    pub incarnation: u64,
    /// Its last frame: what looks like a later one was cut off. `None` if nothing of it could be read.
    pub last_frame: Option<u64>,
}

impl Shard {
    /// Where the shard stands.
    pub fn standing(&self) -> Standing {
        Standing {
            logs: self.snapshot(),
            states: self.log_states(),
            next_segment: self.segments.next_number,
            next_frame: self.commit.current_frame(),
            last_frame: self.commit.counted_before(self.commit.current_frame()),
        }
    }

    /// The segments that have files.
    pub fn known_segments(&self) -> Vec<KnownSegment> {
        let known = |s: &crate::segments::Segment| {
            let last_frame = (s.state != SegmentState::Damaged).then_some(s.last_frame);
            Some(KnownSegment { file: s.file?, number: s.number, incarnation: s.incarnation, last_frame })
        };
        self.segments.iter().filter_map(known).collect()
    }

    /// Goes on from `standing` where the shard, which has just recovered without some of its segments, knows of less.
    ///
    /// # Panics
    /// If anything was appended before.
    pub fn stand(&mut self, standing: &Standing) {
        assert!(self.is_ready() && self.commit.is_idle(), "a standing is taken before anything is appended");
        self.segments.next_number = self.segments.next_number.max(standing.next_segment);
        let next = self.commit.current_frame();
        let counted = self.commit.counted_before(next).max(standing.last_frame);
        self.commit = Commit::new(next.max(standing.next_frame), counted);
        for &LogSnapshot { log, start, end, dropped } in &standing.logs {
            if dropped {
                if let Some(state) = self.logs.remove(&log) {
                    state.extents.iter().for_each(|e| self.forget_extent(e.segment, e.bytes));
                }
                self.dropped.insert(log, self.segments.next_number);
                continue;
            }
            let state = self.logs.entry(log).or_insert_with(|| Log::new(LogConfig::KEEP, start, end));
            state.start = state.start.max(start);
            state.end = state.end.max(end);
            state.high_watermark = state.end;
            self.forget_before_start(log);
        }
        for states in &standing.states {
            if let Some(state) = self.logs.get_mut(&states.log) {
                state.producers = Some(Box::new(Producers::from_states(states.clone())));
            }
        }
        self.count_producers();
    }

    /// The offsets of each log that no segment holds though one should, in order.
    pub fn holes(&self) -> Vec<(LogId, Range<u64>)> {
        let mut holes = Vec::new();
        for (&log, state) in &self.logs {
            let mut next = state.start;
            let ends = [(state.end, state.end)];
            for (from, end) in state.extents.iter().map(|e| (e.from, e.end)).chain(ends) {
                if from > next {
                    holes.push((log, next..from));
                }
                next = next.max(end);
            }
        }
        holes.sort_unstable_by_key(|(log, range)| (*log, range.start));
        holes
    }

    /// Stores an entry of records that was saved from a damaged segment. Of its offsets those count that nothing else has.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was stored then.
    pub fn put_back(&mut self, entry: &EntryHeader, payload: &[u8]) -> Result<(), AppendError> {
        let entry = EntryHeader { flags: entry.flags | FLAG_RELOCATED, ..*entry };
        let place = self.place(&entry, payload, true)?;
        let state = self.logs.entry(entry.log).or_insert_with(|| Log::new(LogConfig::KEEP, 0, 0));
        state.end = state.end.max(entry.end_offset());
        state.high_watermark = state.end;
        let at = state.extent_from(entry.base_offset);
        let free = state.extents.get(at).is_none_or(|next| next.from >= entry.end_offset());
        let before = at.checked_sub(1).and_then(|before| state.extents.get_mut(before));
        let (extents, runs) = match before.filter(|e| free && e.continues(place, &entry)) {
            Some(extent) => (0, extent.push(place, &entry)),
            None => {
                let known = state.extents.len();
                state.insert_missing(&Extent::new(place, &entry));
                let parts = state.extents.len() - known;
                (parts, parts)
            }
        };
        self.count_entry(place.segment, entry.entry_bytes() as u64, extents, runs);
        Ok(())
    }

    /// Gives up the records of a log at `offsets`.
    ///
    /// # Errors
    /// See [`AppendError`]; those up to some offset may have been given up then.
    pub fn give_up(&mut self, log: LogId, offsets: Range<u64>) -> Result<(), AppendError> {
        lost_entries(log, offsets).try_for_each(|entry| self.put_back(&entry, &[]))
    }

    /// Has the standing stored, by the snapshot of the segment that is written to: something has to stand in that for it to
    /// be sealed.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn store_standing(&mut self) -> Result<(), AppendError> {
        let Some((&log, start)) = self.logs.iter().next().map(|(log, state)| (log, state.start)) else {
            return Ok(());
        };
        self.place(&control_entry(EntryKind::LogStart, log, start), &[], true).map(drop)
    }
}

/// The entries that say of `offsets` that they are given up.
pub(crate) fn lost_entries(log: LogId, offsets: Range<u64>) -> impl Iterator<Item = EntryHeader> {
    const MOST: u64 = u32::MAX as u64;
    let Range { start, end } = offsets;
    (start..end).step_by(MOST as usize).map(move |base_offset| EntryHeader {
        log,
        base_offset,
        record_count: MOST.min(end - base_offset) as u32,
        kind: EntryKind::Lost,
        codec: PayloadCodec::None,
        flags: FLAG_RELOCATED,
        // No search by time ends here.
        max_timestamp: i64::MIN,
        producer: None,
        payload_bytes: 0,
        payload_crc: 0,
    })
}
