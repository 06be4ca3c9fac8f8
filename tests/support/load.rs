//! Clients that go on through crashes: producers of every kind, consumers that follow, topics that come and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringmail_sdk::blocking::{Client, Consumer, Producer};
use ringmail_sdk::{Acks, ClientConfig, Error, ProducerConfig, Record, StartAt};

use crate::support::book::{Session, State, TopicBook};
use crate::support::findings::Kind;
use crate::support::record::Id;
use crate::support::rng::Rng;
use crate::support::world::World;

/// Topics that are written to all the time: their partitions, and the producers of each.
const TOPICS: [(u32, [Flavour; 2]); 3] = [
    (12, [Flavour::Synced, Flavour::Written]),
    (4, [Flavour::Synced, Flavour::Unacknowledged]),
    (1, [Flavour::Synced, Flavour::Retrying]),
];
/// Short-lived topics that are there at a time.
const SHORT_LIVED: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy)]
enum Flavour {
    Synced,
    Written,
    Unacknowledged,
    /// Synced, and sent again if that is not known.
    Retrying,
}

/// What all threads of a load share.
#[derive(Debug, Clone)]
struct Common {
    world: Arc<World>,
    server: String,
    stop: Arc<AtomicBool>,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    common: Common,
    threads: Vec<JoinHandle<()>>,
    topics: Vec<Arc<TopicBook>>,
}

impl Load {
    /// Begins, with topics of its own that are named by `name`.
    pub fn start(world: &Arc<World>, server: &str, name: &str, rng: &mut Rng) -> Result<Self, Error> {
        let common = Common {
            world: Arc::clone(world),
            server: server.to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let admin = Client::connect(server)?.admin();
        let mut load = Self { common, threads: Vec::new(), topics: Vec::new() };
        for (number, (partitions, flavours)) in TOPICS.into_iter().enumerate() {
            let topic = world.topic(format!("{name}-{number}"), partitions);
            admin.create_topic(&topic.name, partitions, &[])?;
            topic.set_state(State::Exists);
            for flavour in flavours {
                load.spawn(rng, &topic, move |common, topic, rng| common.produce(topic, flavour, rng));
            }
            load.spawn(rng, &topic, |common, topic, _| common.follow(topic));
            load.topics.push(topic);
        }
        let name = format!("{name}-short");
        let (common, rng) = (load.common.clone(), rng.fork());
        load.threads.push(thread::spawn(move || common.come_and_go(&name, rng)));
        Ok(load)
    }

    fn spawn(
        &mut self,
        rng: &mut Rng,
        topic: &Arc<TopicBook>,
        work: impl FnOnce(&Common, &Arc<TopicBook>, Rng) + Send + 'static,
    ) {
        let (common, topic, rng) = (self.common.clone(), Arc::clone(topic), rng.fork());
        self.threads.push(thread::spawn(move || work(&common, &topic, rng)));
    }

    /// Ends it; everything that was sent has its answer, and everything that was stored is read. Gives its topics.
    pub fn finish(self) -> Vec<Arc<TopicBook>> {
        self.common.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                self.common.world.findings.add(Kind::Broken, || format!("a client has panicked: {words}"));
            }
        }
        self.topics
    }
}

impl Common {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Tries until it works, or the load is over.
    fn until_done<V>(&self, mut attempt: impl FnMut() -> Result<V, Error>) -> Option<V> {
        while !self.is_over() {
            match attempt() {
                Ok(value) => return Some(value),
                Err(_) => thread::sleep(PAUSE),
            }
        }
        None
    }

    fn client(&self) -> Option<Client> {
        let config = ClientConfig { max_backoff: Duration::from_millis(100), ..ClientConfig::default() };
        self.until_done(|| Client::with_config(&self.server, config.clone()))
    }

    fn producer(
        &self,
        client: &Client,
        topic: &Arc<TopicBook>,
        flavour: Flavour,
        rng: &mut Rng,
    ) -> Option<(Producer, Arc<Session>)> {
        let acks = match flavour {
            Flavour::Synced | Flavour::Retrying => Acks::Synced,
            Flavour::Written => Acks::Written,
            Flavour::Unacknowledged => Acks::None,
        };
        let retries = matches!(flavour, Flavour::Retrying);
        let (session, on_delivery) = self.world.session(topic, acks, retries);
        let config = ProducerConfig {
            acks,
            retry_unknown: retries,
            reorder: retries,
            on_delivery: Some(on_delivery),
            batch_bytes: 512 << rng.below(6),
            linger: Duration::from_millis(rng.below(3)),
            buffer_bytes: 256 << 10,
            ..ProducerConfig::default()
        };
        let producer = self.until_done(|| client.producer_with(&topic.name, config.clone()))?;
        Some((producer, session))
    }

