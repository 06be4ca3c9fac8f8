//! Recovery: from the files of a directory to a shard that serves.
//!
//! The ends of all files are read first: a sealed segment's footer says what is in it. What is not sealed is scanned,
//! frame by frame ([`crate::scan`]). What was found is taken into the index, the scanned segments are sealed, and
//! only then does the shard serve: so no frame that was cut off can ever be seen again.

use crate::api::Event;
use crate::damage::Damage;
use crate::format::MAX_NUMBER;
use crate::format::ends::{Ends, HEAD_BYTES};
use crate::format::entry::{EntryHeader, EntryKind};
use crate::format::footer::{LogSnapshot, Row, Trailer};
use crate::format::segment::{FirstBlock, SegmentHeader, spare_block};
use crate::index::{Extent, ExtentIndex, Log, Place};
use crate::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoId, IoOp, IoResult};
use crate::map::{Map, Set};
use crate::ops::Purpose;
use crate::scan::{FoundFrame, Scan};
use crate::segments::{Segment, SegmentState, Spare};
use crate::shard::Shard;
use crate::{api::LogId, commit::Commit, config::LogConfig};
use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes read at the end of each file: trailer and, mostly, directory.
const TAIL_BYTES: u64 = 64 << 10;
/// Files whose ends are read at once.
const FILES_AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy)]
enum Job {
    Head(usize),
    Tail(usize),
    Directory(usize),
    Scan,
    Header,
    /// Marks a file as spare: the segment in it was cut off whole.
    Spare(FileId, u64),
}

#[derive(Debug)]
struct File {
    id: FileId,
    bytes: u64,
    head: Option<Bytes>,
    tail: Option<Bytes>,
    header: Option<SegmentHeader>,
    trailer: Option<Trailer>,
}

/// A segment whose footer was read.
#[derive(Debug)]
struct SealedFile {
    file: FileId,
    bytes: u64,
    number: u64,
    incarnation: u64,
    trailer: Trailer,
    rows: Vec<Row>,
    snapshot: Vec<LogSnapshot>,
}

/// A segment that has to be scanned.
#[derive(Debug, Clone, Copy)]
struct UnsealedFile {
    file: FileId,
    bytes: u64,
    number: u64,
    first_frame: u64,
    incarnation: u64,
}

/// The state of recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    files: Vec<File>,
    to_open: VecDeque<usize>,
    opening: usize,
    jobs: Map<IoId, Job>,
    sealed: Vec<SealedFile>,
    unsealed: VecDeque<UnsealedFile>,
    scan: Option<Scan>,
    /// The next frame, if nothing is missing.
    expected: u64,
    /// Frames after one that is missing or broken, until it is known whether that is damage.
    held: Vec<FoundFrame>,
    max_durable: u64,
    max_seen: u64,
    newest_sealed: u64,
    /// Segments whose first block never reached the disk, though their first frame did.
    headless: Vec<u64>,
    relocated: Map<(u64, LogId), Vec<Extent>>,
    sealing: Set<u64>,
}

impl Shard {
    pub(crate) fn begin_recovery(&mut self, files: &[ExistingFile]) {
        let names = files.iter().map(|f| f.file.0).filter(|&name| name < MAX_NUMBER);
        self.segments.next_file = names.max().map_or(0, |name| name + 1);
        self.segments.next_number = 1;
        let mut recovery = Recovery { expected: 1, ..Recovery::default() };
        for file in files {
            if file.bytes == 0 {
                // Creating it was cut short: nothing was ever written.
                self.ops.push(IoOp::Remove { file: file.file }, Purpose::Remove);
                continue;
            }
            if file.bytes < HEAD_BYTES as u64 {
                self.report_damage(whole_file(file.file, file.bytes, "the file is too short for a segment"));
                continue;
            }
            recovery.to_open.push_back(recovery.files.len());
            recovery.files.push(File {
                id: file.file,
                // All that a shard writes is whole blocks.
                bytes: file.bytes & !(BLOCK_BYTES as u64 - 1),
                head: None,
                tail: None,
                header: None,
                trailer: None,
            });
        }
        self.recovery = Some(Box::new(recovery));
        self.recover(Recovery::open_files);
    }

    /// Runs a step of recovery, with the recovery taken out of the shard.
    fn recover(&mut self, step: impl FnOnce(&mut Recovery, &mut Self)) {
        let Some(mut recovery) = self.recovery.take() else { return };
        step(&mut recovery, self);
        self.recovery = Some(recovery);
        if self.recovery.as_ref().is_some_and(|r| r.is_over()) && self.commit.fenced.is_none() {
            self.recovery = None;
            self.work_due = true;
            self.events.push_back(Event::Ready);
        }
    }

