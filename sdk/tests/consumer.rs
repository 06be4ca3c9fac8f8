//! The consumer: where it starts and stops, what it survives.

mod support;

use std::time::Duration;

use ringmail_sdk::{
    Client, Compression, Consumer, ConsumerConfig, Error, HeadersBuf, OutOfRange, ProducerConfig, Record,
    StartAt, Transport,
};
use support::{FakeBroker, client};
use tokio::time::timeout;

const POLL: Transport = Transport::Poll { max_wait: Duration::from_millis(50) };

/// Stores records `from..to` in partition 0 of `t`, ten in a batch, with their numbers as timestamps.
async fn store(client: &Client, from: u64, to: u64) {
    let producer = client.producer("t").await.unwrap();
    let values: Vec<(u64, String)> = (from..to).map(|n| (n, format!("record {n}"))).collect();
    for chunk in values.chunks(10) {
        let record = |(n, value): &(u64, String)| (*n as i64, value.clone());
        let owned: Vec<(i64, String)> = chunk.iter().map(record).collect();
        let records: Vec<_> =
            owned.iter().map(|(time, value)| Record::new(value.as_bytes()).timestamp(*time)).collect();
        producer.send_batch(0, &records).await.unwrap();
    }
    producer.flush().await.unwrap();
}

/// Offsets of all records up to the end; their values must be those of [`store`].
async fn read_all(consumer: &mut Consumer) -> Vec<u64> {
    let mut offsets = Vec::new();
    while let Some(record) = consumer.next().await.unwrap() {
        assert_eq!(record.value.unwrap(), format!("record {}", record.offset).as_bytes());
        offsets.push(record.offset);
    }
    offsets
}

async fn expect_none(consumer: &mut Consumer) {
    let waited = timeout(Duration::from_millis(100), consumer.next_batch()).await;
    assert!(waited.is_err(), "nothing was expected");
}

#[tokio::test]
async fn reading_starts_where_it_is_asked_to_and_ends_at_the_end() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 95).await;
    for transport in [Transport::Push, POLL] {
        let config = ConsumerConfig { transport, ..ConsumerConfig::default() };
        let mut consumer = client.consumer_with(config);
        for (start, first) in [
            (StartAt::Start, 0),
            (StartAt::Offset(0), 0),
            (StartAt::Offset(37), 37),
            (StartAt::Offset(95), 95),
            (StartAt::Timestamp(-5), 0),
            (StartAt::Timestamp(42), 42),
            (StartAt::Timestamp(1_000_000), 95),
            (StartAt::End, 95),
        ] {
            consumer.assign_topic("t", start).await.unwrap();
            consumer.until_end().await.unwrap();
            let expected: Vec<u64> = (first..95).collect();
            assert_eq!(read_all(&mut consumer).await, expected, "{start:?} {transport:?}");
            assert_eq!(consumer.position("t", 0).unwrap(), 95);
        }
    }
}

#[tokio::test]
async fn batches_come_whole_but_for_what_was_not_asked_for() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 30).await;
    let mut consumer = client.consumer();
    consumer.assign([("t", 0, StartAt::Offset(7))]).await.unwrap();
    consumer.until_end().await.unwrap();
    let mut batches = Vec::new();
    while let Some(mut batch) = consumer.next_batch().await.unwrap() {
        assert_eq!((batch.topic(), batch.partition()), ("t", 0));
        let offsets: Vec<u64> = batch.records().map(|record| record.offset).collect();
        assert_eq!(offsets.len(), batch.len());
        batches.push((batch.first_offset(), batch.next_offset()));
        assert_eq!(offsets, (batch.first_offset()..batch.next_offset()).collect::<Vec<_>>());
    }
    assert_eq!(batches, [(7, 10), (10, 20), (20, 30)]);
    assert!(consumer.next_batch().await.unwrap().is_none());
}

#[tokio::test]
async fn new_records_come_as_they_are_written() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 10).await;
    for transport in [Transport::Push, POLL] {
        let mut consumer = client.consumer_with(ConsumerConfig { transport, ..ConsumerConfig::default() });
        consumer.assign_topic("t", StartAt::End).await.unwrap();
        expect_none(&mut consumer).await;
        let end = consumer.position("t", 0).unwrap();
        store(&client, end, end + 10).await;
        let batch = consumer.next_batch().await.unwrap().unwrap();
        assert_eq!(batch.first_offset(), end);
        expect_none(&mut consumer).await;
    }
}

