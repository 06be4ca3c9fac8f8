//! What is not sealed: its frames in order, which of them count, and what their entries say.

use super::{Job, Recovery};
use crate::config::LogConfig;
use crate::format::entry::{EntryHeader, EntryKind};
use crate::index::{Extent, Log, Place};
use crate::io::{IoId, IoOp};
use crate::ops::Purpose;
use crate::scan::{FoundFrame, Scan};
use crate::segments::{Segment, SegmentState};
use crate::shard::Shard;
use bytes::Bytes;

impl Recovery {
    pub(super) fn next_scan(&mut self, shard: &mut Shard) {
        let Some(next) = self.unsealed.pop_front() else { return self.scanned(shard) };
        // Recovery seals before it goes on, and skips the numbers of frames that it cut off: after a sealed segment
        // a gap in the numbers is no loss.
        let before = shard.segments.before(next.number);
        if self.held.is_empty() && before.is_none_or(|s| s.state == SegmentState::Sealed) {
            self.expected = self.expected.max(next.first_frame);
        }
        let mut segment = Segment::new(next.number, next.bytes, next.first_frame, next.incarnation);
        segment.file = Some(next.file);
        segment.state = SegmentState::Closed;
        segment.last_frame = 0;
        shard.segments.insert(segment);
        self.scan = Some(Scan::new(next.file, next.number, next.incarnation, next.bytes));
        self.pump_scan(shard);
    }

    fn pump_scan(&mut self, shard: &mut Shard) {
        let Some(mut scan) = self.scan.take() else { return };
        while let Some((position, length)) = scan.next_read() {
            let io = shard.ops.push(IoOp::Read { file: scan.file, position, length }, Purpose::Recover);
            self.jobs.insert(io, Job::Scan);
            scan.reading(io);
        }
        let over = scan.is_over();
        self.scan = (!over).then_some(scan);
        if over {
            self.next_scan(shard);
        }
    }

    pub(super) fn scan_read(&mut self, shard: &mut Shard, id: IoId, data: Bytes) {
        let Some(mut scan) = self.scan.take() else { return };
        scan.take(id, data);
        while let Some(frame) = scan.next_frame() {
            self.frame_found(shard, frame);
        }
        self.scan = Some(scan);
        self.pump_scan(shard);
    }

    fn frame_found(&mut self, shard: &mut Shard, frame: FoundFrame) {
        self.max_seen = self.max_seen.max(frame.header.number);
        self.max_durable = self.max_durable.max(frame.header.durable);
        let whole = frame.wrong.is_none() && frame.header.number == self.expected;
        if whole && self.held.is_empty() {
            self.apply(shard, &frame);
        } else if frame.header.number >= self.expected {
            self.held.push(frame);
        }
    }

    /// Everything was scanned: what was held back is damage's neighbour, or was never durable.
    fn scanned(&mut self, shard: &mut Shard) {
        for frame in std::mem::take(&mut self.held) {
            let missing = frame.header.number > self.expected;
            let broken = missing || frame.wrong.is_some();
            let was_durable = if missing {
                self.expected <= self.max_durable
            } else {
                frame.header.number <= self.max_durable
            };
            if broken && !was_durable {
                // A torn tail: nothing from here on was ever acknowledged as durable.
                break;
            }
            if missing {
                shard.report_damage(frame.gap_before(self.expected));
            }
            if let Some(damage) = frame.damage() {
                shard.report_damage(damage);
            }
            self.apply(shard, &frame);
        }
        self.take_relocated(shard);
        self.settle(shard);
    }

    fn apply(&mut self, shard: &mut Shard, frame: &FoundFrame) {
        self.expected = frame.header.number + 1;
        if let Some(segment) = shard.segments.get_mut(frame.header.segment) {
            segment.last_frame = frame.header.number;
            // A frame that claims more than the file has is broken; the footer goes to the file's end all the same.
            let end = frame.position + frame.header.frame_bytes() as u64;
            segment.position = end.min(segment.file_bytes);
        }
        for &(entry, at) in &frame.entries {
            let place = Place {
                segment: frame.header.segment,
                position: frame.position + at as u64,
                frame_position: frame.position,
            };
            self.apply_entry(shard, place, &entry);
        }
    }

    fn apply_entry(&mut self, shard: &mut Shard, place: Place, entry: &EntryHeader) {
        let newer = place.segment > self.newest_sealed;
        match entry.kind {
            EntryKind::Records | EntryKind::Lost if entry.is_relocated() => {
                let extents = self.relocated.entry((place.segment, entry.log)).or_default();
                match extents.last_mut() {
                    Some(last) if last.continues(place, entry) => {
                        last.push(place, entry);
                    }
                    _ => extents.push(Extent::new(place, entry)),
                }
            }
            EntryKind::Records | EntryKind::Lost => shard.recover_records(place, entry),
            // What the footers say of older segments is newer.
            EntryKind::LogStart if newer => {
                if let Some(log) = shard.logs.get_mut(&entry.log) {
                    log.start = log.start.max(entry.base_offset);
                    log.end = log.end.max(entry.base_offset);
                } else if !shard.dropped.contains_key(&entry.log) {
                    let at = entry.base_offset;
                    shard.logs.insert(entry.log, Log::new(LogConfig::KEEP, at, at));
                }
            }
            EntryKind::Dropped if newer => {
                if let Some(log) = shard.logs.remove(&entry.log) {
                    for extent in &log.extents {
                        shard.forget_extent(extent.segment, extent.bytes);
                    }
                }
                shard.dropped.insert(entry.log, place.segment);
            }
            EntryKind::LogStart | EntryKind::Dropped => {}
        }
    }
}
