//! What is written here, `kafka-protocol` and `kafka-wire` read and write alike, to the byte. Neither has all APIs in all
//! versions; together they do.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_wire_core::{ApiVersion, DecodeLimits, KafkaDecode, KafkaEncode};
use proptest::test_runner::{RngAlgorithm, TestRng};
use ringmail_kafka::api::Api;
use ringmail_kafka::error::ErrorCode;

use crate::bodies::{Side, body, encode_again, everything};

const BODIES_EACH: usize = 12;

/// What `kafka-protocol` makes of a body; `None` if it does not have the version.
fn by_kafka_protocol(side: Side, api: Api, version: i16, body: &[u8]) -> Option<Result<Vec<u8>, String>> {
    let key = ApiKey::try_from(api.key()).ok()?;
    let versions = key.valid_versions();
    // It says that it has these two, but reads them in no form.
    let missing = matches!((api, version), (Api::OffsetCommit | Api::OffsetFetch, 10));
    if version < versions.min || version > versions.max || missing {
        return None;
    }
    let mut bytes = Bytes::copy_from_slice(body);
    let mut out = BytesMut::new();
    let result = match side {
        Side::Request => {
            RequestKind::decode(key, &mut bytes, version).and_then(|m| m.encode(&mut out, version))
        }
        Side::Response => {
            ResponseKind::decode(key, &mut bytes, version).and_then(|m| m.encode(&mut out, version))
        }
    };
    Some(result.map(|()| out.to_vec()).map_err(|error| error.to_string()))
}

fn through_kafka_wire<M: KafkaDecode + KafkaEncode>(version: i16, body: &[u8]) -> Result<Vec<u8>, String> {
    let version = ApiVersion::new(version);
    let message = M::decode_from_bytes(Bytes::copy_from_slice(body), version, DecodeLimits::default())
        .map_err(|error| error.to_string())?;
    message.encode_to_bytes(version).map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

macro_rules! by_kafka_wire {
    ($($api:ident: $request:ident, $response:ident;)*) => {
        /// What `kafka-wire` makes of a body.
        fn by_kafka_wire(side: Side, api: Api, version: i16, body: &[u8]) -> Result<Vec<u8>, String> {
            match (api, side) {$(
                (Api::$api, Side::Request) => through_kafka_wire::<kafka_wire::$request>(version, body),
                (Api::$api, Side::Response) => through_kafka_wire::<kafka_wire::$response>(version, body),
            )*}
        }
    };
}

by_kafka_wire! {
    Produce: ProduceRequest, ProduceResponse;
    Fetch: FetchRequest, FetchResponse;
    ListOffsets: ListOffsetsRequest, ListOffsetsResponse;
    Metadata: MetadataRequest, MetadataResponse;
    OffsetCommit: OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch: OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup: JoinGroupRequest, JoinGroupResponse;
    Heartbeat: HeartbeatRequest, HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup: SyncGroupRequest, SyncGroupResponse;
    DescribeGroups: DescribeGroupsRequest, DescribeGroupsResponse;
    ListGroups: ListGroupsRequest, ListGroupsResponse;
    SaslHandshake: SaslHandshakeRequest, SaslHandshakeResponse;
    ApiVersions: ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics: CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics: DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords: DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId: InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    AddPartitionsToTxn: AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    AddOffsetsToTxn: AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    EndTxn: EndTxnRequest, EndTxnResponse;
    TxnOffsetCommit: TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    DescribeAcls: DescribeAclsRequest, DescribeAclsResponse;
    CreateAcls: CreateAclsRequest, CreateAclsResponse;
    DeleteAcls: DeleteAclsRequest, DeleteAclsResponse;
    DescribeConfigs: DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs: AlterConfigsRequest, AlterConfigsResponse;
    DescribeLogDirs: DescribeLogDirsRequest, DescribeLogDirsResponse;
    SaslAuthenticate: SaslAuthenticateRequest, SaslAuthenticateResponse;
    CreatePartitions: CreatePartitionsRequest, CreatePartitionsResponse;
    DeleteGroups: DeleteGroupsRequest, DeleteGroupsResponse;
    ElectLeaders: ElectLeadersRequest, ElectLeadersResponse;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    ListPartitionReassignments: ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    OffsetDelete: OffsetDeleteRequest, OffsetDeleteResponse;
    DescribeClientQuotas: DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    AlterClientQuotas: AlterClientQuotasRequest, AlterClientQuotasResponse;
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse;
    AlterUserScramCredentials: AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse;
    DescribeQuorum: DescribeQuorumRequest, DescribeQuorumResponse;
    UpdateFeatures: UpdateFeaturesRequest, UpdateFeaturesResponse;
    DescribeCluster: DescribeClusterRequest, DescribeClusterResponse;
    DescribeProducers: DescribeProducersRequest, DescribeProducersResponse;
    DescribeTransactions: DescribeTransactionsRequest, DescribeTransactionsResponse;
    ListTransactions: ListTransactionsRequest, ListTransactionsResponse;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    ListConfigResources: ListConfigResourcesRequest, ListConfigResourcesResponse;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
    ShareGroupHeartbeat: ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse;
    ShareGroupDescribe: ShareGroupDescribeRequest, ShareGroupDescribeResponse;
    ShareFetch: ShareFetchRequest, ShareFetchResponse;
    ShareAcknowledge: ShareAcknowledgeRequest, ShareAcknowledgeResponse;
    DescribeShareGroupOffsets: DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse;
    AlterShareGroupOffsets: AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse;
    DeleteShareGroupOffsets: DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_same_bytes_from_all() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let (mut compared, mut longest) = (0, 0);
    for (side, api, version) in everything() {
        for _ in 0..BODIES_EACH {
            let body = body(&mut rng, side, api, version);
            let what = || format!("{side:?} {api:?} {version}: {}", hex(&body));
            assert_eq!(encode_again(side, api, version, &body).as_ref(), Some(&body), "{}", what());
            assert_eq!(by_kafka_wire(side, api, version, &body).as_ref(), Ok(&body), "{}", what());
            if let Some(other) = by_kafka_protocol(side, api, version, &body) {
                assert_eq!(other.as_ref(), Ok(&body), "{}", what());
                compared += 1;
            }
            longest = longest.max(body.len());
        }
    }
    assert!(compared > 3_000 && longest > 200, "{compared} bodies, the longest of {longest} bytes");
}

#[test]
fn error_codes_have_the_same_numbers_and_kinds() {
    use kafka_protocol::ResponseError;
    for number in 0..200 {
        let known = |error: &ResponseError| !matches!(error, ResponseError::Unknown(_));
        let theirs = ResponseError::try_from_code(number).filter(known);
        let ours = ErrorCode::from_number(number);
        let Some(ours) = ours.filter(|code| *code != ErrorCode::None) else {
            assert!(theirs.is_none(), "{number} is {theirs:?}");
            continue;
        };
        let theirs = theirs.unwrap_or_else(|| panic!("{number} is {ours}, which they do not have"));
        let name: String = ours.name().split('_').flat_map(str::chars).collect();
        assert_eq!(name.to_lowercase(), format!("{theirs:?}").to_lowercase(), "{number}");
        // Which Kafka's own clients do retry.
        let retried = theirs.is_retriable() || ours == ErrorCode::ConcurrentTransactions;
        assert_eq!(ours.is_retriable(), retried, "{ours}");
    }
}
