//! Brokers, their disks, the placement of partitions, features.

use super::NO_OPERATIONS;
use super::transactions::TxnTopic;
use crate::codec::{Str, Uuid, message};

message! {
    /// Asks for the brokers.
    pub struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }

    /// The brokers.
    pub struct DescribeClusterResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        endpoint_type: i8 [1..] = 1,
        cluster_id: Str<'a>,
        controller_id: i32 = -1,
        brokers: Vec<ClusterBroker<'a>>,
        cluster_authorized_operations: i32 = NO_OPERATIONS,
    }

    /// One of them.
    pub struct ClusterBroker<'a> {
        broker_id: i32,
        host: Str<'a>,
        port: i32,
        rack: Option<Str<'a>>,
        is_fenced: bool [2..],
    }

    /// How large partitions are on disk; null for all.
    pub struct DescribeLogDirsRequest<'a> {
        topics: Option<Vec<TxnTopic<'a>>>,
    }

    /// The log directories.
    pub struct DescribeLogDirsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [3..],
        results: Vec<LogDir<'a>>,
    }

    /// One of them.
    pub struct LogDir<'a> {
        error_code: i16,
        log_dir: Str<'a>,
        topics: Vec<LogDirTopic<'a>>,
        total_bytes: i64 [4..] = -1,
        usable_bytes: i64 [4..] = -1,
        is_cordoned: bool [5..],
    }

    /// A topic in it.
    pub struct LogDirTopic<'a> {
        name: Str<'a>,
        partitions: Vec<LogDirPartition>,
    }

    /// A partition of it.
    pub struct LogDirPartition {
        partition_index: i32,
        /// Bytes.
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }

    /// Elects leaders of all partitions (null) or some.
    pub struct ElectLeadersRequest<'a> {
        /// 0 preferred, 1 unclean.
        election_type: i8 [1..],
        topic_partitions: Option<Vec<TxnTopic<'a>>>,
        timeout_ms: i32 = 60_000,
    }

    /// Which were elected.
    pub struct ElectLeadersResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [1..],
        replica_election_results: Vec<ElectionResult<'a>>,
    }

    /// Of one topic.
    pub struct ElectionResult<'a> {
        topic: Str<'a>,
        partition_result: Vec<PartitionError<'a>>,
    }

    /// Of one partition.
    pub struct PartitionError<'a> {
        partition_id: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Moves partitions between brokers.
    pub struct AlterPartitionReassignmentsRequest<'a> {
        timeout_ms: i32 = 60_000,
        allow_replication_factor_change: bool [1..] = true,
        topics: Vec<ReassignableTopic<'a>>,
    }

    /// Of one topic.
    pub struct ReassignableTopic<'a> {
        name: Str<'a>,
        partitions: Vec<ReassignablePartition>,
    }

    /// One partition; null takes back what was begun.
    pub struct ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }

    /// Which are being moved.
    pub struct AlterPartitionReassignmentsResponse<'a> {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1..] = true,
        error_code: i16,
        error_message: Option<Str<'a>>,
        responses: Vec<ReassignedTopic<'a>>,
    }

    /// Of one topic.
    pub struct ReassignedTopic<'a> {
        name: Str<'a>,
        partitions: Vec<PartitionError<'a>>,
    }

    /// Which partitions are being moved.
    pub struct ListPartitionReassignmentsRequest<'a> {
        timeout_ms: i32 = 60_000,
        topics: Option<Vec<TxnTopic<'a>>>,
    }

    /// The partitions.
    pub struct ListPartitionReassignmentsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        topics: Vec<OngoingTopic<'a>>,
    }

    /// Of one topic.
    pub struct OngoingTopic<'a> {
        name: Str<'a>,
        partitions: Vec<OngoingPartition>,
    }

    /// One of them.
    pub struct OngoingPartition {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }

    /// Who votes on metadata.
    pub struct DescribeQuorumRequest<'a> {
        topics: Vec<QuorumTopicName<'a>>,
    }

    /// Of one topic.
    pub struct QuorumTopicName<'a> {
        topic_name: Str<'a>,
        partitions: Vec<QuorumPartitionIndex>,
    }

    /// Of one partition.
    pub struct QuorumPartitionIndex {
        partition_index: i32,
    }

    /// The voters.
    pub struct DescribeQuorumResponse<'a> {
        error_code: i16,
        error_message: Option<Str<'a>> [2..],
        topics: Vec<QuorumTopic<'a>>,
        nodes: Vec<QuorumNode<'a>> [2..],
    }

    /// Of one topic.
    pub struct QuorumTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<QuorumPartition<'a>>,
    }

    /// Of one partition.
    pub struct QuorumPartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>> [2..],
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<QuorumReplica>,
        observers: Vec<QuorumReplica>,
    }

    /// One of them.
    pub struct QuorumReplica {
        replica_id: i32,
        replica_directory_id: Uuid [2..],
        log_end_offset: i64,
        last_fetch_timestamp: i64 [1..] = -1,
        last_caught_up_timestamp: i64 [1..] = -1,
    }

    /// Where one of them is reached.
    pub struct QuorumNode<'a> {
        node_id: i32,
        listeners: Vec<QuorumListener<'a>>,
    }

    /// A listener.
    pub struct QuorumListener<'a> {
        name: Str<'a>,
        host: Str<'a>,
        port: u16,
    }

    /// Finalizes features.
    pub struct UpdateFeaturesRequest<'a> {
        timeout_ms: i32 = 60_000,
        feature_updates: Vec<FeatureUpdate<'a>>,
        /// Whether only to say what would happen.
        validate_only: bool [1..],
    }

    /// One feature; level 0 takes it back.
    pub struct FeatureUpdate<'a> {
        feature: Str<'a>,
        max_version_level: i16,
        allow_downgrade: bool [..=0],
        /// 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
        upgrade_type: i8 [1..] = 1,
    }

    /// Which were updated.
    pub struct UpdateFeaturesResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        results: Vec<FeatureResult<'a>> [..=1],
    }

    /// One feature.
    pub struct FeatureResult<'a> {
        feature: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
