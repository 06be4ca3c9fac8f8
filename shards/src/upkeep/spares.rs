//! Spare files: made ahead, filled with zeros, and taken back from segments that nothing needs.

use super::FULL_RETRY_MS;
use crate::format::segment::spare_block;
use crate::io::{BLOCK_BYTES, FileId, IoError, IoOp};
use crate::ops::Purpose;
use crate::segments::Spare;
use crate::shard::Shard;

/// Bytes that one operation fills with zeros.
const FILL_BYTES: u64 = 1 << 20;
/// Emptied files that an idle shard keeps at least.
const SPARES_KEPT: usize = 4;
/// Milliseconds without writes after which emptied files beyond that are removed. Removing a large file keeps the file
/// system's journal busy for tens of milliseconds, in which no sync ends; and a busy shard needs the file again.
const TRIM_AFTER_IDLE_MS: u64 = 2000;

impl Shard {
    pub(super) fn create_spares(&mut self) {
        let ahead = if self.closing { 0 } else { self.config.spare_segments };
        let wanted = ahead + self.segments.without_file().count();
        let failed = self.upkeep.full_since.max(self.upkeep.create_failed);
        let retry = failed.is_none_or(|at| self.now_ms >= at + FULL_RETRY_MS);
        // With as many spares as are wanted nothing but one more shows that there is room again.
        let asks = self.upkeep.is_full() && !self.upkeep.full_by_write && !self.closing;
        if self.segments.spares.len() >= wanted && !asks || self.upkeep.creating || !retry {
            return;
        }
        self.upkeep.creating = true;
        let file = self.segments.fresh_file();
        let op = IoOp::Create { file, bytes: self.config.segment_bytes };
        self.ops.push(op, Purpose::CreateSpare(file));
    }

    pub(crate) fn spare_created(&mut self, file: FileId, result: Result<(), IoError>) {
        self.upkeep.creating = false;
        match result {
            Ok(()) => {
                self.upkeep.create_failed = None;
                self.upkeep.tried_to_create = true;
                self.no_longer_full();
                self.add_spare(Spare { file, written: 0, busy: false });
            }
            Err(error) => {
                self.upkeep.tried_to_create = true;
                self.note_not_created(&error);
                // What was allocated of it goes again.
                self.ops.push(IoOp::Remove { file }, Purpose::Remove(file));
            }
        }
    }

    /// Gives the file to the oldest segment that has none, or keeps it.
    pub(super) fn add_spare(&mut self, spare: Spare) {
        self.work_due = true;
        let waiting = self.segments.without_file().next().map(|s| s.number);
        match waiting.and_then(|number| self.segments.get_mut(number)) {
            Some(segment) => segment.file = Some(spare.file),
            None => self.segments.spares.push(spare),
        }
        // Segments that came back do as well as fresh ones.
        if self.segments.spares.len() >= self.config.spare_segments.max(1) {
            self.no_longer_full();
        }
    }

    pub(super) fn fill_spares(&mut self) {
        if self.upkeep.filling || self.upkeep.busy || self.closing {
            return;
        }
        let segment_bytes = self.config.segment_bytes;
        let spares = &mut self.segments.spares;
        if spares.iter().filter(|s| s.written >= segment_bytes).count() >= self.config.filled_segments {
            return;
        }
        let Some(spare) = spares.iter_mut().find(|s| s.written < segment_bytes) else { return };
        spare.busy = true;
        let (file, position) = (spare.file, spare.written);
        self.upkeep.filling = true;
        // The first block is written last: it says that the file is filled.
        let from = position.max(BLOCK_BYTES as u64);
        let length = FILL_BYTES.min(segment_bytes - position) - (from - position);
        let op = IoOp::Zero { file, position: from, length };
        self.ops.push(op, Purpose::FillSpare(file));
    }

    pub(crate) fn spare_filled(&mut self, file: FileId, result: Result<(), IoError>) {
        self.upkeep.filling = false;
        let segment_bytes = self.config.segment_bytes;
        let Some(spare) = self.segments.spares.iter_mut().find(|s| s.file == file) else { return };
        if let Err(error) = result {
            tracing::warn!(%error, "a spare segment could not be filled; it is used as it is");
            (spare.written, spare.busy) = (segment_bytes, false);
            return;
        }
        spare.written = (spare.written + FILL_BYTES).min(segment_bytes);
        if spare.written < segment_bytes {
            spare.busy = false;
            self.fill_spares();
        } else {
            // It stays busy until it is marked, and counts as a spare: or another file would be made in its place.
            self.mark_spare(file, 0);
        }
    }

    fn mark_spare(&mut self, file: FileId, held: u64) {
        let block = spare_block(self.config.shard, file, self.config.segment_bytes, held);
        self.write_durably(file, 0, &block, Purpose::MarkSpare(file));
    }

    pub(crate) fn spare_marked(&mut self, file: FileId, result: Result<(), IoError>) {
        self.segments.spares.retain(|s| s.file != file);
        match result {
            Ok(()) => {
                self.segment_is_gone(file);
                self.add_spare(Spare { file, written: self.config.segment_bytes, busy: false });
            }
            // The file still looks like the segment it was; using it again could not be told from that.
            Err(error) => {
                tracing::error!(%error, ?file, "an emptied segment could not be marked; it is left alone")
            }
        }
    }

    pub(crate) fn file_removed(&mut self, file: FileId, result: Result<(), IoError>) {
        match result {
            Ok(()) => self.segment_is_gone(file),
            Err(error) => tracing::warn!(%error, "a file that is not needed could not be removed"),
        }
    }

    /// Removes a spare file beyond those that are kept, if nothing else is to be done.
    pub(super) fn trim_spares(&mut self) {
        let most = (self.config.spare_segments * 2).max(SPARES_KEPT);
        let idle = self.commit.is_idle() && self.now_ms >= self.upkeep.last_write_ms + TRIM_AFTER_IDLE_MS;
        if !idle || self.segments.spares.len() <= most {
            return;
        }
        if let Some(spare) = self.segments.spares.pop_if(|s| !s.busy) {
            self.ops.push(IoOp::Remove { file: spare.file }, Purpose::Remove(spare.file));
        }
    }

    /// Makes a file that held the segment `held`, which is dead, a spare one, or removes it.
    pub(crate) fn reuse_file(&mut self, file: FileId, bytes: u64, held: u64) {
        if bytes == self.config.segment_bytes {
            self.mark_spare(file, held);
        } else {
            self.ops.push(IoOp::Remove { file }, Purpose::Remove(file));
        }
    }
}
