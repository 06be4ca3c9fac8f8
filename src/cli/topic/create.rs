//! `ringmail topic create`.

use super::setting::{Setting, pairs};
use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::cli::server::ServerArgs;

/// Create a topic
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CreateCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic's name: 1 to 249 of a-z A-Z 0-9 . _ -
    name: String,

    /// How many partitions; the broker's default if left out
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,

    /// A setting that differs from the broker's default; may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE")]
    settings: Vec<Setting>,
}

impl CreateCommand {
    pub fn run(self) -> Result<(), CliError> {
        let admin = self.server.connect()?.admin();
        let created = admin
            .create_topic(&self.name, self.partitions.unwrap_or(0), &pairs(&self.settings))
            .map_err(CliError::about(&self.name))?;
        let plural = if created.partitions == 1 { "" } else { "s" };
        print(&format!("created topic `{}` with {} partition{plural}\n", self.name, created.partitions))?;
        Ok(())
    }
}
