//! How far groups are.

use crate::codec::{Str, Uuid, message};

message! {
    /// Keeps how far a group is.
    pub struct OffsetCommitRequest<'a> {
        group_id: Str<'a>,
        generation_id_or_member_epoch: i32 = -1,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [7..],
        /// -1 for what the broker is configured to.
        retention_time_ms: i64 [..=4] = -1,
        topics: Vec<OffsetCommitTopic<'a>>,
    }

    /// In one topic.
    pub struct OffsetCommitTopic<'a> {
        name: Str<'a> [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitPartition<'a>>,
    }

    /// In one partition.
    pub struct OffsetCommitPartition<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6..] = -1,
        committed_metadata: Option<Str<'a>>,
    }

    /// Which are kept.
    pub struct OffsetCommitResponse<'a> {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitTopicResult<'a>>,
    }

    /// In one topic.
    pub struct OffsetCommitTopicResult<'a> {
        name: Str<'a> [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<PartitionResult>,
    }

    /// In one partition.
    pub struct PartitionResult {
        partition_index: i32,
        error_code: i16,
    }

    /// How far a group is; before version 8 one group, in fields of its own.
    pub struct OffsetFetchRequest<'a> {
        group_id: Str<'a> [..=7],
        /// Null for all that the group has.
        topics: Option<Vec<OffsetFetchTopic<'a>>> [..=7],
        groups: Vec<OffsetFetchGroup<'a>> [8..],
        /// Whether to refuse while a transaction has offsets pending.
        require_stable: bool [7..],
    }

    /// One group.
    pub struct OffsetFetchGroup<'a> {
        group_id: Str<'a>,
        member_id: Option<Str<'a>> [9..],
        member_epoch: i32 [9..] = -1,
        /// Null for all that the group has.
        topics: Option<Vec<OffsetFetchTopic<'a>>>,
    }

    /// One topic.
    pub struct OffsetFetchTopic<'a> {
        name: Str<'a> [..=9],
        topic_id: Uuid [10..],
        partition_indexes: Vec<i32>,
    }

    /// How far they are; before version 8 one group, in fields of its own.
    pub struct OffsetFetchResponse<'a> {
        throttle_time_ms: i32 [3..],
        topics: Vec<FetchedOffsetTopic<'a>> [..=7],
        error_code: i16 [2..=7],
        groups: Vec<FetchedOffsetGroup<'a>> [8..],
    }

    /// One group.
    pub struct FetchedOffsetGroup<'a> {
        group_id: Str<'a>,
        topics: Vec<FetchedOffsetTopic<'a>>,
        error_code: i16,
    }

    /// One topic.
    pub struct FetchedOffsetTopic<'a> {
        name: Str<'a> [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<FetchedOffset<'a>>,
    }

    /// One partition; offset -1 if nothing is kept.
    pub struct FetchedOffset<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [5..] = -1,
        metadata: Option<Str<'a>>,
        error_code: i16,
    }

    /// Deletes offsets of topics that the group does not read.
    pub struct OffsetDeleteRequest<'a> {
        group_id: Str<'a>,
        topics: Vec<OffsetDeleteTopic<'a>>,
    }

    /// Of one topic.
    pub struct OffsetDeleteTopic<'a> {
        name: Str<'a>,
        partitions: Vec<i32>,
    }

    /// Which are deleted.
    pub struct OffsetDeleteResponse<'a> {
        error_code: i16,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteTopicResult<'a>>,
    }

    /// Of one topic.
    pub struct OffsetDeleteTopicResult<'a> {
        name: Str<'a>,
        partitions: Vec<PartitionResult>,
    }
}
