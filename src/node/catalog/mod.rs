//! The catalog: which topics there are, how they are configured, and which shard owns each of their partitions.
//!
//! A pure state machine. Shard 0 plans a [`Change`] ([`plan`]), makes it durable as a record of log 0 ([`record`]) and has
//! every shard apply it; so every shard holds the same catalog, and a restart gets it back by applying the records again.
//! Ids of topics and logs count up and are never used twice.

mod change;
mod config;
mod name;
mod placement;
pub mod plan;
pub mod record;

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};
use ringmail_wire::protocol::LogId;
use serde::{Deserialize, Serialize};

pub use change::Change;
pub use config::{
    ConfigChange, ConfigKey, ConfigOp, ConfigType, Effect, KEYS, Rule, Source, TopicConfig, TopicKey,
    TopicValues,
};
pub use name::{INTERNAL, OFFSETS, TRANSACTIONS, is_internal};
pub use plan::{CatalogError, CatalogLimits, Command, Spread};

/// The log that the catalog itself is kept in, on shard 0. Clients cannot reach it.
pub const CATALOG_LOG: LogId = 0;

/// The number of a shard.
pub type ShardId = u16;

/// Ids of topics and logs are below it, as all numbers that are stored.
const ID_LIMIT: u64 = 1 << 62;

/// A partition: its place in [`Topic::partitions`] is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(LogId, ShardId)", into = "(LogId, ShardId)")]
pub struct Partition {
    /// Its log.
    pub log: LogId,
    /// The shard that owns it.
    pub shard: ShardId,
}

impl From<(LogId, ShardId)> for Partition {
    fn from((log, shard): (LogId, ShardId)) -> Self {
        Self { log, shard }
    }
}

impl From<Partition> for (LogId, ShardId) {
    fn from(partition: Partition) -> Self {
        (partition.log, partition.shard)
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its identity; a topic that is created again under the same name gets another.
    pub id: u64,
    /// How its partitions are kept.
    pub config: TopicConfig,
    /// Partition 0 first.
    pub partitions: Vec<Partition>,
}

/// All topics. Serialized, it is a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct Catalog {
    state: State,
    /// The shard of each partition's log.
    owners: AHashMap<LogId, ShardId>,
    /// Partitions on each shard; shards beyond the end have none.
    loads: Vec<usize>,
    /// The name of the topic of each id.
    names: AHashMap<u64, String>,
    /// How many topics have names that are [`name::folded`] to this one.
    folded: AHashMap<String, u32>,
    /// The logs of internal topics.
    internal: AHashSet<LogId>,
}

impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Eq for Catalog {}

/// What of the catalog is not derived from the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The id of the next topic.
    next_topic: u64,
    /// The id of the next log.
    next_log: LogId,
    topics: BTreeMap<String, Topic>,
    /// Logs that are deleted, but whose owners have not said yet that nothing of them is left.
    dropping: BTreeMap<LogId, ShardId>,
    /// The next id for a producer.
    #[serde(default)]
    next_producer: u64,
}

impl Default for Catalog {
    fn default() -> Self {
        let state = State {
            next_topic: 1,
            next_log: CATALOG_LOG + 1,
            topics: BTreeMap::new(),
            dropping: BTreeMap::new(),
            next_producer: 0,
        };
        Self::from_state(state)
    }
}

impl TryFrom<State> for Catalog {
    type Error = CatalogMismatch;

