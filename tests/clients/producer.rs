//! The producer and the whole way through the broker.

use ringmail_sdk::blocking::Client;
use ringmail_sdk::{
    Acks, Compression, Error, ErrorCode, HeadersBuf, ProducerConfig, Record, StartAt, partition_of_key,
};

use crate::broker::{Broker, Data};

#[test]
fn records_arrive_as_they_were_sent() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let client = Client::connect(&broker.address).unwrap();
    client.admin().create_topic("t", 4, &[]).unwrap();
    let mut headers = HeadersBuf::new();
    headers.push(b"h", Some(b"1")).unwrap();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let config = ProducerConfig { compression, ..ProducerConfig::default() };
        let producer = client.producer_with("t", config).unwrap();
        for n in 0..5000 {
            let (key, value) = (format!("key {}", n % 50), format!("value {n}"));
            let record = Record::new(value.as_bytes()).key(key.as_bytes()).headers(&headers).timestamp(n);
            producer.send(record).unwrap();
        }
        producer.flush().unwrap();
    }
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    let mut seen = 0;
    let mut last = [-1; 50];
    while let Some(record) = consumer.next().unwrap() {
        let (key, value) = (record.key.unwrap(), record.value.unwrap());
        assert_eq!(record.partition, partition_of_key(key, 4));
        assert_eq!(value, format!("value {}", record.timestamp).as_bytes());
        assert_eq!(record.headers.map(Result::unwrap).collect::<Vec<_>>(), [(&b"h"[..], Some(&b"1"[..]))]);
        let key: usize = std::str::from_utf8(&key[4..]).unwrap().parse().unwrap();
        assert!(record.timestamp > last[key] || record.timestamp < 50, "records of a key keep their order");
        last[key] = record.timestamp;
        seen += 1;
    }
    assert_eq!(seen, 15_000);
}

#[test]
fn tickets_become_offsets_at_every_level() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let client = Client::connect(&broker.address).unwrap();
    client.admin().create_topic("t", 1, &[]).unwrap();
    let mut expected = 0;
    for acks in [Acks::Written, Acks::Synced] {
        let producer =
            client.producer_with("t", ProducerConfig { acks, ..ProducerConfig::default() }).unwrap();
        for _ in 0..20 {
            let ticket = producer.send(Record::new(b"x")).unwrap();
            assert_eq!(producer.delivered(ticket).unwrap(), expected);
            expected += 1;
        }
    }
    let config = ProducerConfig { acks: Acks::None, ..ProducerConfig::default() };
    let producer = client.producer_with("t", config).unwrap();
    let ticket = producer.send(Record::new(b"y")).unwrap();
    producer.flush().unwrap();
    assert!(matches!(producer.delivered(ticket), Err(Error::NotAcknowledged)));
    let mut consumer = client.consumer();
    consumer.assign([("t", 0, StartAt::Offset(expected))]).unwrap();
    assert_eq!(consumer.next().unwrap().unwrap().value, Some(&b"y"[..]));
}

#[test]
fn what_is_too_large_for_the_topic_is_refused_and_the_rest_goes_on() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let client = Client::connect(&broker.address).unwrap();
    client.admin().create_topic("t", 1, &[("max.message.bytes", "10000")]).unwrap();
    let producer = client.producer("t").unwrap();
    let large = producer.send_batch(0, &[Record::new(&[0; 20_000])]).unwrap();
    let small = producer.send_batch(0, &[Record::new(&[0; 100])]).unwrap();
    assert_eq!(producer.delivered(large).unwrap_err().code(), Some(ErrorCode::BatchTooLarge));
    assert_eq!(producer.delivered(small).unwrap(), 0);
    assert_eq!(producer.flush().unwrap_err().code(), Some(ErrorCode::BatchTooLarge));
    producer.flush().unwrap();
}

#[test]
fn many_partitions() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let client = Client::connect(&broker.address).unwrap();
    client.admin().create_topic("t", 2000, &[]).unwrap();
    let producer = client.producer("t").unwrap();
    for n in 0..20_000_u32 {
        producer.send(Record::new(&n.to_le_bytes()).partition(n % 2000)).unwrap();
    }
    producer.flush().unwrap();
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    let mut next: Vec<u32> = (0..2000).collect();
    while let Some(record) = consumer.next().unwrap() {
        let expected = &mut next[record.partition as usize];
        assert_eq!(record.value.unwrap(), expected.to_le_bytes());
        *expected += 2000;
    }
    assert!(next.iter().all(|n| *n >= 20_000));
}
