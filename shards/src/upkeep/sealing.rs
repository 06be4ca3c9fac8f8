//! Sealing: a segment that takes no more frames gets its footer.

use super::FULL_RETRY_MS;
use crate::api::LogId;
use crate::format::footer::{self, Footer, FooterExtent, Row};
use crate::index::{Extent, ExtentIndex};
use crate::io::{FileId, IoError, IoId, IoOp};
use crate::ops::Purpose;
use crate::segments::SegmentState;
use crate::shard::Shard;

impl Shard {
    pub(super) fn seal_what_is_durable(&mut self) {
        let durable = self.commit.durable();
        let due: Vec<u64> = self
            .segments
            .iter()
            .filter(|s| s.state == SegmentState::Closed && s.last_frame <= durable && s.file.is_some())
            // What was deleted of it is left out: the entry that deleted it must be durable first, unless there was no room for
            // it and there never will be.
            .filter(|s| s.empty_after <= durable || (self.closing && self.commit.is_idle()))
            .filter(|s| s.seal_at_ms <= self.now_ms)
            .map(|s| s.number)
            .collect();
        for number in due {
            self.seal(number);
        }
    }

    /// Writes the footer of a closed segment.
    pub(crate) fn seal(&mut self, number: u64) {
        let segment = self.segments.get(number).expect("the caller found it");
        let (last_frame, file_bytes, position) = (segment.last_frame, segment.file_bytes, segment.position);
        let file = segment.file.expect("the caller looked for one");
        let mut extents: Vec<(LogId, &Extent)> = self
            .logs
            .iter()
            .flat_map(|(&log, state)| state.extents.iter().map(move |e| (log, e)))
            .chain(self.cleaner.extents())
            .filter(|(_, e)| e.segment == number)
            .collect();
        extents.sort_unstable_by_key(|&(log, e)| (log, e.base));
        let described: Vec<_> = extents.iter().map(|&(log, extent)| describe(log, extent)).collect();
        let Footer { sections, directory, rows } = footer::build(
            self.config.shard,
            number,
            last_frame,
            &described,
            &segment.snapshot,
            &segment.states,
        );
        let footer_bytes = (sections.len() + directory.len()) as u64;
        // There may be more logs now than when room was left for the footer: then the file grows.
        let footer_at = file_bytes.saturating_sub(footer_bytes).max(position);
        let segment = self.segments.get_mut(number).expect("it was there");
        segment.state = SegmentState::Sealing;
        segment.footer_at = footer_at;
        segment.file_bytes = footer_at + footer_bytes;
        segment.rows = rows;
        segment.directory = directory;
        if sections.is_empty() {
            return self.sections_written(number, Ok(()));
        }
        self.write_durably(file, footer_at, &sections, Purpose::Sections(number));
    }

    /// Writes whole blocks with dsync.
    pub(crate) fn write_durably(
        &mut self,
        file: FileId,
        position: u64,
        bytes: &[u8],
        purpose: Purpose,
    ) -> IoId {
        let mut buffer = crate::buffers::aligned(bytes.len());
        buffer.extend_from_slice(bytes);
        self.ops.push(IoOp::Write { file, position, data: buffer.freeze(), dsync: true }, purpose)
    }

    /// The sections of a footer are durable: the directory may follow.
    pub(crate) fn sections_written(&mut self, number: u64, result: Result<(), IoError>) {
        let Some(segment) = self.segments.get_mut(number) else { return };
        let directory = std::mem::take(&mut segment.directory);
        let (file, position) = (segment.file, segment.file_bytes - directory.len() as u64);
        match (result, file) {
            (Ok(()), Some(file)) => {
                self.write_durably(file, position, &directory, Purpose::Footer(number));
            }
            (result, _) => self.footer_written(number, result),
        }
    }

    pub(crate) fn footer_written(&mut self, number: u64, result: Result<(), IoError>) {
        let Some(segment) = self.segments.get_mut(number) else { return };
        match result {
            Ok(()) => self.upkeep.write_refused = false,
            // Its frames are durable and it is read without a footer: that can wait until there is room.
            Err(IoError::Full) if self.recovery.is_none() => {
                segment.state = SegmentState::Closed;
                segment.seal_at_ms = self.now_ms + FULL_RETRY_MS;
                return self.note_write_refused();
            }
            Err(error) => {
                return self.fence(format!("the footer of a segment could not be written: {error}"));
            }
        }
        segment.state = SegmentState::Sealed;
        (segment.snapshot, segment.states) = (Vec::new(), Vec::new());
        for row in std::mem::take(&mut segment.rows) {
            let extents = self.logs.get_mut(&row.log).map(|l| &mut l.extents);
            let in_log =
                extents.and_then(|e| e.iter_mut().find(|e| e.segment == number && e.base == row.base));
            let extent = in_log.or_else(|| self.cleaner.extent_mut(row.log, number, row.base));
            let Some(extent) = extent else { continue };
            let sealed = ExtentIndex::Sealed { section_at: row.section_at, section_bytes: row.section_bytes };
            if let ExtentIndex::Open(runs) = std::mem::replace(&mut extent.index, sealed) {
                self.reads.remember_section((number, row.section_at), runs);
            }
        }
        self.work_due = true;
        self.recovery_sealed(number);
    }
}

fn describe(log: LogId, extent: &Extent) -> FooterExtent<'_> {
    let ExtentIndex::Open(runs) = &extent.index else { unreachable!("a segment is sealed once") };
    let row = Row {
        log,
        base: extent.base,
        end: extent.end,
        max_timestamp: extent.max_timestamp,
        bytes: extent.bytes,
        section_at: 0,
        section_bytes: 0,
        relocated: extent.relocated,
        lost: extent.lost,
    };
    FooterExtent { row, runs }
}
