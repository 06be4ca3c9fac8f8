//! Groups of consumers: the coordinator of one partition of `__consumer_offsets`.
//!
//! * [`classic`] — a group of the classic protocol; [`consumer`] — those of the new one, which [`crate::consumer`] is the
//!   machine of; [`conversion`] — those that change over; [`group`] — a group of either, and what is asked of both.
//! * [`membership`] — the requests of members, to the group that they are for. [`admin`] — what groups there are.
//! * [`offsets`] — how far groups are; [`commit`], [`fetch`], [`delete`] — the requests, [`expiry`] — what becomes old.
//! * [`record`] — what is stored, in Kafka's forms.
//! * [`directory`] — all groups by name, and when each is due. [`step`] — what a step works with.

mod admin;
mod classic;
mod commit;
mod consumer;
mod conversion;
mod delete;
mod directory;
mod expiry;
mod fetch;
mod group;
mod ids;
mod membership;
mod offsets;
pub mod record;
pub mod settings;
mod step;

use ringmail_kafka::codec::{DecodeError, Uuid};
use ringmail_kafka::messages::Request;
pub use settings::Settings;

use self::classic::{ClassicGroup, MalformedGroup};
pub(crate) use self::commit::Committer;
use self::directory::Directory;
use self::expiry::Round;
use self::group::Group;
use self::offsets::Offsets;
use self::record::{GroupValue, Key, OffsetValue};
use self::step::{Step, Then, Waiting, batch, refuse};
use crate::consumer::is_of_consumer_groups;
use crate::machine::{Call, CallId, Effects, Machine, Now, Producer, Replayed, Topics, Write, WriteError};

/// The coordinator of the groups of one partition.
#[derive(Debug, Default)]
pub struct Groups {
    settings: Settings,
    /// Whether all of the log is known.
    is_loaded: bool,
    directory: Directory,
    offsets: Offsets,
    waiting: Waiting,
    round: Round,
}

