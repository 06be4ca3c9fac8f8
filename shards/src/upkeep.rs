//! The life of segments: spare files, rolling, sealing, recycling, retention.

use crate::api::{AppendError, Event, LogId};
use crate::format::align_up;
use crate::format::footer::{
    self, Footer, FooterExtent, LogSnapshot, MAX_RUN_BYTES, ROW_BYTES, Row, SNAPSHOT_BYTES, TRAILER_BYTES,
};
use crate::format::segment::spare_block;
use crate::index::{Extent, ExtentIndex};
use crate::io::{BLOCK_BYTES, FileId, IoError, IoId, IoOp};
use crate::ops::Purpose;
use crate::segments::{Segment, SegmentState, Spare};
use crate::shard::Shard;

/// Bytes that one operation fills with zeros.
const FILL_BYTES: u64 = 1 << 20;
/// Bytes written in a second up to which spare files are filled beside: the disk has room to spare then, and a filled
/// file makes each sync several times faster. Above it, commits are so large that they hide a slow sync.
const FILL_BELOW_RATE: u64 = 256 << 20;
/// Milliseconds over which that rate is taken.
const RATE_WINDOW_MS: u64 = 200;
/// Milliseconds between attempts to create a file on a full disk.
const FULL_RETRY_MS: u64 = 1000;
/// Emptied files that an idle shard keeps at least.
const SPARES_KEPT: usize = 4;
/// Milliseconds without writes after which emptied files beyond that are removed. Removing a large file keeps the file
/// system's journal busy for tens of milliseconds, in which no sync ends; and a busy shard needs the file again.
const TRIM_AFTER_IDLE_MS: u64 = 2000;
const RETENTION_EVERY_MS: u64 = 200;

/// What upkeep remembers between its steps.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    creating: bool,
    full_since: Option<u64>,
    /// The last write, of a frame or footer, was refused for want of room, though room for it was allocated.
    pub write_refused: bool,
    /// Whether `full_since` is because of that, and not because no file could be created.
    full_by_write: bool,
    filling: bool,
    last_write_ms: u64,
    last_frames: u64,
    /// Bytes of frames in the present window, when that began, and whether there were many in the one before.
    pub window_bytes: u64,
    window_at: u64,
    busy: bool,
    retention_at: u64,
}

impl Upkeep {
    /// Whether the last file could not be created for want of room.
    pub fn is_full(&self) -> bool {
        self.full_since.is_some()
    }
}

