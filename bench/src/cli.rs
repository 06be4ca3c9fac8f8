//! The command line.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};

use crate::broker::{self, Setup};
use crate::cpu::{self, Cores};
use crate::error::{Error, Result};
use crate::limits::{Limit, Probe};
use crate::report::{self, Entry, Found, Machine, Report};
use crate::scenarios::{self, Context, Scenario};

/// Measures a Ringmail broker against the limits of the machine that it runs on.
#[derive(Parser)]
#[command(name = "ringmail-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Directory for the broker's data, the probes' file and the report; must lie on the disk that is measured.
    #[arg(long, global = true, default_value = "target/bench", value_name = "DIR")]
    data: PathBuf,
    /// Core of the broker.
    #[arg(long, global = true, default_value_t = 0, value_name = "CORE")]
    broker_core: usize,
    /// Core of the client.
    #[arg(long, global = true, default_value_t = 1, value_name = "CORE")]
    client_core: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios. The last line of each is one JSON object; a report of all is written into the data directory.
    Run(Run),
    /// Lists scenarios and limits.
    List,
    /// Measures one limit of the machine, or all of them.
    Limit {
        /// Name of the limit; all without it.
        name: Option<String>,
        /// How long to measure, in seconds.
        #[arg(long, default_value_t = 1.5, value_parser = seconds)]
        seconds: f64,
    },
}

#[derive(Args)]
struct Run {
    /// Scenarios to run; all without it.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Runs this scenario alone.
    #[arg(long, value_name = "SCENARIO", conflicts_with = "scenarios")]
    only: Option<String>,
    /// The broker's binary; by default the one beside this.
    #[arg(long, value_name = "PATH")]
    broker: Option<PathBuf>,
    /// Length of a measuring window, in seconds.
    #[arg(long, default_value_t = 8.0, value_parser = seconds)]
    seconds: f64,
    /// What the scenarios store that read or recover much, in GiB.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1024))]
    gib: u64,
}

/// A length that a window can have.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.1 to 600".to_owned()),
    }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(run) => cli.run(run),
        Command::List => {
            list();
            Ok(())
        }
        Command::Limit { name, seconds } => cli.limit(name.as_deref(), *seconds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmail-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for scenario in scenarios::ALL {
        println!("{:<26} {}", scenario.name, scenario.about);
    }
    println!("\nLimits of the machine: {}", Limit::ALL.map(Limit::name).join(", "));
}

impl Cli {
    fn cores(&self) -> Cores {
        Cores { broker: self.broker_core, client: self.client_core }
    }

    fn probe(&self, seconds: f64) -> Probe {
        let length = Duration::from_secs_f64(seconds);
        Probe { dir: self.data.clone(), cores: self.cores(), length, span: Probe::SPAN }
    }

    fn limit(&self, name: Option<&str>, seconds: f64) -> Result<()> {
        let limits =
            name.map_or(Ok(Limit::ALL.to_vec()), |name| Limit::by_name(name).map(|limit| vec![limit]))?;
        let probe = self.probe(seconds);
        for limit in limits {
            let figure = limit.measure(&probe)?;
            let rate = report::per_second(figure.per_second, limit.unit());
            println!(
                "{:<20} {rate:<20} p50 {:.1} us, p99 {:.1} us",
                limit.name(),
                figure.p50_us,
                figure.p99_us
            );
        }
        Ok(())
    }

    fn run(&self, run: &Run) -> Result<()> {
        let mut scenarios: Vec<&Scenario> = Vec::new();
        for name in run.scenarios.iter().chain(&run.only) {
            scenarios.push(scenarios::by_name(name)?);
        }
        if scenarios.is_empty() {
            scenarios.extend(scenarios::ALL);
        }
        let _lock = lock(&self.data)?;
        let ctx = self.context(run)?;
        cpu::pin(self.client_core)?;
        let mut report = Report { machine: Machine::describe(&self.data), scenarios: Vec::new() };
        for scenario in scenarios {
            report.scenarios.push(run_one(scenario, &ctx));
            report.write(&self.data)?;
        }
        ctx.setup.remove()?;
        let failed =
            report.scenarios.iter().filter(|entry| matches!(entry.found, Found::Failure { .. })).count();
        match failed {
            0 => Ok(()),
            _ => Err(Error::Usage(format!("{failed} of {} scenarios failed", report.scenarios.len()))),
        }
    }

    fn context(&self, run: &Run) -> Result<Context> {
        let binary = match &run.broker {
            Some(path) => path.clone(),
            None => broker::beside_this_binary()?,
        };
        Ok(Context {
            setup: Setup { binary, data: broker_data(&self.data), core: self.broker_core },
            probe: self.probe(PROBE_SECONDS),
            length: Duration::from_secs_f64(run.seconds),
            stored: run.gib << 30,
        })
    }
}

/// Makes the directory this run's own until the file is dropped: two runs would remove each other's data.
fn lock(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::file("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Usage(format!(
            "another run uses {}; wait for it (two at once would measure each other), or give another --data",
            dir.display()
        ))),
        Err(TryLockError::Error(source)) => Err(Error::File { action: "lock", path, source }),
    }
}

/// How long each limit is measured on either side of a scenario.
const PROBE_SECONDS: f64 = 1.2;

fn broker_data(data: &Path) -> PathBuf {
    data.join("broker")
}

fn run_one(scenario: &Scenario, ctx: &Context) -> Entry {
    let start = Instant::now();
    let found = match (scenario.run)(ctx) {
        Ok(outcome) => {
            let verdicts: Vec<_> = scenario.goals.iter().map(|goal| goal.judge(&outcome)).collect();
            eprintln!("{}: took {:.1} s", scenario.name, start.elapsed().as_secs_f64());
            report::print(&outcome, &verdicts);
            Found::Result { outcome: Box::new(outcome), verdicts }
        }
        Err(error) => {
            eprintln!("ringmail-bench: {}: {error}", scenario.name);
            Found::Failure { scenario: scenario.name.to_owned(), error: error.to_string() }
        }
    };
    Entry { about: scenario.about, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn two_runs_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).unwrap_err().to_string().contains("another run"));
        drop(first);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn a_window_has_a_sensible_length() {
        assert_eq!(seconds("1.5"), Ok(1.5));
        assert!(seconds("0").is_err() && seconds("x").is_err() && seconds("NaN").is_err());
    }
}
