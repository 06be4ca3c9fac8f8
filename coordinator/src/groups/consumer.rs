//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups of the new protocol, beside those of the classic one.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::consumer_groups::ConsumerGroupHeartbeatRequest;
use ringmail_kafka::messages::group_admin::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumerGroup,
};

use super::Groups;
use super::group::Group;
use super::settings::MAX_NAME_BYTES;
use super::step::{Step, Then, refusal};
use crate::consumer::{self, ConsumerGroup, Decision, MemberId, Refusal};
use crate::machine::{Call, CallId, Record, Replayed, Topics, WriteError};

/// A heartbeat that waits for what it led to being stored.
#[derive(Debug)]
pub(crate) struct Heard {
    call: CallId,
    group: String,
    member: MemberId,
    answer: Response<'static>,
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
            Ok(Decision { records, member, answer }) => {
                let answer = Response::ConsumerGroupHeartbeat(answer);
                match records.is_empty() {
                    true => step.answer(call.id, answer),
                    false => {
                        let heard = Heard { call: call.id, group: id.to_owned(), member, answer };
                        step.write(records, Then::Heard(heard));
                    }
                }
            }
        }
        self.settle(id);
    }

    fn decide(
        &mut self,
        call: &Call<'_>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        topics: &dyn Topics,
        step: &Step<'_>,
    ) -> Result<Decision, Refusal> {
        consumer::check(call.version, request)?;
        let id = &*request.group_id;
        if id.len() > MAX_NAME_BYTES {
            let message = format!("A group's name has {MAX_NAME_BYTES} bytes at most.");
            return Err(Refusal::new(ErrorCode::InvalidGroupId, message));
        }
        let is_full = self.directory.is_full();
        let before = match self.directory.get_mut(id) {
            Some(Group::Consumer(group)) => return group.heartbeat(call, request, topics, step.now),
            _ if !consumer::begins_group(request) => return Err(missing(id)),
            None if is_full => {
                let message = "There are as many groups as there may be; delete some.";
                return Err(Refusal::new(ErrorCode::PolicyViolation, message));
            }
            None => Vec::new(),
            // What has no members becomes whatever the next member wants; offsets stay.
            Some(group) if group.is_empty() => forget(group),
            Some(Group::Classic(_)) => return Err(not_consumer(id)),
        };
        // The group comes to be once this is stored.
        let mut group = ConsumerGroup::new(id, step.settings.consumer());
        let mut decision = group.heartbeat(call, request, topics, step.now)?;
        decision.records.splice(..0, before);
        Ok(decision)
    }

    /// What a heartbeat led to is stored, or could not be.
    pub(super) fn heard(&mut self, heard: Heard, result: Result<(), WriteError>, step: &mut Step<'_>) {
        let Heard { call, group: id, member, mut answer } = heard;
        if let Err(error) = result {
            let message = "What the heartbeat led to could not be stored.";
            answer = Response::ConsumerGroupHeartbeat(Refusal::new(refusal(error), message).into_heartbeat());
        } else if let Some(Group::Consumer(group)) = self.directory.get_mut(&id) {
            group.confirm(&member, step.now);
        }
        self.settle(&id);
        step.answer(call, answer);
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

/// What makes room for a group of another kind with the same name.
pub(super) fn forget(group: &Group) -> Vec<Record> {
    if group.stored_records().is_empty() { Vec::new() } else { group.tombstones() }
}

fn missing(id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {id} not found."))
}

fn not_consumer(id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {id} is not a consumer group."))
}
