//! The host of the coordinators: what of groups and transactions lives on this shard, over the logs of its internal topics.
//!
//! Each partition of `__consumer_offsets` and `__transaction_state` that this shard owns has a state machine of
//! [`ringmail_coordinator`] ([`hosted`]), which is given all that its log holds before it serves. Whoever wants something of one
//! asks [`Logs::coordinate`], from any shard; answers come back as outcomes. Nothing here waits.

mod batch;
mod hosted;
mod marking;
mod producer_ids;
pub mod question;
mod refusal;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;

use ahash::RandomState;
use ringmail_coordinator::groups::{self, Groups};
use ringmail_coordinator::machine::{Call, CallId, Now, WriteError};
use ringmail_coordinator::transactions::{self, Transactions};
use ringmail_kafka::batch::Marker;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_shards::api::AppendError;
use ringmail_wire::protocol::LogId;

use self::hosted::Hosted;
use self::marking::{Marked, Marking};
use self::producer_ids::{ProducerIds, Wanting};
pub use self::question::{CoordinatorQuestion, Errand};
pub use self::refusal::refused;
use crate::node::catalog::{CatalogError, OFFSETS, TRANSACTIONS};
use crate::node::logs::{Caller, Logs};
use crate::node::message::Outcome;
use crate::node::slab::{Key, Slab};

/// What of the host waits for an operation on a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// A machine's write: `number` of its log.
    Stored {
        /// The machine's log.
        log: LogId,
        /// Which, counting up.
        number: u64,
    },
    /// The reading of a machine's log at the start.
    Load(LogId),
    /// What came before a snapshot is being let go.
    Trimmed(LogId),
    /// A marker of a transaction.
    Marker(Key),
    /// A block of producer ids.
    ProducerIds,
}

/// A request that is not answered.
#[derive(Debug)]
struct Asker {
    caller: Caller,
    question: CoordinatorQuestion,
}

/// What machines are told of the broker's configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoordinatorSettings {
    /// For groups.
    pub groups: groups::Settings,
    /// For transactions.
    pub transactions: transactions::Settings,
}

/// The coordinators of one shard.
#[derive(Debug)]
pub struct Coordinators {
    settings: CoordinatorSettings,
    hosted: BTreeMap<LogId, Hosted>,
    shared: Shared,
    /// The version of the catalog that `hosted` agrees with.
    catalog_version: u64,
    /// Gives out bits that nobody can guess.
    random: RandomState,
    draining: bool,
}

/// What the machines of a shard share.
#[derive(Debug)]
struct Shared {
    calls: Slab<Asker>,
    /// Calls so far.
    called: u64,
    marking: Marking,
    producer_ids: ProducerIds,
    now: Now,
}

impl Shared {
    fn answer(&mut self, call: CallId, response: Response<'static>, logs: &mut Logs) {
        if let Some(asker) = self.calls.remove(Key::from_u64(call.0)) {
            logs.coordinated(asker.caller, response);
        }
    }

    fn refuse(&mut self, call: CallId, code: ErrorCode, logs: &mut Logs) {
        if let Some(asker) = self.calls.remove(Key::from_u64(call.0)) {
            logs.coordinated(asker.caller, refused(&asker.question, code));
        }
    }
}

