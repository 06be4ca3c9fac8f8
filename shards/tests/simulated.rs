//! What the simulator has brought to light, each in its smallest form.

mod common;

use common::MemDisk;
use common::driver::{Driver, batch, records};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::{FileId, IoOp};
use ringmail_shards::shard::{Acks, Answer, Event, Isolation, Payload, ReadError};
use ringmail_wire::batch::{BatchBuilder, Compression};

const KIB: usize = 1 << 10;

fn config() -> ShardConfig {
    ShardConfig {
        segment_bytes: 256 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 0,
        max_batch_bytes: 100 << 10,
        max_pending_bytes: 1 << 20,
        read_bytes: 64 << 10,
        read_ahead: 0,
        ..ShardConfig::default()
    }
}

fn open(config: ShardConfig, logs: u64) -> Driver {
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs(1..=logs);
    driver
}

/// Begins an append of its own frame, and gives where that is written.
fn begin(driver: &mut Driver, log: u64, bytes: usize) -> (FileId, u64) {
    driver.append(log, &[&vec![7; bytes]]).expect("open");
    driver.pump();
    *driver.disk.writes_outstanding().last().expect("a frame is being written")
}

/// Has the disk complete one write, and nothing else.
fn complete_write(driver: &mut Driver, at: (FileId, u64)) {
    let wanted = |op: &IoOp| matches!(op, IoOp::Write { file, position, .. } if (*file, *position) == at);
    let (id, result) = driver.disk.complete_first(wanted).expect("it is being written");
    driver.shard.complete(id, result);
}

/// Appends to a log until there have been so many segments.
fn roll_to(driver: &mut Driver, log: u64, segments: u64) {
    while driver.shard.stats().segments + driver.shard.stats().recycled_segments < segments {
        driver.append(log, &[&[3; 8 * KIB]]).expect("open");
        driver.settle();
    }
}

fn offset_and_damage(driver: &Driver) -> (u64, usize) {
    (driver.shard.log_state(1).map_or(0, |s| s.end), driver.damage().len())
}

#[test]
fn a_frame_behind_one_that_was_lost_does_not_count_because_an_earlier_number_was_cut_off() {
    let mut driver = open(config(), 1);
    driver.append(1, &[b"kept"]).expect("open");
    driver.settle();
    // The frame in between never reaches the disk: it and the next are cut off, and their numbers with them.
    begin(&mut driver, 1, 12 * KIB);
    let last = begin(&mut driver, 1, 12 * KIB);
    complete_write(&mut driver, last);
    let mut driver = driver.reopen();
    assert_eq!(offset_and_damage(&driver), (1, 0));
    // The same in a new segment, of which the first block is lost too.
    begin(&mut driver, 1, 12 * KIB);
    let last = begin(&mut driver, 1, 12 * KIB);
    complete_write(&mut driver, last);
    let driver = driver.reopen();
    assert_eq!(offset_and_damage(&driver), (1, 0), "{:?}", driver.damage());
}

#[test]
fn a_segment_of_which_nothing_reached_the_disk_is_not_taken_for_one_that_was_used_again() {
    let mut driver = open(config(), 1);
    driver.append(1, &[b"kept"]).expect("open");
    driver.settle();
    let mut driver = driver.reopen();
    let first = begin(&mut driver, 1, 90 * KIB);
    begin(&mut driver, 1, 90 * KIB);
    let next = begin(&mut driver, 1, 90 * KIB);
    assert_ne!(first.0, next.0, "the third is in another segment");
    complete_write(&mut driver, next);
    let driver = driver.reopen();
    assert_eq!(offset_and_damage(&driver), (1, 0), "{:?}", driver.damage());
}

