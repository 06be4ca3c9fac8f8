//! What of a connection waits for something, in a form that can be handed around.

use ringmail_wire::protocol::{Api, FrameHeader};

use crate::node::slab::Key;

/// Where an answer goes, and what the request counts for until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The connection.
    pub connection: Key,
    /// The request's correlation id.
    pub correlation: u32,
    /// Bytes that the request counts for while it is not answered.
    pub bytes: u32,
    /// What was asked.
    pub api: Api,
}

impl Reply {
    /// The reply to a request that came with this header.
    pub fn new(connection: Key, api: Api, header: &FrameHeader) -> Self {
        let bytes = u32::try_from(header.frame_bytes()).unwrap_or(u32::MAX);
        Self { connection, correlation: header.correlation, bytes, api }
    }
}

/// Who waits for an operation on a log or on the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// An append.
    Produce(Reply),
    /// An append whose client wants no answer.
    Unacknowledged,
    /// A read of part `part` of a fetch.
    FetchRead {
        /// The fetch.
        fetch: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// A read of what is new in part `part` of a fetch that waits, to be counted.
    FetchCount {
        /// The fetch.
        fetch: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// A fetch that waits for its part `part` to advance.
    FetchWatch {
        /// The fetch.
        fetch: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// A subscription that wants to know where its log stands, or reads from it.
    Subscription(Key),
    /// A subscription that waits for its log to advance.
    SubscriptionWatch(Key),
    /// An answer of several parts; this is its part `part`.
    Offsets {
        /// The listing.
        listing: Key,
        /// Which of its questions.
        part: u32,
    },
    /// The description of a topic; this is its partition `part`.
    Description {
        /// The description.
        description: Key,
        /// Which partition.
        part: u32,
    },
    /// A deletion of records.
    DeleteRecords(Reply),
    /// A change of the catalog.
    Catalog(Reply),
}
