//! The APIs there are, as a table: keys, versions, and from which version on each is flexible.

use std::ops::RangeInclusive;

/// What is known of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiInfo {
    /// The number in request headers.
    pub key: i16,
    /// Kafka's name.
    pub name: &'static str,
    /// The first version that is offered to clients; before [`Self::first`] only where a client needs to see it so.
    pub first_offered: i16,
    /// The first version that is implemented.
    pub first: i16,
    /// The last version that is implemented, and offered.
    pub last: i16,
    /// The first version with varint lengths and tagged fields (KIP-482); past [`Self::last`] if there is none.
    pub first_flexible: i16,
}

const NEVER: i16 = i16::MAX;

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $first:literal..=$last:literal, $flexible:expr;)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum Api { $($(#[$doc])* $name = $key),* }

        impl Api {
            /// All of them, in the order of their keys.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of this key.
            pub fn from_key(key: i16) -> Option<Self> {
                match key { $($key => Some(Self::$name),)* _ => None }
            }

            /// What is known of it.
            pub const fn info(self) -> &'static ApiInfo {
                match self {
                    $(Self::$name => const { &ApiInfo {
                        key: $key,
                        name: stringify!($name),
                        first_offered: if $key == PRODUCE_KEY { 0 } else { $first },
                        first: $first,
                        last: $last,
                        first_flexible: $flexible,
                    } },)*
                }
            }
        }
    };
}

/// librdkafka before 2.9 takes brokers that do not offer Produce 0 for ones without lz4 (KAFKA-18659), so versions are
/// offered that are not implemented; Kafka does the same.
const PRODUCE_KEY: i16 = 0;

apis! {
    /// Appends batches.
    Produce = 0, 3..=13, 9;
    /// Reads batches, waiting for them if asked to.
    Fetch = 1, 4..=18, 12;
    /// Offsets: first, last, by time.
    ListOffsets = 2, 1..=11, 6;
    /// Topics, partitions, brokers.
    Metadata = 3, 0..=13, 9;
    /// Keeps how far a group is.
    OffsetCommit = 8, 2..=10, 8;
    /// How far a group is.
    OffsetFetch = 9, 1..=10, 6;
    /// Which broker keeps a group or a transactional id.
    FindCoordinator = 10, 0..=6, 3;
    /// Enters a group of the classic protocol.
    JoinGroup = 11, 0..=9, 6;
    /// Stays in it.
    Heartbeat = 12, 0..=4, 4;
    /// Leaves it.
    LeaveGroup = 13, 0..=5, 4;
    /// Gives and takes its assignment.
    SyncGroup = 14, 0..=5, 4;
    /// What groups of the classic protocol look like.
    DescribeGroups = 15, 0..=6, 5;
    /// Which groups there are.
    ListGroups = 16, 0..=5, 3;
    /// Which SASL mechanism is to be used.
    SaslHandshake = 17, 0..=1, NEVER;
    /// What there is and in which versions.
    ApiVersions = 18, 0..=4, 3;
    /// Creates topics.
    CreateTopics = 19, 2..=7, 5;
    /// Deletes topics.
    DeleteTopics = 20, 1..=6, 4;
    /// Moves the start of partitions.
    DeleteRecords = 21, 0..=2, 2;
    /// Gives a producer its id and epoch.
    InitProducerId = 22, 0..=5, 2;
    /// Where the epoch of a leader ended.
    OffsetForLeaderEpoch = 23, 2..=4, 4;
    /// Adds partitions to a transaction.
    AddPartitionsToTxn = 24, 0..=5, 3;
    /// Adds the offsets of a group to a transaction.
    AddOffsetsToTxn = 25, 0..=4, 3;
    /// Commits or aborts a transaction.
    EndTxn = 26, 0..=5, 3;
    /// Keeps how far a group is once the transaction is committed.
    TxnOffsetCommit = 28, 0..=5, 3;
    /// Access control lists.
    DescribeAcls = 29, 1..=3, 2;
    /// Adds to them.
    CreateAcls = 30, 1..=3, 2;
    /// Takes from them.
    DeleteAcls = 31, 1..=3, 2;
    /// The configuration of topics, brokers and groups.
    DescribeConfigs = 32, 1..=4, 4;
    /// Replaces it.
    AlterConfigs = 33, 0..=2, 2;
    /// How large partitions are on disk.
    DescribeLogDirs = 35, 1..=5, 2;
    /// A step of SASL.
    SaslAuthenticate = 36, 0..=2, 2;
    /// Adds partitions to topics.
    CreatePartitions = 37, 0..=3, 2;
    /// Deletes groups.
    DeleteGroups = 42, 0..=2, 2;
    /// Elects leaders.
    ElectLeaders = 43, 0..=2, 2;
    /// Changes single keys of configurations.
    IncrementalAlterConfigs = 44, 0..=1, 1;
    /// Moves partitions between brokers.
    AlterPartitionReassignments = 45, 0..=1, 0;
    /// Which partitions are being moved.
    ListPartitionReassignments = 46, 0..=0, 0;
    /// Deletes offsets of a group.
    OffsetDelete = 47, 0..=0, NEVER;
    /// Quotas.
    DescribeClientQuotas = 48, 0..=1, 1;
    /// Changes them.
    AlterClientQuotas = 49, 0..=1, 1;
    /// Which SCRAM credentials there are.
    DescribeUserScramCredentials = 50, 0..=0, 0;
    /// Changes them.
    AlterUserScramCredentials = 51, 0..=0, 0;
    /// Who votes on metadata.
    DescribeQuorum = 55, 0..=2, 0;
    /// Finalizes features.
    UpdateFeatures = 57, 0..=2, 0;
    /// The brokers.
    DescribeCluster = 60, 0..=2, 0;
    /// Which producers write to partitions.
    DescribeProducers = 61, 0..=0, 0;
    /// What transactions look like.
    DescribeTransactions = 65, 0..=0, 0;
    /// Which transactions there are.
    ListTransactions = 66, 0..=2, 0;
    /// Membership in groups of the new protocol (KIP-848).
    ConsumerGroupHeartbeat = 68, 0..=1, 0;
    /// What those groups look like.
    ConsumerGroupDescribe = 69, 0..=1, 0;
    /// Which resources have configurations.
    ListConfigResources = 74, 0..=1, 0;
    /// Topics and partitions, page by page.
    DescribeTopicPartitions = 75, 0..=0, 0;
    /// Membership in share groups (KIP-932).
    ShareGroupHeartbeat = 76, 1..=1, 0;
    /// What share groups look like.
    ShareGroupDescribe = 77, 1..=1, 0;
    /// Acquires records for a share group.
    ShareFetch = 78, 1..=2, 0;
    /// Says what became of them.
    ShareAcknowledge = 79, 1..=2, 0;
    /// How far share groups are.
    DescribeShareGroupOffsets = 90, 0..=1, 0;
    /// Changes it.
    AlterShareGroupOffsets = 91, 0..=0, 0;
    /// Forgets it.
    DeleteShareGroupOffsets = 92, 0..=0, 0;
}