    pub(crate) fn recovery_read(&mut self, id: IoId, result: IoResult) {
        match result {
            Ok(IoDone::Data(data)) => self.recover(|r, shard| r.read_done(shard, id, data)),
            Ok(IoDone::Ok) => self.recover(|r, shard| {
                if let Some(Job::Spare(file, bytes)) = r.jobs.remove(&id) {
                    Recovery::take_spare_file(shard, file, bytes, true);
                }
            }),
            Err(error) => self.fence(format!("reading the log at start-up failed: {error}")),
        }
    }

    /// The footer of a segment is durable, or will never be.
    pub(crate) fn recovery_sealed(&mut self, number: u64) {
        if self.recovery.is_some() {
            self.recover(|r, _| {
                r.sealing.remove(&number);
            });
        }
    }
}

impl Recovery {
    fn is_over(&self) -> bool {
        self.jobs.is_empty() && self.to_open.is_empty() && self.scan.is_none() && self.sealing.is_empty()
    }

    fn read(&mut self, shard: &mut Shard, job: Job, file: FileId, position: u64, length: usize) {
        let io = shard.ops.push(IoOp::Read { file, position, length }, Purpose::Recover);
        self.jobs.insert(io, job);
    }

    fn open_files(&mut self, shard: &mut Shard) {
        while self.opening < FILES_AT_ONCE {
            let Some(k) = self.to_open.pop_front() else { break };
            self.opening += 1;
            let (file, bytes) = (self.files[k].id, self.files[k].bytes);
            let tail = TAIL_BYTES.min(bytes);
            self.read(shard, Job::Head(k), file, 0, HEAD_BYTES);
            self.read(shard, Job::Tail(k), file, bytes - tail, tail as usize);
        }
        if self.opening == 0 && self.to_open.is_empty() {
            self.take_sealed(shard);
        }
    }

    fn read_done(&mut self, shard: &mut Shard, id: IoId, data: Bytes) {
        match self.jobs.remove(&id) {
            Some(Job::Head(k)) => {
                self.files[k].head = Some(data);
                self.ends_read(shard, k);
            }
            Some(Job::Tail(k)) => {
                self.files[k].tail = Some(data);
                self.ends_read(shard, k);
            }
            Some(Job::Directory(k)) => {
                self.take_directory(k, &data);
                self.opened(shard);
            }
            Some(Job::Scan) => self.scan_read(shard, id, data),
            Some(Job::Header | Job::Spare(..)) | None => {}
        }
    }

    fn opened(&mut self, shard: &mut Shard) {
        self.opening -= 1;
        self.open_files(shard);
    }

    /// Both ends of a file are there: what does it hold?
    fn ends_read(&mut self, shard: &mut Shard, k: usize) {
        let file = &mut self.files[k];
        let (Some(head), Some(tail)) = (&file.head, &file.tail) else { return };
        let ends = Ends::read(head, tail, file.bytes, Some(shard.config.shard));
        match ends.first {
            FirstBlock::Segment(header) if header.shard != shard.config.shard => {
                let reason = format!("the segment is of shard {}; it is left alone", header.shard);
                shard.report_damage(whole_file(file.id, file.bytes, &reason));
                return self.opened(shard);
            }
            FirstBlock::OtherVersion(version) => {
                let words = format!(
                    "{:016x}.seg has format version {version}; this build reads version {}: use the build that wrote it",
                    file.id.0,
                    crate::format::FORMAT_VERSION
                );
                return shard.fence(words);
            }
            first if ends.is_spare() => {
                Self::take_spare_file(shard, file.id, file.bytes, first == FirstBlock::Spare);
                return self.opened(shard);
            }
            _ => {}
        }
        (file.header, file.trailer) = (ends.header, ends.trailer);
        if ends.lost_first_block() {
            let bytes = if file.header.is_some() { BLOCK_BYTES as u64 } else { file.bytes };
            let reason = "the segment's first block is damaged";
            let segment = file.header.map(|h| h.segment);
            shard.report_damage(Damage { segment, ..whole_file(file.id, bytes, reason) });
        } else if let (FirstBlock::Blank, Some(header)) = (ends.first, ends.header) {
            self.headless.push(header.segment);
        }
        self.find_directory(shard, k);
    }