    fn try_from(mut state: State) -> Result<Self, CatalogMismatch> {
        let topics = std::mem::take(&mut state.topics);
        let mut logs: Vec<LogId> = topics.values().flat_map(|t| &t.partitions).map(|p| p.log).collect();
        logs.extend(state.dropping.keys());
        logs.sort_unstable();
        if let Some(twice) = logs.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(CatalogMismatch(format!("log id {} is given out twice", twice[0])));
        }
        if logs.first() == Some(&CATALOG_LOG) || state.next_log == CATALOG_LOG {
            return Err(CatalogMismatch(format!("log id {CATALOG_LOG} is the catalog's own")));
        }
        let used =
            [logs.last().map(|log| (*log, state.next_log)), newest(&topics).map(|id| (id, state.next_topic))];
        if let Some((id, next)) = used.into_iter().flatten().find(|(id, next)| id >= next) {
            return Err(CatalogMismatch(format!("id {id} is given out, and {next} is the next")));
        }
        if state.next_log.max(state.next_topic).max(state.next_producer) > ID_LIMIT {
            return Err(CatalogMismatch("the next id is over the limit".to_owned()));
        }
        let mut catalog = Self::from_state(state);
        for (name, topic) in &topics {
            if catalog.names.contains_key(&topic.id) {
                return Err(CatalogMismatch(format!("topic id {} is given out twice", topic.id)));
            }
            catalog.index_name(name, topic.id);
            catalog.index(name, &topic.partitions);
        }
        catalog.state.topics = topics;
        Ok(catalog)
    }
}

/// The greatest id of a topic.
fn newest(topics: &BTreeMap<String, Topic>) -> Option<u64> {
    topics.values().map(|topic| topic.id).max()
}

impl From<Catalog> for State {
    fn from(catalog: Catalog) -> Self {
        catalog.state
    }
}

impl Catalog {
    /// A catalog whose topics are still to be indexed.
    fn from_state(state: State) -> Self {
        Self {
            state,
            owners: AHashMap::new(),
            loads: Vec::new(),
            names: AHashMap::new(),
            folded: AHashMap::new(),
            internal: AHashSet::new(),
        }
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.state.topics.get(name)
    }

    /// The topic of this id, and its name.
    pub fn topic_of_id(&self, id: u64) -> Option<(&str, &Topic)> {
        let name = self.names.get(&id)?;
        Some((name, self.topic(name).expect("the names of ids are those of topics")))
    }

    /// Whether the log is one of an [internal](is_internal) topic: clients do not write to it.
    #[inline]
    pub fn is_internal(&self, log: LogId) -> bool {
        !self.internal.is_empty() && self.internal.contains(&log)
    }

