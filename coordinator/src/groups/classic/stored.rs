//! What is stored of a group, and how it comes back from that.

use std::sync::Arc;

use super::{ClassicGroup, Member, NEVER, Protocol, State};
use crate::groups::record::{GroupValue, Key, MemberValue};
use crate::machine::Record;

/// A stored group that cannot have been one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedGroup {
    #[error("it has members, but no assignor that they agree on")]
    NoProtocol,
    #[error("it has two members of one id")]
    Twice,
}

impl ClassicGroup {
    /// The group as a record, with these assignments.
    pub(super) fn record<'a>(&'a self, assignment: impl Fn(&str, &'a Member) -> &'a [u8]) -> Record {
        let members =
            self.members.iter().map(|(id, member)| self.value_of(id, member, assignment(id, member)));
        self.record_of(self.leader.as_deref(), members.collect())
    }

    /// The group as a record, with its assignments, once one member has another id.
    pub(super) fn record_with(&self, old_id: &str, new_id: &str, new: &Member) -> Record {
        let members = self.members.iter().map(|(id, member)| {
            let (id, member) = if id == old_id { (new_id, new) } else { (&**id, member) };
            self.value_of(id, member, &member.assignment)
        });
        let leader = if self.is_leader(old_id) { Some(new_id) } else { self.leader.as_deref() };
        self.record_of(leader, members.collect())
    }

    fn value_of<'a>(&self, id: &'a str, member: &'a Member, assignment: &'a [u8]) -> MemberValue<'a> {
        MemberValue {
            id,
            instance_id: member.instance_id.as_deref(),
            client_id: &member.client_id,
            client_host: &member.client_host,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_deref()),
            assignment,
        }
    }

    fn record_of(&self, leader: Option<&str>, members: Vec<MemberValue<'_>>) -> Record {
        let value = GroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.as_deref(),
            leader,
            since_ms: self.since_ms,
            members,
        };
        Record { key: Key::Group(&self.id).encode(), value: Some(value.encode()) }
    }

    /// Takes the members it has been given as those of a generation that is there, and gives the record of it.
    pub(crate) fn adopt(&mut self) -> Record {
        self.state = State::Stable;
        self.protocol = self.select_protocol();
        self.subscribed = self.read_subscriptions();
        self.record(|_, member| &member.assignment)
    }

    /// The group of a stored value. Nobody's time runs yet.
    ///
    /// # Errors
    /// If it cannot have been one.
    pub(crate) fn restore(id: &str, value: &GroupValue<'_>) -> Result<Self, MalformedGroup> {
        let mut group = Self::new(id);
        group.generation = value.generation;
        group.since_ms = value.since_ms;
        group.protocol = value.protocol.map(ToOwned::to_owned);
        group.protocol_type =
            Some(value.protocol_type).filter(|name| !name.is_empty()).map(ToOwned::to_owned);
        let protocol: Option<Arc<str>> = value.protocol.map(Into::into);
        for member in &value.members {
            let protocol = protocol.as_ref().ok_or(MalformedGroup::NoProtocol)?;
            let twice = member.instance_id.is_some_and(|instance| group.statics.contains_key(instance));
            if twice || group.members.contains_key(member.id) {
                return Err(MalformedGroup::Twice);
            }
            group.add(member.id, restore_member(member, protocol));
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
            let leader = value.leader.filter(|id| group.members.contains_key(*id));
            group.leader = leader.map(ToOwned::to_owned).or(group.leader);
        }
        group.subscribed = group.read_subscriptions();
        Ok(group)
    }
}

fn restore_member(stored: &MemberValue<'_>, protocol: &Arc<str>) -> Member {
    Member {
        instance_id: stored.instance_id.map(ToOwned::to_owned),
        client_id: stored.client_id.to_owned(),
        client_host: stored.client_host.to_owned(),
        rebalance_timeout_ms: stored.rebalance_timeout_ms,
        session_timeout_ms: stored.session_timeout_ms,
        protocols: vec![Protocol { name: protocol.clone(), metadata: stored.subscription.to_vec() }],
        assignment: stored.assignment.to_vec(),
        joining: None,
        syncing: None,
        must_sync: false,
        is_new: false,
        deadline_ms: NEVER,
    }
}