/// A record that means nothing.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error(transparent)]
    Form(#[from] DecodeError),
    #[error(transparent)]
    Group(#[from] MalformedGroup),
}

impl Groups {
    /// One that knows nothing yet: give it the log.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    fn try_replay(&mut self, record: Replayed<'_>) -> Result<(), Malformed> {
        if is_of_consumer_groups(record.key) {
            return self.replay_consumer(record);
        }
        match (Key::decode(record.key)?, record.value) {
            (Key::Offset { group, topic, partition }, Some(value)) => {
                let value = OffsetValue::decode(value)?;
                if self.directory.get(group).is_none() {
                    self.directory.insert(group, Group::Classic(ClassicGroup::new(group)));
                }
                let producer = record.producer.map(|producer| producer.id);
                self.offsets.put(record.offset, producer, (group, topic, partition), &value);
            }
            (Key::Offset { group, topic, partition }, None) => self.offsets.remove(group, topic, partition),
            (Key::Group(id), Some(value)) => self.replay_group(id, value)?,
            (Key::Group(id), None) => {
                if let Some(Group::Classic(_)) = self.directory.get(id) {
                    self.directory.remove(id);
                }
            }
            (Key::Other(version), _) => {
                tracing::debug!(version, "passed over a record of groups that is of a kind not known");
            }
        }
        Ok(())
    }

    /// What a group has become is stored. One that is there is past that already, or gets there once it hears of it.
    fn replay_group(&mut self, id: &str, bytes: &[u8]) -> Result<(), Malformed> {
        let value = GroupValue::decode(bytes)?;
        let is_live = self.is_loaded;
        match self.directory.get_mut(id) {
            Some(Group::Classic(group)) if is_live => group.stored = Some(bytes.into()),
            _ => {
                let mut group = ClassicGroup::restore(id, &value)?;
                group.stored = Some(bytes.into());
                self.directory.insert(id, Group::Classic(group));
            }
        }
        Ok(())
    }

    /// Does something with what a step needs.
    fn step(&mut self, now: Now, effects: &mut Effects, act: impl FnOnce(&mut Self, &mut Step<'_>)) {
        let settings = self.settings;
        let mut waiting = std::mem::take(&mut self.waiting);
        act(self, &mut Step { settings: &settings, now, effects, waiting: &mut waiting });
        self.waiting = waiting;
    }

    /// Goes on with a group, if it still is one of the classic protocol.
    fn with_classic(&mut self, id: &str, act: impl FnOnce(&mut ClassicGroup)) {
        if let Some(Group::Classic(group)) = self.directory.get_mut(id) {
            act(group);
        }
        self.settle(id);
    }

    /// A group may have changed: notes when it is due, and forgets it if nothing is lost by that.
    fn settle(&mut self, id: &str) {
        let is_forgettable = self.directory.get(id).is_some_and(Group::is_forgettable);
        if is_forgettable && self.offsets.of(id).is_none() && !self.offsets.has_open(id) {
            self.directory.remove(id);
        } else {
            self.directory.settle(id);
        }
    }
}

impl Machine for Groups {
    fn replay(&mut self, record: Replayed<'_>) {
        if let Err(error) = self.try_replay(record) {
            tracing::warn!(offset = record.offset, %error, "passed over a malformed record of groups; what it said is lost");
        }
    }

    fn replay_marker(&mut self, producer: Producer, commit: bool, _now: Now, _effects: &mut Effects) {
        self.offsets.end(producer.id, commit);
    }

    fn loaded(&mut self, _epoch: i32, now: Now, effects: &mut Effects) {
        self.is_loaded = true;
        self.round.at_ms = now.clock_ms + self.settings.offsets_retention_check_interval_ms;
        self.step(now, effects, |groups, step| {
            for id in groups.directory.ids() {
                groups.directory.get_mut(&id).expect("it was listed just now").start_sessions(step);
                groups.directory.settle(&id);
            }
        });
    }

    fn request(&mut self, call: Call<'_>, topics: &dyn Topics, now: Now, effects: &mut Effects) {
        let (id, version) = (call.id, call.version);
        self.step(now, effects, |groups, step| match &call.request {
            Request::JoinGroup(request) => groups.join_group(&call, request, topics, step),
            Request::SyncGroup(request) => groups.sync_group(&call, request, topics, step),
            Request::Heartbeat(request) => groups.heartbeat(id, request, topics, step),
            Request::LeaveGroup(request) => groups.leave_group(&call, request, step),
            Request::OffsetCommit(request) => groups.offset_commit(id, version, request, topics, step),
            Request::TxnOffsetCommit(request) => groups.txn_offset_commit(id, version, request, topics, step),
            Request::OffsetFetch(request) => step.answer(id, groups.offset_fetch(version, request, topics)),
            Request::OffsetDelete(request) => groups.offset_delete(id, request, topics, step),
            Request::DeleteGroups(request) => groups.delete_groups(id, request, step),
            Request::ListGroups(request) => step.answer(id, groups.list_groups(request)),
            Request::DescribeGroups(request) => step.answer(id, groups.describe_groups(version, request)),
            Request::ConsumerGroupHeartbeat(request) => {
                groups.consumer_group_heartbeat(&call, request, topics, step);
            }
            Request::ConsumerGroupDescribe(request) => {
                step.answer(id, groups.consumer_group_describe(request, topics));
            }
            other => unreachable!("{:?} is no request for a coordinator of groups", other.api()),
        });
    }

    fn written(
        &mut self,
        tag: u64,
        result: Result<(), WriteError>,
        topics: &dyn Topics,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(then) = self.waiting.take(tag) else { return };
        self.step(now, effects, |groups, step| match then {
            Then::Answer(call, mut response) => {
                if let Err(error) = result {
                    refuse(&mut response, error);
                }
                step.answer(call, response);
            }
            Then::Assigned { group, assignments } => {
                groups.with_classic(&group, |group| group.assigned(assignments, result, step));
            }
            Then::Replaced { group, replacement } => {
                groups.with_classic(&group, |group| group.replaced(*replacement, result, step));
            }
            Then::Deleting(deletion) => groups.deleted(deletion, result, step),
            Then::Heard(heard) => groups.heard(heard, result, topics, step),
            Then::Downgraded(group) => groups.downgraded(&group, result, step),
            Then::Fenced(group) => {
                groups.downgrade_if_due(&group, topics, step);
                groups.settle(&group);
            }
        });
    }

    fn marked(&mut self, _tag: u64, _topic: &str, _partition: i32, _now: Now, _effects: &mut Effects) {}

    fn forget(&mut self, _call: CallId) {
        // A member that waits stays one: it may come back, and has the time of its session to do so.
    }

    fn topic_deleted(&mut self, name: &str, id: Uuid, now: Now, effects: &mut Effects) {
        self.step(now, effects, |groups, step| groups.forget_topic(name, id, step));
    }

    fn tick(&mut self, topics: &dyn Topics, now: Now, effects: &mut Effects) {
        self.step(now, effects, |groups, step| {
            for id in groups.directory.due(now.clock_ms) {
                groups.directory.get_mut(&id).expect("only those are due that there are").tick(step);
                groups.settle(&id);
            }
            groups.expire(topics, step);
        });
    }

    fn next_deadline(&self) -> Option<u64> {
        self.directory.next_deadline().into_iter().chain([self.round.at_ms]).min()
    }

    fn snapshot(&self) -> Option<Vec<Write>> {
        if self.offsets.has_any_open() {
            return None;
        }
        let groups = self.directory.iter().flat_map(|(_, group)| group.stored_records());
        let mut records = groups.chain(self.offsets.records());
        let batches = std::iter::repeat_with(|| batch(&mut records)).take_while(|batch| !batch.is_empty());
        Some(batches.map(|records| Write { tag: 0, records, producer: None }).collect())
    }
}
