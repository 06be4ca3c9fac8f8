//! Transactions whose partitions are added by writing to them (KIP-890): before the first batch of a transaction is appended to a
//! partition, and before its offsets are staged, the transaction's coordinator is asked to add the partition.

use ahash::AHashSet;
use bytes::Bytes;
use ringmail_coordinator::partition_for;
use ringmail_kafka::api::Api;
use ringmail_kafka::batch::Batch;
use ringmail_kafka::codec::Str;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::produce::{ProduceRequest, ProduceTopic};
use ringmail_kafka::messages::transactions::*;
use ringmail_kafka::messages::{Body, Response};
use ringmail_wire::protocol::LogId;

use super::partitions_of;
use crate::coordinators::{CoordinatorQuestion, refused};
use crate::kafka::requests::Request;
use crate::kafka::sessions::Sessions;
use crate::kafka::waiter::Waiter;
use crate::node::catalog::{OFFSETS, TRANSACTIONS};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// The first version of Produce whose clients leave it to the broker to add partitions.
const PRODUCE_ADDS: i16 = 12;

/// The first version of TxnOffsetCommit whose clients do.
const TXN_OFFSET_COMMIT_ADDS: i16 = 5;

/// The version of AddPartitionsToTxn in which brokers add.
const ADDING: i16 = 5;

/// The transaction that a connection's producer is in.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Adding {
    producer: (i64, i16),
    added: AHashSet<LogId>,
    /// What its coordinator is being asked to add.
    asked: Option<Vec<LogId>>,
    /// What it has refused to the request that is being handled.
    refused: Vec<(LogId, ErrorCode)>,
}

/// Offsets that are staged once their partition is added.
#[derive(Debug)]
pub(in crate::kafka) struct Staging {
    question: CoordinatorQuestion,
    gathering: Key,
}

/// A partition that is written to.
struct Target<'a> {
    topic: Str<'a>,
    partition: i32,
    log: LogId,
    producer: (i64, i16),
}