    /// All topics by name, in the order of their names.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&str, &Topic)> {
        self.state.topics.iter().map(|(name, topic)| (name.as_str(), topic))
    }

    /// The shard that owns the log of a partition. The catalog's own log is none.
    #[inline]
    pub fn owner(&self, log: LogId) -> Option<ShardId> {
        self.owners.get(&log).copied()
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.owners.len()
    }

    /// Logs whose deletion is not known to be complete, with their shards.
    pub fn dropping(&self) -> impl Iterator<Item = (LogId, ShardId)> {
        self.state.dropping.iter().map(|(log, shard)| (*log, *shard))
    }

    /// The first log of a partition or of a deletion whose shard is not one of `shards`, and that shard. The catalog of a data
    /// directory names none: the number of its shards only grows.
    pub fn beyond(&self, shards: ShardId) -> Option<(LogId, ShardId)> {
        let owned = self.owners.iter().map(|(log, shard)| (*log, *shard));
        owned.chain(self.dropping()).filter(|(_, shard)| *shard >= shards).min()
    }

    /// The partitions that `shard` owns, each with the configuration of its topic.
    pub fn partitions_of(&self, shard: ShardId) -> impl Iterator<Item = (LogId, &TopicConfig)> {
        self.state.topics.values().flat_map(move |topic| {
            let own = topic.partitions.iter().filter(move |partition| partition.shard == shard);
            own.map(|partition| (partition.log, &topic.config))
        })
    }

    /// Carries out a change that was planned on this very state.
    ///
    /// # Errors
    /// If it does not fit this state, which a record of a damaged or foreign log may not. Nothing is changed then.
    pub fn apply(&mut self, change: &Change) -> Result<(), CatalogMismatch> {
        match change {
            Change::Created { name, topic } => self.create(name, topic),
            Change::Altered { name, config, added } => self.alter(name, config, added),
            Change::Deleted { name } => self.delete(name),
            Change::Dropped { logs } => {
                for log in logs {
                    self.state.dropping.remove(log);
                }
                Ok(())
            }
            Change::ProducerIds { first, count } => self.give_out(*first, *count),
        }
    }

    fn create(&mut self, name: &str, topic: &Topic) -> Result<(), CatalogMismatch> {
        if self.state.topics.contains_key(name) {
            return Err(CatalogMismatch(format!("topic {name} is created twice")));
        }
        self.check_new(&topic.partitions)?;
        if topic.id < self.state.next_topic {
            return Err(CatalogMismatch(format!("topic {name} has the id {} of an earlier one", topic.id)));
        }
        if topic.id >= ID_LIMIT {
            return Err(CatalogMismatch(format!(
                "topic {name} has the id {}, which is over the limit",
                topic.id
            )));
        }
        self.state.next_topic = topic.id + 1;
        self.index_name(name, topic.id);
        self.index(name, &topic.partitions);
        self.state.topics.insert(name.to_owned(), topic.clone());
        Ok(())
    }

    fn alter(
        &mut self,
        name: &str,
        config: &TopicConfig,
        added: &[Partition],
    ) -> Result<(), CatalogMismatch> {
        self.check_new(added)?;
        let topic = self.state.topics.get_mut(name);
        let topic =
            topic.ok_or_else(|| CatalogMismatch(format!("topic {name} is altered but does not exist")))?;
        topic.config = config.clone();
        topic.partitions.extend_from_slice(added);
        self.index(name, added);
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), CatalogMismatch> {
        let topic = self.state.topics.remove(name);
        let topic =
            topic.ok_or_else(|| CatalogMismatch(format!("topic {name} is deleted but does not exist")))?;
        self.names.remove(&topic.id);
        if let Some(folded) = name::folded(name) {
            let left = self.folded.remove(&folded).map_or(0, |count| count - 1);
            if left > 0 {
                self.folded.insert(folded, left);
            }
        }
        for Partition { log, shard } in topic.partitions {
            self.owners.remove(&log);
            self.internal.remove(&log);
            self.loads[usize::from(shard)] -= 1;
            self.state.dropping.insert(log, shard);
        }
        Ok(())
    }

    fn give_out(&mut self, first: u64, count: u32) -> Result<(), CatalogMismatch> {
        let next = first.saturating_add(count.into());
        if first < self.state.next_producer {
            return Err(CatalogMismatch(format!("producer id {first} is given out twice")));
        }
        if next > ID_LIMIT {
            return Err(CatalogMismatch(format!("producer id {next} is over the limit")));
        }
        self.state.next_producer = next;
        Ok(())
    }

    /// Whether partitions have ids that were never used, in ascending order.
    fn check_new(&self, partitions: &[Partition]) -> Result<(), CatalogMismatch> {
        let mut free = self.state.next_log;
        for Partition { log, .. } in partitions {
            if *log < free {
                return Err(CatalogMismatch(format!("log id {log} is given out twice")));
            }
            if *log >= ID_LIMIT {
                return Err(CatalogMismatch(format!("log id {log} is over the limit")));
            }
            free = log + 1;
        }
        Ok(())
    }

    fn index_name(&mut self, name: &str, id: u64) {
        self.names.insert(id, name.to_owned());
        if let Some(folded) = name::folded(name) {
            *self.folded.entry(folded).or_default() += 1;
        }
    }

    fn index(&mut self, name: &str, partitions: &[Partition]) {
        if is_internal(name) {
            self.internal.extend(partitions.iter().map(|partition| partition.log));
        }
        for &Partition { log, shard } in partitions {
            let shard = usize::from(shard);
            if self.loads.len() <= shard {
                self.loads.resize(shard + 1, 0);
            }
            self.loads[shard] += 1;
            self.owners.insert(log, shard as ShardId);
            self.state.next_log = self.state.next_log.max(log + 1);
        }
    }
}

/// A record of the catalog's log that does not fit those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CatalogMismatch(String);

#[cfg(test)]
mod tests;
