//! Appends, reads, deletions and crashes in a random order, against a model that is a list of batches per log.

mod common;

use common::{Disk, MemDisk, Rng};
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::shard::{
    Acks, Answer, AppendError, Appended, Event, Isolation, LogId, Payload, ReadData, ReadError, Shard, Token,
};
use ringmail_wire::batch::{Batch, BatchBuilder, Batches, Compression};
use std::collections::BTreeMap;

const LOGS: u64 = 6;

#[derive(Debug, Default, Clone)]
struct ModelLog {
    /// Bytes from the CRC field on, by base offset: what is in front of it the broker writes.
    batches: BTreeMap<u64, (u32, Vec<u8>)>,
    end: u64,
    synced_end: u64,
    start_wanted: u64,
    start_synced: u64,
}

struct World {
    rng: Rng,
    disk: MemDisk,
    shard: Shard,
    now: u64,
    model: BTreeMap<LogId, ModelLog>,
    acks: BTreeMap<Token, (LogId, u64)>,
    starts: BTreeMap<Token, (LogId, u64)>,
    reads: BTreeMap<Token, (LogId, u64)>,
    token: u64,
    answers: BTreeMap<Token, Result<ReadData, ReadError>>,
    damage: Vec<String>,
    counter: u64,
    next_log: LogId,
}

