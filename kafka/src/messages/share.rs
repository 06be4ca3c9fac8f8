//! Share groups (KIP-932).

use super::NO_OPERATIONS;
use super::consumer_groups::{Assignment, TopicPartitions};
use super::group_admin::DescribedAssignment;
use super::produce::{LeaderIdAndEpoch, NodeEndpoint};
use crate::codec::{Blob, Str, Uuid, message};

message! {
    /// Joins with epoch 0, stays with its epoch, leaves with -1.
    pub struct ShareGroupHeartbeatRequest<'a> {
        group_id: Str<'a>,
        member_id: Str<'a>,
        member_epoch: i32,
        rack_id: Option<Str<'a>>,
        subscribed_topic_names: Option<Vec<Str<'a>>>,
    }

    /// What the member is to have; null if that has not changed.
    pub struct ShareGroupHeartbeatResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        member_id: Option<Str<'a>>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }

    /// What share groups look like.
    pub struct ShareGroupDescribeRequest<'a> {
        group_ids: Vec<Str<'a>>,
        include_authorized_operations: bool,
    }

    /// The groups, in the order of the request.
    pub struct ShareGroupDescribeResponse<'a> {
        throttle_time_ms: i32,
        groups: Vec<DescribedShareGroup<'a>>,
    }

    /// A share group.
    pub struct DescribedShareGroup<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        group_id: Str<'a>,
        group_state: Str<'a>,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Str<'a>,
        members: Vec<DescribedShareGroupMember<'a>>,
        authorized_operations: i32 = NO_OPERATIONS,
    }

    /// A member of it.
    pub struct DescribedShareGroupMember<'a> {
        member_id: Str<'a>,
        rack_id: Option<Str<'a>>,
        member_epoch: i32,
        client_id: Str<'a>,
        client_host: Str<'a>,
        subscribed_topic_names: Vec<Str<'a>>,
        assignment: DescribedAssignment<'a>,
    }

    /// Acquires records.
    pub struct ShareFetchRequest<'a> {
        group_id: Option<Str<'a>>,
        member_id: Option<Str<'a>>,
        share_session_epoch: i32,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        max_records: i32,
        batch_size: i32,
        share_acquire_mode: i8 [2..],
        is_renew_ack: bool [2..],
        topics: Vec<ShareFetchTopic>,
        forgotten_topics_data: Vec<TopicPartitions>,
    }

    /// Of one topic.
    pub struct ShareFetchTopic {
        topic_id: Uuid,
        partitions: Vec<ShareFetchPartition>,
    }

    /// Of one partition, with what became of records before.
    pub struct ShareFetchPartition {
        partition_index: i32,
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }

    /// What became of records: 0 a gap, 1 accepted, 2 released, 3 rejected, 4 renewed.
    pub struct AcknowledgementBatch {
        first_offset: i64,
        last_offset: i64,
        acknowledge_types: Vec<i8>,
    }

    /// The records.
    pub struct ShareFetchResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        acquisition_lock_timeout_ms: i32,
        responses: Vec<ShareFetchedTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>>,
    }

    /// Of one topic.
    pub struct ShareFetchedTopic<'a> {
        topic_id: Uuid,
        partitions: Vec<ShareFetchedPartition<'a>>,
    }

    /// Of one partition.
    pub struct ShareFetchedPartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        acknowledge_error_code: i16,
        acknowledge_error_message: Option<Str<'a>>,
        current_leader: LeaderIdAndEpoch = LeaderIdAndEpoch { leader_id: 0, leader_epoch: 0 },
        records: Blob<'a>,
        acquired_records: Vec<AcquiredRecords>,
    }

    /// Records that the member has now.
    pub struct AcquiredRecords {
        first_offset: i64,
        last_offset: i64,
        delivery_count: i16,
    }

    /// Says what became of records.
    pub struct ShareAcknowledgeRequest<'a> {
        group_id: Option<Str<'a>>,
        member_id: Option<Str<'a>>,
        share_session_epoch: i32,
        is_renew_ack: bool [2..],
        topics: Vec<ShareFetchTopic>,
    }

    /// Which were taken note of.
    pub struct ShareAcknowledgeResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        acquisition_lock_timeout_ms: i32 [2..],
        responses: Vec<ShareAcknowledgedTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>>,
    }

    /// Of one topic.
    pub struct ShareAcknowledgedTopic<'a> {
        topic_id: Uuid,
        partitions: Vec<ShareAcknowledgedPartition<'a>>,
    }

    /// Of one partition.
    pub struct ShareAcknowledgedPartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        current_leader: LeaderIdAndEpoch = LeaderIdAndEpoch { leader_id: 0, leader_epoch: 0 },
    }

    /// How far share groups are.
    pub struct DescribeShareGroupOffsetsRequest<'a> {
        groups: Vec<ShareGroupTopics<'a>>,
    }

    /// One group; null for all topics.
    pub struct ShareGroupTopics<'a> {
        group_id: Str<'a>,
        topics: Option<Vec<ShareTopic<'a>>>,
    }

    /// One topic.
    pub struct ShareTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<i32>,
    }

    /// How far they are.
    pub struct DescribeShareGroupOffsetsResponse<'a> {
        throttle_time_ms: i32,
        groups: Vec<ShareGroupOffsets<'a>>,
    }

    /// One group.
    pub struct ShareGroupOffsets<'a> {
        group_id: Str<'a>,
        topics: Vec<ShareTopicOffsets<'a>>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// One topic.
    pub struct ShareTopicOffsets<'a> {
        topic_name: Str<'a>,
        topic_id: Uuid,
        partitions: Vec<SharePartitionOffset<'a>>,
    }

    /// One partition.
    pub struct SharePartitionOffset<'a> {
        partition_index: i32,
        start_offset: i64,
        leader_epoch: i32,
        lag: i64 [1..] = -1,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Changes how far a group is.
    pub struct AlterShareGroupOffsetsRequest<'a> {
        group_id: Str<'a>,
        topics: Vec<AlterShareTopic<'a>>,
    }

    /// In one topic.
    pub struct AlterShareTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<AlterSharePartition>,
    }

    /// In one partition.
    pub struct AlterSharePartition {
        partition_index: i32,
        start_offset: i64,
    }

    /// Which were changed.
    pub struct AlterShareGroupOffsetsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        responses: Vec<AlteredShareTopic<'a>>,
    }

    /// In one topic.
    pub struct AlteredShareTopic<'a> {
        topic_name: Str<'a>,
        topic_id: Uuid,
        partitions: Vec<AlteredSharePartition<'a>>,
    }

    /// In one partition.
    pub struct AlteredSharePartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Forgets how far a group is.
    pub struct DeleteShareGroupOffsetsRequest<'a> {
        group_id: Str<'a>,
        topics: Vec<DeleteShareTopic<'a>>,
    }

    /// In one topic.
    pub struct DeleteShareTopic<'a> {
        topic_name: Str<'a>,
    }

    /// Which were forgotten.
    pub struct DeleteShareGroupOffsetsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        responses: Vec<DeletedShareTopic<'a>>,
    }

    /// In one topic.
    pub struct DeletedShareTopic<'a> {
        topic_name: Str<'a>,
        topic_id: Uuid,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
