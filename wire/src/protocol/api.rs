//! The requests there are.

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// What a frame asks for, or answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Api { $($(#[$doc])* $name = $number),* }

        impl Api {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

apis! {
    /// The first request of every connection: versions and features.
    Handshake = 0,
    /// Nothing but an answer; also keeps an idle connection.
    Ping = 1,
    /// Topics, partitions, and which shard and port owns each.
    Metadata = 2,
    /// Creates a topic.
    CreateTopic = 3,
    /// Changes a topic's configuration, or adds partitions.
    AlterTopic = 4,
    /// Deletes a topic and its records.
    DeleteTopic = 5,
    /// Names of all topics.
    ListTopics = 6,
    /// Configuration and partitions of a topic.
    DescribeTopic = 7,
    /// Appends one batch to one partition.
    Produce = 8,
    /// Reads batches, waiting for them if asked to.
    Fetch = 9,
    /// Has the broker push batches of a partition.
    Subscribe = 10,
    /// Gives a subscription credit; has no answer.
    Credit = 11,
    /// Ends a subscription.
    Unsubscribe = 12,
    /// Offsets: first, last, by time.
    ListOffsets = 13,
    /// Moves the start of a partition.
    DeleteRecords = 14,
    /// Broker to client: batches of a subscription; the correlation id is the subscription's.
    Push = 32,
}
