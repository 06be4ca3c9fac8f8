//! Printing the effective configuration.

use std::fmt::Write;

use toml::{Table, Value};

use super::keys::table_of;
use super::{Config, DEFAULT_TOML};

impl Config {
    /// The configuration as TOML with the comments of the default file; what differs from its default says
    /// so. Reading it gives this configuration back.
    pub fn render(&self) -> String {
        let effective = table_of(self);
        let default = table_of(&Self::default());
        let mut rendered = String::with_capacity(DEFAULT_TOML.len());
        let mut section = "";
        for line in DEFAULT_TOML.lines() {
            section = section_header(line).unwrap_or(section);
            let value = assigned_key(line).and_then(|key| Some((key, lookup(&effective, section, key)?)));
            let written = match value {
                None => writeln!(rendered, "{line}"),
                Some((key, value)) => match lookup(&default, section, key) {
                    Some(default) if default != value => {
                        writeln!(rendered, "{key} = {value} # default: {default}")
                    }
                    _ => writeln!(rendered, "{key} = {value}"),
                },
            };
            written.expect("writing to a String does not fail");
        }
        rendered
    }
}

/// The name in `[name]`.
fn section_header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// The key in `key = value`.
fn assigned_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    (!key.starts_with('#')).then_some(key)
}

fn lookup<'a>(table: &'a Table, section: &str, key: &str) -> Option<&'a Value> {
    table.get(section)?.get(key)
}