impl Api {
    /// The first version of Produce that names topics by their ids.
    pub const PRODUCE_BY_ID: i16 = 13;
    /// The first version of Fetch that names topics by their ids.
    pub const FETCH_BY_ID: i16 = 13;

    /// The number in request headers.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// The versions that are implemented.
    pub fn versions(self) -> RangeInclusive<i16> {
        self.info().first..=self.info().last
    }

    /// Whether the version has varint lengths and tagged fields.
    #[inline]
    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.info().first_flexible
    }

    /// Whether a request header of this version ends in tagged fields.
    pub fn request_header_has_tags(self, version: i16) -> bool {
        self.is_flexible(version)
    }

    /// Whether a response header has tagged fields. That of ApiVersions never does: a client that reads it does not know yet
    /// which version it got.
    #[inline]
    pub fn response_header_has_tags(self, version: i16) -> bool {
        self.is_flexible(version) && self != Self::ApiVersions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_ranges_are_whole() {
        assert!(Api::ALL.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        for api in Api::ALL {
            let info = api.info();
            assert_eq!((Api::from_key(info.key), api.key()), (Some(*api), info.key));
            assert!(info.first_offered <= info.first && info.first <= info.last, "{}", info.name);
            assert!(info.first_offered == info.first || *api == Api::Produce, "{}", info.name);
        }
    }

    #[test]
    fn headers_of_api_versions_are_never_flexible_in_answers() {
        assert!(Api::ApiVersions.request_header_has_tags(3) && !Api::ApiVersions.response_header_has_tags(3));
        assert!(Api::Metadata.response_header_has_tags(9) && !Api::Metadata.response_header_has_tags(8));
    }
}