impl Sessions<'_> {
    /// Whether all partitions of a request are in its transaction, or are refused; if not, they are being added, and the request is
    /// to be handled again.
    pub(in crate::kafka) fn is_added(
        &mut self,
        request: &Request<'_>,
        body: &ProduceRequest<'_>,
        logs: &mut Logs,
    ) -> bool {
        let Some(id) = body.transactional_id.as_deref().filter(|_| request.header.version >= PRODUCE_ADDS)
        else {
            return true;
        };
        let mut targets: Vec<_> = body.topic_data.iter().flat_map(|topic| targets_of(topic, logs)).collect();
        let Some(producer) = targets.first().map(|target| target.producer) else { return true };
        let connection = request.reply.connection;
        let Some(session) = self.session(connection) else { return true };
        let adding = session.adding.get_or_insert_default();
        if adding.asked.is_some() {
            return false;
        }
        if adding.producer != producer {
            **adding = Adding { producer, ..Adding::default() };
        }
        let known =
            |log| adding.added.contains(&log) || adding.refused.iter().any(|(other, _)| *other == log);
        // A batch of another producer is none of this transaction; its log refuses it.
        targets.retain(|target| target.producer == producer && !known(target.log));
        if targets.is_empty() {
            return true;
        }
        adding.asked = Some(targets.iter().map(|target| target.log).collect());
        let question = self.question(request, id, producer, &targets, logs);
        self.ask_to_add(question, Waiter::Adding(connection), logs);
        false
    }

    fn question(
        &mut self,
        request: &Request<'_>,
        id: &str,
        (producer_id, producer_epoch): (i64, i16),
        targets: &[Target<'_>],
        logs: &Logs,
    ) -> CoordinatorQuestion {
        let topic = |target: &Target<'_>| TxnTopic {
            name: target.topic.clone().into_owned().into(),
            partitions: vec![target.partition],
        };
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: id.into(),
            producer_id,
            producer_epoch,
            verify_only: false,
            topics: targets.iter().map(topic).collect(),
        };
        let add = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
        let mut body = Vec::new();
        add.encode(ADDING, &mut body);
        let partition = partition_for(id, partitions_of(TRANSACTIONS, logs).max(1));
        CoordinatorQuestion {
            // No log has the number 0 but the catalog's, which has no coordinator.
            log: logs.partition(TRANSACTIONS, partition).unwrap_or_default(),
            api: Api::AddPartitionsToTxn,
            version: ADDING,
            client_id: request.header.client_id.unwrap_or_default().to_owned(),
            client_host: self.client_host(request.reply.connection),
            body: Bytes::from(body),
        }
    }

    fn ask_to_add(&mut self, question: CoordinatorQuestion, waiter: Waiter, logs: &mut Logs) {
        logs.coordinate(question, Caller::Kafka(waiter));
    }

    /// The coordinator has added the partitions that a connection's producer wants to write to, or has not.
    pub(in crate::kafka) fn added(&mut self, connection: Key, response: &Response<'_>) {
        let Some(adding) = self.session(connection).and_then(|session| session.adding.as_mut()) else {
            return;
        };
        let asked = adding.asked.take().unwrap_or_default();
        for (log, code) in asked.into_iter().zip(codes(response)) {
            match code {
                ErrorCode::None => _ = adding.added.insert(log),
                code => adding.refused.push((log, of_produce(code))),
            }
        }
        self.connections.has_room(connection);
    }

    /// Why a partition cannot be written to in the transaction of a connection's producer.
    pub(in crate::kafka) fn refused_to_add(&mut self, connection: Key, log: LogId) -> Option<ErrorCode> {
        let adding = self.session(connection)?.adding.as_ref()?;
        adding.refused.iter().find(|(other, _)| *other == log).map(|(_, code)| *code)
    }

    /// A request has been handled: the next may try again what was refused to it.
    pub(in crate::kafka) fn forget_refusals(&mut self, connection: Key) {
        if let Some(adding) = self.session(connection).and_then(|session| session.adding.as_mut()) {
            adding.refused.clear();
        }
    }

    /// Offsets that a transaction stages, if their partition has to be added to it first: then it is asked for.
    pub(super) fn stage(
        &mut self,
        request: &Request<'_>,
        body: &TxnOffsetCommitRequest<'_>,
        question: CoordinatorQuestion,
        gathering: Key,
        logs: &mut Logs,
    ) {
        let caller = Caller::Kafka(Waiter::Coordinator(gathering));
        if request.header.version < TXN_OFFSET_COMMIT_ADDS {
            return logs.coordinate(question, caller);
        }
        let producer = (body.producer_id, body.producer_epoch);
        let partition = partition_for(&body.group_id, partitions_of(OFFSETS, logs).max(1));
        let target = Target { topic: OFFSETS.into(), partition, log: question.log, producer };
        let add = self.question(request, &body.transactional_id, producer, &[target], logs);
        let key = self.own.stagings.insert(Staging { question, gathering });
        self.ask_to_add(add, Waiter::Staging(key), logs);
    }

    /// The partition of staged offsets was added, or was not.
    pub(in crate::kafka) fn staged(&mut self, key: Key, response: &Response<'_>, logs: &mut Logs) {
        let Some(Staging { question, gathering }) = self.own.stagings.remove(key) else { return };
        match codes(response).next() {
            Some(ErrorCode::None) => {
                logs.coordinate(question, Caller::Kafka(Waiter::Coordinator(gathering)));
            }
            code => {
                let code = code.unwrap_or(ErrorCode::CoordinatorNotAvailable);
                self.coordinated(gathering, refused(&question, code));
            }
        }
    }
}

/// The partitions of a topic that a request writes to in a transaction, as far as there are such.
fn targets_of<'a>(topic: ProduceTopic<'a>, logs: &Logs) -> Vec<Target<'a>> {
    let by_id = topic.name.is_empty();
    let name = if by_id {
        logs.topic_of_uuid(topic.topic_id).map(|(name, _)| Str::from(name.to_owned()))
    } else {
        Some(topic.name)
    };
    let Some(name) = name else { return Vec::new() };
    let target = |partition: ringmail_kafka::messages::produce::ProducePartition<'a>| {
        let batch = Batch::parse(partition.records.bytes()?).ok()?;
        let producer = (batch.producer_id().filter(|_| batch.is_transactional())?, batch.producer_epoch());
        let log = logs.partition(&name, partition.index)?;
        Some(Target { topic: name.clone(), partition: partition.index, log, producer })
    };
    topic.partition_data.iter().filter_map(target).collect()
}

/// What has become of each partition, in the order in which they were asked for; of all of them, if the request failed.
fn codes<'r>(response: &'r Response<'_>) -> impl Iterator<Item = ErrorCode> + 'r {
    let code = |number| ErrorCode::from_number(number).unwrap_or(ErrorCode::UnknownServerError);
    let Response::AddPartitionsToTxn(answer) = response else {
        unreachable!("AddPartitionsToTxn was asked for");
    };
    let all = (answer.error_code != 0).then(|| std::iter::repeat(code(answer.error_code)));
    let topics = answer.results_by_transaction.iter().flat_map(|result| &result.topic_results);
    let each = topics.flat_map(|topic| &topic.partitions).map(move |result| code(result.error_code));
    all.into_iter().flatten().chain(each)
}

/// What a producer is told that a coordinator has refused.
fn of_produce(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        code => code,
    }
}
