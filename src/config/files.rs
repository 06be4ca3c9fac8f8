//! Configuration files: from TOML text to single assignments that know their line.

use toml::Value;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, de};

use serde::Deserialize;

use super::layers::Assignment;
use super::{ConfigError, Origin};

/// The assignments in `text`, in the order of its lines. `name` stands for the file in errors. Sections
/// without any key are kept as assignments of an empty table to the section, so that a misspelt section is
/// found even if it is empty.
///
/// # Errors
/// If `text` is not TOML.
pub(super) fn parse(text: &str, name: &str) -> Result<Vec<Assignment>, ConfigError> {
    let file = File { text, name };
    let document = DeTable::parse(text).map_err(|error| file.syntax_error(&error))?;
    let mut found = Vec::new();
    for (section, entries) in document.into_inner() {
        let start = section.span().start;
        let section = section.into_inner();
        if !holds_keys(entries.get_ref()) {
            found.push((start, file.assignment(section.into_owned(), start, entries)?));
            continue;
        }
        if let DeValue::Table(entries) = entries.into_inner() {
            for (key, value) in entries {
                let start = key.span().start;
                let key = format!("{section}.{}", key.get_ref());
                found.push((start, file.assignment(key, start, value)?));
            }
        }
    }
    found.sort_by_key(|(start, _)| *start);
    Ok(found.into_iter().map(|(_, assignment)| assignment).collect())
}

fn holds_keys(value: &DeValue<'_>) -> bool {
    value.as_table().is_some_and(|table| !table.is_empty())
}

struct File<'a> {
    text: &'a str,
    name: &'a str,
}

impl File<'_> {
    fn assignment(
        &self,
        key: String,
        start: usize,
        value: Spanned<DeValue<'_>>,
    ) -> Result<Assignment, ConfigError> {
        let value =
            Value::deserialize(ValueDeserializer::from(value)).map_err(|error| self.syntax_error(&error))?;
        let origin = Origin::File { name: self.name.to_owned(), line: self.line_at(start) };
        Ok(Assignment { key, value, origin })
    }

    fn syntax_error(&self, error: &de::Error) -> ConfigError {
        ConfigError::Syntax {
            file: self.name.to_owned(),
            line: self.line_at(error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', ", "),
        }
    }

    /// The line, from 1, that the byte at `position` is on.
    fn line_at(&self, position: usize) -> usize {
        let before = self.text.bytes().take(position);
        1 + before.filter(|byte| *byte == b'\n').count()
    }
}
