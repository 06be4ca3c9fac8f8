//! What each file of a shard is, before anything is done about it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::ends::HEAD_BYTES;
use ringmail_shards::format::segment::FirstBlock;
use ringmail_shards::io::FileId;

use super::RepairError;
use crate::offline::{Finding, OpenSegment, Report, SegmentPath, State, Verifier};
use crate::runtime::disk::file_id;

/// A file of the shard.
#[derive(Debug)]
pub(super) struct Candidate {
    pub file: FileId,
    pub path: SegmentPath,
    pub segment: OpenSegment,
}

/// The files of a shard, by what is to be done about them.
#[derive(Debug, Default)]
pub(super) struct Triage {
    /// They hold segments, damaged or not.
    pub segments: Vec<Candidate>,
    /// Nothing says what they hold: damage, or the second file of a segment.
    pub strays: Vec<(Candidate, String)>,
    /// They were never written as far as their ends say.
    pub blank: Vec<Candidate>,
    /// They are no files of this shard, and why.
    pub foreign: Vec<(PathBuf, String)>,
    /// What is wrong, by the file.
    pub damage: BTreeMap<PathBuf, Vec<Finding>>,
    /// A number that no file's name has.
    pub next_name: u64,
    /// How many files of each size there are.
    sizes: BTreeMap<u64, u64>,
}

impl Triage {
    /// Looks at all files of the shard `shard` in `directory`; `progress` is told how many bytes were read.
    pub fn of(directory: &Path, shard: u16, progress: &mut impl FnMut(u64)) -> Result<Self, RepairError> {
        let mut triage = Self::default();
        let mut verifier = Verifier::default();
        for (file, path) in segment_files(directory)? {
            triage.next_name = triage.next_name.max(file.0.saturating_add(1));
            triage.take(shard, file, path, &mut verifier, progress)?;
        }
        let Report { damage, .. } = verifier.finish(None);
        for finding in damage {
            triage.damage.entry(finding.path.clone()).or_default().push(finding);
        }
        triage.one_file_for_each_segment();
        Ok(triage)
    }

    /// The size of most segment files, in bytes.
    pub fn usual_bytes(&self) -> u64 {
        let most = self.sizes.iter().max_by_key(|(bytes, count)| (**count, **bytes));
        most.map_or(ShardConfig::default().segment_bytes, |(bytes, _)| *bytes)
    }

    fn take(
        &mut self,
        shard: u16,
        file: FileId,
        path: SegmentPath,
        verifier: &mut Verifier,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), RepairError> {
        if path.bytes < HEAD_BYTES as u64 {
            let reason =
                if path.bytes == 0 { "the file is empty" } else { "the file is too short for a segment" };
            self.foreign.push((path.path, reason.to_owned()));
            return Ok(());
        }
        let segment = OpenSegment::open(&path)?;
        let told = match segment.ends.first {
            FirstBlock::OtherVersion(version) => {
                return Err(RepairError::Version { path: path.path, version });
            }
            FirstBlock::Segment(header) => Some(header.shard),
            _ => segment.ends.header.map(|header| header.shard),
        };
        if let Some(other) = told.filter(|told| *told != shard) {
            self.foreign.push((path.path, format!("the segment is of shard {other}")));
            return Ok(());
        }
        *self.sizes.entry(path.bytes).or_default() += 1;
        let candidate = Candidate { file, path, segment };
        match candidate.segment.state {
            State::Spare if candidate.segment.ends.first == FirstBlock::Blank => self.blank.push(candidate),
            State::Spare => {}
            State::Open | State::Sealed => {
                verifier.file(&candidate.path, progress)?;
                self.segments.push(candidate);
            }
            State::Damaged | State::OtherVersion(_) => {
                let reason = "the first block is damaged, and nothing else says what the file holds";
                self.strays.push((candidate, reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Of several files of a segment the best counts: one without damage, one that is sealed, the one that goes further.
    fn one_file_for_each_segment(&mut self) {
        let damaged = |c: &Candidate| self.damage.contains_key(&c.path.path);
        let rank = |c: &Candidate| {
            let sealed = c.segment.ends.trailer.filter(|_| c.segment.state == State::Sealed);
            (damaged(c), sealed.is_none(), std::cmp::Reverse(sealed.map(|t| t.last_frame)), c.file)
        };
        let mut best: HashMap<u64, FileId> = HashMap::new();
        let mut ranked: Vec<&Candidate> = self.segments.iter().collect();
        ranked.sort_by_key(|c| rank(c));
        for candidate in ranked {
            best.entry(candidate.number()).or_insert(candidate.file);
        }
        for candidate in std::mem::take(&mut self.segments) {
            let number = candidate.number();
            if best.get(&number) == Some(&candidate.file) {
                self.segments.push(candidate);
            } else {
                self.strays.push((candidate, format!("segment {number} is in another file, too")));
            }
        }
    }
}

impl Candidate {
    /// The number of the segment; 0 if that is not known.
    pub fn number(&self) -> u64 {
        self.segment.ends.header.map_or(0, |header| header.segment)
    }
}

/// The files of a shard's directory that are named like segments, in order.
fn segment_files(directory: &Path) -> Result<Vec<(FileId, SegmentPath)>, RepairError> {
    let failed = |error| RepairError::on(directory)(error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(file) = entry.file_name().to_str().and_then(file_id) else { continue };
        let bytes = entry.metadata().map_err(failed)?.len();
        files.push((file, SegmentPath { path: entry.path(), bytes, shard: Some(directory.to_owned()) }));
    }
    files.sort_by_key(|(file, _)| *file);
    Ok(files)
}
