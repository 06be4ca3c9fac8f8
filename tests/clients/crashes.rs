//! A broker that is killed or restarted under clients that go on.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringmail_sdk::blocking::Client;
use ringmail_sdk::{DeliveredBatch, Error, OnDelivery, ProducerConfig, Record, StartAt};

use crate::broker::{Broker, Data};
use crate::door::Door;

/// Starts a broker of so many shards where another one was, and has the door lead to it.
fn start_behind(door: &Door, data: &Path, shards: u32) -> Broker {
    let broker = Broker::start_with(data, &["--set", &format!("node.shards={shards}")]);
    door.lead_to(&broker.address);
    broker
}

/// Batches that were acknowledged: sequence of the first record, how many, offset of the first.
type Acknowledged = Arc<Mutex<Vec<(u64, u32, u64)>>>;

fn recorder() -> (Acknowledged, OnDelivery) {
    let acknowledged = Acknowledged::default();
    let list = acknowledged.clone();
    let on_delivery = OnDelivery::new(move |batch: &DeliveredBatch| match &batch.result {
        Ok(offset) => list.lock().unwrap().push((batch.first_sequence, batch.records, *offset)),
        Err(error) => assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}"),
    });
    (acknowledged, on_delivery)
}

/// All records of the one partition of `t`; the offset is the place in the list.
fn read_all(client: &Client) -> Vec<u64> {
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    consumer.until_end().unwrap();
    let mut values = Vec::new();
    while let Some(record) = consumer.next().unwrap() {
        assert_eq!(record.offset, values.len() as u64, "offsets are dense");
        values.push(u64::from_le_bytes(record.value.unwrap()[..8].try_into().unwrap()));
    }
    values
}

#[test]
fn what_was_acknowledged_survives_kills_and_nothing_is_doubled() {
    let data = Data::new();
    let mut broker = Broker::start(&data.path());
    let door = Door::to(&broker.address);
    let client = Client::connect(&door.address).unwrap();
    client.admin().create_topic("t", 1, &[]).unwrap();
    let (acknowledged, on_delivery) = recorder();
    let config = ProducerConfig { on_delivery: Some(on_delivery), ..ProducerConfig::default() };
    let producer = client.producer_with("t", config).unwrap();

    let mut value = [0; 200];
    let mut sent = 0_u64;
    for round in 0..6 {
        let goal = acknowledged.lock().unwrap().len() + 20 + round * 7;
        while acknowledged.lock().unwrap().len() < goal {
            value[..8].copy_from_slice(&sent.to_le_bytes());
            assert_eq!(producer.send(Record::new(&value)).unwrap().sequence, sent);
            sent += 1;
        }
        broker.kill();
        broker = start_behind(&door, &data.path(), 1);
    }
    // Batches on their way when the broker was killed may be stored or not, and say so.
    assert!(matches!(producer.flush(), Ok(()) | Err(Error::OutcomeUnknown(_))));

    let stored = read_all(&client);
    let acknowledged = acknowledged.lock().unwrap();
    for (first, records, offset) in acknowledged.iter() {
        let place = *offset as usize;
        let expected = *first..first + u64::from(*records);
        assert!(
            stored[place..place + *records as usize].iter().copied().eq(expected),
            "acknowledged records {first} and on are not at offset {offset}"
        );
    }
    assert!(stored.is_sorted_by(|a, b| a < b), "in order, and nothing twice");
}

#[test]
fn a_consumer_follows_through_kills() {
    let data = Data::new();
    let mut broker = Broker::start(&data.path());
    let door = Door::to(&broker.address);
    let client = Client::connect(&door.address).unwrap();
    client.admin().create_topic("t", 1, &[]).unwrap();
    let producer = client.producer("t").unwrap();
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    let mut next = 0;
    for round in 0..4_u64 {
        for n in 0..500_u64 {
            producer.send(Record::new(&(round * 500 + n).to_le_bytes())).unwrap();
        }
        producer.flush().unwrap();
        // Half of it before the kill, the rest after it.
        while next < round * 500 + 250 {
            let record = consumer.next().unwrap().unwrap();
            assert_eq!((record.offset, record.value.unwrap()), (next, &next.to_le_bytes()[..]));
            next += 1;
        }
        broker.kill();
        broker = start_behind(&door, &data.path(), 1);
    }
    while next < 2000 {
        let record = consumer.next().unwrap().unwrap();
        assert_eq!((record.offset, record.value.unwrap()), (next, &next.to_le_bytes()[..]));
        next += 1;
    }
    assert!(consumer.next_batch_within(Duration::from_millis(200)).is_err());
}

#[test]
fn clients_follow_partitions_to_other_shards() {
    let data = Data::new();
    let mut broker = Broker::start_two_shards(&data.path());
    let door = Door::to(&broker.address);
    let client = Client::connect(&door.address).unwrap();
    client.admin().create_topic("t", 6, &[]).unwrap();
    let producer = client.producer("t").unwrap();
    let mut consumer = client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    let mut seen = [0_u64; 6];
    for (round, shards) in [1, 3, 2, 1].into_iter().enumerate() {
        for n in 0..600_u32 {
            producer.send(Record::new(b"x").partition(n % 6)).unwrap();
        }
        producer.flush().unwrap();
        for _ in 0..600 {
            let record = consumer.next().unwrap().unwrap();
            assert_eq!(record.offset, seen[record.partition as usize]);
            seen[record.partition as usize] += 1;
        }
        assert_eq!(seen, [100 * (round as u64 + 1); 6]);
        broker.stop();
        broker = start_behind(&door, &data.path(), shards);
    }
    drop(broker);
}
