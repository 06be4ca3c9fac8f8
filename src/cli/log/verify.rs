//! `ringmail log verify`.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{LogError, Paths};
use crate::offline::{Report, Verifier};

/// Check every frame, entry, batch and footer, and that no offsets are missing
///
/// Prints a line for each place that is damaged, and what to do. A tail that was being written when the broker ended is torn, not
/// damaged. Exits with 1 if anything is damaged. Whether offsets are missing is told for directories, not for single
/// files.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    paths: Paths,
}

impl Verify {
    pub fn run(self, out: &mut impl Write) -> Result<ExitCode, LogError> {
        let groups = self.paths.find()?;
        let progress = bar(groups.iter().flatten().map(|file| file.bytes).sum());
        let mut sum = Report::default();
        for group in groups {
            let mut verifier = Verifier::default();
            for file in &group {
                verifier.file(file, |bytes| progress.inc(bytes))?;
            }
            let report = verifier.finish(group[0].shard.as_deref());
            progress.suspend(|| print(&report, out))?;
            add(&mut sum, report);
        }
        progress.finish_and_clear();
        writeln!(out, "{}", figures(&sum))?;
        if let Some(hint) = what_to_do(&sum) {
            writeln!(out, "{hint}")?;
        }
        Ok(if sum.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.damage {
        writeln!(out, "damaged: {finding}")?;
    }
    for finding in &report.torn {
        writeln!(out, "torn:    {finding}")?;
    }
    out.flush()
}

fn add(sum: &mut Report, report: Report) {
    sum.segments += report.segments;
    sum.spares += report.spares;
    sum.frames += report.frames;
    sum.entries += report.entries;
    sum.records += report.records;
    sum.bytes += report.bytes;
    sum.used_again += report.used_again;
    sum.damage.extend(report.damage);
    sum.torn.extend(report.torn);
}

fn figures(report: &Report) -> String {
    let Report { segments, spares, frames, entries, records, bytes, used_again, damage, torn } = report;
    let mut text = format!(
        "{segments} segments, {spares} spare, {frames} frames, {entries} entries, {records} records, {}: ",
        HumanBytes(*bytes)
    );
    text += &match damage.len() {
        0 => "no damage".to_owned(),
        1 => "1 place is damaged".to_owned(),
        places => format!("{places} places are damaged"),
    };
    if !torn.is_empty() {
        text += &format!(", {} in a torn tail", torn.len());
    }
    if *used_again > 0 {
        text += &format!(", {used_again} segments were used again meanwhile and left out");
    }
    text
}

/// What the operator is to do about what was found.
fn what_to_do(report: &Report) -> Option<&'static str> {
    let by_hand = report.damage.iter().any(|finding| !finding.by_start);
    if by_hand {
        return Some(
            "what to do: the broker serves what is whole; put damaged files back from a copy, or stop the broker and run \
             `ringmail log repair`",
        );
    }
    (!report.damage.is_empty()).then_some("what to do: nothing; the next start of the broker mends it")
}

pub(super) fn bar(bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    ProgressBar::new(bytes).with_style(style.expect("the template is well formed"))
}
