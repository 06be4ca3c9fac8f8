//! Which topics there are to be.

use super::records::{Log, Records, Status};
use crate::check::{Check, ensure, violated};
use ringmail_wire::protocol::{LogId, MetadataResponse, TopicInfo};
use std::collections::BTreeSet;

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Existing {
    pub id: u64,
    pub partitions: u32,
    /// The partitions' logs and shards, as far as metadata has told them.
    pub logs: Vec<(LogId, u16)>,
}

/// A change that a client has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Create {
        partitions: u32,
    },
    /// To so many partitions.
    Alter {
        partitions: u32,
    },
    Delete,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is under way.
    Pending,
    /// Its client is gone: it is made, will be, or never is.
    Unknown,
    /// It was not made, but may be found after the next start.
    Latent,
}

/// A name that topics are given.
#[derive(Debug)]
pub(super) struct Topic {
    pub name: String,
    pub existing: Option<Existing>,
    pub change: Option<(Change, Fate)>,
    /// Whether a retention was asked for, so that records may go.
    pub retains: bool,
    /// Counts what happened to it.
    pub version: u64,
}

/// All names.
#[derive(Debug)]
pub(super) struct Topics {
    pub topics: Vec<Topic>,
    ids: BTreeSet<u64>,
    /// Logs of topics that were deleted.
    pub graves: Vec<LogId>,
}

impl Topics {
    pub fn new(names: usize) -> Self {
        let topic = |k| Topic {
            name: format!("topic-{k}"),
            existing: None,
            change: None,
            retains: false,
            version: 0,
        };
        Self { topics: (0..names).map(topic).collect(), ids: BTreeSet::new(), graves: Vec::new() }
    }

    /// A client asks for a change; with `retention`, also for one of those.
    pub fn begin(&mut self, topic: usize, change: Change, retention: bool, records: &mut Records) {
        let topic = &mut self.topics[topic];
        topic.retains = retention || topic.retains && !matches!(change, Change::Create { .. });
        for (log, _) in topic.existing.iter().flat_map(|existing| &existing.logs) {
            records.log(*log).retains |= topic.retains;
        }
        topic.version += 1;
        topic.change = Some((change, Fate::Pending));
        if change == Change::Delete {
            set_status(topic.existing.as_ref(), Status::Doubtful, records);
        }
    }

    /// The change was confirmed; `created` is the id of a new topic.
    pub fn confirmed(&mut self, topic: usize, created: Option<u64>, records: &mut Records) {
        let name = self.topics[topic].name.clone();
        let Some((change, _)) = self.topics[topic].change.take() else { return };
        self.topics[topic].version += 1;
        match change {
            Change::Create { partitions } => {
                let id = created.expect("the answer to a creation has an id");
                self.new_id(&name, id);
                self.topics[topic].existing = Some(Existing { id, partitions, logs: Vec::new() });
            }
            Change::Alter { partitions } => {
                let existing = self.topics[topic].existing.as_mut();
                existing.expect("what was altered exists").partitions = partitions;
            }
            Change::Delete => self.bury(topic, records),
        }
    }

    fn new_id(&mut self, name: &str, id: u64) {
        ensure(self.ids.insert(id), Check::Duplicated, || {
            format!("topic {name} has the id {id} of an earlier one")
        });
    }

    fn bury(&mut self, topic: usize, records: &mut Records) {
        if let Some(existing) = self.topics[topic].existing.take() {
            set_status(Some(&existing), Status::Gone, records);
            self.graves.extend(existing.logs.iter().map(|(log, _)| *log));
        }
    }

    /// The change was refused. Of one that is `latent` something may have been stored.
    pub fn refused(&mut self, topic: usize, latent: bool, records: &mut Records) {
        let topic = &mut self.topics[topic];
        topic.version += 1;
        match &mut topic.change {
            Some((_, fate)) if latent => *fate = Fate::Latent,
            change => {
                *change = None;
                set_status(topic.existing.as_ref(), Status::Live, records);
            }
        }
    }

