//! What a read takes from where: runs, put together to pieces of memory or of the disk.

use super::{Piece, PlannedRun, Read, Want};
use crate::format::align_up;
use crate::format::footer::Run;
use crate::index::{Extent, runs_from};
use crate::io::{BLOCK_BYTES, FileId};
use crate::shard::Shard;

/// Pieces on disk this near to each other are read as one, in bytes.
const COALESCE_GAP: u64 = 32 << 10;

pub(super) struct Planner<'a> {
    pub pieces: Vec<Piece>,
    pub bytes: usize,
    pub next: u64,
    pub shard: &'a Shard,
}

impl Planner<'_> {
    pub fn is_full(&self, read: &Read) -> bool {
        self.bytes > 0 && self.bytes >= read.max_bytes
    }

    pub fn take(&mut self, read: &Read, extent: &Extent, file: Option<FileId>, runs: &[Run]) {
        for run in runs_from(runs, extent.base, self.next) {
            let base = extent.base + u64::from(run.offset_delta);
            let end = base + u64::from(run.records);
            if end <= self.next {
                continue;
            }
            if base > self.next {
                // Offsets are dense: what is missing was lost to damage.
                return;
            }
            let wanted = match read.want {
                Want::Time(search) => run.max_timestamp >= search.timestamp,
                _ => true,
            };
            if !wanted {
                self.next = end;
                continue;
            }
            let full = self.bytes > 0 && self.bytes + run.bytes as usize > read.max_bytes;
            if base >= read.until || full {
                return;
            }
            let planned = PlannedRun { position: run.position(), bytes: run.bytes, first: base, end };
            if !self.take_run(extent.segment, file, planned) {
                return;
            }
            self.bytes += run.bytes as usize;
            self.next = end;
        }
    }

    /// Adds the run to the last piece, or makes it a piece of its own; `false` if it is not to be had.
    fn take_run(&mut self, segment: u64, file: Option<FileId>, run: PlannedRun) -> bool {
        let memory = self.shard.tail.get(segment, run.position, run.bytes as usize);
        let from_disk = memory.is_none();
        let Some(file) = file else { return false };
        if from_disk && self.extend_piece(segment, run) {
            return true;
        }
        let (position, length) = match &memory {
            Some(data) => (run.position, data.len()),
            None => {
                let from = run.position & !(BLOCK_BYTES as u64 - 1);
                (from, align_up((run.position - from) as usize + run.bytes as usize, BLOCK_BYTES))
            }
        };
        self.pieces.push(Piece { segment, file, position, length, data: memory, runs: vec![run], from_disk });
        true
    }

    fn extend_piece(&mut self, segment: u64, run: PlannedRun) -> bool {
        let max = self.shard.config.read_bytes as u64;
        let Some(last) = self.pieces.last_mut() else { return false };
        let (end, run_end) = (last.position + last.length as u64, run.position + u64::from(run.bytes));
        let near = run.position >= last.position && run.position <= end + COALESCE_GAP;
        if !last.from_disk || last.segment != segment || !near || run_end - last.position > max {
            return false;
        }
        let length = align_up((run_end - last.position) as usize, BLOCK_BYTES);
        last.length = last.length.max(length);
        last.runs.push(run);
        true
    }
}
