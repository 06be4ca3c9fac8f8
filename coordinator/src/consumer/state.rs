//! What is stored of a group, and what follows from it.

use std::collections::BTreeMap;

use super::member::{Member, MemberId};
use super::pattern::ResolvedPattern;
use super::record::Change;
use super::{Partition, Partitions};

/// What is stored of a group. Changed by [`State::apply`] alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Grows whenever the members or what they want changes, or the topics of it.
    pub epoch: i32,
    /// A digest of the topics as of the epoch, 0 for none.
    pub digest: i64,
    /// The epoch that the targets are of.
    pub target_epoch: i32,
    /// The members.
    pub members: BTreeMap<MemberId, Member>,
    /// What members are to have; those that are not here: nothing.
    pub targets: BTreeMap<MemberId, Partitions>,
    /// The patterns that members ask for.
    pub patterns: BTreeMap<String, ResolvedPattern>,
    /// Follows from the members: which of them is the one of an instance id.
    instances: BTreeMap<String, MemberId>,
    /// Follows from the members: how many of them have a partition, or have not given it up yet.
    owners: BTreeMap<Partition, u32>,
}

impl State {
    /// Takes a record. Records of a member may come in any order, as compaction leaves them.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Group(value) => (self.epoch, self.digest) = value.unwrap_or_default(),
            Change::Topics => {}
            Change::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or_default(),
            Change::Target(id, Some(target)) if !target.is_empty() => {
                self.targets.insert(id, target);
            }
            Change::Target(id, _) => {
                self.targets.remove(&id);
            }
            Change::Member(id, Some(about)) => {
                self.forget_instance(&id);
                if let Some(instance) = &about.instance_id {
                    self.instances.insert(instance.clone(), id.clone());
                }
                self.members.entry(id).or_default().about = about;
            }
            Change::Member(id, None) => {
                self.forget_instance(&id);
                self.forget_owner(&id);
                self.members.remove(&id);
            }
            Change::Current(id, Some(current)) => {
                self.forget_owner(&id);
                for &partition in current.assigned.union(&current.revoking) {
                    *self.owners.entry(partition).or_default() += 1;
                }
                self.members.entry(id).or_default().current = current;
            }
            Change::Current(id, None) => {
                self.forget_owner(&id);
                if let Some(member) = self.members.get_mut(&id) {
                    member.current = Default::default();
                }
            }
            Change::Pattern(text, Some(resolved)) => {
                self.patterns.insert(text, resolved);
            }
            Change::Pattern(text, None) => {
                self.patterns.remove(&text);
            }
        }
    }

    fn forget_instance(&mut self, id: &MemberId) {
        let instance = self.members.get(id).and_then(|member| member.about.instance_id.as_ref());
        // A member that took the instance over may be stored before the old one is removed.
        if let Some(instance) = instance
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
    }

    fn forget_owner(&mut self, id: &MemberId) {
        let Some(member) = self.members.get(id) else { return };
        for partition in member.current.assigned.union(&member.current.revoking) {
            if let Some(count) = self.owners.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    self.owners.remove(partition);
                }
            }
        }
    }

    /// The member of an instance id.
    pub(super) fn instance(&self, instance: &str) -> Option<(&MemberId, &Member)> {
        self.members.get_key_value(self.instances.get(instance)?)
    }

    /// Whether nobody but this member, if anybody, has the partition.
    pub(super) fn is_free_for(&self, id: &str, partition: Partition) -> bool {
        let holds = |member: &Member| {
            member.current.assigned.contains(&partition) || member.current.revoking.contains(&partition)
        };
        let own = self.members.get(id).is_some_and(holds);
        self.owners.get(&partition).copied().unwrap_or_default() == u32::from(own)
    }

    /// What takes a member out, without what becomes of the group.
    pub(super) fn removal(id: &MemberId) -> [Change; 3] {
        [
            Change::Current(id.clone(), None),
            Change::Target(id.clone(), None),
            Change::Member(id.clone(), None),
        ]
    }

    /// All there is, as records.
    pub(super) fn snapshot(&self) -> Vec<Change> {
        let mut changes = vec![Change::Group(Some((self.epoch, self.digest)))];
        let members = self.members.iter();
        changes.extend(members.clone().map(|(id, m)| Change::Member(id.clone(), Some(m.about.clone()))));
        changes.extend(self.patterns.iter().map(|(text, p)| Change::Pattern(text.clone(), Some(p.clone()))));
        changes.push(Change::TargetEpoch(Some(self.target_epoch)));
        changes.extend(self.targets.iter().map(|(id, t)| Change::Target(id.clone(), Some(t.clone()))));
        changes.extend(members.map(|(id, m)| Change::Current(id.clone(), Some(m.current.clone()))));
        changes
    }

    /// What leaves nothing of the group.
    pub(super) fn tombstones(&self) -> Vec<Change> {
        let mut changes: Vec<_> = self.members.keys().flat_map(Self::removal).collect();
        // Targets of members that are gone are none of a sound log, but must not outlive the group.
        let strays = self.targets.keys().filter(|id| !self.members.contains_key(*id));
        changes.extend(strays.map(|id| Change::Target(id.clone(), None)));
        changes.extend(self.patterns.keys().map(|text| Change::Pattern(text.clone(), None)));
        changes.extend([Change::TargetEpoch(None), Change::Topics, Change::Group(None)]);
        changes
    }
}
