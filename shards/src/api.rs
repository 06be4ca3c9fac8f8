//! What the engine takes and gives.

use bytes::Bytes;
pub use ringmail_wire::protocol::{Acks, LogId};

/// Chosen by the caller of an operation that ends later; comes back with its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// The first offset that can be read.
    pub log_start: u64,
    /// The offset after the last durable record: what readers may see ends here.
    pub high_watermark: u64,
    /// The offset that the next record gets.
    pub end: u64,
    /// Bytes of its entries on disk.
    pub bytes: u64,
}

/// What a read gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadData {
    /// Stored batches in order; a piece holds one or more whole batches. The first batch holds the offset
    /// that was asked for.
    pub pieces: Vec<Bytes>,
    /// Bytes of all pieces.
    pub bytes: usize,
    /// Where to read on.
    pub next_offset: u64,
    /// As of the end of the read.
    pub state: LogState,
}

/// Why an append was refused; nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no such log on this shard.
    #[error("log {0} is not on this shard")]
    UnknownLog(LogId),
    /// The batch is malformed or corrupt.
    #[error("{0}")]
    Batch(#[from] ringmail_wire::batch::BatchError),
    /// The batch is over the limit.
    #[error("the batch is {bytes} bytes uncompressed; the limit is {limit}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// Too much waits for the disk already; try again.
    #[error("{0} bytes wait for the disk already; try again")]
    Overloaded(usize),
    /// The shard has just started with one spare segment, and it is not known yet whether the disk has room for another; try again.
    #[error("the shard has just started and makes a further segment; try again")]
    NoSpareYet,
    /// The disk is full.
    #[error("no space is left for another segment; free some, writes then go on")]
    Full,
    /// The shard is shutting down, or still starting.
    #[error("the shard is not open for writes: it is starting or shutting down; try again")]
    Closed,
    /// The log failed and takes no more writes.
    #[error("the shard's log failed ({0}); restart the broker once the disk is well")]
    Fenced(String),
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such log on this shard.
    #[error("log {0} is not on this shard")]
    UnknownLog(LogId),
    /// The offset is not between log start and high watermark.
    #[error("offset {offset} is outside {log_start}..={high_watermark}")]
    OutOfRange {
        /// What was asked for.
        offset: u64,
        /// The first there is.
        log_start: u64,
        /// The one after the last there is.
        high_watermark: u64,
    },
    /// What is stored there is damaged.
    #[error("records from offset {offset} on are damaged: {reason}")]
    Damaged {
        /// The first that cannot be read.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The disk failed to read.
    #[error("the disk failed to read: {0}")]
    Io(String),
}

/// A read or a search that was answered at once, or will be by an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Here it is.
    Now(Result<T, ReadError>),
    /// An [`Event`] with the token will bring it.
    Later,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Recovery is over: the shard serves.
    Ready,
    /// An append reached the level that was asked for.
    Appended {
        /// The append's.
        token: Token,
        /// The offset of its first record.
        base_offset: u64,
    },
    /// An append will not reach the level that was asked for, and nothing is promised of it.
    AppendFailed {
        /// The append's.
        token: Token,
        /// Why.
        error: AppendError,
    },
    /// A read that was answered [`Answer::Later`].
    Read {
        /// The read's.
        token: Token,
        /// What it gives.
        result: Result<ReadData, ReadError>,
    },
    /// A search by time that was answered [`Answer::Later`].
    OffsetFound {
        /// The search's.
        token: Token,
        /// The offset.
        result: Result<u64, ReadError>,
    },
    /// The high watermark of a watched log has moved. The watch is over: watch again to hear more.
    Advanced {
        /// Which.
        log: LogId,
    },
    /// The log takes no more writes until restart; said once.
    Fenced {
        /// Why.
        reason: String,
    },
    /// Damage was found; said once for each place.
    Damage(crate::damage::Damage),
    /// Whether there is room for writes has changed.
    Full(bool),
}
