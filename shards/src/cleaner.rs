//! The cleaner: a sealed segment of which little lives has that copied forward, log by log, and is recycled.

use crate::api::{LogId, ReadError};
use crate::assembly::{self, Limits};
use crate::format::entry::{ENTRY_HEADER_BYTES, EntryHeader, FLAG_RELOCATED};
use crate::index::Extent;
use crate::mend::lost_entries;
use crate::reads::{Read, Started, Want};
use crate::segments::SegmentState;
use crate::shard::Shard;
use std::collections::VecDeque;

/// A part of an extent that is to be copied.
#[derive(Debug, Clone, Copy)]
struct Job {
    log: LogId,
    from: u64,
    /// Where to go on, and where to end.
    next: u64,
    end: u64,
    /// There is nothing to read: it is given up.
    lost: bool,
}

/// A copy that takes the original's place once it is durable.
#[derive(Debug)]
struct Copied {
    log: LogId,
    /// The first offset of the extent that was copied.
    from: u64,
    extents: Vec<Extent>,
    frame: u64,
}

/// The state of the cleaner.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    victim: Option<u64>,
    jobs: VecDeque<Job>,
    reading: bool,
    copying: Vec<Extent>,
    copied: Vec<Copied>,
    allowance: u64,
    last_ms: u64,
}

impl Cleaner {
    /// Copies that no log knows yet.
    pub fn extents(&self) -> impl Iterator<Item = (LogId, &Extent)> {
        let copying = self
            .jobs
            .front()
            .map(|j| j.log)
            .into_iter()
            .flat_map(|log| self.copying.iter().map(move |e| (log, e)));
        self.copied.iter().flat_map(|c| c.extents.iter().map(move |e| (c.log, e))).chain(copying)
    }

    pub fn extent_mut(&mut self, log: LogId, segment: u64, base: u64) -> Option<&mut Extent> {
        let copying = self.jobs.front().is_some_and(|j| j.log == log).then_some(&mut self.copying);
        self.copied
            .iter_mut()
            .filter(|c| c.log == log)
            .map(|c| &mut c.extents)
            .chain(copying)
            .flatten()
            .find(|e| e.segment == segment && e.base == base)
    }
}

impl Shard {
    /// Does what the cleaner may do by now.
    pub(crate) fn clean(&mut self) {
        let elapsed = self.now_ms.saturating_sub(self.cleaner.last_ms).min(1000);
        self.cleaner.last_ms = self.now_ms;
        let rate = self.config.clean_bytes_per_second;
        self.cleaner.allowance = (self.cleaner.allowance + rate * elapsed / 1000).min(rate);
        self.swap_copies();
        if self.cleaner.reading {
            return;
        }
        if self.cleaner.victim.is_none() {
            self.choose_victim();
        }
        self.clean_on();
    }

    /// The segment with the smallest live share below the limit; not the newest, which hold the logs' state.
    fn choose_victim(&mut self) {
        let kept = self.segments.oldest_of_state();
        let victim = self
            .segments
            .iter()
            .filter(|s| s.state == SegmentState::Sealed && kept.is_some_and(|kept| s.number < kept))
            .filter(|s| s.live_bytes > 0 && !s.left_alone)
            .filter(|s| self.clean_share(s) < self.config.clean_below)
            .min_by(|a, b| a.live_ratio().total_cmp(&b.live_ratio()))
            .map(|s| s.number);
        let Some(number) = victim else { return };
        self.cleaner.victim = Some(number);
        self.cleaner.jobs = self
            .logs
            .iter()
            .flat_map(|(&log, state)| state.extents.iter().map(move |e| (log, state, e)))
            .filter(|(_, _, e)| e.segment == number)
            .map(|(log, state, e)| (log, e.from.max(state.start), e))
            .map(|(log, next, e)| Job { log, from: e.from, next, end: e.end, lost: e.lost })
            .collect();
        self.cleaner.jobs.make_contiguous().sort_unstable_by_key(|j| (j.log, j.from));
    }

    /// The share of the file that lives: an early sealed, half empty segment is worth cleaning too.
    fn clean_share(&self, segment: &crate::segments::Segment) -> f64 {
        segment.live_bytes as f64 / segment.file_bytes as f64
    }

    fn clean_on(&mut self) {
        let Some(&job) = self.cleaner.jobs.front() else { return self.clean_over() };
        let bytes = self.config.read_bytes as u64;
        if self.cleaner.allowance < bytes.min(self.config.clean_bytes_per_second) {
            return;
        }
        // A log that was deleted, or whose start went past, needs no copy.
        let start = self.logs.get(&job.log).map(|l| l.start);
        let next = start.map_or(job.end, |start| job.next.max(start));
        if next >= job.end {
            return self.job_done();
        }
        if job.lost {
            return self.copy_lost(Job { next, ..job });
        }
        self.cleaner.reading = true;
        match self.start_read(job.log, next, job.end, self.config.read_bytes, Want::Clean) {
            Started::UnderWay(..) => {}
            Started::Done(result) => self.clean_failed(result.err()),
        }
    }

