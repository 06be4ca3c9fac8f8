//! Reading: a read is planned from the index, its pieces come from the tail cache or the disk, and what they hold is
//! checked and cut into batches. A reader that goes on where it stopped finds the next pieces under way already.

mod ahead;
mod planner;

use self::ahead::Ahead;
use self::planner::Planner;
use crate::api::{
    Answer, Event, Isolation, LogId, LogState, OffsetAtTime, ReadData, ReadError, TimeQuery, Token,
};
use crate::assembly::{self, Assembled, Limits};
use crate::canary::{self, Canary};
use crate::damage::Damage;
use crate::format::align_up;
use crate::format::footer::{Run, parse_section};
use crate::index::ExtentIndex;
use crate::io::{BLOCK_BYTES, FileId, IoError, IoId, IoOp};
use crate::map::{Map, Set};
use crate::ops::Purpose;
use crate::rebuild::Rebuild;
use crate::sections::{SectionKey, Sections};
use crate::shard::Shard;
use bytes::Bytes;
use std::collections::VecDeque;

/// Places of damage that are remembered, to report each once.
const DAMAGE_REMEMBERED: usize = 1024;

/// Names a read under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReadId(u64);

/// Who wants what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A caller of [`Shard::read`].
    Batches(Token, Isolation),
    /// Nobody yet.
    Ahead(Isolation),
    /// A caller of [`Shard::offset_for_time`].
    Time(TimeSearch),
    /// The cleaner.
    Clean,
}

/// A search by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeSearch {
    /// A record is found if it has this timestamp or a later one.
    pub timestamp: i64,
    /// Whether an older one will do if there is none.
    greatest: bool,
    isolation: Isolation,
    token: Token,
}

/// A run that is to be read: its place, its first offset, and the one after its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedRun {
    pub position: u64,
    pub bytes: u32,
    pub first: u64,
    pub end: u64,
}

/// A stretch of bytes that holds runs of the read.
#[derive(Debug)]
pub(crate) struct Piece {
    pub segment: u64,
    pub file: FileId,
    pub position: u64,
    pub length: usize,
    pub data: Option<Bytes>,
    pub runs: Vec<PlannedRun>,
    /// Whether it came from the disk, and is to be checked.
    pub from_disk: bool,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Read {
    pub log: LogId,
    pub offset: u64,
    /// Nothing from this offset on is given.
    pub until: u64,
    pub max_bytes: usize,
    pub want: Want,
    pub pieces: Vec<Piece>,
    waiting: usize,
    /// The offset after the planned runs.
    next: u64,
    failed: Option<ReadError>,
}

/// The state of all reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    next: u64,
    under_way: Map<ReadId, Read>,
    /// Disk reads that are due, and for which piece of which read.
    queue: VecDeque<(ReadId, usize)>,
    in_flight: Map<IoId, (ReadId, usize)>,
    sections: Sections,
    loading: Map<IoId, (SectionKey, usize, usize)>,
    section_waiters: Map<SectionKey, Vec<ReadId>>,
    ahead: Map<(LogId, u64, Isolation), Ahead>,
    ahead_bytes: usize,
    reading: Map<FileId, usize>,
    /// Segments whose footers are being made up for.
    pub rebuilds: Map<u64, Rebuild>,
    reported: Set<(FileId, u64)>,
}

impl Reads {
    /// Whether the disk reads this file, or soon will.
    pub fn is_reading(&self, file: FileId) -> bool {
        self.reading.get(&file).is_some_and(|&n| n > 0)
    }

    pub fn hold(&mut self, file: FileId) {
        *self.reading.entry(file).or_default() += 1;
    }

    pub fn release(&mut self, file: FileId) {
        if let Some(n) = self.reading.get_mut(&file) {
            *n -= 1;
            if *n == 0 {
                self.reading.remove(&file);
            }
        }
    }

    pub fn remember_section(&mut self, key: SectionKey, runs: Vec<Run>) {
        self.sections.insert(key, runs);
    }

    pub fn forget_segment(&mut self, number: u64) {
        self.sections.forget_segment(number);
    }
}

