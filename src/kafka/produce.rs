//! Produce: batches are handed to their logs from where they were received, whichever shards these are on; the answer follows
//! once all of them are as durable as asked.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::produce::{
    ProducePartition, ProduceRequest, ProduceTopic, ProducedPartition, RecordError,
};
use ringmail_kafka::produce::ProduceAnswer;
use ringmail_shards::api::{AppendError, Appended, Origin, Payload};
use ringmail_wire::protocol::{Acks, LogId};

use super::error;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::ShardId;
use crate::node::logs::{Caller, Logs, Refusal};
use crate::node::slab::Key;

/// Answered requests whose memory is kept for further ones.
const SPARES: usize = 64;

/// A request that is not answered yet. Its batches are begun in their order; where a shard has no room, the request is given
/// back, and goes on later where it stopped.
#[derive(Debug)]
pub(super) struct Produce {
    reply: Reply,
    /// The names of its topics, one after another.
    names: String,
    topics: Vec<Topic>,
    /// The answer for each partition that was begun.
    partitions: Vec<ProducedPartition<'static>>,
    /// Partitions whose append has not ended.
    outstanding: usize,
    /// Whether all of them were begun.
    complete: bool,
}

#[derive(Debug)]
struct Topic {
    /// Where its name ends.
    name_end: usize,
    id: Uuid,
    partitions: usize,
}

impl Produce {
    fn new(reply: Reply) -> Self {
        let (names, topics, partitions) = (String::new(), Vec::new(), Vec::new());
        Self { reply, names, topics, partitions, outstanding: 0, complete: false }
    }

    /// A request in the memory of one that was answered.
    fn reuse(mut self, reply: Reply) -> Self {
        self.names.clear();
        self.topics.clear();
        self.partitions.clear();
        Self { reply, outstanding: 0, complete: false, ..self }
    }

    fn add_topic(&mut self, topic: &ProduceTopic<'_>) {
        self.names.push_str(&topic.name);
        let (name_end, partitions) = (self.names.len(), topic.partition_data.len());
        self.topics.push(Topic { name_end, id: topic.topic_id, partitions });
    }

    fn put_answer(&self, out: &mut Vec<u8>) {
        let Reply { version, correlation, .. } = self.reply;
        let mut answer = ProduceAnswer::begin(out, version, correlation, self.topics.len());
        let (mut name_at, mut partitions) = (0, self.partitions.iter());
        for topic in &self.topics {
            answer.topic(&self.names[name_at..topic.name_end], topic.id, topic.partitions);
            name_at = topic.name_end;
            partitions.by_ref().take(topic.partitions).for_each(|partition| answer.partition(partition));
        }
        answer.end(0, Vec::new());
    }
}

/// How a request wants its batches appended.
#[derive(Clone, Copy)]
struct Wanted {
    acks: Acks,
    version: i16,
    connection: Key,
    /// What partitions of a topic that is not there are told.
    unknown: ErrorCode,
}

