//! What was lost and given up: readers go on behind it, offsets are not given out again, and it lasts.

mod common;

use common::MemDisk;
use common::driver::{Contents, Driver};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::shard::{LogId, ReadError};

const LOGS: LogId = 2;

fn config(incarnation: u64) -> ShardConfig {
    ShardConfig {
        segment_bytes: 44 << 10,
        write_bytes: 8 << 10,
        tail_cache_bytes: 0,
        max_batch_bytes: 16 << 10,
        read_bytes: 16 << 10,
        spare_segments: 1,
        incarnation,
        ..ShardConfig::default()
    }
}

fn append(driver: &mut Driver, log: LogId, count: usize) {
    for _ in 0..count {
        let at = driver.shard.log_state(log).expect("known").end;
        driver.append(log, &[format!("log {log} offset {at}").as_bytes()]).expect("there is room");
        driver.settle();
    }
}

/// A shard of which the second of three segments is missing, with what it held given up.
fn mended() -> (Driver, Vec<(LogId, std::ops::Range<u64>)>) {
    let mut driver = Driver::open(config(1), MemDisk::default());
    driver.put_logs(1..=LOGS);
    while driver.shard.stats().segments < 4 {
        (1..=LOGS).for_each(|log| append(&mut driver, log, 1));
    }
    driver.close();
    let missing = driver.disk.segments()[1];
    driver.disk.take(missing);
    let mut driver = Driver::open(config(2), driver.disk);
    let holes = driver.shard.holes();
    assert_eq!(holes.iter().map(|(log, _)| *log).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(driver.read(1, holes[0].1.start, 1 << 20), Err(ReadError::Damaged { .. })));
    for (log, hole) in &holes {
        driver.shard.give_up(*log, hole.clone()).expect("there is room");
    }
    driver.settle();
    driver.close();
    (Driver::open(config(3), driver.disk), holes)
}

fn all(driver: &mut Driver) -> Vec<Contents> {
    (1..=LOGS).map(|log| driver.contents(log, 4 << 10)).collect()
}

#[track_caller]
fn is_passed_over(driver: &mut Driver, holes: &[(LogId, std::ops::Range<u64>)]) {
    for (contents, (log, hole)) in all(driver).iter().zip(holes) {
        let end = driver.shard.log_state(*log).expect("known").end;
        let start = driver.shard.log_state(*log).expect("known").log_start;
        assert_eq!(contents.damaged, [0_u64; 0]);
        let expected: Vec<u64> = (start..end).filter(|offset| !hole.contains(offset)).collect();
        assert_eq!(contents.records.iter().map(|r| r.0).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn readers_go_on_behind_what_was_given_up() {
    let (mut driver, holes) = mended();
    assert!(driver.damage().is_empty() && driver.shard.holes().is_empty());
    is_passed_over(&mut driver, &holes);
    let (log, hole) = &holes[0];
    for offset in [hole.start, hole.start + 1, hole.end - 1] {
        let data = driver.read(*log, offset, 100).expect("there is more");
        let records = common::driver::records(&data.pieces);
        assert_eq!(records[0].0, hole.end);
    }
    // All records have the same timestamp.
    let now = driver.now as i64;
    assert_eq!(driver.offset_for_time(*log, now), Ok(0));
    assert_eq!(driver.offset_for_time(*log, now + 1), Ok(driver.shard.log_state(*log).expect("known").end));
    append(&mut driver, *log, 3);
    is_passed_over(&mut driver, &holes);
}

#[test]
fn the_cleaner_keeps_what_was_given_up_in_mind() {
    let (mut driver, holes) = mended();
    // The segment that says it holds nothing else: it is cleaned as soon as it is not the newest.
    let before = driver.shard.stats();
    let segments = before.segments;
    while driver.shard.stats().segments < segments + 3 {
        (1..=LOGS).for_each(|log| append(&mut driver, log, 1));
    }
    driver.pass(5_000);
    let after = driver.shard.stats();
    assert!(after.cleaned_bytes > 0 && after.recycled_segments > 0, "{after:?}");
    is_passed_over(&mut driver, &holes);
    let mut driver = driver.reopen();
    is_passed_over(&mut driver, &holes);
    driver.close();
    is_passed_over(&mut Driver::open(config(9), driver.disk), &holes);
}

#[test]
fn records_that_come_back_go_before_what_was_given_up() {
    let mut driver = Driver::open(config(1), MemDisk::default());
    driver.put_logs(1..=LOGS);
    while driver.shard.stats().segments < 4 {
        (1..=LOGS).for_each(|log| append(&mut driver, log, 1));
    }
    driver.close();
    let whole = all(&mut driver);
    let missing = driver.disk.segments()[1];
    let bytes = driver.disk.take(missing);
    let mut driver = Driver::open(config(2), driver.disk);
    for (log, hole) in driver.shard.holes() {
        driver.shard.give_up(log, hole).expect("there is room");
    }
    driver.settle();
    driver.close();
    driver.disk.put(missing, bytes);
    let mut driver = Driver::open(config(3), driver.disk);
    assert!(driver.damage().is_empty());
    assert_eq!(all(&mut driver), whole);
}

#[test]
fn a_log_that_ends_in_what_was_given_up_goes_on_behind_it() {
    let mut driver = Driver::open(config(1), MemDisk::default());
    driver.put_logs(1..=LOGS);
    append(&mut driver, 1, 5);
    let mut standing = driver.shard.standing();
    standing.log(1, 0).end = 9;
    driver.close();
    let mut driver = Driver::open(config(2), driver.disk);
    driver.shard.stand(&standing);
    assert_eq!(driver.shard.holes(), [(1, 5..9)]);
    driver.shard.give_up(1, 5..9).expect("there is room");
    driver.settle();
    let data = driver.read(1, 6, 1 << 20).expect("nothing is damaged");
    assert_eq!((data.bytes, data.next_offset, data.state.high_watermark), (0, 9, 9));
    driver.close();
    let mut driver = Driver::open(config(3), driver.disk);
    append(&mut driver, 1, 2);
    let contents = driver.contents(1, 1 << 20);
    assert_eq!(contents.records.iter().map(|r| r.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 9, 10]);
    assert!(contents.damaged.is_empty());
}
