//! What is not sealed: its frames in order, which of them count, and what their entries say.

use super::{Job, Recovery, SealedFile, UnsealedFile};
use crate::canary::{self, Canary};
use crate::config::LogConfig;
use crate::damage::Damage;
use crate::format::entry::{EntryHeader, EntryKind};
use crate::format::segment::SegmentHeader;
use crate::index::{Extent, Log, Place};
use crate::io::{BLOCK_BYTES, IoId, IoOp};
use crate::ops::Purpose;
use crate::scan::{FoundFrame, Scan};
use crate::segments::{Segment, SegmentState};
use crate::shard::Shard;
use bytes::Bytes;

impl Recovery {
    /// Finds out which frames need not be found by a scan: those of sealed segments, of segments that were used again, and those
    /// that earlier recoveries cut off.
    pub(super) fn account(&mut self) {
        self.correct_guesses();
        let sealed = self.sealed.iter().map(|s| (s.header, Some(s.trailer.last_frame)));
        let mut known: Vec<_> = sealed.chain(self.unsealed.iter().map(|u| (u.header, None))).collect();
        known.sort_unstable_by_key(|(header, _)| header.segment);
        let mut before: Option<(SegmentHeader, Option<u64>)> = None;
        for (header, last) in known {
            let follows =
                |b: &SegmentHeader| b.segment + 1 == header.segment && b.incarnation != header.incarnation;
            if let Some((b, _)) =
                before.filter(|(b, _)| follows(b) && self.with_header.contains(&header.segment))
            {
                // A start between the two had settled how far the first counts.
                self.durable_to(b.incarnation, header.previous_frame);
            }
            // Of a segment whose first block is lost it may not be known which frame is the first.
            let first = header.first_frame;
            if header.previous_frame < first {
                self.cut_off.push(header.previous_frame + 1..first);
                match before {
                    Some((b, _)) if b.segment + 1 == header.segment => {}
                    // Segments are used again once later ones are sealed: one that is missing here never became durable.
                    _ if header.segment > self.newest_sealed => {}
                    Some((_, Some(last))) => self.accounted.push(last + 1..first),
                    Some((b, None)) => self.accounted.push(b.first_frame..first),
                    None => self.accounted.push(0..first),
                }
            }
            self.accounted.extend(last.map(|last| first..last + 1));
            before = Some((header, last));
        }
        self.accounted.extend(self.cut_off.iter().cloned());
    }

    /// What stands in for a lost first block guesses that no frame was cut off before it. If a start came between, the footer of the
    /// segment before knows.
    fn correct_guesses(&mut self) {
        for guess in self.unsealed.iter_mut().filter(|u| !self.with_header.contains(&u.number)) {
            let SegmentHeader { incarnation, first_frame, previous_frame, .. } = guess.header;
            // Neither of the same start, nor of one that is not known.
            let of_another = |s: &&SealedFile| ![0, incarnation].contains(&s.header.incarnation);
            let before = self.sealed.iter().find(|s| s.number + 1 == guess.number).filter(of_another);
            let before = before.filter(|_| previous_frame < first_frame);
            if let Some(before) = before {
                guess.header.previous_frame = previous_frame.min(before.trailer.last_frame);
            }
        }
    }

    /// A frame of this incarnation, or a start after it, says that all up to `frame` were durable.
    pub(super) fn durable_to(&mut self, incarnation: u64, frame: u64) {
        self.max_durable = self.max_durable.max(frame);
        let known = self.durable_in.entry(incarnation).or_default();
        *known = frame.max(*known);
    }

    /// The first frame from `from` on, and before `until`, that is nowhere though it should be.
    fn first_lost(&self, from: u64, until: u64) -> Option<u64> {
        let mut at = from;
        while at < until {
            match self.accounted.iter().find(|range| range.contains(&at)) {
                Some(range) => at = range.end,
                None => return Some(at),
            }
        }
        None
    }

    pub(super) fn next_scan(&mut self, shard: &mut Shard) {
        let Some(next) = self.unsealed.pop_front() else { return self.scanned(shard) };
        let UnsealedFile { file, bytes, number, header } = next;
        if self.held.is_empty() && self.first_lost(self.expected, header.first_frame).is_none() {
            self.expected = self.expected.max(header.first_frame);
        }
        let mut segment = Segment::new(number, bytes, header.first_frame, header.incarnation);
        segment.file = Some(file);
        segment.state = SegmentState::Closed;
        segment.previous_frame = header.previous_frame;
        segment.last_frame = 0;
        shard.segments.insert(segment);
        self.scan = Some(Scan::new(file, number, header.incarnation, bytes));
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
        let mut frames = std::iter::from_fn(|| scan.next_frame()).peekable();
        while let Some(frame) = frames.next() {
            if canary::on(Canary::ForgetLastFrame) && frames.peek().is_none() {
                break;
            }
            self.frame_found(shard, frame);
        }
        self.scan = Some(scan);
        self.pump_scan(shard);
    }

