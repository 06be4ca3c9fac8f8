//! Producers and their transactions.

use super::offsets::PartitionResult;
use crate::codec::{Str, message};

message! {
    /// Asks for a producer id, and with a transactional id for the next epoch.
    pub struct InitProducerIdRequest<'a> {
        transactional_id: Option<Str<'a>>,
        transaction_timeout_ms: i32,
        /// What the producer has; -1 for none.
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }

    /// The id and epoch.
    pub struct InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }

    /// Adds partitions to a transaction; from version 4 on to several, which is for brokers.
    pub struct AddPartitionsToTxnRequest<'a> {
        transactions: Vec<AddPartitionsToTxnTransaction<'a>> [4..],
        transactional_id: Str<'a> [..=3],
        producer_id: i64 [..=3],
        producer_epoch: i16 [..=3],
        topics: Vec<TxnTopic<'a>> [..=3],
    }

    /// To one.
    pub struct AddPartitionsToTxnTransaction<'a> {
        transactional_id: Str<'a>,
        producer_id: i64,
        producer_epoch: i16,
        verify_only: bool,
        topics: Vec<TxnTopic<'a>>,
    }

    /// Partitions of a topic.
    pub struct TxnTopic<'a> {
        name: Str<'a>,
        partitions: Vec<i32>,
    }

    /// Which were added.
    pub struct AddPartitionsToTxnResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [4..],
        results_by_transaction: Vec<AddPartitionsToTxnResult<'a>> [4..],
        results_by_topic: Vec<TxnTopicResult<'a>> [..=3],
    }

    /// To one.
    pub struct AddPartitionsToTxnResult<'a> {
        transactional_id: Str<'a>,
        topic_results: Vec<TxnTopicResult<'a>>,
    }

    /// Of one topic.
    pub struct TxnTopicResult<'a> {
        name: Str<'a>,
        partitions: Vec<PartitionResult>,
    }

    /// Says that offsets of a group will be committed in the transaction.
    pub struct AddOffsetsToTxnRequest<'a> {
        transactional_id: Str<'a>,
        producer_id: i64,
        producer_epoch: i16,
        group_id: Str<'a>,
    }

    /// Whether they may.
    pub struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32,
        error_code: i16,
    }

    /// Commits or aborts.
    pub struct EndTxnRequest<'a> {
        transactional_id: Str<'a>,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    /// From version 5 on with what the producer is to use from now on.
    pub struct EndTxnResponse {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 [5..] = -1,
        producer_epoch: i16 [5..] = -1,
    }

    /// Keeps how far a group is once the transaction is committed.
    pub struct TxnOffsetCommitRequest<'a> {
        transactional_id: Str<'a>,
        group_id: Str<'a>,
        producer_id: i64,
        producer_epoch: i16,
        generation_id_or_member_epoch: i32 [3..] = -1,
        member_id: Str<'a> [3..],
        group_instance_id: Option<Str<'a>> [3..],
        topics: Vec<TxnOffsetCommitTopic<'a>>,
    }

    /// In one topic.
    pub struct TxnOffsetCommitTopic<'a> {
        name: Str<'a>,
        partitions: Vec<TxnOffsetCommitPartition<'a>>,
    }

    /// In one partition.
    pub struct TxnOffsetCommitPartition<'a> {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2..] = -1,
        committed_metadata: Option<Str<'a>>,
    }

    /// Which are kept.
    pub struct TxnOffsetCommitResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<TxnTopicResult<'a>>,
    }

    /// Which producers write to partitions.
    pub struct DescribeProducersRequest<'a> {
        topics: Vec<TxnTopic<'a>>,
    }

    /// The producers.
    pub struct DescribeProducersResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<DescribedProducersTopic<'a>>,
    }

    /// To one topic.
    pub struct DescribedProducersTopic<'a> {
        name: Str<'a>,
        partitions: Vec<DescribedProducersPartition<'a>>,
    }

    /// To one partition.
    pub struct DescribedProducersPartition<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        active_producers: Vec<ProducerState>,
    }

    /// One of them.
    pub struct ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }

    /// What transactions look like.
    pub struct DescribeTransactionsRequest<'a> {
        transactional_ids: Vec<Str<'a>>,
    }

    /// The transactions.
    pub struct DescribeTransactionsResponse<'a> {
        throttle_time_ms: i32,
        transaction_states: Vec<DescribedTransaction<'a>>,
    }

    /// One of them.
    pub struct DescribedTransaction<'a> {
        error_code: i16,
        transactional_id: Str<'a>,
        transaction_state: Str<'a>,
        transaction_timeout_ms: i32,
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<TxnTopic<'a>>,
    }

    /// Which transactions there are.
    pub struct ListTransactionsRequest<'a> {
        state_filters: Vec<Str<'a>>,
        producer_id_filters: Vec<i64>,
        /// Only those that run for as many milliseconds.
        duration_filter: i64 [1..] = -1,
        transactional_id_pattern: Option<Str<'a>> [2..],
    }

    /// The transactions that the asked broker coordinates.
    pub struct ListTransactionsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        unknown_state_filters: Vec<Str<'a>>,
        transaction_states: Vec<ListedTransaction<'a>>,
    }

    /// One of them.
    pub struct ListedTransaction<'a> {
        transactional_id: Str<'a>,
        producer_id: i64,
        transaction_state: Str<'a>,
    }
}
