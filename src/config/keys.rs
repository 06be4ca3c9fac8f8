//! The names that the configuration knows, taken from the default configuration.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;

/// The prefix of the environment variables that are keys.
const VARIABLE_PREFIX: &str = "RINGMAIL_";

/// Variables with the prefix that are not keys: the broker's configuration file and the client commands'
/// server.
const OTHER_VARIABLES: [&str; 2] = [CONFIG_VARIABLE, "RINGMAIL_SERVER"];

/// Kubernetes sets variables that begin like this in every container beside a service named `ringmail`.
const KUBERNETES_PREFIXES: [&str; 2] = ["RINGMAIL_SERVICE_", "RINGMAIL_PORT"];

/// Names the configuration file, as `--config` does.
pub(super) const CONFIG_VARIABLE: &str = "RINGMAIL_CONFIG";

/// Every known key, `section.name`, with its default value.
pub(super) struct Keys(BTreeMap<String, Value>);

impl Keys {
    pub(super) fn new() -> Self {
        let mut keys = BTreeMap::new();
        for (section, entries) in table_of(&Config::default()) {
            let Value::Table(entries) = entries else {
                unreachable!("the configuration consists of sections");
            };
            for (name, value) in entries {
                keys.insert(format!("{section}.{name}"), value);
            }
        }
        Self(keys)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn contains_section(&self, section: &str) -> bool {
        self.sections().any(|known| known == section)
    }

    fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|key| section_of(key))
    }

    /// The key whose environment variable is `variable`.
    pub(super) fn of_variable(&self, variable: &str) -> Option<&str> {
        let mut keys = self.0.keys();
        keys.find(|key| variable_of(key) == variable).map(String::as_str)
    }

    /// The known key or section that `key` was most likely meant to be.
    pub(super) fn nearest(&self, key: &str) -> Option<String> {
        let whole = |known: &str| (distance(key, known), known.to_owned());
        // A right name in a wrong section, or in none, is one mistake.
        let name = |known: &str| (1 + distance(name_of(key), name_of(known)), known.to_owned());
        let keys = self.0.keys().flat_map(|known| [whole(known), name(known)]);
        let sections = self.sections().map(|known| (distance(key, known), format!("[{known}]")));
        closest(keys.chain(sections), name_of(key))
    }

    /// The environment variable of a key that `variable` was most likely meant to be.
    pub(super) fn nearest_variable(&self, variable: &str) -> Option<String> {
        let known = self.0.keys().map(|key| variable_of(key));
        let known = known.chain(OTHER_VARIABLES.map(str::to_owned));
        let ranked = known.map(|known| (distance(variable, &known), known));
        closest(ranked, variable.trim_start_matches(VARIABLE_PREFIX))
    }

    /// Reads a value that came as text, from the environment or a flag, as the TOML type that the key's
    /// default has.
    ///
    /// # Errors
    /// In words, if `text` is not of that type.
    pub(super) fn value_of_text(&self, key: &str, text: &str) -> Result<Value, String> {
        match self.0.get(key) {
            Some(Value::Integer(_)) => {
                let number = text.trim().parse().map(Value::Integer);
                number.map_err(|_| format!("{text:?} is not a whole number: write one, such as 8"))
            }
            Some(Value::Boolean(_)) => {
                let switch = text.trim().parse().map(Value::Boolean);
                switch.map_err(|_| format!("{text:?} is neither true nor false"))
            }
            Some(Value::Float(_)) => {
                let number = text.trim().parse().map(Value::Float);
                number.map_err(|_| format!("{text:?} is not a number: write one, such as 0.3"))
            }
            _ => Ok(Value::String(text.to_owned())),
        }
    }
}

/// The configuration as a TOML table of sections.
pub(super) fn table_of(config: &Config) -> Table {
    Table::try_from(config).expect("the configuration has string keys and TOML values only")
}

/// Whether `variable` must be a key of the configuration.
pub(super) fn is_key_variable(variable: &str) -> bool {
    let by_kubernetes = KUBERNETES_PREFIXES.iter().any(|prefix| variable.starts_with(prefix));
    variable.starts_with(VARIABLE_PREFIX) && !by_kubernetes && !OTHER_VARIABLES.contains(&variable)
}

fn variable_of(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn section_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

fn name_of(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

/// The best-ranked candidate, by [`distance`], if it is near enough to `text` to be worth a word.
pub(crate) fn closest(ranked: impl Iterator<Item = (usize, String)>, text: &str) -> Option<String> {
    let (distance, candidate) = ranked.min()?;
    (distance <= 1 + text.chars().count() / 3).then_some(candidate)
}

/// The Levenshtein distance: how many letters must be put in, taken out or changed to make `a` into `b`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter_a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, letter_b) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter_a != *letter_b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("segment", "segmnet", 2)]
        {
            assert_eq!(distance(a, b), expected);
            assert_eq!(distance(b, a), expected);
        }
    }

    #[test]
    fn the_nearest_key_is_named_if_one_is_near() {
        let keys = Keys::new();
        let nearest = |key| keys.nearest(key);
        assert_eq!(nearest("log.segmnet").as_deref(), Some("log.segment"));
        assert_eq!(nearest("lgo.segment").as_deref(), Some("log.segment"));
        assert_eq!(nearest("limits.segment").as_deref(), Some("log.segment"));
        assert_eq!(nearest("segments").as_deref(), Some("log.segment"));
        assert_eq!(nearest("limit").as_deref(), Some("[limits]"));
        assert_eq!(nearest("zookeeper.connect"), None);
        assert_eq!(keys.nearest_variable("RINGMAIL_LOG_SEGMNT").as_deref(), Some("RINGMAIL_LOG_SEGMENT"));
    }

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let keys = Keys::new();
        let mut variables: HashSet<_> = OTHER_VARIABLES.map(str::to_owned).into();
        for key in keys.0.keys() {
            let variable = variable_of(key);
            assert_eq!(keys.of_variable(&variable), Some(key.as_str()));
            assert!(is_key_variable(&variable), "{key}");
            assert!(variables.insert(variable), "{key}");
        }
    }
}