#[test]
fn frames_of_a_segment_that_was_cut_off_unseen_are_no_damage_once_its_number_is_used_again() {
    let mut driver = open(ShardConfig { max_batch_bytes: 4 << 10, ..config() }, 1);
    driver.append(1, &[b"kept"]).expect("open");
    driver.settle();
    let mut driver = driver.reopen();
    // Of the next segment only a frame far from its start reaches the disk: further than is looked at.
    let mut last = begin(&mut driver, 1, 3 * KIB);
    while last.1 < 60 << 10 {
        complete_write(&mut driver, last);
        last = begin(&mut driver, 1, 3 * KIB);
    }
    complete_write(&mut driver, last);
    let torn = driver.disk.bytes(last.0);
    torn[..last.1 as usize].fill(0);
    let remains = torn.clone();
    let mut driver = driver.reopen();
    assert_eq!(offset_and_damage(&driver), (1, 0), "{:?}", driver.damage());
    driver.append(1, &[b"again"]).expect("open");
    driver.settle();
    // A start that looks further, since batches may be larger by now.
    driver.disk.put(FileId(900), remains);
    driver.config.max_batch_bytes = 200 << 10;
    let driver = driver.reopen();
    assert_eq!(offset_and_damage(&driver), (2, 0), "{:?}", driver.damage());
}

#[test]
fn the_cleaner_copies_nothing_of_a_log_that_was_deleted_while_it_read() {
    let mut driver = open(ShardConfig { clean_below: 0.9, ..config() }, 2);
    driver.append(1, &[b"sparse"]).expect("open");
    roll_to(&mut driver, 2, 4);
    let end = driver.shard.log_state(2).expect("known").high_watermark;
    let token = driver.token();
    driver.shard.delete_records(2, end, token).expect("open");
    driver.settle();
    // The cleaner begins to read what log 1 has in the first segment.
    for _ in 0..20 {
        driver.now += 100;
        driver.shard.tick(driver.now);
        driver.pump();
        while let Some((id, result)) = driver.disk.complete_first(|op| !matches!(op, IoOp::Read { .. })) {
            driver.shard.complete(id, result);
            driver.pump();
        }
    }
    assert!(!driver.disk.is_idle(), "the cleaner has something to do");
    driver.shard.drop_log(1);
    driver.settle();
    driver.pass(1000);
    assert_eq!(driver.shard.stats().cleaned_bytes, 0, "a copy would outlive what is known of the deletion");
}

