//! Members of the classic protocol in a group of the new one, while the group changes over member by member: the broker
//! assigns to them too. They hear of it by heartbeats, join again at once instead of waiting for each other, and find what
//! they have as if a leader had assigned it.

use std::collections::BTreeSet;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeavingMember, SyncGroupRequest, SyncGroupResponse,
};

use super::advance::Arrival;
use super::describe::PROTOCOL_TYPE;
use super::protocol::{Subscription, read_subscription, write_assignment};
use super::{ClassicMember, ConsumerGroup, CurrentAssignment, Member, MemberId, MemberState, Timer};
use crate::machine::{Call, Now, Record, Topics};

/// What is to be done about a JoinGroup.
#[derive(Debug)]
pub(crate) struct Joined {
    pub records: Vec<Record>,
    pub member: MemberId,
    pub answer: JoinGroupResponse<'static>,
}

impl ConsumerGroup {
    /// Takes a JoinGroup of a member that has this id now; `new` says that it had none before.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn join_classic(
        &mut self,
        call: &Call<'_>,
        request: &JoinGroupRequest<'_>,
        (id, is_new): (&str, bool),
        (topics, now): (&dyn Topics, Now),
    ) -> Result<Joined, ErrorCode> {
        let subscription = self.check_protocols(request, topics)?;
        let id: MemberId = id.into();
        let (replaces, mut member) = self.admit_classic(request, &id, is_new)?;

        let about = &mut member.about;
        about.instance_id =
            request.group_instance_id.as_deref().map(str::to_owned).or(about.instance_id.take());
        about.rack_id = subscription.rack_id;
        about.client_id = call.client_id.to_owned();
        about.client_host = call.client_host.to_owned();
        about.names = subscription.topics;
        about.pattern = None;
        about.rebalance_timeout_ms = match request.rebalance_timeout_ms {
            -1 => request.session_timeout_ms,
            own => own,
        };
        let protocols = request.protocols.iter();
        about.classic = Some(ClassicMember {
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols.map(|p| (p.name.to_string(), p.metadata.to_vec())).collect(),
        });

        let arrival = Arrival { id: id.clone(), replaces, member, owned: Some(subscription.owned) };
        let (changes, member) = self.advance(arrival, topics, now).map_err(|refusal| refusal.code)?;
        let answer = JoinGroupResponse {
            generation_id: member.current.epoch,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: request.protocols.first().map(|p| p.name.to_string().into()),
            member_id: id.to_string().into(),
            ..Default::default()
        };
        Ok(Joined { records: self.encode(&changes), member: id, answer })
    }

    /// Whether a member that brings these assignors fits in, and what it wants.
    fn check_protocols(
        &self,
        request: &JoinGroupRequest<'_>,
        topics: &dyn Topics,
    ) -> Result<Subscription, ErrorCode> {
        let classic = || self.state.members.values().filter_map(|member| member.about.classic.as_ref());
        let common = request.protocols.iter().any(|offered| {
            classic().all(|member| member.protocols.iter().any(|(name, _)| *name == *offered.name))
        });
        let first = request.protocols.first().filter(|_| common && request.protocol_type == PROTOCOL_TYPE);
        let first = first.ok_or(ErrorCode::InconsistentGroupProtocol)?;
        read_subscription(&first.metadata, topics).map_err(|_| ErrorCode::InconsistentGroupProtocol)
    }

    /// The member as it was, or a new one; and the member whose place it takes.
    fn admit_classic(
        &self,
        request: &JoinGroupRequest<'_>,
        id: &MemberId,
        is_new: bool,
    ) -> Result<(Option<MemberId>, Member), ErrorCode> {
        let holder = request.group_instance_id.as_deref().map(|instance| self.state.instance(instance));
        match holder.flatten() {
            Some((holder, member)) if is_new => {
                let current = CurrentAssignment { epoch: 0, previous_epoch: 0, ..member.current.clone() };
                return Ok((Some(holder.clone()), Member { about: member.about.clone(), current }));
            }
            Some((holder, _)) if holder != id => return Err(ErrorCode::FencedInstanceId),
            None if holder.is_some() && !is_new => return Err(ErrorCode::UnknownMemberId),
            _ => {}
        }
        let known = self.state.members.get(id);
        if known.is_none() && self.state.members.len() >= self.settings.max_size {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        Ok((None, known.cloned().unwrap_or_default()))
    }

    /// The member of the classic protocol that a request is of.
    fn classic(&self, id: &str, instance: Option<&str>) -> Result<(&Member, &ClassicMember), ErrorCode> {
        if let Some(instance) = instance {
            let (holder, _) = self.state.instance(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if **holder != *id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        let member = self.state.members.get(id).ok_or(ErrorCode::UnknownMemberId)?;
        Ok((member, member.about.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?))
    }

    /// A JoinGroup is answered: its member has to ask for what it has.
    pub(crate) fn confirm_classic(&mut self, id: &MemberId, now: Now) {
        self.timers.remove(id);
        self.confirm(id, now);
        self.await_classic(id, now);
    }

    /// The time begins within which a member has to do what it has been told, if it does not run already.
    fn await_classic(&mut self, id: &MemberId, now: Now) {
        let (Some(member), Some(timer)) = (self.state.members.get(id), self.timers.get(id)) else { return };
        let timeout = u64::try_from(member.about.rebalance_timeout_ms).unwrap_or_default();
        let due = (member.current.epoch, now.clock_ms.saturating_add(timeout));
        self.timers.set(id, Timer { rebalance: timer.rebalance.or(Some(due)), ..timer });
    }

    /// Takes a SyncGroup.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn sync_classic(
        &mut self,
        request: &SyncGroupRequest<'_>,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<SyncGroupResponse<'static>, ErrorCode> {
        let instance = request.group_instance_id.as_deref();
        let (member, classic) = self.classic(&request.member_id, instance)?;
        let current = &member.current;
        if request.generation_id != current.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        let (name, metadata) = classic.protocols.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let differs = |said: Option<&str>, known: &str| said.is_some_and(|said| said != known);
        if differs(request.protocol_type.as_deref(), PROTOCOL_TYPE)
            || differs(request.protocol_name.as_deref(), name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let id: MemberId = (*request.member_id).into();
        // One that is to give up partitions has joined already, and first hears of these.
        if self.state.epoch > current.epoch && current.state != MemberState::UnrevokedPartitions {
            self.await_classic(&id, now);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let version = read_subscription(metadata, topics).map_or(0, |subscription| subscription.version);
        let assignment = write_assignment(version, &current.assigned, topics);
        self.timers.remove(&id);
        self.confirm(&id, now);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.as_deref().map(|name| name.to_owned().into()),
            protocol_name: request.protocol_name.as_deref().map(|name| name.to_owned().into()),
            assignment: assignment.into(),
            ..Default::default()
        })
    }

    /// Takes a Heartbeat: whether the member has to join again, as there is something to give up or to get.
    pub(crate) fn heartbeat_classic(&mut self, request: &HeartbeatRequest<'_>, now: Now) -> ErrorCode {
        let id: MemberId = (*request.member_id).into();
        let member = match self.classic(&id, request.group_instance_id.as_deref()) {
            Ok((member, _)) => member,
            Err(error) => return error,
        };
        let current = &member.current;
        if request.generation_id != current.epoch {
            return ErrorCode::IllegalGeneration;
        }
        let joins_again = current.epoch < self.state.epoch
            || match current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => self.can_get_all(&id, current),
                MemberState::Stable | MemberState::Unknown => false,
            };
        self.touch(&id, now);
        if !joins_again {
            return ErrorCode::None;
        }
        self.await_classic(&id, now);
        ErrorCode::RebalanceInProgress
    }

    /// Whether nobody has any more what a member waits for.
    fn can_get_all(&self, id: &MemberId, current: &CurrentAssignment) -> bool {
        let missing =
            self.state.targets.get(id).into_iter().flat_map(|target| target.difference(&current.assigned));
        missing.into_iter().all(|&partition| self.state.is_free_for(id, partition))
    }

    /// Takes a LeaveGroup: what is to be stored, and what becomes of each.
    pub(crate) fn leave_classic(&self, leaving: &[LeavingMember<'_>]) -> (Vec<Record>, Vec<ErrorCode>) {
        let mut gone: Vec<MemberId> = Vec::new();
        let results = leaving.iter().map(|one| {
            let instance = one.group_instance_id.as_deref();
            // An administrator names a static member by the id that he knows.
            let holder =
                instance.and_then(|instance| self.state.instance(instance)).map(|(id, _)| id.clone());
            let id = match &*one.member_id {
                "" => holder.ok_or(ErrorCode::UnknownMemberId)?,
                id => id.into(),
            };
            self.classic(&id, instance)?;
            if gone.contains(&id) {
                return Err(ErrorCode::UnknownMemberId);
            }
            gone.push(id);
            Ok(())
        });
        let results = results.map(|result| result.err().unwrap_or_default()).collect();
        let changes = if gone.is_empty() { Vec::new() } else { self.without(&gone) };
        (self.encode(&changes), results)
    }

    /// Whether it has members that all speak the classic protocol and have an assignor in common: then they can agree among
    /// themselves again.
    pub(crate) fn is_classic_again(&self) -> bool {
        let mut members = self.state.members.values().map(|member| member.about.classic.as_ref());
        let Some(Some(first)) = members.next() else { return false };
        let mut common: BTreeSet<&str> = first.protocols.iter().map(|(name, _)| name.as_str()).collect();
        let all = members.all(|member| {
            let Some(member) = member else { return false };
            common.retain(|name| member.protocols.iter().any(|(own, _)| own == name));
            true
        });
        let mut instances = BTreeSet::new();
        let named = self.state.members.values().filter_map(|member| member.about.instance_id.as_ref());
        all && !common.is_empty() && named.into_iter().all(|instance| instances.insert(instance))
    }
}
