//! What a client is told when something fails: the one table from the broker's errors to Kafka's codes.

use ringmail_kafka::error::ErrorCode;
use ringmail_shards::api::{AppendError, ReadError};
use ringmail_wire::batch::BatchError;

use crate::node::catalog::CatalogError;

/// What a producer is told.
pub(super) fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::UnknownLog(_) => ErrorCode::UnknownTopicOrPartition,
        AppendError::Batch(BatchError::Crc { .. }) => ErrorCode::CorruptMessage,
        AppendError::Batch(_) | AppendError::Keyless(_) => ErrorCode::InvalidRecord,
        AppendError::KafkaBatch(error) => error.code(),
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::Timestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTransaction(_) => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::TooManyAborted(_) => ErrorCode::PolicyViolation,
        // Nothing was stored, and clients try again by themselves.
        AppendError::Overloaded(_) | AppendError::NoSpareYet | AppendError::TooManyProducers(_) => {
            ErrorCode::NotEnoughReplicas
        }
        AppendError::Closed => ErrorCode::NotLeaderOrFollower,
        AppendError::Full | AppendError::Fenced(_) => ErrorCode::KafkaStorageError,
    }
}

/// What a consumer is told.
pub(super) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::UnknownLog(_) => ErrorCode::UnknownTopicOrPartition,
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
        ReadError::Io(_) => ErrorCode::KafkaStorageError,
    }
}

/// What somebody is told who wants topics changed.
pub(super) fn of_catalog(error: &CatalogError) -> ErrorCode {
    match error {
        CatalogError::Exists(_) => ErrorCode::TopicAlreadyExists,
        CatalogError::Unknown(_) => ErrorCode::UnknownTopicOrPartition,
        CatalogError::Name(_) | CatalogError::Internal(_) => ErrorCode::InvalidTopic,
        CatalogError::Partitions(_) => ErrorCode::InvalidPartitions,
        CatalogError::Placement(_) => ErrorCode::InvalidReplicaAssignment,
        CatalogError::Config(_) => ErrorCode::InvalidConfig,
        CatalogError::NoIds => ErrorCode::UnknownServerError,
        CatalogError::Busy(_) => ErrorCode::RequestTimedOut,
        CatalogError::NotStored(cause) => match of_append(cause) {
            code @ (ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError) => code,
            _ => ErrorCode::RequestTimedOut,
        },
    }
}