impl Sessions<'_> {
    #[inline]
    pub(super) fn produce(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Refused> {
        let version = request.header.version;
        let body = ProduceRequest::decode(version, request.body)?;
        let acks = match body.acks {
            0 => Acks::None,
            1 => Acks::Written,
            -1 => Acks::Synced,
            _ => {
                self.refuse_produce(request, &body, ErrorCode::InvalidRequiredAcks);
                return Ok(Handled::Done);
            }
        };
        if self.own.draining {
            // Clients look for another broker, and come back.
            self.refuse_produce(request, &body, ErrorCode::NotLeaderOrFollower);
            return Ok(Handled::Done);
        }
        if !self.is_added(request, &body, logs) {
            return Ok(Handled::Waits);
        }
        let by_id = version >= ringmail_kafka::api::Api::PRODUCE_BY_ID;
        let unknown = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let wanted = Wanted { acks, version, connection: request.reply.connection, unknown };
        let key = self.produce_of(request);
        if let Err(shard) = self.append_all(key, &body, wanted, logs) {
            if let Some(session) = self.session(request.reply.connection) {
                session.produce = Some(key);
            }
            return Ok(Handled::Busy(shard));
        }
        self.forget_refusals(request.reply.connection);
        self.complete_produce(key, acks);
        Ok(Handled::Done)
    }

    /// The request that was given back and comes again, or a new one.
    fn produce_of(&mut self, request: &Request<'_>) -> Key {
        let resumed = self.session(request.reply.connection).and_then(|session| session.produce.take());
        resumed.unwrap_or_else(|| {
            let produce = match self.own.spare_produces.pop() {
                Some(spare) => spare.reuse(request.reply),
                None => Produce::new(request.reply),
            };
            self.own.produces.insert(produce)
        })
    }

    /// Answers a request of which nothing is appended.
    fn refuse_produce(&mut self, request: &Request<'_>, body: &ProduceRequest<'_>, code: ErrorCode) {
        let key = self.produce_of(request);
        let Some(produce) = self.own.produces.get_mut(key) else { return };
        // What was begun before the request was given back stays as it is.
        let begun = produce.partitions.len();
        produce.topics.clear();
        produce.names.clear();
        for topic in body.topic_data.iter() {
            produce.add_topic(&topic);
            for partition in topic.partition_data.iter() {
                produce.partitions.push(refused(partition.index, code, None));
            }
        }
        produce.partitions.drain(..begun);
        produce.outstanding = 0;
        self.complete_produce(key, if body.acks == 0 { Acks::None } else { Acks::Synced });
    }

    /// Begins all appends that were not begun before.
    ///
    /// # Errors
    /// Names the shard that has no room.
    fn append_all(
        &mut self,
        key: Key,
        body: &ProduceRequest<'_>,
        wanted: Wanted,
        logs: &mut Logs,
    ) -> Result<(), ShardId> {
        let mut begun = self.own.produces.get(key).map_or(0, |produce| produce.partitions.len());
        let known_topics = self.own.produces.get(key).map_or(0, |produce| produce.topics.len());
        let mut targets = std::mem::take(&mut self.own.targets);
        let mut result = Ok(());
        for (number, topic) in body.topic_data.iter().enumerate() {
            if number >= known_topics
                && let Some(produce) = self.own.produces.get_mut(key)
            {
                produce.add_topic(&topic);
            }
            let partitions = topic.partition_data.len();
            if begun >= partitions {
                begun -= partitions;
                continue;
            }
            find_targets(&topic, wanted.unknown, logs, &mut targets);
            let mut rest = topic.partition_data.iter().zip(&targets).skip(std::mem::take(&mut begun));
            result =
                rest.try_for_each(|(partition, target)| self.append(key, &partition, *target, wanted, logs));
            if result.is_err() {
                break;
            }
        }
        self.own.targets = targets;
        result
    }

    fn append(
        &mut self,
        key: Key,
        partition: &ProducePartition<'_>,
        target: Result<LogId, ErrorCode>,
        wanted: Wanted,
        logs: &mut Logs,
    ) -> Result<(), ShardId> {
        let target = target.and_then(|log| match self.refused_to_add(wanted.connection, log) {
            Some(code) => Err(code),
            None => Ok(log),
        });
        let Some(produce) = self.own.produces.get_mut(key) else { return Ok(()) };
        let index = partition.index;
        let log = match target {
            Ok(log) => log,
            Err(code) => {
                produce.partitions.push(refused(index, code, None));
                return Ok(());
            }
        };
        let batch = partition.records.bytes().unwrap_or_default();
        let payload = Payload::Kafka(batch, Origin::Client { produce_version: wanted.version });
        let waiter = match wanted.acks {
            Acks::None => Waiter::Unacknowledged(wanted.connection),
            _ => Waiter::Produce { produce: key, part: produce.partitions.len() as u32 },
        };
        match logs.append(log, payload, wanted.acks, Caller::Kafka(waiter)) {
            Ok(()) => {
                produce.partitions.push(ProducedPartition { index, base_offset: -1, ..Default::default() });
                produce.outstanding += usize::from(wanted.acks != Acks::None);
            }
            Err(Refusal::Busy(shard)) => return Err(shard),
            Err(Refusal::Error(error)) => produce.partitions.push(failed(index, &error)),
        }
        Ok(())
    }

    /// All appends of a request have begun.
    fn complete_produce(&mut self, key: Key, acks: Acks) {
        let Some(produce) = self.own.produces.get_mut(key) else { return };
        produce.complete = true;
        if acks != Acks::None {
            return self.answer_produce_if_done(key);
        }
        let failed = produce.partitions.iter().find(|partition| partition.error_code != 0);
        let failed = failed.map(|partition| partition.error_code);
        let reply = produce.reply;
        self.recycle(key);
        self.answer_nothing(&reply);
        if let Some(code) = failed {
            self.end_unacknowledged(reply.connection, ErrorCode::from_number(code).unwrap_or_default());
        }
    }

    /// The append of part `part` of a request has ended.
    #[inline]
    pub(super) fn produced(&mut self, key: Key, part: u32, result: Result<Appended, AppendError>) {
        let Some(produce) = self.own.produces.get_mut(key) else { return };
        let partition = &mut produce.partitions[part as usize];
        match result {
            Ok(appended) => {
                partition.base_offset = as_offset(appended.base_offset);
                partition.log_append_time_ms = appended.append_time.unwrap_or(-1);
                partition.log_start_offset = as_offset(appended.log_start);
            }
            Err(error) => *partition = failed(partition.index, &error),
        }
        produce.outstanding -= 1;
        self.answer_produce_if_done(key);
    }

    #[inline]
    fn answer_produce_if_done(&mut self, key: Key) {
        let is_done = |produce: &Produce| produce.complete && produce.outstanding == 0;
        if self.own.produces.get(key).is_some_and(is_done)
            && let Some(produce) = self.own.produces.remove(key)
        {
            self.answer_with(&produce.reply, |output| produce.put_answer(output.copied()));
            self.keep(produce);
        }
    }

    fn recycle(&mut self, key: Key) {
        if let Some(produce) = self.own.produces.remove(key) {
            self.keep(produce);
        }
    }

    fn keep(&mut self, produce: Produce) {
        if self.own.spare_produces.len() < SPARES {
            self.own.spare_produces.push(produce);
        }
    }

    /// The connection is gone of a request that waits to go on.
    pub(super) fn abandon_produce(&mut self, key: Key) {
        if let Some(produce) = self.own.produces.get_mut(key) {
            produce.complete = true;
            if produce.outstanding == 0 {
                self.own.produces.remove(key);
            }
        }
    }

    /// A batch was refused whose producer wants no acknowledgement.
    pub(super) fn unacknowledged(&mut self, connection: Key, result: Result<Appended, AppendError>) {
        if let Err(error) = result {
            self.end_unacknowledged(connection, error::of_append(&error));
        }
    }

    /// The end of the connection is the one thing by which such a producer can notice.
    fn end_unacknowledged(&mut self, connection: Key, code: ErrorCode) {
        self.end_for(connection, &Refused::Unacknowledged(code));
    }
}

