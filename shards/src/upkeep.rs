//! The life of segments: spare files, rolling, sealing, recycling, retention.

mod fullness;
mod producers;
mod retention;
mod sealing;
mod spares;

pub(crate) use self::producers::Totals;
use crate::api::AppendError;
use crate::canary::{self, Canary};
use crate::format::align_up;
use crate::format::footer::{LogSnapshot, MAX_RUN_BYTES, ROW_BYTES, SNAPSHOT_BYTES, TRAILER_BYTES};
use crate::io::{BLOCK_BYTES, FileId};
use crate::segments::{Segment, SegmentState, Spare};
use crate::shard::Shard;

/// Milliseconds between attempts to create a file on a full disk.
const FULL_RETRY_MS: u64 = 1000;
/// Bytes written in a second up to which spare files are filled beside: the disk has room to spare then, and a filled
/// file makes each sync several times faster. Above it, commits are so large that they hide a slow sync.
const FILL_BELOW_RATE: u64 = 256 << 20;
/// Milliseconds over which that rate is taken.
const RATE_WINDOW_MS: u64 = 200;
const RETENTION_EVERY_MS: u64 = 200;

/// What upkeep remembers between its steps.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    creating: bool,
    /// Whether a file was made since the start, or could not be.
    tried_to_create: bool,
    full_since: Option<u64>,
    /// When a file could not be created for another reason than want of room.
    create_failed: Option<u64>,
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
    /// When retention looks at time, too.
    age_check_at: u64,
    pub producers_at: u64,
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
        let states = self.totals.states_bytes();
        align_up(runs + rows + snapshot + states + TRAILER_BYTES + 2 * BLOCK_BYTES, BLOCK_BYTES) as u64
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
        next.previous_frame = self.commit.counted_before(next.first_frame);
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
        let (snapshot, states) = (self.snapshot(), self.states());
        let segment = self.segments.get_mut(number).expect("the active segment is known");
        if segment.position == 0 {
            // Nothing was ever written to it.
            let segment = self.segments.remove(number).expect("it was there");
            self.segments.spares.extend(segment.file.map(|file| Spare { file, written: 0, busy: false }));
            return;
        }
        segment.state = SegmentState::Closed;
        (segment.snapshot, segment.states) = (snapshot, states);
    }

    pub(crate) fn snapshot(&self) -> Vec<LogSnapshot> {
        let live = self.logs.iter().map(|(&log, state)| LogSnapshot {
            log,
            start: state.start,
            end: state.end,
            dropped: false,
        });
        let dropped = self.dropped.keys().filter(|_| !canary::on(Canary::ForgetDeletion));
        let dropped = dropped.map(|&log| LogSnapshot { log, start: 0, end: 0, dropped: true });
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
        self.forget_producers();
        self.fill_spares();
        self.trim_spares();
        self.clean();
    }

    fn recycle_what_is_empty(&mut self) {
        let kept = self.segments.oldest_of_state();
        let durable = self.commit.durable();
        let empty: Vec<u64> = self
            .segments
            .iter()
            // Behind one that is not sealed a gap in the frames would look like a loss.
            .take_while(|s| s.is_settled())
            .filter(|s| s.state == SegmentState::Sealed && s.live_bytes == 0)
            .filter(|s| s.empty_after <= durable || canary::on(Canary::RecycleEarly))
            .filter(|s| kept.is_some_and(|kept| s.number < kept))
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
        let file = segment.file.expect("sealed segments have files");
        self.segments.leaving.insert(file, number);
        self.reuse_file(file, segment.file_bytes, number);
        self.stats.recycled_segments += 1;
    }

    /// What a file held comes back after no crash any more: deleted logs of which it had entries may be forgotten.
    pub(crate) fn segment_is_gone(&mut self, file: FileId) {
        if self.segments.leaving.remove(&file).is_none() {
            return;
        }
        let oldest = self.segments.oldest();
        self.dropped.retain(|_, newest| *newest >= oldest);
    }
}