    fn take_spare_file(shard: &mut Shard, file: FileId, bytes: u64, written: bool) {
        if bytes == shard.config.segment_bytes {
            let written = if written { bytes } else { 0 };
            shard.segments.spares.push(Spare { file, written, busy: false });
        } else {
            // It holds nothing, and segments have another size now.
            shard.ops.push(IoOp::Remove { file }, Purpose::Remove);
        }
    }

    fn find_directory(&mut self, shard: &mut Shard, k: usize) {
        let file = &self.files[k];
        let (id, bytes) = (file.id, file.bytes);
        match (file.trailer, file.tail.clone()) {
            (Some(trailer), Some(tail)) if trailer.directory_bytes <= tail.len() as u64 => {
                self.take_directory(k, &tail);
            }
            (Some(trailer), _) => {
                let unit = BLOCK_BYTES as u64;
                let length = trailer.directory_bytes.div_ceil(unit) * unit;
                return self.read(shard, Job::Directory(k), id, bytes - length, length as usize);
            }
            _ => self.take_unsealed(k),
        }
        self.opened(shard);
    }

    fn take_directory(&mut self, k: usize, data: &[u8]) {
        let file = &mut self.files[k];
        let found = file.trailer.and_then(|t| Some((t, t.directory(data)?)));
        let (id, bytes) = (file.id, file.bytes);
        match found {
            None => self.take_unsealed(k),
            Some((trailer, (rows, snapshot))) => {
                (file.head, file.tail) = (None, None);
                let number = trailer.segment;
                let incarnation = file.header.map_or(0, |h| h.incarnation);
                self.sealed.push(SealedFile {
                    file: id,
                    bytes,
                    number,
                    incarnation,
                    trailer,
                    rows,
                    snapshot,
                });
            }
        }
    }

    fn take_unsealed(&mut self, k: usize) {
        let file = &mut self.files[k];
        (file.head, file.tail) = (None, None);
        // A file of which nothing is known is left alone.
        let Some(header) = file.header else { return };
        self.unsealed.push_back(UnsealedFile {
            file: file.id,
            bytes: file.bytes,
            number: header.segment,
            first_frame: header.first_frame,
            incarnation: header.incarnation,
        });
    }

    // What the footers say.

    fn take_sealed(&mut self, shard: &mut Shard) {
        self.sealed.sort_by_key(|s| s.number);
        self.unsealed.make_contiguous().sort_by_key(|u| u.number);
        if let Some(newest) = self.sealed.last() {
            self.newest_sealed = newest.number;
            for s in &newest.snapshot {
                if s.dropped {
                    shard.dropped.insert(s.log, newest.number);
                } else {
                    shard.logs.insert(s.log, Log::new(LogConfig::KEEP, s.start, s.end));
                }
            }
        }
        self.leave_copies_alone(shard);
        for sealed in &self.sealed {
            self.max_durable = self.max_durable.max(sealed.trailer.last_frame);
            self.max_seen = self.max_seen.max(sealed.trailer.last_frame);
            let mut segment = Segment::new(sealed.number, sealed.bytes, 0, sealed.incarnation);
            segment.file = Some(sealed.file);
            segment.state = SegmentState::Sealed;
            segment.last_frame = sealed.trailer.last_frame;
            segment.footer_at = sealed.bytes - sealed.trailer.footer_bytes;
            segment.total_bytes = sealed.rows.iter().map(|r| r.bytes).sum();
            shard.segments.insert(segment);
        }
        for sealed in &mut self.sealed {
            for row in std::mem::take(&mut sealed.rows) {
                let extent = sealed_extent(sealed.number, &row);
                if row.relocated {
                    self.relocated.entry((sealed.number, row.log)).or_default().push(extent);
                } else {
                    shard.recover_extent(row.log, extent);
                }
            }
        }
        self.next_scan(shard);
    }

    /// Of several files that hold the same segment, such as a copy that somebody made, one counts; a sealed one if
    /// there is any.
    fn leave_copies_alone(&mut self, shard: &mut Shard) {
        let mut known = Set::default();
        let mut first = |shard: &mut Shard, number: u64, file: FileId, bytes: u64| {
            let first = known.insert(number);
            if !first {
                let reason = format!("segment {number} is in another file too; this one is left alone");
                shard.report_damage(whole_file(file, bytes, &reason));
            }
            first
        };
        self.sealed.retain(|s| first(shard, s.number, s.file, s.bytes));
        self.unsealed.retain(|u| first(shard, u.number, u.file, u.bytes));
    }

    // Scanning.

