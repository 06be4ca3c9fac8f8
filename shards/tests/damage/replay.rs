//! A run whose writes and syncs are recorded: the process is killed after each of them, and power is lost at ten thousand
//! places with other sectors arrived each time. What was acknowledged by then is there, and nothing else appears.
//!
//! `REORDERINGS=n` says how often power is lost, `SEED=n` where.

use crate::common::driver::{Driver, records};
use crate::common::{Disk, MemDisk, Rng};
use crate::patched::{Image, PatchedDisk};
use crate::small::number;
use bytes::Bytes;
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::io::{ExistingFile, FileId, IoId, IoOp, IoResult};
use ringmail_shards::shard::{Acks, Event, LogId, Payload, Token};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const LOGS: LogId = 6;
const REORDERINGS: u64 = 10_000;
const SECTOR: usize = 512;

/// What happened on the disk, or was promised.
#[derive(Debug, Clone)]
enum Step {
    Began(IoId, IoOp),
    Ended(IoId),
    /// The log reaches, or begins at, least here: that was acknowledged.
    End(LogId, u64),
    Start(LogId, u64),
    Dropped(LogId),
}

impl Step {
    /// Whether it changes what a crash leaves.
    fn is_on_disk(&self) -> bool {
        matches!(self, Self::Began(..) | Self::Ended(_))
    }
}

/// A disk that writes down what is done to it.
#[derive(Default)]
struct Recorder {
    disk: MemDisk,
    steps: Vec<Step>,
}

impl Disk for Recorder {
    fn files(&self) -> Vec<ExistingFile> {
        self.disk.files()
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        if !matches!(op, IoOp::Read { .. }) {
            self.steps.push(Step::Began(id, op.clone()));
        }
        self.disk.submit(id, op);
    }

    fn complete_one(&mut self, rng: &mut Rng) -> Option<(IoId, IoResult)> {
        let (id, result) = self.disk.complete_one(rng)?;
        self.steps.push(Step::Ended(id));
        Some((id, result))
    }

    fn kill(&mut self) {
        self.disk.kill();
    }
}

/// What a run did.
struct Run {
    steps: Vec<Step>,
    /// The start and the end that each log had in memory, by the number of steps so far.
    reached: BTreeMap<usize, BTreeMap<LogId, (u64, u64)>>,
    values: HashMap<(LogId, u64), Vec<u8>>,
}

struct Runner {
    driver: Driver<Recorder>,
    rng: Rng,
    values: HashMap<(LogId, u64), Vec<u8>>,
    reached: BTreeMap<usize, BTreeMap<LogId, (u64, u64)>>,
    appends: HashMap<Token, (LogId, u64)>,
    starts: HashMap<Token, (LogId, u64)>,
}

fn config() -> ShardConfig {
    ShardConfig {
        incarnation: 1,
        segment_bytes: 160 << 10,
        write_bytes: 16 << 10,
        max_batch_bytes: 32 << 10,
        tail_cache_bytes: 0,
        spare_segments: 2,
        clean_below: 0.4,
        ..ShardConfig::default()
    }
}

impl Runner {
    fn append(&mut self) {
        let log = if self.rng.chance(20) { LOGS } else { 1 + self.rng.below(LOGS as usize - 1) as u64 };
        let Some(state) = self.driver.shard.log_state(log) else { return };
        let size = if self.rng.chance(8) { 6000 + self.rng.below(9000) } else { self.rng.below(300) };
        let count = if size > 1000 { 1 } else { 1 + self.rng.below(3) as u64 };
        let value = |offset| format!("log {log} offset {offset} {}", "x".repeat(size)).into_bytes();
        let values: Vec<Vec<u8>> = (state.end..state.end + count).map(value).collect();
        let token = self.driver.token();
        let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let batch = crate::common::driver::batch(self.driver.now as i64, &slices);
        let acks = if self.rng.chance(4) { Acks::Written } else { Acks::Synced };
        let base =
            self.driver.shard.append(log, Payload::Ringmail(&batch), acks, token).expect("open").base_offset;
        if acks == Acks::Synced {
            self.appends.insert(token, (log, base + count));
        }
        self.values.extend((base..).map(|offset| (log, offset)).zip(values));
    }

