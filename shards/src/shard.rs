//! The engine of one core. What it takes and gives is in [`crate::api`]; how it works, in the private modules that
//! each add their part to [`Shard`].

pub use crate::api::*;
use crate::buffers::ChunkPool;
use crate::canary::{self, Canary};
use crate::commit::Commit;
use crate::config::{LogConfig, ShardConfig};
use crate::format::entry::{EntryHeader, EntryKind, PayloadCodec};
use crate::index::Log;
use crate::io::{ExistingFile, IoDone, IoId, IoOp, IoResult};
use crate::map::Map;
use crate::ops::{Ops, Purpose};
use crate::reads::Reads;
use crate::recovery::Recovery;
use crate::segments::Segments;
use crate::stats::ShardStats;
use crate::tail::TailCache;
use crate::upkeep::Totals;
use std::collections::VecDeque;

/// One shard.
///
/// The driver calls [`Self::next_io`] and carries out what it gives, reports completions by [`Self::complete`], lets
/// time pass by [`Self::tick`], and takes what happened from [`Self::next_event`].
#[derive(Debug)]
pub struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) logs: Map<LogId, Log>,
    /// Deleted logs of which segments up to this number may still hold entries.
    pub(crate) dropped: Map<LogId, u64>,
    pub(crate) segments: Segments,
    /// The segment that takes frames.
    pub(crate) active: Option<u64>,
    pub(crate) commit: Commit,
    pub(crate) pool: ChunkPool,
    pub(crate) tail: TailCache,
    pub(crate) reads: Reads,
    pub(crate) upkeep: crate::upkeep::Upkeep,
    pub(crate) cleaner: crate::cleaner::Cleaner,
    pub(crate) recovery: Option<Box<Recovery>>,
    pub(crate) ops: Ops,
    pub(crate) events: VecDeque<Event>,
    pub(crate) stats: ShardStats,
    /// Milliseconds that have passed, for what is done after a while: it never goes back.
    pub(crate) now_ms: u64,
    /// The wall clock, milliseconds since the Unix epoch, for the age of records: it jumps.
    pub(crate) wall_ms: u64,
    pub(crate) closing: bool,
    /// Where batches are given the time of the append.
    pub(crate) stamped: Vec<u8>,
    /// How much is remembered of producers and transactions.
    pub(crate) totals: Totals,
    /// Whether sealing or recycling may have become possible.
    pub(crate) work_due: bool,
}

impl Shard {
    /// Opens a shard over the files in its directory, all of them ready for I/O. Recovery runs through operations
    /// until [`Event::Ready`]; nothing may be appended or read before.
    pub fn open(config: ShardConfig, files: &[ExistingFile], now_ms: u64) -> Self {
        let mut shard = Self {
            pool: ChunkPool::new(config.write_bytes, config.tail_cache_bytes, config.allocate),
            tail: TailCache::new(config.tail_cache_bytes),
            reads: Reads::default(),
            upkeep: crate::upkeep::Upkeep::default(),
            cleaner: crate::cleaner::Cleaner::default(),
            recovery: None,
            ops: Ops::default(),
            logs: Map::default(),
            dropped: Map::default(),
            segments: Segments::default(),
            active: None,
            commit: Commit::new(1, 0),
            events: VecDeque::new(),
            stats: ShardStats::default(),
            now_ms,
            wall_ms: now_ms,
            closing: false,
            stamped: Vec::new(),
            totals: Totals::default(),
            work_due: false,
            config,
        };
        shard.begin_recovery(files);
        shard
    }

    /// The number that was drawn at random for this start.
    pub fn incarnation(&self) -> u64 {
        self.config.incarnation
    }

    /// Whether recovery is over.
    pub fn is_ready(&self) -> bool {
        self.recovery.is_none()
    }

    /// Makes a log known, or configures it anew; its records stay. Whoever remembers the log (the catalog) says this
    /// again after every start.
    pub fn put_log(&mut self, log: LogId, config: LogConfig) {
        self.logs.entry(log).or_insert_with(|| Log::new(config, 0, 0)).config = config;
    }

    /// Deletes a log and all its records. `false` if that could not be stored: then it has to be said again after the next
    /// start.
    pub fn drop_log(&mut self, log: LogId) -> bool {
        if self.closing {
            return false;
        }
        let Some(state) = self.logs.remove(&log) else { return true };
        for extent in &state.extents {
            self.forget_extent(extent.segment, extent.bytes);
        }
        self.dropped.insert(log, self.segments.next_number);
        let entry = control_entry(EntryKind::Dropped, log, state.end);
        let placed = self.place(&entry, &[], true);
        if let Err(error) = &placed {
            tracing::warn!(log, %error, "the deletion of a log is not stored yet");
        }
        placed.is_ok()
    }

    /// All logs, those included that recovery found.
    pub fn logs(&self) -> Vec<LogId> {
        self.logs.keys().copied().collect()
    }

    /// Where a log stands.
    pub fn log_state(&self, log: LogId) -> Option<LogState> {
        self.logs.get(&log).map(Log::state)
    }

    /// What is known of the producers of a log, in the order of their ids.
    pub fn producers(&self, log: LogId) -> Option<Vec<ProducerInfo>> {
        let state = self.logs.get(&log)?;
        Some(state.producers.as_ref().map_or(Vec::new(), |producers| producers.infos()))
    }