    /// What the cleaner read is there: copy it forward.
    pub(crate) fn clean_read(&mut self, read: Read) {
        self.cleaner.reading = false;
        let Some(&job) = self.cleaner.jobs.front() else { return };
        if !self.logs.contains_key(&job.log) {
            // It was deleted meanwhile: a copy would outlive what is known of its deletion. The next step sees that.
            return;
        }
        let limits = Limits { log: read.log, from: read.offset, until: read.until, max_bytes: usize::MAX };
        let mut found = Vec::new();
        let walked = assembly::walk(&read.pieces, limits, |entry, data, at| {
            let payload = at + ENTRY_HEADER_BYTES..at + ENTRY_HEADER_BYTES + entry.payload_bytes as usize;
            found.push((*entry, data.slice(payload)));
            true
        });
        if let Err(damage) = walked {
            self.report_damage(damage.clone());
            return self
                .clean_failed(Some(ReadError::Damaged { offset: read.offset, reason: damage.reason }));
        }
        let mut next = job.next;
        for (mut entry, payload) in found {
            entry.flags |= FLAG_RELOCATED;
            if !self.copy(&entry, &payload) {
                // Writes are refused for now: go on later from here.
                break;
            }
            next = entry.end_offset();
        }
        if let Some(job) = self.cleaner.jobs.front_mut() {
            job.next = next;
        }
        if next >= job.end {
            self.job_done();
        }
    }

    /// Copies an entry forward; `false` if writes are refused for now.
    fn copy(&mut self, entry: &EntryHeader, payload: &[u8]) -> bool {
        let Ok(place) = self.place(entry, payload, false) else { return false };
        let bytes = entry.entry_bytes() as u64;
        let (extents, runs) = match self.cleaner.copying.last_mut() {
            Some(last) if last.continues(place, entry) => (0, last.push(place, entry)),
            _ => {
                self.cleaner.copying.push(Extent::new(place, entry));
                (1, 1)
            }
        };
        self.count_entry(place.segment, bytes, extents, runs);
        self.cleaner.allowance = self.cleaner.allowance.saturating_sub(bytes);
        self.stats.cleaned_bytes += bytes;
        true
    }

    /// Says again of what was given up that it is.
    fn copy_lost(&mut self, job: Job) {
        let copied = lost_entries(job.log, job.next..job.end).all(|entry| self.copy(&entry, &[]));
        if copied {
            self.job_done();
        } else {
            // Writes are refused for now: go on later from the start.
            self.forget_copying();
        }
    }

    fn forget_copying(&mut self) {
        for extent in std::mem::take(&mut self.cleaner.copying) {
            self.forget_extent(extent.segment, extent.bytes);
        }
    }

    pub(crate) fn clean_failed(&mut self, error: Option<ReadError>) {
        self.cleaner.reading = false;
        let (Some(error), Some(job)) = (error, self.cleaner.jobs.front()) else { return };
        if self.logs.get(&job.log).is_none_or(|log| log.start > job.next) {
            // It was deleted meanwhile: the next step sees that.
            return;
        }
        tracing::warn!(segment = self.cleaner.victim, %error, "the cleaner leaves a segment alone");
        if let Some(segment) = self.cleaner.victim.and_then(|n| self.segments.get_mut(n)) {
            segment.left_alone = true;
        }
        self.forget_copying();
        self.cleaner.jobs.clear();
    }

    fn job_done(&mut self) {
        let Some(job) = self.cleaner.jobs.pop_front() else { return };
        let extents = std::mem::take(&mut self.cleaner.copying);
        let frame = self.commit.current_frame();
        self.cleaner.copied.push(Copied { log: job.log, from: job.from, extents, frame });
    }

    fn clean_over(&mut self) {
        if self.cleaner.copied.is_empty() {
            self.cleaner.victim = None;
        }
    }

    /// Copies that are durable take the place of what they were made from.
    fn swap_copies(&mut self) {
        let durable = self.commit.durable();
        let Some(victim) = self.cleaner.victim else { return };
        let (ready, waiting) = std::mem::take(&mut self.cleaner.copied)
            .into_iter()
            .partition(|c: &Copied| c.frame <= durable || c.extents.is_empty());
        self.cleaner.copied = waiting;
        for Copied { log, from, extents, .. } in ready {
            let Some(state) = self.logs.get_mut(&log) else {
                for extent in extents {
                    self.forget_extent(extent.segment, extent.bytes);
                }
                continue;
            };
            let at = state.extents.iter().position(|e| e.segment == victim && e.from == from);
            let old = at.and_then(|at| state.extents.remove(at));
            let start = state.start;
            let mut dead: Vec<(u64, u64)> = old.iter().map(|e| (e.segment, e.bytes)).collect();
            for extent in extents {
                let (segment, bytes) = (extent.segment, extent.bytes);
                if old.is_none() || extent.end <= start || !state.insert(extent) {
                    dead.push((segment, bytes));
                }
            }
            for (segment, bytes) in dead {
                self.forget_extent(segment, bytes);
            }
        }
    }
}