impl Shard {
    /// The segment for a frame of `bytes`, where in its file, and whether it is the segment's first. What
    /// `frees_space` may take the last spare segment of a full disk.
    pub(crate) fn segment_for(
        &mut self,
        bytes: usize,
        frees_space: bool,
    ) -> Result<(u64, u64, bool), AppendError> {
        let active = self.active.and_then(|n| self.segments.get(n));
        let fits = |s: &&Segment| s.position + bytes as u64 + self.footer_reserve(s) <= s.file_bytes;
        if let Some(segment) = active.filter(fits) {
            return Ok((segment.number, segment.position, segment.position == 0));
        }
        let fresh = Segment::new(
            self.segments.next_number,
            self.config.segment_bytes,
            self.commit.current_frame(),
            self.config.incarnation,
        );
        let need = (BLOCK_BYTES + bytes) as u64 + self.footer_reserve(&fresh);
        if need > fresh.file_bytes {
            let limit = fresh.file_bytes.saturating_sub(need - bytes as u64) as usize;
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let number = self.roll(fresh, frees_space)?;
        Ok((number, 0, true))
    }

    /// Bytes that the footer may need, the next frame's share included.
    fn footer_reserve(&self, segment: &Segment) -> u64 {
        const LEAST_ENTRY: usize = 136;
        let in_frame = self.config.write_bytes / LEAST_ENTRY;
        let runs = (segment.runs + in_frame) * MAX_RUN_BYTES;
        let rows = (segment.extents + in_frame.min(self.logs.len() + 1)) * (ROW_BYTES + 4);
        let snapshot = (self.logs.len() + self.dropped.len()) * SNAPSHOT_BYTES;
        align_up(runs + rows + snapshot + TRAILER_BYTES + 2 * BLOCK_BYTES, BLOCK_BYTES) as u64
    }

    /// Ends the active segment and makes `next` the active one.
    fn roll(&mut self, mut next: Segment, frees_space: bool) -> Result<u64, AppendError> {
        let (full, kept) = (self.upkeep.is_full(), usize::from(!frees_space));
        let may_take = !full || self.segments.spares.len() > kept;
        let spare = may_take.then(|| self.segments.take_spare()).flatten();
        if full && spare.is_none() {
            return Err(AppendError::Full);
        }
        self.close_active();
        next.first_frame = self.commit.current_frame();
        next.last_frame = next.first_frame - 1;
        next.file = spare.map(|s| s.file);
        let number = next.number;
        self.segments.insert(next);
        self.active = Some(number);
        self.work_due = true;
        Ok(number)
    }

    /// The active segment takes no more frames.
    pub(crate) fn close_active(&mut self) {
        let Some(number) = self.active.take() else { return };
        let snapshot = self.snapshot();
        let segment = self.segments.get_mut(number).expect("the active segment is known");
        if segment.position == 0 {
            // Nothing was ever written to it.
            let segment = self.segments.remove(number).expect("it was there");
            self.segments.spares.extend(segment.file.map(|file| Spare { file, written: 0, busy: false }));
            return;
        }
        segment.state = SegmentState::Closed;
        segment.snapshot = snapshot;
    }

    pub(crate) fn snapshot(&self) -> Vec<LogSnapshot> {
        let live = self.logs.iter().map(|(&log, state)| LogSnapshot {
            log,
            start: state.start,
            end: state.end,
            dropped: false,
        });
        let dropped = self.dropped.keys().map(|&log| LogSnapshot { log, start: 0, end: 0, dropped: true });
        live.chain(dropped).collect()
    }

    /// Counts an entry that was placed in a segment.
    pub(crate) fn count_entry(&mut self, segment: u64, bytes: u64, extents: usize, runs: usize) {
        let segment = self.segments.get_mut(segment).expect("entries are placed in known segments");
        segment.live_bytes += bytes;
        segment.total_bytes += bytes;
        segment.extents += extents;
        segment.runs += runs;
    }

    /// Entries of a segment have died; the entry that says so is in the current frame.
    pub(crate) fn forget_extent(&mut self, segment: u64, bytes: u64) {
        let frame = self.commit.current_frame();
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.live_bytes = segment.live_bytes.saturating_sub(bytes);
            segment.empty_after = segment.empty_after.max(frame);
            self.work_due = true;
        }
    }

    /// Does what has become possible.
    pub(crate) fn upkeep_step(&mut self) {
        if self.commit.fenced.is_some() {
            return;
        }
        self.seal_what_is_durable();
        self.recycle_what_is_empty();
        self.create_spares();
    }

    pub(crate) fn upkeep_tick(&mut self) {
        if self.upkeep.full_by_write && !self.upkeep.write_refused {
            self.no_longer_full();
        }
        if self.closing {
            return self.give_up_on_a_full_disk();
        }
        if self.commit.fenced.is_some() {
            return;
        }
        if self.stats.frames != self.upkeep.last_frames {
            (self.upkeep.last_frames, self.upkeep.last_write_ms) = (self.stats.frames, self.now_ms);
        }
        let elapsed = self.now_ms.saturating_sub(self.upkeep.window_at);
        if elapsed >= RATE_WINDOW_MS {
            let rate = std::mem::take(&mut self.upkeep.window_bytes) * 1000 / elapsed;
            (self.upkeep.window_at, self.upkeep.busy) = (self.now_ms, rate > FILL_BELOW_RATE);
        }
        if self.now_ms >= self.upkeep.retention_at {
            self.upkeep.retention_at = self.now_ms + RETENTION_EVERY_MS;
            self.retain();
        }
        self.fill_spares();
        self.trim_spares();
        self.clean();
    }

    /// Closing does not wait until somebody has made room.
    fn give_up_on_a_full_disk(&mut self) {
        let stuck = self.upkeep.write_refused || self.segments.without_file().next().is_some();
        if self.upkeep.is_full() && stuck {
            self.fence("the disk is full, and the log was being closed".into());
        }
    }

    // Spare files.

    fn create_spares(&mut self) {
        let ahead = if self.closing { 0 } else { self.config.spare_segments };
        let wanted = ahead + self.segments.without_file().count();
        let retry = self.upkeep.full_since.is_none_or(|at| self.now_ms >= at + FULL_RETRY_MS);
        if self.segments.spares.len() >= wanted || self.upkeep.creating || !retry {
            return;
        }
        self.upkeep.creating = true;
        let file = self.segments.fresh_file();
        let op = IoOp::Create { file, bytes: self.config.segment_bytes };
        self.ops.push(op, Purpose::CreateSpare(file));
    }

