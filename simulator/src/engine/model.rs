//! What a log is to hold: a list of batches, and how far it has come.

use crate::check::{Check, ensure, violated};
use ringmail_shards::api::{LogId, LogState, ReadData};
use ringmail_shards::config::LogConfig;
use ringmail_wire::batch::Batches;
use std::collections::VecDeque;

/// Bytes of a stored batch in front of what the producer gave: the base offset, which the broker writes.
const BASE_OFFSET_BYTES: usize = 8;
/// Bytes of an entry around its batch, padding included, at least.
const ENTRY_BYTES: u64 = 64;

/// A batch that was submitted.
#[derive(Debug, Clone)]
pub(super) struct ModelBatch {
    pub base: u64,
    /// When, as a count of events.
    pub submitted: u64,
    pub timestamps: Box<[i64]>,
    pub bytes: Box<[u8]>,
}

impl ModelBatch {
    pub fn end(&self) -> u64 {
        self.base + self.timestamps.len() as u64
    }
}

/// A log.
#[derive(Debug)]
pub(super) struct ModelLog {
    pub log: LogId,
    pub owner: usize,
    pub config: LogConfig,
    /// In the order of their offsets, from `start_known` on.
    pub batches: VecDeque<ModelBatch>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The offset that the next record gets.
    pub end: u64,
    /// What ends here or before survives a power cut: it was acknowledged as durable, or could be read.
    pub durable_end: u64,
    /// When which offset was first known to be durable, as counts of events.
    durable_since: Vec<(u64, u64)>,
    /// What was acknowledged as durable.
    pub acknowledged_end: u64,
    /// What ends here or before survives the death of the process.
    pub written_end: u64,
    /// The high watermark that was seen last.
    pub high_watermark: u64,
    /// The start that was seen last; what is before `start_known` is gone for good, even after a crash.
    pub start: u64,
    pub start_known: u64,
    /// The greatest start that a client asked for.
    pub start_asked: u64,
    /// Records with older timestamps may have been let go by retention; milliseconds since the Unix epoch.
    pub oldest_kept_ms: i64,
    /// On disks that lie: batches before `start_known`, which may come back, and whether others may be missing.
    pub deleted: Option<VecDeque<ModelBatch>>,
    pub has_holes: bool,
    /// Reads under way: what they may still give is remembered.
    pub readers: u32,
}

impl ModelLog {
    pub fn new(log: LogId, owner: usize, config: LogConfig) -> Self {
        Self {
            log,
            owner,
            config,
            batches: VecDeque::new(),
            bytes: 0,
            end: 0,
            durable_end: 0,
            durable_since: Vec::new(),
            acknowledged_end: 0,
            written_end: 0,
            high_watermark: 0,
            start: 0,
            start_known: 0,
            start_asked: 0,
            oldest_kept_ms: i64::MIN,
            deleted: None,
            has_holes: false,
            readers: 0,
        }
    }

    /// The engine has taken a batch.
    pub fn appended(&mut self, base: u64, timestamps: &[i64], bytes: Vec<u8>, now: u64) {
        let (log, end) = (self.log, self.end);
        ensure(base == end, Check::Reordered, || {
            format!("log {log}: an append got offset {base}, not {end}")
        });
        self.bytes += bytes.len() as u64;
        self.end += timestamps.len() as u64;
        self.batches.push_back(ModelBatch {
            base,
            submitted: now,
            timestamps: timestamps.into(),
            bytes: bytes.into(),
        });
    }

    /// Where the log stands, as the engine says while it runs.
    pub fn observe(&mut self, state: &LogState, now: u64) {
        let log = self.log;
        ensure(state.end == self.end, Check::Reordered, || {
            format!("log {log} ends at {}: {state:?}", self.end)
        });
        let watermark = self.high_watermark..=self.end;
        ensure(watermark.contains(&state.high_watermark), Check::Reordered, || {
            format!("log {log}: the high watermark leaves {watermark:?}: {state:?}")
        });
        self.high_watermark = state.high_watermark;
        self.durable_to(state.high_watermark, now);
        if state.log_start != self.start {
            self.start_moved(state.log_start);
        }
    }

    /// What ends at `end` or before is durable by now.
    pub fn durable_to(&mut self, end: u64, now: u64) {
        if end > self.durable_end {
            self.durable_end = end;
            self.durable_since.push((end, now));
        }
    }

    /// When the batch that ends at `end` was first known to be durable, as a count of events.
    pub fn durable_at(&self, end: u64) -> Option<u64> {
        let at = self.durable_since.partition_point(|(until, _)| *until < end);
        self.durable_since.get(at).map(|(_, now)| *now)
    }

