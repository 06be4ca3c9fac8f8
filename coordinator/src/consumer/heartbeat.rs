//! Heartbeats: members come, stay, change what they want, and leave.

use std::collections::BTreeSet;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::consumer_groups::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::advance::Arrival;
use super::partitions::{from_lists, to_lists};
use super::{
    AWAY, Assignor, Change, ConsumerGroup, CurrentAssignment, Decision, Member, MemberId, MemberMetadata,
    MemberState, Partitions, Refusal, Timer, pattern,
};
use crate::groups::settings::{MAX_INSTANCE_ID_BYTES, MAX_NAME_BYTES};
use crate::machine::{Call, Now, Topics};

/// The epoch of a member that comes.
const JOIN: i32 = 0;
/// The epoch of a member that leaves for good.
const LEAVE: i32 = -1;
/// From this version on members choose their ids themselves, so that one whose first answer is lost stays one.
const OWN_IDS: i16 = 1;

/// Whether a heartbeat can begin a group.
pub fn begins_group(request: &ConsumerGroupHeartbeatRequest<'_>) -> bool {
    request.member_epoch == JOIN
}

/// Checks a heartbeat by itself.
///
/// # Errors
/// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.
pub fn check(version: i16, request: &ConsumerGroupHeartbeatRequest<'_>) -> Result<(), Refusal> {
    let present = |field: &str, name: &str| match field.is_empty() {
        true => Err(Refusal::invalid(&format!("{name} can't be empty."))),
        false => Ok(()),
    };
    present(&request.group_id, "GroupId")?;
    present(request.instance_id.as_deref().unwrap_or("-"), "InstanceId")?;
    present(request.rack_id.as_deref().unwrap_or("-"), "RackId")?;
    if version >= OWN_IDS || request.member_epoch != JOIN {
        present(&request.member_id, "MemberId")?;
    }
    if request.member_id.len() > MAX_NAME_BYTES {
        return Err(Refusal::invalid(&format!("MemberId has {MAX_NAME_BYTES} bytes at most.")));
    }
    if request.instance_id.as_ref().is_some_and(|id| id.len() > MAX_INSTANCE_ID_BYTES) {
        return Err(Refusal::invalid(&format!("InstanceId has {MAX_INSTANCE_ID_BYTES} bytes at most.")));
    }
    match request.member_epoch {
        JOIN => check_join(request)?,
        AWAY if request.instance_id.is_none() => return Err(Refusal::invalid("InstanceId can't be null.")),
        epoch if epoch < AWAY => return Err(Refusal::invalid("MemberEpoch is invalid.")),
        _ => {}
    }
    match request.server_assignor.as_deref() {
        Some(name) if Assignor::of_name(name).is_none() => {
            let known = Assignor::ALL.map(Assignor::name).join(", ");
            let message = format!("ServerAssignor {name} is not supported. Supported assignors: {known}.");
            Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
        }
        _ => Ok(()),
    }
}