    pub(crate) fn note_write_refused(&mut self) {
        self.upkeep.write_refused = true;
        self.upkeep.full_by_write |= self.upkeep.full_since.is_none();
        self.note_full();
    }

    /// The disk has refused something for want of room.
    fn note_full(&mut self) {
        if self.upkeep.full_since.is_none() {
            self.events.push_back(Event::Full(true));
        }
        self.upkeep.full_since = Some(self.now_ms);
    }

    pub(crate) fn spare_created(&mut self, file: FileId, result: Result<(), IoError>) {
        self.upkeep.creating = false;
        match result {
            Ok(()) => {
                self.no_longer_full();
                self.add_spare(Spare { file, written: 0, busy: false });
            }
            Err(error) => {
                tracing::warn!(%error, "no further segment could be created");
                self.note_full();
                // What was allocated of it goes again.
                self.ops.push(IoOp::Remove { file }, Purpose::Remove);
            }
        }
    }

    /// Gives the file to the oldest segment that has none, or keeps it.
    fn add_spare(&mut self, spare: Spare) {
        self.work_due = true;
        let waiting = self.segments.without_file().next().map(|s| s.number);
        match waiting.and_then(|number| self.segments.get_mut(number)) {
            Some(segment) => segment.file = Some(spare.file),
            None => self.segments.spares.push(spare),
        }
        // Segments that came back do as well as fresh ones.
        if self.segments.spares.len() >= self.config.spare_segments.max(1) {
            self.no_longer_full();
        }
    }

    fn no_longer_full(&mut self) {
        self.upkeep.full_by_write = false;
        if self.upkeep.full_since.take().is_some() {
            self.events.push_back(Event::Full(false));
        }
    }

    fn fill_spares(&mut self) {
        if self.upkeep.filling || self.upkeep.busy || self.closing {
            return;
        }
        let segment_bytes = self.config.segment_bytes;
        let Some(spare) = self.segments.spares.iter_mut().find(|s| s.written < segment_bytes) else { return };
        spare.busy = true;
        let (file, position) = (spare.file, spare.written);
        self.upkeep.filling = true;
        // The first block is written last: it says that the file is filled.
        let from = position.max(BLOCK_BYTES as u64);
        let length = FILL_BYTES.min(segment_bytes - position) - (from - position);
        let op = IoOp::Zero { file, position: from, length };
        self.ops.push(op, Purpose::FillSpare(file));
    }

    pub(crate) fn spare_filled(&mut self, file: FileId, result: Result<(), IoError>) {
        self.upkeep.filling = false;
        let segment_bytes = self.config.segment_bytes;
        let Some(spare) = self.segments.spares.iter_mut().find(|s| s.file == file) else { return };
        spare.busy = false;
        if let Err(error) = result {
            tracing::warn!(%error, "a spare segment could not be filled; it is used as it is");
            spare.written = segment_bytes;
            return;
        }
        spare.written = (spare.written + FILL_BYTES).min(segment_bytes);
        if spare.written < segment_bytes {
            self.fill_spares();
        } else {
            self.segments.spares.retain(|s| s.file != file);
            self.mark_spare(file);
        }
    }

    fn mark_spare(&mut self, file: FileId) {
        let block = spare_block(self.config.shard, self.config.segment_bytes);
        self.write_durably(file, 0, &block, Purpose::MarkSpare(file));
    }

    pub(crate) fn spare_marked(&mut self, file: FileId, result: Result<(), IoError>) {
        match result {
            Ok(()) => self.add_spare(Spare { file, written: self.config.segment_bytes, busy: false }),
            // The file still looks like the segment it was; using it again could not be told from that.
            Err(error) => {
                tracing::error!(%error, ?file, "an emptied segment could not be marked; it is left alone")
            }
        }
    }

    pub(crate) fn file_removed(&mut self, result: Result<(), IoError>) {
        if let Err(error) = result {
            tracing::warn!(%error, "a file that is not needed could not be removed");
        }
    }

