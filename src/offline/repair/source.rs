//! A damaged file, and what is whole of it.

use std::ops::Range;
use std::path::PathBuf;

use ringmail_shards::format::entry::EntryHeader;
use ringmail_shards::format::footer::parse_section;
use ringmail_shards::format::frame::FrameHeader;
use ringmail_shards::io::{BLOCK_BYTES, FileId};
use ringmail_shards::mend::KnownSegment;
use ringmail_shards::salvage::{Identity, Salvage, VouchedRun, identify, incarnation_of, salvage};

use super::RepairError;
use super::triage::Candidate;
use crate::offline::{OpenSegment, State};

/// A damaged file.
pub(super) struct Source {
    pub file: FileId,
    pub path: PathBuf,
    /// What is wrong with it, in a few words.
    pub reason: String,
    /// Whether it looks like a file that was never written.
    pub blank: bool,
    /// The segment, as far as it is known.
    pub number: Option<u64>,
    /// Whole entries and where they begin.
    pub whole: Vec<(EntryHeader, u64)>,
    /// Entries that look whole but cannot be told to belong to the segment.
    pub untold: Vec<(EntryHeader, u64)>,
    /// The greatest number of a frame in it, whatever segment that is of.
    pub last_seen: u64,
    /// The last frame of the segment that counts, as far as it is known.
    pub last_frame: u64,
    segment: OpenSegment,
}

impl Source {
    /// Looks for what is whole. `known` are the segments that the engine has recovered, `shard` is the shard's number.
    pub fn new(
        candidate: &Candidate,
        reason: &str,
        blank: bool,
        known: &[KnownSegment],
        shard: u16,
    ) -> Result<Self, RepairError> {
        // As it is now: the engine may have sealed it.
        let (file, path) = (candidate.file, candidate.path.path.clone());
        let segment = OpenSegment::open(&candidate.path)?;
        let bytes = segment.read(0, segment.frames_end())?;
        let identity = identity(file, &segment, &bytes, known, shard);
        let number = identity.map(|i| i.segment).or(segment.header().map(|h| h.segment));
        let Salvage { whole, untold } = salvage(&bytes, identity, &vouched(&segment)?);
        let last_seen = last_seen(&bytes, shard);
        let last_frame = identity.map_or(0, |identity| identity.last_frame);
        let reason = reason.to_owned();
        Ok(Self { file, path, reason, blank, number, whole, untold, last_seen, last_frame, segment })
    }

    /// The payload of one of its whole entries.
    pub fn payload(&self, entry: &EntryHeader, position: u64) -> Result<Vec<u8>, RepairError> {
        let bytes = self.segment.read(position, entry.entry_bytes() as u64)?;
        let payload = entry.payload(&bytes).map_err(|error| RepairError::Changed {
            path: self.path.clone(),
            position,
            reason: error.to_string(),
        })?;
        Ok(payload.to_vec())
    }
}

fn last_seen(bytes: &[u8], shard: u16) -> u64 {
    let frames = bytes.chunks(BLOCK_BYTES).filter_map(FrameHeader::parse);
    frames.filter(|frame| frame.shard == shard).map(|frame| frame.number).max().unwrap_or(0)
}

/// Which frames of the file are the segment's.
fn identity(
    file: FileId,
    segment: &OpenSegment,
    bytes: &[u8],
    known: &[KnownSegment],
    shard: u16,
) -> Option<Identity> {
    // Frames become durable in order: what one life of the broker has written before a segment that counts is durable.
    let durable = |incarnation: u64| {
        let of_life = known.iter().filter(|k| k.incarnation == incarnation);
        of_life.filter_map(|k| k.last_frame).max().unwrap_or(0)
    };
    let of_engine = known.iter().find(|k| k.file == file);
    let told = of_engine.map(|k| (k.number, k.incarnation, k.last_frame)).or_else(|| {
        let trailer = segment.ends.trailer.filter(|_| segment.state == State::Sealed);
        segment.header().map(|h| (h.segment, h.incarnation, trailer.map(|t| t.last_frame)))
    });
    if let Some((number, incarnation, Some(last_frame))) = told {
        let incarnation = Some(incarnation).filter(|i| *i != 0);
        let incarnation = incarnation.or_else(|| incarnation_of(bytes, &segment.ends))?;
        return Some(Identity { segment: number, incarnation, last_frame });
    }
    let taken = |number: u64| known.iter().any(|k| k.number == number && k.file != file);
    identify(bytes, shard, durable).filter(|identity| !taken(identity.segment))
}

/// The runs of the footer, as far as it can be read.
fn vouched(segment: &OpenSegment) -> Result<Vec<VouchedRun>, RepairError> {
    let mut vouched = Vec::new();
    let Some((rows, _)) = &segment.directory else { return Ok(vouched) };
    let frames_end = segment.frames_end();
    let number = segment.header().map_or(0, |h| h.segment);
    for row in rows {
        let section = segment.read(frames_end + u64::from(row.section_at), row.section_bytes.into())?;
        for run in parse_section(&section, number, row.section_at).unwrap_or_default() {
            let base = row.base + u64::from(run.offset_delta);
            let offsets: Range<u64> = base..base + u64::from(run.records);
            let fits = offsets.end <= row.end && run.end() <= frames_end;
            if fits {
                vouched.push(VouchedRun { log: row.log, offsets, position: run.position()..run.end() });
            }
        }
    }
    Ok(vouched)
}
