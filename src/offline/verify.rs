//! Whether segment files hold what was written to them.

use std::path::{Path, PathBuf};

use ringmail_shards::format::ends::HEAD_BYTES;
use ringmail_shards::format::entry::EntryKind;
use ringmail_shards::format::footer::{LogSnapshot, ROW_BYTES, Row, SNAPSHOT_BYTES, TRAILER_BYTES};
use ringmail_shards::format::segment::SEGMENT_HEADER_BYTES;
use ringmail_shards::format::states::parse_states;
use ringmail_shards::scan::FoundFrame;

use super::files::{OfflineError, SegmentPath};
use super::findings::{Finding, Offsets};
use super::footer::{self, Held};
use super::frame::{self, not_zero};
use super::history::History;
use super::segment::{OpenSegment, State};

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Segments that hold something.
    pub segments: u64,
    /// Files that wait to be used.
    pub spares: u64,
    /// Whole frames.
    pub frames: u64,
    /// Their entries.
    pub entries: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of frames.
    pub bytes: u64,
    /// Files that a running broker used for something else meanwhile.
    pub used_again: u64,
    /// What is damaged.
    pub damage: Vec<Finding>,
    /// What was cut off by the end of the broker, and never durable.
    pub torn: Vec<Finding>,
}

/// Something wrong in a frame that may be a torn write.
#[derive(Debug)]
struct Suspect {
    /// The frame that is broken, or the first that is missing.
    frame: u64,
    sealed: bool,
    finding: Finding,
}

/// Goes through the segments of one shard, or through single files.
#[derive(Debug, Default)]
pub struct Verifier {
    report: Report,
    suspects: Vec<Suspect>,
    history: History,
    /// All frames up to this one were durable.
    durable: u64,
}

