//! AddPartitionsToTxn and AddOffsetsToTxn: what a transaction writes to, stored before anything is written there.
//!
//! Until version 3 clients send them. From version 4 on they come from whoever has a partition that a producer writes to: it
//! adds the partition in the producer's name (KIP-890), or only asks whether it was added. These wait for a short time if the
//! transaction before is still being completed, as its end was answered already and the producer cannot know that it is not
//! over; a client is told to come again.

use std::sync::Arc;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::offsets::PartitionResult;
use ringmail_kafka::messages::transactions::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTransaction, TxnTopic, TxnTopicResult,
};

use super::answer::Asker;
use super::state::{Partitions, State};
use super::{
    GROUPS_TOPIC, MAX_PARKED, MAX_PARKED_ITEMS, MAX_PARTITIONS, PARK_MS, TRANSACTIONS_TOPIC, Then,
    Transactions,
};
use crate::machine::{CallId, Effects, Now, Producer, Topics};
use crate::partition_for;

/// The first version of AddPartitionsToTxn that brokers send, for several transactions at once.
const FIRST_OF_BROKERS: i16 = 4;
/// The first version that knows TRANSACTION_ABORTABLE.
const KNOWS_ABORTABLE: i16 = 5;

/// Who added partitions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Adder {
    /// By AddOffsetsToTxn.
    Offsets(Asker),
    /// By AddPartitionsToTxn; the number is that of the transaction in the request.
    Partitions(CallId, usize),
}

/// An answer that is gathered from those to several transactions.
#[derive(Debug)]
pub(super) struct Gathered {
    asker: Asker,
    left: usize,
    results: Vec<AddPartitionsToTxnResult<'static>>,
}

/// Partitions that wait for the transaction before to be completed.
#[derive(Debug)]
pub(super) struct Parked {
    id: Arc<str>,
    asked: Asked,
    adder: Adder,
    until_ms: u64,
}

/// Partitions that are to be added.
#[derive(Debug, Clone)]
struct Asked {
    producer: Producer,
    partitions: Partitions,
}

/// What became of them.
enum Added {
    /// The transaction has them already.
    Already,
    /// They are being stored.
    Writing,
}

impl Transactions {
    pub(super) fn add_partitions(
        &mut self,
        asker: Asker,
        mut request: AddPartitionsToTxnRequest<'_>,
        topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        if asker.version < FIRST_OF_BROKERS {
            request.transactions = vec![AddPartitionsToTxnTransaction {
                transactional_id: request.transactional_id,
                producer_id: request.producer_id,
                producer_epoch: request.producer_epoch,
                verify_only: false,
                topics: request.topics,
            }];
        }
        let results = request.transactions.iter().map(untouched).collect::<Vec<_>>();
        let left = results.len();
        self.gathered.insert(asker.call, Gathered { asker, left, results });
        if left == 0 {
            return self.answer_gathered(asker.call, effects);
        }
        for (index, transaction) in request.transactions.iter().enumerate() {
            self.add_to_one(asker, index, transaction, topics, now, effects);
        }
    }

    fn add_to_one(
        &mut self,
        asker: Asker,
        index: usize,
        transaction: &AddPartitionsToTxnTransaction<'_>,
        topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        let adder = Adder::Partitions(asker.call, index);
        let id = &*transaction.transactional_id;
        if id.is_empty() {
            return self.added(adder, Err(ErrorCode::InvalidRequest), effects);
        }
        if let Some(result) = self.refused(asker, index, topics) {
            return self.settle(asker.call, index, |_| result.clone(), effects);
        }
        let producer = Producer { id: transaction.producer_id, epoch: transaction.producer_epoch };
        let asked = Asked { producer, partitions: partitions_of(&transaction.topics) };
        if transaction.verify_only {
            return self.verify(asker, index, id, &asked, effects);
        }
        let wait = asker.version >= FIRST_OF_BROKERS && self.is_small(asker.call);
        self.add_or_answer(id, asked, adder, wait, now, effects);
    }

    /// The result if a partition does not exist, or is one that clients do not write to: then the others are not added either.
    fn refused(&self, asker: Asker, index: usize, topics: &dyn Topics) -> Option<TxnTopicResults> {
        let mut results = self.gathered.get(&asker.call)?.results[index].topic_results.clone();
        let mut refused = false;
        for topic in &mut results {
            let internal = [GROUPS_TOPIC, TRANSACTIONS_TOPIC].contains(&&*topic.name);
            let count = topics.topic(&topic.name).map_or(0, |(_, partitions)| partitions);
            for partition in &mut topic.partitions {
                let code = if asker.version < FIRST_OF_BROKERS && internal {
                    ErrorCode::TopicAuthorizationFailed
                } else if !(0..count).contains(&partition.partition_index) {
                    ErrorCode::UnknownTopicOrPartition
                } else {
                    partition.error_code = ErrorCode::OperationNotAttempted.number();
                    continue;
                };
                partition.error_code = code.number();
                refused = true;
            }
        }
        refused.then_some(results)
    }