#[tokio::test]
async fn a_record_arrives_as_it_was_sent() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    let mut headers = HeadersBuf::new();
    headers.push(b"a", Some(b"1")).unwrap();
    headers.push(b"a", None).unwrap();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let config = ProducerConfig { compression, ..ProducerConfig::default() };
        let producer = client.producer_with("t", config).await.unwrap();
        let ticket =
            producer.send(Record::new(b"value").key(b"key").headers(&headers).timestamp(77)).unwrap();
        producer.send(Record::tombstone(b"key")).unwrap();
        let offset = producer.delivered(ticket).await.unwrap();
        producer.flush().await.unwrap();

        let mut consumer = client.consumer();
        consumer.assign([("t", 0, StartAt::Offset(offset))]).await.unwrap();
        let record = consumer.next().await.unwrap().unwrap();
        assert_eq!((record.topic, record.partition, record.offset), ("t", 0, offset));
        assert_eq!(
            (record.timestamp, record.key, record.value),
            (77, Some(&b"key"[..]), Some(&b"value"[..]))
        );
        let found: Vec<_> = record.headers.map(Result::unwrap).collect();
        assert_eq!(found, [(&b"a"[..], Some(&b"1"[..])), (&b"a"[..], None)]);
        let record = consumer.next().await.unwrap().unwrap();
        assert_eq!((record.offset, record.value), (offset + 1, None));
    }
}

#[tokio::test]
async fn all_partitions_come_and_each_in_order() {
    let broker = FakeBroker::with_shards(4).await;
    let client = client(&broker).await;
    let producer = client.producer("t").await.unwrap();
    for n in 0..4000_u32 {
        let value = n.to_le_bytes();
        producer.send_wait(Record::new(&value).partition(n % 4)).await.unwrap();
    }
    producer.flush().await.unwrap();
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    consumer.until_end().await.unwrap();
    let mut seen = [0; 4];
    while let Some(record) = consumer.next().await.unwrap() {
        let partition = record.partition as usize;
        assert_eq!(record.value.unwrap(), (seen[partition] * 4 + record.partition).to_le_bytes());
        seen[partition] += 1;
    }
    assert_eq!(seen, [1000; 4]);
}

#[tokio::test]
async fn reading_goes_on_where_it_was_when_the_connection_is_lost() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 500).await;
    for transport in [Transport::Push, POLL] {
        let config = ConsumerConfig { transport, buffer_bytes: 4096, ..ConsumerConfig::default() };
        let mut consumer = client.consumer_with(config);
        consumer.assign_topic("t", StartAt::Start).await.unwrap();
        consumer.until_end().await.unwrap();
        let mut offsets = Vec::new();
        while let Some(batch) = consumer.next_batch().await.unwrap() {
            offsets.extend(batch.first_offset()..batch.next_offset());
            broker.hang_up();
        }
        assert_eq!(offsets, (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_consumer_waits_for_a_broker_that_is_away() {
    let mut broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 10).await;
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().len(), 10);
    broker.stop().await;
    expect_none(&mut consumer).await;
    broker.restart().await;
    store(&client, 10, 20).await;
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().first_offset(), 10);
}

#[tokio::test]
async fn the_broker_sends_no_more_than_there_is_room_for() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    let producer = client.producer("t").await.unwrap();
    let value = vec![7; 10_000];
    for _ in 0..200 {
        producer.send_batch(0, &[Record::new(&value)]).await.unwrap();
    }
    producer.flush().await.unwrap();
    let mut consumer =
        client.consumer_with(ConsumerConfig { buffer_bytes: 100_000, ..ConsumerConfig::default() });
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    assert!(consumer.next_batch().await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let pushed = broker.model().pushed_bytes;
    assert!((90_000..=120_000).contains(&pushed), "{pushed} bytes were pushed");
    for _ in 1..200 {
        assert!(consumer.next_batch().await.unwrap().is_some());
    }
    assert!(broker.model().pushed_bytes >= 2_000_000);
}

#[tokio::test]
async fn partitions_that_one_connection_cannot_serve_come_through_others() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    client.admin().alter_topic("t", 50, &[]).await.unwrap();
    broker.model().max_subscriptions = 7;
    let producer = client.producer("t").await.unwrap();
    for partition in 0..50 {
        producer.send(Record::new(b"x").partition(partition)).unwrap();
    }
    producer.flush().await.unwrap();
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    consumer.until_end().await.unwrap();
    let mut seen = 0;
    while consumer.next().await.unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen, 50);
}

#[tokio::test]
async fn seek_pause_and_resume() {
    let broker = FakeBroker::with_shards(2).await;
    let client = client(&broker).await;
    store(&client, 0, 50).await;
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    for expected in 0..5 {
        assert_eq!(consumer.next().await.unwrap().unwrap().offset, expected);
    }
    consumer.seek("t", 0, 33).unwrap();
    assert_eq!(consumer.position("t", 0).unwrap(), 33);
    for expected in 33..36 {
        assert_eq!(consumer.next().await.unwrap().unwrap().offset, expected);
    }
    consumer.pause("t", 0).unwrap();
    expect_none(&mut consumer).await;
    consumer.resume("t", 0).unwrap();
    assert_eq!(consumer.next().await.unwrap().unwrap().offset, 36);
    assert_eq!(consumer.position("t", 0).unwrap(), 37);
    assert!(matches!(consumer.seek("t", 2, 0), Err(Error::UnknownPartition { .. })));
    assert!(matches!(consumer.pause("other", 0), Err(Error::UnknownPartition { .. })));
}

