//! All topics that clients of a test know of, and what is counted of their records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ringmail_sdk::{Acks, DeliveredBatch, Error, OnDelivery, StartAt, blocking::Client};

use crate::support::book::{Crash, Session, State, TopicBook, compare};
use crate::support::findings::{Findings, Kind};
use crate::support::record::Id;

/// What everybody knows.
#[derive(Debug)]
pub struct World {
    pub crash: Crash,
    pub findings: Findings,
    topics: Mutex<BTreeMap<String, Arc<TopicBook>>>,
    sessions: AtomicU32,
    /// Crashes so far.
    epoch: AtomicU32,
    acknowledged: AtomicU64,
    unanswered: AtomicU64,
    consumed: AtomicU64,
}

impl World {
    pub fn new(crash: Crash) -> Arc<Self> {
        Arc::new(Self {
            crash,
            findings: Findings::default(),
            topics: Mutex::default(),
            sessions: AtomicU32::new(0),
            epoch: AtomicU32::new(0),
            acknowledged: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
        })
    }

    /// A topic that nobody has created yet.
    pub fn topic(&self, name: String, partitions: u32) -> Arc<TopicBook> {
        let topic = Arc::new(TopicBook::new(name.clone(), partitions));
        self.topics.lock().unwrap().insert(name, Arc::clone(&topic));
        topic
    }

    /// A producer's session, and what is to be told of its deliveries.
    pub fn session(
        self: &Arc<Self>,
        topic: &Arc<TopicBook>,
        acks: Acks,
        retries: bool,
    ) -> (Arc<Session>, OnDelivery) {
        let number = self.sessions.fetch_add(1, Ordering::SeqCst);
        let session = topic.session(number, acks, retries);
        let (world, topic) = (Arc::clone(self), Arc::clone(topic));
        let told = move |batch: &DeliveredBatch| world.delivered(&topic, number, acks, batch);
        (session, OnDelivery::new(told))
    }

    fn delivered(&self, topic: &TopicBook, session: u32, acks: Acks, batch: &DeliveredBatch) {
        let base = match &batch.result {
            Ok(base) => *base,
            Err(Error::NotAcknowledged) => return,
            // Records that are stored, or not: the checker takes both.
            Err(_) => {
                self.unanswered.fetch_add(batch.records.into(), Ordering::SeqCst);
                return;
            }
        };
        let epoch = self.epoch.load(Ordering::SeqCst);
        let mut book = topic.partitions[batch.partition as usize].lock().unwrap();
        for n in 0..u64::from(batch.records) {
            let id = Id { session, sequence: (batch.first_sequence + n) as u32 };
            if acks == Acks::Written {
                book.is_written(base + n, id, epoch);
            } else if let Err(words) = book.stands(base + n, id, false, epoch) {
                let place = format!("{}/{} acknowledged", topic.name, batch.partition);
                self.findings.add(Kind::Reordered, || format!("{place}: {words}"));
            }
        }
        self.acknowledged.fetch_add(batch.records.into(), Ordering::SeqCst);
    }

    /// A consumer has read a record.
    pub fn consumed(&self, topic: &TopicBook, partition: u32, offset: u64, id: Option<Id>) {
        self.consumed.fetch_add(1, Ordering::SeqCst);
        let place = || format!("{}/{partition} at {offset}", topic.name);
        let Some(id) = id.filter(|id| topic.was_sent(partition as usize, *id)) else {
            return self.findings.add(Kind::Phantom, || format!("{}: read, and never sent: {id:?}", place()));
        };
        let epoch = self.epoch.load(Ordering::SeqCst);
        let mut book = topic.partitions[partition as usize].lock().unwrap();
        if let Err(words) = book.stands(offset, id, true, epoch) {
            self.findings.add(Kind::Reordered, || format!("{} read: {words}", place()));
        }
    }

    /// What happens from here on is after a crash.
    pub fn note_crash(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Records that were given to the SDK, and of which it could not tell that they are stored.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::SeqCst)
    }

    pub fn consumed_records(&self) -> u64 {
        self.consumed.load(Ordering::SeqCst)
    }

    /// The data directory is another from here on.
    pub fn forget_topics(&self) {
        self.topics.lock().unwrap().clear();
    }

    fn topics(&self) -> Vec<Arc<TopicBook>> {
        self.topics.lock().unwrap().values().map(Arc::clone).collect()
    }

    /// Compares all that is stored with all that is known, while no client does anything.
    pub fn check(&self, client: &Client) -> Result<(), Error> {
        let listed = client.admin().list_topics()?;
        for found in &listed {
            if !self.topics.lock().unwrap().contains_key(&found.name) {
                self.findings.add(Kind::Phantom, || format!("topic {} was never created", found.name));
            }
        }
        for topic in self.topics() {
            let found = listed.iter().find(|l| l.name == topic.name);
            self.check_existence(&topic, found.map(|f| f.partitions as usize));
            if topic.state() == State::Exists {
                self.check_records(client, &topic)?;
            } else {
                self.topics.lock().unwrap().remove(&topic.name);
            }
        }
        Ok(())
    }

    fn check_existence(&self, topic: &TopicBook, partitions: Option<usize>) {
        let name = &topic.name;
        match (topic.state(), partitions) {
            (State::Exists, None) => {
                self.findings.add(Kind::Lost, || format!("topic {name} with all its records"));
                let records: u64 = topic.partitions.iter().map(|p| p.lock().unwrap().standing()).sum();
                (0..records)
                    .for_each(|_| self.findings.add(Kind::Lost, || format!("records of topic {name}")));
                topic.set_state(State::Deleted);
            }
            (State::Deleted, Some(_)) => {
                self.findings.add(Kind::Phantom, || format!("topic {name} was deleted"));
            }
            (_, None) => topic.set_state(State::Deleted),
            (_, Some(partitions)) => {
                topic.set_state(State::Exists);
                if partitions != topic.partitions.len() {
                    self.findings.add(Kind::Broken, || format!("topic {name} has {partitions} partitions"));
                }
            }
        }
    }

    fn check_records(&self, client: &Client, topic: &TopicBook) -> Result<(), Error> {
        let mut stored = vec![Vec::new(); topic.partitions.len()];
        let mut consumer = client.consumer();
        consumer.assign_topic(&topic.name, StartAt::Start)?;
        consumer.until_end()?;
        let mut scratch = Vec::new();
        while let Some(mut batch) = consumer.next_batch()? {
            let partition = batch.partition();
            for record in batch.records() {
                let id = record.value.and_then(|value| Id::read(partition, value, &mut scratch));
                stored[partition as usize].push((record.offset, id));
            }
        }
        for (partition, records) in stored.iter().enumerate() {
            compare(topic, partition, records, self.crash, &self.findings);
        }
        Ok(())
    }
}
