//! What clients ask for.

use super::draw::log_config;
use super::member::{Caller, Waiting};
use super::model::ModelLog;
use super::world::{Event, World};
use crate::check::{Check, ensure, violated};
use ringmail_shards::api::{Acks, Answer, AppendError, Isolation, LogId, Payload, ReadError, TimeQuery};
use ringmail_shards::format::entry::ENTRY_HEADER_BYTES;
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::io::BLOCK_BYTES;
use ringmail_wire::batch::{BatchBuilder, Compression};
use std::collections::VecDeque;

/// Microseconds after which a client tries again whose shard is not there.
const AGAIN_US: u64 = 2000;
/// Microseconds for which a client waits for records at the end of a log, at most.
const WATCH_US: u64 = 40_000;
/// Bytes that no batch exceeds.
const BATCH_LIMIT: usize = 1 << 20;
/// Once in so many batches one is damaged on its way.
const SPOILED: u64 = 150;
/// Bytes of a batch before those that its own CRC covers, and that make a difference.
const BASE_OFFSET_AND_LENGTH: usize = 12;

/// Bytes around a batch in a frame of its own.
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES;

/// A client: it makes one request after another.
#[derive(Debug)]
pub(super) struct Worker {
    /// The shard that it is connected to.
    pub home: usize,
    /// Counts its requests and their answers: a second answer, or one to a request before, is of no interest.
    pub request: u64,
    /// Counts its connections: what it meant to ask on an earlier one is not asked any more.
    pub asks: u64,
    /// Where it goes on reading.
    pub cursor: Option<(LogId, u64)>,
    /// It makes no more requests.
    pub idle: bool,
}

impl Worker {
    pub fn new(home: usize) -> Self {
        Self { home, request: 0, asks: 0, cursor: None, idle: false }
    }
}

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// `raw` bytes before compression.
    Append {
        log: LogId,
        acks: Acks,
        batch: Vec<u8>,
        raw: usize,
        timestamps: Vec<i64>,
        spoiled: bool,
    },
    Read {
        log: LogId,
        on: bool,
        watch: bool,
        max_bytes: usize,
    },
    Delete {
        log: LogId,
    },
    Time {
        log: LogId,
    },
    Replace {
        log: LogId,
    },
}

impl Request {
    fn log(&self) -> LogId {
        match self {
            Self::Append { log, .. }
            | Self::Read { log, .. }
            | Self::Delete { log }
            | Self::Time { log }
            | Self::Replace { log } => *log,
        }
    }
}

