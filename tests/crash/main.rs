//! The real broker is killed with SIGKILL under the load of the SDK, again and again: nothing acknowledged is lost, nothing
//! comes twice, nothing is out of order. `LOOPS` says how often (the default is for every run of the tests).

#[path = "../native/broker.rs"]
#[allow(dead_code)]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code)]
mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker::{Broker, Data};
use ringmail_sdk::blocking::Client;
use ringmail_sdk::{OnDelivery, ProducerConfig, Record, StartAt};

const TOPIC: &str = "counted";
const PARTITIONS: u32 = 6;
const DEFAULT_LOOPS: usize = 8;

/// How far each partition was acknowledged.
type Acknowledged = Arc<[AtomicU64; PARTITIONS as usize]>;

/// Sends numbers, in order in each partition, until the broker is gone.
fn load(server: &str, from: &[u64], acknowledged: &Acknowledged) {
    let Ok(client) = Client::connect(server) else { return };
    let told = Arc::clone(acknowledged);
    let gone = Arc::new(AtomicBool::new(false));
    let failed = Arc::clone(&gone);
    let bases: Vec<u64> = from.to_vec();
    let on_delivery = OnDelivery::new(move |batch| {
        let partition = batch.partition as usize;
        let Ok(offset) = batch.result else {
            // What follows a batch that is lost would not be at its place.
            return failed.store(true, Ordering::SeqCst);
        };
        let number = bases[partition] + batch.first_sequence;
        assert_eq!(offset, number, "partition {partition}: a number is at the offset of the same number");
        told[partition].fetch_max(number + u64::from(batch.records), Ordering::SeqCst);
    });
    let config = ProducerConfig {
        on_delivery: Some(on_delivery),
        batch_bytes: 2048,
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_millis(200),
        ..ProducerConfig::default()
    };
    let Ok(producer) = client.producer_with(TOPIC, config) else { return };
    let mut next = from.to_vec();
    for turn in 0.. {
        let partition = turn % PARTITIONS;
        let number = &mut next[partition as usize];
        let mut value = [0; 100];
        value[..8].copy_from_slice(&number.to_le_bytes());
        let taken = producer.send(Record::new(&value).partition(partition));
        if taken.is_err() || gone.load(Ordering::SeqCst) {
            return;
        }
        *number += 1;
    }
}

/// Reads everything: each partition holds the numbers from 0 on, each once and in order. Gives how many.
fn check(client: &Client, acknowledged: &Acknowledged) -> Vec<u64> {
    let mut consumer = client.consumer();
    consumer.assign_topic(TOPIC, StartAt::Start).expect("the topic is there");
    consumer.until_end().expect("its end is known");
    let mut next = vec![0_u64; PARTITIONS as usize];
    while let Some(mut batch) = consumer.next_batch().expect("everything can be read") {
        let expected = &mut next[batch.partition() as usize];
        for record in batch.records() {
            let value = record.value.expect("records have values");
            let number = u64::from_le_bytes(value[..8].try_into().expect("eight bytes"));
            assert_eq!((record.offset, number), (*expected, *expected), "in order, once, without a gap");
            *expected += 1;
        }
    }
    for (partition, (&found, promised)) in next.iter().zip(acknowledged.iter()).enumerate() {
        let promised = promised.load(Ordering::SeqCst);
        assert!(found >= promised, "partition {partition}: {promised} acknowledged, {found} found");
    }
    next
}

fn kill_again_and_again(arguments: &[&str]) {
    let loops = std::env::var("LOOPS").ok().and_then(|n| n.parse().ok()).unwrap_or(DEFAULT_LOOPS);
    let data = Data::new();
    let acknowledged: Acknowledged = Arc::default();
    let mut next = vec![0; PARTITIONS as usize];
    let mut slowest = Duration::ZERO;
    for turn in 0..loops {
        let started = Instant::now();
        let broker = Broker::start_with(&data.path(), arguments);
        slowest = slowest.max(started.elapsed());
        let client = Client::connect(&broker.address).expect("the broker is ready");
        if turn == 0 {
            client.admin().create_topic(TOPIC, PARTITIONS, &[]).expect("a new topic");
        } else {
            next = check(&client, &acknowledged);
        }
        let before: u64 = next.iter().sum();
        std::thread::scope(|scope| {
            let (server, from, acknowledged) = (broker.address.clone(), &next, &acknowledged);
            scope.spawn(move || load(&server, from, acknowledged));
            // Long enough that something is acknowledged, and never twice the same.
            std::thread::sleep(Duration::from_millis(150 + 37 * (turn as u64 % 7)));
            let deadline = Instant::now() + broker::PATIENCE;
            while acknowledged.iter().map(|a| a.load(Ordering::SeqCst)).sum::<u64>() <= before {
                assert!(Instant::now() < deadline, "nothing is ever acknowledged");
                std::thread::sleep(Duration::from_millis(1));
            }
            broker.kill();
        });
    }
    let broker = Broker::start_with(&data.path(), arguments);
    let client = Client::connect(&broker.address).expect("the broker is ready");
    let found: u64 = check(&client, &acknowledged).iter().sum();
    let promised: u64 = acknowledged.iter().map(|a| a.load(Ordering::SeqCst)).sum();
    println!(
        "{loops} loops, {promised} acknowledged, {found} found, 0 lost, 0 duplicated, 0 reordered; the slowest start took {} ms",
        slowest.as_millis()
    );
    drop(client);
    broker.stop();
}

#[test]
fn killed_under_load_with_one_shard() {
    kill_again_and_again(&["--set", "node.shards=1"]);
}

#[test]
fn killed_under_load_with_two_shards() {
    kill_again_and_again(&["--set", "node.shards=2"]);
}