impl Verifier {
    /// Looks at a file; `progress` is told how many bytes of it were read.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(&mut self, file: &SegmentPath, progress: impl FnMut(u64)) -> Result<(), OfflineError> {
        let segment = OpenSegment::open(file)?;
        let mut found = Self::default();
        match misplaced(&segment, file) {
            Some(finding) => found.report.damage.push(finding),
            None => found.segment(&segment, progress)?,
        }
        let wrong = !found.report.damage.is_empty() || !found.suspects.is_empty();
        if wrong && segment.was_used_again()? {
            self.report.used_again += 1;
            return Ok(());
        }
        self.merge(found);
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let Report { segments, spares, frames, entries, records, bytes, damage, .. } = other.report;
        let report = &mut self.report;
        report.segments += segments;
        report.spares += spares;
        report.frames += frames;
        report.entries += entries;
        report.records += records;
        report.bytes += bytes;
        report.damage.extend(damage);
        self.suspects.extend(other.suspects);
        self.history.merge(other.history);
        self.durable = self.durable.max(other.durable);
    }

    fn segment(&mut self, segment: &OpenSegment, progress: impl FnMut(u64)) -> Result<(), OfflineError> {
        self.check_ends(segment);
        let Some(header) = segment.header() else {
            self.report.spares += u64::from(segment.state == State::Spare);
            return Ok(());
        };
        self.report.segments += 1;
        let sealed = segment.state == State::Sealed;
        let mut held = Held::default();
        let mut expected = header.first_frame.max(1);
        segment.frames(progress, |frame| {
            let number = frame.header.number;
            if number > expected && header.first_frame > 0 {
                let what = format!("frames {expected} to {} are missing", number - 1);
                self.suspect(segment, expected, sealed, (frame.position, None, what));
            }
            expected = number + 1;
            self.frame(segment, frame, sealed, &mut held)
        })?;
        if let (true, Some(trailer)) = (sealed, segment.ends.trailer) {
            if expected <= trailer.last_frame {
                let what = format!("frames {expected} to {} are missing", trailer.last_frame);
                self.suspect(segment, expected, sealed, (segment.frames_end(), None, what));
            }
            self.durable = self.durable.max(trailer.last_frame);
            self.check_footer(segment, &mut held)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        segment: &OpenSegment,
        frame: &FoundFrame,
        sealed: bool,
        held: &mut Held,
    ) -> Result<(), OfflineError> {
        let number = frame.header.number;
        let bytes = frame.header.frame_bytes() as u64;
        self.durable = self.durable.max(frame.header.durable);
        self.report.frames += 1;
        self.report.bytes += bytes;
        self.report.entries += frame.entries.len() as u64;
        let data = segment.read(frame.position, bytes)?;
        for (at, offsets, what) in frame::flaws(frame, &data) {
            self.suspect(segment, number, sealed, (frame.position + at as u64, offsets, what));
        }
        for (entry, at) in &frame.entries {
            held.take(entry, frame.position + *at as u64);
            match entry.kind {
                EntryKind::Records => {
                    self.report.records += u64::from(entry.record_count);
                    self.history.records(frame::offsets(entry), number, sealed);
                }
                EntryKind::Lost => self.history.records(frame::offsets(entry), number, sealed),
                EntryKind::LogStart => self.history.start(entry.log, entry.base_offset),
                EntryKind::Dropped => self.history.dropped(entry.log),
            }
        }
        Ok(())
    }

    fn suspect(
        &mut self,
        segment: &OpenSegment,
        frame: u64,
        sealed: bool,
        (position, offsets, what): (u64, Option<Offsets>, String),
    ) {
        let finding = Finding { frame: Some(frame), offsets, ..finding(segment, Some(position), what) };
        self.suspects.push(Suspect { frame, sealed, finding });
    }

    /// First block and end of the footer.
    fn check_ends(&mut self, segment: &OpenSegment) {
        let mut damaged = |position, what: &str| {
            self.report.damage.push(finding(segment, Some(position), what.to_owned()));
        };
        match segment.state {
            State::Damaged => {
                damaged(0, "the first block is damaged, and nothing else says what the file holds")
            }
            State::OtherVersion(_) => damaged(0, "the file is of another version of the format"),
            _ if segment.ends.lost_first_block() => damaged(0, "the first block is damaged"),
            State::Open if segment.header().is_some_and(|h| h.file_bytes > segment.bytes) => {
                let had = segment.header().map_or(0, |h| h.file_bytes);
                damaged(segment.bytes, &format!("the file is cut short: it had {had} bytes"));
            }
            _ => {
                let end = segment.first_block.len();
                if let Some(at) = not_zero(&segment.first_block, SEGMENT_HEADER_BYTES, end) {
                    damaged(at as u64, "the padding of the first block is not zero");
                }
            }
        }
        let unsealed = segment.state == State::Open;
        let trailer_lost = segment.ends.trailer.is_some() || segment.has_broken_trailer();
        if unsealed && trailer_lost {
            let what = "the end of the footer is damaged; the next start builds it again".to_owned();
            let found = finding(segment, Some(segment.frames_end()), what);
            self.report.damage.push(Finding { by_start: true, ..found });
        }
    }

    fn check_footer(&mut self, segment: &OpenSegment, held: &mut Held) -> Result<(), OfflineError> {
        let Some((rows, snapshots)) = &segment.directory else { return Ok(()) };
        let number = segment.header().map_or(0, |h| h.segment);
        for row in rows {
            let at = segment.frames_end() + u64::from(row.section_at);
            let section = segment.read(at, row.section_bytes.into())?;
            if let Some(what) = held.check(number, row, &section) {
                let offsets = Some(footer::offsets(row));
                let wrong = Finding { offsets, ..finding(segment, Some(at), what) };
                self.report.damage.push(wrong);
            }
        }
        self.check_footer_padding(segment, rows, snapshots.len())?;
        for LogSnapshot { log, start, end, dropped } in snapshots {
            if *dropped {
                self.history.dropped(*log);
            } else {
                self.history.start(*log, *start);
                self.history.end(*log, number, *end);
            }
        }
        Ok(())
    }

    fn check_footer_padding(
        &mut self,
        segment: &OpenSegment,
        rows: &[Row],
        snapshots: usize,
    ) -> Result<(), OfflineError> {
        let Some(trailer) = segment.ends.trailer else { return Ok(()) };
        let footer = segment.read(segment.frames_end(), trailer.footer_bytes)?;
        let sections_end = rows.iter().map(|r| r.section_at as usize + r.section_bytes as usize).max();
        let directory = (trailer.footer_bytes - trailer.directory_bytes) as usize;
        let states = trailer.states_at() as usize;
        if states < directory
            && parse_states(&footer[states..directory], trailer.segment, trailer.states_at()).is_none()
        {
            let what = "what the footer says of producers is damaged".to_owned();
            self.report.damage.push(finding(segment, Some(segment.frames_end() + states as u64), what));
        }
        let directory_end = directory + rows.len() * ROW_BYTES + snapshots * SNAPSHOT_BYTES;
        let trailer_at = footer.len().saturating_sub(TRAILER_BYTES);
        for (from, to) in [(sections_end.unwrap_or(0), states), (directory_end, trailer_at)] {
            if let Some(at) = not_zero(&footer, from, to) {
                let what = "the padding of the footer is not zero".to_owned();
                self.report.damage.push(finding(segment, Some(segment.frames_end() + at as u64), what));
            }
        }
        Ok(())
    }

    /// Ends the shard in the directory `shard`, if all its files were looked at, and tells torn writes from damage.
    pub fn finish(mut self, shard: Option<&Path>) -> Report {
        let durable = self.durable;
        let torn = |s: &Suspect| !s.sealed && s.frame > durable;
        let cut = self.suspects.iter().filter(|s| torn(s)).map(|s| s.frame).min().unwrap_or(u64::MAX);
        for suspect in self.suspects {
            let list = if !suspect.sealed && suspect.frame >= cut {
                &mut self.report.torn
            } else {
                &mut self.report.damage
            };
            list.push(suspect.finding);
        }
        // Of a broker that runs a segment may have moved on between the looks at two files.
        let whole = self.report.used_again == 0;
        if let (Some(shard), true) = (shard, whole) {
            let missing = self.history.missing(cut).into_iter().map(|offsets| Finding {
                path: PathBuf::from(shard),
                position: None,
                segment: None,
                frame: None,
                offsets: Some(offsets),
                what: "no segment holds them".to_owned(),
                by_start: false,
            });
            self.report.damage.extend(missing);
        }
        self.report
    }
}