/// A batch of one record for each timestamp.
fn stamped(timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    for &timestamp in timestamps {
        builder.push(timestamp, None, Some(b"value"), &[]).expect("it fits");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

#[test]
fn a_search_by_time_gives_a_record_that_is_there_and_late_enough() {
    let mut driver = open(config(), 1);
    for timestamps in [[30, 10], [5, 25]] {
        let token = driver.token();
        driver.shard.append(1, Payload::Ringmail(&stamped(&timestamps)), Acks::Synced, token).expect("open");
    }
    driver.settle();
    assert_eq!(driver.offset_for_time(1, 20), Ok(0));
    let token = driver.token();
    driver.shard.delete_records(1, 1, token).expect("open");
    driver.settle();
    assert_eq!(driver.offset_for_time(1, 20), Ok(3), "the record at 1 is too old, and so is the one at 2");
    assert_eq!(driver.offset_for_time(1, 28), Ok(4), "none is that late");
}

/// A log of so many batches of 8 KiB in sealed segments, of which nothing is in memory.
fn sealed(batches: usize, config: ShardConfig) -> Driver {
    let mut driver = open(config, 1);
    for _ in 0..batches {
        driver.append(1, &[&[5; 8 * KIB]]).expect("open");
        driver.settle();
    }
    driver.close();
    driver.reopen()
}

#[test]
fn a_read_of_few_bytes_is_not_given_all_that_was_read_ahead() {
    let mut driver = sealed(100, ShardConfig { read_ahead: 4, ..config() });
    let data = driver.read(1, 0, 200 * KIB).expect("whole");
    assert!(records(&data.pieces).len() > 10);
    driver.settle();
    let data = driver.read(1, data.next_offset, 1).expect("whole");
    assert_eq!(records(&data.pieces).len(), 1);
}

#[test]
fn what_was_read_ahead_in_vain_is_read_again() {
    let mut driver = sealed(100, ShardConfig { read_ahead: 4, ..config() });
    driver.read(1, 0, 1).expect("the footer is known from here on");
    driver.disk.refuse = Some(|op| matches!(op, IoOp::Read { .. }));
    assert!(matches!(driver.read(1, 0, 200 * KIB), Err(ReadError::Io(_))));
    driver.disk.refuse = None;
    assert_eq!(driver.contents(1, 200 * KIB).records.len(), 100);
}

#[test]
fn a_read_of_what_is_deleted_meanwhile_is_told_so_and_not_of_damage() {
    let mut driver = sealed(100, config());
    let token = driver.token();
    assert!(matches!(driver.shard.read(1, 0, 64 * KIB, Isolation::Uncommitted, token), Answer::Later));
    let deletion = driver.token();
    driver.shard.delete_records(1, 100, deletion).expect("open");
    driver.settle();
    let of_read = |e: &Event| match e {
        Event::Read { token: t, result } if *t == token => Some(result.clone()),
        _ => None,
    };
    let result = driver.events.iter().find_map(of_read).expect("every read is answered");
    assert!(matches!(result, Err(ReadError::OutOfRange { log_start: 100, .. })), "{result:?}");
    assert!(driver.damage().is_empty());
}

#[test]
fn recovery_makes_durable_what_it_found_before_it_builds_on_it() {
    let config = ShardConfig { max_pending_bytes: 8 << 20, ..config() };
    let mut driver = open(config.clone(), 1);
    let lazily = |driver: &mut Driver, bytes: usize| {
        let token = driver.token();
        driver
            .shard
            .append(1, Payload::Ringmail(&batch(1, &[&vec![7; bytes]])), Acks::None, token)
            .expect("open");
        driver.settle();
    };
    (0..3).for_each(|_| lazily(&mut driver, 90 * KIB));
    let files = driver.disk.segments();
    assert_eq!(files.len(), 2, "two segments that are not sealed");
    // The process dies, and of the next start everything goes well but what it writes and syncs in the first segment.
    let config = ShardConfig { incarnation: 1, ..config };
    let mut driver = Driver::begin(config, driver.disk);
    for _ in 0..10_000 {
        driver.pump();
        let of_first = |op: &IoOp| match op {
            IoOp::Write { file, .. } | IoOp::Sync { file } => *file == files[0],
            _ => false,
        };
        let Some((id, result)) = driver.disk.complete_first(|op| !of_first(op)) else { break };
        driver.shard.complete(id, result);
    }
    driver.disk.lose_unsynced();
    let mut driver = driver.reopen();
    assert!(driver.damage().is_empty(), "{:?}", driver.damage());
    assert!(driver.contents(1, 64 * KIB).damaged.is_empty());
}

#[test]
fn a_deletion_is_remembered_while_a_crash_can_bring_a_segment_back() {
    let mut driver = open(config(), 2);
    driver.append(1, &[b"deleted"]).expect("open");
    roll_to(&mut driver, 2, 2);
    driver.shard.drop_log(1);
    roll_to(&mut driver, 2, 4);
    let first = driver.disk.segments()[0];
    // All in the first segments is let go, but the first file cannot be marked as spare.
    driver.disk.no_room =
        Some(|op| matches!(op, IoOp::Write { position: 0, data, .. } if data.len() == 4096));
    let end = driver.shard.log_state(2).expect("known").high_watermark;
    let token = driver.token();
    driver.shard.delete_records(2, end, token).expect("open");
    driver.settle();
    assert!(driver.shard.stats().recycled_segments > 0);
    roll_to(&mut driver, 2, 9);
    driver.disk.no_room = None;
    assert!(driver.disk.segments().contains(&first), "the first segment is still there");
    let driver = driver.reopen();
    assert_eq!(driver.shard.log_state(1), None, "a deleted log stays deleted");
}

#[test]
fn a_clock_that_is_set_back_holds_up_nothing() {
    let mut driver = open(config(), 1);
    driver.pass(1000);
    let token = driver.token();
    driver.shard.append(1, Payload::Ringmail(&batch(1, &[b"lazily"])), Acks::Written, token).expect("open");
    driver.settle();
    driver.now -= 500_000;
    driver.pass(1000);
    let state = driver.shard.log_state(1).expect("known");
    assert_eq!((driver.shard.pending_bytes(), state.high_watermark), (0, 1), "it is synced all the same");
}