/// What planning came to.
enum Plan {
    Pieces(Vec<Piece>, u64),
    Section(SectionKey, FileId, u64, u32),
    Damaged(u64, &'static str),
}

impl Shard {
    /// Reads whole batches from the one on that holds `offset`: up to `max_bytes`, but at least one. At the end of what
    /// the reader may see there is nothing to give yet: see [`Self::watch`].
    pub fn read(
        &mut self,
        log: LogId,
        offset: u64,
        max_bytes: usize,
        isolation: Isolation,
        token: Token,
    ) -> Answer<ReadData> {
        let state = match self.readable(log, offset) {
            Ok(state) => state,
            Err(error) => return Answer::Now(Err(error)),
        };
        let until = self.logs[&log].end_for(isolation);
        if offset >= until {
            let (pieces, aborted) = (Vec::new(), Vec::new());
            return Answer::Now(Ok(ReadData {
                pieces,
                bytes: 0,
                next_offset: offset,
                aborted,
                kafka: false,
                state,
            }));
        }
        if let Some(answer) = self.claim_ahead((log, offset, isolation), max_bytes, token) {
            return answer;
        }
        match self.start_read(log, offset, until, max_bytes, Want::Batches(token, isolation)) {
            Started::Done(result) => Answer::Now(result),
            Started::UnderWay(_, next) => {
                self.read_ahead(log, next, max_bytes, isolation);
                Answer::Later
            }
        }
    }

    /// Searches a log by time, as far as the reader may see it.
    pub fn offset_for_time(
        &mut self,
        log: LogId,
        time: TimeQuery,
        isolation: Isolation,
        token: Token,
    ) -> Answer<OffsetAtTime> {
        let Some(state) = self.logs.get(&log) else { return Answer::Now(Err(ReadError::UnknownLog(log))) };
        let (timestamp, greatest) = match time {
            TimeQuery::AtOrAfter(timestamp) => (timestamp, false),
            TimeQuery::Greatest => (state.greatest_timestamp(isolation, i64::MAX), true),
        };
        self.search_from(log, state.start, TimeSearch { timestamp, greatest, isolation, token })
    }

    /// Searches by time from `from` on.
    fn search_from(&mut self, log: LogId, from: u64, search: TimeSearch) -> Answer<OffsetAtTime> {
        let Some(state) = self.logs.get(&log) else { return Answer::Now(Err(ReadError::UnknownLog(log))) };
        let (from, until) = (from.max(state.start), state.end_for(search.isolation));
        let extent = state.extents.iter().find(|e| e.end > from && e.max_timestamp >= search.timestamp);
        let Some(offset) = extent.map(|e| e.from.max(from)).filter(|&o| o < until) else {
            if search.greatest && search.timestamp > i64::MIN {
                // What had the greatest timestamp stands before the log's start.
                let timestamp = state.greatest_timestamp(search.isolation, search.timestamp - 1);
                return self.search_from(log, state.start, TimeSearch { timestamp, ..search });
            }
            return Answer::Now(Ok(OffsetAtTime { offset: until, timestamp: None }));
        };
        match self.start_read(log, offset, until, 0, Want::Time(search)) {
            Started::Done(result) => {
                Answer::Now(result.map(|data| OffsetAtTime { offset: data.next_offset, timestamp: None }))
            }
            Started::UnderWay(..) => Answer::Later,
        }
    }

    fn readable(&self, log: LogId, offset: u64) -> Result<LogState, ReadError> {
        let log = self.logs.get(&log).ok_or(ReadError::UnknownLog(log))?;
        let state = log.state_without_bytes();
        let LogState { log_start, high_watermark, end, .. } = state;
        if (log_start..=high_watermark).contains(&offset) {
            return Ok(state);
        }
        Err(ReadError::OutOfRange { offset, log_start, high_watermark, end })
    }

    /// Plans a read and begins it.
    pub(crate) fn start_read(
        &mut self,
        log: LogId,
        offset: u64,
        until: u64,
        max_bytes: usize,
        want: Want,
    ) -> Started {
        let id = ReadId(self.reads.next);
        self.reads.next += 1;
        let read = Read {
            log,
            offset,
            until,
            max_bytes,
            want,
            pieces: Vec::new(),
            waiting: 0,
            next: offset,
            failed: None,
        };
        self.plan_read(id, read)
    }

