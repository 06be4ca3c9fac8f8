//! `ringmail doctor`: is this host fit to run a broker.

use std::io;
use std::process::ExitCode;

use serde::Serialize;

use super::output::{OutputError, print};
use crate::config::{ConfigArgs, ConfigError};
use crate::doctor::{self, Check, Verdict};
use crate::logging::colour_wanted;

/// Check whether this host is fit to run a broker, and say what would make it fitter
///
/// Exits with 1 if anything is bad. Takes about two seconds; the disk under the data directory is measured.
#[derive(Debug, clap::Args)]
pub struct DoctorCommand {
    #[command(flatten)]
    config: ConfigArgs,

    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The host could not be checked, or the outcome not printed.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Standard output does not take the outcome.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl DoctorCommand {
    /// Checks and prints.
    ///
    /// # Errors
    /// If the configuration is wrong or standard output cannot be written to.
    pub fn run(self) -> Result<ExitCode, DoctorError> {
        let config = self.config.load()?;
        let report = Report::new(doctor::run(&config));
        print(&if self.json { report.json() } else { report.text(colour_wanted(&io::stdout())) })?;
        Ok(if report.bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// All checks and how many came out how.
#[derive(Serialize)]
struct Report {
    checks: Vec<Check>,
    good: usize,
    warn: usize,
    bad: usize,
}

impl Report {
    fn new(checks: Vec<Check>) -> Self {
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let (good, warn, bad) = (count(Verdict::Good), count(Verdict::Warn), count(Verdict::Bad));
        Self { checks, good, warn, bad }
    }

    fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("a report has string keys only");
        json + "\n"
    }

    fn text(&self, coloured: bool) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Check { name, verdict, finding, advice } in &self.checks {
            text += &format!("{}  {name:width$}  {finding}\n", label(*verdict, coloured));
            if let Some(advice) = advice {
                text += &format!("      {:width$}  -> {advice}\n", "");
            }
        }
        let Self { good, warn, bad, .. } = self;
        text + &format!("\n{good} good, {warn} to improve, {bad} bad\n")
    }
}

/// Four letters, so that what follows lines up.
fn label(verdict: Verdict, coloured: bool) -> String {
    let (word, colour) = match verdict {
        Verdict::Good => ("good", 32),
        Verdict::Warn => ("warn", 33),
        Verdict::Bad => ("bad ", 31),
    };
    if coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let check = |name, verdict, advice: Option<&str>| Check {
            name,
            verdict,
            finding: "found".to_owned(),
            advice: advice.map(str::to_owned),
        };
        Report::new(vec![
            check("kernel", Verdict::Good, None),
            check("io_uring", Verdict::Bad, Some("do this")),
        ])
    }

    #[test]
    fn people_get_aligned_lines_with_the_advice_below() {
        let expected = "\
good  kernel    found
bad   io_uring  found
                -> do this

1 good, 0 to improve, 1 bad
";
        assert_eq!(report().text(false), expected);
    }

    #[test]
    fn programs_get_json() {
        let json = serde_json::from_str::<serde_json::Value>(&report().json()).unwrap();
        assert_eq!(json["bad"], 1);
        assert_eq!(json["checks"][1]["verdict"], "bad");
        assert_eq!(json["checks"][0]["advice"], serde_json::Value::Null);
    }
}
