//! Stored bytes that are not what was written: whatever is changed, a read gives what was appended or says that it is
//! damaged, nothing else is lost, and no file goes.

mod common;

use common::MemDisk;
use common::driver::{Contents, Driver};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::FileId;
use ringmail_shards::shard::LogId;

const LOGS: LogId = 3;
const FRAMES: u64 = 4;
const BLOCK: usize = 4096;
const FRAME_HEADER: usize = 64;

/// Segments just large enough for a few frames of small entries.
fn config() -> ShardConfig {
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

fn value(log: LogId, offset: u64) -> Vec<u8> {
    format!("log {log} offset {offset} {}", "x".repeat((offset % 5) as usize * 20)).into_bytes()
}

/// Appends one batch of one or two records to each log.
fn append_frame(driver: &mut Driver) {
    for log in 1..=LOGS {
        let from = driver.shard.log_state(log).expect("known").end;
        let values: Vec<_> = (from..from + 1 + (from + log) % 2).map(|offset| value(log, offset)).collect();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        driver.append(log, &values).expect("open");
    }
    driver.settle();
}

fn written() -> Driver {
    let mut driver = Driver::open(config(), MemDisk::default());
    driver.put_logs(1..=LOGS);
    (0..FRAMES).for_each(|_| append_frame(&mut driver));
    driver
}

fn ends(driver: &Driver) -> Vec<u64> {
    (1..=LOGS).map(|log| driver.shard.log_state(log).map_or(0, |s| s.high_watermark)).collect()
}

/// Opens the disk, checks that what can be read is right, and gives what every log holds.
#[track_caller]
fn reopen(disk: &MemDisk, what: &str) -> (Driver, Vec<Contents>) {
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

fn flip(disk: &MemDisk, file: FileId, at: usize) -> MemDisk {
    let mut disk = disk.clone();
    disk.bytes(file)[at] ^= 1 << (at % 8);
    disk
}

/// Records of all logs that cannot be read, out of what was appended.
fn lost(logs: &[Contents], ends: &[u64]) -> Vec<usize> {
    logs.iter().zip(ends).map(|(contents, end)| *end as usize - contents.records.len()).collect()
}

#[test]
fn any_byte_of_a_sealed_segment() {
    let mut driver = written();
    driver.close();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    let bytes = driver.disk.bytes(file).clone();
    let frames_end = BLOCK * (1 + FRAMES as usize);
    let footer = bytes.len() - 2 * BLOCK;
    for at in 0..bytes.len() {
        let what = format!("byte {at}");
        let (driver, logs) = reopen(&flip(&driver.disk, file, at), &what);
        let lost = lost(&logs, &ends);
        let reported = !driver.damage().is_empty();
        assert!(reported || lost.iter().all(|&n| n == 0), "{what}: {lost:?} lost in silence");
        let total: usize = lost.iter().sum();
        match at {
            0..BLOCK => assert_eq!(total, 0, "{what}: the footer knows it all"),
            at if at < frames_end => assert!(total <= 2, "{what}: more than a batch is lost: {lost:?}"),
            at if at < footer => assert_eq!((total, reported), (0, false), "{what}: nothing is there"),
            _ => assert_eq!(total, 0, "{what}: the footer can be made up for"),
        }
    }
}

#[test]
fn any_byte_of_an_unsealed_segment() {
    let mut driver = written();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    let bytes = driver.disk.bytes(file).clone();
    let frames_end = BLOCK * (1 + FRAMES as usize);
    let last_frame = frames_end - BLOCK;
    for at in 0..bytes.len() {
        let what = format!("byte {at}");
        let (driver, logs) = reopen(&flip(&driver.disk, file, at), &what);
        let lost = lost(&logs, &ends);
        let total: usize = lost.iter().sum();
        let reported = !driver.damage().is_empty();
        match at {
            0..BLOCK => assert_eq!(total, 0, "{what}: {lost:?}"),
            at if at < last_frame => {
                assert!(reported || total == 0, "{what}: {lost:?} lost in silence");
                let header = at % BLOCK < FRAME_HEADER;
                let most = if header { 2 * LOGS as usize } else { 2 };
                assert!(total <= most, "{what}: more is lost than was changed: {lost:?}");
            }
            // Nothing says of the last frame that it was ever durable: it may be a torn write.
            at if at < frames_end => assert!(total <= 2 * LOGS as usize, "{what}: {lost:?}"),
            _ => assert_eq!((total, reported), (0, false), "{what}: nothing is there"),
        }
    }
}

#[test]
fn damage_stays_reported_after_the_segment_was_sealed_again() {
    let driver = written();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    // In the payload of the second frame's first entry.
    let disk = flip(&driver.disk, file, 2 * BLOCK + FRAME_HEADER + 64 + 30);
    let (mut driver, first) = reopen(&disk, "first start");
    assert!(!driver.damage().is_empty());
    driver.close();
    let (_, second) = reopen(&driver.disk, "second start");
    assert_eq!(first, second);
    assert_eq!(lost(&first, &ends).iter().sum::<usize>(), first[0].damaged.len());
    assert!(!first[0].damaged.is_empty());
}

#[test]
fn a_torn_write_of_the_last_frames_is_no_damage() {
    let mut driver = written();
    let acknowledged = ends(&driver);
    let before = driver.disk.clone();
    let file = driver.disk.segments()[0];
    (0..2).for_each(|_| append_frame(&mut driver));
    let after = driver.disk.bytes(file).clone();
    let start = BLOCK * (1 + FRAMES as usize);
    for cut in (start..=start + 2 * BLOCK).step_by(512) {
        let what = format!("cut at {cut}");
        let mut disk = before.clone();
        disk.bytes(file)[start..cut].copy_from_slice(&after[start..cut]);
        let (mut driver, _) = reopen(&disk, &what);
        assert!(driver.damage().is_empty(), "{what}: {:?}", driver.damage());
        for (end, least) in ends(&driver).iter().zip(&acknowledged) {
            assert!(end >= least, "{what}");
        }
        append_frame(&mut driver);
        let (_, logs) = reopen(&driver.disk, &what);
        assert!(logs.iter().all(|l| l.damaged.is_empty()), "{what}");
    }
}

#[test]
fn holes_in_the_last_frames_are_no_damage() {
    let mut driver = written();
    let acknowledged = ends(&driver);
    let before = driver.disk.clone();
    let file = driver.disk.segments()[0];
    (0..2).for_each(|_| append_frame(&mut driver));
    let after = driver.disk.bytes(file).clone();
    let start = BLOCK * (1 + FRAMES as usize);
    // The second of the two says that the first was durable: of that one alone nothing may be missing.
    for hole in (start + BLOCK..start + 2 * BLOCK).step_by(512) {
        let mut disk = before.clone();
        disk.bytes(file).copy_from_slice(&after);
        disk.bytes(file)[hole..hole + 512].fill(0xee);
        let (driver, logs) = reopen(&disk, &format!("hole at {hole}"));
        assert!(driver.damage().is_empty(), "{:?}", driver.damage());
        assert!(logs.iter().all(|l| l.damaged.is_empty()));
        assert!(ends(&driver).iter().zip(&acknowledged).all(|(end, least)| end >= least));
    }
}

/// Overwrites a part of a sealed segment, and reads all.
fn destroyed(range: impl Fn(usize) -> std::ops::Range<usize>, with: u8) -> (Driver, Vec<Contents>, Vec<u64>) {
    let mut driver = written();
    driver.close();
    let ends = ends(&driver);
    let file = driver.disk.segments()[0];
    let bytes = driver.disk.bytes(file);
    let range = range(bytes.len());
    bytes[range].fill(with);
    let (driver, logs) = reopen(&driver.disk, "destroyed");
    (driver, logs, ends)
}

#[test]
fn a_first_block_that_is_destroyed_costs_nothing() {
    for with in [0, 0xee] {
        let (driver, logs, ends) = destroyed(|_| 0..BLOCK, with);
        assert_eq!(lost(&logs, &ends).iter().sum::<usize>(), 0);
        assert_eq!(driver.damage().len(), 1);
    }
}

#[test]
fn a_directory_that_is_destroyed_is_built_again() {
    for with in [0, 0xee] {
        let (driver, logs, ends) = destroyed(|len| len - BLOCK..len, with);
        assert_eq!(lost(&logs, &ends).iter().sum::<usize>(), 0);
        let (driver, logs) = reopen(&driver.disk, "again");
        assert_eq!(lost(&logs, &ends).iter().sum::<usize>(), 0);
        assert!(driver.damage().is_empty(), "it was written anew: {:?}", driver.damage());
    }
}

#[test]
fn sections_that_are_destroyed_are_built_again() {
    for with in [0, 0xee] {
        let (driver, logs, ends) = destroyed(|len| len - 2 * BLOCK..len - BLOCK, with);
        assert_eq!(lost(&logs, &ends).iter().sum::<usize>(), 0, "{:?}", driver.damage());
        assert!(!driver.damage().is_empty());
    }
}

#[test]
fn a_footer_that_is_destroyed_is_built_again() {
    for with in [0, 0xee] {
        let (_, logs, ends) = destroyed(|len| len - 2 * BLOCK..len, with);
        assert_eq!(lost(&logs, &ends).iter().sum::<usize>(), 0);
    }
}

/// Several sealed segments, and the offsets at which each begins.
fn many_segments() -> Driver {
    let mut driver = written();
    while driver.shard.stats().segments < 5 {
        append_frame(&mut driver);
    }
    driver
}

#[test]
fn a_segment_that_is_missing_costs_what_it_held() {
    for close in [false, true] {
        let mut driver = many_segments();
        if close {
            driver.close();
        }
        let ends = ends(&driver);
        let missing = driver.disk.segments()[2];
        driver.disk.take(missing);
        let (mut driver, logs) = reopen(&driver.disk, "missing");
        for (log, (contents, end)) in (1..).zip(logs.iter().zip(&ends)) {
            assert!(!contents.damaged.is_empty(), "log {log}: {contents:?}");
            let first = contents.damaged[0];
            let expected: Vec<u64> = (first..first + contents.damaged.len() as u64).collect();
            assert_eq!(contents.damaged, expected, "one stretch is missing");
            assert_eq!(contents.records.len() + contents.damaged.len(), *end as usize);
        }
        append_frame(&mut driver);
        assert_eq!(driver.contents(1, 100 << 10).damaged, logs[0].damaged);
    }
}

#[test]
fn a_used_file_whose_first_block_is_destroyed_is_not_taken_for_what_it_held_before() {
    let mut driver = many_segments();
    for log in 1..=LOGS {
        let token = driver.token();
        driver.shard.delete_records(log, u64::MAX, token).expect("open");
    }
    driver.settle();
    driver.pass(3000);
    let recycled = driver.shard.stats().recycled_segments;
    assert!(recycled > 0);
    let starts = ends(&driver);
    // Into files that end in the footer of an older segment.
    (0..2 * FRAMES).for_each(|_| append_frame(&mut driver));
    let ends = ends(&driver);
    for file in driver.disk.segments() {
        let mut disk = driver.disk.clone();
        disk.bytes(file)[..BLOCK].fill(0xee);
        let (driver, logs) = reopen(&disk, "first block");
        for (log, contents) in (1..).zip(&logs) {
            let state = driver.shard.log_state(log).expect("known");
            let k = log as usize - 1;
            assert_eq!((state.log_start, state.high_watermark), (starts[k], ends[k]), "{file:?}");
            assert!(contents.damaged.is_empty());
        }
    }
}

#[test]
fn a_read_of_what_neither_footer_nor_frames_have_ends() {
    for frame in 1..=FRAMES as usize {
        let mut driver = written();
        driver.close();
        let ends = ends(&driver);
        let file = driver.disk.segments()[0];
        let bytes = driver.disk.bytes(file);
        let sections = bytes.len() - 2 * BLOCK;
        bytes[frame * BLOCK..(frame + 1) * BLOCK].fill(0xee);
        bytes[sections..sections + BLOCK].fill(0xee);
        let (mut driver, logs) = reopen(&driver.disk, "both");
        for (log, (contents, end)) in (1..).zip(logs.iter().zip(&ends)) {
            assert!((1..=2).contains(&contents.damaged.len()), "{contents:?}");
            assert_eq!(contents.records.len() + contents.damaged.len(), *end as usize);
            assert!(driver.offset_for_time(log, 0).is_ok_and(|o| o == 0) || frame == 1);
        }
    }
}
