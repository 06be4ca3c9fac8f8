//! What can be wrong with a configuration. Each error is one line: where, what, and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration that the broker does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{file}:{line}: this is not TOML: {message}")]
    Syntax {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says, in one line.
        message: String,
    },
    /// A name that no section knows.
    #[error("{origin}: there is no key {}{}", OneLine(key), hint(nearest.as_deref()))]
    UnknownKey {
        /// Who set it.
        origin: Origin,
        /// The name.
        key: String,
        /// The known key that is most like it, if one is.
        nearest: Option<String>,
    },
    /// A value that the key cannot take.
    #[error("{origin}: {key}: {}", OneLine(message))]
    Value {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// An environment variable that looks like a key and is none.
    #[error("environment: there is no key for {}{}", OneLine(variable), hint(nearest.as_deref()))]
    UnknownVariable {
        /// The variable's name.
        variable: String,
        /// The known variable that is most like it, if one is.
        nearest: Option<String>,
    },
    /// An environment variable whose value is not UTF-8.
    #[error("environment: the value of {variable} is not UTF-8: correct or unset it")]
    VariableEncoding {
        /// The variable's name.
        variable: String,
    },
    /// A `--set` without a `=`.
    #[error("--set {}: write --set KEY=VALUE, such as --set log.segment=\"128 MiB\"", OneLine(argument))]
    SetSyntax {
        /// The argument.
        argument: String,
    },
    /// Two flags that set the same key.
    #[error("{first} and {second} both set {key}: give one of them")]
    GivenTwice {
        /// The key.
        key: String,
        /// The flag that came first.
        first: Origin,
        /// The other flag.
        second: Origin,
    },
    /// Values that are each well-formed, but out of range or at odds with each other.
    #[error("{key} = {}: {rule}", OneLine(value))]
    Invalid {
        /// The key to change.
        key: &'static str,
        /// Its value, as TOML.
        value: String,
        /// What must hold, in words that say what to do.
        rule: String,
    },
}

/// Who set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    File {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => "; `ringmail config` lists all keys".to_owned(),
    }
}

/// Text from outside, cut and escaped so that it stays within one line of an error message.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 400;
        for (index, character) in self.0.chars().enumerate() {
            match character {
                _ if index == LONGEST => return f.write_str("..."),
                character if character.is_control() => write!(f, "{}", character.escape_default())?,
                character => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}