    fn next_scan(&mut self, shard: &mut Shard) {
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

    fn scan_read(&mut self, shard: &mut Shard, id: IoId, data: Bytes) {
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
            EntryKind::Records if entry.is_relocated() => {
                let extents = self.relocated.entry((place.segment, entry.log)).or_default();
                match extents.last_mut() {
                    Some(last) if last.continues(place, entry) => {
                        last.push(place, entry);
                    }
                    _ => extents.push(Extent::new(place, entry)),
                }
            }
            EntryKind::Records => shard.recover_records(place, entry),
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

    /// Copies that the cleaner made count where the original is gone.
    fn take_relocated(&mut self, shard: &mut Shard) {
        let mut copies: Vec<_> = std::mem::take(&mut self.relocated).into_iter().collect();
        copies.sort_unstable_by_key(|((segment, log), _)| (std::cmp::Reverse(*segment), *log));
        for ((_, log), extents) in copies {
            for extent in extents {
                shard.recover_extent(log, extent);
            }
        }
    }

    /// Trims, and seals what was scanned.
    fn settle(&mut self, shard: &mut Shard) {
        let logs: Vec<LogId> = shard.logs.keys().copied().collect();
        for log in logs {
            let state = shard.logs.get_mut(&log).expect("it was listed");
            state.high_watermark = state.end;
            let start = state.start;
            let mut gone = Vec::new();
            while state.extents.front().is_some_and(|e| e.end <= start) {
                gone.extend(state.extents.pop_front());
            }
            for extent in gone {
                shard.forget_extent(extent.segment, extent.bytes);
            }
        }
        shard.commit = Commit::new(self.max_seen + 1);
        let scanned: Vec<u64> =
            shard.segments.iter().filter(|s| s.state == SegmentState::Closed).map(|s| s.number).collect();
        let snapshot = shard.snapshot();
        for number in scanned {
            let segment = shard.segments.get_mut(number).expect("it was listed");
            segment.empty_after = 0;
            segment.snapshot.clone_from(&snapshot);
            if segment.last_frame == 0 {
                self.take_empty_segment(shard, number);
                continue;
            }
            if self.headless.contains(&number) {
                self.write_header(shard, number);
            }
            shard.seal(number);
            self.sealing.insert(number);
        }
    }

    fn write_header(&mut self, shard: &mut Shard, number: u64) {
        let Some(segment) = shard.segments.get(number) else { return };
        let Some(file) = segment.file else { return };
        let block = segment.header_block(shard.config.shard);
        let io = shard.write_durably(file, 0, &block, Purpose::Recover);
        self.jobs.insert(io, Job::Header);
    }

    /// A segment of which no frame is whole: begun, and cut off before anything in it was durable.
    fn take_empty_segment(&mut self, shard: &mut Shard, number: u64) {
        let segment = shard.segments.get_mut(number).expect("it was listed");
        if segment.first_frame <= self.max_durable {
            // It held durable frames once. It is damaged: left alone.
            segment.state = SegmentState::Damaged;
            segment.live_bytes = 1;
            return;
        }
        let segment = shard.segments.remove(number).expect("it was listed");
        let Some(file) = segment.file else { return };
        let block = spare_block(shard.config.shard, segment.file_bytes);
        let io = shard.write_durably(file, 0, &block, Purpose::Recover);
        self.jobs.insert(io, Job::Spare(file, segment.file_bytes));
    }
}

impl Shard {
    /// Takes an extent into the index if the log lives and nothing else covers its offsets.
    fn recover_extent(&mut self, log: LogId, extent: Extent) {
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

    fn recover_records(&mut self, place: Place, entry: &EntryHeader) {
        let bytes = entry.entry_bytes() as u64;
        if self.dropped.contains_key(&entry.log) {
            return self.count_dead(place.segment, bytes, 0);
        }
        let state = self.logs.entry(entry.log).or_insert_with(|| Log::new(LogConfig::KEEP, 0, 0));
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

/// Damage that makes all of a file unusable.
fn whole_file(file: FileId, bytes: u64, reason: &str) -> Damage {
    Damage { file, segment: None, position: 0, bytes, reason: reason.into() }
}

fn sealed_extent(segment: u64, row: &Row) -> Extent {
    Extent {
        segment,
        base: row.base,
        from: row.base,
        end: row.end,
        max_timestamp: row.max_timestamp,
        bytes: row.bytes,
        relocated: row.relocated,
        index: ExtentIndex::Sealed { section_at: row.section_at, section_bytes: row.section_bytes },
    }
}
