//! Salvage: the whole entries of a damaged segment file, as far as they can be told to belong to it.
//!
//! An entry does not say which segment it is of, and the bytes of a payload may look like one. So an entry counts only from
//! a place where one is known to begin: the start of a frame of the segment, or a run of its footer. From there entries
//! follow one another. Behind one whose header is broken they go on where the number that the frame states leaves no doubt,
//! or where the run says so.
//!
//! Where frames begin is known even if their headers are lost: frames of a segment stand one after another, and whatever is
//! between two of them was written in this life of the file.

use crate::api::LogId;
use crate::format::align_up;
use crate::format::ends::Ends;
use crate::format::entry::{ENTRY_HEADER_BYTES, EntryHeader};
use crate::format::frame::{FRAME_HEADER_BYTES, FoundEntry, FrameHeader, resume, walk};
use crate::io::{BLOCK_BYTES, FileId, IoId};
use crate::map::{Map, Set};
use crate::scan::{FoundFrame, Scan};
use bytes::Bytes;
use std::ops::Range;

/// Which frames of a file are the segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The segment.
    pub segment: u64,
    /// See [`crate::format::segment::SegmentHeader::incarnation`].
    pub incarnation: u64,
    /// The last frame: later ones were cut off, or were never known to be durable.
    pub last_frame: u64,
}

/// A run that the footer of the segment tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchedRun {
    /// The log.
    pub log: LogId,
    /// Its offsets.
    pub offsets: Range<u64>,
    /// Where it stands, in bytes from the start of the file.
    pub position: Range<u64>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvage {
    /// Whole entries of the segment, and where they begin in bytes from the start of the file; in that order.
    pub whole: Vec<(EntryHeader, u64)>,
    /// Entries that look whole, but may be bytes of a payload, or left from what the file held before; likewise.
    pub untold: Vec<(EntryHeader, u64)>,
}

/// What the blocks of a file say that it holds, if its first block does not: the newest segment of which there are frames
/// of one life. `durable` is the greatest frame that frames of an incarnation elsewhere call durable.
pub fn identify(bytes: &[u8], shard: u16, durable: impl Fn(u64) -> u64) -> Option<Identity> {
    let headers = (BLOCK_BYTES..bytes.len())
        .step_by(BLOCK_BYTES)
        .filter_map(|at| FrameHeader::parse(&bytes[at..]))
        .filter(|h| h.shard == shard);
    let mut lives: Map<(u64, u64), u64> = Map::default();
    for header in headers {
        let stated = lives.entry((header.segment, header.incarnation)).or_default();
        *stated = (*stated).max(header.durable);
    }
    let newest = lives.keys().map(|(segment, _)| *segment).max()?;
    let mut of_newest = lives.into_iter().filter(|((segment, _), _)| *segment == newest);
    match (of_newest.next(), of_newest.next()) {
        (Some(((segment, incarnation), stated)), None) => {
            Some(Identity { segment, incarnation, last_frame: stated.max(durable(incarnation)) })
        }
        // The number was given out twice, and nothing says which life is the file's.
        _ => None,
    }
}

/// The incarnation of a segment of which only the footer is known.
pub fn incarnation_of(bytes: &[u8], ends: &Ends) -> Option<u64> {
    let trailer = ends.trailer?;
    let mut found: Option<u64> = None;
    for at in (BLOCK_BYTES..bytes.len()).step_by(BLOCK_BYTES) {
        let Some(header) = FrameHeader::parse(&bytes[at..]) else { continue };
        if header.segment != trailer.segment || header.shard != trailer.shard {
            continue;
        }
        if header.number == trailer.last_frame {
            return Some(header.incarnation);
        }
        if found.is_some_and(|found| found != header.incarnation) {
            return None;
        }
        found = Some(header.incarnation);
    }
    found
}

/// The entries of a segment in `bytes`, which are its file from the start to where its frames end at most. Without an
/// identity only what `runs` tell of counts.
pub fn salvage(bytes: &[u8], identity: Option<Identity>, runs: &[VouchedRun]) -> Salvage {
    let mut found = Found::default();
    if let Some(identity) = identity {
        found.frames(bytes, identity);
    }
    runs.iter().for_each(|run| found.run(bytes, run));
    let Found { mut whole, mut untold } = found;
    let place = |(_, at): &(EntryHeader, u64)| *at;
    whole.sort_by_key(place);
    whole.dedup_by_key(|found| place(found));
    let known: Set<u64> = whole.iter().map(place).collect();
    untold.retain(|found| !known.contains(&place(found)));
    untold.sort_by_key(place);
    untold.dedup_by_key(|found| place(found));
    Salvage { whole, untold }
}

#[derive(Default)]
struct Found {
    whole: Vec<(EntryHeader, u64)>,
    untold: Vec<(EntryHeader, u64)>,
}

impl Found {
    fn frames(&mut self, bytes: &[u8], identity: Identity) {
        let mut at = BLOCK_BYTES;
        let mut last = 0;
        for frame in frames(bytes, identity) {
            let from = frame.position as usize;
            self.headless(bytes, at..from);
            let end = (from + frame.header.frame_bytes()).min(bytes.len());
            self.frame(&frame, &bytes[from..end]);
            (at, last) = (end, frame.header.number);
        }
        if last < identity.last_frame {
            // Where the lost frames at the end are over is not known: what follows the break is left from earlier.
            let untold = self.untold.len();
            self.headless(bytes, at..bytes.len());
            self.untold.truncate(untold);
        }
    }

