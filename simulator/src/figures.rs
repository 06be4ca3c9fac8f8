//! What runs came to.

use crate::disk::DiskStats;
use std::ops::AddAssign;

/// Counts, of one episode or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests of clients, whatever their answer.
    pub operations: u64,
    /// Batches that were acknowledged.
    pub acknowledged: u64,
    /// Batches that consumers were given.
    pub served: u64,
    /// Processes killed.
    pub kills: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Orderly ends.
    pub closes: u64,
    /// Starts that a crash has interrupted.
    pub interrupted_recoveries: u64,
    /// Shards that took no more writes after a failed write or sync.
    pub fences: u64,
    /// What disks did, and what went wrong on them.
    pub disks: DiskStats,
    /// Places of damage that shards have reported.
    pub damage_reported: u64,
    /// Reads that were told that what they asked for is damaged.
    pub damaged_reads: u64,
    /// Clock jumps.
    pub clock_jumps: u64,
    /// Segments that were used again.
    pub recycled: u64,
    /// Bytes that the cleaner has copied.
    pub cleaned_bytes: u64,
    /// The hashes of all traces, in sum: the order in which episodes end is of no concern.
    pub hash: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        let mine = self.counts_mut();
        for (mine, other) in mine.into_iter().zip(other.counts()) {
            *mine += other;
        }
        self.disks += other.disks;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

impl Figures {
    fn counts(mut self) -> Vec<u64> {
        self.counts_mut().into_iter().map(|count| *count).collect()
    }

    fn counts_mut(&mut self) -> [&mut u64; 13] {
        [
            &mut self.operations,
            &mut self.acknowledged,
            &mut self.served,
            &mut self.kills,
            &mut self.power_cuts,
            &mut self.closes,
            &mut self.interrupted_recoveries,
            &mut self.fences,
            &mut self.damage_reported,
            &mut self.damaged_reads,
            &mut self.clock_jumps,
            &mut self.recycled,
            &mut self.cleaned_bytes,
        ]
    }
}