    fn start_moved(&mut self, start: u64) {
        let (log, before) = (self.log, self.start);
        ensure((before..=self.high_watermark).contains(&start), Check::Deleted, || {
            format!(
                "log {log}: its start moved from {before} to {start}, high watermark {}",
                self.high_watermark
            )
        });
        self.start = start;
        // What is missing counts neither as old nor as bytes.
        if start <= self.start_asked || self.has_holes {
            return;
        }
        let mut left: u64 = self.batches.iter().map(entry_bytes).sum();
        for batch in self.batches.iter().take_while(|b| b.base < start) {
            left -= entry_bytes(batch);
            let asked = batch.end() <= self.start_asked;
            let old = batch.timestamps.iter().all(|&t| t < self.oldest_kept_ms);
            let over = self.config.retention_bytes.is_some_and(|keep| left >= keep);
            ensure(asked || old || over, Check::Deleted, || {
                format!(
                    "log {log}: the batch at {} is gone; its start moved from {before} to {start}, asked for was {}; {:?}",
                    batch.base, self.start_asked, self.config
                )
            });
        }
    }

    /// What is before `start` is gone for good.
    pub fn start_is_durable(&mut self, start: u64) {
        self.start_known = self.start_known.max(start);
        self.forget();
    }

    /// A read has ended.
    pub fn reader_left(&mut self) {
        self.readers -= 1;
        self.forget();
    }

    fn forget(&mut self) {
        if self.readers > 0 {
            return;
        }
        while self.batches.front().is_some_and(|b| b.end() <= self.start_known) {
            let gone = self.batches.pop_front().expect("front() was there");
            self.bytes -= gone.bytes.len() as u64;
            self.deleted.iter_mut().for_each(|deleted| deleted.push_back(gone.clone()));
        }
    }

    /// The log after a start of its shard. `killed` says that the machine stayed up since the last.
    pub fn recovered(&mut self, state: &LogState, killed: bool, closed: bool, now: u64) {
        let log = self.log;
        let words = |what: &str| {
            format!(
                "log {log}: {what}: {state:?}; end {}, acknowledged {}, durable {}, written {}, start {} to {}",
                self.end,
                self.acknowledged_end,
                self.durable_end,
                self.written_end,
                self.start_known,
                self.start
            )
        };
        ensure(state.end >= self.acknowledged_end, Check::Lost, || words("acknowledged records are gone"));
        ensure(state.end >= self.durable_end, Check::Unserved, || {
            words("records that could be read are gone")
        });
        let written = state.end >= self.written_end || !killed;
        ensure(written, Check::Lost, || {
            words("records acknowledged as written are gone, but the power stayed on")
        });
        let all = state.end == self.end || !closed;
        ensure(all, Check::Lost, || words("records are gone after an orderly end"));
        ensure(state.end <= self.end, Check::Phantom, || words("there are records that nobody appended"));
        ensure(state.high_watermark == state.end, Check::Unserved, || {
            words("not all that is left can be read")
        });
        let boundary = state.end == self.end
            || state.end <= self.start_known
            || self.batches.iter().any(|b| b.end() == state.end);
        ensure(boundary, Check::Phantom, || words("a batch is cut"));
        let start = (self.start_known.min(state.end)..=self.start).contains(&state.log_start);
        ensure(start, Check::Deleted, || words("the log begins where it never did"));
        self.becomes(state, now);
    }

    /// The log is as a start has left it.
    fn becomes(&mut self, state: &LogState, now: u64) {
        // One may be cut: the log began within it, and what is left of the log is where it began.
        while self.batches.back().is_some_and(|b| b.end() > state.end) {
            let gone = self.batches.pop_back().expect("back() was there");
            self.bytes -= gone.bytes.len() as u64;
        }
        self.durable_since.iter_mut().for_each(|(end, _)| *end = state.end.min(*end));
        self.durable_since.dedup_by_key(|(end, _)| *end);
        self.durable_end = self.durable_end.min(state.end);
        self.durable_to(state.end, now);
        self.readers = 0;
        self.end = state.end;
        self.acknowledged_end = state.end;
        self.written_end = state.end;
        self.high_watermark = state.end;
        self.start = state.log_start;
        self.start_asked = self.start_asked.min(state.log_start);
        self.start_is_durable(state.log_start);
    }

    /// The log after a start on a disk that has lied; gives the batches that are gone from its end. That less was deleted
    /// than was asked for is all right, that there is anything else is not.
    pub fn recovered_from_lies(&mut self, state: &LogState, has_holes: bool, now: u64) -> Vec<(u64, u64)> {
        let log = self.log;
        let place = self.place();
        ensure(state.end <= self.end && state.high_watermark == state.end, Check::Phantom, || {
            format!("log {log}: {place}; it comes back with what nobody appended: {state:?}")
        });
        ensure(state.log_start <= self.start.min(state.end), Check::Deleted, || {
            format!("log {log}: {place}; it comes back without its beginning: {state:?}")
        });
        let deleted = self.deleted.get_or_insert_default();
        while deleted.back().is_some_and(|b| b.end() > state.log_start) {
            let back = deleted.pop_back().expect("back() was there");
            self.bytes += back.bytes.len() as u64;
            self.batches.push_front(back);
        }
        let boundary = state.end == self.end
            || state.end == state.log_start
            || self.batches.iter().any(|b| b.end() == state.end);
        ensure(boundary, Check::Phantom, || format!("log {log}: {place}; a batch is cut: {state:?}"));
        let gone = self.batches.iter().filter(|b| b.end() > state.end && b.end() <= self.durable_end);
        let gone = gone.map(|b| (b.base, self.durable_at(b.end()).unwrap_or(0))).collect();
        self.has_holes |= has_holes;
        self.start_known = state.log_start;
        self.becomes(state, now);
        gone
    }

