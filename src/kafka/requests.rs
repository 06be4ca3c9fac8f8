//! Requests: which handler takes one, and who is told when something has ended that a request waited for.

use ringmail_kafka::api::Api;
use ringmail_kafka::codec::DecodeError;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::frame::RequestHeader;

use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::ShardId;
use crate::node::logs::Logs;
use crate::node::message::Outcome;

/// A whole request.
pub(super) struct Request<'a> {
    pub(super) header: RequestHeader<'a>,
    pub(super) body: &'a [u8],
    /// Where its answer goes.
    pub(super) reply: Reply,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handled {
    /// It was answered, will be, or has no answer.
    Done,
    /// This shard has too much to do: the request is to be handled again.
    Busy(ShardId),
    /// Something has to be done first: then the connection [has room](crate::gateway::Connections::has_room), and the request is
    /// to be handled again.
    Waits,
}

impl Sessions<'_> {
    /// Hands a request to its handler.
    ///
    /// # Errors
    /// If it is malformed: then the connection ends.
    #[inline]
    pub(super) fn handle(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Refused> {
        match request.header.api {
            Api::Produce => self.produce(request, logs),
            Api::Fetch => self.fetch(request, logs),
            Api::ListOffsets => self.list_offsets(request, logs),
            Api::Metadata => self.metadata(request, logs),
            Api::SaslHandshake => self.sasl_handshake(request),
            Api::ApiVersions => self.api_versions(request),
            Api::SaslAuthenticate => self.sasl_authenticate(request),
            Api::CreateTopics => self.create_topics(request, logs),
            Api::DeleteTopics => self.delete_topics(request, logs),
            Api::DeleteRecords => self.delete_records(request, logs),
            Api::DescribeConfigs => self.describe_configs(request, logs),
            Api::AlterConfigs => self.alter_configs(request, logs),
            Api::DescribeLogDirs => self.describe_log_dirs(request, logs),
            Api::CreatePartitions => self.create_partitions(request, logs),
            Api::ElectLeaders => self.elect_leaders(request, logs),
            Api::IncrementalAlterConfigs => self.incremental_alter_configs(request, logs),
            Api::AlterPartitionReassignments => self.alter_partition_reassignments(request, logs),
            Api::ListPartitionReassignments => self.list_partition_reassignments(request),
            Api::DescribeCluster => self.describe_cluster(request, logs),
            Api::ListConfigResources => self.list_config_resources(request, logs),
            Api::DescribeTopicPartitions => self.describe_topic_partitions(request, logs),
            Api::FindCoordinator => self.find_coordinator(request, logs),
            Api::OffsetForLeaderEpoch => self.offset_for_leader_epoch(request, logs),
            Api::DescribeProducers => self.describe_producers(request, logs),
            Api::InitProducerId => self.init_producer_id(request, logs),
            Api::OffsetCommit
            | Api::OffsetFetch
            | Api::JoinGroup
            | Api::Heartbeat
            | Api::LeaveGroup
            | Api::SyncGroup
            | Api::DescribeGroups
            | Api::ListGroups
            | Api::AddPartitionsToTxn
            | Api::AddOffsetsToTxn
            | Api::EndTxn
            | Api::TxnOffsetCommit
            | Api::DeleteGroups
            | Api::OffsetDelete
            | Api::DescribeTransactions
            | Api::ListTransactions
            | Api::ConsumerGroupHeartbeat
            | Api::ConsumerGroupDescribe => self.coordinate(request, logs),
            api => Err(Refused::NotOffered(api)),
        }
    }

    /// Something that a connection waited for has ended.
    #[inline]
    pub fn outcome(&mut self, waiter: Waiter, outcome: Outcome, logs: &mut Logs) {
        match (waiter, outcome) {
            (Waiter::Change { changes, part }, Outcome::Changed(result)) => {
                self.changed(changes, part, result, logs);
            }
            (Waiter::Partition { partitions, part }, Outcome::State(result)) => {
                self.partition_known(partitions, part, result, logs);
            }
            (Waiter::Partition { partitions, part }, Outcome::Appended(result)) => {
                self.records_deleted(partitions, part, result.map(|deleted| deleted.log_start));
            }
            (Waiter::Produce { produce, part }, Outcome::Appended(result)) => {
                self.produced(produce, part, result);
            }
            (Waiter::Unacknowledged(connection), Outcome::Appended(result)) => {
                self.unacknowledged(connection, result);
            }
            (Waiter::FetchRead { fetch, part }, Outcome::Read(result)) => {
                self.fetch_read(fetch, part, result, logs);
            }
            (Waiter::FetchCount { fetch, part }, Outcome::Read(result)) => {
                self.fetch_counted(fetch, part, result, logs);
            }
            (Waiter::FetchWatch { fetch, part }, Outcome::Advanced) => {
                self.fetch_advanced(fetch, part, logs);
            }
            (Waiter::Offsets { listing, part }, Outcome::State(result)) => {
                self.listed_state(listing, part, result);
            }
            (Waiter::Offsets { listing, part }, Outcome::Offset(result)) => {
                self.listed_time(listing, part, result);
            }
            (Waiter::Coordinator(key), Outcome::Coordinated(response)) => self.coordinated(key, *response),
            (Waiter::Adding(connection), Outcome::Coordinated(response)) => self.added(connection, &response),
            (Waiter::Staging(key), Outcome::Coordinated(response)) => self.staged(key, &response, logs),
            (Waiter::Coordinators(key), Outcome::Changed(result)) => {
                self.coordinators_created(key, result.map(drop), logs);
            }
            (Waiter::Producers { describing, part }, Outcome::Producers(result)) => {
                self.producers_known(describing, part, result);
            }
            (Waiter::ProducerId(reply), Outcome::ProducerId(id)) => self.gave_producer_id(&reply, id),
            (Waiter::Metadata { metadata, part }, Outcome::Changed(result)) => {
                self.topic_created(metadata, part, &result, logs);
            }
            (waiter, outcome) => debug_assert!(false, "{waiter:?} does not wait for {outcome:?}"),
        }
    }
}

/// Why a connection is ended for a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The broker does not offer the API.
    #[error("a request for {}, which this broker does not offer", .0.info().name)]
    NotOffered(Api),
    /// A batch was refused whose producer wants no acknowledgement.
    #[error("a batch of a producer that wants no acknowledgement was refused: {0}")]
    Unacknowledged(ErrorCode),
    /// There are as many fetches as there may be.
    #[error("the shard holds as many fetches that wait as it may, and this connection its share of them")]
    TooManyFetches,
}
