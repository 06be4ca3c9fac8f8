//! OffsetCommit, and TxnOffsetCommit.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::offsets::{
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopicResult,
    PartitionResult,
};
use ringmail_kafka::messages::transactions::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnTopicResult,
};

use super::Groups;
use super::record::{Key, OffsetValue};
use super::step::{Step, Then};
use crate::machine::{CallId, Producer, Record, Topics};

/// The version from which on topics are named by their ids.
const TOPIC_IDS: i16 = 10;
/// The version from which on it is said that a group does not exist.
const KNOWS_MISSING_GROUPS: i16 = 9;

/// Who commits offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// Empty if he does not say.
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    /// The generation, or the member's epoch; -1 if he does not say.
    pub(crate) generation: i32,
    pub(crate) is_transactional: bool,
    pub(crate) version: i16,
}

/// What is committed of one group.
struct Commit<'a> {
    group: &'a str,
    metadata_max_bytes: usize,
    committed_ms: i64,
    expires_ms: Option<i64>,
    records: Vec<Record>,
}

/// How far a group is in a partition, as it says.
struct Position<'a> {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: &'a str,
}

impl Commit<'_> {
    /// Adds an offset to what is written, if it may stand there.
    fn add(&mut self, topic: Option<(&str, Uuid, i32)>, position: &Position<'_>) -> ErrorCode {
        let Some((name, topic_id, partitions)) = topic else { return ErrorCode::UnknownTopicOrPartition };
        let Position { partition, offset, leader_epoch, metadata } = *position;
        if !(0..partitions).contains(&partition) {
            return ErrorCode::UnknownTopicOrPartition;
        }
        if metadata.len() > self.metadata_max_bytes {
            return ErrorCode::OffsetMetadataTooLarge;
        }
        let value = OffsetValue {
            offset,
            leader_epoch,
            metadata,
            committed_ms: self.committed_ms,
            expires_ms: self.expires_ms,
            topic_id,
        };
        let key = Key::Offset { group: self.group, topic: name, partition };
        self.records.push(Record { key: key.encode(), value: Some(value.encode()) });
        ErrorCode::None
    }
}

fn result(partition_index: i32, error: ErrorCode) -> PartitionResult {
    PartitionResult { partition_index, error_code: error as i16 }
}

impl Groups {
    /// Whether somebody may commit offsets of a group, which may come to be by that.
    fn check_commit(
        &mut self,
        group: &str,
        by: &Committer<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), ErrorCode> {
        if group.len() > super::settings::MAX_NAME_BYTES {
            return Err(ErrorCode::InvalidGroupId);
        }
        let Some(found) = self.directory.get_mut(group) else {
            return match by.generation {
                ..0 if self.directory.is_full() => Err(ErrorCode::PolicyViolation),
                ..0 => Ok(()),
                _ if !by.is_transactional && by.version >= KNOWS_MISSING_GROUPS => {
                    Err(ErrorCode::GroupIdNotFound)
                }
                _ => Err(ErrorCode::IllegalGeneration),
            };
        };
        let checked = found.check_commit(by, step);
        self.directory.settle(group);
        checked
    }

    fn commit<'a>(&self, group: &'a str, retention_ms: i64, step: &Step<'_>) -> Commit<'a> {
        let now = step.now.wall_ms;
        Commit {
            group,
            metadata_max_bytes: step.settings.offset_metadata_max_bytes,
            committed_ms: now,
            expires_ms: (retention_ms >= 0).then(|| now.saturating_add(retention_ms)),
            records: Vec::new(),
        }
    }

    pub(super) fn offset_commit(
        &mut self,
        call: CallId,
        version: i16,
        request: &OffsetCommitRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let by = Committer {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
            is_transactional: false,
            version,
        };
        let checked = self.check_commit(&request.group_id, &by, step);
        let mut commit = self.commit(&request.group_id, request.retention_time_ms, step);
        let mut response = OffsetCommitResponse::default();
        for topic in &request.topics {
            let name = if version >= TOPIC_IDS { topics.name(topic.topic_id) } else { Some(&*topic.name) };
            let known =
                name.and_then(|name| topics.topic(name).map(|(id, partitions)| (name, id, partitions)));
            let mut add = |p: &OffsetCommitPartition<'_>| {
                let position = Position {
                    partition: p.partition_index,
                    offset: p.committed_offset,
                    leader_epoch: p.committed_leader_epoch,
                    metadata: p.committed_metadata.as_deref().unwrap_or_default(),
                };
                match checked {
                    Err(error) => error,
                    Ok(()) if name.is_none() => ErrorCode::UnknownTopicId,
                    Ok(()) => commit.add(known, &position),
                }
            };
            let partitions = topic.partitions.iter().map(|p| result(p.partition_index, add(p))).collect();
            let name = topic.name.clone().into_owned().into();
            response.topics.push(OffsetCommitTopicResult { name, topic_id: topic.topic_id, partitions });
        }
        let response = Response::OffsetCommit(response);
        if commit.records.is_empty() {
            step.answer(call, response);
        } else {
            step.write(commit.records, Then::Answer(call, response));
        }
    }

    pub(super) fn txn_offset_commit(
        &mut self,
        call: CallId,
        version: i16,
        request: &TxnOffsetCommitRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let by = Committer {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
            is_transactional: true,
            version,
        };
        let checked = self.check_commit(&request.group_id, &by, step);
        let mut commit = self.commit(&request.group_id, -1, step);
        let mut response = TxnOffsetCommitResponse::default();
        for topic in &request.topics {
            let known = topics.topic(&topic.name).map(|(id, partitions)| (&*topic.name, id, partitions));
            let add = |p: &ringmail_kafka::messages::transactions::TxnOffsetCommitPartition<'_>| {
                let position = Position {
                    partition: p.partition_index,
                    offset: p.committed_offset,
                    leader_epoch: p.committed_leader_epoch,
                    metadata: p.committed_metadata.as_deref().unwrap_or_default(),
                };
                result(
                    p.partition_index,
                    checked.map_or_else(|error| error, |()| commit.add(known, &position)),
                )
            };
            let partitions = topic.partitions.iter().map(add).collect();
            response.topics.push(TxnTopicResult { name: topic.name.clone().into_owned().into(), partitions });
        }
        let response = Response::TxnOffsetCommit(response);
        if commit.records.is_empty() {
            step.answer(call, response);
        } else {
            let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
            step.stage(commit.records, producer, Then::Answer(call, response));
        }
    }
}