    /// The client that asked for it is gone.
    pub fn abandoned(&mut self, topic: usize) {
        let topic = &mut self.topics[topic];
        topic.version += 1;
        if let Some((_, fate)) = &mut topic.change {
            *fate = Fate::Unknown;
        }
    }

    /// The node has ended: whatever was under way may have been made.
    pub fn ended(&mut self) {
        for topic in &mut self.topics {
            topic.version += 1;
            if let Some((_, fate)) = &mut topic.change {
                *fate = Fate::Unknown;
            }
        }
    }

    /// Metadata of all topics. Of those whose `versions` are as they were when it was asked for, it must be right; once
    /// all is `settled`, it decides what is unknown: what was not made may be found after the next start if that is in doubt.
    pub fn observe(
        &mut self,
        versions: &[u64],
        seen: &MetadataResponse<'_>,
        settled: Option<bool>,
        records: &mut Records,
    ) {
        for info in &seen.topics {
            let known = self.topics.iter().any(|topic| topic.name == info.name);
            ensure(known, Check::Phantom, || format!("there is a topic {} that nobody created", info.name));
        }
        for (topic, version) in versions.iter().enumerate() {
            let info = seen.topics.iter().find(|info| info.name == self.topics[topic].name);
            match self.topics[topic].change {
                Some((change, Fate::Unknown)) if settled.is_some() => {
                    let in_doubt = settled == Some(true);
                    self.decide(topic, change, in_doubt, info, records);
                }
                Some((_, Fate::Latent)) | None if self.topics[topic].version == *version => {
                    self.hold(topic, info, records)
                }
                _ => {}
            }
        }
    }

    /// A change whose client is gone was made, or not.
    fn decide(
        &mut self,
        topic: usize,
        change: Change,
        in_doubt: bool,
        info: Option<&TopicInfo<'_>>,
        records: &mut Records,
    ) {
        let made = match (change, info) {
            (Change::Create { .. }, info) => info.is_some(),
            (Change::Alter { partitions }, Some(info)) => info.partitions.len() as u32 == partitions,
            (Change::Delete, info) => info.is_none(),
            (Change::Alter { .. }, None) => false,
        };
        if made {
            self.confirmed(topic, info.map(|info| info.id), records);
        } else {
            self.refused(topic, in_doubt, records);
        }
        self.hold(topic, info, records);
    }

    /// A topic that nobody changes is as it should be.
    fn hold(&mut self, topic: usize, info: Option<&TopicInfo<'_>>, records: &mut Records) {
        let Topic { name, existing, retains, .. } = &mut self.topics[topic];
        let (existing, info) = match (existing, info) {
            (None, None) => return,
            (Some(existing), None) => violated(Check::Lost, format!("topic {name} is gone: {existing:?}")),
            (None, Some(info)) => {
                violated(Check::Deleted, format!("topic {name} was deleted, and is there: {info:?}"))
            }
            (Some(existing), Some(info)) => (existing, info),
        };
        let logs: Vec<_> = info.partitions.iter().map(|partition| (partition.log, partition.shard)).collect();
        let same = existing.id == info.id
            && existing.partitions as usize == logs.len()
            && logs.starts_with(&existing.logs);
        ensure(same, Check::Lost, || format!("topic {name} is {info:?}, and should be {existing:?}"));
        for &(log, shard) in &logs[existing.logs.len()..] {
            let before = records.logs.insert(log, Log::new(shard, *retains));
            ensure(before.is_none(), Check::Duplicated, || {
                format!("log {log} of topic {name} was another's: {before:?}")
            });
        }
        existing.logs = logs;
    }

    /// The topics' versions.
    pub fn versions(&self) -> Vec<u64> {
        self.topics.iter().map(|topic| topic.version).collect()
    }
}

fn set_status(existing: Option<&Existing>, status: Status, records: &mut Records) {
    for (log, _) in existing.iter().flat_map(|existing| &existing.logs) {
        records.log(*log).status = status;
    }
}