impl Coordinators {
    /// No coordinators yet: they come with the catalog. What is given out at random follows from `seed`, which nobody knows.
    pub fn new(settings: CoordinatorSettings, seed: u64) -> Self {
        let shared = Shared {
            calls: Slab::default(),
            called: 0,
            marking: Marking::default(),
            producer_ids: ProducerIds::default(),
            now: Now { clock_ms: 0, wall_ms: 0 },
        };
        Self {
            settings,
            hosted: BTreeMap::new(),
            shared,
            catalog_version: 0,
            random: RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0),
            draining: false,
        }
    }

    /// Notes the time: milliseconds of the monotonic clock, and since the Unix epoch.
    pub fn set_now(&mut self, clock_ms: u64, wall_ms: u64) {
        self.shared.now = Now { clock_ms, wall_ms: wall_ms as i64 };
    }

    /// Requests that are not answered, and markers that are not known to be written.
    pub fn usage(&self) -> (usize, usize) {
        (self.shared.calls.len(), self.shared.marking.len())
    }

    /// When something is due, in milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.hosted.values().filter_map(Hosted::next_deadline).min()
    }

    /// Takes what was asked, reads logs, sends markers. To be called in every round of a turn; gives whether it did something.
    pub fn go_on(&mut self, logs: &mut Logs) -> bool {
        let mut any = self.follow_catalog(logs);
        while let Some((caller, errand)) = logs.next_errand() {
            any = true;
            match errand {
                Errand::Ask(question) => self.ask(caller, question, logs),
                Errand::Mark { log, marker } => self.mark(caller, log, marker, logs),
                Errand::ProducerId => self.shared.producer_ids.want(Wanting::Caller(caller), logs),
            }
        }
        for hosted in self.hosted.values_mut().filter(|hosted| hosted.is_loading()) {
            any = true;
            hosted.load(&mut self.shared, logs);
        }
        for marked in self.shared.marking.send(logs) {
            any = true;
            self.marked(marked, logs);
        }
        while let Some((wanting, id)) = self.shared.producer_ids.next() {
            any = true;
            self.give_id(wanting, id, logs);
        }
        any
    }

    /// Takes on the partitions of internal topics that are new on this shard.
    fn follow_catalog(&mut self, logs: &mut Logs) -> bool {
        if self.catalog_version == logs.catalog_version() {
            return false;
        }
        self.catalog_version = logs.catalog_version();
        for (name, id) in logs.take_deleted_topics() {
            let id = logs.cluster().topic_uuid(id);
            for hosted in self.hosted.values_mut() {
                hosted.step(&mut self.shared, logs, |machine, _, now, effects| {
                    machine.topic_deleted(&name, id, now, effects);
                });
            }
        }
        let CoordinatorSettings { groups, transactions } = self.settings;
        for log in logs.own_partitions(OFFSETS) {
            let machine = || Hosted::new(log, Box::new(Groups::new(groups)));
            self.hosted.entry(log).or_insert_with(machine);
        }
        for log in logs.own_partitions(TRANSACTIONS) {
            let machine = || Hosted::new(log, Box::new(Transactions::new(transactions)));
            self.hosted.entry(log).or_insert_with(machine);
        }
        true
    }

    fn ask(&mut self, caller: Caller, question: CoordinatorQuestion, logs: &mut Logs) {
        let hosted = self.hosted.get_mut(&question.log).filter(|_| !self.draining);
        let missing =
            if self.draining { ErrorCode::CoordinatorNotAvailable } else { ErrorCode::NotCoordinator };
        let unavailable = hosted.as_ref().map_or(Some(missing), |hosted| hosted.unavailable());
        let (Some(hosted), None) = (hosted, unavailable) else {
            let code = unavailable.unwrap_or(ErrorCode::CoordinatorNotAvailable);
            return logs.coordinated(caller, refused(&question, code));
        };
        self.shared.called += 1;
        let random = random_bits(&self.random, self.shared.called);
        // The bytes are shared, so the request can be read while its asker is put aside.
        let asked = question.clone();
        let id = CallId(self.shared.calls.insert(Asker { caller, question }).to_u64());
        let request = asked.request().expect("a question is decoded before it is asked");
        let call = Call {
            id,
            version: asked.version,
            client_id: &asked.client_id,
            client_host: &asked.client_host,
            random,
            request,
        };
        hosted.request(call, &mut self.shared, logs);
    }

    fn mark(&mut self, caller: Caller, log: LogId, marker: Marker, logs: &mut Logs) {
        let begun = match self.hosted.get_mut(&log) {
            Some(hosted) => hosted.mark(marker, caller, &mut self.shared, logs),
            None => Err(AppendError::Closed),
        };
        if let Err(error) = begun {
            logs.marked(caller, Err(error));
        }
    }

    fn marked(&mut self, marked: Marked, logs: &mut Logs) {
        let Marked { machine, tag, topic, partition } = marked;
        if let Some(hosted) = self.hosted.get_mut(&machine) {
            hosted.step(&mut self.shared, logs, |machine, _, now, effects| {
                machine.marked(tag, &topic, partition, now, effects);
            });
        }
    }

    fn give_id(&mut self, wanting: Wanting, id: Result<i64, CatalogError>, logs: &mut Logs) {
        match wanting {
            Wanting::Caller(caller) => logs.gave_producer_id(caller, id),
            Wanting::Machine { log, tag } => {
                if let Some(hosted) = self.hosted.get_mut(&log) {
                    let id = id.map_err(|_| WriteError::Unavailable);
                    hosted.step(&mut self.shared, logs, |machine, topics, now, effects| {
                        machine.producer_id(tag, id, topics, now, effects);
                    });
                }
            }
        }
    }

    /// An operation on a log, or of the catalog, has ended.
    pub fn outcome(&mut self, waiter: Waiter, outcome: Outcome, logs: &mut Logs) {
        let shared = &mut self.shared;
        match (waiter, outcome) {
            (Waiter::Stored { log, number }, Outcome::Appended(result)) => {
                if let Some(hosted) = self.hosted.get_mut(&log) {
                    hosted.stored(number, result.map(|_| ()), shared, logs);
                }
            }
            (Waiter::Load(log), Outcome::Read(result)) => {
                if let Some(hosted) = self.hosted.get_mut(&log) {
                    hosted.read(result, shared, logs);
                }
            }
            (Waiter::Trimmed(log), Outcome::Appended(_)) => {
                if let Some(hosted) = self.hosted.get_mut(&log) {
                    hosted.trimmed();
                }
            }
            (Waiter::Marker(key), Outcome::Appended(result)) => {
                if let Some(marked) = shared.marking.written(key, result.map(|_| ())) {
                    self.marked(marked, logs);
                }
            }
            (Waiter::ProducerIds, Outcome::Changed(result)) => shared.producer_ids.allocated(result, logs),
            (waiter, outcome) => debug_assert!(false, "{waiter:?} does not wait for {outcome:?}"),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, logs: &mut Logs) {
        self.shared.marking.tick();
        let now_ms = self.shared.now.clock_ms;
        for hosted in self.hosted.values_mut() {
            if hosted.next_deadline().is_some_and(|due| due <= now_ms) {
                hosted.step(&mut self.shared, logs, |machine, topics, now, effects| {
                    machine.tick(topics, now, effects);
                });
            }
        }
    }

    /// The broker is going down: whoever waits is sent away, and finds its coordinator after the next start.
    pub fn drain(&mut self, logs: &mut Logs) {
        self.draining = true;
        let calls: Vec<Key> = self.shared.calls.keys().collect();
        for key in calls {
            self.shared.refuse(CallId(key.to_u64()), ErrorCode::CoordinatorNotAvailable, logs);
        }
    }
}

fn random_bits(random: &RandomState, number: u64) -> Uuid {
    let halves = [random.hash_one((number, 0_u8)), random.hash_one((number, 1_u8))];
    let mut bits = [0; 16];
    for (place, half) in bits.chunks_exact_mut(8).zip(halves) {
        place.copy_from_slice(&half.to_be_bytes());
    }
    Uuid(bits)
}
