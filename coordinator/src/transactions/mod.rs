//! The coordinator of the transactions in one partition of `__transaction_state`.
//!
//! For each transactional id one record says which producer has it, how far its transaction is, and what it has written to.
//! A transaction ends in two steps. Its outcome is stored, and with that it is certain; the client is answered. Then each of
//! its partitions gets a marker, and when all have one it is stored that the transaction is over. Until then nothing else can
//! be done with the transactional id: CONCURRENT_TRANSACTIONS.
//!
//! Of all producers that ever had a transactional id, one at most is not fenced: each is told an epoch higher than the one
//! before, and every end that the producer did not ask for, because another one began or its time was over, raises the epoch
//! too. Clients of transaction version 2 (KIP-890) get a new epoch at every end.
//!
//! In a [`Transaction`] is what is stored; it changes by [`Machine::replay`] alone. What else is known of a transactional id
//! is made anew after a restart.

mod adding;
mod answer;
mod ending;
mod init;
mod listing;
pub mod record;
mod state;
mod time;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Request;

use crate::machine::{Call, CallId, Effects, Machine, Now, Producer, Replayed, Topics, Write, WriteError};
use adding::{Adder, Gathered, Parked};
use answer::{Asker, refusal};
use ending::Unmarked;
use init::Wanted;
pub use state::{Partitions, State, Transaction};

/// The topic of groups and their offsets.
pub const GROUPS_TOPIC: &str = "__consumer_offsets";
/// The topic of transactions.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// The most transactional ids of a partition. A new one past that gets POLICY_VIOLATION.
pub const MAX_TRANSACTIONAL_IDS: usize = 100_000;
/// Bytes of the longest transactional id.
pub const MAX_TRANSACTIONAL_ID_BYTES: usize = 4096;
/// The most partitions of a transaction: its record names all of them. More get POLICY_VIOLATION.
pub const MAX_PARTITIONS: usize = 100_000;
/// The most requests of brokers that wait for a transaction to be completed. More get CONCURRENT_TRANSACTIONS.
pub const MAX_PARKED: usize = 1024;
/// The most transactions, topics and partitions together of such a request. A larger one does not wait.
pub const MAX_PARKED_ITEMS: usize = 1024;
/// For how many milliseconds they do.
pub const PARK_MS: u64 = 1000;
/// After how many milliseconds something is tried again that could not be stored.
pub const RETRY_MS: u64 = 1000;
/// Milliseconds between two looks for transactional ids that are not used any more.
pub const EXPIRY_CHECK_MS: u64 = 60 * 60 * 1000;
/// How many of them are forgotten at once.
pub const EXPIRY_RECORDS: usize = 1000;
/// Bytes of keys and values after which a snapshot begins another write.
const SNAPSHOT_WRITE_BYTES: usize = 256 << 10;

/// What can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for, in milliseconds.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: after how many milliseconds an unused transactional id is forgotten.
    pub id_expiration_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_timeout_ms: 15 * 60 * 1000, id_expiration_ms: 7 * 24 * 60 * 60 * 1000 }
    }
}

/// A transactional id.
#[derive(Debug, Default)]
struct Entry {
    /// `None` until its first record is stored.
    stored: Option<Transaction>,
    /// Whether a write is under way, or a producer id asked for.
    busy: bool,
    /// When it is in [`Transactions::due`].
    due_ms: Option<u64>,
}

impl Entry {
    /// What is stored, if something may be done with it now.
    fn open(&self) -> Option<&Transaction> {
        self.stored.as_ref().filter(|stored| !self.busy && !stored.state.is_prepared())
    }
}

/// Something that the host was asked to do.
#[derive(Debug)]
enum Operation {
    /// A record of a transactional id.
    Write { id: Arc<str>, then: Then },
    /// Tombstones.
    Expiry(Vec<Arc<str>>),
    /// A producer id.
    ProducerId { id: Arc<str>, wanted: Wanted },
}

/// What follows once a record is stored.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The producer is told its epoch.
    Initialized(Asker),
    /// The transaction is aborted, for a producer that begins anew, or as its time is over.
    Fenced(Option<Asker>),
    /// The partitions may be written to.
    Added(Adder),
    /// The outcome is certain, and the producer told.
    Ended(Asker),
    /// The transaction is over.
    Completed,
}

/// The transactions in one partition of `__transaction_state`.
#[derive(Debug)]
pub struct Transactions {
    settings: Settings,
    /// How often the partition was loaded.
    epoch: i32,
    ids: BTreeMap<Arc<str>, Entry>,
    /// When something is to be done about which transactional id.
    due: BTreeSet<(u64, Arc<str>)>,
    next_expiry_ms: u64,
    last_tag: u64,
    operations: HashMap<u64, Operation>,
    unmarked: HashMap<u64, Unmarked>,
    gathered: HashMap<CallId, Gathered>,
    /// In the order of their deadlines.
    parked: VecDeque<Parked>,
}