    /// Where the batch ends that holds `offset`.
    pub fn batch_end(&self, offset: u64) -> u64 {
        let at = self.batches.partition_point(|b| b.end() <= offset);
        self.batches.get(at).map_or(self.end, ModelBatch::end)
    }

    /// Whether `data` is what a read from `offset` on may give; counts the batches.
    pub fn check_read(&self, offset: u64, max_bytes: usize, data: &ReadData) -> u64 {
        let log = self.log;
        let (mut next, mut count, mut bytes) = (offset, 0, 0);
        for piece in &data.pieces {
            for batch in Batches::new(piece) {
                let batch = batch.unwrap_or_else(|error| {
                    violated(
                        Check::Phantom,
                        format!("log {log} at {next}: a read gives what is no batch: {error}"),
                    )
                });
                let base = batch.base_offset();
                let follows = if count == 0 { base <= next } else { base == next };
                if !follows {
                    let check = if base < next { Check::Duplicated } else { Check::Reordered };
                    violated(
                        check,
                        format!("log {log}: a read from {offset} gives {base} where {next} is due"),
                    );
                }
                next = self.check_batch(base, batch.as_bytes());
                ensure(next > offset, Check::Duplicated, || {
                    format!("log {log}: a read from {offset} ends at {next}")
                });
                bytes += batch.as_bytes().len();
                count += 1;
            }
        }
        ensure(data.next_offset == next, Check::Answer, || {
            format!("log {log}: a read from {offset} ends at {next} and says {}", data.next_offset)
        });
        ensure(bytes == data.bytes && (count <= 1 || bytes <= max_bytes), Check::Answer, || {
            format!("log {log}: a read of at most {max_bytes} bytes gives {bytes} and says {}", data.bytes)
        });
        ensure(next <= data.state.high_watermark, Check::Unserved, || {
            format!("log {log}: a read from {offset} ends at {next}, past {:?}", data.state)
        });
        count
    }

    /// Whether these are the bytes that were appended at `base`; gives the batch's end.
    fn check_batch(&self, base: u64, bytes: &[u8]) -> u64 {
        let at = self.batches.partition_point(|b| b.base < base);
        let Some(known) = self.batches.get(at).filter(|b| b.base == base) else {
            violated(
                Check::Phantom,
                format!("log {}: there is a batch at {base} that nobody appended", self.log),
            );
        };
        if known.bytes[BASE_OFFSET_BYTES..] != bytes[BASE_OFFSET_BYTES..] {
            let elsewhere =
                self.batches.iter().find(|b| b.bytes[BASE_OFFSET_BYTES..] == bytes[BASE_OFFSET_BYTES..]);
            let check = if elsewhere.is_some() { Check::Reordered } else { Check::Phantom };
            let origin = elsewhere.map(|b| b.base);
            violated(
                check,
                format!("log {}: the batch at {base} has other bytes, those of {origin:?}", self.log),
            );
        }
        known.end()
    }

    /// The first offset from `from` to `until` of a record with this timestamp or a later one.
    pub fn first_at(&self, timestamp: i64, from: u64, until: u64) -> Option<u64> {
        let first = self.batches.partition_point(|b| b.end() <= from);
        let stamps = self
            .batches
            .iter()
            .skip(first)
            .take_while(|b| b.base < until)
            .flat_map(|b| (b.base..).zip(&b.timestamps));
        let mut found = stamps.filter(|&(offset, &t)| (from..until).contains(&offset) && t >= timestamp);
        found.next().map(|(offset, _)| offset)
    }

    /// Where it stands, for people.
    pub fn place(&self) -> String {
        format!(
            "start {} (for good {}), high watermark {}, end {}",
            self.start, self.start_known, self.high_watermark, self.end
        )
    }

    /// The timestamp of a record.
    pub fn timestamp(&self, offset: u64) -> Option<i64> {
        let at = self.batches.partition_point(|b| b.end() <= offset);
        let batch = self.batches.get(at).filter(|b| b.base <= offset)?;
        Some(batch.timestamps[(offset - batch.base) as usize])
    }
}

fn entry_bytes(batch: &ModelBatch) -> u64 {
    ENTRY_BYTES + (batch.bytes.len() as u64).next_multiple_of(8)
}
