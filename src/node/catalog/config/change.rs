//! Changes to the configuration of a topic: all entries of one are made, or none.

use super::rule::{ConfigType, list};
use super::{ConfigKey, TopicConfig, TopicValues, checked};

/// What is to become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    /// It is to have this value.
    Set(String),
    /// It is to have the broker's.
    Reset,
    /// The values of this list are to be added to its own.
    Append(String),
    /// The values of this list are to be taken out of its own.
    Subtract(String),
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// These entries change, one after another; the others stay.
    Edit(Vec<(String, ConfigOp)>),
    /// These entries are set; the others get the broker's value.
    Replace(Vec<(String, String)>),
}

impl ConfigChange {
    /// None at all.
    pub const NONE: Self = Self::Edit(Vec::new());
}

impl TopicConfig {
    /// The configuration after a change. `defaults` are what the broker's configuration says now.
    ///
    /// # Errors
    /// In words, if there is no such key, if one cannot have its value, or if values do not go together.
    pub(in crate::node::catalog) fn changed(
        &self,
        change: &ConfigChange,
        defaults: &TopicValues,
    ) -> Result<Self, String> {
        let changed = match change {
            ConfigChange::Edit(entries) => {
                let mut config = self.clone();
                for (name, op) in entries {
                    config.edit(ConfigKey::from_name(name)?, op, defaults)?;
                }
                config
            }
            ConfigChange::Replace(entries) => {
                let mut config = Self::new(*defaults);
                for (name, value) in entries {
                    let key = ConfigKey::from_name(name)?;
                    // What stays as it is may be over a limit that was lowered since.
                    if self.own.get(&key) == Some(value) {
                        config.own.insert(key, value.clone());
                    } else {
                        config.set(key, value, defaults)?;
                    }
                }
                config
            }
        };
        changed.check_whole()?;
        Ok(changed)
    }

    fn edit(&mut self, key: ConfigKey, op: &ConfigOp, defaults: &TopicValues) -> Result<(), String> {
        match op {
            ConfigOp::Set(value) => self.set(key, value, defaults),
            ConfigOp::Reset => {
                self.own.remove(&key);
                self.defaults.copy(key, defaults);
                Ok(())
            }
            ConfigOp::Append(_) | ConfigOp::Subtract(_)
                if key.key().rule.config_type() != ConfigType::List =>
            {
                Err(format!("{} is no list: set it instead", key.name()))
            }
            ConfigOp::Append(more) => {
                let present = self.text(key).into_owned();
                let mut parts = list(&present);
                for part in list(more) {
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
                self.set(key, &parts.join(","), defaults)
            }
            ConfigOp::Subtract(less) => {
                let present = self.text(key).into_owned();
                let less = list(less);
                let parts: Vec<_> = list(&present).into_iter().filter(|part| !less.contains(part)).collect();
                self.set(key, &parts.join(","), defaults)
            }
        }
    }

    fn set(&mut self, key: ConfigKey, value: &str, defaults: &TopicValues) -> Result<(), String> {
        let value = checked(key, value)?;
        if key == ConfigKey::MAX_MESSAGE_BYTES {
            check_largest(&value, defaults.max_message_bytes)?;
        }
        self.own.insert(key, value);
        Ok(())
    }
}

/// Whether the engine takes batches of so many bytes.
fn check_largest(value: &str, largest: u32) -> Result<(), String> {
    if value.parse::<u32>().is_ok_and(|bytes| bytes <= largest) {
        return Ok(());
    }
    Err(format!(
        "max.message.bytes = {value}: write a whole number from 0 to {largest}, the broker's limits.batch, or raise that"
    ))
}
