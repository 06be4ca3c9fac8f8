//! What a connection has to say.

use bytes::Bytes;
use ringmail_wire::protocol::{ErrorCode, FetchedPartitionHeader, HandshakeResponse, SubscribeResponse};

use super::BrokerError;

/// What the broker said of itself in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The protocol version that both speak.
    pub version: u8,
    /// The features that both have; see [`ringmail_wire::protocol::features`].
    pub features: u64,
    /// The shard that the connection is on.
    pub shard: u16,
    /// The largest frame that the broker takes, in bytes.
    pub max_frame: u32,
    /// Bytes of unanswered requests past which the broker stops reading from the connection.
    pub max_in_flight: u32,
    /// Silence after which the broker closes the connection, in milliseconds; 0 for never.
    pub idle_timeout_ms: u32,
    /// The broker's name and version.
    pub server: String,
}

impl From<HandshakeResponse<'_>> for ServerInfo {
    fn from(h: HandshakeResponse<'_>) -> Self {
        Self {
            version: h.version,
            features: h.features,
            shard: h.shard,
            max_frame: h.max_frame,
            max_in_flight: h.max_in_flight,
            idle_timeout_ms: h.idle_timeout_ms,
            server: h.server.to_owned(),
        }
    }
}

/// One partition of a fetch answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The partition, its offsets, and its error if there is one.
    pub header: FetchedPartitionHeader,
    /// Whole batches, one after another, in the buffer that they were received into.
    pub batches: Bytes,
}

impl Fetched {
    /// Why this partition could not be read.
    pub fn error(&self) -> Option<ErrorCode> {
        (self.header.code != 0).then(|| ErrorCode::from_number(self.header.code))
    }
}

/// What arrived. `T` is what the request was sent with.
#[derive(Debug)]
pub enum Event<T> {
    /// The handshake is done.
    Ready(ServerInfo),
    /// A produce request was answered: with the offset of the batch's first record.
    Produced {
        /// What the request was sent with.
        token: T,
        /// The offset, or why the batch was not stored.
        result: Result<u64, BrokerError>,
    },
    /// A batch that asked for no acknowledgement was wholly taken for sending.
    Sent {
        /// What the request was sent with.
        token: T,
    },
    /// A fetch was answered.
    Fetched {
        /// What the request was sent with.
        token: T,
        /// The partitions that have batches or errors.
        result: Result<Vec<Fetched>, BrokerError>,
    },
    /// A subscription began, or was refused.
    Subscribed {
        /// What the request was sent with.
        token: T,
        /// The offsets of the partition.
        result: Result<SubscribeResponse, BrokerError>,
    },
    /// Another request was answered.
    Answered {
        /// What the request was sent with.
        token: T,
        /// The body of the answer; see [`super::Reply`].
        result: Result<Bytes, BrokerError>,
    },
    /// Batches of a subscription.
    Push {
        /// Which.
        subscription: u32,
        /// The offset after the last one that can be read.
        high_watermark: u64,
        /// Whole batches, one after another, in the buffer that they were received into.
        batches: Bytes,
    },
    /// The broker ended a subscription.
    SubscriptionEnded {
        /// Which.
        subscription: u32,
        /// Why.
        error: BrokerError,
    },
    /// The broker refuses the connection as a whole, or something that has no answer; it mostly closes it then.
    Refused(BrokerError),
}
