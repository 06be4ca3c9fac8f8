//! The bodies of all requests and answers.
//!
//! Fields have the names that they have in Kafka's protocol guide, which says what they mean, and stand in its order; what
//! follows a field in brackets is in which versions it is there ([`crate::codec`]). Strings and bytes of a request are
//! borrowed from it.
//!
//! What is on the hot path is read and written without a copy or an allocation: the partitions of Produce and Fetch are a
//! [`List`], walked over in the request, and their answers are written piece by piece ([`crate::produce`], [`crate::fetch`]).
#![allow(missing_docs, reason = "the fields are those of the protocol's guide, which says what they mean")]

pub mod cluster;
pub mod configs;
pub mod consumer_groups;
pub mod fetch;
pub mod group_admin;
pub mod groups;
mod list;
pub mod metadata;
pub mod offsets;
pub mod produce;
mod records;
pub mod security;
pub mod share;
pub mod topics;
pub mod transactions;
pub mod versions;

use cluster::*;
use configs::*;
use consumer_groups::*;
use fetch::*;
use group_admin::*;
use groups::*;
pub use list::List;
use metadata::*;
use offsets::*;
use produce::*;
pub use records::Records;
use security::*;
use share::*;
use topics::*;
use transactions::*;
use versions::*;

use crate::api::Api;
use crate::codec::{DecodeError, Reader, Wire, Writer, messages};

/// Authorized operations that were not asked for.
pub const NO_OPERATIONS: i32 = i32::MIN;

/// The body of a request or an answer.
pub trait Body<'a>: Wire<'a> {
    /// Which it belongs to.
    const API: Api;

    /// Which it belongs to.
    fn api(&self) -> Api {
        Self::API
    }

    /// Reads the body. Bytes that follow it are passed over, as Kafka passes over them.
    ///
    /// # Errors
    /// See [`DecodeError`]; [`DecodeError::Version`] if the version is not implemented.
    fn decode(version: i16, body: &'a [u8]) -> Result<Self, DecodeError> {
        if !Self::API.versions().contains(&version) {
            return Err(DecodeError::Version(version));
        }
        Self::read(&mut Reader::new(body, version, Self::API.is_flexible(version)))
    }

    /// Appends the body. Fields that the version does not have are left out.
    fn encode(&self, version: i16, out: &mut Vec<u8>) {
        self.write(&mut Writer::new(out, version, Self::API.is_flexible(version)));
    }
}

/// A structure that may be null, which a byte before it says.
macro_rules! nullable {
    ($type:ident $(<$life:lifetime>)?) => {
        impl<'a> $crate::codec::Wire<'a> for Option<$type $(<$life>)?> {
            fn read(r: &mut $crate::codec::Reader<'a>) -> Result<Self, $crate::codec::DecodeError> {
                if r.i8()? < 0 { Ok(None) } else { $type::read(r).map(Some) }
            }

            fn write(&self, w: &mut $crate::codec::Writer<'_>) {
                match self {
                    Some(present) => {
                        w.i8(1);
                        present.write(w);
                    }
                    None => w.i8(-1),
                }
            }
        }
    };
}
use nullable;

