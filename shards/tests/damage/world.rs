//! Logs that have lived: segments that are sealed, used again, cleaned, recovered after a crash; and what each byte is.

use crate::common::driver::Driver;
use crate::common::{MemDisk, Rng};
use crate::patched::{Image, shared};
use crate::small::BLOCK;
use bytes::Bytes;
use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::ends::{Ends, HEAD_BYTES};
use ringmail_shards::format::entry::EntryKind;
use ringmail_shards::io::{FileId, IoId};
use ringmail_shards::scan::Scan;
use ringmail_shards::shard::LogId;
use std::collections::BTreeMap;
use std::ops::Range;

pub const LOGS: LogId = 5;
/// A log of few records that are never deleted: the cleaner copies them.
const KEPT: LogId = 5;

/// A frame that counts.
#[derive(Debug, Clone)]
pub struct Frame {
    pub number: u64,
    pub durable: u64,
    pub range: Range<usize>,
}

/// An entry of records in a frame that counts.
#[derive(Debug, Clone)]
pub struct Entry {
    pub frame: u64,
    pub range: Range<usize>,
    pub log: LogId,
    pub base: u64,
    pub end: u64,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Held {
    pub file: FileId,
    pub bytes: usize,
    pub segment: u64,
    pub sealed: bool,
    pub last_frame: u64,
    /// Where the footer begins, or the file ends.
    pub footer_at: usize,
    pub frames: Vec<Frame>,
    pub entries: Vec<Entry>,
}

impl Held {
    fn of(file: FileId, bytes: &[u8]) -> Option<Self> {
        let ends = Ends::read(&bytes[..HEAD_BYTES], bytes, bytes.len() as u64, None);
        let header = ends.header.filter(|_| !ends.is_spare())?;
        let footer = ends.trailer.map_or(0, |t| t.footer_bytes as usize);
        let last_frame = ends.trailer.map_or(u64::MAX, |t| t.last_frame);
        let footer_at = bytes.len() - footer;
        let mut held = Self {
            file,
            bytes: bytes.len(),
            segment: header.segment,
            sealed: ends.trailer.is_some(),
            last_frame,
            footer_at,
            frames: Vec::new(),
            entries: Vec::new(),
        };
        let mut scan = Scan::new(file, header.segment, header.incarnation, footer_at as u64);
        while let Some((at, length)) = scan.next_read() {
            let at = at as usize;
            scan.reading(IoId(at as u64));
            scan.take(IoId(at as u64), Bytes::copy_from_slice(&bytes[at..at + length]));
        }
        while let Some(frame) = scan.next_frame().filter(|f| f.header.number <= last_frame) {
            assert!(frame.wrong.is_none(), "the image is whole: {frame:?}");
            let at = frame.position as usize;
            let range = at..at + frame.header.frame_bytes();
            held.frames.push(Frame { number: frame.header.number, durable: frame.header.durable, range });
            let records = frame.entries.iter().filter(|(e, _)| e.kind == EntryKind::Records);
            held.entries.extend(records.map(|(e, within)| Entry {
                frame: frame.header.number,
                range: at + within..at + within + e.entry_bytes(),
                log: e.log,
                base: e.base_offset,
                end: e.end_offset(),
            }));
        }
        Some(held)
    }

