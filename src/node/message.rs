//! What shards tell each other. Messages travel in batches, in order between any two shards.

use std::sync::Arc;

use bytes::Bytes;
use ringmail_kafka::batch::Marker;
use ringmail_kafka::messages::Response;
use ringmail_shards::api::{
    AppendError, Appended, Isolation, LogState, OffsetAtTime, Payload, ProducerInfo, ReadData, ReadError,
    TimeQuery,
};
use ringmail_wire::protocol::{Acks, LogId};

use super::catalog::plan::Command;
use super::catalog::{Catalog, CatalogError, Change};
use crate::coordinators::CoordinatorQuestion;

/// A message from one shard to another.
#[derive(Debug)]
pub enum Message {
    /// Something is asked of a log that the receiver owns. `request` is repeated in the answer.
    Ask {
        /// The sender's number for it.
        request: u64,
        /// What is asked.
        question: Question,
    },
    /// The answer.
    Answer {
        /// The number of the question.
        request: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// Tell me once when the log's high watermark or last stable offset is past this one.
    Watch {
        /// Which log.
        log: LogId,
        /// What the sender knows.
        high_watermark: u64,
        /// The like.
        last_stable: u64,
    },
    /// The watch has ended.
    Advanced {
        /// Which log.
        log: LogId,
    },
    /// Change the catalog; for shard 0, which answers.
    Change {
        /// The sender's number for it.
        request: u64,
        /// What is wanted.
        command: Command,
    },
    /// Apply this change, which is durable, and say so.
    Apply(Arc<Change>),
    /// All changes so far are applied.
    Applied,
    /// This is the whole catalog: take it on, and say so.
    Load(Arc<Catalog>),
    /// Every shard has the catalog: serve.
    Serve,
    /// Nothing is left of these deleted logs, durably.
    Dropped(Vec<LogId>),
    /// The broker is going down, and the sender has nothing under way any more.
    Drained,
}

/// What can be asked of a log.
#[derive(Debug)]
pub enum Question {
    /// Append a batch and answer at this level.
    Append {
        /// To which log.
        log: LogId,
        /// The batch, not checked yet.
        payload: Payload<Bytes>,
        /// When to answer; without acknowledgement, once it was taken or refused.
        acks: Acks,
    },
    /// End a transaction by a marker, and answer once that is durable.
    Marker {
        /// In which log.
        log: LogId,
        /// The end.
        marker: Marker,
    },
    /// Move the log's start.
    DeleteRecords {
        /// Of which log.
        log: LogId,
        /// Where to.
        before: u64,
    },
    /// Read batches.
    Read {
        /// Of which log.
        log: LogId,
        /// From where.
        offset: u64,
        /// How many bytes.
        max_bytes: usize,
        /// Up to where.
        isolation: Isolation,
    },
    /// Find the offset for a time.
    OffsetForTime {
        /// In which log.
        log: LogId,
        /// Which.
        time: TimeQuery,
        /// Up to where.
        isolation: Isolation,
    },
    /// Ask the coordinator over a log.
    Coordinate(CoordinatorQuestion),
    /// Say where the log stands.
    State {
        /// Which.
        log: LogId,
    },
    /// Say what is known of the log's producers.
    Producers {
        /// Which.
        log: LogId,
    },
}

/// How something that was asked of a log, or of the catalog, ended.
#[derive(Debug)]
pub enum Outcome {
    /// An append, of a marker too; or a deletion of records, with the new start as base offset.
    Appended(Result<Appended, AppendError>),
    /// A read.
    Read(Result<ReadData, ReadError>),
    /// A search by time.
    Offset(Result<OffsetAtTime, ReadError>),
    /// A state.
    State(Result<LogState, ReadError>),
    /// The producers of a log, in the order of their ids.
    Producers(Result<Vec<ProducerInfo>, ReadError>),
    /// A coordinator's answer.
    Coordinated(Box<Response<'static>>),
    /// A producer id.
    ProducerId(Result<i64, CatalogError>),
    /// A watched log has advanced, or is gone.
    Advanced,
    /// A change of the catalog: durable, and applied on every shard.
    Changed(Result<Arc<Change>, CatalogError>),
}