    fn plan_read(&mut self, id: ReadId, mut read: Read) -> Started {
        match self.plan(&read) {
            Err(error) => Started::Done(Err(error)),
            Ok(Plan::Damaged(offset, reason)) => {
                Started::Done(Err(ReadError::Damaged { offset, reason: reason.into() }))
            }
            Ok(Plan::Section(key, file, footer_at, section_bytes)) => {
                let next = read.next;
                self.reads.under_way.insert(id, read);
                self.load_section(id, key, file, footer_at, section_bytes);
                Started::UnderWay(id, next)
            }
            Ok(Plan::Pieces(pieces, next)) => {
                read.next = next;
                read.waiting = pieces.iter().filter(|p| p.data.is_none()).count();
                read.pieces = pieces;
                if read.waiting == 0 && matches!(read.want, Want::Batches(..)) {
                    self.stats.tail_reads += 1;
                    return Started::Done(self.assemble(&read));
                }
                for (k, piece) in read.pieces.iter().enumerate().filter(|(_, p)| p.data.is_none()) {
                    self.reads.hold(piece.file);
                    self.reads.queue.push_back((id, k));
                }
                let ready = read.waiting == 0;
                self.reads.under_way.insert(id, read);
                if ready {
                    self.finish_read(id);
                }
                self.pump_reads();
                Started::UnderWay(id, next)
            }
        }
    }

    /// Finds the runs of a read, and how they are to be had.
    fn plan(&self, read: &Read) -> Result<Plan, ReadError> {
        let log = self.logs.get(&read.log).ok_or(ReadError::UnknownLog(read.log))?;
        let mut planner = Planner { pieces: Vec::new(), bytes: 0, next: read.offset, shard: self };
        let from = log.extent_from(read.offset);
        for extent in log.extents.iter().skip(from) {
            if planner.next >= read.until || planner.is_full(read) {
                break;
            }
            if extent.from > planner.next {
                // Offsets are dense: what is missing was lost to damage.
                break;
            }
            if extent.lost {
                planner.next = extent.end;
                continue;
            }
            let segment = self.segments.get(extent.segment).ok_or_else(|| ReadError::Damaged {
                offset: planner.next,
                reason: format!("segment {} is missing", extent.segment),
            })?;
            let cached;
            let runs = match &extent.index {
                ExtentIndex::Open(runs) => runs,
                ExtentIndex::Sealed { section_at, section_bytes } => {
                    let key = (extent.segment, *section_at);
                    match self.reads.sections.get(key) {
                        Some(runs) => {
                            cached = runs;
                            cached.as_ref()
                        }
                        None if planner.pieces.is_empty() => {
                            let file = segment.file.expect("sealed segments have files");
                            return Ok(Plan::Section(key, file, segment.footer_at, *section_bytes));
                        }
                        None => break,
                    }
                }
            };
            planner.take(read, extent, segment.file, runs);
        }
        let searches = matches!(read.want, Want::Time(..));
        let stuck = planner.next == read.offset || planner.next < read.until && !searches;
        if planner.pieces.is_empty() && stuck {
            return Ok(Plan::Damaged(planner.next, "the segment that held them is damaged"));
        }
        Ok(Plan::Pieces(planner.pieces, planner.next))
    }

    fn load_section(&mut self, id: ReadId, key: SectionKey, file: FileId, footer_at: u64, bytes: u32) {
        let waiters = self.reads.section_waiters.entry(key).or_default();
        waiters.push(id);
        if waiters.len() > 1 {
            return;
        }
        let at = footer_at + u64::from(key.1);
        let from = at & !(BLOCK_BYTES as u64 - 1);
        let skip = (at - from) as usize;
        let length = align_up(skip + bytes as usize, BLOCK_BYTES);
        self.reads.hold(file);
        let io = self.ops.push(IoOp::Read { file, position: from, length }, Purpose::Section(file));
        self.reads.loading.insert(io, (key, skip, bytes as usize));
        self.stats.disk_reads += 1;
    }

    fn pump_reads(&mut self) {
        while self.reads.in_flight.len() < self.config.reads_in_flight {
            let Some((id, k)) = self.reads.queue.pop_front() else { break };
            let Some(piece) = self.reads.under_way.get(&id).map(|r| &r.pieces[k]) else { continue };
            let op = IoOp::Read { file: piece.file, position: piece.position, length: piece.length };
            let io = self.ops.push(op, Purpose::Piece(piece.file));
            self.reads.in_flight.insert(io, (id, k));
            self.stats.disk_reads += 1;
        }
    }

