//! What the engine takes and gives.

use bytes::Bytes;
pub use ringmail_wire::protocol::{Acks, LogId};

/// Chosen by the caller of an operation that ends later; comes back with its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// A batch that is to be appended, in the form in which it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<B> {
    /// A [`ringmail_wire::batch`].
    Ringmail(B),
    /// A [`ringmail_kafka::batch`].
    Kafka(B, Origin),
}

/// Who has made a batch of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client, by this version of Produce: it is checked as Kafka does.
    Client {
        /// The version.
        produce_version: i16,
    },
    /// The broker itself.
    Broker,
}

impl<B> Payload<B> {
    /// The batch.
    pub fn batch(&self) -> &B {
        match self {
            Self::Ringmail(batch) | Self::Kafka(batch, _) => batch,
        }
    }

    /// The same with the batch in other memory.
    pub fn map<C>(self, memory: impl FnOnce(B) -> C) -> Payload<C> {
        match self {
            Self::Ringmail(batch) => Payload::Ringmail(memory(batch)),
            Self::Kafka(batch, origin) => Payload::Kafka(memory(batch), origin),
        }
    }
}

/// What has become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: u64,
    /// The time that all its records were given, in milliseconds since the Unix epoch; `None` if they keep their own.
    pub append_time: Option<i64>,
    /// The first offset of the log that can be read.
    pub log_start: u64,
}

/// Which records a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// All that are durable, up to the high watermark.
    Uncommitted,
    /// Those up to the last stable offset; with them come the transactions that were aborted, whose records are to be left out.
    Committed,
}

/// A transaction that was aborted, in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aborted {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: u64,
    /// The offset of its marker: the producer's records between them do not count.
    pub last_offset: u64,
}

/// What is known of a producer in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Which.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// The number of the last record of this epoch.
    pub last_sequence: Option<i32>,
    /// The greatest timestamp of the batch of that record, milliseconds since the Unix epoch.
    pub last_timestamp: Option<i64>,
    /// The epoch of the coordinator that ended its last transaction; -1 if there was none.
    pub coordinator_epoch: i32,
    /// The offset at which its open transaction begins.
    pub transaction_start: Option<u64>,
}

/// A time that is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeQuery {
    /// The first record with this timestamp or a later one, in milliseconds since the Unix epoch.
    AtOrAfter(i64),
    /// The first record with the greatest timestamp of all.
    Greatest,
}

/// What a search by time gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAtTime {
    /// The offset of the record; if there is none, that after the last one that the reader may see.
    pub offset: u64,
    /// The timestamp of the record, if there is one; milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// The first offset that can be read.
    pub log_start: u64,
    /// The offset after the last durable record: what readers may see ends here.
    pub high_watermark: u64,
    /// The first offset of the oldest transaction that is open, or the high watermark: what readers of committed records may
    /// see ends here.
    pub last_stable: u64,
    /// The offset that the next record gets.
    pub end: u64,
    /// Bytes of its entries on disk.
    pub bytes: u64,
}

impl LogState {
    /// Where what a reader may see ends.
    pub fn end_for(&self, isolation: Isolation) -> u64 {
        match isolation {
            Isolation::Uncommitted => self.high_watermark,
            Isolation::Committed => self.last_stable,
        }
    }
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
    /// For [`Isolation::Committed`]: transactions with records in this range that were aborted, in the order of their first
    /// offsets.
    pub aborted: Vec<Aborted>,
    /// Whether batches of Kafka are among them.
    pub kafka: bool,
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
    /// The batch of Kafka is malformed or corrupt.
    #[error("{0}")]
    KafkaBatch(#[from] ringmail_kafka::batch::BatchError),
    /// The batch is over the limit.
    #[error("the batch is {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// What it has: a batch of Ringmail uncompressed, one of Kafka as it was sent.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The log takes no records that are so old, or so far ahead of the clock.
    #[error(
        "the timestamp {timestamp} is too far from the broker's time, {now_ms}; see message.timestamp.before.max.ms and after.max.ms"
    )]
    Timestamp {
        /// The greatest of the batch, milliseconds since the Unix epoch.
        timestamp: i64,
        /// The broker's clock, likewise.
        now_ms: i64,
    },
    /// The log is compacted, which takes keys, and these records have none.
    #[error("{} records have no key, which a compacted topic asks for", .0.len())]
    Keyless(Vec<u32>),
    /// The number of the batch is not the next of its producer: something before it is missing, or was sent twice long ago.
    #[error("producer {producer_id} sent the sequence number {stated}; the next is {expected}")]
    OutOfOrderSequence {
        /// Whose it is.
        producer_id: i64,
        /// Its number.
        stated: i32,
        /// The one that would be right.
        expected: i32,
    },
    /// A newer instance of the producer has written, or the coordinator has ended its transaction in a newer epoch.
    #[error("the producer's epoch is {stated}; {known} has been seen")]
    InvalidProducerEpoch {
        /// Its epoch.
        stated: i16,
        /// The newest.
        known: i16,
    },
    /// The producer has a transaction open, and the batch is not of it.
    #[error("producer {0} has a transaction open in this log: what it sends has to be part of that")]
    InvalidTransaction(i64),
    /// A newer coordinator has ended a transaction of this producer.
    #[error("the coordinator's epoch is {stated}; {known} has been seen")]
    CoordinatorFenced {
        /// Its epoch.
        stated: i32,
        /// The newest.
        known: i32,
    },
    /// So many producers have transactions open that no further one can be remembered; try again when some have ended.
    #[error("{0} producers have transactions open on this shard; try again when some have ended")]
    TooManyProducers(usize),
    /// No further transaction can be begun, since it could not be remembered if it were aborted.
    #[error(
        "the logs of this shard hold {0} aborted transactions; shorten their retention, or delete records"
    )]
    TooManyAborted(usize),
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
        /// The one after the last that is on its way to the disk, and may have been acknowledged as written.
        end: u64,
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
        /// Where it stands.
        appended: Appended,
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
        result: Result<OffsetAtTime, ReadError>,
    },
    /// The high watermark of a watched log has moved, or its last stable offset. The watch is over: watch again to hear more.
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
