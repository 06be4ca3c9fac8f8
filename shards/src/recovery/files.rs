//! What the ends of the files say: spare files, sealed segments with their footers, segments to be scanned.

use super::{File, Job, Recovery, SealedFile, UnsealedFile, whole_file};
use crate::config::LogConfig;
use crate::damage::Damage;
use crate::format::ends::{Ends, HEAD_BYTES};
use crate::format::footer::Row;
use crate::format::segment::{FirstBlock, SegmentHeader};
use crate::format::states::parse_states;
use crate::index::{Extent, ExtentIndex, Log};
use crate::io::{BLOCK_BYTES, FileId, IoOp};
use crate::map::Set;
use crate::ops::Purpose;
use crate::producers::Producers;
use crate::segments::{Segment, SegmentState, Spare};
use crate::shard::Shard;
use bytes::Bytes;
use std::cmp::Reverse;

/// Bytes read at the end of each file: trailer and, mostly, directory.
const TAIL_BYTES: u64 = 64 << 10;
/// Files whose ends are read at once.
const FILES_AT_ONCE: usize = 16;

impl Recovery {
    pub(super) fn open_files(&mut self, shard: &mut Shard) {
        while self.opening < FILES_AT_ONCE {
            let Some(k) = self.to_open.pop_front() else { break };
            self.opening += 1;
            let (file, bytes) = (self.files[k].id, self.files[k].bytes);
            let tail = TAIL_BYTES.min(bytes);
            let io = shard.ops.push(IoOp::Sync { file }, Purpose::Recover);
            self.jobs.insert(io, Job::Sync(k));
            self.read(shard, Job::Head(k), file, 0, HEAD_BYTES);
            self.read(shard, Job::Tail(k), file, bytes - tail, tail as usize);
        }
        if self.opening > 0 || !self.to_open.is_empty() {
            return;
        }
        let files = &self.files;
        self.doubtful.sort_unstable_by_key(|k| Reverse(files[*k].id));
        // Of two files with frames of a segment the one that has earlier ones comes first: what was written to another
        // file by mistake is a frame or two.
        let first_frame = |k: usize| files[k].header.map_or(0, |h| h.first_frame);
        self.stray.sort_unstable_by_key(|k| Reverse((first_frame(*k), files[*k].id)));
        self.only_footer.sort_unstable_by_key(|k| Reverse(files[*k].id));
        if let Some(k) = self.doubtful.pop() {
            self.opening += 1;
            self.take_doubtful(shard, k);
        } else if let Some(k) = self.stray.pop() {
            self.opening += 1;
            self.take_stray(shard, k);
        } else if let Some(k) = self.only_footer.pop() {
            self.opening += 1;
            self.take_only_footer(shard, k);
        } else {
            self.find_states(shard);
        }
    }

    pub(super) fn opened(&mut self, shard: &mut Shard) {
        self.opening -= 1;
        self.open_files(shard);
    }

    /// Both ends of a file are there: what does it hold?
    pub(super) fn ends_read(&mut self, shard: &mut Shard, k: usize) {
        let file = &mut self.files[k];
        let (Some(head), Some(tail), true) = (&file.head, &file.tail, file.synced) else { return };
        let ends = Ends::read(head, tail, file.bytes, Some(shard.config.shard));
        match ends.first {
            FirstBlock::Segment(header) if header.shard != shard.config.shard => {
                let reason = format!("the segment is of shard {}; it is left alone", header.shard);
                shard.report_damage(whole_file(file.id, file.bytes, &reason));
                return self.opened(shard);
            }
            FirstBlock::OtherVersion(version) => {
                let words = format!(
                    "{:016x}.seg has format version {version}; this build reads version {}: use the build that wrote it",
                    file.id.0,
                    crate::format::FORMAT_VERSION
                );
                return shard.fence(words);
            }
            _ => {}
        }
        let of_another = matches!(ends.first, FirstBlock::Spare { file: named, .. } if named != file.id.0);
        if !of_another && !ends.is_doubtful() {
            return self.ends_known(shard, k, ends);
        }
        // A file holds nothing of a later segment than its first block tells of.
        let without = self.without_first_block(shard, k);
        let number = |ends: Ends| ends.header.map_or(0, |h| h.segment);
        if of_another || number(without) > number(ends) {
            return self.ends_known(shard, k, without);
        }
        self.doubtful.push(k);
        self.opened(shard);
    }

    fn without_first_block(&self, shard: &Shard, k: usize) -> Ends {
        let File { head, tail, bytes, .. } = &self.files[k];
        let end = |end: &Option<Bytes>| end.clone().expect("both ends were read");
        Ends::without_first_block(&end(head), &end(tail), *bytes, Some(shard.config.shard))
    }

    /// What all others hold is known: is the first block of this one that of another?
    fn take_doubtful(&mut self, shard: &mut Shard, k: usize) {
        let File { head, tail, bytes, .. } = &self.files[k];
        let (Some(head), Some(tail)) = (head, tail) else { return };
        let ends = Ends::read(head, tail, *bytes, Some(shard.config.shard));
        let elsewhere = ends.header.is_some_and(|h| self.sure.contains(&h.segment));
        self.ends_known(shard, k, if elsewhere { self.without_first_block(shard, k) } else { ends });
    }

