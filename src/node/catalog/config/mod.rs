//! The configuration of a topic. Keys, defaults and the form of values are Kafka's.

mod change;
mod keys;
mod rule;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ringmail_shards::config::{LogConfig, Timestamps};
use serde::{Deserialize, Serialize};

pub use change::{ConfigChange, ConfigOp};
pub use keys::{ConfigKey, Effect, KEYS, TopicKey};
pub use rule::{ConfigType, Rule};

/// What the broker's configuration says of topics that do not say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicValues {
    /// Bytes of the largest batch.
    #[serde(rename = "max.message.bytes")]
    pub max_message_bytes: u32,
    /// Bytes that each partition keeps; `None` for all.
    #[serde(rename = "retention.bytes")]
    pub retention_bytes: Option<u64>,
    /// Milliseconds that records are kept; `None` for ever.
    #[serde(rename = "retention.ms")]
    pub retention_ms: Option<u64>,
}

impl TopicValues {
    /// The value of a key that it knows.
    pub fn get(&self, key: ConfigKey) -> Option<String> {
        let or_minus_one = |limit: Option<u64>| limit.map_or("-1".to_owned(), |limit| limit.to_string());
        match key {
            ConfigKey::MAX_MESSAGE_BYTES => Some(self.max_message_bytes.to_string()),
            ConfigKey::RETENTION_BYTES => Some(or_minus_one(self.retention_bytes)),
            ConfigKey::RETENTION_MS => Some(or_minus_one(self.retention_ms)),
            _ => None,
        }
    }

    /// Takes the value of a key from another, if they know it.
    fn copy(&mut self, key: ConfigKey, from: &Self) {
        match key {
            ConfigKey::MAX_MESSAGE_BYTES => self.max_message_bytes = from.max_message_bytes,
            ConfigKey::RETENTION_BYTES => self.retention_bytes = from.retention_bytes,
            ConfigKey::RETENTION_MS => self.retention_ms = from.retention_ms,
            _ => {}
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The topic has set it.
    Topic,
    /// The broker's configuration says so.
    Broker,
    /// Nobody has said anything else.
    Default,
}

/// The configuration of a topic. What it does not set is as the broker's configuration was when that was last asked for: it is
/// part of the topic, and does not change with the broker's configuration.
///
/// It is stored as `{"values": {…}, "own": {"retention.ms": "1000", …}}`: what the broker's configuration said, and the
/// entries that the topic has set, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct TopicConfig {
    defaults: TopicValues,
    /// The entries that the topic has set; each fits its key.
    own: BTreeMap<ConfigKey, String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    values: TopicValues,
    own: Own,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Own {
    Entries(BTreeMap<String, String>),
    /// What was written at first: the names alone, whose values are among those of the broker.
    Names(BTreeSet<String>),
}

impl TryFrom<Stored> for TopicConfig {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let mut config = Self::new(stored.values);
        for key in [ConfigKey::MAX_MESSAGE_BYTES, ConfigKey::RETENTION_BYTES, ConfigKey::RETENTION_MS] {
            checked(key, &config.text(key))?;
        }
        match stored.own {
            Own::Entries(entries) => {
                for (name, value) in entries {
                    let key = ConfigKey::from_name(&name)?;
                    config.own.insert(key, checked(key, &value)?);
                }
            }
            Own::Names(names) => {
                for name in names {
                    let key = ConfigKey::from_name(&name)?;
                    config.own.insert(key, config.text(key).into_owned());
                }
            }
        }
        Ok(config)
    }
}

impl From<TopicConfig> for Stored {
    fn from(config: TopicConfig) -> Self {
        let entries = config.own.into_iter().map(|(key, value)| (key.name().to_owned(), value));
        Self { values: config.defaults, own: Own::Entries(entries.collect()) }
    }
}

impl TopicConfig {
    /// A topic that sets nothing itself.
    pub fn new(defaults: TopicValues) -> Self {
        Self { defaults, own: BTreeMap::new() }
    }

