//! Produce: batches for partitions.

use super::{List, Records};
use crate::codec::{Str, Uuid, message};

message! {
    /// Appends batches. Answered once they are as safe as `acks` says; not at all if that is 0.
    pub struct ProduceRequest<'a> {
        transactional_id: Option<Str<'a>>,
        /// 0 no answer, 1 and -1 all that the broker can do.
        acks: i16,
        timeout_ms: i32,
        topic_data: List<'a, ProduceTopic<'a>>,
    }

    /// To one topic.
    pub struct ProduceTopic<'a> {
        name: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partition_data: List<'a, ProducePartition<'a>>,
    }

    /// To one partition.
    pub struct ProducePartition<'a> {
        index: i32,
        records: Records<'a>,
    }

    /// Where they are. Brokers write it with [`crate::produce::ProduceAnswer`].
    pub struct ProduceResponse<'a> {
        responses: Vec<ProducedTopic<'a>>,
        throttle_time_ms: i32 [1..],
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 10..],
    }

    /// In one topic.
    pub struct ProducedTopic<'a> {
        name: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<ProducedPartition<'a>>,
    }

    /// In one partition.
    pub struct ProducedPartition<'a> {
        index: i32,
        error_code: i16,
        /// -1 if nothing was stored.
        base_offset: i64,
        /// -1 unless the topic has the time of the append.
        log_append_time_ms: i64 [2..] = -1,
        log_start_offset: i64 [5..] = -1,
        record_errors: Vec<RecordError<'a>> [8..],
        error_message: Option<Str<'a>> [8..],
        current_leader: LeaderIdAndEpoch [tag 0, 10..],
    }

    /// What is wrong with one record.
    pub struct RecordError<'a> {
        batch_index: i32,
        batch_index_error_message: Option<Str<'a>>,
    }

    /// Who leads a partition.
    #[derive(Copy, Eq)]
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// Where a leader is reached.
    pub struct NodeEndpoint<'a> {
        node_id: i32,
        host: Str<'a>,
        port: i32,
        rack: Option<Str<'a>>,
    }
}
