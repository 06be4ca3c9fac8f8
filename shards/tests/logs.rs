//! What a shard does with its logs: search by time, watches, retention, deletion, large batches, many logs.

mod common;

use common::MemDisk;
use common::driver::{Driver, batch, records};
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::shard::{Acks, AppendError, Event, LogId, Payload, ReadError};
use ringmail_wire::batch::{BatchBuilder, Compression};

const KIB: usize = 1 << 10;

fn config() -> ShardConfig {
    ShardConfig {
        segment_bytes: 512 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 32 << 10,
        max_batch_bytes: 200 << 10,
        max_pending_bytes: 4 << 20,
        read_bytes: 64 << 10,
        ..ShardConfig::default()
    }
}

fn open() -> Driver {
    let mut driver = Driver::open(config(), MemDisk::default());
    driver.put_logs([1, 2]);
    driver
}

/// Appends one batch whose records have these timestamps.
fn append_at(driver: &mut Driver, log: LogId, timestamps: &[i64], value: &[u8]) {
    let mut builder = BatchBuilder::new(1 << 20, Compression::None);
    for timestamp in timestamps {
        builder.push(*timestamp, None, Some(value), &[]).expect("it fits");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    let token = driver.token();
    driver.shard.append(log, Payload::Ringmail(&batch), Acks::Synced, token).expect("open");
    driver.settle();
}

fn delete(driver: &mut Driver, log: LogId, before: u64) -> u64 {
    let token = driver.token();
    let start = driver.shard.delete_records(log, before, token).expect("open");
    driver.settle();
    assert!(driver.is_acknowledged(token));
    start
}

#[test]
fn a_search_by_time_gives_the_first_record_that_is_not_older() {
    let mut driver = open();
    // Enough for several segments, with another log between.
    for k in 0..300 {
        append_at(&mut driver, 1, &[100 * k, 100 * k + 10, 100 * k + 20], &[1; 500]);
        append_at(&mut driver, 2, &[5], &[2; 2000]);
    }
    assert!(driver.shard.stats().segments > 2);
    for round in 0..2 {
        for k in (0..300_u64).step_by(7) {
            let at = 100 * k as i64;
            for (timestamp, offset) in
                [(at - 50, 3 * k), (at, 3 * k), (at + 1, 3 * k + 1), (at + 20, 3 * k + 2)]
            {
                assert_eq!(driver.offset_for_time(1, timestamp), Ok(offset), "round {round}, at {timestamp}");
            }
        }
        assert_eq!(driver.offset_for_time(1, i64::MIN), Ok(0));
        assert_eq!(driver.offset_for_time(1, 29_921), Ok(900), "there is none: the end");
        assert_eq!(driver.offset_for_time(1, i64::MAX), Ok(900));
        assert_eq!(driver.offset_for_time(9, 0), Err(ReadError::UnknownLog(9)));
        driver = driver.reopen();
    }
}

#[test]
fn a_search_by_time_in_an_empty_log_gives_its_end() {
    let mut driver = open();
    assert_eq!(driver.offset_for_time(1, 0), Ok(0));
    append_at(&mut driver, 1, &[1, 2], b"value");
    assert_eq!(delete(&mut driver, 1, 2), 2);
    assert_eq!(driver.offset_for_time(1, 0), Ok(2));
}

#[test]
fn a_search_by_time_does_not_find_what_was_deleted() {
    let mut driver = open();
    // The newest record by far is at offset 1, and is deleted; nothing that is left is as new.
    append_at(&mut driver, 1, &[10, 9000], &[1; 100]);
    for k in 0..200 {
        append_at(&mut driver, 1, &[100 + k], &[1; 4 * KIB]);
    }
    let mut reopened = Driver::open(config(), driver.disk.clone());
    for driver in [&mut driver, &mut reopened] {
        assert_eq!(driver.offset_for_time(1, 5000), Ok(1));
        delete(driver, 1, 2);
        assert_eq!(driver.offset_for_time(1, 5000), Ok(202), "there is none: the end");
        append_at(driver, 1, &[6000], b"new");
        assert_eq!(driver.offset_for_time(1, 5000), Ok(202));
    }
}

#[test]
fn a_watch_tells_of_the_next_advance_once() {
    let mut driver = open();
    let advances =
        |driver: &Driver| driver.events.iter().filter(|e| matches!(e, Event::Advanced { log: 1 })).count();
    append_at(&mut driver, 1, &[1], b"unwatched");
    assert_eq!(advances(&driver), 0);
    driver.shard.watch(1);
    driver.shard.watch(1);
    append_at(&mut driver, 2, &[1], b"another log");
    assert_eq!(advances(&driver), 0);
    driver.append(1, &[b"not durable yet"]).expect("open");
    driver.pump();
    assert_eq!(advances(&driver), 0);
    driver.settle();
    assert_eq!(advances(&driver), 1);
    append_at(&mut driver, 1, &[1], b"the watch is over");
    assert_eq!(advances(&driver), 1);
    driver.shard.watch(9);
}

#[test]
fn retention_by_time_deletes_what_is_old_and_nothing_else() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { retention_ms: Some(60_000), ..LogConfig::KEEP });
    let begin = driver.now as i64;
    for k in 0..200 {
        append_at(&mut driver, 1, &[begin + 1000 * k], &[1; 4 * KIB]);
        append_at(&mut driver, 2, &[begin], b"kept");
    }
    driver.now += 200_000;
    driver.pass(1000);
    let state = driver.shard.log_state(1).expect("known");
    let oldest_kept = 200_000 / 1000 + 1 - 60;
    assert!(state.log_start <= oldest_kept, "{state:?}");
    assert!(state.log_start > oldest_kept - 40, "{state:?}");
    assert_eq!(driver.contents(1, 64 * KIB).records.len() as u64, 200 - state.log_start);
    assert_eq!(driver.contents(2, 64 * KIB).records.len(), 200);
    assert!(matches!(driver.read(1, state.log_start - 1, KIB), Err(ReadError::OutOfRange { .. })));
    let mut driver = driver.reopen();
    assert_eq!(driver.shard.log_state(1).expect("known").log_start, state.log_start);
    driver.now += 400_000;
    driver.shard.put_log(1, LogConfig { retention_ms: Some(60_000), ..LogConfig::KEEP });
    driver.pass(1000);
    let state = driver.shard.log_state(1).expect("known");
    assert_eq!((state.log_start, state.high_watermark, state.bytes), (200, 200, 0));
}