    /// Moves a log's start to `before`, at most to the high watermark, and gives the new start. The token comes back
    /// by [`Event::Appended`] once that is durable.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn delete_records(&mut self, log: LogId, before: u64, token: Token) -> Result<u64, AppendError> {
        self.admit()?;
        let state = self.logs.get(&log).ok_or(AppendError::UnknownLog(log))?;
        let start = before.min(state.high_watermark);
        let moved = |start| Appended { base_offset: start, append_time: None, log_start: start };
        if start <= state.start {
            let start = state.start;
            // What moved it there may not be durable yet.
            if !self.commit.wait_for_all(token, moved(start), true) {
                self.events.push_back(Event::Appended { token, appended: moved(start) });
            }
            return Ok(start);
        }
        self.move_start(log, start, true)?;
        self.commit.wait(token, moved(start), true);
        Ok(start)
    }

    /// Moves a log's start forward, in memory and by an entry.
    pub(crate) fn move_start(&mut self, log: LogId, start: u64, sync: bool) -> Result<(), AppendError> {
        self.place(&control_entry(EntryKind::LogStart, log, start), &[], sync)?;
        let Some(state) = self.logs.get_mut(&log) else { return Ok(()) };
        state.start = start;
        self.forget_before_start(log);
        Ok(())
    }

    /// Lets go of the extents that are before a log's start as a whole.
    pub(crate) fn forget_before_start(&mut self, log: LogId) {
        let Some(state) = self.logs.get_mut(&log) else { return };
        let gone = state.extents.partition_point(|e| e.end <= state.start);
        if let Some(producers) = &mut state.producers {
            producers.unstable.trim(state.start);
        }
        for extent in state.extents.drain(..gone).collect::<Vec<_>>() {
            self.forget_extent(extent.segment, extent.bytes);
        }
    }

    /// Asks for one [`Event::Advanced`] when the log's high watermark or last stable offset moves past what it is now.
    pub fn watch(&mut self, log: LogId) {
        if let Some(state) = self.logs.get_mut(&log) {
            state.watched = true;
        }
    }

    /// Bytes appended and not durable yet. Past [`ShardConfig::max_pending_bytes`] appends are refused: whoever
    /// reads from producers stops well before.
    pub fn pending_bytes(&self) -> usize {
        self.commit.pending_bytes()
    }

    /// The next operation for the disk. To be called until it gives `None`, after appends, completions and ticks.
    pub fn next_io(&mut self) -> Option<(IoId, IoOp)> {
        if let Some(op) = self.ops.pop() {
            return Some(op);
        }
        if self.recovery.is_none() {
            self.pump_commit();
            if std::mem::take(&mut self.work_due) {
                self.upkeep_step();
            }
        }
        self.ops.pop()
    }

    /// An operation has ended.
    pub fn complete(&mut self, id: IoId, result: IoResult) {
        let Some(purpose) = self.ops.finish(id) else { return };
        let plain = |result: IoResult| result.map(|_| ());
        match purpose {
            Purpose::Frame => self.frame_written(id, plain(result)),
            Purpose::Sync => self.synced(plain(result)),
            Purpose::CreateSpare(file) => self.spare_created(file, plain(result)),
            Purpose::FillSpare(file) => self.spare_filled(file, plain(result)),
            Purpose::MarkSpare(file) => self.spare_marked(file, plain(result)),
            Purpose::Remove(file) => self.file_removed(file, plain(result)),
            Purpose::Sections(segment) => self.sections_written(segment, plain(result)),
            Purpose::Footer(segment) => self.footer_written(segment, plain(result)),
            Purpose::Piece(file) | Purpose::Section(file) => {
                self.reads.release(file);
                let data = result.map(|done| match done {
                    IoDone::Data(bytes) => bytes,
                    IoDone::Ok => bytes::Bytes::new(),
                });
                self.read_completed(id, data);
            }
            Purpose::Rebuild(segment) => self.rebuild_read(segment, id, result),
            Purpose::Recover => self.recovery_read(id, result),
        }
    }

    /// Time passes; `now_ms` is milliseconds since the Unix epoch. To be called every 100 ms, and every
    /// [`ShardConfig::lazy_sync_ms`] while anything is pending.
    pub fn tick(&mut self, now_ms: u64) {
        // A clock that is set back must not have everything wait until it has caught up.
        let passed = if canary::on(Canary::ClockBack) { self.now_ms } else { self.wall_ms };
        self.now_ms += now_ms.saturating_sub(passed);
        self.wall_ms = now_ms;
        if self.recovery.is_none() {
            self.work_due = true;
            self.upkeep_tick();
            self.reads_tick();
        }
    }

    /// What happened, in the order in which it did.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes no more appends, makes everything durable, and seals the log; to be driven on until
    /// [`Self::is_closed`].
    pub fn close(&mut self) {
        if self.closing {
            return;
        }
        self.closing = true;
        self.work_due = true;
        if self.recovery.is_none() && self.commit.fenced.is_none() {
            self.close_frame();
            self.close_active();
        }
    }

    /// Whether nothing is left to do after [`Self::close`].
    pub fn is_closed(&self) -> bool {
        let settled =
            self.commit.is_idle() && self.segments.iter().all(|s| s.file.is_none() || s.is_settled());
        self.closing
            && (self.commit.fenced.is_some() || self.recovery.is_some() || settled)
            && self.ops.is_idle()
    }

    /// Figures for people and metrics.
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            logs: self.logs.len() as u64,
            segments: self.segments.len() as u64,
            spares: self.segments.spares.len() as u64,
            live_bytes: self.segments.iter().map(|s| s.live_bytes).sum(),
            fenced: self.commit.fenced.is_some(),
            ..self.stats
        }
    }
}

/// An entry without a payload.
pub(crate) fn control_entry(kind: EntryKind, log: LogId, offset: u64) -> EntryHeader {
    EntryHeader {
        log,
        base_offset: offset,
        record_count: 0,
        kind,
        codec: PayloadCodec::None,
        flags: 0,
        max_timestamp: 0,
        producer: None,
        payload_bytes: 0,
        payload_crc: 0,
    }
}
