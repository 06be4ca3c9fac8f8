//! From what a client asks for to a [`Change`]: everything is checked and decided here, once, on shard 0.

use ringmail_shards::api::AppendError;
use ringmail_wire::protocol::LogId;

use super::config::{ConfigChange, ConfigOp, TopicConfig, TopicValues};
use super::{Catalog, Change, ID_LIMIT, Partition, ShardId, Topic, is_internal, name, placement};

/// Ids for producers that are given out at once.
pub const PRODUCER_IDS: u32 = 1_000;

/// What bounds the catalog, and what a topic gets that does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogLimits {
    /// Shards that partitions can be placed on.
    pub shards: ShardId,
    /// Partitions of one topic at most.
    pub partitions_per_topic: u32,
    /// Partitions of all topics at most.
    pub partitions: u32,
    /// Partitions of a topic that does not say.
    pub default_partitions: u32,
    /// Configuration of a topic that does not say.
    pub defaults: TopicValues,
}

/// Why a change of the catalog is refused. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("topic {0} exists already")]
    Exists(String),
    /// No topic has the name.
    #[error("there is no topic {0:?}: list the topics, or create it")]
    Unknown(String),
    /// Topics cannot have the name.
    #[error("{0}")]
    Name(String),
    /// The topic belongs to the broker.
    #[error("topic {0} is internal: the broker creates it when it is needed, and changes it itself")]
    Internal(String),
    /// A partition count that cannot be.
    #[error("{0}")]
    Partitions(String),
    /// A placement of partitions that cannot be.
    #[error("{0}")]
    Placement(String),
    /// A configuration that cannot be.
    #[error("{0}")]
    Config(String),
    /// All ids are used up.
    #[error("the broker has given out all ids that there are: start another with a new data directory")]
    NoIds,
    /// Too many changes wait already.
    #[error("the catalog cannot be changed now: {0} changes wait already; try again a little later")]
    Busy(usize),
    /// The change could not be made durable.
    #[error("the catalog cannot be changed now: {0}")]
    NotStored(AppendError),
}

/// How many partitions there are to be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// As many as the broker's configuration says.
    Default,
    /// So many, wherever the fewest are.
    Count(u32),
    /// One on each of these shards, in this order.
    On(Vec<ShardId>),
}

/// A change of the catalog that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create a topic.
    Create {
        /// Its name.
        name: String,
        /// Its partitions.
        partitions: Spread,
        /// What of its configuration differs from the broker's.
        config: ConfigChange,
    },
    /// Create a topic of the broker's own.
    CreateInternal {
        /// Its name, one of [`INTERNAL`](super::INTERNAL).
        name: &'static str,
        /// How many partitions.
        partitions: u32,
    },
    /// Change a topic.
    Alter {
        /// Its name.
        name: String,
        /// How many partitions it shall have; 0 for as many as it has.
        partitions: u32,
        /// Changes to its configuration.
        config: ConfigChange,
    },
    /// Add partitions to a topic.
    Grow {
        /// Its name.
        name: String,
        /// How many it shall have, which must be more than it has.
        partitions: u32,
        /// The shards of the new ones; `None` for wherever the fewest are.
        on: Option<Vec<ShardId>>,
    },
    /// Delete a topic.
    Delete {
        /// Its name.
        name: String,
        /// Its id, if only the topic of this id is meant.
        id: Option<u64>,
    },
    /// Give out [`PRODUCER_IDS`] ids for producers, which nobody has had before.
    AllocateProducerIds,
    /// Note that nothing is left of deleted logs.
    Forget {
        /// The logs.
        logs: Vec<LogId>,
    },
}