    fn produce(&self, topic: &Arc<TopicBook>, flavour: Flavour, mut rng: Rng) {
        let Some(client) = self.client() else { return };
        let Some((producer, session)) = self.producer(&client, topic, flavour, &mut rng) else { return };
        let mut value = Vec::new();
        while !self.is_over() {
            for _ in 0..rng.below(200) {
                self.send(&producer, &session, topic, &mut value, &mut rng);
            }
            thread::sleep(Duration::from_millis(rng.below(10)));
        }
        // What could not be stored was told already.
        let _ = producer.flush();
    }

    fn send(
        &self,
        producer: &Producer,
        session: &Session,
        topic: &TopicBook,
        value: &mut Vec<u8>,
        rng: &mut Rng,
    ) {
        let partition = rng.below(session.sent.len() as u64) as u32;
        let sequence = session.sent[partition as usize].fetch_add(1, Ordering::SeqCst);
        let id = Id { session: session.number, sequence: sequence as u32 };
        id.write(partition, value);
        match producer.send(Record::new(value).partition(partition)) {
            Ok(ticket) => assert_eq!(ticket.sequence, sequence, "records are counted from 0 on"),
            Err(error) => panic!("a record for {} is refused: {error}", topic.name),
        }
    }

    fn follow(&self, topic: &Arc<TopicBook>) {
        let Some(client) = self.client() else { return };
        let mut consumer = client.consumer();
        if self.until_done(|| consumer.assign_topic(&topic.name, StartAt::Start)).is_none() {
            return;
        }
        let mut next = vec![0; topic.partitions.len()];
        loop {
            match self.follow_batch(&mut consumer, topic, &mut next) {
                Ok(()) => {}
                Err(Error::Timeout { .. }) if self.is_over() => return,
                Err(error) if is_passing(&error) => thread::sleep(PAUSE),
                Err(error) => {
                    let kind = match error {
                        Error::OffsetOutOfRange { .. } => Kind::Gone,
                        _ => Kind::Broken,
                    };
                    return self
                        .world
                        .findings
                        .add(kind, || format!("a consumer of {}: {error}", topic.name));
                }
            }
        }
    }

    fn follow_batch(
        &self,
        consumer: &mut Consumer,
        topic: &TopicBook,
        next: &mut [u64],
    ) -> Result<(), Error> {
        let Some(mut batch) = consumer.next_batch_within(Duration::from_millis(300))? else { return Ok(()) };
        let partition = batch.partition();
        let next = &mut next[partition as usize];
        let mut scratch = Vec::new();
        for record in batch.records() {
            if record.offset != *next {
                let words = || format!("{}/{partition}: {} came for {next}", topic.name, record.offset);
                self.world.findings.add(Kind::Reordered, words);
            }
            *next = record.offset + 1;
            let id = record.value.and_then(|value| Id::read(partition, value, &mut scratch));
            self.world.consumed(topic, partition, record.offset, id);
        }
        Ok(())
    }

    /// Topics are created, written to and deleted.
    fn come_and_go(&self, name: &str, mut rng: Rng) {
        let Some(client) = self.client() else { return };
        let mut there: VecDeque<Arc<TopicBook>> = VecDeque::new();
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let topic = self.world.topic(format!("{name}-{number}"), 1 + rng.below(4) as u32);
            let partitions = topic.partitions.len() as u32;
            // If there is no answer, it may be there or not.
            if client.admin().create_topic(&topic.name, partitions, &[]).is_err() {
                continue;
            }
            topic.set_state(State::Exists);
            if let Some((producer, session)) = self.producer(&client, &topic, Flavour::Synced, &mut rng) {
                let mut value = Vec::new();
                for _ in 0..rng.below(300) {
                    self.send(&producer, &session, &topic, &mut value, &mut rng);
                }
                let _ = producer.flush();
            }
            there.push_back(topic);
            if there.len() > SHORT_LIVED
                && let Some(topic) = there.remove(rng.below(SHORT_LIVED as u64) as usize)
            {
                delete(&client, &topic);
            }
        }
    }
}

/// Deletes a topic; if there is no answer, it may be there or not.
pub fn delete(client: &Client, topic: &TopicBook) {
    topic.set_state(State::Deleting);
    if client.admin().delete_topic(&topic.name).is_ok() {
        topic.set_state(State::Deleted);
    }
}

/// Whether a crash explains the error.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Timeout { .. })
        || error.is_connection()
        || error.code().is_some_and(|c| c.is_retriable())
}
