//! `ringmail log repair`.

use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{HumanBytes, HumanCount};

use super::LogError;
use crate::offline::find;
use crate::offline::repair::{FileSystem, Names, QUARANTINE, Repaired, ShardRepair, repair};

/// Put back what is whole of damaged segments, and give up what is lost; the broker must be stopped
///
/// Without --apply it says what would be lifted and what is lost, and changes nothing. With --apply whole records of damaged
/// files are stored anew at their offsets, lost offsets are given up, so that consumers go on behind them, and the damaged
/// files are moved to `quarantine` in the directory of their shard: nothing is deleted. Offsets are never given out twice.
///
/// A file of the same segment that is whole, from a backup, may be put back into the shard's directory at any time while the
/// broker is stopped, before a repair or after: what it holds goes before what was lifted or given up.
///
/// Exits with 0 if there was no damage, or if all of it was repaired and no record is lost; with 1 if damage is left, which
/// after a run without --apply is all of it, or if records are lost.
#[derive(Debug, clap::Args)]
pub(super) struct Repair {
    /// Data directory of a broker that is stopped
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Do it; without this it is only said what would be done
    #[arg(long)]
    apply: bool,
}

impl Repair {
    pub fn run(self, out: &mut impl Write) -> Result<ExitCode, LogError> {
        let files = find(&self.data).unwrap_or_default();
        let progress = super::verify::bar(files.iter().map(|file| file.bytes).sum());
        let repaired = repair(&self.data, self.apply, &mut FileSystem, |bytes| progress.inc(bytes));
        progress.finish_and_clear();
        let repaired = repaired?;
        for shard in repaired.shards.iter().filter(|shard| !shard.is_clean()) {
            self.print(shard, &repaired.names, out)?;
        }
        writeln!(out, "{}", self.summary(&repaired))?;
        let is_well = |s: &ShardRepair| {
            s.is_clean()
                || self.apply && s.lost.is_empty() && s.lost_of_catalog.is_empty() && s.left.is_empty()
        };
        Ok(if repaired.shards.iter().all(is_well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, shard: &ShardRepair, names: &Names, out: &mut impl Write) -> io::Result<()> {
        let word = |done, would| if self.apply { done } else { would };
        for finding in &shard.findings {
            let mended =
                if finding.by_start { word(" (built again)", " (would be built again)") } else { "" };
            writeln!(out, "damaged: {finding}{mended}")?;
        }
        for lifted in &shard.lifted {
            let records = HumanCount(lifted.records);
            let segment = lifted.segment.map_or(String::new(), |number| format!("segment {number}, "));
            writeln!(
                out,
                "{}: {}, {segment}{}: {records} records of {}, {}",
                word("lifted", "would lift"),
                lifted.path.display(),
                names.of(lifted.log),
                offsets(&lifted.offsets),
                HumanBytes(lifted.bytes),
            )?;
        }
        for (log, range) in &shard.lost {
            let records = HumanCount(range.end - range.start);
            writeln!(
                out,
                "lost: shard {}, {}: {records} records, {}",
                shard.shard,
                names.of(*log),
                offsets(range)
            )?;
        }
        for range in &shard.lost_of_catalog {
            writeln!(
                out,
                "lost: shard {}, the catalog: {}; a broker does not start without them, and they are not given up: put the \
                 segment back from a backup",
                shard.shard,
                offsets(range)
            )?;
        }
        for moved in &shard.moved {
            let (from, to) = (moved.from.display(), moved.to.display());
            writeln!(out, "{}: {from} to {to}: {}", word("moved", "would move"), moved.reason)?;
            if moved.untold > 0 {
                writeln!(
                    out,
                    "not lifted: {from}: {} entries look whole, but nothing says that they are of this segment",
                    moved.untold
                )?;
            }
        }
        shard.left.iter().try_for_each(|finding| writeln!(out, "still damaged: {finding}"))
    }

    fn summary(&self, repaired: &Repaired) -> String {
        let shards = &repaired.shards;
        if shards.iter().all(ShardRepair::is_clean) {
            return "no damage".to_owned();
        }
        let moved: usize = shards.iter().map(|s| s.moved.len()).sum();
        let built = shards.iter().flat_map(|s| &s.findings).filter(|f| f.by_start).count();
        let records: u64 = shards.iter().flat_map(|s| &s.lifted).map(|l| l.records).sum();
        let lost: Vec<(String, &Range<u64>)> = shards.iter().flat_map(|s| lost(s, &repaired.names)).collect();
        let lost_records: u64 = lost.iter().map(|(_, range)| range.end - range.start).sum();
        let mut text = if self.apply { String::new() } else { "dry run: ".to_owned() };
        text += &format!("{} repaired, ", counted(moved + built, "segment"));
        text += &format!("{} records lifted, {} lost", HumanCount(records), HumanCount(lost_records));
        if let Some((name, range)) = lost.first() {
            let more = if lost.len() > 1 { format!(", and {} more", lost.len() - 1) } else { String::new() };
            text += &format!(" ({name}, {}{more})", offsets(range));
        }
        let left: usize = shards.iter().map(|s| s.left.len()).sum();
        if left > 0 {
            text += &format!(", {} still damaged", counted(left, "place"));
        }
        if moved > 0 {
            let folder = self.data.join("shard-*").join(QUARANTINE);
            let verb = if self.apply { "are" } else { "would be" };
            text += &format!("; the damaged files {verb} in {}", folder.display());
        }
        if !self.apply {
            text += "; run it with --apply to do it";
        }
        text
    }
}

/// All that is lost of a shard, with its names.
fn lost<'a>(shard: &'a ShardRepair, names: &Names) -> Vec<(String, &'a Range<u64>)> {
    let catalog = shard.lost_of_catalog.iter().map(|range| ("the catalog".to_owned(), range));
    catalog.chain(shard.lost.iter().map(|(log, range)| (names.of(*log), range))).collect()
}

fn offsets(range: &Range<u64>) -> String {
    match range.end - range.start {
        1 => format!("offset {}", range.start),
        _ => format!("offsets {}..={}", range.start, range.end - 1),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
