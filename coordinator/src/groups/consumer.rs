//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups of the new protocol, beside those of the classic one.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::consumer_groups::ConsumerGroupHeartbeatRequest;
use ringmail_kafka::messages::group_admin::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumerGroup,
};
use ringmail_kafka::messages::groups::LeaveGroupResponse;

use super::classic::{Joining, KNOWN_MEMBER_ID, join_error};
use super::group::Group;
use super::settings::MAX_NAME_BYTES;
use super::step::{Step, Then, refusal};
use super::{Groups, conversion, ids};
use crate::consumer::{self, ConsumerGroup, Decision, Joined, MemberId, Refusal};
use crate::machine::{Call, CallId, Record, Replayed, Topics, WriteError};

/// An answer to a member that waits for what its request led to being stored.
#[derive(Debug)]
pub(crate) struct Heard {
    call: CallId,
    group: String,
    answer: Response<'static>,
    then: Follow,
}

/// Calls that end, and how.
type Ended = Vec<(CallId, Response<'static>)>;

/// What else follows once it is stored.
#[derive(Debug)]
enum Follow {
    /// Nothing: the member has left.
    Nothing,
    /// The clocks of the member start.
    Confirm(MemberId),
    /// Those of one of the classic protocol.
    ConfirmClassic(MemberId),
    /// The group has become one of the new protocol by that: calls that waited in the one that it was are ended.
    Upgraded(Ended),
}

impl Heard {
    pub(super) fn new(call: CallId, group: &str, answer: Response<'static>) -> Self {
        Self { call, group: group.to_owned(), answer, then: Follow::Nothing }
    }
}

impl Groups {
    pub(super) fn consumer_group_heartbeat(
        &mut self,
        call: &Call<'_>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let id = &*request.group_id;
        match self.decide(call, request, topics, step) {
            Err(refusal) => {
                step.answer(call.id, Response::ConsumerGroupHeartbeat(refusal.into_heartbeat()));
            }
            Ok((Decision { records, member, answer }, ended)) => {
                let answer = Response::ConsumerGroupHeartbeat(answer);
                let then = match ended {
                    None => Follow::Confirm(member),
                    Some(ended) => Follow::Upgraded(ended),
                };
                match records.is_empty() {
                    true => step.answer(call.id, answer),
                    false => {
                        step.write(records, Then::Heard(Heard { then, ..Heard::new(call.id, id, answer) }))
                    }
                }
            }
        }
        self.settle(id);
    }

    /// What follows from a heartbeat; and the calls that end by it if a group changes over to this protocol.
    fn decide(
        &mut self,
        call: &Call<'_>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        topics: &dyn Topics,
        step: &Step<'_>,
    ) -> Result<(Decision, Option<Ended>), Refusal> {
        consumer::check(call.version, request)?;
        let id = &*request.group_id;
        if id.len() > MAX_NAME_BYTES {
            let message = format!("A group's name has {MAX_NAME_BYTES} bytes at most.");
            return Err(Refusal::new(ErrorCode::InvalidGroupId, message));
        }
        let is_full = self.directory.is_full();
        let settings = step.settings.consumer();
        // The group comes to be once what it begins with is stored.
        let mut group = ConsumerGroup::new(id, settings);
        let (mut before, mut ended) = (Vec::new(), None);
        match self.directory.get_mut(id) {
            Some(Group::Consumer(group)) => {
                return Ok((group.heartbeat(call, request, topics, step.now)?, None));
            }
            _ if !consumer::begins_group(request) => return Err(missing(id)),
            None if is_full => {
                let message = "There are as many groups as there may be; delete some.";
                return Err(Refusal::new(ErrorCode::PolicyViolation, message));
            }
            None => {}
            // What has no members becomes whatever the next member wants; offsets stay.
            Some(classic) if classic.is_empty() => before = forget(classic),
            Some(classic) => {
                before = forget(classic);
                let Group::Classic(classic) = classic else { return Err(not_consumer(id)) };
                let members =
                    conversion::upgrade(classic, settings, topics).ok_or_else(|| not_consumer(id))?;
                before.extend(members.iter().map(|change| change.encode(id)));
                members.into_iter().for_each(|change| group.apply(change));
                ended = Some(conversion::end_calls(classic));
            }
        }
        let mut decision = group.heartbeat(call, request, topics, step.now)?;
        decision.records.splice(..0, before);
        Ok((decision, ended))
    }

    /// What a request led to is stored, or could not be.
    pub(super) fn heard(
        &mut self,
        heard: Heard,
        result: Result<(), WriteError>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let Heard { call, group: id, answer, then } = heard;
        if let Err(error) = result {
            step.answer(call, refused(&answer, refusal(error)));
            return self.settle(&id);
        }
        if let Some(Group::Consumer(group)) = self.directory.get_mut(&id) {
            match then {
                Follow::Nothing => {}
                Follow::Confirm(member) => group.confirm(&member, step.now),
                Follow::ConfirmClassic(member) => group.confirm_classic(&member, step.now),
                Follow::Upgraded(ended) => {
                    group.loaded(step.now);
                    ended.into_iter().for_each(|(call, answer)| step.answer(call, answer));
                }
            }
        }
        step.answer(call, answer);
        self.downgrade_if_due(&id, topics, step);
        self.settle(&id);
    }

    pub(super) fn consumer_group_describe(
        &self,
        request: &ConsumerGroupDescribeRequest<'_>,
        topics: &dyn Topics,
    ) -> Response<'static> {
        let describe = |id: &str| {
            let refusal = match self.directory.get(id) {
                Some(Group::Consumer(group)) => return group.describe(topics),
                _ if id.is_empty() => Refusal::new(ErrorCode::InvalidGroupId, "The group has no name."),
                None => missing(id),
                Some(Group::Classic(_)) => not_consumer(id),
            };
            DescribedConsumerGroup {
                error_code: refusal.code as i16,
                error_message: Some(refusal.message.into()),
                group_id: id.to_owned().into(),
                ..Default::default()
            }
        };
        let groups = request.group_ids.iter().map(|id| describe(id)).collect();
        Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse { groups, ..Default::default() })
    }

    /// Takes a record of a group of this protocol.
    pub(super) fn replay_consumer(&mut self, record: Replayed<'_>) -> Result<(), super::Malformed> {
        let (id, change) = consumer::decode(record.key, record.value)?;
        match self.directory.get_mut(&id) {
            Some(Group::Consumer(group)) => {
                group.apply(change);
                if group.is_gone() {
                    self.directory.remove(&id);
                }
            }
            _ if record.value.is_none() => {}
            // A group of the classic protocol has become one of this one.
            _ => {
                let mut group = ConsumerGroup::new(&id, self.settings.consumer());
                group.apply(change);
                if !group.is_gone() {
                    self.directory.insert(&id, Group::Consumer(group));
                }
            }
        }
        Ok(())
    }
}