impl Transactions {
    /// A coordinator that knows of nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            epoch: 0,
            ids: BTreeMap::new(),
            due: BTreeSet::new(),
            next_expiry_ms: 0,
            last_tag: 0,
            operations: HashMap::new(),
            unmarked: HashMap::new(),
            gathered: HashMap::new(),
            parked: VecDeque::new(),
        }
    }

    /// What is stored, in the order of the transactional ids.
    pub fn stored(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.ids.iter().filter_map(|(id, entry)| Some((&**id, entry.stored.as_ref()?)))
    }

    /// Numbers for what the host is asked to do; 0 is none.
    fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// One that is there: nothing removes those that something is done with.
    fn entry(&mut self, id: &str) -> &mut Entry {
        self.ids.get_mut(id).expect("a transactional id stays while something is done with it")
    }

    /// Stores the next state of a transaction.
    fn write(&mut self, id: &Arc<str>, next: &Transaction, then: Then, effects: &mut Effects) {
        let tag = self.next_tag();
        let entry = self.entry(id);
        assert!(!entry.busy, "one thing at a time is done with a transactional id");
        entry.busy = true;
        effects.writes.push(Write { tag, records: vec![record::record(id, Some(next))], producer: None });
        self.operations.insert(tag, Operation::Write { id: Arc::clone(id), then });
    }

    /// A record is stored, or was refused.
    fn stored_record(
        &mut self,
        id: &Arc<str>,
        then: Then,
        result: Result<(), WriteError>,
        now: Now,
        effects: &mut Effects,
    ) {
        let entry = self.entry(id);
        entry.busy = false;
        let timeout_is_running = entry.due_ms.is_some();
        let result = match (result, &entry.stored) {
            (Ok(()), Some(stored)) => Ok((stored.producer, stored.producer_after(), stored.timeout_ms)),
            (Ok(()), None) => unreachable!("what was written is replayed before the machine hears of it"),
            (Err(error), _) => Err(refusal(error)),
        };
        match (then, result) {
            (Then::Initialized(asker), result) => {
                asker.init_producer_id(result.map(|(producer, ..)| producer), effects);
            }
            (Then::Fenced(asker), result) => self.fenced(id, asker, result.err(), now, effects),
            (Then::Added(adder), Ok((.., timeout_ms))) => {
                if !timeout_is_running {
                    self.arm(id, now.clock_ms + u64::from(timeout_ms.unsigned_abs()));
                }
                self.added(adder, Ok(()), effects);
            }
            (Then::Added(adder), Err(code)) => self.added(adder, Err(code), effects),
            (Then::Ended(asker), Ok((_, after, _))) => {
                asker.end_txn(Ok(after), effects);
                self.spread(id, now, effects);
            }
            (Then::Ended(asker), Err(code)) => asker.end_txn(Err(code), effects),
            (Then::Completed, Ok(_)) => {}
            (Then::Completed, Err(_)) => self.arm(id, now.clock_ms + RETRY_MS),
        }
        self.release(id, now, effects);
    }

    /// An open transaction was aborted, or that was refused.
    fn fenced(
        &mut self,
        id: &Arc<str>,
        asker: Option<Asker>,
        error: Option<ErrorCode>,
        now: Now,
        effects: &mut Effects,
    ) {
        if let Some(asker) = asker {
            // The producer comes again until the transaction is completed, and then gets an epoch of its own.
            asker.init_producer_id(Err(error.unwrap_or(ErrorCode::ConcurrentTransactions)), effects);
        }
        match (error, asker) {
            (None, _) => self.spread(id, now, effects),
            (Some(_), None) => self.arm(id, now.clock_ms + RETRY_MS),
            // The timeout is still running.
            (Some(_), Some(_)) => {}
        }
    }

    /// Nothing is under way any more for a transactional id: forgets it if it never came to be stored, and lets those go on
    /// that waited.
    fn release(&mut self, id: &Arc<str>, now: Now, effects: &mut Effects) {
        let entry = self.entry(id);
        if entry.stored.is_none() && !entry.busy {
            self.disarm(id);
            self.ids.remove(id);
        }
        self.unpark(id, now, effects);
    }
}

