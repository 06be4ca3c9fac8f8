//! Topics, partitions and the brokers that lead them; who coordinates what; where offsets are.

use std::borrow::Cow;

use super::NO_OPERATIONS;
use crate::codec::{Str, Uuid, message};

message! {
    /// Asks for topics: null for all, and before version 1 an empty list for all.
    pub struct MetadataRequest<'a> {
        topics: Option<Vec<MetadataTopic<'a>>> [null 1..],
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    /// One of them, by name or by id.
    pub struct MetadataTopic<'a> {
        topic_id: Uuid [10..],
        name: Option<Str<'a>> [null 10..],
    }

    /// The brokers, and the topics that were asked for.
    pub struct MetadataResponse<'a> {
        throttle_time_ms: i32 [3..],
        brokers: Vec<MetadataBroker<'a>>,
        cluster_id: Option<Str<'a>> [2..],
        controller_id: i32 [1..] = -1,
        topics: Vec<MetadataResponseTopic<'a>>,
        cluster_authorized_operations: i32 [8..=10] = NO_OPERATIONS,
        error_code: i16 [13..],
    }

    /// A broker.
    pub struct MetadataBroker<'a> {
        node_id: i32,
        host: Str<'a>,
        port: i32,
        rack: Option<Str<'a>> [1..],
    }

    /// A topic.
    pub struct MetadataResponseTopic<'a> {
        error_code: i16,
        name: Option<Str<'a>> [null 12..],
        topic_id: Uuid [10..],
        is_internal: bool [1..],
        partitions: Vec<MetadataPartition<'a>>,
        topic_authorized_operations: i32 [8..] = NO_OPERATIONS,
    }

    /// A partition.
    pub struct MetadataPartition<'a> {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7..] = -1,
        replica_nodes: Cow<'a, [i32]>,
        isr_nodes: Cow<'a, [i32]>,
        offline_replicas: Cow<'a, [i32]> [5..],
    }

    /// Who coordinates groups (0), transactional ids (1) or share groups (2).
    pub struct FindCoordinatorRequest<'a> {
        key: Str<'a> [..=3],
        key_type: i8 [1..],
        coordinator_keys: Vec<Str<'a>> [4..],
    }

    /// The brokers that do; before version 4 one, in fields of its own.
    pub struct FindCoordinatorResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16 [..=3],
        error_message: Option<Str<'a>> [1..=3],
        node_id: i32 [..=3],
        host: Str<'a> [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator<'a>> [4..],
    }

    /// One of them.
    pub struct Coordinator<'a> {
        key: Str<'a>,
        node_id: i32,
        host: Str<'a>,
        port: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Where offsets are: the first (-2), the next (-1), that of the greatest timestamp (-3), or the first of a record as new
    /// as a timestamp.
    pub struct ListOffsetsRequest<'a> {
        /// -1 for consumers.
        replica_id: i32,
        /// 0 read uncommitted, 1 read committed.
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic<'a>>,
        timeout_ms: i32 [10..],
    }

    /// In one topic.
    pub struct ListOffsetsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// In one partition.
    pub struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4..] = -1,
        timestamp: i64,
    }

    /// The offsets.
    pub struct ListOffsetsResponse<'a> {
        throttle_time_ms: i32 [2..],
        topics: Vec<ListedOffsetsTopic<'a>>,
    }

    /// In one topic.
    pub struct ListedOffsetsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<ListedOffset>,
    }

    /// In one partition; -1 if there is none.
    pub struct ListedOffset {
        partition_index: i32,
        error_code: i16,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }

    /// Where the epochs of leaders ended.
    pub struct OffsetForLeaderEpochRequest<'a> {
        replica_id: i32 [3..] = -2,
        topics: Vec<OffsetForLeaderTopic<'a>>,
    }

    /// In one topic.
    pub struct OffsetForLeaderTopic<'a> {
        topic: Str<'a>,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// In one partition.
    pub struct OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    /// The ends.
    pub struct OffsetForLeaderEpochResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult<'a>>,
    }

    /// In one topic.
    pub struct OffsetForLeaderTopicResult<'a> {
        topic: Str<'a>,
        partitions: Vec<EpochEndOffset>,
    }

    /// In one partition.
    pub struct EpochEndOffset {
        error_code: i16,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// Topics and partitions, page by page.
    pub struct DescribeTopicPartitionsRequest<'a> {
        topics: Vec<TopicName<'a>>,
        response_partition_limit: i32 = 2000,
        cursor: Option<Cursor<'a>>,
    }

    /// A topic.
    pub struct TopicName<'a> {
        name: Str<'a>,
    }

    /// Where a page begins.
    pub struct Cursor<'a> {
        topic_name: Str<'a>,
        partition_index: i32,
    }

    /// A page.
    pub struct DescribeTopicPartitionsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<DescribedTopic<'a>>,
        next_cursor: Option<Cursor<'a>>,
    }

    /// A topic.
    pub struct DescribedTopic<'a> {
        error_code: i16,
        name: Option<Str<'a>>,
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribedPartition<'a>>,
        topic_authorized_operations: i32 = NO_OPERATIONS,
    }

    /// A partition.
    pub struct DescribedPartition<'a> {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Cow<'a, [i32]>,
        isr_nodes: Cow<'a, [i32]>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Cow<'a, [i32]>,
    }
}

super::nullable!(Cursor<'a>);