    /// Where the last frame ends.
    pub fn frames_end(&self) -> usize {
        self.frames.last().map_or(BLOCK, |f| f.range.end)
    }
}

/// Such logs.
pub struct World {
    pub config: ShardConfig,
    pub image: Image,
    /// What the files held some time before.
    pub older: Image,
    pub held: Vec<Held>,
    /// Start and high watermark of each log.
    pub states: BTreeMap<LogId, (u64, u64)>,
    pub values: BTreeMap<(LogId, u64), Vec<u8>>,
}

/// A world that is being made.
struct Maker {
    driver: Driver,
    rng: Rng,
    values: BTreeMap<(LogId, u64), Vec<u8>>,
}

impl Maker {
    fn append(&mut self, log: LogId, size: usize) {
        let records = if size > 1000 { 1 } else { 1 + self.rng.below(3) as u64 };
        let from = self.driver.shard.log_state(log).expect("known").end;
        let salt = self.rng.next();
        let values: Vec<Vec<u8>> = (from..from + records)
            .map(|offset| {
                let mut value = vec![salt as u8; size];
                value.extend_from_slice(format!("log {log} offset {offset} salt {salt}").as_bytes());
                value
            })
            .collect();
        self.driver.append(log, &values.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("open");
        self.values.extend((from..).map(|offset| (log, offset)).zip(values));
    }

    /// Frames of one to four entries.
    fn frames(&mut self, count: usize) {
        for _ in 0..count {
            for _ in 0..1 + self.rng.below(4) {
                let log = if self.rng.chance(12) { KEPT } else { 1 + self.rng.below(4) as u64 };
                let size =
                    if self.rng.chance(12) { 3000 + self.rng.below(12_000) } else { self.rng.below(200) };
                self.append(log, size);
            }
            self.driver.settle();
            self.driver.now += 3;
        }
    }

    /// Deletes much of all logs but one, and lets what is empty be used again.
    fn delete(&mut self) {
        for log in 1..KEPT {
            let end = self.driver.shard.log_state(log).expect("known").high_watermark;
            let token = self.driver.token();
            self.driver.shard.delete_records(log, end.saturating_sub(3 + log), token).expect("open");
        }
        self.driver.settle();
        self.driver.pass(400);
    }

    /// Loses power while several frames are on their way.
    fn crash(mut self) -> Self {
        for log in 1..=3 {
            self.append(log, 9000);
            self.driver.pump();
        }
        let mut driver = self.driver;
        driver.disk.crash(&mut self.rng);
        let driver = driver.reopen();
        assert!(driver.damage().is_empty(), "{:?}", driver.damage());
        Self { driver, ..self }
    }
}

impl World {
    /// Makes a world; `closed` says that the broker ended in order.
    pub fn new(seed: u64, closed: bool) -> Self {
        Self::after_crash(seed, closed, 50)
    }

    /// As [`Self::new`], with so many frames after the last crash.
    pub fn after_crash(seed: u64, closed: bool, frames: usize) -> Self {
        let config = ShardConfig {
            incarnation: 1,
            segment_bytes: 128 << 10,
            write_bytes: 16 << 10,
            max_batch_bytes: 32 << 10,
            tail_cache_bytes: 0,
            read_bytes: 32 << 10,
            read_ahead: 0,
            spare_segments: 1,
            clean_below: 0.3,
            ..ShardConfig::default()
        };
        let mut driver = Driver::open(config, MemDisk::default());
        driver.put_logs(1..=LOGS);
        let mut maker = Maker { driver, rng: Rng::new(seed), values: BTreeMap::new() };
        for _ in 0..4 {
            maker.frames(60);
            maker.delete();
        }
        maker = maker.crash();
        maker.frames(40);
        let older = shared(maker.driver.disk.image());
        maker.delete();
        maker.frames(60);
        maker = maker.crash();
        maker.frames(frames);
        if closed {
            maker.driver.close();
        }
        Self::of(maker, older)
    }

    fn of(maker: Maker, older: Image) -> Self {
        let Maker { driver, values, .. } = maker;
        let stats = driver.shard.stats();
        assert!(stats.segments >= 4, "{stats:?}");
        let state = |log| {
            let state = driver.shard.log_state(log).expect("known");
            (log, (state.log_start, state.high_watermark))
        };
        let image = shared(driver.disk.image());
        Self {
            config: ShardConfig { incarnation: 100, ..driver.config.clone() },
            held: image.iter().filter_map(|(&file, bytes)| Held::of(file, bytes)).collect(),
            image,
            older,
            states: (1..=LOGS).map(state).collect(),
            values,
        }
    }
}
