//! What a client can fail with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringmail_wire::batch::BatchError;
use ringmail_wire::protocol::ErrorCode;

use crate::core::{BrokerError, ProtocolError};

/// Why something did not work. Cheap to clone: one failed batch may have many who wait for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made.
    #[error("cannot connect to {server}: {cause}; is the broker running there?")]
    Connect {
        /// Where to.
        server: String,
        /// Why not.
        cause: Arc<io::Error>,
    },
    /// The connection ended before the answer; whether the request was done is not known.
    #[error("lost the connection to {server} before the answer: {cause}")]
    ConnectionLost {
        /// Where to.
        server: String,
        /// How it ended.
        cause: String,
    },
    /// The broker refused the request.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The peer does not speak Ringmail's protocol, or not rightly.
    #[error("the peer does not speak Ringmail's protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// An answer to another number of questions than were asked.
    #[error("the broker gave {answered} answers to {asked} questions; is it of another version?")]
    AnswerMismatch {
        /// Questions.
        asked: usize,
        /// Answers.
        answered: usize,
    },
    /// Nothing came in time.
    #[error("{what} took longer than {after:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// No topic of that name.
    #[error("there is no topic `{0}`; create it first")]
    UnknownTopic(String),
    /// The topic has no partition of that number.
    #[error("topic `{topic}` has no partition {partition}")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
    },
    /// A batch was sent and no answer came, because the connection ended or because
    /// [`delivery_timeout`](crate::ProducerConfig::delivery_timeout) was over (the cause is [`Error::Timeout`]
    /// then): its records may be stored, be stored yet, or not.
    #[error("sent, and no answer came: the records may be stored or not ({0})")]
    OutcomeUnknown(Arc<Error>),
    /// The batch could be sent again only behind later ones of its partition that are stored already.
    #[error("not stored, and sending again would change the order of records: {0}")]
    OrderLost(Arc<Error>),
    /// The record, or a batch of it alone, is over the limit.
    #[error("the record needs {bytes} bytes; the limit is {limit}")]
    RecordTooLarge {
        /// Bytes that it needs in a batch.
        bytes: usize,
        /// The limit: the broker's largest frame, or the producer's buffer.
        limit: usize,
    },
    /// The producer asks for no acknowledgement, so the broker names no offset.
    #[error("the producer asks for no acknowledgement, so the offset is not known")]
    NotAcknowledged,
    /// The ticket's record was delivered so long ago that its offset is no longer known here.
    #[error("the record was delivered long ago and its offset is no longer kept")]
    TicketExpired,
    /// A batch that was received is damaged.
    #[error("damaged batch in topic `{topic}` partition {partition} at offset {offset}: {cause}")]
    DamagedBatch {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
        /// Where reading had got to.
        offset: u64,
        /// What is wrong with it.
        cause: BatchError,
    },
    /// The offset is before the partition's start or past its end.
    #[error("offset {offset} of topic `{topic}` partition {partition} is out of range: {message}")]
    OffsetOutOfRange {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: u32,
        /// The offset that was asked for.
        offset: u64,
        /// The broker's words.
        message: String,
    },
    /// The broker lacks a feature.
    #[error("the broker at {server} has no {feature}; use a newer one")]
    Unsupported {
        /// Where.
        server: String,
        /// What it lacks.
        feature: &'static str,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Config(String),
    /// The producer, or the client's runtime, was shut down.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// The broker's code, if it was the broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker(error) => Some(error.code),
            Self::OutcomeUnknown(cause) | Self::OrderLost(cause) => cause.code(),
            _ => None,
        }
    }

    /// Whether no connection could be made or kept.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::ConnectionLost { .. })
    }

    /// Whether the same request may succeed a little later, nothing having been done now.
    pub(crate) fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Broker(error) => error.code.is_retriable(),
            _ => false,
        }
    }
}