#[test]
fn history_can_be_read_for_a_while_however_old_its_timestamps_are() {
    let mut driver = Driver::open(ShardConfig { age_check_ms: 60_000, ..config() }, MemDisk::default());
    driver.shard.put_log(1, LogConfig { retention_ms: Some(1000), ..LogConfig::KEEP });
    driver.pass(30_000);
    append_at(&mut driver, 1, &[1], b"of 1970");
    driver.pass(60_000);
    assert_eq!(driver.shard.log_state(1).expect("known").log_start, 0);
    driver.pass(60_000);
    assert_eq!(driver.shard.log_state(1).expect("known").log_start, 1);
}

#[test]
fn retention_by_size_keeps_at_least_the_limit() {
    let mut driver = open();
    let limit = 300 * KIB as u64;
    driver.shard.put_log(1, LogConfig { retention_bytes: Some(limit), ..LogConfig::KEEP });
    for _ in 0..400 {
        append_at(&mut driver, 1, &[1], &[1; 4 * KIB]);
    }
    driver.pass(3000);
    let state = driver.shard.log_state(1).expect("known");
    assert!(state.bytes >= limit, "{state:?}");
    assert!(state.bytes < limit + config().segment_bytes, "{state:?}");
    assert_eq!(driver.contents(1, 64 * KIB).records.len() as u64, 400 - state.log_start);
}

