//! What of a connection waits for something, in a form that can be handed around.

use ringmail_kafka::api::Api;

use crate::node::slab::Key;

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The connection.
    pub connection: Key,
    /// The number of the request among all of the connection.
    pub number: u64,
    /// The request's correlation id.
    pub correlation: i32,
    /// The version that it is answered in.
    pub version: i16,
    /// What was asked.
    pub api: Api,
}

/// Who waits for an operation on a log or on the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// A request that changes the catalog: its `part`th item.
    Change {
        /// The request.
        changes: Key,
        /// Which of its items.
        part: u32,
    },
    /// A request about partitions: its `part`th.
    Partition {
        /// The request.
        partitions: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// An append of a request: its `part`th.
    Produce {
        /// The request.
        produce: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// An append by this connection, whose client wants no answer.
    Unacknowledged(Key),
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
    /// Offsets that are listed: the `part`th.
    Offsets {
        /// The listing.
        listing: Key,
        /// Which of its questions.
        part: u32,
    },
    /// Part of an answer of coordinators.
    Coordinator(Key),
    /// A connection whose producer's transaction is to have further partitions.
    Adding(Key),
    /// Offsets that are staged once their partition is in the transaction.
    Staging(Key),
    /// A request that waits for the topic of its coordinators to be created.
    Coordinators(Key),
    /// The producers of a partition: the `part`th of a request.
    Producers {
        /// The request.
        describing: Key,
        /// Which of its partitions.
        part: u32,
    },
    /// A producer id.
    ProducerId(Reply),
    /// Metadata that waits for a topic to be created: its `part`th.
    Metadata {
        /// The request.
        metadata: Key,
        /// Which of its topics.
        part: u32,
    },
}
