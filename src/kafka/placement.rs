//! Where partitions are, page by page; and what tools ask of clusters with replicas, as one with a single replica answers it: every
//! partition has the leader that it prefers, and stays where it is.

use std::borrow::Cow;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::cluster::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ElectionResult, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, PartitionError, ReassignablePartition, ReassignedTopic,
};
use ringmail_kafka::messages::metadata::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribedPartition,
    DescribedTopic,
};

use super::cluster::{Cluster, TOPIC_OPERATIONS};
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use crate::node::catalog::{Partition, Topic, is_internal};
use crate::node::logs::Logs;

/// Partitions of one page at most.
const PAGE: usize = 2_000;

impl Sessions<'_> {
    pub(super) fn describe_topic_partitions(
        &mut self,
        request: &Request<'_>,
        logs: &Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DescribeTopicPartitionsRequest::decode(request.header.version, request.body)?;
        let mut names: Vec<&str> = if wanted.topics.is_empty() {
            logs.catalog().topics().map(|(name, _)| name).collect()
        } else {
            wanted.topics.iter().map(|topic| topic.name.as_ref()).collect()
        };
        names.sort_unstable();
        names.dedup();
        let cluster = self.own.settings.cluster.clone();
        let limit = usize::try_from(wanted.response_partition_limit).unwrap_or(0).clamp(1, PAGE);
        let response = page(&names, wanted.cursor.as_ref(), limit, &cluster, logs);
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }

    pub(super) fn elect_leaders(&mut self, request: &Request<'_>, logs: &Logs) -> Result<Handled, Refused> {
        let wanted = ElectLeadersRequest::decode(request.header.version, request.body)?;
        // Of all partitions those are left out that need no election, which are all.
        let topics = wanted.topic_partitions.unwrap_or_default();
        let results = topics.iter().map(|topic| {
            let partition = |partition: &i32| match partition_of(&topic.name, *partition, logs) {
                Some(_) => refusal(
                    *partition,
                    ErrorCode::ElectionNotNeeded,
                    "the leader is the preferred one already",
                ),
                None => unknown(*partition),
            };
            ElectionResult {
                topic: topic.name.clone(),
                partition_result: topic.partitions.iter().map(partition).collect(),
            }
        });
        let replica_election_results = results.collect();
        let response = ElectLeadersResponse { replica_election_results, ..ElectLeadersResponse::default() };
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }

    pub(super) fn alter_partition_reassignments(
        &mut self,
        request: &Request<'_>,
        logs: &Logs,
    ) -> Result<Handled, Refused> {
        let wanted = AlterPartitionReassignmentsRequest::decode(request.header.version, request.body)?;
        let cluster = self.own.settings.cluster.clone();
        let responses = wanted.topics.iter().map(|topic| {
            let partition = |moved: &ReassignablePartition| match partition_of(
                &topic.name,
                moved.partition_index,
                logs,
            ) {
                Some(partition) => reassign(moved, cluster.node(partition.shard)),
                None => unknown(moved.partition_index),
            };
            ReassignedTopic {
                name: topic.name.clone(),
                partitions: topic.partitions.iter().map(partition).collect(),
            }
        });
        let response = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: wanted.allow_replication_factor_change,
            responses: responses.collect(),
            ..AlterPartitionReassignmentsResponse::default()
        };
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }

    pub(super) fn list_partition_reassignments(&mut self, request: &Request<'_>) -> Result<Handled, Refused> {
        ListPartitionReassignmentsRequest::decode(request.header.version, request.body)?;
        self.answer(&request.reply, &ListPartitionReassignmentsResponse::default());
        Ok(Handled::Done)
    }
}

/// The partition of a topic with this number.
pub(super) fn partition_of<'a>(topic: &str, partition: i32, logs: &'a Logs) -> Option<&'a Partition> {
    let topic = logs.catalog().topic(topic)?;
    topic.partitions.get(usize::try_from(partition).ok()?)
}

fn refusal(partition_id: i32, code: ErrorCode, words: &'static str) -> PartitionError<'static> {
    PartitionError { partition_id, error_code: code.number(), error_message: Some(words.into()) }
}

fn unknown(partition: i32) -> PartitionError<'static> {
    refusal(partition, ErrorCode::UnknownTopicOrPartition, "there is no such partition: list the topics")
}

fn reassign(moved: &ReassignablePartition, present: &[i32; 1]) -> PartitionError<'static> {
    let partition_id = moved.partition_index;
    match moved.replicas.as_deref() {
        None => {
            refusal(partition_id, ErrorCode::NoReassignmentInProgress, "the partition is not being moved")
        }
        Some(replicas) if replicas == present => PartitionError { partition_id, ..PartitionError::default() },
        Some(_) => refusal(
            partition_id,
            ErrorCode::InvalidReplicaAssignment,
            "a partition has one replica here, and stays on its shard: assign the broker that it has",
        ),
    }
}

/// Topics from the cursor on, with up to `limit` partitions.
fn page<'a>(
    names: &[&'a str],
    cursor: Option<&Cursor<'_>>,
    limit: usize,
    cluster: &'a Cluster,
    logs: &'a Logs,
) -> DescribeTopicPartitionsResponse<'a> {
    let begin = cursor.map_or("", |cursor| cursor.topic_name.as_ref());
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut room = limit;
    for name in names.iter().filter(|name| **name >= begin) {
        let first =
            cursor.filter(|cursor| cursor.topic_name == *name).map_or(0, |cursor| cursor.partition_index);
        let first = usize::try_from(first).unwrap_or(0);
        let Some(topic) = logs.catalog().topic(name) else {
            response.topics.push(DescribedTopic {
                error_code: ErrorCode::UnknownTopicOrPartition.number(),
                name: Some(Cow::Borrowed(name)),
                ..DescribedTopic::default()
            });
            continue;
        };
        if room == 0 {
            response.next_cursor =
                Some(Cursor { topic_name: Cow::Borrowed(name), partition_index: first as i32 });
            break;
        }
        let last = topic.partitions.len().min(first.saturating_add(room));
        let shown = topic.partitions.get(first..last).unwrap_or_default();
        room -= shown.len();
        response.topics.push(described(name, topic, (first as i32..).zip(shown), cluster, logs));
        if last < topic.partitions.len() {
            response.next_cursor =
                Some(Cursor { topic_name: Cow::Borrowed(name), partition_index: last as i32 });
            break;
        }
    }
    response
}

fn described<'a>(
    name: &'a str,
    topic: &Topic,
    partitions: impl Iterator<Item = (i32, &'a Partition)>,
    cluster: &'a Cluster,
    logs: &Logs,
) -> DescribedTopic<'a> {
    let partition = |(partition_index, partition): (i32, &Partition)| {
        let node = cluster.node(partition.shard);
        DescribedPartition {
            error_code: 0,
            partition_index,
            leader_id: node[0],
            leader_epoch: 0,
            replica_nodes: Cow::Borrowed(node),
            isr_nodes: Cow::Borrowed(node),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: Cow::Borrowed(&[]),
        }
    };
    DescribedTopic {
        error_code: 0,
        name: Some(Cow::Borrowed(name)),
        topic_id: logs.uuid_of(topic),
        is_internal: is_internal(name),
        partitions: partitions.map(partition).collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
    }
}
