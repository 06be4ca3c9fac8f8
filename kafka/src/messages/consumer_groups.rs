//! The new group protocol (KIP-848): the broker assigns, members confirm.

use crate::codec::{Str, Uuid, message};

message! {
    /// Joins with epoch 0, stays with its epoch, leaves with -1 (-2 a static member that will come back). Null says that
    /// nothing has changed.
    pub struct ConsumerGroupHeartbeatRequest<'a> {
        group_id: Str<'a>,
        member_id: Str<'a>,
        member_epoch: i32,
        instance_id: Option<Str<'a>>,
        rack_id: Option<Str<'a>>,
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<Str<'a>>>,
        subscribed_topic_regex: Option<Str<'a>> [1..],
        server_assignor: Option<Str<'a>>,
        /// What the member has.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of a topic.
    pub struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    /// What the member is to have; null if that has not changed.
    pub struct ConsumerGroupHeartbeatResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        member_id: Option<Str<'a>>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }

    /// All partitions of a member.
    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}

super::nullable!(Assignment);
