//! The consumer: places to begin, ends, and what a broker does to them.

use std::time::Duration;

use ringmail_sdk::blocking::{Client, Consumer};
use ringmail_sdk::{ConsumerConfig, Error, OffsetQuery, OutOfRange, Record, StartAt, Transport};

use crate::broker::{Broker, Data};

const POLL: Transport = Transport::Poll { max_wait: Duration::from_millis(100) };

/// A broker with a topic `t` of one partition that holds records 0 to 999, ten in a batch, with timestamps
/// 1000, 1001, ….
fn filled() -> (Data, Broker, Client) {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let client = Client::connect(&broker.address).unwrap();
    client.admin().create_topic("t", 1, &[("retention.ms", "-1")]).unwrap();
    let producer = client.producer("t").unwrap();
    let values: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    for (n, chunk) in values.chunks(10).enumerate() {
        let record = |(k, value): (usize, &'_ String)| (value.clone(), 1000 + (n * 10 + k) as i64);
        let owned: Vec<(String, i64)> = chunk.iter().enumerate().map(record).collect();
        let records: Vec<_> =
            owned.iter().map(|(value, time)| Record::new(value.as_bytes()).timestamp(*time)).collect();
        producer.send_batch(0, &records).unwrap();
    }
    producer.flush().unwrap();
    (data, broker, client)
}

fn offsets(consumer: &mut Consumer) -> Vec<u64> {
    let mut offsets = Vec::new();
    while let Some(record) = consumer.next().unwrap() {
        assert_eq!(record.value.unwrap(), record.offset.to_string().as_bytes());
        offsets.push(record.offset);
    }
    offsets
}

#[test]
fn every_place_to_begin_at() {
    let (_data, _broker, client) = filled();
    for transport in [Transport::Push, POLL] {
        let mut consumer = client.consumer_with(ConsumerConfig { transport, ..ConsumerConfig::default() });
        for (start, first) in [
            (StartAt::Start, 0),
            (StartAt::Offset(995), 995),
            (StartAt::Offset(123), 123),
            (StartAt::Timestamp(0), 0),
            (StartAt::Timestamp(1777), 777),
            (StartAt::Timestamp(5000), 1000),
            (StartAt::End, 1000),
        ] {
            consumer.assign_topic("t", start).unwrap();
            consumer.until_end().unwrap();
            assert_eq!(offsets(&mut consumer), (first..1000).collect::<Vec<_>>(), "{start:?} {transport:?}");
        }
    }
}

#[test]
fn new_records_come_as_they_are_written() {
    let (_data, _broker, client) = filled();
    for transport in [Transport::Push, POLL] {
        let mut consumer = client.consumer_with(ConsumerConfig { transport, ..ConsumerConfig::default() });
        consumer.assign_topic("t", StartAt::End).unwrap();
        let nothing = consumer.next_batch_within(Duration::from_millis(200));
        assert!(matches!(nothing, Err(Error::Timeout { .. })));
        let producer = client.producer("t").unwrap();
        let ticket = producer.send(Record::new(b"new")).unwrap();
        let record = consumer.next().unwrap().unwrap();
        assert_eq!((record.offset, record.value), (producer.delivered(ticket).unwrap(), Some(&b"new"[..])));
    }
}

#[test]
fn records_that_were_deleted_are_not_read() {
    let (_data, _broker, client) = filled();
    let admin = client.admin();
    assert_eq!(admin.delete_records("t", 0, 500).unwrap(), 500);
    assert_eq!(admin.list_offsets("t", &[(0, OffsetQuery::First)]).unwrap(), [500]);
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    assert_eq!(offsets(&mut consumer), (500..1000).collect::<Vec<_>>());

    for transport in [Transport::Push, POLL] {
        let config = ConsumerConfig { transport, ..ConsumerConfig::default() };
        let mut consumer = client.consumer_with(config.clone());
        consumer.assign([("t", 0, StartAt::Offset(100))]).unwrap();
        let error = consumer.next().unwrap_err();
        assert!(matches!(error, Error::OffsetOutOfRange { offset: 100, .. }), "{error}");
        let config = ConsumerConfig { out_of_range: OutOfRange::Earliest, ..config };
        let mut consumer = client.consumer_with(config);
        consumer.assign([("t", 0, StartAt::Offset(100))]).unwrap();
        assert_eq!(consumer.next().unwrap().unwrap().offset, 500);
    }
    assert_eq!(admin.delete_records("t", 0, u64::MAX).unwrap(), 1000);
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    assert!(consumer.next().unwrap().is_none());
}

#[test]
fn a_topic_that_is_deleted_ends_in_an_error() {
    let (_data, _broker, client) = filled();
    for transport in [Transport::Push, POLL] {
        client.admin().create_topic("gone", 1, &[]).unwrap();
        let mut consumer = client.consumer_with(ConsumerConfig { transport, ..ConsumerConfig::default() });
        consumer.assign_topic("gone", StartAt::End).unwrap();
        assert!(consumer.next_batch_within(Duration::from_millis(50)).is_err());
        client.admin().delete_topic("gone").unwrap();
        let error = consumer.next_batch_within(Duration::from_secs(10)).unwrap_err();
        assert!(matches!(error, Error::UnknownTopic(_)), "{transport:?}: {error}");
    }
}

#[test]
fn a_small_buffer_reads_everything_too() {
    let (_data, _broker, client) = filled();
    let mut consumer = client.consumer_with(ConsumerConfig { buffer_bytes: 1, ..ConsumerConfig::default() });
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    assert_eq!(offsets(&mut consumer).len(), 1000);
}
