//! What disks have done, and what went wrong on them.

use std::ops::AddAssign;

/// Counts, of one disk or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Writes, those of zeros included.
    pub writes: u64,
    /// Syncs, dsync writes included.
    pub syncs: u64,
    /// Reads.
    pub reads: u64,
    /// Reads that were made to fail.
    pub read_errors: u64,
    /// Writes that were made to fail, dsync writes included unless it was their sync.
    pub write_errors: u64,
    /// Syncs that were made to fail, those of dsync writes included.
    pub failed_syncs: u64,
    /// Creations and removals of files that were made to fail.
    pub directory_errors: u64,
    /// Operations that were refused for want of room.
    pub refused: u64,
    /// Operations that were held up.
    pub slow: u64,
    /// Sectors that a crash has lost, and so torn or reordered what was written.
    pub lost_sectors: u64,
    /// Writes that were reported as done, and are nowhere.
    pub lost_writes: u64,
    /// Writes that went elsewhere.
    pub misdirected_writes: u64,
    /// Bits that changed by themselves.
    pub rotten_bits: u64,
}

impl DiskStats {
    /// Operations that were made to fail.
    pub fn failed(&self) -> u64 {
        self.read_errors + self.write_errors + self.failed_syncs + self.directory_errors
    }

    /// Breaches of the contract.
    pub fn lies(&self) -> u64 {
        self.lost_writes + self.misdirected_writes + self.rotten_bits
    }

    fn counts(&mut self) -> [&mut u64; 13] {
        [
            &mut self.writes,
            &mut self.syncs,
            &mut self.reads,
            &mut self.read_errors,
            &mut self.write_errors,
            &mut self.failed_syncs,
            &mut self.directory_errors,
            &mut self.refused,
            &mut self.slow,
            &mut self.lost_sectors,
            &mut self.lost_writes,
            &mut self.misdirected_writes,
            &mut self.rotten_bits,
        ]
    }
}

impl AddAssign for DiskStats {
    fn add_assign(&mut self, mut other: Self) {
        for (mine, other) in self.counts().into_iter().zip(other.counts()) {
            *mine += *other;
        }
    }
}
