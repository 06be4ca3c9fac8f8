//! What follows from what a member says: a new epoch of the group, a new target for all, and its own next step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmail_kafka::error::ErrorCode;

use super::assign::Subscriber;
use super::describe::preferred;
use super::reconcile::{self, Target};
use super::subscription::{self, Subscriptions};
use super::{
    Change, ConsumerGroup, Looked, Member, MemberId, MemberMetadata, Partitions, Refusal, ResolvedPattern,
    State, pattern,
};
use crate::groups::settings::MAX_MEMBERS_BYTES;
use crate::machine::{Now, Topics};

/// How long changes of topics wait to be looked at after the last time, in milliseconds: many may come at once.
const LOOK_AGAIN_MS: u64 = 1_000;

/// A member that is heard of.
pub(super) struct Arrival {
    pub id: MemberId,
    /// The member whose place it takes: the same static member, before its process started anew.
    pub replaces: Option<MemberId>,
    /// What it says of itself now, and how far it was.
    pub member: Member,
    /// What it says that it has, if it says so.
    pub owned: Option<Partitions>,
}

/// All members as they will be, in order.
type Roster<'a> = Vec<(&'a MemberId, &'a MemberMetadata)>;

/// What the members are to be given as of an epoch.
struct Plan {
    epoch: i32,
    patterns: BTreeMap<String, ResolvedPattern>,
    subscriptions: Subscriptions,
}