    fn delete(&mut self) {
        let log = 1 + self.rng.below(LOGS as usize - 1) as u64;
        let Some(state) = self.driver.shard.log_state(log) else { return };
        let token = self.driver.token();
        let before = state.high_watermark.saturating_sub(self.rng.below(9) as u64);
        let start = self.driver.shard.delete_records(log, before, token).expect("open");
        self.starts.insert(token, (log, start));
    }

    /// Does some of what is under way, and notes what was acknowledged and where the logs stand.
    fn go_on(&mut self, completions: usize) {
        self.note();
        for _ in 0..completions {
            self.driver.pump();
            let Some((id, result)) = self.driver.disk.complete_one(&mut self.rng) else { break };
            self.driver.shard.complete(id, result);
            self.driver.pump();
            self.note();
        }
    }

    fn note(&mut self) {
        let steps = &mut self.driver.disk.steps;
        for event in std::mem::take(&mut self.driver.events) {
            let Event::Appended { token, .. } = event else { continue };
            steps.extend(self.appends.remove(&token).map(|(log, end)| Step::End(log, end)));
            steps.extend(self.starts.remove(&token).map(|(log, start)| Step::Start(log, start)));
        }
        let states = (1..=LOGS).filter_map(|log| Some((log, self.driver.shard.log_state(log)?)));
        self.reached.insert(steps.len(), states.map(|(log, s)| (log, (s.log_start, s.end))).collect());
    }

    fn run(mut self, rounds: usize) -> Run {
        for round in 0..rounds {
            (0..self.rng.below(4)).for_each(|_| self.append());
            if self.rng.chance(25) {
                self.delete();
            }
            if self.rng.chance(10) {
                self.driver.now += 100;
                let now = self.driver.now;
                self.driver.shard.tick(now);
            }
            if round == rounds * 2 / 3 {
                self.driver.shard.drop_log(2);
                self.driver.disk.steps.push(Step::Dropped(2));
            }
            let completions = self.rng.below(6);
            self.go_on(completions);
        }
        self.driver.shard.close();
        self.go_on(100_000);
        assert!(self.driver.shard.is_closed());
        let stats = self.driver.shard.stats();
        assert!(stats.recycled_segments > 2 && stats.cleaned_bytes > 0, "{stats:?}");
        Run { steps: self.driver.disk.steps, reached: self.reached, values: self.values }
    }
}

/// Records a run.
fn record(seed: u64) -> Run {
    let mut driver = Driver::open(config(), Recorder::default());
    driver.put_logs(1..LOGS - 1);
    // Retention moves the start of this one.
    let retained = LogConfig { retention_bytes: Some(20 << 10), retention_ms: Some(3000), ..LogConfig::KEEP };
    driver.shard.put_log(LOGS - 1, retained);
    driver.put_logs([LOGS]);
    let (values, reached) = (HashMap::new(), BTreeMap::new());
    let (appends, starts) = (HashMap::new(), HashMap::new());
    Runner { driver, rng: Rng::new(seed), values, reached, appends, starts }.run(2500)
}

/// The disk as it is after some steps.
#[derive(Debug, Clone, Default)]
struct Replayed {
    /// What reads give.
    seen: Image,
    /// What a loss of power leaves for certain.
    durable: Image,
    /// Completed and not synced, in order.
    unsynced: Vec<(FileId, usize, Bytes)>,
    under_way: BTreeMap<IoId, IoOp>,
    acknowledged: BTreeMap<LogId, (u64, u64)>,
    dropped: Vec<LogId>,
}

