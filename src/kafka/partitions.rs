//! Requests about single partitions: records deleted, sizes on disk, ends. Partitions of other shards are asked for over the mesh; the
//! answer goes out when all have come.

use std::borrow::Cow;

use ringmail_kafka::api::Api;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::cluster::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, LogDir, LogDirPartition, LogDirTopic,
};
use ringmail_kafka::messages::topics::{
    DeleteRecordsRequest, DeleteRecordsResponse, DeletedRecordsPartition, DeletedRecordsTopic,
};
use ringmail_shards::api::{Answer, AppendError, LogState, ReadError};
use ringmail_wire::protocol::LogId;

use super::error;
use super::placement::partition_of;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::{Partition, ShardId, Topic, is_internal};
use crate::node::logs::{Caller, Logs, Refusal};
use crate::node::slab::Key;

/// Stands for the high watermark as the offset before which records are deleted.
const ALL_RECORDS: i64 = -1;

/// A partition of the request.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) log: LogId,
    /// Before which offset records are to be deleted; or which leader epoch is asked about.
    pub(super) wanted: i64,
    /// What was asked for: the new start, the size, or the end.
    pub(super) result: Result<i64, ErrorCode>,
}

/// A request whose partitions come one by one, those of one topic beside each other.
#[derive(Debug)]
pub(super) struct Partitions {
    reply: Reply,
    parts: Vec<Part>,
    outstanding: usize,
}

impl Sessions<'_> {
    pub(super) fn delete_records(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DeleteRecordsRequest::decode(request.header.version, request.body)?;
        let mut parts = Vec::new();
        for topic in &wanted.topics {
            for partition in &topic.partitions {
                let (part, shard) = deletion(&topic.name, partition.partition_index, partition.offset, logs);
                if let Some(shard) = shard.filter(|shard| logs.room(*shard) == 0) {
                    return Ok(Handled::Busy(shard));
                }
                parts.push(part);
            }
        }
        self.gather(request.reply, parts, logs);
        Ok(Handled::Done)
    }

    pub(super) fn describe_log_dirs(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DescribeLogDirsRequest::decode(request.header.version, request.body)?;
        let cluster = &self.own.settings.cluster;
        let here = *cluster.node(logs.shard());
        let part = |name: &str, number: i32, partition: &Partition| {
            (*cluster.node(partition.shard) == here).then(|| Part {
                topic: name.to_owned(),
                partition: number,
                log: partition.log,
                wanted: 0,
                result: Ok(0),
            })
        };
        let parts: Vec<Part> = match &wanted.topics {
            None => {
                let all = |(name, topic): (&str, &Topic)| -> Vec<Part> {
                    (0..).zip(&topic.partitions).filter_map(|(number, one)| part(name, number, one)).collect()
                };
                logs.catalog().topics().flat_map(all).collect()
            }
            Some(topics) => {
                let those = topics
                    .iter()
                    .flat_map(|topic| topic.partitions.iter().map(move |one| (&topic.name, *one)));
                those
                    .filter_map(|(name, number)| part(name, number, partition_of(name, number, logs)?))
                    .collect()
            }
        };
        self.gather(request.reply, parts, logs);
        Ok(Handled::Done)
    }

    /// Asks for the state of all partitions that nothing is wrong with.
    pub(super) fn gather(&mut self, reply: Reply, parts: Vec<Part>, logs: &mut Logs) {
        let wanted: Vec<_> = (0_u32..)
            .zip(&parts)
            .filter(|(_, part)| part.result.is_ok())
            .map(|(k, part)| (k, part.log))
            .collect();
        // One more, so that it does not end while questions are asked.
        let key = self.own.partitions.insert(Partitions { reply, parts, outstanding: wanted.len() + 1 });
        for (part, log) in wanted {
            let waiter = Waiter::Partition { partitions: key, part };
            if let Answer::Now(result) = logs.state(log, Caller::Kafka(waiter)) {
                self.partition_known(key, part, result, logs);
            }
        }
        self.partition_done(key);
    }

    /// The state of a partition is known: says it, or goes on.
    pub(super) fn partition_known(
        &mut self,
        key: Key,
        part: u32,
        result: Result<LogState, ReadError>,
        logs: &mut Logs,
    ) {
        let Some(partitions) = self.own.partitions.get_mut(key) else { return };
        let reply = partitions.reply;
        let known = &mut partitions.parts[part as usize];
        match result {
            Err(failed) => known.result = Err(error::of_read(&failed)),
            Ok(state) if reply.api == Api::DescribeLogDirs => known.result = Ok(state.bytes as i64),
            Ok(state) if reply.api == Api::OffsetForLeaderEpoch => {
                known.result = Ok(state.high_watermark as i64);
            }
            Ok(state) => match before(known.wanted, &state) {
                Ok(before) => {
                    let waiter = Waiter::Partition { partitions: key, part };
                    match logs.delete_records(known.log, before, Caller::Kafka(waiter)) {
                        Ok(()) => return,
                        Err(Refusal::Busy(_)) => known.result = Err(ErrorCode::NotLeaderOrFollower),
                        Err(Refusal::Error(failed)) => known.result = Err(error::of_append(&failed)),
                    }
                }
                Err(code) => known.result = Err(code),
            },
        }
        self.partition_done(key);
    }

    /// Records of a partition were deleted, or could not be.
    pub(super) fn records_deleted(&mut self, key: Key, part: u32, result: Result<u64, AppendError>) {
        let Some(partitions) = self.own.partitions.get_mut(key) else { return };
        let result = result.map(|start| start as i64).map_err(|failed| error::of_append(&failed));
        partitions.parts[part as usize].result = result;
        self.partition_done(key);
    }

    fn partition_done(&mut self, key: Key) {
        let Some(partitions) = self.own.partitions.get_mut(key) else { return };
        partitions.outstanding -= 1;
        if partitions.outstanding == 0
            && let Some(Partitions { reply, parts, .. }) = self.own.partitions.remove(key)
        {
            match reply.api {
                Api::DescribeLogDirs => self.answer_log_dirs(&reply, &parts),
                Api::OffsetForLeaderEpoch => self.answer_leader_epochs(&reply, &parts),
                _ => self.answer_records_deleted(&reply, &parts),
            }
        }
    }

    fn answer_records_deleted(&mut self, reply: &Reply, parts: &[Part]) {
        let partition = |part: &Part| DeletedRecordsPartition {
            partition_index: part.partition,
            low_watermark: part.result.unwrap_or(-1),
            error_code: part.result.err().map_or(0, ErrorCode::number),
        };
        let topics = by_topic(parts).map(|parts| DeletedRecordsTopic {
            name: Cow::Borrowed(&parts[0].topic),
            partitions: parts.iter().map(partition).collect(),
        });
        let topics = topics.collect();
        self.answer(reply, &DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() });
    }

    fn answer_log_dirs(&mut self, reply: &Reply, parts: &[Part]) {
        // A partition that was deleted meanwhile is left out.
        let partition = |part: &Part| {
            let partition_size = part.result.ok()?;
            Some(LogDirPartition {
                partition_index: part.partition,
                partition_size,
                ..LogDirPartition::default()
            })
        };
        let topics = by_topic(parts).map(|parts| LogDirTopic {
            name: Cow::Borrowed(&parts[0].topic),
            partitions: parts.iter().filter_map(partition).collect(),
        });
        let log_dir = self.own.settings.log_dir.clone().into();
        let dir = LogDir { log_dir, topics: topics.collect(), ..LogDir::default() };
        self.answer(
            reply,
            &DescribeLogDirsResponse { results: vec![dir], ..DescribeLogDirsResponse::default() },
        );
    }
}