/// The logs of the partitions that a request names of a topic, or why there is none.
fn find_targets(
    topic: &ProduceTopic<'_>,
    unknown: ErrorCode,
    logs: &Logs,
    targets: &mut Vec<Result<LogId, ErrorCode>>,
) {
    targets.clear();
    let found = match unknown {
        ErrorCode::UnknownTopicId => logs.topic_of_uuid(topic.topic_id).map(|(_, topic)| topic),
        _ => logs.catalog().topic(&topic.name),
    };
    targets.extend(topic.partition_data.iter().map(|partition| {
        let found = found.ok_or(unknown)?;
        let index = usize::try_from(partition.index).ok();
        let log = index.and_then(|index| found.partitions.get(index)).map(|partition| partition.log);
        let log = log.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if logs.catalog().is_internal(log) { Err(ErrorCode::InvalidTopic) } else { Ok(log) }
    }));
}

/// An offset as Kafka writes it.
fn as_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn refused(index: i32, code: ErrorCode, words: Option<String>) -> ProducedPartition<'static> {
    ProducedPartition {
        index,
        error_code: code.number(),
        base_offset: -1,
        error_message: words.map(Into::into),
        ..ProducedPartition::default()
    }
}

fn failed(index: i32, error: &AppendError) -> ProducedPartition<'static> {
    let mut partition = refused(index, error::of_append(error), Some(error.to_string()));
    if let AppendError::Keyless(records) = error {
        let error = |record: &u32| RecordError {
            batch_index: i32::try_from(*record).unwrap_or(i32::MAX),
            batch_index_error_message: Some("a compacted topic asks for a key".into()),
        };
        partition.record_errors = records.iter().map(error).collect();
    }
    partition
}
