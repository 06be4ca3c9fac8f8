//! What groups there are and what they look like, and deleting them.

use super::NO_OPERATIONS;
use crate::codec::{Blob, Str, message};

message! {
    /// Which groups there are, by their states and types if any are named.
    pub struct ListGroupsRequest<'a> {
        states_filter: Vec<Str<'a>> [4..],
        types_filter: Vec<Str<'a>> [5..],
    }

    /// The groups that the asked broker coordinates.
    pub struct ListGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        groups: Vec<ListedGroup<'a>>,
    }

    /// A group.
    pub struct ListedGroup<'a> {
        group_id: Str<'a>,
        protocol_type: Str<'a>,
        group_state: Str<'a> [4..],
        group_type: Str<'a> [5..],
    }

    /// What groups of the classic protocol look like.
    pub struct DescribeGroupsRequest<'a> {
        groups: Vec<Str<'a>>,
        include_authorized_operations: bool [3..],
    }

    /// The groups, in the order of the request.
    pub struct DescribeGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribedGroup<'a>>,
    }

    /// A group; one that does not exist is `Dead`.
    pub struct DescribedGroup<'a> {
        error_code: i16,
        error_message: Option<Str<'a>> [6..],
        group_id: Str<'a>,
        group_state: Str<'a>,
        protocol_type: Str<'a>,
        /// The assignor that the group has agreed on.
        protocol_data: Str<'a>,
        members: Vec<DescribedGroupMember<'a>>,
        authorized_operations: i32 [3..] = NO_OPERATIONS,
    }

    /// A member of it.
    pub struct DescribedGroupMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [4..],
        client_id: Str<'a>,
        client_host: Str<'a>,
        member_metadata: Blob<'a>,
        member_assignment: Blob<'a>,
    }

    /// Deletes groups without members.
    pub struct DeleteGroupsRequest<'a> {
        groups_names: Vec<Str<'a>>,
    }

    /// Which are deleted.
    pub struct DeleteGroupsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<DeletedGroup<'a>>,
    }

    /// What became of one.
    pub struct DeletedGroup<'a> {
        group_id: Str<'a>,
        error_code: i16,
    }

    /// What groups of the new protocol look like.
    pub struct ConsumerGroupDescribeRequest<'a> {
        group_ids: Vec<Str<'a>>,
        include_authorized_operations: bool,
    }

    /// The groups, in the order of the request.
    pub struct ConsumerGroupDescribeResponse<'a> {
        throttle_time_ms: i32,
        groups: Vec<DescribedConsumerGroup<'a>>,
    }

    /// A group of the new protocol.
    pub struct DescribedConsumerGroup<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        group_id: Str<'a>,
        group_state: Str<'a>,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Str<'a>,
        members: Vec<DescribedConsumerGroupMember<'a>>,
        authorized_operations: i32 = NO_OPERATIONS,
    }

    /// A member of it.
    pub struct DescribedConsumerGroupMember<'a> {
        member_id: Str<'a>,
        instance_id: Option<Str<'a>>,
        rack_id: Option<Str<'a>>,
        member_epoch: i32,
        client_id: Str<'a>,
        client_host: Str<'a>,
        subscribed_topic_names: Vec<Str<'a>>,
        subscribed_topic_regex: Option<Str<'a>>,
        /// What it has.
        assignment: DescribedAssignment<'a>,
        /// What it is to have.
        target_assignment: DescribedAssignment<'a>,
        /// -1 unknown, 0 of the classic protocol, 1 of the new one.
        member_type: i8 [1..] = -1,
    }

    /// Partitions of a member.
    pub struct DescribedAssignment<'a> {
        topic_partitions: Vec<DescribedTopicPartitions<'a>>,
    }

    /// Of one topic.
    pub struct DescribedTopicPartitions<'a> {
        topic_id: crate::codec::Uuid,
        topic_name: Str<'a>,
        partitions: Vec<i32>,
    }
}