    /// Removes a spare file beyond those that are kept, if nothing else is to be done.
    fn trim_spares(&mut self) {
        let most = (self.config.spare_segments * 2).max(SPARES_KEPT);
        let idle = self.commit.is_idle() && self.now_ms >= self.upkeep.last_write_ms + TRIM_AFTER_IDLE_MS;
        if !idle || self.segments.spares.len() <= most {
            return;
        }
        if let Some(spare) = self.segments.spares.pop_if(|s| !s.busy) {
            self.ops.push(IoOp::Remove { file: spare.file }, Purpose::Remove);
        }
    }

    // Sealing.

    fn seal_what_is_durable(&mut self) {
        let durable = self.commit.durable();
        let due: Vec<u64> = self
            .segments
            .iter()
            .filter(|s| s.state == SegmentState::Closed && s.last_frame <= durable && s.file.is_some())
            // What was deleted of it is left out: the entry that deleted it must be durable first.
            .filter(|s| s.empty_after <= durable && s.seal_at_ms <= self.now_ms)
            .map(|s| s.number)
            .collect();
        for number in due {
            self.seal(number);
        }
    }

    /// Writes the footer of a closed segment.
    pub(crate) fn seal(&mut self, number: u64) {
        let segment = self.segments.get(number).expect("the caller found it");
        let (last_frame, file_bytes, position) = (segment.last_frame, segment.file_bytes, segment.position);
        let file = segment.file.expect("the caller looked for one");
        let mut extents: Vec<(LogId, &Extent)> = self
            .logs
            .iter()
            .flat_map(|(&log, state)| state.extents.iter().map(move |e| (log, e)))
            .chain(self.cleaner.extents())
            .filter(|(_, e)| e.segment == number)
            .collect();
        extents.sort_unstable_by_key(|&(log, e)| (log, e.base));
        let described: Vec<_> = extents.iter().map(|&(log, extent)| describe(log, extent)).collect();
        let Footer { sections, directory, rows } =
            footer::build(self.config.shard, number, last_frame, &described, &segment.snapshot);
        let footer_bytes = (sections.len() + directory.len()) as u64;
        // There may be more logs now than when room was left for the footer: then the file grows.
        let footer_at = file_bytes.saturating_sub(footer_bytes).max(position);
        let segment = self.segments.get_mut(number).expect("it was there");
        segment.state = SegmentState::Sealing;
        segment.footer_at = footer_at;
        segment.file_bytes = footer_at + footer_bytes;
        segment.rows = rows;
        segment.directory = directory;
        if sections.is_empty() {
            return self.sections_written(number, Ok(()));
        }
        self.write_durably(file, footer_at, &sections, Purpose::Sections(number));
    }

    /// Writes whole blocks with dsync.
    pub(crate) fn write_durably(
        &mut self,
        file: FileId,
        position: u64,
        bytes: &[u8],
        purpose: Purpose,
    ) -> IoId {
        let mut buffer = crate::buffers::aligned(bytes.len());
        buffer.extend_from_slice(bytes);
        self.ops.push(IoOp::Write { file, position, data: buffer.freeze(), dsync: true }, purpose)
    }

    /// The sections of a footer are durable: the directory may follow.
    pub(crate) fn sections_written(&mut self, number: u64, result: Result<(), IoError>) {
        let Some(segment) = self.segments.get_mut(number) else { return };
        let directory = std::mem::take(&mut segment.directory);
        let (file, position) = (segment.file, segment.file_bytes - directory.len() as u64);
        match (result, file) {
            (Ok(()), Some(file)) => {
                self.write_durably(file, position, &directory, Purpose::Footer(number));
            }
            (result, _) => self.footer_written(number, result),
        }
    }

    pub(crate) fn footer_written(&mut self, number: u64, result: Result<(), IoError>) {
        let Some(segment) = self.segments.get_mut(number) else { return };
        match result {
            Ok(()) => self.upkeep.write_refused = false,
            // Its frames are durable and it is read without a footer: that can wait until there is room.
            Err(IoError::Full) if self.recovery.is_none() => {
                segment.state = SegmentState::Closed;
                segment.seal_at_ms = self.now_ms + FULL_RETRY_MS;
                return self.note_write_refused();
            }
            Err(error) => {
                return self.fence(format!("the footer of a segment could not be written: {error}"));
            }
        }
        segment.state = SegmentState::Sealed;
        segment.snapshot = Vec::new();
        for row in std::mem::take(&mut segment.rows) {
            let extents = self.logs.get_mut(&row.log).map(|l| &mut l.extents);
            let in_log =
                extents.and_then(|e| e.iter_mut().find(|e| e.segment == number && e.base == row.base));
            let extent = in_log.or_else(|| self.cleaner.extent_mut(row.log, number, row.base));
            let Some(extent) = extent else { continue };
            let sealed = ExtentIndex::Sealed { section_at: row.section_at, section_bytes: row.section_bytes };
            if let ExtentIndex::Open(runs) = std::mem::replace(&mut extent.index, sealed) {
                self.reads.remember_section((number, row.section_at), runs);
            }
        }
        self.work_due = true;
        self.recovery_sealed(number);
    }

