//! Groups that change over to the other protocol while they have members, as these are upgraded one after the other.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;

use super::Groups;
use super::classic::{CONSUMER, ClassicGroup, Member, NEVER, Protocol, join_error, sync_error};
use super::group::Group;
use super::step::{Step, Then};
use crate::consumer::{
    self, Change, ClassicMember, ConsumerGroup, CurrentAssignment, MemberId, MemberMetadata, MemberState,
    protocol::{read_assignment, read_subscription, write_assignment},
};
use crate::machine::{CallId, Topics, WriteError};

/// What makes a group of the new protocol of one of the classic protocol: the members have what they were assigned, and
/// the epoch is their generation. `None` if the broker cannot read what they have, or there are too many of them.
pub(super) fn upgrade(
    group: &ClassicGroup,
    settings: consumer::Settings,
    topics: &dyn Topics,
) -> Option<Vec<Change>> {
    if group.protocol_type.as_deref() != Some(CONSUMER) || group.members.len() > settings.max_size {
        return None;
    }
    let epoch = group.generation;
    let mut changes = vec![Change::Group(Some((epoch, 0))), Change::TargetEpoch(Some(epoch))];
    for (id, member) in &group.members {
        let id: MemberId = id.as_str().into();
        let first = member.protocols.first().map(|protocol| protocol.metadata.as_slice());
        let chosen = Some(member.metadata(group.protocol.as_deref())).filter(|chosen| !chosen.is_empty());
        let subscription = read_subscription(chosen.or(first)?, topics).ok()?;
        let mut assigned = read_assignment(&member.assignment, topics).ok()?;
        // It may not have heard yet that it is to give up some of what it had when it joined.
        assigned.extend(&subscription.owned);
        let protocols = member.protocols.iter();
        let about = MemberMetadata {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            names: subscription.topics,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: protocols.map(|p| (p.name.to_string(), p.metadata.clone())).collect(),
            }),
            ..Default::default()
        };
        let current = CurrentAssignment {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned: assigned.clone(),
            revoking: Default::default(),
        };
        changes.push(Change::Member(id.clone(), Some(about)));
        changes.push(Change::Target(id.clone(), Some(assigned)));
        changes.push(Change::Current(id, Some(current)));
    }
    Some(changes)
}

/// What those are told whose calls wait in a group that is no more: to join the one that has taken its place.
pub(super) fn end_calls(group: &ClassicGroup) -> Vec<(CallId, Response<'static>)> {
    let error = ErrorCode::RebalanceInProgress;
    let members = group.members.iter();
    let calls = members.flat_map(|(id, member)| {
        let joining = member.joining.map(|call| (call, join_error(id, error)));
        joining.into_iter().chain(member.syncing.map(|call| (call, sync_error(error))))
    });
    calls.collect()
}

/// The group of the classic protocol that the members of one of the new protocol make, who all speak it. They keep what
/// they have until they have agreed anew.
fn downgrade(group: &ConsumerGroup, topics: &dyn Topics) -> ClassicGroup {
    let mut classic = ClassicGroup::new(group.name());
    classic.generation = group.state().epoch;
    classic.protocol_type = Some(CONSUMER.to_owned());
    for (id, member) in &group.state().members {
        let Some(said) = &member.about.classic else { continue };
        let first = said.protocols.first().map(|(_, metadata)| metadata.as_slice()).unwrap_or_default();
        let version = read_subscription(first, topics).map_or(0, |subscription| subscription.version);
        let protocols = said.protocols.iter();
        let protocols = protocols
            .map(|(name, metadata)| Protocol { name: name.as_str().into(), metadata: metadata.clone() });
        let member = Member {
            instance_id: member.about.instance_id.clone(),
            client_id: member.about.client_id.clone(),
            client_host: member.about.client_host.clone(),
            rebalance_timeout_ms: member.about.rebalance_timeout_ms,
            session_timeout_ms: said.session_timeout_ms,
            protocols: protocols.collect(),
            assignment: write_assignment(version, &member.current.assigned, topics),
            joining: None,
            syncing: None,
            must_sync: false,
            is_new: false,
            deadline_ms: NEVER,
        };
        classic.add(id, member);
    }
    classic
}

impl Groups {
    /// A group whose last member of the new protocol is gone goes back to the classic one.
    pub(super) fn downgrade_if_due(&mut self, id: &str, topics: &dyn Topics, step: &mut Step<'_>) {
        let Some(Group::Consumer(group)) = self.directory.get(id) else { return };
        if group.is_classic_again() {
            let mut records = group.tombstones();
            records.push(downgrade(group, topics).adopt());
            step.write(records, Then::Downgraded(id.to_owned()));
        }
    }

    /// Its members agree anew. If that could not be stored, it is tried again when one of them is heard of.
    pub(super) fn downgraded(&mut self, id: &str, result: Result<(), WriteError>, step: &mut Step<'_>) {
        if result.is_ok() {
            self.with_classic(id, |group| {
                group.start_sessions(step);
                group.prepare_rebalance(step);
            });
        }
    }
}
