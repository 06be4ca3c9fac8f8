//! What goes wrong on a disk.

use crate::rng::Rng;
use ringmail_shards::io::{FileId, IoOp};

/// Faults within a disk's contract. Chances are "once in so many operations"; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Of reads that fail.
    pub read_error: u64,
    /// Of writes that fail; some sectors may have been written.
    pub write_error: u64,
    /// Of syncs that fail: what they were to make durable may be lost at any time, whatever later syncs say.
    pub sync_error: u64,
    /// Of files that cannot be created or removed.
    pub create_error: u64,
    /// Of writes that find no room, though it was allocated: file systems need some for themselves.
    pub no_room: u64,
    /// Whether no file can be created for want of room.
    pub full: bool,
    /// How long operations take.
    pub speed: Speed,
    /// What the disk does against its contract.
    pub lies: Lies,
}

/// How long operations take.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// At least, in microseconds.
    pub least_us: u64,
    /// Above that on average.
    pub more_us: u64,
    /// Once in so many operations one is held up.
    pub hold_up: u64,
    /// For up to so long, in microseconds.
    pub held_up_us: u64,
}

impl Default for Speed {
    fn default() -> Self {
        Self { least_us: 10, more_us: 60, hold_up: 50, held_up_us: 3000 }
    }
}

impl Speed {
    /// How long an operation takes, and whether it is held up.
    pub(super) fn draw(&self, op: &IoOp, rng: &mut Rng) -> (u64, bool) {
        // Two draws make middling times the most frequent, and both ends possible.
        let usual = self.least_us + rng.below(self.more_us + 1) + rng.below(self.more_us + 1);
        let synced = matches!(op, IoOp::Sync { .. } | IoOp::Create { .. } | IoOp::Write { dsync: true, .. });
        let held_up = rng.one_in(self.hold_up);
        let more = if held_up { rng.below(self.held_up_us + 1) } else { 0 };
        (usual * (1 + u64::from(synced)) + more, held_up)
    }
}

/// Breaches of a disk's contract. Chances as in [`Faults`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Lies {
    /// Of writes that are reported as done, and never reach the disk.
    pub lost_write: u64,
    /// Of writes that reach the disk at another place.
    pub misdirected_write: u64,
}

/// One breach: what stands there is not what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lie {
    /// The file.
    pub file: FileId,
    /// In bytes from its start.
    pub position: u64,
    /// Bytes.
    pub bytes: u64,
    /// Which.
    pub what: &'static str,
}
