//! What the engine can be told.

use bytes::BytesMut;

/// The limits and habits of a shard. All sizes are in bytes.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// The shard's number; stands in every frame.
    pub shard: u16,
    /// A number that is drawn at random at every start; see [`crate::format::segment::SegmentHeader::incarnation`].
    pub incarnation: u64,
    /// Gives an empty buffer with room for so many bytes, whose memory begins at a block boundary: what frames are
    /// built in and written from. The default is ordinary memory; huge pages make direct I/O cheaper.
    pub allocate: fn(usize) -> BytesMut,
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// Bytes of the largest frame, unless one batch alone is larger.
    pub write_bytes: usize,
    /// Frames being written at once.
    pub writes_in_flight: usize,
    /// Bytes of recent frames that stay in memory for tailing readers.
    pub tail_cache_bytes: usize,
    /// Segment files held ready. Two are the least with which a full disk, even after a restart, has one left for what frees space.
    pub spare_segments: usize,
    /// How many of them are filled with zeros ahead of use.
    pub filled_segments: usize,
    /// Bytes of the largest batch, decompressed.
    pub max_batch_bytes: usize,
    /// Bytes appended but not yet durable, past which appends are refused.
    pub max_pending_bytes: usize,
    /// Bytes of one planned disk read.
    pub read_bytes: usize,
    /// Disk reads at once.
    pub reads_in_flight: usize,
    /// Planned reads ahead of a sequential reader.
    pub read_ahead: usize,
    /// A sealed segment with a lower share of live bytes than this is cleaned.
    pub clean_below: f64,
    /// Bytes that the cleaner copies in a second.
    pub clean_bytes_per_second: u64,
    /// Milliseconds after which what nobody waits for is made durable all the same.
    pub lazy_sync_ms: u64,
    /// Milliseconds between two looks at retention by time. It lets go only of what it saw the time before, so records stay at least so
    /// long, however old their timestamps are: who sends history can read it.
    pub age_check_ms: u64,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            shard: 0,
            incarnation: 0,
            allocate: crate::buffers::aligned,
            segment_bytes: 256 << 20,
            write_bytes: 1 << 20,
            writes_in_flight: 8,
            tail_cache_bytes: 48 << 20,
            spare_segments: 2,
            filled_segments: 2,
            max_batch_bytes: 8 << 20,
            max_pending_bytes: 64 << 20,
            read_bytes: 1 << 20,
            reads_in_flight: 16,
            read_ahead: 4,
            clean_below: 0.3,
            clean_bytes_per_second: 64 << 20,
            lazy_sync_ms: 20,
            age_check_ms: 200,
        }
    }
}

/// What the timestamps of a log's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// What producers say.
    Create {
        /// Milliseconds that the greatest timestamp of a batch may be behind the clock; `None` for any.
        before_ms: Option<u64>,
        /// The like, for ahead of it.
        after_ms: Option<u64>,
    },
    /// The time of the append.
    Append,
}

impl Timestamps {
    /// What producers say, whatever it is.
    pub const ANY: Self = Self::Create { before_ms: None, after_ms: None };
}

/// What a log is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Milliseconds after which a record may go; `None` for never.
    pub retention_ms: Option<u64>,
    /// Bytes past which the oldest records may go; `None` for no limit.
    pub retention_bytes: Option<u64>,
    /// Bytes of the largest batch, if less than the shard's: of Ringmail's uncompressed, of Kafka's as they are sent.
    pub max_batch_bytes: Option<u32>,
    /// What the timestamps of records are.
    pub timestamps: Timestamps,
    /// Whether every record has to have a key.
    pub compacted: bool,
    /// Whether its records may use the space that a full disk leaves for what frees space: the catalog's do, or no
    /// topic could be deleted then.
    pub essential: bool,
}

impl LogConfig {
    /// Keeps everything.
    pub const KEEP: Self = Self {
        retention_ms: None,
        retention_bytes: None,
        max_batch_bytes: None,
        timestamps: Timestamps::ANY,
        compacted: false,
        essential: false,
    };
}
