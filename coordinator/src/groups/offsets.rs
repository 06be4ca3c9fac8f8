//! How far groups are: what counts, and what will count once a transaction is committed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ringmail_kafka::codec::Uuid;

use super::record::{Key, OffsetValue};
use crate::machine::Record;

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Where the record is that says so: of two the later counts, whenever its transaction was committed.
    record: u64,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Box<str>,
    pub(crate) committed_ms: i64,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) topic_id: Uuid,
}

impl Offset {
    fn new(record: u64, value: &OffsetValue<'_>) -> Self {
        Self {
            record,
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into(),
            committed_ms: value.committed_ms,
            expires_ms: value.expires_ms,
            topic_id: value.topic_id,
        }
    }

    fn value(&self) -> OffsetValue<'_> {
        OffsetValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: &self.metadata,
            committed_ms: self.committed_ms,
            expires_ms: self.expires_ms,
            topic_id: self.topic_id,
        }
    }

    /// Whether it is one of the topic that has the name now. Of old records that is not known.
    pub(crate) fn is_of(&self, topic: Option<Uuid>) -> bool {
        self.topic_id.is_zero() || Some(self.topic_id) == topic
    }
}

/// Of one group, by topic and partition.
pub(crate) type TopicOffsets = BTreeMap<String, BTreeMap<i32, Offset>>;

type ByGroup = BTreeMap<String, TopicOffsets>;

/// The offsets of all groups.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: ByGroup,
    /// By producer.
    staged: HashMap<i64, ByGroup>,
    /// The producers that have something staged, by group.
    open: HashMap<String, BTreeSet<i64>>,
}

fn insert(into: &mut ByGroup, group: &str, topic: &str, partition: i32, offset: Offset) {
    if !into.contains_key(group) {
        into.insert(group.to_owned(), TopicOffsets::new());
    }
    let topics = into.get_mut(group).expect("it is there by now");
    if !topics.contains_key(topic) {
        topics.insert(topic.to_owned(), BTreeMap::new());
    }
    topics.get_mut(topic).expect("it is there by now").insert(partition, offset);
}

fn remove(from: &mut ByGroup, group: &str, topic: &str, partition: i32) {
    let Some(topics) = from.get_mut(group) else { return };
    let Some(partitions) = topics.get_mut(topic) else { return };
    partitions.remove(&partition);
    if partitions.is_empty() {
        topics.remove(topic);
    }
    if topics.is_empty() {
        from.remove(group);
    }
}

impl Offsets {
    /// What counts of a group.
    pub(crate) fn of(&self, group: &str) -> Option<&TopicOffsets> {
        self.committed.get(group)
    }

    /// What counts of a group in a partition.
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Offset> {
        self.committed.get(group)?.get(topic)?.get(&partition)
    }

    /// Whether a transaction is open that will say how far the group is.
    pub(crate) fn has_open(&self, group: &str) -> bool {
        self.open.contains_key(group)
    }

    /// Whether any transaction is open.
    pub(crate) fn has_any_open(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Whether a transaction is open that will say how far the group is in a partition.
    pub(crate) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.staged_of(group).any(|topics| topics.get(topic).is_some_and(|p| p.contains_key(&partition)))
    }

    fn staged_of(&self, group: &str) -> impl Iterator<Item = &TopicOffsets> {
        let producers = self.open.get(group).into_iter().flatten();
        producers.filter_map(move |producer| self.staged.get(producer)?.get(group))
    }

    /// Takes a stored offset, of a transaction if there is a producer.
    pub(crate) fn put(
        &mut self,
        record: u64,
        producer: Option<i64>,
        (group, topic, partition): (&str, &str, i32),
        value: &OffsetValue<'_>,
    ) {
        let offset = Offset::new(record, value);
        let Some(producer) = producer else {
            return insert(&mut self.committed, group, topic, partition, offset);
        };
        insert(self.staged.entry(producer).or_default(), group, topic, partition, offset);
        self.open.entry(group.to_owned()).or_default().insert(producer);
    }

    /// Forgets an offset, and what transactions would make of it.
    pub(crate) fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        remove(&mut self.committed, group, topic, partition);
        let Some(producers) = self.open.get_mut(group) else { return };
        producers.retain(|producer| {
            let Some(staged) = self.staged.get_mut(producer) else { return false };
            remove(staged, group, topic, partition);
            let stays = staged.contains_key(group);
            if staged.is_empty() {
                self.staged.remove(producer);
            }
            stays
        });
        if producers.is_empty() {
            self.open.remove(group);
        }
    }

    /// A transaction has ended: what it has staged counts from now on, or is dropped. What was committed after it was staged
    /// is newer.
    pub(crate) fn end(&mut self, producer: i64, commit: bool) {
        let Some(staged) = self.staged.remove(&producer) else { return };
        for (group, topics) in staged {
            if let Some(producers) = self.open.get_mut(&group) {
                producers.remove(&producer);
                if producers.is_empty() {
                    self.open.remove(&group);
                }
            }
            if commit {
                self.commit(&group, topics);
            }
        }
    }

    fn commit(&mut self, group: &str, topics: TopicOffsets) {
        for (topic, partitions) in topics {
            for (partition, offset) in partitions {
                let older = self.get(group, &topic, partition).is_none_or(|now| now.record < offset.record);
                if older {
                    insert(&mut self.committed, group, &topic, partition, offset);
                }
            }
        }
    }

    /// All partitions in which a group has an offset, or will have one once a transaction is committed.
    pub(crate) fn partitions(&self, group: &str) -> BTreeSet<(&str, i32)> {
        let all = self.of(group).into_iter().chain(self.staged_of(group));
        all.flatten()
            .flat_map(|(topic, partitions)| partitions.keys().map(move |&p| (topic.as_str(), p)))
            .collect()
    }

    /// The groups and partitions that have, or will have, an offset in a topic that had this id.
    pub(crate) fn of_topic(&self, name: &str, id: Uuid) -> Vec<(String, i32)> {
        let all = self.committed.iter().chain(self.staged.values().flatten());
        let mut found = BTreeSet::new();
        for (group, topics) in all {
            let partitions =
                topics.get(name).into_iter().flatten().filter(|(_, offset)| offset.is_of(Some(id)));
            found.extend(partitions.map(|(&partition, _)| (group.clone(), partition)));
        }
        found.into_iter().collect()
    }

    /// Records that say what counts.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.committed.iter().flat_map(|(group, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(&partition, offset)| Record {
                    key: Key::Offset { group, topic, partition }.encode(),
                    value: Some(offset.value().encode()),
                })
            })
        })
    }
}

/// The record that forgets an offset.
pub(crate) fn tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record { key: Key::Offset { group, topic, partition }.encode(), value: None }
}