    fn frame_found(&mut self, shard: &mut Shard, frame: FoundFrame) {
        self.max_seen = self.max_seen.max(frame.header.number);
        self.durable_to(frame.header.incarnation, frame.header.durable);
        if self.cut_off.iter().any(|range| range.contains(&frame.header.number)) {
            return;
        }
        let whole = frame.wrong.is_none() && frame.header.number == self.expected;
        if whole && self.held.is_empty() {
            self.apply(shard, &frame);
        } else if frame.header.number >= self.expected {
            self.held.push(frame);
        }
    }

    /// Everything was scanned: what was held back is damage's neighbour, or was never durable.
    fn scanned(&mut self, shard: &mut Shard) {
        let mut undecided = None;
        for frame in std::mem::take(&mut self.held) {
            let incarnation = frame.header.incarnation;
            if undecided == Some(incarnation) {
                continue;
            }
            let entered = self.enter_segment(shard, frame.header.segment);
            let missing = frame.header.number > self.expected;
            let broken = missing || frame.wrong.is_some();
            // Of what is not whole, this is the last. It need not have been durable because what stands before it was.
            let last = frame.header.number - u64::from(frame.wrong.is_none());
            if !entered || broken && last > self.max_durable {
                // A torn tail: nothing from here on was ever acknowledged as durable.
                break;
            }
            if broken && last > self.durable_in.get(&incarnation).copied().unwrap_or(0) {
                undecided = Some(incarnation);
                self.leave_undecided(shard, &frame);
                continue;
            }
            if missing {
                shard.report_damage(frame.gap_before(self.expected));
            }
            if let Some(damage) = frame.damage() {
                shard.report_damage(damage);
            }
            self.apply(shard, &frame);
        }
        self.report_lost_end(shard, self.max_durable + 1);
        self.take_relocated(shard);
        self.settle(shard);
    }

    /// A start after the one that wrote this frame may have cut it off, with all behind it, and given their offsets to others; or
    /// they were durable, and what stood before them is damaged. What said which is gone: none of them counts.
    fn leave_undecided(&self, shard: &mut Shard, frame: &FoundFrame) {
        let segment = shard.segments.get_mut(frame.header.segment).expect("it was scanned");
        let first = self.expected;
        let reason =
            format!("frames from {first} on may have been cut off by an earlier start: they do not count");
        let damage = end_left_alone(segment, reason);
        shard.report_damage(damage);
    }

    /// The next frame is one of the segment `number`: what is missing before its first is the end of an older one. `false` if
    /// that was never durable.
    fn enter_segment(&mut self, shard: &mut Shard, number: u64) -> bool {
        let first_frame = shard.segments.get(number).map_or(0, |s| s.first_frame);
        if self.expected >= first_frame {
            return true;
        }
        if self.first_lost(self.expected.max(self.max_durable + 1), first_frame).is_some() {
            return false;
        }
        self.report_lost_end(shard, first_frame);
        self.expected = first_frame;
        true
    }

    /// Reports frames before `until` that are lost from the end of a segment, or from the beginning of the first that is not
    /// sealed.
    fn report_lost_end(&self, shard: &mut Shard, until: u64) {
        let Some(lost) = self.first_lost(self.expected, until) else { return };
        let held = |s: &&mut Segment| s.state == SegmentState::Closed && s.first_frame <= lost;
        let Some(segment) = shard.segments.iter_mut().rfind(held) else {
            let next = shard.segments.iter().find(|s| s.state == SegmentState::Closed);
            let damage = next.map(|segment| Damage {
                file: segment.file.expect("it was found in a file"),
                segment: Some(segment.number),
                position: 0,
                bytes: 2 * BLOCK_BYTES as u64,
                reason: format!("frames {lost} to {} are missing before its others", until - 1),
            });
            return damage.into_iter().for_each(|damage| shard.report_damage(damage));
        };
        let damage =
            end_left_alone(segment, format!("frames {lost} to {} are missing at its end", until - 1));
        shard.report_damage(damage);
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

/// The damage behind the last frame of a segment that counts; its footer is to leave the place alone.
fn end_left_alone(segment: &mut Segment, reason: String) -> Damage {
    let position = segment.position.max(BLOCK_BYTES as u64);
    segment.position = segment.file_bytes;
    Damage {
        file: segment.file.expect("it was found in a file"),
        segment: Some(segment.number),
        position,
        bytes: segment.file_bytes.saturating_sub(position),
        reason,
    }
}
