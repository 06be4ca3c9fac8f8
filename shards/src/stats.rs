//! Figures of a shard, for people and metrics.

/// Counters since the shard was opened, and its present size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Logs.
    pub logs: u64,
    /// Segments that hold data.
    pub segments: u64,
    /// Empty segments held ready.
    pub spares: u64,
    /// Bytes of live entries in sealed segments.
    pub live_bytes: u64,
    /// Batches appended.
    pub appended_batches: u64,
    /// Records appended.
    pub appended_records: u64,
    /// Frames written.
    pub frames: u64,
    /// Syncs asked of the disk, dsync writes included.
    pub syncs: u64,
    /// Reads answered from memory.
    pub tail_reads: u64,
    /// Disk reads.
    pub disk_reads: u64,
    /// Bytes that the cleaner has copied.
    pub cleaned_bytes: u64,
    /// Segments that came back for use.
    pub recycled_segments: u64,
    /// Whether the log takes no more writes, since a write or sync has failed.
    pub fenced: bool,
}
