//! Parts of files, and whole files, that are destroyed or missing.

use crate::common::driver::{Contents, Driver};
use crate::small::*;

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