/// A partition whose records are to be deleted, and its shard if that is possible.
fn deletion(topic: &str, partition: i32, before: i64, logs: &Logs) -> (Part, Option<ShardId>) {
    let found = partition_of(topic, partition, logs);
    let deletes = logs.catalog().topic(topic).is_none_or(|topic| topic.config.deletes());
    let result = match found {
        None => Err(ErrorCode::UnknownTopicOrPartition),
        Some(_) if is_internal(topic) => Err(ErrorCode::InvalidTopic),
        Some(_) if !deletes => Err(ErrorCode::PolicyViolation),
        Some(_) => Ok(0),
    };
    let log = found.map_or(0, |found| found.log);
    let shard = found.filter(|_| result.is_ok()).map(|found| found.shard);
    (Part { topic: topic.to_owned(), partition, log, wanted: before, result }, shard)
}

/// The offset before which records go.
fn before(wanted: i64, state: &LogState) -> Result<u64, ErrorCode> {
    match u64::try_from(wanted) {
        Ok(offset) if offset <= state.high_watermark => Ok(offset),
        Err(_) if wanted == ALL_RECORDS => Ok(state.high_watermark),
        _ => Err(ErrorCode::OffsetOutOfRange),
    }
}

/// Partitions of one topic that stand beside each other.
pub(super) fn by_topic(parts: &[Part]) -> impl Iterator<Item = &[Part]> {
    parts.chunk_by(|a, b| a.topic == b.topic)
}
