//! The task that sends a producer's batches and takes their answers.

mod expiry;
mod recovery;
mod trouble;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use bytes::Bytes;
use ringmail_wire::protocol::ErrorCode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use self::recovery::Recovered;
use super::config::{DeliveredBatch, ProducerConfig};
use super::lane::{Batch, Lane, Next, Policy};
use super::state::Shared;
use crate::client::Topic;
use crate::client::link::{Command, Link, Outcome, ProduceReply};
use crate::core::accumulator::Sealed;
use crate::{Client, Error};

/// The sending task's state.
pub(super) struct Sender {
    shared: Arc<Shared>,
    client: Client,
    config: ProducerConfig,
    topic: Arc<Topic>,
    partitions: Vec<Partition>,
    routes: HashMap<u64, Route, RandomState>,
    shards: HashMap<u16, Shard, RandomState>,
    next_id: u64,
    outcomes: UnboundedReceiver<(u64, Outcome)>,
    outcome_sender: UnboundedSender<(u64, Outcome)>,
    /// Partitions whose batches are to be sent again; they are held until then.
    resend: BTreeSet<u32>,
    /// Whether the topic may not be what it was: a partition was not where it should be, or the broker was
    /// lost.
    stale: bool,
    /// When the topic was last asked for.
    refreshed: Instant,
    /// Recoveries in a row after which something still did not go.
    failures: u32,
    recovery: JoinSet<Recovered>,
    /// When to look for batches that have taken too long; `None` if that is never.
    next_expiry: Option<Instant>,
}

/// What goes to one partition.
#[derive(Debug, Default)]
struct Partition {
    lane: Lane,
    /// Whether new batches must wait for what becomes of earlier ones.
    held: bool,
    /// Whether it stands in a shard's queue of waiting partitions.
    waiting: bool,
}

/// Which way a batch went.
#[derive(Debug, Clone, Copy)]
struct Route {
    partition: u32,
    shard: u16,
    bytes: usize,
    /// When the batch was opened.
    opened: Instant,
}

/// What goes to one shard.
#[derive(Debug, Default)]
struct Shard {
    link: Option<Link>,
    in_flight_bytes: usize,
    /// Parked partitions that wait for the connection, or for room on it.
    waiting: VecDeque<u32>,
    /// Why there is no connection, if it was tried to make one.
    failure: Option<Error>,
}

impl Shard {
    fn link(&self) -> Option<&Link> {
        self.link.as_ref().filter(|link| link.is_open())
    }
}

impl Drop for Sender {
    /// However the task ends, with the runtime for example, nobody is left waiting.
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Why a partition cannot be sent to now.
enum Obstacle {
    /// Its earlier batches come first.
    Earlier,
    /// The connection is missing or full.
    Connection(u16),
    /// The topic has no such partition any more.
    Gone,
}

impl Sender {
    pub fn new(shared: Arc<Shared>, client: Client, topic: Arc<Topic>, config: ProducerConfig) -> Self {
        let (outcome_sender, outcomes) = unbounded_channel();
        let mut partitions = Vec::new();
        partitions.resize_with(topic.partitions.len(), Partition::default);
        let next_expiry = Instant::now().checked_add(config.delivery_timeout);
        Self {
            shared,
            client,
            config,
            topic,
            partitions,
            routes: HashMap::default(),
            shards: HashMap::default(),
            next_id: 0,
            outcomes,
            outcome_sender,
            resend: BTreeSet::new(),
            stale: false,
            refreshed: Instant::now(),
            failures: 0,
            recovery: JoinSet::new(),
            next_expiry,
        }
    }

    /// Sends until the last handle is gone and everything is settled.
    pub async fn run(mut self) {
        loop {
            let Some(next_look) = self.pump() else { return };
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some((id, outcome)) = self.outcomes.recv() => self.take_outcomes(id, outcome),
                Some(recovered) = self.recovery.join_next() => self.recovered(recovered.ok()),
                () = sleep_until(next_look.into()) => {}
            }
        }
    }

