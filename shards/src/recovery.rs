//! Recovery: from the files of a directory to a shard that serves.
//!
//! The ends of all files are read first: a sealed segment's footer says what is in it. What is not sealed is scanned,
//! frame by frame ([`crate::scan`]). What was found is taken into the index, the scanned segments are sealed, and
//! only then does the shard serve: so no frame that was cut off can ever be seen again.

mod files;
mod frames;
mod records;
mod search;

use crate::api::Event;
use crate::canary::{self, Canary};
use crate::damage::Damage;
use crate::format::MAX_NUMBER;
use crate::format::ends::HEAD_BYTES;
use crate::format::footer::{LogSnapshot, Row, Trailer};
use crate::format::segment::{FirstBlock, SegmentHeader, spare_block};
use crate::format::states::LogStates;
use crate::index::Extent;
use crate::io::{BLOCK_BYTES, ExistingFile, FileId, IoDone, IoId, IoOp, IoResult};
use crate::map::{Map, Set};
use crate::ops::Purpose;
use crate::scan::{FoundFrame, Scan};
use crate::segments::SegmentState;
use crate::shard::Shard;
use crate::{api::LogId, commit::Commit};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;

/// Ranges of missing offsets that are reported, each in a line.
const HOLES_REPORTED: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Job {
    /// What can be read need not be durable: the process may have died between a write and its sync.
    Sync(usize),
    Head(usize),
    Tail(usize),
    Directory(usize),
    /// What the footer of a sealed segment says of producers and transactions; and where that begins in what is read.
    States(usize, usize),
    Search(usize),
    Scan,
    /// The first block of a segment: it comes before the footer, which says that it was there.
    Header(u64),
    /// Marks a file as spare: the segment in it was cut off whole.
    Spare(FileId, u64),
}

#[derive(Debug)]
struct File {
    id: FileId,
    bytes: u64,
    synced: bool,
    head: Option<Bytes>,
    tail: Option<Bytes>,
    first: FirstBlock,
    search: search::Search,
    header: Option<SegmentHeader>,
    trailer: Option<Trailer>,
}

/// A segment whose footer was read.
#[derive(Debug)]
struct SealedFile {
    file: FileId,
    bytes: u64,
    number: u64,
    header: SegmentHeader,
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
    header: SegmentHeader,
}