#[test]
fn records_are_deleted_up_to_any_offset() {
    let mut driver = open();
    for _ in 0..10 {
        append_at(&mut driver, 1, &[1, 2, 3], b"value");
    }
    assert_eq!(delete(&mut driver, 1, 0), 0, "nothing is before the start");
    assert_eq!(delete(&mut driver, 1, 4), 4, "within a batch");
    let first = driver.read(1, 4, 1).expect("readable");
    assert_eq!(
        records(&first.pieces).iter().map(|r| r.0).collect::<Vec<_>>(),
        [3, 4, 5],
        "batches stay whole"
    );
    assert_eq!(delete(&mut driver, 1, 2), 4, "the start does not go back");
    assert!(matches!(driver.read(1, 3, KIB), Err(ReadError::OutOfRange { offset: 3, log_start: 4, .. })));
    driver.append(1, &[b"not durable"]).expect("open");
    let token = driver.token();
    assert_eq!(driver.shard.delete_records(1, u64::MAX, token), Ok(30), "at most what can be read");
    driver.settle();
    let state = driver.shard.log_state(1).expect("known");
    assert_eq!((state.log_start, state.high_watermark), (30, 31));
    let token = driver.token();
    assert_eq!(driver.shard.delete_records(9, 1, token), Err(AppendError::UnknownLog(9)));
    let mut driver = driver.reopen();
    assert_eq!(driver.contents(1, KIB).records, [(30, b"not durable".to_vec())]);
}

#[test]
fn batches_larger_than_a_write_are_stored_whole() {
    let mut driver = open();
    let sizes = [1, 10 * KIB, 100 * KIB, 190 * KIB, 20 * KIB, 190 * KIB, 3];
    for (k, &size) in sizes.iter().enumerate() {
        append_at(&mut driver, 1, &[1], &vec![k as u8; size]);
    }
    let too_large = batch(1, &[&vec![0; 201 * KIB]]);
    let token = driver.token();
    let refused = driver.shard.append(1, Payload::Ringmail(&too_large), Acks::Synced, token);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
    driver.shard.put_log(2, LogConfig { max_batch_bytes: Some(1000), ..LogConfig::KEEP });
    assert!(matches!(driver.append(2, &[&[0; 1001]]), Err(AppendError::TooLarge { .. })));
    for max_bytes in [1, 64 * KIB, 1 << 20] {
        let mut again = Driver::open(config(), driver.disk.clone());
        for driver in [&mut driver, &mut again] {
            let found = driver.contents(1, max_bytes).records;
            let sizes_found: Vec<usize> = found.iter().map(|r| r.1.len()).collect();
            assert_eq!(sizes_found, sizes, "{max_bytes}");
        }
    }
}

#[test]
fn ten_thousand_logs_share_a_segment() {
    const LOGS: u64 = 10_000;
    let config =
        ShardConfig { segment_bytes: 16 << 20, max_pending_bytes: 16 << 20, ..ShardConfig::default() };
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs(1..=LOGS);
    for round in 0..3_u64 {
        for log in 1..=LOGS {
            driver.append(log, &[&(log * 10 + round).to_le_bytes()]).expect("open");
        }
        driver.settle();
    }
    driver.close();
    let mut driver = driver.reopen();
    assert_eq!(driver.shard.logs().len() as u64, LOGS);
    for log in (1..=LOGS).step_by(97) {
        let expected: Vec<(u64, Vec<u8>)> =
            (0..3).map(|round| (round, (log * 10 + round).to_le_bytes().to_vec())).collect();
        assert_eq!(driver.contents(log, 64 * KIB).records, expected);
    }
}

#[test]
fn the_index_takes_the_memory_that_is_documented() {
    use ringmail_shards::format::footer::Run;
    assert_eq!(size_of::<Run>(), 24, "a run in memory");
    // One log alone: a run for each frame, or for each 64 KiB of a larger one; in the footer a third of that.
    let mut driver = open();
    for _ in 0..100 {
        append_at(&mut driver, 1, &[1], &[1; 100]);
    }
    driver.close();
    let file = driver.disk.segments()[0];
    let bytes = driver.disk.bytes(file);
    let trailer = ringmail_shards::format::footer::Trailer::parse(bytes).expect("it is sealed");
    let (rows, _) = trailer.directory(bytes).expect("it is whole");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].section_bytes as usize <= 100 * 10 + 10, "{}", rows[0].section_bytes);
}
