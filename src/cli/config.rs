//! `ringmail config`: what the broker would run with.

use std::process::ExitCode;

use super::output::{OutputError, print};
use crate::config::{ConfigArgs, ConfigError};

/// Print the configuration that results from file, environment and flags, as a commented TOML file
///
/// What differs from its default is marked. The output can be used as a configuration file.
#[derive(Debug, clap::Args)]
pub struct ConfigCommand {
    #[command(flatten)]
    config: ConfigArgs,
}

/// The configuration could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigCommandError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Standard output does not take it.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl ConfigCommand {
    /// Prints the configuration.
    ///
    /// # Errors
    /// If the configuration is wrong or standard output cannot be written to.
    pub fn run(self) -> Result<ExitCode, ConfigCommandError> {
        let config = self.config.load()?;
        print(&config.render())?;
        Ok(ExitCode::SUCCESS)
    }
}
