//! Fetch: a long poll over several partitions; see [`crate::gateway::Fetches`]. Stored batches of Kafka are sent as they are,
//! by reference; those of Ringmail are transcoded.

use ringmail_kafka::api::Api;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::fetch::{FetchAnswer, FetchHead};
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::fetch::{AbortedTransaction, FetchPartition, FetchRequest, FetchedPartition};
use ringmail_shards::api::{Isolation, LogState, ReadData, ReadError};
use ringmail_wire::protocol::LogId;

use super::cluster::check_leader_epoch;
use super::error;
use super::list_offsets::isolation_of;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::gateway::{Asker, Finished, Part, Wanted};
use crate::node::logs::{Caller, Logs, Watcher};
use crate::node::slab::Key;

/// Bytes that one partition of a fetch takes until it is answered.
const PARTITION_BYTES: usize = 256;

/// A fetch, as its answer has to name everything.
#[derive(Debug)]
pub(super) struct Asked {
    reply: Reply,
    isolation: Isolation,
    topics: Vec<AskedTopic>,
    partitions: Vec<AskedPartition>,
}

#[derive(Debug)]
struct AskedTopic {
    name: String,
    id: Uuid,
    partitions: usize,
}

#[derive(Debug)]
struct AskedPartition {
    index: i32,
    /// Which part of the fetch it is, or why it is none.
    part: Result<usize, ErrorCode>,
}

impl Asker for Asked {
    fn connection(&self) -> Key {
        self.reply.connection
    }

    fn bytes(&self) -> u32 {
        u32::try_from(self.partitions.len() * PARTITION_BYTES).unwrap_or(u32::MAX)
    }

    fn reader(fetch: Key, part: u32) -> Caller {
        Caller::Kafka(Waiter::FetchRead { fetch, part })
    }

    fn counter(fetch: Key, part: u32) -> Caller {
        Caller::Kafka(Waiter::FetchCount { fetch, part })
    }

    fn watcher(fetch: Key, part: u32) -> Watcher {
        Watcher::Kafka(Waiter::FetchWatch { fetch, part })
    }
}