    /// What all others hold is known: are the frames in this file, which looks spare, of a segment that has only begun? A later
    /// start may find frames of one that was cut off whole, and is known again by its number.
    fn take_stray(&mut self, shard: &mut Shard, k: usize) {
        let file = &self.files[k];
        let segment = file.header.map_or(0, |h| h.segment);
        let newest_sealed = self.sealed.iter().map(|s| s.number).max().unwrap_or(0);
        if !self.sure.contains(&segment) && segment > newest_sealed {
            return self.file_known(shard, k);
        }
        let written = file.first != FirstBlock::Blank;
        Self::take_spare_file(shard, file.id, file.bytes, written);
        self.opened(shard);
    }

    /// What all others hold is known: is this footer, in a file that looks spare otherwise, all that is left of the newest
    /// segment? Of an older one nothing is missed; and one that another file holds was written there by mistake.
    fn take_only_footer(&mut self, shard: &mut Shard, k: usize) {
        let file = &mut self.files[k];
        let trailer = file.trailer.take().expect("it is why the file is here");
        let newest_sealed = self.sealed.iter().map(|s| s.number).max().unwrap_or(0);
        if !self.sure.contains(&trailer.segment) && trailer.segment > newest_sealed {
            file.trailer = Some(trailer);
            file.header = Some(SegmentHeader {
                shard: trailer.shard,
                segment: trailer.segment,
                file_bytes: file.bytes,
                first_frame: trailer.last_frame,
                incarnation: 0,
                // That it is the same says that nothing is known.
                previous_frame: trailer.last_frame,
            });
        } else {
            file.header = None;
        }
        self.file_known(shard, k);
    }

    fn ends_known(&mut self, shard: &mut Shard, k: usize, ends: Ends) {
        let file = &mut self.files[k];
        (file.first, file.header, file.trailer) = (ends.first, ends.header, ends.trailer);
        if ends.frame.is_none() && !matches!(ends.first, FirstBlock::Segment(_)) {
            return self.search(shard, k);
        }
        self.file_known(shard, k);
    }

    /// What the file holds is known, as far as it can be.
    pub(super) fn file_known(&mut self, shard: &mut Shard, k: usize) {
        let file = &self.files[k];
        let (id, bytes) = (file.id, file.bytes);
        let damage = whole_file(id, BLOCK_BYTES as u64, "the segment's first block is damaged");
        match (file.header, file.first) {
            (None, FirstBlock::Spare { .. } | FirstBlock::Blank) => {
                let written = file.first != FirstBlock::Blank;
                Self::take_spare_file(shard, id, bytes, written);
                return self.opened(shard);
            }
            (None, _) => shard.report_damage(Damage { bytes, ..damage }),
            (Some(header), FirstBlock::Segment(_)) => _ = self.with_header.insert(header.segment),
            (Some(header), FirstBlock::Damaged) => {
                shard.report_damage(Damage { segment: Some(header.segment), ..damage });
            }
            (Some(header), _) if file.trailer.is_some() => {
                shard.report_damage(Damage { segment: Some(header.segment), ..damage });
            }
            (Some(header), _) => self.headless.push(header.segment),
        }
        self.sure.extend(self.files[k].header.map(|h| h.segment));
        self.find_directory(shard, k);
    }

    pub(super) fn take_spare_file(shard: &mut Shard, file: FileId, bytes: u64, written: bool) {
        if bytes == shard.config.segment_bytes {
            let written = if written { bytes } else { 0 };
            shard.segments.spares.push(Spare { file, written, busy: false });
        } else {
            // It holds nothing, and segments have another size now.
            shard.ops.push(IoOp::Remove { file }, Purpose::Remove(file));
        }
    }

    fn find_directory(&mut self, shard: &mut Shard, k: usize) {
        let file = &self.files[k];
        let (id, bytes) = (file.id, file.bytes);
        match (file.trailer, file.tail.clone()) {
            (Some(trailer), Some(tail)) if trailer.directory_bytes <= tail.len() as u64 => {
                self.take_directory(k, &tail);
            }
            (Some(trailer), _) => {
                let unit = BLOCK_BYTES as u64;
                let length = trailer.directory_bytes.div_ceil(unit) * unit;
                return self.read(shard, Job::Directory(k), id, bytes - length, length as usize);
            }
            _ => self.take_unsealed(k),
        }
        self.opened(shard);
    }

    pub(super) fn take_directory(&mut self, k: usize, data: &[u8]) {
        let file = &mut self.files[k];
        let found = file.trailer.and_then(|t| Some((t, t.directory(data)?)));
        let (id, bytes) = (file.id, file.bytes);
        match found {
            None => self.take_unsealed(k),
            Some((trailer, (rows, snapshot))) => {
                (file.head, file.tail) = (None, None);
                let number = trailer.segment;
                let header = file.header.expect("a file with a trailer has what stands for a header");
                self.sealed.push(SealedFile { file: id, bytes, number, header, trailer, rows, snapshot });
            }
        }
    }

