//! Fetch: batches of partitions.

use super::produce::{LeaderIdAndEpoch, NodeEndpoint};
use super::{List, Records};
use crate::codec::{Str, Uuid, message};

message! {
    /// Reads batches. In a session that goes on, what is not named is as it was.
    pub struct FetchRequest<'a> {
        cluster_id: Option<Str<'a>> [tag 0, 12..],
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [tag 1, 15..],
        max_wait_ms: i32,
        min_bytes: i32,
        /// Bytes of the whole answer; one batch comes in any case.
        max_bytes: i32 = i32::MAX,
        /// 0 read uncommitted, 1 read committed.
        isolation_level: i8,
        session_id: i32 [7..],
        /// 0 begins a session, -1 is without one.
        session_epoch: i32 [7..] = -1,
        topics: List<'a, FetchTopic<'a>>,
        forgotten_topics_data: List<'a, ForgottenTopic<'a>> [7..],
        rack_id: Str<'a> [11..],
    }

    /// Which broker fetches, if it is one.
    #[derive(Copy, Eq)]
    pub struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// Of one topic.
    pub struct FetchTopic<'a> {
        topic: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partitions: List<'a, FetchPartition>,
    }

    /// Of one partition.
    #[derive(Copy, Eq)]
    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5..] = -1,
        /// Bytes; one batch comes in any case.
        partition_max_bytes: i32,
        replica_directory_id: Uuid [tag 0, 17..],
        high_watermark: i64 [tag 1, 18..] = i64::MAX,
    }

    /// Partitions that the session goes on without.
    pub struct ForgottenTopic<'a> {
        topic: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partitions: List<'a, i32>,
    }

    /// The batches. Brokers write it with [`crate::fetch::FetchAnswer`].
    pub struct FetchResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [7..],
        session_id: i32 [7..],
        responses: Vec<FetchedTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 16..],
    }

    /// Of one topic.
    pub struct FetchedTopic<'a> {
        topic: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchedPartition<'a>>,
    }

    /// Of one partition.
    pub struct FetchedPartition<'a> {
        partition_index: i32,
        error_code: i16,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        diverging_epoch: EpochEnd [tag 0, 12..],
        current_leader: LeaderIdAndEpoch [tag 1, 12..],
        snapshot_id: SnapshotId [tag 2, 12..],
        /// Null for readers of uncommitted records; in the order of their first offsets.
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        preferred_read_replica: i32 [11..] = -1,
        records: Records<'a>,
    }

    /// Where logs begin to differ.
    #[derive(Copy, Eq)]
    pub struct EpochEnd {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// A snapshot of metadata.
    #[derive(Copy, Eq)]
    pub struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// A transaction of which the reader is to leave out the records, from its first offset up to its abort marker.
    #[derive(Copy, Eq)]
    pub struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }
}
