//! From what a client asks for to a [`Change`]: everything is checked and decided here, once, on shard 0.

use ringmail_shards::api::AppendError;
use ringmail_wire::protocol::LogId;

use super::config::{TopicConfig, TopicValues};
use super::{Catalog, Change, ID_LIMIT, Partition, ShardId, Topic, name, placement};

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
    /// A partition count that cannot be.
    #[error("{0}")]
    Partitions(String),
    /// A configuration that cannot be.
    #[error("{0}")]
    Config(String),
    /// Too many changes wait already.
    #[error("the catalog cannot be changed now: {0} changes wait already; try again a little later")]
    Busy(usize),
    /// The change could not be made durable.
    #[error("the catalog cannot be changed now: {0}")]
    NotStored(AppendError),
}

/// A change of the catalog that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create a topic.
    Create {
        /// Its name.
        name: String,
        /// How many partitions; 0 for the default.
        partitions: u32,
        /// Entries of its configuration.
        config: Vec<(String, String)>,
    },
    /// Change a topic.
    Alter {
        /// Its name.
        name: String,
        /// How many partitions it shall have; 0 for as many as it has.
        partitions: u32,
        /// Entries to set; an empty value sets the default.
        config: Vec<(String, String)>,
    },
    /// Delete a topic.
    Delete {
        /// Its name.
        name: String,
    },
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
            Command::Create { name, partitions, config } => {
                self.plan_create(name, partitions, &config, limits)
            }
            Command::Alter { name, partitions, config } => self.plan_alter(name, partitions, &config, limits),
            Command::Delete { name } => match self.topic(&name) {
                Some(_) => Ok(Change::Deleted { name }),
                None => Err(CatalogError::Unknown(name)),
            },
            Command::Forget { logs } => Ok(Change::Dropped { logs }),
        }
    }

    fn plan_create(
        &self,
        name: String,
        partitions: u32,
        config: &[(String, String)],
        limits: &CatalogLimits,
    ) -> Result<Change, CatalogError> {
        name::check(&name).map_err(CatalogError::Name)?;
        if self.topic(&name).is_some() {
            return Err(CatalogError::Exists(name));
        }
        let count = if partitions == 0 { limits.default_partitions } else { partitions };
        let id = self.state.next_topic;
        let partitions = self.new_partitions(id, 0, count, limits)?;
        let config = configure(TopicConfig::new(limits.defaults), config, limits)?;
        Ok(Change::Created { name, topic: Topic { id, config, partitions } })
    }

    fn plan_alter(
        &self,
        name: String,
        partitions: u32,
        config: &[(String, String)],
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
        let added = self.new_partitions(topic.id, present, wanted - present, limits)?;
        let config = configure(topic.config.clone(), config, limits)?;
        Ok(Change::Altered { name, config, added })
    }

    fn new_partitions(
        &self,
        topic: u64,
        present: u32,
        count: u32,
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
            return refused("the broker has given out all ids that there are".to_owned());
        }
        let shards = placement::place(topic, count as usize, limits.shards, &self.loads);
        let logs = self.state.next_log..;
        Ok(logs.zip(shards).map(Partition::from).collect())
    }
}

fn configure(
    mut config: TopicConfig,
    entries: &[(String, String)],
    limits: &CatalogLimits,
) -> Result<TopicConfig, CatalogError> {
    for (key, value) in entries {
        config.set(key, value, &limits.defaults).map_err(CatalogError::Config)?;
    }
    Ok(config)
}
