//! A topic with one partition, of which is known what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringmail_sdk::blocking::{Client, Producer};
use ringmail_sdk::{Error, ProducerConfig, Record, StartAt};

use crate::broker::{Broker, PATIENCE};

/// Bytes of a record's value.
const VALUE_BYTES: usize = 400_000;

/// More than anything has room for: 240 MB.
const MOST_RECORDS: usize = 600;

/// How long the producer tries again before a refusal is reported: longer than an answer takes on a busy machine.
const REFUSED_AFTER: Duration = Duration::from_secs(2);

pub struct Topic {
    pub client: Client,
    name: String,
    producer: Producer,
    next: u64,
    /// As `next`, for another thread to see whether this one gets on.
    begun: Arc<AtomicU64>,
    /// The numbers of records that were acknowledged, in order.
    acknowledged: Vec<u64>,
}

impl Topic {
    /// Connects to a topic that is made if it is new; `known` was acknowledged before.
    pub fn of(broker: &Broker, name: &str, known: Vec<u64>) -> Self {
        let client = Client::connect(&broker.address).unwrap();
        if known.is_empty() {
            client.admin().create_topic(name, 1, &[]).unwrap();
        }
        let next = known.last().map_or(0, |last| last + 1);
        let producer = producer(&client, name, REFUSED_AFTER);
        Self { client, name: name.to_owned(), producer, next, begun: Arc::default(), acknowledged: known }
    }

    /// Has the producer wait for answers for as long as any test waits for anything.
    pub fn wait_for_answers(&mut self) {
        self.producer = producer(&self.client, &self.name, 3 * PATIENCE);
    }

    /// The number of the record that is being sent.
    pub fn begun(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.begun)
    }

    pub fn known(self) -> Vec<u64> {
        self.acknowledged
    }

    /// Sends one record and waits for its answer.
    pub fn send(&mut self) -> Result<(), Error> {
        let mut value = vec![0; VALUE_BYTES];
        value[..8].copy_from_slice(&self.next.to_le_bytes());
        let ticket = self.producer.send(Record::new(&value))?;
        let result = self.producer.delivered(ticket);
        if result.is_ok() {
            self.acknowledged.push(self.next);
        }
        self.next += 1;
        self.begun.store(self.next, Ordering::SeqCst);
        result.map(drop)
    }

    /// Sends until a record is refused, for this reason.
    pub fn send_until_refused(&mut self) -> Error {
        (0..MOST_RECORDS).find_map(|_| self.send().err()).expect("records are never refused")
    }

    /// Has all records deleted.
    pub fn delete_records(&mut self) {
        self.client.admin().delete_records(&self.name, 0, u64::MAX).unwrap();
        self.acknowledged.clear();
    }

    /// Sends until a record is taken.
    pub fn send_until_taken(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.send() {
            assert!(Instant::now() < deadline, "records are refused for ever: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Reads all; everything that was acknowledged is there, in order and once, and nothing but what was sent.
    pub fn check(&self) {
        let mut consumer = self.client.consumer();
        consumer.assign_topic(&self.name, StartAt::Start).unwrap();
        consumer.until_end().unwrap();
        let mut found = Vec::new();
        while let Some(record) = consumer.next().unwrap() {
            found.push(u64::from_le_bytes(record.value.unwrap()[..8].try_into().unwrap()));
        }
        assert!(found.is_sorted_by(|a, b| a < b), "in order, and once: {found:?}");
        let lost: Vec<_> = self.acknowledged.iter().filter(|n| found.binary_search(n).is_err()).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert!(found.last().is_none_or(|last| *last < self.next));
    }
}

fn producer(client: &Client, topic: &str, delivery_timeout: Duration) -> Producer {
    let config = ProducerConfig { delivery_timeout, ..ProducerConfig::default() };
    client.producer_with(topic, config).unwrap()
}