impl ConsumerGroup {
    /// What is to be stored, and how far the member then is.
    pub(super) fn advance(
        &mut self,
        arrival: Arrival,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<(Vec<Change>, Member), Refusal> {
        let Arrival { id, replaces, mut member, owned } = arrival;
        let mut changes: Vec<Change> = replaces.iter().flat_map(State::removal).collect();
        let known = self.state.members.get(&id).filter(|_| replaces.is_none());
        if known.map(|known| &known.about) != Some(&member.about) {
            changes.push(Change::Member(id.clone(), Some(member.about.clone())));
        }

        let place = replaces.as_ref().unwrap_or(&id);
        let roster = self.roster(place, &id, &member.about);
        let look = self.is_time_to_look(topics, now);
        let plan = self.plan(place, &member.about, &roster, look, (topics, now))?;
        let mut target_epoch = self.state.target_epoch;
        let mut target = self.state.targets.get(place).cloned().unwrap_or_default();
        let mut assigned = false;
        if let Some(Plan { epoch, patterns, subscriptions }) = plan {
            changes.extend(self.pattern_changes(patterns));
            if (epoch, subscriptions.digest) != (self.state.epoch, self.state.digest) {
                changes.push(Change::Group(Some((epoch, subscriptions.digest))));
            }
            if epoch > target_epoch {
                let targets = self.assign(place, &id, &roster, &subscriptions);
                changes.extend(self.target_changes(&roster, &targets));
                let own = roster.iter().zip(targets).find(|((member, _), _)| **member == id);
                target = own.map(|(_, target)| target).unwrap_or_default();
                target_epoch = epoch;
                assigned = true;
                changes.push(Change::TargetEpoch(Some(target_epoch)));
            }
        }
        if replaces.is_some() && !assigned {
            changes.push(Change::Target(id.clone(), Some(target.clone())));
        }

        let target = Target { epoch: target_epoch, partitions: &target };
        let is_free = |partition| self.state.is_free_for(place, partition);
        let next = reconcile::step(&member.current, target, owned.as_ref(), is_free);
        if known.map(|known| &known.current) != Some(&next) {
            changes.push(Change::Current(id.clone(), Some(next.clone())));
        }
        member.current = next;
        if look {
            // Seen are the topics only once nothing follows from them: what does may be refused, and is tried again then.
            let version = changes.is_empty().then(|| topics.version());
            self.looked = Looked { version, at: Some(now.clock_ms) };
        }
        Ok((changes, member))
    }

    /// All members as they will be, in order.
    fn roster<'a>(&'a self, place: &MemberId, id: &'a MemberId, about: &'a MemberMetadata) -> Roster<'a> {
        let others = self.state.members.iter().filter(|(other, _)| *other != place && *other != id);
        let mut roster: Vec<_> = others.map(|(id, member)| (id, &member.about)).collect();
        let at = roster.partition_point(|(other, _)| *other < id);
        roster.insert(at, (id, about));
        roster
    }

    /// A new epoch of the group, a new target, or both; `None` if neither is needed.
    fn plan(
        &self,
        place: &MemberId,
        about: &MemberMetadata,
        roster: &Roster<'_>,
        look: bool,
        (topics, now): (&dyn Topics, Now),
    ) -> Result<Option<Plan>, Refusal> {
        let before = self.state.members.get(place).map(|member| &member.about);
        let changed = before.is_none_or(|before| {
            let votes = || preferred(roster.iter().map(|(_, about)| about.assignor.as_deref()));
            !before.wants_as(about) || (before.assignor != about.assignor && votes() != self.assignor())
        });
        if !changed && !look && self.state.epoch <= self.state.target_epoch {
            return Ok(None);
        }
        if changed && roster.iter().map(|(_, about)| about.bytes()).sum::<usize>() > MAX_MEMBERS_BYTES {
            let message = format!("What the members want takes over {MAX_MEMBERS_BYTES} bytes.");
            return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
        }
        let wanted: BTreeSet<&str> =
            roster.iter().filter_map(|(_, about)| about.pattern.as_deref()).collect();
        let patterns = pattern::resolve(&self.state.patterns, &wanted, look, topics, now)?;
        let subscriptions = subscription::resolve(roster.iter().map(|&(_, about)| about), &patterns, topics);
        let bump = changed || subscriptions.digest != self.state.digest;
        Ok(Some(Plan { epoch: self.state.epoch.saturating_add(bump.into()), patterns, subscriptions }))
    }

    /// Whether the topics may have changed since they were looked at.
    fn is_time_to_look(&self, topics: &dyn Topics, now: Now) -> bool {
        let Looked { version, at } = self.looked;
        version != Some(topics.version())
            && at.is_none_or(|at| now.clock_ms >= at.saturating_add(LOOK_AGAIN_MS))
    }

    /// What all are to have, in the order of the roster.
    fn assign(
        &self,
        place: &MemberId,
        id: &MemberId,
        roster: &Roster<'_>,
        subscriptions: &Subscriptions,
    ) -> Vec<Partitions> {
        let nothing = Partitions::new();
        let held = |member: &MemberId| {
            let member = if member == id { place } else { member };
            self.state.targets.get(member).unwrap_or(&nothing)
        };
        let subscribers: Vec<_> = roster
            .iter()
            .zip(&subscriptions.of)
            .map(|((member, about), wanted)| Subscriber {
                id: member,
                instance: about.instance_id.as_deref(),
                topics: Arc::clone(wanted),
                held: held(member),
            })
            .collect();
        preferred(roster.iter().map(|(_, about)| about.assignor.as_deref()))
            .assign(&subscriptions.topics, &subscribers)
    }

    /// The targets that differ from those stored.
    fn target_changes(&self, roster: &Roster<'_>, targets: &[Partitions]) -> Vec<Change> {
        let nothing = Partitions::new();
        let differs = |(id, target): &(&MemberId, &Partitions)| {
            self.state.targets.get(*id).unwrap_or(&nothing) != *target
        };
        let targets = roster.iter().map(|&(id, _)| id).zip(targets).filter(differs);
        targets.map(|(id, target)| Change::Target(id.clone(), Some(target.clone()))).collect()
    }

    /// What makes these the patterns of the group.
    fn pattern_changes(&self, patterns: BTreeMap<String, ResolvedPattern>) -> Vec<Change> {
        let known = &self.state.patterns;
        let gone = known.keys().filter(|text| !patterns.contains_key(*text));
        let mut changes: Vec<_> = gone.map(|text| Change::Pattern(text.clone(), None)).collect();
        let new = patterns.into_iter().filter(|(text, resolved)| known.get(text) != Some(resolved));
        changes.extend(new.map(|(text, resolved)| Change::Pattern(text, Some(resolved))));
        changes
    }
}
