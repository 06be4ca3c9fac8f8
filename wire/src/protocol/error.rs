//! Error codes, and the body of an error response.

use super::codec::{DecodeError, Message, Reader, Writer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// Why a request failed. The words that come with it say what to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$doc])* $name = $number),* }

        impl ErrorCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code of this number; one that a newer broker may send reads as [`Self::Internal`].
            pub fn from_number(number: u16) -> Self {
                match number { $($number => Self::$name,)* _ => Self::Internal }
            }
        }
    };
}

codes! {
    /// A defect of the broker; see its log.
    Internal = 1,
    /// The API number is unknown to this broker.
    UnknownApi = 2,
    /// No version of the protocol, or of this API, that both sides speak.
    UnsupportedVersion = 3,
    /// The body does not have the form of its API.
    MalformedRequest = 4,
    /// The frame is over the broker's limit; the connection is closed after this answer.
    FrameTooLarge = 5,
    /// The first request of a connection must be a handshake, and only the first.
    HandshakeOrder = 6,
    /// The broker has as many connections as it may.
    TooManyConnections = 7,
    /// Nothing came for the idle timeout; the connection is closed after this.
    IdleTimeout = 8,
    /// The broker is shutting down; reconnect and try again.
    ShuttingDown = 9,
    /// No topic of that name.
    UnknownTopic = 10,
    /// No partition of that log id on this broker: deleted, or the metadata is old.
    UnknownPartition = 11,
    /// There is a topic of that name.
    TopicExists = 12,
    /// The name has characters or a length that topics may not have.
    InvalidTopicName = 13,
    /// A partition count of 0, over the limit, or lower than it was.
    InvalidPartitions = 14,
    /// An unknown configuration key, or a value it cannot have.
    InvalidConfig = 15,
    /// The catalog could not be changed now; try again.
    CatalogUnavailable = 16,
    /// The batch's magic, version, attributes or structure is wrong; it was not stored.
    InvalidBatch = 20,
    /// The batch's checksum is wrong; it was not stored.
    CorruptBatch = 21,
    /// The batch is over the topic's or broker's limit; it was not stored.
    BatchTooLarge = 22,
    /// The offset is before the partition's start or past its end.
    OffsetOutOfRange = 30,
    /// The stored bytes of this range are damaged; other ranges can be read.
    DamagedRange = 31,
    /// The disk is full; nothing was stored. Reads go on.
    StorageFull = 40,
    /// The shard's log failed and takes no writes until the broker is restarted. Reads go on.
    StorageFailed = 41,
    /// A queue of the broker is full; try again a little later. Nothing was stored.
    Overloaded = 42,
    /// No subscription of that id on this connection, or one too many.
    InvalidSubscription = 50,
}

impl ErrorCode {
    /// Whether the same request may succeed later, nothing having been done now.
    pub fn is_retriable(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::CatalogUnavailable | Self::StorageFull | Self::Overloaded)
    }
}

/// The body of a response whose code is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// What is wrong, and what to do.
    pub message: &'a str,
}

impl<'a> Message<'a> for ErrorBody<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.string(self.message);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { message: r.string("message")? })
    }
}