impl Sessions<'_> {
    pub(super) fn fetch(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Refused> {
        let body = FetchRequest::decode(request.header.version, request.body)?;
        if body.session_id != 0 && body.session_epoch > 0 {
            // Sessions are never begun: their id is 0 in every answer.
            self.refuse_fetch(&request.reply, ErrorCode::FetchSessionIdNotFound);
            return Ok(Handled::Done);
        }
        let (asked, parts) = take(request.reply, &body, logs);
        let own = asked.bytes() as usize;
        if self.own.fetches.is_over_share(own, self.connections) {
            return Err(Refused::TooManyFetches);
        }
        self.weigh(&request.reply, asked.partitions.len());
        let all_known = asked.partitions.iter().all(|partition| partition.part.is_ok());
        // A client that is gone is to be found out.
        let wait_ms = (body.max_wait_ms.max(0) as u64).min(self.own.settings.idle_timeout_ms);
        let wanted = Wanted {
            isolation: asked.isolation,
            asker: asked,
            parts,
            min_bytes: body.min_bytes.max(0) as usize,
            max_bytes: (body.max_bytes.max(0) as usize).min(self.own.settings.fetch_response),
            // What is wrong is told at once.
            wait_ms: if self.own.draining || !all_known { 0 } else { wait_ms },
        };
        let key = self.own.fetches.add(wanted, self.connections.now_ms());
        if let Some(session) = self.session(request.reply.connection) {
            session.fetch = Some(key);
        }
        let finished = self.own.fetches.begin(key, self.connections, logs);
        self.answer_fetch(finished, logs);
        Ok(Handled::Done)
    }

    /// Goes on with the fetch of a connection that has taken some output.
    pub(super) fn unblock_fetch(&mut self, connection: Key, logs: &mut Logs) {
        if let Some(key) = self.fetch_of(connection) {
            let finished = self.own.fetches.unblock(key, self.connections, logs);
            self.answer_fetch(finished, logs);
        }
    }

    pub(super) fn fetch_advanced(&mut self, key: Key, part: u32, logs: &mut Logs) {
        let finished = self.own.fetches.advanced(key, part, self.connections, logs);
        self.answer_fetch(finished, logs);
    }

    pub(super) fn fetch_counted(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let finished = self.own.fetches.counted(key, part, result, self.connections, logs);
        self.answer_fetch(finished, logs);
    }

    pub(super) fn fetch_read(
        &mut self,
        key: Key,
        part: u32,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        let finished = self.own.fetches.read(key, part, result, self.connections, logs);
        self.answer_fetch(finished, logs);
    }

    /// Answers fetches that have waited long enough.
    pub(super) fn end_due_fetches(&mut self, logs: &mut Logs) {
        while let Some((key, deadline_ms)) = self.own.fetches.next_due(self.connections.now_ms()) {
            let finished = self.own.fetches.timed_out(key, deadline_ms, self.connections, logs);
            self.answer_fetch(finished, logs);
        }
        self.own.fetches.forget_old_deadlines();
    }

    fn fetch_of(&mut self, connection: Key) -> Option<Key> {
        self.session(connection).and_then(|session| session.fetch)
    }

    /// Answers the fetch of a connection if it waits.
    pub(super) fn end_wait(&mut self, connection: Key, logs: &mut Logs) {
        if let Some(key) = self.fetch_of(connection) {
            let finished = self.own.fetches.end_wait(key, self.connections, logs);
            self.answer_fetch(finished, logs);
        }
    }

    /// Forgets the fetch of a connection that is gone.
    pub(super) fn forget_fetch(&mut self, connection: Key, logs: &mut Logs) {
        if let Some(key) = self.fetch_of(connection) {
            self.own.fetches.forget(key, logs);
        }
    }

    fn refuse_fetch(&mut self, reply: &Reply, code: ErrorCode) {
        let head =
            FetchHead { correlation: reply.correlation, error_code: code.number(), ..FetchHead::default() };
        let mut answer = std::mem::take(&mut self.own.fetch_answer);
        answer.begin(reply.version, &head);
        self.answer_with(reply, |output| answer.end(Vec::new(), output));
        self.own.fetch_answer = answer;
    }

    fn answer_fetch(&mut self, finished: Option<Finished<Asked>>, logs: &mut Logs) {
        let Some(Finished { asker: asked, parts }) = finished else { return };
        let reply = asked.reply;
        if let Some(session) = self.session(reply.connection) {
            session.fetch = None;
        }
        let mut answer = std::mem::take(&mut self.own.fetch_answer);
        let mut parts: Vec<_> = parts.into_iter().map(Some).collect();
        let topics = asked.topics.len();
        answer.begin(
            reply.version,
            &FetchHead { correlation: reply.correlation, topics, ..FetchHead::default() },
        );
        let mut partitions = asked.partitions.iter();
        for topic in &asked.topics {
            answer.topic(&topic.name, topic.id, topic.partitions);
            for partition in partitions.by_ref().take(topic.partitions) {
                let part =
                    partition.part.map(|part| parts[part].take().expect("each stands in the answer once"));
                self.put_partition(&mut answer, partition.index, part, asked.isolation, logs);
            }
        }
        self.answer_with(&reply, |output| answer.end(Vec::new(), output));
        self.own.fetch_answer = answer;
        self.connections.has_room(reply.connection);
    }

    fn put_partition(
        &mut self,
        answer: &mut FetchAnswer,
        index: i32,
        part: Result<Part, ErrorCode>,
        isolation: Isolation,
        logs: &mut Logs,
    ) {
        let Part { log, result, state, .. } = match part {
            Ok(part) => part,
            Err(code) => return answer.partition(failed(index, code), None),
        };
        let data = match result {
            Some(Ok(data)) => data,
            // It was acknowledged as written and is not durable yet: the client asks again for what it knows to be there.
            Some(Err(ReadError::OutOfRange { offset, high_watermark, end, .. }))
                if (high_watermark..=end).contains(&offset) =>
            {
                let state = state_here(log, logs);
                return answer.partition(empty(index, state, isolation), None);
            }
            Some(Err(error)) => return answer.partition(failed(index, error::of_read(&error)), None),
            // There was no room for it.
            None => {
                let state = state.or_else(|| state_here(log, logs));
                return answer.partition(empty(index, state, isolation), None);
            }
        };
        let mut partition = empty(index, Some(data.state), isolation);
        if let Some(aborted) = &mut partition.aborted_transactions {
            aborted.extend(data.aborted.iter().map(|transaction| AbortedTransaction {
                producer_id: transaction.producer_id,
                first_offset: as_offset(transaction.first_offset),
            }));
        }
        let mut pieces = std::mem::take(&mut self.own.pieces);
        match pieces.take(data.pieces) {
            Ok(()) => answer.partition(partition, pieces.drain()),
            Err(code) => answer.partition(failed(index, code), None),
        }
        self.own.pieces = pieces;
    }
}

