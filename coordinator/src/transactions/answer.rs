//! Who is to be answered, and in which words: clients of old versions do not know all error codes.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::transactions::{
    AddOffsetsToTxnResponse, EndTxnResponse, InitProducerIdResponse,
};

use super::state::{NO_EPOCH, NO_ID};
use crate::machine::{CallId, Effects, Producer, WriteError};

/// The first version of InitProducerId that knows PRODUCER_FENCED.
const INIT_KNOWS_FENCED: i16 = 4;
/// The first version of the other requests of transactions that does.
const OTHERS_KNOW_FENCED: i16 = 2;

const NOBODY: Producer = Producer { id: NO_ID, epoch: NO_EPOCH };

/// Who waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) call: CallId,
    pub(super) version: i16,
}

impl Asker {
    /// To InitProducerId.
    pub(super) fn init_producer_id(self, result: Result<Producer, ErrorCode>, effects: &mut Effects) {
        let (producer, code) = split(result);
        let response = InitProducerIdResponse {
            throttle_time_ms: 0,
            error_code: self.known(code, INIT_KNOWS_FENCED),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
        };
        effects.answers.push((self.call, Response::InitProducerId(response)));
    }

    /// To AddOffsetsToTxn.
    pub(super) fn add_offsets(self, result: Result<(), ErrorCode>, effects: &mut Effects) {
        let code = result.err().unwrap_or(ErrorCode::None);
        let response =
            AddOffsetsToTxnResponse { throttle_time_ms: 0, error_code: self.known(code, OTHERS_KNOW_FENCED) };
        effects.answers.push((self.call, Response::AddOffsetsToTxn(response)));
    }

    /// To EndTxn.
    pub(super) fn end_txn(self, result: Result<Producer, ErrorCode>, effects: &mut Effects) {
        let (producer, code) = split(result);
        let response = EndTxnResponse {
            throttle_time_ms: 0,
            error_code: self.known(code, OTHERS_KNOW_FENCED),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
        };
        effects.answers.push((self.call, Response::EndTxn(response)));
    }

    /// The number of a partition's error in the answer to AddPartitionsToTxn.
    pub(super) fn partition_code(self, code: ErrorCode) -> i16 {
        self.known(code, OTHERS_KNOW_FENCED)
    }

    fn known(self, code: ErrorCode, knows_fenced: i16) -> i16 {
        match code {
            ErrorCode::ProducerFenced if self.version < knows_fenced => {
                ErrorCode::InvalidProducerEpoch.number()
            }
            code => code.number(),
        }
    }
}

fn split(result: Result<Producer, ErrorCode>) -> (Producer, ErrorCode) {
    match result {
        Ok(producer) => (producer, ErrorCode::None),
        Err(code) => (NOBODY, code),
    }
}

/// What a client hears of a write that was refused.
pub(super) fn refusal(error: WriteError) -> ErrorCode {
    match error {
        WriteError::Unavailable => ErrorCode::CoordinatorNotAvailable,
        WriteError::TooLarge | WriteError::Fenced => ErrorCode::UnknownServerError,
    }
}