    /// A disk read of a piece or a section has ended.
    pub(crate) fn read_completed(&mut self, io: IoId, data: Result<Bytes, IoError>) {
        if let Some((key, skip, bytes)) = self.reads.loading.remove(&io) {
            return self.section_loaded(key, skip, bytes, data);
        }
        let Some((id, k)) = self.reads.in_flight.remove(&io) else { return };
        if let Some(read) = self.reads.under_way.get_mut(&id) {
            match data {
                Ok(data) => read.pieces[k].data = Some(data),
                Err(error) => read.failed = Some(ReadError::Io(error.to_string())),
            }
            read.waiting -= 1;
            if read.waiting == 0 {
                self.finish_read(id);
            }
        }
        self.pump_reads();
        // A file that nobody reads any more may be recycled.
        self.work_due = true;
    }

    fn section_loaded(&mut self, key: SectionKey, skip: usize, bytes: usize, data: Result<Bytes, IoError>) {
        let waiters = self.reads.section_waiters.remove(&key).unwrap_or_default();
        let data = match data {
            Ok(data) => data,
            Err(error) => return self.fail_waiters(waiters, &ReadError::Io(error.to_string())),
        };
        let footer_at = self.segments.get(key.0).map_or(0, |s| s.footer_at);
        let runs = data
            .get(skip..skip + bytes)
            .and_then(|section| parse_section(section, key.0, key.1))
            .filter(|runs| runs.iter().all(|run| run.end() <= footer_at));
        match runs {
            Some(runs) => {
                self.reads.sections.insert(key, runs);
                self.wake_waiters(waiters);
            }
            None => self.rebuild_section(key, bytes, waiters),
        }
    }

    /// Goes on with reads that waited for a section.
    pub(crate) fn wake_waiters(&mut self, waiters: Vec<ReadId>) {
        for id in waiters {
            let Some(read) = self.reads.under_way.remove(&id) else { continue };
            let (log, max_bytes, want) = (read.log, read.max_bytes, read.want);
            if let Some(next) = self.replan(id, read)
                && let Want::Batches(_, isolation) | Want::Ahead(isolation) = want
            {
                self.read_ahead(log, next, max_bytes, isolation);
            }
        }
    }

    /// Ends reads that waited for a section in vain.
    pub(crate) fn fail_waiters(&mut self, waiters: Vec<ReadId>, error: &ReadError) {
        for id in waiters {
            let Some(read) = self.reads.under_way.remove(&id) else { continue };
            let error = match error {
                ReadError::Damaged { reason, .. } => {
                    ReadError::Damaged { offset: read.offset, reason: reason.clone() }
                }
                other => other.clone(),
            };
            self.deliver(id, &read, Err(error));
        }
    }

    /// Plans a read again that waited for a section; gives where the next one would begin.
    fn replan(&mut self, id: ReadId, read: Read) -> Option<u64> {
        let kept = Read { pieces: Vec::new(), failed: None, ..read };
        let (log, want, offset) = (kept.log, kept.want, kept.offset);
        let stub = Read {
            log,
            offset,
            until: kept.until,
            max_bytes: kept.max_bytes,
            want,
            pieces: Vec::new(),
            waiting: 0,
            next: offset,
            failed: None,
        };
        match self.plan_read(id, kept) {
            Started::Done(result) => {
                self.deliver(id, &stub, result);
                None
            }
            Started::UnderWay(_, next) => {
                if let Want::Ahead(isolation) = want
                    && let Some(ahead) = self.reads.ahead.get_mut(&(log, offset, isolation))
                    && ahead.read == Some(id)
                {
                    ahead.next = next;
                }
                Some(next).filter(|&n| n > offset)
            }
        }
    }

    fn finish_read(&mut self, id: ReadId) {
        let Some(mut read) = self.reads.under_way.remove(&id) else { return };
        if let Some(error) = read.failed.take() {
            return self.deliver(id, &read, Err(error));
        }
        match read.want {
            Want::Time(search) => {
                if let Answer::Now(result) = self.find_time(&read, search) {
                    self.events.push_back(Event::OffsetFound { token: search.token, result });
                }
            }
            Want::Clean => self.clean_read(read),
            Want::Batches(..) | Want::Ahead(_) => {
                let result = self.assemble(&read);
                self.deliver(id, &read, result);
            }
        }
    }

    /// The error of a read whose offset was deleted while it was under way: that is not damage.
    fn deleted_meanwhile(&self, read: &Read) -> Option<ReadError> {
        self.readable(read.log, read.offset).err()
    }

