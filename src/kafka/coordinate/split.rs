//! Which coordinators a request concerns, and what of it concerns each.

use std::collections::BTreeMap;

use ringmail_coordinator::partition_for;
use ringmail_kafka::codec::Str;
use ringmail_kafka::messages::Request;
use ringmail_kafka::messages::group_admin::*;
use ringmail_kafka::messages::offsets::*;
use ringmail_kafka::messages::transactions::*;

/// The first version of OffsetFetch that names several groups.
const OFFSET_FETCH_BATCHED: i16 = 8;

/// The first version of AddPartitionsToTxn that names several transactions, and is for brokers.
const ADD_PARTITIONS_BATCHED: i16 = 4;

/// What a request is about.
#[derive(Debug, PartialEq)]
pub(super) enum Concerns<'r, 'a> {
    /// One group: the request goes on as it is.
    Group(&'r str),
    /// One transactional id, likewise.
    Transaction(&'r str),
    /// Several groups: each coordinator gets its own.
    Groups(Vec<(i32, Request<'a>)>),
    /// Several transactional ids, likewise.
    Transactions(Vec<(i32, Request<'a>)>),
    /// All groups of the broker.
    AllGroups,
    /// All transactions of the broker.
    AllTransactions,
}

/// What `request` is about, where groups and transactions are in so many partitions.
pub(super) fn concerns<'r, 'a>(
    request: &'r Request<'a>,
    version: i16,
    groups: i32,
    transactions: i32,
) -> Concerns<'r, 'a> {
    match request {
        Request::JoinGroup(r) => Concerns::Group(&r.group_id),
        Request::SyncGroup(r) => Concerns::Group(&r.group_id),
        Request::Heartbeat(r) => Concerns::Group(&r.group_id),
        Request::LeaveGroup(r) => Concerns::Group(&r.group_id),
        Request::OffsetCommit(r) => Concerns::Group(&r.group_id),
        Request::TxnOffsetCommit(r) => Concerns::Group(&r.group_id),
        Request::OffsetDelete(r) => Concerns::Group(&r.group_id),
        Request::ConsumerGroupHeartbeat(r) => Concerns::Group(&r.group_id),
        Request::OffsetFetch(r) if version < OFFSET_FETCH_BATCHED => Concerns::Group(&r.group_id),
        Request::InitProducerId(r) => {
            Concerns::Transaction(r.transactional_id.as_deref().unwrap_or_default())
        }
        Request::AddPartitionsToTxn(r) if version < ADD_PARTITIONS_BATCHED => {
            Concerns::Transaction(&r.transactional_id)
        }
        Request::AddOffsetsToTxn(r) => Concerns::Transaction(&r.transactional_id),
        Request::EndTxn(r) => Concerns::Transaction(&r.transactional_id),
        Request::ListGroups(_) => Concerns::AllGroups,
        Request::ListTransactions(_) => Concerns::AllTransactions,
        request => several(request, groups, transactions),
    }
}

fn several<'r, 'a>(request: &'r Request<'a>, groups: i32, transactions: i32) -> Concerns<'r, 'a> {
    match request {
        Request::OffsetFetch(r) => Concerns::Groups(by_partition(
            &r.groups,
            groups,
            |group| &group.group_id,
            |groups| {
                let require_stable = r.require_stable;
                Request::OffsetFetch(OffsetFetchRequest { groups, require_stable, ..Default::default() })
            },
        )),
        Request::DescribeGroups(r) => Concerns::Groups(by_partition(&r.groups, groups, plain, |groups| {
            let include_authorized_operations = r.include_authorized_operations;
            Request::DescribeGroups(DescribeGroupsRequest { groups, include_authorized_operations })
        })),
        Request::ConsumerGroupDescribe(r) => {
            Concerns::Groups(by_partition(&r.group_ids, groups, plain, |group_ids| {
                let include_authorized_operations = r.include_authorized_operations;
                let part = ConsumerGroupDescribeRequest { group_ids, include_authorized_operations };
                Request::ConsumerGroupDescribe(part)
            }))
        }
        Request::DeleteGroups(r) => {
            Concerns::Groups(by_partition(&r.groups_names, groups, plain, |groups_names| {
                Request::DeleteGroups(DeleteGroupsRequest { groups_names })
            }))
        }
        Request::DescribeTransactions(r) => Concerns::Transactions(by_partition(
            &r.transactional_ids,
            transactions,
            plain,
            |transactional_ids| {
                Request::DescribeTransactions(DescribeTransactionsRequest { transactional_ids })
            },
        )),
        Request::AddPartitionsToTxn(r) => Concerns::Transactions(by_partition(
            &r.transactions,
            transactions,
            |transaction| &transaction.transactional_id,
            |transactions| {
                let part = AddPartitionsToTxnRequest { transactions, ..Default::default() };
                Request::AddPartitionsToTxn(part)
            },
        )),
        request => unreachable!("{:?} is not asked of coordinators", request.api()),
    }
}

fn plain<'r>(key: &'r Str<'_>) -> &'r str {
    key
}

/// The items of a request by the partition of their keys, each as a request of its own.
fn by_partition<'a, T: Clone>(
    items: &[T],
    partitions: i32,
    key: impl Fn(&T) -> &str,
    request: impl Fn(Vec<T>) -> Request<'a>,
) -> Vec<(i32, Request<'a>)> {
    let mut parts = BTreeMap::<i32, Vec<T>>::new();
    for item in items {
        parts.entry(partition_for(key(item), partitions)).or_default().push(item.clone());
    }
    parts.into_iter().map(|(partition, items)| (partition, request(items))).collect()
}
