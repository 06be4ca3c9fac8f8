//! `ringmail topic alter`.

use super::setting::{Setting, pairs};
use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::cli::server::ServerArgs;

/// Change a topic's settings, or add partitions
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(in crate::cli) struct AlterCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic's name
    name: String,

    /// The new number of partitions; not lower than it is. Keys go to other partitions then
    #[arg(long, short, value_name = "N", group = "change", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,

    /// A setting; may be repeated
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", group = "change")]
    settings: Vec<Setting>,

    /// A setting that goes back to the broker's default; may be repeated
    #[arg(long = "reset", short = 'r', value_name = "KEY", group = "change")]
    resets: Vec<String>,
}

impl AlterCommand {
    pub fn run(self) -> Result<(), CliError> {
        let admin = self.server.connect()?.admin();
        let mut settings = pairs(&self.settings);
        settings.extend(self.resets.iter().map(|key| (key.as_str(), "")));
        admin
            .alter_topic(&self.name, self.partitions.unwrap_or(0), &settings)
            .map_err(CliError::about(&self.name))?;
        print(&format!("changed topic `{}`\n", self.name))?;
        Ok(())
    }
}