    /// A frame whose header is right.
    fn frame(&mut self, frame: &FoundFrame, bytes: &[u8]) {
        let entries = match frame.wrong {
            None => frame.entries.clone(),
            Some(_) => {
                let (all, breaks) = entries_between_breaks(&frame.header, bytes);
                // Bytes of a payload that look like entries would make more of them than there are.
                if all.len() + breaks <= frame.header.entries as usize {
                    all
                } else {
                    self.take(bytes, frame.position, all.into_iter(), false);
                    walk(&frame.header, bytes).0
                }
            }
        };
        self.take(bytes, frame.position, entries.into_iter(), true);
    }

    /// Frames whose headers are lost, one after another from the start of `range` on.
    fn headless(&mut self, bytes: &[u8], range: Range<usize>) {
        let part = &bytes[..range.end];
        let mut at = range.start;
        // A header that can be read is not of the segment: then a write was lost, and this is left from earlier.
        while at < range.end && FrameHeader::parse(&part[at..]).is_none() {
            let first = at + FRAME_HEADER_BYTES;
            let (entries, end) = entries_from(part, first);
            if entries.is_empty() {
                break;
            }
            self.take(part, 0, entries.into_iter(), true);
            let next = align_up(end, BLOCK_BYTES).min(range.end);
            let padded = part[end..next].iter().all(|&byte| byte == 0);
            at = if padded { next } else { end };
            if !padded {
                break;
            }
        }
        let rest = (align_up(at, 8)..range.end).step_by(8);
        let mut next = at;
        for from in rest {
            if from < next || !may_begin(part, from) {
                continue;
            }
            if let Some(entry) = entry_at(part, from) {
                next = from + entry.entry_bytes();
                self.take(part, 0, [(entry, from)].into_iter(), false);
            }
        }
    }

    fn run(&mut self, bytes: &[u8], run: &VouchedRun) {
        let end = (run.position.end as usize).min(bytes.len());
        let (bytes, mut at, mut next) = (&bytes[..end], run.position.start as usize, run.offsets.start);
        let of_run = |e: &EntryHeader| {
            e.kind.has_offsets() && e.log == run.log && run.offsets.contains(&e.base_offset)
        };
        while at < end {
            if let Some(entry) = entry_at(bytes, at) {
                if of_run(&entry) {
                    if entry.base_offset < next {
                        return;
                    }
                    next = entry.end_offset();
                    self.take(bytes, 0, [(entry, at)].into_iter(), true);
                }
                at += entry.entry_bytes();
                continue;
            }
            let rest = |found: &[FoundEntry]| {
                let mut of_it = found.iter().map(|(e, _)| e).filter(|e| of_run(e));
                let Some(first) = of_it.next() else { return false };
                let last =
                    of_it.try_fold(first.end_offset(), |at, e| (e.base_offset == at).then(|| e.end_offset()));
                first.base_offset >= next && last == Some(run.offsets.end)
            };
            let Some(from) = resume(bytes, at, rest) else { return };
            at = from;
        }
    }

    /// Takes those entries whose payloads are whole; `base` is where `bytes` begin in the file.
    fn take(&mut self, bytes: &[u8], base: u64, entries: impl Iterator<Item = FoundEntry>, told: bool) {
        let whole = entries.filter(|(entry, at)| entry.payload(&bytes[*at..]).is_ok());
        let list = if told { &mut self.whole } else { &mut self.untold };
        list.extend(whole.map(|(entry, at)| (entry, base + at as u64)));
    }
}

/// The frames of the segment, as far as their headers are right.
fn frames(bytes: &[u8], identity: Identity) -> Vec<FoundFrame> {
    let Identity { segment, incarnation, last_frame } = identity;
    let mut scan = Scan::new(FileId(0), segment, incarnation, bytes.len() as u64);
    let mut frames = Vec::new();
    while let Some((position, length)) = scan.next_read() {
        let from = position as usize;
        scan.reading(IoId(position));
        scan.take(IoId(position), Bytes::copy_from_slice(&bytes[from..from + length]));
        while let Some(frame) = scan.next_frame() {
            frames.push(frame);
        }
    }
    frames.retain(|frame| frame.header.number <= last_frame);
    frames
}

/// The entries of a frame, and in how many places there are broken ones before, between or behind them.
fn entries_between_breaks(header: &FrameHeader, frame: &[u8]) -> (Vec<FoundEntry>, usize) {
    let end = (FRAME_HEADER_BYTES + header.body_bytes as usize).min(frame.len());
    let bytes = &frame[..end];
    let (mut all, mut breaks, mut at) = (Vec::new(), 0, FRAME_HEADER_BYTES);
    while at < end {
        let (entries, next) = entries_from(bytes, at);
        all.extend(entries);
        if next >= end {
            break;
        }
        breaks += 1;
        let mut places = (next + ENTRY_HEADER_BYTES..end).step_by(8);
        let Some(from) = places.find(|&from| may_begin(bytes, from) && entry_at(bytes, from).is_some())
        else {
            break;
        };
        at = from;
    }
    (all, breaks)
}

/// The entries that follow one another from `at` on, and where they end.
fn entries_from(bytes: &[u8], mut at: usize) -> (Vec<FoundEntry>, usize) {
    let mut entries = Vec::new();
    while let Some(entry) = entry_at(bytes, at) {
        entries.push((entry, at));
        at += entry.entry_bytes();
    }
    (entries, at)
}

/// The entry at `at`, if its header is right and all of it is in `bytes`.
fn entry_at(bytes: &[u8], at: usize) -> Option<EntryHeader> {
    let entry = EntryHeader::parse(bytes.get(at..)?).ok()?;
    (at + entry.entry_bytes() <= bytes.len()).then_some(entry)
}

/// Whether a look at the checksum pays: no entry begins without a kind.
fn may_begin(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 28).is_some_and(|&kind| (1..=4).contains(&kind))
}
