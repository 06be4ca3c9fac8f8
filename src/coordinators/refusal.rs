//! What is answered where a machine cannot: the form of each API's answer with nothing in it but an error.

use ringmail_kafka::codec::Str;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::consumer_groups::*;
use ringmail_kafka::messages::group_admin::*;
use ringmail_kafka::messages::groups::*;
use ringmail_kafka::messages::offsets::*;
use ringmail_kafka::messages::transactions::*;
use ringmail_kafka::messages::{Request, Response};

use super::question::CoordinatorQuestion;

/// The first version of AddPartitionsToTxn that has an error for the whole request.
const ADD_PARTITIONS_BATCHED: i16 = 4;

/// Answers `question` with an error, for all that it names.
pub fn refused(question: &CoordinatorQuestion, code: ErrorCode) -> Response<'static> {
    let request = question.request().expect("a question is decoded before it is asked");
    refuse(&request, question.version, code.number())
}

fn refuse(request: &Request<'_>, version: i16, error_code: i16) -> Response<'static> {
    match request {
        Request::JoinGroup(r) => Response::JoinGroup(JoinGroupResponse {
            error_code,
            member_id: owned(&r.member_id),
            ..Default::default()
        }),
        Request::SyncGroup(_) => Response::SyncGroup(SyncGroupResponse { error_code, ..Default::default() }),
        Request::Heartbeat(_) => Response::Heartbeat(HeartbeatResponse { error_code, ..Default::default() }),
        Request::LeaveGroup(_) => {
            Response::LeaveGroup(LeaveGroupResponse { error_code, ..Default::default() })
        }
        Request::ConsumerGroupHeartbeat(_) => {
            let answer = ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
            Response::ConsumerGroupHeartbeat(answer)
        }
        Request::OffsetCommit(r) => Response::OffsetCommit(committed(r, error_code)),
        Request::TxnOffsetCommit(r) => Response::TxnOffsetCommit(txn_committed(r, error_code)),
        Request::OffsetFetch(r) => Response::OffsetFetch(fetched(r, version, error_code)),
        Request::OffsetDelete(_) => {
            Response::OffsetDelete(OffsetDeleteResponse { error_code, ..Default::default() })
        }
        Request::AddPartitionsToTxn(r) => Response::AddPartitionsToTxn(added(r, version, error_code)),
        request => refuse_group_or_transaction(request, error_code),
    }
}

fn refuse_group_or_transaction(request: &Request<'_>, error_code: i16) -> Response<'static> {
    match request {
        Request::DeleteGroups(r) => {
            let deleted = |group: &Str<'_>| DeletedGroup { group_id: owned(group), error_code };
            let results = r.groups_names.iter().map(deleted).collect();
            Response::DeleteGroups(DeleteGroupsResponse { throttle_time_ms: 0, results })
        }
        Request::DescribeGroups(r) => {
            let described =
                |group: &Str<'_>| DescribedGroup { error_code, group_id: owned(group), ..Default::default() };
            let groups = r.groups.iter().map(described).collect();
            Response::DescribeGroups(DescribeGroupsResponse { throttle_time_ms: 0, groups })
        }
        Request::ConsumerGroupDescribe(r) => {
            let described = |group: &Str<'_>| DescribedConsumerGroup {
                error_code,
                group_id: owned(group),
                ..Default::default()
            };
            let groups = r.group_ids.iter().map(described).collect();
            Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse { throttle_time_ms: 0, groups })
        }
        Request::ListGroups(_) => {
            Response::ListGroups(ListGroupsResponse { error_code, ..Default::default() })
        }
        Request::InitProducerId(_) => {
            Response::InitProducerId(InitProducerIdResponse { error_code, ..Default::default() })
        }
        Request::AddOffsetsToTxn(_) => {
            Response::AddOffsetsToTxn(AddOffsetsToTxnResponse { error_code, ..Default::default() })
        }
        Request::EndTxn(_) => Response::EndTxn(EndTxnResponse { error_code, ..Default::default() }),
        Request::DescribeTransactions(r) => {
            let described = |id: &Str<'_>| DescribedTransaction {
                error_code,
                transactional_id: owned(id),
                ..Default::default()
            };
            let transaction_states = r.transactional_ids.iter().map(described).collect();
            let answer = DescribeTransactionsResponse { throttle_time_ms: 0, transaction_states };
            Response::DescribeTransactions(answer)
        }
        Request::ListTransactions(_) => {
            Response::ListTransactions(ListTransactionsResponse { error_code, ..Default::default() })
        }
        request => unreachable!("{:?} is not asked of coordinators", request.api()),
    }
}

fn owned(text: &str) -> Str<'static> {
    text.to_owned().into()
}

fn committed(request: &OffsetCommitRequest<'_>, error_code: i16) -> OffsetCommitResponse<'static> {
    let topic = |topic: &OffsetCommitTopic<'_>| OffsetCommitTopicResult {
        name: owned(&topic.name),
        topic_id: topic.topic_id,
        partitions: results(topic.partitions.iter().map(|p| p.partition_index), error_code),
    };
    OffsetCommitResponse { throttle_time_ms: 0, topics: request.topics.iter().map(topic).collect() }
}

fn txn_committed(request: &TxnOffsetCommitRequest<'_>, error_code: i16) -> TxnOffsetCommitResponse<'static> {
    let topic = |topic: &TxnOffsetCommitTopic<'_>| TxnTopicResult {
        name: owned(&topic.name),
        partitions: results(topic.partitions.iter().map(|p| p.partition_index), error_code),
    };
    TxnOffsetCommitResponse { throttle_time_ms: 0, topics: request.topics.iter().map(topic).collect() }
}

fn results(partitions: impl Iterator<Item = i32>, error_code: i16) -> Vec<PartitionResult> {
    partitions.map(|partition_index| PartitionResult { partition_index, error_code }).collect()
}

/// Before version 2 there is no error for all of it; from version 8 on each group has its own.
fn fetched(request: &OffsetFetchRequest<'_>, version: i16, error_code: i16) -> OffsetFetchResponse<'static> {
    let groups = request.groups.iter().map(|group| FetchedOffsetGroup {
        group_id: owned(&group.group_id),
        topics: Vec::new(),
        error_code,
    });
    let partition = |partition_index: &i32| FetchedOffset {
        partition_index: *partition_index,
        committed_offset: -1,
        metadata: Some(Str::default()),
        error_code,
        ..Default::default()
    };
    let topic = |topic: &OffsetFetchTopic<'_>| FetchedOffsetTopic {
        name: owned(&topic.name),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    };
    let named = request.topics.iter().flatten().filter(|_| version < 2);
    OffsetFetchResponse {
        throttle_time_ms: 0,
        topics: named.map(topic).collect(),
        error_code,
        groups: groups.collect(),
    }
}

fn added(
    request: &AddPartitionsToTxnRequest<'_>,
    version: i16,
    error_code: i16,
) -> AddPartitionsToTxnResponse<'static> {
    if version >= ADD_PARTITIONS_BATCHED {
        return AddPartitionsToTxnResponse { error_code, ..Default::default() };
    }
    let topic = |topic: &TxnTopic<'_>| TxnTopicResult {
        name: owned(&topic.name),
        partitions: results(topic.partitions.iter().copied(), error_code),
    };
    let results_by_topic = request.topics.iter().map(topic).collect();
    AddPartitionsToTxnResponse { results_by_topic, ..Default::default() }
}