/// What a fetch asks for: the partitions that there are, and what the answer has to name.
fn take(reply: Reply, body: &FetchRequest<'_>, logs: &Logs) -> (Asked, Vec<Part>) {
    let isolation = isolation_of(body.isolation_level);
    let mut asked = Asked { reply, isolation, topics: Vec::new(), partitions: Vec::new() };
    let mut parts = Vec::new();
    let by_id = reply.version >= Api::FETCH_BY_ID;
    for topic in body.topics.iter() {
        let found = match by_id {
            true => {
                logs.topic_of_uuid(topic.topic_id).map(|(_, topic)| topic).ok_or(ErrorCode::UnknownTopicId)
            }
            false => logs.catalog().topic(&topic.topic).ok_or(ErrorCode::UnknownTopicOrPartition),
        };
        for partition in topic.partitions.iter() {
            let index = usize::try_from(partition.partition).ok();
            let log = found.and_then(|found| {
                let log = index.and_then(|index| found.partitions.get(index)).map(|partition| partition.log);
                log.ok_or(ErrorCode::UnknownTopicOrPartition)
            });
            let part = log.and_then(|log| part_of(&partition, log)).map(|part| {
                parts.push(part);
                parts.len() - 1
            });
            asked.partitions.push(AskedPartition { index: partition.partition, part });
        }
        let (name, partitions) = (topic.topic.to_string(), topic.partitions.len());
        asked.topics.push(AskedTopic { name, id: topic.topic_id, partitions });
    }
    (asked, parts)
}

/// # Errors
/// What the client is told.
fn part_of(partition: &FetchPartition, log: LogId) -> Result<Part, ErrorCode> {
    check_leader_epoch(partition.current_leader_epoch)?;
    let offset = u64::try_from(partition.fetch_offset).map_err(|_| ErrorCode::OffsetOutOfRange)?;
    Ok(Part::new(log, offset, partition.partition_max_bytes.max(0) as usize))
}

/// Where a log stands, if this shard knows.
fn state_here(log: LogId, logs: &mut Logs) -> Option<LogState> {
    (logs.catalog().owner(log) == Some(logs.shard())).then(|| logs.engine().log_state(log)).flatten()
}

fn as_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// A partition without batches.
fn empty(partition_index: i32, state: Option<LogState>, isolation: Isolation) -> FetchedPartition<'static> {
    let offset = |offset: fn(LogState) -> u64| state.map_or(-1, |state| as_offset(offset(state)));
    FetchedPartition {
        partition_index,
        high_watermark: offset(|state| state.high_watermark),
        last_stable_offset: offset(|state| state.last_stable),
        log_start_offset: offset(|state| state.log_start),
        aborted_transactions: (isolation == Isolation::Committed).then(Vec::new),
        ..FetchedPartition::default()
    }
}

fn failed(partition_index: i32, code: ErrorCode) -> FetchedPartition<'static> {
    let error_code = code.number();
    FetchedPartition { partition_index, error_code, high_watermark: -1, ..FetchedPartition::default() }
}
