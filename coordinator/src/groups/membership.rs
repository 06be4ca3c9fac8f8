//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: to the group that they are for.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::groups::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse,
    LeavingMember, LeftMember, SyncGroupRequest,
};

use super::Groups;
use super::classic::{ClassicGroup, Joining, join_error, sync_error};
use super::consumer::{Heard, join_consumer};
use super::group::Group;
use super::settings::MAX_NAME_BYTES;
use super::step::{Step, Then};
use crate::machine::{Call, CallId, Topics};

/// The version from which on several members can leave by one request.
const SEVERAL_LEAVE: i16 = 3;

/// Whether a name can be one of a group that has members.
fn check_id(id: &str) -> Result<(), ErrorCode> {
    if id.is_empty() || id.len() > MAX_NAME_BYTES { Err(ErrorCode::InvalidGroupId) } else { Ok(()) }
}

impl Groups {
    pub(super) fn join_group(
        &mut self,
        call: &Call<'_>,
        request: &JoinGroupRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let joining = Joining { call, request };
        let id = &*request.group_id;
        let checked = check_id(id).and_then(|()| joining.check(step.settings));
        let checked = checked.and_then(|()| self.find_or_found(id, request));
        if let Err(error) = checked {
            return step.answer(call.id, join_error(&request.member_id, error));
        }
        match self.directory.get_mut(id).expect("it was found, or founded") {
            Group::Classic(group) => group.join(joining, step),
            // What has no members becomes whatever the next member wants, once that is stored: it is to come again then.
            Group::Consumer(group) if group.is_empty() => {
                let answer = join_error("", ErrorCode::CoordinatorLoadInProgress);
                step.write(group.tombstones(), Then::Heard(Heard::new(call.id, id, answer)));
            }
            Group::Consumer(group) => join_consumer(group, joining, topics, step),
        }
        self.settle(id);
    }

    /// Sees to it that there is a group to join. Who has a member id has it from a group that is there.
    fn find_or_found(&mut self, id: &str, request: &JoinGroupRequest<'_>) -> Result<(), ErrorCode> {
        match self.directory.get(id) {
            Some(Group::Consumer(group)) if group.is_empty() => {}
            Some(_) => return Ok(()),
            None if self.directory.is_full() => return Err(ErrorCode::PolicyViolation),
            None => {}
        }
        if !request.member_id.is_empty() {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.directory.get(id).is_none() {
            self.directory.insert(id, Group::Classic(ClassicGroup::new(id)));
        }
        Ok(())
    }

    pub(super) fn sync_group(
        &mut self,
        call: &Call<'_>,
        request: &SyncGroupRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let id = &*request.group_id;
        if let Err(error) = check_id(id) {
            return step.answer(call.id, sync_error(error));
        }
        match self.directory.get_mut(id) {
            None => step.answer(call.id, sync_error(ErrorCode::UnknownMemberId)),
            Some(Group::Classic(group)) => group.sync(call.id, call.version, request, step),
            Some(Group::Consumer(group)) => {
                let synced = group.sync_classic(request, topics, step.now);
                step.answer(call.id, synced.map_or_else(sync_error, Response::SyncGroup));
            }
        }
        self.settle(id);
    }

    pub(super) fn heartbeat(
        &mut self,
        call: CallId,
        request: &HeartbeatRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let id = &*request.group_id;
        let error = match (check_id(id), self.directory.get_mut(id)) {
            (Err(error), _) => error,
            (Ok(()), None) => ErrorCode::UnknownMemberId,
            (Ok(()), Some(Group::Classic(group))) => group.heartbeat(request, step),
            (Ok(()), Some(Group::Consumer(group))) => group.heartbeat_classic(request, step.now),
        };
        self.downgrade_if_due(id, topics, step);
        self.settle(id);
        let response = HeartbeatResponse { error_code: error as i16, ..Default::default() };
        step.answer(call, Response::Heartbeat(response));
    }

    pub(super) fn leave_group(
        &mut self,
        call: &Call<'_>,
        request: &LeaveGroupRequest<'_>,
        step: &mut Step<'_>,
    ) {
        let id = &*request.group_id;
        let alone = [LeavingMember { member_id: request.member_id.clone(), ..Default::default() }];
        let leaving = if call.version < SEVERAL_LEAVE { &alone[..] } else { &request.members };
        let mut response = LeaveGroupResponse::default();
        let mut records = Vec::new();
        let results = match (check_id(id), self.directory.get_mut(id)) {
            (Err(error), _) => {
                response.error_code = error as i16;
                Vec::new()
            }
            (Ok(()), None) => vec![ErrorCode::UnknownMemberId; leaving.len()],
            (Ok(()), Some(Group::Classic(group))) => group.leave(leaving, step),
            (Ok(()), Some(Group::Consumer(group))) => {
                let results;
                (records, results) = group.leave_classic(leaving);
                results
            }
        };
        self.settle(id);
        if call.version < SEVERAL_LEAVE {
            response.error_code = results.first().map_or(response.error_code, |&error| error as i16);
        } else {
            let left = leaving.iter().zip(results).map(|(member, error)| LeftMember {
                member_id: member.member_id.clone().into_owned().into(),
                group_instance_id: member.group_instance_id.clone().map(|id| id.into_owned().into()),
                error_code: error as i16,
            });
            response.members = left.collect();
        }
        let response = Response::LeaveGroup(response);
        match records.is_empty() {
            true => step.answer(call.id, response),
            false => step.write(records, Then::Heard(Heard::new(call.id, id, response))),
        }
    }
}