fn config(incarnation: u64) -> ShardConfig {
    ShardConfig {
        incarnation,
        segment_bytes: 512 << 10,
        write_bytes: 16 << 10,
        writes_in_flight: 4,
        tail_cache_bytes: 64 << 10,
        spare_segments: 2,
        max_batch_bytes: 100 << 10,
        max_pending_bytes: 1 << 20,
        read_bytes: 128 << 10,
        reads_in_flight: 4,
        read_ahead: 2,
        clean_below: 0.4,
        clean_bytes_per_second: 8 << 20,
        ..ShardConfig::default()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng::new(seed),
            disk: MemDisk::default(),
            shard: Shard::open(config(seed), &[], 1000),
            now: 1_000_000,
            model: BTreeMap::new(),
            acks: BTreeMap::new(),
            starts: BTreeMap::new(),
            reads: BTreeMap::new(),
            token: 0,
            answers: BTreeMap::new(),
            damage: Vec::new(),
            counter: 0,
            next_log: LOGS + 1,
        };
        world.become_ready();
        for log in 1..=LOGS {
            world.model.insert(log, ModelLog::default());
            world.shard.put_log(log, LogConfig::KEEP);
        }
        world
    }

    fn token(&mut self) -> Token {
        self.token += 1;
        Token(self.token)
    }

    fn pump(&mut self) {
        while let Some((id, op)) = self.shard.next_io() {
            self.disk.submit(id, op);
        }
        while let Some(event) = self.shard.next_event() {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Appended { token, .. } => {
                let acked = self.acks.remove(&token);
                if let Some((m, end)) = acked.and_then(|(log, end)| Some((self.model.get_mut(&log)?, end))) {
                    m.synced_end = m.synced_end.max(end);
                }
                let moved = self.starts.remove(&token);
                if let Some((m, start)) =
                    moved.and_then(|(log, start)| Some((self.model.get_mut(&log)?, start)))
                {
                    m.start_synced = m.start_synced.max(start);
                }
            }
            Event::Read { token, result } => {
                self.answers.insert(token, result);
            }
            Event::Damage(damage) => self.damage.push(damage.to_string()),
            Event::Fenced { reason } => panic!("fenced: {reason}"),
            Event::AppendFailed { error, .. } => panic!("an append failed: {error}"),
            Event::Ready | Event::Advanced { .. } | Event::Full(_) | Event::OffsetFound { .. } => {}
        }
    }

    fn step_disk(&mut self) {
        if let Some((id, result)) = self.disk.complete_one(&mut self.rng) {
            self.shard.complete(id, result);
        }
        self.pump();
    }

    fn settle(&mut self) {
        for _ in 0..20_000 {
            self.pump();
            if self.disk.is_idle() {
                return;
            }
            self.step_disk();
        }
        panic!("the shard never settles");
    }

    fn become_ready(&mut self) {
        for _ in 0..100_000 {
            self.pump();
            if self.shard.is_ready() {
                return;
            }
            assert!(!self.disk.is_idle(), "recovery waits for nothing");
            self.step_disk();
        }
        panic!("recovery never ends");
    }

    fn append(&mut self) {
        let log = self.any_log();
        let mut builder = BatchBuilder::new(90 << 10, Compression::None);
        let records = 1 + self.rng.below(4);
        let size = if self.rng.chance(20) { 20_000 } else { self.rng.below(300) };
        for _ in 0..records {
            self.counter += 1;
            let mut value = vec![self.counter as u8; size];
            value.extend_from_slice(&self.counter.to_le_bytes());
            builder.push(self.now as i64, None, Some(&value), &[]).expect("it fits");
        }
        let mut batch = Vec::new();
        builder.finish_into(&mut batch);
        let acks = match self.rng.below(4) {
            0 => Acks::None,
            1 => Acks::Written,
            _ => Acks::Synced,
        };
        let token = self.token();
        match self.shard.append(log, Payload::Ringmail(&batch), acks, token) {
            Ok(Appended { base_offset: base, .. }) => {
                let m = self.model.get_mut(&log).expect("a model log");
                assert_eq!(base, m.end, "offsets are dense");
                m.batches.insert(base, (records as u32, batch[12..].to_vec()));
                m.end += records as u64;
                if acks == Acks::Synced {
                    self.acks.insert(token, (log, m.end));
                }
            }
            Err(AppendError::Overloaded(_) | AppendError::NoSpareYet) => self.settle(),
            Err(error) => panic!("refused: {error}"),
        }
    }

    fn any_log(&mut self) -> LogId {
        let mut logs: Vec<LogId> = self.model.keys().copied().collect();
        logs.sort_unstable();
        logs[self.rng.below(logs.len())]
    }

    fn delete_records(&mut self) {
        let log = self.any_log();
        let state = self.shard.log_state(log).expect("known");
        let span = state.high_watermark - state.log_start;
        let before = state.log_start + self.rng.below(span as usize + 1) as u64;
        let token = self.token();
        let start = self.shard.delete_records(log, before, token).expect("not fenced");
        let m = self.model.get_mut(&log).expect("a model log");
        m.start_wanted = m.start_wanted.max(start);
        self.starts.insert(token, (log, start));
    }

    fn replace_log(&mut self) {
        let log = self.any_log();
        self.shard.drop_log(log);
        self.model.remove(&log);
        let fresh = self.next_log;
        self.next_log += 1;
        self.model.insert(fresh, ModelLog::default());
        self.shard.put_log(fresh, LogConfig::KEEP);
        // The catalog would not have the log created again: nothing is left to check of it.
        self.settle();
        self.tick();
        self.settle();
    }

    fn tick(&mut self) {
        self.now += 50;
        self.shard.tick(self.now);
        self.pump();
    }

    fn read(&mut self, log: LogId, offset: u64, max: usize) -> Result<ReadData, ReadError> {
        let token = self.token();
        match self.shard.read(log, offset, max, Isolation::Uncommitted, token) {
            Answer::Now(result) => result,
            Answer::Later => {
                for _ in 0..100_000 {
                    self.pump();
                    if let Some(result) = self.answers.remove(&token) {
                        return result;
                    }
                    self.step_disk();
                }
                panic!("a read is never answered");
            }
        }
    }

    fn read_somewhere(&mut self) {
        let log = self.any_log();
        let state = self.shard.log_state(log).expect("known");
        let span = (state.high_watermark - state.log_start) as usize;
        let offset = state.log_start + self.rng.below(span + 1) as u64;
        let max = 1 + self.rng.below(300_000);
        let data = self.read(log, offset, max).expect("readable");
        self.check(log, offset, &data);
    }

    fn check(&mut self, log: LogId, offset: u64, data: &ReadData) -> u64 {
        let model = &self.model[&log];
        let mut next = offset;
        let mut first = true;
        for piece in &data.pieces {
            for batch in Batches::new(piece) {
                let batch: Batch<'_> = batch.expect("batches are whole");
                batch.check().expect("and not damaged");
                let base = batch.base_offset();
                assert!(if first { base <= next } else { base == next }, "log {log}: {base} after {next}");
                first = false;
                let (records, bytes) = model.batches.get(&base).expect("it was appended");
                assert_eq!(batch.record_count(), *records);
                assert_eq!(&batch.as_bytes()[12..], &bytes[..], "log {log} offset {base}");
                next = base + u64::from(*records);
            }
        }
        assert_eq!(data.next_offset, next);
        next
    }

    fn read_all(&mut self) {
        let mut logs: Vec<LogId> = self.model.keys().copied().collect();
        logs.sort_unstable();
        for log in logs {
            let state = self.shard.log_state(log).expect("known");
            let mut at = state.log_start;
            let max = 1 + self.rng.below(200_000);
            while at < state.high_watermark {
                let data = self.read(log, at, max).unwrap_or_else(|e| panic!("log {log} at {at}: {e}"));
                assert!(!data.pieces.is_empty(), "log {log} at {at} of {state:?}: nothing");
                at = self.check(log, at, &data);
            }
        }
    }

    fn crash(&mut self) {
        self.disk.crash(&mut self.rng);
        self.reopen();
    }

    fn reopen(&mut self) {
        self.acks.clear();
        self.starts.clear();
        self.answers.clear();
        self.reads.clear();
        self.shard = Shard::open(config(self.rng.next()), &self.disk.files(), self.now);
        self.become_ready();
        for (&log, model) in &mut self.model {
            self.shard.put_log(log, LogConfig::KEEP);
            let state = self.shard.log_state(log).expect("just put");
            assert!(
                state.high_watermark >= model.synced_end,
                "log {log}: {} acknowledged, {state:?}",
                model.synced_end
            );
            assert!(
                state.high_watermark <= model.end,
                "log {log}: phantom records: {state:?}, appended {}, damage {:?}",
                model.end,
                self.damage
            );
            assert!(state.log_start >= model.start_synced, "log {log}: deleted records came back");
            assert!(state.log_start <= model.start_wanted, "log {log}: records went by themselves");
            model.end = state.end;
            model.synced_end = state.end;
            model.start_synced = state.log_start;
            model.start_wanted = state.log_start;
            model.batches.split_off(&state.end);
        }
        assert!(self.damage.is_empty(), "a crash is not damage: {:?}", self.damage);
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.rng.below(1000) {
                0..600 => self.append(),
                600..640 => self.read_somewhere(),
                640..650 => self.delete_records(),
                650..652 => self.replace_log(),
                652..700 => self.tick(),
                700..703 => self.crash(),
                _ => self.step_disk(),
            }
            if self.rng.chance(3) {
                self.pump();
            }
        }
        self.settle();
        self.read_all();
        self.crash();
        self.read_all();
    }
}

