//! What a client is told when something fails: the one table from the broker's errors to the protocol's codes.

use std::borrow::Cow;

use ringmail_shards::api::{AppendError, ReadError};
use ringmail_wire::batch::BatchError;
use ringmail_wire::protocol::{DecodeError, ErrorCode, LogId};

use crate::node::catalog::CatalogError;

/// Why a request failed: a code for the client, and words for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code.
    pub code: ErrorCode,
    /// One line: what is wrong and what to do.
    pub message: Cow<'static, str>,
}

impl Fault {
    /// A fault in these words.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// What is answered while the broker goes down.
    pub fn shutting_down() -> Self {
        Self::new(ErrorCode::ShuttingDown, "the broker is shutting down: reconnect and try again")
    }
}

fn unknown_log(log: LogId) -> Fault {
    Fault::new(
        ErrorCode::UnknownPartition,
        format!("no partition has log id {log}: it was deleted, or the metadata is old; refresh it"),
    )
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::new(
            ErrorCode::MalformedRequest,
            format!("{error}: the request does not have the form of its API"),
        )
    }
}

impl From<AppendError> for Fault {
    fn from(error: AppendError) -> Self {
        let code = match &error {
            AppendError::UnknownLog(log) => return unknown_log(*log),
            AppendError::Closed => return Self::shutting_down(),
            AppendError::Batch(BatchError::Crc { .. }) => ErrorCode::CorruptBatch,
            AppendError::Batch(_)
            | AppendError::KafkaBatch(_)
            | AppendError::Timestamp { .. }
            | AppendError::Keyless(_) => ErrorCode::InvalidBatch,
            AppendError::TooLarge { .. } => ErrorCode::BatchTooLarge,
            AppendError::Overloaded(_) | AppendError::NoSpareYet => ErrorCode::Overloaded,
            AppendError::Full => ErrorCode::StorageFull,
            AppendError::Fenced(_) => ErrorCode::StorageFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        let code = match &error {
            ReadError::UnknownLog(log) => return unknown_log(*log),
            ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Damaged { .. } => ErrorCode::DamagedRange,
            ReadError::Io(_) => ErrorCode::StorageFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CatalogError> for Fault {
    fn from(error: CatalogError) -> Self {
        let code = match &error {
            CatalogError::Exists(_) => ErrorCode::TopicExists,
            CatalogError::Unknown(_) => ErrorCode::UnknownTopic,
            CatalogError::Name(_) => ErrorCode::InvalidTopicName,
            CatalogError::Partitions(_) => ErrorCode::InvalidPartitions,
            CatalogError::Config(_) => ErrorCode::InvalidConfig,
            CatalogError::Busy(_) => ErrorCode::CatalogUnavailable,
            CatalogError::NotStored(cause) => match Self::from(cause.clone()).code {
                code @ (ErrorCode::ShuttingDown | ErrorCode::StorageFull | ErrorCode::StorageFailed) => code,
                _ => ErrorCode::CatalogUnavailable,
            },
        };
        Self::new(code, error.to_string())
    }
}