    /// The value of an entry, as clients write it.
    pub fn text(&self, key: ConfigKey) -> Cow<'_, str> {
        match self.own.get(&key) {
            Some(value) => Cow::Borrowed(value),
            None => self.inherited(key),
        }
    }

    /// The value that an entry has unless the topic sets it.
    pub fn inherited(&self, key: ConfigKey) -> Cow<'_, str> {
        self.defaults.get(key).map_or(Cow::Borrowed(key.key().default), Cow::Owned)
    }

    /// Where the value of an entry comes from.
    pub fn source(&self, key: ConfigKey) -> Source {
        if self.own.contains_key(&key) { Source::Topic } else { self.inherited_source(key) }
    }

    /// Where the value comes from that an entry has unless the topic sets it.
    pub fn inherited_source(&self, key: ConfigKey) -> Source {
        if self.inherited(key) == key.key().default { Source::Default } else { Source::Broker }
    }

    /// The entries that the topic has set, by name.
    pub fn own(&self) -> impl ExactSizeIterator<Item = (ConfigKey, &str)> {
        self.own.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// The value of an entry that is a whole number.
    ///
    /// # Panics
    /// If it is of another type.
    pub fn number(&self, key: ConfigKey) -> i64 {
        self.text(key).parse().expect("entries fit their keys")
    }

    /// Whether the list that an entry is has this value in it.
    fn lists(&self, key: ConfigKey, value: &str) -> bool {
        rule::list(&self.text(key)).contains(&value)
    }

    /// Whether the newest record of each key is to stay, and every record has to have one.
    pub fn is_compacted(&self) -> bool {
        self.lists(ConfigKey::CLEANUP_POLICY, "compact")
    }

    /// Whether old records go by age and size, and where clients ask for it.
    pub fn deletes(&self) -> bool {
        self.lists(ConfigKey::CLEANUP_POLICY, "delete")
    }

    /// What the engine is told about each partition.
    pub fn log_config(&self) -> LogConfig {
        let deletes = self.deletes();
        let limit = |key| u64::try_from(self.number(key)).ok().filter(|_| deletes);
        LogConfig {
            retention_ms: limit(ConfigKey::RETENTION_MS),
            retention_bytes: limit(ConfigKey::RETENTION_BYTES),
            max_batch_bytes: u32::try_from(self.number(ConfigKey::MAX_MESSAGE_BYTES)).ok(),
            timestamps: self.timestamps(),
            compacted: self.is_compacted(),
            ..LogConfig::KEEP
        }
    }

    fn timestamps(&self) -> Timestamps {
        if self.text(ConfigKey::TIMESTAMP_TYPE) == "LogAppendTime" {
            return Timestamps::Append;
        }
        let distance = |key| u64::try_from(self.number(key)).ok();
        Timestamps::Create {
            before_ms: distance(ConfigKey::TIMESTAMP_BEFORE_MAX_MS),
            after_ms: distance(ConfigKey::TIMESTAMP_AFTER_MAX_MS),
        }
    }

    /// Whether the entries go together.
    fn check_whole(&self) -> Result<(), String> {
        let (least, most) =
            (self.number(ConfigKey::MIN_COMPACTION_LAG_MS), self.number(ConfigKey::MAX_COMPACTION_LAG_MS));
        if least > most {
            return Err(format!(
                "min.compaction.lag.ms = {least} is more than max.compaction.lag.ms = {most}: write less"
            ));
        }
        if self.text(ConfigKey::REMOTE_STORAGE_ENABLE) == "true" {
            return Err(
                "remote.storage.enable = true: there is no tiered storage; leave it at false".to_owned()
            );
        }
        Ok(())
    }
}

/// A value as it is kept.
///
/// # Errors
/// In words, if the key cannot have it.
fn checked(key: ConfigKey, value: &str) -> Result<String, String> {
    key.key().rule.check(value).map_err(|expected| format!("{} = {value:?}: write {expected}", key.name()))
}

#[cfg(test)]
mod tests;