/// `SEED=n` runs one seed, `SEEDS=n` so many.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|s| s.parse().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(12),
    }
}

#[test]
fn what_was_acknowledged_survives_any_crash() {
    for seed in seeds() {
        eprintln!("seed {seed}");
        World::new(seed).run(6000);
    }
}

#[test]
fn a_clean_shutdown_seals_everything() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        for _ in 0..800 {
            world.append();
            world.step_disk();
        }
        world.settle();
        world.shard.close();
        world.settle();
        assert!(world.shard.is_closed());
        world.reopen();
        world.read_all();
    }
}

#[test]
fn space_comes_back_and_memory_does_not_grow() {
    let mut world = World::new(7);
    for round in 0..60 {
        for _ in 0..120 {
            world.append();
            world.step_disk();
        }
        world.settle();
        let logs: Vec<LogId> = world.model.keys().copied().filter(|&l| l != 3).collect();
        for log in logs {
            let token = world.token();
            let start = world.shard.delete_records(log, u64::MAX, token).expect("open");
            let m = world.model.get_mut(&log).expect("known");
            m.start_wanted = start;
            world.starts.insert(token, (log, start));
        }
        for _ in 0..10 {
            world.settle();
            world.tick();
        }
        if round == 20 {
            world.crash();
        }
    }
    world.settle();
    let stats = world.shard.stats();
    assert!(stats.recycled_segments > 5, "{stats:?}");
    assert!(stats.cleaned_bytes > 0, "log 3 lives in segments that are else empty: {stats:?}");
    world.read_all();
}