/// Takes a JoinGroup of a member of the classic protocol.
pub(super) fn join_consumer(
    group: &mut ConsumerGroup,
    joining: Joining<'_>,
    topics: &dyn Topics,
    step: &mut Step<'_>,
) {
    let Joining { call, request } = joining;
    let is_new = request.member_id.is_empty();
    let id = match request.group_instance_id.as_deref() {
        _ if !is_new => request.member_id.clone().into_owned(),
        Some(instance) => ids::member_id(instance, call.random),
        None => ids::member_id(ids::client_part(call.client_id), call.random),
    };
    if is_new && request.group_instance_id.is_none() && call.version >= KNOWN_MEMBER_ID {
        return step.answer(call.id, join_error(&id, ErrorCode::MemberIdRequired));
    }
    match group.join_classic(call, request, (&id, is_new), (topics, step.now)) {
        Err(error) => step.answer(call.id, join_error(&request.member_id, error)),
        Ok(Joined { records, member, answer }) => {
            let answer = Response::JoinGroup(answer);
            if records.is_empty() {
                group.confirm_classic(&member, step.now);
                return step.answer(call.id, answer);
            }
            let then = Follow::ConfirmClassic(member);
            step.write(records, Then::Heard(Heard { then, ..Heard::new(call.id, group.name(), answer) }));
        }
    }
}

/// What a member is told if what its request led to could not be stored.
fn refused(answer: &Response<'static>, error: ErrorCode) -> Response<'static> {
    match answer {
        Response::ConsumerGroupHeartbeat(_) => {
            let refusal = Refusal::new(error, "What the heartbeat led to could not be stored.");
            Response::ConsumerGroupHeartbeat(refusal.into_heartbeat())
        }
        Response::JoinGroup(_) => join_error("", error),
        Response::LeaveGroup(_) => {
            Response::LeaveGroup(LeaveGroupResponse { error_code: error as i16, ..Default::default() })
        }
        other => unreachable!("{:?} is no answer to a member", std::mem::discriminant(other)),
    }
}

/// What makes room for a group of another kind with the same name.
fn forget(group: &Group) -> Vec<Record> {
    if group.stored_records().is_empty() { Vec::new() } else { group.tombstones() }
}

fn missing(id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {id} not found."))
}

fn not_consumer(id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {id} is not a consumer group."))
}