fn check_join(request: &ConsumerGroupHeartbeatRequest<'_>) -> Result<(), Refusal> {
    if request.rebalance_timeout_ms == -1 {
        return Err(Refusal::invalid("RebalanceTimeoutMs must be provided in first request."));
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return Err(Refusal::invalid("TopicPartitions must be empty when (re-)joining."));
    }
    // An empty list or pattern is a member that wants nothing yet.
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        let message =
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

/// Whether a member that may have missed answers says all there is to say: then it is told all.
fn is_full(request: &ConsumerGroupHeartbeatRequest<'_>) -> bool {
    let wants = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    request.member_epoch == JOIN
        || (request.rebalance_timeout_ms != -1 && wants && request.topic_partitions.is_some())
}

impl ConsumerGroup {
    /// Takes a heartbeat.
    ///
    /// # Errors
    /// What [`check`] refuses; UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID, UNRELEASED_INSTANCE_ID,
    /// GROUP_MAX_SIZE_REACHED, INVALID_REGULAR_EXPRESSION.
    pub fn heartbeat(
        &mut self,
        call: &Call<'_>,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<Decision, Refusal> {
        check(call.version, request)?;
        if request.member_epoch < JOIN {
            return self.leave(request);
        }
        let id: MemberId = match &*request.member_id {
            "" => call.random.to_string().into(),
            id => id.into(),
        };
        let (replaces, mut member) = self.admit(request, &id)?;
        let assigned_before = self.state.members.get(replaces.as_ref().unwrap_or(&id));
        let assigned_before = assigned_before.map(|member| member.current.assigned.clone());
        update(&mut member.about, call, request)?;

        let owned = request.topic_partitions.as_deref().map(from_lists);
        let arrival = Arrival { id: id.clone(), replaces, member, owned };
        let (changes, member) = self.advance(arrival, topics, now)?;
        self.touch(&id, now);
        if changes.is_empty() {
            self.confirm(&id, now);
        }
        let told = is_full(request) || assigned_before.as_ref() != Some(&member.current.assigned);
        let answer = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_string().into()),
            member_epoch: member.current.epoch,
            heartbeat_interval_ms: self.settings.heartbeat_interval_ms,
            assignment: told.then(|| Assignment { topic_partitions: to_lists(&member.current.assigned) }),
            ..Default::default()
        };
        Ok(Decision { records: self.encode(&changes), member: id, answer })
    }

    /// The member as it was, or a new one; and the member whose place it takes.
    fn admit(
        &self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        id: &MemberId,
    ) -> Result<(Option<MemberId>, Member), Refusal> {
        let joins = request.member_epoch == JOIN;
        let same_instance = match request.instance_id.as_deref() {
            Some(instance) => self.holder(instance, id, joins)?,
            None => None,
        };
        let replaces = same_instance.map(|(holder, _)| holder.clone()).filter(|holder| holder != id);
        let known = same_instance.map(|(_, member)| member).or_else(|| self.state.members.get(id));
        match known {
            Some(member) if joins => {
                // It has nothing any more, and gets back what nobody else was promised.
                let current =
                    CurrentAssignment { epoch: JOIN, previous_epoch: JOIN, ..member.current.clone() };
                Ok((replaces, Member { about: member.about.clone(), current }))
            }
            Some(member) => {
                check_epoch(&member.current, request)?;
                Ok((None, member.clone()))
            }
            None if !joins => Err(Refusal::unknown(id)),
            None if self.state.members.len() >= self.settings.max_size => {
                let limit = self.settings.max_size;
                let message =
                    format!("The consumer group has reached its maximum capacity of {limit} members.");
                Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
            }
            None => Ok((None, Member::default())),
        }
    }

    /// The member that has an instance id, if it lets this one have it.
    fn holder(
        &self,
        instance: &str,
        id: &MemberId,
        joins: bool,
    ) -> Result<Option<(&MemberId, &Member)>, Refusal> {
        let Some((holder, member)) = self.state.instance(instance) else {
            return if joins { Ok(None) } else { Err(Refusal::unknown(instance)) };
        };
        if holder == id {
            return Ok(Some((holder, member)));
        }
        if !joins {
            let message =
                format!("Static member {id} with instance id {instance} was fenced by member {holder}.");
            return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
        }
        // Of two with the same instance id the younger is refused, unless the older one left, or still speaks the classic
        // protocol and is replaced by its own upgrade.
        if member.current.epoch != AWAY && member.about.classic.is_none() {
            let message = format!(
                "Static member {id} with instance id {instance} cannot join the group because the instance id is owned \
                 by {holder} member."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Some((holder, member)))
    }

    fn leave(&self, request: &ConsumerGroupHeartbeatRequest<'_>) -> Result<Decision, Refusal> {
        let id: MemberId = (*request.member_id).into();
        let member = match request.instance_id.as_deref() {
            Some(instance) => self.holder(instance, &id, false)?.map(|(_, member)| member),
            None => self.state.members.get(&id),
        };
        let member = member.ok_or_else(|| Refusal::unknown(&id))?;
        let changes = match request.member_epoch {
            LEAVE => self.without(std::slice::from_ref(&id)),
            // What it has is kept for it until its session ends.
            _ => {
                let current = CurrentAssignment {
                    epoch: AWAY,
                    state: MemberState::Stable,
                    revoking: Partitions::new(),
                    ..member.current.clone()
                };
                vec![Change::Current(id.clone(), Some(current))]
            }
        };
        let answer = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_string().into()),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        Ok(Decision { records: self.encode(&changes), member: id, answer })
    }

    /// The member was heard of, whatever becomes of its request.
    pub(super) fn touch(&mut self, id: &MemberId, now: Now) {
        let (Some(member), Some(timer)) = (self.state.members.get(id), self.timers.get(id)) else { return };
        let session = now.clock_ms.saturating_add(self.session_timeout_ms(&member.about));
        self.timers.set(id, Timer { session, ..timer });
    }
}

/// Whether a member is where it is known to be, or one step behind: the answer that told of the step may have been lost.
fn check_epoch(
    current: &CurrentAssignment,
    request: &ConsumerGroupHeartbeatRequest<'_>,
) -> Result<(), Refusal> {
    let (said, known) = (request.member_epoch, current.epoch);
    let owned = request.topic_partitions.as_deref().map(from_lists);
    let missed_a_step = said < known
        && said == current.previous_epoch
        && owned.is_some_and(|owned| owned.is_subset(&current.assigned));
    if said == known || missed_a_step {
        return Ok(());
    }
    let greater = if said > known { "greater" } else { "smaller" };
    let message = format!(
        "The consumer group member has a {greater} member epoch ({said}) than the one known by the group coordinator \
         ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
}

/// Takes what a member says of itself; what it does not say stays as it was.
fn update(
    about: &mut MemberMetadata,
    call: &Call<'_>,
    request: &ConsumerGroupHeartbeatRequest<'_>,
) -> Result<(), Refusal> {
    let set = |field: &mut Option<String>, said: Option<&str>| {
        if let Some(said) = said.filter(|said| field.as_deref() != Some(said)) {
            *field = Some(said.to_owned());
        }
    };
    set(&mut about.instance_id, request.instance_id.as_deref());
    set(&mut about.rack_id, request.rack_id.as_deref());
    set(&mut about.assignor, request.server_assignor.as_deref());
    if request.rebalance_timeout_ms != -1 {
        about.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(names) = &request.subscribed_topic_names {
        let names: BTreeSet<&str> = names.iter().map(|name| &**name).collect();
        about.names = names.into_iter().map(str::to_owned).collect();
    }
    match request.subscribed_topic_regex.as_deref() {
        Some("") => about.pattern = None,
        Some(said) if about.pattern.as_deref() != Some(said) => {
            pattern::check(said)?;
            about.pattern = Some(said.to_owned());
        }
        _ => {}
    }
    about.client_id = call.client_id.to_owned();
    about.client_host = call.client_host.to_owned();
    about.classic = None;
    Ok(())
}
