//! A log of a few small segments, damaged by hand, and what must hold whatever was done to it.

use crate::common::driver::{Contents, Driver};
use crate::common::{Disk, MemDisk};
use crate::patched::{Image, Patch, PatchedDisk};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::FileId;
use ringmail_shards::shard::LogId;
use std::ops::Range;

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

pub fn ends<D: Disk>(driver: &Driver<D>) -> Vec<u64> {
    (1..=LOGS).map(|log| driver.shard.log_state(log).map_or(0, |s| s.high_watermark)).collect()
}

/// Reads all logs, and checks that what can be read is right.
#[track_caller]
fn read_all<D: Disk>(driver: &mut Driver<D>, what: &str) -> Vec<Contents> {
    let logs: Vec<Contents> = (1..=LOGS).map(|log| driver.contents(log, 6 << 10)).collect();
    for (log, contents) in (1..).zip(&logs) {
        for (offset, found) in &contents.records {
            assert_eq!(*found, value(log, *offset), "{what}: log {log} offset {offset}");
        }
    }
    logs
}

/// Opens the disk, and gives what every log holds.
#[track_caller]
pub fn reopen(disk: &MemDisk, what: &str) -> (Driver, Vec<Contents>) {
    let files: Vec<FileId> = disk.segments();
    let mut disk = disk.clone();
    disk.removed.clear();
    let mut driver = Driver::open(ShardConfig { incarnation: 2, ..config() }, disk);
    let logs = read_all(&mut driver, what);
    assert!(driver.disk.removed.is_empty(), "{what}: a file went");
    assert!(files.iter().all(|f| driver.disk.files().iter().any(|g| g.file == *f)), "{what}");
    (driver, logs)
}

/// Opens a disk on which one byte is another, and gives what every log holds.
#[track_caller]
pub fn reopen_flipped(
    image: &Image,
    file: FileId,
    at: usize,
    mask: u8,
    what: &str,
) -> (Driver<PatchedDisk>, Vec<Contents>) {
    let patch = Patch::new(file, at, vec![image[&file][at] ^ mask]);
    let disk = PatchedDisk::new(image, &[patch]);
    let mut driver = Driver::open(ShardConfig { incarnation: 2, ..config() }, disk);
    let logs = read_all(&mut driver, what);
    assert!(driver.disk.removed.is_empty(), "{what}: a file went");
    (driver, logs)
}

/// Calls `each` with every byte of a file and every bit of it, on two threads. Of the bytes in `free` one bit is enough.
pub fn every_bit(bytes: usize, free: Range<usize>, each: impl Fn(usize, u8) + Sync) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (each, free) = (&each, free.clone());
            scope.spawn(move || {
                for at in (half..bytes).step_by(2) {
                    let masks = (0..8).map(|bit| 1 << bit).chain([0xff]);
                    masks.take(if free.contains(&at) { 1 } else { 9 }).for_each(|mask| each(at, mask));
                }
            });
        }
    });
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

/// A number that the environment may set.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}
