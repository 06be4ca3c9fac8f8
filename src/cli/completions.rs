//! `ringmail completions`: scripts that let a shell complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::error::CliError;
use super::output::print;

/// Print a script that makes a shell complete `ringmail` commands
///
/// For bash, for example: ringmail completions bash > ~/.local/share/bash-completion/completions/ringmail
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

impl CompletionsCommand {
    pub fn run(self) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ringmail", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(())
    }
}
