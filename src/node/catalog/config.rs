//! The configuration of a topic. Keys and the form of their values are Kafka's.

use std::collections::BTreeSet;

use ringmail_shards::config::LogConfig;
use serde::{Deserialize, Serialize};

use crate::config::{closest, distance};

/// An entry of a topic's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigKey {
    /// What becomes of old records; only `delete` so far.
    #[serde(rename = "cleanup.policy")]
    CleanupPolicy,
    /// The largest batch, in bytes.
    #[serde(rename = "max.message.bytes")]
    MaxMessageBytes,
    /// Bytes that a partition keeps; -1 for all.
    #[serde(rename = "retention.bytes")]
    RetentionBytes,
    /// Milliseconds that records are kept; -1 for ever.
    #[serde(rename = "retention.ms")]
    RetentionMs,
}

impl ConfigKey {
    /// All of them, by name.
    pub const ALL: [Self; 4] =
        [Self::CleanupPolicy, Self::MaxMessageBytes, Self::RetentionBytes, Self::RetentionMs];

    /// The name, as clients write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CleanupPolicy => "cleanup.policy",
            Self::MaxMessageBytes => "max.message.bytes",
            Self::RetentionBytes => "retention.bytes",
            Self::RetentionMs => "retention.ms",
        }
    }

    /// The key of this name.
    ///
    /// # Errors
    /// In words, if there is none.
    pub(super) fn from_name(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|key| key.name() == name).ok_or_else(|| {
            let nearest = nearest(name, Self::ALL.iter().map(|key| key.name()));
            let keys = Self::ALL.map(Self::name).join(", ");
            match nearest {
                Some(nearest) => format!("there is no topic key {name:?}; did you mean {nearest}?"),
                None => format!("there is no topic key {name:?}; the keys are {keys}"),
            }
        })
    }
}

/// The effective values of a topic's configuration.
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

/// The configuration of a topic. Values that the topic did not set were the broker's defaults when they were last asked for:
/// they are part of the topic, and do not change with the broker's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfig {
    /// What holds.
    pub values: TopicValues,
    /// The entries that the topic set itself.
    pub own: BTreeSet<ConfigKey>,
}

impl TopicConfig {
    /// A topic that sets nothing itself.
    pub fn new(defaults: TopicValues) -> Self {
        Self { values: defaults, own: BTreeSet::new() }
    }

    /// Sets an entry; an empty value sets it back to `defaults`.
    ///
    /// # Errors
    /// In words, if there is no such key or it cannot have this value.
    pub(super) fn set(&mut self, key: &str, value: &str, defaults: &TopicValues) -> Result<(), String> {
        let key = ConfigKey::from_name(key)?;
        if value.is_empty() {
            self.own.remove(&key);
        } else {
            self.own.insert(key);
        }
        let values = &mut self.values;
        match key {
            ConfigKey::CleanupPolicy => return check_policy(value),
            ConfigKey::MaxMessageBytes if value.is_empty() => {
                values.max_message_bytes = defaults.max_message_bytes;
            }
            ConfigKey::MaxMessageBytes => {
                values.max_message_bytes = parse_max_message_bytes(value, defaults)?;
            }
            ConfigKey::RetentionBytes if value.is_empty() => {
                values.retention_bytes = defaults.retention_bytes;
            }
            ConfigKey::RetentionBytes => values.retention_bytes = parse_retention(key, value)?,
            ConfigKey::RetentionMs if value.is_empty() => values.retention_ms = defaults.retention_ms,
            ConfigKey::RetentionMs => values.retention_ms = parse_retention(key, value)?,
        }
        Ok(())
    }

    /// The value of an entry, as clients write it.
    pub fn value(&self, key: ConfigKey) -> String {
        let or_minus_one = |limit: Option<u64>| limit.map_or("-1".to_owned(), |limit| limit.to_string());
        match key {
            ConfigKey::CleanupPolicy => "delete".to_owned(),
            ConfigKey::MaxMessageBytes => self.values.max_message_bytes.to_string(),
            ConfigKey::RetentionBytes => or_minus_one(self.values.retention_bytes),
            ConfigKey::RetentionMs => or_minus_one(self.values.retention_ms),
        }
    }

    /// What the engine is told about each partition.
    pub fn log_config(&self) -> LogConfig {
        LogConfig {
            retention_ms: self.values.retention_ms,
            retention_bytes: self.values.retention_bytes,
            max_batch_bytes: Some(self.values.max_message_bytes),
            ..LogConfig::KEEP
        }
    }
}

fn check_policy(value: &str) -> Result<(), String> {
    match value {
        "" | "delete" => Ok(()),
        "compact" | "compact,delete" | "delete,compact" => Err(format!(
            "cleanup.policy = {value}: this version does not compact by key; leave cleanup.policy at delete"
        )),
        _ => Err(format!("cleanup.policy = {value:?}: write delete")),
    }
}

fn parse_retention(key: ConfigKey, value: &str) -> Result<Option<u64>, String> {
    let number = value.parse::<i64>().ok().filter(|number| *number >= -1);
    let number = number.ok_or_else(|| {
        format!("{} = {value:?}: write a whole number from 0, or -1 for no limit", key.name())
    })?;
    Ok(u64::try_from(number).ok())
}

fn parse_max_message_bytes(value: &str, defaults: &TopicValues) -> Result<u32, String> {
    let largest = defaults.max_message_bytes;
    let number = value.parse::<u32>().ok().filter(|number| (1..=largest).contains(number));
    number.ok_or_else(|| {
        format!(
            "max.message.bytes = {value:?}: write a whole number from 1 to {largest}, the broker's limits.batch"
        )
    })
}

/// The known name that `name` was most likely meant to be.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(known.map(|known| (distance(name, known), known.to_owned())), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: TopicValues =
        TopicValues { max_message_bytes: 1 << 20, retention_bytes: None, retention_ms: Some(1_000) };

    fn set(key: &str, value: &str) -> Result<TopicConfig, String> {
        let mut config = TopicConfig::new(DEFAULTS);
        config.set(key, value, &DEFAULTS).map(|()| config)
    }

    #[test]
    fn values_are_read_and_written_alike() {
        for (key, value) in [
            ("retention.ms", "-1"),
            ("retention.ms", "86400000"),
            ("retention.bytes", "0"),
            ("max.message.bytes", "4096"),
            ("cleanup.policy", "delete"),
        ] {
            let config = set(key, value).unwrap();
            let key = ConfigKey::from_name(key).unwrap();
            assert_eq!(config.value(key), value);
            assert!(config.own.contains(&key));
        }
    }

    #[test]
    fn an_empty_value_sets_the_default_back() {
        let mut config = set("retention.ms", "5").unwrap();
        let newer = TopicValues { retention_ms: Some(7), ..DEFAULTS };
        config.set("retention.ms", "", &newer).unwrap();
        assert_eq!((config.values.retention_ms, config.own.len()), (Some(7), 0));
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        for (key, value, words) in [
            ("retention.ms", "-2", "-1 for no limit"),
            ("retention.ms", "1 d", "whole number"),
            ("max.message.bytes", "2000000", "limits.batch"),
            ("max.message.bytes", "0", "from 1"),
            ("cleanup.policy", "compact", "does not compact"),
            ("cleanup.policy", "shred", "write delete"),
            ("retention.mss", "1", "did you mean retention.ms?"),
            ("zookeeper", "1", "the keys are cleanup.policy"),
        ] {
            let error = set(key, value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