impl Catalog {
    /// The change that `command` comes to.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub fn plan(&self, command: Command, limits: &CatalogLimits) -> Result<Change, CatalogError> {
        match command {
            Command::Create { name, .. } if is_internal(&name) => Err(CatalogError::Internal(name)),
            Command::Create { name, partitions, config } => {
                self.plan_create(name, partitions, &config, limits)
            }
            Command::CreateInternal { name, partitions } => {
                let spread = Spread::Count(partitions);
                self.plan_create(name.to_owned(), spread, &internal_config(), limits)
            }
            Command::Alter { name, partitions, config } => self.plan_alter(name, partitions, &config, limits),
            Command::Grow { name, partitions, on } => self.plan_grow(name, partitions, on, limits),
            Command::Delete { name, id } => self.plan_delete(name, id),
            Command::AllocateProducerIds => self.plan_producer_ids(),
            Command::Forget { logs } => Ok(Change::Dropped { logs }),
        }
    }

    fn plan_create(
        &self,
        name: String,
        partitions: Spread,
        config: &ConfigChange,
        limits: &CatalogLimits,
    ) -> Result<Change, CatalogError> {
        name::check(&name).map_err(CatalogError::Name)?;
        if self.topic(&name).is_some() {
            return Err(CatalogError::Exists(name));
        }
        self.check_alike(&name)?;
        let id = self.state.next_topic;
        let (count, on) = match partitions {
            Spread::Default => (limits.default_partitions, None),
            Spread::Count(count) => (count, None),
            Spread::On(shards) => (shards.len() as u32, Some(shards)),
        };
        if count == 0 {
            return Err(CatalogError::Partitions(
                "a topic has at least 1 partition: write 1 or more".to_owned(),
            ));
        }
        let partitions = self.new_partitions(id, 0, count, on, limits)?;
        let config = TopicConfig::new(limits.defaults).changed(config, &limits.defaults);
        let config = config.map_err(CatalogError::Config)?;
        Ok(Change::Created { name, topic: Topic { id, config, partitions } })
    }

    /// Whether no topic has a name that Kafka's tools cannot tell from this one.
    fn check_alike(&self, name: &str) -> Result<(), CatalogError> {
        let Some(folded) = name::folded(name).filter(|folded| self.folded.contains_key(folded)) else {
            return Ok(());
        };
        let mut alike = self.topics().filter(|(other, _)| name::folded(other).as_ref() == Some(&folded));
        let other = alike.next().map_or("another", |(other, _)| other);
        Err(CatalogError::Name(format!(
            "the topic name {name:?} collides with topic {other}, as . and _ are the same in names of metrics: take another"
        )))
    }

    fn plan_alter(
        &self,
        name: String,
        partitions: u32,
        config: &ConfigChange,
        limits: &CatalogLimits,
    ) -> Result<Change, CatalogError> {
        let Some(topic) = self.topic(&name) else { return Err(CatalogError::Unknown(name)) };
        let present = topic.partitions.len() as u32;
        let wanted = if partitions == 0 { present } else { partitions };
        if wanted < present {
            return Err(CatalogError::Partitions(format!(
                "topic {name} has {present} partitions: a topic cannot lose any, so write {present} or more"
            )));
        }
        if wanted > present && is_internal(&name) {
            return Err(CatalogError::Internal(name));
        }
        let added = self.new_partitions(topic.id, present, wanted - present, None, limits)?;
        let config = topic.config.changed(config, &limits.defaults).map_err(CatalogError::Config)?;
        Ok(Change::Altered { name, config, added })
    }

    fn plan_grow(
        &self,
        name: String,
        partitions: u32,
        on: Option<Vec<ShardId>>,
        limits: &CatalogLimits,
    ) -> Result<Change, CatalogError> {
        let Some(topic) = self.topic(&name) else { return Err(CatalogError::Unknown(name)) };
        if is_internal(&name) {
            return Err(CatalogError::Internal(name));
        }
        let present = topic.partitions.len() as u32;
        let Some(more) = partitions.checked_sub(present).filter(|more| *more > 0) else {
            return Err(CatalogError::Partitions(format!(
                "topic {name} has {present} partitions already: write more than that"
            )));
        };
        if let Some(on) = on.as_ref().filter(|on| on.len() as u32 != more) {
            return Err(CatalogError::Placement(format!(
                "topic {name} gets {more} more partitions, and {} are assigned: assign each of the new ones",
                on.len()
            )));
        }
        let added = self.new_partitions(topic.id, present, more, on, limits)?;
        Ok(Change::Altered { config: topic.config.clone(), name, added })
    }

    fn plan_delete(&self, name: String, id: Option<u64>) -> Result<Change, CatalogError> {
        match self.topic(&name) {
            Some(_) if is_internal(&name) => Err(CatalogError::Internal(name)),
            Some(topic) if id.is_none_or(|id| id == topic.id) => Ok(Change::Deleted { name }),
            _ => Err(CatalogError::Unknown(name)),
        }
    }

    fn plan_producer_ids(&self) -> Result<Change, CatalogError> {
        let first = self.state.next_producer;
        if first + u64::from(PRODUCER_IDS) > ID_LIMIT {
            return Err(CatalogError::NoIds);
        }
        Ok(Change::ProducerIds { first, count: PRODUCER_IDS })
    }

    fn new_partitions(
        &self,
        topic: u64,
        present: u32,
        count: u32,
        on: Option<Vec<ShardId>>,
        limits: &CatalogLimits,
    ) -> Result<Vec<Partition>, CatalogError> {
        let refused = |words| Err(CatalogError::Partitions(words));
        let most = limits.partitions_per_topic;
        if count > most.saturating_sub(present) {
            let wanted = u64::from(present) + u64::from(count);
            return refused(format!(
                "{wanted} partitions are too many for a topic: write {most} or less, or raise limits.partitions_per_topic"
            ));
        }
        let room = (limits.partitions as usize).saturating_sub(self.partition_count());
        if count as usize > room {
            return refused(format!(
                "{count} more partitions are too many for the broker, which has room for {room}: delete topics, or raise \
                 limits.partitions"
            ));
        }
        if self.state.next_log + u64::from(count) > ID_LIMIT || self.state.next_topic >= ID_LIMIT {
            return Err(CatalogError::NoIds);
        }
        if let Some(shard) = on.iter().flatten().find(|shard| **shard >= limits.shards) {
            return Err(CatalogError::Placement(format!(
                "there is no shard {shard}: the broker has {}, counted from 0",
                limits.shards
            )));
        }
        let shards =
            on.unwrap_or_else(|| placement::place(topic, count as usize, limits.shards, &self.loads));
        let logs = self.state.next_log..;
        Ok(logs.zip(shards).map(Partition::from).collect())
    }
}

/// What Kafka configures for its internal topics.
fn internal_config() -> ConfigChange {
    let entries =
        [("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", "104857600")];
    ConfigChange::Edit(entries.map(|(key, value)| (key.to_owned(), ConfigOp::Set(value.to_owned()))).to_vec())
}
