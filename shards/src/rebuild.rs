//! Footers whose sections cannot be read: the segment is scanned for what they told, when a read needs it.

use crate::api::{LogId, ReadError};
use crate::damage::Damage;
use crate::format::footer::Run;
use crate::index::{Extent, ExtentIndex, Log, Place};
use crate::io::{FileId, IoDone, IoId, IoOp, IoResult};
use crate::map::{Map, Set};
use crate::ops::Purpose;
use crate::reads::ReadId;
use crate::scan::{FoundFrame, Scan};
use crate::sections::SectionKey;
use crate::shard::Shard;

/// A segment that is being scanned, and who waits for it.
#[derive(Debug)]
pub(crate) struct Rebuild {
    file: FileId,
    scan: Scan,
    found: Map<LogId, Vec<Extent>>,
    /// Where the extents begin that the footer tells of: the cleaner copies piece by piece, and what goes on in one frame
    /// where another piece ends is an extent of its own.
    bases: Set<(LogId, u64)>,
    /// What looks like a later frame was cut off.
    last_frame: u64,
    waiters: Vec<ReadId>,
}

impl Rebuild {
    fn take(&mut self, frame: &FoundFrame) {
        if frame.header.number > self.last_frame {
            return;
        }
        for &(entry, at) in frame.entries.iter().filter(|(e, _)| e.kind.has_offsets()) {
            let place = Place {
                segment: frame.header.segment,
                position: frame.position + at as u64,
                frame_position: frame.position,
            };
            let extents = self.found.entry(entry.log).or_default();
            let begins = self.bases.contains(&(entry.log, entry.base_offset));
            match extents.iter_mut().rev().find(|e| !begins && e.continues(place, &entry)) {
                Some(extent) => _ = extent.push(place, &entry),
                None => extents.push(Extent::new(place, &entry)),
            }
        }
    }

    /// The runs of a sealed extent, as far as they were found.
    fn runs(&self, log: LogId, sealed: &Extent) -> Vec<Run> {
        let mut runs = Vec::new();
        let of_it = |e: &&Extent| {
            let alike = (e.relocated, e.lost) == (sealed.relocated, sealed.lost);
            alike && e.base >= sealed.base && e.base < sealed.end
        };
        for extent in self.found.get(&log).into_iter().flatten().filter(of_it) {
            let ExtentIndex::Open(found) = &extent.index else { continue };
            let shift = (extent.base - sealed.base) as u32;
            runs.extend_from_slice(found);
            let fresh = runs.len() - found.len();
            runs[fresh..].iter_mut().for_each(|run| run.offset_delta += shift);
        }
        runs.sort_unstable_by_key(|run| run.offset_delta);
        runs
    }
}

impl Shard {
    /// A section cannot be read: reports it, and has the segment scanned for those who wait for it.
    pub(crate) fn rebuild_section(&mut self, key: SectionKey, bytes: usize, waiters: Vec<ReadId>) {
        let number = key.0;
        if let Some(rebuild) = self.reads.rebuilds.get_mut(&number) {
            rebuild.waiters.extend(waiters);
            return;
        }
        let reason = format!("the footer of segment {number} is damaged");
        let Some((file, segment)) = self.segments.get(number).and_then(|s| Some((s.file?, s))) else {
            return self.fail_waiters(waiters, &ReadError::Damaged { offset: 0, reason });
        };
        let position = segment.footer_at + u64::from(key.1);
        let scan = Scan::new(file, number, segment.incarnation, segment.footer_at);
        let last_frame = segment.last_frame;
        self.report_damage(Damage { file, segment: Some(number), position, bytes: bytes as u64, reason });
        self.reads.hold(file);
        let of_it = |(&log, state): (&LogId, &Log)| {
            let extents = state.extents.iter().filter(|e| e.segment == number);
            extents.map(|e| (log, e.base)).collect::<Vec<_>>()
        };
        let bases = self.logs.iter().flat_map(of_it).collect();
        let rebuild = Rebuild { file, scan, found: Map::default(), bases, last_frame, waiters };
        self.reads.rebuilds.insert(number, rebuild);
        self.pump_rebuild(number);
    }

    fn pump_rebuild(&mut self, number: u64) {
        let Some(rebuild) = self.reads.rebuilds.get_mut(&number) else { return };
        while let Some((position, length)) = rebuild.scan.next_read() {
            let op = IoOp::Read { file: rebuild.file, position, length };
            rebuild.scan.reading(self.ops.push(op, Purpose::Rebuild(number)));
        }
        if rebuild.scan.is_over() {
            let rebuild = self.reads.rebuilds.remove(&number).expect("it was there");
            self.sections_rebuilt(number, rebuild);
        }
    }

    /// A read of such a scan has ended.
    pub(crate) fn rebuild_read(&mut self, number: u64, id: IoId, result: IoResult) {
        let Some(rebuild) = self.reads.rebuilds.get_mut(&number) else { return };
        match result {
            Ok(IoDone::Data(data)) => {
                rebuild.scan.take(id, data);
                while let Some(frame) = rebuild.scan.next_frame() {
                    rebuild.take(&frame);
                }
                self.pump_rebuild(number);
            }
            Ok(IoDone::Ok) => {}
            Err(error) => {
                let rebuild = self.reads.rebuilds.remove(&number).expect("it was there");
                self.reads.release(rebuild.file);
                self.fail_waiters(rebuild.waiters, &ReadError::Io(error.to_string()));
            }
        }
    }

    fn sections_rebuilt(&mut self, number: u64, rebuild: Rebuild) {
        self.reads.release(rebuild.file);
        for (&log, state) in &self.logs {
            for extent in state.extents.iter().filter(|e| e.segment == number) {
                if let ExtentIndex::Sealed { section_at, .. } = extent.index {
                    self.reads.remember_section((number, section_at), rebuild.runs(log, extent));
                }
            }
        }
        self.wake_waiters(rebuild.waiters);
        self.work_due = true;
    }
}