    /// When the topic is to be asked for again.
    fn refresh_due(&self) -> Instant {
        self.refreshed + self.client.config().metadata_max_age
    }

    /// Sends all that can be sent. Returns when to look again if nothing happens, or `None` if there will
    /// never be anything to do again.
    fn pump(&mut self) -> Option<Instant> {
        self.expire();
        self.wake_waiting();
        let shared = self.shared.clone();
        loop {
            let mut state = shared.lock();
            let at_once = self.routes.is_empty() || state.closing;
            state.accumulator.seal_due((!at_once).then(Instant::now));
            let Some(partition) = state.accumulator.next_ready() else {
                state.idle = self.routes.is_empty();
                let due = state.accumulator.next_due();
                state.timer_set = due.is_some();
                // A batch that was reported without an answer still has a request that needs an end.
                let done = state.closing && state.accumulator.buffered_bytes() == 0 && self.routes.is_empty();
                drop(state);
                self.recover_if_needed();
                let next_look = [due, self.next_expiry].into_iter().flatten().min();
                let refresh = self.refresh_due();
                return (!done).then(|| next_look.map_or(refresh, |next| next.min(refresh)));
            };
            match self.obstacle(partition) {
                None => {
                    let sealed = state.accumulator.take(partition);
                    drop(state);
                    if let Some(sealed) = sealed {
                        self.send_new(partition, sealed);
                    }
                }
                Some(Obstacle::Gone) => {
                    let sealed = state.accumulator.take(partition);
                    drop(state);
                    let error = Error::UnknownPartition { topic: self.topic.name.to_string(), partition };
                    sealed.into_iter().for_each(|sealed| self.fail(partition, sealed, &error));
                }
                Some(Obstacle::Earlier) => state.accumulator.park(partition),
                Some(Obstacle::Connection(shard)) => {
                    state.accumulator.park(partition);
                    drop(state);
                    self.wait_for(shard, partition);
                }
            }
        }
    }

    fn obstacle(&self, partition: u32) -> Option<Obstacle> {
        if self.partitions[partition as usize].held {
            return Some(Obstacle::Earlier);
        }
        let Some(owner) = self.topic.partitions.get(partition as usize) else { return Some(Obstacle::Gone) };
        let free = self.shards.get(&owner.shard).is_some_and(|shard| {
            shard.link().is_some() && shard.in_flight_bytes < self.config.max_in_flight_bytes
        });
        (!free).then_some(Obstacle::Connection(owner.shard))
    }

    fn wait_for(&mut self, shard: u16, partition: u32) {
        let waiting = &mut self.partitions[partition as usize].waiting;
        if !std::mem::replace(waiting, true) {
            self.shards.entry(shard).or_default().waiting.push_back(partition);
        }
    }

    /// Gives partitions a turn that waited for room on connections that have some now.
    fn wake_waiting(&mut self) {
        let mut state = None;
        for shard in self.shards.values_mut() {
            if shard.link().is_none() {
                continue;
            }
            // Each may send one batch before the next look at the room.
            let mut room = self.config.max_in_flight_bytes.saturating_sub(shard.in_flight_bytes);
            while room > 0
                && let Some(partition) = shard.waiting.pop_front()
            {
                self.partitions[partition as usize].waiting = false;
                let state = state.get_or_insert_with(|| self.shared.lock());
                state.accumulator.unpark(partition);
                room = room.saturating_sub(self.config.batch_bytes);
            }
        }
    }

    // ---- Sending ----

    fn send_new(&mut self, partition: u32, mut sealed: Sealed) {
        let records = sealed.builder.record_count();
        let mut bytes = Vec::with_capacity(sealed.bytes);
        sealed.builder.finish_into(&mut bytes);
        let batch = Batch {
            bytes: Bytes::from(bytes),
            first_sequence: sealed.first_sequence,
            records,
            opened: sealed.opened,
            buffered: sealed.bytes,
        };
        self.shared.lock().accumulator.recycle(sealed);
        let id = self.transmit(partition, &batch);
        self.partitions[partition as usize].lane.push(id, batch);
    }