    fn take_unsealed(&mut self, k: usize) {
        let file = &mut self.files[k];
        (file.head, file.tail) = (None, None);
        // A file of which nothing is known is left alone.
        let Some(header) = file.header else { return };
        self.unsealed.push_back(UnsealedFile {
            file: file.id,
            bytes: file.bytes,
            number: header.segment,
            header,
        });
    }

    /// The newest footer says what is known of producers and transactions.
    fn find_states(&mut self, shard: &mut Shard) {
        let by_age = |s: &SealedFile| (s.number, Reverse(s.file));
        let newest = (0..self.sealed.len()).max_by_key(|k| by_age(&self.sealed[*k]));
        let Some(k) = newest.filter(|k| self.sealed[*k].trailer.states_bytes > 0) else {
            return self.take_sealed(shard);
        };
        let SealedFile { file, bytes, trailer, .. } = self.sealed[k];
        let at = bytes - trailer.footer_bytes + trailer.states_at();
        let from = at & !(BLOCK_BYTES as u64 - 1);
        let length = (bytes - trailer.directory_bytes - from) as usize;
        self.read(shard, Job::States(k, (at - from) as usize), file, from, length);
    }

    pub(super) fn states_read(&mut self, shard: &mut Shard, k: usize, states: &[u8]) {
        let SealedFile { file, bytes, number, header, trailer, .. } = self.sealed[k];
        if let Some(states) = parse_states(states, number, trailer.states_at()) {
            self.states = states;
            return self.take_sealed(shard);
        }
        shard.report_damage(Damage {
            file,
            segment: Some(number),
            position: bytes - trailer.footer_bytes + trailer.states_at(),
            bytes: trailer.states_bytes.into(),
            reason: "what the footer says of producers is damaged; it is found by a scan".into(),
        });
        // As if it had no footer: the one before says what was before it.
        self.sealed.remove(k);
        self.unsealed.push_back(UnsealedFile { file, bytes, number, header });
        self.find_states(shard);
    }

    fn take_sealed(&mut self, shard: &mut Shard) {
        // By file within a number: reads complete in any order, and each start is to find the same.
        self.sealed.sort_by_key(|s| (s.number, s.file));
        self.unsealed.make_contiguous().sort_by_key(|u| (u.number, u.file));
        self.leave_copies_alone(shard);
        if let Some(newest) = self.sealed.last() {
            self.newest_sealed = newest.number;
            for s in &newest.snapshot {
                if s.dropped {
                    shard.dropped.insert(s.log, newest.number);
                } else {
                    shard.logs.insert(s.log, Log::new(LogConfig::KEEP, s.start, s.end));
                }
            }
        }
        for states in std::mem::take(&mut self.states) {
            if let Some(log) = shard.logs.get_mut(&states.log) {
                log.producers = Some(Box::new(Producers::from_states(states)));
            }
        }
        self.account();
        for k in 0..self.sealed.len() {
            let (header, trailer) = (self.sealed[k].header, self.sealed[k].trailer);
            self.durable_to(header.incarnation, trailer.last_frame);
        }
        for sealed in &self.sealed {
            self.max_seen = self.max_seen.max(sealed.trailer.last_frame);
            let mut segment = Segment::new(sealed.number, sealed.bytes, 0, sealed.header.incarnation);
            segment.file = Some(sealed.file);
            segment.state = SegmentState::Sealed;
            segment.last_frame = sealed.trailer.last_frame;
            segment.footer_at = sealed.bytes - sealed.trailer.footer_bytes;
            segment.total_bytes = sealed.rows.iter().map(|r| r.bytes).sum();
            shard.segments.insert(segment);
        }
        for sealed in &mut self.sealed {
            for row in std::mem::take(&mut sealed.rows) {
                let extent = sealed_extent(sealed.number, &row);
                if row.relocated {
                    self.relocated.entry((sealed.number, row.log)).or_default().push(extent);
                } else {
                    shard.recover_extent(row.log, extent);
                }
            }
        }
        self.next_scan(shard);
    }

    /// Of several files that hold the same segment, such as a copy that somebody made, one counts: the one with the
    /// lowest name; a sealed one if there is any.
    fn leave_copies_alone(&mut self, shard: &mut Shard) {
        let mut known = Set::default();
        let mut first = |shard: &mut Shard, number: u64, file: FileId, bytes: u64| {
            let first = known.insert(number);
            if !first {
                let reason = format!("segment {number} is in another file too; this one is left alone");
                shard.report_damage(whole_file(file, bytes, &reason));
            }
            first
        };
        self.sealed.retain(|s| first(shard, s.number, s.file, s.bytes));
        self.unsealed.retain(|u| first(shard, u.number, u.file, u.bytes));
    }
}

fn sealed_extent(segment: u64, row: &Row) -> Extent {
    Extent {
        segment,
        base: row.base,
        from: row.base,
        end: row.end,
        max_timestamp: row.max_timestamp,
        bytes: row.bytes,
        relocated: row.relocated,
        lost: row.lost,
        index: ExtentIndex::Sealed { section_at: row.section_at, section_bytes: row.section_bytes },
    }
}
