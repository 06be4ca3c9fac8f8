//! What can go wrong between a client and a broker, before any I/O.

use ringmail_wire::protocol::{DecodeError, ErrorBody, ErrorCode, FrameError, Message};

/// A request that the broker refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code:?})")]
pub struct BrokerError {
    /// Why.
    pub code: ErrorCode,
    /// What is wrong and what to do, in the broker's words.
    pub message: String,
}

impl BrokerError {
    /// The error of an answer with this code and body.
    pub(crate) fn from_answer(code: u16, body: &[u8]) -> Self {
        let message = match ErrorBody::from_body(body) {
            Ok(body) => body.message.to_owned(),
            Err(_) => format!("error {code} without words from the broker"),
        };
        Self { code: ErrorCode::from_number(code), message }
    }
}

/// Bytes from the peer that are not Ringmail's protocol. The connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A frame that cannot be one.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame over [`super::MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is over the client's limit; is this a Ringmail broker?")]
    FrameTooLarge(usize),
    /// The body of an answer does not have the form of its API.
    #[error("malformed answer of API {api}: {cause}")]
    Malformed {
        /// The API's number.
        api: u8,
        /// What is wrong with it.
        cause: DecodeError,
    },
    /// An answer to nothing that was asked.
    #[error("an answer of API {api} with the unknown correlation id {correlation}")]
    Unasked {
        /// The API's number.
        api: u8,
        /// The correlation id.
        correlation: u32,
    },
    /// An answer of another API than that of the request.
    #[error("an answer of API {found} to a request of API {asked}")]
    WrongApi {
        /// The API's number in the answer.
        found: u8,
        /// The API's number in the request.
        asked: u8,
    },
}
