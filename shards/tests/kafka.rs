//! Batches of Kafka in logs: stored as they were sent, read back, found by time, refused as Kafka does.

mod common;

use common::MemDisk;
use common::driver::{Driver, batch};
use common::kafka::{stamped, values};
use ringmail_kafka::batch::{Batch, BatchHead, Batches, Compression};
use ringmail_shards::config::{LogConfig, ShardConfig, Timestamps};
use ringmail_shards::shard::{
    Acks, AppendError, Appended, Event, LogId, OffsetAtTime, Origin, Payload, TimeQuery,
};

const CLIENT: Origin = Origin::Client { produce_version: 9 };

fn open() -> Driver {
    let config = ShardConfig {
        segment_bytes: 512 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 32 << 10,
        max_batch_bytes: 200 << 10,
        ..ShardConfig::default()
    };
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs([1, 2]);
    driver
}

fn append(driver: &mut Driver, log: LogId, batch: &[u8]) -> Result<Appended, AppendError> {
    let token = driver.token();
    let appended = driver.shard.append(log, Payload::Kafka(batch, CLIENT), Acks::Synced, token);
    driver.settle();
    if let Ok(appended) = appended {
        let told = Event::Appended { token, appended };
        assert!(driver.events.contains(&told), "the event says what the call said");
    }
    appended
}

/// The batch with what a broker writes into it.
fn placed(batch: &[u8], base_offset: i64) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].fill(0);
    batch
}

#[test]
fn batches_are_served_byte_for_byte_beside_those_of_ringmail_and_after_a_restart() {
    let mut driver = open();
    let small = stamped(BatchHead::default(), Compression::None, &[5, 6, 7]);
    let large = values(BatchHead::default(), 8, &[&[3; 9000][..], b"second"]);
    assert_eq!(append(&mut driver, 1, &small).map(|a| a.base_offset), Ok(0));
    let native = batch(driver.now as i64, &[b"native"]);
    driver.append(1, &[b"native"]).expect("open");
    assert_eq!(append(&mut driver, 1, &large).map(|a| a.base_offset), Ok(4));
    for round in 0..3 {
        let data = driver.read(1, 0, 1 << 20).expect("readable");
        let mut whole = data.pieces.concat();
        assert_eq!((data.next_offset, whole.len()), (6, small.len() + native.len() + large.len()));
        let tail = whole.split_off(small.len() + native.len());
        assert_eq!(tail, placed(&large, 4), "round {round}");
        assert_eq!(whole[..small.len()], placed(&small, 0));
        assert_eq!(whole[small.len() + 16], b'R', "of Ringmail");
        // A read that begins inside a batch gives all of it.
        let inside = driver.read(1, 5, 1).expect("readable").pieces.concat();
        assert_eq!(inside, placed(&large, 4));
        driver = if round == 0 { driver.reopen() } else { close_and_open(driver) };
        driver.put_logs([1, 2]);
    }
}

fn close_and_open(mut driver: Driver) -> Driver {
    driver.close();
    driver.reopen()
}

#[test]
fn the_first_record_of_a_time_is_found_inside_compressed_batches() {
    let mut driver = open();
    for compression in [Compression::Lz4, Compression::None, Compression::Zstd] {
        let base = append(&mut driver, 1, &stamped(BatchHead::default(), compression, &[10, 30, 20, 30]))
            .expect("open")
            .base_offset;
        driver.shard.delete_records(1, base, common::driver::ANY).expect("open");
        driver.settle();
        let found =
            |offset, timestamp| Ok(OffsetAtTime { offset: base + offset, timestamp: Some(timestamp) });
        assert_eq!(driver.find(1, TimeQuery::AtOrAfter(0)), found(0, 10));
        assert_eq!(driver.find(1, TimeQuery::AtOrAfter(11)), found(1, 30));
        assert_eq!(driver.find(1, TimeQuery::Greatest), found(1, 30), "the first of them");
        let none = Ok(OffsetAtTime { offset: base + 4, timestamp: None });
        assert_eq!(driver.find(1, TimeQuery::AtOrAfter(31)), none);
    }
    driver.shard.delete_records(1, 10, common::driver::ANY).expect("open");
    driver.settle();
    assert_eq!(
        driver.find(1, TimeQuery::Greatest),
        Ok(OffsetAtTime { offset: 11, timestamp: Some(30) }),
        "what was deleted is not found"
    );
    let empty = OffsetAtTime { offset: 0, timestamp: None };
    assert_eq!(driver.find(2, TimeQuery::Greatest), Ok(empty));
}

