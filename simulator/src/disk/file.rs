//! A file as reads see it, and as a power cut would leave it.

use super::SECTOR_BYTES;
use crate::rng::Rng;
use bytes::Bytes;
use std::ops::Range;

/// A write that is not durable.
#[derive(Debug)]
struct Unsynced {
    at: usize,
    data: Bytes,
    /// When it ended.
    order: u64,
    /// A sync of it has failed: no later one makes it durable.
    doomed: bool,
}

impl Unsynced {
    fn range(&self) -> Range<usize> {
        self.at..self.at + self.data.len()
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// In the order in which they were written.
    unsynced: Vec<Unsynced>,
}

impl SimFile {
    pub fn new(bytes: usize) -> Self {
        Self { seen: vec![0; bytes], durable: vec![0; bytes], unsynced: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub fn write(&mut self, at: usize, data: Bytes, order: u64) {
        put(&mut self.seen, at, &data);
        self.unsynced.push(Unsynced { at, data, order, doomed: false });
    }

    /// Writes some sectors: none, all, those up to one, or any.
    pub fn write_in_part(&mut self, at: usize, data: &Bytes, order: u64, rng: &mut Rng) {
        let sectors = data.len() / SECTOR_BYTES;
        let (style, first) = (rng.below(4), rng.index(sectors + 1));
        for k in 0..sectors {
            let keep = match style {
                0 => false,
                1 => true,
                2 => k < first,
                _ => rng.one_in(2),
            };
            if keep {
                let from = k * SECTOR_BYTES;
                self.write(at + from, data.slice(from..from + SECTOR_BYTES), order);
            }
        }
    }

    /// Makes durable what had been written by `submitted`.
    pub fn sync(&mut self, submitted: u64) {
        self.make_durable(|write| write.order <= submitted);
    }

    /// The like, and the write that ended at `order`.
    pub fn sync_write(&mut self, order: u64, submitted: u64) {
        self.make_durable(|write| write.order <= submitted || write.order == order);
    }

    fn make_durable(&mut self, covered: impl Fn(&Unsynced) -> bool) {
        let mut kept: Vec<Unsynced> = Vec::new();
        for write in std::mem::take(&mut self.unsynced) {
            if write.doomed || !covered(&write) {
                kept.push(write);
                continue;
            }
            put(&mut self.durable, write.at, &write.data);
            // What was written there before and is not durable never will be.
            if kept.iter().any(|older| overlap(&older.range(), &write.range())) {
                kept = kept.into_iter().flat_map(|older| without(older, &write.range())).collect();
            }
        }
        self.unsynced = kept;
    }

    /// A sync has failed: what it was to make durable is in doubt.
    pub fn doom(&mut self, submitted: u64) {
        self.unsynced.iter_mut().filter(|w| w.order <= submitted).for_each(|w| w.doomed = true);
    }

    /// What a failed sync has left in doubt is lost or is written, sector by sector. Reads see which.
    pub fn settle_doomed(&mut self, rng: &mut Rng) {
        if self.unsynced.iter().any(|w| w.doomed) {
            let (doomed, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.unsynced).into_iter().partition(|w| w.doomed);
            for write in doomed {
                let lost = write.range().step_by(SECTOR_BYTES).filter(|_| rng.one_in(2));
                for at in lost {
                    let old = self
                        .durable
                        .get(at..at + SECTOR_BYTES)
                        .map_or_else(|| vec![0; SECTOR_BYTES], <[u8]>::to_vec);
                    put(&mut self.seen, at, &old);
                }
                let order = write.order;
                let seen = Bytes::copy_from_slice(&self.seen[write.range()]);
                self.unsynced.push(Unsynced { at: write.at, data: seen, order, doomed: false });
            }
            for write in &rest {
                put(&mut self.seen, write.at, &write.data);
            }
            self.unsynced.extend(rest);
        }
    }

    /// Keeps some sectors of what is not durable, and forgets the others; gives how many were lost.
    pub fn lose_unsynced(&mut self, rng: &mut Rng) -> u64 {
        if self.unsynced.is_empty() {
            return 0;
        }
        let style = rng.below(5);
        let mut lost = 0;
        let mut changed = Vec::new();
        // Writes that a journal of the file system had to grow the file for may be cut off with it.
        let keep_growth = rng.one_in(2);
        let (grown, old_len) = (self.seen.len(), self.durable.len());
        let last_kept = rng.index(self.unsynced.len() + 1);
        for (k, write) in std::mem::take(&mut self.unsynced).into_iter().enumerate() {
            for at in write.range().step_by(SECTOR_BYTES) {
                let keep = match style {
                    0 => false,
                    1 => rng.one_in(2),
                    2 => !rng.one_in(8),
                    3 => k < last_kept || k == last_kept && rng.one_in(2),
                    _ => true,
                };
                let beyond = at >= old_len;
                if keep && (!beyond || keep_growth) {
                    let from = at - write.at;
                    put(&mut self.durable, at, &write.data[from..from + SECTOR_BYTES]);
                } else {
                    lost += 1;
                }
            }
            changed.push(write.range());
        }
        if keep_growth {
            self.durable.resize(grown, 0);
        }
        self.seen.truncate(self.durable.len());
        for range in changed {
            let range = range.start.min(self.seen.len())..range.end.min(self.seen.len());
            self.seen[range.clone()].copy_from_slice(&self.durable[range]);
        }
        lost
    }

    /// Changes bits of a byte that is durable; `false` if there is none.
    pub fn flip(&mut self, at: usize, bits: u8) -> bool {
        let both = self.seen.get_mut(at).zip(self.durable.get_mut(at));
        both.map(|(seen, durable)| (*seen ^= bits, *durable ^= bits)).is_some()
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// What is left of a write outside of `hidden`.
fn without(write: Unsynced, hidden: &Range<usize>) -> Vec<Unsynced> {
    let range = write.range();
    let parts = [range.start..range.end.min(hidden.start), range.start.max(hidden.end)..range.end];
    let part = |part: Range<usize>| {
        let data = write.data.slice(part.start - write.at..part.end - write.at);
        Unsynced { at: part.start, data, order: write.order, doomed: write.doomed }
    };
    parts.into_iter().filter(|part| part.start < part.end).map(part).collect()
}
