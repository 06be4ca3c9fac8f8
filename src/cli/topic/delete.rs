//! `ringmail topic delete`.

use crate::cli::error::CliError;
use crate::cli::output::print;
use crate::cli::server::ServerArgs;

/// Delete a topic and all its records
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeleteCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic's name
    name: String,
}

impl DeleteCommand {
    pub fn run(self) -> Result<(), CliError> {
        let admin = self.server.connect()?.admin();
        admin.delete_topic(&self.name).map_err(CliError::about(&self.name))?;
        print(&format!("deleted topic `{}` and its records\n", self.name))?;
        Ok(())
    }
}
