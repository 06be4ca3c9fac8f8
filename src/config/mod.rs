//! The broker's configuration: one set of names for the TOML file, the environment and the flags.
//!
//! A key is named by its section and its own name, `log.segment`. It can be set, later ones winning over
//! earlier ones,
//!
//! 1. in the file given by `--config FILE` or `RINGMAIL_CONFIG`, as `segment = "128 MiB"` under `[log]`;
//! 2. in the environment, as `RINGMAIL_LOG_SEGMENT="128 MiB"`;
//! 3. on the command line, as `--set log.segment="128 MiB"` (a few keys have a flag of their own, such as
//!    `--data`).
//!
//! What no source sets keeps the default that `default.toml` documents. A name that no section knows is refused
//! wherever it stands, because a misspelt limit that is silently ignored is found only once it is needed.

mod args;
mod cores;
mod error;
mod files;
mod keys;
mod layers;
mod listen;
mod quantity;
mod render;
mod sections;
mod validate;

#[cfg(test)]
mod tests;

pub use args::ConfigArgs;
pub use cores::{CoreSet, ParseCoreSetError};
pub use error::{ConfigError, Origin};
pub(crate) use keys::{closest, distance};
pub use listen::{ListenAddress, ParseListenAddressError};
pub use quantity::{ByteSize, Limit, Millis, ParseQuantityError};
pub use sections::{Config, Kafka, Limits, Listen, Log, LogFormat, Logging, Node, Topics};

/// The default configuration as a commented TOML file; equal to [`Config::default`].
pub const DEFAULT_TOML: &str = include_str!("default.toml");