#[tokio::test]
async fn an_offset_out_of_range_fails_or_moves() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 50).await;
    client.admin().delete_records("t", 0, 20).await.unwrap();
    for transport in [Transport::Push, POLL] {
        for (out_of_range, first) in [(OutOfRange::Earliest, Some(20)), (OutOfRange::Latest, None)] {
            let config = ConsumerConfig { transport, out_of_range, ..ConsumerConfig::default() };
            let mut consumer = client.consumer_with(config);
            consumer.assign([("t", 0, StartAt::Offset(3))]).await.unwrap();
            match first {
                Some(offset) => assert_eq!(consumer.next().await.unwrap().unwrap().offset, offset),
                None => {
                    expect_none(&mut consumer).await;
                    assert_eq!(consumer.position("t", 0).unwrap(), 50);
                }
            }
        }
        let mut consumer = client.consumer_with(ConsumerConfig { transport, ..ConsumerConfig::default() });
        consumer.assign([("t", 0, StartAt::Offset(3))]).await.unwrap();
        let error = consumer.next().await.unwrap_err();
        assert!(matches!(error, Error::OffsetOutOfRange { offset: 3, partition: 0, .. }), "{error}");
        consumer.seek("t", 0, 20).unwrap();
        assert_eq!(consumer.next().await.unwrap().unwrap().offset, 20);
        consumer.seek("t", 0, 51).unwrap();
        assert!(matches!(consumer.until_end().await, Err(Error::OffsetOutOfRange { offset: 51, .. })));
        assert!(matches!(consumer.next().await, Err(Error::OffsetOutOfRange { offset: 51, .. })));
    }
}

#[tokio::test]
async fn a_damaged_batch_is_not_handed_out() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 30).await;
    broker.change(|model| {
        let log = model.topics["t"].logs[0];
        let batch = model.logs.get_mut(&log).unwrap().batches.get_mut(&10).unwrap();
        *batch.last_mut().unwrap() ^= 1;
    });
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    consumer.until_end().await.unwrap();
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().next_offset(), 10);
    for _ in 0..2 {
        let error = consumer.next_batch().await.unwrap_err();
        assert!(matches!(error, Error::DamagedBatch { offset: 10, .. }), "{error}");
    }
    consumer.seek("t", 0, 20).unwrap();
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().first_offset(), 20);
    assert!(consumer.next_batch().await.unwrap().is_none());
}

#[tokio::test]
async fn partitions_that_move_are_followed() {
    let broker = FakeBroker::with_shards(2).await;
    let client = client(&broker).await;
    store(&client, 0, 10).await;
    let mut consumer = client.consumer();
    consumer.assign([("t", 0, StartAt::Start)]).await.unwrap();
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().len(), 10);
    broker.change(|model| {
        // The log goes to another shard, under another identity.
        let old = model.topics["t"].logs[0];
        let mut log = model.logs.remove(&old).unwrap();
        log.shard = 1;
        model.logs.insert(777, log);
        model.topics.get_mut("t").unwrap().logs[0] = 777;
    });
    store(&client, 10, 20).await;
    assert_eq!(consumer.next_batch().await.unwrap().unwrap().first_offset(), 10);
}

#[tokio::test]
async fn a_topic_that_is_deleted_ends_in_an_error() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 10).await;
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    assert!(consumer.next_batch().await.unwrap().is_some());
    client.admin().delete_topic("t").await.unwrap();
    let error = consumer.next_batch().await.unwrap_err();
    assert!(matches!(error, Error::UnknownTopic(_)), "{error}");
}

#[tokio::test]
async fn what_does_not_exist_is_not_assigned() {
    let broker = FakeBroker::start().await;
    let mut consumer = client(&broker).await.consumer();
    assert!(matches!(consumer.assign_topic("x", StartAt::Start).await, Err(Error::UnknownTopic(_))));
    let assigned = consumer.assign([("t", 1, StartAt::Offset(0))]).await;
    assert!(matches!(assigned, Err(Error::UnknownPartition { partition: 1, .. })));
    assert!(consumer.next_batch().await.unwrap().is_none(), "nothing is assigned");
}

#[tokio::test]
async fn a_future_that_is_dropped_loses_nothing() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    store(&client, 0, 1000).await;
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).await.unwrap();
    consumer.until_end().await.unwrap();
    let mut offsets = Vec::new();
    loop {
        match timeout(Duration::from_micros(20), consumer.next_batch()).await {
            Err(_) => continue,
            Ok(batch) => match batch.unwrap() {
                Some(batch) => offsets.extend(batch.first_offset()..batch.next_offset()),
                None => break,
            },
        }
    }
    assert_eq!(offsets, (0..1000).collect::<Vec<_>>());
}
