//! `ringmail topic`: managing topics.

mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod setting;

use super::EXIT_CODES;
use super::error::CliError;

/// Create, list, describe, change and delete topics
#[derive(Debug, clap::Subcommand)]
pub(super) enum TopicCommand {
    #[command(after_help = EXIT_CODES)]
    Create(create::CreateCommand),
    #[command(after_help = EXIT_CODES)]
    List(list::ListCommand),
    #[command(after_help = EXIT_CODES)]
    Describe(describe::DescribeCommand),
    #[command(after_help = EXIT_CODES)]
    Alter(alter::AlterCommand),
    #[command(after_help = EXIT_CODES)]
    Delete(delete::DeleteCommand),
}

impl TopicCommand {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Describe(command) => command.run(),
            Self::Alter(command) => command.run(),
            Self::Delete(command) => command.run(),
        }
    }
}