/// Why a file cannot hold anything of the shard in whose directory it is, if it cannot.
fn misplaced(segment: &OpenSegment, file: &SegmentPath) -> Option<Finding> {
    if file.bytes == 0 {
        let what = "the file is empty: its creation was cut short, or all that it held is lost; the next start removes it";
        return Some(Finding { by_start: true, ..finding(segment, None, what.to_owned()) });
    }
    if file.bytes < HEAD_BYTES as u64 {
        let what = format!("the file is too short for a segment: {} bytes", file.bytes);
        return Some(finding(segment, Some(file.bytes), what));
    }
    let name = file.shard.as_ref()?.file_name()?.to_str()?;
    let (own, of) = (name.strip_prefix("shard-")?.parse::<u16>().ok()?, segment.header()?.shard);
    (own != of).then(|| {
        let what = format!(
            "the segment is of shard {of}, and the broker leaves it alone: move it to where it belongs"
        );
        finding(segment, Some(0), what)
    })
}

fn finding(segment: &OpenSegment, position: Option<u64>, what: String) -> Finding {
    let number = segment.ends.header.map(|h| h.segment);
    Finding {
        path: segment.path.clone(),
        position,
        segment: number,
        frame: None,
        offsets: None,
        what,
        by_start: false,
    }
}
