//! The commands of the `ringmail` binary, one file for each.

mod completions;
pub mod config;
mod consume;
pub mod doctor;
mod error;
pub mod log;
mod output;
mod ping;
mod produce;
pub mod serve;
mod server;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::error::CliError;

/// What stands at the end of every help page.
const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  it failed; standard error says why
  2  wrong usage
  3  the broker could not be reached";

/// The Ringmail message broker, and what manages, feeds and reads it
#[derive(Debug, Parser)]
#[command(name = "ringmail", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = EXIT_CODES)]
    Serve(serve::ServeCommand),
    #[command(after_help = EXIT_CODES)]
    Config(config::ConfigCommand),
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::DoctorCommand),
    #[command(subcommand, after_help = EXIT_CODES)]
    Topic(topic::TopicCommand),
    #[command(after_help = EXIT_CODES)]
    Produce(produce::ProduceCommand),
    #[command(after_help = consume::AFTER_HELP)]
    Consume(consume::ConsumeCommand),
    #[command(after_help = EXIT_CODES)]
    Ping(ping::PingCommand),
    #[command(after_help = EXIT_CODES)]
    Log(log::LogCommand),
    #[command(after_help = EXIT_CODES)]
    Completions(completions::CompletionsCommand),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringmail: {error}");
            error.exit_code()
        }
    }
}

impl Command {
    fn run(self) -> Result<ExitCode, CliError> {
        match self {
            Self::Serve(command) => Ok(command.run()?),
            Self::Config(command) => Ok(command.run()?),
            Self::Doctor(command) => Ok(command.run()?),
            Self::Topic(command) => done(command.run()),
            Self::Produce(command) => done(command.run()),
            Self::Consume(command) => done(command.run()),
            Self::Ping(command) => done(command.run()),
            Self::Log(command) => Ok(command.run()?),
            Self::Completions(command) => done(command.run()),
        }
    }
}

fn done(result: Result<(), CliError>) -> Result<ExitCode, CliError> {
    result.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