    fn deliver(&mut self, id: ReadId, read: &Read, result: Result<ReadData, ReadError>) {
        let deleted = result.as_ref().err().and_then(|_| self.deleted_meanwhile(read));
        let result = deleted.clone().map_or(result, Err);
        match read.want {
            Want::Batches(token, _) => self.events.push_back(Event::Read { token, result }),
            Want::Time(search) if deleted.is_some() => {
                if let Answer::Now(result) = self.search_from(read.log, read.offset, search) {
                    self.events.push_back(Event::OffsetFound { token: search.token, result });
                }
            }
            Want::Time(TimeSearch { token, .. }) => {
                let result = result.map(|data| OffsetAtTime { offset: data.next_offset, timestamp: None });
                self.events.push_back(Event::OffsetFound { token, result });
            }
            Want::Clean => self.clean_failed(result.err()),
            Want::Ahead(isolation) => {
                let key = (read.log, read.offset, isolation);
                let Some(ahead) = self.reads.ahead.get_mut(&key).filter(|a| a.read == Some(id)) else {
                    return;
                };
                let Ok(data) = &result else {
                    // Whoever asks for it later is to learn how the disk is then.
                    self.reads.ahead.remove(&key);
                    return;
                };
                ahead.read = None;
                ahead.bytes = data.bytes;
                self.reads.ahead_bytes += ahead.bytes;
                ahead.result = result.ok();
            }
        }
    }

    /// Cuts the pieces of a read into batches.
    fn assemble(&mut self, read: &Read) -> Result<ReadData, ReadError> {
        let state = self.logs.get(&read.log).ok_or(ReadError::UnknownLog(read.log))?.state_without_bytes();
        let limits =
            Limits { log: read.log, from: read.offset, until: read.until, max_bytes: read.max_bytes };
        let Assembled { mut pieces, bytes, mut next_offset, kafka, damage } =
            assembly::batches(&read.pieces, limits);
        if canary::on(Canary::SwapFrames) && pieces.len() > 1 {
            pieces.swap(0, 1);
        }
        if read.pieces.is_empty() {
            // All of it is given up.
            next_offset = read.next;
        }
        if let Some(damage) = damage {
            let reason = damage.reason.clone();
            self.report_damage(damage);
            if pieces.is_empty() {
                return Err(ReadError::Damaged { offset: read.offset, reason });
            }
        }
        let mut data = ReadData { pieces, bytes, next_offset, aborted: Vec::new(), kafka, state };
        if let Want::Batches(_, isolation) = read.want {
            self.note_aborted(read.log, read.offset, isolation, &mut data)?;
        }
        Ok(data)
    }

    /// Adds to what was read from `offset` on what its reader has to know of transactions.
    fn note_aborted(
        &self,
        log: LogId,
        offset: u64,
        isolation: Isolation,
        data: &mut ReadData,
    ) -> Result<(), ReadError> {
        if isolation == Isolation::Committed {
            // What was deleted meanwhile is not remembered any more.
            self.readable(log, offset)?;
            data.aborted = self.logs[&log].aborted(isolation, offset..data.next_offset);
        }
        Ok(())
    }

    /// Reports a place of damage, once.
    pub(crate) fn report_damage(&mut self, damage: Damage) {
        let room = self.reads.reported.len() < DAMAGE_REMEMBERED;
        if room && self.reads.reported.insert((damage.file, damage.position)) {
            self.events.push_back(Event::Damage(damage));
        }
    }

    fn find_time(&mut self, read: &Read, search: TimeSearch) -> Answer<OffsetAtTime> {
        let first = read.pieces.first().and_then(|p| p.runs.first()).map_or(0, |r| r.first);
        let from = read.offset.max(first);
        let limits = Limits { log: read.log, from, until: read.until, max_bytes: usize::MAX };
        let (found, damage) = assembly::find_time(&read.pieces, limits, search.timestamp);
        match (found, damage) {
            (Some((offset, timestamp)), _) => {
                Answer::Now(Ok(OffsetAtTime { offset, timestamp: Some(timestamp) }))
            }
            (None, Some(damage)) => {
                let reason = damage.reason.clone();
                self.report_damage(damage);
                Answer::Now(Err(ReadError::Damaged { offset: read.offset, reason }))
            }
            // What made the run a candidate stands before the log's start.
            (None, None) => self.search_from(read.log, read.next, search),
        }
    }
}

/// How a read has begun.
pub(crate) enum Started {
    /// It is over.
    Done(Result<ReadData, ReadError>),
    /// It goes on; the next one would begin at this offset, as far as that is known.
    UnderWay(ReadId, u64),
}
