//! Creating, changing and deleting topics.

use crate::codec::{Str, Uuid, message};

message! {
    /// Creates topics.
    pub struct CreateTopicsRequest<'a> {
        topics: Vec<CreatableTopic<'a>>,
        timeout_ms: i32 = 60_000,
        /// Whether only to say what would happen.
        validate_only: bool,
    }

    /// One of them.
    pub struct CreatableTopic<'a> {
        name: Str<'a>,
        /// -1 for what the broker is configured to, or where there are assignments.
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableAssignment>,
        configs: Vec<CreatableConfig<'a>>,
    }

    /// Which brokers have a partition.
    pub struct CreatableAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    /// A configuration of it.
    pub struct CreatableConfig<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
    }

    /// Which were created.
    pub struct CreateTopicsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<CreatedTopic<'a>>,
    }

    /// One of them. `configs` is dereferenced by Java: never null where a topic was created.
    pub struct CreatedTopic<'a> {
        name: Str<'a>,
        topic_id: Uuid [7..],
        error_code: i16,
        error_message: Option<Str<'a>>,
        topic_config_error_code: i16 [tag 0, 5..],
        num_partitions: i32 [5..] = -1,
        replication_factor: i16 [5..] = -1,
        configs: Option<Vec<CreatedConfig<'a>>> [5..] = Some(Vec::new()),
    }

    /// A configuration that it has.
    pub struct CreatedConfig<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
    }

    /// Deletes topics.
    pub struct DeleteTopicsRequest<'a> {
        topics: Vec<DeleteTopic<'a>> [6..],
        topic_names: Vec<Str<'a>> [..=5],
        timeout_ms: i32,
    }

    /// One of them, by name or by id.
    pub struct DeleteTopic<'a> {
        name: Option<Str<'a>>,
        topic_id: Uuid,
    }

    /// Which were deleted.
    pub struct DeleteTopicsResponse<'a> {
        throttle_time_ms: i32 [1..],
        responses: Vec<DeletedTopic<'a>>,
    }

    /// One of them.
    pub struct DeletedTopic<'a> {
        name: Option<Str<'a>> [null 6..],
        topic_id: Uuid [6..],
        error_code: i16,
        error_message: Option<Str<'a>> [5..],
    }

    /// Adds partitions.
    pub struct CreatePartitionsRequest<'a> {
        topics: Vec<CreatePartitionsTopic<'a>>,
        timeout_ms: i32,
        /// Whether only to say what would happen.
        validate_only: bool,
    }

    /// To one topic.
    pub struct CreatePartitionsTopic<'a> {
        name: Str<'a>,
        /// How many it is to have.
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// Which brokers have one of them.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    /// Which were added.
    pub struct CreatePartitionsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<CreatedPartitions<'a>>,
    }

    /// To one topic.
    pub struct CreatedPartitions<'a> {
        name: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Moves the start of partitions.
    pub struct DeleteRecordsRequest<'a> {
        topics: Vec<DeleteRecordsTopic<'a>>,
        timeout_ms: i32,
    }

    /// Of one topic.
    pub struct DeleteRecordsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<DeleteRecordsPartition>,
    }

    /// Of one partition; -1 for its high watermark.
    pub struct DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    /// Where they begin now.
    pub struct DeleteRecordsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<DeletedRecordsTopic<'a>>,
    }

    /// Of one topic.
    pub struct DeletedRecordsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<DeletedRecordsPartition>,
    }

    /// Of one partition.
    pub struct DeletedRecordsPartition {
        partition_index: i32,
        low_watermark: i64,
        error_code: i16,
    }
}