fn put(files: &mut Image, file: FileId, at: usize, data: &[u8]) {
    let Some(bytes) = files.get_mut(&file).map(Arc::make_mut) else { return };
    bytes.resize(bytes.len().max(at + data.len()), 0);
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// What a write writes, and where.
fn written(op: &IoOp) -> Option<(FileId, usize, Bytes)> {
    match op {
        IoOp::Write { file, position, data, .. } => Some((*file, *position as usize, data.clone())),
        IoOp::Zero { file, position, length } => {
            Some((*file, *position as usize, vec![0; *length as usize].into()))
        }
        _ => None,
    }
}

impl Replayed {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Began(id, op) => _ = self.under_way.insert(*id, op.clone()),
            Step::Ended(id) => {
                if let Some(op) = self.under_way.remove(id) {
                    self.complete(op);
                }
            }
            Step::End(log, end) => {
                let known = self.acknowledged.entry(*log).or_default();
                known.1 = known.1.max(*end);
            }
            Step::Start(log, start) => {
                let known = self.acknowledged.entry(*log).or_default();
                known.0 = known.0.max(*start);
            }
            Step::Dropped(log) => self.dropped.push(*log),
        }
    }

    fn complete(&mut self, op: IoOp) {
        match op {
            IoOp::Create { file, bytes } => {
                let zeros = Arc::new(vec![0; bytes as usize]);
                self.seen.insert(file, zeros.clone());
                self.durable.insert(file, zeros);
            }
            IoOp::Remove { file } => {
                self.seen.remove(&file);
                self.durable.remove(&file);
            }
            IoOp::Sync { file } => self.sync(file),
            IoOp::Read { .. } => {}
            IoOp::Write { dsync, file, .. } => {
                let (_, at, data) = written(&op).expect("a write");
                put(&mut self.seen, file, at, &data);
                self.unsynced.push((file, at, data));
                if dsync {
                    self.sync(file);
                }
            }
            IoOp::Zero { file, .. } => {
                let (_, at, data) = written(&op).expect("a write");
                put(&mut self.seen, file, at, &data);
                self.unsynced.push((file, at, data));
            }
        }
    }

    fn sync(&mut self, file: FileId) {
        for (of, at, data) in &self.unsynced {
            if *of == file {
                put(&mut self.durable, file, *at, data);
            }
        }
        self.unsynced.retain(|write| write.0 != file);
    }

    /// The files after the process was killed: of the writes under way all arrived, or none.
    fn killed(&self, arrived: bool) -> Image {
        let mut files = self.seen.clone();
        for (file, at, data) in self.under_way.values().filter(|_| arrived).filter_map(written) {
            put(&mut files, file, at, &data);
        }
        files
    }

    /// The files after a loss of power: of what was not synced some sectors arrived, in any order.
    fn powered_off(&self, rng: &mut Rng) -> Image {
        let mut files = self.durable.clone();
        let mut writes: Vec<_> = self.under_way.values().filter_map(written).collect();
        writes.extend(self.unsynced.iter().cloned());
        let keep_of = [0, 1, 2, 8][rng.below(4)];
        let mut sectors: Vec<(FileId, usize, Bytes)> = Vec::new();
        for (file, at, data) in writes {
            let pieces = (0..data.len()).step_by(SECTOR).map(|k| (file, at + k, data.slice(k..k + SECTOR)));
            sectors.extend(pieces.filter(|_| keep_of > 0 && (keep_of == 1 || !rng.chance(keep_of))));
        }
        for k in (1..sectors.len()).rev() {
            sectors.swap(k, rng.below(k + 1));
        }
        sectors.iter().for_each(|(file, at, data)| put(&mut files, *file, *at, data));
        files
    }

    /// Opens the files, and checks them against what was acknowledged, and what was ever appended.
    fn check(&self, run: &Run, step: usize, image: &Image, what: &str) {
        let (_, reached) = run.reached.range(step..).next().expect("the last step is noted");
        let config = ShardConfig { incarnation: 2, ..config() };
        let mut driver = Driver::open(config, PatchedDisk::new(image, &[]));
        assert_eq!(driver.damage(), Vec::<String>::new(), "{what} {step}: that is no damage");
        for log in driver.shard.logs() {
            let state = driver.shard.log_state(log).expect("it was listed");
            let (start, end) = self.acknowledged.get(&log).copied().unwrap_or_default();
            if self.dropped.contains(&log) {
                continue;
            }
            let (most_start, most_end) = reached[&log];
            assert!(
                (start..=most_start).contains(&state.log_start),
                "{what} {step}: log {log} {state:?} from {start}..={most_start}"
            );
            assert!(
                (end..=most_end).contains(&state.high_watermark),
                "{what} {step}: log {log} {state:?} to {end}..={most_end}"
            );
        }
        let missing = |log: &&LogId| driver.shard.log_state(**log).is_none() && !self.dropped.contains(log);
        assert_eq!(self.acknowledged.keys().find(missing), None, "{what} {step}: a log is gone");
        for log in driver.shard.logs() {
            read_all(run, &mut driver, log, &format!("{what} {step}"));
        }
    }
}

