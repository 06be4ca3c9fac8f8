//! JoinGroup.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::groups::JoinGroupRequest;

use super::{ClassicGroup, Member, State, join_error};
use crate::groups::ids;
use crate::groups::settings::{
    MAX_INSTANCE_ID_BYTES, MAX_MEMBERS_BYTES, MAX_NAME_BYTES, MAX_PENDING_MEMBERS, NEW_MEMBER_TIMEOUT_MS,
    Settings,
};
use crate::groups::step::Step;
use crate::machine::{Call, CallId};

/// The version from which on a client is told its member id before it joins.
pub(crate) const KNOWN_MEMBER_ID: i16 = 4;

/// Who joins, and by which request.
#[derive(Clone, Copy)]
pub(crate) struct Joining<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) request: &'a JoinGroupRequest<'a>,
}

impl Joining<'_> {
    pub(super) fn id(&self) -> CallId {
        self.call.id
    }

    /// Whether the request can be one at all.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), ErrorCode> {
        let request = self.request;
        let sessions = settings.group_min_session_timeout_ms..=settings.group_max_session_timeout_ms;
        if !sessions.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        if request.group_instance_id.as_ref().is_some_and(|id| id.len() > MAX_INSTANCE_ID_BYTES) {
            return Err(ErrorCode::InvalidConfig);
        }
        let mut names =
            request.protocols.iter().map(|protocol| &protocol.name).chain([&request.protocol_type]);
        if names.any(|name| name.len() > MAX_NAME_BYTES) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }
}

impl ClassicGroup {
    /// Takes a JoinGroup, and answers it now or when all have joined.
    pub(crate) fn join(&mut self, joining: Joining<'_>, step: &mut Step<'_>) {
        let request = joining.request;
        let id = &*request.member_id;
        if !self.has_room_for(joining, step.settings) {
            step.answer(joining.id(), join_error("", ErrorCode::GroupMaxSizeReached));
            self.remove(id, ErrorCode::GroupMaxSizeReached, step);
            return self.maybe_complete_join(step);
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return step.answer(joining.id(), join_error(id, ErrorCode::InconsistentGroupProtocol));
        }
        if id.is_empty() { self.join_new(joining, step) } else { self.join_known(joining, step) }
    }

    /// Whether there is room for one more. One that the group waits for already has its place.
    fn has_room_for(&self, joining: Joining<'_>, settings: &Settings) -> bool {
        let present = self.members.get(&*joining.request.member_id);
        let new: usize = joining.request.protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum();
        if self.bytes - present.map_or(0, Member::bytes) + new > MAX_MEMBERS_BYTES {
            return false;
        }
        match self.state {
            State::Empty => true,
            // Of a group that has become too large those have a place who are the first to join again.
            State::PreparingRebalance => {
                present.is_some_and(|m| m.joining.is_some()) || self.joining < settings.max_members()
            }
            State::CompletingRebalance | State::Stable => {
                present.is_some() || self.members.len() < settings.max_members()
            }
        }
    }

    /// Somebody joins who has no member id.
    fn join_new(&mut self, joining: Joining<'_>, step: &mut Step<'_>) {
        let Joining { call, request } = joining;
        if let Some(instance) = request.group_instance_id.as_deref() {
            let id = ids::member_id(instance, call.random);
            return match self.statics.get(instance).cloned() {
                Some(older) => self.replace_static(&older, id, joining, step),
                None => self.add_joining(&id, joining, step),
            };
        }
        let id = ids::member_id(ids::client_part(call.client_id), call.random);
        if call.version < KNOWN_MEMBER_ID {
            return self.add_joining(&id, joining, step);
        }
        if self.pending.len() >= MAX_PENDING_MEMBERS {
            return step.answer(call.id, join_error("", ErrorCode::CoordinatorNotAvailable));
        }
        step.answer(call.id, join_error(&id, ErrorCode::MemberIdRequired));
        let session = u64::try_from(request.session_timeout_ms).unwrap_or(0);
        self.pending.insert(id, step.now.clock_ms + session);
    }

    /// Somebody joins with a member id.
    fn join_known(&mut self, joining: Joining<'_>, step: &mut Step<'_>) {
        let request = joining.request;
        let id = &*request.member_id;
        if self.pending.contains_key(id) && request.group_instance_id.is_none() {
            return self.add_joining(id, joining, step);
        }
        if let Err(error) = self.check_member(id, request.group_instance_id.as_deref()) {
            return step.answer(joining.id(), join_error(id, error));
        }
        let changes = !self.members[id].matches(request);
        let joins_anew = match self.state {
            State::PreparingRebalance => true,
            // The leader may know of something that its metadata do not show, as of new partitions.
            State::Stable => changes || self.is_leader(id),
            State::CompletingRebalance => changes,
            State::Empty => return step.answer(joining.id(), join_error(id, ErrorCode::UnknownMemberId)),
        };
        if joins_anew {
            self.change(id, |member| member.update(joining.call.version, request));
            self.park_join(id, joining.id(), step);
            self.rebalance_or_complete(step);
        } else {
            // It may have missed the answer of this generation.
            step.answer(joining.id(), Response::JoinGroup(self.join_response(id, false)));
        }
    }

    /// Adds a member, which is answered when all have joined.
    fn add_joining(&mut self, id: &str, joining: Joining<'_>, step: &mut Step<'_>) {
        let Joining { call, request } = joining;
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone().into_owned());
        }
        let mut member = Member::joining(call.client_id, call.client_host, call.version, request);
        member.deadline_ms = step.now.clock_ms + NEW_MEMBER_TIMEOUT_MS;
        self.add(id, member);
        self.park_join(id, call.id, step);
        if self.state == State::PreparingRebalance && self.is_initial {
            self.more_came = true;
        }
        self.rebalance_or_complete(step);
    }
}
