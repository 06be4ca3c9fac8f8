//! A log of a few small segments, damaged by hand, and what must hold whatever was done to it.

use crate::common::driver::{Contents, Driver};
use crate::common::{Disk, MemDisk};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::FileId;
use ringmail_shards::shard::LogId;

pub const LOGS: LogId = 3;
pub const FRAMES: u64 = 4;
pub const BLOCK: usize = 4096;
pub const FRAME_HEADER: usize = 64;

/// Segments just large enough for a few frames of small entries.
pub fn config() -> ShardConfig {
    ShardConfig {
        segment_bytes: 44 << 10,
        write_bytes: 8 << 10,
        tail_cache_bytes: 0,
        max_batch_bytes: 16 << 10,
        read_bytes: 16 << 10,
        spare_segments: 1,
        ..ShardConfig::default()
    }
}

pub fn value(log: LogId, offset: u64) -> Vec<u8> {
    format!("log {log} offset {offset} {}", "x".repeat((offset % 5) as usize * 20)).into_bytes()
}

/// Appends one batch of one or two records to each log.
pub fn append_frame(driver: &mut Driver) {
    for log in 1..=LOGS {
        let from = driver.shard.log_state(log).expect("known").end;
        let values: Vec<_> = (from..from + 1 + (from + log) % 2).map(|offset| value(log, offset)).collect();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        driver.append(log, &values).expect("open");
    }
    driver.settle();
}

pub fn written() -> Driver {
    let mut driver = Driver::open(config(), MemDisk::default());
    driver.put_logs(1..=LOGS);
    (0..FRAMES).for_each(|_| append_frame(&mut driver));
    driver
}

pub fn ends(driver: &Driver) -> Vec<u64> {
    (1..=LOGS).map(|log| driver.shard.log_state(log).map_or(0, |s| s.high_watermark)).collect()
}

/// Opens the disk, checks that what can be read is right, and gives what every log holds.
#[track_caller]
pub fn reopen(disk: &MemDisk, what: &str) -> (Driver, Vec<Contents>) {
    let files: Vec<FileId> = disk.segments();
    let mut disk = disk.clone();
    disk.removed.clear();
    let mut driver = Driver::open(ShardConfig { incarnation: 2, ..config() }, disk);
    let logs: Vec<Contents> = (1..=LOGS).map(|log| driver.contents(log, 6 << 10)).collect();
    for (log, contents) in (1..).zip(&logs) {
        for (offset, found) in &contents.records {
            assert_eq!(*found, value(log, *offset), "{what}: log {log} offset {offset}");
        }
    }
    assert!(driver.disk.removed.is_empty(), "{what}: a file went");
    assert!(files.iter().all(|f| driver.disk.files().iter().any(|g| g.file == *f)), "{what}");
    (driver, logs)
}

pub fn flip(disk: &MemDisk, file: FileId, at: usize) -> MemDisk {
    let mut disk = disk.clone();
    disk.bytes(file)[at] ^= 1 << (at % 8);
    disk
}

/// Records of all logs that cannot be read, out of what was appended.
pub fn lost(logs: &[Contents], ends: &[u64]) -> Vec<usize> {
    logs.iter().zip(ends).map(|(contents, end)| *end as usize - contents.records.len()).collect()
}

/// Several sealed segments, and the offsets at which each begins.
pub fn many_segments() -> Driver {
    let mut driver = written();
    while driver.shard.stats().segments < 5 {
        append_frame(&mut driver);
    }
    driver
}