    // Recycling.

    fn recycle_what_is_empty(&mut self) {
        let newest = self.segments.newest_sealed();
        let durable = self.commit.durable();
        let empty: Vec<u64> = self
            .segments
            .iter()
            // Behind one that is not sealed a gap in the frames would look like a loss.
            .take_while(|s| s.is_settled())
            .filter(|s| s.state == SegmentState::Sealed && s.live_bytes == 0 && s.empty_after <= durable)
            // The newest sealed segment holds the state of all logs.
            .filter(|s| Some(s.number) != newest)
            .filter(|s| s.file.is_some_and(|f| !self.reads.is_reading(f)))
            .map(|s| s.number)
            .collect();
        for number in empty {
            self.recycle(number);
        }
    }

    fn recycle(&mut self, number: u64) {
        let segment = self.segments.remove(number).expect("the caller found it");
        self.reads.forget_segment(number);
        self.reuse_file(segment.file.expect("sealed segments have files"), segment.file_bytes);
        self.stats.recycled_segments += 1;
        let oldest = self.segments.iter().next().map_or(u64::MAX, |s| s.number);
        self.dropped.retain(|_, newest| *newest >= oldest);
    }

    /// Makes a file whose content is dead a spare one, or removes it.
    pub(crate) fn reuse_file(&mut self, file: FileId, bytes: u64) {
        if bytes == self.config.segment_bytes {
            self.mark_spare(file);
        } else {
            self.ops.push(IoOp::Remove { file }, Purpose::Remove);
        }
    }

    // Retention.

    fn retain(&mut self) {
        let now = self.now_ms;
        let due: Vec<(LogId, u64)> =
            self.logs.iter().filter_map(|(&log, state)| Some((log, retained_from(state, now)?))).collect();
        for (log, start) in due {
            if let Err(error) = self.move_start(log, start, false) {
                tracing::debug!(log, %error, "retention waits");
                return;
            }
        }
    }
}

fn describe(log: LogId, extent: &Extent) -> FooterExtent<'_> {
    let ExtentIndex::Open(runs) = &extent.index else { unreachable!("a segment is sealed once") };
    let row = Row {
        log,
        base: extent.base,
        end: extent.end,
        max_timestamp: extent.max_timestamp,
        bytes: extent.bytes,
        section_at: 0,
        section_bytes: 0,
        relocated: extent.relocated,
    };
    FooterExtent { row, runs }
}

/// The start that a log's retention asks for, if it is past the present one: whole extents go, or in segments that
/// are not sealed whole runs.
fn retained_from(state: &crate::index::Log, now_ms: u64) -> Option<u64> {
    let config = &state.config;
    if config.retention_ms.is_none() && config.retention_bytes.is_none() {
        return None;
    }
    let oldest_kept = config.retention_ms.map(|ms| now_ms.saturating_sub(ms) as i64);
    let total: u64 = state.extents.iter().map(|e| e.bytes).sum();
    let mut excess = config.retention_bytes.map_or(0, |keep| total.saturating_sub(keep));
    let mut start = state.start;
    for extent in &state.extents {
        let old = oldest_kept.is_some_and(|t| extent.max_timestamp < t);
        let over = excess >= extent.bytes;
        if old || over {
            excess = excess.saturating_sub(extent.bytes);
            start = extent.end;
            continue;
        }
        if let ExtentIndex::Open(runs) = &extent.index {
            for run in runs {
                let old = oldest_kept.is_some_and(|t| run.max_timestamp < t);
                let over = excess >= u64::from(run.bytes);
                if !old && !over {
                    break;
                }
                excess = excess.saturating_sub(run.bytes.into());
                start = extent.base + u64::from(run.offset_delta) + u64::from(run.records);
            }
        }
        break;
    }
    let start = start.min(state.high_watermark);
    (start > state.start).then_some(start)
}
