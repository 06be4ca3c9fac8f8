//! Laying one source of settings over the other.

use serde::Deserialize;
use toml::{Table, Value};

use super::keys::{Keys, table_of};
use super::{Config, ConfigError, Origin, files};

/// One key set by one source.
pub(super) struct Assignment {
    /// `section.name`.
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The settings gathered so far.
pub(super) struct Layers {
    pub(super) keys: Keys,
    settings: Table,
}

impl Layers {
    /// The defaults.
    pub(super) fn new() -> Self {
        Self { keys: Keys::new(), settings: table_of(&Config::default()) }
    }

    /// Lays the TOML `text` of the file `name` on top.
    pub(super) fn set_all(&mut self, text: &str, name: &str) -> Result<(), ConfigError> {
        let assignments = files::parse(text, name)?;
        assignments.into_iter().try_for_each(|assignment| self.set(assignment))
    }

    /// Lays a value that came as text on top.
    pub(super) fn set_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let key = key.to_owned();
        match self.keys.value_of_text(&key, text) {
            Ok(value) => self.set(Assignment { key, value, origin }),
            Err(message) => Err(ConfigError::Value { origin, key, message }),
        }
    }

    /// Lays one assignment on top. Its value is checked by itself, because only here is it known where it
    /// came from.
    fn set(&mut self, assignment: Assignment) -> Result<(), ConfigError> {
        let Assignment { key, value, origin } = assignment;
        let is_section = self.keys.contains_section(&key);
        if is_section && value.as_table().is_some_and(Table::is_empty) {
            return Ok(());
        }
        if is_section {
            let message = format!("this is a section: write [{key}], and its keys below");
            return Err(ConfigError::Value { origin, key, message });
        }
        if !self.keys.contains(&key) {
            let nearest = self.keys.nearest(&key);
            return Err(ConfigError::UnknownKey { origin, key, nearest });
        }
        let (section, name) = key.split_once('.').expect("known keys have a section");
        let alone = Table::from_iter([(
            section.to_owned(),
            Value::Table(Table::from_iter([(name.to_owned(), value.clone())])),
        )]);
        if let Err(error) = Config::deserialize(alone) {
            let message = error.message().to_owned();
            return Err(ConfigError::Value { origin, key, message });
        }
        self.settings[section][name] = value;
        Ok(())
    }

    /// The configuration, validated as a whole.
    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        let config = Config::deserialize(self.settings).expect("each value was checked when it was set");
        config.validate()?;
        Ok(config)
    }
}

impl Config {
    /// Reads a configuration file's `text` over the defaults. `name` stands for the file in errors.
    ///
    /// # Errors
    /// If the text is not TOML, has an unknown key or a value that its key cannot take, or if the whole is
    /// not valid.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        let mut layers = Layers::new();
        layers.set_all(text, name)?;
        layers.finish()
    }
}
