//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::cpu::Cores;
use crate::error::Result;
use crate::limits::{Limit, Probe};

/// Measures a Ringmail broker against the limits of the machine that it runs on.
#[derive(Parser)]
#[command(name = "ringmail-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Directory for the data of the broker under test and for the probes' file; must lie on the disk that is measured.
    #[arg(long, global = true, default_value = "target/bench")]
    data: PathBuf,
    /// Core of the broker.
    #[arg(long, global = true, default_value_t = 0)]
    broker_core: usize,
    /// Core of the client.
    #[arg(long, global = true, default_value_t = 1)]
    client_core: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Measures one limit of the machine, or all of them.
    Limit {
        /// Name of the limit; all without it.
        name: Option<String>,
        /// How long to measure, in seconds.
        #[arg(long, default_value_t = 1.5)]
        seconds: f64,
    },
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmail-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let cores = Cores { broker: cli.broker_core, client: cli.client_core };
    match &cli.command {
        Command::Limit { name, seconds } => {
            let probe = Probe {
                dir: cli.data.clone(),
                cores,
                length: Duration::from_secs_f64(*seconds),
                span: Probe::SPAN,
            };
            let limits = match name {
                Some(name) => vec![Limit::by_name(name)?],
                None => Limit::ALL.to_vec(),
            };
            for limit in limits {
                let figure = limit.measure(&probe)?;
                println!(
                    "{:<20} {:>14.0} {:<10} p50 {:>8.1} us  p99 {:>8.1} us",
                    limit.name(),
                    figure.per_second,
                    limit.unit(),
                    figure.p50_us,
                    figure.p99_us
                );
            }
            Ok(())
        }
    }
}