messages! {
    Produce: ProduceRequest<'a> => ProduceResponse<'a>,
    Fetch: FetchRequest<'a> => FetchResponse<'a>,
    ListOffsets: ListOffsetsRequest<'a> => ListOffsetsResponse<'a>,
    Metadata: MetadataRequest<'a> => MetadataResponse<'a>,
    OffsetCommit: OffsetCommitRequest<'a> => OffsetCommitResponse<'a>,
    OffsetFetch: OffsetFetchRequest<'a> => OffsetFetchResponse<'a>,
    FindCoordinator: FindCoordinatorRequest<'a> => FindCoordinatorResponse<'a>,
    JoinGroup: JoinGroupRequest<'a> => JoinGroupResponse<'a>,
    Heartbeat: HeartbeatRequest<'a> => HeartbeatResponse,
    LeaveGroup: LeaveGroupRequest<'a> => LeaveGroupResponse<'a>,
    SyncGroup: SyncGroupRequest<'a> => SyncGroupResponse<'a>,
    DescribeGroups: DescribeGroupsRequest<'a> => DescribeGroupsResponse<'a>,
    ListGroups: ListGroupsRequest<'a> => ListGroupsResponse<'a>,
    SaslHandshake: SaslHandshakeRequest<'a> => SaslHandshakeResponse<'a>,
    ApiVersions: ApiVersionsRequest<'a> => ApiVersionsResponse<'a>,
    CreateTopics: CreateTopicsRequest<'a> => CreateTopicsResponse<'a>,
    DeleteTopics: DeleteTopicsRequest<'a> => DeleteTopicsResponse<'a>,
    DeleteRecords: DeleteRecordsRequest<'a> => DeleteRecordsResponse<'a>,
    InitProducerId: InitProducerIdRequest<'a> => InitProducerIdResponse,
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest<'a> => OffsetForLeaderEpochResponse<'a>,
    AddPartitionsToTxn: AddPartitionsToTxnRequest<'a> => AddPartitionsToTxnResponse<'a>,
    AddOffsetsToTxn: AddOffsetsToTxnRequest<'a> => AddOffsetsToTxnResponse,
    EndTxn: EndTxnRequest<'a> => EndTxnResponse,
    TxnOffsetCommit: TxnOffsetCommitRequest<'a> => TxnOffsetCommitResponse<'a>,
    DescribeAcls: DescribeAclsRequest<'a> => DescribeAclsResponse<'a>,
    CreateAcls: CreateAclsRequest<'a> => CreateAclsResponse<'a>,
    DeleteAcls: DeleteAclsRequest<'a> => DeleteAclsResponse<'a>,
    DescribeConfigs: DescribeConfigsRequest<'a> => DescribeConfigsResponse<'a>,
    AlterConfigs: AlterConfigsRequest<'a> => AlterConfigsResponse<'a>,
    DescribeLogDirs: DescribeLogDirsRequest<'a> => DescribeLogDirsResponse<'a>,
    SaslAuthenticate: SaslAuthenticateRequest<'a> => SaslAuthenticateResponse<'a>,
    CreatePartitions: CreatePartitionsRequest<'a> => CreatePartitionsResponse<'a>,
    DeleteGroups: DeleteGroupsRequest<'a> => DeleteGroupsResponse<'a>,
    ElectLeaders: ElectLeadersRequest<'a> => ElectLeadersResponse<'a>,
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest<'a> => IncrementalAlterConfigsResponse<'a>,
    AlterPartitionReassignments:
        AlterPartitionReassignmentsRequest<'a> => AlterPartitionReassignmentsResponse<'a>,
    ListPartitionReassignments:
        ListPartitionReassignmentsRequest<'a> => ListPartitionReassignmentsResponse<'a>,
    OffsetDelete: OffsetDeleteRequest<'a> => OffsetDeleteResponse<'a>,
    DescribeClientQuotas: DescribeClientQuotasRequest<'a> => DescribeClientQuotasResponse<'a>,
    AlterClientQuotas: AlterClientQuotasRequest<'a> => AlterClientQuotasResponse<'a>,
    DescribeUserScramCredentials:
        DescribeUserScramCredentialsRequest<'a> => DescribeUserScramCredentialsResponse<'a>,
    AlterUserScramCredentials:
        AlterUserScramCredentialsRequest<'a> => AlterUserScramCredentialsResponse<'a>,
    DescribeQuorum: DescribeQuorumRequest<'a> => DescribeQuorumResponse<'a>,
    UpdateFeatures: UpdateFeaturesRequest<'a> => UpdateFeaturesResponse<'a>,
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse<'a>,
    DescribeProducers: DescribeProducersRequest<'a> => DescribeProducersResponse<'a>,
    DescribeTransactions: DescribeTransactionsRequest<'a> => DescribeTransactionsResponse<'a>,
    ListTransactions: ListTransactionsRequest<'a> => ListTransactionsResponse<'a>,
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest<'a> => ConsumerGroupHeartbeatResponse<'a>,
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest<'a> => ConsumerGroupDescribeResponse<'a>,
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse<'a>,
    DescribeTopicPartitions: DescribeTopicPartitionsRequest<'a> => DescribeTopicPartitionsResponse<'a>,
    ShareGroupHeartbeat: ShareGroupHeartbeatRequest<'a> => ShareGroupHeartbeatResponse<'a>,
    ShareGroupDescribe: ShareGroupDescribeRequest<'a> => ShareGroupDescribeResponse<'a>,
    ShareFetch: ShareFetchRequest<'a> => ShareFetchResponse<'a>,
    ShareAcknowledge: ShareAcknowledgeRequest<'a> => ShareAcknowledgeResponse<'a>,
    DescribeShareGroupOffsets: DescribeShareGroupOffsetsRequest<'a> => DescribeShareGroupOffsetsResponse<'a>,
    AlterShareGroupOffsets: AlterShareGroupOffsetsRequest<'a> => AlterShareGroupOffsetsResponse<'a>,
    DeleteShareGroupOffsets: DeleteShareGroupOffsetsRequest<'a> => DeleteShareGroupOffsetsResponse<'a>,
}
