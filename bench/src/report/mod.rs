//! Results: one JSON line per scenario, lines for people before it, and a report of all of them as JSON and HTML.

mod goal;
mod html;
mod lines;
mod machine;
mod outcome;
mod svg;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

pub use goal::{Goal, Verdict};
pub use lines::{per_second, print};
pub use machine::Machine;
pub use outcome::{Bounds, Curve, Outcome, Series};

/// Everything that one run of the load generator has found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it was found.
    pub machine: Machine,
    /// What was found, in the order of the scenarios.
    pub scenarios: Vec<Entry>,
}

/// One scenario of a report.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// What the scenario does, in a sentence.
    pub about: &'static str,
    /// What it found, or why it could not be run.
    #[serde(flatten)]
    pub found: Found,
}

/// The end of a scenario.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It ran.
    Result {
        /// What it measured.
        outcome: Box<Outcome>,
        /// How that compares with what it should be.
        verdicts: Vec<Verdict>,
    },
    /// It could not be run to its end.
    Failure {
        /// The scenario's name.
        scenario: String,
        /// Why.
        error: String,
    },
}

impl Report {
    /// Writes `report.json` and `report.html` into `dir`.
    ///
    /// # Errors
    ///
    /// When the files cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        let json = serde_json::to_string_pretty(self).expect("a report has string keys alone");
        for (name, text) in [("report.json", json), ("report.html", html::page(self))] {
            let path = dir.join(name);
            fs::write(&path, text).map_err(Error::file("write", path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Latencies;

    #[test]
    fn a_report_is_written_as_json_and_html() {
        let mut latencies = Latencies::new();
        latencies.record(std::time::Duration::from_micros(10));
        let mut outcome = Outcome::new("a<b");
        outcome.figures.ratio = 0.8;
        outcome.series.push(Series { name: "rate", points: vec![(0.0, 1.0), (0.1, 5.0)] });
        outcome.curves.push(Curve { name: "latency", points: latencies.curve() });
        let verdicts = vec![Goal::more("ratio", 0.75, 0.9).judge(&outcome)];
        let report = Report {
            machine: Machine::describe(Path::new("/")),
            scenarios: vec![
                Entry { about: "x & y", found: Found::Result { outcome: Box::new(outcome), verdicts } },
                Entry {
                    about: "fails",
                    found: Found::Failure { scenario: "f".into(), error: "<broken>".into() },
                },
            ],
        };
        let dir = tempfile::tempdir().unwrap();
        report.write(dir.path()).unwrap();
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(dir.path().join("report.json")).unwrap()).unwrap();
        assert_eq!(json["scenarios"][0]["result"]["outcome"]["ratio"], 0.8);
        assert_eq!(json["scenarios"][1]["failure"]["error"], "<broken>");
        let html = fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(html.contains("a&lt;b") && html.contains("x &amp; y") && html.contains("&lt;broken&gt;"));
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("NaN"));
    }
}