    /// Ends a batch that was never sent, after those before it.
    fn fail(&mut self, partition: u32, sealed: Sealed, error: &Error) {
        let batch = Batch {
            bytes: Bytes::new(),
            first_sequence: sealed.first_sequence,
            records: sealed.builder.record_count(),
            opened: sealed.opened,
            buffered: sealed.bytes,
        };
        self.shared.lock().accumulator.recycle(sealed);
        let id = self.next_id();
        let lane = &mut self.partitions[partition as usize].lane;
        lane.push_failed(id, batch, error.clone());
        self.settle(partition);
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Sends a batch to the owner of its partition, whose connection is there, and returns its id.
    fn transmit(&mut self, partition: u32, batch: &Batch) -> u64 {
        let id = self.next_id();
        let owner = self.topic.partitions[partition as usize];
        let bytes = batch.bytes.len();
        let shard = self.shards.entry(owner.shard).or_default();
        shard.in_flight_bytes += bytes;
        self.routes.insert(id, Route { partition, shard: owner.shard, bytes, opened: batch.opened });
        let reply = ProduceReply { batch: id, to: self.outcome_sender.clone() };
        let command =
            Command::Produce { log: owner.log, acks: self.config.acks, batch: batch.bytes.clone(), reply };
        match &shard.link {
            Some(link) => link.send(command),
            None => command.fail(Error::Closed),
        }
        id
    }

    // ---- Answers ----

    fn take_outcomes(&mut self, id: u64, outcome: Outcome) {
        let mut touched = Vec::new();
        self.take_outcome(id, outcome, &mut touched);
        while let Ok((id, outcome)) = self.outcomes.try_recv() {
            self.take_outcome(id, outcome, &mut touched);
        }
        touched.sort_unstable();
        touched.dedup();
        touched.into_iter().for_each(|partition| self.settle(partition));
    }

    fn take_outcome(&mut self, id: u64, outcome: Outcome, touched: &mut Vec<u32>) {
        let Some(route) = self.routes.remove(&id) else { return };
        if let Some(shard) = self.shards.get_mut(&route.shard) {
            shard.in_flight_bytes -= route.bytes;
        }
        match &outcome {
            Outcome::Stored(_) | Outcome::Sent => self.failures = 0,
            Outcome::Refused(error) => self.stale |= error.code == ErrorCode::UnknownPartition,
            Outcome::NotSent(_) | Outcome::Unknown(_) => self.stale = true,
        }
        self.partitions[route.partition as usize].lane.answer(id, outcome);
        touched.push(route.partition);
    }

    /// Settles what is certain about a partition, and sees to what comes next.
    fn settle(&mut self, partition: u32) {
        let policy = Policy { retry_unknown: self.config.retry_unknown, reorder: self.config.reorder };
        let timeout = self.config.delivery_timeout;
        let mut ends = Vec::new();
        let state = &mut self.partitions[partition as usize];
        let next = state.lane.settle(policy, timeout, |batch, result| ends.push((batch, result)));
        let was_held = std::mem::replace(&mut state.held, next != Next::Go);
        self.tell(partition, ends);
        if next == Next::Resend {
            self.resend.insert(partition);
        } else {
            self.resend.remove(&partition);
        }
        if was_held && next == Next::Go {
            self.shared.lock().accumulator.unpark(partition);
        }
    }

    /// Tells of the ends of batches, and gives their room back.
    fn tell(&self, partition: u32, ends: Vec<(Batch, Result<u64, Error>)>) {
        if ends.is_empty() {
            return;
        }
        if let Some(on_delivery) = &self.config.on_delivery {
            for (batch, result) in &ends {
                let (first_sequence, records) = (batch.first_sequence, batch.records);
                let result = result.clone();
                on_delivery.call(&DeliveredBatch { partition, first_sequence, records, result });
            }
        }
        let mut state = self.shared.lock();
        for (batch, result) in ends {
            state.accumulator.release(batch.buffered);
            state.deliveries.settle(partition, batch.first_sequence, batch.records, result);
        }
        drop(state);
        self.shared.settled.notify_waiters();
    }
}
