//! What a client is told when something fails: the one table from the broker's errors to the protocol's codes.

use std::borrow::Cow;

use ringmail_shards::api::{AppendError, ReadError};
use ringmail_wire::batch::BatchError;
use ringmail_wire::protocol::{
    Api, DecodeError, ErrorBody, ErrorCode, FrameHeader, LogId, Message, PROTOCOL_VERSION, Writer,
};

use crate::gateway::Output;
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

    /// What is answered to whoever would change a log of the broker's own.
    pub fn internal() -> Self {
        let words = "the topic is internal: the broker alone writes to it, and deletes from it; take another";
        Self::new(ErrorCode::InvalidTopicName, words)
    }
}

/// Writes an answer whose code is that of `fault`. The API is a number, as it may be an unknown one.
pub(super) fn put_fault(output: &mut Output, api: u8, correlation: u32, fault: &Fault) {
    let mut body = Vec::new();
    ErrorBody { message: &fault.message }.encode(&mut Writer::new(&mut body));
    let header = FrameHeader {
        body: body.len(),
        correlation,
        api,
        version: PROTOCOL_VERSION,
        code: fault.code as u16,
    };
    output.copied().extend_from_slice(&header.to_bytes());
    output.copied().extend_from_slice(&body);
}

/// Writes what a client is told when there are as many connections as there may be, `limit`.
pub fn put_too_many(output: &mut Output, limit: usize) {
    let words = format!(
        "the broker has {limit} connections, as many as it may: close some, or raise limits.connections"
    );
    put_fault(output, Api::Handshake as u8, 0, &Fault::new(ErrorCode::TooManyConnections, words));
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
            | AppendError::Keyless(_)
            | AppendError::OutOfOrderSequence { .. }
            | AppendError::InvalidProducerEpoch { .. }
            | AppendError::InvalidTransaction(_)
            | AppendError::CoordinatorFenced { .. } => ErrorCode::InvalidBatch,
            AppendError::TooManyProducers(_) | AppendError::TooManyAborted(_) => ErrorCode::Overloaded,
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
            CatalogError::Name(_) | CatalogError::Internal(_) => ErrorCode::InvalidTopicName,
            CatalogError::Partitions(_) | CatalogError::Placement(_) => ErrorCode::InvalidPartitions,
            CatalogError::Config(_) => ErrorCode::InvalidConfig,
            CatalogError::Busy(_) | CatalogError::NoIds => ErrorCode::CatalogUnavailable,
            CatalogError::NotStored(cause) => match Self::from(cause.clone()).code {
                code @ (ErrorCode::ShuttingDown | ErrorCode::StorageFull | ErrorCode::StorageFailed) => code,
                _ => ErrorCode::CatalogUnavailable,
            },
        };
        Self::new(code, error.to_string())
    }
}