#[test]
fn the_time_of_the_append_is_given_to_batches_of_both_kinds() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { timestamps: Timestamps::Append, ..LogConfig::KEEP });
    driver.pass(1000);
    let now = driver.now as i64;
    let appended = append(&mut driver, 1, &stamped(BatchHead::default(), Compression::Lz4, &[5, 6]));
    assert_eq!(appended, Ok(Appended { base_offset: 0, append_time: Some(now), log_start: 0 }));
    let token = driver.token();
    let native = batch(7, &[b"native", b"too"]);
    let appended = driver.shard.append(1, Payload::Ringmail(&native), Acks::Synced, token).expect("open");
    assert_eq!(appended.append_time, Some(now));
    driver.settle();

    let bytes = driver.read(1, 0, 1).expect("readable").pieces.concat();
    let stored = Batch::parse(&bytes).expect("a batch");
    stored.check().expect("its CRC is right");
    assert!(stored.has_append_time());
    let mut scratch = Vec::new();
    let open = stored.open(&mut scratch, 1 << 20).expect("records");
    assert!(open.records().all(|record| record.is_ok_and(|record| record.timestamp == now)));

    let bytes = driver.read(1, 2, 1).expect("readable").pieces.concat();
    let stored = ringmail_wire::batch::Batch::parse(&bytes).expect("a batch");
    stored.check().expect("its CRC is right");
    let open = stored.open(&mut scratch).expect("records");
    assert!(open.iter().all(|record| record.timestamp == now));
    assert_eq!(driver.offset_for_time(1, now), Ok(0));
}

#[test]
fn timestamps_too_far_from_the_clock_are_refused() {
    let mut driver = open();
    let timestamps = Timestamps::Create { before_ms: Some(1000), after_ms: Some(10) };
    driver.shard.put_log(1, LogConfig { timestamps, ..LogConfig::KEEP });
    let now = driver.now as i64;
    for (timestamp, right) in [(now - 1000, true), (now + 10, true), (now - 1001, false), (now + 11, false)] {
        let of_kafka = append(&mut driver, 1, &values(BatchHead::default(), timestamp, &[b"value"]));
        let token = driver.token();
        let of_ringmail = batch(timestamp, &[b"value"]);
        let of_ringmail = driver.shard.append(1, Payload::Ringmail(&of_ringmail), Acks::Synced, token);
        for result in [of_kafka, of_ringmail] {
            let refused = Err(AppendError::Timestamp { timestamp, now_ms: now });
            assert!(if right { result.is_ok() } else { result == refused }, "{timestamp}: {result:?}");
        }
    }
    append(&mut driver, 1, &values(BatchHead::default(), -1, &[b"value"])).expect("without a timestamp");
}

#[test]
fn a_batch_without_timestamps_is_not_taken_for_ancient_by_retention() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { retention_ms: Some(5000), ..LogConfig::KEEP });
    append(&mut driver, 1, &values(BatchHead::default(), -1, &[b"value"])).expect("open");
    driver.pass(4000);
    assert_eq!(driver.shard.log_state(1).expect("known").log_start, 0);
    driver.pass(2000);
    assert_eq!(driver.shard.log_state(1).expect("known").log_start, 1);
}

#[test]
fn records_without_keys_are_refused_where_keys_are_needed() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { compacted: true, ..LogConfig::KEEP });
    append(&mut driver, 1, &stamped(BatchHead::default(), Compression::Zstd, &[1, 2]))
        .expect("they have keys");
    let keyless = values(BatchHead::default(), 1, &[b"a", b"b"]);
    assert_eq!(append(&mut driver, 1, &keyless), Err(AppendError::Keyless(vec![0, 1])));
    assert!(matches!(driver.append(1, &[b"of ringmail"]), Err(AppendError::Keyless(_))));
    append(&mut driver, 2, &keyless).expect("the other log is not compacted");
}

#[test]
fn what_clients_may_not_send_is_refused_and_stores_nothing() {
    let mut driver = open();
    driver.shard.put_log(1, LogConfig { max_batch_bytes: Some(1000), ..LogConfig::KEEP });
    // It decompresses to far more, which does not count.
    let stored = values(BatchHead::default(), 1, &[&[0; 2000]]);
    assert!(matches!(append(&mut driver, 1, &stored), Err(AppendError::TooLarge { limit: 1000, .. })));
    let mut broken = values(BatchHead::default(), 1, &[b"value"]);
    *broken.last_mut().expect("it has bytes") ^= 1;
    assert!(matches!(append(&mut driver, 1, &broken), Err(AppendError::KafkaBatch(_))));
    let control = BatchHead { control: true, ..BatchHead::default() };
    let control = values(control, 1, &[b"value"]);
    assert!(matches!(append(&mut driver, 1, &control), Err(AppendError::KafkaBatch(_))));
    assert_eq!(driver.shard.log_state(1).expect("known").end, 0);
    assert_eq!(append(&mut driver, 9, &control), Err(AppendError::UnknownLog(9)));
}

#[test]
fn many_batches_are_read_without_a_gap_from_sealed_segments() {
    let mut driver = open();
    for round in 0..400_u32 {
        let head = BatchHead::default();
        append(&mut driver, 1, &values(head, 1, &[&round.to_le_bytes()[..], &[round as u8; 3000]]))
            .expect("open");
    }
    let mut driver = driver.reopen();
    driver.put_logs([1]);
    assert!(driver.shard.stats().segments > 2);
    let mut next = 0;
    while next < 800 {
        let data = driver.read(1, next, 64 << 10).expect("readable");
        for batch in data.pieces.iter().flat_map(|piece| Batches::new(piece)) {
            let batch = batch.expect("whole");
            batch.check().expect("right");
            assert_eq!(batch.base_offset() as u64, next);
            next = batch.last_offset() as u64 + 1;
        }
        assert_eq!(data.next_offset, next);
    }
}