/// The state of recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    files: Vec<File>,
    to_open: VecDeque<usize>,
    opening: usize,
    /// Files of which nothing bears out what the first block says, until it is known what the others hold.
    doubtful: Vec<usize>,
    /// Files that look spare, but hold frames, until it is known what the others hold.
    stray: Vec<usize>,
    /// Files that look spare and hold no frames, but end in a footer, likewise.
    only_footer: Vec<usize>,
    /// Segments of which it is known which files hold them.
    sure: Set<u64>,
    /// Segments whose first block is there: what stands in for others guesses which frame was the last before.
    with_header: Set<u64>,
    jobs: Map<IoId, Job>,
    sealed: Vec<SealedFile>,
    /// What the newest footer says of producers and transactions.
    states: Vec<LogStates>,
    unsealed: VecDeque<UnsealedFile>,
    scan: Option<Scan>,
    /// Frames that need not be found by a scan.
    accounted: Vec<Range<u64>>,
    /// Frames that an earlier recovery cut off.
    cut_off: Vec<Range<u64>>,
    /// The next frame, if nothing is missing.
    expected: u64,
    /// Frames after one that is missing or broken, until it is known whether that is damage.
    held: Vec<FoundFrame>,
    max_durable: u64,
    /// Likewise, by incarnation: what a later one calls durable says nothing of frames that were cut off between them.
    durable_in: Map<u64, u64>,
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
                self.ops.push(IoOp::Remove { file: file.file }, Purpose::Remove(file.file));
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
                synced: false,
                head: None,
                tail: None,
                first: FirstBlock::Blank,
                search: search::Search::default(),
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
            Ok(IoDone::Ok) => self.recover(|r, shard| r.done(shard, id)),
            Err(error) => self.fence(format!("the log could not be read at start-up: {error}")),
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
            Some(Job::States(k, skip)) => self.states_read(shard, k, &data[skip..]),
            Some(Job::Search(k)) => self.search_read(shard, k, &data),
            Some(Job::Scan) => self.scan_read(shard, id, data),
            Some(Job::Sync(_) | Job::Header(_) | Job::Spare(..)) | None => {}
        }
    }

    fn done(&mut self, shard: &mut Shard, id: IoId) {
        match self.jobs.remove(&id) {
            Some(Job::Sync(k)) => {
                self.files[k].synced = true;
                self.ends_read(shard, k);
            }
            Some(Job::Spare(file, bytes)) => Self::take_spare_file(shard, file, bytes, true),
            Some(Job::Header(number)) => shard.seal(number),
            _ => {}
        }
    }

    /// Copies that the cleaner made count where the original is gone; what a repair gave up, where nothing else is.
    fn take_relocated(&mut self, shard: &mut Shard) {
        let copies = std::mem::take(&mut self.relocated).into_iter();
        let mut copies: Vec<_> =
            copies.flat_map(|((_, log), extents)| extents.into_iter().map(move |e| (log, e))).collect();
        copies.sort_by_key(|(log, e)| (e.lost, std::cmp::Reverse(e.segment), *log));
        for (log, extent) in copies {
            shard.recover_extent(log, extent);
        }
    }

    /// Trims, and seals what was scanned.
    fn settle(&mut self, shard: &mut Shard) {
        let logs: Vec<LogId> = shard.logs.keys().copied().collect();
        for log in logs {
            let state = shard.logs.get_mut(&log).expect("it was listed");
            state.durable_to(state.end);
            if canary::on(Canary::WatermarkBack) {
                state.high_watermark = state.start;
            }
            shard.forget_before_start(log);
        }
        shard.count_producers();
        // There may be more than there was room for: those that had been forgotten are found again.
        if let Err(error) = shard.make_room_for_producers(0) {
            tracing::warn!(%error, "more producers are remembered than there is room for");
        }
        let last = self.sealed.iter().map(|s| s.trailer.last_frame).max().unwrap_or(0).max(self.expected - 1);
        let mut counted = last;
        // A segment that is empty may be all that says of frames before it that they were cut off.
        while let Some(range) = self.cut_off.iter().find(|range| range.contains(&counted)) {
            counted = range.start - 1;
        }
        shard.commit = Commit::new(self.max_seen.max(last) + 1, counted);
        shard.report_holes();
        let scanned: Vec<u64> =
            shard.segments.iter().filter(|s| s.state == SegmentState::Closed).map(|s| s.number).collect();
        let (snapshot, states) = (shard.snapshot(), shard.states());
        for number in scanned {
            let segment = shard.segments.get_mut(number).expect("it was listed");
            segment.empty_after = 0;
            segment.snapshot.clone_from(&snapshot);
            segment.states.clone_from(&states);
            if segment.last_frame == 0 {
                self.take_empty_segment(shard, number);
                continue;
            }
            self.sealing.insert(number);
            if self.headless.contains(&number) {
                self.write_header(shard, number);
            } else {
                shard.seal(number);
            }
        }
    }

    /// Writes the first block of a segment that lacks one: its first write was torn, or the block was lost.
    fn write_header(&mut self, shard: &mut Shard, number: u64) {
        let segment = shard.segments.get(number).expect("it was scanned");
        let file = segment.file.expect("it was found in a file");
        let (block, was_durable) =
            (segment.header_block(shard.config.shard), segment.first_frame <= self.max_durable);
        if was_durable {
            let damage = whole_file(
                file,
                BLOCK_BYTES as u64,
                "the segment's first block was lost; it is written anew",
            );
            shard.report_damage(Damage { segment: Some(number), ..damage });
        }
        let io = shard.write_durably(file, 0, &block, Purpose::Recover);
        self.jobs.insert(io, Job::Header(number));
    }

    /// A segment of which no frame is whole: begun, and cut off before anything in it was durable.
    fn take_empty_segment(&mut self, shard: &mut Shard, number: u64) {
        let segment = shard.segments.get_mut(number).expect("it was listed");
        if segment.first_frame <= self.max_durable {
            // It held durable frames once. It is damaged: left alone.
            segment.state = SegmentState::Damaged;
            segment.live_bytes = 1;
            let (file, bytes) = (segment.file, segment.file_bytes);
            if let Some(file) = file {
                let damage = whole_file(file, bytes, "none of the segment's frames can be read");
                shard.report_damage(Damage { segment: Some(number), position: BLOCK_BYTES as u64, ..damage });
            }
            return;
        }
        let segment = shard.segments.remove(number).expect("it was listed");
        let Some(file) = segment.file else { return };
        let block = spare_block(shard.config.shard, file, segment.file_bytes, number);
        let io = shard.write_durably(file, 0, &block, Purpose::Recover);
        self.jobs.insert(io, Job::Spare(file, segment.file_bytes));
    }
}

impl Shard {
    /// Says which offsets no segment holds though one should: a file is missing, or what told of them is lost.
    fn report_holes(&self) {
        let (shard, holes) = (self.config.shard, self.holes());
        for (log, offsets) in holes.iter().take(HOLES_REPORTED) {
            let (from, end) = (offsets.start, offsets.end);
            tracing::error!(
                shard,
                log,
                from,
                end,
                "no segment holds these offsets: reads of them fail, everything else is served"
            );
        }
        if holes.len() > HOLES_REPORTED {
            tracing::error!(
                shard,
                more = holes.len() - HOLES_REPORTED,
                "`ringmail log verify` says which others are missing"
            );
        }
    }
}

/// Damage that makes all of a file unusable.
fn whole_file(file: FileId, bytes: u64, reason: &str) -> Damage {
    Damage { file, segment: None, position: 0, bytes, reason: reason.into() }
}