impl World<'_> {
    /// A log that nobody has heard of before. The shard is told by its next start, or by the caller.
    pub fn create_log(&mut self, shard: usize) -> LogId {
        let log = self.next_log;
        self.next_log += 1;
        let config = log_config(&mut self.rng);
        let mut model = ModelLog::new(log, shard, config);
        model.deleted = self.episode.lies.any().then(VecDeque::new);
        self.logs.insert(log, model);
        self.say(shard, "create log", &[("log", log)]);
        log
    }

    /// A client makes its next request.
    pub fn ask(&mut self, worker: usize, asks: u64) {
        if self.workers[worker].asks != asks {
            return;
        }
        if self.left == 0 {
            self.workers[worker].idle = true;
            return;
        }
        let home = self.workers[worker].home;
        if !self.members[home].serves() {
            return self.schedule.after(AGAIN_US, Event::Ask { worker, asks });
        }
        self.left -= 1;
        self.figures.operations += 1;
        self.workers[worker].request += 1;
        let caller = Caller { worker, request: self.workers[worker].request };
        let request = self.draw_request(worker);
        let owner = self.logs[&request.log()].owner;
        let delay = self.mesh.delay(home, owner, self.schedule.now_us(), &mut self.rng);
        let boot = self.members[owner].boot;
        if delay == 0 {
            return self.arrive(owner, boot, caller, request);
        }
        self.schedule.after(delay, Event::Arrive { to: owner, boot, caller, request });
    }

    fn draw_request(&mut self, worker: usize) -> Request {
        let k = self.rng.index(self.logs.len());
        let (&log, model) = self.logs.iter().nth(k).expect("there are always logs");
        let mix = self.episode.mix;
        let too_large = model.bytes > self.episode.log_bytes;
        let draw = self.rng.below(mix.append + mix.read + mix.delete + mix.time + mix.replace);
        let shares = [mix.append, mix.read, mix.delete, mix.time];
        let mut sum = 0;
        let which = shares.iter().position(|share| {
            sum += share;
            draw < sum
        });
        match which {
            Some(0) if too_large => Request::Delete { log },
            Some(0) => self.draw_append(log),
            Some(1) => {
                let cursor = self.workers[worker].cursor.filter(|(log, _)| self.logs.contains_key(log));
                let on = cursor.is_some() && !self.rng.one_in(5);
                let log = cursor.filter(|_| on).map_or(log, |(log, _)| log);
                let max_bytes = self.rng.pick(&[1, 4 << 10, 32 << 10, 128 << 10, 256 << 10]);
                Request::Read { log, on, watch: self.rng.one_in(2), max_bytes }
            }
            Some(2) => Request::Delete { log },
            Some(3) => Request::Time { log },
            _ => Request::Replace { log },
        }
    }

    fn draw_append(&mut self, log: LogId) -> Request {
        let large = self.rng.one_in(self.episode.large_batch);
        let count = if self.rng.one_in(20) { self.rng.between(5, 40) } else { self.rng.between(1, 4) };
        let bytes = if large { self.rng.below(120 << 10) / count } else { self.rng.below(300) };
        let compression = if self.rng.one_in(40) { Compression::Lz4 } else { Compression::None };
        let mut builder = BatchBuilder::new(BATCH_LIMIT, compression);
        let mut value = Vec::with_capacity(bytes as usize + 8);
        let mut timestamps = Vec::with_capacity(count as usize);
        for _ in 0..count {
            self.records += 1;
            value.clear();
            value.extend_from_slice(&self.records.to_le_bytes());
            value.resize(8 + bytes as usize, self.records as u8);
            let timestamp = self.schedule.wall_ms() as i64 - self.rng.below(40) as i64;
            builder.push(timestamp, None, Some(&value), &[]).expect("the limit is larger than any record");
            timestamps.push(timestamp);
        }
        let mut batch = Vec::new();
        let raw = builder.len_bytes();
        builder.finish_into(&mut batch);
        let spoiled = self.rng.one_in(SPOILED);
        if spoiled {
            let at = BASE_OFFSET_AND_LENGTH + self.rng.index(batch.len() - BASE_OFFSET_AND_LENGTH);
            batch[at] ^= 1 << self.rng.below(8);
        }
        let acks = self.rng.pick(&[Acks::None, Acks::Written, Acks::Synced, Acks::Synced]);
        Request::Append { log, acks, batch, raw, timestamps, spoiled }
    }

    /// A request reaches the shard that is to serve it.
    pub fn arrive(&mut self, to: usize, boot: u64, caller: Caller, request: Request) {
        let member = &self.members[to];
        let log = request.log();
        if member.boot != boot || !member.serves() || !self.logs.contains_key(&log) {
            return self.answer_in(to, caller, AGAIN_US);
        }
        // What the engine has said by now is known to whoever asks.
        self.take_events(to);
        match request {
            Request::Append { acks, batch, raw, timestamps, spoiled, .. } => {
                self.append(to, caller, log, acks, batch, raw, &timestamps, spoiled);
            }
            Request::Read { on, watch, max_bytes, .. } => self.read(to, caller, log, on, watch, max_bytes),
            Request::Delete { .. } => self.delete(to, caller, log),
            Request::Time { .. } => self.search(to, caller, log),
            Request::Replace { .. } => self.replace(to, caller, log),
        }
        self.plan_turn(to);
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a request is")]
    fn append(
        &mut self,
        shard: usize,
        caller: Caller,
        log: LogId,
        acks: Acks,
        batch: Vec<u8>,
        raw: usize,
        timestamps: &[i64],
        spoiled: bool,
    ) {
        let token = self.token();
        let bytes = batch.len();
        let result = self.members[shard].engine().append(log, Payload::Ringmail(&batch), acks, token);
        let base = match result {
            Ok(appended) => appended.base_offset,
            Err(error) => {
                self.say(shard, "refused", &[("log", log), ("bytes", bytes as u64)]);
                self.check_refusal(shard, log, Some(raw), spoiled, &error);
                return self.answer_in(shard, caller, AGAIN_US);
            }
        };
        ensure(!spoiled, Check::Phantom, || format!("log {log}: a damaged batch was taken at {base}"));
        self.say(
            shard,
            "append",
            &[("log", log), ("base", base), ("bytes", bytes as u64), ("acks", acks as u64)],
        );
        let model = self.logs.get_mut(&log).expect("arrive() looked for it");
        model.appended(base, timestamps, batch, self.events);
        let end = model.end;
        if acks == Acks::None {
            return self.answer_in(shard, caller, 0);
        }
        self.members[shard].waiting.insert(token, (caller, Waiting::Append { log, base, end, acks }));
    }

    /// Whether a refusal is right.
    fn check_refusal(
        &self,
        shard: usize,
        log: LogId,
        bytes: Option<usize>,
        spoiled: bool,
        error: &AppendError,
    ) {
        let member = &self.members[shard];
        let limit = self.logs[&log].config.max_batch_bytes.map_or(usize::MAX, |b| b as usize);
        let right = match error {
            AppendError::UnknownLog(_) | AppendError::Closed => false,
            AppendError::NoSpareYet => {
                let spares = member.shard.as_ref().map_or(0, |engine| engine.stats().spares);
                member.config.spare_segments > 1 && spares == 1
            }
            AppendError::Batch(_) => spoiled,
            AppendError::KafkaBatch(_)
            | AppendError::Timestamp { .. }
            | AppendError::Keyless(_)
            | AppendError::OutOfOrderSequence { .. }
            | AppendError::InvalidProducerEpoch { .. }
            | AppendError::InvalidTransaction(_)
            | AppendError::CoordinatorFenced { .. }
            | AppendError::TooManyProducers(_)
            | AppendError::TooManyAborted(_) => false,
            AppendError::TooLarge { .. } => bytes.is_some_and(|bytes| {
                let frame = (bytes + FRAME_BYTES).next_multiple_of(BLOCK_BYTES);
                let fits = frame <= member.config.segment_bytes as usize / 2;
                spoiled || !fits || bytes > limit.min(member.config.max_batch_bytes)
            }),
            AppendError::Overloaded(pending) => *pending >= member.config.max_pending_bytes,
            AppendError::Full => member.full,
            AppendError::Fenced(_) => member.fenced,
        };
        ensure(right, Check::Answer, || {
            format!(
                "log {log}: {bytes:?} bytes are refused ({error}); full: {}, fenced: {}",
                member.full, member.fenced
            )
        });
    }

    fn read(&mut self, shard: usize, caller: Caller, log: LogId, on: bool, watch: bool, max_bytes: usize) {
        self.observe(shard, log);
        let model = &self.logs[&log];
        let (start, end) = (model.start, model.high_watermark);
        let cursor = self.workers[caller.worker].cursor.filter(|(of, _)| on && *of == log);
        let offset = match cursor {
            Some((_, offset)) => offset,
            None if self.rng.one_in(30) => self.rng.below(end + 3),
            None if self.rng.one_in(3) => end,
            None => start + self.rng.below(end - start + 1),
        };
        let token = self.token();
        let waiting = Waiting::Read { log, offset, max_bytes };
        self.say(shard, "read", &[("log", log), ("offset", offset), ("max", max_bytes as u64)]);
        match self.members[shard].engine().read(log, offset, max_bytes, Isolation::Uncommitted, token) {
            Answer::Later => {
                self.logs.get_mut(&log).expect("arrive() looked for it").readers += 1;
                self.members[shard].waiting.insert(token, (caller, waiting));
            }
            Answer::Now(Err(ReadError::OutOfRange { .. })) if !(start..=end).contains(&offset) => {
                self.workers[caller.worker].cursor = None;
                self.answer_in(shard, caller, 0);
            }
            Answer::Now(Ok(data)) if data.pieces.is_empty() && offset == end => {
                self.workers[caller.worker].cursor = Some((log, offset));
                if watch { self.watch(shard, caller, log, end) } else { self.answer_in(shard, caller, 0) }
            }
            Answer::Now(result) => self.read_ended(shard, caller, (log, offset, max_bytes), result),
        }
    }

    fn watch(&mut self, shard: usize, caller: Caller, log: LogId, high_watermark: u64) {
        let member = &mut self.members[shard];
        member.engine().watch(log);
        let watch = member.watches.entry(log).or_insert_with(|| (high_watermark, Vec::new()));
        watch.1.push(caller);
        self.schedule.after(WATCH_US, Event::WatchOver { caller });
    }

    fn delete(&mut self, shard: usize, caller: Caller, log: LogId) {
        self.observe(shard, log);
        let model = &self.logs[&log];
        let (start, end) = (model.start, model.high_watermark);
        let before = match self.rng.below(8) {
            0 => u64::MAX,
            1 => end,
            2 => self.rng.below(start + 1),
            3 => start + self.rng.below(end - start + 1) / 2,
            _ => start + self.rng.below(end - start + 1),
        };
        let token = self.token();
        self.say(shard, "delete", &[("log", log), ("before", before)]);
        let moved = match self.members[shard].engine().delete_records(log, before, token) {
            Ok(moved) => moved,
            Err(error) => {
                self.check_refusal(shard, log, None, false, &error);
                return self.answer_in(shard, caller, AGAIN_US);
            }
        };
        ensure(moved == before.min(end).max(start), Check::Deleted, || {
            format!(
                "log {log}: told to delete what is before {before}, it begins at {moved}; it had {start}..{end}"
            )
        });
        let model = self.logs.get_mut(&log).expect("arrive() looked for it");
        model.start_asked = model.start_asked.max(moved);
        self.members[shard].waiting.insert(token, (caller, Waiting::Delete { log, start: moved }));
        self.observe(shard, log);
    }

    fn search(&mut self, shard: usize, caller: Caller, log: LogId) {
        self.observe(shard, log);
        let model = &self.logs[&log];
        let (start, high_watermark) = (model.start, model.high_watermark);
        let record = start + self.rng.below(high_watermark - start + 1);
        let timestamp = match model.timestamp(record) {
            Some(timestamp) => timestamp + self.rng.below(3) as i64 - 1,
            None => self.schedule.wall_ms() as i64 - self.rng.below(100) as i64,
        };
        let token = self.token();
        self.say(shard, "search", &[("log", log), ("timestamp", timestamp as u64)]);
        let waiting = Waiting::Time { log, timestamp, start, high_watermark };
        match self.members[shard].engine().offset_for_time(
            log,
            TimeQuery::AtOrAfter(timestamp),
            Isolation::Uncommitted,
            token,
        ) {
            Answer::Later => {
                self.logs.get_mut(&log).expect("arrive() looked for it").readers += 1;
                self.members[shard].waiting.insert(token, (caller, waiting));
            }
            Answer::Now(result) => {
                let result = result.map(|found| found.offset);
                self.check_time(shard, log, timestamp, start..high_watermark, &result);
                self.answer_in(shard, caller, 0);
            }
        }
    }

    /// A log is deleted, and another created.
    fn replace(&mut self, shard: usize, caller: Caller, log: LogId) {
        self.observe(shard, log);
        self.drop_log(shard, log);
        let fresh = self.create_log(shard);
        let config = self.logs[&fresh].config;
        self.members[shard].engine().put_log(fresh, config);
        self.answer_in(shard, caller, 0);
    }

    fn drop_log(&mut self, shard: usize, log: LogId) {
        self.say(shard, "drop log", &[("log", log)]);
        let member = &mut self.members[shard];
        member.engine().drop_log(log);
        if member.engine().log_state(log).is_some() {
            violated(Check::Deleted, format!("log {log} is there after it was dropped"));
        }
        // On a full disk that may not be stored; the catalog would say it again at the next start.
        let stored = !member.full && !member.fenced;
        member.dropped.insert(log, super::member::Dropped { stored, durable: false });
        if let Some((_, callers)) = member.watches.remove(&log) {
            callers.into_iter().for_each(|caller| self.answer_in(shard, caller, 0));
        }
        let model = self.logs.remove(&log).expect("its caller looked for it");
        if model.readers > 0 {
            self.gone.insert(log, model);
        }
    }

    /// Operations of the shard's disk that have failed since its start.
    pub fn disk_failed(&self, shard: usize) -> bool {
        let member = &self.members[shard];
        member.disk.stats.failed() > member.failed_before
    }
}