impl Machine for Transactions {
    fn replay(&mut self, replayed: Replayed<'_>) {
        let id = match record::decode_key(replayed.key) {
            Ok(id) => id,
            Err(error) => return passed_over(&replayed, &error),
        };
        match replayed.value.map(record::decode_value) {
            Some(Ok(transaction)) => match self.ids.get_mut(id) {
                Some(entry) => entry.stored = Some(transaction),
                None => {
                    let entry = Entry { stored: Some(transaction), ..Entry::default() };
                    self.ids.insert(id.into(), entry);
                }
            },
            Some(Err(error)) => passed_over(&replayed, &error),
            None => {
                let Some(entry) = self.ids.get_mut(id) else { return };
                entry.stored = None;
                if !entry.busy {
                    self.ids.remove(id);
                }
            }
        }
    }

    /// There are none: no record of this log is part of a transaction.
    fn replay_marker(&mut self, _producer: Producer, _commit: bool, _now: Now, _effects: &mut Effects) {}

    fn loaded(&mut self, epoch: i32, now: Now, effects: &mut Effects) {
        self.epoch = epoch;
        self.next_expiry_ms = now.clock_ms + EXPIRY_CHECK_MS;
        let under_way: Vec<(Arc<str>, State)> = self
            .ids
            .iter()
            .filter_map(|(id, entry)| Some((Arc::clone(id), entry.stored.as_ref()?.state)))
            .filter(|(_, state)| !state.is_idle())
            .collect();
        for (id, state) in under_way {
            match state {
                State::Ongoing => self.resume_timeout(&id, now),
                _ => self.spread(&id, now, effects),
            }
        }
    }

    /// # Panics
    /// If the request is none of a transactional id.
    fn request(&mut self, call: Call<'_>, topics: &dyn Topics, now: Now, effects: &mut Effects) {
        let asker = Asker { call: call.id, version: call.version };
        match call.request {
            Request::InitProducerId(request) => self.init_producer_id(asker, &request, now, effects),
            Request::AddPartitionsToTxn(request) => self.add_partitions(asker, request, topics, now, effects),
            Request::AddOffsetsToTxn(request) => self.add_offsets(asker, &request, topics, now, effects),
            Request::EndTxn(request) => self.end_txn(asker, &request, now, effects),
            Request::DescribeTransactions(request) => self.describe(asker, &request, effects),
            Request::ListTransactions(request) => self.list(asker, &request, now, effects),
            other => panic!("{:?} is no request to a coordinator of transactions", other.api()),
        }
    }

    fn written(
        &mut self,
        tag: u64,
        result: Result<(), WriteError>,
        _topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        match self.operations.remove(&tag) {
            Some(Operation::Write { id, then }) => self.stored_record(&id, then, result, now, effects),
            Some(Operation::Expiry(ids)) => {
                for id in ids {
                    self.entry(&id).busy = false;
                    self.release(&id, now, effects);
                }
            }
            Some(Operation::ProducerId { .. }) => unreachable!("a producer id is not written here"),
            None => {}
        }
    }

    fn producer_id(
        &mut self,
        tag: u64,
        producer_id: Result<i64, WriteError>,
        _topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        match self.operations.remove(&tag) {
            Some(Operation::ProducerId { id, wanted }) => {
                self.have_producer_id(&id, wanted, producer_id, now, effects);
            }
            other => unreachable!("no producer id was asked for by {tag}, but {other:?}"),
        }
    }

    fn marked(&mut self, tag: u64, topic: &str, partition: i32, now: Now, effects: &mut Effects) {
        self.have_marker(tag, topic, partition, now, effects);
    }

    /// Answers are given all the same: what was asked may be done, and others may wait for it.
    fn forget(&mut self, _call: CallId) {}

    /// Nothing is to be done: the host says that partitions of it have their marker.
    fn topic_deleted(&mut self, _name: &str, _id: Uuid, _now: Now, _effects: &mut Effects) {}

    fn tick(&mut self, _topics: &dyn Topics, now: Now, effects: &mut Effects) {
        self.expire_parked(now, effects);
        self.do_due(now, effects);
        self.expire_ids(now, effects);
    }

    fn next_deadline(&self) -> Option<u64> {
        Some(self.deadline())
    }

    /// Always possible: no record of this log is part of a transaction.
    fn snapshot(&self) -> Option<Vec<Write>> {
        let mut writes: Vec<Write> = Vec::new();
        let mut room = 0;
        for (id, transaction) in self.stored() {
            let record = record::record(id, Some(transaction));
            let bytes = record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            if bytes > room {
                writes.push(Write { tag: 0, records: Vec::new(), producer: None });
                room = SNAPSHOT_WRITE_BYTES;
            }
            room = room.saturating_sub(bytes);
            writes.last_mut().expect("there is one for it").records.push(record);
        }
        Some(writes)
    }
}

fn passed_over(replayed: &Replayed<'_>, error: &record::RecordError) {
    tracing::warn!(offset = replayed.offset, %error, "a record of {TRANSACTIONS_TOPIC} is passed over");
}