    /// Whether a request may wait: one for a batch that a producer sent is small.
    fn is_small(&self, call: CallId) -> bool {
        let Some(gathered) = self.gathered.get(&call) else { return false };
        let topics = || gathered.results.iter().flat_map(|result| &result.topic_results);
        let partitions: usize = topics().map(|topic| topic.partitions.len()).sum();
        gathered.results.len() + topics().count() + partitions <= MAX_PARKED_ITEMS
    }

    fn verify(&mut self, asker: Asker, index: usize, id: &str, asked: &Asked, effects: &mut Effects) {
        let stored = self.ids.get(id).and_then(|entry| entry.stored.as_ref());
        let error = match stored {
            None => Some(ErrorCode::InvalidProducerIdMapping),
            // Who has the next producer id has it before the transaction is completed.
            Some(stored) if stored.state.is_prepared() => Some(ErrorCode::ConcurrentTransactions),
            Some(stored) => check_producer(stored.producer, asked.producer).err(),
        };
        if let Some(error) = error {
            return self.added(Adder::Partitions(asker.call, index), Err(error), effects);
        }
        let there = stored.map(|stored| stored.partitions.clone()).unwrap_or_default();
        let missing = match asker.version {
            KNOWS_ABORTABLE.. => ErrorCode::TransactionAbortable,
            _ => ErrorCode::InvalidTxnState,
        };
        let result = |mut results: TxnTopicResults| {
            for topic in &mut results {
                let there = there.get(&*topic.name);
                for partition in &mut topic.partitions {
                    let is_there = there.is_some_and(|there| there.contains(&partition.partition_index));
                    partition.error_code = if is_there { 0 } else { missing.number() };
                }
            }
            results
        };
        self.settle(asker.call, index, result, effects);
    }

    pub(super) fn add_offsets(
        &mut self,
        asker: Asker,
        request: &AddOffsetsToTxnRequest<'_>,
        topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        let adder = Adder::Offsets(asker);
        let id = &*request.transactional_id;
        if id.is_empty() {
            return self.added(adder, Err(ErrorCode::InvalidRequest), effects);
        }
        // It is created when somebody looks for the group's coordinator, at the latest for the commit.
        let Some((_, count)) = topics.topic(GROUPS_TOPIC) else {
            return self.added(adder, Err(ErrorCode::CoordinatorNotAvailable), effects);
        };
        let partition = partition_for(&request.group_id, count);
        let asked = Asked {
            producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
            partitions: Partitions::from([(GROUPS_TOPIC.to_owned(), [partition].into())]),
        };
        self.add_or_answer(id, asked, adder, false, now, effects);
    }

    /// Adds partitions, or answers why not, or, if `wait` says so, lets them wait for what is under way.
    fn add_or_answer(
        &mut self,
        id: &str,
        asked: Asked,
        adder: Adder,
        wait: bool,
        now: Now,
        effects: &mut Effects,
    ) {
        match self.try_add(id, &asked, adder, now, effects) {
            Ok(Added::Writing) => {}
            Ok(Added::Already) => self.added(adder, Ok(()), effects),
            Err(ErrorCode::ConcurrentTransactions) if wait && self.parked.len() < MAX_PARKED => {
                self.parked.push_back(Parked {
                    id: id.into(),
                    asked,
                    adder,
                    until_ms: now.clock_ms + PARK_MS,
                });
            }
            Err(error) => self.added(adder, Err(error), effects),
        }
    }