fn read_all(run: &Run, driver: &mut Driver<PatchedDisk>, log: LogId, what: &str) {
    let state = driver.shard.log_state(log).expect("it was listed");
    let mut at = state.log_start;
    while at < state.high_watermark {
        let data =
            driver.read(log, at, 64 << 10).unwrap_or_else(|e| panic!("{what}: log {log} at {at}: {e}"));
        let from = at;
        for (offset, value) in records(&data.pieces).into_iter().filter(|r| r.0 >= from) {
            assert_eq!(offset, at, "{what}: log {log}: in order, and dense");
            assert!(run.values.get(&(log, offset)) == Some(&value), "{what}: log {log} offset {offset}");
            at += 1;
        }
        assert_eq!(at, data.next_offset, "{what}: log {log}");
    }
}

/// Replays the run on two threads, each of which checks every second step that changed the disk.
fn replay(run: &Run, check: impl Fn(&Replayed, usize, &mut Rng) -> u64 + Sync, seed: u64) -> u64 {
    let half = |half: usize| {
        let (mut replayed, mut rng, mut done) = (Replayed::default(), Rng::new(seed + half as u64), 0);
        for (k, step) in run.steps.iter().enumerate() {
            replayed.step(step);
            if step.is_on_disk() && k % 2 == half {
                done += check(&replayed, k + 1, &mut rng);
            }
        }
        done
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0) + other.join().expect("the other half passes")
    })
}

#[test]
fn the_process_is_killed_after_every_step() {
    let run = record(number("SEED", 1));
    let check = |replayed: &Replayed, step: usize, _: &mut Rng| {
        for arrived in [false, true] {
            let image = replayed.killed(arrived);
            replayed.check(&run, step, &image, if arrived { "killed, arrived" } else { "killed" });
        }
        2
    };
    println!("{} steps, {} starts: 0 lost, 0 wrong", run.steps.len(), replay(&run, check, 1));
}

#[test]
fn power_is_lost_anywhere_and_any_sectors_arrive() {
    let seed = number("SEED", 1);
    let run = record(seed);
    let wanted = number("REORDERINGS", REORDERINGS);
    let steps = run.steps.iter().filter(|step| step.is_on_disk()).count() as u64;
    let share = wanted.div_ceil(steps);
    let check = |replayed: &Replayed, step: usize, rng: &mut Rng| {
        let times =
            if wanted < steps { u64::from(rng.below(steps as usize) < wanted as usize) } else { share };
        for _ in 0..times {
            let image = replayed.powered_off(rng);
            replayed.check(&run, step, &image, "power lost");
        }
        times
    };
    println!("seed {seed}, {steps} steps, {} losses of power: 0 lost, 0 wrong", replay(&run, check, seed));
}
