//! SyncGroup.

use std::collections::HashMap;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::groups::{SyncGroupRequest, SyncGroupResponse};

use super::{ClassicGroup, State, sync_error};
use crate::groups::step::{Step, Then, refusal};
use crate::machine::{CallId, WriteError};

/// The version from which on a member says what it takes the group for.
const NAMES_PROTOCOL: i16 = 5;

/// What the members of a generation are assigned.
#[derive(Debug)]
pub(crate) struct Assignments {
    generation: i32,
    by_member: HashMap<String, Vec<u8>>,
}

impl ClassicGroup {
    /// Takes a SyncGroup, and answers it now or when the leader's assignment is stored.
    pub(crate) fn sync(
        &mut self,
        call: CallId,
        version: i16,
        request: &SyncGroupRequest<'_>,
        step: &mut Step<'_>,
    ) {
        if let Err(error) = self.check_sync(version, request) {
            return step.answer(call, sync_error(error));
        }
        let id = &*request.member_id;
        match self.state {
            State::Empty => step.answer(call, sync_error(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => step.answer(call, sync_error(ErrorCode::RebalanceInProgress)),
            State::CompletingRebalance => {
                self.park_sync(id, call, step);
                self.has_synced(id);
                if self.is_leader(id) {
                    self.assign(request, step);
                }
            }
            State::Stable => {
                self.has_synced(id);
                let assignment = self.members[id].assignment.clone();
                step.answer(call, self.sync_response(assignment));
            }
        }
    }

    fn check_sync(&self, version: i16, request: &SyncGroupRequest<'_>) -> Result<(), ErrorCode> {
        if self.is_empty() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |said: Option<&str>, known: Option<&str>| match (said, known) {
            (Some(said), Some(known)) => said != known,
            (None, _) => version >= NAMES_PROTOCOL,
            (Some(_), None) => false,
        };
        let differs = differs(request.protocol_type.as_deref(), self.protocol_type.as_deref())
            || differs(request.protocol_name.as_deref(), self.protocol.as_deref());
        if differs { Err(ErrorCode::InconsistentGroupProtocol) } else { Ok(()) }
    }

    fn park_sync(&mut self, id: &str, call: CallId, step: &mut Step<'_>) {
        let member = self.members.get_mut(id).expect("it was checked that it is one");
        if let Some(older) = member.syncing.replace(call) {
            step.answer(older, sync_error(ErrorCode::RebalanceInProgress));
        }
    }

    /// Stores what the leader has assigned; who it has forgotten gets nothing.
    fn assign(&mut self, request: &SyncGroupRequest<'_>, step: &mut Step<'_>) {
        let by_member = request.assignments.iter();
        let by_member: HashMap<String, Vec<u8>> = by_member
            .filter(|part| self.members.contains_key(&*part.member_id))
            .map(|part| (part.member_id.clone().into_owned(), part.assignment.clone().into_owned()))
            .collect();
        let record = self.record(|id, _| by_member.get(id).map_or(&[], Vec::as_slice));
        let assignments = Assignments { generation: self.generation, by_member };
        step.write(vec![record], Then::Assigned { group: self.id.clone(), assignments });
    }

    /// The leader's assignment is stored, or could not be. The group may have gone on in the meantime.
    pub(crate) fn assigned(
        &mut self,
        assignments: Assignments,
        result: Result<(), WriteError>,
        step: &mut Step<'_>,
    ) {
        if self.state != State::CompletingRebalance || self.generation != assignments.generation {
            return;
        }
        if let Err(error) = result {
            self.reset_assignments(refusal(error), step);
            return self.prepare_rebalance(step);
        }
        let mut by_member = assignments.by_member;
        let (mut answers, ids) = (Vec::new(), self.members.keys().cloned().collect::<Vec<_>>());
        for id in ids {
            let member = self.members.get_mut(&id).expect("it was listed just now");
            member.assignment = by_member.remove(&id).unwrap_or_default();
            if let Some(call) = member.syncing.take() {
                answers.push((call, member.assignment.clone()));
                self.heard_from(&id, step);
            }
        }
        for (call, assignment) in answers {
            step.answer(call, self.sync_response(assignment));
        }
        self.enter(State::Stable, step);
    }

    fn sync_response(&self, assignment: Vec<u8>) -> Response<'static> {
        Response::SyncGroup(SyncGroupResponse {
            protocol_type: self.protocol_type.clone().map(Into::into),
            protocol_name: self.protocol.clone().map(Into::into),
            assignment: assignment.into(),
            ..Default::default()
        })
    }
}