    fn try_add(
        &mut self,
        id: &str,
        asked: &Asked,
        adder: Adder,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Added, ErrorCode> {
        let (id, entry) = self.ids.get_key_value(id).ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let stored = entry.open().ok_or(ErrorCode::ConcurrentTransactions)?;
        check_producer(stored.producer, asked.producer)?;
        // A transaction begins with its first partition.
        let nothing_new = stored.state == State::Ongoing && stored.has(&asked.partitions);
        if asked.partitions.is_empty() || nothing_new {
            return Ok(Added::Already);
        }
        if stored.count_with(&asked.partitions) > MAX_PARTITIONS {
            return Err(ErrorCode::PolicyViolation);
        }
        let next = stored.joined(&asked.partitions, now.wall_ms);
        self.write(&Arc::clone(id), &next, Then::Added(adder), effects);
        Ok(Added::Writing)
    }

    /// Answers that partitions were added, or why not.
    pub(super) fn added(&mut self, adder: Adder, result: Result<(), ErrorCode>, effects: &mut Effects) {
        match adder {
            Adder::Offsets(asker) => asker.add_offsets(result, effects),
            Adder::Partitions(call, index) => {
                let Some(gathered) = self.gathered.get(&call) else { return };
                let code = gathered.asker.partition_code(result.err().unwrap_or(ErrorCode::None));
                self.settle(call, index, |results| with_code(results, code), effects);
            }
        }
    }

    fn settle(
        &mut self,
        call: CallId,
        index: usize,
        result: impl FnOnce(TxnTopicResults) -> TxnTopicResults,
        effects: &mut Effects,
    ) {
        let gathered = self.gathered.get_mut(&call).expect("an answer is kept until its last part is there");
        let results = &mut gathered.results[index].topic_results;
        *results = result(std::mem::take(results));
        gathered.left -= 1;
        if gathered.left == 0 {
            self.answer_gathered(call, effects);
        }
    }

    fn answer_gathered(&mut self, call: CallId, effects: &mut Effects) {
        let gathered = self.gathered.remove(&call).expect("it was just added to");
        let mut response = AddPartitionsToTxnResponse::default();
        if gathered.asker.version < FIRST_OF_BROKERS {
            response.results_by_topic =
                gathered.results.into_iter().flat_map(|result| result.topic_results).collect();
        } else {
            response.results_by_transaction = gathered.results;
        }
        effects.answers.push((call, Response::AddPartitionsToTxn(response)));
    }

    /// Lets those go on that waited for what was under way.
    pub(super) fn unpark(&mut self, id: &str, now: Now, effects: &mut Effects) {
        if self.parked.iter().all(|parked| &*parked.id != id) {
            return;
        }
        // In their order, which is that of their deadlines.
        for parked in std::mem::take(&mut self.parked) {
            if &*parked.id != id {
                self.parked.push_back(parked);
                continue;
            }
            match self.try_add(id, &parked.asked, parked.adder, now, effects) {
                Ok(Added::Writing) => {}
                Ok(Added::Already) => self.added(parked.adder, Ok(()), effects),
                Err(ErrorCode::ConcurrentTransactions) => self.parked.push_back(parked),
                Err(error) => self.added(parked.adder, Err(error), effects),
            }
        }
    }

    /// Sends those away that waited for too long.
    pub(super) fn expire_parked(&mut self, now: Now, effects: &mut Effects) {
        while let Some(parked) = self.parked.pop_front_if(|parked| parked.until_ms <= now.clock_ms) {
            self.added(parked.adder, Err(ErrorCode::ConcurrentTransactions), effects);
        }
    }

    /// When the first of those is sent away.
    pub(super) fn parked_until(&self) -> Option<u64> {
        self.parked.front().map(|parked| parked.until_ms)
    }
}

type TxnTopicResults = Vec<TxnTopicResult<'static>>;

/// Whether a request is by the newest producer.
fn check_producer(stored: Producer, asking: Producer) -> Result<(), ErrorCode> {
    if asking.id != stored.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    // The highest epoch is never given out.
    if asking.epoch != stored.epoch || asking.epoch == i16::MAX {
        return Err(ErrorCode::ProducerFenced);
    }
    Ok(())
}

/// The result of one transaction, before anything is known.
fn untouched(transaction: &AddPartitionsToTxnTransaction<'_>) -> AddPartitionsToTxnResult<'static> {
    let partition = |index: &i32| PartitionResult { partition_index: *index, error_code: 0 };
    let topic = |topic: &TxnTopic<'_>| TxnTopicResult {
        name: topic.name.clone().into_owned().into(),
        partitions: topic.partitions.iter().map(partition).collect(),
    };
    AddPartitionsToTxnResult {
        transactional_id: transaction.transactional_id.clone().into_owned().into(),
        topic_results: transaction.topics.iter().map(topic).collect(),
    }
}

fn with_code(mut results: TxnTopicResults, code: i16) -> TxnTopicResults {
    let partitions = results.iter_mut().flat_map(|topic| &mut topic.partitions);
    partitions.for_each(|partition| partition.error_code = code);
    results
}

fn partitions_of(topics: &[TxnTopic<'_>]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        partitions.entry(topic.name.to_string()).or_default().extend(&topic.partitions);
    }
    partitions
}
