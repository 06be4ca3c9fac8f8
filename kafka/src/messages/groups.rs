//! The classic group protocol: members join, the leader hands out the assignment, all stay by heartbeats.

use crate::codec::{Blob, Str, message};

message! {
    /// Enters a group, or enters it again for its next generation. Answered when all members have.
    pub struct JoinGroupRequest<'a> {
        group_id: Str<'a>,
        session_timeout_ms: i32,
        /// How long the others have to join again; the session timeout before version 1.
        rebalance_timeout_ms: i32 [1..] = -1,
        /// Empty for a member without an id.
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [5..],
        protocol_type: Str<'a>,
        /// In the order of the member's preference.
        protocols: Vec<JoinGroupProtocol<'a>>,
        reason: Option<Str<'a>> [8..],
    }

    /// An assignor that a member has, and what it would tell it.
    pub struct JoinGroupProtocol<'a> {
        name: Str<'a>,
        metadata: Blob<'a>,
    }

    /// The generation that was joined. Only the leader gets the members.
    pub struct JoinGroupResponse<'a> {
        throttle_time_ms: i32 [2..],
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<Str<'a>> [7..],
        protocol_name: Option<Str<'a>> [null 7..],
        leader: Str<'a>,
        /// Whether the leader, a static member that came back, is to leave the assignment as it is.
        skip_assignment: bool [9..],
        member_id: Str<'a>,
        members: Vec<JoinGroupMember<'a>>,
    }

    /// A member, as the leader sees it.
    pub struct JoinGroupMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [5..],
        metadata: Blob<'a>,
    }

    /// Brings the assignment, if it is the leader's, and asks for the member's own.
    pub struct SyncGroupRequest<'a> {
        group_id: Str<'a>,
        generation_id: i32,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [3..],
        protocol_type: Option<Str<'a>> [5..],
        protocol_name: Option<Str<'a>> [5..],
        assignments: Vec<SyncGroupAssignment<'a>>,
    }

    /// What one member is assigned.
    pub struct SyncGroupAssignment<'a> {
        member_id: Str<'a>,
        assignment: Blob<'a>,
    }

    /// The member's own assignment.
    pub struct SyncGroupResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        protocol_type: Option<Str<'a>> [5..],
        protocol_name: Option<Str<'a>> [5..],
        assignment: Blob<'a>,
    }

    /// Says that a member is there.
    pub struct HeartbeatRequest<'a> {
        group_id: Str<'a>,
        generation_id: i32,
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>> [3..],
    }

    /// Whether it still is a member, and whether it has to join again.
    pub struct HeartbeatResponse {
        throttle_time_ms: i32 [1..],
        error_code: i16,
    }

    /// Takes members out of a group.
    pub struct LeaveGroupRequest<'a> {
        group_id: Str<'a>,
        member_id: Str<'a> [..=2],
        members: Vec<LeavingMember<'a>> [3..],
    }

    /// A member that leaves.
    pub struct LeavingMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>>,
        reason: Option<Str<'a>> [5..],
    }

    /// Which have left.
    pub struct LeaveGroupResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        members: Vec<LeftMember<'a>> [3..],
    }

    /// What became of one that wanted to leave.
    pub struct LeftMember<'a> {
        member_id: Str<'a>,
        group_instance_id: Option<Str<'a>>,
        error_code: i16,
    }
}
